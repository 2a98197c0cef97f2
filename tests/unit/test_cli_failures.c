#include "base/cleanup.h"
#include "base/fault.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <string.h>

/* How failures are told. */

/* Exit codes --------------------------------------------------------------- */

START_TEST(each_problem_has_its_exit_code)
{
    static const struct {
        enum fault_code fault;
        int code;
    } rows[] = {
        {FAULT_NOT_FOUND, CLI_NOT_FOUND},
        {FAULT_ALREADY_EXISTS, CLI_CONFLICT},
        {FAULT_IN_USE, CLI_CONFLICT},
        {FAULT_PRECONDITION_FAILED, CLI_CONFLICT},
        {FAULT_UID_OCCUPIED, CLI_CONFLICT},
        {FAULT_INVALID_FIELD, CLI_INVALID},
        {FAULT_BODY_TOO_LARGE, CLI_INVALID},
        {FAULT_INVALID_WASM, CLI_INVALID},
        {FAULT_PACKAGE_TOO_LARGE, CLI_INVALID},
        {FAULT_EXPIRED, CLI_TIMEOUT},
        {FAULT_DEVICE_TIMEOUT, CLI_TIMEOUT},
        {FAULT_AGENT_UNSUPPORTED, CLI_UNSUPPORTED},
        {FAULT_NO_SLOT, CLI_FAILED},
        {FAULT_DEVICE_UNREACHABLE, CLI_FAILED},
        {FAULT_STOPPED_EARLY, CLI_FAILED},
        {FAULT_STORAGE_FULL, CLI_GATEWAY},
        {FAULT_INTERNAL, CLI_GATEWAY},
        {FAULT_SHUTTING_DOWN, CLI_GATEWAY},
        {FAULT_QUEUE_FULL, CLI_GATEWAY},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        const struct fault_info *info = fault_info(rows[i].fault);
        char body[512];

        (void)snprintf(body, sizeof body, "{\"type\":\"%s%s\",\"title\":\"The title\",\"detail\":\"The detail\"}",
                       FAULT_TYPE_BASE, info->slug);
        fake_one("GET /v1/devices/x", info->status, body, "device show x", rows[i].code);
        ERR_HAS("tcgw: The title\n  The detail\n");
        ERR_HAS(info->advice); /* ours when the gateway sends none */
    }
}
END_TEST

START_TEST(an_unknown_problem_goes_by_its_status)
{
    fake_one("GET /v1/devices/x", 404, "{\"title\":\"T\"}", "device show x", CLI_NOT_FOUND);
    fake_one("GET /v1/devices/x", 418, "{\"type\":\"https://tcgw.dev/problems/new-one\",\"title\":\"T\"}",
             "device show x", CLI_INVALID);
    fake_one("GET /v1/devices/x", 501, "{\"title\":\"T\"}", "device show x", CLI_UNSUPPORTED);
    fake_one("GET /v1/devices/x", 599, "{\"title\":7}", "device show x", CLI_GATEWAY);
}
END_TEST

START_TEST(a_problem_tells_all_it_has)
{
    fake_one(
        "POST /v1/devices", 400,
        PROBLEM("invalid-field", 400, ",\"pointer\":\"/address\",\"advice\":\"Do this.\",\"operation\":\"" OP_ID "\""),
        "device add a b", CLI_INVALID);
    ck_assert_str_eq(fake_result.err,
                     "tcgw: T\n  D\n  in the request at /address\n  Do this.\n  operation " OP_ID "\n");
}
END_TEST

START_TEST(something_else_is_no_gateway)
{
    static const struct {
        int status;
        const char *type, *body;
    } rows[] = {{200, "text/html", "<html>"},
                {404, "text/html", "<html>"},
                {200, "application/json", "{broken"},
                {200, "application/json", "[]"},
                {500, "application/problem+json", "\"x\""},
                {301, "application/json", "{}"},
                {204, NULL, NULL}};

    for (size_t i = 0; i < array_size(rows); i++) {
        const struct fake_step script[] = {
            {.request = "GET /v1/devices/x", .status = rows[i].status, .type = rows[i].type, .body = rows[i].body},
            {0}};

        fake_expect(script, "device show x", CLI_UNREACHABLE);
        ck_assert_str_eq(fake_result.out, "");
    }
    fake_one("GET /v1/devices", 200, "{\"items\":7}", "device list", CLI_UNREACHABLE);
    ERR_HAS("was not understood");
}
END_TEST

START_TEST(a_silent_gateway_times_out)
{
    const struct fake_step script[] = {{.request = "GET /v1/devices/x", .action = FAKE_SILENCE}, {0}};

    fake_expect(script, "device show x --timeout 1", CLI_TIMEOUT);
    ERR_HAS("did not answer in time");
}
END_TEST

/* Lost connections --------------------------------------------------------- */

START_TEST(a_lost_write_is_sent_again_with_its_key)
{
    const struct fake_step script[] = {{.request = "POST /v1/devices HTTP", .action = FAKE_CLOSE},
                                       {.request = "POST /v1/devices HTTP", .status = 201, .body = DEVICE_JSON},
                                       {0}};

    fake_expect(script, "device add box-1 coap://[::1]", CLI_OK);
    ck_assert_uint_eq(strlen(fake_key(0)), 36);
    ck_assert_str_eq(fake_key(0), fake_key(1));
}
END_TEST

START_TEST(it_is_sent_again_only_once)
{
    const struct fake_step script[] = {{.request = "DELETE /v1/devices/box-1 HTTP", .action = FAKE_CLOSE},
                                       {.request = "DELETE /v1/devices/box-1 HTTP", .action = FAKE_CLOSE},
                                       {0}};

    fake_expect(script, "device remove box-1", CLI_UNREACHABLE);
    ERR_HAS("ended before the answer");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_problem_has_its_exit_code, an_unknown_problem_goes_by_its_status,
        a_problem_tells_all_it_has,     something_else_is_no_gateway,
        a_silent_gateway_times_out,     a_lost_write_is_sent_again_with_its_key,
        it_is_sent_again_only_once,
    };

    return fake_run_tests("cli_failures", tests, array_size(tests));
}
