#ifndef TC_REST_SERVER_H
#define TC_REST_SERVER_H

#include "rest/http.h"

#include <uv.h>

/*
 * The HTTP transport: libmicrohttpd on libuv. One MHD daemon per listening socket, each with an epoll descriptor that
 * the loop polls; no threads. A request that is answered later is suspended meanwhile.
 */

struct server;

struct server_options {
    uv_loop_t *loop;
    struct rest *rest;
    uint32_t max_connections; /* over all listeners; some more get an answer that says so */
    uint32_t timeout_s; /* of a connection on which nothing comes; a request may take four times as long to come */
    void (*abort)(struct rest *rest);  /* answer what is still active: the server stops */
    void (*closed)(struct rest *rest); /* all is closed and freed */
};

int http_server_new(struct server **out, const struct server_options *options) must_check; /* negative errno */
/* Takes the listening socket over. 0 or negative errno (the socket stays the caller's then). */
int http_server_listen(struct server *server, int fd) must_check;
/* New limits; a new timeout holds for new connections. */
void http_server_configure(struct server *server, uint32_t max_connections, uint32_t timeout_s);
size_t http_server_connection_count(const struct server *server);
/* Stops accepting, lets what is under way end for a moment, then aborts it, closes, and frees the server. */
void http_server_close(struct server *server);

#endif
