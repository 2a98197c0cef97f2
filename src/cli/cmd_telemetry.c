#include "base/text.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/wait.h"

#include <string.h>

#define DEFAULT_LIMIT 100
#define SPARKS 48 /* buckets of a sparkline */
#define MINUTE_MS 60000

static const struct field record_fields[] = {
    {"Time", "time", FIELD_TEXT, true},   {"Device", "device", FIELD_TEXT, true}, {"Name", "name", FIELD_TEXT, true},
    {"Value", "shown", FIELD_TEXT, true}, {"Unit", "unit", FIELD_TEXT, true},     {"Marks", "marks", FIELD_TEXT, true},
};

static const struct field bucket_fields[] = {
    {"Time", "time", FIELD_TEXT, true},   {"Device", "device", FIELD_TEXT, true}, {"Name", "name", FIELD_TEXT, true},
    {"Count", "count", FIELD_TEXT, true}, {"Min", "min", FIELD_TEXT, true},       {"Mean", "mean", FIELD_TEXT, true},
    {"Max", "max", FIELD_TEXT, true},     {"Last", "shown", FIELD_TEXT, true},    {"Unit", "unit", FIELD_TEXT, true},
};

static const struct field series_fields[] = {
    {"Device", "device", FIELD_TEXT, true},    {"Name", "name", FIELD_TEXT, true},
    {"Last", "shown", FIELD_TEXT, true},       {"Unit", "unit", FIELD_TEXT, true},
    {"At", "time", FIELD_TEXT, true},          {"Records", "count", FIELD_TEXT, true},
    {"Oldest", "oldest_at", FIELD_TEXT, true},
};

static const struct field storage_fields[] = {
    {"Telemetry", "telemetry", FIELD_TEXT, false},
    {"Oldest record", "oldest", FIELD_TEXT, false},
    {"Journal", "journal", FIELD_TEXT, false},
    {"Database", "database", FIELD_TEXT, false},
    {"Disk", "disk", FIELD_TEXT, false},
    {"Rate, last hour", "last_hour", FIELD_TEXT, false},
    {"Rate, last day", "last_day", FIELD_TEXT, false},
    {"Offline buffer", "buffer", FIELD_TEXT, false},
    {"Sinks", "sinks", FIELD_TEXT, false},
};

#define VIEW(noun, nouns, id, none, fields)                                                                            \
    {                                                                                                                  \
        noun, nouns, id, none, fields, array_size(fields)                                                              \
    }
#define NONE "Nothing was recorded, or not in this range."

static const struct view view_record = VIEW("record", "records", "name", NONE, record_fields);
static const struct view view_bucket = VIEW("bucket", "buckets", "name", NONE, bucket_fields);
static const struct view view_series = VIEW("series", "series", "name", NONE, series_fields);
static const struct view view_storage = VIEW("storage", "storage", "", "", storage_fields);

/* Paths ------------------------------------------------------------------------------------------------------------ */

static char *path_of(const struct arguments *args, const char *what)
{
    static const char *const parameters[] = {"name", "from", "to", "aggregate", "bucket"};
    cleanup_free char *all = wait_sentence("/v1/%s", what);
    char *path = NULL;

    if (args->words[0]) {
        cleanup_free char *device = client_path("/v1/devices/%s", args->words[0]);

        path = wait_sentence("%s/%s", device ? device : "", what);
    } else {
        path = steal_pointer(all);
    }
    for (size_t i = 0; path && i < array_size(parameters); i++)
        if (arguments_value(args, parameters[i]))
            client_add_query(&path, parameters[i], arguments_value(args, parameters[i]));
    if (path && arguments_given(args, "newest"))
        client_add_query(&path, "order", "desc");
    return path;
}

/* Tables ----------------------------------------------------------------------------------------------------------- */

/* A value's text, also of the last one in a bucket. */
static json_t *shown_value(const json_t *item)
{
    const json_t *last = json_object_get(item, "last"), *of = last ? last : item;
    const json_t *value = json_object_get(of, "value");

    if (!value)
        value = json_object_get(of, "value_base64");
    if (json_is_boolean(value)) /* a record's, as the tail shows it; yes and no are for what is configured */
        return json_string(json_is_true(value) ? "true" : "false");
    return value ? json_incref((json_t *)value) : json_null();
}

