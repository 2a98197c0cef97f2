#ifndef TC_CORE_TIMER_H
#define TC_CORE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Timers on the injected clock: a pairing heap (Fredman et al., 1986) whose nodes are embedded in what they wake, so
 * that setting one needs no memory and the earliest is always at hand. Zero-initialise both.
 */
struct timer {
    int64_t due; /* monotonic ms */
    bool armed;
    void (*fire)(struct timer *timer); /* the timer is no longer armed when it is called */
    struct timer *child, *next, *prev; /* prev: the left sibling, or the parent of the leftmost */
};

struct timers {
    struct timer *root;
};

/* Arms a timer, or moves one that is armed. */
void timer_set(struct timers *timers, struct timer *timer, int64_t due);
/* Harmless for one that is not armed. */
void timer_stop(struct timers *timers, struct timer *timer);
/* Takes out the earliest timer that is due at `now`, NULL when none is. */
struct timer *timer_take(struct timers *timers, int64_t now);
/* INT64_MAX when none is armed. */
int64_t timers_next(const struct timers *timers);

#endif
