#include "core/internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "core/cache.h"
#include "core/link.h"

#include <errno.h>
#include <string.h>

/* One device's work: at most one exchange at a time, operations one after the other, queries between their exchanges.
 * Of one that sleeps all of it waits for the awake time after its next message. */

/* An exchange under way, with what its answer is for. */
struct exchange {
    struct agent_call call;
    struct device *device;
    struct operation *op; /* or */
    struct query *query;
    bool pausing;  /* a load that was asked to make room */
    int64_t begun; /* monotonic ms */
};

#define LAST_ANSWER_MS                                                                                                 \
    2000 /* ACK_TIMEOUT (RFC 7252 section 4.8): how late the answer of one that falls asleep may be */
#define UNANSWERED_MS 10000 /* an exchange that is given up after this long says that there was no answer */

static struct exchange *exchange_of(const struct device *device)
{
    return device->call ? device->call->owner : NULL;
}

static void exchange_free(struct exchange *exchange)
{
    free(exchange->call.log);
    free(exchange->call.held);
    free(exchange->call.response.body);
    free(exchange);
}

int device_check_queue(const struct device *device, struct fault *fault)
{
    uint32_t max = device->core->options.max_queue_per_device;

    if (device->operation_count + device->query_count < max)
        return 0;
    return fault_set(fault, FAULT_QUEUE_FULL,
                     "Device '%s' has %u unfinished operations and %u waiting queries; the limit is %u "
                     "(limits.queue_per_device).",
                     device->id, device->operation_count, device->query_count, max);
}

int operation_check_queue(const struct device *device, struct fault *fault)
{
    const struct core *core = device->core;
    size_t unfinished = HASH_COUNT(core->operations) - core->finished_count;

    if (unfinished < core->options.max_operations)
        return device_check_queue(device, fault);
    return fault_set(fault, FAULT_QUEUE_FULL,
                     "There are %zu unfinished operations of all devices; the limit is %u (limits.operations).",
                     unfinished, core->options.max_operations);
}

bool device_sleeps(const struct device *device)
{
    return core_presence(device).sleepy;
}

int core_check_awake(const struct device *device, struct fault *fault)
{
    struct presence presence = core_presence(device);
    char when[RFC3339_SIZE];

    if (device_is_awake(device))
        return 0;
    if (!presence.expected)
        return fault_set(fault, FAULT_DEVICE_ASLEEP, "Device '%s' sleeps, and it is not known until when.", device->id);
    return fault_set(fault, FAULT_DEVICE_ASLEEP, "Device '%s' sleeps; it is expected at %s at the latest.", device->id,
                     clock_format_rfc3339(presence.expected, when));
}

bool device_calls_for(const struct device *device, const struct operation *op)
{
    const struct exchange *exchange = exchange_of(device);

    return exchange && exchange->op == op;
}

static bool is_failure(enum agent_outcome outcome)
{
    return outcome == AGENT_NO_ANSWER || outcome == AGENT_UNREACHABLE || outcome == AGENT_GARBAGE ||
           outcome == AGENT_LOCAL || outcome == AGENT_UNTRUSTED;
}

/* Whether it was the device that answered, as far as one can tell. */
static bool is_sign_of_life(enum agent_outcome outcome)
{
    return outcome != AGENT_NO_ANSWER && outcome != AGENT_UNREACHABLE && outcome != AGENT_LOCAL &&
           outcome != AGENT_INSECURE && outcome != AGENT_UNTRUSTED && outcome != AGENT_PAUSED &&
           outcome != AGENT_OVER_BUDGET && outcome != AGENT_QUARANTINED;
}

/* What the call may have changed, also where it is not known whether it did. */
static void invalidate_changed(struct device *device, const struct agent_call *call)
{
    enum agent_verb verb = call->verb;

    if (verb == AGENT_CALL_LOAD || verb == AGENT_CALL_START || verb == AGENT_CALL_STOP || verb == AGENT_CALL_REMOVE)
        cache_invalidate(device, NULL);
    else if (verb == AGENT_CALL_RESOURCE && resource_changes(call->resource))
        cache_invalidate(device, call->resource->path);
}

static void leave(struct exchange *exchange)
{
    exchange->device->call = NULL;
    core_disarm(exchange->device->core, &exchange->device->call_timer);
}

static void hand_over(struct exchange *exchange)
{
    struct agent_call *call = &exchange->call;
    struct core *core = exchange->device->core;

    core->calls_failed += is_failure(call->outcome);
    histogram_add(&core->calls_ms[call->verb], &histogram_millis, (uint64_t)(core_now(core) - exchange->begun));
    invalidate_changed(exchange->device, call);
    if (exchange->op)
        operation_answer(exchange->op, call);
    else
        query_answered(exchange->query, call);
    exchange_free(exchange);
}

static void call_done(struct agent_call *call)
{
    struct exchange *exchange = call->owner;
    struct device *device = exchange->device;

    leave(exchange);
    if (call->outcome == AGENT_UNVERIFIED || call->outcome == AGENT_UNTRUSTED)
        budget_note(device, BUDGET_FAILURES);
    if (is_sign_of_life(call->outcome))
        device_seen(device);
    else if (call->outcome == AGENT_NO_ANSWER || call->outcome == AGENT_UNREACHABLE)
        presence_note(device, PRESENCE_FAILED);
    hand_over(exchange);
    device_pump(device);
}

