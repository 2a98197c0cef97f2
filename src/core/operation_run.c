#include "core/emergency.h"
#include "core/internal.h"

#include "base/log.h"
#include "tcgw/coapmsg.h"

#include <string.h>

/* The steps of an operation and how it goes from one to the next. Every step that the device could notice is written
 * before it is taken, and an operation that was interrupted begins anew: it finds out where it stands from its
 * container's record (load, reported) and from the device. */

struct step {
    const char *name;
    enum agent_verb verb; /* AGENT_CALL_COUNT: none */
    bool write_ahead;
    void (*answered)(struct operation *op, struct container *container, const struct agent_call *call);
    const char *doing; /* "while ... " */
};

static void asked(struct operation *op, struct container *c, const struct agent_call *call)
{
    if (op->kind == OPERATION_DEPLOY)
        deploy_asked(op, c, call);
    else
        act_asked(op, c, call);
}

static void probed(struct operation *op, struct container *c, const struct agent_call *call)
{
    (void)c;
    probe_answered(op, call);
}

static const struct step steps[STEP_COUNT] = {
    [STEP_BEGIN] = {"", AGENT_CALL_COUNT, false, NULL, "it waited for its turn"},
    [STEP_PROBING] = {"probing", AGENT_CALL_PROBE, false, probed, "the device was asked which agent it runs"},
    [STEP_ASKING] = {"checking", AGENT_CALL_STATUS, false, asked, "the device was asked for the container's state"},
    [STEP_FETCHING] = {"fetching", AGENT_CALL_COUNT, false, NULL, "the artifact was read"},
    [STEP_LOADING] = {"loading", AGENT_CALL_LOAD, true, deploy_loaded, "the container was loaded"},
    [STEP_SETTLING] = {"settling", AGENT_CALL_STATUS, true, asked, "the outcome of a lost answer was asked for"},
    [STEP_STARTING] = {"starting", AGENT_CALL_START, true, act_started, "the container was started"},
    [STEP_VERIFYING] = {"verifying", AGENT_CALL_STATUS, false, act_verified, "the start was verified"},
    [STEP_STOPPING] = {"stopping", AGENT_CALL_STOP, true, act_stopped, "the container was stopped"},
    [STEP_REMOVING] = {"removing", AGENT_CALL_REMOVE, true, act_removed, "the container was removed"},
    [STEP_REQUESTING] = {"requesting", AGENT_CALL_RESOURCE, true, request_answered, "the request was under way"},
};

void operation_describe(const struct operation *op, char *out, size_t size)
{
    const struct step *step = &steps[op->machine];

    (void)snprintf(out, size, "%s (device '%s'%s%s%s)", step->doing, op->device_id, *op->uid ? ", container '" : "",
                   op->uid, *op->uid ? "'" : "");
}

bool operation_only_asks(const struct operation *op)
{
    return device_calls_for(op->device, op) && !steps[op->machine].write_ahead;
}

void operation_enter(struct operation *op, enum operation_step step, uint32_t delay_ms)
{
    struct core *core = op->device->core;

    op->machine = (int)step;
    op->wake_at = delay_ms && !op->cancel_requested ? core_now(core) + delay_ms : 0;
    if (!op->cancel_requested)
        (void)text_copy(op->step, sizeof op->step, steps[step].name);
    log_debug("operation step", "operation", op->id, "device", op->device_id, "container", op->uid, "step", op->step,
              NULL);
    if (op->wake_at && op->wake_at < op->deadline)
        core_arm(core, &op->timer, op->wake_at);
    if (steps[step].write_ahead)
        operation_write(op);
}

bool operation_is_ready(const struct operation *op)
{
    const struct container *c = operation_container(op);

    return op->durable && !op->writing && !op->dirty && !op->fetching && !op->end && !(c && c->removing) &&
           op->wake_at <= core_now(op->device->core) && core_now(op->device->core) < op->deadline;
}

/* What was written ahead but not done is taken back. */
void operation_give_up_step(struct operation *op)
{
    struct container *c = operation_container(op);

    if (c && op->machine == STEP_LOADING && !device_calls_for(op->device, op))
        deploy_revert_load(op, c);
    if (op->machine == STEP_REQUESTING && !device_calls_for(op->device, op))
        op->request_sent = false;
    op->machine = STEP_BEGIN;
}

void operation_rewind(struct operation *op)
{
    op->machine = STEP_BEGIN;
    op->wake_at = 0;
    parts_free(op);
}

static void begin(struct operation *op, struct container *c)
{
    if (op->kind == OPERATION_REQUEST)
        request_begin(op);
    else if (op->kind == OPERATION_PROBE || op->device->agent == AGENT_UNKNOWN)
        operation_enter(op, STEP_PROBING, 0);
    else if (op->kind == OPERATION_DEPLOY)
        deploy_begin(op, c);
    else
        act_begin(op, c);
}

static void send_call(struct operation *op)
{
    struct agent_call *call;

    if (op->machine == STEP_LOADING && !deploy_may_load(op, operation_container(op)))
        return;
    call = device_new_call(op->device, steps[op->machine].verb, op, NULL);
    if (!call) {
        operation_give_up_step(op);
        operation_fail(op, FAULT_INTERNAL, "The gateway is out of memory.");
        return;
    }
    memcpy(call->uid, op->uid, sizeof call->uid);
    call->resource = op->request;
    suit_fill_call(operation_container(op), call);
    if (call->verb == AGENT_CALL_LOAD)
        deploy_fill_load(op, operation_container(op), call);
    device_send_call(op->device, call);
}

