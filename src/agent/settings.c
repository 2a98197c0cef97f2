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
#define REPORT_MAX 86400000 /* ms */

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
    p->s->agent.device.kind = value[1] == '1' ? DEVICE_V1 : DEVICE_V2;
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
    p->s->agent.device.slots = (unsigned)n;
    return 0;
}

static int apply_pdu_size(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, PDU_MIN, SERVER_DATAGRAM_MAX, &n))
        return 1;
    p->s->agent.pdu_size = (size_t)n;
    return 0;
}

static int apply_package_max(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, 1, PACKAGE_MAX, &n))
        return 1;
    p->s->agent.device.package_max = (size_t)n;
    return 0;
}

static int apply_device_id(const struct parse *p, const char *value)
{
    if (strlen(value) < 1 || strlen(value) > DEVICE_ID_MAX)
        return refuse(p, "--device-id takes 1 to %d bytes", DEVICE_ID_MAX);
    p->s->agent.device.id = value;
    return 0;
}

static int apply_trust_key(const struct parse *p, const char *value)
{
    p->s->agent.device.verify.has_key = true;
    return verify_read_key(value, p->s->agent.device.verify.key, p->reason, p->reason_size);
}

static int apply_no_verify(const struct parse *p, const char *value)
{
    (void)value;
    p->s->agent.device.verify.skip = true;
    return 0;
}

static int apply_bug(const struct parse *p, const char *value)
{
    return bugs_parse(&p->s->agent.device.bugs, value, p->reason, p->reason_size);
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
    p->s->agent.device.seed = (uint32_t)n;
    return 0;
}

static int apply_oscore(const struct parse *p, const char *value)
{
    enrolment_clear(&p->s->enrolment);
    return enrolment_read(&p->s->enrolment, value, p->reason, p->reason_size);
}

static int apply_allow_plain(const struct parse *p, const char *value)
{
    (void)value;
    p->s->agent.security.allow_plain = true;
    return 0;
}

static int apply_state(const struct parse *p, const char *value)
{
    p->s->agent.security.state = value;
    return 0;
}

static int apply_forget_state(const struct parse *p, const char *value)
{
    (void)value;
    p->s->agent.security.forget = true;
    return 0;
}

static int apply_gateway(const struct parse *p, const char *value)
{
    const char *first = strchr(value, ':'), *last = strrchr(value, ':'), *end = value + strlen(value);
    bool bracketed = *value == '[', port = last && (bracketed ? last[-1] == ']' : first == last);
    int64_t number = DEFAULT_PORT;
    char address[64];

    if (port)
        end = last;
    if (bracketed && end > value + 1 && end[-1] == ']') {
        value++;
        end--;
    }
    (void)snprintf(address, sizeof address, "%.*s", (int)(end - value), value);
    if ((port && !text_parse_int(last + 1, 1, UINT16_MAX, &number)) ||
        !peer_parse(address, (uint16_t)number, &p->s->agent.traffic.gateway))
        return refuse(p, "--gateway takes an address and a port, as 192.0.2.1:5683 or [2001:db8::1]:5683");
    return 0;
}

static int apply_report(const struct parse *p, const char *value)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
    size_t digits = strspn(value, "0123456789");
    char number[16];
    int64_t n;

    (void)snprintf(number, sizeof number, "%.*s", digits < sizeof number ? (int)digits : 0, value);
    for (size_t i = 0; i < array_size(units); i++)
        if (strcmp(value + digits, units[i].suffix) == 0 && text_parse_int(number, 1, REPORT_MAX / units[i].ms, &n)) {
            p->s->agent.traffic.report_ms = n * units[i].ms;
            return 0;
        }
    return refuse(p, "--report takes an interval up to a day, as 500ms, 10s or 5m, not \"%s\"", value);
}

static int apply_report_size(const struct parse *p, const char *value)
{
    int64_t n;

    if (parse_number(p, value, TRAFFIC_REPORT_MIN, CLIENT_BODY_MAX, &n))
        return 1;
    p->s->agent.traffic.report_size = (size_t)n;
    return 0;
}

static int apply_join(const struct parse *p, const char *value)
{
    (void)value;
    p->s->agent.traffic.join = true;
    return 0;
}

static int apply_observe_desired(const struct parse *p, const char *value)
{
    (void)value;
    p->s->agent.traffic.observe = true;
    return 0;
}

