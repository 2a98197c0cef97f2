#include "codec/cborio.h"
#include "codec/jsonio.h"
#include "codec/senml_private.h"

#include <string.h>

/* A pack is planned first (which base fields make it shorter), then each record becomes a list of fields, which both
 * formats write in their way. */

struct writer {
    struct buffer *out;
    enum senml_format format;
    const char *prefix;
    size_t prefix_size;
    /* the base fields */
    size_t base_size; /* of the names, without the prefix; the base name is prefix and these, or absent */
    const char *base_name, *base_unit;
    bool has_base_name, has_base_time;
    int64_t base_time;
};

struct output {
    enum senml_label label;
    const char *text; /* TEXT in two parts, DATA */
    size_t size;
    const char *more;
    size_t more_size;
    double number;
    bool boolean;
    bool is_time; /* time in us in place of number */
    int64_t time;
};

#define OUTPUTS_MAX 9 /* bn bt bu n u value s t */

/* The plan -------------------------------------------------------------------------------------------------------- */

static size_t common_size(const char *a, const char *b, size_t size)
{
    size_t n = 0;

    while (n < size && a[n] && a[n] == b[n])
        n++;
    return n;
}

static void plan(struct writer *w, const struct telemetry_record *records, size_t count)
{
    bool same_unit = true, absolute = true;
    size_t size = count ? strlen(records[0].name) : 0;

    for (size_t i = 0; i < count; i++) {
        size = common_size(records[0].name, records[i].name, size);
        same_unit = same_unit && strcmp(records[0].unit, records[i].unit) == 0;
        absolute = absolute && records[i].time_us >= SENML_RELATIVE_S * 1000000;
    }
    if (count < 2)
        return;
    w->base_name = records[0].name;
    w->base_size = size;
    w->has_base_name = (size + w->prefix_size) * (count - 1) > 8;
    w->base_unit = same_unit && records[0].unit[0] ? records[0].unit : NULL;
    w->has_base_time = absolute;
    w->base_time = records[0].time_us;
}

static struct output *put_bases(const struct writer *w, struct output *o)
{
    if (w->has_base_name)
        *o++ = (struct output){.label = SENML_BN,
                               .text = w->prefix,
                               .size = w->prefix_size,
                               .more = w->base_name,
                               .more_size = w->base_size};
    if (w->has_base_time)
        *o++ = (struct output){.label = SENML_BT, .is_time = true, .time = w->base_time};
    if (w->base_unit)
        *o++ = (struct output){.label = SENML_BU, .text = w->base_unit, .size = strlen(w->base_unit)};
    return o;
}

static struct output *put_name(const struct writer *w, const struct telemetry_record *record, struct output *o)
{
    size_t skipped = w->has_base_name ? w->base_size : 0, size = strlen(record->name) - skipped;
    size_t prefix_size = w->has_base_name ? 0 : w->prefix_size;

    if (size + prefix_size)
        *o++ = (struct output){.label = SENML_N,
                               .text = w->prefix,
                               .size = prefix_size,
                               .more = record->name + skipped,
                               .more_size = size};
    return o;
}

static struct output *put_value(const struct telemetry_record *record, struct output *o)
{
    switch (record->kind) {
    case TELEMETRY_NUMBER:
        *o++ = (struct output){.label = SENML_V, .number = record->number};
        break;
    case TELEMETRY_BOOLEAN:
        *o++ = (struct output){.label = SENML_VB, .boolean = record->boolean};
        break;
    case TELEMETRY_STRING:
        *o++ = (struct output){.label = SENML_VS, .text = record->bytes, .size = record->size};
        break;
    case TELEMETRY_DATA:
        *o++ = (struct output){.label = SENML_VD, .text = record->bytes, .size = record->size};
        break;
    default:
        break;
    }
    if (record->has_sum)
        *o++ = (struct output){.label = SENML_S, .number = record->sum};
    return o;
}

static size_t list_fields(const struct writer *w, const struct telemetry_record *record, bool is_first,
                          struct output out[OUTPUTS_MAX])
{
    int64_t time = record->time_us - (w->has_base_time ? w->base_time : 0);
    struct output *o = is_first ? put_bases(w, out) : out;

    o = put_name(w, record, o);
    if (record->unit[0] && !w->base_unit)
        *o++ = (struct output){.label = SENML_U, .text = record->unit, .size = strlen(record->unit)};
    if (time) /* without one it is now (RFC 8428 section 4.5.3) */
        *o++ = (struct output){.label = SENML_T, .is_time = true, .time = time};
    o = put_value(record, o);
    return (size_t)(o - out);
}

/* JSON ------------------------------------------------------------------------------------------------------------ */

static void json_time(struct buffer *out, int64_t time)
{
    uint64_t amount = time < 0 ? -(uint64_t)time : (uint64_t)time;
    unsigned fraction = (unsigned)(amount % 1000000);

    buffer_printf(out, "%s%llu", time < 0 ? "-" : "", (unsigned long long)(amount / 1000000));
    if (!fraction)
        return;
    buffer_printf(out, ".%06u", fraction);
    while (!out->failed && out->data[out->size - 1] == '0')
        out->data[--out->size] = 0;
}

