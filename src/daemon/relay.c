#include "daemon/relay.h"

#include "base/text.h"
#include "config.h"
#include "rest/local.h"

#include <errno.h>
#include <string.h>

/* Commands ---------------------------------------------------------------------------------------------------------*/

struct command {
    uplink_answer_fn done;
    void *arg;
};

static void answered(void *arg, const struct local_answer *answer)
{
    struct command *command = arg;

    command->done(command->arg, &(struct uplink_answer){
                                    .status = answer->status,
                                    .type = answer->type,
                                    .location = answer->location,
                                    .etag = answer->etag,
                                    .body = answer->body,
                                    .size = answer->size,
                                });
    free(command);
}

static int dispatch(void *arg, const struct uplink_request *request, uplink_answer_fn done, void *done_arg)
{
    const struct relay *relay = arg;
    struct command *command = relay->rest ? malloc(sizeof *command) : NULL;
    int r;

    if (!command)
        return relay->rest ? -ENOMEM : -ESHUTDOWN;
    *command = (struct command){done, done_arg};
    r = rest_dispatch(relay->rest,
                      &(struct local_request){
                          .method = request->method,
                          .target = request->target,
                          .type = request->type,
                          .prefer = request->prefer,
                          .if_match = request->if_match,
                          .idempotency_key = request->idempotency_key,
                          .accept = request->accept,
                          .body = request->body,
                          .size = request->size,
                          .sink = request->sink,
                          .role = request->role,
                          .confidential = request->confidential,
                      },
                      answered, command);
    if (r < 0)
        free(command);
    return r;
}

/* Life -------------------------------------------------------------------------------------------------------------*/

/* A host's name is one word of a topic too. */
static void choose_gateway_id(struct relay *relay, const char *configured)
{
    if (*configured || gethostname(relay->gateway_id, sizeof relay->gateway_id) < 0 || !relay->gateway_id[0])
        (void)text_copy(relay->gateway_id, sizeof relay->gateway_id, *configured ? configured : "gateway");
    relay->gateway_id[sizeof relay->gateway_id - 1] = 0;
    for (char *c = relay->gateway_id; *c; c++) {
        const char one[] = {*c, 'x', 0};

        if (!text_is_name(one, 2))
            *c = '-';
    }
}

static struct uplink_options options_of(struct relay *relay, uv_loop_t *loop, struct core *core,
                                        const struct conf *conf)
{
    return (struct uplink_options){
        .loop = loop,
        .core = core,
        .gateway_id = relay->gateway_id,
        .version = PACKAGE_VERSION,
        .sinks = conf->sinks,
        .sink_count = conf->sink_count,
        .dispatch = dispatch,
        .dispatch_arg = relay,
        .store = conf,
        .state_directory = conf->state_directory,
        .max_artifact_bytes = (uint64_t)conf->max_artifact_bytes,
    };
}

int relay_open(struct relay *relay, uv_loop_t *loop, struct core *core, const struct conf *conf)
{
    struct uplink_options options;

    choose_gateway_id(relay, conf->gateway_id);
    options = options_of(relay, loop, core, conf);
    return uplink_new(&relay->uplink, &options);
}

void relay_pull(void *arg, const char *id, struct fault *fault)
{
    const struct relay *relay = arg;

    if (relay->uplink)
        uplink_pull(relay->uplink, id, fault);
}

void relay_configure(struct relay *relay, uv_loop_t *loop, struct core *core, const struct conf *conf)
{
    const struct uplink_options options = options_of(relay, loop, core, conf);

    uplink_configure(relay->uplink, &options);
}

bool relay_close(struct relay *relay, void (*closed)(void *arg), void *arg)
{
    struct uplink *uplink = steal_pointer(relay->uplink);

    if (uplink)
        uplink_close(uplink, closed, arg);
    return uplink != NULL;
}

/* REST -------------------------------------------------------------------------------------------------------------*/

static json_t *list(void *arg)
{
    const struct relay *relay = arg;

    return relay->uplink ? uplink_sinks_json(relay->uplink) : NULL;
}

static json_t *show(void *arg, const char *name)
{
    const struct relay *relay = arg;

    return relay->uplink ? uplink_sink_json(relay->uplink, name) : NULL;
}

static void retry(void *arg, const char *name)
{
    const struct relay *relay = arg;

    if (relay->uplink)
        (void)uplink_retry(relay->uplink, name);
}

