#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

#define DEFAULT_LIMIT 100

int operation_list(struct cli *cli, const struct arguments *args)
{
    static const char *const filters[] = {"device", "container", "state"};
    char *path = client_path("/v1/operations");
    cleanup_json json_t *list = NULL;
    int64_t limit = DEFAULT_LIMIT;
    int rc = arguments_integer(cli, args, "limit", 1, 1000000, &limit);

    for (size_t i = 0; path && i < array_size(filters); i++)
        if (arguments_value(args, filters[i]))
            client_add_query(&path, filters[i], arguments_value(args, filters[i]));
    if (rc) {
        free(path);
        return rc;
    }
    rc = gateway_list(cli, path, limit, &list);
    if (!rc)
        cli->writer->list(cli->writer, &view_operation, list);
    return rc;
}

int operation_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *operation = NULL;
    int rc = gateway_get(cli, client_path("/v1/operations/%s", args->words[0]), &operation);

    if (!rc)
        cli->writer->object(cli->writer, &view_operation, operation);
    return rc;
}

int operation_cancel(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/operations/%s/cancel", args->words[0]), *sentence = NULL;
    struct client_request request = {.method = "POST", .path = path};
    cleanup_json json_t *operation = NULL;
    int rc = gateway_call(cli, &request, &operation);

    if (rc)
        return rc;
    sentence =
        wait_sentence("Operation %s %s.", args->words[0],
                      wait_has_ended(operation) ? "was cancelled" : "will be cancelled as soon as its device answers");
    if (sentence)
        cli->writer->outcome(cli->writer, &view_operation, operation, sentence);
    return CLI_OK;
}

/* "deploy counter on box-1" */
static char *title_of(const json_t *operation)
{
    const char *container = view_string(operation, "container");

    return wait_sentence("%s%s%s on %s", view_string(operation, "kind"), *container ? " " : "", container,
                         view_string(operation, "device"));
}

static void print_change(struct cli *cli, const json_t *operation)
{
    const char *step = view_string(operation, "step");
    cleanup_free char *title = title_of(operation);
    cleanup_free char *line = NULL;

    if (cli->style != CLI_STYLE_TEXT || wait_has_ended(operation))
        return;
    line = wait_sentence("%s: %s%s%s", title ? title : "", view_string(operation, "state"), *step ? ", " : "", step);
    if (line)
        cli->writer->outcome(cli->writer, &view_operation, operation, line);
    (void)fflush(cli->out);
}

static int watch_one(struct cli *cli, const json_t *operation, int64_t limit_ms)
{
    cleanup_json json_t *ended = NULL;
    cleanup_free char *title = title_of(operation);
    cleanup_free char *done = wait_sentence("%s: succeeded", title ? title : "");
    int rc = wait_follow(cli, json_incref((json_t *)operation), title ? title : "", limit_ms, print_change, &ended);

    return rc ? rc : wait_report(cli, ended, title ? title : "", done ? done : "");
}

/* Newest first from the gateway, so the oldest is the last one. */
static int watch_state(struct cli *cli, const char *device, const char *state, json_t *to)
{
    char *path = client_path("/v1/operations");
    cleanup_json json_t *list = NULL;
    int rc;

    client_add_query(&path, "state", state);
    if (device)
        client_add_query(&path, "device", device);
    rc = gateway_list(cli, path, 0, &list);
    for (size_t i = json_array_size(json_object_get(list, "items")); !rc && i; i--)
        (void)json_array_append(to, json_array_get(json_object_get(list, "items"), i - 1));
    return rc;
}

static int watch_all(struct cli *cli, const char *device, int64_t limit_ms)
{
    cleanup_json json_t *operations = json_array();
    json_t *operation;
    int rc = watch_state(cli, device, "running", operations), worst = CLI_OK;
    size_t i;

    if (!rc)
        rc = watch_state(cli, device, "queued", operations);
    if (rc)
        return rc;
    json_array_foreach(operations, i, operation)
    {
        rc = watch_one(cli, operation, limit_ms);
        if (rc == CLI_INTERRUPTED || rc == CLI_UNREACHABLE)
            return rc;
        worst = worst ? worst : rc;
    }
    if (json_array_size(operations) == 0 && cli->style == CLI_STYLE_TEXT)
        (void)fprintf(cli->out, "No unfinished operations.\n");
    return worst;
}

int operation_watch(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *operation = NULL;
    int64_t limit_ms = arguments_duration(args, "wait", -1);
    int rc;

    if (args->word_count == 0)
        return watch_all(cli, arguments_value(args, "device"), limit_ms);
    rc = gateway_get(cli, client_path("/v1/operations/%s", args->words[0]), &operation);
    return rc ? rc : watch_one(cli, operation, limit_ms);
}
