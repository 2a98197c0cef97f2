#include "rest/scope.h"

#include "core/cache.h"
#include "core/directory.h"
#include "core/reconcile.h"
#include "core/rollout.h"
#include "core/trust.h"
#include "rest/api.h"
#include "rest/route.h"
#include "rest/state.h"
#include "rest/upload.h"

#include <string.h>

/* The path --------------------------------------------------------------------------------------------------------- */

static int missing(struct fault *fault, const char *noun, const char *id)
{
    return fault_set(fault, FAULT_NOT_FOUND, "There is no %s %.200s", noun, id);
}

static int check_operation(struct http_request *req, const char *id, struct fault *fault)
{
    const struct operation *op = core_find_operation(rest_core(req), id);

    if (!text_is_uuid(id) || (op && caller_sees_device_id(rest_core(req), &req->caller, op->device_id)))
        return 0;
    req->about.operation = id;
    return missing(fault, "operation", id);
}

static int check_registration(const struct http_request *req, const char *number, struct fault *fault)
{
    const struct registration *registration;
    int64_t value;

    registration =
        text_parse_int(number, 1, INT64_MAX, &value) ? core_find_registration(rest_core(req), (uint64_t)value) : NULL;
    if (registration && *registration->device &&
        caller_sees_device_id(rest_core(req), &req->caller, registration->device))
        return 0;
    return fault_set(fault, FAULT_NOT_FOUND, "There is no registration %.20s", number);
}

static int check_artifact(const struct http_request *req, const char *id, struct fault *fault)
{
    const struct artifact *artifact = core_find_artifact(rest_core(req), id);

    if (artifact ? caller_sees_artifact(rest_core(req), &req->caller, artifact)
                 : strspn(id, "0123456789abcdef") != CORE_DIGEST_TEXT - 1)
        return 0;
    return missing(fault, "artifact", id);
}

/* A name is outside of the tenant's whether there is something of it or not. */
static int check_name(const struct http_request *req, const char *noun, const char *name, struct fault *fault)
{
    if (caller_sees_name(rest_core(req), &req->caller, name))
        return 0;
    if (req->method == HTTP_PUT)
        return fault_set(fault, FAULT_FORBIDDEN, "The tenant %s has no %s of this name", req->caller.tenant, noun);
    return missing(fault, noun, name);
}

static int check_release(const struct http_request *req, const char *release, struct fault *fault)
{
    char name[CORE_NAME_MAX + 1];

    release_component(release, name);
    return caller_sees_name(rest_core(req), &req->caller, name) ? 0 : missing(fault, "release", release);
}

static int check_selector(const struct http_request *req, const json_t *body, struct fault *fault)
{
    const json_t *groups = json_object_get(json_object_get(body, "devices"), "groups"), *group;
    bool good = json_array_size(groups) > 0;
    size_t i;

    json_array_foreach(groups, i, group)
    {
        good =
            good && json_is_string(group) && caller_has_group(rest_core(req), &req->caller, json_string_value(group));
    }
    if (good)
        return 0;
    return fault_set_at(fault, FAULT_FORBIDDEN, "/devices",
                        "The tenant %s selects devices by groups, and by its own only (devices.groups)",
                        req->caller.tenant);
}

/* What others made under a name of the tenant's is seen, and changed only where all its devices are the tenant's. */
static int check_selected(const struct http_request *req, const json_t *present, struct fault *fault)
{
    return present && http_method_writes(req->method) ? check_selector(req, present, fault) : 0;
}

static int check_service(const struct http_request *req, const char *name, struct fault *fault)
{
    json_t *present = NULL;
    int r = check_name(req, "service", name, fault);

    if (r == 0)
        present = core_service_json(rest_core(req), name);
    if (r == 0)
        r = check_selected(req, present, fault);
    json_decref(present);
    return r;
}

