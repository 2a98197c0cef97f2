#ifndef TC_AGENT_OUTGOING_H
#define TC_AGENT_OUTGOING_H

#include "agent/peer.h"
#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Messages that are sent later, or again until they are acknowledged: separate responses and notifications (RFC 7252
 * section 4.2).
 */
#define OUTGOING_MAX 16
#define OUTGOING_ACK_TIMEOUT_MS 2000
#define OUTGOING_MAX_RETRANSMIT 4
#define OUTGOING_NONE INT64_MAX /* no deadline */

typedef void (*outgoing_send_fn)(void *arg, const struct peer *peer, const uint8_t *data, size_t size);
/* Told once per confirmable message with an owner: acknowledged, or refused (RST, or no answer to the last try). */
typedef void (*outgoing_done_fn)(void *arg, unsigned owner, bool acknowledged);

struct outgoing_entry {
    uint8_t *data; /* NULL: this entry is free */
    size_t size;
    struct peer peer;
    uint16_t id;
    bool confirmable;
    unsigned owner; /* 0: nobody asks */
    unsigned sent;
    int64_t timeout_ms;
    int64_t due_ms;
};

struct outgoing {
    outgoing_send_fn send;
    outgoing_done_fn done;
    void *arg;
    size_t used;
    struct outgoing_entry entries[OUTGOING_MAX];
};

/* Queues a datagram (copied) whose header has the given message id; it is first sent by outgoing_tick at due_ms.
 * timeout_ms is the first wait for an ACK. False when there is no room or no memory. */
bool outgoing_add(struct outgoing *o, const struct peer *peer, const struct outgoing_entry *what);

/* An ACK or RST arrived. */
void outgoing_settle(struct outgoing *o, const struct peer *peer, uint16_t id, bool acknowledged);

/* Forgets what an owner sent; nobody is told. */
void outgoing_cancel(struct outgoing *o, unsigned owner);

void outgoing_tick(struct outgoing *o, int64_t now_ms);
int64_t outgoing_deadline(const struct outgoing *o);
void outgoing_clear(struct outgoing *o);

#endif
