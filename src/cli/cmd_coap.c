#include "base/base64.h"
#include "base/text.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/payload.h"
#include "cli/resource.h"

#include <stdlib.h>
#include <string.h>

/* Raw requests to a device, through the gateway and with its security context: what it answered, and nothing else. */

#define TYPE_SIZE 96

static const struct {
    const char *code, *name;
} codes[] = {
    /* RFC 7252 section 12.1.2, RFC 7959, RFC 8132, RFC 8516, RFC 8768 */
    {"2.01", "Created"},
    {"2.02", "Deleted"},
    {"2.03", "Valid"},
    {"2.04", "Changed"},
    {"2.05", "Content"},
    {"2.31", "Continue"},
    {"4.00", "Bad Request"},
    {"4.01", "Unauthorized"},
    {"4.02", "Bad Option"},
    {"4.03", "Forbidden"},
    {"4.04", "Not Found"},
    {"4.05", "Method Not Allowed"},
    {"4.06", "Not Acceptable"},
    {"4.08", "Request Entity Incomplete"},
    {"4.09", "Conflict"},
    {"4.12", "Precondition Failed"},
    {"4.13", "Request Entity Too Large"},
    {"4.15", "Unsupported Content-Format"},
    {"4.22", "Unprocessable Entity"},
    {"4.29", "Too Many Requests"},
    {"5.00", "Internal Server Error"},
    {"5.01", "Not Implemented"},
    {"5.02", "Bad Gateway"},
    {"5.03", "Service Unavailable"},
    {"5.04", "Gateway Timeout"},
    {"5.05", "Proxying Not Supported"},
    {"5.08", "Hop Limit Reached"},
};

static const char *name_of(const char *code)
{
    for (size_t i = 0; i < array_size(codes); i++)
        if (strcmp(codes[i].code, code) == 0)
            return codes[i].name;
    return "";
}

/* The answer of a device as it was before HTTP carried it. */
struct answer {
    const char *code;
    char type[TYPE_SIZE]; /* empty: none */
    json_t *options;
    const void *payload;
    size_t size;
};

static void add_option(struct answer *answer, const struct client_reply *reply, const char *header, const char *option,
                       const char *prefix)
{
    char value[256];
    size_t n = strlen(prefix);

    if (client_header(reply, header, value, sizeof value) && strncmp(value, prefix, n) == 0) {
        if (value[n] && value[strlen(value) - 1] == '"')
            value[strlen(value) - 1] = 0;
        (void)json_object_set_new(answer->options, option, json_string(value + n));
    }
}

/* Location has the route in front of what the device said. */
static void add_location(struct answer *answer, const struct client_reply *reply)
{
    const char *at = strstr(reply->location, "/resources/");

    if (at)
        (void)json_object_set_new(answer->options, "location", json_string(at + strlen("/resources")));
}

/* Without a Content-Format an error has words for people, which the gateway puts into a problem. */
static void take_words(struct answer *answer, const struct client_reply *reply)
{
    const char *detail = view_string(reply->json, "detail"), *words = strstr(detail, answer->code);

    words = words ? strstr(words, ": ") : NULL;
    answer->payload = words ? words + 2 : "";
    answer->size = words ? strlen(words + 2) : 0;
}

static void read_answer(struct answer *answer, const struct client_reply *reply)
{
    *answer = (struct answer){.code = reply->coap_code,
                              .options = json_object(),
                              .payload = buffer_text(&reply->body),
                              .size = reply->body.size};
    if (strcmp(reply->content_type, "application/problem+json") == 0)
        take_words(answer, reply);
    else if (client_header(reply, "Content-Type", answer->type, sizeof answer->type))
        (void)json_object_set_new(answer->options, "content_format", json_string(answer->type));
    add_option(answer, reply, "ETag", "etag", "\"");
    add_option(answer, reply, "Cache-Control", "max_age", "max-age=");
    add_option(answer, reply, "Retry-After", "max_age", "");
    add_location(answer, reply);
}

static json_t *payload_json(const struct answer *answer)
{
    cleanup_free char *encoded = NULL;

    if (text_is_utf8(answer->payload, answer->size))
        return json_pack("{s:s%}", "payload", answer->payload, answer->size);
    encoded = base64_encode(answer->payload, answer->size);
    return json_pack("{s:s?}", "payload_base64", encoded);
}

static void print_json(struct cli *cli, const struct answer *answer, int64_t took_ms)
{
    cleanup_json json_t *all = json_pack("{s:s, s:s, s:I, s:O, s:I}", "code", answer->code, "name",
                                         name_of(answer->code), "took_ms", (json_int_t)took_ms, "options",
                                         answer->options, "payload_size", (json_int_t)answer->size),
                        *payload = payload_json(answer);

    (void)json_object_update(all, payload);
    cli->writer->object(cli->writer, &view_status, all);
}

