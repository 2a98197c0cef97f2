#include "cli/display.h"
#include "cli/gateway.h"
#include "cli/handlers.h"
#include "cli/sse.h"
#include "cli/view.h"

#include <string.h>

/* Following the journal: over lost connections and restarts of the gateway, from where it was. */

#define RETRY_MS 1000
#define RECORDS_MAX 4 /* of a message on a line of `events` */

struct follow {
    struct cli *cli;
    struct sse sse;
    const char *name; /* telemetry tail: only records of it; NULL: all */
    bool records;     /* telemetry tail: a line per record */
    int64_t left;     /* events that are still wanted; negative: all */
};

/* Lines ----------------------------------------------------------------------------------------------------------- */

static void put(FILE *out, const char *text)
{
    display_put(out, text, strlen(text), false);
}

static void put_value(FILE *out, const json_t *value)
{
    char *text =
        json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    put(out, text ? text : json_is_string(value) ? json_string_value(value) : "");
    free(text);
}

static void put_record(FILE *out, const json_t *record, const char *separator)
{
    const json_t *value = json_object_get(record, "value"), *data = json_object_get(record, "value_base64");
    const json_t *sum = json_object_get(record, "sum");

    put(out, view_string(record, "name"));
    (void)fputs(separator, out);
    put_value(out, value ? value : data ? data : sum);
    if (*view_string(record, "unit")) {
        (void)fputc(' ', out);
        put(out, view_string(record, "unit"));
    }
}

static bool is_wanted(const struct follow *follow, const json_t *record)
{
    const char *name = view_string(record, "name");
    size_t size = follow->name ? strlen(follow->name) : 0;

    if (!size)
        return true;
    return follow->name[size - 1] == '*' ? strncmp(name, follow->name, size - 1) == 0 : strcmp(name, follow->name) == 0;
}

static void show_records(const struct follow *follow, const json_t *event)
{
    FILE *out = follow->cli->out;
    const json_t *record;
    size_t i;

    json_array_foreach(json_object_get(event, "records"), i, record)
    {
        if (!is_wanted(follow, record))
            continue;
        (void)fprintf(out, "%.32s  %s  ", view_string(record, "time"), view_string(event, "device"));
        put_record(out, record, "  ");
        (void)fputs(json_is_true(json_object_get(record, "suspect")) ? "  (its clock is wrong)\n" : "\n", out);
    }
}

static void show_telemetry(FILE *out, const json_t *records)
{
    const json_t *record;
    size_t i;

    json_array_foreach(records, i, record)
    {
        if (i == RECORDS_MAX) {
            (void)fprintf(out, ", %zu more", json_array_size(records) - i);
            return;
        }
        if (i)
            (void)fputs(", ", out);
        put_record(out, record, "=");
    }
}

static void show_fields(FILE *out, const json_t *event)
{
    static const char shown[] = " seq time kind device event records ";
    const char *key;
    json_t *value;

    (void)fputs(view_string(event, "event"), out);
    json_object_foreach((json_t *)(uintptr_t)event, key, value)
    {
        char word[32];

        (void)snprintf(word, sizeof word, " %.28s ", key);
        if (strstr(shown, word))
            continue;
        (void)fprintf(out, "  %s=", key);
        put_value(out, value);
    }
}

static void show_event(const struct follow *follow, const json_t *event)
{
    FILE *out = follow->cli->out;
    const json_t *records = json_object_get(event, "records");
    const char *device = view_string(event, "device");

    (void)fprintf(out, "%.32s  %-9s  %s  ", view_string(event, "time"), view_string(event, "kind"),
                  *device ? device : "-");
    if (records)
        show_telemetry(out, records);
    else
        show_fields(out, event);
    (void)fputc('\n', out);
}

static void show(const struct follow *follow, const char *text)
{
    cleanup_json json_t *event = NULL;

    if (follow->cli->style == CLI_STYLE_JSON) {
        (void)fprintf(follow->cli->out, "%s\n", text);
        return;
    }
    event = json_loads(text, 0, NULL);
    if (follow->cli->style == CLI_STYLE_IDS)
        (void)fprintf(follow->cli->out, "%lld\n", (long long)json_integer_value(json_object_get(event, "seq")));
    else if (follow->records)
        show_records(follow, event);
    else
        show_event(follow, event);
}

static bool take(void *arg, const char *event, const char *data)
{
    struct follow *follow = arg;

    if (strcmp(event, "end") == 0)
        return true; /* the connection ends by itself */
    if (strcmp(event, "missing") == 0) {
        cleanup_json json_t *object = json_loads(data, 0, NULL);

        (void)fprintf(follow->cli->err, "%lld events are missing here: they were no longer kept.\n",
                      (long long)json_integer_value(json_object_get(object, "count")));
        return true;
    }
    show(follow, data);
    if (fflush(follow->cli->out) != 0)
        return false; /* nobody reads */
    if (follow->left > 0)
        follow->left--;
    return follow->left != 0 && !cli_interrupted;
}

