#include "core/emergency.h"
#include "core/internal.h"
#include "core/transfer.h"
#include "core/trust.h"

#include <errno.h>
#include <string.h>

/*
 * Bringing a container to its desired artifact. What must never happen is that an agent which does not tell one load
 * from the next (v1) takes the same container twice. So a load is sent only where the uid is known to be free, its
 * intention is durable before (load = LOAD_SENT), and when its answer is lost, or the gateway restarts, the outcome is
 * asked for:
 *
 *   is-running 1              the load arrived
 *   start answers 2.04        the load arrived
 *   start answers 5.00        the device does not hold the uid: the load may be sent again
 *
 * With desired state "stopped" there is no such proof, and the operation ends with FAULT_OUTCOME_UNKNOWN.
 */

static bool is_superseded(const struct operation *op, const struct container *c)
{
    return c->desired == CONTAINER_ABSENT || strcmp(c->desired_artifact, op->artifact) != 0;
}

static void supersede(struct operation *op)
{
    (void)fault_set(&op->fault, FAULT_CANCELLED,
                    "A later request changed what is desired of container '%s' of device '%s'.", op->uid,
                    op->device_id);
    operation_end(op, OPERATION_CANCELLED);
}

static void fail_refused(struct operation *op, const struct fault *fault)
{
    operation_fail(op, fault->code, "Container '%s' may not go to device '%s' now. %s", op->uid, op->device_id,
                   fault->detail);
}

/* Whether it may still go there; ends the operation otherwise. */
static bool is_admitted(struct operation *op, const struct container *c, const struct artifact *artifact)
{
    struct fault fault;

    if (emergency_check(op->device->core, op->uid, NULL, "", &fault) == 0 &&
        trust_admit(op->device, artifact, c->desired_release, c->rollback, &fault) == 0)
        return true;
    fail_refused(op, &fault);
    return false;
}

/* What the device can run may be known only now: another artifact of the release may be the one for it. */
static void pick_again(struct operation *op, struct container *c)
{
    struct artifact *before = index_find_artifact(op->device->core, op->artifact), *now;

    if (!*c->desired_release || !before || c->load != LOAD_NONE)
        return;
    now = release_pick(op->device, c->desired_release, NULL);
    if (!now || now == before)
        return;
    before->users--;
    now->users++;
    memcpy(op->artifact, now->id, sizeof op->artifact);
    container_set_artifact(c, c->desired_artifact, now->id);
}

/* Its row was lost; where there is a store it comes back. */
static void fail_missing(struct operation *op)
{
    struct fault fault;

    (void)artifact_missing(op->device->core, op->artifact, &fault);
    if (fault.code == FAULT_NOT_FOUND)
        operation_fail(op, FAULT_INVALID_ARTIFACT, "Artifact %s is no longer there.", op->artifact);
    else
        operation_fail(op, fault.code, "%s", fault.detail);
}

void deploy_begin(struct operation *op, struct container *c)
{
    const struct device *device = op->device;
    const struct agent_port *port = &device->core->options.agents;
    const struct artifact *artifact;
    bool replaces = device_features(device)->load_is_idempotent;
    bool held = c->load == LOAD_DONE && strcmp(c->reported_artifact, op->artifact) == 0;

    if (!is_superseded(op, c))
        pick_again(op, c);
    artifact = index_find_artifact(device->core, op->artifact);
    if (is_superseded(op, c))
        supersede(op);
    else if (!artifact)
        fail_missing(op);
    else if (port->check(port->arg, device, op->uid, artifact, &op->fault) ||
             container_check_occupied(c, op->artifact, &op->fault))
        operation_end(op, OPERATION_FAILED);
    else if (!held && !is_admitted(op, c, artifact)) /* what is there stays, whatever became of its publisher */
        return;
    else if (c->load == LOAD_SENT)
        operation_enter(op, STEP_SETTLING, device->core->options.settle_delay_ms);
    else if (c->load == LOAD_NONE && replaces)
        deploy_need_load(op, c);
    else
        operation_enter(op, STEP_ASKING, 0);
}

