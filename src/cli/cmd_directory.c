#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

int directory_list(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_list(cli, client_path("/v1/directory"), 0, &list);

    (void)args;
    if (!rc)
        cli->writer->list(cli->writer, &view_registration, list);
    return rc;
}

int directory_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *registration = NULL;
    int rc = gateway_get(cli, client_path("/v1/directory/%s", args->words[0]), &registration);

    if (!rc)
        cli->writer->object(cli->writer, &view_registration, registration);
    return rc;
}

int directory_remove(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/directory/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("Registration %s was removed.", args->words[0]);
    struct client_request request = {.method = "DELETE", .path = path};
    int rc = gateway_call(cli, &request, NULL);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_registration, NULL, sentence);
    return rc;
}
