#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* How answers are shown. */

START_TEST(lists_for_people)
{
    fake_one("GET /v1/devices?limit=1000 HTTP", 200, LIST(DEVICE_JSON), "device list", CLI_OK);
    ck_assert_str_eq(
        fake_result.out,
        "ID     NAME  ADDRESS            AGENT  SECURITY  PRESENCE  EXPECTED  CONTAINERS  LAST SEEN\n"
        "box-1  R\xc3\xa4mp  coap://[::1]:5683  v2     oscore    asleep    in 5 min           1  3 s ago\n");
    ck_assert_str_eq(fake_result.err, "");
    fake_one("GET /v1/artifacts", 200, LIST(ARTIFACT_JSON(ARTIFACT, "counter")), "artifact list", CLI_OK);
    ck_assert_str_eq(fake_result.out, "ID            NAME     TYPE   CODE  DATA  USERS  CREATED\n"
                                      "3f2a91b2c3d4  counter  rbpf  390 B   0 B      1  2 min ago\n");
    fake_one("GET /v1/devices/box-1/containers?", 200, LIST(CONTAINER_JSON), "container list box-1", CLI_OK);
    ck_assert_str_eq(fake_result.out, "DEVICE  UID   DESIRED  REPORTED  REPORTED AT  ARTIFACT      ERROR\n"
                                      "box-1   door  running  failed    1 min ago    3f2a91b2c3d4  It ended\n");
}
END_TEST

START_TEST(filters_operations)
{
    fake_one("GET /v1/operations?device=box-1&container=door&state=failed&limit=5 HTTP", 200, LIST(OP("failed")),
             "operation list --device box-1 --container door --state failed --limit 5", CLI_OK);
    ck_assert_str_eq(fake_result.out,
                     "ID                                    KIND    DEVICE  CONTAINER  PATH  STATE   STEP  "
                     "CREATED  ERROR\n" OP_ID "  deploy  box-1   door       -     failed  -     2 s ago  -\n");
    fake_expect(NULL, "operation list --limit 0", CLI_USAGE);
}
END_TEST

START_TEST(says_that_there_are_none)
{
    fake_one("GET /v1/devices", 200, LIST(""), "device list", CLI_OK);
    ck_assert_str_eq(fake_result.out, "No devices. Add one with: tcgw device add ID coap://ADDRESS\n");
    fake_one("GET /v1/devices", 200, LIST(""), "device list --quiet", CLI_OK);
    ck_assert_str_eq(fake_result.out, "");
}
END_TEST

START_TEST(shows_cards)
{
    fake_one("GET /v1/devices/box-1 HTTP", 200, DEVICE_JSON, "device show box-1", CLI_OK);
    OUT_HAS("Id                box-1\n");
    OUT_HAS("Agent configured  no\n");
    OUT_HAS("Runtimes          wasm, rbpf\n");
    OUT_HAS("Largest package   64.0 KiB\n");
    OUT_HAS("Last seen         2026-01-02T03:04:02.678Z (3 s ago)\n");
    ck_assert_ptr_null(strstr(fake_result.out, "Reported id"));
    fake_one("GET /v1/devices/box-1/containers/door HTTP", 200, CONTAINER_JSON, "container show box-1 door", CLI_OK);
    OUT_HAS("Detail           after 50 ms\n");
    fake_one("GET /v1/operations/" OP_ID " HTTP", 200, OP("running"), "operation show " OP_ID, CLI_OK);
    OUT_HAS("Expires    2026-01-02T03:09:05.678Z (in 5 min)\n");
}
END_TEST

START_TEST(asks_the_device_when_told_to)
{
    const struct fake_step script[] = {{.request = "GET /v1/devices/box-1/containers/door HTTP",
                                        .contains = "Cache-Control: no-cache",
                                        .status = 200,
                                        .body = CONTAINER_JSON},
                                       {0}};

    fake_expect(script, "container show box-1 door --fresh", CLI_OK);
}
END_TEST

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    ck_assert_msg(json != NULL, "no JSON: %s", text);
    return json;
}

