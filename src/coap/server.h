#ifndef TC_COAP_SERVER_H
#define TC_COAP_SERVER_H

#include "base/cleanup.h"
#include "base/clock.h"
#include "tcgw/coapmsg.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/*
 * The gateway as a CoAP server: what devices send to it by themselves. It takes the endpoint's requests, finds out who
 * sent them (OSCORE, else the identity of a DTLS or TLS session; never the address), puts blocks together, has the
 * resource answer, cuts the answer into blocks and protects it as the request was. Resources, limits and errors:
 * docs/device-protocol.md section 7. Loop thread only.
 */
struct core;
struct credential;
struct endpoint;
struct incoming;
struct links;
struct server;
struct updates;

struct server_options {
    uv_loop_t *loop;
    const struct clock *clock;
    struct core *core;         /* must outlive it */
    struct endpoint *endpoint; /* must outlive it, for notifications */
    struct updates *updates;   /* what devices may fetch; must outlive it; NULL: nothing */
    struct links *links;       /* over which it goes; must outlive it; NULL: without limits */
    uint32_t quiet_ms;         /* from the start on, in which what is not there for SUIT devices is not denied */
    uint32_t max_transfers;    /* block-wise transfers under way; the longest idle one goes first */
    uint32_t max_observers;
    uint32_t ack_timeout_ms; /* RFC 7252 ACK_TIMEOUT: before that a notification under way is not replaced */
    uint32_t max_records;    /* of a telemetry message */
    uint64_t max_body;       /* bytes of a request's body, over all its blocks */
    uint64_t
        max_unfragmented; /* bytes of a protected message that comes in outer blocks (RFC 8613 section 4.1.3.4.2) */
};

/* It listens to the core's shadows (core_on_shadow). Negative errno. */
int server_new(struct server **out, const struct server_options *options) must_check;
/* Takes over the limits. */
void server_configure(struct server *server, const struct server_options *options);

/* endpoint_handlers.request and .notified; the owner of each notification that the server sends is an observer. */
void server_request(void *server, struct incoming *incoming, const struct coapmsg *request);
void server_notified(void *owner, int event);

/* security_port.dropped: forgets the credential's transfers and observations; requests that are held for it are
 * answered with an unprotected 4.01. */
void server_dropped(struct server *server, struct credential *credential);

/* Counters since the start, but for those at the end. */
struct server_stats {
    /* what came, by resource */
    uint64_t core_requests, desired_requests, reported_requests, telemetry_requests, join_requests, other_requests;
    uint64_t directory_requests, lookup_requests, update_requests;
    uint64_t telemetry_malformed; /* telemetry that is none: 4.00, 4.13, 4.15 */
    uint64_t protected_requests;  /* authentic and fresh ones */
    uint64_t notifications;
    /* attacks, and what looks like them */
    uint64_t malformed_option;    /* OSCORE option or outer message: 4.02 */
    uint64_t unknown_context;     /* 4.01 */
    uint64_t replays;             /* 4.01 */
    uint64_t decrypt_failures;    /* 4.00 */
    uint64_t inner_malformed;     /* authentic, but no CoAP message: 4.00 */
    uint64_t echo_challenges;     /* protected 4.01 with Echo sent (Appendix B.1.2) */
    uint64_t echo_failures;       /* an Echo that is not ours or too old */
    uint64_t renewals_offered;    /* first answers of Appendix B.2 */
    uint64_t renewals;            /* contexts replaced by it */
    uint64_t renewal_failures;    /* requests of B.2 that did not verify */
    uint64_t unprotected_refused; /* without the protection that the device or the resource needs: 4.01 */
    uint64_t bad_options;         /* critical options that are not understood: 4.02 */
    uint64_t blocks_refused;      /* malformed, out of order or contradicting blocks */
    uint64_t blocks_abandoned;    /* transfers that were never finished */
    uint64_t transfers_refused;   /* bodies over a limit: 4.13 */
    uint64_t over_budget;         /* requests that were refused for a budget or a quarantine */
    uint64_t rate_limited;        /* error answers and derivations that were not given */
    uint64_t overloaded;          /* 5.03 for want of room */
    /* now */
    uint32_t transfers, observers, held;
    uint64_t transfer_bytes;
};
void server_get_stats(const struct server *server, struct server_stats *out);

/* Drops what is held and forgets observers without telling them. Before the endpoint is closed. When the callbacks of
 * the core that are due have come it frees itself in the loop's close callback, and closed(arg) is called (may be
 * NULL). */
void server_close(struct server *server, void (*closed)(void *arg), void *arg);

#endif
