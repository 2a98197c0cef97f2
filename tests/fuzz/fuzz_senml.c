#include "codec/senml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is parsed comes back from both encodings of it. Built twice: for JSON and, with FUZZ_CBOR, for CBOR. */

static const struct senml_options options = {.now_us = 1700000000123000, .max_records = 1000, .name = "given"};

static bool is_same(const struct telemetry_record *a, const struct telemetry_record *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->unit, b->unit) == 0 && a->time_us == b->time_us &&
           a->kind == b->kind && a->boolean == b->boolean && a->has_sum == b->has_sum && a->number == b->number &&
           a->sum == b->sum && a->size == b->size && (!a->size || memcmp(a->bytes, b->bytes, a->size) == 0);
}

static void check_round_trip(const struct senml_pack *pack, enum senml_format format)
{
    cleanup_buffer struct buffer text = buffer_init(16 << 20);
    struct senml_pack again = {.count = 0};

    senml_encode(&text, format, NULL, pack->records, pack->count);
    if (text.failed || senml_parse(&again, format, text.data, text.size, &options) != 0 || again.count != pack->count)
        abort();
    for (size_t i = 0; i < pack->count; i++)
        if (!is_same(&pack->records[i], &again.records[i]))
            abort();
    senml_clear(&again);
}

static bool has_relative(const struct senml_pack *pack)
{
    for (size_t i = 0; i < pack->count; i++)
        if (pack->records[i].time_us < SENML_RELATIVE_S * 1000000)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#ifdef FUZZ_CBOR
    static const int formats[] = {TELEMETRY_FORMAT_SENML_CBOR, 60};
#else
    static const int formats[] = {TELEMETRY_FORMAT_SENML_JSON, 50, 0, -1};
#endif
    struct senml_pack pack = {.count = 0};

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        int r = telemetry_decode(&pack, formats[i], data, size, &options);

        if ((r > 0) != (pack.problem[0] != 0) || (r != 0 && pack.count != 0))
            abort();
        if (r != 0 || has_relative(&pack))
            continue;
        check_round_trip(&pack, SENML_JSON);
        check_round_trip(&pack, SENML_CBOR);
    }
    senml_clear(&pack);
    return 0;
}
