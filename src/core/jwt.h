#ifndef TC_CORE_JWT_H
#define TC_CORE_JWT_H

#include "base/cleanup.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * JSON Web Tokens (RFC 7519) in the compact form of JWS (RFC 7515), verified with a set of public keys (RFC 7517):
 * RS256, PS256, ES256 (RFC 7518 section 3) and EdDSA with Ed25519 (RFC 8037). Nothing else is taken: not "none", and no
 * shared secret. No I/O.
 */

#define JWT_SIZE_MAX 8192
#define JWKS_SIZE_MAX (256u << 10)
#define JWKS_KEYS_MAX 64
#define JWT_REASON_SIZE 128

struct jwks;

/* Keys that cannot be used here (of other kinds, for encryption) are left out. 0; 1 with a reason: no set of keys, or
 * none that can be used; -ENOMEM. */
int jwks_parse(struct jwks **out, const void *text, size_t size, char *reason, size_t reason_size) must_check;
struct jwks *jwks_free(struct jwks *keys); /* NULL is fine; returns NULL */
size_t jwks_count(const struct jwks *keys);

struct jwt_rules {
    const char *issuer;   /* "iss" has to be it */
    const char *audience; /* "aud" has to be it, or have it */
    int64_t now_s;        /* wall time */
    int64_t leeway_s;
};

enum jwt_result {
    JWT_GOOD,
    JWT_REFUSED,
    JWT_UNKNOWN_KEY, /* newer keys may have it */
};

/* Three parts with dots between: a cheap look. */
bool jwt_is_one(const char *token);
/* *claims is the caller's to free when it is good; else *why says what is wrong. */
enum jwt_result jwt_verify(const char *token, const struct jwks *keys, const struct jwt_rules *rules, json_t **claims,
                           const char **why) must_check;

/* Base64url without padding (RFC 4648 section 5): the bytes of a text of text_size characters into out, which has room
 * for text_size * 3 / 4 + 1. False unless it is what an encoder would write. */
bool base64url_decode(const char *text, size_t text_size, uint8_t *out, size_t *size);

#endif
