#include "daemon/https.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/event.h"
#include "rest/tls.h"

#include <string.h>
#include <time.h>

#define LOOK_MS 2000  /* how often the files are looked at */
#define SETTLE_MS 500 /* and again, so that certificate and key have both been written */
#define DAY INT64_C(86400)
#define REASON_SIZE 512

enum file { CERTIFICATE, KEY, CLIENT_CA };

/* What is told of a certificate that ends so soon, in seconds; each once. */
static const struct {
    int64_t left;
    const char *message;
} warnings[] = {
    {30 * DAY, "the certificate of HTTPS ends within 30 days"},
    {7 * DAY, "the certificate of HTTPS ends within 7 days"},
    {DAY, "the certificate of HTTPS ends within a day"},
    {0, "the certificate of HTTPS has ended: clients refuse it"},
};

static void close_tls(struct tls **tls)
{
    (void)tls_unref(*tls);
}

/* Expiry ---------------------------------------------------------------------------------------------------------- */

static void format_time(int64_t at, char out[32])
{
    time_t seconds = (time_t)at;
    struct tm parts;

    out[0] = 0;
    if (gmtime_r(&seconds, &parts))
        (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static void check_expiry(struct https *https)
{
    int64_t left = https->expires_at - clock_wall_ms(clock_system()) / 1000;
    unsigned reached = 0;
    char at[32];

    while (reached < array_size(warnings) && left <= warnings[reached].left)
        reached++;
    if (reached > https->told) {
        format_time(https->expires_at, at);
        log_warning(warnings[reached - 1].message, "certificate", https->paths[CERTIFICATE], "expires_at", at, NULL);
        event_note(https->core, EVENT_CERTIFICATE_EXPIRES, NULL, "{s:s, s:s, s:b}", "certificate",
                   https->paths[CERTIFICATE], "expires_at", at, "expired", left <= 0);
    }
    https->told = reached; /* lower again when the clock was set back */
}

/* Files ----------------------------------------------------------------------------------------------------------- */

static void look(const struct https *https, struct https_stamp stamps[HTTPS_FILES])
{
    struct stat st;

    memset(stamps, 0, HTTPS_FILES * sizeof *stamps);
    for (size_t i = 0; i < HTTPS_FILES; i++)
        if (https->paths[i][0] && stat(https->paths[i], &st) == 0)
            stamps[i] =
                (struct https_stamp){.device = st.st_dev, .file = st.st_ino, .size = st.st_size, .written = st.st_mtim};
}

static bool is_same(const struct https_stamp *one, const struct https_stamp *other)
{
    for (size_t i = 0; i < HTTPS_FILES; i++)
        if (one[i].device != other[i].device || one[i].file != other[i].file || one[i].size != other[i].size ||
            one[i].written.tv_sec != other[i].written.tv_sec || one[i].written.tv_nsec != other[i].written.tv_nsec)
            return false;
    return true;
}

static int load(struct https *https, char *reason, size_t reason_size)
{
    const struct tls_files files = {.certificate = https->paths[CERTIFICATE],
                                    .key = https->paths[KEY],
                                    .client_ca = https->paths[CLIENT_CA],
                                    .require_client = https->require_client};
    cleanup(close_tls) struct tls *tls = NULL;

    look(https, https->used);
    memcpy(https->seen, https->used, sizeof https->seen);
    if (tls_load(&tls, &files, reason, reason_size))
        return 1;
    rest_set_tls(https->rest, tls);
    https->expires_at = tls_expires_at(tls);
    https->told = 0;
    return 0;
}

static void reload(struct https *https)
{
    char reason[REASON_SIZE], at[32];

    if (load(https, reason, sizeof reason)) {
        log_error("the certificate of HTTPS was not reloaded: the one in use stays", "error", reason, NULL);
        return;
    }
    format_time(https->expires_at, at);
    log_info("the certificate of HTTPS was reloaded", "certificate", https->paths[CERTIFICATE], "expires_at", at, NULL);
    event_note(https->core, EVENT_CERTIFICATE_LOADED, NULL, "{s:s, s:s}", "certificate", https->paths[CERTIFICATE],
               "expires_at", at);
    check_expiry(https);
}

static void take_time(uv_timer_t *timer)
{
    struct https *https = timer->data;
    struct https_stamp now[HTTPS_FILES];
    uint64_t next = LOOK_MS;

    look(https, now);
    if (is_same(now, https->used)) {
        memcpy(https->seen, now, sizeof now);
    } else if (is_same(now, https->seen)) {
        reload(https);
    } else {
        memcpy(https->seen, now, sizeof now);
        next = SETTLE_MS;
    }
    check_expiry(https);
    (void)uv_timer_start(timer, take_time, next, 0);
}

/* Lifetime -------------------------------------------------------------------------------------------------------- */

static void take_paths(struct https *https, const struct conf *conf, const char *own_certificate, const char *own_key)
{
    bool own = !*conf->http_tls_certificate;

    (void)text_copy(https->paths[CERTIFICATE], HTTPS_PATH_SIZE, own ? own_certificate : conf->http_tls_certificate);
    (void)text_copy(https->paths[KEY], HTTPS_PATH_SIZE, own ? own_key : conf->http_tls_key);
    (void)text_copy(https->paths[CLIENT_CA], HTTPS_PATH_SIZE, conf->http_tls_client_ca);
    https->require_client = conf->http_tls_require_client;
}

int https_open(struct https *https, struct rest *rest, struct core *core, uv_loop_t *loop, const struct conf *conf,
               const char *own_certificate, const char *own_key, char *reason, size_t reason_size)
{
    *https = (struct https){.rest = rest, .core = core};
    take_paths(https, conf, own_certificate, own_key);
    if (load(https, reason, reason_size)) {
        https->rest = NULL;
        return 1;
    }
    (void)uv_timer_init(loop, &https->timer);
    https->timer.data = https;
    (void)uv_timer_start(&https->timer, take_time, 0, 0);
    return 0;
}

void https_configure(struct https *https, const struct conf *conf, const char *own_certificate, const char *own_key)
{
    if (!https->rest)
        return;
    take_paths(https, conf, own_certificate, own_key);
    reload(https);
}

void https_close(struct https *https)
{
    if (!https->rest)
        return;
    uv_close((uv_handle_t *)&https->timer, NULL);
    https->rest = NULL;
}
