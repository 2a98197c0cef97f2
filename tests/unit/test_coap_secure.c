#include "coap_guard.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* Requests to a device that has OSCORE, and what an attacker makes of their answers. */

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

/* In order -------------------------------------------------------------------------------------------------------- */

START_TEST(request_is_protected)
{
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    world_check_running();
    ck_assert_uint_eq(guard.verified, 1);
    ck_assert_uint_eq(guard.request.code, COAPMSG_GET);
    ck_assert(coapmsg_path_is(&guard.request, "/container/"));
    ck_assert_uint_eq(world.box.request.code, COAPMSG_POST); /* outside nothing shows */
    ck_assert_uint_eq(world.box.request.option_count, 1);
    ck_assert_uint_eq(stats().security.protected_requests, 1);
    ck_assert_uint_eq(stats().security.verified_responses, 1);
    ck_assert_uint_eq(world.core.verified, 1);
    ck_assert_uint_eq(credential()->counters.sent, 1);
    ck_assert_uint_eq(credential()->counters.received, 1);
}
END_TEST

/* The first use waits for a reservation, and so does each that finds none left. */
START_TEST(numbers_are_reserved_before_they_are_used)
{
    world.core.hold = true;
    world_begin(AGENT_CALL_STATUS);
    ck_assert(!world_run(100));
    ck_assert_uint_eq(world.box.requests, 0);
    world.core.hold = false;
    fake_keyring_commit(&world.core);
    ck_assert(world_run(1000));
    world_check_running();
    for (unsigned i = 1; i < 3 * FAKE_STEP; i++)
        ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(world.core.reservations, 3);
    for (unsigned i = 0; i < guard.verified; i++)
        ck_assert_uint_eq(guard.numbers[i], i);
}
END_TEST

START_TEST(failed_reservation_sends_nothing)
{
    world.core.result = -ENOSPC;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_LOCAL);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "sequence numbers"));
    ck_assert_uint_eq(world.box.datagrams, 0);
}
END_TEST

START_TEST(cancelled_while_numbers_are_reserved)
{
    world.core.hold = true;
    world_begin(AGENT_CALL_STATUS);
    world.port.cancel(world.port.arg, &world.call);
    fake_keyring_commit(&world.core);
    world_run_for(50);
    ck_assert_uint_eq(world.box.datagrams, 0);
    ck_assert_uint_eq(world.done, 0);
}
END_TEST

START_TEST(id_context_is_told)
{
    struct oscore_credentials inputs = guard_inputs(2, "site-7");
    struct oscore_option option;

    fake_keyring_revoke_all(&world.core, &world.device);
    (void)guard_add(2, "site-7", CREDENTIAL_ACTIVE);
    guard_learn(0, &inputs);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_int_eq(oscore_message_option(&world.box.request, &option), 0);
    ck_assert_uint_eq(option.kid_context_size, 6);
    ck_assert_mem_eq(option.kid_context, "site-7", 6);
}
END_TEST

/* Echo ------------------------------------------------------------------------------------------------------------ */

static void ask_echo_first(struct guard *g)
{
    if (guard_has_echo())
        guard_answer_running(g);
    else
        guard_ask_echo();
}

START_TEST(echo_is_given)
{
    guard.script = ask_echo_first;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(guard.verified, 2);
    ck_assert_uint_lt(guard.numbers[0], guard.numbers[1]);
    ck_assert_uint_eq(stats().security.echoes, 1);
}
END_TEST

/* The device said, protected, that it did not process it. */
START_TEST(load_is_sent_again_for_echo)
{
    guard.script = ask_echo_first;
    world_begin(AGENT_CALL_LOAD);
    ck_assert(world_run(3000));
    ck_assert_uint_eq(guard.verified, 2);
    ck_assert_uint_eq(guard.request.code, COAPMSG_POST);
    ck_assert(guard_has_echo());
}
END_TEST

static void ask_echo_forever(struct guard *g)
{
    (void)g;
    guard_ask_echo();
}

START_TEST(echo_without_end_is_an_answer)
{
    guard.script = ask_echo_forever;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_GARBAGE);
    ck_assert_uint_eq(world.call.code_received, COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(guard.verified, 3);
}
END_TEST

