#include "core/event.h"
#include "core/internal.h"

#include "base/log.h"
#include "codec/ca.h"
#include "core/bodycheck.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

/* New credentials: made here, or brought along. */

#define SECRET_MIN 16 /* bytes of an imported Master Secret or PSK */
#define SALT_SIZE 8
#define ID_CONTEXT_SIZE 8
#define PSK_SIZE 16
#define DAYS_MAX 36500

static const struct {
    const char *name;
    enum oscore_algorithm algorithm;
    uint8_t key_size;
} algorithms[] = {
    {"AES-CCM-16-64-128", OSCORE_AES_CCM_16_64_128, 16},
    {"AES-CCM-16-128-128", OSCORE_AES_CCM_16_128_128, 16},
    {"A128GCM", OSCORE_AES_GCM_128, 16},
    {"ChaCha20/Poly1305", OSCORE_CHACHA20_POLY1305, 32},
};

#define ALGORITHM_NAMES "AES-CCM-16-64-128 AES-CCM-16-128-128 A128GCM ChaCha20/Poly1305"
#define KIND_RULE                                                                                                      \
    {                                                                                                                  \
        "kind", BODY_CHOICE, false, false, 0, 0, "oscore psk certificate"                                              \
    }

static const struct body_rule oscore_rules[] = {
    KIND_RULE,
    {"algorithm", BODY_CHOICE, false, false, 0, 0, ALGORITHM_NAMES},
    {"master_secret", BODY_TEXT, false, false, 2 * SECRET_MIN, 2 * OSCORE_SECRET_MAX, NULL},
    {"master_salt", BODY_TEXT, false, true, 0, 2 * OSCORE_SALT_MAX, NULL},
    {"sender_id", BODY_TEXT, false, false, 0, 2 * OSCORE_ID_MAX, NULL},
    {"recipient_id", BODY_TEXT, false, false, 0, 2 * OSCORE_ID_MAX, NULL},
    {"id_context", BODY_TEXT, false, true, 0, 2 * OSCORE_ID_CONTEXT_MAX, NULL},
    {"sequence_number", BODY_NUMBER, false, true, 0, OSCORE_SEQUENCE_END - 1, NULL},
    {"fresh", BODY_BOOL, false, false, 0, 0, NULL},
};
static const struct body_rule psk_rules[] = {
    KIND_RULE,
    {"identity", BODY_TEXT, false, false, 1, KEYRING_IDENTITY_MAX, NULL},
    {"key", BODY_TEXT, false, false, 2 * SECRET_MIN, 2 * KEYRING_PSK_MAX, NULL},
};
static const struct body_rule certificate_rules[] = {
    KIND_RULE,
    {"valid_days", BODY_NUMBER, false, false, 1, DAYS_MAX, NULL},
    {"common_name", BODY_TEXT, false, false, 1, KEYRING_IDENTITY_MAX, NULL},
    {"fingerprint", BODY_TEXT, false, false, CORE_DIGEST_TEXT - 1, CORE_DIGEST_TEXT - 1, NULL},
};

static const char *algorithm_name(enum oscore_algorithm algorithm)
{
    for (size_t i = 0; i < array_size(algorithms); i++)
        if (algorithms[i].algorithm == algorithm)
            return algorithms[i].name;
    return "unknown";
}

static size_t find_algorithm(const char *name)
{
    size_t i = 0;

    while (name && i < array_size(algorithms) && strcmp(algorithms[i].name, name) != 0)
        i++;
    return i < array_size(algorithms) ? i : 0;
}

/* Hex digits of a member into out; a missing one or null leaves size at 0. */
static int read_hex(const json_t *body, const char *name, uint8_t *out, uint8_t *size, struct fault *fault)
{
    const char *text = body_text(body, name);
    size_t digits = text ? strlen(text) : 0;
    char pointer[32];

    *size = (uint8_t)(digits / 2);
    if (!text || (digits % 2 == 0 && text_unhex(text, out, digits / 2)))
        return 0;
    (void)snprintf(pointer, sizeof pointer, "/%s", name);
    return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s must be pairs of hexadecimal digits.", pointer);
}

