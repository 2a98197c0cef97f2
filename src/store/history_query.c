#include "store/history_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* A page ends here, too. */
#define PAGE_BYTES (4 << 20)

/* A query, and while it runs where it is. */
struct query_job {
    struct read_job read;
    struct history *history;
    struct history_query query; /* its texts are in `texts` */
    bool is_list;
    history_fn done;
    void *arg;
    struct arena texts;
    struct pile page;
    bool more;
};

/* The chunks of a series of one kind, point by point. */
struct stream {
    sqlite3_stmt *chunks; /* NULL: at the end */
    bool downsampled, down;
    int64_t from, to;
    struct pile pile;
    size_t left; /* points of the pile that are to come */
};

/* One series at a time. */
struct merge {
    struct query_job *job;
    struct tail tail;
    const char *device, *name; /* of the series */
    int64_t from, to;
    struct stream raw, downsampled;
};

/* Chunks ----------------------------------------------------------------------------------------------------------- */

static void stream_close(struct stream *stream)
{
    if (stream->chunks)
        (void)sqlite3_reset(stream->chunks);
    pile_clear(&stream->pile);
    *stream = (struct stream){0};
}

static int stream_open(struct stream *stream, struct history *history, int64_t series, bool downsampled, bool down,
                       int64_t from, int64_t to)
{
    *stream = (struct stream){.downsampled = downsampled, .down = down, .from = from, .to = to};
    stream->chunks =
        history_statement(history, (enum history_statement)(HISTORY_CHUNKS + (downsampled ? 2 : 0) + (down ? 1 : 0)));
    return sqlite3_bind_int64(stream->chunks, 1, series) == SQLITE_OK &&
                   sqlite3_bind_int(stream->chunks, 2, downsampled) == SQLITE_OK &&
                   sqlite3_bind_int64(stream->chunks, 3, from) == SQLITE_OK &&
                   sqlite3_bind_int64(stream->chunks, 4, to) == SQLITE_OK
               ? 0
               : -EIO;
}

static int next_chunk(struct stream *stream)
{
    int rc = sqlite3_step(stream->chunks);
    int result = 0;

    pile_clear(&stream->pile);
    if (rc == SQLITE_ROW)
        result = chunk_decode(&stream->pile, sqlite3_column_blob(stream->chunks, 0),
                              (size_t)sqlite3_column_bytes(stream->chunks, 0), stream->downsampled);
    else
        stream->chunks = NULL;
    stream->left = stream->pile.count;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? result : -EIO;
}

/* The next point, NULL at the end; it stays good until the next call after it was taken (stream->left--). */
static int stream_peek(struct stream *stream, const struct history_point **point)
{
    int result = 0;

    *point = NULL;
    while (result == 0 && (stream->left > 0 || stream->chunks)) {
        const struct pile *pile = &stream->pile;

        if (stream->left == 0) {
            result = next_chunk(stream);
            continue;
        }
        *point = &pile->points[stream->down ? stream->left - 1 : pile->count - stream->left];
        if ((*point)->record.time_us >= stream->from && (*point)->record.time_us < stream->to)
            return 0;
        stream->left--;
    }
    *point = NULL;
    return result;
}

/* Points of a series ----------------------------------------------------------------------------------------------- */

static bool is_of(const struct merge *merge, const struct entry *entry)
{
    return entry && strcmp(entry->record.name, merge->name) == 0 && strcmp(entry->device, merge->device) == 0;
}

static int open_series(struct merge *merge, int64_t series)
{
    struct history *history = merge->job->history;
    bool down = merge->job->query.newest_first;
    int result = stream_open(&merge->raw, history, series, false, down, merge->from, merge->to);

    return result < 0 ? result : stream_open(&merge->downsampled, history, series, true, down, merge->from, merge->to);
}

static void close_series(struct merge *merge)
{
    stream_close(&merge->raw);
    stream_close(&merge->downsampled);
}

/* The next point of the three sources: 1, or 0 at the end. What is unsealed came later than what is in chunks of the
 * same time; a record that has the time of a bucket becomes part of it. */
