#include "core/internal.h"
#include "core/transfer.h"

#include "base/log.h"
#include "core/event.h"
#include "core/trust.h"

#include <errno.h>
#include <string.h>

void fault_from_store(struct fault *fault, int result)
{
    if (result == 0)
        *fault = (struct fault){.code = FAULT_NONE};
    else if (result == -ENOSPC)
        (void)fault_set(fault, FAULT_STORAGE_FULL, "The disk with the state directory is full; nothing was changed.");
    else
        (void)fault_set(fault, FAULT_STORAGE_FAILED, "The database could not be written; nothing was changed.");
}

int commit_new(struct commit **out, struct core *core, core_done_fn done, void *arg)
{
    struct commit *commit = calloc(1, sizeof *commit);

    if (!commit)
        return -ENOMEM;
    list_init(&commit->node);
    commit->core = core;
    commit->done = done;
    commit->arg = arg;
    commit->batch = store_batch_new();
    if (!commit->batch) {
        commit_free(commit);
        return -ENOMEM;
    }
    *out = commit;
    return 0;
}

void commit_free(struct commit *commit)
{
    if (!commit)
        return;
    list_unlink(&commit->node);
    if (commit->batch)
        journal_free_batch(commit->core, commit->batch);
    if (commit->release && commit->old)
        commit->release(commit->old);
    else
        free(commit->old);
    free(commit->key);
    free(commit);
}

/* What devices send fails without anybody at REST to hear of it: the log has the first failure and the recovery, at
 * most once in a while where small changes succeed among large ones that fail. */
static void log_turn(struct core *core, bool fails, const struct fault *fault)
{
    if (fails == core->storing_fails || (fails && core_now(core) < core->storing_quiet_until))
        return;
    core->storing_fails = fails;
    if (!fails) {
        log_info("changes are stored again", NULL);
        return;
    }
    core->storing_quiet_until = core_now(core) + STORING_LOG_MS;
    log_error("changes cannot be stored", "error", fault->detail, NULL);
}

static void commit_finished(void *arg, int result)
{
    struct commit *commit = arg;
    struct fault fault;

    list_unlink(&commit->node);
    fault_from_store(&fault, result);
    commit->core->commits_failed += result != 0;
    log_turn(commit->core, result != 0, &fault);
    if (commit->settle)
        commit->settle(commit, result == 0, &fault);
    if (commit->done)
        commit->done(commit->arg, &fault);
    commit_free(commit);
}

void commit_submit(struct commit *commit)
{
    audit_take(commit->core, commit->batch, commit->arg);
    list_append(&commit->core->commits, &commit->node);
    journal_submit(commit->core, steal_pointer(commit->batch), commit_finished, commit);
}

struct commit *commit_find_later(const struct commit *commit)
{
    list_each(node, &commit->core->commits)
    {
        struct commit *other = container_of(node, struct commit, node);

        if (other->settle == commit->settle && strcmp(other->device, commit->device) == 0 &&
            strcmp(other->uid, commit->uid) == 0)
            return other;
    }
    return NULL;
}

/* Rows ----------------------------------------------------------------------------------------------------------- */

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

static const char *slug_or_null(const struct fault *fault)
{
    return fault->code ? fault_info(fault->code)->slug : NULL;
}

