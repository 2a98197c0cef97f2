#include "core/internal.h"

#include "base/log.h"
#include "core/document.h"
#include "core/event.h"
#include "core/trust.h"

#include <errno.h>
#include <string.h>

/*
 * Which artifacts stay. Kept are those that are used, that a person has pinned, that a service or a rollout names, and
 * those of the newest releases of each name. Of the others go those that were not used for long, and the longest unused
 * ones of more than a number.
 */

#define SWEEP_MS (3600 * 1000)
#define CLOCK_STEP_MS DAY_MS
#define DAY_MS (24 * INT64_C(3600000))

static bool is_digest(const char *text)
{
    return strlen(text) == CORE_DIGEST_TEXT - 1 && strspn(text, "0123456789abcdef") == CORE_DIGEST_TEXT - 1;
}

int artifact_missing(const struct core *core, const char *id, struct fault *fault)
{
    const struct pull_port *port = &core->options.pull;
    struct fault found;

    (void)fault_set_at(&found, FAULT_NOT_FOUND, "/artifact", "There is no artifact '%s'.", id);
    if (port->pull && !core->stopped && is_digest(id))
        port->pull(port->arg, id, &found);
    if (fault)
        *fault = found;
    return 1;
}

/* Pins ------------------------------------------------------------------------------------------------------------- */

static void settle_pin(struct commit *commit, bool durable, struct fault *fault);

static struct commit *find_later_pin(const struct commit *commit)
{
    list_each(node, &commit->core->commits)
    {
        struct commit *other = container_of(node, struct commit, node);

        if (other->settle == settle_pin && strcmp(other->id, commit->id) == 0)
            return other;
    }
    return NULL;
}

static void settle_pin(struct commit *commit, bool durable, struct fault *fault)
{
    struct artifact *artifact = index_find_artifact(commit->core, commit->id);
    struct commit *later = find_later_pin(commit);

    (void)fault;
    if (durable)
        return;
    if (later)
        later->value = commit->value; /* what that one would go back to */
    else if (artifact)
        artifact->pinned = commit->value;
}

int core_pin_artifact(struct core *core, struct artifact *artifact, bool pinned, core_done_fn done, void *arg,
                      struct fault *fault)
{
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    (void)text_copy(commit->id, sizeof commit->id, artifact->id);
    commit->settle = settle_pin;
    commit->value = artifact->pinned;
    artifact->pinned = pinned;
    store_batch_keep_artifact(commit->batch, artifact->id, pinned, artifact->used);
    commit_submit(commit);
    return 0;
}

/* What documents name ---------------------------------------------------------------------------------------------- */

/* An artifact by its id, or all of a release. */
static void note_text(struct core *core, json_t *named, const char *text)
{
    if (is_digest(text))
        (void)json_object_set_new(named, text, json_true());
    else
        release_note_artifacts(core, text, named);
}

static void note_names(struct core *core, json_t *named, json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_string(value))
        note_text(core, named, json_string_value(value));
    json_object_foreach(value, name, member)
    {
        note_names(core, named, member);
    }
    json_array_foreach(value, i, member)
    {
        note_names(core, named, member);
    }
}

/* A set of artifact ids; NULL: out of memory. */
static json_t *find_wanted(struct core *core)
{
    json_t *named = json_object(), *rollouts = rollout_names(core);

    for (const struct document *d = document_first(core, DOCUMENT_SERVICE); d && named; d = d->hh.next)
        note_names(core, named, d->body);
    if (named)
        note_names(core, named, rollouts);
    json_decref(rollouts);
    return named;
}

static json_t *find_named(struct core *core)
{
    json_t *named = find_wanted(core);

    if (named)
        releases_note_newest(core, core->options.keep.releases, named);
    return named;
}

int artifact_check_unneeded(struct core *core, const struct artifact *artifact, struct fault *fault)
{
    const char *release = release_with_artifact(core, artifact->id);
    json_t *wanted;
    bool is_wanted;

    if (artifact->pinned)
        return fault_set(fault, FAULT_IN_USE, "Artifact %.12s is pinned.", artifact->id);
    if (artifact->users)
        return fault_set(fault, FAULT_IN_USE, "Artifact %s is used by %u containers and unfinished operations.",
                         artifact->id, artifact->users);
    if (release)
        return fault_set(fault, FAULT_IN_USE, "Artifact %.12s is of release %s, which has to go before.", artifact->id,
                         release);
    wanted = find_wanted(core);
    is_wanted = !wanted || json_object_get(wanted, artifact->id);
    json_decref(wanted);
    return is_wanted ? fault_set(fault, FAULT_IN_USE, "A service or a rollout needs artifact %.12s.", artifact->id) : 0;
}

/* The collection --------------------------------------------------------------------------------------------------- */

static bool may_go(const struct artifact *artifact, const json_t *named)
{
    return artifact->users == 0 && !artifact->pinned && !artifact->pending && !artifact->removing && !artifact->parts &&
           !json_object_get(named, artifact->id);
}

static int64_t last_use(const struct artifact *artifact)
{
    return artifact->used > artifact->created ? artifact->used : artifact->created;
}

