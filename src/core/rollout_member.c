#include "core/rollout_private.h"

#include "base/base64.h"
#include "core/bodycheck.h"
#include "core/emergency.h"
#include "core/event.h"
#include "core/trust.h"

#include <errno.h>
#include <string.h>

/* The steps of one device of a rollout. */

#define ASK_TIMEOUT_MS 30000

const char *member_state_name(enum member_state state)
{
    static const char *const names[] = {"pending", "updating", "done", "failed", "skipped", "reverting", "reverted"};

    return names[state];
}

static bool is_active(enum member_state state)
{
    return state == MEMBER_UPDATING || state == MEMBER_REVERTING;
}

static void count(struct rollout *r, const struct member *m, int by)
{
    r->counts[m->wave][m->state] += (size_t)by;
    if (is_active(m->state))
        r->active_count += (size_t)by;
}

void rollout_write_member(struct rollout_change *change, struct member *m)
{
    struct store_batch *batch = rollout_change_batch(change);

    m->dirty |= !batch;
    if (!batch)
        return;
    m->written = change->rollout->changes + 1;
    rollout_put_member(batch, change->rollout, m);
}

static void set_error(struct member *m, const struct fault *fault)
{
    free(m->detail);
    m->code = fault ? fault->code : FAULT_NONE;
    m->detail = fault ? strdup(fault->detail) : NULL;
}

void member_set(struct rollout_change *change, struct member *m, enum member_state state, const struct fault *fault)
{
    struct rollout *r = change->rollout;
    struct store_batch *batch = rollout_change_batch(change);

    count(r, m, -1);
    m->state = state;
    count(r, m, 1);
    m->since = core_wall(r->core);
    m->begun = core_now(r->core);
    m->ran = m->asked = 0;
    set_error(m, fault);
    list_unlink(&m->node);
    if (is_active(state))
        list_append(&r->active, &m->node);
    change->members++;
    rollout_write_member(change, m);
    if (batch)
        event_add(r->core, batch, EVENT_ROLLOUT_DEVICE, m->device, "{s:s, s:s, s:s, s:s*, s:s*}", "rollout", r->id,
                  "container", r->spec->container, "state", member_state_name(state), "error",
                  m->code ? fault_info(m->code)->slug : NULL, "detail", m->detail);
}

static void fail(struct rollout_change *change, struct member *m, enum fault_code code, const char *format, ...)
    printf_like(4, 5);

static void fail(struct rollout_change *change, struct member *m, enum fault_code code, const char *format, ...)
{
    struct fault fault = {.code = code};
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(fault.detail, sizeof fault.detail, format, ap);
    va_end(ap);
    member_set(change, m, MEMBER_FAILED, &fault);
}

/* What is wanted --------------------------------------------------------------------------------------------------- */

const struct artifact *rollout_pick(const struct rollout_spec *spec, const struct device *device, struct fault *fault)
{
    const struct artifact *artifact;

    if (*spec->release)
        return release_pick(device, spec->release, fault);
    artifact = core_find_artifact(device->core, spec->artifact);
    if (!artifact)
        (void)fault_set_at(fault, FAULT_NOT_FOUND, "/artifact", "There is no artifact '%s'.", spec->artifact);
    return artifact;
}

static int check_conflict(const struct rollout *rollout, const struct rollout_spec *spec, const struct device *device,
                          struct fault *fault)
{
    const struct container *c = index_find_container(device, spec->container);
    const char *other = rollout_of(device, spec->container);
    const char *service = c && c->service ? c->service : service_of(device, spec->container);

    if (other && (!rollout || strcmp(other, rollout->id) != 0))
        return fault_set_at(fault, FAULT_CONFLICT, "/devices",
                            "Rollout %s is at container '%s' of device '%s'; it has to end before.", other,
                            spec->container, device->id);
    if (service)
        return fault_set_at(fault, FAULT_CONFLICT, "/devices",
                            "Service '%s' wants container '%s' of device '%s'; change the service, or its devices.",
                            service, spec->container, device->id);
    return 0;
}

int rollout_check_device(const struct rollout *rollout, const struct rollout_spec *spec, struct device *device,
                         struct fault *fault)
{
    const struct artifact *artifact;

    if (check_conflict(rollout, spec, device, fault) || container_check_uid(device, spec->container, fault) ||
        device_check_protected(device, fault) || quarantine_check(device, fault) ||
        emergency_check(device->core, spec->container, NULL, "", fault))
        return 1;
    artifact = rollout_pick(spec, device, fault);
    if (!artifact || trust_admit(device, artifact, spec->release, false, fault))
        return 1;
    return container_check_fit(device, spec->container, artifact, spec->state, fault);
}

/* What was wanted before, to go back to. */
static json_t *describe(const struct container *c)
{
    cleanup_free char *parameters = c->parameters ? base64_encode(c->parameters, c->parameters_size) : NULL;

    return json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "state", container_state_name(c->desired), "artifact",
                     c->desired_artifact, "release", c->desired_release, "needs", c->needs, "parameters", parameters);
}

