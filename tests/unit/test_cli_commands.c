#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Devices ------------------------------------------------------------------ */

static void changes(const char *request, const char *body, const char *line)
{
    const struct fake_step script[] = {{.request = request, .contains = body, .status = 200, .body = DEVICE_JSON}, {0}};

    fake_expect(script, line, CLI_OK);
}

START_TEST(adds_devices)
{
    changes(
        "POST /v1/devices HTTP",
        "\r\n\r\n{\"id\":\"box-1\",\"address\":\"coap://[::1]\",\"name\":\"Ramp\",\"agent\":\"v1\",\"capabilities\":"
        "{\"pdu_size\":1204,\"slots\":3,\"runtimes\":[\"wasm\",\"rbpf\"]}}",
        "device add box-1 coap://[::1] --name Ramp --agent v1 --pdu-size 1204 --slots 3 --runtime wasm,rbpf");
    ck_assert_str_eq(fake_result.out, "Device box-1 was added.\n");
    changes("POST /v1/devices HTTP", "\r\n\r\n{\"address\":\"coap://[::1]\"}", "device add coap://[::1] --quiet");
    ck_assert_str_eq(fake_result.out, "box-1\n");
}
END_TEST

START_TEST(changes_devices)
{
    changes("PATCH /v1/devices/box-1 HTTP", "\r\n\r\n{\"address\":\"coap://a\",\"agent\":null}",
            "device set box-1 --address coap://a --agent auto");
    ck_assert_str_eq(fake_result.out, "Device box-1 was changed.\n");
    changes("PATCH /v1/devices/box-1 HTTP", "application/merge-patch+json", "device set box-1 --name x");
    changes("PATCH /v1/devices/box-1 HTTP",
            "{\"capabilities\":{\"pdu_size\":null,\"slots\":0,\"package_max\":4096,\"runtimes\":null}}",
            "device set box-1 --pdu-size auto --slots 0 --package-max 4096 --runtime auto");
    changes("PATCH /v1/devices/box-1 HTTP", "{\"sleep\":{\"sleep_s\":3600,\"awake_ms\":500}}",
            "device set box-1 --sleep 1h --awake 500");
    changes("PATCH /v1/devices/box-1 HTTP", "{\"sleep\":null}", "device set box-1 --sleep auto");
    fake_expect(NULL, "device set box-1 --sleep never", CLI_USAGE);
}
END_TEST

START_TEST(adds_and_probes)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/devices HTTP", .status = 201, .body = DEVICE_JSON},
        {.request = "POST /v1/devices/box-1/probe HTTP", .status = 202, .body = OP("queued")},
        {.request = "GET /v1/operations/" OP_ID " HTTP", .status = 200, .body = OP("succeeded")},
        {0}};

    fake_expect(script, "device add box-1 coap://[::1] --probe", CLI_OK);
    OUT_HAS("Device box-1 was probed");
}
END_TEST

