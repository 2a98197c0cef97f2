#include "coap/server_private.h"

#include "base/hash.h"
#include "base/memory.h"
#include "core/budget.h"
#include "core/trace.h"
#include "tcgw/oscore.h"

#include <string.h>

/* Requests that are under way ------------------------------------------------------------------------------------- */

struct inbound *inbound_begin(struct server *server, struct incoming *incoming, const struct coapmsg *request)
{
    struct inbound *in = server->stats.held < SERVER_HELD_MAX ? memory_new(sizeof *in) : NULL;

    if (!in)
        return NULL;
    in->server = server;
    in->incoming = incoming;
    in->accept = -1;
    in->token_length = request->token_length;
    memcpy(in->token, request->token, sizeof in->token);
    in->message_id = request->id;
    in->is_confirmable = request->type == COAPMSG_CON;
    list_init(&in->reservation.node);
    list_init(&in->node);
    list_append(&server->held, &in->node);
    server->stats.held++;
    return in;
}

static void end(struct inbound *in)
{
    if (in->number)
        in->server->held_by[in->number % SERVER_HELD_SLOTS]--;
    in->server->stats.held--;
    in->incoming = NULL;
    list_unlink(&in->node);
    keyring_cancel_reservation(&in->reservation);
    if (in->turn.link)
        link_leave(in->server->options.links, &in->turn);
    block_exchange_end(&in->blocks);
    free(steal_pointer(in->message));
    if (!in->is_due)
        free(in);
}

bool inbound_set_credential(struct inbound *in, struct credential *credential)
{
    uint16_t *held = &in->server->held_by[credential->number % SERVER_HELD_SLOTS];

    in->credential = credential;
    in->device = credential->device;
    in->number = credential->number;
    in->is_authentic = true;
    return ++*held <= SERVER_HELD_PER_SLOT;
}

struct device *inbound_find_plain(const struct inbound *in)
{
    char address[CORE_ADDRESS_MAX + 1];

    return keyring_find_plain(in->server->core, peer_format(incoming_peer(in->incoming), address));
}

bool inbound_set_plain(struct inbound *in, struct device *device)
{
    uint16_t *held;

    in->device = device;
    in->number = hash_bytes(0, device->id, strlen(device->id)) | UINT64_C(1) << 63; /* no credential's */
    in->is_authentic = true;
    held = &in->server->held_by[in->number % SERVER_HELD_SLOTS];
    return ++*held <= SERVER_HELD_PER_SLOT;
}

void inbound_verified(struct inbound *in)
{
    const struct peer *peer = incoming_peer(in->incoming);
    char address[CORE_ADDRESS_MAX + 1];

    in->credential->counters.received++;
    /* Requests to a device go where its datagrams come from; a session's peer is no place to connect to. */
    keyring_verified(in->server->core, in->credential, peer->transport == PEER_UDP ? peer_format(peer, address) : NULL);
}

bool inbound_hold(struct inbound *in, const struct coapmsg *message)
{
    size_t size = coapmsg_size(message);
    uint8_t *copy = malloc(size);

    if (!copy || coapmsg_encode(message, copy, size) != size) {
        free(copy);
        return false;
    }
    free(in->message);
    in->message = copy;
    in->message_size = size;
    return true;
}

void inbound_await(struct inbound *in)
{
    in->is_due = true;
    server_await(in->server);
}

bool inbound_came(struct inbound *in)
{
    bool is_wanted = in->incoming != NULL;

    in->is_due = false;
    server_came(in->server);
    if (!is_wanted)
        free(in);
    return is_wanted;
}

void inbound_drop(struct inbound *in, bool keep)
{
    incoming_drop(in->incoming, keep);
    end(in);
}

/* Answers --------------------------------------------------------------------------------------------------------- */

void inbound_deliver(struct inbound *in, struct coapmsg *response)
{
    if (in->in_outer_blocks)
        coapmsg_add_block(response, COAPMSG_OPT_BLOCK1, in->outer_block);
    incoming_answer(in->incoming, response, in->is_authentic);
    end(in);
}

static void deliver_to_stranger(struct inbound *in, struct coapmsg *response)
{
    if (in->is_expected || limiter_take(&in->server->strangers, limiter_peer_key(incoming_peer(in->incoming)))) {
        inbound_deliver(in, response);
        return;
    }
    in->server->stats.rate_limited++;
    inbound_drop(in, false);
}

static void on_reserved(struct reservation *reservation, int result)
{
    struct inbound *in = container_of(reservation, struct inbound, reservation);
    struct coapmsg response;

    if (result == -EOVERFLOW)
        renewal_offer(in, in->credential);
    else if (result < 0 || coapmsg_decode(&response, in->message, in->message_size) != 0)
        inbound_drop(in, true);
    else
        inbound_send(in, &response);
}