static void ask_echo_plainly(struct box *box)
{
    struct coapmsg response;

    if (coapmsg_find(&box->request, COAPMSG_OPT_ECHO)) {
        box_answer_running(box);
        return;
    }
    box_prepare(box, &response, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    coapmsg_add_text(&response, COAPMSG_OPT_ECHO, "1");
    box_send(box, &response);
}

START_TEST(plain_device_may_ask_for_echo)
{
    fake_keyring_revoke_all(&world.core, &world.device);
    world.box.script = ask_echo_plainly;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_uint_eq(world.box.requests, 2);
}
END_TEST

START_TEST(plain_load_leaves_once_all_the_same)
{
    fake_keyring_revoke_all(&world.core, &world.device);
    world.box.script = ask_echo_plainly;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_GARBAGE);
    ck_assert_uint_eq(world.box.requests, 1);
}
END_TEST

/* Answers that prove nothing -------------------------------------------------------------------------------------- */

static void refuse_plainly(struct guard *g)
{
    (void)g;
    box_answer(&world.box, (uint8_t)g->step, "no");
}

static const uint8_t refusals[] = {COAPMSG_UNAUTHORIZED, COAPMSG_BAD_REQUEST, COAPMSG_BAD_OPTION};

/* It runs appendix B.2 first, which this device does not know. */
START_TEST(unprotected_refusal_is_not_believed_but_told)
{
    guard.script = refuse_plainly;
    guard.step = refusals[_i];
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "4.0"));
    ck_assert_uint_eq(guard.verified, 1);
    ck_assert_uint_eq(guard.refused, 1);
    ck_assert_uint_eq(stats().security.hints, 2);
    ck_assert_uint_eq(world.core.verified, 0);
}
END_TEST

static void answer_plainly(struct guard *g)
{
    (void)g;
    box_answer_running(&world.box);
}

START_TEST(unprotected_success_is_no_answer)
{
    guard.script = answer_plainly;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNTRUSTED);
    ck_assert_int_eq(world.call.state, CONTAINER_UNKNOWN);
    ck_assert_uint_eq(world.core.verified, 0);
}
END_TEST

static void refuse_then_answer(struct guard *g)
{
    box_answer(&world.box, COAPMSG_UNAUTHORIZED, "forged");
    guard_answer_running(g);
}

START_TEST(genuine_answer_wins_over_a_forged_refusal)
{
    guard.script = refuse_then_answer;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    world_check_running();
    ck_assert_uint_eq(stats().security.hints, 1);
}
END_TEST

static void on_late(uv_timer_t *timer)
{
    struct coapmsg response;

    (void)timer;
    box_prepare_running(&world.box, &response, COAPMSG_NON);
    response.id = 4711;
    guard_send(&response, 0);
}

static void refuse_then_answer_late(struct guard *g)
{
    struct coapmsg response;

    (void)g;
    guard_prepare(&response, COAPMSG_NON, COAPMSG_UNAUTHORIZED);
    response.id = 999;
    box_send(&world.box, &response);
    (void)uv_timer_start(&world.box.timer, on_late, 300, 0);
}

START_TEST(separate_refusal_does_not_shorten_the_wait)
{
    guard.script = refuse_then_answer_late;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
}
END_TEST

static void load_is_refused_plainly(struct guard *g)
{
    if (guard.request.code == COAPMSG_POST)
        box_answer(&world.box, COAPMSG_UNAUTHORIZED, "no");
    else
        guard_answer_running(g);
}

/* Whether it was done is not known, and it does not leave again. */
START_TEST(load_is_never_undone_by_a_refusal)
{
    unsigned loads;

    guard.script = load_is_refused_plainly;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    loads = guard.verified;
    ck_assert_uint_eq(loads, 1);
}
END_TEST

static void refuse_plainly_once_more(struct guard *g)
{
    (void)g;
    box_answer(&world.box, COAPMSG_UNAUTHORIZED, "no");
}

