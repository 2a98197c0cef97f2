#include "store/history_private.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* Entries are sealed when there are so many bytes of them, or when the oldest is that old: more records go into a chunk
 * at a time, and a query reads no more than this beside the chunks. */
#define SEAL_BYTES (1 << 20)
#define SEAL_AGE_MS 600000
/* How often the limits of retention are looked at when nothing else happens. */
#define TICK_MS 60000
#define RETRY_MS 5000

static const char *const total_names[TOTAL_COUNT] = {
    [TOTAL_SEALED] = "sealed",
    [TOTAL_SEALING] = "sealing",
    [TOTAL_TRIMMED] = "trimmed",
    [TOTAL_JOURNAL_BYTES] = "journal_bytes",
    [TOTAL_RECORDS] = "records",
    [TOTAL_DOWNSAMPLED] = "downsampled",
    [TOTAL_CHUNKS] = "chunks",
    [TOTAL_CHUNK_BYTES] = "chunk_bytes",
    [TOTAL_DOWNSAMPLED_BYTES] = "downsampled_bytes",
};

#define HEAD "SELECT number, series, downsampled, first, last, count, length(body) FROM chunk "
#define FROM_RANGE                                                                                                     \
    "SELECT body FROM chunk WHERE series = ?1 AND downsampled = ?2 AND first < ?4 AND first >= ifnull((SELECT "        \
    "max(first) FROM chunk WHERE series = ?1 AND downsampled = ?2 AND first <= ?3), ?3) ORDER BY first "

static const char *const statements[HISTORY_STATEMENT_COUNT] = {
    [HISTORY_TOTALS] = "SELECT key, value FROM history",
    [HISTORY_FIND_SERIES] = "SELECT number FROM series WHERE device = ? AND name = ?",
    [HISTORY_SERIES_FROM] = "SELECT number, device, name FROM series WHERE (device, name) >= (?, ?)"
                            " ORDER BY device, name",
    [HISTORY_SERIES_GONE] = "SELECT number FROM series WHERE device IS NULL LIMIT 1",
    [HISTORY_SERIES_LAST] = "SELECT ifnull(max(number), 0), count(device) FROM series",
    [HISTORY_SERIES_SUM] = "SELECT ifnull(sum(count), 0), min(first) FROM chunk WHERE series = ?",
    [HISTORY_CHUNKS_BEFORE] = HEAD "WHERE series = ? AND downsampled = ? AND first <= ? ORDER BY first DESC",
    [HISTORY_CHUNK_AFTER] = HEAD "WHERE series = ? AND downsampled = ? AND first > ? ORDER BY first LIMIT 1",
    [HISTORY_BODY] = "SELECT body FROM chunk WHERE number = ?",
    [HISTORY_CHUNKS] = FROM_RANGE,
    [HISTORY_CHUNKS_NEWEST] = FROM_RANGE "DESC",
    [HISTORY_CHUNKS_TOO] = FROM_RANGE,
    [HISTORY_CHUNKS_NEWEST_TOO] = FROM_RANGE "DESC",
    [HISTORY_OLDEST] = HEAD "WHERE downsampled = ?1 AND first < ?2 AND (last < ?2 OR NOT ?3) ORDER BY first LIMIT 16",
    [HISTORY_OF_SERIES] = HEAD "WHERE series = ? LIMIT 64",
    [HISTORY_JOURNAL] = "SELECT seq, time, kind, device, origin, body, EXISTS(SELECT 1 FROM grave"
                        " WHERE grave.device = journal.device AND grave.seq >= journal.seq)"
                        " FROM journal WHERE seq > ? ORDER BY seq",
    [HISTORY_JOURNAL_SIZES] = "SELECT seq, time, device, length(body) FROM journal ORDER BY seq LIMIT 4096",
    [HISTORY_JOURNAL_ENDS] =
        "SELECT ifnull((SELECT min(seq) FROM journal), 0), ifnull((SELECT max(seq) FROM journal), 0),"
        " (SELECT min(first) FROM chunk WHERE downsampled = 0),"
        " (SELECT min(first) FROM chunk WHERE downsampled = 1)",
    [HISTORY_CURSORS] = "SELECT min(seq) FROM cursor",
    [HISTORY_TAIL] = "SELECT device, length(body) FROM journal WHERE seq > ?",
    [HISTORY_NEWEST] = "SELECT time FROM journal ORDER BY seq DESC LIMIT 1",
};

