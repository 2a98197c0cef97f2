#include "cli/gateway.h"
#include "cli/top.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MOST 1000

const char *const top_presence_names[5] = {"online", "asleep", "late", "offline", "unknown"};
const char *const top_rate_names[TOP_RATE_COUNT] = {"exchanges", "failures", "telemetry", "http", "commits"};

static const char *const counters[TOP_RATE_COUNT] = {
    [TOP_EXCHANGES] = "tcgw_device_calls_total",      [TOP_FAILURES] = "tcgw_device_calls_failed_total",
    [TOP_TELEMETRY] = "tcgw_telemetry_records_total", [TOP_HTTP] = "tcgw_http_answers_total",
    [TOP_COMMITS] = "tcgw_store_commits_total",
};

static const struct {
    const struct view *view;
    const char *paths[2]; /* whose items come one behind the other */
} pages[TOP_PAGE_COUNT] = {
    [TOP_DEVICES] = {&view_device, {"/v1/devices"}},
    [TOP_OPERATIONS] = {&view_operation, {"/v1/operations?state=running", "/v1/operations?state=queued"}},
    [TOP_TRANSFERS] = {&view_transfer, {"/v1/transfers"}},
};

const struct view *top_view(enum top_page page)
{
    return pages[page].view;
}

/* Reading ---------------------------------------------------------------------------------------------------------- */

static bool ask(struct top_data *data, struct cli *cli, const char *path, struct client_reply *reply)
{
    const struct client_request request = {.method = "GET", .path = path, .accept = "*/*"};
    int error = gateway_try(cli, &request, reply);

    if (error)
        (void)snprintf(data->trouble, sizeof data->trouble, "the gateway does not answer: %s",
                       cli->client ? client_reason(cli->client) : "out of memory");
    else if (reply->status != 200)
        (void)snprintf(data->trouble, sizeof data->trouble, "%s: %s (HTTP %ld)", path,
                       view_string(reply->json, "title"), reply->status);
    return !error && reply->status == 200;
}

static bool read_page(struct top_data *data, struct cli *cli, enum top_page page)
{
    cleanup_json json_t *items = json_array();

    for (size_t i = 0; i < array_size(pages[page].paths) && pages[page].paths[i]; i++) {
        cleanup_reply struct client_reply reply = {0};
        cleanup_free char *path = strdup(pages[page].paths[i]);
        char limit[16];

        (void)snprintf(limit, sizeof limit, "%d", ROWS_MOST);
        client_add_query(&path, "limit", limit);
        if (!ask(data, cli, path, &reply))
            return false;
        (void)json_array_extend(items, json_object_get(reply.json, "items"));
    }
    json_decref(data->items[page]);
    data->items[page] = json_incref(items);
    return true;
}

double top_metric(const char *text, const char *name)
{
    size_t n = strlen(name);
    double sum = 0;

    for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
        const char *at = text + n;

        if (strncmp(text, name, n) != 0 || (*at != ' ' && *at != '{'))
            continue;
        at += strcspn(at, " \n"); /* labels of these metrics have no blanks */
        sum += strtod(at, NULL);
    }
    return sum;
}

static void count_rates(struct top_data *data, const char *text, int64_t now)
{
    double seconds = data->read_ms ? (double)(now - data->read_ms) / 1000 : 0;

    for (size_t i = 0; i < TOP_RATE_COUNT; i++) {
        double count = top_metric(text, counters[i]), before = data->counts[i];

        data->counts[i] = count;
        data->rates[i] = seconds > 0 && count >= before ? (count - before) / seconds : -1; /* it may have restarted */
    }
    data->waiting = top_metric(text, "tcgw_store_pending_batches");
    for (size_t i = 0; i < array_size(top_presence_names); i++) {
        char name[64];

        (void)snprintf(name, sizeof name, "tcgw_devices_by_presence{state=\"%s\"}", top_presence_names[i]);
        data->presence[i] = (unsigned)top_metric(text, name);
    }
    data->read_ms = now;
}

void top_read(struct top_data *data, struct cli *cli)
{
    cleanup_reply struct client_reply info = {0}, metrics = {0};

    data->trouble[0] = 0;
    if (!ask(data, cli, "/v1/info", &info) || !ask(data, cli, "/metrics", &metrics))
        return;
    json_decref(data->info);
    data->info = json_incref(info.json);
    count_rates(data, buffer_text(&metrics.body), clock_monotonic_ms(cli->clock));
    for (unsigned page = 0; page < TOP_PAGE_COUNT; page++)
        if (!read_page(data, cli, page))
            return;
}

void top_clear(struct top_data *data)
{
    json_decref(data->info);
    for (size_t i = 0; i < TOP_PAGE_COUNT; i++)
        json_decref(data->items[i]);
    *data = (struct top_data){0};
}

/* Sorting ---------------------------------------------------------------------------------------------------------- */

size_t top_column_count(enum top_page page)
{
    size_t count = 0;

    for (size_t i = 0; i < pages[page].view->field_count; i++)
        count += pages[page].view->fields[i].column;
    return count;
}

const struct field *top_column(enum top_page page, size_t column)
{
    const struct view *view = pages[page].view;

    for (size_t i = 0; i < view->field_count; i++)
        if (view->fields[i].column && column-- == 0)
            return &view->fields[i];
    return NULL;
}

struct key {
    json_t *row;
    const json_t *value;
    size_t place; /* so that equal rows keep their order */
};

/* What is missing comes last; RFC 3339 sorts as text. */
static int compare(const struct key *a, const struct key *b)
{
    double x = json_number_value(a->value), y = json_number_value(b->value);

    if (json_is_number(a->value) && json_is_number(b->value))
        return (x > y) - (x < y);
    if (json_is_string(a->value) && json_is_string(b->value))
        return strcmp(json_string_value(a->value), json_string_value(b->value));
    return (a->value == NULL || json_is_null(a->value)) - (b->value == NULL || json_is_null(b->value));
}

static int compare_up(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int order = compare(x, y);

    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static int compare_down(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int order = compare(y, x);

    return order ? order : (x->place > y->place) - (x->place < y->place);
}

void top_sort(struct top_data *data, enum top_page page, size_t column, bool descending)
{
    size_t count = json_array_size(data->items[page]);
    cleanup_free struct key *keys = calloc(count + 1, sizeof *keys);
    const struct field *field = top_column(page, column);
    json_t *sorted = json_array();

    for (size_t i = 0; keys && field && i < count; i++) {
        json_t *row = json_array_get(data->items[page], i);

        keys[i] = (struct key){row, view_at(row, field->path), i};
    }
    if (!keys || !field || !sorted) {
        json_decref(sorted);
        return;
    }
    qsort(keys, count, sizeof *keys, descending ? compare_down : compare_up);
    for (size_t i = 0; i < count; i++)
        (void)json_array_append(sorted, keys[i].row);
    json_decref(data->items[page]);
    data->items[page] = sorted;
}

json_t *top_json(const struct top_data *data)
{
    json_t *rates = json_object();

    for (size_t i = 0; i < TOP_RATE_COUNT; i++)
        (void)json_object_set_new(rates, top_rate_names[i],
                                  data->rates[i] < 0 ? json_null() : json_real(data->rates[i]));
    return json_pack("{s:O?, s:o, s:O?, s:O?, s:O?}", "info", data->info, "rates", rates, "devices",
                     data->items[TOP_DEVICES], "operations", data->items[TOP_OPERATIONS], "transfers",
                     data->items[TOP_TRANSFERS]);
}
