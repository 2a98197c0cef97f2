#include "base/cursor.h"

const uint8_t *cursor_take(struct cursor *c, size_t n)
{
    const uint8_t *p;

    if (c->failed || n > c->size - c->offset) {
        c->failed = true;
        return NULL;
    }
    p = c->data + c->offset;
    c->offset += n;
    return p;
}

static uint64_t take_be(struct cursor *c, size_t n)
{
    const uint8_t *p = cursor_take(c, n);
    uint64_t v = 0;

    for (size_t i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static uint64_t take_le(struct cursor *c, size_t n)
{
    const uint8_t *p = cursor_take(c, n);
    uint64_t v = 0;

    for (size_t i = n; p && i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)take_be(c, 1);
}

uint16_t cursor_u16be(struct cursor *c)
{
    return (uint16_t)take_be(c, 2);
}

uint32_t cursor_u32be(struct cursor *c)
{
    return (uint32_t)take_be(c, 4);
}

uint64_t cursor_u64be(struct cursor *c)
{
    return take_be(c, 8);
}

uint16_t cursor_u16le(struct cursor *c)
{
    return (uint16_t)take_le(c, 2);
}

uint32_t cursor_u32le(struct cursor *c)
{
    return (uint32_t)take_le(c, 4);
}

uint64_t cursor_u64le(struct cursor *c)
{
    return take_le(c, 8);
}

struct cursor cursor_sub(struct cursor *c, size_t n)
{
    const uint8_t *p = cursor_take(c, n);
    struct cursor sub = cursor_init(p, p ? n : 0);

    sub.failed = p == NULL;
    return sub;
}
