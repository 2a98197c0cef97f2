#include "coap/endpoint_libcoap_private.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

/* libcoap on the loop. */

#define TICK_MS 100        /* while acknowledgements or pings are due */
#define HANDSHAKES_MIN 256 /* at once; libcoap counts hellos from addresses that were not verified, for 30 s each */
#define HANDSHAKE_S 60     /* for TLS; DTLS has its own times */

const struct endpoint_options *libcoap_options(const struct libcoap *libcoap)
{
    return &libcoap->base.endpoint->options;
}

static struct libcoap *libcoap_of(const struct transport *transport)
{
    return (struct libcoap *)(uintptr_t)transport;
}

/* The loop --------------------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

void libcoap_wake(struct libcoap *libcoap)
{
    if (libcoap->awake || libcoap->closing)
        return;
    libcoap->awake = true;
    (void)uv_timer_start(&libcoap->timer, on_timer, 0, 0);
}

static bool is_settled(const struct libcoap *l)
{
    return list_empty(&l->dying) && list_empty(&l->channel_events) && list_empty(&l->notice_events);
}

void libcoap_tick(struct libcoap *libcoap)
{
    bool is_due =
        !list_empty(&libcoap->unacknowledged) || !list_empty(&libcoap->proving) || !list_empty(&libcoap->doubted);

    if (is_due && !libcoap->closing && !uv_is_active((uv_handle_t *)&libcoap->timer))
        (void)uv_timer_start(&libcoap->timer, on_timer, TICK_MS, 0);
}

/* Never while libcoap is on the stack. Handlers may close the endpoint. */
static void settle(struct libcoap *l)
{
    OPENSSL_cleanse(l->psk, sizeof l->psk);
    while (!l->closing && !is_settled(l)) {
        link_release_dying(l);
        libcoap_tell_channels(l);
        if (!l->closing)
            libcoap_tell_notices(l);
    }
    if (l->closing)
        return;
    libcoap_trim_kept(l);
    libcoap_tick(l);
}

static void pass(struct carrier *carrier)
{
    if (carrier->context && !carrier->owner->closing)
        (void)coap_io_process(carrier->context, COAP_IO_NO_WAIT);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct carrier *carrier = container_of(poll, struct carrier, poll);

    (void)status;
    (void)events;
    pass(carrier);
    settle(carrier->owner);
}

/* libcoap frees sessions and sets its own timer in a pass only. */
static void on_timer(uv_timer_t *timer)
{
    struct libcoap *l = container_of(timer, struct libcoap, timer);

    l->awake = false;
    libcoap_acknowledge_late(l);
    link_prove_all(l);
    link_end_doubted(l);
    settle(l);
    for (size_t i = 0; i < array_size(l->carriers); i++)
        pass(&l->carriers[i]);
    settle(l);
}

/* Contexts --------------------------------------------------------------------------------------------------------- */

static void set_limits(struct libcoap *l, coap_context_t *context)
{
    uint32_t max = libcoap_options(l)->max_sessions;

    coap_context_set_max_handshake_sessions(context, max > HANDSHAKES_MIN ? max : HANDSHAKES_MIN);
}

static bool set_up(struct libcoap *l, struct carrier *carrier)
{
    /* Critical options of messages that we take. libcoap holds two numbers above 255 and no more. */
    static const uint16_t options[] = {COAPMSG_OPT_OSCORE, 65001, 65005};
    coap_context_t *context = carrier->context;

    coap_set_app_data(context, carrier);
    coap_context_set_block_mode(context, 0);
    coap_context_set_csm_max_message_size(context, LIBCOAP_RELIABLE_MAX);
    coap_context_set_session_timeout(context, HANDSHAKE_S);
    set_limits(l, context);
    for (size_t i = 0; i < array_size(options); i++)
        coap_register_option(context, options[i]);
    coap_register_response_handler(context, libcoap_handle_response);
    coap_register_nack_handler(context, libcoap_handle_nack);
    coap_register_pong_handler(context, libcoap_handle_pong);
    coap_register_event_handler(context, libcoap_handle_event);
    return carrier == &l->carriers[CARRIER_SERVER] ? trust_set_up_server(l, context) && libcoap_add_resources(context)
                                                   : libcoap_refuse_resources(context);
}

