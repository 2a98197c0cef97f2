#include "core/internal.h"

#include "codec/httpstatus.h"
#include "tcgw/coapmsg.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

/*
 * A request to a resource that waits for its device. What may be repeated (RFC 7252 section 5.8) is sent until it was
 * answered. What may not is written down as sent before it leaves: after a lost answer, or a crash, nobody knows what
 * became of it, and it is not sent again.
 */

#define BYTES_MAX (32u << 20) /* of bodies that wait, in memory */
#define PAUSE_MAX_MS 60000    /* between attempts at a device that does not sleep and does not answer */
#define WORDS_MAX 100         /* bytes of a device's words about an error that are shown */
#define JSON_FORMAT 50        /* Content-Format application/json */

static const char *const methods[] = {
    [COAPMSG_GET] = "GET",     [COAPMSG_POST] = "POST",   [COAPMSG_PUT] = "PUT",       [COAPMSG_DELETE] = "DELETE",
    [COAPMSG_FETCH] = "FETCH", [COAPMSG_PATCH] = "PATCH", [COAPMSG_IPATCH] = "iPATCH",
};

/* The machine ------------------------------------------------------------------------------------------------------ */

bool request_is_lost(const struct operation *op)
{
    return op->request_sent && op->machine == STEP_BEGIN;
}

void request_fail_lost(struct operation *op)
{
    operation_fail(op, FAULT_OUTCOME_UNKNOWN,
                   "Device '%s' was asked to change %.100s, and it is not known whether it did.", op->device_id,
                   op->request->path);
}

void request_begin(struct operation *op)
{
    op->request_sent = !resource_repeats(op->request);
    operation_enter(op, STEP_REQUESTING, 0);
}

void request_take_back(struct operation *op)
{
    if (op->machine != STEP_REQUESTING || !op->request_sent || op->end)
        return;
    op->machine = STEP_BEGIN;
    op->request_sent = false;
    operation_write(op);
}

void request_heard(struct device *device)
{
    struct operation *op;

    if (list_empty(&device->operations))
        return;
    op = list_first(&device->operations, struct operation, device_node);
    if (op->kind != OPERATION_REQUEST || op->wake_at <= core_now(device->core))
        return;
    op->wake_at = 0;
    core_arm(device->core, &op->timer, core_now(device->core));
}

