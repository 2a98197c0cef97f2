#ifndef TC_CORE_PORTS_H
#define TC_CORE_PORTS_H

#include "core/model.h"

/*
 * What the core asks of the rooms above it. An agent call is one intention towards a device (which may take several
 * datagrams: block-wise transfer). At most one call per device is under way.
 */

enum agent_verb {
    AGENT_CALL_PROBE,
    AGENT_CALL_LOAD,
    AGENT_CALL_START,
    AGENT_CALL_STATUS,
    AGENT_CALL_STOP,
    AGENT_CALL_REMOVE,
    AGENT_CALL_LOG,
    AGENT_CALL_LIST,     /* all containers that the device holds: agent_call.held */
    AGENT_CALL_RESOURCE, /* any CoAP request to any resource: agent_call.resource */
    AGENT_CALL_COUNT
};

const char *agent_verb_name(enum agent_verb verb);

enum agent_outcome {
    AGENT_OK,
    AGENT_NO_ANSWER,   /* sent, and no answer in time: what the device did is not known */
    AGENT_UNREACHABLE, /* could not be sent, or the network said at once that nobody is there: the device did nothing */
    AGENT_GARBAGE,     /* an answer that the protocol does not allow; detail says which */
    AGENT_REFUSED,     /* the agent said no without saying why (v1: 5.00) */
    AGENT_NO_SLOT,     /* the agent said that no slot is free (v2: 5.03) */
    AGENT_TOO_LARGE,   /* 4.13 */
    AGENT_UNVERIFIED,  /* 4.22: a token or the code did not verify */
    AGENT_ABSENT,      /* the agent does not hold that container (v2: 4.04) */
    AGENT_UNSUPPORTED, /* the agent cannot do this (5.01, or a kind that has no such request) */
    AGENT_INSECURE,    /* the device has no credentials and may not be spoken to without; nothing was sent */
    AGENT_UNTRUSTED,   /* the device does not accept our protection, or its answer is not protected or does not verify;
                          what it did is not known unless the request was refused; detail says which */
    AGENT_PAUSED,      /* a load that was asked to make room (agent_port.pause); it goes on where it stood when it is
                          begun again with agent_call.resume_at */
    AGENT_OVER_BUDGET, /* the device, or the container, has used up its budget (budget.h); nothing was sent */
    AGENT_QUARANTINED, /* the device is in quarantine; nothing was sent */
    AGENT_LOCAL,       /* the gateway failed (memory, key, limits); detail says how; nothing was sent */
};

struct agent_probe { /* the answer to AGENT_CALL_PROBE */
    enum agent_kind kind;
    char version[64];
    char reported_id[132];
    struct device_caps caps; /* zero where the agent does not tell */
};

/* A request to a resource of the device (AGENT_CALL_RESOURCE). Text and bytes are the caller's until done. */
struct agent_resource {
    uint8_t method;          /* CoAP code: GET, POST, PUT, DELETE, FETCH, PATCH, iPATCH */
    const char *path;        /* absolute, percent-encoded */
    const char *query;       /* percent-encoded, "a=1&b=2"; NULL: none */
    int format;              /* Content-Format of the body, -1: none */
    int accept;              /* -1: none */
    const uint8_t *if_match; /* one ETag; NULL: none */
    size_t if_match_size;
    bool if_none_match;  /* only when there is no such resource yet (RFC 7252 section 5.10.8.2) */
    const uint8_t *etag; /* of the representation that who asks has, which need not be sent again (2.03); NULL: none */
    size_t etag_size;
    const uint8_t *body;
    size_t body_size;
    size_t limit; /* of the response's body */
};

/* A response of the device, as it is handed to who asked; the body lives until that call returns, unless it is said
 * otherwise. */
struct agent_response {
    uint8_t code;
    int format;       /* -1: none */
    uint32_t max_age; /* seconds; 60 when absent (RFC 7252 section 5.10.5) */
    uint8_t etag[8], etag_size;
    char location[256]; /* Location-Path and -Query as a URI reference, or empty */
    uint8_t *body;      /* of a call: malloc'ed, owned by the call's owner, who frees it */
    size_t body_size;
};

/* A manifest that a SUIT device has, or was told to fetch (docs/device-protocol.md section 9). */
struct agent_manifest {
    uint64_t sequence;                  /* 0: none */
    char code_digest[CORE_DIGEST_TEXT]; /* of the artifact's code */
};

/* A container that a device says it holds. */
struct agent_held {
    char uid[CORE_ID_MAX + 1];
    enum container_state state;
    char artifact_seen[CORE_DIGEST_TEXT]; /* as in agent_call */
};
#define AGENT_HELD_MAX 64

#define CORE_LINK_MAX 63

/* What devices share (link.h). */
struct agent_link {
    char name[CORE_LINK_MAX + 1]; /* empty: none that has limits */
    uint32_t parallel;            /* transfers at a time; 0: any number */
    uint32_t rate;                /* bytes per second; 0: any number */
    uint32_t block;               /* largest block in bytes, 16 to 1024; 0: 1024 */
};

