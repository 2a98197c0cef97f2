#include "core/internal.h"
#include "core/journal.h"
#include "core/reconcile.h"
#include "core_fixture.h"

#include "suite.h"

#include <string.h>

#define RETRY_MIN 30000
#define RETRY_MAX 600000
#define INTERVAL 300000

static struct core_fixture f;

static void setup(void)
{
    core_setup(&f);
    f.options.reconcile.retry_min_ms = RETRY_MIN;
    f.options.reconcile.retry_max_ms = RETRY_MAX;
    f.options.reconcile.interval_ms = INTERVAL;
    core_configure(f.core, &f.options);
}

static void teardown(void)
{
    core_teardown(&f);
}

static void store_done(void *arg, int result)
{
    (void)arg;
    ck_assert_int_eq(result, 0);
}

static enum fault_code desires(struct device *device, const char *uid, const struct desired *desired)
{
    struct store_batch *batch = store_batch_new();
    struct fault fault = {.code = FAULT_NONE};
    int r = container_desire(device, uid, desired, batch, &fault);

    ck_assert_int_ge(r, 0);
    ck_assert_int_eq(r > 0, fault.code != FAULT_NONE);
    journal_submit(f.core, batch, store_done, NULL);
    core_flush(&f);
    return fault.code;
}

static enum fault_code wants(struct device *device, const char *uid, const char *artifact, enum container_state state)
{
    return desires(device, uid, &(struct desired){.state = state, .artifact = artifact, .release = ""});
}

static bool is_converged(struct device *device, const char *uid)
{
    const struct container *c = core_find_container(device, uid);
    int64_t since;

    return c && container_converged(c, &since);
}

static struct sim_device *sim_of(const struct device *device)
{
    return sim_device(&f.sim, device->id, device->agent);
}

START_TEST(desire)
{
    struct device *device = add_device(&f, "a", _i ? AGENT_V2 : AGENT_V1);
    const char *job = add_artifact(&f, "1", NULL);

    ck_assert_int_eq(wants(device, "c", job, CONTAINER_RUNNING), FAULT_NONE);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
    ck_assert_uint_eq(sim_of(device)->loads, 1);
    ck_assert_int_eq(sim_find(sim_of(device), "c")->state, CONTAINER_RUNNING);

    /* The same again changes nothing. */
    ck_assert_int_eq(wants(device, "c", job, CONTAINER_RUNNING), FAULT_NONE);
    core_settle(&f);
    ck_assert_uint_eq(sim_of(device)->calls[AGENT_CALL_START], 1);
}
END_TEST

START_TEST(steps)
{
    struct device *device = add_device(&f, "a", AGENT_V2);
    const char *one = add_artifact(&f, "1", NULL), *two = add_artifact(&f, "2", NULL);

    ck_assert_int_eq(wants(device, "c", one, CONTAINER_STOPPED), FAULT_NONE);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
    ck_assert_uint_eq(sim_of(device)->calls[AGENT_CALL_START], 0);

    ck_assert_int_eq(wants(device, "c", two, CONTAINER_RUNNING), FAULT_NONE);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
    ck_assert_str_eq(sim_find(sim_of(device), "c")->artifact, two);

    ck_assert_int_eq(wants(device, "c", two, CONTAINER_STOPPED), FAULT_NONE);
    core_settle(&f);
    ck_assert_int_eq(sim_find(sim_of(device), "c")->state, CONTAINER_STOPPED);
    ck_assert_uint_eq(sim_of(device)->loads, 2);

    ck_assert_int_eq(wants(device, "c", NULL, CONTAINER_ABSENT), FAULT_NONE);
    core_settle(&f);
    ck_assert_ptr_null(core_find_container(device, "c"));
    ck_assert_ptr_null(sim_find(sim_of(device), "c"));
    /* What never was is gone at once. */
    ck_assert_int_eq(wants(device, "c", NULL, CONTAINER_ABSENT), FAULT_NONE);
    ck_assert_ptr_null(core_find_container(device, "c"));
}
END_TEST

