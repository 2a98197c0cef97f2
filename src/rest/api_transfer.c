#include "rest/api.h"
#include "rest/page.h"
#include "rest/reply.h"
#include "rest/scope.h"
#include "rest/state.h"

#include "core/transfer.h"

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
    items = scope_filter(req, items, "device", caller_sees_device_id);
    if (!scope_is_all(req))
        count = json_array_size(items);
    reply_json(req, 200, json_pack("{s:o, s:I}", "items", items, "count", (json_int_t)count));
}
