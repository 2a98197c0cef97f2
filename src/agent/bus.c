#include "agent/bus.h"

#include <string.h>

void bus_join(struct bus *bus, struct bus_member *member, const struct metadata *md)
{
    *member = (struct bus_member){.md = md, .next = bus->first};
    bus->first = member;
}

void bus_leave(struct bus *bus, struct bus_member *member)
{
    struct bus_member **at = &bus->first;

    while (*at && *at != member)
        at = &(*at)->next;
    if (*at)
        *at = member->next;
}

void bus_listen(struct bus_member *member, bool listens)
{
    member->listens = listens;
    member->count = 0;
}

static bool is_other_half(const struct container_endpoint *other, const struct container_endpoint *endpoint,
                          const char *uid)
{
    return other->id == endpoint->peer_endpoint && other->peer == ENDPOINT_PEER_CONTAINER &&
           other->direction != ENDPOINT_OUT && other->peer_endpoint == endpoint->id &&
           strcmp(other->peer_uid, uid) == 0;
}

static bool has_other_half(const struct bus_member *member, const struct container_endpoint *endpoint, const char *uid)
{
    for (size_t i = 0; i < member->md->endpoint_count; i++)
        if (is_other_half(&member->md->endpoints[i], endpoint, uid))
            return true;
    return false;
}

static const char *deliver(struct bus_member *to, uint32_t endpoint, const uint8_t *data, size_t size)
{
    struct bus_message *message = &to->queue[to->count];

    if (to->count == BUS_QUEUE)
        return "too many messages wait for its peer";
    to->count++;
    *message = (struct bus_message){.endpoint = endpoint, .size = (uint8_t)size};
    memcpy(message->data, data, size);
    return NULL;
}

const char *bus_write(const struct bus *bus, const struct bus_member *from, const struct container_endpoint *endpoint,
                      const uint8_t *data, size_t size)
{
    const char *why = "its peer is not there";

    if (size < 1 || size > BUS_MESSAGE_MAX)
        return "a message has 1 to 64 bytes";
    for (struct bus_member *m = bus->first; m; m = m->next) {
        if (m == from || strcmp(m->md->uid, endpoint->peer_uid) != 0)
            continue;
        if (!has_other_half(m, endpoint, from->md->uid))
            why = "its peer has no endpoint for it";
        else if (!m->listens)
            why = "its peer does not run";
        else
            return deliver(m, endpoint->peer_endpoint, data, size);
    }
    return why;
}

int32_t bus_read(struct bus_member *member, uint32_t endpoint, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < member->count; i++) {
        const struct bus_message *message = &member->queue[i];
        int32_t got = message->size;

        if (message->endpoint != endpoint)
            continue;
        if (message->size > size)
            return -1;
        memcpy(out, message->data, message->size);
        member->count--;
        memmove(&member->queue[i], &member->queue[i + 1], (member->count - i) * sizeof member->queue[0]);
        return got;
    }
    return 0;
}
