#ifndef TC_CODEC_KEYSTORE_H
#define TC_CODEC_KEYSTORE_H

#include "base/cleanup.h"

#include <openssl/evp.h>

/*
 * Keys that sign releases and manifests (Ed25519, ES256), wherever they are kept. `where` is one of
 *
 *   FILE, file:FILE   a private key as PEM (codec/pemfile.h), or a key that a TPM wrapped ("TSS2 PRIVATE KEY")
 *   handle:0x810...   a TPM's persistent key, through the OpenSSL provider tpm2
 *   pkcs11:...        a key in a token (RFC 7512), through the provider pkcs11, or OpenSSL's engine of this name where
 *                     there is no such provider
 *   SCHEME:...        what a provider that OpenSSL's own configuration activates opens
 *
 * The PIN or password of a token is in the URI (pin-value, pin-source) or in the environment variable TCGW_KEY_PIN;
 * nobody is asked for it. Opening a token's key takes as long as the token does: not for the gateway's loop.
 */

#define KEYSTORE_PIN_VARIABLE "TCGW_KEY_PIN"
#define KEYSTORE_WHERE_MAX 1024 /* bytes */

/* A key that signs. Returns 0, or 1 with a sentence in reason (256 bytes are enough). The caller frees *key. */
int keystore_open(EVP_PKEY **key, const char *where, char *reason, size_t reason_size) must_check;
/* A key that verifies: a public key in a file (PEM, DER or COSE_Key), or the public part of what keystore_open takes.
 */
int keystore_open_public(EVP_PKEY **key, const char *where, char *reason, size_t reason_size) must_check;

static inline void keystore_cleanup(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

#define cleanup_pkey cleanup(keystore_cleanup)

#endif
