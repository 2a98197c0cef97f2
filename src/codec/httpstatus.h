#ifndef TC_CODEC_HTTPSTATUS_H
#define TC_CODEC_HTTPSTATUS_H

#include <stdint.h>

/* The HTTP status of a CoAP response code (RFC 8075 section 7, RFC 7252 section 10.2). A code that is not known counts
 * as the first one of its class; 0: it has no business in an answer. */
int httpstatus_from_code(uint8_t code);

#endif
