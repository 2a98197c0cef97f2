#include "core/event.h"
#include "core/internal.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

/* Who has which credentials, and what becomes of them when a device uses them. */

static const char *const kind_names[CREDENTIAL_KIND_COUNT] = {
    [CREDENTIAL_OSCORE] = "oscore",
    [CREDENTIAL_PSK] = "psk",
    [CREDENTIAL_CERTIFICATE] = "certificate",
};

static const char *const state_names[CREDENTIAL_STATE_COUNT] = {
    [CREDENTIAL_NEW] = "new",
    [CREDENTIAL_ACTIVE] = "active",
    [CREDENTIAL_STALE] = "stale",
};

const char *credential_kind_name(enum credential_kind kind)
{
    return (unsigned)kind < CREDENTIAL_KIND_COUNT ? kind_names[kind] : "invalid";
}

const char *credential_state_name(enum credential_state state)
{
    return (unsigned)state < CREDENTIAL_STATE_COUNT ? state_names[state] : "invalid";
}

enum credential_kind credential_kind_from_name(const char *name)
{
    unsigned kind = 0;

    while (kind < CREDENTIAL_KIND_COUNT && strcmp(kind_names[kind], name) != 0)
        kind++;
    return (enum credential_kind)kind;
}

enum credential_state credential_state_from_name(const char *name)
{
    unsigned state = 0;

    while (state < CREDENTIAL_STATE_COUNT && strcmp(state_names[state], name) != 0)
        state++;
    return (enum credential_state)state;
}

int keyring_init(struct core *core)
{
    int r = oscore_crypto_new(&core->crypto, KEYRING_CIPHERS);

    return r < 0 ? r : oscore_registry_new(&core->registry);
}

void keyring_free(struct core *core)
{
    core->registry = oscore_registry_free(core->registry);
    core->crypto = oscore_crypto_free(core->crypto);
    core->used = context_history_free(core->used);
    OPENSSL_cleanse(core->sealing_key, sizeof core->sealing_key);
}

void keyring_set_port(struct core *core, const struct security_port *port)
{
    core->security = port ? *port : (struct security_port){.dropped = NULL};
}

/* In and out ------------------------------------------------------------------------------------------------------- */

struct credential *credential_new(struct device *device, enum credential_kind kind)
{
    struct credential *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->device = device;
    c->kind = kind;
    c->created = core_wall(device->core);
    list_init(&c->reservations);
    return c;
}

void credential_free(struct credential *c)
{
    if (!c)
        return;
    list_each(node, &c->reservations) list_unlink(node);
    (void)oscore_context_free(c->context);
    OPENSSL_cleanse(c->psk, sizeof c->psk);
    free(c);
}

/* Whether a is used before b. */
static bool goes_before(const struct credential *a, const struct credential *b)
{
    static const int ranks[CREDENTIAL_STATE_COUNT] = {
        [CREDENTIAL_ACTIVE] = 0, [CREDENTIAL_NEW] = 1, [CREDENTIAL_STALE] = 2};

    if (a->kind != b->kind)
        return a->kind < b->kind;
    if (a->state != b->state)
        return ranks[a->state] < ranks[b->state];
    return a->number > b->number;
}

static void link_in_order(struct credential *c)
{
    struct credential **at = &c->device->credentials;

    while (*at && goes_before(*at, c))
        at = &(*at)->next;
    c->next = *at;
    *at = c;
}

static void unlink_from_device(struct credential *c)
{
    struct credential **at = &c->device->credentials;

    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
}

void credential_set_state(struct credential *c, enum credential_state state)
{
    unlink_from_device(c);
    c->state = state;
    link_in_order(c);
    device_changed(c->device);
}

int credential_attach(struct credential *c)
{
    struct core *core = c->device->core;
    int r = c->context ? oscore_registry_add(core->registry, c->context) : index_add_credential(core, c);

    if (r == 0) {
        core->context_count += c->context != NULL;
        link_in_order(c);
        device_changed(c->device);
    }
    return r;
}

void credential_drop(struct credential *c)
{
    struct core *core = c->device->core;

    if (c->context) {
        oscore_registry_remove(core->registry, c->context);
        core->context_count--;
    } else {
        index_drop_credential(core, c);
    }
    unlink_from_device(c);
    device_changed(c->device);
    reservations_finish(&c->reservations, -EIO);
    credential_free(c);
}

