#include "core/emergency.h"
#include "core/internal.h"

#include "base/memory.h"
#include "core/cache.h"

#include <errno.h>
#include <string.h>

/* Questions to the device that leave no record: what a container does, and requests to any resource (resource.c). */

struct waiter {
    struct list node;
    struct query *query;
    struct timer timer;
    core_query_fn done;
    core_resource_fn resource_done; /* instead of done */
    void *arg;
};

struct query {
    struct list node; /* device->queries, those under way too */
    struct device *device;
    char uid[CORE_ID_MAX + 1];
    enum core_query_kind kind;
    struct agent_resource *resource; /* of one waiter; NULL: about a container */
    bool list;                       /* of all containers, for nobody in particular */
    bool kept;                       /* a read whose answer goes to the cache, and which others may share */
    bool under_way;
    bool lost;           /* it was under way and was given up, and may not be repeated */
    struct list waiters; /* they share the answer */
};

/* What a query came to. */
struct outcome {
    struct core_query_result result;
    const struct agent_response *response; /* of a resource */
};

static void query_free(struct query *query)
{
    list_unlink(&query->node);
    query->device->query_count--;
    free(query->resource);
    free(query);
}

static void call_back(const struct waiter *waiter, const struct outcome *outcome)
{
    const struct core_resource_result result = {outcome->result.fault, outcome->response};

    if (waiter->resource_done)
        waiter->resource_done(waiter->arg, &result);
    else
        waiter->done(waiter->arg, &outcome->result);
}

/* Tells one waiter and frees it. */
static void tell(struct waiter *waiter, const struct outcome *outcome)
{
    list_unlink(&waiter->node);
    core_disarm(waiter->query->device->core, &waiter->timer);
    call_back(waiter, outcome);
    free(waiter);
}

/* Tells all waiters and frees the query. It is out of its queue before, so that nobody joins it any more. */
static void query_finish(struct query *query, const struct outcome *outcome)
{
    list_unlink(&query->node);
    while (!list_empty(&query->waiters))
        tell(list_first(&query->waiters, struct waiter, node), outcome);
    query_free(query);
}

static void query_fail(struct query *query, enum fault_code code, const char *why)
{
    struct outcome outcome = {.response = NULL};

    (void)fault_set(&outcome.result.fault, code, "%s", why);
    query_finish(query, &outcome);
}

static bool changes_something(const struct query *query)
{
    return query->resource && resource_changes(query->resource);
}

static void fail_lost(struct fault *fault, const struct query *query)
{
    (void)fault_set(fault, FAULT_OUTCOME_UNKNOWN,
                    "Device '%s' was asked to change %.100s, and it is not known whether it did.", query->device->id,
                    query->resource->path);
}

/* Nobody waits for its answer any more. */
static void query_abandon(struct query *query)
{
    struct device *device = query->device;

    if (query->under_way)
        device_cancel_call(device);
    query_free(query);
    device_pump(device);
}

static void explain_timeout(const struct query *query, struct fault *fault)
{
    const struct device *device = query->device;

    if (changes_something(query) && (query->under_way || query->lost)) {
        fail_lost(fault, query);
        return;
    }
    if (!query->under_way && core_check_awake(device, fault))
        return;
    if (query->resource)
        (void)fault_set(fault, FAULT_DEVICE_TIMEOUT, "Device '%s' did not answer about %.100s in time.", device->id,
                        query->resource->path);
    else
        (void)fault_set(fault, FAULT_DEVICE_TIMEOUT, "Device '%s' did not answer about container '%s' in time.",
                        device->id, query->uid);
}

static void waiter_timeout(struct timer *timer)
{
    struct waiter *waiter = container_of(timer, struct waiter, timer);
    struct query *query = waiter->query;
    struct outcome outcome = {.response = NULL};

    explain_timeout(query, &outcome.result.fault);
    outcome.result.container = query->resource ? NULL : core_find_container(query->device, query->uid);
    list_unlink(&waiter->node);
    if (list_empty(&query->waiters))
        query_abandon(query);
    call_back(waiter, &outcome);
    free(waiter);
}

static struct query *find_shared(const struct device *device, const char *uid)
{
    list_each(node, &device->queries)
    {
        struct query *query = container_of(node, struct query, node);

        if (!query->resource && !query->list && query->kind == CORE_QUERY_STATUS && strcmp(query->uid, uid) == 0)
            return query;
    }
    return NULL;
}

static struct query *query_new(struct device *device)
{
    struct query *query = memory_new(sizeof *query);

