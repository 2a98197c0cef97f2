#ifndef TC_AGENT_SERVER_H
#define TC_AGENT_SERVER_H

#include "agent/bugs.h"
#include "agent/dedup.h"
#include "agent/outgoing.h"
#include "base/clock.h"
#include "tcgw/coapmsg.h"

/*
 * The message layer of a CoAP server (RFC 7252 section 4) for one endpoint: bytes in, bytes out through a callback. It
 * knows nothing of resources, sockets and timers. Embedded by its owner, who sets the first part, calls server_init,
 * and ends it with server_clear.
 *
 * Requests that change something are answered once and their answers kept (dedup.h); a retransmitted GET or FETCH is
 * simply answered anew, as section 4.5 allows for safe methods.
 */
#define SERVER_DATAGRAM_MAX 8192

/* What a handler says of its answer. */
enum server_verdict {
    SERVER_ANSWER,
    SERVER_ANSWER_LOAD, /* of a request that loads or installs a container, for the bugs that hit only these */
    SERVER_SILENCE,     /* no answer at all */
};

struct server_ops {
    /* Answers a request: sets the response's code, options and payload. What those point to must stay valid until the
     * next call. */
    enum server_verdict (*handle)(void *arg, const struct peer *peer, const struct coapmsg *request,
                                  struct coapmsg *response);
    /* A request came again and got its stored answer. */
    void (*duplicate)(void *arg, const struct coapmsg *request);
    /* A notification was acknowledged or refused (owner of server_notify). */
    void (*settled)(void *arg, unsigned owner, bool acknowledged);
    void (*send)(void *arg, const struct peer *peer, const uint8_t *data, size_t size);
};

struct server_counters {
    uint64_t requests, duplicates, errors, notifications;
};

struct server {
    const struct server_ops *ops;
    void *arg;
    const struct clock *clock;
    struct bugs *bugs;
    size_t pdu_size;              /* at most SERVER_DATAGRAM_MAX; a larger datagram gets no answer */
    bool ignores_unknown_options; /* as v1 agents do, even for critical ones */
    uint64_t random;              /* not 0 */

    uint16_t next_id;
    int64_t busy_until_ms;
    struct dedup dedup;
    struct outgoing outgoing;
    struct server_counters counters;
};

void server_init(struct server *s);

/* Takes one datagram. While server_busy() it is dropped; a transport rather leaves it where it is. */
void server_input(struct server *s, const struct peer *peer, const uint8_t *data, size_t size);

/* Sends a response (with its token) as a confirmable message of its own; settled is called with owner, unless it is
 * 0. False when it could not be queued. */
bool server_notify(struct server *s, const struct peer *peer, struct coapmsg *response, unsigned owner);

bool server_busy(const struct server *s);
void server_tick(struct server *s);
int64_t server_deadline(const struct server *s); /* OUTGOING_NONE: never */

/* Forgets peers and messages, as a restart does. */
void server_clear(struct server *s);

/* A pseudo-random number from the seed; not for secrets. */
uint32_t server_random(struct server *s);

#endif
