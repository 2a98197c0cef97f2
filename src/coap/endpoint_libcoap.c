#include "coap/endpoint_private.h"

#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "coap/address.h"

#include <coap3/coap.h>
#include <errno.h>
#include <string.h>
#include <uthash.h>

#define TOKEN_SIZE 4       /* RFC 7252 section 5.3.1: at least 32 bits without a secured transport */
#define MAX_DATAGRAM 65507 /* UDP over IPv4 */

struct libcoap {
    struct transport base;
    uv_poll_t poll;
    coap_context_t *context;
    struct libcoap_channel *idle_by_address; /* uthash */
    struct list idle;                        /* the same, least recently used first */
    struct list events;                      /* channels with an event to tell */
    struct list dropped;                     /* channels to free when libcoap is not on the stack */
    uint32_t channel_count;
    bool processing; /* libcoap is on the stack */
};

struct libcoap_channel {
    struct channel base; /* owner NULL: idle or dropped */
    coap_session_t *session;
    char address[CORE_ADDRESS_MAX + 1];
    struct list node; /* in idle or dropped */
    struct list event_node;
    enum channel_event event;
    bool queried, queued; /* of channel_awaits_ack */
    coap_mid_t mid;
    uint8_t token[TOKEN_SIZE];
    uint32_t ack_timeout_ms, max_retransmit; /* as set in the session */
    UT_hash_handle hh;
};

static struct libcoap *libcoap_of(const struct libcoap_channel *channel)
{
    return container_of(channel->base.transport, struct libcoap, base);
}

static const struct endpoint_handlers *handlers_of(const struct libcoap_channel *channel)
{
    return channel->base.transport->endpoint->options.handlers;
}

/* libcoap's messages ---------------------------------------------------------------------------------------------- */

static void handle_log(coap_log_t level, const char *message)
{
    char line[512];

    (void)level;
    (void)text_copy(line, sizeof line, message);
    line[strcspn(line, "\n")] = 0;
    log_debug(line, "from", "libcoap", NULL);
}

static void follow_log_level(void)
{
    coap_set_log_level(log_enabled(LOG_LEVEL_DEBUG) ? LOG_DEBUG : LOG_EMERG);
}

/* Callbacks from libcoap ------------------------------------------------------------------------------------------ */

/* Views the received message. libcoap cuts datagrams at its buffer's size without a word: such a one is marked as
 * failed, as is one with more options than the model takes. */
static void view_response(struct coapmsg *msg, const coap_pdu_t *pdu)
{
    coap_bin_const_t token = coap_pdu_get_token(pdu);
    coap_opt_iterator_t iterator;
    const uint8_t *payload;
    coap_opt_t *option;
    size_t size;

    coapmsg_init(msg, (enum coapmsg_type)coap_pdu_get_type(pdu), (uint8_t)coap_pdu_get_code(pdu));
    msg->id = (uint16_t)coap_pdu_get_mid(pdu);
    coapmsg_set_token(msg, token.s, token.length);
    coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
    while ((option = coap_option_next(&iterator)))
        coapmsg_add(msg, iterator.number, coap_opt_value(option), coap_opt_length(option));
    if (coap_get_data(pdu, &size, &payload))
        coapmsg_set_payload(msg, payload, size);
    if (msg->payload_size > COAP_RXBUFFER_SIZE / 2 && coapmsg_size(msg) >= COAP_RXBUFFER_SIZE)
        msg->failed = true;
}

/* RFC 7252 section 5.3.2: the token decides, and a piggybacked response has the request's message ID besides. */
static bool is_answer(const struct libcoap_channel *channel, const coap_pdu_t *pdu)
{
    coap_bin_const_t token = coap_pdu_get_token(pdu);

    return channel && channel->base.owner && token.length == TOKEN_SIZE &&
           memcmp(token.s, channel->token, TOKEN_SIZE) == 0 &&
           (coap_pdu_get_type(pdu) != COAP_MESSAGE_ACK || coap_pdu_get_mid(pdu) == channel->mid);
}

