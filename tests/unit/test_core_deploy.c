#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Deployments, start, stop and remove against agents of both kinds, with all that may go wrong on the way. */

static struct core_fixture f;
static struct device *v1, *v2;
static struct sim_device *sim1, *sim2;
static const char *job, *other;

static void find_devices(void)
{
    v1 = core_find_device(f.core, "one");
    v2 = core_find_device(f.core, "two");
    ck_assert(v1 && v2);
}

static void setup(void)
{
    core_setup(&f);
    (void)add_device(&f, "one", AGENT_V1);
    (void)add_device(&f, "two", AGENT_V2);
    find_devices();
    sim1 = sim_device(&f.sim, "one", AGENT_V1);
    sim2 = sim_device(&f.sim, "two", AGENT_V2);
    job = add_artifact(&f, "loop()", NULL);
    other = add_artifact(&f, "loop2()", "data");
}

static void teardown(void)
{
    ck_assert_uint_eq(sim1->double_loads, 0);
    core_teardown(&f);
}

static void restart_gateway(void)
{
    core_restart(&f);
    find_devices();
}

static void is(const struct device *device, const char *uid, enum container_state reported, enum container_load load)
{
    const struct container *c = core_find_container(device, uid);

    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(container_state_name(c->reported), container_state_name(reported));
    ck_assert_str_eq(container_load_name(c->load), container_load_name(load));
}

/* Agents of kind v1 ----------------------------------------------------------------------------------------------- */

START_TEST(v1_deploys_and_repeats_nothing)
{
    int64_t before = f.clock.monotonic;

    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    is(v1, "job", CONTAINER_RUNNING, LOAD_DONE);
    ck_assert_int_ge(f.clock.monotonic - before, f.options.verify_delay_ms);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 1);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_START], 1);
    ck_assert_str_eq(core_find_container(v1, "job")->reported_artifact, job);
}
END_TEST

START_TEST(v1_loads_without_starting)
{
    ends(&f, put(&f, v1, "job", job, "stopped")->id, OPERATION_SUCCEEDED, FAULT_NONE);
    is(v1, "job", CONTAINER_INSTALLED, LOAD_DONE);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_START], 0);
    ends(&f, act(&f, v1, "job", OPERATION_START)->id, OPERATION_SUCCEEDED, FAULT_NONE);
    is(v1, "job", CONTAINER_RUNNING, LOAD_DONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(v1_lost_load_answer_is_settled_by_start)
{
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 1);
}
END_TEST

START_TEST(v1_lost_load_is_sent_again_after_proof)
{
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_REQUEST);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 2);
    ck_assert_uint_eq(sim1->loads, 1);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_START], 2); /* the first one answered 5.00: not there */
}
END_TEST

START_TEST(v1_loads_are_bounded)
{
    for (int i = 0; i < 3; i++)
        sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_REQUEST);
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_DEVICE_TIMEOUT);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 3);
    is(v1, "job", CONTAINER_ABSENT, LOAD_NONE); /* each was asked for, the last one too */
    for (int i = 0; i < 3; i++)
        sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_REQUEST);
    deploys(&f, v2, "job", job, OPERATION_FAILED, FAULT_DEVICE_TIMEOUT);
    is(v2, "job", CONTAINER_ABSENT, LOAD_NONE);
}
END_TEST

START_TEST(v1_lost_load_to_be_stopped_stays_unknown)
{
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    ends(&f, put(&f, v1, "job", job, "stopped")->id, OPERATION_FAILED, FAULT_OUTCOME_UNKNOWN);
    is(v1, "job", CONTAINER_UNKNOWN, LOAD_SENT);
    ends(&f, act(&f, v1, "job", OPERATION_START)->id, OPERATION_SUCCEEDED, FAULT_NONE);
    is(v1, "job", CONTAINER_RUNNING, LOAD_DONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(v1_no_answer_to_the_question)
{
    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_FINE);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_LOSE_ANSWER);
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_DEVICE_TIMEOUT);
    is(v1, "job", CONTAINER_UNKNOWN, LOAD_SENT);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(v1_silent_device_gets_no_load)
{
    sim_script(&f.sim, AGENT_CALL_STATUS, SIM_LOSE_REQUEST);
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_DEVICE_TIMEOUT);
    is(v1, "job", CONTAINER_UNKNOWN, LOAD_NONE);
    sim1->present = false;
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_DEVICE_UNREACHABLE);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 0);
}
END_TEST

