#ifndef TC_CORE_EMERGENCY_H
#define TC_CORE_EMERGENCY_H

#include "core/core.h"

/*
 * What a person does when something goes wrong. An emergency stop names containers, by uid, release, artifact name or
 * SHA-256 (of an artifact or its code): wherever they run they are stopped, nothing of them is loaded or started any
 * more, also not on devices that come later, and what is desired of them is done again when the stop is lifted. A
 * device in quarantine is neither spoken to, but for what stops and removes, nor heard. Both are documents
 * ({"reason"}), so that they outlive restarts, and the device's record.
 */

#define EMERGENCY_NAME_MAX (CORE_DIGEST_TEXT - 1)

/* The stop that holds one, NULL: none does. The artifact may be NULL, the release empty. */
const char *emergency_of(struct core *core, const char *uid, const struct artifact *artifact, const char *release);
/* The same for what is desired and what is reported of a container. */
const char *emergency_of_container(const struct container *container);
int emergency_check(struct core *core, const char *uid, const struct artifact *artifact, const char *release,
                    struct fault *fault) must_check; /* FAULT_EMERGENCY_STOP */
/* Whether one that is stopped may still run, as far as is known. */
bool emergency_is_due(const struct container *container);

bool device_is_quarantined(const struct device *device);
int quarantine_check(const struct device *device, struct fault *fault) must_check; /* FAULT_QUARANTINED */

/* Of document.c. */
int emergency_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault) must_check;
void emergency_changed(struct core *core, const char *key);
void quarantine_changed(struct core *core, const char *key);

int core_put_emergency_stop(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                            struct fault *fault) must_check;
int core_remove_emergency_stop(struct core *core, const char *name, core_done_fn done, void *arg,
                               struct fault *fault) must_check;
/* {"name", "since", "reason", "containers", "running"}; NULL: there is none. */
json_t *core_emergency_stop_json(struct core *core, const char *name);
json_t *core_emergency_stops_json(struct core *core);
int core_put_quarantine(struct core *core, const char *device, const json_t *body, core_done_fn done, void *arg,
                        struct fault *fault) must_check;
int core_remove_quarantine(struct core *core, const char *device, core_done_fn done, void *arg,
                           struct fault *fault) must_check;
/* {"device", "since", "reason"}; NULL: it is in none. */
json_t *core_quarantine_json(struct core *core, const char *device);
json_t *core_quarantines_json(struct core *core);

#endif
