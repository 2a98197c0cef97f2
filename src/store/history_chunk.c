#include "store/history_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* How many chunks are merged at a time. */
#define MERGE_MAX 8

/* The figures of a bucket are records beside that of its last value: names that no series can have. */
#define NAME_COUNT "#"
#define NAME_LAST "@"
#define NAME_MIN "<"
#define NAME_MAX_VALUE ">"
#define NAME_MEAN "~"

void pile_clear(struct pile *pile)
{
    free(pile->points);
    arena_clear(&pile->arena);
    *pile = (struct pile){0};
}

int pile_add(struct pile *pile, const struct history_point *point)
{
    if (pile->count == pile->capacity) {
        size_t capacity = pile->capacity ? 2 * pile->capacity : 64;
        struct history_point *points = realloc(pile->points, capacity * sizeof *points);

        if (!points)
            return -ENOMEM;
        pile->points = points;
        pile->capacity = capacity;
    }
    pile->points[pile->count++] = *point;
    return 0;
}

struct chunk chunk_take_head(sqlite3_stmt *from)
{
    return (struct chunk){.number = sqlite3_column_int64(from, 0),
                          .series = sqlite3_column_int64(from, 1),
                          .downsampled = sqlite3_column_int(from, 2),
                          .first = sqlite3_column_int64(from, 3),
                          .last = sqlite3_column_int64(from, 4),
                          .count = (uint32_t)sqlite3_column_int64(from, 5),
                          .size = (size_t)sqlite3_column_int64(from, 6)};
}

/* Points ----------------------------------------------------------------------------------------------------------- */

struct history_point point_of(const struct telemetry_record *record)
{
    double number = record->kind == TELEMETRY_NUMBER ? record->number : (double)NAN;

    return (struct history_point){
        .record = *record, .count = 1, .min = number, .max = number, .mean = number, .last_us = record->time_us};
}

void point_combine(struct history_point *into, const struct history_point *more)
{
    double weight = (double)more->count / (double)(into->count + more->count);

    if (isnan(into->mean)) {
        into->min = more->min;
        into->max = more->max;
        into->mean = more->mean;
    } else if (!isnan(more->mean)) {
        into->min = more->min < into->min ? more->min : into->min;
        into->max = more->max > into->max ? more->max : into->max;
        into->mean += (more->mean - into->mean) * weight;
    }
    into->count += more->count;
    if (more->last_us >= into->last_us) {
        int64_t time = into->record.time_us;

        into->record = more->record;
        into->record.time_us = time;
        into->last_us = more->last_us;
    }
    into->downsampled |= more->downsampled;
}

int64_t bucket_of(int64_t time_us, int64_t size_us)
{
    int64_t into = time_us % size_us;

    if (into < 0)
        into += size_us;
    return time_us < INT64_MIN + into ? INT64_MIN : time_us - into;
}

/* Reading ---------------------------------------------------------------------------------------------------------- */

static void set_figure(struct history_point *point, const struct telemetry_record *record)
{
    switch (*record->name) {
    case '#':
        point->count = (uint64_t)record->number;
        break;
    case '@':
        point->last_us = point->record.time_us + (int64_t)record->number;
        break;
    case '<':
        point->min = record->number;
        break;
    case '>':
        point->max = record->number;
        break;
    default:
        point->mean = record->number;
    }
}

int chunk_decode(struct pile *pile, const void *body, size_t size, bool downsampled)
{
    struct pack_reader reader;
    struct telemetry_record record;
    const void *copy = arena_copy(&pile->arena, body, size);
    int result;

    if (!copy)
        return -ENOMEM;
    pack_reader_init(&reader, copy, size);
    while ((result = pack_read(&reader, &record)) > 0) {
        struct history_point point = point_of(&record);

        point.downsampled = downsampled;
        if (downsampled && pile->count > 0 && *record.name && strchr("#@<>~", *record.name))
            set_figure(&pile->points[pile->count - 1], &record);
        else if (pile_add(pile, &point) < 0)
            return -ENOMEM;
    }
    return result < 0 ? -EIO : 0;
}

