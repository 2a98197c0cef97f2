#ifndef TC_CODEC_KEY_H
#define TC_CODEC_KEY_H

#include "base/cleanup.h"
#include "tcgw/metadata.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The gateway's Ed25519 key pair (RFC 8032), kept as a PEM file (PKCS #8, RFC 8410) that nobody but its owner may read.
 */

#define KEY_PUBLIC_SIZE 32
#define KEY_PEM_MAX 256 /* of a public key as text, with its NUL */

struct key;

/*
 * Reads a private key. Returns 0, or 1 with a sentence in reason (256 bytes are enough) that names the file and what to
 * do: it cannot be read, others may read it, it is no PEM private key, has a passphrase, or is not Ed25519. The caller
 * ends *key with key_free.
 */
must_check int key_load(struct key **key, const char *path, char *reason, size_t reason_size);

/* The same, but when there is no such file a new key is made and written first: complete or not at all, mode 0600, and
 * on the disk when this returns. */
must_check int key_load_or_create(struct key **key, const char *path, char *reason, size_t reason_size);

/* A new key in memory only; NULL without memory or randomness. */
struct key *key_generate(void);

/* Takes NULL; returns NULL. */
struct key *key_free(struct key *key);

/* The raw public key, as device agents have it compiled in. */
void key_public(const struct key *key, uint8_t out[KEY_PUBLIC_SIZE]);

/* The public key as PEM text (SubjectPublicKeyInfo). Returns out. */
char *key_public_pem(const struct key *key, char out[KEY_PEM_MAX]);

/* A metadata_sign_fn; arg is the struct key. */
int key_sign(void *arg, const uint8_t *data, size_t size, uint8_t signature[METADATA_SIGNATURE_SIZE]);

/* OpenSSL's object (EVP_PKEY); it stays the key's. */
struct evp_pkey_st *key_pkey(struct key *key);

static inline void key_cleanup(struct key **key)
{
    (void)key_free(*key);
}

#define cleanup_key cleanup(key_cleanup)

#endif
