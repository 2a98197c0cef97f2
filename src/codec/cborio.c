#include "codec/cborio.h"

#include "base/text.h"

#include <cbor.h>
#include <string.h>

/* libcbor 0.10 widened the lengths that its decoder hands out. */
#if CBOR_MAJOR_VERSION == 0 && CBOR_MINOR_VERSION < 10
typedef size_t cbor_length;
#else
typedef uint64_t cbor_length;
#endif

static void set(void *item, enum cborio_type type, uint64_t value)
{
    *(struct cborio_item *)item = (struct cborio_item){.type = type, .value = value};
}

static void on_uint8(void *item, uint8_t value)
{
    set(item, CBORIO_UINT, value);
}

static void on_uint16(void *item, uint16_t value)
{
    set(item, CBORIO_UINT, value);
}

static void on_uint32(void *item, uint32_t value)
{
    set(item, CBORIO_UINT, value);
}

static void on_uint64(void *item, uint64_t value)
{
    set(item, CBORIO_UINT, value);
}

static void on_negint8(void *item, uint8_t value)
{
    set(item, CBORIO_NEGINT, value);
}

static void on_negint16(void *item, uint16_t value)
{
    set(item, CBORIO_NEGINT, value);
}

static void on_negint32(void *item, uint32_t value)
{
    set(item, CBORIO_NEGINT, value);
}

static void on_negint64(void *item, uint64_t value)
{
    set(item, CBORIO_NEGINT, value);
}

static void on_bytes(void *item, cbor_data data, cbor_length size)
{
    *(struct cborio_item *)item = (struct cborio_item){.type = CBORIO_BYTES, .value = size, .data = data};
}

static void on_text(void *item, cbor_data data, cbor_length size)
{
    *(struct cborio_item *)item = (struct cborio_item){.type = CBORIO_TEXT, .value = size, .data = data};
}

static void on_array(void *item, cbor_length count)
{
    set(item, CBORIO_ARRAY, count);
}

static void on_map(void *item, cbor_length pairs)
{
    set(item, CBORIO_MAP, pairs);
}

static void on_tag(void *item, uint64_t tag)
{
    set(item, CBORIO_TAG, tag);
}

static void on_float(void *item, float number)
{
    *(struct cborio_item *)item = (struct cborio_item){.type = CBORIO_FLOAT, .number = (double)number};
}

static void on_double(void *item, double number)
{
    *(struct cborio_item *)item = (struct cborio_item){.type = CBORIO_FLOAT, .number = number};
}

static void on_bool(void *item, bool value)
{
    set(item, CBORIO_BOOL, value);
}

static void on_null(void *item)
{
    set(item, CBORIO_NULL, 0);
}

static void begin_indefinite(void *item, enum cborio_type type)
{
    *(struct cborio_item *)item = (struct cborio_item){.type = type, .indefinite = true};
}

static void on_bytes_start(void *item)
{
    begin_indefinite(item, CBORIO_BYTES);
}

static void on_text_start(void *item)
{
    begin_indefinite(item, CBORIO_TEXT);
}

static void on_array_start(void *item)
{
    begin_indefinite(item, CBORIO_ARRAY);
}

static void on_map_start(void *item)
{
    begin_indefinite(item, CBORIO_MAP);
}

static void on_break(void *item)
{
    begin_indefinite(item, CBORIO_BREAK);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string = on_bytes,
    .string = on_text,
    .array_start = on_array,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_null,
    .null = on_null,
    .boolean = on_bool,
    .byte_string_start = on_bytes_start,
    .string_start = on_text_start,
    .indef_array_start = on_array_start,
    .indef_map_start = on_map_start,
    .indef_break = on_break,
};

struct cborio_reader cborio_reader_init(const void *data, size_t size)
{
    return (struct cborio_reader){.cursor = cursor_init(data, size)};
}

bool cborio_failed(const struct cborio_reader *r)
{
    return cursor_failed(&r->cursor);
}

bool cborio_ended(const struct cborio_reader *r)
{
    return !cursor_failed(&r->cursor) && cursor_left(&r->cursor) == 0;
}

/* libcbor refuses some of the tags whose number is in the head, COSE's among them. */
static bool take_short_tag(struct cursor *c, struct cborio_item *item)
{
    uint8_t byte = c->data[c->offset];

    if (byte < 0xc0 || byte > 0xd7)
        return false;
    (void)cursor_u8(c);
    set(item, CBORIO_TAG, byte & 0x1f);
    return true;
}

