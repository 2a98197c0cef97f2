#include "store/history_private.h"

#include <errno.h>
#include <string.h>

/* What is read of the journal at a time. */
#define WINDOW_RECORDS 32768
#define WINDOW_BYTES (1 << 20)
/* Records of a series that are merged at a time. */
#define BLOCK_RECORDS 2048

/* Entries of the journal that are turned into chunks together. */
struct window {
    struct entry *entries;
    size_t count, capacity;
    struct arena arena; /* bodies and devices */
    int64_t last;       /* number of the last entry; 0: none */
    uint64_t rows, bytes;
};

static void window_clear(struct window *window)
{
    free(window->entries);
    arena_clear(&window->arena);
}

static int add_entry(struct window *window, const char *device, const struct telemetry_record *record)
{
    if (window->count == window->capacity) {
        size_t capacity = window->capacity ? 2 * window->capacity : 1024;
        struct entry *entries = realloc(window->entries, capacity * sizeof *entries);

        if (!entries)
            return -ENOMEM;
        window->entries = entries;
        window->capacity = capacity;
    }
    window->entries[window->count] = (struct entry){device, *record, (uint32_t)window->count};
    window->count++;
    return 0;
}

/* A body that is damaged is taken as far as it can be read. */
static int add_pack(struct window *window, const struct store_journal *row)
{
    const char *device = arena_copy(&window->arena, row->device, strlen(row->device) + 1);
    const void *body = arena_copy(&window->arena, row->body.data, row->body.size);
    struct pack_reader reader;
    struct telemetry_record record;
    int result = device && body ? 0 : -ENOMEM;

    pack_reader_init(&reader, body, body ? row->body.size : 0);
    while (result == 0 && pack_read(&reader, &record) > 0)
        result = add_entry(window, device, &record);
    return result;
}

static int read_window(struct history *history, struct window *window)
{
    sqlite3_stmt *from = history_statement(history, HISTORY_JOURNAL);
    int rc = sqlite3_bind_int64(from, 1, history->totals[TOTAL_SEALED]) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;
    int result = 0;

    while (result == 0 && window->count < WINDOW_RECORDS && window->bytes < WINDOW_BYTES && rc == SQLITE_ROW &&
           (rc = sqlite3_step(from)) == SQLITE_ROW) {
        struct store_journal row;

        journal_take_row(from, &row);
        window->last = (int64_t)row.seq;
        window->rows++;
        window->bytes += journal_row_bytes(row.device, row.body.size);
        if (row.kind == STORE_JOURNAL_TELEMETRY && row.device && !sqlite3_column_int(from, 6))
            result = add_pack(window, &row);
    }
    (void)sqlite3_reset(from);
    return result < 0 ? result : rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* The number of a series, which is made when there is none. */
static int find_series(struct history *history, const struct entry *entry, int64_t *number)
{
    sqlite3_stmt *find = history_statement(history, HISTORY_FIND_SERIES);
    int rc = SQLITE_ERROR;

    if (sqlite3_bind_text(find, 1, entry->device, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(find, 2, entry->record.name, -1, SQLITE_STATIC) == SQLITE_OK)
        rc = sqlite3_step(find);
    *number = rc == SQLITE_ROW ? sqlite3_column_int64(find, 0) : history->next_series;
    (void)sqlite3_reset(find);
    if (rc == SQLITE_DONE) {
        const struct value values[] = {number_value(history->next_series++), text_value(entry->device),
                                       text_value(entry->record.name)};

        history_change(history, STATEMENT_ADD_SERIES, values, array_size(values), 64);
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* Merges one block of a series: `count` entries, each time once. */
static int seal_block(struct history *history, int64_t series, const struct entry *entries, size_t count)
{
    cleanup_pile struct pile block = {0};
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        struct history_point point = point_of(&entries[i].record);

        result = pile_add(&block, &point);
    }
    return result < 0 ? result : chunk_merge(history, series, false, block.points, block.count);
}

static int seal_series(struct history *history, const struct entry *entries, size_t count)
{
    int64_t series;
    int result = find_series(history, entries, &series);

    while (count > 0 && result == 0) {
        size_t n = count < BLOCK_RECORDS ? count : BLOCK_RECORDS;

        result = seal_block(history, series, entries, n);
        entries += n;
        count -= n;
        if (result == 0) /* chunks of this slice must not be merged again before they can be read */
            result = count > 0 ? history_commit(history) : history_commit_full(history);
    }
    return result;
}

static int seal_entries(struct history *history, const struct window *window, size_t count)
{
    int result = 0;

    if (!window->entries)
        return 0;
    for (size_t i = 0, end; i < count && result == 0; i = end) {
        const struct entry *first = &window->entries[i];

        for (end = i + 1; end < count && strcmp(window->entries[end].record.name, first->record.name) == 0 &&
                          strcmp(window->entries[end].device, first->device) == 0;)
            end++;
        result = seal_series(history, first, end - i);
    }
    return result;
}

/* The window is in chunks: moves on. */
static int finish_window(struct history *history, const struct window *window)
{
    const struct value seq = number_value(window->last);

    history->pending[TOTAL_SEALED] = window->last;
    history->pending[TOTAL_JOURNAL_BYTES] += (int64_t)window->bytes;
    history->sealing = (struct journal_growth){.rows = window->rows, .bytes = window->bytes};
    history_change(history, STATEMENT_DELETE_GRAVES, &seq, 1, 0);
    return history_commit(history);
}

static void note_sealed(struct history *history, const struct window *window)
{
    pthread_mutex_lock(&history->store->mutex);
    if (window->last == 0) /* batches that failed were counted, too */
        history->stats.unsealed = history->unsealed_bytes = 0;
    history->unsealed_since = history_now();
    history->keep_due = history->retention_is_set;
    pthread_mutex_unlock(&history->store->mutex);
}

int history_seal(struct history *history)
{
    cleanup(window_clear) struct window window = {0};
    int result;

    history_begin_round(history);
    result = read_window(history, &window);
    if (result < 0)
        return result;
    if (window.last > 0) {
        history->pending[TOTAL_SEALING] = window.last;
        entry_sort(window.entries, window.count, false);
        result = seal_entries(history, &window, entry_unite(window.entries, window.count));
        if (result == 0)
            result = finish_window(history, &window);
    }
    if (result == 0)
        note_sealed(history, &window);
    return result < 0 ? result : window.last > 0;
}

/* What removed devices left ---------------------------------------------------------------------------------------- */

int history_purge(struct history *history)
{
    sqlite3_stmt *gone = history_statement(history, HISTORY_SERIES_GONE);
    sqlite3_stmt *chunks = history_statement(history, HISTORY_OF_SERIES);
    int rc = sqlite3_step(gone);
    int64_t series = sqlite3_column_int64(gone, 0);
    const struct value value = number_value(series);
    int result;

    (void)sqlite3_reset(gone);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? 0 : -EIO;
    history_begin_round(history);
    rc = sqlite3_bind_int64(chunks, 1, series) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;
    while (rc == SQLITE_ROW && (rc = sqlite3_step(chunks)) == SQLITE_ROW) {
        struct chunk chunk = chunk_take_head(chunks);

        chunk_drop(history, &chunk);
    }
    (void)sqlite3_reset(chunks);
    if (rc != SQLITE_DONE)
        return -EIO;
    history_change(history, STATEMENT_DELETE_SERIES, &value, 1, 0);
    result = history_commit(history);
    return result < 0 ? result : 1;
}