int64_t history_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

sqlite3_stmt *history_statement(struct history *history, enum history_statement which)
{
    (void)sqlite3_reset(history->statements[which]);
    return history->statements[which];
}

/* Slices ----------------------------------------------------------------------------------------------------------- */

void history_begin_round(struct history *history)
{
    history->removals = history->store->removals;
}

void history_change(struct history *history, enum statement statement, const struct value *values, size_t count,
                    size_t size)
{
    if (!history->slice)
        history->slice = store_batch_new();
    if (!history->slice)
        return; /* history_commit tells */
    batch_run(history->slice, statement, values, count);
    history->slice_bytes += size;
}

void history_abandon(struct history *history)
{
    history->slice = store_batch_free(history->slice);
    history->slice_bytes = 0;
    history->sealing = (struct journal_growth){0};
    memcpy(history->pending, history->totals, sizeof history->pending);
}

static void put_totals(struct history *history)
{
    for (int i = 0; i < TOTAL_COUNT; i++)
        if (history->pending[i] != history->totals[i]) {
            const struct value values[] = {text_value(total_names[i]), number_value(history->pending[i])};

            history_change(history, STATEMENT_SET_TOTAL, values, array_size(values), 16);
        }
}

/* Hands the slice to the writer and waits until it is written. */
static int write_slice(struct history *history)
{
    struct store *store = history->store;
    struct store_batch *slice = history->slice;

    slice->slice = true;
    slice->removals = history->removals;
    pthread_mutex_lock(&store->mutex);
    history->slice_done = false;
    list_append(&store->batches, &slice->job.node);
    pthread_cond_signal(&store->batches_wait);
    while (!history->slice_done)
        pthread_cond_wait(&history->done, &store->mutex);
    pthread_mutex_unlock(&store->mutex);
    return slice->result;
}

/* Shows the totals; with what was sealed with them no longer among the unsealed. */
static void publish(struct history *history, const struct journal_growth *sealed)
{
    struct history_stats *stats = &history->stats;
    const int64_t *totals = history->totals;

    pthread_mutex_lock(&history->store->mutex);
    stats->unsealed -= sealed->rows < stats->unsealed ? sealed->rows : stats->unsealed;
    history->unsealed_bytes -= sealed->bytes < history->unsealed_bytes ? sealed->bytes : history->unsealed_bytes;
    stats->records = (uint64_t)totals[TOTAL_RECORDS];
    stats->downsampled = (uint64_t)totals[TOTAL_DOWNSAMPLED];
    stats->chunks = (uint64_t)totals[TOTAL_CHUNKS];
    stats->chunk_bytes = (uint64_t)totals[TOTAL_CHUNK_BYTES];
    stats->dropped_records = history->dropped;
    stats->journal_bytes = (uint64_t)totals[TOTAL_JOURNAL_BYTES] + history->unsealed_bytes;
    pthread_mutex_unlock(&history->store->mutex);
}

int history_commit(struct history *history)
{
    int result = 0;

    put_totals(history);
    if (history->slice) {
        result = write_slice(history);
        if (result == 0) {
            memcpy(history->totals, history->pending, sizeof history->totals);
            publish(history, &history->sealing);
        }
        history_abandon(history);
    } else if (memcmp(history->pending, history->totals, sizeof history->totals) != 0) {
        history_abandon(history);
        return -ENOMEM;
    }
    history_answer(history);
    return result;
}

