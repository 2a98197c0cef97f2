#include "core/access.h"
#include "rest/api.h"
#include "rest/change.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/stream.h"

#include <string.h>

/* Tokens, and who the caller is. Tenants and grants are in api_named.c. */

void api_show_caller(struct http_request *req)
{
    const struct caller *caller = &req->caller;
    json_t *may = json_array();

    for (unsigned access = ACCESS_PUBLIC + 1; access < ACCESS_COUNT; access++)
        if (access != ACCESS_CALLER && role_permits(caller->role, (enum access)access))
            (void)json_array_append_new(may, json_string(access_name((enum access)access)));
    if (role_permits(caller->role, ACCESS_OWNER))
        (void)json_array_append_new(may, json_string(access_name(ACCESS_OWNER)));
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200,
               json_pack("{s:s, s:s, s:s, s:s?, s:o}", "name", caller->name, "from", caller->from, "role",
                         role_name(caller->role), "tenant", *caller->tenant ? caller->tenant : NULL, "permissions",
                         may));
}

void api_list_tokens(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, json_pack("{s:o}", "items", core_tokens_json(rest_core(req))));
}

static void answer_added(struct http_request *req)
{
    char *text = req->secrets ? json_dumps(req->secrets, JSON_COMPACT) : NULL;

    if (!text) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory; remove the token and add it again");
        return;
    }
    http_add(req, "Cache-Control", "no-store");
    http_add_copy(req, "Location", "/v1/tokens/%s", req->record);
    req->response.secret = true;
    reply_owned(req, 201, HTTP_JSON, text, strlen(text));
}

void api_add_token(struct http_request *req)
{
    const char *name = json_string_value(json_object_get(req->json, "name"));
    struct fault fault;
    int r =
        core_add_token(rest_core(req), req->json, change_done, change_begin(req, answer_added), &fault, &req->secrets);

    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, name);
}

void api_show_token(struct http_request *req)
{
    json_t *json = core_token_json(rest_core(req), req->params[0]);

    http_add(req, "Cache-Control", "no-store");
    if (json)
        reply_json(req, 200, json);
    else
        reply_problem(req, FAULT_NOT_FOUND, "There is no token %.80s", req->params[0]);
}

void api_remove_token(struct http_request *req)
{
    struct fault fault;
    int r =
        core_remove_token(rest_core(req), req->params[0], change_done, change_begin(req, change_answer_empty), &fault);

    if (!change_was_refused(req, r, &fault))
        stream_recheck(req->rest);
}
