#ifndef TC_STORE_STORE_H
#define TC_STORE_STORE_H

#include "base/cleanup.h"
#include "base/histogram.h"
#include "codec/audit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * SQLite behind one writer thread with group commit. The loop thread fills a batch with typed changes and submits it;
 * the writer commits whatever batches have gathered as one transaction; then `wake` is called from the writer's thread
 * and store_dispatch, on the loop thread, runs the batches' callbacks in the order of submission. A batch is applied as
 * a whole or not at all. Blobs are read by a reader thread, so that nothing here blocks the loop after store_open.
 */

struct store;

struct store_options {
    const char *directory;   /* the state directory; the database is tcgw.db in it, uploads spool below it */
    int synchronous;         /* 1 NORMAL (but FULL for credentials), 2 FULL; FULL is the default */
    int64_t cache_bytes;     /* SQLite page cache of the writer; 0: 2 MiB */
    void (*wake)(void *arg); /* called from other threads when store_dispatch has something to do; must be cheap */
    void *wake_arg;
};

/* Positive results of store_open; each comes with a sentence for the operator. */
enum store_open_error {
    STORE_E_DIRECTORY = 1, /* missing, not a directory, or not writable */
    STORE_E_NEWER,         /* the schema version is newer than this program's */
    STORE_E_CORRUPT,       /* not a database, or PRAGMA quick_check failed */
    STORE_E_LOCKED,        /* another daemon uses the directory */
    STORE_E_IO,
};

/*
 * Opens (and creates, and migrates) the database, checks it, and starts the threads. Unless the result is 0, `reason`
 * (at least 256 bytes) says what is wrong and what to do; negative: out of memory or threads. Creates the directory
 * with mode 0750 when only the last component is missing.
 */
int store_open(struct store **out, const struct store_options *options, char *reason, size_t reason_size) must_check;

/* Whether the database was found to be older than what was done with it, or to be a copy (a backup was put back): all
 * OSCORE credentials in it are "stale" then, durably. */
bool store_is_restored(const struct store *store);

/* Commits what was submitted, runs no further callback, stops the threads, closes. NULL is fine. Returns NULL. */
struct store *store_close(struct store *store);

/* Runs the callbacks of finished batches and reads on the calling (loop) thread. They may submit, read and flush, but
 * not close. */
void store_dispatch(struct store *store);

/* Waits until all that was submitted so far is committed, and runs its callbacks. For shutdown. */
void store_flush(struct store *store);

/* Rows ---------------------------------------------------------------------------------------------------------- */

/* The rows hold what cannot be derived. Enumerations are stored as the names that the core's tables give. Strings are
 * copied by store_batch_*; in a loading callback they live until it returns. Times are wall milliseconds, 0 for never.
 * Strings may be NULL where that says "none". */

/* Bytes of a row; NULL: none. */
struct store_bytes {
    const void *data;
    size_t size;
};

struct store_device {
    const char *id;
    const char *name;
    const char *address;       /* "coap://[fd00::1]:5683" */
    const char *agent;         /* "v1", "v2", "unknown" */
    const char *agent_version; /* what the agent said of itself, or NULL */
    const char *reported_id;   /* what /device-id/ or /tc/id said, or NULL; as text */
    bool agent_configured;     /* a person said so; a probe does not change it */
    uint32_t pdu_size;         /* 0: not known */
    uint32_t slots;            /* 0: not known */
    uint32_t runtimes;         /* bit (1 << container type) */
    uint32_t package_max;      /* bytes; 0: not known */
    uint32_t memory;           /* bytes; 0: not known */
    uint32_t caps_configured;  /* bit per capability that a person set */
    int64_t created, updated, last_seen;
    uint64_t revision;
    const char *groups; /* names with spaces between; NULL: none */
    bool allow_plain;
    uint32_t sleep_s, awake_ms; /* configured: how long it sleeps and listens; 0: not configured */
    const char *observe;        /* paths that the gateway observes, with spaces between; NULL: none */
    const char *labels;         /* JSON object of texts; NULL: none */
};

