#ifndef TC_STORE_PRIVATE_H
#define TC_STORE_PRIVATE_H

#include "base/list.h"
#include "codec/audit.h"
#include "store/arena.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

/* What the files of the store share. */

/* The kinds of rows; each is also the number of the statement that puts one. */
enum record_kind {
    RECORD_META,
    RECORD_DEVICE,
    RECORD_ARTIFACT,
    RECORD_CONTAINER,
    RECORD_OPERATION,
    RECORD_ANSWER,
    RECORD_CREDENTIAL,
    RECORD_CONTEXT,
    RECORD_SHADOW,
    RECORD_CURSOR,
    RECORD_REGISTRATION,
    RECORD_GROUP,
    RECORD_REPRESENTATION,
    RECORD_DEAD_LETTER,
    RECORD_DOCUMENT,
    RECORD_SEQUENCE,
    RECORD_COUNT
};

enum statement {
    STATEMENT_PUT_CONTENT = RECORD_COUNT,
    STATEMENT_PUT_HOLDING,
    STATEMENT_KEEP_ARTIFACT,
    STATEMENT_ADD_JOURNAL,
    STATEMENT_ADD_AUDIT,
    STATEMENT_ADD_ANCHOR,
    STATEMENT_TRIM_AUDIT,
    STATEMENT_TRIM_ANCHORS,
    STATEMENT_DELETE_DEVICE,
    STATEMENT_DELETE_DEVICE_CONTAINERS,
    STATEMENT_DELETE_DEVICE_OPERATIONS,
    STATEMENT_DELETE_DEVICE_CREDENTIALS,
    STATEMENT_DELETE_DEVICE_SHADOWS,
    STATEMENT_DELETE_DEVICE_REGISTRATIONS,
    STATEMENT_DELETE_DEVICE_REPRESENTATIONS,
    STATEMENT_DELETE_DEVICE_SEQUENCES,
    STATEMENT_DELETE_DEVICE_SERIES,
    STATEMENT_BURY_DEVICE,
    STATEMENT_DELETE_ARTIFACT,
    STATEMENT_DELETE_HOLDINGS,
    STATEMENT_DELETE_CONTENT,
    STATEMENT_DELETE_CONTAINER,
    STATEMENT_DELETE_OPERATION,
    STATEMENT_DELETE_ANSWERS,
    STATEMENT_DELETE_META,
    STATEMENT_DELETE_CREDENTIAL,
    STATEMENT_DELETE_SHADOW,
    STATEMENT_DELETE_CURSOR,
    STATEMENT_DELETE_REGISTRATION,
    STATEMENT_DELETE_GROUP,
    STATEMENT_DELETE_REPRESENTATION,
    STATEMENT_DELETE_DEAD_LETTER,
    STATEMENT_DELETE_DOCUMENT,
    STATEMENT_RAISE_SEQUENCE,
    STATEMENT_SET_STATE,
    STATEMENT_RESERVE,
    STATEMENT_SET_WINDOW,
    STATEMENT_RENEW,
    STATEMENT_DISTRUST,
    STATEMENT_COUNT_GUARD,
    STATEMENT_ADD_SERIES,
    STATEMENT_DELETE_SERIES,
    STATEMENT_ADD_CHUNK,
    STATEMENT_DELETE_CHUNK,
    STATEMENT_DELETE_GRAVES,
    STATEMENT_TRIM_JOURNAL,
    STATEMENT_SET_TOTAL,
    STATEMENT_COMPACT,
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_SAVEPOINT,
    STATEMENT_ROLLBACK_TO,
    STATEMENT_RELEASE,
    STATEMENT_COUNT
};

/* How a member of a row's struct is stored in the column of the same name. */
enum column_type {
    COLUMN_TEXT,
    COLUMN_BOOL,
    COLUMN_INT,
    COLUMN_U32,
    COLUMN_I64,
    COLUMN_U64,
    COLUMN_BYTES,
    COLUMN_BODY, /* bytes of which only the size is loaded at the start */
};

struct column {
    const char *name;
    enum column_type type;
    size_t offset;
};

struct record {
    const char *table;
    const char *key;   /* columns of the primary key */
    const char *order; /* of loading */
    const struct column *columns;
    size_t column_count;
};

extern const struct record store_records[RECORD_COUNT];

/* The SQL of a statement, malloc'ed; NULL when out of memory. */
char *record_put_sql(const struct record *record);
char *record_select_sql(const struct record *record);

struct value {
    enum { VALUE_NULL, VALUE_TEXT, VALUE_NUMBER, VALUE_BYTES } type;
    union {
        const char *text;
        int64_t number;
        struct store_bytes bytes;
    };
};

static inline struct value text_value(const char *text)
{
    return (struct value){.type = VALUE_TEXT, .text = text};
}

/* NULL for none. */
static inline struct value optional_text(const char *text)
{
    return (struct value){.type = text ? VALUE_TEXT : VALUE_NULL, .text = text};
}

static inline struct value number_value(int64_t number)
{
    return (struct value){.type = VALUE_NUMBER, .number = number};
}

static inline struct value bytes_value(struct store_bytes bytes)
{
    return (struct value){.type = bytes.data ? VALUE_BYTES : VALUE_NULL, .bytes = bytes};
}

struct value record_get_value(const struct column *column, const void *row);
void record_set_value(const struct column *column, void *row, sqlite3_stmt *from, int index);

/* One statement to run, with the values to bind; for STATEMENT_PUT_PART with the file that the blob comes from. */
struct change {
    struct change *next;
    enum statement statement;
    const char *path;
    int64_t size;
    size_t value_count;
    struct value values[];
};

