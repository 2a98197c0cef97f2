#include "core/directory.h"
#include "core/internal.h"
#include "core/presence.h"
#include "core/transfer.h"
#include "core/trust.h"

#include <string.h>

void rendering_drop(struct rendering *rendering)
{
    free(rendering->json);
    *rendering = (struct rendering){.json = NULL};
}

json_t *json_time(int64_t wall_ms)
{
    char text[RFC3339_SIZE];

    return wall_ms ? json_string(clock_format_rfc3339(wall_ms, text)) : json_null();
}

json_t *json_fault(const struct fault *fault, bool with_advice)
{
    const struct fault_info *info = fault_info(fault->code);
    json_t *object;

    if (!fault->code)
        return json_null();
    object = json_pack("{s:o, s:s, s:s}", "type", json_sprintf("%s%s", FAULT_TYPE_BASE, info->slug), "title",
                       info->title, "detail", fault->detail);
    if (object && with_advice)
        (void)json_object_set_new(object, "advice", json_string(info->advice));
    return object;
}

static json_t *json_known(uint32_t number)
{
    return number ? json_integer(number) : json_null();
}

static json_t *json_runtimes(uint32_t runtimes)
{
    json_t *names;

    if (!runtimes)
        return json_null();
    names = json_array();
    for (unsigned type = 0; type < CONTAINER_TYPE_COUNT; type++)
        if (runtimes >> type & 1)
            (void)json_array_append_new(names, json_string(container_type_name((enum container_type)type)));
    return names;
}

json_t *json_caps(const struct device_caps *caps)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "pdu_size", json_known(caps->pdu_size), "slots",
                     json_known(caps->slots), "runtimes", json_runtimes(caps->runtimes), "package_max",
                     json_known(caps->package_max), "memory", json_known(caps->memory));
}

/* Whether it is its device that keeps it waiting. */
static bool waits_for_device(const struct operation *op)
{
    return op->device && !op->end && !device_calls_for(op->device, op) && !device_is_awake(op->device);
}

static void add_waiting(json_t *json, const struct operation *op)
{
    bool waits = waits_for_device(op);

    (void)json_object_set_new(json, "waiting_for", waits ? json_string("device") : json_null());
    (void)json_object_set_new(json, "expected_at", json_time(waits ? core_presence(op->device).expected : 0));
    if (op->request)
        (void)json_object_set_new(json, "request", request_describe(op));
}

/* Of the load that it is at. */
static json_t *progress_of(const struct operation *op)
{
    const struct container *c = operation_container(op);
    const struct transfer *transfer = c ? c->transfer : NULL;

    return transfer && strcmp(transfer->artifact, op->artifact) == 0 ? transfer_progress_json(transfer) : json_null();
}

json_t *core_operation_json(const struct operation *op)
{
    bool ended = operation_is_finished(op);
    json_t *json;

    /* How it ended is shown from the moment on at which that is durable. */
    json = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", op->id, "kind",
                     operation_kind_name(op->kind), "state", operation_state_name(op->state), "device", op->device_id,
                     "container", *op->uid ? json_string(op->uid) : json_null(), "artifact",
                     *op->artifact ? json_string(op->artifact) : json_null(), "step", op->step, "error",
                     ended ? json_fault(&op->fault, true) : json_null(), "result",
                     ended && op->result ? json_loads(op->result, 0, NULL) : json_null(), "created_at",
                     json_time(op->created), "started_at", json_time(op->started), "ended_at",
                     ended ? json_time(op->ended) : json_null(), "expires_at", json_time(op->expires));
    if (json)
        add_waiting(json, op);
    if (json)
        (void)json_object_set_new(json, "progress", progress_of(op));
    return json;
}

/* Text ------------------------------------------------------------------------------------------------------------ */

static void append_string(struct buffer *b, const char *text)
{
    buffer_append_u8(b, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            buffer_append_u8(b, '\\');
        if (c < 0x20)
            buffer_printf(b, "\\u%04x", c);
        else
            buffer_append_u8(b, c);
    }
    buffer_append_u8(b, '"');
}

