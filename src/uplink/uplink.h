#ifndef TC_UPLINK_UPLINK_H
#define TC_UPLINK_UPLINK_H

#include "conf/conf.h"
#include "core/core.h"
#include "core/journal.h"

#include <uv.h>

/*
 * The way to the platform: sinks, each a reader of the journal with a cursor that outlives restarts. MQTT
 * (libmosquitto) and webhooks (libcurl), both on the loop. Topics, payloads, headers and guarantees: docs/uplink.md.
 */
struct uplink;

/* A REST request that came in over MQTT, and its answer. */
struct uplink_request {
    const char *method, *target;                              /* "POST", "/v1/devices?limit=3" */
    const char *type;                                         /* Content-Type of the body, NULL: none */
    const char *prefer, *if_match, *idempotency_key, *accept; /* header values, NULL: absent */
    const char *principal;                                    /* who asks: "mqtt:NAME" of the sink */
    const void *body;
    size_t size;
};
struct uplink_answer {
    int status;
    const char *type, *location, *etag; /* NULL: none */
    const void *body;                   /* good until the call returns */
    size_t size;
};
typedef void (*uplink_answer_fn)(void *arg, const struct uplink_answer *answer);

struct uplink_options {
    uv_loop_t *loop;
    struct core *core;
    const char *gateway_id; /* of topics and payloads */
    const char *version;
    const struct conf_sink *sinks;
    size_t sink_count;
    /* Runs a request of the REST surface as any other; done comes once, possibly from within. Negative errno when it
     * will not. Event streams are refused. */
    int (*dispatch)(void *arg, const struct uplink_request *request, uplink_answer_fn done, void *done_arg);
    void *dispatch_arg;
};

int uplink_new(struct uplink **out, const struct uplink_options *options) must_check; /* negative errno */
void uplink_start(struct uplink *uplink);
/* A reload: sinks that are new begin, that are gone end, and whose settings differ begin anew with their cursor. */
void uplink_configure(struct uplink *uplink, const struct uplink_options *options);
/* Tells brokers that the gateway leaves, as far as that goes within timeout_ms, and closes. */
void uplink_close(struct uplink *uplink, uint32_t timeout_ms, void (*closed)(void *arg), void *arg);

/* For REST, through function pointers of rest_options (struct sinks_port in rest.h): state of all sinks, or of one. */
json_t *uplink_sinks_json(const struct uplink *uplink);
json_t *uplink_sink_json(const struct uplink *uplink, const char *name); /* NULL: no such sink, or out of memory */
/* Tries again now what waits for its next attempt. False: no such sink. */
bool uplink_retry(struct uplink *uplink, const char *name);

#endif
