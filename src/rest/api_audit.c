#include "core/audit.h"
#include "rest/api.h"
#include "rest/page.h"
#include "rest/reply.h"
#include "rest/state.h"

/* The audit trail, as it is stored: what proves it can be checked by whoever reads it. */

/* An entry's own bytes, which its hash is over, with the hash behind them. */
static void put_entry(struct buffer *out, const struct store_audit *row)
{
    char hash[2 * AUDIT_HASH_SIZE + 1];

    buffer_append(out, row->body, row->size ? row->size - 1 : 0);
    buffer_printf(out, ",\"hash\":\"%s\"}", text_hex(row->hash, AUDIT_HASH_SIZE, hash));
}

static void put_anchor(struct buffer *out, const struct audit_anchor *anchor)
{
    json_t *json = audit_anchor_json(anchor);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (text)
        buffer_append_text(out, text);
    out->failed |= !text;
    free(text);
}

static void put_page(struct buffer *out, const struct store_audit_page *page)
{
    buffer_append_text(out, "{\"items\":[");
    for (size_t i = 0; i < page->count; i++) {
        buffer_append_text(out, i ? "," : "");
        put_entry(out, &page->rows[i]);
    }
    buffer_append_text(out, "],\"anchors\":[");
    for (size_t i = 0; i < page->anchor_count; i++) {
        buffer_append_text(out, i ? "," : "");
        put_anchor(out, &page->anchors[i]);
    }
    if (page->more)
        buffer_printf(out, "],\"next\":\"%llu\"}", (unsigned long long)page->rows[page->count - 1].seq);
    else
        buffer_append_text(out, "],\"next\":null}");
}

static void answer_page(void *arg, int result, const struct store_audit_page *page)
{
    struct http_request *req = arg;
    struct buffer text = buffer_init(0);
    uint8_t *body;
    size_t size;

    if (result == 0)
        put_page(&text, page);
    body = buffer_steal(&text, &size);
    if (!req->answered && result < 0)
        reply_problem(req, FAULT_STORAGE_FAILED, "The audit trail could not be read");
    else if (!req->answered && !body)
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
    else if (!req->answered)
        reply_owned(req, 200, HTTP_JSON, steal_pointer(body), size);
    free(body);
    http_release(req);
}

void api_list_audit(struct http_request *req)
{
    const char *cursor = http_parameter(req, "cursor"), *limit = http_parameter(req, "limit");
    int64_t after = 0, max = PAGE_LIMIT_DEFAULT;

    if ((cursor && !text_parse_int(cursor, 0, INT64_MAX, &after)) ||
        (limit && !text_parse_int(limit, 1, PAGE_LIMIT_MAX, &max))) {
        reply_problem(req, FAULT_INVALID_PARAMETER, "cursor is the number of an entry, limit a number from 1 to %d",
                      PAGE_LIMIT_MAX);
        return;
    }
    http_add(req, "Cache-Control", "no-store");
    http_hold(req);
    if (store_read_audit(req->rest->options.store, (uint64_t)after, (size_t)max, answer_page, req) == 0)
        return;
    http_release(req);
    reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
}

void api_show_anchor(struct http_request *req)
{
    json_t *anchor = core_audit_anchor(rest_core(req));

    http_add(req, "Cache-Control", "no-store");
    if (!anchor) {
        reply_problem(req, FAULT_NOT_FOUND, "The audit trail has no entry yet");
        return;
    }
    (void)json_object_set_new(anchor, "public_key", json_string(req->rest->public_key_hex));
    reply_json(req, 200, anchor);
}
