#ifndef TC_CORE_MODEL_H
#define TC_CORE_MODEL_H

#include "base/fault.h"
#include "base/list.h"
#include "base/text.h"
#include "core/timer.h"
#include "tcgw/metadata.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

/*
 * The domain's records as they live in memory. Everybody may read them on the loop thread; only src/core writes them.
 * A pointer to a record is good until control goes back to the loop: keep ids across callbacks, not pointers.
 */

#define CORE_ID_MAX 63                                               /* device ids and container uids */
#define CORE_NAME_MAX 127                                            /* names for people, UTF-8 */
#define CORE_ADDRESS_MAX 127                                         /* "coap://[fe80::1%25eth0]:5683" */
#define CORE_DIGEST_TEXT 65                                          /* 64 hex digits and NUL */
#define CORE_VERSION_MAX 63                                          /* bytes of a release's version */
#define CORE_RELEASE_TEXT (CORE_NAME_MAX + 1 + CORE_VERSION_MAX + 1) /* "name@version" and NUL */

enum agent_kind { AGENT_UNKNOWN, AGENT_V1, AGENT_V2, AGENT_SUIT, AGENT_KIND_COUNT };

enum device_capability { /* bits of device.caps_configured */
                         DEVICE_CAP_PDU_SIZE = 1,
                         DEVICE_CAP_SLOTS = 2,
                         DEVICE_CAP_RUNTIMES = 4,
                         DEVICE_CAP_PACKAGE_MAX = 8,
                         DEVICE_CAP_MEMORY = 16,
};

struct device_caps {
    uint32_t pdu_size;    /* largest request datagram in bytes; 0: not known (v1 default: 1204) */
    uint32_t slots;       /* 0: not known */
    uint32_t runtimes;    /* bit (1 << enum container_type); 0: not known, everything is tried */
    uint32_t package_max; /* largest v2 package in bytes; 0: not known */
    uint32_t memory;      /* bytes that the runtime of one container may take; 0: not known */
};

#define CORE_GROUPS_MAX 16 /* groups of a device */
#define CORE_GROUP_MAX 31  /* bytes of a group's name */

struct agent_resource;
struct credential;
struct device_sequence;
struct directory_entry;
struct operation;
struct operation_parts;
struct cache_entries;
struct device_series;
struct presence_record;
struct shadow_states;
struct transfer;
struct core;

/* A representation that is kept until its record changes; a time in it that changes often is patched in place. */
struct rendering {
    char *json; /* NULL: none */
    size_t size;
    size_t time_at[2]; /* where the text of that time stands; 0: it is null, or not there a second time */
    bool time_stale;   /* the text at time_at is not the record's */
};

struct device {
    struct core *core;
    char id[CORE_ID_MAX + 1];
    char name[CORE_NAME_MAX + 1];
    char address[CORE_ADDRESS_MAX + 1];
    enum agent_kind agent;
    bool agent_configured;
    char agent_version[64];
    char reported_id[132]; /* the device id that the agent told; bytes that are no printable ASCII as \xNN, cut */
    struct device_caps caps;
    uint32_t caps_configured;
    int64_t created, updated, last_seen; /* wall ms; last_seen 0: never */
    uint64_t revision;                   /* changes with every change that a person or a probe made */
    uint64_t manifest_floor;             /* SUIT: the highest number that it told since the start */
    bool removing;                       /* hidden; its removal is being committed */
    bool visitor; /* no device: an address that /hc was sent to (host.c); in no table, and nothing of it is stored */

    char *groups;            /* names with spaces between, sorted; NULL: none */
    bool allow_plain;        /* a person said that it may be spoken to without protection while it has no credentials */
    bool known_plain;        /* core-private: it was logged that it may be used without protection */
    bool credentials_lost;   /* it has some that could not be read; it may not be used plainly */
    struct account *account; /* core-private: what was exchanged (budget.c); NULL: nothing yet */
    json_t *labels;          /* texts by name; NULL: none */
    struct credential *credentials; /* keyring.h; the one to send with first */

    struct shadow_states *shadows;     /* core-private; NULL: it never had any */
    struct trace *trace;               /* trace.h; NULL: it is not traced */
    struct presence_record *presence;  /* core-private (presence.h) */
    struct cache_entries *cache;       /* core-private (cache.h) */
    struct device_series *series;      /* core-private: of its telemetry */
    struct device_sequence *sequences; /* core-private: of releases that it took (sequence.c) */
    unsigned sequences_at;             /* core.commits_failed when their rows were written last */
    uint32_t sleep_s, awake_ms;        /* configured by a person; 0: not configured */
    char *observe;                     /* paths that the gateway observes, with spaces between; NULL: none */

