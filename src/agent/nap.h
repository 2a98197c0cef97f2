#ifndef TC_AGENT_NAP_H
#define TC_AGENT_NAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The sleep of a device that saves its battery: it wakes at fixed times, says something, listens for a while after each
 * message of its own, and hears and says nothing else. Its containers run on.
 */
struct nap_options {
    uint32_t sleep_s; /* from one wake-up to the next; 0: it never sleeps */
    uint32_t awake_ms;
};

struct nap {
    const struct nap_options *options;
    bool asleep;
    bool busy;        /* when it was told the last time */
    int64_t wake_ms;  /* the next wake-up */
    int64_t until_ms; /* awake at least so long */
};

#define NAP_NEVER INT64_MAX

void nap_init(struct nap *n, int64_t now_ms);
/* True when it has woken up now. */
bool nap_wakes(struct nap *n, int64_t now_ms);
/* To be told after everything: whether an exchange of its own is under way. It may fall asleep. */
void nap_settle(struct nap *n, bool busy, int64_t now_ms);
int64_t nap_deadline(const struct nap *n);

#endif
