#include "oscore/crypto.h"

#include "base/list.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

#define KEYS_MIN 2 /* one to seal with and one to open with */
#define SCRATCH_MIN 2048

static const struct crypto_cipher {
    struct crypto_aead aead;
    const char *name; /* OpenSSL's */
    bool ccm;
} ciphers[] = {
    {{OSCORE_AES_CCM_16_64_128, 16, 13, 8}, "AES-128-CCM", true},
    {{OSCORE_AES_CCM_16_128_128, 16, 13, 16}, "AES-128-CCM", true},
    {{OSCORE_AES_GCM_128, 16, 12, 16}, "AES-128-GCM", false},
    {{OSCORE_CHACHA20_POLY1305, 32, 12, 16}, "ChaCha20-Poly1305", false},
};

/* A keyed cipher. Setting a key costs more than sealing a small message, so those used last are kept; and changing the
 * direction costs more than setting a key, so each has its own. */
struct crypto_slot {
    struct list node; /* in crypto->slots, the one used last in front */
    struct crypto_key *key;
    const struct crypto_cipher *cipher; /* what the context is set up for, NULL: nothing */
    int sealing;                        /* 1, or 0: opening */
    EVP_CIPHER_CTX *ctx;
};

struct oscore_crypto {
    EVP_CIPHER *fetched[array_size(ciphers)];
    EVP_KDF_CTX *hkdf;
    struct list slots[2]; /* by crypto_slot.sealing */
    uint8_t *scratch;
    size_t scratch_size;
    unsigned slot_count;
    struct crypto_slot slot[];
};

const struct crypto_aead *crypto_aead_find(enum oscore_algorithm algorithm)
{
    for (size_t i = 0; i < array_size(ciphers); i++)
        if (ciphers[i].aead.algorithm == algorithm)
            return &ciphers[i].aead;
    return NULL;
}

void crypto_wipe(void *data, size_t size)
{
    OPENSSL_cleanse(data, size);
}

static bool fetch(struct oscore_crypto *crypto)
{
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);

    crypto->hkdf = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
    EVP_KDF_free(hkdf);
    for (size_t i = 0; i < array_size(ciphers); i++) {
        crypto->fetched[i] = EVP_CIPHER_fetch(NULL, ciphers[i].name, NULL);
        if (!crypto->fetched[i])
            return false;
    }
    return crypto->hkdf != NULL;
}

int oscore_crypto_new(struct oscore_crypto **out, unsigned keys)
{
    struct oscore_crypto *crypto;

    if (keys < KEYS_MIN)
        return -EINVAL;
    crypto = calloc(1, sizeof *crypto + keys * sizeof crypto->slot[0]);
    if (!crypto)
        return -ENOMEM;
    list_init(&crypto->slots[0]);
    list_init(&crypto->slots[1]);
    for (; crypto->slot_count < keys; crypto->slot_count++) {
        struct crypto_slot *slot = &crypto->slot[crypto->slot_count];

        slot->sealing = crypto->slot_count % 2;
        list_append(&crypto->slots[slot->sealing], &slot->node);
    }
    if (!fetch(crypto)) {
        oscore_crypto_free(crypto);
        return -EIO;
    }
    *out = crypto;
    return 0;
}

struct oscore_crypto *oscore_crypto_free(struct oscore_crypto *crypto)
{
    if (!crypto)
        return NULL;
    for (unsigned i = 0; i < crypto->slot_count; i++)
        EVP_CIPHER_CTX_free(crypto->slot[i].ctx); /* wipes it */
    for (size_t i = 0; i < array_size(ciphers); i++)
        EVP_CIPHER_free(crypto->fetched[i]);
    EVP_KDF_CTX_free(crypto->hkdf);
    OPENSSL_clear_free(crypto->scratch, crypto->scratch_size);
    free(crypto);
    return NULL;
}

bool crypto_derive(struct oscore_crypto *crypto, const struct crypto_derivation *from, uint8_t *out, size_t size)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)from->secret, from->secret_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)from->info, from->info_size),
        OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    bool done;

    if (from->salt_size)
        params[3] =
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)from->salt, from->salt_size);
    done = EVP_KDF_derive(crypto->hkdf, out, size, params) == 1;
    EVP_KDF_CTX_reset(crypto->hkdf); /* wipes the secret; infos would add up without it */
    return done;
}