static int next_point(struct merge *merge, struct history_point *point)
{
    bool down = merge->job->query.newest_first;
    const struct history_point *raw = NULL, *bucket = NULL;
    const struct entry *entry = NULL;
    int64_t time = down ? INT64_MIN : INT64_MAX;
    int result = stream_peek(&merge->raw, &raw);

    if (result == 0)
        result = stream_peek(&merge->downsampled, &bucket);
    if (result == 0)
        result = tail_peek(&merge->tail, &entry);
    if (result < 0)
        return result;
    entry = is_of(merge, entry) ? entry : NULL;
    if (!raw && !bucket && !entry)
        return 0;
    if (raw)
        time = raw->record.time_us;
    if (bucket && (!raw || (bucket->record.time_us < time) != down))
        time = bucket->record.time_us;
    if (entry && ((!raw && !bucket) || (entry->record.time_us < time) != down))
        time = entry->record.time_us;
    raw = raw && raw->record.time_us == time ? raw : NULL;
    bucket = bucket && bucket->record.time_us == time ? bucket : NULL;
    entry = entry && entry->record.time_us == time ? entry : NULL;
    if (raw)
        *point = *raw;
    if (entry)
        *point = point_of(&entry->record);
    if (bucket && (raw || entry)) {
        struct history_point record = *point;

        *point = *bucket;
        point_combine(point, &record);
    } else if (bucket) {
        *point = *bucket;
    }
    merge->raw.left -= raw != NULL;
    merge->downsampled.left -= bucket != NULL;
    merge->tail.next += entry != NULL;
    return 1;
}

/* Pages ------------------------------------------------------------------------------------------------------------ */

/* One without a point does not end for its texts, which are of series that had none: nothing could follow it. */
static bool is_full(const struct query_job *job)
{
    return job->page.count >= job->query.limit || (job->page.count > 0 && job->page.arena.size > PAGE_BYTES);
}

/* Adds a point with texts of its own; the device and the name are the page's already. */
static int add_point(struct merge *merge, const struct history_point *from)
{
    struct query_job *job = merge->job;
    struct history_point point = *from;
    struct telemetry_record *record = &point.record;

    point.device = merge->device;
    record->name = merge->name;
    record->unit = *record->unit ? arena_copy(&job->page.arena, record->unit, strlen(record->unit) + 1) : "";
    record->bytes = record->size ? arena_copy(&job->page.arena, record->bytes, record->size) : NULL;
    if (!record->unit || (record->size && !record->bytes))
        return -ENOMEM;
    return pile_add(&job->page, &point);
}

/* 1 when the page is full. */
static int add_raw(struct merge *merge)
{
    struct history_point point;
    int result = 0;

    while (result == 0 && (result = next_point(merge, &point)) > 0) {
        if (is_full(merge->job))
            return 1;
        result = add_point(merge, &point);
    }
    return result;
}

/* A bucket that is being filled, with texts of its own: those of a record go with its chunk. */
struct bucket {
    struct history_point point; /* count 0: nothing yet */
    char unit[TELEMETRY_UNIT_MAX + 1];
    uint8_t bytes[TELEMETRY_VALUE_MAX];
};

static void fill_bucket(struct bucket *bucket, const struct history_point *point, int64_t begin)
{
    struct telemetry_record *record = &bucket->point.record;

    if (bucket->point.count == 0) {
        bucket->point = *point;
        record->time_us = begin;
    } else {
        point_combine(&bucket->point, point);
    }
    if (record->unit != bucket->unit)
        (void)snprintf(bucket->unit, sizeof bucket->unit, "%s", record->unit);
    if (record->size > 0 && record->bytes != bucket->bytes)
        memcpy(bucket->bytes, record->bytes, record->size);
    record->unit = bucket->unit;
    record->bytes = bucket->bytes;
}

/* 1 when the page is full. */
static int flush_bucket(struct merge *merge, struct bucket *bucket)
{
    int result = bucket->point.count == 0 ? 0 : is_full(merge->job) ? 1 : add_point(merge, &bucket->point);

    bucket->point.count = 0;
    return result;
}

static int add_buckets(struct merge *merge)
{
    struct bucket bucket = {.point = {.count = 0}};
    struct history_point point;
    int result = 0;

    while (result == 0 && (result = next_point(merge, &point)) > 0) {
        int64_t begin = bucket_of(point.record.time_us, merge->job->query.bucket_us);

        result = bucket.point.count > 0 && begin != bucket.point.record.time_us ? flush_bucket(merge, &bucket) : 0;
        if (result == 0)
            fill_bucket(&bucket, &point, begin);
    }
    return result == 0 ? flush_bucket(merge, &bucket) : result;
}

