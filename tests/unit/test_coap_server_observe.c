#include "server_fixture.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* Observe as server (RFC 7641) over OSCORE. */

static struct gadget *a, *b;
static struct coapmsg request, answer;
static uint8_t datagram[4096], body[8000];

static void set_up(void)
{
    world_open();
    a = world_add("a", false);
    b = world_add("b", true);
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 3 + i / 256);
}

static void tear_down(void)
{
    world_close();
}

static void make_get(const char *token, int observe)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    coapmsg_set_token(&request, token, strlen(token));
    coapmsg_add_path(&request, "/shadow/desired");
    if (observe >= 0)
        coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, (uint32_t)observe);
}

/* Registers; whether it was taken. */
static bool observe(struct gadget *gadget, const char *token)
{
    make_get(token, 0);
    ck_assert_uint_eq(world_exchange(gadget, &request, &answer), COAPMSG_CONTENT);
    return coapmsg_find(&answer, COAPMSG_OPT_OBSERVE) != NULL;
}

static void write_desired(struct gadget *gadget, const char *text)
{
    world_write_desired(gadget, -1, text, strlen(text));
    world_run();
}

/* The first notification under way, opened with the binding of the registration. */
static uint8_t open_notice(struct gadget *gadget)
{
    static uint8_t buffer[8192];
    struct notice *notice = world_first_notice();
    struct coapmsg outer;

    ck_assert_ptr_nonnull(notice);
    ck_assert(notice->confirmable);
    ck_assert_int_eq(coapmsg_decode(&outer, notice->bytes, notice->size), 0);
    ck_assert_int_eq(
        oscore_unprotect_response(gadget->client, &gadget->binding, &outer, &answer, buffer, sizeof buffer), 0);
    return answer.code;
}

static bool payload_is(const char *text)
{
    return answer.payload_size == strlen(text) && (!*text || memcmp(answer.payload, text, strlen(text)) == 0);
}

static void acknowledge(void)
{
    world_take_notice(world_first_notice(), -1);
    world_run();
}

static size_t count_notices(void)
{
    size_t count = 0;

    list_each(node, &world.notices) count++;
    return count;
}

static void tick(int64_t ms)
{
    clock_manual_advance(&world.clock, ms);
    observers_run(world.server);
    world_run();
}

START_TEST(each_new_state_is_told_in_order)
{
    char text[16];

    ck_assert(observe(a, "tok"));
    ck_assert_uint_eq(world_stats().observers, 1);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof text, "state %d", i);
        write_desired(a, text);
        ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT); /* the engine refuses any that is not newer */
        ck_assert(payload_is(text));
        ck_assert_uint_eq(answer.token_length, 3);
        ck_assert_mem_eq(answer.token, "tok", 3);
        acknowledge();
    }
    ck_assert_uint_eq(world_stats().notifications, 100);
    ck_assert_ptr_null(world_first_notice());
}
END_TEST

START_TEST(only_who_asked_is_told_of_his_own)
{
    ck_assert(observe(a, "one"));
    ck_assert(observe(b, "two"));
    write_desired(a, "for a");
    ck_assert_uint_eq(count_notices(), 1);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(peer_equal(&world_first_notice()->peer, &a->peer));
    acknowledge();
    make_get("one", 1); /* b cannot end a's */
    ck_assert_uint_eq(world_exchange(b, &request, &answer), COAPMSG_CONTENT);
    ck_assert_uint_eq(world_stats().observers, 2);
}
END_TEST

START_TEST(a_device_may_end_it)
{
    ck_assert(observe(a, "tok"));
    make_get("tok", 1);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    ck_assert_ptr_null(coapmsg_find(&answer, COAPMSG_OPT_OBSERVE));
    ck_assert_uint_eq(world_stats().observers, 0);
    write_desired(a, "unheard");
    ck_assert_ptr_null(world_first_notice());
}
END_TEST

