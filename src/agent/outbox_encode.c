#include "agent/outbox.h"

#include "codec/cborio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Labels of SenML in CBOR (RFC 8428 section 6). */
enum { LABEL_BASE_TIME = -3, LABEL_NAME = 0, LABEL_UNIT, LABEL_VALUE, LABEL_STRING, LABEL_BOOLEAN, LABEL_TIME = 6 };
#define LABEL_DATA 8
#define RECORD_ROOM 64 /* of a CBOR record besides its texts */
#define US 1000000

/* The base time is a whole second, so that a double holds the sums to the microsecond. */
struct times {
    bool none;
    int64_t base_us;
};

static double offset_of(const struct times *times, const struct telemetry_record *record)
{
    return (double)(record->time_us - times->base_us) / US;
}

static unsigned count_pairs(const struct times *times, const struct telemetry_record *record, bool first)
{
    bool offset = !times->none && record->time_us != times->base_us;

    return 2u + (*record->unit != 0) + (first && !times->none) + offset;
}

static void put_cbor_value(struct cborio_writer *w, const struct telemetry_record *record)
{
    switch (record->kind) {
    case TELEMETRY_BOOLEAN:
        cborio_put_int(w, LABEL_BOOLEAN);
        cborio_put_bool(w, record->boolean);
        break;
    case TELEMETRY_STRING:
        cborio_put_int(w, LABEL_STRING);
        cborio_put_text(w, record->bytes);
        break;
    case TELEMETRY_DATA:
        cborio_put_int(w, LABEL_DATA);
        cborio_put_bytes(w, record->bytes, record->size);
        break;
    default:
        cborio_put_int(w, LABEL_VALUE);
        if (record->number == floor(record->number) && fabs(record->number) < 9e15)
            cborio_put_int(w, (int64_t)record->number);
        else
            cborio_put_double(w, record->number);
    }
}

static void put_cbor_record(struct cborio_writer *w, const struct times *times, const struct telemetry_record *record,
                            bool first)
{
    cborio_put_map(w, count_pairs(times, record, first));
    if (first && !times->none) {
        cborio_put_int(w, LABEL_BASE_TIME);
        cborio_put_int(w, times->base_us / US);
    }
    cborio_put_int(w, LABEL_NAME);
    cborio_put_text(w, record->name);
    if (*record->unit) {
        cborio_put_int(w, LABEL_UNIT);
        cborio_put_text(w, record->unit);
    }
    put_cbor_value(w, record);
    if (!times->none && record->time_us != times->base_us) {
        cborio_put_int(w, LABEL_TIME);
        cborio_put_double(w, offset_of(times, record));
    }
}

static void encode_cbor(struct buffer *out, const struct times *times, const struct telemetry_record *records,
                        size_t count)
{
    size_t room = RECORD_ROOM;
    struct cborio_writer w;
    uint8_t *to;

    for (size_t i = 0; i < count; i++)
        room += RECORD_ROOM + strlen(records[i].name) + strlen(records[i].unit) + records[i].size;
    to = buffer_reserve(out, room);
    if (!to)
        return;
    w = cborio_writer_init(to, room);
    cborio_put_array(&w, count);
    for (size_t i = 0; i < count; i++)
        put_cbor_record(&w, times, &records[i], i == 0);
    out->size += cborio_written(&w);
}

static void put_number(struct buffer *out, double number)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%.15g", number);
    if (strtod(text, NULL) != number)
        (void)snprintf(text, sizeof text, "%.17g", number);
    buffer_append_text(out, text);
}

static void put_json_string(struct buffer *out, const char *text, size_t size)
{
    buffer_append_u8(out, '"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < ' ' || c == '"' || c == '\\')
            buffer_printf(out, "\\u%04x", c);
        else
            buffer_append_u8(out, c);
    }
    buffer_append_u8(out, '"');
}

/* Base64 with the alphabet for URLs and without padding (RFC 8428 section 5). */
static void put_base64(struct buffer *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)data[i + 2] : 0);

        for (size_t digit = 0; digit < (left > 2 ? 4 : left + 1); digit++)
            buffer_append_u8(out, (uint8_t)digits[bits >> (18 - 6 * digit) & 63]);
    }
}

static void put_json_value(struct buffer *out, const struct telemetry_record *record)
{
    switch (record->kind) {
    case TELEMETRY_BOOLEAN:
        buffer_printf(out, ",\"vb\":%s", record->boolean ? "true" : "false");
        break;
    case TELEMETRY_STRING:
        buffer_append_text(out, ",\"vs\":");
        put_json_string(out, record->bytes, record->size);
        break;
    case TELEMETRY_DATA:
        buffer_append_text(out, ",\"vd\":\"");
        put_base64(out, record->bytes, record->size);
        buffer_append_u8(out, '"');
        break;
    default:
        buffer_append_text(out, ",\"v\":");
        put_number(out, record->number);
    }
}

static void encode_json(struct buffer *out, const struct times *times, const struct telemetry_record *records,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct telemetry_record *record = &records[i];

        buffer_append_text(out, i ? ",{" : "[{");
        if (i == 0 && !times->none)
            buffer_printf(out, "\"bt\":%lld,", (long long)(times->base_us / US));
        buffer_append_text(out, "\"n\":");
        put_json_string(out, record->name, strlen(record->name));
        if (*record->unit) {
            buffer_append_text(out, ",\"u\":");
            put_json_string(out, record->unit, strlen(record->unit));
        }
        put_json_value(out, record);
        if (!times->none && record->time_us != times->base_us)
            buffer_printf(out, ",\"t\":%.6f", offset_of(times, record));
        buffer_append_u8(out, '}');
    }
    buffer_append_u8(out, ']');
}

static void encode_text(struct buffer *out, const struct telemetry_record *record)
{
    if (record->kind == TELEMETRY_BOOLEAN)
        buffer_append_text(out, record->boolean ? "true" : "false");
    else if (record->kind == TELEMETRY_NUMBER)
        put_number(out, record->number);
    else
        buffer_append(out, record->bytes, record->size);
}

void outbox_encode(struct buffer *out, enum outbox_format format, const struct telemetry_record *records, size_t count,
                   bool no_clock)
{
    const struct times times = {no_clock, records[0].time_us / US * US};

    if (format == OUTBOX_TEXT)
        encode_text(out, &records[0]);
    else if (format == OUTBOX_JSON)
        encode_json(out, &times, records, count);
    else
        encode_cbor(out, &times, records, count);
}
