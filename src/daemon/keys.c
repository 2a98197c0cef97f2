#include "daemon/keys.h"

#include "base/log.h"
#include "core/jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_MS 60000
#define COPY "jwks.json"

static bool is_url(const char *source)
{
    return strstr(source, "://") != NULL;
}

/* False, and a log line, when they cannot be used. */
static bool use(struct keys *keys, const void *text, size_t size, const char *source)
{
    char reason[JWT_REASON_SIZE] = "out of memory";
    struct jwks *parsed;

    if (!keys->relay->rest)
        return false;
    if (jwks_parse(&parsed, text, size, reason, sizeof reason)) {
        log_warning("keys of JWTs cannot be used", "source", source, "reason", reason, NULL);
        return false;
    }
    log_info("keys of JWTs read", "source", source, NULL);
    rest_set_keys(keys->relay->rest, parsed);
    keys->loaded = true;
    return true;
}

static bool use_file(struct keys *keys, const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_free char *text = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    if (!S_ISREG(st.st_mode) || st.st_size > JWKS_SIZE_MAX) {
        log_warning("keys of JWTs cannot be used", "source", path, "reason", "it is no file, or too long", NULL);
        return false;
    }
    text = malloc((size_t)st.st_size + 1);
    n = text ? read(fd, text, (size_t)st.st_size) : -1;
    return n >= 0 && use(keys, text, (size_t)n, path);
}

static void copy_path(const struct keys *keys, char *out, size_t size, const char *suffix)
{
    (void)snprintf(out, size, "%s/" COPY "%s", keys->conf->state_directory, suffix);
}

/* For a start without a network; what fails is no loss now. */
static void keep_copy(const struct keys *keys, const void *text, size_t size)
{
    char path[256], fresh[264];
    cleanup_close int fd = -1;

    copy_path(keys, path, sizeof path, "");
    copy_path(keys, fresh, sizeof fresh, ".new");
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size || fsync(fd) < 0 || rename(fresh, path) < 0)
        log_warning("the copy of the keys of JWTs cannot be written", "path", path, NULL);
}

static void fetched(void *arg, const void *text, size_t size, const char *problem)
{
    struct keys *keys = arg;
    const char *source = keys->conf->auth_jwt_keys;

    if (problem)
        log_warning("keys of JWTs cannot be fetched", "source", source, "reason", problem, NULL);
    else if (use(keys, text, size, source))
        keep_copy(keys, text, size);
}

static void load(struct keys *keys)
{
    const char *source = keys->conf->auth_jwt_keys;

    if (!is_url(source)) {
        if (!use_file(keys, source))
            log_warning("keys of JWTs cannot be read", "source", source, NULL);
    } else if (!keys->relay->uplink ||
               !uplink_fetch_keys(keys->relay->uplink, source, keys->conf->auth_jwt_ca, fetched, keys)) {
        log_warning("keys of JWTs cannot be fetched", "source", source, NULL);
    }
}

void keys_configure(struct keys *keys)
{
    char path[256];

    if (!*keys->conf->auth_jwt_keys) {
        rest_set_keys(keys->relay->rest, NULL);
        keys->loaded = false;
        return;
    }
    copy_path(keys, path, sizeof path, "");
    if (!keys->loaded && is_url(keys->conf->auth_jwt_keys))
        (void)use_file(keys, path);
    load(keys);
}

void keys_start(struct keys *keys, uv_loop_t *loop, struct relay *relay, const struct conf *conf)
{
    *keys = (struct keys){.loop = loop, .relay = relay, .conf = conf};
    keys_configure(keys);
}

void keys_wanted(void *arg)
{
    struct keys *keys = arg;

    uint64_t now = keys->loop ? uv_now(keys->loop) : 0;

    if (!keys->loop || !*keys->conf->auth_jwt_keys || (keys->asked && now - keys->asked < PAUSE_MS))
        return;
    keys->asked = now;
    load(keys);
}
