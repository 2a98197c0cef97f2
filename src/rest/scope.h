#ifndef TC_REST_SCOPE_H
#define TC_REST_SCOPE_H

#include "rest/http.h"

/*
 * What is there for the callers of a tenant. What is not is as if it did not exist: the same answer, which is found in
 * the same way.
 */

/* Of what the route's path names. FAULT_NOT_FOUND; FAULT_FORBIDDEN for what is about the whole gateway. */
int scope_check_path(struct http_request *req, struct fault *fault) must_check;

/* Of what the body names, before the handler: a tenant's callers put devices into its groups only, deploy what is there
 * for them, and select devices by its groups. FAULT_FORBIDDEN, FAULT_NOT_FOUND. */
int scope_check_body(struct http_request *req, struct fault *fault) must_check;

#endif