START_TEST(a_refusal_or_silence_ends_it)
{
    static const int events[] = {CHANNEL_RESET, CHANNEL_GIVEN_UP};

    for (size_t i = 0; i < array_size(events); i++) {
        ck_assert(observe(a, "tok"));
        write_desired(a, "x");
        world_take_notice(world_first_notice(), events[i]);
        ck_assert_uint_eq(world_stats().observers, 0);
        write_desired(a, "y");
        ck_assert_ptr_null(world_first_notice());
    }
}
END_TEST

START_TEST(a_registration_with_the_same_token_takes_the_place)
{
    ck_assert(observe(a, "tok"));
    ck_assert(observe(a, "tok"));
    ck_assert_uint_eq(world_stats().observers, 1);
    write_desired(a, "x");
    ck_assert_uint_eq(count_notices(), 1);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT); /* with the binding of the latest */
}
END_TEST

START_TEST(one_device_has_few_and_all_together_have_a_limit)
{
    char token[8];

    for (int i = 0; i < 50; i++) {
        (void)snprintf(token, sizeof token, "t%d", i);
        ck_assert(observe(a, token));
    }
    ck_assert_uint_eq(world_stats().observers, OBSERVERS_PER_CREDENTIAL);
    ck_assert(observe(b, "one"));
    ck_assert(observe(b, "two"));
    ck_assert(!observe(world_add("c", false), "tok")); /* answered, but not registered */
    ck_assert_uint_eq(world_stats().observers, 6);
    write_desired(a, "x");
    ck_assert_uint_eq(count_notices(), OBSERVERS_PER_CREDENTIAL);
}
END_TEST

START_TEST(what_comes_while_one_is_under_way_is_told_after_it)
{
    ck_assert(observe(a, "tok"));
    write_desired(a, "first");
    write_desired(a, "second");
    write_desired(a, "third");
    ck_assert_uint_eq(count_notices(), 1);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(payload_is("first"));
    acknowledge();
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(payload_is("third"));
    acknowledge();
    ck_assert_ptr_null(world_first_notice());
}
END_TEST

START_TEST(a_newer_state_replaces_one_that_is_not_acknowledged)
{
    ck_assert(observe(a, "tok"));
    write_desired(a, "first");
    write_desired(a, "second");
    tick(1000);
    ck_assert_uint_eq(count_notices(), 1);
    tick(1000); /* the first would be retransmitted now */
    ck_assert_uint_eq(count_notices(), 1);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(payload_is("second"));
    clock_manual_advance(&world.clock, 5000);
    write_desired(a, "third");
    ck_assert_uint_eq(count_notices(), 1);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(payload_is("third"));
}
END_TEST

START_TEST(replacing_for_ever_does_not_keep_a_dead_one_alive)
{
    ck_assert(observe(a, "tok"));
    for (int i = 0; i < 100; i++) {
        clock_manual_advance(&world.clock, 5000);
        write_desired(a, i % 2 ? "odd" : "even");
    }
    ck_assert_uint_eq(world_stats().observers, 0);
    ck_assert_ptr_null(world_first_notice());
    ck_assert_uint_le(world_stats().notifications, 26);
}
END_TEST

START_TEST(a_change_between_the_reading_and_the_registration_is_told)
{
    struct incoming incoming = {.identity = NULL};

    make_get("tok", 0);
    (void)oscore_context_set_sequence(a->credential.context, 1 << 20, 1 << 20); /* the answer waits for numbers */
    world_send(&incoming, &a->peer, datagram, world_protect(a, &request, 0, datagram));
    world_write_desired(a, -1, "new", 3);
    world_run();
    ck_assert_int_eq(incoming.state, INCOMING_ANSWERED);
    world_write_desired(a, -1, "newer", 5);
    world_run();
    ck_assert_int_eq(world_open_answer(a, &incoming, &answer), 0);
    ck_assert_uint_ge(count_notices(), 1);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
}
END_TEST

