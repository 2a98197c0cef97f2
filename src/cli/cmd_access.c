#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

/* Who may do what: tokens, grants and tenants. */

int access_whoami(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show(cli, client_path("/v1/whoami"), &view_caller);
}

static void set_text(json_t *body, const char *name, const char *value)
{
    if (value)
        (void)json_object_set_new(body, name, json_string(value));
}

/* Tokens ----------------------------------------------------------------------------------------------------------- */

int token_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/tokens"), &view_token);
}

int token_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/tokens/%s", args->words[0]), &view_token);
}

int token_add(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = json_pack("{s:s, s:s}", "name", args->words[0], "role", args->words[1]), *made = NULL;
    const struct client_request request = {.method = "POST", .path = "/v1/tokens", .body = body, .once = true};
    int64_t ms = arguments_duration(args, "expires", 0);
    int rc;

    set_text(body, "tenant", arguments_value(args, "tenant"));
    if (arguments_given(args, "no-expiry"))
        (void)json_object_set_new(body, "expires_in", json_null());
    else if (ms)
        (void)json_object_set_new(body, "expires_in", json_integer(ms / 1000));
    rc = gateway_call(cli, &request, &made);
    if (rc || !made)
        return rc;
    if (cli->style == CLI_STYLE_JSON) {
        cli->writer->object(cli->writer, &view_token, made);
        return CLI_OK;
    }
    (void)fprintf(cli->out, "%s\n", view_string(made, "token"));
    if (cli->style == CLI_STYLE_TEXT)
        (void)fputs("Keep it: nobody can show it again. Use it with --token-file, or as Authorization: Bearer ...\n",
                    cli->err);
    return CLI_OK;
}

int token_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/tokens/%s", args->words[0]), NULL, &view_token,
                          wait_sentence("Token %s is good no more.", args->words[0]));
}

/* Grants ----------------------------------------------------------------------------------------------------------- */

int grant_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/grants"), &view_grant);
}

int grant_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/grants/%s", args->words[0]), &view_grant);
}

int grant_set(struct cli *cli, const struct arguments *args)
{
    static const char *const holders[] = {"user", "group", "certificate", "fingerprint", "sink", "claim"};
    cleanup_json json_t *body = json_pack("{s:s}", "role", args->words[1]);

    for (size_t i = 0; i < array_size(holders); i++)
        set_text(body, holders[i], arguments_value(args, holders[i]));
    set_text(body, "value", arguments_value(args, "value"));
    set_text(body, "tenant", arguments_value(args, "tenant"));
    return gateway_change(cli, "PUT", client_path("/v1/grants/%s", args->words[0]), body, &view_grant,
                          wait_sentence("Grant %s was set.", args->words[0]));
}

int grant_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/grants/%s", args->words[0]), NULL, &view_grant,
                          wait_sentence("Grant %s was removed.", args->words[0]));
}

/* Tenants ---------------------------------------------------------------------------------------------------------- */

int tenant_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/tenants"), &view_tenant);
}

int tenant_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/tenants/%s", args->words[0]), &view_tenant);
}

int tenant_set(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = json_pack("{s:o*, s:o*}", "groups", arguments_values(args, "group"), "artifacts",
                                          arguments_values(args, "artifact"));

    return gateway_change(cli, "PUT", client_path("/v1/tenants/%s", args->words[0]), body, &view_tenant,
                          wait_sentence("Tenant %s was set.", args->words[0]));
}

int tenant_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/tenants/%s", args->words[0]), NULL, &view_tenant,
                          wait_sentence("Tenant %s was removed.", args->words[0]));
}
