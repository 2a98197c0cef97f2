#ifndef TC_CORE_CORE_H
#define TC_CORE_CORE_H

#include "base/clock.h"
#include "base/histogram.h"
#include "codec/ca.h"
#include "core/model.h"
#include "core/ports.h"
#include "store/history.h"
#include "store/spool.h"
#include "store/store.h"

#include <jansson.h>

/*
 * The domain. One object, used by the loop thread alone. It knows nothing of HTTP, CoAP or libuv.
 *
 * Calls that change something take a `done` callback that comes (once, never from within the call) when the change is
 * durable, or could not be made so; a call that returns non-zero has refused and will not call back. Positive results
 * come with a fault. What was changed is visible in memory at once, but is undone when it could not be committed.
 */

/* Whether artifacts run without a signature; auto: as long as there is no publisher. */
enum signature_requirement { SIGNATURE_AUTO, SIGNATURE_REQUIRED, SIGNATURE_NOT_REQUIRED };

struct core_options {
    const struct clock *clock;
    struct store *store;
    struct agent_port agents;
    struct loop_port loop;
    struct pull_port pull;
    const char *state_directory; /* for spools */
    /* limits and times, all from the configuration; may be changed by core_configure */
    uint32_t max_devices;
    uint32_t max_artifacts;
    uint32_t max_containers_per_device;
    uint32_t max_queue_per_device; /* unfinished operations and waiting queries */
    uint64_t max_artifact_bytes;   /* code and data together */
    struct {
        int64_t age_ms;           /* an artifact that nobody needs goes when it was not used for so long; 0: never */
        uint32_t count, releases; /* so many that nobody needs stay; and those of so many releases of each name */
    } keep;
    uint32_t verify_delay_ms;  /* a start is believed when is-running still says so this long after it */
    uint32_t settle_delay_ms;  /* between a lost answer and the first question about it */
    uint32_t operation_ttl_ms; /* default time to live */
    uint32_t operation_ttl_max_ms;
    enum signature_requirement require_signature;
    uint32_t operations_kept;  /* finished operations that are remembered */
    uint32_t max_pending;      /* agents that ask to join */
    uint32_t max_shadow_bytes; /* of a shadow document */
    uint32_t max_operations;   /* unfinished ones of all devices */
    struct {
        uint32_t max_rate, max_series, max_records; /* per device and second, per device, per message */
        int64_t clock_ahead_ms, clock_behind_ms;
        struct store_retention retention; /* of the journal too */
    } telemetry;
    uint64_t journal_memory; /* bytes for the newest entries */
    struct {
        uint32_t keep;         /* entries of the audit trail (audit.h); 0: there is none */
        metadata_sign_fn sign; /* with the gateway's key; NULL: there are no anchors */
        void *sign_arg;
    } audit;
    struct {
        uint32_t period_ms;               /* budget.h; 0: it never ends */
        uint64_t device[3], container[3]; /* by enum budget_kind; 0: no limit */
        double alarm_factor;              /* 0: no alarms */
    } budget;
    struct {
        uint32_t online_ms, late_ms, awake_ms, failures;
    } presence;
    struct {
        uint32_t parallel, rate, block; /* what a link (link.h) does not say itself; 0: no limit */
    } transfer;
    uint32_t max_registrations, max_registrations_per_address;
    uint64_t cache_bytes;
    struct {
        uint32_t retry_min_ms, retry_max_ms; /* pauses between attempts; retry_min_ms 0: nothing is reconciled */
        uint32_t interval_ms;                /* between questions to a device that is as desired; 0: it is not asked */
        enum unasked { UNASKED_REPORT, UNASKED_ADOPT, UNASKED_REMOVE } unasked; /* containers that nobody asked for */
    } reconcile;
    const char *allow_plain_groups; /* names with spaces between, "*": every device; copied */
    const uint8_t *sealing_key;     /* 32 bytes that secrets are encrypted with in the database; copied. NULL: there is
                                       none, and nobody can be enrolled */
    const struct ca *ca;            /* issues devices' certificates; NULL: none are issued */
};

typedef void (*core_done_fn)(void *arg, const struct fault *fault); /* fault->code FAULT_NONE: durable */