START_TEST(absent_before_it_was_there)
{
    struct device *device = add_device(&f, "a", AGENT_V1);

    sim_of(device)->present = false;
    ck_assert_int_eq(wants(device, "c", add_artifact(&f, "1", NULL), CONTAINER_RUNNING), FAULT_NONE);
    core_advance(&f, 1000);
    ck_assert_ptr_nonnull(core_find_container(device, "c"));
    ck_assert_int_eq(wants(device, "c", NULL, CONTAINER_ABSENT), FAULT_NONE);
    core_advance(&f, 2 * RETRY_MAX);
    ck_assert_ptr_null(core_find_container(device, "c"));
}
END_TEST

START_TEST(refused)
{
    struct device *device = add_device(&f, "a", AGENT_V1);
    const char *one = add_artifact(&f, "1", NULL), *two = add_artifact(&f, "2", NULL);
    char large[1100];

    ck_assert_int_eq(wants(device, "..", one, CONTAINER_RUNNING), FAULT_INVALID_ID);
    ck_assert_int_eq(wants(device, "c", "no such artifact", CONTAINER_RUNNING), FAULT_NOT_FOUND);
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    ck_assert_int_eq(wants(device, "c", add_artifact(&f, large, NULL), CONTAINER_RUNNING), FAULT_PACKAGE_TOO_LARGE);
    ck_assert_ptr_null(core_find_container(device, "c"));
    ck_assert_int_eq(wants(device, "c", one, CONTAINER_RUNNING), FAULT_NONE);
    core_settle(&f);
    ck_assert_int_eq(wants(device, "c", two, CONTAINER_RUNNING), FAULT_UID_OCCUPIED);
    ck_assert(is_converged(device, "c"));
}
END_TEST

/* The reconciler goes on when an operation that was asked for has failed. */
START_TEST(takes_over)
{
    struct device *device = add_device(&f, "a", _i ? AGENT_V2 : AGENT_V1);
    const char *job = add_artifact(&f, "1", NULL);
    struct container *c;

    sim_of(device)->present = false;
    deploys(&f, device, "c", job, OPERATION_FAILED, FAULT_DEVICE_UNREACHABLE);
    sim_of(device)->present = true;
    c = core_find_container(device, "c");
    ck_assert_uint_eq(c->attempts, 1);
    ck_assert_int_eq(c->retry, c->attempted + RETRY_MIN);
    core_advance(&f, RETRY_MIN - 1000);
    ck_assert_uint_eq(sim_of(device)->loads, 0);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
    ck_assert_uint_eq(c->attempts, 0);
    ck_assert_uint_eq(sim_of(device)->loads, 1);
}
END_TEST

START_TEST(backs_off)
{
    struct device *device = add_device(&f, "a", AGENT_V2);
    const char *job = add_artifact(&f, "1", NULL);
    struct container *c;
    unsigned starts;

    sim_of(device)->start_fails = true;
    ck_assert_int_eq(wants(device, "c", job, CONTAINER_RUNNING), FAULT_NONE);
    core_advance(&f, 1000);
    c = core_find_container(device, "c");
    ck_assert_uint_eq(c->attempts, 1);
    core_advance(&f, RETRY_MIN);
    ck_assert_uint_eq(c->attempts, 2);
    ck_assert_int_eq(c->retry, c->attempted + 2 * RETRY_MIN);
    core_advance(&f, 100 * RETRY_MAX);
    ck_assert_int_eq(c->retry, c->attempted + RETRY_MAX);
    starts = sim_of(device)->calls[AGENT_CALL_START];
    ck_assert_uint_ge(starts, 100);
    ck_assert_uint_le(starts, 107);
    ck_assert_uint_eq(sim_of(device)->loads, 1);

    /* How often is kept over a restart. */
    core_restart(&f);
    c = core_find_container(core_find_device(f.core, "a"), "c");
    ck_assert_uint_ge(c->attempts, 100);
    core_advance(&f, RETRY_MAX / 2 - 1000);
    ck_assert_uint_le(sim_of(c->device)->calls[AGENT_CALL_START], starts + 1);
    sim_of(c->device)->start_fails = false;
    core_advance(&f, RETRY_MAX);
    ck_assert(is_converged(c->device, "c"));
}
END_TEST

