#include "rest/stream.h"

#include "rest/reply.h"
#include "rest/state.h"

#include <string.h>

static bool is_idle(const struct stream *stream)
{
    return stream->sent == stream->sending.size && stream->next.size == 0 && stream->last.size == 0;
}

static void beat(uv_timer_t *timer)
{
    struct rest *rest = timer->data;

    list_each(node, &rest->streams)
    {
        struct stream *stream = container_of(node, struct stream, node);

        if (!is_idle(stream) || stream->ended)
            continue;
        buffer_append_text(&stream->next, ":\n\n");
        if (stream->wake)
            stream->wake(stream);
    }
}

void stream_init(struct rest *rest)
{
    list_init(&rest->streams);
    rest->stream_timer.data = rest;
    (void)uv_timer_init(rest->options.loop, &rest->stream_timer);
}

bool stream_is_possible(struct http_request *req)
{
    const struct rest *rest = req->rest;

    if (rest->stream_count < rest->options.max_streams)
        return true;
    http_add(req, "Retry-After", "10");
    reply_problem(req, FAULT_TOO_MANY_CONNECTIONS, "All %u event streams are in use", rest->options.max_streams);
    return false;
}

void stream_begin(struct stream *stream, struct http_request *req, void (*closed)(struct stream *stream))
{
    struct rest *rest = req->rest;
    uint32_t ms = rest->options.heartbeat_ms ? rest->options.heartbeat_ms : STREAM_HEARTBEAT_MS;

    stream->req = req;
    stream->closed = closed;
    http_hold(req);
    list_append(&rest->streams, &stream->node);
    if (rest->stream_count++ == 0)
        (void)uv_timer_start(&rest->stream_timer, beat, ms, ms);
    http_add(req, "Cache-Control", "no-store");
    req->response.stream = stream;
    req->response.status = 200;
    req->response.type = "text/event-stream";
    http_answer(req);
}

/* One line of compact JSON is one line of data. */
static void write_event(struct buffer *out, uint64_t id, const char *event, json_t *data)
{
    char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;

    buffer_clear(out);
    if (text)
        buffer_printf(out, "id: %llu\nevent: %s\ndata: ", (unsigned long long)id, event);
    if (text)
        buffer_append_text(out, text);
    buffer_append_text(out, text ? "\n\n" : "event: end\ndata: {\"detail\":\"The gateway is out of memory\"}\n\n");
    free(text);
    json_decref(data);
}

void stream_send(struct stream *stream, uint64_t id, const char *event, json_t *data)
{
    if (stream->ended) {
        json_decref(data);
        return;
    }
    stream->req->rest->events_dropped += stream->next.size > 3; /* more than a heartbeat */
    stream->ended = !data;
    write_event(&stream->next, id, event, data);
    stream->ended = stream->ended || stream->next.failed;
    if (stream->wake)
        stream->wake(stream);
}

void stream_end(struct stream *stream, uint64_t id, json_t *data)
{
    if (stream->ended) {
        json_decref(data);
        return;
    }
    stream->ended = true;
    write_event(&stream->last, id, "end", data);
    if (stream->wake)
        stream->wake(stream);
}

/* Goes on to what follows; false when there is nothing. */
static bool advance(struct stream *stream)
{
    struct buffer *from = stream->next.size ? &stream->next : &stream->last, empty = {0};

    if (from->size == 0)
        return false;
    buffer_clear(&stream->sending);
    stream->sending = *from;
    stream->sent = 0;
    *from = empty;
    return true;
}

size_t stream_read(struct stream *stream, void *out, size_t max)
{
    size_t n;

    if (stream->sent == stream->sending.size && !advance(stream))
        return 0;
    n = stream->sending.size - stream->sent;
    if (n > max)
        n = max;
    memcpy(out, stream->sending.data + stream->sent, n);
    stream->sent += n;
    return n;
}

bool stream_is_over(const struct stream *stream)
{
    return stream->ended && is_idle(stream);
}

void stream_close(struct stream *stream)
{
    struct http_request *req = stream->req;
    struct rest *rest = req->rest;

    list_unlink(&stream->node);
    if (--rest->stream_count == 0)
        (void)uv_timer_stop(&rest->stream_timer);
    buffer_clear(&stream->sending);
    buffer_clear(&stream->next);
    buffer_clear(&stream->last);
    req->response.stream = NULL;
    stream->closed(stream);
    http_release(req);
}

void stream_end_all(struct rest *rest)
{
    struct fault fault;

    fault_set(&fault, FAULT_SHUTTING_DOWN, "The gateway stops");
    list_each(node, &rest->streams)
    {
        struct stream *stream = container_of(node, struct stream, node);

        stream_end(stream, 0, problem_json(stream->req, &fault));
    }
}