/* in->device is not to be relied on when an answer comes. */
static struct device *find_device(const struct inbound *in)
{
    if (in->credential)
        return in->credential->device;
    return in->is_authentic ? inbound_find_plain(in) : NULL;
}

void inbound_trace(const struct inbound *in, bool sent, const struct coapmsg *message)
{
    struct device *device = core_traces_any(in->server->core) ? find_device(in) : NULL;
    enum trace_guard guard = incoming_identity(in->incoming) ? TRACE_SESSION : TRACE_PLAIN;
    enum coapmsg_type type = !in->is_confirmable ? COAPMSG_NON : sent ? COAPMSG_ACK : COAPMSG_CON;
    char address[CORE_ADDRESS_MAX + 1];
    struct coapmsg outer;

    if (!device)
        return;
    if (in->is_protected)
        guard = TRACE_OSCORE;
    coapmsg_init(&outer, type, message->code);
    outer.id = in->message_id;
    coapmsg_set_token(&outer, in->token, in->token_length);
    core_trace_message(device, sent, guard, peer_format(incoming_peer(in->incoming), address), message, &outer);
}

static int protect(struct inbound *in, const struct coapmsg *response, struct coapmsg *sealed)
{
    struct server *server = in->server;
    struct oscore_context *context = in->credential->context;
    uint64_t before = oscore_context_sequence(context);
    int r;

    if (in->credential->state == CREDENTIAL_STALE)
        return OSCORE_E_EXHAUSTED;
    r = oscore_protect_response(context, &in->binding, response, in->flags, sealed, server->sealed, SERVER_MESSAGE_MAX);
    if (oscore_context_sequence(context) != before)
        keyring_spent(server->core, in->credential);
    return r;
}

static void send_protected(struct inbound *in, const struct coapmsg *response)
{
    struct coapmsg sealed;
    int r = protect(in, response, &sealed);

    if (r == 0) {
        inbound_trace(in, true, response);
        in->credential->counters.sent++;
        if (in->wants_observe)
            observers_add(in);
        inbound_deliver(in, &sealed);
    } else if (r == OSCORE_E_RESERVE && inbound_hold(in, response)) {
        in->reservation.done = on_reserved;
        keyring_reserve(in->server->core, in->credential, &in->reservation);
    } else if (r == OSCORE_E_EXHAUSTED) {
        renewal_offer(in, in->credential);
    } else {
        log_error("an answer could not be protected", "device", in->credential->device->id, "error",
                  oscore_error_text(r), NULL);
        inbound_drop(in, true);
    }
}

void inbound_send(struct inbound *in, struct coapmsg *response)
{
    if (*in->payer)
        budget_charge(in->server->core, in->payer, coapmsg_size(response));
    if (in->is_protected) {
        send_protected(in, response);
    } else if (in->is_authentic) {
        inbound_trace(in, true, response);
        if (in->wants_observe)
            observers_add(in);
        inbound_deliver(in, response);
    } else {
        deliver_to_stranger(in, response);
    }
}

void inbound_reply(struct inbound *in, struct coapmsg *response)
{
    struct server *server = in->server;

    in->wants_observe = in->wants_observe && COAPMSG_CLASS(response->code) == 2 && in->blocks.block2.num == 0 &&
                        observers_have_room(server, in->number);
    block_server_answer(server->blocks, &in->blocks, response);
    if (in->wants_observe) {
        coapmsg_add_uint(response, COAPMSG_OPT_OBSERVE, observers_next_value(&server->observers));
        coapmsg_add_uint(response, COAPMSG_OPT_MAX_AGE, OBSERVERS_MAX_AGE);
    }
    inbound_send(in, response);
}

void inbound_reply_text(struct inbound *in, uint8_t code, const char *diagnostic)
{
    struct coapmsg response;

    coapmsg_init(&response, COAPMSG_ACK, code);
    coapmsg_set_payload(&response, diagnostic, strlen(diagnostic));
    inbound_reply(in, &response);
}

void inbound_refuse(struct inbound *in, uint8_t code, const char *diagnostic)
{
    struct coapmsg response;

    in->is_protected = in->is_authentic = false;
    coapmsg_init(&response, COAPMSG_ACK, code);
    coapmsg_add_uint(&response, COAPMSG_OPT_MAX_AGE, 0); /* RFC 8613 section 8.2 */
    coapmsg_set_payload(&response, diagnostic, strlen(diagnostic));
    inbound_send(in, &response);
}