static coap_response_t handle_response(coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received,
                                       const coap_mid_t mid)
{
    struct libcoap_channel *channel = coap_session_get_app_data(session);
    bool confirmable = coap_pdu_get_type(received) == COAP_MESSAGE_CON;
    struct coapmsg response;

    (void)sent;
    (void)mid;
    if (!is_answer(channel, received))
        return confirmable ? COAP_RESPONSE_FAIL : COAP_RESPONSE_OK;
    view_response(&response, received);
    list_unlink(&channel->event_node);
    handlers_of(channel)->response(channel->base.owner, &response, coap_pdu_get_type(received) != COAP_MESSAGE_ACK);
    return COAP_RESPONSE_OK;
}

/* libcoap walks its queue while it calls this, so what follows from it waits until it has returned. */
static void handle_nack(coap_session_t *session, const coap_pdu_t *sent, const coap_nack_reason_t reason,
                        const coap_mid_t mid)
{
    struct libcoap_channel *channel = coap_session_get_app_data(session);

    (void)mid;
    if (!channel || !sent || !channel->base.owner)
        return;
    if (channel->queried) {
        channel->queued = true;
        return;
    }
    channel->event = reason == COAP_NACK_RST          ? CHANNEL_RESET
                     : reason == COAP_NACK_ICMP_ISSUE ? CHANNEL_REFUSED
                                                      : CHANNEL_GIVEN_UP;
    list_unlink(&channel->event_node);
    list_append(&libcoap_of(channel)->events, &channel->event_node);
}

/* The loop -------------------------------------------------------------------------------------------------------- */

/*
 * Takes what was sent on a session out of libcoap's queue: its public API has no call for it but this one, which
 * reports each message to the nack handler. libcoap 4.3.1 keeps the times in its queue relative to the message before
 * and does not mend them here, so others' next retransmissions come too early. Nor does it stop when the wall clock,
 * by which it times them, is set forward. So what must leave once does not stay in the queue at all.
 */
static void stop_retransmission(struct libcoap_channel *channel)
{
    void *owner = steal_pointer(channel->base.owner);

    coap_session_disconnected(channel->session, COAP_NACK_NOT_DELIVERABLE);
    channel->base.owner = owner;
}

static void free_channel(struct libcoap_channel *channel)
{
    list_unlink(&channel->node);
    channel->base.owner = NULL;
    stop_retransmission(channel);
    coap_session_set_app_data(channel->session, NULL);
    coap_session_release(channel->session);
    libcoap_of(channel)->channel_count--;
    free(channel);
}

static void free_dropped(struct libcoap *e)
{
    while (!list_empty(&e->dropped))
        free_channel(list_first(&e->dropped, struct libcoap_channel, node));
}

