#ifndef TC_CODEC_TOKEN_H
#define TC_CODEC_TOKEN_H

#include "codec/cborio.h"
#include "tcgw/metadata.h"

/*
 * The tokens of TinyContainer metadata (docs/device-protocol.md): an untagged COSE_Sign1 array (RFC 9052 section 4.2)
 * [h'', {}, claims, signature] whose claims hold one entry, {-65536: mask} or {-65537: SHA-256}. The signature is made
 * over the claims as they stand, not over a Sig_structure.
 */

#define TOKEN_CLAIM_MASK (-65536)
#define TOKEN_CLAIM_DIGEST (-65537)
#define TOKEN_MASK_MAX 4 /* bytes of a syscall mask */

struct token { /* views into the input */
    const uint8_t *claims;
    size_t claims_size;
    const uint8_t *value; /* of the one claim */
    size_t value_size;
    const uint8_t *signature;
};

/* Writes a token. Without sign the signature is zero, which is as long as a real one. Returns 0 (look at the writer for
 * its own error), or what sign returned. */
int token_put(struct cborio_writer *w, int64_t claim, const uint8_t *value, size_t size, metadata_sign_fn sign,
              void *arg);

/* Reads a token that holds this claim and is all of the given bytes. False when they are anything else. */
bool token_parse(const uint8_t *input, size_t size, int64_t claim, struct token *out);

/* SHA-256 (FIPS 180-4) of two spans, one after the other; either may be empty. */
void token_digest(const void *first, size_t first_size, const void *second, size_t second_size,
                  uint8_t digest[METADATA_DIGEST_SIZE]);

#endif
