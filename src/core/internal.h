#ifndef TC_CORE_INTERNAL_H
#define TC_CORE_INTERNAL_H

#include "core/core.h"

#include "base/buffer.h"
#include "core/budget.h"
#include "core/cache.h"
#include "core/document.h"
#include "core/keyring.h"
#include "core/presence.h"
#include "core/reconcile.h"

/* What the files of this room share; nobody else includes it. */

struct answer;
struct audit;
struct intake;
struct context_history;
struct desired;
struct group;
struct pending;
struct query;
struct rollout;

#define SHADOW_LISTENERS 4

/* Who is told of new shadow documents. */
struct shadow_listener {
    void (*changed)(void *arg, struct device *device, enum shadow_kind kind);
    void *arg;
};

/* The documents of a kind (document.c). */
struct documents {
    struct document *table; /* uthash by key, in the order of keys, unless: */
    bool unsorted;
};

struct core {
    struct core_options options;
    struct device *devices;       /* uthash by id */
    struct device *addresses;     /* uthash by address (index.c) */
    struct artifact *artifacts;   /* uthash by id */
    struct operation *operations; /* uthash by id, in the order of ids, unless: */
    bool operations_unsorted;
    struct answer *answers; /* uthash by key, oldest first */
    struct timers timers;
    struct timer retry; /* for rows that could not be written, or can wait */
    struct timer sweep; /* for answers over their time */
    struct timer artifact_sweep;
    int64_t clock_offset, clock_settled_at; /* of artifact_sweep: ms of wall over monotonic; monotonic ms */
    int64_t announced;                      /* the deadline that the loop was last told of */
    struct list commits;                    /* under way */
    struct list dead_letters;               /* dead_letter.node (deadletter.c) */
    struct list transfers;                  /* transfer.node, the oldest first (transfer.c) */
    unsigned commits_failed;                /* since the start */
    bool storing_fails;                     /* as the log has it */
    int64_t storing_quiet_until;
    struct list part_requests; /* reads of artifact parts under way */
    size_t container_count, converged_count, finished_count;
    size_t request_bytes;                  /* of bodies that wait */
    struct intake *intake;                 /* history.c */
    size_t presence[PRESENCE_STATE_COUNT]; /* devices with a presence record by state (presence.c) */
    uint64_t calls, calls_failed;
    unsigned trace_count; /* devices that are traced, or were a moment ago */
    struct budget_stats budget_stats;
    uint64_t operations_ended[OPERATION_STATE_COUNT], operation_faults[FAULT_COUNT];
    struct histogram operations_waited_ms, operations_took_ms, calls_ms[AGENT_CALL_COUNT];
    struct oscore_crypto *crypto;
    struct oscore_registry *registry;
    struct credential *psks, *certificates; /* uthash by identity and by fingerprint */
    struct security_port security;
    char *plain_groups; /* coap.allow_plain_groups */
    uint8_t sealing_key[32];
    bool has_sealing_key;
    uint64_t credential_number; /* the last one given */
    size_t context_count;       /* OSCORE credentials */
    struct context_history *used;
    uint8_t context_salt[16]; /* of its marks */
    bool has_salt;
    bool clean_stop;         /* the last stop was: the windows in the rows count */
    bool clean_mark_stays;   /* that could not be taken back at the start: the next commits have to */
    bool begun;              /* what was stored has been taken over */
    unsigned distrusted;     /* how often contexts were, since the start */
    struct pending *pending; /* uthash by id: agents that ask to join */
    int64_t join_until;      /* monotonic ms */
    int64_t join_closes_at;  /* wall ms */
    struct shadow_listener shadow_listeners[SHADOW_LISTENERS + 1]; /* ended by one without `changed` */
    struct list shadow_reads;                                      /* under way */
    struct journal *journal;                                       /* journal.c */
    struct audit *audit;                                           /* audit.c */
    struct telemetry *telemetry;                                   /* telemetry.c */
    struct directory *directory;                                   /* directory.c */
    struct cache *cache;                                           /* cache.c */
    struct device *visitors[16];                                   /* hosts that are no devices (host.c) */
    struct group *groups;                                          /* uthash by name: those with settings */
    struct documents documents[DOCUMENT_KIND_COUNT];
    unsigned trust_revision;  /* changes with every publisher (trust.c); not 0 */
    struct rollout *rollouts; /* uthash by id (rollout.c) */
    size_t rollout_members;   /* of all of them */
    size_t watch_count[2];    /* observations; [true]: that are established */
    uint64_t watch_notifications;
    struct timer service_sweep; /* service_apply.c */
    char service_swept[CORE_ID_MAX + 1];
    bool has_services; /* or may have containers of some */
    bool sweep_revives;
    bool devices_unsorted;
    bool started, stopped;
};

