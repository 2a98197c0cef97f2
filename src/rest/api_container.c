#include "core/reconcile.h"
#include "rest/api.h"
#include "rest/change.h"
#include "rest/condition.h"
#include "rest/page.h"
#include "rest/record.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/wait.h"

#include <string.h>

void api_list_containers(struct http_request *req)
{
    struct container *containers[PAGE_LIMIT_MAX + 1];
    struct device *device = resolve_device(req);
    struct page page;
    size_t n;

    if (!device || !page_begin(&page, req))
        return;
    n = core_list_containers(device, page.after, containers, page.limit + 1);
    for (size_t i = 0; i < n && i < page.limit; i++) {
        size_t size;
        const char *text = core_render_container(containers[i], &size);

        page_add_text(&page, text, size);
    }
    page_end(&page, n > page.limit ? containers[page.limit - 1]->uid : NULL);
}

/* Asks the device; `done` gets the request as its argument. */
static void query(struct http_request *req, struct container *container, enum core_query_kind kind, core_query_fn done)
{
    uint32_t timeout_ms, ignored;
    struct fault fault;
    int r;

    if (wait_read(req, &ignored, &fault) || (!req->wait_s && core_check_awake(container->device, &fault))) {
        reply_fault(req, &fault);
        return;
    }
    timeout_ms = (req->wait_s ? req->wait_s : req->rest->options.max_wait_s) * 1000;
    http_hold(req);
    r = core_query_container(rest_core(req), container, kind, timeout_ms, done, req, &fault);
    if (r == 0)
        return;
    reply_refusal(req, r, &fault);
    http_release(req);
}

/* True when the query failed, which is answered then (or was, when the gateway stops). */
static bool query_failed(struct http_request *req, const struct core_query_result *result)
{
    if (req->answered)
        return true;
    if (result->fault.code)
        reply_fault(req, &result->fault);
    else if (!result->container)
        reply_problem(req, FAULT_NOT_FOUND, "The container was removed meanwhile");
    return req->answered;
}

static void status_known(void *arg, const struct core_query_result *result)
{
    struct http_request *req = arg;

    if (!query_failed(req, result))
        reply_container(req, 200, result->container);
    http_release(req);
}

void api_show_container(struct http_request *req)
{
    struct container *container = resolve_container(req);

    if (!container)
        return;
    if (http_has_token(http_header(req, "Cache-Control"), "no-cache"))
        query(req, container, CORE_QUERY_STATUS, status_known);
    else
        reply_container(req, 200, container);
}

static void log_known(void *arg, const struct core_query_result *result)
{
    struct http_request *req = arg;
    char *copy;

    if (!query_failed(req, result)) {
        copy = malloc(result->log_size + 1);
        http_add(req, "Cache-Control", "no-store");
        if (copy && result->log_size)
            memcpy(copy, result->log, result->log_size);
        if (copy)
            reply_owned(req, 200, HTTP_TEXT "; charset=utf-8", copy, result->log_size);
        else
            reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
    }
    http_release(req);
}

void api_show_log(struct http_request *req)
{
    struct container *container = resolve_container(req);

    if (container)
        query(req, container, CORE_QUERY_LOG, log_known);
}

void api_explain_container(struct http_request *req)
{
    struct container *container = resolve_container(req);

    if (container)
        reply_json(req, 200, core_explain_container(container));
}

/* Reads what all writes have: place, conditions, time to live. False when it was answered. */
static bool begin_write(struct http_request *req, bool must_exist, struct device **device, struct container **container,
                        uint32_t *ttl_ms)
{
    struct fault fault;

    if (!resolve_container_place(req, device, container))
        return false;
    if (must_exist && !*container)
        fault_set(&fault, FAULT_NOT_FOUND, "The device %s has no container %s", (*device)->id, req->params[1]);
    else if (condition_check_write(req, *container != NULL, *container ? (*container)->revision : 0, &fault) == 0 &&
             wait_read(req, ttl_ms, &fault) == 0)
        return true;
    reply_fault(req, &fault);
    return false;
}

void api_put_container(struct http_request *req)
{
    struct container *container;
    struct device *device;
    struct operation *op;
    struct fault fault;
    uint32_t ttl_ms;
    int r;

    if (!begin_write(req, false, &device, &container, &ttl_ms))
        return;
    r = core_put_container(rest_core(req), device, req->params[1], req->json, ttl_ms, change_done,
                           change_begin(req, wait_answer_operation), &fault, &op);
    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, op->id);
}

static void act(struct http_request *req, enum operation_kind kind)
{
    struct container *container;
    struct device *device;
    struct operation *op;
    struct fault fault;
    uint32_t ttl_ms;
    void *arg;
    int r;

    if (!begin_write(req, true, &device, &container, &ttl_ms))
        return;
    arg = change_begin(req, wait_answer_operation);
    r = kind == OPERATION_REQUEST /* it is run by one */
            ? core_exec_container(rest_core(req), container, ttl_ms, change_done, arg, &fault, &op)
            : core_act_on_container(rest_core(req), container, kind, ttl_ms, change_done, arg, &fault, &op);
    if (!change_was_refused(req, r, &fault))
        (void)text_copy(req->record, sizeof req->record, op->id);
}

void api_start_container(struct http_request *req)
{
    act(req, OPERATION_START);
}

void api_stop_container(struct http_request *req)
{
    act(req, OPERATION_STOP);
}

void api_exec_container(struct http_request *req)
{
    act(req, OPERATION_REQUEST);
}

static void forget(struct http_request *req)
{
    struct container *container;
    struct device *device;
    struct fault fault;
    uint32_t ttl_ms;
    int r;

    if (!begin_write(req, true, &device, &container, &ttl_ms))
        return;
    r = core_forget_container(rest_core(req), container, change_done, change_begin(req, change_answer_empty), &fault);
    (void)change_was_refused(req, r, &fault);
}

void api_remove_container(struct http_request *req)
{
    const char *value = http_parameter(req, "forget");

    if (!value || strcmp(value, "false") == 0)
        act(req, OPERATION_REMOVE);
    else if (strcmp(value, "true") == 0)
        forget(req);
    else
        reply_problem(req, FAULT_INVALID_PARAMETER, "The query parameter forget is neither true nor false");
}
