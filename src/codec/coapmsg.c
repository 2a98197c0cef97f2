#include "tcgw/coapmsg.h"

#include "base/cursor.h"

#include <string.h>

#define VERSION 1
#define HEADER_SIZE 4
#define PAYLOAD_MARKER 0xff
#define EXTENDED_8 13  /* nibble: one more byte follows, holding the value minus 13 */
#define EXTENDED_16 14 /* nibble: two more bytes follow, holding the value minus 269 */
#define EXTENDED_16_BASE 269
#define BLOCK_NUM_MAX 0xfffff
#define BLOCK_SZX_RESERVED 7
#define MAX_SEGMENT 255 /* of a Uri-Path option (RFC 7252 section 5.10) */

void coapmsg_init(struct coapmsg *msg, enum coapmsg_type type, uint8_t code)
{
    msg->type = type;
    msg->code = code;
    msg->id = 0;
    msg->token_length = 0;
    msg->option_count = 0;
    msg->payload = NULL;
    msg->payload_size = 0;
    msg->failed = false;
    msg->scratch_used = 0;
}

void coapmsg_set_token(struct coapmsg *msg, const void *token, size_t length)
{
    if (length > COAPMSG_MAX_TOKEN) {
        msg->failed = true;
        return;
    }
    if (length)
        memcpy(msg->token, token, length);
    msg->token_length = (uint8_t)length;
}

void coapmsg_set_payload(struct coapmsg *msg, const void *payload, size_t size)
{
    msg->payload = payload;
    msg->payload_size = size;
}

void coapmsg_add(struct coapmsg *msg, uint16_t number, const void *value, size_t length)
{
    size_t at = msg->option_count;

    if (at == COAPMSG_MAX_OPTIONS || length > UINT16_MAX) {
        msg->failed = true;
        return;
    }
    for (; at > 0 && msg->options[at - 1].number > number; at--)
        msg->options[at] = msg->options[at - 1];
    msg->options[at] = (struct coapmsg_option){number, (uint16_t)length, value};
    msg->option_count++;
}

void coapmsg_add_text(struct coapmsg *msg, uint16_t number, const char *value)
{
    coapmsg_add(msg, number, value, strlen(value));
}

void coapmsg_add_uint(struct coapmsg *msg, uint16_t number, uint32_t value)
{
    uint8_t *to = msg->scratch + msg->scratch_used;
    size_t length = 0;

    while (length < sizeof value && value >> (8 * length))
        length++;
    if (length > COAPMSG_SCRATCH - msg->scratch_used) {
        msg->failed = true;
        return;
    }
    for (size_t i = 0; i < length; i++)
        to[i] = (uint8_t)(value >> (8 * (length - 1 - i)));
    msg->scratch_used += length;
    coapmsg_add(msg, number, to, length);
}

/* Steps to the next segment of a path whose leading slash was skipped; NULL after the last one. */
static const char *next_segment(const char *segment, size_t length)
{
    return segment[length] == '/' ? segment + length + 1 : NULL;
}

/* The first segment of an absolute path; NULL for the root, which has no Uri-Path (RFC 7252 section 6.4). */
static const char *first_segment(const char *path)
{
    if (*path == '/')
        path++;
    return *path ? path : NULL;
}

void coapmsg_add_path(struct coapmsg *msg, const char *path)
{
    size_t length;

    for (const char *segment = first_segment(path); segment; segment = next_segment(segment, length)) {
        length = strcspn(segment, "/");
        if (length > MAX_SEGMENT)
            msg->failed = true;
        coapmsg_add(msg, COAPMSG_OPT_URI_PATH, segment, length);
    }
}

const struct coapmsg_option *coapmsg_find(const struct coapmsg *msg, uint16_t number)
{
    for (size_t i = 0; i < msg->option_count && msg->options[i].number <= number; i++)
        if (msg->options[i].number == number)
            return &msg->options[i];
    return NULL;
}

const struct coapmsg_option *coapmsg_find_next(const struct coapmsg *msg, const struct coapmsg_option *prev)
{
    const struct coapmsg_option *next = prev + 1;

    return next < msg->options + msg->option_count && next->number == prev->number ? next : NULL;
}

