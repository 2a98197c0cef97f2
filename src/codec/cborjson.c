#include "codec/cborjson.h"

#include "codec/cborio.h"
#include "codec/jsonio.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

const char *cborjson_error_text(int error)
{
    static const char *const texts[] = {"", "it is malformed, or more than one item", "it is nested too deeply",
                                        "it is too large"};

    return (unsigned)error < array_size(texts) ? texts[error] : "";
}

/* CBOR to JSON (RFC 8949 section 6.1) ----------------------------------------------------------------------------- */

enum tag { TAG_UNSIGNED = 2, TAG_NEGATIVE = 3, TAG_BASE64URL = 21, TAG_BASE64 = 22, TAG_BASE16 = 23 };

/* An array or map that is being written. */
struct level {
    bool is_map, is_indefinite, in_key;
    uint64_t left; /* items; keys and values count each */
    bool is_empty; /* nothing was written yet */
    uint64_t encoding;
};

struct from_cbor {
    struct cborio_reader in;
    struct buffer *out;
    struct level levels[CBORJSON_MAX_NESTING];
    size_t depth;
    uint64_t encoding; /* a tag that tells how byte strings look: of the next item, and what is in it */
    uint64_t number;   /* a tag 2 or 3 just before; else 0 */
};

/* The innermost one, NULL: none. */
static struct level *top(struct from_cbor *c)
{
    return c->depth ? &c->levels[c->depth - 1] : NULL;
}

static void put_base64(struct buffer *out, const uint8_t *p, size_t size, bool is_url)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);

        for (size_t k = 0; k < 4; k++) {
            uint32_t digit = bits >> (18 - 6 * k) & 63;

            if (k <= left)
                buffer_append_u8(out, (uint8_t)(digit < 62 ? digits[digit] : (is_url ? "-_" : "+/")[digit - 62]));
            else if (!is_url)
                buffer_append_u8(out, '=');
        }
    }
}

static void put_bytes(struct from_cbor *c, const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";

    buffer_append_u8(c->out, '"');
    if (c->number == TAG_NEGATIVE)
        buffer_append_u8(c->out, '~');
    if (c->encoding == TAG_BASE16 && !c->number)
        for (size_t i = 0; i < size && !c->out->failed; i++) {
            buffer_append_u8(c->out, (uint8_t)digits[data[i] >> 4]);
            buffer_append_u8(c->out, (uint8_t)digits[data[i] & 15]);
        }
    else
        put_base64(c->out, data, size, c->encoding != TAG_BASE64 || c->number);
    buffer_append_u8(c->out, '"');
}

/* A string in pieces: all of its pieces, one after the other. */
static bool take_pieces(struct from_cbor *c, enum cborio_type type, struct buffer *whole)
{
    struct cborio_item piece;

    while (cborio_next(&c->in, &piece) && piece.type == type && !piece.indefinite)
        buffer_append(whole, piece.data, (size_t)piece.value);
    return piece.type == CBORIO_BREAK && !whole->failed;
}

static int put_text(struct from_cbor *c, const void *data, size_t size)
{
    jsonio_put_string(c->out, data, size);
    return text_is_utf8(data, size) || memchr(data, 0, size) ? 0 : CBORJSON_E_MALFORMED;
}

static int put_string(struct from_cbor *c, const struct cborio_item *item)
{
    cleanup_buffer struct buffer whole = buffer_init(c->in.cursor.size);
    const uint8_t *data = item->data;
    size_t size = (size_t)item->value;

    if (item->indefinite) {
        if (!take_pieces(c, item->type, &whole))
            return CBORJSON_E_MALFORMED;
        data = (const uint8_t *)buffer_text(&whole);
        size = whole.size;
    }
    if (item->type == CBORIO_TEXT)
        return put_text(c, data, size);
    put_bytes(c, data, size);
    return 0;
}

static void put_negative(struct buffer *out, uint64_t value)
{
    if (value == UINT64_MAX)
        buffer_append_text(out, "-18446744073709551616");
    else
        buffer_printf(out, "-%llu", (unsigned long long)value + 1);
}

