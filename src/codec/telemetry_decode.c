#include "codec/cborio.h"
#include "codec/jsonio.h"
#include "codec/senml_private.h"

#include "base/text.h"
#include "tcgw/coapmsg.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

/* What a device says of one value, outside of a pack. */

#define NO_FORMAT (-1)

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A number (as in JSON, but for a plus sign), true or false. */
static bool read_word(struct telemetry_record *record, const char *text, size_t size)
{
    struct jsonio_reader r;
    struct jsonio_item item;

    if (size > 1 && text[0] == '+' && text[1] != '-') {
        text++;
        size--;
    }
    r = jsonio_reader_init(text, size);
    if (!jsonio_next(&r, &item) || !jsonio_ended(&r))
        return false;
    if (item.type == JSONIO_BOOL) {
        record->kind = TELEMETRY_BOOLEAN;
        record->boolean = item.boolean;
    } else if (item.type == JSONIO_NUMBER) {
        record->kind = TELEMETRY_NUMBER;
        record->number = jsonio_number(&item);
    }
    return record->kind != TELEMETRY_NONE;
}

/* What printf makes of no number, which is no text either. */
static bool is_no_number(const char *text, size_t size)
{
    static const char *const words[] = {"nan", "inf", "infinity"};

    if (size && (text[0] == '-' || text[0] == '+')) {
        text++;
        size--;
    }
    for (size_t i = 0; i < array_size(words); i++)
        if (size == strlen(words[i]) && strncasecmp(text, words[i], size) == 0)
            return true;
    return false;
}

static int read_text(struct senml_pack *pack, struct telemetry_record *record, int content_format, const char *text,
                     size_t size)
{
    while (size && is_space(text[0])) {
        text++;
        size--;
    }
    while (size && is_space(text[size - 1]))
        size--;
    if (size == 0)
        return senml_problem(pack, SENML_E_MALFORMED, "the message is empty");
    if (read_word(record, text, size))
        return 0;
    if (is_no_number(text, size))
        return senml_problem(pack, SENML_E_RECORD, "the value is not a number");
    if (content_format == NO_FORMAT)
        return senml_problem(pack, SENML_E_FORMAT,
                             "without a Content-Format only a number, true or false is understood; say which it is");
    if (!text_is_utf8(text, size))
        return senml_problem(pack, SENML_E_MALFORMED, "the text is no UTF-8");
    record->kind = TELEMETRY_STRING;
    record->bytes = text;
    record->size = size;
    return 0;
}

static int read_json(struct senml_pack *pack, struct telemetry_record *record, const char *text, size_t size)
{
    struct jsonio_reader r = jsonio_reader_init(text, size);
    struct jsonio_item item;
    char *copy;

    if (!jsonio_next(&r, &item) || !jsonio_ended(&r) || item.type == JSONIO_NULL)
        return senml_problem(pack, SENML_E_MALFORMED, "the JSON is no number, boolean, string or SenML pack");
    if (item.type != JSONIO_STRING)
        return read_word(record, item.text ? item.text : text, item.text ? item.size : size)
                   ? 0
                   : senml_problem(pack, SENML_E_MALFORMED, "the JSON is no number, boolean, string or SenML pack");
    copy = senml_allocate(pack, item.size);
    if (!copy && item.size)
        return -ENOMEM;
    record->kind = TELEMETRY_STRING;
    record->bytes = copy;
    record->size = jsonio_unescape(&item, copy);
    return 0;
}

static int read_cbor(struct senml_pack *pack, struct telemetry_record *record, const void *data, size_t size)
{
    struct cborio_reader r = cborio_reader_init(data, size);
    enum cborio_type type = cborio_peek(&r);

    if (type == CBORIO_TEXT) {
        record->kind = TELEMETRY_STRING;
        record->bytes = cborio_get_text(&r, &record->size);
    } else if (type == CBORIO_BYTES) {
        record->kind = TELEMETRY_DATA;
        record->bytes = cborio_get_bytes(&r, &record->size);
    } else if (type == CBORIO_BOOL) {
        record->kind = TELEMETRY_BOOLEAN;
        record->boolean = cborio_get_bool(&r);
    } else {
        record->kind = TELEMETRY_NUMBER;
        record->number = cborio_get_number(&r);
    }
    if (cborio_ended(&r))
        return 0;
    return senml_problem(pack, SENML_E_MALFORMED, "the CBOR is no number, boolean, string or SenML pack");
}

