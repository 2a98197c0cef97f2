#include "base/text.h"
#include "cli/describe.h"
#include "cli/handlers.h"
#include "cli/wait.h"
#include "cli/writer.h"
#include "codec/key.h"
#include "codec/rbpf.h"
#include "codec/token.h"
#include "codec/wasm.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#define FILE_MAX (16u << 20)
#define DEFAULT_LOOP_PERIOD 1000
#define REASON_SIZE 256

/* What an agent would refuse is refused here; a WebAssembly module's imports say which system calls it needs. */
static int check_code(struct cli *cli, const char *file, const struct buffer *code, struct metadata *md)
{
    char reason[REASON_SIZE] = "it is empty";
    struct wasm_summary wasm;
    struct rbpf_file rbpf;
    bool bad = code->size == 0;

    if (!bad && md->type == CONTAINER_TYPE_WASM) {
        bad = wasm_check(code->data, code->size, &wasm, reason, sizeof reason) != 0;
        md->syscall_mask = bad ? 0 : wasm.syscall_mask;
    } else if (!bad && md->type == CONTAINER_TYPE_RBPF) {
        bad = rbpf_check(code->data, code->size, &rbpf, reason, sizeof reason) != 0;
    }
    return bad ? cli_error(cli, CLI_INVALID, NULL, "%s cannot run as a container: %s", file, reason) : 0;
}

/* The code and data parts and the description, checked. */
static int read_parts(struct cli *cli, const struct arguments *args, struct metadata *md, struct buffer *code,
                      struct buffer *data)
{
    const char *file = args->words[0], *data_file = arguments_value(args, "data");
    cleanup_json json_t *description = NULL;
    int rc = describe_read_file(cli, file, FILE_MAX, code);

    if (!rc && data_file)
        rc = describe_read_file(cli, data_file, FILE_MAX, data);
    if (!rc)
        rc = describe_make(cli, args, file, &description);
    if (rc)
        return rc;
    md->type = container_type_from_name(view_string(description, "type"));
    rc = check_code(cli, file, code, md);
    return rc ? rc : describe_to_metadata(cli, description, md);
}

static int sign(struct cli *cli, const struct arguments *args, const struct metadata *md, const struct buffer *code,
                const struct buffer *data)
{
    uint8_t out[METADATA_MAX_SIZE];
    cleanup_key struct key *key = NULL;
    char reason[REASON_SIZE];
    int n;

    if (key_load(&key, arguments_value(args, "key"), reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, "openssl genpkey -algorithm ed25519 -out key.pem makes a key.", "%s",
                         reason);
    n = metadata_build(md, data->data, data->size, code->data, code->size, key_sign, key, out, sizeof out);
    if (n <= 0)
        return cli_error(cli, CLI_INVALID,
                         "Check that endpoint ids are different, and that each container as peer has a peer-uid.",
                         n < 0 ? "the key could not sign" : "the description cannot be put into metadata");
    return describe_write_file(cli, arguments_value(args, "output"), out, (size_t)n);
}

int metadata_command_build(struct cli *cli, const struct arguments *args)
{
    cleanup_buffer struct buffer code = {0}, data = {0};
    struct metadata md = {.limits = {.loop_period = DEFAULT_LOOP_PERIOD}};
    const char *uid = arguments_value(args, "uid");
    int rc;

    if (!uid || !arguments_value(args, "key"))
        return cli_error(cli, CLI_USAGE, NULL, "--key PEM and --uid UID are needed");
    md.uid_length = strlen(uid);
    if (md.uid_length == 0 || !text_copy(md.uid, sizeof md.uid, uid))
        return cli_error(cli, CLI_USAGE, NULL, "a uid has 1 to %d bytes", METADATA_UID_MAX);
    if (!arguments_value(args, "output") && cli->out_terminal)
        return cli_error(cli, CLI_USAGE, "Write it to a file with --output FILE.", "this is no text for a terminal");
    rc = read_parts(cli, args, &md, &code, &data);
    return rc ? rc : sign(cli, args, &md, &code, &data);
}

static bool read_public_pem(const char *path, uint8_t out[KEY_PUBLIC_SIZE])
{
    cleanup_fclose FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PUBKEY(file, NULL, NULL, NULL) : NULL;
    size_t size = KEY_PUBLIC_SIZE;
    bool good = key && EVP_PKEY_is_a(key, "ED25519") && EVP_PKEY_get_raw_public_key(key, out, &size) == 1;

    EVP_PKEY_free(key);
    return good;
}

static int read_public_key(struct cli *cli, const char *text, uint8_t out[KEY_PUBLIC_SIZE])
{
    cleanup_key struct key *key = NULL;
    char reason[REASON_SIZE];

    if (text_unhex(text, out, KEY_PUBLIC_SIZE) || read_public_pem(text, out))
        return 0;
    if (key_load(&key, text, reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, "A public key as PEM, or 64 hex digits, does as well.", "%s", reason);
    key_public(key, out);
    return 0;
}

static json_t *text_of(const char *bytes, size_t size)
{
    cleanup_buffer struct buffer b = {0};

    display_append(&b, bytes, size, false);
    return json_string(buffer_text(&b));
}

static json_t *hex_of(const uint8_t digest[METADATA_DIGEST_SIZE])
{
    char text[2 * METADATA_DIGEST_SIZE + 1];

    return json_string(text_hex(digest, METADATA_DIGEST_SIZE, text));
}

static json_t *syscalls_of(uint32_t mask)
{
    json_t *names = json_array();

    for (unsigned id = 1; id <= 32; id++)
        if (mask >> (id - 1) & 1) {
            const char *name = container_syscall_name(id);

            (void)json_array_append_new(names, name ? json_string(name) : json_integer((json_int_t)id));
        }
    return names;
}

static json_t *endpoints_of(const struct metadata *md)
{
    json_t *array = json_array();

    for (size_t i = 0; i < md->endpoint_count; i++) {
        const struct container_endpoint *e = &md->endpoints[i];
        json_t *object = json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)e->id, "peer", endpoint_peer_name(e->peer),
                                   "peer_endpoint", (json_int_t)e->peer_endpoint, "direction",
                                   endpoint_direction_name(e->direction));

        if (*e->peer_uid)
            (void)json_object_set_new(object, "peer_uid", text_of(e->peer_uid, strlen(e->peer_uid)));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static json_t *limits_of(const struct container_limits *l)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "start_max_duration_ms", (json_int_t)l->start_max_duration,
                     "loop_period_ms", (json_int_t)l->loop_period, "loop_max_duration_ms",
                     (json_int_t)l->loop_max_duration, "loop_max_lifetime", (json_int_t)l->loop_max_lifetime,
                     "stop_max_duration_ms", (json_int_t)l->stop_max_duration);
}

