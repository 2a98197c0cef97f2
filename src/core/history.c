#include "core/journal_private.h"
#include "core/telemetry.h"

#include <errno.h>
#include <sys/statvfs.h>

/* The history of telemetry, which the store keeps; how much is stored, and how long a sink may be away. */

#define SAMPLE_MS (5 * 60 * 1000)
#define SAMPLES 289          /* a day, and the one before it */
#define LEAST_MS (60 * 1000) /* a shorter time tells nothing of a rate */
#define HOUR_MS (60 * 60 * 1000)
#define DAY_MS (24 * HOUR_MS)

int core_query_history(struct core *core, const struct history_query *query, history_fn done, void *arg,
                       struct fault *fault)
{
    if (core_check_accepting(core, fault))
        return 1;
    return store_query_history(core->options.store, query, done, arg);
}

int core_list_series(struct core *core, const struct history_query *query, history_fn done, void *arg,
                     struct fault *fault)
{
    if (core_check_accepting(core, fault))
        return 1;
    return store_list_series(core->options.store, query, done, arg);
}

void history_configure(struct core *core)
{
    const struct store_retention *retention = &core->options.telemetry.retention;

    if (retention->journal_bytes) /* nobody configures that nothing is kept */
        store_set_retention(core->options.store, retention);
}

/* The rate ----------------------------------------------------------------------------------------------------------
 */

/* What had been taken in by then, since the start. */
struct sample {
    int64_t at; /* monotonic ms */
    uint64_t entries, records;
};

/* Samples of the last day, the oldest ones overwritten. */
struct intake {
    struct core *core;
    struct timer timer;
    struct sample samples[SAMPLES];
    size_t taken;
};

static struct sample sample_now(const struct core *core)
{
    struct sample sample = {.at = core_now(core)};
    struct telemetry_stats telemetry;
    struct journal_stats journal;

    core_get_journal_stats(core, &journal);
    core_get_telemetry_stats(core, &telemetry);
    for (unsigned kind = 0; kind < JOURNAL_KIND_COUNT; kind++)
        sample.entries += journal.entries[kind];
    sample.records = telemetry.records;
    return sample;
}

static void take_sample(struct timer *timer)
{
    struct intake *intake = container_of(timer, struct intake, timer);

    intake->samples[intake->taken++ % SAMPLES] = sample_now(intake->core);
    core_arm(intake->core, &intake->timer, core_now(intake->core) + SAMPLE_MS);
}

void intake_begin(struct core *core)
{
    core->intake = calloc(1, sizeof *core->intake);
    if (!core->intake)
        return;
    core->intake->core = core;
    core->intake->timer.fire = take_sample;
    take_sample(&core->intake->timer);
}

void intake_free(struct core *core)
{
    if (!core->intake)
        return;
    core_disarm(core, &core->intake->timer);
    free(core->intake);
    core->intake = NULL;
}

/* The oldest sample of the last window_ms, or the first one ever; NULL: there is none. */
static const struct sample *sample_before(const struct intake *intake, int64_t window_ms)
{
    const struct sample *oldest = NULL;

    for (size_t i = 0; intake && i < intake->taken && i < SAMPLES; i++) {
        const struct sample *sample = &intake->samples[i];

        if (core_now(intake->core) - sample->at <= window_ms && (!oldest || sample->at < oldest->at))
            oldest = sample;
    }
    return oldest;
}

/* Per hour, in the last window or since the start. */
struct rate {
    int64_t measured_ms;
    double entries, records, bytes;
};

static struct rate measure(const struct core *core, int64_t window_ms, double entry_bytes)
{
    const struct sample *then = sample_before(core->intake, window_ms);
    struct sample now = sample_now(core);
    struct rate rate = {.measured_ms = then ? now.at - then->at : 0};
    double hours = (double)rate.measured_ms / HOUR_MS;

    if (rate.measured_ms < LEAST_MS)
        return (struct rate){.measured_ms = 0};
    rate.entries = (double)(now.entries - then->entries) / hours;
    rate.records = (double)(now.records - then->records) / hours;
    rate.bytes = rate.entries * entry_bytes;
    return rate;
}

/* As JSON ----------------------------------------------------------------------------------------------------------
 */

static json_t *json_count(uint64_t count)
{
    return json_integer((json_int_t)count);
}

/* null where there is nothing to divide by. */
static json_t *json_ratio(double value, double by)
{
    return by > 0 ? json_real(value / by) : json_null();
}

