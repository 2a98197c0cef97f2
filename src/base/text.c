#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

bool text_copy(char *dst, size_t size, const char *src)
{
    size_t n = strlen(src);
    bool whole = n < size;

    if (!whole)
        n = size - 1;
    while (!whole && n > 0 && (src[n] & 0xc0) == 0x80)
        n--;
    memcpy(dst, src, n);
    dst[n] = 0;
    return whole;
}

char *text_hex(const void *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * size] = 0;
    return out;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool text_unhex(const char *text, void *out, size_t size)
{
    uint8_t *p = out;

    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        p[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int text_unescape(const char *text, size_t size)
{
    int high = size > 2 && text[0] == '%' ? hex_digit(text[1]) : -1, low = high >= 0 ? hex_digit(text[2]) : -1;

    return low < 0 ? -1 : high << 4 | low;
}

bool text_parse_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    long long value;
    char *end;

    if (digits[0] < '0' || digits[0] > '9')
        return false;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return false;
    *out = value;
    return true;
}

static bool is_name_char(char c)
{
    char lower = (char)(c | 0x20);

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '~' || c == '-';
}

bool text_is_name(const char *text, size_t max)
{
    bool dots_only = true;
    size_t n = 0;

    for (; n < max && text[n]; n++) {
        if (!is_name_char(text[n]))
            return false;
        dots_only = dots_only && text[n] == '.';
    }
    return text[n] == 0 && !dots_only;
}

/* The length of the UTF-8 sequence at p, or 0 when it is malformed (RFC 3629 section 4). */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t first_min, first_max, second_min, second_max;
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < array_size(forms); i++) {
        if (p[0] < forms[i].first_min || p[0] > forms[i].first_max)
            continue;
        if (forms[i].length > left)
            return 0;
        if (forms[i].length > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

bool text_is_utf8(const void *data, size_t size)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < size;) {
        size_t n = utf8_sequence(p + i, size - i);

        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

void text_repair_utf8(char *text)
{
    for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
        n = utf8_sequence((const uint8_t *)text, left);
        if (n == 0) {
            *text = '?';
            n = 1;
        }
    }
}

/* 64 random bits; the kernel's generator cannot fail once it is seeded, only a wait for that can be interrupted. */
static uint64_t random_bits(void)
{
    uint64_t bits = 0;
    ssize_t n;

    do
        n = getrandom(&bits, sizeof bits, 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof bits)
        abort();
    return bits;
}

char *text_new_uuid(int64_t wall_ms, char out[UUID_SIZE])
{
    static uint64_t last_ms;
    static uint16_t counter;
    uint64_t ms = (uint64_t)wall_ms & 0xffffffffffffULL, tail = random_bits();
    uint8_t bytes[16];
    char hex[2 * sizeof bytes + 1];

    if (ms <= last_ms) {
        if (++counter > 0xfff) {
            counter = 0;
            last_ms++;
        }
        ms = last_ms;
    } else {
        last_ms = ms;
        counter = 0;
    }
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | counter >> 8);
    bytes[7] = (uint8_t)counter;
    memcpy(bytes + 8, &tail, sizeof tail);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    text_hex(bytes, sizeof bytes, hex);
    (void)snprintf(out, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return out;
}

bool text_is_uuid(const char *text)
{
    if (strlen(text) != UUID_SIZE - 1)
        return false;
    for (size_t i = 0; i < UUID_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : hex_digit(text[i]) < 0 || (text[i] >= 'A' && text[i] <= 'F'))
            return false;
    }
    return true;
}
