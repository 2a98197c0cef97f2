#include "suite.h"
#include "udp_fixture.h"

#include <errno.h>
#include <string.h>

/* The message layer as client. */

static struct coapmsg request;

static void send_request(struct channel *channel, uint32_t max_retransmit)
{
    net_send_request(channel, max_retransmit, &request);
}

/* Requests that we send ------------------------------------------------------------------------------------------- */

START_TEST(a_request_is_sent_again_at_growing_intervals)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);
    uint64_t first;

    send_request(channel, 4);
    ck_assert_uint_eq(request.token_length, 8);
    ck_assert(channel_awaits_ack(channel));
    net_pass(1999);
    ck_assert_uint_eq(net.sent_count, 1);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 5);
    first = net.sent[1].at - net.sent[0].at;
    ck_assert_uint_ge(first, 2000);
    ck_assert_uint_le(first, 3000);
    for (unsigned i = 1; i < 5; i++) {
        ck_assert_uint_eq(net.sent[i].at - net.sent[i - 1].at, first << (i - 1));
        ck_assert_mem_eq(net.sent[i].data, net.sent[0].data, net.sent[0].size);
    }
    ck_assert_uint_eq(net.seen.events, 1);
    ck_assert_int_eq(net.seen.event, CHANNEL_GIVEN_UP);
    ck_assert_ptr_eq(net.seen.owner, &net.a);
    ck_assert(!channel_awaits_ack(channel));
    ck_assert_uint_eq(net.udp.stats.retransmitted, 4);
    (void)channel_close(channel, true);
}
END_TEST

/* Many at once, each by its own time, whatever becomes of the others. */
START_TEST(retransmissions_do_not_disturb_each_other)
{
    struct channel *channels[200];
    uint16_t ids[200];
    uint64_t begun[200], times[200] = {0};

    for (unsigned i = 0; i < 200; i++) {
        channels[i] = net_open_channel(&net.a, &net.a);
        send_request(channels[i], 1);
        ids[i] = request.id;
        begun[i] = net.now;
        net_pass(7);
    }
    for (unsigned i = 0; i < 200; i += 2)
        channels[i] = channel_close(channels[i], true);
    net_pass(20000);
    ck_assert_uint_eq(net.sent_count, 300);
    ck_assert_uint_eq(net.seen.events, 100);
    for (unsigned k = 200; k < 300; k++) {
        unsigned i = 0;

        while (ids[i] != (net.sent[k].data[2] << 8 | net.sent[k].data[3]))
            i++;
        times[i] = net.sent[k].at - begun[i];
        ck_assert_uint_eq(i % 2, 1);
        ck_assert_uint_ge(times[i], 2000);
        ck_assert_uint_le(times[i], 3000);
    }
    for (unsigned i = 1; i < 200; i += 2) {
        ck_assert_uint_gt(times[i], 0);
        (void)channel_close(channels[i], true);
    }
}
END_TEST

START_TEST(an_empty_ack_ends_the_retransmission)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);

    send_request(channel, 4);
    net_receive_empty(&net.b, COAPMSG_ACK, request.id); /* of another */
    ck_assert(channel_awaits_ack(channel));
    net_receive_empty(&net.a, COAPMSG_ACK, (uint16_t)(request.id + 1));
    ck_assert(channel_awaits_ack(channel));
    net_receive_empty(&net.a, COAPMSG_ACK, request.id);
    ck_assert(!channel_awaits_ack(channel));
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 1);
    ck_assert_uint_eq(net.seen.events, 0);
    net_receive_response(&net.a, &request, COAPMSG_CON, 77, "late");
    ck_assert_uint_eq(net.seen.responses, 1);
    ck_assert(net.seen.separate);
    net_check_empty(COAPMSG_ACK, 77);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(a_reset_is_told)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);

    send_request(channel, _i ? 4 : 0);
    net_receive_empty(&net.a, COAPMSG_RST, request.id);
    ck_assert_int_eq(net.seen.event, CHANNEL_RESET);
    ck_assert_uint_eq(net.seen.events, 1);
    net_receive_empty(&net.a, COAPMSG_RST, request.id);
    ck_assert_uint_eq(net.seen.events, 1);
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 1);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(an_icmp_error_is_told_to_who_sent_it)
{
    struct channel *first = net_open_channel(&net.a, &first), *second = net_open_channel(&net.a, &second);
    uint16_t id;

    send_request(first, _i ? 4 : 0);
    send_request(second, _i ? 4 : 0);
    id = request.id;
    udp_refuse(&net.udp, &net.a, net.sent[0].data, net.sent[0].size);
    ck_assert_uint_eq(net.seen.events, 1);
    ck_assert_int_eq(net.seen.event, CHANNEL_REFUSED);
    ck_assert_ptr_eq(net.seen.owner, &first);
    udp_refuse(&net.udp, &net.a, net.sent[1].data, 4); /* no more is known */
    ck_assert_ptr_eq(net.seen.owner, &second);
    udp_refuse(&net.udp, &net.b, net.sent[1].data, net.sent[1].size);
    udp_refuse(&net.udp, &net.a, net.sent[1].data, 3);
    ck_assert_uint_eq(net.seen.events, 2);
    ck_assert(channel_awaits_ack(second));
    net_pass(4000);
    ck_assert_uint_eq(net.sent_count, _i ? 4 : 2); /* retransmission goes on */
    net_receive_empty(&net.a, COAPMSG_ACK, id);
    udp_refuse(&net.udp, &net.a, net.sent[1].data, net.sent[1].size);
    ck_assert_uint_eq(net.seen.events, 2); /* it was not that one's */
    (void)channel_close(first, true);
    (void)channel_close(second, true);
}
END_TEST

