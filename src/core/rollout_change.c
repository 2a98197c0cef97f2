#include "core/rollout_private.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

/* What a person does with rollouts: create, plan, act, remove. */

/* Creating --------------------------------------------------------------------------------------------------------- */

/* What a rollout would be for: a checked body, and the devices that it selects now. */
struct draft {
    struct rollout_spec *spec;
    struct device **devices;
    size_t count;
};

static void draft_clear(struct draft *draft)
{
    rollout_spec_free(draft->spec);
    free(draft->devices);
}

static int draft_make(struct draft *draft, struct core *core, const json_t *body, struct fault *fault)
{
    int r;

    if (core_check_accepting(core, fault))
        return 1;
    r = rollout_spec_parse(&draft->spec, body, fault);
    if (r == 0)
        r = selector_list(draft->spec->devices, core, &draft->devices, &draft->count);
    if (r == 0 && draft->count == 0)
        return fault_set_at(fault, FAULT_NOTHING_SELECTED, "/devices", "No device matches the selector.");
    if (r == 0 && draft->count > SELECTOR_DEVICES_MAX)
        return fault_set_at(fault, FAULT_LIMIT_REACHED, "/devices", "%zu devices match; a rollout is for at most %d.",
                            draft->count, SELECTOR_DEVICES_MAX);
    return r;
}

/* What is wrong with all of it, or in conflict on some device; what a single device refuses is its own matter. */
static int check_draft(const struct draft *draft, struct core *core, struct fault *fault)
{
    const struct rollout_spec *spec = draft->spec;

    if (*spec->artifact && !core_find_artifact(core, spec->artifact))
        return artifact_missing(core, spec->artifact, fault);
    for (size_t i = 0; i < draft->count; i++) {
        struct fault found = {.code = FAULT_NONE};

        if (rollout_check_device(NULL, spec, draft->devices[i], &found) &&
            (found.code == FAULT_CONFLICT || (*spec->release && found.code == FAULT_NOT_FOUND))) {
            if (fault)
                *fault = found;
            return 1;
        }
    }
    return 0;
}

static int check_limits(struct core *core, size_t members, struct fault *fault)
{
    unsigned unfinished = 0;

    for (const struct rollout *r = core->rollouts; r; r = r->hh.next)
        unfinished += rollout_is_unfinished(r);
    if (unfinished >= ROLLOUTS_UNFINISHED_MAX)
        return fault_set(fault, FAULT_LIMIT_REACHED, "%u rollouts are under way, which is the limit.", unfinished);
    if (HASH_COUNT(core->rollouts) >= ROLLOUTS_MAX || core->rollout_members + members > ROLLOUT_MEMBERS_MAX)
        return fault_set(fault, FAULT_LIMIT_REACHED,
                         "The gateway keeps %d rollouts with %d devices in all; remove some that have ended.",
                         ROLLOUTS_MAX, ROLLOUT_MEMBERS_MAX);
    return 0;
}

static void settle_add(struct commit *commit, bool durable, struct fault *fault)
{
    struct rollout *r = rollout_find(commit->core, commit->id);

    (void)fault;
    if (!r)
        return;
    if (!durable) {
        rollout_drop(r);
        return;
    }
    log_info("rollout created", "rollout", r->id, "container", r->spec->container, NULL);
    r->held--;
    rollout_wake_soon(r, 0);
}

static int add_members(struct rollout *r, const struct draft *draft)
{
    size_t sizes[ROLLOUT_WAVES_MAX + 1], count = rollout_waves(r->spec, draft->count, sizes), at = 0;

    r->wave_count = (unsigned)count;
    for (unsigned wave = 0; wave < count; wave++)
        for (size_t i = 0; i < sizes[wave]; i++) {
            struct member *m = rollout_add_member(r, draft->devices[at++]->id, wave);

            if (!m)
                return -ENOMEM;
            m->since = r->created;
        }
    rollout_enlist(r);
    return 0;
}

static struct rollout *build(struct core *core, struct draft *draft)
{
    char id[UUID_SIZE];
    struct rollout *r = rollout_new(core, text_new_uuid(core_wall(core), id), draft->spec);

    if (!r)
        return NULL;
    draft->spec = NULL;
    r->created = r->updated = core_wall(core);
    if (add_members(r, draft)) {
        rollout_drop(r);
        return NULL;
    }
    (void)snprintf(r->reason, sizeof r->reason, "Wave 1 of %u.", r->wave_count);
    r->held = 1;
    return r;
}

