#include "core/directory.h"

#include "rest/api.h"
#include "rest/change.h"
#include "rest/page.h"
#include "rest/reply.h"
#include "rest/state.h"

#include <string.h>

/* A number in a path or a cursor; 0 when it is none. */
static uint64_t read_number(const char *text)
{
    int64_t number;

    return text_parse_int(text, 1, INT64_MAX, &number) ? (uint64_t)number : 0;
}

/* As core_list_registrations, of those that are there for the caller. */
static size_t list_registrations(const struct http_request *req, uint64_t after, const struct registration **out,
                                 size_t max)
{
    struct core *core = rest_core(req);
    size_t count = 0, n;

    do {
        size_t kept = count;

        n = core_list_registrations(core, after, out + count, max - count);
        if (n)
            after = out[count + n - 1]->number;
        for (size_t i = 0; i < n; i++)
            if (caller_sees_device_id(core, &req->caller, out[kept + i]->device))
                out[count++] = out[kept + i];
    } while (n && count < max);
    return count;
}

void api_list_directory(struct http_request *req)
{
    const struct registration *found[PAGE_LIMIT_MAX + 1];
    struct page page;
    char next[24];
    size_t n;

    if (!page_begin(&page, req))
        return;
    n = list_registrations(req, page.after ? read_number(page.after) : 0, found, page.limit + 1);
    for (size_t i = 0; i < n && i < page.limit; i++)
        page_add_json(&page, core_registration_json(rest_core(req), found[i]));
    if (n > page.limit)
        (void)snprintf(next, sizeof next, "%llu", (unsigned long long)found[page.limit - 1]->number);
    page_end(&page, n > page.limit ? next : NULL);
}

void api_show_registration(struct http_request *req)
{
    const struct registration *registration = core_find_registration(rest_core(req), read_number(req->params[0]));

    if (!registration) {
        reply_problem(req, FAULT_NOT_FOUND, "There is no registration %.20s", req->params[0]);
        return;
    }
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, core_registration_json(rest_core(req), registration));
}

void api_remove_registration(struct http_request *req)
{
    struct fault fault;
    int r = core_forget_registration(rest_core(req), read_number(req->params[0]), change_done,
                                     change_begin(req, change_answer_empty), &fault);

    (void)change_was_refused(req, r, &fault);
}
