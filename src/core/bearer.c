#include "core/access_private.h"
#include "core/bodycheck.h"
#include "core/internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

/*
 * Bearer tokens. 256 random bits cannot be guessed, so that a plain SHA-256 of them is as good as a slow hash; only
 * that is stored. The document: {"hash", "role", "tenant", "created", "expires", "used"}, times in wall ms, 0: none.
 */

#define SECRET_SIZE 32
#define HASH_SIZE 32
#define LIFETIME_DEFAULT_S (90 * 86400)
#define LIFETIME_MAX_S (INT64_C(3650) * 86400)
#define SAVE_USE_MS (3600 * 1000) /* the last use is written that seldom */

struct token {
    struct right right;
    uint8_t hash[HASH_SIZE];
    int64_t created, expires, used, saved;
};

int bearer_parse(struct core *core, const char *name, json_t *body, void **object, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"hash", BODY_TEXT, true, false, 2 * HASH_SIZE, 2 * HASH_SIZE, NULL},
        {"role", BODY_TEXT, true, false, 1, 16, NULL},
        {"tenant", BODY_TEXT, false, true, 0, TENANT_NAME_MAX, NULL},
        {"created", BODY_NUMBER, true, false, 0, INT64_MAX, NULL},
        {"expires", BODY_NUMBER, true, false, 0, INT64_MAX, NULL},
        {"used", BODY_NUMBER, false, false, 0, INT64_MAX, NULL},
    };
    struct token *token;

    (void)core, (void)name;
    if (body_check(body, "", rules, array_size(rules), fault))
        return 1;
    *object = token = calloc(1, sizeof *token);
    if (!token)
        return -ENOMEM;
    if (!text_unhex(body_text(body, "hash"), token->hash, HASH_SIZE))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/hash", "/hash is not hexadecimal.");
    token->created = body_number(body, "created", 0);
    token->expires = body_number(body, "expires", 0);
    token->used = token->saved = body_number(body, "used", 0);
    return right_read(&token->right, body, fault);
}

/* Finding ---------------------------------------------------------------------------------------------------------- */

/* Nobody waits for it, and what is lost with a crash is an hour. */
static void save_use(struct core *core, struct document *document, struct token *token)
{
    struct store_batch *batch = store_batch_new();
    cleanup_free char *text = NULL;

    token->saved = token->used;
    if (json_object_set_new(document->body, "used", json_integer(token->used)) == 0)
        text = json_dumps(document->body, JSON_COMPACT | JSON_SORT_KEYS);
    if (!batch || !text) {
        (void)store_batch_free(batch);
        return;
    }
    store_batch_put_document(batch, &(struct store_document){.kind = "token", .key = document->key, .body = text});
    store_submit(core->options.store, batch, NULL, NULL);
}

static void note_use(struct core *core, struct document *document, struct token *token)
{
    token->used = core_wall(core);
    if (token->used - token->saved >= SAVE_USE_MS || token->used < token->saved)
        save_use(core, document, token);
}

/* All of them are looked at, each in the same time. */
static struct document *find(struct core *core, const uint8_t hash[HASH_SIZE])
{
    struct document *found = NULL;

    for (struct document *d = document_first(core, DOCUMENT_TOKEN); d; d = d->hh.next)
        if (CRYPTO_memcmp(((const struct token *)d->object)->hash, hash, HASH_SIZE) == 0)
            found = d;
    return found;
}

bool core_find_token(struct core *core, const char *secret, struct caller *caller)
{
    uint8_t hash[HASH_SIZE];
    struct document *document;
    struct token *token;

    if (strlen(secret) != TOKEN_TEXT - 1 || strncmp(secret, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0 ||
        EVP_Digest(secret, strlen(secret), hash, NULL, EVP_sha256(), NULL) != 1)
        return false;
    document = find(core, hash);
    token = document ? document->object : NULL;
    if (!token || (token->expires && core_wall(core) >= token->expires))
        return false;
    note_use(core, document, token);
    (void)snprintf(caller->name, sizeof caller->name, "token:%s", document->key);
    right_apply(&token->right, caller);
    return true;
}

bool bearer_uses_tenant(struct core *core, const char *tenant)
{
    for (const struct document *d = document_first(core, DOCUMENT_TOKEN); d; d = d->hh.next)
        if (strcmp(((const struct token *)d->object)->right.tenant, tenant) == 0)
            return true;
    return false;
}

/* Made and shown --------------------------------------------------------------------------------------------------- */

static json_t *show(const struct core *core, const char *name, const struct token *token)
{
    return json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o, s:b}", "name", name, "role", role_name(token->right.role),
                     "tenant", *token->right.tenant ? token->right.tenant : NULL, "created_at",
                     json_time(token->created), "expires_at", json_time(token->expires), "last_used_at",
                     json_time(token->used), "expired", token->expires && core_wall(core) >= token->expires);
}

