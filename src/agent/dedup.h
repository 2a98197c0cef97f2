#ifndef TC_AGENT_DEDUP_H
#define TC_AGENT_DEDUP_H

#include "agent/peer.h"
#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Remembers the requests that were answered, so that a retransmission gets the same answer again and is not executed a
 * second time (RFC 7252 section 4.5). An entry lives for EXCHANGE_LIFETIME or until DEDUP_ENTRIES newer ones came.
 */
#define DEDUP_ENTRIES 512
#define DEDUP_LIFETIME_MS 247000
#define DEDUP_NONE UINT16_MAX

struct dedup_entry {
    struct peer peer;
    uint16_t id;
    uint16_t older; /* place of the one before it in its bucket, DEDUP_NONE: none */
    int64_t expires_ms;
    uint8_t *answer;
    size_t size;
};

struct dedup {
    struct dedup_entry *entries; /* a ring that grows with its use */
    uint16_t *buckets;           /* as many: place of the newest entry with that hash, DEDUP_NONE: none */
    size_t size;                 /* a power of two */
    size_t next;                 /* the place of the next one, which is also the oldest when all are in use */
    size_t used;
};

/* The live entry of a request, NULL when there is none. */
const struct dedup_entry *dedup_find(const struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms);

/* Remembers an answer, which is copied; without memory less or nothing of it. */
void dedup_store(struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms, const void *answer,
                 size_t size);

void dedup_clear(struct dedup *d);

#endif
