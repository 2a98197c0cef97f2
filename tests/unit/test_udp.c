#include "coap/udp_private.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* The message layer without sockets, on a clock that is set by hand. */

#define SENT_MAX 8192

struct sent {
    struct peer to;
    uint64_t at;
    size_t size;
    uint8_t data[64]; /* the beginning */
};

static struct udp udp;
static struct endpoint endpoint;
static uint64_t now, armed;
static struct sent sent[SENT_MAX];
static unsigned sent_count;
static int send_error;
static struct peer a, b;

/* What handlers were called with. */
static struct {
    unsigned responses, events, requests, notified;
    bool separate, failed;
    uint8_t code;
    void *owner;
    enum channel_event event;
    int result;
    struct incoming *incoming;
    void (*on_request)(struct incoming *incoming);
} seen;

/* The driver ------------------------------------------------------------------------------------------------------ */

static uint64_t get_now(struct udp *u)
{
    (void)u;
    return now;
}

static int take_datagram(struct udp *u, const struct peer *to, const void *data, size_t size, bool later)
{
    struct sent *s = &sent[sent_count];

    (void)u;
    if (!later && send_error)
        return send_error;
    ck_assert_uint_lt(sent_count, SENT_MAX);
    *s = (struct sent){.to = *to, .at = now, .size = size};
    memcpy(s->data, data, size < sizeof s->data ? size : sizeof s->data);
    sent_count++;
    return 0;
}

static void arm(struct udp *u, uint64_t due)
{
    (void)u;
    if (due < armed)
        armed = due;
}

static const struct udp_driver driver = {.now = get_now, .send = take_datagram, .arm = arm};
static const struct transport_ops ops = {UDP_COMMON_OPS};

/* Lets time pass, as a timer would. */
static void pass(uint64_t ms)
{
    uint64_t end = now + ms;

    while (armed <= end) {
        if (armed > now)
            now = armed;
        armed = UINT64_MAX;
        udp_run(&udp);
    }
    now = end;
}

/* Handlers -------------------------------------------------------------------------------------------------------- */

static void on_response(void *owner, const struct coapmsg *response, bool separate)
{
    seen.responses++;
    seen.owner = owner;
    seen.code = response->code;
    seen.failed = response->failed;
    seen.separate = separate;
}

static void on_event(void *owner, enum channel_event event)
{
    seen.events++;
    seen.owner = owner;
    seen.event = event;
}

static void on_request(void *server, struct incoming *incoming, const struct coapmsg *request)
{
    ck_assert_ptr_eq(server, &seen);
    seen.requests++;
    seen.code = request->code;
    seen.incoming = incoming;
    if (seen.on_request)
        seen.on_request(incoming);
}

static void on_notified(void *owner, int event)
{
    seen.notified++;
    seen.owner = owner;
    seen.result = event;
}

static const struct endpoint_handlers handlers = {on_response, on_event, on_request, on_notified};
static const struct endpoint_handlers client_handlers = {.response = on_response, .event = on_event};

static void set_up(void)
{
    memset(&udp, 0, sizeof udp);
    memset(&seen, 0, sizeof seen);
    now = 1000000;
    armed = UINT64_MAX;
    sent_count = 0;
    send_error = 0;
    endpoint = (struct endpoint){.options = {.handlers = &handlers,
                                             .server = &seen,
                                             .ack_timeout_ms = 2000,
                                             .max_retransmit = 4,
                                             .kept_bytes = 65536},
                                 .udp = &udp.base};
    udp.base = (struct transport){.ops = &ops, .endpoint = &endpoint};
    udp.driver = &driver;
    udp_init(&udp);
    ck_assert_int_eq(peer_parse("coap://192.0.2.1:5683", &a), 0);
    ck_assert_int_eq(peer_parse("coap://[2001:db8::2]:5683", &b), 0);
}

static void tear_down(void)
{
    udp_clear(&udp);
    ck_assert_uint_eq(udp.channel_count, 0);
}

/* Messages -------------------------------------------------------------------------------------------------------- */

static const struct sent *last(void)
{
    ck_assert_uint_gt(sent_count, 0);
    return &sent[sent_count - 1];
}

static struct coapmsg *last_message(void)
{
    static struct coapmsg msg;

    ck_assert_int_eq(coapmsg_decode(&msg, last()->data, last()->size), 0);
    return &msg;
}

static void check_empty(enum coapmsg_type type, uint16_t id)
{
    struct coapmsg *msg = last_message();

    ck_assert_int_eq(msg->type, type);
    ck_assert_uint_eq(msg->code, COAPMSG_EMPTY);
    ck_assert_uint_eq(msg->id, id);
}

