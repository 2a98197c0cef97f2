#ifndef TC_REST_MAPPING_H
#define TC_REST_MAPPING_H

#include "core/core.h"
#include "rest/http.h"

/* A request to a device's resource, as HTTP says it (RFC 8075), and what the device answered. */

struct mapped_request {
    struct agent_resource coap;
    char path[HTTP_TARGET_MAX + 1];
    uint8_t tag[8];   /* of If-Match */
    uint8_t known[8]; /* of If-None-Match */
};

/* Reads method, path, query and headers; everything points into `out` and the request. 0, or 1 with a fault. */
int mapping_read(const struct http_request *req, struct mapped_request *out, struct fault *fault) must_check;

/* "4.04" */
#define MAPPING_CODE_SIZE 8
char *mapping_format_code(uint8_t code, char out[MAPPING_CODE_SIZE]);
/* Answers with the response of the device. */
void mapping_reply(struct http_request *req, const struct agent_response *response);

/* queued.c: answers with an operation that sends the request when its device listens (Prefer: respond-async). */
void queued_request(struct http_request *req, struct device *device, struct agent_resource *resource);

/* api_observe.c: answers with a stream of the resource's representations. */
void observe_resource(struct http_request *req, struct device *device, const struct agent_resource *resource);

#endif
