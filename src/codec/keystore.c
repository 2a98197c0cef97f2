#define _GNU_SOURCE /* memmem */
#include "codec/keystore.h"

#include "codec/cose.h"
#include "codec/keystore_private.h"
#include "codec/pemfile.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <string.h>

#define WRAPPED "-----BEGIN TSS2 PRIVATE KEY-----" /* by a TPM, which alone can use it */

/* Which provider opens which URIs. */
static const struct {
    const char *scheme, *provider;
    const char *pin; /* what has the provider ask for a PIN; empty: it asks by itself */
    bool has_engine; /* of the same name */
} providers[] = {
    {"pkcs11", "pkcs11", "", true},
    {"handle", "tpm2", "?pass", false},
    {"object", "tpm2", "?pass", false},
};

/* The length of a URI's scheme; 0 for what is a file's name. */
static size_t scheme_length(const char *where)
{
    size_t n = 0;

    while (isalnum((unsigned char)where[n]) || (n && strchr("+-.", where[n]) && where[n]))
        n++;
    return n > 1 && where[n] == ':' && access(where, F_OK) != 0 ? n : 0;
}

/* Providers stay loaded: keys hold on to them. The default one is loaded before others, so that it goes first. */
static bool load_provider(const char *name)
{
    return OSSL_PROVIDER_available(NULL, name) ||
           (OSSL_PROVIDER_load(NULL, "default") && OSSL_PROVIDER_try_load(NULL, name, 1));
}

/* In place of a question on the terminal. */
static int read_pin(char *out, int size, int writes, void *arg)
{
    const char *pin = getenv(KEYSTORE_PIN_VARIABLE);

    (void)writes;
    (void)arg;
    if (!pin || strlen(pin) >= (size_t)size)
        return -1;
    memcpy(out, pin, strlen(pin) + 1);
    return (int)strlen(pin);
}

static EVP_PKEY *open_store(const char *uri, UI_METHOD *ui)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, NULL, NULL, NULL);
    EVP_PKEY *key = NULL;

    if (store)
        (void)OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY); /* where it cannot, all that is there is looked at */
    while (store && !key && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (!info && OSSL_STORE_error(store))
            break;
        key = info ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;
        OSSL_STORE_INFO_free(info);
    }
    (void)OSSL_STORE_close(store);
    return key;
}

static int open_uri(EVP_PKEY **key, const char *uri, size_t scheme, char *reason, size_t reason_size)
{
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(read_pin, 0);
    const char *wanted = NULL, *pin = "";
    char complete[KEYSTORE_WHERE_MAX + 8];
    bool has_provider = true;

    for (size_t i = 0; i < array_size(providers); i++) {
        if (strlen(providers[i].scheme) != scheme || strncmp(uri, providers[i].scheme, scheme) != 0)
            continue;
        wanted = providers[i].provider;
        pin = getenv(KEYSTORE_PIN_VARIABLE) && !strchr(uri, '?') ? providers[i].pin : "";
        has_provider = load_provider(wanted);
        if (!has_provider && providers[i].has_engine)
            *key = keystore_open_engine(wanted, uri, ui);
    }
    (void)snprintf(complete, sizeof complete, "%s%s", uri, pin);
    if (has_provider)
        *key = open_store(complete, ui);
    UI_destroy_method(ui);
    ERR_clear_error();
    if (*key)
        return 0;
    /* The URI may hold a PIN: only its scheme is repeated. */
    (void)snprintf(reason, reason_size,
                   "No private key was found at this %.*s: URI. Check that OpenSSL has %s%s, that the token is there, "
                   "and that its PIN is in the URI or in " KEYSTORE_PIN_VARIABLE ".",
                   (int)scheme, uri, wanted ? "the provider " : "a provider for it", wanted ? wanted : "");
    return 1;
}

static int open_wrapped(EVP_PKEY **key, const char *path, const char *pem, char *reason, size_t reason_size)
{
    BIO *bio = load_provider("tpm2") ? BIO_new_mem_buf(pem, -1) : NULL;

    *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, read_pin, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (*key)
        return 0;
    return pemfile_refuse(path, reason, reason_size,
                          "this key is wrapped by a TPM; check that OpenSSL has the provider tpm2 and that this TPM is "
                          "there");
}

static int open_file(EVP_PKEY **key, const char *path, char *reason, size_t reason_size)
{
    char pem[PEMFILE_MAX + 1];

    if (pemfile_read(path, true, pem, reason, reason_size))
        return 1;
    if (strstr(pem, WRAPPED)) /* of no use to anybody else, so it need not be wiped */
        return open_wrapped(key, path, pem, reason, reason_size);
    OPENSSL_cleanse(pem, sizeof pem);
    return pemfile_read_key(key, path, reason, reason_size);
}

int keystore_open(EVP_PKEY **key, const char *where, char *reason, size_t reason_size)
{
    size_t scheme = scheme_length(where);
    int r;

    *key = NULL;
    if (strlen(where) > KEYSTORE_WHERE_MAX) {
        (void)snprintf(reason, reason_size, "The name of a key has at most %d bytes.", KEYSTORE_WHERE_MAX);
        return 1;
    }
    if (scheme == 4 && strncmp(where, "file", scheme) == 0)
        r = open_file(key, where + scheme + 1, reason, reason_size);
    else if (scheme)
        r = open_uri(key, where, scheme, reason, reason_size);
    else
        r = open_file(key, where, reason, reason_size);
    if (r == 0 && cose_key_algorithm(*key) == 0) {
        (void)snprintf(reason, reason_size, "The key is neither an Ed25519 nor a P-256 (ES256) key.");
        EVP_PKEY_free(*key);
        *key = NULL;
        return 1;
    }
    return r;
}

int keystore_open_public(EVP_PKEY **key, const char *where, char *reason, size_t reason_size)
{
    uint8_t data[PEMFILE_MAX];
    cleanup_fclose FILE *file = scheme_length(where) ? NULL : fopen(where, "re");
    size_t size = file ? fread(data, 1, sizeof data, file) : 0;
    bool is_private = memmem(data, size, "PRIVATE KEY-----", 16) != NULL;

    *key = file && !is_private ? cose_read_public_key(data, size, reason, reason_size) : NULL;
    OPENSSL_cleanse(data, size);
    if (*key)
        return 0;
    return file && !is_private ? 1 : keystore_open(key, where, reason, reason_size);
}