/* What goes through the threads and comes back to store_dispatch. */
struct job {
    struct list node;
    void (*finish)(struct job *job, bool call); /* frees the job; runs its callback first when `call` */
};

/* What the reader's thread has open. */
struct reader {
    sqlite3 *db;
    sqlite3_stmt *parts, *shadow, *journal, *bounds, *audit, *anchors;
};

/* A request of any kind to the reader. */
struct read_job {
    struct job job;
    int (*run)(struct read_job *read, const struct reader *reader); /* on the reader's thread */
    int result;
};

struct store_batch {
    struct job job;
    struct arena arena;
    struct change *first, **last;
    bool failed;  /* could not be filled */
    bool guarded; /* changes credentials */
    bool slice;   /* of the history: goes back to its thread, and counts only when no device went since `removals` */
    uint64_t removals;
    int64_t submitted_us;
    int result;
    store_done_fn done;
    void *arg;
};

/* What was appended to the journal. */
struct journal_growth {
    uint64_t rows, bytes, last;
};

struct chore;
struct history;

/* The last entry of the audit trail: what the next one's hash goes over. */
struct audit_head {
    uint64_t seq;
    uint8_t hash[AUDIT_HASH_SIZE];
};

struct store {
    void (*wake)(void *arg);
    void *wake_arg;
    char *directory, *database, *wal; /* paths */
    int lock;                         /* descriptor of the locked file */

    /* The writer's thread alone; before it runs store_open, after its end store_close. SQLite does not guard the
     * connections (SQLITE_OPEN_NOMUTEX): two threads on one would exchange pages of the cache and write them. */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int guard;                    /* descriptor of the guard file (store_guard.c) */
    uint64_t guard_count;         /* what the database says */
    struct journal_growth growth; /* of the group under way */
    uint64_t group_removals;      /* devices that went with it */
    struct audit_head audit;      /* of what was applied */
    bool relaxed;                 /* the last commits may be lost in a power cut, but for guarded ones */
    bool restored;
    sqlite3 *reader_db; /* the reader's thread */

    pthread_t writer, reader;
    bool writer_runs, reader_runs;
    struct history *history;
    struct chore *chore; /* under way (chore.h); the loop thread's */
    atomic_uint_fast64_t free_pages, page_size;
    atomic_uint_fast64_t removals; /* grows when a device goes: before its commit, and after it */

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t batches_wait, reads_wait, written;
    struct list batches, reads; /* to be done */
    struct list finished;       /* to be dispatched */
    size_t finished_count;
    bool stopping, closing;       /* the threads that read; the writer */
    uint64_t submitted;           /* batches since the start */
    struct store_stats stats;     /* its batches: those handed back */
    struct audit_head audit_head; /* of what was committed */
};

/* Negative errno for an SQLite result other than OK: -ENOSPC or -EIO. */
int store_errno(sqlite3 *db, int rc);

int store_open_database(struct store *store, const struct store_options *options, char *reason,
                        size_t reason_size) must_check;
/* Another connection, which only reads. An SQLite result; *db is to be closed either way. */
int store_open_reader(struct store *store, sqlite3 **db) must_check;
/* Says in reason what failed; returns `result`. */
int store_refuse(char *reason, size_t reason_size, int result, const char *format, ...) printf_like(4, 5);

/* Runs a statement whose values are bound, and unbinds them. */
int store_step(struct store *store, sqlite3_stmt *statement);
/* Runs a statement without values. */
int store_run(struct store *store, enum statement statement);
/* Applies a batch within the transaction under way, as a whole or not at all. 0 or negative errno; SQLite may have
 * given up the whole transaction with it (sqlite3_get_autocommit). */
int store_apply_batch(struct store *store, const struct store_batch *batch) must_check;

/* Notices a database that is older than what was done with it. Returns an SQLite result code; SQLITE_CANTOPEN with
 * errno when the guard file cannot be made. */
int store_open_guard(struct store *store) must_check;
/* Reads where the audit trail ends (store_audit.c). An SQLite result. */
int store_open_audit(struct store *store) must_check;
/* Adds an entry, whose hash follows from those before it. 0 or negative errno. */
int store_apply_audit(struct store *store, const struct change *change) must_check;

void chore_stop(struct store *store);
/* Whether a restore was interrupted. */
int store_check_restored(const struct store *store, char *reason, size_t size) must_check;

/* Within a transaction that changes credentials; and after its commit. */
int store_count_guard(struct store *store) must_check;
void store_advance_guard(struct store *store);

/* Adds a statement with its values, which are copied. */
void batch_run(struct store_batch *batch, enum statement statement, const struct value *values, size_t count);

/* Bytes of the database and its WAL on the disk. */
uint64_t store_file_bytes(const struct store *store);
/* Monotonic. */
int64_t store_now_us(void);
/* Signals stay with the loop's thread. 0 or negative errno. */
int store_start_thread(pthread_t *thread, void *(*body)(void *), void *arg, const char *name) must_check;
void *store_writer_main(void *store);
void *store_reader_main(void *store);
void reader_submit(struct store *store, struct read_job *read);
/* About what a row takes on the disk. */
static inline uint64_t journal_row_bytes(const char *device, size_t body)
{
    return 24 + (device ? strlen(device) : 0) + body;
}
/* A row of the columns seq, time, kind, device, origin, body; good until the statement's next step. */
void journal_take_row(sqlite3_stmt *from, struct store_journal *row);
/* Hands finished jobs to the loop's thread; `group`: what the writer adds to the figures, NULL from others. */
void store_hand_back(struct store *store, struct list *jobs, size_t count, const struct store_stats *group);

#endif
