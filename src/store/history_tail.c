#define _GNU_SOURCE /* qsort_r */

#include "store/history_private.h"

#include <errno.h>
#include <string.h>

/* What is held of the tail at a time; twice that while it is being looked through. */
#define TAIL_RECORDS 8192
#define TAIL_BYTES (2 << 20)

int entry_compare(const struct entry *a, const struct entry *b, bool down)
{
    int order = a->device == b->device ? 0 : strcmp(a->device, b->device);

    if (order == 0)
        order = strcmp(a->record.name, b->record.name);
    if (order == 0 && a->record.time_us != b->record.time_us)
        order = (a->record.time_us < b->record.time_us) == down ? 1 : -1;
    return order;
}

static int compare_arrival(const void *a, const void *b, void *down)
{
    const struct entry *first = a, *second = b;
    int order = entry_compare(first, second, *(const bool *)down);

    return order != 0 ? order : first->order < second->order ? -1 : first->order > second->order;
}

void entry_sort(struct entry *entries, size_t count, bool down)
{
    if (count > 1)
        qsort_r(entries, count, sizeof *entries, compare_arrival, &down);
}

size_t entry_unite(struct entry *entries, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (n > 0 && entry_compare(&entries[n - 1], &entries[i], false) == 0)
            entries[n - 1] = entries[i];
        else
            entries[n++] = entries[i];
    return n;
}

/* What a query asks for -------------------------------------------------------------------------------------------- */

static bool wants_name(const char *wanted, const char *name)
{
    size_t size = wanted ? strlen(wanted) : 0;

    if (!wanted)
        return true;
    return size > 0 && wanted[size - 1] == '*' ? strncmp(name, wanted, size - 1) == 0 : strcmp(name, wanted) == 0;
}

bool query_wants(const struct history_query *query, const char *device, const char *name, int64_t *from, int64_t *to)
{
    int order = -1;

    *from = query->from;
    *to = query->to;
    if ((query->device && strcmp(query->device, device) != 0) || !wants_name(query->name, name))
        return false;
    if (query->after_device) {
        order = strcmp(query->after_device, device);
        order = order ? order : strcmp(query->after_name, name);
    }
    if (order == 0 && query->newest_first)
        *to = query->after_time < *to ? query->after_time : *to;
    else if (order == 0) {
        int64_t step = query->aggregate == HISTORY_BUCKETS ? query->bucket_us : 1;
        int64_t next = query->after_time > INT64_MAX - step ? INT64_MAX : query->after_time + step;

        *from = next > *from ? next : *from;
    }
    return order <= 0 && *from < *to;
}

/* The tail --------------------------------------------------------------------------------------------------------- */

static bool copy_entry(struct arena *arena, struct entry *entry, const struct entry *from)
{
    const struct telemetry_record *record = &from->record;

    *entry = *from;
    entry->device = arena_copy(arena, from->device, strlen(from->device) + 1);
    entry->record.name = arena_copy(arena, record->name, strlen(record->name) + 1);
    entry->record.unit = *record->unit ? arena_copy(arena, record->unit, strlen(record->unit) + 1) : "";
    entry->record.bytes = record->size ? arena_copy(arena, record->bytes, record->size) : NULL;
    return entry->device && entry->record.name && entry->record.unit && (entry->record.bytes || !record->size);
}

/* Keeps the first ones in order, as many as may be held. */
static int shrink(struct tail *tail)
{
    struct arena arena = {0};
    bool failed = false;
    size_t n;

    entry_sort(tail->entries, tail->count, tail->query->newest_first);
    tail->count = entry_unite(tail->entries, tail->count);
    for (n = 0; n < tail->count && n < TAIL_RECORDS && (n == 0 || arena.size < TAIL_BYTES) && !failed; n++)
        failed = !copy_entry(&arena, &tail->entries[n], &tail->entries[n]);
    if (n < tail->count) {
        tail->complete = false;
        tail->bound = n - 1;
    }
    tail->count = n;
    arena_clear(&tail->arena);
    tail->arena = arena;
    return failed ? -ENOMEM : 0;
}