START_TEST(what_leaves_once_leaves_once)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);

    send_request(channel, 0);
    net_pass(1000000);
    ck_assert_uint_eq(net.sent_count, 1);
    ck_assert_uint_eq(net.seen.events, 0);
    ck_assert(channel_awaits_ack(channel));
    net_receive_response(&net.a, &request, COAPMSG_ACK, request.id, "yes");
    ck_assert_uint_eq(net.seen.responses, 1);
    ck_assert(!net.seen.separate);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(what_cannot_be_sent_is_said_at_once)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);
    static uint8_t large[UDP_MAX_DATAGRAM];

    net.send_error = -ENETUNREACH;
    ck_assert_int_eq(net_try_send(channel, 4, &request), -ENETUNREACH);
    ck_assert(!channel_awaits_ack(channel));
    net.send_error = 0;
    net_pass(100000);
    ck_assert_uint_eq(net.sent_count, 0);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_set_payload(&request, large, sizeof large - 13);
    ck_assert_int_eq(channel_send(channel, &request, 2000, 4), 0);
    ck_assert_uint_eq(net_last()->size, UDP_MAX_DATAGRAM - 13 + 13);
    coapmsg_set_payload(&request, large, sizeof large - 12);
    ck_assert_int_eq(channel_send(channel, &request, 2000, 4), -EMSGSIZE);
    request.failed = true;
    ck_assert_int_eq(channel_send(channel, &request, 2000, 4), -EMSGSIZE);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(a_response_must_come_from_whom_it_was_asked_of)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);
    struct peer other = net.a;

    send_request(channel, 4);
    other.address.v4.sin_port ^= 1;
    net_receive_response(&other, &request, COAPMSG_ACK, request.id, "no");
    net_receive_response(&other, &request, COAPMSG_NON, 1, "no");
    net_receive_response(&net.b, &request, COAPMSG_CON, 2, "no");
    ck_assert_uint_eq(net.seen.responses, 0);
    net_check_empty(COAPMSG_RST, 2);
    request.token[0] ^= 1; /* another token */
    net_receive_response(&net.a, &request, COAPMSG_CON, 3, "no");
    net_check_empty(COAPMSG_RST, 3);
    request.token[0] ^= 1;
    request.token_length--; /* a shorter one */
    net_receive_response(&net.a, &request, COAPMSG_NON, 4, "no");
    request.token_length++;
    net_receive_response(&net.a, &request, COAPMSG_ACK, (uint16_t)(request.id + 1), "no"); /* another message ID */
    ck_assert_uint_eq(net.seen.responses, 0);
    ck_assert(channel_awaits_ack(channel));
    net_receive_response(&net.a, &request, COAPMSG_ACK, request.id, "yes");
    ck_assert_uint_eq(net.seen.responses, 1);
    ck_assert_uint_eq(net.udp.stats.unmatched, 6);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(copies_of_a_response_are_not_passed_on)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);

    send_request(channel, 4);
    net_receive_response(&net.a, &request, COAPMSG_ACK, request.id, "one");
    net_receive_response(&net.a, &request, COAPMSG_ACK, request.id, "one");
    ck_assert_uint_eq(net.seen.responses, 1);
    net_receive_response(&net.a, &request, COAPMSG_ACK, request.id, "two"); /* the first may have been made up */
    ck_assert_uint_eq(net.seen.responses, 2);
    net_receive_response(&net.a, &request, COAPMSG_CON, 7, "three"); /* a notification */
    net_receive_response(&net.a, &request, COAPMSG_CON, 7, "three");
    ck_assert_uint_eq(net.seen.responses, 3);
    ck_assert_uint_eq(net.sent_count, 3); /* both were acknowledged */
    net_check_empty(COAPMSG_ACK, 7);
    net_receive_response(&net.a, &request, COAPMSG_NON, 8, "four");
    net_receive_response(&net.a, &request, COAPMSG_NON, 8, "four");
    ck_assert_uint_eq(net.seen.responses, 4);
    ck_assert_uint_eq(net.sent_count, 3);
    (void)channel_close(channel, true);
    net_receive_response(&net.a, &request, COAPMSG_CON, 7, "three"); /* its ACK was lost, and the channel is gone */
    net_check_empty(COAPMSG_ACK, 7);
    ck_assert_uint_eq(net.seen.responses, 4);
    net_receive_response(&net.a, &request, COAPMSG_NON, 9, "five");
    net_check_empty(COAPMSG_RST, 9); /* which ends an observation */
}
END_TEST

