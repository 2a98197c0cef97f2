#ifndef TC_BASE_BASE64_H
#define TC_BASE_BASE64_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Base64 with padding, without line breaks (RFC 4648 section 4). */

/* The text of size bytes, malloc'ed, the caller's. NULL: out of memory. */
char *base64_encode(const void *data, size_t size);

/* The bytes of a text of text_size characters into out, which has room for text_size / 4 * 3 bytes. False unless it is
 * what base64_encode would write. */
bool base64_decode(const char *text, size_t text_size, uint8_t *out, size_t *size);

#endif