bool cborio_next(struct cborio_reader *r, struct cborio_item *item)
{
    struct cursor *c = &r->cursor;
    struct cbor_decoder_result result;

    *item = (struct cborio_item){.type = CBORIO_NONE};
    if (cursor_left(c) == 0) {
        cursor_fail(c);
        return false;
    }
    if (take_short_tag(c, item))
        return true;
    result = cbor_stream_decode(c->data + c->offset, cursor_left(c), &callbacks, item);
    if (result.status != CBOR_DECODER_FINISHED || item->type == CBORIO_NONE ||
        (item->indefinite && !r->allows_indefinite) || !cursor_take(c, result.read)) {
        *item = (struct cborio_item){.type = CBORIO_NONE};
        cursor_fail(c);
        return false;
    }
    return true;
}

enum cborio_type cborio_peek(const struct cborio_reader *r)
{
    struct cborio_reader ahead = *r;
    struct cborio_item item;

    (void)cborio_next(&ahead, &item);
    return item.type;
}

/* How many items follow a head before its own item is complete: UNTIL_BREAK for an indefinite one. */
#define UNTIL_BREAK UINT64_MAX

static uint64_t items_inside(const struct cborio_item *item)
{
    if (item->indefinite)
        return UNTIL_BREAK;
    switch (item->type) {
    case CBORIO_ARRAY: /* more elements or pairs than these cannot be in any input */
        return item->value == UNTIL_BREAK ? UNTIL_BREAK - 1 : item->value;
    case CBORIO_MAP:
        return item->value > UINT64_MAX / 2 ? UNTIL_BREAK - 1 : 2 * item->value;
    case CBORIO_TAG:
        return 1;
    default:
        return 0;
    }
}

void cborio_skip(struct cborio_reader *r)
{
    uint64_t open[CBORIO_MAX_NESTING + 1] = {1}; /* per level: items still to come */
    size_t depth = 0;
    struct cborio_item item;

    for (;;) {
        while (open[depth] == 0) {
            if (depth == 0)
                return;
            depth--;
        }
        if (!cborio_next(r, &item))
            return;
        if (item.type == CBORIO_BREAK) {
            if (open[depth] != UNTIL_BREAK) {
                cursor_fail(&r->cursor);
                return;
            }
            open[depth] = 0;
            continue;
        }
        if (open[depth] != UNTIL_BREAK)
            open[depth]--;
        if (items_inside(&item) == 0)
            continue;
        if (depth == CBORIO_MAX_NESTING) {
            cursor_fail(&r->cursor);
            return;
        }
        open[++depth] = items_inside(&item);
    }
}

/* Takes an item of the given type; fails otherwise. */
static bool take(struct cborio_reader *r, enum cborio_type type, struct cborio_item *item)
{
    if (cborio_next(r, item) && item->type == type)
        return true;
    cursor_fail(&r->cursor);
    return false;
}

uint64_t cborio_get_uint(struct cborio_reader *r, uint64_t max)
{
    struct cborio_item item;

    if (!take(r, CBORIO_UINT, &item))
        return 0;
    if (item.value > max) {
        cursor_fail(&r->cursor);
        return 0;
    }
    return item.value;
}

int64_t cborio_get_int(struct cborio_reader *r)
{
    struct cborio_item item;

    if (!cborio_next(r, &item))
        return 0;
    if ((item.type != CBORIO_UINT && item.type != CBORIO_NEGINT) || item.value > INT64_MAX) {
        cursor_fail(&r->cursor);
        return 0;
    }
    return item.type == CBORIO_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
}

const uint8_t *cborio_get_bytes(struct cborio_reader *r, size_t *size)
{
    struct cborio_item item;

    *size = 0;
    if (!take(r, CBORIO_BYTES, &item))
        return NULL;
    *size = (size_t)item.value;
    return item.data;
}

const char *cborio_get_text(struct cborio_reader *r, size_t *size)
{
    struct cborio_item item;

    *size = 0;
    if (!take(r, CBORIO_TEXT, &item))
        return NULL;
    if (!text_is_utf8(item.data, (size_t)item.value)) {
        cursor_fail(&r->cursor);
        return NULL;
    }
    *size = (size_t)item.value;
    return (const char *)item.data;
}

/* An element takes a byte at least, so a count beyond what is left is a lie that loops need not follow. */
static size_t take_count(struct cborio_reader *r, enum cborio_type type, size_t least)
{
    struct cborio_item item;

    if (!take(r, type, &item))
        return 0;
    if (item.value > cursor_left(&r->cursor) / least) {
        cursor_fail(&r->cursor);
        return 0;
    }
    return (size_t)item.value;
}

size_t cborio_get_array(struct cborio_reader *r)
{
    return take_count(r, CBORIO_ARRAY, 1);
}

size_t cborio_get_map(struct cborio_reader *r)
{
    return take_count(r, CBORIO_MAP, 2);
}

uint64_t cborio_get_tag(struct cborio_reader *r)
{
    struct cborio_item item;

    return take(r, CBORIO_TAG, &item) ? item.value : 0;
}

