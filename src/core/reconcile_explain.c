#include "core/emergency.h"
#include "core/internal.h"
#include "core/reconcile_private.h"

#include <stdio.h>
#include <string.h>

/* What the reconciler would do with a container, and why, for people. */

static const struct operation *find_last_operation(const struct container *c)
{
    const struct operation_filter filter = {c->device->id, c->uid, OPERATION_STATE_COUNT};
    struct operation *op = NULL;

    return core_list_operations(c->device->core, &filter, NULL, &op, 1) ? op : NULL;
}

static json_t *explain_as_desired(const struct container *c)
{
    if (c->desired == CONTAINER_RUNNING && c->reported != CONTAINER_RUNNING)
        return json_string("It has run to its end: its artifact limits its lifetime.");
    return json_string("It is as desired.");
}

static json_t *explain_failure(const struct container *c)
{
    const char *title = fault_info(c->fault.code)->title;

    if (!c->fault.code)
        return json_string("The last operation was cancelled; nothing is attempted until something else is desired.");
    return json_sprintf("The last attempt failed, and so would the next one until something changes: %s.", title);
}

static json_t *explain(const struct container *c, const struct judgement *j, const struct operation *op)
{
    switch (j->stand) {
    case STAND_UNASKED:
        return json_string("The device holds it, and nobody asked for it.");
    case STAND_BUSY:
        return json_sprintf("An operation is at it: %s, %s.", op ? operation_kind_name(op->kind) : "unknown",
                            op && *op->step ? op->step : "queued");
    case STAND_CONVERGED:
        return explain_as_desired(c);
    case STAND_ASK:
        return json_string("It is as desired as far as is known; the device is asked.");
    case STAND_GIVEN_UP:
        return explain_failure(c);
    case STAND_LATER:
        return json_sprintf("%u %s failed; the next one comes when its time has come, or when the device comes back.",
                            c->attempts, c->attempts == 1 ? "attempt" : "attempts in a row");
    case STAND_BLOCKED:
        return json_sprintf("It needs container '%s', which does not run as desired.", j->missing);
    case STAND_HELD:
        return j->stop ? json_sprintf("The emergency stop '%s' holds it.", j->stop)
                       : json_string("The device is in quarantine.");
    case STAND_ASLEEP:
        return json_string("The device sleeps; it goes on when the device is awake.");
    case STAND_DUE:
        break;
    }
    if (j->stop)
        return json_sprintf("The emergency stop '%s' stops it now.", j->stop);
    return json_string("It is not as desired, and is attempted now.");
}

static json_t *waits_for(const struct judgement *j)
{
    static const char *const names[] = {
        [STAND_UNASKED] = "decision", [STAND_BUSY] = "operation", [STAND_GIVEN_UP] = "change", [STAND_LATER] = "time",
        [STAND_ASLEEP] = "device",    [STAND_DUE] = NULL,         [STAND_HELD] = "release",
    };

    if (j->stand == STAND_BLOCKED)
        return json_sprintf("container %s", j->missing);
    return names[j->stand] ? json_string(names[j->stand]) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

json_t *json_needs(const char *needs)
{
    json_t *array = json_array();

    for (const char *at = needs ? needs : ""; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");

        (void)json_array_append_new(array, json_stringn(at, n));
        at += n;
    }
    return array;
}

static json_t *desired_json(const struct container *c)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "state", container_state_name(c->desired), "artifact",
                     text_or_null(c->desired_artifact), "release", text_or_null(c->desired_release), "service",
                     text_or_null(c->service), "needs", json_needs(c->needs), "parameters_size",
                     c->parameters ? json_integer((json_int_t)c->parameters_size) : json_null(), "rollback",
                     c->rollback);
}

static json_t *reported_json(const struct container *c)
{
    bool same = container_has_parameters(c), known = strcmp(c->loaded_parameters, "?") != 0;

    return json_pack("{s:s, s:o, s:s, s:o, s:o}", "state", container_state_name(c->reported), "artifact",
                     text_or_null(c->reported_artifact), "load", container_load_name(c->load), "has_parameters",
                     known ? json_boolean(same) : json_null(), "at", json_time(c->reported_at));
}

json_t *core_explain_container(struct container *c)
{
    const struct operation *op = find_last_operation(c);
    struct judgement j = reconcile_judge(c);
    bool on = c->device->core->options.reconcile.retry_min_ms > 0;
    int64_t since, next = j.stand == STAND_LATER ? j.at : 0;
    bool converged = container_converged(c, &since);

    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "device", c->device->id,
                     "container", c->uid, "desired", desired_json(c), "reported", reported_json(c), "converged",
                     reconcile_is_as_desired(c), "converged_for_s",
                     converged ? json_integer((json_int_t)((core_now(c->device->core) - since) / 1000)) : json_null(),
                     "why", on ? explain(c, &j, op) : json_string("Nothing is reconciled (reconcile.retry_min is 0)."),
                     "waits_for", waits_for(&j), "attempts", (json_int_t)c->attempts, "last_attempt_at",
                     json_time(c->attempted), "next_attempt_at", json_time(next), "last_operation",
                     op ? core_operation_json(op) : json_null(), "error", json_fault(&c->fault, true));
}
