#include "core/presence.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* What waits for devices that sleep. */

#define SLEEP_MS 60000
#define AWAKE_MS 1000

static struct core_fixture f;
static struct device *v1, *v2;
static struct sim_device *sim1, *sim2;
static const char *job;

static void sleeps(struct device *device)
{
    json_t *body = json_of("{'sleep':{'sleep_s':60,'awake_ms':1000}}");
    struct outcome outcome = {.called = false};
    struct fault fault;

    ck_assert_int_eq(core_patch_device(f.core, device, body, note_done, &outcome, &fault), 0);
    json_decref(body);
    core_flush(&f);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
    enrol(&f, device, "{}");
    ck_assert(!device_is_awake(device));
}

static void setup(void)
{
    core_setup(&f);
    f.options.presence.late_ms = f.options.presence.online_ms = 300000;
    f.options.presence.awake_ms = 5000;
    f.options.presence.failures = 2;
    core_configure(f.core, &f.options);
    v1 = add_device(&f, "one", AGENT_V1);
    v2 = add_device(&f, "two", AGENT_V2);
    sim1 = sim_device(&f.sim, "one", AGENT_V1);
    sim2 = sim_device(&f.sim, "two", AGENT_V2);
    sleeps(v1);
    sleeps(v2);
    job = add_artifact(&f, "loop()", NULL);
}

static void teardown(void)
{
    ck_assert_uint_eq(sim1->double_loads, 0);
    core_teardown(&f);
}

static void restart(void)
{
    core_restart(&f);
    v1 = core_find_device(f.core, "one");
    v2 = core_find_device(f.core, "two");
}

/* A message of its own, and all of its awake time. */
static void wakes(struct device *device)
{
    keyring_verified(f.core, keyring_of_device(device), NULL);
    core_advance(&f, AWAKE_MS + 2500);
}

static struct operation *asks(struct device *device, uint8_t method, const char *path, uint32_t ttl_ms)
{
    const struct agent_resource resource = {.method = method,
                                            .path = path,
                                            .query = "a=1",
                                            .format = 0,
                                            .accept = -1,
                                            .if_match = (const uint8_t *)"tag",
                                            .if_match_size = 3,
                                            .body = (const uint8_t *)"body",
                                            .body_size = 4};
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;

    ck_assert_msg(core_queue_request(f.core, device, &resource, ttl_ms, note_done, &outcome, &fault, &op) == 0, "%s",
                  fault.detail);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    return op;
}

static enum operation_state state_of(const char *id)
{
    return core_find_operation(f.core, id)->state;
}

/* A member of the operation's JSON as text, "null" for none. */
static const char *shown(const char *id, const char *object, const char *name)
{
    static char text[300];
    json_t *json = core_operation_json(core_find_operation(f.core, id));
    const json_t *value = json_object_get(*object ? json_object_get(json, object) : json, name);
    char *dump = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

    (void)snprintf(text, sizeof text, "%s", dump ? dump : "absent");
    free(dump);
    json_decref(json);
    return text;
}

/* Waiting ---------------------------------------------------------------------------------------------------------- */

START_TEST(nothing_is_sent_before_it_shows_up)
{
    char first[UUID_SIZE], second[UUID_SIZE];

    (void)text_copy(first, sizeof first, asks(v2, 3, "/led", 0)->id);
    (void)text_copy(second, sizeof second, asks(v2, 1, "/state", 0)->id);
    core_advance(&f, 20000);
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], 0);
    ck_assert_int_eq(state_of(first), OPERATION_QUEUED);
    ck_assert_str_eq(shown(first, "", "waiting_for"), "\"device\"");
    ck_assert_str_ne(shown(first, "", "expected_at"), "null");
    ck_assert_str_eq(shown(first, "request", "method"), "\"PUT\"");
    ck_assert_str_eq(shown(first, "request", "path"), "\"/led\"");
    wakes(v2);
    ck_assert_int_eq(state_of(first), OPERATION_SUCCEEDED);
    ck_assert_int_eq(state_of(second), OPERATION_SUCCEEDED);
    ck_assert(core_find_operation(f.core, first)->ended <= core_find_operation(f.core, second)->started);
    ck_assert_str_eq(shown(first, "", "waiting_for"), "null");
    ck_assert_str_eq(shown(first, "result", "payload"), "\"3 /led?a=1 4\"");
    ck_assert_str_eq(shown(first, "result", "status"), "200");
    ck_assert_str_eq(shown(first, "request", "query"), "\"a=1\""); /* still told afterwards */
}
END_TEST

