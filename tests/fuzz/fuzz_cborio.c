#include "codec/cborio.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What cborio_skip passes over is one item, whichever way its heads are walked. */
static size_t walk(struct cborio_reader *r)
{
    struct cborio_item item;
    uint64_t left = 1;

    for (; left > 0 && cborio_next(r, &item); left--) {
        if ((item.type == CBORIO_ARRAY || item.type == CBORIO_MAP) && item.value > SIZE_MAX / 4)
            return 0;
        if (item.type == CBORIO_ARRAY || item.type == CBORIO_TAG)
            left += item.type == CBORIO_TAG ? 1 : item.value;
        else if (item.type == CBORIO_MAP)
            left += 2 * item.value;
    }
    return cborio_failed(r) ? 0 : r->cursor.offset;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cborio_reader skipped = cborio_reader_init(data, size), walked = skipped, typed = skipped;
    char text[16];
    size_t n;

    cborio_skip(&skipped);
    if (!cborio_failed(&skipped) && walk(&walked) != skipped.cursor.offset)
        abort();
    while (!cborio_failed(&typed) && !cborio_ended(&typed))
        switch (cborio_peek(&typed)) {
        case CBORIO_BYTES:
            typed = cborio_get_nested(&typed);
            break;
        case CBORIO_TEXT:
            cborio_copy_text(&typed, text, sizeof text);
            break;
        case CBORIO_UINT:
        case CBORIO_NEGINT:
            (void)cborio_get_int(&typed);
            break;
        case CBORIO_ARRAY:
            n = cborio_get_array(&typed);
            if (n > size)
                abort();
            break;
        case CBORIO_FLOAT:
            (void)cborio_get_number(&typed);
            break;
        default:
            cborio_skip(&typed);
        }
    return 0;
}
