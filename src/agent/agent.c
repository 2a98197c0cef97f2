#include "agent/agent.h"

#include "agent/v1.h"

#include <errno.h>

#define SEED_STEP 0x9e3779b97f4a7c15u

static enum server_verdict serve(struct agent *a, const struct peer *peer, const struct coapmsg *request,
                                 struct coapmsg *response)
{
    if (a->device.options->kind == DEVICE_V1)
        return v1_handle(&a->device, request, response);
    if (a->suit.device)
        return suitdev_handle(&a->suit, request, response);
    return v2_handle(&a->v2, peer, request, response);
}

/* What is in a protected request, whose options nobody has looked at yet. */
static enum server_verdict serve_opened(struct agent *a, const struct peer *peer, const struct coapmsg *request,
                                        struct coapmsg *response)
{
    uint8_t refusal = COAPMSG_CLASS(request->code) == 0 && request->code != COAPMSG_EMPTY
                          ? server_check_options(&a->server, request)
                          : COAPMSG_BAD_REQUEST;

    coapmsg_init(response, COAPMSG_ACK, refusal);
    return refusal ? SERVER_ANSWER : serve(a, peer, request, response);
}

static enum server_verdict handle_protected(struct agent *a, const struct peer *peer, const struct coapmsg *request,
                                            struct coapmsg *response, uint8_t *room)
{
    struct security_request opened;
    struct observer *observer;
    enum server_verdict verdict;
    struct coapmsg plain;

    if (!security_open_request(&a->security, request, &opened, response, room))
        return SERVER_ANSWER;
    verdict = serve_opened(a, peer, &opened.message, &plain);
    if (verdict == SERVER_SILENCE || !security_seal_response(&a->security, &opened.binding, &plain, response, room))
        return SERVER_SILENCE;
    observer = observers_of(&a->v2.observers, peer, request);
    if (observer && coapmsg_find(&plain, COAPMSG_OPT_OBSERVE)) {
        observer->protected = true;
        observer->generation = a->security.generation;
        observer->binding = opened.binding;
    }
    tricks_answer(&a->tricks, peer, request, &plain, response, room);
    return verdict;
}

static enum server_verdict handle(void *arg, const struct peer *peer, const struct coapmsg *request,
                                  struct coapmsg *response, uint8_t *room)
{
    struct agent *a = arg;

    if (!a->security.credentials)
        return serve(a, peer, request, response);
    if (coapmsg_find(request, COAPMSG_OPT_OSCORE))
        return handle_protected(a, peer, request, response, room);
    if (a->options->security.allow_plain)
        return serve(a, peer, request, response);
    response->code = COAPMSG_UNAUTHORIZED;
    device_note(&a->device, NULL,
                (struct journal_entry){
                    .event = "unprotected", .outcome = "refused", .code = request->code, .message_id = request->id});
    return SERVER_ANSWER;
}

static bool take_response(void *arg, const struct peer *peer, const struct coapmsg *response)
{
    struct agent *a = arg;

    return (a->attacks && attacks_response(a->attacks, peer, response)) ||
           fetch_response(&a->suit.fetch, peer, response) || client_response(&a->client, peer, response);
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

    if (owner == CLIENT_OWNER)
        client_settled(&a->client, acknowledged);
    if (owner == FETCH_OWNER)
        fetch_settled(&a->suit.fetch, acknowledged);
    if (observer)
        observer->under_way = false;
    if (observer && !acknowledged && !a->device.bugs.observe_forever)
        observers_free(&a->v2.observers, observer);
}

static void forward(void *arg, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct agent *a = arg;

    link_pass(&a->link, LINK_OUT, peer, data, size, clock_monotonic_ms(a->server.clock));
}

static const struct server_ops ops = {handle, take_response, note_duplicate, settled, forward};

