#include "agent/traffic.h"

#include "codec/token.h"

#include <string.h>

#define RETRY_MS 5000
#define AGAIN_MS 100 /* an observation that was lost */
#define DETAIL_MAX 1024

static int64_t now(const struct traffic *t)
{
    return clock_monotonic_ms(t->device->clock);
}

void traffic_init(struct traffic *t, unsigned index, const char *id)
{
    const struct traffic_options *o = t->options;
    int64_t start = now(t);

    for (size_t i = 0; i < array_size(t->due_ms); i++)
        t->due_ms[i] = CLIENT_NEVER;
    t->registration.options = &o->registration;
    t->outbox.options = &o->outbox;
    t->registration.device = t->outbox.device = t->device;
    t->registration.client = t->outbox.client = t->client;
    registration_init(&t->registration, index, id);
    outbox_init(&t->outbox, index, o->count);
    if (!o->gateway.size)
        return;
    if (o->join)
        t->due_ms[TRAFFIC_JOIN] = start;
    if (o->observe)
        t->due_ms[TRAFFIC_OBSERVE] = start;
    if (o->report_ms)
        t->due_ms[TRAFFIC_REPORT] = start + o->report_ms * index / (o->count ? o->count : 1);
}

void traffic_clear(struct traffic *t)
{
    buffer_clear(&t->report);
    outbox_clear(&t->outbox);
    t->doing = TRAFFIC_NOTHING;
}

void traffic_restart(struct traffic *t)
{
    outbox_restart(&t->outbox);
    traffic_clear(t);
    registration_reset(&t->registration);
}

/* The directory hears of it at each wake-up; where there is no entry, telemetry shows that the device is there. */
void traffic_wake(struct traffic *t)
{
    if (outbox_due(&t->outbox) > now(t))
        registration_wake(&t->registration);
}

bool traffic_end(struct traffic *t)
{
    if (!t->ending)
        (void)registration_end(&t->registration);
    t->ending = true;
    return t->registration.state != REGISTRATION_GONE;
}

static void write_report(struct traffic *t, size_t size)
{
    static const char padding[] = "................................................................";

    buffer_clear(&t->report);
    buffer_printf(&t->report, "{\"counter\": %llu, \"device\": \"%s\", \"padding\": \"",
                  (unsigned long long)++t->counter, t->device->name);
    while (t->report.size + 2 < size && !t->report.failed) {
        size_t left = size - 2 - t->report.size;

        buffer_append(&t->report, padding, left < sizeof padding - 1 ? left : sizeof padding - 1);
    }
    buffer_append_text(&t->report, "\"}");
}

static void join(struct traffic *t)
{
    const struct device *d = t->device;

    (void)snprintf(t->query, sizeof t->query, "id=%.*s", (int)d->id_size, (const char *)d->id);
    client_begin(t->client,
                 &(struct client_task){.method = COAPMSG_POST, .path = "/join", .query = t->query, .plain = true});
}

static void observe(struct traffic *t)
{
    client_begin(t->client, &(struct client_task){.method = COAPMSG_GET, .path = "/shadow/desired", .observe = true});
}

static void report(struct traffic *t)
{
    int64_t interval = t->options->report_ms, *due = &t->due_ms[TRAFFIC_REPORT];

    *due += interval * ((now(t) - *due) / interval + 1); /* those that were missed are left out */
    write_report(t, t->options->report_size);
    client_begin(t->client, &(struct client_task){.method = COAPMSG_PUT,
                                                  .path = "/shadow/reported",
                                                  .format = COAPMSG_FORMAT_JSON,
                                                  .payload = t->report.data,
                                                  .payload_size = t->report.size});
}

static void begin_registration(struct traffic *t)
{
    registration_begin(&t->registration);
}

static void begin_telemetry(struct traffic *t)
{
    (void)outbox_begin(&t->outbox);
}

