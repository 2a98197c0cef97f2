#ifndef TC_AGENT_AGENT_H
#define TC_AGENT_AGENT_H

#include "agent/device.h"
#include "agent/server.h"
#include "agent/v2.h"

/*
 * One agent: a device with its protocol on a message layer. Bytes in, bytes out through a callback; whoever owns it
 * calls agent_tick() when agent_deadline() is reached.
 */
typedef void (*agent_send_fn)(void *arg, const struct peer *peer, const uint8_t *data, size_t size);

struct agent {
    struct device device;
    struct server server;
    struct v2 v2;
    agent_send_fn send;
    void *arg;
    uint64_t restarted_at; /* requests counted at the last restart */
};

#define AGENT_NO_DEADLINE INT64_MAX

/* index tells the agents of one process apart (ids, seeds). options, clock and journal must outlive it. Returns 0 or
 * -ENOMEM; agent_clear ends it in both cases. */
int agent_init(struct agent *a, const struct device_options *options, unsigned index, size_t pdu_size,
               const struct clock *clock, const struct journal *journal, agent_send_fn send, void *arg) must_check;
void agent_clear(struct agent *a);

void agent_input(struct agent *a, const struct peer *peer, const uint8_t *data, size_t size);

/* While it is busy (bug slow-load) datagrams stay where they are. */
bool agent_busy(const struct agent *a);

/* A simulated restart of the device. */
void agent_restart(struct agent *a);

void agent_tick(struct agent *a);
int64_t agent_deadline(const struct agent *a);

#endif
