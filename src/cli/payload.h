#ifndef TC_CLI_PAYLOAD_H
#define TC_CLI_PAYLOAD_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdio.h>

/* Payloads of CoAP for people: JSON and CBOR in lines, links one a line, other bytes in hexadecimal. */

/* What a payload is, by its media type (NULL: not known) or Content-Format (negative: not known), else by its bytes:
 * "json", "cbor", "links", "text" or "bytes". */
const char *payload_kind(const char *type, int format, const void *data, size_t size);

/* Writes it, every line behind so many blanks, ended by a newline. */
void payload_print(FILE *to, const char *kind, const void *data, size_t size, int indent);

#endif
