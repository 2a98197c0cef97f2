#ifndef TC_AGENT_BUS_H
#define TC_AGENT_BUS_H

#include "tcgw/metadata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Messages between the containers of one device. An endpoint whose peer is a container is one half of a channel; the
 * other half is the peer's endpoint, which must name this one in its own metadata and have the other direction (or
 * both). A message goes to a container that runs and waits there, whole, until it is read; nothing waits for one that
 * does not run.
 */
#define BUS_MESSAGE_MAX 64 /* bytes */
#define BUS_QUEUE 8        /* messages that wait for one container */

struct bus_message {
    uint32_t endpoint; /* of the one that reads it */
    uint8_t size;
    uint8_t data[BUS_MESSAGE_MAX];
};

struct bus_member { /* embedded in its owner */
    const struct metadata *md;
    bool listens;
    size_t count;
    struct bus_message queue[BUS_QUEUE]; /* the oldest first */
    struct bus_member *next;
};

struct bus {
    struct bus_member *first;
};

/* md must outlive the membership. */
void bus_join(struct bus *bus, struct bus_member *member, const struct metadata *md);
void bus_leave(struct bus *bus, struct bus_member *member);

/* A container begins to run, or ends; what waited for it is gone. */
void bus_listen(struct bus_member *member, bool listens);

/* Sends over an endpoint of `from`. NULL: taken; else why not, half a sentence. */
const char *bus_write(const struct bus *bus, const struct bus_member *from, const struct container_endpoint *endpoint,
                      const uint8_t *data, size_t size);

/* Takes the oldest message of an endpoint. Returns its size, 0 when none waits, -1 when it is larger than size (it goes
 * on waiting). */
int32_t bus_read(struct bus_member *member, uint32_t endpoint, uint8_t *out, size_t size);

#endif
