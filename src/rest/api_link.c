#include "codec/linkformat.h"
#include "core/directory.h"
#include "rest/api.h"
#include "rest/caching.h"
#include "rest/mapping.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "tcgw/coapmsg.h"

#include <string.h>

/* The links of a device as JSON: what it registered, or its /.well-known/core. */

#define LINKS_MAX 1000

/* "a b" as ["a", "b"] */
static json_t *words_json(const struct linkformat_value *value)
{
    json_t *array = json_array();
    const char *at = value->text, *end = value->text + value->size;

    while (at < end) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        size_t n = (size_t)((space ? space : end) - at);

        if (n && text_is_utf8(at, n))
            (void)json_array_append_new(array, json_stringn(at, n));
        at += n + (space != NULL);
    }
    return array;
}

static json_t *list_of(const struct linkformat_link *link, const char *name)
{
    struct linkformat_value value = {.size = 0};

    return words_json(linkformat_get(link, name, &value) ? &value : &(struct linkformat_value){"", 0});
}

static json_t *text_of(const struct linkformat_link *link, const char *name)
{
    struct linkformat_value value;

    if (!linkformat_get(link, name, &value) || !text_is_utf8(value.text, value.size))
        return json_null();
    return json_stringn(value.text, value.size);
}

/* {"href", "rt", "if", "ct", "sz", "obs", "title"} */
static json_t *link_json(const struct linkformat_link *link)
{
    struct linkformat_value flag;
    uint32_t size;

    if (!text_is_utf8(link->target, link->target_size))
        return NULL;
    return json_pack("{s:s%, s:o, s:o, s:o, s:o, s:b, s:o}", "href", link->target, link->target_size, "rt",
                     list_of(link, "rt"), "if", list_of(link, "if"), "ct", list_of(link, "ct"), "sz",
                     linkformat_get_uint(link, "sz", &size) ? json_integer(size) : json_null(), "obs",
                     linkformat_get(link, "obs", &flag), "title", text_of(link, "title"));
}

/* NULL: they are no links. */
static json_t *links_json(const void *data, size_t size)
{
    struct linkformat lf = linkformat_init(data, size);
    json_t *array = json_array();
    struct linkformat_link link;
    int r = 0;

    while (array && json_array_size(array) < LINKS_MAX && (r = linkformat_next(&lf, &link)) == 0) {
        json_t *object = link_json(&link);

        if (object)
            (void)json_array_append_new(array, object);
    }
    if (r != 2)
        return array;
    json_decref(array);
    return NULL;
}

static void reply_links(struct http_request *req, const char *source, const void *data, size_t size)
{
    json_t *links = links_json(data, size);

    if (links)
        reply_json(req, 200, json_pack("{s:o, s:s}", "items", links, "source", source));
    else
        reply_problem(req, FAULT_DEVICE_ANSWER, "The device's links are not in link format (RFC 6690)");
}

static void reply_answer(struct http_request *req, const struct cache_answer *answer)
{
    const struct agent_response *response = answer->response;
    struct cache_control control;
    char code[MAPPING_CODE_SIZE];

    if (answer->fault.code) {
        reply_fault(req, &answer->fault);
    } else if (response->code != COAPMSG_CONTENT) {
        reply_problem(req, FAULT_DEVICE_ERROR, "The device answered %s to /.well-known/core",
                      mapping_format_code(response->code, code));
    } else {
        caching_read(req, &control);
        caching_add_headers(req, &control, answer);
        reply_links(req, "device", response->body, response->body_size);
    }
}

static void answered(void *arg, const struct cache_answer *answer)
{
    struct http_request *req = arg;

    if (!req->answered)
        reply_answer(req, answer);
    http_release(req);
}

static void ask(struct http_request *req, struct device *device)
{
    const struct agent_resource resource = {.method = COAPMSG_GET,
                                            .path = "/.well-known/core",
                                            .format = -1,
                                            .accept = -1,
                                            .limit = req->rest->options.max_raw_bytes};
    struct cache_control control;
    struct cache_answer answer;
    struct fault fault;
    int r;

    caching_read(req, &control);
    if (core_find_cached(rest_core(req), device, &resource, &control, &answer)) {
        reply_answer(req, &answer);
        return;
    }
    http_hold(req);
    r = core_get_resource(rest_core(req), device, &resource, &control, req->rest->options.max_wait_s * 1000, answered,
                          req, &fault);
    if (r == 0)
        return;
    reply_refusal(req, r, &fault);
    http_release(req);
}

void api_list_resources(struct http_request *req)
{
    struct device *device = resolve_device(req);
    const struct registration *registration = device ? core_registration_of(device) : NULL;

    if (registration && *registration->links)
        reply_links(req, "registration", registration->links, strlen(registration->links));
    else if (device)
        ask(req, device);
}

void api_list_observations(struct http_request *req)
{
    struct device *device = resolve_device(req);

    if (device)
        reply_json(req, 200, json_pack("{s:o}", "items", core_observations_json(device)));
}
