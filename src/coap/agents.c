#include "coap/agents.h"

#include "coap/address.h"
#include "coap/resource.h"
#include "coap/secure_private.h"
#include "coap/task.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_SESSIONS 64
#define DEFAULT_CALLS 4096
#define DEFAULT_KEPT (16ull << 20)

static const struct driver *const drivers[AGENT_KIND_COUNT] = {
    [AGENT_V1] = &driver_v1, [AGENT_V2] = &driver_v2, [AGENT_SUIT] = &driver_suit};

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
    list_init(&task->waiting_node);
    secure_init(&task->secure, agents);
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
    call->response = (struct agent_response){.format = -1};
    if (call->verb == AGENT_CALL_PROBE)
        call->probe = (struct agent_probe){.kind = AGENT_UNKNOWN};
}

static void begin_task(struct task *task)
{
    const struct agent_call *call = task->call;

    task->agents->running++;
    task->driver = find_driver(call->device->agent);
    task->beginning = true;
    if (call->verb == AGENT_CALL_PROBE)
        probe_begin(task);
    else if (call->verb == AGENT_CALL_RESOURCE)
        resource_begin(task);
    else if (task->driver)
        task->driver->begin(task);
    else
        task_end(task, AGENT_LOCAL, "it is not known which kind of agent the device runs");
    task->beginning = false;
}

void agents_begin_waiting(struct agents *agents)
{
    while (!list_empty(&agents->waiting) && agents->running < agents->options.max_calls) {
        struct task *task = list_first(&agents->waiting, struct task, waiting_node);

        list_unlink(&task->waiting_node);
        begin_task(task);
    }
}

static void begin(void *arg, struct agent_call *call)
{
    struct agents *agents = arg;
    struct task *task = take_task(agents);

    call->driver = task;
    task->call = call;
    clear_answer(call);
    list_append(&agents->waiting, &task->waiting_node);
    agents_begin_waiting(agents);
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
    return (struct agent_port){
        .arg = agents,
        .features = get_features,
        .check = check,
        .begin = begin,
        .cancel = cancel,
        .pause = push_pause,
        .observe = observe_begin,
        .unobserve = observe_end,
        .refresh = observe_refresh,
        .parse_address = parse_address,
    };
}

/* What the endpoint asks ------------------------------------------------------------------------------------------ */

static void take_request(void *arg, struct incoming *incoming, const struct coapmsg *request)
{
    struct agents *agents = arg;

    if (agents->server)
        server_request(agents->server, incoming, request);
    else
        incoming_drop(incoming, false);
}

static bool find_psk(void *arg, const void *identity, size_t size, uint8_t *key, size_t *key_size)
{
    const struct agents *agents = arg;
    const struct credential *credential = agents->core ? keyring_find_psk(agents->core, identity, size) : NULL;

    if (!credential || credential->psk_size > *key_size)
        return false;
    *key_size = credential->psk_size;
    memcpy(key, credential->psk, credential->psk_size);
    return true;
}

static bool check_certificate(void *arg, const char *common_name, const uint8_t fingerprint[32])
{
    const struct agents *agents = arg;

    return agents->core && keyring_find_certificate(agents->core, common_name, fingerprint);
}

/* The room -------------------------------------------------------------------------------------------------------- */

static struct endpoint_options endpoint_options(struct agents *agents)
{
    const struct agents_options *options = &agents->options;

    return (struct endpoint_options){
        .loop = options->loop,
        .handlers = &agents->handlers,
        .server = agents,
        .trust = {agents, find_psk, check_certificate},
        .certificate = options->certificate,
        .private_key = options->private_key,
        .client_ca = options->client_ca,
        .max_idle = options->max_sessions,
        .max_sessions = options->max_peer_sessions,
        .kept_bytes = options->kept_bytes,
        .ack_timeout_ms = options->ack_timeout_ms,
        .max_retransmit = options->max_retransmit,
    };
}

static struct server_options server_options(struct agents *agents)
{
    const struct agents_options *options = &agents->options;

    return (struct server_options){
        .loop = options->loop,
        .clock = clock_system(),
        .core = agents->core,
        .endpoint = agents->endpoint,
        .updates = &agents->updates,
        .links = &agents->links,
        .quiet_ms = options->load_timeout_ms,
        .max_transfers = options->max_transfers,
        .max_observers = options->max_observers,
        .ack_timeout_ms = options->ack_timeout_ms,
        .max_records = options->max_records,
        .max_body = options->max_body,
        .max_unfragmented = options->max_unfragmented,
    };
}

