#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Questions to devices: shared, bounded in time, between operations; and what is shown of the answers. */

static struct core_fixture f;
static struct device *v1, *v2;
static struct sim_device *sim1, *sim2;
static const char *job;

static void setup(void)
{
    core_setup(&f);
    v1 = add_device(&f, "one", AGENT_V1);
    v2 = add_device(&f, "two", AGENT_V2);
    sim1 = sim_device(&f.sim, "one", AGENT_V1);
    sim2 = sim_device(&f.sim, "two", AGENT_V2);
    job = add_artifact(&f, "loop()", NULL);
}

static void teardown(void)
{
    ck_assert_uint_eq(sim1->double_loads, 0);
    core_teardown(&f);
}

struct query_note {
    unsigned called;
    enum fault_code code;
    enum container_state reported;
    char log[16];
};

static void note_query(void *arg, const struct core_query_result *result)
{
    struct query_note *note = arg;

    note->called++;
    note->code = result->fault.code;
    note->reported = result->container ? result->container->reported : CONTAINER_STATE_COUNT;
    if (result->log)
        memcpy(note->log, result->log, result->log_size);
}

static void query(struct device *device, enum core_query_kind kind, uint32_t timeout_ms, struct query_note *note)
{
    struct fault fault = {.code = FAULT_NONE};

    ck_assert_msg(core_query_container(f.core, core_find_container(device, "job"), kind, timeout_ms, note_query, note,
                                       &fault) == 0,
                  "%s", fault.detail);
    ck_assert_uint_eq(note->called, 0);
}

START_TEST(queries_share_a_call)
{
    struct query_note notes[5] = {{0}};
    unsigned before;

    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    before = sim2->calls[AGENT_CALL_STATUS];
    sim_find(sim2, "job")->state = CONTAINER_FAILED;
    for (size_t i = 0; i < 4; i++)
        query(v2, CORE_QUERY_STATUS, 1000, &notes[i]);
    query(v2, CORE_QUERY_LOG, 1000, &notes[4]);
    core_advance(&f, 100);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(notes[i].called, 1);
        ck_assert_int_eq(notes[i].code, FAULT_NONE);
    }
    ck_assert_int_eq(notes[3].reported, CONTAINER_FAILED);
    ck_assert_str_eq(notes[4].log, "line\n");
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_STATUS], before + 1);
    core_restart(&f);
    ck_assert_int_eq(core_find_container(core_find_device(f.core, "two"), "job")->reported, CONTAINER_FAILED);
}
END_TEST

START_TEST(queries_fail)
{
    struct query_note lost = {0}, garbage = {0}, late = {0}, removed = {0}, stopping = {0}, again = {0};
    struct fault fault;

    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_eq(
        core_query_container(f.core, core_find_container(v1, "job"), CORE_QUERY_LOG, 1, note_query, &lost, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_AGENT_UNSUPPORTED);
    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_LOSE_ANSWER);
    query(v2, CORE_QUERY_STATUS, 60000, &lost);
    core_advance(&f, 2100);
    ck_assert_int_eq(lost.code, FAULT_DEVICE_TIMEOUT);
    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_GARBAGE);
    query(v2, CORE_QUERY_STATUS, 60000, &garbage);
    core_advance(&f, 100);
    ck_assert_int_eq(garbage.code, FAULT_DEVICE_ANSWER);
    ck_assert_int_eq(garbage.reported, CONTAINER_RUNNING);
    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_LOSE_ANSWER);
    query(v2, CORE_QUERY_STATUS, 100, &late);
    core_advance(&f, 200);
    ck_assert_int_eq(late.code, FAULT_DEVICE_TIMEOUT);
    ck_assert_uint_eq(sim2->cancelled, 1); /* nobody waits: the device is free again */
    query(v2, CORE_QUERY_STATUS, 100, &again);
    core_advance(&f, 100);
    ck_assert_int_eq(again.code, FAULT_NONE);
    query(v2, CORE_QUERY_STATUS, 1000, &removed);
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(v2, "job"), NULL, NULL, NULL), 0);
    core_flush(&f);
    core_advance(&f, 50);
    ck_assert_uint_eq(removed.called, 1);
    ck_assert_int_eq(removed.code, FAULT_NOT_FOUND);
    query(v1, CORE_QUERY_STATUS, 1000, &stopping);
    core_stop(f.core);
    ck_assert_int_eq(stopping.code, FAULT_SHUTTING_DOWN);
    ck_assert_int_eq(
        core_query_container(f.core, core_find_container(v1, "job"), CORE_QUERY_STATUS, 1, note_query, &lost, &fault),
        1);
    ck_assert_int_eq(fault.code, FAULT_SHUTTING_DOWN);
}
END_TEST

/* A query while a start is being verified neither blocks nor believes too early. */
START_TEST(queries_go_between)
{
    struct query_note note = {0};
    char id[UUID_SIZE];

    sim1->starts_die = true;
    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    core_advance(&f, 70); /* started, waits for verification */
    ck_assert_int_eq(core_find_container(v1, "job")->reported, CONTAINER_STARTING);
    query(v1, CORE_QUERY_STATUS, 1000, &note);
    core_advance(&f, 25);
    ck_assert_uint_eq(note.called, 1);
    ck_assert_int_eq(note.reported, CONTAINER_STARTING);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_RUNNING);
    ends(&f, id, OPERATION_FAILED, FAULT_STOPPED_EARLY);
}
END_TEST

