#include "server_fixture_private.h"

#include <string.h>

struct core world_core;
struct world world;

static struct later queue[WORLD_LATER_MAX];
static size_t queued;

struct later *world_add_later(void (*run)(struct later *later))
{
    if (queued == WORLD_LATER_MAX)
        abort();
    queue[queued] = (struct later){.run = run};
    return &queue[queued++];
}

void world_run(void)
{
    size_t held = 0;

    while (queued > held) {
        struct later first = queue[held];

        if (world.hold_reservations && first.run == world_run_reservation) {
            held++;
            continue;
        }
        memmove(queue + held, queue + held + 1, (--queued - held) * sizeof queue[0]);
        first.run(&first);
        free(first.body);
    }
}

/* The message layer -------------------------------------------------------------------------------------------------
 */

const struct peer *incoming_peer(const struct incoming *incoming)
{
    return &incoming->peer;
}

const char *incoming_identity(const struct incoming *incoming)
{
    return incoming->identity;
}

const uint8_t *incoming_fingerprint(const struct incoming *incoming)
{
    return incoming->fingerprint;
}

void incoming_answer(struct incoming *incoming, struct coapmsg *response, bool keep)
{
    if (incoming->state != INCOMING_HELD || response->failed)
        abort();
    coapmsg_set_token(response, incoming->token, incoming->token_length);
    incoming->size = coapmsg_encode(response, incoming->answer, sizeof incoming->answer);
    incoming->state = INCOMING_ANSWERED;
    incoming->keep = keep;
}

void incoming_drop(struct incoming *incoming, bool keep)
{
    if (incoming->state != INCOMING_HELD)
        abort();
    incoming->state = INCOMING_DROPPED;
    incoming->keep = keep;
}

void incoming_wait(struct incoming *incoming)
{
    if (incoming->state != INCOMING_HELD)
        abort();
}

int endpoint_notify(struct endpoint *endpoint, const struct peer *peer, struct coapmsg *notification, bool confirmable,
                    void *owner, struct notice **out)
{
    struct notice *notice = calloc(1, sizeof *notice);

    (void)endpoint;
    if (!notice)
        abort();
    notice->owner = owner;
    notice->peer = *peer;
    notice->confirmable = confirmable;
    notice->size = world_encode(notification, notice->bytes);
    list_append(&world.notices, &notice->node);
    if (out)
        *out = notice;
    return 0;
}

void notice_cancel(struct notice *notice)
{
    list_unlink(&notice->node);
    free(notice);
}

struct notice *world_first_notice(void)
{
    return list_empty(&world.notices) ? NULL : list_first(&world.notices, struct notice, node);
}

void world_take_notice(struct notice *notice, int event)
{
    void *owner = notice->owner;

    notice_cancel(notice);
    server_notified(owner, event);
}

size_t world_encode(const struct coapmsg *msg, uint8_t *out)
{
    size_t size = coapmsg_encode(msg, out, 4096);

    if (size == 0)
        abort();
    return size;
}

void world_send(struct incoming *to, const struct peer *peer, const void *datagram, size_t size)
{
    struct coapmsg msg;
    const char *identity = to->identity;
    const uint8_t *fingerprint = to->fingerprint;

    memset(to, 0, sizeof *to);
    to->identity = identity;
    to->fingerprint = fingerprint;
    to->peer = *peer;
    if (coapmsg_decode(&msg, datagram, size) != 0) {
        to->state = INCOMING_DROPPED; /* by the message layer */
        return;
    }
    to->token_length = msg.token_length;
    memcpy(to->token, msg.token, msg.token_length);
    server_request(world.server, to, &msg);
}

/* The devices' side -------------------------------------------------------------------------------------------------
 */

size_t world_protect(struct gadget *gadget, const struct coapmsg *plain, unsigned flags, uint8_t *out)
{
    static uint8_t buffer[8192];
    struct coapmsg outer;

    if (oscore_protect_request(gadget->client, plain, flags, &gadget->binding, &outer, buffer, sizeof buffer) != 0)
        abort();
    return world_encode(&outer, out);
}

void world_read_answer(const struct incoming *from, struct coapmsg *outer)
{
    if (from->state != INCOMING_ANSWERED || coapmsg_decode(outer, from->answer, from->size) != 0)
        abort();
}

int world_open_answer(struct gadget *gadget, const struct incoming *from, struct coapmsg *plain)
{
    static uint8_t buffer[8192];
    struct coapmsg outer;

    world_read_answer(from, &outer);
    return oscore_unprotect_response(gadget->client, &gadget->binding, &outer, plain, buffer, sizeof buffer);
}

uint8_t world_exchange(struct gadget *gadget, const struct coapmsg *plain, struct coapmsg *answer)
{
    struct incoming incoming = {.identity = NULL};
    uint8_t datagram[4096];
    size_t size = world_protect(gadget, plain, 0, datagram);

    world_send(&incoming, &gadget->peer, datagram, size);
    world_run();
    if (incoming.state != INCOMING_ANSWERED || world_open_answer(gadget, &incoming, answer) != 0)
        return 0;
    return answer->code;
}