    struct container *containers; /* uthash by uid */
    struct list operations;       /* unfinished, oldest first (operation.device_node) */
    unsigned operation_count;     /* unfinished */
    struct list queries;          /* core-private: reads without a record that wait for the device */
    unsigned query_count;
    struct list watches; /* core-private: observed resources */
    unsigned watch_count;
    struct agent_call *call;   /* the one outstanding exchange, or NULL */
    struct timer census;       /* core-private: the next question for all that it holds (census.c) */
    struct timer call_timer;   /* core-private: for a look whether the device still listens to it */
    struct rendering rendered; /* core-private from here on */
    bool query_turn;           /* a waiting query goes before the next step of an operation */
    bool dirty;                /* differs from its row, which could not be written, or can wait */
    unsigned untold;           /* bits of enum event: to be told with its next row */
    int64_t last_seen_saved;
    struct directory_entry *endpoints; /* registrations that are bound to it, the last updated first */
    int64_t registering_at;            /* monotonic ms: when it may register as often as at first again */
    struct device *same_address;
    UT_hash_handle hh, by_address;
};

enum container_state {
    CONTAINER_UNKNOWN, /* nothing is known, or an answer was lost */
    CONTAINER_ABSENT,
    CONTAINER_INSTALLED, /* loaded, never started */
    CONTAINER_STARTING,
    CONTAINER_RUNNING,
    CONTAINER_STOPPED,
    CONTAINER_FAILED,
    CONTAINER_STATE_COUNT
};

enum container_load {
    LOAD_NONE, /* no load is known to be on the device */
    LOAD_SENT, /* a load was (or is about to be) sent, its outcome is not known; durable before the first byte leaves */
    LOAD_DONE, /* the device confirmed it, or answered a start, which proves it */
    LOAD_COUNT
};

struct container {
    struct device *device;
    char uid[CORE_ID_MAX + 1];
    enum container_state desired;            /* RUNNING, STOPPED or ABSENT */
    char desired_artifact[CORE_DIGEST_TEXT]; /* empty: none */
    enum container_state reported;
    char reported_artifact[CORE_DIGEST_TEXT]; /* what was loaded last; empty: none */
    enum container_load load;
    struct fault fault;                    /* of the last operation that failed; code FAULT_NONE: none */
    int64_t created, updated, reported_at; /* wall ms; reported_at 0: the device never said */
    uint64_t revision;                     /* changes with every change of desired; the ETag */
    bool removing;                         /* hidden; its removal is being committed */

    char desired_release[CORE_RELEASE_TEXT]; /* "name@version" that desired_artifact was picked from; empty: none */
    char loaded_release[CORE_RELEASE_TEXT];  /* that the device took last; empty: none */
    char sent_release[CORE_RELEASE_TEXT];    /* of a load whose outcome is not known; empty: of none */
    char *service;                           /* that wants it; NULL: a person or the platform itself does */
    char *needs;         /* uids that have to run before it starts, with spaces between; NULL: none */
    uint8_t *parameters; /* in place of the artifact's data; NULL: the artifact's own */
    size_t parameters_size;
    char parameters_digest[CORE_DIGEST_TEXT]; /* SHA-256; empty: there are none */
    char loaded_parameters[CORE_DIGEST_TEXT]; /* of those that the device has; "?": not known */
    bool rollback;                            /* a lower sequence number is wanted */
    /* SUIT: numbers of the manifest that the device took, and of the one that was sent since; 0: none (suit.c) */
    uint64_t manifest, manifest_sent;
    uint32_t attempts;         /* that failed in a row */
    int64_t attempted;         /* wall ms of the last one; 0: none */
    int64_t retry;             /* wall ms of the next one; 0: none is planned */
    struct transfer *transfer; /* core-private from here on: of its package; NULL: none has begun */
    struct timer timer;        /* for the next look (reconcile.c) */
    bool ask;                  /* the device is to be asked what became of it */
    bool converged;            /* it was as desired at the last look */
    int64_t converged_at;      /* monotonic ms at which `converged` changed */

    struct rendering rendered;
    bool dirty;              /* differs from its row, which could not be written */
    struct account *account; /* as a device's */
    uint64_t told;           /* what the journal said last of what is reported; 0: that has to be told anew */
    UT_hash_handle hh;
};

