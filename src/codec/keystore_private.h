#ifndef TC_CODEC_KEYSTORE_PRIVATE_H
#define TC_CODEC_KEYSTORE_PRIVATE_H

#include <openssl/evp.h>
#include <openssl/ui.h>

/* A private key that an engine of OpenSSL opens. NULL: there is no such engine or key. */
EVP_PKEY *keystore_open_engine(const char *name, const char *uri, UI_METHOD *ui);

#endif
