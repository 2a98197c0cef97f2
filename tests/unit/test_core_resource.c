#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* Requests to any resource of a device, and observations. */

static struct core_fixture f;
static struct device *one;
static struct sim_device *sim;
static uint32_t timeout;

struct got {
    unsigned calls;
    struct fault fault;
    char body[400];
    uint8_t code;
};

static void note_answer(void *arg, const struct core_resource_result *result)
{
    struct got *got = arg;

    got->calls++;
    got->fault = result->fault;
    ck_assert_int_eq(result->fault.code == FAULT_NONE, result->response != NULL);
    if (!result->response)
        return;
    got->code = result->response->code;
    memcpy(got->body, result->response->body, result->response->body_size);
}

static void setup(void)
{
    core_setup(&f);
    one = add_device(&f, "one", AGENT_V2);
    sim = sim_device(&f.sim, "one", AGENT_V2);
    timeout = 1000;
}

static void teardown(void)
{
    core_teardown(&f);
}

static void asks(uint8_t method, const char *path, struct got *got)
{
    char copy[100], body[] = "body";
    const struct agent_resource resource = {.method = method,
                                            .path = copy,
                                            .query = "a=1",
                                            .format = -1,
                                            .accept = -1,
                                            .if_match = (const uint8_t *)"e",
                                            .if_match_size = 1,
                                            .body = (const uint8_t *)body,
                                            .body_size = 4,
                                            .limit = 1000};
    struct fault fault;

    *got = (struct got){.calls = 0};
    (void)snprintf(copy, sizeof copy, "%s", path);
    ck_assert_msg(core_request_resource(f.core, one, &resource, timeout, note_answer, got, &fault) == 0, "%s",
                  fault.detail);
    ck_assert_uint_eq(got->calls, 0);
    memset(copy, 'x', sizeof copy); /* it was copied */
}

START_TEST(requests_wait_their_turn_and_are_answered)
{
    struct got first, second;

    asks(3, "/led", &first);
    asks(1, "/temperature", &second);
    ck_assert_uint_eq(sim->calls[AGENT_CALL_RESOURCE], 1); /* one exchange at a time */
    core_advance(&f, 100);
    ck_assert_str_eq(first.body, "3 /led?a=1 4");
    ck_assert_uint_eq(first.code, 69);
    ck_assert_str_eq(second.body, "1 /temperature?a=1 4");
    ck_assert(first.calls == 1 && second.calls == 1);
    ck_assert_int_eq(one->last_seen != 0, 1);
}
END_TEST

START_TEST(a_lost_read_is_a_timeout_and_a_lost_change_is_unknown)
{
    struct got got;

    f.sim.latency = 20;
    sim_script(&f.sim, AGENT_CALL_RESOURCE, SIM_LOSE_REQUEST);
    asks(1, "/x", &got);
    core_advance(&f, 3000);
    ck_assert_int_eq(got.fault.code, FAULT_DEVICE_TIMEOUT);
    sim_script(&f.sim, AGENT_CALL_RESOURCE, SIM_LOSE_ANSWER);
    asks(2, "/x", &got);
    core_advance(&f, 3000);
    ck_assert_int_eq(got.fault.code, FAULT_OUTCOME_UNKNOWN);
    sim_script(&f.sim, AGENT_CALL_RESOURCE, SIM_UNREACHABLE);
    asks(2, "/x", &got);
    core_advance(&f, 3000);
    ck_assert_int_eq(got.fault.code, FAULT_DEVICE_UNREACHABLE);
    ck_assert_uint_eq(got.calls, 1);
}
END_TEST

