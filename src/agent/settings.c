#include "agent/settings.h"

#include "agent/server.h"
#include "agent/transport.h"
#include "base/text.h"
#include "codec/cose.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define DEFAULT_PORT 5683
#define DEFAULT_SLOTS 3
#define DEFAULT_PDU_SIZE 1204
#define DEFAULT_PACKAGE_MAX (256 * 1024)
#define PDU_MIN 128
#define KEY_FILE_MAX 4096
#define MEMORY_MIN 1024
#define MEMORY_MAX (1024 * 1024 * 1024)
#define PACKAGE_MAX (16 * 1024 * 1024)
#define HELP_COLUMN 28
#define INTERVAL_MAX 86400000 /* ms */
#define SLEEP_MAX (7 * 86400)
#define AWAKE_MAX 600000
#define AWAKE_DEFAULT 1000
#define ENDPOINT_NAME_MAX 50 /* so that a number fits behind it */

struct parse {
    struct settings *s;
    const char *name;
    char *reason;
    size_t reason_size;
};

/* What stands for an option in struct settings; its argument is a number, a text, or there is none (a switch). */
struct option {
    const char *name;
    const char *argument; /* NULL: a switch */
    const char *help;
    int (*apply)(const struct parse *p, const char *value); /* NULL: as the rest says */
    size_t offset, size;                                    /* size 0: not a number */
    int64_t min, max;
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

static int apply_runtimes(const struct parse *p, const char *value)
{
    unsigned types = 0;

    while (*value) {
        size_t length = strcspn(value, ",");
        char name[16];
        enum container_type type;

        (void)snprintf(name, sizeof name, "%.*s", (int)length, value);
        type = container_type_from_name(name);
        if (type >= CONTAINER_TYPE_COUNT || !(BOARD_RUNTIMES & 1u << type))
            return refuse(p, "--runtimes takes wasm and rbpf, not \"%s\"", name);
        types |= 1u << type;
        value += length + (value[length] == ',');
    }
    p->s->agent.device.runtimes = types;
    return types ? 0 : refuse(p, "--runtimes takes wasm, rbpf or both");
}

static int apply_suit(const struct parse *p, const char *value)
{
    if (strcmp(value, "riot") != 0 && strcmp(value, "ietf") != 0)
        return refuse(p, "--suit takes riot or ietf, not \"%s\"", value);
    p->s->agent.device.kind = DEVICE_SUIT;
    p->s->agent.suit.dialect = strcmp(value, "ietf") == 0 ? SUITDEV_IETF : SUITDEV_RIOT;
    return 0;
}

static int apply_suit_key(const struct parse *p, const char *value)
{
    char pem[KEY_FILE_MAX];
    FILE *file = fopen(value, "re");
    size_t size = file ? fread(pem, 1, sizeof pem, file) : 0;

    if (!file)
        return refuse(p, "--suit-key %s: %s", value, strerror(errno));
    (void)fclose(file);
    EVP_PKEY_free(p->s->suit_key);
    p->s->suit_key = cose_read_public_key(pem, size, p->reason, p->reason_size);
    return p->s->suit_key ? 0 : 1;
}

static int apply_listen(const struct parse *p, const char *value)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, value, address) != 1 && inet_pton(AF_INET6, value, address) != 1)
        return refuse(p, "--listen takes an IPv4 or IPv6 address (no name, no brackets), not \"%s\"", value);
    p->s->address = value;
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

static int apply_bug(const struct parse *p, const char *value)
{
    return bugs_parse(&p->s->agent.device.bugs, value, p->reason, p->reason_size);
}

static int apply_oscore(const struct parse *p, const char *value)
{
    enrolment_clear(&p->s->enrolment);
    return enrolment_read(&p->s->enrolment, value, p->reason, p->reason_size);
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

/* Milliseconds, from "500ms", "10s" or "5m"; false for anything else. */
static bool parse_interval(const char *value, int64_t *ms)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
    size_t digits = strspn(value, "0123456789");
    char number[16];

    (void)snprintf(number, sizeof number, "%.*s", digits < sizeof number ? (int)digits : 0, value);
    for (size_t i = 0; i < array_size(units); i++)
        if (strcmp(value + digits, units[i].suffix) == 0 && text_parse_int(number, 1, INTERVAL_MAX / units[i].ms, ms)) {
            *ms *= units[i].ms;
            return true;
        }
    return false;
}