struct agent_call *device_new_call(struct device *device, enum agent_verb verb, struct operation *op,
                                   struct query *query)
{
    struct exchange *exchange = memory_new(sizeof *exchange);

    if (!exchange)
        return NULL;
    exchange->device = device;
    exchange->op = op;
    exchange->query = query;
    exchange->call.verb = verb;
    exchange->call.device = device;
    exchange->call.done = call_done;
    exchange->call.owner = exchange;
    if (verb == AGENT_CALL_LOAD || link_any_rate(device->core))
        exchange->call.link = core_link_of(device);
    return &exchange->call;
}

static void watch_window(struct device *device);

static void give_up(struct agent_call *call)
{
    const struct agent_port *port = &call->device->core->options.agents;

    port->cancel(port->arg, call);
    call->outcome = AGENT_NO_ANSWER;
    (void)text_copy(call->detail, sizeof call->detail, "It went to sleep before it answered");
}

/* One that sleeps by now does not hear what is sent again and again: that is for its next awake time. */
static void window_ended(struct timer *timer)
{
    struct device *device = container_of(timer, struct device, call_timer);
    struct agent_call *call = device->call;

    if (!call)
        return;
    if (device_is_awake(device)) {
        watch_window(device);
        return;
    }
    give_up(call);
    call_done(call);
}

/* What it heard last it may still answer a moment later. */
static void watch_window(struct device *device)
{
    struct presence presence = core_presence(device);
    uint32_t awake_ms = presence.awake_ms ? presence.awake_ms : device->core->options.presence.awake_ms;

    if (!presence.sleepy)
        return;
    device->call_timer.fire = window_ended;
    core_arm(device->core, &device->call_timer, core_now(device->core) + awake_ms + LAST_ANSWER_MS);
}

void device_send_call(struct device *device, struct agent_call *call)
{
    const struct agent_port *port = &device->core->options.agents;

    device->call = call;
    exchange_of(device)->begun = core_now(device->core);
    device->core->calls++;
    watch_window(device);
    port->begin(port->arg, call);
}

static void take_back(struct exchange *exchange)
{
    leave(exchange);
    if (exchange->op)
        operation_rewind(exchange->op);
    else
        query_wait_again(exchange->query);
    exchange_free(exchange);
}

/* Whether it slept since the call began, and the same may be sent again. */
static bool slept_over(const struct exchange *exchange, int64_t heard)
{
    const struct agent_resource *request = exchange->call.resource;
    int64_t sleep_ms = (int64_t)core_presence(exchange->device).sleep_s * 1000;

    return sleep_ms && heard - exchange->begun >= sleep_ms / 2 && !(request && !resource_repeats(request));
}

/* What it slept over does not wait for its next retransmission, which may come when it sleeps again. */
void device_woke(struct device *device, int64_t heard)
{
    struct exchange *exchange = exchange_of(device);

    if (exchange && !device->core->stopped && slept_over(exchange, heard)) {
        give_up(&exchange->call);
        if (exchange->op) {
            leave(exchange);
            hand_over(exchange);
        } else {
            take_back(exchange);
        }
    }
    device_pump(device);
}

void device_cancel_call(struct device *device)
{
    const struct agent_port *port = &device->core->options.agents;
    struct exchange *exchange = exchange_of(device);

    if (!exchange)
        return;
    if (core_now(device->core) - exchange->begun >= UNANSWERED_MS)
        presence_note(device, PRESENCE_FAILED);
    port->cancel(port->arg, &exchange->call);
    take_back(exchange);
}

static struct operation *ready_operation(const struct device *device)
{
    struct operation *op;

    if (list_empty(&device->operations))
        return NULL;
    op = list_first(&device->operations, struct operation, device_node);
    if (!operation_is_ready(op))
        return NULL;
    return op->cancel_requested || device_is_awake(device) ? op : NULL;
}

static struct query *ready_query(const struct device *device)
{
    return device_is_awake(device) ? query_first(device) : NULL;
}

/* A load takes long, block after block. What somebody waits for, and a cancellation, go in between. */
static void make_room(struct device *device)
{
    const struct agent_port *port = &device->core->options.agents;
    struct exchange *exchange = exchange_of(device);

    if (!exchange || exchange->call.verb != AGENT_CALL_LOAD || exchange->pausing || !port->pause ||
        (!ready_query(device) && !exchange->op->cancel_requested))
        return;
    exchange->pausing = true;
    exchange->call.cancelled = exchange->op->cancel_requested;
    port->pause(port->arg, &exchange->call);
}

void device_pump(struct device *device)
{
    const struct core *core = device->core;

    while (core->started && !core->stopped && !device->removing && !device->call) {
        struct operation *op = ready_operation(device);
        struct query *query = ready_query(device);

        if (query && (device->query_turn || !op)) {
            device->query_turn = false;
            query_run(query);
        } else if (op) {
            device->query_turn = true;
            operation_run(op);
        } else {
            return;
        }
    }
    make_room(device);
}