START_TEST(what_was_not_sent_is_known_not_to_have_happened)
{
    struct got blocking, waiting;

    sim_script(&f.sim, AGENT_CALL_RESOURCE, SIM_LOSE_REQUEST);
    asks(2, "/first", &blocking);
    timeout = 900;
    asks(2, "/second", &waiting);
    core_advance(&f, 1001);
    ck_assert_int_eq(blocking.fault.code, FAULT_OUTCOME_UNKNOWN);
    ck_assert_int_eq(waiting.fault.code, FAULT_DEVICE_TIMEOUT);
    ck_assert_uint_eq(sim->calls[AGENT_CALL_RESOURCE], 1);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
    const struct agent_resource resource = {.method = 1, .path = "/", .format = -1, .accept = -1};
    struct got got[6];
    struct fault fault;

    for (int i = 0; i < 6; i++)
        asks(1, "/x", &got[i]);
    ck_assert_int_eq(core_request_resource(f.core, one, &resource, 1000, note_answer, &got[0], &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_QUEUE_FULL);
    core_advance(&f, 1000);
    for (int i = 0; i < 6; i++)
        ck_assert(got[i].calls == 1 && got[i].fault.code == FAULT_NONE);
}
END_TEST

START_TEST(removal_and_stop_answer_what_waits)
{
    struct got first, second;
    struct device *two = add_device(&f, "two", AGENT_V2);

    asks(1, "/x", &first);
    asks(2, "/x", &second);
    ck_assert_int_eq(core_remove_device(f.core, one, NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert(first.calls == 1 && first.fault.code == FAULT_NOT_FOUND);
    ck_assert(second.calls == 1 && second.fault.code == FAULT_NOT_FOUND);
    one = two;
    asks(1, "/x", &first);
    core_stop(f.core);
    ck_assert(first.calls == 1 && first.fault.code == FAULT_SHUTTING_DOWN);
}
END_TEST

/* Observations ----------------------------------------------------------------------------------------------------- */

struct watch {
    struct core_observer *observer;
    unsigned notified, ended;
    enum fault_code fault;
    bool leave; /* gives up within the notification */
};

static void note_state(void *arg, const struct agent_response *response)
{
    struct watch *watch = arg;

    (void)response;
    watch->notified++;
    if (watch->leave)
        core_unobserve(watch->observer);
}

static void note_end(void *arg, const struct fault *fault)
{
    struct watch *watch = arg;

    watch->ended++;
    watch->fault = fault->code;
}

static void observes(struct watch *watch)
{
    *watch = (struct watch){.observer = NULL};
    watch->observer = core_observe_resource(f.core, one, "/t", "u=c", 110, note_state, note_end, watch, NULL);
    ck_assert_ptr_nonnull(watch->observer);
}

static void notify(unsigned i)
{
    const struct agent_response response = {.code = 69};

    f.sim.observations[i]->notify(f.sim.observations[i], &response);
}

START_TEST(an_observation_lasts_until_it_is_given_up)
{
    struct watch watch;

    observes(&watch);
    ck_assert_str_eq(f.sim.observations[0]->path, "/t");
    ck_assert_str_eq(f.sim.observations[0]->query, "u=c");
    ck_assert_int_eq(f.sim.observations[0]->accept, 110);
    notify(0);
    notify(0);
    ck_assert_uint_eq(watch.notified, 2);
    core_unobserve(watch.observer);
    core_unobserve(NULL);
    ck_assert_uint_eq(f.sim.observation_count, 0);
    observes(&watch);
    watch.leave = true;
    notify(0);
    ck_assert(watch.notified == 1 && watch.ended == 0);
    ck_assert_uint_eq(f.sim.observation_count, 0);
}
END_TEST

static void end(enum agent_outcome outcome)
{
    struct agent_observation *observation = f.sim.observations[--f.sim.observation_count];

    observation->ended(observation, outcome, "why");
}

START_TEST(its_end_says_why)
{
    struct watch watch;

    observes(&watch);
    end(AGENT_OK);
    ck_assert(watch.ended == 1 && watch.fault == FAULT_NONE);
    observes(&watch);
    end(AGENT_UNTRUSTED);
    ck_assert(watch.ended == 1 && watch.fault == FAULT_DEVICE_UNTRUSTED);
    observes(&watch);
    ck_assert_int_eq(core_remove_device(f.core, one, NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert(watch.ended == 1 && watch.fault == FAULT_NOT_FOUND);
    ck_assert_uint_eq(f.sim.observation_count, 0);
    one = add_device(&f, "one", AGENT_V2);
    observes(&watch);
    core_stop(f.core);
    ck_assert(watch.ended == 1 && watch.fault == FAULT_SHUTTING_DOWN);
}
END_TEST

START_TEST(observations_are_bounded)
{
    struct watch watches[16] = {{.notified = 0}};
    char path[8];
    struct fault fault;

    for (size_t i = 0; i < array_size(watches); i++) {
        (void)snprintf(path, sizeof path, "/%zu", i);
        watches[i].observer =
            core_observe_resource(f.core, one, path, NULL, -1, note_state, note_end, &watches[i], NULL);
        ck_assert_ptr_nonnull(watches[i].observer);
    }
    ck_assert_ptr_null(core_observe_resource(f.core, one, "/t", NULL, -1, note_state, note_end, NULL, &fault));
    ck_assert_int_eq(fault.code, FAULT_QUEUE_FULL);
    core_unobserve(watches[3].observer);
    observes(&watches[3]);
    core_stop(f.core);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_resource");
    TCase *tcase = tcase_create("resource");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, requests_wait_their_turn_and_are_answered);
    tcase_add_test(tcase, a_lost_read_is_a_timeout_and_a_lost_change_is_unknown);
    tcase_add_test(tcase, what_was_not_sent_is_known_not_to_have_happened);
    tcase_add_test(tcase, the_queue_is_bounded);
    tcase_add_test(tcase, removal_and_stop_answer_what_waits);
    tcase_add_test(tcase, an_observation_lasts_until_it_is_given_up);
    tcase_add_test(tcase, its_end_says_why);
    tcase_add_test(tcase, observations_are_bounded);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