/* It could not be written: what the record has is written until that succeeds. */
static int desire(struct rollout_change *change, struct device *device, const struct desired *desired,
                  struct fault *fault)
{
    struct store_batch *batch = rollout_change_batch(change);
    int r;

    if (!batch)
        return -ENOMEM;
    r = container_desire(device, change->rollout->spec->container, desired, batch, fault);
    if (r < 0)
        (void)fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory.");
    return r;
}

/* Begins the update of one that waits. Out of memory leaves it waiting. */
void member_begin(struct rollout_change *change, struct member *m)
{
    struct rollout *r = change->rollout;
    const struct rollout_spec *spec = r->spec;
    struct device *device = core_find_device(r->core, m->device);
    const struct container *c = device ? core_find_container(device, spec->container) : NULL;
    const struct artifact *artifact;
    struct fault fault = {.code = FAULT_NONE};
    json_t *previous;

    if (!device || (spec->dynamic && !selector_matches(spec->devices, device))) {
        (void)fault_set(&fault, FAULT_NOT_FOUND, "The device %s.", device ? "does not match any more" : "was removed");
        member_set(change, m, MEMBER_SKIPPED, &fault);
        return;
    }
    if (rollout_check_device(r, spec, device, &fault)) {
        member_set(change, m, MEMBER_FAILED, &fault);
        return;
    }
    previous = c ? describe(c) : json_null();
    artifact = rollout_pick(spec, device, &fault);
    if (!previous || !artifact || !rollout_change_batch(change) ||
        desire(change, device,
               &(struct desired){.state = spec->state,
                                 .artifact = artifact->id,
                                 .release = spec->release,
                                 .parameters = spec->parameters,
                                 .parameters_size = spec->parameters_size},
               &fault)) {
        json_decref(previous);
        if (fault.code)
            member_set(change, m, MEMBER_FAILED, &fault);
        return;
    }
    json_decref(m->previous);
    m->previous = previous;
    m->drops = 0;
    m->value_at = 0;
    (void)text_copy(m->artifact, sizeof m->artifact, artifact->id);
    member_set(change, m, MEMBER_UPDATING, NULL);
}

/* Whether the record is still what this rollout made of it. */
static bool is_ours(const struct rollout *r, const struct member *m, const struct container *c)
{
    return c->desired == r->spec->state && !c->service && strcmp(c->desired_artifact, m->artifact) == 0 &&
           strcmp(c->desired_release, r->spec->release) == 0;
}

static int desire_previous(struct rollout_change *change, struct member *m, struct device *device, struct fault *fault)
{
    const char *text = body_text(m->previous, "parameters"), *state = body_text(m->previous, "state");
    cleanup_free uint8_t *parameters = text ? malloc(strlen(text) / 4 * 3 + 1) : NULL;
    struct desired before = {.state = CONTAINER_ABSENT, .rollback = true};

    if (state) {
        before.state = container_state_from_name(state);
        before.artifact = body_text(m->previous, "artifact");
        before.release = body_text(m->previous, "release");
        before.needs = body_text(m->previous, "needs");
    }
    if (parameters && base64_decode(text, strlen(text), parameters, &before.parameters_size))
        before.parameters = parameters;
    return desire(change, device, &before, fault);
}

/* Brings one back to what was wanted before. */
void member_revert(struct rollout_change *change, struct member *m)
{
    struct rollout *r = change->rollout;
    struct device *device = core_find_device(r->core, m->device);
    const struct container *c = device ? core_find_container(device, r->spec->container) : NULL;
    struct fault fault = {.code = FAULT_NONE};

    if (!device || !c) {
        (void)fault_set(&fault, FAULT_NOT_FOUND, "The %s was removed.", device ? "container" : "device");
        member_set(change, m, MEMBER_SKIPPED, &fault);
    } else if (!is_ours(r, m, c)) {
        (void)fault_set(&fault, FAULT_CONFLICT, "Something else has been wanted of the container since.");
        member_set(change, m, MEMBER_SKIPPED, &fault);
    } else if (desire_previous(change, m, device, &fault)) {
        if (fault.code)
            member_set(change, m, MEMBER_FAILED, &fault);
    } else {
        member_set(change, m, MEMBER_REVERTING, NULL);
    }
}

/* Looking at one that is under way --------------------------------------------------------------------------------- */

static void asked(void *arg, const struct core_query_result *result)
{
    (void)arg;
    if (result->container)
        rollout_wake(result->container->device);
}

