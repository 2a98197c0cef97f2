#include "server_fixture.h"

#include "core/directory.h"
#include "core/telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct core {
    struct oscore_registry *registry;
    struct oscore_crypto *crypto;
    void (*changed)(void *arg, struct device *device, enum shadow_kind kind);
    void *changed_arg;
};

static struct core core;
struct world world;

/* Callbacks that come later -----------------------------------------------------------------------------------------
 */

struct later {
    void (*run)(struct later *later);
    struct gadget *gadget;
    enum shadow_kind kind;
    core_shadow_fn read;
    core_done_fn done;
    void *arg;
    struct fault fault;
    struct shadow shadow; /* to be stored, with body */
    uint8_t *body;
    struct list *waiting;
    struct oscore_context *context;
};

static struct later queue[WORLD_LATER_MAX];
static size_t queued;

static struct later *add_later(void (*run)(struct later *later))
{
    if (queued == WORLD_LATER_MAX)
        abort();
    queue[queued] = (struct later){.run = run};
    return &queue[queued++];
}

static void run_reservation(struct later *later);

void world_run(void)
{
    size_t held = 0;

    while (queued > held) {
        struct later first = queue[held];

        if (world.hold_reservations && first.run == run_reservation) {
            held++;
            continue;
        }
        memmove(queue + held, queue + held + 1, (--queued - held) * sizeof queue[0]);
        first.run(&first);
        free(first.body);
    }
}

/* The keyring -------------------------------------------------------------------------------------------------------
 */

static struct gadget *gadget_of(const struct credential *credential)
{
    return container_of(credential, struct gadget, credential);
}

struct credential *keyring_of_device(const struct device *device)
{
    return device->credentials;
}

struct credential *keyring_find(const struct device *device, enum credential_kind kind, enum credential_state state)
{
    struct credential *credential = device->credentials;

    return credential && credential->kind == kind && credential->state == state ? credential : NULL;
}

struct credential *keyring_find_oscore(const struct core *c, const void *kid, size_t kid_size, const void *kid_context,
                                       size_t kid_context_size, const struct credential *after)
{
    const struct oscore_context *context =
        oscore_registry_find(c->registry, kid, kid_size, kid_context, kid_context_size, after ? after->context : NULL);

    return context ? oscore_context_owner(context) : NULL;
}

struct credential *keyring_find_psk(const struct core *c, const void *identity, size_t size)
{
    (void)c;
    for (size_t i = 0; i < world.count; i++) {
        struct credential *credential = world.gadgets[i]->device.credentials;

        if (credential && credential->kind == CREDENTIAL_PSK && strlen(credential->identity) == size &&
            memcmp(credential->identity, identity, size) == 0)
            return credential;
    }
    return NULL;
}

struct credential *keyring_find_certificate(const struct core *c, const char *common_name,
                                            const uint8_t fingerprint[32])
{
    (void)c;
    for (size_t i = 0; i < world.count; i++) {
        struct credential *credential = world.gadgets[i]->device.credentials;

        if (credential && credential->kind == CREDENTIAL_CERTIFICATE &&
            memcmp(credential->fingerprint, fingerprint, sizeof credential->fingerprint) == 0)
            return strcmp(credential->identity, common_name) == 0 ? credential : NULL;
    }
    return NULL;
}

void keyring_verified(struct core *c, struct credential *credential, const char *address)
{
    struct gadget *gadget = gadget_of(credential);

    (void)c;
    gadget->verified++;
    if (address)
        (void)text_copy(gadget->address, sizeof gadget->address, address);
    if (credential->state == CREDENTIAL_NEW)
        credential->state = CREDENTIAL_ACTIVE;
}

struct device *keyring_find_plain(const struct core *c, const char *address)
{
    (void)c;
    for (size_t i = 0; i < world.count; i++)
        if (!world.gadgets[i]->device.credentials && strcmp(world.gadgets[i]->device.address, address) == 0)
            return &world.gadgets[i]->device;
    return NULL;
}