static int apply_report(const struct parse *p, const char *value)
{
    if (parse_interval(value, &p->s->agent.traffic.report_ms))
        return 0;
    return refuse(p, "--report takes an interval up to a day, as 500ms, 10s or 5m, not \"%s\"", value);
}

static int apply_reboot(const struct parse *p, const char *value)
{
    if (parse_interval(value, &p->s->agent.reboot_ms))
        return 0;
    return refuse(p, "--reboot-every takes an interval up to a day, as 500ms, 10s or 5m, not \"%s\"", value);
}

static int apply_telemetry(const struct parse *p, const char *value)
{
    struct outbox_options *o = &p->s->agent.traffic.outbox;

    o->samples = true;
    o->interval_ms = OUTBOX_FULL_SPEED;
    if (strcmp(value, "max") == 0 || parse_interval(value, &o->interval_ms))
        return 0;
    return refuse(p, "--telemetry takes an interval up to a day, as 500ms, 10s or 5m, or max, not \"%s\"", value);
}

static int apply_telemetry_format(const struct parse *p, const char *value)
{
    static const char *const names[] = {[OUTBOX_CBOR] = "cbor", [OUTBOX_JSON] = "json", [OUTBOX_TEXT] = "text"};

    for (size_t i = 0; i < array_size(names); i++)
        if (strcmp(names[i], value) == 0) {
            p->s->agent.traffic.outbox.format = (enum outbox_format)i;
            return 0;
        }
    return refuse(p, "--telemetry-format takes cbor, json or text, not \"%s\"", value);
}

static int apply_register(const struct parse *p, const char *value)
{
    (void)value;
    p->s->agent.traffic.registration.kind =
        strcmp(p->name, "simple-register") == 0 ? REGISTRATION_SIMPLE : REGISTRATION_FULL;
    return 0;
}

static int apply_endpoint_name(const struct parse *p, const char *value)
{
    if (strlen(value) < 1 || strlen(value) > ENDPOINT_NAME_MAX || strchr(value, '&'))
        return refuse(p, "--endpoint-name takes 1 to %d bytes without an ampersand", ENDPOINT_NAME_MAX);
    p->s->agent.traffic.registration.name = value;
    return 0;
}

static int apply_attack(const struct parse *p, const char *value)
{
    return attacks_parse(&p->s->agent.attacks, value, p->reason, p->reason_size);
}

#define AT(field) NULL, offsetof(struct settings, field), 0, 0, 0
#define NUMBER(field, min, max) NULL, offsetof(struct settings, field), sizeof(((struct settings *)0)->field), min, max
#define BY(function) function, 0, 0, 0, 0

