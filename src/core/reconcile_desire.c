#include "core/internal.h"
#include "core/reconcile.h"

#include "core/event.h"

#include <errno.h>
#include <string.h>

/* What services and rollouts want of a container. */

static bool is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_same_bytes(const struct container *c, const struct desired *d)
{
    if (!c->parameters || !d->parameters)
        return !c->parameters && !d->parameters;
    return c->parameters_size == d->parameters_size && memcmp(c->parameters, d->parameters, d->parameters_size) == 0;
}

static bool is_desired_already(const struct container *c, const struct desired *d)
{
    if (c->desired != d->state || !is_same(c->service, d->service))
        return false;
    return d->state == CONTAINER_ABSENT ||
           (is_same(c->desired_artifact, d->artifact) && is_same(c->desired_release, d->release) &&
            is_same(c->needs, d->needs) && c->rollback == d->rollback && is_same_bytes(c, d));
}

static int check(struct device *device, const char *uid, const struct desired *d, struct fault *fault)
{
    const struct artifact *artifact;

    if (container_check_uid(device, uid, fault))
        return 1;
    if (d->state == CONTAINER_ABSENT)
        return 0;
    artifact = core_find_artifact(device->core, d->artifact);
    if (!artifact)
        return fault_set(fault, FAULT_NOT_FOUND, "There is no artifact '%s'.", d->artifact);
    return container_check_fit(device, uid, artifact, d->state, fault);
}

static char *copy_text(const char *text, bool *failed)
{
    char *copy = text && *text ? strdup(text) : NULL;

    *failed |= text && *text && !copy;
    return copy;
}

/* All of it or, without memory, nothing. What is to be absent keeps its artifact: it is what the device holds. */
static int assign(struct container *c, const struct desired *d)
{
    bool failed = false;
    char *service = copy_text(d->service, &failed), *needs = copy_text(d->needs, &failed);
    uint8_t *parameters = d->parameters ? malloc(d->parameters_size + 1) : NULL;

    if (failed || (d->parameters && !parameters)) {
        free(service);
        free(needs);
        free(parameters);
        return -ENOMEM;
    }
    if (parameters)
        memcpy(parameters, d->parameters, d->parameters_size);
    free(c->service);
    free(c->needs);
    free(c->parameters);
    c->service = service;
    c->needs = needs;
    c->parameters = parameters;
    c->parameters_size = parameters ? d->parameters_size : 0;
    c->rollback = d->rollback;
    c->desired = d->state;
    if (d->state != CONTAINER_ABSENT) {
        (void)text_copy(c->desired_release, sizeof c->desired_release, d->release ? d->release : "");
        container_set_artifact(c, c->desired_artifact, d->artifact);
    }
    c->updated = core_wall(c->device->core);
    c->revision++;
    container_changed(c);
    return 0;
}

static void tell_and_write(struct container *c, struct store_batch *batch)
{
    if (!batch) {
        c->told = 0;
        container_write(c);
        return;
    }
    event_add(c->device->core, batch, EVENT_CONTAINER_DESIRED, c->device->id, "{s:s, s:s, s:s*, s:s*, s:s*}",
              "container", c->uid, "state", container_state_name(c->desired), "artifact",
              *c->desired_artifact ? c->desired_artifact : NULL, "release",
              *c->desired_release ? c->desired_release : NULL, "service", c->service);
    batch_put_container(batch, c);
}

int container_desire(struct device *device, const char *uid, const struct desired *desired, struct store_batch *batch,
                     struct fault *fault)
{
    struct container *c = index_find_container(device, uid);
    bool existed = c;
    int r;

    if (!c && desired->state == CONTAINER_ABSENT)
        return 0;
    if (c && !c->removing && is_desired_already(c, desired))
        return 0;
    if (batch && check(device, uid, desired, fault))
        return 1;
    if (!c)
        c = container_new(device, uid);
    if (!c)
        return -ENOMEM;
    r = assign(c, desired);
    if (r) {
        if (!existed)
            container_drop(c);
        return r;
    }
    tell_and_write(c, batch);
    reconcile_reset(c);
    return 0;
}