struct artifact {
    char id[CORE_DIGEST_TEXT]; /* SHA-256 of the manifest's text */
    char name[CORE_NAME_MAX + 1];
    enum container_type type;
    uint32_t syscall_mask;
    size_t endpoint_count;
    struct container_endpoint *endpoints;
    struct container_limits limits;
    char code_digest[CORE_DIGEST_TEXT], data_digest[CORE_DIGEST_TEXT];
    uint64_t code_size, data_size;
    uint64_t memory;     /* bytes that its runtime needs from the start (WebAssembly); 0: none, or not known */
    uint64_t memory_max; /* that it may grow to; 0: as far as it can */
    char *manifest;      /* canonical JSON: sorted keys, no white space, no name */
    int64_t created;
    int64_t used;                  /* wall ms when it was last seen in use, to the day; 0: never */
    bool pinned;                   /* a person keeps it */
    unsigned users;                /* containers whose desired or reported artifact it is, and unfinished operations */
    bool pending;                  /* hidden; its row is being committed */
    bool removing;                 /* hidden; its removal is being committed */
    struct operation_parts *parts; /* core-private: of the operations that load it now, or NULL */
    UT_hash_handle hh;
};

enum operation_kind {
    OPERATION_DEPLOY, /* bring a container to its desired artifact and state */
    OPERATION_START,
    OPERATION_STOP,
    OPERATION_REMOVE,
    OPERATION_REQUEST, /* a request to a resource, which waits for a device that sleeps */
    OPERATION_PROBE,   /* learn the device's agent kind and capabilities */
    OPERATION_KIND_COUNT
};

enum operation_state {
    OPERATION_QUEUED,
    OPERATION_RUNNING,
    OPERATION_SUCCEEDED,
    OPERATION_FAILED,
    OPERATION_EXPIRED,
    OPERATION_CANCELLED,
    OPERATION_STATE_COUNT
};

struct operation {
    char id[UUID_SIZE];
    enum operation_kind kind;
    enum operation_state state;
    char device_id[CORE_ID_MAX + 1];
    struct device *device;     /* NULL once finished */
    char uid[CORE_ID_MAX + 1]; /* empty for a probe */
    char artifact[CORE_DIGEST_TEXT];
    char step[24]; /* "", "checking", "loading", "settling", "starting", "verifying", "stopping", ... */
    struct fault fault;
    char *result;                             /* JSON text of an object, or NULL */
    int64_t created, started, ended, expires; /* wall ms; 0: not yet */
    bool cancel_requested;

    bool durable;             /* core-private from here on: its creation was committed */
    bool writing;             /* a write of its row is under way; it takes no step until that is durable */
    bool dirty;               /* has changed since that write began, or the write failed */
    int told;                 /* the state that the journal told of, -1: of none */
    bool fetching;            /* the artifact's parts are being read */
    bool takes_container;     /* its end deletes the container's record */
    bool load_confirmed;      /* the device confirmed a load of this operation */
    enum operation_state end; /* its final state, which becomes `state` when it is durable; OPERATION_QUEUED: none */
    int64_t deadline;         /* monotonic ms of `expires` */
    int64_t begun;            /* monotonic ms at which it left the queue; 0: not since the start */
    int64_t wake_at;          /* monotonic ms before which its machine does not go on; 0: none */
    int machine;              /* enum operation_step (internal.h) */
    unsigned loads;           /* loads sent */
    unsigned lost;            /* answers lost */
    struct agent_resource *request; /* OPERATION_REQUEST; without its body once it has ended */
    bool request_sent;              /* one that may not be repeated was written down as sent */
    struct operation_parts *parts;  /* of the artifact, from fetching until they were sent */
    uint8_t *parameters;            /* as long as parts, in place of the data; NULL: none */
    size_t parameters_size;
    char parameters_digest[CORE_DIGEST_TEXT]; /* of what was sent */
    struct timer timer;
    struct list device_node;
    struct list watchers;
    UT_hash_handle hh;
};

/* The names that REST, the CLI and the database use; each has its inverse, which gives the COUNT for no match. */
const char *agent_kind_name(enum agent_kind kind);            /* "unknown", "v1", "v2", "suit" */
const char *container_state_name(enum container_state state); /* "unknown", "absent", "installed", ... */
const char *container_load_name(enum container_load load);    /* "none", "sent", "done" */
const char *operation_kind_name(enum operation_kind kind);    /* "deploy", ... */
const char *operation_state_name(enum operation_state state); /* "queued", ... */
enum agent_kind agent_kind_from_name(const char *name);
enum container_state container_state_from_name(const char *name);
enum container_load container_load_from_name(const char *name);
enum operation_kind operation_kind_from_name(const char *name);
enum operation_state operation_state_from_name(const char *name);

static inline bool operation_is_finished(const struct operation *op)
{
    return op->state >= OPERATION_SUCCEEDED;
}

#endif
