#ifndef TC_REST_HCURI_H
#define TC_REST_HCURI_H

#include "base/fault.h"
#include "core/model.h"

/* The URI of /hc/{coap-uri}: RFC 8075 section 5.3, the default mapping. */

struct hcuri {
    char authority[CORE_ADDRESS_MAX + 1]; /* "coap://[fd00::1]:5683", as it came */
    size_t size;                          /* of it in the text; the path (or nothing, or the query) follows */
};

/* 0, or 1 with FAULT_SCHEME_UNSUPPORTED, FAULT_INVALID_PARAMETER, FAULT_FORBIDDEN (multicast), FAULT_UNKNOWN_HOST (a
 * name: only literal addresses are spoken to). */
int hcuri_parse(const char *text, struct hcuri *out, struct fault *fault) must_check;

#endif
