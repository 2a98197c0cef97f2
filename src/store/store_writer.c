#include "store/store_private.h"

#include "store/history_private.h"

#include <errno.h>
#include <sys/stat.h>

/* Bounds how long the first batch of a group waits for the last one. */
#define GROUP_MAX 1024

static struct store_batch *batch_of(struct list *node)
{
    return container_of(node, struct store_batch, job.node);
}

static void fail_all(struct list *group, int result)
{
    list_each(node, group) if (batch_of(node)->result == 0) batch_of(node)->result = result;
}

/* Where losing the last second in a power cut was chosen, that does not go for credentials: numbers that were reserved
 * and used would be used again. */
static int choose_sync(const struct store *store, struct list *group)
{
    bool guarded = false;

    if (!store->relaxed)
        return 0;
    list_each(node, group) guarded |= batch_of(node)->guarded;
    return sqlite3_exec(store->db, guarded ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", NULL, NULL,
                        NULL) == SQLITE_OK
               ? 0
               : -EIO;
}

/* Writes a group as one transaction and notes each batch's result. False when a batch made SQLite give up the whole
 * transaction, so that nothing of the group is written. */
static bool write_transaction(struct store *store, struct list *group, bool *committed)
{
    int result = choose_sync(store, group);
    struct audit_head audit = store->audit;
    bool guarded = false;

    if (result == 0)
        result = store_run(store, STATEMENT_BEGIN);
    *committed = false;
    list_each(node, group)
    {
        batch_of(node)->result = result < 0 ? result : store_apply_batch(store, batch_of(node));
        guarded |= batch_of(node)->guarded && batch_of(node)->result == 0;
        if (result == 0 && sqlite3_get_autocommit(store->db)) {
            store->audit = audit;
            return false;
        }
    }
    if (result < 0)
        return true;
    if (guarded)
        result = store_count_guard(store);
    if (result == 0)
        result = store_run(store, STATEMENT_COMMIT);
    *committed = result == 0;
    if (*committed && guarded)
        store_advance_guard(store);
    if (result < 0) {
        store->audit = audit;
        fail_all(group, result);
        if (!sqlite3_get_autocommit(store->db))
            (void)store_run(store, STATEMENT_ROLLBACK);
    }
    return true;
}

static bool write_together(struct store *store, struct list *group, bool *committed, struct store_stats *stats)
{
    int64_t begun = store_now_us();
    bool written = write_transaction(store, group, committed);

    histogram_add(&stats->commit_us, &histogram_micros, (uint64_t)(store_now_us() - begun));
    return written;
}

/* The same with a transaction for each batch, so that one which cannot be written takes none with it. */
static void write_singly(struct store *store, struct list *group, struct store_stats *stats)
{
    list_each(node, group)
    {
        struct list alone, *next = node->next;
        bool committed;

        list_init(&alone);
        list_unlink(node);
        list_append(&alone, node);
        (void)write_together(store, &alone, &committed, stats);
        stats->commits += committed;
        stats->failed_commits += !committed;
        list_unlink(node);
        list_append(next, node); /* back to where it was */
    }
}

static void write_group(struct store *store, struct list *group, struct store_stats *stats)
{
    bool committed;

    if (write_together(store, group, &committed, stats)) {
        stats->commits += committed;
        stats->failed_commits += !committed;
    } else {
        write_singly(store, group, stats);
    }
}

static void note_waiting(struct list *group, struct store_stats *stats)
{
    int64_t now = store_now_us();

    list_each(node, group)
        histogram_add(&stats->waiting_us, &histogram_micros, (uint64_t)(now - batch_of(node)->submitted_us));
}

/* Takes the next group, waiting for one; false when there is none and the store closes. */
static bool take_group(struct store *store, struct list *group, size_t *count)
{
    list_init(group);
    *count = 0;
    pthread_mutex_lock(&store->mutex);
    while (list_empty(&store->batches) && !store->closing)
        pthread_cond_wait(&store->batches_wait, &store->mutex);
    for (; *count < GROUP_MAX && !list_empty(&store->batches); ++*count) {
        struct list *node = store->batches.next;

        list_unlink(node);
        list_append(group, node);
    }
    pthread_mutex_unlock(&store->mutex);
    return *count > 0;
}

static uint64_t file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t store_file_bytes(const struct store *store)
{
    return file_size(store->database) + file_size(store->wal);
}

void *store_writer_main(void *arg)
{
    struct store *store = arg;
    struct list group;
    size_t count;

    while (take_group(store, &group, &count)) {
        struct store_stats stats = {0};

        write_group(store, &group, &stats);
        histogram_add(&stats.group, &histogram_counts, count);
        note_waiting(&group, &stats);
        store->removals += store->group_removals;
        count -= history_take_slices(store, &group);
        stats.batches = count;
        stats.file_bytes = store_file_bytes(store);
        store_hand_back(store, &group, count, &stats);
    }
    return NULL;
}
