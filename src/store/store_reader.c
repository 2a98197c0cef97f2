#include "store/store_private.h"

#include <errno.h>
#include <string.h>

void reader_submit(struct store *store, struct read_job *read)
{
    list_init(&read->job.node);
    pthread_mutex_lock(&store->mutex);
    list_append(&store->reads, &read->job.node);
    pthread_cond_signal(&store->reads_wait);
    pthread_mutex_unlock(&store->mutex);
}

/* Parts of an artifact --------------------------------------------------------------------------------------------- */

struct blobs_job {
    struct read_job read;
    struct store_blobs blobs;
    store_blobs_fn done;
    void *arg;
    char artifact[];
};

static void finish_blobs(struct job *job, bool call)
{
    struct blobs_job *blobs = container_of(job, struct blobs_job, read.job);

    if (call) {
        blobs->done(blobs->arg, blobs->read.result, &blobs->blobs);
    } else {
        free(blobs->blobs.code);
        free(blobs->blobs.data);
    }
    free(blobs);
}

static int read_part(sqlite3 *db, sqlite3_int64 row, uint8_t **out, size_t *out_size)
{
    cleanup_free uint8_t *bytes = NULL;
    sqlite3_blob *blob = NULL;
    int size, rc = sqlite3_blob_open(db, "main", "content", "bytes", row, 0, &blob);

    if (rc != SQLITE_OK)
        return -EIO;
    size = sqlite3_blob_bytes(blob);
    if (size > 0) {
        bytes = malloc((size_t)size);
        rc = bytes ? sqlite3_blob_read(blob, bytes, size, 0) : SQLITE_NOMEM;
    }
    (void)sqlite3_blob_close(blob);
    if (rc != SQLITE_OK)
        return rc == SQLITE_NOMEM ? -ENOMEM : -EIO;
    *out = steal_pointer(bytes);
    *out_size = (size_t)size;
    return 0;
}

/* Reads the parts that the open statement's rows name; its snapshot holds until it is reset. */
static int read_parts(sqlite3 *db, sqlite3_stmt *find, struct store_blobs *blobs)
{
    int rc, result = -ENOENT;

    while ((rc = sqlite3_step(find)) == SQLITE_ROW) {
        bool code = sqlite3_column_int(find, 1);

        if (sqlite3_column_type(find, 0) == SQLITE_NULL) {
            result = 0; /* an artifact without parts */
            continue;
        }
        result = read_part(db, sqlite3_column_int64(find, 0), code ? &blobs->code : &blobs->data,
                           code ? &blobs->code_size : &blobs->data_size);
        if (result < 0)
            return result;
    }
    return rc == SQLITE_DONE ? result : -EIO;
}

static int read_artifact(struct read_job *read, const struct reader *reader)
{
    struct blobs_job *job = container_of(read, struct blobs_job, read);
    struct store_blobs *blobs = &job->blobs;
    int result = -EIO;

    if (sqlite3_bind_text(reader->parts, 1, job->artifact, -1, SQLITE_STATIC) == SQLITE_OK)
        result = read_parts(reader->db, reader->parts, blobs);
    (void)sqlite3_reset(reader->parts);
    (void)sqlite3_clear_bindings(reader->parts);
    if (result < 0) {
        free(blobs->code);
        free(blobs->data);
        *blobs = (struct store_blobs){0};
    }
    return result;
}

int store_read_blobs(struct store *store, const char *artifact_id, store_blobs_fn done, void *arg)
{
    size_t size = strlen(artifact_id) + 1;
    struct blobs_job *job = calloc(1, sizeof *job + size);

    if (!job)
        return -ENOMEM;
    job->read.job.finish = finish_blobs;
    job->read.run = read_artifact;
    job->done = done;
    job->arg = arg;
    memcpy(job->artifact, artifact_id, size);
    reader_submit(store, &job->read);
    return 0;
}

/* Shadows ---------------------------------------------------------------------------------------------------------- */

struct shadow_job {
    struct read_job read;
    struct store_shadow row;
    void *body;
    store_shadow_fn done;
    void *arg;
    char *kind;
    char device[]; /* and the kind */
};

static void finish_shadow(struct job *job, bool call)
{
    struct shadow_job *shadow = container_of(job, struct shadow_job, read.job);

    if (call)
        shadow->done(shadow->arg, shadow->read.result, &shadow->row);
    free(shadow->body);
    free(shadow);
}

static int take_row(struct shadow_job *job, sqlite3_stmt *from)
{
    const void *body = sqlite3_column_blob(from, 3);
    size_t size = (size_t)sqlite3_column_bytes(from, 3);

    job->body = malloc(size ? size : 1);
    if (!job->body)
        return -ENOMEM;
    if (size)
        memcpy(job->body, body, size);
    job->row = (struct store_shadow){.device = job->device,
                                     .kind = job->kind,
                                     .format = sqlite3_column_int(from, 0),
                                     .revision = (uint64_t)sqlite3_column_int64(from, 1),
                                     .updated = sqlite3_column_int64(from, 2),
                                     .body = {job->body, size}};
    return 0;
}