static uint32_t uint_value(const struct coapmsg_option *option)
{
    uint32_t value = 0;

    for (size_t i = 0; i < option->length; i++)
        value = value << 8 | option->value[i];
    return value;
}

bool coapmsg_get_uint(const struct coapmsg *msg, uint16_t number, uint32_t *value)
{
    const struct coapmsg_option *option = coapmsg_find(msg, number);

    if (!option || option->length > sizeof *value)
        return false;
    *value = uint_value(option);
    return true;
}

bool coapmsg_path_is(const struct coapmsg *msg, const char *path)
{
    const struct coapmsg_option *option = coapmsg_find(msg, COAPMSG_OPT_URI_PATH);
    const char *segment = first_segment(path);

    while (option && segment) {
        size_t length = strcspn(segment, "/");

        if (option->length != length || (length && memcmp(option->value, segment, length) != 0))
            return false;
        option = coapmsg_find_next(msg, option);
        segment = next_segment(segment, length);
    }
    return !option && !segment;
}

/* How many bytes extend an option's delta or length nibble. */
static size_t extension_size(size_t value)
{
    return value < EXTENDED_8 ? 0 : value < EXTENDED_16_BASE ? 1 : 2;
}

size_t coapmsg_size(const struct coapmsg *msg)
{
    size_t size = HEADER_SIZE + msg->token_length;
    uint16_t last = 0;

    for (size_t i = 0; i < msg->option_count; i++) {
        const struct coapmsg_option *option = &msg->options[i];

        size += 1 + extension_size((size_t)(option->number - last)) + extension_size(option->length) + option->length;
        last = option->number;
    }
    return size + (msg->payload_size ? 1 + msg->payload_size : 0);
}

/* Writes the bytes that extend a nibble to *out and moves it on; returns the nibble. */
static uint8_t put_extension(uint8_t **out, size_t value)
{
    switch (extension_size(value)) {
    case 0:
        return (uint8_t)value;
    case 1:
        *(*out)++ = (uint8_t)(value - EXTENDED_8);
        return EXTENDED_8;
    default:
        *(*out)++ = (uint8_t)((value - EXTENDED_16_BASE) >> 8);
        *(*out)++ = (uint8_t)(value - EXTENDED_16_BASE);
        return EXTENDED_16;
    }
}

static uint8_t *put_bytes(uint8_t *out, const void *data, size_t size)
{
    if (size)
        memcpy(out, data, size);
    return out + size;
}

static uint8_t *put_option(uint8_t *out, const struct coapmsg_option *option, uint16_t last)
{
    uint8_t *head = out++;
    uint8_t delta = put_extension(&out, (size_t)(option->number - last));
    uint8_t length = put_extension(&out, option->length);

    *head = (uint8_t)(delta << 4 | length);
    return put_bytes(out, option->value, option->length);
}

size_t coapmsg_encode(const struct coapmsg *msg, uint8_t *out, size_t size)
{
    size_t length = coapmsg_size(msg);
    uint16_t last = 0;

    if (msg->failed || length > size)
        return 0;
    *out++ = (uint8_t)(VERSION << 6 | msg->type << 4 | msg->token_length);
    *out++ = msg->code;
    *out++ = (uint8_t)(msg->id >> 8);
    *out++ = (uint8_t)msg->id;
    out = put_bytes(out, msg->token, msg->token_length);
    for (size_t i = 0; i < msg->option_count; i++) {
        out = put_option(out, &msg->options[i], last);
        last = msg->options[i].number;
    }
    if (msg->payload_size) {
        *out++ = PAYLOAD_MARKER;
        (void)put_bytes(out, msg->payload, msg->payload_size);
    }
    return length;
}