/* An item that is no array and no map. */
static int put_scalar(struct from_cbor *c, const struct cborio_item *item)
{
    switch (item->type) {
    case CBORIO_UINT:
        buffer_printf(c->out, "%llu", (unsigned long long)item->value);
        return 0;
    case CBORIO_NEGINT:
        put_negative(c->out, item->value);
        return 0;
    case CBORIO_BYTES:
    case CBORIO_TEXT:
        return put_string(c, item);
    case CBORIO_BOOL:
        buffer_append_text(c->out, item->value ? "true" : "false");
        return 0;
    case CBORIO_NULL:
        buffer_append_text(c->out, "null");
        return 0;
    case CBORIO_FLOAT:
        jsonio_put_number(c->out, item->number);
        return 0;
    default:
        return CBORJSON_E_MALFORMED;
    }
}

/* What stands between an item and the one before. */
static void put_separator(struct from_cbor *c)
{
    struct level *level = top(c);

    if (!level)
        return;
    if (level->is_map && !level->in_key)
        buffer_append_u8(c->out, ':');
    else if (!level->is_empty)
        buffer_append_u8(c->out, ',');
    level->is_empty = false;
}

/* An item is complete. */
static void advance(struct from_cbor *c)
{
    struct level *level = top(c);

    c->number = 0;
    c->encoding = level ? level->encoding : 0;
    if (!level)
        return;
    if (!level->is_indefinite)
        level->left--;
    if (level->is_map)
        level->in_key = !level->in_key;
}

static int open_level(struct from_cbor *c, const struct cborio_item *item)
{
    bool is_map = item->type == CBORIO_MAP;

    if (c->depth == CBORJSON_MAX_NESTING)
        return CBORJSON_E_NESTING;
    if (!item->indefinite && item->value > cursor_left(&c->in.cursor)) /* an element takes a byte at least */
        return CBORJSON_E_MALFORMED;
    if (top(c) && top(c)->in_key) /* a key that is a structure has no text that anybody would read */
        return CBORJSON_E_MALFORMED;
    c->levels[c->depth++] = (struct level){.is_map = is_map,
                                           .is_indefinite = item->indefinite,
                                           .in_key = is_map,
                                           .left = is_map ? 2 * item->value : item->value,
                                           .is_empty = true,
                                           .encoding = c->encoding};
    c->number = 0;
    buffer_append_u8(c->out, is_map ? '{' : '[');
    return 0;
}

static void close_level(struct from_cbor *c)
{
    buffer_append_u8(c->out, c->levels[--c->depth].is_map ? '}' : ']');
    advance(c);
}

/* Keys that are no text: the text of what they would be as a value, in quotes. */
static int put_key(struct from_cbor *c, const struct cborio_item *item)
{
    bool is_quoted = item->type == CBORIO_TEXT || item->type == CBORIO_BYTES;
    int r;

    if (!is_quoted)
        buffer_append_u8(c->out, '"');
    r = put_scalar(c, item);
    if (!is_quoted)
        buffer_append_u8(c->out, '"');
    return r;
}

static int put_item(struct from_cbor *c, const struct cborio_item *item)
{
    bool is_key = top(c) && top(c)->in_key;
    int r;

    if (item->type == CBORIO_TAG) {
        c->number = item->value == TAG_UNSIGNED || item->value == TAG_NEGATIVE ? item->value : 0;
        if (item->value >= TAG_BASE64URL && item->value <= TAG_BASE16)
            c->encoding = item->value;
        return 0;
    }
    put_separator(c);
    if (item->type == CBORIO_ARRAY || item->type == CBORIO_MAP)
        return open_level(c, item);
    r = is_key ? put_key(c, item) : put_scalar(c, item);
    advance(c);
    return r;
}

static bool is_complete(const struct level *level)
{
    return !level->is_indefinite && level->left == 0;
}

/* Takes one item and what closes with it. A tag leaves the reader before the item that it belongs to. */
static int step(struct from_cbor *c, bool *is_tag)
{
    struct cborio_item item;
    int r;

    if (!cborio_next(&c->in, &item))
        return CBORJSON_E_MALFORMED;
    if (item.type == CBORIO_BREAK) {
        const struct level *level = top(c);

        if (!level || !level->is_indefinite || *is_tag || (level->is_map && !level->in_key))
            return CBORJSON_E_MALFORMED;
        close_level(c);
    } else {
        r = put_item(c, &item);
        if (r != 0)
            return r;
    }
    *is_tag = item.type == CBORIO_TAG;
    while (top(c) && is_complete(top(c)))
        close_level(c);
    return c->out->failed ? CBORJSON_E_LIMIT : 0;
}

