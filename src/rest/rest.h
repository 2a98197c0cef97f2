#ifndef TC_REST_REST_H
#define TC_REST_REST_H

#include "base/histogram.h"
#include "core/access.h"
#include "core/core.h"

#include <uv.h>

/*
 * The northbound room's face: one route table, served on any number of listening sockets.
 */
struct rest;
struct jwks;
struct tls;

/* A figure for /metrics. Samples of one name come one after the other, and those of a histogram one set of labels after
 * the other. */
struct metric {
    const char *name;   /* "tcgw_coap_requests_total" */
    const char *help;   /* one line */
    bool counter;       /* it only grows (until a restart); otherwise a gauge */
    const char *labels; /* "reason=\"replay\"", NULL: none */
    double value;
    const struct histogram *histogram; /* in place of the value; NULL: it is none */
    const struct histogram_scale *scale;
};
typedef void (*metric_fn)(void *to, const struct metric *metric);

/* The uplink, which REST only knows through this; all NULL: there is none. What gives JSON gives NULL for what is not
 * there, or when out of memory. */
struct sinks_port {
    void *arg;
    json_t *(*list)(void *arg);
    json_t *(*show)(void *arg, const char *name);
    void (*retry)(void *arg, const char *name);
    json_t *(*letters)(void *arg, const char *name);
    json_t *(*letter)(void *arg, const char *name, uint64_t first);
    int (*retry_letter)(void *arg, const char *name, uint64_t first); /* negative errno */
};

struct rest_options {
    uv_loop_t *loop;
    struct core *core;
    struct store *store;
    const char *state_directory;
    const char *public_key_pem;  /* the gateway's Ed25519 key, SubjectPublicKeyInfo PEM */
    const uint8_t *public_key;   /* its 32 raw bytes */
    uint32_t max_connections;    /* over all listeners */
    uint32_t max_json_bytes;     /* body of a JSON request */
    uint64_t max_artifact_bytes; /* code and data of an upload together */
    uint32_t max_raw_bytes;      /* body of a request to a device's resource, of the answer, and of a shadow */
    uint32_t max_wait_s;         /* of Prefer: wait */
    uint32_t connection_timeout_s;
    uint32_t tls_rate; /* HTTPS connections that one address may open in a second */
    uint32_t max_streams;
    enum role anonymous;   /* of callers of this machine without credentials, over TCP */
    bool anonymous_remote; /* of those of other machines too */
    struct {
        const char *issuer, *audience; /* texts that live until rest_configure or rest_close; empty or NULL: none */
        int64_t leeway_ms;
        void (*wanted)(void *arg); /* a token names a key that is not there; often */
        void *wanted_arg;
    } jwt;
    bool allow_unknown_hosts; /* /hc/ may send to addresses of no device */
    uint32_t heartbeat_ms;    /* of event streams; 0: STREAM_HEARTBEAT_MS */
    /* Gives the metrics of other rooms, each through add(to, ...). NULL: there are none. */
    void (*metrics)(void *arg, metric_fn add, void *to);
    void (*log_changed)(void *metrics_arg); /* levels were; NULL: nobody wants to know */
    void *metrics_arg;
    struct sinks_port sinks;
};

int rest_new(struct rest **out, const struct rest_options *options) must_check; /* negative errno */
/* Serves on a bound and listening socket (TCP or Unix), which is taken over. */
int rest_listen(struct rest *rest, int fd) must_check;
/* The same for HTTPS, after rest_set_tls. */
int rest_listen_tls(struct rest *rest, int fd) must_check;
/* What HTTPS shows and trusts from the next connection on; the caller keeps its own reference. */
void rest_set_tls(struct rest *rest, struct tls *tls);
/* The keys that JWTs are verified with, taken over; NULL: none. */
void rest_set_keys(struct rest *rest, struct jwks *keys);
void rest_configure(struct rest *rest, const struct rest_options *options);
/* Accepts no further connection, answers what waits with FAULT_SHUTTING_DOWN, closes; closed is called at the end. */
void rest_close(struct rest *rest, void (*closed)(void *arg), void *arg);

#endif
