#include "tcgw/metadata.h"

#include "base/cleanup.h"
#include "codec/token.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

static const char *const type_names[CONTAINER_TYPE_COUNT] = {
    [CONTAINER_TYPE_UNDEFINED] = "undefined",
    [CONTAINER_TYPE_NATIVE] = "native",
    [CONTAINER_TYPE_SHELL] = "shell",
    [CONTAINER_TYPE_RBPF] = "rbpf",
    [CONTAINER_TYPE_WASM] = "wasm",
    [CONTAINER_TYPE_JAVACARD] = "javacard",
    [CONTAINER_TYPE_JAVASCRIPT] = "javascript",
    [CONTAINER_TYPE_PYTHON] = "python",
    [CONTAINER_TYPE_SUIT] = "suit",
};
static const char *const syscall_names[CONTAINER_SYSCALL_COUNT] = {
    [CONTAINER_SYSCALL_HEARTBEAT] = "heartbeat", [CONTAINER_SYSCALL_OPEN] = "open",
    [CONTAINER_SYSCALL_CLOSE] = "close",         [CONTAINER_SYSCALL_READ] = "read",
    [CONTAINER_SYSCALL_WRITE] = "write",
};
static const char *const peer_names[] = {
    [ENDPOINT_PEER_CONTAINER] = "container",
    [ENDPOINT_PEER_LOCAL] = "local",
    [ENDPOINT_PEER_REMOTE] = "remote",
};
static const char *const direction_names[] = {
    [ENDPOINT_IN] = "in",
    [ENDPOINT_OUT] = "out",
    [ENDPOINT_BOTH] = "both",
};