static void print_text(struct cli *cli, const struct answer *answer, int64_t took_ms)
{
    static const struct {
        const char *member, *title;
    } options[] = {
        {"content_format", "Content-Format"}, {"etag", "ETag"}, {"max_age", "Max-Age"}, {"location", "Location-Path"}};
    enum colour colour = answer->code[0] == '2' ? COLOUR_GREEN : COLOUR_RED;
    const char *kind = payload_kind(answer->type, -1, answer->payload, answer->size);

    (void)fprintf(cli->out, "%s%s %s%s, %lld ms\n", display_colour(colour, cli->colour_out), answer->code,
                  name_of(answer->code), display_colour_end(colour, cli->colour_out), (long long)took_ms);
    for (size_t i = 0; i < array_size(options); i++) {
        const char *value = view_string(answer->options, options[i].member);

        if (!*value)
            continue;
        (void)fprintf(cli->out, "  %s: ", options[i].title);
        display_put(cli->out, value, strlen(value), false);
        (void)fputc('\n', cli->out);
    }
    if (answer->size == 0)
        return;
    (void)fprintf(cli->out, "  Payload: %zu bytes, %s\n", answer->size, kind);
    payload_print(cli->out, kind, answer->payload, answer->size, 4);
}

static int show(struct cli *cli, const struct arguments *args, const struct client_reply *reply, int64_t took_ms)
{
    const char *output = arguments_value(args, "output");
    struct answer answer;
    int rc = CLI_OK;

    read_answer(&answer, reply);
    if (cli->style == CLI_STYLE_JSON)
        print_json(cli, &answer, took_ms);
    else
        print_text(cli, &answer, took_ms);
    json_decref(answer.options);
    if (output)
        rc = resource_write_file(cli, output, &reply->body);
    return rc || reply->coap_code[0] == '2' ? rc : CLI_FAILED;
}

/* A number is a Content-Format: application/coap-payload;cf=N (RFC 8075 section 6.2). */
static const char *type_of(const struct arguments *args, const char *option, const char *otherwise, char out[TYPE_SIZE])
{
    const char *value = arguments_value(args, option);
    int64_t number;

    if (!value || !text_parse_int(value, 0, UINT16_MAX, &number))
        return value ? value : otherwise;
    (void)snprintf(out, TYPE_SIZE, "application/coap-payload;cf=%lld", (long long)number);
    return out;
}

static int call(struct cli *cli, const struct arguments *args, struct client_request *request)
{
    cleanup_free char *path = resource_path(args);
    cleanup_reply struct client_reply reply = {0};
    char accept[TYPE_SIZE], type[TYPE_SIZE];
    int64_t begin = clock_monotonic_ms(clock_system());
    int error;

    request->path = path;
    request->once = true;
    request->asks_device = true;
    request->accept = type_of(args, "accept", "*/*", accept);
    request->body_type = type_of(args, "type", request->body_type, type);
    request->wait_s = (unsigned)(arguments_duration(args, "wait", 0) / 1000);
    error = gateway_try(cli, request, &reply);
    if (error)
        return gateway_explain(cli, error);
    if (!*reply.coap_code)
        return resource_refuse(cli, request, &reply);
    return show(cli, args, &reply, clock_monotonic_ms(clock_system()) - begin);
}

static int call_with_body(struct cli *cli, const struct arguments *args, const char *method)
{
    const char *payload = arguments_value(args, "payload");
    cleanup_buffer struct buffer body = {0};
    struct client_request request = {.method = method};
    int rc;

    if (payload && args->words[2])
        return cli_error(cli, CLI_USAGE, NULL, "a file and --payload exclude each other");
    rc = resource_read_body(cli, args, args->words[2], &body, &request);
    if (rc)
        return rc;
    if (payload) {
        request.raw = payload;
        request.raw_size = strlen(payload);
        request.body_type = "text/plain;charset=utf-8";
    }
    return call(cli, args, &request);
}

int coap_get(struct cli *cli, const struct arguments *args)
{
    return call(cli, args, &(struct client_request){.method = "GET", .cache = "no-cache"});
}

int coap_put(struct cli *cli, const struct arguments *args)
{
    return call_with_body(cli, args, "PUT");
}

int coap_post(struct cli *cli, const struct arguments *args)
{
    return call_with_body(cli, args, "POST");
}

int coap_patch(struct cli *cli, const struct arguments *args)
{
    return call_with_body(cli, args, "PATCH");
}

int coap_delete(struct cli *cli, const struct arguments *args)
{
    return call(cli, args, &(struct client_request){.method = "DELETE"});
}

static void show_notification(struct cli *cli, const json_t *data)
{
    const char *text = view_string(data, "payload"), *base64 = view_string(data, "payload_base64"),
               *code = view_string(data, "code"), *kind;
    const json_t *format = json_object_get(data, "content_format");
    int number = json_is_integer(format) ? (int)json_integer_value(format) : -1;
    size_t size = *base64 ? strlen(base64) : strlen(text);
    cleanup_free uint8_t *bytes = malloc(size + 1);

    if (!bytes || (*base64 && !base64_decode(base64, strlen(base64), bytes, &size)))
        return;
    if (!*base64)
        memcpy(bytes, text, size + 1);
    kind = payload_kind(NULL, number, bytes, size);
    (void)fprintf(cli->out, "%.24s %.4s %s\n", view_string(data, "time"), code, name_of(code));
    if (number >= 0)
        (void)fprintf(cli->out, "  Content-Format: %d\n", number);
    payload_print(cli->out, kind, bytes, size, 4);
}

int coap_observe(struct cli *cli, const struct arguments *args)
{
    return resource_follow(cli, args, show_notification);
}
