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

static int build(const struct metadata *md, uint8_t out[METADATA_MAX_SIZE])
{
    return metadata_build(md, "", 0, "code", 4, sign_zero, NULL, out, METADATA_MAX_SIZE);
}

/* What was parsed can be built, and what was built can be parsed and gives the same bytes again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct metadata md;
    struct metadata_tokens tokens;
    uint8_t first[METADATA_MAX_SIZE], second[METADATA_MAX_SIZE];
    char reason[128] = "";
    int built;

    if (metadata_parse(data, size, &md, &tokens, reason, sizeof reason)) {
        if (!reason[0])
            abort();
        return 0;
    }
    built = build(&md, first);
    if (built <= 0 || (size_t)built != metadata_size(&md))
        abort();
    if (metadata_parse(first, (size_t)built, &md, NULL, reason, sizeof reason) || build(&md, second) != built ||
        memcmp(first, second, (size_t)built) != 0)
        abort();
    return 0;
}
