#ifndef TC_CORE_RECONCILE_H
#define TC_CORE_RECONCILE_H

#include "base/cleanup.h"
#include "core/core.h"
#include "core/selector.h"

/*
 * Bringing devices to what is desired of them, for as long as it takes. A container's record says what is desired
 * (container.desired, desired_artifact, parameters, needs) and what was reported; where these differ and no operation
 * is at it, the reconciler queues one whenever the device can be reached: the smallest that helps. After a failure it
 * waits (container.retry): twice as long each time for one that may pass, until something changes for one that will not
 * (reconcile_is_permanent). What runs as desired is left alone.
 *
 * A service is a set of containers that belong together, for the devices that a selector matches; it writes their
 * desired state, as a person would.
 */

/* Something about the device may be different: it was heard, came back, was restarted, or its record changed. Cheap. */
void reconcile_wake(struct device *device);
/* An operation of it has ended; called before its container is written. */
void reconcile_ended(struct container *container, const struct operation *op);
/* It is desired anew: attempts begin at once, from zero. */
void reconcile_reset(struct container *container);
bool reconcile_is_permanent(enum fault_code code);
void reconcile_start(struct core *core);

/* The whole story of a container: {"device", "container", "desired", "reported", "converged", "why", "attempts",
 * "last_attempt_at", "next_attempt_at", "waits_for", "last_operation", "error"}. */
json_t *core_explain_container(struct container *container);

/* {"devices": selector, "containers": [{"uid", "release" | "artifact", "state", "parameters" (base64), "needs":
 * [uid]}]}. FAULT_INVALID_FIELD (cycles in needs), FAULT_CONFLICT (a uid that another service or a person wants
 * otherwise). */
int core_put_service(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                     struct fault *fault) must_check;
int core_remove_service(struct core *core, const char *name, core_done_fn done, void *arg,
                        struct fault *fault) must_check;
json_t *core_service_json(struct core *core, const char *name); /* with how many devices are where; NULL: none */
json_t *core_services_json(struct core *core);
/* Which service, if any, wants this container on this device; NULL: none. */
const char *service_of(const struct device *device, const char *uid);

#define PARAMETERS_MAX 16384 /* bytes */
#define NEEDS_MAX 16         /* containers that one needs */
#define NEEDS_SIZE (NEEDS_MAX * (CORE_ID_MAX + 1))

/* What rollouts and services use: sets what is desired of a container, as core_put_container does, but without an
 * operation of its own: the reconciler acts. artifact, release: "" for none; state ABSENT removes. Goes into the batch;
 * the caller undoes by calling it again with what was before and without a batch: nothing is checked then, and the row
 * is written by itself. needs: uids with spaces between. 0; 1 with a fault of core_put_container; negative. */
struct desired {
    enum container_state state;
    const char *artifact, *release, *service, *needs;
    const uint8_t *parameters; /* NULL: the artifact's data */
    size_t parameters_size;
    bool rollback;
};
int container_desire(struct device *device, const char *uid, const struct desired *desired, struct store_batch *batch,
                     struct fault *fault) must_check;
/* Whether it is as desired, and if so since when (monotonic ms), as far as was seen since the start. */
bool container_converged(const struct container *container, int64_t *since);

#endif
