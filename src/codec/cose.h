#ifndef TC_CODEC_COSE_H
#define TC_CODEC_COSE_H

#include "base/buffer.h"
#include "base/cleanup.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* COSE_Sign1 (RFC 9052 section 4.2) with Ed25519 (EdDSA, RFC 9053 section 2.2) and ES256 (section 2.1). Bytes in, bytes
 * and a status out; keys are OpenSSL's, so that they may live in a token (codec/keystore.h). */

enum cose_algorithm { COSE_ES256 = -7, COSE_EDDSA = -8, COSE_ES256_ESP = -9, COSE_ED25519 = -19 };

struct cose_sign1 {                  /* views into the message */
    const uint8_t *protected_header; /* the encoded map, as it is signed */
    size_t protected_size;
    int64_t algorithm;  /* as the message names it; 0: none that has a number */
    const uint8_t *kid; /* NULL: none */
    size_t kid_size;
    const uint8_t *payload; /* NULL: detached (nil) */
    size_t payload_size;
    const uint8_t *signature;
    size_t signature_size;
    bool tagged;
};

/* 0; 1 with a sentence in reason: no COSE_Sign1, or one with critical headers that are not understood. */
int cose_parse_sign1(struct cose_sign1 *out, const void *data, size_t size, char *reason,
                     size_t reason_size) must_check;
/* payload NULL: the message's own; a given one may not differ from one in the message. 0: good; 1: it does not verify,
 * or the key is of another algorithm; -ENOMEM. */
int cose_verify_sign1(const struct cose_sign1 *message, EVP_PKEY *key, const void *payload, size_t payload_size,
                      const void *external_aad, size_t external_size) must_check;
/* Appends a message (tag 18 when `tagged`); detached: the payload is signed but not carried. kid NULL: none. 0;
 * -EINVAL: a key of another kind; -EKEYREJECTED: the key's token did not sign; -ENOMEM. */
int cose_make_sign1(struct buffer *out, EVP_PKEY *key, const void *kid, size_t kid_size, const void *payload,
                    size_t payload_size, bool detached, bool tagged) must_check;

/* COSE_EDDSA or COSE_ES256, what a key signs with; 0: a key of another kind. */
int64_t cose_key_algorithm(const EVP_PKEY *key) must_check;
/* Whether a message that names this algorithm may be by this key. */
bool cose_is_algorithm_of(int64_t algorithm, const EVP_PKEY *key) must_check;
/* Reads a public key: PEM (SubjectPublicKeyInfo), DER, or a COSE_Key (RFC 9052 section 7), Ed25519 or P-256. NULL
 * with a reason. */
EVP_PKEY *cose_read_public_key(const void *data, size_t size, char *reason, size_t reason_size) must_check;
/* The first 8 bytes of the SHA-256 of the key's SubjectPublicKeyInfo: what our own tools use as kid. 0, or -EINVAL. */
int cose_key_id(EVP_PKEY *key, uint8_t out[8]) must_check;

#endif