static int check_together(const json_t *body, const char *leader, const char *const *names, struct fault *fault)
{
    char pointer[32];

    for (; *names; names++) {
        if (!json_object_get(body, *names))
            continue;
        (void)snprintf(pointer, sizeof pointer, "/%s", *names);
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer,
                            "%s is for credentials that are brought along, with %s.", pointer, leader);
    }
    return 0;
}

/* OSCORE ----------------------------------------------------------------------------------------------------------- */

struct enrolment {
    struct credential *credential;
    json_t *secrets;   /* for the device */
    json_t **out;      /* where the caller wants them */
    void *replaced;    /* the NEW one that was hidden for this one, or NULL */
    uint64_t reserved; /* sequence numbers of its row */
    bool imported;
    char *private_pem; /* certificate: key and certificate */
};

static bool is_kid_taken(const struct core *core, const uint8_t *kid, size_t size)
{
    return oscore_registry_find(core->registry, kid, size, NULL, 0, NULL) != NULL;
}

/* The shortest of 2 bytes or more of which at most a quarter is taken. */
static int choose_recipient_id(const struct core *core, struct oscore_credentials *inputs)
{
    size_t size = 2;

    while (size < OSCORE_ID_MAX && core->context_count >= (size_t)1 << (8 * size - 2))
        size++;
    inputs->recipient_id_size = (uint8_t)size;
    do {
        if (RAND_bytes(inputs->recipient_id, (int)size) != 1)
            return -EIO;
    } while (is_kid_taken(core, inputs->recipient_id, size));
    return 0;
}

/* A random ID Context goes with a random secret, since B.2 and peers that know many gateways need one. The gateway's
 * own id is of another length than those that it gives. */
static int make_inputs(const struct core *core, const json_t *body, struct oscore_credentials *inputs)
{
    size_t algorithm = find_algorithm(body_text(body, "algorithm"));

    inputs->algorithm = algorithms[algorithm].algorithm;
    inputs->secret_size = algorithms[algorithm].key_size;
    inputs->salt_size = SALT_SIZE;
    inputs->has_id_context = true;
    inputs->id_context_size = ID_CONTEXT_SIZE;
    inputs->sender_id_size = 1;
    inputs->sender_id[0] = 'g';
    if (RAND_priv_bytes(inputs->secret, inputs->secret_size) != 1 ||
        RAND_priv_bytes(inputs->salt, inputs->salt_size) != 1 || RAND_bytes(inputs->id_context, ID_CONTEXT_SIZE) != 1)
        return -EIO;
    return choose_recipient_id(core, inputs);
}

static int read_inputs(const json_t *body, struct oscore_credentials *inputs, struct fault *fault)
{
    const char *problem;

    inputs->algorithm = algorithms[find_algorithm(body_text(body, "algorithm"))].algorithm;
    inputs->has_id_context = body_text(body, "id_context") != NULL;
    if (read_hex(body, "master_secret", inputs->secret, &inputs->secret_size, fault) ||
        read_hex(body, "master_salt", inputs->salt, &inputs->salt_size, fault) ||
        read_hex(body, "sender_id", inputs->sender_id, &inputs->sender_id_size, fault) ||
        read_hex(body, "recipient_id", inputs->recipient_id, &inputs->recipient_id_size, fault) ||
        read_hex(body, "id_context", inputs->id_context, &inputs->id_context_size, fault))
        return 1;
    if (!body_text(body, "sender_id") || !body_text(body, "recipient_id"))
        return fault_set_at(fault, FAULT_INVALID_FIELD, body_text(body, "sender_id") ? "/recipient_id" : "/sender_id",
                            "sender_id and recipient_id are both needed, as the gateway sees them.");
    if (inputs->sender_id_size == inputs->recipient_id_size &&
        memcmp(inputs->sender_id, inputs->recipient_id, inputs->sender_id_size) == 0)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/recipient_id",
                            "Gateway and device cannot have the same id (RFC 8613 section 3.3).");
    problem = oscore_credentials_check(inputs);
    return problem ? fault_set(fault, FAULT_INVALID_FIELD, "%s", problem) : 0;
}

