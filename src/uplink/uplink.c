#include "uplink/sink.h"

#include "base/clock.h"
#include "uplink/fetch.h"
#include "uplink/http.h"
#include "uplink/keyset.h"

#include <errno.h>
#include <mosquitto.h>
#include <string.h>

void uplink_release(struct uplink *uplink)
{
    void (*closed)(void *arg) = uplink->closed;
    void *arg = uplink->closed_arg;

    if (--uplink->holds > 0)
        return;
    (void)mosquitto_lib_cleanup();
    free(uplink->gateway_id);
    free(uplink->version);
    free(uplink->fetches);
    free(uplink);
    if (closed)
        closed(arg);
}

static struct sink *find_sink(const struct uplink *uplink, const char *name)
{
    list_each(node, &uplink->sinks)
    {
        struct sink *sink = container_of(node, struct sink, node);

        if (strcmp(sink->conf->name, name) == 0)
            return sink;
    }
    return NULL;
}

static int add_sink(struct uplink *uplink, const struct conf_sink *conf)
{
    struct sink *sink = sink_new(uplink, conf);

    if (!sink)
        return -ENOMEM;
    list_append(&uplink->sinks, &sink->node);
    if (uplink->started)
        sink_start(sink);
    return 0;
}

int uplink_new(struct uplink **out, const struct uplink_options *options)
{
    struct uplink *uplink = calloc(1, sizeof *uplink);
    int r = 0;

    if (!uplink)
        return -ENOMEM;
    if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
        free(uplink);
        return -ENOMEM;
    }
    list_init(&uplink->sinks);
    uplink->holds = 1;
    uplink->options = *options;
    uplink->options.sinks = NULL;
    uplink->options.gateway_id = uplink->gateway_id = strdup(options->gateway_id);
    uplink->options.version = uplink->version = strdup(options->version);
    if (!uplink->gateway_id || !uplink->version)
        r = -ENOMEM;
    if (r == 0)
        r = http_port_new(&uplink->http, uplink);
    if (r == 0)
        r = fetches_new(&uplink->fetches, uplink);
    for (size_t i = 0; r == 0 && i < options->sink_count; i++)
        r = add_sink(uplink, &options->sinks[i]);
    if (r == 0)
        *out = uplink;
    else
        uplink_close(uplink, NULL, NULL);
    return r;
}

/* What was configured in an earlier life and is not any more holds nothing back. */
static bool is_configured(void *arg, const char *cursor)
{
    return strncmp(cursor, SINK_CURSOR, strlen(SINK_CURSOR)) != 0 || find_sink(arg, cursor + strlen(SINK_CURSOR));
}

bool uplink_fetch_keys(struct uplink *uplink, const char *url, const char *ca, uplink_keys_fn done, void *arg)
{
    if (uplink->closing || (!uplink->keyset && keyset_new(&uplink->keyset, uplink) < 0))
        return false;
    return keyset_fetch(uplink->keyset, url, ca, done, arg);
}

void uplink_start(struct uplink *uplink)
{
    uplink->started = true;
    core_keep_cursors(uplink->options.core, is_configured, uplink);
    list_each(node, &uplink->sinks) sink_start(container_of(node, struct sink, node));
}

static const struct conf_sink *find_conf(const struct uplink_options *options, const char *name)
{
    for (size_t i = 0; i < options->sink_count; i++)
        if (strcmp(options->sinks[i].name, name) == 0)
            return &options->sinks[i];
    return NULL;
}

void uplink_configure(struct uplink *uplink, const struct uplink_options *options)
{
    list_each(node, &uplink->sinks)
    {
        struct sink *sink = container_of(node, struct sink, node);
        const struct conf_sink *conf = find_conf(options, sink->conf->name);

        /* One that failed gets another try: its files may have been mended. */
        if (!conf || sink->state == SINK_FAILED || !conf_sink_equal(conf, sink->conf))
            sink_close(sink);
    }
    for (size_t i = 0; i < options->sink_count; i++)
        if (!find_sink(uplink, options->sinks[i].name))
            (void)add_sink(uplink, &options->sinks[i]);
    core_keep_cursors(uplink->options.core, is_configured, uplink);
}

void uplink_close(struct uplink *uplink, void (*closed)(void *arg), void *arg)
{
    uplink->closing = true;
    uplink->closed = closed;
    uplink->closed_arg = arg;
    list_each(node, &uplink->sinks) sink_close(container_of(node, struct sink, node));
    fetches_close(uplink->fetches);
    keyset_close(steal_pointer(uplink->keyset));
    if (uplink->http)
        http_port_close(uplink->http);
    uplink_release(uplink);
}

void uplink_pull(struct uplink *uplink, const char *id, struct fault *fault)
{
    if (!uplink->closing && uplink->options.store && *uplink->options.store->artifacts_store_url)
        fetches_want(uplink->fetches, id, fault);
}

static uint64_t behind(const struct sink *sink)
{
    struct journal_stats stats;

    core_get_journal_stats(sink->uplink->options.core, &stats);
    return stats.last > sink->cursor ? stats.last - sink->cursor : 0;
}

