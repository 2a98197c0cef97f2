#ifndef TC_CORE_EVENT_H
#define TC_CORE_EVENT_H

#include "core/journal.h"

/*
 * What the journal tells of changes: one table of names, each with the kind of its entries. docs/events.md says which
 * fields each has. An event is told only when something has really changed.
 */
enum event {
    EVENT_DEVICE_ADDED,
    EVENT_DEVICE_CHANGED,
    EVENT_DEVICE_REMOVED,
    EVENT_DEVICE_MOVED,
    EVENT_DEVICE_PROBED,
    EVENT_DEVICE_REGISTERED,
    EVENT_DEVICE_UNREGISTERED,
    EVENT_PRESENCE,
    EVENT_CONTAINER_DESIRED,
    EVENT_CONTAINER_REPORTED,
    EVENT_CONTAINER_REMOVED,
    EVENT_OPERATION_QUEUED,
    EVENT_OPERATION_RUNNING,
    EVENT_OPERATION_PROGRESS,
    EVENT_OPERATION_ENDED,
    EVENT_ARTIFACT_ADDED,
    EVENT_ARTIFACT_REMOVED,
    EVENT_ENROLLED,
    EVENT_IMPORTED,
    EVENT_FIRST_USED,
    EVENT_ROTATED,
    EVENT_REVOKED,
    EVENT_RENEWED,
    EVENT_DISTRUSTED,
    EVENT_PLAIN_ALLOWED,
    EVENT_PLAIN_FORBIDDEN,
    EVENT_JOIN_OPENED,
    EVENT_JOIN_CLOSED,
    EVENT_JOIN_PENDING,
    EVENT_JOIN_APPROVED,
    EVENT_JOIN_REJECTED,
    EVENT_RESOURCE_NOTIFIED,
    EVENT_GATEWAY_STARTED,
    EVENT_GATEWAY_STOPPING,
    EVENT_STORAGE_RECOVERED,
    EVENT_CERTIFICATE_EXPIRES, /* that of HTTPS, soon or already */
    EVENT_CERTIFICATE_LOADED,
    EVENT_ROLLOUT_STATE,  /* of a rollout, or its wave, has changed */
    EVENT_ROLLOUT_DEVICE, /* a device of it has changed */
    EVENT_RECORD_CHANGED, /* a publisher, a release, a policy, ... (document.h) */
    EVENT_RECORD_REMOVED,
    EVENT_BUDGET_EXCEEDED,
    EVENT_BEHAVIOUR_CHANGED,
    EVENT_COUNT
};

const char *event_name(enum event event);
enum journal_kind event_kind(enum event event);

/* journal_add and journal_note with the event's kind and name; its fields are json_pack's ("{s:s, s:s*}"; NULL: none).
 */
void event_add(struct core *core, struct store_batch *batch, enum event event, const char *device, const char *format,
               ...);
void event_note(struct core *core, enum event event, const char *device, const char *format, ...);

#endif
