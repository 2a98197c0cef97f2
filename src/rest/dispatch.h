#ifndef TC_REST_DISPATCH_H
#define TC_REST_DISPATCH_H

#include "rest/http.h"

/*
 * From a request to its handler, for any transport: after http_begin and setting method and so on, call dispatch_begin
 * once, dispatch_body for each piece of the body, and dispatch_end. The response may come (transport->send) from within
 * any of them, or later. After an early response the rest of the body is only counted.
 */

#define DISPATCH_DISCARD_MAX (1u << 20) /* bytes of a refused body that are read to keep the connection usable */

/* length: of the body, UINT64_MAX when not known beforehand. */
void dispatch_begin(struct http_request *req, uint64_t length);
/* 0; 1 when the request has been answered and more of its body than DISPATCH_DISCARD_MAX came since. */
int dispatch_body(struct http_request *req, const void *data, size_t size) must_check;
void dispatch_end(struct http_request *req);

/* Parses a JSON object: no duplicate names, no NUL, at most 16 levels deep. 0, or 1 with a fault. */
int dispatch_parse_json(const void *text, size_t size, json_t **out, struct fault *fault) must_check;

#endif
