/* Credentials, agents that join, resources and shadows on the command line. */
#include "base/cleanup.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "0102030405060708090a0b0c0d0e0f10"
#define OSCORE_JSON                                                                                                    \
    "{\"kind\":\"oscore\",\"number\":7,\"device\":\"box-1\",\"algorithm\":\"AES-CCM-16-64-128\",\"hkdf\":\"SHA-256\"," \
    "\"master_secret\":\"" SECRET "\",\"master_salt\":\"9e7ca92223786340\",\"sender_id\":\"a1b2\",\"recipient_id\":"   \
    "\"67\",\"id_context\":\"37cbf3210017a2d3\"}"
#define PSK_JSON "{\"kind\":\"psk\",\"number\":8,\"device\":\"box-1\",\"identity\":\"box-1\",\"key\":\"" SECRET "\"}"
#define CERTIFICATE_JSON                                                                                               \
    "{\"kind\":\"certificate\",\"number\":9,\"device\":\"box-1\",\"common_name\":\"box-1\",\"certificate\":"           \
    "\"-----BEGIN CERTIFICATE-----\\n\",\"private_key\":\"-----BEGIN PRIVATE "                                         \
    "KEY-----\\n\",\"ca\":\"-----CA-----\\n\"}"
#define LISTED                                                                                                         \
    "{\"number\":7,\"kind\":\"oscore\",\"state\":\"new\",\"algorithm\":\"AES-CCM-16-64-128\",\"sender_id\":\"67\","    \
    "\"recipient_id\":\"a1b2\",\"id_context\":\"37cb\",\"identity\":null,\"created_at\":\"2026-01-02T03:04:02.678Z\"," \
    "\"first_used_at\":null,\"sequence_number\":0}"
#define CREDENTIALS "/v1/devices/box-1/credentials HTTP"

static void enrols(const char *contains, const char *answer, const char *line)
{
    const struct fake_step script[] = {
        {.request = "POST " CREDENTIALS, .contains = contains, .status = 201, .body = answer}, {0}};

    fake_expect(script, line, CLI_OK);
}

/* Enrolment ------------------------------------------------------------------------------------------------------- */

START_TEST(enrols_in_each_form)
{
    enrols("\r\n\r\n{\"kind\":\"oscore\"}", OSCORE_JSON, "device enrol box-1");
    OUT_HAS("\"master_secret\": \"" SECRET "\"");
    ERR_HAS("shown this once");
    ck_assert_str_eq(fake_key(0), ""); /* the gateway keeps no answer with secrets */
    enrols("{\"kind\":\"oscore\",\"algorithm\":\"A128GCM\"}", OSCORE_JSON,
           "device enrol box-1 --algorithm A128GCM --format libcoap");
    ck_assert_str_eq(fake_result.out, "# OSCORE, the side of device box-1; see coap-oscore-conf(5)\n"
                                      "master_secret,hex,\"" SECRET "\"\n"
                                      "master_salt,hex,\"9e7ca92223786340\"\n"
                                      "sender_id,hex,\"a1b2\"\n"
                                      "recipient_id,hex,\"67\"\n"
                                      "id_context,hex,\"37cbf3210017a2d3\"\n"
                                      "aead_alg,integer,10\n"
                                      "hkdf_alg,integer,-10\n"
                                      "rfc8613_b_2,bool,true\n");
    enrols(NULL, OSCORE_JSON, "device enrol box-1 --format aiocoap");
    OUT_HAS("\"secret_hex\": \"" SECRET "\"");
    OUT_HAS("\"sender-id_hex\": \"a1b2\"");
    OUT_HAS("\"id-context_hex\": \"37cbf3210017a2d3\"");
    OUT_HAS("\"algorithm\": \"AES-CCM-16-64-128\"");
    enrols(NULL, OSCORE_JSON, "device enrol box-1 --format c");
    OUT_HAS("#define OSCORE_ALGORITHM 10");
    OUT_HAS("#define OSCORE_SENDER_ID_SIZE 2\nstatic const unsigned char oscore_sender_id[] = {0xa1, 0xb2};");
    enrols(NULL, OSCORE_JSON, "device enrol box-1 --json");
    OUT_HAS("\"master_secret\"");
    ck_assert_str_eq(fake_result.err, "");
}
END_TEST

