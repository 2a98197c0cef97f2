#include "agent/outbox.h"

#include "codec/jsonio.h"
#include "codec/senml.h"

static void put_value(struct buffer *out, const struct telemetry_record *record)
{
    if (record->kind == TELEMETRY_BOOLEAN)
        buffer_append_text(out, record->boolean ? "true" : "false");
    else if (record->kind == TELEMETRY_NUMBER)
        jsonio_put_number(out, record->number);
    else
        buffer_append(out, record->bytes, record->size);
}

void outbox_encode(struct buffer *out, enum outbox_format format, const struct telemetry_record *records, size_t count)
{
    if (format == OUTBOX_TEXT)
        put_value(out, &records[0]);
    else
        senml_encode(out, format == OUTBOX_JSON ? SENML_JSON : SENML_CBOR, NULL, records, count);
}
