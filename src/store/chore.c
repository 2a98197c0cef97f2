#include "store/chore.h"

#include "store/chore_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define VERDICT_LINES 20

/* Compaction ------------------------------------------------------------------------------------------------------- */

struct compaction {
    struct store *store;
    store_compact_fn done;
    void *arg;
};

static void compacted(void *arg, int result)
{
    struct compaction *compaction = arg;
    const struct store_pages pages = {.left = compaction->store->free_pages, .size = compaction->store->page_size};

    compaction->done(compaction->arg, result, &pages);
    free(compaction);
}

int store_compact(struct store *store, store_compact_fn done, void *arg)
{
    struct compaction *compaction = calloc(1, sizeof *compaction);
    struct store_batch *batch = compaction ? store_batch_new() : NULL;

    if (!batch) {
        free(compaction);
        return -ENOMEM;
    }
    *compaction = (struct compaction){store, done, arg};
    batch_run(batch, STATEMENT_COMPACT, NULL, 0);
    store_submit(store, batch, compacted, compaction);
    return 0;
}

/* The thread ------------------------------------------------------------------------------------------------------- */

static void *chore_main(void *arg)
{
    struct chore *chore = arg;
    struct list finished;

    chore->result = chore->run(chore);
    list_init(&finished);
    list_append(&finished, &chore->job.node);
    store_hand_back(chore->store, &finished, 1, NULL);
    return NULL;
}

static void finish(struct job *job, bool call)
{
    struct chore *chore = container_of(job, struct chore, job);

    if (!chore->joined)
        (void)pthread_join(chore->thread, NULL);
    chore->store->chore = NULL;
    (void)sqlite3_close(chore->db);
    if (call)
        chore->tell(chore);
    if (chore->path)
        (void)unlink(chore->path);
    free(chore->path);
    free(chore->text);
    free(chore);
}

int chore_start(struct store *store, int (*run)(struct chore *chore), void (*tell)(struct chore *chore),
                void (*done)(void), void *arg)
{
    struct chore *chore;
    int result;

    if (store->chore)
        return -EBUSY;
    chore = calloc(1, sizeof *chore);
    if (!chore)
        return -ENOMEM;
    list_init(&chore->job.node);
    chore->job.finish = finish;
    chore->store = store;
    chore->run = run;
    chore->tell = tell;
    chore->done = done;
    chore->arg = arg;
    result = store_open_reader(store, &chore->db) == SQLITE_OK ? 0 : -EIO;
    if (result == 0)
        result = store_start_thread(&chore->thread, chore_main, chore, "store-chore");
    if (result == 0) {
        store->chore = chore;
        return 0;
    }
    (void)sqlite3_close(chore->db);
    free(chore);
    return result;
}

void chore_stop(struct store *store)
{
    struct chore *chore = store->chore;

    if (!chore)
        return;
    sqlite3_interrupt(chore->db);
    (void)pthread_join(chore->thread, NULL);
    chore->joined = true;
}

/* Integrity -------------------------------------------------------------------------------------------------------- */

static int take_verdict(void *arg, int columns, char **values, char **names)
{
    struct buffer *text = arg;

    (void)columns, (void)names;
    buffer_printf(text, "%s%s", text->size ? "\n" : "", values[0] ? values[0] : "");
    return text->failed;
}

static int run_check(struct chore *chore)
{
    struct buffer text = buffer_init(65536);
    char sql[40];
    size_t size;
    int rc;

    (void)snprintf(sql, sizeof sql, "PRAGMA integrity_check(%d)", VERDICT_LINES);
    rc = sqlite3_exec(chore->db, sql, take_verdict, &text, NULL);
    if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB) {
        buffer_printf(&text, "%s%s", text.size ? "\n" : "", sqlite3_errmsg(chore->db));
        rc = SQLITE_OK;
    }
    buffer_append_u8(&text, 0);
    chore->text = (char *)buffer_steal(&text, &size);
    return rc != SQLITE_OK ? -EIO : chore->text ? 0 : -ENOMEM;
}

static void tell_check(struct chore *chore)
{
    ((store_check_fn)chore->done)(chore->arg, chore->result, chore->text);
}

int store_check(struct store *store, store_check_fn done, void *arg)
{
    return chore_start(store, run_check, tell_check, (void (*)(void))done, arg);
}
