#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/top.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <jansson.h>
#include <string.h>

/* What the live view knows; how it looks is seen under a terminal (tests/integration/test_operate.py). */

#define METRICS                                                                                                        \
    "# HELP tcgw_http_answers_total x\ntcgw_http_answers_total{code=\"2xx\"} "                                         \
    "5\ntcgw_http_answers_total{code=\"4xx\"} "                                                                        \
    "2\ntcgw_http_answers_totals 100\ntcgw_devices_by_presence{state=\"late\"} 3\n"

START_TEST(reads_metrics)
{
    ck_assert_double_eq(top_metric(METRICS, "tcgw_http_answers_total"), 7);
    ck_assert_double_eq(top_metric(METRICS, "tcgw_devices_by_presence{state=\"late\"}"), 3);
    ck_assert_double_eq(top_metric(METRICS, "tcgw"), 0);
    ck_assert_double_eq(top_metric("", "x"), 0);
    ck_assert_double_eq(top_metric("x", "x"), 0);
}
END_TEST

static json_t *row(const char *id, int containers)
{
    return containers < 0 ? json_pack("{s:s, s:n}", "id", id, "containers")
                          : json_pack("{s:s, s:i}", "id", id, "containers", containers);
}

static void order_is(const struct top_data *data, const char *expected)
{
    char found[16] = "";

    for (size_t i = 0; i < json_array_size(data->items[TOP_DEVICES]); i++)
        (void)strcat(found, view_string(json_array_get(data->items[TOP_DEVICES], i), "id"));
    ck_assert_str_eq(found, expected);
}

static size_t column_of(const char *path)
{
    for (size_t i = 0; i < top_column_count(TOP_DEVICES); i++)
        if (strcmp(top_column(TOP_DEVICES, i)->path, path) == 0)
            return i;
    ck_abort_msg("no column %s", path);
}

START_TEST(sorts)
{
    struct top_data data = {0};

    data.items[TOP_DEVICES] = json_pack("[o, o, o, o]", row("b", 10), row("a", 9), row("d", -1), row("c", 9));
    top_sort(&data, TOP_DEVICES, column_of("containers"), false);
    order_is(&data, "acbd");
    top_sort(&data, TOP_DEVICES, column_of("containers"), true);
    order_is(&data, "dbac");
    top_sort(&data, TOP_DEVICES, column_of("id"), false);
    order_is(&data, "abcd");
    top_sort(&data, TOP_DEVICES, 999, false);
    order_is(&data, "abcd");
    top_sort(&data, TOP_TRANSFERS, 0, false); /* there is nothing */
    ck_assert_ptr_null(top_column(TOP_DEVICES, top_column_count(TOP_DEVICES)));
    top_clear(&data);
}
END_TEST

START_TEST(is_json_for_programs)
{
    const struct fake_step script[] = {
        {.request = "GET /v1/info HTTP", .status = 200, .body = "{\"version\":\"1\"}"},
        {.request = "GET /metrics HTTP", .status = 200, .type = "text/plain", .body = METRICS},
        {.request = "GET /v1/devices?limit=1000 HTTP", .status = 200, .body = LIST(DEVICE_JSON)},
        {.request = "GET /v1/operations?state=running&limit=1000 HTTP", .status = 200, .body = LIST(OP("running"))},
        {.request = "GET /v1/operations?state=queued&limit=1000 HTTP", .status = 200, .body = LIST(OP("queued"))},
        {.request = "GET /v1/transfers?limit=1000 HTTP", .status = 200, .body = LIST("")},
        {0}};
    json_t *all;

    fake_expect(script, "top --json", CLI_OK);
    all = json_loads(fake_result.out, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(all, "operations")), 2);
    ck_assert_uint_eq(json_array_size(json_object_get(all, "devices")), 1);
    ck_assert(json_is_null(json_object_get(json_object_get(all, "rates"), "http")));
    json_decref(all);
}
END_TEST

START_TEST(needs_a_terminal_and_a_gateway)
{
    fake_expect(NULL, "top", CLI_USAGE);
    ERR_HAS("the output is no terminal");
    fake_expect(NULL, "top --json --socket /nonexistent", CLI_UNREACHABLE);
    fake_one("GET /v1/info", 403, PROBLEM("forbidden", 403, ""), "top --json", CLI_UNREACHABLE);
    ERR_HAS("HTTP 403");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        reads_metrics,
        sorts,
        is_json_for_programs,
        needs_a_terminal_and_a_gateway,
    };

    return fake_run_tests("cli top", tests, array_size(tests));
}
