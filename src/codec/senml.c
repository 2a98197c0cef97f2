#include "codec/senml_private.h"

#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* Memory of a pack ------------------------------------------------------------------------------------------------ */

#define CHUNK_SIZE 4000

/* Texts that the records point to; they must not move. */
struct senml_chunk {
    struct senml_chunk *next;
    size_t used, size;
    char data[];
};

char *senml_allocate(struct senml_pack *pack, size_t size)
{
    struct senml_chunk *chunk = pack->chunks;

    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

        chunk = malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        chunk->next = pack->chunks;
        chunk->used = 0;
        chunk->size = room;
        pack->chunks = chunk;
    }
    chunk->used += size;
    return chunk->data + chunk->used - size;
}

/* All but the first chunk, which the next pack uses again. */
static void forget_texts(struct senml_pack *pack)
{
    while (pack->chunks && pack->chunks->next) {
        struct senml_chunk *chunk = pack->chunks;

        pack->chunks = chunk->next;
        free(chunk);
    }
    if (pack->chunks)
        pack->chunks->used = 0;
}

void senml_clear(struct senml_pack *pack)
{
    forget_texts(pack);
    free(pack->chunks);
    free(pack->records);
    *pack = (struct senml_pack){0};
}

void senml_begin(struct senml_pack *pack)
{
    forget_texts(pack);
    pack->count = 0;
    pack->problem[0] = 0;
}

struct telemetry_record *senml_add_record(struct senml_pack *pack)
{
    if (pack->count == pack->capacity) {
        size_t capacity = pack->capacity ? 2 * pack->capacity : 16;
        struct telemetry_record *records = realloc(pack->records, capacity * sizeof *records);

        if (!records)
            return NULL;
        pack->records = records;
        pack->capacity = capacity;
    }
    pack->records[pack->count] = (struct telemetry_record){.unit = ""};
    return &pack->records[pack->count++];
}

int senml_problem(struct senml_pack *pack, int error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(pack->problem, sizeof pack->problem, format, ap);
    va_end(ap);
    text_repair_utf8(pack->problem); /* labels of a device are quoted in it, and it may be cut */
    return error;
}

/* Labels ---------------------------------------------------------------------------------------------------------- */

const struct senml_label_info senml_labels[SENML_LABELS] = {
    [SENML_BVER] = {"bver", -1, SENML_NUMBER}, [SENML_BN] = {"bn", -2, SENML_TEXT},
    [SENML_BT] = {"bt", -3, SENML_NUMBER},     [SENML_BU] = {"bu", -4, SENML_TEXT},
    [SENML_BV] = {"bv", -5, SENML_NUMBER},     [SENML_BS] = {"bs", -6, SENML_NUMBER},
    [SENML_N] = {"n", 0, SENML_TEXT},          [SENML_U] = {"u", 1, SENML_TEXT},
    [SENML_V] = {"v", 2, SENML_NUMBER},        [SENML_VS] = {"vs", 3, SENML_TEXT},
    [SENML_VB] = {"vb", 4, SENML_BOOLEAN},     [SENML_S] = {"s", 5, SENML_NUMBER},
    [SENML_T] = {"t", 6, SENML_NUMBER},        [SENML_UT] = {"ut", 7, SENML_NUMBER},
    [SENML_VD] = {"vd", 8, SENML_DATA},
};

/* A record, resolved ---------------------------------------------------------------------------------------------- */

#define BITS_VALUES (1u << SENML_V | 1u << SENML_VS | 1u << SENML_VB | 1u << SENML_VD)
#define BITS_REGULAR (BITS_VALUES | 1u << SENML_N | 1u << SENML_U | 1u << SENML_S | 1u << SENML_T | 1u << SENML_UT)

int senml_broken(struct senml_parser *p, enum senml_label label, const char *what)
{
    return senml_problem(p->pack, SENML_E_RECORD, "record %zu: \"%s\" %s", p->record, senml_labels[label].name, what);
}

static int too_long(struct senml_parser *p, enum senml_label label, size_t max)
{
    return senml_problem(p->pack, SENML_E_LIMIT, "record %zu: \"%s\" has more than %zu bytes", p->record,
                         senml_labels[label].name, max);
}

