#include "base/clock.h"
#include "codec/jsonio.h"
#include "codec/senml.h"
#include "codec/telemetry_text.h"
#include "rest/history.h"

#include <string.h>

/* JSON ------------------------------------------------------------------------------------------------------------- */

static void put_number(struct buffer *out, const char *name, double number)
{
    buffer_printf(out, ",\"%s\":", name);
    jsonio_put_number(out, number);
}

static void put_time(struct buffer *out, const char *name, int64_t us)
{
    char text[RFC3339_US_SIZE];

    buffer_printf(out, "\"%s\":\"%s\"", name, clock_format_rfc3339_us(us, text));
}

static void put_last(struct buffer *out, const struct history_point *point)
{
    buffer_append_text(out, ",\"last\":{");
    put_time(out, "time", point->last_us);
    if (point->record.kind != TELEMETRY_NONE) {
        buffer_append_u8(out, ',');
        telemetry_put_value(out, &point->record);
    }
    buffer_append_u8(out, '}');
}

static void put_columns(struct buffer *out, const struct history_point *point, unsigned columns)
{
    if (columns & HISTORY_COUNT)
        buffer_printf(out, ",\"count\":%llu", (unsigned long long)point->count);
    if (columns & HISTORY_MIN)
        put_number(out, "min", point->min);
    if (columns & HISTORY_MAX)
        put_number(out, "max", point->max);
    if (columns & HISTORY_MEAN)
        put_number(out, "mean", point->mean);
    if (columns & HISTORY_LAST)
        put_last(out, point);
}

static void put_bucket(struct buffer *out, const struct history_point *point, unsigned columns)
{
    const struct telemetry_record *record = &point->record;

    buffer_append_text(out, "\"name\":");
    jsonio_put_string(out, record->name, strlen(record->name));
    if (*record->unit) {
        buffer_append_text(out, ",\"unit\":");
        jsonio_put_string(out, record->unit, strlen(record->unit));
    }
    buffer_append_u8(out, ',');
    put_time(out, "time", record->time_us);
    put_columns(out, point, columns);
}

static void put_point(struct buffer *out, const struct history_point *point)
{
    telemetry_put_json(out, &point->record);
    if (!point->downsampled)
        return;
    buffer_append_text(out, ",\"downsampled\":true");
    put_columns(out, point, HISTORY_COUNT | HISTORY_MIN | HISTORY_MAX | HISTORY_MEAN);
}

/* An id needs no escapes. */
static void begin_item(struct buffer *out, size_t i, const struct history_point *point)
{
    buffer_printf(out, "%s{\"device\":\"%s\",", i ? "," : "", point->device);
}

static void end_page(struct buffer *out, const struct history_page *page)
{
    char cursor[HISTORY_CURSOR_SIZE];

    if (page->more && page->count)
        buffer_printf(out, "],\"next\":\"%s\"}", history_format_cursor(&page->points[page->count - 1], cursor));
    else
        buffer_append_text(out, "],\"next\":null}");
}

static void write_json(struct buffer *out, const struct history_question *question, const struct history_page *page)
{
    buffer_append_text(out, "{\"items\":[");
    for (size_t i = 0; i < page->count; i++) {
        begin_item(out, i, &page->points[i]);
        if (question->query.aggregate == HISTORY_BUCKETS)
            put_bucket(out, &page->points[i], question->columns);
        else
            put_point(out, &page->points[i]);
        buffer_append_u8(out, '}');
    }
    end_page(out, page);
}

void history_write_series(struct buffer *out, const struct history_page *page)
{
    buffer_append_text(out, "{\"items\":[");
    for (size_t i = 0; i < page->count; i++) {
        const struct history_point *point = &page->points[i];

        begin_item(out, i, point);
        telemetry_put_json(out, &point->record);
        buffer_printf(out, ",\"count\":%llu,", (unsigned long long)point->count);
        put_time(out, "oldest_at", (int64_t)point->min);
        buffer_append_u8(out, '}');
    }
    end_page(out, page);
}

/* CSV (RFC 4180) --------------------------------------------------------------------------------------------------- */

static void put_field(struct buffer *out, const char *text)
{
    buffer_append_u8(out, ',');
    telemetry_put_field(out, text, strlen(text));
}

/* Nothing for what is not there. */
static void put_number_field(struct buffer *out, bool there, double number)
{
    buffer_append_u8(out, ',');
    if (there && number - number == 0)
        jsonio_put_number(out, number);
}

static void begin_row(struct buffer *out, const struct history_point *point)
{
    char time[RFC3339_US_SIZE];

    buffer_append_text(out, point->device);
    put_field(out, point->record.name);
    put_field(out, clock_format_rfc3339_us(point->record.time_us, time));
    put_field(out, point->record.unit);
}

