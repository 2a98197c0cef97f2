#include "base/base64.h"
#include "base/text.h"
#include "cli/describe.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/suit.h"
#include "cli/wait.h"
#include "codec/cose.h"
#include "codec/keystore.h"
#include "codec/release.h"

#include <openssl/pem.h>
#include <string.h>

/* Publishers, releases and policies. */

#define SIGNATURE_MAX 2048
#define POLICY_MAX 65536

/* Publishers ------------------------------------------------------------------------------------------------------- */

int publisher_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/publishers"), &view_publisher);
}

int publisher_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/publishers/%s", args->words[0]), &view_publisher);
}

int publisher_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/publishers/%s", args->words[0]), NULL, &view_publisher,
                          wait_sentence("Publisher %s was removed.", args->words[0]));
}

static json_t *pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    json_t *text = NULL;
    char *data = NULL;
    long size = 0;

    if (bio && PEM_write_bio_PUBKEY(bio, key) == 1)
        size = BIO_get_mem_data(bio, &data);
    if (size > 0)
        text = json_stringn(data, (size_t)size);
    BIO_free(bio);
    return text;
}

static int read_keys(struct cli *cli, const struct arguments *args, json_t *keys)
{
    size_t next = 0;

    for (const char *where; (where = arguments_next(args, "key", &next));) {
        cleanup_pkey EVP_PKEY *key = NULL;
        char reason[256] = "";

        if (keystore_open_public(&key, where, reason, sizeof reason))
            return cli_error(cli, CLI_INVALID, "tcgw key show KEY writes the public part of a key.", "%s", reason);
        (void)json_array_append_new(keys, json_pack("{s:o}", "public_key", pem_of(key)));
    }
    if (json_array_size(keys) == 0)
        return cli_error(cli, CLI_USAGE, NULL, "--key KEY is needed");
    return 0;
}

/* The selector that the options name; NULL: none of them was given. */
static json_t *selector_of(const struct arguments *args)
{
    const char *where = arguments_value(args, "where");
    json_t *devices = arguments_values(args, "device"), *groups = arguments_values(args, "group");

    if (!devices && !groups && !where)
        return NULL;
    return json_pack("{s:o*, s:o*, s:s*}", "devices", devices, "groups", groups, "expression", where);
}

int publisher_set(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *keys = json_array(), *body = NULL;
    json_t *patterns;
    int rc = read_keys(cli, args, keys);

    if (rc)
        return rc;
    patterns = arguments_values(args, "artifact");
    if (!patterns)
        return cli_error(cli, CLI_USAGE, "For everything: --artifact '*'", "--artifact PATTERN is needed");
    body = json_pack("{s:O, s:o, s:o*, s:b}", "keys", keys, "artifacts", patterns, "devices", selector_of(args),
                     "revoked", arguments_given(args, "revoked"));
    return gateway_change(cli, "PUT", client_path("/v1/publishers/%s", args->words[0]), body, &view_publisher,
                          wait_sentence("Publisher %s was set.", args->words[0]));
}

/* Releases --------------------------------------------------------------------------------------------------------- */

int release_list(struct cli *cli, const struct arguments *args)
{
    char *path = client_path("/v1/releases");

    if (args->words[0])
        client_add_query(&path, "name", args->words[0]);
    return gateway_show_list(cli, path, &view_release);
}

int release_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/releases/%s", args->words[0]), &view_release);
}

int release_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/releases/%s", args->words[0]), NULL, &view_release,
                          wait_sentence("Release %s was removed.", args->words[0]));
}

/* All digits of an id stand for themselves, so that no gateway is needed for them. */
static int read_artifact(struct cli *cli, const char *typed, uint8_t out[32])
{
    char id[GATEWAY_DIGEST_TEXT];
    int rc;

    if (text_unhex(typed, out, 32))
        return 0;
    rc = gateway_find_artifact(cli, typed, id);
    return rc ? rc : text_unhex(id, out, 32) ? 0 : CLI_GATEWAY;
}

static int read_artifacts(struct cli *cli, const struct arguments *args, struct release_statement *out)
{
    size_t next = 0;
    int rc = 0;

    for (const char *typed; !rc && (typed = arguments_next(args, "artifact", &next));) {
        if (out->artifact_count == RELEASE_ARTIFACTS_MAX)
            return cli_error(cli, CLI_USAGE, NULL, "a release has at most %d artifacts", RELEASE_ARTIFACTS_MAX);
        rc = read_artifact(cli, typed, out->artifacts[out->artifact_count++]);
    }
    return rc;
}

