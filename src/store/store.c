#define _GNU_SOURCE /* asprintf */

#include "store/store_private.h"

#include "store/history_private.h"
#include "store/spool.h"
#include "store/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define THREAD_STACK (256 << 10)

static char *join_path(const char *directory, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

static int make_directory(const char *path, char *reason, size_t size)
{
    struct stat st;

    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        return store_refuse(reason, size, STORE_E_DIRECTORY, "the state directory %s cannot be made: %s", path,
                            strerror(errno));
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return store_refuse(reason, size, STORE_E_DIRECTORY,
                            "%s is not a directory: choose another state directory, or move that file away", path);
    return 0;
}

/* Leaves our process id in the lock file, for the message of one that comes second. */
static void mark_lock(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) < 0)
        return; /* it only serves a message */
}

static int refuse_locked(const struct store *store, char *reason, size_t size)
{
    char text[24] = "";
    ssize_t n = pread(store->lock, text, sizeof text - 1, 0);

    if (n <= 0 || atol(text) <= 0)
        return store_refuse(reason, size, STORE_E_LOCKED,
                            "another tcgwd uses the state directory %s: stop it, or choose another directory",
                            store->directory);
    return store_refuse(reason, size, STORE_E_LOCKED,
                        "another tcgwd (process %ld) uses the state directory %s: stop it, or choose another directory",
                        atol(text), store->directory);
}

