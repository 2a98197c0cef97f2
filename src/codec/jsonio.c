#include "codec/jsonio.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum due {
    DUE_ANY,   /* the value */
    DUE_FIRST, /* a first element or member, or the end */
    DUE_ITEM,  /* an element or a member, after a comma */
    DUE_COLON, /* and a member's value */
    DUE_COMMA, /* or the end */
    DUE_NOTHING,
};

struct jsonio_reader jsonio_reader_init(const void *data, size_t size)
{
    return (struct jsonio_reader){.cursor = cursor_init(data, size)};
}

bool jsonio_failed(const struct jsonio_reader *r)
{
    return cursor_failed(&r->cursor);
}

/* The next byte, which is not taken; 0 at the end (a NUL is nowhere allowed). */
static uint8_t look(const struct jsonio_reader *r)
{
    const struct cursor *c = &r->cursor;

    return cursor_left(c) ? c->data[c->offset] : 0;
}

static uint8_t look_past_space(struct jsonio_reader *r)
{
    struct cursor *c = &r->cursor;
    uint8_t byte;

    while ((byte = look(r)) == ' ' || byte == '\n' || byte == '\r' || byte == '\t')
        c->offset++;
    return byte;
}

bool jsonio_ended(struct jsonio_reader *r)
{
    return !jsonio_failed(r) && r->due == DUE_NOTHING && look_past_space(r) == 0 && cursor_left(&r->cursor) == 0;
}

static bool fail(struct jsonio_reader *r)
{
    cursor_fail(&r->cursor);
    return false;
}

static bool in_object(const struct jsonio_reader *r)
{
    return r->depth > 0 && (r->objects >> (r->depth - 1) & 1);
}

/* Strings --------------------------------------------------------------------------------------------------------- */

