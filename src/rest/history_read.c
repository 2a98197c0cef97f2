#include "base/clock.h"
#include "rest/history.h"

#include <string.h>

#define DURATION_MAX_MS (INT64_C(36525) * 86400 * 1000)
#define BUCKET_MIN_MS 1000
#define VERSION "1" /* of the cursor */

/* Times ------------------------------------------------------------------------------------------------------------ */

static int64_t take_unit(const char **at)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};

    for (size_t i = 0; i < array_size(units); i++) {
        size_t n = strlen(units[i].name);

        if (strncmp(*at, units[i].name, n) == 0) {
            *at += n;
            return units[i].ms;
        }
    }
    return 0;
}

bool history_parse_duration(const char *text, int64_t *ms)
{
    *ms = 0;
    do {
        size_t n = strspn(text, "0123456789");
        int64_t value, unit;
        char digits[16];

        if (n == 0 || n >= sizeof digits)
            return false;
        memcpy(digits, text, n);
        digits[n] = 0;
        text += n;
        unit = take_unit(&text);
        if (!unit || !text_parse_int(digits, 0, DURATION_MAX_MS / unit, &value))
            return false;
        *ms += value * unit;
        if (*ms > DURATION_MAX_MS)
            return false;
    } while (*text);
    return true;
}

/* The plus of an offset has become a space where nobody encoded it. */
static bool parse_with_offset(const char *text, int64_t *us)
{
    char copy[64];
    size_t n = strlen(text);

    if (n >= sizeof copy)
        return false;
    memcpy(copy, text, n + 1);
    if (n > 6 && copy[n - 6] == ' ')
        copy[n - 6] = '+';
    return clock_parse_rfc3339(copy, us);
}

bool history_parse_time(const char *text, int64_t now_us, int64_t *us)
{
    bool past = *text == '-';
    int64_t ms;

    if (strcmp(text, "now") == 0) {
        *us = now_us;
        return true;
    }
    if (!past && *text != '+' && *text != ' ')
        return parse_with_offset(text, us);
    if (!history_parse_duration(text + 1, &ms))
        return false;
    *us = past ? now_us - ms * 1000 : now_us + ms * 1000;
    return true;
}

static int read_time(const struct http_request *req, const char *name, int64_t otherwise, int64_t *us,
                     struct fault *fault)
{
    const char *text = http_parameter(req, name);

    *us = otherwise;
    if (!text || history_parse_time(text, clock_wall_ms(clock_system()) * 1000, us))
        return 0;
    return fault_set(fault, FAULT_INVALID_PARAMETER,
                     "The query parameter %s is no time such as 2026-01-31T12:00:00Z, now or -1h", name);
}

static int read_range(const struct http_request *req, struct history_query *query, struct fault *fault)
{
    if (read_time(req, "from", INT64_MIN, &query->from, fault) || read_time(req, "to", INT64_MAX, &query->to, fault))
        return 1;
    if (query->from < query->to)
        return 0;
    return fault_set(fault, FAULT_INVALID_PARAMETER, "The range is empty: from is not before to");
}

/* Cursor ----------------------------------------------------------------------------------------------------------- */

char *history_format_cursor(const struct history_point *point, char *out)
{
    char text[CORE_ID_MAX + TELEMETRY_NAME_MAX + 32];
    int n = snprintf(text, sizeof text, VERSION " %s %s %lld", point->device, point->record.name,
                     (long long)point->record.time_us);

    return text_hex(text, (size_t)n < sizeof text ? (size_t)n : 0, out);
}

/* The next word; "" at the end. */
static const char *take_word(char **at)
{
    char *word = *at;

    *at += strcspn(*at, " ");
    if (**at)
        *(*at)++ = 0;
    return word;
}

bool history_parse_cursor(const char *text, struct history_question *out)
{
    char plain[HISTORY_CURSOR_SIZE / 2 + 1], *at = plain;
    size_t n = strlen(text) / 2;
    const char *device, *name;

    if (n >= sizeof plain || !text_unhex(text, plain, n))
        return false;
    plain[n] = 0;
    if (strlen(plain) != n || strcmp(take_word(&at), VERSION) != 0)
        return false;
    device = take_word(&at);
    name = take_word(&at);
    if (!text_is_name(device, CORE_ID_MAX) || !*name || !text_copy(out->name, sizeof out->name, name) ||
        !text_parse_int(at, INT64_MIN, INT64_MAX, &out->query.after_time))
        return false;
    (void)text_copy(out->device, sizeof out->device, device);
    out->query.after_device = out->device;
    out->query.after_name = out->name;
    return true;
}

