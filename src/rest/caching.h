#ifndef TC_REST_CACHING_H
#define TC_REST_CACHING_H

#include "core/cache.h"
#include "rest/http.h"

/* Cache-Control of requests (RFC 9111 section 5.2.1, stale-if-error: RFC 5861), and what an answer says of the cache.
 */

/* Reads Cache-Control; Pragma: no-cache without it. What is not known is passed over, a malformed number counts as the
 * most careful one. */
void caching_read(const struct http_request *req, struct cache_control *control);
/* Adds Cache-Status (RFC 9211) and, for what was kept, Age. */
void caching_add_headers(struct http_request *req, const struct cache_control *control,
                         const struct cache_answer *answer);

#endif