/* The kind of entry whose body is a pack (codec/pack.h): history is made from these. The other kinds are the core's. */
#define STORE_JOURNAL_TELEMETRY 0
/* The kind whose entries have no row in the journal: readers get them from the audit trail, under their numbers. */
#define STORE_JOURNAL_AUDIT 10

/* One entry of the journal; kind is the core's. */
struct store_journal {
    uint64_t seq;
    int64_t time;       /* wall ms */
    int kind;           /* enum journal_kind */
    const char *device; /* NULL: of none */
    uint64_t origin;    /* of a message; 0: none */
    struct store_bytes body;
};

/* How far a reader of the journal has come. */
struct store_cursor {
    const char *name;
    uint64_t seq;
};

/* An endpoint in the resource directory (core/directory.h). */
struct store_registration {
    uint64_t number;
    const char *ep, *sector, *base, *address;
    const char *device; /* NULL: bound to none */
    uint32_t lifetime;
    int64_t registered, updated; /* wall ms */
    const char *links, *attributes;
};

struct store_group {
    const char *name;
    const char *observe; /* paths with spaces between; NULL: none */
};

/* A cached representation of a device's resource, kept over a restart. */
struct store_representation {
    const char *device;
    const char *key; /* path, query and Accept */
    int format;
    uint32_t max_age;
    int64_t received; /* wall ms */
    struct store_bytes etag, body;
};

/* A record of which there are few and that is changed seldom, as JSON text: a publisher, a release, a policy, ... */
struct store_document {
    const char *kind; /* "publisher", ...: of the core */
    const char *key;  /* within its kind */
    const char *body;
};

/* The highest sequence number that a device has taken of a component: what it must not fall behind. */
struct store_sequence {
    const char *device, *component;
    uint64_t highest;
};

/* A batch that a sink gave up. */
struct store_dead_letter {
    const char *sink;
    uint64_t first, last; /* numbers of its entries; first is the key beside the sink */
    int64_t time;         /* wall ms */
    const char *reason;
    uint32_t attempts;
    struct store_bytes body; /* as it was sent */
};

struct store_credential {
    const char *device;
    uint64_t number;
    const char *kind;
    const char *state;
    int algorithm;            /* COSE; 0: none */
    const char *sender_id;    /* hex, the gateway's */
    const char *recipient_id; /* hex */
    const char *id_context;   /* hex; NULL: none, which is not the same as an empty one */
    const char *identity;
    const char *fingerprint; /* hex */
    struct store_bytes sealed;
    uint64_t reserved; /* sequence numbers below may have been used */
    uint64_t window_highest;
    uint32_t window_seen;
    bool window_known; /* counts only after a clean stop */
    int64_t created, first_used;
};

/* The mark of an OSCORE context that was in use here at some time. */
struct store_context {
    const char *mark; /* hex */
};

/* A text by a name. */
struct store_meta {
    const char *key;
    const char *value;
};

struct store_shadow {
    const char *device;
    const char *kind;
    int format;
    uint64_t revision;
    int64_t updated;
    struct store_bytes body; /* loading gives the size only */
};

struct store_artifact {
    const char *id; /* 64 hex digits */
    const char *name;
    const char *manifest; /* canonical JSON text that the id is the SHA-256 of */
    uint64_t code_size, data_size;
    int64_t created, used;
    bool pinned;
    uint64_t memory, memory_max; /* bytes; 0: not known */
};

