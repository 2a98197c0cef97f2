#include "core/internal.h"

#include "base/log.h"
#include "codec/senml.h"
#include "core/event.h"
#include "core/telemetry.h"

#include <openssl/evp.h>
#include <string.h>

/* Where notifications of observed resources go: to telemetry, else to the journal. */

#define EVENTS_PER_SECOND 10 /* of one resource, for what is no telemetry */
#define EVENT_BODY_MAX 4096  /* bytes of a body that an event holds */

/* "/sensors/t" is the series "sensors/t"; characters that SenML's names do not have become underscores. */
static void make_name(const char *path, char name[TELEMETRY_NAME_MAX + 1])
{
    size_t n = 0;

    for (path += *path == '/'; *path && n < TELEMETRY_NAME_MAX; path++, n++)
        name[n] = senml_is_name(path, 1) || (n && strchr("-:./_", *path)) ? *path : n ? '_' : 'x';
    name[n] = 0;
    if (n == 0)
        memcpy(name, "root", sizeof "root");
}

static bool feed_telemetry(struct device *device, const char *path, const struct agent_response *response)
{
    struct core *core = device->core;
    char name[TELEMETRY_NAME_MAX + 1];
    const struct senml_options options = {
        .now_us = core_wall(core) * 1000, .max_records = core->options.telemetry.max_records, .name = name};
    struct senml_pack pack = {.count = 0};
    struct fault fault;
    uint32_t retry;
    bool taken;

    make_name(path, name);
    taken = telemetry_decode(&pack, response->format, response->body, response->body_size, &options) == 0;
    if (taken && pack.count &&
        core_add_telemetry(core, device, pack.records, pack.count, 0, NULL, NULL, &fault, &retry))
        log_debug("observed telemetry refused", "device", device->id, "path", path, "reason", fault.detail, NULL);
    senml_clear(&pack);
    return taken;
}

static bool is_allowed(struct core *core, struct feed_limit *limit)
{
    int64_t second = core_now(core) / 1000;

    if (limit->second != second)
        limit->count = 0;
    limit->second = second;
    if (limit->count++ < EVENTS_PER_SECOND)
        return true;
    limit->suppressed++;
    return false;
}

static json_t *payload_json(const struct agent_response *response, bool text)
{
    char encoded[(EVENT_BODY_MAX + 2) / 3 * 4 + 1];

    if (response->body_size > EVENT_BODY_MAX)
        return json_null();
    if (text)
        return json_stringn(response->body_size ? (const char *)response->body : "", response->body_size);
    (void)EVP_EncodeBlock((unsigned char *)encoded, response->body, (int)response->body_size);
    return json_string(encoded);
}

static void note(struct device *device, const char *path, const struct agent_response *response)
{
    bool text = text_is_utf8(response->body, response->body_size);

    event_note(device->core, EVENT_RESOURCE_NOTIFIED, device->id, "{s:s, s:o, s:I, s:o}", "path", path,
               "content_format", response->format < 0 ? json_null() : json_integer(response->format), "size",
               (json_int_t)response->body_size, text ? "payload" : "payload_base64", payload_json(response, text));
}

void feed_notification(struct device *device, const char *path, const struct agent_response *response,
                       struct feed_limit *limit)
{
    if (device->visitor || device_check_protected(device, NULL)) /* nothing vouches for it: a hint */
        return;
    if (!feed_telemetry(device, path, response) && is_allowed(device->core, limit))
        note(device, path, response);
}
