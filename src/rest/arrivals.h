#ifndef TC_REST_ARRIVALS_H
#define TC_REST_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* How many connections each address opens: a table of fixed size, in which addresses may share a place; nobody outside
 * can tell which do. An IPv6 network of 64 bits counts as one address. */

#define ARRIVALS_PLACES 256

struct arrivals {
    uint64_t seed; /* random */
    struct {
        uint64_t since; /* ms */
        uint32_t count; /* from then on */
    } places[ARRIVALS_PLACES];
};

/* Counts a connection that comes at time now (ms, monotonic). False: it is over the limit per second. */
bool arrivals_allow(struct arrivals *arrivals, const struct sockaddr *from, uint64_t now, uint32_t limit);

#endif
