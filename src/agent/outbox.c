#include "agent/outbox.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RING_FIRST 16
#define REFUSED_MS 5000 /* until the next try, where the gateway does not say when */
#define RETRY_MAX_S 300
#define JOURNAL_RECORDS (512 * 1024)

struct reading {
    int64_t time_us;
    double number;
    char *name;    /* a container's, then its NUL, the bytes and a NUL; NULL: a sensor's */
    uint64_t step; /* of a sensor */
    uint16_t size; /* of the bytes */
    uint8_t kind, sensor;
};

static int64_t now(const struct outbox *o)
{
    return clock_monotonic_ms(o->device->clock);
}

static size_t room(const struct outbox *o)
{
    return o->options->buffer ? o->options->buffer : OUTBOX_BUFFER_DEFAULT;
}

static unsigned per_message(const struct outbox *o)
{
    return o->options->format == OUTBOX_TEXT || !o->options->records ? 1 : o->options->records;
}

void outbox_init(struct outbox *o, unsigned index, unsigned count)
{
    const struct outbox_options *options = o->options;

    o->sample_due_ms = CLIENT_NEVER;
    if (options->samples)
        o->sample_due_ms = now(o) + options->interval_ms * index / (count ? count : 1);
}

/* The buffer ------------------------------------------------------------------------------------------------------- */

static struct reading take_first(struct outbox *o)
{
    struct reading first = o->ring[o->first];

    o->first = (o->first + 1) % o->capacity;
    o->waiting--;
    return first;
}

static bool grow(struct outbox *o)
{
    size_t capacity = o->capacity ? 2 * o->capacity : RING_FIRST;
    struct reading *ring = calloc(capacity, sizeof *ring);
    size_t waiting = o->waiting;

    if (!ring)
        return false;
    for (size_t i = 0; i < waiting; i++)
        ring[i] = take_first(o);
    free(o->ring);
    o->ring = ring;
    o->capacity = capacity;
    o->first = 0;
    o->waiting = waiting;
    return true;
}

static void drop_first(struct outbox *o)
{
    struct reading first = take_first(o);

    free(first.name);
    if (o->counters.dropped++ == 0)
        device_note(o->device, NULL,
                    (struct journal_entry){.event = "telemetry", .outcome = "dropping", .message_id = -1});
}

/* Takes over the reading's name; its time becomes later than that of all before it. */
static bool push(struct outbox *o, struct reading reading)
{
    if (o->waiting >= room(o))
        drop_first(o);
    if (o->waiting == o->capacity && !grow(o)) {
        free(reading.name);
        return false;
    }
    if (reading.time_us <= o->last_time_us)
        reading.time_us = o->last_time_us + 1;
    o->last_time_us = reading.time_us;
    o->ring[(o->first + o->waiting++) % o->capacity] = reading;
    return true;
}

static void end_pack(struct outbox *o)
{
    for (size_t i = 0; i < o->pack_count; i++)
        free(o->pack[i].name);
    free(o->pack);
    o->pack = NULL;
    o->pack_count = 0;
    o->failures = 0;
    buffer_clear(&o->body);
}

void outbox_clear(struct outbox *o)
{
    end_pack(o);
    while (o->waiting) {
        struct reading first = take_first(o);

        free(first.name);
    }
    free(o->ring);
    o->ring = NULL;
    o->capacity = 0;
    o->retry_ms = 0;
}

/* What comes into it ----------------------------------------------------------------------------------------------- */

/* The samples of one interval that ended at this time are spread over it. */
static void sample(struct outbox *o, int64_t end_us, int64_t interval_us)
{
    unsigned count = per_message(o);

    for (unsigned i = 0; i < count; i++, o->sampled++)
        (void)push(o, (struct reading){.time_us = end_us - interval_us * (count - 1 - i) / count,
                                       .sensor = (uint8_t)(o->sampled % SENSOR_COUNT),
                                       .step = o->sampled / SENSOR_COUNT});
}

/* A device that slept has missed some; those that would not fit into the buffer any more are left out. */
static void sample_due(struct outbox *o)
{
    int64_t interval = o->options->interval_ms, wall = clock_wall_ms(o->device->clock), at = now(o), missed;

    if (o->sample_due_ms > at)
        return;
    if (interval == OUTBOX_FULL_SPEED) {
        if (!o->waiting)
            sample(o, wall * 1000, 0);
        return;
    }
    missed = (at - o->sample_due_ms) / interval - (int64_t)(room(o) / per_message(o));
    if (missed > 0)
        o->sample_due_ms += missed * interval;
    for (; o->sample_due_ms <= at; o->sample_due_ms += interval)
        sample(o, (wall - (at - o->sample_due_ms)) * 1000, interval * 1000);
}

