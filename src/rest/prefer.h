#ifndef TC_REST_PREFER_H
#define TC_REST_PREFER_H

#include "base/cleanup.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads wait=N from a Prefer header's value (RFC 7240; NULL: absent). *seconds becomes N, cut at max, or 0 when there
 * is none. Other preferences are ignored, as the RFC wants. Returns 0, or 1 with FAULT_INVALID_PARAMETER for a value of
 * wait that is no number.
 */
int prefer_parse_wait(const char *value, uint32_t max, uint32_t *seconds, struct fault *fault) must_check;

/* Whether a Prefer header's value has a preference of this name, in any case. */
bool prefer_has(const char *value, const char *name);

#endif
