#ifndef TC_COAP_RESOURCE_H
#define TC_COAP_RESOURCE_H

#include "base/buffer.h"
#include "coap/task.h"

/* Requests to any resource of any device: AGENT_CALL_RESOURCE, and what observations share with it. */

/* Begins the call of a task. */
void resource_begin(struct task *task);

/* Writes a request of `method` with the path, query, Accept and If-Match as a datagram to `out` (resource.c reads it
 * again with resource_read for each block). NULL, or a static sentence that says what is wrong with it. */
const char *resource_write(struct buffer *out, const struct agent_resource *resource);
/* The message that resource_write wrote; it points into it. */
void resource_read(const struct buffer *from, struct coapmsg *message);

/* What a response says, but for its body. */
void resource_describe(const struct coapmsg *response, struct agent_response *out);
/* The number of a critical option that the gateway does not know (RFC 7252 section 5.4.1), 0: none. */
uint16_t resource_find_unknown(const struct coapmsg *response);

#endif
