#include "uplink/command.h"

#include "base/fault.h"
#include "base/text.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

static bool has_text(const char *in, const char *text)
{
    size_t n = strlen(text);

    while (*in && strncasecmp(in, text, n) != 0)
        in++;
    return *in;
}

bool command_is_read(const struct uplink_request *request)
{
    const char *method = request->method;

    return (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0) &&
           !(request->prefer && has_text(request->prefer, "respond-async"));
}

/* A header line may not be made out of a value. */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static const char *read_headers(struct uplink_request *request, json_t *headers)
{
    const struct {
        const char *name;
        const char **value;
    } known[] = {
        {"Content-Type", &request->type}, {"Prefer", &request->prefer},
        {"If-Match", &request->if_match}, {"Idempotency-Key", &request->idempotency_key},
        {"Accept", &request->accept},
    };
    const char *name;
    json_t *value;

    if (headers && !json_is_object(headers))
        return "headers is not an object";
    json_object_foreach(headers, name, value)
    {
        if (!json_is_string(value) || !is_plain(json_string_value(value)))
            return "a header's value is not a text of one line";
        for (size_t i = 0; i < array_size(known); i++)
            if (strcasecmp(name, known[i].name) == 0)
                *known[i].value = json_string_value(value);
    }
    return NULL;
}

static bool is_json_type(const char *type)
{
    return strncasecmp(type, "application/", 12) == 0 && strstr(type, "json");
}

/* JSON goes as it is; a text is the bytes of another type. */
static const char *read_body(struct command_message *out, const json_t *body)
{
    struct uplink_request *request = &out->request;

    if (!body || json_is_null(body))
        return NULL;
    if (request->type && !is_json_type(request->type)) {
        if (!json_is_string(body))
            return "the body of a type that is not JSON is not a text";
        request->body = json_string_value(body);
        request->size = json_string_length(body);
        return NULL;
    }
    if (!request->type)
        request->type = "application/json";
    out->body = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    request->body = out->body;
    request->size = out->body ? strlen(out->body) : 0;
    return out->body ? NULL : "the gateway is out of memory";
}

const char *command_parse(struct command_message *out, const void *payload, size_t size)
{
    const char *problem;
    json_error_t error;

    *out = (struct command_message){0};
    if (size > COMMAND_SIZE_MAX)
        return "it has more than 256 KiB";
    out->json = json_loadb(payload, size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(out->json))
        return "it is not a JSON object";
    out->request.method = json_string_value(json_object_get(out->json, "method"));
    out->request.target = json_string_value(json_object_get(out->json, "path"));
    if (!out->request.method || !out->request.target || out->request.target[0] != '/' || !is_plain(out->request.target))
        return "method and path are needed, and the path begins with /";
    problem = read_headers(&out->request, json_object_get(out->json, "headers"));
    return problem ? problem : read_body(out, json_object_get(out->json, "body"));
}

void command_clear(struct command_message *message)
{
    json_decref(message->json);
    free(message->body);
    *message = (struct command_message){0};
}

static void append_string(struct buffer *out, const char *text, size_t size)
{
    json_t *json = json_stringn(text, size);
    cleanup_free char *dump = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

    json_decref(json);
    if (dump)
        buffer_append_text(out, dump);
    else
        out->failed = true;
}

static void append_base64(struct buffer *out, const void *data, size_t size)
{
    uint8_t *to;

    buffer_append_u8(out, '"');
    to = buffer_reserve(out, (size + 2) / 3 * 4 + 1);
    if (to)
        out->size += (size_t)EVP_EncodeBlock(to, data, (int)size);
    buffer_append_u8(out, '"');
}

static void append_header(struct buffer *out, bool *first, const char *name, const char *value)
{
    if (!value)
        return;
    buffer_printf(out, "%s\"%s\":", *first ? "" : ",", name);
    append_string(out, value, strlen(value));
    *first = false;
}

/* A device may say that it is and send something else, which must not become a part of the answer. */
static bool is_json(const struct uplink_answer *answer)
{
    json_t *json = NULL;

    if (answer->type && is_json_type(answer->type))
        json = json_loadb(answer->body, answer->size, JSON_DECODE_ANY, NULL);
    json_decref(json);
    return json != NULL;
}

static void append_body(struct buffer *out, const struct uplink_answer *answer)
{
    if (!answer->size)
        return;
    if (is_json(answer)) {
        buffer_append_text(out, ",\"body\":");
        buffer_append(out, answer->body, answer->size);
    } else if (text_is_utf8(answer->body, answer->size)) {
        buffer_append_text(out, ",\"body\":");
        append_string(out, answer->body, answer->size);
    } else {
        buffer_append_text(out, ",\"body_base64\":");
        append_base64(out, answer->body, answer->size);
    }
}

void command_format_answer(struct buffer *out, const struct uplink_answer *answer)
{
    bool first = true;

    if (answer->size > COMMAND_ANSWER_MAX) {
        command_format_refusal(out, FAULT_BODY_TOO_LARGE, "The answer has more than 1 MiB: ask for less of it (limit)");
        return;
    }
    buffer_printf(out, "{\"status\":%d,\"headers\":{", answer->status);
    append_header(out, &first, "Content-Type", answer->type);
    append_header(out, &first, "Location", answer->location);
    append_header(out, &first, "ETag", answer->etag);
    buffer_append_u8(out, '}');
    append_body(out, answer);
    buffer_append_u8(out, '}');
}

void command_format_refusal(struct buffer *out, int fault, const char *detail)
{
    const struct fault_info *info = fault_info((enum fault_code)fault);
    json_t *body = json_pack("{s:s+, s:s, s:i, s:s, s:s}", "type", FAULT_TYPE_BASE, info->slug, "title", info->title,
                             "status", info->status, "detail", detail, "advice", info->advice);
    cleanup_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (text)
        command_format_answer(
            out, &(struct uplink_answer){
                     .status = info->status, .type = "application/problem+json", .body = text, .size = strlen(text)});
    else
        out->failed = true;
}
