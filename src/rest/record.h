#ifndef TC_REST_RECORD_H
#define TC_REST_RECORD_H

#include "core/core.h"
#include "rest/http.h"

/* Answers with a device or container: its rendered text with an ETag, or 304 when the client has it already. */
void reply_device(struct http_request *req, int status, struct device *device);
void reply_container(struct http_request *req, int status, struct container *container);

/* The device that a change was made to, under its id in req->record; it may have been removed before its commit. */
void record_answer_device(struct http_request *req, int status);
/* For change_begin: 201 with its Location. */
void record_answer_added(struct http_request *req);

#endif
