#include "agent/peer.h"

#include <arpa/inet.h>

bool peer_parse(const char *text, uint16_t port, struct peer *out)
{
    *out = (struct peer){0};
    if (inet_pton(AF_INET, text, &out->address.v4.sin_addr) == 1) {
        out->address.v4.sin_family = AF_INET;
        out->address.v4.sin_port = htons(port);
        out->size = sizeof out->address.v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->address.v6.sin6_addr) != 1)
        return false;
    out->address.v6.sin6_family = AF_INET6;
    out->address.v6.sin6_port = htons(port);
    out->size = sizeof out->address.v6;
    return true;
}