static json_t *describe(const struct metadata *md, const struct metadata_tokens *tokens, size_t size)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:{s:o, s:o, s:o}}", "uid", text_of(md->uid, md->uid_length),
                     "type", container_type_name(md->type), "syscalls", syscalls_of(md->syscall_mask), "endpoints",
                     endpoints_of(md), "limits", limits_of(&md->limits), "size", (json_int_t)size, "digests", "code",
                     hex_of(tokens->code_digest), "data", hex_of(tokens->data_digest), "metadata",
                     hex_of(tokens->metadata_digest));
}

/* Adds a verdict to the checks; false when it is bad. */
static bool add_check(json_t *checks, const char *name, bool good)
{
    (void)json_object_set_new(checks, name, json_string(good ? "ok" : "failed"));
    return good;
}

static int check_part(struct cli *cli, const struct arguments *args, const char *name, const uint8_t *digest,
                      json_t *checks, bool *good)
{
    const char *file = arguments_value(args, name);
    cleanup_buffer struct buffer content = {0};
    uint8_t actual[METADATA_DIGEST_SIZE];
    int rc = file ? describe_read_file(cli, file, FILE_MAX, &content) : 0;

    if (rc || !file)
        return rc;
    token_digest(content.data, content.size, NULL, 0, actual);
    *good = add_check(checks, name, memcmp(actual, digest, sizeof actual) == 0) && *good;
    return 0;
}

/* Older tools computed the last hash with the token's place filled with zeros: that is accepted too. */
static int check_all(struct cli *cli, const struct arguments *args, const struct metadata_tokens *tokens,
                     json_t *checks, bool *good)
{
    const char *key_text = arguments_value(args, "key");
    uint8_t key[KEY_PUBLIC_SIZE];
    int rc = key_text ? read_public_key(cli, key_text, key) : 0;

    if (rc)
        return rc;
    *good = add_check(checks, "metadata",
                      memcmp(tokens->metadata_digest, tokens->covered_digest, METADATA_DIGEST_SIZE) == 0 ||
                          memcmp(tokens->metadata_digest, tokens->zeroed_digest, METADATA_DIGEST_SIZE) == 0);
    if (key_text)
        *good =
            add_check(checks, "signatures", metadata_verify(tokens, key, NULL, 0, NULL, 0) != METADATA_E_SIGNATURE) &&
            *good;
    rc = check_part(cli, args, "code", tokens->code_digest, checks, good);
    return rc ? rc : check_part(cli, args, "data", tokens->data_digest, checks, good);
}

int metadata_command_inspect(struct cli *cli, const struct arguments *args)
{
    cleanup_buffer struct buffer input = {0};
    cleanup_json json_t *object = NULL, *checks = json_object();
    struct metadata_tokens tokens;
    struct metadata md;
    char reason[REASON_SIZE];
    bool good = true;
    int rc = describe_read_file(cli, args->words[0], METADATA_MAX_SIZE, &input);

    if (rc)
        return rc;
    if (metadata_parse(input.data, input.size, &md, &tokens, reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s is no TinyContainer metadata: %s", args->words[0], reason);
    rc = check_all(cli, args, &tokens, checks, &good);
    if (rc)
        return rc;
    object = describe(&md, &tokens, input.size);
    (void)json_object_set(object, "checks", checks);
    cli->writer->object(cli->writer, &view_metadata, object);
    if (good)
        return CLI_OK;
    return cli_error(cli, CLI_INVALID, "Build it again, with the key that devices trust.",
                     "%s does not pass its checks", args->words[0]);
}
