#include "coap/server_private.h"

#include "codec/linkformat.h"

#include <string.h>

/* The table ---------------------------------------------------------------------------------------------------------
 */

static void get_core(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);
static void post_join(struct inbound *in, const struct coapmsg *request, const void *body, size_t size);

#define COUNTER(name) offsetof(struct server_stats, name)

static const struct resource resources[] = {
    {.path = "/.well-known/core", .is_open = true, .counter = COUNTER(core_requests), .get = get_core},
    {.path = "/shadow/desired",
     .type = "tcgw.desired",
     .is_observable = true,
     .counter = COUNTER(desired_requests),
     .get = shadow_get_desired},
    {.path = "/shadow/reported",
     .type = "tcgw.reported",
     .counter = COUNTER(reported_requests),
     .get = shadow_get_reported,
     .put = shadow_put_reported},
    {.path = "/t",
     .type = "tcgw.telemetry",
     .is_tree = true,
     .allows_plain = true,
     .counter = COUNTER(telemetry_requests),
     .post = telemetry_post,
     .put = telemetry_post},
    {.path = "/rd",
     .type = "core.rd",
     .is_tree = true,
     .is_open = true,
     .counter = COUNTER(directory_requests),
     .post = directory_post,
     .remove = directory_remove},
    {.path = "/.well-known/rd", .is_open = true, .counter = COUNTER(directory_requests), .post = directory_post_simple},
    {.path = "/rd-lookup/ep",
     .type = "core.rd-lookup-ep",
     .is_open = true,
     .counter = COUNTER(lookup_requests),
     .get = directory_get_endpoints},
    {.path = "/rd-lookup/res",
     .type = "core.rd-lookup-res",
     .is_open = true,
     .counter = COUNTER(lookup_requests),
     .get = directory_get_resources},
    {.path = "/m", .is_tree = true, .is_open = true, .counter = COUNTER(update_requests), .get = update_get_manifest},
    {.path = "/a", .is_tree = true, .is_open = true, .counter = COUNTER(update_requests), .get = update_get_payload},
    {.path = "/join", .type = "tcgw.join", .is_open = true, .counter = COUNTER(join_requests), .post = post_join},
};

/* Whether the path begins with the segments of another, "/t". */
static bool is_below(const struct coapmsg *request, const char *path)
{
    const struct coapmsg_option *segment = coapmsg_find(request, COAPMSG_OPT_URI_PATH);

    while (*path && segment) {
        size_t length = strcspn(path + 1, "/");

        if (segment->length != length || memcmp(segment->value, path + 1, length) != 0)
            return false;
        path += length + 1;
        segment = coapmsg_find_next(request, segment);
    }
    return !*path;
}

const struct resource *resource_find(const struct coapmsg *request)
{
    for (size_t i = 0; i < array_size(resources); i++)
        if (coapmsg_path_is(request, resources[i].path) ||
            (resources[i].is_tree && is_below(request, resources[i].path)))
            return &resources[i];
    return NULL;
}

/* Options (RFC 7252 sections 5.4 and 5.10) ------------------------------------------------------------------------- */

struct option_rule {
    uint16_t number, min, max; /* bytes of the value */
    bool repeatable;
};

/* Those that we understand; what is not like its rule is treated as one that we do not. */
static const struct option_rule option_rules[] = {
    {COAPMSG_OPT_IF_MATCH, 0, 8, true},      {COAPMSG_OPT_URI_HOST, 1, 255, false},
    {COAPMSG_OPT_ETAG, 1, 8, true},          {COAPMSG_OPT_IF_NONE_MATCH, 0, 0, false},
    {COAPMSG_OPT_OBSERVE, 0, 3, false},      {COAPMSG_OPT_URI_PORT, 0, 2, false},
    {COAPMSG_OPT_URI_PATH, 0, 255, true},    {COAPMSG_OPT_CONTENT_FORMAT, 0, 2, false},
    {COAPMSG_OPT_URI_QUERY, 0, 255, true},   {COAPMSG_OPT_ACCEPT, 0, 2, false},
    {COAPMSG_OPT_BLOCK2, 0, 3, false},       {COAPMSG_OPT_BLOCK1, 0, 3, false},
    {COAPMSG_OPT_PROXY_URI, 1, 1034, false}, {COAPMSG_OPT_PROXY_SCHEME, 1, 255, false},
};

static const struct option_rule *find_rule(uint16_t number)
{
    for (size_t i = 0; i < array_size(option_rules); i++)
        if (option_rules[i].number == number)
            return &option_rules[i];
    return NULL;
}

const char *resource_check_options(const struct coapmsg *request)
{
    for (size_t i = 0; i < request->option_count; i++) {
        const struct coapmsg_option *option = &request->options[i];
        const struct option_rule *rule = find_rule(option->number);
        bool is_repeated = i > 0 && request->options[i - 1].number == option->number;

        if (option->number % 2 == 0)
            continue; /* elective */
        if (!rule)
            return "a critical option is not understood";
        if (option->length < rule->min || option->length > rule->max)
            return "a critical option has a length that it may not have";
        if (is_repeated && !rule->repeatable)
            return "a critical option is repeated";
    }
    return NULL;
}

