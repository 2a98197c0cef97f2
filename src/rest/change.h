#ifndef TC_REST_CHANGE_H
#define TC_REST_CHANGE_H

#include "core/core.h"
#include "rest/http.h"

/*
 * The join of a request and a core call that answers through core_done_fn:
 *
 *     r = core_add_device(core, req->json, change_done, change_begin(req, answer_added), &fault, &device);
 *     if (change_was_refused(req, r, &fault))
 *         return;
 *
 * Once the change is durable answer_added answers; a failed commit is answered with its fault.
 */

void *change_begin(struct http_request *req, void (*then)(struct http_request *req));
void change_done(void *arg, const struct fault *fault);
/* True when the call has refused (result not 0), which is answered here. */
bool change_was_refused(struct http_request *req, int result, const struct fault *fault);

/* For `then`: 204. */
void change_answer_empty(struct http_request *req);

#endif
