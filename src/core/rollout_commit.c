#include "core/rollout_private.h"

#include <string.h>

/* What a rollout changes goes into one commit at a time; what cannot be written is written again, and until then
 * nothing is done about it. */

bool rollout_holds(const struct container *c)
{
    for (const struct rollout *r = c->device->core->rollouts; r; r = r->hh.next) {
        const struct member *m = (r->changes > r->settled || r->dirty) && strcmp(r->spec->container, c->uid) == 0
                                     ? rollout_member(r, c->device->id)
                                     : NULL;

        if (m && (m->written > r->settled || m->dirty))
            return true;
    }
    return false;
}

static void mark_dirty(struct rollout *r, uint64_t change)
{
    r->dirty = true;
    for (struct member *m = r->members; m; m = m->hh.next)
        m->dirty |= m->written >= change; /* a later one need not have all that this one had */
    if (!r->timer.armed && !r->core->stopped)
        core_arm(r->core, &r->timer, core_now(r->core) + RETRY_MS);
}

static struct container *container_of_member(const struct rollout *r, const struct member *m)
{
    struct device *device = index_find_device(r->core, m->device);

    return device ? index_find_container(device, r->spec->container) : NULL;
}

/* The reconciler may go on with what is durable now; what is not is written again, all in one. */
static void settle_change(struct commit *commit, bool durable, struct fault *fault)
{
    struct rollout *r = rollout_find(commit->core, commit->id);

    (void)fault;
    if (!r)
        return;
    r->settled++;
    if (!durable) {
        mark_dirty(r, r->settled);
        return;
    }
    list_each(node, &r->active)
    {
        const struct member *m = container_of(node, struct member, node);
        struct container *c = m->written == r->settled ? container_of_member(r, m) : NULL;

        if (c)
            reconcile_touch(c);
    }
}

struct store_batch *rollout_change_batch(struct rollout_change *change)
{
    struct rollout *r = change->rollout;

    if (!change->commit) {
        if (commit_new(&change->commit, r->core, NULL, NULL)) {
            r->dirty = true;
            return NULL;
        }
        (void)text_copy(change->commit->id, sizeof change->commit->id, r->id);
        change->commit->settle = settle_change;
    }
    return change->commit->batch;
}

void rollout_change_submit(struct rollout_change *change)
{
    if (!change->commit)
        return;
    change->rollout->changes++;
    commit_submit(steal_pointer(change->commit));
}

void rollout_write_dirty(struct rollout_change *change)
{
    struct rollout *r = change->rollout;
    struct store_batch *batch = r->dirty ? rollout_change_batch(change) : NULL;

    if (!batch)
        return;
    r->dirty = false;
    rollout_put(batch, r);
    for (struct member *m = r->members; m; m = m->hh.next) {
        struct container *c = m->dirty && m->previous ? container_of_member(r, m) : NULL;

        if (m->dirty)
            rollout_write_member(change, m);
        if (c)
            batch_put_container(batch, c);
        m->dirty = false;
    }
}
