#include "store/history_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

/*
 * What is kept. Space that rows leave is used again by the next ones; the file does not shrink. So the limits of size
 * bound the file, and on a full disk letting go needs no more than what the write-ahead log has already.
 */

static int64_t wall_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Ages are told by the wall clock, and it may be wrong: a board without a clock of its own begins in 1970, a bad server
 * sends it to 2038. After a step of more than STEP_MS nothing goes for its age until the clock had SETTLE_MS to be set
 * right; the limits of size hold all the time. */
#define STEP_MS INT64_C(86400000)
#define SETTLE_MS INT64_C(86400000)

/* The time that ages are counted from; INT64_MIN: nothing is old. */
static int64_t age_from(struct history *history)
{
    int64_t now = history_now(), offset = wall_us() / 1000 - now, step;

    if (__builtin_sub_overflow(offset, history->clock_offset, &step) || step > STEP_MS || step < -STEP_MS)
        history->settled_at = now + SETTLE_MS;
    history->clock_offset = offset;
    return now < history->settled_at ? INT64_MIN : wall_us();
}

/* The time that is `age` before `time`. */
static int64_t before(int64_t time, int64_t age)
{
    int64_t then;

    return __builtin_sub_overflow(time, age, &then) ? INT64_MIN : then;
}

/* The journal ------------------------------------------------------------------------------------------------------ */

/* Entries up to here may go for their age: sealed, and passed by all cursors. */
static int read_floor(struct history *history, uint64_t *floor)
{
    sqlite3_stmt *cursors = history_statement(history, HISTORY_CURSORS);
    int rc = sqlite3_step(cursors);
    uint64_t cursor =
        sqlite3_column_type(cursors, 0) == SQLITE_NULL ? UINT64_MAX : (uint64_t)sqlite3_column_int64(cursors, 0);

    (void)sqlite3_reset(cursors);
    *floor = cursor;
    return rc == SQLITE_ROW ? 0 : -EIO;
}

struct trim {
    uint64_t floor;  /* cursors have passed these */
    int64_t before;  /* ms: older ones go */
    int64_t surplus; /* bytes over the limit */
    int64_t last;    /* number of the last one that goes; 0: none */
    int64_t bytes;
};

/* Adds an entry to those that go; false when it stays, and those behind it. */
static bool trim_entry(const struct history *history, sqlite3_stmt *from, struct trim *trim)
{
    int64_t seq = sqlite3_column_int64(from, 0);
    bool over = trim->bytes < trim->surplus;
    bool old = sqlite3_column_int64(from, 1) < trim->before && (uint64_t)seq <= trim->floor;

    if (seq >= history->totals[TOTAL_SEALED] || (!over && !old) || trim->bytes > SLICE_BYTES)
        return false;
    trim->last = seq;
    trim->bytes +=
        (int64_t)journal_row_bytes((const char *)sqlite3_column_text(from, 2), (size_t)sqlite3_column_int64(from, 3));
    return true;
}

