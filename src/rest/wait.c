#include "rest/wait.h"

#include "rest/prefer.h"
#include "rest/reply.h"

int wait_read_prefer(struct http_request *req, struct fault *fault)
{
    return prefer_parse_wait(http_header(req, "Prefer"), req->rest->options.max_wait_s, &req->wait_s, fault);
}

int wait_read(struct http_request *req, uint32_t *ttl_ms, struct fault *fault)
{
    const char *ttl = http_parameter(req, "ttl");
    int64_t seconds = 0;

    if (ttl && !text_parse_int(ttl, 1, WAIT_TTL_MAX_S, &seconds))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter ttl is not a number of seconds");
    *ttl_ms = (uint32_t)seconds * 1000;
    return wait_read_prefer(req, fault);
}

static bool is_read(const struct http_request *req)
{
    return (req->method == HTTP_GET || req->method == HTTP_HEAD) && !req->queued;
}

/* Which preferences were followed (RFC 7240 section 3). */
static void add_applied(struct http_request *req)
{
    const char *async = req->queued ? "respond-async" : "";

    if (req->wait_s)
        http_add_copy(req, "Preference-Applied", "%s%swait=%u", async, *async ? ", " : "", req->wait_s);
    else if (*async)
        http_add(req, "Preference-Applied", async);
}

static void reply_operation(struct http_request *req, int status, const struct operation *op)
{
    http_add(req, "Cache-Control", "no-store");
    if (status != 200 || !is_read(req))
        http_add_copy(req, "Location", "/v1/operations/%s", op->id);
    add_applied(req);
    reply_json(req, status, core_operation_json(op));
}

static void reply_failed(struct http_request *req, const struct operation *op)
{
    struct fault fault = op->fault;

    if (fault.code == FAULT_NONE)
        fault_set(&fault, op->state == OPERATION_EXPIRED ? FAULT_EXPIRED : FAULT_CANCELLED, "The operation %s %s",
                  op->id, operation_state_name(op->state));
    add_applied(req);
    reply_fault(req, &fault);
}

/* Answers with the operation as it stands. */
static void answer_now(struct http_request *req, const struct operation *op)
{
    if (!op)
        reply_problem(req, FAULT_NOT_FOUND, "The operation is no longer remembered");
    else if (is_read(req) || op->state == OPERATION_SUCCEEDED)
        reply_operation(req, 200, op);
    else if (!operation_is_finished(op))
        reply_operation(req, 202, op);
    else
        reply_failed(req, op);
}

static void leave(struct http_request *req)
{
    list_unlink(&req->wait_node);
    core_unwatch(req->watcher);
    req->watcher = NULL;
}

static void ended(void *arg, struct operation *op)
{
    struct http_request *req = arg;

    req->watcher = NULL;
    leave(req);
    answer_now(req, op);
    http_release(req);
}

static void arm(struct rest *rest);

static void timer_expired(uv_timer_t *timer)
{
    struct rest *rest = timer->data;
    int64_t now = (int64_t)uv_now(rest->options.loop);

    while (!list_empty(&rest->waits)) {
        struct http_request *req = list_first(&rest->waits, struct http_request, wait_node);

        if (req->deadline > now)
            break;
        leave(req);
        answer_now(req, core_find_operation(rest_core(req), req->record));
        http_release(req);
    }
    arm(rest);
}

static void arm(struct rest *rest)
{
    struct http_request *first = list_first(&rest->waits, struct http_request, wait_node);
    int64_t now = (int64_t)uv_now(rest->options.loop);

    if (!list_empty(&rest->waits))
        (void)uv_timer_start(&rest->wait_timer, timer_expired,
                             first->deadline > now ? (uint64_t)(first->deadline - now) : 0, 0);
}

/* Most waits are equally long, so the place is near the end. */
static void insert(struct rest *rest, struct http_request *req)
{
    struct list *after = rest->waits.prev;

    while (after != &rest->waits && container_of(after, struct http_request, wait_node)->deadline > req->deadline)
        after = after->prev;
    list_append(after->next, &req->wait_node);
}

static void wait_for(struct http_request *req, struct operation *op)
{
    struct rest *rest = req->rest;

    req->watcher = rest->closing ? NULL : core_watch_operation(rest->options.core, op, ended, req);
    if (!req->watcher) {
        answer_now(req, op);
        return;
    }
    http_hold(req);
    req->deadline = (int64_t)uv_now(rest->options.loop) + (int64_t)req->wait_s * 1000;
    insert(rest, req);
    if (rest->waits.next == &req->wait_node)
        arm(rest);
}

void wait_answer_operation(struct http_request *req)
{
    struct operation *op = core_find_operation(rest_core(req), req->record);

    req->about.operation = req->record;
    if (op && req->wait_s && !operation_is_finished(op))
        wait_for(req, op);
    else
        answer_now(req, op);
}

void wait_abort(struct rest *rest)
{
    while (!list_empty(&rest->waits)) {
        struct http_request *req = list_first(&rest->waits, struct http_request, wait_node);

        leave(req);
        req->changed = false; /* not an answer to keep */
        reply_problem(req, FAULT_SHUTTING_DOWN,
                      "The gateway stopped before the operation ended; it goes on afterwards");
        http_release(req);
    }
}

void wait_init(struct rest *rest)
{
    list_init(&rest->waits);
    rest->wait_timer.data = rest;
    (void)uv_timer_init(rest->options.loop, &rest->wait_timer);
}