#define RETRY_MS 1000        /* between attempts to write what could not be written */
#define STORING_LOG_MS 60000 /* between log lines that changes cannot be stored */

static inline int64_t core_now(const struct core *core)
{
    return clock_monotonic_ms(core->options.clock);
}

static inline int64_t core_wall(const struct core *core)
{
    return clock_wall_ms(core->options.clock);
}

void core_arm(struct core *core, struct timer *timer, int64_t due);
void core_disarm(struct core *core, struct timer *timer);
int core_check_accepting(const struct core *core, struct fault *fault) must_check; /* FAULT_SHUTTING_DOWN */

/* Commits (commit.c) --------------------------------------------------------------------------------------------- */

/* A change that somebody waits for. `settle` makes it final or undoes it, and may replace the fault when what was
 * changed is gone; it looks records up by these ids, since they may have been removed meanwhile. */
struct commit {
    struct list node;
    struct core *core;
    struct store_batch *batch;
    char device[CORE_ID_MAX + 1], uid[CORE_ID_MAX + 1];
    char id[CORE_DIGEST_TEXT]; /* of an operation or artifact */
    uint64_t number;           /* of a credential */
    uint64_t value;            /* settle's */
    char *key;                 /* of an answer; freed with it */
    void (*settle)(struct commit *commit, bool durable, struct fault *fault);
    void *old; /* for settle; freed with the commit, by release when that is set */
    void (*release)(void *old);
    core_done_fn done;
    void *arg;
};

/* 0, or -ENOMEM. */
int commit_new(struct commit **out, struct core *core, core_done_fn done, void *arg) must_check;
void commit_free(struct commit *commit); /* for one that is not submitted; NULL is fine */
void commit_submit(struct commit *commit);
/* The next one under way after this one with the same settle function, device and uid. */
struct commit *commit_find_later(const struct commit *commit);

void batch_put_device(struct store_batch *batch, const struct device *device);
/* And tell the journal what has changed since it was told. */
void batch_put_container(struct store_batch *batch, struct container *container);
void batch_put_operation(struct store_batch *batch, struct operation *op);
/* Nothing is to be told of it as it is. */
void container_set_told(struct container *container);

/* Write a record's row without anybody waiting; what fails is tried again until it succeeds. */
void device_write(struct device *device);
void container_write(struct container *container);
void core_retry_later(struct core *core);
/* Fills a fault in for a store's result: STORAGE_FULL, STORAGE_FAILED, or NONE. */
void fault_from_store(struct fault *fault, int result);

int core_load(struct core *core) must_check; /* load.c */

/* Journal (journal.h) */
int journal_init(struct core *core) must_check;
int journal_load_cursor(struct core *core, const struct store_cursor *row) must_check;
void journal_load_number(struct core *core, uint64_t seq); /* one that was given before the start */
void journal_end(struct core *core);                       /* writes what readers have not yet written */
void journal_free(struct core *core);

/* Audit trail (audit.h) */
int audit_init(struct core *core) must_check;
void audit_begin(struct core *core); /* what was stored was loaded */
void audit_start(struct core *core);
void audit_take(struct core *core, struct store_batch *batch, const void *arg); /* an entry that is expected for arg */
void audit_end(struct core *core);
void audit_free(struct core *core);

