#ifndef TC_UPLINK_COMMAND_H
#define TC_UPLINK_COMMAND_H

#include "base/buffer.h"
#include "uplink/uplink.h"

/*
 * Commands of the platform: REST requests as JSON, and their answers.
 *
 *   {"method": "PUT", "path": "/v1/...", "headers": {"If-Match": "..."}, "body": {...}}
 *   {"status": 200, "headers": {"Content-Type": "application/json"}, "body": {...}}
 */

#define COMMAND_SIZE_MAX (256u << 10) /* of a command */
#define COMMAND_ANSWER_MAX (1u << 20) /* of the body of an answer */
#define COMMAND_CORRELATION_MAX 128   /* bytes */

struct command_message {
    struct uplink_request request; /* points into what follows; without sink, role and confidential */
    json_t *json;
    char *body;
};

/* NULL when it is one, else what is wrong with it. End it with command_clear in any case. */
const char *command_parse(struct command_message *out, const void *payload, size_t size) must_check;
void command_clear(struct command_message *message);
/* Whether it changes nothing: one that waits in a queue (Prefer: respond-async) does. */
bool command_is_read(const struct uplink_request *request);
/* Appends the answer as JSON. Errors are sticky in out. */
void command_format_answer(struct buffer *out, const struct uplink_answer *answer);
/* The same for a refusal (base/fault.h). */
void command_format_refusal(struct buffer *out, int fault, const char *detail);

#endif
