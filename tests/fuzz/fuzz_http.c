#include "rest/condition.h"
#include "rest/guard.h"
#include "rest/prefer.h"
#include "rest/route.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *value; /* of every header: the input's second line */

static const char *find_header(const struct http_request *req, const char *name)
{
    (void)req, (void)name;
    return value;
}

static void ignore(struct http_request *req)
{
    (void)req;
}

static const struct http_transport transport = {.header = find_header, .send = ignore, .release = http_clear};

/* Every piece is UTF-8 and lies in the request's memory; the value of a parameter without one does not. */
static void require_piece(const struct http_request *req, const char *piece)
{
    if (*piece == 0)
        return;
    if (piece < req->decoded || piece + strlen(piece) >= req->decoded + sizeof req->decoded ||
        !text_is_utf8(piece, strlen(piece)))
        abort();
}

static void check_target(struct http_request *req, const char *target)
{
    char allow[ROUTE_ALLOW_SIZE];
    unsigned methods;

    http_begin(req, &transport, NULL, target);
    for (size_t i = 0; i < req->segment_count; i++)
        require_piece(req, req->segments[i]);
    for (size_t i = 0; i < req->query_count; i++) {
        require_piece(req, req->query[i].name);
        require_piece(req, req->query[i].value);
    }
    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        req->method = (enum http_method)m;
        if (route_find(req, &methods) == 2)
            route_format_allow(methods, allow);
        else if (req->route && strchr(req->route->path, '{'))
            require_piece(req, req->params[0]);
    }
}

static void check_headers(const struct http_request *req)
{
    struct fault fault = {0};
    uint32_t seconds;

    if (prefer_parse_wait(value, 60, &seconds, &fault) == 0 && seconds > 60)
        abort();
    (void)http_accepts(value, HTTP_JSON);
    (void)http_has_token(value, "no-cache");
    (void)http_is_type(value, HTTP_JSON);
    (void)guard_is_local_host(value);
    (void)condition_is_current(req, "\"1-a\"");
    if (condition_check_write(req, true, 1, &fault) && fault.code == FAULT_NONE)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_request req;
    char *text = malloc(size + 1), *rest = text;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    check_target(&req, strsep(&rest, "\n"));
    value = rest;
    if (value)
        check_headers(&req);
    http_clear(&req);
    free(text);
    return 0;
}
