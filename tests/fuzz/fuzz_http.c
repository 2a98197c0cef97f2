#include "rest/caching.h"
#include "rest/condition.h"
#include "rest/guard.h"
#include "rest/history.h"
#include "rest/mapping.h"
#include "rest/media.h"
#include "rest/prefer.h"
#include "rest/route.h"
#include "rest/state.h"

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

/* A cursor that is taken is one that a page could have given. */
static void check_cursor(const struct history_question *question)
{
    const struct history_query *query = &question->query;
    const struct history_point point = {.device = query->after_device,
                                        .record = {.name = query->after_name, .time_us = query->after_time}};
    struct history_question again = {0};
    char text[HISTORY_CURSOR_SIZE];

    if (!history_parse_cursor(history_format_cursor(&point, text), &again) ||
        strcmp(again.device, question->device) != 0 || again.query.after_time != query->after_time)
        abort();
}

static void check_question(const struct http_request *req)
{
    struct history_question question = {0};
    struct fault fault;

    if (history_read(req, NULL, &question, &fault) != 0)
        return;
    if (question.query.from >= question.query.to || question.query.limit == 0 ||
        (question.query.aggregate == HISTORY_BUCKETS && question.query.bucket_us < 1000000))
        abort();
    if (question.query.after_device)
        check_cursor(&question);
}

/* The path and query of a device's resource, and the headers that go to it. */
static void check_resource(struct http_request *req)
{
    static struct rest rest;
    struct mapped_request mapped;
    struct fault fault;

    req->rest = &rest;
    if (req->tail && mapping_read(req, &mapped, &fault) == 0 &&
        (mapped.coap.path[0] != '/' || mapped.coap.if_match_size > 8 || mapped.coap.etag_size > 8))
        abort();
}

static void check_target(struct http_request *req, const char *target)
{
    char allow[ROUTE_ALLOW_SIZE];
    unsigned methods;

    http_begin(req, &transport, NULL, target);
    http_parse_query(req);
    for (size_t i = 0; i < req->segment_count && i < HTTP_SEGMENTS_MAX; i++)
        require_piece(req, req->segments[i]);
    for (size_t i = 0; i < req->query_count; i++) {
        require_piece(req, req->query[i].name);
        require_piece(req, req->query[i].value);
    }
    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        req->method = (enum http_method)m;
        if (route_find(req, &methods) == 2)
            route_format_allow(methods, allow);
        else if (req->route && req->params[0])
            require_piece(req, req->params[0]);
        check_resource(req);
    }
}

static void check_headers(const struct http_request *req)
{
    struct cache_control control;
    char type[MEDIA_SIZE];
    const char *coding;
    struct fault fault = {0};
    uint32_t seconds;

    if (prefer_parse_wait(value, 60, &seconds, &fault) == 0 && seconds > 60)
        abort();
    caching_read(req, &control);
    (void)prefer_has(value, "respond-async");
    (void)media_from_format(media_read_accept(value), type, &coding);
    (void)media_from_format(media_to_format(value, NULL), type, &coding);
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
    char *text = malloc(size + 1), *rest = text, *target;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    target = strsep(&rest, "\n");
    value = rest;
    check_target(&req, target);
    check_question(&req);
    if (value)
        check_headers(&req);
    http_clear(&req);
    free(text);
    return 0;
}
