#include "core/emergency.h"
#include "core/internal.h"
#include "core/reconcile_private.h"
#include "core/rollout.h"
#include "core/service.h"
#include "core/transfer.h"

#include "base/log.h"

#include <string.h>

/*
 * One timer per container, for the moment at which it has to be looked at: now when its record changed or its device
 * was heard, else when the next attempt or the next question is due. A look (reconcile_judge) changes nothing, so that
 * explaining is the same as deciding.
 */

#define HELD_MS 1000 /* until one that a rollout holds is looked at again at the latest */
#define SPREAD_MS 2  /* between containers that are looked at when the gateway starts */

static bool is_on(const struct core *core)
{
    return core->started && !core->stopped && core->options.reconcile.retry_min_ms > 0;
}

static void look_at(struct container *c, int64_t delay_ms)
{
    struct core *core = c->device->core;
    int64_t due = core_now(core) + delay_ms;

    if (is_on(core) && (!c->timer.armed || due < c->timer.due))
        core_arm(core, &c->timer, due);
}

void reconcile_touch(struct container *c)
{
    look_at(c, 0);
}

void reconcile_wake(struct device *device)
{
    for (struct container *c = device->containers; c; c = c->hh.next)
        if (!c->converged || !c->timer.armed) /* the last look may have been while an operation was at it */
            look_at(c, 0);
}

/* Judging ---------------------------------------------------------------------------------------------------------- */

/* Whether its code ends by itself, and did. */
static bool has_completed(const struct container *c)
{
    const struct artifact *artifact = index_find_artifact(c->device->core, c->desired_artifact);

    return artifact && artifact->limits.loop_max_lifetime && c->reported == CONTAINER_STOPPED;
}

bool reconcile_is_as_desired(const struct container *c)
{
    if (c->desired == CONTAINER_ABSENT)
        return false; /* the record goes with it */
    if (c->load != LOAD_DONE || strcmp(c->desired_artifact, c->reported_artifact) != 0 || !container_has_parameters(c))
        return false;
    if (c->desired == CONTAINER_RUNNING)
        return c->reported == CONTAINER_RUNNING || has_completed(c);
    return c->reported == CONTAINER_STOPPED || c->reported == CONTAINER_INSTALLED || c->reported == CONTAINER_FAILED;
}

bool container_converged(const struct container *c, int64_t *since)
{
    *since = c->converged_at;
    return c->converged && reconcile_is_as_desired(c);
}

/* The first of those it needs that does not run; false: none. */
static bool find_missing(const struct container *c, char uid[CORE_ID_MAX + 1])
{
    for (const char *at = c->needs ? c->needs : ""; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        const struct container *other;

        (void)snprintf(uid, CORE_ID_MAX + 1, "%.*s", (int)n, at);
        other = index_find_container(c->device, uid);
        if (!other || other->desired != CONTAINER_RUNNING || !reconcile_is_as_desired(other))
            return true;
        at += n;
    }
    return false;
}

/* Whether a time that was set at most `limit` ahead is still to come. One that is further away is from before the clock
 * was set back. */
static bool is_ahead(const struct core *core, int64_t time, uint32_t limit)
{
    int64_t ahead = time - core_wall(core);

    return ahead > 0 && ahead <= limit;
}

/* When the device is to be asked what became of it, as wall time; 0: never. */
static int64_t next_question(const struct container *c)
{
    const struct core_options *options = &c->device->core->options;

    if (c->device->agent == AGENT_UNKNOWN || c->load == LOAD_NONE)
        return 0;
    if (c->ask)
        return core_wall(c->device->core);
    return options->reconcile.interval_ms ? c->reported_at + options->reconcile.interval_ms : 0;
}

struct judgement reconcile_judge(const struct container *c)
{
    const struct core *core = c->device->core;
    int64_t question = next_question(c);
    struct judgement j = {.stand = STAND_DUE, .stop = emergency_of_container(c)};
    bool as_desired = j.stop ? !emergency_is_due(c) : reconcile_is_as_desired(c);