bool cborio_get_bool(struct cborio_reader *r)
{
    struct cborio_item item;

    return take(r, CBORIO_BOOL, &item) && item.value;
}

double cborio_get_number(struct cborio_reader *r)
{
    struct cborio_item item;

    if (!cborio_next(r, &item))
        return 0;
    switch (item.type) {
    case CBORIO_UINT:
        return (double)item.value;
    case CBORIO_NEGINT:
        return -1 - (double)item.value;
    case CBORIO_FLOAT:
        return item.number;
    default:
        cursor_fail(&r->cursor);
        return 0;
    }
}

struct cborio_reader cborio_get_nested(struct cborio_reader *r)
{
    size_t size;
    const uint8_t *data = cborio_get_bytes(r, &size);
    struct cborio_reader nested = cborio_reader_init(data, size);

    nested.cursor.failed = cborio_failed(r);
    return nested;
}

void cborio_copy_text(struct cborio_reader *r, char *out, size_t size)
{
    size_t length;
    const char *text = cborio_get_text(r, &length);

    out[0] = 0;
    if (!text || length >= size) {
        cursor_fail(&r->cursor);
        return;
    }
    memcpy(out, text, length);
    out[length] = 0;
}

struct cborio_writer cborio_writer_init(void *out, size_t size)
{
    return (struct cborio_writer){.out = out, .size = size};
}

size_t cborio_written(const struct cborio_writer *w)
{
    return w->failed ? 0 : w->used;
}

/* Where the next byte goes and how many fit; libcbor returns 0 when an item does not. */
#define ROOM(w) (w)->out + (w)->used, (w)->size - (w)->used

static void advance(struct cborio_writer *w, size_t written)
{
    if (written == 0)
        w->failed = true;
    w->used += written;
}

void cborio_put_uint(struct cborio_writer *w, uint64_t value)
{
    advance(w, cbor_encode_uint(value, ROOM(w)));
}

void cborio_put_negative(struct cborio_writer *w, uint64_t n)
{
    advance(w, cbor_encode_negint(n, ROOM(w)));
}

void cborio_put_int(struct cborio_writer *w, int64_t value)
{
    if (value < 0)
        cborio_put_negative(w, (uint64_t)(-1 - value));
    else
        cborio_put_uint(w, (uint64_t)value);
}

void cborio_put_encoded(struct cborio_writer *w, const void *data, size_t size)
{
    if (size > w->size - w->used) {
        w->failed = true;
        return;
    }
    if (size)
        memcpy(w->out + w->used, data, size);
    w->used += size;
}

void cborio_put_bytes_head(struct cborio_writer *w, size_t size)
{
    advance(w, cbor_encode_bytestring_start(size, ROOM(w)));
}

void cborio_put_text_head(struct cborio_writer *w, size_t size)
{
    advance(w, cbor_encode_string_start(size, ROOM(w)));
}

void cborio_put_bytes(struct cborio_writer *w, const void *data, size_t size)
{
    cborio_put_bytes_head(w, size);
    cborio_put_encoded(w, data, size);
}

void cborio_put_text(struct cborio_writer *w, const char *text)
{
    cborio_put_text_head(w, strlen(text));
    cborio_put_encoded(w, text, strlen(text));
}

void cborio_put_array(struct cborio_writer *w, size_t count)
{
    advance(w, cbor_encode_array_start(count, ROOM(w)));
}

void cborio_put_map(struct cborio_writer *w, size_t pairs)
{
    advance(w, cbor_encode_map_start(pairs, ROOM(w)));
}

void cborio_put_tag(struct cborio_writer *w, uint64_t tag)
{
    advance(w, cbor_encode_tag(tag, ROOM(w)));
}

void cborio_put_bool(struct cborio_writer *w, bool value)
{
    advance(w, cbor_encode_bool(value, ROOM(w)));
}

void cborio_put_null(struct cborio_writer *w)
{
    advance(w, cbor_encode_null(ROOM(w)));
}

void cborio_put_number(struct cborio_writer *w, double value)
{
    float single = (float)value;
    uint8_t half[3];

    if ((double)single != value) {
        cborio_put_double(w, value);
        return;
    }
    /* libcbor cuts what a half cannot hold: reading it again shows. */
    if (cbor_encode_half(single, half, sizeof half) == sizeof half) {
        struct cborio_reader r = cborio_reader_init(half, sizeof half);

        if (cborio_get_number(&r) == value) {
            cborio_put_encoded(w, half, sizeof half);
            return;
        }
    }
    advance(w, cbor_encode_single(single, ROOM(w)));
}

void cborio_put_double(struct cborio_writer *w, double value)
{
    advance(w, cbor_encode_double(value, ROOM(w)));
}
