#include "coap/udp_private.h"

#include <errno.h>
#include <string.h>

/* Retransmission (RFC 7252 section 4.2) --------------------------------------------------------------------------- */

static void on_timeout(struct udp *udp, struct udp_alarm *alarm)
{
    struct udp_outgoing *out = container_of(alarm, struct udp_outgoing, alarm);

    if (out->left == 0) {
        udp_tell(udp, out, CHANNEL_GIVEN_UP);
        return;
    }
    out->left--;
    out->timeout_ms *= 2;
    udp->stats.retransmitted++;
    if (out->kind == UDP_CHANNEL)
        container_of(out, struct udp_channel, out)->base.retransmissions++;
    (void)udp->driver->send(udp, &out->peer, out->data, out->size, true);
    if (udp_set_alarm(udp, alarm, udp_now(udp) + out->timeout_ms) < 0)
        abort(); /* it was set a moment ago: there is room */
}

/* ACK_TIMEOUT to ACK_TIMEOUT * ACK_RANDOM_FACTOR (1.5). */
static uint32_t first_timeout(uint32_t ack_timeout_ms)
{
    uint16_t random = 0;

    if (!endpoint_random(&random, sizeof random))
        random = UINT16_MAX;
    return ack_timeout_ms + (uint32_t)((uint64_t)ack_timeout_ms * random / (2 * UINT16_MAX));
}

static int prepare_retransmission(struct udp *udp, struct udp_outgoing *out, uint32_t ack_timeout_ms,
                                  uint32_t max_retransmit)
{
    out->data = malloc(out->size);
    if (!out->data)
        return -ENOMEM;
    memcpy(out->data, udp->scratch, out->size);
    out->left = max_retransmit;
    out->timeout_ms = first_timeout(ack_timeout_ms);
    out->alarm.ring = on_timeout;
    return udp_set_alarm(udp, &out->alarm, udp_now(udp) + out->timeout_ms);
}

static int encode(struct udp *udp, struct udp_outgoing *out, const struct peer *to, struct coapmsg *msg)
{
    uint16_t mid;
    int r;

    if (msg->failed || coapmsg_size(msg) > sizeof udp->scratch)
        return -EMSGSIZE;
    r = udp_take_mid(udp, to, &mid);
    if (r < 0)
        return r;
    msg->id = mid;
    out->renumbered = false;
    out->peer = *to;
    out->key = udp_make_key(to, mid);
    out->size = coapmsg_encode(msg, udp->scratch, sizeof udp->scratch);
    return out->size ? 0 : -EMSGSIZE;
}

int udp_post(struct udp *udp, struct udp_outgoing *out, const struct peer *to, struct coapmsg *msg,
             uint32_t ack_timeout_ms, uint32_t max_retransmit, bool later)
{
    int r;

    udp_stop(udp, out);
    r = encode(udp, out, to, msg);
    if (r == 0 && msg->type == COAPMSG_CON && max_retransmit)
        r = prepare_retransmission(udp, out, ack_timeout_ms, max_retransmit);
    if (r == 0)
        r = udp->driver->send(udp, to, udp->scratch, out->size, later);
    if (r < 0) {
        udp_stop(udp, out);
        return r;
    }
    HASH_ADD(hh, udp->outgoing, key, sizeof out->key, out);
    out->waiting = true;
    return 0;
}

struct udp_outgoing *udp_find_outgoing(struct udp *udp, const struct peer *from, uint16_t mid)
{
    struct udp_key key = udp_make_key(from, mid);
    struct udp_outgoing *out = NULL;

    HASH_FIND(hh, udp->outgoing, &key, sizeof key, out);
    return out;
}

void udp_renumber(struct udp *udp, struct udp_outgoing *out)
{
    uint16_t mid;

    if (!out->data || out->left == 0 || udp_take_mid(udp, &out->peer, &mid) < 0)
        return;
    HASH_DEL(udp->outgoing, out); /* NOLINT(clang-analyzer-core.NullDereference) */
    out->key = udp_make_key(&out->peer, mid);
    HASH_ADD(hh, udp->outgoing, key, sizeof out->key, out);
    out->data[2] = (uint8_t)(mid >> 8);
    out->data[3] = (uint8_t)mid;
    out->renumbered = true;
    out->left--;
    udp->stats.retransmitted++;
    (void)udp->driver->send(udp, &out->peer, out->data, out->size, true);
}

void udp_stop(struct udp *udp, struct udp_outgoing *out)
{
    if (out->waiting)
        HASH_DEL(udp->outgoing, out); /* NOLINT(clang-analyzer-core.NullDereference) */
    out->waiting = false;
    udp_clear_alarm(udp, &out->alarm);
    free(steal_pointer(out->data));
}

static struct udp *udp_of_notice(const struct udp_notice *notice)
{
    return udp_of(notice->base.transport);
}

static void free_notice(struct udp_notice *notice)
{
    udp_stop(udp_of_notice(notice), &notice->out);
    list_unlink(&notice->node);
    free(notice);
}

static void tell_notice(struct udp_notice *notice, int event)
{
    const struct endpoint_handlers *handlers = udp_options(udp_of_notice(notice))->handlers;
    void *owner = notice->base.owner;

    free_notice(notice);
    if (owner)
        handlers->notified(owner, event);
}

void udp_tell(struct udp *udp, struct udp_outgoing *out, int event)
{
    if (event != CHANNEL_REFUSED) /* the way may be mended in time */
        udp_stop(udp, out);
    switch (out->kind) {
    case UDP_CHANNEL:
        udp_tell_channel(container_of(out, struct udp_channel, out), event);
        break;
    case UDP_ANSWER:
        if (event != CHANNEL_REFUSED)
            udp_free_answer(udp, out);
        break;
    case UDP_NOTICE:
        if (event != CHANNEL_REFUSED)
            tell_notice(container_of(out, struct udp_notice, out), event);
        break;
    }
}

/* Notifications (RFC 7641) ---------------------------------------------------------------------------------------- */

int udp_notify(struct transport *transport, const struct peer *peer, struct coapmsg *notification, bool confirmable,
               void *owner, struct notice **out)
{
    struct udp *udp = udp_of(transport);
    const struct endpoint_options *options = udp_options(udp);
    struct udp_notice *notice = calloc(1, sizeof *notice);
    int r;

    *out = NULL;
    if (!notice)
        return -ENOMEM;
    notice->base = (struct notice){.transport = transport, .owner = owner};
    notice->out.kind = UDP_NOTICE;
    list_init(&notice->node);
    notification->type = confirmable ? COAPMSG_CON : COAPMSG_NON;
    r = udp_post(udp, &notice->out, peer, notification, options->ack_timeout_ms,
                 options->max_retransmit ? options->max_retransmit : 1, true);
    if (r < 0 || (!owner && !confirmable)) {
        free_notice(notice);
        return r;
    }
    list_append(&udp->notices, &notice->node);
    if (owner)
        *out = &notice->base;
    return 0;
}

void udp_cancel(struct notice *notice)
{
    free_notice(container_of(notice, struct udp_notice, base));
}
