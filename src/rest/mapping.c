#include "rest/mapping.h"

#include "codec/httpstatus.h"
#include "rest/condition.h"
#include "rest/convert.h"
#include "rest/media.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "tcgw/coapmsg.h"

#include <string.h>

#define SEGMENT_MAX 255 /* bytes of a Uri-Path or Uri-Query option */

/* The request --------------------------------------------------------------------------------------------------- */

/* Each piece becomes an option (RFC 7252 section 6.4). */
static int check_pieces(const char *at, char separator, struct fault *fault)
{
    char decoded[HTTP_TARGET_MAX + 1];
    const char separators[] = {separator, 0};

    for (;; at++) {
        size_t n = strcspn(at, separators);
        int length = http_decode(at, n, false, decoded);

        if (length < 0)
            return fault_set(fault, FAULT_MALFORMED_REQUEST, "The query is not percent-encoded UTF-8 without NUL");
        if (length > SEGMENT_MAX)
            return fault_set(fault, FAULT_INVALID_PARAMETER,
                             "A part of the path or query has %d bytes, in CoAP it may have %d", length, SEGMENT_MAX);
        if (separator == '/' && (strcmp(decoded, ".") == 0 || strcmp(decoded, "..") == 0))
            return fault_set(fault, FAULT_INVALID_PARAMETER, "The path has the segment \"%s\", which CoAP forbids",
                             decoded);
        at += n;
        if (!*at)
            return 0;
    }
}

static int read_path(const struct http_request *req, struct mapped_request *out, struct fault *fault)
{
    size_t n = strcspn(req->tail, "?");

    memcpy(out->path, req->tail, n);
    out->path[n] = 0;
    if (n == 0)
        memcpy(out->path, "/", 2); /* a URI without a path */
    out->coap.path = out->path;
    out->coap.query = req->raw_query && *req->raw_query ? req->raw_query : NULL;
    if (check_pieces(out->path + 1, '/', fault))
        return 1;
    return out->coap.query ? check_pieces(out->coap.query, '&', fault) : 0;
}

/* One tag that a device gave, which stands in HTTP as its hexadecimal digits. */
static bool read_tag(const char *text, uint8_t tag[8], size_t *size)
{
    size_t n = strlen(text);
    char digits[2 * 8 + 1];

    if (n < 4 || n > sizeof digits + 1 || n % 2 || text[0] != '"' || text[n - 1] != '"')
        return false;
    memcpy(digits, text + 1, n - 2);
    digits[n - 2] = 0;
    *size = (n - 2) / 2;
    return text_unhex(digits, tag, *size);
}

static int read_match(const struct http_request *req, struct mapped_request *out, struct fault *fault)
{
    const char *match = http_header(req, "If-Match");

    if (!match)
        return 0;
    out->coap.if_match = out->tag;
    if (strcmp(match, "*") == 0 || read_tag(match, out->tag, &out->coap.if_match_size))
        return 0;
    return fault_set(fault, FAULT_INVALID_PARAMETER, "If-Match is not one ETag that the device gave, or *");
}

/* "*" of a write is CoAP's own condition; the tag of a read lets the device answer that nothing has changed. */
static int read_none_match(const struct http_request *req, struct mapped_request *out, struct fault *fault)
{
    const char *none = http_header(req, "If-None-Match");

    if (!none)
        return 0;
    if (http_method_writes(req->method)) {
        out->coap.if_none_match = strcmp(none, "*") == 0;
        return out->coap.if_none_match
                   ? 0
                   : fault_set(fault, FAULT_INVALID_PARAMETER, "If-None-Match of a write can only be *");
    }
    if (read_tag(none, out->known, &out->coap.etag_size))
        out->coap.etag = out->known;
    return 0;
}

int mapping_read(const struct http_request *req, struct mapped_request *out, struct fault *fault)
{
    static const uint8_t methods[HTTP_METHOD_COUNT] = {
        [HTTP_GET] = COAPMSG_GET, [HTTP_HEAD] = COAPMSG_GET,    [HTTP_POST] = COAPMSG_POST,
        [HTTP_PUT] = COAPMSG_PUT, [HTTP_PATCH] = COAPMSG_PATCH, [HTTP_DELETE] = COAPMSG_DELETE,
    };

    out->coap = (struct agent_resource){
        .method = methods[req->method],
        .format = req->format,
        .accept = media_read_accept(http_header(req, "Accept")),
        .body = req->body.data,
        .body_size = req->body.size,
        .limit = req->rest->options.max_raw_bytes,
    };
    return read_path(req, out, fault) || read_match(req, out, fault) || read_none_match(req, out, fault);
}

/* The answer ---------------------------------------------------------------------------------------------------- */

char *mapping_format_code(uint8_t code, char out[MAPPING_CODE_SIZE])
{
    (void)snprintf(out, MAPPING_CODE_SIZE, "%d.%02d", code >> 5, code & 31);
    return out;
}

