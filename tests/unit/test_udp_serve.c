#include "suite.h"
#include "udp_fixture.h"

#include <errno.h>
#include <string.h>

/* The message layer as server. */

/* Requests that we answer ----------------------------------------------------------------------------------------- */

static void answer(struct incoming *incoming, bool keep)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_set_payload(&response, "answer", 6);
    incoming_answer(incoming, &response, keep);
}

static void answer_at_once(struct incoming *incoming)
{
    answer(incoming, true);
}

static void answer_and_forget(struct incoming *incoming)
{
    answer(incoming, false);
}

static void check_answer(enum coapmsg_type type)
{
    struct coapmsg *msg = net_last_message();

    ck_assert_int_eq(msg->type, type);
    ck_assert_uint_eq(msg->code, COAPMSG_CONTENT);
    ck_assert_uint_eq(msg->token_length, 3);
    ck_assert_mem_eq(msg->token, "tok", 3);
    ck_assert_uint_eq(msg->payload_size, 6);
}

/* A device that was restarted begins with the same message IDs again. */
START_TEST(another_token_is_another_request)
{
    struct coapmsg msg;

    net.seen.on_request = answer_at_once;
    net_receive_request(&net.a, COAPMSG_CON, 1);
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    msg.id = 1;
    coapmsg_set_token(&msg, "new", 3);
    net_receive(&net.a, &msg);
    ck_assert_uint_eq(net.seen.requests, 2);
    ck_assert_mem_eq(net_last_message()->token, "new", 3);
    net_receive_request(&net.a, COAPMSG_CON, 1);
    ck_assert_uint_eq(net.seen.requests, 2);
    ck_assert_mem_eq(net_last_message()->token, "tok", 3);
}
END_TEST

