#include "rest/dispatch.h"

#include "rest/auth.h"
#include "rest/guard.h"
#include "rest/idempotency.h"
#include "rest/media.h"
#include "rest/reply.h"
#include "rest/resumable.h"
#include "rest/route.h"
#include "rest/scope.h"
#include "rest/state.h"
#include "rest/upload.h"

#include <string.h>

#define JSON_DEPTH_MAX 16
#define MERGE_PATCH "application/merge-patch+json"

/* jansson parses recursively; counting brackets outside of strings first bounds that. */
static bool is_too_deep(const char *text, size_t size)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

int dispatch_parse_json(const void *text, size_t size, json_t **out, struct fault *fault)
{
    json_error_t error;
    json_t *json;

    if (size == 0)
        return fault_set(fault, FAULT_MALFORMED_JSON, "The body is empty");
    if (is_too_deep(text, size))
        return fault_set(fault, FAULT_MALFORMED_JSON, "The body is nested more than %d levels deep", JSON_DEPTH_MAX);
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json)
        return fault_set(fault, FAULT_MALFORMED_JSON, "Line %d, column %d: %s", error.line, error.column, error.text);
    if (!json_is_object(json)) {
        json_decref(json);
        return fault_set(fault, FAULT_INVALID_FIELD, "The body is not a JSON object");
    }
    *out = json;
    return 0;
}

static bool is_proxied(const struct http_request *req)
{
    return req->segment_count > 1 && strcmp(req->segments[0], "hc") == 0;
}

static int find_route(struct http_request *req, struct fault *fault)
{
    char allow[ROUTE_ALLOW_SIZE];
    unsigned methods;
    int r = route_find(req, &methods);

    if (r == 0)
        return 0;
    if (r == 1)
        return fault_set(fault, FAULT_NOT_FOUND, "There is nothing at this path");
    if (is_proxied(req)) /* RFC 8075 section 7: 501 for what CoAP has no method for */
        return fault_set(fault, FAULT_NOT_IMPLEMENTED, "The method has no counterpart in CoAP");
    route_format_allow(methods, allow);
    http_add_copy(req, "Allow", "%s", allow);
    return fault_set(fault, FAULT_METHOD_NOT_ALLOWED, "The path takes %s", allow);
}

static int check_query(struct http_request *req, struct fault *fault)
{
    if (!req->route->query)
        return 0; /* the device's */
    http_parse_query(req);
    if (fault->code)
        return 1;
    for (size_t i = 0; i < req->query_count; i++)
        if (!route_takes_parameter(req->route, req->query[i].name))
            return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter \"%.64s\" is not known here",
                             req->query[i].name);
    return 0;
}

/* Code and data are what was uploaded, of any type, and so fit any Accept. */
static int check_accept(const struct http_request *req, struct fault *fault)
{
    const char *type = req->route->produces;

    if (!type || http_accepts(http_header(req, "Accept"), type))
        return 0;
    return fault_set(fault, FAULT_NOT_ACCEPTABLE, "The answer is %s, which the Accept header does not allow", type);
}

static int check_length(uint64_t length, uint32_t limit, struct fault *fault)
{
    if (length == UINT64_MAX || length <= limit)
        return 0;
    return fault_set(fault, FAULT_BODY_TOO_LARGE, "The body has %llu bytes, the limit is %u",
                     (unsigned long long)length, limit);
}

static int begin_json(struct http_request *req, uint64_t length, struct fault *fault)
{
    const char *type = http_header(req, "Content-Type");
    bool patch = req->route->body == ROUTE_BODY_PATCH;

    if (!type || (!http_is_type(type, HTTP_JSON) && !(patch && http_is_type(type, MERGE_PATCH)))) {
        http_add(req, "Accept", patch ? MERGE_PATCH ", " HTTP_JSON : HTTP_JSON);
        return fault_set(fault, FAULT_UNSUPPORTED_MEDIA_TYPE, "The body has to be %s", patch ? MERGE_PATCH : HTTP_JSON);
    }
    return check_length(length, req->rest->options.max_json_bytes, fault);
}

