#ifndef TC_CLI_TARBALL_H
#define TC_CLI_TARBALL_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes a gzipped tar archive (POSIX.1-1988 ustar) of regular files. */
struct tarball;

/* Takes over the descriptor. when: seconds since 1970, of every file. NULL: out of memory. */
struct tarball *tarball_new(int fd, int64_t when);

/* name: at most 99 bytes. */
void tarball_add(struct tarball *tarball, const char *name, const void *data, size_t size);

/* Ends the archive, closes the file and frees it. False when something could not be written. NULL is fine. */
bool tarball_close(struct tarball *tarball) must_check;

#endif
