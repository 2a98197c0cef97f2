#include "coap/udp_private.h"

#include <errno.h>
#include <string.h>

/* A separate answer under way. */
struct answer {
    struct udp_outgoing out;
};

static struct udp *udp_of_incoming(const struct udp_incoming *in)
{
    return udp_of(in->base.transport);
}

static void free_incoming(struct udp_incoming *in)
{
    struct udp *udp = udp_of_incoming(in);

    HASH_DEL(udp->held, in); /* NOLINT(clang-analyzer-core.NullDereference) */
    udp_clear_alarm(udp, &in->alarm);
    free(in);
}

void udp_free_held(struct udp *udp)
{
    while (udp->held)
        free_incoming(udp->held);
}

/* Answers --------------------------------------------------------------------------------------------------------- */

void udp_free_answer(struct udp *udp, struct udp_outgoing *out)
{
    udp_stop(udp, out);
    udp->answer_count--;
    free(container_of(out, struct answer, out));
}

/* Too many at once leave without retransmission. */
static void send_separate(struct udp *udp, const struct peer *to, struct coapmsg *response)
{
    const struct endpoint_options *options = udp_options(udp);
    bool once = response->type == COAPMSG_NON || udp->answer_count >= UDP_ANSWERS_MAX || !options->max_retransmit;
    struct answer *answer = calloc(1, sizeof *answer);

    if (!answer)
        return;
    answer->out.kind = UDP_ANSWER;
    udp->answer_count++;
    if (udp_post(udp, &answer->out, to, response, options->ack_timeout_ms, once ? 0 : options->max_retransmit, true) <
            0 ||
        once)
        udp_free_answer(udp, &answer->out);
}

static void send_piggybacked(struct udp_incoming *in, struct coapmsg *response, bool keep)
{
    struct udp *udp = udp_of_incoming(in);
    size_t size;

    response->type = COAPMSG_ACK;
    response->id = in->key.mid;
    size = coapmsg_encode(response, udp->scratch, sizeof udp->scratch);
    (void)udp->driver->send(udp, &in->base.peer, udp->scratch, size, true);
    if (keep)
        udp_keep(udp, &in->key, true, UDP_KEPT_ANSWER, udp->scratch, size);
}

/* What cannot be sent at all becomes 5.00, so that there is an answer. */
static void mend(struct coapmsg *response)
{
    if (response->failed || coapmsg_size(response) > UDP_MAX_DATAGRAM)
        coapmsg_init(response, response->type, COAPMSG_INTERNAL_ERROR);
}

void udp_answer(struct incoming *base, struct coapmsg *response, bool keep)
{
    struct udp_incoming *in = container_of(base, struct udp_incoming, base);
    struct udp *udp = udp_of_incoming(in);

    coapmsg_set_token(response, in->token, in->token_length);
    mend(response);
    coapmsg_set_token(response, in->token, in->token_length);
    if (in->type == COAPMSG_CON && !in->acknowledged) {
        send_piggybacked(in, response, keep);
    } else {
        response->type = in->type;
        send_separate(udp, &in->base.peer, response);
        if (keep)
            udp_keep(udp, &in->key, in->acknowledged, in->acknowledged ? UDP_KEPT_ACK : UDP_KEPT_SILENCE, NULL, 0);
    }
    free_incoming(in);
}

void udp_drop(struct incoming *base, bool keep)
{
    struct udp_incoming *in = container_of(base, struct udp_incoming, base);

    if (keep)
        udp_keep(udp_of_incoming(in), &in->key, in->type == COAPMSG_CON,
                 in->acknowledged ? UDP_KEPT_ACK : UDP_KEPT_SILENCE, NULL, 0);
    free_incoming(in);
}

void udp_wait(struct incoming *base)
{
    struct udp_incoming *in = container_of(base, struct udp_incoming, base);

    udp_clear_alarm(udp_of_incoming(in), &in->alarm);
}

/* Requests -------------------------------------------------------------------------------------------------------- */

static void on_ack_due(struct udp *udp, struct udp_alarm *alarm)
{
    struct udp_incoming *in = container_of(alarm, struct udp_incoming, alarm);

    in->acknowledged = true;
    udp_send_empty(udp, &in->base.peer, COAPMSG_ACK, in->key.mid);
}

static struct udp_incoming *hold(struct udp *udp, const struct udp_key *key, const struct peer *from,
                                 const struct coapmsg *request)
{
    struct udp_incoming *in = NULL;

    if (HASH_COUNT(udp->held) < UDP_HELD_MAX)
        in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->base = (struct incoming){.transport = &udp->base, .peer = *from};
    in->key = *key;
    in->type = request->type;
    in->token_length = request->token_length;
    memcpy(in->token, request->token, sizeof in->token);
    in->alarm.ring = on_ack_due;
    if (in->type == COAPMSG_CON && udp_set_alarm(udp, &in->alarm, udp_now(udp) + UDP_ACK_DELAY_MS) < 0) {
        free(in);
        return NULL;
    }
    HASH_ADD(hh, udp->held, key, sizeof in->key, in);
    return in;
}

/* Nothing is remembered of it: when it is sent again there may be room. */
static void answer_busy(struct udp *udp, const struct peer *from, const struct coapmsg *request)
{
    struct coapmsg response;
    size_t size;

    udp->stats.refused++;
    if (request->type != COAPMSG_CON)
        return;
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_UNAVAILABLE);
    response.id = request->id;
    coapmsg_set_token(&response, request->token, request->token_length);
    coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE, UDP_BUSY_MAX_AGE);
    size = coapmsg_encode(&response, udp->scratch, sizeof udp->scratch);
    (void)udp->driver->send(udp, from, udp->scratch, size, true);
}

static bool is_held(struct udp *udp, const struct udp_key *key)
{
    struct udp_incoming *in = NULL;

    HASH_FIND(hh, udp->held, key, sizeof *key, in);
    if (!in)
        return false;
    udp->stats.duplicates++;
    if (in->acknowledged)
        udp_send_empty(udp, &in->base.peer, COAPMSG_ACK, key->mid);
    return true;
}

void udp_take_request(struct udp *udp, const struct peer *from, const struct coapmsg *request)
{
    const struct endpoint_options *options = udp_options(udp);
    struct udp_key key = udp_make_key_of(from, request);
    struct udp_incoming *in;

    if (is_held(udp, &key) || udp_answer_copy(udp, &key, from))
        return;
    if (!options->handlers->request) {
        udp->stats.unmatched++;
        udp_reject(udp, from, request);
        return;
    }
    in = hold(udp, &key, from, request);
    if (in)
        options->handlers->request(options->server, &in->base, request);
    else
        answer_busy(udp, from, request);
}
