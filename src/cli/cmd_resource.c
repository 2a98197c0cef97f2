#include "base/text.h"
#include "cli/describe.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/resource.h"
#include "cli/sse.h"
#include "cli/wait.h"

#include <errno.h>
#include <string.h>

#define BODY_LIMIT (64u << 20)

/* Bodies ---------------------------------------------------------------------------------------------------------- */

static const char *guess_type(const struct buffer *body)
{
    cleanup_json json_t *json = json_loadb(buffer_text(body), body->size, JSON_DECODE_ANY, NULL);

    if (json)
        return "application/json";
    return text_is_utf8(body->data, body->size) ? "text/plain;charset=utf-8" : "application/octet-stream";
}

int resource_read_body(struct cli *cli, const struct arguments *args, const char *file, struct buffer *body,
                       struct client_request *request)
{
    const char *type = arguments_value(args, "type");
    int rc = file ? describe_read_file(cli, file, BODY_LIMIT, body) : 0;

    if (rc)
        return rc;
    request->raw = buffer_text(body);
    request->raw_size = body->size;
    request->body_type = type ? type : body->size ? guess_type(body) : NULL;
    return 0;
}

int resource_write_file(struct cli *cli, const char *path, const struct buffer *body)
{
    FILE *file = fopen(path, "wbe");
    bool good = file && fwrite(buffer_text(body), 1, body->size, file) == body->size;

    if (file)
        good = fclose(file) == 0 && good;
    return good ? CLI_OK : cli_error(cli, CLI_INVALID, NULL, "%s cannot be written (%s)", path, strerror(errno));
}

/* What a device sent: unchanged for a program, without what a terminal could take for commands for people. */
static int write_body(struct cli *cli, const struct arguments *args, const struct buffer *body)
{
    const char *output = arguments_value(args, "output");
    bool text = text_is_utf8(body->data, body->size);

    if (output)
        return resource_write_file(cli, output, body);
    if (cli->out_terminal && !text)
        return cli_error(cli, CLI_USAGE, "Write it to a file with --output FILE.", "this is no text for a terminal");
    if (!cli->out_terminal) {
        (void)fwrite(buffer_text(body), 1, body->size, cli->out);
        return CLI_OK;
    }
    display_put(cli->out, buffer_text(body), body->size, true);
    if (body->size && body->data[body->size - 1] != '\n')
        (void)fputc('\n', cli->out);
    return CLI_OK;
}

/* An error of the device may have a body of its own, which is no problem of the gateway. */
int resource_refuse(struct cli *cli, const struct client_request *request, const struct client_reply *reply)
{
    if (cli->style == CLI_STYLE_TEXT && strstr(view_string(reply->json, "type"), "/device-asleep")) /* as options */
        (void)json_object_set_new(reply->json, "advice",
                                  json_string(strcmp(request->method, "GET") == 0
                                                  ? "Repeat it then, or take something older: --max-stale."
                                                  : "Repeat it then, or let it wait for that: --wait-for-device."));
    if (!*reply->coap_code || strcmp(reply->content_type, "application/problem+json") == 0)
        return gateway_refusal(cli, reply);
    (void)cli_error(cli, CLI_FAILED, NULL, "the device answered with the error %s", reply->coap_code);
    if (text_is_utf8(reply->body.data, reply->body.size)) {
        display_put(cli->err, buffer_text(&reply->body), reply->body.size, true);
        (void)fputc('\n', cli->err);
    }
    return CLI_FAILED;
}

static bool is_success(const struct client_reply *reply)
{
    return reply->status >= 200 && reply->status < 300;
}

/* Resources ------------------------------------------------------------------------------------------------------- */

/* As it is written, with what may not stand in a URL percent-encoded. */
char *resource_path(const struct arguments *args)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-%/?&=:@!$'()*+,;";
    cleanup_free char *base = client_path("/v1/devices/%s/resources", args->words[0]);
    const char *path = args->words[1];
    struct buffer b = {0};
    size_t size;

    buffer_printf(&b, "%s%s", base ? base : "", *path == '/' ? "" : "/");
    for (; *path; path++) {
        if (strchr(plain, *path))
            buffer_append_u8(&b, (uint8_t)*path);
        else
            buffer_printf(&b, "%%%02X", (unsigned char)*path);
    }
    return (char *)buffer_steal(&b, &size);
}

