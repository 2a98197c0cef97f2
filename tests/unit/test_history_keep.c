#include "history_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define S INT64_C(1000000)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

static struct fixture f;
static uint64_t seq;
static int64_t now;

static void setup(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_REALTIME, &time);
    now = (int64_t)time.tv_sec / 3600 * HOUR;
    fixture_setup(&f);
    fixture_open(&f);
    seq = 0;
}

static void teardown(void)
{
    fixture_teardown(&f);
}

/* `count` records of a series, `step` apart, the first at `from`: 0, 1, 2, ... */
static void put_records(const char *device, const char *name, int64_t from, int64_t step, size_t count)
{
    static struct telemetry_record records[500];

    for (size_t done = 0; done < count;) {
        size_t n = count - done < array_size(records) ? count - done : array_size(records);

        for (size_t i = 0; i < n; i++)
            records[i] = history_number(name, from + (int64_t)(done + i) * step, (double)(done + i));
        history_put(&f, &seq, device, records, n);
        done += n;
    }
}

static struct history_stats stats(void)
{
    struct history_stats stats;

    store_get_history_stats(f.store, &stats);
    return stats;
}

static const struct history_query all = {.from = INT64_MIN, .to = INT64_MAX, .limit = UINT32_MAX};

/* Age and buckets -------------------------------------------------------------------------------------------------- */

static bool has_downsampled(const struct history_stats *stats)
{
    return stats->downsampled > 0 && stats->unsealed == 0;
}

static void check_bucket(const struct history_point *point, int64_t begin, uint64_t count, double min, double max)
{
    ck_assert(point->downsampled);
    ck_assert_int_eq(point->record.time_us, begin);
    ck_assert_uint_eq(point->count, count);
    ck_assert(point->min == min && point->max == max && point->record.number == max);
    ck_assert_double_eq_tol(point->mean, (min + max) / 2, 1e-9);
}

START_TEST(old_records_become_buckets)
{
    struct store_retention retention = history_wide;
    struct history_answer answer;
    size_t buckets = 0, records = 0, in_buckets = 0;

    put_records("a", "x", now - 10 * DAY, 60 * S, 10 * 24 * 60); /* ten days, each minute */
    history_seal_all(&f);
    ck_assert_uint_eq(stats().records, 14400);
    retention.raw_age_us = 3 * DAY;
    store_set_retention(f.store, &retention);
    history_wait(&f, has_downsampled);
    while (stats().records > 3 * 1440 * 9 / 8 + 60)
        (void)usleep(1000);
    answer = history_ask(&f, &all, false);
    for (size_t i = 0; i < answer.count; i++) {
        const struct history_point *point = &answer.points[i];

        if (point->downsampled) {
            bool is_last = !answer.points[i + 1].downsampled; /* what goes there of the next chunk is still to come */
            uint64_t size = is_last ? point->count : 60;

            check_bucket(point, now - 10 * DAY + (int64_t)buckets * HOUR, size, (double)buckets * 60,
                         (double)(buckets * 60 + size - 1));
            ck_assert_int_eq(point->last_us, point->record.time_us + ((int64_t)size - 1) * 60 * S);
            buckets++;
            in_buckets += size;
        } else {
            ck_assert(point->record.number == (double)(in_buckets + records)); /* nothing between is lost */
            records++;
        }
    }
    ck_assert_uint_eq(in_buckets + records, 14400);
    ck_assert(records >= 3 * 1440 && records <= 3 * 1440 * 9 / 8 + 60);
    ck_assert(stats().records == records && stats().downsampled == buckets);
    ck_assert_int_eq(stats().oldest_us, now - 10 * DAY);
    ck_assert_uint_eq(stats().dropped_records, 0);
    history_answer_free(&answer);
}
END_TEST

static bool has_dropped(const struct history_stats *stats)
{
    return stats->dropped_records > 0;
}

