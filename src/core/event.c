#include "core/event.h"

#include "core/internal.h"

#include <stdarg.h>

static const struct {
    enum journal_kind kind;
    const char *name;
} events[EVENT_COUNT] = {
    [EVENT_DEVICE_ADDED] = {JOURNAL_DEVICE, "added"},
    [EVENT_DEVICE_CHANGED] = {JOURNAL_DEVICE, "changed"},
    [EVENT_DEVICE_REMOVED] = {JOURNAL_DEVICE, "removed"},
    [EVENT_DEVICE_MOVED] = {JOURNAL_DEVICE, "moved"},
    [EVENT_DEVICE_PROBED] = {JOURNAL_DEVICE, "probed"},
    [EVENT_DEVICE_REGISTERED] = {JOURNAL_DEVICE, "registered"},
    [EVENT_DEVICE_UNREGISTERED] = {JOURNAL_DEVICE, "unregistered"},
    [EVENT_PRESENCE] = {JOURNAL_PRESENCE, "changed"},
    [EVENT_CONTAINER_DESIRED] = {JOURNAL_CONTAINER, "desired"},
    [EVENT_CONTAINER_REPORTED] = {JOURNAL_CONTAINER, "reported"},
    [EVENT_CONTAINER_REMOVED] = {JOURNAL_CONTAINER, "removed"},
    [EVENT_OPERATION_QUEUED] = {JOURNAL_OPERATION, "queued"},
    [EVENT_OPERATION_RUNNING] = {JOURNAL_OPERATION, "running"},
    [EVENT_OPERATION_PROGRESS] = {JOURNAL_OPERATION, "progress"},
    [EVENT_OPERATION_ENDED] = {JOURNAL_OPERATION, "ended"},
    [EVENT_ARTIFACT_ADDED] = {JOURNAL_ARTIFACT, "added"},
    [EVENT_ARTIFACT_REMOVED] = {JOURNAL_ARTIFACT, "removed"},
    [EVENT_ENROLLED] = {JOURNAL_SECURITY, "enrolled"},
    [EVENT_IMPORTED] = {JOURNAL_SECURITY, "imported"},
    [EVENT_FIRST_USED] = {JOURNAL_SECURITY, "first_used"},
    [EVENT_ROTATED] = {JOURNAL_SECURITY, "rotated"},
    [EVENT_REVOKED] = {JOURNAL_SECURITY, "revoked"},
    [EVENT_RENEWED] = {JOURNAL_SECURITY, "renewed"},
    [EVENT_DISTRUSTED] = {JOURNAL_SECURITY, "distrusted"},
    [EVENT_PLAIN_ALLOWED] = {JOURNAL_SECURITY, "plain_allowed"},
    [EVENT_PLAIN_FORBIDDEN] = {JOURNAL_SECURITY, "plain_forbidden"},
    [EVENT_JOIN_OPENED] = {JOURNAL_SECURITY, "join_opened"},
    [EVENT_JOIN_CLOSED] = {JOURNAL_SECURITY, "join_closed"},
    [EVENT_JOIN_PENDING] = {JOURNAL_SECURITY, "pending"},
    [EVENT_JOIN_APPROVED] = {JOURNAL_SECURITY, "approved"},
    [EVENT_JOIN_REJECTED] = {JOURNAL_SECURITY, "rejected"},
    [EVENT_RESOURCE_NOTIFIED] = {JOURNAL_RESOURCE, "notified"},
    [EVENT_GATEWAY_STARTED] = {JOURNAL_GATEWAY, "started"},
    [EVENT_GATEWAY_STOPPING] = {JOURNAL_GATEWAY, "stopping"},
    [EVENT_STORAGE_RECOVERED] = {JOURNAL_GATEWAY, "storage_recovered"},
    [EVENT_CERTIFICATE_EXPIRES] = {JOURNAL_GATEWAY, "certificate_expires"},
    [EVENT_CERTIFICATE_LOADED] = {JOURNAL_GATEWAY, "certificate_loaded"},
    [EVENT_ROLLOUT_STATE] = {JOURNAL_ROLLOUT, "state"},
    [EVENT_ROLLOUT_DEVICE] = {JOURNAL_ROLLOUT, "device"},
    [EVENT_RECORD_CHANGED] = {JOURNAL_ROLLOUT, "changed"},
    [EVENT_BUDGET_EXCEEDED] = {JOURNAL_SECURITY, "budget_exceeded"},
    [EVENT_BEHAVIOUR_CHANGED] = {JOURNAL_SECURITY, "behaviour_changed"},
    [EVENT_RECORD_REMOVED] = {JOURNAL_ROLLOUT, "removed"},
};

const char *event_name(enum event event)
{
    return events[event].name;
}

enum journal_kind event_kind(enum event event)
{
    return events[event].kind;
}

/* NULL: out of memory. */
static json_t *body(enum event event, const char *format, va_list ap)
{
    json_t *object = json_pack("{s:s}", "event", events[event].name);
    json_t *fields = format ? json_vpack_ex(NULL, 0, format, ap) : json_object();

    if (!object || !fields || json_object_update(object, fields) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(fields);
    return object;
}

void event_add(struct core *core, struct store_batch *batch, enum event event, const char *device, const char *format,
               ...)
{
    va_list ap;

    va_start(ap, format);
    (void)journal_add(core, batch, events[event].kind, device, body(event, format, ap));
    va_end(ap);
}

void event_note(struct core *core, enum event event, const char *device, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    journal_note(core, events[event].kind, device, body(event, format, ap));
    va_end(ap);
}