static void add_mark(struct buffer *marks, const json_t *item, const char *name)
{
    if (json_is_true(json_object_get(item, name)))
        buffer_printf(marks, "%s%s", marks->size ? " " : "", name);
}

/* Adds what people see to the items. */
static void prepare(struct cli *cli, json_t *list)
{
    json_t *item;
    size_t i;

    if (cli->style != CLI_STYLE_TEXT)
        return;
    json_array_foreach(json_object_get(list, "items"), i, item)
    {
        cleanup_buffer struct buffer marks = {0};

        add_mark(&marks, item, "assigned");
        add_mark(&marks, item, "suspect");
        add_mark(&marks, item, "downsampled");
        (void)json_object_set_new(item, "shown", shown_value(item));
        (void)json_object_set_new(item, "marks", json_string(buffer_text(&marks)));
    }
}

static int show_list(struct cli *cli, const struct arguments *args, const char *what, const struct view *view)
{
    cleanup_json json_t *list = NULL;
    int64_t limit = DEFAULT_LIMIT;
    int rc = arguments_integer(cli, args, "limit", 1, 10000000, &limit);

    if (!rc)
        rc = gateway_list(cli, path_of(args, what), limit, &list);
    if (rc)
        return rc;
    prepare(cli, list);
    cli->writer->list(cli->writer, view, list);
    return CLI_OK;
}

/* CSV -------------------------------------------------------------------------------------------------------------- */

/* A page without its header line, unless it is the first one. */
static void put_page(struct cli *cli, const struct buffer *body, bool first)
{
    const char *text = buffer_text(body), *rest = first ? text : strchr(text, '\n');

    if (!first)
        rest = rest ? rest + 1 : text + body->size;
    (void)fwrite(rest, 1, body->size - (size_t)(rest - text), cli->out);
}

static int get_csv(struct cli *cli, const char *path, const char *cursor, char next[CLIENT_NEXT_SIZE])
{
    cleanup_free char *url = strdup(path);
    cleanup_reply struct client_reply reply = {0};
    struct client_request request = {.method = "GET", .accept = "text/csv, application/problem+json;q=0.5"};
    int error;

    client_add_query(&url, "limit", "1000");
    if (*cursor)
        client_add_query(&url, "cursor", cursor);
    request.path = url;
    error = gateway_try(cli, &request, &reply);
    if (error)
        return gateway_explain(cli, error);
    if (reply.status != 200)
        return gateway_refusal(cli, &reply);
    put_page(cli, &reply.body, !*cursor);
    (void)text_copy(next, CLIENT_NEXT_SIZE, reply.next);
    return CLI_OK;
}

static int write_csv(struct cli *cli, const struct arguments *args)
{
    cleanup_free char *path = path_of(args, "telemetry");
    char cursor[CLIENT_NEXT_SIZE] = "", next[CLIENT_NEXT_SIZE];
    int rc;

    do {
        rc = path ? get_csv(cli, path, cursor, next) : CLI_FAILED;
        (void)text_copy(cursor, sizeof cursor, next);
    } while (!rc && *cursor && !cli_interrupted);
    return cli_interrupted ? CLI_INTERRUPTED : rc;
}

int telemetry_list(struct cli *cli, const struct arguments *args)
{
    bool buckets = arguments_given(args, "aggregate") || arguments_given(args, "bucket");

    if (arguments_given(args, "csv"))
        return write_csv(cli, args);
    return show_list(cli, args, "telemetry", buckets ? &view_bucket : &view_record);
}

int telemetry_series(struct cli *cli, const struct arguments *args)
{
    return show_list(cli, args, "series", &view_series);
}

/* One series ------------------------------------------------------------------------------------------------------- */

struct range {
    double min, max, sum;
    json_int_t count; /* values */
    size_t numbers;   /* buckets with numbers */
};

static struct range range_of(const json_t *items)
{
    struct range range = {.count = 0};
    json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        json_int_t count = json_integer_value(json_object_get(item, "count"));
        const json_t *min = json_object_get(item, "min"), *max = json_object_get(item, "max");

        range.count += count;
        if (!json_is_number(min) || !json_is_number(max))
            continue;
        range.min = range.numbers && range.min < json_number_value(min) ? range.min : json_number_value(min);
        range.max = range.numbers && range.max > json_number_value(max) ? range.max : json_number_value(max);
        range.sum += json_number_value(json_object_get(item, "mean")) * (double)count;
        range.numbers++;
    }
    return range;
}

