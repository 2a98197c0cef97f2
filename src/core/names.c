#include "core/model.h"
#include "core/ports.h"

#include <string.h>

static const char *const agent_kinds[AGENT_KIND_COUNT] = {
    [AGENT_UNKNOWN] = "unknown",
    [AGENT_V1] = "v1",
    [AGENT_V2] = "v2",
    [AGENT_SUIT] = "suit",
};

static const char *const container_states[CONTAINER_STATE_COUNT] = {
    [CONTAINER_UNKNOWN] = "unknown",   [CONTAINER_ABSENT] = "absent",   [CONTAINER_INSTALLED] = "installed",
    [CONTAINER_STARTING] = "starting", [CONTAINER_RUNNING] = "running", [CONTAINER_STOPPED] = "stopped",
    [CONTAINER_FAILED] = "failed",
};

static const char *const container_loads[LOAD_COUNT] = {
    [LOAD_NONE] = "none",
    [LOAD_SENT] = "sent",
    [LOAD_DONE] = "done",
};

static const char *const operation_kinds[OPERATION_KIND_COUNT] = {
    [OPERATION_DEPLOY] = "deploy", [OPERATION_START] = "start",     [OPERATION_STOP] = "stop",
    [OPERATION_REMOVE] = "remove", [OPERATION_REQUEST] = "request", [OPERATION_PROBE] = "probe",
};

static const char *const operation_states[OPERATION_STATE_COUNT] = {
    [OPERATION_QUEUED] = "queued", [OPERATION_RUNNING] = "running", [OPERATION_SUCCEEDED] = "succeeded",
    [OPERATION_FAILED] = "failed", [OPERATION_EXPIRED] = "expired", [OPERATION_CANCELLED] = "cancelled",
};

static const char *const agent_verbs[AGENT_CALL_COUNT] = {
    [AGENT_CALL_PROBE] = "probe",   [AGENT_CALL_LOAD] = "load", [AGENT_CALL_START] = "start",
    [AGENT_CALL_STATUS] = "status", [AGENT_CALL_STOP] = "stop", [AGENT_CALL_REMOVE] = "remove",
    [AGENT_CALL_LIST] = "list",     [AGENT_CALL_LOG] = "log",   [AGENT_CALL_RESOURCE] = "resource",
};

static const char *find_name(const char *const *names, size_t count, unsigned value)
{
    return value < count ? names[value] : "invalid";
}

static unsigned find_value(const char *const *names, size_t count, const char *name)
{
    unsigned i = 0;

    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

const char *agent_kind_name(enum agent_kind kind)
{
    return find_name(agent_kinds, AGENT_KIND_COUNT, kind);
}

const char *container_state_name(enum container_state state)
{
    return find_name(container_states, CONTAINER_STATE_COUNT, state);
}

const char *container_load_name(enum container_load load)
{
    return find_name(container_loads, LOAD_COUNT, load);
}

const char *operation_kind_name(enum operation_kind kind)
{
    return find_name(operation_kinds, OPERATION_KIND_COUNT, kind);
}

const char *operation_state_name(enum operation_state state)
{
    return find_name(operation_states, OPERATION_STATE_COUNT, state);
}

const char *agent_verb_name(enum agent_verb verb)
{
    return find_name(agent_verbs, AGENT_CALL_COUNT, verb);
}

enum agent_kind agent_kind_from_name(const char *name)
{
    return (enum agent_kind)find_value(agent_kinds, AGENT_KIND_COUNT, name);
}

enum container_state container_state_from_name(const char *name)
{
    return (enum container_state)find_value(container_states, CONTAINER_STATE_COUNT, name);
}

enum container_load container_load_from_name(const char *name)
{
    return (enum container_load)find_value(container_loads, LOAD_COUNT, name);
}

enum operation_kind operation_kind_from_name(const char *name)
{
    return (enum operation_kind)find_value(operation_kinds, OPERATION_KIND_COUNT, name);
}

enum operation_state operation_state_from_name(const char *name)
{
    return (enum operation_state)find_value(operation_states, OPERATION_STATE_COUNT, name);
}