/* Creates the core and loads everything from the store. Unfinished operations go on where they stood. Negative errno
 * when out of memory or the store cannot be read; -EKEYREJECTED: the database's secrets were sealed with another key,
 * -ENOKEY: no key was given; nothing was changed then. Waits for the store once, before anything can arrive. */
int core_new(struct core **out, const struct core_options *options) must_check;
/* Starts work on the loaded operations. */
void core_start(struct core *core);
/* Cancels every call under way and accepts nothing new (FAULT_SHUTTING_DOWN). Records stay as they are. */
void core_stop(struct core *core);
/* Forgets callbacks and watchers that are still due. The store must not be dispatched afterwards: flush it before when
 * callbacks have to come, and close it next. NULL is fine. Returns NULL. */
struct core *core_free(struct core *core);
/* Takes over limits and times that may change at run time. */
void core_configure(struct core *core, const struct core_options *options);

/* Monotonic ms of the next thing to do, INT64_MAX for none; core_run does what is due. */
int64_t core_next_deadline(const struct core *core);
void core_run(struct core *core);

/* Devices -------------------------------------------------------------------------------------------------------- */

struct device *core_find_device(const struct core *core, const char *id); /* NULL when there is none */
/* All devices in the order of their ids, from the first id greater than `after` (NULL or "": all). Returns how many
 * of at most `max` were written to out. */
size_t core_list_devices(struct core *core, const char *after, struct device **out, size_t max);
size_t core_count_devices(const struct core *core);
bool device_is_in_group(const struct device *device, const char *group);

/* What a person may set; from JSON: {"id", "name", "address", "agent", "capabilities": {"pdu_size", "slots",
 * "runtimes": ["wasm", ...], "package_max"}, "groups": ["name", ...], "allow_plain": bool}. A patch leaves out what
 * stays (RFC 7396); null resets to "not known". */
int core_add_device(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                    struct device **added) must_check;
int core_patch_device(struct core *core, struct device *device, const json_t *body, core_done_fn done, void *arg,
                      struct fault *fault) must_check;
/* Cancels its operations and forgets its containers. */
int core_remove_device(struct core *core, struct device *device, core_done_fn done, void *arg,
                       struct fault *fault) must_check;
/* The JSON text of a device, kept until it changes; stays good until control goes back to the loop. */
const char *core_render_device(struct device *device, size_t *size);

/* Credentials (keyring.h) ---------------------------------------------------------------------------------------- */

/*
 * Fresh credentials, or those of the body (import). Body: {"kind": "oscore" (default) | "psk" | "certificate", and for
 * oscore "algorithm" ("AES-CCM-16-64-128", ...) and, to import, "master_secret", "master_salt", "sender_id",
 * "recipient_id", "id_context" (hex, as the gateway sees them: its Sender ID is the device's Recipient ID); for psk
 * "identity", "key" (hex) to import; for certificate "valid_days", or "fingerprint" and "common_name" of one that the
 * operator's CA made}. A device that has such credentials gets the new ones besides: both are good until the device has
 * used the new ones (rotation). After done *secrets is what the device needs, the only time that it is told; the
 * caller's to free (json_decref). Its members: docs/rest-api.md.
 */
int core_enrol_device(struct core *core, struct device *device, const json_t *body, core_done_fn done, void *arg,
                      struct fault *fault, json_t **secrets) must_check;
/* Without secrets: an array of {"number", "kind", "state", "algorithm", "sender_id", "recipient_id", "id_context",
 * "identity", "created_at", "first_used_at", "sequence_number"}. */
json_t *core_credentials_json(const struct device *device);
/* All of them (number 0) or one: refused from the next datagram on, before it is durable; comes back when it could not
 * be made so. */
int core_revoke_credentials(struct core *core, struct device *device, uint64_t number, core_done_fn done, void *arg,
                            struct fault *fault) must_check;
/* Every OSCORE context becomes CREDENTIAL_STALE: for a gateway that was put back to an older state (a snapshot) which
 * it cannot notice by itself. */
int core_distrust_contexts(struct core *core, core_done_fn done, void *arg, struct fault *fault) must_check;

/* Agents that ask to join: the window is open for some time, not over a restart; what is listed is not kept over one
 * either. */
