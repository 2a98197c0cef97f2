#include "rest/api.h"
#include "rest/history.h"
#include "rest/reply.h"
#include "rest/scope.h"
#include "rest/state.h"

#include <errno.h>

/* A question under way. */
struct reading {
    struct http_request *req;
    struct history_question question;
    size_t limit; /* points that the caller wants at most */
    bool series;
};

static void add_next(struct http_request *req, const struct history_page *page)
{
    char cursor[HISTORY_CURSOR_SIZE];

    http_add(req, "Cache-Control", "no-store");
    if (page->more && page->count)
        http_add_copy(req, "Tcgw-Next", "%s", history_format_cursor(&page->points[page->count - 1], cursor));
}

/* What is there for the caller; the page has a copy of those points then, which *kept owns, and ends with one of them,
 * as the cursor tells who is at the end. False: out of memory. */
static bool keep_seen(const struct reading *reading, struct history_page *page, struct history_point **kept)
{
    const struct http_request *req = reading->req;
    size_t count = 0;

    *kept = scope_is_all(req) || !page->count ? NULL : malloc(page->count * sizeof **kept);
    if (!*kept)
        return scope_is_all(req) || !page->count;
    for (size_t i = 0; i < page->count; i++)
        if (caller_sees_device_id(rest_core(req), &req->caller, page->points[i].device))
            (*kept)[count++] = page->points[i];
    page->more = page->more || count > reading->limit;
    page->points = *kept;
    page->count = count > reading->limit ? reading->limit : count;
    return true;
}

static void begin(struct http_request *req, struct reading *reading);

/* Nothing on the page is there for the caller, but there may be more behind it: that is read in large steps. False: not
 * so, or nobody waits any more. */
static bool go_on(struct reading *reading, const struct history_page *whole, const struct history_page *seen)
{
    struct http_request *req = reading->req;
    char cursor[HISTORY_CURSOR_SIZE];

    if (!whole->more || !whole->count || seen->count || (!req->mhd && req->peer.kind != HTTP_PEER_PLATFORM) ||
        !history_parse_cursor(history_format_cursor(&whole->points[whole->count - 1], cursor), &reading->question))
        return false;
    reading->question.query.limit = HISTORY_LIMIT_MAX;
    begin(req, reading);
    return true;
}

/* False when it goes on, with the reading as its own. */
static bool answer(struct reading *reading, const struct history_page *whole)
{
    struct http_request *req = reading->req;
    cleanup_buffer struct buffer text = buffer_init(0);
    cleanup_free struct history_point *kept = NULL;
    struct history_page seen = *whole;
    uint8_t *body = NULL;
    size_t size;

    text.failed = !keep_seen(reading, &seen, &kept);
    if (!text.failed && go_on(reading, whole, &seen))
        return false;
    if (!text.failed && reading->series)
        history_write_series(&text, &seen);
    else if (!text.failed)
        history_write(&text, &reading->question, &seen);
    body = buffer_steal(&text, &size);
    if (!body) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return true;
    }
    add_next(req, &seen);
    reply_owned(req, 200, history_media_type(reading->question.format), body, size);
    return true;
}

static void read_done(void *arg, int result, const struct history_page *page)
{
    struct reading *reading = arg;
    struct http_request *req = reading->req;

    bool over = true;

    if (!req->answered && result == 0)
        over = answer(reading, page);
    else if (!req->answered && result == -ENOMEM)
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
    else if (!req->answered)
        reply_problem(req, FAULT_STORAGE_FAILED, "The history could not be read");
    if (over)
        free(reading);
    http_release(req);
}

static void begin(struct http_request *req, struct reading *reading)
{
    struct fault fault;
    int r;

    http_hold(req);
    if (reading->series)
        r = core_list_series(rest_core(req), &reading->question.query, read_done, reading, &fault);
    else
        r = core_query_history(rest_core(req), &reading->question.query, read_done, reading, &fault);
    if (r == 0)
        return;
    reply_refusal(req, r, &fault);
    free(reading);
    http_release(req);
}

static void ask(struct http_request *req, const char *device, bool series)
{
    struct reading *reading = calloc(1, sizeof *reading);
    struct fault fault;

    if (!reading) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    reading->req = req;
    reading->series = series;
    if (history_read(req, device, &reading->question, &fault)) {
        reply_fault(req, &fault);
        free(reading);
        return;
    }
    reading->limit = reading->question.query.limit;
    begin(req, reading);
}

void api_list_telemetry(struct http_request *req)
{
    ask(req, NULL, false);
}

void api_list_device_telemetry(struct http_request *req)
{
    if (resolve_device(req))
        ask(req, req->params[0], false);
}

void api_list_series(struct http_request *req)
{
    ask(req, NULL, true);
}

void api_list_device_series(struct http_request *req)
{
    if (resolve_device(req))
        ask(req, req->params[0], true);
}

void api_show_storage(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, core_storage_json(rest_core(req)));
}
