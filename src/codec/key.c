#include "codec/key.h"

#include "codec/pemfile.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

/* struct key is never defined: it is OpenSSL's object under a name of ours. */
static EVP_PKEY *pkey(const struct key *key)
{
    return (EVP_PKEY *)key;
}

struct key *key_generate(void)
{
    return (struct key *)EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

struct key *key_free(struct key *key)
{
    EVP_PKEY_free(pkey(key));
    return NULL;
}

int key_load(struct key **key, const char *path, char *reason, size_t reason_size)
{
    EVP_PKEY *read;

    *key = NULL;
    if (pemfile_read_key(&read, path, reason, reason_size))
        return 1;
    if (EVP_PKEY_get_base_id(read) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(read);
        return pemfile_refuse(path, reason, reason_size,
                              "this is not an Ed25519 key; make one with `openssl genpkey -algorithm ed25519`");
    }
    *key = (struct key *)read;
    return 0;
}

int key_load_or_create(struct key **key, const char *path, char *reason, size_t reason_size)
{
    cleanup_key struct key *made = NULL;

    *key = NULL;
    if (access(path, F_OK) == 0 || errno != ENOENT)
        return key_load(key, path, reason, reason_size);
    made = key_generate();
    if (!made)
        return pemfile_refuse(path, reason, reason_size, "OpenSSL could not make an Ed25519 key");
    if (!pemfile_create_key(pkey(made), path)) {
        if (errno == EEXIST)
            return key_load(key, path, reason, reason_size);
        return pemfile_refuse(path, reason, reason_size, "a new key cannot be written: %s", strerror(errno));
    }
    *key = steal_pointer(made);
    return 0;
}

void key_public(const struct key *key, uint8_t out[KEY_PUBLIC_SIZE])
{
    size_t size = KEY_PUBLIC_SIZE;

    if (EVP_PKEY_get_raw_public_key(pkey(key), out, &size) != 1)
        abort(); /* only for a key that is not Ed25519, and no such key is ever loaded */
}

char *key_public_pem(const struct key *key, char out[KEY_PEM_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = 0;

    if (bio && PEM_write_bio_PUBKEY(bio, pkey(key)) == 1)
        n = BIO_read(bio, out, KEY_PEM_MAX - 1);
    BIO_free(bio);
    out[n > 0 ? n : 0] = 0;
    return out;
}

int key_sign(void *arg, const uint8_t *data, size_t size, uint8_t signature[METADATA_SIGNATURE_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t length = METADATA_SIGNATURE_SIZE;
    bool good = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey(arg)) == 1 &&
                EVP_DigestSign(ctx, signature, &length, data, size) == 1 && length == METADATA_SIGNATURE_SIZE;

    EVP_MD_CTX_free(ctx);
    return good ? 0 : -EKEYREJECTED;
}

EVP_PKEY *key_pkey(struct key *key)
{
    return pkey(key);
}
