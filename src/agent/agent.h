#ifndef TC_AGENT_AGENT_H
#define TC_AGENT_AGENT_H

#include "agent/attacks.h"
#include "agent/device.h"
#include "agent/flood.h"
#include "agent/link.h"
#include "agent/nap.h"
#include "agent/security.h"
#include "agent/server.h"
#include "agent/suitdev.h"
#include "agent/traffic.h"
#include "agent/tricks.h"
#include "agent/v2.h"

/*
 * One agent: a device with its protocol on a message layer. Bytes in, bytes out through a callback; whoever owns it
 * calls agent_tick() when agent_deadline() is reached.
 */
typedef void (*agent_send_fn)(void *arg, const struct peer *peer, const uint8_t *data, size_t size);

struct agent_options {
    struct device_options device;
    struct suitdev_options suit; /* of the kind DEVICE_SUIT */
    struct security_options security;
    struct traffic_options traffic;
    struct attacks_plan attacks;
    struct nap_options nap;
    struct link_options link;
    struct flood_options flood;
    int64_t reboot_ms;        /* each device reboots about as often, at random; 0: never */
    bool forgets;             /* and its containers are gone then */
    const char *const *names; /* of the devices, as their credentials say; NULL: none */
    unsigned ack_timeout_ms;  /* of CoAP; 0: OUTGOING_ACK_TIMEOUT_MS */
    size_t pdu_size;          /* at most SERVER_DATAGRAM_MAX */
};

struct agent {
    const struct agent_options *options;
    struct device device;
    struct server server;
    struct security security;
    struct tricks tricks;
    struct client client;
    struct traffic traffic;
    struct attacks *attacks; /* NULL: an honest device */
    struct v2 v2;
    struct suitdev suit; /* without a device: it is of another kind */
    struct nap nap;
    struct link link;
    struct flood flood;
    agent_send_fn send;
    void *arg;
    int64_t reboot_at_ms;  /* AGENT_NO_DEADLINE: never */
    uint64_t restarted_at; /* requests counted at the last restart */
};

#define AGENT_NO_DEADLINE INT64_MAX

/* index tells the agents of one process apart (ids, seeds, credentials). options, clock and journal must outlive it.
 * Returns 0 or a negative errno; agent_clear ends it in both cases. */
int agent_init(struct agent *a, const struct agent_options *options, unsigned index, const struct clock *clock,
               const struct journal *journal, agent_send_fn send, void *arg) must_check;
void agent_clear(struct agent *a);

void agent_input(struct agent *a, const struct peer *peer, const uint8_t *data, size_t size);

/* While it is busy (bug slow-load) datagrams stay where they are. */
bool agent_busy(const struct agent *a);

/* A simulated restart of the device, which forgets its containers; with forget the state of its security context is
 * lost too. */
void agent_restart(struct agent *a, bool forget);

/* The device is to end: it removes its entry from the directory. False, also when called again later, when nothing is
 * left to do. */
bool agent_end(struct agent *a);

void agent_tick(struct agent *a);
int64_t agent_deadline(const struct agent *a);

#endif
