#include "conf/conf_private.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define KIB INT64_C(1024)
#define SECONDS INT64_C(1000)
#define MINUTES (60 * SECONDS)
#define HOURS (60 * MINUTES)
#define DAYS (24 * HOURS)

#define MEMBER(name) .offset = offsetof(struct conf_sink, name)
#define TEXT_MAX 160 /* so that a line of the file holds it */

static const struct conf_choice types[] = {{"mqtt", CONF_SINK_MQTT}, {"webhook", CONF_SINK_WEBHOOK}, {NULL, 0}};
static const struct conf_choice formats[] = {{"json", CONF_FORMAT_JSON}, {"senml", CONF_FORMAT_SENML}, {NULL, 0}};
static const struct conf_choice versions[] = {{"3.1.1", 4}, {"5", 5}, {NULL, 0}};
static const struct conf_choice commands[] = {
    {"off", CONF_COMMANDS_OFF},
    {"read", CONF_COMMANDS_READ},
    {"all", CONF_COMMANDS_ALL},
    {NULL, 0},
};

const char conf_sink_help[] =
    "A platform that the journal is sent to, one section for each of them, at most 16. NAME is 1 to 32 lower-case "
    "letters, digits, - and _; where the sink stands in the journal is kept by this name.";

const struct conf_key conf_sink_table[] = {
    {"sink", "type", CONF_ENUM, true, MEMBER(type), 0, 0, types, "mqtt", "How it is spoken to."},
    {"sink", "kinds", CONF_WORDS, true, MEMBER(kinds), 0, TEXT_MAX, NULL, "",
     "Kinds of entries that are sent: telemetry, device, presence, container, operation, artifact, security, resource, "
     "gateway, rollout; empty: all."},
    {"sink", "devices", CONF_TEXT, true, MEMBER(devices), 0, TEXT_MAX, NULL, "",
     "Only entries of these devices (ids with spaces between; x* stands for what begins with x); empty: of all."},
    {"sink", "groups", CONF_TEXT, true, MEMBER(groups), 0, TEXT_MAX, NULL, "",
     "Only entries of devices in one of these groups; empty: of all."},
    {"sink", "names", CONF_TEXT, true, MEMBER(names), 0, TEXT_MAX, NULL, "",
     "Only telemetry that has a record of one of these names (x* as above); empty: all. Other kinds are not affected."},
    {"sink", "format", CONF_ENUM, true, MEMBER(format), 0, 0, formats, "json",
     "How telemetry is written: the journal's JSON, or SenML (RFC 8428), for a webhook with kinds = telemetry only."},
    {"sink", "ca", CONF_PATH, true, MEMBER(ca), 0, TEXT_MAX, NULL, "",
     "CA that signs the platform's certificate, PEM; empty: the system's."},
    {"sink", "certificate", CONF_PATH, true, MEMBER(certificate), 0, TEXT_MAX, NULL, "",
     "The gateway's certificate for TLS, PEM; empty: none."},
    {"sink", "private_key", CONF_PATH, true, MEMBER(private_key), 0, TEXT_MAX, NULL, "",
     "The private key of certificate, PEM, readable by the daemon only."},
    {"sink", "username", CONF_TEXT, true, MEMBER(username), 0, TEXT_MAX, NULL, "",
     "User name at the platform; empty: none."},
    {"sink", "password_file", CONF_PATH, true, MEMBER(password_file), 0, TEXT_MAX, NULL, "",
     "File with the password of username, not readable by others."},
    {"sink", "timeout", CONF_DURATION, true, MEMBER(timeout_ms), SECONDS, 10 * MINUTES, NULL, "30s",
     "How long the platform may take for an answer or an acknowledgement."},
    {"sink", "backoff_max", CONF_DURATION, true, MEMBER(backoff_max_ms), SECONDS, DAYS, NULL, "2m",
     "Longest pause between two attempts; they begin with a second and double, with jitter."},
    {"sink", "allow_insecure", CONF_BOOL, true, MEMBER(allow_insecure), 0, 0, NULL, "no",
     "Whether passwords, commands = all and webhooks may go to other machines without TLS."},
    {"sink", "host", CONF_TEXT, true, MEMBER(host), 0, TEXT_MAX, NULL, "", "mqtt: name or address of the broker."},
    {"sink", "port", CONF_INT, true, MEMBER(port), 0, 65535, NULL, "0",
     "mqtt: port of the broker; 0: 1883, with TLS 8883."},
    {"sink", "version", CONF_ENUM, true, MEMBER(mqtt_version), 0, 0, versions, "5", "mqtt: version of the protocol."},
    {"sink", "tls", CONF_BOOL, true, MEMBER(tls), 0, 0, NULL, "no", "mqtt: whether TLS is used."},
    {"sink", "client_id", CONF_TEXT, true, MEMBER(client_id), 0, TEXT_MAX, NULL, "",
     "mqtt: client identifier; empty: tcgw-, the gateway's id, - and the sink's name."},
    {"sink", "topic_prefix", CONF_TEXT, true, MEMBER(topic_prefix), 1, TEXT_MAX, NULL, "tcgw",
     "mqtt: what all topics begin with; the gateway's id follows."},
    {"sink", "keepalive", CONF_DURATION, true, MEMBER(keepalive_ms), 5 * SECONDS, 18 * HOURS, NULL, "1m",
     "mqtt: a broker that says nothing for this long is asked, and left when it does not answer."},
    {"sink", "max_inflight", CONF_INT, true, MEMBER(max_inflight), 1, 1000, NULL, "100",
     "mqtt: messages on their way; as many may be repeated after a crash."},
    {"sink", "commands", CONF_ENUM, true, MEMBER(commands), 0, 0, commands, "off",
     "mqtt: REST requests that are taken from the command topic; read is GET only."},
    {"sink", "url", CONF_TEXT, true, MEMBER(url), 0, TEXT_MAX, NULL, "", "webhook: where batches are sent to (POST)."},
    {"sink", "secret_file", CONF_PATH, true, MEMBER(secret_file), 0, TEXT_MAX, NULL, "",
     "webhook: file with the key that batches are signed with (HMAC-SHA-256), not readable by others; empty: they are "
     "not signed."},
    {"sink", "batch_max", CONF_INT, true, MEMBER(batch_max), 1, 10000, NULL, "500", "webhook: entries of a batch."},
    {"sink", "batch_size", CONF_SIZE, true, MEMBER(batch_bytes), KIB, 1024 * KIB, NULL, "256K",
     "webhook: bytes of a batch, about; a larger entry goes alone."},
    {"sink", "batch_delay", CONF_DURATION, true, MEMBER(batch_delay_ms), 0, HOURS, NULL, "1s",
     "webhook: how long a batch that is not full waits for more."},
    {"sink", "max_refusals", CONF_INT, true, MEMBER(max_refusals), 1, 1000, NULL, "5",
     "How often something may be refused for good (400, 422 and the like; by a broker) until it becomes a dead "
     "letter."},
    {"sink", "give_up_after", CONF_DURATION, true, MEMBER(give_up_after_ms), 0, 45 * DAYS, NULL, "1d",
     "webhook: a batch that is answered with 5xx or 429 for this long becomes a dead letter; 0: never."},
};

