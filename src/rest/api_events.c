#include "core/journal.h"
#include "rest/api.h"
#include "rest/page.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/stream.h"

#include <string.h>

/* The journal as server-sent events, and as pages of JSON. */

#define HEAD_MAX 64             /* "id: N\nevent: kind\ndata: " */
#define PAGE_BYTES (512u << 10) /* of a page's items */
#define FILL_ENTRIES 1024       /* in one read */

/* Parameters ------------------------------------------------------------------------------------------------------ */

struct wanted {
    struct journal_filter filter;
    uint64_t after;
    bool has_after;
    int64_t limit;
};

/* What is in the audit trail is for those who may read that. */
static bool may_read_kinds(struct http_request *req, uint32_t kinds)
{
    if (!(kinds & 1u << JOURNAL_AUDIT) || (role_permits(req->caller.role, ACCESS_OWNER) && !*req->caller.tenant))
        return true;
    reply_problem(req, FAULT_FORBIDDEN, "Events of the kind audit are for an owner of the whole gateway");
    return false;
}

/* Names of kinds with commas between. */
static bool read_kinds(struct http_request *req, struct wanted *wanted)
{
    const char *at = http_parameter(req, "kind");

    while (at && *at) {
        size_t size = strcspn(at, ",");
        enum journal_kind kind;
        char name[16];

        (void)snprintf(name, sizeof name, "%.*s", size < sizeof name ? (int)size : 0, at);
        kind = journal_kind_from_name(name);
        if (kind == JOURNAL_KIND_COUNT) {
            reply_problem(req, FAULT_INVALID_PARAMETER,
                          "The query parameter kind has the kind '%.*s'; there are telemetry, device, presence, "
                          "container, operation, artifact, security, resource, gateway, rollout and audit",
                          size < 32 ? (int)size : 32, at);
            return false;
        }
        wanted->filter.kinds |= 1u << kind;
        at += size + (at[size] == ',');
    }
    return may_read_kinds(req, wanted->filter.kinds);
}

static bool is_series_name(const char *name)
{
    size_t size = strlen(name),
           good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:./_");

    return size > 0 && size <= TELEMETRY_NAME_MAX && (good == size || (good + 1 == size && name[good] == '*'));
}

static bool read_names(struct http_request *req, struct journal_filter *filter)
{
    filter->device = http_parameter(req, "device");
    filter->group = http_parameter(req, "group");
    filter->name = http_parameter(req, "name");
    filter->tenant = req->caller.tenant;
    if (filter->device && !text_is_name(filter->device, CORE_ID_MAX))
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter device is not the id of a device");
    else if (filter->group && !text_is_name(filter->group, CORE_GROUP_MAX))
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter group is not the name of a group");
    else if (filter->name && !is_series_name(filter->name))
        reply_problem(req, FAULT_INVALID_PARAMETER,
                      "The query parameter name is not a SenML name (letters, digits and - : . / _), or the begin of "
                      "one and *");
    return !req->answered;
}

static bool read_number(struct http_request *req, const char *what, const char *text, struct wanted *wanted)
{
    int64_t number;

    if (!text)
        return true;
    if (!text_parse_int(text, 0, INT64_MAX, &number)) {
        reply_problem(req, FAULT_INVALID_PARAMETER, "%s is not the number of an event", what);
        return false;
    }
    wanted->after = (uint64_t)number;
    wanted->has_after = true;
    return true;
}

static bool read_wanted(struct http_request *req, struct wanted *wanted, bool stream)
{
    const char *limit = http_parameter(req, "limit"), *last = stream ? http_header(req, "Last-Event-ID") : NULL;

    *wanted = (struct wanted){.limit = PAGE_LIMIT_DEFAULT};
    if (!read_kinds(req, wanted) || !read_names(req, &wanted->filter) ||
        !read_number(req, "The query parameter after", http_parameter(req, "after"), wanted) ||
        !read_number(req, "Last-Event-ID", last && *last ? last : NULL, wanted))
        return false;
    if (!limit || text_parse_int(limit, 1, PAGE_LIMIT_MAX, &wanted->limit))
        return true;
    reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter limit is not a number from 1 to %d",
                  PAGE_LIMIT_MAX);
    return false;
}