START_TEST(enrols_other_kinds)
{
    enrols("{\"kind\":\"psk\"}", PSK_JSON, "device enrol box-1 --kind psk --format aiocoap");
    OUT_HAS("\"client-identity\"");
    enrols(NULL, PSK_JSON, "device enrol box-1 --kind psk --format c");
    OUT_HAS("#define PSK_IDENTITY \"box-1\"");
    enrols("{\"kind\":\"certificate\",\"valid_days\":30}", CERTIFICATE_JSON,
           "device enrol box-1 --kind certificate --valid-days 30 --format pem");
    ck_assert_str_eq(fake_result.out, "-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n-----CA-----\n");
    fake_expect(NULL, "device enrol box-1 --kind psk --format libcoap", CLI_USAGE);
    fake_expect(NULL, "device enrol box-1 --kind certificate --format qr", CLI_USAGE);
    fake_expect(NULL, "device enrol box-1 --format pem", CLI_USAGE);
    fake_expect(NULL, "device enrol box-1 --format c --json", CLI_USAGE);
    fake_expect(NULL, "device enrol box-1 --kind rsa", CLI_USAGE);
    fake_expect(NULL, "device enrol box-1 --valid-days 0", CLI_USAGE);
    fake_expect(NULL, "device enrol box-1 --quiet", CLI_USAGE);
}
END_TEST

/* Undoes the half blocks, which show light modules; the code's finder patterns stand in three corners. */
START_TEST(draws_a_qr_code)
{
    size_t lines = 0, columns;

    enrols(NULL, OSCORE_JSON, "device enrol box-1 --format qr");
    for (const char *p = fake_result.out; (p = strchr(p, '\n')); p++)
        lines++;
    ck_assert_uint_gt(lines, 20);
    ck_assert(strncmp(fake_result.out, "\xe2\x96\x88\xe2\x96\x88", 6) == 0); /* the quiet zone is light */
    columns = strcspn(fake_result.out, "\n") / 3;
    ck_assert_uint_eq((columns + 1) / 2, lines);
    enrols(NULL, OSCORE_JSON, "device enrol box-1 --format qr --color always");
    OUT_HAS("\033[97;40m");
}
END_TEST

START_TEST(writes_secrets_to_a_new_file_of_the_user)
{
    char line[256], path[128];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/secrets", fake_directory);
    (void)snprintf(line, sizeof line, "device enrol box-1 -o %s", path);
    enrols(NULL, OSCORE_JSON, line);
    ck_assert_str_eq(fake_result.err, "");
    OUT_HAS("Credentials 7 of box-1 were made and written to");
    ck_assert_ptr_null(strstr(fake_result.out, SECRET));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_gt(st.st_size, 100);
    fake_expect(NULL, line, CLI_INVALID); /* nothing is asked for that cannot be written */
    ERR_HAS("File exists");
    ck_assert_int_eq(unlink(path), 0);
    fake_one("POST " CREDENTIALS, 404, PROBLEM("not-found", 404, ""), line, CLI_NOT_FOUND);
    ck_assert_int_ne(stat(path, &st), 0);
    fake_expect(NULL, "device enrol box-1 -o /nonexistent/x", CLI_INVALID);
}
END_TEST

START_TEST(creates_the_device_first)
{
    struct fake_step script[] = {{.request = "POST /v1/devices HTTP",
                                  .contains = "{\"id\":\"box-1\",\"address\":\"coap://[::1]\"}",
                                  .status = 201,
                                  .body = DEVICE_JSON},
                                 {.request = "POST " CREDENTIALS, .status = 201, .body = OSCORE_JSON},
                                 {0}};

    fake_expect(script, "device enrol box-1 --create coap://[::1]", CLI_OK);
    script[0].status = 409;
    script[0].body = PROBLEM("already-exists", 409, "");
    fake_expect(script, "device enrol box-1 --create coap://[::1]", CLI_OK);
    fake_one("POST /v1/devices HTTP", 400, PROBLEM("invalid-field", 400, ""), "device enrol box-1 --create x",
             CLI_INVALID);
}
END_TEST

