#include "cli/describe.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#define FILE_MAX (1 << 20)

int service_list(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_get(cli, client_path("/v1/services"), &list);

    (void)args;
    if (!rc)
        cli->writer->list(cli->writer, &view_service, list);
    return rc;
}

int service_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *service = NULL;
    int rc = gateway_get(cli, client_path("/v1/services/%s", args->words[0]), &service);

    if (!rc)
        cli->writer->object(cli->writer, &view_service, service);
    return rc;
}

static int read_json(struct cli *cli, const char *file, json_t **out)
{
    cleanup_buffer struct buffer text = buffer_init(2 * FILE_MAX);
    int rc = describe_read_file(cli, file, FILE_MAX, &text);
    json_error_t error;

    if (rc)
        return rc;
    *out = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &error);
    if (*out)
        return 0;
    return cli_error(cli, CLI_USAGE, NULL, "%s is no JSON: line %d: %s", file, error.line, error.text);
}

int service_set(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/services/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("Service %s was set.", args->words[0]);
    cleanup_json json_t *body = NULL, *service = NULL;
    int rc = read_json(cli, args->words[1], &body);

    if (!rc)
        rc = gateway_call(cli, &(struct client_request){.method = "PUT", .path = path, .body = body}, &service);
    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_service, service, sentence);
    return rc;
}

int service_remove(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/services/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("Service %s was removed; its containers go.", args->words[0]);
    int rc = gateway_call(cli, &(struct client_request){.method = "DELETE", .path = path}, NULL);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_service, NULL, sentence);
    return rc;
}
