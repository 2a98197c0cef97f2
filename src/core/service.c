#include "core/service.h"
#include "core/document.h"
#include "core/internal.h"
#include "core/rollout.h"

#include "core/bodycheck.h"

#include <errno.h>
#include <string.h>

/* Services: what a document asks for, kept in a form to work with. Their effect on devices is in service_apply.c. */

static const struct body_rule rules[] = {
    {"devices", BODY_OBJECT, true, false, 0, 0, NULL},
    {"containers", BODY_ARRAY, true, false, 0, SERVICE_CONTAINERS_MAX, NULL},
};

static const struct body_rule container_rules[] = {
    {"uid", BODY_TEXT, true, false, 1, CORE_ID_MAX, NULL},
    {"artifact", BODY_TEXT, false, false, CORE_DIGEST_TEXT - 1, CORE_DIGEST_TEXT - 1, NULL},
    {"release", BODY_TEXT, false, false, 3, CORE_RELEASE_TEXT - 1, NULL},
    {"state", BODY_CHOICE, false, false, 0, 0, "running stopped"},
    {"parameters", BODY_TEXT, false, true, 0, (PARAMETERS_MAX + 2) / 3 * 4, NULL},
    {"needs", BODY_ARRAY, false, true, 0, NEEDS_MAX, NULL},
};

const struct service_container *service_find(const struct service *service, const char *uid)
{
    for (size_t i = 0; i < service->count; i++)
        if (strcmp(service->containers[i].uid, uid) == 0)
            return &service->containers[i];
    return NULL;
}

void service_free(void *object)
{
    struct service *service = object;

    if (!service)
        return;
    for (size_t i = 0; i < service->count; i++)
        free(service->containers[i].parameters);
    selector_free(service->selector);
    free(service);
}

static int parse_container(struct service *service, const json_t *object, size_t i, struct fault *fault)
{
    struct service_container *c = &service->containers[i];
    char at[40], pointer[64];
    const char *uid, *artifact, *release;
    int r;

    (void)snprintf(at, sizeof at, "/containers/%zu", i);
    if (body_check(object, at, container_rules, array_size(container_rules), fault))
        return 1;
    uid = body_text(object, "uid");
    artifact = body_text(object, "artifact");
    release = body_text(object, "release");
    if (!artifact == !release)
        return fault_set_at(fault, FAULT_INVALID_FIELD, at, "A container has either an artifact or a release.");
    (void)snprintf(pointer, sizeof pointer, "%s/uid", at);
    if (!text_is_name(uid, CORE_ID_MAX) || service_find(service, uid))
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "'%s' is no uid, or there twice.", uid);
    (void)snprintf(pointer, sizeof pointer, "%s/needs", at);
    r = needs_read(c->needs, uid, json_object_get(object, "needs"), pointer, fault);
    (void)snprintf(pointer, sizeof pointer, "%s/parameters", at);
    if (r == 0)
        r = parameters_read(&c->parameters, &c->parameters_size, json_object_get(object, "parameters"), pointer, fault);
    if (r)
        return r;
    (void)text_copy(c->uid, sizeof c->uid, uid);
    if (artifact)
        (void)text_copy(c->artifact, sizeof c->artifact, artifact);
    else
        (void)text_copy(c->release, sizeof c->release, release);
    c->state = body_text(object, "state") ? container_state_from_name(body_text(object, "state")) : CONTAINER_RUNNING;
    service->count++;
    return 0;
}

/* Order ------------------------------------------------------------------------------------------------------------ */

/* Whether all that a container needs is among `placed`; bit i: the container i. */
static bool is_ready(const struct service *service, size_t i, uint32_t placed)
{
    for (const char *at = service->containers[i].needs; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");

        for (size_t j = 0; j < service->count; j++) {
            const char *uid = service->containers[j].uid;

            if (strlen(uid) == n && memcmp(uid, at, n) == 0 && !(placed >> j & 1))
                return false;
        }
        at += n;
    }
    return true;
}

/* Each round places what needs nothing more. What is left when none can be placed is in a circle, or needs one. */
static int check_order(const struct service *service, struct fault *fault)
{
    uint32_t placed = 0, before;
    size_t i = 0;

    do {
        before = placed;
        for (i = 0; i < service->count; i++)
            if (is_ready(service, i, placed))
                placed |= UINT32_C(1) << i;
    } while (placed != before);
    for (i = 0; i < service->count; i++)
        if (!(placed >> i & 1))
            return fault_set_at(fault, FAULT_INVALID_FIELD, "/containers",
                                "Container '%s' needs, by way of others, itself.", service->containers[i].uid);
    return 0;
}

