#include "base/clock.h"
#include "core/audit.h"
#include "core/budget.h"
#include "core/cache.h"
#include "core/directory.h"
#include "core/journal.h"
#include "core/presence.h"
#include "core/rollout.h"
#include "core/telemetry.h"
#include "core/transfer.h"
#include "rest/api.h"
#include "rest/reply.h"
#include "rest/server.h"
#include "rest/state.h"
#include "rest/tls.h"
#include "store/history.h"
#include "store/store.h"

#include "config.h"

#include <string.h>

/* The text format of Prometheus, version 0.0.4. */

struct page {
    struct buffer text;
    char name[96]; /* of the family that is being written */
};

/* {labels,le="bound"}, cumulated, then sum and count. */
static void add_histogram(struct page *page, const struct metric *metric)
{
    const struct histogram *h = metric->histogram;
    const char *labels = metric->labels ? metric->labels : "", *comma = *labels ? "," : "";
    size_t bounds = histogram_bound_count(metric->scale);
    uint64_t count = 0;

    for (size_t i = 0; i <= bounds; i++) {
        count += h->counts[i];
        buffer_printf(&page->text, "%s_bucket{%s%sle=\"", metric->name, labels, comma);
        if (i < bounds)
            buffer_printf(&page->text, "%g\"} ", (double)metric->scale->bounds[i] / metric->scale->divisor);
        else
            buffer_append_text(&page->text, "+Inf\"} ");
        buffer_printf(&page->text, "%llu\n", (unsigned long long)count);
    }
    for (int i = 0; i < 2; i++) {
        buffer_printf(&page->text, "%s_%s", metric->name, i ? "count" : "sum");
        if (*labels)
            buffer_printf(&page->text, "{%s}", labels);
        buffer_printf(&page->text, " %.17g\n", i ? (double)count : (double)h->sum / metric->scale->divisor);
    }
}

static void add(void *to, const struct metric *metric)
{
    struct page *page = to;

    if (strcmp(page->name, metric->name) != 0) {
        (void)text_copy(page->name, sizeof page->name, metric->name);
        buffer_printf(&page->text, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                      metric->histogram ? "histogram"
                      : metric->counter ? "counter"
                                        : "gauge");
    }
    if (metric->histogram) {
        add_histogram(page, metric);
        return;
    }
    buffer_append_text(&page->text, metric->name);
    if (metric->labels)
        buffer_printf(&page->text, "{%s}", metric->labels);
    buffer_printf(&page->text, " %.17g\n", metric->value);
}

static void add_spread(struct page *page, const char *name, const char *help, const char *labels,
                       const struct histogram *histogram, const struct histogram_scale *scale)
{
    const struct metric metric = {.name = name, .help = help, .labels = labels, .histogram = histogram, .scale = scale};

    add(page, &metric);
}

static void add_one(struct page *page, const char *name, const char *help, bool counter, double value)
{
    const struct metric metric = {.name = name, .help = help, .counter = counter, .value = value};

    add(page, &metric);
}

static void add_core(struct page *page, const struct core *core)
{
    struct core_stats stats;

    core_get_stats(core, &stats);
    add_one(page, "tcgw_devices", "Devices that are known.", false, (double)stats.devices);
    add_one(page, "tcgw_artifacts", "Artifacts that are stored.", false, (double)stats.artifacts);
    add_one(page, "tcgw_containers", "Containers that devices hold or should hold.", false, (double)stats.containers);
    add_one(page, "tcgw_containers_as_desired", "Containers that are as desired.", false, (double)stats.converged);
    add_one(page, "tcgw_operations_unfinished", "Operations that are queued or running.", false,
            (double)stats.operations_unfinished);
    add_one(page, "tcgw_device_calls_total", "Exchanges with devices.", true, (double)stats.calls);
    add_one(page, "tcgw_device_calls_failed_total", "Exchanges with devices that failed.", true,
            (double)stats.calls_failed);
}

