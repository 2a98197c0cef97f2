#ifndef TC_CORE_DIRECTORY_PRIVATE_H
#define TC_CORE_DIRECTORY_PRIVATE_H

#include "core/directory.h"
#include "core/internal.h"

/* What the files of the resource directory share. */

#define DIRECTORY_ATTRIBUTES_MAX 255    /* bytes of further parameters */
#define DIRECTORY_PER_DEVICE 4          /* entries bound to one device */
#define DIRECTORY_HINT_BYTES (8u << 20) /* of links of all hints */
#define DIRECTORY_FETCHES 16            /* simple registrations of strangers under way */

struct directory_host;

struct directory_entry {
    struct registration r;
    struct core *core;
    struct timer timer;           /* for r.expires */
    struct directory_entry *next; /* of the same device */
    struct directory_host *host;  /* that a hint is counted by; NULL: it is bound */
    size_t links_size;
    int64_t saved;   /* r.updated in its row; 0: it has none */
    unsigned writes; /* commits under way */
    bool durable;    /* one has succeeded */
    bool removing;   /* hidden; its removal is being committed */
    char key[2 * DIRECTORY_EP_MAX + 2];
    UT_hash_handle by_number, by_name;
};

struct directory {
    struct directory_entry *by_number, *by_name; /* uthash; by_number is in the order of numbers */
    struct directory_host *hosts;                /* uthash by address without its port */
    uint64_t last_number;
    size_t hint_bytes;
    int64_t tokens_at; /* monotonic ms at which the bucket for hints was full */
    struct list fetches;
    unsigned fetch_count;
    struct directory_stats stats;
};

/* Parameters of a registration or update (directory_query.c). */
struct registration_query {
    bool has_ep, has_sector, has_base, has_lifetime;
    char ep[DIRECTORY_EP_MAX + 1], sector[DIRECTORY_EP_MAX + 1], base[DIRECTORY_BASE_MAX + 1];
    uint32_t lifetime;
    char attributes[DIRECTORY_ATTRIBUTES_MAX + 1]; /* as they came, "et=x&sleep=60" */
};
/* Positive with FAULT_INVALID_PARAMETER. */
int registration_query_read(struct registration_query *out, const char *query, struct fault *fault) must_check;
/* The next "name=value" of a query; false at its end. The value is decoded; *value NULL: it has none; out->bad: it is
 * too long, or nothing that may stand in link format. */
struct query_piece {
    const char *name;
    size_t name_size;
    const char *raw; /* the whole piece */
    size_t raw_size;
    bool has_value, bad;
    char value[256];
};
bool query_next(const char **query, struct query_piece *out);
bool query_piece_is(const struct query_piece *piece, const char *name);
/* The old attributes, and the new ones in place of those with their names; false when they are too long. */
bool attributes_merge(char out[DIRECTORY_ATTRIBUTES_MAX + 1], const char *old, const char *new) must_check;
/* The number that an attribute is, between min and max; 0: it is absent, or none. */
uint32_t attributes_get(const char *attributes, const char *name, uint32_t max);

/* 0, or positive with FAULT_INVALID_FIELD or FAULT_BODY_TOO_LARGE. */
int directory_check_links(const char *links, size_t size, struct fault *fault) must_check;
/* The base URI that its links are resolved with. */
const char *registration_base(const struct registration *registration);

/* directory_table.c */
struct directory_entry *entry_find(const struct core *core, uint64_t number); /* those being removed, too */
struct directory_entry *entry_find_key(const struct core *core, const char *key);
void entry_make_key(char key[2 * DIRECTORY_EP_MAX + 2], const char *ep, const char *sector);
size_t entries_count(const struct core *core);
unsigned entries_hints_at(const struct core *core, const char *address); /* whatever its port */
bool entry_is_hint(const struct directory_entry *entry);
bool entry_is_hint_at(const struct directory_entry *entry, const char *address);
struct device *entry_device(const struct directory_entry *entry); /* that it is bound to and that is there, or NULL */
/* A new one with a number, bound to nobody yet. NULL: out of memory. */
struct directory_entry *entry_add(struct core *core, const char *ep, const char *sector);
/* Puts it where it belongs now (owner NULL: a hint) and in front of the others there. -ENOMEM: it is counted nowhere.
 */
int entry_bind(struct directory_entry *entry, struct device *owner, const char *address);
void entry_leave_host(struct directory_entry *entry); /* before its links change */
void entry_drop(struct directory_entry *entry);
/* Drops it, and says so to the presence of its device when it was the last one (PRESENCE_HEARD: says nothing). */
void entry_end(struct directory_entry *entry, enum presence_event event);
void entry_batch_end(struct store_batch *batch, const struct directory_entry *entry, const char *reason);
void entries_tell_presence(struct device *device);

#endif
