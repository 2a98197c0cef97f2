#ifndef TC_REST_RESUMABLE_H
#define TC_REST_RESUMABLE_H

#include "rest/http.h"

/*
 * Uploads that go on after an interruption: the core protocol of tus 1.0 (HEAD, PATCH with Upload-Offset), created with
 * a description in JSON that names size and SHA-256 of the parts. Code and data come one after the other in one stream.
 * An upload's id follows from its description, so that the same POST finds the one that was begun, also after a restart
 * of either side: its files are kept in the state directory. What was acknowledged survives the end of the gateway;
 * after a power cut HEAD may tell less.
 */

#define RESUMABLE_MAX 64         /* uploads at a time, finished ones counted */
#define RESUMABLE_EXPIRY_S 86400 /* after the last byte */
#define RESUMABLE_TYPE "application/offset+octet-stream"

struct resumable;

/* Takes over what an earlier life left behind; forgets what is too old. Negative errno. */
int resumables_open(struct rest *rest) must_check;
void resumables_close(struct rest *rest);

/* A PATCH's head: checks it and takes the upload for this request. 0, or 1 with a fault. */
int resumable_begin(struct http_request *req, uint64_t length, struct fault *fault) must_check;
/* Bytes of its body, checked against the digest as soon as a part is complete. 0, or 1 with a fault. */
int resumable_take(struct http_request *req, const void *data, size_t size, struct fault *fault) must_check;
/* The request is done with it, or its connection broke: others may go on. */
void resumable_leave(struct http_request *req);

#endif