static int check_rollout(const struct http_request *req, const char *id, struct fault *fault)
{
    json_t *present = core_rollout_json(rest_core(req), id, false);
    const char *name = json_string_value(json_object_get(present, "name"));
    int r;

    if (name && caller_sees_name(rest_core(req), &req->caller, name))
        r = check_selected(req, present, fault);
    else
        r = fault_set(fault, FAULT_NOT_FOUND, "There is no rollout %.80s", id);
    json_decref(present);
    return r;
}

static int check_device(struct http_request *req, const char *id, struct fault *fault)
{
    if (!text_is_name(id, CORE_ID_MAX) || caller_sees_device_id(rest_core(req), &req->caller, id))
        return 0;
    req->about.device = id;
    return missing(fault, "device", id);
}

static int check_group(const struct http_request *req, const char *name, struct fault *fault)
{
    return caller_has_group(rest_core(req), &req->caller, name) ? 0 : missing(fault, "group", name);
}

int scope_check_path(struct http_request *req, struct fault *fault)
{
    const char *id = req->params[0];

    switch (req->route->subject) {
    case SUBJECT_NOTHING:
        return 0;
    case SUBJECT_DEVICE:
        return check_device(req, id, fault);
    case SUBJECT_OPERATION:
        return check_operation(req, id, fault);
    case SUBJECT_REGISTRATION:
        return check_registration(req, id, fault);
    case SUBJECT_GROUP:
        return check_group(req, id, fault);
    case SUBJECT_ARTIFACT:
        return check_artifact(req, id, fault);
    case SUBJECT_RELEASE:
        return check_release(req, id, fault);
    case SUBJECT_SERVICE:
        return check_service(req, id, fault);
    case SUBJECT_ROLLOUT:
        return check_rollout(req, id, fault);
    case SUBJECT_GATEWAY:
    case SUBJECT_COUNT:
        break;
    }
    return fault_set(fault, FAULT_FORBIDDEN, "%s is of the tenant %s, and this is about the whole gateway",
                     req->caller.name, req->caller.tenant);
}

/* The body --------------------------------------------------------------------------------------------------------- */

/* What is to be deployed, as one who reads it would see it. */
static int check_content(const struct http_request *req, const json_t *object, struct fault *fault)
{
    const char *artifact = json_string_value(json_object_get(object, "artifact"));
    const char *release = json_string_value(json_object_get(object, "release"));

    if (artifact && check_artifact(req, artifact, fault))
        return 1;
    return release && strlen(release) < CORE_RELEASE_TEXT ? check_release(req, release, fault) : 0;
}

/* What stays: a device is taken out of no group that is not the tenant's, to which policies and others hold it. */
static int check_kept(const struct http_request *req, const char *present, const json_t *groups, struct fault *fault)
{
    char name[CORE_GROUP_MAX + 1];
    size_t n;

    for (; present && *present; present += n + strspn(present + n, " ")) {
        const json_t *group;
        bool kept = false;
        size_t i;

        n = strcspn(present, " ");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, present);
        json_array_foreach(groups, i, group)
        {
            kept = kept || (json_is_string(group) && strcmp(json_string_value(group), name) == 0);
        }
        if (!kept && !caller_has_group(rest_core(req), &req->caller, name))
            return fault_set_at(fault, FAULT_FORBIDDEN, "/groups", "The tenant %s has no group \"%.64s\"",
                                req->caller.tenant, name);
    }
    return 0;
}

static int check_groups(const struct http_request *req, const struct device *device, struct fault *fault)
{
    const json_t *groups = json_object_get(req->json, "groups"), *group;
    bool own = false;
    size_t i;

    json_array_foreach(groups, i, group)
    {
        const char *name = json_string_value(group);

        if (name && caller_has_group(rest_core(req), &req->caller, name))
            own = true;
        else if (!name || !device || !device_is_in_group(device, name))
            return fault_set_at(fault, FAULT_FORBIDDEN, "/groups", "The tenant %s has no group \"%.64s\"",
                                req->caller.tenant, name ? name : "");
    }
    if (own)
        return check_kept(req, device ? device->groups : NULL, groups, fault);
    return fault_set_at(fault, FAULT_FORBIDDEN, "/groups", "The device has to be in a group of the tenant %s",
                        req->caller.tenant);
}

