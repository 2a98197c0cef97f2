#include "codec/token.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define CLAIMS_MAX 64

int token_put(struct cborio_writer *w, int64_t claim, const uint8_t *value, size_t size, metadata_sign_fn sign,
              void *arg)
{
    uint8_t claims[CLAIMS_MAX], signature[METADATA_SIGNATURE_SIZE] = {0};
    struct cborio_writer inner = cborio_writer_init(claims, sizeof claims);
    int r;

    cborio_put_map(&inner, 1);
    cborio_put_int(&inner, claim);
    cborio_put_bytes(&inner, value, size);
    if (sign && (r = sign(arg, claims, inner.used, signature)) != 0)
        return r;
    cborio_put_array(w, 4);
    cborio_put_bytes(w, NULL, 0);
    cborio_put_map(w, 0);
    cborio_put_bytes(w, claims, inner.used);
    cborio_put_bytes(w, signature, sizeof signature);
    return 0;
}

bool token_parse(const uint8_t *input, size_t size, int64_t claim, struct token *out)
{
    struct cborio_reader r = cborio_reader_init(input, size), claims;
    size_t parts = cborio_get_array(&r), protected_size, unprotected, signature_size;

    (void)cborio_get_bytes(&r, &protected_size);
    unprotected = cborio_get_map(&r);
    out->claims = cborio_get_bytes(&r, &out->claims_size);
    out->signature = cborio_get_bytes(&r, &signature_size);
    if (!cborio_ended(&r) || parts != 4 || protected_size || unprotected || signature_size != METADATA_SIGNATURE_SIZE)
        return false;
    claims = cborio_reader_init(out->claims, out->claims_size);
    if (cborio_get_map(&claims) != 1 || cborio_get_int(&claims) != claim)
        return false;
    out->value = cborio_get_bytes(&claims, &out->value_size);
    return cborio_ended(&claims);
}

void token_digest(const void *first, size_t first_size, const void *second, size_t second_size,
                  uint8_t digest[METADATA_DIGEST_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 || EVP_DigestUpdate(ctx, first, first_size) != 1 ||
        EVP_DigestUpdate(ctx, second, second_size) != 1 || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        abort(); /* SHA-256 fails only without memory */
    EVP_MD_CTX_free(ctx);
}
