#include "codec/cborio.h"
#include "codec/jsonio.h"
#include "codec/senml_private.h"

#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* What both formats have in common -------------------------------------------------------------------------------- */

static enum senml_label label_of_name(const char *name, size_t size)
{
    int label = 0;

    while (label < SENML_LABELS &&
           !(strlen(senml_labels[label].name) == size && memcmp(senml_labels[label].name, name, size) == 0))
        label++;
    return (enum senml_label)label;
}

static enum senml_label label_of_number(const struct cborio_item *key)
{
    int number = key->value > 8 ? 9 : (int)key->value, label = 0;

    if (key->type == CBORIO_NEGINT)
        number = -1 - number;
    while (label < SENML_LABELS && senml_labels[label].number != number)
        label++;
    return (enum senml_label)label;
}

/* A key was read: SENML_LABELS in *label says that its value is to be passed over. */
static int take_label(struct senml_parser *p, enum senml_label label, const char *name, size_t size)
{
    if (label == SENML_LABELS) {
        if (size == 0 || name[size - 1] != '_')
            return 0;
        return senml_problem(p->pack, SENML_E_UNSUPPORTED,
                             "record %zu: \"%.*s\" must be understood (it ends in \"_\"), and is not", p->record,
                             size > 64 ? 64 : (int)size, name);
    }
    if (senml_has(p, label))
        return senml_broken(p, label, "is there twice");
    p->present |= 1u << label;
    p->fields[label] = (struct senml_field){0};
    return 0;
}

static int wrong_kind(struct senml_parser *p, enum senml_label label)
{
    static const char *const json[] = {"is no number", "is no string", "is neither true nor false",
                                       "is no string of base64url"};
    static const char *const cbor[] = {"is no number", "is no text string", "is neither true nor false",
                                       "is no byte string"};

    return senml_broken(p, label, (p->format == SENML_JSON ? json : cbor)[senml_labels[label].kind]);
}

static int check_number(struct senml_parser *p, enum senml_label label)
{
    if (isfinite(p->fields[label].number))
        return 0;
    return senml_broken(p, label, isnan(p->fields[label].number) ? "is not a number (NaN)" : "is infinite");
}

static int malformed(struct senml_parser *p)
{
    return senml_problem(p->pack, SENML_E_MALFORMED, "record %zu: the %s is malformed", p->record,
                         p->format == SENML_JSON ? "JSON" : "CBOR");
}

/* JSON ------------------------------------------------------------------------------------------------------------ */

static bool json_text(struct senml_parser *p, const struct jsonio_item *item, const char **text, size_t *size)
{
    char *copy;

    *text = item->text;
    *size = item->size;
    if (!item->escaped)
        return true;
    copy = senml_allocate(p->pack, item->size);
    if (!copy)
        return false;
    *size = jsonio_unescape(item, copy);
    *text = copy;
    return true;
}

/* A decimal number of seconds as microseconds, without the way through a double; false when it has an exponent or too
 * many digits. */
static bool decimal_time(const struct jsonio_item *item, int64_t *time)
{
    bool negative = item->text[0] == '-', seen_point = false;
    int64_t value = 0;
    int places = 0;

    if (item->size > 21)
        return false;
    for (size_t i = negative; i < item->size; i++) {
        char c = item->text[i];

        if (c == '.') {
            seen_point = true;
            continue;
        }
        if (c < '0' || c > '9' || (seen_point && ++places > 6) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, c - '0', &value))
            return false;
    }
    for (; places < 6; places++)
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    *time = negative ? -value : value;
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Base64url (RFC 4648 section 5) without padding; some send it, which does no harm. */
static int read_data(struct senml_parser *p, struct senml_field *field, const struct jsonio_item *item)
{
    size_t size = item->size, used = 0;
    uint32_t bits = 0;
    char *data;

    while (size > 0 && item->size - size < 2 && item->text[size - 1] == '=')
        size--;
    data = size % 4 != 1 ? senml_allocate(p->pack, size) : NULL;
    if (size % 4 == 1 || (!data && size))
        return size % 4 == 1 ? wrong_kind(p, SENML_VD) : -ENOMEM;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(item->text[i]);

        if (digit < 0)
            return wrong_kind(p, SENML_VD);
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 0)
            data[used++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    field->text = data;
    field->size = used;
    return 0;
}

