#include "rest/api.h"
#include "rest/reply.h"
#include "rest/state.h"

#include <string.h>

static bool check_name(struct http_request *req, const char *what, const char *id)
{
    if (text_is_name(id, CORE_ID_MAX))
        return true;
    reply_problem(req, FAULT_INVALID_ID, "The %s \"%.80s\" is not 1 to %d letters, digits and . _ ~ -", what, id,
                  CORE_ID_MAX);
    return false;
}

/* What exists has a good name, so that only a miss pays for the check. */
struct device *resolve_device(struct http_request *req)
{
    const char *id = req->params[0];
    struct device *device = core_find_device(rest_core(req), id);

    if (!device && !check_name(req, "device id", id))
        return NULL;
    req->about.device = id;
    if (!device)
        reply_problem(req, FAULT_NOT_FOUND, "There is no device %s", id);
    return device;
}

const char *resolve_pending(struct http_request *req)
{
    const char *id = req->params[0];

    if (!check_name(req, "device id", id))
        return NULL;
    req->about.device = id;
    return id;
}

bool resolve_container_place(struct http_request *req, struct device **device, struct container **container)
{
    const char *uid = req->params[1];

    *device = resolve_device(req);
    *container = *device ? core_find_container(*device, uid) : NULL;
    if (!*device || (!*container && !check_name(req, "container uid", uid)))
        return false;
    req->about.container = uid;
    return true;
}

struct container *resolve_container(struct http_request *req)
{
    struct container *container;
    struct device *device;

    if (!resolve_container_place(req, &device, &container))
        return NULL;
    if (!container)
        reply_problem(req, FAULT_NOT_FOUND, "The device %s has no container %s", device->id, req->params[1]);
    return container;
}

struct artifact *resolve_artifact(struct http_request *req)
{
    const char *id = req->params[0];
    struct artifact *artifact;

    if (strlen(id) != CORE_DIGEST_TEXT - 1 || strspn(id, "0123456789abcdef") != CORE_DIGEST_TEXT - 1) {
        reply_problem(req, FAULT_INVALID_ID, "The artifact id \"%.80s\" is not 64 lower-case hexadecimal digits", id);
        return NULL;
    }
    artifact = core_find_artifact(rest_core(req), id);
    if (!artifact)
        reply_problem(req, FAULT_NOT_FOUND, "There is no artifact %s", id);
    return artifact;
}

struct operation *resolve_operation(struct http_request *req)
{
    const char *id = req->params[0];
    struct operation *op;

    if (!text_is_uuid(id)) {
        reply_problem(req, FAULT_INVALID_ID, "The operation id \"%.80s\" is not a lower-case UUID", id);
        return NULL;
    }
    req->about.operation = id;
    op = core_find_operation(rest_core(req), id);
    if (!op)
        reply_problem(req, FAULT_NOT_FOUND, "There is no operation %s", id);
    return op;
}