/* Faults of the core ---------------------------------------------------------------------------------------------- */

uint8_t resource_fault_code(const struct fault *fault)
{
    if (fault->code == FAULT_JOIN_CLOSED)
        return COAPMSG_FORBIDDEN;
    switch (fault_info(fault->code)->status) {
    case 400:
        return COAPMSG_BAD_REQUEST;
    case 403:
        return COAPMSG_FORBIDDEN;
    case 404:
        return COAPMSG_NOT_FOUND;
    case 409:
        return COAPMSG_CONFLICT;
    case 412:
        return COAPMSG_PRECONDITION_FAILED;
    case 413:
        return COAPMSG_TOO_LARGE;
    case 422:
        return COAPMSG_UNPROCESSABLE;
    case 429:
        return COAPMSG_TOO_MANY_REQUESTS;
    case 502:
        return COAPMSG_BAD_GATEWAY;
    case 503:
    case 507:
        return COAPMSG_UNAVAILABLE;
    case 504:
        return COAPMSG_GATEWAY_TIMEOUT;
    default:
        return COAPMSG_INTERNAL_ERROR;
    }
}

/* /.well-known/core (RFC 6690) --------------------------------------------------------------------------------------
 */

static void put_link(struct buffer *out, const struct resource *resource)
{
    linkformat_put(out, resource->path);
    linkformat_put_text(out, "rt", resource->type);
    if (resource->is_observable)
        linkformat_put_flag(out, "obs");
}

/* A filter "name=value" or "name=value*" (section 4.1). */
static bool meets(const struct resource *resource, const struct coapmsg_option *filter)
{
    struct linkformat_value value = {resource->path, strlen(resource->path)}, wanted;
    const char *text = (const char *)filter->value, *equals = memchr(text, '=', filter->length);
    size_t name = equals ? (size_t)(equals - text) : 0;

    if (!equals)
        return false;
    wanted = (struct linkformat_value){equals + 1, filter->length - name - 1};
    if (name == 4 && memcmp(text, "href", 4) == 0)
        return linkformat_value_is(&value, &wanted);
    value = (struct linkformat_value){resource->type, strlen(resource->type)};
    return name == 2 && memcmp(text, "rt", 2) == 0 && linkformat_value_is(&value, &wanted);
}

static bool is_asked_for(const struct resource *resource, const struct coapmsg *request)
{
    const struct coapmsg_option *filter = coapmsg_find(request, COAPMSG_OPT_URI_QUERY);

    for (; filter; filter = coapmsg_find_next(request, filter))
        if (!meets(resource, filter))
            return false;
    return true;
}

static void get_core(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    cleanup_buffer struct buffer links = {0};
    struct coapmsg response;

    (void)body;
    (void)size;
    if (in->accept >= 0 && in->accept != COAPMSG_FORMAT_LINK) {
        inbound_reply_text(in, COAPMSG_NOT_ACCEPTABLE, "");
        return;
    }
    for (size_t i = 0; i < array_size(resources); i++)
        if (resources[i].type && is_asked_for(&resources[i], request))
            put_link(&links, &resources[i]);
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add_uint(&response, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_LINK);
    coapmsg_set_payload(&response, links.data, links.size);
    inbound_reply(in, &response);
}

/* /join -------------------------------------------------------------------------------------------------------------
 */

/* The value of the query "id=..."; false when there is none, or no such id can be. */
static bool find_id(const struct coapmsg *request, char out[CORE_ID_MAX + 1])
{
    const struct coapmsg_option *query = coapmsg_find(request, COAPMSG_OPT_URI_QUERY);

    for (; query; query = coapmsg_find_next(request, query)) {
        size_t size = query->length - 3u;

        if (query->length < 4 || memcmp(query->value, "id=", 3) != 0 || size > CORE_ID_MAX ||
            memchr(query->value, 0, query->length))
            continue;
        memcpy(out, query->value + 3, size);
        out[size] = 0;
        return true;
    }
    return false;
}

static void post_join(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    char id[CORE_ID_MAX + 1], address[CORE_ADDRESS_MAX + 1];
    struct fault fault;
    int r;

    (void)body;
    (void)size;
    if (in->credential) { /* it has joined */
        inbound_reply_text(in, COAPMSG_CHANGED, "");
        return;
    }
    if (!find_id(request, id)) {
        inbound_reply_text(in, COAPMSG_BAD_REQUEST, "say ?id= and the device's id");
        return;
    }
    r = keyring_note_pending(in->server->core, id, peer_format(incoming_peer(in->incoming), address), &fault);
    if (r == 0)
        inbound_reply_text(in, COAPMSG_CREATED, "");
    else if (r < 0)
        inbound_reply_text(in, COAPMSG_INTERNAL_ERROR, "");
    else
        inbound_reply_text(in, resource_fault_code(&fault), fault_info(fault.code)->title);
}

/* The table ---------------------------------------------------------------------------------------------------------
 */
