#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <string.h>

/* Containers, and the operations that change them. */

START_TEST(deploys_and_waits)
{
    const struct fake_step script[] = {
        {.request = PUT_DOOR,
         .contains = "{\"artifact\":\"" ARTIFACT "\",\"state\":\"running\"}",
         .status = 202,
         .body = OP("queued")},
        {.request = GET_OP,
         .contains = "Prefer: wait=30",
         .status = 200,
         .body = OP_STATE("running", "loading", "null")},
        {.request = GET_OP, .contains = "Prefer: wait=30", .status = 200, .body = OP("succeeded")},
        {0}};

    fake_expect(script, "deploy box-1 door " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Container door runs on box-1 (artifact 3f2a91b2c3d4).\n");
    ck_assert_str_eq(fake_result.err, "");
    fake_expect(script, "deploy box-1 door " ARTIFACT " --json", CLI_OK);
    OUT_HAS("\"state\": \"succeeded\"");
}
END_TEST

START_TEST(deploys_a_file)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/artifacts HTTP", .status = 200, .body = ARTIFACT_JSON(ARTIFACT, "counter")},
        {.request = "PUT /v1/devices/box-1/containers/door?ttl=600 HTTP",
         .contains = "{\"artifact\":\"" ARTIFACT "\",\"state\":\"stopped\"}",
         .status = 202,
         .body = OP("queued")},
        {.request = GET_OP, .status = 200, .body = OP("succeeded")},
        {0}};
    char line[256];

    (void)snprintf(line, sizeof line, "deploy box-1 door %s --ttl 10m --stopped", fake_file("c.rbpf", "rBPFx", 5));
    fake_expect(script, line, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Container door is installed on box-1 (artifact 3f2a91b2c3d4).\n");
}
END_TEST

START_TEST(does_not_wait_when_told_so)
{
    fake_one(PUT_DOOR, 202, OP("queued"), "deploy box-1 door " ARTIFACT " --no-wait", CLI_OK);
    ck_assert_str_eq(fake_result.out, "deploying door to box-1: queued as operation " OP_ID ".\n");
    fake_one(PUT_DOOR, 202, OP("queued"), "deploy box-1 door " ARTIFACT " --no-wait -q", CLI_OK);
    ck_assert_str_eq(fake_result.out, OP_ID "\n");
}
END_TEST

static void ends(const char *body, int code)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/devices/box-1/containers/door/start HTTP", .status = 202, .body = OP("queued")},
        {.request = GET_OP, .status = 200, .body = body},
        {0}};

    fake_expect(script, "container start box-1 door", code);
}

#define ERROR(slug, advice)                                                                                            \
    "{\"type\":\"https://tcgw.dev/problems/" slug "\",\"title\":\"T\",\"detail\":\"D\",\"advice\":\"" advice "\"}"

START_TEST(tells_how_operations_end)
{
    ends(OP("succeeded"), CLI_OK);
    ck_assert_str_eq(fake_result.out, "Container door runs on box-1.\n");
    ends(OP_STATE("failed", "", ERROR("no-slot", "Do this.")), CLI_FAILED);
    ck_assert_str_eq(fake_result.err,
                     "tcgw: starting door on box-1 failed: T\n  D\n  Do this.\n  operation " OP_ID "\n");
    ends(OP_STATE("failed", "", ERROR("agent-unsupported", "")), CLI_UNSUPPORTED);
    ERR_HAS("restart the device to free its slots");
    ends(OP_STATE("failed", "", ERROR("package-too-large", "")), CLI_INVALID);
    ends(OP_STATE("failed", "", "null"), CLI_FAILED);
    ends(OP_STATE("expired", "", ERROR("expired", "")), CLI_TIMEOUT);
    ends(OP_STATE("expired", "", "null"), CLI_TIMEOUT);
    ends(OP_STATE("cancelled", "", ERROR("cancelled", "")), CLI_FAILED);
    ERR_HAS("starting door on box-1 cancelled");
}
END_TEST

