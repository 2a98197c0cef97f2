#include "rest/idempotency.h"

#include "rest/prefer.h"
#include "rest/reply.h"
#include "rest/route.h"
#include "rest/state.h"
#include "rest/upload.h"

#include <openssl/evp.h>
#include <string.h>

/* 1 to 128 visible ASCII characters. */
static bool read_key(struct http_request *req, const char *key)
{
    size_t n = strlen(key);

    if (n == 0 || n >= sizeof req->key)
        return false;
    for (size_t i = 0; i < n; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    memcpy(req->key, key, n + 1);
    return true;
}

/* What makes a request the same: method, target and content. */
static bool compute_digest(struct http_request *req)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const char *method = http_method_name(req->method);
    uint8_t digest[32];
    bool good;

    good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) && EVP_DigestUpdate(ctx, method, strlen(method) + 1) &&
           EVP_DigestUpdate(ctx, req->target, strlen(req->target) + 1) &&
           EVP_DigestUpdate(ctx, req->caller.name, strlen(req->caller.name) + 1) &&
           EVP_DigestUpdate(ctx, req->body.data, req->body.size) &&
           (!req->upload || upload_digest(req->upload, ctx) == 0) && EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    if (good)
        text_hex(digest, sizeof digest, req->digest);
    return good;
}

static bool is_in_use(const struct http_request *req)
{
    list_each(node, &req->rest->keys) if (strcmp(container_of(node, struct http_request, key_node)->key, req->key) ==
                                          0) return true;
    return false;
}

static void replay(struct http_request *req, const struct core_answer *answer)
{
    size_t n = strlen(answer->body);
    char *body = NULL;

    http_add(req, "Idempotency-Replayed", "true");
    http_add(req, "Cache-Control", "no-store");
    if (answer->location)
        http_add_copy(req, "Location", "%s", answer->location);
    if (n == 0)
        reply_empty(req, answer->status);
    else if ((body = malloc(n)))
        reply_owned(req, answer->status, answer->status >= 400 ? HTTP_PROBLEM : HTTP_JSON,
                    memcpy(body, answer->body, n), n);
    else
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
}

/* Of a request to a device the answer is the device's, unless it waits for the device. */
static bool makes_operation(const struct http_request *req)
{
    return prefer_has(http_header(req, "Prefer"), "respond-async");
}

bool idempotency_begin(struct http_request *req)
{
    const char *key = http_header(req, "Idempotency-Key");
    struct core_answer answer;

    if (!key || req->route->body == ROUTE_BODY_RESUMABLE) /* its offset says what was done */
        return false;
    if (req->route->body == ROUTE_BODY_SECRET || (!req->route->query && !makes_operation(req)))
        reply_problem(req, FAULT_INVALID_PARAMETER, "No answer is kept here, so there can be no Idempotency-Key: %s",
                      req->route->query ? "it has secrets" : "it is the device's");
    else if (!read_key(req, key))
        reply_problem(req, FAULT_INVALID_PARAMETER, "Idempotency-Key is not 1 to 128 visible ASCII characters");
    else if (!compute_digest(req))
        reply_problem(req, FAULT_INTERNAL, "The request's digest could not be computed");
    else if (is_in_use(req))
        reply_problem(req, FAULT_CONFLICT, "A request with this Idempotency-Key is being worked on");
    else if (!core_find_answer(rest_core(req), req->key, &answer))
        list_append(&req->rest->keys, &req->key_node);
    else if (strcmp(answer.digest, req->digest) == 0)
        replay(req, &answer);
    else
        reply_problem(req, FAULT_KEY_REUSED, "The key was first used for another method, path or body");
    return req->answered;
}

static void kept(void *arg, const struct fault *fault)
{
    struct http_request *req = arg;

    (void)fault; /* the change itself is durable; without its record it still is to be acknowledged */
    list_unlink(&req->key_node);
    req->transport->send(req);
    http_release(req);
}

bool idempotency_keep(struct http_request *req)
{
    struct core_answer answer = {.digest = req->digest, .status = req->response.status};

    if (!req->changed || list_empty(&req->key_node) || !reply_own_body(&req->response)) {
        list_unlink(&req->key_node);
        return false;
    }
    answer.body = req->response.body;
    for (size_t i = 0; i < req->response.header_count; i++)
        if (strcmp(req->response.headers[i].name, "Location") == 0)
            answer.location = req->response.headers[i].value;
    http_hold(req);
    if (core_keep_answer(rest_core(req), req->key, &answer, kept, req) == 0)
        return true;
    list_unlink(&req->key_node);
    http_release(req);
    return false;
}
