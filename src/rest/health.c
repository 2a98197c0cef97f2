#include "rest/health.h"

#include "base/clock.h"
#include "rest/api.h"
#include "rest/reply.h"
#include "rest/server.h"
#include "rest/state.h"
#include "rest/tls.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>

#define STUCK_MS 15000 /* a batch that is not committed for so long means that the store hangs */
#define PULSE_MS 1000
#define PERIOD 30 /* pulses */

static const char *const level_names[] = {"ok", "warning", "failing"};

/* The loop -------------------------------------------------------------------------------------------------------- */

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static void beat(uv_timer_t *timer)
{
    struct health *h = &((struct rest *)timer->data)->health;
    uint64_t now = now_us(), late = now > h->due_us ? now - h->due_us : 0;

    histogram_add(&h->loop_us, &histogram_micros, late);
    if (late > h->late_us)
        h->late_us = late;
    if (++h->beats % PERIOD == 0) {
        h->late_before_us = h->late_us;
        h->late_us = 0;
    }
    h->due_us = now + PULSE_MS * 1000;
    (void)uv_timer_start(timer, beat, PULSE_MS, 0);
}

void health_init(struct rest *rest)
{
    struct health *h = &rest->health;

    h->since = uv_now(rest->options.loop);
    h->pulse.data = rest;
    h->due_us = now_us() + PULSE_MS * 1000;
    (void)uv_timer_init(rest->options.loop, &h->pulse);
    (void)uv_timer_start(&h->pulse, beat, PULSE_MS, 0);
}

/* Checks ---------------------------------------------------------------------------------------------------------- */

static void find(struct health_check *check, enum health_level level, const char *format, ...) printf_like(3, 4);

static void find(struct health_check *check, enum health_level level, const char *format, ...)
{
    va_list ap;

    check->level = level;
    va_start(ap, format);
    (void)vsnprintf(check->detail, sizeof check->detail, format, ap);
    va_end(ap);
}

static void check_loop(const struct rest *rest, struct health_check *check)
{
    const struct health *h = &rest->health;
    uint64_t late = h->late_us > h->late_before_us ? h->late_us : h->late_before_us;

    if (late >= HEALTH_LOOP_SLOW_US)
        find(check, late >= HEALTH_LOOP_STUCK_US ? HEALTH_FAILING : HEALTH_WARNING,
             "The event loop was %" PRIu64 " ms late within the last minute", late / 1000);
}

/* The store works when commits go on, or none is due, and the last one that ended was no failure. */
static void check_store(struct rest *rest, struct health_check *check)
{
    struct health *h = &rest->health;
    uint64_t now = uv_now(rest->options.loop);
    struct store_stats stats;

    store_get_stats(rest->options.store, &stats);
    if (stats.commits != h->commits || stats.pending == 0)
        h->since = now;
    if (stats.failed_commits != h->failed_commits)
        h->failing = true;
    else if (stats.commits != h->commits)
        h->failing = false;
    h->commits = stats.commits;
    h->failed_commits = stats.failed_commits;
    if (h->failing)
        find(check, HEALTH_FAILING, "The last change could not be written to the database");
    else if (now - h->since > STUCK_MS)
        find(check, HEALTH_FAILING, "The database does not take changes");
}

void health_look_at_disk(const struct rest *rest, struct health_disk *disk)
{
    struct statvfs fs;

    *disk = (struct health_disk){.known = false};
    if (statvfs(rest->state_directory, &fs) < 0)
        return;
    disk->known = true;
    disk->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    disk->total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    disk->read_only = fs.f_flag & ST_RDONLY;
}

static void check_disk(const struct rest *rest, struct health_check *check)
{
    struct health_disk disk;

    health_look_at_disk(rest, &disk);
    if (!disk.known)
        find(check, HEALTH_FAILING, "The state directory cannot be looked at");
    else if (disk.read_only)
        find(check, HEALTH_FAILING, "The state directory's file system is read-only");
    else if (disk.free_bytes < HEALTH_DISK_SCARCE)
        find(check, disk.free_bytes < HEALTH_DISK_FULL ? HEALTH_FAILING : HEALTH_WARNING,
             "The state directory's file system has %" PRIu64 " KiB left", disk.free_bytes >> 10);
}

