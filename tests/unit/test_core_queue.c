#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* What waits: time to live, cancel, queues, watchers, pruning. */

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

/* Time to live ---------------------------------------------------------------------------------------------------- */

static struct operation *put_ttl(const char *uid, uint32_t ttl_ms)
{
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;

    ck_assert_msg(core_put_container(f.core, v1, uid, body, ttl_ms, NULL, NULL, &fault, &op) == 0, "%s", fault.detail);
    json_decref(body);
    core_flush(&f);
    return op;
}

START_TEST(expires_in_a_call)
{
    const struct operation *op = put_ttl("job", 1000);

    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    ends(&f, op->id, OPERATION_EXPIRED, FAULT_EXPIRED);
    ck_assert_ptr_nonnull(strstr(op->fault.detail, "loaded"));
    ck_assert_uint_eq(sim1->cancelled, 1);
    ck_assert_int_eq(core_find_container(v1, "job")->load, LOAD_SENT);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(expires_in_the_queue)
{
    char ahead[UUID_SIZE], id[UUID_SIZE];

    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_LOSE_ANSWER);
    (void)text_copy(ahead, sizeof ahead, put_ttl("ahead", 0)->id);
    (void)text_copy(id, sizeof id, put_ttl("job", 1000)->id);
    ends(&f, id, OPERATION_EXPIRED, FAULT_EXPIRED);
    ends(&f, ahead, OPERATION_FAILED, FAULT_DEVICE_TIMEOUT);
    ck_assert_int_eq(core_find_container(v1, "job")->load, LOAD_NONE);
}
END_TEST

START_TEST(expires_while_the_gateway_is_down)
{
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, put_ttl("job", 5000)->id);
    core_advance(&f, 5);
    f.core = core_free(f.core);
    f.clock.monotonic = 7; /* the machine started anew */
    f.clock.wall += 6000;
    f.store = store_close(f.store);
    core_restart(&f);
    v1 = core_find_device(f.core, "one");
    ends(&f, id, OPERATION_EXPIRED, FAULT_EXPIRED);
    ck_assert_uint_eq(sim1->loads, 0);
}
END_TEST

START_TEST(clock_that_was_set_back_gives_no_endless_life)
{
    char id[UUID_SIZE];

    sim1->present = false;
    (void)text_copy(id, sizeof id, put_ttl("job", 5000)->id);
    f.clock.wall = 0;
    core_restart(&f);
    ck_assert_int_le(core_find_operation(f.core, id)->deadline - f.clock.monotonic, f.options.operation_ttl_max_ms);
}
END_TEST

START_TEST(time_to_live_has_a_limit)
{
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;

    ck_assert_int_eq(core_put_container(f.core, v1, "job", body, 600001, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_INVALID_PARAMETER);
    ck_assert_ptr_null(core_find_container(v1, "job"));
    ck_assert_uint_eq(v1->operation_count, 0);
    json_decref(body);
}
END_TEST

/* Cancel ---------------------------------------------------------------------------------------------------------- */

static void cancel(const char *id)
{
    struct outcome outcome = {.called = false};

    ck_assert_int_eq(core_cancel_operation(f.core, core_find_operation(f.core, id), note_done, &outcome, NULL), 0);
    ck_assert(!outcome.called);
    core_flush(&f);
    ck_assert(outcome.called);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
}

START_TEST(cancel_queued)
{
    char ahead[UUID_SIZE], id[UUID_SIZE];
    struct fault fault;

    (void)text_copy(ahead, sizeof ahead, put_ttl("ahead", 0)->id);
    (void)text_copy(id, sizeof id, put_ttl("job", 0)->id);
    cancel(id);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_CANCELLED);
    ck_assert_int_eq(core_cancel_operation(f.core, core_find_operation(f.core, id), NULL, NULL, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_NOT_CANCELLABLE);
    ends(&f, ahead, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

/* At every moment of a deployment; what the container's record says must fit what the device holds. */
START_TEST(cancel_running)
{
    char uid[16], id[UUID_SIZE];

    f.options.operations_kept = 1000;
    core_configure(f.core, &f.options);
    for (int ms = 0; ms < 600; ms += 7) {
        const struct container *c;

        sim_restart(sim1);
        (void)snprintf(uid, sizeof uid, "job-%d", ms);
        (void)text_copy(id, sizeof id, put_ttl(uid, 0)->id);
        core_advance(&f, ms);
        if (operation_is_finished(core_find_operation(f.core, id)))
            break;
        cancel(id);
        core_advance(&f, 30);
        ck_assert(operation_is_finished(core_find_operation(f.core, id)));
        c = core_find_container(v1, uid);
        ck_assert_int_eq(c->load == LOAD_DONE, sim_find(sim1, uid) != NULL);
        ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, uid), NULL, NULL, NULL), 0);
        core_flush(&f);
    }
    ck_assert_uint_gt(sim1->loads, 10);
}
END_TEST

