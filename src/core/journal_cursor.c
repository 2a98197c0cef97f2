#include "core/journal_private.h"

#include <errno.h>
#include <string.h>

/* Where named readers are. All that have moved are written together, at most once a second. */

#define SAVE_MS 1000

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

static struct journal_cursor *find(const struct journal *journal, const char *name)
{
    struct journal_cursor *cursor = NULL;

    HASH_FIND_STR(journal->cursors, name, cursor);
    return cursor;
}

static void add(struct journal *journal, struct journal_cursor *cursor)
{
    HASH_ADD_STR(journal->cursors, name, cursor);
}

static void drop(struct journal *journal, struct journal_cursor *cursor)
{
    HASH_DEL(journal->cursors, cursor);
    free(cursor);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

static struct journal_cursor *find_or_add(struct journal *journal, const char *name)
{
    struct journal_cursor *cursor = find(journal, name);

    if (cursor)
        return cursor;
    cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return NULL;
    (void)text_copy(cursor->name, sizeof cursor->name, name);
    add(journal, cursor);
    return cursor;
}

int journal_load_cursor(struct core *core, const struct store_cursor *row)
{
    struct journal_cursor *cursor = find_or_add(core->journal, row->name);

    if (!cursor)
        return -ENOMEM;
    cursor->seq = row->seq;
    journal_load_number(core, row->seq); /* numbers are not given again where all entries are gone */
    return 0;
}

uint64_t core_find_cursor(const struct core *core, const char *name)
{
    const struct journal_cursor *cursor = find(core->journal, name);

    return cursor ? cursor->seq : JOURNAL_FROM_NOW;
}

static void arm(struct journal *journal)
{
    if (!journal->cursor_timer.armed && !journal->cursors_saving)
        core_arm(journal->core, &journal->cursor_timer, core_now(journal->core) + SAVE_MS);
}

static bool put_dirty(struct journal *journal, struct store_batch *batch)
{
    bool any = false;

    for (struct journal_cursor *cursor = journal->cursors; cursor; cursor = cursor->hh.next) {
        if (!cursor->dirty)
            continue;
        cursor->dirty = false;
        store_batch_put_cursor(batch, &(struct store_cursor){cursor->name, cursor->seq});
        any = true;
    }
    return any;
}

/* After a failure all are written again. */
static void saved(void *arg, int result)
{
    struct journal *journal = arg;
    bool any = false;

    journal->cursors_saving = false;
    for (struct journal_cursor *cursor = journal->cursors; cursor; cursor = cursor->hh.next) {
        cursor->dirty = cursor->dirty || result != 0;
        any = any || cursor->dirty;
    }
    if (any)
        arm(journal);
}

void journal_cursors_fire(struct timer *timer)
{
    struct journal *journal = container_of(timer, struct journal, cursor_timer);
    struct store_batch *batch = store_batch_new();

    if (!batch) {
        arm(journal);
        return;
    }
    if (!put_dirty(journal, batch)) {
        (void)store_batch_free(batch);
        return;
    }
    journal->cursors_saving = true;
    store_submit(journal->core->options.store, batch, saved, journal);
}

void journal_cursors_end(struct journal *journal)
{
    struct store_batch *batch = store_batch_new();

    if (batch && put_dirty(journal, batch))
        store_submit(journal->core->options.store, batch, NULL, NULL);
    else if (batch)
        (void)store_batch_free(batch);
}

void core_save_cursor(struct core *core, const char *name, uint64_t seq)
{
    struct journal_cursor *cursor = find_or_add(core->journal, name);

    if (!cursor || (cursor->seq == seq && seq))
        return;
    cursor->seq = seq;
    cursor->dirty = true;
    arm(core->journal);
}

void core_drop_cursor(struct core *core, const char *name)
{
    struct journal_cursor *cursor = find(core->journal, name);
    struct store_batch *batch = store_batch_new();

    if (cursor)
        drop(core->journal, cursor);
    if (!batch)
        return;
    store_batch_delete_cursor(batch, name);
    store_submit(core->options.store, batch, NULL, NULL);
}

void core_keep_cursors(struct core *core, bool (*keep)(void *arg, const char *name), void *arg)
{
    struct journal_cursor *cursor, *next;
    char name[sizeof cursor->name];

    for (cursor = core->journal->cursors; cursor; cursor = next) {
        next = cursor->hh.next;
        (void)text_copy(name, sizeof name, cursor->name);
        if (!keep(arg, name))
            core_drop_cursor(core, name);
    }
}

void journal_cursors_free(struct journal *journal)
{
    while (journal->cursors)
        drop(journal, journal->cursors);
}