/* Telemetry (telemetry.h) */
int telemetry_init(struct core *core) must_check;
int telemetry_load_origin(struct core *core, uint64_t origin) must_check; /* of the last EXCHANGE_LIFETIME */
void telemetry_loaded(struct core *core);                                 /* that was all */
void telemetry_forget_series(struct device *device);
void telemetry_free(struct core *core);

/* Index (index.c): the hash tables ------------------------------------------------------------------------------- */

struct device *index_find_device(const struct core *core, const char *id);       /* those being removed, too */
struct device *index_find_address(const struct core *core, const char *address); /* the first there, or NULL */
void index_add_device(struct core *core, struct device *device);
void index_drop_device(struct core *core, struct device *device);
void device_set_address(struct device *device, const char *address);
struct container *index_find_container(const struct device *device, const char *uid);
void index_add_container(struct container *container);
void index_drop_container(struct container *container);
struct artifact *index_find_artifact(const struct core *core, const char *id);
void index_add_artifact(struct core *core, struct artifact *artifact);
void index_drop_artifact(struct core *core, struct artifact *artifact);
void index_add_operation(struct core *core, struct operation *op);
void index_drop_operation(struct core *core, struct operation *op);

/* Records -------------------------------------------------------------------------------------------------------- */

struct device *device_new(struct core *core, const char *id); /* NULL: out of memory; not in the index */
/* core_add_device; approved: of an agent that asked to join. */
int device_add(struct core *core, const json_t *body, bool approved, core_done_fn done, void *arg, struct fault *fault,
               struct device **added) must_check;
void device_drop(struct device *device);                      /* with operations and queries; frees it */
void device_changed(struct device *device);                   /* drops its rendering */
void device_seen(struct device *device);                      /* it answered */
void device_move(struct device *device, const char *address); /* it speaks from there now */
void device_apply_probe(struct device *device, const struct agent_probe *probe);
const struct agent_features *device_features(const struct device *device);

struct container *container_new(struct device *device, const char *uid); /* in the index; NULL: out of memory */
void container_drop(struct container *container);                        /* out of the index, freed */
void container_changed(struct container *container);
void container_set_artifact(struct container *container, char field[CORE_DIGEST_TEXT], const char *id);
void container_set_load(struct container *container, enum container_load load);
void container_set_reported(struct container *container, enum container_state state);
/* Takes over what a STATUS answer (AGENT_OK or AGENT_ABSENT) says. */
void container_apply_status(struct container *container, const struct agent_call *call);
/* FAULT_UID_OCCUPIED when the device holds, or may hold, another artifact and its agent cannot replace it. */
int container_check_occupied(const struct container *container, const char *artifact, struct fault *fault) must_check;
/* FAULT_AGENT_UNSUPPORTED, FAULT_CONTAINER_NOT_ON_DEVICE */
int container_check_act(const struct container *container, enum operation_kind kind, struct fault *fault) must_check;
/* Known not to be on the device. */
void container_set_lost(struct container *container);

/* What can be told at once of a container's uid and of what is wanted of it. */
int container_check_uid(const struct device *device, const char *uid, struct fault *fault) must_check;
int container_check_fit(struct device *device, const char *uid, const struct artifact *artifact,
                        enum container_state desired, struct fault *fault) must_check;
/* Whether it fits and is admitted (trust.h). */
int container_check_desired(struct device *device, const char *uid, const struct desired *desired,
                            struct fault *fault) must_check;

/* What is desired (desire.c). container_assign: all of it, or nothing when out of memory. A state of ABSENT keeps the
 * artifact, which is what the device may hold. */
