#ifndef TC_CODEC_CBORIO_H
#define TC_CODEC_CBORIO_H

#include "base/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * CBOR (RFC 8949) without allocation and without a tree: a reader that takes one item after the other from bytes of
 * others, and a writer into memory of the caller. Both have a sticky error, so that a whole structure can be read or
 * written and asked about once. Items of indefinite length are refused unless the reader allows them; integers may be
 * longer than they need be.
 */

#define CBORIO_MAX_NESTING 16 /* of what cborio_skip passes over */

enum cborio_type {
    CBORIO_NONE, /* the end of the input, or malformed */
    CBORIO_UINT,
    CBORIO_NEGINT,
    CBORIO_BYTES,
    CBORIO_TEXT,
    CBORIO_ARRAY,
    CBORIO_MAP,
    CBORIO_TAG,
    CBORIO_BOOL,
    CBORIO_NULL, /* null and undefined */
    CBORIO_FLOAT,
    CBORIO_BREAK, /* the end of an item of indefinite length; of cborio_next only */
};

/* One head: an integer, a string, or the beginning of an array, a map or a tagged item. */
struct cborio_item {
    enum cborio_type type;
    uint64_t value;      /* the integer (n of -1 - n), boolean, tag, number of bytes, elements or pairs */
    double number;       /* of a float of any width */
    const uint8_t *data; /* a view of a string's bytes */
    bool indefinite;     /* a string, array or map: its parts follow until CBORIO_BREAK, value is 0 */
};

struct cborio_reader {
    struct cursor cursor;
    bool allows_indefinite; /* cborio_next and cborio_skip take items of indefinite length; set it after the init */
};

struct cborio_reader cborio_reader_init(const void *data, size_t size);

bool cborio_failed(const struct cborio_reader *r);
/* True when nothing failed and nothing is left. */
bool cborio_ended(const struct cborio_reader *r);

/* Takes the next head. False, for ever, when it is malformed, indefinite, or the input has ended. */
bool cborio_next(struct cborio_reader *r, struct cborio_item *item);
/* The type of the next item; takes nothing and fails nothing. */
enum cborio_type cborio_peek(const struct cborio_reader *r);
/* Passes over one whole item with all that is in it; fails beyond CBORIO_MAX_NESTING. */
void cborio_skip(struct cborio_reader *r);

/* These take an item of one type and fail on every other. After a failure: 0, NULL, false, an empty reader. */
uint64_t cborio_get_uint(struct cborio_reader *r, uint64_t max); /* fails above max too */
int64_t cborio_get_int(struct cborio_reader *r);                 /* negative or not; fails outside of int64_t */
const uint8_t *cborio_get_bytes(struct cborio_reader *r, size_t *size);
const char *cborio_get_text(struct cborio_reader *r, size_t *size); /* UTF-8 without NUL, not terminated */
size_t cborio_get_array(struct cborio_reader *r);
size_t cborio_get_map(struct cborio_reader *r);
uint64_t cborio_get_tag(struct cborio_reader *r);
bool cborio_get_bool(struct cborio_reader *r);
double cborio_get_number(struct cborio_reader *r); /* a float or an integer */
/* Takes a byte string and returns a reader of the CBOR in it. */
struct cborio_reader cborio_get_nested(struct cborio_reader *r);
/* Takes a text into out, with a NUL; fails when it does not fit. */
void cborio_copy_text(struct cborio_reader *r, char *out, size_t size);

struct cborio_writer {
    uint8_t *out;
    size_t size;
    size_t used;
    bool failed; /* it did not fit; used is not to be used then */
};

struct cborio_writer cborio_writer_init(void *out, size_t size);

/* The number of bytes written, 0 when they did not fit. */
size_t cborio_written(const struct cborio_writer *w);

/* Integers and lengths take the shortest form. */
void cborio_put_uint(struct cborio_writer *w, uint64_t value);
void cborio_put_int(struct cborio_writer *w, int64_t value);
void cborio_put_negative(struct cborio_writer *w, uint64_t n); /* -1 - n */
void cborio_put_bytes(struct cborio_writer *w, const void *data, size_t size);
void cborio_put_text(struct cborio_writer *w, const char *text);
/* Their heads, for content that is written otherwise. */
void cborio_put_bytes_head(struct cborio_writer *w, size_t size);
void cborio_put_text_head(struct cborio_writer *w, size_t size);
/* Items that are encoded already, or the content of a string whose head was put. */
void cborio_put_encoded(struct cborio_writer *w, const void *data, size_t size);
void cborio_put_array(struct cborio_writer *w, size_t count);
void cborio_put_map(struct cborio_writer *w, size_t pairs);
void cborio_put_tag(struct cborio_writer *w, uint64_t tag);
void cborio_put_bool(struct cborio_writer *w, bool value);
void cborio_put_null(struct cborio_writer *w);
void cborio_put_double(struct cborio_writer *w, double value);
/* The shortest of the three widths that holds the number. */
void cborio_put_number(struct cborio_writer *w, double value);

#endif
