#include "core/device_settings.h"

#include "core/bodycheck.h"
#include "core/selector.h"

#include <errno.h>
#include <string.h>

#define PDU_SIZE_MIN 64
#define PACKAGE_MAX (1 << 24)

void device_settings_clear(struct device_settings *s)
{
    json_decref(s->labels);
}

void device_settings_free(void *s)
{
    device_settings_clear(s);
    free(s);
}

void device_settings_take(struct device_settings *s, const struct device *device)
{
    memcpy(s->name, device->name, sizeof s->name);
    memcpy(s->address, device->address, sizeof s->address);
    s->agent = device->agent;
    s->agent_configured = device->agent_configured;
    s->caps = device->caps;
    s->caps_configured = device->caps_configured;
    (void)text_copy(s->groups, sizeof s->groups, device->groups ? device->groups : "");
    (void)text_copy(s->observe, sizeof s->observe, device->observe ? device->observe : "");
    s->allow_plain = device->allow_plain;
    s->sleep_s = device->sleep_s;
    s->awake_ms = device->awake_ms;
    s->labels = json_incref(device->labels);
    s->updated = device->updated;
    s->revision = device->revision;
}

void device_set_observe(struct device *device, const char *paths)
{
    free(device->observe);
    device->observe = *paths ? strdup(paths) : NULL; /* without memory nothing is observed */
}

void device_settings_give(const struct device_settings *s, struct device *device)
{
    memcpy(device->name, s->name, sizeof s->name);
    device_set_address(device, s->address);
    device->agent = s->agent;
    device->agent_configured = s->agent_configured;
    device->caps = s->caps;
    device->caps_configured = s->caps_configured;
    device_set_groups(device, s->groups);
    device_set_observe(device, s->observe);
    device->allow_plain = s->allow_plain;
    device->sleep_s = s->sleep_s;
    device->awake_ms = s->awake_ms;
    json_decref(device->labels);
    device->labels = json_incref(s->labels);
    device->updated = s->updated;
    device->revision = s->revision;
    device_changed(device);
    watches_configure(device, 1);
    presence_reconsider(device);
}

static const struct body_rule caps_rules[] = {
    {"pdu_size", BODY_NUMBER, false, true, PDU_SIZE_MIN, 65535, NULL},
    {"slots", BODY_NUMBER, false, true, 1, 255, NULL},
    {"runtimes", BODY_ARRAY, false, true, 0, CONTAINER_TYPE_COUNT, NULL},
    {"package_max", BODY_NUMBER, false, true, PDU_SIZE_MIN, PACKAGE_MAX, NULL},
    {"memory", BODY_NUMBER, false, true, 1, UINT32_MAX, NULL},
};

static int read_runtimes(uint32_t *mask, const json_t *names, struct fault *fault)
{
    static const struct body_rule rule = {.type = BODY_CHOICE,
                                          .choices = "native shell rbpf wasm javacard javascript python suit"};
    char pointer[FAULT_POINTER_SIZE];
    const json_t *name;
    size_t i;

    *mask = 0;
    json_array_foreach(names, i, name)
    {
        (void)snprintf(pointer, sizeof pointer, "/capabilities/runtimes/%zu", i);
        if (body_check_value(name, pointer, &rule, fault))
            return 1;
        *mask |= 1u << container_type_from_name(json_string_value(name));
    }
    return 0;
}

/* A number of the capabilities: set by a number, back to "not known" by null, left alone when missing. */
static void read_cap(struct device_settings *s, uint32_t *field, enum device_capability bit, const json_t *caps,
                     const char *name)
{
    const json_t *value = json_object_get(caps, name);

    if (!value)
        return;
    *field = json_is_null(value) ? 0 : (uint32_t)json_integer_value(value);
    s->caps_configured = *field ? s->caps_configured | bit : s->caps_configured & ~(uint32_t)bit;
}

static int read_caps(struct device_settings *s, const json_t *caps, struct fault *fault)
{
    const json_t *runtimes = json_object_get(caps, "runtimes");

    if (json_is_null(caps)) {
        s->caps = (struct device_caps){.pdu_size = 0};
        s->caps_configured = 0;
        return 0;
    }
    if (body_check(caps, "/capabilities", caps_rules, array_size(caps_rules), fault))
        return 1;
    read_cap(s, &s->caps.pdu_size, DEVICE_CAP_PDU_SIZE, caps, "pdu_size");
    read_cap(s, &s->caps.slots, DEVICE_CAP_SLOTS, caps, "slots");
    read_cap(s, &s->caps.package_max, DEVICE_CAP_PACKAGE_MAX, caps, "package_max");
    read_cap(s, &s->caps.memory, DEVICE_CAP_MEMORY, caps, "memory");
    if (!runtimes)
        return 0;
    if (read_runtimes(&s->caps.runtimes, runtimes, fault))
        return 1;
    s->caps_configured = s->caps.runtimes ? s->caps_configured | DEVICE_CAP_RUNTIMES
                                          : s->caps_configured & ~(uint32_t)DEVICE_CAP_RUNTIMES;
    return 0;
}