START_TEST(gives_up_waiting)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/devices/box-1/containers/door/stop HTTP", .status = 202, .body = OP("queued")},
        {.request = GET_OP, .contains = "Prefer: wait=1\r", .status = 200, .body = OP("running")},
        {.request = GET_OP, .status = 200, .body = OP("running")},
        {.request = GET_OP, .status = 200, .body = OP("running")},
        {.request = GET_OP, .status = 200, .body = OP("running")},
        {.request = GET_OP, .status = 200, .body = OP("running")},
        {0}};

    fake_expect(script, "container stop box-1 door --wait=1", CLI_TIMEOUT);
    ERR_HAS("the operation " OP_ID " goes on");
    ERR_HAS("tcgw operation watch " OP_ID);
}
END_TEST

START_TEST(leaves_the_operation_when_interrupted)
{
    const struct fake_step script[] = {
        {.request = PUT_DOOR, .status = 202, .body = OP("queued")},
        {.request = GET_OP, .status = 200, .body = OP("running"), .action = FAKE_INTERRUPT},
        {0}};

    fake_expect(script, "deploy box-1 door " ARTIFACT, CLI_INTERRUPTED);
    ck_assert_str_eq(fake_result.err, "tcgw: interrupted; the operation " OP_ID
                                      " goes on\n  Follow it with: tcgw operation watch " OP_ID "\n");
}
END_TEST

START_TEST(bears_a_restart_of_the_gateway)
{
    const struct fake_step script[] = {{.request = PUT_DOOR, .status = 202, .body = OP("queued")},
                                       {.request = GET_OP, .action = FAKE_CLOSE},
                                       {.request = GET_OP, .action = FAKE_CLOSE},
                                       {.request = GET_OP, .action = FAKE_CLOSE},
                                       {.request = GET_OP, .status = 503, .body = PROBLEM("shutting-down", 503, "")},
                                       {.request = GET_OP, .status = 200, .body = OP("succeeded")},
                                       {0}};

    fake_expect(script, "deploy box-1 door " ARTIFACT, CLI_OK);
}
END_TEST

START_TEST(shows_progress_on_a_terminal)
{
    const struct fake_step script[] = {
        {.request = PUT_DOOR, .status = 202, .body = OP("queued")},
        {.request = GET_OP,
         .contains = "Prefer: wait=1\r",
         .status = 200,
         .body = OP_STATE("running", "loading", "null")},
        {.request = GET_OP, .status = 200, .body = OP_STATE("running", "loading", "null")},
        {.request = GET_OP, .status = 200, .body = OP_STATE("running", "loading", "null")},
        {.request = GET_OP, .status = 200, .body = OP_STATE("running", "loading", "null")},
        {.request = GET_OP, .status = 200, .body = OP_STATE("running", "loading", "null")},
        {.request = GET_OP, .status = 200, .body = OP_STATE("running", "verifying", "null")},
        {.request = GET_OP, .status = 200, .body = OP("succeeded")},
        {0}};

    fake_result.err_terminal = true;
    fake_expect(script, "deploy box-1 door " ARTIFACT, CLI_OK);
    ERR_HAS("\r\033[Kdeploying door to box-1: loading, 1.0 s");
    ck_assert_str_eq(fake_result.err + strlen(fake_result.err) - 4, "\r\033[K");
    fake_result.err_terminal = false;
    fake_expect((const struct fake_step[]){{.request = PUT_DOOR, .status = 202, .body = OP("queued")},
                                           {.request = GET_OP, .status = 200, .body = OP("succeeded")},
                                           {0}},
                "deploy box-1 door " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.err, "");
}
END_TEST

#define OP_LOADING                                                                                                     \
    "{\"id\":\"" OP_ID "\",\"kind\":\"deploy\",\"device\":\"box-1\",\"state\":\"running\",\"step\":\"loading\","       \
    "\"progress\":{\"bytes\":10240,\"total\":40960,\"rate\":5120,\"remaining_s\":6}}"

