/* What comes to an agent that speaks OSCORE and sends by itself. Input: records of one byte of flags, a length of two
 * bytes, and a message. Flags: 1: from a stranger; 2: let time pass first; 4: as a request that the gateway protects;
 * 8: as its protected answer to the agent's latest request; 12: as an answer that is not protected; otherwise just so.
 * 16: a bit of the datagram is flipped. */
#include "agent/agent.h"
#include "base/cursor.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET 16, 0, 1, 1, 2, true, "0123456789abcdef", ""

static const struct oscore_credentials of_device = {OSCORE_AES_CCM_16_64_128, SECRET, "d", "g", "ic"};
static const struct oscore_credentials of_gateway = {OSCORE_AES_CCM_16_64_128, SECRET, "g", "d", "ic"};

struct gateway {
    struct oscore_context *context;
    struct oscore_binding binding;
    uint8_t request[SERVER_DATAGRAM_MAX]; /* the agent's latest */
    size_t request_size;
};

static void take(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct gateway *g = arg;

    (void)peer;
    if (size == 0 || size > SERVER_DATAGRAM_MAX)
        abort();
    if (COAPMSG_CLASS(data[1]) == 0 && data[1] != 0) {
        memcpy(g->request, data, size);
        g->request_size = size;
    }
}

static void pass(struct agent *a, struct clock_manual *clock)
{
    for (int i = 0; i < 4; i++) {
        clock_manual_advance(clock, 700);
        agent_tick(a);
    }
    (void)agent_deadline(a);
}

static size_t protect_request(struct gateway *g, const struct coapmsg *plain, uint8_t *out)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct oscore_binding binding;
    struct coapmsg outer;

    if (oscore_protect_request(g->context, plain, OSCORE_WITH_KID_CONTEXT, &binding, &outer, room, sizeof room))
        return 0;
    return coapmsg_encode(&outer, out, SERVER_DATAGRAM_MAX);
}

static size_t answer(struct gateway *g, struct coapmsg *plain, bool protect, uint8_t *out)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg request, inner, outer;
    struct oscore_option option;

    if (coapmsg_decode(&request, g->request, g->request_size))
        return 0;
    if (!oscore_message_option(&request, &option) && option.piv)
        (void)!oscore_unprotect_request(g->context, &request, &option, &g->binding, &inner, room, sizeof room);
    coapmsg_set_token(plain, request.token, request.token_length);
    plain->id = request.id;
    if (!protect)
        return coapmsg_encode(plain, out, SERVER_DATAGRAM_MAX);
    if (oscore_protect_response(g->context, &g->binding, plain, 0, &outer, room, sizeof room))
        return 0;
    return coapmsg_encode(&outer, out, SERVER_DATAGRAM_MAX);
}

static void give(struct gateway *g, struct agent *a, const struct peer *peer, uint8_t flags, const uint8_t *data,
                 size_t size)
{
    uint8_t out[SERVER_DATAGRAM_MAX];
    struct coapmsg plain;

    if (flags & 12 && !coapmsg_decode(&plain, data, size)) {
        size = (flags & 12) == 4 ? protect_request(g, &plain, out) : answer(g, &plain, (flags & 4) == 0, out);
        data = out;
    } else if (size <= sizeof out) {
        memcpy(out, data, size);
        data = out;
    }
    if (flags & 16 && size && data == out)
        out[(size_t)flags * 7 % size] ^= (uint8_t)(1 << (flags >> 5));
    agent_input(a, peer, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oscore_crypto *crypto;
    struct agent_options options = {.device = {.kind = DEVICE_V2, .slots = 2, .package_max = 16384}, .pdu_size = 1204};
    struct journal journal = {.fd = -1};
    struct cursor c = cursor_init(data, size);
    struct gateway g = {0};
    struct clock_manual clock;
    struct agent agent;

    if (!crypto && oscore_crypto_new(&crypto, 8))
        abort();
    options.security = (struct security_options){.credentials = &of_device, .crypto = crypto};
    options.traffic = (struct traffic_options){.count = 1, .report_ms = 1000, .report_size = 3000, .observe = true};
    if (!peer_parse("127.0.0.1", 1, &options.traffic.gateway) ||
        oscore_context_new(&g.context, crypto, &of_gateway, NULL) ||
        !oscore_context_set_sequence(g.context, 0, OSCORE_SEQUENCE_END))
        abort();
    oscore_context_set_window(g.context, &(struct oscore_window){.known = true});
    clock_manual_init(&clock, 1000, 1000);
    if (agent_init(&agent, &options, 0, &clock.clock, &journal, take, &g))
        abort();
    while (cursor_left(&c) > 0) {
        struct peer peer = options.traffic.gateway;
        uint8_t flags = cursor_u8(&c);
        size_t said = cursor_u16be(&c), left = cursor_left(&c), length = said < left ? said : left;
        const uint8_t *datagram = cursor_take(&c, length);

        if (flags & 1)
            peer.address.v4.sin_port = htons(2);
        if (flags & 2)
            pass(&agent, &clock);
        if (datagram)
            give(&g, &agent, &peer, flags, datagram, length);
    }
    agent_clear(&agent);
    (void)oscore_context_free(g.context);
    return 0;
}
