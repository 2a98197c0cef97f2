#include "codec/telemetry_text.h"

#include "base/clock.h"
#include "codec/jsonio.h"

#include <openssl/evp.h>
#include <string.h>

static void put_base64(struct buffer *out, const void *data, size_t size)
{
    uint8_t *at = buffer_reserve(out, (size + 2) / 3 * 4 + 1);

    if (at)
        out->size += (size_t)EVP_EncodeBlock(at, data, (int)size);
}

void telemetry_put_value(struct buffer *out, const struct telemetry_record *record)
{
    switch (record->kind) {
    case TELEMETRY_NUMBER:
        buffer_append_text(out, "\"value\":");
        jsonio_put_number(out, record->number);
        break;
    case TELEMETRY_BOOLEAN:
        buffer_append_text(out, record->boolean ? "\"value\":true" : "\"value\":false");
        break;
    case TELEMETRY_STRING:
        buffer_append_text(out, "\"value\":");
        jsonio_put_string(out, record->bytes, record->size);
        break;
    case TELEMETRY_DATA:
        buffer_append_text(out, "\"value_base64\":\"");
        put_base64(out, record->bytes, record->size);
        buffer_append_u8(out, '"');
        break;
    case TELEMETRY_NONE:
    case TELEMETRY_KIND_COUNT:
        break;
    }
}

void telemetry_put_json(struct buffer *out, const struct telemetry_record *record)
{
    char time[RFC3339_US_SIZE];

    buffer_append_text(out, "\"name\":");
    jsonio_put_string(out, record->name, strlen(record->name));
    if (*record->unit) {
        buffer_append_text(out, ",\"unit\":");
        jsonio_put_string(out, record->unit, strlen(record->unit));
    }
    buffer_printf(out, ",\"time\":\"%s\"", clock_format_rfc3339_us(record->time_us, time));
    if (record->kind != TELEMETRY_NONE) {
        buffer_append_u8(out, ',');
        telemetry_put_value(out, record);
    }
    if (record->has_sum) {
        buffer_append_text(out, ",\"sum\":");
        jsonio_put_number(out, record->sum);
    }
    if (record->flags & TELEMETRY_TIME_ASSIGNED)
        buffer_append_text(out, ",\"assigned\":true");
    if (record->flags & TELEMETRY_TIME_SUSPECT)
        buffer_append_text(out, ",\"suspect\":true");
}

void telemetry_put_field(struct buffer *out, const void *text, size_t size)
{
    const char *at = text;
    bool quoted = false;

    for (size_t i = 0; i < size; i++)
        quoted |= at[i] == '"' || at[i] == ',' || at[i] == '\r' || at[i] == '\n';
    if (!quoted) {
        if (size)
            buffer_append(out, at, size);
        return;
    }
    buffer_append_u8(out, '"');
    for (size_t i = 0; i < size; i++) {
        if (at[i] == '"')
            buffer_append_u8(out, '"');
        buffer_append_u8(out, (uint8_t)at[i]);
    }
    buffer_append_u8(out, '"');
}

void telemetry_put_value_field(struct buffer *out, const struct telemetry_record *record)
{
    switch (record->kind) {
    case TELEMETRY_NUMBER:
        jsonio_put_number(out, record->number);
        break;
    case TELEMETRY_BOOLEAN:
        buffer_append_text(out, record->boolean ? "true" : "false");
        break;
    case TELEMETRY_STRING:
        telemetry_put_field(out, record->bytes, record->size);
        break;
    case TELEMETRY_DATA:
        put_base64(out, record->bytes, record->size);
        break;
    case TELEMETRY_NONE:
    case TELEMETRY_KIND_COUNT:
        break;
    }
}
