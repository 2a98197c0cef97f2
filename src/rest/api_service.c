#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/state.h"

#include "core/reconcile.h"

void api_list_services(struct http_request *req)
{
    reply_json(req, 200, json_pack("{s:o}", "items", core_services_json(rest_core(req))));
}

/* The name in the path; NULL when it is bad, which is answered then. */
static const char *resolve_name(struct http_request *req)
{
    const char *name = req->params[0];

    if (text_is_name(name, CORE_ID_MAX))
        return name;
    reply_problem(req, FAULT_INVALID_ID, "The service \"%.80s\" is not 1 to %d letters, digits and . _ ~ -", name,
                  CORE_ID_MAX);
    return NULL;
}

static void show(struct http_request *req, const char *name)
{
    json_t *json = core_service_json(rest_core(req), name);

    if (json)
        reply_json(req, 200, json);
    else
        reply_problem(req, FAULT_NOT_FOUND, "There is no service %s", name);
}

void api_show_service(struct http_request *req)
{
    const char *name = resolve_name(req);

    if (name)
        show(req, name);
}

static void answer_put(struct http_request *req)
{
    show(req, req->params[0]);
}

void api_put_service(struct http_request *req)
{
    const char *name = resolve_name(req);
    struct fault fault;
    int r;

    if (!name)
        return;
    r = core_put_service(rest_core(req), name, req->json, change_done, change_begin(req, answer_put), &fault);
    (void)change_was_refused(req, r, &fault);
}

void api_remove_service(struct http_request *req)
{
    const char *name = resolve_name(req);
    struct fault fault;
    int r;

    if (!name)
        return;
    r = core_remove_service(rest_core(req), name, change_done, change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}
