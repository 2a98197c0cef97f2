#ifndef TC_AGENT_PIVLOG_H
#define TC_AGENT_PIVLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which nonce the other side protected what with: a nonce that comes with two messages is the worst that can happen to
 * OSCORE (RFC 8613 section 12.3). Of one security context; the latest PIVLOG_MAX of each kind are remembered at least.
 */
#define PIVLOG_MAX 8192

enum pivlog_kind {
    PIVLOG_OWN,      /* the other side's own Partial IV */
    PIVLOG_ANSWERED, /* the Partial IV of a request to it, whose nonce its answer used */
};

struct pivlog_entry {
    uint64_t key; /* 0: free */
    uint64_t hash;
};

struct pivlog {
    struct pivlog_entry *entries; /* grows with use; the place of a number is its low bits */
    size_t size;
};

enum pivlog_result { PIVLOG_NEW, PIVLOG_SAME, PIVLOG_REUSED };

/* What is known of a message with this number and this digest; the log does not change. */
enum pivlog_result pivlog_check(const struct pivlog *log, enum pivlog_kind kind, uint64_t piv, uint64_t hash);
/* Remembers it; without memory less than that. */
void pivlog_add(struct pivlog *log, enum pivlog_kind kind, uint64_t piv, uint64_t hash);
void pivlog_clear(struct pivlog *log);

#endif
