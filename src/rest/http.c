#include "rest/http.h"

#include "rest/media.h"
#include "rest/resumable.h"
#include "rest/upload.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

static const char *const method_names[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_METHOD_OTHER] = "",
};

enum http_method http_method_from_name(const char *name)
{
    for (unsigned m = 0; m < HTTP_METHOD_OTHER; m++)
        if (strcmp(name, method_names[m]) == 0)
            return (enum http_method)m;
    return HTTP_METHOD_OTHER;
}

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

int http_decode(const char *text, size_t size, bool form, char *out)
{
    size_t n = 0;
    bool plain = true; /* ASCII without escapes needs no check for UTF-8 */

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (c == '%') {
            int byte = text_unescape(text + i, size - i);

            if (byte < 0)
                return -1;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        plain = plain && c > 0;
        out[n++] = c;
    }
    out[n] = 0;
    return plain || text_is_utf8(out, n) ? (int)n : -1;
}

/* The next piece of the target up to one of two separators, decoded into req->decoded. NULL when it is malformed. */
static const char *take_piece(const char **at, const char *end, const char separators[2], bool form, char **to)
{
    const char *start = *at;
    char *out = *to;
    int n;

    while (*at < end && **at != separators[0] && **at != separators[1])
        (*at)++;
    n = http_decode(start, (size_t)(*at - start), form, out);
    if (n < 0)
        return NULL;
    *to = out + n + 1;
    return out;
}

static void parse_path(struct http_request *req, const char *at, const char *end, char **to)
{
    while (at < end) {
        const char *segment, *slash = at++;

        segment = take_piece(&at, end, "//", false, to);
        if (!segment) {
            fault_set(&req->fault, FAULT_MALFORMED_REQUEST,
                      "The path has a segment that is not percent-encoded UTF-8 without NUL");
            return;
        }
        if (req->segment_count < HTTP_SEGMENTS_MAX) {
            req->segments[req->segment_count] = segment;
            req->raw[req->segment_count] = slash;
        }
        req->segment_count++;
    }
}

void http_parse_query(struct http_request *req)
{
    const char *at = req->raw_query ? req->raw_query : "";
    const char *end = at + strlen(at);
    char **to = &req->decoded_end;

    while (at < end && !req->fault.code) {
        struct http_pair pair = {.value = ""};

        pair.name = take_piece(&at, end, "=&", true, to);
        if (pair.name && at < end && *at == '=') {
            at++;
            pair.value = take_piece(&at, end, "&&", true, to);
        }
        if (at < end)
            at++; /* the ampersand */
        if (!pair.name || !pair.value)
            fault_set(&req->fault, FAULT_MALFORMED_REQUEST, "The query is not percent-encoded UTF-8 without NUL");
        else if (http_parameter(req, pair.name))
            fault_set(&req->fault, FAULT_INVALID_PARAMETER, "The query has the parameter %.64s twice", pair.name);
        else if (*pair.name && req->query_count == HTTP_PARAMETERS_MAX)
            fault_set(&req->fault, FAULT_INVALID_PARAMETER, "The query has more than %d parameters",
                      HTTP_PARAMETERS_MAX);
        else if (*pair.name)
            req->query[req->query_count++] = pair;
    }
}

/* RFC 9112 section 3.2.2: a server takes the absolute form too. */
static const char *skip_authority(const char *target)
{
    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    target += 7;
    return target + strcspn(target, "/?");
}

/* Decoding never grows a piece, and each gets a NUL in place of the separator before it, so `decoded` is large enough.
 */
static void parse_target(struct http_request *req)
{
    const char *path = skip_authority(req->target);
    const char *end = path + strcspn(path, "?");

    if (*path != '/') {
        fault_set(&req->fault, FAULT_MALFORMED_REQUEST, "The request target is not an absolute path");
        return;
    }
    parse_path(req, path, end, &req->decoded_end);
    req->raw_query = *end ? end + 1 : NULL;
}

void http_begin(struct http_request *req, const struct http_transport *transport, struct rest *rest, const char *target)
{
    req->transport = transport;
    req->rest = rest;
    req->mhd = NULL;
    req->peer = (struct http_peer){.kind = HTTP_PEER_TCP};
    req->caller = (struct caller){.role = ROLE_NONE};
    req->id[0] = 0;
    req->segment_count = req->query_count = 0;
    req->raw_query = NULL;
    req->decoded_end = req->decoded;
    req->fault.code = FAULT_NONE;
    req->route = NULL;
    req->params[0] = req->params[1] = req->tail = NULL;
    req->json = req->secrets = NULL;
    req->secret = req->own_format = false;
    req->base_size = 0;
    req->format = MEDIA_NONE;
    req->upload = NULL;
    req->resumable = NULL;
    req->about.device = req->about.container = req->about.operation = NULL;
    req->response.status = 0;
    req->response.header_count = req->response.scratch_used = 0;
    req->response.stream = NULL;
    req->response.error = NULL;
    req->begun = req->denied = req->audited = false;
    req->caller = (struct caller){.role = ROLE_NONE};
    req->response.secret = req->response.close = req->response.repeatable = req->answered = req->changed = req->queued =
        false;
    req->holds = 1;
    req->discarded = 0;
    req->record[0] = 0;
    req->created_status = 0;
    req->wait_s = 0;
    req->watcher = NULL;
    req->key[0] = 0;
    list_init(&req->wait_node);
    list_init(&req->active_node);
    list_init(&req->key_node);
    if (text_copy(req->target, sizeof req->target, target))
        parse_target(req);
    else
        fault_set(&req->fault, FAULT_URI_TOO_LONG, "The request target has more than %d bytes", HTTP_TARGET_MAX);
}

