#include "rest/page.h"

#include "rest/reply.h"

#include <string.h>

static const char opening[] = "{\"items\":[";

bool page_begin(struct page *page, struct http_request *req)
{
    const char *limit = http_parameter(req, "limit");
    int64_t number = PAGE_LIMIT_DEFAULT;

    *page = (struct page){.req = req, .after = http_parameter(req, "cursor")};
    if (limit && !text_parse_int(limit, 1, PAGE_LIMIT_MAX, &number))
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter limit is not a number from 1 to %d",
                      PAGE_LIMIT_MAX);
    else if (page->after && !text_is_name(page->after, 64))
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter cursor is not one that a list has given");
    if (req->answered)
        return false;
    page->limit = (size_t)number;
    buffer_append_text(&page->text, opening);
    return true;
}

static void separate(struct page *page)
{
    if (page->text.size >= sizeof opening)
        buffer_append_u8(&page->text, ',');
}

void page_add_text(struct page *page, const char *json, size_t size)
{
    separate(page);
    if (json)
        buffer_append(&page->text, json, size);
    page->text.failed |= !json;
}

static int append(const char *piece, size_t size, void *arg)
{
    struct page *page = arg;

    buffer_append(&page->text, piece, size);
    return page->text.failed ? -1 : 0;
}

void page_add_json(struct page *page, json_t *json)
{
    separate(page);
    if (!json || json_dump_callback(json, append, page, JSON_COMPACT) != 0)
        page->text.failed = true;
    json_decref(json);
}

void page_end(struct page *page, const char *next)
{
    uint8_t *text;
    size_t size;

    if (next)
        buffer_printf(&page->text, "],\"next\":\"%s\"}", next);
    else
        buffer_append_text(&page->text, "],\"next\":null}");
    text = buffer_steal(&page->text, &size);
    if (!text) {
        reply_problem(page->req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    http_add(page->req, "Cache-Control", "no-store");
    reply_owned(page->req, 200, HTTP_JSON, text, size);
}
