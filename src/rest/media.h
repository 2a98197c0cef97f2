#ifndef TC_REST_MEDIA_H
#define TC_REST_MEDIA_H

#include "rest/http.h"

/*
 * Media types of HTTP and Content-Formats of CoAP (RFC 7252 section 12.3), by one table. A format that the table does
 * not have is application/coap-payload;cf=N (RFC 8075 section 6.2).
 */

#define MEDIA_NONE (-1)
#define MEDIA_SIZE 64 /* holds the media type of any format */

/* The media type of a Content-Format (MEDIA_NONE: application/octet-stream). *coding is its Content-Encoding, or NULL.
 * Returns out. */
char *media_from_format(int format, char out[MEDIA_SIZE], const char **coding);
/* The Content-Format of a Content-Type and Content-Encoding (NULL: none). MEDIA_NONE when there is none. */
int media_to_format(const char *type, const char *coding);

/* The Content-Format of a request's body, MEDIA_NONE without a Content-Type. 0, or 1 with
 * FAULT_UNSUPPORTED_MEDIA_TYPE. */
int media_read_body(const struct http_request *req, int *format, struct fault *fault) must_check;
/* The one Content-Format to ask a device for: the one with the most weight in Accept; MEDIA_NONE when any type is
 * welcome or none can be named in CoAP, which has no lists (RFC 8075 section 6.3: what cannot be mapped is dropped). */
int media_read_accept(const char *accept);

/* Answers with bytes that a device or an unknown writer made. They are its body and type, and no page of ours. */
void media_reply(struct http_request *req, int status, int format, void *body, size_t size);

#endif