static void finished(void *arg, enum client_outcome outcome, uint8_t code)
{
    struct agent *a = arg;

    if (a->attacks && attacks_active(a->attacks))
        attacks_finished(a->attacks, outcome);
    else
        traffic_finished(&a->traffic, outcome, code);
}

static void notified(void *arg, uint8_t code)
{
    struct agent *a = arg;

    traffic_notified(&a->traffic, code);
}

static const struct client_ops client_ops = {finished, notified};

static void init_server(struct agent *a, unsigned index, const struct clock *clock)
{
    a->server.ops = &ops;
    a->server.arg = a;
    a->server.clock = clock;
    a->server.bugs = &a->device.bugs;
    a->server.pdu_size = a->options->pdu_size;
    a->server.ack_timeout_ms = a->options->ack_timeout_ms ? a->options->ack_timeout_ms : OUTGOING_ACK_TIMEOUT_MS;
    a->server.ignores_unknown_options = a->options->device.kind == DEVICE_V1;
    a->server.knows_oscore = a->options->security.credentials != NULL;
    a->server.random = ((uint64_t)a->options->device.seed + index + 1) * SEED_STEP;
    if (a->server.knows_oscore) { /* a restarted device must not go on with the message IDs that it began with */
        uint64_t more;

        security_random(&more, sizeof more);
        a->server.random = more ? more : a->server.random;
    }
    server_init(&a->server);
}

static void deliver(void *arg, enum link_direction direction, const struct peer *peer, const uint8_t *data,
                    size_t size);

static int32_t send_reading(void *arg, const char *uid, uint32_t endpoint, const uint8_t *data, size_t size)
{
    return outbox_write(arg, uid, endpoint, data, size);
}

static void init_client(struct agent *a, unsigned index)
{
    a->client.server = &a->server;
    a->client.security = &a->security;
    a->client.gateway = a->options->traffic.gateway;
    a->client.ops = &client_ops;
    a->client.arg = a;
    client_init(&a->client);
    a->traffic.options = &a->options->traffic;
    a->traffic.device = &a->device;
    a->traffic.client = &a->client;
    if (a->options->device.kind == DEVICE_V2)
        a->traffic.registration.v2 = &a->v2;
    if (a->suit.device)
        a->traffic.registration.links = suitdev_links(&a->suit);
    a->traffic.registration.sleep_s = a->options->nap.sleep_s;
    a->traffic.registration.awake_ms = a->options->nap.awake_ms;
    traffic_init(&a->traffic, index, a->options->names ? a->options->names[index] : NULL);
    if (a->client.gateway.size)
        board_set_radio(a->device.board, send_reading, &a->traffic.outbox);
    a->flood = (struct flood){.options = &a->options->flood, .device = &a->device, .client = &a->client};
    flood_init(&a->flood);
}

static void init_link(struct agent *a, unsigned index)
{
    a->link = (struct link){.options = &a->options->link, .deliver = deliver, .arg = a};
    a->link.random = ((uint64_t)a->options->device.seed + index + 1) * SEED_STEP;
    link_init(&a->link);
    a->nap.options = &a->options->nap;
    nap_init(&a->nap, clock_monotonic_ms(a->server.clock));
}

static int init_attacks(struct agent *a, unsigned index)
{
    const struct security_options *security = &a->options->security;
    unsigned count = a->options->traffic.count;

    if (!a->options->attacks.count)
        return 0;
    a->attacks = calloc(1, sizeof *a->attacks);
    if (!a->attacks)
        return -ENOMEM;
    a->attacks->plan = &a->options->attacks;
    a->attacks->server = &a->server;
    a->attacks->security = &a->security;
    a->attacks->client = &a->client;
    a->attacks->device = &a->device;
    if (count > 1)
        a->attacks->other = &security->credentials[(index + 1) % count];
    return 0;
}

static int init_suit(struct agent *a)
{
    a->suit = (struct suitdev){.options = &a->options->suit, .device = &a->device};
    return suitdev_init(&a->suit, &a->server, &a->security);
}

