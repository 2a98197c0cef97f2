#ifndef TC_CORE_TELEMETRY_H
#define TC_CORE_TELEMETRY_H

#include "core/core.h"
#include "core/journal.h"
#include "store/history.h"

/*
 * Telemetry: in from devices, durable before it is acknowledged; out as history. The value of a series (a device's
 * name) at a time is one: what comes again with the same time is not stored twice.
 */

/*
 * Takes a message of a device: records that codec/senml resolved (their times are told, relative ones already added to
 * the gateway's clock; TELEMETRY_TIME_ASSIGNED where the device gave none). Marks times that cannot be meant as
 * suspect, gives records with assigned times distinct ones per series. `origin` names the message, so that its
 * repetition after a crash has no second effect (0: not known). Positive with FAULT_RATE_LIMITED (see *retry_s),
 * FAULT_LIMIT_REACHED (series of the device), FAULT_STORAGE_FULL (found full a moment ago; tried again every second),
 * FAULT_INVALID_FIELD. done as in core.h, after the commit.
 */
int core_add_telemetry(struct core *core, struct device *device, const struct telemetry_record *records, size_t count,
                       uint64_t origin, core_done_fn done, void *arg, struct fault *fault,
                       uint32_t *retry_s) must_check;
/* Whether a message of this origin was committed (by an earlier run of the gateway, in the last EXCHANGE_LIFETIME). */
bool core_knows_origin(const struct core *core, uint64_t origin);

/* History: the store's, with what the core knows of devices. A query for a device that is not there is empty. The
 * result lives until the call returns; never from within. */
int core_query_history(struct core *core, const struct history_query *query, history_fn done, void *arg,
                       struct fault *fault) must_check;

/* The series that there are (store_list_series); as core_query_history. */
int core_list_series(struct core *core, const struct history_query *query, history_fn done, void *arg,
                     struct fault *fault) must_check;

/* How much is stored ("telemetry", "journal", "database", "disk"), and how long a sink may be away until it loses
 * entries, at the rate of the last hour and the last day ("buffer"). docs/rest-api.md has the members. */
json_t *core_storage_json(struct core *core);

struct telemetry_stats {
    uint64_t messages, records; /* committed */
    uint64_t rate_limited, refused, failed, repeated, suspect, assigned;
    uint64_t series;
};
void core_get_telemetry_stats(const struct core *core, struct telemetry_stats *out);

#endif