/* The last entry says that the clock was in 1970 when it came: either that was wrong, or what it is now. */
START_TEST(nothing_goes_for_its_age_after_the_clock_jumped)
{
    struct store_retention retention = history_wide;

    put_records("a", "x", now - 10 * DAY, 60 * S, 10 * 24 * 60);
    history_seal_all(&f);
    fixture_reopen(&f);
    retention.raw_age_us = retention.downsampled_age_us = DAY;
    retention.downsample_us = 0;
    retention.journal_age_ms = 1;
    retention.telemetry_bytes = stats().chunk_bytes - 1; /* size counts all the same, and tells that it was looked at */
    store_set_retention(f.store, &retention);
    history_wait(&f, has_dropped);
    (void)usleep(100000);
    ck_assert_uint_ge(stats().records, 14400 / 2);
    ck_assert_uint_eq(stats().records + stats().dropped_records, 14400);
}
END_TEST

static bool has_two_in_bucket(const struct history_stats *stats)
{
    return stats->unsealed == 0 && stats->records == 0 && stats->downsampled == 1;
}

START_TEST(late_records_join_their_bucket)
{
    struct store_retention retention = history_wide;
    struct telemetry_record record = history_number("x", now - 5 * DAY + 7 * S, 10);
    struct history_query query = all;
    struct history_answer answer;

    retention.raw_age_us = DAY;
    retention.journal_bytes = 0;
    for (int i = 0; i < 3; i++) {
        history_put(&f, &seq, "a", &record, 1);
        store_set_retention(f.store, &retention);
        history_wait(&f, has_two_in_bucket);
        record.number += 10;
        record.time_us -= S; /* out of order */
    }
    answer = history_ask(&f, &query, false);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert(answer.points[0].count == 3 && answer.points[0].mean == 20 && answer.points[0].min == 10);
    ck_assert(answer.points[0].max == 30 && answer.points[0].record.number == 10); /* the last by time */
    ck_assert_int_eq(answer.points[0].last_us, now - 5 * DAY + 7 * S);
    history_answer_free(&answer);
    query.aggregate = HISTORY_BUCKETS; /* of buckets and records */
    query.bucket_us = 10 * DAY;
    record = history_number("x", now, 100);
    history_put(&f, &seq, "a", &record, 1);
    query.from = now / (10 * DAY) * 10 * DAY - 10 * DAY;
    answer = history_ask(&f, &query, false);
    {
        uint64_t count = 0;
        double max = 0;

        for (size_t i = 0; i < answer.count; i++) {
            count += answer.points[i].count;
            max = fmax(max, answer.points[i].max);
        }
        ck_assert(count == 4 && max == 100);
    }
    history_answer_free(&answer);
}
END_TEST

static bool is_empty(const struct history_stats *stats)
{
    return stats->records == 0 && stats->downsampled == 0 && stats->chunks == 0;
}

