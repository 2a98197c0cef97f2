#include "core/internal.h"

#include <errno.h>
#include <string.h>

static char *result_text(const struct device *device)
{
    json_t *object = json_pack("{s:s, s:o, s:o, s:o}", "agent", agent_kind_name(device->agent), "agent_version",
                               *device->agent_version ? json_string(device->agent_version) : json_null(), "reported_id",
                               *device->reported_id ? json_string(device->reported_id) : json_null(), "capabilities",
                               json_caps(&device->caps));
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

    json_decref(object);
    return text;
}

/* A probe of its own, or the first step of another operation on a device whose agent is not known. */
void probe_answered(struct operation *op, const struct agent_call *call)
{
    struct device *device = op->device;

    if (call->outcome != AGENT_OK) {
        operation_fail_call(op, call);
        return;
    }
    device_apply_probe(device, &call->probe);
    if (device->agent == AGENT_UNKNOWN) {
        operation_fail(op, FAULT_AGENT_UNKNOWN, "Device '%s' answered, but offers no agent that is known here.",
                       device->id);
    } else if (op->kind != OPERATION_PROBE) {
        operation_enter(op, STEP_BEGIN, 0);
    } else {
        op->result = result_text(device);
        operation_succeed(op);
        reconcile_ask(device);
    }
}

static void settle_probe(struct commit *commit, bool durable, struct fault *fault)
{
    (void)operation_settle(commit, durable, fault);
}

int core_probe_device(struct core *core, struct device *device, uint32_t ttl_ms, core_done_fn done, void *arg,
                      struct fault *fault, struct operation **op)
{
    struct commit *commit;
    int r;

    if (core_check_accepting(core, fault) || operation_check_queue(device, fault))
        return 1;
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    r = operation_new(op, device, "", OPERATION_PROBE, "", ttl_ms, fault);
    if (r) {
        commit_free(commit);
        return r;
    }
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    (void)text_copy(commit->id, sizeof commit->id, (*op)->id);
    commit->settle = settle_probe;
    batch_put_operation(commit->batch, *op);
    commit_submit(commit);
    return 0;
}