/* Faults that mean that something or somebody was not who or what it should be. */
static const enum fault_code distrust[] = {
    FAULT_UNSIGNED,         FAULT_SIGNATURE_INVALID,    FAULT_PUBLISHER_UNKNOWN, FAULT_PUBLISHER_REVOKED,
    FAULT_OUT_OF_SCOPE,     FAULT_POLICY_DENIED,        FAULT_ROLLBACK_REFUSED,  FAULT_DIGEST_MISMATCH,
    FAULT_INVALID_MANIFEST, FAULT_VERIFICATION_REFUSED,
};

static void add_verifications(struct page *page, const struct rest *rest, const struct core_stats *stats)
{
    for (size_t i = 0; i < array_size(distrust); i++) {
        enum fault_code code = distrust[i];
        char label[64];
        const struct metric metric = {.name = "tcgw_verification_failures_total",
                                      .help = "Requests and operations that failed since something did not verify or "
                                              "was not permitted.",
                                      .counter = true,
                                      .labels = label,
                                      .value = (double)(rest->problems[code] + stats->operation_faults[code])};

        (void)snprintf(label, sizeof label, "error=\"%s\"", fault_info(code)->slug);
        add(page, &metric);
    }
}

static void add_operation_ends(struct page *page, const struct core_stats *stats)
{
    char label[64];
    struct metric metric = {.name = "tcgw_operations_ended_total",
                            .help = "Operations that ended, by their state.",
                            .counter = true,
                            .labels = label};

    for (unsigned state = OPERATION_SUCCEEDED; state < OPERATION_STATE_COUNT; state++) {
        (void)snprintf(label, sizeof label, "state=\"%s\"", operation_state_name((enum operation_state)state));
        metric.value = (double)stats->operations_ended[state];
        add(page, &metric);
    }
    metric.name = "tcgw_operation_errors_total";
    metric.help = "Operations that ended with an error, for the errors that there were.";
    for (unsigned code = 1; code < FAULT_COUNT; code++) {
        (void)snprintf(label, sizeof label, "error=\"%s\"", fault_info((enum fault_code)code)->slug);
        metric.value = (double)stats->operation_faults[code];
        if (stats->operation_faults[code])
            add(page, &metric);
    }
}

static void add_operations(struct page *page, const struct rest *rest)
{
    struct core_stats stats;
    char label[64];

    core_get_stats(rest->options.core, &stats);
    add_operation_ends(page, &stats);
    add_spread(page, "tcgw_operation_wait_seconds", "How long operations waited for their turn.", NULL,
               &stats.operations_waited_ms, &histogram_millis);
    add_spread(page, "tcgw_operation_seconds", "How long operations took from then.", NULL, &stats.operations_took_ms,
               &histogram_millis);
    for (unsigned verb = 0; verb < AGENT_CALL_COUNT; verb++) {
        (void)snprintf(label, sizeof label, "verb=\"%s\"", agent_verb_name((enum agent_verb)verb));
        add_spread(page, "tcgw_device_call_seconds", "How long it took to do one thing with a device.", label,
                   &stats.calls_ms[verb], &histogram_millis);
    }
    add_verifications(page, rest, &stats);
}

static void add_audit(struct page *page, const struct core *core)
{
    struct audit_stats stats;

    core_get_audit_stats(core, &stats);
    add_one(page, "tcgw_audit_entries_total", "Entries of the audit trail.", true, (double)stats.entries);
    add_one(page, "tcgw_audit_refusals_total", "Requests that were refused.", true, (double)stats.refusals);
    add_one(page, "tcgw_audit_suppressed_total", "Refusals that were told only as a number.", true,
            (double)stats.suppressed);
    add_one(page, "tcgw_audit_failed_total", "Entries that were lost: out of memory.", true, (double)stats.failed);
    add_one(page, "tcgw_audit_broken", "1: the audit trail was changed by somebody else.", false, stats.broken);
}

