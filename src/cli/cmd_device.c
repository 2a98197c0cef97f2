#include "base/text.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

static const struct {
    const char *option, *member;
} capabilities[] = {{"pdu-size", "pdu_size"}, {"slots", "slots"}, {"package-max", "package_max"}, {"memory", "memory"}};

static int add_runtimes(const struct arguments *args, json_t *caps)
{
    cleanup_json json_t *runtimes = json_array();
    size_t next = 0;

    for (const char *list; (list = arguments_next(args, "runtime", &next));) {
        if (strcmp(list, "auto") == 0)
            return json_object_set_new(caps, "runtimes", json_null());
        for (; *list; list += strcspn(list, ","), list += *list == ',')
            (void)json_array_append_new(runtimes, json_stringn(list, strcspn(list, ",")));
    }
    return arguments_given(args, "runtime") ? json_object_set(caps, "runtimes", runtimes) : 0;
}

static int add_capabilities(struct cli *cli, const struct arguments *args, json_t *body)
{
    cleanup_json json_t *caps = json_object();

    for (size_t i = 0; i < array_size(capabilities); i++) {
        const char *value = arguments_value(args, capabilities[i].option);
        int64_t number = 0;
        int rc = 0;

        if (!value)
            continue;
        if (strcmp(value, "auto") == 0) {
            (void)json_object_set_new(caps, capabilities[i].member, json_null());
            continue;
        }
        rc = arguments_integer(cli, args, capabilities[i].option, 0, UINT32_MAX, &number);
        if (rc)
            return rc;
        (void)json_object_set_new(caps, capabilities[i].member, json_integer(number));
    }
    (void)add_runtimes(args, caps);
    if (json_object_size(caps))
        (void)json_object_set(body, "capabilities", caps);
    return 0;
}

void device_add_groups(const struct arguments *args, json_t *body)
{
    cleanup_json json_t *groups = json_array();
    size_t next = 0;

    for (const char *list; (list = arguments_next(args, "group", &next));)
        for (; *list; list += strcspn(list, ","), list += *list == ',')
            (void)json_array_append_new(groups, json_stringn(list, strcspn(list, ",")));
    if (arguments_given(args, "group") || arguments_given(args, "no-groups"))
        (void)json_object_set(body, "groups", groups);
}

/* A label without a value is taken back, by null in a merge patch. */
static int add_labels(struct cli *cli, const struct arguments *args, json_t *body)
{
    cleanup_json json_t *labels = json_object();
    size_t next = 0;

    for (const char *label; (label = arguments_next(args, "label", &next));) {
        size_t n = strcspn(label, "=");
        cleanup_free char *name = strndup(label, n);

        if (n == 0 || !label[n])
            return cli_error(cli, CLI_USAGE, NULL, "--label takes NAME=VALUE, not '%s'", label);
        (void)json_object_set_new(labels, name ? name : "", label[n + 1] ? json_string(label + n + 1) : json_null());
    }
    if (json_object_size(labels))
        (void)json_object_set(body, "labels", labels);
    return 0;
}

/* What takes back a sleep in a merge patch has no place in a new device. */
static int add_sleep(struct cli *cli, const struct arguments *args, json_t *body, bool patch)
{
    const char *value = arguments_value(args, "sleep");
    int64_t awake = 0;
    int rc = 0;

    if (!value && !arguments_given(args, "awake"))
        return 0;
    if (!value)
        return cli_error(cli, CLI_USAGE, NULL, "--awake goes with --sleep");
    if (strcmp(value, "auto") == 0)
        return patch ? json_object_set_new(body, "sleep", json_null()) : 0;
    if (arguments_given(args, "awake"))
        rc = arguments_integer(cli, args, "awake", 1, UINT32_MAX, &awake);
    if (!rc)
        (void)json_object_set_new(body, "sleep",
                                  json_pack("{s:I, s:o}", "sleep_s",
                                            (json_int_t)(arguments_duration(args, "sleep", 0) / 1000), "awake_ms",
                                            awake ? json_integer(awake) : json_null()));
    return rc;
}