/* ,"name":"text", with null for an empty one. */
static void append_text(struct buffer *b, const char *name, const char *text)
{
    buffer_printf(b, ",\"%s\":", name);
    if (*text)
        append_string(b, text);
    else
        buffer_append_text(b, "null");
}

/* Returns where the time's text stands, 0 for null. */
static size_t append_time(struct buffer *b, const char *name, int64_t wall_ms)
{
    char text[RFC3339_SIZE];

    if (wall_ms == 0) {
        buffer_printf(b, ",\"%s\":null", name);
        return 0;
    }
    buffer_printf(b, ",\"%s\":\"%s\"", name, clock_format_rfc3339(wall_ms, text));
    return b->size - RFC3339_SIZE;
}

static void append_caps(struct buffer *b, const struct device_caps *caps)
{
    json_t *object = json_caps(caps);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

    buffer_printf(b, ",\"capabilities\":%s", text ? text : "{}");
    free(text);
    json_decref(object);
}

static void append_groups(struct buffer *b, const char *groups)
{
    const char *before = "";

    buffer_append_text(b, ",\"groups\":[");
    for (const char *name = groups ? groups : ""; *name; name += strspn(name, " ")) {
        size_t n = strcspn(name, " ");

        buffer_printf(b, "%s\"%.*s\"", before, (int)n, name);
        before = ",";
        name += n;
    }
    buffer_append_u8(b, ']');
}

static void append_observe(struct buffer *b, const char *paths)
{
    json_t *array = watches_json(paths);
    char *text = array ? json_dumps(array, JSON_COMPACT) : NULL;

    buffer_printf(b, ",\"observe\":%s", text ? text : "[]");
    free(text);
    json_decref(array);
}

static void append_labels(struct buffer *b, const json_t *labels)
{
    char *text = labels ? json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    buffer_printf(b, ",\"labels\":%s", text ? text : "{}");
    free(text);
}

static void append_fault(struct buffer *b, const struct fault *fault)
{
    if (!fault->code) {
        buffer_append_text(b, ",\"error\":null");
        return;
    }
    buffer_printf(b, ",\"error\":{\"type\":\"%s%s\"", FAULT_TYPE_BASE, fault_info(fault->code)->slug);
    append_text(b, "title", fault_info(fault->code)->title);
    append_text(b, "detail", fault->detail);
    buffer_append_u8(b, '}');
}

static void append_sleep(struct buffer *b, const struct device *device)
{
    char awake[16] = "null";

    if (device->awake_ms)
        (void)snprintf(awake, sizeof awake, "%u", device->awake_ms);
    if (device->sleep_s)
        buffer_printf(b, ",\"sleep\":{\"sleep_s\":%u,\"awake_ms\":%s}", device->sleep_s, awake);
    else
        buffer_append_text(b, ",\"sleep\":null");
}

static void append_presence(struct buffer *b, struct device *device)
{
    struct presence presence = core_presence(device);

    buffer_printf(b, ",\"presence\":{\"state\":\"%s\"", presence_state_name(presence.state));
    (void)append_time(b, "since", presence.since);
    append_text(b, "reason", presence.reason);
    device->rendered.time_at[1] = append_time(b, "last_heard_at", presence.heard);
    (void)append_time(b, "expected_at", presence.expected);
    buffer_printf(b, ",\"sleepy\":%s}", presence.sleepy ? "true" : "false");
}

static void append_endpoint(struct buffer *b, const struct device *device)
{
    const struct registration *r = core_registration_of(device);

    if (!r) {
        buffer_append_text(b, ",\"endpoint\":null");
        return;
    }
    buffer_printf(b, ",\"endpoint\":{\"number\":\"%llu\"", (unsigned long long)r->number);
    append_text(b, "ep", r->ep);
    append_text(b, "sector", r->sector);
    buffer_printf(b, ",\"lifetime_s\":%u", r->lifetime);
    (void)append_time(b, "updated_at", r->updated);
    buffer_append_u8(b, '}');
}

