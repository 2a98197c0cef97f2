#include "core/event.h"
#include "core/internal.h"
#include "core/reconcile.h"
#include "core/rollout.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* The life of an operation: made, queued, written, ended, watched, forgotten. Its steps are in operation_run.c. */

static void timer_fired(struct timer *timer);

struct operation *operation_alloc(const char *id)
{
    struct operation *op = calloc(1, sizeof *op);

    if (!op)
        return NULL;
    (void)text_copy(op->id, sizeof op->id, id);
    list_init(&op->device_node);
    list_init(&op->watchers);
    op->timer.fire = timer_fired;
    op->told = -1;
    return op;
}

static struct artifact *artifact_of(const struct core *core, const struct operation *op)
{
    return *op->artifact ? index_find_artifact(core, op->artifact) : NULL;
}

struct container *operation_container(const struct operation *op)
{
    return op->device && *op->uid ? index_find_container(op->device, op->uid) : NULL;
}

void operation_enqueue(struct operation *op, struct device *device)
{
    struct artifact *artifact = artifact_of(device->core, op);

    op->device = device;
    list_append(&device->operations, &op->device_node);
    device->operation_count++;
    device_changed(device);
    request_enter(device->core, op);
    if (artifact)
        artifact->users++;
    core_arm(device->core, &op->timer, op->deadline);
}

/* Takes an operation that has ended, or never was, out of its device's queue. */
static void dequeue(struct operation *op)
{
    struct device *device = steal_pointer(op->device);
    struct artifact *artifact = artifact_of(device->core, op);

    list_unlink(&op->device_node);
    device->operation_count--;
    device_changed(device);
    request_leave(device->core, op);
    if (artifact)
        artifact->users--;
    core_disarm(device->core, &op->timer);
}

/* Of an operation that names none: a device that sleeps may take two wake-ups to hear of it. */
static uint32_t default_ttl(const struct device *device)
{
    const struct core_options *options = &device->core->options;
    uint64_t ttl = options->operation_ttl_ms + UINT64_C(2000) * core_presence(device).sleep_s;

    return ttl < options->operation_ttl_max_ms ? (uint32_t)ttl : options->operation_ttl_max_ms;
}

int operation_new(struct operation **out, struct device *device, const char *uid, enum operation_kind kind,
                  const char *artifact, uint32_t ttl_ms, struct fault *fault)
{
    const struct core_options *options = &device->core->options;
    uint32_t ttl = ttl_ms ? ttl_ms : default_ttl(device);
    struct operation *op;
    char id[UUID_SIZE];

    if (ttl > options->operation_ttl_max_ms)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "A time to live of %u s is over the limit of %u s.",
                         ttl / 1000, options->operation_ttl_max_ms / 1000);
    op = operation_alloc(text_new_uuid(core_wall(device->core), id));
    if (!op)
        return -ENOMEM;
    op->kind = kind;
    memcpy(op->device_id, device->id, sizeof op->device_id);
    (void)text_copy(op->uid, sizeof op->uid, uid);
    (void)text_copy(op->artifact, sizeof op->artifact, artifact);
    op->created = core_wall(device->core);
    op->expires = op->created + ttl;
    op->deadline = core_now(device->core) + ttl;
    index_add_operation(device->core, op);
    operation_enqueue(op, device);
    *out = op;
    return 0;
}

static void tell_watchers(struct operation *op)
{
    while (!list_empty(&op->watchers)) {
        struct core_watcher *watcher = list_first(&op->watchers, struct core_watcher, node);
        core_watch_fn fn = watcher->fn;
        void *arg = watcher->arg;

        core_unwatch(watcher);
        fn(arg, op);
    }
}

static void operation_free(struct core *core, struct operation *op)
{
    if (operation_is_finished(op))
        core->finished_count--;
    core_disarm(core, &op->timer);
    index_drop_operation(core, op);
    parts_free(op);
    free(op->request);
    free(op->result);
    free(op);
}

