#ifndef TC_STORE_SPOOL_H
#define TC_STORE_SPOOL_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/*
 * A file below the state directory's spool/ that takes an upload as it streams in, with its SHA-256. It is removed by
 * spool_free; what a crash left behind is removed by store_open, but for those that may be resumed.
 */
struct spool;

/* limit: bytes that it may take at most. Returns 0 or negative errno. */
int spool_new(struct spool **out, const char *directory, uint64_t limit) must_check;
/* One that outlives spool_free and the program, under a name of letters, digits, '-' and '.': it goes on behind what it
 * holds, which is read here for its digest. One that is over the limit begins anew. */
int spool_resume(struct spool **out, const char *directory, const char *name, uint64_t limit) must_check;
void spool_discard(struct spool *spool); /* spool_free removes it after all */
/* 0; 1 when the limit would be passed (nothing is written); -ENOSPC and other negative errno. */
int spool_write(struct spool *spool, const void *data, size_t size) must_check;
/* Ends writing; afterwards digest, size, path and map may be asked. */
int spool_finish(struct spool *spool) must_check;
const uint8_t *spool_digest(const struct spool *spool); /* 32 bytes, SHA-256 */
uint64_t spool_size(const struct spool *spool);
const char *spool_path(const struct spool *spool);
/* The content, mapped read-only until spool_free; NULL with *size 0 for an empty one, NULL otherwise on failure. */
const uint8_t *spool_map(struct spool *spool, size_t *size);
struct spool *spool_free(struct spool *spool); /* unlinks; returns NULL */

/* Makes the spool directory below the state directory if it is missing and removes uploads left behind in it. Negative
 * errno. */
int spool_clean(const char *directory) must_check;

#endif
