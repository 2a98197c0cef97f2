#include "rest/hcuri.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken is a prefix of the text, of a unicast address. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2049];
    struct hcuri uri;
    struct fault fault;
    size_t n = size < sizeof text - 1 ? size : sizeof text - 1;

    memcpy(text, data, n);
    text[n] = 0;
    if (hcuri_parse(text, &uri, &fault) != 0) {
        if (!fault.code || !*fault.detail)
            abort();
        return 0;
    }
    if (uri.size != strlen(uri.authority) || uri.size > strlen(text) || strncmp(uri.authority, "coap", 4) != 0 ||
        strstr(uri.authority, "//224.") || strstr(uri.authority, "[ff02:"))
        abort();
    return 0;
}