START_TEST(shows_how_far_a_transfer_is)
{
    const struct fake_step script[] = {{.request = PUT_DOOR, .status = 202, .body = OP("queued")},
                                       {.request = GET_OP, .status = 200, .body = OP_LOADING},
                                       {.request = GET_OP, .status = 200, .body = OP_LOADING},
                                       {.request = GET_OP, .status = 200, .body = OP_LOADING},
                                       {.request = GET_OP, .status = 200, .body = OP_LOADING},
                                       {.request = GET_OP, .status = 200, .body = OP_LOADING},
                                       {.request = GET_OP, .status = 200, .body = OP_LOADING},
                                       {.request = GET_OP, .status = 200, .body = OP("succeeded")},
                                       {0}};

    fake_result.err_terminal = true;
    fake_expect(script, "deploy box-1 door " ARTIFACT, CLI_OK);
    ERR_HAS("deploying door to box-1: loading [######..................] 25 %, 10.0 KiB of 40.0 KiB, "
            "5.0 KiB/s, 6.0 s left, 1.0 s");
    fake_result.err_terminal = false;
}
END_TEST

START_TEST(stops_removes_and_forgets)
{
    const struct fake_step removal[] = {
        {.request = "DELETE /v1/devices/box-1/containers/door HTTP", .status = 202, .body = OP("queued")},
        {.request = GET_OP, .status = 200, .body = OP("succeeded")},
        {0}};

    fake_one("POST /v1/devices/box-1/containers/door/stop HTTP", 501,
             PROBLEM("agent-unsupported", 501, ",\"advice\":\"Restart it.\""), "container stop box-1 door",
             CLI_UNSUPPORTED);
    ck_assert_str_eq(fake_result.err, "tcgw: T\n  D\n  Restart it.\n");
    fake_expect(removal, "container remove box-1 door", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Container door was removed from box-1.\n");
    fake_one("DELETE /v1/devices/box-1/containers/door?forget=true HTTP", 204, NULL, "container forget box-1 door",
             CLI_OK);
    ck_assert_str_eq(fake_result.out, "The record of container door on box-1 was dropped.\n");
}
END_TEST

START_TEST(lists_containers_of_all_devices)
{
    const struct fake_step script[] = {
        {.request = "GET /v1/devices?",
         .status = 200,
         .body = LIST(DEVICE_JSON ",{\"id\":\"empty\",\"containers\":0},{\"id\":\"gone\",\"containers\":1}")},
        {.request = "GET /v1/devices/box-1/containers?", .status = 200, .body = LIST(CONTAINER_JSON)},
        {.request = "GET /v1/devices/gone/containers?", .status = 404, .body = PROBLEM("not-found", 404, "")},
        {0}};

    fake_expect(script, "container list", CLI_OK);
    OUT_HAS("box-1   door");
}
END_TEST

START_TEST(prints_logs)
{
    const struct fake_step script[] = {{.request = "GET /v1/devices/box-1/containers/door/log HTTP",
                                        .status = 200,
                                        .type = "text/plain",
                                        .body = "one\n\033[31mtwo\n"},
                                       {0}};

    fake_expect(script, "container logs box-1 door", CLI_OK);
    ck_assert_str_eq(fake_result.out, "one\n\033[31mtwo\n"); /* a pipe gets the bytes */
    fake_result.out_terminal = true;
    fake_expect(script, "container logs box-1 door", CLI_OK);
    ck_assert_str_eq(fake_result.out, "one\n\\x1b[31mtwo\n");
    fake_one("GET /v1/devices/box-1/containers/door/log HTTP", 501, PROBLEM("agent-unsupported", 501, ""),
             "container logs box-1 door", CLI_UNSUPPORTED);
}
END_TEST

START_TEST(follows_logs)
{
#define LOG "GET /v1/devices/box-1/containers/door/log HTTP"
    const struct fake_step script[] = {
        {.request = LOG, .status = 200, .type = "text/plain", .body = "1\n2\n"},
        {.request = LOG, .status = 200, .type = "text/plain", .body = "1\n2\n"},
        {.request = LOG, .status = 200, .type = "text/plain", .body = "2\n3\n4\n"},
        {.request = LOG, .status = 200, .type = "text/plain", .body = "", .action = FAKE_INTERRUPT},
        {0}};

    fake_expect(script, "container logs box-1 door --follow", CLI_OK);
    ck_assert_str_eq(fake_result.out, "1\n2\n3\n4\n");
}
END_TEST

START_TEST(watches_one_operation)
{
    const struct fake_step script[] = {
        {.request = GET_OP, .status = 200, .body = OP("queued")},
        {.request = GET_OP,
         .contains = "Prefer: wait=1",
         .status = 200,
         .body = OP_STATE("running", "loading", "null")},
        {.request = GET_OP, .status = 200, .body = OP_STATE("failed", "", ERROR("no-slot", ""))},
        {0}};

    fake_expect(script, "operation watch " OP_ID, CLI_FAILED);
    ck_assert_str_eq(fake_result.out, "deploy door on box-1: queued\ndeploy door on box-1: running, loading\n");
    ERR_HAS("deploy door on box-1 failed: T");
    fake_one(GET_OP, 200, OP("succeeded"), "operation watch " OP_ID, CLI_OK);
    ck_assert_str_eq(fake_result.out, "deploy door on box-1: succeeded\n");
    fake_one(GET_OP, 404, PROBLEM("not-found", 404, ""), "operation watch " OP_ID, CLI_NOT_FOUND);
}
END_TEST

START_TEST(watches_a_device)
{
    const struct fake_step script[] = {
        {.request = "GET /v1/operations?state=running&device=box-1", .status = 200, .body = LIST(OP("running"))},
        {.request = "GET /v1/operations?state=queued&device=box-1", .status = 200, .body = LIST("")},
        {.request = GET_OP, .status = 200, .body = OP("succeeded")},
        {0}};
    const struct fake_step nothing[] = {
        {.request = "GET /v1/operations?state=running&limit", .status = 200, .body = LIST("")},
        {.request = "GET /v1/operations?state=queued&limit", .status = 200, .body = LIST("")},
        {0}};

    fake_expect(script, "operation watch --device box-1", CLI_OK);
    OUT_HAS("deploy door on box-1: succeeded\n");
    fake_expect(nothing, "operation watch", CLI_OK);
    OUT_HAS("No unfinished operations.\n");
}
END_TEST

START_TEST(cancels_operations)
{
    fake_one("POST /v1/operations/" OP_ID "/cancel HTTP", 200, OP("cancelled"), "operation cancel " OP_ID, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Operation " OP_ID " was cancelled.\n");
    fake_one("POST /v1/operations/" OP_ID "/cancel HTTP", 200, OP("running"), "operation cancel " OP_ID, CLI_OK);
    OUT_HAS("will be cancelled");
    fake_one("POST /v1/operations/" OP_ID "/cancel HTTP", 409, PROBLEM("not-cancellable", 409, ""),
             "operation cancel " OP_ID, CLI_CONFLICT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        deploys_and_waits,
        deploys_a_file,
        does_not_wait_when_told_so,
        tells_how_operations_end,
        gives_up_waiting,
        leaves_the_operation_when_interrupted,
        bears_a_restart_of_the_gateway,
        shows_progress_on_a_terminal,
        shows_how_far_a_transfer_is,
        stops_removes_and_forgets,
        lists_containers_of_all_devices,
        prints_logs,
        follows_logs,
        watches_one_operation,
        watches_a_device,
        cancels_operations,
    };

    return fake_run_tests("cli_operations", tests, array_size(tests));
}
