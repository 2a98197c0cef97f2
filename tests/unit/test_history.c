#include "history_fixture.h"
#include "suite.h"

#include <check.h>
#include <math.h>
#include <string.h>

#define S INT64_C(1000000)
#define T0 (INT64_C(1764000000) * S)

static struct fixture f;
static uint64_t seq;

static void setup(void)
{
    fixture_setup(&f);
    fixture_open(&f);
    seq = 0;
}

static void teardown(void)
{
    fixture_teardown(&f);
}

/* Against a model -------------------------------------------------------------------------------------------------- */

/* Whatever was put, in whatever order, sealed at whatever moment: queries say what a plain array says. */

#define DEVICES 3
#define NAMES 4
#define SLOTS 1000 /* times that a series may have */

static const char *const devices[DEVICES] = {"a", "b", "bb"};
static const char *const names[NAMES] = {"h", "t/1", "t/2", "u"};

struct model {
    bool known[DEVICES][NAMES][SLOTS];
    double value[DEVICES][NAMES][SLOTS];
};

static struct model *model;
static uint32_t random_state;

static unsigned pick(unsigned limit)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % limit;
}

static int64_t time_of(size_t slot)
{
    return T0 + (int64_t)slot * 10 * S;
}

/* A message of 1 to 20 records, most of them after another, some anywhere. */
static void put_message(struct store_batch *batch, unsigned *now)
{
    struct telemetry_record records[20];
    size_t count = 1 + pick(array_size(records));
    unsigned d = pick(DEVICES);

    for (size_t i = 0; i < count; i++) {
        unsigned n = pick(NAMES), slot = pick(10) == 0 ? pick(SLOTS) : *now % SLOTS;
        double value = pick(8) == 0 ? pick(1000) / 7.0 : pick(300) / 10.0;

        *now += pick(3);
        records[i] = history_number(names[n], time_of(slot), value);
        model->known[d][n][slot] = true;
        model->value[d][n][slot] = value;
    }
    history_add(batch, &seq, devices[d], records, count);
}

static bool wants(const struct history_query *query, unsigned d, unsigned n)
{
    size_t size = query->name ? strlen(query->name) : 0;

    return (!query->device || strcmp(query->device, devices[d]) == 0) &&
           (!query->name || (query->name[size - 1] == '*' ? strncmp(names[n], query->name, size - 1) == 0
                                                          : strcmp(names[n], query->name) == 0));
}

/* The points that are expected, in order. */
static size_t expect(const struct history_query *query, struct history_point *out)
{
    size_t count = 0;

    for (unsigned d = 0; d < DEVICES; d++)
        for (unsigned n = 0; n < NAMES; n++)
            for (size_t i = 0; i < SLOTS && wants(query, d, n); i++) {
                size_t slot = query->newest_first ? SLOTS - 1 - i : i;
                int64_t time = time_of(slot);

                if (!model->known[d][n][slot] || time < query->from || time >= query->to)
                    continue;
                out[count] = (struct history_point){.device = devices[d], .count = 1};
                out[count++].record = history_number(names[n], time, model->value[d][n][slot]);
            }
    return count;
}

/* The same points in buckets, in place. */
static size_t expect_buckets(struct history_point *points, size_t count, int64_t size)
{
    size_t n = 0;
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct history_point point = points[i], *last = n ? &points[n - 1] : NULL;
        int64_t begin = point.record.time_us / size * size;
        double value = point.record.number;

        if (!last || strcmp(last->device, point.device) != 0 || strcmp(last->record.name, point.record.name) != 0 ||
            last->record.time_us != begin) {
            sum = 0;
            last = &points[n++];
            *last = point;
            last->record.time_us = begin;
            last->count = 0;
            last->min = last->max = value;
        }
        sum += value;
        last->count++;
        last->min = fmin(last->min, value);
        last->max = fmax(last->max, value);
        last->mean = sum / (double)last->count;
        last->record.number = value;
        last->last_us = point.record.time_us;
    }
    return n;
}

static void check_point(const struct history_point *got, const struct history_point *expected, bool bucket)
{
    ck_assert_str_eq(got->device, expected->device);
    ck_assert_str_eq(got->record.name, expected->record.name);
    ck_assert_str_eq(got->record.unit, "Cel");
    ck_assert_int_eq(got->record.time_us, expected->record.time_us);
    ck_assert(memcmp(&got->record.number, &expected->record.number, sizeof got->record.number) == 0);
    ck_assert_uint_eq(got->count, expected->count);
    ck_assert(!got->downsampled);
    if (bucket) {
        ck_assert(memcmp(&got->min, &expected->min, sizeof got->min) == 0);
        ck_assert(memcmp(&got->max, &expected->max, sizeof got->max) == 0);
        ck_assert_double_eq_tol(got->mean, expected->mean, 1e-9);
        ck_assert_int_eq(got->last_us, expected->last_us);
    }
}