/* Prepares a slot for a cipher: sizes stay, only keys and nonces change after that. */
static bool set_cipher(struct crypto_slot *slot, const struct oscore_crypto *crypto, const struct crypto_cipher *cipher)
{
    if (slot->cipher == cipher)
        return true;
    slot->cipher = NULL;
    if (!slot->ctx)
        slot->ctx = EVP_CIPHER_CTX_new();
    if (!slot->ctx || EVP_CIPHER_CTX_reset(slot->ctx) != 1 ||
        EVP_CipherInit_ex2(slot->ctx, crypto->fetched[cipher - ciphers], NULL, NULL, slot->sealing, NULL) != 1 ||
        EVP_CIPHER_CTX_ctrl(slot->ctx, EVP_CTRL_AEAD_SET_IVLEN, cipher->aead.nonce_size, NULL) != 1 ||
        (cipher->ccm && EVP_CIPHER_CTX_ctrl(slot->ctx, EVP_CTRL_AEAD_SET_TAG, cipher->aead.tag_size, NULL) != 1))
        return false;
    slot->cipher = cipher;
    return true;
}

/* The keyed cipher of a key: the one that is kept, else the one that was not used for longest gets this key. */
static EVP_CIPHER_CTX *keyed(struct oscore_crypto *crypto, struct crypto_key *key, const struct crypto_cipher *cipher,
                             int sealing)
{
    struct list *slots = &crypto->slots[sealing];
    struct crypto_slot *slot = key->slot;

    if (!slot) {
        slot = container_of(slots->prev, struct crypto_slot, node);
        if (slot->key)
            slot->key->slot = NULL;
        slot->key = NULL;
        if (!set_cipher(slot, crypto, cipher) ||
            EVP_CipherInit_ex2(slot->ctx, NULL, key->bytes, NULL, sealing, NULL) != 1)
            return NULL;
        slot->key = key;
        key->slot = slot;
    }
    list_unlink(&slot->node);
    list_append(slots->next, &slot->node); /* before the first */
    return slot->ctx;
}

void crypto_key_wipe(struct oscore_crypto *crypto, struct crypto_key *key)
{
    struct crypto_slot *slot = key->slot;

    if (slot) {
        EVP_CIPHER_CTX_reset(slot->ctx); /* wipes it */
        slot->cipher = NULL;
        slot->key = NULL;
        list_unlink(&slot->node);
        list_append(&crypto->slots[slot->sealing], &slot->node); /* the first to be used again */
    }
    crypto_wipe(key, sizeof *key);
}

/* Nonce, (for CCM) length, and associated data. */
static bool begin(EVP_CIPHER_CTX *ctx, const struct crypto_cipher *cipher, const struct crypto_text *text, size_t size)
{
    int done;

    return EVP_CipherInit_ex2(ctx, NULL, NULL, text->nonce, -1, NULL) == 1 &&
           (!cipher->ccm || EVP_CipherUpdate(ctx, NULL, &done, NULL, (int)size) == 1) &&
           EVP_CipherUpdate(ctx, NULL, &done, text->aad, (int)text->aad_size) == 1;
}

bool crypto_seal(struct oscore_crypto *crypto, struct crypto_key *key, const struct crypto_text *text, uint8_t *out)
{
    const struct crypto_cipher *cipher = container_of(text->aead, const struct crypto_cipher, aead);
    EVP_CIPHER_CTX *ctx = keyed(crypto, key, cipher, 1);
    int size = (int)text->in_size, done;

    return ctx && begin(ctx, cipher, text, text->in_size) && EVP_CipherUpdate(ctx, out, &done, text->in, size) == 1 &&
           EVP_CipherFinal_ex(ctx, out + size, &done) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, text->aead->tag_size, out + size) == 1;
}

int crypto_open(struct oscore_crypto *crypto, struct crypto_key *key, const struct crypto_text *text, uint8_t *out)
{
    const struct crypto_cipher *cipher = container_of(text->aead, const struct crypto_cipher, aead);
    EVP_CIPHER_CTX *ctx = keyed(crypto, key, cipher, 0);
    size_t size = text->in_size - text->aead->tag_size;
    void *tag = (void *)(uintptr_t)(text->in + size);
    int done;

    if (!ctx || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, text->aead->tag_size, tag) != 1 ||
        !begin(ctx, cipher, text, size))
        return OSCORE_E_CRYPTO;
    /* CCM checks the tag with the text, the others at the end */
    if (EVP_CipherUpdate(ctx, out, &done, text->in, (int)size) == 1 &&
        (cipher->ccm || EVP_CipherFinal_ex(ctx, out + size, &done) == 1))
        return 0;
    crypto_wipe(out, size);
    return OSCORE_E_DECRYPT;
}

uint8_t *crypto_scratch(struct oscore_crypto *crypto, size_t size)
{
    uint8_t *grown;

    if (size > crypto->scratch_size) {
        size = size < SCRATCH_MIN ? SCRATCH_MIN : size;
        grown = OPENSSL_clear_realloc(crypto->scratch, crypto->scratch_size, size);
        if (!grown)
            return NULL;
        crypto->scratch = grown;
        crypto->scratch_size = size;
    }
    return crypto->scratch;
}
