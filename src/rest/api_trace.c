#include "base/base64.h"
#include "core/trace.h"
#include "rest/api.h"
#include "rest/mapping.h"
#include "rest/pcap.h"
#include "rest/reply.h"
#include "rest/state.h"

#include <string.h>

/* What a device and the gateway say to each other (core/trace.h), as JSON and as a capture file. */

#define SECONDS_DEFAULT 60
#define PAGE_MAX 200

/* How the values of options are to be read (RFC 7252 section 3.2). */
enum option_format { OPTION_OPAQUE, OPTION_TEXT, OPTION_UINT, OPTION_BLOCK };

static const struct option_name {
    uint16_t number;
    enum option_format format;
    const char *name;
} option_names[] = {
    {COAPMSG_OPT_IF_MATCH, OPTION_OPAQUE, "If-Match"},
    {COAPMSG_OPT_URI_HOST, OPTION_TEXT, "Uri-Host"},
    {COAPMSG_OPT_ETAG, OPTION_OPAQUE, "ETag"},
    {COAPMSG_OPT_IF_NONE_MATCH, OPTION_OPAQUE, "If-None-Match"},
    {COAPMSG_OPT_OBSERVE, OPTION_UINT, "Observe"},
    {COAPMSG_OPT_URI_PORT, OPTION_UINT, "Uri-Port"},
    {COAPMSG_OPT_LOCATION_PATH, OPTION_TEXT, "Location-Path"},
    {COAPMSG_OPT_OSCORE, OPTION_OPAQUE, "OSCORE"},
    {COAPMSG_OPT_URI_PATH, OPTION_TEXT, "Uri-Path"},
    {COAPMSG_OPT_CONTENT_FORMAT, OPTION_UINT, "Content-Format"},
    {COAPMSG_OPT_MAX_AGE, OPTION_UINT, "Max-Age"},
    {COAPMSG_OPT_URI_QUERY, OPTION_TEXT, "Uri-Query"},
    {COAPMSG_OPT_ACCEPT, OPTION_UINT, "Accept"},
    {20, OPTION_TEXT, "Location-Query"},
    {COAPMSG_OPT_BLOCK2, OPTION_BLOCK, "Block2"},
    {COAPMSG_OPT_BLOCK1, OPTION_BLOCK, "Block1"},
    {COAPMSG_OPT_SIZE2, OPTION_UINT, "Size2"},
    {COAPMSG_OPT_PROXY_URI, OPTION_TEXT, "Proxy-Uri"},
    {COAPMSG_OPT_PROXY_SCHEME, OPTION_TEXT, "Proxy-Scheme"},
    {COAPMSG_OPT_SIZE1, OPTION_UINT, "Size1"},
    {COAPMSG_OPT_ECHO, OPTION_OPAQUE, "Echo"},
    {COAPMSG_OPT_REQUEST_TAG, OPTION_OPAQUE, "Request-Tag"},
};

static const struct option_name *find_name(uint16_t number)
{
    for (size_t i = 0; i < array_size(option_names); i++)
        if (option_names[i].number == number)
            return &option_names[i];
    return NULL;
}

static uint64_t read_uint(const struct coapmsg_option *option)
{
    uint64_t value = 0;

    for (size_t i = 0; i < option->length; i++)
        value = value << 8 | option->value[i];
    return value;
}

/* "3/1/64": number, whether more follow, size. */
static json_t *block_json(uint64_t value)
{
    char text[40];

    (void)snprintf(text, sizeof text, "%llu/%u/%u", (unsigned long long)(value >> 4), (unsigned)(value >> 3 & 1),
                   16u << (value & 7));
    return json_string(text);
}

static json_t *hex_json(const void *data, size_t size)
{
    char text[2 * 512 + 1];

    return json_string(text_hex(data, size < 512 ? size : 512, text));
}

static json_t *value_json(const struct coapmsg_option *option, enum option_format format)
{
    if (format == OPTION_TEXT && text_is_utf8((const char *)option->value, option->length))
        return json_stringn((const char *)option->value, option->length);
    if (format == OPTION_UINT && option->length <= 4)
        return json_integer((json_int_t)read_uint(option));
    if (format == OPTION_BLOCK && option->length <= 3)
        return block_json(read_uint(option));
    return hex_json(option->value, option->length);
}

static json_t *options_json(const struct coapmsg *message)
{
    json_t *all = json_array();

    for (size_t i = 0; all && i < message->option_count; i++) {
        const struct coapmsg_option *option = &message->options[i];
        const struct option_name *known = find_name(option->number);

        (void)json_array_append_new(all, json_pack("{s:i, s:s?, s:o}", "number", (int)option->number, "name",
                                                   known ? known->name : NULL, "value",
                                                   value_json(option, known ? known->format : OPTION_OPAQUE)));
    }
    return all;
}