/* An operation that waits for the device. */
static int queue_request(struct cli *cli, const struct arguments *args, const struct client_request *request)
{
    struct submission submission = {
        .method = request->method,
        .path = resource_path(args),
        .raw = request->raw,
        .raw_size = request->raw_size,
        .body_type = request->body_type,
        .async = true,
        .detached = !arguments_given(args, "wait"),
        .doing = wait_sentence("%s %s of %s", request->method, args->words[1], args->words[0]),
        .done = wait_sentence("%s answered %s %s.", args->words[0], request->method, args->words[1]),
    };

    return wait_submit(cli, args, submission);
}

static int call_resource(struct cli *cli, const struct arguments *args, struct client_request *request)
{
    cleanup_free char *path = resource_path(args);
    cleanup_reply struct client_reply reply = {0};
    cleanup_free char *sentence = NULL;
    int error;

    if (arguments_given(args, "wait-for-device") || arguments_given(args, "ttl"))
        return queue_request(cli, args, request);
    request->path = path;
    request->once = true;
    request->asks_device = true;
    request->accept = arguments_value(args, "accept") ? arguments_value(args, "accept") : "*/*";
    request->wait_s = (unsigned)(arguments_duration(args, "wait", 0) / 1000);
    error = gateway_try(cli, request, &reply);
    if (error)
        return gateway_explain(cli, error);
    if (!is_success(&reply))
        return resource_refuse(cli, request, &reply);
    if (cli->out_terminal && *reply.cache_status)
        (void)fprintf(cli->err, "(%s)\n", reply.cache_status);
    if (reply.body.size || strcmp(request->method, "GET") == 0)
        return write_body(cli, args, &reply.body);
    sentence = wait_sentence("%s answered %s%s%s.", args->words[0], reply.coap_code, *reply.location ? " " : "",
                             reply.location);
    if (sentence)
        cli->writer->outcome(cli->writer, &view_device, NULL, sentence);
    return CLI_OK;
}

static int write_resource(struct cli *cli, const struct arguments *args, const char *method)
{
    cleanup_buffer struct buffer body = {0};
    struct client_request request = {.method = method};
    int rc = resource_read_body(cli, args, args->words[2], &body, &request);

    return rc ? rc : call_resource(cli, args, &request);
}

int resource_get(struct cli *cli, const struct arguments *args)
{
    const char *stale = arguments_value(args, "max-stale");
    char control[64] = "";

    if (arguments_given(args, "fresh"))
        (void)snprintf(control, sizeof control, "no-cache");
    else if (arguments_given(args, "max-stale") || arguments_given(args, "only-if-cached"))
        (void)snprintf(control, sizeof control, "%s%s%.10s%s", arguments_given(args, "max-stale") ? "max-stale" : "",
                       stale ? "=" : "", stale ? stale : "",
                       arguments_given(args, "only-if-cached")
                           ? arguments_given(args, "max-stale") ? ", only-if-cached" : "only-if-cached"
                           : "");
    return call_resource(cli, args, &(struct client_request){.method = "GET", .cache = *control ? control : NULL});
}

int resource_put(struct cli *cli, const struct arguments *args)
{
    return write_resource(cli, args, "PUT");
}

int resource_post(struct cli *cli, const struct arguments *args)
{
    return write_resource(cli, args, "POST");
}

int resource_patch(struct cli *cli, const struct arguments *args)
{
    return write_resource(cli, args, "PATCH");
}

int resource_delete(struct cli *cli, const struct arguments *args)
{
    return call_resource(cli, args, &(struct client_request){.method = "DELETE"});
}

/* Observing ------------------------------------------------------------------------------------------------------- */

struct watch {
    struct cli *cli;
    struct sse sse;
    void (*show)(struct cli *cli, const json_t *representation);
    int64_t left; /* representations that are still wanted; negative: all */
    int code;     /* of the end */
};

