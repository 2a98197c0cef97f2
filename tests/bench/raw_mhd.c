/* What a bare libmicrohttpd handler on libuv reaches: raw_mhd PORT BYTES [suspend]. Answers every request with BYTES
 * bytes; with "suspend" each is suspended first and resumed in the loop's next turn, as a request that waits for
 * something is. */
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#define MAX_SUSPENDED 4096

static struct {
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t idle;
    bool suspend;
    char *body;
    size_t size;
    struct MHD_Connection *suspended[MAX_SUSPENDED];
    size_t suspended_count;
} raw;

static char begun, resumed; /* stages of a request */

static enum MHD_Result answer(struct MHD_Connection *connection)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(raw.size, raw.body, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, 200, response);

    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **con_cls)
{
    (void)cls, (void)url, (void)method, (void)version, (void)data, (void)size;
    if (!*con_cls) { /* the head alone; an answer now would end the connection */
        *con_cls = &begun;
        return MHD_YES;
    }
    if (!raw.suspend || *con_cls == &resumed || raw.suspended_count == MAX_SUSPENDED)
        return answer(connection);
    *con_cls = &resumed;
    MHD_suspend_connection(connection);
    raw.suspended[raw.suspended_count++] = connection;
    return MHD_YES;
}

static void run(void);

static void timer_expired(uv_timer_t *timer)
{
    (void)timer;
    run();
}

static void idle(uv_idle_t *handle)
{
    (void)uv_idle_stop(handle);
    while (raw.suspended_count)
        MHD_resume_connection(raw.suspended[--raw.suspended_count]);
    run();
}

static void run(void)
{
    MHD_UNSIGNED_LONG_LONG timeout;

    (void)MHD_run(raw.daemon);
    if (raw.suspended_count)
        (void)uv_idle_start(&raw.idle, idle);
    if (MHD_get_timeout(raw.daemon, &timeout) == MHD_YES)
        (void)uv_timer_start(&raw.timer, timer_expired, timeout, 0);
}

static void polled(uv_poll_t *poll, int status, int events)
{
    (void)poll, (void)status, (void)events;
    run();
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (argc < 3) {
        (void)fprintf(stderr, "Usage: raw_mhd PORT BYTES [suspend]\n");
        return 2;
    }
    address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    raw.size = strtoul(argv[2], NULL, 10);
    raw.body = malloc(raw.size + 1);
    raw.suspend = argc > 3;
    raw.loop = uv_default_loop();
    raw.daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0, NULL, NULL, handle, NULL,
                                  MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
    if (!raw.body || !raw.daemon) {
        perror("raw_mhd");
        return 1;
    }
    memset(raw.body, 'x', raw.size);
    (void)uv_timer_init(raw.loop, &raw.timer);
    (void)uv_idle_init(raw.loop, &raw.idle);
    (void)uv_poll_init(raw.loop, &raw.poll, MHD_get_daemon_info(raw.daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    (void)uv_poll_start(&raw.poll, UV_READABLE, polled);
    run();
    return uv_run(raw.loop, UV_RUN_DEFAULT);
}
