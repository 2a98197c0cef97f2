#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

/* Where the journal goes to. */

int sink_list(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_get(cli, client_path("/v1/sinks"), &list);

    (void)args;
    if (!rc)
        cli->writer->list(cli->writer, &view_sink, list);
    return rc;
}

int sink_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *sink = NULL;
    int rc = gateway_get(cli, client_path("/v1/sinks/%s", args->words[0]), &sink);

    if (!rc)
        cli->writer->object(cli->writer, &view_sink, sink);
    return rc;
}

/* A request, and what is said when it has worked. Takes both over. */
static int change(struct cli *cli, const char *method, char *path, const struct view *view, char *sentence)
{
    const struct client_request request = {.method = method, .path = path};
    cleanup_json json_t *json = NULL;
    int rc = path && sentence ? gateway_call(cli, &request, &json) : CLI_FAILED;

    if (!rc)
        cli->writer->outcome(cli->writer, view, json, sentence);
    free(path);
    free(sentence);
    return rc;
}

int sink_retry(struct cli *cli, const struct arguments *args)
{
    return change(cli, "POST", client_path("/v1/sinks/%s/retry", args->words[0]), &view_sink,
                  wait_sentence("%s is tried again now.", args->words[0]));
}

int sink_letters(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_get(cli, client_path("/v1/sinks/%s/dead-letters", args->words[0]), &list);

    if (!rc)
        cli->writer->list(cli->writer, &view_letter, list);
    return rc;
}

int sink_letter(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *letter = NULL;
    int rc = gateway_get(cli, client_path("/v1/sinks/%s/dead-letters/%s", args->words[0], args->words[1]), &letter);

    if (!rc)
        cli->writer->object(cli->writer, &view_letter, letter);
    return rc;
}

int sink_resend(struct cli *cli, const struct arguments *args)
{
    return change(cli, "POST", client_path("/v1/sinks/%s/dead-letters/%s/retry", args->words[0], args->words[1]),
                  &view_letter, wait_sentence("Dead letter %s is sent again.", args->words[1]));
}

int sink_drop(struct cli *cli, const struct arguments *args)
{
    return change(cli, "DELETE", client_path("/v1/sinks/%s/dead-letters/%s", args->words[0], args->words[1]),
                  &view_letter, wait_sentence("Dead letter %s was removed.", args->words[1]));
}
