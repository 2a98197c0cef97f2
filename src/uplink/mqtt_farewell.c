#include "uplink/mqtt.h"

#include <errno.h>
#include <sys/socket.h>

#define LINGER_MS 500

/*
 * The last words on a connection that the library has closed. Closing a socket on which something is unread resets the
 * connection, and the other side may lose what it has not read yet; so a duplicate stays until the broker has closed.
 */
struct farewell {
    uv_poll_t poll;
    uv_timer_t timer;
    struct sink *sink;
    int fd;
    unsigned handles;
};

static void handle_closed(uv_handle_t *handle)
{
    struct farewell *farewell = handle->data;

    if (--farewell->handles > 0)
        return;
    (void)close(farewell->fd);
    sink_release(farewell->sink);
    free(farewell);
}

static void end(struct farewell *farewell)
{
    if (uv_is_closing((uv_handle_t *)&farewell->timer))
        return;
    uv_close((uv_handle_t *)&farewell->timer, handle_closed);
    uv_close((uv_handle_t *)&farewell->poll, handle_closed);
}

static void polled(uv_poll_t *poll, int status, int events)
{
    struct farewell *farewell = poll->data;
    char unread[4096];
    ssize_t n = recv(farewell->fd, unread, sizeof unread, MSG_DONTWAIT);

    (void)status, (void)events;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end(farewell);
}

static void expired(uv_timer_t *timer)
{
    end(timer->data);
}

void mqtt_linger(struct sink *sink, int fd)
{
    struct farewell *farewell = calloc(1, sizeof *farewell);
    uv_loop_t *loop = sink->uplink->options.loop;

    (void)shutdown(fd, SHUT_WR);
    if (!farewell || uv_poll_init(loop, &farewell->poll, fd) < 0) {
        (void)close(fd);
        free(farewell);
        return;
    }
    (void)uv_timer_init(loop, &farewell->timer);
    farewell->poll.data = farewell->timer.data = farewell;
    farewell->fd = fd;
    farewell->handles = 2;
    farewell->sink = sink;
    sink_hold(sink);
    (void)uv_timer_start(&farewell->timer, expired, LINGER_MS, 0);
    (void)uv_poll_start(&farewell->poll, UV_READABLE, polled);
}
