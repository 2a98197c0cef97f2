#include "server_fixture.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* RFC 8613 Appendix B.2 with the gateway as server: a device that lost its own state comes back, and nobody else. */

static struct gadget *a, *b;
static struct coapmsg request, answer;
static struct incoming incoming;
static uint8_t first_message[4096], second_message[4096];
static size_t first_size, second_size;

/* The device's side of a run. */
static struct oscore_context *context;
static struct oscore_binding binding;
static uint8_t id[OSCORE_ID_CONTEXT_MAX];
static size_t id_size;
static uint8_t buffer[8192];

static void set_up(void)
{
    world_open();
    a = world_add("a", false);
    b = world_add("b", true);
}

static void tear_down(void)
{
    context = oscore_context_free(context);
    world_close();
}

/* Makes the device's context of the next step. */
static void derive(struct gadget *gadget, const void *id_context, size_t size)
{
    struct oscore_context *next;

    ck_assert_int_eq(oscore_context_rederive(&next, gadget->client, id_context, size, NULL), 0);
    (void)oscore_context_set_sequence(next, 0, 1000);
    (void)oscore_context_free(context);
    context = next;
}

static size_t protect(uint8_t *out)
{
    struct coapmsg outer;

    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_set_token(&request, "token", 5);
    coapmsg_add_path(&request, "/shadow/reported");
    coapmsg_set_payload(&request, "again", 5);
    ck_assert_int_eq(oscore_protect_request(context, &request, OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED,
                                            &binding, &outer, buffer, sizeof buffer),
                     0);
    return world_encode(&outer, out);
}

static void send_bytes(struct gadget *gadget, const void *bytes, size_t size)
{
    clock_manual_advance(&world.clock, 500);
    world_send(&incoming, &gadget->peer, bytes, size);
    world_run();
}

/* Opens the last answer with the present context; its code, 0 when it does not open. */
static uint8_t open_answer(void)
{
    struct coapmsg outer;

    if (incoming.state != INCOMING_ANSWERED)
        return 0;
    world_read_answer(&incoming, &outer);
    if (oscore_unprotect_response(context, &binding, &outer, &answer, buffer, sizeof buffer) != 0)
        return 0;
    return answer.code;
}

/* Steps 1 and 2: sends a first request under ID1. */
static void send_first(struct gadget *gadget)
{
    derive(gadget, "12345678", 8);
    first_size = protect(first_message);
    send_bytes(gadget, first_message, first_size);
}

/* Takes R2 from the answer: a CBOR byte string. */
static void take_r2(void)
{
    struct oscore_option option;
    struct coapmsg outer;

    world_read_answer(&incoming, &outer);
    ck_assert_int_eq(oscore_message_option(&outer, &option), 0);
    ck_assert_ptr_nonnull(option.kid_context);
    ck_assert_uint_eq(option.kid_context_size, 1 + OSCORE_R2_SIZE);
    ck_assert_uint_eq(option.kid_context[0], 0x40 + OSCORE_R2_SIZE);
    memcpy(id, option.kid_context + 1, OSCORE_R2_SIZE);
    id_size = OSCORE_R2_SIZE;
}

/* Step 3: opens the answer with R2 || ID1. */
static void take_first_answer(struct gadget *gadget)
{
    struct oscore_binding first = binding;
    uint8_t id2[OSCORE_ID_CONTEXT_MAX];

    take_r2();
    memcpy(id2, id, id_size);
    memcpy(id2 + id_size, "12345678", 8);
    derive(gadget, id2, id_size + 8);
    binding = first;
    ck_assert_uint_eq(open_answer(), COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(answer.payload_size, 0);
}

/* Step 4: a second request under R2 || R3. */
static void send_second(struct gadget *gadget, const char *r3)
{
    memcpy(id + OSCORE_R2_SIZE, r3, 8);
    id_size = OSCORE_R2_SIZE + 8;
    derive(gadget, id, id_size);
    second_size = protect(second_message);
    send_bytes(gadget, second_message, second_size);
}

static void run_whole(struct gadget *gadget, const char *r3)
{
    send_first(gadget);
    take_first_answer(gadget);
    send_second(gadget, r3);
    ck_assert_uint_eq(COAPMSG_CLASS(open_answer()), 2);
}

/* The device goes on with its new context. */
static uint8_t exchange_on(struct gadget *gadget, unsigned flags)
{
    struct coapmsg outer;
    uint8_t out[4096];

    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&request, "/shadow/desired");
    ck_assert_int_eq(oscore_protect_request(context, &request, flags, &binding, &outer, buffer, sizeof buffer), 0);
    send_bytes(gadget, out, world_encode(&outer, out));
    return open_answer();
}

