#include "store/store_private.h"

#include "base/buffer.h"

#include <errno.h>
#include <string.h>

/* The audit trail's rows: appended by the writer, read and checked by the reader. */

#define PAGE_MAX 1024
#define PAGE_BYTES (1u << 20)

/* Takes a hash of a row, which somebody may have damaged. */
static void take_hash(sqlite3_stmt *from, int column, uint8_t *out, size_t size)
{
    const void *bytes = sqlite3_column_blob(from, column);

    memset(out, 0, size);
    if (bytes && (size_t)sqlite3_column_bytes(from, column) == size)
        memcpy(out, bytes, size);
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

static int read_head(const struct store *store, const char *sql, struct audit_head *out)
{
    sqlite3_stmt *from = NULL;
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &from, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(from);
    if (rc == SQLITE_ROW) {
        out->seq = (uint64_t)sqlite3_column_int64(from, 0);
        take_hash(from, 1, out->hash, sizeof out->hash);
    }
    (void)sqlite3_finalize(from);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Where all entries are gone, the chain goes on from the base. */
int store_open_audit(struct store *store)
{
    int rc = read_head(store, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", &store->audit);

    if (rc == SQLITE_OK && store->audit.seq == 0)
        rc = read_head(store, "SELECT seq, hash FROM audit_anchor ORDER BY seq DESC LIMIT 1", &store->audit);
    store->audit_head = store->audit;
    return rc;
}

int store_apply_audit(struct store *store, const struct change *change)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ADD_AUDIT];
    const char *body = change->values[2].text;
    struct audit_head next = {.seq = (uint64_t)change->values[0].number};
    int result = body ? audit_chain(store->audit.hash, body, strlen(body), next.hash) : -ENOMEM;

    if (result == 0 && (sqlite3_bind_int64(statement, 1, change->values[0].number) != SQLITE_OK ||
                        sqlite3_bind_int64(statement, 2, change->values[1].number) != SQLITE_OK ||
                        sqlite3_bind_text(statement, 3, body, -1, SQLITE_STATIC) != SQLITE_OK ||
                        sqlite3_bind_blob(statement, 4, next.hash, sizeof next.hash, SQLITE_STATIC) != SQLITE_OK))
        result = -EIO;
    if (result == 0)
        result = store_step(store, statement);
    if (result == 0)
        store->audit = next;
    return result;
}

/* A page ----------------------------------------------------------------------------------------------------------- */

struct audit_job {
    struct read_job read;
    uint64_t after;
    size_t max;
    struct store_audit_page page;
    struct store_audit *rows;
    struct audit_anchor *anchors;
    struct buffer bytes; /* the rows' bodies */
    store_audit_fn done;
    void *arg;
};

static void finish_page(struct job *job, bool call)
{
    struct audit_job *audit = container_of(job, struct audit_job, read.job);

    if (call)
        audit->done(audit->arg, audit->read.result, &audit->page);
    buffer_clear(&audit->bytes);
    free(audit->rows);
    free(audit->anchors);
    free(audit);
}

static void take_entry(struct audit_job *job, sqlite3_stmt *from)
{
    struct store_audit *row = &job->rows[job->page.count++];

    row->seq = (uint64_t)sqlite3_column_int64(from, 0);
    take_hash(from, 1, row->hash, sizeof row->hash);
    row->size = (size_t)sqlite3_column_bytes(from, 2);
    buffer_append(&job->bytes, sqlite3_column_text(from, 2), row->size);
}

/* The buffer may move while it grows. */
static void set_bodies(struct audit_job *job)
{
    const uint8_t *next = job->bytes.data;

    for (size_t i = 0; i < job->page.count; i++) {
        job->rows[i].body = (const char *)next;
        next += job->rows[i].size;
    }
    job->page.rows = job->rows;
}

static int read_rows(struct audit_job *job, sqlite3_stmt *from)
{
    int rc = sqlite3_bind_int64(from, 1, (sqlite3_int64)job->after);

    while (rc == SQLITE_OK && (rc = sqlite3_step(from)) == SQLITE_ROW) {
        job->page.more = job->page.count == job->max || job->bytes.size > PAGE_BYTES;
        if (job->page.more)
            break;
        take_entry(job, from);
        rc = SQLITE_OK;
    }
    if (job->bytes.failed)
        return -ENOMEM;
    set_bodies(job);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

static void take_anchor(struct audit_anchor *out, sqlite3_stmt *from)
{
    out->seq = (uint64_t)sqlite3_column_int64(from, 0);
    out->base = sqlite3_column_int(from, 1);
    out->time = sqlite3_column_int64(from, 2);
    take_hash(from, 3, out->hash, sizeof out->hash);
    take_hash(from, 4, out->signature, sizeof out->signature);
}

/* Of the same numbers as the rows, and behind the last one what is there without its entry. */
static int read_anchors(struct audit_job *job, sqlite3_stmt *from)
{
    uint64_t last = job->page.more ? job->rows[job->page.count - 1].seq : INT64_MAX;
    size_t room = 0;
    int rc = sqlite3_bind_int64(from, 1, (sqlite3_int64)job->after);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(from, 2, (sqlite3_int64)last);
    while (rc == SQLITE_OK && (rc = sqlite3_step(from)) == SQLITE_ROW) {
        if (job->page.anchor_count == room) {
            struct audit_anchor *more = realloc(job->anchors, (room + 64) * sizeof *more);

            if (!more)
                return -ENOMEM;
            job->anchors = more;
            room += 64;
        }
        take_anchor(&job->anchors[job->page.anchor_count++], from);
        rc = SQLITE_OK;
    }
    job->page.anchors = job->anchors;
    return rc == SQLITE_DONE ? 0 : -EIO;
}

static int read_page(struct read_job *read, const struct reader *reader)
{
    struct audit_job *job = container_of(read, struct audit_job, read);
    int result = -EIO;

    job->rows = calloc(job->max, sizeof *job->rows);
    if (!job->rows)
        return -ENOMEM;
    if (sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK) {
        result = read_rows(job, reader->audit);
        if (result == 0)
            result = read_anchors(job, reader->anchors);
    }
    (void)sqlite3_reset(reader->audit);
    (void)sqlite3_reset(reader->anchors);
    if (!sqlite3_get_autocommit(reader->db))
        (void)sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL);
    return result;
}

int store_read_audit(struct store *store, uint64_t after, size_t max, store_audit_fn done, void *arg)
{
    struct audit_job *job = calloc(1, sizeof *job);

    if (!job)
        return -ENOMEM;
    job->read.job.finish = finish_page;
    job->read.run = read_page;
    job->after = after > INT64_MAX ? INT64_MAX : after;
    job->max = max < 1 ? 1 : max > PAGE_MAX ? PAGE_MAX : max;
    job->done = done;
    job->arg = arg;
    reader_submit(store, &job->read);
    return 0;
}

/* What may go ------------------------------------------------------------------------------------------------------ */

struct floor_job {
    struct read_job read;
    uint64_t keep;
    struct audit_anchor last;
    store_audit_floor_fn done;
    void *arg;
};

static void finish_floor(struct job *job, bool call)
{
    struct floor_job *floor = container_of(job, struct floor_job, read.job);

    if (call)
        floor->done(floor->arg, floor->read.result, &floor->last);
    free(floor);
}

/* The newest entry that is too much; 0: none is. */
static int find_surplus(sqlite3 *db, uint64_t keep, int64_t *out)
{
    sqlite3_stmt *from = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT seq FROM audit ORDER BY seq DESC LIMIT 1 OFFSET ?", -1, &from, NULL);

    *out = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(from, 1, (sqlite3_int64)keep);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(from);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(from, 0);
    (void)sqlite3_finalize(from);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

/* What somebody changed is not made good by letting it go: the hashes up to the new base have to be right. */
static int verify_until(sqlite3_stmt *entries, int64_t until, struct audit_anchor *last)
{
    int rc = SQLITE_ROW;

    while ((rc = sqlite3_step(entries)) == SQLITE_ROW && sqlite3_column_int64(entries, 0) <= until) {
        uint8_t said[AUDIT_HASH_SIZE];

        if (audit_chain(last->hash, sqlite3_column_text(entries, 2), (size_t)sqlite3_column_bytes(entries, 2),
                        last->hash))
            return -EIO;
        take_hash(entries, 1, said, sizeof said);
        if (memcmp(said, last->hash, sizeof said) != 0)
            return -EBADMSG;
        last->seq = (uint64_t)sqlite3_column_int64(entries, 0);
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

static int find_base(sqlite3 *db, struct audit_anchor *out)
{
    sqlite3_stmt *from = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "SELECT seq, base, time, hash, signature FROM audit_anchor WHERE base ORDER BY seq DESC"
                                " LIMIT 1",
                                -1, &from, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(from)) == SQLITE_ROW)
        take_anchor(out, from);
    (void)sqlite3_finalize(from);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

static int find_floor(struct read_job *read, const struct reader *reader)
{
    struct floor_job *job = container_of(read, struct floor_job, read);
    int64_t until;
    int result = find_surplus(reader->db, job->keep, &until);

    if (result == 0)
        result = find_base(reader->db, &job->last);
    job->last.seq = 0;
    if (result < 0 || until == 0)
        return result;
    if (sqlite3_bind_int64(reader->audit, 1, 0) != SQLITE_OK)
        return -EIO;
    result = verify_until(reader->audit, until, &job->last);
    (void)sqlite3_reset(reader->audit);
    return result;
}

int store_find_audit_floor(struct store *store, uint64_t keep, store_audit_floor_fn done, void *arg)
{
    struct floor_job *job = calloc(1, sizeof *job);

    if (!job)
        return -ENOMEM;
    job->read.job.finish = finish_floor;
    job->read.run = find_floor;
    job->keep = keep;
    job->done = done;
    job->arg = arg;
    reader_submit(store, &job->read);
    return 0;
}