static int lock_directory(struct store *store, char *reason, size_t size)
{
    cleanup_free char *path = join_path(store->directory, "lock");

    if (!path)
        return -ENOMEM;
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (store->lock < 0)
        return store_refuse(reason, size, errno == ENOSPC ? STORE_E_IO : STORE_E_DIRECTORY,
                            "the state directory %s cannot be written to: %s; give it to the user that runs the daemon",
                            store->directory, strerror(errno));
    if (flock(store->lock, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? refuse_locked(store, reason, size)
                   : store_refuse(reason, size, STORE_E_IO, "%s cannot be locked: %s", path, strerror(errno));
    mark_lock(store->lock);
    return 0;
}

static int clean_spool(const struct store *store, char *reason, size_t size)
{
    int result = spool_clean(store->directory);

    if (result < 0)
        return store_refuse(reason, size, result == -ENOSPC ? STORE_E_IO : STORE_E_DIRECTORY,
                            "the upload spool %s/spool cannot be used: %s", store->directory, strerror(-result));
    return 0;
}

/* Signals are for the loop's thread. */
int store_start_thread(pthread_t *thread, void *(*body)(void *), void *arg, const char *name)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int result;

    if (pthread_attr_init(&attributes) != 0)
        return -ENOMEM;
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(thread, &attributes, body, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (result == 0)
        (void)pthread_setname_np(*thread, name);
    return -result;
}

static int start_threads(struct store *store)
{
    int result = store_start_thread(&store->writer, store_writer_main, store, "store-writer");

    store->writer_runs = result == 0;
    if (result == 0)
        result = store_start_thread(&store->reader, store_reader_main, store, "store-reader");
    store->reader_runs = store->writer_runs && result == 0;
    if (result == 0)
        result = history_start(store);
    return result;
}

static struct store *store_new(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);

    if (!store)
        return NULL;
    store->lock = store->guard = -1;
    store->relaxed = options->synchronous == 1;
    store->wake = options->wake;
    store->wake_arg = options->wake_arg;
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_cond_init(&store->batches_wait, NULL);
    (void)pthread_cond_init(&store->reads_wait, NULL);
    (void)pthread_cond_init(&store->written, NULL);
    list_init(&store->batches);
    list_init(&store->reads);
    list_init(&store->finished);
    store->stats.schema_version = schema_version;
    store->directory = strdup(options->directory);
    store->database = join_path(options->directory, "tcgw.db");
    store->wal = join_path(options->directory, "tcgw.db-wal");
    return store->directory && store->database && store->wal ? store : store_close(store);
}

int store_open(struct store **out, const struct store_options *options, char *reason, size_t reason_size)
{
    struct store *store = store_new(options);
    int result;

    *out = NULL;
    if (!store)
        return store_refuse(reason, reason_size, -ENOMEM, "out of memory");
    result = make_directory(store->directory, reason, reason_size);
    if (result == 0)
        result = lock_directory(store, reason, reason_size);
    if (result == 0)
        result = store_check_restored(store, reason, reason_size);
    if (result == 0)
        result = clean_spool(store, reason, reason_size);
    if (result == 0)
        result = store_open_database(store, options, reason, reason_size);
    if (result == 0) {
        store->stats.file_bytes = store_file_bytes(store);
        result = start_threads(store);
    }
    if (result < 0)
        (void)store_refuse(reason, reason_size, result, "the store cannot be started: %s", strerror(-result));
    if (result == 0)
        *out = steal_pointer(store);
    store_close(store);
    return result;
}

static void stop_threads(struct store *store)
{
    chore_stop(store);
    pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    pthread_cond_signal(&store->reads_wait);
    pthread_mutex_unlock(&store->mutex);
    if (store->reader_runs)
        (void)pthread_join(store->reader, NULL);
    history_stop(store->history); /* it may wait for the writer */
    pthread_mutex_lock(&store->mutex);
    store->closing = true;
    pthread_cond_signal(&store->batches_wait);
    pthread_mutex_unlock(&store->mutex);
    if (store->writer_runs)
        (void)pthread_join(store->writer, NULL);
    store->history = history_free(store->history);
}

static void drop_jobs(struct list *jobs)
{
    list_each(node, jobs)
    {
        struct job *job = container_of(node, struct job, node);

        job->finish(job, false);
    }
}

/* The writer's connection goes last: the last one to close checkpoints the WAL and removes it. */
static void close_database(struct store *store)
{
    (void)sqlite3_close(store->reader_db);
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(store->statements[i]);
    (void)sqlite3_close(store->db);
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    stop_threads(store);
    drop_jobs(&store->finished);
    drop_jobs(&store->reads);
    close_database(store);
    if (store->guard >= 0)
        (void)close(store->guard);
    if (store->lock >= 0)
        (void)close(store->lock);
    (void)pthread_cond_destroy(&store->written);
    (void)pthread_cond_destroy(&store->reads_wait);
    (void)pthread_cond_destroy(&store->batches_wait);
    (void)pthread_mutex_destroy(&store->mutex);
    free(store->wal);
    free(store->database);
    free(store->directory);
    free(store);
    return NULL;
}

int64_t store_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void store_submit(struct store *store, struct store_batch *batch, store_done_fn done, void *arg)
{
    batch->done = done;
    batch->arg = arg;
    batch->submitted_us = store_now_us();
    pthread_mutex_lock(&store->mutex);
    list_append(&store->batches, &batch->job.node);
    store->submitted++;
    pthread_cond_signal(&store->batches_wait);
    pthread_mutex_unlock(&store->mutex);
}

static void add_figures(struct store_stats *stats, const struct store_stats *group)
{
    stats->batches += group->batches;
    stats->commits += group->commits;
    stats->failed_commits += group->failed_commits;
    stats->file_bytes = group->file_bytes;
    histogram_merge(&stats->commit_us, &group->commit_us);
    histogram_merge(&stats->waiting_us, &group->waiting_us);
    histogram_merge(&stats->group, &group->group);
}

void store_hand_back(struct store *store, struct list *jobs, size_t count, const struct store_stats *group)
{
    pthread_mutex_lock(&store->mutex);
    list_each(node, jobs)
    {
        list_unlink(node);
        list_append(&store->finished, node);
    }
    store->finished_count += count;
    if (group) {
        add_figures(&store->stats, group);
        store->audit_head = store->audit;
    }
    pthread_cond_signal(&store->written);
    pthread_mutex_unlock(&store->mutex);
    if (store->wake)
        store->wake(store->wake_arg);
}

static struct job *take_finished(struct store *store)
{
    struct job *job = NULL;

    pthread_mutex_lock(&store->mutex);
    if (!list_empty(&store->finished)) {
        job = list_first(&store->finished, struct job, node);
        list_unlink(&job->node);
        store->finished_count--;
    }
    pthread_mutex_unlock(&store->mutex);
    return job;
}

/* Jobs are taken one by one, so that the order holds when a callback dispatches or flushes; only as many as there were
 * at first, so that callbacks which submit do not keep the loop here. */
void store_dispatch(struct store *store)
{
    struct job *job;
    size_t count;

    pthread_mutex_lock(&store->mutex);
    count = store->finished_count;
    pthread_mutex_unlock(&store->mutex);
    while (count-- > 0 && (job = take_finished(store)))
        job->finish(job, true);
}

void store_flush(struct store *store)
{
    uint64_t target;

    pthread_mutex_lock(&store->mutex);
    target = store->submitted;
    while (store->stats.batches < target)
        pthread_cond_wait(&store->written, &store->mutex);
    pthread_mutex_unlock(&store->mutex);
    store_dispatch(store);
}

void store_get_audit_head(const struct store *store, uint64_t *seq, uint8_t hash[AUDIT_HASH_SIZE])
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)&store->mutex; /* NOLINT: guards what the caller may read */

    pthread_mutex_lock(mutex);
    *seq = store->audit_head.seq;
    memcpy(hash, store->audit_head.hash, AUDIT_HASH_SIZE);
    pthread_mutex_unlock(mutex);
}

void store_get_stats(const struct store *store, struct store_stats *out)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)&store->mutex; /* NOLINT: guards what the caller may read */

    pthread_mutex_lock(mutex);
    *out = store->stats;
    out->pending = store->submitted - store->stats.batches;
    pthread_mutex_unlock(mutex);
}
