#ifndef TC_REST_WAIT_H
#define TC_REST_WAIT_H

#include "rest/http.h"
#include "rest/state.h"

/*
 * Prefer: wait=N (RFC 7240): the answer is held back until an operation has ended or N seconds have passed.
 */

void wait_init(struct rest *rest);

#define WAIT_TTL_MAX_S (UINT32_MAX / 1000)

/* Reads Prefer: wait into req->wait_s. 0, or 1 with FAULT_INVALID_PARAMETER. */
int wait_read_prefer(struct http_request *req, struct fault *fault) must_check;
/* Reads Prefer into req->wait_s, and the query's ttl (seconds) into *ttl_ms (0: none). 0, or 1 with
 * FAULT_INVALID_PARAMETER. */
int wait_read(struct http_request *req, uint32_t *ttl_ms, struct fault *fault) must_check;

/*
 * Answers with the operation that req->record names, at once or when it has ended or the wait is over. A read gets 200;
 * a write (through change_begin) 202 while it is not done, 200 when it succeeded, a problem with its fault when it
 * failed.
 */
void wait_answer_operation(struct http_request *req);

/* Answers all waiting requests with FAULT_SHUTTING_DOWN. */
void wait_abort(struct rest *rest);

#endif
