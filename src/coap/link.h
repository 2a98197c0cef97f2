#ifndef TC_COAP_LINK_H
#define TC_COAP_LINK_H

#include "base/list.h"
#include "core/ports.h"

#include <uthash.h>
#include <uv.h>

/*
 * Who may send how much over a link when. Transfers take places, of which a link has so many, in the order in which
 * they asked first; and between their blocks they wait until the link's bytes per second allow the next one. Other
 * requests never wait, but count.
 */
struct links {
    uv_timer_t timer;
    struct link_state *table; /* uthash by name: those that something is on */
    uint64_t turns;           /* given */
    void (*closed)(void *arg);
    void *closed_arg;
    bool closing;
};

/* A transfer's, embedded in its owner; zeroed before its first use. */
struct link_place {
    struct list node; /* in a queue of its link */
    struct link_state *link;
    bool taken, queued;
    bool is_guest; /* it waits for bytes only */
    size_t bytes;  /* while it does */
    uint64_t turn;
    void (*ready)(struct link_place *place); /* from the loop: ask again */
};

void links_init(struct links *links, uv_loop_t *loop);
void links_close(struct links *links, void (*closed)(void *arg), void *arg);

/* A transfer comes to its link. turn: what it had when it was here before, so that it stands where it stood; 0: it was
 * not. False: out of memory, and it goes without limits. */
bool link_enter(struct links *links, struct link_place *place, const struct agent_link *link, uint64_t turn,
                void (*ready)(struct link_place *place));
/* Something that is to leave over a link and needs no place on it: an answer to a device that fetches. */
bool link_enter_guest(struct links *links, struct link_place *place, const struct agent_link *link,
                      void (*ready)(struct link_place *place));
/* Whether it may send so many bytes now, which count then; else `ready` is called when it may ask again. */
bool link_take(struct links *links, struct link_place *place, size_t bytes);
/* About how long one that waits for bytes will wait, in ms. */
uint64_t link_delay(const struct link_place *place);
/* Its place is free, and it waits no more. May be called twice. */
void link_leave(struct links *links, struct link_place *place);
/* So many bytes went over it, whatever its limit says. */
void link_charge(struct links *links, const struct agent_link *link, size_t bytes);

#endif