START_TEST(a_device_that_lost_its_state_comes_back)
{
    send_first(a);
    ck_assert_uint_eq(world.puts, 0); /* the first request has no effect: it may be an old one */
    ck_assert_uint_eq(a->verified, 0);
    take_first_answer(a);
    send_second(a, "87654321");
    ck_assert_uint_eq(open_answer(), COAPMSG_CREATED);
    ck_assert_uint_eq(world.puts, 1);
    ck_assert_uint_eq(a->verified, 1);
    ck_assert_uint_eq(oscore_context_credentials(a->credential.context)->id_context_size, 20);
    ck_assert_uint_eq(exchange_on(a, 0), COAPMSG_CONTENT);
    ck_assert_uint_eq(exchange_on(a, OSCORE_WITH_KID_CONTEXT), COAPMSG_CONTENT);
    ck_assert_uint_eq(exchange_on(a, OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED), COAPMSG_CONTENT);
    ck_assert_uint_eq(world_stats().renewals_offered, 1);
    ck_assert_uint_eq(world_stats().renewals, 1);
    ck_assert_uint_eq(world_stats().renewal_failures, 0);
    run_whole(a, "abcdefgh"); /* and again, from there */
    ck_assert_uint_eq(world.puts, 2);
}
END_TEST

START_TEST(each_first_answer_has_its_own_r2)
{
    uint8_t seen[OSCORE_R2_SIZE];

    send_first(a);
    take_r2();
    memcpy(seen, id, sizeof seen);
    for (int i = 0; i < 5; i++) { /* the same message again, as anybody may send it */
        send_bytes(a, first_message, first_size);
        take_r2();
        ck_assert_mem_ne(seen, id, sizeof seen);
        memcpy(seen, id, sizeof seen);
    }
    ck_assert_uint_eq(world_stats().renewals, 0);
    ck_assert_uint_eq(world.puts, 0);
}
END_TEST

START_TEST(runs_side_by_side_do_not_disturb_each_other)
{
    uint8_t r2[OSCORE_R2_SIZE];

    send_first(a);
    take_first_answer(a);
    memcpy(r2, id, sizeof r2);
    send_bytes(a, first_message, first_size); /* replayed by somebody */
    memcpy(id, r2, sizeof r2);
    send_second(a, "87654321");
    ck_assert_uint_eq(open_answer(), COAPMSG_CREATED);
}
END_TEST