void core_open_join(struct core *core, uint32_t seconds); /* 0 closes */
/* {"open", "closes_at", "pending": [{"id", "address", "first_seen_at", "last_seen_at"}]} */
json_t *core_join_json(const struct core *core);
/* Makes a device of a pending agent: body {"name", "groups", "allow_plain"}, all optional. */
int core_approve_pending(struct core *core, const char *id, const json_t *body, core_done_fn done, void *arg,
                         struct fault *fault, struct device **added) must_check;
int core_reject_pending(struct core *core, const char *id, struct fault *fault) must_check;

/* Shadow documents ------------------------------------------------------------------------------------------------ */

/* Two documents per device that outlive its sleep: what the platform wants of it, and what the device said of itself.
 * Any bytes with a CoAP Content-Format. */
enum shadow_kind { SHADOW_DESIRED, SHADOW_REPORTED, SHADOW_KIND_COUNT };

struct shadow {
    uint64_t revision; /* 0: there is none; the ETag */
    int format;        /* -1: none was given */
    size_t size;
    int64_t updated; /* wall ms */
};
/* What is durable, without the body. */
struct shadow core_shadow(const struct device *device, enum shadow_kind kind);
/* shadow->format and size describe the body, which is copied; its revision and time are set to what they will be. */
int core_put_shadow(struct core *core, struct device *device, enum shadow_kind kind, struct shadow *shadow,
                    const void *body, core_done_fn done, void *arg, struct fault *fault) must_check;
int core_delete_shadow(struct core *core, struct device *device, enum shadow_kind kind, core_done_fn done, void *arg,
                       struct fault *fault) must_check;
/* result 0, -ENOENT, -EIO, -ENOMEM; the body lives until the call returns. Never from within core_read_shadow. */
typedef void (*core_shadow_fn)(void *arg, int result, const struct shadow *shadow, const void *body);
int core_read_shadow(struct core *core, struct device *device, enum shadow_kind kind, core_shadow_fn done,
                     void *arg) must_check;
/* The revision of what was written last, durable or not; 0: there is none, or it was deleted. Conditions of requests
 * (If-Match) compare with this, so that of two at once only one succeeds. */
uint64_t core_shadow_latest(const struct device *device, enum shadow_kind kind);
/* A listener for all shadows (at most four): called when a new revision (or a deletion) is durable. changed NULL: the
 * one with this arg goes. */
void core_on_shadow(struct core *core, void (*changed)(void *arg, struct device *device, enum shadow_kind kind),
                    void *arg);

/* Resources of devices -------------------------------------------------------------------------------------------- */

struct core_resource_result {
    struct fault fault; /* FAULT_NONE: the device answered, with whatever code */
    const struct agent_response *response;
};
typedef void (*core_resource_fn)(void *arg, const struct core_resource_result *result);
/* One request to a resource; everything in `request` is copied. As core_query_container. Methods other than GET and
 * FETCH need credentials or allow_plain (FAULT_CREDENTIALS_REQUIRED). */
int core_request_resource(struct core *core, struct device *device, const struct agent_resource *request,
                          uint32_t timeout_ms, core_resource_fn done, void *arg, struct fault *fault) must_check;
/* Observes a resource until core_unobserve, or until `ended` was called (never from within). */
struct core_observer;
struct core_observer *core_observe_resource(struct core *core, struct device *device, const char *path,
                                            const char *query, int accept,
                                            void (*notify)(void *arg, const struct agent_response *response),
                                            void (*ended)(void *arg, const struct fault *fault), void *arg,
                                            struct fault *fault);
void core_unobserve(struct core_observer *observer);

/* Artifacts ------------------------------------------------------------------------------------------------------ */

struct artifact *core_find_artifact(const struct core *core, const char *id); /* full id, or NULL */
/* In the order of ids, as core_list_devices. */
size_t core_list_artifacts(struct core *core, const char *after, struct artifact **out, size_t max);
/*
 * Adds an artifact from a description {"name", "type", "syscalls": ["read", ...], "endpoints": [{"id", "peer",
 * "peer_uid", "peer_endpoint", "direction"}], "limits": {"start_max_duration_ms", "loop_period_ms",
 * "loop_max_duration_ms", "loop_max_lifetime", "stop_max_duration_ms"}} and finished spools (data may be NULL). The
 * code is checked here (WebAssembly, rBPF). The same artifact again is no error: *created is false then, and done is
 * called all the same. The spools stay the caller's, who frees them after done.
 */