void deploy_need_load(struct operation *op, struct container *c)
{
    const struct artifact *artifact = index_find_artifact(op->device->core, op->artifact);

    if (op->kind != OPERATION_DEPLOY)
        operation_fail(op, FAULT_CONTAINER_NOT_ON_DEVICE,
                       "Device '%s' does not hold container '%s' (any more); it may have been restarted.",
                       op->device_id, op->uid);
    else if (is_superseded(op, c))
        supersede(op);
    else if (!artifact)
        operation_fail(op, FAULT_INVALID_ARTIFACT, "Artifact %s is no longer there.", op->artifact);
    else if (op->loads >= OPERATION_ATTEMPTS && !device_sleeps(op->device))
        operation_fail(op, FAULT_DEVICE_TIMEOUT,
                       "Container '%s' was sent to device '%s' %u times, and it does not hold it.", op->uid,
                       op->device_id, op->loads);
    else if (is_admitted(op, c, artifact))
        operation_enter(op, STEP_FETCHING, 0);
}

/* With an agent that tells what it holds. */
static void asked_exact(struct operation *op, struct container *c, bool was_starting)
{
    if (c->load == LOAD_DONE && strcmp(c->reported_artifact, op->artifact) == 0 && container_has_parameters(c))
        act_reach_goal(op, c, was_starting);
    else
        deploy_need_load(op, c);
}

/* With an agent that tells only whether the uid runs. */
static void asked_vague(struct operation *op, struct container *c, bool was_starting)
{
    if (c->load == LOAD_NONE && c->reported == CONTAINER_RUNNING)
        operation_fail(op, FAULT_UID_OCCUPIED, "Device '%s' runs a container '%s' that this gateway did not load.",
                       op->device_id, op->uid);
    else if (c->load == LOAD_NONE)
        deploy_need_load(op, c);
    else if (c->load == LOAD_SENT && c->desired != CONTAINER_RUNNING)
        operation_fail(op, FAULT_OUTCOME_UNKNOWN,
                       "The answer of device '%s' to the load of container '%s' was lost. Its agent (%s) tells only of "
                       "containers that run: start it to find out, or restart the device and forget the container.",
                       op->device_id, op->uid, agent_kind_name(op->device->agent));
    else
        act_reach_goal(op, c, was_starting);
}

void deploy_asked(struct operation *op, struct container *c, const struct agent_call *call)
{
    /* Running now may be the first moment of a start whose answer was lost. */
    bool was_starting = c->reported == CONTAINER_STARTING || c->load == LOAD_SENT || op->lost > 0;

    if (call->outcome != AGENT_OK && call->outcome != AGENT_ABSENT) {
        operation_fail_call(op, call);
        return;
    }
    container_apply_status(c, call);
    if (c->load == LOAD_DONE && strcmp(c->reported_artifact, op->artifact) == 0)
        transfer_end(c); /* only its answer was lost */
    if (device_features(op->device)->load_is_idempotent)
        asked_exact(op, c, was_starting);
    else
        asked_vague(op, c, was_starting);
}

/* The artifact's parts --------------------------------------------------------------------------------------------- */

struct part_request {
    struct list node;
    struct core *core;
    char operation[UUID_SIZE];
};

void parts_free(struct operation *op)
{
    struct operation_parts *parts = steal_pointer(op->parts);

    free(op->parameters);
    op->parameters = NULL;
    if (!parts || --parts->users > 0)
        return;
    parts->artifact->parts = NULL;
    free(parts->code);
    free(parts->data);
    free(parts);
}

void part_requests_free(struct core *core)
{
    while (!list_empty(&core->part_requests)) {
        struct part_request *request = list_first(&core->part_requests, struct part_request, node);

        list_unlink(&request->node);
        free(request);
    }
}

/* Takes over what was read, unless another operation has done so meanwhile. NULL: out of memory. */
static struct operation_parts *make_parts(struct artifact *artifact, struct store_blobs *blobs)
{
    struct operation_parts *parts;

    if (artifact->parts)
        return artifact->parts;
    parts = calloc(1, sizeof *parts);
    if (!parts)
        return NULL;
    parts->artifact = artifact;
    parts->code_size = blobs->code_size;
    parts->data_size = blobs->data_size;
    parts->code = steal_pointer(blobs->code);
    parts->data = steal_pointer(blobs->data);
    artifact->parts = parts;
    return parts;
}

