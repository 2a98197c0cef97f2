#ifndef TC_AGENT_FETCH_H
#define TC_AGENT_FETCH_H

#include "agent/security.h"
#include "agent/server.h"
#include "base/buffer.h"

/*
 * Reads what a URL names as RIOT's client does: GET, confirmable, with an empty token, Block2 of 64 bytes, one after
 * the other. Only coap:// and literal addresses. A device that has OSCORE credentials protects all of it.
 */
#define FETCH_OWNER (UINT32_MAX - 1) /* its requests in `outgoing` */
#define FETCH_PATH_MAX 64            /* with its NUL, as in RIOT */
#define FETCH_SZX 2
#define FETCH_NEVER INT64_MAX
#define FETCH_ECHO_MAX 40 /* RFC 9175 section 2.2.1 */

struct fetch {
    struct server *server;
    struct security *security;
    void (*done)(void *arg, const char *problem); /* NULL: the body is there; it may begin another one */
    void *arg;

    bool busy;
    struct peer peer;
    char path[FETCH_PATH_MAX];
    uint16_t id; /* of the request that is under way */
    size_t max;
    struct buffer body;
    int64_t deadline_ms; /* of an answer that comes separately */
    struct security_call call;
    unsigned repeats; /* of requests that had to be protected anew */
    uint8_t echo[FETCH_ECHO_MAX], echo_size;
};

/* Splits "coap://ADDRESS[:PORT]/PATH"; false for anything else. */
bool fetch_parse_url(const char *url, struct peer *peer, char path[FETCH_PATH_MAX]);

/* Begins; done is called in any case, possibly at once. A body of more than max bytes ends it. */
void fetch_begin(struct fetch *f, const char *url, size_t max);
void fetch_clear(struct fetch *f); /* ends it; done is not called */

/* A response arrived. False: it is not for this one. */
bool fetch_response(struct fetch *f, const struct peer *peer, const struct coapmsg *response);
/* Its request was acknowledged, or will not be. */
void fetch_settled(struct fetch *f, bool acknowledged);
void fetch_tick(struct fetch *f);
int64_t fetch_deadline(const struct fetch *f);

#endif
