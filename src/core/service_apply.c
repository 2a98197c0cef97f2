#include "core/document.h"
#include "core/internal.h"
#include "core/reconcile_private.h"
#include "core/service.h"
#include "core/trust.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* What services do to devices: they write what is desired of containers; the reconciler does the rest. Doing it again
 * changes nothing, so that it needs no memory of its own of what was done. */

#define SWEEP_DEVICES 50 /* at a time */
#define SWEEP_PAUSE_MS 5
#define PROBLEMS_MAX 20 /* that are shown */

int service_desire(struct desired *desired, const struct device *device, const char *name,
                   const struct service_container *c, struct fault *fault)
{
    const struct artifact *artifact = *c->release ? release_pick(device, c->release, fault) : NULL;

    *desired = (struct desired){.state = c->state,
                                .artifact = artifact ? artifact->id : c->artifact,
                                .release = c->release,
                                .service = name,
                                .needs = c->needs,
                                .parameters = c->parameters,
                                .parameters_size = c->parameters_size};
    return *c->release && !artifact;
}

bool service_is_foreign(const struct container *c, const struct desired *desired)
{
    return !c->service && (c->desired == CONTAINER_RUNNING || c->desired == CONTAINER_STOPPED) &&
           (c->desired != desired->state || strcmp(c->desired_artifact, desired->artifact) != 0);
}

static void settle(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);

    (void)fault;
    if (durable || !device)
        return;
    for (struct container *c = device->containers; c; c = c->hh.next)
        c->dirty = true; /* the service stands, so they are written when that is possible */
    core_retry_later(commit->core);
}

/* What is written for one device; the commit is made when there is something. */
struct application {
    struct device *device;
    struct commit *commit;
};

static void desire(struct application *application, const char *uid, const struct desired *desired)
{
    struct device *device = application->device;
    struct fault fault = {.code = FAULT_NONE};
    int r = 0;

    if (container_is_desired(device, uid, desired))
        return;
    if (!application->commit) {
        r = commit_new(&application->commit, device->core, NULL, NULL);
        if (r == 0) {
            (void)text_copy(application->commit->device, sizeof application->commit->device, device->id);
            application->commit->settle = settle;
        }
    }
    if (r == 0)
        r = container_desire(device, uid, desired, application->commit->batch, &fault);
    if (r)
        log_debug("not as the service wants it", "device", device->id, "container", uid, "service", desired->service,
                  "reason", fault.detail, NULL);
}

static void want(struct application *application, const char *name, const struct service_container *wanted)
{
    const struct container *c = index_find_container(application->device, wanted->uid);
    const char *owner = service_of(application->device, wanted->uid);
    struct desired desired;
    struct fault fault;

    if (owner && strcmp(owner, name) == 0 && service_desire(&desired, application->device, name, wanted, &fault) == 0 &&
        !(c && service_is_foreign(c, &desired)))
        desire(application, wanted->uid, &desired);
}

/* What a service wants that cannot be read nobody knows. */
static bool is_readable(const struct core *core, const char *service)
{
    const struct document *document = document_find(core, DOCUMENT_SERVICE, service);

    return !document || document->object;
}

/* Those whose service does not want them here any more. */
static void drop_unwanted(struct application *application)
{
    struct device *device = application->device;

    for (struct container *c = device->containers; c; c = c->hh.next)
        if (c->service && c->desired != CONTAINER_ABSENT && !service_of(device, c->uid) &&
            is_readable(device->core, c->service))
            desire(application, c->uid, &(struct desired){.state = CONTAINER_ABSENT});
}

static void apply(struct device *device)
{
    struct application application = {.device = device};

    if (device->removing || device->visitor)
        return;
    for (const struct document *d = document_first(device->core, DOCUMENT_SERVICE); d; d = d->hh.next) {
        const struct service *service = d->object;

        for (size_t i = 0; service && i < service->count && selector_matches(service->selector, device); i++)
            want(&application, d->key, &service->containers[i]);
    }
    drop_unwanted(&application);
    if (application.commit)
        commit_submit(application.commit);
}

void services_wake(struct device *device)
{
    const struct core *core = device->core;

    if (core->started && !core->stopped && core->has_services)
        apply(device);
}

/* All devices ------------------------------------------------------------------------------------------------------ */

