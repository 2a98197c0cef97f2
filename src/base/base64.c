#include "base/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t size)
{
    const uint8_t *in = data;
    char *text = malloc((size + 2) / 3 * 4 + 1), *at = text;

    for (size_t i = 0; text && i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (n > 2 ? in[i + 2] : 0);

        *at++ = digits[bits >> 18];
        *at++ = digits[bits >> 12 & 63];
        *at++ = n > 1 ? digits[bits >> 6 & 63] : '=';
        *at++ = n > 2 ? digits[bits & 63] : '=';
    }
    if (text)
        *at = 0;
    return text;
}

/* The value of a digit, -1 for any other character. */
static int value_of(char c)
{
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Four digits, of which the last `padding` are '='; false when one is none, or bits that mean nothing are set. */
static bool decode_four(const char *text, size_t padding, uint32_t *bits)
{
    *bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? value_of(text[i]) : 0;

        if (value < 0)
            return false;
        *bits = *bits << 6 | (uint32_t)value;
    }
    return (*bits & ((UINT32_C(1) << 8 * padding) - 1)) == 0;
}

bool base64_decode(const char *text, size_t text_size, uint8_t *out, size_t *size)
{
    size_t used = 0;

    if (text_size % 4)
        return false;
    for (size_t i = 0; i < text_size; i += 4) {
        bool last = i + 4 == text_size;
        size_t padding = !last || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
        uint32_t bits;

        if (!decode_four(text + i, padding, &bits))
            return false;
        for (size_t byte = 0; byte < 3 - padding; byte++)
            out[used++] = (uint8_t)(bits >> (16 - 8 * byte));
    }
    *size = used;
    return true;
}
