#ifndef TC_CODEC_JSONIO_H
#define TC_CODEC_JSONIO_H

#include "base/buffer.h"
#include "base/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * JSON (RFC 8259) without allocation and without a tree, as cborio is for CBOR: a reader that takes one item after the
 * other from bytes of others, and what writers need. The error is sticky. Text must be UTF-8 without NUL.
 */

#define JSONIO_MAX_NESTING 32
#define JSONIO_MAX_NUMBER 256 /* characters of a number */

enum jsonio_type {
    JSONIO_NONE, /* the end of the input, or malformed */
    JSONIO_NULL,
    JSONIO_BOOL,
    JSONIO_NUMBER,
    JSONIO_STRING, /* in an object every other item is one, a member's name */
    JSONIO_ARRAY,
    JSONIO_OBJECT,
    JSONIO_END, /* of the innermost array or object */
};

struct jsonio_item {
    enum jsonio_type type;
    bool boolean;
    bool escaped;     /* a string has to go through jsonio_unescape */
    const char *text; /* a view: a number as it stands, a string between its quotes */
    size_t size;
};

struct jsonio_reader {
    struct cursor cursor;
    uint32_t objects; /* bit per level: it is an object */
    uint8_t depth;
    uint8_t due; /* what may come next */
};

struct jsonio_reader jsonio_reader_init(const void *data, size_t size);

bool jsonio_failed(const struct jsonio_reader *r);
/* True when one whole value was taken, nothing failed, and nothing but white space is left. */
bool jsonio_ended(struct jsonio_reader *r);

/* Takes the next item. False, for ever, when it is malformed, nested too deeply, or the input has ended. */
bool jsonio_next(struct jsonio_reader *r, struct jsonio_item *item);
/* Passes over the rest of an item that was taken: what is in an array or object, nothing for all others. */
void jsonio_skip(struct jsonio_reader *r, const struct jsonio_item *item);

/* A string's text into out, which has room for item->size bytes (it does not grow). Returns its length. */
size_t jsonio_unescape(const struct jsonio_item *item, char *out);
/* The nearest double; infinite where none is near. */
double jsonio_number(const struct jsonio_item *item);
/* Whether it is an integer, without fraction and exponent: its sign and amount. False for -0 and beyond 64 bits too. */
bool jsonio_integer(const struct jsonio_item *item, bool *negative, uint64_t *amount);

/* Appends a string with its quotes, escaped; NUL and bytes that are no part of UTF-8 become U+FFFD. */
void jsonio_put_string(struct buffer *out, const void *text, size_t size);
/* Appends the shortest text that reads back as the same double; null for what is not finite. */
void jsonio_put_number(struct buffer *out, double number);

#endif