    if (!query)
        return NULL;
    query->device = device;
    list_init(&query->waiters);
    list_append(&device->queries, &query->node);
    device->query_count++;
    return query;
}

static struct query *query_container(const struct container *c, enum core_query_kind kind)
{
    struct query *query = query_new(c->device);

    if (!query)
        return NULL;
    memcpy(query->uid, c->uid, sizeof query->uid);
    query->kind = kind;
    return query;
}

/* Lets the waiter wait for the query, and begins. */
static void wait_for(struct query *query, struct waiter *waiter, uint32_t timeout_ms)
{
    struct core *core = query->device->core;

    waiter->query = query;
    waiter->timer.fire = waiter_timeout;
    list_append(&query->waiters, &waiter->node);
    core_arm(core, &waiter->timer, core_now(core) + timeout_ms);
    device_pump(query->device);
}

static int check_query(const struct container *c, enum core_query_kind kind, struct fault *fault)
{
    const struct device *device = c->device;

    if (core_check_accepting(device->core, fault))
        return 1;
    if (device->agent == AGENT_UNKNOWN)
        return fault_set(fault, FAULT_AGENT_UNKNOWN, "It is not known which agent device '%s' runs.", device->id);
    if (kind == CORE_QUERY_LOG && !device_features(device)->can_log)
        return fault_set(fault, FAULT_AGENT_UNSUPPORTED,
                         "The agent of device '%s' (%s) keeps no log of container '%s'.", device->id,
                         agent_kind_name(device->agent), c->uid);
    return 0;
}

