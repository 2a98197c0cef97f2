#include "rest/api.h"
#include "rest/change.h"
#include "rest/record.h"
#include "rest/reply.h"
#include "rest/state.h"

#define MINUTES_MAX 1440

void api_show_join(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, core_join_json(rest_core(req)));
}

/* {"minutes": N}. 0, or 1 with a fault. */
static int read_minutes(json_t *body, uint32_t *seconds, struct fault *fault)
{
    json_t *minutes = json_object_get(body, "minutes"), *member;
    json_int_t number = json_integer_value(minutes);
    const char *name;

    json_object_foreach(body, name, member) if (member != minutes) return fault_set(
        fault, FAULT_UNKNOWN_FIELD, "The field \"%.64s\" is not known here", name);
    if (!json_is_integer(minutes) || number < 1 || number > MINUTES_MAX)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/minutes", "\"minutes\" is not a number from 1 to %d",
                            MINUTES_MAX);
    *seconds = (uint32_t)number * 60;
    return 0;
}

void api_open_join(struct http_request *req)
{
    struct fault fault;
    uint32_t seconds = 0;

    if (read_minutes(req->json, &seconds, &fault)) {
        reply_fault(req, &fault);
        return;
    }
    core_open_join(rest_core(req), seconds);
    api_show_join(req);
}

void api_close_join(struct http_request *req)
{
    core_open_join(rest_core(req), 0);
    reply_empty(req, 204);
}

void api_approve_pending(struct http_request *req)
{
    const char *id = resolve_pending(req);
    struct device *device;
    struct fault fault;
    int r;

    if (!id)
        return;
    r = core_approve_pending(rest_core(req), id, req->json, change_done, change_begin(req, record_answer_added), &fault,
                             &device);
    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, device->id);
}

void api_reject_pending(struct http_request *req)
{
    const char *id = resolve_pending(req);
    struct fault fault;
    int r;

    if (!id)
        return;
    r = core_reject_pending(rest_core(req), id, &fault);
    if (r)
        reply_refusal(req, r, &fault);
    else
        reply_empty(req, 204);
}
