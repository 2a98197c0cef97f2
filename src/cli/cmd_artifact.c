#include "cli/describe.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/progress.h"
#include "cli/resume.h"
#include "cli/wait.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int check_file(struct cli *cli, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be read (%s)", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cli_error(cli, CLI_INVALID, NULL, "%s is not a file", path);
    return 0;
}

static int send_parts(struct cli *cli, struct client_part what, const char *code, const char *data, json_t **out)
{
    const struct client_part parts[] = {what,
                                        {.name = "code", .type = "application/octet-stream", .file = code},
                                        {.name = "data", .type = "application/octet-stream", .file = data}};
    struct progress progress;
    struct client_request request = {.method = "POST",
                                     .path = "/v1/artifacts",
                                     .parts = parts,
                                     .part_count = data ? 3 : 2,
                                     .progress = progress_bytes,
                                     .progress_arg = &progress};
    cleanup_free char *doing = wait_sentence("uploading %s", code);
    cleanup_reply struct client_reply reply = {0};
    int error;

    progress_begin(&progress, cli, doing ? doing : "");
    error = gateway_try(cli, &request, &reply);
    progress_end(&progress);
    if (error)
        return gateway_explain(cli, error);
    if (reply.status < 200 || reply.status > 299 || !*view_string(reply.json, "id"))
        return gateway_refusal(cli, &reply);
    *out = steal_pointer(reply.json);
    return 0;
}

/* The part that describes the code: metadata as it is, or a description in JSON, whose text the caller frees. */
static int make_description(struct cli *cli, const struct arguments *args, const char *file, struct client_part *part,
                            char **text)
{
    const char *metadata = arguments_value(args, "metadata");
    cleanup_json json_t *description = NULL;
    int rc;

    for (const struct option_spec *option = describe_options; metadata && option->name; option++)
        if (arguments_given(args, option->name))
            return cli_error(cli, CLI_USAGE, NULL, "--metadata and --%s exclude each other", option->name);
    if (metadata) {
        *part = (struct client_part){.name = "metadata", .type = "application/cbor", .file = metadata};
        return check_file(cli, metadata);
    }
    rc = describe_make(cli, args, file, &description);
    if (rc)
        return rc;
    *text = json_dumps(description, JSON_COMPACT);
    *part = (struct client_part){.name = "description", .type = "application/json", .text = *text};
    return *text ? 0 : CLI_FAILED;
}

static uint64_t file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

int artifact_upload(struct cli *cli, const struct arguments *args, const char *file, json_t **out)
{
    const char *data = arguments_value(args, "data");
    struct client_part description;
    cleanup_free char *text = NULL;
    int rc = check_file(cli, file);

    if (!rc && data)
        rc = check_file(cli, data);
    if (!rc)
        rc = make_description(cli, args, file, &description, &text);
    if (!rc && text && file_size(file) >= RESUME_MIN_BYTES)
        return resume_upload(cli, text, file, data, out);
    return rc ? rc : send_parts(cli, description, file, data, out);
}

int artifact_push(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *artifact = NULL;
    cleanup_free char *sentence = NULL;
    char size[DISPLAY_SIZE];
    int rc = artifact_upload(cli, args, args->words[0], &artifact);

    if (rc)
        return rc;
    (void)display_bytes((uint64_t)json_integer_value(view_at(artifact, "code.size")), size);
    sentence = wait_sentence("Artifact %.12s: %s, %s, %s of code.", view_string(artifact, "id"),
                             view_string(artifact, "name"), view_string(artifact, "type"), size);
    if (sentence)
        cli->writer->outcome(cli->writer, &view_artifact, artifact, sentence);
    return CLI_OK;
}

int artifact_list(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_list(cli, client_path("/v1/artifacts"), 0, &list);

    (void)args;
    if (!rc)
        cli->writer->list(cli->writer, &view_artifact, list);
    return rc;
}

int artifact_show(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *artifact = NULL;
    char id[GATEWAY_DIGEST_TEXT];
    int rc = gateway_find_artifact(cli, args->words[0], id);

    if (!rc)
        rc = gateway_get(cli, client_path("/v1/artifacts/%s", id), &artifact);
    if (!rc)
        cli->writer->object(cli->writer, &view_artifact, artifact);
    return rc;
}

