#include "base/base64.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/payload.h"
#include "cli/resource.h"

#include <string.h>

/* What a device and the gateway say to each other, and how much the gateway writes to its log. */

#define POLL_MS 500
#define DEFAULT_MS 60000

static int begin(struct cli *cli, const struct arguments *args)
{
    int64_t seconds = (arguments_duration(args, "for", DEFAULT_MS) + 999) / 1000;
    cleanup_json json_t *body = json_pack("{s:I}", "seconds", (json_int_t)seconds);
    cleanup_free char *path = client_path("/v1/devices/%s/trace", args->words[0]);
    const struct client_request request = {.method = "POST", .path = path, .body = body};

    return gateway_call(cli, &request, NULL);
}

/* It is not kept for anybody else; where that fails it goes by itself. */
static void end(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/devices/%s/trace", args->words[0]);
    const struct client_request request = {.method = "DELETE", .path = path};
    cleanup_reply struct client_reply reply = {0};

    if (gateway_try(cli, &request, &reply))
        return;
}

static void show_option(struct cli *cli, const json_t *option)
{
    const json_t *value = json_object_get(option, "value");
    const char *name = view_string(option, "name");

    if (*name)
        (void)fprintf(cli->out, "  %s: ", name);
    else
        (void)fprintf(cli->out, "  %lld: ", (long long)json_integer_value(json_object_get(option, "number")));
    if (json_is_integer(value))
        (void)fprintf(cli->out, "%lld", (long long)json_integer_value(value));
    else
        display_put(cli->out, json_string_value(value), strlen(json_string_value(value)), false);
    (void)fputc('\n', cli->out);
}

static int content_format(const json_t *options)
{
    const json_t *option;
    size_t i;

    json_array_foreach(options, i, option)
    {
        if (json_integer_value(json_object_get(option, "number")) == 12)
            return (int)json_integer_value(json_object_get(option, "value"));
    }
    return -1;
}

static void show_payload(struct cli *cli, const json_t *message)
{
    const char *text = view_string(message, "payload"), *base64 = view_string(message, "payload_base64"), *kind;
    size_t size = *base64 ? strlen(base64) : strlen(text);
    cleanup_free uint8_t *bytes = malloc(size + 1);

    if (size == 0 || !bytes || (*base64 && !base64_decode(base64, strlen(base64), bytes, &size)))
        return;
    if (!*base64)
        memcpy(bytes, text, size + 1);
    kind = payload_kind(NULL, content_format(json_object_get(message, "options")), bytes, size);
    payload_print(cli->out, kind, bytes, size, 4);
}

static void show_message(struct cli *cli, const json_t *message)
{
    const json_t *options = json_object_get(message, "options"), *option;
    bool sent = strcmp(view_string(message, "direction"), "sent") == 0;
    size_t i;

    (void)fprintf(
        cli->out, "%.24s %s %.3s %.7s [%.16s] %lld bytes, %.8s\n", view_string(message, "time"), sent ? "->" : "<-",
        view_string(message, "type"), view_string(message, "code"), view_string(message, "token"),
        (long long)json_integer_value(json_object_get(message, "payload_size")), view_string(message, "protection"));
    json_array_foreach(options, i, option)
    {
        show_option(cli, option);
    }
    show_payload(cli, message);
}

static int64_t show_page(struct cli *cli, const json_t *trace, int64_t after)
{
    const json_t *message;
    size_t i;

    json_array_foreach(json_object_get(trace, "items"), i, message)
    {
        after = json_integer_value(json_object_get(message, "number"));
        if (cli->style == CLI_STYLE_TEXT) {
            show_message(cli, message);
        } else {
            (void)json_dumpf(message, cli->out, JSON_COMPACT);
            (void)fputc('\n', cli->out);
        }
    }
    (void)fflush(cli->out);
    return after;
}

