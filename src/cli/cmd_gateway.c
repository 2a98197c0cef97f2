#include "config.h"

#include "cli/gateway.h"
#include "cli/handlers.h"

#include <string.h>

/* A gateway that is not well says so with 503 and an object like that of one that is. */
static int get_health(struct cli *cli, json_t **out, bool *failing)
{
    const struct client_request request = {.method = "GET", .path = "/healthz"};
    cleanup_reply struct client_reply reply = {0};
    int error = gateway_try(cli, &request, &reply);

    if (error)
        return gateway_explain(cli, error);
    *failing = reply.status == 503 && *view_string(reply.json, "status");
    if ((reply.status != 200 && !*failing) || !json_is_object(reply.json) || json_object_get(reply.json, "type"))
        return gateway_refusal(cli, &reply);
    *out = steal_pointer(reply.json);
    return 0;
}

int gateway_status(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *health = NULL, *info = NULL, *all = json_object();
    bool failing = false;
    int rc = get_health(cli, &health, &failing);

    (void)args;
    if (!rc)
        rc = gateway_get(cli, client_path("/v1/info"), &info);
    if (rc)
        return rc;
    (void)json_object_update(all, health);
    (void)json_object_update(all, info);
    cli->writer->object(cli->writer, &view_status, all);
    if (!failing)
        return CLI_OK;
    return cli_error(cli, CLI_GATEWAY, "Look at the gateway's log (journalctl -u tcgwd) and at its disk.",
                     "the gateway is not well: %s", view_string(health, "detail"));
}

int gateway_key(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *key = NULL;
    int rc = gateway_get(cli, client_path("/v1/key"), &key);
    const char *pem = view_string(key, "pem");

    if (rc)
        return rc;
    if (cli->style == CLI_STYLE_TEXT && arguments_given(args, "pem"))
        display_put(cli->out, pem, strlen(pem), true);
    else
        cli->writer->object(cli->writer, &view_key, key);
    if (cli->style == CLI_STYLE_TEXT && !arguments_given(args, "pem")) {
        (void)fputc('\n', cli->out);
        display_put(cli->out, pem, strlen(pem), true);
    }
    return CLI_OK;
}

int gateway_version(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *version = json_pack("{s:s}", "tcgw", PACKAGE_VERSION);

    (void)args;
    cli->writer->outcome(cli->writer, &view_version, version, "tcgw " PACKAGE_VERSION);
    return CLI_OK;
}

int gateway_completion(struct cli *cli, const struct arguments *args)
{
    if (completion_print(cli->out, args->words[0]))
        return CLI_OK;
    return cli_error(cli, CLI_USAGE, NULL, "there is no completion for '%s', only for bash, zsh and fish",
                     args->words[0]);
}

int gateway_help(struct cli *cli, const struct arguments *args)
{
    char words[128] = "";

    if (arguments_given(args, "roff")) {
        help_print_roff(cli->out);
        return CLI_OK;
    }
    if (args->word_count)
        (void)snprintf(words, sizeof words, "%s%s%s", args->words[0], args->word_count > 1 ? " " : "",
                       args->word_count > 1 ? args->words[1] : "");
    return help_print_for(cli, words);
}