/* Takes an entry that comes after `last` (NULL: from the start). What follows the last of those that are held, when
 * some had to be left out, is left out, too. */
static int take_entry(struct tail *tail, const struct entry *entry, const struct entry *last)
{
    bool down = tail->query->newest_first;
    int64_t from, to;

    if (!query_wants(tail->query, entry->device, entry->record.name, &from, &to) || entry->record.time_us < from ||
        entry->record.time_us >= to || (last && entry_compare(entry, last, down) <= 0) ||
        (!tail->complete && entry_compare(entry, &tail->entries[tail->bound], down) > 0))
        return 0;
    if (!copy_entry(&tail->arena, &tail->entries[tail->count], entry))
        return -ENOMEM;
    tail->count++;
    return tail->count == 2 * (size_t)TAIL_RECORDS || tail->arena.size > 2 * TAIL_BYTES ? shrink(tail) : 0;
}

static int take_row(struct tail *tail, const struct store_journal *row, const struct entry *last, uint32_t *order)
{
    struct pack_reader reader;
    struct entry entry = {.device = row->device};
    int result = 0;

    if (tail->query->device && strcmp(tail->query->device, row->device) != 0)
        return 0;
    pack_reader_init(&reader, row->body.data, row->body.size);
    while (result == 0 && pack_read(&reader, &entry.record) > 0) {
        entry.order = (*order)++;
        result = take_entry(tail, &entry, last);
    }
    return result;
}

static int scan(struct tail *tail, const struct entry *last)
{
    sqlite3_stmt *from = history_statement(tail->history, HISTORY_JOURNAL);
    int rc = sqlite3_bind_int64(from, 1, tail->sealed) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;
    uint32_t order = 0;
    int result = 0;

    while (result == 0 && rc == SQLITE_ROW && (rc = sqlite3_step(from)) == SQLITE_ROW) {
        struct store_journal row;

        journal_take_row(from, &row);
        if (row.kind == STORE_JOURNAL_TELEMETRY && row.device && !sqlite3_column_int(from, 6))
            result = take_row(tail, &row, last, &order);
    }
    (void)sqlite3_reset(from);
    return result < 0 ? result : rc == SQLITE_DONE ? shrink(tail) : -EIO;
}

static int fill(struct tail *tail, const struct entry *last)
{
    arena_clear(&tail->arena);
    tail->count = tail->next = 0;
    tail->complete = true;
    return scan(tail, last);
}

int tail_open(struct tail *tail, struct history *history, const struct history_query *query)
{
    sqlite3_stmt *totals = history_statement(history, HISTORY_TOTALS);

    *tail = (struct tail){.history = history, .query = query};
    /* The snapshot's, not the thread's: they are the same, unless a slice is on its way. */
    while (sqlite3_step(totals) == SQLITE_ROW)
        if (strcmp((const char *)sqlite3_column_text(totals, 0), "sealed") == 0)
            tail->sealed = sqlite3_column_int64(totals, 1);
    (void)sqlite3_reset(totals);
    tail->entries = malloc(2 * (size_t)TAIL_RECORDS * sizeof *tail->entries);
    return tail->entries ? fill(tail, NULL) : -ENOMEM;
}

static int refill(struct tail *tail)
{
    struct arena kept = {0};
    struct entry last;
    int result = -ENOMEM;

    if (copy_entry(&kept, &last, &tail->entries[tail->count - 1]))
        result = fill(tail, &last);
    arena_clear(&kept);
    return result;
}

int tail_peek(struct tail *tail, const struct entry **entry)
{
    int result = 0;

    if (tail->next == tail->count && !tail->complete)
        result = refill(tail);
    *entry = result == 0 && tail->next < tail->count ? &tail->entries[tail->next] : NULL;
    return result;
}

void tail_close(struct tail *tail)
{
    free(tail->entries);
    arena_clear(&tail->arena);
}
