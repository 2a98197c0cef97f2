#include "rest/stream.h"

#include "rest/reply.h"
#include "rest/state.h"

#include <string.h>

#define PACE_STREAMS 64 /* woken in one turn of the loop */
#define PACE_STEP_MS 2  /* between such turns */

static bool is_idle(const struct stream *stream)
{
    return stream->sent == stream->sending.size && stream->next.size == 0 && stream->last.size == 0;
}

static void beat(uv_timer_t *timer)
{
    struct rest *rest = timer->data;

    stream_recheck(rest);
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

static void wake_due(uv_timer_t *timer);

void stream_init(struct rest *rest)
{
    list_init(&rest->streams);
    list_init(&rest->streams_due);
    rest->stream_timer.data = rest->pace_timer.data = rest;
    (void)uv_timer_init(rest->options.loop, &rest->stream_timer);
    (void)uv_timer_init(rest->options.loop, &rest->pace_timer);
}

/* A page of another site cannot read a stream, and shall not hold one either. */
static bool is_cross_site(const struct http_request *req)
{
    const char *site = http_header(req, "Sec-Fetch-Site");

    return http_header(req, "Origin") || (site && strcmp(site, "cross-site") == 0);
}

bool stream_is_possible(struct http_request *req)
{
    const struct rest *rest = req->rest;

    if (is_cross_site(req)) {
        reply_problem(req, FAULT_CROSS_SITE, "A page of another site asks for an event stream");
        return false;
    }
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
    list_init(&stream->due_node);
    if (stream->fill)
        buffer_append_text(&stream->next, ":\n\n"); /* shows the client that it is there */
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
    if (text && id)
        buffer_printf(out, "id: %llu\n", (unsigned long long)id);
    if (text)
        buffer_printf(out, "event: %s\ndata: ", event);
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

/* Pace ------------------------------------------------------------------------------------------------------------ */

/* Those that wait are woken a few at a time, so that requests have their turn between them. */
static void arm_pace(struct rest *rest)
{
    const struct stream *first = list_first(&rest->streams_due, struct stream, due_node);
    uint64_t now = uv_now(rest->options.loop);

    if (!list_empty(&rest->streams_due) && !uv_is_active((uv_handle_t *)&rest->pace_timer))
        (void)uv_timer_start(&rest->pace_timer, wake_due, first->due > now ? first->due - now : PACE_STEP_MS, 0);
}

static void wake_now(struct stream *stream)
{
    struct rest *rest = stream->req->rest;

    stream->due = uv_now(rest->options.loop) + STREAM_PACE_MS;
    rest->stream_wakes++;
    if (stream->wake)
        stream->wake(stream);
}

static void wake_due(uv_timer_t *timer)
{
    struct rest *rest = timer->data;
    uint64_t now = uv_now(timer->loop);

    for (unsigned n = 0; n < PACE_STREAMS && !list_empty(&rest->streams_due); n++) {
        struct stream *stream = list_first(&rest->streams_due, struct stream, due_node);

        if (stream->due > now)
            break;
        list_unlink(&stream->due_node);
        wake_now(stream);
    }
    arm_pace(rest);
}

void stream_ready(struct stream *stream)
{
    struct rest *rest = stream->req->rest;

    if (stream->ended || rest->closing)
        return;
    if (stream->due <= uv_now(rest->options.loop) && list_empty(&rest->streams_due)) {
        wake_now(stream);
        return;
    }
    list_unlink(&stream->due_node);
    list_append(&rest->streams_due, &stream->due_node);
    arm_pace(rest);
}

/* Transports ------------------------------------------------------------------------------------------------------ */

/* Goes on to what follows; false when there is nothing. */
static bool advance(struct stream *stream, struct buffer *from)
{
    struct buffer empty = {0};

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

    if (stream->sent == stream->sending.size && (stream->within || !advance(stream, &stream->next))) {
        n = stream->fill ? stream->fill(stream, out, max) : 0;
        if (n || stream->within || !advance(stream, &stream->last))
            return n;
    }
    n = stream->sending.size - stream->sent;
    if (n > max)
        n = max;
    memcpy(out, stream->sending.data + stream->sent, n);
    stream->sent += n;
    return n;
}

bool stream_is_over(const struct stream *stream)
{
    return stream->ended && is_idle(stream) && !stream->within;
}

void stream_close(struct stream *stream)
{
    struct http_request *req = stream->req;
    struct rest *rest = req->rest;

    list_unlink(&stream->node);
    list_unlink(&stream->due_node);
    if (--rest->stream_count == 0)
        (void)uv_timer_stop(&rest->stream_timer);
    buffer_clear(&stream->sending);
    buffer_clear(&stream->next);
    buffer_clear(&stream->last);
    req->response.stream = NULL;
    stream->closed(stream);
    http_release(req);
}

void stream_recheck(struct rest *rest)
{
    struct fault fault;

    fault_set(&fault, FAULT_UNAUTHENTICATED, "The caller's right to this was taken, or has expired");
    list_each(node, &rest->streams)
    {
        struct stream *stream = container_of(node, struct stream, node);

        if (!stream->ended && !auth_is_current(stream->req))
            stream_end(stream, 0, problem_json(stream->req, &fault));
    }
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
