#ifndef TC_REST_UPLOAD_H
#define TC_REST_UPLOAD_H

#include "rest/http.h"
#include "store/spool.h"

#include <openssl/evp.h>

/*
 * An artifact's upload, streamed into spools as it arrives: multipart/form-data (RFC 7578) with the parts description
 * or metadata, code and data, or the code alone as a raw body.
 */
struct upload;

/* Decides by the Content-Type. length is the declared one, UINT64_MAX when there is none. 0, or 1 with a fault. */
int upload_begin(struct http_request *req, uint64_t length, struct fault *fault) must_check;
/* 0, or 1 with a fault; further bytes need not be given then. */
int upload_take(struct http_request *req, const void *data, size_t size, struct fault *fault) must_check;
/* Checks that the parts are there, and parses the description or the metadata. 0, or 1 with a fault. */
int upload_finish(struct http_request *req, struct fault *fault) must_check;

/* After upload_finish. The description is a JSON object; data is NULL when there was none. */
const json_t *upload_description(const struct upload *upload);
struct spool *upload_code(const struct upload *upload);
struct spool *upload_data(const struct upload *upload);
/* Feeds what was uploaded into a digest. 0 or negative errno. */
int upload_digest(const struct upload *upload, EVP_MD_CTX *ctx) must_check;

struct upload *upload_free(struct upload *upload); /* NULL is fine; returns NULL */

#endif
