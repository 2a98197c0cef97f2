#include "base/cleanup.h"
#include "base/fault.h"
#include "cli/cli.h"
#include "cli_fake.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define OP_ID "01945b1e-0000-7000-8000-000000000001"
#define ARTIFACT "3f2a91b2c3d4e5f60718293a4b5c6d7e8f9001122334455667788990abbccdde"
#define OTHER "3f2a00b2c3d4e5f60718293a4b5c6d7e8f9001122334455667788990abbccdde"

#define DEVICE_JSON                                                                                                    \
    "{\"id\":\"box-1\",\"name\":\"R\xc3\xa4mp\",\"address\":\"coap://[::1]:5683\",\"agent\":\"v2\","                   \
    "\"agent_configured\":false,\"agent_version\":\"2.0\",\"reported_id\":null,\"capabilities\":{\"pdu_size\":1204,"   \
    "\"slots\":4,\"runtimes\":[\"wasm\",\"rbpf\"],\"package_max\":65536},\"containers\":1,\"operations_unfinished\":"  \
    "0,"                                                                                                               \
    "\"created_at\":\"2026-01-01T03:04:05.678Z\",\"updated_at\":\"2026-01-02T03:04:05.000Z\","                         \
    "\"last_seen_at\":\"2026-01-02T03:04:02.678Z\",\"revision\":3}"
#define ARTIFACT_JSON(id, name)                                                                                        \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"type\":\"rbpf\",\"syscalls\":[\"open\"],\"endpoints\":[],\"limits\":"  \
    "{\"loop_period_ms\":1000},\"code\":{\"sha256\":\"" OTHER "\",\"size\":390},\"data\":{\"sha256\":\"" OTHER         \
    "\",\"size\":0},\"created_at\":\"2026-01-02T03:02:05.678Z\",\"users\":1}"
#define LIST(items) "{\"items\":[" items "],\"next\":null}"
#define OP_STATE(state, step, error)                                                                                   \
    "{\"id\":\"" OP_ID "\",\"kind\":\"deploy\",\"state\":\"" state "\",\"device\":\"box-1\",\"container\":\"door\","   \
    "\"artifact\":\"" ARTIFACT "\",\"step\":\"" step "\",\"error\":" error ",\"result\":null,"                         \
    "\"created_at\":\"2026-01-02T03:04:03.678Z\",\"started_at\":null,\"ended_at\":null,"                               \
    "\"expires_at\":\"2026-01-02T03:09:05.678Z\"}"
#define OP(state) OP_STATE(state, "", "null")
#define CONTAINER_JSON                                                                                                 \
    "{\"device\":\"box-1\",\"uid\":\"door\",\"desired\":{\"artifact\":\"" ARTIFACT "\",\"state\":\"running\"},"        \
    "\"reported\":{\"artifact\":\"" ARTIFACT "\",\"state\":\"failed\",\"at\":\"2026-01-02T03:03:05.678Z\"},"           \
    "\"load\":\"done\",\"error\":{\"type\":\"https://tcgw.dev/problems/stopped-early\",\"title\":\"It ended\","        \
    "\"detail\":\"after 50 ms\"},\"created_at\":\"2026-01-02T03:04:03.678Z\",\"updated_at\":null,\"revision\":1}"
#define PROBLEM(slug, status, rest)                                                                                    \
    "{\"type\":\"https://tcgw.dev/problems/" slug "\",\"title\":\"T\",\"status\":" #status ",\"detail\":\"D\"" rest "}"

static void expect(const struct fake_step *script, const char *line, int code)
{
    fake_run(script, line);
    ck_assert_msg(fake_result.code == code, "tcgw %s: exit code %d, not %d\n%s", line, fake_result.code, code,
                  fake_result.err);
}

static void one(const char *request, int status, const char *body, const char *line, int code)
{
    struct fake_step script[] = {{.request = request, .status = status, .body = body}, {0}};

    expect(script, line, code);
}

