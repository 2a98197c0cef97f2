#ifndef TC_REST_CONDITION_H
#define TC_REST_CONDITION_H

#include "rest/http.h"

/*
 * Entity tags and conditional requests (RFC 9110 sections 8.8.3 and 13). A record's tag is "REVISION-HASH" in quotes,
 * the hash taken over its representation: If-None-Match compares all of it, If-Match the revision alone, so that what a
 * device reports meanwhile does not spoil a person's change.
 */

#define CONDITION_TAG_SIZE 40

char *condition_format_tag(uint64_t revision, const void *body, size_t size, char out[CONDITION_TAG_SIZE]);

/* True when If-None-Match has the tag (or "*"): answer 304. */
bool condition_is_current(const struct http_request *req, const char *tag);

/* Checks If-Match and If-None-Match: * of a write on a record that exists or not. 0, or 1 with
 * FAULT_PRECONDITION_FAILED or FAULT_INVALID_PARAMETER. */
int condition_check_write(const struct http_request *req, bool exists, uint64_t revision,
                          struct fault *fault) must_check;

#endif