START_TEST(rotates_what_there_is)
{
    const struct fake_step script[] = {{.request = "GET " CREDENTIALS, .status = 200, .body = LIST(LISTED)},
                                       {.request = "POST " CREDENTIALS, .status = 201, .body = OSCORE_JSON},
                                       {0}};

    fake_expect(script, "device rotate box-1 --format c", CLI_OK);
    fake_one("GET " CREDENTIALS, 200, LIST(""), "device rotate box-1", CLI_CONFLICT);
    ERR_HAS("tcgw device enrol");
}
END_TEST

/* Import ---------------------------------------------------------------------------------------------------------- */

static void imports(const char *file, const char *options, const char *contains)
{
    const struct fake_step script[] = {
        {.request = "PUT " CREDENTIALS, .contains = contains, .status = 201, .body = LIST(LISTED)}, {0}};
    char line[512];

    (void)snprintf(line, sizeof line, "device import box-1 %s %s", fake_file("credentials", file, strlen(file)),
                   options);
    fake_expect(script, line, CLI_OK);
    ck_assert_str_eq(fake_result.out, "The credentials of box-1 were imported.\n");
}

START_TEST(imports_what_enrol_prints)
{
    imports(OSCORE_JSON, "", "\"sender_id\":\"67\",\"recipient_id\":\"a1b2\"");
    imports(OSCORE_JSON, "--gateway-side", "\"sender_id\":\"a1b2\",\"recipient_id\":\"67\"");
    imports(OSCORE_JSON, "--fresh", "\"fresh\":true");
    imports(PSK_JSON, "", "{\"kind\":\"psk\",\"identity\":\"box-1\",\"key\":\"" SECRET "\"}");
    imports("{\"kind\":\"certificate\",\"fingerprint\":\"" ARTIFACT "\",\"common_name\":\"cn\"}", "",
            "\"fingerprint\":\"" ARTIFACT "\"");
}
END_TEST

START_TEST(imports_libcoap)
{
    static const char file[] = "# comment\n\nmaster_secret,hex,\"" SECRET "\"\r\nmaster_salt,ascii,\"salt\"\n"
                               "sender_id,ascii,client\nrecipient_id,hex,\"00\"\nreplay_window,integer,32\n"
                               "aead_alg,integer,30\nhkdf_alg,integer,-10\n";

    imports(file, "",
            "{\"kind\":\"oscore\",\"master_secret\":\"" SECRET "\",\"master_salt\":\"73616c74\",\"sender_id\":\"00\","
            "\"recipient_id\":\"636c69656e74\",\"algorithm\":\"AES-CCM-16-128-128\"}");
    imports("master_secret,hex,\"" SECRET "\"\nsender_id,hex,\"\"\nrecipient_id,hex,\"01\"\naead_alg,text,\"A128GCM\"",
            "", "\"sender_id\":\"01\",\"recipient_id\":\"\",\"algorithm\":\"A128GCM\"");
}
END_TEST

START_TEST(imports_aiocoap)
{
    imports("{\"secret_hex\":\"" SECRET "\",\"sender-id_ascii\":\"c\",\"recipient-id_hex\":\"01\",\"algorithm\":"
            "\"ChaCha20/Poly1305\"}",
            "",
            "{\"kind\":\"oscore\",\"algorithm\":\"ChaCha20/Poly1305\",\"master_secret\":\"" SECRET
            "\",\"sender_id\":\"01\",\"recipient_id\":\"63\"}");
}
END_TEST

START_TEST(refuses_other_files)
{
    static const char *const bad[] = {
        "",
        "nonsense",
        "{",
        "{}",
        "[]",
        "{\"kind\":\"oscore\",\"sender_id\":\"00\"}",
        "{\"secret_hex\":\"00\",\"kdf-hashfun\":\"sha512\"}",
        "{\"secret_hex\":\"00\",\"algorithm\":\"A128CBC\"}",
        "{\"secret_hex\":\"00\",\"secret_hex\":\"01\"}",
        "sender_id,hex,\"00\"",
        "master_secret,hex,\"00\"\naead_alg,integer,99",
        "master_secret,integer,5",
        "master_secret,hex",
    };

    for (size_t i = 0; i < array_size(bad); i++) {
        char line[256];

        (void)snprintf(line, sizeof line, "device import box-1 %s", fake_file("bad", bad[i], strlen(bad[i])));
        fake_expect(NULL, line, CLI_INVALID);
        ERR_HAS("is not a file with credentials");
    }
    fake_expect(NULL, "device import box-1 /nonexistent", CLI_INVALID);
    fake_expect(NULL, "device import box-1", CLI_USAGE);
}
END_TEST

