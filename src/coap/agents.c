#include "coap/agents.h"

#include "coap/address.h"
#include "coap/task.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_SESSIONS 64

static const struct driver *const drivers[AGENT_KIND_COUNT] = {[AGENT_V1] = &driver_v1, [AGENT_V2] = &driver_v2};

static const struct driver *find_driver(enum agent_kind kind)
{
    return (unsigned)kind < AGENT_KIND_COUNT ? drivers[kind] : NULL;
}

/* The port -------------------------------------------------------------------------------------------------------- */

static const struct agent_features *get_features(void *arg, enum agent_kind kind)
{
    static const struct agent_features none;
    const struct driver *driver = find_driver(kind);

    (void)arg;
    return driver ? &driver->features : &none;
}

static int check(void *arg, const struct device *device, const char *uid, const struct artifact *artifact,
                 struct fault *fault)
{
    const struct driver *driver = find_driver(device->agent);
    int r = task_check(device, uid, artifact, fault);

    (void)arg;
    return r == 0 && driver ? driver->check(device, uid, artifact, fault) : r;
}

static struct task *new_task(struct agents *agents)
{
    struct task *task = calloc(1, sizeof *task);

    if (!task)
        abort(); /* there is no way to answer the call without memory */
    task->agents = agents;
    task->next = agents->tasks;
    agents->tasks = task;
    exchange_init(&task->exchange, agents->options.loop, agents->endpoint);
    agents->open_handles++;
    return task;
}

static struct task *take_task(struct agents *agents)
{
    struct task *task = agents->unused;

    if (!task)
        return new_task(agents);
    agents->unused = task->next_unused;
    return task;
}

static void clear_answer(struct agent_call *call)
{
    call->outcome = AGENT_LOCAL;
    call->code_received = 0;
    call->detail[0] = 0;
    call->state = CONTAINER_UNKNOWN;
    call->artifact_seen[0] = 0;
    call->log = NULL;
    call->log_size = 0;
    if (call->verb == AGENT_CALL_PROBE)
        call->probe = (struct agent_probe){.kind = AGENT_UNKNOWN};
}

static void begin(void *arg, struct agent_call *call)
{
    struct agents *agents = arg;
    const struct driver *driver = find_driver(call->device->agent);
    struct task *task = take_task(agents);

    call->driver = task;
    task->call = call;
    task->driver = driver;
    clear_answer(call);
    task->beginning = true;
    if (call->verb == AGENT_CALL_PROBE)
        probe_begin(task);
    else if (driver)
        driver->begin(task);
    else
        task_end(task, AGENT_LOCAL, "it is not known which kind of agent the device runs");
    task->beginning = false;
}

static void cancel(void *arg, struct agent_call *call)
{
    (void)arg;
    if (call->driver)
        (void)task_release(call->driver);
}

static int parse_address(void *arg, const char *text, char *out, struct fault *fault)
{
    (void)arg;
    return address_parse(text, out, fault);
}

struct agent_port agents_port(struct agents *agents)
{
    return (struct agent_port){agents, get_features, check, begin, cancel, parse_address};
}

/* The room -------------------------------------------------------------------------------------------------------- */

int agents_new(struct agents **out, const struct agents_options *options)
{
    struct agents *agents = calloc(1, sizeof *agents);
    int r;

    if (!agents)
        return -ENOMEM;
    agents->options = *options;
    r = endpoint_new(&agents->endpoint, options->loop, options->max_sessions ? options->max_sessions : DEFAULT_SESSIONS,
                     &exchange_handlers);
    if (r < 0) {
        free(agents);
        return r;
    }
    agents->open_handles = 1;
    *out = agents;
    return 0;
}

void agents_configure(struct agents *agents, const struct agents_options *options)
{
    uv_loop_t *loop = agents->options.loop;

    agents->options = *options;
    agents->options.loop = loop;
    endpoint_configure(agents->endpoint, options->max_sessions ? options->max_sessions : DEFAULT_SESSIONS);
}

static void release_handle(void *arg)
{
    struct agents *agents = arg;
    struct task *task;

    if (--agents->open_handles > 0)
        return;
    while ((task = agents->tasks)) {
        agents->tasks = task->next;
        free(task);
    }
    if (agents->closed)
        agents->closed(agents->closed_arg);
    free(agents);
}

static void on_task_closed(uv_handle_t *handle)
{
    release_handle(container_of((uv_timer_t *)handle, struct task, exchange.timer)->agents);
}

void agents_close(struct agents *agents, void (*closed)(void *arg), void *arg)
{
    agents->closed = closed;
    agents->closed_arg = arg;
    for (struct task *task = agents->tasks; task; task = task->next) {
        if (task->call)
            (void)task_release(task);
        exchange_close(&task->exchange, on_task_closed);
    }
    endpoint_close(agents->endpoint, release_handle, agents);
}

void agents_get_stats(const struct agents *agents, struct agents_stats *out)
{
    *out = agents->stats;
    out->sessions = endpoint_count_channels(agents->endpoint);
}