/* One that sleeps is asked when it shows up, another one from time to time. */
static void try_again(struct operation *op)
{
    uint32_t pause = op->device->core->options.settle_delay_ms;

    for (unsigned i = 0; i < op->lost && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    op->lost++;
    if (device_sleeps(op->device))
        pause = 0;
    operation_enter(op, STEP_REQUESTING, pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
}

/* The answer ------------------------------------------------------------------------------------------------------- */

static json_t *base64(const uint8_t *data, size_t size)
{
    char *text = malloc((size + 2) / 3 * 4 + 1);
    json_t *json;

    if (!text)
        return NULL;
    (void)EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    json = json_string(text);
    free(text);
    return json;
}

static void add_payload(json_t *result, const struct agent_response *response)
{
    const char *body = response->body_size ? (const char *)response->body : "";
    size_t size = response->body_size < REQUEST_RESULT_MAX ? response->body_size : REQUEST_RESULT_MAX;
    bool whole = size == response->body_size;
    json_t *json = NULL;

    if (whole && response->format == JSON_FORMAT)
        json = json_loadb(body, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (json)
        (void)json_object_set_new(result, "payload_json", json);
    else if (text_is_utf8(body, size))
        (void)json_object_set_new(result, "payload", json_stringn(body, size));
    else
        (void)json_object_set_new(result, "payload_base64", base64(response->body, size));
    (void)json_object_set_new(result, "size", json_integer((json_int_t)response->body_size));
    (void)json_object_set_new(result, "truncated", json_boolean(!whole));
}

static json_t *text_or_null(const char *text)
{
    return *text && text_is_utf8(text, strlen(text)) ? json_string(text) : json_null();
}

static char *result_text(const struct agent_resource *request, const struct agent_response *response)
{
    char code[8], tag[2 * sizeof response->etag + 1];
    json_t *result;
    char *text;

    (void)snprintf(code, sizeof code, "%d.%02d", response->code >> 5, response->code & 31);
    result = json_pack("{s:s, s:i, s:o, s:o, s:o}", "coap_code", code, "status", httpstatus_from_code(response->code),
                       "content_format", response->format < 0 ? json_null() : json_integer(response->format),
                       "location", text_or_null(response->location), "etag",
                       text_or_null(text_hex(response->etag, response->etag_size, tag)));
    if (!result)
        return NULL;
    add_payload(result, response);
    suit_add_value(request, response, result);
    text = json_dumps(result, JSON_COMPACT);
    json_decref(result);
    return text;
}

/* What an error says for people (RFC 7252 section 5.5.2); 0 bytes: nothing. */
static int words_size(const struct agent_response *response)
{
    bool is_text = response->format < 0 && response->body_size <= WORDS_MAX;

    return is_text && text_is_utf8(response->body, response->body_size) ? (int)response->body_size : 0;
}

static void answered(struct operation *op, const struct agent_response *response)
{
    int words = words_size(response);
    char code[8];

    op->result = result_text(op->request, response);
    if (response->code >> 5 == 2) {
        operation_succeed(op);
        return;
    }
    (void)snprintf(code, sizeof code, "%d.%02d", response->code >> 5, response->code & 31);
    if (response->code == COAPMSG_NOT_FOUND)
        suit_missing(op->device, op->request);
    operation_fail(op, FAULT_DEVICE_ERROR, "Device '%s' answered %s to %s %.100s%s%.*s", op->device_id, code,
                   methods[op->request->method], op->request->path, words ? ": " : ".", words,
                   words ? (const char *)response->body : "");
}

void request_answered(struct operation *op, struct container *c, const struct agent_call *call)
{
    (void)c;
    if (call->outcome == AGENT_OK)
        answered(op, &call->response);
    else if (call->outcome == AGENT_UNREACHABLE || (call->outcome == AGENT_NO_ANSWER && !op->request_sent))
        try_again(op);
    else if (call->outcome == AGENT_NO_ANSWER)
        request_fail_lost(op);
    else
        operation_fail_call(op, call);
}

/* Its row ---------------------------------------------------------------------------------------------------------- */

static json_t *integer_or_null(int number)
{
    return number < 0 ? json_null() : json_integer(number);
}

json_t *request_describe(const struct operation *op)
{
    const struct agent_resource *r = op->request;

    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "method", methods[r->method], "path", r->path, "query",
                     r->query ? json_string(r->query) : json_null(), "content_format", integer_or_null(r->format),
                     "accept", integer_or_null(r->accept));
}

/* The description as JSON text, a NUL, and the body while it is needed. */
void *request_store(const struct operation *op, size_t *size)
{
    const struct agent_resource *r = op->request;
    cleanup_buffer struct buffer b = buffer_init(0);
    char match[2 * 8 + 1];
    json_t *json;
    char *text;

    if (!r)
        return NULL;
    json = request_describe(op);
    if (json && r->if_match)
        (void)json_object_set_new(json, "if_match", json_string(text_hex(r->if_match, r->if_match_size, match)));
    if (json && op->request_sent)
        (void)json_object_set_new(json, "sent", json_true());
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    b.failed = !text;
    if (text)
        buffer_append(&b, text, strlen(text) + 1);
    free(text);
    if (!op->end && !operation_is_finished(op))
        buffer_append(&b, r->body, r->body_size);
    return buffer_steal(&b, size);
}

static int number_of(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    return json_is_integer(value) ? (int)json_integer_value(value) : -1;
}

static uint8_t method_of(const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "method"));

    for (size_t i = 0; name && i < array_size(methods); i++)
        if (methods[i] && strcmp(methods[i], name) == 0)
            return (uint8_t)i;
    return 0;
}

