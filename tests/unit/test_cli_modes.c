#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

/* --dry-run, which changes nothing, and --watch, which goes on. */

static void tells(const char *line, const char *request, const char *rest)
{
    fake_expect(NULL, line, CLI_OK);
    OUT_HAS(request);
    OUT_HAS(rest);
}

START_TEST(changes_are_told)
{
    tells("device add box-1 coap://[::1] --dry-run", "Would send: POST /v1/devices\n", "\"id\": \"box-1\"");
    tells("device remove box-1 --dry-run", "Would send: DELETE /v1/devices/box-1\n", "");
    tells("container stop box-1 door --ttl 60 --dry-run", "Would send: POST", "/containers/door/stop?ttl=60");
    tells("resource put box-1 /led --dry-run /etc/hostname", "Would send: PUT /v1/devices/box-1/resources/led with ",
          "bytes of text/plain");
    tells("join open 5 --dry-run", "Would send: PUT /v1/join", "");
    tells("gateway distrust --dry-run", "Would send: POST /v1/gateway/distrust-contexts", "");
    ck_assert_str_eq(fake_result.err, "");
}
END_TEST

START_TEST(files_are_told)
{
    char line[256];

    (void)snprintf(line, sizeof line, "artifact push %s --dry-run", fake_file("c.rbpf", "rBPFxxxx", 8));
    tells(line, "Would send: POST /v1/artifacts with description, code of ", "c.rbpf");
}
END_TEST

START_TEST(programs_get_json)
{
    json_t *told;

    fake_expect(NULL, "group set lab --observe /a --dry-run --json", CLI_OK);
    told = json_loads(fake_result.out, 0, NULL);
    ck_assert(json_is_true(json_object_get(told, "dry_run")));
    ck_assert_str_eq(json_string_value(json_object_get(told, "method")), "PUT");
    ck_assert_str_eq(json_string_value(json_object_get(told, "path")), "/v1/groups/lab");
    ck_assert_uint_eq(json_array_size(json_object_get(json_object_get(told, "body"), "observe")), 1);
    json_decref(told);
}
END_TEST

START_TEST(secrets_are_not_told)
{
    static const char credentials[] = "{\"kind\":\"oscore\",\"master_secret\":\"00112233445566778899aabbccddeeff\","
                                      "\"sender_id\":\"01\",\"recipient_id\":\"02\",\"algorithm\":10}";
    char line[256];

    (void)snprintf(line, sizeof line, "device import box-1 %s --dry-run",
                   fake_file("c.json", credentials, strlen(credentials)));
    tells(line, "Would send: PUT /v1/devices/box-1/credentials", "[removed]");
    ck_assert_ptr_null(strstr(fake_result.out, "00112233"));
}
END_TEST

#define PLAN(refused)                                                                                                  \
    "{\"devices\":[{\"device\":\"box-1\",\"wave\":0,\"action\":\"install\",\"refused\":" refused "}],\"counts\":{}}"

START_TEST(the_gateway_plans_a_deployment)
{
    const struct fake_step good[] = {
        {.request = "POST /v1/rollouts?dry_run=true HTTP",
         .contains = "{\"container\":\"door\",\"devices\":{\"devices\":[\"box-1\"]},\"release\":\"door@2\",\"state\":"
                     "\"running\"}",
         .status = 200,
         .body = PLAN("null")},
        {0}};
    const struct fake_step bad[] = {{.request = "POST /v1/rollouts?dry_run=true HTTP",
                                     .status = 200,
                                     .body = PLAN("{\"title\":\"T\",\"detail\":\"no such runtime\"}")},
                                    {0}};

    fake_expect(good, "deploy box-1 door door@2 --dry-run", CLI_OK);
    OUT_HAS("install");
    OUT_HAS("Would send: PUT /v1/devices/box-1/containers/door");
    fake_expect(bad, "deploy box-1 door door@2 --dry-run", CLI_CONFLICT);
    OUT_HAS("no such runtime");
    ck_assert_ptr_null(strstr(fake_result.out, "Would send"));
}
END_TEST

START_TEST(the_gateway_plans_a_service)
{
    static const char service[] =
        "{\"devices\":{\"all\":true},\"containers\":[{\"uid\":\"a\",\"release\":\"a@1\"},{\"uid\":\"b\",\"release\":"
        "\"b@1\"}]}";
    const struct fake_step script[] = {
        {.request = "POST /v1/rollouts?dry_run=true HTTP",
         .contains = "{\"container\":\"a\",\"devices\":{\"all\":true},\"release\":\"a@1\"}",
         .status = 200,
         .body = PLAN("null")},
        {.request = "POST /v1/rollouts?dry_run=true HTTP",
         .contains = "\"container\":\"b\"",
         .status = 200,
         .body = PLAN("null")},
        {0}};
    char line[256];

    (void)snprintf(line, sizeof line, "service set s %s --dry-run", fake_file("s.json", service, strlen(service)));
    fake_expect(script, line, CLI_OK);
    OUT_HAS("Would send: PUT /v1/services/s");
}
END_TEST

START_TEST(offline_commands_have_no_such_mode)
{
    char line[256];

    (void)snprintf(line, sizeof line, "key generate %s/k.pem --dry-run", fake_directory);
    fake_expect(NULL, line, CLI_USAGE);
    (void)snprintf(line, sizeof line, "%s/k.pem", fake_directory);
    ck_assert_int_ne(access(line, F_OK), 0);
    fake_expect(NULL, "suit show x --watch", CLI_USAGE);
    fake_expect(NULL, "events --watch", CLI_USAGE);
    fake_expect(NULL, "device remove box-1 --watch", CLI_USAGE);
    ERR_HAS("--watch is for commands that show something");
}
END_TEST

START_TEST(lists_are_shown_again)
{
    const struct fake_step script[] = {
        {.request = "GET /v1/groups HTTP", .status = 200, .body = LIST("{\"name\":\"lab\"}")},
        {.request = "GET /v1/groups HTTP",
         .status = 200,
         .body = LIST("{\"name\":\"hall\"}"),
         .action = FAKE_INTERRUPT},
        {0}};

    fake_result.out_terminal = true;
    fake_one("GET /v1/groups HTTP", 404, PROBLEM("not-found", 404, ""), "group list --watch", CLI_NOT_FOUND);
    fake_result.out_terminal = false;
    fake_expect(script, "group list -q --watch=0", CLI_OK);
    OUT_HAS("lab\n");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        changes_are_told,
        files_are_told,
        programs_get_json,
        secrets_are_not_told,
        the_gateway_plans_a_deployment,
        the_gateway_plans_a_service,
        offline_commands_have_no_such_mode,
        lists_are_shown_again,
    };

    return fake_run_tests("cli modes", tests, array_size(tests));
}