/* The newest point with the figures of the whole series. 1 when the page is full. */
static int add_summary(struct merge *merge, int64_t series)
{
    sqlite3_stmt *sum = history_statement(merge->job->history, HISTORY_SERIES_SUM);
    struct history_point point, summary;
    const struct entry *entry;
    int64_t records = 0, oldest = INT64_MAX;
    int result = next_point(merge, &summary);

    if (result <= 0 || is_full(merge->job))
        return result;
    if (sqlite3_bind_int64(sum, 1, series) != SQLITE_OK || sqlite3_step(sum) != SQLITE_ROW)
        return -EIO;
    records = sqlite3_column_int64(sum, 0);
    if (records > 0)
        oldest = sqlite3_column_int64(sum, 1);
    (void)sqlite3_reset(sum);
    records += merge->tail.next > 0 && is_of(merge, &merge->tail.entries[merge->tail.next - 1]);
    point = summary;
    result = add_point(merge, &point); /* copies the texts before the tail moves on */
    if (summary.record.time_us < oldest)
        oldest = summary.record.time_us;
    while (result == 0 && (result = tail_peek(&merge->tail, &entry)) == 0 && is_of(merge, entry)) {
        oldest = entry->record.time_us < oldest ? entry->record.time_us : oldest;
        records++;
        merge->tail.next++;
    }
    if (result == 0) {
        struct history_point *added = &merge->job->page.points[merge->job->page.count - 1];

        added->count = (uint64_t)records;
        added->min = (double)oldest;
    }
    return result;
}

/* Series by series ------------------------------------------------------------------------------------------------- */

/* 1 when the page is full. series: 0 when it is in the tail only. */
static int answer_series(struct merge *merge, int64_t series, const char *device, const char *name)
{
    struct query_job *job = merge->job;
    struct arena *arena = &job->page.arena;
    int result;

    if (!query_wants(&job->query, device, name, &merge->from, &merge->to))
        return 0;
    merge->device = arena_copy(arena, device, strlen(device) + 1);
    merge->name = arena_copy(arena, name, strlen(name) + 1);
    if (!merge->device || !merge->name)
        return -ENOMEM;
    result = open_series(merge, series);
    if (result == 0)
        result = job->is_list                              ? add_summary(merge, series)
                 : job->query.aggregate == HISTORY_BUCKETS ? add_buckets(merge)
                                                           : add_raw(merge);
    close_series(merge);
    return result;
}

/* Where the series begin that a query can be for. */
static int bind_start(const struct history_query *query, sqlite3_stmt *from)
{
    const char *device = query->device ? query->device : "", *name = "";

    if (query->after_device && strcmp(query->after_device, device) >= 0) {
        device = query->after_device;
        name = query->after_name;
    }
    return sqlite3_bind_text(from, 1, device, -1, SQLITE_STATIC) == SQLITE_OK &&
                   sqlite3_bind_text(from, 2, name, -1, SQLITE_STATIC) == SQLITE_OK
               ? 0
               : -EIO;
}

/* Of the next row's series and the tail's next one, which comes first (negative: the row's), 0 for the same. */
static int compare_next(sqlite3_stmt *row, bool has_row, const struct entry *entry)
{
    int order;

    if (!has_row || !entry)
        return has_row ? -1 : 1;
    order = strcmp((const char *)sqlite3_column_text(row, 1), entry->device);
    return order ? order : strcmp((const char *)sqlite3_column_text(row, 2), entry->record.name);
}

static bool is_past(const struct history_query *query, sqlite3_stmt *row)
{
    return query->device && strcmp((const char *)sqlite3_column_text(row, 1), query->device) > 0;
}

