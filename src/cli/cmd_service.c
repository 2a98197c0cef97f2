#include "cli/describe.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#define FILE_MAX (1 << 20)

int service_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/services"), &view_service);
}

int service_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/services/%s", args->words[0]), &view_service);
}

int service_set(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = NULL;
    int rc = describe_read_json(cli, args->words[1], FILE_MAX, &body);

    if (rc)
        return rc;
    return gateway_change(cli, "PUT", client_path("/v1/services/%s", args->words[0]), body, &view_service,
                          wait_sentence("Service %s was set.", args->words[0]));
}

int service_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/services/%s", args->words[0]), NULL, &view_service,
                          wait_sentence("Service %s was removed; its containers go.", args->words[0]));
}
