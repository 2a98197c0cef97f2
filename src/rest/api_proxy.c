#include "core/cache.h"
#include "rest/api.h"
#include "rest/hcuri.h"
#include "rest/mapping.h"
#include "rest/reply.h"
#include "rest/scope.h"
#include "rest/state.h"

#include <string.h>

/* HTTP to CoAP for any URI (RFC 8075), and its discovery (section 5.5). */

static struct device *find_host(struct http_request *req, const char *authority)
{
    struct device *device;
    struct fault fault;

    bool all = scope_is_all(req);
    int r = core_find_host(rest_core(req), authority, all && req->rest->options.allow_unknown_hosts, &device, &fault);

    if (r == 0 && (all || caller_sees_device(rest_core(req), &req->caller, device)))
        return device;
    if (!all && (r == 0 || fault.code == FAULT_UNKNOWN_HOST))
        fault_set(&fault, FAULT_UNKNOWN_HOST, "There is no device at %.100s for the tenant", authority);
    reply_fault(req, &fault);
    return NULL;
}

void api_proxy(struct http_request *req)
{
    const char *uri = req->tail + 1;
    struct device *device;
    struct hcuri target;
    struct fault fault;

    if (hcuri_parse(uri, &target, &fault)) {
        reply_fault(req, &fault);
        return;
    }
    device = find_host(req, target.authority);
    if (!device)
        return;
    req->about.device = http_copy(req, device->id);
    req->base_size = (size_t)(uri - req->target) + target.size;
    req->tail = uri + target.size;
    api_pass_to(req, device);
}

void api_show_core(struct http_request *req)
{
    static const char links[] = "</hc/>;rt=\"core.hc\"";
    const char *rt = http_parameter(req, "rt");
    size_t n = rt ? strlen(rt) : 0;
    bool prefix = n && rt[n - 1] == '*';
    bool matches = !rt || strcmp(rt, "core.hc") == 0 || (prefix && strncmp(rt, "core.hc", n - 1) == 0);

    reply_static(req, "application/link-format", links, matches ? sizeof links - 1 : 0);
}
