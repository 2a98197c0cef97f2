#include "cli/sse.h"

#include "base/text.h"

#include <string.h>

#define LINE_LIMIT (16u << 20)

static void take_line(struct sse *sse, const char *line)
{
    if (strncmp(line, "id: ", 4) == 0)
        (void)text_copy(sse->id, sizeof sse->id, line + 4);
    else if (strncmp(line, "event: ", 7) == 0)
        (void)text_copy(sse->event, sizeof sse->event, line + 7);
    else if (strncmp(line, "data: ", 6) == 0) {
        sse->ended = !sse->take(sse->arg, sse->event, line + 6);
        (void)text_copy(sse->last_id, sizeof sse->last_id, sse->id);
    }
}

bool sse_receive(void *arg, const char *data, size_t size)
{
    struct sse *sse = arg;

    sse->line.limit = LINE_LIMIT;
    while (size && !sse->ended && !sse->line.failed) {
        const char *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size;

        buffer_append(&sse->line, data, n);
        if (end && sse->line.size) { /* the buffer keeps its text */
            take_line(sse, buffer_text(&sse->line));
            sse->line.size = 0;
        }
        n += end != NULL;
        data += n;
        size -= n;
    }
    return !sse->ended && !sse->line.failed;
}

void sse_begin(struct sse *sse)
{
    sse->line.size = 0;
    sse->event[0] = 0;
    (void)text_copy(sse->id, sizeof sse->id, sse->last_id);
}

void sse_clear(struct sse *sse)
{
    buffer_clear(&sse->line);
}