static int read_shadow(struct read_job *read, const struct reader *reader)
{
    struct shadow_job *job = container_of(read, struct shadow_job, read);
    int result = -EIO;

    if (sqlite3_bind_text(reader->shadow, 1, job->device, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(reader->shadow, 2, job->kind, -1, SQLITE_STATIC) == SQLITE_OK) {
        int rc = sqlite3_step(reader->shadow);

        result = rc == SQLITE_ROW ? take_row(job, reader->shadow) : rc == SQLITE_DONE ? -ENOENT : -EIO;
    }
    (void)sqlite3_reset(reader->shadow);
    (void)sqlite3_clear_bindings(reader->shadow);
    return result;
}

int store_read_shadow(struct store *store, const char *device, const char *kind, store_shadow_fn done, void *arg)
{
    size_t size = strlen(device) + 1, kind_size = strlen(kind) + 1;
    struct shadow_job *job = calloc(1, sizeof *job + size + kind_size);

    if (!job)
        return -ENOMEM;
    job->read.job.finish = finish_shadow;
    job->read.run = read_shadow;
    job->done = done;
    job->arg = arg;
    memcpy(job->device, device, size);
    job->kind = memcpy(job->device + size, kind, kind_size);
    reader_submit(store, &job->read);
    return 0;
}

/* The thread ------------------------------------------------------------------------------------------------------- */

static struct read_job *take_read(struct store *store)
{
    struct read_job *read = NULL;

    pthread_mutex_lock(&store->mutex);
    while (list_empty(&store->reads) && !store->stopping)
        pthread_cond_wait(&store->reads_wait, &store->mutex);
    if (!store->stopping) {
        read = container_of(store->reads.next, struct read_job, job.node);
        list_unlink(&read->job.node);
    }
    pthread_mutex_unlock(&store->mutex);
    return read;
}

static int prepare(struct reader *reader)
{
    static const char parts[] = "SELECT c.n, h.kind = 'code' FROM artifact a LEFT JOIN holding h ON h.artifact = a.id"
                                " LEFT JOIN content c ON c.digest = h.digest WHERE a.id = ?";
    static const char shadow[] = "SELECT format, revision, updated, body FROM shadow WHERE device = ? AND kind = ?";
    /* Those of the audit trail are merged in, as far back as the journal goes. */
    static const char journal[] =
        "SELECT seq, time, kind, device, origin, body FROM journal WHERE seq > ?1"
        " UNION ALL SELECT seq, time, ?3, CASE WHEN json_valid(body) THEN json_extract(body, '$.device') END, 0,"
        " CASE WHEN json_valid(body) THEN body ELSE '{}' END FROM audit"
        " WHERE seq > max(?1, ifnull((SELECT value FROM history WHERE key = 'trimmed'), 0)) ORDER BY seq LIMIT ?2";
    static const char bounds[] =
        "WITH gone(seq) AS (SELECT ifnull((SELECT value FROM history WHERE key = 'trimmed'), 0))"
        " SELECT (SELECT min(seq) FROM (SELECT min(seq) AS seq FROM journal UNION ALL"
        " SELECT min(seq) FROM audit WHERE seq > (SELECT seq FROM gone))), (SELECT seq FROM gone)";
    static const char audit[] = "SELECT seq, hash, body FROM audit WHERE seq > ? ORDER BY seq";
    static const char anchors[] = "SELECT seq, base, time, hash, signature FROM audit_anchor WHERE seq > ? AND seq <= ?"
                                  " ORDER BY seq, base DESC";
    int rc = sqlite3_prepare_v3(reader->db, parts, -1, SQLITE_PREPARE_PERSISTENT, &reader->parts, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(reader->db, shadow, -1, SQLITE_PREPARE_PERSISTENT, &reader->shadow, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(reader->db, journal, -1, SQLITE_PREPARE_PERSISTENT, &reader->journal, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(reader->db, bounds, -1, SQLITE_PREPARE_PERSISTENT, &reader->bounds, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(reader->db, audit, -1, SQLITE_PREPARE_PERSISTENT, &reader->audit, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(reader->db, anchors, -1, SQLITE_PREPARE_PERSISTENT, &reader->anchors, NULL);
    return rc;
}

void *store_reader_main(void *arg)
{
    struct store *store = arg;
    struct reader reader = {.db = store->reader_db};
    struct read_job *read;
    int rc = prepare(&reader);

    while ((read = take_read(store))) {
        struct list finished;

        read->result = rc == SQLITE_OK ? read->run(read, &reader) : -EIO;
        list_init(&finished);
        list_append(&finished, &read->job.node);
        store_hand_back(store, &finished, 1, NULL);
    }
    (void)sqlite3_finalize(reader.parts);
    (void)sqlite3_finalize(reader.shadow);
    (void)sqlite3_finalize(reader.journal);
    (void)sqlite3_finalize(reader.bounds);
    (void)sqlite3_finalize(reader.audit);
    (void)sqlite3_finalize(reader.anchors);
    return NULL;
}
