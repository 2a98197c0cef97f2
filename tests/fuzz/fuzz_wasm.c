#include "codec/wasm.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The check ends, and says why it refuses in printable ASCII, since the sentence goes into JSON. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wasm_summary summary;
    char reason[128] = "";

    if (wasm_check(data, size, &summary, reason, sizeof reason) == 0)
        return 0;
    if (reason[0] == '\0')
        abort();
    for (const char *c = reason; *c; c++)
        if (*c < ' ' || *c > '~')
            abort();
    return 0;
}