static const struct body_rule sleep_rules[] = {
    {"sleep_s", BODY_NUMBER, true, false, 1, SLEEP_MAX_S, NULL},
    {"awake_ms", BODY_NUMBER, false, true, 1, AWAKE_MAX_MS, NULL},
};

static int read_sleep(struct device_settings *s, const json_t *sleep, struct fault *fault)
{
    if (!json_is_null(sleep) && body_check(sleep, "/sleep", sleep_rules, array_size(sleep_rules), fault))
        return 1;
    s->sleep_s = (uint32_t)json_integer_value(json_object_get(sleep, "sleep_s"));
    s->awake_ms = (uint32_t)json_integer_value(json_object_get(sleep, "awake_ms"));
    return 0;
}

/* A merge patch (RFC 7396) of them. */
static int read_labels(struct device_settings *s, const json_t *patch, struct fault *fault)
{
    json_t *labels = s->labels ? json_copy(s->labels) : json_object(), *value;
    const char *name;
    int r;

    if (!labels)
        return -ENOMEM;
    json_object_foreach((json_t *)(uintptr_t)patch, name, value)
    {
        if (json_is_null(value))
            (void)json_object_del(labels, name);
        else
            (void)json_object_set(labels, name, value);
    }
    if (json_is_null(patch))
        (void)json_object_clear(labels);
    r = labels_check(labels, "/labels", fault);
    json_decref(s->labels);
    s->labels = json_object_size(labels) ? json_incref(labels) : NULL;
    json_decref(labels);
    return r;
}

static void read_agent(struct device_settings *s, const json_t *agent)
{
    enum agent_kind kind = json_is_string(agent) ? agent_kind_from_name(json_string_value(agent)) : AGENT_UNKNOWN;

    s->agent_configured = kind != AGENT_UNKNOWN;
    s->agent = kind;
}

#define DEVICE_RULES(with_address)                                                                                     \
    {"name", BODY_TEXT, false, true, 0, CORE_NAME_MAX, NULL},                                                          \
        {"address", BODY_TEXT, with_address, false, 1, CORE_ADDRESS_MAX, NULL},                                        \
        {"agent", BODY_CHOICE, false, true, 0, 0, "v1 v2 suit unknown"},                                               \
        {"groups", BODY_ARRAY, false, true, 0, CORE_GROUPS_MAX, NULL},                                                 \
        {"labels", BODY_OBJECT, false, true, 0, 0, NULL},                                                              \
        {"observe", BODY_ARRAY, false, true, 0, WATCH_PATHS_MAX, NULL},                                                \
        {"allow_plain", BODY_BOOL, false, true, 0, 0, NULL}, {"sleep", BODY_OBJECT, false, true, 0, 0, NULL},          \
    {                                                                                                                  \
        "capabilities", BODY_OBJECT, false, true, 0, 0, NULL                                                           \
    }

static const struct body_rule patch_rules[] = {DEVICE_RULES(false)};
static const struct body_rule add_rules[] = {DEVICE_RULES(true), {"id", BODY_TEXT, false, true, 0, 255, NULL}};

int device_settings_check(const json_t *body, bool adding, struct fault *fault)
{
    return adding ? body_check(body, "", add_rules, array_size(add_rules), fault)
                  : body_check(body, "", patch_rules, array_size(patch_rules), fault);
}

int device_settings_read(struct core *core, struct device_settings *s, const json_t *body, struct fault *fault)
{
    const struct agent_port *port = &core->options.agents;
    const char *name = body_text(body, "name"), *address = body_text(body, "address");
    const json_t *agent = json_object_get(body, "agent"), *caps = json_object_get(body, "capabilities");
    const json_t *groups = json_object_get(body, "groups"), *allow_plain = json_object_get(body, "allow_plain");
    const json_t *sleep = json_object_get(body, "sleep"), *observe = json_object_get(body, "observe");
    const json_t *labels = json_object_get(body, "labels");
    int r = 0;

    if (json_object_get(body, "name"))
        (void)text_copy(s->name, sizeof s->name, name ? name : "");
    if (address && port->parse_address(port->arg, address, s->address, fault)) {
        if (fault)
            (void)text_copy(fault->pointer, sizeof fault->pointer, "/address");
        return 1;
    }
    if ((groups && groups_read(s->groups, groups, fault)) || (observe && watches_read(s->observe, observe, fault)))
        return 1;
    if (allow_plain)
        s->allow_plain = json_is_true(allow_plain);
    if (agent)
        read_agent(s, agent);
    if (sleep && read_sleep(s, sleep, fault))
        return 1;
    if (labels)
        r = read_labels(s, labels, fault);
    if (r)
        return r;
    return caps ? read_caps(s, caps, fault) : 0;
}
