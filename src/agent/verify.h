#ifndef TC_AGENT_VERIFY_H
#define TC_AGENT_VERIFY_H

#include "base/cleanup.h"
#include "tcgw/metadata.h"

/* How an agent checks what it is to install. */
struct verify_policy {
    bool skip;     /* check nothing, as an agent that was built without crypto */
    bool has_key;  /* without a key any signature will do, but the digests must be right */
    bool old_hash; /* expect the metadata digest of old tools, made with the token's bytes set to zero */
    uint8_t key[32];
};

struct verify_parts {
    const uint8_t *metadata, *data, *code;
    size_t metadata_size, data_size, code_size;
};

/* Parses the metadata and checks tokens and digests. Returns 0, or 1 with a sentence in reason (128 bytes or more). */
int verify_container(const struct verify_policy *policy, const struct verify_parts *parts, struct metadata *md,
                     char *reason, size_t reason_size) must_check;

/* Reads a trusted public key: 64 hexadecimal digits, or the name of a PEM file with an Ed25519 public key. Returns 0,
 * or 1 with a sentence in reason. */
int verify_read_key(const char *text, uint8_t key[32], char *reason, size_t reason_size) must_check;

#endif