START_TEST(v1_unreachable_at_load_is_no_proof)
{
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_UNREACHABLE);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(v1_gateway_restart_with_load_sent)
{
    char id[UUID_SIZE];

    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    while (sim1->loads == 0)
        core_advance(&f, 1);
    restart_gateway();
    is(v1, "job", CONTAINER_UNKNOWN, LOAD_SENT);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(gateway_restarts_at_every_moment)
{
    char id[UUID_SIZE];

    for (int ms = 0; ms < 700; ms += 13) {
        char uid[16];

        (void)snprintf(uid, sizeof uid, "job-%d", ms);
        sim_restart(sim1);
        (void)text_copy(id, sizeof id, put(&f, v1, uid, job, "running")->id);
        core_advance(&f, ms);
        restart_gateway();
        ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
        ck_assert_int_eq(sim_find(sim1, uid)->state, CONTAINER_RUNNING);
        is(v1, uid, CONTAINER_RUNNING, LOAD_DONE);
        ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, uid), NULL, NULL, NULL), 0);
        core_flush(&f);
    }
    ck_assert_uint_eq(sim1->double_loads, 0);
}
END_TEST

START_TEST(v1_start_that_dies)
{
    const struct container *c;

    sim1->starts_die = true;
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_STOPPED_EARLY);
    is(v1, "job", CONTAINER_FAILED, LOAD_DONE);
    c = core_find_container(v1, "job");
    ck_assert_int_eq(c->fault.code, FAULT_STOPPED_EARLY);
    /* An ended one is not started again: 2.04, and nothing runs. */
    sim1->starts_die = false;
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_STOPPED_EARLY);
    ck_assert_ptr_nonnull(strstr(c->fault.detail, "new uid"));
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(v1_lost_start_answer)
{
    sim_script(&f.sim, AGENT_CALL_START, SIM_LOSE_ANSWER);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_START], 1); /* is-running said 1, twice */
    sim_script(&f.sim, AGENT_CALL_START, SIM_LOSE_REQUEST);
    deploys(&f, v1, "more", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_START], 3);
}
END_TEST

START_TEST(v1_lost_start_of_code_that_dies)
{
    sim1->starts_die = true;
    sim_script(&f.sim, AGENT_CALL_START, SIM_LOSE_ANSWER);
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_STOPPED_EARLY);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

START_TEST(v1_device_restart_is_mended)
{
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    sim_restart(sim1);
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim1->loads, 2);
    ck_assert_int_eq(sim_find(sim1, "job")->state, CONTAINER_RUNNING);
    sim_restart(sim1);
    ends(&f, act(&f, v1, "job", OPERATION_START)->id, OPERATION_FAILED, FAULT_CONTAINER_NOT_ON_DEVICE);
    is(v1, "job", CONTAINER_ABSENT, LOAD_NONE);
}
END_TEST

static void refuse_put(struct device *device, const char *uid, const char *artifact, const char *state,
                       enum fault_code code)
{
    json_t *body = json_pack("{s:s, s:s}", "artifact", artifact, "state", state);
    struct fault fault = {.code = FAULT_NONE};
    struct operation *op;

