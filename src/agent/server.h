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
     * next call; it may be in room, which has SERVER_DATAGRAM_MAX bytes. */
    enum server_verdict (*handle)(void *arg, const struct peer *peer, const struct coapmsg *request,
                                  struct coapmsg *response, uint8_t *room);
    /* A response arrived. True when somebody waits for it; otherwise it is rejected. */
    bool (*response)(void *arg, const struct peer *peer, const struct coapmsg *response);
    /* A request came again and got its stored answer. */
    void (*duplicate)(void *arg, const struct coapmsg *request);
    /* A notification or request was acknowledged or refused (owner of server_notify, server_request). */
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
    bool knows_oscore;            /* protected requests are for the handler, which looks at the options in them */
    uint64_t random;              /* not 0 */
    unsigned ack_timeout_ms;      /* ACK_TIMEOUT (RFC 7252 section 4.8) */

    uint16_t next_id;
    int64_t busy_until_ms;
    struct dedup dedup;
    struct outgoing outgoing;
    struct server_counters counters;
};

void server_init(struct server *s);

/* Takes one datagram. While server_busy() it is dropped; a transport rather leaves it where it is. */
void server_input(struct server *s, const struct peer *peer, const uint8_t *data, size_t size);

/* The code that refuses a request for its options, 0 when they are fine (RFC 7252 sections 5.4.1 and 5.7.2). */
uint8_t server_check_options(const struct server *s, const struct coapmsg *request);

/* Sends a request (with its token and type) at once; its message ID is set. A confirmable one is sent again until it is
 * acknowledged, and settled is called with owner, unless it is 0. False when it could not be queued. */
bool server_request(struct server *s, const struct peer *peer, struct coapmsg *request, unsigned owner);
/* A request need not be sent again, whatever becomes of it; settled is not called. */
void server_cancel(struct server *s, unsigned owner);

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
