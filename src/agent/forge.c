#include "agent/forge.h"

#include "codec/cborio.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

#define KEY_SIZE 16
#define NONCE_SIZE 13
#define PIV_ROOM 5
#define INFO_MAX 80

/* info of section 3.2.1 */
static size_t make_info(const struct oscore_credentials *c, const char *type, size_t length, uint8_t out[INFO_MAX])
{
    struct cborio_writer w = cborio_writer_init(out, INFO_MAX);
    bool iv = strcmp(type, "IV") == 0;

    cborio_put_array(&w, 5);
    cborio_put_bytes(&w, c->sender_id, iv ? 0 : c->sender_id_size);
    if (c->has_id_context)
        cborio_put_bytes(&w, c->id_context, c->id_context_size);
    else
        cborio_put_null(&w);
    cborio_put_uint(&w, c->algorithm);
    cborio_put_text(&w, type);
    cborio_put_uint(&w, length);
    return cborio_written(&w);
}

static bool derive(const struct oscore_credentials *c, const char *type, uint8_t *out, size_t length)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    uint8_t info[INFO_MAX];
    size_t info_size = make_info(c, type, length, info);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)c->secret, c->secret_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)c->salt, c->salt_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_size),
        OSSL_PARAM_construct_end(),
    };
    bool done = context && info_size && EVP_KDF_derive(context, out, length, parameters) == 1;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done;
}

/* Section 5.2: size of the Sender ID, the ID and the Partial IV padded on the left, and the Common IV over it. */
static bool make_nonce(const struct oscore_credentials *c, uint64_t piv, uint8_t nonce[NONCE_SIZE])
{
    uint8_t plain[NONCE_SIZE] = {c->sender_id_size};

    if (!derive(c, "IV", nonce, NONCE_SIZE))
        return false;
    memcpy(plain + NONCE_SIZE - PIV_ROOM - c->sender_id_size, c->sender_id, c->sender_id_size);
    for (size_t i = 0; i < PIV_ROOM; i++)
        plain[NONCE_SIZE - 1 - i] = (uint8_t)(piv >> 8 * i);
    for (size_t i = 0; i < NONCE_SIZE; i++)
        nonce[i] ^= plain[i];
    return true;
}

/* Section 5.4, within the Encrypt0 structure of COSE. */
static size_t make_aad(const struct oscore_credentials *c, uint64_t piv, uint8_t *out, size_t size)
{
    uint8_t external[64], number[PIV_ROOM];
    struct cborio_writer w = cborio_writer_init(external, sizeof external);
    size_t length = 1;

    for (; length < PIV_ROOM && piv >> 8 * length; length++)
        ;
    for (size_t i = 0; i < length; i++)
        number[i] = (uint8_t)(piv >> 8 * (length - 1 - i));
    cborio_put_array(&w, 5);
    cborio_put_uint(&w, 1);
    cborio_put_array(&w, 1);
    cborio_put_uint(&w, c->algorithm);
    cborio_put_bytes(&w, c->sender_id, c->sender_id_size);
    cborio_put_bytes(&w, number, length);
    cborio_put_bytes(&w, NULL, 0);
    length = cborio_written(&w);
    w = cborio_writer_init(out, size);
    cborio_put_array(&w, 3);
    cborio_put_text(&w, "Encrypt0");
    cborio_put_bytes(&w, NULL, 0);
    cborio_put_bytes(&w, external, length);
    return cborio_written(&w);
}

static bool encrypt(EVP_CIPHER_CTX *e, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_size,
                    const uint8_t *plaintext, size_t size, uint8_t *out)
{
    int n;

    return EVP_EncryptInit_ex(e, EVP_aes_128_ccm(), NULL, NULL, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_SET_IVLEN, NONCE_SIZE, NULL) == 1 &&
           EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_SET_TAG, FORGE_TAG, NULL) == 1 &&
           EVP_EncryptInit_ex(e, NULL, NULL, key, nonce) == 1 && EVP_EncryptUpdate(e, NULL, &n, NULL, (int)size) == 1 &&
           EVP_EncryptUpdate(e, NULL, &n, aad, (int)aad_size) == 1 &&
           EVP_EncryptUpdate(e, out, &n, plaintext, (int)size) == 1 &&
           EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_GET_TAG, FORGE_TAG, out + size) == 1;
}

bool forge_seal(const struct oscore_credentials *c, uint64_t piv, const void *plaintext, size_t size, uint8_t *out)
{
    uint8_t key[KEY_SIZE], nonce[NONCE_SIZE], aad[96];
    size_t aad_size = make_aad(c, piv, aad, sizeof aad);
    EVP_CIPHER_CTX *e = EVP_CIPHER_CTX_new();
    bool done = e && aad_size && c->algorithm == OSCORE_AES_CCM_16_64_128 && derive(c, "Key", key, sizeof key) &&
                make_nonce(c, piv, nonce) &&
                encrypt(e, key, nonce, aad, aad_size, plaintext ? plaintext : "", size, out);

    EVP_CIPHER_CTX_free(e);
    explicit_bzero(key, sizeof key);
    return done;
}
