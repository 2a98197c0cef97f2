#include "codec/pack.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum coding {
    CODING_SAME,
    CODING_STEP,    /* m in the exponent that there is */
    CODING_DECIMAL, /* e, m */
    CODING_FLOAT,
    CODING_DOUBLE,
    CODING_FALSE,
    CODING_TRUE,
    CODING_OTHER,
};

#define CODING_MASK 0x07
#define HEADER_TIME 0x08
#define HEADER_ATTRIBUTES 0x10
#define HEADER_WHOSE_SHIFT 5

enum whose { WHOSE_SAME, WHOSE_NEXT, WHOSE_SLOT };

#define FLAGS_MASK 0x3f
#define FLAG_SUM 0x40
#define ATTRIBUTE_UNIT 0x80

enum time_unit { UNIT_MICRO, UNIT_MILLI, UNIT_SECOND, UNIT_RAW };

#define UNIT_BITS 2
#define EXPONENT_MAX 9
#define MANTISSA_MAX (INT64_C(1) << 53) /* up to here each integer is a double */

static const double powers[EXPONENT_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
static const int64_t unit_us[] = {[UNIT_MICRO] = 1, [UNIT_MILLI] = 1000, [UNIT_SECOND] = 1000000};

/* Differences wrap around, so that each pair of numbers has one. */
static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static uint64_t zigzag(int64_t n)
{
    return ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t n)
{
    return (int64_t)((n >> 1) ^ (n & 1 ? UINT64_MAX : 0));
}

/* The slot of a name that is new. */
static unsigned take_slot(struct pack_state *state, const char *name)
{
    unsigned slot = state->names++ % PACK_SLOTS;

    if (state->used < PACK_SLOTS)
        state->used++;
    state->slots[slot] =
        (struct pack_slot){.name = name, .unit = "", .time = state->slots[state->slot].time, .next = (uint8_t)slot};
    return slot;
}

static void enter_slot(struct pack_state *state, unsigned slot)
{
    state->slots[state->slot].next = (uint8_t)slot;
    state->slot = slot;
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

static void write_varint(struct buffer *out, uint64_t n)
{
    uint8_t bytes[10];
    size_t size = 0;

    while (n > 0x7f) {
        bytes[size++] = (uint8_t)(n | 0x80);
        n >>= 7;
    }
    bytes[size++] = (uint8_t)n;
    buffer_append(out, bytes, size);
}

static void write_le(struct buffer *out, uint64_t n, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(n >> 8 * i);
    buffer_append(out, bytes, size);
}

static bool same_bits(double a, double b)
{
    uint64_t x, y;

    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

/* Whether the value is m / 10^exponent to the last bit. */
static bool to_decimal(double value, unsigned exponent, int64_t *mantissa)
{
    double scaled = value * powers[exponent];

    if (!(fabs(scaled) < (double)MANTISSA_MAX))
        return false;
    *mantissa = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    return same_bits((double)*mantissa / powers[exponent], value);
}

static bool is_float(double value)
{
    return same_bits((double)(float)value, value);
}

/* How a number is written; sets what it is told from the next time. *step is the change of the mantissa. */
static enum coding choose_coding(struct pack_number *last, double value, int64_t *step)
{
    int64_t mantissa;

    if (same_bits(last->value, value))
        return CODING_SAME;
    last->value = value;
    if (to_decimal(value, last->exponent, &mantissa)) {
        *step = minus(mantissa, last->mantissa);
        last->mantissa = mantissa;
        return CODING_STEP;
    }
    for (unsigned exponent = 0; exponent <= EXPONENT_MAX; exponent++)
        if (to_decimal(value, exponent, &mantissa)) {
            last->mantissa = mantissa;
            last->exponent = (uint8_t)exponent;
            return CODING_DECIMAL;
        }
    return isfinite(value) && fabs(value) <= 3e38 && is_float(value) ? CODING_FLOAT : CODING_DOUBLE;
}

static void write_number(struct buffer *out, enum coding coding, const struct pack_number *number, int64_t step)
{
    float single = coding == CODING_FLOAT ? (float)number->value : 0;
    uint32_t single_bits;
    uint64_t bits;

    memcpy(&single_bits, &single, sizeof single_bits);
    memcpy(&bits, &number->value, sizeof bits);
    switch ((int)coding) {
    case CODING_STEP:
        write_varint(out, zigzag(step));
        break;
    case CODING_DECIMAL:
        buffer_append_u8(out, number->exponent);
        write_varint(out, zigzag(number->mantissa));
        break;
    case CODING_FLOAT:
        write_le(out, single_bits, sizeof single_bits);
        break;
    case CODING_DOUBLE:
        write_le(out, bits, sizeof bits);
        break;
    default:
        break;
    }
}

static void write_time(struct buffer *out, int64_t change)
{
    enum time_unit unit = change % unit_us[UNIT_SECOND] == 0  ? UNIT_SECOND
                          : change % unit_us[UNIT_MILLI] == 0 ? UNIT_MILLI
                                                              : UNIT_MICRO;
    uint64_t n = zigzag(change / unit_us[unit]);

    if (n >> (64 - UNIT_BITS)) {
        buffer_append_u8(out, UNIT_RAW);
        write_le(out, (uint64_t)change, sizeof change);
    } else {
        write_varint(out, n << UNIT_BITS | unit);
    }
}

/* The slot that has the name; PACK_SLOTS when none has. The likely ones first. */
static unsigned find_slot(const struct pack_state *state, const char *name)
{
    unsigned next = state->slots[state->slot].next;

    if (state->used > 0 && strcmp(state->slots[state->slot].name, name) == 0)
        return state->slot;
    if (state->used > 0 && strcmp(state->slots[next].name, name) == 0)
        return next;
    for (unsigned slot = 0; slot < state->used; slot++)
        if (strcmp(state->slots[slot].name, name) == 0)
            return slot;
    return PACK_SLOTS;
}

static bool within_limits(const struct telemetry_record *record)
{
    return strnlen(record->name, TELEMETRY_NAME_MAX + 1) <= TELEMETRY_NAME_MAX &&
           strnlen(record->unit, TELEMETRY_UNIT_MAX + 1) <= TELEMETRY_UNIT_MAX && record->size <= TELEMETRY_VALUE_MAX &&
           (unsigned)record->kind < TELEMETRY_KIND_COUNT;
}

/* What a record's header says, besides of whose it is. */
struct plan {
    uint8_t header, attributes;
    int64_t change, step; /* of the time's step, of the mantissa */
};

static enum coding choose_value(struct pack_slot *slot, const struct telemetry_record *record, int64_t *step)
{
    switch (record->kind) {
    case TELEMETRY_NUMBER:
        return choose_coding(&slot->number, record->number, step);
    case TELEMETRY_BOOLEAN:
        return record->boolean ? CODING_TRUE : CODING_FALSE;
    default:
        return CODING_OTHER;
    }
}

/* Brings the slot to the record. */
static struct plan advance(struct pack_slot *slot, const struct telemetry_record *record, bool is_new)
{
    uint8_t flags = (uint8_t)((record->flags & FLAGS_MASK) | (record->has_sum ? FLAG_SUM : 0));
    int64_t step = minus(record->time_us, slot->time);
    bool unit = strcmp(slot->unit, record->unit) != 0;
    struct plan plan = {.change = minus(step, slot->step)};

    plan.header = (uint8_t)choose_value(slot, record, &plan.step);
    if (plan.change != 0)
        plan.header |= HEADER_TIME;
    if (unit || flags != slot->flags)
        plan.header |= HEADER_ATTRIBUTES;
    plan.attributes = (uint8_t)(flags | (unit ? ATTRIBUTE_UNIT : 0));
    slot->unit = record->unit;
    slot->flags = flags;
    slot->time = record->time_us;
    slot->step = is_new ? 0 : step;
    return plan;
}

static void write_other(struct buffer *out, const struct telemetry_record *record)
{
    buffer_append_u8(out, (uint8_t)record->kind);
    if (record->kind == TELEMETRY_NONE)
        return;
    write_varint(out, record->size);
    if (record->size > 0)
        buffer_append(out, record->bytes, record->size);
}

static void write_sum(struct buffer *out, struct pack_number *last, double sum)
{
    int64_t step = 0;
    enum coding coding = choose_coding(last, sum, &step);

    buffer_append_u8(out, (uint8_t)coding);
    write_number(out, coding, last, step);
}

void pack_writer_init(struct pack_writer *writer, struct buffer *out)
{
    memset(&writer->state, 0, sizeof writer->state);
    writer->out = out;
}

void pack_write(struct pack_writer *writer, const struct telemetry_record *record)
{
    struct pack_state *state = &writer->state;
    struct buffer *out = writer->out;
    unsigned number = find_slot(state, record->name);
    bool is_new = number == PACK_SLOTS;
    enum whose whose = is_new                                               ? WHOSE_SLOT
                       : number == state->slot                              ? WHOSE_SAME
                       : number == (unsigned)state->slots[state->slot].next ? WHOSE_NEXT
                                                                            : WHOSE_SLOT;
    struct pack_slot *slot;
    struct plan plan;

    if (!within_limits(record)) {
        out->failed = true;
        return;
    }
    if (is_new)
        number = take_slot(state, record->name);
    enter_slot(state, number);
    slot = &state->slots[number];
    plan = advance(slot, record, is_new);
    buffer_append_u8(out, (uint8_t)(plan.header | whose << HEADER_WHOSE_SHIFT));
    if (whose == WHOSE_SLOT)
        write_varint(out, is_new ? 0 : number + 1);
    if (is_new)
        buffer_append(out, record->name, strlen(record->name) + 1);
    if (plan.header & HEADER_ATTRIBUTES)
        buffer_append_u8(out, plan.attributes);
    if (plan.header & HEADER_ATTRIBUTES && plan.attributes & ATTRIBUTE_UNIT)
        buffer_append(out, record->unit, strlen(record->unit) + 1);
    if (plan.header & HEADER_TIME)
        write_time(out, plan.change);
    if ((plan.header & CODING_MASK) == CODING_OTHER)
        write_other(out, record);
    else
        write_number(out, (enum coding)(plan.header & CODING_MASK), &slot->number, plan.step);
    if (record->has_sum)
        write_sum(out, &slot->sum, record->sum);
}

void pack_write_all(struct buffer *out, const struct telemetry_record *records, size_t count)
{
    struct pack_writer writer;

    pack_writer_init(&writer, out);
    for (size_t i = 0; i < count; i++)
        pack_write(&writer, &records[i]);
}

/* Reading ---------------------------------------------------------------------------------------------------------- */

static uint64_t read_varint(struct cursor *in)
{
    uint64_t n = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(in);

        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return n;
    }
    cursor_fail(in);
    return 0;
}

/* A text with its NUL, of `max` bytes at most. */
static const char *read_text(struct cursor *in, size_t max)
{
    size_t left = cursor_left(in), limit = left < max + 1 ? left : max + 1;
    const void *end = limit > 0 ? memchr(in->data + in->offset, 0, limit) : NULL;

    if (!end) {
        cursor_fail(in);
        return "";
    }
    return (const char *)cursor_take(in, (size_t)((const uint8_t *)end - (in->data + in->offset)) + 1);
}

static void read_decimal(struct cursor *in, struct pack_number *number, bool step)
{
    uint8_t exponent = step ? number->exponent : cursor_u8(in);
    int64_t m = unzigzag(read_varint(in));

    if (exponent > EXPONENT_MAX) {
        cursor_fail(in);
        return;
    }
    number->exponent = exponent;
    number->mantissa = step ? plus(number->mantissa, m) : m;
    number->value = (double)number->mantissa / powers[exponent];
}

static void read_number(struct cursor *in, enum coding coding, struct pack_number *number)
{
    uint32_t single_bits;
    uint64_t bits;
    float single;

    switch ((int)coding) {
    case CODING_SAME:
        break;
    case CODING_STEP:
    case CODING_DECIMAL:
        read_decimal(in, number, coding == CODING_STEP);
        break;
    case CODING_FLOAT:
        single_bits = cursor_u32le(in);
        memcpy(&single, &single_bits, sizeof single);
        number->value = (double)single;
        break;
    case CODING_DOUBLE:
        bits = cursor_u64le(in);
        memcpy(&number->value, &bits, sizeof bits);
        break;
    default:
        cursor_fail(in);
    }
}

static int64_t read_time(struct cursor *in)
{
    uint64_t n = read_varint(in);
    int64_t change = unzigzag(n >> UNIT_BITS), us = 0;
    unsigned unit = n & ((1 << UNIT_BITS) - 1);

    if (unit == UNIT_RAW)
        return (int64_t)cursor_u64le(in);
    if (__builtin_mul_overflow(change, unit_us[unit], &us))
        cursor_fail(in);
    return us;
}

/* Makes the slot of the next record the current one; true when it is new. */
static bool read_slot(struct pack_reader *reader, enum whose whose)
{
    struct pack_state *state = &reader->state;
    uint64_t n = whose == WHOSE_SLOT   ? read_varint(&reader->in)
                 : whose == WHOSE_NEXT ? UINT64_C(1) + state->slots[state->slot].next
                                       : UINT64_C(1) + state->slot;

    if (n > state->used || (unsigned)whose > WHOSE_SLOT) {
        cursor_fail(&reader->in);
        return false;
    }
    enter_slot(state, n ? (unsigned)n - 1 : take_slot(state, read_text(&reader->in, TELEMETRY_NAME_MAX)));
    return n == 0;
}

static void read_other(struct cursor *in, struct telemetry_record *record)
{
    uint8_t kind = cursor_u8(in);
    uint64_t size;

    record->kind = (enum telemetry_kind)kind;
    if (kind == TELEMETRY_NONE)
        return;
    size = read_varint(in);
    if ((kind != TELEMETRY_STRING && kind != TELEMETRY_DATA) || size > TELEMETRY_VALUE_MAX) {
        cursor_fail(in);
        return;
    }
    record->size = (size_t)size;
    record->bytes = cursor_take(in, record->size);
}

static void read_value(struct cursor *in, enum coding coding, struct pack_slot *slot, struct telemetry_record *record)
{
    switch ((int)coding) {
    case CODING_FALSE:
    case CODING_TRUE:
        record->kind = TELEMETRY_BOOLEAN;
        record->boolean = coding == CODING_TRUE;
        break;
    case CODING_OTHER:
        read_other(in, record);
        break;
    default:
        read_number(in, coding, &slot->number);
        record->kind = TELEMETRY_NUMBER;
        record->number = slot->number.value;
    }
}

static void read_attributes(struct cursor *in, struct pack_slot *slot)
{
    uint8_t attributes = cursor_u8(in);

    slot->flags = attributes & (FLAGS_MASK | FLAG_SUM);
    if (attributes & ATTRIBUTE_UNIT)
        slot->unit = read_text(in, TELEMETRY_UNIT_MAX);
}

void pack_reader_init(struct pack_reader *reader, const void *data, size_t size)
{
    memset(&reader->state, 0, sizeof reader->state);
    reader->in = cursor_init(data, size);
}

int pack_read(struct pack_reader *reader, struct telemetry_record *record)
{
    struct cursor *in = &reader->in;
    struct pack_slot *slot;
    uint8_t header;
    int64_t step;
    bool is_new;

    if (!cursor_failed(in) && cursor_left(in) == 0)
        return 0;
    header = cursor_u8(in);
    is_new = read_slot(reader, (enum whose)(header >> HEADER_WHOSE_SHIFT));
    slot = &reader->state.slots[reader->state.slot];
    if (header & HEADER_ATTRIBUTES)
        read_attributes(in, slot);
    step = plus(slot->step, header & HEADER_TIME ? read_time(in) : 0);
    slot->time = plus(slot->time, step);
    slot->step = is_new ? 0 : step;
    *record = (struct telemetry_record){.name = slot->name,
                                        .unit = slot->unit,
                                        .time_us = slot->time,
                                        .flags = slot->flags & FLAGS_MASK,
                                        .has_sum = slot->flags & FLAG_SUM};
    read_value(in, (enum coding)(header & CODING_MASK), slot, record);
    if (record->has_sum)
        read_number(in, (enum coding)cursor_u8(in), &slot->sum);
    record->sum = record->has_sum ? slot->sum.value : 0;
    return cursor_failed(in) ? -EBADMSG : 1;
}