static void add_journal(struct page *page, const struct core *core)
{
    struct journal_stats stats;

    core_get_journal_stats(core, &stats);
    for (unsigned kind = 0; kind < JOURNAL_KIND_COUNT; kind++) {
        char labels[40];
        const struct metric metric = {.name = "tcgw_journal_entries_total",
                                      .help = "Entries of the journal that became durable.",
                                      .counter = true,
                                      .labels = labels,
                                      .value = (double)stats.entries[kind]};

        (void)snprintf(labels, sizeof labels, "kind=\"%s\"", journal_kind_name((enum journal_kind)kind));
        add(page, &metric);
    }
    add_one(page, "tcgw_journal_first", "Number of the oldest entry that is kept.", false, (double)stats.first);
    add_one(page, "tcgw_journal_last", "Number of the newest entry.", false, (double)stats.last);
    add_one(page, "tcgw_journal_bytes", "Size of the entries that are kept.", false, (double)stats.bytes);
    add_one(page, "tcgw_journal_memory_bytes", "Memory of entries that readers share.", false, (double)stats.memory);
    add_one(page, "tcgw_journal_readers", "Who reads the journal: event streams, sinks.", false, (double)stats.readers);
    add_one(page, "tcgw_journal_missing_total", "Entries that were gone before a reader had come to them.", true,
            (double)stats.missing);
}

static void add_read(struct page *page, const char *labels, uint64_t value)
{
    const struct metric metric = {.name = "tcgw_cache_reads_total",
                                  .help = "Reads of devices' resources, by how they were answered.",
                                  .counter = true,
                                  .labels = labels,
                                  .value = (double)value};

    add(page, &metric);
}

static void add_watches(struct page *page, const char *labels, uint64_t value)
{
    const struct metric metric = {.name = "tcgw_observations",
                                  .help = "Observed resources of devices.",
                                  .counter = false,
                                  .labels = labels,
                                  .value = (double)value};

    add(page, &metric);
}

static void add_cache(struct page *page, const struct core *core)
{
    struct cache_stats stats;

    core_get_cache_stats(core, &stats);
    add_read(page, "status=\"hit\"", stats.hits);
    add_read(page, "status=\"revalidated\"", stats.revalidated);
    add_read(page, "status=\"stale\"", stats.stale);
    add_read(page, "status=\"miss\"", stats.misses);
    add_spread(page, "tcgw_cache_age_seconds", "How old representations were that readers were given.", NULL,
               &stats.age_ms, &histogram_millis);
    add_one(page, "tcgw_cache_collapsed_total", "Reads that shared the exchange of another.", true,
            (double)stats.collapsed);
    add_one(page, "tcgw_cache_evicted_total", "Representations that were dropped for others.", true,
            (double)stats.evicted);
    add_one(page, "tcgw_cache_entries", "Representations that are kept.", false, (double)stats.entries);
    add_one(page, "tcgw_cache_bytes", "Memory of the representations that are kept.", false, (double)stats.bytes);
}

static void add_observations(struct page *page, const struct core *core)
{
    struct watch_stats stats;

    core_get_watch_stats(core, &stats);
    add_watches(page, "state=\"observing\"", stats.observing);
    add_watches(page, "state=\"waiting\"", stats.waiting);
    add_one(page, "tcgw_observation_notifications_total", "Notifications of observed resources.", true,
            (double)stats.notifications);
}

static void add_deployment(struct page *page, const struct core *core)
{
    size_t counts[ROLLOUT_STATE_COUNT], running, waiting;
    char label[32];

    transfers_count(core, NULL, &running, &waiting);
    add_one(page, "tcgw_transfers_running", "Containers on their way to devices.", false, (double)running);
    add_one(page, "tcgw_transfers_waiting", "Containers that wait for their turn on their link.", false,
            (double)waiting);
    core_count_rollouts(core, counts);
    for (unsigned state = 0; state < ROLLOUT_STATE_COUNT; state++) {
        const struct metric metric = {.name = "tcgw_rollouts",
                                      .help = "Rollouts in each state.",
                                      .counter = false,
                                      .labels = label,
                                      .value = (double)counts[state]};

        (void)snprintf(label, sizeof label, "state=\"%s\"", rollout_state_name((enum rollout_state)state));
        add(page, &metric);
    }
}