/* 0 or a cli_exit code; *out is NULL after Ctrl-C. */
static int get_page(struct cli *cli, const struct arguments *args, int64_t after, json_t **out)
{
    char *path = client_path("/v1/devices/%s/trace", args->words[0]), number[24];
    struct client_request request = {.method = "GET"};
    cleanup_reply struct client_reply reply = {0};
    int error;

    (void)snprintf(number, sizeof number, "%lld", (long long)after);
    client_add_query(&path, "after", number);
    request.path = path;
    error = gateway_try(cli, &request, &reply);
    free(path);
    if (error)
        return error == CLIENT_E_INTERRUPTED ? 0 : gateway_explain(cli, error);
    if (reply.status != 200)
        return gateway_refusal(cli, &reply);
    *out = steal_pointer(reply.json);
    return 0;
}

/* Follows a trace until its end or Ctrl-C, which ends no more than that; without `show` nothing is written. */
static int follow(struct cli *cli, const struct arguments *args, bool show)
{
    int64_t after = show ? 0 : INT64_MAX;
    int rc = 0;

    for (;;) {
        cleanup_json json_t *trace = NULL;
        bool active, more;

        if (!cli_interrupted)
            rc = get_page(cli, args, after, &trace);
        if (rc || !trace)
            break;
        active = json_is_true(json_object_get(trace, "active"));
        more = json_array_size(json_object_get(trace, "items")) > 0;
        after = show_page(cli, trace, after);
        if (!active && !more)
            break;
        if (!more)
            cli_sleep_ms(POLL_MS);
    }
    cli_interrupted = 0;
    return rc;
}

int device_trace(struct cli *cli, const struct arguments *args)
{
    int rc = begin(cli, args);

    if (rc)
        return rc;
    rc = follow(cli, args, true);
    end(cli, args);
    return rc;
}

int device_pcap(struct cli *cli, const struct arguments *args)
{
    const char *output = arguments_value(args, "output");
    cleanup_free char *path = client_path("/v1/devices/%s/trace/pcap", args->words[0]);
    const struct client_request request = {.method = "GET", .path = path, .accept = "application/vnd.tcpdump.pcap"};
    cleanup_reply struct client_reply reply = {0};
    int rc;

    if (!output)
        return cli_error(cli, CLI_USAGE, "Give one with --output FILE.", "a capture needs a file to go to");
    rc = begin(cli, args);
    if (!rc)
        rc = follow(cli, args, false);
    if (rc)
        return rc;
    rc = gateway_try(cli, &request, &reply);
    if (rc)
        return gateway_explain(cli, rc);
    end(cli, args);
    return reply.status == 200 ? resource_write_file(cli, output, &reply.body) : gateway_refusal(cli, &reply);
}

/* Log levels ------------------------------------------------------------------------------------------------------- */

static void show_levels(struct cli *cli, const json_t *levels)
{
    const char *standard = view_string(levels, "default"), *name;
    json_t *level;

    if (cli->style != CLI_STYLE_TEXT) {
        (void)json_dumpf(levels, cli->out, JSON_COMPACT);
        (void)fputc('\n', cli->out);
        return;
    }
    json_object_foreach(json_object_get(levels, "parts"), name, level)
    {
        (void)fprintf(cli->out, "%-10s %s%s\n", name, json_is_string(level) ? json_string_value(level) : standard,
                      json_is_string(level) ? "" : " (default)");
    }
}

static int set_level(struct cli *cli, const struct arguments *args, json_t *levels)
{
    const char *level = args->words[1];
    cleanup_json json_t *body = json_pack("{s:O}", "parts", json_object_get(levels, "parts")), *answer = NULL;
    const struct client_request request = {.method = "PUT", .path = "/v1/log-levels", .body = body};
    int rc;

    (void)json_object_set_new(json_object_get(body, "parts"), args->words[0],
                              strcmp(level, "default") == 0 ? json_null() : json_string(level));
    rc = gateway_call(cli, &request, &answer);
    if (!rc)
        show_levels(cli, answer);
    return rc;
}

int gateway_log_level(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *levels = NULL;
    int rc;

    if (args->word_count == 1)
        return cli_error(cli, CLI_USAGE, "error, warning, info, debug or default", "which level shall '%s' have?",
                         args->words[0]);
    rc = gateway_get(cli, client_path("/v1/log-levels"), &levels);
    if (rc)
        return rc;
    if (args->word_count == 2)
        return set_level(cli, args, levels);
    show_levels(cli, levels);
    return CLI_OK;
}
