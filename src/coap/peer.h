#ifndef TC_COAP_PEER_H
#define TC_COAP_PEER_H

#include "base/cleanup.h"
#include "core/model.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whom a message came from or goes to: a transport, an address, and which of our own addresses it was sent to, so that
 * an answer leaves from there. Addresses are where somebody was heard, never who somebody is. */

enum peer_transport { PEER_UDP, PEER_DTLS, PEER_TCP, PEER_TLS, PEER_TRANSPORT_COUNT };

struct peer {
    enum peer_transport transport;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6; /* IPv4 peers of a dual-stack socket are stored as v4 */
    } address;
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } local;          /* of the same family; zeros: any */
    unsigned ifindex; /* 0: any */
    uint64_t session; /* which one of a connected transport, never used again; 0: none. An address may get another */
};

/* Same transport, address, port and scope. */
bool peer_equal(const struct peer *a, const struct peer *b);
/* From canonical text (address.h): "coap://", "coaps://", "coap+tcp://", "coaps+tcp://". Negative errno: -ENODEV for an
 * interface that does not exist. */
int peer_parse(const char *address, struct peer *out) must_check;
/* The canonical text; out has CORE_ADDRESS_MAX + 1 bytes. Returns out. */
char *peer_format(const struct peer *peer, char *out);

#endif