const size_t conf_sink_table_size = array_size(conf_sink_table);
static_assert(array_size(conf_sink_table) <= CONF_KEYS_MAX, "the reader's table holds them");

const struct conf_key *conf_find_sink_key(const char *key)
{
    for (size_t i = 0; i < conf_sink_table_size; i++)
        if (strcmp(conf_sink_table[i].key, key) == 0)
            return &conf_sink_table[i];
    return NULL;
}

struct conf_sink *conf_find_sink(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->sink_count; i++)
        if (strcmp(conf->sinks[i].name, name) == 0)
            return &conf->sinks[i];
    return NULL;
}

static bool is_sink_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

    return length > 0 && length <= CONF_SINK_NAME_MAX && !name[length];
}

int conf_take_sink(struct conf *conf, const char *name, struct conf_sink **out, char *reason, size_t reason_size)
{
    struct conf_sink *sinks, *sink;

    *out = conf_find_sink(conf, name);
    if (*out)
        return 0;
    if (!is_sink_name(name)) {
        (void)snprintf(reason, reason_size,
                       "%.40s is not the name of a sink: expected 1 to %d lower-case letters, digits, - and _", name,
                       CONF_SINK_NAME_MAX);
        return 1;
    }
    if (conf->sink_count == CONF_SINKS_MAX) {
        (void)snprintf(reason, reason_size, "there are more than %d sinks", CONF_SINKS_MAX);
        return 1;
    }
    sinks = realloc(conf->sinks, (conf->sink_count + 1) * sizeof *sinks);
    if (!sinks)
        return -ENOMEM;
    conf->sinks = sinks;
    sink = &sinks[conf->sink_count++];
    memset(sink, 0, sizeof *sink);
    (void)text_copy(sink->name, sizeof sink->name, name);
    *out = sink;
    return conf_set_fallbacks(sink, conf_sink_table, conf_sink_table_size);
}

