#ifndef TC_AGENT_PEER_H
#define TC_AGENT_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* Where a datagram came from, as recvmmsg gave it. */
struct peer {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
};

/* Reads a literal IPv4 or IPv6 address; false when it is none. */
bool peer_parse(const char *text, uint16_t port, struct peer *out);

static inline bool peer_equal(const struct peer *a, const struct peer *b)
{
    return a->size == b->size && memcmp(&a->address, &b->address, a->size) == 0;
}

#endif
