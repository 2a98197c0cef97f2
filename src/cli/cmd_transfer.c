#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

/* Transfers to devices, and the links that they go over. */

#define WATCH_EVERY_MS 1000

static int fetch(struct cli *cli, const struct arguments *args, json_t **list)
{
    static const char *const filters[] = {"device", "link"};
    char *path = client_path("/v1/transfers?limit=1000");

    for (size_t i = 0; i < array_size(filters); i++)
        if (arguments_value(args, filters[i]))
            client_add_query(&path, filters[i], arguments_value(args, filters[i]));
    return gateway_get(cli, path, list);
}

int transfer_list(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = fetch(cli, args, &list);

    if (!rc)
        cli->writer->list(cli->writer, &view_transfer, list);
    return rc;
}

/* Until none is left. */
int transfer_watch(struct cli *cli, const struct arguments *args)
{
    for (;;) {
        cleanup_json json_t *list = NULL;
        int rc = fetch(cli, args, &list);

        if (rc)
            return rc;
        cli->writer->list(cli->writer, &view_transfer, list);
        (void)fflush(cli->out);
        if (json_array_size(json_object_get(list, "items")) == 0)
            return CLI_OK;
        cli_sleep_ms(WATCH_EVERY_MS);
        if (cli_interrupted)
            return CLI_INTERRUPTED;
    }
}

int link_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/links"), &view_network);
}

int link_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/links/%s", args->words[0]), &view_network);
}

static void add_texts(const struct arguments *args, const char *option, json_t *body, const char *member)
{
    json_t *texts = json_array();
    size_t next = 0;

    for (const char *text; (text = arguments_next(args, option, &next));)
        (void)json_array_append_new(texts, json_string(text));
    (void)json_object_set_new(body, member, texts);
}

static int add_numbers(struct cli *cli, const struct arguments *args, json_t *body)
{
    static const struct {
        const char *name;
        int64_t min, max;
    } numbers[] = {{"parallel", 0, 100000}, {"rate", 0, INT32_MAX}, {"block", 16, 1024}};
    int64_t number = 0;
    int rc = 0;

    for (size_t i = 0; i < array_size(numbers) && !rc; i++) {
        if (!arguments_given(args, numbers[i].name))
            continue;
        rc = arguments_integer(cli, args, numbers[i].name, numbers[i].min, numbers[i].max, &number);
        (void)json_object_set_new(body, numbers[i].name, json_integer(number));
    }
    return rc;
}

int link_set(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = json_object();
    int rc;

    add_texts(args, "prefix", body, "prefixes");
    add_texts(args, "zone", body, "zones");
    rc = add_numbers(cli, args, body);
    if (rc)
        return rc;
    return gateway_change(cli, "PUT", client_path("/v1/links/%s", args->words[0]), body, &view_network,
                          wait_sentence("Link %s was set.", args->words[0]));
}

int link_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/links/%s", args->words[0]), NULL, &view_network,
                          wait_sentence("Link %s was removed.", args->words[0]));
}