START_TEST(a_large_state_is_told_by_its_first_block)
{
    struct coapmsg_block block;
    struct buffer all = {0};

    ck_assert(observe(a, "tok"));
    world_write_desired(a, -1, body, sizeof body);
    world_run();
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert_int_eq(coapmsg_get_block(&answer, COAPMSG_OPT_BLOCK2, &block), 0);
    ck_assert(block.num == 0 && block.more && block.szx == 6);
    buffer_append(&all, answer.payload, answer.payload_size);
    acknowledge();
    for (uint32_t num = 1; block.more; num++) {
        make_get("other", -1);
        coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){num, false, 6});
        ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
        ck_assert_int_eq(coapmsg_get_block(&answer, COAPMSG_OPT_BLOCK2, &block), 0);
        buffer_append(&all, answer.payload, answer.payload_size);
    }
    ck_assert_uint_eq(all.size, sizeof body);
    ck_assert_mem_eq(all.data, body, sizeof body);
    ck_assert_uint_eq(world_stats().observers, 1);
    buffer_clear(&all);
}
END_TEST

START_TEST(it_goes_with_its_credential)
{
    ck_assert(observe(a, "tok"));
    ck_assert(observe(a, "two"));
    write_desired(a, "x");
    ck_assert_uint_eq(count_notices(), 2);
    world_revoke(a);
    ck_assert_uint_eq(world_stats().observers, 0);
    ck_assert_ptr_null(world_first_notice());
}
END_TEST

START_TEST(it_may_go_while_its_document_is_read)
{
    ck_assert(observe(a, "tok"));
    world_write_desired(a, -1, "x", 1);
    world_revoke(a);
    world_run();
    ck_assert_ptr_null(world_first_notice());
    ck_assert(observe(b, "tok"));
    world_write_desired(b, -1, "x", 1);
    world_restart_server();
    ck_assert_ptr_null(world_first_notice());
}
END_TEST

START_TEST(notifications_wait_for_numbers)
{
    ck_assert(observe(a, "tok"));
    (void)oscore_context_set_sequence(a->credential.context, 1 << 20, 1 << 20);
    write_desired(a, "x");
    ck_assert_uint_ge(world.reserved, 1);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(payload_is("x"));
    acknowledge();
    (void)oscore_context_set_sequence(a->credential.context, 1 << 21, 1 << 21);
    world.reserve_result = -EIO;
    write_desired(a, "y");
    ck_assert_uint_eq(world_stats().observers, 0);
}
END_TEST

START_TEST(changes_while_numbers_are_waited_for_are_told_once)
{
    ck_assert(observe(a, "tok"));
    (void)oscore_context_set_sequence(a->credential.context, 1 << 20, 1 << 20);
    world.hold_reservations = true;
    write_desired(a, "x");
    write_desired(a, "y");
    write_desired(a, "z");
    ck_assert_uint_eq(world.reserved, 1);
    ck_assert_ptr_null(world_first_notice());
    world.hold_reservations = false;
    world_run();
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(payload_is("z"));
    acknowledge();
    ck_assert_ptr_null(world_first_notice());
}
END_TEST

START_TEST(at_the_end_of_the_numbers_it_ends)
{
    ck_assert(observe(a, "tok"));
    (void)oscore_context_set_sequence(a->credential.context, OSCORE_SEQUENCE_END, OSCORE_SEQUENCE_END);
    write_desired(a, "x");
    ck_assert_ptr_null(world_first_notice());
    ck_assert_uint_eq(world_stats().observers, 0);
}
END_TEST

START_TEST(who_was_not_heard_of_for_a_day_is_asked)
{
    ck_assert(observe(a, "tok"));
    tick(23 * 3600 * 1000);
    ck_assert_ptr_null(world_first_notice());
    tick(3600 * 1000);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    acknowledge();
    tick(23 * 3600 * 1000);
    ck_assert_ptr_null(world_first_notice());
    tick(3600 * 1000);
    world_take_notice(world_first_notice(), CHANNEL_GIVEN_UP);
    ck_assert_uint_eq(world_stats().observers, 0);
}
END_TEST