static void show_line(struct cli *cli, const json_t *data)
{
    const char *payload = view_string(data, "payload"), *base64 = view_string(data, "payload_base64");

    (void)fprintf(cli->out, "%.24s %.4s ", view_string(data, "time"), view_string(data, "code"));
    display_put(cli->out, *base64 ? base64 : payload, strlen(*base64 ? base64 : payload), false);
    (void)fputc('\n', cli->out);
}

static int end_of(struct cli *cli, const json_t *data)
{
    if (!*view_string(data, "type"))
        return CLI_OK;
    gateway_write_problem(cli, data, NULL, NULL);
    return gateway_exit_code(view_string(data, "type"), (long)json_integer_value(json_object_get(data, "status")));
}

static bool take_event(void *arg, const char *event, const char *text)
{
    struct watch *watch = arg;
    cleanup_json json_t *data = json_loads(text, 0, NULL);
    bool end = strcmp(event, "end") == 0;

    if (end)
        watch->code = end_of(watch->cli, data);
    else if (watch->cli->style == CLI_STYLE_JSON)
        (void)fprintf(watch->cli->out, "%s\n", text);
    else
        watch->show(watch->cli, data);
    (void)fflush(watch->cli->out);
    if (!end && watch->left > 0)
        watch->left--;
    return watch->left != 0;
}

int resource_follow(struct cli *cli, const struct arguments *args,
                    void (*show)(struct cli *cli, const json_t *representation))
{
    cleanup_free char *path = resource_path(args);
    cleanup_reply struct client_reply reply = {0};
    struct watch watch = {.cli = cli, .show = show, .left = -1, .code = CLI_OK};
    const struct client_request request = {.method = "GET",
                                           .path = path,
                                           .accept = "text/event-stream",
                                           .receive = sse_receive,
                                           .receive_arg = &watch.sse};
    int rc = arguments_integer(cli, args, "count", 1, INT32_MAX, &watch.left), error;

    if (rc)
        return rc;
    watch.sse.take = take_event;
    watch.sse.arg = &watch;
    error = gateway_try(cli, &request, &reply);
    sse_clear(&watch.sse);
    if (watch.left == 0)
        return CLI_OK;
    if (error)
        return gateway_explain(cli, error);
    return is_success(&reply) ? watch.code : resource_refuse(cli, &request, &reply);
}

int resource_observe(struct cli *cli, const struct arguments *args)
{
    return resource_follow(cli, args, show_line);
}

/* Shadows --------------------------------------------------------------------------------------------------------- */

static char *shadow_path(const struct arguments *args)
{
    return client_path(arguments_given(args, "reported") ? "/v1/devices/%s/shadow/reported"
                                                         : "/v1/devices/%s/shadow/desired",
                       args->words[0]);
}

static int call_shadow(struct cli *cli, struct client_request *request, struct client_reply *reply)
{
    int error = gateway_try(cli, request, reply);

    if (error)
        return gateway_explain(cli, error);
    return is_success(reply) ? 0 : gateway_refusal(cli, reply);
}

int shadow_get(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = shadow_path(args);
    cleanup_reply struct client_reply reply = {0};
    struct client_request request = {.method = "GET", .path = path, .accept = "*/*"};
    int rc = call_shadow(cli, &request, &reply);

    return rc ? rc : write_body(cli, args, &reply.body);
}

int shadow_set(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = shadow_path(args);
    cleanup_free char *sentence = wait_sentence("What is wished of %s was stored.", args->words[0]);
    cleanup_buffer struct buffer body = {0};
    cleanup_reply struct client_reply reply = {0};
    struct client_request request = {.method = "PUT", .path = path};
    int rc = resource_read_body(cli, args, args->words[1], &body, &request);

    if (!rc)
        rc = call_shadow(cli, &request, &reply);
    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_device, NULL, sentence);
    return rc;
}

int shadow_delete(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = shadow_path(args);
    cleanup_free char *sentence = wait_sentence("Nothing is wished of %s any more.", args->words[0]);
    cleanup_reply struct client_reply reply = {0};
    struct client_request request = {.method = "DELETE", .path = path};
    int rc = call_shadow(cli, &request, &reply);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_device, NULL, sentence);
    return rc;
}
