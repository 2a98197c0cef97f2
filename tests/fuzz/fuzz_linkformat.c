#include "codec/linkformat.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every view lies inside of the input, and the reader ends. */
static void require_inside(const uint8_t *data, size_t size, const char *text, size_t length)
{
    const char *begin = (const char *)data;

    if (length && (text < begin || text + length > begin + size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct linkformat lf = linkformat_init(data, size);
    struct linkformat_link link;
    struct linkformat_value value;
    uint32_t number;
    size_t links = 0;

    while (linkformat_next(&lf, &link) == 0) {
        if (++links > size)
            abort();
        require_inside(data, size, link.target, link.target_size);
        if (linkformat_get(&link, "rt", &value))
            require_inside(data, size, value.text, value.size);
        if (linkformat_has(&link, "rt", "tinycontainer") && !linkformat_get(&link, "rt", &value))
            abort();
        (void)linkformat_get_uint(&link, "ct", &number);
        (void)linkformat_target_is(&link, "/container/");
    }
    return 0;
}
