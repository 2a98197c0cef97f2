#include "coap_guard.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* New credentials and new security contexts of a device, as the gateway finds out about them. */

static struct agents_stats stats(void)
{
    struct agents_stats now;

    agents_get_stats(world.agents, &now);
    return now;
}

static struct credential *credential(void)
{
    return world.device.credentials;
}

/* Rotation -------------------------------------------------------------------------------------------------------- */

START_TEST(new_credentials_are_tried_when_the_old_are_refused)
{
    struct oscore_credentials inputs = guard_inputs(2, NULL);
    uint64_t number = guard_add(2, NULL, CREDENTIAL_NEW)->number;

    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK); /* the device has not moved yet */
    ck_assert_uint_ne(credential()->number, number);
    guard_learn(0, &inputs);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(guard.refused, 1);
    ck_assert_uint_eq(credential()->number, number);
    ck_assert_int_eq(credential()->state, CREDENTIAL_ACTIVE);
    ck_assert_ptr_null(credential()->next);
}
END_TEST

/* The load does not leave a second time, but the next call finds the new credentials in use. */
START_TEST(load_finds_out_about_new_credentials)
{
    struct oscore_credentials inputs = guard_inputs(2, NULL);
    uint64_t number = guard_add(2, NULL, CREDENTIAL_NEW)->number;

    guard_learn(0, &inputs);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(guard.verified, 1);
    ck_assert_uint_eq(guard.request.code, COAPMSG_GET);
    ck_assert_uint_eq(credential()->number, number);
}
END_TEST

/* Appendix B.2 ---------------------------------------------------------------------------------------------------- */

static void make_stale(void)
{
    credential()->state = CREDENTIAL_STALE;
    guard.renews = true;
    guard_forget(0);
}

START_TEST(stale_context_is_renewed_before_the_request)
{
    make_stale();
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_int_eq(credential()->state, CREDENTIAL_ACTIVE);
    ck_assert_uint_eq(world.core.renewals, 1);
    ck_assert_uint_eq(guard.renewed, 1);
    ck_assert_uint_eq(guard.verified, 2); /* request #2 and the request */
    ck_assert_uint_lt(guard.numbers[0], guard.numbers[1]);
    ck_assert_uint_eq(stats().security.renewals, 1);
    ck_assert_uint_eq(oscore_context_credentials(credential()->context)->id_context_size, OSCORE_R2_SIZE + 8);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(world.core.renewals, 1);
}
END_TEST

START_TEST(stale_context_is_renewed_before_a_load)
{
    make_stale();
    world_begin(AGENT_CALL_LOAD);
    ck_assert(world_run(3000));
    ck_assert_uint_eq(guard.renewed, 1);
    ck_assert_uint_eq(guard.verified, 2);
    ck_assert_uint_eq(guard.request.code, COAPMSG_POST);
}
END_TEST

START_TEST(stale_context_with_a_device_that_does_not_know_how)
{
    make_stale();
    guard.renews = false;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_UNTRUSTED);
    ck_assert_uint_eq(guard.verified, 0);
    ck_assert_int_eq(credential()->state, CREDENTIAL_STALE);
}
END_TEST

START_TEST(stale_context_with_a_silent_device)
{
    make_stale();
    world.box.script = NULL;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_UNREACHABLE);
}
END_TEST

/* A device that has lost its context refuses the request, and the gateway begins. */
START_TEST(refusal_leads_to_a_new_context)
{
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    guard.renews = true;
    guard_forget(0);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(guard.refused, 1);
    ck_assert_uint_eq(guard.renewed, 1);
    ck_assert_uint_eq(world.core.renewals, 1);
}
END_TEST

/* With the ID Context in the request the device begins (step 1 is left out), once a context came from appendix B.2. */
START_TEST(at_most_one_renewal_a_minute_without_proof)
{
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    guard.renews = true;
    guard_forget(0);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    guard_forget(0);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNTRUSTED);
    ck_assert_uint_eq(guard.renewed, 1);
}
END_TEST

/* The device asks for Echo in its new context, too. */
static void ask_each_context_for_echo(struct guard *g)
{
    if (g->numbers[g->verified - 1] == 0 && !guard_has_echo())
        guard_ask_echo();
    else
        guard_answer_running(g);
}

START_TEST(echo_within_the_renewal)
{
    make_stale();
    guard.script = ask_each_context_for_echo;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(guard.verified, 3);
    ck_assert(!guard_has_echo()); /* it belonged to request #2 */
}
END_TEST

START_TEST(failed_commit_keeps_the_old_context)
{
    make_stale();
    world.core.result = -EIO;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_LOCAL);
    ck_assert_int_eq(credential()->state, CREDENTIAL_STALE);
    ck_assert_uint_eq(guard.verified, 1);
}
END_TEST

START_TEST(revoked_while_the_new_context_is_stored)
{
    make_stale();
    world.core.hold = true;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(300);
    ck_assert_ptr_nonnull(world.core.renewal.credential);
    fake_keyring_revoke_all(&world.core, &world.device);
    ck_assert(world_run(300));
    ck_assert_int_eq(world.call.outcome, AGENT_UNTRUSTED);
}
END_TEST

START_TEST(cancelled_while_the_new_context_is_stored)
{
    make_stale();
    world.core.hold = true;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(300);
    world.port.cancel(world.port.arg, &world.call);
    fake_keyring_commit(&world.core);
    ck_assert_int_eq(credential()->state, CREDENTIAL_ACTIVE);
    world.core.hold = false;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
}
END_TEST

/* A lost answer is retransmitted by nobody here: request #1 comes again as a copy, and the device offers another R2. */
START_TEST(lost_offer_is_made_again)
{
    make_stale();
    guard.lose = 1;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(guard.renewed, 1);
}
END_TEST

static unsigned others_done;

static void count_done(struct agent_call *call)
{
    (void)call;
    others_done++;
}

/* Two exchanges with one device: one renews, the other one waits for it. */
START_TEST(renewal_is_shared)
{
    struct agent_call second = {.verb = AGENT_CALL_STATUS, .device = &world.device, .uid = "door"};

    make_stale();
    world_begin(AGENT_CALL_STATUS);
    second.done = count_done;
    world.port.begin(world.port.arg, &second);
    ck_assert(world_run(3000));
    world_run_for(200);
    ck_assert_uint_eq(others_done, 1);
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    ck_assert_int_eq(second.outcome, AGENT_OK);
    ck_assert_uint_eq(guard.renewed, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap renewal");
    TCase *tc = guard_case("new contexts", guard_set_up);

    tcase_add_test(tc, new_credentials_are_tried_when_the_old_are_refused);
    tcase_add_test(tc, load_finds_out_about_new_credentials);
    tcase_add_test(tc, stale_context_is_renewed_before_the_request);
    tcase_add_test(tc, stale_context_is_renewed_before_a_load);
    tcase_add_test(tc, stale_context_with_a_device_that_does_not_know_how);
    tcase_add_test(tc, stale_context_with_a_silent_device);
    tcase_add_test(tc, refusal_leads_to_a_new_context);
    tcase_add_test(tc, at_most_one_renewal_a_minute_without_proof);
    tcase_add_test(tc, echo_within_the_renewal);
    tcase_add_test(tc, failed_commit_keeps_the_old_context);
    tcase_add_test(tc, revoked_while_the_new_context_is_stored);
    tcase_add_test(tc, cancelled_while_the_new_context_is_stored);
    tcase_add_test(tc, lost_offer_is_made_again);
    tcase_add_test(tc, renewal_is_shared);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