    if (c->desired == CONTAINER_UNKNOWN && !j.stop)
        j.stand = STAND_UNASKED;
    else if (container_has_operations(c))
        j.stand = STAND_BUSY;
    else if (!j.stop && device_is_quarantined(c->device))
        j.stand = STAND_HELD;
    else if (as_desired && (!question || is_ahead(core, question, core->options.reconcile.interval_ms)))
        j = (struct judgement){.stand = j.stop ? STAND_HELD : STAND_CONVERGED, .at = question, .stop = j.stop};
    else if (!as_desired && c->attempts && !c->retry)
        j.stand = STAND_GIVEN_UP;
    else if (!as_desired && is_ahead(core, c->retry, core->options.reconcile.retry_max_ms))
        j = (struct judgement){.stand = STAND_LATER, .at = c->retry, .stop = j.stop};
    else if (!as_desired && !j.stop && c->desired == CONTAINER_RUNNING && find_missing(c, j.missing))
        j.stand = STAND_BLOCKED;
    else if (!device_is_awake(c->device))
        j.stand = STAND_ASLEEP;
    else if (as_desired)
        j.stand = STAND_ASK;
    return j;
}

/* Acting ----------------------------------------------------------------------------------------------------------- */

static uint32_t backoff(const struct container *c)
{
    const struct core_options *options = &c->device->core->options;
    uint64_t pause = options->reconcile.retry_min_ms;

    for (uint32_t i = 1; i < c->attempts && pause < options->reconcile.retry_max_ms; i++)
        pause *= 2;
    return pause < options->reconcile.retry_max_ms ? (uint32_t)pause : options->reconcile.retry_max_ms;
}

static void settle_act(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    struct container *c = device ? core_find_container(device, commit->uid) : NULL;

    if (!operation_settle(commit, durable, fault) && c)
        look_at(c, backoff(c));
}

/* Queues an operation, as a person would. False: not now. */
static bool act(struct container *c, enum operation_kind kind)
{
    struct device *device = c->device;
    struct commit *commit = NULL;
    struct operation *op;
    struct fault fault;

    if (operation_check_queue(device, &fault) || commit_new(&commit, device->core, NULL, NULL))
        return false;
    if (operation_new(&op, device, c->uid, kind, kind == OPERATION_DEPLOY ? c->desired_artifact : "", 0, &fault)) {
        commit_free(commit);
        return false;
    }
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    (void)text_copy(commit->uid, sizeof commit->uid, c->uid);
    (void)text_copy(commit->id, sizeof commit->id, op->id);
    commit->settle = settle_act;
    batch_put_operation(commit->batch, op);
    commit_submit(commit);
    return true;
}

/* It is not there, and is not to be. */
static bool forget(struct container *c)
{
    struct fault fault;

    return core_forget_container(c->device->core, c, NULL, NULL, &fault) == 0;
}

static void asked(void *arg, const struct core_query_result *result)
{
    struct container *c = result->container;

    (void)arg;
    if (!c)
        return;
    c->ask = false;
    look_at(c, result->fault.code ? c->device->core->options.reconcile.retry_min_ms : 0);
}

static bool ask(struct container *c)
{
    struct fault fault;

    return core_query_container(c->device->core, c, CORE_QUERY_STATUS, ASK_TIMEOUT_MS, asked, NULL, &fault) == 0;
}

/* The one that says that it is, or is not, as desired. */
static void set_converged(struct container *c, bool converged)
{
    if (c->converged == converged)
        return;
    c->converged = converged;
    c->device->core->converged_count += converged ? 1 : (size_t)-1;
    c->converged_at = core_now(c->device->core);
    if (converged)
        reconcile_wake(c->device); /* others may need it */
    rollout_wake(c->device);
}

static void consider(struct container *c)
{
    struct core *core = c->device->core;
    struct judgement j;
    bool done = true;

    if (!is_on(core) || c->device->removing || c->removing)
        return;
    j = reconcile_judge(c);
    if (!j.stop && rollout_holds(c)) {
        look_at(c, HELD_MS);
        return;
    }
    if (j.stand != STAND_BUSY)
        set_converged(c, j.stand == STAND_CONVERGED || (j.stand == STAND_ASK && !j.stop));
    if (j.stand == STAND_DUE && j.stop)
        done = act(c, OPERATION_STOP);
    else if (j.stand == STAND_DUE && c->desired != CONTAINER_ABSENT)
        done = act(c, OPERATION_DEPLOY);
    else if (j.stand == STAND_DUE)
        done = c->load == LOAD_NONE && c->reported != CONTAINER_RUNNING ? forget(c) : act(c, OPERATION_REMOVE);
    else if (j.stand == STAND_ASK)
        done = ask(c);
    else if (j.at)
        look_at(c, j.at - core_wall(core));
    if (!done)
        look_at(c, backoff(c));
}

void reconcile_fired(struct timer *timer)
{
    consider(container_of(timer, struct container, timer));
}

/* What happened ---------------------------------------------------------------------------------------------------- */

