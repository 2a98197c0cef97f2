#include "config.h"

#include "cli/payload.h"
#include "cli/redact.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEDIA_TYPES 4

/* No byte of a device or of a log reaches the terminal that could be taken for a command of it. */
static void check_shown(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t')
            abort();
}

static void check_payload(const char *type, const uint8_t *data, size_t size)
{
    const char *kind = payload_kind(type, -1, data, size);
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    if (!to)
        return;
    payload_print(to, kind, data, size, 2);
    (void)fclose(to);
    check_shown(text, length);
    free(text);
}

/* The first byte chooses the media type; all of it is a text of a log, too. What was redacted is not redacted again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[MEDIA_TYPES] = {NULL, "application/cbor", "application/link-format",
                                                   "application/json"};
    struct buffer clean = redact_text((const char *)data, size);

    check_shown(buffer_text(&clean), clean.size);
    redact_secret(&clean, "hunter2", 7);
    if (clean.size && memmem(clean.data, clean.size, "hunter2", 7))
        abort();
    buffer_clear(&clean);
    if (size)
        check_payload(types[data[0] % MEDIA_TYPES], data + 1, size - 1);
    return 0;
}
