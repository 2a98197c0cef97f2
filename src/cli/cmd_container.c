#include "base/text.h"
#include "cli/dry_run.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

#define FOLLOW_EVERY_MS 1000
#define CONTAINER "/v1/devices/%s/containers/%s"

/* An artifact that exists, or a file that becomes one. */
static int settle_artifact(struct cli *cli, const struct arguments *args, char *id)
{
    const char *typed = args->words[2];
    cleanup_json json_t *artifact = NULL;
    bool digits = strspn(typed, "0123456789abcdef") == strlen(typed);
    int rc;

    if (!strchr(typed, '/') && (digits || access(typed, F_OK) != 0))
        return gateway_find_artifact(cli, typed, id);
    rc = artifact_upload(cli, args, typed, &artifact);
    if (!rc)
        (void)text_copy(id, GATEWAY_DIGEST_TEXT, view_string(artifact, "id"));
    return rc;
}

/* What the gateway would do, as it would for a rollout to this device. */
static int plan(struct cli *cli, const char *device, const char *uid, const json_t *body)
{
    cleanup_json json_t *spec = json_pack("{s:s, s:{s:[s]}, s:O*, s:O*, s:O*}", "container", uid, "devices", "devices",
                                          device, "artifact", json_object_get(body, "artifact"), "release",
                                          json_object_get(body, "release"), "state", json_object_get(body, "state"));

    return dry_run_check(cli, spec);
}

int container_deploy(struct cli *cli, const struct arguments *args)
{
    const char *device = args->words[0], *uid = args->words[1];
    bool stopped = arguments_given(args, "stopped");
    cleanup_json json_t *body = NULL;
    char id[GATEWAY_DIGEST_TEXT];
    const char *typed = args->words[2];
    bool is_release = strchr(typed, '@') && access(typed, F_OK) != 0;
    int rc = is_release ? 0 : settle_artifact(cli, args, id);

    if (rc)
        return rc;
    body =
        json_pack("{s:s, s:s, s:o*}", is_release ? "release" : "artifact", is_release ? typed : id, "state",
                  stopped ? "stopped" : "running", "rollback", arguments_given(args, "rollback") ? json_true() : NULL);
    rc = cli->dry_run ? plan(cli, device, uid, body) : 0;
    if (rc)
        return rc;
    return wait_submit(cli, args,
                       (struct submission){.method = "PUT",
                                           .path = client_path(CONTAINER, device, uid),
                                           .body = body,
                                           .doing = wait_sentence("deploying %s to %s", uid, device),
                                           .done = wait_sentence("Container %s %s %s (%s %.*s).", uid,
                                                                 stopped ? "is installed on" : "runs on", device,
                                                                 is_release ? "release" : "artifact",
                                                                 is_release ? 200 : 12, is_release ? typed : id)});
}

/* The path is taken over. */
static int submit(struct cli *cli, const struct arguments *args, const char *method, char *path, const char *doing,
                  const char *done)
{
    const char *device = args->words[0], *uid = args->words[1];

    return wait_submit(cli, args,
                       (struct submission){.method = method,
                                           .path = path,
                                           .doing = wait_sentence("%s %s on %s", doing, uid, device),
                                           .done = wait_sentence("Container %s %s %s.", uid, done, device)});
}

int container_start(struct cli *cli, const struct arguments *args)
{
    return submit(cli, args, "POST", client_path(CONTAINER "/start", args->words[0], args->words[1]), "starting",
                  "runs on");
}

int container_stop(struct cli *cli, const struct arguments *args)
{
    return submit(cli, args, "POST", client_path(CONTAINER "/stop", args->words[0], args->words[1]), "stopping",
                  "is stopped on");
}

static char *tell_value(const json_t *operation)
{
    const json_t *value = json_object_get(json_object_get(operation, "result"), "value");

    return json_is_integer(value) ? wait_sentence("returned %" JSON_INTEGER_FORMAT, json_integer_value(value)) : NULL;
}

int container_exec(struct cli *cli, const struct arguments *args)
{
    const char *device = args->words[0], *uid = args->words[1];

    return wait_submit(cli, args,
                       (struct submission){.method = "POST",
                                           .path = client_path(CONTAINER "/exec", device, uid),
                                           .doing = wait_sentence("running %s on %s", uid, device),
                                           .done = wait_sentence("Container %s ran on %s.", uid, device),
                                           .tell = tell_value});
}

