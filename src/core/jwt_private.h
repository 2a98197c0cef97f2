#ifndef TC_CORE_JWT_PRIVATE_H
#define TC_CORE_JWT_PRIVATE_H

#include "core/jwt.h"

#include <openssl/evp.h>

/* What jwt.c and jwks.c share. */

struct jwks_key {
    EVP_PKEY *key;
    char *id;           /* "": it has none */
    char algorithm[16]; /* that it is for; "": any of its kind */
};

struct jwks {
    size_t count;
    struct jwks_key keys[JWKS_KEYS_MAX];
};

#endif
