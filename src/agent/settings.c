#include "agent/settings.h"

#include "agent/server.h"
#include "agent/transport.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <string.h>

#define DEFAULT_PORT 5683
#define DEFAULT_SLOTS 3
#define DEFAULT_PDU_SIZE 1204
#define DEFAULT_PACKAGE_MAX (256 * 1024)
#define PDU_MIN 128
#define PACKAGE_MAX (16 * 1024 * 1024)
#define HELP_COLUMN 28

struct parse {
    struct settings *s;
    const char *name;
    char *reason;
    size_t reason_size;
};

struct option {
    const char *name;
    const char *argument; /* NULL: a switch */
    const char *help;
    int (*apply)(const struct parse *p, const char *value);
};

printf_like(2, 3) static int refuse(const struct parse *p, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(p->reason, p->reason_size, format, ap);
    va_end(ap);
    return 1;
}

static int parse_number(const struct parse *p, const char *value, int64_t min, int64_t max, int64_t *out)
{
    if (text_parse_int(value, min, max, out))
        return 0;
    return refuse(p, "--%s takes a number from %lld to %lld, not \"%s\"", p->name, (long long)min, (long long)max,
                  value);
}

static int apply_agent(const struct parse *p, const char *value)
{
    if (strcmp(value, "v1") != 0 && strcmp(value, "v2") != 0)
        return refuse(p, "--agent takes v1 or v2, not \"%s\"", value);
    p->s->device.kind = value[1] == '1' ? DEVICE_V1 : DEVICE_V2;
    return 0;
}

static int apply_listen(const struct parse *p, const char *value)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, value, address) != 1 && inet_pton(AF_INET6, value, address) != 1)
        return refuse(p, "--listen takes an IPv4 or IPv6 address (no name, no brackets), not \"%s\"", value);
    p->s->address = value;
    return 0;
}

static int apply_port(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, 0, UINT16_MAX, &n))
        return 1;
    p->s->port = (uint16_t)n;
    return 0;
}

static int apply_count(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, 1, TRANSPORT_COUNT_MAX, &n))
        return 1;
    p->s->count = (unsigned)n;
    return 0;
}

static int apply_slots(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, 1, DEVICE_SLOTS_MAX, &n))
        return 1;
    p->s->device.slots = (unsigned)n;
    return 0;
}

static int apply_pdu_size(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, PDU_MIN, SERVER_DATAGRAM_MAX, &n))
        return 1;
    p->s->pdu_size = (size_t)n;
    return 0;
}

static int apply_package_max(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, 1, PACKAGE_MAX, &n))
        return 1;
    p->s->device.package_max = (size_t)n;
    return 0;
}

static int apply_device_id(const struct parse *p, const char *value)
{
    if (strlen(value) < 1 || strlen(value) > DEVICE_ID_MAX)
        return refuse(p, "--device-id takes 1 to %d bytes", DEVICE_ID_MAX);
    p->s->device.id = value;
    return 0;
}

static int apply_trust_key(const struct parse *p, const char *value)
{
    p->s->device.verify.has_key = true;
    return verify_read_key(value, p->s->device.verify.key, p->reason, p->reason_size);
}

static int apply_no_verify(const struct parse *p, const char *value)
{
    (void)value;
    p->s->device.verify.skip = true;
    return 0;
}

static int apply_bug(const struct parse *p, const char *value)
{
    return bugs_parse(&p->s->device.bugs, value, p->reason, p->reason_size);
}

static int apply_journal(const struct parse *p, const char *value)
{
    p->s->journal = value;
    return 0;
}

static int apply_seed(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, 0, UINT32_MAX, &n))
        return 1;
    p->s->device.seed = (uint32_t)n;
    return 0;
}

static int apply_help(const struct parse *p, const char *value)
{
    (void)value;
    p->s->help = true;
    return 0;
}

static int apply_version(const struct parse *p, const char *value)
{
    (void)value;
    p->s->version = true;
    return 0;
}

