#include "rest/caching.h"

#include "rest/mapping.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* The argument of a directive in seconds; `none` without one, `bad` for what is no number. */
static uint32_t read_seconds(const char *at, uint32_t none, uint32_t bad)
{
    uint64_t value = 0;

    at += strspn(at, BLANKS);
    if (*at != '=')
        return none;
    at += 1 + strspn(at + 1, BLANKS);
    at += *at == '"';
    if (*at < '0' || *at > '9')
        return bad;
    for (; *at >= '0' && *at <= '9'; at++)
        if (value < UINT32_MAX)
            value = value * 10 + (uint64_t)(*at - '0');
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX - 1;
}

static void allow_stale(struct cache_control *control, uint32_t seconds)
{
    if (control->allow_stale && control->max_stale > seconds)
        return;
    control->allow_stale = true;
    control->max_stale = seconds;
}

static void take_directive(struct cache_control *control, const char *name, size_t size)
{
    static const char *const names[] = {"no-cache", "no-store",  "only-if-cached", "max-stale",
                                        "max-age",  "min-fresh", "stale-if-error"};
    const char *rest = name + size;
    size_t i = 0;

    while (i < array_size(names) && (strlen(names[i]) != size || strncasecmp(names[i], name, size) != 0))
        i++;
    switch (i) {
    case 0:
        control->no_cache = true;
        break;
    case 1:
        control->no_store = true;
        break;
    case 2:
        control->only_if_cached = true;
        break;
    case 3:
        allow_stale(control, read_seconds(rest, UINT32_MAX, 0));
        break;
    case 4:
        control->max_age = read_seconds(rest, 0, 0);
        break;
    case 5:
        control->min_fresh = read_seconds(rest, 0, UINT32_MAX - 1);
        break;
    case 6:
        allow_stale(control, read_seconds(rest, 0, 0));
        break;
    default:
        break;
    }
}

void caching_read(const struct http_request *req, struct cache_control *control)
{
    const char *at = http_header(req, "Cache-Control"), *pragma = http_header(req, "Pragma");

    *control = (struct cache_control){.max_age = UINT32_MAX};
    if (!at)
        control->no_cache = http_has_token(pragma, "no-cache");
    while (at && *at) {
        at += strspn(at, BLANKS ",");
        take_directive(control, at, strcspn(at, "=," BLANKS));
        at += strcspn(at, ",");
    }
}

/* Why the device was asked. */
static const char *forward_reason(const struct cache_control *control, const struct cache_answer *answer)
{
    if (answer->status == CACHE_BYPASS)
        return "bypass";
    if (control->no_cache || control->max_age != UINT32_MAX || control->min_fresh)
        return "request";
    return answer->status == CACHE_REVALIDATED ? "stale" : "miss";
}

void caching_add_headers(struct http_request *req, const struct cache_control *control,
                         const struct cache_answer *answer)
{
    const char *collapsed = answer->collapsed ? "; collapsed" : "";
    long long left = (long long)answer->fresh_for;

    switch (answer->status) {
    case CACHE_HIT:
        http_add_copy(req, "Cache-Status", "tcgw; hit; ttl=%lld", left);
        break;
    case CACHE_STALE:
        http_add_copy(req, "Cache-Status", "tcgw; hit; ttl=%lld; detail=stale", left);
        break;
    case CACHE_REVALIDATED:
        http_add_copy(req, "Cache-Status", "tcgw; fwd=%s; fwd-status=304; ttl=%lld%s", forward_reason(control, answer),
                      left, collapsed);
        break;
    case CACHE_MISS:
    case CACHE_BYPASS:
        http_add_copy(req, "Cache-Status", "tcgw; fwd=%s%s", forward_reason(control, answer), collapsed);
        return;
    }
    http_add_copy(req, "Age", "%u", answer->age);
}