int container_assign(struct container *container, const struct desired *desired) must_check;
/* A copy of what is desired, to be freed and to be given to container_assign. NULL: out of memory. */
struct desired *container_copy_desired(const struct container *container);
bool container_is_desired(const struct device *device, const char *uid, const struct desired *desired);
json_t *json_needs(const char *needs); /* an array */
void container_digest_parameters(const uint8_t *parameters, size_t size, char out[CORE_DIGEST_TEXT]);
void container_tell_desired(struct container *container, struct store_batch *batch); /* in an event */
/* Bytes of a base64 text (NULL: none), malloc'ed, the caller's. 0; 1 with FAULT_INVALID_FIELD; negative. */
int parameters_read(uint8_t **out, size_t *size, const json_t *value, const char *pointer,
                    struct fault *fault) must_check;
/* Uids from an array of at most NEEDS_MAX (NULL: none) into a text; not the container's own. FAULT_INVALID_FIELD */
int needs_read(char out[NEEDS_SIZE], const char *uid, const json_t *array, const char *pointer,
               struct fault *fault) must_check;
bool container_has_parameters(const struct container *container); /* the device has those that are desired */

/* Reconciling (reconcile.c), besides reconcile.h. All are cheap. */
void reconcile_fired(struct timer *timer);         /* a container's timer */
void reconcile_touch(struct container *container); /* its record has changed */
void reconcile_came_back(struct device *device);   /* it was not there */
void reconcile_ask(struct device *device);         /* what it holds, as soon as it can be asked */
void reconcile_changed(struct device *device);     /* its record has: what was given up may do now */
void reconcile_restarted(struct device *device);   /* it may have lost what it held */

int artifact_parse(struct artifact *artifact, const json_t *description, struct fault *fault) must_check;
int artifact_parse_stored(struct artifact *artifact, const json_t *manifest, struct fault *fault) must_check;
char *artifact_make_manifest(const struct artifact *artifact); /* NULL: out of memory */
struct artifact *artifact_free(struct artifact *artifact);
json_t *artifact_description(const struct artifact *artifact);
void artifacts_sweep(struct timer *timer);
/* FAULT_IN_USE when a container, an operation, a release, a service or a rollout needs it. */
int artifact_check_unneeded(struct core *core, const struct artifact *artifact, struct fault *fault) must_check;
/* One that is named and is not there, which is fetched where there is a store for that. Returns 1 with the fault:
 * FAULT_NOT_FOUND, FAULT_ARTIFACT_PENDING, or why it cannot be fetched. */
int artifact_missing(const struct core *core, const char *id, struct fault *fault);

void answer_add_loaded(struct core *core, const struct store_answer *row);
void answers_free(struct core *core);
void answers_sweep(struct timer *timer);

/* Credentials (keyring*.c) --------------------------------------------------------------------------------------- */

#define KEYRING_CIPHERS 256 /* keyed ciphers that are kept, about 1 KiB each */
#define KEYRING_STEP 256    /* sequence numbers that are reserved at a time, at first */

enum credential_kind credential_kind_from_name(const char *name);   /* CREDENTIAL_KIND_COUNT: no such name */
enum credential_state credential_state_from_name(const char *name); /* CREDENTIAL_STATE_COUNT: no such name */
int keyring_init(struct core *core) must_check;
void keyring_free(struct core *core);                                                /* after all devices */
struct credential *credential_new(struct device *device, enum credential_kind kind); /* NULL: out of memory */
void credential_free(struct credential *credential); /* one that is not attached, wiped; NULL is fine */
/* Into the tables and its device's list; -EEXIST when its ids, identity or fingerprint are taken. */
int credential_attach(struct credential *credential) must_check;
void credential_drop(struct credential *credential); /* out of everything, freed */
void credential_show(struct credential *credential);
void credential_tell_dropped(struct credential *credential);
void credential_set_state(struct credential *credential, enum credential_state state);
void credential_set_reserved(struct credential *credential, uint64_t reserved);
void credential_retry(struct credential *credential); /* a reservation that could not begin */
/* A commit about a credential, and the credential of a commit, NULL when it is gone. */
int credential_commit(struct commit **out, const struct credential *credential, core_done_fn done,
                      void *arg) must_check;
