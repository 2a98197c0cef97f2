#include "tcgw/metadata.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign_zero(void *arg, const uint8_t *data, size_t size, uint8_t signature[METADATA_SIGNATURE_SIZE])
{
    (void)arg;
    (void)data;
    (void)size;
    memset(signature, 0, METADATA_SIGNATURE_SIZE);
    return 0;
}

/* What was parsed can be built again, and says the same then. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct metadata first, second;
    struct metadata_tokens tokens;
    uint8_t out[METADATA_MAX_SIZE];
    char reason[128] = "";
    int built;

    if (metadata_parse(data, size, &first, &tokens, reason, sizeof reason)) {
        if (!reason[0])
            abort();
        return 0;
    }
    built = metadata_build(&first, "", 0, "code", 4, sign_zero, NULL, out, sizeof out);
    if (built <= 0 || (size_t)built != metadata_size(&first))
        abort();
    if (metadata_parse(out, (size_t)built, &second, &tokens, reason, sizeof reason) ||
        memcmp(&first, &second, sizeof first) != 0)
        abort();
    return 0;
}
