#ifndef TC_REST_IDEMPOTENCY_H
#define TC_REST_IDEMPOTENCY_H

#include "rest/http.h"

/*
 * Idempotency-Key: the first answer to a request that changed something is kept and given again. A request that was
 * refused before anything was changed leaves no trace, so it may be corrected and sent again with its key.
 */

/* Reads the key of a write whose body is complete. True when the request was answered: replayed, or refused. */
bool idempotency_begin(struct http_request *req);

/* Keeps the answer of a request with a key. True when it will be sent once that is durable. */
bool idempotency_keep(struct http_request *req);

#endif
