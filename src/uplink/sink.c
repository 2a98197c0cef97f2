#include "uplink/sink.h"

#include "base/log.h"
#include "base/text.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <string.h>

#define TICK_MS 1000
#define BACKOFF_MIN_MS 1000
#define TELL_MS 60000 /* a sink that comes and goes is told of once in this time at most */

static const char *const state_names[SINK_STATE_COUNT] = {
    [SINK_FAILED] = "failed",   [SINK_CONNECTING] = "connecting", [SINK_UP] = "up",
    [SINK_WAITING] = "waiting", [SINK_STOPPED] = "stopped",
};

const char *sink_state_name(enum sink_state state)
{
    return state_names[state];
}

static uint64_t now_ms(const struct sink *sink)
{
    return uv_now(sink->uplink->options.loop);
}

void sink_hold(struct sink *sink)
{
    sink->holds++;
}

void sink_release(struct sink *sink)
{
    struct uplink *uplink = sink->uplink;

    if (--sink->holds > 0)
        return;
    (void)conf_sink_free(sink->conf);
    free(sink);
    uplink_release(uplink);
}

/* State ----------------------------------------------------------------------------------------------------------- */

static void tell(struct sink *sink)
{
    bool up = sink->state == SINK_UP;
    uint64_t now = now_ms(sink);

    if (up == sink->told_up || (sink->told_at && now - sink->told_at < TELL_MS))
        return;
    sink->told_up = up;
    sink->told_at = now;
    journal_note(sink->uplink->options.core, JOURNAL_GATEWAY, NULL,
                 json_pack("{s:s, s:s, s:s*}", "event", up ? "sink-connected" : "sink-lost", "sink", sink->conf->name,
                           "error", up || !sink->error[0] ? NULL : sink->error));
}

void sink_set_state(struct sink *sink, enum sink_state state)
{
    if (sink->state == state)
        return;
    sink->state = state;
    sink->since = clock_wall_ms(clock_system());
    if (state == SINK_UP)
        log_info("sink is up", "sink", sink->conf->name, NULL);
    if (state == SINK_UP || state == SINK_WAITING)
        tell(sink);
}

void sink_succeeded(struct sink *sink)
{
    sink->failures = 0;
    sink->error[0] = 0;
    sink->success_at = clock_wall_ms(clock_system());
    sink_set_state(sink, SINK_UP);
}

/* Doubles with each failure, and is 50 to 100 % of that, so that many gateways do not come back at once. */
static uint64_t pause_ms(const struct sink *sink)
{
    uint64_t pause = BACKOFF_MIN_MS, max = (uint64_t)sink->conf->backoff_max_ms;
    uint32_t dice = 0;

    for (unsigned i = 1; i < sink->failures && pause < max; i++)
        pause *= 2;
    if (pause > max)
        pause = max;
    (void)RAND_bytes((unsigned char *)&dice, sizeof dice);
    return pause / 2 + dice % (pause / 2 + 1);
}

void sink_fail(struct sink *sink, uint32_t retry_after_ms, const char *format, ...)
{
    bool first = sink->state != SINK_WAITING && sink->failures == 0;
    uint64_t pause;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(sink->error, sizeof sink->error, format, args);
    va_end(args);
    text_repair_utf8(sink->error);
    sink->failures++;
    sink->stats.failures++;
    pause = pause_ms(sink);
    if (pause < retry_after_ms)
        pause = retry_after_ms;
    sink->retry_at = now_ms(sink) + pause;
    sink_set_state(sink, SINK_WAITING);
    sink_arm(sink, pause);
    if (first)
        log_warning("sink fails; it is tried again until it works", "sink", sink->conf->name, "error", sink->error,
                    NULL);
}

static void timer_fired(uv_timer_t *timer)
{
    struct sink *sink = timer->data;

    if (sink->state != SINK_WAITING) {
        sink->driver->expire(sink);
        return;
    }
    sink_set_state(sink, SINK_CONNECTING);
    sink->driver->attempt(sink);
}

void sink_arm(struct sink *sink, uint64_t ms)
{
    uv_update_time(sink->uplink->options.loop);
    (void)uv_timer_start(&sink->timer, timer_fired, ms, 0);
}