void services_sweep(struct timer *timer)
{
    struct core *core = container_of(timer, struct core, service_sweep);
    struct device *devices[SWEEP_DEVICES];
    size_t n = core_list_devices(core, core->service_swept, devices, array_size(devices));

    if (core->stopped)
        return;
    for (size_t i = 0; i < n; i++) {
        if (core->sweep_revives)
            reconcile_changed(devices[i]);
        else
            apply(devices[i]);
    }
    if (n == array_size(devices)) {
        (void)text_copy(core->service_swept, sizeof core->service_swept, devices[n - 1]->id);
        core_arm(core, timer, core_now(core) + SWEEP_PAUSE_MS);
    } else {
        core->has_services = document_count(core, DOCUMENT_SERVICE) > 0;
        core->sweep_revives = false;
    }
}

static void sweep(struct core *core)
{
    core->service_swept[0] = 0;
    if (core->started)
        core_arm(core, &core->service_sweep, core_now(core));
}

void services_start(struct core *core)
{
    core->has_services |= document_count(core, DOCUMENT_SERVICE) > 0;
    if (core->has_services)
        sweep(core);
}

void devices_reconsider(struct core *core)
{
    core->sweep_revives = true;
    sweep(core);
}

void service_changed(struct core *core, const char *key)
{
    (void)key;
    core->has_services = true; /* the sweep finds out */
    services_start(core);
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

enum standing { CONVERGED, PENDING, FAILED, REFUSED, STANDINGS };

static enum standing find_standing(struct device *device, const char *name, const struct service_container *wanted,
                                   struct fault *fault)
{
    const struct container *c = core_find_container(device, wanted->uid);
    struct desired desired;
    struct judgement j;

    *fault = (struct fault){.code = FAULT_NONE};
    if (!c || !c->service || strcmp(c->service, name) != 0) {
        if (c)
            (void)fault_set(fault, FAULT_CONFLICT, "Somebody else wants container '%s'.", wanted->uid);
        else if (service_desire(&desired, device, name, wanted, fault) == 0 &&
                 container_check_uid(device, wanted->uid, fault) == 0 &&
                 container_check_desired(device, wanted->uid, &desired, fault) == 0)
            return PENDING;
        return REFUSED;
    }
    j = reconcile_judge(c);
    if (j.stand == STAND_CONVERGED || j.stand == STAND_ASK)
        return CONVERGED;
    *fault = c->fault;
    return j.stand == STAND_GIVEN_UP ? FAILED : PENDING;
}

/* How a device stands is how the worst of its containers does. */
static enum standing judge_device(struct device *device, const char *name, const struct service *service,
                                  json_t *problems)
{
    enum standing worst = CONVERGED;

    for (size_t i = 0; i < service->count; i++) {
        struct fault fault;
        enum standing standing = find_standing(device, name, &service->containers[i], &fault);

        if (fault.code && json_array_size(problems) < PROBLEMS_MAX)
            (void)json_array_append_new(problems,
                                        json_pack("{s:s, s:s, s:o}", "device", device->id, "container",
                                                  service->containers[i].uid, "error", json_fault(&fault, false)));
        worst = standing > worst ? standing : worst;
    }
    return worst;
}

static json_t *status_json(const struct core *core, const char *name, const struct service *service)
{
    json_t *problems = json_array();
    size_t counts[STANDINGS] = {0}, count;
    struct device **devices;

    if (selector_list(service->selector, core, &devices, &count)) {
        json_decref(problems);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        counts[judge_device(devices[i], name, service, problems)]++;
    free(devices);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "devices", (json_int_t)count, "converged",
                     (json_int_t)counts[CONVERGED], "pending", (json_int_t)counts[PENDING], "failed",
                     (json_int_t)counts[FAILED], "refused", (json_int_t)counts[REFUSED], "problems", problems);
}

static json_t *service_json(const struct document *document)
{
    json_t *json = json_copy(document->body);

    (void)json_object_set_new(json, "name", json_string(document->key));
    return json;
}

json_t *core_service_json(struct core *core, const char *name)
{
    const struct document *document = document_find(core, DOCUMENT_SERVICE, name);
    json_t *json = document ? service_json(document) : NULL;

    if (json && document->object)
        (void)json_object_set_new(json, "status", status_json(core, name, document->object));
    return json;
}

json_t *core_services_json(struct core *core)
{
    json_t *array = json_array();

    for (const struct document *d = document_first(core, DOCUMENT_SERVICE); d; d = d->hh.next)
        (void)json_array_append_new(array, service_json(d));
    return array;
}