static int json_value(struct senml_parser *p, enum senml_label label, const struct jsonio_item *item)
{
    static const enum jsonio_type types[] = {JSONIO_NUMBER, JSONIO_STRING, JSONIO_BOOL, JSONIO_STRING};
    struct senml_field *field = &p->fields[label];

    if (item->type != types[senml_labels[label].kind])
        return wrong_kind(p, label);
    switch (senml_labels[label].kind) {
    case SENML_TEXT:
        return json_text(p, item, &field->text, &field->size) ? 0 : -ENOMEM;
    case SENML_BOOLEAN:
        field->boolean = item->boolean;
        return 0;
    case SENML_DATA:
        return read_data(p, field, item);
    default:
        if (label == SENML_T || label == SENML_BT)
            field->has_time = decimal_time(item, &field->time);
        if (!field->has_time)
            field->number = jsonio_number(item);
        return check_number(p, label);
    }
}

static int json_member(struct senml_parser *p, struct jsonio_reader *r, const struct jsonio_item *key)
{
    enum senml_label label;
    struct jsonio_item item;
    const char *name;
    size_t size;
    int result;

    if (!json_text(p, key, &name, &size))
        return -ENOMEM;
    label = label_of_name(name, size);
    result = take_label(p, label, name, size);
    if (result != 0)
        return result;
    if (!jsonio_next(r, &item))
        return malformed(p);
    if (label != SENML_LABELS)
        return json_value(p, label, &item);
    jsonio_skip(r, &item);
    return jsonio_failed(r) ? malformed(p) : 0;
}

static int json_record(struct senml_parser *p, struct jsonio_reader *r)
{
    struct jsonio_item key;
    int result = 0;

    p->present = 0;
    while (result == 0 && jsonio_next(r, &key) && key.type != JSONIO_END)
        result = json_member(p, r, &key);
    if (result == 0 && jsonio_failed(r))
        result = malformed(p);
    return result == 0 ? senml_resolve(p) : result;
}

static int no_pack(struct senml_parser *p)
{
    return senml_problem(p->pack, SENML_E_MALFORMED, "no SenML pack: it is %s array of records, and nothing behind it",
                         p->format == SENML_JSON ? "a JSON" : "a CBOR");
}

static int parse_json(struct senml_parser *p, const void *data, size_t size)
{
    struct jsonio_reader r = jsonio_reader_init(data, size);
    struct jsonio_item item;
    int result = 0;

    if (!jsonio_next(&r, &item) || item.type != JSONIO_ARRAY)
        return no_pack(p);
    for (p->record = 1; result == 0 && jsonio_next(&r, &item) && item.type != JSONIO_END; p->record++)
        result = item.type == JSONIO_OBJECT
                     ? json_record(p, &r)
                     : senml_problem(p->pack, SENML_E_MALFORMED, "record %zu is no object", p->record);
    if (result == 0 && jsonio_failed(&r))
        return malformed(p);
    return result == 0 && !jsonio_ended(&r) ? no_pack(p) : result;
}

/* CBOR ------------------------------------------------------------------------------------------------------------ */

static bool is_integer(const struct cborio_item *item)
{
    return item->type == CBORIO_UINT || item->type == CBORIO_NEGINT;
}

/* A decimal fraction (RFC 8949 section 3.4.4), its tag being read: an array of exponent and mantissa. */
static bool read_decimal(struct cborio_reader *r, struct senml_field *field)
{
    bool is_pair = cborio_get_array(r) == 2;
    int64_t exponent = is_pair ? cborio_get_int(r) : 0, mantissa = is_pair ? cborio_get_int(r) : 0;
    char text[48];

    if (!is_pair || cborio_failed(r) || exponent < -400 || exponent > 400)
        return false;
    (void)snprintf(text, sizeof text, "%llde%lld", (long long)mantissa, (long long)exponent);
    field->number = strtod(text, NULL);
    field->has_time = exponent == -6;
    field->time = mantissa;
    return true;
}

