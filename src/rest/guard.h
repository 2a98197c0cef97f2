#ifndef TC_REST_GUARD_H
#define TC_REST_GUARD_H

#include "rest/http.h"

/*
 * Protection against web pages that a person at the gateway looks at: a page may not write (Origin), nor reach the
 * gateway under a name of its own (DNS rebinding), since requests carry no credentials.
 */

/* True for a literal address or localhost, with or without a port. */
bool guard_is_local_host(const char *host);

/* 0, or 1 with FAULT_HOST_REFUSED or FAULT_CROSS_SITE. */
int guard_check(const struct http_request *req, struct fault *fault) must_check;

#endif
