#include "rest/server_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "rest/peer.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define OVER_LIMIT_RESERVE 64             /* connections over the limit that still get a whole answer */
#define MEMORY_PER_CONNECTION (16u << 10) /* MHD clears it for every request, which is most of what one costs */
#define IDLE_MS 1000                      /* a connection that was silent for so long may be ended for another */
#define RUNS_MAX 4                        /* of MHD for one event: devices and the store have their turn soon */
#define SWEEP_MS 500
#define GRACE_MS 500
#define GRACE_STEP_MS 10
#define SLOW_FACTOR 4 /* a request may take this many timeouts to come */

static void log_mhd(void *arg, const char *format, va_list ap)
{
    char message[256];

    (void)arg;
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    (void)vsnprintf(message, sizeof message, format, ap);
    message[strcspn(message, "\n")] = 0;
    log_debug("libmicrohttpd", "detail", message, NULL);
}

/* Every request of ours takes the target as it came (exchange_begin); MHD's own copy stays as it is. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls, (void)mhd;
    return strlen(text);
}

/* The loop ------------------------------------------------------------------------------------------------------- */

static void run_listener(struct listener *listener);

static void timer_expired(uv_timer_t *timer)
{
    run_listener(timer->data);
}

/* What follows from MHD's timeout: it has work left (0), or is to be run then. A timer that is due earlier stays. */
static void arm(struct listener *listener, uint64_t timeout)
{
    uint64_t now = uv_now(listener->server->options.loop);

    if (timeout == 0) {
        server_kick(listener);
        return;
    }
    if (uv_is_active((uv_handle_t *)&listener->timer) && listener->due <= now + timeout)
        return;
    listener->due = now + timeout;
    (void)uv_timer_start(&listener->timer, timer_expired, timeout, 0);
}

/* MHD takes a resumed connection one step further in each run, and a turn of the loop in between costs more than the
 * step. */
static void run_listener(struct listener *listener)
{
    MHD_UNSIGNED_LONG_LONG timeout = 0;

    for (int i = 0; i < RUNS_MAX && timeout == 0; i++) {
        (void)MHD_run(listener->daemon);
        if (MHD_get_timeout(listener->daemon, &timeout) != MHD_YES)
            return;
    }
    arm(listener, timeout);
}

static void polled(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    run_listener(poll->data);
}

static void kick(uv_idle_t *idle)
{
    struct server *server = idle->data;

    (void)uv_idle_stop(idle);
    for (struct listener *l = server->listeners; l; l = l->next) {
        if (!l->kicked)
            continue;
        l->kicked = false;
        run_listener(l);
    }
}

void server_kick(struct listener *listener)
{
    listener->kicked = true;
    (void)uv_idle_start(&listener->server->kick, kick);
}

/* Connections ---------------------------------------------------------------------------------------------------- */