void keyring_heard_plain(struct device *device)
{
    container_of(device, struct gadget, device)->verified++;
}

static void run_reservation(struct later *later)
{
    struct credential *credential = &later->gadget->credential;
    uint64_t next = oscore_context_sequence(credential->context);

    credential->reserving = false;
    if (world.reserve_result == 0 && next < OSCORE_SEQUENCE_END)
        (void)oscore_context_set_sequence(credential->context, next, next + 256);
    while (!list_empty(&credential->reservations)) {
        struct reservation *first = list_first(&credential->reservations, struct reservation, node);

        list_unlink(&first->node);
        first->done(first, next < OSCORE_SEQUENCE_END ? world.reserve_result : -EOVERFLOW);
    }
}

void keyring_reserve(struct core *c, struct credential *credential, struct reservation *reservation)
{
    (void)c;
    world.reserved++;
    list_append(&credential->reservations, &reservation->node);
    if (!credential->reserving)
        add_later(run_reservation)->gadget = gadget_of(credential);
    credential->reserving = true;
}

void keyring_cancel_reservation(struct reservation *reservation)
{
    list_unlink(&reservation->node);
}

void keyring_spent(struct core *c, struct credential *credential)
{
    (void)c;
    (void)credential;
}

static void run_renewal(struct later *later)
{
    struct gadget *gadget = later->gadget;
    struct reservation *reservation;

    if (list_empty(later->waiting)) { /* it was cancelled */
        (void)oscore_context_free(later->context);
        free(later->waiting);
        return;
    }
    reservation = list_first(later->waiting, struct reservation, node);
    list_unlink(&reservation->node);
    free(later->waiting);
    if (world.renew_result == 0) {
        server_dropped(world.server, &gadget->credential);
        oscore_registry_remove(core.registry, gadget->credential.context);
        (void)oscore_context_free(gadget->credential.context);
        gadget->credential.context = later->context;
        gadget->credential.state = CREDENTIAL_ACTIVE;
        (void)oscore_context_set_sequence(later->context, oscore_context_sequence(later->context), 256);
        if (oscore_registry_add(core.registry, later->context) < 0)
            abort();
    } else {
        (void)oscore_context_free(later->context);
    }
    reservation->done(reservation, world.renew_result);
}

void keyring_renew(struct core *c, struct credential *credential, struct oscore_context *context,
                   struct reservation *done)
{
    struct later *later = add_later(run_renewal);

    (void)c;
    later->waiting = malloc(sizeof *later->waiting);
    if (!later->waiting)
        abort();
    list_init(later->waiting);
    list_append(later->waiting, &done->node);
    later->gadget = gadget_of(credential);
    later->context = context;
}

int keyring_note_pending(struct core *c, const char *id, const char *address, struct fault *fault)
{
    (void)c;
    (void)address;
    if (!world.join_is_open)
        return fault_set(fault, FAULT_JOIN_CLOSED, "closed");
    (void)text_copy(world.pending, sizeof world.pending, id);
    return 0;
}

/* Shadows -----------------------------------------------------------------------------------------------------------
 */

static struct gadget *gadget_of_device(const struct device *device)
{
    return container_of(device, struct gadget, device);
}

struct shadow core_shadow(const struct device *device, enum shadow_kind kind)
{
    return gadget_of_device(device)->documents[kind].shadow;
}

uint64_t core_shadow_latest(const struct device *device, enum shadow_kind kind)
{
    return core_shadow(device, kind).revision;
}

static void store(struct gadget *gadget, enum shadow_kind kind, const struct shadow *shadow, const void *body)
{
    struct document *document = &gadget->documents[kind];

    document->shadow = *shadow;
    if (shadow->size)
        memcpy(document->body, body, shadow->size);
    if (core.changed)
        core.changed(core.changed_arg, &gadget->device, kind);
}

static void run_put(struct later *later)
{
    if (later->fault.code == FAULT_NONE)
        store(later->gadget, later->kind, &later->shadow, later->body);
    later->done(later->arg, &later->fault);
}

