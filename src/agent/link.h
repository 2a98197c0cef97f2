#ifndef TC_AGENT_LINK_H
#define TC_AGENT_LINK_H

#include "agent/peer.h"

#include <stddef.h>
#include <stdint.h>

/*
 * A bad link between a device and everybody else: datagrams in both directions are lost, delayed, overtaken and
 * duplicated, by a seeded generator. What waits is bounded; beyond that it is lost.
 */
#define LINK_DELAY_MAX 60000
#define LINK_QUEUE_MAX 256
#define LINK_NEVER INT64_MAX

struct link_options {
    unsigned lose, reorder, duplicate; /* percent of the datagrams */
    uint32_t delay_ms;
};

enum link_direction { LINK_IN, LINK_OUT };

typedef void (*link_deliver_fn)(void *arg, enum link_direction direction, const struct peer *peer, const uint8_t *data,
                                size_t size);

struct link_datagram;

struct link {
    const struct link_options *options;
    link_deliver_fn deliver;
    void *arg;
    uint64_t random;             /* not 0 */
    struct link_datagram *first; /* in the order of their times */
    size_t waiting;
    int64_t due_ms; /* of the first */
    uint64_t lost;
};

/* The first part is set. */
void link_init(struct link *l);
void link_clear(struct link *l);

/* Delivers it now, later, twice or never. */
void link_pass(struct link *l, enum link_direction direction, const struct peer *peer, const uint8_t *data, size_t size,
               int64_t now_ms);
/* Delivers what is due. */
void link_tick(struct link *l, int64_t now_ms);
int64_t link_deadline(const struct link *l);

#endif
