#include "connected_fixture.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* Messages over DTLS, TCP and TLS: requests, answers, notifications, copies, sessions that go. */

static struct connected_gateway *const gateway = &connected.gateway;
static struct connected_device *const device = &connected.device;

static const enum peer_transport transports[] = {PEER_DTLS, PEER_TCP, PEER_TLS};
static const char *const identities[] = {"box-1", "-", "box-1"};

static uv_timer_t timer;

/* A channel of box-1 to a gateway that serves this transport. */
static struct channel *connect_by(int i)
{
    connected_open_gateway(false);
    connected_open_device(NULL);
    return connected_open(connected_serve(transports[i]), &box_1);
}

static struct endpoint_stats stats_of(const struct endpoint *endpoint)
{
    struct endpoint_stats stats;

    endpoint_get_stats(endpoint, &stats);
    return stats;
}

static void hold(struct incoming *incoming)
{
    gateway->held = incoming;
}

static void answer_held(const char *text, bool keep)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_set_payload(&response, text, strlen(text));
    incoming_answer(steal_pointer(gateway->held), &response, keep);
}

static void on_timer(uv_timer_t *t)
{
    (void)t;
    answer_held("later", true);
}

static void answer_after(uint64_t ms)
{
    (void)uv_timer_init(&connected.loop, &timer);
    (void)uv_timer_start(&timer, on_timer, ms, 0);
}

/* Requests --------------------------------------------------------------------------------------------------------- */

START_TEST(a_request_is_answered)
{
    struct channel *channel = connect_by(_i);

    connected_check_works(channel, identities[_i]);
    ck_assert(!device->separate);
    ck_assert_str_eq(gateway->path, "/a");
    ck_assert_uint_eq(gateway->peer.transport, transports[_i]);
    ck_assert_uint_eq(gateway->peer.address.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    ck_assert_uint_ne(gateway->peer.session, 0);
    connected_check_works(channel, identities[_i]);
    ck_assert_uint_eq(gateway->requests, 2);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 1);
    (void)channel_close(channel, false);
}
END_TEST