/* In a merge patch null takes back what was configured; nothing has to be taken back from a new device. */
static int make_body(struct cli *cli, const struct arguments *args, json_t *body, bool patch)
{
    const char *name = arguments_value(args, "name"), *address = arguments_value(args, "address");
    const char *agent = arguments_value(args, "agent"), *plain = arguments_value(args, "allow-plain");
    int rc;

    if (name)
        (void)json_object_set_new(body, "name", json_string(name));
    if (address)
        (void)json_object_set_new(body, "address", json_string(address));
    if (agent && strcmp(agent, "auto") != 0)
        (void)json_object_set_new(body, "agent", json_string(agent));
    else if (agent && patch)
        (void)json_object_set_new(body, "agent", json_null());
    if (arguments_given(args, "allow-plain"))
        (void)json_object_set_new(body, "allow_plain", json_boolean(!plain || strcmp(plain, "yes") == 0));
    device_add_groups(args, body);
    if (arguments_given(args, "observe") || arguments_given(args, "no-observe"))
        (void)json_object_set_new(body, "observe", group_observed(args));
    rc = add_labels(cli, args, body);
    if (!rc)
        rc = add_sleep(cli, args, body, patch);
    return rc ? rc : add_capabilities(cli, args, body);
}

static int probe(struct cli *cli, const struct arguments *args, const char *id)
{
    return wait_submit(
        cli, args,
        (struct submission){.method = "POST",
                            .path = client_path("/v1/devices/%s/probe", id),
                            .doing = wait_sentence("probing %s", id),
                            .done = wait_sentence("Device %s was probed; see tcgw device show %s", id, id)});
}

int device_add(struct cli *cli, const struct arguments *args)
{
    const char *address = args->words[args->word_count - 1], *id = args->word_count > 1 ? args->words[0] : NULL;
    struct client_request request = {.method = "POST", .path = "/v1/devices"};
    cleanup_json json_t *body = json_pack("{s:s*, s:s}", "id", id, "address", address), *device = NULL;
    cleanup_free char *sentence = NULL;
    int rc;

    if (!body)
        return cli_error(cli, CLI_USAGE, NULL, "the id and the address must be UTF-8");
    request.body = body;
    rc = make_body(cli, args, body, false);
    if (!rc)
        rc = gateway_call(cli, &request, &device);
    if (rc)
        return rc;
    id = view_string(device, "id");
    if (arguments_given(args, "probe"))
        return probe(cli, args, id);
    sentence = wait_sentence("Device %s was added.", id);
    if (sentence)
        cli->writer->outcome(cli->writer, &view_device, device, sentence);
    return CLI_OK;
}

int device_list(struct cli *cli, const struct arguments *args)
{
    char *path = client_path("/v1/devices");
    cleanup_json json_t *list = NULL;
    int rc;

    if (path && arguments_value(args, "presence"))
        client_add_query(&path, "presence", arguments_value(args, "presence"));
    rc = gateway_list(cli, path, 0, &list);
    if (!rc)
        cli->writer->list(cli->writer, &view_device, list);
    return rc;
}

int device_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *device = NULL;
    int rc = gateway_get(cli, client_path("/v1/devices/%s", args->words[0]), &device);

    if (!rc)
        cli->writer->object(cli->writer, &view_device, device);
    return rc;
}

int device_set(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/devices/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("Device %s was changed.", args->words[0]);
    cleanup_json json_t *body = json_object(), *device = NULL;
    struct client_request request = {
        .method = "PATCH", .path = path, .body = body, .body_type = "application/merge-patch+json"};
    int rc = make_body(cli, args, body, true);

    if (!rc && json_object_size(body) == 0)
        rc = cli_error(cli, CLI_USAGE, "See: tcgw help device set", "nothing to change was named");
    if (!rc)
        rc = gateway_call(cli, &request, &device);
    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_device, device, sentence);
    return rc;
}

int device_probe(struct cli *cli, const struct arguments *args)
{
    return probe(cli, args, args->words[0]);
}

int device_remove(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/devices/%s", args->words[0]);
    cleanup_free char *sentence = wait_sentence("Device %s was removed.", args->words[0]);
    struct client_request request = {.method = "DELETE", .path = path};
    int rc = gateway_call(cli, &request, NULL);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_device, NULL, sentence);
    return rc;
}
