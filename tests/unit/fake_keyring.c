#include "fake_keyring.h"

#include "core/budget.h"
#include "core/directory.h"
#include "core/presence.h"

#include "core/core.h"
#include "core/telemetry.h"
#include "core/trace.h"

#include <check.h>
#include <errno.h>
#include <string.h>

bool fake_asleep;

static void on_timer(uv_timer_t *timer)
{
    fake_keyring_commit(container_of(timer, struct core, timer));
}

void fake_keyring_open(struct core *core, uv_loop_t *loop)
{
    memset(core, 0, sizeof *core);
    core->loop = loop;
    list_init(&core->renewal.waiting);
    ck_assert_int_eq(oscore_crypto_new(&core->crypto, 8), 0);
    (void)uv_timer_init(loop, &core->timer);
}

void fake_keyring_close(struct core *core)
{
    (void)oscore_context_free(core->renewal.context);
    core->crypto = oscore_crypto_free(core->crypto);
    uv_close((uv_handle_t *)&core->timer, NULL);
}

static void commit_later(struct core *core)
{
    core->pending = true;
    if (!core->hold)
        (void)uv_timer_start(&core->timer, on_timer, 0, 0);
}

static void finish(struct reservation *reservation, int result)
{
    list_unlink(&reservation->node);
    reservation->done(reservation, result);
}

static void commit_reservation(struct core *core, struct credential *credential)
{
    credential->reserving = false;
    if (core->result == 0) {
        core->reservations++;
        credential->reserved = oscore_context_sequence(credential->context) + FAKE_STEP;
        if (credential->reserved > OSCORE_SEQUENCE_END)
            credential->reserved = OSCORE_SEQUENCE_END;
        (void)oscore_context_set_sequence(credential->context, oscore_context_sequence(credential->context),
                                          credential->reserved);
    }
    while (!list_empty(&credential->reservations)) {
        int result = core->result;

        if (result == 0 && oscore_context_sequence_left(credential->context) == 0)
            result = -EOVERFLOW;
        finish(list_first(&credential->reservations, struct reservation, node), result);
    }
}

static void commit_renewal(struct core *core)
{
    struct credential *credential = core->renewal.credential;

    core->renewal.credential = NULL;
    if (core->result == 0) {
        core->renewals++;
        if (core->port.dropped)
            core->port.dropped(core->port.arg, credential);
        (void)oscore_context_free(credential->context);
        credential->context = steal_pointer(core->renewal.context);
        credential->reserved = FAKE_STEP;
        credential->state = credential->state == CREDENTIAL_STALE ? CREDENTIAL_ACTIVE : credential->state;
        (void)oscore_context_set_sequence(credential->context, oscore_context_sequence(credential->context), FAKE_STEP);
    }
    core->renewal.context = oscore_context_free(core->renewal.context);
    if (!list_empty(&core->renewal.waiting))
        finish(list_first(&core->renewal.waiting, struct reservation, node), core->result);
}

void fake_keyring_commit(struct core *core)
{
    core->pending = false;
    for (size_t i = 0; i < array_size(core->reserving); i++)
        if (core->reserving[i])
            commit_reservation(core, steal_pointer(core->reserving[i]));
    if (core->renewal.credential)
        commit_renewal(core);
}

static int rank(const struct credential *credential)
{
    static const int ranks[] = {[CREDENTIAL_ACTIVE] = 0, [CREDENTIAL_NEW] = 1, [CREDENTIAL_STALE] = 2};

    return (int)credential->kind * 4 + ranks[credential->state];
}

struct credential *fake_keyring_add(struct core *core, struct device *device, enum credential_kind kind,
                                    enum credential_state state, const struct oscore_credentials *inputs)
{
    struct credential *credential = calloc(1, sizeof *credential), **at = &device->credentials;

    ck_assert_ptr_nonnull(credential);
    credential->device = device;
    credential->number = ++core->next_number;
    credential->kind = kind;
    credential->state = state;
    list_init(&credential->reservations);
    if (inputs)
        ck_assert_int_eq(oscore_context_new(&credential->context, core->crypto, inputs, credential), 0);
    while (*at && rank(*at) <= rank(credential))
        at = &(*at)->next;
    credential->next = *at;
    *at = credential;
    return credential;
}