int core_add_rollout(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                     char id[UUID_SIZE])
{
    cleanup(draft_clear) struct draft draft = {.spec = NULL};
    struct commit *commit;
    struct rollout *rollout;
    int r = draft_make(&draft, core, body, fault);

    if (r)
        return r;
    if (check_limits(core, draft.count, fault) || check_draft(&draft, core, fault))
        return 1;
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    rollout = build(core, &draft);
    if (!rollout) {
        commit_free(commit);
        return -ENOMEM;
    }
    (void)text_copy(commit->id, sizeof commit->id, rollout->id);
    (void)text_copy(id, UUID_SIZE, rollout->id);
    commit->settle = settle_add;
    rollout_put(commit->batch, rollout);
    for (const struct member *m = rollout->members; m; m = m->hh.next)
        rollout_put_member(commit->batch, rollout, m);
    rollout_tell(commit->batch, rollout);
    commit_submit(commit);
    return 0;
}

/* Planning --------------------------------------------------------------------------------------------------------- */

static const char *plan_action(const struct rollout_spec *spec, struct device *device, struct fault *fault)
{
    const struct container *c = core_find_container(device, spec->container);
    const struct artifact *artifact;
    int64_t since;

    if (rollout_check_device(NULL, spec, device, fault))
        return "refuse";
    artifact = rollout_pick(spec, device, fault);
    if (!c)
        return "install";
    if (artifact && strcmp(artifact->id, c->desired_artifact) == 0 && strcmp(spec->release, c->desired_release) == 0 &&
        c->desired == spec->state && container_converged(c, &since))
        return "keep";
    return "update";
}

static json_t *plan_device(const struct rollout_spec *spec, struct device *device, size_t wave, json_t *counts)
{
    struct fault fault = {.code = FAULT_NONE};
    const char *action = plan_action(spec, device, &fault);

    (void)json_object_set_new(counts, action, json_integer(json_integer_value(json_object_get(counts, action)) + 1));
    return json_pack("{s:s, s:i, s:s, s:o}", "device", device->id, "wave", (int)wave + 1, "action", action, "refused",
                     json_fault(&fault, false));
}

int core_plan_rollout(struct core *core, const json_t *body, json_t **plan, struct fault *fault)
{
    cleanup(draft_clear) struct draft draft = {.spec = NULL};
    json_t *devices = json_array(),
           *counts = json_pack("{s:i, s:i, s:i, s:i}", "install", 0, "update", 0, "keep", 0, "refuse", 0);
    size_t sizes[ROLLOUT_WAVES_MAX + 1], waves, at = 0;
    int r = draft_make(&draft, core, body, fault);

    if (r) {
        json_decref(devices);
        json_decref(counts);
        return r;
    }
    waves = rollout_waves(draft.spec, draft.count, sizes);
    for (size_t wave = 0; wave < waves; wave++)
        for (size_t i = 0; i < sizes[wave]; i++)
            (void)json_array_append_new(devices, plan_device(draft.spec, draft.devices[at++], wave, counts));
    (void)json_object_set_new(counts, "waves", json_integer((json_int_t)waves));
    *plan = json_pack("{s:o, s:o}", "devices", devices, "counts", counts);
    return *plan ? 0 : -ENOMEM;
}

/* Acting ----------------------------------------------------------------------------------------------------------- */

/* What an act changes, to be undone. */
struct past {
    enum rollout_state before, after;
    char reason[FAULT_DETAIL_SIZE];
    uint32_t tolerated;
    int64_t updated, ended;
};

static void settle_act(struct commit *commit, bool durable, struct fault *fault)
{
    struct rollout *r = rollout_find(commit->core, commit->id);
    const struct past *past = commit->old;

    (void)fault;
    if (!r)
        return;
    if (!durable && r->state == past->after) {
        r->state = past->before;
        r->tolerated = past->tolerated;
        r->updated = past->updated;
        r->ended = past->ended;
        (void)text_copy(r->reason, sizeof r->reason, past->reason);
    }
    if (--r->held == 0) {
        rollout_enlist(r);
        rollout_wake_soon(r, 0);
    }
}

static bool is_allowed(enum rollout_action action, enum rollout_state state)
{
    static const unsigned from[] = {
        [ROLLOUT_PAUSE] = 1u << ROLLOUT_RUNNING | 1u << ROLLOUT_PAUSED,
        [ROLLOUT_RESUME] = 1u << ROLLOUT_RUNNING | 1u << ROLLOUT_PAUSED,
        [ROLLOUT_ABORT] =
            1u << ROLLOUT_RUNNING | 1u << ROLLOUT_PAUSED | 1u << ROLLOUT_ROLLING_BACK | 1u << ROLLOUT_ABORTED,
        [ROLLOUT_ROLL_BACK] = ~0u,
    };

    return from[action] >> state & 1;
}

