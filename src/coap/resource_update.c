#include "coap/server_private.h"

/* What SUIT devices fetch (docs/device-protocol.md section 9.4): GET /m/{device}, GET /a/{sha256}. Both come in plain
 * CoAP with an empty token from RIOT's client; what they hand out is signed, and only where an update is pending. */

#define BLOCKS_MAX (1u << 20) /* RFC 7959 section 2.2 */
#define AROUND 64             /* bytes of headers and options around a block: CoAP, UDP, IPv6 */
/* A device sends a request again for 45 s at least (RFC 7252 section 4.8.2, MAX_TRANSMIT_SPAN), some of them half as
 * long. */
#define WAIT_MAX_MS 20000

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

/* The request is looked at anew: what was pending may have ended meanwhile. */
static void on_turn(struct link_place *place)
{
    struct inbound *in = container_of(place, struct inbound, turn);
    struct coapmsg request;

    if (coapmsg_decode(&request, in->message, in->message_size) == 0)
        in->resource->get(in, &request, NULL, 0);
    else
        inbound_drop(in, false);
}

/* Whether the block may leave now. If not, the request waits for its turn, or was answered or dropped here. */
static bool may_leave(struct inbound *in, const struct coapmsg *request, const struct update *update,
                      const struct coapmsg_block *asked)
{
    struct links *links = in->server->options.links;
    size_t bytes = ((size_t)16 << (asked ? asked->szx : UPDATE_SZX)) + AROUND;
    uint64_t delay;

    if (!links || !update->link.rate)
        return true;
    if (!in->turn.link && !link_enter_guest(links, &in->turn, &update->link, on_turn))
        return true;
    if (link_take(links, &in->turn, bytes))
        return true;
    delay = link_delay(&in->turn);
    if (delay > WAIT_MAX_MS) {
        struct coapmsg response;

        coapmsg_init(&response, COAPMSG_ACK, COAPMSG_UNAVAILABLE);
        coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE, (uint32_t)(delay / 1000));
        inbound_send(in, &response);
    } else if (!in->message && !inbound_hold(in, request)) {
        inbound_drop(in, false);
    } else {
        incoming_wait(in->incoming);
    }
    return false;
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
    if (!*in->payer && !inbound_take_budget(in, update->device, request))
        return;
    update->active_at = clock_monotonic_ms(updates->clock);
    if (!may_leave(in, request, update, asked))
        return;
    moved = update_answer(updates, update, payload, asked, &response);
    inbound_send(in, &response);
    if (update->served)
        update->served(update, moved);
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