/* Life ------------------------------------------------------------------------------------------------------------ */

START_TEST(lists_and_revokes)
{
    fake_one("GET " CREDENTIALS, 200, LIST(LISTED), "device credentials box-1", CLI_OK);
    OUT_HAS("NUMBER");
    OUT_HAS("3 s ago");
    fake_one("GET " CREDENTIALS, 200, LIST(""), "device credentials box-1", CLI_OK);
    OUT_HAS("tcgw device enrol DEVICE");
    fake_one("DELETE " CREDENTIALS, 204, NULL, "device revoke box-1", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Credentials of box-1 were revoked.\n");
    fake_one("DELETE /v1/devices/box-1/credentials/7 HTTP", 204, NULL, "device revoke box-1 7", CLI_OK);
    ck_assert_str_eq(fake_result.out, "Credentials 7 of box-1 were revoked.\n");
    fake_one("POST /v1/gateway/distrust-contexts HTTP", 204, NULL, "gateway distrust", CLI_OK);
}
END_TEST

static void sends(const char *request, const char *contains, const char *line)
{
    const struct fake_step script[] = {{.request = request, .contains = contains, .status = 200, .body = DEVICE_JSON},
                                       {0}};

    fake_expect(script, line, CLI_OK);
}

START_TEST(sets_groups_and_plain)
{
    sends("PATCH /v1/devices/box-1 HTTP", "{\"allow_plain\":true,\"groups\":[\"lab\",\"bench\",\"x\"]}",
          "device set box-1 --allow-plain --group lab,bench --group x");
    sends("PATCH /v1/devices/box-1 HTTP", "{\"allow_plain\":false,\"groups\":[]}",
          "device set box-1 --allow-plain=no --no-groups");
    sends("PATCH /v1/devices/box-1 HTTP", "{\"labels\":{\"site\":\"paris\",\"old\":null}}",
          "device set box-1 --label site=paris --label old=");
    fake_expect(NULL, "device set box-1 --label site", CLI_USAGE);
    fake_expect(NULL, "device set box-1 --label =x", CLI_USAGE);
    fake_expect(NULL, "device set box-1 --allow-plain=maybe", CLI_USAGE);
    fake_one("GET /v1/devices/box-1 HTTP", 200, DEVICE_JSON, "device show box-1", CLI_OK);
    OUT_HAS("lab, bench");
}
END_TEST

/* Joining --------------------------------------------------------------------------------------------------------- */

#define JOIN(open, items) "{\"open\":" open ",\"closes_at\":\"2026-01-02T03:09:05.678Z\",\"pending\":[" items "]}"
#define PENDING                                                                                                        \
    "{\"id\":\"box-4\",\"address\":\"coap://"                                                                          \
    "[::1]:9\",\"first_seen_at\":\"2026-01-02T03:04:02.678Z\",\"last_seen_at\":"                                       \
    "\"2026-01-02T03:04:02.678Z\"}"

START_TEST(agents_join)
{
    fake_one("PUT /v1/join HTTP", 200, JOIN("true", ""), "join open 5", CLI_OK);
    OUT_HAS("Agents may ask to join for 5 min");
    fake_expect(NULL, "join open 0", CLI_USAGE);
    fake_expect(NULL, "join open 1441", CLI_USAGE);
    fake_expect(NULL, "join open soon", CLI_USAGE);
    fake_one("GET /v1/join HTTP", 200, JOIN("true", PENDING), "join list", CLI_OK);
    OUT_HAS("the window closes in 5 min.\n");
    OUT_HAS("box-4  coap://[::1]:9");
    fake_one("GET /v1/join HTTP", 200, JOIN("false", ""), "join list", CLI_OK);
    OUT_HAS("Agents may not ask to join.\n");
    fake_one("GET /v1/join HTTP", 200, JOIN("true", PENDING), "join list -q", CLI_OK);
    ck_assert_str_eq(fake_result.out, "box-4\n");
    fake_one("GET /v1/join HTTP", 200, JOIN("true", PENDING), "join list --json", CLI_OK);
    OUT_HAS("closes_at");
    sends("POST /v1/join/box-4 HTTP", "\r\n\r\n{}", "join approve box-4");
    OUT_HAS("enrol it next");
    sends("POST /v1/join/box-4 HTTP", "{\"name\":\"N\",\"allow_plain\":true,\"groups\":[\"lab\"]}",
          "join approve box-4 --name N --allow-plain --group lab");
    fake_one("DELETE /v1/join/box-4 HTTP", 204, NULL, "join reject box-4", CLI_OK);
    fake_one("DELETE /v1/join HTTP", 204, NULL, "join close", CLI_OK);
    fake_one("DELETE /v1/join/box-4 HTTP", 404, PROBLEM("not-found", 404, ""), "join reject box-4", CLI_NOT_FOUND);
}
END_TEST

/* Resources ------------------------------------------------------------------------------------------------------- */

#define RESOURCES "/v1/devices/box-1/resources"

START_TEST(reads_resources)
{
    struct fake_step script[] = {{.request = "GET " RESOURCES "/sensors//t%20p?u=K HTTP",
                                  .contains = "Accept: */*",
                                  .status = 200,
                                  .type = "text/plain",
                                  .body = "21.5\033[2J"},
                                 {0}};
    char line[256], path[128], bytes[32] = "";
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/out", fake_directory);
    (void)snprintf(line, sizeof line, "resource get box-1 /t -o %s --accept application/cbor --wait 5", path);
    fake_expect(script, "resource get box-1 sensors//t%20p?u=K", CLI_OK);
    ck_assert_str_eq(fake_result.out, "21.5\033[2J"); /* for a program: as it is */
    fake_result.out_terminal = true;
    fake_expect(script, "resource get box-1 /sensors//t%20p?u=K", CLI_OK);
    ck_assert_ptr_null(strchr(fake_result.out, '\033'));
    script[0] = (struct fake_step){.request = "GET " RESOURCES "/t HTTP",
                                   .contains = "Prefer: wait=5",
                                   .status = 200,
                                   .type = "application/cbor",
                                   .body = "\xff"};
    fake_expect(script, line, CLI_OK);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(bytes, sizeof bytes, file));
    ck_assert_str_eq(bytes, "\xff");
    (void)fclose(file);
    script[0].contains = NULL;
    fake_expect(script, "resource get box-1 /t", CLI_USAGE);
    ERR_HAS("--output FILE");
}
END_TEST

