#include "base/fault.h"
#include "base/text.h"
#include "cli/credential.h"
#include "cli/describe.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (64u << 10) /* bytes of a file with credentials */

/* Enrolment ------------------------------------------------------------------------------------------------------- */

/* Where secrets go. The file is opened first, so that none are made which cannot be written. */
struct output {
    FILE *to;
    const char *path; /* NULL: to is cli->out */
};

/* Nothing is overwritten, and nobody else may read it. */
static int open_output(struct cli *cli, const struct arguments *args, struct output *output)
{
    int fd;

    *output = (struct output){.to = cli->out, .path = arguments_value(args, "output")};
    if (!output->path && cli->style == CLI_STYLE_IDS)
        return cli_error(cli, CLI_USAGE, "Write them to a file with --output FILE.",
                         "the secrets are told once only, and --quiet would lose them");
    if (!output->path)
        return 0;
    fd = open(output->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    output->to = fd < 0 ? NULL : fdopen(fd, "w");
    if (output->to)
        return 0;
    if (fd >= 0)
        (void)close(fd);
    return cli_error(cli, CLI_INVALID, NULL, "%s cannot be written (%s)", output->path, strerror(errno));
}

static bool close_output(struct output *output)
{
    bool good = output->to && fflush(output->to) == 0 && !ferror(output->to);

    if (output->path && output->to)
        good = fsync(fileno(output->to)) == 0 && good;
    if (output->path && output->to)
        good = fclose(output->to) == 0 && good;
    output->to = NULL;
    return good;
}

static void discard_output(struct output *output)
{
    if (!output->path || !output->to)
        return;
    (void)fclose(output->to);
    (void)unlink(output->path);
}

/* An existing device stays as it is. */
static int create_device(struct cli *cli, const char *id, const char *address)
{
    cleanup_json json_t *body = json_pack("{s:s, s:s}", "id", id, "address", address);
    const struct client_request request = {.method = "POST", .path = "/v1/devices", .body = body};
    cleanup_reply struct client_reply reply = {0};
    int error;

    if (!body)
        return cli_error(cli, CLI_USAGE, NULL, "the id and the address must be UTF-8");
    error = gateway_try(cli, &request, &reply);
    if (error)
        return gateway_explain(cli, error);
    if (reply.status == 201 || strcmp(view_string(reply.json, "type"), FAULT_TYPE_BASE "already-exists") == 0)
        return 0;
    return gateway_refusal(cli, &reply);
}

static int write_secrets(struct cli *cli, struct output *output, const char *form, const json_t *secrets)
{
    cleanup_free char *sentence = wait_sentence("Credentials %lld of %s were made and written to %s.",
                                                (long long)json_integer_value(json_object_get(secrets, "number")),
                                                view_string(secrets, "device"), output->path ? output->path : "");
    bool good = credential_write(cli, output->to, form, secrets);

    if (!close_output(output) || !good)
        return cli_error(cli, CLI_INVALID, "Enrol the device again: what it has not used is replaced.",
                         "the credentials could not be written as %s (%s)", form, strerror(errno));
    if (output->path && sentence)
        cli->writer->outcome(cli->writer, &view_credential, NULL, sentence);
    else if (cli->style == CLI_STYLE_TEXT)
        (void)fprintf(cli->err, "These secrets are shown this once: bring them to the device now.\n");
    return CLI_OK;
}

static void wipe(json_t *secrets)
{
    const char *name;
    json_t *value;

    json_object_foreach(secrets, name, value) if (json_is_string(value))
        OPENSSL_cleanse((char *)(uintptr_t)json_string_value(value), json_string_length(value));
    json_decref(secrets);
}

static int request_secrets(struct cli *cli, const struct arguments *args, const char *kind, json_t **secrets)
{
    cleanup_free char *path = client_path("/v1/devices/%s/credentials", args->words[0]);
    cleanup_json json_t *body = json_pack("{s:s, s:s*}", "kind", kind, "algorithm", arguments_value(args, "algorithm"));
    const struct client_request request = {.method = "POST", .path = path, .body = body, .once = true};
    int64_t days = 0;
    int rc = arguments_integer(cli, args, "valid-days", 1, 36500, &days);

    if (!rc && days)
        (void)json_object_set_new(body, "valid_days", json_integer(days));
    return rc ? rc : gateway_call(cli, &request, secrets);
}

static int enrol(struct cli *cli, const struct arguments *args)
{
    const char *kind = arguments_value(args, "kind"), *form = arguments_value(args, "format");
    struct output output;
    json_t *secrets = NULL;
    int rc;

    kind = kind ? kind : "oscore";
    form = form ? form : "json";
    if (!credential_has_form(kind, form) || (cli->style == CLI_STYLE_JSON && strcmp(form, "json") != 0))
        return cli_error(cli, CLI_USAGE, "See: tcgw help device enrol", "there is no form %s of %s credentials%s", form,
                         kind, cli->style == CLI_STYLE_JSON ? " with --json" : "");
    rc = open_output(cli, args, &output);
    if (!rc && arguments_given(args, "create"))
        rc = create_device(cli, args->words[0], arguments_value(args, "create"));
    if (!rc)
        rc = request_secrets(cli, args, kind, &secrets);
    if (rc)
        discard_output(&output);
    else
        rc = write_secrets(cli, &output, form, secrets);
    wipe(secrets);
    return rc;
}

int credential_enrol(struct cli *cli, const struct arguments *args)
{
    return enrol(cli, args);
}

int credential_rotate(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_get(cli, client_path("/v1/devices/%s/credentials", args->words[0]), &list);

    if (rc)
        return rc;
    if (json_array_size(json_object_get(list, "items")) == 0)
        return cli_error(cli, CLI_CONFLICT, "Use tcgw device enrol.", "the device %s has no credentials yet",
                         args->words[0]);
    return enrol(cli, args);
}

/* Import ---------------------------------------------------------------------------------------------------------- */

/* Files are the device's side; the gateway takes its own. */
static void swap_ids(json_t *body)
{
    cleanup_json json_t *sender = json_incref(json_object_get(body, "sender_id"));
    json_t *recipient = json_object_get(body, "recipient_id");

    if (!sender || !recipient)
        return; /* the gateway says which is missing */
    (void)json_object_set(body, "sender_id", recipient);
    (void)json_object_set(body, "recipient_id", sender);
}

static int read_credentials(struct cli *cli, const struct arguments *args, json_t **body)
{
    cleanup_buffer struct buffer text = buffer_init(2 * FILE_MAX);
    int rc = describe_read_file(cli, args->words[1], FILE_MAX, &text);

    if (!rc)
        rc = credential_read(cli, args->words[1], buffer_text(&text), body);
    if (text.data)
        OPENSSL_cleanse(text.data, text.size);
    if (rc)
        return rc;
    if (!arguments_given(args, "gateway-side"))
        swap_ids(*body);
    if (arguments_given(args, "fresh"))
        (void)json_object_set_new(*body, "fresh", json_true());
    return 0;
}

int credential_import(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = client_path("/v1/devices/%s/credentials", args->words[0]);
    cleanup_free char *sentence = wait_sentence("The credentials of %s were imported.", args->words[0]);
    cleanup_json json_t *list = NULL;
    json_t *body = NULL;
    struct client_request request = {.method = "PUT", .path = path, .once = true};
    int rc = read_credentials(cli, args, &body);

    request.body = body;
    if (!rc)
        rc = gateway_call(cli, &request, &list);
    wipe(body);
    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_credential, list, sentence);
    return rc;
}