/* Seconds as microseconds; false when they are beyond all clocks. */
static bool to_time(const struct senml_field *field, int64_t *time)
{
    double us = field->number * 1e6;

    *time = field->time;
    if (field->has_time)
        return true;
    if (!(us > -9.2e18 && us < 9.2e18))
        return false;
    /* from 2^52 on there is no fraction left */
    *time = us > -4503599627370496.0 && us < 4503599627370496.0 ? (int64_t)(us + (us < 0 ? -0.5 : 0.5)) : (int64_t)us;
    return true;
}

static int take_version(struct senml_parser *p)
{
    double version = p->fields[SENML_BVER].number;

    if (!senml_has(p, SENML_BVER))
        return 0;
    if (version > SENML_VERSION_MAX)
        return senml_problem(p->pack, SENML_E_UNSUPPORTED,
                             "record %zu: \"bver\" %.17g is newer than %d, the version here", p->record, version,
                             SENML_VERSION_MAX);
    if (version < 1 || version != (int)version)
        return senml_broken(p, SENML_BVER, "is no version number");
    if (p->version && p->version != (int)version)
        return senml_broken(p, SENML_BVER, "is not the version of the records before");
    p->version = (int)version;
    return 0;
}

static int copy_unit(struct senml_parser *p, enum senml_label label, const char **out)
{
    const struct senml_field *field = &p->fields[label];
    char *unit;

    if (field->size > TELEMETRY_UNIT_MAX)
        return too_long(p, label, TELEMETRY_UNIT_MAX);
    for (size_t i = 0; i < field->size; i++)
        if ((unsigned char)field->text[i] < 0x20 || field->text[i] == 0x7f)
            return senml_broken(p, label, "has control characters");
    unit = senml_allocate(p->pack, field->size + 1);
    if (!unit)
        return -ENOMEM;
    if (field->size)
        memcpy(unit, field->text, field->size);
    unit[field->size] = 0;
    *out = unit;
    return 0;
}

static int take_base(struct senml_parser *p)
{
    int r = take_version(p);

    if (senml_has(p, SENML_BN)) {
        p->base_name = p->fields[SENML_BN].text;
        p->base_size = p->fields[SENML_BN].size;
    }
    if (r == 0 && senml_has(p, SENML_BT) && !to_time(&p->fields[SENML_BT], &p->base_time))
        return senml_broken(p, SENML_BT, "is a time beyond all clocks");
    if (r == 0 && senml_has(p, SENML_BU))
        r = copy_unit(p, SENML_BU, &p->base_unit);
    if (senml_has(p, SENML_BV))
        p->base_value = p->fields[SENML_BV].number;
    if (senml_has(p, SENML_BS))
        p->base_sum = p->fields[SENML_BS].number;
    return r;
}

bool senml_is_name(const char *name, size_t size)
{
    static const char marks[] = "-:./_";

    if (size == 0 || size > TELEMETRY_NAME_MAX)
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = name[i], lower = (char)(c | 0x20);
        bool is_alphanumeric = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');

        if (!is_alphanumeric && (i == 0 || c == 0 || !strchr(marks, c)))
            return false;
    }
    return true;
}

static int set_name(struct senml_parser *p, struct telemetry_record *record)
{
    const struct telemetry_record *before = p->pack->count > 1 ? record - 1 : NULL;
    const char *own = p->fields[SENML_N].text;
    size_t own_size = senml_has(p, SENML_N) ? p->fields[SENML_N].size : 0, size = p->base_size + own_size;
    char *name;

    if (size == 0) {
        own = p->options->name ? p->options->name : "";
        size = own_size = strlen(own);
    }
    if (size == 0)
        return senml_problem(p->pack, SENML_E_RECORD, "record %zu has no name: give it \"n\", or the pack \"bn\"",
                             p->record);
    if (size > TELEMETRY_NAME_MAX)
        return too_long(p, senml_has(p, SENML_N) ? SENML_N : SENML_BN, TELEMETRY_NAME_MAX);
    if (before && own_size == 0 && strlen(before->name) == size && memcmp(before->name, p->base_name, size) == 0) {
        record->name = before->name;
        return 0;
    }
    name = senml_allocate(p->pack, size + 1);
    if (!name)
        return -ENOMEM;
    if (size > own_size)
        memcpy(name, p->base_name, size - own_size);
    if (own_size)
        memcpy(name + size - own_size, own, own_size);
    name[size] = 0;
    record->name = name;
    if (!senml_is_name(name, size))
        return senml_broken(
            p, senml_has(p, SENML_N) ? SENML_N : SENML_BN,
            "makes a name with other characters than letters, digits and - : . / _, or that does not begin "
            "with a letter or digit");
    return 0;
}