static int check_needed(const struct service *service, struct fault *fault)
{
    char uid[CORE_ID_MAX + 1];

    for (size_t i = 0; i < service->count; i++)
        for (const char *at = service->containers[i].needs; *at; at += strspn(at, " ")) {
            size_t n = strcspn(at, " ");

            (void)snprintf(uid, sizeof uid, "%.*s", (int)n, at);
            if (!service_find(service, uid))
                return fault_set_at(fault, FAULT_INVALID_FIELD, "/containers",
                                    "Container '%s' needs '%s', which is none of the service.",
                                    service->containers[i].uid, uid);
            at += n;
        }
    return check_order(service, fault);
}

int service_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault)
{
    const json_t *containers, *container;
    struct service *service;
    size_t i;
    int r;

    (void)core;
    (void)key;
    if (body_check(body, "", rules, array_size(rules), fault))
        return 1;
    containers = json_object_get(body, "containers");
    service = calloc(1, sizeof *service + json_array_size(containers) * sizeof *service->containers);
    if (!service)
        return -ENOMEM;
    r = selector_parse(&service->selector, json_object_get(body, "devices"), "/devices", fault);
    json_array_foreach(containers, i, container)
    {
        if (r == 0)
            r = parse_container(service, container, i, fault);
    }
    if (r == 0)
        r = check_needed(service, fault);
    if (r == 0 && json_object_set_new(body, "devices", selector_json(service->selector)))
        r = -ENOMEM;
    if (r)
        service_free(service);
    else
        *object = service;
    return r;
}

/* Changes ---------------------------------------------------------------------------------------------------------- */

/* Whether somebody else wants that uid there, and otherwise. */
static int check_device(struct device *device, const char *name, const struct service *service, struct fault *fault)
{
    for (size_t i = 0; i < service->count; i++) {
        const struct service_container *wanted = &service->containers[i];
        const char *owner = service_of(device, wanted->uid), *rollout = rollout_of(device, wanted->uid);
        const struct container *c = core_find_container(device, wanted->uid);
        struct desired desired;

        if (owner && strcmp(owner, name) != 0)
            return fault_set(fault, FAULT_CONFLICT, "Service '%s' wants container '%s' on device '%s', too.", owner,
                             wanted->uid, device->id);
        if (rollout)
            return fault_set(fault, FAULT_CONFLICT, "Rollout %s is at container '%s' of device '%s'.", rollout,
                             wanted->uid, device->id);
        if (c && service_desire(&desired, device, name, wanted, fault) == 0 && service_is_foreign(c, &desired))
            return fault_set(fault, FAULT_CONFLICT,
                             "Device '%s' has a container '%s' that is desired otherwise; remove it first.", device->id,
                             wanted->uid);
    }
    return 0;
}

static int check_devices(struct core *core, const char *name, const struct service *service, struct fault *fault)
{
    struct device **devices;
    size_t count;
    int r = selector_list(service->selector, core, &devices, &count);

    for (size_t i = 0; i < count && r == 0; i++)
        r = check_device(devices[i], name, service, fault);
    free(devices);
    return r;
}

static int check_artifacts(const struct core *core, const struct service *service, struct fault *fault)
{
    for (size_t i = 0; i < service->count; i++) {
        const struct service_container *c = &service->containers[i];

        if (*c->artifact && !core_find_artifact(core, c->artifact))
            return artifact_missing(core, c->artifact, fault);
        if (*c->release && !document_find(core, DOCUMENT_RELEASE, c->release))
            return fault_set_at(fault, FAULT_NOT_FOUND, "/containers", "There is no release '%s'.", c->release);
    }
    return 0;
}

int core_put_service(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                     struct fault *fault)
{
    json_t *copy = json_deep_copy(body);
    void *service = NULL;
    int r;

    if (core_check_accepting(core, fault)) {
        json_decref(copy);
        return 1;
    }
    r = copy ? service_parse(core, name, copy, &service, fault) : -ENOMEM;
    if (r == 0)
        r = check_artifacts(core, service, fault);
    if (r == 0)
        r = check_devices(core, name, service, fault);
    if (r == 0)
        r = document_put(core, DOCUMENT_SERVICE, name, body, done, arg, fault);
    service_free(service);
    json_decref(copy);
    return r;
}

int core_remove_service(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    if (core_check_accepting(core, fault))
        return 1;
    return document_remove(core, DOCUMENT_SERVICE, name, done, arg, fault);
}

static bool wants_release(const struct service *service, const char *release)
{
    for (size_t i = 0; i < service->count; i++)
        if (strcmp(service->containers[i].release, release) == 0)
            return true;
    return false;
}

const char *service_with_release(struct core *core, const char *release)
{
    for (const struct document *d = document_first(core, DOCUMENT_SERVICE); d; d = d->hh.next)
        if (d->object && wants_release(d->object, release))
            return d->key;
    return NULL;
}

const char *service_of(const struct device *device, const char *uid)
{
    for (const struct document *d = document_first(device->core, DOCUMENT_SERVICE); d; d = d->hh.next) {
        const struct service *service = d->object;

        if (service && service_find(service, uid) && selector_matches(service->selector, device))
            return d->key;
    }
    return NULL;
}