static void ask_again(void *arg, const struct core_query_result *result)
{
    unsigned *count = arg;

    if (++*count < 200 && result->fault.code == FAULT_NONE)
        ck_assert_int_eq(
            core_query_container(f.core, result->container, CORE_QUERY_STATUS, 60000, ask_again, arg, NULL), 0);
}

START_TEST(queries_do_not_starve_operations)
{
    unsigned count = 0;
    struct operation *op;

    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_eq(
        core_query_container(f.core, core_find_container(v2, "job"), CORE_QUERY_STATUS, 60000, ask_again, &count, NULL),
        0);
    op = act(&f, v2, "job", OPERATION_STOP);
    core_advance(&f, 100);
    ck_assert_int_eq(op->state, OPERATION_SUCCEEDED);
    ck_assert_uint_lt(count, 10);
    core_advance(&f, 10000);
    ck_assert_uint_eq(count, 200);
}
END_TEST

START_TEST(v1_state_by_queries)
{
    struct query_note note = {0};
    struct container *c;

    ends(&f, put(&f, v1, "job", job, "stopped")->id, OPERATION_SUCCEEDED, FAULT_NONE);
    c = core_find_container(v1, "job");
    query(v1, CORE_QUERY_STATUS, 1000, &note);
    core_advance(&f, 50);
    ck_assert_int_eq(note.reported, CONTAINER_INSTALLED);
    ck_assert_int_eq(c->reported_at, f.clock.wall - 30);
    sim_find(sim1, "job")->state = CONTAINER_RUNNING;
    note.called = 0;
    query(v1, CORE_QUERY_STATUS, 1000, &note);
    core_advance(&f, 50);
    ck_assert_int_eq(note.reported, CONTAINER_RUNNING);
    sim_restart(sim1);
    note.called = 0;
    query(v1, CORE_QUERY_STATUS, 1000, &note);
    core_advance(&f, 50);
    ck_assert_int_eq(note.reported, CONTAINER_STOPPED); /* or gone: it does not tell */
    ck_assert_int_eq(c->load, LOAD_DONE);
}
END_TEST

/* Rendering of what the queries change: kept, but never stale. */
START_TEST(rendering_is_kept_and_true)
{
    struct query_note note = {0};
    struct container *c;
    const char *first, *second;
    char at[RFC3339_SIZE];
    size_t size;
    json_t *json;

    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    c = core_find_container(v2, "job");
    first = core_render_container(c, &size);
    ck_assert_uint_eq(size, strlen(first));
    core_advance(&f, 5000);
    query(v2, CORE_QUERY_STATUS, 1000, &note);
    core_advance(&f, 50);
    second = core_render_container(c, &size);
    ck_assert_ptr_eq(first, second);
    json = json_loads(second, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "reported"), "at")),
                     clock_format_rfc3339(c->reported_at, at));
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "reported"), "state")), "running");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "desired"), "artifact")), job);
    ck_assert(json_is_null(json_object_get(json, "error")));
    ck_assert_uint_eq(json_object_size(json), 9);
    json_decref(json);
    (void)act(&f, v2, "job", OPERATION_STOP); /* of the same artifact: only the desired state changes */
    json = json_loads(core_render_container(c, &size), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "desired"), "state")), "stopped");
    json_decref(json);
    json = json_loads(core_render_device(v2, &size), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json, "last_seen_at")), clock_format_rfc3339(v2->last_seen, at));
    ck_assert_int_eq(json_integer_value(json_object_get(json, "containers")), 1);
    ck_assert_uint_eq(json_object_size(json), 22);
    json_decref(json);
}
END_TEST

static void note_end(void *arg, struct operation *op)
{
    *(enum operation_state *)arg = op->state;
}

START_TEST(device_removal_takes_all_with_it)
{
    enum operation_state state = OPERATION_STATE_COUNT;
    struct query_note note = {0};
    struct outcome outcome = {.called = false};
    struct operation *op;

    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    op = put(&f, v1, "more", job, "running");
    ck_assert_ptr_nonnull(core_watch_operation(f.core, op, note_end, &state));
    core_advance(&f, 5);
    query(v1, CORE_QUERY_STATUS, 1000, &note);
    ck_assert_int_eq(core_remove_device(f.core, v1, note_done, &outcome, NULL), 0);
    ck_assert_ptr_null(core_find_device(f.core, "one"));
    core_flush(&f);
    ck_assert(outcome.called);
    ck_assert_int_eq(state, OPERATION_CANCELLED);
    ck_assert_int_eq(note.code, FAULT_NOT_FOUND);
    ck_assert_uint_eq(core_find_artifact(f.core, job)->users, 0);
    core_advance(&f, 1000);
    core_restart(&f);
    ck_assert_ptr_null(core_find_device(f.core, "one"));
    ck_assert_uint_eq(core_list_operations(f.core, NULL, NULL, &op, 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_query");
    TCase *tc = suite_add_case(suite, "query", setup, teardown);

    tcase_add_test(tc, queries_share_a_call);
    tcase_add_test(tc, queries_fail);
    tcase_add_test(tc, queries_go_between);
    tcase_add_test(tc, queries_do_not_starve_operations);
    tcase_add_test(tc, v1_state_by_queries);
    tcase_add_test(tc, rendering_is_kept_and_true);
    tcase_add_test(tc, device_removal_takes_all_with_it);
    return suite_run(suite);
}
