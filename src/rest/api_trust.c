#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/state.h"

#include "core/trust.h"

/* Publishers, releases and policies. */

static void reply_list(struct http_request *req, json_t *items)
{
    reply_json(req, 200, json_pack("{s:o}", "items", items));
}

static void reply_record(struct http_request *req, const char *what, const char *name, int status, json_t *json)
{
    if (json)
        reply_json(req, status, json);
    else
        reply_problem(req, FAULT_NOT_FOUND, "There is no %s %.200s", what, name);
}

/* Publishers ------------------------------------------------------------------------------------------------------- */

void api_list_publishers(struct http_request *req)
{
    reply_list(req, core_publishers_json(rest_core(req)));
}

void api_show_publisher(struct http_request *req)
{
    reply_record(req, "publisher", req->params[0], 200, core_publisher_json(rest_core(req), req->params[0]));
}

void api_put_publisher(struct http_request *req)
{
    struct fault fault;
    int r = core_put_publisher(rest_core(req), req->params[0], req->json, change_done,
                               change_begin(req, api_show_publisher), &fault);

    (void)change_was_refused(req, r, &fault);
}

void api_remove_publisher(struct http_request *req)
{
    struct fault fault;
    int r = core_remove_publisher(rest_core(req), req->params[0], change_done, change_begin(req, change_answer_empty),
                                  &fault);

    (void)change_was_refused(req, r, &fault);
}

/* Releases --------------------------------------------------------------------------------------------------------- */

void api_list_releases(struct http_request *req)
{
    reply_list(req, core_releases_json(rest_core(req), http_parameter(req, "name")));
}

void api_show_release(struct http_request *req)
{
    reply_record(req, "release", req->params[0], 200, core_release_json(rest_core(req), req->params[0]));
}

static void answer_added(struct http_request *req)
{
    http_add_copy(req, "Location", "/v1/releases/%s", req->record);
    reply_record(req, "release", req->record, 201, core_release_json(rest_core(req), req->record));
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

/* Policies --------------------------------------------------------------------------------------------------------- */

void api_list_policies(struct http_request *req)
{
    reply_list(req, core_policies_json(rest_core(req)));
}

void api_show_policy(struct http_request *req)
{
    reply_record(req, "policy", req->params[0], 200, core_policy_json(rest_core(req), req->params[0]));
}

void api_put_policy(struct http_request *req)
{
    struct fault fault;
    int r = core_put_policy(rest_core(req), req->params[0], req->json, change_done, change_begin(req, api_show_policy),
                            &fault);

    (void)change_was_refused(req, r, &fault);
}

void api_remove_policy(struct http_request *req)
{
    struct fault fault;
    int r =
        core_remove_policy(rest_core(req), req->params[0], change_done, change_begin(req, change_answer_empty), &fault);

    (void)change_was_refused(req, r, &fault);
}
