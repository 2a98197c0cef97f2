#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 40

static struct fixture f;

static void setup(void)
{
    fixture_setup(&f);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

/* kill -9 --------------------------------------------------------------------------------------------------------- */

/* Shared with the child: what it submitted and what was acknowledged to it; both survive its death. */
struct progress {
    volatile uint64_t submitted, acknowledged;
};

static struct progress *progress;

static void acknowledge(void *arg, int result)
{
    uint64_t number = (uint64_t)(uintptr_t)arg;

    if (result == 0)
        progress->acknowledged = number;
}

/* A batch that belongs together: device, container and operation carry the same number; every tenth has a blob. */
static struct store_batch *numbered_batch(uint64_t number, const char *code)
{
    struct store_batch *batch = store_batch_new();
    char id[24];
    struct store_device device = fixture_device("device");
    struct store_container container = fixture_container("device", id);
    struct store_operation operation = fixture_operation(id, "device");
    struct store_artifact artifact = {.id = id, .manifest = "{}", .code_size = 30000};

    (void)snprintf(id, sizeof id, "%010llu", (unsigned long long)number);
    device.revision = container.revision = number;
    operation.created = (int64_t)number;
    store_batch_put_container(batch, &container);
    store_batch_put_device(batch, &device);
    if (number % 10 == 0)
        store_batch_put_artifact(batch, &artifact, &(struct store_part){code, fixture_digest(code)},
                                 &(struct store_part){NULL, fixture_digest(NULL)});
    store_batch_put_operation(batch, &operation);
    return batch;
}

/* Submits in bursts of different lengths until it is killed. */
static void run_until_killed(uint64_t number, const char *code)
{
    fixture_open(&f);
    for (;;) {
        for (uint64_t burst = 1 + number % 7; burst > 0; burst--) {
            progress->submitted = ++number;
            store_submit(f.store, numbered_batch(number, code), acknowledge, (void *)(uintptr_t)number);
        }
        store_flush(f.store);
    }
}

/* Everything acknowledged is there, whole, and nothing that was never submitted. */
static uint64_t check_survivors(void)
{
    const char *text;
    uint64_t count;

    fixture_open(&f);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA integrity_check"), "ok");
    text = fixture_query(&f, "SELECT count(*) FROM operation");
    count = strtoull(text, NULL, 10);
    ck_assert_uint_ge(count, progress->acknowledged);
    ck_assert_uint_le(count, progress->submitted);
    if (count > 0) {
        ck_assert_uint_eq(strtoull(fixture_query(&f, "SELECT revision FROM device"), NULL, 10), count);
        ck_assert_uint_eq(strtoull(fixture_query(&f, "SELECT max(id) FROM operation"), NULL, 10), count);
    }
    ck_assert_uint_eq(strtoull(fixture_query(&f, "SELECT count(*) FROM container"), NULL, 10), count);
    ck_assert_uint_eq(strtoull(fixture_query(&f, "SELECT count(*) FROM artifact"), NULL, 10), count / 10);
    ck_assert_uint_eq(strtoull(fixture_query(&f, "SELECT count(*) FROM holding h JOIN content c ON c.digest = "
                                                 "h.digest AND length(c.bytes) = 30000"),
                               NULL, 10),
                      count / 10);
    fixture_close(&f);
    return count;
}

static void kill_after(pid_t child, long microseconds)
{
    const struct timespec pause = {.tv_nsec = microseconds * 1000};
    int status;

    (void)nanosleep(&pause, NULL);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %d", status);
}

START_TEST(kill_9_loses_nothing_that_was_acknowledged)
{
    char code[30000];
    char path[PATH_MAX];
    uint64_t number = 0;
    unsigned seed = (unsigned)time(NULL);

    memset(code, 'c', sizeof code);
    (void)snprintf(path, sizeof path, "%s", fixture_write(&f, "code", code, sizeof code));
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(progress, MAP_FAILED);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0)
            run_until_killed(number, path);
        kill_after(child, 1000 + rand_r(&seed) % 60000);
        number = check_survivors();
    }
    ck_assert_uint_gt(number, ROUNDS); /* it did write */
}
END_TEST