START_TEST(what_does_not_fit_one_awake_time_goes_on_in_the_next)
{
    char ids[4][UUID_SIZE];

    f.sim.latency = 600;
    for (int i = 0; i < 4; i++)
        (void)text_copy(ids[i], UUID_SIZE, asks(v2, 3, "/led", 0)->id);
    keyring_verified(f.core, keyring_of_device(v2), NULL);
    clock_manual_advance(&f.clock, AWAKE_MS - 1); /* the answer comes when it sleeps by its own word, and wakes it */
    core_run(f.core);
    core_advance(&f, 700);
    ck_assert_uint_ge(sim2->calls[AGENT_CALL_RESOURCE], 1);
    for (int i = 0; i < 4; i++)
        wakes(v2);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(state_of(ids[i]), OPERATION_SUCCEEDED);
}
END_TEST

START_TEST(its_time_to_live_ends_and_it_can_be_cancelled)
{
    char dies[UUID_SIZE], goes[UUID_SIZE];
    struct outcome outcome = {.called = false};

    (void)text_copy(dies, sizeof dies, asks(v2, 2, "/a", 5000)->id);
    (void)text_copy(goes, sizeof goes, asks(v2, 2, "/b", 0)->id);
    ck_assert_int_eq(core_cancel_operation(f.core, core_find_operation(f.core, goes), note_done, &outcome, NULL), 0);
    ends(&f, goes, OPERATION_CANCELLED, FAULT_CANCELLED);
    ends(&f, dies, OPERATION_EXPIRED, FAULT_EXPIRED);
    wakes(v2);
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], 0);
    ck_assert_uint_eq(v2->operation_count, 0);
}
END_TEST

START_TEST(an_exchange_ends_with_the_awake_time)
{
    char id[UUID_SIZE];

    f.sim.latency = 90000; /* a device that hears nothing any more */
    (void)text_copy(id, sizeof id, asks(v2, 3, "/led", 0)->id);
    wakes(v2);
    core_advance(&f, 2000);
    ck_assert_uint_eq(sim2->cancelled, 1);
    ck_assert_ptr_null(v2->call);
    ck_assert_int_eq(state_of(id), OPERATION_RUNNING);
    ck_assert_str_eq(shown(id, "", "waiting_for"), "\"device\"");
    f.sim.latency = 20;
    wakes(v2);
    ck_assert_int_eq(state_of(id), OPERATION_SUCCEEDED);
}
END_TEST

/* One that sleeps for a moment only is awake again before its last answer is given up. */
START_TEST(what_it_slept_over_is_sent_again_when_it_wakes_up)
{
    json_t *body = json_of("{'sleep':{'sleep_s':2,'awake_ms':1000}}");
    char put_id[UUID_SIZE], post_id[UUID_SIZE];
    struct fault fault;

    ck_assert_int_eq(core_patch_device(f.core, v2, body, NULL, NULL, &fault), 0);
    ck_assert_int_eq(core_patch_device(f.core, v1, body, NULL, NULL, &fault), 0);
    json_decref(body);
    core_flush(&f);
    f.sim.latency = 90000;
    (void)text_copy(put_id, sizeof put_id, asks(v2, 3, "/led", 0)->id);
    (void)text_copy(post_id, sizeof post_id, asks(v1, 2, "/dose", 0)->id);
    for (unsigned i = 0; i < 2; i++) {
        keyring_verified(f.core, keyring_of_device(v2), NULL);
        keyring_verified(f.core, keyring_of_device(v1), NULL);
        core_advance(&f, 2000);
        ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], i + 1);
        ck_assert_uint_eq(sim1->calls[AGENT_CALL_RESOURCE], 1); /* not to be repeated: its answer may yet come */
    }
    f.sim.latency = 20;
    keyring_verified(f.core, keyring_of_device(v2), NULL);
    core_advance(&f, 200);
    ck_assert_int_eq(state_of(put_id), OPERATION_SUCCEEDED);
}
END_TEST

START_TEST(its_own_time_to_live_is_longer_than_that_of_others)
{
    const struct operation *op = asks(v2, 3, "/led", 0);

    ck_assert_int_eq(op->expires - op->created, f.options.operation_ttl_ms + 2 * 60000);
}
END_TEST

START_TEST(it_is_sent_at_once_when_it_no_longer_sleeps)
{
    const char *id = asks(v2, 3, "/led", 0)->id;
    json_t *body = json_of("{'sleep':null}");
    struct fault fault;

    ck_assert_int_eq(core_patch_device(f.core, v2, body, NULL, NULL, &fault), 0);
    json_decref(body);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

/* Lost answers ----------------------------------------------------------------------------------------------------- */

START_TEST(what_may_be_repeated_is_until_it_is_answered)
{
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, asks(v2, 3, "/led", 0)->id);
    for (unsigned i = 0; i < 5; i++) {
        sim_script(&f.sim, AGENT_CALL_RESOURCE, i % 2 ? SIM_LOSE_ANSWER : SIM_LOSE_REQUEST);
        wakes(v2);
        ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], i + 1); /* once per awake time */
        ck_assert_int_eq(state_of(id), OPERATION_RUNNING);
    }
    wakes(v2);
    ck_assert_int_eq(state_of(id), OPERATION_SUCCEEDED);
}
END_TEST