static void add_presence(struct page *page, const struct core *core)
{
    size_t counts[PRESENCE_STATE_COUNT];
    char label[32];

    core_count_presence(core, counts);
    for (unsigned state = 0; state < PRESENCE_STATE_COUNT; state++) {
        const struct metric metric = {.name = "tcgw_devices_by_presence",
                                      .help = "Devices in each state of presence.",
                                      .counter = false,
                                      .labels = label,
                                      .value = (double)counts[state]};

        (void)snprintf(label, sizeof label, "state=\"%s\"", presence_state_name((enum presence_state)state));
        add(page, &metric);
    }
}

static void add_endpoints(struct page *page, const char *labels, size_t value)
{
    const struct metric metric = {.name = "tcgw_directory_endpoints",
                                  .help = "Endpoints in the resource directory.",
                                  .counter = false,
                                  .labels = labels,
                                  .value = (double)value};

    add(page, &metric);
}

static void add_directory_event(struct page *page, const char *labels, uint64_t value)
{
    const struct metric metric = {.name = "tcgw_directory_events_total",
                                  .help = "What became of registrations.",
                                  .counter = true,
                                  .labels = labels,
                                  .value = (double)value};

    add(page, &metric);
}

static void add_budgets(struct page *page, const struct core *core)
{
    struct metric metric = {.name = "tcgw_budget_refused_total",
                            .help = "Requests that were not sent or not taken, by the budget that was used up.",
                            .counter = true};
    struct budget_stats stats;
    char labels[40];

    core_get_budget_stats(core, &stats);
    metric.labels = labels;
    for (int kind = 0; kind < BUDGET_LIMITED; kind++) {
        (void)snprintf(labels, sizeof labels, "budget=\"%s\"", budget_kind_name((enum budget_kind)kind));
        metric.value = (double)stats.refused[kind];
        add(page, &metric);
    }
    add_one(page, "tcgw_quarantine_refused_total", "Requests to and of devices in quarantine that were refused.", true,
            (double)stats.quarantined);
    add_one(page, "tcgw_behaviour_alarms_total", "Devices and containers that suddenly did more than they usually do.",
            true, (double)stats.alarms);
}

static void add_directory(struct page *page, const struct core *core)
{
    struct directory_stats stats;

    core_get_directory_stats(core, &stats);
    add_endpoints(page, "kind=\"bound\"", stats.bound);
    add_endpoints(page, "kind=\"hint\"", stats.hints);
    add_directory_event(page, "event=\"registered\"", stats.registered);
    add_directory_event(page, "event=\"updated\"", stats.updated);
    add_directory_event(page, "event=\"removed\"", stats.removed);
    add_directory_event(page, "event=\"expired\"", stats.expired);
    add_directory_event(page, "event=\"hint_refused\"", stats.hints_refused);
}

static void add_telemetry(struct page *page, const struct core *core)
{
    struct telemetry_stats stats;

    core_get_telemetry_stats(core, &stats);
    add_one(page, "tcgw_telemetry_messages_total", "Telemetry messages that were stored.", true,
            (double)stats.messages);
    add_one(page, "tcgw_telemetry_records_total", "Telemetry records that were stored.", true, (double)stats.records);
    add_one(page, "tcgw_telemetry_rate_limited_total", "Messages of devices that sent too many.", true,
            (double)stats.rate_limited);
    add_one(page, "tcgw_telemetry_refused_total", "Messages over the limits of records or series.", true,
            (double)stats.refused);
    add_one(page, "tcgw_telemetry_failed_total", "Messages that could not be stored.", true, (double)stats.failed);
    add_one(page, "tcgw_telemetry_repeated_total", "Messages that were stored before the gateway restarted.", true,
            (double)stats.repeated);
    add_one(page, "tcgw_telemetry_suspect_times_total", "Records whose time cannot have been meant.", true,
            (double)stats.suspect);
    add_one(page, "tcgw_telemetry_assigned_times_total", "Records that the gateway gave a time.", true,
            (double)stats.assigned);
    add_one(page, "tcgw_telemetry_series", "Series that are known since the start.", false, (double)stats.series);
}