/* A time that was noted before the clock was set back would be years ahead. */
START_TEST(clock_set_back)
{
    struct device *device = add_device(&f, "a", AGENT_V2);
    const char *job = add_artifact(&f, "1", NULL);

    sim_of(device)->start_fails = true;
    ck_assert_int_eq(wants(device, "c", job, CONTAINER_RUNNING), FAULT_NONE);
    core_advance(&f, 1000);
    f.clock.wall -= INT64_C(1000) * 86400000;
    core_advance(&f, RETRY_MIN);
    ck_assert_uint_eq(core_find_container(device, "c")->attempts, 2);
    f.clock.wall -= INT64_C(1000) * 86400000;
    sim_of(device)->start_fails = false;
    core_restart(&f);
    core_settle(&f);
    ck_assert(is_converged(core_find_device(f.core, "a"), "c"));

    /* Nor is one that is as desired left unasked. */
    f.clock.wall -= INT64_C(1000) * 86400000;
    sim_restart(sim_of(device = core_find_device(f.core, "a")));
    core_advance(&f, INTERVAL + 10000);
    ck_assert(is_converged(device, "c"));
    ck_assert_uint_eq(sim_of(device)->loads, 2);
}
END_TEST

START_TEST(gives_up)
{
    struct device *device = add_device(&f, "a", AGENT_UNKNOWN);
    const char *job = add_artifact(&f, "1", NULL);
    struct container *c;

    f.sim.package_max = 0; /* which shows when the agent is known */
    sim_of(device)->kind = AGENT_V2;
    ck_assert_int_eq(wants(device, "c", job, CONTAINER_RUNNING), FAULT_NONE);
    core_advance(&f, 1000);
    c = core_find_container(device, "c");
    ck_assert_uint_eq(c->attempts, 1);
    ck_assert_int_eq(c->retry, 0);
    ck_assert_int_eq(c->fault.code, FAULT_PACKAGE_TOO_LARGE);
    core_advance(&f, 10 * RETRY_MAX);
    ck_assert_uint_eq(c->attempts, 1);

    f.sim.package_max = 1000;
    reconcile_changed(device);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
}
END_TEST

START_TEST(cancelled_by_a_person)
{
    struct device *device = add_device(&f, "a", AGENT_V2);
    const char *job = add_artifact(&f, "1", NULL);
    struct outcome outcome = {.called = false};
    struct operation *op;
    struct fault fault;

    f.sim.latency = 5000;
    op = put(&f, device, "c", job, "running");
    ck_assert_int_eq(core_cancel_operation(f.core, op, note_done, &outcome, &fault), 0);
    ends(&f, op->id, OPERATION_CANCELLED, FAULT_CANCELLED);
    f.sim.latency = 20;
    core_advance(&f, 10 * RETRY_MAX);
    ck_assert(!is_converged(device, "c"));
    ck_assert_uint_eq(device->operation_count, 0);
}
END_TEST

/* An agent that forgets everything and says nothing of it is found out by the next question. */
START_TEST(restores)
{
    struct operation *op;
    struct device *device = add_device(&f, "a", _i ? AGENT_V2 : AGENT_V1);
    const char *job = add_artifact(&f, "1", NULL);

    deploys(&f, device, "c", job, OPERATION_SUCCEEDED, FAULT_NONE);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
    sim_restart(sim_of(device));
    core_advance(&f, INTERVAL + 10000);
    ck_assert(is_converged(device, "c"));
    ck_assert_uint_eq(sim_of(device)->loads, 2);
    ck_assert_uint_eq(sim_of(device)->double_loads, 0);

    /* One that registers is asked at once. */
    sim_restart(sim_of(device));
    device_restarted(device);
    core_settle(&f);
    ck_assert_uint_eq(sim_of(device)->loads, 3);
    ck_assert_uint_eq(sim_of(device)->double_loads, 0);
    ck_assert_int_eq(sim_find(sim_of(device), "c")->state, CONTAINER_RUNNING);

    /* So is one that a person probes. */
    sim_restart(sim_of(device));
    ck_assert_int_eq(core_probe_device(f.core, device, 0, NULL, NULL, NULL, &op), 0);
    core_settle(&f);
    ck_assert_uint_eq(sim_of(device)->loads, 4);
    ck_assert(is_converged(device, "c"));
}
END_TEST

