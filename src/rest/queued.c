#include "rest/change.h"
#include "rest/mapping.h"
#include "rest/prefer.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/wait.h"

#include <string.h>

#define TTL "ttl="

/* The query without the time to live, which is the gateway's; what there was of that goes to ttl (NULL: none). Both are
 * written into `out`. NULL: nothing is left of the query. */
static const char *split_query(const char *query, char out[HTTP_TARGET_MAX + 1], const char **ttl)
{
    char *end = out;

    *ttl = NULL;
    while (query && *query) {
        size_t n = strcspn(query, "&");

        if (!*ttl && strncmp(query, TTL, strlen(TTL)) == 0)
            *ttl = query + strlen(TTL);
        else
            end += sprintf(end, "%s%.*s", end == out ? "" : "&", (int)n, query);
        query += n + (query[n] == '&');
    }
    *end = 0;
    return end == out ? NULL : out;
}

/* 0: none was given. */
static int read_ttl(const char *ttl, uint32_t *ttl_ms, struct fault *fault)
{
    size_t n = ttl ? strcspn(ttl, "&") : 0;
    int64_t seconds = 0;
    char text[16];

    if (n < sizeof text) {
        memcpy(text, ttl ? ttl : "", n);
        text[n] = 0;
    }
    if (ttl && (n >= sizeof text || !text_parse_int(text, 1, WAIT_TTL_MAX_S, &seconds)))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter ttl is not a number of seconds");
    *ttl_ms = (uint32_t)seconds * 1000;
    return 0;
}

void queued_request(struct http_request *req, struct device *device, struct agent_resource *resource)
{
    char query[HTTP_TARGET_MAX + 1];
    struct operation *op;
    struct fault fault;
    const char *ttl;
    uint32_t ttl_ms = 0;
    int r;

    resource->query = split_query(resource->query, query, &ttl);
    if (read_ttl(ttl, &ttl_ms, &fault) || wait_read_prefer(req, &fault)) {
        reply_fault(req, &fault);
        return;
    }
    req->queued = true;
    r = core_queue_request(rest_core(req), device, resource, ttl_ms, change_done,
                           change_begin(req, wait_answer_operation), &fault, &op);
    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, op->id);
}
