#ifndef TC_AGENT_CLIENT_H
#define TC_AGENT_CLIENT_H

#include "agent/security.h"
#include "agent/server.h"
#include "base/buffer.h"

/*
 * A device as CoAP client of its gateway: one request at a time (NSTART 1), with its blocks in both directions (RFC
 * 7959), and one observation. It answers Echo challenges and begins Appendix B.2 when the gateway does not know its
 * context. It has no socket of its own: requests leave from where the device is served.
 */
#define CLIENT_OWNER UINT32_MAX /* its requests in `outgoing` */
#define CLIENT_TOKEN_SIZE 4
#define CLIENT_BODY_MAX (256 * 1024)
#define CLIENT_LOCATION_SIZE 64
#define CLIENT_NEVER INT64_MAX

struct client_task {
    uint8_t method;
    const char *path;
    const char *query;      /* "a=1&b=2", each an option; NULL: none */
    const uint8_t *payload; /* must outlive the task, as path and query */
    size_t payload_size;
    uint16_t format; /* of the payload (Content-Format) */
    bool plain;      /* not protected */
    bool observe;    /* register (RFC 7641) */
};

enum client_outcome {
    CLIENT_ANSWERED,  /* with a code, and a body in client.body */
    CLIENT_NO_ANSWER, /* not within the time of RFC 7252 */
    CLIENT_UNTRUSTED, /* only unprotected answers came */
    CLIENT_FAILED,    /* it could not be protected or sent */
};

struct client_ops {
    /* A task has ended; the next one may be begun in it. */
    void (*finished)(void *arg, enum client_outcome outcome, uint8_t code);
    /* A notification, or the first answer to a registration; the body is in client.body. */
    void (*notified)(void *arg, uint8_t code);
};

struct client_observation {
    bool active;
    bool incomplete; /* the latest notification was only the first block: all is to be read */
    const char *path;
    uint8_t token[CLIENT_TOKEN_SIZE];
    struct security_call call;
    int64_t refresh_ms; /* when Max-Age has passed without another one */
};

struct client {
    struct server *server;
    struct security *security;
    struct peer gateway;
    const struct client_ops *ops;
    void *arg;

    bool busy;
    bool reading; /* the rest of a notification, for nobody's task */
    struct client_task task;
    struct security_call call;
    uint8_t token[CLIENT_TOKEN_SIZE];
    uint32_t block; /* number of the next one, of Block1 or (fetching) of Block2 */
    bool fetching;
    uint8_t szx;
    unsigned repeats; /* of the present task */
    uint8_t echo[40], echo_size;
    uint8_t etag[8], etag_size;
    struct buffer body;
    char location[CLIENT_LOCATION_SIZE]; /* path of what the last answer created, empty when it says none */
    uint32_t max_age;                    /* of the last answer, 0 when it has none */
    int64_t deadline_ms;
    bool repeat; /* at the deadline it is sent again; otherwise given up */
    int64_t renew_from_ms, renew_wait_ms;
    struct client_observation observation;
};

/* The first part of the struct is set. */
void client_init(struct client *c);
void client_clear(struct client *c);

/* Begins a task; it must not be busy. */
void client_begin(struct client *c, const struct client_task *task);

/* A response arrived. False: it is not for this client. */
bool client_response(struct client *c, const struct peer *peer, const struct coapmsg *response);
/* Its request was acknowledged, or will not be. */
void client_settled(struct client *c, bool acknowledged);

void client_tick(struct client *c);
int64_t client_deadline(const struct client *c);

#endif