struct store_container {
    const char *device;
    const char *uid;
    const char *desired_state;
    const char *desired_artifact; /* NULL: none */
    const char *reported_state;
    const char *reported_artifact; /* what was last loaded; NULL: none */
    const char *load;              /* "none", "sent", "done" */
    const char *fault;             /* slug of the last fault, NULL: none */
    const char *fault_detail;
    int64_t created, updated, reported;
    uint64_t revision;
    const char *desired_release;   /* "name@version" that desired_artifact was picked from; NULL: none */
    const char *loaded_release;    /* that the device took last; NULL: none */
    const char *sent_release;      /* of a load whose outcome is not known; NULL: of none */
    const char *service;           /* that wants it; NULL: a person or the platform itself does */
    const char *needs;             /* uids that have to run before, with spaces between; NULL: none */
    struct store_bytes parameters; /* in place of the artifact's data; NULL: the artifact's own */
    const char *loaded_parameters; /* SHA-256 of those that the device has; NULL: none */
    bool rollback;                 /* a lower sequence number is wanted */
    uint32_t attempts;             /* that failed in a row */
    int64_t attempted, retry;      /* wall ms of the last one and of the next; retry 0: none is planned */
    uint64_t manifest;             /* SUIT: number of the one that the device took; 0: none */
    uint64_t manifest_sent;        /* and of the one that was sent since */
    const char *transfer;          /* artifact whose transfer to the device has begun and not ended; NULL: none */
    uint64_t transfer_done, transfer_total; /* bytes of its package that the device has acknowledged, of so many */
    int64_t transfer_started;               /* wall ms */
    uint32_t transfer_breaks;               /* how often it was broken off */
    uint32_t transfer_block;                /* bytes of a block to go on with; 0: the largest */
};

struct store_operation {
    const char *id;
    const char *kind;
    const char *state;
    const char *device;
    const char *uid;      /* NULL for operations on the device itself */
    const char *artifact; /* NULL: none */
    const char *step;
    const char *fault;
    const char *fault_detail;
    const char *result; /* JSON text, NULL: none */
    int64_t created, started, ended, expires;
    struct store_bytes request; /* of a request to a resource, until it has ended */
};

/* An answer that is kept for a repeated Idempotency-Key. */
struct store_answer {
    const char *key;
    const char *digest; /* of the request: method, path, body */
    int status;
    const char *location; /* NULL: none */
    const char *body;
    int64_t created;
};

/* Each is called once per row, in a stable order (by key, which puts operations oldest first;
 * answers by time). Return 0 to go on. */
struct store_loader {
    int (*meta)(void *arg, const struct store_meta *row);
    int (*device)(void *arg, const struct store_device *row);
    int (*artifact)(void *arg, const struct store_artifact *row);
    int (*container)(void *arg, const struct store_container *row);
    int (*operation)(void *arg, const struct store_operation *row);
    int (*answer)(void *arg, const struct store_answer *row);
    int (*credential)(void *arg, const struct store_credential *row);
    int (*context)(void *arg, const struct store_context *row);
    int (*shadow)(void *arg, const struct store_shadow *row);
    int (*cursor)(void *arg, const struct store_cursor *row);
    int (*registration)(void *arg, const struct store_registration *row);
    int (*group)(void *arg, const struct store_group *row);
    int (*representation)(void *arg, const struct store_representation *row);
    int (*dead_letter)(void *arg, const struct store_dead_letter *row);
    int (*document)(void *arg, const struct store_document *row);
    int (*sequence)(void *arg, const struct store_sequence *row);
    /* The newest entries (without bodies), oldest first: those taken in at journal_since (wall ms) or later, and at
     * most journal_span (ms) before the last one, since the clock may have been set back; at least the last one. */
    int (*journal)(void *arg, const struct store_journal *row);
    int64_t journal_since, journal_span;
    void *arg;
};

/* Reads all rows on the calling thread, as they were when it began. NULL callbacks are skipped.
 * Returns 0, a callback's non-zero result, or negative on a read error. */
int store_load(struct store *store, const struct store_loader *loader) must_check;

/* Changes ------------------------------------------------------------------------------------------------------- */

struct store_batch;

/* 0: durable. Otherwise nothing of the batch was applied: -ENOSPC when the disk is full, -EIO for any other error. */
typedef void (*store_done_fn)(void *arg, int result);

/* NULL only when out of memory; errors while filling are sticky and come out of store_submit's callback. */
struct store_batch *store_batch_new(void);
struct store_batch *store_batch_free(struct store_batch *batch); /* for one that is not submitted; returns NULL */