/* No copy of the body is left behind when its buffer grows. */
static int begin_secret(struct http_request *req, uint64_t length, struct fault *fault)
{
    uint32_t limit = req->rest->options.max_json_bytes;

    req->secret = true;
    if (length == 0)
        return 0;
    if (begin_json(req, length, fault))
        return 1;
    if (buffer_reserve(&req->body, length < limit ? (size_t)length : limit))
        return 0;
    return fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory");
}

static int begin_body(struct http_request *req, uint64_t length, struct fault *fault)
{
    switch (req->route->body) {
    case ROUTE_BODY_JSON:
    case ROUTE_BODY_PATCH:
        return begin_json(req, length, fault);
    case ROUTE_BODY_OPTIONAL:
        return length == 0 ? 0 : begin_json(req, length, fault);
    case ROUTE_BODY_SECRET:
        return begin_secret(req, length, fault);
    case ROUTE_BODY_RAW:
        req->body.limit = req->rest->options.max_raw_bytes;
        return media_read_body(req, &req->format, fault) ||
               check_length(length, req->rest->options.max_raw_bytes, fault);
    case ROUTE_BODY_RESUMABLE:
        return resumable_begin(req, length, fault);
    case ROUTE_BODY_UPLOAD:
        return upload_begin(req, length, fault);
    case ROUTE_BODY_NONE:
        break;
    }
    return 0;
}

/* OPTIONS on any path that exists. */
static bool answer_options(struct http_request *req)
{
    char allow[ROUTE_ALLOW_SIZE];
    unsigned methods;

    if (req->method != HTTP_OPTIONS || is_proxied(req) || route_find(req, &methods) != 2)
        return false;
    route_format_allow(methods, allow);
    http_add_copy(req, "Allow", "%s", allow);
    reply_empty(req, 204);
    return true;
}

void dispatch_begin(struct http_request *req, uint64_t length)
{
    struct fault *fault = &req->fault;

    req->began = uv_hrtime();
    list_append(&req->rest->active, &req->active_node);
    req->body = buffer_init(req->rest->options.max_json_bytes);
    if (req->rest->closing)
        fault_set(fault, FAULT_SHUTTING_DOWN, "The gateway is stopping");
    if (fault->code == FAULT_NONE && guard_check(req, fault) == 0 && auth_identify(req, fault) == 0 &&
        answer_options(req))
        return;
    if (fault->code || find_route(req, fault) || auth_permit(req, fault) || check_query(req, fault) ||
        check_accept(req, fault) || begin_body(req, length, fault))
        reply_fault(req, fault);
}

int dispatch_body(struct http_request *req, const void *data, size_t size)
{
    struct fault *fault = &req->fault;

    if (req->answered) {
        req->discarded += size;
        return req->discarded > DISPATCH_DISCARD_MAX;
    }
    if (req->upload) {
        if (upload_take(req, data, size, fault))
            reply_fault(req, fault);
        return 0;
    }
    if (req->resumable) {
        if (resumable_take(req, data, size, fault))
            reply_fault(req, fault);
        return 0;
    }
    buffer_append(&req->body, data, size);
    if (req->body.failed)
        reply_problem(req, FAULT_BODY_TOO_LARGE, "The body has more than %zu bytes", req->body.limit);
    return 0;
}

static int finish_body(struct http_request *req, struct fault *fault)
{
    switch (req->route->body) {
    case ROUTE_BODY_NONE:
    case ROUTE_BODY_RAW:
    case ROUTE_BODY_RESUMABLE:
        return 0;
    case ROUTE_BODY_UPLOAD:
        return upload_finish(req, fault);
    case ROUTE_BODY_OPTIONAL:
    case ROUTE_BODY_SECRET:
        if (req->body.size == 0 && (req->json = json_object()))
            return 0;
        break;
    default:
        break;
    }
    return dispatch_parse_json(req->body.data, req->body.size, &req->json, fault);
}

static void run(struct http_request *req)
{
    req->begun = true;
    req->route->handler(req);
}

void dispatch_end(struct http_request *req)
{
    if (req->answered)
        return;
    if (finish_body(req, &req->fault) || scope_check_body(req, &req->fault))
        reply_fault(req, &req->fault);
    else if (!http_method_writes(req->method) || !idempotency_begin(req))
        run(req);
}