/* Page by page. */
static void check_query(struct history_query query)
{
    static struct history_point expected[DEVICES * NAMES * SLOTS];
    size_t count = expect(&query, expected), at = 0;
    bool more = true;

    if (query.aggregate == HISTORY_BUCKETS)
        count = expect_buckets(expected, count, query.bucket_us);
    while (more) {
        struct history_answer answer = history_ask(&f, &query, false);

        ck_assert_uint_le(answer.count, query.limit);
        ck_assert_uint_le(at + answer.count, count);
        for (size_t i = 0; i < answer.count; i++)
            check_point(&answer.points[i], &expected[at + i], query.aggregate == HISTORY_BUCKETS);
        at += answer.count;
        more = answer.more;
        ck_assert(!more || answer.count == query.limit);
        ck_assert(more == (at < count));
        if (more) {
            query.after_device = expected[at - 1].device;
            query.after_name = expected[at - 1].record.name;
            query.after_time = expected[at - 1].record.time_us;
        }
        history_answer_free(&answer);
    }
    ck_assert_uint_eq(at, count);
}

static void check_queries(void)
{
    static const char *const wanted[] = {NULL, "t/1", "t/*", "*", "nothing", "u"};
    const int64_t end = time_of(SLOTS);

    for (int i = 0; i < 8; i++) {
        struct history_query query = {.device = i % 3 ? devices[pick(DEVICES)] : NULL,
                                      .name = wanted[pick(array_size(wanted))],
                                      .from = i % 4 ? T0 + (int64_t)pick(SLOTS) * 10 * S - 3 : INT64_MIN,
                                      .to = i % 5 ? T0 + (int64_t)pick(SLOTS) * 10 * S : end,
                                      .limit = i % 2 ? 300 + pick(3000) : 100000};

        check_query(query);
        query.newest_first = true;
        check_query(query);
        query.newest_first = false;
        query.aggregate = HISTORY_BUCKETS;
        query.bucket_us = (1 + (int64_t)pick(1000)) * S;
        check_query(query);
    }
}

START_TEST(queries_say_what_was_put)
{
    unsigned now = 0;

    model = calloc(1, sizeof *model);
    random_state = (uint32_t)_i + 1;
    check_queries();
    for (int round = 0; round < 4; round++) {
        for (unsigned n = 5 + pick(20); n > 0; n--) {
            struct store_batch *batch = store_batch_new();

            for (int i = 0; i < 10; i++)
                put_message(batch, &now);
            ck_assert_int_eq(fixture_commit(&f, batch), 0);
        }
        check_queries();
        if (_i % 2 || round % 2) {
            history_seal_all(&f);
            check_queries();
        }
        if (round == 2)
            fixture_reopen(&f);
    }
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM chunk a JOIN chunk b ON a.series = b.series AND a.number"
                                       " <> b.number AND a.first <= b.first AND b.first <= a.last"),
                     "0"); /* chunks of a series are disjoint */
    free(model);
}
END_TEST

/* More of the tail than is held at a time, with texts; nothing sealed. */
START_TEST(a_long_tail_is_read_piece_by_piece)
{
    static struct telemetry_record records[1000];
    static char text[200];
    struct history_query query = {.from = 0, .to = INT64_MAX, .limit = 7000};
    size_t total = 0, page;

    memset(text, 'x', sizeof text);
    for (int round = 0; round < 25; round++) {
        for (size_t i = 0; i < array_size(records); i++) {
            records[i] = (struct telemetry_record){.name = i % 2 ? "x" : "y",
                                                   .unit = "",
                                                   .kind = TELEMETRY_STRING,
                                                   .bytes = text,
                                                   .size = i % sizeof text};
            records[i].time_us = T0 + (int64_t)((i * 25 + (size_t)round * 7919) % 25000) * S;
        }
        history_put(&f, &seq, "a", records, array_size(records));
    }
    do {
        struct history_answer answer = history_ask(&f, &query, false);

        page = answer.count;
        total += page;
        for (size_t i = 1; i < page; i++)
            ck_assert(strcmp(answer.points[i - 1].record.name, answer.points[i].record.name) < 0 ||
                      answer.points[i - 1].record.time_us < answer.points[i].record.time_us);
        if (page > 0) {
            static char name[8];

            (void)snprintf(name, sizeof name, "%s", answer.points[page - 1].record.name);
            query.after_device = "a";
            query.after_name = name;
            query.after_time = answer.points[page - 1].record.time_us;
        }
        page = answer.more ? page : 0;
        history_answer_free(&answer);
    } while (page > 0);
    query.after_device = NULL;
    history_seal_all(&f);
    ck_assert_uint_eq(history_count(&f, query), total);
    ck_assert_uint_gt(total, 20000);
}
END_TEST

/* Values ----------------------------------------------------------------------------------------------------------- */

