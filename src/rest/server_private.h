#ifndef TC_REST_SERVER_PRIVATE_H
#define TC_REST_SERVER_PRIVATE_H

#include "rest/arrivals.h"
#include "rest/server.h"
#include "rest/tls.h"

#include <microhttpd.h>

/* Shared by server.c (sockets, loop, shutdown), exchange.c (one request), response.c and live.c (streams). */

#define RECENT_COUNT 128 /* a power of two */

/* A response to a read that is likely to be asked for again, as long as nothing changes. */
struct recent {
    struct MHD_Response *response; /* NULL: none */
    void *body;                    /* the response's */
    size_t size;
};

struct server {
    struct server_options options;
    struct listener *listeners;
    struct http_server_stats stats;
    struct arrivals arrivals;
    struct tls *tls;         /* of the next HTTPS connection; NULL: none */
    struct list connections; /* connection.node */
    size_t connection_count;
    struct list live; /* exchange.node: begun and not released */
    struct exchange *free;
    size_t free_count;
    struct recent recent[RECENT_COUNT]; /* response.c */
    uint64_t id_prefix, id_counter;     /* of the request ids that we make */
    uv_idle_t kick;                     /* runs the listeners that have something to do at once */
    uv_timer_t sweep;                   /* ends connections that send too slowly, and the grace at shutdown */
    unsigned open_handles;
    uint64_t grace_end;
    bool stopped; /* what is resumed now is dropped */
};

struct listener {
    struct server *server;
    struct listener *next;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    uint64_t due;       /* of the timer */
    uint32_t timeout_s; /* that the daemon was started with */
    bool local;         /* a Unix socket */
    bool secure;        /* HTTPS */
    bool kicked;
};

struct connection {
    struct list node;
    struct MHD_Connection *mhd;
    struct http_peer peer;
    struct tls *tls;           /* NULL: plain HTTP, or no request has come yet that would tell */
    int64_t certificate_until; /* of the client, Unix time */
    bool identified;           /* the handshake is over, and peer says with whom */
    uint64_t since;            /* uv_now when the present request, or the silence before it, began */
    uint64_t progress;         /* bytes of its body since then */
    bool busy;                 /* its request is complete and being worked on */
    bool over_limit;
    bool cut; /* we end it; MHD has not noticed yet */
};

enum exchange_stage { EXCHANGE_NEW, EXCHANGE_BODY, EXCHANGE_HANDLED };

struct exchange {
    struct http_request req;
    struct list node;
    struct server *server; /* NULL once the server is gone */
    struct listener *listener;
    struct connection *connection;
    struct MHD_Connection *mhd;    /* NULL once the client was answered, or left */
    struct MHD_Response *response; /* complete, not yet queued */
    struct live *live;             /* of a response that goes on */
    bool shared;                   /* the response is one of server->recent */
    bool given_id;                 /* the request's id is the client's */
    enum exchange_stage stage;
    const char *raw_target, *raw_end; /* in MHD's copy of the request line */
    bool sent;                        /* the response is complete, or could not be made */
    bool suspended;
    struct exchange *next_free;
};

/* Turns ex->req.response into MHD's form; NULL when out of memory. The body is handed over in any case. */
struct MHD_Response *response_make(struct exchange *ex);
/* Frees the body of a response that is not sent. */
void response_free_body(const struct http_response *res);
/* MHD's form of ex->req.response.stream; NULL when out of memory. */
struct MHD_Response *live_respond(struct exchange *ex);
/* The client is gone, or was given all: closes the stream. */
void live_end(struct exchange *ex);
/* Lets ex->response go, when there is one. */
void response_drop(struct exchange *ex);
void response_forget_recent(struct server *server);

/* Callbacks for MHD; cls is the listener. */
void *exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *data, size_t *size, void **con_cls);
void exchange_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode reason);

/* At the end of the server: resumes what is suspended, and cuts the ties of requests that somebody still holds. */
void exchange_resume_all(struct server *server);
void exchange_orphan_all(struct server *server);
void exchange_free_spares(struct server *server);

/* Writes a complete response to a connection on which nothing else was sent for this request; best effort. */
void exchange_send_raw(struct MHD_Connection *mhd, const struct http_response *response);

/* Brings connection->peer up to date: what only the handshake told, and what has ended meanwhile. */
void server_identify(struct connection *connection);
/* Has MHD_run called for a listener soon, but not from within this call. */
void server_kick(struct listener *listener);
/* To be called when a handle that was counted in open_handles has closed. */
void server_handle_closed(struct server *server);

#endif