START_TEST(a_replayed_second_request_is_not_taken)
{
    uint8_t old[4096];
    size_t size;

    run_whole(a, "87654321");
    memcpy(old, second_message, second_size);
    size = second_size;
    send_bytes(a, old, size);
    world_read_answer(&incoming, &answer);
    ck_assert_uint_eq(answer.code, COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(world_stats().replays, 1);
    run_whole(a, "abcdefgh");
    ck_assert_uint_eq(world.puts, 2);
    send_bytes(a, old, size); /* of the run before: no second request any more, at most a first one */
    ck_assert_uint_eq(world.puts, 2);
    ck_assert_uint_eq(world_stats().renewals, 2);
    ck_assert_uint_eq(exchange_on(a, 0), COAPMSG_CONTENT);
}
END_TEST

START_TEST(an_r2_is_good_for_its_device_and_a_short_time)
{
    uint8_t r2[OSCORE_R2_SIZE];

    send_first(a);
    take_r2();
    memcpy(r2, id, sizeof r2);
    send_second(b, "87654321"); /* b with a's R2 */
    ck_assert_uint_eq(world_stats().renewals, 0);
    for (size_t i = 0; i < sizeof r2; i++) {
        memcpy(id, r2, sizeof r2);
        id[i] ^= 0x10;
        send_second(a, "87654321");
        ck_assert_uint_eq(world_stats().renewals, 0);
    }
    memcpy(id, r2, sizeof r2);
    clock_manual_advance(&world.clock, 2 * PROOF_LIFETIME_MS);
    send_second(a, "87654321");
    ck_assert_uint_eq(world_stats().renewals, 0);
    ck_assert_uint_eq(world.puts, 0);
    world_restart_server();
    send_first(a);
    take_r2();
    world_restart_server();
    send_second(a, "87654321");
    ck_assert_uint_eq(world_stats().renewals, 0);
}
END_TEST

START_TEST(forged_first_requests_cost_bounded_work)
{
    send_first(a);
    first_message[first_size - 1] ^= 1;
    for (int i = 0; i < 10000; i++)
        world_send(&incoming, &a->peer, first_message, first_size);
    ck_assert_uint_le(world_stats().renewal_failures, 32);
    ck_assert_uint_ge(world_stats().rate_limited, 10000 - 32 - 64);
    ck_assert_uint_eq(world_stats().renewals_offered, 1);
    ck_assert_uint_eq(world_stats().held, 0);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET); /* nothing has changed for the device */
    coapmsg_add_path(&request, "/shadow/desired");
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
}
END_TEST

START_TEST(an_id_context_that_is_too_long_or_no_byte_string_is_none)
{
    static const uint8_t wrapped[][6] = {"\x40",
                                         "\x44"
                                         "12",
                                         "\x41"
                                         "123",
                                         "\x61"
                                         "1",
                                         "\x5f\x41"
                                         "1\xff"};
    uint8_t value[OSCORE_OPTION_MAX];
    struct oscore_option option = {
        .piv = (const uint8_t *)"\1", .piv_size = 1, .kid = (const uint8_t *)"d0", .kid_size = 2};
    struct coapmsg outer;

    for (size_t i = 0; i < array_size(wrapped); i++) {
        option.kid_context = wrapped[i];
        option.kid_context_size = (uint8_t)strlen((const char *)wrapped[i]);
        coapmsg_init(&outer, COAPMSG_CON, COAPMSG_POST);
        coapmsg_add(&outer, COAPMSG_OPT_OSCORE, value, oscore_option_encode(&option, value));
        coapmsg_set_payload(&outer, "0123456789", 10);
        send_bytes(a, second_message, world_encode(&outer, second_message));
        world_read_answer(&incoming, &answer);
        ck_assert_uint_eq(answer.code, COAPMSG_UNAUTHORIZED);
    }
    ck_assert_uint_eq(world_stats().renewal_failures, 0);
    ck_assert_uint_eq(world_stats().unknown_context, array_size(wrapped));
    derive(a, "12345678901234567890+", 21); /* R2 || ID1 would be too long */
    send_bytes(a, first_message, protect(first_message));
    world_read_answer(&incoming, &answer);
    ck_assert_uint_eq(answer.code, COAPMSG_UNAUTHORIZED);
    ck_assert_ptr_null(coapmsg_find(&answer, COAPMSG_OPT_OSCORE));
}
END_TEST

START_TEST(what_could_not_be_stored_is_not_taken)
{
    send_first(a);
    take_first_answer(a);
    world.renew_result = -EIO;
    send_second(a, "87654321");
    ck_assert_int_eq(incoming.state, INCOMING_DROPPED);
    ck_assert(!incoming.keep);
    ck_assert_uint_eq(world.puts, 0);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET); /* the old context is still good */
    coapmsg_add_path(&request, "/shadow/desired");
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    world.renew_result = 0;
    second_size = protect(second_message);
    send_bytes(a, second_message, second_size);
    ck_assert_uint_eq(open_answer(), COAPMSG_CREATED);
}
END_TEST

