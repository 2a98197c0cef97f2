#ifndef TC_REST_REPLY_H
#define TC_REST_REPLY_H

#include "rest/http.h"

/*
 * The ways to answer a request; each may be used once per request. Headers of the answer are added before.
 */

/* Hands the response over: to the audit trail when it belongs there, to the store when it is kept for an
 * Idempotency-Key, then to the transport. */
void http_answer(struct http_request *req);
/* The same without the audit trail, which has it. */
void http_answer_on(struct http_request *req);
/* Has the body outlive the call that answers. False: out of memory. */
bool reply_own_body(struct http_response *res);
void reply_drop_body(struct http_response *res);

/* 200 with the content of an open file, which is taken over. */
void reply_file(struct http_request *req, const char *type, int fd, uint64_t size);
/* JSON text that is copied. */
void reply_text(struct http_request *req, int status, const char *json, size_t size);
/* 200 with a body that never changes and is never freed. */
void reply_static(struct http_request *req, const char *type, const void *body, size_t size);
/* Any body that is malloc'ed and handed over. */
void reply_owned(struct http_request *req, int status, const char *type, void *body, size_t size);
/* Takes the value over; NULL (out of memory while it was made) answers with FAULT_INTERNAL. */
void reply_json(struct http_request *req, int status, json_t *json);
void reply_empty(struct http_request *req, int status);

/* A problem (RFC 9457) with the members of req->about. */
void reply_fault(struct http_request *req, const struct fault *fault);
/* The same with another status than the fault's own. */
void reply_fault_as(struct http_request *req, const struct fault *fault, int status);
/* A problem that is made up at once. */
void reply_problem(struct http_request *req, enum fault_code code, const char *format, ...) printf_like(3, 4);
/* A refusal by a function that returned result: a positive one comes with its fault, a negative is an errno. */
void reply_refusal(struct http_request *req, int result, const struct fault *fault);

/* {"type", "title", "status", "detail", "pointer", "advice", "device", "container", "operation"}; NULL when out of
 * memory. */
json_t *problem_json(const struct http_request *req, const struct fault *fault);

#endif