/* What NAME@VERSION, --sequence and --artifact say. */
static int read_statement(struct cli *cli, const struct arguments *args, struct release_statement *out)
{
    const char *typed = args->words[0], *at = strchr(typed, '@');
    int64_t sequence = 0;
    char reason[128] = "";
    int rc = arguments_integer(cli, args, "sequence", 1, RELEASE_SEQUENCE_MAX, &sequence);

    memset(out, 0, sizeof *out);
    if (rc)
        return rc;
    if (!at || (size_t)(at - typed) > RELEASE_NAME_MAX || !text_copy(out->version, sizeof out->version, at + 1))
        return cli_error(cli, CLI_USAGE, NULL, "'%s' is not NAME@VERSION", typed);
    memcpy(out->name, typed, (size_t)(at - typed));
    out->sequence = (uint64_t)sequence;
    if (!sequence)
        return cli_error(cli, CLI_USAGE, "It has to be higher than that of every version before.",
                         "--sequence NUMBER is needed");
    rc = read_artifacts(cli, args, out);
    if (!rc && release_check(out, reason, sizeof reason))
        rc = cli_error(cli, CLI_USAGE, NULL, "%s", reason);
    return rc;
}

static int sign(struct cli *cli, const struct arguments *args, const struct release_statement *statement,
                struct buffer *out)
{
    cleanup_buffer struct buffer text = buffer_init(0);
    cleanup_pkey EVP_PKEY *key = NULL;
    uint8_t kid[8];
    int rc = suit_command_key(cli, arguments_value(args, "key"), &key);

    if (rc)
        return rc;
    release_encode(&text, statement);
    if (text.failed || cose_key_id(key, kid) ||
        cose_make_sign1(out, key, kid, sizeof kid, text.data, text.size, false, true))
        return cli_error(cli, CLI_INVALID, NULL, "the key cannot sign releases: it is neither Ed25519 nor of P-256");
    return 0;
}

int release_sign(struct cli *cli, const struct arguments *args)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    struct release_statement statement;
    int rc;

    if (!arguments_value(args, "key"))
        return cli_error(cli, CLI_USAGE, NULL, "--key KEY is needed");
    rc = read_statement(cli, args, &statement);
    if (!rc)
        rc = sign(cli, args, &statement, &out);
    return rc ? rc : suit_command_write(cli, args, &out);
}

static json_t *signed_body(const struct buffer *message)
{
    cleanup_free char *text = base64_encode(message->data, message->size);

    return text ? json_pack("{s:s}", "signature", text) : NULL;
}

static json_t *plain_body(const struct release_statement *statement)
{
    json_t *ids = json_array();
    char id[GATEWAY_DIGEST_TEXT];

    for (size_t i = 0; i < statement->artifact_count; i++)
        (void)json_array_append_new(ids, json_string(text_hex(statement->artifacts[i], 32, id)));
    return json_pack("{s:s, s:s, s:I, s:o}", "name", statement->name, "version", statement->version, "sequence",
                     (json_int_t)statement->sequence, "artifacts", ids);
}

int release_add(struct cli *cli, const struct arguments *args)
{
    cleanup_buffer struct buffer message = buffer_init(0);
    cleanup_json json_t *body = NULL, *release = NULL;
    cleanup_free char *said = NULL;
    struct release_statement statement;
    bool made = arguments_given(args, "artifact"), is_signed = !made || arguments_value(args, "key");
    int rc =
        made ? read_statement(cli, args, &statement) : describe_read_file(cli, args->words[0], SIGNATURE_MAX, &message);

    if (!rc && made && is_signed)
        rc = sign(cli, args, &statement, &message);
    if (rc)
        return rc;
    body = is_signed ? signed_body(&message) : plain_body(&statement);
    rc = gateway_call(cli, &(struct client_request){.method = "POST", .path = "/v1/releases", .body = body}, &release);
    said = wait_sentence("Release %s was added.", view_string(release, "release"));
    if (!rc && said)
        cli->writer->outcome(cli->writer, &view_release, release, said);
    return rc;
}

/* Policies --------------------------------------------------------------------------------------------------------- */

int policy_list(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show_list(cli, client_path("/v1/policies"), &view_policy);
}

int policy_show(struct cli *cli, const struct arguments *args)
{
    return gateway_show(cli, client_path("/v1/policies/%s", args->words[0]), &view_policy);
}

int policy_set(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *body = NULL;
    int rc = describe_read_json(cli, args->words[1], POLICY_MAX, &body);

    if (rc)
        return rc;
    return gateway_change(cli, "PUT", client_path("/v1/policies/%s", args->words[0]), body, &view_policy,
                          wait_sentence("Policy %s was set.", args->words[0]));
}

int policy_remove(struct cli *cli, const struct arguments *args)
{
    return gateway_change(cli, "DELETE", client_path("/v1/policies/%s", args->words[0]), NULL, &view_policy,
                          wait_sentence("Policy %s was removed.", args->words[0]));
}
