#ifndef TC_REST_STREAM_H
#define TC_REST_STREAM_H

#include "rest/http.h"

/*
 * An answer that goes on while its client reads it: server-sent events (WHATWG HTML, section 9.2). Embedded by its
 * owner, which either sends events (the stream holds at most one that is being sent, the newest one behind it, which an
 * older one that was not begun is dropped for, and the last), or is asked for bytes when the client can take more: then
 * the stream holds nothing, however slowly it is read.
 */
struct stream {
    struct list node; /* in rest->streams */
    struct http_request *req;
    struct buffer sending, next, last;
    size_t sent;   /* of sending */
    bool ended;    /* nothing follows `last` */
    void *carrier; /* the transport's */
    /* The transport's: there is something to read. NULL while it does not wait for that. */
    void (*wake)(struct stream *stream);
    /* The owner's: nobody reads any more, and the stream may be freed. */
    void (*closed)(struct stream *stream);
    /* The owner's, set before stream_begin: writes up to max bytes, 0 when there are none now (then stream_ready says
     * when there are) or nothing follows (STREAM_BROKEN: nor can). NULL: it sends. */
    size_t (*fill)(struct stream *stream, void *out, size_t max);
    bool within;          /* fill has given a part of an event: nothing else may be sent before the rest of it */
    struct list due_node; /* in rest->streams_due */
    uint64_t due;         /* when it may be woken again */
};

#define STREAM_BROKEN SIZE_MAX

/* Owners ---------------------------------------------------------------------------------------------------------- */

/* False when there are max_streams already, which is answered then. */
bool stream_is_possible(struct http_request *req) must_check;
/* Answers with the stream and holds the request until it is closed. */
void stream_begin(struct stream *stream, struct http_request *req, void (*closed)(struct stream *stream));
/* Takes the data over (NULL: out of memory, which ends the stream). */
void stream_send(struct stream *stream, uint64_t id, const char *event, json_t *data);
/* The same with the last event; id 0: it has none. Harmless when it has ended. */
void stream_end(struct stream *stream, uint64_t id, json_t *data);
/* fill has something to give: at once, or with what comes within STREAM_PACE_MS. */
void stream_ready(struct stream *stream);

/* Transports ------------------------------------------------------------------------------------------------------ */

/* Takes up to max bytes; 0 when there are none now, STREAM_BROKEN when the rest cannot be had. */
size_t stream_read(struct stream *stream, void *out, size_t max);
/* True when all was read and nothing follows. */
bool stream_is_over(const struct stream *stream);
void stream_close(struct stream *stream);

/* The room -------------------------------------------------------------------------------------------------------- */

#define STREAM_HEARTBEAT_MS 15000 /* a comment goes to every stream that has nothing else to send */
#define STREAM_PACE_MS 50         /* between two times that a stream is woken for what fill gives */

void stream_init(struct rest *rest);
/* Ends those whose callers may not have them any more. */
void stream_recheck(struct rest *rest);
/* Ends all of them: the gateway stops. */
void stream_end_all(struct rest *rest);

#endif
