#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct fixture f;

static void setup(void)
{
    fixture_setup(&f);
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

static int reject(void *arg, const void *row)
{
    (void)row;
    ++*(int *)arg;
    return 7;
}

/* Round trips: every member of every row, with NULL and without, as a whole and after an update. ------------------- */

static const struct store_device full_device = {
    .id = "box-1",
    .name = "Kühlbox \"eins\"",
    .address = "coap://[fd00::1]:5683",
    .agent = "v1",
    .agent_version = "0.3",
    .reported_id = "RIOT-\\x00",
    .agent_configured = true,
    .pdu_size = 1204,
    .slots = UINT32_MAX,
    .runtimes = 6,
    .package_max = 65536,
    .caps_configured = 15,
    .created = 1700000000000,
    .updated = 1700000000001,
    .last_seen = INT64_MAX,
    .revision = UINT64_MAX,
};
static const struct store_device bare_device = {.id = "a", .name = NULL, .address = "", .agent = "unknown"};

static void check_text(const char *name, const char *got, const char *expected)
{
    ck_assert_msg((got == NULL) == (expected == NULL), "%s: %s, not %s", name, got ? got : "NULL",
                  expected ? expected : "NULL");
    if (got)
        ck_assert_str_eq(got, expected);
}

#define SAME_TEXT(member) check_text(#member, row->member, expected->member)
#define SAME(member) ck_assert_msg(row->member == expected->member, "%s differs", #member)

static int check_device(void *arg, const struct store_device *row)
{
    int *count = arg;
    const struct store_device *expected = *count == 0 ? &bare_device : &full_device;

    ++*count;
    SAME_TEXT(id), SAME_TEXT(name), SAME_TEXT(address), SAME_TEXT(agent), SAME_TEXT(agent_version);
    SAME_TEXT(reported_id), SAME(agent_configured), SAME(pdu_size), SAME(slots), SAME(runtimes), SAME(package_max);
    SAME(caps_configured), SAME(created), SAME(updated), SAME(last_seen), SAME(revision);
    return 0;
}

static const struct store_artifact full_artifact = {
    .id = "00ff", .name = "door", .manifest = "{\"type\":\"wasm\"}", .code_size = 5, .data_size = 3, .created = 12};
static const struct store_artifact bare_artifact = {.id = "0000", .manifest = "{}"};

static int check_artifact(void *arg, const struct store_artifact *row)
{
    int *count = arg;
    const struct store_artifact *expected = *count == 0 ? &bare_artifact : &full_artifact;

    ++*count;
    SAME_TEXT(id), SAME_TEXT(name), SAME_TEXT(manifest), SAME(code_size), SAME(data_size), SAME(created);
    return 0;
}

static const struct store_container full_container = {
    .device = "box-1",
    .uid = "door",
    .desired_state = "running",
    .desired_artifact = "00ff",
    .reported_state = "failed",
    .reported_artifact = "11ff",
    .load = "sent",
    .fault = "no-slot",
    .fault_detail = "all 4 slots are taken",
    .created = 1,
    .updated = 2,
    .reported = 3,
    .revision = 4,
};
static const struct store_container bare_container = {
    .device = "a", .uid = "z", .desired_state = "absent", .reported_state = "unknown", .load = "none"};

static int check_container(void *arg, const struct store_container *row)
{
    int *count = arg;
    const struct store_container *expected = *count == 0 ? &bare_container : &full_container;

    ++*count;
    SAME_TEXT(device), SAME_TEXT(uid), SAME_TEXT(desired_state), SAME_TEXT(desired_artifact);
    SAME_TEXT(reported_state), SAME_TEXT(reported_artifact), SAME_TEXT(load), SAME_TEXT(fault);
    SAME_TEXT(fault_detail), SAME(created), SAME(updated), SAME(reported), SAME(revision);
    return 0;
}

static const struct store_operation full_operation = {
    .id = "2",
    .kind = "deploy",
    .state = "failed",
    .device = "box-1",
    .uid = "door",
    .artifact = "00ff",
    .step = "loading",
    .fault = "device-timeout",
    .fault_detail = "no answer in 30 s",
    .result = "{}",
    .created = 5,
    .started = 6,
    .ended = 7,
    .expires = 8,
};
static const struct store_operation bare_operation = {.id = "1", .kind = "probe", .state = "queued", .device = "a"};

static int check_operation(void *arg, const struct store_operation *row)
{
    int *count = arg;
    const struct store_operation *expected = *count == 0 ? &bare_operation : &full_operation;

    ++*count;
    SAME_TEXT(id), SAME_TEXT(kind), SAME_TEXT(state), SAME_TEXT(device), SAME_TEXT(uid), SAME_TEXT(artifact);
    SAME_TEXT(step), SAME_TEXT(fault), SAME_TEXT(fault_detail), SAME_TEXT(result), SAME(created), SAME(started);
    SAME(ended), SAME(expires);
    return 0;
}

static const struct store_answer full_answer = {
    .key = "a", .digest = "d1", .status = 201, .location = "/v1/devices/a", .body = "{}", .created = 100};
static const struct store_answer bare_answer = {.key = "b", .digest = "d2", .status = -1, .created = 99};

static int check_answer(void *arg, const struct store_answer *row)
{
    int *count = arg;
    const struct store_answer *expected = *count == 0 ? &bare_answer : &full_answer; /* by time, not by key */

    ++*count;
    SAME_TEXT(key), SAME_TEXT(digest), SAME(status), SAME_TEXT(location), SAME_TEXT(body), SAME(created);
    return 0;
}

static void put_all(struct store_batch *batch)
{
    const char *code = fixture_write(&f, "code", "\0asm\1", 5), *data = fixture_write(&f, "data", "abc", 3);

    store_batch_put_device(batch, &full_device);
    store_batch_put_device(batch, &bare_device);
    store_batch_put_artifact(batch, &full_artifact, &(struct store_part){code, fixture_digest(code)},
                             &(struct store_part){data, fixture_digest(data)});
    store_batch_put_artifact(batch, &bare_artifact, &(struct store_part){NULL, fixture_digest(NULL)},
                             &(struct store_part){NULL, fixture_digest(NULL)});
    store_batch_put_container(batch, &full_container);
    store_batch_put_container(batch, &bare_container);
    store_batch_put_operation(batch, &full_operation);
    store_batch_put_operation(batch, &bare_operation);
    store_batch_put_answer(batch, &full_answer);
    store_batch_put_answer(batch, &bare_answer);
}

static void check_all(void)
{
    int count = 0;

    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.device = check_device, .arg = &count}), 0);
    ck_assert_int_eq(count, 2);
    count = 0;
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.artifact = check_artifact, .arg = &count}), 0);
    ck_assert_int_eq(count, 2);
    count = 0;
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.container = check_container, .arg = &count}), 0);
    ck_assert_int_eq(count, 2);
    count = 0;
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.operation = check_operation, .arg = &count}), 0);
    ck_assert_int_eq(count, 2);
    count = 0;
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.answer = check_answer, .arg = &count}), 0);
    ck_assert_int_eq(count, 2);
}