void http_hold(struct http_request *req)
{
    req->holds++;
}

void http_release(struct http_request *req)
{
    if (--req->holds == 0)
        req->transport->release(req);
}

/* Overwrites the texts in a value and frees it; NULL is fine. */
static void wipe_json(json_t *json)
{
    const char *name;
    json_t *member;
    size_t i;

    json_object_foreach(json, name, member)
    {
        wipe_json(json_incref(member));
    }
    json_array_foreach(json, i, member)
    {
        wipe_json(json_incref(member));
    }
    if (json_is_string(json))
        OPENSSL_cleanse((char *)(uintptr_t)json_string_value(json), json_string_length(json));
    json_decref(json);
}

static void wipe(struct http_request *req)
{
    if (req->secret && req->body.data)
        OPENSSL_cleanse(req->body.data, req->body.size);
    if (req->secret)
        wipe_json(req->json);
    else
        json_decref(req->json);
    wipe_json(req->secrets);
    req->json = req->secrets = NULL;
}

void http_clear(struct http_request *req)
{
    list_unlink(&req->wait_node);
    list_unlink(&req->active_node);
    list_unlink(&req->key_node);
    wipe(req);
    buffer_clear(&req->body);
    req->upload = upload_free(req->upload);
    resumable_leave(req);
}

const char *http_parameter(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->query_count; i++)
        if (strcmp(req->query[i].name, name) == 0)
            return req->query[i].value;
    return NULL;
}

void http_add(struct http_request *req, const char *name, const char *value)
{
    struct http_response *res = &req->response;

    if (res->header_count < HTTP_RESPONSE_HEADERS_MAX)
        res->headers[res->header_count++] = (struct http_pair){name, value};
}

void http_add_copy(struct http_request *req, const char *name, const char *format, ...)
{
    struct http_response *res = &req->response;
    size_t left = sizeof res->scratch - res->scratch_used;
    char *to = res->scratch + res->scratch_used;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(to, left, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= left)
        return;
    res->scratch_used += (size_t)n + 1;
    http_add(req, name, to);
}

const char *http_copy(struct http_request *req, const char *text)
{
    struct http_response *res = &req->response;
    char *to = res->scratch + res->scratch_used;
    size_t size = strlen(text) + 1;

    if (size > sizeof res->scratch - res->scratch_used)
        return NULL;
    res->scratch_used += size;
    return memcpy(to, text, size);
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

bool http_is_type(const char *value, const char *type)
{
    size_t n = strlen(type);

    if (strncasecmp(value, type, n) != 0)
        return false;
    value = skip_blanks(value + n);
    return *value == 0 || *value == ';' || *value == ',';
}

/* The start of the next member of a comma-separated list. */
static const char *next_member(const char *at)
{
    at += strcspn(at, ",");
    return at + strspn(at, ", \t");
}

/* True when a media range's parameters (up to its comma) say q=0. */
static bool has_zero_weight(const char *range)
{
    const char *q = range, *end = range + strcspn(range, ",");

    while ((q = memchr(q, ';', (size_t)(end - q)))) {
        q = skip_blanks(q + 1);
        if (strncasecmp(q, "q=0", 3) == 0)
            return q + 3 + strspn(q + 3, ".0") == q + strcspn(q, " \t,;");
    }
    return false;
}

bool http_accepts(const char *accept, const char *type)
{
    size_t major = strcspn(type, "/") + 1;
    int best = -1;
    bool accepted = false;

    if (!accept || !*accept)
        return true;
    for (const char *at = skip_blanks(accept); *at; at = next_member(at)) {
        int precision = -1;

        if (http_is_type(at, type))
            precision = 2;
        else if (strncasecmp(at, type, major) == 0 && at[major] == '*')
            precision = 1;
        else if (strncmp(at, "*/*", 3) == 0)
            precision = 0;
        if (precision > best) { /* the most specific range decides */
            best = precision;
            accepted = !has_zero_weight(at);
        }
    }
    return accepted;
}

bool http_has_token(const char *value, const char *token)
{
    size_t n = strlen(token);

    while (value && *value) {
        value += strspn(value, " \t,");
        if (strncasecmp(value, token, n) == 0 && strchr(" \t,;=", value[n]))
            return true;
        value += strcspn(value, ",");
    }
    return false;
}