START_TEST(each_request_has_a_token_of_its_own_unless_it_keeps_one)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);
    uint8_t token[8];

    send_request(channel, 4);
    memcpy(token, request.token, sizeof token);
    channel_keep_token(channel);
    send_request(channel, 4);
    ck_assert_mem_eq(request.token, token, sizeof token);
    send_request(channel, 4);
    ck_assert_mem_ne(request.token, token, sizeof token);
    net_pass(3000);
    ck_assert_uint_eq(net.sent_count, 4); /* only the last one is sent again */
    memcpy(request.token, token, sizeof token);
    net_receive_response(&net.a, &request, COAPMSG_NON, 1, "old");
    ck_assert_uint_eq(net.seen.responses, 0);
    (void)channel_close(channel, true);
}
END_TEST

/* A gateway that was restarted may number a request as one before: the device then gives that one's answer again. */
START_TEST(a_request_that_is_taken_for_a_copy_leaves_under_another_number)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);
    struct coapmsg older;
    uint16_t id;

    send_request(channel, 2);
    id = request.id;
    coapmsg_init(&older, COAPMSG_CON, COAPMSG_GET);
    coapmsg_set_token(&older, "older", 5);
    for (unsigned i = 1; i <= 2; i++) {
        net_receive_response(&net.a, &older, COAPMSG_ACK, (uint16_t)(id + i - 1), "of the older one");
        ck_assert_uint_eq(net.sent_count, 1 + i);
        ck_assert_uint_eq(net_last_message()->id, (uint16_t)(id + i));
        ck_assert_mem_eq(net_last_message()->token, request.token, request.token_length);
    }
    net_receive_response(&net.a, &older, COAPMSG_ACK, (uint16_t)(id + 2), "once more");
    ck_assert_uint_eq(net.sent_count, 3); /* each counted as a retransmission */
    ck_assert_uint_eq(net.seen.responses, 0);
    net_receive_response(&net.a, &request, COAPMSG_ACK, (uint16_t)(id + 2), "new");
    ck_assert_uint_eq(net.seen.responses, 1);
    net_receive_response(&net.a, &request, COAPMSG_ACK, id, "to the first one, after all");
    ck_assert_uint_eq(net.seen.responses, 2);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(what_leaves_once_is_not_numbered_anew)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);
    struct coapmsg older;

    send_request(channel, 0);
    coapmsg_init(&older, COAPMSG_CON, COAPMSG_GET);
    coapmsg_set_token(&older, "older", 5);
    net_receive_response(&net.a, &older, COAPMSG_ACK, request.id, "of the older one");
    ck_assert_uint_eq(net.sent_count, 1);
    (void)channel_close(channel, true);
}
END_TEST

/* The numbers of a gateway that ran a moment ago are behind those of one that begins. */
START_TEST(a_restarted_gateway_does_not_use_numbers_again)
{
    uint16_t before = 0, after;

    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(udp_take_mid(&net.udp, &net.a, &before), 0);
    net_pass(1000);
    udp_forget_peers(&net.udp);
    ck_assert_int_eq(udp_take_mid(&net.udp, &net.a, &after), 0);
    ck_assert_int_gt((int16_t)(after - before), 0);
}
END_TEST

static void close_channel(void *owner, const struct coapmsg *response, bool separate)
{
    (void)response;
    (void)separate;
    net.seen.responses++;
    (void)channel_close(*(struct channel **)owner, true);
}

START_TEST(a_handler_may_close_its_channel)
{
    static const struct endpoint_handlers closing = {.response = close_channel};
    struct channel *channel;

    net.endpoint.options.handlers = &closing;
    channel = net_open_channel(&net.a, &channel);
    send_request(channel, 4);
    net_receive_response(&net.a, &request, (enum coapmsg_type)_i, request.id, "x");
    ck_assert_uint_eq(net.seen.responses, 1);
}
END_TEST

