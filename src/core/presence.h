#ifndef TC_CORE_PRESENCE_H
#define TC_CORE_PRESENCE_H

#include "core/core.h"

/*
 * Whether devices are there. Derived from what was heard and what failed since the gateway started (on the monotonic
 * clock, so that a wall clock that is set does not matter); a stored row never makes a device online.
 */

#define SLEEP_MAX_S (45 * 86400) /* what a device may say or be configured with */
#define AWAKE_MAX_MS 3600000

enum presence_state {
    PRESENCE_UNKNOWN, /* nothing was heard or tried since the gateway's start */
    PRESENCE_ONLINE,  /* heard lately, and nothing failed since */
    PRESENCE_ASLEEP,  /* it sleeps by what it told or a person configured, and is expected back */
    PRESENCE_LATE,    /* expected before now, not given up yet; or one exchange failed */
    PRESENCE_OFFLINE, /* given up: its lifetime ended, exchanges failed, or it is overdue for long; or it said goodbye
                       */
    PRESENCE_STATE_COUNT
};

const char *presence_state_name(enum presence_state state);

struct presence {
    enum presence_state state;
    int64_t since;      /* wall ms of the change to it; 0: never changed since the start */
    int64_t heard;      /* wall ms of the last authentic message, also of earlier runs; 0: never */
    int64_t expected;   /* wall ms when it is expected at the latest (wake-up, registration update); 0: not known */
    const char *reason; /* a static sentence: "registered", "answered", "registration expired", "no answer", ... */
    bool sleepy;        /* it sleeps between its messages */
    uint32_t sleep_s;   /* how long at most, 0: not known */
    uint32_t awake_ms;  /* how long it listens after a message of its own; 0: the configured default */
};
struct presence core_presence(const struct device *device);
/* The device is listening now, as far as one can tell: one that does not sleep, or within its awake window. Operations
 * and queries are sent only then; of a sleeping device they wait (with their time to live). */
bool device_is_awake(const struct device *device);

/* From its name; PRESENCE_STATE_COUNT for none. */
enum presence_state presence_state_from_name(const char *name);
/* How many devices are in each state. */
void core_count_presence(const struct core *core, size_t counts[PRESENCE_STATE_COUNT]);

/* What other files of the core call. Nothing counts of a device that has no credentials and may not be used without:
 * anybody could say it. */
enum presence_event {
    PRESENCE_HEARD,      /* an authentic message of its own, or an answer (device_seen) */
    PRESENCE_FAILED,     /* an exchange had no answer, or it could not be reached */
    PRESENCE_REGISTERED, /* in the directory, or it updated that: expected within the lifetime */
    PRESENCE_EXPIRED,    /* its lifetime in the directory ended */
    PRESENCE_LEFT,       /* it removed its registration */
};
/* A sleeping device that wakes up is pumped (device_pump) from the loop after PRESENCE_HEARD. */
void presence_note(struct device *device, enum presence_event event);
/* Until when it is registered, monotonic ms; 0: it is not. Says nothing of its being there. */
void presence_set_lifetime(struct device *device, int64_t expires);
/* What a registration said of its sleep; sleep_s 0: it does not sleep. What a person configured goes before. */
void presence_set_sleep(struct device *device, uint32_t sleep_s, uint32_t awake_ms);
/* After what a person configured has changed, and at the start: a device that sleeps is expected from now on. */
void presence_reconsider(struct device *device);
void presence_free(struct device *device);

#endif