START_TEST(writes_resources)
{
    char line[256];
    struct fake_step script[] = {
        {.request = "PUT " RESOURCES "/led HTTP", .contains = "Content-Type: application/json", .status = 204}, {0}};

    (void)snprintf(line, sizeof line, "resource put box-1 /led %s", fake_file("on", "{\"on\":1}", 8));
    fake_expect(script, line, CLI_OK);
    ck_assert_str_eq(fake_key(0), "");
    script[0].contains = "Content-Type: text/plain;charset=utf-8";
    (void)snprintf(line, sizeof line, "resource put box-1 /led %s", fake_file("on", "{", 1));
    fake_expect(script, line, CLI_OK);
    script[0].contains = "Content-Type: application/octet-stream";
    (void)snprintf(line, sizeof line, "resource put box-1 /led %s", fake_file("on", "\xff\0\1", 3));
    fake_expect(script, line, CLI_OK);
    script[0] = (struct fake_step){.request = "POST " RESOURCES "/led HTTP",
                                   .contains = "Content-Type: application/cbor",
                                   .status = 200,
                                   .type = "text/plain",
                                   .body = "done"};
    (void)snprintf(line, sizeof line, "resource post box-1 /led %s --type application/cbor",
                   fake_file("on", "\xa0", 1));
    fake_expect(script, line, CLI_OK);
    ck_assert_str_eq(fake_result.out, "done");
    fake_one("PATCH " RESOURCES "/led HTTP", 204, NULL, "resource patch box-1 /led", CLI_OK);
    fake_one("DELETE " RESOURCES "/led HTTP", 204, NULL, "resource delete box-1 /led", CLI_OK);
    fake_one("DELETE " RESOURCES "/led HTTP", 404, PROBLEM("device-error", 404, ""), "resource delete box-1 /led",
             CLI_FAILED);
    fake_expect(NULL, "resource put box-1 /led /nonexistent", CLI_INVALID);
}
END_TEST

