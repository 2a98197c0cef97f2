#ifndef TC_CODEC_BACKUP_H
#define TC_CODEC_BACKUP_H

#include "base/cleanup.h"

#include <stdint.h>

/*
 * The end of a backup file: one line with the SHA-256 of all before it, so that a file which was cut off or damaged is
 * told from a whole one. What is before it is a database that SQLite can read.
 */

#define BACKUP_SEAL_SIZE 87

/* Appends the line. 0 or negative errno. */
int backup_seal_file(int fd) must_check;

enum backup_file {
    BACKUP_GOOD,
    BACKUP_UNSEALED, /* it does not end with such a line */
    BACKUP_DAMAGED   /* its content is another one */
};
/* *size: bytes before the line. Negative errno when it cannot be read. */
int backup_check_file(int fd, uint64_t *size) must_check;

#endif