/* Buckets without values are blanks: they stand apart by their times. */
static void put_sparks(struct cli *cli, const json_t *items, const struct range *range, int64_t bucket_ms)
{
    static const char *const sparks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const size_t steps = array_size(sparks);
    double width = range->max - range->min;
    int64_t before = 0, at;
    json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const json_t *mean = json_object_get(item, "mean");
        double part = json_is_number(mean) && width > 0 ? (json_number_value(mean) - range->min) / width : 0;

        if (!clock_parse_rfc3339(view_string(item, "time"), &at))
            continue;
        at /= 1000;
        for (int64_t blank = before ? (at - before) / bucket_ms - 1 : 0; blank > 0 && blank < 1000; blank--)
            (void)fputc(' ', cli->out);
        (void)fputs(json_is_number(mean) ? sparks[part < 1 ? (size_t)(part * (double)steps) : steps - 1] : "?",
                    cli->out);
        before = at;
    }
    (void)fputc('\n', cli->out);
}

static void show_series(struct cli *cli, const struct arguments *args, const json_t *list, int64_t bucket_ms)
{
    const json_t *items = json_object_get(list, "items");
    size_t n = json_array_size(items);
    const json_t *last = json_array_get(items, n - 1);
    struct range range = range_of(items);
    cleanup_json json_t *value = shown_value(last);
    cleanup_free char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
    const char *unit = view_string(last, "unit");

    (void)fprintf(cli->out, "%s of %s: ", args->words[1], args->words[0]);
    display_put(cli->out, text ? text : "", text ? strlen(text) : 0, false);
    (void)fprintf(cli->out, "%s%s at %s\n", *unit ? " " : "", unit, view_string(last, "last.time"));
    if (range.numbers) {
        (void)fprintf(cli->out, "min %.10g, mean %.10g, max %.10g of %lld values\n", range.min,
                      range.sum / (double)range.count, range.max, (long long)range.count);
        put_sparks(cli, items, &range, bucket_ms);
    }
    (void)fprintf(cli->out, "%s to %s\n", view_string(json_array_get(items, 0), "time"), view_string(last, "time"));
}

/* Buckets that give about one line, of a range that is told as a duration before now. */
static int64_t bucket_of(const char *from)
{
    static const int64_t nice[] = {1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 10080};
    char *end;
    double number = strtod(*from == '-' ? from + 1 : from, &end);
    double minutes = *end == 's'   ? number / 60
                     : *end == 'h' ? number * 60
                     : *end == 'd' ? number * 1440
                     : *end == 'w' ? number * 10080
                                   : number;
    size_t i = 0;

    if (*from != '-')
        return 60 * (int64_t)MINUTE_MS;
    while (i < array_size(nice) - 1 && (double)nice[i] * SPARKS < minutes)
        i++;
    return nice[i] * MINUTE_MS;
}

int telemetry_show(struct cli *cli, const struct arguments *args)
{
    const char *from = arguments_value(args, "from");
    int64_t bucket_ms = arguments_duration(args, "bucket", bucket_of(from ? from : "-24h"));
    char *path = path_of(args, "telemetry"), bucket[32];
    cleanup_json json_t *list = NULL;
    int rc;

    (void)snprintf(bucket, sizeof bucket, "%llds", (long long)(bucket_ms / 1000));
    client_add_query(&path, "name", args->words[1]);
    if (!from)
        client_add_query(&path, "from", "-24h");
    if (!arguments_given(args, "bucket"))
        client_add_query(&path, "bucket", bucket);
    rc = gateway_list(cli, path, 10000, &list);
    if (rc)
        return rc;
    if (cli->style != CLI_STYLE_TEXT || json_array_size(json_object_get(list, "items")) == 0)
        cli->writer->list(cli->writer, &view_bucket, list);
    else
        show_series(cli, args, list, bucket_ms > 0 ? bucket_ms : 1000);
    return CLI_OK;
}

/* Storage ---------------------------------------------------------------------------------------------------------- */

static double number_at(const json_t *object, const char *path)
{
    return json_number_value(view_at(object, path));
}

static const char *bytes_at(const json_t *object, const char *path, char out[DISPLAY_SIZE])
{
    return display_bytes((uint64_t)number_at(object, path), out);
}

static void set_text(json_t *to, const char *name, char *text)
{
    (void)json_object_set_new(to, name, json_string(text ? text : ""));
    free(text);
}

