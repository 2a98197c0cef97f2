#include "coap/limiter.h"

#include <string.h>

#define TOKEN 1000 /* thousandths: a rate per second gains so many a millisecond */
#define BURST_SECONDS 2

void limiter_init(struct limiter *limiter, const struct clock *clock, uint64_t seed, uint32_t total_rate,
                  uint32_t own_rate)
{
    *limiter = (struct limiter){.clock = clock, .seed = seed, .total_rate = total_rate, .own_rate = own_rate};
}

static void fill(struct limiter_bucket *bucket, uint32_t rate, int64_t now)
{
    uint64_t most = (uint64_t)rate * BURST_SECONDS * TOKEN;
    uint64_t passed = bucket->at ? (uint64_t)(now - bucket->at) : most;
    uint64_t tokens = passed < most ? bucket->tokens + passed * rate : most;

    bucket->tokens = (uint32_t)(tokens < most ? tokens : most);
    bucket->at = now;
}

/* The finalizer of MurmurHash3: every bit of the key changes half of the others. */
static uint64_t mix(uint64_t key)
{
    key ^= key >> 33;
    key *= UINT64_C(0xff51afd7ed558ccd);
    key ^= key >> 33;
    key *= UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

bool limiter_take(struct limiter *limiter, uint64_t key)
{
    struct limiter_bucket *own = &limiter->own[mix(key ^ limiter->seed) % LIMITER_BUCKETS];
    int64_t now = clock_monotonic_ms(limiter->clock) + 1; /* never 0 */

    fill(own, limiter->own_rate, now);
    fill(&limiter->total, limiter->total_rate, now);
    if (own->tokens < TOKEN || (limiter->total_rate && limiter->total.tokens < TOKEN))
        return false;
    own->tokens -= TOKEN;
    if (limiter->total_rate)
        limiter->total.tokens -= TOKEN;
    return true;
}

uint64_t limiter_peer_key(const struct peer *peer)
{
    uint64_t network;

    if (peer->address.any.sa_family == AF_INET)
        return peer->address.v4.sin_addr.s_addr;
    memcpy(&network, &peer->address.v6.sin6_addr, sizeof network);
    return network ^ UINT64_C(0x600000000);
}
