#include "core/jwt_private.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <string.h>

/* Sets of public keys (RFC 7517), of which those are taken that can verify what jwt.c takes. */

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define NUMBER_MAX (RSA_BITS_MAX / 8 + 1) /* bytes */
#define P256_SIZE 32
#define ED25519_SIZE 32

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

/* A member's bytes; false when there are none, or more than max. */
static bool read_bytes(const json_t *object, const char *name, uint8_t *out, size_t max, size_t *size)
{
    const char *text = text_of(object, name);
    size_t n = strlen(text);

    return n > 0 && n * 3 / 4 <= max && base64url_decode(text, n, out, size) && *size > 0;
}

static EVP_PKEY *make_key(const char *kind, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    EVP_PKEY *key = NULL;

    if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *read_rsa(const json_t *object)
{
    uint8_t n[NUMBER_MAX + 1], e[NUMBER_MAX + 1];
    size_t n_size, e_size;
    OSSL_PARAM_BLD *build = NULL;
    OSSL_PARAM *params = NULL;
    BIGNUM *modulus, *exponent;
    EVP_PKEY *key = NULL;

    if (!read_bytes(object, "n", n, NUMBER_MAX, &n_size) || !read_bytes(object, "e", e, 8, &e_size))
        return NULL;
    modulus = BN_bin2bn(n, (int)n_size, NULL);
    exponent = BN_bin2bn(e, (int)e_size, NULL);
    if (modulus && exponent && BN_num_bits(modulus) >= RSA_BITS_MIN && BN_num_bits(modulus) <= RSA_BITS_MAX)
        build = OSSL_PARAM_BLD_new();
    if (build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
        params = OSSL_PARAM_BLD_to_param(build);
    if (params)
        key = make_key("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *read_ec(const json_t *object)
{
    static char curve[] = "prime256v1";
    uint8_t point[1 + 2 * P256_SIZE + 1] = {4}, part[P256_SIZE + 2];
    OSSL_PARAM params[3];
    size_t size;

    if (strcmp(text_of(object, "crv"), "P-256") != 0)
        return NULL;
    for (unsigned i = 0; i < 2; i++) {
        if (!read_bytes(object, i ? "y" : "x", part, P256_SIZE, &size) || size != P256_SIZE)
            return NULL;
        memcpy(point + 1 + i * P256_SIZE, part, P256_SIZE);
    }
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * P256_SIZE);
    params[2] = OSSL_PARAM_construct_end();
    return make_key("EC", params);
}

static EVP_PKEY *read_okp(const json_t *object)
{
    uint8_t bytes[ED25519_SIZE + 2];
    size_t size;

    if (strcmp(text_of(object, "crv"), "Ed25519") != 0 || !read_bytes(object, "x", bytes, ED25519_SIZE, &size) ||
        size != ED25519_SIZE)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, size);
}

static EVP_PKEY *read_key(const json_t *object)
{
    const char *kind = text_of(object, "kty"), *use = text_of(object, "use");

    if (*use && strcmp(use, "sig") != 0)
        return NULL;
    if (strcmp(kind, "RSA") == 0)
        return read_rsa(object);
    if (strcmp(kind, "EC") == 0)
        return read_ec(object);
    return strcmp(kind, "OKP") == 0 ? read_okp(object) : NULL;
}

static int take_keys(struct jwks *keys, const json_t *array)
{
    const json_t *object;
    size_t i;

    json_array_foreach(array, i, object)
    {
        struct jwks_key *key = &keys->keys[keys->count];

        if (keys->count == JWKS_KEYS_MAX)
            break;
        key->key = read_key(object);
        if (!key->key)
            continue;
        key->id = strdup(text_of(object, "kid"));
        (void)snprintf(key->algorithm, sizeof key->algorithm, "%.15s", text_of(object, "alg"));
        keys->count++;
        if (!key->id)
            return -ENOMEM;
    }
    return 0;
}

int jwks_parse(struct jwks **out, const void *text, size_t size, char *reason, size_t reason_size)
{
    json_t *json = size <= JWKS_SIZE_MAX ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *array = json_object_get(json, "keys");
    struct jwks *keys = calloc(1, sizeof *keys);
    int r = keys ? 0 : -ENOMEM;

    if (size > JWKS_SIZE_MAX)
        (void)snprintf(reason, reason_size, "it has %zu bytes, the limit is %u", size, JWKS_SIZE_MAX);
    else
        (void)snprintf(reason, reason_size, "it is no JSON object with keys");
    if (r == 0 && json_is_array(array)) {
        r = take_keys(keys, array);
        (void)snprintf(reason, reason_size, "none of its keys can be used (RSA from 2048 bits, P-256, Ed25519)");
    }
    json_decref(json);
    if (r == 0 && keys->count > 0) {
        *out = keys;
        return 0;
    }
    (void)jwks_free(keys);
    return r ? r : 1;
}

struct jwks *jwks_free(struct jwks *keys)
{
    for (size_t i = 0; keys && i < keys->count; i++) {
        EVP_PKEY_free(keys->keys[i].key);
        free(keys->keys[i].id);
    }
    free(keys);
    return NULL;
}

size_t jwks_count(const struct jwks *keys)
{
    return keys->count;
}