START_TEST(json_passes_through)
{
    json_t *sent = parse(DEVICE_JSON), *list = parse(LIST(DEVICE_JSON)), *got;

    fake_one("GET /v1/devices/box-1", 200, DEVICE_JSON, "device show box-1 --json", CLI_OK);
    got = parse(fake_result.out);
    ck_assert(json_equal(sent, got));
    ck_assert_ptr_nonnull(strstr(fake_result.out, "R\xc3\xa4mp"));
    json_decref(got);
    fake_one("GET /v1/devices", 200, LIST(DEVICE_JSON), "--json device list", CLI_OK);
    got = parse(fake_result.out);
    ck_assert(json_equal(list, got));
    json_decref(got);
    json_decref(list);
    json_decref(sent);
}
END_TEST

START_TEST(json_problems_go_to_stderr)
{
    json_t *sent = parse(PROBLEM("not-found", 404, ",\"extra\":[1]")), *got;

    fake_one("GET /v1/devices/x", 404, PROBLEM("not-found", 404, ",\"extra\":[1]"), "device show x --json",
             CLI_NOT_FOUND);
    ck_assert_str_eq(fake_result.out, "");
    got = parse(fake_result.err);
    ck_assert(json_equal(sent, got));
    json_decref(got);
    json_decref(sent);
}
END_TEST

START_TEST(json_on_a_terminal_is_ascii)
{
    fake_result.out_terminal = true;
    fake_one("GET /v1/devices/x", 200, "{\"id\":\"\xc2\x9bx\"}", "device show x --json", CLI_OK);
    OUT_HAS("\\u009Bx");
}
END_TEST

START_TEST(joins_pages)
{
    const struct fake_step script[] = {
        {.request = "GET /v1/devices?limit=1000 HTTP",
         .status = 200,
         .body = "{\"items\":[{\"id\":\"a\"}],\"next\":\"c&1\"}"},
        {.request = "GET /v1/devices?limit=1000&cursor=c%261 HTTP", .status = 200, .body = LIST("{\"id\":\"b\"}")},
        {0}};

    fake_expect(script, "device list -q", CLI_OK);
    ck_assert_str_eq(fake_result.out, "a\nb\n");
    fake_expect(script, "device list --json", CLI_OK);
    OUT_HAS("\"next\": null");
}
END_TEST

START_TEST(an_endless_list_ends)
{
    const struct fake_step script[] = {
        {.request = "GET /v1/devices?", .status = 200, .body = "{\"items\":[],\"next\":\"again\"}"}, {0}};

    fake_expect(script, "device list -q", CLI_OK);
}
END_TEST

START_TEST(escapes_what_the_gateway_sends)
{
    fake_one("GET /v1/devices", 200,
             LIST("{\"id\":\"a\\u001b]0;x\\u0007\",\"name\":\"n\\n1\",\"address\":\"\\u009b2J\"}"), "device list",
             CLI_OK);
    OUT_HAS("a\\x1b]0;x\\x07  n\\n1  \\x9b2J");
    fake_one("GET /v1/devices/x", 404, PROBLEM("not-found", 404, ",\"advice\":\"a\\u001b[1m\""), "device show x",
             CLI_NOT_FOUND);
    ERR_HAS("a\\x1b[1m");
    ck_assert_ptr_null(strchr(fake_result.err, '\033'));
}
END_TEST

START_TEST(colours_a_terminal_only)
{
    fake_one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
    fake_one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b --color always", CLI_OK);
    OUT_HAS("\033[31mfailed\033[0m");
    fake_result.out_terminal = true;
    fake_one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    OUT_HAS("\033[32mrunning\033[0m");
    fake_one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b --color=never", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
    (void)setenv("NO_COLOR", "1", 1);
    fake_one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
    (void)unsetenv("NO_COLOR");
    (void)setenv("TERM", "dumb", 1);
    fake_one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        lists_for_people,
        filters_operations,
        says_that_there_are_none,
        shows_cards,
        asks_the_device_when_told_to,
        json_passes_through,
        json_problems_go_to_stderr,
        json_on_a_terminal_is_ascii,
        joins_pages,
        an_endless_list_ends,
        escapes_what_the_gateway_sends,
        colours_a_terminal_only,
    };

    return fake_run_tests("cli_output", tests, array_size(tests));
}