static int read_page(const struct http_request *req, struct history_question *out, struct fault *fault)
{
    const char *limit = http_parameter(req, "limit"), *cursor = http_parameter(req, "cursor");
    int64_t number = HISTORY_LIMIT_DEFAULT;

    if (limit && !text_parse_int(limit, 1, HISTORY_LIMIT_MAX, &number))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter limit is not a number from 1 to %d",
                         HISTORY_LIMIT_MAX);
    if (cursor && !history_parse_cursor(cursor, out))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter cursor is not one that a page has given");
    out->query.limit = (uint32_t)number;
    return 0;
}

/* What is asked for ------------------------------------------------------------------------------------------------ */

static int read_name(const struct http_request *req, struct history_query *query, struct fault *fault)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:./_";
    const char *name = http_parameter(req, "name");
    size_t n = name ? strspn(name, allowed) : 0;

    query->name = name;
    if (!name || (n > 0 && n <= TELEMETRY_NAME_MAX && !name[n]) ||
        (n <= TELEMETRY_NAME_MAX && strcmp(name + n, "*") == 0))
        return 0;
    return fault_set(fault, FAULT_INVALID_PARAMETER,
                     "The query parameter name is no name of a series, and no beginning of one with a * behind it");
}

static int read_order(const struct http_request *req, struct history_query *query, struct fault *fault)
{
    const char *order = http_parameter(req, "order");

    if (order && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter order is neither asc nor desc");
    query->newest_first = order && *order == 'd';
    if (query->newest_first && query->aggregate == HISTORY_BUCKETS)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "Buckets come in ascending order only");
    return 0;
}

static unsigned column_of(const char *name, size_t n)
{
    static const char *const names[] = {"count", "min", "max", "mean", "last"};

    for (unsigned i = 0; i < array_size(names); i++)
        if (strlen(names[i]) == n && strncmp(names[i], name, n) == 0)
            return 1u << i;
    return 0;
}

/* "min,max": 0 when a word is none. */
static unsigned read_columns(const char *text)
{
    unsigned columns = 0;

    for (;; text++) {
        size_t n = strcspn(text, ",");
        unsigned column = column_of(text, n);

        if (!column)
            return 0;
        columns |= column;
        text += n;
        if (!*text)
            return columns;
    }
}

static int read_aggregate(const struct http_request *req, struct history_question *out, struct fault *fault)
{
    const char *aggregate = http_parameter(req, "aggregate"), *bucket = http_parameter(req, "bucket");
    int64_t ms;

    if (!aggregate && !bucket)
        return 0;
    if (!bucket)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "An aggregate needs the query parameter bucket, such as 5m");
    out->columns = aggregate ? read_columns(aggregate) : ~0u;
    if (!out->columns)
        return fault_set(fault, FAULT_INVALID_PARAMETER,
                         "The query parameter aggregate is no list of min, max, mean, last and count");
    if (!history_parse_duration(bucket, &ms) || ms < BUCKET_MIN_MS)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The query parameter bucket is no time such as 30s, 5m or 1d");
    out->query.aggregate = HISTORY_BUCKETS;
    out->query.bucket_us = ms * 1000;
    return 0;
}

/* Formats ---------------------------------------------------------------------------------------------------------- */

static const char *const media_types[] = {
    [HISTORY_JSON] = HTTP_JSON,
    [HISTORY_CSV] = "text/csv",
    [HISTORY_SENML_JSON] = "application/senml+json",
    [HISTORY_SENML_CBOR] = "application/senml+cbor",
};

const char *history_media_type(enum history_format format)
{
    return format == HISTORY_CSV ? "text/csv; charset=utf-8; header=present" : media_types[format];
}

/* One that is named goes before one that a wildcard allows. */
static int read_format(const struct http_request *req, struct history_question *out, struct fault *fault)
{
    const char *accept = http_header(req, "Accept");
    unsigned format = 0;

    while (format < array_size(media_types) &&
           !(accept && http_has_token(accept, media_types[format]) && http_accepts(accept, media_types[format])))
        format++;
    if (format == array_size(media_types))
        for (format = 0; format < array_size(media_types) && !http_accepts(accept, media_types[format]);)
            format++;
    if (format == array_size(media_types))
        return fault_set(fault, FAULT_NOT_ACCEPTABLE,
                         "Telemetry comes as application/json, text/csv, application/senml+json and "
                         "application/senml+cbor, none of which the Accept header allows");
    out->format = (enum history_format)format;
    if (out->query.aggregate == HISTORY_BUCKETS && out->format >= HISTORY_SENML_JSON)
        return fault_set(fault, FAULT_NOT_ACCEPTABLE, "Buckets come as application/json and text/csv only");
    return 0;
}

int history_read(const struct http_request *req, const char *device, struct history_question *out, struct fault *fault)
{
    *out = (struct history_question){.query = {.device = device}};
    return read_name(req, &out->query, fault) || read_range(req, &out->query, fault) || read_page(req, out, fault) ||
           read_aggregate(req, out, fault) || read_order(req, &out->query, fault) || read_format(req, out, fault);
}
