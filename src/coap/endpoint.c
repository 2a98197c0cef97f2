#include "coap/endpoint_private.h"

#include "coap/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_POOL 256

bool endpoint_random(void *out, size_t size)
{
    static uint8_t pool[RANDOM_POOL];
    static size_t left;

    if (size > sizeof pool)
        return getrandom(out, size, 0) == (ssize_t)size;
    if (left < size) {
        if (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool)
            return false;
        left = sizeof pool;
    }
    left -= size;
    memcpy(out, pool + left, size);
    return true;
}

/* The transport of a kind, made when it is not there. */
static int find_transport(struct endpoint *e, enum peer_transport kind, struct transport **out)
{
    int r = 0;

    if (kind != PEER_UDP && !e->connected) {
        r = libcoap_new(e, &e->connected);
        e->open_transports += r == 0;
    }
    *out = kind == PEER_UDP ? e->udp : e->connected;
    return r;
}

/* Endpoint -------------------------------------------------------------------------------------------------------- */

int endpoint_new(struct endpoint **out, const struct endpoint_options *options)
{
    struct endpoint *e = calloc(1, sizeof *e);
    int r;

    if (!e)
        return -ENOMEM;
    e->options = *options;
    r = udp_new(e, &e->udp);
    if (r < 0) {
        free(e);
        return r;
    }
    e->open_transports = 1;
    *out = e;
    return 0;
}

void endpoint_configure(struct endpoint *endpoint, const struct endpoint_options *options)
{
    struct endpoint_options *to = &endpoint->options;

    to->max_idle = options->max_idle;
    to->max_sessions = options->max_sessions;
    to->ack_timeout_ms = options->ack_timeout_ms;
    to->max_retransmit = options->max_retransmit;
    to->kept_bytes = options->kept_bytes;
    endpoint->udp->ops->configure(endpoint->udp);
    if (endpoint->connected)
        endpoint->connected->ops->configure(endpoint->connected);
}

int endpoint_listen(struct endpoint *endpoint, enum peer_transport transport, const char *address, char *reason,
                    size_t reason_size)
{
    struct transport *t;
    struct peer local;
    int r = address_parse_listen(address, transport, &local);

    if (r < 0) {
        (void)snprintf(reason, reason_size, "'%.100s' is no literal address with a port", address);
        return r;
    }
    r = find_transport(endpoint, transport, &t);
    if (r < 0) {
        (void)snprintf(reason, reason_size, "cannot serve %.100s: %s", address, strerror(-r));
        return r;
    }
    return t->ops->listen(t, transport, &local, address, reason, reason_size);
}

int endpoint_adopt(struct endpoint *endpoint, int fd)
{
    return endpoint->udp->ops->adopt(endpoint->udp, fd);
}

uint16_t endpoint_port(const struct endpoint *endpoint, enum peer_transport transport)
{
    const struct transport *t = transport == PEER_UDP ? endpoint->udp : endpoint->connected;

    return t ? t->ops->port(t, transport) : 0;
}

void endpoint_drop_identity(struct endpoint *endpoint, const char *identity)
{
    if (endpoint->connected)
        endpoint->connected->ops->drop_identity(endpoint->connected, identity);
}

void endpoint_transport_closed(struct endpoint *endpoint)
{
    if (--endpoint->open_transports > 0)
        return;
    if (endpoint->closed)
        endpoint->closed(endpoint->closed_arg);
    free(endpoint);
}

void endpoint_close(struct endpoint *endpoint, void (*closed)(void *arg), void *arg)
{
    endpoint->closed = closed;
    endpoint->closed_arg = arg;
    endpoint->udp->ops->close(endpoint->udp);
    if (endpoint->connected)
        endpoint->connected->ops->close(endpoint->connected);
}

void endpoint_get_stats(const struct endpoint *endpoint, struct endpoint_stats *out)
{
    *out = (struct endpoint_stats){0};
    endpoint->udp->ops->add_stats(endpoint->udp, out);
    if (endpoint->connected)
        endpoint->connected->ops->add_stats(endpoint->connected, out);
}

/* Requests that we send ------------------------------------------------------------------------------------------- */

int endpoint_open_channel(struct endpoint *endpoint, const char *address, const struct channel_security *security,
                          bool fresh, void *owner, struct channel **out)
{
    struct transport *t = NULL;
    struct peer peer;
    int r = peer_parse(address, &peer);

    if (r < 0)
        return r;
    r = find_transport(endpoint, peer.transport, &t);
    if (r < 0)
        return r;
    return t->ops->open_channel(t, &peer, address, security, fresh, owner, out);
}

unsigned channel_retransmissions(const struct channel *channel)
{
    return channel->retransmissions;
}

int channel_send(struct channel *channel, struct coapmsg *request, uint32_t ack_timeout_ms, uint32_t max_retransmit)
{
    channel->retransmissions = 0;
    return channel->transport->ops->send(channel, request, ack_timeout_ms, max_retransmit);
}

bool channel_awaits_ack(const struct channel *channel)
{
    return channel->transport->ops->awaits_ack(channel);
}

void channel_keep_token(struct channel *channel)
{
    channel->transport->ops->keep_token(channel);
}

struct channel *channel_close(struct channel *channel, bool keep)
{
    if (channel)
        channel->transport->ops->close_channel(channel, keep);
    return NULL;
}

/* Requests that we answer ----------------------------------------------------------------------------------------- */

const struct peer *incoming_peer(const struct incoming *incoming)
{
    return &incoming->peer;
}

const char *incoming_identity(const struct incoming *incoming)
{
    return incoming->identity;
}

const uint8_t *incoming_fingerprint(const struct incoming *incoming)
{
    return incoming->fingerprint;
}

void incoming_answer(struct incoming *incoming, struct coapmsg *response, bool keep)
{
    incoming->transport->ops->answer(incoming, response, keep);
}

void incoming_drop(struct incoming *incoming, bool keep)
{
    incoming->transport->ops->drop(incoming, keep);
}

void incoming_wait(struct incoming *incoming)
{
    if (incoming->transport->ops->wait)
        incoming->transport->ops->wait(incoming);
}

int endpoint_notify(struct endpoint *endpoint, const struct peer *peer, struct coapmsg *notification, bool confirmable,
                    void *owner, struct notice **out)
{
    struct notice *notice = NULL;
    struct transport *t;
    int r = find_transport(endpoint, peer->transport, &t);

    if (r < 0)
        return r;
    return t->ops->notify(t, peer, notification, confirmable, owner, out ? out : &notice);
}

void notice_cancel(struct notice *notice)
{
    notice->transport->ops->cancel(notice);
}