static int apply_attack(const struct parse *p, const char *value)
{
    return attacks_parse(&p->s->agent.attacks, value, p->reason, p->reason_size);
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
    {"seed", "N", "of everything random but keys and nonces (0)", apply_seed},
    {"oscore", "FILE", "protect with these credentials, as the gateway gave them at enrolment", apply_oscore},
    {"allow-plain", NULL, "with --oscore: serve unprotected requests too", apply_allow_plain},
    {"state", "DIRECTORY", "keep there what must survive a restart of the security context", apply_state},
    {"forget-state", NULL, "begin as if it had been lost", apply_forget_state},
    {"gateway", "ADDRESS[:PORT]", "the gateway that the devices speak to by themselves", apply_gateway},
    {"report", "INTERVAL", "PUT a report to /shadow/reported as often (500ms, 10s, 5m)", apply_report},
    {"report-size", "BYTES", "size of a report (96 or more)", apply_report_size},
    {"join", NULL, "ask the gateway to be listed as a device", apply_join},
    {"observe-desired", NULL, "observe /shadow/desired of the gateway", apply_observe_desired},
    {"attack", "NAME[:ARG],...", "attack the gateway; may be given several times", apply_attack},
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

static int check_traffic(const struct parse *p)
{
    struct settings *s = p->s;
    struct traffic_options *t = &s->agent.traffic;

    t->count = s->count;
    if (!t->gateway.size && (t->report_ms || t->join || t->observe || s->agent.attacks.count))
        return refuse(p, "--report, --join, --observe-desired and --attack need --gateway");
    if (!s->enrolment.count && (t->report_ms || t->observe || s->agent.attacks.count))
        return refuse(p, "--report, --observe-desired and --attack need --oscore");
    if (t->join && !s->agent.device.id)
        return refuse(p, "--join needs --device-id");
    return 0;
}

static int check_security(const struct parse *p)
{
    struct settings *s = p->s;
    struct security_options *security = &s->agent.security;

    if (s->enrolment.count)
        security->credentials = s->enrolment.entries;
    if (s->enrolment.count && s->enrolment.count < s->count)
        return refuse(p, "--oscore has credentials for %zu devices, not for %u", s->enrolment.count, s->count);
    if (!s->enrolment.count && (security->state || security->forget || security->allow_plain))
        return refuse(p, "--state, --forget-state and --allow-plain need --oscore");
    if (security->credentials && s->agent.pdu_size < PDU_MIN + OSCORE_OVERHEAD)
        return refuse(p, "--pdu-size must be at least %d with --oscore", PDU_MIN + OSCORE_OVERHEAD);
    return 0;
}

static int check(const struct parse *p)
{
    struct settings *s = p->s;

    if (s->port && s->port + s->count - 1 > UINT16_MAX)
        return refuse(p, "%u devices from port %u on go beyond port %d", s->count, s->port, UINT16_MAX);
    if (s->agent.device.verify.has_key && s->agent.device.verify.skip)
        return refuse(p, "--trust-key and --no-verify exclude each other");
    s->agent.device.verify.old_hash = s->agent.device.bugs.old_hash;
    return check_security(p) || check_traffic(p);
}

int settings_parse(struct settings *s, int argc, char **argv, char *reason, size_t reason_size)
{
    struct parse p = {.s = s, .reason = reason, .reason_size = reason_size};
    int i = 1;

    *s = (struct settings){.address = "127.0.0.1", .port = DEFAULT_PORT, .count = 1};
    s->agent.pdu_size = DEFAULT_PDU_SIZE;
    s->agent.device =
        (struct device_options){.kind = DEVICE_V2, .slots = DEFAULT_SLOTS, .package_max = DEFAULT_PACKAGE_MAX};
    while (i < argc)
        if (take(&p, argv, &i))
            return 1;
    return check(&p);
}

void settings_clear(struct settings *s)
{
    enrolment_clear(&s->enrolment);
}

static void print_line(FILE *out, const char *prefix, const char *name, char separator, const char *argument,
                       const char *help)
{
    char left[64];

    if (argument)
        (void)snprintf(left, sizeof left, "%s%s%c%s", prefix, name, separator, argument);
    else
        (void)snprintf(left, sizeof left, "%s%s", prefix, name);
    (void)fprintf(out, "  %-*s %s\n", HELP_COLUMN, left, help);
}

void settings_print_help(FILE *out)
{
    size_t count;
    const struct bug_info *bugs = bugs_table(&count);
    const struct attack_info *attacks;

    (void)fputs("Usage: tcagent [OPTION]...\nSimulates TinyContainer devices that really run containers.\n\n", out);
    for (size_t i = 0; i < array_size(options); i++)
        print_line(out, "--", options[i].name, '=', options[i].argument, options[i].help);
    (void)fputs("\nBugs for --bug:\n", out);
    for (size_t i = 0; i < count; i++)
        print_line(out, "", bugs[i].name, '=', bugs[i].argument, bugs[i].help);
    (void)fputs("\nAttacks for --attack:\n", out);
    attacks = attacks_table(&count);
    for (size_t i = 0; i < count; i++)
        print_line(out, "", attacks[i].name, ':', attacks[i].argument, attacks[i].help);
    (void)fputs("\nSIGUSR1 restarts all devices, SIGUSR2 restarts them without their state, SIGTERM and SIGINT end the "
                "program. See tcagent(1).\n",
                out);
}
