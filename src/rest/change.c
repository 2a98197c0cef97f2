#include "rest/change.h"

#include "rest/audit.h"
#include "rest/reply.h"

void *change_begin(struct http_request *req, void (*then)(struct http_request *req))
{
    req->then = then;
    audit_expect(req);
    http_hold(req);
    return req;
}

void change_done(void *arg, const struct fault *fault)
{
    struct http_request *req = arg;

    if (fault->code)
        req->audited = false; /* its entry was undone with it */
    if (!req->answered && fault->code) {
        reply_fault(req, fault);
    } else if (!req->answered) { /* not given up by a shutdown meanwhile */
        req->changed = true;
        req->then(req);
    }
    http_release(req);
}

bool change_was_refused(struct http_request *req, int result, const struct fault *fault)
{
    if (result == 0)
        return false;
    reply_refusal(req, result, fault);
    http_release(req);
    return true;
}

void change_answer_empty(struct http_request *req)
{
    reply_empty(req, 204);
}
