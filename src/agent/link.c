#include "agent/link.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define OVERTAKEN_MS 20 /* how much longer a datagram takes at least that others are to overtake */

struct link_datagram {
    struct link_datagram *next;
    int64_t due_ms;
    enum link_direction direction;
    struct peer peer;
    size_t size;
    uint8_t data[];
};

void link_init(struct link *l)
{
    l->due_ms = LINK_NEVER;
}

static struct link_datagram *take_first(struct link *l)
{
    struct link_datagram *first = l->first;

    l->first = first->next;
    l->waiting--;
    l->due_ms = l->first ? l->first->due_ms : LINK_NEVER;
    return first;
}

void link_clear(struct link *l)
{
    while (l->first)
        free(take_first(l));
}

static bool happens(struct link *l, unsigned percent)
{
    if (!percent)
        return false;
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (uint32_t)(l->random >> 32) % 100 < percent;
}

static void hold(struct link *l, const struct link_datagram *what, const uint8_t *data)
{
    struct link_datagram **at = &l->first, *d = NULL;

    if (l->waiting < LINK_QUEUE_MAX)
        d = malloc(sizeof *d + what->size);
    if (!d) {
        l->lost++;
        return;
    }
    *d = *what;
    memcpy(d->data, data, d->size);
    while (*at && (*at)->due_ms <= d->due_ms)
        at = &(*at)->next;
    d->next = *at;
    *at = d;
    l->waiting++;
    l->due_ms = l->first->due_ms;
}

static void pass_one(struct link *l, struct link_datagram *what, const uint8_t *data, int64_t now_ms)
{
    int64_t delay = l->options->delay_ms;

    if (happens(l, l->options->reorder))
        delay += delay > OVERTAKEN_MS ? delay : OVERTAKEN_MS;
    what->due_ms = now_ms + delay;
    if (delay)
        hold(l, what, data);
    else
        l->deliver(l->arg, what->direction, &what->peer, data, what->size);
}

void link_pass(struct link *l, enum link_direction direction, const struct peer *peer, const uint8_t *data, size_t size,
               int64_t now_ms)
{
    struct link_datagram what = {.direction = direction, .peer = *peer, .size = size};
    bool twice = happens(l, l->options->duplicate);

    if (happens(l, l->options->lose)) {
        l->lost++;
        return;
    }
    pass_one(l, &what, data, now_ms);
    if (twice)
        pass_one(l, &what, data, now_ms);
}

void link_tick(struct link *l, int64_t now_ms)
{
    while (l->first && l->due_ms <= now_ms) {
        struct link_datagram *d = take_first(l);

        l->deliver(l->arg, d->direction, &d->peer, d->data, d->size);
        free(d);
    }
}

int64_t link_deadline(const struct link *l)
{
    return l->due_ms;
}
