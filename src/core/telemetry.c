#include "core/telemetry_private.h"

#include "base/log.h"
#include "codec/pack.h"
#include "core/event.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define SERIES_PAGE 500
#define ORIGIN_LIFETIME_MS 247000 /* EXCHANGE_LIFETIME (RFC 7252 section 4.8.2) */

/* A message that is being committed. */
struct message {
    struct list node;
    struct telemetry *telemetry;
    size_t count;
    bool is_probe;
    core_done_fn done;
    void *arg;
};

/* Origins --------------------------------------------------------------------------------------------------------- */

/* Messages of this run are known by the message layer and by the replay windows; those of the run before are here for
 * as long as somebody may repeat them. */

int telemetry_load_origin(struct core *core, uint64_t origin)
{
    struct telemetry *t = core->telemetry;

    if (!origin)
        return 0;
    if (t->origin_count == t->origin_capacity) {
        size_t capacity = t->origin_capacity ? 2 * t->origin_capacity : 256;
        uint64_t *origins = realloc(t->origins, capacity * sizeof *origins);

        if (!origins)
            return -ENOMEM;
        t->origins = origins;
        t->origin_capacity = capacity;
    }
    t->origins[t->origin_count++] = origin;
    return 0;
}

static void forget_origins(struct timer *timer)
{
    struct telemetry *t = container_of(timer, struct telemetry, forget);

    free(steal_pointer(t->origins));
    t->origin_count = t->origin_capacity = 0;
}

static int compare_origins(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

bool core_knows_origin(const struct core *core, uint64_t origin)
{
    const struct telemetry *t = core->telemetry;

    if (!origin || !t->origin_count || !bsearch(&origin, t->origins, t->origin_count, sizeof origin, compare_origins))
        return false;
    core->telemetry->stats.repeated++;
    return true;
}

/* What a message must pass ---------------------------------------------------------------------------------------- */

static int check_storage(struct telemetry *t, struct fault *fault, uint32_t *retry_s)
{
    if (!t->full || (!t->probing && core_now(t->core) >= t->retry_at))
        return 0;
    t->stats.failed++;
    *retry_s = 1;
    return fault_set(fault, FAULT_STORAGE_FULL, "The disk with the state directory is full; nothing was stored.");
}

static int check_count(struct telemetry *t, size_t count, struct fault *fault)
{
    uint32_t max = t->core->options.telemetry.max_records;

    if (count >= 1 && count <= max)
        return 0;
    t->stats.refused++;
    return fault_set(fault, FAULT_INVALID_FIELD, "A message has 1 to %u records, not %zu.", max, count);
}

static int check_rate(struct telemetry *t, struct device *device, size_t count, struct fault *fault, uint32_t *retry_s)
{
    int r = telemetry_take_tokens(device, count, retry_s);

    if (r <= 0)
        return r;
    t->stats.rate_limited++;
    return fault_set(fault, FAULT_RATE_LIMITED, "Device %s sent more than %u records a second; it may go on in %u s.",
                     device->id, t->core->options.telemetry.max_rate, *retry_s);
}

static int check_series(struct telemetry *t, struct device *device, const struct telemetry_record *records,
                        size_t count, struct fault *fault)
{
    int r = telemetry_add_series(device, records, count);

    if (r != 0)
        telemetry_return_tokens(device, count);
    if (r <= 0)
        return r;
    t->stats.refused++;
    return fault_set(fault, FAULT_LIMIT_REACHED, "Device %s has as many series (names) as it may have, %u.", device->id,
                     t->core->options.telemetry.max_series);
}

/* The message ----------------------------------------------------------------------------------------------------- */

static bool is_suspect(const struct core *core, int64_t time_us, int64_t now_us)
{
    return time_us / 1000 - now_us / 1000 > core->options.telemetry.clock_ahead_ms ||
           now_us / 1000 - time_us / 1000 > core->options.telemetry.clock_behind_ms;
}

/* Copies the records with the times that they are stored with. */
static int take_records(struct telemetry *t, struct device *device, const struct telemetry_record *records,
                        size_t count)
{
    int64_t now_us = core_wall(t->core) * 1000;

    if (count > t->capacity) {
        struct telemetry_record *grown = realloc(t->records, count * sizeof *grown);

        if (!grown)
            return -ENOMEM;
        t->records = grown;
        t->capacity = count;
    }
    memcpy(t->records, records, count * sizeof *records);
    for (size_t i = 0; i < count; i++) {
        struct telemetry_record *record = &t->records[i];

        if (record->flags & TELEMETRY_TIME_ASSIGNED)
            record->time_us = telemetry_assign_time(device, record->name, now_us);
        else if (is_suspect(t->core, record->time_us, now_us))
            record->flags |= TELEMETRY_TIME_SUSPECT;
        t->stats.assigned += (record->flags & TELEMETRY_TIME_ASSIGNED) != 0;
        t->stats.suspect += (record->flags & TELEMETRY_TIME_SUSPECT) != 0;
    }
    return 0;
}

static void note_full(struct telemetry *t, const struct message *message, int result)
{
    char since[RFC3339_SIZE];

    if (message->is_probe)
        t->probing = false;
    if (result == -ENOSPC) {
        if (!t->full) {
            log_error("telemetry is refused: the disk is full", NULL);
            t->full_since = core_wall(t->core);
        }
        t->full = true;
        t->retry_at = core_now(t->core) + RETRY_MS;
    } else if (result == 0 && t->full) {
        t->full = false;
        log_info("telemetry is stored again", NULL);
        event_note(t->core, EVENT_STORAGE_RECOVERED, NULL, "{s:s}", "full_since",
                   clock_format_rfc3339(t->full_since, since));
    }
}

static void on_stored(void *arg, int result)
{
    struct message *message = arg;
    struct telemetry *t = message->telemetry;
    struct fault fault;

    list_unlink(&message->node);
    if (result == 0) {
        t->stats.messages++;
        t->stats.records += message->count;
    } else {
        t->stats.failed++;
    }
    note_full(t, message, result);
    if (message->done) {
        fault_from_store(&fault, result);
        message->done(message->arg, &fault);
    }
    free(message);
}

static int submit(struct telemetry *t, const struct device *device, size_t count, uint64_t origin, core_done_fn done,
                  void *arg)
{
    struct message *message = malloc(sizeof *message);
    struct store_batch *batch = message ? store_batch_new() : NULL;

    if (!batch) {
        free(message);
        return -ENOMEM;
    }
    if (!journal_add_pack(t->core, batch, device->id, t->pack.data, t->pack.size, origin)) {
        (void)store_batch_free(batch); /* a batch without its entry would be acknowledged */
        free(message);
        return -ENOMEM;
    }
    *message = (struct message){.telemetry = t, .count = count, .is_probe = t->full, .done = done, .arg = arg};
    t->probing = t->full;
    list_init(&message->node);
    list_append(&t->messages, &message->node);
    journal_submit(t->core, batch, on_stored, message);
    return 0;
}

/* A record "{uid}/..." is a container's (docs/device-protocol.md section 3.6). */
static int check_budgets(struct device *device, const struct telemetry_record *records, size_t count,
                         struct fault *fault, uint32_t *retry_s)
{
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        size_t n = strcspn(records[i].name, "/");
        char uid[CORE_ID_MAX + 1];

        if (!records[i].name[n] || n > CORE_ID_MAX)
            continue;
        (void)snprintf(uid, sizeof uid, "%.*s", (int)n, records[i].name);
        r = budget_take_record(device, uid, strlen(records[i].name) + records[i].size + sizeof(double), fault, retry_s);
    }
    return r;
}

