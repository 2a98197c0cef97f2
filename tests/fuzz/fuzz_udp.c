#include "coap/udp_private.h"

#include <string.h>

/*
 * The message layer without sockets: a script of datagrams from a few peers, our own messages, time and answers. A
 * record is a byte with the action and one with its argument; datagrams follow as length and bytes.
 */

#define SLOTS 4

static uint64_t now, armed;
static uint8_t last[16]; /* the beginning of what was sent last */
static size_t last_size;
static struct incoming *held[SLOTS];
static struct notice *notices[SLOTS];
static struct channel *channels[SLOTS];
static unsigned next_held;

static uint64_t get_now(struct udp *udp)
{
    (void)udp;
    return now;
}

static int take(struct udp *udp, const struct peer *to, const void *data, size_t size, bool later)
{
    (void)udp;
    (void)to;
    (void)later;
    last_size = size < sizeof last ? size : sizeof last;
    memcpy(last, data, last_size);
    return 0;
}

static void arm(struct udp *udp, uint64_t due)
{
    (void)udp;
    if (due < armed)
        armed = due;
}

static const struct udp_driver driver = {.now = get_now, .send = take, .arm = arm};
static const struct transport_ops ops = {UDP_COMMON_OPS};

static void answer(unsigned slot, bool keep)
{
    struct incoming *incoming = steal_pointer(held[slot]);
    struct coapmsg response;

    if (!incoming)
        return;
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_set_payload(&response, "answer", 6);
    if (slot % 2)
        incoming_answer(incoming, &response, keep);
    else
        incoming_drop(incoming, keep);
}

static void on_request(void *server, struct incoming *incoming, const struct coapmsg *request)
{
    unsigned slot = next_held++ % SLOTS;

    (void)server;
    answer(slot, true);
    held[slot] = incoming;
    if (request->code == COAPMSG_PUT)
        answer(slot, true);
}

static void on_response(void *owner, const struct coapmsg *response, bool separate)
{
    struct channel **slot = owner;

    if (separate && response->code == COAPMSG_CHANGED)
        *slot = channel_close(*slot, true);
}

static void on_event(void *owner, enum channel_event event)
{
    struct channel **slot = owner;

    if (event == CHANNEL_RESET)
        *slot = channel_close(*slot, false);
}

static void on_notified(void *owner, int event)
{
    (void)event;
    *(struct notice **)owner = NULL;
}

static const struct endpoint_handlers handlers = {on_response, on_event, on_request, on_notified};

static void make_peer(struct peer *peer, unsigned number)
{
    *peer = (struct peer){.transport = PEER_UDP};
    if (number % 2) {
        peer->address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number)};
        peer->address.v6.sin6_addr.s6_addr[15] = 1;
    } else {
        peer->address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    }
}

static void send_request(struct endpoint *endpoint, unsigned argument)
{
    struct channel **slot = &channels[argument % SLOTS];
    struct coapmsg request;
    struct peer peer;

    make_peer(&peer, argument % 3);
    if (!*slot && endpoint->udp->ops->open_channel(endpoint->udp, &peer, "", NULL, false, slot, slot) < 0)
        return;
    if (argument & 128)
        channel_keep_token(*slot);
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_GET);
    if (channel_send(*slot, &request, 2000, argument >> 4 & 3) < 0)
        *slot = channel_close(*slot, false);
}

static void notify(struct endpoint *endpoint, unsigned argument)
{
    struct notice **slot = &notices[argument % SLOTS];
    struct coapmsg msg;
    struct peer peer;

    if (*slot)
        notice_cancel(steal_pointer(*slot));
    make_peer(&peer, argument % 3);
    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_CONTENT);
    if (endpoint_notify(endpoint, &peer, &msg, argument & 16, argument & 32 ? slot : NULL, slot) < 0)
        *slot = NULL;
}

/* A reply to what was sent last: its message ID and token with another type and code. */
static void reply(struct udp *udp, unsigned argument)
{
    static const uint8_t codes[] = {COAPMSG_EMPTY, COAPMSG_CONTENT, COAPMSG_CHANGED, COAPMSG_PUT};
    uint8_t code = codes[argument >> 2 & 3], data[sizeof last];
    struct peer from;

    if (last_size < 4)
        return;
    memcpy(data, last, last_size);
    data[0] = (uint8_t)((data[0] & 0x4f) | (argument & 3) << 4);
    data[1] = code;
    if (argument & 128)
        data[3] ^= 1;
    make_peer(&from, (argument >> 4) % 3);
    udp_input(udp, &from, data, code ? last_size : 4);
}

static void pass(struct udp *udp, unsigned argument)
{
    now += (uint64_t)argument * argument * 8;
    if (armed <= now) {
        armed = UINT64_MAX;
        udp_run(udp);
    }
}

static size_t act(struct endpoint *endpoint, struct udp *udp, const uint8_t *data, size_t size)
{
    unsigned argument = data[1];
    struct peer from;
    size_t length;

    switch (data[0] % 7) {
    case 0:
        length = argument < size - 2 ? argument : size - 2;
        make_peer(&from, data[0] / 7 % 3);
        udp_input(udp, &from, data + 2, length);
        return 2 + length;
    case 1:
        send_request(endpoint, argument);
        break;
    case 2:
        notify(endpoint, argument);
        break;
    case 3:
        reply(udp, argument);
        break;
    case 4:
        pass(udp, argument);
        break;
    case 5:
        answer(argument % SLOTS, argument & 16);
        break;
    default:
        make_peer(&from, argument % 3);
        udp_refuse(udp, &from, last, last_size);
        break;
    }
    return 2;
}

static void end(struct udp *udp)
{
    for (size_t i = 0; i < SLOTS; i++) {
        channels[i] = channel_close(channels[i], true);
        notices[i] = NULL;
        held[i] = NULL;
    }
    udp_clear(udp);
    if (udp->channel_count || udp->answer_count || udp->held || udp->outgoing || udp->kept.count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct udp udp;
    struct endpoint endpoint = {
        .options = {.handlers = &handlers, .ack_timeout_ms = 2000, .max_retransmit = 2, .kept_bytes = 512},
        .udp = &udp.base};
    size_t at = 0;

    memset(&udp, 0, offsetof(struct udp, scratch));
    udp.base = (struct transport){.ops = &ops, .endpoint = &endpoint};
    udp.driver = &driver;
    udp_init(&udp);
    now = 1000;
    armed = UINT64_MAX;
    last_size = 0;
    while (size - at >= 2)
        at += act(&endpoint, &udp, data + at, size - at);
    end(&udp);
    return 0;
}
