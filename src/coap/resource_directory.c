#include "coap/server_private.h"

#include "core/directory.h"

#include <string.h>

/* The resource directory (RFC 9176): POST /rd registers, POST and DELETE /rd/{number} update and remove, POST
 * /.well-known/rd registers simply, GET /rd-lookup/ep and /rd-lookup/res look up. */

#define LIMITED_RETRY_S 2
#define FULL_RETRY_S 60
#define STRANGER_SZX 4 /* blocks of 256 bytes for those who may have forged their address */

/* Requests --------------------------------------------------------------------------------------------------------- */

static void append_escaped(struct buffer *out, const struct coapmsg_option *option)
{
    for (size_t i = 0; i < option->length; i++) {
        uint8_t c = option->value[i];

        if (c <= ' ' || c == '&' || c == '%' || c == 0x7f)
            buffer_printf(out, "%%%02x", c);
        else
            buffer_append_u8(out, c);
    }
}

/* The Uri-Query options as one query. NULL: out of memory. */
static const char *join_queries(struct buffer *out, const struct coapmsg *request)
{
    const struct coapmsg_option *query = coapmsg_find(request, COAPMSG_OPT_URI_QUERY);

    for (; query; query = coapmsg_find_next(request, query)) {
        if (out->size)
            buffer_append_u8(out, '&');
        append_escaped(out, query);
    }
    return out->size || out->failed ? buffer_text(out) : "";
}

static struct directory_source source_of(const struct inbound *in, char address[CORE_ADDRESS_MAX + 1])
{
    return (struct directory_source){in->credential ? in->credential->device : NULL,
                                     peer_format(incoming_peer(in->incoming), address)};
}

/* The number in /rd/{number}. False when there is none. */
static bool find_number(const struct coapmsg *request, uint64_t *number)
{
    const struct coapmsg_option *segment = coapmsg_find(request, COAPMSG_OPT_URI_PATH);

    segment = segment ? coapmsg_find_next(request, segment) : NULL;
    if (!segment || coapmsg_find_next(request, segment) || segment->length < 1 || segment->length > 19)
        return false;
    *number = 0;
    for (size_t i = 0; i < segment->length; i++) {
        if (segment->value[i] < '0' || segment->value[i] > '9')
            return false;
        *number = *number * 10 + segment->value[i] - '0';
    }
    return true;
}

static bool is_collection(const struct coapmsg *request)
{
    const struct coapmsg_option *segment = coapmsg_find(request, COAPMSG_OPT_URI_PATH);

    return segment && !coapmsg_find_next(request, segment);
}

/* Answers ---------------------------------------------------------------------------------------------------------- */

static void reply_fault(struct inbound *in, const struct fault *fault)
{
    uint8_t code = resource_fault_code(fault);
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, code);
    if (code == COAPMSG_TOO_MANY_REQUESTS || code == COAPMSG_UNAVAILABLE)
        coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE,
                         fault->code == FAULT_LIMIT_REACHED ? FULL_RETRY_S : LIMITED_RETRY_S);
    coapmsg_set_payload(&response, fault->detail, strlen(fault->detail));
    inbound_reply(in, &response);
}

/* What a call of the core came to that did not begin. */
static void end_refused(struct inbound *in, int result, const struct fault *fault)
{
    (void)inbound_came(in);
    if (result < 0)
        inbound_reply_text(in, COAPMSG_UNAVAILABLE, "");
    else
        reply_fault(in, fault);
}

static void reply_location(struct inbound *in)
{
    struct coapmsg response;
    char number[24];

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)in->revision);
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CREATED);
    coapmsg_add(&response, COAPMSG_OPT_LOCATION_PATH, "rd", 2);
    coapmsg_add(&response, COAPMSG_OPT_LOCATION_PATH, number, strlen(number));
    inbound_reply(in, &response);
}

static void on_registered(void *arg, const struct fault *fault)
{
    struct inbound *in = arg;

    if (!inbound_came(in))
        return;
    if (fault->code == FAULT_NONE)
        reply_location(in);
    else
        reply_fault(in, fault);
}

