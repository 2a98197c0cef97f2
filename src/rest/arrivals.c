#include "rest/arrivals.h"

#include "base/hash.h"

#include <netinet/in.h>

#define WINDOW_MS 1000
#define NETWORK_BYTES 8 /* of an IPv6 address: what one customer usually has */

static uint64_t hash_address(uint64_t seed, const struct sockaddr *from)
{
    const struct sockaddr_in *v4 = (const void *)from;
    const struct sockaddr_in6 *v6 = (const void *)from;

    if (from->sa_family == AF_INET)
        return hash_bytes(seed, &v4->sin_addr, sizeof v4->sin_addr);
    if (from->sa_family != AF_INET6)
        return seed;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return hash_bytes(seed, v6->sin6_addr.s6_addr + 12, 4);
    return hash_bytes(seed, &v6->sin6_addr, NETWORK_BYTES);
}

bool arrivals_allow(struct arrivals *arrivals, const struct sockaddr *from, uint64_t now, uint32_t limit)
{
    uint64_t place = hash_address(arrivals->seed, from) % ARRIVALS_PLACES;

    if (now - arrivals->places[place].since >= WINDOW_MS) {
        arrivals->places[place].since = now;
        arrivals->places[place].count = 0;
    }
    return arrivals->places[place].count++ < limit;
}