void operation_drop(struct core *core, struct operation *op)
{
    if (op->device) {
        if (device_calls_for(op->device, op))
            device_cancel_call(op->device);
        dequeue(op);
    }
    if (!operation_is_finished(op)) { /* with its device, or with the core */
        op->state = op->end ? op->end : OPERATION_CANCELLED;
        core->finished_count++;
    }
    tell_watchers(op);
    operation_free(core, op);
}

/* Its row ---------------------------------------------------------------------------------------------------------- */

/* A removed container goes with the operation that removed it, unless somebody wants it back meanwhile. */
static bool takes_container(const struct operation *op, const struct container *c)
{
    if (op->kind != OPERATION_REMOVE || op->end != OPERATION_SUCCEEDED || c->desired != CONTAINER_ABSENT)
        return false;
    list_each(node, &c->device->operations)
    {
        const struct operation *other = container_of(node, struct operation, device_node);

        if (other != op && strcmp(other->uid, op->uid) == 0)
            return false;
    }
    return true;
}

static void prune(struct core *core)
{
    struct operation *op = core->operations, *next;
    struct store_batch *batch;

    if (core->finished_count <= core->options.operations_kept)
        return;
    batch = store_batch_new();
    for (; op && batch && core->finished_count > core->options.operations_kept; op = next) {
        next = op->hh.next;
        if (!operation_is_finished(op) || !list_empty(&op->watchers))
            continue;
        store_batch_delete_operation(batch, op->id);
        operation_free(core, op);
    }
    if (batch)
        store_submit(core->options.store, batch, NULL, NULL);
}

static void log_end(const struct operation *op)
{
    char message[40];

    (void)snprintf(message, sizeof message, "operation %s", operation_state_name(op->state));
    log_info(message, "kind", operation_kind_name(op->kind), "device", op->device_id, "container", op->uid, "operation",
             op->id, "step", op->step, op->fault.code ? "error" : NULL, fault_info(op->fault.code)->slug, "detail",
             op->fault.detail, NULL);
}

/* On the monotonic clock, whatever the wall clock did meanwhile. */
static void count_end(struct core *core, const struct operation *op)
{
    int64_t created = op->deadline - (op->expires - op->created), now = core_now(core);

    core->operations_ended[op->state]++;
    if (op->fault.code)
        core->operation_faults[op->fault.code]++;
    if (!op->begun)
        return; /* it never had its turn, or had it before the start */
    if (op->begun >= created)
        histogram_add(&core->operations_waited_ms, &histogram_millis, (uint64_t)(op->begun - created));
    histogram_add(&core->operations_took_ms, &histogram_millis, (uint64_t)(now - op->begun));
}

/* Its end is durable: now everybody may know. */
static void finish(struct operation *op)
{
    struct device *device = op->device;
    struct container *c = operation_container(op);

    if (c && op->takes_container && takes_container(op, c)) {
        c->removing = true;
        queries_fail(device, c->uid, FAULT_NOT_FOUND, "The container was removed.");
        container_drop(c);
    }
    op->state = op->end;
    op->end = OPERATION_QUEUED;
    dequeue(op);
    device->core->finished_count++;
    count_end(device->core, op);
    log_end(op);
    tell_watchers(op);
    prune(device->core);
    reconcile_wake(device);
    rollout_wake(device);
    device_pump(device);
}

static void written(struct commit *commit, bool durable, struct fault *fault)
{
    struct operation *op = core_find_operation(commit->core, commit->id);

    if (!op || !op->device)
        return;
    op->writing = false;
    if (!durable) {
        op->told = -1;
        if (operation_container(op))
            operation_container(op)->told = 0;
        log_warning("operation could not be written, trying again", "operation", op->id, "error",
                    fault_info(fault->code)->slug, NULL);
        op->dirty = true;
        core_retry_later(commit->core);
    } else if (op->dirty) {
        operation_write(op);
    } else if (op->end) {
        finish(op);
    } else {
        device_pump(op->device);
    }
}