/* What runs as desired is only asked, seldom. */
START_TEST(leaves_alone)
{
    struct device *device = add_device(&f, "a", _i ? AGENT_V2 : AGENT_V1);
    const char *job = add_artifact(&f, "1", NULL);

    deploys(&f, device, "c", job, OPERATION_SUCCEEDED, FAULT_NONE);
    core_settle(&f);
    memset(sim_of(device)->calls, 0, sizeof sim_of(device)->calls);
    core_advance(&f, 10 * INTERVAL);
    core_restart(&f);
    device = core_find_device(f.core, "a");
    core_advance(&f, 10 * INTERVAL);
    ck_assert_uint_le(sim_of(device)->calls[AGENT_CALL_STATUS], 22);
    ck_assert_uint_ge(sim_of(device)->calls[AGENT_CALL_STATUS] + sim_of(device)->calls[AGENT_CALL_LIST], 18);
    for (int verb = 0; verb < AGENT_CALL_COUNT; verb++)
        ck_assert(verb == AGENT_CALL_STATUS || verb == AGENT_CALL_LIST || sim_of(device)->calls[verb] == 0);
}
END_TEST

START_TEST(needs)
{
    struct device *device = add_device(&f, "a", AGENT_V2);
    const char *job = add_artifact(&f, "1", NULL);
    struct desired late = {.state = CONTAINER_RUNNING, .artifact = job, .needs = "db bus"};

    ck_assert_int_eq(desires(device, "app", &late), FAULT_NONE);
    core_settle(&f);
    ck_assert_ptr_null(sim_find(sim_of(device), "app"));
    ck_assert_int_eq(wants(device, "db", job, CONTAINER_RUNNING), FAULT_NONE);
    core_settle(&f);
    ck_assert(is_converged(device, "db"));
    ck_assert_ptr_null(sim_find(sim_of(device), "app"));
    ck_assert_int_eq(wants(device, "bus", job, CONTAINER_RUNNING), FAULT_NONE);
    core_settle(&f);
    ck_assert(is_converged(device, "app"));
}
END_TEST

START_TEST(sleeper)
{
    struct device *device = add_device(&f, "a", AGENT_V2);
    const char *job = add_artifact(&f, "1", NULL);

    device->sleep_s = 3600;
    presence_reconsider(device);
    ck_assert_int_eq(wants(device, "c", job, CONTAINER_RUNNING), FAULT_NONE);
    core_advance(&f, 1800000);
    ck_assert_uint_eq(device->operation_count, 0);
    ck_assert_uint_eq(sim_of(device)->loads, 0);
    device_seen(device);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
}
END_TEST

/* Other parameters are another package for an agent that can replace; one that cannot keeps what it has. */
START_TEST(parameters)
{
    struct device *device = add_device(&f, "a", _i ? AGENT_V2 : AGENT_V1);
    const char *job = add_artifact(&f, "1", "artifact's own");
    struct desired desired = {.state = CONTAINER_RUNNING, .artifact = job};

    desired.parameters = (const uint8_t *)"one";
    desired.parameters_size = 3;
    ck_assert_int_eq(desires(device, "c", &desired), FAULT_NONE);
    core_settle(&f);
    ck_assert(is_converged(device, "c"));
    ck_assert_str_eq(sim_find(sim_of(device), "c")->data, "one");

    desired.parameters = (const uint8_t *)"other";
    desired.parameters_size = 5;
    ck_assert_int_eq(desires(device, "c", &desired), FAULT_NONE);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER); /* the digest of the code alone proves nothing */
    core_settle(&f);
    ck_assert_int_eq(is_converged(device, "c"), _i);
    ck_assert_int_eq(core_find_container(device, "c")->fault.code, _i ? FAULT_NONE : FAULT_UID_OCCUPIED);
    ck_assert_str_eq(sim_find(sim_of(device), "c")->data, _i ? "other" : "one");

    core_restart(&f);
    device = core_find_device(f.core, "a");
    core_settle(&f);
    ck_assert_int_eq(is_converged(device, "c"), _i);
    put(&f, device, "d", job, "running");
    core_settle(&f);
    ck_assert_str_eq(sim_find(sim_of(device), "d")->data, "artifact's own");
}
END_TEST