int core_add_artifact(struct core *core, const json_t *description, struct spool *code, struct spool *data,
                      core_done_fn done, void *arg, struct fault *fault, struct artifact **artifact,
                      bool *created) must_check;
/* Whether a description is one that core_add_artifact takes, as far as can be told without the parts. */
int core_check_description(const struct core *core, const json_t *description, struct fault *fault) must_check;
/* Makes a description for core_add_artifact from container metadata (tcgw/metadata.h): type, system calls, endpoints,
 * limits, and the uid as name. The digests in its tokens must be those of the finished spools; its signatures do not
 * count, since the gateway signs anew. FAULT_INVALID_METADATA; negative when out of memory. */
int core_describe_metadata(const void *metadata, size_t size, const struct spool *code, const struct spool *data,
                           json_t **description, struct fault *fault) must_check;
/* FAULT_IN_USE when a container, an unfinished operation, a release, a service or a rollout needs it. */
int core_remove_artifact(struct core *core, struct artifact *artifact, core_done_fn done, void *arg,
                         struct fault *fault) must_check;
json_t *core_artifact_json(struct core *core, const struct artifact *artifact);
int core_pin_artifact(struct core *core, struct artifact *artifact, bool pinned, core_done_fn done, void *arg,
                      struct fault *fault) must_check;
/* Removes what nobody needs by the policy (options.keep), as the gateway does every hour. dry_run: only tells, and does
 * not call done. */
struct core_collection {
    json_t *ids; /* an array; the caller's */
    uint64_t bytes;
};
int core_collect_artifacts(struct core *core, bool dry_run, core_done_fn done, void *arg, struct fault *fault,
                           struct core_collection *out) must_check;

/* Containers ----------------------------------------------------------------------------------------------------- */

struct container *core_find_container(const struct device *device, const char *uid);
size_t core_list_containers(struct device *device, const char *after, struct container **out, size_t max);
/* {"artifact": "<id>" or "release": "name@version", "state": "running" | "stopped", "rollback": bool}: sets what is
 * desired and queues a deploy operation. ttl_ms 0:
 * the default. Refused at once when it cannot fit (FAULT_PACKAGE_TOO_LARGE, ...). */
int core_put_container(struct core *core, struct device *device, const char *uid, const json_t *body, uint32_t ttl_ms,
                       core_done_fn done, void *arg, struct fault *fault, struct operation **op) must_check;
/* kind: OPERATION_START, OPERATION_STOP or OPERATION_REMOVE. Agents that cannot: FAULT_AGENT_UNSUPPORTED at once. */
int core_act_on_container(struct core *core, struct container *container, enum operation_kind kind, uint32_t ttl_ms,
                          core_done_fn done, void *arg, struct fault *fault, struct operation **op) must_check;
/* {"device", "uid", "desired": {"artifact", "state"}, "reported": {"artifact", "state", "at"}, "load", "error",
 * "created_at", "updated_at"}; as core_render_device. */
const char *core_render_container(struct container *container, size_t *size);

/* Forgets a container without asking the device, for one that was restarted or replaced; its operations are cancelled.
 */
int core_forget_container(struct core *core, struct container *container, core_done_fn done, void *arg,
                          struct fault *fault) must_check;

/* Queries: reads that ask the device without leaving a record. --------------------------------------------------- */

enum core_query_kind { CORE_QUERY_STATUS, CORE_QUERY_LOG };

struct core_query_result {
    struct fault fault;
    struct container *container; /* already updated with the answer; NULL when it was removed meanwhile */
    const uint8_t *log;
    size_t log_size;
};

typedef void (*core_query_fn)(void *arg, const struct core_query_result *result);

/* Concurrent status queries for one container share one exchange. The callback comes once, never from within the call.
 * Queries go between the exchanges of operations. */
int core_query_container(struct core *core, struct container *container, enum core_query_kind kind, uint32_t timeout_ms,
                         core_query_fn done, void *arg, struct fault *fault) must_check;