static void put_flags(struct buffer *out, const struct history_point *point)
{
    const char *const words[] = {point->record.flags & TELEMETRY_TIME_ASSIGNED ? "assigned" : "",
                                 point->record.flags & TELEMETRY_TIME_SUSPECT ? "suspect" : "",
                                 point->downsampled ? "downsampled" : ""};
    const char *before = ",";

    for (size_t i = 0; i < array_size(words); i++) {
        if (*words[i])
            buffer_printf(out, "%s%s", before, words[i]);
        before = *words[i] ? " " : before;
    }
    if (*before == ',')
        buffer_append_u8(out, ',');
}

static void put_count(struct buffer *out, bool there, uint64_t count)
{
    buffer_append_u8(out, ',');
    if (there)
        buffer_printf(out, "%llu", (unsigned long long)count);
}

static void put_row(struct buffer *out, const struct history_point *point)
{
    begin_row(out, point);
    buffer_append_u8(out, ',');
    telemetry_put_value_field(out, &point->record);
    put_number_field(out, point->record.has_sum, point->record.sum);
    put_flags(out, point);
    put_count(out, point->downsampled, point->count);
    put_number_field(out, point->downsampled, point->min);
    put_number_field(out, point->downsampled, point->max);
    put_number_field(out, point->downsampled, point->mean);
}

static void put_bucket_row(struct buffer *out, const struct history_point *point, unsigned columns)
{
    char time[RFC3339_US_SIZE];

    begin_row(out, point);
    if (columns & HISTORY_COUNT)
        put_count(out, true, point->count);
    if (columns & HISTORY_MIN)
        put_number_field(out, true, point->min);
    if (columns & HISTORY_MAX)
        put_number_field(out, true, point->max);
    if (columns & HISTORY_MEAN)
        put_number_field(out, true, point->mean);
    if (!(columns & HISTORY_LAST))
        return;
    buffer_append_u8(out, ',');
    telemetry_put_value_field(out, &point->record);
    put_field(out, clock_format_rfc3339_us(point->last_us, time));
}

static void write_csv(struct buffer *out, const struct history_question *question, const struct history_page *page)
{
    bool buckets = question->query.aggregate == HISTORY_BUCKETS;
    unsigned columns = question->columns;

    buffer_append_text(out, "device,name,time,unit");
    if (!buckets)
        buffer_append_text(out, ",value,sum,flags,count,min,max,mean");
    else
        buffer_printf(out, "%s%s%s%s%s", columns & HISTORY_COUNT ? ",count" : "", columns & HISTORY_MIN ? ",min" : "",
                      columns & HISTORY_MAX ? ",max" : "", columns & HISTORY_MEAN ? ",mean" : "",
                      columns & HISTORY_LAST ? ",last,last_at" : "");
    buffer_append_text(out, "\r\n");
    for (size_t i = 0; i < page->count; i++) {
        if (buckets)
            put_bucket_row(out, &page->points[i], columns);
        else
            put_row(out, &page->points[i]);
        buffer_append_text(out, "\r\n");
    }
}

/* SenML (RFC 8428), where the device stands in front of each name -------------------------------------------------- */

static char *full_name(const struct history_point *point)
{
    size_t size = strlen(point->device) + 1 + strlen(point->record.name) + 1;
    char *name = malloc(size);

    if (name)
        (void)snprintf(name, size, "%s/%s", point->device, point->record.name);
    return name;
}

static void write_senml(struct buffer *out, enum senml_format format, const struct history_page *page)
{
    struct telemetry_record *records = calloc(page->count + 1, sizeof *records);
    size_t n = 0;
    char *name;

    out->failed |= !records;
    for (; n < page->count && !out->failed; n++) {
        records[n] = page->points[n].record;
        records[n].name = name = full_name(&page->points[n]);
        out->failed |= !name;
    }
    if (!out->failed)
        senml_encode(out, format, NULL, records, page->count);
    while (records && n > 0)
        free((void *)(uintptr_t)records[--n].name);
    free(records);
}

void history_write(struct buffer *out, const struct history_question *question, const struct history_page *page)
{
    switch (question->format) {
    case HISTORY_JSON:
        write_json(out, question, page);
        break;
    case HISTORY_CSV:
        write_csv(out, question, page);
        break;
    case HISTORY_SENML_JSON:
        write_senml(out, SENML_JSON, page);
        break;
    case HISTORY_SENML_CBOR:
        write_senml(out, SENML_CBOR, page);
        break;
    }
}