void credential_tell_dropped(struct credential *c)
{
    const struct security_port *port = &c->device->core->security;

    if (port->dropped)
        port->dropped(port->arg, c);
}

/* Nobody finds it any more, and everybody is told. */
static void hide_credential(struct credential *c)
{
    c->hidden = true;
    device_changed(c->device);
    credential_tell_dropped(c);
}

void credential_show(struct credential *c)
{
    c->hidden = false;
    device_changed(c->device);
}

/* Hidden ones too. */
static struct credential *find_credential(const struct device *device, uint64_t number)
{
    struct credential *c = device ? device->credentials : NULL;

    while (c && c->number != number)
        c = c->next;
    return c;
}

struct credential *commit_credential(const struct commit *commit)
{
    return find_credential(index_find_device(commit->core, commit->device), commit->number);
}

int credential_commit(struct commit **out, const struct credential *c, core_done_fn done, void *arg)
{
    int r = commit_new(out, c->device->core, done, arg);

    if (r == 0) {
        (void)text_copy((*out)->device, sizeof(*out)->device, c->device->id);
        (*out)->number = c->number;
    }
    return r;
}

/* Look-up ---------------------------------------------------------------------------------------------------------- */

static struct credential *skip_hidden(struct credential *c)
{
    while (c && c->hidden)
        c = c->next;
    return c;
}

struct credential *keyring_of_device(const struct device *device)
{
    return device->removing ? NULL : skip_hidden(device->credentials);
}

struct credential *keyring_find(const struct device *device, enum credential_kind kind, enum credential_state state)
{
    struct credential *c = keyring_of_device(device);

    while (c && (c->kind != kind || c->state != state))
        c = skip_hidden(c->next);
    return c;
}

static struct credential *found(struct credential *c)
{
    return c && !c->hidden && !c->device->removing ? c : NULL;
}

struct credential *keyring_find_oscore(const struct core *core, const void *kid, size_t kid_size,
                                       const void *kid_context, size_t kid_context_size, const struct credential *after)
{
    const struct oscore_context *context = after ? after->context : NULL;

    while ((context = oscore_registry_find(core->registry, kid, kid_size, kid_context, kid_context_size, context))) {
        struct credential *c = found(oscore_context_owner(context));

        if (c)
            return c;
    }
    return NULL;
}

struct credential *keyring_find_psk(const struct core *core, const void *identity, size_t size)
{
    return size <= KEYRING_IDENTITY_MAX ? found(index_find_psk(core, identity, size)) : NULL;
}

struct credential *keyring_find_certificate(const struct core *core, const char *common_name,
                                            const uint8_t fingerprint[32])
{
    struct credential *c = found(index_find_certificate(core, fingerprint));

    return c && strcmp(c->identity, common_name) == 0 ? c : NULL;
}

/* Use -------------------------------------------------------------------------------------------------------------- */

static bool is_older(const struct credential *other, const struct credential *c)
{
    return other->kind == c->kind && other->number < c->number;
}

static bool has_older(const struct credential *c)
{
    for (const struct credential *other = c->device->credentials; other; other = other->next)
        if (is_older(other, c))
            return true;
    return false;
}

static void drop_older(const struct credential *c)
{
    struct credential *other, *next;

    for (other = c->device->credentials; other; other = next) {
        next = other->next;
        if (!is_older(other, c))
            continue;
        if (!other->hidden)
            credential_tell_dropped(other);
        credential_drop(other);
    }
}

static void settle_promotion(struct commit *commit, bool durable, struct fault *fault)
{
    struct credential *c = commit_credential(commit);

    (void)fault;
    if (!c)
        return;
    c->promoting = false;
    if (!durable)
        return; /* its next message tries again */
    if (c->state == CREDENTIAL_NEW) {
        c->first_used = (int64_t)commit->value;
        credential_set_state(c, CREDENTIAL_ACTIVE);
        log_info("device uses its new credentials", "device", c->device->id, "kind", credential_kind_name(c->kind),
                 NULL);
    }
    drop_older(c);
}