static void add_history(struct page *page, const struct store *store)
{
    struct history_stats stats;

    store_get_history_stats(store, &stats);
    add_one(page, "tcgw_history_records", "Records of telemetry in the history.", false, (double)stats.records);
    add_one(page, "tcgw_history_downsampled", "Records in it that stand for several.", false,
            (double)stats.downsampled);
    add_one(page, "tcgw_history_bytes", "Size of the history.", false, (double)stats.chunk_bytes);
    add_one(page, "tcgw_history_series", "Series in it.", false, (double)stats.series);
    add_one(page, "tcgw_history_unsealed", "Messages in the journal that are not in the history yet.", false,
            (double)stats.unsealed);
    add_one(page, "tcgw_history_dropped_total", "Records that were dropped since the history was too large.", true,
            (double)stats.dropped_records);
}

static void add_store(struct page *page, struct store *store)
{
    struct store_stats stats;

    store_get_stats(store, &stats);
    add_one(page, "tcgw_store_file_bytes", "Size of the database.", false, (double)stats.file_bytes);
    add_one(page, "tcgw_store_commits_total", "Commits of the database.", true, (double)stats.commits);
    add_one(page, "tcgw_store_failed_commits_total", "Commits of the database that failed.", true,
            (double)stats.failed_commits);
    add_one(page, "tcgw_store_pending_batches", "Changes that wait for a commit.", false, (double)stats.pending);
    add_spread(page, "tcgw_store_commit_seconds", "How long commits of the database took.", NULL, &stats.commit_us,
               &histogram_micros);
    add_spread(page, "tcgw_store_wait_seconds", "From a change to its commit.", NULL, &stats.waiting_us,
               &histogram_micros);
    add_spread(page, "tcgw_store_group_changes", "Changes of one commit.", NULL, &stats.group, &histogram_counts);
}

static void add_problems(struct page *page, const struct rest *rest)
{
    char label[64];
    struct metric metric = {.name = "tcgw_http_problems_total",
                            .help = "Requests that were answered with a problem, for those that there were.",
                            .counter = true,
                            .labels = label};

    for (unsigned code = 1; code < FAULT_COUNT; code++) {
        (void)snprintf(label, sizeof label, "problem=\"%s\"", fault_info((enum fault_code)code)->slug);
        metric.value = (double)rest->problems[code];
        if (rest->problems[code])
            add(page, &metric);
    }
}

static void add_dropped(struct page *page, const char *labels, uint64_t value)
{
    const struct metric metric = {.name = "tcgw_http_connections_dropped_total",
                                  .help = "Connections that were ended early.",
                                  .counter = true,
                                  .labels = labels,
                                  .value = (double)value};

    add(page, &metric);
}

