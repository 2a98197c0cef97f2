#include "rest/api.h"
#include "rest/mapping.h"
#include "rest/prefer.h"
#include "rest/reply.h"
#include "rest/state.h"

static void resource_known(void *arg, const struct core_resource_result *result)
{
    struct http_request *req = arg;

    if (!req->answered && result->fault.code)
        reply_fault(req, &result->fault);
    else if (!req->answered)
        mapping_reply(req, result->response);
    http_release(req);
}

static void ask(struct http_request *req, struct device *device, const struct agent_resource *resource)
{
    struct fault fault;
    uint32_t seconds;
    int r;

    if (prefer_parse_wait(http_header(req, "Prefer"), req->rest->options.max_wait_s, &seconds, &fault)) {
        reply_fault(req, &fault);
        return;
    }
    if (!seconds && core_check_awake(device, &fault)) {
        reply_fault(req, &fault);
        return;
    }
    if (!seconds)
        seconds = req->rest->options.max_wait_s;
    http_hold(req);
    r = core_request_resource(rest_core(req), device, resource, seconds * 1000, resource_known, req, &fault);
    if (r == 0)
        return;
    reply_refusal(req, r, &fault);
    http_release(req);
}

/* Only a client that names the type wants a stream; a wildcard does not. */
static bool wants_events(const struct http_request *req)
{
    return req->method == HTTP_GET && http_has_token(http_header(req, "Accept"), "text/event-stream");
}

void api_pass_request(struct http_request *req)
{
    struct device *device = resolve_device(req);
    struct mapped_request resource;
    struct fault fault;

    if (!device)
        return;
    if (mapping_read(req, &resource, &fault))
        reply_fault(req, &fault);
    else if (prefer_has(http_header(req, "Prefer"), "respond-async"))
        queued_request(req, device, &resource.coap);
    else if (wants_events(req))
        observe_resource(req, device, &resource.coap);
    else
        ask(req, device, &resource.coap);
}