/* Whether the device itself was asked after the time that it has to run for. */
static bool is_confirmed(const struct rollout *r, struct member *m, struct container *c, int64_t due)
{
    int64_t now = core_now(r->core);
    struct fault fault;

    if (r->spec->running_for_ms == 0 || c->reported_at >= core_wall(r->core) - (now - due))
        return true;
    if (m->asked >= due && now - m->asked < ASK_TIMEOUT_MS)
        return false;
    if (core_query_container(r->core, c, CORE_QUERY_STATUS, ASK_TIMEOUT_MS, asked, NULL, &fault) == 0)
        m->asked = now;
    return false;
}

static void note_drop(struct rollout_change *change, struct member *m)
{
    const struct rollout_spec *spec = change->rollout->spec;

    m->ran = 0;
    if (++m->drops >= spec->max_attempts)
        fail(change, m, FAULT_STOPPED_EARLY, "The container stopped %u times within the %u s that it has to run.",
             m->drops, spec->running_for_ms / 1000);
}

static void look_at_running(struct rollout_change *change, struct member *m, struct container *c, int64_t since)
{
    const struct rollout *r = change->rollout;
    const struct rollout_spec *spec = r->spec;
    int64_t due;

    if (since < m->begun)
        since = m->begun;
    if (m->ran && m->ran != since) /* it was started anew since the last look */
        note_drop(change, m);
    if (m->state != MEMBER_UPDATING)
        return;
    m->ran = since;
    due = since + spec->running_for_ms;
    if (due > core_now(r->core) || !is_confirmed(r, m, c, due))
        return;
    if (!*spec->telemetry || (m->value_at >= since && m->value >= spec->min && m->value <= spec->max))
        member_set(change, m, MEMBER_DONE, NULL);
    else if (m->value_at >= since)
        fail(change, m, FAULT_CONFLICT, "The device reports %s = %g, which is not from %g to %g.", spec->telemetry,
             m->value, spec->min, spec->max);
}

/* Failures that say nothing of what is brought to the device: they only cost time. */
static bool is_of_the_way(enum fault_code code)
{
    switch (code) {
    case FAULT_DEVICE_TIMEOUT:
    case FAULT_DEVICE_UNREACHABLE:
    case FAULT_DEVICE_ASLEEP:
    case FAULT_EXPIRED:
    case FAULT_QUEUE_FULL:
    case FAULT_LIMIT_REACHED:
    case FAULT_STORAGE_FULL:
    case FAULT_STORAGE_FAILED:
    case FAULT_UPSTREAM_FAILED:
        return true;
    default:
        return false;
    }
}

static bool has_failed(const struct rollout *r, const struct container *c)
{
    return c->attempts && c->fault.code &&
           ((c->attempts >= r->spec->max_attempts && !is_of_the_way(c->fault.code)) ||
            reconcile_is_permanent(c->fault.code));
}

static bool is_late(const struct rollout *r, const struct member *m)
{
    return core_now(r->core) >= m->begun + r->spec->device_timeout_ms;
}

static void look_at_delay(struct rollout_change *change, struct member *m, const struct container *c)
{
    const struct rollout *r = change->rollout;

    if (has_failed(r, c))
        member_set(change, m, MEMBER_FAILED, &c->fault);
    else if (m->ran)
        note_drop(change, m);
    else if (is_late(r, m))
        fail(change, m, FAULT_DEVICE_TIMEOUT, "The device was not as desired within %u s%s%s",
             r->spec->device_timeout_ms / 1000, c->fault.code ? ": " : ".", c->fault.code ? c->fault.detail : "");
}

static void look_at_revert(struct rollout_change *change, struct member *m, const struct container *c)
{
    int64_t since;

    if (!c || container_converged(c, &since))
        member_set(change, m, MEMBER_REVERTED, NULL);
    else if (has_failed(change->rollout, c))
        member_set(change, m, MEMBER_FAILED, &c->fault);
    else if (is_late(change->rollout, m))
        fail(change, m, FAULT_DEVICE_TIMEOUT, "The device was not back within %u s.",
             change->rollout->spec->device_timeout_ms / 1000);
}

void member_look(struct rollout_change *change, struct member *m)
{
    struct rollout *r = change->rollout;
    struct device *device = core_find_device(r->core, m->device);
    struct container *c = device ? core_find_container(device, r->spec->container) : NULL;
    struct fault fault;
    int64_t since;

    if (!device) {
        (void)fault_set(&fault, FAULT_NOT_FOUND, "The device was removed.");
        member_set(change, m, MEMBER_SKIPPED, &fault);
    } else if (m->state == MEMBER_REVERTING) {
        look_at_revert(change, m, c);
    } else if (!c || !is_ours(r, m, c)) {
        fail(change, m, FAULT_CONFLICT, "Something else was wanted of the container while it was updated.");
    } else if (container_converged(c, &since)) {
        look_at_running(change, m, c, since);
        if (m->state == MEMBER_UPDATING && is_late(r, m))
            fail(change, m, FAULT_DEVICE_TIMEOUT, "The device runs it, but did not show success within %u s.",
                 r->spec->device_timeout_ms / 1000);
    } else {
        look_at_delay(change, m, c);
    }
}
