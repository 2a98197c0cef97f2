#include "core/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Shadow documents: their heads are in memory, their bodies in the database alone. */

/* Of one kind of a device. */
struct shadow_state {
    struct shadow now; /* what is durable */
    uint64_t latest;   /* the revision of what was written last, durable or not; 0: it was deleted */
    uint64_t counter;  /* the highest revision that was given */
};

struct shadow_states {
    struct shadow_state kind[SHADOW_KIND_COUNT];
};

static const char *const kind_names[SHADOW_KIND_COUNT] = {
    [SHADOW_DESIRED] = "desired",
    [SHADOW_REPORTED] = "reported",
};

static const struct shadow none = {.format = -1};

/* NULL: out of memory. */
static struct shadow_state *state_of(struct device *device, enum shadow_kind kind)
{
    if (!device->shadows) {
        device->shadows = calloc(1, sizeof *device->shadows);
        for (unsigned i = 0; device->shadows && i < SHADOW_KIND_COUNT; i++)
            device->shadows->kind[i].now = none;
    }
    return device->shadows ? &device->shadows->kind[kind] : NULL;
}

struct shadow core_shadow(const struct device *device, enum shadow_kind kind)
{
    return device->shadows ? device->shadows->kind[kind].now : none;
}

uint64_t core_shadow_latest(const struct device *device, enum shadow_kind kind)
{
    return device->shadows ? device->shadows->kind[kind].latest : 0;
}

int shadow_load(void *arg, const struct store_shadow *row)
{
    struct device *device = index_find_device(arg, row->device);
    struct shadow_state *state;
    unsigned kind = 0;

    while (kind < SHADOW_KIND_COUNT && strcmp(kind_names[kind], row->kind) != 0)
        kind++;
    if (!device || kind == SHADOW_KIND_COUNT)
        return 0;
    state = state_of(device, (enum shadow_kind)kind);
    if (!state)
        return -ENOMEM;
    state->now = (struct shadow){
        .revision = row->revision, .format = row->format, .size = row->body.size, .updated = row->updated};
    state->latest = state->counter = row->revision;
    return 0;
}