/* Nothing is kept from the server room: not the path that libcoap serves itself, not the root, no method, no option. */
START_TEST(every_request_arrives)
{
    static const char *const paths[] = {"", "/.well-known/core", "/shadow/reported", "/a/b/c"};
    struct channel *channel = connect_by(_i);
    unsigned expected = 0;

    for (size_t p = 0; p < array_size(paths); p++)
        for (uint8_t method = COAPMSG_GET; method <= COAPMSG_IPATCH; method++) {
            connected_send(channel, method, paths[p], "x");
            ck_assert(connected_run(&device->responses, ++expected, 5000));
            ck_assert_uint_eq(gateway->requests, expected);
            ck_assert_uint_eq(gateway->code, method);
            ck_assert_str_eq(gateway->path, paths[p]);
            ck_assert_uint_eq(device->code, COAPMSG_CHANGED);
        }
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(options_arrive)
{
    struct channel *channel = connect_by(_i);
    struct coapmsg request;

    coapmsg_init(&request, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&request, COAPMSG_OPT_OSCORE, "\x09\x01\x02", 3);
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, 0);
    coapmsg_add_uint(&request, COAPMSG_OPT_BLOCK1, 0x0e);
    coapmsg_add_uint(&request, COAPMSG_OPT_BLOCK2, 0x06);
    coapmsg_add_uint(&request, COAPMSG_OPT_SIZE1, 70000);
    coapmsg_add(&request, 252, "echo", 4);
    coapmsg_add(&request, 292, "tag", 3);
    coapmsg_add_uint(&request, 65001, 1);
    coapmsg_add_uint(&request, 65005, 1);
    ck_assert_int_eq(channel_send(channel, &request, 1000, 1), 0);
    ck_assert(connected_run(&device->responses, 1, 5000));
    ck_assert_str_eq(gateway->options_seen, " 6 9 23 27 60 252 292 65001 65005");
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(blocks_fit)
{
    struct channel *channel = connect_by(_i);
    uint8_t block[1024];

    memset(block, 0xa5, sizeof block);
    connected_send_bytes(channel, COAPMSG_PUT, "/container/some-name-of-a-container/and/more/that/makes/it/long", block,
                         sizeof block);
    ck_assert(connected_run(&device->responses, 1, 5000));
    ck_assert_uint_eq(gateway->payload_size, sizeof block);
    ck_assert_mem_eq(gateway->payload, block, sizeof block);
    ck_assert_uint_eq(device->payload_size, sizeof block);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(what_is_too_large_is_not_sent)
{
    struct channel *channel = connect_by(_i);
    static uint8_t large[8192];
    struct coapmsg request;

    connected_check_works(channel, identities[_i]);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_set_payload(&request, large, sizeof large);
    ck_assert_int_eq(channel_send(channel, &request, 1000, 1), -EMSGSIZE);
    connected_check_works(channel, identities[_i]);
    (void)channel_close(channel, false);
}
END_TEST

static void answer_too_much(struct incoming *incoming)
{
    static uint8_t large[8192];
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_set_payload(&response, large, sizeof large);
    incoming_answer(incoming, &response, true);
}

START_TEST(an_answer_that_does_not_fit_is_an_error)
{
    struct channel *channel = connect_by(_i);

    gateway->script = answer_too_much;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(connected_run(&device->responses, 1, 5000));
    ck_assert_uint_eq(device->code, COAPMSG_INTERNAL_ERROR);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(an_answer_may_come_later)
{
    struct channel *channel = connect_by(_i);

    gateway->script = hold;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(connected_run(&gateway->requests, 1, 5000));
    answer_after(700);
    connected_run_for(400);
    ck_assert_uint_eq(stats_of(gateway->endpoint).held, 1);
    ck_assert(connected_run(&device->responses, 1, 5000));
    ck_assert_uint_eq(device->code, COAPMSG_CONTENT);
    ck_assert_uint_eq(device->payload_size, 5);
    ck_assert_int_eq(device->separate, transports[_i] == PEER_DTLS);
    ck_assert_uint_eq(gateway->requests, 1);
    ck_assert_uint_eq(stats_of(gateway->endpoint).held, 0);
    uv_close((uv_handle_t *)&timer, NULL);
    gateway->script = NULL;
    connected_check_works(channel, identities[_i]);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(an_answer_that_comes_soon_is_in_the_ack)
{
    struct channel *channel = connect_by(_i);

    gateway->script = hold;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(connected_run(&gateway->requests, 1, 5000));
    answer_after(50);
    ck_assert(connected_run(&device->responses, 1, 5000));
    ck_assert(!device->separate);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(an_acknowledged_request_is_known_to_be)
{
    struct channel *channel = connect_by(_i);

    gateway->script = hold;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(channel_awaits_ack(channel));
    ck_assert(connected_run(&gateway->requests, 1, 5000));
    connected_run_for(300);
    (void)channel_awaits_ack(channel); /* asks the peer */
    connected_run_for(100);
    ck_assert(!channel_awaits_ack(channel));
    answer_held("x", true);
    ck_assert(connected_run(&device->responses, 1, 5000));
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(a_request_that_is_dropped_has_no_answer)
{
    struct channel *channel = connect_by(_i);

    gateway->script = hold;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(connected_run(&gateway->requests, 1, 5000));
    incoming_drop(steal_pointer(gateway->held), true);
    connected_run_for(1800);
    ck_assert_uint_eq(device->responses, 0);
    ck_assert_uint_eq(gateway->requests, 1);
    ck_assert_uint_eq(stats_of(gateway->endpoint).held, 0);
    (void)channel_close(channel, false);
}
END_TEST

/* Copies ----------------------------------------------------------------------------------------------------------- */

static struct relay relay;

static struct channel *connect_by_relay(void)
{
    struct channel *channel;

    connected_open_gateway(false);
    connected_open_device(NULL);
    channel = connected_open(relay_open(&relay, PEER_DTLS), &box_1);
    connected_check_works(channel, "box-1");
    return channel;
}

START_TEST(a_copy_gets_the_answer_again)
{
    struct channel *channel = connect_by_relay();

    relay.lose_to_device = 1;
    connected_check_works(channel, "box-1");
    ck_assert_uint_eq(gateway->requests, 2);
    ck_assert_uint_eq(stats_of(gateway->endpoint).duplicates, 1);
    ck_assert_uint_eq(stats_of(gateway->endpoint).kept, 2);
    ck_assert_uint_gt(stats_of(gateway->endpoint).kept_bytes, 0);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

START_TEST(a_copy_of_a_held_request_is_not_new)
{
    struct channel *channel = connect_by_relay();

    gateway->script = hold;
    relay.lose_to_device = 1; /* the empty ACK */
    connected_send(channel, COAPMSG_GET, "/a", "");
    connected_run_for(2000);
    ck_assert_uint_eq(gateway->requests, 2);
    ck_assert_uint_eq(stats_of(gateway->endpoint).duplicates, 1);
    answer_held("x", true);
    ck_assert(connected_run(&device->responses, 2, 5000));
    ck_assert_uint_eq(gateway->requests, 2);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

START_TEST(a_separate_answer_is_retransmitted)
{
    struct channel *channel = connect_by_relay();

    gateway->script = hold;
    connected_send(channel, COAPMSG_GET, "/a", "");
    connected_run_for(400);
    relay.lose_to_device = 1;
    answer_held("x", true);
    ck_assert(connected_run(&device->responses, 2, 5000));
    ck_assert(device->separate);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

START_TEST(an_answer_that_is_not_kept_is_made_again)
{
    struct channel *channel = connect_by_relay();

    gateway->script = hold;
    relay.lose_to_device = 1;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(connected_run(&gateway->requests, 2, 5000));
    answer_held("x", false);
    ck_assert(connected_run(&gateway->requests, 3, 5000));
    answer_held("x", false);
    ck_assert(connected_run(&device->responses, 2, 5000));
    ck_assert_uint_eq(stats_of(gateway->endpoint).kept, 1);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

START_TEST(kept_answers_have_a_limit)
{
    struct channel *channel = connect_by(0);

    gateway->options.kept_bytes = 2000;
    endpoint_configure(gateway->endpoint, &gateway->options);
    for (unsigned i = 0; i < 30; i++) {
        connected_check_works(channel, "box-1");
        ck_assert_uint_le(stats_of(gateway->endpoint).kept_bytes, 2000);
    }
    ck_assert_uint_gt(stats_of(gateway->endpoint).kept, 1);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(a_request_that_leaves_once_is_not_retransmitted)
{
    struct channel *channel = connect_by_relay();
    struct coapmsg request;
    unsigned before;

    connected_run_for(50);
    before = relay.to_gateway;
    relay.lose_to_gateway = 1;
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    ck_assert_int_eq(channel_send(channel, &request, 1000, 0), 0);
    connected_run_for(4000);
    ck_assert_uint_eq(relay.to_gateway, before + 1);
    ck_assert_uint_eq(device->events, 0);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

START_TEST(a_request_that_nobody_acknowledges_is_given_up)
{
    struct channel *channel = connect_by_relay();

    relay.lose_to_gateway = 1000;
    connected_send(channel, COAPMSG_PUT, "/a", "");
    ck_assert(connected_run(&device->events, 1, 10000));
    ck_assert_int_eq(device->event, CHANNEL_GIVEN_UP);
    ck_assert_uint_eq(gateway->requests, 1);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

START_TEST(a_lost_handshake_message_is_sent_again)
{
    struct channel *channel;

    connected_open_gateway(false);
    connected_open_device(NULL);
    channel = connected_open(relay_open(&relay, PEER_DTLS), &box_1);
    relay.lose_to_gateway = 1;
    connected_check_works(channel, "box-1");
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

/* A device that lost its session, as after a power cut, begins anew from the same port. */
START_TEST(a_device_that_begins_anew_is_let_in)
{
    struct channel *channel = connect_by_relay();
    struct coapmsg request;
    char address[64];

    relay.lose_to_gateway = 1; /* the alert */
    (void)channel_close(channel, false);
    connected_run_for(50);
    ck_assert_uint_eq(relay.lose_to_gateway, 0);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 1);
    relay_address(&relay, address);
    channel = connected_open(address, &box_2);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    ck_assert_int_eq(channel_send(channel, &request, 1000, 4), 0);
    ck_assert(connected_run(&device->responses, 2, 20000));
    ck_assert_str_eq(gateway->identity, "box-2");
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 1);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

/* But a hello alone, which anybody can send, ends nothing. */
START_TEST(a_forged_hello_ends_nothing)
{
    static const uint8_t hello[14] = {0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    struct channel *channel = connect_by_relay();
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)hello, sizeof hello);

    ck_assert_int_eq(uv_udp_try_send(&relay.back, &buf, 1, (struct sockaddr *)&relay.gateway), sizeof hello);
    connected_run_for(4000);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 1);
    connected_check_works(channel, "box-1");
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

/* Notifications ---------------------------------------------------------------------------------------------------- */

static int notify(const char *text, bool confirmable, struct notice **out)
{
    struct coapmsg notification;

    coapmsg_init(&notification, COAPMSG_NON, COAPMSG_CONTENT);
    coapmsg_add_uint(&notification, COAPMSG_OPT_OBSERVE, 5);
    coapmsg_set_token(&notification, gateway->token, gateway->token_length);
    coapmsg_set_payload(&notification, text, strlen(text));
    return endpoint_notify(gateway->endpoint, &gateway->peer, &notification, confirmable, &connected, out);
}

START_TEST(notifications_arrive_in_order)
{
    struct channel *channel = connect_by(_i);
    char text[16];

    connected_check_works(channel, identities[_i]);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof text, "n%u", i);
        ck_assert_int_eq(notify(text, i % 2, NULL), 0);
        ck_assert(connected_run(&device->responses, i + 2, 5000));
        ck_assert_uint_eq(device->payload_size, strlen(text));
        ck_assert_mem_eq(device->payload, text, strlen(text));
        ck_assert(device->has_observe);
    }
    ck_assert(connected_run(&gateway->notified, 10, 5000));
    ck_assert_int_eq(gateway->notified_event, -1);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(a_cancelled_notice_tells_nothing)
{
    struct channel *channel = connect_by(_i);
    struct notice *notice;

    connected_check_works(channel, identities[_i]);
    ck_assert_int_eq(notify("x", true, &notice), 0);
    ck_assert_ptr_nonnull(notice);
    notice_cancel(notice);
    connected_run_for(300);
    ck_assert_uint_eq(gateway->notified, 0);
    ck_assert_int_eq(notify("x", false, &notice), 0);
    ck_assert_ptr_null(notice);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(a_notification_that_is_not_wanted_is_told)
{
    struct channel *channel = connect_by(0);

    connected_check_works(channel, "box-1");
    memset(gateway->token, 0xee, sizeof gateway->token);
    ck_assert_int_eq(notify("x", true, NULL), 0);
    ck_assert(connected_run(&gateway->notified, 1, 5000));
    ck_assert_int_eq(gateway->notified_event, CHANNEL_RESET);
    ck_assert_uint_eq(device->responses, 1);
    ck_assert_uint_eq(stats_of(device->endpoint).unmatched, 1);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(a_notification_that_nobody_acknowledges_is_told)
{
    struct channel *channel = connect_by_relay();

    relay.lose_to_device = 1000;
    ck_assert_int_eq(notify("x", true, NULL), 0);
    ck_assert(connected_run(&gateway->notified, 1, 15000));
    ck_assert_int_eq(gateway->notified_event, CHANNEL_GIVEN_UP);
    (void)channel_close(channel, false);
    relay_close(&relay);
}
END_TEST

START_TEST(a_notification_over_a_session_that_ends_is_told)
{
    struct channel *channel = connect_by(_i);

    connected_check_works(channel, identities[_i]);
    ck_assert_int_eq(notify("x", true, NULL), 0);
    (void)channel_close(channel, false);
    ck_assert(connected_run(&gateway->notified, 1, 15000));
    connected_run_for(50);
    ck_assert_int_eq(notify("x", true, NULL), -ENOTCONN);
    ck_assert_uint_eq(gateway->notified, 1);
}
END_TEST

/* An address is not somebody: the next session from there is another one. */
START_TEST(a_notification_is_for_one_session_only)
{
    struct channel *channel = connect_by(_i);

    connected_check_works(channel, identities[_i]);
    gateway->peer.session++;
    ck_assert_int_eq(notify("x", true, NULL), -ENOTCONN);
    (void)channel_close(channel, false);
}
END_TEST

START_TEST(a_token_can_be_kept)
{
    struct channel *channel = connect_by(_i);
    uint8_t token[8];

    connected_check_works(channel, identities[_i]);
    memcpy(token, gateway->token, gateway->token_length);
    channel_keep_token(channel);
    connected_check_works(channel, identities[_i]);
    ck_assert_mem_eq(gateway->token, token, gateway->token_length);
    connected_check_works(channel, identities[_i]);
    ck_assert_mem_ne(gateway->token, token, gateway->token_length);
    (void)channel_close(channel, false);
}
END_TEST

/* Sessions --------------------------------------------------------------------------------------------------------- */

START_TEST(an_idle_session_is_used_again)
{
    struct channel *channel = connect_by(_i);
    char address[64];

    strcpy(address, "");
    connected_check_works(channel, identities[_i]);
    (void)channel_close(channel, true);
    (void)snprintf(address, sizeof address, "%s://127.0.0.1:%u",
                   transports[_i] == PEER_DTLS  ? "coaps"
                   : transports[_i] == PEER_TCP ? "coap+tcp"
                                                : "coaps+tcp",
                   endpoint_port(gateway->endpoint, transports[_i]));
    channel = connected_open(address, &box_1);
    connected_check_works(channel, identities[_i]);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 1);
    ck_assert_uint_eq(stats_of(device->endpoint).sessions, 1);
    (void)channel_close(channel, true);
    if (transports[_i] == PEER_TCP)
        return;
    channel = connected_open(address, &box_2);
    connected_check_works(channel, "box-2");
    ck_assert_uint_eq(stats_of(device->endpoint).sessions, 2);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(idle_sessions_have_a_limit)
{
    const char *address;

    connected_open_gateway(false);
    connected_open_device(NULL);
    address = connected_serve(transports[_i]);
    device->options.max_idle = 1;
    endpoint_configure(device->endpoint, &device->options);
    for (unsigned i = 0; i < 4; i++) {
        struct channel *channel = connected_open(address, i % 2 ? &box_1 : &box_2);

        connected_check_works(channel, transports[_i] == PEER_TCP ? "-" : i % 2 ? "box-1" : "box-2");
        (void)channel_close(channel, true);
    }
    connected_run_for(50);
    ck_assert_uint_eq(stats_of(device->endpoint).sessions, 1);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 1);
    device->options.max_idle = 0;
    endpoint_configure(device->endpoint, &device->options);
    connected_run_for(50);
    ck_assert_uint_eq(stats_of(device->endpoint).sessions, 0);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 0);
}
END_TEST

START_TEST(peers_sessions_have_a_limit)
{
    struct channel *channels[4];
    const char *address;

    connected_open_gateway(false);
    connected_open_device(NULL);
    gateway->options.max_sessions = 3;
    endpoint_configure(gateway->endpoint, &gateway->options);
    address = connected_serve(transports[_i]);
    for (unsigned i = 0; i < 3; i++) {
        channels[i] = connected_open(address, &box_1);
        connected_check_works(channels[i], identities[_i]);
    }
    connected_check_works(channels[0], identities[_i]); /* so that the second is the longest unused */
    channels[3] = connected_open(address, &box_1);
    connected_send(channels[3], COAPMSG_PUT, "/a", "hello");
    ck_assert(connected_run(&device->responses, 5, 5000));
    connected_run_for(100);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 3);
    ck_assert_uint_eq(device->events, 1); /* of the second */
    device->events = 0;
    connected_check_works(channels[0], identities[_i]);
    connected_check_works(channels[2], identities[_i]);
    connected_check_works(channels[3], identities[_i]);
    for (unsigned i = 0; i < 4; i++)
        (void)channel_close(channels[i], false);
}
END_TEST

/* Whoever proves nothing cannot drive out those who have proved who they are. */
START_TEST(strangers_do_not_drive_out_devices)
{
    struct channel *known_one, *strangers[5];
    char secure[64];
    const char *plain;

    connected_open_gateway(false);
    connected_open_device(NULL);
    gateway->options.max_sessions = 2;
    endpoint_configure(gateway->endpoint, &gateway->options);
    strcpy(secure, connected_serve(PEER_DTLS));
    plain = connected_serve(PEER_TCP);
    known_one = connected_open(secure, &box_1);
    connected_check_works(known_one, "box-1");
    for (unsigned i = 0; i < 5; i++) {
        strangers[i] = connected_open(plain, NULL);
        connected_send(strangers[i], COAPMSG_PUT, "/a", "hello");
        ck_assert(connected_run(&device->responses, i + 2, 5000));
        connected_run_for(20);
        ck_assert_uint_eq(device->events, i > 1); /* of the last but one */
        device->events = 0;
    }
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 3);
    connected_check_works(known_one, "box-1");
    (void)channel_close(known_one, false);
    for (unsigned i = 0; i < 5; i++)
        (void)channel_close(strangers[i], false);
}
END_TEST

START_TEST(a_closed_port_is_told)
{
    const char *address = _i == 0   ? "coaps://127.0.0.1:1"
                          : _i == 1 ? "coap+tcp://127.0.0.1:1"
                                    : "coaps+tcp://127.0.0.1:1";

    connected_open_device(NULL);
    connected_check_fails(address, &box_1, CHANNEL_REFUSED);
    ck_assert_uint_eq(stats_of(device->endpoint).sessions, 0);
}
END_TEST

START_TEST(a_peer_that_is_silent_is_given_up)
{
    connected_open_gateway(false);
    connected_open_device(NULL);
    const char *address = relay_open(&relay, PEER_DTLS);

    relay.lose_to_device = 1000;
    connected_check_fails(address, &box_1, CHANNEL_GIVEN_UP);
    relay_close(&relay);
}
END_TEST

START_TEST(a_gateway_that_goes_is_told)
{
    struct channel *channel = connect_by(_i);

    gateway->script = hold;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(connected_run(&gateway->requests, 1, 5000));
    endpoint_drop_identity(gateway->endpoint, "box-1");
    if (transports[_i] == PEER_TCP) {
        gateway->options.max_sessions = 0;
        endpoint_configure(gateway->endpoint, &gateway->options);
        (void)channel_close(connected_open("coap+tcp://127.0.0.1:1", NULL), false);
        incoming_drop(steal_pointer(gateway->held), true);
        (void)channel_close(channel, false);
        return;
    }
    ck_assert(connected_run(&device->events, 1, 5000));
    ck_assert_int_eq(device->event, CHANNEL_REFUSED);
    answer_held("nobody hears this", true);
    ck_assert_uint_eq(stats_of(gateway->endpoint).held, 0);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 0);
    (void)channel_close(channel, false);
}
END_TEST

static struct channel *to_close;

static void close_in_callback(void)
{
    to_close = channel_close(to_close, false);
}

START_TEST(a_channel_may_be_closed_in_a_callback)
{
    to_close = connect_by(_i);
    device->script = close_in_callback;
    connected_send(to_close, COAPMSG_PUT, "/a", "hello");
    ck_assert(connected_run(&device->responses, 1, 5000));
    connected_run_for(50);
    ck_assert_ptr_null(to_close);
    ck_assert_uint_eq(stats_of(device->endpoint).sessions, 0);
    ck_assert_uint_eq(stats_of(gateway->endpoint).sessions, 0);
    ck_assert_uint_eq(device->events, 0);
}
END_TEST

START_TEST(an_endpoint_may_be_closed_with_everything_open)
{
    struct channel *channel = connect_by(_i);

    connected_check_works(channel, identities[_i]);
    ck_assert_int_eq(notify("x", true, NULL), 0);
    gateway->script = hold;
    connected_send(channel, COAPMSG_GET, "/a", "");
    ck_assert(connected_run(&gateway->requests, 2, 5000));
    connected_send(channel, COAPMSG_GET, "/b", "");
    (void)channel_close(channel, false); /* the tear-down does the rest */
}
END_TEST

START_TEST(an_address_that_is_taken_is_refused)
{
    char address[32], reason[256];

    connected_open_gateway(false);
    connected_open_device(NULL);
    (void)connected_serve(transports[_i]);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", endpoint_port(gateway->endpoint, transports[_i]));
    ck_assert_int_eq(endpoint_listen(device->endpoint, transports[_i], address, reason, sizeof reason), -EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(reason, address));
    ck_assert_uint_eq(endpoint_port(device->endpoint, transports[_i]), 0);
    ck_assert_int_eq(endpoint_listen(gateway->endpoint, transports[_i], "127.0.0.1:0", reason, sizeof reason),
                     -EALREADY);
    ck_assert_int_eq(endpoint_listen(device->endpoint, transports[_i], "127.0.0.1", reason, sizeof reason), -EINVAL);
}
END_TEST

START_TEST(both_families_are_served)
{
    static const char *const schemes[] = {"coaps", "coap+tcp", "coaps+tcp"};
    char address[64], reason[256];
    struct channel *channel;

    connected_open_gateway(false);
    connected_open_device(NULL);
    ck_assert_int_eq(endpoint_listen(gateway->endpoint, transports[_i], "[::]:0", reason, sizeof reason), 0);
    for (unsigned v6 = 0; v6 < 2; v6++) {
        (void)snprintf(address, sizeof address, "%s://%s:%u", schemes[_i], v6 ? "[::1]" : "127.0.0.1",
                       endpoint_port(gateway->endpoint, transports[_i]));
        channel = connected_open(address, &box_1);
        connected_check_works(channel, identities[_i]);
        ck_assert_uint_eq(gateway->peer.address.any.sa_family, v6 ? AF_INET6 : AF_INET);
        (void)channel_close(channel, false);
    }
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const tests[], size_t count, int from, int to)
{
    TCase *tc = connected_case(name);

    for (size_t i = 0; i < count; i++)
        tcase_add_loop_test(tc, tests[i], from, to);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    const TTest *const by_each[] = {a_request_is_answered,
                                    every_request_arrives,
                                    options_arrive,
                                    blocks_fit,
                                    what_is_too_large_is_not_sent,
                                    an_answer_that_does_not_fit_is_an_error,
                                    an_answer_may_come_later,
                                    an_answer_that_comes_soon_is_in_the_ack,
                                    an_acknowledged_request_is_known_to_be,
                                    a_request_that_is_dropped_has_no_answer,
                                    notifications_arrive_in_order,
                                    a_cancelled_notice_tells_nothing,
                                    a_notification_over_a_session_that_ends_is_told,
                                    a_notification_is_for_one_session_only,
                                    a_token_can_be_kept,
                                    an_idle_session_is_used_again,
                                    idle_sessions_have_a_limit,
                                    peers_sessions_have_a_limit,
                                    a_closed_port_is_told,
                                    a_gateway_that_goes_is_told,
                                    a_channel_may_be_closed_in_a_callback,
                                    an_endpoint_may_be_closed_with_everything_open,
                                    an_address_that_is_taken_is_refused,
                                    both_families_are_served};
    const TTest *const by_dtls[] = {a_copy_gets_the_answer_again,
                                    a_copy_of_a_held_request_is_not_new,
                                    a_separate_answer_is_retransmitted,
                                    an_answer_that_is_not_kept_is_made_again,
                                    kept_answers_have_a_limit,
                                    a_request_that_leaves_once_is_not_retransmitted,
                                    a_request_that_nobody_acknowledges_is_given_up,
                                    a_lost_handshake_message_is_sent_again,
                                    a_device_that_begins_anew_is_let_in,
                                    a_forged_hello_ends_nothing,
                                    a_notification_that_is_not_wanted_is_told,
                                    a_notification_that_nobody_acknowledges_is_told,
                                    strangers_do_not_drive_out_devices,
                                    a_peer_that_is_silent_is_given_up};
    Suite *suite = suite_create("coap_connected");

    add(suite, "each", by_each, array_size(by_each), 0, 3);
    add(suite, "dtls", by_dtls, array_size(by_dtls), 0, 1);
    return suite_run(suite);
}