static void note_outcome(const struct traffic *t, enum client_outcome outcome, uint8_t code)
{
    static const char *const names[] = {
        [TRAFFIC_JOIN] = "join", [TRAFFIC_OBSERVE] = "observe", [TRAFFIC_REPORT] = "report"};
    static const char *const outcomes[] = {[CLIENT_ANSWERED] = "refused",
                                           [CLIENT_NO_ANSWER] = "unanswered",
                                           [CLIENT_UNTRUSTED] = "untrusted",
                                           [CLIENT_FAILED] = "failed"};
    bool fine = outcome == CLIENT_ANSWERED && COAPMSG_CLASS(code) == 2;

    device_note(t->device, NULL,
                (struct journal_entry){.event = names[t->doing],
                                       .outcome = fine ? "acknowledged" : outcomes[outcome],
                                       .code = code,
                                       .message_id = -1,
                                       .counter = t->doing == TRAFFIC_REPORT ? t->counter : 0});
}

static void finished_once(struct traffic *t, enum client_outcome outcome, uint8_t code)
{
    bool fine = outcome == CLIENT_ANSWERED && COAPMSG_CLASS(code) == 2;

    note_outcome(t, outcome, code);
    if (t->doing == TRAFFIC_JOIN)
        t->due_ms[TRAFFIC_JOIN] = fine ? CLIENT_NEVER : now(t) + RETRY_MS;
    if (t->doing == TRAFFIC_OBSERVE) {
        t->registered = fine && t->client->observation.active;
        t->due_ms[TRAFFIC_OBSERVE] = t->registered ? t->client->observation.refresh_ms : now(t) + RETRY_MS;
    }
}

void traffic_finished(struct traffic *t, enum client_outcome outcome, uint8_t code)
{
    if (t->doing == TRAFFIC_REGISTER)
        registration_finished(&t->registration, outcome, code);
    else if (t->doing == TRAFFIC_TELEMETRY)
        outbox_finished(&t->outbox, outcome, code);
    else if (t->doing != TRAFFIC_NOTHING)
        finished_once(t, outcome, code);
    t->doing = TRAFFIC_NOTHING;
}

void traffic_notified(struct traffic *t, uint8_t code)
{
    const struct buffer *body = &t->client->body;
    uint8_t digest[METADATA_DIGEST_SIZE];
    char detail[DETAIL_MAX + 1];

    token_digest(body->data, body->size, NULL, 0, digest);
    (void)snprintf(detail, sizeof detail, "%s", buffer_text(body));
    device_note(
        t->device, NULL,
        (struct journal_entry){.event = "desired", .code = code, .message_id = -1, .digest = digest, .detail = detail});
    t->due_ms[TRAFFIC_OBSERVE] = t->client->observation.refresh_ms;
}

static int64_t due(const struct traffic *t, enum traffic_task task)
{
    if (task == TRAFFIC_REGISTER)
        return registration_due(&t->registration);
    if (t->ending)
        return CLIENT_NEVER;
    return task == TRAFFIC_TELEMETRY ? outbox_due(&t->outbox) : t->due_ms[task];
}

void traffic_tick(struct traffic *t)
{
    static void (*const begin[])(struct traffic *) = {[TRAFFIC_JOIN] = join,
                                                      [TRAFFIC_REGISTER] = begin_registration,
                                                      [TRAFFIC_OBSERVE] = observe,
                                                      [TRAFFIC_REPORT] = report,
                                                      [TRAFFIC_TELEMETRY] = begin_telemetry};

    if (t->registered && !t->client->observation.active) { /* it ended, or its context was replaced */
        t->registered = false;
        t->due_ms[TRAFFIC_OBSERVE] = now(t) + AGAIN_MS;
    }
    for (enum traffic_task task = TRAFFIC_JOIN; task < TRAFFIC_TASKS && !t->client->busy; task++)
        if (due(t, task) <= now(t)) {
            t->doing = task;
            if (task != TRAFFIC_REPORT)
                t->due_ms[task] = CLIENT_NEVER;
            begin[task](t);
        }
}

int64_t traffic_deadline(const struct traffic *t)
{
    int64_t deadline = CLIENT_NEVER;

    for (enum traffic_task task = TRAFFIC_JOIN; task < TRAFFIC_TASKS && !t->client->busy; task++)
        if (due(t, task) < deadline)
            deadline = due(t, task);
    return deadline;
}
