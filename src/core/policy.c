#include "core/internal.h"
#include "core/trust_private.h"

#include "core/bodycheck.h"

#include <errno.h>
#include <string.h>

/* Policies: what a device's owner lets publishers ask for. */

#define PRIORITY 100

struct policy {
    int64_t priority;
    struct selector *devices;             /* NULL: all */
    const json_t *publishers, *artifacts; /* patterns, the document's; NULL: all */
    const char *reason;                   /* the document's; NULL: none */
    bool allow;
    uint32_t types, syscalls, peers, directions;     /* bits that may be asked for */
    int64_t loop_period_min, lifetime_max, size_max; /* -1: no limit */
};

void policy_free(void *object)
{
    struct policy *policy = object;

    selector_free(policy->devices);
    free(policy);
}

/* Parsing ---------------------------------------------------------------------------------------------------------- */

enum { DIRECTION_IN = 1, DIRECTION_OUT = 2 };

static uint32_t type_bit(const char *name)
{
    enum container_type type = container_type_from_name(name);

    return type == CONTAINER_TYPE_COUNT ? 0 : 1u << type;
}

static uint32_t syscall_bit(const char *name)
{
    unsigned id = container_syscall_from_name(name);

    return id ? 1u << (id - 1) : 0;
}

static uint32_t peer_bit(const char *name)
{
    int peer = endpoint_peer_from_name(name);

    return peer < 0 ? 0 : 1u << peer;
}

static uint32_t direction_bits(const char *name)
{
    static const uint32_t bits[] = {
        [ENDPOINT_IN] = DIRECTION_IN, [ENDPOINT_OUT] = DIRECTION_OUT, [ENDPOINT_BOTH] = DIRECTION_IN | DIRECTION_OUT};
    int direction = endpoint_direction_from_name(name);

    return direction < 0 ? 0 : bits[direction];
}

/* Names into the bits that they stand for; without a list all are set. */
static int parse_bits(uint32_t *bits, const json_t *list, const char *pointer, uint32_t (*bit)(const char *name),
                      struct fault *fault)
{
    const json_t *name;
    size_t i;

    *bits = list ? 0 : UINT32_MAX;
    json_array_foreach(list, i, name)
    {
        uint32_t add = json_is_string(name) ? bit(json_string_value(name)) : 0;

        if (!add)
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s/%zu is no name that is known here.", pointer,
                                i);
        *bits |= add;
    }
    return 0;
}

static int parse_endpoints(struct policy *policy, const json_t *endpoints, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"peers", BODY_ARRAY, false, false, 0, 3, NULL},
        {"directions", BODY_ARRAY, false, false, 0, 3, NULL},
    };

    if (endpoints && body_check(endpoints, "/endpoints", rules, array_size(rules), fault))
        return 1;
    return parse_bits(&policy->peers, json_object_get(endpoints, "peers"), "/endpoints/peers", peer_bit, fault) ||
           parse_bits(&policy->directions, json_object_get(endpoints, "directions"), "/endpoints/directions",
                      direction_bits, fault);
}

static int parse_limits(struct policy *policy, const json_t *body, struct fault *fault)
{
    policy->loop_period_min = body_number(body, "loop_period_ms_min", -1);
    policy->lifetime_max = body_number(body, "loop_max_lifetime_max", -1);
    policy->size_max = body_number(body, "size_max", -1);
    return parse_bits(&policy->types, json_object_get(body, "types"), "/types", type_bit, fault) ||
           parse_bits(&policy->syscalls, json_object_get(body, "syscalls"), "/syscalls", syscall_bit, fault) ||
           parse_endpoints(policy, json_object_get(body, "endpoints"), fault);
}

static const struct body_rule policy_rules[] = {
    {"priority", BODY_NUMBER, false, false, 0, 1000000, NULL},
    {"reason", BODY_TEXT, false, false, 1, CORE_NAME_MAX, NULL},
    {"devices", BODY_OBJECT, false, false, 0, 0, NULL},
    {"publishers", BODY_ARRAY, false, false, 0, PATTERNS_MAX, NULL},
    {"artifacts", BODY_ARRAY, false, false, 0, PATTERNS_MAX, NULL},
    {"allow", BODY_BOOL, true, false, 0, 0, NULL},
    {"types", BODY_ARRAY, false, false, 0, CONTAINER_TYPE_COUNT, NULL},
    {"syscalls", BODY_ARRAY, false, false, 0, CONTAINER_SYSCALL_COUNT, NULL},
    {"endpoints", BODY_OBJECT, false, false, 0, 0, NULL},
    {"loop_period_ms_min", BODY_NUMBER, false, false, 0, UINT32_MAX, NULL},
    {"loop_max_lifetime_max", BODY_NUMBER, false, false, 1, UINT32_MAX, NULL},
    {"size_max", BODY_NUMBER, false, false, 0, INT64_MAX, NULL},
};

int policy_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault)
{
    const json_t *devices = json_object_get(body, "devices");
    struct policy *policy;
    int r;

    (void)core;
    if (trust_take_name(body, name, fault) || body_check(body, "", policy_rules, array_size(policy_rules), fault) ||
        patterns_check(json_object_get(body, "publishers"), "/publishers", fault) ||
        patterns_check(json_object_get(body, "artifacts"), "/artifacts", fault))
        return 1;
    *object = policy = calloc(1, sizeof *policy);
    if (!policy)
        return -ENOMEM;
    policy->priority = body_number(body, "priority", PRIORITY);
    policy->publishers = json_object_get(body, "publishers");
    policy->artifacts = json_object_get(body, "artifacts");
    policy->reason = body_text(body, "reason");
    policy->allow = json_is_true(json_object_get(body, "allow"));
    r = parse_limits(policy, body, fault);
    if (r == 0 && devices)
        r = selector_parse(&policy->devices, devices, "/devices", fault);
    return r;
}