START_TEST(rows_come_back_as_they_were_put)
{
    struct store_batch *batch = store_batch_new();

    put_all(batch);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    fixture_reopen(&f);
    check_all();
}
END_TEST

START_TEST(rows_are_replaced_as_a_whole)
{
    struct store_batch *batch = store_batch_new();
    struct store_device device = full_device;
    struct store_container container = full_container;
    struct store_operation operation = full_operation;
    struct store_answer answer = full_answer;

    device.agent_version = NULL;
    device.slots = 1;
    container.desired_state = "stopped";
    operation.result = NULL;
    answer.status = 500;
    store_batch_put_device(batch, &device);
    store_batch_put_container(batch, &container);
    store_batch_put_operation(batch, &operation);
    store_batch_put_answer(batch, &answer);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    batch = store_batch_new();
    put_all(batch);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    fixture_reopen(&f);
    check_all();
}
END_TEST

START_TEST(rows_are_copied_when_they_are_put)
{
    struct store_batch *batch = store_batch_new();
    char id[] = "before";
    struct store_device device = fixture_device(id);

    store_batch_put_device(batch, &device);
    memcpy(id, "after!", sizeof id);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT id FROM device"), "before");
}
END_TEST

START_TEST(a_long_row_is_kept_whole)
{
    struct store_batch *batch = store_batch_new();
    char *body = malloc(100001);
    struct store_answer answer = {.key = "k", .digest = "d", .status = 200, .body = body, .created = 1};

    memset(body, 'x', 100000);
    body[100000] = 0;
    store_batch_put_answer(batch, &answer);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT length(body) FROM answer"), "100000");
    free(body);
}
END_TEST

