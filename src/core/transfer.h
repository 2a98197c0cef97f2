#ifndef TC_CORE_TRANSFER_H
#define TC_CORE_TRANSFER_H

#include "base/cleanup.h"
#include "core/link.h"

/*
 * The way of a container's package to its device. It outlives the operation that began it: it goes on where it stood
 * after a lost link, a device that slept, or a restart of the gateway, and is gone when the device has taken the
 * package or refused it for good. What the device has acknowledged is written with the container's row, at most once a
 * second.
 */
struct transfer {
    struct list node; /* core->transfers */
    struct container *container;
    char artifact[CORE_DIGEST_TEXT];
    uint64_t done, total;         /* bytes; total 0: not known yet */
    int64_t started;              /* wall ms */
    uint32_t breaks;              /* how often it was broken off */
    uint32_t block;               /* bytes of a block to go on with; 0: the largest */
    uint64_t best;                /* the most that `done` was in this run */
    bool known;                   /* the device told `done` in this run, and is not known to have restarted since */
    bool sure;                    /* it is known, and holds for the next call */
    uint32_t stuck;               /* breaks in a row without progress */
    uint64_t turn;                /* agent_call.turn */
    uint64_t manifest;            /* SUIT: that the device was told to fetch, and has not taken yet; 0: none */
    char link[CORE_LINK_MAX + 1]; /* that it went over last */
    int64_t written, told;        /* monotonic ms of the last row and event */
    int64_t sampled;              /* monotonic ms of the rate's last sample */
    uint64_t sampled_done;
    uint64_t rate; /* bytes/s, smoothed; 0: not known */
};

/* Begins or goes on with an operation's load. Where there is no memory for the record, the load goes without. */
void transfer_begin(struct operation *op, struct container *container, struct agent_call *call);
/* The load has ended as its outcome says. */
void transfer_stopped(struct container *container, const struct agent_call *call);
/* The device was restarted: what it holds is to be asked. */
void transfer_doubt(struct container *container);
/* There is nothing to go on with; NULL inside is fine. */
void transfer_end(struct container *container);
int transfer_load(struct container *container, const struct store_container *row) must_check;
/* "waiting" (for its turn on its link), "running", "paused" (for another request), "stopped" (until the device is tried
 * again). */
const char *transfer_state(const struct transfer *transfer);
/* {"bytes", "total", "rate", "remaining_s"} */
json_t *transfer_progress_json(const struct transfer *transfer);

struct transfer_filter { /* NULL: any */
    const char *device, *link;
};
/* Those that have begun and not ended, the oldest first, at most max: {"device", "container", "artifact", "link",
 * "state", "bytes", "total", "rate", "remaining_s", "block", "breaks", "started_at"}. *count: how many there are. */
json_t *core_transfers_json(const struct core *core, const struct transfer_filter *filter, size_t max, size_t *count);
/* How many go over a link, and wait for their turn on it; NULL: over all. */
void transfers_count(const struct core *core, const char *link, size_t *running, size_t *waiting);

#endif