static void tell_events(struct libcoap *e)
{
    while (!list_empty(&e->events)) {
        struct libcoap_channel *channel = list_first(&e->events, struct libcoap_channel, event_node);

        list_unlink(&channel->event_node);
        e->base.endpoint->options.handlers->event(channel->base.owner, channel->event);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct libcoap *e = container_of(poll, struct libcoap, poll);

    (void)status;
    (void)events;
    e->processing = true;
    (void)coap_io_process(e->context, COAP_IO_NO_WAIT);
    e->processing = false;
    tell_events(e);
    free_dropped(e);
}

/* Endpoint -------------------------------------------------------------------------------------------------------- */

/* libcoap takes those of each request's timeout here too. */
static int take_random(void *out, size_t size)
{
    return endpoint_random(out, size);
}

static void set_up_context(coap_context_t *context, struct libcoap *e)
{
    /* Critical options that a response may carry. libcoap holds two numbers above 255 and no more. */
    static const uint16_t options[] = {COAPMSG_OPT_OSCORE, 65001, 65005};

    coap_set_app_data(context, e);
    coap_context_set_block_mode(context, 0);
    for (size_t i = 0; i < array_size(options); i++)
        coap_register_option(context, options[i]);
    coap_register_response_handler(context, handle_response);
    coap_register_nack_handler(context, handle_nack);
}

static const struct transport_ops ops;

int libcoap_new(struct endpoint *endpoint, struct transport **out)
{
    struct libcoap *e = malloc(sizeof *e);
    int r = -ENOMEM;

    if (!e)
        return r;
    coap_startup();
    coap_set_prng(take_random);
    coap_set_log_handler(handle_log);
    follow_log_level();
    *e = (struct libcoap){.base = {.ops = &ops, .endpoint = endpoint}};
    list_init(&e->idle);
    list_init(&e->events);
    list_init(&e->dropped);
    e->context = coap_new_context(NULL);
    if (!e->context)
        goto fail;
    set_up_context(e->context, e);
    r = -ENOSYS; /* a libcoap without epoll */
    if (coap_context_get_coap_fd(e->context) < 0)
        goto fail_context;
    r = uv_poll_init(endpoint->options.loop, &e->poll, coap_context_get_coap_fd(e->context));
    if (r < 0)
        goto fail_context;
    (void)uv_poll_start(&e->poll, UV_READABLE, on_readable);
    *out = &e->base;
    return 0;

fail_context:
    coap_free_context(e->context);
fail:
    free(e);
    return r;
}

static void drop_channel(struct libcoap_channel *channel)
{
    struct libcoap *e = libcoap_of(channel);

    channel->base.owner = NULL;
    list_append(&e->dropped, &channel->node);
    if (!e->processing)
        free_dropped(e);
}

static struct libcoap_channel *take_idle(struct libcoap_channel *channel)
{
    struct libcoap *e = libcoap_of(channel);

    /* An idle channel is in the table, which the analyzer cannot know. NOLINTNEXTLINE */
    HASH_DEL(e->idle_by_address, channel);
    list_unlink(&channel->node);
    return channel;
}

static void trim_idle(struct libcoap *e, uint32_t max)
{
    while (HASH_COUNT(e->idle_by_address) > max)
        drop_channel(take_idle(list_first(&e->idle, struct libcoap_channel, node)));
}

static void configure(struct transport *transport)
{
    struct libcoap *e = container_of(transport, struct libcoap, base);

    follow_log_level();
    trim_idle(e, transport->endpoint->options.max_idle);
}

static void on_closed(uv_handle_t *handle)
{
    struct libcoap *e = container_of((uv_poll_t *)handle, struct libcoap, poll);
    struct endpoint *endpoint = e->base.endpoint;

    trim_idle(e, 0);
    free_dropped(e);
    coap_free_context(e->context);
    free(e);
    endpoint_transport_closed(endpoint);
}

static void close_transport(struct transport *transport)
{
    uv_close((uv_handle_t *)&container_of(transport, struct libcoap, base)->poll, on_closed);
}

static void add_stats(const struct transport *transport, struct endpoint_stats *stats)
{
    stats->channels += ((const struct libcoap *)transport)->channel_count;
}

/* Channels -------------------------------------------------------------------------------------------------------- */

static int connect_session(struct libcoap *e, const struct peer *to, coap_session_t **out)
{
    coap_address_t peer;

    coap_address_init(&peer);
    peer.size = to->address.any.sa_family == AF_INET ? sizeof to->address.v4 : sizeof to->address.v6;
    memcpy(&peer.addr, &to->address, peer.size);
    errno = 0;
    *out = coap_new_client_session(e->context, NULL, &peer, COAP_PROTO_UDP);
    if (!*out)
        return errno ? -errno : -ENOMEM;
    coap_session_set_mtu(*out, MAX_DATAGRAM);
    return 0;
}

static int new_channel(struct libcoap *e, const struct peer *peer, const char *address, struct libcoap_channel **out)
{
    struct libcoap_channel *channel = calloc(1, sizeof *channel);
    int r;

    if (!channel)
        return -ENOMEM;
    r = connect_session(e, peer, &channel->session);
    if (r < 0) {
        free(channel);
        return r;
    }
    channel->base.transport = &e->base;
    (void)text_copy(channel->address, sizeof channel->address, address);
    list_init(&channel->node);
    list_init(&channel->event_node);
    coap_session_set_app_data(channel->session, channel);
    e->channel_count++;
    *out = channel;
    return 0;
}

static int open_channel(struct transport *transport, const struct peer *peer, const char *address,
                        const struct channel_security *security, bool fresh, void *owner, struct channel **out)
{
    struct libcoap *e = container_of(transport, struct libcoap, base);
    struct libcoap_channel *channel = NULL;
    int r;

    (void)security;
    if (!fresh)
        HASH_FIND_STR(e->idle_by_address, address, channel);
    if (channel) {
        (void)take_idle(channel);
    } else {
        r = new_channel(e, peer, address, &channel);
        if (r < 0)
            return r;
    }
    channel->base.owner = owner;
    *out = &channel->base;
    return 0;
}

static coap_fixed_point_t fixed_point(uint32_t ms)
{
    return (coap_fixed_point_t){(uint16_t)(ms / 1000), (uint16_t)(ms % 1000)};
}

static void set_times(struct libcoap_channel *channel, uint32_t ack_timeout_ms, uint32_t max_retransmit)
{
    if (channel->ack_timeout_ms != ack_timeout_ms) {
        coap_session_set_ack_timeout(channel->session, fixed_point(ack_timeout_ms));
        channel->ack_timeout_ms = ack_timeout_ms;
    }
    if (channel->max_retransmit != max_retransmit) {
        coap_session_set_max_retransmit(channel->session, (uint16_t)max_retransmit);
        channel->max_retransmit = max_retransmit;
    }
}

/* libcoap's PDU of a request, NULL when it does not fit or memory is short. */
static coap_pdu_t *make_pdu(struct libcoap_channel *channel, const struct coapmsg *request)
{
    coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, (coap_pdu_code_t)request->code, channel->session);
    bool ok = pdu && !request->failed && coap_add_token(pdu, request->token_length, request->token);

    for (size_t i = 0; ok && i < request->option_count; i++) {
        const struct coapmsg_option *option = &request->options[i];

        ok = coap_add_option(pdu, option->number, option->length, option->value) > 0;
    }
    if (ok && request->payload_size)
        ok = coap_add_data(pdu, request->payload_size, request->payload);
    if (!ok) {
        coap_delete_pdu(pdu);
        pdu = NULL;
    }
    return pdu;
}

