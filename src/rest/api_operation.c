#include "rest/api.h"
#include "rest/change.h"
#include "rest/page.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/wait.h"

/* False when a filter is bad, which is answered then. */
static bool read_filter(struct http_request *req, struct operation_filter *filter)
{
    const char *state = http_parameter(req, "state");

    filter->device = http_parameter(req, "device");
    filter->uid = http_parameter(req, "container");
    filter->state = state ? operation_state_from_name(state) : OPERATION_STATE_COUNT;
    if (filter->device && !text_is_name(filter->device, CORE_ID_MAX))
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter device is not a device id");
    else if (filter->uid && !text_is_name(filter->uid, CORE_ID_MAX))
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter container is not a container uid");
    else if (state && filter->state == OPERATION_STATE_COUNT)
        reply_problem(req, FAULT_INVALID_PARAMETER,
                      "The query parameter state is not queued, running, succeeded, failed, expired or cancelled");
    return !req->answered;
}

/* As core_list_operations, of those that are there for the caller. */
static size_t list_operations(const struct http_request *req, const struct operation_filter *filter, const char *before,
                              struct operation **out, size_t max)
{
    struct core *core = rest_core(req);
    size_t count = 0, n;

    do {
        size_t kept = count;

        n = core_list_operations(core, filter, before, out + count, max - count);
        if (n)
            before = out[count + n - 1]->id;
        for (size_t i = 0; i < n; i++)
            if (caller_sees_device_id(core, &req->caller, out[kept + i]->device_id))
                out[count++] = out[kept + i];
    } while (n && count < max);
    return count;
}

void api_list_operations(struct http_request *req)
{
    struct operation *operations[PAGE_LIMIT_MAX + 1];
    struct operation_filter filter;
    struct page page;
    size_t n;

    if (!read_filter(req, &filter) || !page_begin(&page, req))
        return;
    n = list_operations(req, &filter, page.after, operations, page.limit + 1);
    for (size_t i = 0; i < n && i < page.limit; i++)
        page_add_json(&page, core_operation_json(operations[i]));
    page_end(&page, n > page.limit ? operations[page.limit - 1]->id : NULL);
}

void api_show_operation(struct http_request *req)
{
    struct operation *op = resolve_operation(req);
    struct fault fault;
    uint32_t ttl_ms;

    if (!op)
        return;
    (void)text_copy(req->record, sizeof req->record, op->id);
    if (wait_read(req, &ttl_ms, &fault))
        reply_fault(req, &fault);
    else
        wait_answer_operation(req);
}

static void answer_cancelled(struct http_request *req)
{
    struct operation *op = core_find_operation(rest_core(req), req->record);

    http_add(req, "Cache-Control", "no-store");
    if (op)
        reply_json(req, 200, core_operation_json(op));
    else
        reply_problem(req, FAULT_NOT_FOUND, "The operation is no longer remembered");
}

void api_cancel_operation(struct http_request *req)
{
    struct operation *op = resolve_operation(req);
    struct fault fault;
    int r;

    if (!op)
        return;
    (void)text_copy(req->record, sizeof req->record, op->id);
    r = core_cancel_operation(rest_core(req), op, change_done, change_begin(req, answer_cancelled), &fault);
    (void)change_was_refused(req, r, &fault);
}