static void take_options(struct agents *agents, const struct agents_options *options)
{
    agents->options = *options;
    if (!options->max_sessions)
        agents->options.max_sessions = DEFAULT_SESSIONS;
    if (!options->max_calls)
        agents->options.max_calls = DEFAULT_CALLS;
    if (!options->max_peer_sessions)
        agents->options.max_peer_sessions = DEFAULT_SESSIONS;
    if (!options->kept_bytes)
        agents->options.kept_bytes = DEFAULT_KEPT;
}

int agents_new(struct agents **out, const struct agents_options *options)
{
    struct agents *agents = calloc(1, sizeof *agents);
    struct endpoint_options endpoint;
    int r;

    if (agents)
        agents->scratch = malloc(sizeof *agents->scratch);
    if (!agents || !agents->scratch) {
        free(agents);
        return -ENOMEM;
    }
    take_options(agents, options);
    list_init(&agents->waiting);
    list_init(&agents->secures);
    list_init(&agents->observations);
    agents->handlers = exchange_handlers;
    agents->handlers.request = take_request;
    agents->handlers.notified = server_notified;
    endpoint = endpoint_options(agents);
    r = endpoint_new(&agents->endpoint, &endpoint);
    if (r < 0) {
        free(agents->scratch);
        free(agents);
        return r;
    }
    (void)uv_timer_init(options->loop, &agents->update_timer);
    updates_init(&agents->updates, clock_system());
    links_init(&agents->links, options->loop);
    agents->open_handles = 3;
    *out = agents;
    return 0;
}

int agents_listen(struct agents *agents, enum peer_transport transport, const char *address, char *reason,
                  size_t reason_size)
{
    return endpoint_listen(agents->endpoint, transport, address, reason, reason_size);
}

int agents_adopt(struct agents *agents, int fd)
{
    return endpoint_adopt(agents->endpoint, fd);
}

static void take_dropped(void *arg, struct credential *credential)
{
    struct agents *agents = arg;

    secure_drop(agents, credential);
    server_dropped(agents->server, credential);
    if (credential->kind != CREDENTIAL_OSCORE)
        endpoint_drop_identity(agents->endpoint, credential->identity);
}

int agents_start(struct agents *agents, struct core *core)
{
    struct security_port port = {.arg = agents, .dropped = take_dropped};
    struct server_options options;
    int r;

    agents->core = core;
    options = server_options(agents);
    r = server_new(&agents->server, &options);
    if (r < 0)
        return r;
    agents->open_handles++;
    keyring_set_port(core, &port);
    return 0;
}

void agents_configure(struct agents *agents, const struct agents_options *options)
{
    uv_loop_t *loop = agents->options.loop;
    struct endpoint_options endpoint;
    struct server_options server;

    take_options(agents, options);
    agents->options.loop = loop;
    endpoint = endpoint_options(agents);
    endpoint_configure(agents->endpoint, &endpoint);
    server = server_options(agents);
    if (agents->server)
        server_configure(agents->server, &server);
    agents_begin_waiting(agents);
}

void agents_release(void *arg)
{
    struct agents *agents = arg;
    struct task *task;

    if (--agents->open_handles > 0)
        return;
    while ((task = agents->tasks)) {
        agents->tasks = task->next;
        free(task);
    }
    renewal_forget_all(agents);
    updates_clear(&agents->updates);
    if (agents->closed)
        agents->closed(agents->closed_arg);
    free(agents->scratch);
    free(agents);
}

static void on_task_closed(uv_handle_t *handle)
{
    agents_release(container_of((uv_timer_t *)handle, struct task, secure.exchange.timer)->agents);
}

static void on_update_timer_closed(uv_handle_t *handle)
{
    agents_release(container_of((uv_timer_t *)handle, struct agents, update_timer));
}

void agents_close(struct agents *agents, void (*closed)(void *arg), void *arg)
{
    agents->closed = closed;
    agents->closed_arg = arg;
    agents->options.max_calls = 0; /* nothing begins any more */
    for (struct task *task = agents->tasks; task; task = task->next) {
        if (task->call)
            (void)task_release(task);
        secure_close(&task->secure, on_task_closed);
    }
    observe_close_all(agents);
    uv_close((uv_handle_t *)&agents->update_timer, on_update_timer_closed);
    links_close(&agents->links, agents_release, agents);
    if (agents->core) /* what is still being written may drop credentials, of which nothing is left here */
        keyring_set_port(agents->core, NULL);
    if (agents->server)
        server_close(steal_pointer(agents->server), agents_release, agents);
    endpoint_close(agents->endpoint, agents_release, agents);
}

void agents_get_stats(const struct agents *agents, struct agents_stats *out)
{
    *out = agents->stats;
    list_each(node, &agents->waiting) out->waiting++;
    endpoint_get_stats(agents->endpoint, &out->messages);
    if (agents->server)
        server_get_stats(agents->server, &out->server);
}
