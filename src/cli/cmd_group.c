#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

/* Groups, links and observations. */

int group_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/groups"), &view_group);
}

int group_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/groups/%s", args->words[0]), &view_group);
}

json_t *group_observed(const struct arguments *args)
{
    json_t *paths = json_array();
    size_t next = 0;

    for (const char *path; (path = arguments_next(args, "observe", &next));)
        (void)json_array_append_new(paths, json_string(path));
    return paths;
}

int group_set(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = json_pack("{s:o}", "observe", group_observed(args));

    return gateway_change(cli, "PUT", client_path("/v1/groups/%s", args->words[0]), body, &view_group,
                          wait_sentence("Group %s was set.", args->words[0]));
}

int group_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/groups/%s", args->words[0]), NULL, &view_group,
                          wait_sentence("The settings of group %s were removed.", args->words[0]));
}

int resource_list(struct cli *cli, const struct arguments *args)
{
    return gateway_show_list(cli, client_path("/v1/devices/%s/resources", args->words[0]), &view_link);
}

int observation_list(struct cli *cli, const struct arguments *args)
{
    return gateway_show_list(cli, client_path("/v1/devices/%s/observations", args->words[0]), &view_observation);
}
