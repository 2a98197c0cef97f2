#ifndef TC_CORE_CORE_H
#define TC_CORE_CORE_H

#include "base/clock.h"
#include "core/model.h"
#include "core/ports.h"
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

struct core_options {
    const struct clock *clock;
    struct store *store;
    struct agent_port agents;
    struct loop_port loop;
    const char *state_directory; /* for spools */
    /* limits and times, all from the configuration; may be changed by core_configure */
    uint32_t max_devices;
    uint32_t max_artifacts;
    uint32_t max_containers_per_device;
    uint32_t max_queue_per_device; /* unfinished operations and waiting queries */
    uint64_t max_artifact_bytes;   /* code and data together */
    uint32_t verify_delay_ms;      /* a start is believed when is-running still says so this long after it */
    uint32_t settle_delay_ms;      /* between a lost answer and the first question about it */
    uint32_t operation_ttl_ms;     /* default time to live */
    uint32_t operation_ttl_max_ms;
    uint32_t operations_kept; /* finished operations that are remembered */
};

typedef void (*core_done_fn)(void *arg, const struct fault *fault); /* fault->code FAULT_NONE: durable */

/* Creates the core and loads everything from the store. Unfinished operations go on where they stood. Negative errno
 * when out of memory or the store cannot be read. */
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

/* What a person may set; from JSON: {"id", "name", "address", "agent", "capabilities": {"pdu_size", "slots",
 * "runtimes": ["wasm", ...], "package_max"}}. A patch leaves out what stays (RFC 7396); null resets to "not known". */
int core_add_device(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                    struct device **added) must_check;
int core_patch_device(struct core *core, struct device *device, const json_t *body, core_done_fn done, void *arg,
                      struct fault *fault) must_check;
/* Cancels its operations and forgets its containers. */
int core_remove_device(struct core *core, struct device *device, core_done_fn done, void *arg,
                       struct fault *fault) must_check;
/* The JSON text of a device, kept until it changes; stays good until control goes back to the loop. */
const char *core_render_device(struct device *device, size_t *size);

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
/* Makes a description for core_add_artifact from container metadata (tcgw/metadata.h): type, system calls, endpoints,
 * limits, and the uid as name. The digests in its tokens must be those of the finished spools; its signatures do not
 * count, since the gateway signs anew. FAULT_INVALID_METADATA; negative when out of memory. */
int core_describe_metadata(const void *metadata, size_t size, const struct spool *code, const struct spool *data,
                           json_t **description, struct fault *fault) must_check;
/* FAULT_IN_USE when a container or an unfinished operation needs it. */
int core_remove_artifact(struct core *core, struct artifact *artifact, core_done_fn done, void *arg,
                         struct fault *fault) must_check;
json_t *core_artifact_json(const struct artifact *artifact);

/* Containers ----------------------------------------------------------------------------------------------------- */

struct container *core_find_container(const struct device *device, const char *uid);
size_t core_list_containers(struct device *device, const char *after, struct container **out, size_t max);
/* {"artifact": "<id>", "state": "running" | "stopped"}: sets what is desired and queues a deploy operation. ttl_ms 0:
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
    uint64_t calls, calls_failed; /* exchanges with devices since the start */
};
void core_get_stats(const struct core *core, struct core_stats *out);

#endif