static void json_data(struct buffer *out, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *p = data;

    buffer_append_u8(out, '"');
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);

        for (size_t k = 0; k <= left; k++)
            buffer_append_u8(out, (uint8_t)digits[bits >> (18 - 6 * k) & 63]);
    }
    buffer_append_u8(out, '"');
}

/* Names need no escapes, but a prefix may. */
static void json_text(struct buffer *out, const struct output *o)
{
    jsonio_put_string(out, o->text, o->size);
    if (!o->more_size || out->failed)
        return;
    out->size--; /* the quote */
    buffer_append(out, o->more, o->more_size);
    buffer_append_u8(out, '"');
}

static void json_field(struct buffer *out, const struct output *o)
{
    buffer_printf(out, "\"%s\":", senml_labels[o->label].name);
    switch (senml_labels[o->label].kind) {
    case SENML_TEXT:
        json_text(out, o);
        break;
    case SENML_DATA:
        json_data(out, o->text, o->size);
        break;
    case SENML_BOOLEAN:
        buffer_append_text(out, o->boolean ? "true" : "false");
        break;
    default:
        if (o->is_time)
            json_time(out, o->time);
        else
            jsonio_put_number(out, o->number);
    }
}

static void json_record(struct writer *w, const struct output *fields, size_t count, bool is_first)
{
    buffer_append_text(w->out, is_first ? "{" : ",{");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buffer_append_u8(w->out, ',');
        json_field(w->out, &fields[i]);
    }
    buffer_append_u8(w->out, '}');
}

/* CBOR ------------------------------------------------------------------------------------------------------------ */

#define ITEM_MAX 32 /* bytes of a label and a number, a time, or the head of a string */

static void cbor_time(struct cborio_writer *c, int64_t time)
{
    double seconds = (double)time / 1e6;

    if (time % 1000000 == 0) {
        cborio_put_int(c, time / 1000000);
    } else if (seconds > -1e9 && seconds < 2e9) { /* exact enough to be read as the same microsecond */
        cborio_put_number(c, seconds);
    } else {
        cborio_put_tag(c, 4);
        cborio_put_array(c, 2);
        cborio_put_int(c, -6);
        cborio_put_int(c, time);
    }
}

static void cbor_value(struct cborio_writer *c, double number)
{
    if (number > -9007199254740992.0 && number < 9007199254740992.0 && (double)(int64_t)number == number) /* NOLINT */
        cborio_put_int(c, (int64_t)number);
    else
        cborio_put_number(c, number);
}

static void cbor_field(struct buffer *out, const struct output *o)
{
    size_t size = o->size + o->more_size;
    struct cborio_writer c = cborio_writer_init(buffer_reserve(out, ITEM_MAX), ITEM_MAX);

    if (out->failed)
        return;
    cborio_put_int(&c, senml_labels[o->label].number);
    switch (senml_labels[o->label].kind) {
    case SENML_TEXT:
        cborio_put_text_head(&c, size);
        break;
    case SENML_DATA:
        cborio_put_bytes_head(&c, size);
        break;
    case SENML_BOOLEAN:
        cborio_put_bool(&c, o->boolean);
        break;
    default:
        if (o->is_time)
            cbor_time(&c, o->time);
        else
            cbor_value(&c, o->number);
    }
    out->size += cborio_written(&c);
    buffer_append(out, o->text, o->size);
    buffer_append(out, o->more, o->more_size);
}

static void cbor_head(struct buffer *out, bool is_map, size_t count)
{
    struct cborio_writer c = cborio_writer_init(buffer_reserve(out, ITEM_MAX), ITEM_MAX);

    if (out->failed)
        return;
    if (is_map)
        cborio_put_map(&c, count);
    else
        cborio_put_array(&c, count);
    out->size += cborio_written(&c);
}

static void cbor_record(struct writer *w, const struct output *fields, size_t count)
{
    cbor_head(w->out, true, count);
    for (size_t i = 0; i < count; i++)
        cbor_field(w->out, &fields[i]);
}

/* The whole ------------------------------------------------------------------------------------------------------- */

void senml_encode(struct buffer *out, enum senml_format format, const char *prefix,
                  const struct telemetry_record *records, size_t count)
{
    struct writer w = {.out = out, .format = format, .prefix = prefix ? prefix : ""};

    w.prefix_size = strlen(w.prefix);
    plan(&w, records, count);
    if (format == SENML_JSON)
        buffer_append_u8(out, '[');
    else
        cbor_head(out, false, count);
    for (size_t i = 0; i < count && !out->failed; i++) {
        struct output fields[OUTPUTS_MAX];
        size_t n = list_fields(&w, &records[i], i == 0, fields);

        if (format == SENML_JSON)
            json_record(&w, fields, n, i == 0);
        else
            cbor_record(&w, fields, n);
    }
    if (format == SENML_JSON)
        buffer_append_u8(out, ']');
}