static void check_uplink(const struct rest *rest, struct health_check *check)
{
    const struct sinks_port *port = &rest->options.sinks;
    json_t *list = port->list ? port->list(port->arg) : NULL, *sinks = json_object_get(list, "items"), *sink;
    size_t i, down = 0;

    json_array_foreach(sinks, i, sink)
    {
        const char *state = json_string_value(json_object_get(sink, "state"));

        down += state && strcmp(state, "up") != 0 && strcmp(state, "connecting") != 0;
    }
    if (down)
        find(check, HEALTH_WARNING, "%zu of %zu sinks do not reach their platform", down, json_array_size(sinks));
    json_decref(list);
}

static void check_certificate(const struct rest *rest, struct health_check *check)
{
    const struct tls *tls = http_server_tls(rest->server);
    int64_t left = tls ? tls_expires_at(tls) - clock_wall_ms(clock_system()) / 1000 : INT64_MAX;

    if (left <= 0)
        find(check, HEALTH_FAILING, "The certificate of HTTPS has ended");
    else if (left < HEALTH_CERTIFICATE_SOON_S)
        find(check, HEALTH_WARNING, "The certificate of HTTPS ends within %d days", (int)(left / 86400) + 1);
}

void health_check(struct rest *rest, struct health_check checks[HEALTH_CHECKS])
{
    static const char *const names[HEALTH_CHECKS] = {"running", "loop", "store", "disk", "uplink", "certificate"};

    for (size_t i = 0; i < HEALTH_CHECKS; i++)
        checks[i] = (struct health_check){.name = names[i]};
    if (rest->closing)
        find(&checks[0], HEALTH_FAILING, "The gateway is stopping");
    check_loop(rest, &checks[1]);
    check_store(rest, &checks[2]);
    check_disk(rest, &checks[3]);
    check_uplink(rest, &checks[4]);
    check_certificate(rest, &checks[5]);
}

/* Routes ---------------------------------------------------------------------------------------------------------- */

/* Writes a row and takes it away again, so that a store that has recovered is seen to work without anybody's change. */
static void try_store(struct rest *rest)
{
    static const struct store_answer trial = {.key = "", .digest = "", .body = "", .created = 0};
    struct store *store = rest->options.store;
    struct store_batch *batch;
    struct store_stats stats;

    if (!rest->health.failing || rest->closing)
        return;
    store_get_stats(store, &stats);
    if (stats.pending > 0)
        return; /* what waits is trial enough */
    batch = store_batch_new();
    if (!batch)
        return;
    store_batch_put_answer(batch, &trial);
    store_batch_delete_answers_before(batch, 1);
    store_submit(store, batch, NULL, NULL);
}

/* Whether it lives: the loop answers, and the store works. */
void api_show_health(struct http_request *req)
{
    static const char fine[] = "{\"status\":\"ok\"}";
    struct health_check checks[HEALTH_CHECKS];
    const char *trouble = NULL;

    health_check(req->rest, checks);
    try_store(req->rest);
    for (size_t i = 0; i < 3 && !trouble; i++)
        if (checks[i].level == HEALTH_FAILING)
            trouble = checks[i].detail;
    http_add(req, "Cache-Control", "no-store");
    if (trouble)
        reply_json(req, 503, json_pack("{s:s, s:s}", "status", "failing", "detail", trouble));
    else
        reply_text(req, 200, fine, sizeof fine - 1);
}

/* Whether what is asked of it now will be done. */
void api_show_ready(struct http_request *req)
{
    struct health_check checks[HEALTH_CHECKS];
    json_t *all = json_object(), *json;
    bool ready = true;

    health_check(req->rest, checks);
    try_store(req->rest);
    for (size_t i = 0; i < HEALTH_CHECKS; i++) {
        ready = ready && checks[i].level != HEALTH_FAILING;
        json = json_pack("{s:s}", "status", level_names[checks[i].level]);
        if (checks[i].detail[0])
            (void)json_object_set_new(json, "detail", json_string(checks[i].detail));
        (void)json_object_set_new(all, checks[i].name, json);
    }
    http_add(req, "Cache-Control", "no-store");
    reply_json(req, ready ? 200 : 503, json_pack("{s:s, s:o}", "status", ready ? "ready" : "not-ready", "checks", all));
}
