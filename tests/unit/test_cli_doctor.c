#include "config.h"

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/redact.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What the gateway tells a doctor; what a bundle must not have. */

#define INFO                                                                                                           \
    "{\"version\":\"" PACKAGE_VERSION "\",\"uptime_seconds\":60,\"counts\":{\"devices\":1,\"containers\":0},"          \
    "\"storage\":{\"failed_commits\":0,\"schema_version\":9,\"file_bytes\":4096,\"commits\":3}}"
#define READY                                                                                                          \
    "{\"status\":\"ready\",\"checks\":{\"loop\":{\"status\":\"ok\"},\"uplink\":{\"status\":\"warning\","               \
    "\"detail\":\"cloud is away\"}}}"
#define SICK_INFO                                                                                                      \
    "{\"version\":\"0.0.1\",\"uptime_seconds\":60,\"storage\":{\"failed_commits\":2,\"schema_version\":9}}"
#define SINK(name, state, letters)                                                                                     \
    "{\"name\":\"" name "\",\"state\":\"" state "\",\"target\":\"mqtt://b\",\"behind\":7,\"error\":\"no way\","        \
    "\"dead_letters\":" letters "}"
#define DEVICE(id, state, security)                                                                                    \
    "{\"id\":\"" id "\",\"security\":\"" security "\",\"presence\":{\"state\":\"" state "\"}}"
#define CORE "GET /v1/devices/gone/resources/.well-known/core HTTP"

static const char no_coap[] = "[coap]\nlisten =\n";

static void examine(const char *health, int status, const char *info, const char *disk, const char *sinks,
                    const char *devices, const char *line, int code)
{
    const struct fake_step script[] = {{.request = "GET /healthz HTTP", .status = status, .body = health},
                                       {.request = "GET /readyz HTTP", .status = status, .body = READY},
                                       {.request = "GET /v1/info HTTP", .status = 200, .body = info},
                                       {.request = "GET /v1/storage HTTP", .status = 200, .body = disk},
                                       {.request = "GET /v1/info HTTP", .status = 200, .body = info},
                                       {.request = "GET /v1/sinks HTTP", .status = 200, .body = sinks},
                                       {.request = "GET /v1/devices?limit=1000 HTTP", .status = 200, .body = devices},
                                       {0}};

    fake_expect(script, line, code);
}

START_TEST(a_gateway_that_is_well)
{
    char line[256];

    (void)snprintf(line, sizeof line, "doctor --config %s", fake_file("c.conf", no_coap, strlen(no_coap)));
    examine("{\"status\":\"ok\"}", 200, INFO, "{\"disk\":{\"free\":90,\"size\":100}}", LIST(SINK("cloud", "up", "0")),
            LIST(DEVICE("box-1", "online", "oscore") "," DEVICE("box-2", "asleep", "oscore")), line, CLI_OK);
    OUT_HAS("up for 1 min 0 s, 1 devices, 0 containers");
    OUT_HAS("sink cloud is up, 7 entries behind");
    OUT_HAS("box-1 is online");
    OUT_HAS("box-2 sleeps");
    OUT_HAS("Errors: 0");
}
END_TEST

START_TEST(what_is_wrong_and_what_to_do)
{
    examine("{\"status\":\"failing\",\"detail\":\"disk\"}", 503, SICK_INFO, "{\"disk\":{\"free\":1,\"size\":100000}}",
            LIST(SINK("cloud", "waiting", "3") "," SINK("b", "failed", "0")),
            LIST(DEVICE("box-1", "late", "plain") "," DEVICE("box-2", "unknown", "none")),
            "doctor --no-ask --config /dev/null", CLI_FAILED);
    OUT_HAS("the gateway is not well: disk");
    OUT_HAS("uplink: cloud is away");
    OUT_HAS("the gateway is tcgwd 0.0.1");
    OUT_HAS("are left on the gateway's disk");
    OUT_HAS("2 changes could not be written");
    OUT_HAS("sink cloud (mqtt://b) is waiting, 7 entries behind: no way");
    OUT_HAS("tcgw sink dead-letters");
    OUT_HAS("sink b cannot be used");
    OUT_HAS("box-1 is late");
    OUT_HAS("box-1 has no credentials");
    OUT_HAS("box-2 is unknown");
}
END_TEST

START_TEST(devices_are_asked)
{
    const struct fake_step script[] = {
        {.request = "GET /healthz HTTP", .status = 200, .body = "{\"status\":\"ok\"}"},
        {.request = "GET /readyz HTTP", .status = 404, .body = PROBLEM("not-found", 404, "")},
        {.request = "GET /v1/info HTTP", .status = 200, .body = INFO},
        {.request = "GET /v1/storage HTTP", .status = 403, .body = PROBLEM("forbidden", 403, "")},
        {.request = "GET /v1/info HTTP", .status = 200, .body = INFO},
        {.request = "GET /v1/sinks HTTP", .status = 200, .body = LIST("")},
        {.request = "GET /v1/devices?limit=1000 HTTP", .status = 200, .body = LIST(DEVICE("gone", "offline", "dtls"))},
        {.request = CORE, .contains = "wait=5", .status = 504, .body = PROBLEM("device-timeout", 504, "")},
        {0}};
    json_t *all, *finding;
    unsigned seen = 0;
    char line[256];
    size_t i;

    (void)snprintf(line, sizeof line, "doctor --json --config %s", fake_file("c.conf", no_coap, strlen(no_coap)));
    fake_expect(script, line, CLI_OK);
    all = json_loads(fake_result.out, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(all, "errors")), 0);
    json_array_foreach(json_object_get(all, "findings"), i, finding)
    {
        const char *check = json_string_value(json_object_get(finding, "check")),
                   *state = json_string_value(json_object_get(finding, "state"));

        seen += strcmp(check, "devices") == 0 && strcmp(state, "warning") == 0;
        seen += strcmp(check, "storage") == 0 && strcmp(state, "skipped") == 0;
    }
    ck_assert_uint_eq(seen, 2);
    json_decref(all);
}
END_TEST

