#ifndef TC_CORE_CACHE_PRIVATE_H
#define TC_CORE_CACHE_PRIVATE_H

#include "core/cache.h"
#include "core/internal.h"

/* What the files of the cache share. */

#define CACHE_KEY_SIZE 2304 /* a read whose key is longer is not kept */

/* What is known of a resource. */
struct cache_entry {
    struct device *device;
    struct list node; /* cache->entries */
    uint8_t code;
    int format;
    uint32_t max_age; /* s */
    uint8_t etag[8], etag_size;
    uint8_t *body;
    size_t body_size;
    int64_t received; /* monotonic ms; before the gateway's start for one of an earlier run */
    bool outdated;    /* no longer fresh, whatever its age */
    bool changed;     /* differs from its row */
    bool stored;      /* has a row */
    UT_hash_handle hh;
    char key[]; /* Accept, path and query */
};

/* Of a device. */
struct cache_entries {
    struct cache_entry *table; /* uthash by key */
    bool pruned;               /* has rows of entries that are gone */
};

struct cache {
    struct core *core;
    struct list entries; /* the least recently used first */
    struct timer timer;  /* when the rows are written */
    struct cache_stats stats;
    struct agent_response shown; /* the response of the last answer */
};

/* "ACCEPT PATH?QUERY", with percent escapes in one spelling; false when it is too long. */
bool cache_make_key(const char *path, const char *query, int accept, char key[CACHE_KEY_SIZE]) must_check;
struct cache_entry *cache_find(const struct device *device, const char *key);
/* A new entry, or one that is replaced, the most recently used; NULL when it is too large to be kept. */
struct cache_entry *cache_put(struct device *device, const char *key, const struct agent_response *response);
void cache_save_later(struct cache *cache); /* cache_row.c */
void cache_save_timer(struct timer *timer);

#endif