int history_commit_full(struct history *history)
{
    return history->slice_bytes > SLICE_BYTES ? history_commit(history) : 0;
}

size_t history_take_slices(struct store *store, struct list *group)
{
    struct history *history = store->history;
    struct journal_growth growth = store->growth;
    size_t count = 0;

    store->growth = (struct journal_growth){0};
    if (!history)
        return 0;
    pthread_mutex_lock(&store->mutex);
    list_each(node, group) if (container_of(node, struct store_batch, job.node)->slice)
    {
        list_unlink(node);
        history->slice_done = true;
        pthread_cond_signal(&history->done);
        count++;
    }
    if (growth.rows > 0 && history->unsealed_bytes == 0)
        history->unsealed_since = history_now();
    history->stats.unsealed += growth.rows;
    history->unsealed_bytes += growth.bytes;
    history->stats.journal_bytes += growth.bytes;
    history->stats.journal_last = growth.last ? growth.last : history->stats.journal_last;
    if ((growth.rows > 0 && history->unsealed_bytes >= SEAL_BYTES) || store->group_removals > 0)
        pthread_cond_signal(&history->wait);
    pthread_mutex_unlock(&store->mutex);
    store->group_removals = 0;
    return count;
}

/* The thread ------------------------------------------------------------------------------------------------------- */