static int next_row(const struct history_query *query, sqlite3_stmt *row, bool *has_row)
{
    int rc = sqlite3_step(row);

    *has_row = rc == SQLITE_ROW && !is_past(query, row);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* Goes through the series that the table has, and those of the tail, in one order. 1 when the page is full. */
static int answer_all(struct merge *merge)
{
    sqlite3_stmt *row = history_statement(merge->job->history, HISTORY_SERIES_FROM);
    const struct history_query *query = &merge->job->query;
    int result = bind_start(query, row);
    bool has_row = false;

    if (result == 0)
        result = next_row(query, row, &has_row);

    while (result == 0) {
        const struct entry *entry;
        int order;

        result = tail_peek(&merge->tail, &entry);
        if (result < 0 || (!has_row && !entry))
            break;
        order = compare_next(row, has_row, entry);
        result = order <= 0
                     ? answer_series(merge, sqlite3_column_int64(row, 0), (const char *)sqlite3_column_text(row, 1),
                                     (const char *)sqlite3_column_text(row, 2))
                     : answer_series(merge, 0, entry->device, entry->record.name);
        if (result == 0 && order <= 0)
            result = next_row(query, row, &has_row);
    }
    (void)sqlite3_reset(row);
    return result;
}

static int run_query(struct read_job *read, const struct reader *reader)
{
    struct query_job *job = container_of(read, struct query_job, read);
    struct merge merge = {.job = job};
    sqlite3 *db = job->history->db;
    int result = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;

    (void)reader;
    if (result == 0)
        result = tail_open(&merge.tail, job->history, &job->query);
    if (result == 0)
        result = answer_all(&merge);
    tail_close(&merge.tail);
    if (!sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    job->more = result > 0;
    return result < 0 ? result : 0;
}

/* Jobs ------------------------------------------------------------------------------------------------------------- */

static void finish_query(struct job *job, bool call)
{
    struct query_job *query = container_of(job, struct query_job, read.job);
    const struct history_page page = {.count = query->page.count, .points = query->page.points, .more = query->more};

    if (call)
        query->done(query->arg, query->read.result, &page);
    pile_clear(&query->page);
    arena_clear(&query->texts);
    free(query);
}

static bool copy_text(struct arena *arena, const char **text)
{
    if (*text)
        *text = arena_copy(arena, *text, strlen(*text) + 1);
    return *text;
}

/* The query with texts of its own and within bounds. */
static int copy_query(struct query_job *job, const struct history_query *query)
{
    struct history_query *copy = &job->query;
    bool ok = true;

    *copy = *query;
    if (copy->after_device && !copy->after_name)
        copy->after_name = "";
    if (copy->device)
        ok = copy_text(&job->texts, &copy->device);
    if (ok && copy->name)
        ok = copy_text(&job->texts, &copy->name);
    if (ok && copy->after_device)
        ok = copy_text(&job->texts, &copy->after_device) && copy_text(&job->texts, &copy->after_name);
    copy->limit = copy->limit ? copy->limit : 1;
    copy->bucket_us = copy->bucket_us > 0 ? copy->bucket_us : 1;
    copy->newest_first &= copy->aggregate == HISTORY_RAW;
    return ok ? 0 : -ENOMEM;
}

static int submit_query(struct store *store, const struct history_query *query, bool is_list, history_fn done,
                        void *arg)
{
    struct history *history = store->history;
    struct query_job *job = calloc(1, sizeof *job);

    if (!job)
        return -ENOMEM;
    list_init(&job->read.job.node);
    job->read.job.finish = finish_query;
    job->read.run = run_query;
    job->history = history;
    job->is_list = is_list;
    job->done = done;
    job->arg = arg;
    if (copy_query(job, query) < 0) {
        finish_query(&job->read.job, false);
        return -ENOMEM;
    }
    pthread_mutex_lock(&store->mutex);
    list_append(&history->queries, &job->read.job.node);
    pthread_cond_signal(&history->wait);
    pthread_mutex_unlock(&store->mutex);
    return 0;
}

int store_query_history(struct store *store, const struct history_query *query, history_fn done, void *arg)
{
    return submit_query(store, query, false, done, arg);
}

int store_list_series(struct store *store, const struct history_query *query, history_fn done, void *arg)
{
    struct history_query all = *query;

    all.from = INT64_MIN;
    all.to = INT64_MAX;
    all.aggregate = HISTORY_RAW;
    all.newest_first = true;
    all.after_time = INT64_MIN; /* nothing more of that series */
    return submit_query(store, &all, true, done, arg);
}
