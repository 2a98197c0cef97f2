#ifndef TC_CORE_JOURNAL_H
#define TC_CORE_JOURNAL_H

#include "codec/telemetry.h"
#include "core/model.h"
#include "store/store.h"

#include <jansson.h>

/*
 * The one ordered journal: each telemetry message and each change of state is an entry with a sequence number. An entry
 * is written in the same batch as the change that it tells of, and readers see it when that is durable, in the order of
 * the numbers. Numbers grow; some are never used (a change that could not be committed). Loop thread only.
 */
struct core;

enum journal_kind {
    JOURNAL_TELEMETRY, /* one message of a device: 1 or more records */
    JOURNAL_DEVICE,    /* added, changed, removed, moved to another address, registered */
    JOURNAL_PRESENCE,
    JOURNAL_CONTAINER,
    JOURNAL_OPERATION,
    JOURNAL_ARTIFACT,
    JOURNAL_SECURITY, /* enrolled, rotated, revoked, attacks noticed, join window, distrust */
    JOURNAL_RESOURCE, /* a representation that was observed, and no telemetry */
    JOURNAL_GATEWAY,  /* started, stopping, storage full and well again, sinks connected and lost */
    JOURNAL_ROLLOUT,  /* begun, paused, a wave done, ended; publishers, releases, policies and services changed */
    JOURNAL_AUDIT,    /* who did what (audit.h); readers get these only when they ask for the kind */
    JOURNAL_KIND_COUNT
};

const char *journal_kind_name(enum journal_kind kind);
enum journal_kind journal_kind_from_name(const char *name); /* JOURNAL_KIND_COUNT: no such kind */

/* An entry as readers get it. Everything is good until control goes back to the loop, or the reader's next call. */
struct journal_entry {
    uint64_t seq;
    int64_t time; /* wall ms of when it was taken in */
    enum journal_kind kind;
    const char *device; /* id; empty: of none */
    const void *body;   /* JOURNAL_TELEMETRY: a pack (codec/pack.h); else the JSON text of an object */
    size_t size;
    struct journal_node *node; /* the journal's own */
};

/* Writers --------------------------------------------------------------------------------------------------------- */

/* Adds an entry to the batch that the change itself is in; `data` (an object with "event" and what belongs to it; taken
 * over, NULL counts as out of memory) is its body. device NULL: of none. A batch that holds entries goes to
 * journal_submit in place of store_submit, or to journal_free_batch, before control goes back to the loop. Without
 * memory the entry is left out, and a log line says so: the change is worth more than its report. Returns its number;
 * 0: it was left out. */
uint64_t journal_add(struct core *core, struct store_batch *batch, enum journal_kind kind, const char *device,
                     json_t *data);
/* The number of the entry that is added next. */
uint64_t journal_next_number(const struct core *core);
/* An entry of the audit trail, whose row the trail has: the journal keeps no second one. The text (copied) is the
 * trail's, with "seq", "time" (wall ms) and "device". False: out of memory, and the batch does not hold it. */
bool journal_add_audit(struct core *core, struct store_batch *batch, const char *device, int64_t time,
                       const char *text) must_check;
/* The same with bytes (copied) and the origin of the message (0: none), for telemetry. Returns its number; 0: out of
 * memory, and the batch does not hold it. */
uint64_t journal_add_pack(struct core *core, struct store_batch *batch, const char *device, const void *pack,
                          size_t size, uint64_t origin);
/* An entry for what has no row of its own; nobody waits. */
void journal_note(struct core *core, enum journal_kind kind, const char *device, json_t *data);
void journal_submit(struct core *core, struct store_batch *batch, store_done_fn done, void *arg);
/* A batch that is not submitted: its entries never were. */
void journal_free_batch(struct core *core, struct store_batch *batch);

/* Readers --------------------------------------------------------------------------------------------------------- */

struct journal_filter {
    uint32_t kinds;     /* bits (1 << enum journal_kind); 0: all but JOURNAL_AUDIT */
    const char *device; /* NULL: any; copied */
    const char *group;  /* NULL: any; devices that are in it now; copied */
    const char *tenant; /* NULL or "": the whole gateway; entries of the tenant's devices only; copied */
    const char *name;   /* telemetry: only messages with a record of this name, "x*" for a prefix; NULL: any; copied */
};

struct journal_reader;

#define JOURNAL_FROM_NOW UINT64_MAX

/* A reader of what follows the number `after` (0: all that is kept). `ready` is called from the loop (never from within
 * a call here) when there may be something after journal_read said that there is not. NULL: out of memory. */
struct journal_reader *core_open_journal(struct core *core, uint64_t after, const struct journal_filter *filter,
                                         void (*ready)(void *arg), void *arg);
enum journal_result {
    JOURNAL_ENTRY,   /* *entry is the next one that the filter lets pass */
    JOURNAL_WAIT,    /* none now (the end, or older ones are being read from the disk): ready will be called */
    JOURNAL_MISSING, /* some were not kept until they were read: *missing, about how many; then it goes on */
    JOURNAL_FAILED,  /* the database cannot be read, or there is no memory; ready will be called later */
};
enum journal_result journal_read(struct journal_reader *reader, struct journal_entry *entry,
                                 uint64_t *missing) must_check;
/* Has the entry that was read last be the next one again. */
void journal_step_back(struct journal_reader *reader);
/* Whether all that is there was read: what JOURNAL_WAIT waits for does not exist yet. */
bool journal_is_at_end(const struct journal_reader *reader);
/* The number that all up to it were read or filtered out: what a cursor is. */
uint64_t journal_position(const struct journal_reader *reader);
void journal_seek(struct journal_reader *reader, uint64_t after);
struct journal_reader *journal_close(struct journal_reader *reader); /* NULL is fine; returns NULL */

/* The text of an entry, one for all who read it: {"seq", "time", "kind", "device", ...body...} for a change;
 * {"seq", "time", "kind": "telemetry", "device", "records": [{"name", "unit", "time", "value", "sum", "flags"...}]} for
 * telemetry. NULL: out of memory. Good as the entry is. */
const char *journal_entry_json(struct core *core, const struct journal_entry *entry, size_t *size);

/* Cursors that outlive a restart, by name (of a sink). What they have not passed is kept as long as journal.max_size
 * allows. Saved with the next commit, at the latest after a second; durable is what a crash leaves. */
uint64_t core_find_cursor(const struct core *core, const char *name); /* JOURNAL_FROM_NOW: there is none */
void core_save_cursor(struct core *core, const char *name, uint64_t seq);
void core_drop_cursor(struct core *core, const char *name);
/* Drops all that `keep` says no to: what nobody reads on holds nothing back. */
void core_keep_cursors(struct core *core, bool (*keep)(void *arg, const char *name), void *arg);

struct journal_stats {
    uint64_t first, last;                 /* numbers that are kept (durable); last 0: none */
    uint64_t bytes;                       /* of bodies that are kept, about */
    uint64_t memory;                      /* bytes of entries in memory */
    uint64_t readers;                     /* open now */
    uint64_t entries[JOURNAL_KIND_COUNT]; /* since the start */
    uint64_t missing;                     /* entries that readers did not get, since the start */
};
void core_get_journal_stats(const struct core *core, struct journal_stats *out);

#endif