static void add_http(struct page *page, const struct rest *rest)
{
    const struct http_server_stats *stats = http_server_stats(rest->server);
    const struct tls *tls = http_server_tls(rest->server);
    static const char *const classes[] = {
        "", "code=\"1xx\"", "code=\"2xx\"", "code=\"3xx\"", "code=\"4xx\"", "code=\"5xx\""};

    for (size_t i = 2; i < array_size(classes); i++) {
        const struct metric metric = {.name = "tcgw_http_answers_total",
                                      .help = "Answers to HTTP requests.",
                                      .counter = true,
                                      .labels = classes[i],
                                      .value = (double)rest->answers[i]};

        add(page, &metric);
    }
    add_dropped(page, "reason=\"limit\"", stats->over_limit);
    add_dropped(page, "reason=\"idle\"", stats->idle);
    add_dropped(page, "reason=\"rate\"", stats->rate);
    add_dropped(page, "reason=\"slow\"", stats->slow);
    add_dropped(page, "reason=\"handshake\"", stats->handshake);
    if (tls)
        add_one(page, "tcgw_https_certificate_seconds", "Time until the certificate of HTTPS ends; below 0: it has.",
                false, (double)tls_expires_at(tls) - (double)clock_wall_ms(clock_system()) / 1000);
    add_problems(page, rest);
    add_spread(page, "tcgw_http_request_seconds", "From a request's header to its answer.", "kind=\"read\"",
               &rest->reads_us, &histogram_micros);
    add_spread(page, "tcgw_http_request_seconds", "From a request's header to its answer.", "kind=\"write\"",
               &rest->writes_us, &histogram_micros);
    add_one(page, "tcgw_http_connections", "Open HTTP connections.", false,
            (double)http_server_connection_count(rest->server));
    add_one(page, "tcgw_http_streams", "Open event streams.", false, (double)rest->stream_count);
    add_one(page, "tcgw_http_events_sent_total", "Events of the journal that streams were given.", true,
            (double)rest->events_sent);
    add_one(page, "tcgw_http_stream_wakes_total", "How often streams were woken for events of the journal.", true,
            (double)rest->stream_wakes);
    add_one(page, "tcgw_http_events_dropped_total", "Events that newer ones replaced, since a client read slowly.",
            true, (double)rest->events_dropped);
}

static void add_health(struct page *page, struct rest *rest)
{
    struct health_check checks[HEALTH_CHECKS];
    struct health_disk disk;
    bool ready = true;

    health_check(rest, checks);
    for (size_t i = 0; i < HEALTH_CHECKS; i++) {
        char label[40];
        const struct metric metric = {.name = "tcgw_health",
                                      .help = "What /readyz says: 0 ok, 1 warning, 2 failing.",
                                      .labels = label,
                                      .value = checks[i].level};

        (void)snprintf(label, sizeof label, "check=\"%s\"", checks[i].name);
        add(page, &metric);
        ready = ready && checks[i].level != HEALTH_FAILING;
    }
    add_one(page, "tcgw_ready", "Whether /readyz says so.", false, ready);
    add_spread(page, "tcgw_loop_delay_seconds", "How late the event loop came to a timer, each second.", NULL,
               &rest->health.loop_us, &histogram_micros);
    health_look_at_disk(rest, &disk);
    if (!disk.known)
        return;
    add_one(page, "tcgw_disk_free_bytes", "What is left on the file system of the state directory.", false,
            (double)disk.free_bytes);
    add_one(page, "tcgw_disk_bytes", "Size of that file system.", false, (double)disk.total_bytes);
}

void api_show_metrics(struct http_request *req)
{
    struct rest *rest = req->rest;
    const struct metric info = {.name = "tcgw_info",
                                .help = "The version that runs.",
                                .counter = false,
                                .labels = "version=\"" PACKAGE_VERSION "\"",
                                .value = 1};
    struct page page = {.name = ""};
    uint8_t *text;
    size_t size;

    add(&page, &info);
    add_one(&page, "tcgw_uptime_seconds", "Time since the start.", false,
            (double)(uv_now(rest->options.loop) - rest->started) / 1000);
    add_core(&page, rest->options.core);
    add_operations(&page, rest);
    add_audit(&page, rest->options.core);
    add_journal(&page, rest->options.core);
    add_cache(&page, rest->options.core);
    add_observations(&page, rest->options.core);
    add_deployment(&page, rest->options.core);
    add_presence(&page, rest->options.core);
    add_budgets(&page, rest->options.core);
    add_directory(&page, rest->options.core);
    add_telemetry(&page, rest->options.core);
    add_store(&page, rest->options.store);
    add_history(&page, rest->options.store);
    add_http(&page, rest);
    add_health(&page, rest);
    if (rest->options.metrics)
        rest->options.metrics(rest->options.metrics_arg, add, &page);
    text = buffer_steal(&page.text, &size);
    if (!text) {
        reply_problem(req, FAULT_INTERNAL, "The gateway is out of memory");
        return;
    }
    http_add(req, "Cache-Control", "no-store");
    reply_owned(req, 200, HTTP_TEXT "; version=0.0.4; charset=utf-8", text, size);
}