void conf_free_sinks(struct conf *conf)
{
    for (size_t i = 0; i < conf->sink_count; i++)
        conf_free_texts(&conf->sinks[i], conf_sink_table, conf_sink_table_size);
    free(conf->sinks);
    conf->sinks = NULL;
    conf->sink_count = 0;
}

static bool copy_keys(struct conf_sink *to, const struct conf_sink *from)
{
    char value[CONF_VALUE_SIZE], reason[CONF_REASON_SIZE];
    bool good = true;

    for (size_t i = 0; i < conf_sink_table_size; i++) {
        (void)conf_format_value(from, &conf_sink_table[i], value, sizeof value);
        good = conf_parse_value(to, &conf_sink_table[i], value, reason, sizeof reason) == 0 && good;
    }
    return good;
}

bool conf_copy_sinks(struct conf *conf, const struct conf *from)
{
    struct conf copy = {0};
    char reason[CONF_REASON_SIZE];
    struct conf_sink *sink;

    for (size_t i = 0; i < from->sink_count; i++) {
        if (conf_take_sink(&copy, from->sinks[i].name, &sink, reason, sizeof reason) ||
            !copy_keys(sink, &from->sinks[i])) {
            conf_free_sinks(&copy);
            return false;
        }
    }
    conf_free_sinks(conf);
    conf->sinks = copy.sinks;
    conf->sink_count = copy.sink_count;
    return true;
}

struct conf_sink *conf_sink_copy(const struct conf_sink *sink)
{
    struct conf_sink *copy = calloc(1, sizeof *copy);

    if (!copy)
        return NULL;
    memcpy(copy->name, sink->name, sizeof copy->name);
    return copy_keys(copy, sink) ? copy : conf_sink_free(copy);
}

struct conf_sink *conf_sink_free(struct conf_sink *sink)
{
    if (!sink)
        return NULL;
    conf_free_texts(sink, conf_sink_table, conf_sink_table_size);
    free(sink);
    return NULL;
}

bool conf_sink_equal(const struct conf_sink *a, const struct conf_sink *b)
{
    char one[CONF_VALUE_SIZE], other[CONF_VALUE_SIZE];
    bool equal = strcmp(a->name, b->name) == 0;

    for (size_t i = 0; equal && i < conf_sink_table_size; i++)
        equal = strcmp(conf_format_value(a, &conf_sink_table[i], one, sizeof one),
                       conf_format_value(b, &conf_sink_table[i], other, sizeof other)) == 0;
    return equal;
}

bool conf_words_match(const char *words, const char *word)
{
    words += strspn(words, " ");
    if (!*words)
        return true;
    for (size_t n; *words; words += n + strspn(words + n, " ")) {
        n = strcspn(words, " ");
        if (words[n - 1] == '*' ? strncmp(words, word, n - 1) == 0 : strlen(word) == n && memcmp(words, word, n) == 0)
            return true;
    }
    return false;
}

static void print_section(const struct conf_sink *sink, FILE *to, bool help)
{
    (void)fprintf(to, "\n[sink %s]\n", sink->name);
    for (size_t i = 0; i < conf_sink_table_size; i++)
        conf_print_key(sink, &conf_sink_table[i], to, help, "");
}

void conf_print_sinks(const struct conf *conf, FILE *to, bool help)
{
    struct conf_sink none = {.name = "NAME"};

    for (size_t i = 0; i < conf->sink_count; i++)
        print_section(&conf->sinks[i], to, help);
    if (conf->sink_count || !help)
        return;
    (void)fprintf(to, "\n# %s\n#[sink NAME]\n", conf_sink_help);
    if (conf_set_fallbacks(&none, conf_sink_table, conf_sink_table_size) == 0)
        for (size_t i = 0; i < conf_sink_table_size; i++)
            conf_print_key(&none, &conf_sink_table[i], to, true, "#");
    conf_free_texts(&none, conf_sink_table, conf_sink_table_size);
}