static bool take_parameters(struct operation *op, const struct container *c)
{
    op->parameters = c->parameters ? malloc(c->parameters_size + 1) : NULL;
    if (c->parameters && !op->parameters)
        return false;
    if (op->parameters)
        memcpy(op->parameters, c->parameters, c->parameters_size);
    op->parameters_size = c->parameters_size;
    memcpy(op->parameters_digest, c->parameters_digest, sizeof op->parameters_digest);
    return true;
}

/* Writes the intention ahead; the call goes out when that is durable. */
static void write_load_ahead(struct operation *op, struct container *c, struct operation_parts *parts)
{
    if (!take_parameters(op, c)) {
        operation_fail(op, FAULT_INTERNAL, "The gateway is out of memory.");
        return;
    }
    op->parts = parts;
    parts->users++;
    sequence_begin(c);
    container_set_load(c, LOAD_SENT);
    suit_number(c, parts);
    /* What a replaced container was stays known until the device confirms the new one. */
    if (!device_features(op->device)->can_replace) {
        container_set_artifact(c, c->reported_artifact, op->artifact);
        memcpy(c->loaded_parameters, op->parameters_digest, sizeof c->loaded_parameters);
    } else if (strcmp(c->loaded_parameters, op->parameters_digest) != 0) {
        (void)text_copy(c->loaded_parameters, sizeof c->loaded_parameters, "?");
    }
    container_set_reported(c, CONTAINER_UNKNOWN);
    operation_enter(op, STEP_LOADING, 0);
}

static void fetched(struct operation *op, int result, struct store_blobs *blobs)
{
    struct container *c = operation_container(op);
    struct artifact *artifact = index_find_artifact(op->device->core, op->artifact);
    struct operation_parts *parts;

    op->fetching = false;
    if (!op->end && op->machine == STEP_FETCHING && c && !c->removing && !op->cancel_requested) {
        bool superseded = is_superseded(op, c);

        parts = result == 0 && artifact && !superseded ? make_parts(artifact, blobs) : NULL;
        if (superseded)
            supersede(op);
        else if (parts)
            write_load_ahead(op, c, parts);
        else
            operation_fail(op, FAULT_INTERNAL, "Artifact %s cannot be read from the database.", op->artifact);
    }
    device_pump(op->device);
}

static void parts_read(void *arg, int result, struct store_blobs *blobs)
{
    struct part_request *request = arg;
    struct operation *op = core_find_operation(request->core, request->operation);

    if (op && op->device)
        fetched(op, result, blobs);
    if (result == 0) { /* what was not taken over */
        free(blobs->code);
        free(blobs->data);
    }
    list_unlink(&request->node);
    free(request);
}

void deploy_fetch(struct operation *op, struct container *c)
{
    struct core *core = op->device->core;
    const struct artifact *artifact = index_find_artifact(core, op->artifact);
    struct part_request *request;

    if (artifact && artifact->parts) {
        write_load_ahead(op, c, artifact->parts);
        return;
    }
    request = calloc(1, sizeof *request);
    if (request)
        memcpy(request->operation, op->id, sizeof request->operation);
    if (!request || store_read_blobs(core->options.store, op->artifact, parts_read, request)) {
        free(request);
        operation_fail(op, FAULT_INTERNAL, "The gateway is out of memory.");
        return;
    }
    request->core = core;
    list_append(&core->part_requests, &request->node);
    op->fetching = true;
}

/* A device that sleeps, or a load that made room, may have waited for long. */
bool deploy_may_load(struct operation *op, struct container *c)
{
    const struct artifact *artifact = index_find_artifact(op->device->core, op->artifact);
    struct fault fault = {.code = FAULT_NONE};
    bool superseded = is_superseded(op, c);

    if (!superseded && artifact && trust_admit(op->device, artifact, c->desired_release, c->rollback, &fault) == 0)
        return true;
    operation_give_up_step(op);
    if (superseded)
        supersede(op);
    else if (!artifact)
        fail_missing(op);
    else
        fail_refused(op, &fault);
    return false;
}

/* The load itself -------------------------------------------------------------------------------------------------- */