/* Where to begin -------------------------------------------------------------------------------------------------- */

/* The first event behind a number; *time 0: there is none. */
static int look(struct cli *cli, int64_t after, int64_t *seq, int64_t *time, int64_t *last)
{
    char number[24];
    char *path = client_path("/v1/events?limit=1");
    cleanup_json json_t *page = NULL;
    const json_t *item;
    int rc;

    (void)snprintf(number, sizeof number, "%lld", (long long)after);
    client_add_query(&path, "after", number);
    rc = gateway_get(cli, path, &page);
    item = json_array_get(json_object_get(page, "items"), 0);
    *last = json_integer_value(json_object_get(page, "last"));
    *seq = json_integer_value(json_object_get(item, "seq"));
    if (!item || !display_parse_time(view_string(item, "time"), time))
        *time = 0;
    return rc;
}

/* By halves: times grow with the numbers, but for steps of the clock. */
static int find_time(struct cli *cli, int64_t begin, int64_t *after)
{
    int64_t low = 0, high, seq, time;
    int rc = look(cli, INT64_MAX, &seq, &time, &high);

    while (!rc && low < high) {
        int64_t middle = low + (high - low) / 2, last;

        rc = look(cli, middle, &seq, &time, &last);
        if (time == 0 || time >= begin)
            high = middle;
        else
            low = seq;
    }
    *after = low;
    return rc;
}

static int find_begin(struct cli *cli, const struct arguments *args, int64_t *after)
{
    int64_t since = arguments_duration(args, "since", -1), seq, time;
    int rc;

    *after = -1;
    if (since >= 0 && arguments_given(args, "after"))
        return cli_error(cli, CLI_USAGE, NULL, "--since and --after exclude each other");
    if (since >= 0)
        return find_time(cli, clock_wall_ms(cli->clock) - since, after);
    rc = arguments_integer(cli, args, "after", 0, INT64_MAX, after);
    if (rc || *after >= 0)
        return rc;
    return look(cli, INT64_MAX, &seq, &time, after); /* from now on */
}

/* Following ------------------------------------------------------------------------------------------------------- */

static void tell_lost(const struct follow *follow, bool *told)
{
    if (!*told)
        (void)fprintf(follow->cli->err, "The gateway does not answer; waiting for it.\n");
    *told = true;
}

/* Until it is interrupted, or has shown what was asked for; what refuses the first time is an error. */
static int run(struct follow *follow, const char *path)
{
    struct client_request request = {.method = "GET",
                                     .path = path,
                                     .accept = "text/event-stream",
                                     .last_event_id = follow->sse.last_id,
                                     .receive = sse_receive,
                                     .receive_arg = &follow->sse};
    bool told = false;

    for (;;) {
        cleanup_reply struct client_reply reply = {0};
        int error;

        sse_begin(&follow->sse);
        error = gateway_try(follow->cli, &request, &reply);
        if (cli_interrupted || follow->left == 0 || ferror(follow->cli->out))
            return CLI_OK;
        if (error == CLIENT_E_UNRESOLVED || error == CLIENT_E_PERMISSION)
            return gateway_explain(follow->cli, error);
        if (!error && reply.status / 100 == 4)
            return gateway_refusal(follow->cli, &reply);
        if (!error && reply.status / 100 == 2)
            told = false; /* it was there until now */
        tell_lost(follow, &told);
        cli_sleep_ms(RETRY_MS);
        if (cli_interrupted)
            return CLI_OK;
    }
}

static void add_option(char **path, const struct arguments *args, const char *name)
{
    if (arguments_value(args, name))
        client_add_query(path, name, arguments_value(args, name));
}

static int follow_journal(struct follow *follow, const struct arguments *args, char **path)
{
    int64_t after;
    int rc = arguments_integer(follow->cli, args, "count", 1, INT32_MAX, &follow->left);

    if (!rc)
        rc = find_begin(follow->cli, args, &after);
    if (rc)
        return cli_interrupted ? CLI_OK : rc;
    (void)snprintf(follow->sse.last_id, sizeof follow->sse.last_id, "%lld", (long long)after);
    follow->sse.take = take;
    follow->sse.arg = follow;
    add_option(path, args, "group");
    add_option(path, args, "name");
    rc = *path ? run(follow, *path) : CLI_FAILED;
    sse_clear(&follow->sse);
    return rc;
}

int events_follow(struct cli *cli, const struct arguments *args)
{
    struct follow follow = {.cli = cli, .left = -1};
    cleanup_free char *path = client_path("/v1/events");

    add_option(&path, args, "kind");
    add_option(&path, args, "device");
    return follow_journal(&follow, args, &path);
}

int telemetry_tail(struct cli *cli, const struct arguments *args)
{
    struct follow follow = {.cli = cli, .left = -1, .records = true, .name = arguments_value(args, "name")};
    cleanup_free char *path = client_path("/v1/events?kind=telemetry");

    if (args->word_count)
        client_add_query(&path, "device", args->words[0]);
    return follow_journal(&follow, args, &path);
}
