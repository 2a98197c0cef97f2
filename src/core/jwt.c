#include "core/jwt_private.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_MAX 1024 /* bytes, of RSA with 8192 bits */
#define ES256_SIZE 64
#define ED25519_SIGNATURE 64

/* Base64url -------------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(const char *text, size_t text_size, uint8_t *out, size_t *size)
{
    uint32_t bits = 0;
    unsigned count = 0;

    *size = 0;
    for (size_t i = 0; i < text_size; i++) {
        int value = digit(text[i]);

        if (value < 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0xffffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*size)++] = (uint8_t)(bits >> count);
        }
    }
    return count < 6 && (bits & ((1u << count) - 1)) == 0;
}

/* Signatures ------------------------------------------------------------------------------------------------------- */

static const struct algorithm {
    const char *name;
    int kind; /* of key */
    bool hashed, pss;
} algorithms[] = {
    {"RS256", EVP_PKEY_RSA, true, false},
    {"PS256", EVP_PKEY_RSA, true, true},
    {"ES256", EVP_PKEY_EC, true, false},
    {"EdDSA", EVP_PKEY_ED25519, false, false},
};

static const struct algorithm *find_algorithm(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    return NULL;
}

struct parts {
    const char *signed_text; /* header and claims, with the dot between */
    size_t signed_size;
    uint8_t signature[SIGNATURE_MAX + 1];
    size_t signature_size;
};

/* JWS has both numbers one behind the other (RFC 7518 section 3.4), OpenSSL wants DER. */
static unsigned char *to_der(const struct parts *parts, int *size)
{
    ECDSA_SIG *signature = parts->signature_size == ES256_SIZE ? ECDSA_SIG_new() : NULL;
    BIGNUM *r = signature ? BN_bin2bn(parts->signature, ES256_SIZE / 2, NULL) : NULL;
    BIGNUM *s = signature ? BN_bin2bn(parts->signature + ES256_SIZE / 2, ES256_SIZE / 2, NULL) : NULL;
    unsigned char *der = NULL;

    if (r && s && ECDSA_SIG_set0(signature, r, s)) {
        *size = i2d_ECDSA_SIG(signature, &der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(signature);
    return der;
}

static bool is_signed(const struct parts *parts, const struct algorithm *algorithm, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const unsigned char *signature = parts->signature;
    int size = (int)parts->signature_size;
    unsigned char *der = NULL;
    EVP_PKEY_CTX *options;
    bool good;

    if (algorithm->kind == EVP_PKEY_EC)
        signature = der = to_der(parts, &size);
    good = ctx && signature && size > 0 &&
           EVP_DigestVerifyInit(ctx, &options, algorithm->hashed ? EVP_sha256() : NULL, NULL, key) == 1;
    if (good && algorithm->pss)
        good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good && EVP_DigestVerify(ctx, signature, (size_t)size, (const unsigned char *)parts->signed_text,
                                    parts->signed_size) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    return good;
}

static bool fits(const struct jwks_key *key, const struct algorithm *algorithm, const char *id)
{
    return EVP_PKEY_get_base_id(key->key) == algorithm->kind &&
           (!*key->algorithm || strcmp(key->algorithm, algorithm->name) == 0) && (!id || strcmp(key->id, id) == 0);
}

/* By one of the keys with the id that the token names, or of all of them when it names none. */
static enum jwt_result check_signature(const struct parts *parts, const json_t *header, const struct jwks *keys,
                                       const char **why)
{
    const char *name = json_string_value(json_object_get(header, "alg"));
    const char *id = json_string_value(json_object_get(header, "kid"));
    const struct algorithm *algorithm = name ? find_algorithm(name) : NULL;
    bool any = false;

    *why = "the algorithm of the token is none of RS256, PS256, ES256 and EdDSA";
    if (!algorithm)
        return JWT_REFUSED;
    for (size_t i = 0; i < keys->count; i++) {
        if (!fits(&keys->keys[i], algorithm, id))
            continue;
        any = true;
        if (is_signed(parts, algorithm, keys->keys[i].key))
            return JWT_GOOD;
    }
    *why = any ? "the signature of the token is not good" : "the key of the token is not known";
    return any ? JWT_REFUSED : JWT_UNKNOWN_KEY;
}

/* Claims ----------------------------------------------------------------------------------------------------------- */

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static bool has_text(const json_t *value, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        if (is_text(item, text))
            return true;
    }
    return is_text(value, text);
}

/* NULL, or what is wrong. */
static const char *check_claims(const json_t *claims, const struct jwt_rules *rules)
{
    const json_t *until = json_object_get(claims, "exp"), *from = json_object_get(claims, "nbf");
    double now = (double)rules->now_s, leeway = (double)rules->leeway_s;

    if (!is_text(json_object_get(claims, "iss"), rules->issuer))
        return "the token is of another issuer";
    if (!has_text(json_object_get(claims, "aud"), rules->audience))
        return "the token is for another audience";
    if (!json_is_number(until) || (from && !json_is_number(from)))
        return "the token does not say how long it is good";
    if (now - leeway >= json_number_value(until))
        return "the token has expired";
    return from && now + leeway < json_number_value(from) ? "the token is not good yet" : NULL;
}

/* The token -------------------------------------------------------------------------------------------------------- */

bool jwt_is_one(const char *token)
{
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;

    return second && !strchr(second + 1, '.');
}

/* The JSON object in a part; NULL: there is none. */
static json_t *read_object(const char *text, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    json_t *json = NULL;
    size_t n;

    if (bytes && base64url_decode(text, size, bytes, &n))
        json = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static bool split(const char *token, struct parts *parts, json_t **header, json_t **claims)
{
    const char *first, *second;

    if (strlen(token) > JWT_SIZE_MAX || !jwt_is_one(token))
        return false;
    first = strchr(token, '.');
    second = strchr(first + 1, '.');
    parts->signed_text = token;
    parts->signed_size = (size_t)(second - token);
    if (strlen(second + 1) > SIGNATURE_MAX / 3 * 4 ||
        !base64url_decode(second + 1, strlen(second + 1), parts->signature, &parts->signature_size))
        return false;
    *header = read_object(token, (size_t)(first - token));
    *claims = *header ? read_object(first + 1, (size_t)(second - first - 1)) : NULL;
    return *claims != NULL;
}

enum jwt_result jwt_verify(const char *token, const struct jwks *keys, const struct jwt_rules *rules, json_t **claims,
                           const char **why)
{
    enum jwt_result result = JWT_REFUSED;
    json_t *header = NULL, *said = NULL;
    struct parts parts;

    *why = "the token is malformed";
    if (split(token, &parts, &header, &said)) {
        if (json_object_get(header, "crit")) /* RFC 7515 section 4.1.11 */
            *why = "the token has critical headers";
        else
            result = check_signature(&parts, header, keys, why);
    }
    if (result == JWT_GOOD) {
        *why = check_claims(said, rules);
        result = *why ? JWT_REFUSED : JWT_GOOD;
    }
    json_decref(header);
    *claims = result == JWT_GOOD ? json_incref(said) : NULL;
    json_decref(said);
    return result;
}