static int connection_fd(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

/* MHD sees the end of the stream and closes. */
static void cut(struct MHD_Connection *mhd)
{
    (void)shutdown(connection_fd(mhd), SHUT_RDWR);
}

static void refuse(struct MHD_Connection *mhd)
{
    static const char body[] =
        "{\"type\":\"" FAULT_TYPE_BASE "too-many-connections\",\"title\":\"The gateway has no free "
        "connection\",\"status\":503}";
    static const struct http_response response = {
        .status = 503, .type = HTTP_PROBLEM, .body = body, .size = sizeof body - 1};

    exchange_send_raw(mhd, &response);
    cut(mhd);
}

/* There are too many: ends the one on which nothing has been going on for longest. False when all are in use. */
static bool make_room(struct server *server)
{
    uint64_t now = uv_now(server->options.loop);
    struct connection *longest = NULL;

    list_each(node, &server->connections)
    {
        struct connection *connection = container_of(node, struct connection, node);

        if (!connection->busy && !connection->cut && now - connection->since >= IDLE_MS &&
            (!longest || connection->since < longest->since))
            longest = connection;
    }
    if (!longest)
        return false;
    server->stats.idle++;
    longest->cut = true;
    cut(longest->mhd);
    return true;
}

/* MHD's own timeout sees silence only; a client that sends a byte now and then is ended here. */
static void sweep(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t limit = (uint64_t)server->options.timeout_s * 1000 * SLOW_FACTOR;
    uint64_t now = uv_now(server->options.loop);

    list_each(node, &server->connections)
    {
        struct connection *connection = container_of(node, struct connection, node);

        if (connection->busy || connection->cut || now - connection->since <= limit)
            continue;
        server->stats.slow++;
        connection->cut = true;
        cut(connection->mhd);
    }
}

static bool secure(struct connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    return info && tls_attach(connection->tls, info->tls_session);
}

void server_identify(struct connection *connection)
{
    struct http_peer *peer = &connection->peer;
    const union MHD_ConnectionInfo *info;

    if (connection->tls && !connection->identified) {
        info = MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        connection->certificate_until = tls_identify(peer, info->tls_session);
        connection->identified = true;
    }
    if (peer->fingerprint[0] && clock_wall_ms(clock_system()) / 1000 >= connection->certificate_until)
        peer->certificate[0] = peer->fingerprint[0] = 0;
}

static void connection_opened(struct listener *listener, struct MHD_Connection *mhd, void **context)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct server *server = listener->server;

    if (!connection) {
        cut(mhd);
        return;
    }
    connection->mhd = mhd;
    connection->tls = listener->secure ? tls_ref(server->tls) : NULL;
    peer_of_connection(&connection->peer, mhd);
    if (listener->secure && !secure(connection))
        cut(mhd);
    connection->since = uv_now(server->options.loop);
    connection->over_limit = ++server->connection_count > server->options.max_connections && !make_room(server);
    server->stats.over_limit += connection->over_limit;
    list_append(&server->connections, &connection->node);
    *context = connection;
    if (!uv_is_active((uv_handle_t *)&server->sweep))
        (void)uv_timer_start(&server->sweep, sweep, SWEEP_MS, SWEEP_MS);
    if (server->options.timeout_s != listener->timeout_s) /* changed since the daemon was started */
        (void)MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)server->options.timeout_s);
    if (server->connection_count > (size_t)server->options.max_connections + OVER_LIMIT_RESERVE)
        refuse(mhd);
}

/* A handshake costs the loop's time before anybody has said who they are. */
static enum MHD_Result admit(void *cls, const struct sockaddr *from, socklen_t size)
{
    const struct listener *listener = cls;
    struct server *server = listener->server;

    (void)size;
    if (!listener->secure ||
        arrivals_allow(&server->arrivals, from, uv_now(server->options.loop), server->options.tls_rate))
        return MHD_YES;
    server->stats.rate++;
    return MHD_NO;
}

static void connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = cls;
    struct connection *connection = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_opened(listener, mhd, context);
    } else if (connection) {
        listener->server->connection_count--;
        listener->server->stats.handshake += connection->tls && !connection->identified;
        list_unlink(&connection->node);
        (void)tls_unref(connection->tls);
        free(connection);
        *context = NULL;
    }
}

/* Setting up ------------------------------------------------------------------------------------------------------ */

int http_server_new(struct server **out, const struct server_options *options)
{
    struct server *server = calloc(1, sizeof *server);

    if (!server)
        return -ENOMEM;
    if (getrandom(&server->id_prefix, sizeof server->id_prefix, 0) != (ssize_t)sizeof server->id_prefix) {
        free(server);
        return -EIO;
    }
    server->options = *options;
    server->arrivals.seed = server->id_prefix;
    list_init(&server->connections);
    list_init(&server->live);
    (void)uv_idle_init(options->loop, &server->kick); /* these cannot fail */
    (void)uv_timer_init(options->loop, &server->sweep);
    server->kick.data = server->sweep.data = server;
    server->open_handles = 2;
    *out = server;
    return 0;
}

/* MHD wants credentials of its own; each connection is given ours before its handshake (connection_opened). */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *issuers, int issuer_count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
                          unsigned *chain_length, gnutls_privkey_t *key)
{
    (void)session, (void)issuers, (void)issuer_count, (void)algorithms, (void)algorithm_count;
    (void)chain, (void)chain_length, (void)key;
    return -1;
}

static struct MHD_Daemon *start_daemon(struct listener *listener, int fd)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG |
                           (listener->secure ? MHD_USE_TLS : 0);
    const struct MHD_OptionItem tls_options[] =
        {
            {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)no_certificate},
            {MHD_OPTION_END, 0, NULL},
        },
                                no_options[] = {{MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(flags, 0, admit, listener, exchange_handle, listener, MHD_OPTION_EXTERNAL_LOGGER, log_mhd,
                            NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)UINT16_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)listener->server->options.timeout_s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
                            MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, listener, MHD_OPTION_NOTIFY_COMPLETED,
                            exchange_completed, listener, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, listener,
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_ARRAY,
                            listener->secure ? tls_options : no_options, MHD_OPTION_END);
}

static bool is_local(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;

    return getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.ss_family == AF_UNIX;
}