/* From half of the interval to half as much again. */
static void plan_reboot(struct agent *a)
{
    int64_t every = a->options->reboot_ms;

    a->reboot_at_ms = AGENT_NO_DEADLINE;
    if (every)
        a->reboot_at_ms = clock_monotonic_ms(a->server.clock) + every / 2 + device_random(&a->device) % (every + 1);
}

int agent_init(struct agent *a, const struct agent_options *options, unsigned index, const struct clock *clock,
               const struct journal *journal, agent_send_fn send, void *arg)
{
    int r;

    *a = (struct agent){.options = options, .send = send, .arg = arg};
    a->v2.device = &a->device;
    a->v2.traffic = &a->server.counters;
    a->v2.pdu_size = options->pdu_size - (options->security.credentials ? OSCORE_OVERHEAD : 0);
    a->tricks.bugs = &a->device.bugs;
    a->tricks.server = &a->server;
    init_server(a, index, clock);
    init_link(a, index);
    r = device_init(&a->device, &options->device, index, clock, journal);
    if (!r)
        r = security_init(&a->security, &options->security, index, &a->device);
    if (!r && options->device.kind == DEVICE_SUIT)
        r = init_suit(a);
    if (r)
        return r;
    init_client(a, index);
    plan_reboot(a);
    return init_attacks(a, index);
}

void agent_clear(struct agent *a)
{
    link_clear(&a->link);
    server_clear(&a->server);
    client_clear(&a->client);
    traffic_clear(&a->traffic);
    free(a->attacks);
    a->attacks = NULL;
    tricks_clear(&a->tricks);
    security_clear(&a->security);
    v2_clear(&a->v2);
    suitdev_clear(&a->suit);
    device_clear(&a->device);
}

/* False when the observer will not be told any more. */
static bool send_notification(struct agent *a, struct observer *observer, struct coapmsg *response)
{
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg outer;

    if (!observer->protected)
        return server_notify(&a->server, &observer->peer, response, observer->id);
    return observer->generation == a->security.generation &&
           security_seal_response(&a->security, &observer->binding, response, &outer, room) &&
           tricks_notify(&a->tricks, &observer->peer, &outer, observer->id);
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
    if (!send_notification(a, observer, &response) || COAPMSG_CLASS(response.code) != 2)
        observers_free(&a->v2.observers, observer);
}

static void notify_all(struct agent *a)
{
    for (size_t i = 0; a->v2.observers.used && i < OBSERVERS_MAX; i++)
        if (a->v2.observers.entries[i].resource.kind != OBSERVED_NOTHING)
            notify(a, &a->v2.observers.entries[i]);
}

static void tick_client(struct agent *a)
{
    if (!a->options->traffic.gateway.size)
        return;
    client_tick(&a->client);
    if (a->attacks && attacks_active(a->attacks))
        attacks_tick(a->attacks);
    else
        traffic_tick(&a->traffic);
    flood_tick(&a->flood);
}

/* What the device does when it is awake, and whether it still is. */
static void act(struct agent *a)
{
    int64_t now = clock_monotonic_ms(a->server.clock);

    if (nap_wakes(&a->nap, now))
        traffic_wake(&a->traffic);
    if (a->nap.asleep)
        return;
    server_tick(&a->server);
    notify_all(a);
    tick_client(a);
    if (a->suit.device && suitdev_tick(&a->suit))
        agent_restart(a, false);
    nap_settle(&a->nap, a->client.busy || suitdev_busy(&a->suit), now);
}

static void take_datagram(struct agent *a, const struct peer *peer, const uint8_t *data, size_t size)
{
    uint32_t restart_after = a->device.bugs.restart_after;

    if (a->device.crashed || a->nap.asleep)
        return;
    server_input(&a->server, peer, data, size);
    if (restart_after && a->server.counters.requests - a->restarted_at >= restart_after)
        agent_restart(a, false);
    act(a);
}

