#include "coap/server_private.h"

/* What SUIT devices fetch (docs/device-protocol.md section 9.4): GET /m/{device}, GET /a/{sha256}. Both come in plain
 * CoAP with an empty token from RIOT's client; what they hand out is signed, and only where an update is pending. */

#define BLOCKS_MAX (1u << 20) /* RFC 7959 section 2.2 */

/* The one segment below the resource's own; NULL: none, or more. */
static const struct coapmsg_option *find_name(const struct coapmsg *request)
{
    const struct coapmsg_option *name = coapmsg_find(request, COAPMSG_OPT_URI_PATH);

    name = name ? coapmsg_find_next(request, name) : NULL;
    return name && !coapmsg_find_next(request, name) ? name : NULL;
}

/* The same bytes in blocks of 64: what is sent to an address that may be forged is little more than what came from
 * there (RFC 7252 section 11.3). */
static void make_small(struct coapmsg_block *asked)
{
    while (asked->szx > UPDATE_SZX && asked->num < BLOCKS_MAX / 2) {
        asked->num *= 2;
        asked->szx--;
    }
}

/* A gateway that has just been started may not know yet of what a device is in the middle of fetching, which would
 * give up at an answer; without one it asks again. */
static bool is_early(const struct inbound *in)
{
    const struct server *server = in->server;

    return !in->credential && incoming_peer(in->incoming)->transport == PEER_UDP &&
           clock_monotonic_ms(server->options.clock) < server->quiet_until;
}

static void get(struct inbound *in, const struct coapmsg *request, bool payload)
{
    struct updates *updates = in->server->options.updates;
    const struct coapmsg_option *name = find_name(request);
    struct coapmsg_block *asked = in->blocks.has_block2 ? &in->blocks.block2 : NULL;
    size_t offset = asked ? (size_t)asked->num << (asked->szx + 4) : 0;
    struct update_caller caller = {in->credential ? in->credential->device->id : NULL, incoming_peer(in->incoming)};
    struct update *update = NULL;
    struct coapmsg response;
    size_t size;
    bool moved;

    if (asked && !caller.device)
        make_small(asked);
    if (updates && name && payload)
        update = update_of_payload(updates, name->value, name->length, &caller, offset);
    else if (updates && name)
        update = update_of_manifest(updates, name->value, name->length, &caller);
    if (!update && is_early(in)) {
        inbound_drop(in, false);
        return;
    }
    if (!update) { /* nothing of this is kept: the next update has the same path */
        coapmsg_init(&response, COAPMSG_ACK, COAPMSG_NOT_FOUND);
        inbound_send(in, &response);
        return;
    }
    in->is_expected = true;
    moved = update_answer(updates, update, payload, asked, &response);
    size = response.payload_size;
    inbound_send(in, &response);
    if (update->served)
        update->served(update, size, moved);
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