START_TEST(old_records_and_buckets_go)
{
    struct store_retention retention = history_wide;

    put_records("a", "x", now - 10 * DAY, HOUR, 48);
    put_records("a", "y", now - 10 * DAY, HOUR, 48);
    history_seal_all(&f);
    retention.raw_age_us = DAY;
    retention.downsample_us = 0; /* none */
    store_set_retention(f.store, &retention);
    history_wait(&f, is_empty);
    ck_assert_uint_eq(history_count(&f, all), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM series"), "0");
    put_records("a", "x", now - 10 * DAY, HOUR, 48);
    history_seal_all(&f);
    retention.downsample_us = HOUR;
    retention.downsampled_age_us = 2 * DAY;
    store_set_retention(f.store, &retention);
    history_wait(&f, is_empty);
    ck_assert_uint_eq(stats().chunk_bytes, 0);
    ck_assert_uint_eq(stats().dropped_records, 0); /* not by size */
}
END_TEST

/* Size ------------------------------------------------------------------------------------------------------------- */

static uint64_t limit;

static bool fits(const struct history_stats *stats)
{
    return stats->chunk_bytes <= limit && stats->unsealed == 0;
}

START_TEST(over_the_size_the_oldest_go)
{
    struct store_retention retention = history_wide;
    struct history_stats before;
    struct history_answer answer;
    struct history_query query = all;

    put_records("a", "x", now - 10 * DAY, 60 * S, 6000);
    put_records("b", "x", now - 9 * DAY, 60 * S, 6000);
    history_seal_all(&f);
    before = stats();
    ck_assert(before.records == 12000 && before.series == 2);
    limit = retention.telemetry_bytes = before.chunk_bytes / 2;
    store_set_retention(f.store, &retention);
    history_wait(&f, fits);
    ck_assert(stats().records > 2000 && stats().records < 10000);
    ck_assert_uint_eq(stats().dropped_records, 12000 - stats().records);
    query.device = "b";
    answer = history_ask(&f, &query, false); /* each series has its newest records, without a gap */
    ck_assert(answer.count > 1000 && answer.points[answer.count - 1].record.number == 5999);
    ck_assert(answer.points[0].record.number == (double)(6000 - answer.count));
    history_answer_free(&answer);
    ck_assert_uint_eq(history_count(&f, all), stats().records);
    fixture_reopen(&f); /* the figures are in the database */
    ck_assert_uint_eq(stats().records, history_count(&f, all));
    ck_assert_uint_le(stats().chunk_bytes, limit);
}
END_TEST

/* The journal ------------------------------------------------------------------------------------------------------ */

static void put_cursor(const char *name, uint64_t at)
{
    struct store_batch *batch = store_batch_new();

    store_batch_put_cursor(batch, &(struct store_cursor){name, at});
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

/* Entries as old as 1970, one record each, and others that are no telemetry. */
static void put_entries(size_t count)
{
    struct store_batch *batch = store_batch_new();

    for (size_t i = 0; i < count; i++) {
        struct telemetry_record record = history_number("x", now + (int64_t)i, 1);
        const struct store_journal event = {.seq = seq + 1, .time = 1, .kind = 3, .body = {"{\"event\":\"x\"}", 13}};

        store_batch_add_journal(batch, &event);
        seq++;
        history_add(batch, &seq, "a", &record, 1);
    }
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

static uint64_t first;

static bool begins_there(const struct history_stats *stats)
{
    return stats->journal_first == first;
}

static struct store_journal_page page;

static void note_page(void *arg, int result, const struct store_journal_page *got)
{
    ck_assert_int_eq(result, 0);
    page = *got;
    *(bool *)arg = true;
}

static void read_after(uint64_t after)
{
    bool done = false;

    ck_assert_int_eq(store_read_journal(f.store, after, 10, SIZE_MAX, note_page, &done), 0);
    while (!done) {
        (void)usleep(500);
        store_dispatch(f.store);
    }
}

static bool is_all_sealed(const struct history_stats *stats)
{
    return stats->unsealed == 0;
}

START_TEST(old_entries_wait_for_the_cursors)
{
    struct store_retention retention = history_wide;

    put_cursor("slow", 40);
    put_cursor("fast", 90);
    put_entries(50);
    put_entries(1);
    retention.journal_age_ms = 60000;
    store_set_retention(f.store, &retention);
    (void)usleep(20000);
    ck_assert(stats().unsealed == 102 && stats().journal_first == 1); /* what is not sealed stays in any case */
    ck_assert_uint_gt(stats().journal_bytes, 102 * 30);
    retention.journal_bytes = stats().journal_bytes - 1; /* is reason to seal */
    store_set_retention(f.store, &retention);
    history_wait(&f, is_all_sealed);
    retention.journal_bytes = UINT64_MAX;
    store_set_retention(f.store, &retention);
    first = 41;
    history_wait(&f, begins_there);
    read_after(10);
    ck_assert(page.first_kept == 41 && page.gone == 30 && page.count == 10);
    read_after(40);
    ck_assert(page.gone == 0 && page.count == 10);
    put_cursor("slow", 95);
    store_set_retention(f.store, &retention);
    first = 91;
    history_wait(&f, begins_there);
    retention.journal_bytes = 100; /* over the size they go all the same; the last one stays */
    store_set_retention(f.store, &retention);
    while (stats().journal_bytes > 100)
        (void)usleep(500);
    read_after(0);
    ck_assert(page.first_kept > 95 && page.gone == page.first_kept - 1 && page.count >= 1);
    fixture_reopen(&f);
    read_after(0);
    ck_assert(page.gone > 94);
    ck_assert_uint_eq(stats().journal_last, 102);
    ck_assert_uint_eq(history_count(&f, all), 50); /* two times the same record at `now` */
}
END_TEST

/* Devices that go -------------------------------------------------------------------------------------------------- */

static bool is_purged(const struct history_stats *stats)
{
    return stats->records == 1;
}

static void delete_device(const char *id)
{
    struct store_batch *batch = store_batch_new();

    store_batch_delete_device(batch, id);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

START_TEST(a_device_takes_its_telemetry_with_it)
{
    struct history_query query = all;

    query.device = "a";
    put_records("a", "x", now, S, 5000);
    put_records("b", "x", now, S, 1);
    history_seal_all(&f);
    put_records("a", "y", now, S, 100); /* unsealed */
    ck_assert_uint_eq(history_count(&f, query), 5100);
    delete_device("a");
    ck_assert_uint_eq(history_count(&f, query), 0);
    history_wait(&f, is_purged);
    put_records("a", "y", now + 50 * S, S, 10); /* another one of that name */
    ck_assert_uint_eq(history_count(&f, query), 10);
    history_seal_all(&f);
    ck_assert_uint_eq(history_count(&f, query), 10);
    ck_assert_uint_eq(history_count(&f, all), 11);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM grave"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM series WHERE device IS NULL"), "0");
}
END_TEST

/* Devices go while their records are being sealed: none of them comes back. */
START_TEST(removal_and_sealing_do_not_mix)
{
    struct store_retention retention = history_wide;
    struct history_query query = all;

    retention.journal_bytes = 0;
    query.device = "a";
    for (int round = 0; round < 20; round++) {
        put_records("a", "x", now, S, 3000);
        put_records("a", "y", now, S, 3000);
        store_set_retention(f.store, &retention);
        (void)usleep((useconds_t)(round * 300));
        delete_device("a");
        ck_assert_uint_eq(history_count(&f, query), 0);
    }
    history_seal_all(&f);
    ck_assert_uint_eq(history_count(&f, all), 0);
    history_wait(&f, is_empty);
}
END_TEST

/* Full disk -------------------------------------------------------------------------------------------------------- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limits = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limits), 0);
}

static void note_result(void *arg, int result)
{
    *(int *)arg = result;
}

START_TEST(a_full_disk_is_survived)
{
    struct store_stats store;
    struct telemetry_record records[200];
    uint64_t accepted = 0, tried = 0;

    put_records("a", "x", now, S, 10000);
    store_get_stats(f.store, &store);
    limit_files((rlim_t)store.file_bytes + 100000);
    for (int result = 0; result == 0; tried++) {
        struct store_batch *batch = store_batch_new();

        for (size_t i = 0; i < array_size(records); i++)
            records[i] = history_number("y", now + (int64_t)(tried * array_size(records) + i) * S, sqrt((double)i));
        history_add(batch, &seq, "a", records, array_size(records));
        result = 1;
        store_submit(f.store, batch, note_result, &result);
        store_flush(f.store);
        accepted += result == 0;
        ck_assert(result == 0 || result == -ENOSPC);
    }
    ck_assert_uint_eq(history_count(&f, all), 10000 + accepted * 200); /* reads go on */
    limit_files(RLIM_INFINITY);
    put_records("a", "z", now, S, 10);
    history_seal_all(&f);
    ck_assert_uint_eq(history_count(&f, all), 10010 + accepted * 200);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA integrity_check"), "ok");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history_keep");
    TCase *tcase = tcase_create("history_keep");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, nothing_goes_for_its_age_after_the_clock_jumped);
    tcase_add_test(tcase, old_records_become_buckets);
    tcase_add_test(tcase, late_records_join_their_bucket);
    tcase_add_test(tcase, old_records_and_buckets_go);
    tcase_add_test(tcase, over_the_size_the_oldest_go);
    tcase_add_test(tcase, old_entries_wait_for_the_cursors);
    tcase_add_test(tcase, a_device_takes_its_telemetry_with_it);
    tcase_add_test(tcase, removal_and_sealing_do_not_mix);
    tcase_add_test(tcase, a_full_disk_is_survived);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
