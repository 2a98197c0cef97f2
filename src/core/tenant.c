#include "core/access_private.h"
#include "core/bodycheck.h"
#include "core/internal.h"
#include "core/trust_private.h"

#include <errno.h>
#include <string.h>

/* Tenants: a part of the gateway, the devices of some groups and what has a name of theirs. */

static const struct document *find(const struct core *core, const char *name)
{
    return document_find(core, DOCUMENT_TENANT, name);
}

bool tenant_has_device(const struct core *core, const char *tenant, const struct device *device)
{
    const struct document *document;
    const json_t *group;
    size_t i;

    if (!tenant || !*tenant)
        return true;
    document = find(core, tenant);
    json_array_foreach(document ? json_object_get(document->body, "groups") : NULL, i, group)
    {
        if (device_is_in_group(device, json_string_value(group)))
            return true;
    }
    return false;
}

bool caller_sees_device(const struct core *core, const struct caller *caller, const struct device *device)
{
    return tenant_has_device(core, caller->tenant, device);
}

bool caller_sees_device_id(const struct core *core, const struct caller *caller, const char *id)
{
    const struct device *device;

    if (!*caller->tenant)
        return true;
    device = core_find_device(core, id);
    return device && caller_sees_device(core, caller, device);
}

bool caller_sees_name(const struct core *core, const struct caller *caller, const char *name)
{
    const struct document *document;

    if (!*caller->tenant)
        return true;
    document = find(core, caller->tenant);
    return document && patterns_match(json_object_get(document->body, "artifacts"), name);
}

bool caller_sees_artifact(const struct core *core, const struct caller *caller, const struct artifact *artifact)
{
    return caller_sees_name(core, caller, artifact->name);
}

bool caller_has_group(const struct core *core, const struct caller *caller, const char *group)
{
    const struct document *document;
    const json_t *own;
    size_t i;

    if (!*caller->tenant)
        return true;
    document = find(core, caller->tenant);
    json_array_foreach(document ? json_object_get(document->body, "groups") : NULL, i, own)
    {
        if (strcmp(json_string_value(own), group) == 0)
            return true;
    }
    return false;
}

/* Documents -------------------------------------------------------------------------------------------------------- */

static int check_groups(const json_t *groups, struct fault *fault)
{
    const json_t *group;
    size_t i;

    json_array_foreach(groups, i, group)
    {
        if (!json_is_string(group) || !text_is_name(json_string_value(group), CORE_GROUP_MAX))
            return fault_set_at(fault, FAULT_INVALID_FIELD, "/groups", "/groups/%zu is not the name of a group.", i);
    }
    return 0;
}

int tenant_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"groups", BODY_ARRAY, false, false, 0, PATTERNS_MAX, NULL},
        {"artifacts", BODY_ARRAY, false, false, 0, PATTERNS_MAX, NULL},
    };

    (void)core, (void)object;
    if (trust_take_name(body, name, fault) || body_check(body, "", rules, array_size(rules), fault) ||
        check_groups(json_object_get(body, "groups"), fault))
        return 1;
    return patterns_check(json_object_get(body, "artifacts"), "/artifacts", fault);
}

int core_put_tenant(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                    struct fault *fault)
{
    if (!text_is_name(name, TENANT_NAME_MAX))
        return fault_set(fault, FAULT_INVALID_ID, "A tenant's name has 1 to %d letters, digits and . _ ~ -.",
                         TENANT_NAME_MAX);
    return document_put(core, DOCUMENT_TENANT, name, body, done, arg, fault);
}

int core_remove_tenant(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    if (grant_uses_tenant(core, name) || bearer_uses_tenant(core, name))
        return fault_set(fault, FAULT_IN_USE, "A grant or a token is bound to the tenant '%s'.", name);
    return document_remove(core, DOCUMENT_TENANT, name, done, arg, fault);
}

json_t *core_tenant_json(struct core *core, const char *name)
{
    return trust_document_json(core, DOCUMENT_TENANT, name);
}

json_t *core_tenants_json(struct core *core)
{
    return trust_documents_json(core, DOCUMENT_TENANT);
}
