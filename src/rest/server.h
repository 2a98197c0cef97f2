#ifndef TC_REST_SERVER_H
#define TC_REST_SERVER_H

#include "rest/http.h"

#include <uv.h>

/*
 * The HTTP transport: libmicrohttpd on libuv. One MHD daemon per listening socket, each with an epoll descriptor that
 * the loop polls; no threads. A request that is answered later is suspended meanwhile.
 */

struct server;
struct tls;

struct server_options {
    uv_loop_t *loop;
    struct rest *rest;
    uint32_t max_connections; /* over all listeners; some more get an answer that says so */
    uint32_t timeout_s; /* of a connection on which nothing comes; a request may take four times as long to come */
    uint32_t tls_rate;  /* HTTPS connections that one address may open in a second */
    void (*abort)(struct rest *rest);  /* answer what is still active: the server stops */
    void (*closed)(struct rest *rest); /* all is closed and freed */
};

/* Connections that were ended early. */
struct http_server_stats {
    uint64_t over_limit; /* there were too many, and all of them in use */
    uint64_t idle;       /* there were too many, and this was silent for longest */
    uint64_t rate;       /* of HTTPS: the address opened too many at once */
    uint64_t slow;       /* the request took too long to come */
    uint64_t handshake;  /* of HTTPS, that never made a request */
};

int http_server_new(struct server **out, const struct server_options *options) must_check; /* negative errno */
/* Takes the listening socket over, for HTTPS if secure (http_server_set_tls comes before). 0 or negative errno (the
 * socket stays the caller's then). */
int http_server_listen(struct server *server, int fd, bool secure) must_check;
/* What HTTPS shows and trusts from the next connection on; the caller keeps its own reference. */
void http_server_set_tls(struct server *server, struct tls *tls);
/* New limits; a new timeout holds for new connections. */
void http_server_configure(struct server *server, uint32_t max_connections, uint32_t timeout_s, uint32_t tls_rate);
const struct tls *http_server_tls(const struct server *server); /* NULL: there is no HTTPS */
const struct http_server_stats *http_server_stats(const struct server *server);
size_t http_server_connection_count(const struct server *server);
/* Stops accepting, lets what is under way end for a moment, then aborts it, closes, and frees the server. */
void http_server_close(struct server *server);

#endif
