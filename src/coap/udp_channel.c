#include "coap/udp_private.h"

#include "base/memory.h"

#include <errno.h>
#include <string.h>

static struct udp *udp_of_channel(const struct udp_channel *channel)
{
    return udp_of(channel->base.transport);
}

static struct udp_channel *channel_of(struct channel *channel)
{
    return container_of(channel, struct udp_channel, base);
}

int udp_open_channel(struct transport *transport, const struct peer *peer, const char *address,
                     const struct channel_security *security, bool fresh, void *owner, struct channel **out)
{
    struct udp_channel *channel = memory_new(sizeof *channel);

    (void)address;
    (void)security;
    (void)fresh;
    if (!channel)
        return -ENOMEM;
    channel->base = (struct channel){.transport = transport, .owner = owner};
    channel->peer = *peer;
    channel->out.kind = UDP_CHANNEL;
    udp_of(transport)->channel_count++;
    *out = &channel->base;
    return 0;
}

static void unlist(struct udp_channel *channel)
{
    struct udp *udp = udp_of_channel(channel);

    if (channel->listed)
        HASH_DEL(udp->channels, channel); /* NOLINT(clang-analyzer-core.NullDereference) */
    channel->listed = false;
}

static int take_token(struct udp_channel *channel)
{
    struct udp *udp = udp_of_channel(channel);

    if (channel->keep_token && channel->listed) {
        channel->keep_token = false;
        return 0;
    }
    unlist(channel);
    if (!endpoint_random(channel->token, sizeof channel->token))
        return -EIO;
    HASH_ADD(hh, udp->channels, token, sizeof channel->token, channel);
    channel->listed = true;
    return 0;
}

int udp_send_request(struct channel *base, struct coapmsg *request, uint32_t ack_timeout_ms, uint32_t max_retransmit)
{
    struct udp_channel *channel = channel_of(base);
    int r = take_token(channel);

    if (r < 0)
        return r;
    channel->has_answer = false;
    request->type = COAPMSG_CON;
    coapmsg_set_token(request, channel->token, sizeof channel->token);
    return udp_post(udp_of_channel(channel), &channel->out, &channel->peer, request, ack_timeout_ms, max_retransmit,
                    false);
}

bool udp_awaits_ack(const struct channel *base)
{
    return container_of(base, const struct udp_channel, base)->out.waiting;
}

void udp_keep_token(struct channel *base)
{
    channel_of(base)->keep_token = true;
}

void udp_close_channel(struct channel *base, bool keep)
{
    struct udp_channel *channel = channel_of(base);
    struct udp *udp = udp_of_channel(channel);

    (void)keep;
    unlist(channel);
    udp_stop(udp, &channel->out);
    udp->channel_count--;
    free(channel);
}

void udp_tell_channel(struct udp_channel *channel, int event)
{
    const struct endpoint_options *options = udp_options(udp_of_channel(channel));

    if (event >= 0)
        options->handlers->event(channel->base.owner, (enum channel_event)event);
}

static void pass_on(struct udp_channel *channel, const struct coapmsg *response, bool separate)
{
    struct udp *udp = udp_of_channel(channel);

    udp_stop(udp, &channel->out); /* an answer says more than an ACK */
    udp_options(udp)->handlers->response(channel->base.owner, response, separate);
}

static struct udp_channel *find_channel(struct udp *udp, const struct peer *from, const struct coapmsg *response)
{
    struct udp_channel *channel = NULL;

    if (response->token_length == CHANNEL_TOKEN_SIZE)
        HASH_FIND(hh, udp->channels, response->token, CHANNEL_TOKEN_SIZE, channel);
    return channel && peer_equal(&channel->peer, from) ? channel : NULL;
}

/* True for what was passed on before. Another one may follow: the first may have been made up by somebody on the way,
 * and the owner, who can tell, waits for the true one. */
static bool is_repeated(struct udp_channel *channel, const struct coapmsg *response)
{
    uint32_t digest = udp_hash(response->payload, response->payload_size) ^ response->code;
    bool repeated = channel->has_answer && channel->digest == digest;

    channel->has_answer = true;
    channel->digest = digest;
    return repeated;
}

/* RFC 7252 section 5.3.2: it has the message ID (or one before, when the request left under several) and the token of
 * the request. */
static void take_piggybacked(struct udp *udp, const struct peer *from, const struct coapmsg *response)
{
    struct udp_channel *channel = find_channel(udp, from, response);
    struct udp_outgoing *out = udp_find_outgoing(udp, from, response->id);

    if (!channel || (response->id != channel->out.key.mid && !channel->out.renumbered)) {
        udp->stats.unmatched++;
        if (out && out->kind == UDP_CHANNEL)
            udp_renumber(udp, out);
    } else if (is_repeated(channel, response)) {
        udp->stats.duplicates++;
    } else {
        pass_on(channel, response, false);
    }
}

static void take_separate(struct udp *udp, const struct peer *from, const struct coapmsg *response)
{
    bool confirmable = response->type == COAPMSG_CON;
    struct udp_key key = udp_make_key_of(from, response);
    struct udp_channel *channel;

    if (udp_answer_copy(udp, &key, from))
        return;
    channel = find_channel(udp, from, response);
    if (!channel) {
        udp->stats.unmatched++;
        udp_reject(udp, from, response);
        return;
    }
    udp_keep(udp, &key, confirmable, confirmable ? UDP_KEPT_ACK : UDP_KEPT_SILENCE, NULL, 0);
    if (confirmable)
        udp_send_empty(udp, from, COAPMSG_ACK, response->id);
    pass_on(channel, response, true);
}

void udp_take_response(struct udp *udp, const struct peer *from, const struct coapmsg *response)
{
    if (response->type == COAPMSG_ACK)
        take_piggybacked(udp, from, response);
    else
        take_separate(udp, from, response);
}