START_TEST(a_copy_gets_the_same_answer_without_a_second_call)
{
    struct endpoint_stats stats = {0};

    net.seen.on_request = answer_at_once;
    net_receive_request(&net.a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(net.seen.requests, 1);
    check_answer(COAPMSG_ACK);
    ck_assert_uint_eq(net_last_message()->id, 1000);
    net_pass(246000);
    net_receive_request(&net.a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(net.seen.requests, 1);
    ck_assert_uint_eq(net.sent_count, 2);
    ck_assert_uint_eq(net.sent[0].size, net.sent[1].size);
    ck_assert_mem_eq(net.sent[0].data, net.sent[1].data, net.sent[0].size);
    udp_add_stats(&net.udp.base, &stats);
    ck_assert_uint_eq(stats.duplicates, 1);
    ck_assert_uint_eq(stats.kept, 1);
    net_receive_request(&net.b, COAPMSG_CON, 1000); /* no copy: another peer, another ID, after its lifetime */
    ck_assert_uint_eq(net.seen.requests, 2);
    net_receive_request(&net.a, COAPMSG_CON, 1001);
    ck_assert_uint_eq(net.seen.requests, 3);
    net_pass(3000);
    net_receive_request(&net.a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(net.seen.requests, 4);
}
END_TEST

/* A device whose message IDs begin anew when it restarts. */
START_TEST(another_request_under_an_id_that_was_used_is_no_copy)
{
    struct coapmsg msg;

    net.seen.on_request = answer_at_once;
    net_receive_request(&net.a, COAPMSG_CON, 1000);
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    msg.id = 1000;
    coapmsg_set_token(&msg, "tok", 3);
    coapmsg_add_path(&msg, "/x");
    coapmsg_set_payload(&msg, "other", 5);
    net_receive(&net.a, &msg);
    ck_assert_uint_eq(net.seen.requests, 2);
    ck_assert_uint_eq(net.sent_count, 2);
    net_receive(&net.a, &msg); /* but both have copies */
    net_receive_request(&net.a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(net.seen.requests, 2);
    ck_assert_uint_eq(net.sent_count, 4);
}
END_TEST

START_TEST(an_answer_that_is_not_kept_is_given_anew)
{
    struct endpoint_stats stats = {0};

    net.seen.on_request = answer_and_forget;
    net_receive_request(&net.a, COAPMSG_CON, 1);
    net_receive_request(&net.a, COAPMSG_CON, 1);
    ck_assert_uint_eq(net.seen.requests, 2);
    ck_assert_uint_eq(net.sent_count, 2);
    udp_add_stats(&net.udp.base, &stats);
    ck_assert_uint_eq(stats.kept, 0);
    ck_assert_uint_eq(stats.held, 0);
}
END_TEST

START_TEST(a_copy_of_a_request_under_way_is_ignored)
{
    net_receive_request(&net.a, COAPMSG_CON, 1);
    net_receive_request(&net.a, COAPMSG_CON, 1);
    ck_assert_uint_eq(net.seen.requests, 1);
    ck_assert_uint_eq(net.sent_count, 0);
    net_pass(199);
    ck_assert_uint_eq(net.sent_count, 0);
    net_pass(1);
    net_check_empty(COAPMSG_ACK, 1);
    net_receive_request(&net.a, COAPMSG_CON, 1); /* the ACK was lost */
    ck_assert_uint_eq(net.sent_count, 2);
    net_check_empty(COAPMSG_ACK, 1);
    ck_assert_uint_eq(net.seen.requests, 1);
    answer(net.seen.incoming, true);
    check_answer(COAPMSG_CON);
    net_receive_request(&net.a, COAPMSG_CON, 1); /* and again */
    net_check_empty(COAPMSG_ACK, 1);
    ck_assert_uint_eq(net.seen.requests, 1);
}
END_TEST

START_TEST(an_answer_in_time_goes_into_the_ack)
{
    net_receive_request(&net.a, COAPMSG_CON, 1);
    net_pass(199);
    answer(net.seen.incoming, true);
    check_answer(COAPMSG_ACK);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 1);
}
END_TEST

START_TEST(a_late_answer_is_a_message_of_its_own)
{
    net_receive_request(&net.a, COAPMSG_CON, 1);
    net_pass(5000);
    answer(net.seen.incoming, true);
    check_answer(COAPMSG_CON);
    ck_assert_uint_eq(net.sent_count, 2);
    net_pass(3000);
    ck_assert_uint_eq(net.sent_count, 3);
    ck_assert_mem_eq(net.sent[1].data, net.sent[2].data, net.sent[1].size);
    net_receive_empty(&net.a, _i ? COAPMSG_RST : COAPMSG_ACK, net_last_message()->id);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 3);
    ck_assert_uint_eq(net.udp.answer_count, 0);
}
END_TEST

START_TEST(a_late_answer_that_nobody_takes_is_given_up)
{
    net_receive_request(&net.a, COAPMSG_CON, 1);
    net_pass(500);
    answer(net.seen.incoming, true);
    udp_refuse(&net.udp, &net.a, net_last()->data, net_last()->size);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 6); /* the ACK, the answer and four copies */
    ck_assert_uint_eq(net.udp.answer_count, 0);
}
END_TEST

START_TEST(a_non_confirmable_request_is_answered_so)
{
    net_receive_request(&net.a, COAPMSG_NON, 1);
    net_pass(5000);
    ck_assert_uint_eq(net.sent_count, 0);
    answer(net.seen.incoming, true);
    check_answer(COAPMSG_NON);
    net_receive_request(&net.a, COAPMSG_NON, 1);
    ck_assert_uint_eq(net.sent_count, 1);
    ck_assert_uint_eq(net.seen.requests, 1);
    net_pass(146000);
    ck_assert_uint_eq(net.sent_count, 1);
    net_receive_request(&net.a, COAPMSG_NON, 1);
    ck_assert_uint_eq(net.seen.requests, 2);
}
END_TEST

START_TEST(a_dropped_request_has_no_answer)
{
    net_receive_request(&net.a, COAPMSG_CON, 1);
    incoming_drop(net.seen.incoming, _i);
    net_pass(1000);
    ck_assert_uint_eq(net.sent_count, 0);
    net_receive_request(&net.a, COAPMSG_CON, 1);
    ck_assert_uint_eq(net.seen.requests, _i ? 1 : 2);
    net_receive_request(&net.a, COAPMSG_CON, 2);
    net_pass(300);
    net.sent_count = 0;
    incoming_drop(net.seen.incoming, true);
    net_receive_request(&net.a, COAPMSG_CON, 2);
    net_check_empty(COAPMSG_ACK, 2); /* as before */
}
END_TEST

START_TEST(kept_answers_have_a_limit_and_the_oldest_go)
{
    struct endpoint_stats stats = {0};
    unsigned before;

    net.seen.on_request = answer_at_once;
    for (unsigned i = 0; i < 5000; i++)
        net_receive_request(&net.a, COAPMSG_CON, (uint16_t)i);
    udp_add_stats(&net.udp.base, &stats);
    ck_assert_uint_le(stats.kept_bytes, 65536);
    ck_assert_uint_gt(stats.kept_bytes, 65000);
    ck_assert_uint_ge(stats.kept, 600);
    before = net.seen.requests;
    net_receive_request(&net.a, COAPMSG_CON, 4999);
    net_receive_request(&net.a, COAPMSG_CON, (uint16_t)(5000 - stats.kept));
    ck_assert_uint_eq(net.seen.requests, before);
    net_receive_request(&net.a, COAPMSG_CON, (uint16_t)(5000 - stats.kept - 1));
    ck_assert_uint_eq(net.seen.requests, before + 1);
    net.endpoint.options.kept_bytes = 1000;
    udp_configure(&net.udp.base);
    stats = (struct endpoint_stats){0};
    udp_add_stats(&net.udp.base, &stats);
    ck_assert_uint_le(stats.kept_bytes, 1000);
    net.endpoint.options.kept_bytes = 0;
    net_receive_request(&net.b, COAPMSG_CON, 1);
    net_receive_request(&net.b, COAPMSG_CON, 1);
    ck_assert_uint_eq(net.seen.requests, before + 3);
}
END_TEST

START_TEST(held_requests_have_a_limit)
{
    struct endpoint_stats stats = {0};
    struct incoming *one;
    uint32_t max_age;

    net.endpoint.options.kept_bytes = 1 << 20;
    for (unsigned i = 0; i < UDP_HELD_MAX; i++)
        net_receive_request(&net.a, COAPMSG_CON, (uint16_t)i);
    one = net.seen.incoming;
    ck_assert_uint_eq(net.sent_count, 0);
    net_receive_request(&net.a, COAPMSG_CON, 60000);
    ck_assert_uint_eq(net.seen.requests, UDP_HELD_MAX);
    ck_assert_uint_eq(net_last_message()->code, COAPMSG_UNAVAILABLE);
    ck_assert(coapmsg_get_uint(net_last_message(), COAPMSG_OPT_MAX_AGE, &max_age));
    net_receive_request(&net.a, COAPMSG_NON, 60001);
    ck_assert_uint_eq(net.sent_count, 1);
    udp_add_stats(&net.udp.base, &stats);
    ck_assert_uint_eq(stats.refused, 2);
    ck_assert_uint_eq(stats.held, UDP_HELD_MAX);
    incoming_drop(one, true);
    net_receive_request(&net.a, COAPMSG_CON, 60000); /* there is room net.now */
    ck_assert_uint_eq(net.seen.requests, UDP_HELD_MAX + 1);
}
END_TEST

START_TEST(what_cannot_be_encoded_is_an_internal_error)
{
    struct coapmsg response;

    net_receive_request(&net.a, COAPMSG_CON, 1);
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    response.failed = true;
    incoming_answer(net.seen.incoming, &response, true);
    ck_assert_uint_eq(net_last_message()->code, COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(net_last_message()->token_length, 3);
}
END_TEST

START_TEST(without_a_server_requests_are_reset)
{
    net.endpoint.options.handlers = &net_client_handlers;
    net_receive_request(&net.a, COAPMSG_CON, 1);
    net_check_empty(COAPMSG_RST, 1);
    net_receive_request(&net.a, COAPMSG_NON, 2);
    ck_assert_uint_eq(net.sent_count, 1);
}
END_TEST

/* What is no message ---------------------------------------------------------------------------------------------- */

START_TEST(a_ping_is_answered_with_a_reset)
{
    net_receive_empty(&net.a, COAPMSG_CON, 4711);
    net_check_empty(COAPMSG_RST, 4711);
    ck_assert_uint_eq(net.seen.requests, 0);
    ck_assert_uint_eq(net.udp.stats.malformed, 0);
}
END_TEST

static const struct {
    size_t size;
    const char *bytes;
    bool reset;
} malformed[] = {
    {0, "", false},
    {1, "x", false},
    {3, "\x40\x01\x00", false},
    {4, "\x00\x01\x12\x34", false},            /* version 0 */
    {4, "\x80\x01\x12\x34", false},            /* version 2 */
    {4, "\x49\x01\x12\x34", true},             /* a token of 9 bytes */
    {4, "\x59\x01\x12\x34", false},            /* the same, NON */
    {4, "\x41\x01\x12\x34", true},             /* a token that is missing */
    {5, "\x40\x01\x12\x34\xff", true},         /* a marker without a payload */
    {5, "\x60\x45\x12\x34\xff", false},        /* the same in an ACK */
    {6, "\x40\x01\x12\x34\xf0\x00", true},     /* a reserved delta */
    {6, "\x40\x01\x12\x34\x0f\x00", true},     /* a reserved length */
    {7, "\x40\x01\x12\x34\xe0\xff\xff", true}, /* an option's number over 65535 */
    {7, "\x40\x01\x12\x34\x2d\x10\x00", true}, /* an option that is longer than the datagram */
    {4, "\x40\x20\x12\x34", true},             /* code 1.00 */
    {4, "\x50\x20\x12\x34", false},            /* the same, NON */
    {4, "\x40\xc0\x12\x34", true},             /* code 6.00 */
    {4, "\x40\xe1\x12\x34", true},             /* code 7.01, signalling of RFC 8323 */
    {5, "\x40\x00\x12\x34\xff", true},         /* an empty message that is not empty */
    {5, "\x41\x00\x12\x34x", true},            /* an empty message with a token */
    {4, "\x50\x00\x12\x34", false},            /* an empty NON */
    {4, "\x60\x01\x12\x34", false},            /* a request in an ACK */
    {4, "\x70\x01\x12\x34", false},            /* a request in an RST */
    {4, "\x70\x45\x12\x34", false},            /* a response in an RST */
};

START_TEST(malformed_messages_are_rejected_or_ignored)
{
    udp_input(&net.udp, &net.a, malformed[_i].bytes, malformed[_i].size);
    ck_assert_uint_eq(net.udp.stats.malformed, 1);
    ck_assert_uint_eq(net.seen.requests, 0);
    ck_assert_uint_eq(net.sent_count, malformed[_i].reset);
    if (malformed[_i].reset)
        net_check_empty(COAPMSG_RST, 0x1234);
}
END_TEST

START_TEST(a_request_with_too_many_options_is_rejected)
{
    uint8_t raw[4 + 60] = {0x40, COAPMSG_GET, 0, 9, 0x20};

    udp_input(&net.udp, &net.a, raw, sizeof raw);
    net_check_empty(COAPMSG_RST, 9);
    ck_assert_uint_eq(net.seen.requests, 0);
}
END_TEST

START_TEST(resets_have_a_limit)
{
    for (unsigned i = 0; i < 1000; i++)
        net_receive_empty(&net.a, COAPMSG_CON, (uint16_t)i);
    ck_assert_uint_eq(net.sent_count, UDP_RESETS_PER_S);
    net_pass(1000);
    net_receive_empty(&net.a, COAPMSG_CON, 1);
    ck_assert_uint_eq(net.sent_count, UDP_RESETS_PER_S + 1);
}
END_TEST

/* Notifications --------------------------------------------------------------------------------------------------- */

static struct notice *send_notification(bool confirmable, void *owner)
{
    struct coapmsg msg;
    struct notice *notice;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_CONTENT);
    coapmsg_set_token(&msg, "tok", 3);
    coapmsg_set_payload(&msg, "answer", 6);
    ck_assert_int_eq(endpoint_notify(&net.endpoint, &net.a, &msg, confirmable, owner, &notice), 0);
    check_answer(confirmable ? COAPMSG_CON : COAPMSG_NON);
    return notice;
}

START_TEST(what_became_of_a_notification_is_told)
{
    ck_assert_ptr_nonnull(send_notification(true, &net.a));
    net_receive_empty(&net.a, COAPMSG_ACK, net_last_message()->id);
    ck_assert_uint_eq(net.seen.notified, 1);
    ck_assert_int_eq(net.seen.result, -1);
    ck_assert_ptr_eq(net.seen.owner, &net.a);
    (void)send_notification(true, &net.b);
    udp_refuse(&net.udp, &net.a, net_last()->data, net_last()->size);
    ck_assert_uint_eq(net.seen.notified, 1);
    net_receive_empty(&net.a, COAPMSG_RST, net_last_message()->id);
    ck_assert_uint_eq(net.seen.notified, 2);
    ck_assert_int_eq(net.seen.result, CHANNEL_RESET);
    net.sent_count = 0;
    (void)send_notification(true, &net.a);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 5);
    ck_assert_uint_eq(net.seen.notified, 3);
    ck_assert_int_eq(net.seen.result, CHANNEL_GIVEN_UP);
}
END_TEST