static void end_with(struct inbound *in, const struct fault *fault, uint8_t code)
{
    if (!inbound_came(in))
        return;
    if (fault->code == FAULT_NONE)
        inbound_reply_text(in, code, "");
    else
        reply_fault(in, fault);
}

static void on_changed(void *arg, const struct fault *fault)
{
    end_with(arg, fault, COAPMSG_CHANGED);
}

static void on_removed(void *arg, const struct fault *fault)
{
    end_with(arg, fault, COAPMSG_DELETED);
}

/* Registration ----------------------------------------------------------------------------------------------------- */

static void register_endpoint(struct inbound *in, const struct directory_source *source, const char *query,
                              const void *body, size_t size)
{
    struct fault fault;
    bool created;
    int r;

    inbound_await(in);
    r = core_register_endpoint(in->server->core, source, query, body, size, on_registered, in, &fault, &in->revision,
                               &created);
    if (r != 0)
        end_refused(in, r, &fault);
}

static void update_registration(struct inbound *in, const struct directory_source *source, uint64_t number,
                                const char *query)
{
    struct fault fault;
    int r;

    inbound_await(in);
    r = core_update_registration(in->server->core, source, number, query, on_changed, in, &fault);
    if (r != 0)
        end_refused(in, r, &fault);
}

static bool has_other_format(const struct coapmsg *request, size_t size)
{
    uint32_t format;

    return size && coapmsg_find(request, COAPMSG_OPT_CONTENT_FORMAT) &&
           (!coapmsg_get_uint(request, COAPMSG_OPT_CONTENT_FORMAT, &format) || format != COAPMSG_FORMAT_LINK);
}

void directory_post(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    cleanup_buffer struct buffer query = {0};
    char address[CORE_ADDRESS_MAX + 1];
    struct directory_source source = source_of(in, address);
    const char *text = join_queries(&query, request);
    uint64_t number;

    if (!text)
        inbound_reply_text(in, COAPMSG_UNAVAILABLE, "");
    else if (is_collection(request) && has_other_format(request, size))
        inbound_reply_text(in, COAPMSG_UNSUPPORTED_FORMAT, "links are sent in link format (40)");
    else if (is_collection(request))
        register_endpoint(in, &source, text, body, size);
    else if (!find_number(request, &number))
        inbound_reply_text(in, COAPMSG_NOT_FOUND, "");
    else if (size)
        inbound_reply_text(in, COAPMSG_BAD_REQUEST, "an update has no payload: other links are registered anew");
    else
        update_registration(in, &source, number, text);
}

void directory_remove(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    char address[CORE_ADDRESS_MAX + 1];
    struct directory_source source = source_of(in, address);
    struct fault fault;
    uint64_t number;
    int r;

    (void)body;
    (void)size;
    if (is_collection(request) || !find_number(request, &number)) {
        inbound_reply_text(in, is_collection(request) ? COAPMSG_METHOD_NOT_ALLOWED : COAPMSG_NOT_FOUND, "");
        return;
    }
    inbound_await(in);
    r = core_remove_registration(in->server->core, &source, number, on_removed, in, &fault);
    if (r != 0)
        end_refused(in, r, &fault);
}

void directory_post_simple(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    cleanup_buffer struct buffer query = {0};
    char address[CORE_ADDRESS_MAX + 1];
    struct directory_source source = source_of(in, address);
    const char *text = join_queries(&query, request);
    struct fault fault;
    int r;

    (void)body;
    if (!text || size) {
        inbound_reply_text(in, text ? COAPMSG_BAD_REQUEST : COAPMSG_UNAVAILABLE,
                           text ? "a simple registration has no payload: its links are asked for" : "");
        return;
    }
    inbound_await(in);
    r = core_register_simply(in->server->core, &source, text, on_changed, in, &fault);
    if (r != 0)
        end_refused(in, r, &fault);
}

/* Looking up ------------------------------------------------------------------------------------------------------- */