void operation_write(struct operation *op)
{
    struct device *device = op->device;
    struct container *c = operation_container(op);
    struct commit *commit;

    op->dirty = true;
    if (op->writing || device->removing || (c && c->removing))
        return; /* written when that is settled */
    if (commit_new(&commit, device->core, NULL, NULL)) {
        core_retry_later(device->core);
        return;
    }
    op->dirty = false;
    op->writing = true;
    (void)text_copy(commit->id, sizeof commit->id, op->id);
    commit->settle = written;
    batch_put_operation(commit->batch, op);
    op->takes_container = c && takes_container(op, c);
    if (op->takes_container) {
        store_batch_delete_container(commit->batch, device->id, c->uid);
        event_add(device->core, commit->batch, EVENT_CONTAINER_REMOVED, device->id, "{s:s, s:b}", "container", c->uid,
                  "forgotten", 0);
    } else if (c) {
        c->dirty = false;
        batch_put_container(commit->batch, c);
    }
    commit_submit(commit);
}

void operation_write_again(struct operation *op)
{
    if (op->dirty && !op->writing)
        operation_write(op);
}

bool operation_settle(struct commit *commit, bool durable, struct fault *fault)
{
    struct operation *op = core_find_operation(commit->core, commit->id);
    struct device *device = op ? op->device : NULL;

    if (!op) {
        if (durable)
            (void)fault_set(fault, FAULT_NOT_FOUND, "Device '%s' was removed meanwhile.", commit->device);
        return true;
    }
    if (durable) {
        op->durable = true;
        if (device)
            device_pump(device);
        return true;
    }
    op->state = OPERATION_FAILED;
    op->fault = *fault;
    commit->core->finished_count++;
    operation_drop(commit->core, op);
    if (device)
        device_pump(device); /* what waited behind it */
    return false;
}

/* Its end ---------------------------------------------------------------------------------------------------------- */

void operation_end(struct operation *op, enum operation_state state)
{
    struct container *c = operation_container(op);

    text_repair_utf8(op->fault.detail); /* an agent's words may be in it, or a cut */
    op->end = state;
    op->ended = core_wall(op->device->core);
    op->wake_at = 0;
    parts_free(op);
    if (state == OPERATION_SUCCEEDED)
        (void)text_copy(op->step, sizeof op->step, "done");
    if (c && c->reported == CONTAINER_STARTING && state != OPERATION_SUCCEEDED)
        container_set_reported(c, CONTAINER_UNKNOWN); /* nobody looks whether it lasts */
    if (c && state != OPERATION_CANCELLED) {
        c->fault = op->fault; /* code FAULT_NONE after a success */
        container_changed(c);
    }
    if (c)
        reconcile_ended(c, op);
    operation_write(op);
}

void operation_succeed(struct operation *op)
{
    operation_end(op, OPERATION_SUCCEEDED);
}

void operation_fail(struct operation *op, enum fault_code code, const char *format, ...)
{
    va_list ap;

    op->fault = (struct fault){.code = code};
    va_start(ap, format);
    (void)vsnprintf(op->fault.detail, sizeof op->fault.detail, format, ap);
    va_end(ap);
    operation_end(op, OPERATION_FAILED);
}

static void expire(struct operation *op)
{
    struct device *device = op->device;
    char what[160];

    operation_describe(op, what, sizeof what);
    if (device_calls_for(device, op))
        device_cancel_call(device);
    else
        operation_give_up_step(op);
    if (request_is_lost(op)) {
        request_fail_lost(op);
        device_pump(device);
        return;
    }
    (void)fault_set(&op->fault, FAULT_EXPIRED, "The operation's time to live of %lld s ended while %s.",
                    (long long)(op->expires - op->created) / 1000, what);
    operation_end(op, OPERATION_EXPIRED);
    device_pump(device);
}

static void timer_fired(struct timer *timer)
{
    struct operation *op = container_of(timer, struct operation, timer);
    struct core *core = op->device->core;

    if (op->end || core->stopped)
        return;
    if (core_now(core) < op->deadline) {
        core_arm(core, &op->timer, op->deadline);
        device_pump(op->device);
    } else if (!op->durable || op->device->removing || !core->started) {
        core_arm(core, &op->timer, core_now(core) + RETRY_MS); /* first it must be known whether it is one */
    } else {
        expire(op);
    }
}

static void settle_cancel(struct commit *commit, bool durable, struct fault *fault)
{
    (void)commit;
    if (!durable)
        (void)fault_set(fault, fault->code,
                        "The database could not be written: the operation is cancelled as soon as it can be.");
}

