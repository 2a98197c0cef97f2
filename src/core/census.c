#include "core/internal.h"

#include "base/log.h"

#include <string.h>

/*
 * What a device holds, by its own account, where its agent can list that: what is gone is found out for all containers
 * with one question, and what nobody asked for gets a record whose desired state is "unknown", so that everybody sees
 * it. That is adopted, removed or left as it is, as the configuration says.
 */

void census_due(struct device *device, int64_t delay_ms)
{
    struct core *core = device->core;

    if (core->started && !core->stopped && core->options.reconcile.retry_min_ms && core->options.reconcile.interval_ms)
        core_arm(core, &device->census, core_now(core) + delay_ms);
}

void census_fired(struct timer *timer)
{
    struct device *device = container_of(timer, struct device, census);

    census_due(device, device->core->options.reconcile.interval_ms);
    if (!device->removing && device_features(device)->can_list && device_is_awake(device))
        (void)query_list(device);
}

/* One whose code the device tells, if the gateway has it; "" otherwise. */
static const char *find_artifact(const struct core *core, const char *digest)
{
    for (const struct artifact *a = *digest ? core->artifacts : NULL; a; a = a->hh.next)
        if (!a->pending && !a->removing && strcmp(a->code_digest, digest) == 0)
            return a->id;
    return "";
}

/* What the configuration says of one that nobody asked for. */
static void decide(struct container *c)
{
    enum unasked policy = c->device->core->options.reconcile.unasked;

    if (policy == UNASKED_REMOVE)
        c->desired = CONTAINER_ABSENT;
    if (policy == UNASKED_ADOPT && *c->reported_artifact) {
        c->desired = c->reported == CONTAINER_RUNNING ? CONTAINER_RUNNING : CONTAINER_STOPPED;
        container_set_artifact(c, c->desired_artifact, c->reported_artifact);
    }
    if (c->desired == CONTAINER_UNKNOWN)
        return;
    c->revision++;
    reconcile_reset(c);
    log_info(policy == UNASKED_ADOPT ? "container adopted" : "container is removed, since nobody asked for it",
             "device", c->device->id, "container", c->uid, NULL);
}

static void note_stranger(struct device *device, const struct agent_held *held)
{
    struct container *c;

    if (!text_is_name(held->uid, CORE_ID_MAX) ||
        HASH_COUNT(device->containers) >= device->core->options.max_containers_per_device)
        return;
    c = container_new(device, held->uid);
    if (!c)
        return;
    log_warning("the device holds a container that nobody asked for", "device", device->id, "container", held->uid,
                NULL);
    c->desired = CONTAINER_UNKNOWN;
    c->reported_at = core_wall(device->core);
    container_set_load(c, LOAD_DONE);
    container_set_artifact(c, c->reported_artifact, find_artifact(device->core, held->artifact_seen));
    container_set_reported(c, held->state);
    decide(c);
    c->told = 0;
    container_write(c);
}

static const struct agent_held *find_held(const struct agent_call *call, const char *uid)
{
    for (size_t i = 0; i < call->held_count; i++)
        if (strcmp(call->held[i].uid, uid) == 0)
            return &call->held[i];
    return NULL;
}

static void update(struct container *c, const struct agent_held *held)
{
    struct agent_call status = {.outcome = held ? AGENT_OK : AGENT_ABSENT, .state = CONTAINER_ABSENT};
    struct fault fault;

    if (c->removing || container_has_operations(c))
        return;
    if (held) {
        status.state = held->state;
        memcpy(status.artifact_seen, held->artifact_seen, sizeof status.artifact_seen);
    }
    if (held || c->load != LOAD_NONE)
        query_apply_status(c, &status);
    c->ask = false;
    if (c->desired != CONTAINER_UNKNOWN)
        return;
    if (!held)
        (void)!core_forget_container(c->device->core, c, NULL, NULL, &fault);
    else if (c->device->core->options.reconcile.unasked != UNASKED_REPORT)
        decide(c);
}

void census_take(struct device *device, const struct agent_call *call)
{
    struct container *next;

    if (call->outcome != AGENT_OK || device->removing)
        return;
    for (struct container *c = device->containers; c; c = next) {
        next = c->hh.next;
        update(c, find_held(call, c->uid));
    }
    for (size_t i = 0; i < call->held_count; i++)
        if (!index_find_container(device, call->held[i].uid))
            note_stranger(device, &call->held[i]);
}