/* Full disk ------------------------------------------------------------------------------------------------------- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct store_batch *device_batch(const char *id, size_t extra)
{
    struct store_batch *batch = store_batch_new();
    struct store_device device = fixture_device(id);
    char *name = calloc(1, extra + 1);

    memset(name, 'n', extra);
    device.name = name;
    store_batch_put_device(batch, &device);
    free(name);
    return batch;
}

START_TEST(a_full_disk_fails_batches_until_there_is_space)
{
    struct store_stats stats;

    fixture_open(&f);
    ck_assert_int_eq(fixture_commit(&f, device_batch("before", 0)), 0);
    store_get_stats(f.store, &stats);
    limit_files((rlim_t)stats.file_bytes);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(fixture_commit(&f, device_batch("during", 500000)), -ENOSPC);
    store_get_stats(f.store, &stats);
    ck_assert_uint_eq(stats.failed_commits, 5);
    ck_assert_uint_eq(stats.pending, 0);
    limit_files(RLIM_INFINITY);
    ck_assert_int_eq(fixture_commit(&f, device_batch("after", 500000)), 0);
    fixture_reopen(&f);
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(id) FROM device"), "after,before");
    ck_assert_str_eq(fixture_query(&f, "PRAGMA integrity_check"), "ok");
}
END_TEST

static void note_result(void *arg, int result)
{
    *(int *)arg = result;
}

/* A batch larger than the cache spills into the WAL and makes SQLite give up the whole transaction; the small batches
 * of its group have to be written all the same. */
START_TEST(a_batch_that_does_not_fit_takes_no_other_with_it)
{
    int results[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct store_stats stats;
    struct store_batch *large = store_batch_new();

    fixture_open(&f);
    for (int i = 0; i < 40; i++) {
        char *name = calloc(1, 100001), id[8];
        struct store_device device = fixture_device(id);

        memset(name, 'n', 100000);
        (void)snprintf(id, sizeof id, "large%d", i);
        device.name = name;
        store_batch_put_device(large, &device);
        free(name);
    }
    ck_assert_int_eq(fixture_commit(&f, store_batch_new()), 0);
    store_get_stats(f.store, &stats);
    limit_files((rlim_t)stats.file_bytes + 200000);
    for (int i = 0; i < 9; i++) {
        char id[8];

        (void)snprintf(id, sizeof id, "%d", i);
        store_submit(f.store, i == 5 ? large : device_batch(id, 0), note_result, &results[i]);
    }
    store_flush(f.store);
    limit_files(RLIM_INFINITY);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(results[i], i == 5 ? -ENOSPC : 0);
    fixture_reopen(&f);
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(id, '') FROM device"), "01234678");
}
END_TEST

START_TEST(an_artifact_that_does_not_fit_leaves_nothing)
{
    enum { SIZE = 6 << 20 };
    struct store_batch *batch = store_batch_new();
    const struct store_artifact row = {.id = "large", .manifest = "{}", .code_size = SIZE};
    char *code = calloc(1, SIZE);
    const char *path = fixture_write(&f, "code", code, SIZE);
    struct store_stats stats;

    fixture_open(&f);
    ck_assert_int_eq(fixture_commit(&f, device_batch("a", 0)), 0);
    store_get_stats(f.store, &stats);
    limit_files((rlim_t)stats.file_bytes + (1 << 20));
    store_batch_put_artifact(batch, &row, &(struct store_part){path, fixture_digest(path)},
                             &(struct store_part){NULL, fixture_digest(NULL)});
    ck_assert_int_eq(fixture_commit(&f, batch), -ENOSPC);
    limit_files(RLIM_INFINITY);
    ck_assert_int_eq(fixture_commit(&f, device_batch("b", 0)), 0);
    batch = store_batch_new();
    fixture_reopen(&f);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM artifact"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM content"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM device"), "2");
    store_batch_put_artifact(batch, &row, &(struct store_part){path, fixture_digest(path)},
                             &(struct store_part){NULL, fixture_digest(NULL)});
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA integrity_check"), "ok");
    free(code);
}
END_TEST

static Suite *crash_suite(void)
{
    Suite *suite = suite_create("store_crash");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    tcase_add_test(all, kill_9_loses_nothing_that_was_acknowledged);
    tcase_add_test(all, a_full_disk_fails_batches_until_there_is_space);
    tcase_add_test(all, a_batch_that_does_not_fit_takes_no_other_with_it);
    tcase_add_test(all, an_artifact_that_does_not_fit_leaves_nothing);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return suite_run(crash_suite());
}
