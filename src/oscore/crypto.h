#ifndef TC_OSCORE_CRYPTO_H
#define TC_OSCORE_CRYPTO_H

#include "base/cleanup.h"
#include "tcgw/oscore.h"

/*
 * What the engine asks of a cryptographic library. crypto_openssl.c is the only file that knows which one it is.
 */

#define CRYPTO_KEY_MAX 32
#define CRYPTO_NONCE_MAX OSCORE_NONCE_MAX
#define CRYPTO_TAG_MAX 16
#define CRYPTO_TEXT_MAX                                                                                                \
    65535 /* bytes of plaintext: what the length field of AES-CCM with a nonce of 13 bytes holds                       \
           */

/* The sizes of an algorithm, in bytes. */
struct crypto_aead {
    enum oscore_algorithm algorithm;
    uint8_t key_size, nonce_size, tag_size;
};

/* NULL for an unknown algorithm. */
const struct crypto_aead *crypto_aead_find(enum oscore_algorithm algorithm);

struct crypto_slot;

/* A key that only ever seals or only ever opens; embedded by its owner, zeroed before use. */
struct crypto_key {
    uint8_t bytes[CRYPTO_KEY_MAX];
    struct crypto_slot *slot; /* its keyed cipher, while that is kept */
};

/* Wipes a key and its keyed cipher. */
void crypto_key_wipe(struct oscore_crypto *crypto, struct crypto_key *key);

void crypto_wipe(void *data, size_t size);

/* HKDF with SHA-256 (RFC 5869); an empty salt is none. False when the library fails. */
struct crypto_derivation {
    const uint8_t *secret, *salt, *info;
    size_t secret_size, salt_size, info_size;
};
bool crypto_derive(struct oscore_crypto *crypto, const struct crypto_derivation *from, uint8_t *out,
                   size_t size) must_check;

/* One sealing or opening. Input and output do not overlap. */
struct crypto_text {
    const struct crypto_aead *aead;
    const uint8_t *nonce; /* aead->nonce_size bytes */
    const uint8_t *aad;
    size_t aad_size;
    const uint8_t *in;
    size_t in_size;
};
/* Writes in_size + tag_size bytes. False when the library fails. */
bool crypto_seal(struct oscore_crypto *crypto, struct crypto_key *key, const struct crypto_text *text,
                 uint8_t *out) must_check;
/* in_size is at least tag_size; writes in_size - tag_size bytes, which are wiped when they are not authentic. 0, or
 * OSCORE_E_DECRYPT, or OSCORE_E_CRYPTO. */
int crypto_open(struct oscore_crypto *crypto, struct crypto_key *key, const struct crypto_text *text,
                uint8_t *out) must_check;

/* Memory for the plaintext of one message, good until the next call; whoever uses it wipes it. NULL when memory is
 * short. It grows to the largest message and stays. */
uint8_t *crypto_scratch(struct oscore_crypto *crypto, size_t size);

#endif
