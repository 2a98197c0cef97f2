#include "core/trace.h"

#include "base/log.h"
#include "base/memory.h"
#include "core/internal.h"

#include <errno.h>
#include <string.h>

static const char *const guard_names[TRACE_GUARD_COUNT] = {"none", "oscore", "dtls"};

const char *trace_guard_name(enum trace_guard guard)
{
    return guard_names[guard];
}

static void drop_oldest(struct trace *trace)
{
    struct trace_message *message = list_first(&trace->messages, struct trace_message, node);

    list_unlink(&message->node);
    trace->kept--;
    trace->bytes -= message->size;
    free(message);
}

void core_trace_end(struct device *device)
{
    struct trace *trace = steal_pointer(device->trace);

    if (!trace)
        return;
    core_disarm(device->core, &trace->timer);
    while (trace->kept > 0)
        drop_oldest(trace);
    free(trace);
    device->core->trace_count--;
}

static void forget(struct timer *timer)
{
    core_trace_end(container_of(timer, struct trace, timer)->device);
}

static void stop(struct timer *timer)
{
    struct trace *trace = container_of(timer, struct trace, timer);

    trace->active = false;
    trace->timer.fire = forget;
    core_arm(trace->device->core, timer, core_now(trace->device->core) + TRACE_KEPT_MS);
}

int core_trace_begin(struct device *device, uint32_t seconds, struct fault *fault)
{
    struct core *core = device->core;
    struct trace *trace;
    char text[16];

    if (!device->trace && core->trace_count >= TRACE_DEVICES_MAX)
        return fault_set(fault, FAULT_LIMIT_REACHED, "%d devices are traced already", TRACE_DEVICES_MAX);
    core_trace_end(device);
    trace = memory_new(sizeof *trace);
    if (!trace)
        return -ENOMEM;
    list_init(&trace->messages);
    trace->device = device;
    trace->active = true;
    trace->begun = core_wall(core);
    trace->ends = trace->begun + (int64_t)seconds * 1000;
    trace->timer.fire = stop;
    core_arm(core, &trace->timer, core_now(core) + (int64_t)seconds * 1000);
    device->trace = trace;
    core->trace_count++;
    (void)snprintf(text, sizeof text, "%u", seconds);
    log_warning("what a device says is traced, without its protection", "device", device->id, "seconds", text, NULL);
    return 0;
}

const struct trace *core_trace_of(const struct device *device)
{
    return device->trace;
}

bool core_traces_any(const struct core *core)
{
    return core->trace_count > 0;
}

/* What is inside has no token of its own, and its message ID is not said: those of the outside go in its place, so that
 * an answer is found for a request. Returns the size, which is at most that of the message and a token. */
static size_t encode(const struct coapmsg *message, const struct coapmsg *outer, uint8_t *out, size_t size)
{
    size_t own = message->token_length, n = coapmsg_encode(message, out, size);

    if (n < 4 + own)
        return 0;
    memmove(out + 4 + outer->token_length, out + 4 + own, n - 4 - own);
    memcpy(out + 4, outer->token, outer->token_length);
    out[0] = (uint8_t)(1 << 6 | outer->type << 4 | outer->token_length);
    out[2] = (uint8_t)(outer->id >> 8);
    out[3] = (uint8_t)outer->id;
    return n - own + outer->token_length;
}

void trace_take(const struct device *device, bool sent, enum trace_guard guard, const char *peer,
                const struct coapmsg *message, const struct coapmsg *outer)
{
    struct trace *trace = device->trace;
    size_t room = coapmsg_size(message) + COAPMSG_MAX_TOKEN;
    struct trace_message *entry;

    if (!trace->active || message->failed)
        return;
    trace->count++;
    entry = malloc(sizeof *entry + room);
    if (!entry)
        return; /* it is counted, so that its absence is seen */
    *entry = (struct trace_message){.number = trace->count,
                                    .time = core_wall(device->core),
                                    .sent = sent,
                                    .is_reliable = strstr(peer, "+tcp://") != NULL,
                                    .guard = guard,
                                    .size = encode(message, outer, entry->bytes, room)};
    (void)text_copy(entry->peer, sizeof entry->peer, peer);
    list_init(&entry->node);
    list_append(&trace->messages, &entry->node);
    trace->kept++;
    trace->bytes += entry->size;
    while (trace->kept > TRACE_MESSAGES_MAX || trace->bytes > TRACE_BYTES_MAX)
        drop_oldest(trace);
}