/* Nor by a disk that is full when the other credentials of a rotation are tried. */
START_TEST(load_is_never_undone_by_a_failure_of_ours)
{
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK); /* there are numbers for the old ones */
    (void)guard_add(2, NULL, CREDENTIAL_NEW);
    world.core.result = -ENOSPC;
    guard.script = refuse_plainly_once_more;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(guard.verified, 2);
    ck_assert_int_eq(world_call(AGENT_CALL_STOP), AGENT_NO_ANSWER); /* it was asked, for all that is known */
    ck_assert_uint_eq(guard.verified, 3);
}
END_TEST

/* As when the last commits are told while everything closes. */
START_TEST(nobody_is_told_of_revocation_after_the_end)
{
    (void)guard_add(2, NULL, CREDENTIAL_NEW);
    agents_close(steal_pointer(world.agents), NULL, NULL);
    fake_keyring_revoke(&world.core, world.device.credentials);
    world_run_for(50);
    fake_keyring_revoke_all(&world.core, &world.device);
    world.closed = true;
}
END_TEST

static void flip(struct guard *g)
{
    struct coapmsg response, outer;
    uint8_t out[256];
    size_t size;

    box_prepare_running(&world.box, &response, COAPMSG_ACK);
    guard_protect(&response, 0, &outer);
    size = coapmsg_encode(&outer, out, sizeof out);
    out[size - 1 - g->step] ^= 1;
    box_send_raw(&world.box, out, size);
}

START_TEST(flipped_answer_does_not_verify)
{
    guard.script = flip;
    guard.step = (unsigned)_i;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNTRUSTED);
    ck_assert_uint_ge(stats().security.failures, 1);
    ck_assert_uint_ge(credential()->counters.failures, 1);
}
END_TEST

/* The answer to one request, given to another. */
static void answer_the_first_again(struct guard *g)
{
    static uint8_t kept[256];
    static size_t kept_size;
    struct coapmsg response, outer, moved;

    if (g->step++ == 0) {
        box_prepare_running(&world.box, &response, COAPMSG_ACK);
        guard_protect(&response, 0, &outer);
        kept_size = coapmsg_encode(&outer, kept, sizeof kept);
        box_send_raw(&world.box, kept, kept_size);
        return;
    }
    ck_assert_int_eq(coapmsg_decode(&moved, kept, kept_size), 0);
    moved.id = world.box.request.id;
    coapmsg_set_token(&moved, world.box.request.token, world.box.request.token_length);
    box_send(&world.box, &moved);
}

START_TEST(answer_to_another_request_does_not_verify)
{
    guard.script = answer_the_first_again;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNTRUSTED);
}
END_TEST

START_TEST(silence_is_no_answer)
{
    guard.script = NULL;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_NO_ANSWER);
}
END_TEST

/* Revocation ------------------------------------------------------------------------------------------------------ */

START_TEST(revoked_during_a_call)
{
    guard.script = NULL;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(100);
    ck_assert_uint_eq(guard.verified, 1);
    fake_keyring_revoke_all(&world.core, &world.device);
    ck_assert_uint_eq(world.done, 0); /* from the loop */
    ck_assert(world_run(200));
    ck_assert_int_eq(world.call.outcome, AGENT_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "revoked"));
}
END_TEST

START_TEST(load_revoked_on_its_way_is_not_known)
{
    guard.script = NULL;
    world_begin(AGENT_CALL_LOAD);
    world_run_for(100);
    fake_keyring_revoke_all(&world.core, &world.device);
    ck_assert(world_run(200));
    ck_assert_int_eq(world.call.outcome, AGENT_NO_ANSWER);
}
END_TEST

START_TEST(revoked_while_it_waits_for_numbers)
{
    world.core.hold = true;
    world_begin(AGENT_CALL_STATUS);
    fake_keyring_revoke_all(&world.core, &world.device);
    ck_assert(world_run(200));
    ck_assert_int_eq(world.call.outcome, AGENT_UNTRUSTED);
    ck_assert_uint_eq(world.box.datagrams, 0);
}
END_TEST

/* Without OSCORE -------------------------------------------------------------------------------------------------- */

static void use_plain(bool allowed)
{
    fake_keyring_revoke_all(&world.core, &world.device);
    world.device.allow_plain = allowed;
    world.box.script = box_answer_running;
}