    ck_assert_int_eq(core_put_container(f.core, device, uid, body, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_str_eq(fault_info(fault.code)->slug, fault_info(code)->slug);
    json_decref(body);
}

START_TEST(v1_occupied_uid)
{
    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    refuse_put(v1, "job", other, "running", FAULT_UID_OCCUPIED);
    ck_assert_str_eq(core_find_container(v1, "job")->desired_artifact, job);
    /* A load whose outcome is not known occupies it, too. */
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_ANSWER);
    ends(&f, put(&f, v1, "more", job, "stopped")->id, OPERATION_FAILED, FAULT_OUTCOME_UNKNOWN);
    refuse_put(v1, "more", other, "running", FAULT_UID_OCCUPIED);
    /* After a restart of the device people go on by forgetting it. */
    sim_restart(sim1);
    ck_assert_int_eq(core_forget_container(f.core, core_find_container(v1, "job"), NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert_ptr_null(core_find_container(v1, "job"));
    deploys(&f, v1, "job", other, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

START_TEST(v1_uid_of_somebody_else)
{
    struct sim_slot *slot = &sim1->slot[0];

    (void)text_copy(slot->uid, sizeof slot->uid, "job");
    slot->state = CONTAINER_RUNNING;
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_UID_OCCUPIED);
    ck_assert_uint_eq(sim1->calls[AGENT_CALL_LOAD], 0);
}
END_TEST

START_TEST(v1_second_artifact_queued_behind_the_first)
{
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    core_advance(&f, 50); /* the first is loaded by now */
    ck_assert_uint_eq(sim1->loads, 1);
    refuse_put(v1, "job", other, "running", FAULT_UID_OCCUPIED);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

START_TEST(superseded_before_anything_was_sent)
{
    char first[UUID_SIZE], second[UUID_SIZE];

    (void)put(&f, v1, "ahead", job, "running");
    (void)text_copy(first, sizeof first, put(&f, v1, "job", job, "running")->id);
    (void)text_copy(second, sizeof second, put(&f, v1, "job", other, "running")->id);
    ends(&f, first, OPERATION_CANCELLED, FAULT_CANCELLED);
    ends(&f, second, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_str_eq(sim_find(sim1, "job")->artifact, other);
    ck_assert_uint_eq(sim1->loads, 2);
}
END_TEST

START_TEST(v1_slots)
{
    sim1->slots = 1;
    deploys(&f, v1, "one", job, OPERATION_SUCCEEDED, FAULT_NONE);
    deploys(&f, v1, "two", job, OPERATION_FAILED, FAULT_LOAD_REFUSED);
    is(v1, "two", CONTAINER_ABSENT, LOAD_NONE);
    v1->caps.slots = 1;
    deploys(&f, v1, "two", job, OPERATION_FAILED, FAULT_NO_SLOT);
    v1->caps.slots = 2;
    deploys(&f, v1, "two", job, OPERATION_FAILED, FAULT_LOAD_REFUSED);
}
END_TEST

START_TEST(v1_cannot_stop_or_remove)
{
    static const enum operation_kind kinds[] = {OPERATION_STOP, OPERATION_REMOVE};
    struct operation *op;
    struct fault fault;

    deploys(&f, v1, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    for (size_t i = 0; i < array_size(kinds); i++) {
        fault.code = FAULT_NONE;
        ck_assert_int_eq(
            core_act_on_container(f.core, core_find_container(v1, "job"), kinds[i], 0, NULL, NULL, &fault, &op), 1);
        ck_assert_int_eq(fault.code, FAULT_AGENT_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(fault.detail, "'one'"));
        ck_assert_ptr_nonnull(strstr(fault.detail, "v1"));
    }
    refuse_put(v1, "job", job, "stopped", FAULT_AGENT_UNSUPPORTED);
    ck_assert_int_eq(core_find_container(v1, "job")->desired, CONTAINER_RUNNING);
}
END_TEST

START_TEST(v1_start_of_what_is_not_there)
{
    struct operation *op;
    struct fault fault;

    sim1->slots = 0;
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_LOAD_REFUSED);
    ck_assert_int_eq(
        core_act_on_container(f.core, core_find_container(v1, "job"), OPERATION_START, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_CONTAINER_NOT_ON_DEVICE);
}
END_TEST

START_TEST(v1_refusal_of_start_right_after_load)
{
    sim_script(&f.sim, AGENT_CALL_START, SIM_REFUSE);
    deploys(&f, v1, "job", job, OPERATION_FAILED, FAULT_START_REFUSED);
    is(v1, "job", CONTAINER_FAILED, LOAD_DONE);
    ck_assert_uint_eq(sim1->loads, 1);
}
END_TEST

/* Whatever call meets with nonsense, the operation ends and the next one works. */
START_TEST(garbage_and_local_failures)
{
    static const enum agent_verb verbs[] = {AGENT_CALL_STATUS, AGENT_CALL_LOAD, AGENT_CALL_START};
    struct device *devices[] = {v1, v2};
    char uid[16];

    for (size_t d = 0; d < 2; d++)
        for (size_t i = d; i < array_size(verbs); i++) {
            sim_restart(sim1);
            sim_restart(sim2);
            (void)snprintf(uid, sizeof uid, "job%zu", i);
            sim_script(&f.sim, verbs[i], SIM_GARBAGE);
            deploys(&f, devices[d], uid, job, OPERATION_FAILED, FAULT_DEVICE_ANSWER);
            deploys(&f, devices[d], uid, job, OPERATION_SUCCEEDED, FAULT_NONE);
            sim_restart(sim1);
            sim_restart(sim2);
            ck_assert_int_eq(core_forget_container(f.core, core_find_container(devices[d], uid), NULL, NULL, NULL), 0);
            core_flush(&f);
            sim_script(&f.sim, verbs[i], SIM_LOCAL);
            deploys(&f, devices[d], uid, job, OPERATION_FAILED, FAULT_INTERNAL);
            deploys(&f, devices[d], uid, job, OPERATION_SUCCEEDED, FAULT_NONE);
        }
}
END_TEST

/* Agents of kind v2 ----------------------------------------------------------------------------------------------- */

START_TEST(v2_whole_life)
{
    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    is(v2, "job", CONTAINER_RUNNING, LOAD_DONE);
    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(sim2->calls[AGENT_CALL_LOAD], 1);
    ends(&f, act(&f, v2, "job", OPERATION_STOP)->id, OPERATION_SUCCEEDED, FAULT_NONE);
    is(v2, "job", CONTAINER_STOPPED, LOAD_DONE);
    ck_assert_int_eq(core_find_container(v2, "job")->desired, CONTAINER_STOPPED);
    ends(&f, act(&f, v2, "job", OPERATION_START)->id, OPERATION_SUCCEEDED, FAULT_NONE);
    deploys(&f, v2, "job", other, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_str_eq(sim_find(sim2, "job")->artifact, other);
    ends(&f, put(&f, v2, "job", other, "stopped")->id, OPERATION_SUCCEEDED, FAULT_NONE);
    is(v2, "job", CONTAINER_STOPPED, LOAD_DONE);
    ends(&f, act(&f, v2, "job", OPERATION_REMOVE)->id, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_ptr_null(core_find_container(v2, "job"));
    ck_assert_ptr_null(sim_find(sim2, "job"));
    restart_gateway();
    ck_assert_ptr_null(core_find_container(v2, "job"));
}
END_TEST

START_TEST(v2_lost_answers)
{
    static const enum agent_verb verbs[] = {AGENT_CALL_LOAD, AGENT_CALL_START};
    static const enum sim_mishap mishaps[] = {SIM_LOSE_ANSWER, SIM_LOSE_REQUEST};

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 2; k++) {
            sim_restart(sim2);
            sim_script(&f.sim, verbs[i], mishaps[k]);
            deploys(&f, v2, "job", i ? job : other, OPERATION_SUCCEEDED, FAULT_NONE);
            ck_assert_int_eq(sim_find(sim2, "job")->state, CONTAINER_RUNNING);
            sim_script(&f.sim, AGENT_CALL_STOP, mishaps[k]);
            ends(&f, act(&f, v2, "job", OPERATION_STOP)->id, OPERATION_SUCCEEDED, FAULT_NONE);
            ck_assert_int_eq(sim_find(sim2, "job")->state, CONTAINER_STOPPED);
            sim_script(&f.sim, AGENT_CALL_REMOVE, mishaps[k]);
            ends(&f, act(&f, v2, "job", OPERATION_REMOVE)->id, OPERATION_SUCCEEDED, FAULT_NONE);
            ck_assert_ptr_null(sim_find(sim2, "job"));
        }
}
END_TEST

/* Two artifacts that share their code: the digest alone does not prove that the new one arrived. */
START_TEST(v2_lost_replacement_with_the_same_code)
{
    const char *same = add_artifact(&f, "loop()", "other data");

    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_LOSE_REQUEST);
    deploys(&f, v2, "job", same, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_str_eq(sim_find(sim2, "job")->artifact, same);
    ck_assert_str_eq(core_find_container(v2, "job")->reported_artifact, same);
}
END_TEST

START_TEST(v2_refusals)
{
    sim2->slots = 1;
    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    deploys(&f, v2, "more", job, OPERATION_FAILED, FAULT_NO_SLOT);
    is(v2, "more", CONTAINER_ABSENT, LOAD_NONE);
    sim_script(&f.sim, AGENT_CALL_LOAD, SIM_REFUSE);
    deploys(&f, v2, "job", other, OPERATION_FAILED, FAULT_LOAD_REFUSED);
    /* The old one is still there, and known to be. */
    ck_assert_str_eq(core_find_container(v2, "job")->reported_artifact, job);
    sim2->start_fails = true;
    deploys(&f, v2, "job", other, OPERATION_FAILED, FAULT_START_REFUSED);
    is(v2, "job", CONTAINER_FAILED, LOAD_DONE);
}
END_TEST

START_TEST(v2_missing_container)
{
    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    sim_restart(sim2);
    ends(&f, act(&f, v2, "job", OPERATION_STOP)->id, OPERATION_FAILED, FAULT_CONTAINER_NOT_ON_DEVICE);
    ends(&f, act(&f, v2, "job", OPERATION_START)->id, OPERATION_FAILED, FAULT_CONTAINER_NOT_ON_DEVICE);
    deploys(&f, v2, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    sim_restart(sim2);
    ends(&f, act(&f, v2, "job", OPERATION_REMOVE)->id, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

/* Both ------------------------------------------------------------------------------------------------------------ */

START_TEST(unknown_agent_is_probed_first)
{
    struct device *fresh = add_device(&f, "fresh", AGENT_UNKNOWN);
    struct sim_device *sim = sim_device(&f.sim, "fresh", AGENT_UNKNOWN);

    ck_assert_int_eq(fresh->agent, AGENT_UNKNOWN);
    deploys(&f, fresh, "job", job, OPERATION_FAILED, FAULT_AGENT_UNKNOWN);
    sim->kind = AGENT_V2;
    deploys(&f, fresh, "job", job, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_int_eq(fresh->agent, AGENT_V2);
    ck_assert(!fresh->agent_configured);
    ck_assert_uint_eq(fresh->caps.slots, 3);
    ck_assert_str_eq(fresh->agent_version, "sim ? 1");
    ck_assert_uint_eq(sim->calls[AGENT_CALL_PROBE], 2);
}
END_TEST

START_TEST(too_large_is_refused_at_once_or_after_the_probe)
{
    struct device *fresh = add_device(&f, "fresh", AGENT_UNKNOWN);

    f.sim.package_max = 3;
    refuse_put(v1, "job", job, "running", FAULT_PACKAGE_TOO_LARGE);
    ck_assert_ptr_null(core_find_container(v1, "job"));
    sim_device(&f.sim, "fresh", AGENT_V1)->kind = AGENT_V1;
    deploys(&f, fresh, "job", job, OPERATION_FAILED, FAULT_PACKAGE_TOO_LARGE);
}
END_TEST

START_TEST(remembered_across_a_restart)
{
    const struct container *c;
    const struct operation *op;
    char id[UUID_SIZE];

    (void)text_copy(id, sizeof id, put(&f, v1, "job", job, "running")->id);
    ends(&f, id, OPERATION_SUCCEEDED, FAULT_NONE);
    sim2->start_fails = true;
    deploys(&f, v2, "bad", other, OPERATION_FAILED, FAULT_START_REFUSED);
    restart_gateway();
    c = core_find_container(v1, "job");
    ck_assert_str_eq(c->desired_artifact, job);
    ck_assert_str_eq(c->reported_artifact, job);
    is(v1, "job", CONTAINER_RUNNING, LOAD_DONE);
    ck_assert_int_eq(core_find_container(v2, "bad")->fault.code, FAULT_START_REFUSED);
    op = core_find_operation(f.core, id);
    ck_assert_int_eq(op->state, OPERATION_SUCCEEDED);
    ck_assert_uint_eq(core_find_artifact(f.core, job)->users, 1);
    ck_assert_uint_eq(core_find_artifact(f.core, other)->users, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_deploy");
    TCase *one = tcase_create("v1"), *two = tcase_create("v2"), *both = tcase_create("both");

    tcase_add_checked_fixture(one, setup, teardown);
    tcase_add_checked_fixture(two, setup, teardown);
    tcase_add_checked_fixture(both, setup, teardown);
    tcase_set_timeout(one, 60);
    tcase_add_test(one, v1_deploys_and_repeats_nothing);
    tcase_add_test(one, v1_loads_without_starting);
    tcase_add_test(one, v1_lost_load_answer_is_settled_by_start);
    tcase_add_test(one, v1_lost_load_is_sent_again_after_proof);
    tcase_add_test(one, v1_loads_are_bounded);
    tcase_add_test(one, v1_lost_load_to_be_stopped_stays_unknown);
    tcase_add_test(one, v1_no_answer_to_the_question);
    tcase_add_test(one, v1_silent_device_gets_no_load);
    tcase_add_test(one, v1_unreachable_at_load_is_no_proof);
    tcase_add_test(one, v1_gateway_restart_with_load_sent);
    tcase_add_test(one, gateway_restarts_at_every_moment);
    tcase_add_test(one, v1_start_that_dies);
    tcase_add_test(one, v1_lost_start_answer);
    tcase_add_test(one, v1_lost_start_of_code_that_dies);
    tcase_add_test(one, v1_device_restart_is_mended);
    tcase_add_test(one, v1_occupied_uid);
    tcase_add_test(one, v1_uid_of_somebody_else);
    tcase_add_test(one, v1_second_artifact_queued_behind_the_first);
    tcase_add_test(one, superseded_before_anything_was_sent);
    tcase_add_test(one, v1_slots);
    tcase_add_test(one, v1_cannot_stop_or_remove);
    tcase_add_test(one, v1_start_of_what_is_not_there);
    tcase_add_test(one, v1_refusal_of_start_right_after_load);
    tcase_add_test(two, v2_whole_life);
    tcase_add_test(two, v2_lost_answers);
    tcase_add_test(two, v2_lost_replacement_with_the_same_code);
    tcase_add_test(two, v2_refusals);
    tcase_add_test(two, v2_missing_container);
    tcase_add_test(both, garbage_and_local_failures);
    tcase_add_test(both, unknown_agent_is_probed_first);
    tcase_add_test(both, too_large_is_refused_at_once_or_after_the_probe);
    tcase_add_test(both, remembered_across_a_restart);
    suite_add_tcase(suite, one);
    suite_add_tcase(suite, two);
    suite_add_tcase(suite, both);
    return suite_run(suite);
}