static int remove_artifact(struct cli *cli, const char *id)
{
    cleanup_free char *path = client_path("/v1/artifacts/%s", id);
    cleanup_free char *sentence = wait_sentence("Artifact %.12s was removed.", id);
    struct client_request request = {.method = "DELETE", .path = path};
    int rc = gateway_call(cli, &request, NULL);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_artifact, NULL, sentence);
    return rc;
}

int artifact_remove(struct cli *cli, const struct arguments *args)
{
    char id[GATEWAY_DIGEST_TEXT];
    int rc = gateway_find_artifact(cli, args->words[0], id);

    return rc ? rc : remove_artifact(cli, id);
}

static int set_pin(struct cli *cli, const char *typed, const char *method, const char *sentence)
{
    cleanup_json json_t *artifact = NULL;
    cleanup_free char *path = NULL, *text = NULL;
    char id[GATEWAY_DIGEST_TEXT];
    int rc = gateway_find_artifact(cli, typed, id);

    if (rc)
        return rc;
    path = client_path("/v1/artifacts/%s/pin", id);
    rc = gateway_call(cli, &(struct client_request){.method = method, .path = path}, &artifact);
    text = wait_sentence("Artifact %.12s %s.", id, sentence);
    if (!rc && text)
        cli->writer->outcome(cli->writer, &view_artifact, artifact, text);
    return rc;
}

int artifact_pin(struct cli *cli, const struct arguments *args)
{
    return set_pin(cli, args->words[0], "PUT", "is kept");
}

int artifact_unpin(struct cli *cli, const struct arguments *args)
{
    return set_pin(cli, args->words[0], "DELETE", "is kept as long as it is needed");
}

int artifact_gc(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path(cli->dry_run ? "/v1/artifacts/gc?dry_run=true" : "/v1/artifacts/gc");
    cleanup_free char *sentence = NULL;
    cleanup_json json_t *removed = NULL;
    char size[DISPLAY_SIZE];
    int rc = gateway_call(cli, &(struct client_request){.method = "POST", .path = path}, &removed);

    (void)args;
    if (rc)
        return rc;
    (void)display_bytes((uint64_t)json_integer_value(view_at(removed, "bytes")), size);
    sentence = wait_sentence("%zu artifacts %s, %s.", json_array_size(json_object_get(removed, "artifacts")),
                             cli->dry_run ? "would be removed" : "were removed", size);
    if (sentence)
        cli->writer->outcome(cli->writer, &view_collection, removed, sentence);
    return CLI_OK;
}

static int download(struct cli *cli, const char *id, const char *part, FILE *to)
{
    cleanup_free char *path = client_path("/v1/artifacts/%s/%s", id, part);
    struct progress progress;
    struct client_request request = {
        .method = "GET", .path = path, .save_to = to, .progress = progress_bytes, .progress_arg = &progress};
    int rc;

    progress_begin(&progress, cli, "downloading");
    rc = gateway_call(cli, &request, NULL);
    progress_end(&progress);
    return rc;
}

/* The file appears under its name only when it is complete. */
static int download_file(struct cli *cli, const char *id, const char *part, const char *name)
{
    cleanup_free char *partial = wait_sentence("%s.part", name);
    FILE *file = partial ? fopen(partial, "wbe") : NULL;
    int rc;

    if (!file)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be written (%s)", name, strerror(errno));
    rc = download(cli, id, part, file);
    if ((fclose(file) != 0 || (!rc && rename(partial, name) != 0)) && !rc)
        rc = cli_error(cli, CLI_INVALID, NULL, "%s cannot be written (%s)", name, strerror(errno));
    if (rc)
        (void)unlink(partial);
    return rc;
}

int artifact_get(struct cli *cli, const struct arguments *args)
{
    const char *output = arguments_value(args, "output"), *part = arguments_given(args, "data") ? "data" : "code";
    char id[GATEWAY_DIGEST_TEXT];
    int rc;

    if (!output && cli->out_terminal)
        return cli_error(cli, CLI_USAGE, "Write it to a file with --output FILE.", "this is no text for a terminal");
    rc = gateway_find_artifact(cli, args->words[0], id);
    if (rc)
        return rc;
    return output ? download_file(cli, id, part, output) : download(cli, id, part, cli->out);
}

/* Uploads that were begun */

int upload_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/uploads"), &view_upload);
}

int upload_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/uploads/%s", args->words[0]), &view_upload);
}

int upload_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/uploads/%s", args->words[0]), NULL, &view_upload,
                          wait_sentence("Upload %.12s was given up.", args->words[0]));
}
