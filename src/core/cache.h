#ifndef TC_CORE_CACHE_H
#define TC_CORE_CACHE_H

#include "core/core.h"

/*
 * Reads of device resources through the cache: the last known representation of each (device, path, query, Accept) with
 * its format, ETag, Max-Age and age (RFC 7252 section 5.6, RFC 8075). Bounded by limits.cache; the least recently used
 * goes first.
 */

enum cache_status {                    /* RFC 9211 */
                    CACHE_HIT,         /* fresh: the device was not asked */
                    CACHE_REVALIDATED, /* the device said that it is still the same (2.03) */
                    CACHE_STALE,       /* the caller allowed it, and the device sleeps or does not answer */
                    CACHE_MISS,        /* read from the device */
                    CACHE_BYPASS,      /* no-store, or nothing that is kept */
};

struct cache_control {
    bool no_cache; /* ask the device */
    bool no_store; /* and keep nothing */
    bool only_if_cached;
    bool allow_stale;   /* max-stale, or stale-if-error */
    uint32_t max_stale; /* s; UINT32_MAX: any */
    uint32_t max_age;   /* s; UINT32_MAX: any */
    uint32_t min_fresh; /* s */
};

struct cache_answer {
    struct fault fault; /* FAULT_NONE: there is a response */
    enum cache_status status;
    const struct agent_response *response;
    uint32_t age;      /* s */
    int64_t fresh_for; /* s that are left, negative for a stale one */
    bool collapsed;    /* shared the exchange of another reader */
};
typedef void (*cache_fn)(void *arg, const struct cache_answer *answer);

/* Answers a GET at once when that takes no exchange: with what is fresh enough, with what is stale when the caller
 * allows that and the device sleeps or is offline, or with FAULT_NOT_CACHED (504) for only_if_cached. The response
 * lives until control goes back to the loop. False: the device has to be asked. */
bool core_find_cached(struct core *core, struct device *device, const struct agent_resource *request,
                      const struct cache_control *control, struct cache_answer *answer) must_check;
/* Asks the device, with the ETag of what is kept. As core_request_resource; concurrent reads of the same share one
 * exchange. FAULT_DEVICE_ASLEEP when it sleeps and is not expected within the timeout. */
int core_get_resource(struct core *core, struct device *device, const struct agent_resource *request,
                      const struct cache_control *control, uint32_t timeout_ms, cache_fn done, void *arg,
                      struct fault *fault) must_check;
/* The Content-Format that a resource has by what is kept of it, or by its link; -1: not known. */
int core_known_format(const struct device *device, const char *path, const char *query);
/* The device at an address ("coap://[fd00::1]"), for /hc. FAULT_UNKNOWN_HOST; `any`: another address is a host for the
 * time of a request. */
int core_find_host(struct core *core, const char *address, bool any, struct device **out,
                   struct fault *fault) must_check;
/* A request that changed something was answered: what it may have changed is no longer fresh (RFC 7252 section 5.6),
 * which is the path, what is above and what is below it. NULL: all of the device. */
void cache_invalidate(struct device *device, const char *path);
/* A notification of an observed resource: fresh for its Max-Age. */
void cache_store(struct device *device, const char *path, const char *query, int accept,
                 const struct agent_response *response);
void cache_forget(struct device *device);

struct cache_stats {
    uint64_t hits, revalidated, stale, misses, collapsed, evicted, entries, bytes;
    struct histogram age_ms; /* of what was answered without a new representation from the device */
};
void core_get_cache_stats(const struct core *core, struct cache_stats *out);

/* Observations that the gateway holds by itself: what devices and groups are configured to be observed, plus what
 * streams need (core_observe_resource shares one observation per resource). */
#define WATCH_PATHS_MAX 16

/* Groups: what holds for the devices in it. {"name", "observe": ["/path", ...], "devices": N}; a group exists as soon
 * as a device is in it or it has settings. */
json_t *core_groups_json(struct core *core);
json_t *core_group_json(struct core *core, const char *name); /* NULL: no such group, or out of memory */
int core_put_group(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                   struct fault *fault) must_check;
int core_remove_group(struct core *core, const char *name, core_done_fn done, void *arg,
                      struct fault *fault) must_check;
/* The observations of a device: [{"path", "state": "observing"|"refused"|"lost"|..., "since", "notifications",
 * "fault"}] */
json_t *core_observations_json(const struct device *device);

struct watch_stats {
    uint64_t observing, waiting; /* now */
    uint64_t notifications;
};
void core_get_watch_stats(const struct core *core, struct watch_stats *out);

#endif