void outbox_restart(struct outbox *o)
{
    sample_due(o);
    outbox_clear(o);
}

static bool is_printable(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] < ' ' || data[i] == 0x7f)
            return false;
    return text_is_utf8(data, size);
}

static bool parse_number(const char *text, double *out)
{
    char *end;

    if (strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

static double little_endian(const uint8_t *data, size_t size)
{
    uint64_t value = 0;

    for (size_t i = size; i > 0; i--)
        value = value << 8 | data[i - 1];
    return size == 4 ? (double)(int32_t)(uint32_t)value : (double)(int64_t)value;
}

/* "UID/ENDPOINT" with what RFC 8428 section 4.5.1 allows in a name. */
static size_t write_name(char out[TELEMETRY_NAME_MAX + 1], const char *uid, uint32_t endpoint)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:./_";
    size_t length = (size_t)snprintf(out, TELEMETRY_NAME_MAX + 1, "%s/%u", uid, endpoint);

    for (size_t i = 0; i < length; i++)
        if (!strchr(allowed, out[i]))
            out[i] = '_';
    if (strchr("-:./_", out[0]))
        out[0] = 'x';
    return length;
}

int32_t outbox_write(struct outbox *o, const char *uid, uint32_t endpoint, const uint8_t *data, size_t size)
{
    struct reading reading = {.time_us = clock_wall_ms(o->device->clock) * 1000, .size = (uint16_t)size};
    char name[TELEMETRY_NAME_MAX + 1];
    size_t length = write_name(name, uid, endpoint);
    char *bytes;

    if (size == 0 || size > TELEMETRY_VALUE_MAX)
        return -1;
    reading.name = malloc(length + size + 2);
    if (!reading.name)
        return -1;
    memcpy(reading.name, name, length + 1);
    bytes = reading.name + length + 1;
    memcpy(bytes, data, size);
    bytes[size] = 0;
    reading.kind = TELEMETRY_DATA;
    if (is_printable(data, size))
        reading.kind = parse_number(bytes, &reading.number) ? TELEMETRY_NUMBER : TELEMETRY_STRING;
    else if (size == 4 || size == 8) {
        reading.kind = TELEMETRY_NUMBER;
        reading.number = little_endian(data, size);
    }
    return push(o, reading) ? (int32_t)size : -1;
}

/* What goes out ---------------------------------------------------------------------------------------------------- */

static bool has_times(const struct outbox *o)
{
    return !o->options->no_clock && o->options->format != OUTBOX_TEXT;
}

static struct telemetry_record as_record(const struct outbox *o, const struct reading *reading)
{
    struct telemetry_record record = {.name = reading->name, .unit = "", .kind = reading->kind};

    if (!reading->name) {
        record = sensor_read(reading->sensor, o->device->seed, reading->step);
    } else {
        record.number = reading->number;
        record.bytes = reading->name + strlen(reading->name) + 1;
        record.size = reading->kind == TELEMETRY_NUMBER ? 0 : reading->size;
    }
    record.time_us = has_times(o) ? reading->time_us : 0;
    return record;
}

static const char *name_of(const struct reading *reading)
{
    return reading->name ? reading->name : sensor_name(reading->sensor);
}

/* Without times a second value of one series would replace the first. */
static bool has_name(const struct outbox *o, const char *name)
{
    for (size_t i = 0; i < o->pack_count; i++)
        if (strcmp(name_of(&o->pack[i]), name) == 0)
            return true;
    return false;
}

static bool make_pack(struct outbox *o)
{
    size_t most = o->waiting < per_message(o) ? o->waiting : per_message(o);

    o->pack = most ? calloc(most, sizeof *o->pack) : NULL;
    if (!o->pack)
        return false;
    while (o->pack_count < most && !(o->options->no_clock && has_name(o, name_of(&o->ring[o->first]))))
        o->pack[o->pack_count++] = take_first(o);
    return true;
}

static bool encode(struct outbox *o)
{
    struct telemetry_record *records = calloc(o->pack_count, sizeof *records);

    if (!records)
        return false;
    for (size_t i = 0; i < o->pack_count; i++)
        records[i] = as_record(o, &o->pack[i]);
    buffer_clear(&o->body);
    outbox_encode(&o->body, o->options->format, records, o->pack_count);
    free(records);
    return !o->body.failed;
}

int64_t outbox_due(const struct outbox *o)
{
    if (o->pack)
        return o->retry_ms;
    return o->waiting ? 0 : o->sample_due_ms;
}

bool outbox_begin(struct outbox *o)
{
    static const uint16_t formats[] = {[OUTBOX_CBOR] = COAPMSG_FORMAT_SENML_CBOR,
                                       [OUTBOX_JSON] = COAPMSG_FORMAT_SENML_JSON,
                                       [OUTBOX_TEXT] = COAPMSG_FORMAT_TEXT};

    sample_due(o);
    if (!o->pack && !make_pack(o))
        return false;
    if (!o->body.size && !encode(o)) {
        end_pack(o);
        return false;
    }
    (void)snprintf(o->path, sizeof o->path, "/t%s%s", o->options->format == OUTBOX_TEXT ? "/" : "",
                   o->options->format == OUTBOX_TEXT ? name_of(&o->pack[0]) : "");
    client_begin(o->client, &(struct client_task){.method = COAPMSG_POST,
                                                  .path = o->path,
                                                  .payload = o->body.data,
                                                  .payload_size = o->body.size,
                                                  .format = formats[o->options->format]});
    return true;
}

/* What became of it ------------------------------------------------------------------------------------------------ */

static void put_journal_record(struct buffer *out, const struct telemetry_record *record)
{
    struct buffer one = buffer_init(0);

    buffer_printf(out, "%s[\"%s\",", out->size > 1 ? "," : "", record->name);
    if (record->time_us)
        buffer_printf(out, "%lld,", (long long)record->time_us);
    else
        buffer_append_text(out, "null,");
    outbox_encode(&one, OUTBOX_TEXT, record, 1);
    if (record->kind == TELEMETRY_STRING || record->kind == TELEMETRY_DATA)
        journal_put_string(out, one.data, one.size);
    else
        buffer_append(out, one.data, one.size);
    buffer_append_u8(out, ']');
    buffer_clear(&one);
}

static void note(const struct outbox *o, const char *outcome, uint8_t code)
{
    cleanup_buffer struct buffer records = buffer_init(JOURNAL_RECORDS);

    if (o->device->journal->fd < 0)
        return;
    buffer_append_u8(&records, '[');
    for (size_t i = 0; i < o->pack_count; i++) {
        struct telemetry_record record = as_record(o, &o->pack[i]);

        put_journal_record(&records, &record);
    }
    buffer_append_u8(&records, ']');
    device_note(o->device, NULL,
                (struct journal_entry){.event = "telemetry",
                                       .outcome = outcome,
                                       .code = code,
                                       .message_id = -1,
                                       .records = buffer_text(&records)});
}

/* Of these codes the same message gets the same answer for ever. */
static bool is_final(uint8_t code)
{
    return code == COAPMSG_BAD_REQUEST || code == COAPMSG_BAD_OPTION || code == COAPMSG_NOT_ACCEPTABLE ||
           code == COAPMSG_TOO_LARGE || code == COAPMSG_UNSUPPORTED_FORMAT || code == COAPMSG_UNPROCESSABLE;
}

static int64_t retry_wait(const struct outbox *o, enum client_outcome outcome)
{
    uint32_t max_age = o->client->max_age;

    if (outcome == CLIENT_NO_ANSWER)
        return 0; /* it waited long enough */
    if (outcome != CLIENT_ANSWERED || !max_age)
        return REFUSED_MS;
    return (int64_t)(max_age < RETRY_MAX_S ? max_age : RETRY_MAX_S) * 1000;
}

void outbox_finished(struct outbox *o, enum client_outcome outcome, uint8_t code)
{
    bool fine = outcome == CLIENT_ANSWERED && COAPMSG_CLASS(code) == 2;

    if (fine) {
        note(o, "acknowledged", code);
        o->counters.messages++;
        o->counters.records += o->pack_count;
        end_pack(o);
    } else if (outcome == CLIENT_ANSWERED && is_final(code)) {
        note(o, "refused", code);
        o->counters.refused += o->pack_count;
        end_pack(o);
    } else {
        if (o->failures++ == 0)
            note(o, "delayed", code);
        o->retry_ms = now(o) + retry_wait(o, outcome);
    }
}
