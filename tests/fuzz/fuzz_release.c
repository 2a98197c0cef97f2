#include "codec/release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken can be written, and reads back as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    struct release_statement statement, again;
    char reason[128] = "";

    if (release_parse(&statement, data, size, reason, sizeof reason)) {
        if (!*reason)
            abort();
        return 0;
    }
    release_encode(&out, &statement);
    if (out.size > size || release_parse(&again, out.data, out.size, reason, sizeof reason) ||
        !release_is_same(&statement, &again))
        abort();
    return 0;
}