START_TEST(deletes_take_what_belongs_to_the_record)
{
    struct store_batch *batch = store_batch_new();
    struct fixture_count count;

    put_all(batch);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    batch = store_batch_new();
    store_batch_delete_device(batch, "box-1");
    store_batch_delete_artifact(batch, "00ff");
    store_batch_delete_answers_before(batch, 100);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    fixture_reopen(&f);
    count = fixture_count(&f);
    ck_assert_int_eq(count.devices, 1);
    ck_assert_int_eq(count.containers, 1);
    ck_assert_int_eq(count.operations, 1);
    ck_assert_int_eq(count.artifacts, 1);
    ck_assert_int_eq(count.answers, 1);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM holding"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT key FROM answer"), "a");
}
END_TEST

START_TEST(single_records_are_deleted)
{
    struct store_batch *batch = store_batch_new();
    struct fixture_count count;

    put_all(batch);
    store_batch_delete_container(batch, "box-1", "door");
    store_batch_delete_container(batch, "box-1", "no such uid");
    store_batch_delete_operation(batch, "2");
    store_batch_delete_operation(batch, "no such id");
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    fixture_reopen(&f);
    count = fixture_count(&f);
    ck_assert_int_eq(count.containers, 1);
    ck_assert_int_eq(count.operations, 1);
    ck_assert_int_eq(count.devices, 2);
}
END_TEST

static int stop_at_device(void *arg, const struct store_device *row)
{
    return reject(arg, row);
}

START_TEST(loading_stops_at_a_callback_that_says_so)
{
    struct store_batch *batch = store_batch_new();
    int calls = 0;

    put_all(batch);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    fixture_reopen(&f);
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.device = stop_at_device, .arg = &calls}), 7);
    ck_assert_int_eq(calls, 1);
}
END_TEST

/* Batches --------------------------------------------------------------------------------------------------------- */

struct call {
    int *counter;
    int position; /* of the callback among all */
    int result;
    pthread_t thread;
};

static void note_call(void *arg, int result)
{
    struct call *call = arg;

    call->position = ++*call->counter;
    call->result = result;
    call->thread = pthread_self();
}

START_TEST(callbacks_come_in_order_on_the_dispatching_thread)
{
    enum { COUNT = 1000 };
    static struct call calls[COUNT];
    int counter = 0;

    for (int i = 0; i < COUNT; i++) {
        struct store_batch *batch = store_batch_new();
        struct store_device device = fixture_device("one");

        device.revision = (uint64_t)i;
        store_batch_put_device(batch, &device);
        calls[i] = (struct call){.counter = &counter};
        store_submit(f.store, batch, note_call, &calls[i]);
    }
    ck_assert_int_eq(counter, 0);
    store_flush(f.store);
    ck_assert_int_eq(counter, COUNT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(calls[i].position, i + 1);
        ck_assert_int_eq(calls[i].result, 0);
        ck_assert(pthread_equal(calls[i].thread, pthread_self()));
    }
    ck_assert_str_eq(fixture_query(&f, "SELECT revision FROM device"), "999");
}
END_TEST

static struct store_batch *device_batch(const char *id)
{
    struct store_batch *batch = store_batch_new();
    struct store_device device = fixture_device(id);

    store_batch_put_device(batch, &device);
    return batch;
}

/* A batch whose second change cannot be applied (NULL in a column that may not be). */
static struct store_batch *bad_batch(const char *id)
{
    struct store_batch *batch = device_batch(id);
    struct store_container container = fixture_container(id, "uid");

    container.load = NULL;
    store_batch_put_container(batch, &container);
    return batch;
}

START_TEST(a_batch_that_fails_leaves_nothing_and_takes_no_other_with_it)
{
    struct call calls[5];
    struct store_stats stats;
    int counter = 0;

    for (int i = 0; i < 5; i++)
        calls[i] = (struct call){.counter = &counter};
    store_submit(f.store, device_batch("a"), note_call, &calls[0]);
    store_submit(f.store, bad_batch("b"), note_call, &calls[1]);
    store_submit(f.store, device_batch("c"), note_call, &calls[2]);
    store_submit(f.store, bad_batch("d"), note_call, &calls[3]);
    store_submit(f.store, device_batch("e"), note_call, &calls[4]);
    store_flush(f.store);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(calls[i].position, i + 1);
        ck_assert_int_eq(calls[i].result, i % 2 ? -EIO : 0);
    }
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(id, '') FROM device"), "ace");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM container"), "0");
    store_get_stats(f.store, &stats);
    ck_assert_uint_eq(stats.batches, 5);
    ck_assert_uint_eq(stats.pending, 0);
    ck_assert_uint_ge(stats.commits, 1);
    ck_assert_uint_gt(stats.file_bytes, 4096);
    ck_assert_int_eq(stats.schema_version, 5);
}
END_TEST

