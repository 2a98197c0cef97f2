#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/scope.h"
#include "rest/state.h"

#include "core/trust.h"

/* Releases. */

static void reply_release(struct http_request *req, const char *name, int status)
{
    json_t *json = core_release_json(rest_core(req), name);

    if (json)
        reply_json(req, status, json);
    else
        reply_problem(req, FAULT_NOT_FOUND, "There is no release %.200s", name);
}

void api_list_releases(struct http_request *req)
{
    json_t *items = core_releases_json(rest_core(req), http_parameter(req, "name"));

    reply_json(req, 200, json_pack("{s:o}", "items", scope_filter(req, items, "name", caller_sees_name)));
}

void api_show_release(struct http_request *req)
{
    reply_release(req, req->params[0], 200);
}

static void answer_added(struct http_request *req)
{
    http_add_copy(req, "Location", "/v1/releases/%s", req->record);
    reply_release(req, req->record, 201);
}

void api_add_release(struct http_request *req)
{
    char key[CORE_RELEASE_TEXT];
    struct fault fault;
    int r = core_add_release(rest_core(req), req->json, change_done, change_begin(req, answer_added), &fault, key);

    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, key);
}

void api_remove_release(struct http_request *req)
{
    struct fault fault;
    int r = core_remove_release(rest_core(req), req->params[0], change_done, change_begin(req, change_answer_empty),
                                &fault);

    (void)change_was_refused(req, r, &fault);
}
