#ifndef TC_REST_ROUTE_H
#define TC_REST_ROUTE_H

#include "rest/http.h"

/*
 * The route table: what docs/openapi.yaml says in the same words, which a test compares.
 */

enum route_body {
    ROUTE_BODY_NONE,
    ROUTE_BODY_JSON,
    ROUTE_BODY_OPTIONAL,  /* JSON, or nothing for an empty object */
    ROUTE_BODY_SECRET,    /* the same, wiped afterwards; no answer is kept for an Idempotency-Key */
    ROUTE_BODY_PATCH,     /* JSON merge patch (RFC 7396) */
    ROUTE_BODY_RAW,       /* any bytes of any type that has a CoAP Content-Format */
    ROUTE_BODY_UPLOAD,    /* streamed to upload.c */
    ROUTE_BODY_RESUMABLE, /* streamed to resumable.c */
};

struct route {
    enum http_method method;
    const char *path; /* "/v1/devices/{id}"; at most two {...} */
    enum route_body body;
    const char *produces; /* media type of its success, NULL: whatever was uploaded, or a device sends */
    const char *query;    /* names of its query parameters, separated by spaces; NULL: it passes through what follows
                             the path before its last {...}, and its query, as they came */
    void (*handler)(struct http_request *req);
    const char *operation_id;
    const char *summary;
    enum access access;   /* what a caller has to be permitted */
    enum subject subject; /* what its first {...} names, which has to be there for the caller */
};

extern const struct route route_table[];
extern const size_t route_table_size;

/*
 * Finds the route for req->segments and req->method (HEAD as GET), sets req->route, req->params and req->tail. Returns
 * 0; 1 when no route has the path; 2 when others have it, whose methods are then in *methods as bits (1 << enum
 * http_method).
 */
int route_find(struct http_request *req, unsigned *methods) must_check;

/* True when the route takes a query parameter of this name. */
bool route_takes_parameter(const struct route *route, const char *name);

/* Writes "GET, HEAD, OPTIONS" for a set of methods. */
#define ROUTE_ALLOW_SIZE 64
void route_format_allow(unsigned methods, char out[ROUTE_ALLOW_SIZE]);

#endif
