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

/* As caller_sees_name, caller_sees_device_id, caller_has_group. */
typedef bool (*scope_fn)(const struct core *core, const struct caller *caller, const char *name);

/* Takes out of a list what is not there for the caller: each item's `member` is what `sees` is asked. Returns it. */
json_t *scope_filter(const struct http_request *req, json_t *items, const char *member, scope_fn sees);

static inline bool scope_is_all(const struct http_request *req)
{
    return !*req->caller.tenant;
}

#endif
