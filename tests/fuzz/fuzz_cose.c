#include "codec/cose.h"

#include <openssl/ec.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Messages and keys of others. A message verifies with no key but that of its author, who is not here. */

static EVP_PKEY *keys[2];

static void check_message(const uint8_t *data, size_t size)
{
    struct cose_sign1 message;
    char reason[256] = "";

    if (cose_parse_sign1(&message, data, size, reason, sizeof reason)) {
        if (!reason[0])
            abort();
        return;
    }
    for (size_t i = 0; i < 2; i++)
        if (cose_verify_sign1(&message, keys[i], NULL, 0, NULL, 0) == 0)
            abort();
}

/* A key that was read has an id, and comes back as DER. */
static void check_key(const uint8_t *data, size_t size)
{
    char reason[256] = "";
    EVP_PKEY *key = cose_read_public_key(data, size, reason, sizeof reason);
    uint8_t id[8];

    if (!key != (reason[0] != 0))
        abort();
    if (key && (cose_key_id(key, id) != 0 || cose_key_algorithm(key) == 0))
        abort();
    EVP_PKEY_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!keys[0]) {
        keys[0] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        keys[1] = EVP_EC_gen("P-256");
    }
    check_message(data, size);
    check_key(data, size);
    return 0;
}
