#include "coap/server_private.h"

#include "base/hash.h"
#include "core/telemetry.h"

#include <string.h>

/* POST and PUT /t and /t/{name}: what devices measured. */

/* Which message it is, for an earlier or later run of the gateway: with OSCORE the nonce, which no two requests of a
 * security context share; else what RFC 7252 section 4.5 tells copies of one device by, and the body, since a device
 * that restarted may use its numbers again. */
static uint64_t find_origin(const struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    uint64_t origin;

    if (in->is_protected)
        return telemetry_protected_origin(in);
    origin = hash_bytes(request->id, in->device->id, strlen(in->device->id));
    origin = hash_bytes(origin, request->token, request->token_length);
    return hash_bytes(origin, body, size);
}

uint64_t telemetry_protected_origin(const struct inbound *in)
{
    return hash_bytes(in->number, in->binding.nonce, sizeof in->binding.nonce);
}

static void reply_error(struct inbound *in, uint8_t code, const char *diagnostic, uint32_t retry_s)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, code);
    if (code == COAPMSG_TOO_MANY_REQUESTS || code == COAPMSG_UNAVAILABLE)
        coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE, retry_s);
    coapmsg_set_payload(&response, diagnostic, strlen(diagnostic));
    inbound_reply(in, &response);
}

static void reply_fault(struct inbound *in, const struct fault *fault, uint32_t retry_s)
{
    uint8_t code = resource_fault_code(fault);

    if (fault->code == FAULT_LIMIT_REACHED) /* it is the device's, and stays when it tries again */
        code = COAPMSG_FORBIDDEN;
    else if (fault->code == FAULT_STORAGE_FAILED)
        code = COAPMSG_UNAVAILABLE;

    reply_error(in, code, fault->detail[0] ? fault->detail : fault_info(fault->code)->title, retry_s);
}

static void on_stored(void *arg, const struct fault *fault)
{
    struct inbound *in = arg;

    if (!inbound_came(in))
        return;
    if (fault->code == FAULT_NONE)
        inbound_reply_text(in, COAPMSG_CHANGED, "");
    else
        reply_fault(in, fault, 1);
}

/* Name and unit of what has none of its own ----------------------------------------------------------------------- */

struct naming {
    char name[TELEMETRY_NAME_MAX + 2]; /* one that is too long stays so */
    char unit[TELEMETRY_UNIT_MAX + 2];
};

/* Appends a part of text; what does not fit is cut, and refused for its length later. */
static size_t append(char *out, size_t used, size_t size, const void *text, size_t length)
{
    if (length > size - 1 - used)
        length = size - 1 - used;
    memcpy(out + used, text, length);
    out[used + length] = 0;
    return used + length;
}

static void take_path(struct naming *naming, const struct coapmsg *request)
{
    const struct coapmsg_option *segment = coapmsg_find(request, COAPMSG_OPT_URI_PATH);
    size_t used = 0;

    while ((segment = coapmsg_find_next(request, segment)) != NULL) {
        if (used)
            used = append(naming->name, used, sizeof naming->name, "/", 1);
        used = append(naming->name, used, sizeof naming->name, segment->value, segment->length);
    }
}

static void take_queries(struct naming *naming, const struct coapmsg *request)
{
    const struct coapmsg_option *query = coapmsg_find(request, COAPMSG_OPT_URI_QUERY);

    for (; query; query = coapmsg_find_next(request, query)) {
        if (query->length < 2 || query->value[1] != '=')
            continue;
        if (query->value[0] == 'n')
            (void)append(naming->name, 0, sizeof naming->name, query->value + 2, query->length - 2u);
        else if (query->value[0] == 'u')
            (void)append(naming->unit, 0, sizeof naming->unit, query->value + 2, query->length - 2u);
    }
}

/* The message ----------------------------------------------------------------------------------------------------- */

static uint8_t decode_error_code(int error)
{
    switch (error) {
    case SENML_E_LIMIT:
        return COAPMSG_TOO_LARGE;
    case SENML_E_FORMAT:
        return COAPMSG_UNSUPPORTED_FORMAT;
    default:
        return error < 0 ? COAPMSG_UNAVAILABLE : COAPMSG_BAD_REQUEST;
    }
}

static int decode(const struct inbound *in, const struct coapmsg *request, const void *body, size_t size,
                  struct naming *naming)
{
    struct server *server = in->server;
    const struct senml_options options = {.now_us = clock_wall_ms(server->options.clock) * 1000,
                                          .max_records = server->options.max_records,
                                          .name = naming->name,
                                          .unit = naming->unit};
    uint32_t format;

    take_path(naming, request);
    take_queries(naming, request);
    if (!coapmsg_find(request, COAPMSG_OPT_CONTENT_FORMAT))
        return telemetry_decode(&server->pack, -1, body, size, &options);
    if (!coapmsg_get_uint(request, COAPMSG_OPT_CONTENT_FORMAT, &format) || format > UINT16_MAX)
        format = UINT16_MAX;
    return telemetry_decode(&server->pack, (int)format, body, size, &options);
}

static void store(struct inbound *in, uint64_t origin)
{
    struct senml_pack *pack = &in->server->pack;
    struct fault fault;
    uint32_t retry_s = 1;
    int r;

    inbound_await(in);
    r = core_add_telemetry(in->server->core, in->device, pack->records, pack->count, origin, on_stored, in, &fault,
                           &retry_s);
    if (r == 0)
        return;
    (void)inbound_came(in);
    if (r < 0)
        reply_error(in, COAPMSG_UNAVAILABLE, "", retry_s);
    else
        reply_fault(in, &fault, retry_s);
}

void telemetry_post(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    struct senml_pack *pack = &in->server->pack;
    uint64_t origin = find_origin(in, request, body, size);
    struct naming naming = {.name = ""};
    int r;

    if (core_knows_origin(in->server->core, origin)) {
        inbound_reply_text(in, COAPMSG_CHANGED, "");
        return;
    }
    r = decode(in, request, body, size, &naming);
    if (r == 0 && pack->count > 0) {
        store(in, origin);
        return;
    }
    in->server->stats.telemetry_malformed++;
    reply_error(in, r == 0 ? COAPMSG_BAD_REQUEST : decode_error_code(r),
                r == 0 ? "the pack has no record with a value" : pack->problem, 1);
}