bool reconcile_is_permanent(enum fault_code code)
{
    static const enum fault_code codes[] = {
        FAULT_PACKAGE_TOO_LARGE,
        FAULT_RUNTIME_UNSUPPORTED,
        FAULT_INVALID_ARTIFACT,
        FAULT_AGENT_UNSUPPORTED,
        FAULT_UID_OCCUPIED,
        FAULT_OUTCOME_UNKNOWN,
        FAULT_VERIFICATION_REFUSED,
        FAULT_UNSIGNED,
        FAULT_SIGNATURE_INVALID,
        FAULT_PUBLISHER_UNKNOWN,
        FAULT_PUBLISHER_REVOKED,
        FAULT_OUT_OF_SCOPE,
        FAULT_POLICY_DENIED,
        FAULT_ROLLBACK_REFUSED,
        FAULT_CANCELLED,
        FAULT_NOT_FOUND,
        FAULT_CREDENTIALS_REQUIRED,
        FAULT_QUARANTINED,
        FAULT_EMERGENCY_STOP,
    };

    for (size_t i = 0; i < array_size(codes); i++)
        if (codes[i] == code)
            return true;
    return false;
}

/* Whether something else has been wanted since it began. */
static bool is_outdated(const struct container *c, const struct operation *op)
{
    switch (op->kind) {
    case OPERATION_DEPLOY:
        return c->desired == CONTAINER_ABSENT || strcmp(c->desired_artifact, op->artifact) != 0;
    case OPERATION_START:
        return c->desired != CONTAINER_RUNNING;
    case OPERATION_STOP:
        return c->desired != CONTAINER_STOPPED && !emergency_of_container(c);
    default:
        return c->desired != CONTAINER_ABSENT;
    }
}

void reconcile_ended(struct container *c, const struct operation *op)
{
    bool success = op->end == OPERATION_SUCCEEDED;

    if (op->kind == OPERATION_PROBE || op->kind == OPERATION_REQUEST || is_outdated(c, op))
        return;
    c->attempted = core_wall(c->device->core);
    c->retry = 0;
    if (success && (op->kind == OPERATION_REMOVE || op->kind == OPERATION_STOP || reconcile_is_as_desired(c))) {
        c->attempts = 0;
        return;
    }
    c->attempts++;
    if (success || !reconcile_is_permanent(op->fault.code))
        c->retry = c->attempted + backoff(c);
}

void reconcile_reset(struct container *c)
{
    c->attempts = 0;
    c->attempted = c->retry = 0;
    reconcile_touch(c);
}

/* An attempt that failed for want of an answer, or that nothing could help, is worth another one, but not sooner than
 * the first retry would have been. */
static void revive(struct container *c, bool given_up_too)
{
    int64_t first = c->attempted + c->device->core->options.reconcile.retry_min_ms;

    if (!c->attempts)
        return;
    if (c->retry ? c->retry > first : given_up_too && c->fault.code != FAULT_CANCELLED)
        c->retry = first;
}

static bool was_out_of_reach(const struct container *c)
{
    return c->fault.code == FAULT_DEVICE_TIMEOUT || c->fault.code == FAULT_DEVICE_UNREACHABLE ||
           c->fault.code == FAULT_EXPIRED;
}

/* With one question where the device can list what it holds. */
void reconcile_ask(struct device *device)
{
    census_due(device, 0);
    for (struct container *c = device->containers; c; c = c->hh.next) {
        c->ask = !device_features(device)->can_list;
        look_at(c, 0);
    }
}

void reconcile_came_back(struct device *device)
{
    for (struct container *c = device->containers; c; c = c->hh.next)
        if (was_out_of_reach(c))
            revive(c, false);
    reconcile_wake(device);
}

void reconcile_changed(struct device *device)
{
    for (struct container *c = device->containers; c; c = c->hh.next)
        revive(c, true);
    services_wake(device);
    reconcile_wake(device);
}

void reconcile_restarted(struct device *device)
{
    budget_note(device, BUDGET_RESTARTS);
    for (struct container *c = device->containers; c; c = c->hh.next)
        transfer_doubt(c);
    reconcile_ask(device);
    reconcile_changed(device);
}

void reconcile_start(struct core *core)
{
    int64_t interval = core->options.reconcile.interval_ms, count = (int64_t)core_count_devices(core), n = 0,
            spread = 0;

    for (struct device *device = core->devices; device; device = device->hh.next) {
        census_due(device, interval * ++n / count);
        for (struct container *c = device->containers; c; c = c->hh.next) {
            core->has_services |= c->service != NULL; /* which may be gone: that has to be seen to */
            look_at(c, spread += SPREAD_MS);
        }
    }
}