struct agent_call {
    enum agent_verb verb;
    const struct device *device; /* stays until done was called: the core cancels before it frees a device */
    char uid[CORE_ID_MAX + 1];
    struct agent_link link;          /* of its device; for all but LOAD only where some link has a limit of bytes */
    const struct artifact *artifact; /* LOAD: endpoints, limits, type */
    const uint8_t *code, *data;      /* LOAD: owned by the caller until done */
    size_t code_size, data_size;
    size_t resume_at;  /* LOAD: bytes of the package that the device is believed to hold; 0: none */
    bool resume_sure;  /* LOAD: it said so a moment ago: it need not be asked */
    uint32_t block;    /* LOAD: bytes of a block to begin with, 0: the largest; the port keeps what it is at */
    uint64_t turn;     /* LOAD: its place in the queue of its link, 0: the last; the port keeps it */
    bool waiting;      /* LOAD: for its turn on its link; the port's */
    bool cancelled;    /* LOAD: agent_port.pause was called to end it: it does not go on later */
    uint64_t sequence; /* LOAD: of the release; 0: it has none */
    /* SUIT: the manifest that the device is known to have taken for the container, and the one that was sent since, or
     * is to be sent now. */
    struct agent_manifest installed, sent;
    /* LOAD (may be NULL): the device has acknowledged so many bytes of so many. May be called often. */
    void (*progress)(struct agent_call *call, size_t done, size_t total);
    const struct agent_resource *resource; /* RESOURCE */

    /* the answer */
    enum agent_outcome outcome;
    uint8_t code_received;                /* CoAP code of the deciding answer, 0 for none */
    char detail[160];                     /* a sentence for GARBAGE, LOCAL, REFUSED and the like; may be empty */
    enum container_state state;           /* STATUS; START, STOP of agents whose answer tells: else CONTAINER_UNKNOWN */
    char artifact_seen[CORE_DIGEST_TEXT]; /* STATUS: hex digest of the code that the agent says it holds; empty when it
                                             does not tell */
    uint64_t
        version_seen; /* SUIT: the highest sequence number that the device told, before a load; where it told one */
    bool version_known;
    struct agent_probe probe;
    uint8_t *log; /* LOG: malloc'ed text, owned by the call's owner, who frees it */
    size_t log_size;
    struct agent_held *held; /* LIST: malloc'ed, owned by the call's owner, who frees it */
    size_t held_count;
    struct agent_response response; /* RESOURCE, for AGENT_OK: any code that the device answered, errors too */

    void (*done)(struct agent_call *call); /* exactly once per begin, unless cancelled; never from within begin */
    void *owner;
    void *driver; /* the driver's state while the call is under way */
};

/* What an agent of a kind can do. */
struct agent_features {
    bool load_is_idempotent; /* the same load twice is one container (v2) */
    bool can_replace;        /* a load with a uid in use replaces (v2) */
    bool can_stop, can_remove, can_log;
    bool can_list;      /* AGENT_CALL_LIST (v2) */
    bool start_is_true; /* the answer to start is given when it is true (v2); no verification delay needed */
};

/* An observation of a device's resource (RFC 7641), embedded by its owner. */
struct agent_observation {
    const struct device *device; /* stays until ended: the core ends it before it frees a device */
    const char *path, *query;    /* the owner's */
    int accept;                  /* -1: none */
    size_t limit;                /* of a representation */
    /* Each representation, in order, the first included; code tells of an error that ends it. */
    void (*notify)(struct agent_observation *observation, const struct agent_response *response);
    /* It has ended and will not be called any more (never from within observe): AGENT_OK: the device does not let the
     * resource be observed (the one representation was given), or has ended it; else why. */
    void (*ended)(struct agent_observation *observation, enum agent_outcome outcome, const char *detail);
    void *owner;
    void *driver; /* the port's while it lasts */
};

struct agent_port {
    void *arg;
    /* Never NULL; for AGENT_UNKNOWN all false. */
    const struct agent_features *(*features)(void *arg, enum agent_kind kind);
    /* 0 when the container fits the device; 1 with fault FAULT_PACKAGE_TOO_LARGE (with the sizes), FAULT_RUNTIME_
     * UNSUPPORTED, FAULT_INVALID_ARTIFACT otherwise. Nothing is sent. */
    int (*check)(void *arg, const struct device *device, const char *uid, const struct artifact *artifact,
                 struct fault *fault);
    /* Starts the call; it ends with call->done, or with cancel. */
    void (*begin)(void *arg, struct agent_call *call);
    /* Gives up a call that is under way: done will not be called, call->driver is NULL afterwards. */
    void (*cancel)(void *arg, struct agent_call *call);
    /* Asks a load under way to make room for another request to its device: it ends with AGENT_PAUSED after the block
     * that is under way, or as it would have anyway. NULL: the port has no such thing. */
    void (*pause)(void *arg, struct agent_call *call);
    /* Begins an observation; the port registers again when it was lost (after Max-Age, a restart of the device, a new
     * security context), until it has ended or unobserve is called, which tells the device. */
    void (*observe)(void *arg, struct agent_observation *observation);
    void (*unobserve)(void *arg, struct agent_observation *observation);
    /* The device listens now: a registration that is due is sent at once; `anew`: also one that is not, since the
     * device was restarted and does not know of it. NULL: the port finds out by itself. */
    void (*refresh)(void *arg, struct agent_observation *observation, bool anew);
    /* 0 when the text is an address that this port can send to; 1 with FAULT_INVALID_FIELD. The canonical form goes to
     * out (CORE_ADDRESS_MAX + 1 bytes). Accepts "host", "host:port", "[v6]:port", "coap://..."; no name look-up, only
     * literal addresses. */
    int (*parse_address)(void *arg, const char *text, char *out, struct fault *fault);
};

/* Where artifacts come from that the gateway does not hold. NULL: from nowhere. */
struct pull_port {
    void *arg;
    /* Begins to fetch one, or goes on. Sets the fault that tells how that stands: FAULT_ARTIFACT_PENDING, or why it
     * failed a moment ago. Not from within does the artifact come. */
    void (*pull)(void *arg, const char *id, struct fault *fault);
};

/* The core's clockwork: called when core_next_deadline may have become earlier, so that the loop arms its timer anew.
 */
struct loop_port {
    void *arg;
    void (*rearm)(void *arg);
};

#endif
