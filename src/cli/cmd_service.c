#include "cli/describe.h"
#include "cli/dry_run.h"
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

/* What the gateway would do with each container, as it would for a rollout to the service's devices. */
static int plan(struct cli *cli, const json_t *service)
{
    const json_t *container;
    int worst = 0;
    size_t i;

    json_array_foreach(json_object_get(service, "containers"), i, container)
    {
        cleanup_json json_t *spec =
            json_pack("{s:O?, s:O?, s:O*, s:O*, s:O*}", "container", json_object_get(container, "uid"), "devices",
                      json_object_get(service, "devices"), "artifact", json_object_get(container, "artifact"),
                      "release", json_object_get(container, "release"), "state", json_object_get(container, "state"));
        int rc = dry_run_check(cli, spec);

        worst = worst ? worst : rc;
    }
    return worst;
}

int service_set(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = NULL;
    int rc = describe_read_json(cli, args->words[1], FILE_MAX, &body);

    if (!rc && cli->dry_run)
        rc = plan(cli, body);
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
