#include "base/clock.h"
#include "rest/mapping.h"
#include "rest/media.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "rest/stream.h"

#include <openssl/evp.h>

/* A device's resource that a client watches. */
struct watch {
    struct stream stream;
    struct core_observer *observer; /* NULL once it has ended */
    uint64_t events;
};

static json_t *payload_json(const uint8_t *body, size_t size, bool text)
{
    json_t *json;
    char *encoded;

    if (text)
        return json_stringn(size ? (const char *)body : "", size);
    encoded = malloc((size + 2) / 3 * 4 + 1);
    if (!encoded)
        return NULL;
    (void)EVP_EncodeBlock((unsigned char *)encoded, body, (int)size);
    json = json_string(encoded);
    free(encoded);
    return json;
}

/* {"code", "content_format", "time", "payload" or "payload_base64"} */
static json_t *representation_json(const struct agent_response *response)
{
    bool text = text_is_utf8(response->body, response->body_size);
    char code[MAPPING_CODE_SIZE], time[RFC3339_SIZE];
    json_t *json;

    json = json_pack("{s:s, s:o, s:s, s:o}", "code", mapping_format_code(response->code, code), "content_format",
                     response->format == MEDIA_NONE ? json_null() : json_integer(response->format), "time",
                     clock_format_rfc3339(clock_wall_ms(clock_system()), time), text ? "payload" : "payload_base64",
                     payload_json(response->body, response->body_size, text));
    return json;
}

static void notify(void *arg, const struct agent_response *response)
{
    struct watch *watch = arg;
    const char *event = response->code >> 5 == 2 ? "representation" : "error";

    stream_send(&watch->stream, ++watch->events, event, representation_json(response));
}

static void ended(void *arg, const struct fault *fault)
{
    struct watch *watch = arg;
    json_t *reason;

    watch->observer = NULL;
    if (fault->code)
        reason = problem_json(watch->stream.req, fault);
    else
        reason = json_pack("{s:s}", "detail", "The device does not let the resource be observed any longer");
    stream_end(&watch->stream, ++watch->events, reason);
}

static void closed(struct stream *stream)
{
    struct watch *watch = container_of(stream, struct watch, stream);

    if (watch->observer)
        core_unobserve(watch->observer);
    free(watch);
}

void observe_resource(struct http_request *req, struct device *device, const struct agent_resource *resource)
{
    struct watch *watch;
    struct fault fault;

    if (!stream_is_possible(req))
        return;
    watch = calloc(1, sizeof *watch);
    fault_set(&fault, FAULT_INTERNAL, "The gateway is out of memory");
    if (watch)
        watch->observer = core_observe_resource(rest_core(req), device, resource->path, resource->query,
                                                resource->accept, notify, ended, watch, &fault);
    if (!watch || !watch->observer) {
        free(watch);
        reply_fault(req, &fault);
        return;
    }
    stream_begin(&watch->stream, req, closed);
}
