#include "history_fixture.h"
#include "suite.h"

#include <check.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/* kill -9 while messages come in, are sealed, trimmed and downsampled: what was acknowledged is there once. */

#define S INT64_C(1000000)
#define T0 (INT64_C(1764000000) * S)
#define PACK 10
#define OPERATIONS 3000
#define LARGE_MESSAGES 600 /* more than is left unsealed */
#define MESSAGES_MAX 20000 /* what fits one answer */

static struct fixture f;

struct progress {
    volatile uint64_t submitted, acknowledged; /* messages */
};

static struct progress *progress;

static void setup(void)
{
    fixture_setup(&f);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

static void acknowledge(void *arg, int result)
{
    if (result == 0)
        progress->acknowledged = (uint64_t)(uintptr_t)arg;
}

/* Message n has the numbers from (n - 1) * PACK on, one a second, of three series in turn; its seq is n. */
static void submit(uint64_t number)
{
    static const char *const names[] = {"x", "y", "z"};
    struct store_batch *batch = store_batch_new();
    struct telemetry_record records[PACK];
    uint64_t seq = number - 1;

    for (size_t i = 0; i < PACK; i++) {
        uint64_t n = (number - 1) * PACK + i;

        records[i] = history_number(names[n % 3], T0 + (int64_t)n * S, (double)n);
    }
    history_add(batch, &seq, "a", records, PACK);
    progress->submitted = number;
    store_submit(f.store, batch, acknowledge, (void *)(uintptr_t)number);
}

static void run_until_killed(uint64_t number)
{
    struct store_retention retention = history_wide;

    fixture_open(&f);
    for (unsigned round = 0;; round++) {
        retention.journal_bytes = round % 3 ? 20000 : 0; /* seals and trims all the time */
        store_set_retention(f.store, &retention);
        for (int i = 0; i < 20; i++)
            submit(++number);
        store_flush(f.store);
    }
}

static uint64_t check_survivors(void)
{
    static const struct history_query query = {.from = INT64_MIN, .to = INT64_MAX, .limit = UINT32_MAX};
    struct history_answer answer;
    uint64_t count, sum = 0, messages;

    fixture_open(&f);
    answer = history_ask(&f, &query, false);
    count = answer.count;
    for (size_t i = 0; i < answer.count; i++) {
        ck_assert(i == 0 || strcmp(answer.points[i].record.name, answer.points[i - 1].record.name) != 0 ||
                  answer.points[i].record.time_us == answer.points[i - 1].record.time_us + 3 * S);
        sum += (uint64_t)answer.points[i].record.number;
    }
    ck_assert(!answer.more);
    history_answer_free(&answer);
    ck_assert_uint_eq(count % PACK, 0);
    messages = count / PACK;
    ck_assert_uint_ge(messages, progress->acknowledged);
    ck_assert_uint_le(messages, progress->submitted);
    ck_assert_uint_eq(sum, count == 0 ? 0 : count * (count - 1) / 2); /* 0, 1, 2, ... */
    history_seal_all(&f);
    ck_assert_uint_eq(history_count(&f, query), count);
    if (count > 0) {
        struct history_stats stats;

        store_get_history_stats(f.store, &stats);
        ck_assert_uint_eq(stats.records, count);
        ck_assert_uint_eq(strtoull(fixture_query(&f, "SELECT sum(count) FROM chunk"), NULL, 10), count);
        ck_assert_uint_eq(strtoull(fixture_query(&f, "SELECT sum(length(body)) + 60 * count(*) FROM chunk"), NULL, 10),
                          stats.chunk_bytes);
    }
    fixture_close(&f);
    return messages;
}

/* Many messages are sealed at once, in several slices, while what is in chunks becomes buckets at once. */
static void downsample_until_killed(uint64_t number)
{
    struct store_retention retention = history_wide;

    fixture_open(&f);
    retention.raw_age_us = 3600 * S;
    for (;;) {
        retention.journal_bytes = UINT64_MAX;
        store_set_retention(f.store, &retention);
        for (int i = 0; i < 2000; i++)
            submit(++number);
        store_flush(f.store);
        retention.journal_bytes = 0;
        store_set_retention(f.store, &retention);
    }
}

static uint64_t count_with_buckets(void)
{
    static const struct history_query query = {
        .from = INT64_MIN, .to = INT64_MAX, .limit = UINT32_MAX, .aggregate = HISTORY_BUCKETS, .bucket_us = 3600 * S};
    struct history_answer answer = history_ask(&f, &query, false);
    uint64_t count = 0;

    for (size_t i = 0; i < answer.count; i++)
        count += answer.points[i].count;
    ck_assert(!answer.more);
    history_answer_free(&answer);
    return count;
}

static uint64_t check_counts(void)
{
    struct store_retention retention = history_wide;
    uint64_t messages;

    fixture_open(&f);
    messages = strtoull(fixture_query(&f, "SELECT max(seq) FROM journal"), NULL, 10);
    ck_assert_uint_ge(messages, progress->acknowledged);
    ck_assert_uint_le(messages, progress->submitted);
    retention.raw_age_us = 3600 * S; /* this goes on before what is left is sealed */
    store_set_retention(f.store, &retention);
    (void)usleep(200000);
    history_seal_all(&f);
    ck_assert_uint_eq(count_with_buckets(), messages * PACK);
    fixture_close(&f);
    return messages;
}

static void survive(int rounds, long pause_ns, void (*run)(uint64_t number), uint64_t (*check)(void))
{
    uint64_t number = 0;
    unsigned seed = (unsigned)time(NULL);

    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(progress, MAP_FAILED);
    for (int round = 0; round < rounds && number < MESSAGES_MAX; round++) {
        pid_t child = fork();
        const struct timespec pause = {.tv_nsec = 1000000L + rand_r(&seed) % pause_ns};
        int status;

        ck_assert_int_ge(child, 0);
        if (child == 0)
            run(number);
        (void)nanosleep(&pause, NULL);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %d", status);
        number = check();
    }
    ck_assert_uint_gt(number, (uint64_t)rounds);
}

START_TEST(nothing_is_lost_or_doubled)
{
    survive(25, 80000000, run_until_killed, check_survivors);
}
END_TEST

START_TEST(no_bucket_counts_a_record_twice)
{
    survive(15, 600000000, downsample_until_killed, check_counts);
}
END_TEST

/* What was not sealed yet is sealed from the moment the store is open, while the rest of the database is read. */
START_TEST(loading_and_sealing_do_not_meet)
{
    struct store_batch *batch = store_batch_new();
    uint64_t seq = 0;

    fixture_open(&f);
    for (int i = 0; i < OPERATIONS; i++) {
        char id[16];
        struct store_operation operation = fixture_operation(id, "a");

        (void)snprintf(id, sizeof id, "%08d", i);
        store_batch_put_operation(batch, &operation);
    }
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    for (int round = 0; round < 10; round++) {
        static char bytes[TELEMETRY_VALUE_MAX];
        struct telemetry_record record = {
            .name = "x", .unit = "", .kind = TELEMETRY_DATA, .bytes = bytes, .size = sizeof bytes};

        batch = store_batch_new();
        for (int i = 0; i < LARGE_MESSAGES; i++) {
            record.time_us = T0 + (int64_t)seq * S;
            history_add(batch, &seq, "a", &record, 1);
        }
        store_submit(f.store, batch, NULL, NULL);
        store_flush(f.store);
        fixture_reopen(&f); /* which checks the content */
        for (int i = 0; i < 5; i++)
            ck_assert_int_eq(fixture_count(&f).operations, OPERATIONS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history_crash");
    TCase *tcase = tcase_create("history_crash");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, nothing_is_lost_or_doubled);
    tcase_add_test(tcase, no_bucket_counts_a_record_twice);
    tcase_add_test(tcase, loading_and_sealing_do_not_meet);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