START_TEST(cancel_is_remembered)
{
    char id[UUID_SIZE];

    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    (void)text_copy(id, sizeof id, put_ttl("job", 0)->id);
    for (int ms = 0; ms < 1000 && sim1->loads == 0; ms++)
        core_advance(&f, 1);
    cancel(id);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_RUNNING);
    core_restart(&f);
    ends(&f, id, OPERATION_CANCELLED, FAULT_CANCELLED);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

/* Nobody needs the answer of a silent device to a question. */
START_TEST(cancel_while_a_question_waits)
{
    char id[UUID_SIZE];

    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_LOSE_ANSWER);
    (void)text_copy(id, sizeof id, put_ttl("job", 0)->id);
    core_advance(&f, 5);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_RUNNING);
    cancel(id);
    ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_CANCELLED);
    ck_assert_ptr_nonnull(strstr(core_find_operation(f.core, id)->fault.detail, "was asked for"));
    (void)text_copy(id, sizeof id, put_ttl("job", 0)->id);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

/* Queues ----------------------------------------------------------------------------------------------------------- */

START_TEST(queue_is_bounded)
{
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;
    char uid[2] = "a";

    for (unsigned i = 0; i < f.options.max_queue_per_device; i++) {
        uid[0] = (char)('a' + i % 5);
        ck_assert_int_eq(core_put_container(f.core, v2, uid, body, 0, NULL, NULL, &fault, &op), 0);
    }
    ck_assert_int_eq(core_put_container(f.core, v2, "a", body, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_QUEUE_FULL);
    ck_assert_int_eq(core_probe_device(f.core, v2, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_QUEUE_FULL);
    core_settle(&f);
    ck_assert_int_eq(core_put_container(f.core, v2, "f", body, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_LIMIT_REACHED);
    json_decref(body);
}
END_TEST

/* Watchers, lists, pruning, the rest ------------------------------------------------------------------------------ */

static void note_end(void *arg, struct operation *op)
{
    *(enum operation_state *)arg = op->state;
}

START_TEST(watchers)
{
    enum operation_state first = OPERATION_STATE_COUNT, second = first, late = first;
    struct core_watcher *unwatched;
    struct operation *op = put_ttl("job", 0);

    ck_assert_ptr_nonnull(core_watch_operation(f.core, op, note_end, &first));
    unwatched = core_watch_operation(f.core, op, note_end, &second);
    core_unwatch(unwatched);
    core_unwatch(NULL);
    core_advance(&f, 100);
    ck_assert_int_eq(first, OPERATION_STATE_COUNT);
    ends(&f, op->id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_eq(first, OPERATION_SUCCEEDED);
    ck_assert_int_eq(second, OPERATION_STATE_COUNT);
    ck_assert_ptr_nonnull(core_watch_operation(f.core, op, note_end, &late));
    ck_assert_int_eq(late, OPERATION_STATE_COUNT);
    core_advance(&f, 0);
    ck_assert_int_eq(late, OPERATION_SUCCEEDED);
    ck_assert_ptr_nonnull(core_watch_operation(f.core, op, note_end, &late)); /* left to core_free */
}
END_TEST

START_TEST(operations_are_pruned_and_listed)
{
    struct operation *ops[20];
    const struct operation_filter running = {.state = OPERATION_RUNNING};
    const struct operation_filter of_job = {.uid = "job", .device = "two", .state = OPERATION_STATE_COUNT};
    char ids[10][UUID_SIZE];
    struct core_stats stats;

    f.options.operations_kept = 4;
    core_configure(f.core, &f.options);
    for (size_t i = 0; i < 10; i++) {
        struct operation *op = put(&f, i % 2 ? v1 : v2, "job", job, "running");

        clock_manual_advance(&f.clock, 1);
        (void)text_copy(ids[i], UUID_SIZE, op->id);
        ends(&f, op->id, OPERATION_SUCCEEDED, FAULT_NONE);
    }
    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(core_list_operations(f.core, NULL, NULL, ops, 20), 4);
        for (size_t i = 0; i < 4; i++)
            ck_assert_str_eq(ops[i]->id, ids[9 - i]);
        ck_assert_uint_eq(core_list_operations(f.core, NULL, ids[8], ops, 1), 1);
        ck_assert_str_eq(ops[0]->id, ids[7]);
        ck_assert_uint_eq(core_list_operations(f.core, &running, NULL, ops, 20), 0);
        ck_assert_uint_eq(core_list_operations(f.core, &of_job, NULL, ops, 20), 2);
        core_restart(&f);
    }
    core_get_stats(f.core, &stats);
    ck_assert_uint_eq(stats.devices, 2);
    ck_assert_uint_eq(stats.containers, 2);
    ck_assert_uint_eq(stats.artifacts, 1);
    ck_assert_uint_eq(stats.operations_kept, 4);
    ck_assert_uint_eq(stats.operations_unfinished, 0);
}
END_TEST

START_TEST(forgetting_cancels)
{
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, put_ttl("job", 0)->id);
    core_advance(&f, 5);
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, "job"), NULL, NULL, NULL), 0);
    ck_assert_ptr_null(core_find_container(v1, "job"));
    ck_assert_int_eq(core_put_container(f.core, v1, "job", body, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_CONFLICT);
    json_decref(body);
    core_flush(&f);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(core_find_operation(f.core, id)->state, OPERATION_CANCELLED);
        ck_assert_uint_eq(core_find_artifact(f.core, job)->users, 0);
        core_restart(&f);
    }
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 0);
}
END_TEST

