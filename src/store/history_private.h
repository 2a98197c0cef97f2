#ifndef TC_STORE_HISTORY_PRIVATE_H
#define TC_STORE_HISTORY_PRIVATE_H

#include "codec/pack.h"
#include "store/history.h"
#include "store/store_private.h"

/*
 * The history's thread. It answers queries, and in between it seals what is in the journal into chunks and lets go what
 * is too old or too much. It only reads the database; what it changes goes to the writer in slices, short batches that
 * it waits for. No other thread changes chunks, so that what it read stays true, but for devices that are removed: a
 * slice that was made from what was read before a removal is refused (-EAGAIN), and the work begins anew.
 */

/* A chunk ends with whichever comes first. The bytes make a row that fills a page of the database. */
#define CHUNK_RECORDS 4096
#define CHUNK_BYTES 3900
/* About what a chunk takes beside its body: the row's head and two index entries. */
#define CHUNK_OVERHEAD 60
/* What a slice holds, about. */
#define SLICE_BYTES (128 << 10)

/* Figures that are kept in the database, each changed in the slice that changes what it counts. */
enum total {
    TOTAL_SEALED,        /* entries up to this number are in chunks */
    TOTAL_SEALING,       /* of entries up to this number some may be, too */
    TOTAL_TRIMMED,       /* entries up to this number are gone */
    TOTAL_JOURNAL_BYTES, /* of the sealed entries that are kept */
    TOTAL_RECORDS,
    TOTAL_DOWNSAMPLED,
    TOTAL_CHUNKS,
    TOTAL_CHUNK_BYTES,
    TOTAL_DOWNSAMPLED_BYTES, /* those of them that are of downsampled ones */
    TOTAL_COUNT
};

enum history_statement {
    HISTORY_TOTALS,
    HISTORY_FIND_SERIES,   /* device, name */
    HISTORY_SERIES_FROM,   /* device, name: in order, from there on */
    HISTORY_SERIES_GONE,   /* one that is of no device */
    HISTORY_SERIES_LAST,   /* the highest number, and how many are of a device */
    HISTORY_SERIES_SUM,    /* series: records, the oldest time */
    HISTORY_CHUNKS_BEFORE, /* series, downsampled, time: heads of those that begin then or before, newest first */
    HISTORY_CHUNK_AFTER,   /* series, downsampled, time: the head of the next one */
    HISTORY_BODY,          /* number */
    HISTORY_CHUNKS,        /* series, downsampled, from, to: bodies in the order of time */
    HISTORY_CHUNKS_NEWEST, /* the same, newest first */
    HISTORY_CHUNKS_TOO,    /* both again, for what runs beside them */
    HISTORY_CHUNKS_NEWEST_TOO,
    HISTORY_OLDEST,        /* downsampled, before, whole: heads of those that begin before (and, if whole, end) */
    HISTORY_OF_SERIES,     /* series: heads */
    HISTORY_JOURNAL,       /* after: entries of telemetry and others */
    HISTORY_JOURNAL_SIZES, /* first numbers, times and sizes */
    HISTORY_JOURNAL_ENDS,
    HISTORY_CURSORS, /* the one that is furthest behind */
    HISTORY_TAIL,    /* after: rows and bytes */
    HISTORY_NEWEST,  /* when the last entry came */
    HISTORY_STATEMENT_COUNT
};

struct history {
    struct store *store;
    sqlite3 *db;
    sqlite3_stmt *statements[HISTORY_STATEMENT_COUNT];
    int64_t totals[TOTAL_COUNT];  /* as the database has them */
    int64_t pending[TOTAL_COUNT]; /* with the slice that is being filled */
    struct store_batch *slice;
    size_t slice_bytes;
    struct journal_growth sealing; /* entries that are sealed when the slice is written */
    uint64_t removals;             /* when the round under way began to read */
    int64_t next_series;           /* number */
    uint64_t removals_done;        /* up to here, what removed devices left is gone */
    uint64_t dropped;
    int64_t retry_at;     /* ms, monotonic: after a failure */
    int64_t clock_offset; /* ms from the monotonic clock to the wall clock when that was looked at last */
    int64_t settled_at;   /* ms, monotonic: when the wall clock may be believed again */
    int64_t age_from;     /* us, wall: what ages are counted from in this round */

    pthread_t thread;
    bool runs;
    /* Guarded by the store's mutex. */
    pthread_cond_t wait; /* for queries and growth */
    pthread_cond_t done; /* of a slice */
    bool slice_done;
    struct list queries;
    struct store_retention retention;
    bool retention_is_set;
    bool keep_due; /* retention has not looked since something changed */
    struct history_stats stats;
    uint64_t unsealed_bytes;
    int64_t unsealed_since; /* ms, monotonic: when the oldest unsealed entry was committed, about */
};

