#include "rest/local.h"

#include "rest/dispatch.h"
#include "rest/reply.h"
#include "rest/route.h"
#include "rest/state.h"
#include "rest/stream.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum header { TYPE, PREFER, IF_MATCH, IDEMPOTENCY_KEY, ACCEPT, HEADER_COUNT };

static const char *const header_names[HEADER_COUNT] = {"Content-Type", "Prefer", "If-Match", "Idempotency-Key",
                                                       "Accept"};

struct local {
    struct http_request req;
    struct list node; /* in rest->local_done, once it was answered */
    char *headers[HEADER_COUNT];
    void (*done)(void *arg, const struct local_answer *answer);
    void *arg;
};

static struct local *from_request(const struct http_request *req)
{
    return container_of(req, struct local, req);
}

static const char *find_header(const struct http_request *req, const char *name)
{
    const struct local *local = from_request(req);

    for (unsigned i = 0; i < HEADER_COUNT; i++)
        if (strcasecmp(name, header_names[i]) == 0)
            return local->headers[i];
    return NULL;
}

static const char *response_header(const struct http_response *res, const char *name)
{
    for (size_t i = 0; i < res->header_count; i++)
        if (strcasecmp(res->headers[i].name, name) == 0)
            return res->headers[i].value;
    return NULL;
}

static void free_body(const struct http_response *res)
{
    void *body = (void *)(uintptr_t)res->body;

    if (res->secret)
        OPENSSL_cleanse(body, res->size);
    if (res->secret || res->ownership == HTTP_BODY_OWNED)
        free(body);
}

static void send_nothing(struct local *local, const char *text)
{
    local->done(local->arg,
                &(struct local_answer){.status = 406, .type = HTTP_PROBLEM, .body = text, .size = strlen(text)});
}

static void send_stream(struct local *local)
{
    stream_close(local->req.response.stream);
    send_nothing(local, "{\"status\":406,\"title\":\"Event streams are for HTTP\"}");
}

/* Who answered may still look at the request, so it is let go with the next one. */
static void send_response(struct http_request *req)
{
    struct local *local = from_request(req);
    const struct http_response *res = &req->response;
    const struct local_answer answer = {
        .status = res->status,
        .type = res->type,
        .location = response_header(res, "Location"),
        .etag = response_header(res, "ETag"),
        .body = res->body,
        .size = res->type ? res->size : 0,
    };

    list_append(&req->rest->local_done, &local->node);
    if (res->stream) {
        send_stream(local);
        return;
    }
    if (res->ownership == HTTP_BODY_FILE) {
        send_nothing(local, "{\"status\":406,\"title\":\"Files are for HTTP\"}");
        (void)close(res->fd);
        return;
    }
    local->done(local->arg, &answer);
    free_body(res);
}

static void release(struct http_request *req)
{
    struct local *local = from_request(req);

    http_clear(req);
    for (unsigned i = 0; i < HEADER_COUNT; i++)
        free(local->headers[i]);
    free(local);
}

static const struct http_transport transport = {.header = find_header, .send = send_response, .release = release};

void local_reap(struct rest *rest)
{
    while (!list_empty(&rest->local_done)) {
        struct local *local = list_first(&rest->local_done, struct local, node);

        list_unlink(&local->node);
        http_release(&local->req);
    }
}

static bool copy_headers(struct local *local, const struct local_request *request)
{
    const char *const values[HEADER_COUNT] = {request->type, request->prefer, request->if_match,
                                              request->idempotency_key, request->accept};
    bool good = true;

    for (unsigned i = 0; i < HEADER_COUNT; i++) {
        local->headers[i] = values[i] ? strdup(values[i]) : NULL;
        good = good && !values[i] == !local->headers[i];
    }
    return good;
}

static void run(struct http_request *req, const struct local_request *request)
{
    const struct route *route;

    dispatch_begin(req, request->size);
    route = req->route;
    if (!req->answered && route->body == ROUTE_BODY_SECRET && !request->confidential)
        reply_problem(req, FAULT_FORBIDDEN, "The answer has secrets, and the way that the request came is not TLS");
    if (!req->answered && request->size)
        (void)!dispatch_body(req, request->body, request->size);
    dispatch_end(req);
}

static void set_caller(struct rest *rest, struct caller *caller, const struct local_request *request)
{
    (void)text_copy(caller->from, sizeof caller->from, "mqtt");
    (void)snprintf(caller->name, sizeof caller->name, "mqtt:%s", request->sink);
    caller->role = request->role;
    (void)core_find_grant(rest->options.core, &(struct identity){.sink = request->sink}, caller);
}

int rest_dispatch(struct rest *rest, const struct local_request *request,
                  void (*done)(void *arg, const struct local_answer *answer), void *arg)
{
    struct local *local = calloc(1, sizeof *local);

    local_reap(rest);
    if (!local)
        return -ENOMEM;
    list_init(&local->node);
    http_begin(&local->req, &transport, rest, request->target);
    local->req.peer.kind = HTTP_PEER_PLATFORM;
    local->done = done;
    local->arg = arg;
    if (!copy_headers(local, request)) {
        release(&local->req);
        return -ENOMEM;
    }
    local->req.method = http_method_from_name(request->method);
    local->req.trusted_host = true;
    set_caller(rest, &local->req.caller, request);
    text_new_uuid(clock_wall_ms(clock_system()), local->req.id);
    run(&local->req, request);
    return 0;
}