int chunk_load(struct history *history, const struct chunk *chunk, struct pile *pile)
{
    sqlite3_stmt *body = history_statement(history, HISTORY_BODY);
    int result = -EIO;

    if (sqlite3_bind_int64(body, 1, chunk->number) == SQLITE_OK && sqlite3_step(body) == SQLITE_ROW)
        result =
            chunk_decode(pile, sqlite3_column_blob(body, 0), (size_t)sqlite3_column_bytes(body, 0), chunk->downsampled);
    (void)sqlite3_reset(body);
    return result;
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

static void count_chunk(struct history *history, const struct chunk *chunk, int sign)
{
    int64_t bytes = sign * (int64_t)(chunk->size + CHUNK_OVERHEAD);

    history->pending[TOTAL_CHUNKS] += sign;
    history->pending[TOTAL_CHUNK_BYTES] += bytes;
    history->pending[TOTAL_DOWNSAMPLED_BYTES] += chunk->downsampled ? bytes : 0;
    history->pending[chunk->downsampled ? TOTAL_DOWNSAMPLED : TOTAL_RECORDS] += sign * (int64_t)chunk->count;
}

void chunk_drop(struct history *history, const struct chunk *chunk)
{
    const struct value values[] = {number_value(chunk->number)};

    history_change(history, STATEMENT_DELETE_CHUNK, values, 1, chunk->size);
    count_chunk(history, chunk, -1);
}

static void write_figure(struct pack_writer *writer, const char *name, int64_t time, double value)
{
    const struct telemetry_record record = {
        .name = name, .unit = "", .time_us = time, .kind = TELEMETRY_NUMBER, .number = value};

    pack_write(writer, &record);
}

static void write_point(struct pack_writer *writer, const struct history_point *point, bool downsampled)
{
    int64_t time = point->record.time_us;

    pack_write(writer, &point->record);
    if (!downsampled)
        return;
    write_figure(writer, NAME_COUNT, time, (double)point->count);
    write_figure(writer, NAME_LAST, time, (double)(point->last_us - time));
    if (isnan(point->mean))
        return;
    write_figure(writer, NAME_MIN, time, point->min);
    write_figure(writer, NAME_MAX_VALUE, time, point->max);
    write_figure(writer, NAME_MEAN, time, point->mean);
}

/* As many of the points as fit a chunk, one at least. Returns how many. */
static size_t encode(struct buffer *body, const struct history_point *points, size_t count, bool downsampled)
{
    struct pack_writer writer;
    size_t n;

    pack_writer_init(&writer, body);
    for (n = 0; n < count; n++) {
        size_t before = body->size;

        write_point(&writer, &points[n], downsampled);
        if (n > 0 && body->size > CHUNK_BYTES) {
            body->size = before;
            break;
        }
    }
    return n;
}

/* Into how many chunks they go. */
static size_t count_pieces(const struct history_point *points, size_t count, bool downsampled)
{
    size_t pieces = 0;

    while (count > 0) {
        cleanup_buffer struct buffer body = buffer_init(0);
        size_t n = encode(&body, points, count < CHUNK_RECORDS ? count : CHUNK_RECORDS, downsampled);

        points += n;
        count -= n;
        pieces++;
    }
    return pieces;
}

static int add_one(struct history *history, struct chunk *chunk, const struct history_point *points, size_t limit,
                   size_t *count)
{
    cleanup_buffer struct buffer body = buffer_init(0);
    size_t n = encode(&body, points, limit, chunk->downsampled);

    if (body.failed)
        return -ENOMEM;
    chunk->first = points[0].record.time_us;
    chunk->last = points[n - 1].record.time_us;
    chunk->count = (uint32_t)n;
    chunk->size = body.size;
    {
        const struct value values[] = {
            number_value(chunk->series), number_value(chunk->downsampled),
            number_value(chunk->first),  number_value(chunk->last),
            number_value(chunk->count),  bytes_value((struct store_bytes){body.data, body.size})};

        history_change(history, STATEMENT_ADD_CHUNK, values, array_size(values), body.size + CHUNK_OVERHEAD);
    }
    count_chunk(history, chunk, 1);
    *count = n;
    return 0;
}

int chunk_add(struct history *history, int64_t series, bool downsampled, const struct history_point *points,
              size_t count, bool even)
{
    size_t pieces = even && count > 0 ? count_pieces(points, count, downsampled) : 1;
    size_t share = pieces > 1 ? (count + pieces - 1) / pieces : CHUNK_RECORDS;
    struct chunk chunk = {.series = series, .downsampled = downsampled};
    int result = 0;

    while (count > 0 && result == 0) {
        size_t n = 0;

        result = add_one(history, &chunk, points, count < share ? count : share, &n);
        points += n;
        count -= n;
    }
    return result;
}

/* Merging ---------------------------------------------------------------------------------------------------------- */

/* The chunks that points are merged with, in the order of time. */
struct neighbours {
    struct chunk chunks[MERGE_MAX];
    size_t count;
    size_t run;    /* points that come before the chunk that follows */
    bool has_next; /* a chunk follows */
};

/* Chunks grow with what is added to them: a chunk is written anew only for at least half as many points as it has, so
 * that each point is written a few times, however few come at a time. */
static bool is_worth_merging(const struct chunk *chunk, size_t points)
{
    return chunk->count <= 2 * points && chunk->size < CHUNK_BYTES / 8 * 7;
}

static int bind_place(sqlite3_stmt *statement, int64_t series, bool downsampled, int64_t time)
{
    return sqlite3_bind_int64(statement, 1, series) == SQLITE_OK &&
                   sqlite3_bind_int(statement, 2, downsampled) == SQLITE_OK &&
                   sqlite3_bind_int64(statement, 3, time) == SQLITE_OK
               ? 0
               : -EIO;
}

/* Counts the points up to the next chunk, which joins when nothing else goes there. */
static int look_ahead(struct history *history, int64_t series, bool downsampled, const struct history_point *points,
                      size_t count, struct neighbours *found)
{
    sqlite3_stmt *after = history_statement(history, HISTORY_CHUNK_AFTER);
    int rc = bind_place(after, series, downsampled, points[0].record.time_us) < 0 ? SQLITE_ERROR : sqlite3_step(after);
    struct chunk next = {0};

    *found = (struct neighbours){.run = count, .has_next = rc == SQLITE_ROW};
    if (rc == SQLITE_ROW) {
        next = chunk_take_head(after);
        for (found->run = 1; found->run < count && points[found->run].record.time_us < next.first;)
            found->run++;
        if (found->run == count && is_worth_merging(&next, count))
            found->chunks[found->count++] = next;
    }
    (void)sqlite3_reset(after);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* Adds those before it: one that the points fall into, and as many as are worth it. `alone`: only the nearest, since
 * those before may be of this slice. */
static int look_back(struct history *history, int64_t series, bool downsampled, int64_t time, bool alone,
                     struct neighbours *found)
{
    sqlite3_stmt *before = history_statement(history, HISTORY_CHUNKS_BEFORE);
    struct chunk back[MERGE_MAX] = {{0}}, head;
    size_t count = 0, points = found->run;
    int rc = bind_place(before, series, downsampled, time) < 0 ? SQLITE_ERROR : SQLITE_ROW;

    while (count + found->count < MERGE_MAX && (count == 0 || !alone) && rc == SQLITE_ROW &&
           (rc = sqlite3_step(before)) == SQLITE_ROW) {
        head = chunk_take_head(before);
        if (head.last < time && !is_worth_merging(&head, points))
            break;
        points += head.count;
        back[count++] = head;
    }
    (void)sqlite3_reset(before);
    memmove(&found->chunks[count], found->chunks, found->count * sizeof *found->chunks);
    for (size_t i = 0; i < count; i++)
        found->chunks[i] = back[count - 1 - i];
    found->count += count;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* Both in the order of time; of the same time the new one counts, or buckets become one. */
static int unite(struct pile *out, const struct pile *old, const struct history_point *points, size_t count)
{
    size_t i = 0, j = 0;
    int result = 0;

    while (result == 0 && (i < old->count || j < count)) {
        const struct history_point *a = i < old->count ? &old->points[i] : NULL, *b = j < count ? &points[j] : NULL;
        bool same = a && b && a->record.time_us == b->record.time_us;
        struct history_point point = !a || (b && b->record.time_us <= a->record.time_us) ? *b : *a;

        if (same && point.downsampled) {
            point = *a;
            point_combine(&point, b);
        }
        i += same || !b || (a && a->record.time_us < b->record.time_us);
        j += same || !a || (b && b->record.time_us < a->record.time_us);
        result = pile_add(out, &point);
    }
    return result;
}

static int merge_run(struct history *history, int64_t series, bool downsampled, const struct history_point *points,
                     const struct neighbours *found)
{
    cleanup_pile struct pile old = {0}, all = {0};
    int result = 0;

    for (size_t i = 0; i < found->count && result == 0; i++)
        result = chunk_load(history, &found->chunks[i], &old);
    if (result == 0)
        result = unite(&all, &old, points, found->run);
    for (size_t i = 0; i < found->count && result == 0; i++)
        chunk_drop(history, &found->chunks[i]);
    return result < 0
               ? result
               : chunk_add(history, series, downsampled, all.points, all.count, found->has_next && found->count > 0);
}

int chunk_merge(struct history *history, int64_t series, bool downsampled, const struct history_point *points,
                size_t count)
{
    bool alone = false;
    int result = 0;

    while (count > 0 && result == 0) {
        struct neighbours found;

        result = look_ahead(history, series, downsampled, points, count, &found);
        if (result == 0)
            result = look_back(history, series, downsampled, points[0].record.time_us, alone, &found);
        if (result == 0)
            result = merge_run(history, series, downsampled, points, &found);
        points += found.run;
        count -= found.run;
        alone = true;
        /* Records come again when not all were written; the slice with buckets also drops what they were made of. */
        if (result == 0 && !downsampled && history->slice_bytes > SLICE_BYTES)
            result = history_commit(history);
    }
    return result;
}
