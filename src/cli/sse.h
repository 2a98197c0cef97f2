#ifndef TC_CLI_SSE_H
#define TC_CLI_SSE_H

#include "base/buffer.h"

#include <stdbool.h>

/* Server-sent events (WHATWG HTML, section 9.2.6) as the gateway writes them: each has one line of data.
 * Zero-initialise it with `take` and `arg`, end it with sse_clear. */
struct sse {
    bool (*take)(void *arg, const char *event, const char *data); /* false ends the transfer */
    void *arg;
    struct buffer line;
    char event[24];
    char id[24], last_id[24]; /* of the event that is being taken; of the last one that was taken */
    bool ended;               /* by take */
};

/* client_request.receive, with the sse as its arg. */
bool sse_receive(void *sse, const char *data, size_t size);
/* Another connection begins: what was not complete is forgotten. */
void sse_begin(struct sse *sse);
void sse_clear(struct sse *sse);

#endif