static const struct option options[] = {
    {"agent", "v1|v2", "the protocol to speak (v2)", BY(apply_agent)},
    {"suit", "riot|ietf", "be a SUIT device that takes manifests of this form", BY(apply_suit)},
    {"suit-key", "FILE", "accept only manifests signed with this public key", BY(apply_suit_key)},
    {"board", "NAME", "of a SUIT device (native)", AT(agent.suit.board)},
    {"url-max", "BYTES", "a URL for a SUIT device must be shorter (128)",
     NUMBER(agent.suit.url_max, 16, SUITDEV_URL_LIMIT)},
    {"femto-containers", NULL, "with --suit: run what is in a slot on POST /bpf/exec/SLOT", AT(agent.suit.femto)},
    {"listen", "ADDRESS", "IPv4 or IPv6 address to listen on (127.0.0.1)", BY(apply_listen)},
    {"port", "PORT", "UDP port of the first device (5683); 0: free ones", NUMBER(port, 0, UINT16_MAX)},
    {"count", "N", "simulate N devices, on consecutive ports (1)", NUMBER(count, 1, TRANSPORT_COUNT_MAX)},
    {"slots", "N", "containers that a device can hold (3)", NUMBER(agent.device.slots, 1, DEVICE_SLOTS_MAX)},
    {"pdu-size", "BYTES", "largest datagram; a larger one gets no answer (1204)",
     NUMBER(agent.pdu_size, PDU_MIN, SERVER_DATAGRAM_MAX)},
    {"package-max", "BYTES", "v2: largest package (262144)", NUMBER(agent.device.package_max, 1, PACKAGE_MAX)},
    {"runtimes", "NAME,...", "what containers it can run (wasm,rbpf)", BY(apply_runtimes)},
    {"memory", "BYTES", "of a device, for packages and what they need when they run",
     NUMBER(agent.device.memory, MEMORY_MIN, MEMORY_MAX)},
    {"flash-fail-rate", "PERCENT", "of the installations that fail", NUMBER(agent.device.flash_fail_rate, 0, 100)},
    {"reboot-every", "INTERVAL", "each device, about as often, at random", BY(apply_reboot)},
    {"forget", NULL, "with --reboot-every: containers are gone afterwards", AT(agent.forgets)},
    {"device-id", "TEXT", "assigned device id; \"-1\", \"-2\" follow on further devices", BY(apply_device_id)},
    {"trust-key", "KEY", "accept only tokens signed with this key (64 hex digits, or a PEM file)", BY(apply_trust_key)},
    {"no-verify", NULL, "check neither signatures nor digests", AT(agent.device.verify.skip)},
    {"bug", "NAME[=VALUE],...", "misbehave; may be given several times", BY(apply_bug)},
    {"journal", "FILE", "append what really happened, one JSON object a line", AT(journal)},
    {"seed", "N", "of everything random but keys and nonces (0)", NUMBER(agent.device.seed, 0, UINT32_MAX)},
    {"oscore", "FILE", "protect with these credentials, as the gateway gave them at enrolment", BY(apply_oscore)},
    {"allow-plain", NULL, "with --oscore: serve unprotected requests too", AT(agent.security.allow_plain)},
    {"state", "DIRECTORY", "keep there what must survive a restart of the security context", AT(agent.security.state)},
    {"forget-state", NULL, "begin as if it had been lost", AT(agent.security.forget)},
    {"gateway", "ADDRESS[:PORT]", "the gateway that the devices speak to by themselves", BY(apply_gateway)},
    {"ack-timeout", "MS", "first wait for an acknowledgement (2000)", NUMBER(agent.ack_timeout_ms, 10, 60000)},
    {"register", NULL, "register at the gateway's directory, and stay there", BY(apply_register)},
    {"simple-register", NULL, "the same by simple registration", BY(apply_register)},
    {"lifetime", "SECONDS", "of the registration (3600)", NUMBER(agent.traffic.registration.lifetime, 1, UINT32_MAX)},
    {"endpoint-name", "TEXT", "to register under (the device id); \"-1\", \"-2\" follow", BY(apply_endpoint_name)},
    {"sleep", "SECONDS", "wake up only as often", NUMBER(agent.nap.sleep_s, 1, SLEEP_MAX)},
    {"awake", "MS", "listen so long after each message of its own (1000)", NUMBER(agent.nap.awake_ms, 1, AWAKE_MAX)},
    {"telemetry", "INTERVAL|max", "send what the simulated sensors measure as often", BY(apply_telemetry)},
    {"telemetry-records", "N", "records in a message (1)", NUMBER(agent.traffic.outbox.records, 1, OUTBOX_RECORDS_MAX)},
    {"telemetry-format", "FORMAT", "cbor, json (SenML) or text (cbor)", BY(apply_telemetry_format)},
    {"telemetry-buffer", "N", "records that wait while the gateway is away (1000)",
     NUMBER(agent.traffic.outbox.buffer, 1, OUTBOX_BUFFER_MAX)},
    {"no-clock", NULL, "records have no times", AT(agent.traffic.outbox.no_clock)},
    {"sensor-period", "MS", "how long the sensors' resources keep their values (10000)",
     NUMBER(agent.device.sensor_period_ms, 1, INTERVAL_MAX)},
    {"report", "INTERVAL", "PUT a report to /shadow/reported as often (500ms, 10s, 5m)", BY(apply_report)},
    {"report-size", "BYTES", "size of a report (96 or more)",
     NUMBER(agent.traffic.report_size, TRAFFIC_REPORT_MIN, CLIENT_BODY_MAX)},
    {"join", NULL, "ask the gateway to be listed as a device", AT(agent.traffic.join)},
    {"observe-desired", NULL, "observe /shadow/desired of the gateway", AT(agent.traffic.observe)},
    {"lose", "PERCENT", "of all datagrams, in both directions", NUMBER(agent.link.lose, 0, 100)},
    {"delay", "MS", "each datagram by so long", NUMBER(agent.link.delay_ms, 0, LINK_DELAY_MAX)},
    {"reorder", "PERCENT", "of the datagrams are overtaken by later ones", NUMBER(agent.link.reorder, 0, 100)},
    {"duplicate", "PERCENT", "of the datagrams come twice", NUMBER(agent.link.duplicate, 0, 100)},
    {"flood", "RATE", "send so many telemetry messages a second, whatever is answered",
     NUMBER(agent.flood.rate, 1, FLOOD_RATE_MAX)},
    {"flood-register", NULL, "with --flood: registrations under ever new names instead",
     AT(agent.flood.register_names)},
    {"attack", "NAME[:ARG],...", "attack the gateway; may be given several times", BY(apply_attack)},
    {"help", NULL, "show this text", AT(help)},
    {"version", NULL, "show the version", AT(version)},
};