static void receive(const struct peer *from, const struct coapmsg *msg)
{
    uint8_t data[256];
    size_t size = coapmsg_encode(msg, data, sizeof data);

    ck_assert_uint_gt(size, 0);
    udp_input(&udp, from, data, size);
}

static void receive_empty(const struct peer *from, enum coapmsg_type type, uint16_t id)
{
    struct coapmsg msg;

    coapmsg_init(&msg, type, COAPMSG_EMPTY);
    msg.id = id;
    receive(from, &msg);
}

static void receive_request(const struct peer *from, enum coapmsg_type type, uint16_t id)
{
    struct coapmsg msg;

    coapmsg_init(&msg, type, COAPMSG_GET);
    msg.id = id;
    coapmsg_set_token(&msg, "tok", 3);
    coapmsg_add_path(&msg, "/x");
    receive(from, &msg);
}

/* A response to the last request. */
static void receive_response(const struct peer *from, const struct coapmsg *request, enum coapmsg_type type,
                             uint16_t id, const char *text)
{
    struct coapmsg msg;

    coapmsg_init(&msg, type, COAPMSG_CONTENT);
    msg.id = id;
    coapmsg_set_token(&msg, request->token, request->token_length);
    coapmsg_set_payload(&msg, text, strlen(text));
    receive(from, &msg);
}

static struct channel *open_channel(const struct peer *peer, void *owner)
{
    struct channel *channel;

    ck_assert_int_eq(udp_open_channel(&udp.base, peer, "", NULL, false, owner, &channel), 0);
    return channel;
}

static int try_send(struct channel *channel, uint32_t max_retransmit, struct coapmsg *request)
{
    coapmsg_init(request, COAPMSG_CON, COAPMSG_GET);
    return channel_send(channel, request, 2000, max_retransmit);
}

static struct coapmsg request;

static void send_request(struct channel *channel, uint32_t max_retransmit)
{
    ck_assert_int_eq(try_send(channel, max_retransmit, &request), 0);
}

/* Requests that we send ------------------------------------------------------------------------------------------- */