START_TEST(a_cancelled_notification_is_not_sent_again)
{
    struct notice *notice = send_notification(true, &net.a);

    notice_cancel(notice);
    net_receive_empty(&net.a, COAPMSG_RST, net_last_message()->id);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 1);
    ck_assert_uint_eq(net.seen.notified, 0);
}
END_TEST

START_TEST(a_reset_to_a_non_confirmable_notification_is_told)
{
    struct notice *first = send_notification(false, &net.a);
    uint16_t id = net_last_message()->id;

    net_receive_empty(&net.a, COAPMSG_ACK, id); /* which it does not ask for */
    ck_assert_uint_eq(net.seen.notified, 0);
    (void)send_notification(false, &net.b);
    net_receive_empty(&net.a, COAPMSG_RST, net_last_message()->id);
    ck_assert_uint_eq(net.seen.notified, 1);
    ck_assert_int_eq(net.seen.result, CHANNEL_RESET);
    ck_assert_ptr_eq(net.seen.owner, &net.b);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 2);
    notice_cancel(first);
    net_receive_empty(&net.a, COAPMSG_RST, id);
    ck_assert_uint_eq(net.seen.notified, 1);
}
END_TEST

START_TEST(a_notification_that_nobody_asks_about)
{
    ck_assert_ptr_null(send_notification(false, NULL));
    net_receive_empty(&net.a, COAPMSG_RST, net_last_message()->id);
    ck_assert_ptr_null(send_notification(true, NULL));
    net_pass(3000);
    ck_assert_uint_eq(net.sent_count, 3);
    net_receive_empty(&net.a, COAPMSG_ACK, net_last_message()->id);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 3);
    ck_assert_uint_eq(net.seen.notified, 0);
    (void)send_notification(true, NULL); /* ends with the endpoint */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp_serve");
    TCase *tc = suite_add_case(suite, "messages", net_set_up, net_tear_down);

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, another_token_is_another_request);
    tcase_add_test(tc, a_copy_gets_the_same_answer_without_a_second_call);
    tcase_add_test(tc, another_request_under_an_id_that_was_used_is_no_copy);
    tcase_add_test(tc, an_answer_that_is_not_kept_is_given_anew);
    tcase_add_test(tc, a_copy_of_a_request_under_way_is_ignored);
    tcase_add_test(tc, an_answer_in_time_goes_into_the_ack);
    tcase_add_loop_test(tc, a_late_answer_is_a_message_of_its_own, 0, 2);
    tcase_add_test(tc, a_late_answer_that_nobody_takes_is_given_up);
    tcase_add_test(tc, a_non_confirmable_request_is_answered_so);
    tcase_add_loop_test(tc, a_dropped_request_has_no_answer, 0, 2);
    tcase_add_test(tc, kept_answers_have_a_limit_and_the_oldest_go);
    tcase_add_test(tc, held_requests_have_a_limit);
    tcase_add_test(tc, what_cannot_be_encoded_is_an_internal_error);
    tcase_add_test(tc, without_a_server_requests_are_reset);
    tcase_add_test(tc, a_ping_is_answered_with_a_reset);
    tcase_add_loop_test(tc, malformed_messages_are_rejected_or_ignored, 0, (int)array_size(malformed));
    tcase_add_test(tc, a_request_with_too_many_options_is_rejected);
    tcase_add_test(tc, resets_have_a_limit);
    tcase_add_test(tc, what_became_of_a_notification_is_told);
    tcase_add_test(tc, a_cancelled_notification_is_not_sent_again);
    tcase_add_test(tc, a_reset_to_a_non_confirmable_notification_is_told);
    tcase_add_test(tc, a_notification_that_nobody_asks_about);
    return suite_run(suite);
}