int core_put_shadow(struct core *c, struct device *device, enum shadow_kind kind, struct shadow *shadow,
                    const void *body, core_done_fn done, void *arg, struct fault *fault)
{
    struct gadget *gadget = gadget_of_device(device);
    struct later *later;

    (void)c;
    world.puts++;
    if (shadow->size > WORLD_DOCUMENT_MAX - 4096)
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "too large");
    later = add_later(run_put);
    later->gadget = gadget;
    later->kind = kind;
    later->done = done;
    later->arg = arg;
    later->fault.code = world.put_fault;
    shadow->revision = gadget->documents[kind].shadow.revision + 1;
    shadow->updated = 1;
    later->shadow = *shadow;
    later->body = malloc(shadow->size + 1);
    if (!later->body)
        abort();
    if (shadow->size)
        memcpy(later->body, body, shadow->size);
    return 0;
}

static void run_read(struct later *later)
{
    struct document *document = &later->gadget->documents[later->kind];
    int result = world.read_result ? world.read_result : document->shadow.revision ? 0 : -ENOENT;

    later->read(later->arg, result, result ? NULL : &document->shadow, result ? NULL : document->body);
}

int core_read_shadow(struct core *c, struct device *device, enum shadow_kind kind, core_shadow_fn done, void *arg)
{
    struct later *later;

    (void)c;
    world.reads++;
    if (world.refuse_reads)
        return -ENOMEM;
    later = add_later(run_read);
    later->gadget = gadget_of_device(device);
    later->kind = kind;
    later->read = done;
    later->arg = arg;
    return 0;
}

/* Telemetry -------------------------------------------------------------------------------------------------------- */

bool core_knows_origin(const struct core *c, uint64_t origin)
{
    (void)c;
    for (size_t i = 0; i < world.origin_count; i++)
        if (world.origins[i] == origin)
            return true;
    return false;
}

static void run_telemetry(struct later *later)
{
    later->done(later->arg, &later->fault);
}

int core_add_telemetry(struct core *c, struct device *device, const struct telemetry_record *records, size_t count,
                       uint64_t origin, core_done_fn done, void *arg, struct fault *fault, uint32_t *retry_s)
{
    struct later *later;

    (void)c;
    *retry_s = 7;
    if (world.telemetry_fault)
        return fault_set(fault, world.telemetry_fault, "the fault of the test");
    world.telemetry_device = device;
    world.telemetry_messages++;
    world.telemetry_records += count;
    world.telemetry_last = records[count - 1];
    (void)text_copy(world.telemetry_name, sizeof world.telemetry_name, records[count - 1].name);
    (void)text_copy(world.telemetry_unit, sizeof world.telemetry_unit, records[count - 1].unit);
    world.telemetry_origin = origin;
    later = add_later(run_telemetry);
    later->done = done;
    later->arg = arg;
    later->fault.code = world.telemetry_result;
    return 0;
}

/* The directory ---------------------------------------------------------------------------------------------------- */

static int note_directory(const char *call, const struct directory_source *source, const char *query, core_done_fn done,
                          void *arg, struct fault *fault)
{
    struct later *later;

    if (world.directory_fault)
        return fault_set(fault, world.directory_fault, "the fault of the test");
    (void)text_copy(world.directory_call, sizeof world.directory_call, call);
    (void)text_copy(world.directory_query, sizeof world.directory_query, query);
    (void)text_copy(world.directory_source, sizeof world.directory_source, source->address);
    world.directory_device = source->device;
    later = add_later(run_telemetry);
    later->done = done;
    later->arg = arg;
    later->fault.code = world.directory_result;
    return 0;
}

int core_register_endpoint(struct core *c, const struct directory_source *source, const char *query, const char *links,
                           size_t links_size, core_done_fn done, void *arg, struct fault *fault, uint64_t *number,
                           bool *created)
{
    (void)c;
    (void)snprintf(world.directory_links, sizeof world.directory_links, "%.*s", (int)links_size,
                   links_size ? links : "");
    *number = world.directory_number;
    *created = true;
    return note_directory("register", source, query, done, arg, fault);
}

