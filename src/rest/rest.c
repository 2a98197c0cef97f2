#include "rest/rest.h"

#include "core/jwt.h"

#include "rest/reply.h"
#include "rest/resumable.h"
#include "rest/server.h"
#include "rest/state.h"
#include "rest/stream.h"
#include "rest/wait.h"

#include <errno.h>
#include <string.h>

static void rest_free(struct rest *rest)
{
    resumables_close(rest);
    (void)jwks_free(rest->jwt_keys);
    free(rest->public_key_pem);
    free(rest->state_directory);
    free(rest);
}

/* Answers what is still active when the server's grace is over; what the store or a device answers later is ignored. */
static void abort_active(struct rest *rest)
{
    while (!list_empty(&rest->active)) {
        struct http_request *req = list_first(&rest->active, struct http_request, active_node);

        req->changed = false;
        reply_problem(req, FAULT_SHUTTING_DOWN, "The gateway stopped before the request was done");
    }
}

static void part_closed(struct rest *rest)
{
    void (*closed)(void *arg) = rest->closed;
    void *arg = rest->closed_arg;

    if (--rest->open_parts > 0)
        return;
    local_reap(rest);
    rest_free(rest);
    if (closed)
        closed(arg);
}

static void timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

static int copy_strings(struct rest *rest, const struct rest_options *options)
{
    rest->public_key_pem = strdup(options->public_key_pem);
    rest->state_directory = strdup(options->state_directory);
    if (!rest->public_key_pem || !rest->state_directory)
        return -ENOMEM;
    text_hex(options->public_key, 32, rest->public_key_hex);
    rest->options = *options;
    rest->options.public_key_pem = rest->public_key_pem;
    rest->options.state_directory = rest->state_directory;
    rest->options.public_key = NULL;
    return 0;
}

int rest_new(struct rest **out, const struct rest_options *options)
{
    struct rest *rest = calloc(1, sizeof *rest);
    struct server_options server = {
        .loop = options->loop,
        .rest = rest,
        .max_connections = options->max_connections,
        .timeout_s = options->connection_timeout_s,
        .tls_rate = options->tls_rate,
        .abort = abort_active,
        .closed = part_closed,
    };
    int r = rest ? copy_strings(rest, options) : -ENOMEM;

    if (rest)
        list_init(&rest->resumables);
    if (r == 0)
        r = resumables_open(rest);
    if (r == 0)
        r = http_server_new(&rest->server, &server);
    if (r < 0) {
        if (rest)
            rest_free(rest);
        return r;
    }
    list_init(&rest->active);
    list_init(&rest->keys);
    list_init(&rest->local_done);
    wait_init(rest);
    stream_init(rest);
    health_init(rest);
    rest->started = uv_now(options->loop);
    *out = rest;
    return 0;
}

int rest_listen(struct rest *rest, int fd)
{
    auth_note_socket(&rest->auth, fd);
    return http_server_listen(rest->server, fd, false);
}

int rest_listen_tls(struct rest *rest, int fd)
{
    return http_server_listen(rest->server, fd, true);
}

void rest_set_tls(struct rest *rest, struct tls *tls)
{
    http_server_set_tls(rest->server, tls);
}

void rest_set_keys(struct rest *rest, struct jwks *keys)
{
    (void)jwks_free(rest->jwt_keys);
    rest->jwt_keys = keys;
}

void rest_configure(struct rest *rest, const struct rest_options *options)
{
    rest->options.max_connections = options->max_connections;
    rest->options.max_json_bytes = options->max_json_bytes;
    rest->options.max_artifact_bytes = options->max_artifact_bytes;
    rest->options.max_raw_bytes = options->max_raw_bytes;
    rest->options.max_wait_s = options->max_wait_s;
    rest->options.max_streams = options->max_streams;
    rest->options.anonymous = options->anonymous;
    rest->options.anonymous_remote = options->anonymous_remote;
    rest->options.jwt = options->jwt;
    rest->options.allow_unknown_hosts = options->allow_unknown_hosts;
    rest->options.connection_timeout_s = options->connection_timeout_s;
    http_server_configure(rest->server, options->max_connections, options->connection_timeout_s, options->tls_rate);
}

void rest_close(struct rest *rest, void (*closed)(void *arg), void *arg)
{
    rest->closing = true;
    rest->closed = closed;
    rest->closed_arg = arg;
    rest->open_parts = 5;
    wait_abort(rest);
    stream_end_all(rest);
    uv_close((uv_handle_t *)&rest->wait_timer, timer_closed);
    uv_close((uv_handle_t *)&rest->stream_timer, timer_closed);
    uv_close((uv_handle_t *)&rest->pace_timer, timer_closed);
    uv_close((uv_handle_t *)&rest->health.pulse, timer_closed);
    http_server_close(rest->server);
}