/* The check -------------------------------------------------------------------------------------------------------- */

static bool matches(const struct policy *policy, const struct device *device, const char *publisher, const char *name)
{
    if (policy->publishers && !(publisher && patterns_match(policy->publishers, publisher)))
        return false;
    if (policy->artifacts && !patterns_match(policy->artifacts, name))
        return false;
    return !policy->devices || selector_matches(policy->devices, device);
}

/* The rule that decides; NULL: none. */
static const struct document *find_rule(struct core *core, const struct device *device, const char *publisher,
                                        const char *name)
{
    const struct document *best = NULL;

    for (const struct document *d = document_first(core, DOCUMENT_POLICY); d; d = d->hh.next) {
        const struct policy *policy = d->object;

        if (!policy)
            return d; /* nobody knows what it forbids */
        if ((!best || policy->priority < ((const struct policy *)best->object)->priority) &&
            matches(policy, device, publisher, name))
            best = d;
    }
    return best;
}

static const char *find_bad_syscall(const struct policy *policy, const struct artifact *artifact)
{
    for (unsigned id = 1; id < CONTAINER_SYSCALL_COUNT; id++)
        if (artifact->syscall_mask & ~policy->syscalls & 1u << (id - 1))
            return container_syscall_name(id);
    return NULL;
}

static const struct container_endpoint *find_bad_endpoint(const struct policy *policy, const struct artifact *artifact)
{
    for (size_t i = 0; i < artifact->endpoint_count; i++) {
        const struct container_endpoint *endpoint = &artifact->endpoints[i];
        uint32_t needs = direction_bits(endpoint_direction_name(endpoint->direction));

        if (!(policy->peers & 1u << endpoint->peer) || (policy->directions & needs) != needs)
            return endpoint;
    }
    return NULL;
}

/* What of it the rule does not let; false when there is nothing. */
static bool find_excess(const struct policy *policy, const struct artifact *artifact, char *out, size_t size)
{
    const struct container_limits *limits = &artifact->limits;
    const struct container_endpoint *endpoint = find_bad_endpoint(policy, artifact);
    const char *call = find_bad_syscall(policy, artifact);
    uint64_t bytes = artifact->code_size + artifact->data_size;

    if (!(policy->types & 1u << artifact->type))
        (void)snprintf(out, size, "a container of type %s", container_type_name(artifact->type));
    else if (call)
        (void)snprintf(out, size, "the system call %s", call);
    else if (endpoint)
        (void)snprintf(out, size, "endpoint %u (peer %s, direction %s)", endpoint->id,
                       endpoint_peer_name(endpoint->peer), endpoint_direction_name(endpoint->direction));
    else if (limits->loop_period < policy->loop_period_min)
        (void)snprintf(out, size, "a loop period of %u ms, under %lld", limits->loop_period,
                       (long long)policy->loop_period_min);
    else if (policy->lifetime_max >= 0 && limits->loop_max_lifetime == 0)
        (void)snprintf(out, size, "a lifetime without limit, over %lld loops", (long long)policy->lifetime_max);
    else if (policy->lifetime_max >= 0 && limits->loop_max_lifetime > policy->lifetime_max)
        (void)snprintf(out, size, "a lifetime of %u loops, over %lld", limits->loop_max_lifetime,
                       (long long)policy->lifetime_max);
    else if (policy->size_max >= 0 && bytes > (uint64_t)policy->size_max)
        (void)snprintf(out, size, "%llu bytes of code and data, over %lld", (unsigned long long)bytes,
                       (long long)policy->size_max);
    else
        return false;
    return true;
}

int policy_check(struct core *core, const struct device *device, const struct artifact *artifact, const char *publisher,
                 const char *name, struct fault *fault)
{
    const struct document *rule = find_rule(core, device, publisher, name);
    const struct policy *policy = rule ? rule->object : NULL;
    char excess[128] = "it";

    if (rule && !policy)
        return fault_set(fault, FAULT_POLICY_DENIED,
                         "Policy '%s' cannot be read from the database; until it is set anew nothing may be loaded.",
                         rule->key);
    if (!policy || (policy->allow && !find_excess(policy, artifact, excess, sizeof excess)))
        return 0;
    return fault_set(fault, FAULT_POLICY_DENIED, "Policy '%s' does not let '%s' have %s on device '%s'%s%s.", rule->key,
                     *name ? name : artifact->id, excess, device->id, policy->reason ? ": " : "",
                     policy->reason ? policy->reason : "");
}

/* Shown and changed ------------------------------------------------------------------------------------------------ */

int core_put_policy(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                    struct fault *fault)
{
    if (!text_is_name(name, CORE_ID_MAX))
        return fault_set(fault, FAULT_INVALID_ID, "A policy's name has 1 to %d letters, digits and . _ ~ -.",
                         CORE_ID_MAX);
    return document_put(core, DOCUMENT_POLICY, name, body, done, arg, fault);
}

int core_remove_policy(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_POLICY, name, done, arg, fault);
}

json_t *core_policy_json(struct core *core, const char *name)
{
    return trust_document_json(core, DOCUMENT_POLICY, name);
}

json_t *core_policies_json(struct core *core)
{
    return trust_documents_json(core, DOCUMENT_POLICY);
}