static int hex_value(const uint8_t *digits)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t c = digits[i], lower = c | 0x20;

        if (c >= '0' && c <= '9')
            value = value << 4 | (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* The code point of \uXXXX, or of two that are a surrogate pair; p stands behind the u. Returns how many bytes it
 * takes, 0 when it is none or NUL. */
static size_t read_unicode(const uint8_t *p, size_t left, uint32_t *code)
{
    int high = left >= 4 ? hex_value(p) : -1, low;

    *code = (uint32_t)high;
    if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0;
    if (high < 0xd800 || high > 0xdbff)
        return 4;
    low = left >= 10 && p[4] == '\\' && p[5] == 'u' ? hex_value(p + 6) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *code = 0x10000u + (((uint32_t)high - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
    return 10;
}

static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";

/* The bytes of an escape behind its backslash, 0 when it is none. */
static size_t escape_size(const uint8_t *p, size_t left)
{
    uint32_t code;
    size_t n;

    if (left == 0)
        return 0;
    if (*p != 'u')
        return *p && strchr(escapes, *p) ? 1 : 0;
    n = read_unicode(p + 1, left - 1, &code);
    return n ? n + 1 : 0;
}

static bool take_string(struct jsonio_reader *r, struct jsonio_item *item)
{
    struct cursor *c = &r->cursor;
    const uint8_t *begin = c->data + c->offset + 1, *end = c->data + c->size, *p = begin;
    bool is_ascii = true;

    item->escaped = false;
    for (; p < end && *p != '"'; p++) {
        if (*p < 0x20)
            return fail(r);
        is_ascii = is_ascii && *p < 0x80;
        if (*p == '\\') {
            size_t n = escape_size(p + 1, (size_t)(end - p - 1));

            if (n == 0)
                return fail(r);
            item->escaped = true;
            p += n;
        }
    }
    if (p == end || (!is_ascii && !text_is_utf8(begin, (size_t)(p - begin))))
        return fail(r);
    item->type = JSONIO_STRING;
    item->text = (const char *)begin;
    item->size = (size_t)(p - begin);
    c->offset = (size_t)(p + 1 - c->data);
    return true;
}

static size_t put_utf8(uint32_t code, char *out)
{
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = n; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(marks[n] | code);
    return n;
}

size_t jsonio_unescape(const struct jsonio_item *item, char *out)
{
    const uint8_t *p = (const uint8_t *)item->text, *end = p + item->size;
    size_t used = 0;

    while (p < end) {
        uint32_t code;

        if (*p != '\\') {
            out[used++] = (char)*p++;
        } else if (p[1] == 'u') {
            p += 2 + read_unicode(p + 2, (size_t)(end - p - 2), &code);
            used += put_utf8(code, out + used);
        } else {
            out[used++] = meanings[strchr(escapes, p[1]) - escapes];
            p += 2;
        }
    }
    return used;
}

/* Numbers --------------------------------------------------------------------------------------------------------- */

static size_t count_digits(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *begin = p;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return (size_t)(p - begin);
}

/* The bytes of a number at p, 0 when it is none (section 6). */
static size_t number_size(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *begin = p;
    size_t n;

    p += *p == '-';
    n = count_digits(p, end);
    if (n == 0 || (n > 1 && *p == '0'))
        return 0;
    p += n;
    if (p < end && *p == '.') {
        n = count_digits(p + 1, end);
        if (n == 0)
            return 0;
        p += n + 1;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        n = count_digits(p, end);
        if (n == 0)
            return 0;
        p += n;
    }
    return (size_t)(p - begin);
}

static bool take_number(struct jsonio_reader *r, struct jsonio_item *item)
{
    struct cursor *c = &r->cursor;
    const uint8_t *p = c->data + c->offset;
    size_t size = number_size(p, c->data + c->size);

    if (size == 0 || size > JSONIO_MAX_NUMBER)
        return fail(r);
    item->type = JSONIO_NUMBER;
    item->text = (const char *)p;
    item->size = size;
    c->offset += size;
    return true;
}

/* What most sensors send: up to 15 digits and a point somewhere are two doubles without error, and so is their quotient
 * but for one rounding. */
static bool read_short(const struct jsonio_item *item, double *number)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    bool negative = item->text[0] == '-', seen_point = false;
    uint64_t digits = 0;
    size_t places = 0;

    if (item->size > 16)
        return false;
    for (size_t i = negative; i < item->size; i++) {
        char c = item->text[i];

        if (c == '.') {
            seen_point = true;
            continue;
        }
        if (c < '0' || c > '9')
            return false;
        digits = 10 * digits + (uint64_t)(c - '0');
        places += seen_point;
    }
    if (places >= array_size(powers) || digits > 999999999999999)
        return false;
    *number = (double)digits / powers[places];
    if (negative)
        *number = -*number;
    return true;
}

double jsonio_number(const struct jsonio_item *item)
{
    char text[JSONIO_MAX_NUMBER + 1];
    double number;

    if (read_short(item, &number))
        return number;
    memcpy(text, item->text, item->size);
    text[item->size] = 0;
    return strtod(text, NULL);
}

bool jsonio_integer(const struct jsonio_item *item, bool *negative, uint64_t *amount)
{
    uint64_t value = 0;

    *negative = item->text[0] == '-';
    for (size_t i = *negative; i < item->size; i++) {
        unsigned digit = (unsigned char)item->text[i] - (unsigned)'0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = 10 * value + digit;
    }
    *amount = value;
    return !*negative || value > 0;
}

/* Items ----------------------------------------------------------------------------------------------------------- */

static bool take_word(struct jsonio_reader *r, struct jsonio_item *item)
{
    static const struct {
        const char *text;
        struct jsonio_item item;
    } words[] = {{"true", {.type = JSONIO_BOOL, .boolean = true}},
                 {"false", {.type = JSONIO_BOOL}},
                 {"null", {.type = JSONIO_NULL}}};
    struct cursor *c = &r->cursor;

    for (size_t i = 0; i < array_size(words); i++) {
        size_t n = strlen(words[i].text);

        if (cursor_left(c) >= n && memcmp(c->data + c->offset, words[i].text, n) == 0) {
            *item = words[i].item;
            c->offset += n;
            return true;
        }
    }
    return fail(r);
}

static bool open_level(struct jsonio_reader *r, struct jsonio_item *item, bool is_object)
{
    if (r->depth == JSONIO_MAX_NESTING)
        return fail(r);
    r->cursor.offset++;
    r->objects &= ~(1u << r->depth);
    r->objects |= (uint32_t)is_object << r->depth;
    r->depth++;
    r->due = DUE_FIRST;
    item->type = is_object ? JSONIO_OBJECT : JSONIO_ARRAY;
    return true;
}

static void after_value(struct jsonio_reader *r)
{
    r->due = r->depth ? DUE_COMMA : DUE_NOTHING;
}

static bool close_level(struct jsonio_reader *r, struct jsonio_item *item)
{
    r->cursor.offset++;
    r->depth--;
    after_value(r);
    item->type = JSONIO_END;
    return true;
}

static bool take_value(struct jsonio_reader *r, struct jsonio_item *item, uint8_t byte)
{
    bool taken;

    if (byte == '{' || byte == '[')
        return open_level(r, item, byte == '{');
    if (byte == '"')
        taken = take_string(r, item);
    else if (byte == '-' || (byte >= '0' && byte <= '9'))
        taken = take_number(r, item);
    else
        taken = take_word(r, item);
    after_value(r);
    return taken;
}

/* Takes what stands in front of the next item; false when the item may not come. */
static bool take_separator(struct jsonio_reader *r, uint8_t *byte)
{
    uint8_t wanted = r->due == DUE_COMMA ? ',' : ':';

    if (r->due != DUE_COMMA && r->due != DUE_COLON)
        return r->due != DUE_NOTHING;
    if (*byte != wanted)
        return false;
    r->cursor.offset++;
    *byte = look_past_space(r);
    r->due = r->due == DUE_COMMA ? DUE_ITEM : DUE_ANY;
    return true;
}

bool jsonio_next(struct jsonio_reader *r, struct jsonio_item *item)
{
    uint8_t byte = look_past_space(r);

    *item = (struct jsonio_item){.type = JSONIO_NONE};
    if (jsonio_failed(r))
        return false;
    if ((r->due == DUE_FIRST || r->due == DUE_COMMA) && byte == (in_object(r) ? '}' : ']'))
        return close_level(r, item);
    if (!take_separator(r, &byte))
        return fail(r);
    if (!in_object(r) || r->due == DUE_ANY)
        return take_value(r, item, byte);
    if (byte != '"' || !take_string(r, item))
        return fail(r);
    r->due = DUE_COLON;
    return true;
}

void jsonio_skip(struct jsonio_reader *r, const struct jsonio_item *item)
{
    struct jsonio_item next = *item;
    uint8_t depth = r->depth;

    if (item->type != JSONIO_ARRAY && item->type != JSONIO_OBJECT)
        return;
    while (r->depth >= depth && jsonio_next(r, &next))
        ;
}

/* Writing --------------------------------------------------------------------------------------------------------- */

/* The bytes from p on that may stand in a string as they are. */
static size_t plain_size(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *begin = p;

    while (p < end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
        p++;
    return (size_t)(p - begin);
}

/* Appends the character at p, which is not plain; returns its size. */
static size_t put_character(struct buffer *out, const uint8_t *p, size_t left)
{
    const char *meaning = *p ? strchr(meanings, *p) : NULL;
    size_t n = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

    if (*p == 0x7f) {
        buffer_append_u8(out, *p);
    } else if (meaning && *p != '/') {
        buffer_append_u8(out, '\\');
        buffer_append_u8(out, (uint8_t)escapes[meaning - meanings]);
    } else if (*p && *p < 0x20) {
        buffer_printf(out, "\\u%04x", *p);
    } else if (*p && n <= left && text_is_utf8(p, n)) {
        buffer_append(out, p, n);
        return n;
    } else {
        buffer_append_text(out, "\xef\xbf\xbd");
    }
    return 1;
}

void jsonio_put_string(struct buffer *out, const void *text, size_t size)
{
    const uint8_t *p = text, *end = p + size;

    buffer_append_u8(out, '"');
    while (p < end && !out->failed) {
        size_t n = plain_size(p, end);

        if (n) {
            buffer_append(out, p, n);
            p += n;
        } else {
            p += put_character(out, p, (size_t)(end - p));
        }
    }
    buffer_append_u8(out, '"');
}

void jsonio_put_number(struct buffer *out, double number)
{
    char text[40];
    int n = 0;

    if (!isfinite(number)) {
        buffer_append_text(out, "null");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        n = snprintf(text, sizeof text, "%.*g", precision, number);
        if (strtod(text, NULL) == number) /* NOLINT: both come from the same number */
            break;
    }
    buffer_append(out, text, (size_t)n);
}
