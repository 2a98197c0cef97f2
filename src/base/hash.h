#ifndef TC_BASE_HASH_H
#define TC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A hash that is the same in every run and on every machine, to tell things apart; nobody is kept from making two that
 * have the same. Chain calls by the seed. FNV-1a, each part mixed at its end (the finalizer of MurmurHash3). */
static inline uint64_t hash_bytes(uint64_t seed, const void *data, size_t size)
{
    uint64_t h = seed ^ UINT64_C(0xcbf29ce484222325);

    for (const uint8_t *p = data, *end = p + size; p < end; p++)
        h = (h ^ *p) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

#endif
