#include "codec/audit.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATEMENT_MAX 192

int audit_chain(const uint8_t previous[AUDIT_HASH_SIZE], const void *entry, size_t size, uint8_t hash[AUDIT_HASH_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(ctx, previous, AUDIT_HASH_SIZE) == 1 && EVP_DigestUpdate(ctx, entry, size) == 1 &&
                EVP_DigestFinal_ex(ctx, hash, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    return good ? 0 : -EIO;
}

/* What is signed: text that no other signature of the gateway's key is over. */
static size_t statement(const struct audit_anchor *anchor, char out[STATEMENT_MAX])
{
    char hex[2 * AUDIT_HASH_SIZE + 1];

    return (size_t)snprintf(out, STATEMENT_MAX, "tcgw audit %s 1\nseq %" PRIu64 "\ntime %" PRId64 "\nhash %s\n",
                            anchor->base ? "base" : "anchor", anchor->seq, anchor->time,
                            text_hex(anchor->hash, AUDIT_HASH_SIZE, hex));
}

int audit_anchor_sign(struct audit_anchor *anchor, metadata_sign_fn sign, void *arg)
{
    char text[STATEMENT_MAX];
    size_t size = statement(anchor, text);

    return sign(arg, (const uint8_t *)text, size, anchor->signature);
}

bool audit_anchor_is_good(const struct audit_anchor *anchor, const uint8_t public_key[KEY_PUBLIC_SIZE])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, KEY_PUBLIC_SIZE);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char text[STATEMENT_MAX];
    size_t size = statement(anchor, text);
    bool good = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, anchor->signature, AUDIT_SIGNATURE_SIZE, (const uint8_t *)text, size) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return good;
}

/* Verifying -------------------------------------------------------------------------------------------------------- */

static bool printf_like(2, 3) refuse(struct audit_verifier *v, const char *format, ...)
{
    va_list ap;

    if (v->problem[0])
        return false;
    va_start(ap, format);
    (void)vsnprintf(v->problem, sizeof v->problem, format, ap);
    va_end(ap);
    return false;
}

/* Where the trail has come to the number of the anchor that is expected, or past it. */
static bool meet(struct audit_verifier *v, uint64_t next)
{
    const struct audit_anchor *expect = v->expect;

    if (!expect || v->expect_met || v->expect_gone || next <= expect->seq)
        return true;
    if (v->base > expect->seq) {
        v->expect_gone = true;
        return true;
    }
    if (v->last != expect->seq)
        return refuse(v, "entry %" PRIu64 " is missing, which an anchor kept elsewhere stands for", expect->seq);
    v->expect_met = memcmp(v->hash, expect->hash, AUDIT_HASH_SIZE) == 0;
    return v->expect_met || refuse(v,
                                   "the trail up to entry %" PRIu64 " is not the one that an anchor kept elsewhere "
                                   "stands for",
                                   expect->seq);
}

bool audit_verify_entry(struct audit_verifier *v, uint64_t seq, const void *entry, size_t size,
                        const uint8_t hash[AUDIT_HASH_SIZE])
{
    uint8_t is[AUDIT_HASH_SIZE];

    if (v->problem[0] || !meet(v, seq))
        return false;
    if (seq <= v->last)
        return refuse(v, "entry %" PRIu64 " does not follow entry %" PRIu64, seq, v->last);
    if (audit_chain(v->hash, entry, size, is))
        return refuse(v, "a hash could not be computed");
    if (memcmp(is, hash, sizeof is) != 0)
        return refuse(v,
                      "entry %" PRIu64 " was changed, or one between it and entry %" PRIu64 " was removed or inserted",
                      seq, v->last);
    memcpy(v->hash, is, sizeof is);
    v->first = v->first ? v->first : seq;
    v->last = seq;
    v->entries++;
    return true;
}

static bool begin_at(struct audit_verifier *v, const struct audit_anchor *base)
{
    if (v->entries == 0 && base->seq >= v->last) {
        memcpy(v->hash, base->hash, sizeof v->hash);
        v->last = v->base = base->seq;
        return true;
    }
    return refuse(v, "entries up to %" PRIu64 " were let go while others before them are there", base->seq);
}

bool audit_verify_anchor(struct audit_verifier *v, const struct audit_anchor *anchor)
{
    if (v->problem[0])
        return false;
    if (!audit_anchor_is_good(anchor, v->public_key))
        return refuse(v, "the anchor of entry %" PRIu64 " was not signed by the gateway, or was changed", anchor->seq);
    v->anchors++;
    if (anchor->base && !begin_at(v, anchor))
        return false;
    if (anchor->seq != v->last)
        return refuse(v, "entry %" PRIu64 " is missing, which the gateway has signed an anchor for", anchor->seq);
    if (memcmp(anchor->hash, v->hash, AUDIT_HASH_SIZE) != 0)
        return refuse(v, "entry %" PRIu64 " is not the one that the gateway has signed an anchor for", anchor->seq);
    v->anchored = anchor->seq;
    return true;
}

bool audit_verify_end(struct audit_verifier *v)
{
    if (v->problem[0] || !meet(v, UINT64_MAX))
        return false;
    return true;
}