/* An imported context may have been used up to any number: unless somebody vouches for it, and it was not in use here
 * before, it has to be derived anew (Appendix B.2) before it is used. */
static int read_progress(struct core *core, const json_t *body, const struct oscore_credentials *inputs,
                         struct credential *c, struct fault *fault)
{
    bool fresh = json_is_true(json_object_get(body, "fresh"));
    int64_t sequence = body_number(body, "sequence_number", -1);

    if (!fresh && sequence < 0) {
        c->state = CREDENTIAL_STALE;
        return 0;
    }
    if (history_knows(core, inputs))
        return fault_set_at(fault, FAULT_CREDENTIALS_IN_USE, fresh ? "/fresh" : "/sequence_number",
                            "A context with this Master Secret and one of these ids is or was in use here, so its "
                            "sequence numbers cannot be trusted: leave this member out, and the context is derived "
                            "anew.");
    c->reserved = sequence < 0 ? 0 : (uint64_t)sequence;
    return 0;
}

static int derive(struct credential *c, const struct oscore_credentials *inputs, bool fresh)
{
    int r = oscore_context_new(&c->context, c->device->core->crypto, inputs, c);

    if (r != 0)
        return -EIO;
    if (c->state != CREDENTIAL_STALE)
        (void)oscore_context_set_sequence(c->context, c->reserved, c->reserved);
    if (fresh)
        oscore_context_set_window(c->context, &(struct oscore_window){.known = true});
    return 0;
}

static json_t *json_hex(const void *data, size_t size)
{
    char hex[2 * OSCORE_SECRET_MAX + 1];
    json_t *value = json_string(text_hex(data, size, hex));

    OPENSSL_cleanse(hex, sizeof hex);
    return value;
}

/* As the device sees it: its Sender ID is the gateway's Recipient ID. */
static json_t *oscore_secrets(const struct credential *c)
{
    const struct oscore_credentials *i = oscore_context_credentials(c->context);

    return json_pack("{s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "kind", "oscore", "number",
                     (json_int_t)c->number, "device", c->device->id, "algorithm", algorithm_name(i->algorithm), "hkdf",
                     "SHA-256", "master_secret", json_hex(i->secret, i->secret_size), "master_salt",
                     json_hex(i->salt, i->salt_size), "sender_id", json_hex(i->recipient_id, i->recipient_id_size),
                     "recipient_id", json_hex(i->sender_id, i->sender_id_size), "id_context",
                     i->has_id_context ? json_hex(i->id_context, i->id_context_size) : json_null());
}

static int make_oscore(struct enrolment *e, const json_t *body, struct fault *fault)
{
    static const char *const import_only[] = {
        "master_salt", "sender_id", "recipient_id", "id_context", "sequence_number", "fresh", NULL};
    struct credential *c = e->credential;
    struct core *core = c->device->core;
    struct oscore_credentials inputs = {.algorithm = OSCORE_AES_CCM_16_64_128};
    bool import = json_object_get(body, "master_secret") != NULL;
    int r;

    if (import)
        r = read_inputs(body, &inputs, fault) || read_progress(core, body, &inputs, c, fault);
    else
        r = check_together(body, "master_secret", import_only, fault) ? 1 : make_inputs(core, body, &inputs);
    if (r == 0)
        r = derive(c, &inputs, !import || json_is_true(json_object_get(body, "fresh")));
    OPENSSL_cleanse(&inputs, sizeof inputs);
    if (r)
        return r;
    e->reserved = c->state == CREDENTIAL_STALE ? 0 : c->reserved + KEYRING_STEP;
    if (e->reserved > OSCORE_SEQUENCE_END)
        e->reserved = OSCORE_SEQUENCE_END;
    e->secrets = oscore_secrets(c);
    return e->secrets ? 0 : -ENOMEM;
}

/* PSK, certificate ------------------------------------------------------------------------------------------------- */

