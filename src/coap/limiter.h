#ifndef TC_COAP_LIMITER_H
#define TC_COAP_LIMITER_H

#include "base/clock.h"
#include "coap/peer.h"

/*
 * Token buckets that bound what strangers may cost: one for all together and one for each key. Keys share a fixed
 * number of buckets, so memory is bounded; two that share one are only served less.
 */

#define LIMITER_BUCKETS 512

struct limiter_bucket {
    int64_t at;      /* when it was filled up last; 0: never used, full */
    uint32_t tokens; /* thousandths */
};

struct limiter {
    const struct clock *clock;
    uint64_t seed;
    uint32_t total_rate, own_rate; /* a second; total 0: no such limit. A burst may be twice that */
    struct limiter_bucket total, own[LIMITER_BUCKETS];
};

/* `seed` is random, so that nobody can choose whom he shares a bucket with. */
void limiter_init(struct limiter *limiter, const struct clock *clock, uint64_t seed, uint32_t total_rate,
                  uint32_t own_rate);
/* False when the key, or all together, had their share. */
bool limiter_take(struct limiter *limiter, uint64_t key) must_check;
/* The key of a peer: its IPv4 address, or the /64 that its IPv6 address is in; not its port. */
uint64_t limiter_peer_key(const struct peer *peer);

#endif
