#include "base/text.h"
#include "cli/audit.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "codec/audit.h"
#include "codec/keystore.h"

#include <errno.h>
#include <string.h>

/* The audit trail: reading it, carrying it away, and proving that nobody changed it. */

#define REASON_SIZE 384

int audit_list(struct cli *cli, const struct arguments *args)
{
    int64_t most = 0;
    int rc = arguments_integer(cli, args, "limit", 1, 1000000, &most);
    cleanup_json json_t *list = NULL;

    if (!rc)
        rc = gateway_list(cli, client_path("/v1/audit"), most, &list);
    if (!rc)
        cli->writer->list(cli->writer, &view_audit, list);
    return rc;
}

int audit_anchor(struct cli *cli, const struct arguments *args)
{
    (void)args;
    return gateway_show(cli, client_path("/v1/audit/anchor"), &view_anchor);
}

/* Export ----------------------------------------------------------------------------------------------------------- */

struct export
{
    FILE *to;
    size_t lines;
};

static bool write_line(void *arg, const json_t *line)
{
    struct export *export = arg;

    export->lines++;
    return json_dumpf(line, export->to, JSON_COMPACT | JSON_SORT_KEYS) == 0 && fputc('\n', export->to) != EOF;
}

int audit_export(struct cli *cli, const struct arguments *args)
{
    const char *path = arguments_value(args, "output");
    struct export export = {.to = path ? fopen(path, "we") : cli->out};
    int rc;

    if (!export.to)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be written: %s", path, strerror(errno));
    rc = audit_read_gateway(cli, write_line, &export);
    if (!rc && (ferror(export.to) || fflush(export.to) != 0))
        rc = cli_error(cli, CLI_INVALID, NULL, "the trail could not be written: %s", strerror(errno));
    if (path)
        (void)fclose(export.to);
    return rc;
}

/* Verify ----------------------------------------------------------------------------------------------------------- */

struct verify {
    struct audit_verifier verifier;
    struct audit_anchor expect;
    uint8_t key[KEY_PUBLIC_SIZE];
    bool has_key, broken; /* broken: a line that is none */
};

static bool read_hex(const json_t *object, const char *name, uint8_t *out, size_t size)
{
    return text_unhex(view_string(object, name), out, size);
}

static bool read_anchor(const json_t *json, struct audit_anchor *out)
{
    json_int_t seq = json_integer_value(json_object_get(json, "seq"));

    *out = (struct audit_anchor){.seq = seq > 0 ? (uint64_t)seq : 0,
                                 .time = json_integer_value(json_object_get(json, "time")),
                                 .base = json_is_true(json_object_get(json, "base"))};
    return read_hex(json, "hash", out->hash, sizeof out->hash) &&
           read_hex(json, "signature", out->signature, sizeof out->signature);
}

/* The hash is over the entry without it, in the one form that it has. */
static bool verify_entry(struct verify *verify, const json_t *line)
{
    json_int_t seq = json_integer_value(json_object_get(line, "seq"));
    json_t *entry = json_copy((json_t *)(uintptr_t)line);
    uint8_t hash[AUDIT_HASH_SIZE];
    char *text = NULL;
    bool good;

    (void)json_object_del(entry, "hash");
    text = entry ? json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    good = text && seq > 0 && read_hex(line, "hash", hash, sizeof hash);
    verify->broken |= !good;
    good = good && audit_verify_entry(&verify->verifier, (uint64_t)seq, text, strlen(text), hash);
    free(text);
    json_decref(entry);
    return good;
}

static bool verify_line(void *arg, const json_t *line)
{
    struct verify *verify = arg;
    const json_t *anchor = json_object_get(line, "anchor");
    struct audit_anchor read;

    if (json_object_get(line, "tcgw_audit")) {
        if (!verify->has_key) /* what the trail itself names proves no more than that it is one piece */
            verify->has_key = read_hex(line, "public_key", verify->key, sizeof verify->key);
        return true;
    }
    if (!anchor)
        return verify_entry(verify, line);
    verify->broken |= !read_anchor(anchor, &read);
    return !verify->broken && audit_verify_anchor(&verify->verifier, &read);
}