/* The device's id where that is free, else with a random end: old and new ones have to differ. */
static int choose_identity(struct credential *c)
{
    uint8_t random[4];
    char hex[9];

    (void)text_copy(c->identity, sizeof c->identity, c->device->id);
    while (index_find_psk(c->device->core, c->identity, strlen(c->identity))) {
        if (RAND_bytes(random, sizeof random) != 1)
            return -EIO;
        (void)snprintf(c->identity, sizeof c->identity, "%.54s.%s", c->device->id,
                       text_hex(random, sizeof random, hex));
    }
    return 0;
}

static int make_psk(struct enrolment *e, const json_t *body, struct fault *fault)
{
    struct credential *c = e->credential;
    const char *identity = body_text(body, "identity");
    bool import = json_object_get(body, "key") != NULL;
    int r = 0;

    if (identity && !import)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/identity",
                            "/identity is for a PSK that is brought along, "
                            "with key.");
    if (import && read_hex(body, "key", c->psk, &c->psk_size, fault))
        return 1;
    if (identity)
        (void)text_copy(c->identity, sizeof c->identity, identity);
    else
        r = choose_identity(c);
    if (!import) {
        c->psk_size = PSK_SIZE;
        r = r == 0 && RAND_priv_bytes(c->psk, PSK_SIZE) == 1 ? 0 : -EIO;
    }
    if (r < 0)
        return r;
    e->secrets = json_pack("{s:s, s:I, s:s, s:s, s:o}", "kind", "psk", "number", (json_int_t)c->number, "device",
                           c->device->id, "identity", c->identity, "key", json_hex(c->psk, c->psk_size));
    return e->secrets ? 0 : -ENOMEM;
}

static int issue_certificate(struct enrolment *e, uint32_t days, struct fault *fault)
{
    struct credential *c = e->credential;
    const struct core *core = c->device->core;
    struct ca_certificate made;
    char pem[CA_PEM_MAX], *certificate;
    int r;

    if (!core->options.ca)
        return fault_set(fault, FAULT_CONFLICT, "The gateway has no certificate authority of its own.");
    r = ca_issue(core->options.ca, c->device->id, days, core_wall(core), pem, &made);
    if (r < 0)
        return r;
    memcpy(c->identity, made.common_name, sizeof made.common_name);
    memcpy(c->fingerprint, made.fingerprint, sizeof c->fingerprint);
    certificate = strstr(pem, "-----BEGIN CERTIFICATE");
    if (certificate)
        e->secrets =
            json_pack("{s:s, s:I, s:s, s:s, s:s, s:s%, s:s}", "kind", "certificate", "number", (json_int_t)c->number,
                      "device", c->device->id, "common_name", c->identity, "certificate", certificate, "private_key",
                      pem, (size_t)(certificate - pem), "ca", ca_pem(core->options.ca));
    OPENSSL_cleanse(pem, sizeof pem);
    return e->secrets ? 0 : -ENOMEM;
}

static int make_certificate(struct enrolment *e, const json_t *body, struct fault *fault)
{
    static_assert(sizeof e->credential->identity == sizeof((struct ca_certificate *)0)->common_name, "same size");
    struct credential *c = e->credential;
    const char *fingerprint = body_text(body, "fingerprint"), *name = body_text(body, "common_name");

    if (!fingerprint && !name)
        return issue_certificate(e, (uint32_t)body_number(body, "valid_days", 0), fault);
    if (!fingerprint || !name || json_object_get(body, "valid_days"))
        return fault_set_at(fault, FAULT_INVALID_FIELD, fingerprint ? "/common_name" : "/fingerprint",
                            "A certificate of another authority is given by fingerprint and common_name, both and "
                            "nothing else.");
    if (!text_unhex(fingerprint, c->fingerprint, sizeof c->fingerprint))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/fingerprint", "/fingerprint must be 64 hexadecimal digits.");
    (void)text_copy(c->identity, sizeof c->identity, name);
    e->secrets = json_pack("{s:s, s:I, s:s, s:s, s:s}", "kind", "certificate", "number", (json_int_t)c->number,
                           "device", c->device->id, "common_name", name, "fingerprint", fingerprint);
    return e->secrets ? 0 : -ENOMEM;
}

/* All kinds -------------------------------------------------------------------------------------------------------- */

