#include "store/store_private.h"

#include <errno.h>
#include <string.h>

/* A request for an artifact's parts. */
struct read_job {
    struct job job;
    int result;
    struct store_blobs blobs;
    store_blobs_fn done;
    void *arg;
    char artifact[];
};

static void finish_read(struct job *job, bool call)
{
    struct read_job *read = container_of(job, struct read_job, job);

    if (call) {
        read->done(read->arg, read->result, &read->blobs);
    } else {
        free(read->blobs.code);
        free(read->blobs.data);
    }
    free(read);
}

int store_read_blobs(struct store *store, const char *artifact_id, store_blobs_fn done, void *arg)
{
    size_t size = strlen(artifact_id) + 1;
    struct read_job *read = calloc(1, sizeof *read + size);

    if (!read)
        return -ENOMEM;
    read->job.finish = finish_read;
    read->done = done;
    read->arg = arg;
    memcpy(read->artifact, artifact_id, size);
    list_init(&read->job.node);
    pthread_mutex_lock(&store->mutex);
    list_append(&store->reads, &read->job.node);
    pthread_cond_signal(&store->reads_wait);
    pthread_mutex_unlock(&store->mutex);
    return 0;
}

static int read_part(sqlite3 *db, sqlite3_int64 row, uint8_t **out, size_t *out_size)
{
    cleanup_free uint8_t *bytes = NULL;
    sqlite3_blob *blob = NULL;
    int size, rc = sqlite3_blob_open(db, "main", "part", "content", row, 0, &blob);

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

static int read_artifact(sqlite3 *db, sqlite3_stmt *find, const char *artifact, struct store_blobs *blobs)
{
    int result = -EIO;

    if (sqlite3_bind_text(find, 1, artifact, -1, SQLITE_STATIC) == SQLITE_OK)
        result = read_parts(db, find, blobs);
    (void)sqlite3_reset(find);
    (void)sqlite3_clear_bindings(find);
    if (result < 0) {
        free(blobs->code);
        free(blobs->data);
        *blobs = (struct store_blobs){0};
    }
    return result;
}

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

void *store_reader_main(void *arg)
{
    static const char sql[] = "SELECT part.n, part.kind = 'code' FROM artifact LEFT JOIN part ON part.artifact = "
                              "artifact.id WHERE artifact.id = ?";
    struct store *store = arg;
    sqlite3_stmt *find = NULL;
    struct read_job *read;
    int rc = sqlite3_prepare_v3(store->reader_db, sql, -1, SQLITE_PREPARE_PERSISTENT, &find, NULL);

    while ((read = take_read(store))) {
        struct list finished;

        read->result = rc == SQLITE_OK ? read_artifact(store->reader_db, find, read->artifact, &read->blobs) : -EIO;
        list_init(&finished);
        list_append(&finished, &read->job.node);
        store_hand_back(store, &finished, 1, NULL);
    }
    (void)sqlite3_finalize(find);
    return NULL;
}