int core_register_simply(struct core *c, const struct directory_source *source, const char *query, core_done_fn done,
                         void *arg, struct fault *fault)
{
    (void)c;
    return note_directory("simple", source, query, done, arg, fault);
}

int core_update_registration(struct core *c, const struct directory_source *source, uint64_t number, const char *query,
                             core_done_fn done, void *arg, struct fault *fault)
{
    (void)c;
    world.directory_number = number;
    return note_directory("update", source, query, done, arg, fault);
}

int core_remove_registration(struct core *c, const struct directory_source *source, uint64_t number, core_done_fn done,
                             void *arg, struct fault *fault)
{
    (void)c;
    world.directory_number = number;
    return note_directory("remove", source, "", done, arg, fault);
}

int core_look_up(const struct core *c, bool endpoints, const char *query, struct buffer *out, struct fault *fault)
{
    (void)c;
    world.directory_lookups++;
    if (world.directory_fault)
        return fault_set(fault, world.directory_fault, "the fault of the test");
    (void)text_copy(world.directory_call, sizeof world.directory_call, endpoints ? "ep" : "res");
    (void)text_copy(world.directory_query, sizeof world.directory_query, query);
    buffer_append_text(out, world.directory_answer ? world.directory_answer : "");
    return 0;
}

void core_get_directory_stats(const struct core *c, struct directory_stats *out)
{
    (void)c;
    *out = (struct directory_stats){.changes = world.directory_changes};
}

void core_on_shadow(struct core *c, void (*changed)(void *arg, struct device *device, enum shadow_kind kind), void *arg)
{
    c->changed = changed;
    c->changed_arg = arg;
}

void world_write_desired(struct gadget *gadget, int format, const void *body, size_t size)
{
    struct shadow shadow = {gadget->documents[SHADOW_DESIRED].shadow.revision + 1, format, size, 1};

    store(gadget, SHADOW_DESIRED, &shadow, body);
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

    if (oscore_context_new(&gadget->credential.context, core.crypto, credentials, &gadget->credential) != 0)
        abort();
    memcpy(id, credentials->sender_id, sizeof id);
    memcpy(credentials->sender_id, credentials->recipient_id, sizeof id);
    memcpy(credentials->recipient_id, id, sizeof id);
    if (oscore_context_new(&gadget->client, core.crypto, credentials, NULL) != 0)
        abort();
    (void)oscore_context_set_sequence(gadget->credential.context, 0, 1 << 20);
    (void)oscore_context_set_sequence(gadget->client, 0, OSCORE_SEQUENCE_END);
    oscore_context_set_window(gadget->credential.context, &empty);
    if (oscore_registry_add(core.registry, gadget->credential.context) < 0)
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
    oscore_registry_remove(core.registry, gadget->credential.context);
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
    oscore_registry_remove(core.registry, gadget->credential.context);
    gadget->device.credentials = NULL;
    (void)peer_format(&gadget->peer, gadget->device.address);
}

void world_revoke(struct gadget *gadget)
{
    server_dropped(world.server, &gadget->credential);
    oscore_registry_remove(core.registry, gadget->credential.context);
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
                                     .core = &core,
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
    if (uv_loop_init(&world.loop) < 0 || oscore_crypto_new(&core.crypto, 64) < 0 ||
        oscore_registry_new(&core.registry) < 0)
        abort();
    open_server();
}

void world_close(void)
{
    close_server();
    for (size_t i = 0; i < world.count; i++) {
        struct gadget *gadget = world.gadgets[i];

        oscore_registry_remove(core.registry, gadget->credential.context);
        (void)oscore_context_free(gadget->credential.context);
        (void)oscore_context_free(gadget->client);
        free(gadget);
    }
    core.registry = oscore_registry_free(core.registry);
    core.crypto = oscore_crypto_free(core.crypto);
    (void)uv_loop_close(&world.loop);
    while (world_first_notice()) /* those that nobody asks about any more */
        notice_cancel(world_first_notice());
}
