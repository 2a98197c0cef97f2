#include "coap/peer.h"

#include <string.h>

bool peer_equal(const struct peer *a, const struct peer *b)
{
    if (a->transport != b->transport || a->address.any.sa_family != b->address.any.sa_family)
        return false;
    if (a->address.any.sa_family == AF_INET)
        return a->address.v4.sin_port == b->address.v4.sin_port &&
               a->address.v4.sin_addr.s_addr == b->address.v4.sin_addr.s_addr;
    return a->address.v6.sin6_port == b->address.v6.sin6_port &&
           a->address.v6.sin6_scope_id == b->address.v6.sin6_scope_id &&
           memcmp(&a->address.v6.sin6_addr, &b->address.v6.sin6_addr, sizeof a->address.v6.sin6_addr) == 0;
}