/* Server-sent events ---------------------------------------------------------------------------------------------- */

struct events {
    struct stream stream;
    struct core *core;
    struct journal_reader *reader;
    uint64_t cut;  /* the event whose first part was given */
    size_t offset; /* how much of it */
};

static void ready(void *arg)
{
    struct events *events = arg;

    stream_ready(&events->stream);
}

static void closed(struct stream *stream)
{
    struct events *events = container_of(stream, struct events, stream);

    (void)journal_close(events->reader);
    free(events);
}

static char *put_text(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t n = 0;

    do
        digits[sizeof digits - ++n] = (char)('0' + number % 10);
    while (number /= 10);
    return put_text(at, digits + sizeof digits - n, n);
}

/* Written for each event of each stream: without printf. */
static size_t put_head(char out[HEAD_MAX], uint64_t seq, const char *event)
{
    char *at = put_text(out, "id: ", 4);

    at = put_number(at, seq);
    at = put_text(at, "\nevent: ", 8);
    at = put_text(at, event, strlen(event));
    return (size_t)(put_text(at, "\ndata: ", 7) - out);
}

/* Of up to three pieces, what follows the first `skip` bytes and fits. */
static size_t put_pieces(char *out, size_t max, size_t skip, const struct store_bytes pieces[3])
{
    size_t n = 0;

    for (int i = 0; i < 3 && n < max; i++) {
        size_t size = pieces[i].size;

        if (skip >= size) {
            skip -= size;
            continue;
        }
        size -= skip;
        if (size > max - n)
            size = max - n;
        memcpy(out + n, (const char *)pieces[i].data + skip, size);
        n += size;
        skip = 0;
    }
    return n;
}

/* Gives an event, or the rest of one; one that does not fit waits, unless it is the first. Returns how much was given,
 * with *done false when that was not all. */
static size_t put_event(struct events *events, const struct journal_entry *entry, char *out, size_t max, bool first,
                        bool *done)
{
    size_t size = 0, n;
    const char *json = journal_entry_json(events->core, entry, &size);
    char head[HEAD_MAX];
    const struct store_bytes pieces[3] = {
        {head, put_head(head, entry->seq, journal_kind_name(entry->kind))}, {json, size}, {"\n\n", 2}};
    size_t total = pieces[0].size + size + 2 - events->offset;

    *done = false;
    if (!json || (total > max && !first)) {
        journal_step_back(events->reader);
        return 0;
    }
    n = put_pieces(out, max, events->offset, pieces);
    *done = n == total;
    events->offset = *done ? 0 : events->offset + n;
    events->cut = entry->seq;
    events->stream.within = !*done;
    events->stream.req->rest->events_sent += *done;
    if (!*done)
        journal_step_back(events->reader);
    return n;
}

static size_t put_missing(const struct events *events, uint64_t missing, char *out)
{
    return (size_t)snprintf(out, 3 * HEAD_MAX, "id: %llu\nevent: missing\ndata: {\"count\":%llu}\n\n",
                            (unsigned long long)journal_position(events->reader), (unsigned long long)missing);
}

static size_t fill(struct stream *stream, void *to, size_t max)
{
    struct events *events = container_of(stream, struct events, stream);
    struct journal_entry entry;
    char *out = to;
    size_t n = 0;

    for (unsigned i = 0; i < FILL_ENTRIES && max - n > 3 * HEAD_MAX; i++) {
        uint64_t missing = 0;
        enum journal_result result = journal_read(events->reader, &entry, &missing);
        bool done = true;

        if (stream->within && (result == JOURNAL_MISSING || (result == JOURNAL_ENTRY && entry.seq != events->cut)))
            return STREAM_BROKEN; /* the rest of the event is gone */
        if (result == JOURNAL_ENTRY)
            n += put_event(events, &entry, out + n, max - n, n == 0, &done);
        else if (result == JOURNAL_MISSING)
            n += put_missing(events, missing, out + n);
        else
            break;
        if (!done)
            break;
    }
    return n;
}