void http_server_set_tls(struct server *server, struct tls *tls)
{
    (void)tls_unref(server->tls);
    server->tls = tls_ref(tls);
}

int http_server_listen(struct server *server, int fd, bool secure)
{
    struct listener *listener = calloc(1, sizeof *listener);
    const union MHD_DaemonInfo *info;
    int r;

    if (!listener || (secure && !server->tls)) {
        free(listener);
        return listener ? -EINVAL : -ENOMEM;
    }
    listener->server = server;
    listener->secure = secure;
    listener->local = is_local(fd);
    listener->timeout_s = server->options.timeout_s;
    listener->daemon = start_daemon(listener, fd);
    if (!listener->daemon) {
        free(listener);
        return -EIO;
    }
    info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    r = uv_poll_init(server->options.loop, &listener->poll, info->epoll_fd);
    if (r < 0) {
        (void)MHD_quiesce_daemon(listener->daemon); /* gives the socket back */
        MHD_stop_daemon(listener->daemon);
        free(listener);
        return r;
    }
    (void)uv_timer_init(server->options.loop, &listener->timer);
    listener->poll.data = listener->timer.data = listener;
    server->open_handles += 2;
    listener->next = server->listeners;
    server->listeners = listener;
    (void)uv_poll_start(&listener->poll, UV_READABLE, polled);
    server_kick(listener); /* who waits on a socket that was passed is served when all have started */
    return 0;
}

void http_server_configure(struct server *server, uint32_t max_connections, uint32_t timeout_s, uint32_t tls_rate)
{
    server->options.max_connections = max_connections;
    server->options.timeout_s = timeout_s;
    server->options.tls_rate = tls_rate;
}

const struct tls *http_server_tls(const struct server *server)
{
    return server->tls;
}

const struct http_server_stats *http_server_stats(const struct server *server)
{
    return &server->stats;
}

size_t http_server_connection_count(const struct server *server)
{
    return server->connection_count;
}

/* Shutdown -------------------------------------------------------------------------------------------------------- */

void server_handle_closed(struct server *server)
{
    void (*closed)(struct rest * rest) = server->options.closed;
    struct rest *rest = server->options.rest;

    if (--server->open_handles > 0)
        return;
    while (server->listeners) {
        struct listener *listener = server->listeners;

        server->listeners = listener->next;
        free(listener);
    }
    (void)tls_unref(server->tls);
    free(server);
    closed(rest);
}

static void own_handle_closed(uv_handle_t *handle)
{
    server_handle_closed(handle->data);
}

static void listener_handle_closed(uv_handle_t *handle)
{
    server_handle_closed(((struct listener *)handle->data)->server);
}

/* The last answers go out with a few runs; what a slow client has not taken by then is lost to it. */
static void stop_daemon(struct listener *listener)
{
    MHD_UNSIGNED_LONG_LONG timeout = 0;

    for (int i = 0; i < 8 && timeout == 0; i++) {
        (void)MHD_run(listener->daemon);
        if (MHD_get_timeout(listener->daemon, &timeout) != MHD_YES)
            break;
    }
    (void)uv_poll_stop(&listener->poll);
    MHD_stop_daemon(listener->daemon);
    uv_close((uv_handle_t *)&listener->poll, listener_handle_closed);
    uv_close((uv_handle_t *)&listener->timer, listener_handle_closed);
}

static void finish(struct server *server)
{
    server->options.abort(server->options.rest);
    server->stopped = true;
    exchange_resume_all(server);
    for (struct listener *l = server->listeners; l; l = l->next)
        stop_daemon(l);
    exchange_orphan_all(server);
    exchange_free_spares(server);
    response_forget_recent(server);
    uv_close((uv_handle_t *)&server->kick, own_handle_closed);
    uv_close((uv_handle_t *)&server->sweep, own_handle_closed);
}

static void check_grace(uv_timer_t *timer)
{
    struct server *server = timer->data;

    if (list_empty(&server->live) || uv_now(timer->loop) >= server->grace_end)
        finish(server);
}

void http_server_close(struct server *server)
{
    for (struct listener *l = server->listeners; l; l = l->next) {
        int fd = MHD_quiesce_daemon(l->daemon);

        if (fd >= 0)
            (void)close(fd);
    }
    if (list_empty(&server->live)) {
        finish(server);
        return;
    }
    server->grace_end = uv_now(server->options.loop) + GRACE_MS;
    (void)uv_timer_start(&server->sweep, check_grace, 0, GRACE_STEP_MS);
}
