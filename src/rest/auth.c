#include "rest/auth.h"

#include "base/text.h"

int auth_identify(struct http_request *req, struct fault *fault)
{
    (void)fault;
    req->caller = (struct caller){.name = "anonymous", .role = ROLE_OWNER};
    (void)text_copy(req->caller.from, sizeof req->caller.from, req->trusted_host ? "unix" : "tcp");
    return 0;
}
