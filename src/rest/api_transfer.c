#include "rest/api.h"
#include "rest/change.h"
#include "rest/page.h"
#include "rest/reply.h"
#include "rest/state.h"

#include "core/transfer.h"

/* Transfers to devices, and the links that they go over. */

void api_list_transfers(struct http_request *req)
{
    struct transfer_filter filter = {http_parameter(req, "device"), http_parameter(req, "link")};
    const char *limit = http_parameter(req, "limit");
    int64_t max = PAGE_LIMIT_DEFAULT;
    size_t count;
    json_t *items;

    if (limit && !text_parse_int(limit, 1, PAGE_LIMIT_MAX, &max)) {
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter limit is not a number from 1 to %d",
                      PAGE_LIMIT_MAX);
        return;
    }
    items = core_transfers_json(rest_core(req), &filter, (size_t)max, &count);
    reply_json(req, 200, json_pack("{s:o, s:I}", "items", items, "count", (json_int_t)count));
}

void api_list_links(struct http_request *req)
{
    reply_json(req, 200, json_pack("{s:o}", "items", core_link_list_json(rest_core(req))));
}

/* The name in the path; NULL when it is bad, which is answered then. */
static const char *resolve_name(struct http_request *req)
{
    const char *name = req->params[0];

    if (text_is_name(name, CORE_LINK_MAX))
        return name;
    reply_problem(req, FAULT_INVALID_ID, "The link \"%.80s\" is not 1 to %d letters, digits and . _ ~ -", name,
                  CORE_LINK_MAX);
    return NULL;
}

static void show(struct http_request *req, const char *name)
{
    json_t *json = core_link_json(rest_core(req), name);

    if (json)
        reply_json(req, 200, json);
    else
        reply_problem(req, FAULT_NOT_FOUND, "There is no link %s", name);
}

void api_show_link(struct http_request *req)
{
    const char *name = resolve_name(req);

    if (name)
        show(req, name);
}

static void answer_put(struct http_request *req)
{
    show(req, req->params[0]);
}

void api_put_link(struct http_request *req)
{
    const char *name = resolve_name(req);
    struct fault fault;
    int r;

    if (!name)
        return;
    r = core_put_link(rest_core(req), name, req->json, change_done, change_begin(req, answer_put), &fault);
    (void)change_was_refused(req, r, &fault);
}

void api_remove_link(struct http_request *req)
{
    const char *name = resolve_name(req);
    struct fault fault;
    int r;

    if (!name)
        return;
    r = core_remove_link(rest_core(req), name, change_done, change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}