size_t uplink_get_stats(const struct uplink *uplink, struct uplink_stats *out, size_t max)
{
    size_t n = 0;

    list_each(node, &uplink->sinks)
    {
        const struct sink *sink = container_of(node, struct sink, node);

        if (n == max)
            break;
        out[n] = sink->stats;
        out[n].name = sink->conf->name;
        out[n].up = sink->state == SINK_UP;
        out[n++].behind = behind(sink);
    }
    return n;
}

/* JSON ------------------------------------------------------------------------------------------------------------ */

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *time_or_null(int64_t wall_ms)
{
    char text[RFC3339_SIZE];

    return wall_ms ? json_string(clock_format_rfc3339(wall_ms, text)) : json_null();
}

static size_t count_letters(const struct sink *sink)
{
    struct core *core = sink->uplink->options.core;
    size_t n = 0;

    for (struct dead_letter *l = core_next_dead_letter(core, sink->conf->name, NULL); l;
         l = core_next_dead_letter(core, sink->conf->name, l))
        n++;
    return n;
}

static json_t *stats_json(const struct uplink_stats *stats)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "sent", number(stats->sent), "acknowledged",
                     number(stats->acknowledged), "bytes", number(stats->bytes), "attempts", number(stats->attempts),
                     "failures", number(stats->failures), "missing", number(stats->missing), "dead_letters",
                     number(stats->dead_letters), "commands", number(stats->commands), "commands_refused",
                     number(stats->commands_refused));
}

/* Where it sends to, without anything secret, as the query of a URL may be. */
static json_t *target_of(const struct conf_sink *conf)
{
    if (conf->type == CONF_SINK_WEBHOOK)
        return json_stringn(conf->url, strcspn(conf->url, "?"));
    return json_sprintf("%s://%s:%d", conf->tls ? "mqtts" : "mqtt", conf->host, mqtt_port_of(conf));
}

static json_t *sink_json(const struct sink *sink)
{
    const struct conf_sink *conf = sink->conf;
    bool waits = sink->state == SINK_WAITING;
    uint64_t now = uv_now(sink->uplink->options.loop);

    return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", conf->name, "type",
                     conf->type == CONF_SINK_MQTT ? "mqtt" : "webhook", "target", target_of(conf), "state",
                     sink_state_name(sink->state), "since", time_or_null(sink->since), "error",
                     sink->error[0] ? json_string(sink->error) : json_null(), "last_success",
                     time_or_null(sink->success_at), "retry_in_ms",
                     waits ? number(sink->retry_at > now ? sink->retry_at - now : 0) : json_null(), "cursor",
                     number(sink->cursor), "behind", number(behind(sink)), "dead_letters", number(count_letters(sink)),
                     "totals", stats_json(&sink->stats));
}

json_t *uplink_sinks_json(const struct uplink *uplink)
{
    json_t *items = json_array();

    list_each(node, &uplink->sinks) json_array_append_new(items, sink_json(container_of(node, struct sink, node)));
    return json_pack("{s:o, s:n}", "items", items, "next");
}

json_t *uplink_sink_json(const struct uplink *uplink, const char *name)
{
    const struct sink *sink = find_sink(uplink, name);

    return sink ? sink_json(sink) : NULL;
}

bool uplink_has_sink(const struct uplink *uplink, const char *name)
{
    return find_sink(uplink, name) != NULL;
}

bool uplink_retry(struct uplink *uplink, const char *name)
{
    struct sink *sink = find_sink(uplink, name);

    if (sink && sink->state == SINK_WAITING)
        sink_arm(sink, 0);
    return sink != NULL;
}

/* Dead letters ---------------------------------------------------------------------------------------------------- */

static json_t *letter_json(const struct dead_letter *letter, bool whole)
{
    char time[RFC3339_SIZE];
    json_t *json = json_pack("{s:o, s:o, s:s, s:s, s:i, s:o}", "first", number(letter->first), "last",
                             number(letter->last), "time", clock_format_rfc3339(letter->time, time), "reason",
                             letter->reason, "attempts", (int)letter->attempts, "size", number(letter->size));

    if (json && whole)
        (void)json_object_set_new(json, "body", json_stringn((const char *)letter->body, letter->size));
    return json;
}

json_t *uplink_letters_json(const struct uplink *uplink, const char *name)
{
    struct core *core = uplink->options.core;
    json_t *items = json_array();

    for (struct dead_letter *l = core_next_dead_letter(core, name, NULL); l; l = core_next_dead_letter(core, name, l))
        json_array_append_new(items, letter_json(l, false));
    return json_pack("{s:o, s:n}", "items", items, "next");
}

json_t *uplink_letter_json(const struct uplink *uplink, const char *name, uint64_t first)
{
    const struct dead_letter *letter = core_find_dead_letter(uplink->options.core, name, first);

    return letter ? letter_json(letter, true) : NULL;
}

int uplink_retry_letter(struct uplink *uplink, const char *name, uint64_t first)
{
    struct sink *sink = find_sink(uplink, name);
    const struct dead_letter *letter = core_find_dead_letter(uplink->options.core, name, first);

    if (!sink || !letter)
        return -ENOENT;
    if (sink->letter || sink->state == SINK_FAILED)
        return -EBUSY;
    sink->letter = first;
    sink->driver->send_letter(sink, letter);
    return 0;
}
