#include "core/internal.h"

#include <errno.h>
#include <string.h>

/* Reads that ask the device without leaving a record. */

struct waiter {
    struct list node;
    struct query *query;
    struct timer timer;
    core_query_fn done;
    void *arg;
};

struct query {
    struct list node; /* device->queries, those under way too */
    struct device *device;
    char uid[CORE_ID_MAX + 1];
    enum core_query_kind kind;
    bool under_way;
    struct list waiters; /* they share the answer */
};

static void query_free(struct query *query)
{
    list_unlink(&query->node);
    query->device->query_count--;
    free(query);
}

/* Tells one waiter and frees it. */
static void tell(struct waiter *waiter, const struct core_query_result *result)
{
    list_unlink(&waiter->node);
    core_disarm(waiter->query->device->core, &waiter->timer);
    waiter->done(waiter->arg, result);
    free(waiter);
}

/* Tells all waiters and frees the query. It is out of its queue before, so that nobody joins it any more. */
static void query_finish(struct query *query, const struct core_query_result *result)
{
    list_unlink(&query->node);
    while (!list_empty(&query->waiters))
        tell(list_first(&query->waiters, struct waiter, node), result);
    query_free(query);
}

static void query_fail(struct query *query, enum fault_code code, const char *why)
{
    struct core_query_result result = {.container = NULL};

    (void)fault_set(&result.fault, code, "%s", why);
    query_finish(query, &result);
}

/* Nobody waits for its answer any more: reading changes nothing, so that it can be given up at any time. */
static void query_abandon(struct query *query)
{
    struct device *device = query->device;

    if (query->under_way)
        device_cancel_call(device);
    query_free(query);
    device_pump(device);
}

static void waiter_timeout(struct timer *timer)
{
    struct waiter *waiter = container_of(timer, struct waiter, timer);
    struct query *query = waiter->query;
    struct core_query_result result = {.container = NULL};

    (void)fault_set(&result.fault, FAULT_DEVICE_TIMEOUT, "Device '%s' did not answer about container '%s' in time.",
                    query->device->id, query->uid);
    result.container = core_find_container(query->device, query->uid);
    list_unlink(&waiter->node);
    if (list_empty(&query->waiters))
        query_abandon(query);
    waiter->done(waiter->arg, &result);
    free(waiter);
}

static struct query *find_shared(const struct device *device, const char *uid)
{
    list_each(node, &device->queries)
    {
        struct query *query = container_of(node, struct query, node);

        if (query->kind == CORE_QUERY_STATUS && strcmp(query->uid, uid) == 0)
            return query;
    }
    return NULL;
}

static struct query *query_new(const struct container *c, enum core_query_kind kind)
{
    struct query *query = calloc(1, sizeof *query);

    if (!query)
        return NULL;
    query->device = c->device;
    memcpy(query->uid, c->uid, sizeof query->uid);
    query->kind = kind;
    list_init(&query->waiters);
    list_append(&c->device->queries, &query->node);
    c->device->query_count++;
    return query;
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

    if (check_query(c, kind, fault))
        return 1;
    query = kind == CORE_QUERY_STATUS ? find_shared(c->device, c->uid) : NULL;
    if (!query && device_check_queue(c->device, fault))
        return 1;
    waiter = calloc(1, sizeof *waiter);
    if (waiter && !query)
        query = query_new(c, kind);
    if (!waiter || !query) {
        free(waiter);
        return -ENOMEM;
    }
    waiter->query = query;
    waiter->done = done;
    waiter->arg = arg;
    waiter->timer.fire = waiter_timeout;
    list_append(&query->waiters, &waiter->node);
    core_arm(core, &waiter->timer, core_now(core) + timeout_ms);
    device_pump(c->device);
    return 0;
}

struct query *query_first(const struct device *device)
{
    if (list_empty(&device->queries))
        return NULL;
    return list_first(&device->queries, struct query, node);
}

void query_run(struct query *query)
{
    enum agent_verb verb = query->kind == CORE_QUERY_LOG ? AGENT_CALL_LOG : AGENT_CALL_STATUS;
    struct agent_call *call = device_new_call(query->device, verb, NULL, query);

    if (!call) {
        query_fail(query, FAULT_INTERNAL, "The gateway is out of memory.");
        return;
    }
    memcpy(call->uid, query->uid, sizeof call->uid);
    query->under_way = true;
    device_send_call(query->device, call);
}

void query_wait_again(struct query *query)
{
    query->under_way = false;
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

static void apply_status(struct container *c, const struct agent_call *call)
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

void query_answered(struct query *query, struct agent_call *call)
{
    struct container *c = core_find_container(query->device, query->uid);
    struct core_query_result result = {.container = c};
    bool status = call->verb == AGENT_CALL_STATUS;

    if (!c) {
        query_fail(query, FAULT_NOT_FOUND, "The container was removed.");
        return;
    }
    if (call->outcome == AGENT_OK || (status && call->outcome == AGENT_ABSENT)) {
        if (status)
            apply_status(c, call);
        result.log = call->log;
        result.log_size = call->log_size;
    } else {
        fault_from_call(&result.fault, call);
    }
    query_finish(query, &result);
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