void fake_keyring_revoke(struct core *core, struct credential *credential)
{
    struct credential **at = &credential->device->credentials;

    while (*at != credential)
        at = &(*at)->next;
    *at = credential->next;
    if (core->port.dropped)
        core->port.dropped(core->port.arg, credential);
    for (size_t i = 0; i < array_size(core->reserving); i++)
        if (core->reserving[i] == credential)
            core->reserving[i] = NULL;
    if (core->renewal.credential == credential) {
        core->renewal.credential = NULL;
        core->renewal.context = oscore_context_free(core->renewal.context);
        if (!list_empty(&core->renewal.waiting))
            finish(list_first(&core->renewal.waiting, struct reservation, node), -EIO);
    }
    while (!list_empty(&credential->reservations))
        finish(list_first(&credential->reservations, struct reservation, node), -EIO);
    (void)oscore_context_free(credential->context);
    free(credential);
}

void fake_keyring_revoke_all(struct core *core, struct device *device)
{
    while (device->credentials)
        fake_keyring_revoke(core, device->credentials);
}

/* keyring.h ------------------------------------------------------------------------------------------------------- */

void keyring_set_port(struct core *core, const struct security_port *port)
{
    core->port = port ? *port : (struct security_port){.dropped = NULL};
}

struct credential *keyring_of_device(const struct device *device)
{
    return device->credentials;
}

struct credential *keyring_find(const struct device *device, enum credential_kind kind, enum credential_state state)
{
    struct credential *credential = device->credentials;

    while (credential && (credential->kind != kind || credential->state != state))
        credential = credential->next;
    return credential;
}

bool keyring_allows_plain(const struct device *device)
{
    return !device->credentials && device->allow_plain;
}

void keyring_reserve(struct core *core, struct credential *credential, struct reservation *reservation)
{
    list_append(&credential->reservations, &reservation->node);
    for (size_t i = 0; i < array_size(core->reserving) && !credential->reserving; i++) {
        if (core->reserving[i])
            continue;
        core->reserving[i] = credential;
        credential->reserving = true;
    }
    commit_later(core);
}

void keyring_cancel_reservation(struct reservation *reservation)
{
    if (reservation->node.next)
        list_unlink(&reservation->node);
}

/* Nothing is reserved ahead: each test meets the end of a step. */
void keyring_spent(struct core *core, struct credential *credential)
{
    (void)core;
    ck_assert_uint_le(oscore_context_sequence(credential->context), credential->reserved);
}

void keyring_verified(struct core *core, struct credential *credential, const char *address)
{
    struct credential *next;

    ck_assert_ptr_null(address); /* a response tells nothing about where the device is */
    core->verified++;
    if (credential->state == CREDENTIAL_NEW)
        credential->state = CREDENTIAL_ACTIVE;
    for (struct credential *other = credential->device->credentials; other; other = next) {
        next = other->next;
        if (other->kind == credential->kind && other->number < credential->number)
            fake_keyring_revoke(core, other);
    }
}

void keyring_renew(struct core *core, struct credential *credential, struct oscore_context *context,
                   struct reservation *done)
{
    ck_assert_ptr_null(core->renewal.credential);
    ck_assert_ptr_eq(oscore_context_owner(context), credential);
    core->renewal.credential = credential;
    core->renewal.context = context;
    list_append(&core->renewal.waiting, &done->node);
    commit_later(core);
}

/* What the server of the room asks, to which nothing is sent here. ------------------------------------------------ */

struct credential *keyring_find_oscore(const struct core *core, const void *kid, size_t kid_size,
                                       const void *kid_context, size_t kid_context_size, const struct credential *after)
{
    (void)core;
    (void)kid;
    (void)kid_size;
    (void)kid_context;
    (void)kid_context_size;
    (void)after;
    return NULL;
}

struct credential *keyring_find_psk(const struct core *core, const void *identity, size_t size)
{
    (void)core;
    (void)identity;
    (void)size;
    return NULL;
}

struct credential *keyring_find_certificate(const struct core *core, const char *common_name,
                                            const uint8_t fingerprint[32])
{
    (void)core;
    (void)common_name;
    (void)fingerprint;
    return NULL;
}