int core_cancel_operation(struct core *core, struct operation *op, core_done_fn done, void *arg, struct fault *fault)
{
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (operation_is_finished(op) || op->end)
        return fault_set(fault, FAULT_NOT_CANCELLABLE, "Operation %s has already ended (%s).", op->id,
                         operation_state_name(op->end ? op->end : op->state));
    if (!op->durable) /* the cancellation could be stored and the operation not */
        return fault_set(fault, FAULT_CONFLICT, "Operation %s is being stored; repeat in a moment.", op->id);
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    commit->settle = settle_cancel;
    if (op->state == OPERATION_QUEUED || operation_only_asks(op)) {
        operation_cancel(op);
    } else {
        op->cancel_requested = true;
        op->wake_at = 0;
        (void)text_copy(op->step, sizeof op->step, "cancelling");
    }
    batch_put_operation(commit->batch, op);
    commit_submit(commit);
    device_pump(op->device);
    return 0;
}

void operation_cancel(struct operation *op)
{
    char what[160];

    operation_describe(op, what, sizeof what);
    if (device_calls_for(op->device, op))
        device_cancel_call(op->device);
    operation_give_up_step(op);
    (void)fault_set(&op->fault, FAULT_CANCELLED, "The operation was cancelled on request while %s.", what);
    operation_end(op, OPERATION_CANCELLED);
}

static bool concerns(const struct operation *op, const char *uid)
{
    return !uid || strcmp(op->uid, uid) == 0;
}

void operations_batch_cancelled(struct device *device, const char *uid, struct store_batch *batch)
{
    list_each(node, &device->operations)
    {
        const struct operation *op = container_of(node, struct operation, device_node);
        struct operation row;

        if (!concerns(op, uid) || op->end)
            continue;
        row = *op;
        row.end = OPERATION_CANCELLED;
        row.ended = core_wall(device->core);
        (void)fault_set(&row.fault, FAULT_CANCELLED, uid ? "The container was forgotten." : "The device was removed.");
        batch_put_operation(batch, &row);
    }
}

void operations_end_cancelled(struct device *device, const char *uid, const char *why)
{
    list_each(node, &device->operations)
    {
        struct operation *op = container_of(node, struct operation, device_node);

        if (!concerns(op, uid))
            continue;
        if (op->end) {
            operation_write_again(op);
            continue;
        }
        (void)fault_set(&op->fault, FAULT_CANCELLED, "%s", why);
        op->state = OPERATION_CANCELLED;
        op->ended = core_wall(device->core);
        parts_free(op);
        dequeue(op);
        device->core->finished_count++;
        log_end(op);
        tell_watchers(op);
    }
}

bool container_has_operations(const struct container *c)
{
    list_each(node, &c->device->operations)
    {
        if (strcmp(container_of(node, struct operation, device_node)->uid, c->uid) == 0)
            return true;
    }
    return false;
}

/* Watching --------------------------------------------------------------------------------------------------------- */

static void watch_late(struct timer *timer)
{
    struct core_watcher *watcher = container_of(timer, struct core_watcher, timer);
    struct operation *op = watcher->op;
    core_watch_fn fn = watcher->fn;
    void *arg = watcher->arg;

    core_unwatch(watcher);
    fn(arg, op);
}

struct core_watcher *core_watch_operation(struct core *core, struct operation *op, core_watch_fn fn, void *arg)
{
    struct core_watcher *watcher = calloc(1, sizeof *watcher);

    if (!watcher)
        return NULL;
    watcher->core = core;
    watcher->op = op;
    watcher->fn = fn;
    watcher->arg = arg;
    watcher->timer.fire = watch_late;
    list_append(&op->watchers, &watcher->node);
    if (operation_is_finished(op))
        core_arm(core, &watcher->timer, core_now(core));
    return watcher;
}

void core_unwatch(struct core_watcher *watcher)
{
    if (!watcher)
        return;
    list_unlink(&watcher->node);
    core_disarm(watcher->core, &watcher->timer);
    free(watcher);
}