static int send_request(struct channel *base, struct coapmsg *request, uint32_t ack_timeout_ms, uint32_t max_retransmit)
{
    struct libcoap_channel *channel = container_of(base, struct libcoap_channel, base);
    coap_pdu_t *pdu;

    if (!take_random(channel->token, TOKEN_SIZE))
        return -EIO;
    coapmsg_set_token(request, channel->token, TOKEN_SIZE);
    pdu = make_pdu(channel, request);
    if (!pdu)
        return -EMSGSIZE;
    set_times(channel, ack_timeout_ms, max_retransmit ? max_retransmit : 1);
    errno = 0;
    channel->mid = coap_send(channel->session, pdu);
    if (channel->mid == COAP_INVALID_MID)
        return errno ? -errno : -EIO;
    if (!max_retransmit)
        stop_retransmission(channel); /* libcoap cannot send without it, but the request has left by now */
    return 0;
}

/* libcoap tells nobody about an empty ACK. But an ICMP error is reported for each message that it still keeps for
 * retransmission and changes nothing about it, so pretending one shows whether the request is among them. */
static bool awaits_ack(const struct channel *base)
{
    struct libcoap_channel *channel = (struct libcoap_channel *)(uintptr_t)base;

    channel->queued = false;
    channel->queried = true;
    coap_session_disconnected(channel->session, COAP_NACK_ICMP_ISSUE);
    channel->queried = false;
    return channel->queued;
}

static void close_channel(struct channel *base, bool keep)
{
    struct libcoap_channel *channel = container_of(base, struct libcoap_channel, base), *present = NULL;
    struct libcoap *e = libcoap_of(channel);
    uint32_t max_idle = e->base.endpoint->options.max_idle;

    list_unlink(&channel->event_node);
    if (keep)
        HASH_FIND_STR(e->idle_by_address, channel->address, present);
    if (!keep || present || !max_idle) {
        drop_channel(channel);
        return;
    }
    trim_idle(e, max_idle - 1);
    channel->base.owner = NULL;
    HASH_ADD_STR(e->idle_by_address, address, channel);
    list_append(&e->idle, &channel->node);
}

static const struct transport_ops ops = {
    .open_channel = open_channel,
    .send = send_request,
    .awaits_ack = awaits_ack,
    .close_channel = close_channel,
    .configure = configure,
    .add_stats = add_stats,
    .close = close_transport,
};
