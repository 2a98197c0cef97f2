#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

/* Groups, links and observations. */

static int show_list(struct cli *cli, char *path, const struct view *view)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_get(cli, path, &list);

    if (!rc)
        cli->writer->list(cli->writer, view, list);
    return rc;
}

int group_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return show_list(cli, client_path("/v1/groups"), &view_group);
}

int group_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *group = NULL;
    int rc = gateway_get(cli, client_path("/v1/groups/%s", args->words[0]), &group);

    if (!rc)
        cli->writer->object(cli->writer, &view_group, group);
    return rc;
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
    cleanup_free char *path = client_path("/v1/groups/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("Group %s was set.", args->words[0]);
    cleanup_json json_t *body = json_pack("{s:o}", "observe", group_observed(args)), *group = NULL;
    int rc = gateway_call(cli, &(struct client_request){.method = "PUT", .path = path, .body = body}, &group);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_group, group, sentence);
    return rc;
}

int group_remove(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/groups/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("The settings of group %s were removed.", args->words[0]);
    int rc = gateway_call(cli, &(struct client_request){.method = "DELETE", .path = path}, NULL);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_group, NULL, sentence);
    return rc;
}

int resource_list(struct cli *cli, const struct arguments *args)
{
    return show_list(cli, client_path("/v1/devices/%s/resources", args->words[0]), &view_link);
}

int observation_list(struct cli *cli, const struct arguments *args)
{
    return show_list(cli, client_path("/v1/devices/%s/observations", args->words[0]), &view_observation);
}