/* Operations ----------------------------------------------------------------------------------------------------- */

struct operation *core_find_operation(const struct core *core, const char *id);
struct operation_filter {
    const char *device;         /* NULL: any */
    const char *uid;            /* NULL: any */
    enum operation_state state; /* OPERATION_STATE_COUNT: any */
};
/* Newest first, from the first id smaller than `before` (NULL or "": all). */
size_t core_list_operations(struct core *core, const struct operation_filter *filter, const char *before,
                            struct operation **out, size_t max);
int core_probe_device(struct core *core, struct device *device, uint32_t ttl_ms, core_done_fn done, void *arg,
                      struct fault *fault, struct operation **op) must_check;
/*
 * Queues a request (copied) as an operation, to be sent when its device listens. One whose method may be repeated (GET,
 * PUT, DELETE, FETCH, iPATCH) is sent again after a lost answer until its time to live ends; any other is not, and ends
 * with FAULT_OUTCOME_UNKNOWN. Its result is {"coap_code", "status" (HTTP), "content_format", "location", "etag",
 * "size", "truncated", and "payload", "payload_json" or "payload_base64"}. FAULT_BODY_TOO_LARGE,
 * FAULT_CREDENTIALS_REQUIRED, FAULT_QUEUE_FULL.
 */
#define REQUEST_BODY_MAX 65536  /* bytes */
#define REQUEST_RESULT_MAX 4096 /* bytes of a response that are kept */
int core_queue_request(struct core *core, struct device *device, const struct agent_resource *request, uint32_t ttl_ms,
                       core_done_fn done, void *arg, struct fault *fault, struct operation **op) must_check;
/* Runs a container of a SUIT device once (POST /bpf/exec/SLOT), as such a request, whose result has "value", what it
 * returned. FAULT_AGENT_UNSUPPORTED, FAULT_CONTAINER_NOT_ON_DEVICE. */
int core_exec_container(struct core *core, struct container *container, uint32_t ttl_ms, core_done_fn done, void *arg,
                        struct fault *fault, struct operation **op) must_check;
/* FAULT_DEVICE_ASLEEP, with when it is expected, for a device that does not listen now. */
int core_check_awake(const struct device *device, struct fault *fault) must_check;
/* Queued: ends at once. Running: ends before its next exchange. FAULT_NOT_CANCELLABLE when it has ended, FAULT_CONFLICT
 * while it is being stored. */
int core_cancel_operation(struct core *core, struct operation *op, core_done_fn done, void *arg,
                          struct fault *fault) must_check;
json_t *core_operation_json(const struct operation *op);

/* A watcher is told once, when the operation has ended and that is durable; at once (from the loop) when it has. */
struct core_watcher;
typedef void (*core_watch_fn)(void *arg, struct operation *op);
struct core_watcher *core_watch_operation(struct core *core, struct operation *op, core_watch_fn fn, void *arg);
void core_unwatch(struct core_watcher *watcher); /* before fn was called; NULL is fine */

/* Idempotency-Key ------------------------------------------------------------------------------------------------ */

struct core_answer {
    const char *digest;
    int status;
    const char *location;
    const char *body;
};
/* The answer kept for a key in the last 24 hours; false when there is none. */
bool core_find_answer(const struct core *core, const char *key, struct core_answer *out);
int core_keep_answer(struct core *core, const char *key, const struct core_answer *answer, core_done_fn done,
                     void *arg) must_check;

struct core_stats {
    size_t devices, artifacts, containers, operations_unfinished, operations_kept;
    size_t converged;             /* containers that were as desired at the last look */
    uint64_t calls, calls_failed; /* exchanges with devices since the start */
    /* Of operations that ended since the start: how many with each fault and in each state, how long they
     * waited for their turn, and how long they took from then. */
    uint64_t operations_ended[OPERATION_STATE_COUNT];
    uint64_t operation_faults[FAULT_COUNT];
    struct histogram operations_waited_ms, operations_took_ms;
    struct histogram calls_ms[AGENT_CALL_COUNT]; /* exchanges with devices, by what was wanted */
};
void core_get_stats(const struct core *core, struct core_stats *out);

#endif
