#include "uplink/command.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A command is refused with a reason, or is complete; and its answer is one JSON object. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command_message message;
    struct buffer answer = {0};
    json_t *json;

    if (!command_parse(&message, data, size)) {
        const struct uplink_request *request = &message.request;

        if (!request->method || request->target[0] != '/' || (request->size && !request->body))
            abort();
        (void)command_is_read(request);
        command_format_answer(
            &answer, &(struct uplink_answer){
                         .status = 200, .type = "text/plain", .location = request->target, .body = data, .size = size});
        json = json_loadb(buffer_text(&answer), answer.size, JSON_REJECT_DUPLICATES, NULL);
        if (!answer.failed && !json)
            abort();
        json_decref(json);
    }
    command_clear(&message);
    buffer_clear(&answer);
    return 0;
}