struct credential *commit_credential(const struct commit *commit);
/* Hides a device's credentials (number 0: all) and writes that they are deleted. What is returned brings them back; the
 * caller frees it. NULL: out of memory, and nothing was done. */
void *credentials_hide(struct device *device, uint64_t number, struct store_batch *batch) must_check;
void credentials_show(struct device *device, const void *hidden);
bool credentials_holds(const void *hidden, uint64_t number); /* whether it was hidden by that */
void reservations_finish(struct list *waiting, int result);

/* Protected, plain or not at all (security.c). */
#define GROUPS_SIZE (CORE_GROUPS_MAX * (CORE_GROUP_MAX + 1))
const char *device_security(const struct device *device); /* "oscore", "dtls", "plain", "none" */
/* FAULT_CREDENTIALS_REQUIRED when it has no credentials and may not be used without. */
int device_check_protected(const struct device *device, struct fault *fault) must_check;
void device_note_security(struct device *device); /* logs when plain use became possible, or ended */
void core_note_security(struct core *core);       /* the same for all, as one line */
/* Names from an array into a sorted text with spaces between. FAULT_INVALID_FIELD */
int groups_read(char out[GROUPS_SIZE], const json_t *array, struct fault *fault) must_check;
void device_set_groups(struct device *device, const char *groups);

/* Rows; batch_put_credential seals. Negative errno. */
int batch_put_credential(struct store_batch *batch, const struct credential *credential, uint64_t reserved) must_check;
int keyring_load_meta(void *core, const struct store_meta *row);
int keyring_load_credential(void *core, const struct store_credential *row);
int keyring_load_context(void *core, const struct store_context *row);
int keyring_begin(struct core *core) must_check; /* after loading: commits and waits */
void keyring_remove_clean_mark(struct store_batch *batch);
void keyring_end(struct core *core); /* after the last message, before the credentials are freed */

/* Contexts that were in use here at some time (keyring_history.c). */
bool history_knows(const struct core *core, const struct oscore_credentials *inputs);
int history_add(struct core *core, const struct oscore_credentials *inputs, struct store_batch *batch) must_check;
int history_add_loaded(struct core *core, const char *mark) must_check;
struct context_history *context_history_free(struct context_history *history);

struct credential *index_find_psk(const struct core *core, const void *identity, size_t size);
struct credential *index_find_certificate(const struct core *core, const uint8_t fingerprint[32]);
int index_add_credential(struct core *core, struct credential *credential) must_check; /* PSK, certificate; -EEXIST */
void index_drop_credential(struct core *core, struct credential *credential);

/* Any request to a device (resource.c). */
bool resource_changes(const struct agent_resource *resource); /* its method may change something */
bool resource_repeats(const struct agent_resource *resource); /* twice is as good as once (RFC 7252 section 5.8) */
/* All in one piece of memory; NULL when there is none. */
struct agent_resource *resource_copy(const struct agent_resource *from);
/* FAULT_SHUTTING_DOWN, FAULT_NOT_FOUND, FAULT_CREDENTIALS_REQUIRED */
int resource_check_use(struct core *core, const struct device *device, bool changes, struct fault *fault) must_check;

/* The cache (cache.c) and what it keeps over a restart (cache_row.c). */
int cache_init(struct core *core) must_check;
void cache_free(struct core *core); /* after all devices */
/* Takes the answer to a read. */
void cache_take(struct device *device, const struct agent_resource *request, const struct agent_response *response);
void cache_shrink(struct core *core); /* to what is allowed */
int cache_load(void *core, const struct store_representation *row);
void cache_save(struct core *core); /* at a clean stop */