static void ticked(uv_timer_t *timer)
{
    struct sink *sink = timer->data;

    tell(sink);
    if (sink->cursor != sink->durable)
        sink_save(sink);
    sink->driver->tick(sink);
}

/* The journal ----------------------------------------------------------------------------------------------------- */

static void something_to_read(void *arg)
{
    struct sink *sink = arg;

    sink->driver->pump(sink);
}

static bool is_in_groups(const struct device *device, const char *groups)
{
    char word[CORE_ID_MAX + 1];

    for (const char *at = device->groups ? device->groups : ""; *(at += strspn(at, " ")); at += strcspn(at, " ")) {
        (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(at, " "), at);
        if (conf_words_match(groups, word))
            return true;
    }
    return false;
}

static bool is_wanted(const struct sink *sink, const struct journal_entry *entry)
{
    const struct conf_sink *conf = sink->conf;
    const struct device *device;

    if (!conf_words_match(conf->devices, entry->device))
        return false;
    if (*conf->groups) {
        device = *entry->device ? core_find_device(sink->uplink->options.core, entry->device) : NULL;
        if (!device || !is_in_groups(device, conf->groups))
            return false;
    }
    return entry->kind != JOURNAL_TELEMETRY || !*conf->names || entry_has_name(entry, conf->names);
}

enum journal_result sink_read(struct sink *sink, struct journal_entry *entry, uint64_t *missing)
{
    enum journal_result result;

    do {
        result = journal_read(sink->reader, entry, missing);
    } while (result == JOURNAL_ENTRY && !is_wanted(sink, entry));
    if (result == JOURNAL_MISSING) {
        sink->stats.missing += *missing;
        log_warning("entries of the journal were dropped before the sink could send them", "sink", sink->conf->name,
                    NULL);
    }
    return result;
}

uint64_t sink_room(const struct sink *sink, uint64_t window)
{
    uint64_t open = sink->sent_count - sink->durable_count;

    return open < window ? window - open : 0;
}

static void saved(void *arg, int result)
{
    struct sink *sink = arg;

    (void)result; /* on a full disk the relay goes on; more comes again after a crash then */
    sink->saving = false;
    sink->durable = sink->saving_seq;
    sink->durable_count = sink->saving_count;
    if (!sink->closed && sink->state != SINK_FAILED)
        sink->driver->pump(sink);
    sink_release(sink);
}

void sink_save(struct sink *sink)
{
    struct core *core = sink->uplink->options.core;
    struct store_batch *batch;

    if (sink->saving || sink->cursor == sink->durable)
        return;
    core_save_cursor(core, sink->cursor_name, sink->cursor);
    batch = store_batch_new();
    if (!batch)
        return; /* the next tick tries again */
    store_batch_put_cursor(batch, &(struct store_cursor){.name = sink->cursor_name, .seq = sink->cursor});
    sink->saving = true;
    sink->saving_seq = sink->cursor;
    sink->saving_count = sink->done_count;
    sink_hold(sink);
    journal_submit(core, batch, saved, sink);
}

void sink_advance(struct sink *sink, uint64_t seq, uint64_t count)
{
    sink->done_count += count;
    sink->stats.acknowledged += count;
    if (seq > sink->cursor)
        sink->cursor = seq;
}

void sink_rewind(struct sink *sink)
{
    sink->sent_count = sink->done_count;
    journal_seek(sink->reader, sink->cursor);
}

/* Dead letters ---------------------------------------------------------------------------------------------------- */

void sink_bury(struct sink *sink, uint64_t first, uint64_t last, unsigned attempts, const char *reason,
               const void *body, size_t size)
{
    sink->stats.dead_letters++;
    log_error("what the platform does not take became a dead letter", "sink", sink->conf->name, "reason", reason, NULL);
    if (!core_bury(sink->uplink->options.core, &(struct store_dead_letter){.sink = sink->conf->name,
                                                                           .first = first,
                                                                           .last = last,
                                                                           .time = clock_wall_ms(clock_system()),
                                                                           .reason = reason,
                                                                           .attempts = attempts,
                                                                           .body = {body, size}}))
        log_error("there is no memory for the dead letter", "sink", sink->conf->name, NULL);
}