static void act(struct rollout *r, enum rollout_action action)
{
    switch (action) {
    case ROLLOUT_PAUSE:
        if (r->state == ROLLOUT_RUNNING)
            rollout_set_state(r, ROLLOUT_PAUSED, "A person paused it.");
        break;
    case ROLLOUT_RESUME:
        r->tolerated = (uint32_t)rollout_count(r, MEMBER_FAILED);
        if (r->state == ROLLOUT_PAUSED)
            rollout_set_state(r, ROLLOUT_RUNNING, "A person let it go on: wave %u of %u.", r->wave + 1, r->wave_count);
        break;
    case ROLLOUT_ABORT:
        if (r->state != ROLLOUT_ABORTED)
            rollout_set_state(r, ROLLOUT_ABORTED, "A person aborted it.");
        break;
    case ROLLOUT_ROLL_BACK:
        if (r->state != ROLLOUT_ROLLING_BACK && r->state != ROLLOUT_ROLLED_BACK)
            rollout_set_state(r, ROLLOUT_ROLLING_BACK, "A person rolled it back.");
        break;
    }
}

/* One that has ended and is to be taken back may have been followed by another, which has to end before. */
static int check_followers(const struct rollout *r, enum rollout_action action, struct fault *fault)
{
    if (action != ROLLOUT_ROLL_BACK || rollout_is_unfinished(r))
        return 0;
    for (const struct rollout *other = r->core->rollouts; other; other = other->hh.next)
        if (rollout_is_unfinished(other) && strcmp(other->spec->container, r->spec->container) == 0 &&
            strcmp(other->id, r->id) > 0)
            return fault_set(fault, FAULT_CONFLICT, "Rollout %s is at the same container; it has to end before.",
                             other->id);
    return 0;
}

static int find(struct core *core, const char *id, struct rollout **r, struct fault *fault)
{
    if (core_check_accepting(core, fault))
        return 1;
    *r = rollout_find(core, id);
    return *r ? 0 : fault_set(fault, FAULT_NOT_FOUND, "There is no rollout '%s'.", id);
}

int core_act_on_rollout(struct core *core, const char *id, enum rollout_action action, core_done_fn done, void *arg,
                        struct fault *fault)
{
    struct commit *commit;
    struct rollout *r;
    struct past *past;

    if (find(core, id, &r, fault))
        return 1;
    if (r->removing)
        return fault_set(fault, FAULT_CONFLICT, "Rollout %s is being removed.", id);
    if (!is_allowed(action, r->state))
        return fault_set(fault, FAULT_CONFLICT, "Rollout %s is %s.", id, rollout_state_name(r->state));
    if (check_followers(r, action, fault))
        return 1;
    past = calloc(1, sizeof *past);
    if (!past || commit_new(&commit, core, done, arg)) {
        free(past);
        return -ENOMEM;
    }
    *past = (struct past){.before = r->state, .tolerated = r->tolerated, .updated = r->updated, .ended = r->ended};
    memcpy(past->reason, r->reason, sizeof past->reason);
    act(r, action);
    past->after = r->state;
    commit->old = past;
    commit->settle = settle_act;
    (void)text_copy(commit->id, sizeof commit->id, id);
    r->held++;
    rollout_put(commit->batch, r);
    rollout_tell(commit->batch, r);
    commit_submit(commit);
    return 0;
}

/* Removing --------------------------------------------------------------------------------------------------------- */

static void settle_remove(struct commit *commit, bool durable, struct fault *fault)
{
    struct rollout *r = rollout_find(commit->core, commit->id);

    (void)fault;
    if (!r)
        return;
    r->held--;
    r->removing = false;
    if (durable)
        rollout_drop(r);
}

int core_remove_rollout(struct core *core, const char *id, core_done_fn done, void *arg, struct fault *fault)
{
    struct commit *commit;
    struct rollout *r;

    if (find(core, id, &r, fault))
        return 1;
    if (rollout_is_unfinished(r) || r->held)
        return fault_set(fault, FAULT_CONFLICT, "Rollout %s is %s; abort it, or let it end, before it is removed.", id,
                         rollout_state_name(r->state));
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    r->held++;
    r->removing = true;
    (void)text_copy(commit->id, sizeof commit->id, id);
    commit->settle = settle_remove;
    store_batch_delete_document(commit->batch, "rollout", id);
    for (const struct member *m = r->members; m; m = m->hh.next) {
        char key[UUID_SIZE + CORE_ID_MAX + 1];

        (void)snprintf(key, sizeof key, "%s/%s", id, m->device);
        store_batch_delete_document(commit->batch, "rollout-device", key);
    }
    commit_submit(commit);
    return 0;
}
