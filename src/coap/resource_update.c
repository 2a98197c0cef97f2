#include "coap/server_private.h"

/* What SUIT devices fetch (docs/device-protocol.md section 9.4): GET /m/{device}, GET /a/{sha256}. Both come in plain
 * CoAP with an empty token from RIOT's client; what they hand out is signed, and only where an update is pending. */

/* The one segment below the resource's own; NULL: none, or more. */
static const struct coapmsg_option *find_name(const struct coapmsg *request)
{
    const struct coapmsg_option *name = coapmsg_find(request, COAPMSG_OPT_URI_PATH);

    name = name ? coapmsg_find_next(request, name) : NULL;
    return name && !coapmsg_find_next(request, name) ? name : NULL;
}

static void get(struct inbound *in, const struct coapmsg *request, bool payload)
{
    struct updates *updates = in->server->options.updates;
    const struct coapmsg_option *name = find_name(request);
    const struct coapmsg_block *asked = in->blocks.has_block2 ? &in->blocks.block2 : NULL;
    size_t offset = asked ? (size_t)asked->num << (asked->szx + 4) : 0;
    struct update_caller caller = {in->credential ? in->credential->device->id : NULL, incoming_peer(in->incoming)};
    struct update *update = NULL;
    struct coapmsg response;
    bool moved;

    if (updates && name && payload)
        update = update_of_payload(updates, name->value, name->length, &caller, offset);
    else if (updates && name)
        update = update_of_manifest(updates, name->value, name->length, &caller);
    if (!update) { /* nothing of this is kept: the next update has the same path */
        coapmsg_init(&response, COAPMSG_ACK, COAPMSG_NOT_FOUND);
        inbound_send(in, &response);
        return;
    }
    in->is_expected = true;
    moved = update_answer(updates, update, payload, asked, &response);
    inbound_send(in, &response);
    if (moved && update->moved)
        update->moved(update);
}

void update_get_manifest(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    (void)body;
    (void)size;
    get(in, request, false);
}

void update_get_payload(struct inbound *in, const struct coapmsg *request, const void *body, size_t size)
{
    (void)body;
    (void)size;
    get(in, request, true);
}