static int find_trim(struct history *history, struct trim *trim)
{
    sqlite3_stmt *from = history_statement(history, HISTORY_JOURNAL_SIZES);
    int rc;

    while ((rc = sqlite3_step(from)) == SQLITE_ROW && trim_entry(history, from, trim))
        ;
    (void)sqlite3_reset(from);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* The last sealed entry always stays, so that numbers go on from it after a restart. */
static int keep_journal(struct history *history, const struct store_retention *retention)
{
    struct trim trim = {.before = before(history->age_from / 1000, retention->journal_age_ms)};
    struct value seq;
    uint64_t bytes;
    int result = read_floor(history, &trim.floor);

    pthread_mutex_lock(&history->store->mutex);
    bytes = history->stats.journal_bytes;
    pthread_mutex_unlock(&history->store->mutex);
    trim.surplus = bytes > retention->journal_bytes ? (int64_t)(bytes - retention->journal_bytes) : 0;
    if (result == 0)
        result = find_trim(history, &trim);
    if (result < 0 || trim.last == 0)
        return result;
    seq = number_value(trim.last);
    history_change(history, STATEMENT_TRIM_JOURNAL, &seq, 1, (size_t)trim.bytes);
    history->pending[TOTAL_TRIMMED] = trim.last;
    history->pending[TOTAL_JOURNAL_BYTES] -= trim.bytes;
    result = history_commit(history);
    return result < 0 ? result : 1;
}

/* Chunks ----------------------------------------------------------------------------------------------------------- */

#define OLDEST_MAX 16

/* The oldest chunks of a kind that begin (if whole: and end) before; each of another series if apart. */
static int find_oldest(struct history *history, bool downsampled, int64_t until, bool whole, struct chunk *chunks,
                       size_t *count)
{
    sqlite3_stmt *oldest = history_statement(history, HISTORY_OLDEST);
    int rc = sqlite3_bind_int(oldest, 1, downsampled) == SQLITE_OK &&
                     sqlite3_bind_int64(oldest, 2, until) == SQLITE_OK &&
                     sqlite3_bind_int(oldest, 3, whole) == SQLITE_OK
                 ? SQLITE_ROW
                 : SQLITE_ERROR;

    *count = 0;
    while (rc == SQLITE_ROW && *count < OLDEST_MAX && (rc = sqlite3_step(oldest)) == SQLITE_ROW)
        chunks[(*count)++] = chunk_take_head(oldest);
    (void)sqlite3_reset(oldest);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* A series without chunks goes with its last one. */
static void drop(struct history *history, const struct chunk *chunk)
{
    const struct value series = number_value(chunk->series);

    chunk_drop(history, chunk);
    history_change(history, STATEMENT_DELETE_SERIES, &series, 1, 0);
}

/* Buckets of what is in the pile before `cutoff`; *count becomes how many points they are of. */
static int make_buckets(const struct pile *pile, int64_t cutoff, int64_t size_us, struct pile *buckets, size_t *count)
{
    int result = 0;

    for (*count = 0; *count < pile->count && pile->points[*count].record.time_us < cutoff && result == 0; ++*count) {
        struct history_point point = pile->points[*count];
        int64_t begin = bucket_of(point.record.time_us, size_us);
        struct history_point *last = buckets->count ? &buckets->points[buckets->count - 1] : NULL;

        if (last && last->record.time_us == begin) {
            point_combine(last, &point);
        } else {
            point.record.time_us = begin;
            point.downsampled = true;
            result = pile_add(buckets, &point);
        }
    }
    return result;
}

/* Turns what a chunk has before `cutoff` into buckets, or lets it go when there are to be none. */
static int downsample(struct history *history, const struct chunk *chunk, int64_t cutoff, int64_t size_us)
{
    cleanup_pile struct pile pile = {0}, buckets = {0};
    size_t old = 0;
    int result = chunk_load(history, chunk, &pile);

    if (result == 0)
        result = make_buckets(&pile, cutoff, size_us ? size_us : INT64_MAX, &buckets, &old);
    if (result < 0)
        return result;
    chunk_drop(history, chunk);
    result = chunk_add(history, chunk->series, false, pile.points + old, pile.count - old, false);
    if (result == 0 && size_us)
        result = chunk_merge(history, chunk->series, true, buckets.points, buckets.count);
    if (result == 0 && !size_us) {
        const struct value series = number_value(chunk->series);

        history_change(history, STATEMENT_DELETE_SERIES, &series, 1, 0);
    }
    return result;
}

static bool is_among(const struct chunk *chunks, size_t count, int64_t series)
{
    for (size_t i = 0; i < count; i++)
        if (chunks[i].series == series)
            return true;
    return false;
}

/* Records that are sealed once more replace themselves, but would count in their buckets twice: not while that may be.
 *
 * Records are downsampled some time after they have come of age, many at a time, so that a chunk is not written anew
 * for each of them; but when they all are, there is nothing to wait for. */
static int keep_raw(struct history *history, const struct store_retention *retention)
{
    int64_t size_us = retention->downsample_us;
    int64_t cutoff = before(history->age_from, retention->raw_age_us);
    struct chunk chunks[OLDEST_MAX];
    size_t count, whole, n = 0;
    int result;

    if (history_is_half_sealed(history))
        return 0;
    cutoff = size_us ? bucket_of(cutoff, size_us) : cutoff;
    result = find_oldest(history, false, before(cutoff, retention->raw_age_us / 8), false, chunks, &count);
    if (result == 0 && count == 0)
        result = find_oldest(history, false, cutoff, true, chunks, &count);
    whole = count;
    for (; n < whole && result == 0 && !is_among(chunks, n, chunks[n].series); n++)
        result = downsample(history, &chunks[n], cutoff, size_us);
    if (result == 0)
        result = history_commit(history);
    return result < 0 ? result : n > 0;
}

static int drop_all(struct history *history, const struct chunk *chunks, size_t count, bool counts)
{
    uint64_t dropped = 0;
    int result;

    for (size_t i = 0; i < count; i++) {
        drop(history, &chunks[i]);
        dropped += chunks[i].count;
    }
    history->dropped += counts ? dropped : 0; /* shown with the commit */
    result = history_commit(history);
    if (result < 0)
        history->dropped -= counts ? dropped : 0;
    return result < 0 ? result : count > 0;
}

static int keep_buckets(struct history *history, const struct store_retention *retention)
{
    struct chunk chunks[OLDEST_MAX];
    size_t count;
    int result =
        find_oldest(history, true, before(history->age_from, retention->downsampled_age_us), true, chunks, &count);

    return result < 0 || count == 0 ? result : drop_all(history, chunks, count, false);
}

/* Over the limit of size the oldest records go, unless it is buckets that take the most. */
static int keep_size(struct history *history, const struct store_retention *retention)
{
    int64_t bytes = history->totals[TOTAL_CHUNK_BYTES], buckets = history->totals[TOTAL_DOWNSAMPLED_BYTES];
    int64_t surplus =
        bytes - (int64_t)(retention->telemetry_bytes < INT64_MAX ? retention->telemetry_bytes : INT64_MAX);
    struct chunk chunks[OLDEST_MAX];
    size_t count, n = 0;
    int result;

    if (surplus <= 0)
        return 0;
    result = find_oldest(history, buckets > bytes / 2, INT64_MAX, false, chunks, &count);
    if (result < 0)
        return result;
    for (; n < count && surplus > 0; n++)
        surplus -= (int64_t)(chunks[n].size + CHUNK_OVERHEAD);
    return drop_all(history, chunks, n, true);
}

int history_keep(struct history *history, const struct store_retention *retention)
{
    int (*const kinds[])(struct history *, const struct store_retention *) = {keep_journal, keep_size, keep_buckets,
                                                                              keep_raw};
    int result = 0;

    history_begin_round(history);
    history->age_from = age_from(history);
    for (size_t i = 0; i < array_size(kinds) && result >= 0; i++) {
        int kind = kinds[i](history, retention);

        result = kind < 0 || kind > result ? kind : result;
    }
    return result;
}