void deploy_fill_load(struct operation *op, struct container *c, struct agent_call *call)
{
    call->artifact = index_find_artifact(op->device->core, op->artifact);
    call->code = op->parts->code;
    call->code_size = op->parts->code_size;
    call->data = op->parameters ? op->parameters : op->parts->data;
    call->data_size = op->parameters ? op->parameters_size : op->parts->data_size;
    op->loads++;
    transfer_begin(op, c, call);
}

bool deploy_paused(struct operation *op, struct container *c, const struct agent_call *call)
{
    if (c && call->verb == AGENT_CALL_LOAD)
        transfer_stopped(c, call);
    if (call->outcome != AGENT_PAUSED)
        return false;
    if (c)
        suit_heard(c, call);
    op->loads -= op->loads > 0;
    return true;
}

void deploy_revert_load(const struct operation *op, struct container *c)
{
    c->manifest_sent = 0;
    if (device_features(op->device)->can_replace && *c->reported_artifact)
        container_set_load(c, LOAD_DONE); /* what was to be replaced is still there */
    else
        container_set_lost(c);
}

static void loaded(struct operation *op, struct container *c)
{
    transfer_end(c);
    container_set_load(c, LOAD_DONE);
    suit_installed(c);
    container_set_artifact(c, c->reported_artifact, op->artifact);
    memcpy(c->loaded_parameters, op->parameters_digest, sizeof c->loaded_parameters);
    container_set_reported(c, CONTAINER_INSTALLED);
    c->reported_at = core_wall(op->device->core);
    op->load_confirmed = true;
    if (c->desired == CONTAINER_RUNNING)
        act_start(op, c);
    else if (device_features(op->device)->load_is_idempotent)
        operation_enter(op, STEP_ASKING, 0); /* the same package again may well be running */
    else
        operation_succeed(op);
}

static unsigned slots_taken(const struct device *device, const struct container *but)
{
    unsigned taken = 0;

    for (const struct container *c = device->containers; c; c = c->hh.next)
        taken += c != but && c->load != LOAD_NONE;
    return taken;
}

static void refused(struct operation *op, const struct container *c, const struct agent_call *call)
{
    const struct device *device = op->device;

    if (device->caps.slots && slots_taken(device, c) >= device->caps.slots)
        operation_fail(op, FAULT_NO_SLOT,
                       "Device '%s' refused container '%s': all of its %u slots hold containers of this gateway.",
                       device->id, op->uid, device->caps.slots);
    else if (device_features(device)->load_is_idempotent) /* a kind that gives reasons */
        operation_fail(op, FAULT_LOAD_REFUSED, "Device '%s' refused to load container '%s': %s", device->id, op->uid,
                       *call->detail ? call->detail : "it gave no reason");
    else
        operation_fail(op, FAULT_LOAD_REFUSED,
                       "Device '%s' refused to load container '%s' without a reason: no free slot, no memory, a key "
                       "that it does not trust, or code that its runtime does not take.%s%s",
                       device->id, op->uid, *call->detail ? " " : "", call->detail);
}

void deploy_loaded(struct operation *op, struct container *c, const struct agent_call *call)
{
    suit_heard(c, call);
    switch (call->outcome) {
    case AGENT_OK:
        loaded(op, c);
        return;
    case AGENT_NO_ANSWER:
    case AGENT_UNREACHABLE: /* an ICMP error may belong to an earlier datagram: no proof that this one was lost */
        if (c->transfer && c->transfer->sure && device_sleeps(op->device)) /* its awake time is short */
            deploy_need_load(op, c);
        else
            operation_enter(op, STEP_SETTLING, op->device->core->options.settle_delay_ms);
        return;
    case AGENT_GARBAGE: /* it did something, nobody knows what */
    case AGENT_UNTRUSTED:
        operation_fail_call(op, call);
        return;
    case AGENT_OVER_BUDGET: /* its last block did not leave; it goes on where it stands */
    case AGENT_QUARANTINED:
        deploy_revert_load(op, c);
        operation_fail_call(op, call);
        return;
    case AGENT_REFUSED:
        transfer_end(c);
        deploy_revert_load(op, c);
        refused(op, c, call);
        return;
    default:
        transfer_end(c);
        deploy_revert_load(op, c);
        operation_fail_call(op, call);
        return;
    }
}