static json_t *letters(void *arg, const char *name)
{
    const struct relay *relay = arg;

    return relay->uplink ? uplink_letters_json(relay->uplink, name) : NULL;
}

static json_t *letter(void *arg, const char *name, uint64_t first)
{
    const struct relay *relay = arg;

    return relay->uplink ? uplink_letter_json(relay->uplink, name, first) : NULL;
}

static int retry_letter(void *arg, const char *name, uint64_t first)
{
    const struct relay *relay = arg;

    return relay->uplink ? uplink_retry_letter(relay->uplink, name, first) : -ESHUTDOWN;
}

struct sinks_port relay_port(struct relay *relay)
{
    return (struct sinks_port){
        .arg = relay,
        .list = list,
        .show = show,
        .retry = retry,
        .letters = letters,
        .letter = letter,
        .retry_letter = retry_letter,
    };
}

/* Metrics ----------------------------------------------------------------------------------------------------------*/

static const struct figure {
    const char *name, *help;
    bool counter;
    size_t offset; /* of a uint64_t in struct uplink_stats */
} figures[] = {
    {"tcgw_sink_behind", "Numbers of the journal that the sink has not passed.", false,
     offsetof(struct uplink_stats, behind)},
    {"tcgw_sink_sent_total", "Entries that were sent.", true, offsetof(struct uplink_stats, sent)},
    {"tcgw_sink_acknowledged_total", "Entries that the platform has acknowledged.", true,
     offsetof(struct uplink_stats, acknowledged)},
    {"tcgw_sink_bytes_total", "Bytes of payloads and bodies that were sent.", true,
     offsetof(struct uplink_stats, bytes)},
    {"tcgw_sink_attempts_total", "Connections (MQTT) and requests (webhook) that were begun.", true,
     offsetof(struct uplink_stats, attempts)},
    {"tcgw_sink_failures_total", "Attempts that failed, and connections that ended.", true,
     offsetof(struct uplink_stats, failures)},
    {"tcgw_sink_missing_total", "Entries that were dropped before they were sent.", true,
     offsetof(struct uplink_stats, missing)},
    {"tcgw_sink_dead_letters_total", "Entries and batches that were given up.", true,
     offsetof(struct uplink_stats, dead_letters)},
    {"tcgw_sink_commands_total", "Commands of the platform that were carried out.", true,
     offsetof(struct uplink_stats, commands)},
    {"tcgw_sink_commands_refused_total", "Commands of the platform that were refused.", true,
     offsetof(struct uplink_stats, commands_refused)},
};

static void add_labelled(const char *name, const char *help, bool counter, const char *sink, double value,
                         metric_fn add, void *to)
{
    char labels[64];
    const struct metric metric = {.name = name, .help = help, .counter = counter, .labels = labels, .value = value};

    (void)snprintf(labels, sizeof labels, "sink=\"%s\"", sink);
    add(to, &metric);
}

static void add_took(const struct uplink_stats *stats, metric_fn add, void *to)
{
    char labels[64];
    const struct metric metric = {.name = "tcgw_sink_seconds",
                                  .help = "How long the platform took to acknowledge an entry or a batch.",
                                  .labels = labels,
                                  .histogram = &stats->took_ms,
                                  .scale = &histogram_millis};

    (void)snprintf(labels, sizeof labels, "sink=\"%s\"", stats->name);
    add(to, &metric);
}

void relay_add_metrics(const struct relay *relay, metric_fn add, void *to)
{
    struct uplink_stats stats[CONF_SINKS_MAX];
    size_t n = relay->uplink ? uplink_get_stats(relay->uplink, stats, CONF_SINKS_MAX) : 0;

    for (size_t i = 0; i < n; i++)
        add_labelled("tcgw_sink_up", "Whether the platform took what was sent last.", false, stats[i].name, stats[i].up,
                     add, to);
    for (size_t i = 0; i < n; i++)
        add_took(&stats[i], add, to);
    for (size_t f = 0; f < array_size(figures); f++) {
        for (size_t i = 0; i < n; i++) {
            uint64_t value;

            memcpy(&value, (const char *)&stats[i] + figures[f].offset, sizeof value);
            add_labelled(figures[f].name, figures[f].help, figures[f].counter, stats[i].name, (double)value, add, to);
        }
    }
}