/* Who has the address has the device that is there. What is no address is the handler's to refuse. */
static int check_address(const struct http_request *req, const struct device *device, struct fault *fault)
{
    const char *address = json_string_value(json_object_get(req->json, "address"));
    struct device *there;
    struct fault none;

    if (!address || core_find_host(rest_core(req), address, false, &there, &none) ||
        (device && strcmp(device->address, there->address) == 0) ||
        caller_sees_device(rest_core(req), &req->caller, there))
        return 0;
    return fault_set_at(fault, FAULT_FORBIDDEN, "/address", "The tenant %s does not have the device at this address",
                        req->caller.tenant);
}

static int check_new_device(const struct http_request *req, struct fault *fault)
{
    return check_groups(req, NULL, fault) || check_address(req, NULL, fault);
}

static int check_patch(const struct http_request *req, struct fault *fault)
{
    const struct device *device = core_find_device(rest_core(req), req->params[0]);

    if (json_object_get(req->json, "groups") && check_groups(req, device, fault))
        return 1;
    return check_address(req, device, fault);
}

static int check_put_container(const struct http_request *req, struct fault *fault)
{
    return check_content(req, req->json, fault);
}

static int check_put_service(const struct http_request *req, struct fault *fault)
{
    const json_t *container;
    size_t i;

    json_array_foreach(json_object_get(req->json, "containers"), i, container)
    {
        if (check_content(req, container, fault))
            return 1;
    }
    return check_selector(req, req->json, fault);
}

static int check_own_name(const struct http_request *req, const json_t *body, struct fault *fault)
{
    const char *name = json_string_value(json_object_get(body, "name"));

    if (name && caller_sees_name(rest_core(req), &req->caller, name))
        return 0;
    return fault_set_at(fault, FAULT_FORBIDDEN, "/name", "The name is none that the tenant %s has", req->caller.tenant);
}

static int check_new_rollout(const struct http_request *req, struct fault *fault)
{
    return check_own_name(req, req->json, fault) || check_content(req, req->json, fault) ||
           check_selector(req, req->json, fault);
}

static int check_new_release(const struct http_request *req, struct fault *fault)
{
    const json_t *id;
    size_t i;

    json_array_foreach(json_object_get(req->json, "artifacts"), i, id)
    {
        if (json_is_string(id) && check_artifact(req, json_string_value(id), fault))
            return 1;
    }
    return check_own_name(req, req->json, fault);
}

static int check_new_artifact(const struct http_request *req, struct fault *fault)
{
    return check_own_name(req, upload_description(req->upload), fault);
}

int scope_check_body(struct http_request *req, struct fault *fault)
{
    static const struct {
        void (*handler)(struct http_request *req);
        int (*check)(const struct http_request *req, struct fault *fault);
    } checks[] = {
        {api_add_device, check_new_device},       {api_patch_device, check_patch},
        {api_put_container, check_put_container}, {api_put_service, check_put_service},
        {api_add_rollout, check_new_rollout},     {api_add_release, check_new_release},
        {api_add_artifact, check_new_artifact},
    };

    for (size_t i = 0; *req->caller.tenant && i < array_size(checks); i++)
        if (req->route->handler == checks[i].handler)
            return checks[i].check(req, fault);
    return 0;
}

/* Lists ------------------------------------------------------------------------------------------------------------ */

json_t *scope_filter(const struct http_request *req, json_t *items, const char *member, scope_fn sees)
{
    for (size_t i = scope_is_all(req) ? 0 : json_array_size(items); i-- > 0;) {
        const char *name = json_string_value(json_object_get(json_array_get(items, i), member));

        if (!name || !sees || !sees(rest_core(req), &req->caller, name))
            (void)json_array_remove(items, i);
    }
    return items;
}
