#include "base/text.h"
#include "cli/describe.h"
#include "cli/handlers.h"
#include "cli/suit.h"
#include "codec/keystore.h"

#include <string.h>

#define PAYLOAD_MAX (16u << 20)
#define UUID_TEXT 36

/* Options in their order: those before the first --component are what all components begin with. */
struct maker {
    struct cli *cli;
    struct suit_manifest manifest;
    struct suit_component defaults;
};

static struct suit_component *current(struct maker *m)
{
    size_t count = m->manifest.component_count;

    return count ? &m->manifest.components[count - 1] : &m->defaults;
}

/* 8-4-4-4-12 hex digits. */
static bool read_uuid(const char *text, uint8_t out[16])
{
    char digits[33];
    size_t n = 0;

    if (strlen(text) != UUID_TEXT)
        return false;
    for (size_t i = 0; i < UUID_TEXT; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash != (text[i] == '-'))
            return false;
        if (!is_dash)
            digits[n++] = text[i];
    }
    digits[n] = 0;
    return text_unhex(digits, out, 16);
}

static int read_segment(struct maker *m, const char *text, size_t size, struct suit_component *out)
{
    char copy[2 * SUIT_SEGMENT_MAX + 3];
    size_t i = out->id_count;
    bool is_hex = size > 2 && strncmp(text, "0x", 2) == 0;

    if (i == SUIT_SEGMENTS_MAX || size == 0 || size > (is_hex ? sizeof copy - 1 : SUIT_SEGMENT_MAX))
        return cli_error(m->cli, CLI_USAGE, NULL, "--component: an id has 1 to %d segments of 1 to %d bytes",
                         SUIT_SEGMENTS_MAX, SUIT_SEGMENT_MAX);
    memcpy(copy, text, size);
    copy[size] = 0;
    out->id[i].size = is_hex ? size / 2 - 1 : size;
    if (!is_hex)
        memcpy(out->id[i].bytes, text, size);
    else if (!text_unhex(copy + 2, out->id[i].bytes, out->id[i].size))
        return cli_error(m->cli, CLI_USAGE, NULL, "--component: %s is no byte string", copy);
    out->id_count++;
    return 0;
}

static int add_component(struct maker *m, const char *id)
{
    int rc = 0;

    if (m->manifest.component_count == SUIT_COMPONENTS_MAX)
        return cli_error(m->cli, CLI_USAGE, NULL, "a manifest has at most %d components", SUIT_COMPONENTS_MAX);
    m->manifest.components[m->manifest.component_count++] = m->defaults;
    for (const char *p = id; !rc && p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        rc = read_segment(m, p, strcspn(p, "/"), current(m));
    return rc;
}

static int add_file(struct maker *m, const char *file)
{
    cleanup_buffer struct buffer content = {0};
    struct suit_component *c = current(m);
    int rc = describe_read_file(m->cli, file, PAYLOAD_MAX, &content);

    if (rc)
        return rc;
    if (EVP_Q_digest(NULL, "SHA256", NULL, content.data, content.size, c->digest, NULL) != 1)
        return cli_error(m->cli, CLI_FAILED, NULL, "OpenSSL could not compute a digest");
    c->has_digest = c->has_size = true;
    c->size = content.size;
    return 0;
}

static int add_offset(struct maker *m, const char *text)
{
    int64_t offset;

    if (!text_parse_int(text, 0, INT64_MAX, &offset))
        return cli_error(m->cli, CLI_USAGE, NULL, "--offset: %s is no number", text);
    current(m)->offset = (uint64_t)offset;
    current(m)->has_offset = true;
    return 0;
}

static int add_uri(struct maker *m, const char *uri)
{
    if (!text_copy(current(m)->uri, sizeof m->defaults.uri, uri))
        return cli_error(m->cli, CLI_USAGE, NULL, "--uri: an URI has at most %d bytes", SUIT_URI_MAX);
    return 0;
}

static int add_vendor(struct maker *m, const char *name)
{
    struct suit_component *c = current(m);

    if (!read_uuid(name, c->vendor))
        suit_vendor_id(name, c->vendor);
    c->has_vendor = true;
    return 0;
}

static int add_class(struct maker *m, const char *name)
{
    struct suit_component *c = current(m);

    c->has_class = read_uuid(name, c->class_id);
    if (!c->has_class && !c->has_vendor)
        return cli_error(m->cli, CLI_USAGE, NULL, "--class with a name needs --vendor before it");
    if (!c->has_class)
        suit_class_id(c->vendor, name, c->class_id);
    c->has_class = true;
    return 0;
}

static const struct {
    const char *option;
    int (*add)(struct maker *m, const char *value);
} parts[] = {
    {"component", add_component}, {"file", add_file},   {"offset", add_offset}, {"uri", add_uri},
    {"vendor", add_vendor},       {"class", add_class},
};

static int read_options(struct maker *m, const struct arguments *args)
{
    int64_t sequence = clock_wall_ms(m->cli->clock) / 1000;
    const char *dialect = arguments_value(args, "dialect");
    int rc = arguments_integer(m->cli, args, "sequence", 0, INT64_MAX, &sequence);

    m->manifest.sequence = (uint64_t)sequence;
    m->manifest.dialect = dialect && strcmp(dialect, "ietf") == 0 ? SUIT_IETF : SUIT_RIOT;
    for (size_t i = 0; i < args->option_count && !rc; i++)
        for (size_t p = 0; p < array_size(parts) && !rc; p++)
            if (strcmp(args->options[i].spec->name, parts[p].option) == 0)
                rc = parts[p].add(m, args->options[i].value);
    if (!rc && m->manifest.component_count == 0)
        rc = cli_error(m->cli, CLI_USAGE, NULL, "--component ID is needed");
    return rc;
}

int suit_command_create(struct cli *cli, const struct arguments *args)
{
    struct maker m = {.cli = cli};
    cleanup_buffer struct buffer out = {0};
    cleanup_pkey EVP_PKEY *key = NULL;
    const char *where = arguments_value(args, "key");
    char reason[SUIT_REASON_SIZE] = "there is no memory";
    int rc = read_options(&m, args);

    if (!rc && where)
        rc = suit_command_key(cli, where, &key);
    if (rc)
        return rc;
    if (suit_make(&out, &m.manifest, key, reason, sizeof reason) != 0)
        return cli_error(cli, CLI_INVALID, NULL, "%s", reason);
    return suit_command_write(cli, args, &out);
}
