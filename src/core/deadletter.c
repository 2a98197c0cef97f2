#include "core/deadletter.h"

#include "base/log.h"
#include "core/internal.h"

#include <errno.h>
#include <string.h>

static struct dead_letter *letter_new(const struct store_dead_letter *row)
{
    struct dead_letter *letter = calloc(1, sizeof *letter + row->body.size);

    if (!letter)
        return NULL;
    list_init(&letter->node);
    letter->first = row->first;
    letter->last = row->last;
    letter->time = row->time;
    letter->attempts = row->attempts;
    (void)text_copy(letter->sink, sizeof letter->sink, row->sink);
    (void)text_copy(letter->reason, sizeof letter->reason, row->reason ? row->reason : "");
    letter->size = row->body.size;
    if (row->body.size)
        memcpy(letter->body, row->body.data, row->body.size);
    return letter;
}

static void letter_free(struct dead_letter *letter)
{
    list_unlink(&letter->node);
    free(letter);
}

int deadletter_load(void *arg, const struct store_dead_letter *row)
{
    struct core *core = arg;
    struct dead_letter *letter = letter_new(row);

    if (!letter)
        return -ENOMEM;
    list_append(&core->dead_letters, &letter->node);
    return 0;
}

void deadletters_free(struct core *core)
{
    while (!list_empty(&core->dead_letters))
        letter_free(list_first(&core->dead_letters, struct dead_letter, node));
}

struct dead_letter *core_next_dead_letter(const struct core *core, const char *sink, const struct dead_letter *after)
{
    const struct list *node = after ? after->node.next : core->dead_letters.next;

    for (; node != &core->dead_letters; node = node->next) {
        struct dead_letter *letter = container_of(node, struct dead_letter, node);

        if (strcmp(letter->sink, sink) == 0)
            return letter;
    }
    return NULL;
}

struct dead_letter *core_find_dead_letter(const struct core *core, const char *sink, uint64_t first)
{
    struct dead_letter *letter = core_next_dead_letter(core, sink, NULL);

    while (letter && letter->first != first)
        letter = core_next_dead_letter(core, sink, letter);
    return letter;
}

/* Makes room for one with so many bytes. */
static void drop_oldest(struct core *core, struct store_batch *batch, const char *sink, size_t size)
{
    size_t count = 1, bytes = size;

    for (struct dead_letter *l = core_next_dead_letter(core, sink, NULL); l; l = core_next_dead_letter(core, sink, l)) {
        count++;
        bytes += l->size;
    }
    while (count > DEAD_LETTERS_MAX || bytes > DEAD_LETTERS_BYTES) {
        struct dead_letter *oldest = core_next_dead_letter(core, sink, NULL);

        if (!oldest)
            return;
        log_warning("there are too many dead letters: the oldest is dropped", "sink", sink, NULL);
        store_batch_delete_dead_letter(batch, sink, oldest->first);
        count--;
        bytes -= oldest->size;
        letter_free(oldest);
    }
}

bool core_bury(struct core *core, const struct store_dead_letter *row)
{
    struct dead_letter *letter = letter_new(row), *old = core_find_dead_letter(core, row->sink, row->first);
    struct commit *commit = NULL;

    if (!letter || commit_new(&commit, core, NULL, NULL) < 0) {
        free(letter);
        return false;
    }
    if (old)
        letter_free(old);
    drop_oldest(core, commit->batch, row->sink, row->body.size);
    list_append(&core->dead_letters, &letter->node);
    store_batch_put_dead_letter(commit->batch, row);
    commit_submit(commit);
    return true;
}

static void settle_drop(struct commit *commit, bool durable, struct fault *fault)
{
    struct dead_letter *letter = core_find_dead_letter(commit->core, commit->key, commit->value);

    (void)fault;
    if (durable && letter)
        letter_free(letter);
}

int core_drop_dead_letter(struct core *core, const struct dead_letter *letter, core_done_fn done, void *arg,
                          struct fault *fault)
{
    struct commit *commit = NULL;

    if (core_check_accepting(core, fault))
        return 1;
    if (commit_new(&commit, core, done, arg) < 0)
        return -ENOMEM;
    commit->settle = settle_drop;
    commit->value = letter->first;
    commit->key = strdup(letter->sink);
    if (!commit->key) {
        commit_free(commit);
        return -ENOMEM;
    }
    store_batch_delete_dead_letter(commit->batch, letter->sink, letter->first);
    commit_submit(commit);
    return 0;
}