/* Life ------------------------------------------------------------------------------------------------------------ */

int credential_list(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *list = NULL;
    int rc = gateway_get(cli, client_path("/v1/devices/%s/credentials", args->words[0]), &list);

    if (!rc)
        cli->writer->list(cli->writer, &view_credential, list);
    return rc;
}

int credential_revoke(struct cli *cli, const struct arguments *args)
{
    const char *number = args->words[1];
    cleanup_free char *path = number ? client_path("/v1/devices/%s/credentials/%s", args->words[0], number)
                                     : client_path("/v1/devices/%s/credentials", args->words[0]);
    cleanup_free char *sentence =
        wait_sentence("Credentials%s%s of %s were revoked.", number ? " " : "", number ? number : "", args->words[0]);
    const struct client_request request = {.method = "DELETE", .path = path};
    int rc = gateway_call(cli, &request, NULL);

    if (!rc && sentence)
        cli->writer->outcome(cli->writer, &view_credential, NULL, sentence);
    return rc;
}

int gateway_distrust(struct cli *cli, const struct arguments *args)
{
    const struct client_request request = {.method = "POST", .path = "/v1/gateway/distrust-contexts"};
    int rc = gateway_call(cli, &request, NULL);

    (void)args;
    if (!rc)
        cli->writer->outcome(cli->writer, &view_credential, NULL, "Every OSCORE context has to be renewed now.");
    return rc;
}
