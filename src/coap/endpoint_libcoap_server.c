#include "coap/endpoint_libcoap_private.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

/* Requests that we answer. libcoap does not notice copies of one (RFC 7252 section 4.5); this does. */

#define LATE_MS 200              /* an answer that takes longer is separate (RFC 7252 section 5.2.2) */
#define EXCHANGE_LIFETIME 247000 /* ms, RFC 7252 section 4.8.2 */
#define HELD_MAX 64              /* requests of one link that are not answered */

struct libcoap_incoming {
    struct incoming base;
    struct libcoap *libcoap;
    struct link *link;   /* NULL: gone */
    struct list node;    /* in the link's incomings */
    struct list waiting; /* in unacknowledged, or in kept */
    uint64_t since;      /* ms: received; kept: answered */
    uint64_t key;        /* of link and message ID */
    UT_hash_handle hh;   /* in by_mid */
    enum coapmsg_type type;
    uint16_t mid;
    uint8_t token_length, token[COAPMSG_MAX_TOKEN];
    char identity[KEYRING_IDENTITY_MAX + 1];
    uint8_t fingerprint[32];
    bool acknowledged, done; /* done: answered or dropped; kept for copies of the request */
    size_t answer_size;
    uint8_t *answer; /* encoded; NULL: dropped */
};

static struct libcoap_incoming *incoming_of(struct incoming *base)
{
    return container_of(base, struct libcoap_incoming, base);
}

/* Lifetime --------------------------------------------------------------------------------------------------------- */

static void free_incoming(struct libcoap_incoming *in)
{
    struct libcoap *l = in->libcoap;

    if (in->key)
        HASH_DEL(l->by_mid, in);
    if (in->done) {
        l->stats.kept--;
        l->stats.kept_bytes -= in->answer_size;
    } else {
        l->stats.held--;
        if (in->link)
            in->link->held--;
    }
    list_unlink(&in->node);
    list_unlink(&in->waiting);
    free(in->answer);
    free(in);
}

void libcoap_trim_kept(struct libcoap *libcoap)
{
    uint64_t now = uv_now(libcoap->timer.loop);

    while (!list_empty(&libcoap->kept)) {
        struct libcoap_incoming *in = list_first(&libcoap->kept, struct libcoap_incoming, waiting);

        if (now - in->since < EXCHANGE_LIFETIME && libcoap->stats.kept_bytes <= libcoap_options(libcoap)->kept_bytes)
            break;
        free_incoming(in);
    }
}

void server_forget_link(struct link *link)
{
    list_each(node, &link->incomings)
    {
        struct libcoap_incoming *in = container_of(node, struct libcoap_incoming, node);

        if (in->done) {
            free_incoming(in);
            continue;
        }
        list_unlink(&in->node);
        list_append(&link->owner->orphans, &in->node);
        list_unlink(&in->waiting);
        in->link = NULL;
    }
}

void server_free_orphans(struct libcoap *libcoap)
{
    while (!list_empty(&libcoap->orphans))
        free_incoming(list_first(&libcoap->orphans, struct libcoap_incoming, node));
}

/* Only over DTLS do messages have IDs and copies. A key is never 0: serial numbers begin at 1. */
static uint64_t key_of(const struct link *link, uint16_t mid)
{
    return link->reliable ? 0 : link->peer.session << 16 | mid;
}

static struct libcoap_incoming *new_incoming(struct link *link, const struct coapmsg *request)
{
    struct libcoap_incoming *in = calloc(1, sizeof *in);
    struct libcoap *l = link->owner;

    if (!in)
        return NULL;
    (void)text_copy(in->identity, sizeof in->identity, link->identity);
    memcpy(in->fingerprint, link->fingerprint, sizeof in->fingerprint);
    in->base = (struct incoming){.transport = &l->base,
                                 .identity = in->identity[0] ? in->identity : NULL,
                                 .fingerprint = link->has_fingerprint ? in->fingerprint : NULL,
                                 .peer = link->peer};
    in->libcoap = l;
    in->link = link;
    in->since = uv_now(l->timer.loop);
    in->type = request->type;
    in->mid = request->id;
    in->token_length = request->token_length;
    memcpy(in->token, request->token, request->token_length);
    in->key = key_of(link, request->id);
    if (in->key)
        HASH_ADD(hh, l->by_mid, key, sizeof in->key, in);
    list_init(&in->waiting);
    list_init(&in->node);
    list_append(&link->incomings, &in->node);
    if (!link->reliable && in->type == COAPMSG_CON)
        list_append(&l->unacknowledged, &in->waiting);
    l->stats.held++;
    link->held++;
    return in;
}

/* Sending ---------------------------------------------------------------------------------------------------------- */

/* False when it does not fit. */
static bool send_message(struct link *link, const struct coapmsg *msg)
{
    coap_pdu_t *pdu = libcoap_make_pdu(link, msg);

    if (pdu)
        (void)link_send(link, pdu);
    return pdu != NULL;
}

static void send_empty_ack(struct libcoap_incoming *in)
{
    struct coapmsg ack;

    coapmsg_init(&ack, COAPMSG_ACK, COAPMSG_EMPTY);
    ack.id = in->mid;
    (void)send_message(in->link, &ack);
    in->acknowledged = true;
}

void libcoap_acknowledge_late(struct libcoap *libcoap)
{
    uint64_t now = uv_now(libcoap->timer.loop);

    while (!list_empty(&libcoap->unacknowledged)) {
        struct libcoap_incoming *in = list_first(&libcoap->unacknowledged, struct libcoap_incoming, waiting);

        if (now - in->since < LATE_MS)
            break;
        list_unlink(&in->waiting);
        send_empty_ack(in);
    }
}

