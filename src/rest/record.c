#include "rest/record.h"

#include "rest/condition.h"
#include "rest/reply.h"
#include "rest/state.h"

static void reply_record(struct http_request *req, int status, uint64_t revision, const char *text, size_t size)
{
    char tag[CONDITION_TAG_SIZE];

    if (!text) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    req->response.repeatable = status == 200 && req->response.header_count == 0;
    condition_format_tag(revision, text, size, tag);
    http_add(req, "Cache-Control", "no-cache");
    http_add_copy(req, "ETag", "%s", tag);
    if (!http_method_writes(req->method) && condition_is_current(req, tag))
        reply_empty(req, 304);
    else
        reply_text(req, status, text, size);
}

void reply_device(struct http_request *req, int status, struct device *device)
{
    size_t size;
    const char *text = core_render_device(device, &size);

    reply_record(req, status, device->revision, text, size);
}

void reply_container(struct http_request *req, int status, struct container *container)
{
    size_t size;
    const char *text = core_render_container(container, &size);

    reply_record(req, status, container->revision, text, size);
}

void record_answer_device(struct http_request *req, int status)
{
    struct device *device = core_find_device(rest_core(req), req->record);

    if (device)
        reply_device(req, status, device);
    else
        reply_problem(req, FAULT_NOT_FOUND, "The device %s was removed meanwhile", req->record);
}

void record_answer_added(struct http_request *req)
{
    http_add_copy(req, "Location", "/v1/devices/%s", req->record);
    record_answer_device(req, 201);
}
