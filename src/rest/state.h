#ifndef TC_REST_STATE_H
#define TC_REST_STATE_H

#include "rest/auth.h"
#include "rest/health.h"
#include "rest/http.h"
#include "rest/rest.h"

/* What the files of this room share. */

struct server;

struct rest {
    struct rest_options options;
    struct server *server;
    struct auth auth;
    struct jwks *jwt_keys; /* NULL: none */
    char public_key_hex[65];
    char *public_key_pem;
    char *state_directory;
    struct list resumables; /* resumable.node */
    struct list active;     /* requests that were dispatched and are not answered (http_request.active_node) */
    struct list keys;       /* those of them with an Idempotency-Key (key_node) */
    struct list local_done; /* requests of local.c that were answered */
    struct list waits;      /* those that wait for an operation, earliest deadline first (wait_node) */
    uv_timer_t wait_timer;
    struct list streams; /* stream.node */
    uint32_t stream_count;
    uv_timer_t stream_timer;
    struct list streams_due; /* stream.due_node: have something to read, but were woken a moment ago */
    uv_timer_t pace_timer;
    uint64_t stream_wakes, events_sent;
    uint64_t answers[6]; /* by the first digit of their status */
    uint64_t problems[FAULT_COUNT];
    struct histogram reads_us, writes_us; /* from the header of a request to its answer */
    uint64_t events_dropped;              /* for newer ones, on streams whose clients read slowly */
    uint64_t started;                     /* uv_now at rest_new */
    bool closing;
    unsigned open_parts; /* server and timers, while closing */
    struct health health;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Lets go of what was answered over local.c. */
void local_reap(struct rest *rest);

static inline struct core *rest_core(const struct http_request *req)
{
    return req->rest->options.core;
}

#endif
