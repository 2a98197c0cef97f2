#ifndef TC_AGENT_TRANSPORT_H
#define TC_AGENT_TRANSPORT_H

#include "agent/agent.h"

#include <uv.h>

/*
 * Many agents on UDP sockets with consecutive ports, on one libuv loop. Datagrams are read and written in batches
 * (recvmmsg, sendmmsg), and nothing is allocated for one.
 */
#define TRANSPORT_COUNT_MAX 20000

struct transport_options {
    const char *address; /* literal IPv4 or IPv6 */
    uint16_t port;       /* of the first; 0: free ones are picked */
    unsigned count;      /* 1 to TRANSPORT_COUNT_MAX */
    const struct agent_options *agent;
    const struct clock *clock;
    const struct journal *journal;
};

struct transport;

/* Opens all sockets and begins to serve them. Returns 0 or a negative errno with a sentence in reason (256 bytes). */
int transport_open(struct transport **out, uv_loop_t *loop, const struct transport_options *options, char *reason,
                   size_t reason_size) must_check;

uint16_t transport_first_port(const struct transport *t);

/* Restarts all devices; with forget they lose the state of their security contexts too. */
void transport_restart(struct transport *t, bool forget);

/* The devices are to end and say goodbye where they have to. False, also when called again later, when all have. */
bool transport_end(struct transport *t);

/* Sums of all devices. */
struct outbox_counters transport_telemetry(const struct transport *t);

/* Closes all; freed in the loop's close callbacks. Takes NULL. */
void transport_close(struct transport *t);

#endif
