#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/scope.h"
#include "rest/state.h"
#include "rest/stream.h"

#include "core/access.h"
#include "core/budget.h"
#include "core/cache.h"
#include "core/emergency.h"
#include "core/link.h"
#include "core/reconcile.h"
#include "core/trust.h"

/* What is put whole, under a name that a person chose: groups, links, policies, publishers, services. */

struct named {
    const char *noun;
    size_t name_max;
    scope_fn sees; /* for the callers of a tenant; NULL: none of them gets here */
    json_t *(*list)(struct core *core);
    json_t *(*show)(struct core *core, const char *name);
    int (*put)(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
               struct fault *fault);
    int (*remove)(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault);
};

static void list(struct http_request *req, const struct named *kind)
{
    reply_json(req, 200,
               json_pack("{s:o}", "items", scope_filter(req, kind->list(rest_core(req)), "name", kind->sees)));
}

/* The name in the path; NULL when it is bad, which is answered then. */
static const char *resolve_name(struct http_request *req, const struct named *kind)
{
    const char *name = req->params[0];

    if (text_is_name(name, kind->name_max))
        return name;
    reply_problem(req, FAULT_INVALID_ID, "The %s \"%.80s\" is not 1 to %zu letters, digits and . _ ~ -", kind->noun,
                  name, kind->name_max);
    return NULL;
}

static void show(struct http_request *req, const struct named *kind)
{
    const char *name = resolve_name(req, kind);
    json_t *json;

    if (!name)
        return;
    json = kind->show(rest_core(req), name);
    if (json)
        reply_json(req, 200, json);
    else
        reply_problem(req, FAULT_NOT_FOUND, "There is no %s %s", kind->noun, name);
}

static void put(struct http_request *req, const struct named *kind, void (*then)(struct http_request *req))
{
    const char *name = resolve_name(req, kind);
    struct fault fault;
    int r;

    if (!name)
        return;
    r = kind->put(rest_core(req), name, req->json, change_done, change_begin(req, then), &fault);
    if (!change_was_refused(req, r, &fault))
        stream_recheck(req->rest);
}

static void remove_named(struct http_request *req, const struct named *kind)
{
    const char *name = resolve_name(req, kind);
    struct fault fault;
    int r;

    if (!name)
        return;
    r = kind->remove(rest_core(req), name, change_done, change_begin(req, change_answer_empty), &fault);
    if (!change_was_refused(req, r, &fault))
        stream_recheck(req->rest);
}

#define HANDLERS(one, many, name_max, list_json, sees)                                                                 \
    static const struct named one##_kind = {#one,           name_max,         sees, list_json, core_##one##_json,      \
                                            core_put_##one, core_remove_##one};                                        \
    void api_list_##many(struct http_request *req)                                                                     \
    {                                                                                                                  \
        list(req, &one##_kind);                                                                                        \
    }                                                                                                                  \
    void api_show_##one(struct http_request *req)                                                                      \
    {                                                                                                                  \
        show(req, &one##_kind);                                                                                        \
    }                                                                                                                  \
    void api_put_##one(struct http_request *req)                                                                       \
    {                                                                                                                  \
        put(req, &one##_kind, api_show_##one);                                                                         \
    }                                                                                                                  \
    void api_remove_##one(struct http_request *req)                                                                    \
    {                                                                                                                  \
        remove_named(req, &one##_kind);                                                                                \
    }

HANDLERS(budget, budgets, CORE_ID_MAX, core_budgets_json, NULL)
HANDLERS(emergency_stop, emergency_stops, EMERGENCY_NAME_MAX, core_emergency_stops_json, NULL)
HANDLERS(grant, grants, CORE_ID_MAX, core_grants_json, NULL)
HANDLERS(group, groups, CORE_GROUP_MAX, core_groups_json, caller_has_group)
HANDLERS(link, links, CORE_LINK_MAX, core_link_list_json, NULL)
HANDLERS(policy, policies, CORE_ID_MAX, core_policies_json, NULL)
HANDLERS(publisher, publishers, CORE_ID_MAX, core_publishers_json, NULL)
HANDLERS(quarantine, quarantines, CORE_ID_MAX, core_quarantines_json, NULL)
HANDLERS(service, services, CORE_ID_MAX, core_services_json, caller_sees_name)
HANDLERS(tenant, tenants, TENANT_NAME_MAX, core_tenants_json, NULL)