START_TEST(a_request_is_sent_again_at_growing_intervals)
{
    struct channel *channel = open_channel(&a, &a);
    uint64_t first;

    send_request(channel, 4);
    ck_assert_uint_eq(request.token_length, 8);
    ck_assert(channel_awaits_ack(channel));
    pass(1999);
    ck_assert_uint_eq(sent_count, 1);
    pass(100000);
    ck_assert_uint_eq(sent_count, 5);
    first = sent[1].at - sent[0].at;
    ck_assert_uint_ge(first, 2000);
    ck_assert_uint_le(first, 3000);
    for (unsigned i = 1; i < 5; i++) {
        ck_assert_uint_eq(sent[i].at - sent[i - 1].at, first << (i - 1));
        ck_assert_mem_eq(sent[i].data, sent[0].data, sent[0].size);
    }
    ck_assert_uint_eq(seen.events, 1);
    ck_assert_int_eq(seen.event, CHANNEL_GIVEN_UP);
    ck_assert_ptr_eq(seen.owner, &a);
    ck_assert(!channel_awaits_ack(channel));
    ck_assert_uint_eq(udp.stats.retransmitted, 4);
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
        channels[i] = open_channel(&a, &a);
        send_request(channels[i], 1);
        ids[i] = request.id;
        begun[i] = now;
        pass(7);
    }
    for (unsigned i = 0; i < 200; i += 2)
        channels[i] = channel_close(channels[i], true);
    pass(20000);
    ck_assert_uint_eq(sent_count, 300);
    ck_assert_uint_eq(seen.events, 100);
    for (unsigned k = 200; k < 300; k++) {
        unsigned i = 0;

        while (ids[i] != (sent[k].data[2] << 8 | sent[k].data[3]))
            i++;
        times[i] = sent[k].at - begun[i];
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
    struct channel *channel = open_channel(&a, &a);

    send_request(channel, 4);
    receive_empty(&b, COAPMSG_ACK, request.id); /* of another */
    ck_assert(channel_awaits_ack(channel));
    receive_empty(&a, COAPMSG_ACK, (uint16_t)(request.id + 1));
    ck_assert(channel_awaits_ack(channel));
    receive_empty(&a, COAPMSG_ACK, request.id);
    ck_assert(!channel_awaits_ack(channel));
    pass(100000);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(seen.events, 0);
    receive_response(&a, &request, COAPMSG_CON, 77, "late");
    ck_assert_uint_eq(seen.responses, 1);
    ck_assert(seen.separate);
    check_empty(COAPMSG_ACK, 77);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(a_reset_is_told)
{
    struct channel *channel = open_channel(&a, &a);

    send_request(channel, _i ? 4 : 0);
    receive_empty(&a, COAPMSG_RST, request.id);
    ck_assert_int_eq(seen.event, CHANNEL_RESET);
    ck_assert_uint_eq(seen.events, 1);
    receive_empty(&a, COAPMSG_RST, request.id);
    ck_assert_uint_eq(seen.events, 1);
    pass(100000);
    ck_assert_uint_eq(sent_count, 1);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(an_icmp_error_is_told_to_who_sent_it)
{
    struct channel *first = open_channel(&a, &first), *second = open_channel(&a, &second);
    uint16_t id;

    send_request(first, _i ? 4 : 0);
    send_request(second, _i ? 4 : 0);
    id = request.id;
    udp_refuse(&udp, &a, sent[0].data, sent[0].size);
    ck_assert_uint_eq(seen.events, 1);
    ck_assert_int_eq(seen.event, CHANNEL_REFUSED);
    ck_assert_ptr_eq(seen.owner, &first);
    udp_refuse(&udp, &a, sent[1].data, 4); /* no more is known */
    ck_assert_ptr_eq(seen.owner, &second);
    udp_refuse(&udp, &b, sent[1].data, sent[1].size);
    udp_refuse(&udp, &a, sent[1].data, 3);
    ck_assert_uint_eq(seen.events, 2);
    ck_assert(channel_awaits_ack(second));
    pass(4000);
    ck_assert_uint_eq(sent_count, _i ? 4 : 2); /* retransmission goes on */
    receive_empty(&a, COAPMSG_ACK, id);
    udp_refuse(&udp, &a, sent[1].data, sent[1].size);
    ck_assert_uint_eq(seen.events, 2); /* it was not that one's */
    (void)channel_close(first, true);
    (void)channel_close(second, true);
}
END_TEST

START_TEST(what_leaves_once_leaves_once)
{
    struct channel *channel = open_channel(&a, &a);

    send_request(channel, 0);
    pass(1000000);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(seen.events, 0);
    ck_assert(channel_awaits_ack(channel));
    receive_response(&a, &request, COAPMSG_ACK, request.id, "yes");
    ck_assert_uint_eq(seen.responses, 1);
    ck_assert(!seen.separate);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(what_cannot_be_sent_is_said_at_once)
{
    struct channel *channel = open_channel(&a, &a);
    static uint8_t large[UDP_MAX_DATAGRAM];

    send_error = -ENETUNREACH;
    ck_assert_int_eq(try_send(channel, 4, &request), -ENETUNREACH);
    ck_assert(!channel_awaits_ack(channel));
    send_error = 0;
    pass(100000);
    ck_assert_uint_eq(sent_count, 0);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_PUT);
    coapmsg_set_payload(&request, large, sizeof large - 13);
    ck_assert_int_eq(channel_send(channel, &request, 2000, 4), 0);
    ck_assert_uint_eq(last()->size, UDP_MAX_DATAGRAM - 13 + 13);
    coapmsg_set_payload(&request, large, sizeof large - 12);
    ck_assert_int_eq(channel_send(channel, &request, 2000, 4), -EMSGSIZE);
    request.failed = true;
    ck_assert_int_eq(channel_send(channel, &request, 2000, 4), -EMSGSIZE);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(a_response_must_come_from_whom_it_was_asked_of)
{
    struct channel *channel = open_channel(&a, &a);
    struct peer other = a;

    send_request(channel, 4);
    other.address.v4.sin_port ^= 1;
    receive_response(&other, &request, COAPMSG_ACK, request.id, "no");
    receive_response(&other, &request, COAPMSG_NON, 1, "no");
    receive_response(&b, &request, COAPMSG_CON, 2, "no");
    ck_assert_uint_eq(seen.responses, 0);
    check_empty(COAPMSG_RST, 2);
    request.token[0] ^= 1; /* another token */
    receive_response(&a, &request, COAPMSG_CON, 3, "no");
    check_empty(COAPMSG_RST, 3);
    request.token[0] ^= 1;
    request.token_length--; /* a shorter one */
    receive_response(&a, &request, COAPMSG_NON, 4, "no");
    request.token_length++;
    receive_response(&a, &request, COAPMSG_ACK, (uint16_t)(request.id + 1), "no"); /* another message ID */
    ck_assert_uint_eq(seen.responses, 0);
    ck_assert(channel_awaits_ack(channel));
    receive_response(&a, &request, COAPMSG_ACK, request.id, "yes");
    ck_assert_uint_eq(seen.responses, 1);
    ck_assert_uint_eq(udp.stats.unmatched, 6);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(copies_of_a_response_are_not_passed_on)
{
    struct channel *channel = open_channel(&a, &a);

    send_request(channel, 4);
    receive_response(&a, &request, COAPMSG_ACK, request.id, "one");
    receive_response(&a, &request, COAPMSG_ACK, request.id, "one");
    ck_assert_uint_eq(seen.responses, 1);
    receive_response(&a, &request, COAPMSG_ACK, request.id, "two"); /* the first may have been made up */
    ck_assert_uint_eq(seen.responses, 2);
    receive_response(&a, &request, COAPMSG_CON, 7, "three"); /* a notification */
    receive_response(&a, &request, COAPMSG_CON, 7, "three");
    ck_assert_uint_eq(seen.responses, 3);
    ck_assert_uint_eq(sent_count, 3); /* both were acknowledged */
    check_empty(COAPMSG_ACK, 7);
    receive_response(&a, &request, COAPMSG_NON, 8, "four");
    receive_response(&a, &request, COAPMSG_NON, 8, "four");
    ck_assert_uint_eq(seen.responses, 4);
    ck_assert_uint_eq(sent_count, 3);
    (void)channel_close(channel, true);
    receive_response(&a, &request, COAPMSG_CON, 7, "three"); /* its ACK was lost, and the channel is gone */
    check_empty(COAPMSG_ACK, 7);
    ck_assert_uint_eq(seen.responses, 4);
    receive_response(&a, &request, COAPMSG_NON, 9, "five");
    check_empty(COAPMSG_RST, 9); /* which ends an observation */
}
END_TEST

START_TEST(each_request_has_a_token_of_its_own_unless_it_keeps_one)
{
    struct channel *channel = open_channel(&a, &a);
    uint8_t token[8];

    send_request(channel, 4);
    memcpy(token, request.token, sizeof token);
    channel_keep_token(channel);
    send_request(channel, 4);
    ck_assert_mem_eq(request.token, token, sizeof token);
    send_request(channel, 4);
    ck_assert_mem_ne(request.token, token, sizeof token);
    pass(3000);
    ck_assert_uint_eq(sent_count, 4); /* only the last one is sent again */
    memcpy(request.token, token, sizeof token);
    receive_response(&a, &request, COAPMSG_NON, 1, "old");
    ck_assert_uint_eq(seen.responses, 0);
    (void)channel_close(channel, true);
}
END_TEST

/* A gateway that was restarted may number a request as one before: the device then gives that one's answer again. */
START_TEST(a_request_that_is_taken_for_a_copy_leaves_under_another_number)
{
    struct channel *channel = open_channel(&a, &a);
    struct coapmsg older;
    uint16_t id;

    send_request(channel, 2);
    id = request.id;
    coapmsg_init(&older, COAPMSG_CON, COAPMSG_GET);
    coapmsg_set_token(&older, "older", 5);
    for (unsigned i = 1; i <= 2; i++) {
        receive_response(&a, &older, COAPMSG_ACK, (uint16_t)(id + i - 1), "of the older one");
        ck_assert_uint_eq(sent_count, 1 + i);
        ck_assert_uint_eq(last_message()->id, (uint16_t)(id + i));
        ck_assert_mem_eq(last_message()->token, request.token, request.token_length);
    }
    receive_response(&a, &older, COAPMSG_ACK, (uint16_t)(id + 2), "once more");
    ck_assert_uint_eq(sent_count, 3); /* each counted as a retransmission */
    ck_assert_uint_eq(seen.responses, 0);
    receive_response(&a, &request, COAPMSG_ACK, (uint16_t)(id + 2), "new");
    ck_assert_uint_eq(seen.responses, 1);
    receive_response(&a, &request, COAPMSG_ACK, id, "to the first one, after all");
    ck_assert_uint_eq(seen.responses, 2);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(what_leaves_once_is_not_numbered_anew)
{
    struct channel *channel = open_channel(&a, &a);
    struct coapmsg older;

    send_request(channel, 0);
    coapmsg_init(&older, COAPMSG_CON, COAPMSG_GET);
    coapmsg_set_token(&older, "older", 5);
    receive_response(&a, &older, COAPMSG_ACK, request.id, "of the older one");
    ck_assert_uint_eq(sent_count, 1);
    (void)channel_close(channel, true);
}
END_TEST

/* The numbers of a gateway that ran a moment ago are behind those of one that begins. */
START_TEST(a_restarted_gateway_does_not_use_numbers_again)
{
    uint16_t before = 0, after;

    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(udp_take_mid(&udp, &a, &before), 0);
    pass(1000);
    udp_forget_peers(&udp);
    ck_assert_int_eq(udp_take_mid(&udp, &a, &after), 0);
    ck_assert_int_gt((int16_t)(after - before), 0);
}
END_TEST

static void close_channel(void *owner, const struct coapmsg *response, bool separate)
{
    (void)response;
    (void)separate;
    seen.responses++;
    (void)channel_close(*(struct channel **)owner, true);
}

START_TEST(a_handler_may_close_its_channel)
{
    static const struct endpoint_handlers closing = {.response = close_channel};
    struct channel *channel;

    endpoint.options.handlers = &closing;
    channel = open_channel(&a, &channel);
    send_request(channel, 4);
    receive_response(&a, &request, (enum coapmsg_type)_i, request.id, "x");
    ck_assert_uint_eq(seen.responses, 1);
}
END_TEST

START_TEST(a_response_with_too_many_options_is_told)
{
    struct channel *channel = open_channel(&a, &a);
    uint8_t raw[12 + 60] = {0x68, COAPMSG_CONTENT};

    send_request(channel, 4);
    raw[2] = (uint8_t)(request.id >> 8);
    raw[3] = (uint8_t)request.id;
    memcpy(raw + 4, request.token, 8);
    raw[12] = 0x20;
    udp_input(&udp, &a, raw, sizeof raw);
    ck_assert_uint_eq(seen.responses, 1);
    ck_assert(seen.failed);
    (void)channel_close(channel, true);
}
END_TEST

/* Message IDs ----------------------------------------------------------------------------------------------------- */

START_TEST(no_message_id_is_used_twice_in_its_lifetime)
{
    static uint64_t used[65536];
    struct channel *channel = open_channel(&a, &a);
    unsigned refused = 0, taken = 0;

    memset(used, 0, sizeof used);
    for (unsigned i = 0; i < 600000; i++) {
        sent_count = 0;
        now += 2; /* 500 per second: more than there are */
        if (try_send(channel, 0, &request) == -EAGAIN) {
            refused++;
            continue;
        }
        ck_assert(!used[request.id] || now - used[request.id] >= 247000);
        used[request.id] = now;
        taken++;
    }
    ck_assert_uint_gt(refused, 1000);
    ck_assert_uint_ge(taken, 4 * 49152);
    (void)channel_close(channel, true);
}
END_TEST

START_TEST(message_ids_are_counted_per_peer)
{
    struct channel *first = open_channel(&a, &a), *second = open_channel(&b, &b);
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

        a.address.v4.sin_addr.s_addr = htonl(0x0a000000 + i);
        channel = open_channel(&a, &a);
        sent_count = 0;
        send_request(channel, 0);
        (void)channel_close(channel, true);
    }
    udp_add_stats(&udp.base, &stats);
    ck_assert_uint_eq(stats.peers, UDP_PEERS_MAX);
    pass(UDP_EXCHANGE_LIFETIME_MS);
    for (unsigned i = 0; i < UDP_PEERS_MAX / 2; i++) {
        uint16_t mid;

        a.address.v4.sin_addr.s_addr = htonl(0x0b000000 + i % 100);
        ck_assert_int_eq(udp_take_mid(&udp, &a, &mid), 0);
    }
    stats.peers = 0;
    udp_add_stats(&udp.base, &stats);
    ck_assert_uint_eq(stats.peers, UDP_PEERS_MAX - 4 * 100 + 100);
}
END_TEST

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
    struct coapmsg *msg = last_message();

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

    seen.on_request = answer_at_once;
    receive_request(&a, COAPMSG_CON, 1);
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    msg.id = 1;
    coapmsg_set_token(&msg, "new", 3);
    receive(&a, &msg);
    ck_assert_uint_eq(seen.requests, 2);
    ck_assert_mem_eq(last_message()->token, "new", 3);
    receive_request(&a, COAPMSG_CON, 1);
    ck_assert_uint_eq(seen.requests, 2);
    ck_assert_mem_eq(last_message()->token, "tok", 3);
}
END_TEST

START_TEST(a_copy_gets_the_same_answer_without_a_second_call)
{
    struct endpoint_stats stats = {0};

    seen.on_request = answer_at_once;
    receive_request(&a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(seen.requests, 1);
    check_answer(COAPMSG_ACK);
    ck_assert_uint_eq(last_message()->id, 1000);
    pass(246000);
    receive_request(&a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(seen.requests, 1);
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_uint_eq(sent[0].size, sent[1].size);
    ck_assert_mem_eq(sent[0].data, sent[1].data, sent[0].size);
    udp_add_stats(&udp.base, &stats);
    ck_assert_uint_eq(stats.duplicates, 1);
    ck_assert_uint_eq(stats.kept, 1);
    receive_request(&b, COAPMSG_CON, 1000); /* no copy: another peer, another ID, after its lifetime */
    ck_assert_uint_eq(seen.requests, 2);
    receive_request(&a, COAPMSG_CON, 1001);
    ck_assert_uint_eq(seen.requests, 3);
    pass(3000);
    receive_request(&a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(seen.requests, 4);
}
END_TEST

/* A device whose message IDs begin anew when it restarts. */
START_TEST(another_request_under_an_id_that_was_used_is_no_copy)
{
    struct coapmsg msg;

    seen.on_request = answer_at_once;
    receive_request(&a, COAPMSG_CON, 1000);
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    msg.id = 1000;
    coapmsg_set_token(&msg, "tok", 3);
    coapmsg_add_path(&msg, "/x");
    coapmsg_set_payload(&msg, "other", 5);
    receive(&a, &msg);
    ck_assert_uint_eq(seen.requests, 2);
    ck_assert_uint_eq(sent_count, 2);
    receive(&a, &msg); /* but both have copies */
    receive_request(&a, COAPMSG_CON, 1000);
    ck_assert_uint_eq(seen.requests, 2);
    ck_assert_uint_eq(sent_count, 4);
}
END_TEST

START_TEST(an_answer_that_is_not_kept_is_given_anew)
{
    struct endpoint_stats stats = {0};

    seen.on_request = answer_and_forget;
    receive_request(&a, COAPMSG_CON, 1);
    receive_request(&a, COAPMSG_CON, 1);
    ck_assert_uint_eq(seen.requests, 2);
    ck_assert_uint_eq(sent_count, 2);
    udp_add_stats(&udp.base, &stats);
    ck_assert_uint_eq(stats.kept, 0);
    ck_assert_uint_eq(stats.held, 0);
}
END_TEST

START_TEST(a_copy_of_a_request_under_way_is_ignored)
{
    receive_request(&a, COAPMSG_CON, 1);
    receive_request(&a, COAPMSG_CON, 1);
    ck_assert_uint_eq(seen.requests, 1);
    ck_assert_uint_eq(sent_count, 0);
    pass(199);
    ck_assert_uint_eq(sent_count, 0);
    pass(1);
    check_empty(COAPMSG_ACK, 1);
    receive_request(&a, COAPMSG_CON, 1); /* the ACK was lost */
    ck_assert_uint_eq(sent_count, 2);
    check_empty(COAPMSG_ACK, 1);
    ck_assert_uint_eq(seen.requests, 1);
    answer(seen.incoming, true);
    check_answer(COAPMSG_CON);
    receive_request(&a, COAPMSG_CON, 1); /* and again */
    check_empty(COAPMSG_ACK, 1);
    ck_assert_uint_eq(seen.requests, 1);
}
END_TEST

START_TEST(an_answer_in_time_goes_into_the_ack)
{
    receive_request(&a, COAPMSG_CON, 1);
    pass(199);
    answer(seen.incoming, true);
    check_answer(COAPMSG_ACK);
    pass(100000);
    ck_assert_uint_eq(sent_count, 1);
}
END_TEST

START_TEST(a_late_answer_is_a_message_of_its_own)
{
    receive_request(&a, COAPMSG_CON, 1);
    pass(5000);
    answer(seen.incoming, true);
    check_answer(COAPMSG_CON);
    ck_assert_uint_eq(sent_count, 2);
    pass(3000);
    ck_assert_uint_eq(sent_count, 3);
    ck_assert_mem_eq(sent[1].data, sent[2].data, sent[1].size);
    receive_empty(&a, _i ? COAPMSG_RST : COAPMSG_ACK, last_message()->id);
    pass(100000);
    ck_assert_uint_eq(sent_count, 3);
    ck_assert_uint_eq(udp.answer_count, 0);
}
END_TEST

START_TEST(a_late_answer_that_nobody_takes_is_given_up)
{
    receive_request(&a, COAPMSG_CON, 1);
    pass(500);
    answer(seen.incoming, true);
    udp_refuse(&udp, &a, last()->data, last()->size);
    pass(100000);
    ck_assert_uint_eq(sent_count, 6); /* the ACK, the answer and four copies */
    ck_assert_uint_eq(udp.answer_count, 0);
}
END_TEST

START_TEST(a_non_confirmable_request_is_answered_so)
{
    receive_request(&a, COAPMSG_NON, 1);
    pass(5000);
    ck_assert_uint_eq(sent_count, 0);
    answer(seen.incoming, true);
    check_answer(COAPMSG_NON);
    receive_request(&a, COAPMSG_NON, 1);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(seen.requests, 1);
    pass(146000);
    ck_assert_uint_eq(sent_count, 1);
    receive_request(&a, COAPMSG_NON, 1);
    ck_assert_uint_eq(seen.requests, 2);
}
END_TEST

START_TEST(a_dropped_request_has_no_answer)
{
    receive_request(&a, COAPMSG_CON, 1);
    incoming_drop(seen.incoming, _i);
    pass(1000);
    ck_assert_uint_eq(sent_count, 0);
    receive_request(&a, COAPMSG_CON, 1);
    ck_assert_uint_eq(seen.requests, _i ? 1 : 2);
    receive_request(&a, COAPMSG_CON, 2);
    pass(300);
    sent_count = 0;
    incoming_drop(seen.incoming, true);
    receive_request(&a, COAPMSG_CON, 2);
    check_empty(COAPMSG_ACK, 2); /* as before */
}
END_TEST

START_TEST(kept_answers_have_a_limit_and_the_oldest_go)
{
    struct endpoint_stats stats = {0};
    unsigned before;

    seen.on_request = answer_at_once;
    for (unsigned i = 0; i < 5000; i++)
        receive_request(&a, COAPMSG_CON, (uint16_t)i);
    udp_add_stats(&udp.base, &stats);
    ck_assert_uint_le(stats.kept_bytes, 65536);
    ck_assert_uint_gt(stats.kept_bytes, 65000);
    ck_assert_uint_ge(stats.kept, 600);
    before = seen.requests;
    receive_request(&a, COAPMSG_CON, 4999);
    receive_request(&a, COAPMSG_CON, (uint16_t)(5000 - stats.kept));
    ck_assert_uint_eq(seen.requests, before);
    receive_request(&a, COAPMSG_CON, (uint16_t)(5000 - stats.kept - 1));
    ck_assert_uint_eq(seen.requests, before + 1);
    endpoint.options.kept_bytes = 1000;
    udp_configure(&udp.base);
    stats = (struct endpoint_stats){0};
    udp_add_stats(&udp.base, &stats);
    ck_assert_uint_le(stats.kept_bytes, 1000);
    endpoint.options.kept_bytes = 0;
    receive_request(&b, COAPMSG_CON, 1);
    receive_request(&b, COAPMSG_CON, 1);
    ck_assert_uint_eq(seen.requests, before + 3);
}
END_TEST

START_TEST(held_requests_have_a_limit)
{
    struct endpoint_stats stats = {0};
    struct incoming *one;
    uint32_t max_age;

    endpoint.options.kept_bytes = 1 << 20;
    for (unsigned i = 0; i < UDP_HELD_MAX; i++)
        receive_request(&a, COAPMSG_CON, (uint16_t)i);
    one = seen.incoming;
    ck_assert_uint_eq(sent_count, 0);
    receive_request(&a, COAPMSG_CON, 60000);
    ck_assert_uint_eq(seen.requests, UDP_HELD_MAX);
    ck_assert_uint_eq(last_message()->code, COAPMSG_UNAVAILABLE);
    ck_assert(coapmsg_get_uint(last_message(), COAPMSG_OPT_MAX_AGE, &max_age));
    receive_request(&a, COAPMSG_NON, 60001);
    ck_assert_uint_eq(sent_count, 1);
    udp_add_stats(&udp.base, &stats);
    ck_assert_uint_eq(stats.refused, 2);
    ck_assert_uint_eq(stats.held, UDP_HELD_MAX);
    incoming_drop(one, true);
    receive_request(&a, COAPMSG_CON, 60000); /* there is room now */
    ck_assert_uint_eq(seen.requests, UDP_HELD_MAX + 1);
}
END_TEST

START_TEST(what_cannot_be_encoded_is_an_internal_error)
{
    struct coapmsg response;

    receive_request(&a, COAPMSG_CON, 1);
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    response.failed = true;
    incoming_answer(seen.incoming, &response, true);
    ck_assert_uint_eq(last_message()->code, COAPMSG_INTERNAL_ERROR);
    ck_assert_uint_eq(last_message()->token_length, 3);
}
END_TEST

START_TEST(without_a_server_requests_are_reset)
{
    endpoint.options.handlers = &client_handlers;
    receive_request(&a, COAPMSG_CON, 1);
    check_empty(COAPMSG_RST, 1);
    receive_request(&a, COAPMSG_NON, 2);
    ck_assert_uint_eq(sent_count, 1);
}
END_TEST

/* What is no message ---------------------------------------------------------------------------------------------- */

START_TEST(a_ping_is_answered_with_a_reset)
{
    receive_empty(&a, COAPMSG_CON, 4711);
    check_empty(COAPMSG_RST, 4711);
    ck_assert_uint_eq(seen.requests, 0);
    ck_assert_uint_eq(udp.stats.malformed, 0);
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
    udp_input(&udp, &a, malformed[_i].bytes, malformed[_i].size);
    ck_assert_uint_eq(udp.stats.malformed, 1);
    ck_assert_uint_eq(seen.requests, 0);
    ck_assert_uint_eq(sent_count, malformed[_i].reset);
    if (malformed[_i].reset)
        check_empty(COAPMSG_RST, 0x1234);
}
END_TEST

START_TEST(a_request_with_too_many_options_is_rejected)
{
    uint8_t raw[4 + 60] = {0x40, COAPMSG_GET, 0, 9, 0x20};

    udp_input(&udp, &a, raw, sizeof raw);
    check_empty(COAPMSG_RST, 9);
    ck_assert_uint_eq(seen.requests, 0);
}
END_TEST

START_TEST(resets_have_a_limit)
{
    for (unsigned i = 0; i < 1000; i++)
        receive_empty(&a, COAPMSG_CON, (uint16_t)i);
    ck_assert_uint_eq(sent_count, UDP_RESETS_PER_S);
    pass(1000);
    receive_empty(&a, COAPMSG_CON, 1);
    ck_assert_uint_eq(sent_count, UDP_RESETS_PER_S + 1);
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
    ck_assert_int_eq(endpoint_notify(&endpoint, &a, &msg, confirmable, owner, &notice), 0);
    check_answer(confirmable ? COAPMSG_CON : COAPMSG_NON);
    return notice;
}

START_TEST(what_became_of_a_notification_is_told)
{
    ck_assert_ptr_nonnull(send_notification(true, &a));
    receive_empty(&a, COAPMSG_ACK, last_message()->id);
    ck_assert_uint_eq(seen.notified, 1);
    ck_assert_int_eq(seen.result, -1);
    ck_assert_ptr_eq(seen.owner, &a);
    (void)send_notification(true, &b);
    udp_refuse(&udp, &a, last()->data, last()->size);
    ck_assert_uint_eq(seen.notified, 1);
    receive_empty(&a, COAPMSG_RST, last_message()->id);
    ck_assert_uint_eq(seen.notified, 2);
    ck_assert_int_eq(seen.result, CHANNEL_RESET);
    sent_count = 0;
    (void)send_notification(true, &a);
    pass(100000);
    ck_assert_uint_eq(sent_count, 5);
    ck_assert_uint_eq(seen.notified, 3);
    ck_assert_int_eq(seen.result, CHANNEL_GIVEN_UP);
}
END_TEST

START_TEST(a_cancelled_notification_is_not_sent_again)
{
    struct notice *notice = send_notification(true, &a);

    notice_cancel(notice);
    receive_empty(&a, COAPMSG_RST, last_message()->id);
    pass(100000);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(seen.notified, 0);
}
END_TEST

START_TEST(a_reset_to_a_non_confirmable_notification_is_told)
{
    struct notice *first = send_notification(false, &a);
    uint16_t id = last_message()->id;

    receive_empty(&a, COAPMSG_ACK, id); /* which it does not ask for */
    ck_assert_uint_eq(seen.notified, 0);
    (void)send_notification(false, &b);
    receive_empty(&a, COAPMSG_RST, last_message()->id);
    ck_assert_uint_eq(seen.notified, 1);
    ck_assert_int_eq(seen.result, CHANNEL_RESET);
    ck_assert_ptr_eq(seen.owner, &b);
    pass(100000);
    ck_assert_uint_eq(sent_count, 2);
    notice_cancel(first);
    receive_empty(&a, COAPMSG_RST, id);
    ck_assert_uint_eq(seen.notified, 1);
}
END_TEST

START_TEST(a_notification_that_nobody_asks_about)
{
    ck_assert_ptr_null(send_notification(false, NULL));
    receive_empty(&a, COAPMSG_RST, last_message()->id);
    ck_assert_ptr_null(send_notification(true, NULL));
    pass(3000);
    ck_assert_uint_eq(sent_count, 3);
    receive_empty(&a, COAPMSG_ACK, last_message()->id);
    pass(100000);
    ck_assert_uint_eq(sent_count, 3);
    ck_assert_uint_eq(seen.notified, 0);
    (void)send_notification(true, NULL); /* ends with the endpoint */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp");
    TCase *tc = tcase_create("messages");

    tcase_add_checked_fixture(tc, set_up, tear_down);
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
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
