#ifndef TC_REST_PAGE_H
#define TC_REST_PAGE_H

#include "rest/http.h"

/*
 * A page of a list: {"items": [...], "next": cursor or null}. The cursor is the id of the last item; one more item than
 * the limit is asked for, so that `next` is only there when something follows.
 */

#define PAGE_LIMIT_MAX 1000
#define PAGE_LIMIT_DEFAULT 100

struct page {
    struct http_request *req;
    size_t limit;
    const char *after; /* NULL: from the start */
    struct buffer text;
};

/* Reads limit and cursor. False when they are bad, which is answered then. */
bool page_begin(struct page *page, struct http_request *req) must_check;
void page_add_text(struct page *page, const char *json, size_t size);
void page_add_json(struct page *page, json_t *json); /* takes it over */
/* Answers; next is the last item's id when more follow, NULL otherwise. */
void page_end(struct page *page, const char *next);

#endif
