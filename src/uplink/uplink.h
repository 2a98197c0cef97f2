#ifndef TC_UPLINK_UPLINK_H
#define TC_UPLINK_UPLINK_H

#include "conf/conf.h"
#include "core/access.h"
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
    const char *sink;                                         /* that asks */
    enum role role;                                           /* that it has without a grant */
    bool confidential;                                        /* nobody can read the answer on its way */
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
    const struct conf *store;    /* artifacts.store_...; outlives the uplink */
    const char *state_directory; /* for spools; outlives it too */
    uint64_t max_artifact_bytes;
};

int uplink_new(struct uplink **out, const struct uplink_options *options) must_check; /* negative errno */
void uplink_start(struct uplink *uplink);
/* A reload: sinks that are new begin, that are gone end, and whose settings differ begin anew with their cursor. */
void uplink_configure(struct uplink *uplink, const struct uplink_options *options);
/* Saves the cursors (the store has to be flushed afterwards), tells brokers that the gateway leaves, and closes. */
void uplink_close(struct uplink *uplink, void (*closed)(void *arg), void *arg);

/* core's pull_port: an artifact from the platform's store. */
void uplink_pull(struct uplink *uplink, const char *id, struct fault *fault);

/* Gives the keys of an issuer of JWTs that a URL has; done comes once, from the loop, with a problem (and no text) when
 * it cannot be had. An earlier fetch is given up. False: it cannot be begun. */
typedef void (*uplink_keys_fn)(void *arg, const void *text, size_t size, const char *problem);
bool uplink_fetch_keys(struct uplink *uplink, const char *url, const char *ca, uplink_keys_fn done,
                       void *arg) must_check;

struct uplink_stats {
    const char *name;            /* of the sink, good until control goes back to the loop */
    bool up;                     /* the platform took what was sent last */
    uint64_t behind;             /* numbers of the journal that it has not passed */
    uint64_t sent, acknowledged; /* entries */
    uint64_t bytes;              /* of payloads and bodies that were sent */
    uint64_t attempts, failures; /* to connect (MQTT), to send a batch (webhook) */
    uint64_t missing;            /* entries that were dropped before they were read */
    uint64_t dead_letters;       /* made since the start */
    uint64_t commands, commands_refused;
    struct histogram took_ms; /* until the platform acknowledged an entry (MQTT) or a batch (webhook) */
};
size_t uplink_get_stats(const struct uplink *uplink, struct uplink_stats *out, size_t max);

/* For REST, through function pointers of rest_options (struct sinks_port in rest.h). NULL: no such, or out of memory.
 */
json_t *uplink_sinks_json(const struct uplink *uplink);
json_t *uplink_sink_json(const struct uplink *uplink, const char *name);
bool uplink_has_sink(const struct uplink *uplink, const char *name);
/* Tries again now what waits for its next attempt. False: no such sink. */
bool uplink_retry(struct uplink *uplink, const char *name);
/* What a sink gave up (core/deadletter.h), and one of them with its body. */
json_t *uplink_letters_json(const struct uplink *uplink, const char *name);
json_t *uplink_letter_json(const struct uplink *uplink, const char *name, uint64_t first);
/* Sends it again, before what follows; it is gone when the platform took it. -ENOENT, or -EBUSY: another one is sent.
 */
int uplink_retry_letter(struct uplink *uplink, const char *name, uint64_t first) must_check;

#endif
