#ifndef TC_CORE_ROLLOUT_H
#define TC_CORE_ROLLOUT_H

#include "base/cleanup.h"
#include "core/reconcile.h"

/*
 * Bringing a release to many devices in waves. A rollout writes the desired state of the devices of its waves
 * (container_desire) and watches what the reconciler makes of it; it is a document of the store with a row of state per
 * device, so that it goes on after a restart where it stood.
 *
 * {"name", "devices": selector, "membership": "fixed" | "dynamic", "container": uid, "release" | "artifact", "state",
 * "parameters", "waves": [{"count": n} | {"percent": p}, ...], "canaries": n,
 * "success": {"running_for_s", "telemetry": {"name", "min", "max"}}, "max_failures": n | "max_failures_percent": p,
 * "device_timeout_s", "max_parallel", "max_parallel_per_link", "window": {"from": "22:00", "to": "05:00", "days":
 * [...]}, "pause_after_wave": bool, "auto_rollback": bool}
 */

enum rollout_state {
    ROLLOUT_RUNNING,
    ROLLOUT_PAUSED,
    ROLLOUT_SUCCEEDED,
    ROLLOUT_FAILED,
    ROLLOUT_ABORTED,
    ROLLOUT_ROLLING_BACK,
    ROLLOUT_ROLLED_BACK,
    ROLLOUT_STATE_COUNT
};
const char *rollout_state_name(enum rollout_state state); /* "running", ..., "rolling-back", "rolled-back" */

/* FAULT_INVALID_FIELD, FAULT_NOTHING_SELECTED, FAULT_CONFLICT (with another rollout of the same container on a common
 * device, or with a service), FAULT_LIMIT_REACHED. */
int core_add_rollout(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                     char id[UUID_SIZE]) must_check;
/* What core_add_rollout would do: {"devices": [{"device", "wave", "action", "refused": problem}], "counts": {...}}. */
int core_plan_rollout(struct core *core, const json_t *body, json_t **plan, struct fault *fault) must_check;
enum rollout_action { ROLLOUT_PAUSE, ROLLOUT_RESUME, ROLLOUT_ABORT, ROLLOUT_ROLL_BACK };
int core_act_on_rollout(struct core *core, const char *id, enum rollout_action action, core_done_fn done, void *arg,
                        struct fault *fault) must_check;
int core_remove_rollout(struct core *core, const char *id, core_done_fn done, void *arg,
                        struct fault *fault) must_check;                         /* one that has ended */
json_t *core_rollout_json(struct core *core, const char *id, bool with_devices); /* NULL: there is none */
json_t *core_rollouts_json(struct core *core);
void core_count_rollouts(const struct core *core, size_t counts[ROLLOUT_STATE_COUNT]);

/* Its container's operation ended, it was heard of, or its record went. Cheap. */
void rollout_wake(struct device *device);
void rollout_start(struct core *core);
/* The rollout that is at this container, NULL: none. */
const char *rollout_of(const struct device *device, const char *uid);

/* Whether what a rollout wants of it is not durable yet, so that nothing may be done about it: else a device might be
 * found to have, after a crash, what the rollout does not know of. The container is touched when it is. */
bool rollout_holds(const struct container *container);

#endif
