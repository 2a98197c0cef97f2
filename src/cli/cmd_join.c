#include "base/text.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

/* Agents that have no credentials and ask to join. */

#define MINUTES_MAX 1440

int join_open(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = NULL, *join = NULL;
    struct client_request request = {.method = "PUT", .path = "/v1/join"};
    cleanup_free char *sentence = NULL;
    int64_t minutes;
    int rc;

    if (!text_parse_int(args->words[0], 1, MINUTES_MAX, &minutes))
        return cli_error(cli, CLI_USAGE, NULL, "MINUTES is a whole number from 1 to %d, not '%s'", MINUTES_MAX,
                         args->words[0]);
    request.body = body = json_pack("{s:I}", "minutes", (json_int_t)minutes);
    rc = gateway_call(cli, &request, &join);
    sentence = wait_sentence("Agents may ask to join for %lld min; see tcgw join list.", (long long)minutes);
    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_join, join, sentence);
    return rc;
}

int join_close(struct cli *cli, const struct arguments *args)
{
    const struct client_request request = {.method = "DELETE", .path = "/v1/join"};
    int rc = gateway_call(cli, &request, NULL);

    (void)args;
    if (!rc)
        cli->writer->outcome(cli->writer, &view_join, NULL, "No further agents may ask to join.");
    return rc;
}

int join_list(struct cli *cli, const struct arguments *args)
{
    static const struct field closes = {"Closes", "closes_at", FIELD_TIME, false};
    cleanup_json json_t *join = NULL, *list = NULL;
    cleanup_free char *when = NULL;
    int rc = gateway_get(cli, client_path("/v1/join"), &join);

    (void)args;
    if (rc)
        return rc;
    when = view_text(&closes, join, clock_wall_ms(cli->clock), false);
    list = cli->style == CLI_STYLE_JSON ? json_incref(join)
                                        : json_pack("{s:O}", "items", json_object_get(join, "pending"));
    if (cli->style == CLI_STYLE_TEXT && json_is_true(json_object_get(join, "open")))
        (void)fprintf(cli->out, "Agents may ask to join; the window closes %s.\n", when ? when : "soon");
    else if (cli->style == CLI_STYLE_TEXT)
        (void)fputs("Agents may not ask to join.\n", cli->out);
    cli->writer->list(cli->writer, &view_join, list);
    return CLI_OK;
}

int join_approve(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/join/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("Device %s was added%s.", args->words[0],
                                                arguments_given(args, "allow-plain") ? "" : "; enrol it next");
    cleanup_json json_t *body = json_object(), *device = NULL;
    struct client_request request = {.method = "POST", .path = path, .body = body};
    const char *name = arguments_value(args, "name");
    int rc;

    if (name)
        (void)json_object_set_new(body, "name", json_string(name));
    if (arguments_given(args, "allow-plain"))
        (void)json_object_set_new(body, "allow_plain", json_true());
    device_add_groups(args, body);
    rc = gateway_call(cli, &request, &device);
    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_device, device, sentence);
    return rc;
}

int join_reject(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/join/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("%s was rejected.", args->words[0]);
    const struct client_request request = {.method = "DELETE", .path = path};
    int rc = gateway_call(cli, &request, NULL);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_join, NULL, sentence);
    return rc;
}
