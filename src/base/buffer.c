#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buffer_clear(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){.limit = b->limit};
}

uint8_t *buffer_reserve(struct buffer *b, size_t n)
{
    size_t wanted, capacity;
    uint8_t *data;

    if (b->failed || n > SIZE_MAX / 2 - b->size - 1 || (b->limit && b->size + n > b->limit)) {
        b->failed = true;
        return NULL;
    }
    wanted = b->size + n + 1;
    if (wanted > b->capacity) {
        capacity = b->capacity ? b->capacity : 64;
        while (capacity < wanted)
            capacity *= 2;
        data = realloc(b->data, capacity);
        if (!data) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->capacity = capacity;
    }
    return b->data + b->size;
}

void buffer_append(struct buffer *b, const void *data, size_t size)
{
    uint8_t *to = buffer_reserve(b, size);

    if (!to)
        return;
    if (size)
        memcpy(to, data, size);
    b->size += size;
    b->data[b->size] = 0;
}

void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_append_u8(struct buffer *b, uint8_t byte)
{
    buffer_append(b, &byte, 1);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list ap;
    uint8_t *to;
    int n;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
        return;
    }
    to = buffer_reserve(b, (size_t)n);
    if (!to)
        return;
    va_start(ap, format);
    (void)vsnprintf((char *)to, (size_t)n + 1, format, ap);
    va_end(ap);
    b->size += (size_t)n;
}

const char *buffer_text(const struct buffer *b)
{
    return b->data ? (const char *)b->data : "";
}

uint8_t *buffer_steal(struct buffer *b, size_t *size)
{
    uint8_t *data = NULL;

    if (!b->failed && buffer_reserve(b, 0)) {
        b->data[b->size] = 0;
        data = b->data;
        *size = b->size;
        b->data = NULL;
    }
    buffer_clear(b);
    return data;
}
