#include "core/internal.h"

#include "base/log.h"
#include "codec/seal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

/* Credentials' rows: out with secrets sealed, and in at the start. */

#define META_NUMBER "credential_number" /* the last one given */
#define META_CHECK "sealing_check"      /* known bytes, sealed: tells whether the key is the right one */
#define META_SALT "context_salt"        /* of the marks of contexts that were in use */
#define META_CLEAN "clean_stop"         /* "yes": the windows in the rows are up to date */

static const uint8_t check_text[16] = "tcgw sealing key";

/* Sealed secrets --------------------------------------------------------------------------------------------------- */

/* What a sealed secret belongs to: the device's id and NUL, the kind and NUL, the number. */
struct label {
    uint8_t bytes[CORE_ID_MAX + 1 + 16 + sizeof(uint64_t)];
    size_t size;
};

static struct label label_of(const struct credential *c)
{
    const char *kind = credential_kind_name(c->kind);
    struct label label = {.size = 0};

    memcpy(label.bytes, c->device->id, strlen(c->device->id) + 1);
    label.size = strlen(c->device->id) + 1;
    memcpy(label.bytes + label.size, kind, strlen(kind) + 1);
    label.size += strlen(kind) + 1;
    for (int i = 0; i < 8; i++)
        label.bytes[label.size++] = (uint8_t)(c->number >> 8 * (7 - i));
    return label;
}

#define SECRET_MAX (1 + OSCORE_SECRET_MAX + 1 + OSCORE_SALT_MAX)
static_assert(KEYRING_PSK_MAX <= SECRET_MAX, "a PSK fits");

/* OSCORE: size of the secret, secret, size of the salt, salt. PSK: the key. */
static size_t pack_secret(const struct credential *c, uint8_t out[SECRET_MAX])
{
    const struct oscore_credentials *inputs;
    uint8_t *at = out;

    if (c->kind == CREDENTIAL_PSK) {
        memcpy(out, c->psk, c->psk_size);
        return c->psk_size;
    }
    if (c->kind != CREDENTIAL_OSCORE)
        return 0;
    inputs = oscore_context_credentials(c->context);
    *at++ = inputs->secret_size;
    memcpy(at, inputs->secret, inputs->secret_size);
    at += inputs->secret_size;
    *at++ = inputs->salt_size;
    memcpy(at, inputs->salt, inputs->salt_size);
    return (size_t)(at + inputs->salt_size - out);
}

static bool unpack_oscore(struct oscore_credentials *out, const uint8_t *bytes, size_t size)
{
    size_t secret = size > 0 ? bytes[0] : SIZE_MAX, salt;

    if (secret > OSCORE_SECRET_MAX || size < 2 + secret)
        return false;
    salt = bytes[1 + secret];
    if (salt > OSCORE_SALT_MAX || size != 2 + secret + salt)
        return false;
    out->secret_size = (uint8_t)secret;
    out->salt_size = (uint8_t)salt;
    memcpy(out->secret, bytes + 1, secret);
    memcpy(out->salt, bytes + 2 + secret, salt);
    return true;
}

/* Out -------------------------------------------------------------------------------------------------------------- */

struct texts {
    char sender[2 * OSCORE_ID_MAX + 1], recipient[2 * OSCORE_ID_MAX + 1], context[2 * OSCORE_ID_CONTEXT_MAX + 1];
    char fingerprint[CORE_DIGEST_TEXT];
};

static void fill_oscore(struct store_credential *row, struct texts *texts, const struct credential *c)
{
    const struct oscore_credentials *inputs = oscore_context_credentials(c->context);

    row->algorithm = (int)inputs->algorithm;
    row->sender_id = text_hex(inputs->sender_id, inputs->sender_id_size, texts->sender);
    row->recipient_id = text_hex(inputs->recipient_id, inputs->recipient_id_size, texts->recipient);
    if (inputs->has_id_context)
        row->id_context = text_hex(inputs->id_context, inputs->id_context_size, texts->context);
}

static int seal_secret(const struct credential *c, uint8_t out[SECRET_MAX + SEAL_OVERHEAD], size_t *size)
{
    const struct label label = label_of(c);
    uint8_t secret[SECRET_MAX];
    int r = 0;

    *size = pack_secret(c, secret);
    if (*size) {
        r = seal(c->device->core->sealing_key, label.bytes, label.size, secret, *size, out);
        *size += SEAL_OVERHEAD;
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return r;
}

int batch_put_credential(struct store_batch *batch, const struct credential *c, uint64_t reserved)
{
    struct store_credential row = {.device = c->device->id,
                                   .number = c->number,
                                   .kind = credential_kind_name(c->kind),
                                   .state = credential_state_name(c->state),
                                   .reserved = reserved,
                                   .created = c->created,
                                   .first_used = c->first_used};
    uint8_t sealed[SECRET_MAX + SEAL_OVERHEAD];
    struct texts texts;
    char number[24];
    int r = seal_secret(c, sealed, &row.sealed.size);

    if (r < 0)
        return r;
    if (row.sealed.size)
        row.sealed.data = sealed;
    if (c->kind == CREDENTIAL_OSCORE)
        fill_oscore(&row, &texts, c);
    else
        row.identity = c->identity;
    if (c->kind == CREDENTIAL_CERTIFICATE)
        row.fingerprint = text_hex(c->fingerprint, sizeof c->fingerprint, texts.fingerprint);
    store_batch_put_credential(batch, &row);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)c->device->core->credential_number);
    store_batch_put_meta(batch, &(struct store_meta){META_NUMBER, number});
    return 0;
}

