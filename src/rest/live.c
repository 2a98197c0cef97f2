#include "rest/server_private.h"

#include "rest/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Answers that go on: MHD asks for bytes, and the connection sleeps when there are none. */

#define BLOCK_SIZE 4096

/* While a connection sleeps MHD does not look at it, so its end is watched for here. */
struct live {
    uv_poll_t poll;
    struct server *server;
    struct exchange *ex;
    bool gone;
};

static void resume(struct exchange *ex)
{
    if (!ex->suspended)
        return;
    ex->suspended = false;
    MHD_resume_connection(ex->mhd);
    server_kick(ex->listener);
}

static void wake(struct stream *stream)
{
    resume(stream->carrier);
}

static void disconnected(uv_poll_t *poll, int status, int events)
{
    struct live *live = poll->data;

    (void)status, (void)events;
    live->gone = true;
    (void)uv_poll_stop(poll);
    resume(live->ex);
}

static ssize_t give(void *cls, uint64_t position, char *out, size_t max)
{
    struct exchange *ex = cls;
    struct stream *stream = ex->req.response.stream;
    size_t n;

    (void)position;
    if (!stream || ex->live->gone || ex->server->stopped)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    n = stream_read(stream, out, max);
    if (n == STREAM_BROKEN)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n)
        return (ssize_t)n;
    if (stream_is_over(stream))
        return MHD_CONTENT_READER_END_OF_STREAM;
    ex->suspended = true;
    MHD_suspend_connection(ex->mhd);
    return 0;
}

static void watch_closed(uv_handle_t *handle)
{
    struct live *live = handle->data;
    struct server *server = live->server;

    free(live);
    server_handle_closed(server);
}

/* A client that has gone without a word is noticed when it does not acknowledge what it is sent (heartbeats too). */
static void limit_silence(int fd, uint32_t seconds)
{
    unsigned ms = seconds * 1000;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms); /* fails for a Unix socket, which needs none */
}

static struct live *watch(struct exchange *ex)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(ex->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct live *live = info ? calloc(1, sizeof *live) : NULL;

    if (!live)
        return NULL;
    if (uv_poll_init(ex->server->options.loop, &live->poll, info->connect_fd) < 0) {
        free(live);
        return NULL;
    }
    limit_silence(info->connect_fd, ex->server->options.timeout_s);
    live->server = ex->server;
    live->ex = ex;
    live->poll.data = live;
    ex->server->open_handles++;
    (void)uv_poll_start(&live->poll, UV_DISCONNECT, disconnected);
    return live;
}

struct MHD_Response *live_respond(struct exchange *ex)
{
    struct stream *stream = ex->req.response.stream;

    ex->live = watch(ex);
    if (!ex->live)
        return NULL;
    stream->carrier = ex;
    stream->wake = wake;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, give, ex, NULL);
}

void live_end(struct exchange *ex)
{
    if (ex->live)
        uv_close((uv_handle_t *)&ex->live->poll, watch_closed);
    ex->live = NULL;
    if (ex->req.response.stream)
        stream_close(ex->req.response.stream);
}