static int prepare(struct history *history)
{
    int rc = store_open_reader(history->store, &history->db);

    for (int i = 0; i < HISTORY_STATEMENT_COUNT && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(history->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &history->statements[i],
                                NULL);
    return rc == SQLITE_OK ? 0 : -EIO;
}

static int load_totals(struct history *history)
{
    sqlite3_stmt *from = history_statement(history, HISTORY_TOTALS);
    int rc;

    while ((rc = sqlite3_step(from)) == SQLITE_ROW)
        for (int i = 0; i < TOTAL_COUNT; i++)
            if (strcmp((const char *)sqlite3_column_text(from, 0), total_names[i]) == 0)
                history->totals[i] = sqlite3_column_int64(from, 1);
    (void)sqlite3_reset(from);
    memcpy(history->pending, history->totals, sizeof history->pending);
    return rc == SQLITE_DONE ? 0 : -EIO;
}

/* What was not sealed when the database was closed. */
static int load_tail(struct history *history)
{
    sqlite3_stmt *from = history_statement(history, HISTORY_TAIL);
    int rc = sqlite3_bind_int64(from, 1, history->totals[TOTAL_SEALED]) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;

    while (rc == SQLITE_ROW && (rc = sqlite3_step(from)) == SQLITE_ROW) {
        history->stats.unsealed++;
        history->unsealed_bytes +=
            journal_row_bytes((const char *)sqlite3_column_text(from, 0), (size_t)sqlite3_column_int64(from, 1));
    }
    (void)sqlite3_reset(from);
    history->unsealed_since = history_now();
    return rc == SQLITE_DONE ? 0 : -EIO;
}

/* The clock is compared with what it was when the last entry came, before the gateway stopped. */
static int load_clock(struct history *history)
{
    sqlite3_stmt *newest = history_statement(history, HISTORY_NEWEST);
    int rc = sqlite3_step(newest);

    history->clock_offset =
        (rc == SQLITE_ROW ? sqlite3_column_int64(newest, 0) : clock_wall_ms(clock_system())) - history_now();
    (void)sqlite3_reset(newest);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* The figures that are looked up. */
static int refresh_stats(struct history *history)
{
    sqlite3_stmt *ends = history_statement(history, HISTORY_JOURNAL_ENDS);
    sqlite3_stmt *series = history_statement(history, HISTORY_SERIES_LAST);
    struct history_stats *stats = &history->stats;
    bool ok = sqlite3_step(ends) == SQLITE_ROW && sqlite3_step(series) == SQLITE_ROW;
    int64_t raw = sqlite3_column_int64(ends, 2), downsampled = sqlite3_column_int64(ends, 3);
    bool has_raw = sqlite3_column_type(ends, 2) != SQLITE_NULL,
         has_downsampled = sqlite3_column_type(ends, 3) != SQLITE_NULL;

    if (ok) {
        history->next_series = sqlite3_column_int64(series, 0) + 1;
        pthread_mutex_lock(&history->store->mutex);
        stats->journal_first = (uint64_t)sqlite3_column_int64(ends, 0);
        if (stats->journal_last < (uint64_t)sqlite3_column_int64(ends, 1))
            stats->journal_last = (uint64_t)sqlite3_column_int64(ends, 1);
        stats->oldest_us = has_downsampled && (!has_raw || downsampled < raw) ? downsampled : has_raw ? raw : 0;
        stats->series = (uint64_t)sqlite3_column_int64(series, 1);
        pthread_mutex_unlock(&history->store->mutex);
    }
    (void)sqlite3_reset(ends);
    (void)sqlite3_reset(series);
    return ok ? 0 : -EIO;
}

void history_answer(struct history *history)
{
    struct store *store = history->store;

    for (;;) {
        struct read_job *query = NULL;
        struct list finished;

        pthread_mutex_lock(&store->mutex);
        if (!list_empty(&history->queries) && !store->stopping) {
            query = container_of(history->queries.next, struct read_job, job.node);
            list_unlink(&query->job.node);
        }
        pthread_mutex_unlock(&store->mutex);
        if (!query)
            return;
        query->result = query->run(query, NULL);
        list_init(&finished);
        list_append(&finished, &query->job.node);
        store_hand_back(store, &finished, 1, NULL);
    }
}

/* Whether entries are to be sealed now. Under the mutex. */
static bool is_seal_due(const struct history *history, int64_t now)
{
    return history->unsealed_bytes >= SEAL_BYTES || (history->unsealed_bytes > 0 && history_is_half_sealed(history)) ||
           (history->unsealed_bytes > 0 && now - history->unsealed_since >= SEAL_AGE_MS) ||
           (history->retention_is_set && history->stats.journal_bytes > history->retention.journal_bytes &&
            history->unsealed_bytes > history->retention.journal_bytes / 4);
}

static int purge(struct history *history)
{
    uint64_t removals = history->store->removals;
    int result = removals == history->removals_done ? 0 : history_purge(history);

    if (result == 0)
        history->removals_done = removals;
    return result;
}

/* Retention is due again. */
static void look_again(struct history *history)
{
    pthread_mutex_lock(&history->store->mutex);
    history->keep_due = history->retention_is_set;
    pthread_mutex_unlock(&history->store->mutex);
}

static int keep(struct history *history)
{
    struct store_retention retention;
    bool due;
    int result;

    pthread_mutex_lock(&history->store->mutex);
    retention = history->retention;
    due = history->keep_due;
    history->keep_due = false;
    pthread_mutex_unlock(&history->store->mutex);
    result = due ? history_keep(history, &retention) : 0;
    if (result != 0)
        look_again(history);
    return result;
}

static int seal(struct history *history)
{
    bool due;

    pthread_mutex_lock(&history->store->mutex);
    due = is_seal_due(history, history_now());
    pthread_mutex_unlock(&history->store->mutex);
    return due ? history_seal(history) : 0;
}

/* One piece of each kind that is due: 1 when there may be more. One that fails does not keep the others from freeing
 * what a full disk needs. */
static int work(struct history *history)
{
    int (*const pieces[])(struct history *) = {seal, purge, keep};
    int result = 0;

    for (size_t i = 0; i < array_size(pieces); i++) {
        int piece = pieces[i](history);

        if (piece < 0)
            history_abandon(history);
        if (result >= 0 && (piece < 0 || piece > result))
            result = piece;
    }
    return result;
}

/* Under the mutex. */
static bool is_work_due(const struct history *history)
{
    return history->keep_due || is_seal_due(history, history_now()) ||
           history->store->removals != history->removals_done;
}

/* Waits until there is something to do, or it is time to look. Under the mutex. */
static void wait_for_work(struct history *history)
{
    int64_t ms = history->retry_at ? history->retry_at : history_now() + TICK_MS;
    struct timespec until = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (list_empty(&history->queries) && !history->store->stopping && (history->retry_at || !is_work_due(history)))
        if (pthread_cond_timedwait(&history->wait, &history->store->mutex, &until) == ETIMEDOUT) {
            history->keep_due = history->retention_is_set;
            return;
        }
}

static bool is_stopping(struct history *history)
{
    bool stopping;

    pthread_mutex_lock(&history->store->mutex);
    stopping = history->store->stopping;
    pthread_mutex_unlock(&history->store->mutex);
    return stopping;
}

static void run(struct history *history)
{
    while (!is_stopping(history)) {
        history_answer(history);
        if (history->retry_at == 0 || history_now() >= history->retry_at) {
            int result = work(history);

            history->retry_at = result < 0 && result != -EAGAIN ? history_now() + RETRY_MS : 0;
            (void)refresh_stats(history);
            publish(history, &(struct journal_growth){0});
        }
        pthread_mutex_lock(&history->store->mutex);
        wait_for_work(history);
        pthread_mutex_unlock(&history->store->mutex);
    }
}

static void *history_main(void *arg)
{
    run(arg);
    return NULL;
}

int history_start(struct store *store)
{
    struct history *history = calloc(1, sizeof *history);
    pthread_condattr_t attributes;
    int result;

    if (!history)
        return -ENOMEM;
    history->store = store;
    history->removals_done = UINT64_MAX; /* an earlier run may have left some */
    list_init(&history->queries);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&history->wait, &attributes);
    (void)pthread_cond_init(&history->done, NULL);
    (void)pthread_condattr_destroy(&attributes);
    result = prepare(history);
    if (result == 0)
        result = load_totals(history);
    if (result == 0)
        result = load_tail(history);
    if (result == 0)
        result = load_clock(history);
    if (result == 0)
        result = refresh_stats(history);
    publish(history, &(struct journal_growth){0});
    if (result == 0)
        result = store_start_thread(&history->thread, history_main, history, "store-history");
    history->runs = result == 0;
    pthread_mutex_lock(&store->mutex);
    store->history = history;
    pthread_mutex_unlock(&store->mutex);
    return result;
}

void history_stop(struct history *history)
{
    if (!history || !history->runs)
        return;
    pthread_mutex_lock(&history->store->mutex);
    pthread_cond_signal(&history->wait);
    pthread_mutex_unlock(&history->store->mutex);
    (void)pthread_join(history->thread, NULL);
    history->runs = false;
}

struct history *history_free(struct history *history)
{
    if (!history)
        return NULL;
    list_each(node, &history->queries)
    {
        struct job *job = container_of(node, struct job, node);

        job->finish(job, false);
    }
    for (int i = 0; i < HISTORY_STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(history->statements[i]);
    (void)sqlite3_close(history->db);
    (void)pthread_cond_destroy(&history->wait);
    (void)pthread_cond_destroy(&history->done);
    history->slice = store_batch_free(history->slice);
    free(history);
    return NULL;
}

/* What others ask for ---------------------------------------------------------------------------------------------- */

void store_set_retention(struct store *store, const struct store_retention *retention)
{
    struct history *history = store->history;

    pthread_mutex_lock(&store->mutex);
    history->retention = *retention;
    history->retention_is_set = true;
    history->keep_due = true;
    pthread_cond_signal(&history->wait);
    pthread_mutex_unlock(&store->mutex);
}

void store_get_history_stats(const struct store *store, struct history_stats *out)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)&store->mutex; /* NOLINT: guards what the caller may read */

    pthread_mutex_lock(mutex);
    *out = store->history->stats;
    pthread_mutex_unlock(mutex);
}