/* Observations (watch.c). */
#define WATCH_TEXT_MAX 127 /* bytes of a configured path with its query */
#define WATCH_LIST_SIZE (WATCH_PATHS_MAX * (WATCH_TEXT_MAX + 1) + 1)
/* Paths from an array into a text with spaces between. FAULT_INVALID_FIELD */
int watches_read(char out[WATCH_LIST_SIZE], const json_t *array, struct fault *fault) must_check;
json_t *watches_json(const char *paths); /* and back */
/* What it or its groups have changed; `devices` are configured at once. */
void watches_configure(struct device *device, size_t devices);
void watches_start(struct core *core);
/* The device listens now; `anew`: it does not know of its observations. Soon, not from within. */
void watches_wake(struct device *device, bool anew);
void device_restarted(struct device *device); /* what it had said is not so any more */
void device_set_observe(struct device *device, const char *paths);
void observers_end(struct device *device, enum fault_code code, const char *why); /* all of a device */

/* The resource directory (directory*.c). */
int directory_new(struct core *core) must_check;
void directory_free(struct core *core); /* before the devices */
int directory_load(void *core, const struct store_registration *row);
void directory_stop(struct core *core);
void directory_drop_device(struct device *device);
void history_configure(struct core *core); /* tells the store what is kept */
void intake_begin(struct core *core);
void intake_free(struct core *core);

int shadow_load(void *core, const struct store_shadow *row);
void shadow_reads_free(struct core *core);
void join_free(struct core *core);

/* Rendering (render.c) ------------------------------------------------------------------------------------------- */

void rendering_drop(struct rendering *rendering);
json_t *json_time(int64_t wall_ms);                              /* null for 0 */
json_t *json_fault(const struct fault *fault, bool with_advice); /* null for none */
json_t *json_caps(const struct device_caps *caps);

/* Operations ----------------------------------------------------------------------------------------------------- */

enum operation_step {
    STEP_BEGIN,
    STEP_PROBING,
    STEP_ASKING,
    STEP_FETCHING,
    STEP_LOADING,
    STEP_SETTLING,
    STEP_STARTING,
    STEP_VERIFYING,
    STEP_STOPPING,
    STEP_REMOVING,
    STEP_REQUESTING,
    STEP_COUNT
};

#define OPERATION_ATTEMPTS 3 /* loads sent, and answers lost, in one operation */

/* Shared by the operations that load the same artifact, so that a rollout holds it once. */
struct operation_parts {
    struct artifact *artifact; /* which stays while an unfinished operation uses it */
    unsigned users;
    uint8_t *code, *data;
    size_t code_size, data_size;
};

struct core_watcher {
    struct list node;
    struct core *core;
    struct operation *op;
    core_watch_fn fn;
    void *arg;
    struct timer timer; /* for an operation that had ended already */
};

/* Makes a queued operation, not durable yet, in the index and in the device's queue. */
int operation_new(struct operation **out, struct device *device, const char *uid, enum operation_kind kind,
                  const char *artifact, uint32_t ttl_ms, struct fault *fault) must_check;
struct operation *operation_alloc(const char *id); /* NULL: out of memory */
void operation_enqueue(struct operation *op, struct device *device);
void operation_drop(struct core *core, struct operation *op); /* out of everything, freed; watchers are told before */
struct container *operation_container(const struct operation *op);
bool operation_is_ready(const struct operation *op);
void operation_run(struct operation *op);                                   /* its next step */
void operation_answer(struct operation *op, const struct agent_call *call); /* the answer to its call */
void operation_rewind(struct operation *op); /* after a call was given up: the next run finds out where it stands */
void operation_write(struct operation *op);  /* writes its row and its container's; it waits until that is durable */
void operation_write_again(struct operation *op); /* when that is needed */
void operation_cancel(struct operation *op);
void operation_give_up_step(struct operation *op); /* takes back what was written ahead but not done */
void operation_describe(const struct operation *op, char *out, size_t size); /* what it does, after "while" */
/* Its device is asked something that changes nothing there: nobody needs the answer to go on. */
bool operation_only_asks(const struct operation *op);
/* Settles a commit that made an operation; true when the operation is there and durable. */
bool operation_settle(struct commit *commit, bool durable, struct fault *fault);
/* Writes the cancelled operations of a container or a device (uid NULL) into a batch. */
void operations_batch_cancelled(struct device *device, const char *uid, struct store_batch *batch);
/* Ends them in memory, after that was committed. */
void operations_end_cancelled(struct device *device, const char *uid, const char *why);
bool container_has_operations(const struct container *container);