START_TEST(probe)
{
    struct device *fresh = add_device(&f, "fresh", AGENT_UNKNOWN);
    struct sim_device *sim = sim_device(&f.sim, "fresh", AGENT_UNKNOWN);
    uint64_t revision = fresh->revision;
    struct operation *op;
    json_t *json;

    sim->kind = AGENT_V2;
    ck_assert_int_eq(core_probe_device(f.core, fresh, 0, NULL, NULL, NULL, &op), 0);
    ends(&f, op->id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_gt(fresh->revision, revision);
    json = core_operation_json(op);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "result"), "agent")), "v2");
    ck_assert_uint_eq(json_object_size(json), 16);
    json_decref(json);
    /* What a person configured stays. */
    ck_assert_int_eq(core_probe_device(f.core, v1, 0, NULL, NULL, NULL, &op), 0);
    sim1->kind = AGENT_V2;
    ends(&f, op->id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_eq(v1->agent, AGENT_V1);
    sim1->present = false;
    ck_assert_int_eq(core_probe_device(f.core, v1, 0, NULL, NULL, NULL, &op), 0);
    ends(&f, op->id, OPERATION_FAILED, FAULT_DEVICE_UNREACHABLE);
    json = core_operation_json(op);
    ck_assert_ptr_nonnull(json_string_value(json_object_get(json_object_get(json, "error"), "advice")));
    json_decref(json);
}
END_TEST

START_TEST(nothing_new_when_stopping)
{
    json_t *body = json_pack("{s:s}", "artifact", job);
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op = put_ttl("job", 0);

    core_advance(&f, 5);
    core_stop(f.core);
    core_stop(f.core);
    ck_assert_uint_eq(sim1->cancelled, 1);
    ck_assert_int_eq(core_put_container(f.core, v1, "more", body, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_SHUTTING_DOWN);
    json_decref(body);
    core_advance(&f, 1000);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_STATUS], 1);
}
END_TEST

START_TEST(loop_is_told_of_earlier_deadlines_only)
{
    unsigned before;

    (void)put_ttl("job", 0);
    before = f.rearmed;
    (void)put_ttl("later", 500000); /* there is an earlier deadline */
    ck_assert_uint_eq(f.rearmed, before);
    (void)put_ttl("sooner", 20000);
    ck_assert_uint_eq(f.rearmed, before + 1);
    ck_assert_int_eq(core_next_deadline(f.core), f.clock.monotonic + 20000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_queue");
    TCase *tcase = tcase_create("queue");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, expires_in_a_call);
    tcase_add_test(tcase, expires_in_the_queue);
    tcase_add_test(tcase, expires_while_the_gateway_is_down);
    tcase_add_test(tcase, clock_that_was_set_back_gives_no_endless_life);
    tcase_add_test(tcase, time_to_live_has_a_limit);
    tcase_add_test(tcase, cancel_queued);
    tcase_add_test(tcase, cancel_running);
    tcase_add_test(tcase, cancel_is_remembered);
    tcase_add_test(tcase, cancel_while_a_question_waits);
    tcase_add_test(tcase, queue_is_bounded);
    tcase_add_test(tcase, watchers);
    tcase_add_test(tcase, operations_are_pruned_and_listed);
    tcase_add_test(tcase, forgetting_cancels);
    tcase_add_test(tcase, probe);
    tcase_add_test(tcase, nothing_new_when_stopping);
    tcase_add_test(tcase, loop_is_told_of_earlier_deadlines_only);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