START_TEST(a_second_request_while_the_first_is_being_stored_waits_for_its_turn)
{
    struct incoming other = {.identity = NULL};

    send_first(a);
    take_first_answer(a);
    memcpy(id + OSCORE_R2_SIZE, "87654321", 8);
    derive(a, id, OSCORE_R2_SIZE + 8);
    second_size = protect(second_message);
    world_send(&incoming, &a->peer, second_message, second_size);
    ck_assert_int_eq(incoming.state, INCOMING_HELD);
    world_send(&other, &a->peer, second_message, second_size);
    ck_assert_int_eq(other.state, INCOMING_DROPPED);
    world_run();
    ck_assert_uint_eq(open_answer(), COAPMSG_CREATED);
    ck_assert_uint_eq(world_stats().renewals, 1);
}
END_TEST

START_TEST(a_run_ends_with_the_server)
{
    send_first(a);
    take_first_answer(a);
    memcpy(id + OSCORE_R2_SIZE, "87654321", 8);
    derive(a, id, OSCORE_R2_SIZE + 8);
    second_size = protect(second_message);
    world_send(&incoming, &a->peer, second_message, second_size);
    world_restart_server();
    ck_assert_int_eq(incoming.state, INCOMING_DROPPED);
}
END_TEST

/* The gateway itself may be the one that lost its state. */
START_TEST(a_stale_context_is_not_used_and_a_new_one_offered)
{
    struct oscore_binding first;
    size_t size;

    a->credential.state = CREDENTIAL_STALE;
    world_forget_window(a);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_add_path(&request, "/shadow/reported");
    size = world_protect(a, &request, 0, first_message);
    first = a->binding;
    send_bytes(a, first_message, size);
    ck_assert_uint_eq(world.puts, 0);
    ck_assert_uint_eq(a->verified, 0);
    take_r2();
    derive(a, id, OSCORE_R2_SIZE); /* ID1 is nothing: R2 alone */
    binding = first;
    ck_assert_uint_eq(open_answer(), COAPMSG_UNAUTHORIZED);
    send_second(a, "87654321");
    ck_assert_uint_eq(open_answer(), COAPMSG_CREATED);
    ck_assert_int_eq(a->credential.state, CREDENTIAL_ACTIVE);
    ck_assert_uint_eq(exchange_on(a, 0), COAPMSG_CONTENT);
}
END_TEST

START_TEST(offers_for_a_stale_context_are_few)
{
    a->credential.state = CREDENTIAL_STALE;
    world_forget_window(a);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    first_size = world_protect(a, &request, 0, first_message);
    for (int i = 0; i < 1000; i++)
        world_send(&incoming, &a->peer, first_message, first_size);
    ck_assert_uint_le(world_stats().renewals_offered, 8);
    ck_assert_uint_eq(world_stats().rate_limited, 1000 - world_stats().renewals_offered);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("coap_server_renewal");
    TCase *tc = tcase_create("renewal");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_device_that_lost_its_state_comes_back);
    tcase_add_test(tc, each_first_answer_has_its_own_r2);
    tcase_add_test(tc, runs_side_by_side_do_not_disturb_each_other);
    tcase_add_test(tc, a_replayed_second_request_is_not_taken);
    tcase_add_test(tc, an_r2_is_good_for_its_device_and_a_short_time);
    tcase_add_test(tc, forged_first_requests_cost_bounded_work);
    tcase_add_test(tc, an_id_context_that_is_too_long_or_no_byte_string_is_none);
    tcase_add_test(tc, what_could_not_be_stored_is_not_taken);
    tcase_add_test(tc, a_second_request_while_the_first_is_being_stored_waits_for_its_turn);
    tcase_add_test(tc, a_run_ends_with_the_server);
    tcase_add_test(tc, a_stale_context_is_not_used_and_a_new_one_offered);
    tcase_add_test(tc, offers_for_a_stale_context_are_few);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