int container_remove(struct cli *cli, const struct arguments *args)
{
    return submit(cli, args, "DELETE", client_path(CONTAINER, args->words[0], args->words[1]), "removing",
                  "was removed from");
}

int container_forget(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path(CONTAINER, args->words[0], args->words[1]), *sentence = NULL;
    struct client_request request = {.method = "DELETE"};
    int rc;

    client_add_query(&path, "forget", "true");
    request.path = path;
    rc = gateway_call(cli, &request, NULL);
    sentence = wait_sentence("The record of container %s on %s was dropped.", args->words[1], args->words[0]);
    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_container, NULL, sentence);
    return rc;
}

/* All containers of all devices; a device that is removed meanwhile has none. */
static int list_all(struct cli *cli, json_t **out)
{
    cleanup_json json_t *devices = NULL, *all = json_array();
    json_t *device;
    size_t i;
    int rc = gateway_list(cli, client_path("/v1/devices"), 0, &devices);

    if (rc)
        return rc;
    json_array_foreach(json_object_get(devices, "items"), i, device)
    {
        cleanup_json json_t *list = NULL;

        if (json_integer_value(json_object_get(device, "containers")) == 0)
            continue;
        rc = gateway_list(cli, client_path("/v1/devices/%s/containers", view_string(device, "id")), 0, &list);
        if (rc && rc != CLI_NOT_FOUND)
            return rc;
        (void)json_array_extend(all, json_object_get(list, "items"));
    }
    *out = json_pack("{s:O, s:n}", "items", all, "next");
    return 0;
}

int container_list(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = args->word_count ? gateway_list(cli, client_path("/v1/devices/%s/containers", args->words[0]), 0, &list)
                              : list_all(cli, &list);

    if (!rc)
        cli->writer->list(cli->writer, &view_container, list);
    return rc;
}

int container_show(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path(CONTAINER, args->words[0], args->words[1]);
    struct client_request request = {.method = "GET", .path = path, .fresh = arguments_given(args, "fresh")};
    cleanup_json json_t *container = NULL;
    int rc = gateway_call(cli, &request, &container);

    if (!rc)
        cli->writer->object(cli->writer, &view_container, container);
    return rc;
}

int container_explain(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *story = NULL;
    int rc = gateway_get(cli, client_path(CONTAINER "/explain", args->words[0], args->words[1]), &story);

    if (!rc)
        cli->writer->object(cli->writer, &view_explanation, story);
    return rc;
}

/* Where the part of `now` begins that `before` did not have: a log is a window that moves, so the longest end of the
 * old text that begins the new one has been seen. */
static size_t seen_part(const struct buffer *before, const struct buffer *now)
{
    size_t n = before->size < now->size ? before->size : now->size;

    while (n && memcmp(before->data + before->size - n, now->data, n) != 0)
        n--;
    return n;
}

static void print_log(struct cli *cli, const char *text, size_t size)
{
    if (cli->out_terminal)
        display_put(cli->out, text, size, true);
    else
        (void)fwrite(text, 1, size, cli->out);
    (void)fflush(cli->out);
}

/* Fetches the log and prints what is new since `before`, which it then replaces. */
static int print_new_log(struct cli *cli, const char *path, struct buffer *before)
{
    struct client_request request = {.method = "GET", .path = path, .asks_device = true};
    cleanup_reply struct client_reply reply = {0};
    int error = gateway_try(cli, &request, &reply);
    size_t seen;

    if (error)
        return gateway_explain(cli, error);
    if (reply.status != 200 || strcmp(reply.content_type, "text/plain") != 0)
        return gateway_refusal(cli, &reply);
    seen = seen_part(before, &reply.body);
    print_log(cli, buffer_text(&reply.body) + seen, reply.body.size - seen);
    buffer_clear(before);
    *before = reply.body;
    reply.body = (struct buffer){0};
    return 0;
}

int container_logs(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path(CONTAINER "/log", args->words[0], args->words[1]);
    cleanup_buffer struct buffer before = {0};
    int rc = print_new_log(cli, path, &before);

    while (!rc && arguments_given(args, "follow") && !cli_interrupted) {
        cli_sleep_ms(FOLLOW_EVERY_MS);
        if (!cli_interrupted)
            rc = print_new_log(cli, path, &before);
    }
    return cli_interrupted ? CLI_OK : rc;
}