static bool cbor_number(struct cborio_reader *r, const struct cborio_item *item, struct senml_field *field)
{
    if (item->type == CBORIO_TAG)
        return item->value == 4 && read_decimal(r, field);
    field->number = item->type == CBORIO_UINT ? (double)item->value : item->number;
    if (item->type == CBORIO_NEGINT)
        field->number = -1 - (double)item->value;
    if (!is_integer(item))
        return item->type == CBORIO_FLOAT;
    field->has_time = item->value < INT64_MAX / 1000000;
    if (field->has_time)
        field->time = (item->type == CBORIO_UINT ? (int64_t)item->value : -1 - (int64_t)item->value) * 1000000;
    return true;
}

static int cbor_value(struct senml_parser *p, enum senml_label label, struct cborio_reader *r,
                      const struct cborio_item *item)
{
    static const enum cborio_type types[] = {CBORIO_NONE, CBORIO_TEXT, CBORIO_BOOL, CBORIO_BYTES};
    struct senml_field *field = &p->fields[label];
    enum senml_kind kind = senml_labels[label].kind;

    if (kind == SENML_NUMBER) {
        if (cbor_number(r, item, field))
            return check_number(p, label);
        return cborio_failed(r) ? malformed(p) : wrong_kind(p, label);
    }
    if (item->type != types[kind] || item->indefinite)
        return wrong_kind(p, label);
    field->boolean = item->value != 0;
    field->text = (const char *)item->data;
    field->size = (size_t)item->value;
    if (kind == SENML_TEXT && !text_is_utf8(item->data, field->size))
        return senml_broken(p, label, "is no UTF-8");
    return 0;
}

static int cbor_pair(struct senml_parser *p, struct cborio_reader *r, const struct cborio_item *key)
{
    bool is_text = key->type == CBORIO_TEXT && !key->indefinite;
    enum senml_label label = SENML_LABELS;
    struct cborio_item item;
    int result;

    if (is_text)
        label = label_of_name((const char *)key->data, (size_t)key->value);
    else if (is_integer(key))
        label = label_of_number(key);
    else
        return senml_problem(p->pack, SENML_E_RECORD, "record %zu has a label that is neither integer nor text",
                             p->record);
    result = take_label(p, label, (const char *)key->data, is_text ? (size_t)key->value : 0);
    if (result != 0)
        return result;
    if (label == SENML_LABELS)
        cborio_skip(r);
    else if (cborio_next(r, &item))
        return cbor_value(p, label, r, &item);
    return cborio_failed(r) ? malformed(p) : 0;
}

/* Whether one more of a definite or indefinite array or map follows: its head is in *item. */
static bool next_inside(struct cborio_reader *r, const struct cborio_item *outer, uint64_t taken,
                        struct cborio_item *item)
{
    if (!outer->indefinite && taken == outer->value)
        return false;
    return cborio_next(r, item) && !(outer->indefinite && item->type == CBORIO_BREAK);
}

static int cbor_record(struct senml_parser *p, struct cborio_reader *r, const struct cborio_item *map)
{
    struct cborio_item key;
    int result = 0;

    p->present = 0;
    for (uint64_t i = 0; result == 0 && next_inside(r, map, i, &key); i++)
        result = cbor_pair(p, r, &key);
    if (result == 0 && cborio_failed(r))
        result = malformed(p);
    return result == 0 ? senml_resolve(p) : result;
}

static int parse_cbor(struct senml_parser *p, const void *data, size_t size)
{
    struct cborio_reader r = cborio_reader_init(data, size);
    struct cborio_item array, map;
    int result = 0;

    r.allows_indefinite = true; /* of streams (section 6) */
    if (!cborio_next(&r, &array) || array.type != CBORIO_ARRAY)
        return no_pack(p);
    for (p->record = 1; result == 0 && next_inside(&r, &array, p->record - 1, &map); p->record++)
        result = map.type == CBORIO_MAP ? cbor_record(p, &r, &map)
                                        : senml_problem(p->pack, SENML_E_MALFORMED, "record %zu is no map", p->record);
    if (result == 0 && cborio_failed(&r))
        return malformed(p);
    return result == 0 && !cborio_ended(&r) ? no_pack(p) : result;
}

int senml_parse_pack(struct senml_parser *p, const void *data, size_t size)
{
    return p->format == SENML_JSON ? parse_json(p, data, size) : parse_cbor(p, data, size);
}