static const char *code_name(uint8_t code, char out[5])
{
    static const char *const methods[] = {"", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"};

    return code > 0 && code < array_size(methods) ? methods[code] : coapmsg_code_text(code, out);
}

static void add_payload(json_t *json, const struct coapmsg *message)
{
    const char *payload = (const char *)message->payload;
    cleanup_free char *encoded = NULL;

    if (message->payload_size == 0)
        return;
    if (text_is_utf8(payload, message->payload_size) && !memchr(payload, 0, message->payload_size)) {
        (void)json_object_set_new(json, "payload", json_stringn(payload, message->payload_size));
        return;
    }
    encoded = base64_encode(message->payload, message->payload_size);
    (void)json_object_set_new(json, "payload_base64", encoded ? json_string(encoded) : json_null());
}

static json_t *message_json(const struct trace_message *entry)
{
    static const char *const types[] = {"CON", "NON", "ACK", "RST"};
    char time[RFC3339_SIZE], code[5];
    struct coapmsg message;
    json_t *json;

    if (coapmsg_decode(&message, entry->bytes, entry->size) != 0)
        return NULL;
    json = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:I}", "number", (json_int_t)entry->number,
                     "time", clock_format_rfc3339(entry->time, time), "direction", entry->sent ? "sent" : "received",
                     "peer", entry->peer, "protection", trace_guard_name(entry->guard), "type", types[message.type],
                     "code", code_name(message.code, code), "message_id", (int)message.id, "token",
                     hex_json(message.token, message.token_length), "options", options_json(&message), "payload_size",
                     (json_int_t)message.payload_size);
    if (json)
        add_payload(json, &message);
    return json;
}

static json_t *state_json(const struct trace *trace)
{
    char begun[RFC3339_SIZE], ends[RFC3339_SIZE];

    return json_pack("{s:s, s:b, s:s, s:s, s:I, s:I}", "device", trace->device->id, "active", trace->active, "began_at",
                     clock_format_rfc3339(trace->begun, begun), "ends_at", clock_format_rfc3339(trace->ends, ends),
                     "messages", (json_int_t)trace->count, "dropped", (json_int_t)(trace->count - trace->kept));
}

/* The device that a route with {id} names; NULL: it was answered. */
static struct device *find_device(struct http_request *req)
{
    struct device *device = core_find_device(rest_core(req), req->params[0]);

    if (!device)
        reply_problem(req, FAULT_NOT_FOUND, "There is no device '%s'", req->params[0]);
    return device;
}

static const struct trace *find_trace(struct http_request *req)
{
    struct device *device = find_device(req);
    const struct trace *trace = device ? core_trace_of(device) : NULL;

    if (device && !trace)
        reply_problem(req, FAULT_NOT_FOUND, "Device '%s' is not traced", device->id);
    return trace;
}

static int read_seconds(const json_t *body, uint32_t *seconds, struct fault *fault)
{
    const char *name;
    json_t *value;

    *seconds = SECONDS_DEFAULT;
    json_object_foreach((json_t *)body, name, value)
    {
        if (strcmp(name, "seconds") != 0)
            return fault_set_at(fault, FAULT_UNKNOWN_FIELD, "/", "The member '%.40s' is not known here", name);
        if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > TRACE_SECONDS_MAX)
            return fault_set_at(fault, FAULT_INVALID_FIELD, "/seconds", "It has to be a number from 1 to %d",
                                TRACE_SECONDS_MAX);
        *seconds = (uint32_t)json_integer_value(value);
    }
    return 0;
}

void api_begin_trace(struct http_request *req)
{
    struct device *device = find_device(req);
    struct fault fault = {.code = FAULT_NONE};
    uint32_t seconds;
    int r;

    if (!device)
        return;
    r = read_seconds(req->json, &seconds, &fault);
    if (r == 0)
        r = core_trace_begin(device, seconds, &fault);
    if (r)
        reply_refusal(req, r, &fault);
    else
        reply_json(req, 201, state_json(core_trace_of(device)));
}

void api_end_trace(struct http_request *req)
{
    struct device *device = find_device(req);

    if (!device)
        return;
    core_trace_end(device);
    reply_empty(req, 204);
}

/* The messages behind ?after=, a page of them. */
void api_show_trace(struct http_request *req)
{
    const struct trace *trace = find_trace(req);
    const char *after = http_parameter(req, "after");
    int64_t number = 0;
    json_t *json, *items;

    if (!trace)
        return;
    if (after && !text_parse_int(after, 0, INT64_MAX, &number)) {
        reply_problem(req, FAULT_INVALID_PARAMETER, "after has to be the number of a message");
        return;
    }
    json = state_json(trace);
    items = json_array();
    list_each(node, &trace->messages)
    {
        const struct trace_message *message = container_of(node, struct trace_message, node);

        if (message->number > (uint64_t)number && json_array_size(items) < PAGE_MAX)
            (void)json_array_append_new(items, message_json(message));
    }
    (void)json_object_set_new(json, "items", items);
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, 200, json);
}

void api_show_pcap(struct http_request *req)
{
    const struct trace *trace = find_trace(req);
    struct buffer file = buffer_init(0);
    uint8_t *bytes;
    size_t size;

    if (!trace)
        return;
    pcap_begin(&file);
    list_each(node, &trace->messages)
    {
        const struct trace_message *message = container_of(node, struct trace_message, node);

        (void)pcap_add(&file, message->time, message->sent, message->peer, message->bytes, message->size);
    }
    bytes = buffer_steal(&file, &size);
    if (!bytes) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    http_add(req, "Cache-Control", "no-store");
    reply_owned(req, 200, "application/vnd.tcpdump.pcap", bytes, size);
}
