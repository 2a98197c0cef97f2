#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

/* When something goes wrong, and before it does: emergency stops, quarantine, budgets. */

static json_t *reason_body(const struct arguments *args)
{
    json_t *body = json_object();

    if (arguments_given(args, "reason"))
        (void)json_object_set_new(body, "reason", json_string(arguments_value(args, "reason")));
    return body;
}

int container_stop_everywhere(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = reason_body(args);

    return gateway_change(cli, "PUT", client_path("/v1/emergency-stops/%s", args->words[0]), body, &view_emergency,
                          wait_sentence("What %s names is stopped everywhere.", args->words[0]));
}

int emergency_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/emergency-stops"), &view_emergency);
}

int emergency_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/emergency-stops/%s", args->words[0]), &view_emergency);
}

int emergency_lift(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/emergency-stops/%s", args->words[0]), NULL, &view_emergency,
                          wait_sentence("The emergency stop %s was lifted.", args->words[0]));
}

int device_quarantine(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = reason_body(args);

    return gateway_change(cli, "PUT", client_path("/v1/quarantines/%s", args->words[0]), body, &view_quarantine,
                          wait_sentence("Device %s is in quarantine.", args->words[0]));
}

int device_release(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/quarantines/%s", args->words[0]), NULL, &view_quarantine,
                          wait_sentence("Device %s was released from quarantine.", args->words[0]));
}

int quarantine_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/quarantines"), &view_quarantine);
}

int quarantine_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/quarantines/%s", args->words[0]), &view_quarantine);
}

int budget_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/budgets"), &view_budget);
}

int budget_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/budgets/%s", args->words[0]), &view_budget);
}

/* The options are for the device, or for a container of it. */
static int add_limits(struct cli *cli, const struct arguments *args, json_t *limits)
{
    static const char *const names[] = {"requests", "bytes", "wakeups"};
    int64_t number = 0;
    int rc = 0;

    for (size_t i = 0; i < array_size(names) && !rc; i++) {
        if (!arguments_given(args, names[i]))
            continue;
        rc = arguments_integer(cli, args, names[i], 0, INT64_MAX, &number);
        (void)json_object_set_new(limits, names[i], json_integer(number));
    }
    return rc;
}

int budget_set(struct cli *cli, const struct arguments *args)
{
    const char *uid = arguments_value(args, "container");
    cleanup_json json_t *body = json_object(), *limits = json_object();
    int rc = add_limits(cli, args, limits);

    if (rc)
        return rc;
    if (uid)
        (void)json_object_set_new(body, "containers", json_pack("{s:O}", uid, limits));
    else
        (void)json_object_update(body, limits);
    return gateway_change(cli, "PUT", client_path("/v1/budgets/%s", args->words[0]), body, &view_budget,
                          wait_sentence("The budget of %s was set.", args->words[0]));
}

int budget_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/budgets/%s", args->words[0]), NULL, &view_budget,
                          wait_sentence("Device %s has the budgets of the configuration.", args->words[0]));
}
