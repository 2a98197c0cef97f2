#include "server_fixture_private.h"

#include "core/budget.h"
#include "core/directory.h"
#include "core/telemetry.h"
#include "core/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

void world_run_reservation(struct later *later)
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
        world_add_later(world_run_reservation)->gadget = gadget_of(credential);
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
        oscore_registry_remove(world_core.registry, gadget->credential.context);
        (void)oscore_context_free(gadget->credential.context);
        gadget->credential.context = later->context;
        gadget->credential.state = CREDENTIAL_ACTIVE;
        (void)oscore_context_set_sequence(later->context, oscore_context_sequence(later->context), 256);
        if (oscore_registry_add(world_core.registry, later->context) < 0)
            abort();
    } else {
        (void)oscore_context_free(later->context);
    }
    reservation->done(reservation, world.renew_result);
}

void keyring_renew(struct core *c, struct credential *credential, struct oscore_context *context,
                   struct reservation *done)
{
    struct later *later = world_add_later(run_renewal);

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
    if (world_core.changed)
        world_core.changed(world_core.changed_arg, &gadget->device, kind);
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
    later = world_add_later(run_put);
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
    later = world_add_later(run_read);
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
    later = world_add_later(run_telemetry);
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
    later = world_add_later(run_telemetry);
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

/* No device is traced. */
bool core_traces_any(const struct core *c)
{
    (void)c;
    return false;
}

void trace_take(const struct device *device, bool sent, enum trace_guard guard, const char *peer,
                const struct coapmsg *message, const struct coapmsg *outer)
{
    (void)device, (void)sent, (void)guard, (void)peer, (void)message, (void)outer;
}

int budget_take(struct core *core, const char *id, const struct budget_request *request, struct fault *fault,
                uint32_t *retry_s)
{
    (void)core;
    (void)id;
    (void)request;
    (void)fault;
    *retry_s = 1;
    return 0;
}

void budget_charge(struct core *core, const char *id, size_t bytes)
{
    (void)core;
    (void)id;
    (void)bytes;
}
