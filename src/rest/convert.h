#ifndef TC_REST_CONVERT_H
#define TC_REST_CONVERT_H

#include "base/buffer.h"
#include "base/fault.h"

/* CBOR of devices as JSON, and back: Content-Formats 60 and 112 (SenML) with 50 and 110. */

/* The JSON format that a CBOR format is shown as, and back; MEDIA_NONE: it is not converted. */
int convert_format_to_json(int format);
int convert_format_to_cbor(int format);
/* Converts a body of the format convert_format_to_json or convert_format_to_cbor said something of; appends to `out`,
 * whose limit bounds it. NULL, or a sentence that says what is wrong with it. */
const char *convert_to_json(int format, const void *body, size_t size, struct buffer *out) must_check;
const char *convert_to_cbor(int format, const void *body, size_t size, struct buffer *out) must_check;

#endif
