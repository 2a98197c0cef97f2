#include "coap/endpoint.h"

#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "coap/address.h"

#include <coap3/coap.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <uthash.h>

#define TOKEN_SIZE 4       /* RFC 7252 section 5.3.1: at least 32 bits without a secured transport */
#define MAX_DATAGRAM 65507 /* UDP over IPv4 */
#define RANDOM_POOL 256

struct endpoint {
    uv_loop_t *loop;
    uv_poll_t poll;
    coap_context_t *context;
    const struct endpoint_handlers *handlers;
    struct channel *idle_by_address; /* uthash */
    struct list idle;                /* the same, least recently used first */
    struct list events;              /* channels with an event to tell */
    struct list dropped;             /* channels to free when libcoap is not on the stack */
    uint32_t max_idle, channel_count;
    bool processing; /* libcoap is on the stack */
    void (*closed)(void *arg);
    void *closed_arg;
};

struct channel {
    struct endpoint *endpoint;
    coap_session_t *session;
    void *owner; /* NULL: idle or dropped */
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
static bool is_answer(const struct channel *channel, const coap_pdu_t *pdu)
{
    coap_bin_const_t token = coap_pdu_get_token(pdu);

    return channel && channel->owner && token.length == TOKEN_SIZE &&
           memcmp(token.s, channel->token, TOKEN_SIZE) == 0 &&
           (coap_pdu_get_type(pdu) != COAP_MESSAGE_ACK || coap_pdu_get_mid(pdu) == channel->mid);
}

static coap_response_t handle_response(coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received,
                                       const coap_mid_t mid)
{
    struct channel *channel = coap_session_get_app_data(session);
    bool confirmable = coap_pdu_get_type(received) == COAP_MESSAGE_CON;
    struct coapmsg response;

    (void)sent;
    (void)mid;
    if (!is_answer(channel, received))
        return confirmable ? COAP_RESPONSE_FAIL : COAP_RESPONSE_OK;
    view_response(&response, received);
    list_unlink(&channel->event_node);
    channel->endpoint->handlers->response(channel->owner, &response, coap_pdu_get_type(received) != COAP_MESSAGE_ACK);
    return COAP_RESPONSE_OK;
}

/* libcoap walks its queue while it calls this, so what follows from it waits until it has returned. */
static void handle_nack(coap_session_t *session, const coap_pdu_t *sent, const coap_nack_reason_t reason,
                        const coap_mid_t mid)
{
    struct channel *channel = coap_session_get_app_data(session);

    (void)mid;
    if (!channel || !sent || !channel->owner)
        return;
    if (channel->queried) {
        channel->queued = true;
        return;
    }
    channel->event = reason == COAP_NACK_RST          ? CHANNEL_RESET
                     : reason == COAP_NACK_ICMP_ISSUE ? CHANNEL_REFUSED
                                                      : CHANNEL_GIVEN_UP;
    list_unlink(&channel->event_node);
    list_append(&channel->endpoint->events, &channel->event_node);
}

/* The loop -------------------------------------------------------------------------------------------------------- */

/*
 * Takes what was sent on a session out of libcoap's queue: its public API has no call for it but this one, which
 * reports each message to the nack handler. libcoap 4.3.1 keeps the times in its queue relative to the message before
 * and does not mend them here, so others' next retransmissions come too early. Nor does it stop when the wall clock,
 * by which it times them, is set forward. So what must leave once does not stay in the queue at all.
 */
static void stop_retransmission(struct channel *channel)
{
    void *owner = steal_pointer(channel->owner);

    coap_session_disconnected(channel->session, COAP_NACK_NOT_DELIVERABLE);
    channel->owner = owner;
}

static void free_channel(struct channel *channel)
{
    list_unlink(&channel->node);
    channel->owner = NULL;
    stop_retransmission(channel);
    coap_session_set_app_data(channel->session, NULL);
    coap_session_release(channel->session);
    channel->endpoint->channel_count--;
    free(channel);
}

static void free_dropped(struct endpoint *e)
{
    while (!list_empty(&e->dropped))
        free_channel(list_first(&e->dropped, struct channel, node));
}

static void tell_events(struct endpoint *e)
{
    while (!list_empty(&e->events)) {
        struct channel *channel = list_first(&e->events, struct channel, event_node);

        list_unlink(&channel->event_node);
        e->handlers->event(channel->owner, channel->event);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct endpoint *e = container_of(poll, struct endpoint, poll);

    (void)status;
    (void)events;
    e->processing = true;
    (void)coap_io_process(e->context, COAP_IO_NO_WAIT);
    e->processing = false;
    tell_events(e);
    free_dropped(e);
}

/* Endpoint -------------------------------------------------------------------------------------------------------- */

/* Bytes that nobody can foresee; the kernel is asked for many at a time. libcoap takes those of each request's timeout
 * here too, which is why the pool belongs to no endpoint. Returns 1, or 0 when there are none. */
static int take_random(void *out, size_t size)
{
    static uint8_t pool[RANDOM_POOL];
    static size_t left;

    if (size > sizeof pool)
        return getrandom(out, size, 0) == (ssize_t)size;
    if (left < size) {
        if (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool)
            return 0;
        left = sizeof pool;
    }
    left -= size;
    memcpy(out, pool + left, size);
    return 1;
}

static void set_up_context(coap_context_t *context, struct endpoint *e)
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

int endpoint_new(struct endpoint **out, uv_loop_t *loop, uint32_t max_idle, const struct endpoint_handlers *handlers)
{
    struct endpoint *e = malloc(sizeof *e);
    int r = -ENOMEM;

    if (!e)
        return r;
    coap_startup();
    coap_set_prng(take_random);
    coap_set_log_handler(handle_log);
    follow_log_level();
    *e = (struct endpoint){.loop = loop, .handlers = handlers, .max_idle = max_idle};
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
    r = uv_poll_init(loop, &e->poll, coap_context_get_coap_fd(e->context));
    if (r < 0)
        goto fail_context;
    (void)uv_poll_start(&e->poll, UV_READABLE, on_readable);
    *out = e;
    return 0;

fail_context:
    coap_free_context(e->context);
fail:
    free(e);
    return r;
}

static void drop_channel(struct channel *channel)
{
    struct endpoint *e = channel->endpoint;

    channel->owner = NULL;
    list_append(&e->dropped, &channel->node);
    if (!e->processing)
        free_dropped(e);
}

static struct channel *take_idle(struct channel *channel)
{
    struct endpoint *e = channel->endpoint;

    /* An idle channel is in the table, which the analyzer cannot know. NOLINTNEXTLINE */
    HASH_DEL(e->idle_by_address, channel);
    list_unlink(&channel->node);
    return channel;
}

static void trim_idle(struct endpoint *e, uint32_t max)
{
    while (HASH_COUNT(e->idle_by_address) > max)
        drop_channel(take_idle(list_first(&e->idle, struct channel, node)));
}

void endpoint_configure(struct endpoint *endpoint, uint32_t max_idle)
{
    follow_log_level();
    endpoint->max_idle = max_idle;
    trim_idle(endpoint, max_idle);
}

static void on_closed(uv_handle_t *handle)
{
    struct endpoint *e = container_of((uv_poll_t *)handle, struct endpoint, poll);

    trim_idle(e, 0);
    free_dropped(e);
    coap_free_context(e->context);
    if (e->closed)
        e->closed(e->closed_arg);
    free(e);
}

void endpoint_close(struct endpoint *endpoint, void (*closed)(void *arg), void *arg)
{
    endpoint->closed = closed;
    endpoint->closed_arg = arg;
    uv_close((uv_handle_t *)&endpoint->poll, on_closed);
}

uint32_t endpoint_count_channels(const struct endpoint *endpoint)
{
    return endpoint->channel_count;
}

/* Channels -------------------------------------------------------------------------------------------------------- */

static int connect_session(struct endpoint *e, const char *address, coap_session_t **out)
{
    struct sockaddr_storage storage;
    coap_address_t peer;
    int size = address_resolve(address, &storage);

    if (size < 0)
        return size;
    coap_address_init(&peer);
    peer.size = (socklen_t)size;
    memcpy(&peer.addr, &storage, (size_t)size);
    errno = 0;
    *out = coap_new_client_session(e->context, NULL, &peer, COAP_PROTO_UDP);
    if (!*out)
        return errno ? -errno : -ENOMEM;
    coap_session_set_mtu(*out, MAX_DATAGRAM);
    return 0;
}

static int new_channel(struct endpoint *e, const char *address, struct channel **out)
{
    struct channel *channel = calloc(1, sizeof *channel);
    int r;

    if (!channel)
        return -ENOMEM;
    r = connect_session(e, address, &channel->session);
    if (r < 0) {
        free(channel);
        return r;
    }
    channel->endpoint = e;
    (void)text_copy(channel->address, sizeof channel->address, address);
    list_init(&channel->node);
    list_init(&channel->event_node);
    coap_session_set_app_data(channel->session, channel);
    e->channel_count++;
    *out = channel;
    return 0;
}

int endpoint_open_channel(struct endpoint *endpoint, const char *address, bool fresh, void *owner, struct channel **out)
{
    struct channel *channel = NULL;
    int r;

    if (!fresh)
        HASH_FIND_STR(endpoint->idle_by_address, address, channel);
    if (channel) {
        (void)take_idle(channel);
    } else {
        r = new_channel(endpoint, address, &channel);
        if (r < 0)
            return r;
    }
    channel->owner = owner;
    *out = channel;
    return 0;
}

static coap_fixed_point_t fixed_point(uint32_t ms)
{
    return (coap_fixed_point_t){(uint16_t)(ms / 1000), (uint16_t)(ms % 1000)};
}

static void set_times(struct channel *channel, uint32_t ack_timeout_ms, uint32_t max_retransmit)
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
static coap_pdu_t *make_pdu(struct channel *channel, const struct coapmsg *request)
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

int channel_send(struct channel *channel, struct coapmsg *request, uint32_t ack_timeout_ms, uint32_t max_retransmit)
{
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
bool channel_awaits_ack(struct channel *channel)
{
    channel->queued = false;
    channel->queried = true;
    coap_session_disconnected(channel->session, COAP_NACK_ICMP_ISSUE);
    channel->queried = false;
    return channel->queued;
}

struct channel *channel_close(struct channel *channel, bool keep)
{
    struct endpoint *e;
    struct channel *present = NULL;

    if (!channel)
        return NULL;
    e = channel->endpoint;
    list_unlink(&channel->event_node);
    if (keep)
        HASH_FIND_STR(e->idle_by_address, channel->address, present);
    if (!keep || present || !e->max_idle) {
        drop_channel(channel);
        return NULL;
    }
    trim_idle(e, e->max_idle - 1);
    channel->owner = NULL;
    HASH_ADD_STR(e->idle_by_address, address, channel);
    list_append(&e->idle, &channel->node);
    return NULL;
}
