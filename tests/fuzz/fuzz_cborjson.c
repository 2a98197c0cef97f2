#include "codec/cborjson.h"
#include "codec/jsonio.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* JSON goes through CBOR and back; after the first time nothing changes any more. What CBOR becomes is JSON. */

static void check_json(const void *json, size_t size)
{
    cleanup_buffer struct buffer cbor = buffer_init(1 << 20), text = buffer_init(8 << 20);
    cleanup_buffer struct buffer again = buffer_init(1 << 20), last = buffer_init(8 << 20);

    if (cborjson_from_json(json, size, &cbor) != 0)
        return;
    if (cborjson_to_json(cbor.data, cbor.size, &text) != 0 || cborjson_from_json(text.data, text.size, &again) != 0 ||
        cborjson_to_json(again.data, again.size, &last) != 0)
        abort();
    if (text.size != last.size || memcmp(text.data, last.data, text.size) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_buffer struct buffer json = buffer_init(1 << 20), cbor = buffer_init(1 << 20);

    check_json(data, size);
    if (cborjson_to_json(data, size, &json) == 0)
        check_json(json.data, json.size);
    /* its numbers may be beyond those that JSON readers take, but it has to be well-formed */
    if (json.size && !json.failed && cborjson_to_json(data, size, &cbor) == 0) {
        struct jsonio_reader r = jsonio_reader_init(json.data, json.size);
        struct jsonio_item item;

        while (!jsonio_ended(&r))
            if (!jsonio_next(&r, &item))
                abort();
    }
    return 0;
}
