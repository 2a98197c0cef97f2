#include "base/text.h"
#include "cli/describe.h"
#include "cli/handlers.h"
#include "cli/suit.h"
#include "cli/writer.h"
#include "codec/keystore.h"

#include <inttypes.h>
#include <string.h>

#define PAYLOAD_MAX (16u << 20)
#define INDENT 2

static int load(struct cli *cli, const char *file, struct buffer *bytes, struct suit_manifest *out)
{
    char reason[SUIT_REASON_SIZE];
    int rc = describe_read_file(cli, file, SUIT_IETF_MAX, bytes);

    if (rc)
        return rc;
    if (suit_parse(out, bytes->data, bytes->size, reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s is no SUIT manifest that can be used: %s", file, reason);
    return 0;
}

/* sign ------------------------------------------------------------------------------------------------------------- */

int suit_command_key(struct cli *cli, const char *where, EVP_PKEY **key)
{
    char reason[SUIT_REASON_SIZE];

    if (keystore_open(key, where, reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, "tcgw key generate FILE makes a key.", "%s", reason);
    return 0;
}

int suit_command_write(struct cli *cli, const struct arguments *args, const struct buffer *bytes)
{
    const char *output = arguments_value(args, "output");

    if (!output && cli->out_terminal)
        return cli_error(cli, CLI_USAGE, "Write it to a file with --output FILE.", "this is no text for a terminal");
    return describe_write_file(cli, output, bytes->data, bytes->size);
}

int suit_command_sign(struct cli *cli, const struct arguments *args)
{
    cleanup_buffer struct buffer bytes = {0}, out = {0};
    cleanup_pkey EVP_PKEY *key = NULL;
    struct suit_manifest manifest;
    const char *where = arguments_value(args, "key");
    char reason[SUIT_REASON_SIZE] = "there is no memory";
    int rc;

    if (!where)
        return cli_error(cli, CLI_USAGE, NULL, "--key KEY is needed");
    rc = load(cli, args->words[0], &bytes, &manifest);
    if (!rc)
        rc = suit_command_key(cli, where, &key);
    if (rc)
        return rc;
    if (suit_sign(&out, &manifest, key, reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s", reason);
    return suit_command_write(cli, args, &out);
}

/* verify ----------------------------------------------------------------------------------------------------------- */

static bool is_payload(const struct suit_manifest *m, const struct buffer *content)
{
    uint8_t digest[32];

    if (EVP_Q_digest(NULL, "SHA256", NULL, content->data ? content->data : (const uint8_t *)"", content->size, digest,
                     NULL) != 1)
        return false;
    for (size_t i = 0; i < m->component_count; i++) {
        const struct suit_component *c = &m->components[i];

        if (c->has_digest && memcmp(c->digest, digest, sizeof digest) == 0 &&
            (!c->has_size || c->size == content->size))
            return true;
    }
    return false;
}

static int check_payloads(struct cli *cli, const struct arguments *args, const struct suit_manifest *m)
{
    const char *file;

    for (size_t next = 0; (file = arguments_next(args, "payload", &next));) {
        cleanup_buffer struct buffer content = {0};
        int rc = describe_read_file(cli, file, PAYLOAD_MAX, &content);

        if (rc)
            return rc;
        if (!is_payload(m, &content))
            return cli_error(cli, CLI_INVALID, NULL, "%s is not a payload of this manifest", file);
    }
    return 0;
}

int suit_command_verify(struct cli *cli, const struct arguments *args)
{
    const char *where = arguments_value(args, "key");
    cleanup_buffer struct buffer bytes = {0};
    cleanup_pkey EVP_PKEY *key = NULL;
    cleanup_json json_t *object = NULL;
    struct suit_manifest manifest;
    char reason[SUIT_REASON_SIZE];
    int rc;

    if (!where)
        return cli_error(cli, CLI_USAGE, "`tcgw suit show` needs none.", "--key KEY is needed");
    rc = load(cli, args->words[0], &bytes, &manifest);
    if (rc)
        return rc;
    if (keystore_open_public(&key, where, reason, sizeof reason) != 0 ||
        suit_verify(&manifest, key, reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s", reason);
    rc = check_payloads(cli, args, &manifest);
    if (rc)
        return rc;
    object = json_pack("{s:b, s:I}", "verified", 1, "sequence", (json_int_t)manifest.sequence);
    (void)snprintf(reason, sizeof reason, "Signed by this key; sequence number %" PRIu64 ".", manifest.sequence);
    cli->writer->outcome(cli->writer, &view_suit, object, reason);
    return CLI_OK;
}

/* show ------------------------------------------------------------------------------------------------------------- */

static void print_value(struct cli *cli, const json_t *value, int indent);

static void put_text(struct cli *cli, const char *text)
{
    display_put(cli->out, text, strlen(text), false);
}

/* {"command": argument}: one line, and one for each command of the sequences in it. */
static void print_command(struct cli *cli, const json_t *command, int indent)
{
    const char *name;
    json_t *argument;

    json_object_foreach((json_t *)command, name, argument)
    {
        (void)fprintf(cli->out, "%*s", indent, "");
        put_text(cli, name);
        print_value(cli, argument, indent + INDENT);
    }
}

static void print_sequence(struct cli *cli, const json_t *sequence, int indent)
{
    size_t index;
    const json_t *command;

    (void)fputc('\n', cli->out);
    json_array_foreach((json_t *)sequence, index, command)
    {
        if (json_is_array(command)) {
            (void)fprintf(cli->out, "%*s%zu:", indent, "", index + 1);
            print_sequence(cli, command, indent + INDENT);
        } else {
            print_command(cli, command, indent);
        }
    }
}

static void print_parameters(struct cli *cli, const json_t *parameters)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)parameters, name, value)
    {
        cleanup_free char *text = json_dumps(value, JSON_ENCODE_ANY);

        (void)fputc(' ', cli->out);
        put_text(cli, name);
        (void)fputc('=', cli->out);
        put_text(cli, json_is_string(value) ? json_string_value(value) : text ? text : "");
    }
    (void)fputc('\n', cli->out);
}

static void print_value(struct cli *cli, const json_t *value, int indent)
{
    if (json_is_object(value)) {
        print_parameters(cli, value);
    } else if (json_is_array(value) && !json_is_integer(json_array_get(value, 0))) {
        print_sequence(cli, value, indent);
    } else { /* a number, true, or component indexes */
        cleanup_free char *text = json_dumps(value, JSON_ENCODE_ANY);

        (void)fprintf(cli->out, " %s\n", text ? text : "");
    }
}

static void print_manifest(struct cli *cli, const json_t *object)
{
    cleanup_json json_t *components = json_pack("{s:O}", "items", json_object_get(object, "components"));
    const char *name;
    json_t *value;

    (void)fputc('\n', cli->out);
    cli->writer->list(cli->writer, &view_suit_component, components);
    json_object_foreach((json_t *)object, name, value)
    {
        if (!json_is_array(value) || strcmp(name, "components") == 0)
            continue;
        (void)fprintf(cli->out, "\n%s", name);
        print_sequence(cli, value, INDENT);
    }
}

int suit_command_show(struct cli *cli, const struct arguments *args)
{
    cleanup_buffer struct buffer bytes = {0};
    cleanup_free char *text = NULL;
    cleanup_json json_t *object = NULL;
    struct suit_manifest manifest;
    int rc = load(cli, args->words[0], &bytes, &manifest);

    if (rc)
        return rc;
    text = suit_describe(&manifest);
    object = text ? json_loads(text, 0, NULL) : NULL;
    if (!object)
        return cli_error(cli, CLI_FAILED, NULL, "there is no memory");
    cli->writer->object(cli->writer, &view_suit, object);
    if (cli->style == CLI_STYLE_TEXT)
        print_manifest(cli, object);
    return CLI_OK;
}