/* In --------------------------------------------------------------------------------------------------------------- */

static bool open_secret(const struct credential *c, const struct store_bytes *sealed, uint8_t out[SECRET_MAX],
                        size_t *size)
{
    const struct label label = label_of(c);

    if (!c->device->core->has_sealing_key || sealed->size < SEAL_OVERHEAD || sealed->size > SECRET_MAX + SEAL_OVERHEAD)
        return false;
    *size = sealed->size - SEAL_OVERHEAD;
    return seal_open(c->device->core->sealing_key, label.bytes, label.size, sealed->data, sealed->size, out) == 0;
}

/* Hex digits of up to `max` bytes; false for anything else. */
static bool read_hex(const char *text, uint8_t *out, size_t max, uint8_t *size)
{
    size_t digits = text ? strlen(text) : 1;

    if (digits % 2 || digits / 2 > max || !text_unhex(text, out, digits / 2))
        return false;
    *size = (uint8_t)(digits / 2);
    return true;
}

static bool take_oscore(struct credential *c, const struct store_credential *row, const uint8_t *secret, size_t size)
{
    struct oscore_credentials inputs = {.algorithm = (enum oscore_algorithm)row->algorithm,
                                        .has_id_context = row->id_context != NULL};
    bool good = unpack_oscore(&inputs, secret, size) &&
                read_hex(row->sender_id, inputs.sender_id, OSCORE_ID_MAX, &inputs.sender_id_size) &&
                read_hex(row->recipient_id, inputs.recipient_id, OSCORE_ID_MAX, &inputs.recipient_id_size) &&
                (!row->id_context ||
                 read_hex(row->id_context, inputs.id_context, OSCORE_ID_CONTEXT_MAX, &inputs.id_context_size)) &&
                oscore_context_new(&c->context, c->device->core->crypto, &inputs, c) == 0;

    OPENSSL_cleanse(&inputs, sizeof inputs);
    return good;
}

