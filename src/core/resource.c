#include "core/internal.h"

#include "tcgw/coapmsg.h"

#include <errno.h>
#include <string.h>

/* Requests to any resource of a device, and observations. The requests wait in the device's queue (query.c). */

#define OBSERVERS_MAX 16   /* observed resources of a device */
#define OBSERVED_MAX 65536 /* bytes of a representation */

bool resource_changes(const struct agent_resource *resource)
{
    return resource->method != COAPMSG_GET && resource->method != COAPMSG_FETCH;
}

bool resource_repeats(const struct agent_resource *resource)
{
    return resource->method != COAPMSG_POST && resource->method != COAPMSG_PATCH;
}

/* Copies ---------------------------------------------------------------------------------------------------------- */

static void *append(uint8_t **at, const void *data, size_t size)
{
    uint8_t *copy = *at;

    memcpy(copy, data, size);
    *at += size;
    return copy;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

struct agent_resource *resource_copy(const struct agent_resource *from)
{
    size_t size = text_size(from->path) + text_size(from->query) + from->if_match_size + from->body_size;
    struct agent_resource *copy = malloc(sizeof *copy + size);
    uint8_t *at;

    if (!copy)
        return NULL;
    at = (uint8_t *)(copy + 1);
    *copy = *from;
    copy->path = append(&at, from->path, text_size(from->path));
    if (from->query)
        copy->query = append(&at, from->query, text_size(from->query));
    if (from->if_match)
        copy->if_match = append(&at, from->if_match, from->if_match_size);
    if (from->body_size)
        copy->body = append(&at, from->body, from->body_size);
    return copy;
}

/* Requests --------------------------------------------------------------------------------------------------------- */

static int check_use(struct core *core, const struct device *device, bool changes, struct fault *fault)
{
    if (core_check_accepting(core, fault) || (changes && device_check_protected(device, fault)))
        return 1;
    if (device->removing)
        return fault_set(fault, FAULT_NOT_FOUND, "Device '%s' is being removed.", device->id);
    return 0;
}

int core_request_resource(struct core *core, struct device *device, const struct agent_resource *request,
                          uint32_t timeout_ms, core_resource_fn done, void *arg, struct fault *fault)
{
    struct agent_resource *copy;
    int r;

    if (check_use(core, device, resource_changes(request), fault) || device_check_queue(device, fault))
        return 1;
    copy = resource_copy(request);
    if (!copy)
        return -ENOMEM;
    r = query_resource(device, copy, timeout_ms, done, arg);
    if (r < 0)
        free(copy);
    return r;
}

/* Observations ----------------------------------------------------------------------------------------------------- */

struct core_observer {
    struct list node; /* device->observers */
    struct device *device;
    struct agent_observation observation;
    void (*notify)(void *arg, const struct agent_response *response);
    void (*ended)(void *arg, const struct fault *fault);
    void *arg;
    bool notifying; /* its callback runs */
    bool gone;      /* its owner gave it up within that */
    char text[];    /* path and query */
};

static void observer_free(struct core_observer *observer)
{
    list_unlink(&observer->node);
    observer->device->observer_count--;
    free(observer);
}

static void stop_observing(struct core_observer *observer)
{
    const struct agent_port *port = &observer->device->core->options.agents;

    port->unobserve(port->arg, &observer->observation);
    observer_free(observer);
}

static void observation_notified(struct agent_observation *observation, const struct agent_response *response)
{
    struct core_observer *observer = observation->owner;

    if (observer->gone)
        return;
    device_seen(observer->device);
    observer->notifying = true;
    observer->notify(observer->arg, response);
    observer->notifying = false;
    if (observer->gone)
        stop_observing(observer);
}

static void observer_end(struct core_observer *observer, const struct fault *fault)
{
    void (*ended)(void *arg, const struct fault *fault) = observer->ended;
    void *arg = observer->arg;

    observer_free(observer);
    ended(arg, fault);
}

static void observation_ended(struct agent_observation *observation, enum agent_outcome outcome, const char *detail)
{
    struct core_observer *observer = observation->owner;
    struct agent_call call = {.verb = AGENT_CALL_RESOURCE, .device = observer->device, .outcome = outcome};
    struct fault fault = {.code = FAULT_NONE};

    if (outcome != AGENT_OK) {
        (void)text_copy(call.detail, sizeof call.detail, detail ? detail : "");
        fault_from_call(&fault, &call);
    }
    observer_end(observer, &fault);
}

static struct core_observer *observer_new(struct device *device, const char *path, const char *query)
{
    struct core_observer *observer = calloc(1, sizeof *observer + text_size(path) + text_size(query));
    uint8_t *at;

    if (!observer)
        return NULL;
    at = (uint8_t *)observer->text;
    observer->device = device;
    observer->observation = (struct agent_observation){.device = device,
                                                       .notify = observation_notified,
                                                       .ended = observation_ended,
                                                       .owner = observer,
                                                       .limit = OBSERVED_MAX};
    observer->observation.path = append(&at, path, text_size(path));
    if (query)
        observer->observation.query = append(&at, query, text_size(query));
    list_append(&device->observers, &observer->node);
    device->observer_count++;
    return observer;
}

struct core_observer *core_observe_resource(struct core *core, struct device *device, const char *path,
                                            const char *query, int accept,
                                            void (*notify)(void *arg, const struct agent_response *response),
                                            void (*ended)(void *arg, const struct fault *fault), void *arg,
                                            struct fault *fault)
{
    const struct agent_port *port = &core->options.agents;
    struct core_observer *observer;

    if (check_use(core, device, false, fault))
        return NULL;
    if (device->observer_count >= OBSERVERS_MAX) {
        (void)fault_set(fault, FAULT_QUEUE_FULL, "%d resources of device '%s' are observed already.", OBSERVERS_MAX,
                        device->id);
        return NULL;
    }
    observer = observer_new(device, path, query);
    if (!observer) {
        (void)fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory.");
        return NULL;
    }
    observer->observation.accept = accept;
    observer->notify = notify;
    observer->ended = ended;
    observer->arg = arg;
    port->observe(port->arg, &observer->observation);
    return observer;
}

void core_unobserve(struct core_observer *observer)
{
    if (!observer)
        return;
    if (observer->notifying)
        observer->gone = true;
    else
        stop_observing(observer);
}

void observers_end(struct device *device, enum fault_code code, const char *why)
{
    const struct agent_port *port = &device->core->options.agents;
    struct fault fault;

    (void)fault_set(&fault, code, "%s", why);
    while (!list_empty(&device->observers)) {
        struct core_observer *observer = list_first(&device->observers, struct core_observer, node);

        port->unobserve(port->arg, &observer->observation);
        observer_end(observer, &fault);
    }
}