/* Blocks for a stranger: an answer must not be much larger than what asked for it. */
static void limit_blocks(struct inbound *in, size_t size)
{
    struct coapmsg_block *block = &in->blocks.block2;

    if (in->is_authentic || (!in->blocks.has_block2 && size <= (size_t)16 << STRANGER_SZX))
        return;
    if (!in->blocks.has_block2) {
        in->blocks.has_block2 = true;
        *block = (struct coapmsg_block){0, false, STRANGER_SZX};
    } else if (block->szx > STRANGER_SZX) {
        block->num <<= block->szx - STRANGER_SZX;
        block->szx = STRANGER_SZX;
    }
}

static void reply_links(struct inbound *in, const struct buffer *links)
{
    struct coapmsg response;

    limit_blocks(in, links->size);
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_uint(&response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_LINK);
    coapmsg_set_payload(&response, links->data, links->size);
    inbound_reply(in, &response);
}

/* What strangers asked for lately is kept, so that the blocks of an answer are those of one answer, and cost nothing.
 * What is not kept is looked up a few times a second. */
static struct lookup_kept *find_kept(struct server *server, bool endpoints, const char *query)
{
    for (size_t i = 0; i < LOOKUPS_KEPT; i++) {
        struct lookup_kept *kept = &server->lookups_kept[i];

        if (kept->query && kept->endpoints == endpoints && strcmp(kept->query, query) == 0)
            return kept;
    }
    return NULL;
}

static bool is_fresh(const struct server *server, const struct lookup_kept *kept)
{
    struct directory_stats stats;

    core_get_directory_stats(server->core, &stats);
    return kept->changes == stats.changes;
}

static struct lookup_kept *keep(struct server *server, bool endpoints, const char *query, struct buffer *links)
{
    struct lookup_kept *kept = find_kept(server, endpoints, query);
    struct directory_stats stats;

    if (!kept)
        kept = &server->lookups_kept[server->lookup_next++ % LOOKUPS_KEPT];
    core_get_directory_stats(server->core, &stats);
    free(kept->query);
    buffer_clear(&kept->links);
    *kept = (struct lookup_kept){.endpoints = endpoints, .query = strdup(query), .changes = stats.changes};
    kept->links = *links;
    *links = (struct buffer){0};
    return kept;
}

void directory_forget_lookups(struct server *server)
{
    for (size_t i = 0; i < LOOKUPS_KEPT; i++) {
        free(server->lookups_kept[i].query);
        buffer_clear(&server->lookups_kept[i].links);
    }
}

static void look_up(struct inbound *in, bool endpoints, const char *query)
{
    struct server *server = in->server;
    struct lookup_kept *kept = in->is_authentic ? NULL : find_kept(server, endpoints, query);
    cleanup_buffer struct buffer links = {0};
    struct fault fault;

    if (kept && (is_fresh(server, kept) || in->blocks.block2.num > 0)) {
        reply_links(in, &kept->links);
        return;
    }
    if (!in->is_authentic && !limiter_take(&server->lookups, limiter_peer_key(incoming_peer(in->incoming)))) {
        server->stats.rate_limited++;
        (void)fault_set(&fault, FAULT_RATE_LIMITED, "Too much is looked up without protection.");
        reply_fault(in, &fault);
        return;
    }
    if (core_look_up(server->core, endpoints, query, &links, &fault) != 0)
        reply_fault(in, &fault);
    else
        reply_links(in, in->is_authentic ? &links : &keep(server, endpoints, query, &links)->links);
}

static void get_lookup(struct inbound *in, const struct coapmsg *request, bool endpoints)
{
    cleanup_buffer struct buffer query = {0};
    const char *text = join_queries(&query, request);

    if (in->accept >= 0 && in->accept != COAPMSG_FORMAT_LINK)
        inbound_reply_text(in, COAPMSG_NOT_ACCEPTABLE, "");
    else if (!text)
        inbound_reply_text(in, COAPMSG_UNAVAILABLE, "");
    else
        look_up(in, endpoints, text);
}

void directory_get_endpoints(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    (void)body;
    (void)size;
    get_lookup(in, request, true);
}

void directory_get_resources(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    (void)body;
    (void)size;
    get_lookup(in, request, false);
}