static const struct option options[] = {
    {"agent", "v1|v2", "the protocol to speak (v2)", apply_agent},
    {"listen", "ADDRESS", "IPv4 or IPv6 address to listen on (127.0.0.1)", apply_listen},
    {"port", "PORT", "UDP port of the first device (5683); 0: free ones", apply_port},
    {"count", "N", "simulate N devices, on consecutive ports (1)", apply_count},
    {"slots", "N", "containers that a device can hold (3)", apply_slots},
    {"pdu-size", "BYTES", "largest datagram; a larger one gets no answer (1204)", apply_pdu_size},
    {"package-max", "BYTES", "v2: largest package (262144)", apply_package_max},
    {"device-id", "TEXT", "assigned device id; \"-1\", \"-2\" follow on further devices", apply_device_id},
    {"trust-key", "KEY", "accept only tokens signed with this key (64 hex digits, or a PEM file)", apply_trust_key},
    {"no-verify", NULL, "check neither signatures nor digests", apply_no_verify},
    {"bug", "NAME[=VALUE],...", "misbehave; may be given several times", apply_bug},
    {"journal", "FILE", "append what really happened, one JSON object a line", apply_journal},
    {"seed", "N", "of everything random (0)", apply_seed},
    {"help", NULL, "show this text", apply_help},
    {"version", NULL, "show the version", apply_version},
};

static const struct option *find(const char *name, size_t length)
{
    for (size_t i = 0; i < array_size(options); i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

/* Takes one option, "--name value" or "--name=value", and steps over it. */
static int take(struct parse *p, char **argv, int *index)
{
    const char *text = argv[*index], *value = strchr(text, '=');
    const struct option *option = NULL;

    if (strncmp(text, "--", 2) == 0)
        option = find(text + 2, value ? (size_t)(value - text - 2) : strlen(text + 2));
    if (!option)
        return refuse(p, "unknown argument \"%s\"; see tcagent --help", text);
    p->name = option->name;
    if (value && !option->argument)
        return refuse(p, "--%s takes no value", option->name);
    if (option->argument && !value)
        value = argv[++*index];
    else if (value)
        value++;
    if (option->argument && !value)
        return refuse(p, "--%s needs a value: %s", option->name, option->argument);
    ++*index;
    return option->apply(p, value);
}

static int check(const struct parse *p)
{
    struct settings *s = p->s;

    if (s->port && s->port + s->count - 1 > UINT16_MAX)
        return refuse(p, "%u devices from port %u on go beyond port %d", s->count, s->port, UINT16_MAX);
    if (s->device.verify.has_key && s->device.verify.skip)
        return refuse(p, "--trust-key and --no-verify exclude each other");
    s->device.verify.old_hash = s->device.bugs.old_hash;
    return 0;
}

int settings_parse(struct settings *s, int argc, char **argv, char *reason, size_t reason_size)
{
    struct parse p = {.s = s, .reason = reason, .reason_size = reason_size};
    int i = 1;

    *s = (struct settings){.address = "127.0.0.1", .port = DEFAULT_PORT, .count = 1, .pdu_size = DEFAULT_PDU_SIZE};
    s->device = (struct device_options){.kind = DEVICE_V2, .slots = DEFAULT_SLOTS, .package_max = DEFAULT_PACKAGE_MAX};
    while (i < argc)
        if (take(&p, argv, &i))
            return 1;
    return check(&p);
}

static void print_line(FILE *out, const char *prefix, const char *name, const char *argument, const char *help)
{
    char left[64];

    (void)snprintf(left, sizeof left, "%s%s%s%s", prefix, name, argument ? "=" : "", argument ? argument : "");
    (void)fprintf(out, "  %-*s %s\n", HELP_COLUMN, left, help);
}

void settings_print_help(FILE *out)
{
    size_t count;
    const struct bug_info *bugs = bugs_table(&count);

    (void)fputs("Usage: tcagent [OPTION]...\nSimulates TinyContainer devices that really run containers.\n\n", out);
    for (size_t i = 0; i < array_size(options); i++)
        print_line(out, "--", options[i].name, options[i].argument, options[i].help);
    (void)fputs("\nBugs for --bug:\n", out);
    for (size_t i = 0; i < count; i++)
        print_line(out, "", bugs[i].name, bugs[i].argument, bugs[i].help);
    (void)fputs("\nSIGUSR1 restarts all devices, SIGTERM and SIGINT end the program. See tcagent(1).\n", out);
}
