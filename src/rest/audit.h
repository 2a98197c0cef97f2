#ifndef TC_REST_AUDIT_H
#define TC_REST_AUDIT_H

#include "rest/http.h"

/*
 * Requests in the audit trail (core/audit.h): all that change something, and those that were refused for lack of right.
 * The entry is durable before the answer is sent: with the change itself where there is one, else by itself.
 */

/* The next commit that calls back with this request is what it asked for. */
void audit_expect(struct http_request *req);
/* For a response that is complete. True when http_answer_on will be called later, once the entry is durable. */
bool audit_keep(struct http_request *req);

#endif
