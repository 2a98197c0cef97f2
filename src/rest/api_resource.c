#include "core/presence.h"
#include "rest/api.h"
#include "rest/caching.h"
#include "rest/convert.h"
#include "rest/mapping.h"
#include "rest/media.h"
#include "rest/prefer.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "tcgw/coapmsg.h"

/* Requests to resources of devices: reads go through the cache, all else to the device. */

/* When a device that sleeps is expected, the caller may come back. */
static void add_retry(struct http_request *req, const struct device *device)
{
    int64_t left = device ? core_presence(device).expected - clock_wall_ms(clock_system()) : 0;

    if (left > 0)
        http_add_copy(req, "Retry-After", "%lld", (long long)(left + 999) / 1000);
}

static void reply_device_fault(struct http_request *req, const struct fault *fault)
{
    if (fault->code == FAULT_DEVICE_ASLEEP)
        add_retry(req, core_find_device(rest_core(req), req->about.device));
    reply_fault(req, fault);
}

/* Without a wait that the caller asks for, a device that sleeps is not waited for. */
static bool read_timeout(struct http_request *req, const struct device *device, uint32_t *timeout_ms)
{
    struct fault fault;
    uint32_t seconds;

    if (prefer_parse_wait(http_header(req, "Prefer"), req->rest->options.max_wait_s, &seconds, &fault) ||
        (!seconds && core_check_awake(device, &fault))) {
        reply_device_fault(req, &fault);
        return false;
    }
    *timeout_ms = (seconds ? seconds : req->rest->options.max_wait_s) * 1000;
    return true;
}

/* Reads ------------------------------------------------------------------------------------------------------------ */

static void ask_for_own_format(struct http_request *req);

/* A device that has no JSON may have CBOR. */
static bool may_have_cbor(const struct http_request *req, const struct agent_response *response)
{
    return response->code == COAPMSG_CODE(4, 6) && !req->own_format &&
           convert_format_to_cbor(media_read_accept(http_header(req, "Accept"))) != MEDIA_NONE;
}

static void reply_read(struct http_request *req, const struct cache_answer *answer)
{
    struct cache_control control;

    if (answer->fault.code) {
        reply_device_fault(req, &answer->fault);
    } else if (may_have_cbor(req, answer->response)) {
        ask_for_own_format(req);
    } else {
        caching_read(req, &control);
        caching_add_headers(req, &control, answer);
        mapping_reply(req, answer->response);
    }
}

static void read_done(void *arg, const struct cache_answer *answer)
{
    struct http_request *req = arg;

    if (!req->answered)
        reply_read(req, answer);
    http_release(req);
}

static void read_resource(struct http_request *req, struct device *device, struct agent_resource *resource)
{
    struct cache_control control;
    struct cache_answer answer;
    struct fault fault;
    uint32_t timeout_ms;
    int r;

    caching_read(req, &control);
    control.no_store |= resource->if_match != NULL; /* a condition that only the device can judge */
    if (convert_format_to_cbor(resource->accept) != MEDIA_NONE &&
        convert_format_to_json(core_known_format(device, resource->path, resource->query)) != MEDIA_NONE)
        req->own_format = true;
    if (req->own_format)
        resource->accept = MEDIA_NONE;
    if (core_find_cached(rest_core(req), device, resource, &control, &answer)) {
        reply_read(req, &answer);
        return;
    }
    if (!read_timeout(req, device, &timeout_ms))
        return;
    http_hold(req);
    r = core_get_resource(rest_core(req), device, resource, &control, timeout_ms, read_done, req, &fault);
    if (r == 0)
        return;
    if (r > 0)
        reply_device_fault(req, &fault);
    else
        reply_refusal(req, r, &fault);
    http_release(req);
}

/* The request once more, without Accept. */
static void ask_for_own_format(struct http_request *req)
{
    struct device *device = core_find_device(rest_core(req), req->about.device);
    struct mapped_request resource;
    struct fault fault;

    req->own_format = true;
    if (!device)
        reply_problem(req, FAULT_NOT_FOUND, "The device was removed meanwhile");
    else if (mapping_read(req, &resource, &fault))
        reply_fault(req, &fault);
    else
        read_resource(req, device, &resource.coap);
}

/* Changes ---------------------------------------------------------------------------------------------------------- */

static void resource_known(void *arg, const struct core_resource_result *result)
{
    struct http_request *req = arg;

    if (!req->answered && result->fault.code)
        reply_fault(req, &result->fault);
    else if (!req->answered)
        mapping_reply(req, result->response);
    http_release(req);
}

/* Prefer: convert lets a body of JSON go to the device as CBOR. */
static bool convert_body(struct http_request *req, struct agent_resource *resource)
{
    int format = convert_format_to_cbor(resource->format);
    struct buffer converted = buffer_init(req->rest->options.max_raw_bytes);
    const char *problem;

    if (format == MEDIA_NONE || !prefer_has(http_header(req, "Prefer"), "convert"))
        return true;
    problem = convert_to_cbor(resource->format, resource->body, resource->body_size, &converted);
    if (problem) {
        buffer_clear(&converted);
        reply_problem(req, FAULT_MALFORMED_JSON, "The body cannot be sent as CBOR: %s", problem);
        return false;
    }
    buffer_clear(&req->body);
    req->body = converted;
    resource->format = format;
    resource->body = req->body.data;
    resource->body_size = req->body.size;
    http_add(req, "Preference-Applied", "convert");
    return true;
}

static void ask(struct http_request *req, struct device *device, struct agent_resource *resource)
{
    struct fault fault;
    uint32_t timeout_ms;
    int r;

    if (!read_timeout(req, device, &timeout_ms) || !convert_body(req, resource))
        return;
    http_hold(req);
    r = core_request_resource(rest_core(req), device, resource, timeout_ms, resource_known, req, &fault);
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

void api_pass_to(struct http_request *req, struct device *device)
{
    struct mapped_request resource;
    struct fault fault;

    if (mapping_read(req, &resource, &fault))
        reply_fault(req, &fault);
    else if (prefer_has(http_header(req, "Prefer"), "respond-async") && !role_permits(req->caller.role, ACCESS_OPERATE))
        reply_problem(req, FAULT_FORBIDDEN, "%s has the role %s, which has no right to queue requests",
                      req->caller.name, role_name(req->caller.role));
    else if (prefer_has(http_header(req, "Prefer"), "respond-async"))
        queued_request(req, device, &resource.coap);
    else if (wants_events(req))
        observe_resource(req, device, &resource.coap);
    else if (http_method_writes(req->method))
        ask(req, device, &resource.coap);
    else
        read_resource(req, device, &resource.coap);
}

void api_pass_request(struct http_request *req)
{
    struct device *device = resolve_device(req);

    if (device)
        api_pass_to(req, device);
}
