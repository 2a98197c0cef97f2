#define OPENSSL_SUPPRESS_DEPRECATED /* engines, which Debian 12 has for PKCS#11 where later ones have a provider */

#include "codec/keystore_private.h"

#include <openssl/opensslconf.h>

#ifdef OPENSSL_NO_ENGINE

EVP_PKEY *keystore_open_engine(const char *name, const char *uri, UI_METHOD *ui)
{
    (void)name;
    (void)uri;
    (void)ui;
    return NULL;
}

#else

#include <openssl/engine.h>

EVP_PKEY *keystore_open_engine(const char *name, const char *uri, UI_METHOD *ui)
{
    ENGINE *engine;
    EVP_PKEY *key = NULL;

    ENGINE_load_dynamic();
    engine = ENGINE_by_id(name);
    if (!engine)
        return NULL;
    if (ENGINE_init(engine) == 1) {
        key = ENGINE_load_private_key(engine, uri, ui, NULL);
        (void)ENGINE_finish(engine); /* the key holds on to it */
    }
    (void)ENGINE_free(engine);
    return key;
}

#endif