/* A PEM file, or 64 hexadecimal digits. */
static int read_key(struct cli *cli, const char *typed, struct verify *verify)
{
    cleanup_pkey EVP_PKEY *key = NULL;
    size_t size = sizeof verify->key;
    char reason[REASON_SIZE];

    verify->has_key = true;
    if (text_unhex(typed, verify->key, sizeof verify->key))
        return 0;
    if (keystore_open_public(&key, typed, reason, sizeof reason))
        return cli_error(cli, CLI_INVALID, "tcgw key show --pem writes the gateway's.", "%s", reason);
    if (EVP_PKEY_get_raw_public_key(key, verify->key, &size) != 1 || size != sizeof verify->key)
        return cli_error(cli, CLI_INVALID, NULL, "%s is no Ed25519 key", typed);
    return 0;
}

static int read_options(struct cli *cli, const struct arguments *args, struct verify *verify)
{
    const char *key = arguments_value(args, "key"), *path = arguments_value(args, "anchor");
    json_t *anchor = path ? json_load_file(path, 0, NULL) : NULL;
    bool good = !path || read_anchor(anchor, &verify->expect);

    json_decref(anchor);
    if (!good)
        return cli_error(cli, CLI_INVALID, "tcgw audit anchor --json writes one.", "%s is no anchor", path);
    verify->verifier.public_key = verify->key;
    verify->verifier.expect = path ? &verify->expect : NULL;
    return key ? read_key(cli, key, verify) : 0;
}

static int tell(struct cli *cli, struct verify *verify)
{
    struct audit_verifier *v = &verify->verifier;
    cleanup_json json_t *result = NULL;
    char sentence[320];

    if (verify->broken || !audit_verify_end(v))
        return cli_error(cli, CLI_FAILED, "Compare with an earlier export, and ask who could write to the database.",
                         "the audit trail was changed: %s", v->problem[0] ? v->problem : "a line of it is no entry");
    if (v->expect && !v->expect_gone && !audit_anchor_is_good(v->expect, v->public_key))
        return cli_error(cli, CLI_FAILED, NULL, "the anchor that was given was not signed with this key");
    result = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:b}", "verified", true, "entries", (json_int_t)v->entries,
                       "first", (json_int_t)v->first, "last", (json_int_t)v->last, "anchors", (json_int_t)v->anchors,
                       "anchored", (json_int_t)v->anchored, "anchor_met", v->expect_met);
    (void)snprintf(sentence, sizeof sentence,
                   "%llu entries, %llu to %llu, are as they were written; the gateway has signed those up to %llu.%s",
                   (unsigned long long)v->entries, (unsigned long long)v->first, (unsigned long long)v->last,
                   (unsigned long long)v->anchored,
                   v->expect_met    ? " They lead on from the anchor."
                   : v->expect_gone ? " The anchor is older than what is kept."
                                    : "");
    cli->writer->outcome(cli->writer, &view_audit, result, sentence);
    return CLI_OK;
}

int audit_verify(struct cli *cli, const struct arguments *args)
{
    const char *path = args->words[0];
    struct verify verify = {.has_key = false};
    int rc = read_options(cli, args, &verify);

    if (rc)
        return rc;
    if (path && audit_is_database(path) && !verify.has_key)
        return cli_error(cli, CLI_USAGE, NULL, "--key KEY is needed: a database does not say whose it is");
    if (!path)
        rc = audit_read_gateway(cli, verify_line, &verify);
    else
        rc = audit_is_database(path) ? audit_read_database(cli, path, verify_line, &verify)
                                     : audit_read_file(cli, path, verify_line, &verify);
    return rc ? rc : tell(cli, &verify);
}