int cborjson_to_json(const void *cbor, size_t size, struct buffer *out)
{
    struct from_cbor c = {.in = cborio_reader_init(cbor, size), .out = out};
    bool is_tag = false;
    int r;

    c.in.allows_indefinite = true;
    do
        r = step(&c, &is_tag);
    while (r == 0 && (c.depth || is_tag));
    return r == 0 && !cborio_ended(&c.in) ? CBORJSON_E_MALFORMED : r;
}

/* JSON to CBOR (section 6.2) -------------------------------------------------------------------------------------- */

#define HEAD_MAX 9 /* bytes of an integer, a float, or the head of anything else */

struct from_json {
    struct jsonio_reader in;
    struct buffer *out;
};

static void put_head(struct buffer *out, void (*put)(struct cborio_writer *w, uint64_t value), uint64_t value)
{
    struct cborio_writer w = cborio_writer_init(buffer_reserve(out, HEAD_MAX), HEAD_MAX);

    if (out->failed)
        return;
    put(&w, value);
    out->size += cborio_written(&w);
}

static void put_text_head(struct cborio_writer *w, uint64_t value)
{
    cborio_put_text_head(w, (size_t)value);
}

static void put_array(struct cborio_writer *w, uint64_t value)
{
    cborio_put_array(w, (size_t)value);
}

static void put_map(struct cborio_writer *w, uint64_t value)
{
    cborio_put_map(w, (size_t)value);
}

static void put_bool(struct cborio_writer *w, uint64_t value)
{
    cborio_put_bool(w, value != 0);
}

static void put_null(struct cborio_writer *w, uint64_t value)
{
    (void)value;
    cborio_put_null(w);
}

static void put_json_string(struct from_json *c, const struct jsonio_item *item)
{
    size_t size = item->size;
    char *copy = NULL;

    if (item->escaped) {
        copy = malloc(size);
        if (!copy) {
            c->out->failed = true;
            return;
        }
        size = jsonio_unescape(item, copy);
    }
    put_head(c->out, put_text_head, size);
    buffer_append(c->out, copy ? copy : item->text, size);
    free(copy);
}

static int put_json_number(struct from_json *c, const struct jsonio_item *item)
{
    struct cborio_writer w = cborio_writer_init(buffer_reserve(c->out, HEAD_MAX), HEAD_MAX);
    bool negative;
    uint64_t amount;

    if (c->out->failed)
        return CBORJSON_E_LIMIT;
    if (!jsonio_integer(item, &negative, &amount)) {
        double number = jsonio_number(item);

        if (!isfinite(number)) /* no double is near */
            return CBORJSON_E_MALFORMED;
        cborio_put_number(&w, number);
    } else if (negative) {
        cborio_put_negative(&w, amount - 1);
    } else {
        cborio_put_uint(&w, amount);
    }
    c->out->size += cborio_written(&w);
    return 0;
}

/* How many elements or members an array or object has that was just begun; the reader is a copy. */
static size_t count_inside(struct jsonio_reader r)
{
    struct jsonio_item item;
    size_t count = 0;

    while (jsonio_next(&r, &item) && item.type != JSONIO_END) {
        jsonio_skip(&r, &item);
        count++;
    }
    return count;
}

static int put_json_item(struct from_json *c, const struct jsonio_item *item)
{
    switch (item->type) {
    case JSONIO_NUMBER:
        return put_json_number(c, item);
    case JSONIO_STRING:
        put_json_string(c, item);
        break;
    case JSONIO_BOOL:
        put_head(c->out, put_bool, item->boolean);
        break;
    case JSONIO_NULL:
        put_head(c->out, put_null, 0);
        break;
    case JSONIO_ARRAY:
        put_head(c->out, put_array, count_inside(c->in));
        break;
    case JSONIO_OBJECT:
        put_head(c->out, put_map, count_inside(c->in) / 2);
        break;
    default:
        break;
    }
    return c->out->failed ? CBORJSON_E_LIMIT : 0;
}

int cborjson_from_json(const void *json, size_t size, struct buffer *out)
{
    struct from_json c = {.in = jsonio_reader_init(json, size), .out = out};
    struct jsonio_item item;
    int r = 0;

    while (r == 0 && !jsonio_ended(&c.in)) {
        if (!jsonio_next(&c.in, &item))
            return CBORJSON_E_MALFORMED;
        if (c.in.depth > CBORJSON_MAX_NESTING)
            return CBORJSON_E_NESTING;
        r = put_json_item(&c, &item);
    }
    return r;
}
