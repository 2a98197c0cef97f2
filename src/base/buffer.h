#ifndef TC_BASE_BUFFER_H
#define TC_BASE_BUFFER_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A growing byte buffer with an upper limit and a sticky error. Zero-initialise it (or use buffer_init) and end it
 * with buffer_clear. The content is always followed by a NUL byte that does not count, so text can be used as a string.
 */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit; /* 0: no limit */
    bool failed;  /* out of memory or over the limit; nothing was appended since */
};

static inline struct buffer buffer_init(size_t limit)
{
    return (struct buffer){.limit = limit};
}

/* Frees the content; the buffer may be used again. */
void buffer_clear(struct buffer *b);

/* Makes room for n more bytes and returns where they start, or NULL; the size does not change. */
uint8_t *buffer_reserve(struct buffer *b, size_t n);

void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_u8(struct buffer *b, uint8_t byte);
void buffer_printf(struct buffer *b, const char *format, ...) printf_like(2, 3);

/* The content as a string, never NULL. */
const char *buffer_text(const struct buffer *b);

/* Hands the content over to the caller, who frees it; NULL after an error. The buffer is empty afterwards. */
uint8_t *buffer_steal(struct buffer *b, size_t *size);

#define cleanup_buffer cleanup(buffer_clear)

#endif
