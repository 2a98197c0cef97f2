#ifndef TC_STORE_PRIVATE_H
#define TC_STORE_PRIVATE_H

#include "base/list.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>

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
    RECORD_COUNT
};

enum statement {
    STATEMENT_PUT_PART = RECORD_COUNT,
    STATEMENT_ADD_JOURNAL,
    STATEMENT_DELETE_DEVICE,
    STATEMENT_DELETE_DEVICE_CONTAINERS,
    STATEMENT_DELETE_DEVICE_OPERATIONS,
    STATEMENT_DELETE_DEVICE_CREDENTIALS,
    STATEMENT_DELETE_DEVICE_SHADOWS,
    STATEMENT_DELETE_DEVICE_REGISTRATIONS,
    STATEMENT_DELETE_DEVICE_REPRESENTATIONS,
    STATEMENT_DELETE_DEVICE_SERIES,
    STATEMENT_BURY_DEVICE,
    STATEMENT_DELETE_ARTIFACT,
    STATEMENT_DELETE_PARTS,
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
    STATEMENT_SET_STATE,
    STATEMENT_RESERVE,
    STATEMENT_SET_WINDOW,
    STATEMENT_RENEW,
    STATEMENT_DISTRUST,
    STATEMENT_COUNT_GUARD,
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
    sqlite3_stmt *parts, *shadow, *journal, *bounds;
};

/* A request of any kind to the reader. */
struct read_job {
    struct job job;
    int (*run)(struct read_job *read, const struct reader *reader); /* on the reader's thread */
    int result;
};

struct store_batch {
    struct job job;
    struct arena_chunk *chunks; /* newest first */
    struct change *first, **last;
    bool failed;  /* could not be filled */
    bool guarded; /* changes credentials */
    int result;
    store_done_fn done;
    void *arg;
};

struct store {
    void (*wake)(void *arg);
    void *wake_arg;
    char *directory, *database, *wal; /* paths */
    int lock;                         /* descriptor of the locked file */

    /* The writer's thread; before the first batch store_open and store_load, after its end store_close. */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int guard;            /* descriptor of the guard file (store_guard.c) */
    uint64_t guard_count; /* what the database says */
    bool relaxed;         /* the last commits may be lost in a power cut, but for guarded ones */
    bool restored;
    sqlite3 *reader_db; /* the reader's thread */

    pthread_t writer, reader;
    bool writer_runs, reader_runs;

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t batches_wait, reads_wait, written;
    struct list batches, reads; /* to be done */
    struct list finished;       /* to be dispatched */
    size_t finished_count;
    bool stopping;
    uint64_t submitted;       /* batches since the start */
    struct store_stats stats; /* its batches: those handed back */
};

/* Negative errno for an SQLite result other than OK: -ENOSPC or -EIO. */
int store_errno(sqlite3 *db, int rc);

int store_open_database(struct store *store, const struct store_options *options, char *reason,
                        size_t reason_size) must_check;
/* Says in reason what failed; returns `result`. */
int store_refuse(char *reason, size_t reason_size, int result, const char *format, ...) printf_like(4, 5);

/* Runs a statement without values. */
int store_run(struct store *store, enum statement statement);
/* Applies a batch within the transaction under way, as a whole or not at all. 0 or negative errno; SQLite may have
 * given up the whole transaction with it (sqlite3_get_autocommit). */
int store_apply_batch(struct store *store, const struct store_batch *batch) must_check;

/* Notices a database that is older than what was done with it. Returns an SQLite result code; SQLITE_CANTOPEN with
 * errno when the guard file cannot be made. */
int store_open_guard(struct store *store) must_check;
/* Within a transaction that changes credentials; and after its commit. */
int store_count_guard(struct store *store) must_check;
void store_advance_guard(struct store *store);

/* Bytes of the database and its WAL on the disk. */
uint64_t store_file_bytes(const struct store *store);
void *store_writer_main(void *store);
void *store_reader_main(void *store);
void reader_submit(struct store *store, struct read_job *read);
/* A row of the columns seq, time, kind, device, origin, body; good until the statement's next step. */
void journal_take_row(sqlite3_stmt *from, struct store_journal *row);
/* Hands finished jobs to the loop's thread; `group`: what the writer adds to the figures, NULL from the reader. */
void store_hand_back(struct store *store, struct list *jobs, size_t count, const struct store_stats *group);

#endif