static bool take_secret(struct credential *c, const struct store_credential *row)
{
    uint8_t secret[SECRET_MAX];
    size_t size = 0;
    bool good;

    if (c->kind == CREDENTIAL_CERTIFICATE)
        return row->fingerprint && strlen(row->fingerprint) == CORE_DIGEST_TEXT - 1 &&
               text_unhex(row->fingerprint, c->fingerprint, sizeof c->fingerprint);
    good = open_secret(c, &row->sealed, secret, &size);
    if (good && c->kind == CREDENTIAL_OSCORE) {
        good = take_oscore(c, row, secret, size);
    } else if (good) {
        good = size <= KEYRING_PSK_MAX;
        c->psk_size = good ? (uint8_t)size : 0;
        memcpy(c->psk, secret, c->psk_size);
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return good;
}

/* A context goes on behind what may have been used, and needs a reservation first. */
static void take_progress(struct credential *c, const struct store_credential *row)
{
    const struct core *core = c->device->core;

    c->reserved = row->reserved;
    c->saved = (struct oscore_window){row->window_known, row->window_highest, row->window_seen};
    if (c->state == CREDENTIAL_STALE)
        return;
    (void)oscore_context_set_sequence(c->context, row->reserved, row->reserved);
    if (core->clean_stop && row->window_known)
        oscore_context_set_window(c->context, &c->saved);
}

static bool take_row(struct credential *c, const struct store_credential *row)
{
    c->number = row->number;
    c->created = row->created;
    c->first_used = row->first_used;
    c->state = credential_state_from_name(row->state);
    if (c->state == CREDENTIAL_STATE_COUNT || (row->identity && strlen(row->identity) > KEYRING_IDENTITY_MAX))
        return false;
    (void)text_copy(c->identity, sizeof c->identity, row->identity ? row->identity : "");
    if (!take_secret(c, row))
        return false;
    if (c->kind == CREDENTIAL_OSCORE)
        take_progress(c, row);
    return credential_attach(c) == 0;
}

int keyring_load_credential(void *arg, const struct store_credential *row)
{
    struct core *core = arg;
    struct device *device = index_find_device(core, row->device);
    enum credential_kind kind = credential_kind_from_name(row->kind);
    struct credential *c;

    if (!device)
        return 0;
    c = credential_new(device, kind);
    if (!c)
        return -ENOMEM;
    if (kind < CREDENTIAL_KIND_COUNT && take_row(c, row)) {
        if (row->number > core->credential_number)
            core->credential_number = row->number;
        return 0;
    }
    device->credentials_lost = true; /* so that it is not taken for one that never had any */
    log_error("credentials in the database are damaged: enrol the device anew", "device", row->device, NULL);
    credential_free(c);
    return 0;
}

int keyring_load_context(void *arg, const struct store_context *row)
{
    return history_add_loaded(arg, row->mark);
}

/* The gateway's own ------------------------------------------------------------------------------------------------ */

static int verify_check(struct core *core, const char *hex)
{
    uint8_t sealed[sizeof check_text + SEAL_OVERHEAD], opened[sizeof check_text];
    int r;

    if (!core->options.sealing_key)
        return -ENOKEY;
    if (strlen(hex) != 2 * sizeof sealed || !text_unhex(hex, sealed, sizeof sealed))
        return -EKEYREJECTED;
    r = seal_open(core->sealing_key, META_CHECK, strlen(META_CHECK), sealed, sizeof sealed, opened);
    core->has_sealing_key = r == 0;
    return r > 0 ? -EKEYREJECTED : r;
}

int keyring_load_meta(void *arg, const struct store_meta *row)
{
    struct core *core = arg;

    if (strcmp(row->key, META_CHECK) == 0)
        return verify_check(core, row->value);
    if (strcmp(row->key, META_NUMBER) == 0)
        core->credential_number = strtoull(row->value, NULL, 10);
    else if (strcmp(row->key, META_CLEAN) == 0)
        core->clean_stop = true;
    else if (strcmp(row->key, META_SALT) == 0)
        core->has_salt = strlen(row->value) == 2 * sizeof core->context_salt &&
                         text_unhex(row->value, core->context_salt, sizeof core->context_salt);
    return 0;
}

static int make_check(struct core *core, struct store_batch *batch)
{
    uint8_t sealed[sizeof check_text + SEAL_OVERHEAD];
    char hex[2 * sizeof sealed + 1];

    if (seal(core->sealing_key, META_CHECK, strlen(META_CHECK), check_text, sizeof check_text, sealed) < 0)
        return -EIO;
    store_batch_put_meta(batch, &(struct store_meta){META_CHECK, text_hex(sealed, sizeof sealed, hex)});
    core->has_sealing_key = true;
    return 0;
}

static int make_salt(struct core *core, struct store_batch *batch)
{
    char hex[2 * sizeof core->context_salt + 1];

    if (RAND_bytes(core->context_salt, sizeof core->context_salt) != 1)
        return -EIO;
    store_batch_put_meta(batch, &(struct store_meta){META_SALT, text_hex(core->context_salt, 16, hex)});
    core->has_salt = true;
    return 0;
}

static void note_result(void *arg, int result)
{
    *(int *)arg = result;
}

static void forget_windows(struct core *core)
{
    for (struct device *device = core->devices; device; device = device->hh.next)
        for (struct credential *c = device->credentials; c; c = c->next)
            if (c->context)
                oscore_context_set_window(c->context, &(struct oscore_window){.known = false});
}

static void tell_restored(const struct core *core)
{
    char contexts[24];

    (void)snprintf(contexts, sizeof contexts, "%zu", core->context_count);
    log_warning("the database is an older copy: its OSCORE contexts must not be used before they were derived anew "
                "with their devices, and credentials that were revoked since are back",
                "contexts", contexts, NULL);
}

void keyring_remove_clean_mark(struct store_batch *batch)
{
    store_batch_put_meta(batch, &(struct store_meta){META_CLEAN, NULL});
}

/* Before the first message: the windows that were taken over do not count a second time. Where that cannot be written
 * they do not count now, and before anything is answered numbers have to be reserved: then the mark goes, too. */
int keyring_begin(struct core *core)
{
    struct store_batch *batch = store_batch_new();
    int r = 0, result = 0;

    if (!batch)
        return -ENOMEM;
    if (core->options.sealing_key && !core->has_sealing_key)
        r = make_check(core, batch);
    if (r == 0 && !core->has_salt)
        r = make_salt(core, batch);
    if (r < 0) {
        (void)store_batch_free(batch);
        return r;
    }
    keyring_remove_clean_mark(batch);
    store_submit(core->options.store, batch, note_result, &result);
    store_flush(core->options.store);
    core->begun = true;
    if (store_is_restored(core->options.store))
        tell_restored(core);
    if (result < 0) {
        forget_windows(core);
        core->clean_mark_stays = true;
        log_warning("the database cannot be written: replay windows are established anew", NULL);
    }
    return 0;
}

/* After the last message: what changed is written. */
void keyring_end(struct core *core)
{
    struct store_batch *batch = store_batch_new();

    if (!batch)
        return;
    for (struct device *device = core->devices; device; device = device->hh.next)
        for (struct credential *c = device->credentials; c; c = c->next) {
            struct oscore_window now;

            if (!c->context)
                continue;
            oscore_context_get_window(c->context, &now);
            if (now.known != c->saved.known || now.highest != c->saved.highest || now.seen != c->saved.seen)
                store_batch_set_window(batch, device->id, c->number, now.known, now.highest, now.seen);
        }
    store_batch_put_meta(batch, &(struct store_meta){META_CLEAN, "yes"});
    store_submit(core->options.store, batch, NULL, NULL);
}