static int watch(struct libcoap *l, struct carrier *carrier)
{
    int fd = coap_context_get_coap_fd(carrier->context);
    int r;

    if (fd < 0)
        return -ENOSYS; /* a libcoap without epoll */
    r = uv_poll_init(libcoap_options(l)->loop, &carrier->poll, fd);
    if (r < 0)
        return r;
    l->handles++;
    (void)uv_poll_start(&carrier->poll, UV_READABLE, on_readable);
    return 0;
}

int libcoap_carrier(struct libcoap *libcoap, enum carrier_kind kind, coap_context_t **out)
{
    struct carrier *carrier = &libcoap->carriers[kind];
    int r = -ENOMEM;

    if (!carrier->context) {
        carrier->owner = libcoap;
        carrier->context = coap_new_context(NULL);
        if (carrier->context && set_up(libcoap, carrier))
            r = watch(libcoap, carrier);
        if (r < 0 && carrier->context) {
            coap_free_context(carrier->context);
            carrier->context = NULL;
        }
        if (r < 0)
            return r;
    }
    *out = carrier->context;
    return 0;
}

/* Serving ---------------------------------------------------------------------------------------------------------- */

/* libcoap does not say why an address cannot be served, takes a UDP port that somebody else serves, and hides which
 * port the system chose. */