/* Used by the machines */
void operation_enter(struct operation *op, enum operation_step step, uint32_t delay_ms);
void operation_succeed(struct operation *op);
void operation_fail(struct operation *op, enum fault_code code, const char *format, ...) printf_like(3, 4);
void operation_end(struct operation *op, enum operation_state state);
/* Fails with the fault that belongs to a call's outcome. */
void operation_fail_call(struct operation *op, const struct agent_call *call);
void fault_from_call(struct fault *fault, const struct agent_call *call);
/* After a lost answer: asks the device after settle_delay, or fails when too many were lost. */
void operation_lost_answer(struct operation *op, const struct agent_call *call);

/* The machines: the first decision, and the answers to each step. */
void probe_begin(struct operation *op);
void probe_answered(struct operation *op, const struct agent_call *call);
void deploy_begin(struct operation *op, struct container *container);
void deploy_asked(struct operation *op, struct container *container, const struct agent_call *call);
void deploy_fetch(struct operation *op, struct container *container); /* reads the artifact's parts, then loads */
void deploy_fill_load(struct operation *op, struct container *container, struct agent_call *call);
/* Whether it was a load that made room for something else, and goes on: the operation stays as it is. */
bool deploy_may_load(struct operation *op, struct container *container); /* ends it otherwise */
bool deploy_paused(struct operation *op, struct container *container, const struct agent_call *call);
void deploy_loaded(struct operation *op, struct container *container, const struct agent_call *call);
/* The load that was written ahead was not sent. */
void deploy_revert_load(const struct operation *op, struct container *container);
void parts_free(struct operation *op);
/* operation_request.c */
void request_begin(struct operation *op);
void request_answered(struct operation *op, struct container *container, const struct agent_call *call);
bool request_is_lost(const struct operation *op); /* it may have been sent, and may not be repeated */
void request_fail_lost(struct operation *op);
void request_take_back(struct operation *op); /* at a stop: what was written down as sent and was not */
void request_heard(struct device *device);    /* one that waits for its next attempt need not any more */
/* Into the queue, and out of it for good. */
void request_enter(struct core *core, const struct operation *op);
void request_leave(struct core *core, struct operation *op);
void request_load(struct operation *op, const void *bytes, size_t size); /* what was stored */
/* What is stored of it; the caller frees it. NULL: it is no request, or there is no memory. */
void *request_store(const struct operation *op, size_t *size);
json_t *request_describe(const struct operation *op);
void part_requests_free(struct core *core);
void act_begin(struct operation *op, struct container *container);
void act_asked(struct operation *op, struct container *container, const struct agent_call *call);
void act_start(struct operation *op, struct container *container);
/* The device does not hold the container: loads it, or fails for what is no deploy. */
void deploy_need_load(struct operation *op, struct container *container);
void act_started(struct operation *op, struct container *container, const struct agent_call *call);
void act_verified(struct operation *op, struct container *container, const struct agent_call *call);
void act_stopped(struct operation *op, struct container *container, const struct agent_call *call);
void act_removed(struct operation *op, struct container *container, const struct agent_call *call);
/* Starts or stops what is loaded, as it is desired, or is done. was_starting: its start has not been verified. */
void act_reach_goal(struct operation *op, struct container *container, bool was_starting);

/* The device's queue (queue.c) ----------------------------------------------------------------------------------- */

/* Starts whatever the device can do next. */
void device_pump(struct device *device);
/* It was asleep, and was heard at `heard` (monotonic ms). */
void device_woke(struct device *device, int64_t heard);
/* Makes a call for an operation or a query, to be filled in and sent. NULL: out of memory. */
struct agent_call *device_new_call(struct device *device, enum agent_verb verb, struct operation *op,
                                   struct query *query) must_check;