/* The index of a name in a table that may have gaps, -1 when it is not there. */
static int find_name(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

const char *container_type_name(enum container_type type)
{
    return type_names[(unsigned)type < CONTAINER_TYPE_COUNT ? type : CONTAINER_TYPE_UNDEFINED];
}

enum container_type container_type_from_name(const char *name)
{
    int i = find_name(type_names, array_size(type_names), name);

    return i < 0 ? CONTAINER_TYPE_COUNT : (enum container_type)i;
}

const char *container_syscall_name(unsigned id)
{
    return id < CONTAINER_SYSCALL_COUNT ? syscall_names[id] : NULL;
}

unsigned container_syscall_from_name(const char *name)
{
    int i = find_name(syscall_names, array_size(syscall_names), name);

    return i < 0 ? 0 : (unsigned)i;
}

const char *endpoint_peer_name(enum endpoint_peer peer)
{
    return (unsigned)peer < array_size(peer_names) ? peer_names[peer] : "unknown";
}

const char *endpoint_direction_name(enum endpoint_direction dir)
{
    return (unsigned)dir < array_size(direction_names) ? direction_names[dir] : "unknown";
}

int endpoint_peer_from_name(const char *name)
{
    return find_name(peer_names, array_size(peer_names), name);
}

int endpoint_direction_from_name(const char *name)
{
    return find_name(direction_names, array_size(direction_names), name);
}

static bool endpoint_is_valid(const struct metadata *md, size_t index)
{
    const struct container_endpoint *e = &md->endpoints[index];

    for (size_t i = 0; i < index; i++)
        if (md->endpoints[i].id == e->id)
            return false;
    return (unsigned)e->peer <= ENDPOINT_PEER_REMOTE && (unsigned)e->direction <= ENDPOINT_BOTH &&
           memchr(e->peer_uid, 0, sizeof e->peer_uid) && (e->peer != ENDPOINT_PEER_CONTAINER || e->peer_uid[0]);
}

static bool is_valid(const struct metadata *md)
{
    if (md->uid_length < 1 || md->uid_length > METADATA_UID_MAX || memchr(md->uid, 0, md->uid_length) ||
        (unsigned)md->type >= CONTAINER_TYPE_SUIT || md->endpoint_count > METADATA_MAX_ENDPOINTS)
        return false;
    for (size_t i = 0; i < md->endpoint_count; i++)
        if (!endpoint_is_valid(md, i))
            return false;
    return true;
}

struct digests {
    uint8_t data[METADATA_DIGEST_SIZE];
    uint8_t code[METADATA_DIGEST_SIZE];
};

/* One signer for the four tokens; r keeps its first error. */
struct signer {
    metadata_sign_fn sign; /* NULL: signatures of zeros */
    void *arg;
    int r;
};

/* A token inside a byte string, as every one stands in the metadata. */
static void put_token(struct cborio_writer *w, struct signer *signer, int64_t claim, const uint8_t *value, size_t size)
{
    uint8_t token[METADATA_TOKEN_SIZE];
    struct cborio_writer inner = cborio_writer_init(token, sizeof token);

    if (!signer->r)
        signer->r = token_put(&inner, claim, value, size, signer->sign, signer->arg);
    cborio_put_bytes(w, token, inner.used);
}

static void put_mask(struct cborio_writer *w, struct signer *signer, uint32_t mask)
{
    uint8_t bytes[TOKEN_MASK_MAX];
    size_t size = 1;

    while (size < sizeof bytes && mask >> (8 * size))
        size++;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(mask >> (8 * (size - 1 - i)));
    put_token(w, signer, TOKEN_CLAIM_MASK, bytes, size);
}

static void put_container(struct cborio_writer *w, const struct metadata *md, struct signer *signer)
{
    cborio_put_map(w, 3);
    cborio_put_uint(w, 1);
    cborio_put_bytes(w, md->uid, md->uid_length);
    cborio_put_uint(w, 2);
    cborio_put_uint(w, md->type);
    cborio_put_uint(w, 3);
    put_mask(w, signer, md->syscall_mask);
}

static void put_endpoint(struct cborio_writer *w, const struct container_endpoint *e)
{
    cborio_put_map(w, e->peer_uid[0] ? 5 : 4);
    cborio_put_uint(w, 1);
    cborio_put_uint(w, e->id);
    cborio_put_uint(w, 2);
    cborio_put_uint(w, e->peer);
    if (e->peer_uid[0]) {
        cborio_put_uint(w, 3);
        cborio_put_bytes(w, e->peer_uid, strlen(e->peer_uid));
    }
    cborio_put_uint(w, 4);
    cborio_put_uint(w, e->peer_endpoint);
    cborio_put_uint(w, 5);
    cborio_put_uint(w, e->direction);
}

static void put_endpoints(struct cborio_writer *w, const struct metadata *md)
{
    cborio_put_array(w, md->endpoint_count);
    for (size_t i = 0; i < md->endpoint_count; i++)
        put_endpoint(w, &md->endpoints[i]);
}

/* The metadata token comes last and covers all before it, so its digest is zero here. */
static void put_security(struct cborio_writer *w, const struct metadata *md, const struct digests *digests,
                         struct signer *signer)
{
    static const uint8_t none[METADATA_DIGEST_SIZE];
    struct signer nobody = {NULL, NULL, 0};

    cborio_put_array(w, 8);
    cborio_put_uint(w, md->limits.start_max_duration);
    cborio_put_uint(w, md->limits.loop_period);
    cborio_put_uint(w, md->limits.loop_max_duration);
    cborio_put_uint(w, md->limits.loop_max_lifetime);
    cborio_put_uint(w, md->limits.stop_max_duration);
    put_token(w, signer, TOKEN_CLAIM_DIGEST, digests->data, METADATA_DIGEST_SIZE);
    put_token(w, signer, TOKEN_CLAIM_DIGEST, digests->code, METADATA_DIGEST_SIZE);
    put_token(w, &nobody, TOKEN_CLAIM_DIGEST, none, METADATA_DIGEST_SIZE);
}

static void put_part(struct cborio_writer *w, unsigned key, const struct cborio_writer *part)
{
    cborio_put_uint(w, key);
    cborio_put_bytes(w, part->out, part->used);
    w->failed |= part->failed;
}

/* Everything but the real metadata token. Returns the size, 0 when it does not fit. */
static size_t put_all(const struct metadata *md, const struct digests *digests, struct signer *signer, uint8_t *out,
                      size_t size)
{
    uint8_t content[METADATA_MAX_SIZE];
    struct cborio_writer w = cborio_writer_init(out, size), part = cborio_writer_init(content, sizeof content);

    cborio_put_tag(&w, METADATA_TAG);
    cborio_put_map(&w, 3);
    put_container(&part, md, signer);
    put_part(&w, 1, &part);
    part.used = 0;
    put_endpoints(&part, md);
    put_part(&w, 2, &part);
    part.used = 0;
    put_security(&part, md, digests, signer);
    put_part(&w, 3, &part);
    return cborio_written(&w);
}

int metadata_build(const struct metadata *md, const void *data, size_t data_size, const void *code, size_t code_size,
                   metadata_sign_fn sign, void *arg, uint8_t *out, size_t size)
{
    struct signer signer = {sign, arg, 0};
    struct digests digests;
    uint8_t covered[METADATA_DIGEST_SIZE];
    struct cborio_writer last;
    size_t written;

    if (!is_valid(md))
        return 0;
    token_digest(data, data_size, NULL, 0, digests.data);
    token_digest(code, code_size, NULL, 0, digests.code);
    written = put_all(md, &digests, &signer, out, size);
    if (written == 0)
        return 0;
    token_digest(out, written - METADATA_TOKEN_SIZE, NULL, 0, covered);
    last = cborio_writer_init(out + written - METADATA_TOKEN_SIZE, METADATA_TOKEN_SIZE);
    if (!signer.r)
        signer.r = token_put(&last, TOKEN_CLAIM_DIGEST, covered, sizeof covered, sign, arg);
    if (signer.r)
        return signer.r < 0 ? signer.r : -EKEYREJECTED;
    return (int)written;
}

size_t metadata_size(const struct metadata *md)
{
    static const struct digests none;
    struct signer nobody = {NULL, NULL, 0};
    uint8_t out[METADATA_MAX_SIZE];

    return is_valid(md) ? put_all(md, &none, &nobody, out, sizeof out) : 0;
}

static bool signature_is_good(EVP_PKEY *key, const uint8_t *signature, const uint8_t *data, size_t size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, signature, METADATA_SIGNATURE_SIZE, data, size) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

static bool signatures_are_good(const struct metadata_tokens *tokens, const uint8_t public_key[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    bool good = key != NULL;

    for (size_t i = 0; good && i < array_size(tokens->claims); i++)
        good = signature_is_good(key, tokens->signatures[i], tokens->claims[i], tokens->claims_size[i]);
    EVP_PKEY_free(key);
    return good;
}

static bool digest_is(const uint8_t expected[METADATA_DIGEST_SIZE], const void *data, size_t size)
{
    uint8_t digest[METADATA_DIGEST_SIZE];

    token_digest(data, size, NULL, 0, digest);
    return memcmp(digest, expected, sizeof digest) == 0;
}

int metadata_verify(const struct metadata_tokens *tokens, const uint8_t public_key[32], const void *data,
                    size_t data_size, const void *code, size_t code_size)
{
    if (!signatures_are_good(tokens, public_key))
        return METADATA_E_SIGNATURE;
    if (!digest_is(tokens->data_digest, data, data_size))
        return METADATA_E_DATA_DIGEST;
    if (!digest_is(tokens->code_digest, code, code_size))
        return METADATA_E_CODE_DIGEST;
    if (memcmp(tokens->metadata_digest, tokens->covered_digest, METADATA_DIGEST_SIZE) != 0)
        return METADATA_E_METADATA_DIGEST;
    return METADATA_OK;
}