/* CBOR for one who asked for JSON. */
static bool is_shown_as_json(const struct http_request *req, const struct agent_response *response)
{
    return response->code >> 5 == 2 && convert_format_to_json(response->format) != MEDIA_NONE &&
           convert_format_to_cbor(media_read_accept(http_header(req, "Accept"))) != MEDIA_NONE;
}

static void add_headers(struct http_request *req, const struct agent_response *response, int status)
{
    char tag[2 * sizeof response->etag + 1];

    if (response->etag_size)
        http_add_copy(req, "ETag", "\"%s%s\"", text_hex(response->etag, response->etag_size, tag),
                      is_shown_as_json(req, response) ? "-json" : "");
    if ((status == 200 || status == 304) && !http_method_writes(req->method))
        http_add_copy(req, "Cache-Control", "max-age=%u", response->max_age);
    if (status == 201 && *response->location && req->base_size)
        http_add_copy(req, "Location", "%.*s%s", (int)req->base_size, req->target, response->location);
    else if (status == 201 && *response->location)
        http_add_copy(req, "Location", "/v1/devices/%s/resources%s", req->about.device, response->location);
    if (status == 503 || status == 429)
        http_add_copy(req, "Retry-After", "%u", response->max_age);
}

/* Words without a format are a diagnostic payload (RFC 7252 section 5.5.2). */
static void reply_error(struct http_request *req, const struct agent_response *response, int status)
{
    char code[MAPPING_CODE_SIZE];
    struct fault fault;
    int words = response->body_size < 200 ? (int)response->body_size : 200;

    fault_set(&fault, FAULT_DEVICE_ERROR, "The device answered %s%s%.*s", mapping_format_code(response->code, code),
              words ? ": " : "", words, words ? (const char *)response->body : "");
    reply_fault_as(req, &fault, status);
}

static bool is_known_to_client(const struct http_request *req)
{
    const struct http_response *res = &req->response;

    for (size_t i = 0; i < res->header_count; i++)
        if (strcmp(res->headers[i].name, "ETag") == 0)
            return condition_is_current(req, res->headers[i].value);
    return false;
}

static void reply_as_json(struct http_request *req, const struct agent_response *response, int status)
{
    struct buffer text = buffer_init(4 * (size_t)req->rest->options.max_raw_bytes);
    const char *problem = convert_to_json(response->format, response->body, response->body_size, &text);
    uint8_t *bytes;
    size_t size;

    bytes = problem ? NULL : buffer_steal(&text, &size);
    if (bytes) {
        media_reply(req, status, convert_format_to_json(response->format), bytes, size);
        return;
    }
    buffer_clear(&text);
    reply_problem(req, FAULT_DEVICE_ANSWER, "The device's CBOR cannot be shown as JSON: %s",
                  problem ? problem : "there is no memory");
}

static void reply_body(struct http_request *req, const struct agent_response *response, int status)
{
    uint8_t *copy;

    if (is_shown_as_json(req, response)) {
        reply_as_json(req, response, status);
        return;
    }
    copy = malloc(response->body_size + 1);
    if (!copy) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    if (response->body_size)
        memcpy(copy, response->body, response->body_size);
    media_reply(req, status, response->format, copy, response->body_size);
}

/* 4.02 Bad Option is the client's doing where its headers became options. */
static bool has_conditions(const struct http_request *req)
{
    return http_header(req, "If-Match") || (http_method_writes(req->method) && http_header(req, "If-None-Match")) ||
           media_read_accept(http_header(req, "Accept")) != MEDIA_NONE;
}

void mapping_reply(struct http_request *req, const struct agent_response *response)
{
    int status = httpstatus_from_code(response->code);
    char code[MAPPING_CODE_SIZE];

    if (response->code == COAPMSG_CODE(2, 3) && http_header(req, "If-None-Match") && !http_method_writes(req->method))
        status = 304; /* the device has seen the client's own tag */
    http_add_copy(req, "Tcgw-Coap-Code", "%s", mapping_format_code(response->code, code));
    if (status == 0) {
        reply_problem(req, FAULT_DEVICE_ANSWER, "The device answered %s, which is no answer to such a request", code);
        return;
    }
    if (response->code == COAPMSG_CODE(4, 2) && has_conditions(req))
        status = 400;
    if (status == 204 && response->body_size)
        status = 200;
    add_headers(req, response, status);
    if (status >= 400 && response->format == MEDIA_NONE)
        reply_error(req, response, status);
    else if (status == 200 && !http_method_writes(req->method) && is_known_to_client(req))
        reply_empty(req, 304);
    else if (status == 304 || status == 204 || (status == 201 && response->body_size == 0))
        reply_empty(req, status);
    else
        reply_body(req, response, status);
}