void sink_letter_done(struct sink *sink, const char *problem)
{
    struct core *core = sink->uplink->options.core;
    struct dead_letter *letter = core_find_dead_letter(core, sink->conf->name, sink->letter);
    struct fault fault;

    sink->letter = 0;
    if (!letter)
        return;
    if (!problem) {
        if (core_drop_dead_letter(core, letter, NULL, NULL, &fault))
            log_error("a dead letter that was sent again stays", "sink", sink->conf->name, NULL);
        return;
    }
    letter->attempts++;
    (void)text_copy(letter->reason, sizeof letter->reason, problem);
}

/* Life ------------------------------------------------------------------------------------------------------------ */

static uint32_t kinds_of(const char *words)
{
    uint32_t kinds = 0;

    for (unsigned kind = 0; *words && kind < JOURNAL_KIND_COUNT; kind++)
        if (conf_words_match(words, journal_kind_name((enum journal_kind)kind)))
            kinds |= 1u << kind;
    return kinds;
}

/* A new sink gets what comes from now on; that it is there is written down at once, so that nothing is skipped when the
 * gateway stops before something was acknowledged. */
static bool open_reader(struct sink *sink)
{
    struct core *core = sink->uplink->options.core;
    const struct journal_filter filter = {.kinds = kinds_of(sink->conf->kinds)};
    uint64_t cursor = core_find_cursor(core, sink->cursor_name);
    struct journal_stats stats;
    bool fresh = cursor == JOURNAL_FROM_NOW;

    core_get_journal_stats(core, &stats);
    sink->cursor = sink->durable = fresh ? stats.last : cursor;
    sink->reader = core_open_journal(core, sink->cursor, &filter, something_to_read, sink);
    if (fresh) {
        sink->durable = UINT64_MAX;
        sink_save(sink);
    }
    return sink->reader != NULL;
}

struct sink *sink_new(struct uplink *uplink, const struct conf_sink *conf)
{
    struct sink *sink = calloc(1, sizeof *sink);

    if (!sink)
        return NULL;
    sink->conf = conf_sink_copy(conf);
    if (!sink->conf) {
        free(sink);
        return NULL;
    }
    list_init(&sink->node);
    sink->uplink = uplink;
    sink->driver = conf->type == CONF_SINK_MQTT ? &mqtt_driver : &webhook_driver;
    sink->state = SINK_FAILED;
    sink->since = clock_wall_ms(clock_system());
    (void)snprintf(sink->cursor_name, sizeof sink->cursor_name, SINK_CURSOR "%s", conf->name);
    (void)uv_timer_init(uplink->options.loop, &sink->timer);
    (void)uv_timer_init(uplink->options.loop, &sink->ticker);
    sink->timer.data = sink->ticker.data = sink;
    sink->holds = 2; /* the timers' */
    uplink->holds++;
    return sink;
}

void sink_start(struct sink *sink)
{
    int r = open_reader(sink) ? sink->driver->open(sink) : -1; /* one that fails keeps its place, and tells how far */

    if (r < 0)
        (void)text_copy(sink->error, sizeof sink->error, "out of memory");
    if (r != 0) {
        sink->reader = journal_close(sink->reader);
        log_error("sink cannot be used", "sink", sink->conf->name, "error", sink->error, NULL);
        return;
    }
    (void)uv_timer_start(&sink->ticker, ticked, TICK_MS, TICK_MS);
    sink_set_state(sink, SINK_CONNECTING);
    sink->driver->attempt(sink);
}

static void timer_closed(uv_handle_t *handle)
{
    sink_release(handle->data);
}

void sink_close(struct sink *sink)
{
    if (sink->closed)
        return;
    sink->closed = true;
    list_unlink(&sink->node);
    sink->driver->close(sink);
    if (sink->reader && sink->cursor != sink->durable)
        core_save_cursor(sink->uplink->options.core, sink->cursor_name, sink->cursor);
    sink->reader = journal_close(sink->reader);
    sink->state = SINK_STOPPED;
    uv_close((uv_handle_t *)&sink->timer, timer_closed);
    uv_close((uv_handle_t *)&sink->ticker, timer_closed);
}
