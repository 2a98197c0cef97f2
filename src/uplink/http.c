#include "uplink/http.h"

#include "base/text.h"
#include "uplink/sink.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

struct http_port {
    struct uplink *uplink;
    CURLM *multi;
    uv_timer_t timer;
    bool closing;
};

/* A socket that curl watches. */
struct watch {
    uv_poll_t poll;
    struct http_port *port;
    struct uplink *uplink; /* the port may be gone before the handle has closed */
    curl_socket_t fd;
};

/* Ends --------------------------------------------------------------------------------------------------------------*/

static void finish(struct http_call *call, CURLcode result)
{
    curl_off_t wait = 0;

    call->running = false;
    (void)curl_multi_remove_handle(call->port->multi, call->curl);
    (void)curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &call->status);
    (void)curl_easy_getinfo(call->curl, CURLINFO_RETRY_AFTER, &wait);
    call->retry_after_s = wait > 86400 ? 86400 : wait < 0 ? 0 : (long)wait; /* a date may have passed */
    if (result == CURLE_OK || (result == CURLE_WRITE_ERROR && call->received > HTTP_BODY_MAX))
        call->problem[0] = 0; /* an answer that was cut off is one */
    else if (!call->problem[0])
        (void)text_copy(call->problem, sizeof call->problem, curl_easy_strerror(result));
    if (call->problem[0])
        call->status = 0;
    call->done(call);
}

static void take_finished(struct http_port *port)
{
    CURLMsg *message;
    int left;

    while (port->multi && (message = curl_multi_info_read(port->multi, &left))) {
        struct http_call *call = NULL;
        CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        finish(call, result);
    }
}

/* The loop ----------------------------------------------------------------------------------------------------------*/

static void act(struct http_port *port, curl_socket_t fd, int events)
{
    int running;

    (void)curl_multi_socket_action(port->multi, fd, events, &running);
    take_finished(port);
}

static void timer_fired(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct http_port *port = arg;

    (void)multi;
    if (port->closing)
        return 0;
    if (ms < 0)
        (void)uv_timer_stop(&port->timer);
    else
        (void)uv_timer_start(&port->timer, timer_fired, (uint64_t)ms, 0); /* 0 too from the loop: curl asks for that */
    return 0;
}

static void polled(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int what = status < 0 ? CURL_CSELECT_ERR : 0;

    if (events & UV_READABLE)
        what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        what |= CURL_CSELECT_OUT;
    act(watch->port, watch->fd, what);
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct uplink *uplink = watch->uplink;

    free(watch);
    uplink_release(uplink);
}

static struct watch *watch_new(struct http_port *port, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    watch->port = port;
    watch->uplink = port->uplink;
    watch->fd = fd;
    watch->poll.data = watch;
    if (uv_poll_init_socket(port->uplink->options.loop, &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    port->uplink->holds++;
    (void)curl_multi_assign(port->multi, fd, watch);
    return watch;
}

static int set_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http_port *port = arg;
    struct watch *watch = socket_arg;
    int events = 0;

    (void)curl;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            uv_close((uv_handle_t *)&watch->poll, watch_closed);
        (void)curl_multi_assign(port->multi, fd, NULL);
        return 0;
    }
    if (!watch)
        watch = watch_new(port, fd);
    if (!watch)
        return -1;
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return uv_poll_start(&watch->poll, events, polled) < 0 ? -1 : 0;
}

int http_port_new(struct http_port **out, struct uplink *uplink)
{
    struct http_port *port = calloc(1, sizeof *port);

    if (!port)
        return -ENOMEM;
    port->uplink = uplink;
    port->multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;
    if (!port->multi) {
        free(port);
        return -ENOMEM;
    }
    (void)curl_multi_setopt(port->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)curl_multi_setopt(port->multi, CURLMOPT_SOCKETDATA, port);
    (void)curl_multi_setopt(port->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(port->multi, CURLMOPT_TIMERDATA, port);
    (void)uv_timer_init(uplink->options.loop, &port->timer);
    port->timer.data = port;
    uplink->holds++;
    *out = port;
    return 0;
}

static void timer_closed(uv_handle_t *handle)
{
    struct http_port *port = handle->data;
    struct uplink *uplink = port->uplink;

    free(port);
    curl_global_cleanup();
    uplink_release(uplink);
}

void http_port_close(struct http_port *port)
{
    port->closing = true;
    (void)curl_multi_cleanup(steal_pointer(port->multi));
    uv_close((uv_handle_t *)&port->timer, timer_closed);
}

/* Calls -------------------------------------------------------------------------------------------------------------*/

/* Keeps the beginning of an answer, and ends one that does not end. */
static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t n = size * count, room = HTTP_BODY_KEPT - strlen(call->text);

    (void)strncat(call->text, data, n < room ? n : room);
    call->received += n;
    return call->received > HTTP_BODY_MAX ? 0 : n;
}

int http_call_init(struct http_call *call, struct http_port *port)
{
    CURL *curl = curl_easy_init();

    *call = (struct http_call){.port = port, .curl = curl};
    if (!curl)
        return -ENOMEM;
    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, call);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->problem);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Or the end of a call would wait for a name server that does not answer. */
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
    return 0;
}

bool http_call_header(struct http_call *call, const char *format, ...)
{
    struct curl_slist *longer;
    char line[SECRET_MAX + 64];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    longer = curl_slist_append(call->headers, line);
    if (longer)
        call->headers = longer;
    return longer != NULL;
}

bool http_call_begin(struct http_call *call)
{
    call->text[0] = call->problem[0] = 0;
    call->received = 0;
    call->status = call->retry_after_s = 0;
    (void)curl_easy_setopt(call->curl, CURLOPT_HTTPHEADER, call->headers);
    call->running = curl_multi_add_handle(call->port->multi, call->curl) == CURLM_OK;
    return call->running;
}

void http_call_cancel(struct http_call *call)
{
    if (call->running)
        (void)curl_multi_remove_handle(call->port->multi, call->curl);
    call->running = false;
    curl_slist_free_all(steal_pointer(call->headers));
}

void http_call_clear(struct http_call *call)
{
    http_call_cancel(call);
    curl_easy_cleanup(call->curl);
    call->curl = NULL;
}