void core_on_shadow(struct core *core, void (*changed)(void *arg, struct device *device, enum shadow_kind kind),
                    void *arg)
{
    struct shadow_listener *listeners = core->shadow_listeners;
    unsigned i = 0;

    while (i < SHADOW_LISTENERS && listeners[i].changed && (changed || listeners[i].arg != arg))
        i++;
    assert(!changed || i < SHADOW_LISTENERS);
    if (changed)
        listeners[i] = (struct shadow_listener){changed, arg};
    else if (i < SHADOW_LISTENERS)
        memmove(&listeners[i], &listeners[i + 1], (SHADOW_LISTENERS - i) * sizeof *listeners); /* the last is none */
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

/* What a commit makes of a document. */
struct shadow_change {
    enum shadow_kind kind;
    struct shadow shadow; /* revision 0: deleted */
};

static void settle_shadow(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    const struct shadow_change *change = commit->old;
    struct shadow_state *state = device && device->shadows ? &device->shadows->kind[change->kind] : NULL;

    if (!state) {
        if (durable)
            (void)fault_set(fault, FAULT_NOT_FOUND, "Device '%s' was removed meanwhile.", commit->device);
        return;
    }
    if (!durable) {
        if (state->latest == change->shadow.revision) /* nothing was written after it */
            state->latest = state->now.revision;
        return;
    }
    state->now = change->shadow;
    for (const struct shadow_listener *l = commit->core->shadow_listeners; l->changed && device; l++) {
        l->changed(l->arg, device, change->kind);
        device = index_find_device(commit->core, commit->device); /* they may do anything */
    }
}

static int new_change(struct commit **out, struct device *device, enum shadow_kind kind, struct shadow shadow,
                      core_done_fn done, void *arg)
{
    struct shadow_change *change = malloc(sizeof *change);

    if (!change || commit_new(out, device->core, done, arg)) {
        free(change);
        return -ENOMEM;
    }
    *change = (struct shadow_change){kind, shadow};
    (void)text_copy((*out)->device, sizeof(*out)->device, device->id);
    (*out)->old = change;
    (*out)->settle = settle_shadow;
    return 0;
}

static int check_device(struct core *core, const struct device *device, struct fault *fault)
{
    if (core_check_accepting(core, fault))
        return 1;
    if (device->removing)
        return fault_set(fault, FAULT_NOT_FOUND, "Device '%s' is being removed.", device->id);
    return 0;
}

/* Revisions begin with the time, so that a document which comes back has another ETag than the one before. */
static uint64_t next_revision(const struct shadow_state *state, int64_t wall)
{
    uint64_t time = wall > 0 ? (uint64_t)wall : 1;

    return state->counter ? state->counter + 1 : time;
}

static int check_put(struct core *core, const struct device *device, size_t size, struct fault *fault)
{
    if (check_device(core, device, fault))
        return 1;
    if (size > core->options.max_shadow_bytes)
        return fault_set(fault, FAULT_BODY_TOO_LARGE,
                         "The document has %zu bytes; the configured limit is %u (limits.shadow_size).", size,
                         core->options.max_shadow_bytes);
    return 0;
}

static void batch_put_shadow(struct store_batch *batch, const struct device *device, enum shadow_kind kind,
                             const struct shadow *shadow, const void *body)
{
    store_batch_put_shadow(batch, &(struct store_shadow){.device = device->id,
                                                         .kind = kind_names[kind],
                                                         .format = shadow->format,
                                                         .revision = shadow->revision,
                                                         .updated = shadow->updated,
                                                         .body = {shadow->size ? body : "", shadow->size}});
}

int core_put_shadow(struct core *core, struct device *device, enum shadow_kind kind, struct shadow *shadow,
                    const void *body, core_done_fn done, void *arg, struct fault *fault)
{
    struct shadow_state *state;
    struct commit *commit;

    if (check_put(core, device, shadow->size, fault))
        return 1;
    state = state_of(device, kind);
    if (!state)
        return -ENOMEM;
    shadow->updated = core_wall(core);
    shadow->revision = next_revision(state, shadow->updated);
    if (new_change(&commit, device, kind, *shadow, done, arg))
        return -ENOMEM;
    state->latest = state->counter = shadow->revision;
    batch_put_shadow(commit->batch, device, kind, shadow, body);
    commit_submit(commit);
    return 0;
}

int core_delete_shadow(struct core *core, struct device *device, enum shadow_kind kind, core_done_fn done, void *arg,
                       struct fault *fault)
{
    struct commit *commit;

    if (check_device(core, device, fault))
        return 1;
    if (core_shadow_latest(device, kind) == 0)
        return fault_set(fault, FAULT_NOT_FOUND, "Device '%s' has no %s document.", device->id, kind_names[kind]);
    if (new_change(&commit, device, kind, none, done, arg))
        return -ENOMEM;
    device->shadows->kind[kind].latest = 0;
    store_batch_delete_shadow(commit->batch, device->id, kind_names[kind]);
    commit_submit(commit);
    return 0;
}

/* Reading ---------------------------------------------------------------------------------------------------------- */

struct shadow_read {
    struct list node;
    core_shadow_fn done;
    void *arg;
};

static void finish_read(void *arg, int result, const struct store_shadow *row)
{
    struct shadow_read *read = arg;
    struct shadow shadow = none;

    list_unlink(&read->node);
    if (result == 0)
        shadow = (struct shadow){
            .revision = row->revision, .format = row->format, .size = row->body.size, .updated = row->updated};
    read->done(read->arg, result, result == 0 ? &shadow : NULL, result == 0 ? row->body.data : NULL);
    free(read);
}

int core_read_shadow(struct core *core, struct device *device, enum shadow_kind kind, core_shadow_fn done, void *arg)
{
    struct shadow_read *read = malloc(sizeof *read);

    if (!read)
        return -ENOMEM;
    read->done = done;
    read->arg = arg;
    list_init(&read->node);
    if (store_read_shadow(core->options.store, device->id, kind_names[kind], finish_read, read)) {
        free(read);
        return -ENOMEM;
    }
    list_append(&core->shadow_reads, &read->node);
    return 0;
}

void shadow_reads_free(struct core *core)
{
    while (!list_empty(&core->shadow_reads)) {
        struct shadow_read *read = list_first(&core->shadow_reads, struct shadow_read, node);

        list_unlink(&read->node);
        free(read);
    }
}
