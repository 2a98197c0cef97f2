#include "udp_fixture.h"

#include <string.h>

struct net net;

/* The driver ------------------------------------------------------------------------------------------------------ */

static uint64_t get_now(struct udp *u)
{
    (void)u;
    return net.now;
}

static int take_datagram(struct udp *u, const struct peer *to, const void *data, size_t size, bool later)
{
    struct net_sent *s = &net.sent[net.sent_count];

    (void)u;
    if (!later && net.send_error)
        return net.send_error;
    ck_assert_uint_lt(net.sent_count, NET_SENT_MAX);
    *s = (struct net_sent){.to = *to, .at = net.now, .size = size};
    memcpy(s->data, data, size < sizeof s->data ? size : sizeof s->data);
    net.sent_count++;
    return 0;
}

static void arm(struct udp *u, uint64_t due)
{
    (void)u;
    if (due < net.armed)
        net.armed = due;
}

static const struct udp_driver driver = {.now = get_now, .send = take_datagram, .arm = arm};
static const struct transport_ops ops = {UDP_COMMON_OPS};

void net_pass(uint64_t ms)
{
    uint64_t end = net.now + ms;

    while (net.armed <= end) {
        if (net.armed > net.now)
            net.now = net.armed;
        net.armed = UINT64_MAX;
        udp_run(&net.udp);
    }
    net.now = end;
}

/* Handlers -------------------------------------------------------------------------------------------------------- */

static void on_response(void *owner, const struct coapmsg *response, bool separate)
{
    net.seen.responses++;
    net.seen.owner = owner;
    net.seen.code = response->code;
    net.seen.failed = response->failed;
    net.seen.separate = separate;
}

static void on_event(void *owner, enum channel_event event)
{
    net.seen.events++;
    net.seen.owner = owner;
    net.seen.event = event;
}

static void on_request(void *server, struct incoming *incoming, const struct coapmsg *request)
{
    ck_assert_ptr_eq(server, &net.seen);
    net.seen.requests++;
    net.seen.code = request->code;
    net.seen.incoming = incoming;
    if (net.seen.on_request)
        net.seen.on_request(incoming);
}

static void on_notified(void *owner, int event)
{
    net.seen.notified++;
    net.seen.owner = owner;
    net.seen.result = event;
}

static const struct endpoint_handlers handlers = {on_response, on_event, on_request, on_notified};
const struct endpoint_handlers net_client_handlers = {.response = on_response, .event = on_event};

void net_set_up(void)
{
    memset(&net.udp, 0, sizeof net.udp);
    memset(&net.seen, 0, sizeof net.seen);
    net.now = 1000000;
    net.armed = UINT64_MAX;
    net.sent_count = 0;
    net.send_error = 0;
    net.endpoint = (struct endpoint){.options = {.handlers = &handlers,
                                                 .server = &net.seen,
                                                 .ack_timeout_ms = 2000,
                                                 .max_retransmit = 4,
                                                 .kept_bytes = 65536},
                                     .udp = &net.udp.base};
    net.udp.base = (struct transport){.ops = &ops, .endpoint = &net.endpoint};
    net.udp.driver = &driver;
    udp_init(&net.udp);
    ck_assert_int_eq(peer_parse("coap://192.0.2.1:5683", &net.a), 0);
    ck_assert_int_eq(peer_parse("coap://[2001:db8::2]:5683", &net.b), 0);
}

void net_tear_down(void)
{
    udp_clear(&net.udp);
    ck_assert_uint_eq(net.udp.channel_count, 0);
}

/* Messages -------------------------------------------------------------------------------------------------------- */

const struct net_sent *net_last(void)
{
    ck_assert_uint_gt(net.sent_count, 0);
    return &net.sent[net.sent_count - 1];
}

struct coapmsg *net_last_message(void)
{
    static struct coapmsg msg;

    ck_assert_int_eq(coapmsg_decode(&msg, net_last()->data, net_last()->size), 0);
    return &msg;
}

void net_check_empty(enum coapmsg_type type, uint16_t id)
{
    struct coapmsg *msg = net_last_message();

    ck_assert_int_eq(msg->type, type);
    ck_assert_uint_eq(msg->code, COAPMSG_EMPTY);
    ck_assert_uint_eq(msg->id, id);
}

void net_receive(const struct peer *from, const struct coapmsg *msg)
{
    uint8_t data[256];
    size_t size = coapmsg_encode(msg, data, sizeof data);

    ck_assert_uint_gt(size, 0);
    udp_input(&net.udp, from, data, size);
}

void net_receive_empty(const struct peer *from, enum coapmsg_type type, uint16_t id)
{
    struct coapmsg msg;

    coapmsg_init(&msg, type, COAPMSG_EMPTY);
    msg.id = id;
    net_receive(from, &msg);
}

void net_receive_request(const struct peer *from, enum coapmsg_type type, uint16_t id)
{
    struct coapmsg msg;

    coapmsg_init(&msg, type, COAPMSG_GET);
    msg.id = id;
    coapmsg_set_token(&msg, "tok", 3);
    coapmsg_add_path(&msg, "/x");
    net_receive(from, &msg);
}

void net_receive_response(const struct peer *from, const struct coapmsg *request, enum coapmsg_type type, uint16_t id,
                          const char *text)
{
    struct coapmsg msg;

    coapmsg_init(&msg, type, COAPMSG_CONTENT);
    msg.id = id;
    coapmsg_set_token(&msg, request->token, request->token_length);
    coapmsg_set_payload(&msg, text, strlen(text));
    net_receive(from, &msg);
}

struct channel *net_open_channel(const struct peer *peer, void *owner)
{
    struct channel *channel;

    ck_assert_int_eq(udp_open_channel(&net.udp.base, peer, "", NULL, false, owner, &channel), 0);
    return channel;
}

int net_try_send(struct channel *channel, uint32_t max_retransmit, struct coapmsg *request)
{
    coapmsg_init(request, COAPMSG_CON, COAPMSG_GET);
    return channel_send(channel, request, 2000, max_retransmit);
}

void net_send_request(struct channel *channel, uint32_t max_retransmit, struct coapmsg *request)
{
    ck_assert_int_eq(net_try_send(channel, max_retransmit, request), 0);
}
