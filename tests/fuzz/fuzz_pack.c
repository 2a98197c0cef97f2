#include "codec/pack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct telemetry_record *a, const struct telemetry_record *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->unit, b->unit) == 0 && a->time_us == b->time_us &&
           a->kind == b->kind && a->flags == b->flags && a->boolean == b->boolean && a->has_sum == b->has_sum &&
           memcmp(&a->number, &b->number, sizeof a->number) == 0 && memcmp(&a->sum, &b->sum, sizeof a->sum) == 0 &&
           a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

/* What is read, is written and read again the same; each record takes a byte at least. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_buffer struct buffer again = buffer_init(0);
    struct pack_reader reader, second;
    struct pack_writer writer;
    struct telemetry_record record, copy;
    size_t count = 0;

    pack_reader_init(&reader, data, size);
    pack_writer_init(&writer, &again);
    while (pack_read(&reader, &record) > 0) {
        if (++count > size)
            abort();
        pack_write(&writer, &record);
    }
    if (again.failed)
        abort();
    pack_reader_init(&reader, data, size);
    pack_reader_init(&second, again.data, again.size);
    for (; count > 0; count--)
        if (pack_read(&reader, &record) != 1 || pack_read(&second, &copy) != 1 || !same(&record, &copy))
            abort();
    if (pack_read(&second, &copy) != 0)
        abort();
    return 0;
}