/* A device need not say anything. */
START_TEST(unasked_on_a_new_device)
{
    struct device *device = add_device(&f, "a", AGENT_V2);

    (void)text_copy(sim_of(device)->slot[1].uid, sizeof sim_of(device)->slot[1].uid, "stray");
    sim_of(device)->slot[1].state = CONTAINER_RUNNING;
    core_advance(&f, INTERVAL + 1000);
    ck_assert_ptr_nonnull(core_find_container(device, "stray"));
}
END_TEST

/* _i: the policy. What a device holds and nobody asked for is visible in any case. */
START_TEST(unasked)
{
    struct device *device = add_device(&f, "a", AGENT_V2);
    const char *job = add_artifact(&f, "1", NULL);
    struct sim_slot *slot = &sim_of(device)->slot[1];
    struct container *c;

    f.options.reconcile.unasked = (enum unasked)_i;
    core_configure(f.core, &f.options);
    (void)text_copy(slot->uid, sizeof slot->uid, "stray");
    (void)text_copy(slot->artifact, sizeof slot->artifact, job);
    (void)text_copy(slot->code, sizeof slot->code, core_find_artifact(f.core, job)->code_digest);
    slot->state = CONTAINER_RUNNING;
    device_restarted(device);
    core_settle(&f);
    c = core_find_container(device, "stray");
    ck_assert_int_eq(c != NULL, _i != UNASKED_REMOVE);
    ck_assert_int_eq(sim_find(sim_of(device), "stray") != NULL, _i != UNASKED_REMOVE);
    if (c) {
        ck_assert_int_eq(c->desired, _i == UNASKED_ADOPT ? CONTAINER_RUNNING : CONTAINER_UNKNOWN);
        ck_assert_int_eq(c->reported, CONTAINER_RUNNING);
        ck_assert_str_eq(c->reported_artifact, job);
    }
    ck_assert_uint_eq(sim_of(device)->loads, 0);

    /* It is restored if it was adopted, and forgotten if it was not. */
    core_restart(&f);
    device = core_find_device(f.core, "a");
    sim_restart(sim_of(device));
    core_advance(&f, 2 * INTERVAL);
    ck_assert_int_eq(core_find_container(device, "stray") != NULL, _i == UNASKED_ADOPT);
    ck_assert_uint_eq(sim_of(device)->loads, _i == UNASKED_ADOPT);
}
END_TEST

/* What somebody does with a container that is as desired does not end the questions about it. */
START_TEST(asked_after_an_operation)
{
    struct device *device = add_device(&f, "one", AGENT_V1);
    struct sim_device *sim = sim_device(&f.sim, "one", AGENT_V1);
    const char *job = add_artifact(&f, "loop()", NULL);
    char id[UUID_SIZE];

    deploys(&f, device, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    core_advance(&f, 1000);
    (void)text_copy(id, sizeof id, act(&f, device, "job", OPERATION_START)->id);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    sim_restart(sim);
    core_advance(&f, 3 * INTERVAL);
    ck_assert(sim_find(sim, "job") && sim_find(sim, "job")->state == CONTAINER_RUNNING);
    ck_assert_uint_eq(sim->double_loads, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_reconcile");
    TCase *tcase = tcase_create("reconcile");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, desire, 0, 2);
    tcase_add_test(tcase, steps);
    tcase_add_test(tcase, asked_after_an_operation);
    tcase_add_test(tcase, absent_before_it_was_there);
    tcase_add_test(tcase, refused);
    tcase_add_loop_test(tcase, takes_over, 0, 2);
    tcase_add_test(tcase, backs_off);
    tcase_add_test(tcase, clock_set_back);
    tcase_add_test(tcase, gives_up);
    tcase_add_test(tcase, cancelled_by_a_person);
    tcase_add_loop_test(tcase, restores, 0, 2);
    tcase_add_loop_test(tcase, leaves_alone, 0, 2);
    tcase_add_test(tcase, needs);
    tcase_add_test(tcase, sleeper);
    tcase_add_loop_test(tcase, parameters, 0, 2);
    tcase_add_test(tcase, unasked_on_a_new_device);
    tcase_add_loop_test(tcase, unasked, UNASKED_REPORT, UNASKED_REMOVE + 1);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