static int compare_use(const void *a, const void *b)
{
    int64_t left = last_use(*(struct artifact *const *)a), right = last_use(*(struct artifact *const *)b);

    return left < right ? -1 : left > right;
}

/* Those that may go, the longest unused first; the caller frees the array. */
static struct artifact **candidates(struct core *core, size_t *count)
{
    struct artifact **list = calloc(HASH_COUNT(core->artifacts) + 1, sizeof(struct artifact *));
    json_t *named = find_named(core);

    *count = 0;
    for (struct artifact *a = core->artifacts; a && list && named; a = a->hh.next)
        if (may_go(a, named))
            list[(*count)++] = a;
    if (*count)
        qsort(list, *count, sizeof(struct artifact *), compare_use);
    json_decref(named);
    return list;
}

/* As the history has it (store/history_keep.c): after a step of the wall clock nothing goes for its age until the clock
 * had time to be set right. At first it is compared with what was used last. */
static void note_clock(struct core *core)
{
    int64_t now = core_now(core), offset = core_wall(core) - now, newest = 0, step;

    for (const struct artifact *a = core->clock_offset ? NULL : core->artifacts; a; a = a->hh.next)
        if (last_use(a) > newest)
            newest = last_use(a);
    if (!core->clock_offset)
        core->clock_offset = newest ? newest - now : offset;
    step = offset - core->clock_offset;
    if (step > CLOCK_STEP_MS || step < -CLOCK_STEP_MS)
        core->clock_settled_at = now + DAY_MS;
    core->clock_offset = offset;
}

static bool is_over(struct core *core, const struct artifact *artifact, size_t left)
{
    const int64_t age = core_now(core) < core->clock_settled_at ? 0 : core->options.keep.age_ms;

    return left > core->options.keep.count || (age && core_wall(core) - last_use(artifact) >= age);
}

static void settle_collect(struct commit *commit, bool durable, struct fault *fault)
{
    const json_t *ids = commit->old, *id;
    size_t i;

    (void)fault;
    json_array_foreach(ids, i, id)
    {
        struct artifact *artifact = index_find_artifact(commit->core, json_string_value(id));

        if (!artifact)
            continue;
        artifact->removing = false;
        if (!durable)
            continue;
        log_info("artifact removed", "artifact", artifact->id, "name", artifact->name, "reason", "unused", NULL);
        index_drop_artifact(commit->core, artifact);
        artifact_free(artifact);
    }
}

static void release_ids(void *ids)
{
    json_decref(ids);
}

static void remove_one(struct commit *commit, struct artifact *artifact)
{
    artifact->removing = true;
    store_batch_delete_artifact(commit->batch, artifact->id);
    event_add(commit->core, commit->batch, EVENT_ARTIFACT_REMOVED, NULL, "{s:s, s:s, s:b}", "artifact", artifact->id,
              "name", artifact->name, "collected", 1);
}

static void collect(struct core *core, struct commit *commit, struct core_collection *out)
{
    size_t count;
    cleanup_free struct artifact **list = candidates(core, &count);

    for (size_t i = 0; i < count && is_over(core, list[i], count - i); i++) {
        (void)json_array_append_new(out->ids, json_string(list[i]->id));
        out->bytes += list[i]->code_size + list[i]->data_size;
        if (commit)
            remove_one(commit, list[i]);
    }
}

int core_collect_artifacts(struct core *core, bool dry_run, core_done_fn done, void *arg, struct fault *fault,
                           struct core_collection *out)
{
    struct commit *commit = NULL;

    note_clock(core);
    *out = (struct core_collection){.ids = json_array()};
    if (core_check_accepting(core, fault)) {
        json_decref(out->ids);
        return 1;
    }
    if (!out->ids || (!dry_run && commit_new(&commit, core, done, arg))) {
        json_decref(out->ids);
        return -ENOMEM;
    }
    collect(core, commit, out);
    if (!commit)
        return 0;
    commit->old = json_incref(out->ids);
    commit->release = release_ids;
    commit->settle = settle_collect;
    commit_submit(commit);
    return 0;
}

/* Every hour: what is used now is noted, once a day on the disk, and what nobody needs goes. */
void artifacts_sweep(struct timer *timer)
{
    struct core *core = container_of(timer, struct core, artifact_sweep);
    struct store_batch *batch = store_batch_new();
    struct core_collection collection;
    struct fault fault;

    note_clock(core); /* before what is used now moves */
    for (struct artifact *a = core->artifacts; a && batch; a = a->hh.next) {
        if (!a->users || a->pending || a->removing || core_wall(core) - a->used < DAY_MS)
            continue;
        a->used = core_wall(core);
        store_batch_keep_artifact(batch, a->id, a->pinned, a->used);
    }
    if (batch)
        store_submit(core->options.store, batch, NULL, NULL);
    if (core_collect_artifacts(core, false, NULL, NULL, &fault, &collection) == 0)
        json_decref(collection.ids);
    core_arm(core, &core->artifact_sweep, core_now(core) + SWEEP_MS);
}