#define EVENT(id, kind, data) "id: " id "\nevent: " kind "\ndata: " data "\n\n"
#define VALUE(payload) "{\"code\":\"2.05\",\"content_format\":0,\"time\":\"2026-01-02T03:04:05.678Z\"," payload "}"

START_TEST(observes_resources)
{
    struct fake_step script[] = {
        {.request = "GET " RESOURCES "/t HTTP",
         .contains = "Accept: text/event-stream",
         .status = 200,
         .type = "text/event-stream",
         .body = EVENT("1", "representation", VALUE("\"payload\":\"21\\n\"")) ":\n\n" EVENT(
             "2", "representation", VALUE("\"payload_base64\":\"/w==\"")) EVENT("3", "end", "{\"detail\":\"over\"}")},
        {0}};

    fake_expect(script, "resource observe box-1 /t", CLI_OK);
    ck_assert_str_eq(fake_result.out, "2026-01-02T03:04:05.678Z 2.05 21\\n\n2026-01-02T03:04:05.678Z 2.05 /w==\n");
    fake_expect(script, "resource observe box-1 /t --count 1", CLI_OK);
    ck_assert_str_eq(fake_result.out, "2026-01-02T03:04:05.678Z 2.05 21\\n\n");
    fake_expect(script, "resource observe box-1 /t --json --count 1", CLI_OK);
    ck_assert_str_eq(fake_result.out, VALUE("\"payload\":\"21\\n\"") "\n");
    script[0].body = EVENT("1", "end", PROBLEM("device-timeout", 504, ""));
    fake_expect(script, "resource observe box-1 /t", CLI_TIMEOUT);
    ck_assert_str_eq(fake_result.out, "");
    fake_one("GET " RESOURCES "/t HTTP", 503, PROBLEM("too-many-connections", 503, ""), "resource observe box-1 /t",
             CLI_GATEWAY);
    fake_expect(NULL, "resource observe box-1 /t --count 0", CLI_USAGE);
}
END_TEST

START_TEST(keeps_shadows)
{
    char line[256];
    struct fake_step script[] = {{.request = "PUT /v1/devices/box-1/shadow/desired HTTP",
                                  .contains = "\r\n\r\n{\"a\":1}",
                                  .status = 201,
                                  .type = "text/plain"},
                                 {0}};

    (void)snprintf(line, sizeof line, "shadow set box-1 %s", fake_file("w", "{\"a\":1}", 7));
    fake_expect(script, line, CLI_OK);
    ck_assert_str_ne(fake_key(0), "");
    fake_one("GET /v1/devices/box-1/shadow/desired HTTP", 200, "{\"a\":1}", "shadow get box-1", CLI_OK);
    ck_assert_str_eq(fake_result.out, "{\"a\":1}");
    fake_one("GET /v1/devices/box-1/shadow/reported HTTP", 404, PROBLEM("not-found", 404, ""),
             "shadow get box-1 --reported", CLI_NOT_FOUND);
    fake_one("DELETE /v1/devices/box-1/shadow/desired HTTP", 204, NULL, "shadow delete box-1", CLI_OK);
    fake_expect(NULL, "shadow set box-1 /nonexistent", CLI_INVALID);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        enrols_in_each_form,
        enrols_other_kinds,
        draws_a_qr_code,
        writes_secrets_to_a_new_file_of_the_user,
        creates_the_device_first,
        rotates_what_there_is,
        imports_what_enrol_prints,
        imports_libcoap,
        imports_aiocoap,
        refuses_other_files,
        lists_and_revokes,
        sets_groups_and_plain,
        agents_join,
        reads_resources,
        writes_resources,
        observes_resources,
        keeps_shadows,
    };

    return fake_run_tests("cli_credentials", tests, array_size(tests));
}
