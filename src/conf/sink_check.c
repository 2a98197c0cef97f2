#include "conf/conf_private.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* What goes across the keys of a sink. Files are looked at when they are used. */

/* As the core names them. */
static const char kinds[] =
    "telemetry device presence container operation artifact security resource gateway rollout audit";

bool conf_is_loopback_host(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool are_kinds(const char *words)
{
    char word[16];

    for (size_t n; *(words += strspn(words, " ")); words += n) {
        n = strcspn(words, " ");
        if (n >= sizeof word)
            return false;
        (void)snprintf(word, sizeof word, "%.*s", (int)n, words);
        if (strchr(word, '*') || !conf_words_match(kinds, word))
            return false;
    }
    return true;
}

/* Topics are made of it: no wildcards, no level without a name. */
static bool is_topic_prefix(const char *text)
{
    size_t length = strlen(text);

    return length && text[0] != '$' && text[0] != '/' && text[length - 1] != '/' && !strpbrk(text, "+# ") &&
           !strstr(text, "//");
}

static const char *find_mqtt_problem(const struct conf_sink *sink)
{
    bool local = conf_is_loopback_host(sink->host), safe = sink->tls || local || sink->allow_insecure;

    if (!*sink->host)
        return "host is empty: set the broker's name or address";
    if (strpbrk(sink->host, " /@"))
        return "host is not a name or an address";
    if (!is_topic_prefix(sink->topic_prefix))
        return "topic_prefix has a wildcard, a space, an empty level or a $ in front";
    if (sink->commands == CONF_COMMANDS_ALL && !safe)
        return "commands = all lets whoever reads the network command this gateway: set tls = yes, or allow_insecure = "
               "yes if the network is trusted";
    if (*sink->password_file && !safe)
        return "the password would go over the network unprotected: set tls = yes, or allow_insecure = yes if the "
               "network is trusted";
    if (!sink->tls && (*sink->ca || *sink->certificate))
        return "ca and certificate are for TLS: set tls = yes";
    return NULL;
}

/* "http://host..." whose host is this machine. */
static bool is_local_url(const char *url)
{
    char host[64];
    size_t n;

    url += strlen("http://");
    if (*url == '[')
        url++;
    n = strcspn(url, *(url - 1) == '[' ? "]" : ":/?#");
    if (n >= sizeof host)
        return false;
    (void)snprintf(host, sizeof host, "%.*s", (int)n, url);
    return conf_is_loopback_host(host);
}

const char *conf_find_store_problem(const struct conf *conf)
{
    const char *url = conf->artifacts_store_url;
    bool tls = strncasecmp(url, "https://", 8) == 0;

    if (!*url)
        return NULL;
    if (!tls && strncasecmp(url, "http://", 7) != 0)
        return "artifacts.store_url does not begin with https:// or http://";
    if (strpbrk(url, " @?#"))
        return "artifacts.store_url has a space, a user, a query or a fragment";
    if (!tls && *conf->artifacts_store_token_file && !is_local_url(url))
        return "the token of artifacts.store_token_file would go over the network unprotected: use https";
    return NULL;
}

static const char *find_webhook_problem(const struct conf_sink *sink)
{
    bool tls = strncasecmp(sink->url, "https://", 8) == 0;

    if (!*sink->url)
        return "url is empty: set where batches shall be sent to";
    if (!tls && strncasecmp(sink->url, "http://", 7) != 0)
        return "url does not begin with https:// or http://";
    if (strpbrk(sink->url, " @"))
        return "url has a space or a user: set username and password_file";
    if (!tls && !sink->allow_insecure && !is_local_url(sink->url))
        return "batches would go over the network unprotected: use https, or set allow_insecure = yes if the network "
               "is trusted";
    if (sink->format == CONF_FORMAT_SENML && strcmp(sink->kinds, "telemetry") != 0)
        return "format = senml has no form for changes: set kinds = telemetry";
    if (sink->commands != CONF_COMMANDS_OFF)
        return "commands come over MQTT only";
    return NULL;
}

static const char *find_problem(const struct conf_sink *sink)
{
    if (!are_kinds(sink->kinds))
        return "kinds has an unknown word: expected some of telemetry, device, presence, container, operation, "
               "artifact, security, resource, gateway, rollout";
    if (!*sink->certificate != !*sink->private_key)
        return "certificate and private_key belong together: set both or none";
    if (*sink->password_file && !*sink->username)
        return "password_file needs a username";
    return sink->type == CONF_SINK_MQTT ? find_mqtt_problem(sink) : find_webhook_problem(sink);
}

static bool takes_commands(const struct conf_sink *sink)
{
    return sink->type == CONF_SINK_MQTT && sink->commands != CONF_COMMANDS_OFF;
}

/* Whether another one gets the same commands, which would be carried out twice. */
static bool shares_commands(const struct conf *conf, const struct conf_sink *sink)
{
    for (const struct conf_sink *other = conf->sinks; takes_commands(sink) && other < sink; other++)
        if (takes_commands(other) && other->port == sink->port && strcasecmp(other->host, sink->host) == 0 &&
            strcmp(other->topic_prefix, sink->topic_prefix) == 0)
            return true;
    return false;
}

int conf_check_sinks(const struct conf *conf, char *reason, size_t reason_size)
{
    for (size_t i = 0; i < conf->sink_count; i++) {
        const char *problem = find_problem(&conf->sinks[i]);

        if (!problem && shares_commands(conf, &conf->sinks[i]))
            problem =
                "another sink takes the commands of this broker and topic_prefix: each would be carried out twice";
        if (problem) {
            (void)snprintf(reason, reason_size, "[sink %s]: %s", conf->sinks[i].name, problem);
            return 1;
        }
    }
    return 0;
}
