#ifndef TC_CORE_DOCUMENT_H
#define TC_CORE_DOCUMENT_H

#include "core/core.h"

/*
 * Records of which there are few and that change seldom: publishers, releases, policies, services, ... Each is the JSON
 * that a person wrote, in canonical form, and what its kind makes of that. Keys are unique within a kind. One that
 * could not be made durable is undone.
 */

enum document_kind {
    DOCUMENT_PUBLISHER,
    DOCUMENT_RELEASE,
    DOCUMENT_POLICY,
    DOCUMENT_SERVICE,
    DOCUMENT_LINK,
    DOCUMENT_ROLLOUT,
    DOCUMENT_ROLLOUT_DEVICE,
    DOCUMENT_TENANT,
    DOCUMENT_GRANT,
    DOCUMENT_TOKEN,
    DOCUMENT_EMERGENCY_STOP,
    DOCUMENT_QUARANTINE,
    DOCUMENT_BUDGET,
    DOCUMENT_KIND_COUNT
};

/* A kind's functions; each may be NULL. The table is in document.c. */
struct document_class {
    const char *name; /* as rows and events have it; NULL: there is no such kind (yet) */
    size_t max;       /* documents of it */
    /* One that cannot be read at the start stays, with object NULL, until it is set anew or removed: without it more
     * would be allowed, or things would be taken away. The others are skipped. */
    bool keep_damaged;
    /* Checks a body, makes what the kind works with of it (*object) and may bring the body into canonical form. Also of
     * stored ones. 0; 1 with a fault; negative. */
    int (*parse)(struct core *core, const char *key, json_t *body, void **object, struct fault *fault);
    void (*free)(void *object);
    /* It was set, removed, or that was undone; document_find tells what is there now. Not while loading. */
    void (*changed)(struct core *core, const char *key);
    /* Of a kind that keeps its rows itself: takes one at the start, and nothing else here is for it. */
    int (*load)(struct core *core, const struct store_document *row);
};

struct document {
    json_t *body;
    void *object;      /* NULL: what was stored cannot be read (keep_damaged) */
    UT_hash_handle hh; /* hh.next: the next of its kind */
    char key[];
};

struct document *document_find(const struct core *core, enum document_kind kind, const char *key); /* or NULL */
/* The first in the order of keys; NULL: there is none. */
struct document *document_first(struct core *core, enum document_kind kind);
size_t document_count(const struct core *core, enum document_kind kind);

/* Sets it; the body stays the caller's. FAULT_LIMIT_REACHED and the faults of its parse. */
int document_put(struct core *core, enum document_kind kind, const char *key, const json_t *body, core_done_fn done,
                 void *arg, struct fault *fault) must_check;
int document_remove(struct core *core, enum document_kind kind, const char *key, core_done_fn done, void *arg,
                    struct fault *fault) must_check; /* FAULT_NOT_FOUND */

/* A callback of the store's loader. */
int document_load(void *core, const struct store_document *row);
void documents_free(struct core *core);

#endif
