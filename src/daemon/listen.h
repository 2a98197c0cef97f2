#ifndef TC_DAEMON_LISTEN_H
#define TC_DAEMON_LISTEN_H

#include "base/cleanup.h"

#include <stddef.h>
#include <sys/types.h>

/*
 * Listening sockets. Each returns a non-blocking, close-on-exec descriptor, or -1 with a sentence in reason (at least
 * 256 bytes) that says what to do.
 */

/* A Unix socket with the given permission bits. A socket that nobody answers on is replaced; the last directory of the
 * path is made (mode 0755) when it is missing. */
int listen_unix(const char *path, mode_t mode, char *reason, size_t reason_size);

/* A TCP socket on a literal "ADDRESS:PORT" or "[ADDRESS]:PORT", which is the value of key. */
int listen_tcp(const char *key, const char *address, char *reason, size_t reason_size);

#endif