START_TEST(what_may_not_be_repeated_is_sent_once)
{
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, asks(v2, 2, "/dose", 0)->id);
    sim_script(&f.sim, AGENT_CALL_RESOURCE, SIM_UNREACHABLE); /* it did certainly not get it */
    wakes(v2);
    ck_assert_int_eq(state_of(id), OPERATION_RUNNING);
    sim_script(&f.sim, AGENT_CALL_RESOURCE, SIM_LOSE_ANSWER);
    wakes(v2);
    ends(&f, id, OPERATION_FAILED, FAULT_OUTCOME_UNKNOWN);
    wakes(v2);
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], 2);
}
END_TEST

START_TEST(a_lost_load_is_settled_over_many_sleeps)
{
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    for (int i = 0; i < 4; i++)
        sim_script(&f.sim, AGENT_CALL_STATUS, i ? SIM_LOSE_REQUEST : SIM_FINE);
    for (int i = 0; i < 12 && state_of(id) <= OPERATION_RUNNING; i++) {
        wakes(v1);
        core_advance(&f, 5000);
    }
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(one_that_is_away_is_asked_again_and_at_once_when_it_is_heard)
{
    struct device *three = add_device(&f, "three", AGENT_V2);
    struct sim_device *sim3 = sim_device(&f.sim, "three", AGENT_V2);
    char id[UUID_SIZE];

    enrol(&f, three, "{}");
    sim3->present = false;
    (void)text_copy(id, sizeof id, asks(three, 3, "/led", 600000)->id);
    core_advance(&f, 200000);
    ck_assert_uint_gt(sim3->calls[AGENT_CALL_RESOURCE], 5);
    ck_assert_uint_lt(sim3->calls[AGENT_CALL_RESOURCE], 15);
    sim3->present = true;
    keyring_verified(f.core, keyring_of_device(three), NULL);
    core_advance(&f, 100);
    ck_assert_int_eq(state_of(id), OPERATION_SUCCEEDED);
}
END_TEST

/* Restarts --------------------------------------------------------------------------------------------------------- */

START_TEST(requests_survive_a_restart)
{
    char put_id[UUID_SIZE], post_id[UUID_SIZE];

    (void)text_copy(put_id, sizeof put_id, asks(v2, 3, "/led", 0)->id);
    (void)text_copy(post_id, sizeof post_id, asks(v2, 2, "/dose", 0)->id);
    restart();
    core_advance(&f, 10000);
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], 0); /* nobody is awake because a table says so */
    wakes(v2);
    ck_assert_int_eq(state_of(put_id), OPERATION_SUCCEEDED);
    ck_assert_int_eq(state_of(post_id), OPERATION_SUCCEEDED);
    ck_assert_str_eq(shown(post_id, "result", "payload"), "\"2 /dose?a=1 4\"");
    restart();
    ck_assert_str_eq(shown(post_id, "request", "path"), "\"/dose\"");
    ck_assert_str_eq(shown(post_id, "result", "coap_code"), "\"2.05\"");
}
END_TEST

START_TEST(after_a_restart_what_was_under_way_is_repeated_or_unknown)
{
    char put_id[UUID_SIZE], post_id[UUID_SIZE];

    f.sim.latency = 90000;
    (void)text_copy(put_id, sizeof put_id, asks(v2, 3, "/led", 0)->id);
    (void)text_copy(post_id, sizeof post_id, asks(v1, 2, "/dose", 0)->id);
    keyring_verified(f.core, keyring_of_device(v1), NULL);
    keyring_verified(f.core, keyring_of_device(v2), NULL);
    core_advance(&f, 100);
    ck_assert(v1->call && v2->call);
    restart();
    f.sim.latency = 20;
    wakes(v1);
    wakes(v2);
    ends(&f, put_id, OPERATION_SUCCEEDED, FAULT_NONE);
    ends(&f, post_id, OPERATION_FAILED, FAULT_OUTCOME_UNKNOWN);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_RESOURCE], 1);
}
END_TEST

START_TEST(what_was_written_down_and_not_sent_is_sent_after_a_stop)
{
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, asks(v2, 2, "/dose", 0)->id);
    keyring_verified(f.core, keyring_of_device(v2), NULL);
    core_run(f.core);                             /* writes that it sends */
    clock_manual_advance(&f.clock, AWAKE_MS + 1); /* and the disk takes too long */
    core_flush(&f);
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], 0);
    restart();
    wakes(v2);
    ck_assert_int_eq(state_of(id), OPERATION_SUCCEEDED);
}
END_TEST

/* Bounds ----------------------------------------------------------------------------------------------------------- */

