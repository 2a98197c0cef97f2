#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/payload.h"
#include "cli_fake.h"
#include "cli_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Raw requests, and how payloads are shown. */

#define PATH "/v1/devices/box-1/resources/x HTTP"

static void answers(const char *request, const char *contains, int status, const char *type, const char *head,
                    const char *body, const char *line, int code)
{
    const struct fake_step script[] = {
        {.request = request, .contains = contains, .status = status, .type = type, .body = body, .head = head}, {0}};

    fake_expect(script, line, code);
}

START_TEST(shows_code_options_and_payload)
{
    answers("GET " PATH, "Cache-Control: no-cache", 200, "application/json",
            "Tcgw-Coap-Code: 2.05\r\nETag: \"01ab\"\r\nCache-Control: max-age=7\r\n", "{\"a\":1}", "coap get box-1 /x",
            CLI_OK);
    OUT_HAS("2.05 Content, ");
    OUT_HAS(
        "  Content-Format: application/json; charset=utf-8\n  ETag: 01ab\n  Max-Age: 7\n  Payload: 7 bytes, json\n");
    OUT_HAS("      \"a\": 1\n");
}
END_TEST

START_TEST(shows_errors_of_the_device)
{
    answers("GET " PATH, NULL, 404, "application/problem+json", "Tcgw-Coap-Code: 4.04\r\n",
            PROBLEM("device-error", 404, ",\"detail\":\"The device answered 4.04: no \\u001bx\""), "coap get box-1 x",
            CLI_FAILED);
    OUT_HAS("4.04 Not Found");
    OUT_HAS("no \\x1bx");
    answers("POST " PATH, NULL, 503, "text/plain", "Tcgw-Coap-Code: 5.03\r\nRetry-After: 9\r\n", "busy",
            "coap post box-1 /x", CLI_FAILED);
    OUT_HAS("Max-Age: 9");
    answers("GET " PATH, NULL, 504, NULL, NULL, PROBLEM("device-timeout", 504, ""), "coap get box-1 /x", CLI_TIMEOUT);
    ck_assert_str_eq(fake_result.out, "");
}
END_TEST

START_TEST(sends_what_it_is_told)
{
    answers("PUT " PATH, "\r\n\r\non", 204, "text/plain", "Tcgw-Coap-Code: 2.04\r\n", NULL,
            "coap put box-1 /x --payload on", CLI_OK);
    OUT_HAS("2.04 Changed");
    answers("PUT " PATH, "Content-Type: application/coap-payload;cf=60", 204, "text/plain", "Tcgw-Coap-Code: 2.04\r\n",
            NULL, "coap put box-1 /x --payload on --type 60", CLI_OK);
    answers("PATCH " PATH, "Content-Type: text/x", 204, "text/plain", "Tcgw-Coap-Code: 2.04\r\n", NULL,
            "coap patch box-1 /x --payload on --type text/x", CLI_OK);
    answers("GET " PATH, "Accept: application/coap-payload;cf=112", 406, "text/plain", "Tcgw-Coap-Code: 4.06\r\n", "",
            "coap get box-1 /x --accept 112", CLI_FAILED);
    answers("DELETE " PATH, NULL, 204, "text/plain", "Tcgw-Coap-Code: 2.02\r\n", NULL, "coap delete box-1 /x", CLI_OK);
    answers("POST " PATH, NULL, 201, "text/plain",
            "Tcgw-Coap-Code: 2.01\r\nLocation: /v1/devices/box-1/resources/x/7\r\n", NULL, "coap post box-1 /x",
            CLI_OK);
    OUT_HAS("Location-Path: /x/7");
    fake_expect(NULL, "coap put box-1 /x file --payload on", CLI_USAGE);
}
END_TEST

START_TEST(is_json_for_programs)
{
    json_t *all;

    answers("GET " PATH, NULL, 200, "application/octet-stream", "Tcgw-Coap-Code: 2.05\r\n", "\xff\xfe",
            "coap get box-1 /x --json", CLI_OK);
    all = json_loads(fake_result.out, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(all, "code")), "2.05");
    ck_assert_str_eq(json_string_value(json_object_get(all, "payload_base64")), "//4=");
    ck_assert_int_eq(json_integer_value(json_object_get(all, "payload_size")), 2);
    json_decref(all);
}
END_TEST

START_TEST(follows)
{
    const struct fake_step script[] = {
        {.request = "GET " PATH,
         .contains = "Accept: text/event-stream",
         .status = 200,
         .type = "text/event-stream",
         .body = "event: representation\ndata: {\"time\":\"T\",\"code\":\"2.05\",\"content_format\":60,"
                 "\"payload_base64\":\"oWFhAQ==\"}\n\nevent: representation\ndata: {\"code\":\"2.05\"}\n\n"},
        {0}};

    fake_expect(script, "coap observe box-1 /x --count 1", CLI_OK);
    OUT_HAS("T 2.05 Content\n  Content-Format: 60\n    {\n      \"a\": 1\n    }\n");
}
END_TEST

/* Payloads --------------------------------------------------------------------------------------------------------- */

static void shows(const char *type, const void *data, size_t size, const char *kind, const char *expected)
{
    const char *found = payload_kind(type, -1, data, size);
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);

    ck_assert_str_eq(found, kind);
    payload_print(to, found, data, size, 1);
    (void)fclose(to);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(decodes_payloads)
{
    shows("application/cbor", "\xa1\x61\x61\x01", 4, "cbor", " {\n   \"a\": 1\n }\n");
    shows("application/senml+cbor", "\x01", 1, "cbor", " 1\n");
    shows("application/cbor", "\xa1\x61", 2, "bytes", " 0000  a1 61                                            .a\n");
    shows("application/link-format", "</a>;rt=\"x,<y\",</b>", 19, "links", " </a>;rt=\"x,<y\"\n </b>\n");
    shows(NULL, "[1]", 3, "json", " [\n   1\n ]\n");
    shows("text/plain", "one\ntwo\033\n", 9, "text", " one\n two\\x1b\n");
    shows(NULL, "", 0, "text", "");
    shows(NULL,
          "0123456789abcde\xff"
          "g",
          17, "bytes",
          " 0000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 ff  0123456789abcde.\n"
          " 0010  67                                               g\n");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        shows_code_options_and_payload,
        shows_errors_of_the_device,
        sends_what_it_is_told,
        is_json_for_programs,
        follows,
        decodes_payloads,
    };

    return fake_run_tests("cli coap", tests, array_size(tests));
}