int core_query_container(struct core *core, struct container *c, enum core_query_kind kind, uint32_t timeout_ms,
                         core_query_fn done, void *arg, struct fault *fault)
{
    struct query *query;
    struct waiter *waiter;

    (void)core;
    if (check_query(c, kind, fault))
        return 1;
    query = kind == CORE_QUERY_STATUS ? find_shared(c->device, c->uid) : NULL;
    if (!query && device_check_queue(c->device, fault))
        return 1;
    waiter = memory_new(sizeof *waiter);
    if (waiter && !query)
        query = query_container(c, kind);
    if (!waiter || !query) {
        free(waiter);
        return -ENOMEM;
    }
    waiter->done = done;
    waiter->arg = arg;
    wait_for(query, waiter, timeout_ms);
    return 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_same_read(const struct agent_resource *a, const struct agent_resource *b)
{
    return a->accept == b->accept && a->limit == b->limit && a->etag_size == b->etag_size &&
           (!a->etag_size || memcmp(a->etag, b->etag, a->etag_size) == 0) && is_same_text(a->path, b->path) &&
           is_same_text(a->query, b->query);
}

static struct query *find_read(const struct device *device, const struct agent_resource *resource)
{
    list_each(node, &device->queries)
    {
        struct query *query = container_of(node, struct query, node);

        if (query->kept && is_same_read(query->resource, resource))
            return query;
    }
    return NULL;
}

static struct query *query_new_resource(struct device *device, const struct agent_resource *resource, bool kept)
{
    struct agent_resource *copy = resource_copy(resource);
    struct query *query = copy ? query_new(device) : NULL;

    if (!query) {
        free(copy);
        return NULL;
    }
    query->resource = copy;
    query->kept = kept;
    return query;
}

int query_resource(struct device *device, const struct agent_resource *resource, bool kept, uint32_t timeout_ms,
                   core_resource_fn done, void *arg, bool *shared, struct fault *fault)
{
    struct query *query = kept ? find_read(device, resource) : NULL;
    struct waiter *waiter;

    *shared = query;
    if (!query && device_check_queue(device, fault))
        return 1;
    waiter = memory_new(sizeof *waiter);
    if (waiter && !query)
        query = query_new_resource(device, resource, kept);
    if (!waiter || !query) {
        free(waiter);
        return -ENOMEM;
    }
    waiter->resource_done = done;
    waiter->arg = arg;
    wait_for(query, waiter, timeout_ms);
    return 0;
}

struct query *query_first(const struct device *device)
{
    if (list_empty(&device->queries))
        return NULL;
    return list_first(&device->queries, struct query, node);
}

static enum agent_verb verb_of(const struct query *query)
{
    if (query->resource)
        return AGENT_CALL_RESOURCE;
    if (query->list)
        return AGENT_CALL_LIST;
    return query->kind == CORE_QUERY_LOG ? AGENT_CALL_LOG : AGENT_CALL_STATUS;
}

/* Whether what waited may still be sent. */
static bool check_run(const struct query *query, struct fault *fault)
{
    if (!query->lost && quarantine_check(query->device, fault))
        return false;
    if (!query->lost)
        return !changes_something(query) || device_check_protected(query->device, fault) == 0;
    fail_lost(fault, query);
    return false;
}

void query_run(struct query *query)
{
    struct outcome outcome = {.response = NULL};
    struct agent_call *call;

    if (!check_run(query, &outcome.result.fault)) {
        query_finish(query, &outcome);
        return;
    }
    call = device_new_call(query->device, verb_of(query), NULL, query);
    if (!call) {
        query_fail(query, FAULT_INTERNAL, "The gateway is out of memory.");
        return;
    }
    memcpy(call->uid, query->uid, sizeof call->uid);
    suit_fill_call(index_find_container(call->device, call->uid), call);
    call->resource = query->resource;
    query->under_way = true;
    device_send_call(query->device, call);
}

void query_wait_again(struct query *query)
{
    query->under_way = false;
    query->lost = changes_something(query);
}

/* While an operation waits to see whether its start lasts, running is what everybody expects and proves nothing. */
static bool is_premature(const struct container *c, const struct agent_call *call)
{
    const struct device *device = c->device;
    const struct operation *op;

    if (call->state != CONTAINER_RUNNING || c->reported != CONTAINER_STARTING || list_empty(&device->operations) ||
        device_features(device)->start_is_true)
        return false;
    op = list_first(&device->operations, struct operation, device_node);
    return op->state == OPERATION_RUNNING && strcmp(op->uid, c->uid) == 0;
}

void query_apply_status(struct container *c, const struct agent_call *call)
{
    enum container_state state = c->reported;
    enum container_load load = c->load;
    char artifact[CORE_DIGEST_TEXT];

    if (is_premature(c, call))
        return;
    memcpy(artifact, c->reported_artifact, sizeof artifact);
    container_apply_status(c, call);
    if (state != c->reported || load != c->load || strcmp(artifact, c->reported_artifact) != 0)
        container_write(c);
}

static void resource_answered(struct query *query, struct agent_call *call)
{
    struct outcome outcome = {.response = &call->response};

    if (query->kept && call->outcome == AGENT_OK)
        cache_take(query->device, query->resource, &call->response);
    if (call->outcome != AGENT_OK) {
        outcome.response = NULL;
        if (call->outcome == AGENT_NO_ANSWER && changes_something(query))
            fail_lost(&outcome.result.fault, query);
        else
            fault_from_call(&outcome.result.fault, call);
    }
    query_finish(query, &outcome);
}

static void container_answered(struct query *query, struct agent_call *call)
{
    struct container *c = core_find_container(query->device, query->uid);
    struct outcome outcome = {.result.container = c};
    struct core_query_result *result = &outcome.result;
    bool status = call->verb == AGENT_CALL_STATUS;

    if (!c) {
        query_fail(query, FAULT_NOT_FOUND, "The container was removed.");
        return;
    }
    if (call->outcome == AGENT_OK || (status && call->outcome == AGENT_ABSENT)) {
        if (status)
            query_apply_status(c, call);
        result->log = call->log;
        result->log_size = call->log_size;
    } else {
        fault_from_call(&result->fault, call);
    }
    query_finish(query, &outcome);
}

bool query_list(struct device *device)
{
    struct query *query;
    struct fault fault;

    list_each(node, &device->queries)
    {
        if (container_of(node, struct query, node)->list)
            return true;
    }
    if (device_check_queue(device, &fault))
        return false;
    query = query_new(device);
    if (!query)
        return false;
    query->list = true;
    device_pump(device);
    return true;
}

void query_answered(struct query *query, struct agent_call *call)
{
    struct device *device = query->device;

    if (query->list) {
        query_finish(query, &(struct outcome){.response = NULL});
        census_take(device, call);
        return;
    }
    if (query->resource)
        resource_answered(query, call);
    else
        container_answered(query, call);
}

void queries_fail(struct device *device, const char *uid, enum fault_code code, const char *why)
{
    bool again = true;

    /* From the start after each one: its waiters may have asked something new. */
    while (again) {
        again = false;
        list_each(node, &device->queries)
        {
            struct query *query = container_of(node, struct query, node);

            if (uid && strcmp(query->uid, uid) != 0)
                continue;
            if (query->under_way)
                device_cancel_call(device);
            query_fail(query, code, why);
            again = true;
            break;
        }
    }
}
