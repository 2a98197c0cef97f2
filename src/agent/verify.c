#include "agent/verify.h"

#include "base/text.h"
#include "codec/token.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

static bool digest_is(const uint8_t digest[METADATA_DIGEST_SIZE], const void *data, size_t size)
{
    uint8_t actual[METADATA_DIGEST_SIZE];

    token_digest(data, size, NULL, 0, actual);
    return memcmp(actual, digest, sizeof actual) == 0;
}

static int check_digests(const struct metadata_tokens *tokens, const struct verify_parts *parts)
{
    if (!digest_is(tokens->data_digest, parts->data, parts->data_size))
        return METADATA_E_DATA_DIGEST;
    if (!digest_is(tokens->code_digest, parts->code, parts->code_size))
        return METADATA_E_CODE_DIGEST;
    if (memcmp(tokens->metadata_digest, tokens->covered_digest, METADATA_DIGEST_SIZE) != 0)
        return METADATA_E_METADATA_DIGEST;
    return METADATA_OK;
}

static const char *describe(int check)
{
    switch (check) {
    case METADATA_E_SIGNATURE:
        return "a token is not signed with the trusted key";
    case METADATA_E_DATA_DIGEST:
        return "the data token does not match the data";
    case METADATA_E_CODE_DIGEST:
        return "the code token does not match the code";
    default:
        return "the metadata token does not match the metadata";
    }
}

int verify_container(const struct verify_policy *policy, const struct verify_parts *parts, struct metadata *md,
                     char *reason, size_t reason_size)
{
    struct metadata_tokens tokens;
    int check;

    if (metadata_parse(parts->metadata, parts->metadata_size, md, &tokens, reason, reason_size))
        return 1;
    if (policy->skip)
        return 0;
    if (policy->old_hash)
        memcpy(tokens.covered_digest, tokens.zeroed_digest, sizeof tokens.covered_digest);
    if (policy->has_key)
        check = metadata_verify(&tokens, policy->key, parts->data, parts->data_size, parts->code, parts->code_size);
    else
        check = check_digests(&tokens, parts);
    if (check)
        (void)snprintf(reason, reason_size, "%s", describe(check));
    return check != METADATA_OK;
}

static int read_pem(const char *path, uint8_t key[32], char *reason, size_t reason_size)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *pem;
    size_t size = 32;
    int bad;

    if (!file) {
        (void)snprintf(reason, reason_size, "trust key %s: it is not 64 hexadecimal digits, and as a file: %s", path,
                       strerror(errno));
        return 1;
    }
    pem = PEM_read_PUBKEY(file, NULL, NULL, NULL);
    (void)fclose(file);
    bad = !pem || EVP_PKEY_get_id(pem) != EVP_PKEY_ED25519 || EVP_PKEY_get_raw_public_key(pem, key, &size) != 1;
    EVP_PKEY_free(pem);
    if (bad)
        (void)snprintf(reason, reason_size, "trust key %s: the file holds no Ed25519 public key as PEM", path);
    return bad;
}

int verify_read_key(const char *text, uint8_t key[32], char *reason, size_t reason_size)
{
    return text_unhex(text, key, 32) ? 0 : read_pem(text, key, reason, reason_size);
}