static int check_value(struct senml_pack *pack, const struct telemetry_record *record)
{
    if (record->size > TELEMETRY_VALUE_MAX)
        return senml_problem(pack, SENML_E_LIMIT, "the value has more than %d bytes", TELEMETRY_VALUE_MAX);
    if (!isfinite(record->number))
        return senml_problem(pack, SENML_E_RECORD, "the value is not a finite number");
    return 0;
}

static int check_name(struct senml_pack *pack, const struct senml_options *options)
{
    const char *unit = options->unit ? options->unit : "";

    if (!options->name || !options->name[0])
        return senml_problem(pack, SENML_E_RECORD, "the value has no name: send it to /t/NAME, or with ?n=NAME");
    if (!senml_is_name(options->name, strlen(options->name)))
        return senml_problem(pack, SENML_E_RECORD,
                             "the name is not 1 to %d letters, digits and - : . / _ that begin with a letter or digit",
                             TELEMETRY_NAME_MAX);
    if (strlen(unit) > TELEMETRY_UNIT_MAX)
        return senml_problem(pack, SENML_E_LIMIT, "the unit has more than %d bytes", TELEMETRY_UNIT_MAX);
    return 0;
}

static int read_bare(struct senml_pack *pack, int content_format, const void *data, size_t size,
                     const struct senml_options *options)
{
    struct telemetry_record *record = senml_add_record(pack);
    int r;

    if (!record)
        return -ENOMEM;
    if (content_format == COAPMSG_FORMAT_JSON)
        r = read_json(pack, record, data, size);
    else if (content_format == COAPMSG_FORMAT_CBOR)
        r = read_cbor(pack, record, data, size);
    else
        r = read_text(pack, record, content_format, data, size);
    if (r == 0)
        r = check_value(pack, record);
    if (r == 0)
        r = check_name(pack, options);
    if (r != 0)
        return r;
    record->name = options->name;
    record->unit = options->unit ? options->unit : "";
    record->time_us = options->now_us;
    record->flags = TELEMETRY_TIME_ASSIGNED;
    return 0;
}

/* Whether what is sent as plain JSON or CBOR is an array. */
static bool is_array(int content_format, const void *data, size_t size)
{
    struct jsonio_reader json = jsonio_reader_init(data, size);
    struct cborio_reader cbor = cborio_reader_init(data, size);
    struct jsonio_item item;

    cbor.allows_indefinite = true;
    if (content_format == COAPMSG_FORMAT_CBOR)
        return cborio_peek(&cbor) == CBORIO_ARRAY;
    return jsonio_next(&json, &item) && item.type == JSONIO_ARRAY;
}

int telemetry_decode(struct senml_pack *pack, int content_format, const void *data, size_t size,
                     const struct senml_options *options)
{
    int r;

    senml_begin(pack);
    switch (content_format) {
    case TELEMETRY_FORMAT_SENML_JSON:
    case TELEMETRY_FORMAT_SENSML_JSON:
        return senml_parse(pack, SENML_JSON, data, size, options);
    case TELEMETRY_FORMAT_SENML_CBOR:
    case TELEMETRY_FORMAT_SENSML_CBOR:
        return senml_parse(pack, SENML_CBOR, data, size, options);
    case COAPMSG_FORMAT_JSON:
    case COAPMSG_FORMAT_CBOR:
        if (is_array(content_format, data, size))
            return senml_parse(pack, content_format == COAPMSG_FORMAT_JSON ? SENML_JSON : SENML_CBOR, data, size,
                               options);
        break;
    case COAPMSG_FORMAT_TEXT:
    case NO_FORMAT:
        break;
    default:
        return senml_problem(pack, SENML_E_FORMAT, "Content-Format %d is none of 0, 50, 60, 110, 111, 112 and 113",
                             content_format);
    }
    r = read_bare(pack, content_format, data, size, options);
    if (r != 0)
        pack->count = 0;
    return r;
}