START_TEST(a_response_with_too_many_options_is_told)
{
    struct channel *channel = net_open_channel(&net.a, &net.a);
    uint8_t raw[12 + 60] = {0x68, COAPMSG_CONTENT};

    send_request(channel, 4);
    raw[2] = (uint8_t)(request.id >> 8);
    raw[3] = (uint8_t)request.id;
    memcpy(raw + 4, request.token, 8);
    raw[12] = 0x20;
    udp_input(&net.udp, &net.a, raw, sizeof raw);
    ck_assert_uint_eq(net.seen.responses, 1);
    ck_assert(net.seen.failed);
    (void)channel_close(channel, true);
}
END_TEST

/* Message IDs ----------------------------------------------------------------------------------------------------- */

START_TEST(no_message_id_is_used_twice_in_its_lifetime)
{
    static uint64_t used[65536];
    struct channel *channel = net_open_channel(&net.a, &net.a);
    unsigned refused = 0, taken = 0;

    memset(used, 0, sizeof used);
    for (unsigned i = 0; i < 600000; i++) {
        net.sent_count = 0;
        net.now += 2; /* 500 per second: more than there are */
        if (net_try_send(channel, 0, &request) == -EAGAIN) {
            refused++;
            continue;
        }
        ck_assert(!used[request.id] || net.now - used[request.id] >= 247000);
        used[request.id] = net.now;
        taken++;
    }
    ck_assert_uint_gt(refused, 1000);
    ck_assert_uint_ge(taken, 4 * 49152);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(message_ids_are_counted_per_peer)
{
    struct channel *first = net_open_channel(&net.a, &net.a), *second = net_open_channel(&net.b, &net.b);
    uint16_t of_a, of_b;

    send_request(first, 0);
    of_a = request.id;
    send_request(second, 0);
    of_b = request.id;
    for (int i = 1; i < 100; i++) {
        send_request(first, 0);
        ck_assert_uint_eq(request.id, (uint16_t)(of_a + i));
        send_request(second, 0);
        ck_assert_uint_eq(request.id, (uint16_t)(of_b + i));
    }
    (void)channel_close(first, true);
    (void)channel_close(second, true);
}
END_TEST

START_TEST(peers_are_forgotten)
{
    struct endpoint_stats stats = {0};

    for (unsigned i = 0; i < UDP_PEERS_MAX + 1000; i++) {
        struct channel *channel;

        net.a.address.v4.sin_addr.s_addr = htonl(0x0a000000 + i);
        channel = net_open_channel(&net.a, &net.a);
        net.sent_count = 0;
        send_request(channel, 0);
        (void)channel_close(channel, true);
    }
    udp_add_stats(&net.udp.base, &stats);
    ck_assert_uint_eq(stats.peers, UDP_PEERS_MAX);
    net_pass(UDP_EXCHANGE_LIFETIME_MS);
    for (unsigned i = 0; i < UDP_PEERS_MAX / 2; i++) {
        uint16_t mid;

        net.a.address.v4.sin_addr.s_addr = htonl(0x0b000000 + i % 100);
        ck_assert_int_eq(udp_take_mid(&net.udp, &net.a, &mid), 0);
    }
    stats.peers = 0;
    udp_add_stats(&net.udp.base, &stats);
    ck_assert_uint_eq(stats.peers, UDP_PEERS_MAX - 4 * 100 + 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp_request");
    TCase *tc = suite_add_case(suite, "messages", net_set_up, net_tear_down);

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, a_request_is_sent_again_at_growing_intervals);
    tcase_add_test(tc, retransmissions_do_not_disturb_each_other);
    tcase_add_test(tc, an_empty_ack_ends_the_retransmission);
    tcase_add_loop_test(tc, a_reset_is_told, 0, 2);
    tcase_add_loop_test(tc, an_icmp_error_is_told_to_who_sent_it, 0, 2);
    tcase_add_test(tc, what_leaves_once_leaves_once);
    tcase_add_test(tc, what_cannot_be_sent_is_said_at_once);
    tcase_add_test(tc, a_response_must_come_from_whom_it_was_asked_of);
    tcase_add_test(tc, copies_of_a_response_are_not_passed_on);
    tcase_add_test(tc, each_request_has_a_token_of_its_own_unless_it_keeps_one);
    tcase_add_test(tc, a_request_that_is_taken_for_a_copy_leaves_under_another_number);
    tcase_add_test(tc, what_leaves_once_is_not_numbered_anew);
    tcase_add_test(tc, a_restarted_gateway_does_not_use_numbers_again);
    tcase_add_loop_test(tc, a_handler_may_close_its_channel, COAPMSG_CON, COAPMSG_ACK + 1);
    tcase_add_test(tc, a_response_with_too_many_options_is_told);
    tcase_add_test(tc, no_message_id_is_used_twice_in_its_lifetime);
    tcase_add_test(tc, message_ids_are_counted_per_peer);
    tcase_add_test(tc, peers_are_forgotten);
    return suite_run(suite);
}
