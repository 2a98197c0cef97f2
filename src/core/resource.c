#include "core/internal.h"

#include "tcgw/coapmsg.h"

#include <string.h>

/* Requests to any resource of a device; they wait in its queue (query.c). */

bool resource_changes(const struct agent_resource *resource)
{
    return resource->method != COAPMSG_GET && resource->method != COAPMSG_FETCH;
}

bool resource_repeats(const struct agent_resource *resource)
{
    return resource->method != COAPMSG_POST && resource->method != COAPMSG_PATCH;
}

/* Copies ---------------------------------------------------------------------------------------------------------- */

static void *append(uint8_t **at, const void *data, size_t size)
{
    uint8_t *copy = *at;

    memcpy(copy, data, size);
    *at += size;
    return copy;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

struct agent_resource *resource_copy(const struct agent_resource *from)
{
    size_t size =
        text_size(from->path) + text_size(from->query) + from->if_match_size + from->etag_size + from->body_size;
    struct agent_resource *copy = malloc(sizeof *copy + size);
    uint8_t *at;

    if (!copy)
        return NULL;
    at = (uint8_t *)(copy + 1);
    *copy = *from;
    copy->path = append(&at, from->path, text_size(from->path));
    if (from->query)
        copy->query = append(&at, from->query, text_size(from->query));
    if (from->if_match)
        copy->if_match = append(&at, from->if_match, from->if_match_size);
    if (from->etag_size)
        copy->etag = append(&at, from->etag, from->etag_size);
    if (from->body_size)
        copy->body = append(&at, from->body, from->body_size);
    return copy;
}

/* Requests --------------------------------------------------------------------------------------------------------- */

int resource_check_use(struct core *core, const struct device *device, bool changes, struct fault *fault)
{
    if (core_check_accepting(core, fault) || (changes && device_check_protected(device, fault)))
        return 1;
    if (device->removing)
        return fault_set(fault, FAULT_NOT_FOUND, "Device '%s' is being removed.", device->id);
    return 0;
}

int core_request_resource(struct core *core, struct device *device, const struct agent_resource *request,
                          uint32_t timeout_ms, core_resource_fn done, void *arg, struct fault *fault)
{
    bool shared;

    if (resource_check_use(core, device, resource_changes(request), fault))
        return 1;
    return query_resource(device, request, false, timeout_ms, done, arg, &shared, fault);
}
