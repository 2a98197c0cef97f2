#include "core/emergency.h"
#include "core/internal.h"

#include <string.h>

/* Starting, stopping and removing what is loaded; the start is shared with deploy. All of these may be repeated, so a
 * lost answer is asked for and then, where needed, the same is sent again. */

void act_begin(struct operation *op, struct container *c)
{
    const struct agent_features *features = device_features(op->device);

    if (container_check_act(c, op->kind, &op->fault))
        operation_end(op, OPERATION_FAILED);
    else if (op->kind == OPERATION_STOP)
        operation_enter(op, STEP_STOPPING, 0);
    else if (op->kind == OPERATION_REMOVE)
        operation_enter(op, STEP_REMOVING, 0);
    else if (c->load == LOAD_NONE && !features->load_is_idempotent)
        deploy_need_load(op, c);
    else
        operation_enter(op, c->load == LOAD_SENT ? STEP_SETTLING : STEP_ASKING,
                        c->load == LOAD_SENT ? op->device->core->options.settle_delay_ms : 0);
}

static void removed(struct operation *op, struct container *c)
{
    container_set_lost(c);
    c->reported_at = core_wall(op->device->core);
    operation_succeed(op);
}

void act_asked(struct operation *op, struct container *c, const struct agent_call *call)
{
    bool was_starting = c->reported == CONTAINER_STARTING || c->load == LOAD_SENT || op->lost > 0;

    if (call->outcome != AGENT_OK && call->outcome != AGENT_ABSENT) {
        operation_fail_call(op, call);
        return;
    }
    container_apply_status(c, call);
    if (op->kind == OPERATION_REMOVE && c->reported == CONTAINER_ABSENT)
        removed(op, c);
    else if (op->kind == OPERATION_REMOVE)
        operation_enter(op, STEP_REMOVING, 0);
    else if (c->load == LOAD_NONE)
        deploy_need_load(op, c);
    else
        act_reach_goal(op, c, was_starting);
}

void act_reach_goal(struct operation *op, struct container *c, bool was_starting)
{
    const struct agent_features *features = device_features(op->device);
    bool run = op->kind == OPERATION_START || (op->kind == OPERATION_DEPLOY && c->desired == CONTAINER_RUNNING);
    bool runs = c->reported == CONTAINER_RUNNING || c->reported == CONTAINER_STARTING;

    if (run && !runs) {
        act_start(op, c);
    } else if (run && (c->reported == CONTAINER_STARTING || (was_starting && !features->start_is_true))) {
        container_set_reported(c, CONTAINER_STARTING);
        operation_enter(op, STEP_VERIFYING, op->device->core->options.verify_delay_ms);
    } else if (run || !runs) {
        operation_succeed(op);
    } else if (features->can_stop) {
        operation_enter(op, STEP_STOPPING, 0);
    } else {
        operation_fail(op, FAULT_AGENT_UNSUPPORTED,
                       "Container '%s' runs, and the agent of device '%s' (%s) cannot stop containers.", op->uid,
                       op->device_id, agent_kind_name(op->device->agent));
    }
}

void act_start(struct operation *op, struct container *c)
{
    const char *stop = emergency_of_container(c);

    if (stop) {
        operation_fail(op, FAULT_EMERGENCY_STOP, "The emergency stop '%s' holds container '%s'.", stop, op->uid);
        return;
    }
    container_set_reported(c, CONTAINER_STARTING);
    operation_enter(op, STEP_STARTING, 0);
}

static void stopped_early(struct operation *op, struct container *c, const char *detail)
{
    bool once = !device_features(op->device)->can_stop;

    container_set_reported(c, CONTAINER_FAILED);
    operation_fail(op, FAULT_STOPPED_EARLY, "Container '%s' of device '%s' was started and does not run.%s%s%s",
                   op->uid, op->device_id, *detail ? " " : "", detail,
                   once ? " An agent without stop does not start a container again that has ended: use a new uid, or "
                          "restart the device and deploy it again."
                        : "");
}

static void started(struct operation *op, struct container *c, const struct agent_call *call)
{
    const struct agent_features *features = device_features(op->device);

    container_set_load(c, LOAD_DONE); /* the device holds it: that is proven now, if it was not before */
    c->reported_at = core_wall(op->device->core);
    if (!features->start_is_true || call->state == CONTAINER_STARTING) {
        operation_enter(op, STEP_VERIFYING, op->device->core->options.verify_delay_ms);
    } else if (call->state == CONTAINER_RUNNING || call->state == CONTAINER_UNKNOWN) {
        container_set_reported(c, CONTAINER_RUNNING);
        operation_succeed(op);
    } else {
        stopped_early(op, c, call->detail);
    }
}

static void start_refused(struct operation *op, struct container *c, const struct agent_call *call)
{
    container_set_reported(c, CONTAINER_FAILED);
    operation_fail(op, FAULT_START_REFUSED, "Device '%s' refused to start container '%s'.%s%s", op->device_id, op->uid,
                   *call->detail ? " " : "", call->detail);
}

void act_started(struct operation *op, struct container *c, const struct agent_call *call)
{
    bool tells = device_features(op->device)->load_is_idempotent;

    switch (call->outcome) {
    case AGENT_OK:
        started(op, c, call);
        return;
    case AGENT_NO_ANSWER:
        operation_lost_answer(op, call);
        return;
    case AGENT_REFUSED:
        /* Right after a confirmed load it cannot mean that the uid is not there. */
        if (tells || op->load_confirmed) {
            start_refused(op, c, call);
            return;
        }
        container_set_lost(c);
        deploy_need_load(op, c);
        return;
    case AGENT_ABSENT:
        container_set_lost(c);
        deploy_need_load(op, c);
        return;
    default:
        operation_fail_call(op, call);
        return;
    }
}

void act_verified(struct operation *op, struct container *c, const struct agent_call *call)
{
    const struct agent_features *features = device_features(op->device);

    if (call->outcome != AGENT_OK && call->outcome != AGENT_ABSENT) {
        operation_fail_call(op, call);
        return;
    }
    container_apply_status(c, call);
    if (c->reported == CONTAINER_RUNNING) {
        operation_succeed(op);
    } else if (c->reported == CONTAINER_STARTING && features->load_is_idempotent) {
        operation_enter(op, STEP_VERIFYING, op->device->core->options.verify_delay_ms);
    } else if (c->reported == CONTAINER_ABSENT) {
        operation_fail(op, FAULT_CONTAINER_NOT_ON_DEVICE,
                       "Container '%s' vanished from device '%s' while it was started.", op->uid, op->device_id);
    } else {
        stopped_early(op, c, call->detail);
    }
}

void act_stopped(struct operation *op, struct container *c, const struct agent_call *call)
{
    if (call->outcome == AGENT_OK) {
        container_set_reported(c, call->state == CONTAINER_UNKNOWN ? CONTAINER_STOPPED : call->state);
        c->reported_at = core_wall(op->device->core);
        operation_succeed(op);
    } else if (call->outcome == AGENT_NO_ANSWER) {
        operation_lost_answer(op, call);
    } else {
        if (call->outcome == AGENT_ABSENT)
            container_set_lost(c);
        operation_fail_call(op, call);
    }
}

void act_removed(struct operation *op, struct container *c, const struct agent_call *call)
{
    if (call->outcome == AGENT_OK || call->outcome == AGENT_ABSENT)
        removed(op, c);
    else if (call->outcome == AGENT_NO_ANSWER)
        operation_lost_answer(op, call);
    else
        operation_fail_call(op, call);
}