static const struct {
    const struct body_rule *rules;
    size_t count;
    int (*make)(struct enrolment *e, const json_t *body, struct fault *fault);
} makers[CREDENTIAL_KIND_COUNT] = {
    [CREDENTIAL_OSCORE] = {oscore_rules, array_size(oscore_rules), make_oscore},
    [CREDENTIAL_PSK] = {psk_rules, array_size(psk_rules), make_psk},
    [CREDENTIAL_CERTIFICATE] = {certificate_rules, array_size(certificate_rules), make_certificate},
};

/* jansson frees without wiping. */
static void secrets_free(json_t *secrets)
{
    const char *name;
    json_t *value;

    if (!secrets)
        return;
    json_object_foreach(secrets, name, value) if (json_is_string(value))
        OPENSSL_cleanse((void *)(uintptr_t)json_string_value(value), json_string_length(value));
    json_decref(secrets);
}

static void enrolment_free(void *old)
{
    struct enrolment *e = old;

    secrets_free(e->secrets);
    free(e->replaced);
    free(e);
}

static void drop_replaced(struct device *device, const struct enrolment *e)
{
    struct credential *c, *next;

    for (c = device->credentials; c && e->replaced; c = next) {
        next = c->next;
        if (credentials_holds(e->replaced, c->number))
            credential_drop(c);
    }
}

static void settle_enrolment(struct commit *commit, bool durable, struct fault *fault)
{
    struct enrolment *e = commit->old;
    struct credential *c = commit_credential(commit);

    if (!c) {
        if (durable)
            (void)fault_set(fault, FAULT_NOT_FOUND, "Device '%s' was removed meanwhile.", commit->device);
        return;
    }
    if (!durable) {
        if (e->replaced)
            credentials_show(c->device, e->replaced);
        credential_drop(c);
        return;
    }
    drop_replaced(c->device, e);
    credential_show(c);
    if (c->kind == CREDENTIAL_OSCORE && c->state != CREDENTIAL_STALE)
        credential_set_reserved(c, e->reserved);
    c->device->credentials_lost = false;
    log_info("device enrolled", "device", commit->device, "kind", credential_kind_name(c->kind), "state",
             credential_state_name(c->state), NULL);
    device_note_security(c->device);
    *e->out = steal_pointer(e->secrets);
}

/* The newest of its kind has not been used by the device, or cannot be any more, and is replaced; so is the oldest that
 * goes stale beyond the number that may be kept. */
static struct credential *find_replaced(const struct device *device, enum credential_kind kind)
{
    struct credential *unused = NULL, *stale = NULL;
    unsigned count = 0;

    for (struct credential *c = device->credentials; c; c = c->next) {
        if (c->kind != kind || c->hidden)
            continue;
        count++;
        if (c->state == CREDENTIAL_NEW && !c->promoting)
            unused = c;
        else if (c->state == CREDENTIAL_STALE)
            stale = c; /* the list has the oldest last */
    }
    return unused ? unused : count >= KEYRING_MAX ? stale : NULL;
}

static void tell_enrolment(struct commit *commit, const struct credential *c, bool import)
{
    event_add(commit->core, commit->batch, import ? EVENT_IMPORTED : EVENT_ENROLLED, c->device->id, "{s:s, s:I, s:s}",
              "credential", credential_kind_name(c->kind), "number", (json_int_t)c->number, "state",
              credential_state_name(c->state));
}

static int submit_enrolment(struct enrolment *e, struct commit *commit)
{
    struct credential *c = e->credential;
    const struct credential *replaced = find_replaced(c->device, c->kind);
    int r = batch_put_credential(commit->batch, c, e->reserved);

    if (r == 0 && c->context)
        r = history_add(c->device->core, oscore_context_credentials(c->context), commit->batch);
    if (r == 0 && replaced) {
        e->replaced = credentials_hide(c->device, replaced->number, commit->batch);
        r = e->replaced ? 0 : -ENOMEM;
    }
    if (r)
        return r;
    tell_enrolment(commit, c, e->imported);
    commit_submit(commit);
    return 0;
}

