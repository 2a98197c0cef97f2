#ifndef TC_CODEC_CBORJSON_H
#define TC_CODEC_CBORJSON_H

#include "base/buffer.h"
#include "base/cleanup.h"

#include <stddef.h>

/*
 * CBOR as JSON and back, for people and programs that look at a device's CBOR resources (RFC 8949 section 6). What JSON
 * has no form for is converted as section 6.1 advises: byte strings become base64url without padding (base64 with tag
 * 22, upper-case hex with tag 23), numbers that are not finite, undefined and unassigned simple values become null, big
 * numbers (tags 2 and 3) base64url with "~" in front of negative ones, keys that are no text become the text of their
 * JSON; other tags are left out. Integers keep all their digits. Nesting and sizes are bounded.
 */

#define CBORJSON_MAX_NESTING 16

/* Positive results. */
enum cborjson_error {
    CBORJSON_E_MALFORMED = 1, /* no well-formed CBOR or JSON, or more than one item */
    CBORJSON_E_NESTING,       /* deeper than CBORJSON_MAX_NESTING */
    CBORJSON_E_LIMIT,         /* the result is larger than the limit of `out`, or there is no memory */
};

/* Each appends to out, whose limit bounds the result; after an error out holds a part. */
int cborjson_to_json(const void *cbor, size_t size, struct buffer *out) must_check;
/* Numbers without fraction become integers, others the shortest float that holds the double that they stand for;
 * objects and arrays have definite lengths; members keep their order. */
int cborjson_from_json(const void *json, size_t size, struct buffer *out) must_check;

const char *cborjson_error_text(int error); /* a sentence, static */

#endif
