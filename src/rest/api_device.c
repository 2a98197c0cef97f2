#include "core/presence.h"

#include "rest/api.h"
#include "rest/change.h"
#include "rest/condition.h"
#include "rest/page.h"
#include "rest/record.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/wait.h"

#include <string.h>

/* The parameter presence; PRESENCE_STATE_COUNT: any. False when it names no state, which is answered then. */
static bool read_presence(struct http_request *req, enum presence_state *out)
{
    const char *name = http_parameter(req, "presence");

    *out = name ? presence_state_from_name(name) : PRESENCE_STATE_COUNT;
    if (!name || *out != PRESENCE_STATE_COUNT)
        return true;
    reply_problem(req, FAULT_INVALID_PARAMETER,
                  "The query parameter presence is none of unknown, online, asleep, late and offline");
    return false;
}

/* As core_list_devices, of those in one state that are there for the caller. */
static size_t list_devices(const struct http_request *req, const char *after, enum presence_state state,
                           struct device **out, size_t max)
{
    struct core *core = rest_core(req);
    size_t count = 0, n;

    do {
        size_t kept = count;

        n = core_list_devices(core, after, out + count, max - count);
        if (n)
            after = out[count + n - 1]->id;
        for (size_t i = 0; i < n; i++)
            if ((state == PRESENCE_STATE_COUNT || core_presence(out[kept + i]).state == state) &&
                caller_sees_device(core, &req->caller, out[kept + i]))
                out[count++] = out[kept + i];
    } while (n && count < max);
    return count;
}

void api_list_devices(struct http_request *req)
{
    struct device *devices[PAGE_LIMIT_MAX + 1];
    enum presence_state state;
    struct page page;
    size_t n;

    if (!read_presence(req, &state) || !page_begin(&page, req))
        return;
    n = list_devices(req, page.after, state, devices, page.limit + 1);
    for (size_t i = 0; i < n && i < page.limit; i++) {
        size_t size;
        const char *text = core_render_device(devices[i], &size);

        page_add_text(&page, text, size);
    }
    page_end(&page, n > page.limit ? devices[page.limit - 1]->id : NULL);
}

void api_add_device(struct http_request *req)
{
    struct device *device;
    struct fault fault;
    int r;

    r = core_add_device(rest_core(req), req->json, change_done, change_begin(req, record_answer_added), &fault,
                        &device);
    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, device->id);
}

void api_show_device(struct http_request *req)
{
    struct device *device = resolve_device(req);

    if (device)
        reply_device(req, 200, device);
}

static void answer_patched(struct http_request *req)
{
    record_answer_device(req, 200);
}

/* The device of the path when the request's conditions hold for it; NULL when it was answered. */
static struct device *resolve_for_write(struct http_request *req)
{
    struct device *device = resolve_device(req);
    struct fault fault;

    if (!device || condition_check_write(req, true, device->revision, &fault) == 0)
        return device;
    reply_fault(req, &fault);
    return NULL;
}

void api_patch_device(struct http_request *req)
{
    struct device *device = resolve_for_write(req);
    struct fault fault;
    int r;

    if (!device)
        return;
    (void)text_copy(req->record, sizeof req->record, device->id);
    r = core_patch_device(rest_core(req), device, req->json, change_done, change_begin(req, answer_patched), &fault);
    (void)change_was_refused(req, r, &fault);
}

void api_remove_device(struct http_request *req)
{
    struct device *device = resolve_for_write(req);
    struct fault fault;
    int r;

    if (!device)
        return;
    r = core_remove_device(rest_core(req), device, change_done, change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}

void api_probe_device(struct http_request *req)
{
    struct device *device = resolve_device(req);
    struct operation *op;
    struct fault fault;
    uint32_t ttl_ms;
    int r;

    if (!device)
        return;
    if (wait_read(req, &ttl_ms, &fault)) {
        reply_fault(req, &fault);
        return;
    }
    r = core_probe_device(rest_core(req), device, ttl_ms, change_done, change_begin(req, wait_answer_operation), &fault,
                          &op);
    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, op->id);
}