static char *rate_text(const json_t *storage, const char *window)
{
    const json_t *rate = json_object_get(json_object_get(storage, "buffer"), window);
    char bytes[DISPLAY_SIZE], measured[DISPLAY_SIZE];

    if (number_at(rate, "measured_s") == 0)
        return strdup("not known yet");
    return wait_sentence("%.0f records, %.0f entries, %s per hour (measured over %s)",
                         number_at(rate, "records_per_hour"), number_at(rate, "entries_per_hour"),
                         bytes_at(rate, "bytes_per_hour", bytes),
                         display_duration((int64_t)number_at(rate, "measured_s") * 1000, measured));
}

static char *hours_text(const json_t *storage, const char *window)
{
    const json_t *rate = json_object_get(json_object_get(storage, "buffer"), window);
    const json_t *hours = json_object_get(rate, "hours");

    if (number_at(rate, "measured_s") == 0)
        return strdup("not known yet");
    return json_is_number(hours) ? wait_sentence("%.1f hours", json_number_value(hours)) : strdup("for ever");
}

static char *buffer_text_of(const json_t *storage)
{
    cleanup_free char *hour = hours_text(storage, "last_hour");
    cleanup_free char *day = hours_text(storage, "last_day");
    char bytes[DISPLAY_SIZE];

    return wait_sentence("%s at the rate of the last hour, %s at that of the last day (%s, limited by %s)",
                         hour ? hour : "", day ? day : "", bytes_at(storage, "buffer.capacity", bytes),
                         view_string(storage, "buffer.limited_by"));
}

static char *sinks_text(const json_t *storage)
{
    cleanup_buffer struct buffer text = {0};
    json_t *cursor;
    size_t i, size;

    json_array_foreach(view_at(storage, "journal.cursors"), i, cursor)
    {
        const char *name = view_string(cursor, "name");

        buffer_printf(&text, "%s%s is %.0f behind", i ? "; " : "", strncmp(name, "sink.", 5) == 0 ? name + 5 : name,
                      number_at(cursor, "behind"));
    }
    if (!text.size)
        buffer_append_text(&text, "none");
    return (char *)buffer_steal(&text, &size);
}

/* The same in sentences. */
static json_t *describe_storage(const json_t *s)
{
    json_t *text = json_object();
    char a[DISPLAY_SIZE], b[DISPLAY_SIZE];

    set_text(text, "telemetry",
             wait_sentence("%.0f records and %.0f downsampled in %.0f series, %s (%.1f bytes each), at most %s; "
                           "%.0f messages are still in the journal only",
                           number_at(s, "telemetry.records"), number_at(s, "telemetry.downsampled"),
                           number_at(s, "telemetry.series"), bytes_at(s, "telemetry.bytes", a),
                           number_at(s, "telemetry.bytes_per_record"), bytes_at(s, "telemetry.max_size", b),
                           number_at(s, "telemetry.unsealed_messages")));
    (void)json_object_set(text, "oldest", json_object_get(json_object_get(s, "telemetry"), "oldest_at"));
    set_text(text, "journal",
             wait_sentence("%.0f entries, %s (%.1f bytes each), at most %s", number_at(s, "journal.entries"),
                           bytes_at(s, "journal.bytes", a), number_at(s, "journal.bytes_per_entry"),
                           bytes_at(s, "journal.max_size", b)));
    set_text(text, "database", strdup(bytes_at(s, "database.bytes", a)));
    set_text(text, "disk", wait_sentence("%s free of %s", bytes_at(s, "disk.free", a), bytes_at(s, "disk.size", b)));
    set_text(text, "last_hour", rate_text(s, "last_hour"));
    set_text(text, "last_day", rate_text(s, "last_day"));
    set_text(text, "buffer", buffer_text_of(s));
    set_text(text, "sinks", sinks_text(s));
    return text;
}

int telemetry_storage(struct cli *cli, const struct arguments *args)
{
    cleanup_json json_t *storage = NULL, *text = NULL;
    int rc = gateway_get(cli, client_path("/v1/storage"), &storage);

    (void)args;
    if (rc)
        return rc;
    if (cli->style == CLI_STYLE_TEXT)
        text = describe_storage(storage);
    cli->writer->object(cli->writer, &view_storage, text ? text : storage);
    return CLI_OK;
}