START_TEST(an_empty_batch_and_one_without_callback_are_fine)
{
    ck_assert_int_eq(fixture_commit(&f, store_batch_new()), 0);
    store_submit(f.store, device_batch("a"), NULL, NULL);
    store_flush(f.store);
    ck_assert_str_eq(fixture_query(&f, "SELECT id FROM device"), "a");
    ck_assert_ptr_null(store_batch_free(device_batch("never submitted")));
    ck_assert_ptr_null(store_batch_free(NULL));
    ck_assert_ptr_null(store_close(NULL));
}
END_TEST

struct chain {
    struct call call;
    int left;
};

static void submit_next(void *arg, int result)
{
    struct chain *chain = arg;

    note_call(&chain->call, result);
    if (--chain->left > 0)
        store_submit(f.store, device_batch("a"), submit_next, chain);
    store_flush(f.store); /* within a callback: the order has to hold */
}

START_TEST(callbacks_may_submit_and_flush)
{
    int counter = 0;
    struct chain chain = {.call.counter = &counter, .left = 5};
    struct call last = {.counter = &counter};

    store_submit(f.store, device_batch("a"), submit_next, &chain);
    store_submit(f.store, device_batch("b"), note_call, &last);
    for (int i = 0; i < 6 && counter < 6; i++)
        store_flush(f.store);
    ck_assert_int_eq(counter, 6);
    ck_assert_int_eq(last.position, 2);
}
END_TEST

START_TEST(close_commits_what_was_submitted_and_calls_nobody)
{
    int counter = 0;
    struct call call = {.counter = &counter};

    for (int i = 0; i < 600; i++) {
        char id[8];

        (void)snprintf(id, sizeof id, "%d", i);
        store_submit(f.store, device_batch(id), note_call, &call);
    }
    fixture_reopen(&f);
    ck_assert_int_eq(counter, 0);
    ck_assert_int_eq(fixture_count(&f).devices, 600);
}
END_TEST

static void count_wake(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

START_TEST(wake_comes_before_dispatch_has_something_to_do)
{
    atomic_int wakes = 0;
    const struct store_options options = {
        .directory = f.directory, .synchronous = 1, .cache_bytes = 65536, .wake = count_wake, .wake_arg = &wakes};
    char reason[256];
    int counter = 0;
    struct call call = {.counter = &counter};

    fixture_close(&f);
    ck_assert_int_eq(store_open(&f.store, &options, reason, sizeof reason), 0);
    store_dispatch(f.store);
    ck_assert_int_eq(atomic_load(&wakes), 0);
    store_submit(f.store, device_batch("a"), note_call, &call);
    while (atomic_load(&wakes) == 0)
        (void)usleep(1000);
    ck_assert_int_eq(counter, 0);
    store_dispatch(f.store);
    ck_assert_int_eq(counter, 1);
    ck_assert_int_eq(call.result, 0);
}
END_TEST

static Suite *store_suite(void)
{
    Suite *suite = suite_create("store");
    TCase *rows = tcase_create("rows"), *batches = tcase_create("batches");

    tcase_add_checked_fixture(rows, setup, teardown);
    tcase_add_test(rows, rows_come_back_as_they_were_put);
    tcase_add_test(rows, rows_are_replaced_as_a_whole);
    tcase_add_test(rows, rows_are_copied_when_they_are_put);
    tcase_add_test(rows, a_long_row_is_kept_whole);
    tcase_add_test(rows, deletes_take_what_belongs_to_the_record);
    tcase_add_test(rows, single_records_are_deleted);
    tcase_add_test(rows, loading_stops_at_a_callback_that_says_so);
    suite_add_tcase(suite, rows);
    tcase_add_checked_fixture(batches, setup, teardown);
    tcase_set_timeout(batches, 60);
    tcase_add_test(batches, callbacks_come_in_order_on_the_dispatching_thread);
    tcase_add_test(batches, a_batch_that_fails_leaves_nothing_and_takes_no_other_with_it);
    tcase_add_test(batches, an_empty_batch_and_one_without_callback_are_fine);
    tcase_add_test(batches, callbacks_may_submit_and_flush);
    tcase_add_test(batches, close_commits_what_was_submitted_and_calls_nobody);
    tcase_add_test(batches, wake_comes_before_dispatch_has_something_to_do);
    suite_add_tcase(suite, batches);
    return suite;
}

int main(void)
{
    return suite_run(store_suite());
}
