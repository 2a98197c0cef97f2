#include "store/store_private.h"

#include "base/buffer.h"

#include <errno.h>
#include <string.h>

/* What a page of entries may hold, whatever was asked for. */
#define PAGE_MAX 4096

struct journal_job {
    struct read_job read;
    uint64_t after;
    size_t max, max_bytes;
    struct store_journal_page page;
    struct store_journal *rows;
    struct buffer bytes; /* the rows' devices and bodies */
    store_journal_fn done;
    void *arg;
};

void journal_take_row(sqlite3_stmt *from, struct store_journal *row)
{
    *row = (struct store_journal){.seq = (uint64_t)sqlite3_column_int64(from, 0),
                                  .time = sqlite3_column_int64(from, 1),
                                  .kind = sqlite3_column_int(from, 2),
                                  .device = (const char *)sqlite3_column_text(from, 3),
                                  .origin = (uint64_t)sqlite3_column_int64(from, 4),
                                  .body = {.data = sqlite3_column_blob(from, 5)}};
    row->body.size = (size_t)sqlite3_column_bytes(from, 5);
}

static void finish_journal(struct job *job, bool call)
{
    struct journal_job *journal = container_of(job, struct journal_job, read.job);

    if (call)
        journal->done(journal->arg, journal->read.result, &journal->page);
    buffer_clear(&journal->bytes);
    free(journal->rows);
    free(journal);
}

/* The buffer may move while it grows: until it is complete, rows have only sizes and whether there is something. */
static int append_entry(struct journal_job *job, sqlite3_stmt *from)
{
    struct store_journal *row = &job->rows[job->page.count];

    journal_take_row(from, row);
    if (row->device)
        buffer_append(&job->bytes, row->device, strlen(row->device) + 1);
    if (row->body.data)
        buffer_append(&job->bytes, row->body.data, row->body.size);
    job->page.count++;
    return job->bytes.failed ? -ENOMEM : 0;
}

static void set_pointers(struct journal_job *job)
{
    const uint8_t *next = job->bytes.data;

    for (size_t i = 0; i < job->page.count; i++) {
        struct store_journal *row = &job->rows[i];

        if (row->device) {
            row->device = (const char *)next;
            next += strlen(row->device) + 1;
        }
        if (row->body.data) {
            row->body.data = next;
            next += row->body.size;
        }
    }
    job->page.rows = job->rows;
}

static int collect_entries(struct journal_job *job, sqlite3_stmt *from)
{
    int rc = SQLITE_OK, result = 0;

    while (result == 0 && job->page.count < job->max && (job->page.count == 0 || job->bytes.size < job->max_bytes) &&
           (rc = sqlite3_step(from)) == SQLITE_ROW)
        result = append_entry(job, from);
    if (result == 0 && rc != SQLITE_ROW && rc != SQLITE_DONE && rc != SQLITE_OK)
        result = -EIO;
    set_pointers(job);
    return result;
}

/* The oldest entry that is kept, and up to which number some went. */
static int read_bounds(struct journal_job *job, sqlite3_stmt *bounds)
{
    uint64_t first, trimmed;

    if (sqlite3_step(bounds) != SQLITE_ROW)
        return -EIO;
    first = (uint64_t)sqlite3_column_int64(bounds, 0);
    trimmed = (uint64_t)sqlite3_column_int64(bounds, 1);
    job->page.first_kept = first ? first : trimmed + 1;
    job->page.gone = trimmed > job->after ? trimmed - job->after : 0;
    return 0;
}

static int read_entries(struct read_job *read, const struct reader *reader)
{
    struct journal_job *job = container_of(read, struct journal_job, read);
    int result = -EIO;

    job->rows = calloc(job->max, sizeof *job->rows);
    if (!job->rows)
        return -ENOMEM;
    /* One snapshot for both: what is trimmed between them would be neither read nor gone. */
    if (sqlite3_bind_int64(reader->journal, 1, (sqlite3_int64)job->after) == SQLITE_OK &&
        sqlite3_bind_int64(reader->journal, 2, (sqlite3_int64)job->max) == SQLITE_OK &&
        sqlite3_bind_int(reader->journal, 3, STORE_JOURNAL_AUDIT) == SQLITE_OK &&
        sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK) {
        result = read_bounds(job, reader->bounds);
        if (result == 0)
            result = collect_entries(job, reader->journal);
    }
    (void)sqlite3_reset(reader->bounds);
    (void)sqlite3_reset(reader->journal);
    if (!sqlite3_get_autocommit(reader->db))
        (void)sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL);
    return result;
}

int store_read_journal(struct store *store, uint64_t after, size_t max, size_t max_bytes, store_journal_fn done,
                       void *arg)
{
    struct journal_job *job = calloc(1, sizeof *job);

    if (!job)
        return -ENOMEM;
    job->read.job.finish = finish_journal;
    job->read.run = read_entries;
    job->after = after > INT64_MAX ? INT64_MAX : after;
    job->max = max < 1 ? 1 : max > PAGE_MAX ? PAGE_MAX : max;
    job->max_bytes = max_bytes;
    job->done = done;
    job->arg = arg;
    reader_submit(store, &job->read);
    return 0;
}
