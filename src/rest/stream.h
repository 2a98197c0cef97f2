#ifndef TC_REST_STREAM_H
#define TC_REST_STREAM_H

#include "rest/http.h"

/*
 * An answer that goes on while its client reads it: server-sent events (WHATWG HTML, section 9.2). It holds at most one
 * event that is being sent, the newest one behind it (an older one that was not begun is dropped for it), and the last.
 * Embedded by its owner.
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
};

/* Owners ---------------------------------------------------------------------------------------------------------- */

/* False when there are max_streams already, which is answered then. */
bool stream_is_possible(struct http_request *req) must_check;
/* Answers with the stream and holds the request until it is closed. */
void stream_begin(struct stream *stream, struct http_request *req, void (*closed)(struct stream *stream));
/* Takes the data over (NULL: out of memory, which ends the stream). */
void stream_send(struct stream *stream, uint64_t id, const char *event, json_t *data);
/* The same with the last event. Harmless when it has ended. */
void stream_end(struct stream *stream, uint64_t id, json_t *data);

/* Transports ------------------------------------------------------------------------------------------------------ */

/* Takes up to max bytes; 0 when there are none now. */
size_t stream_read(struct stream *stream, void *out, size_t max);
/* True when all was read and nothing follows. */
bool stream_is_over(const struct stream *stream);
void stream_close(struct stream *stream);

/* The room -------------------------------------------------------------------------------------------------------- */

#define STREAM_HEARTBEAT_MS 15000 /* a comment goes to every stream that has nothing else to send */

void stream_init(struct rest *rest);
/* Ends all of them: the gateway stops. */
void stream_end_all(struct rest *rest);

#endif
