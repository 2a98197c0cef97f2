#include "coap/server_private.h"

#include <errno.h>
#include <string.h>

/* The ETag is the revision in its shortest form. Returns its size. */
static size_t put_etag(uint64_t revision, uint8_t out[SHADOW_ETAG_MAX])
{
    size_t size = 1;

    while (size < SHADOW_ETAG_MAX && revision >> (8 * size))
        size++;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(revision >> (8 * (size - 1 - i)));
    return size;
}

/* Whether one of the options with this number is the ETag of a revision; an empty If-Match is that of any. */
static bool names_revision(const struct coapmsg *request, uint16_t number, uint64_t revision)
{
    uint8_t etag[SHADOW_ETAG_MAX];
    size_t size = put_etag(revision, etag);
    const struct coapmsg_option *option = coapmsg_find(request, number);

    for (; option; option = coapmsg_find_next(request, option))
        if ((option->length == 0 && revision) || (option->length == size && memcmp(option->value, etag, size) == 0))
            return true;
    return false;
}

void shadow_describe(struct coapmsg *response, const struct shadow *shadow, const void *body,
                     uint8_t etag[SHADOW_ETAG_MAX])
{
    coapmsg_init(response, COAPMSG_ACK, COAPMSG_CONTENT);
    coapmsg_add(response, COAPMSG_OPT_ETAG, etag, put_etag(shadow->revision, etag));
    if (shadow->format >= 0)
        coapmsg_add_uint(response, COAPMSG_OPT_CONTENT_FORMAT, (uint32_t)shadow->format);
    coapmsg_set_payload(response, body, shadow->size);
}

/* Reading --------------------------------------------------------------------------------------------------------- */

static void reply_shadow(struct inbound *in, const struct shadow *shadow, const void *body)
{
    struct coapmsg response;
    uint8_t etag[SHADOW_ETAG_MAX];

    in->revision = shadow->revision;
    if (in->accept >= 0 && shadow->format >= 0 && in->accept != shadow->format) {
        inbound_reply_text(in, COAPMSG_NOT_ACCEPTABLE, "the document has another content format");
        return;
    }
    shadow_describe(&response, shadow, body, etag);
    inbound_reply(in, &response);
}

static void on_read(void *arg, int result, const struct shadow *shadow, const void *body)
{
    static const struct shadow none = {.format = -1};
    struct inbound *in = arg;

    if (!inbound_came(in))
        return;
    if (result == 0)
        reply_shadow(in, shadow, body);
    else if (result == -ENOENT && in->resource->is_observable)
        reply_shadow(in, &none, NULL); /* nothing is wished; it is there to be observed all the same */
    else if (result == -ENOENT)
        inbound_reply_text(in, COAPMSG_NOT_FOUND, "");
    else
        inbound_reply_text(in, COAPMSG_INTERNAL_ERROR, "");
}

static void reply_valid(struct inbound *in, uint64_t revision)
{
    struct coapmsg response;
    uint8_t etag[SHADOW_ETAG_MAX];

    in->revision = revision;
    coapmsg_init(&response, COAPMSG_ACK, COAPMSG_VALID);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, etag, put_etag(revision, etag));
    inbound_reply(in, &response);
}

static void get_shadow(struct inbound *in, const struct coapmsg *request, enum shadow_kind kind)
{
    struct device *device = in->credential->device;
    struct shadow shadow = core_shadow(device, kind);

    if (coapmsg_find(request, COAPMSG_OPT_ETAG) && names_revision(request, COAPMSG_OPT_ETAG, shadow.revision)) {
        reply_valid(in, shadow.revision);
        return;
    }
    inbound_await(in);
    if (core_read_shadow(in->server->core, device, kind, on_read, in) != 0) {
        (void)inbound_came(in);
        inbound_reply_text(in, COAPMSG_UNAVAILABLE, "");
    }
}

void shadow_get_desired(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    (void)body;
    (void)size;
    get_shadow(in, request, SHADOW_DESIRED);
}

void shadow_get_reported(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    (void)body;
    (void)size;
    get_shadow(in, request, SHADOW_REPORTED);
}

/* Writing --------------------------------------------------------------------------------------------------------- */

static void on_stored(void *arg, const struct fault *fault)
{
    struct inbound *in = arg;
    struct coapmsg response;
    uint8_t etag[SHADOW_ETAG_MAX];

    if (!inbound_came(in))
        return;
    if (fault->code != FAULT_NONE) {
        inbound_reply_text(in, resource_fault_code(fault), fault_info(fault->code)->title);
        return;
    }
    coapmsg_init(&response, COAPMSG_ACK, in->creates ? COAPMSG_CREATED : COAPMSG_CHANGED);
    coapmsg_add(&response, COAPMSG_OPT_ETAG, etag, put_etag(in->revision, etag));
    inbound_reply(in, &response);
}

static bool may_put(const struct coapmsg *request, uint64_t revision)
{
    if (coapmsg_find(request, COAPMSG_OPT_IF_NONE_MATCH) && revision)
        return false;
    return !coapmsg_find(request, COAPMSG_OPT_IF_MATCH) || names_revision(request, COAPMSG_OPT_IF_MATCH, revision);
}

void shadow_put_reported(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    struct device *device = in->credential->device;
    uint64_t revision = core_shadow_latest(device, SHADOW_REPORTED);
    uint32_t format;
    struct shadow shadow;
    struct fault fault;
    int r;

    if (!may_put(request, revision)) {
        inbound_reply_text(in, COAPMSG_PRECONDITION_FAILED, "");
        return;
    }
    if (!coapmsg_get_uint(request, COAPMSG_OPT_CONTENT_FORMAT, &format))
        format = UINT32_MAX;
    in->creates = revision == 0;
    inbound_await(in);
    shadow = (struct shadow){.format = format > UINT16_MAX ? -1 : (int)format, .size = size};
    r = core_put_shadow(in->server->core, device, SHADOW_REPORTED, &shadow, body, on_stored, in, &fault);
    in->revision = shadow.revision;
    if (r == 0)
        return;
    (void)inbound_came(in);
    if (r < 0)
        inbound_reply_text(in, COAPMSG_INTERNAL_ERROR, "");
    else
        inbound_reply_text(in, resource_fault_code(&fault), fault_info(fault.code)->title);
}
