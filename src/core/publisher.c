#include "core/internal.h"
#include "core/trust_private.h"

#include "core/bodycheck.h"

#include <errno.h>
#include <string.h>

/* Publishers: whose code may run at all. */

#define PEM_MAX 4096 /* bytes of a public key */

void publisher_free(void *object)
{
    struct publisher *publisher = object;

    for (size_t i = 0; i < publisher->key_count; i++)
        EVP_PKEY_free(publisher->keys[i].key);
    selector_free(publisher->devices);
    free(publisher);
}

EVP_PKEY *publisher_find_key(struct core *core, const uint8_t *id, size_t size, const struct publisher **out)
{
    for (const struct document *d = document_first(core, DOCUMENT_PUBLISHER); d; d = d->hh.next) {
        struct publisher *publisher = d->object;

        for (size_t i = 0; publisher && i < publisher->key_count; i++)
            if (publisher->keys[i].id_size == size && memcmp(publisher->keys[i].id, id, size) == 0) {
                publisher->name = d->key;
                *out = publisher;
                return publisher->keys[i].key;
            }
    }
    return NULL;
}

/* A key's id is bytes; where its text is hexadecimal it stands for those, or else for itself. */
static void read_id(struct publisher_key *key, const char *text)
{
    size_t size = strlen(text);

    key->id_size = size / 2;
    if (size % 2 == 0 && text_unhex(text, key->id, key->id_size))
        return;
    key->id_size = size;
    memcpy(key->id, text, size);
}

/* The id that our own tools give, written into the body. */
static int set_own_id(json_t *object, EVP_PKEY *key)
{
    uint8_t id[8];
    char text[2 * sizeof id + 1];

    if (cose_key_id(key, id))
        return -ENOMEM;
    return json_object_set_new(object, "id", json_string(text_hex(id, sizeof id, text))) ? -ENOMEM : 0;
}

static int check_unused(struct core *core, const char *name, const struct publisher *publisher,
                        const struct publisher_key *key, const char *pointer, struct fault *fault)
{
    const struct publisher *other;

    for (size_t i = 0; &publisher->keys[i] < key; i++)
        if (publisher->keys[i].id_size == key->id_size && memcmp(publisher->keys[i].id, key->id, key->id_size) == 0)
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "Two keys have the same id.");
    if (publisher_find_key(core, key->id, key->id_size, &other) && strcmp(other->name, name) != 0)
        return fault_set_at(fault, FAULT_CONFLICT, pointer, "Publisher '%s' has a key with this id.", other->name);
    return 0;
}

/* The members of a key, of which the PEM has line feeds, which no other text may have. */
static int check_key(const json_t *object, const char *pointer, struct fault *fault)
{
    static const struct body_rule rules[] = {{"id", BODY_TEXT, false, false, 1, KEY_ID_MAX, NULL}};
    const json_t *pem = json_object_get(object, "public_key");
    json_t *rest = json_copy((json_t *)(uintptr_t)object);
    int r;

    if (json_is_object(rest))
        (void)json_object_del(rest, "public_key");
    r = body_check(rest, pointer, rules, array_size(rules), fault);
    json_decref(rest);
    if (r == 0 && (!json_is_string(pem) || json_string_length(pem) > PEM_MAX))
        r = fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s has no public_key, a PEM of at most %d bytes.",
                         pointer, PEM_MAX);
    return r;
}

static int parse_key(struct core *core, const char *name, struct publisher *publisher, json_t *object,
                     const char *pointer, struct fault *fault)
{
    struct publisher_key *key = &publisher->keys[publisher->key_count];
    char reason[128] = "";
    const char *pem;

    if (check_key(object, pointer, fault))
        return 1;
    pem = body_text(object, "public_key");
    key->key = cose_read_public_key(pem, strlen(pem), reason, sizeof reason);
    if (!key->key)
        return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "The public_key of %s cannot be used: %s", pointer,
                            reason);
    publisher->key_count++; /* freed with it from here on */
    if (!body_text(object, "id") && set_own_id(object, key->key))
        return -ENOMEM;
    read_id(key, body_text(object, "id"));
    return check_unused(core, name, publisher, key, pointer, fault);
}

static int parse_keys(struct core *core, const char *name, struct publisher *publisher, const json_t *keys,
                      struct fault *fault)
{
    char pointer[FAULT_POINTER_SIZE];
    json_t *object;
    size_t i;
    int r;

    if (json_array_size(keys) == 0)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/keys", "/keys is empty.");
    json_array_foreach(keys, i, object)
    {
        (void)snprintf(pointer, sizeof pointer, "/keys/%zu", i);
        r = parse_key(core, name, publisher, object, pointer, fault);
        if (r)
            return r;
    }
    return 0;
}

int publisher_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"keys", BODY_ARRAY, true, false, 0, PUBLISHER_KEYS_MAX, NULL},
        {"artifacts", BODY_ARRAY, true, false, 0, PATTERNS_MAX, NULL},
        {"devices", BODY_OBJECT, false, true, 0, 0, NULL},
        {"revoked", BODY_BOOL, false, false, 0, 0, NULL},
    };
    const json_t *devices = json_object_get(body, "devices");
    struct publisher *publisher;
    int r;

    if (trust_take_name(body, name, fault) || body_check(body, "", rules, array_size(rules), fault) ||
        patterns_check(json_object_get(body, "artifacts"), "/artifacts", fault))
        return 1;
    *object = publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return -ENOMEM;
    publisher->artifacts = json_object_get(body, "artifacts");
    publisher->revoked = json_is_true(json_object_get(body, "revoked"));
    r = parse_keys(core, name, publisher, json_object_get(body, "keys"), fault);
    if (r == 0 && json_is_object(devices))
        r = selector_parse(&publisher->devices, devices, "/devices", fault);
    return r;
}

/* Shown and changed ------------------------------------------------------------------------------------------------ */

static int check_name(const char *name, struct fault *fault)
{
    if (text_is_name(name, CORE_ID_MAX))
        return 0;
    return fault_set(fault, FAULT_INVALID_ID, "A publisher's name has 1 to %d letters, digits and . _ ~ -.",
                     CORE_ID_MAX);
}

int core_put_publisher(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                       struct fault *fault)
{
    if (check_name(name, fault))
        return 1;
    return document_put(core, DOCUMENT_PUBLISHER, name, body, done, arg, fault);
}

int core_remove_publisher(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_PUBLISHER, name, done, arg, fault);
}

json_t *core_publisher_json(struct core *core, const char *name)
{
    return trust_document_json(core, DOCUMENT_PUBLISHER, name);
}

json_t *core_publishers_json(struct core *core)
{
    return trust_documents_json(core, DOCUMENT_PUBLISHER);
}
