#ifndef TC_CODEC_AUDIT_H
#define TC_CODEC_AUDIT_H

#include "base/cleanup.h"
#include "codec/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The audit trail's proof: each entry has a hash over the one before it and its own bytes, and now and then the gateway
 * signs a hash (an anchor) with its Ed25519 key. Who cannot sign can neither change, remove, reorder nor insert an
 * entry before an anchor without this being seen. An entry is JSON: one object, compact, its names sorted, with "seq".
 *
 * When old entries are let go, the last of them leaves an anchor of its own kind, the base, from which the chain goes
 * on. A chain without a base begins with a hash of zeros.
 */

#define AUDIT_HASH_SIZE 32
#define AUDIT_SIGNATURE_SIZE 64
#define AUDIT_REASON_SIZE 256

struct audit_anchor {
    uint64_t seq; /* of the entry whose hash it is */
    int64_t time; /* wall ms */
    bool base;
    uint8_t hash[AUDIT_HASH_SIZE];
    uint8_t signature[AUDIT_SIGNATURE_SIZE];
};

/* SHA-256 over the previous hash and the entry's bytes. 0, or -EIO when the library failed. hash may be previous. */
int audit_chain(const uint8_t previous[AUDIT_HASH_SIZE], const void *entry, size_t size,
                uint8_t hash[AUDIT_HASH_SIZE]) must_check;

/* Sets the signature. 0, or what the signing function gave. */
int audit_anchor_sign(struct audit_anchor *anchor, metadata_sign_fn sign, void *arg) must_check;
bool audit_anchor_is_good(const struct audit_anchor *anchor, const uint8_t public_key[KEY_PUBLIC_SIZE]);

/* Verifies a trail piece by piece: entries and anchors in the order of their numbers, an entry before its anchors. */
struct audit_verifier {
    const uint8_t *public_key;         /* 32 bytes; the caller's */
    const struct audit_anchor *expect; /* an anchor that was kept elsewhere, which has to be met; NULL: none */
    bool expect_met, expect_gone;      /* it was; it is older than what is kept */
    uint8_t hash[AUDIT_HASH_SIZE];
    uint64_t first, last;                /* numbers of entries; 0: none yet */
    uint64_t base;                       /* number that the base has; 0: none */
    uint64_t entries, anchors, anchored; /* anchored: the last number that an anchor stands for */
    char problem[AUDIT_REASON_SIZE];     /* the first one found; empty: none */
};

/* Each returns false once there is a problem. hash: what is stored with the entry. */
bool audit_verify_entry(struct audit_verifier *verifier, uint64_t seq, const void *entry, size_t size,
                        const uint8_t hash[AUDIT_HASH_SIZE]);
bool audit_verify_anchor(struct audit_verifier *verifier, const struct audit_anchor *anchor);
/* After the last one. */
bool audit_verify_end(struct audit_verifier *verifier);

#endif
