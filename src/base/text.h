#ifndef TC_BASE_TEXT_H
#define TC_BASE_TEXT_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies src into dst of the given size (not 0), always with a NUL. Returns false when it had to cut, which it does
 * between characters of UTF-8. */
bool text_copy(char *dst, size_t size, const char *src);

/* Lower-case hexadecimal; out has room for 2 * size + 1. Returns out. */
char *text_hex(const void *data, size_t size, char *out);

/* Parses exactly 2 * size hexadecimal digits. False when text is anything else. */
bool text_unhex(const char *text, void *out, size_t size);

/* The byte that the percent escape (RFC 3986 section 2.1) at the beginning of a text of size bytes stands for; -1 when
 * there is none. */
int text_unescape(const char *text, size_t size);

/* Parses a decimal number in [min, max] and nothing else, no sign but '-', no white space. */
bool text_parse_int(const char *text, int64_t min, int64_t max, int64_t *out);

/* A name that may stand in a URL path unescaped: 1 to max of A-Z a-z 0-9 . _ ~ - and not only dots. */
bool text_is_name(const char *text, size_t max);

/* True when the bytes are UTF-8 (RFC 3629) without NUL. */
bool text_is_utf8(const void *data, size_t size);

/* Replaces every byte that is no part of UTF-8 by '?', so that the text may stand in JSON. */
void text_repair_utf8(char *text);

#define UUID_SIZE 37

/* A new UUIDv7 (RFC 9562 section 5.7) for wall time wall_ms, as text; ids made later sort later, and ids made within
 * one millisecond keep their order within this process. Not for several threads at once. Returns out. */
char *text_new_uuid(int64_t wall_ms, char out[UUID_SIZE]);

/* True for a lower-case UUID in its text form. */
bool text_is_uuid(const char *text);

#endif