START_TEST(removes_devices)
{
    fake_one("DELETE /v1/devices/box-1 HTTP", 204, NULL, "device remove box-1", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Device box-1 was removed.\n");
    fake_one("DELETE /v1/devices/box-1 HTTP", 204, NULL, "device remove box-1 --json", CLI_OK);
    ck_assert_str_eq(fake_result.out, "");
}
END_TEST

START_TEST(ids_cannot_change_the_path)
{
    fake_one("GET /v1/devices/..%2Fartifacts HTTP", 400, PROBLEM("invalid-id", 400, ""), "device show ../artifacts",
             CLI_INVALID);
    fake_one("GET /v1/devices/.. HTTP", 400, PROBLEM("invalid-id", 400, ""), "device show ..", CLI_INVALID);
}
END_TEST

/* Artifacts ---------------------------------------------------------------- */

static char *push_line(const char *name, const void *content, size_t size, const char *options)
{
    static char line[512];

    (void)snprintf(line, sizeof line, "artifact push %s %s", fake_file(name, content, size), options);
    return line;
}

static void pushes(const char *contains, const char *line)
{
    const struct fake_step script[] = {{.request = "POST /v1/artifacts HTTP",
                                        .contains = contains,
                                        .status = 201,
                                        .body = ARTIFACT_JSON(ARTIFACT, "counter")},
                                       {0}};

    fake_expect(script, line, CLI_OK);
}

START_TEST(pushes_artifacts)
{
    pushes("{\"name\":\"counter\",\"type\":\"rbpf\"}", push_line("counter.rbpf", "rBPFxxxx", 8, ""));
    ck_assert_str_eq(fake_result.out, "Artifact 3f2a91b2c3d4: counter, rbpf, 390 B of code.\n");
    pushes("{\"name\":\"door\",\"type\":\"wasm\"}", push_line("door.wasm", "\0asm\1\0\0\0", 8, ""));
    pushes("asm\1", push_line("door.wasm", "\0asm\1\0\0\0", 8, ""));
    pushes("name=\"data\"", push_line("counter.rbpf", "rBPFxxxx", 8, "--data /etc/hostname -q"));
    ck_assert_str_eq(fake_result.out, ARTIFACT "\n");
    pushes(
        "{\"name\":\"N\",\"type\":\"native\",\"syscalls\":[\"open\",\"read\"],\"endpoints\":[{\"peer\":\"local\","
        "\"peer_endpoint\":3,\"direction\":\"out\",\"id\":1}],\"limits\":{\"loop_period_ms\":500,\"loop_max_lifetime\":"
        "9}}",
        push_line("x", "abc", 3,
                  "--name N --type native --syscall open,read --endpoint id=1,peer=local,peer-endpoint=3,direction=out "
                  "--loop-period 500 --lifetime 9"));
}
END_TEST

START_TEST(pushes_with_a_description)
{
    static const char json[] = "{\"name\":\"from file\",\"type\":\"native\",\"limits\":{\"loop_period_ms\":7}}";
    char options[256];

    (void)snprintf(options, sizeof options, "--description %s --lifetime 2 --name changed",
                   fake_file("d.json", json, strlen(json)));
    pushes("{\"name\":\"changed\",\"type\":\"native\",\"limits\":{\"loop_period_ms\":7,\"loop_max_lifetime\":2}}",
           push_line("x", "abc", 3, options));
}
END_TEST

START_TEST(refuses_files_before_it_sends_them)
{
    fake_expect(NULL, "artifact push /nonexistent.wasm", CLI_INVALID);
    ERR_HAS("/nonexistent.wasm cannot be read (No such file or directory)");
    fake_expect(NULL, "artifact push /tmp", CLI_INVALID);
    ERR_HAS("/tmp is not a file");
    fake_expect(NULL, push_line("x", "abc", 3, ""), CLI_USAGE);
    ERR_HAS("it is not known what type of container");
    fake_expect(NULL, push_line("x.rbpf", "rBPF", 4, "--data /nonexistent"), CLI_INVALID);
    fake_expect(NULL, "deploy box-1 door /nonexistent/x", CLI_INVALID);
}
END_TEST

START_TEST(finds_artifacts)
{
    const struct fake_step by_prefix[] = {
        {.request = "GET /v1/artifacts?",
         .status = 200,
         .body = LIST(ARTIFACT_JSON(ARTIFACT, "a") "," ARTIFACT_JSON(OTHER, "b"))},
        {.request = "GET /v1/artifacts/" ARTIFACT " HTTP", .status = 200, .body = ARTIFACT_JSON(ARTIFACT, "a")},
        {0}};

    fake_expect(by_prefix, "artifact show 3f2a91", CLI_OK);
    OUT_HAS("Id            " ARTIFACT "\n");
    fake_expect(by_prefix, "artifact show a", CLI_OK);
    fake_one("GET /v1/artifacts/" ARTIFACT " HTTP", 200, ARTIFACT_JSON(ARTIFACT, "a"), "artifact show " ARTIFACT,
             CLI_OK);
    fake_one("GET /v1/artifacts?", 200, LIST(ARTIFACT_JSON(ARTIFACT, "a") "," ARTIFACT_JSON(OTHER, "b")),
             "artifact show 3f2a", CLI_CONFLICT);
    ERR_HAS("2 artifacts match '3f2a'");
    fake_one("GET /v1/artifacts?", 200, LIST(ARTIFACT_JSON(ARTIFACT, "a")), "artifact show 3f2b", CLI_NOT_FOUND);
    ERR_HAS("no artifact has the id or name '3f2b'");
    fake_one("GET /v1/artifacts?", 200, LIST(ARTIFACT_JSON(ARTIFACT, "a")), "artifact show 3f2", CLI_NOT_FOUND);
}
END_TEST

START_TEST(downloads_artifacts)
{
    const struct fake_step code[] = {{.request = "GET /v1/artifacts/" ARTIFACT "/code HTTP",
                                      .status = 200,
                                      .type = "application/octet-stream",
                                      .body = "the code"},
                                     {0}};
    char line[256], text[16] = "";
    FILE *file;

    fake_expect(code, "artifact get " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.out, "the code");
    (void)snprintf(line, sizeof line, "artifact get %s -o %s/got", ARTIFACT, fake_directory);
    fake_expect(code, line, CLI_OK);
    file = fopen(strchr(line, '/'), "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, file), 8);
    (void)fclose(file);
    ck_assert_str_eq(text, "the code");
    fake_one("GET /v1/artifacts/" ARTIFACT "/data HTTP", 404, PROBLEM("not-found", 404, ""),
             "artifact get " ARTIFACT " --data", CLI_NOT_FOUND);
    (void)snprintf(line, sizeof line, "artifact get %s -o %s/none", ARTIFACT, fake_directory);
    fake_one("GET /v1/artifacts/" ARTIFACT "/code HTTP", 404, PROBLEM("not-found", 404, ""), line, CLI_NOT_FOUND);
    ck_assert_int_ne(access(strchr(line, '/'), F_OK), 0);
    fake_result.out_terminal = true;
    fake_expect(NULL, "artifact get " ARTIFACT, CLI_USAGE);
}
END_TEST

START_TEST(removes_artifacts)
{
    fake_one("DELETE /v1/artifacts/" ARTIFACT " HTTP", 204, NULL, "artifact remove " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Artifact 3f2a91b2c3d4 was removed.\n");
    fake_one("DELETE /v1/artifacts/" ARTIFACT " HTTP", 409, PROBLEM("in-use", 409, ""), "artifact remove " ARTIFACT,
             CLI_CONFLICT);
}
END_TEST

/* The gateway -------------------------------------------------------------- */

START_TEST(shows_the_status)
{
    const struct fake_step script[] = {
        {.request = "GET /healthz HTTP", .status = 200, .body = "{\"status\":\"ok\"}"},
        {.request = "GET /v1/info HTTP",
         .status = 200,
         .body = "{\"version\":\"0.1.0\",\"started_at\":\"2026-01-02T03:04:02.678Z\",\"uptime_seconds\":61,\"counts\":"
                 "{\"devices\":2},\"storage\":{\"free_bytes\":1048576,\"path\":\"/a\\u001b\"}}"},
        {0}};

    fake_expect(script, "status", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Status          ok\n"
                                      "Version         0.1.0\n"
                                      "Started         2026-01-02T03:04:02.678Z (3 s ago)\n"
                                      "Uptime          1 min 1 s\n"
                                      "Counts devices  2\n"
                                      "Storage free    1.0 MiB\n"
                                      "Storage path    /a\\x1b\n");
    fake_one("GET /healthz HTTP", 503, PROBLEM("storage-failed", 503, ""), "status", CLI_GATEWAY);
    fake_one("GET /healthz HTTP", 503, "[]", "status", CLI_UNREACHABLE);
}
END_TEST

START_TEST(shows_the_key)
{
#define KEY_JSON "{\"algorithm\":\"Ed25519\",\"public_key\":\"" ARTIFACT "\",\"pem\":\"-----BEGIN\\nx\\n\"}"
    fake_one("GET /v1/key HTTP", 200, KEY_JSON, "key show", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Algorithm   Ed25519\nPublic key  " ARTIFACT "\n\n-----BEGIN\nx\n");
    fake_one("GET /v1/key HTTP", 200, KEY_JSON, "key show --pem", CLI_OK);
    ck_assert_str_eq(fake_result.out, "-----BEGIN\nx\n");
    fake_one("GET /v1/key HTTP", 200, KEY_JSON, "key show --quiet", CLI_OK);
    ck_assert_str_eq(fake_result.out, ARTIFACT "\n");
}
END_TEST

START_TEST(finds_the_gateway_by_the_environment)
{
    (void)setenv("TCGW_SOCKET", fake_socket, 1);
    fake_one("GET /v1/devices", 200, LIST(""), "device list -q", CLI_OK);
    (void)unsetenv("TCGW_SOCKET");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        adds_devices,
        changes_devices,
        adds_and_probes,
        removes_devices,
        ids_cannot_change_the_path,
        pushes_artifacts,
        pushes_with_a_description,
        refuses_files_before_it_sends_them,
        finds_artifacts,
        downloads_artifacts,
        removes_artifacts,
        shows_the_status,
        shows_the_key,
        finds_the_gateway_by_the_environment,
    };

    return fake_run_tests("cli_commands", tests, array_size(tests));
}
