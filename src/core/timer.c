#include "core/timer.h"

#include <stddef.h>

/* Joins two heaps, each a root without siblings. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    struct timer *swap;

    if (!a || !b)
        return a ? a : b;
    if (b->due < a->due) {
        swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

static struct timer *detach(struct timer *t)
{
    if (t)
        t->next = t->prev = NULL;
    return t;
}

/* Joins a list of siblings: in pairs from the left, then the pairs from the right. */
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL, *root = NULL;

    while (first) {
        struct timer *a = first, *b = a->next, *pair;

        first = b ? b->next : NULL;
        pair = meld(detach(a), detach(b));
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct timer *next = pairs->next;

        root = meld(root, detach(pairs));
        pairs = next;
    }
    return root;
}

void timer_stop(struct timers *timers, struct timer *timer)
{
    struct timer *rest;

    if (!timer->armed)
        return;
    rest = meld_siblings(timer->child);
    if (timer == timers->root) {
        timers->root = rest;
    } else {
        if (timer->prev->child == timer)
            timer->prev->child = timer->next;
        else
            timer->prev->next = timer->next;
        if (timer->next)
            timer->next->prev = timer->prev;
        timers->root = meld(timers->root, rest);
    }
    timer->child = timer->next = timer->prev = NULL;
    timer->armed = false;
}

void timer_set(struct timers *timers, struct timer *timer, int64_t due)
{
    timer_stop(timers, timer);
    timer->due = due;
    timer->armed = true;
    timers->root = meld(timers->root, timer);
}

struct timer *timer_take(struct timers *timers, int64_t now)
{
    struct timer *first = timers->root;

    if (!first || first->due > now)
        return NULL;
    timer_stop(timers, first);
    return first;
}

int64_t timers_next(const struct timers *timers)
{
    return timers->root ? timers->root->due : INT64_MAX;
}