static enum fault_code refused(struct device *device, const struct agent_resource *resource)
{
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;

    ck_assert_int_eq(core_queue_request(f.core, device, resource, 0, NULL, NULL, &fault, &op), 1);
    return fault.code;
}

START_TEST(the_queues_are_bounded)
{
    static const uint8_t large[REQUEST_BODY_MAX + 1];
    const struct agent_resource resource = {.method = 3, .path = "/x", .format = -1, .accept = -1};
    struct agent_resource too_large = resource;

    too_large.body = large;
    too_large.body_size = sizeof large;
    ck_assert_int_eq(refused(v2, &too_large), FAULT_BODY_TOO_LARGE);
    for (unsigned i = 0; i < f.options.max_queue_per_device; i++)
        (void)asks(v2, 3, "/x", 0);
    ck_assert_int_eq(refused(v2, &resource), FAULT_QUEUE_FULL);
    (void)asks(v1, 3, "/x", 0);
    f.options.max_operations = f.options.max_queue_per_device + 1;
    core_configure(f.core, &f.options);
    ck_assert_int_eq(refused(v1, &resource), FAULT_QUEUE_FULL);
    wakes(v2);
    (void)asks(v1, 3, "/x", 0);
}
END_TEST

START_TEST(changes_need_credentials_and_reads_do_not)
{
    struct device *bare = add_device(&f, "bare", AGENT_V2);
    struct agent_resource resource = {.method = 3, .path = "/x", .format = -1, .accept = -1};

    f.options.allow_plain_groups = "";
    core_configure(f.core, &f.options);
    ck_assert_int_eq(refused(bare, &resource), FAULT_CREDENTIALS_REQUIRED);
    ends(&f, asks(bare, 1, "/x", 0)->id, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

/* Queries ---------------------------------------------------------------------------------------------------------- */

struct got {
    unsigned calls;
    enum fault_code code;
};

static void note_answer(void *arg, const struct core_resource_result *result)
{
    struct got *got = arg;

    got->calls++;
    got->code = result->fault.code;
}

START_TEST(a_read_waits_as_long_as_its_caller)
{
    const struct agent_resource resource = {.method = 1, .path = "/x", .format = -1, .accept = -1};
    struct got short_wait = {.calls = 0}, long_wait = {.calls = 0};
    struct fault fault = {.code = FAULT_NONE};

    ck_assert_int_eq(core_check_awake(v2, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_DEVICE_ASLEEP);
    ck_assert_ptr_nonnull(strstr(fault.detail, "expected at 2026-"));
    ck_assert_int_eq(core_request_resource(f.core, v2, &resource, 500, note_answer, &short_wait, &fault), 0);
    ck_assert_int_eq(core_request_resource(f.core, v2, &resource, 50000, note_answer, &long_wait, &fault), 0);
    core_advance(&f, 1000);
    ck_assert(short_wait.calls == 1 && short_wait.code == FAULT_DEVICE_ASLEEP);
    ck_assert_uint_eq(long_wait.calls, 0);
    wakes(v2);
    ck_assert(long_wait.calls == 1 && long_wait.code == FAULT_NONE);
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_RESOURCE], 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_sleep");
    TCase *tcase = suite_add_case(suite, "sleep", setup, teardown);

    tcase_add_test(tcase, nothing_is_sent_before_it_shows_up);
    tcase_add_test(tcase, what_does_not_fit_one_awake_time_goes_on_in_the_next);
    tcase_add_test(tcase, its_time_to_live_ends_and_it_can_be_cancelled);
    tcase_add_test(tcase, an_exchange_ends_with_the_awake_time);
    tcase_add_test(tcase, what_it_slept_over_is_sent_again_when_it_wakes_up);
    tcase_add_test(tcase, its_own_time_to_live_is_longer_than_that_of_others);
    tcase_add_test(tcase, it_is_sent_at_once_when_it_no_longer_sleeps);
    tcase_add_test(tcase, what_may_be_repeated_is_until_it_is_answered);
    tcase_add_test(tcase, what_may_not_be_repeated_is_sent_once);
    tcase_add_test(tcase, a_lost_load_is_settled_over_many_sleeps);
    tcase_add_test(tcase, one_that_is_away_is_asked_again_and_at_once_when_it_is_heard);
    tcase_add_test(tcase, requests_survive_a_restart);
    tcase_add_test(tcase, after_a_restart_what_was_under_way_is_repeated_or_unknown);
    tcase_add_test(tcase, what_was_written_down_and_not_sent_is_sent_after_a_stop);
    tcase_add_test(tcase, the_queues_are_bounded);
    tcase_add_test(tcase, changes_need_credentials_and_reads_do_not);
    tcase_add_test(tcase, a_read_waits_as_long_as_its_caller);
    return suite_run(suite);
}
