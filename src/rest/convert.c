#include "rest/convert.h"

#include "base/clock.h"
#include "codec/cborjson.h"
#include "codec/senml.h"
#include "rest/media.h"

#define JSON 50
#define CBOR 60
#define SENML_RECORDS_MAX 10000

int convert_format_to_json(int format)
{
    if (format == CBOR)
        return JSON;
    return format == TELEMETRY_FORMAT_SENML_CBOR ? TELEMETRY_FORMAT_SENML_JSON : MEDIA_NONE;
}

int convert_format_to_cbor(int format)
{
    if (format == JSON)
        return CBOR;
    return format == TELEMETRY_FORMAT_SENML_JSON ? TELEMETRY_FORMAT_SENML_CBOR : MEDIA_NONE;
}

static const char *convert_senml(enum senml_format from, enum senml_format to, const void *body, size_t size,
                                 struct buffer *out)
{
    const struct senml_options options = {.now_us = clock_wall_ms(clock_system()) * 1000,
                                          .max_records = SENML_RECORDS_MAX};
    struct senml_pack pack = {.count = 0};
    int r = senml_parse(&pack, from, body, size, &options);

    if (r == 0)
        senml_encode(out, to, NULL, pack.records, pack.count);
    senml_clear(&pack);
    return r != 0 || out->failed ? "it is no SenML that can be converted" : NULL;
}

const char *convert_to_json(int format, const void *body, size_t size, struct buffer *out)
{
    int r;

    if (format != CBOR)
        return convert_senml(SENML_CBOR, SENML_JSON, body, size, out);
    r = cborjson_to_json(body, size, out);
    return r ? cborjson_error_text(r) : NULL;
}

const char *convert_to_cbor(int format, const void *body, size_t size, struct buffer *out)
{
    int r;

    if (format != JSON)
        return convert_senml(SENML_JSON, SENML_CBOR, body, size, out);
    r = cborjson_from_json(body, size, out);
    return r ? cborjson_error_text(r) : NULL;
}