static const struct option *find(const char *name, size_t length)
{
    for (size_t i = 0; i < array_size(options); i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

/* The fields of the table are bool, const char * and unsigned integers of these sizes. */
static int store(const struct parse *p, const struct option *option, const char *value)
{
    void *field = (char *)p->s + option->offset;
    int64_t n;

    if (!option->argument)
        *(bool *)field = true;
    else if (!option->size)
        *(const char **)field = value;
    else if (parse_number(p, value, option->min, option->max, &n))
        return 1;
    else if (option->size == sizeof(uint16_t))
        *(uint16_t *)field = (uint16_t)n;
    else if (option->size == sizeof(uint32_t))
        *(uint32_t *)field = (uint32_t)n;
    else
        *(uint64_t *)field = (uint64_t)n;
    return 0;
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
    return option->apply ? option->apply(p, value) : store(p, option, value);
}

static int check_telemetry(const struct parse *p)
{
    const struct agent_options *a = &p->s->agent;
    const struct outbox_options *o = &a->traffic.outbox;

    if (o->format == OUTBOX_TEXT && o->records > 1)
        return refuse(p, "--telemetry-format=text has one record in a message");
    if (!o->samples && (o->records > 1 || o->no_clock) && !a->traffic.gateway.size)
        return refuse(p, "--telemetry-records and --no-clock need --gateway");
    if (o->samples && o->records > (o->buffer ? o->buffer : OUTBOX_BUFFER_DEFAULT))
        return refuse(p, "--telemetry-buffer must hold the records of a message");
    if (a->nap.sleep_s && !o->samples && a->traffic.registration.kind == REGISTRATION_NONE)
        return refuse(p, "--sleep needs --register or --telemetry: something to wake up for");
    if (a->nap.awake_ms && !a->nap.sleep_s)
        return refuse(p, "--awake needs --sleep");
    return 0;
}

static int check_traffic(const struct parse *p)
{
    struct settings *s = p->s;
    struct traffic_options *t = &s->agent.traffic;
    bool directory = t->registration.kind != REGISTRATION_NONE;

    t->count = s->count;
    if (!t->gateway.size && (directory || t->outbox.samples || s->agent.flood.rate))
        return refuse(p, "--register, --simple-register, --telemetry and --flood need --gateway");
    if (!t->gateway.size && (t->report_ms || t->join || t->observe || s->agent.attacks.count))
        return refuse(p, "--report, --join, --observe-desired and --attack need --gateway");
    if (!s->enrolment.count && (t->report_ms || t->observe || s->agent.attacks.count))
        return refuse(p, "--report, --observe-desired and --attack need --oscore");
    if (t->join && !s->agent.device.id)
        return refuse(p, "--join needs --device-id");
    if (!directory && (t->registration.lifetime || t->registration.name))
        return refuse(p, "--lifetime and --endpoint-name need --register");
    if (!t->registration.lifetime)
        t->registration.lifetime = REGISTRATION_LIFETIME_DEFAULT;
    if (check_telemetry(p))
        return 1;
    if (!s->agent.nap.awake_ms)
        s->agent.nap.awake_ms = AWAKE_DEFAULT;
    return 0;
}

static int check_security(const struct parse *p)
{
    struct settings *s = p->s;
    struct security_options *security = &s->agent.security;

    if (s->enrolment.count) {
        security->credentials = s->enrolment.entries;
        s->agent.names = (const char *const *)s->enrolment.names;
    }
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
    if (s->agent.forgets && !s->agent.reboot_ms)
        return refuse(p, "--forget needs --reboot-every");
    if (s->agent.device.memory && s->agent.device.memory < s->agent.device.package_max)
        s->agent.device.package_max = s->agent.device.memory;
    if (s->agent.device.kind != DEVICE_SUIT &&
        (s->suit_key || s->agent.suit.board || s->agent.suit.url_max || s->agent.suit.femto))
        return refuse(p, "--suit-key, --board, --url-max and --femto-containers need --suit");
    s->agent.suit.key = s->suit_key;
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
    EVP_PKEY_free(s->suit_key);
    s->suit_key = NULL;
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