static json_t *telemetry_json(const struct core *core, const struct history_stats *stats)
{
    const struct store_retention *retention = &core->options.telemetry.retention;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "records",
                     json_count(stats->records), "downsampled", json_count(stats->downsampled), "series",
                     json_count(stats->series), "bytes", json_count(stats->chunk_bytes), "bytes_per_record",
                     json_ratio((double)stats->chunk_bytes, (double)(stats->records + stats->downsampled)),
                     "unsealed_messages", json_count(stats->unsealed), "dropped_records",
                     json_count(stats->dropped_records), "oldest_at", json_time(stats->oldest_us / 1000), "max_size",
                     json_count(retention->telemetry_bytes), "max_age_s", (json_int_t)(retention->raw_age_us / 1000000),
                     "downsample_s", (json_int_t)(retention->downsample_us / 1000000), "downsampled_age_s",
                     (json_int_t)(retention->downsampled_age_us / 1000000));
}

static json_t *cursors_json(const struct core *core, uint64_t last)
{
    json_t *list = json_array();

    for (const struct journal_cursor *c = core->journal->cursors; c; c = c->hh.next)
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", c->name, "position", json_count(c->seq),
                                                    "behind", json_count(last > c->seq ? last - c->seq : 0)));
    return list;
}

static uint64_t entries_of(const struct history_stats *stats)
{
    uint64_t before = stats->journal_first ? stats->journal_first - 1 : 0;

    return stats->journal_last > before ? stats->journal_last - before : 0;
}

static json_t *journal_json(const struct core *core, const struct history_stats *stats)
{
    const struct store_retention *retention = &core->options.telemetry.retention;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "first", json_count(stats->journal_first), "last",
                     json_count(stats->journal_last), "entries", json_count(entries_of(stats)), "bytes",
                     json_count(stats->journal_bytes), "bytes_per_entry",
                     json_ratio((double)stats->journal_bytes, (double)entries_of(stats)), "max_size",
                     json_count(retention->journal_bytes), "max_age_s", (json_int_t)(retention->journal_age_ms / 1000),
                     "cursors", cursors_json(core, stats->journal_last));
}

/* How long a sink may be away until entries are dropped that it has not got. */
static json_t *buffer_json(const struct core *core, const struct history_stats *stats, uint64_t free_bytes)
{
    uint64_t max = core->options.telemetry.retention.journal_bytes, disk = stats->journal_bytes + free_bytes;
    double capacity = (double)(max < disk ? max : disk), entries = (double)entries_of(stats);
    double entry_bytes = entries > 0 ? (double)stats->journal_bytes / entries : 0;
    static const struct {
        const char *name;
        int64_t window_ms;
    } windows[] = {{"last_hour", HOUR_MS}, {"last_day", DAY_MS}};
    json_t *json = json_pack("{s:o, s:s}", "capacity", json_real(capacity), "limited_by",
                             max < disk ? "journal.max_size" : "disk");

    for (size_t i = 0; i < array_size(windows); i++) {
        struct rate rate = measure(core, windows[i].window_ms, entry_bytes);

        (void)json_object_set_new(json, windows[i].name,
                                  json_pack("{s:I, s:f, s:f, s:f, s:o}", "measured_s",
                                            (json_int_t)(rate.measured_ms / 1000), "entries_per_hour", rate.entries,
                                            "records_per_hour", rate.records, "bytes_per_hour", rate.bytes, "hours",
                                            json_ratio(capacity, rate.bytes)));
    }
    return json;
}

json_t *core_storage_json(struct core *core)
{
    struct history_stats history;
    struct store_stats store;
    struct statvfs disk;
    uint64_t free_bytes, size;

    store_get_history_stats(core->options.store, &history);
    store_get_stats(core->options.store, &store);
    if (statvfs(core->options.state_directory, &disk) != 0)
        disk = (struct statvfs){.f_frsize = 0};
    free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    size = (uint64_t)disk.f_blocks * disk.f_frsize;
    return json_pack("{s:o, s:o, s:{s:o}, s:{s:o, s:o}, s:o}", "telemetry", telemetry_json(core, &history), "journal",
                     journal_json(core, &history), "database", "bytes", json_count(store.file_bytes), "disk", "free",
                     json_count(free_bytes), "size", json_count(size), "buffer",
                     buffer_json(core, &history, free_bytes));
}
