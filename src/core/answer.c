#include "core/internal.h"

#include <errno.h>
#include <string.h>

#define ANSWER_KEPT_MS ((int64_t)24 * 3600 * 1000)
#define ANSWERS_MAX 10000
#define SWEEP_MS (3600 * 1000)

struct answer {
    char *key, *digest, *location, *body;
    int status;
    int64_t created;
    UT_hash_handle hh;
};

static void answer_free(struct answer *answer)
{
    if (!answer)
        return;
    free(answer->key);
    free(answer->digest);
    free(answer->location);
    free(answer->body);
    free(answer);
}

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

static struct answer *find(const struct core *core, const char *key)
{
    struct answer *answer = NULL;

    HASH_FIND_STR(core->answers, key, answer);
    return answer;
}

static void add(struct core *core, struct answer *answer)
{
    HASH_ADD_KEYPTR(hh, core->answers, answer->key, strlen(answer->key), answer);
}

static void drop(struct core *core, struct answer *answer)
{
    HASH_DEL(core->answers, answer);
    answer_free(answer);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

static struct answer *answer_new(const char *key, const struct core_answer *from, int64_t created)
{
    struct answer *answer = calloc(1, sizeof *answer);

    if (!answer)
        return NULL;
    answer->key = strdup(key);
    answer->digest = strdup(from->digest);
    answer->location = from->location ? strdup(from->location) : NULL;
    answer->body = strdup(from->body ? from->body : "");
    answer->status = from->status;
    answer->created = created;
    if (answer->key && answer->digest && answer->body && (answer->location || !from->location))
        return answer;
    answer_free(answer);
    return NULL;
}

void answer_add_loaded(struct core *core, const struct store_answer *row)
{
    struct core_answer from = {row->digest, row->status, row->location, row->body};
    struct answer *answer;

    if (row->created + ANSWER_KEPT_MS < core_wall(core) || find(core, row->key))
        return;
    answer = answer_new(row->key, &from, row->created);
    if (answer)
        add(core, answer);
}

void answers_free(struct core *core)
{
    while (core->answers)
        drop(core, core->answers);
}

/* Drops the answers made before a time, in memory and on disk, where there may be more: those that were too old when
 * they were loaded, or that could not be deleted before. */
static void drop_before(struct core *core, int64_t created)
{
    struct store_batch *batch = store_batch_new();

    while (core->answers && core->answers->created < created)
        drop(core, core->answers);
    if (!batch)
        return;
    store_batch_delete_answers_before(batch, created);
    store_submit(core->options.store, batch, NULL, NULL);
}

void answers_sweep(struct timer *timer)
{
    struct core *core = container_of(timer, struct core, sweep);

    drop_before(core, core_wall(core) - ANSWER_KEPT_MS);
    core_arm(core, &core->sweep, core_now(core) + SWEEP_MS);
}

bool core_find_answer(const struct core *core, const char *key, struct core_answer *out)
{
    const struct answer *answer = find(core, key);

    if (!answer || answer->created + ANSWER_KEPT_MS < core_wall(core))
        return false;
    *out = (struct core_answer){answer->digest, answer->status, answer->location, answer->body};
    return true;
}

static void settle_keep(struct commit *commit, bool durable, struct fault *fault)
{
    struct answer *answer = find(commit->core, commit->key);

    (void)fault;
    if (!durable && answer)
        drop(commit->core, answer);
}

int core_keep_answer(struct core *core, const char *key, const struct core_answer *from, core_done_fn done, void *arg)
{
    struct answer *answer = answer_new(key, from, core_wall(core)), *old = find(core, key);
    char *own_key = strdup(key);
    struct commit *commit;

    if (!answer || !own_key || commit_new(&commit, core, done, arg)) {
        answer_free(answer);
        free(own_key);
        return -ENOMEM;
    }
    if (old)
        drop(core, old);
    if (HASH_COUNT(core->answers) >= ANSWERS_MAX)
        drop_before(core, core->answers->created + 1);
    add(core, answer);
    commit->key = own_key;
    commit->settle = settle_keep;
    store_batch_put_answer(commit->batch, &(struct store_answer){.key = key,
                                                                 .digest = from->digest,
                                                                 .status = from->status,
                                                                 .location = from->location,
                                                                 .body = answer->body,
                                                                 .created = answer->created});
    commit_submit(commit);
    return 0;
}