int core_add_telemetry(struct core *core, struct device *device, const struct telemetry_record *records, size_t count,
                       uint64_t origin, core_done_fn done, void *arg, struct fault *fault, uint32_t *retry_s)
{
    struct telemetry *t = core->telemetry;
    int r = core_check_accepting(core, fault);

    *retry_s = 1;
    if (r == 0)
        r = check_storage(t, fault, retry_s);
    if (r == 0)
        r = check_count(t, count, fault);
    if (r == 0)
        r = check_budgets(device, records, count, fault, retry_s);
    if (r == 0)
        r = check_rate(t, device, count, fault, retry_s);
    if (r == 0)
        r = check_series(t, device, records, count, fault);
    if (r == 0)
        r = take_records(t, device, records, count);
    if (r != 0)
        return r;
    t->pack.size = 0;
    pack_write_all(&t->pack, t->records, count);
    if (t->pack.failed) {
        buffer_clear(&t->pack);
        return -ENOMEM;
    }
    rollout_note_telemetry(device, records, count);
    return submit(t, device, count, origin, done, arg);
}

void core_get_telemetry_stats(const struct core *core, struct telemetry_stats *out)
{
    *out = core->telemetry->stats;
}

/* Begin and end --------------------------------------------------------------------------------------------------- */

int telemetry_init(struct core *core)
{
    struct telemetry *t = calloc(1, sizeof *t);

    if (!t)
        return -ENOMEM;
    t->core = core;
    t->forget.fire = forget_origins;
    list_init(&t->messages);
    core->telemetry = t;
    return getrandom(&t->key, sizeof t->key, 0) == (ssize_t)sizeof t->key ? 0 : -EIO;
}

/* The series that are stored count for the limit, too. They are read page by page, while telemetry comes in. */
static void list_series(struct telemetry *t, const char *after_device, const char *after_name);

static void on_series(void *arg, int result, const struct history_page *page)
{
    struct telemetry *t = arg;

    if (result != 0) {
        log_warning("the stored series could not be listed", NULL);
        return;
    }
    for (size_t i = 0; i < page->count; i++) {
        struct device *device = index_find_device(t->core, page->points[i].device);

        if (device)
            telemetry_note_series(device, page->points[i].record.name);
    }
    if (page->more && page->count && !t->core->stopped)
        list_series(t, page->points[page->count - 1].device, page->points[page->count - 1].record.name);
}

static void list_series(struct telemetry *t, const char *after_device, const char *after_name)
{
    const struct history_query query = {.limit = SERIES_PAGE, .after_device = after_device, .after_name = after_name};

    if (store_list_series(t->core->options.store, &query, on_series, t) != 0)
        log_warning("the stored series could not be listed: out of memory", NULL);
}

void telemetry_loaded(struct core *core)
{
    struct telemetry *t = core->telemetry;

    list_series(t, NULL, NULL);
    if (t->origin_count)
        qsort(t->origins, t->origin_count, sizeof *t->origins, compare_origins);
    core_arm(core, &t->forget, core_now(core) + ORIGIN_LIFETIME_MS);
}

void telemetry_free(struct core *core)
{
    struct telemetry *t = core->telemetry;

    if (!t)
        return;
    while (!list_empty(&t->messages)) {
        struct message *message = list_first(&t->messages, struct message, node);

        list_unlink(&message->node);
        free(message);
    }
    core_disarm(core, &t->forget);
    buffer_clear(&t->pack);
    free(t->records);
    free(t->origins);
    free(steal_pointer(core->telemetry));
}