START_TEST(all_kinds_of_values_come_back)
{
    struct telemetry_record records[] = {
        {.name = "x", .unit = "", .time_us = T0, .kind = TELEMETRY_STRING, .bytes = "open", .size = 4},
        {.name = "x", .unit = "", .time_us = T0 + 1, .kind = TELEMETRY_BOOLEAN, .boolean = true, .flags = 2},
        {.name = "x", .unit = "J", .time_us = T0 + 2, .kind = TELEMETRY_NONE, .has_sum = true, .sum = 5.5},
        {.name = "x", .unit = "", .time_us = T0 + 3, .kind = TELEMETRY_DATA, .bytes = "\0\1", .size = 2, .flags = 1},
        {.name = "x", .unit = "m", .time_us = T0 + 4, .kind = TELEMETRY_NUMBER, .number = 1e300},
    };
    struct history_query query = {.from = T0, .to = T0 + 5, .limit = 10};

    history_put(&f, &seq, "a", records, array_size(records));
    for (int round = 0; round < 2; round++) {
        struct history_answer answer = history_ask(&f, &query, false);

        ck_assert_uint_eq(answer.count, array_size(records));
        for (size_t i = 0; i < answer.count; i++) {
            const struct telemetry_record *got = &answer.points[i].record, *expected = &records[i];

            ck_assert(got->kind == expected->kind && got->flags == expected->flags && got->size == expected->size);
            ck_assert(got->boolean == expected->boolean && got->has_sum == expected->has_sum);
            ck_assert_str_eq(got->unit, expected->unit);
            ck_assert(got->size == 0 || memcmp(got->bytes, expected->bytes, got->size) == 0);
            ck_assert(isnan(answer.points[i].mean) == (got->kind != TELEMETRY_NUMBER));
        }
        history_answer_free(&answer);
        history_seal_all(&f);
    }
    query.aggregate = HISTORY_BUCKETS;
    query.bucket_us = 4; /* T0 is a multiple of it: strings and others only, then the number */
    {
        struct history_answer answer = history_ask(&f, &query, false);

        ck_assert_uint_eq(answer.count, 2);
        ck_assert(answer.points[0].count == 4 && isnan(answer.points[0].min) && answer.points[0].last_us == T0 + 3);
        ck_assert(answer.points[0].record.kind == TELEMETRY_DATA && answer.points[0].record.size == 2);
        ck_assert(memcmp(answer.points[0].record.bytes, "\0\1", 2) == 0);
        ck_assert(answer.points[1].count == 1);
        history_answer_free(&answer);
    }
}
END_TEST

START_TEST(impossible_times_do_no_harm)
{
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1};
    struct history_query query = {.from = INT64_MIN, .to = INT64_MAX, .limit = 100, .bucket_us = 3600 * S};

    for (size_t i = 0; i < array_size(times); i++) {
        struct telemetry_record record = history_number("x", times[i], (double)i);

        history_put(&f, &seq, "a", &record, 1);
    }
    for (int round = 0; round < 2; round++) {
        query.aggregate = HISTORY_RAW;
        ck_assert_uint_eq(history_count(&f, query), array_size(times));
        query.aggregate = HISTORY_BUCKETS;
        ck_assert_uint_ge(history_count(&f, query), 4);
        history_seal_all(&f);
    }
}
END_TEST

/* Series ----------------------------------------------------------------------------------------------------------- */

START_TEST(series_are_listed_with_their_newest)
{
    struct history_query query = {.limit = 2};
    struct history_answer answer;
    struct telemetry_record records[] = {history_number("t", T0, 1), history_number("t", T0 + 5, 2),
                                         history_number("u", T0 + 1, 3)};

    answer = history_ask(&f, &query, true);
    ck_assert(answer.count == 0 && !answer.more);
    history_answer_free(&answer);
    history_put(&f, &seq, "a", records, 3);
    history_seal_all(&f);
    records[0] = history_number("t", T0 + 9, 4);
    records[1] = history_number("v", T0 + 3, 5);
    history_put(&f, &seq, "a", records, 2);
    records[0] = history_number("t", T0 + 7, 6);
    history_put(&f, &seq, "b", records, 1);
    answer = history_ask(&f, &query, true);
    ck_assert(answer.count == 2 && answer.more);
    ck_assert(answer.points[0].count == 3 && answer.points[0].min == (double)T0);
    ck_assert(answer.points[0].record.number == 4 && answer.points[0].record.time_us == T0 + 9);
    ck_assert_str_eq(answer.points[1].record.name, "u");
    ck_assert(answer.points[1].count == 1 && answer.points[1].record.number == 3);
    history_answer_free(&answer);
    query.after_device = "a";
    query.after_name = "u";
    answer = history_ask(&f, &query, true);
    ck_assert(answer.count == 2 && !answer.more);
    ck_assert_str_eq(answer.points[0].record.name, "v");
    ck_assert_str_eq(answer.points[1].device, "b");
    history_answer_free(&answer);
    query = (struct history_query){.limit = 9, .device = "a", .name = "t*"};
    answer = history_ask(&f, &query, true);
    ck_assert(answer.count == 1);
    history_answer_free(&answer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("history");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, queries_say_what_was_put, 0, 2);
    tcase_add_test(tcase, a_long_tail_is_read_piece_by_piece);
    tcase_add_test(tcase, all_kinds_of_values_come_back);
    tcase_add_test(tcase, impossible_times_do_no_harm);
    tcase_add_test(tcase, series_are_listed_with_their_newest);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
