#include "rest/audit.h"

#include "core/audit.h"
#include "rest/reply.h"
#include "rest/route.h"
#include "rest/state.h"

#include <string.h>

#define PATH_MAX_KEPT 256

/* What an entry needs beyond the request itself. */
struct told {
    char path[PATH_MAX_KEPT];
    struct audit_request request;
};

/* Without the query, which may have secrets; what is no plain text does not get into the trail. */
static void copy_path(const struct http_request *req, char out[PATH_MAX_KEPT])
{
    size_t size = strcspn(req->target, "?");

    size = size < PATH_MAX_KEPT ? size : PATH_MAX_KEPT - 1;
    for (size_t i = 0; i < size; i++)
        out[i] = req->target[i] > ' ' && req->target[i] <= '~' ? req->target[i] : '?';
    out[size] = 0;
}

/* Who was not identified is known by where it speaks from. */
static void name_caller(const struct http_request *req, struct audit_request *out)
{
    const struct http_peer *peer = &req->peer;

    out->who = req->caller.name[0] ? req->caller.name : "unknown";
    out->from = peer->kind == HTTP_PEER_UNIX ? "unix" : peer->kind == HTTP_PEER_PLATFORM ? "platform" : peer->address;
}

static void name_told(const struct http_request *req, struct told *out)
{
    const struct route *route = req->route;

    *out = (struct told){.path = ""};
    copy_path(req, out->path);
    name_caller(req, &out->request);
    out->request.path = out->path;
    out->request.action = route ? route->operation_id : http_method_name(req->method);
    out->request.request = req->id;
    if (route && strncmp(route->path, "/v1/devices/{id}", 16) == 0) {
        out->request.device = req->params[0];
        if (strncmp(route->path + 16, "/containers/{uid}", 17) == 0)
            out->request.container = req->params[1];
    }
}

void audit_expect(struct http_request *req)
{
    struct told told;

    if (req->audited || !core_has_audit(rest_core(req)))
        return;
    name_told(req, &told);
    core_expect_audit(rest_core(req), req, &told.request, &req->audited);
}

/* What was done is not acknowledged without its entry. */
static void kept(void *arg, const struct fault *fault)
{
    struct http_request *req = arg;

    if (fault->code) {
        reply_drop_body(&req->response);
        req->response.header_count = 0;
        req->audited = true; /* there will be no other entry */
        reply_problem(req, fault->code, "It was done (%d), but the audit trail could not be written: %.120s",
                      req->response.status, fault->detail);
    } else {
        http_answer_on(req);
    }
    http_release(req);
}

static void note_refusal(const struct http_request *req, const struct audit_request *request)
{
    struct core *core = rest_core(req);
    const char *error = req->response.error;

    if (req->response.status >= 500 && req->begun)
        core_note_failure(core, request, req->response.status, error);
    else
        core_note_refusal(core, request, req->response.status, error);
}

/* Pieces of an upload are told of when they have become an artifact. */
static bool needs_entry(const struct http_request *req)
{
    return http_method_writes(req->method) && req->begun && !req->audited &&
           (req->route->body != ROUTE_BODY_RESUMABLE || req->changed);
}

bool audit_keep(struct http_request *req)
{
    int status = req->response.status;
    struct told told;

    core_forget_audit(rest_core(req), req);
    if (!core_has_audit(rest_core(req)))
        return false;
    if (status >= 400) {
        if (!req->audited && (http_method_writes(req->method) || status == 401 || status == 403 || req->denied)) {
            name_told(req, &told);
            note_refusal(req, &told.request);
        }
        return false;
    }
    if (!needs_entry(req) || !reply_own_body(&req->response))
        return false;
    name_told(req, &told);
    http_hold(req);
    req->audited = true;
    if (core_add_audit(rest_core(req), &told.request, status, kept, req) == 0)
        return true;
    http_release(req);
    return false;
}