START_TEST(a_gateway_that_is_gone)
{
    fake_expect(NULL, "doctor --socket /nonexistent --config /nonexistent.conf", CLI_FAILED);
    OUT_HAS("no gateway can be reached at /nonexistent");
    OUT_HAS("/nonexistent.conf");
    OUT_HAS("only the gateway knows");
    fake_expect(NULL, "doctor -q --socket /nonexistent --config /dev/null", CLI_FAILED);
    ck_assert_ptr_null(strstr(fake_result.out, "ok "));
}
END_TEST

START_TEST(a_configuration_with_a_typo)
{
    static const char text[] = "[gateway]\nstate_directry = /tmp\n";
    char line[256];

    (void)snprintf(line, sizeof line, "doctor --socket /nonexistent -c %s", fake_file("c.conf", text, strlen(text)));
    fake_expect(NULL, line, CLI_FAILED);
    OUT_HAS("c.conf:2: ");
}
END_TEST

/* A certificate of the configuration that is none, and a key that everybody may read. */
START_TEST(files_of_the_configuration)
{
    char line[256], text[256];
    const char *file = fake_file("bad.pem", "x", 1);

    (void)chmod(file, 0644);
    (void)snprintf(text, sizeof text, "[coap]\ncertificate = %s\nprivate_key = %s\n", file, file);
    (void)snprintf(line, sizeof line, "doctor --socket /nonexistent -c %s", fake_file("c.conf", text, strlen(text)));
    fake_expect(NULL, line, CLI_FAILED);
    OUT_HAS("is no certificate");
    OUT_HAS("is open to everybody");
}
END_TEST

/* Secrets ---------------------------------------------------------------------------------------------------------- */

static void removes(const char *text, const char *expected)
{
    struct buffer out = redact_text(text, strlen(text));

    ck_assert_str_eq(buffer_text(&out), expected);
    buffer_clear(&out);
}

START_TEST(secrets_in_texts)
{
    removes("url = mqtts://me:pw@host:8883/x\n", "url = mqtts://[removed]@host:8883/x\n");
    removes("two http://a:b@c and https://d:e@f", "two http://[removed]@c and https://[removed]@f");
    removes("Authorization: Bearer abc.def, next\n", "Authorization: Bearer [removed], next\n");
    removes("a Basic dXNlcg==\n", "a Basic [removed]\n");
    removes("password = hunter2\nname = box\n", "password =[removed]\nname = box\n");
    removes("  \"api_token\": \"x\",\n", "  \"api_token\":[removed]\n");
    removes("password_file = /etc/pw\ntoken_id = 7\n", "password_file = /etc/pw\ntoken_id = 7\n");
    removes("x\n-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\ny\n", "x\n[removed]\ny\n");
    removes("-----BEGIN EC PRIVATE KEY-----\nnever ends", "[removed]");
    removes("-----BEGIN PUBLIC KEY-----\nMII\n", "-----BEGIN PUBLIC KEY-----\nMII\n");
    removes("mail me@example.com, coap://[::1]/a@b\n", "mail me@example.com, coap://[::1]/a@b\n");
    removes("\033[2J", "\\x1b[2J");
    removes("", "");
}
END_TEST

/* A line that is too long, and one with very many secrets. */
START_TEST(long_lines)
{
    struct buffer line = {0}, out;

    for (unsigned i = 0; i < 20000; i++)
        buffer_append_text(&line, "Bearer abcdef ");
    out = redact_text(buffer_text(&line), line.size);
    ck_assert_uint_le(out.size, 2 * 65536);
    ck_assert_ptr_null(strstr(buffer_text(&out), "abc"));
    ck_assert_str_eq(buffer_text(&out) + out.size - 9, "[removed]");
    buffer_clear(&out);
    buffer_clear(&line);
}
END_TEST

START_TEST(secrets_in_json)
{
    json_t *json = json_loads("{\"a\":[{\"password\":\"x\",\"password_file\":\"/x\"}],\"master_secret\":\"00\","
                              "\"token\":null,\"name\":\"n\"}",
                              0, NULL),
           *expected = json_loads("{\"a\":[{\"password\":\"[removed]\",\"password_file\":\"/x\"}],\"master_secret\":"
                                  "\"[removed]\",\"token\":null,\"name\":\"n\"}",
                                  0, NULL);

    redact_json(json);
    ck_assert(json_equal(json, expected));
    json_decref(json);
    json_decref(expected);
}
END_TEST

START_TEST(secrets_that_are_known)
{
    struct buffer text = {0};

    buffer_append_text(&text, "a hunter2 b 68756e74657232 c hunter2");
    redact_secret(&text, "hunter2\n", 8);
    ck_assert_str_eq(buffer_text(&text), "a [removed] b [removed] c [removed]");
    redact_secret(&text, "a", 1); /* too short to be looked for */
    ck_assert_str_eq(buffer_text(&text), "a [removed] b [removed] c [removed]");
    buffer_clear(&text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_gateway_that_is_well,
        what_is_wrong_and_what_to_do,
        devices_are_asked,
        a_gateway_that_is_gone,
        a_configuration_with_a_typo,
        files_of_the_configuration,
        secrets_in_texts,
        long_lines,
        secrets_in_json,
        secrets_that_are_known,
    };

    return fake_run_tests("cli doctor", tests, array_size(tests));
}
