#ifndef TC_DAEMON_KEYS_H
#define TC_DAEMON_KEYS_H

#include "daemon/relay.h"

/*
 * The keys that JWTs are verified with: a file, or what a URL gives, of which a copy is kept in the state directory for
 * starts without a network. Read at the start, on a reload, and when a token names a key that is not there, at most
 * once a minute. What cannot be had or used leaves the keys in use as they are.
 */
struct keys {
    uv_loop_t *loop;
    struct relay *relay;
    const struct conf *conf; /* the manager's */
    uint64_t asked;          /* uv_now of the last attempt; 0: none */
    bool loaded;
};

void keys_start(struct keys *keys, uv_loop_t *loop, struct relay *relay, const struct conf *conf);
void keys_configure(struct keys *keys); /* after a reload */
void keys_wanted(void *keys);           /* for rest_options */

#endif