static int try_address(const struct peer *address, uint16_t *port)
{
    bool is_stream = address->transport != PEER_DTLS, is_v4 = address->address.any.sa_family == AF_INET;
    cleanup_close int fd =
        socket(address->address.any.sa_family, (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    struct peer bound = *address;
    socklen_t size = is_v4 ? sizeof bound.address.v4 : sizeof bound.address.v6;
    const int off = 0, on = 1;

    if (fd < 0 || (!is_v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0) ||
        (is_stream && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) ||
        bind(fd, &bound.address.any, size) < 0 || (is_stream && listen(fd, 1) < 0) ||
        getsockname(fd, &bound.address.any, &size) < 0)
        return -errno;
    *port = ntohs(is_v4 ? bound.address.v4.sin_port : bound.address.v6.sin6_port);
    return 0;
}

static int serve(coap_context_t *context, const struct peer *address, uint16_t port)
{
    static const coap_proto_t protos[] = {
        [PEER_DTLS] = COAP_PROTO_DTLS, [PEER_TCP] = COAP_PROTO_TCP, [PEER_TLS] = COAP_PROTO_TLS};
    coap_address_t local;

    coap_address_init(&local);
    local.size = address->address.any.sa_family == AF_INET ? sizeof address->address.v4 : sizeof address->address.v6;
    memcpy(&local.addr, &address->address, local.size);
    coap_address_set_port(&local, port);
    return coap_new_endpoint(context, &local, protos[address->transport]) ? 0 : -EIO;
}

static int libcoap_listen(struct transport *transport, enum peer_transport kind, const struct peer *address,
                          const char *text, char *reason, size_t reason_size)
{
    struct libcoap *l = libcoap_of(transport);
    coap_context_t *context;
    uint16_t port = 0;
    int r = trust_load(l, reason, reason_size);

    if (r < 0)
        return r;
    r = l->ports[kind] ? -EALREADY : try_address(address, &port);
    if (r == 0)
        r = libcoap_carrier(l, CARRIER_SERVER, &context);
    if (r == 0)
        r = serve(context, address, port);
    if (r < 0) {
        (void)snprintf(reason, reason_size, "cannot serve %.100s: %s", text, strerror(-r));
        return r;
    }
    l->ports[kind] = port;
    return 0;
}

static uint16_t libcoap_port(const struct transport *transport, enum peer_transport kind)
{
    return libcoap_of(transport)->ports[kind];
}

static void libcoap_drop_identity(struct transport *transport, const char *identity)
{
    struct libcoap *l = libcoap_of(transport);

    link_end_all(&l->acquaintances, identity);
    link_end_all(&l->ours, identity);
}

/* Lifetime --------------------------------------------------------------------------------------------------------- */

static void libcoap_configure(struct transport *transport)
{
    struct libcoap *l = libcoap_of(transport);

    libcoap_follow_log_level();
    libcoap_trim_idle(l, libcoap_options(l)->max_idle);
    libcoap_trim_kept(l);
    for (size_t i = 0; i < array_size(l->carriers); i++)
        if (l->carriers[i].context)
            set_limits(l, l->carriers[i].context);
}

static void libcoap_add_stats(const struct transport *transport, struct endpoint_stats *stats)
{
    const struct libcoap *l = libcoap_of(transport);

    stats->channels += l->channel_count;
    stats->sessions += l->strangers.count + l->acquaintances.count + l->ours.count;
    stats->held += l->stats.held;
    stats->kept += l->stats.kept;
    stats->kept_bytes += l->stats.kept_bytes;
    stats->received += l->stats.received;
    stats->sent += l->stats.sent;
    stats->duplicates += l->stats.duplicates;
    stats->unmatched += l->stats.unmatched;
    stats->refused += l->stats.refused;
    stats->denied += l->stats.denied;
}

static void free_libcoap(struct libcoap *l)
{
    struct endpoint *endpoint = l->base.endpoint;

    link_end_all(&l->strangers, NULL);
    link_end_all(&l->acquaintances, NULL);
    link_end_all(&l->ours, NULL);
    link_release_dying(l);
    server_free_orphans(l);
    notices_free(l);
    for (size_t i = 0; i < array_size(l->carriers); i++)
        if (l->carriers[i].context)
            coap_free_context(l->carriers[i].context);
    trust_forget(l);
    OPENSSL_cleanse(l->psk, sizeof l->psk);
    free(l);
    endpoint_transport_closed(endpoint);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct libcoap *l = container_of((uv_poll_t *)handle, struct carrier, poll)->owner;

    if (--l->handles == 0)
        free_libcoap(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct libcoap *l = container_of((uv_timer_t *)handle, struct libcoap, timer);

    if (--l->handles == 0)
        free_libcoap(l);
}

static void libcoap_close(struct transport *transport)
{
    struct libcoap *l = libcoap_of(transport);

    l->closing = true;
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    for (size_t i = 0; i < array_size(l->carriers); i++)
        if (l->carriers[i].context)
            uv_close((uv_handle_t *)&l->carriers[i].poll, on_poll_closed);
}

static const struct transport_ops ops = {
    .listen = libcoap_listen,
    .port = libcoap_port,
    .open_channel = libcoap_open_channel,
    .send = libcoap_send,
    .awaits_ack = libcoap_awaits_ack,
    .keep_token = libcoap_keep_token,
    .close_channel = libcoap_close_channel,
    .answer = libcoap_answer,
    .drop = libcoap_drop,
    .notify = libcoap_notify,
    .cancel = libcoap_cancel,
    .drop_identity = libcoap_drop_identity,
    .configure = libcoap_configure,
    .add_stats = libcoap_add_stats,
    .close = libcoap_close,
};

int libcoap_new(struct endpoint *endpoint, struct transport **out)
{
    struct libcoap *l = calloc(1, sizeof *l);
    struct list *lists[] = {&l->strangers.links,
                            &l->acquaintances.links,
                            &l->ours.links,
                            &l->dying,
                            &l->proving,
                            &l->channel_events,
                            &l->notice_events,
                            &l->idle,
                            &l->kept,
                            &l->unacknowledged,
                            &l->orphans,
                            &l->doubted};

    if (!l)
        return -ENOMEM;
    libcoap_start();
    if (coap_get_tls_library_version()->type != COAP_TLS_LIBRARY_OPENSSL) {
        free(l);
        return -EPROTONOSUPPORT;
    }
    l->base = (struct transport){.ops = &ops, .endpoint = endpoint};
    for (size_t i = 0; i < array_size(lists); i++)
        list_init(lists[i]);
    (void)uv_timer_init(endpoint->options.loop, &l->timer);
    l->handles = 1;
    *out = &l->base;
    return 0;
}
