#ifndef TC_DAEMON_SERVE_H
#define TC_DAEMON_SERVE_H

#include "coap/agents.h"
#include "conf/conf.h"
#include "daemon/https.h"
#include "rest/rest.h"

/*
 * Everything that listens: sockets that systemd passes, and those of the configuration.
 *
 * A passed socket stands in for the configured one of its kind: a Unix socket for http.socket, UDP for coap.listen, TCP
 * for http.tls_listen where its FileDescriptorName is "https", and for http.listen otherwise.
 */
struct serve {
    const struct conf *conf;
    struct rest *rest;
    struct agents *agents;
    struct https *https;
    uv_loop_t *loop;
    struct core *core;
    const char *own_certificate, *own_key; /* of HTTPS, where the configuration names none */
    bool made_socket;                      /* set: the Unix socket is ours, not systemd's */
};

/* An exit status (options.h), with a sentence in reason (at least 512 bytes) unless it is DAEMON_EXIT_OK. */
int serve_all(struct serve *serve, char *reason, size_t reason_size) must_check;

#endif
