#ifndef TC_BASE_CURSOR_H
#define TC_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A bounded reader over bytes from outside, with a sticky error: after the first read beyond the end every further
 * read yields zero (or NULL) and cursor_failed() stays true, so a parser may read a whole structure and ask once.
 */
struct cursor {
    const uint8_t *data;
    size_t size;
    size_t offset;
    bool failed;
};

static inline struct cursor cursor_init(const void *data, size_t size)
{
    return (struct cursor){.data = data, .size = size, .offset = 0, .failed = false};
}

static inline bool cursor_failed(const struct cursor *c)
{
    return c->failed;
}

static inline size_t cursor_left(const struct cursor *c)
{
    return c->failed ? 0 : c->size - c->offset;
}

/* Marks the input as malformed; sticky. */
static inline void cursor_fail(struct cursor *c)
{
    c->failed = true;
}

/* Takes n bytes; NULL (and a sticky error) when fewer are left. With n = 0 the pointer may not be dereferenced. */
const uint8_t *cursor_take(struct cursor *c, size_t n);

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16be(struct cursor *c);
uint32_t cursor_u32be(struct cursor *c);
uint64_t cursor_u64be(struct cursor *c);
uint16_t cursor_u16le(struct cursor *c);
uint32_t cursor_u32le(struct cursor *c);
uint64_t cursor_u64le(struct cursor *c);

/* A cursor over the next n bytes, which are consumed; a failed one when fewer are left. */
struct cursor cursor_sub(struct cursor *c, size_t n);

#endif