static int set_time(struct senml_parser *p, struct telemetry_record *record)
{
    int64_t time = 0;

    if (senml_has(p, SENML_T) && !to_time(&p->fields[SENML_T], &time))
        return senml_broken(p, SENML_T, "is a time beyond all clocks");
    if (__builtin_add_overflow(time, p->base_time, &time))
        return senml_broken(p, SENML_T, "is a time beyond all clocks");
    if (time == 0)
        record->flags |= TELEMETRY_TIME_ASSIGNED;
    if (time < SENML_RELATIVE_S * 1000000 && __builtin_add_overflow(time, p->options->now_us, &time))
        return senml_broken(p, SENML_T, "is a time beyond all clocks");
    record->time_us = time;
    return 0;
}

static int set_bytes(struct senml_parser *p, struct telemetry_record *record, enum senml_label label,
                     enum telemetry_kind kind)
{
    const struct senml_field *field = &p->fields[label];

    if (field->size > TELEMETRY_VALUE_MAX)
        return too_long(p, label, TELEMETRY_VALUE_MAX);
    record->kind = kind;
    record->bytes = field->text;
    record->size = field->size;
    return 0;
}

static int set_value(struct senml_parser *p, struct telemetry_record *record)
{
    uint32_t values = p->present & BITS_VALUES;

    if (values & (values - 1))
        return senml_problem(p->pack, SENML_E_RECORD,
                             "record %zu has more than one of \"v\", \"vs\", \"vb\" and \"vd\"", p->record);
    if (!values && !senml_has(p, SENML_S))
        return senml_problem(p->pack, SENML_E_RECORD,
                             "record %zu has no value: give it \"v\", \"vs\", \"vb\" or \"vd\"", p->record);
    record->has_sum = senml_has(p, SENML_S);
    if (record->has_sum)
        record->sum = p->base_sum + p->fields[SENML_S].number;
    if (!isfinite(record->sum))
        return senml_broken(p, SENML_S, "and \"bs\" make no finite number");
    if (senml_has(p, SENML_VS))
        return set_bytes(p, record, SENML_VS, TELEMETRY_STRING);
    if (senml_has(p, SENML_VD))
        return set_bytes(p, record, SENML_VD, TELEMETRY_DATA);
    if (senml_has(p, SENML_VB)) {
        record->kind = TELEMETRY_BOOLEAN;
        record->boolean = p->fields[SENML_VB].boolean;
    } else if (senml_has(p, SENML_V)) {
        record->kind = TELEMETRY_NUMBER;
        record->number = p->base_value + p->fields[SENML_V].number;
        if (!isfinite(record->number))
            return senml_broken(p, SENML_V, "and \"bv\" make no finite number");
    }
    return 0;
}

static int set_unit(struct senml_parser *p, struct telemetry_record *record)
{
    if (senml_has(p, SENML_U))
        return copy_unit(p, SENML_U, &record->unit);
    if (p->base_unit)
        record->unit = p->base_unit;
    else if (p->options->unit)
        record->unit = p->options->unit;
    return 0;
}

int senml_resolve(struct senml_parser *p)
{
    struct telemetry_record *record;
    int r = take_base(p);

    if (r != 0 || !(p->present & BITS_REGULAR))
        return r;
    if (p->pack->count == p->options->max_records)
        return senml_problem(p->pack, SENML_E_LIMIT, "more than %zu records: send them in several packs",
                             p->options->max_records);
    record = senml_add_record(p->pack);
    if (!record)
        return -ENOMEM;
    r = set_value(p, record);
    if (r == 0)
        r = set_name(p, record);
    if (r == 0)
        r = set_time(p, record);
    return r == 0 ? set_unit(p, record) : r;
}

/* The whole ---------------------------------------------------------------------------------------------------------
 */

int senml_parse(struct senml_pack *pack, enum senml_format format, const void *data, size_t size,
                const struct senml_options *options)
{
    struct senml_parser p = {.pack = pack, .options = options, .format = format};
    int r;

    senml_begin(pack);
    r = senml_parse_pack(&p, data, size);
    if (r != 0)
        pack->count = 0;
    return r;
}