/* Both stay good until this is durable. */
static void promote(struct credential *c)
{
    struct commit *commit;

    if (credential_commit(&commit, c, NULL, NULL))
        return;
    c->promoting = true;
    commit->settle = settle_promotion;
    commit->value = (uint64_t)(c->state == CREDENTIAL_NEW ? core_wall(c->device->core) : c->first_used);
    store_batch_set_credential_state(commit->batch, c->device->id, c->number, credential_state_name(CREDENTIAL_ACTIVE),
                                     (int64_t)commit->value);
    for (const struct credential *other = c->device->credentials; other; other = other->next)
        if (is_older(other, c))
            store_batch_delete_credential(commit->batch, c->device->id, other->number);
    if (c->state == CREDENTIAL_NEW)
        event_add(c->device->core, commit->batch, has_older(c) ? EVENT_ROTATED : EVENT_FIRST_USED, c->device->id,
                  "{s:s, s:I}", "credential", credential_kind_name(c->kind), "number", (json_int_t)c->number);
    commit_submit(commit);
}

void device_move(struct device *device, const char *address)
{
    if (strcmp(address, device->address) == 0)
        return;
    log_info("device speaks from another address", "device", device->id, "address", address, "before",
             *device->address ? device->address : "none", NULL);
    device_set_address(device, address);
    device_changed(device);
    device->untold |= 1u << EVENT_DEVICE_MOVED;
    device->dirty = true; /* it need not be durable at once: the device is heard again */
    core_retry_later(device->core);
}

void keyring_verified(struct core *core, struct credential *c, const char *address)
{
    struct device *device = c->device;

    (void)core;
    if (found(c) == NULL)
        return;
    if (address)
        device_move(device, address);
    device_seen(device);
    if (c->state != CREDENTIAL_STALE && !c->promoting && (c->state == CREDENTIAL_NEW || has_older(c)))
        promote(c);
}

/* Revocation ------------------------------------------------------------------------------------------------------- */

/* What a commit hides, so that it can come back. */
struct hidden {
    size_t count;
    uint64_t numbers[];
};

void *credentials_hide(struct device *device, uint64_t number, struct store_batch *batch)
{
    struct hidden *hidden;
    size_t count = 0;

    for (const struct credential *c = device->credentials; c; c = c->next)
        count++;
    hidden = calloc(1, sizeof *hidden + count * sizeof(uint64_t));
    for (struct credential *c = device->credentials; hidden && c; c = c->next) {
        if (c->hidden || (number && c->number != number))
            continue;
        hidden->numbers[hidden->count++] = c->number;
        if (batch)
            store_batch_delete_credential(batch, device->id, c->number);
        hide_credential(c);
    }
    return hidden;
}

bool credentials_holds(const void *from, uint64_t number)
{
    const struct hidden *hidden = from;

    for (size_t i = 0; i < hidden->count; i++)
        if (hidden->numbers[i] == number)
            return true;
    return false;
}

void credentials_show(struct device *device, const void *from)
{
    const struct hidden *hidden = from;

    for (size_t i = 0; i < hidden->count; i++) {
        struct credential *c = find_credential(device, hidden->numbers[i]);

        if (c)
            credential_show(c);
    }
}

static void settle_revocation(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    const struct hidden *hidden = commit->old;

    (void)fault;
    if (!device)
        return;
    if (!durable) {
        credentials_show(device, hidden);
        device_note_security(device);
        return;
    }
    for (size_t i = 0; i < hidden->count; i++) {
        struct credential *c = find_credential(device, hidden->numbers[i]);

        if (c)
            credential_drop(c);
    }
    log_info("credentials revoked", "device", device->id, NULL);
    device_note_security(device);
}

static void tell_revoked(struct commit *commit, const struct device *device)
{
    const struct hidden *hidden = commit->old;
    json_t *numbers = json_array();

    for (size_t i = 0; i < hidden->count; i++)
        (void)json_array_append_new(numbers, json_integer((json_int_t)hidden->numbers[i]));
    if (hidden->count)
        event_add(commit->core, commit->batch, EVENT_REVOKED, device->id, "{s:O}", "numbers", numbers);
    json_decref(numbers);
}

int core_revoke_credentials(struct core *core, struct device *device, uint64_t number, core_done_fn done, void *arg,
                            struct fault *fault)
{
    const struct credential *c = number ? find_credential(device, number) : keyring_of_device(device);
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (number && (!c || c->hidden))
        return fault_set(fault, FAULT_NOT_FOUND, "Device '%s' has no credentials with number %llu.", device->id,
                         (unsigned long long)number);
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    commit->old = credentials_hide(device, number, commit->batch);
    if (!commit->old) {
        commit_free(commit);
        return -ENOMEM;
    }
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    commit->settle = settle_revocation;
    tell_revoked(commit, device);
    commit_submit(commit);
    return 0;
}