static void open_contexts(struct gadget *gadget, struct oscore_credentials *credentials)
{
    static const struct oscore_window empty = {.known = true};
    uint8_t id[OSCORE_ID_MAX];

    if (oscore_context_new(&gadget->credential.context, world_core.crypto, credentials, &gadget->credential) != 0)
        abort();
    memcpy(id, credentials->sender_id, sizeof id);
    memcpy(credentials->sender_id, credentials->recipient_id, sizeof id);
    memcpy(credentials->recipient_id, id, sizeof id);
    if (oscore_context_new(&gadget->client, world_core.crypto, credentials, NULL) != 0)
        abort();
    (void)oscore_context_set_sequence(gadget->credential.context, 0, 1 << 20);
    (void)oscore_context_set_sequence(gadget->client, 0, OSCORE_SEQUENCE_END);
    oscore_context_set_window(gadget->credential.context, &empty);
    if (oscore_registry_add(world_core.registry, gadget->credential.context) < 0)
        abort();
}

struct gadget *world_add(const char *id, bool with_context)
{
    struct gadget *gadget = calloc(1, sizeof *gadget);
    struct oscore_credentials credentials = {.algorithm = OSCORE_AES_CCM_16_64_128,
                                             .secret_size = 16,
                                             .sender_id_size = 2,
                                             .recipient_id_size = 2,
                                             .sender_id = {'g', (uint8_t)('0' + world.count)},
                                             .recipient_id = {'d', (uint8_t)('0' + world.count)}};

    if (!gadget || world.count == WORLD_DEVICES)
        abort();
    memset(credentials.secret, (int)world.count + 1, sizeof credentials.secret);
    if (with_context) {
        credentials.has_id_context = true;
        credentials.id_context_size = 3;
        memcpy(credentials.id_context, "ctx", 3);
    }
    (void)text_copy(gadget->device.id, sizeof gadget->device.id, id);
    gadget->device.credentials = &gadget->credential;
    gadget->credential = (struct credential){
        .device = &gadget->device, .number = world.count + 1, .kind = CREDENTIAL_OSCORE, .state = CREDENTIAL_ACTIVE};
    list_init(&gadget->credential.reservations);
    for (size_t i = 0; i < SHADOW_KIND_COUNT; i++)
        gadget->documents[i].shadow.format = -1;
    gadget->peer.transport = PEER_UDP;
    gadget->peer.address.v4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(5683), .sin_addr.s_addr = htonl(0xc0000201 + (uint32_t)world.count)};
    open_contexts(gadget, &credentials);
    world.gadgets[world.count++] = gadget;
    return gadget;
}

void world_forget_window(struct gadget *gadget)
{
    static const struct oscore_window unknown = {.known = false};

    oscore_context_set_window(gadget->credential.context, &unknown);
}

void world_use_psk(struct gadget *gadget, const char *identity)
{
    oscore_registry_remove(world_core.registry, gadget->credential.context);
    gadget->credential.kind = CREDENTIAL_PSK;
    (void)text_copy(gadget->credential.identity, sizeof gadget->credential.identity, identity);
}

void world_use_certificate(struct gadget *gadget, const char *common_name, uint8_t fingerprint)
{
    world_use_psk(gadget, common_name);
    gadget->credential.kind = CREDENTIAL_CERTIFICATE;
    memset(gadget->credential.fingerprint, fingerprint, sizeof gadget->credential.fingerprint);
}

void world_use_plain(struct gadget *gadget)
{
    oscore_registry_remove(world_core.registry, gadget->credential.context);
    gadget->device.credentials = NULL;
    (void)peer_format(&gadget->peer, gadget->device.address);
}

void world_revoke(struct gadget *gadget)
{
    server_dropped(world.server, &gadget->credential);
    oscore_registry_remove(world_core.registry, gadget->credential.context);
    gadget->device.credentials = NULL;
}

struct server_stats world_stats(void)
{
    struct server_stats stats;

    server_get_stats(world.server, &stats);
    return stats;
}

/* The whole ---------------------------------------------------------------------------------------------------------
 */

static void open_server(void)
{
    struct server_options options = {.loop = &world.loop,
                                     .clock = &world.clock.clock,
                                     .core = &world_core,
                                     .updates = &world.updates,
                                     .max_transfers = 64,
                                     .max_observers = 6,
                                     .ack_timeout_ms = 2000,
                                     .max_records = 100,
                                     .max_body = 65536,
                                     .max_unfragmented = 4096};

    if (server_new(&world.server, &options) < 0)
        abort();
}

static void close_server(void)
{
    server_close(world.server, NULL, NULL);
    world_run(); /* it waits for the callbacks that are due */
    (void)uv_run(&world.loop, UV_RUN_DEFAULT);
}

void world_restart_server(void)
{
    close_server();
    open_server();
}

void world_open(void)
{
    world = (struct world){.count = 0};
    clock_manual_init(&world.clock, 1000000, 1700000000000);
    list_init(&world.notices);
    if (uv_loop_init(&world.loop) < 0 || oscore_crypto_new(&world_core.crypto, 64) < 0 ||
        oscore_registry_new(&world_core.registry) < 0)
        abort();
    updates_init(&world.updates, &world.clock.clock);
    open_server();
}

void world_close(void)
{
    close_server();
    updates_clear(&world.updates);
    for (size_t i = 0; i < world.count; i++) {
        struct gadget *gadget = world.gadgets[i];

        oscore_registry_remove(world_core.registry, gadget->credential.context);
        (void)oscore_context_free(gadget->credential.context);
        (void)oscore_context_free(gadget->client);
        free(gadget);
    }
    world_core.registry = oscore_registry_free(world_core.registry);
    world_core.crypto = oscore_crypto_free(world_core.crypto);
    (void)uv_loop_close(&world.loop);
    while (world_first_notice()) /* those that nobody asks about any more */
        notice_cancel(world_first_notice());
}