void store_batch_put_device(struct store_batch *batch, const struct store_device *row);
/* And its containers, operations, sequence numbers, credentials, shadows, registrations, representations and telemetry.
 */
void store_batch_delete_device(struct store_batch *batch, const char *id);
/* A part is stored once, however many artifacts have it. */
struct store_part {
    const char *path;   /* of the spool file with its content; the file stays the caller's. NULL: no such part */
    const char *digest; /* SHA-256, 64 hex digits */
};
void store_batch_put_artifact(struct store_batch *batch, const struct store_artifact *row,
                              const struct store_part *code, const struct store_part *data);
void store_batch_keep_artifact(struct store_batch *batch, const char *id, bool pinned, int64_t used);
void store_batch_delete_artifact(struct store_batch *batch, const char *id);
void store_batch_put_container(struct store_batch *batch, const struct store_container *row);
void store_batch_delete_container(struct store_batch *batch, const char *device, const char *uid);
void store_batch_put_operation(struct store_batch *batch, const struct store_operation *row);
void store_batch_delete_operation(struct store_batch *batch, const char *id);
void store_batch_put_answer(struct store_batch *batch, const struct store_answer *row);
void store_batch_delete_answers_before(struct store_batch *batch, int64_t created);

void store_batch_put_meta(struct store_batch *batch, const struct store_meta *row); /* value NULL: deleted */
void store_batch_put_credential(struct store_batch *batch, const struct store_credential *row);
void store_batch_delete_credential(struct store_batch *batch, const char *device, uint64_t number);
void store_batch_put_context(struct store_batch *batch, const struct store_context *row);
void store_batch_put_shadow(struct store_batch *batch, const struct store_shadow *row);
void store_batch_delete_shadow(struct store_batch *batch, const char *device, const char *kind);
/* Parts of a credential's row; nothing happens when it is not there. */
void store_batch_set_credential_state(struct store_batch *batch, const char *device, uint64_t number, const char *state,
                                      int64_t first_used);
void store_batch_reserve(struct store_batch *batch, const char *device, uint64_t number, uint64_t reserved);
void store_batch_set_window(struct store_batch *batch, const char *device, uint64_t number, bool known,
                            uint64_t highest, uint32_t seen);
/* Another ID Context, numbers anew, no window. */
void store_batch_renew_credential(struct store_batch *batch, const char *device, uint64_t number, const char *state,
                                  const char *id_context, uint64_t reserved);
void store_batch_distrust_contexts(struct store_batch *batch); /* state "stale", no window, for all of OSCORE */

void store_batch_add_journal(struct store_batch *batch, const struct store_journal *row);
void store_batch_put_cursor(struct store_batch *batch, const struct store_cursor *row);
void store_batch_delete_cursor(struct store_batch *batch, const char *name);
void store_batch_put_registration(struct store_batch *batch, const struct store_registration *row);
void store_batch_delete_registration(struct store_batch *batch, uint64_t number);
void store_batch_put_group(struct store_batch *batch, const struct store_group *row);
void store_batch_delete_group(struct store_batch *batch, const char *name);
void store_batch_put_representation(struct store_batch *batch, const struct store_representation *row);
void store_batch_delete_representation(struct store_batch *batch, const char *device,
                                       const char *key); /* key NULL: all */
void store_batch_put_document(struct store_batch *batch, const struct store_document *row);
void store_batch_delete_document(struct store_batch *batch, const char *kind, const char *key);
/* Never below what is there. */
void store_batch_raise_sequence(struct store_batch *batch, const struct store_sequence *row);
void store_batch_put_sequence(struct store_batch *batch, const struct store_sequence *row); /* whatever is there */
void store_batch_put_dead_letter(struct store_batch *batch, const struct store_dead_letter *row);
void store_batch_delete_dead_letter(struct store_batch *batch, const char *sink, uint64_t first);

/* An entry of the audit trail (codec/audit.h), whose hash the store computes: entries follow each other in the order in
 * which their batches are committed. */
