#ifndef TC_CODEC_RELEASE_H
#define TC_CODEC_RELEASE_H

#include "base/buffer.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a publisher signs: which artifacts are a version of a name (docs/releases.md). CBOR:
 *
 *   {1: name (text), 2: version (text), 3: sequence number (uint), 4: [+ artifact id (bytes, SHA-256)]}
 */

#define RELEASE_NAME_MAX 127
#define RELEASE_VERSION_MAX 63
#define RELEASE_ARTIFACTS_MAX 16
#define RELEASE_SEQUENCE_MAX INT64_MAX
#define RELEASE_STATEMENT_MAX 1024 /* bytes; more than any statement has */

struct release_statement {
    char name[RELEASE_NAME_MAX + 1];       /* letters, digits and . _ ~ - */
    char version[RELEASE_VERSION_MAX + 1]; /* the same */
    uint64_t sequence;                     /* 1 or more; grows with every version of a name */
    size_t artifact_count;                 /* 1 or more */
    uint8_t artifacts[RELEASE_ARTIFACTS_MAX][32];
};

/* Whether the statement may be made: names, counts and numbers are in range, no artifact is there twice. 0; 1 with a
 * sentence in reason (128 bytes are enough). */
int release_check(const struct release_statement *statement, char *reason, size_t reason_size) must_check;
/* Appends a statement that was checked. */
void release_encode(struct buffer *out, const struct release_statement *statement);
/* Strict: keys in this order, nothing else, nothing behind. 0; 1 with a sentence. */
int release_parse(struct release_statement *out, const void *data, size_t size, char *reason,
                  size_t reason_size) must_check;
bool release_is_same(const struct release_statement *a, const struct release_statement *b);

#endif
