#ifndef TC_REST_LOCAL_H
#define TC_REST_LOCAL_H

#include "core/access.h"
#include "rest/rest.h"

/*
 * The second transport of the route table: requests from within the daemon, which came over the uplink.
 */

struct local_request {
    const char *method, *target;
    const char *type, *prefer, *if_match, *idempotency_key, *accept; /* header values, NULL: absent */
    const void *body;
    size_t size;
    const char *sink;  /* that it came over */
    enum role role;    /* that it has without a grant */
    bool confidential; /* the answer may hold secrets */
};

struct local_answer {
    int status;
    const char *type, *location, *etag; /* NULL: none */
    const void *body;
    size_t size;
};

/* Runs a request as any other; done comes once, possibly from within. Everything is copied. Event streams and uploads
 * of forms are refused, and so are routes that make credentials unless the request is confidential. -ENOMEM: done will
 * not come. */
int rest_dispatch(struct rest *rest, const struct local_request *request,
                  void (*done)(void *arg, const struct local_answer *answer), void *arg) must_check;

#endif
