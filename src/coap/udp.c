#include "coap/udp_private.h"

struct udp *udp_of(struct transport *transport)
{
    return container_of(transport, struct udp, base);
}

void udp_init(struct udp *udp)
{
    list_init(&udp->peers_by_use);
    list_init(&udp->notices);
}

void udp_clear(struct udp *udp)
{
    struct udp_outgoing *out, *next;

    udp->closing = true;
    udp_free_held(udp);
    udp_free_kept(udp);
    udp_forget_peers(udp);
    while (!list_empty(&udp->notices))
        udp_cancel(&list_first(&udp->notices, struct udp_notice, node)->base);
    HASH_ITER(hh, udp->outgoing, out, next)
    {
        if (out->kind == UDP_ANSWER) /* cppcheck-suppress uninitvar */
            udp_free_answer(udp, out);
    }
    free(steal_pointer(udp->alarms.heap));
}

/* Short messages -------------------------------------------------------------------------------------------------- */

void udp_send_empty(struct udp *udp, const struct peer *to, enum coapmsg_type type, uint16_t mid)
{
    struct coapmsg msg;
    uint8_t out[4];

    coapmsg_init(&msg, type, COAPMSG_EMPTY);
    msg.id = mid;
    (void)udp->driver->send(udp, to, out, coapmsg_encode(&msg, out, sizeof out), true);
}

static bool may_reset(struct udp *udp)
{
    uint64_t now = udp_now(udp);

    if (!udp->resets_since || now - udp->resets_since >= 1000) {
        udp->resets_since = now;
        udp->resets_left = UDP_RESETS_PER_S;
    }
    if (!udp->resets_left)
        return false;
    udp->resets_left--;
    return true;
}

/* A notification that is not confirmable is rejected too, which ends its observation (RFC 7641 section 3.6). */
void udp_reject(struct udp *udp, const struct peer *to, const struct coapmsg *msg)
{
    bool answerable = msg->type == COAPMSG_CON || (msg->type == COAPMSG_NON && COAPMSG_CLASS(msg->code) >= 2);

    if (answerable && may_reset(udp))
        udp_send_empty(udp, to, COAPMSG_RST, msg->id);
}

/* Datagrams ------------------------------------------------------------------------------------------------------- */

/* RFC 7252 sections 4.2 and 4.3: what cannot be processed is rejected when it is confirmable, otherwise ignored. */
static void take_malformed(struct udp *udp, const struct peer *from, const struct coapmsg *msg)
{
    udp->stats.malformed++;
    if (msg->type == COAPMSG_CON)
        udp_reject(udp, from, msg);
}

static void take_empty(struct udp *udp, const struct peer *from, const struct coapmsg *msg)
{
    struct udp_outgoing *out;

    switch (msg->type) {
    case COAPMSG_CON: /* a ping (RFC 7252 section 4.3) */
        udp_reject(udp, from, msg);
        break;
    case COAPMSG_NON:
        take_malformed(udp, from, msg);
        break;
    case COAPMSG_ACK:
    case COAPMSG_RST:
        out = udp_find_outgoing(udp, from, msg->id);
        if (out && (msg->type == COAPMSG_RST || out->kind != UDP_NOTICE || out->alarm.position))
            udp_tell(udp, out, msg->type == COAPMSG_RST ? CHANNEL_RESET : -1);
        else
            udp->stats.unmatched++;
        break;
    }
}

void udp_input(struct udp *udp, const struct peer *from, const void *data, size_t size)
{
    struct coapmsg msg;
    int r = coapmsg_decode(&msg, data, size);
    bool carries = msg.type == COAPMSG_CON || msg.type == COAPMSG_NON, is_request = COAPMSG_CLASS(msg.code) == 0;

    udp->stats.received++;
    msg.failed = r == COAPMSG_E_LIMIT; /* more than the model takes: who asked should know */
    if (r == COAPMSG_E_FORMAT)
        take_malformed(udp, from, &msg);
    else if (msg.code == COAPMSG_EMPTY)
        take_empty(udp, from, &msg);
    else if (is_request && carries && !msg.failed)
        udp_take_request(udp, from, &msg);
    else if (!is_request && msg.type != COAPMSG_RST)
        udp_take_response(udp, from, &msg);
    else
        take_malformed(udp, from, &msg);
}

void udp_refuse(struct udp *udp, const struct peer *to, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    struct udp_outgoing *out = NULL;

    if (size >= 4)
        out = udp_find_outgoing(udp, to, (uint16_t)(bytes[2] << 8 | bytes[3]));
    if (out)
        udp_tell(udp, out, CHANNEL_REFUSED);
}

/* The transport --------------------------------------------------------------------------------------------------- */

void udp_add_stats(const struct transport *transport, struct endpoint_stats *stats)
{
    const struct udp *udp = container_of(transport, const struct udp, base);

    stats->channels += udp->channel_count;
    stats->peers += HASH_COUNT(udp->peers);
    stats->held += HASH_COUNT(udp->held);
    stats->kept += udp->kept.count;
    stats->kept_bytes += udp->kept.bytes;
    stats->received += udp->stats.received;
    stats->sent += udp->stats.sent;
    stats->retransmitted += udp->stats.retransmitted;
    stats->duplicates += udp->stats.duplicates;
    stats->malformed += udp->stats.malformed;
    stats->unmatched += udp->stats.unmatched;
    stats->refused += udp->stats.refused;
}

void udp_configure(struct transport *transport)
{
    udp_trim_kept(udp_of(transport), transport->endpoint->options.kept_bytes);
}
