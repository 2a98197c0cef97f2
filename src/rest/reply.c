#include "rest/reply.h"

#include "base/log.h"
#include "rest/audit.h"
#include "rest/idempotency.h"
#include "rest/state.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static void note_time(struct http_request *req)
{
    struct rest *rest = req->rest;

    if (req->began)
        histogram_add(http_method_writes(req->method) ? &rest->writes_us : &rest->reads_us, &histogram_micros,
                      (uv_hrtime() - req->began) / 1000);
}

void http_answer(struct http_request *req)
{
    req->answered = true;
    req->rest->answers[req->response.status / 100]++;
    note_time(req);
    list_unlink(&req->active_node);
    if (!audit_keep(req))
        http_answer_on(req);
}

void http_answer_on(struct http_request *req)
{
    if (!idempotency_keep(req))
        req->transport->send(req);
}

bool reply_own_body(struct http_response *res)
{
    char *copy;

    if (res->ownership != HTTP_BODY_COPY)
        return true;
    copy = malloc(res->size + 1);
    if (!copy)
        return false;
    memcpy(copy, res->body, res->size);
    copy[res->size] = 0;
    res->body = copy;
    res->ownership = HTTP_BODY_OWNED;
    return true;
}

void reply_drop_body(struct http_response *res)
{
    void *body = (void *)(uintptr_t)res->body;

    if (res->secret)
        OPENSSL_cleanse(body, res->size);
    if (res->secret || res->ownership == HTTP_BODY_OWNED)
        free(body);
    if (res->ownership == HTTP_BODY_FILE)
        (void)close(res->fd);
    res->body = "";
    res->size = 0;
    res->ownership = HTTP_BODY_STATIC;
    res->secret = false;
}

static void fill(struct http_request *req, int status, const char *type, const void *body, size_t size,
                 enum http_body ownership)
{
    struct http_response *res = &req->response;

    res->status = status;
    res->type = type;
    res->body = body;
    res->size = size;
    res->ownership = ownership;
}

void reply_text(struct http_request *req, int status, const char *json, size_t size)
{
    fill(req, status, HTTP_JSON, json, size, HTTP_BODY_COPY);
    http_answer(req);
}

void reply_static(struct http_request *req, const char *type, const void *body, size_t size)
{
    fill(req, 200, type, body, size, HTTP_BODY_STATIC);
    http_answer(req);
}

void reply_file(struct http_request *req, const char *type, int fd, uint64_t size)
{
    req->response.fd = fd;
    fill(req, 200, type, "", (size_t)size, HTTP_BODY_FILE);
    http_answer(req);
}

void reply_owned(struct http_request *req, int status, const char *type, void *body, size_t size)
{
    fill(req, status, type, body, size, HTTP_BODY_OWNED);
    http_answer(req);
}

void reply_json(struct http_request *req, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (text)
        reply_owned(req, status, HTTP_JSON, text, strlen(text));
    else
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
}

void reply_empty(struct http_request *req, int status)
{
    fill(req, status, NULL, "", 0, HTTP_BODY_STATIC);
    http_answer(req);
}

void reply_fault_as(struct http_request *req, const struct fault *fault, int status)
{
    const struct fault_info *info = fault_info(fault->code);
    json_t *json = problem_json(req, fault);
    char *text = NULL;

    req->rest->problems[fault->code]++;
    if (json && json_object_set_new(json, "status", json_integer(status)) == 0)
        text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (info->status == 500 || fault->code == FAULT_STORAGE_FULL) /* the rest is no failure of the gateway */
        log_error("request failed", "method", http_method_name(req->method), "target", req->target, "problem",
                  info->slug, "detail", fault->detail, "request", req->id, NULL);
    http_add(req, "Cache-Control", "no-store");
    req->response.error = info->slug;
    if (text)
        fill(req, status, HTTP_PROBLEM, text, strlen(text), HTTP_BODY_OWNED);
    else
        fill(req, status, HTTP_PROBLEM, "{}", 2, HTTP_BODY_STATIC);
    http_answer(req);
}

void reply_fault(struct http_request *req, const struct fault *fault)
{
    reply_fault_as(req, fault, fault_info(fault->code)->status);
}

void reply_problem(struct http_request *req, enum fault_code code, const char *format, ...)
{
    struct fault fault = {.code = code};
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(fault.detail, sizeof fault.detail, format, ap);
    va_end(ap);
    text_repair_utf8(fault.detail); /* what was quoted may be cut inside of a character */
    reply_fault(req, &fault);
}

void reply_refusal(struct http_request *req, int result, const struct fault *fault)
{
    if (result > 0)
        reply_fault(req, fault);
    else
        reply_problem(req, result == -ENOSPC ? FAULT_STORAGE_FULL : FAULT_INTERNAL, "The request failed: %s",
                      strerror(-result));
}