static void deliver(void *arg, enum link_direction direction, const struct peer *peer, const uint8_t *data, size_t size)
{
    struct agent *a = arg;

    if (direction == LINK_OUT)
        a->send(a->arg, peer, data, size);
    else
        take_datagram(a, peer, data, size);
}

void agent_input(struct agent *a, const struct peer *peer, const uint8_t *data, size_t size)
{
    link_pass(&a->link, LINK_IN, peer, data, size, clock_monotonic_ms(a->server.clock));
}

bool agent_busy(const struct agent *a)
{
    return server_busy(&a->server);
}

static void restart(struct agent *a, bool forget_security, bool keep_containers)
{
    a->restarted_at = a->server.counters.requests;
    server_clear(&a->server);
    client_clear(&a->client);
    traffic_restart(&a->traffic);
    tricks_clear(&a->tricks);
    security_restart(&a->security, forget_security);
    v2_clear(&a->v2);
    suitdev_restart(&a->suit);
    device_restart(&a->device, keep_containers);
}

void agent_restart(struct agent *a, bool forget)
{
    restart(a, forget, false);
}

static void reboot_when_due(struct agent *a)
{
    if (clock_monotonic_ms(a->server.clock) < a->reboot_at_ms)
        return;
    plan_reboot(a);
    nap_init(&a->nap, clock_monotonic_ms(a->server.clock));
    restart(a, false, !a->options->forgets && a->options->device.kind == DEVICE_V2);
}

void agent_tick(struct agent *a)
{
    reboot_when_due(a);
    device_tick(&a->device);
    link_tick(&a->link, clock_monotonic_ms(a->server.clock));
    act(a);
}

bool agent_end(struct agent *a)
{
    a->nap.asleep = false;
    return a->options->traffic.gateway.size && traffic_end(&a->traffic);
}

/* When there is a value that an observer does not have. */
static int64_t sensor_deadline(const struct agent *a, const struct observer *o)
{
    return v2_sensor_revision(&a->v2) == o->revision ? v2_sensor_change(&a->v2) : 0;
}

/* When an observer of a log that waits, or of a sensor, may be told. */
static int64_t notify_deadline(const struct agent *a)
{
    int64_t deadline = AGENT_NO_DEADLINE;

    for (size_t i = 0; a->v2.observers.used && i < OBSERVERS_MAX; i++) {
        const struct observer *o = &a->v2.observers.entries[i];
        uint32_t revision;

        if (o->resource.kind == OBSERVED_SENSOR && !o->under_way && sensor_deadline(a, o) < deadline)
            deadline = sensor_deadline(a, o);
        if (o->resource.kind == OBSERVED_LOG && !o->under_way && o->not_before_ms < deadline &&
            v2_revision(&a->v2, &o->resource, &revision) && revision != o->revision)
            deadline = o->not_before_ms;
    }
    return deadline;
}

static int64_t earliest(const int64_t *all, size_t count)
{
    int64_t deadline = AGENT_NO_DEADLINE;

    for (size_t i = 0; i < count; i++)
        if (all[i] < deadline)
            deadline = all[i];
    return deadline;
}

int64_t agent_deadline(const struct agent *a)
{
    bool attacking = a->attacks && attacks_active(a->attacks), speaks = a->options->traffic.gateway.size;
    const int64_t always[] = {device_deadline(&a->device), link_deadline(&a->link), nap_deadline(&a->nap),
                              a->reboot_at_ms};
    const int64_t awake[] = {earliest(always, array_size(always)),
                             server_deadline(&a->server),
                             notify_deadline(a),
                             client_deadline(&a->client),
                             a->suit.device ? suitdev_deadline(&a->suit) : AGENT_NO_DEADLINE,
                             attacking ? attacks_deadline(a->attacks) : traffic_deadline(&a->traffic),
                             speaks ? flood_deadline(&a->flood) : AGENT_NO_DEADLINE};

    return a->nap.asleep ? awake[0] : earliest(awake, array_size(awake));
}