START_TEST(lists_for_people)
{
    one("GET /v1/devices?limit=1000 HTTP", 200, LIST(DEVICE_JSON), "device list", CLI_OK);
    ck_assert_str_eq(fake_result.out, "ID     NAME  ADDRESS            AGENT  CONTAINERS  LAST SEEN\n"
                                      "box-1  R\xc3\xa4mp  coap://[::1]:5683  v2              1  3 s ago\n");
    ck_assert_str_eq(fake_result.err, "");
    one("GET /v1/artifacts", 200, LIST(ARTIFACT_JSON(ARTIFACT, "counter")), "artifact list", CLI_OK);
    ck_assert_str_eq(fake_result.out, "ID            NAME     TYPE   CODE  DATA  USERS  CREATED\n"
                                      "3f2a91b2c3d4  counter  rbpf  390 B   0 B      1  2 min ago\n");
    one("GET /v1/devices/box-1/containers?", 200, LIST(CONTAINER_JSON), "container list box-1", CLI_OK);
    ck_assert_str_eq(fake_result.out, "DEVICE  UID   DESIRED  REPORTED  REPORTED AT  ARTIFACT      ERROR\n"
                                      "box-1   door  running  failed    1 min ago    3f2a91b2c3d4  It ended\n");
}
END_TEST

START_TEST(filters_operations)
{
    one("GET /v1/operations?device=box-1&container=door&state=failed&limit=5 HTTP", 200, LIST(OP("failed")),
        "operation list --device box-1 --container door --state failed --limit 5", CLI_OK);
    ck_assert_str_eq(fake_result.out,
                     "ID                                    KIND    DEVICE  CONTAINER  STATE   STEP  "
                     "CREATED  ERROR\n" OP_ID "  deploy  box-1   door       failed  -     2 s ago  -\n");
    expect(NULL, "operation list --limit 0", CLI_USAGE);
}
END_TEST

START_TEST(says_that_there_are_none)
{
    one("GET /v1/devices", 200, LIST(""), "device list", CLI_OK);
    ck_assert_str_eq(fake_result.out, "No devices. Add one with: tcgw device add ID coap://ADDRESS\n");
    one("GET /v1/devices", 200, LIST(""), "device list --quiet", CLI_OK);
    ck_assert_str_eq(fake_result.out, "");
}
END_TEST

START_TEST(shows_cards)
{
    one("GET /v1/devices/box-1 HTTP", 200, DEVICE_JSON, "device show box-1", CLI_OK);
    OUT_HAS("Id                box-1\n");
    OUT_HAS("Agent configured  no\n");
    OUT_HAS("Runtimes          wasm, rbpf\n");
    OUT_HAS("Largest package   64.0 KiB\n");
    OUT_HAS("Last seen         2026-01-02T03:04:02.678Z (3 s ago)\n");
    ck_assert_ptr_null(strstr(fake_result.out, "Reported id"));
    one("GET /v1/devices/box-1/containers/door HTTP", 200, CONTAINER_JSON, "container show box-1 door", CLI_OK);
    OUT_HAS("Detail           after 50 ms\n");
    one("GET /v1/operations/" OP_ID " HTTP", 200, OP("running"), "operation show " OP_ID, CLI_OK);
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

    expect(script, "container show box-1 door --fresh", CLI_OK);
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

    one("GET /v1/devices/box-1", 200, DEVICE_JSON, "device show box-1 --json", CLI_OK);
    got = parse(fake_result.out);
    ck_assert(json_equal(sent, got));
    ck_assert_ptr_nonnull(strstr(fake_result.out, "R\xc3\xa4mp"));
    json_decref(got);
    one("GET /v1/devices", 200, LIST(DEVICE_JSON), "--json device list", CLI_OK);
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

    one("GET /v1/devices/x", 404, PROBLEM("not-found", 404, ",\"extra\":[1]"), "device show x --json", CLI_NOT_FOUND);
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
    one("GET /v1/devices/x", 200, "{\"id\":\"\xc2\x9bx\"}", "device show x --json", CLI_OK);
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

    expect(script, "device list -q", CLI_OK);
    ck_assert_str_eq(fake_result.out, "a\nb\n");
    expect(script, "device list --json", CLI_OK);
    OUT_HAS("\"next\": null");
}
END_TEST

START_TEST(an_endless_list_ends)
{
    const struct fake_step script[] = {
        {.request = "GET /v1/devices?", .status = 200, .body = "{\"items\":[],\"next\":\"again\"}"}, {0}};

    expect(script, "device list -q", CLI_OK);
}
END_TEST