static void set_type(struct libcoap_incoming *in, struct coapmsg *response)
{
    const struct endpoint_options *options = libcoap_options(in->libcoap);
    bool piggybacked = in->type == COAPMSG_CON && !in->acknowledged;

    response->type = in->link->reliable || in->type == COAPMSG_NON ? COAPMSG_NON
                     : piggybacked                                 ? COAPMSG_ACK
                                                                   : COAPMSG_CON;
    response->id = piggybacked ? in->mid : coap_new_message_id(in->link->session);
    link_set_times(in->link, options->ack_timeout_ms, options->max_retransmit);
    coapmsg_set_token(response, in->token, in->token_length);
}

/* Nothing to keep in a connection, and a separate answer is retransmitted on its own account. */
static void keep_answer(struct libcoap_incoming *in, const struct coapmsg *response)
{
    size_t size = response && response->type != COAPMSG_CON ? coapmsg_size(response) : 0;
    struct libcoap *l = in->libcoap;

    in->answer = size ? malloc(size) : NULL;
    in->answer_size = sizeof *in + (in->answer ? coapmsg_encode(response, in->answer, size) : 0);
    in->done = true;
    in->since = uv_now(l->timer.loop);
    in->link->held--;
    l->stats.held--;
    l->stats.kept++;
    l->stats.kept_bytes += in->answer_size;
    list_unlink(&in->waiting);
    list_append(&l->kept, &in->waiting);
    libcoap_trim_kept(l);
}

static void finish(struct libcoap_incoming *in, const struct coapmsg *response, bool keep)
{
    if (keep && in->key && in->link && !in->libcoap->closing)
        keep_answer(in, response);
    else
        free_incoming(in);
}

void libcoap_answer(struct incoming *base, struct coapmsg *response, bool keep)
{
    struct libcoap_incoming *in = incoming_of(base);

    if (in->link && !in->link->dead) {
        list_unlink(&in->waiting);
        set_type(in, response);
        if (!send_message(in->link, response)) {
            coapmsg_init(response, response->type, COAPMSG_INTERNAL_ERROR);
            set_type(in, response);
            (void)send_message(in->link, response);
        }
    }
    finish(in, response, keep);
}

void libcoap_drop(struct incoming *base, bool keep)
{
    finish(incoming_of(base), NULL, keep);
}

static void answer_copy(struct libcoap_incoming *in)
{
    struct coapmsg answer;

    in->libcoap->stats.duplicates++;
    if (in->answer && coapmsg_decode(&answer, in->answer, in->answer_size - sizeof *in) == 0)
        (void)send_message(in->link, &answer);
    else if (in->acknowledged)
        send_empty_ack(in);
}

/* Receiving -------------------------------------------------------------------------------------------------------- */

static void take_request(struct link *link, const struct coapmsg *request)
{
    const struct endpoint_options *options = libcoap_options(link->owner);
    uint64_t key = key_of(link, request->id);
    struct libcoap_incoming *in = NULL;

    if (key)
        HASH_FIND(hh, link->owner->by_mid, &key, sizeof key, in);
    if (in) {
        answer_copy(in);
        return;
    }
    in = new_incoming(link, request);
    if (in)
        options->handlers->request(options->server, &in->base, request);
}

/* An answer at once, by libcoap, that nobody remembers. */
static void refuse(struct libcoap *l, coap_pdu_t *response, const struct coapmsg *request, uint8_t code)
{
    l->stats.refused++;
    coap_pdu_set_type(response, request->type == COAPMSG_CON ? COAP_MESSAGE_ACK : COAP_MESSAGE_NON);
    coap_pdu_set_code(response, (coap_pdu_code_t)code);
}

static void handle_request(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *pdu,
                           const coap_string_t *query, coap_pdu_t *response)
{
    struct link *link = link_of(session);
    struct coapmsg request;

    (void)resource;
    (void)query;
    /* An empty message that is not confirmable is not sent: what there is to say is said by libcoap_answer. */
    coap_pdu_set_type(response, COAP_MESSAGE_NON);
    if (!link || !link->ready || link->is_ours || link->owner->closing)
        return;
    link->owner->stats.received++;
    libcoap_view(&request, pdu);
    link_touch(link);
    list_unlink(&link->doubt_node);
    if (!libcoap_options(link->owner)->handlers->request)
        (void)(link->reliable || coap_send_rst(session, pdu));
    else if (request.failed)
        refuse(link->owner, response, &request, COAPMSG_BAD_REQUEST);
    else if (link->held >= HELD_MAX)
        refuse(link->owner, response, &request, COAPMSG_UNAVAILABLE);
    else
        take_request(link, &request);
}

static void register_methods(coap_resource_t *resource)
{
    for (int method = COAP_REQUEST_GET; method <= COAP_REQUEST_IPATCH; method++)
        coap_register_request_handler(resource, (coap_request_t)method, handle_request);
}

/* libcoap answers for /.well-known/core itself unless there is such a resource. */
bool libcoap_add_resources(coap_context_t *context)
{
    coap_resource_t *any = coap_resource_unknown_init(handle_request);
    coap_resource_t *core = coap_resource_init(coap_make_str_const(".well-known/core"), 0);

    if (any) {
        register_methods(any);
        coap_add_resource(context, any);
    }
    if (core) {
        register_methods(core);
        coap_add_resource(context, core);
    }
    return any && core;
}

/* Requests over sessions that we opened are not served, by no handler at all: before it calls one, libcoap may wait
 * for the peer's CSM, which blocks the loop. */
bool libcoap_refuse_resources(coap_context_t *context)
{
    coap_resource_t *core = coap_resource_init(coap_make_str_const(".well-known/core"), 0);

    if (core)
        coap_add_resource(context, core);
    return core != NULL;
}