static int take_on(struct enrolment *e, struct fault *fault)
{
    struct credential *c = e->credential;
    int r;

    c->hidden = true; /* until it is durable */
    r = credential_attach(c);
    if (r != -EEXIST)
        return r;
    return fault_set(fault, FAULT_CREDENTIALS_IN_USE,
                     c->kind == CREDENTIAL_OSCORE ? "Other credentials have this pair of Recipient ID and ID Context."
                     : c->kind == CREDENTIAL_PSK  ? "Another PSK has this identity."
                                                  : "Other credentials have this certificate.");
}

static int check_enrolment(struct core *core, const struct device *device, const json_t *body,
                           enum credential_kind *kind, struct fault *fault)
{
    static const struct body_rule kind_rule = KIND_RULE;
    const json_t *name = json_object_get(body, "kind");

    if (core_check_accepting(core, fault))
        return 1;
    if (device->removing)
        return fault_set(fault, FAULT_NOT_FOUND, "Device '%s' is being removed.", device->id);
    if (!core->has_sealing_key)
        return fault_set(fault, FAULT_INTERNAL, "The gateway has no sealing key to store secrets with.");
    if (name && body_check_value(name, "/kind", &kind_rule, fault))
        return 1;
    *kind = name ? credential_kind_from_name(json_string_value(name)) : CREDENTIAL_OSCORE;
    for (const struct credential *c = device->credentials; c; c = c->next)
        if (c->kind == *kind && c->hidden)
            return fault_set(fault, FAULT_CONFLICT,
                             "Credentials of device '%s' are just being stored or revoked; repeat when that is done.",
                             device->id);
    return body_check(body, "", makers[*kind].rules, makers[*kind].count, fault);
}

int core_enrol_device(struct core *core, struct device *device, const json_t *body, core_done_fn done, void *arg,
                      struct fault *fault, json_t **secrets)
{
    enum credential_kind kind = CREDENTIAL_OSCORE;
    struct enrolment *e;
    struct commit *commit;
    int r;

    if (check_enrolment(core, device, body, &kind, fault))
        return 1;
    e = calloc(1, sizeof *e);
    if (!e || commit_new(&commit, core, done, arg)) {
        free(e);
        return -ENOMEM;
    }
    commit->old = e;
    commit->release = enrolment_free;
    commit->settle = settle_enrolment;
    e->out = secrets;
    e->imported =
        json_object_get(body, "master_secret") || json_object_get(body, "key") || json_object_get(body, "fingerprint");
    e->credential = credential_new(device, kind);
    if (!e->credential) {
        commit_free(commit);
        return -ENOMEM;
    }
    commit->number = e->credential->number = ++core->credential_number;
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    r = makers[kind].make(e, body, fault);
    if (r == 0)
        r = take_on(e, fault);
    if (r) {
        credential_free(e->credential);
        commit_free(commit);
        return r;
    }
    r = submit_enrolment(e, commit);
    if (r) {
        credential_drop(e->credential);
        commit_free(commit);
    }
    return r;
}

/* What is known without secrets ------------------------------------------------------------------------------------ */

static json_t *credential_json(const struct credential *c)
{
    const struct oscore_credentials *i = c->context ? oscore_context_credentials(c->context) : NULL;

    return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)c->number, "kind",
                     credential_kind_name(c->kind), "state", credential_state_name(c->state), "algorithm",
                     i ? json_string(algorithm_name(i->algorithm)) : json_null(), "sender_id",
                     i ? json_hex(i->sender_id, i->sender_id_size) : json_null(), "recipient_id",
                     i ? json_hex(i->recipient_id, i->recipient_id_size) : json_null(), "id_context",
                     i && i->has_id_context ? json_hex(i->id_context, i->id_context_size) : json_null(), "identity",
                     *c->identity ? json_string(c->identity) : json_null(), "created_at", json_time(c->created),
                     "first_used_at", json_time(c->first_used), "sequence_number",
                     i ? json_integer((json_int_t)oscore_context_sequence(c->context)) : json_null());
}

json_t *core_credentials_json(const struct device *device)
{
    json_t *array = json_array();

    for (const struct credential *c = device->credentials; c; c = c->next)
        if (!c->hidden)
            (void)json_array_append_new(array, credential_json(c));
    return array;
}