START_TEST(escapes_what_the_gateway_sends)
{
    one("GET /v1/devices", 200, LIST("{\"id\":\"a\\u001b]0;x\\u0007\",\"name\":\"n\\n1\",\"address\":\"\\u009b2J\"}"),
        "device list", CLI_OK);
    OUT_HAS("a\\x1b]0;x\\x07  n\\n1  \\x9b2J");
    one("GET /v1/devices/x", 404, PROBLEM("not-found", 404, ",\"advice\":\"a\\u001b[1m\""), "device show x",
        CLI_NOT_FOUND);
    ERR_HAS("a\\x1b[1m");
    ck_assert_ptr_null(strchr(fake_result.err, '\033'));
}
END_TEST

START_TEST(colours_a_terminal_only)
{
    one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
    one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b --color always", CLI_OK);
    OUT_HAS("\033[31mfailed\033[0m");
    fake_result.out_terminal = true;
    one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    OUT_HAS("\033[32mrunning\033[0m");
    one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b --color=never", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
    (void)setenv("NO_COLOR", "1", 1);
    one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
    (void)unsetenv("NO_COLOR");
    (void)setenv("TERM", "dumb", 1);
    one("GET /v1/devices/b/containers", 200, LIST(CONTAINER_JSON), "container list b", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
}
END_TEST

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
        one("GET /v1/devices/x", info->status, body, "device show x", rows[i].code);
        ERR_HAS("tcgw: The title\n  The detail\n");
        ERR_HAS(info->advice); /* ours when the gateway sends none */
    }
}
END_TEST

START_TEST(an_unknown_problem_goes_by_its_status)
{
    one("GET /v1/devices/x", 404, "{\"title\":\"T\"}", "device show x", CLI_NOT_FOUND);
    one("GET /v1/devices/x", 418, "{\"type\":\"https://tcgw.dev/problems/new-one\",\"title\":\"T\"}", "device show x",
        CLI_INVALID);
    one("GET /v1/devices/x", 501, "{\"title\":\"T\"}", "device show x", CLI_UNSUPPORTED);
    one("GET /v1/devices/x", 599, "{\"title\":7}", "device show x", CLI_GATEWAY);
}
END_TEST

START_TEST(a_problem_tells_all_it_has)
{
    one("POST /v1/devices", 400,
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

        expect(script, "device show x", CLI_UNREACHABLE);
        ck_assert_str_eq(fake_result.out, "");
    }
    one("GET /v1/devices", 200, "{\"items\":7}", "device list", CLI_UNREACHABLE);
    ERR_HAS("was not understood");
}
END_TEST

START_TEST(a_silent_gateway_times_out)
{
    const struct fake_step script[] = {{.request = "GET /v1/devices/x", .action = FAKE_SILENCE}, {0}};

    expect(script, "device show x --timeout 1", CLI_TIMEOUT);
    ERR_HAS("did not answer in time");
}
END_TEST

/* Lost connections --------------------------------------------------------- */

START_TEST(a_lost_write_is_sent_again_with_its_key)
{
    const struct fake_step script[] = {{.request = "POST /v1/devices HTTP", .action = FAKE_CLOSE},
                                       {.request = "POST /v1/devices HTTP", .status = 201, .body = DEVICE_JSON},
                                       {0}};

    expect(script, "device add box-1 coap://[::1]", CLI_OK);
    ck_assert_uint_eq(strlen(fake_key(0)), 36);
    ck_assert_str_eq(fake_key(0), fake_key(1));
}
END_TEST

START_TEST(it_is_sent_again_only_once)
{
    const struct fake_step script[] = {{.request = "DELETE /v1/devices/box-1 HTTP", .action = FAKE_CLOSE},
                                       {.request = "DELETE /v1/devices/box-1 HTTP", .action = FAKE_CLOSE},
                                       {0}};

    expect(script, "device remove box-1", CLI_UNREACHABLE);
    ERR_HAS("ended before the answer");
}
END_TEST

/* Devices ------------------------------------------------------------------ */

static void changes(const char *request, const char *body, const char *line)
{
    const struct fake_step script[] = {{.request = request, .contains = body, .status = 200, .body = DEVICE_JSON}, {0}};

    expect(script, line, CLI_OK);
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
}
END_TEST

