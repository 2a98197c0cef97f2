#ifndef TC_DAEMON_HTTPS_H
#define TC_DAEMON_HTTPS_H

#include "conf/conf.h"
#include "rest/rest.h"

#include <sys/stat.h>

/*
 * The certificate of HTTPS: read at the start, on a reload, and when its files change, without a connection being
 * dropped; and watched, so that somebody is told before it ends.
 */

#define HTTPS_PATH_SIZE 256
#define HTTPS_FILES 3 /* certificate, key, CA of clients */

/* Which version of a file was seen. */
struct https_stamp {
    dev_t device;
    ino_t file;
    off_t size;
    struct timespec written;
};

struct https {
    uv_timer_t timer;
    struct rest *rest; /* NULL: HTTPS is not served */
    struct core *core;
    char paths[HTTPS_FILES][HTTPS_PATH_SIZE]; /* an empty one: none */
    bool require_client;
    struct https_stamp used[HTTPS_FILES], seen[HTTPS_FILES];
    int64_t expires_at; /* Unix time, seconds */
    unsigned told;      /* of how near that is */
};

/* Before the first listener. own_certificate and own_key are for a configuration that names none. 0, or 1 with a
 * sentence in reason (at least 512 bytes). */
int https_open(struct https *https, struct rest *rest, struct core *core, uv_loop_t *loop, const struct conf *conf,
               const char *own_certificate, const char *own_key, char *reason, size_t reason_size) must_check;
/* On a reload; what cannot be used is logged, and what was in use stays. */
void https_configure(struct https *https, const struct conf *conf, const char *own_certificate, const char *own_key);
/* Before rest closes. */
void https_close(struct https *https);

#endif