void device_send_call(struct device *device, struct agent_call *call);
/* Gives up the outstanding call, if any: its operation is rewound, its query waits again. */
void device_cancel_call(struct device *device);
bool device_calls_for(const struct device *device, const struct operation *op);
int device_check_queue(const struct device *device, struct fault *fault) must_check; /* FAULT_QUEUE_FULL */
/* The same for an operation, of which there may be so many in all. */
int operation_check_queue(const struct device *device, struct fault *fault) must_check;
bool device_sleeps(const struct device *device); /* between its messages */

/* Queries (query.c). A request to a resource, which is copied. `kept`: a read whose answer goes to the cache; it shares
 * the exchange of another such read of the same, *shared says so then. As core_request_resource. */
int query_resource(struct device *device, const struct agent_resource *resource, bool kept, uint32_t timeout_ms,
                   core_resource_fn done, void *arg, bool *shared, struct fault *fault) must_check;
/* Asks for all containers, for census_take; nothing when that waits already. False: not now. */
bool query_list(struct device *device);
/* Takes over an answer to a question that no operation asked. */
void query_apply_status(struct container *container, const struct agent_call *call);
/* What devices hold, by their own account (census.c). */
void census_take(struct device *device, const struct agent_call *call);
void census_due(struct device *device, int64_t delay_ms);
void census_fired(struct timer *timer);
struct query *query_first(const struct device *device); /* NULL when none waits */
void query_run(struct query *query);
void query_answered(struct query *query, struct agent_call *call);
void query_wait_again(struct query *query);
void queries_fail(struct device *device, const char *uid, enum fault_code code, const char *why);

/* Notifications of observed resources become telemetry, or events of a bounded rate (feed.c). */
struct feed_limit {
    int64_t second; /* monotonic */
    uint32_t count;
    uint64_t suppressed; /* events that were one too many */
};
void feed_notification(struct device *device, const char *path, const struct agent_response *response,
                       struct feed_limit *limit);

void visitors_free(struct core *core); /* host.c */

/* Groups (group.c). */
const char *group_paths(const struct core *core, const char *name); /* that are observed; NULL: it has no settings */
int group_load(void *core, const struct store_group *row);
void groups_free(struct core *core);

/* Sequence numbers (sequence.c). */
int sequence_load(void *core, const struct store_sequence *row);
void sequences_free(struct device *device);

/* Rollouts (rollout*.c), besides rollout.h. */
struct telemetry_record;
void rollout_note_telemetry(struct device *device, const struct telemetry_record *records, size_t count);
int rollout_load(struct core *core, const struct store_document *row);
int rollout_load_member(struct core *core, const struct store_document *row);
void rollouts_free(struct core *core);
/* The artifacts and releases that they bring, or would have to bring back, as an array of texts; NULL: out of memory.
 */
json_t *rollout_names(const struct core *core);

/* SUIT (suit.c) ---------------------------------------------------------------------------------------------------- */

#define SUIT_EXEC_PATH "/bpf/exec/"

/* A load to a SUIT device is about to be written ahead: gives its manifest a number. */
void suit_number(struct container *container, const struct operation_parts *parts);
/* The device took the manifest that was sent last. */
void suit_installed(struct container *container);
/* What the driver has to know of the manifests; nothing for other kinds of agents, or container NULL. */
void suit_fill_call(const struct container *container, struct agent_call *call);
/* What a device's version says of the container and of the device's others. */
void suit_heard(struct container *container, const struct agent_call *call);
/* An artifact of type suit: its code is a signed manifest for its data. FAULT_INVALID_ARTIFACT. */
int suit_check_artifact(const struct artifact *artifact, const void *code, size_t size, struct fault *fault) must_check;
/* The device does not know what was asked for: if that is a container, it is asked what became of it. */
void suit_missing(struct device *device, const struct agent_resource *request);
/* "value": what a container returned that was run by a request. */
void suit_add_value(const struct agent_resource *request, const struct agent_response *response, json_t *result);

#endif