START_TEST(adds_and_probes)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/devices HTTP", .status = 201, .body = DEVICE_JSON},
        {.request = "POST /v1/devices/box-1/probe HTTP", .status = 202, .body = OP("queued")},
        {.request = "GET /v1/operations/" OP_ID " HTTP", .status = 200, .body = OP("succeeded")},
        {0}};

    expect(script, "device add box-1 coap://[::1] --probe", CLI_OK);
    OUT_HAS("Device box-1 was probed");
}
END_TEST

START_TEST(removes_devices)
{
    one("DELETE /v1/devices/box-1 HTTP", 204, NULL, "device remove box-1", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Device box-1 was removed.\n");
    one("DELETE /v1/devices/box-1 HTTP", 204, NULL, "device remove box-1 --json", CLI_OK);
    ck_assert_str_eq(fake_result.out, "");
}
END_TEST

START_TEST(ids_cannot_change_the_path)
{
    one("GET /v1/devices/..%2Fartifacts HTTP", 400, PROBLEM("invalid-id", 400, ""), "device show ../artifacts",
        CLI_INVALID);
    one("GET /v1/devices/.. HTTP", 400, PROBLEM("invalid-id", 400, ""), "device show ..", CLI_INVALID);
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

    expect(script, line, CLI_OK);
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
    expect(NULL, "artifact push /nonexistent.wasm", CLI_INVALID);
    ERR_HAS("/nonexistent.wasm cannot be read (No such file or directory)");
    expect(NULL, "artifact push /tmp", CLI_INVALID);
    ERR_HAS("/tmp is not a file");
    expect(NULL, push_line("x", "abc", 3, ""), CLI_USAGE);
    ERR_HAS("it is not known what type of container");
    expect(NULL, push_line("x.rbpf", "rBPF", 4, "--data /nonexistent"), CLI_INVALID);
    expect(NULL, "deploy box-1 door /nonexistent/x", CLI_INVALID);
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

    expect(by_prefix, "artifact show 3f2a91", CLI_OK);
    OUT_HAS("Id            " ARTIFACT "\n");
    expect(by_prefix, "artifact show a", CLI_OK);
    one("GET /v1/artifacts/" ARTIFACT " HTTP", 200, ARTIFACT_JSON(ARTIFACT, "a"), "artifact show " ARTIFACT, CLI_OK);
    one("GET /v1/artifacts?", 200, LIST(ARTIFACT_JSON(ARTIFACT, "a") "," ARTIFACT_JSON(OTHER, "b")),
        "artifact show 3f2a", CLI_CONFLICT);
    ERR_HAS("2 artifacts match '3f2a'");
    one("GET /v1/artifacts?", 200, LIST(ARTIFACT_JSON(ARTIFACT, "a")), "artifact show 3f2b", CLI_NOT_FOUND);
    ERR_HAS("no artifact has the id or name '3f2b'");
    one("GET /v1/artifacts?", 200, LIST(ARTIFACT_JSON(ARTIFACT, "a")), "artifact show 3f2", CLI_NOT_FOUND);
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

    expect(code, "artifact get " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.out, "the code");
    (void)snprintf(line, sizeof line, "artifact get %s -o %s/got", ARTIFACT, fake_directory);
    expect(code, line, CLI_OK);
    file = fopen(strchr(line, '/'), "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, file), 8);
    (void)fclose(file);
    ck_assert_str_eq(text, "the code");
    one("GET /v1/artifacts/" ARTIFACT "/data HTTP", 404, PROBLEM("not-found", 404, ""),
        "artifact get " ARTIFACT " --data", CLI_NOT_FOUND);
    (void)snprintf(line, sizeof line, "artifact get %s -o %s/none", ARTIFACT, fake_directory);
    one("GET /v1/artifacts/" ARTIFACT "/code HTTP", 404, PROBLEM("not-found", 404, ""), line, CLI_NOT_FOUND);
    ck_assert_int_ne(access(strchr(line, '/'), F_OK), 0);
    fake_result.out_terminal = true;
    expect(NULL, "artifact get " ARTIFACT, CLI_USAGE);
}
END_TEST

START_TEST(removes_artifacts)
{
    one("DELETE /v1/artifacts/" ARTIFACT " HTTP", 204, NULL, "artifact remove " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Artifact 3f2a91b2c3d4 was removed.\n");
    one("DELETE /v1/artifacts/" ARTIFACT " HTTP", 409, PROBLEM("in-use", 409, ""), "artifact remove " ARTIFACT,
        CLI_CONFLICT);
}
END_TEST

/* Containers and operations ------------------------------------------------ */

#define PUT_DOOR "PUT /v1/devices/box-1/containers/door HTTP"
#define GET_OP "GET /v1/operations/" OP_ID " HTTP"

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

    expect(script, "deploy box-1 door " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Container door runs on box-1 (artifact 3f2a91b2c3d4).\n");
    ck_assert_str_eq(fake_result.err, "");
    expect(script, "deploy box-1 door " ARTIFACT " --json", CLI_OK);
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
    expect(script, line, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Container door is installed on box-1 (artifact 3f2a91b2c3d4).\n");
}
END_TEST

START_TEST(does_not_wait_when_told_so)
{
    one(PUT_DOOR, 202, OP("queued"), "deploy box-1 door " ARTIFACT " --no-wait", CLI_OK);
    ck_assert_str_eq(fake_result.out, "deploying door to box-1: queued as operation " OP_ID ".\n");
    one(PUT_DOOR, 202, OP("queued"), "deploy box-1 door " ARTIFACT " --no-wait -q", CLI_OK);
    ck_assert_str_eq(fake_result.out, OP_ID "\n");
}
END_TEST

static void ends(const char *body, int code)
{
    const struct fake_step script[] = {
        {.request = "POST /v1/devices/box-1/containers/door/start HTTP", .status = 202, .body = OP("queued")},
        {.request = GET_OP, .status = 200, .body = body},
        {0}};

    expect(script, "container start box-1 door", code);
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

    expect(script, "container stop box-1 door --wait=1", CLI_TIMEOUT);
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

    expect(script, "deploy box-1 door " ARTIFACT, CLI_INTERRUPTED);
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

    expect(script, "deploy box-1 door " ARTIFACT, CLI_OK);
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
    expect(script, "deploy box-1 door " ARTIFACT, CLI_OK);
    ERR_HAS("\r\033[Kdeploying door to box-1: loading, 1.0 s");
    ck_assert_str_eq(fake_result.err + strlen(fake_result.err) - 4, "\r\033[K");
    fake_result.err_terminal = false;
    expect((const struct fake_step[]){{.request = PUT_DOOR, .status = 202, .body = OP("queued")},
                                      {.request = GET_OP, .status = 200, .body = OP("succeeded")},
                                      {0}},
           "deploy box-1 door " ARTIFACT, CLI_OK);
    ck_assert_str_eq(fake_result.err, "");
}
END_TEST

START_TEST(stops_removes_and_forgets)
{
    const struct fake_step removal[] = {
        {.request = "DELETE /v1/devices/box-1/containers/door HTTP", .status = 202, .body = OP("queued")},
        {.request = GET_OP, .status = 200, .body = OP("succeeded")},
        {0}};

    one("POST /v1/devices/box-1/containers/door/stop HTTP", 501,
        PROBLEM("agent-unsupported", 501, ",\"advice\":\"Restart it.\""), "container stop box-1 door", CLI_UNSUPPORTED);
    ck_assert_str_eq(fake_result.err, "tcgw: T\n  D\n  Restart it.\n");
    expect(removal, "container remove box-1 door", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Container door was removed from box-1.\n");
    one("DELETE /v1/devices/box-1/containers/door?forget=true HTTP", 204, NULL, "container forget box-1 door", CLI_OK);
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

    expect(script, "container list", CLI_OK);
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

    expect(script, "container logs box-1 door", CLI_OK);
    ck_assert_str_eq(fake_result.out, "one\n\033[31mtwo\n"); /* a pipe gets the bytes */
    fake_result.out_terminal = true;
    expect(script, "container logs box-1 door", CLI_OK);
    ck_assert_str_eq(fake_result.out, "one\n\\x1b[31mtwo\n");
    one("GET /v1/devices/box-1/containers/door/log HTTP", 501, PROBLEM("agent-unsupported", 501, ""),
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

    expect(script, "container logs box-1 door --follow", CLI_OK);
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

    expect(script, "operation watch " OP_ID, CLI_FAILED);
    ck_assert_str_eq(fake_result.out, "deploy door on box-1: queued\ndeploy door on box-1: running, loading\n");
    ERR_HAS("deploy door on box-1 failed: T");
    one(GET_OP, 200, OP("succeeded"), "operation watch " OP_ID, CLI_OK);
    ck_assert_str_eq(fake_result.out, "deploy door on box-1: succeeded\n");
    one(GET_OP, 404, PROBLEM("not-found", 404, ""), "operation watch " OP_ID, CLI_NOT_FOUND);
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

    expect(script, "operation watch --device box-1", CLI_OK);
    OUT_HAS("deploy door on box-1: succeeded\n");
    expect(nothing, "operation watch", CLI_OK);
    OUT_HAS("No unfinished operations.\n");
}
END_TEST

START_TEST(cancels_operations)
{
    one("POST /v1/operations/" OP_ID "/cancel HTTP", 200, OP("cancelled"), "operation cancel " OP_ID, CLI_OK);
    ck_assert_str_eq(fake_result.out, "Operation " OP_ID " was cancelled.\n");
    one("POST /v1/operations/" OP_ID "/cancel HTTP", 200, OP("running"), "operation cancel " OP_ID, CLI_OK);
    OUT_HAS("will be cancelled");
    one("POST /v1/operations/" OP_ID "/cancel HTTP", 409, PROBLEM("not-cancellable", 409, ""),
        "operation cancel " OP_ID, CLI_CONFLICT);
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

    expect(script, "status", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Status          ok\n"
                                      "Version         0.1.0\n"
                                      "Started         2026-01-02T03:04:02.678Z (3 s ago)\n"
                                      "Uptime          1 min 1 s\n"
                                      "Counts devices  2\n"
                                      "Storage free    1.0 MiB\n"
                                      "Storage path    /a\\x1b\n");
    one("GET /healthz HTTP", 503, PROBLEM("storage-failed", 503, ""), "status", CLI_GATEWAY);
}
END_TEST

START_TEST(shows_the_key)
{
#define KEY_JSON "{\"algorithm\":\"Ed25519\",\"public_key\":\"" ARTIFACT "\",\"pem\":\"-----BEGIN\\nx\\n\"}"
    one("GET /v1/key HTTP", 200, KEY_JSON, "key show", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Algorithm   Ed25519\nPublic key  " ARTIFACT "\n\n-----BEGIN\nx\n");
    one("GET /v1/key HTTP", 200, KEY_JSON, "key show --pem", CLI_OK);
    ck_assert_str_eq(fake_result.out, "-----BEGIN\nx\n");
    one("GET /v1/key HTTP", 200, KEY_JSON, "key show --quiet", CLI_OK);
    ck_assert_str_eq(fake_result.out, ARTIFACT "\n");
}
END_TEST

START_TEST(finds_the_gateway_by_the_environment)
{
    (void)setenv("TCGW_SOCKET", fake_socket, 1);
    one("GET /v1/devices", 200, LIST(""), "device list -q", CLI_OK);
    (void)unsetenv("TCGW_SOCKET");
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
        each_problem_has_its_exit_code,
        an_unknown_problem_goes_by_its_status,
        a_problem_tells_all_it_has,
        something_else_is_no_gateway,
        a_silent_gateway_times_out,
        a_lost_write_is_sent_again_with_its_key,
        it_is_sent_again_only_once,
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
        deploys_and_waits,
        deploys_a_file,
        does_not_wait_when_told_so,
        tells_how_operations_end,
        gives_up_waiting,
        leaves_the_operation_when_interrupted,
        bears_a_restart_of_the_gateway,
        shows_progress_on_a_terminal,
        stops_removes_and_forgets,
        lists_containers_of_all_devices,
        prints_logs,
        follows_logs,
        watches_one_operation,
        watches_a_device,
        cancels_operations,
        shows_the_status,
        shows_the_key,
        finds_the_gateway_by_the_environment,
    };

    return fake_run_tests("cli_commands", tests, array_size(tests));
}