static bool is_about_container(const struct operation *op)
{
    return op->kind != OPERATION_PROBE && op->kind != OPERATION_REQUEST;
}

static bool changes_something(const struct operation *op)
{
    return op->kind == OPERATION_REQUEST ? resource_changes(op->request) : op->kind != OPERATION_PROBE;
}

void operation_run(struct operation *op)
{
    struct container *c = operation_container(op);

    if (request_is_lost(op)) {
        request_fail_lost(op);
        return;
    }
    if (op->cancel_requested) {
        operation_cancel(op);
        return;
    }
    if (is_about_container(op) && !c) {
        operation_fail(op, FAULT_CONTAINER_NOT_ON_DEVICE, "The gateway has no container '%s' of device '%s'.", op->uid,
                       op->device_id);
        return;
    }
    if (changes_something(op) && device_check_protected(op->device, &op->fault)) {
        operation_give_up_step(op); /* its last credentials may have been revoked since */
        operation_end(op, OPERATION_FAILED);
        return;
    }
    if (op->kind != OPERATION_STOP && op->kind != OPERATION_REMOVE && quarantine_check(op->device, &op->fault)) {
        operation_give_up_step(op);
        operation_end(op, OPERATION_FAILED);
        return;
    }
    if (op->state == OPERATION_QUEUED) {
        op->state = OPERATION_RUNNING;
        op->started = core_wall(op->device->core);
        op->begun = core_now(op->device->core);
    }
    op->wake_at = 0;
    if (op->machine == STEP_BEGIN)
        begin(op, c);
    else if (op->machine == STEP_FETCHING)
        deploy_fetch(op, c);
    else
        send_call(op);
}

void operation_answer(struct operation *op, const struct agent_call *call)
{
    struct container *c = operation_container(op);

    log_debug("device answered", "operation", op->id, "device", op->device_id, "container", op->uid, "verb",
              agent_verb_name(call->verb), "detail", call->detail, NULL);
    if (deploy_paused(op, c, call))
        return;
    parts_free(op);
    steps[op->machine].answered(op, c, call);
}

void operation_lost_answer(struct operation *op, const struct agent_call *call)
{
    if (++op->lost >= OPERATION_ATTEMPTS && !device_sleeps(op->device))
        operation_fail_call(op, call);
    else
        operation_enter(op, STEP_SETTLING, op->device->core->options.settle_delay_ms);
}

/* Outcomes --------------------------------------------------------------------------------------------------------- */

static const struct {
    enum fault_code code;
    const char *text;
} outcomes[] = {
    [AGENT_OK] = {FAULT_INTERNAL, "answered"},
    [AGENT_NO_ANSWER] = {FAULT_DEVICE_TIMEOUT, "did not answer in time"},
    [AGENT_UNREACHABLE] = {FAULT_DEVICE_UNREACHABLE, "cannot be reached"},
    [AGENT_GARBAGE] = {FAULT_DEVICE_ANSWER, "gave an answer that makes no sense"},
    [AGENT_REFUSED] = {FAULT_DEVICE_ANSWER, "refused"},
    [AGENT_NO_SLOT] = {FAULT_NO_SLOT, "has no free slot"},
    [AGENT_TOO_LARGE] = {FAULT_PACKAGE_TOO_LARGE, "says that the container is too large"},
    [AGENT_INSECURE] = {FAULT_CREDENTIALS_REQUIRED, "has no credentials and may not be used without them"},
    [AGENT_UNTRUSTED] = {FAULT_DEVICE_UNTRUSTED, "and the gateway do not accept each other's protection"},
    [AGENT_UNVERIFIED] = {FAULT_VERIFICATION_REFUSED, "could not verify the container"},
    [AGENT_ABSENT] = {FAULT_CONTAINER_NOT_ON_DEVICE, "does not hold the container"},
    [AGENT_UNSUPPORTED] = {FAULT_AGENT_UNSUPPORTED, "does not support this"},
    [AGENT_PAUSED] = {FAULT_INTERNAL, "was not asked: the request made room for another one"},
    [AGENT_OVER_BUDGET] = {FAULT_BUDGET_EXCEEDED, "was not asked: its budget is used up"},
    [AGENT_QUARANTINED] = {FAULT_QUARANTINED, "is in quarantine"},
    [AGENT_LOCAL] = {FAULT_INTERNAL, "was not asked: the gateway failed"},
};

void fault_from_call(struct fault *fault, const struct agent_call *call)
{
    char code[24] = "", digits[5];

    if (call->code_received)
        (void)snprintf(code, sizeof code, " (code %s)", coapmsg_code_text(call->code_received, digits));
    (void)fault_set(fault, outcomes[call->outcome].code, "Device '%s' %s%s; request: %s%s%s%s%s%s", call->device->id,
                    outcomes[call->outcome].text, code, agent_verb_name(call->verb),
                    *call->uid ? " of container '" : "", call->uid, *call->uid ? "'" : "", *call->detail ? ". " : ".",
                    call->detail);
    text_repair_utf8(fault->detail);
}

/* One that sleeps is asked the same when it shows up again, until the operation's time to live ends. */
static bool may_ask_again(const struct operation *op, const struct agent_call *call)
{
    return (call->outcome == AGENT_NO_ANSWER || call->outcome == AGENT_UNREACHABLE) && device_sleeps(op->device);
}

void operation_fail_call(struct operation *op, const struct agent_call *call)
{
    if (may_ask_again(op, call)) {
        operation_enter(op, (enum operation_step)op->machine, 0);
        return;
    }
    fault_from_call(&op->fault, call);
    operation_end(op, OPERATION_FAILED);
}
