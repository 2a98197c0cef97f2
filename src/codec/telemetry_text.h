#ifndef TC_CODEC_TELEMETRY_TEXT_H
#define TC_CODEC_TELEMETRY_TEXT_H

#include "base/buffer.h"
#include "codec/telemetry.h"

/* Records as the gateway's own JSON and as fields of CSV. */

/* Appends the members of an object, without its braces: "name", "unit" (if any), "time" (RFC 3339 with microseconds),
 * "value" (number, boolean, string) or "value_base64", "sum", "assigned": true, "suspect": true. */
void telemetry_put_json(struct buffer *out, const struct telemetry_record *record);
/* Appends "value":... or "value_base64":...; nothing for a record without a value. */
void telemetry_put_value(struct buffer *out, const struct telemetry_record *record);

/* Appends a field (RFC 4180), in quotes where it needs them. */
void telemetry_put_field(struct buffer *out, const void *text, size_t size);
/* Appends a value as a field: a number, true or false, a string, or base64. */
void telemetry_put_value_field(struct buffer *out, const struct telemetry_record *record);

#endif