/* The value of a delta or length nibble with its extension; 15 is reserved and fails the cursor. */
static uint32_t take_extension(struct cursor *c, unsigned nibble)
{
    if (nibble < EXTENDED_8)
        return nibble;
    if (nibble == EXTENDED_8)
        return EXTENDED_8 + (uint32_t)cursor_u8(c);
    if (nibble == EXTENDED_16)
        return EXTENDED_16_BASE + (uint32_t)cursor_u16be(c);
    cursor_fail(c);
    return 0;
}

static int take_option(struct coapmsg *msg, struct cursor *c, uint8_t head, uint32_t *number)
{
    const uint8_t *value;
    uint32_t length;

    *number += take_extension(c, head >> 4);
    length = take_extension(c, head & 15);
    value = cursor_take(c, length);
    if (cursor_failed(c) || *number > UINT16_MAX || length > UINT16_MAX)
        return COAPMSG_E_FORMAT;
    if (msg->option_count == COAPMSG_MAX_OPTIONS)
        return COAPMSG_E_LIMIT;
    msg->options[msg->option_count++] = (struct coapmsg_option){(uint16_t)*number, (uint16_t)length, value};
    return 0;
}

static int take_options_and_payload(struct coapmsg *msg, struct cursor *c)
{
    uint32_t number = 0;

    while (cursor_left(c) > 0) {
        uint8_t head = cursor_u8(c);
        int r;

        if (head == PAYLOAD_MARKER) {
            msg->payload_size = cursor_left(c);
            msg->payload = cursor_take(c, msg->payload_size);
            return msg->payload_size ? 0 : COAPMSG_E_FORMAT;
        }
        r = take_option(msg, c, head, &number);
        if (r)
            return r;
    }
    return 0;
}

static bool class_is_reserved(uint8_t code)
{
    return COAPMSG_CLASS(code) == 1 || COAPMSG_CLASS(code) > 5;
}

int coapmsg_decode(struct coapmsg *msg, const void *data, size_t size)
{
    struct cursor c = cursor_init(data, size);
    const uint8_t *header = cursor_take(&c, HEADER_SIZE), *token;
    size_t token_length;

    coapmsg_init(msg, COAPMSG_RST, COAPMSG_EMPTY);
    if (!header || header[0] >> 6 != VERSION)
        return COAPMSG_E_FORMAT;
    msg->type = (enum coapmsg_type)(header[0] >> 4 & 3);
    msg->code = header[1];
    msg->id = (uint16_t)(header[2] << 8 | header[3]);
    token_length = header[0] & 15;
    if (token_length > COAPMSG_MAX_TOKEN)
        return COAPMSG_E_FORMAT;
    token = cursor_take(&c, token_length);
    if (!token)
        return COAPMSG_E_FORMAT;
    coapmsg_set_token(msg, token, token_length);
    if (class_is_reserved(msg->code) || (msg->code == COAPMSG_EMPTY && size != HEADER_SIZE))
        return COAPMSG_E_FORMAT;
    return take_options_and_payload(msg, &c);
}

char *coapmsg_code_text(uint8_t code, char out[5])
{
    out[0] = (char)('0' + COAPMSG_CLASS(code));
    out[1] = '.';
    out[2] = (char)('0' + COAPMSG_DETAIL(code) / 10);
    out[3] = (char)('0' + COAPMSG_DETAIL(code) % 10);
    out[4] = 0;
    return out;
}

void coapmsg_add_block(struct coapmsg *msg, uint16_t number, struct coapmsg_block block)
{
    if (block.num > BLOCK_NUM_MAX || block.szx >= BLOCK_SZX_RESERVED) {
        msg->failed = true;
        return;
    }
    coapmsg_add_uint(msg, number, block.num << 4 | (block.more ? 8u : 0u) | block.szx);
}

int coapmsg_get_block(const struct coapmsg *msg, uint16_t number, struct coapmsg_block *block)
{
    const struct coapmsg_option *option = coapmsg_find(msg, number);
    uint32_t value;

    if (!option)
        return 1;
    value = uint_value(option);
    if (option->length > 3 || (value & 7) == BLOCK_SZX_RESERVED)
        return 2;
    *block = (struct coapmsg_block){value >> 4, (value & 8) != 0, (uint8_t)(value & 7)};
    return 0;
}