START_TEST(a_state_that_cannot_be_read_is_told_later)
{
    ck_assert(observe(a, "tok"));
    world.read_result = -EIO;
    write_desired(a, "x");
    ck_assert_ptr_null(world_first_notice());
    world.read_result = 0;
    world.refuse_reads = true;
    tick(1000);
    ck_assert_ptr_null(world_first_notice());
    world.refuse_reads = false;
    tick(1000);
    ck_assert_uint_eq(open_notice(a), COAPMSG_CONTENT);
    ck_assert(payload_is("x"));
}
END_TEST

START_TEST(a_format_that_the_device_does_not_take_ends_it)
{
    make_get("tok", 0);
    coapmsg_add_uint(&request, COAPMSG_OPT_ACCEPT, COAPMSG_FORMAT_CBOR);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    world_write_desired(a, COAPMSG_FORMAT_JSON, "{}", 2);
    world_run();
    ck_assert_uint_eq(open_notice(a), COAPMSG_NOT_ACCEPTABLE);
    ck_assert_uint_eq(world_stats().observers, 0);
}
END_TEST

START_TEST(a_session_may_observe_as_well)
{
    struct incoming incoming = {.identity = "psk-a"};
    struct coapmsg plain;

    world_use_psk(a, "psk-a");
    a->peer.transport = PEER_DTLS;
    make_get("tok", 0);
    world_send(&incoming, &a->peer, datagram, world_encode(&request, datagram));
    world_run();
    world_read_answer(&incoming, &plain);
    ck_assert_ptr_nonnull(coapmsg_find(&plain, COAPMSG_OPT_OBSERVE));
    write_desired(a, "x");
    ck_assert_int_eq(coapmsg_decode(&plain, world_first_notice()->bytes, world_first_notice()->size), 0);
    ck_assert_uint_eq(plain.code, COAPMSG_CONTENT);
    ck_assert_uint_eq(plain.payload_size, 1);
    ck_assert_int_eq(world_first_notice()->peer.transport, PEER_DTLS);
}
END_TEST

START_TEST(an_observation_of_what_cannot_be_observed_is_a_read)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_path(&request, "/.well-known/core");
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, 0);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    ck_assert_ptr_null(coapmsg_find(&answer, COAPMSG_OPT_OBSERVE));
    make_get("tok", 2); /* neither begins nor ends */
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    ck_assert_uint_eq(world_stats().observers, 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("coap_server_observe");
    TCase *tc = tcase_create("observe");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, each_new_state_is_told_in_order);
    tcase_add_test(tc, only_who_asked_is_told_of_his_own);
    tcase_add_test(tc, a_device_may_end_it);
    tcase_add_test(tc, a_refusal_or_silence_ends_it);
    tcase_add_test(tc, a_registration_with_the_same_token_takes_the_place);
    tcase_add_test(tc, one_device_has_few_and_all_together_have_a_limit);
    tcase_add_test(tc, what_comes_while_one_is_under_way_is_told_after_it);
    tcase_add_test(tc, a_newer_state_replaces_one_that_is_not_acknowledged);
    tcase_add_test(tc, replacing_for_ever_does_not_keep_a_dead_one_alive);
    tcase_add_test(tc, a_change_between_the_reading_and_the_registration_is_told);
    tcase_add_test(tc, a_large_state_is_told_by_its_first_block);
    tcase_add_test(tc, it_goes_with_its_credential);
    tcase_add_test(tc, it_may_go_while_its_document_is_read);
    tcase_add_test(tc, notifications_wait_for_numbers);
    tcase_add_test(tc, changes_while_numbers_are_waited_for_are_told_once);
    tcase_add_test(tc, at_the_end_of_the_numbers_it_ends);
    tcase_add_test(tc, who_was_not_heard_of_for_a_day_is_asked);
    tcase_add_test(tc, a_state_that_cannot_be_read_is_told_later);
    tcase_add_test(tc, a_format_that_the_device_does_not_take_ends_it);
    tcase_add_test(tc, a_session_may_observe_as_well);
    tcase_add_test(tc, an_observation_of_what_cannot_be_observed_is_a_read);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