START_TEST(plain_changes_are_refused)
{
    static const enum agent_verb verbs[] = {AGENT_CALL_LOAD, AGENT_CALL_START};

    use_plain(false);
    ck_assert_int_eq(world_call(verbs[_i]), AGENT_INSECURE);
    ck_assert_uint_eq(world.box.datagrams, 0);
    ck_assert_uint_eq(stats().security.plain_refused, 1);
}
END_TEST

START_TEST(plain_reads_are_not_refused)
{
    use_plain(false);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_OK);
}
END_TEST

START_TEST(plain_changes_may_be_allowed)
{
    use_plain(true);
    ck_assert_int_eq(world_call(AGENT_CALL_START), AGENT_GARBAGE);
    ck_assert_uint_eq(world.box.requests, 1);
}
END_TEST

/* No credentials for the transport that the address names, or the other way round: nothing leaves. */
START_TEST(address_and_credentials_must_fit)
{
    fake_keyring_revoke_all(&world.core, &world.device);
    (void)fake_keyring_add(&world.core, &world.device, _i ? CREDENTIAL_CERTIFICATE : CREDENTIAL_PSK, CREDENTIAL_ACTIVE,
                           NULL);
    world.box.script = box_answer_running;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_INSECURE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "coaps://"));
    fake_keyring_revoke_all(&world.core, &world.device);
    (void)text_copy(world.device.address, sizeof world.device.address, "coaps://127.0.0.1:5684");
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_INSECURE);
    (void)guard_add(1, NULL, CREDENTIAL_ACTIVE);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_INSECURE);
    ck_assert_uint_eq(world.box.datagrams, 0);
}
END_TEST

static TCase *case_of_order(void)
{
    TCase *tc = guard_case("order", guard_set_up);

    tcase_add_test(tc, request_is_protected);
    tcase_add_test(tc, numbers_are_reserved_before_they_are_used);
    tcase_add_test(tc, failed_reservation_sends_nothing);
    tcase_add_test(tc, cancelled_while_numbers_are_reserved);
    tcase_add_test(tc, id_context_is_told);
    tcase_add_test(tc, echo_is_given);
    tcase_add_test(tc, load_is_sent_again_for_echo);
    tcase_add_test(tc, echo_without_end_is_an_answer);
    tcase_add_test(tc, plain_device_may_ask_for_echo);
    tcase_add_test(tc, plain_load_leaves_once_all_the_same);
    return tc;
}

static TCase *case_of_attacks(void)
{
    TCase *tc = guard_case("attacks", guard_set_up);

    tcase_add_loop_test(tc, unprotected_refusal_is_not_believed_but_told, 0, (int)array_size(refusals));
    tcase_add_test(tc, unprotected_success_is_no_answer);
    tcase_add_test(tc, genuine_answer_wins_over_a_forged_refusal);
    tcase_add_test(tc, separate_refusal_does_not_shorten_the_wait);
    tcase_add_test(tc, load_is_never_undone_by_a_refusal);
    tcase_add_test(tc, load_is_never_undone_by_a_failure_of_ours);
    tcase_add_test(tc, nobody_is_told_of_revocation_after_the_end);
    tcase_add_loop_test(tc, flipped_answer_does_not_verify, 0, 12);
    tcase_add_test(tc, answer_to_another_request_does_not_verify);
    tcase_add_test(tc, silence_is_no_answer);
    tcase_add_test(tc, revoked_during_a_call);
    tcase_add_test(tc, load_revoked_on_its_way_is_not_known);
    tcase_add_test(tc, revoked_while_it_waits_for_numbers);
    return tc;
}

static TCase *case_without_oscore(void)
{
    TCase *tc = guard_case("without OSCORE", guard_set_up);

    tcase_add_loop_test(tc, plain_changes_are_refused, 0, 2);
    tcase_add_test(tc, plain_reads_are_not_refused);
    tcase_add_test(tc, plain_changes_may_be_allowed);
    tcase_add_loop_test(tc, address_and_credentials_must_fit, 0, 2);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("coap secure");

    suite_add_tcase(suite, case_of_order());
    suite_add_tcase(suite, case_of_attacks());
    suite_add_tcase(suite, case_without_oscore());
    return suite_run(suite);
}
