#include "daemon/serve.h"

#include "base/log.h"
#include "daemon/listen.h"
#include "daemon/options.h"
#include "rest/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

enum kind { FOR_DEVICES, FOR_HTTPS, FOR_USERS, FOR_REST, KINDS };

static int refuse_rest(char *reason, size_t reason_size, int fd)
{
    (void)snprintf(reason, reason_size, "cannot serve HTTP on descriptor %d", fd);
    return DAEMON_EXIT_LISTEN;
}

/* HTTPS and REST -------------------------------------------------------------------------------------------------- */

static int serve_rest(const struct serve *serve, int fd, char *reason, size_t reason_size)
{
    if (fd < 0)
        return DAEMON_EXIT_LISTEN;
    return rest_listen(serve->rest, fd) == 0 ? DAEMON_EXIT_OK : refuse_rest(reason, reason_size, fd);
}

static int serve_https(const struct serve *serve, int fd, char *reason, size_t reason_size)
{
    if (fd < 0)
        return DAEMON_EXIT_LISTEN;
    if (!serve->https->rest && https_open(serve->https, serve->rest, serve->core, serve->loop, serve->conf,
                                          serve->own_certificate, serve->own_key, reason, reason_size))
        return DAEMON_EXIT_CONFIG;
    return rest_listen_tls(serve->rest, fd) == 0 ? DAEMON_EXIT_OK : refuse_rest(reason, reason_size, fd);
}

/* Sockets of systemd ---------------------------------------------------------------------------------------------- */

static enum kind kind_of(int fd, const char *name)
{
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_DGRAM, -1) > 0)
        return FOR_DEVICES;
    if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, -1) > 0)
        return FOR_USERS;
    return name && strcmp(name, "https") == 0 ? FOR_HTTPS : FOR_REST;
}

/* The rule of http.listen (conf.c). */
static bool is_exposed(const struct serve *serve, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    struct http_peer self;

    if (serve->conf->http_allow_remote)
        return false;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return true;
    peer_of_address(&self, (const struct sockaddr *)&address);
    return self.kind != HTTP_PEER_UNIX && !self.loopback;
}

static int serve_passed(const struct serve *serve, enum kind kind, int fd, char *reason, size_t reason_size)
{
    int r;

    if (kind == FOR_HTTPS)
        return serve_https(serve, fd, reason, reason_size);
    if (kind == FOR_DEVICES) {
        r = agents_adopt(serve->agents, fd);
        if (r < 0)
            (void)snprintf(reason, reason_size, "cannot serve devices on descriptor %d of systemd: %s", fd,
                           strerror(-r));
        return r < 0 ? DAEMON_EXIT_LISTEN : DAEMON_EXIT_OK;
    }
    if (kind == FOR_REST && is_exposed(serve, fd)) {
        (void)snprintf(reason, reason_size,
                       "a socket of systemd is reachable from other machines without TLS: name it \"https\" "
                       "(FileDescriptorName=), or set http.allow_remote = yes if the network is trusted");
        return DAEMON_EXIT_CONFIG;
    }
    return serve_rest(serve, fd, reason, reason_size);
}

static int take_passed(const struct serve *serve, bool passed[KINDS], char *reason, size_t reason_size)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names), status = DAEMON_EXIT_OK;

    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        enum kind kind = kind_of(fd, names ? names[i] : NULL);

        if (status == DAEMON_EXIT_OK)
            status = serve_passed(serve, kind, fd, reason, reason_size);
        passed[kind] = true;
        if (names)
            free(names[i]);
    }
    free(names);
    return status;
}

/* Sockets of the configuration ------------------------------------------------------------------------------------ */

static int open_socket(struct serve *serve, char *reason, size_t reason_size)
{
    const struct conf *conf = serve->conf;
    int status;

    if (!conf->http_socket[0])
        return DAEMON_EXIT_OK;
    status = serve_rest(serve, listen_unix(conf->http_socket, (mode_t)conf->http_socket_mode, reason, reason_size),
                        reason, reason_size);
    serve->made_socket = status == DAEMON_EXIT_OK;
    return status;
}

static int open_rest(const struct serve *serve, char *reason, size_t reason_size)
{
    const char *address = serve->conf->http_listen;

    if (!address[0])
        return DAEMON_EXIT_OK;
    return serve_rest(serve, listen_tcp("http.listen", address, reason, reason_size), reason, reason_size);
}

static int open_https(const struct serve *serve, char *reason, size_t reason_size)
{
    const char *address = serve->conf->http_tls_listen;

    if (!address[0])
        return DAEMON_EXIT_OK;
    return serve_https(serve, listen_tcp("http.tls_listen", address, reason, reason_size), reason, reason_size);
}

/* Where devices find the gateway. */
static int open_coap(const struct serve *serve, bool udp_passed, char *reason, size_t reason_size)
{
    const struct conf *conf = serve->conf;
    const struct {
        const char *key, *address;
        enum peer_transport transport;
    } listeners[] = {
        {"listen", udp_passed ? "" : conf->coap_listen, PEER_UDP},
        {"listen_dtls", conf->coap_listen_dtls, PEER_DTLS},
        {"listen_tcp", conf->coap_listen_tcp, PEER_TCP},
        {"listen_tls", conf->coap_listen_tls, PEER_TLS},
    };
    char why[256];

    for (size_t i = 0; i < array_size(listeners); i++) {
        const char *key = listeners[i].key;
        int r = 0;

        if (listeners[i].address[0])
            r = agents_listen(serve->agents, listeners[i].transport, listeners[i].address, why, sizeof why);
        if (r == 0)
            continue;
        (void)snprintf(reason, reason_size, "coap.%s: %s; %sset coap.%s to another address, or empty for none", key,
                       why, r == -EADDRINUSE ? "stop it, or " : "", key);
        return DAEMON_EXIT_LISTEN;
    }
    return DAEMON_EXIT_OK;
}

int serve_all(struct serve *serve, char *reason, size_t reason_size)
{
    bool passed[KINDS] = {false};
    int status = take_passed(serve, passed, reason, reason_size);

    if (status == DAEMON_EXIT_OK)
        status = open_coap(serve, passed[FOR_DEVICES], reason, reason_size);
    if (status == DAEMON_EXIT_OK && !passed[FOR_USERS])
        status = open_socket(serve, reason, reason_size);
    if (status == DAEMON_EXIT_OK && !passed[FOR_REST])
        status = open_rest(serve, reason, reason_size);
    if (status == DAEMON_EXIT_OK && !passed[FOR_HTTPS])
        status = open_https(serve, reason, reason_size);
    if (status == DAEMON_EXIT_OK && serve->conf->http_allow_remote)
        log_warning("REST without TLS may be reached from other machines: tokens can be read on the way", "listen",
                    serve->conf->http_listen, NULL);
    return status;
}
