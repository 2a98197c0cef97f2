#include "agent/agent.h"

#include "agent/v1.h"

#define SEED_STEP 0x9e3779b97f4a7c15u

static enum server_verdict handle(void *arg, const struct peer *peer, const struct coapmsg *request,
                                  struct coapmsg *response)
{
    struct agent *a = arg;

    if (a->device.options->kind == DEVICE_V1)
        return v1_handle(&a->device, request, response);
    return v2_handle(&a->v2, peer, request, response);
}

static void note_duplicate(void *arg, const struct coapmsg *request)
{
    struct agent *a = arg;

    device_note(&a->device, NULL, (struct journal_entry){.event = "duplicate", .message_id = request->id});
}

static void settled(void *arg, unsigned owner, bool acknowledged)
{
    struct agent *a = arg;
    struct observer *observer = observers_find(&a->v2.observers, owner);

    if (observer)
        observer->under_way = false;
    if (observer && !acknowledged)
        observers_free(&a->v2.observers, observer);
}

static void forward(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct agent *a = arg;

    a->send(a->arg, peer, data, size);
}

static const struct server_ops ops = {handle, note_duplicate, settled, forward};

int agent_init(struct agent *a, const struct device_options *options, unsigned index, size_t pdu_size,
               const struct clock *clock, const struct journal *journal, agent_send_fn send, void *arg)
{
    *a = (struct agent){.send = send, .arg = arg};
    a->v2.device = &a->device;
    a->v2.traffic = &a->server.counters;
    a->v2.pdu_size = pdu_size;
    a->server.ops = &ops;
    a->server.arg = a;
    a->server.clock = clock;
    a->server.bugs = &a->device.bugs;
    a->server.pdu_size = pdu_size;
    a->server.ignores_unknown_options = options->kind == DEVICE_V1;
    a->server.random = ((uint64_t)options->seed + index + 1) * SEED_STEP;
    server_init(&a->server);
    return device_init(&a->device, options, index, clock, journal);
}

void agent_clear(struct agent *a)
{
    server_clear(&a->server);
    v2_clear(&a->v2);
    device_clear(&a->device);
}

static void notify(struct agent *a, struct observer *observer)
{
    int64_t now = clock_monotonic_ms(a->server.clock);
    struct coapmsg response;
    uint32_t revision = 0;
    bool there = v2_revision(&a->v2, &observer->resource, &revision);

    if (observer->under_way || (there && (revision == observer->revision || now < observer->not_before_ms)))
        return;
    coapmsg_init(&response, COAPMSG_CON, COAPMSG_CONTENT);
    v2_notification(&a->v2, observer, &response);
    observer->revision = revision;
    observer->under_way = true;
    if (observer->resource.kind == OBSERVED_LOG)
        observer->not_before_ms = now + OBSERVERS_LOG_INTERVAL_MS;
    if (!server_notify(&a->server, &observer->peer, &response, observer->id) || !there)
        observers_free(&a->v2.observers, observer);
}

static void notify_all(struct agent *a)
{
    for (size_t i = 0; a->v2.observers.used && i < OBSERVERS_MAX; i++)
        if (a->v2.observers.entries[i].resource.kind != OBSERVED_NOTHING)
            notify(a, &a->v2.observers.entries[i]);
}

void agent_input(struct agent *a, const struct peer *peer, const uint8_t *data, size_t size)
{
    uint32_t restart_after = a->device.bugs.restart_after;

    if (a->device.crashed)
        return;
    server_input(&a->server, peer, data, size);
    if (restart_after && a->server.counters.requests - a->restarted_at >= restart_after)
        agent_restart(a);
    notify_all(a);
}

bool agent_busy(const struct agent *a)
{
    return server_busy(&a->server);
}

void agent_restart(struct agent *a)
{
    a->restarted_at = a->server.counters.requests;
    server_clear(&a->server);
    v2_clear(&a->v2);
    device_restart(&a->device);
}

void agent_tick(struct agent *a)
{
    device_tick(&a->device);
    server_tick(&a->server);
    notify_all(a);
}

/* When an observer of a log that waits may be told. */
static int64_t notify_deadline(const struct agent *a)
{
    int64_t deadline = AGENT_NO_DEADLINE;

    for (size_t i = 0; a->v2.observers.used && i < OBSERVERS_MAX; i++) {
        const struct observer *o = &a->v2.observers.entries[i];
        uint32_t revision;

        if (o->resource.kind == OBSERVED_LOG && !o->under_way && o->not_before_ms < deadline &&
            v2_revision(&a->v2, &o->resource, &revision) && revision != o->revision)
            deadline = o->not_before_ms;
    }
    return deadline;
}

int64_t agent_deadline(const struct agent *a)
{
    int64_t deadline = device_deadline(&a->device), server = server_deadline(&a->server), log = notify_deadline(a);

    if (server < deadline)
        deadline = server;
    return log < deadline ? log : deadline;
}