static void follow(struct http_request *req)
{
    struct events *events;
    struct wanted wanted;

    if (!read_wanted(req, &wanted, true) || !stream_is_possible(req))
        return;
    events = calloc(1, sizeof *events);
    if (events) {
        events->core = rest_core(req);
        events->reader = core_open_journal(events->core, wanted.has_after ? wanted.after : JOURNAL_FROM_NOW,
                                           &wanted.filter, ready, events);
    }
    if (!events || !events->reader) {
        free(events);
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    events->stream.fill = fill;
    stream_begin(&events->stream, req, closed);
}

/* Pages ----------------------------------------------------------------------------------------------------------- */

/* A page that is being gathered; what is on the disk comes piece by piece. */
struct gather {
    struct http_request *req;
    struct core *core;
    struct journal_reader *reader;
    struct buffer text;
    uint64_t missing;
    int64_t left;
};

static void finish(struct gather *gather, bool failed)
{
    struct http_request *req = gather->req;
    struct journal_stats stats;
    uint8_t *text;
    size_t size;

    core_get_journal_stats(gather->core, &stats);
    buffer_printf(&gather->text, "],\"next_after\":%llu,\"last\":%llu,\"missing\":%llu}",
                  (unsigned long long)journal_position(gather->reader), (unsigned long long)stats.last,
                  (unsigned long long)gather->missing);
    text = buffer_steal(&gather->text, &size);
    if (failed && !req->answered)
        reply_problem(req, FAULT_STORAGE_FAILED, "The journal could not be read");
    else if (!text && !req->answered)
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
    else if (!req->answered)
        reply_owned(req, 200, HTTP_JSON, steal_pointer(text), size);
    free(text);
    (void)journal_close(gather->reader);
    free(gather);
    http_release(req);
}

static void add_item(struct gather *gather, const struct journal_entry *entry)
{
    size_t size = 0;
    const char *json = journal_entry_json(gather->core, entry, &size);

    if (gather->text.size > strlen("{\"items\":["))
        buffer_append_u8(&gather->text, ',');
    if (json)
        buffer_append(&gather->text, json, size);
    gather->text.failed |= !json;
    gather->left--;
}

static void go_on(void *arg)
{
    struct gather *gather = arg;
    struct journal_entry entry;

    while (!gather->req->answered && gather->left > 0 && gather->text.size < PAGE_BYTES) {
        uint64_t missing = 0;
        enum journal_result result = journal_read(gather->reader, &entry, &missing);

        gather->missing += missing;
        if (result == JOURNAL_ENTRY)
            add_item(gather, &entry);
        else if (result == JOURNAL_WAIT && !journal_is_at_end(gather->reader))
            return;
        else if (result == JOURNAL_WAIT)
            break;
        else if (result == JOURNAL_FAILED) {
            finish(gather, true);
            return;
        }
    }
    finish(gather, false);
}

static void read_page(struct http_request *req)
{
    struct gather *gather;
    struct wanted wanted;

    if (!read_wanted(req, &wanted, false))
        return;
    gather = calloc(1, sizeof *gather);
    if (gather)
        gather->reader = core_open_journal(rest_core(req), wanted.after, &wanted.filter, go_on, gather);
    if (!gather || !gather->reader) {
        free(gather);
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    gather->req = req;
    gather->core = rest_core(req);
    gather->left = wanted.limit;
    buffer_append_text(&gather->text, "{\"items\":[");
    http_add(req, "Cache-Control", "no-store");
    http_hold(req);
    go_on(gather);
}

void api_read_events(struct http_request *req)
{
    if (req->method == HTTP_GET && http_has_token(http_header(req, "Accept"), "text/event-stream"))
        follow(req);
    else
        read_page(req);
}