struct device *keyring_find_plain(const struct core *core, const char *address)
{
    (void)core;
    (void)address;
    return NULL;
}

void keyring_heard_plain(struct device *device)
{
    (void)device;
}

bool core_knows_origin(const struct core *core, uint64_t origin)
{
    (void)core;
    (void)origin;
    return false;
}

int core_add_telemetry(struct core *core, struct device *device, const struct telemetry_record *records, size_t count,
                       uint64_t origin, core_done_fn done, void *arg, struct fault *fault, uint32_t *retry_s)
{
    (void)core;
    (void)device;
    (void)records;
    (void)count;
    (void)origin;
    (void)done;
    (void)arg;
    (void)retry_s;
    return fault_set(fault, FAULT_SHUTTING_DOWN, "none here");
}

int core_register_endpoint(struct core *core, const struct directory_source *source, const char *query,
                           const char *links, size_t links_size, core_done_fn done, void *arg, struct fault *fault,
                           uint64_t *number, bool *created)
{
    (void)links;
    (void)links_size;
    (void)number;
    (void)created;
    return core_register_simply(core, source, query, done, arg, fault);
}

int core_register_simply(struct core *core, const struct directory_source *source, const char *query, core_done_fn done,
                         void *arg, struct fault *fault)
{
    (void)core;
    (void)source;
    (void)query;
    (void)done;
    (void)arg;
    return fault_set(fault, FAULT_SHUTTING_DOWN, "none here");
}

int core_update_registration(struct core *core, const struct directory_source *source, uint64_t number,
                             const char *query, core_done_fn done, void *arg, struct fault *fault)
{
    (void)number;
    return core_register_simply(core, source, query, done, arg, fault);
}

int core_remove_registration(struct core *core, const struct directory_source *source, uint64_t number,
                             core_done_fn done, void *arg, struct fault *fault)
{
    (void)number;
    return core_register_simply(core, source, "", done, arg, fault);
}

int core_look_up(const struct core *core, bool endpoints, const char *query, struct buffer *out, struct fault *fault)
{
    (void)endpoints;
    (void)out;
    (void)core;
    (void)query;
    return fault_set(fault, FAULT_SHUTTING_DOWN, "none here");
}

void core_get_directory_stats(const struct core *core, struct directory_stats *out)
{
    (void)core;
    *out = (struct directory_stats){0};
}

int keyring_note_pending(struct core *core, const char *id, const char *address, struct fault *fault)
{
    (void)core;
    (void)id;
    (void)address;
    return fault_set(fault, FAULT_JOIN_CLOSED, "closed");
}

struct device *core_find_device(const struct core *core, const char *id)
{
    (void)core;
    (void)id;
    return NULL;
}

struct shadow core_shadow(const struct device *device, enum shadow_kind kind)
{
    (void)device;
    (void)kind;
    return (struct shadow){.format = -1};
}

uint64_t core_shadow_latest(const struct device *device, enum shadow_kind kind)
{
    (void)device;
    (void)kind;
    return 0;
}

int core_put_shadow(struct core *core, struct device *device, enum shadow_kind kind, struct shadow *shadow,
                    const void *body, core_done_fn done, void *arg, struct fault *fault)
{
    (void)core;
    (void)device;
    (void)kind;
    (void)shadow;
    (void)body;
    (void)done;
    (void)arg;
    return fault_set(fault, FAULT_SHUTTING_DOWN, "none here");
}

int core_read_shadow(struct core *core, struct device *device, enum shadow_kind kind, core_shadow_fn done, void *arg)
{
    (void)core;
    (void)device;
    (void)kind;
    (void)done;
    (void)arg;
    return -ENOMEM;
}

void core_on_shadow(struct core *core, void (*changed)(void *arg, struct device *device, enum shadow_kind kind),
                    void *arg)
{
    (void)core;
    (void)changed;
    (void)arg;
}

bool device_is_awake(const struct device *device)
{
    (void)device;
    return !fake_asleep;
}

/* No device is traced. */
bool core_traces_any(const struct core *core)
{
    (void)core;
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