/* False when it is not what request_store made. */
static bool read_description(const json_t *json, struct agent_resource *out, uint8_t match[8])
{
    const char *digits = json_string_value(json_object_get(json, "if_match"));
    size_t size = digits ? strlen(digits) / 2 : 0;

    out->method = method_of(json);
    out->path = json_string_value(json_object_get(json, "path"));
    out->query = json_string_value(json_object_get(json, "query"));
    out->format = number_of(json, "content_format");
    out->accept = number_of(json, "accept");
    out->if_match = digits ? match : NULL;
    out->if_match_size = size;
    out->limit = REQUEST_BODY_MAX;
    return out->method && out->path && (!digits || (size <= 8 && text_unhex(digits, match, size)));
}

void request_load(struct operation *op, const void *bytes, size_t size)
{
    const uint8_t *end = size ? memchr(bytes, 0, size) : NULL;
    struct agent_resource resource = {.method = 0};
    uint8_t match[8];
    json_t *json;

    if (!end || op->kind != OPERATION_REQUEST)
        return;
    json = json_loads(bytes, 0, NULL);
    resource.body = end + 1;
    resource.body_size = size - (size_t)(end + 1 - (const uint8_t *)bytes);
    if (json && read_description(json, &resource, match))
        op->request = resource_copy(&resource);
    op->request_sent = json_is_true(json_object_get(json, "sent"));
    json_decref(json);
}

/* The queue -------------------------------------------------------------------------------------------------------- */

void request_enter(struct core *core, const struct operation *op)
{
    if (op->request)
        core->request_bytes += op->request->body_size;
}

/* Its body is not needed any more. */
void request_leave(struct core *core, struct operation *op)
{
    struct agent_resource rest, *copy;

    if (!op->request)
        return;
    core->request_bytes -= op->request->body_size;
    rest = *op->request;
    rest.body_size = 0;
    rest.body = NULL;
    copy = resource_copy(&rest);
    if (!copy)
        return;
    free(op->request);
    op->request = copy;
}

static void settle_request(struct commit *commit, bool durable, struct fault *fault)
{
    (void)operation_settle(commit, durable, fault);
}

static int check_request(struct core *core, const struct device *device, const struct agent_resource *request,
                         struct fault *fault)
{
    if (core_check_accepting(core, fault) || operation_check_queue(device, fault))
        return 1;
    if (device->visitor)
        return fault_set(fault, FAULT_UNKNOWN_HOST, "Only the requests to devices can wait, and %s is none.",
                         device->address);
    if (resource_changes(request) && device_check_protected(device, fault))
        return 1;
    if (request->body_size > REQUEST_BODY_MAX)
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "A request that waits for its device has at most %d bytes.",
                         REQUEST_BODY_MAX);
    if (core->request_bytes + request->body_size > BYTES_MAX)
        return fault_set(fault, FAULT_QUEUE_FULL, "%zu bytes of requests wait for their devices, the limit is %u.",
                         core->request_bytes, BYTES_MAX);
    return 0;
}

int core_queue_request(struct core *core, struct device *device, const struct agent_resource *request, uint32_t ttl_ms,
                       core_done_fn done, void *arg, struct fault *fault, struct operation **op)
{
    struct agent_resource *copy;
    struct commit *commit;
    int r;

    if (check_request(core, device, request, fault))
        return 1;
    copy = resource_copy(request);
    if (!copy || commit_new(&commit, core, done, arg)) {
        free(copy);
        return -ENOMEM;
    }
    r = operation_new(op, device, "", OPERATION_REQUEST, "", ttl_ms, fault);
    if (r) {
        free(copy);
        commit_free(commit);
        return r;
    }
    copy->limit = REQUEST_BODY_MAX;
    (*op)->request = copy;
    request_enter(core, *op); /* its operation was made without */
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    (void)text_copy(commit->id, sizeof commit->id, (*op)->id);
    commit->settle = settle_request;
    batch_put_operation(commit->batch, *op);
    commit_submit(commit);
    return 0;
}
