#ifndef TC_CORE_SERVICE_H
#define TC_CORE_SERVICE_H

#include "core/reconcile.h"

/* What the files of services share, and what the core tells them. */

#define SERVICES_MAX 256
#define SERVICE_CONTAINERS_MAX 16

struct service_container {
    char uid[CORE_ID_MAX + 1];
    char artifact[CORE_DIGEST_TEXT]; /* or, where it is empty, */
    char release[CORE_RELEASE_TEXT];
    enum container_state state;
    char needs[NEEDS_SIZE];
    uint8_t *parameters; /* NULL: none */
    size_t parameters_size;
};

struct service {
    struct selector *selector;
    size_t count;
    struct service_container containers[];
};

/* The kind's functions (document.h). */
int service_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault);
void service_free(void *object);
void service_changed(struct core *core, const char *key);

const struct service_container *service_find(const struct service *service, const char *uid); /* or NULL */
/* One that wants a release; NULL: none. */
const char *service_with_release(struct core *core, const char *release);
/* What it wants of a container of a device. 0, or 1 with the fault of a release that has nothing for the device. */
int service_desire(struct desired *desired, const struct device *device, const char *name,
                   const struct service_container *container, struct fault *fault) must_check;
/* Whether the container is there for somebody else who wants something else of it. */
bool service_is_foreign(const struct container *container, const struct desired *desired);

/* Something that selectors look at may be different: what services want of the device is set. */
void services_wake(struct device *device);
void services_start(struct core *core); /* all devices, some at a time */
void services_sweep(struct timer *timer);
/* What was refused anywhere may be admitted now; all devices, some at a time. */
void devices_reconsider(struct core *core);

#endif