void store_batch_add_audit(struct store_batch *batch, uint64_t seq, int64_t time, const char *body);
void store_batch_add_anchor(struct store_batch *batch, const struct audit_anchor *anchor);
void store_batch_trim_audit(struct store_batch *batch, uint64_t seq); /* entries up to it, and anchors but its base */

/* Takes the batch over. done (may be NULL) is called from store_dispatch or store_flush, never from here. */
void store_submit(struct store *store, struct store_batch *batch, store_done_fn done, void *arg);

/* Blobs --------------------------------------------------------------------------------------------------------- */

struct store_blobs {
    uint8_t *code;
    size_t code_size;
    uint8_t *data;
    size_t data_size;
};

/* result: 0 (the callee owns and frees code and data), -ENOENT, -EIO, -ENOMEM. */
typedef void (*store_blobs_fn)(void *arg, int result, struct store_blobs *blobs);

/* Reads an artifact's parts off the loop; the callback comes from store_dispatch. 0, or -ENOMEM when it will not. */
int store_read_blobs(struct store *store, const char *artifact_id, store_blobs_fn done, void *arg) must_check;

/* result: 0, -ENOENT, -EIO, -ENOMEM; the row lives until the callback returns. */
typedef void (*store_shadow_fn)(void *arg, int result, const struct store_shadow *row);

/* Reads a shadow document off the loop, as store_read_blobs. */
int store_read_shadow(struct store *store, const char *device, const char *kind, store_shadow_fn done,
                      void *arg) must_check;

/* Journal ------------------------------------------------------------------------------------------------------- */

struct store_journal_page {
    size_t count;
    const struct store_journal *rows;
    uint64_t first_kept; /* the oldest number that is kept now; what was asked for below it is gone */
    uint64_t gone;       /* about how many entries after `after` are gone */
};
/* result 0, -EIO, -ENOMEM; the page lives until the callback returns. */
typedef void (*store_journal_fn)(void *arg, int result, const struct store_journal_page *page);
/* Reads the entries that follow `after`, off the loop, at most `max` and about max_bytes. As store_read_blobs. */
int store_read_journal(struct store *store, uint64_t after, size_t max, size_t max_bytes, store_journal_fn done,
                       void *arg) must_check;

/* Audit trail ----------------------------------------------------------------------------------------------------- */

/* The last entry that is durable; seq 0: there is none, hash is of zeros. */
void store_get_audit_head(const struct store *store, uint64_t *seq, uint8_t hash[AUDIT_HASH_SIZE]);

struct store_audit {
    uint64_t seq;
    const char *body;
    size_t size;
    uint8_t hash[AUDIT_HASH_SIZE];
};
struct store_audit_page {
    size_t count, anchor_count;
    const struct store_audit *rows;
    const struct audit_anchor *anchors; /* of the numbers that follow `after`, up to that of the last row */
    bool more;
};
typedef void (*store_audit_fn)(void *arg, int result, const struct store_audit_page *page);
/* As store_read_journal. */
int store_read_audit(struct store *store, uint64_t after, size_t max, store_audit_fn done, void *arg) must_check;

/* What may go: all but the newest `keep` entries (no time counts, for a clock may be wrong). Up to the last one of them
 * the trail is verified against its own hashes. *last: what a base is to be made of, seq 0: nothing goes. result
 * -EBADMSG: the trail does not verify. */
typedef void (*store_audit_floor_fn)(void *arg, int result, const struct audit_anchor *last);
int store_find_audit_floor(struct store *store, uint64_t keep, store_audit_floor_fn done, void *arg) must_check;

/* Figures ------------------------------------------------------------------------------------------------------- */

struct store_stats {
    uint64_t batches, commits, failed_commits;
    struct histogram commit_us;  /* how long transactions took, with what waits for the disk */
    struct histogram waiting_us; /* from the submission of a batch to its end */
    struct histogram group;      /* batches of a transaction */
    uint64_t pending;            /* batches that wait or are being written */
    uint64_t file_bytes;         /* database and WAL */
    int schema_version;
};

void store_get_stats(const struct store *store, struct store_stats *out);

#endif