json_t *core_token_json(struct core *core, const char *name)
{
    const struct document *document = document_find(core, DOCUMENT_TOKEN, name);

    return document ? show(core, name, document->object) : NULL;
}

json_t *core_tokens_json(struct core *core)
{
    json_t *list = json_array();

    for (const struct document *d = document_first(core, DOCUMENT_TOKEN); d; d = d->hh.next)
        (void)json_array_append_new(list, show(core, d->key, d->object));
    return list;
}

static int make_secret(char out[TOKEN_TEXT], char hash_text[2 * HASH_SIZE + 1])
{
    uint8_t secret[SECRET_SIZE], hash[HASH_SIZE];
    bool good = getrandom(secret, sizeof secret, 0) == (ssize_t)sizeof secret;

    (void)text_copy(out, TOKEN_TEXT, TOKEN_PREFIX);
    (void)text_hex(secret, sizeof secret, out + strlen(TOKEN_PREFIX));
    OPENSSL_cleanse(secret, sizeof secret);
    good = good && EVP_Digest(out, TOKEN_TEXT - 1, hash, NULL, EVP_sha256(), NULL) == 1;
    (void)text_hex(hash, sizeof hash, hash_text);
    return good ? 0 : -EIO;
}

static int check_body(const struct core *core, const json_t *body, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"name", BODY_TEXT, true, false, 1, CORE_ID_MAX, NULL},
        {"role", BODY_TEXT, true, false, 1, 16, NULL},
        {"tenant", BODY_TEXT, false, true, 0, TENANT_NAME_MAX, NULL},
        {"expires_in", BODY_NUMBER, false, true, 1, LIFETIME_MAX_S, NULL},
    };
    const char *name;

    if (body_check(body, "", rules, array_size(rules), fault) || right_check_tenant(core, body, fault))
        return 1;
    name = body_text(body, "name");
    if (!text_is_name(name, CORE_ID_MAX))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/name",
                            "A token's name has 1 to %d letters, digits and . _ ~ -.", CORE_ID_MAX);
    if (document_find(core, DOCUMENT_TOKEN, name))
        return fault_set(fault, FAULT_ALREADY_EXISTS, "There is a token '%s' already.", name);
    return 0;
}

/* What is stored of it. */
static json_t *make_document(const struct core *core, const json_t *body, const char *hash)
{
    const json_t *lifetime = json_object_get(body, "expires_in");
    int64_t now = core_wall(core), seconds = body_number(body, "expires_in", LIFETIME_DEFAULT_S);

    return json_pack("{s:s, s:s, s:s*, s:I, s:I}", "hash", hash, "role", body_text(body, "role"), "tenant",
                     body_text(body, "tenant"), "created", (json_int_t)now, "expires",
                     json_is_null(lifetime) ? (json_int_t)0 : (json_int_t)(now + seconds * 1000));
}

int core_add_token(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                   json_t **made)
{
    char secret[TOKEN_TEXT], hash[2 * HASH_SIZE + 1];
    const char *name;
    json_t *document;
    int r;

    *made = NULL;
    if (check_body(core, body, fault))
        return 1;
    name = body_text(body, "name");
    r = make_secret(secret, hash);
    document = r ? NULL : make_document(core, body, hash);
    if (r == 0)
        r = document ? document_put(core, DOCUMENT_TOKEN, name, document, done, arg, fault) : -ENOMEM;
    json_decref(document);
    if (r == 0) {
        *made = core_token_json(core, name);
        (void)json_object_set_new(*made, "token", json_string(secret));
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return r;
}

int core_remove_token(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_TOKEN, name, done, arg, fault);
}