int history_start(struct store *store) must_check;
/* Ends the thread, while the writer still runs; and the rest, when it does not. NULL is fine. */
void history_stop(struct history *history);
struct history *history_free(struct history *history); /* returns NULL */
/* On the writer's thread: takes the history's slices out of a group that was written, and notes how the journal grew.
 * Returns how many. */
size_t history_take_slices(struct store *store, struct list *group);

/* Milliseconds of the monotonic clock. */
int64_t history_now(void);
/* A statement, reset. */
sqlite3_stmt *history_statement(struct history *history, enum history_statement which);

/* What is read from now on counts for the slices that follow. */
void history_begin_round(struct history *history);
/* Adds a statement to the slice; `size` of what it writes, about. */
void history_change(struct history *history, enum statement statement, const struct value *values, size_t count,
                    size_t size);
/* Writes the slice, if there is something in it, and answers queries that wait. 0; -EAGAIN when the round is to begin
 * anew; -ENOSPC, -EIO, -ENOMEM. */
int history_commit(struct history *history) must_check;
int history_commit_full(struct history *history) must_check; /* only when the slice is full */
void history_abandon(struct history *history);               /* the slice */
/* Answers the queries that wait. */
void history_answer(struct history *history);

/* Pieces of work: 1 when something was done and there may be more, 0 when there is nothing to do; or negative. */
int history_seal(struct history *history) must_check;
/* Whether sealing ended before all of a window was in chunks: its entries will be merged into chunks once more. */
static inline bool history_is_half_sealed(const struct history *history)
{
    return history->totals[TOTAL_SEALING] > history->totals[TOTAL_SEALED];
}
int history_keep(struct history *history, const struct store_retention *retention) must_check;
int history_purge(struct history *history) must_check; /* series of devices that are gone */

/* Points and chunks ------------------------------------------------------------------------------------------------ */

/* A growing array of points and what their texts are in. */
struct pile {
    struct history_point *points;
    size_t count, capacity;
    struct arena arena;
};

void pile_clear(struct pile *pile);
int pile_add(struct pile *pile, const struct history_point *point) must_check; /* texts stay the caller's */
#define cleanup_pile cleanup(pile_clear)

/* What is known of a chunk without its body. */
struct chunk {
    int64_t number, series;
    bool downsampled;
    int64_t first, last;
    uint32_t count;
    size_t size;
};

/* Takes the columns number, series, downsampled, first, last, count, length(body). */
struct chunk chunk_take_head(sqlite3_stmt *from);

struct history_point point_of(const struct telemetry_record *record);
/* Adds another point to a bucket. */
void point_combine(struct history_point *into, const struct history_point *more);
int64_t bucket_of(int64_t time_us, int64_t size_us);

/* Appends the points of a body, which is copied. */
int chunk_decode(struct pile *pile, const void *body, size_t size, bool downsampled) must_check;
int chunk_load(struct history *history, const struct chunk *chunk, struct pile *pile) must_check;
void chunk_drop(struct history *history, const struct chunk *chunk);
/* Writes points as chunks; `even`: of about the same size, so that there is room to grow in the middle. */
int chunk_add(struct history *history, int64_t series, bool downsampled, const struct history_point *points,
              size_t count, bool even) must_check;
/* Merges points (in the order of time, each time once) into the chunks of a series. */
int chunk_merge(struct history *history, int64_t series, bool downsampled, const struct history_point *points,
                size_t count) must_check;

/* The unsealed tail of the journal --------------------------------------------------------------------------------- */

struct entry {
    const char *device;
    struct telemetry_record record;
    uint32_t order; /* of arrival */
};

/* By device, name, time (if `down`, the newest first), arrival. */
int entry_compare(const struct entry *a, const struct entry *b, bool down);
void entry_sort(struct entry *entries, size_t count, bool down);
/* Of those that differ in their arrival only, the last one stays. The entries are sorted. Returns how many there are.
 */
size_t entry_unite(struct entry *entries, size_t count);

/* The next entries of the tail that a query asks for, in its order. */
struct tail {
    struct history *history;
    const struct history_query *query;
    int64_t sealed;
    struct entry *entries;
    size_t count, next;
    struct arena arena;
    bool complete; /* nothing follows these */
    size_t bound;  /* unless complete: the entry behind which all are left out */
};

int tail_open(struct tail *tail, struct history *history, const struct history_query *query) must_check;
/* The next entry, which stays good until the next call after it was taken (tail->next++). NULL at the end. */
int tail_peek(struct tail *tail, const struct entry **entry) must_check;
void tail_close(struct tail *tail);

/* Whether a query is for the series, and from when to when for this one (from, to become that). */
bool query_wants(const struct history_query *query, const char *device, const char *name, int64_t *from, int64_t *to);

#endif