void batch_put_device(struct store_batch *batch, const struct device *device)
{
    cleanup_free char *labels = device->labels ? json_dumps(device->labels, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    store_batch_put_device(batch, &(struct store_device){
                                      .id = device->id,
                                      .name = device->name,
                                      .address = device->address,
                                      .agent = agent_kind_name(device->agent),
                                      .agent_version = text_or_null(device->agent_version),
                                      .reported_id = text_or_null(device->reported_id),
                                      .agent_configured = device->agent_configured,
                                      .pdu_size = device->caps.pdu_size,
                                      .slots = device->caps.slots,
                                      .runtimes = device->caps.runtimes,
                                      .package_max = device->caps.package_max,
                                      .memory = device->caps.memory,
                                      .caps_configured = device->caps_configured,
                                      .created = device->created,
                                      .updated = device->updated,
                                      .last_seen = device->last_seen,
                                      .revision = device->revision,
                                      .groups = device->groups,
                                      .allow_plain = device->allow_plain,
                                      .observe = device->observe,
                                      .sleep_s = device->sleep_s,
                                      .awake_ms = device->awake_ms,
                                      .labels = labels,
                                  });
}

/* FNV-1a of what is told of a container; never 0. */
static uint64_t told_of(const struct container *c)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ ((unsigned)c->reported << 16 | (unsigned)c->load << 24);

    for (const char *at = c->reported_artifact; *at; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    hash = (hash ^ (unsigned)c->fault.code) * UINT64_C(1099511628211);
    return hash | 1;
}

void container_set_told(struct container *container)
{
    container->told = told_of(container);
}

static void tell_container(struct store_batch *batch, struct container *c)
{
    uint64_t told = c->told;

    container_set_told(c);
    if (c->told != told)
        event_add(c->device->core, batch, EVENT_CONTAINER_REPORTED, c->device->id, "{s:s, s:s, s:s*, s:s, s:s*}",
                  "container", c->uid, "state", container_state_name(c->reported), "artifact",
                  text_or_null(c->reported_artifact), "load", container_load_name(c->load), "error",
                  slug_or_null(&c->fault));
}

void batch_put_container(struct store_batch *batch, struct container *container)
{
    const struct transfer *transfer = container->transfer;

    tell_container(batch, container);
    sequence_note_container(container, batch);
    store_batch_put_container(batch, &(struct store_container){
                                         .device = container->device->id,
                                         .uid = container->uid,
                                         .desired_state = container_state_name(container->desired),
                                         .desired_artifact = text_or_null(container->desired_artifact),
                                         .reported_state = container_state_name(container->reported),
                                         .reported_artifact = text_or_null(container->reported_artifact),
                                         .load = container_load_name(container->load),
                                         .fault = slug_or_null(&container->fault),
                                         .fault_detail = text_or_null(container->fault.detail),
                                         .created = container->created,
                                         .updated = container->updated,
                                         .reported = container->reported_at,
                                         .revision = container->revision,
                                         .desired_release = text_or_null(container->desired_release),
                                         .loaded_release = text_or_null(container->loaded_release),
                                         .sent_release = text_or_null(container->sent_release),
                                         .service = container->service,
                                         .needs = container->needs,
                                         .parameters = {container->parameters, container->parameters_size},
                                         .loaded_parameters = text_or_null(container->loaded_parameters),
                                         .rollback = container->rollback,
                                         .attempts = container->attempts,
                                         .attempted = container->attempted,
                                         .retry = container->retry,
                                         .manifest = container->manifest,
                                         .manifest_sent = container->manifest_sent,
                                         .transfer = transfer ? transfer->artifact : NULL,
                                         .transfer_done = transfer ? transfer->done : 0,
                                         .transfer_total = transfer ? transfer->total : 0,
                                         .transfer_started = transfer ? transfer->started : 0,
                                         .transfer_breaks = transfer ? transfer->breaks : 0,
                                         .transfer_block = transfer ? transfer->block : 0,
                                     });
}

/* Of a copy too, of an operation that is not yet what the copy says. */
static void tell_operation(struct store_batch *batch, struct operation *op)
{
    enum operation_state state = op->end ? op->end : op->state;
    enum event event = state == OPERATION_QUEUED    ? EVENT_OPERATION_QUEUED
                       : state == OPERATION_RUNNING ? EVENT_OPERATION_RUNNING
                                                    : EVENT_OPERATION_ENDED;

    if (op->told == (int)state || !op->device)
        return;
    op->told = (int)state;
    event_add(op->device->core, batch, event, op->device_id, "{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*}", "operation",
              op->id, "type", operation_kind_name(op->kind), "state", operation_state_name(state), "container",
              text_or_null(op->uid), "artifact", text_or_null(op->artifact), "error", slug_or_null(&op->fault),
              "detail", op->fault.code ? op->fault.detail : NULL);
}

void batch_put_operation(struct store_batch *batch, struct operation *op)
{
    size_t size = 0;
    cleanup_free void *request = request_store(op, &size);

    tell_operation(batch, op);
    store_batch_put_operation(batch, &(struct store_operation){
                                         .id = op->id,
                                         .kind = operation_kind_name(op->kind),
                                         .state = operation_state_name(op->end ? op->end : op->state),
                                         .device = op->device_id,
                                         .uid = text_or_null(op->uid),
                                         .artifact = text_or_null(op->artifact),
                                         .step = op->step,
                                         .fault = slug_or_null(&op->fault),
                                         .fault_detail = text_or_null(op->fault.detail),
                                         .result = op->result,
                                         .created = op->created,
                                         .started = op->started,
                                         .ended = op->ended,
                                         .expires = op->expires,
                                         .request = {request, size},
                                     });
}

/* Rows that nobody waits for -------------------------------------------------------------------------------------- */

/* What a write that nobody waits for does when it fails: the record is marked, and written again later. */
static void settle_write(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    struct container *container = device && *commit->uid ? index_find_container(device, commit->uid) : NULL;

    (void)fault;
    if (durable)
        return;
    if (container) {
        container->dirty = true;
        container->told = 0;
    } else if (device && !*commit->uid) {
        device->dirty = true;
        device->untold |= (unsigned)commit->value;
    }
    core_retry_later(commit->core);
}

static void tell_device(struct commit *commit, struct device *device)
{
    commit->value = device->untold;
    if (device->untold & 1u << EVENT_DEVICE_MOVED)
        event_add(device->core, commit->batch, EVENT_DEVICE_MOVED, device->id, "{s:s}", "address", device->address);
    if (device->untold & 1u << EVENT_DEVICE_PROBED)
        event_add(device->core, commit->batch, EVENT_DEVICE_PROBED, device->id, "{s:s, s:s*, s:s*, s:o}", "agent",
                  agent_kind_name(device->agent), "agent_version", text_or_null(device->agent_version), "reported_id",
                  text_or_null(device->reported_id), "capabilities", json_caps(&device->caps));
    device->untold = 0;
}

void device_write(struct device *device)
{
    struct commit *commit;

    if (device->removing || device->visitor)
        return;
    if (commit_new(&commit, device->core, NULL, NULL)) {
        device->dirty = true;
        core_retry_later(device->core);
        return;
    }
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    commit->settle = settle_write;
    device->dirty = false;
    device->last_seen_saved = device->last_seen;
    batch_put_device(commit->batch, device);
    tell_device(commit, device);
    commit_submit(commit);
}

void container_write(struct container *container)
{
    struct device *device = container->device;
    struct commit *commit;

    if (device->removing || container->removing)
        return;
    if (commit_new(&commit, device->core, NULL, NULL)) {
        container->dirty = true;
        core_retry_later(device->core);
        return;
    }
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    (void)text_copy(commit->uid, sizeof commit->uid, container->uid);
    commit->settle = settle_write;
    container->dirty = false;
    batch_put_container(commit->batch, container);
    commit_submit(commit);
}

void core_retry_later(struct core *core)
{
    if (!core->retry.armed && !core->stopped)
        core_arm(core, &core->retry, core_now(core) + RETRY_MS);
}