static void render_device(struct buffer *b, struct device *device)
{
    buffer_append_text(b, "{\"id\":");
    append_string(b, device->id);
    buffer_append_text(b, ",\"name\":");
    append_string(b, device->name);
    append_text(b, "address", device->address);
    append_text(b, "agent", agent_kind_name(device->agent));
    buffer_printf(b, ",\"agent_configured\":%s", device->agent_configured ? "true" : "false");
    append_text(b, "agent_version", device->agent_version);
    append_text(b, "reported_id", device->reported_id);
    append_caps(b, &device->caps);
    append_groups(b, device->groups);
    append_labels(b, device->labels);
    append_observe(b, device->observe);
    buffer_printf(b, ",\"allow_plain\":%s,\"security\":\"%s\"", device->allow_plain ? "true" : "false",
                  device_security(device));
    buffer_printf(b, ",\"containers\":%u,\"operations_unfinished\":%u", HASH_COUNT(device->containers),
                  device->operation_count);
    (void)append_time(b, "created_at", device->created);
    (void)append_time(b, "updated_at", device->updated);
    device->rendered.time_at[0] = append_time(b, "last_seen_at", device->last_seen);
    append_sleep(b, device);
    append_presence(b, device);
    append_endpoint(b, device);
    buffer_printf(b, ",\"revision\":%llu}", (unsigned long long)device->revision);
}

static void render_container(struct buffer *b, struct container *c)
{
    buffer_append_text(b, "{\"device\":");
    append_string(b, c->device->id);
    append_text(b, "uid", c->uid);
    buffer_printf(b, ",\"desired\":{\"state\":\"%s\"", container_state_name(c->desired));
    append_text(b, "artifact", c->desired_artifact);
    if (*c->desired_release)
        append_text(b, "release", c->desired_release);
    if (c->rollback)
        buffer_append_text(b, ",\"rollback\":true");
    buffer_printf(b, "},\"reported\":{\"state\":\"%s\"", container_state_name(c->reported));
    append_text(b, "artifact", c->reported_artifact);
    if (*container_release(c))
        append_text(b, "release", container_release(c));
    c->rendered.time_at[0] = append_time(b, "at", c->reported_at);
    buffer_printf(b, "},\"load\":\"%s\"", container_load_name(c->load));
    append_fault(b, &c->fault);
    (void)append_time(b, "created_at", c->created);
    (void)append_time(b, "updated_at", c->updated);
    buffer_printf(b, ",\"revision\":%llu}", (unsigned long long)c->revision);
}

/* Brings the kept text's times up to date. */
static const char *refresh(struct rendering *rendering, int64_t wall_ms, size_t *size)
{
    char text[RFC3339_SIZE];

    if (rendering->json && rendering->time_stale) {
        (void)clock_format_rfc3339(wall_ms, text);
        for (size_t i = 0; i < array_size(rendering->time_at); i++)
            if (rendering->time_at[i])
                memcpy(rendering->json + rendering->time_at[i], text, RFC3339_SIZE - 1);
        rendering->time_stale = false;
    }
    *size = rendering->json ? rendering->size : 2;
    return rendering->json ? rendering->json : "{}"; /* out of memory */
}

const char *core_render_device(struct device *device, size_t *size)
{
    cleanup_buffer struct buffer b = buffer_init(0);

    if (!device->rendered.json) {
        render_device(&b, device);
        device->rendered.json = (char *)buffer_steal(&b, &device->rendered.size);
        device->rendered.time_stale = false;
    }
    return refresh(&device->rendered, device->last_seen, size);
}

const char *core_render_container(struct container *container, size_t *size)
{
    cleanup_buffer struct buffer b = buffer_init(0);

    if (!container->rendered.json) {
        render_container(&b, container);
        container->rendered.json = (char *)buffer_steal(&b, &container->rendered.size);
        container->rendered.time_stale = false;
    }
    return refresh(&container->rendered, container->reported_at, size);
}
