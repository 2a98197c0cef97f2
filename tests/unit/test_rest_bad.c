/* Bad input of every kind, with the problem that each gets; the gateway goes on afterwards. */
#include "rest_fixture.h"
#include "suite.h"

#include <string.h>

static struct fixture f;
static struct answer a;
static char artifact[CORE_DIGEST_TEXT];

static void setup(void)
{
    fixture_start(&f, NULL);
    fixture_add_device(&f);
    fixture_upload(&f, artifact);
}

static void teardown(void)
{
    request(&f, &a, "GET", "/healthz", NULL, NULL);
    expect_status(&a, 200);
    answer_clear(&a);
    fixture_stop(&f);
}

#define UNKNOWN_ARTIFACT "abababababababababababababababababababababababababababababababab"
#define UNKNOWN_OPERATION "01890a5d-ac96-774b-bcce-b302099a8057"

START_TEST(unknown_resources)
{
    static const char *const cases[][2] = {
        {"GET", "/v1/devices/none"},
        {"DELETE", "/v1/devices/none"},
        {"POST", "/v1/devices/none/probe"},
        {"GET", "/v1/devices/none/containers"},
        {"GET", "/v1/devices/none/containers/job"},
        {"GET", "/v1/devices/box/containers/none"},
        {"GET", "/v1/devices/box/containers/none/log"},
        {"DELETE", "/v1/devices/box/containers/none"},
        {"DELETE", "/v1/devices/box/containers/none?forget=true"},
        {"POST", "/v1/devices/box/containers/none/start"},
        {"POST", "/v1/devices/box/containers/none/stop"},
        {"GET", "/v1/artifacts/" UNKNOWN_ARTIFACT},
        {"GET", "/v1/artifacts/" UNKNOWN_ARTIFACT "/code"},
        {"GET", "/v1/artifacts/" UNKNOWN_ARTIFACT "/data"},
        {"DELETE", "/v1/artifacts/" UNKNOWN_ARTIFACT},
        {"GET", "/v1/operations/" UNKNOWN_OPERATION},
        {"POST", "/v1/operations/" UNKNOWN_OPERATION "/cancel"},
        {"GET", "/"},
        {"GET", "/v1/devices/box/nothing"},
        {"GET", "/1/2/3/4/5/6/7/8/9/10"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        request(&f, &a, cases[i][0], cases[i][1], NULL, NULL);
        expect_problem(&a, FAULT_NOT_FOUND);
    }
    request_json(&f, &a, "PATCH", "/v1/devices/none", NULL, "{}");
    expect_problem(&a, FAULT_NOT_FOUND);
    request_json(&f, &a, "PUT", "/v1/devices/none/containers/job", NULL, "{\"artifact\": \"" UNKNOWN_ARTIFACT "\"}");
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

START_TEST(bad_ids)
{
    static const char *const paths[] = {
        "/v1/devices/a%20b",
        "/v1/devices/a%2Fb",
        "/v1/devices/%2e%2e",
        "/v1/devices/%C3%A9",
        "/v1/devices/box/containers/a%2Fb",
        "/v1/devices/box/containers/..",
        "/v1/devices/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "/v1/artifacts/xyz",
        "/v1/artifacts/ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB",
        "/v1/operations/1",
        "/v1/operations/01890A5D-AC96-774B-BCCE-B302099A8057",
    };

    for (size_t i = 0; i < array_size(paths); i++) {
        request(&f, &a, "GET", paths[i], NULL, NULL);
        expect_problem(&a, FAULT_INVALID_ID);
    }
}
END_TEST

START_TEST(bad_encoding)
{
    static const char *const paths[] = {"/v1/devices/%zz", "/v1/devices/%00", "/v1/devices/%ff", "/v1/devices/a%2",
                                        "/v1/devices?limit=%"};

    for (size_t i = 0; i < array_size(paths); i++) {
        request(&f, &a, "GET", paths[i], NULL, NULL);
        expect_problem(&a, FAULT_MALFORMED_REQUEST);
    }
}
END_TEST

START_TEST(bad_parameters)
{
    static const char *const cases[][2] = {
        {"GET", "/v1/devices?limit=0"},
        {"GET", "/v1/devices?limit=1001"},
        {"GET", "/v1/devices?limit=x"},
        {"GET", "/v1/devices?limit="},
        {"GET", "/v1/devices?limit=1&limit=2"},
        {"GET", "/v1/devices?cursor=%20"},
        {"GET", "/v1/devices?colour=red"},
        {"GET", "/healthz?x=1"},
        {"GET", "/v1/operations?state=dead"},
        {"GET", "/v1/operations?device=a%2Fb"},
        {"GET", "/v1/operations?container="},
        {"POST", "/v1/devices/box/probe?ttl=0"},
        {"POST", "/v1/devices/box/probe?ttl=-1"},
        {"POST", "/v1/devices/box/probe?ttl=99999999999"},
        {"DELETE", "/v1/devices/box/containers/job?forget=maybe"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        request(&f, &a, cases[i][0], cases[i][1], NULL, NULL);
        expect_problem(&a, FAULT_INVALID_PARAMETER);
    }
    request(&f, &a, "POST", "/v1/devices/box/probe", "Prefer: wait=soon\r\n", NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    request(&f, &a, "DELETE", "/v1/devices/box", "If-None-Match: \"1\"\r\n", NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
}
END_TEST

START_TEST(bad_json)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "{\"id\": }",
                                         "nonsense",
                                         "{} x",
                                         "{\"id\": \"a\", \"id\": \"b\"}",
                                         "{\"id\": \"\xff\"}",
                                         "{\"id\": \"a\\u0000b\"}"};

    for (size_t i = 0; i < array_size(bodies); i++) {
        request_json(&f, &a, "POST", "/v1/devices", NULL, bodies[i]);
        expect_problem(&a, FAULT_MALFORMED_JSON);
    }
    request_json(&f, &a, "POST", "/v1/devices", NULL, NULL);
    expect_problem(&a, FAULT_MALFORMED_JSON);
    request_json(&f, &a, "POST", "/v1/devices", NULL, "[]");
    expect_problem(&a, FAULT_INVALID_FIELD);
}
END_TEST

START_TEST(bad_fields_have_a_pointer)
{
    static const struct {
        const char *method, *path, *body, *pointer;
        enum fault_code code;
    } cases[] = {
        {"POST", "/v1/devices", "{\"id\": 7, \"address\": \"coap://127.0.0.1\"}", "/id", FAULT_INVALID_FIELD},
        {"POST", "/v1/devices", "{\"id\": \"new\", \"address\": \"nowhere\"}", "/address", FAULT_INVALID_FIELD},
        {"POST", "/v1/devices", "{\"id\": \"new\", \"address\": \"coap://127.0.0.1\", \"a/b~c\": 1}", "/a~1b~0c",
         FAULT_UNKNOWN_FIELD},
        {"PATCH", "/v1/devices/box", "{\"capabilities\": {\"pdu_size\": \"big\"}}", "/capabilities/pdu_size",
         FAULT_INVALID_FIELD},
        {"PUT", "/v1/devices/box/containers/job", "{\"artifact\": 1}", "/artifact", FAULT_INVALID_FIELD},
        {"PUT", "/v1/devices/box/containers/job", "{\"artifact\": \"" UNKNOWN_ARTIFACT "\", \"state\": \"flying\"}",
         "/state", FAULT_INVALID_FIELD},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        request_json(&f, &a, cases[i].method, cases[i].path, NULL, cases[i].body);
        ck_assert_str_eq(answer_text(&a, "pointer"), cases[i].pointer);
        expect_problem(&a, cases[i].code);
    }
}
END_TEST

START_TEST(wrong_methods)
{
    static const char *const cases[][3] = {
        {"PUT", "/v1/devices", "GET, HEAD, POST, OPTIONS"},
        {"POST", "/v1/devices/box", "GET, HEAD, PATCH, DELETE, OPTIONS"},
        {"DELETE", "/healthz", "GET, HEAD, OPTIONS"},
        {"GET", "/v1/devices/box/probe", "POST, OPTIONS"},
        {"BREW", "/v1/artifacts", "GET, HEAD, POST, OPTIONS"},
        {"TRACE", "/healthz", "GET, HEAD, OPTIONS"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        request(&f, &a, cases[i][0], cases[i][1], NULL, NULL);
        ck_assert_str_eq(answer_header(&a, "Allow"), cases[i][2]);
        expect_problem(&a, FAULT_METHOD_NOT_ALLOWED);
    }
}
END_TEST

START_TEST(wrong_media_types)
{
    static const char *const types[] = {"text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""};
    char line[100];

    for (size_t i = 0; i < array_size(types); i++) {
        (void)snprintf(line, sizeof line, "Content-Type: %s\r\n", types[i]);
        request(&f, &a, "POST", "/v1/devices", line, "{}");
        ck_assert_str_eq(answer_header(&a, "Accept"), "application/json");
        expect_problem(&a, FAULT_UNSUPPORTED_MEDIA_TYPE);
        request(&f, &a, "POST", "/v1/artifacts", line, "{}");
        ck_assert_ptr_nonnull(strstr(answer_header(&a, "Accept"), "multipart/form-data"));
        expect_problem(&a, FAULT_UNSUPPORTED_MEDIA_TYPE);
    }
    request(&f, &a, "PATCH", "/v1/devices/box", NULL, "{}");
    ck_assert_str_eq(answer_header(&a, "Accept"), "application/merge-patch+json, application/json");
    expect_problem(&a, FAULT_UNSUPPORTED_MEDIA_TYPE);
    request(&f, &a, "GET", "/v1/devices", "Accept: text/html\r\n", NULL);
    expect_problem(&a, FAULT_NOT_ACCEPTABLE);
}
END_TEST

START_TEST(web_pages_cannot_write)
{
    request_json(&f, &a, "POST", "/v1/devices", "Origin: http://evil.example\r\n", "{}");
    expect_problem(&a, FAULT_CROSS_SITE);
    request(&f, &a, "DELETE", "/v1/devices/box", "Origin: null\r\n", NULL);
    expect_problem(&a, FAULT_CROSS_SITE);
    request(&f, &a, "GET", "/v1/devices/box", "Origin: http://evil.example\r\n", NULL);
    expect_status(&a, 200); /* which the page cannot see without CORS headers */
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), "");
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/events", "Accept: text/event-stream\r\nOrigin: http://evil.example\r\n", NULL);
    expect_problem(&a, FAULT_CROSS_SITE); /* it would last */
    request(&f, &a, "GET", "/v1/devices/box/resources/t", "Accept: text/event-stream\r\nSec-Fetch-Site: cross-site\r\n",
            NULL);
    expect_problem(&a, FAULT_CROSS_SITE);
}
END_TEST

START_TEST(foreign_hosts_are_refused)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c, "GET /v1/devices HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_HOST_REFUSED);
    client_print(&c, "GET /v1/devices HTTP/1.1\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_MALFORMED_REQUEST);
    client_close(&c);
}
END_TEST

START_TEST(long_targets_and_heads)
{
    char path[2100], lines[9300];

    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = 0;
    request(&f, &a, "GET", path, NULL, NULL);
    expect_problem(&a, FAULT_URI_TOO_LONG);
    memset(lines, 'x', sizeof lines);
    memcpy(lines, "X-Long: ", 8);
    (void)text_copy(lines + sizeof lines - 3, 3, "\r\n");
    struct client c;

    client_open(&c, &f);
    client_print(&c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
    client_send(&c, lines, strlen(lines));
    client_print(&c, "\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_HEADERS_TOO_LARGE);
    client_close(&c);
    client_open(&c, &f);
    client_print(&c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 3; i++)
        client_send(&c, lines, strlen(lines));
    ck_assert(client_receive(&c, &a, false)); /* libmicrohttpd's own refusal: it never came to be a request */
    expect_status(&a, 431);
    answer_clear(&a);
    client_close(&c);
}
END_TEST

START_TEST(garbage_is_no_request)
{
    static const char *const garbage[] = {
        "\x16\x03\x01\x02",
        "GET\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        ("POST /v1/devices HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
         "Content-Type: application/json\r\n\r\nzz\r\n{}\r\n"),
    };

    for (size_t i = 0; i < array_size(garbage); i++) {
        struct client c;

        client_open(&c, &f);
        client_print(&c, "%s", garbage[i]);
        fixture_run(&f, 20);
        client_close(&c);
        fixture_run(&f, 5);
    }
}
END_TEST

START_TEST(a_read_may_have_a_body)
{
    request(&f, &a, "GET", "/healthz", NULL, "{}");
    expect_status(&a, 200);
    answer_clear(&a);
    request(&f, &a, "POST", "/v1/devices/box/probe", NULL, "{}");
    expect_status(&a, 202);
    answer_clear(&a);
}
END_TEST

START_TEST(two_lengths_are_an_attack)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c, "POST /v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_MALFORMED_REQUEST);
    ck_assert(client_sees_end(&c, 2000));
    client_close(&c);
}
END_TEST

/* Uploads --------------------------------------------------------------------------------------------------------- */

static void upload_form(const char *boundary, const char *body, size_t size)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c,
                 "POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data%s%s\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 boundary ? "; boundary=" : "", boundary ? boundary : "", size);
    client_send(&c, body, size);
    ck_assert(client_receive(&c, &a, false));
    client_close(&c);
}

#define PART(name) "--BB\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define DESCRIPTION PART("description") "{\"type\": \"wasm\"}\r\n"

/* Puts a form together from texts before and after the code, which has zero bytes in it. */
static void upload_around(const char *before, const char *after)
{
    cleanup_buffer struct buffer body = buffer_init(0);

    buffer_append_text(&body, before);
    buffer_append(&body, fixture_wasm, fixture_wasm_size);
    buffer_append_text(&body, after);
    upload_form("BB", (const char *)body.data, body.size);
}

START_TEST(forms_are_taken)
{
    upload_around(DESCRIPTION PART("code"), "\r\n" PART("data") "12345\r\n--BB--\r\n");
    expect_status(&a, 201);
    ck_assert_str_eq(answer_text(&a, "type"), "wasm");
    answer_clear(&a);
    upload_around(DESCRIPTION PART("data") "\r\n" PART("code"), "\r\n--BB--\r\n"); /* empty data is no data */
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "id"), artifact);
    answer_clear(&a);
    upload_around("preamble\r\n" DESCRIPTION
                  "--BB\r\nContent-Type: application/wasm\r\nContent-Disposition: form-data; name=\"code\"; "
                  "filename=\"a.wasm\"\r\nContent-Transfer-Encoding: binary\r\n\r\n",
                  "\r\n--BB--\r\n");
    expect_status(&a, 200);
    answer_clear(&a);
}
END_TEST

START_TEST(a_form_may_come_byte_by_byte)
{
    cleanup_buffer struct buffer body = buffer_init(0);
    struct client c;

    buffer_append_text(&body, DESCRIPTION PART("code"));
    buffer_append(&body, fixture_wasm, fixture_wasm_size);
    buffer_append_text(&body, "\r\n--BB--\r\n");
    client_open(&c, &f);
    client_print(&c,
                 "POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=BB\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < body.size; i++) {
        client_send(&c, "1\r\n", 3);
        client_send(&c, body.data + i, 1);
        client_send(&c, "\r\n", 2);
    }
    client_print(&c, "0\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "id"), artifact);
    answer_clear(&a);
    client_close(&c);
}
END_TEST

START_TEST(bad_forms)
{
    static const char *const bodies[] = {
        "",
        "--BB--\r\n",
        "nonsense",
        DESCRIPTION "--BB--\r\n",
        PART("code") "x\r\n--BB--\r\n",
        DESCRIPTION PART("code") "x\r\n" PART("code") "y\r\n--BB--\r\n",
        DESCRIPTION DESCRIPTION PART("code") "x\r\n--BB--\r\n",
        DESCRIPTION PART("more") "x\r\n--BB--\r\n",
        DESCRIPTION "--BB\r\nContent-Disposition: form-data\r\n\r\nx\r\n--BB--\r\n",
        DESCRIPTION "--BB\r\nContent-Disposition: form-data; name=\"code\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                    "AA==\r\n--BB--\r\n",
    };

    for (size_t i = 0; i < array_size(bodies); i++) {
        upload_form("BB", bodies[i], strlen(bodies[i]));
        expect_problem(&a, FAULT_MALFORMED_REQUEST);
    }
    upload_form("B", "--B--", 5); /* the form parser wants at least two characters */
    expect_problem(&a, FAULT_MALFORMED_REQUEST);
    upload_form(NULL, DESCRIPTION, strlen(DESCRIPTION));
    expect_problem(&a, FAULT_MALFORMED_REQUEST);
    upload_around(DESCRIPTION PART("code"), ""); /* cut */
    expect_problem(&a, FAULT_MALFORMED_REQUEST);
}
END_TEST

START_TEST(huge_part_headers)
{
    cleanup_buffer struct buffer body = buffer_init(0);

    buffer_append_text(&body, "--BB\r\nX-Long: ");
    for (int i = 0; i < 20000; i++)
        buffer_append_u8(&body, 'x');
    buffer_append_text(&body, "\r\nContent-Disposition: form-data; name=\"code\"\r\n\r\nx\r\n--BB--\r\n");
    upload_form("BB", (const char *)body.data, body.size);
    expect_problem(&a, FAULT_MALFORMED_REQUEST);
}
END_TEST

START_TEST(bad_descriptions)
{
    upload_around(PART("description") "{\r\n" PART("code"), "\r\n--BB--\r\n");
    expect_problem(&a, FAULT_MALFORMED_JSON);
    upload_around(PART("description") "[1]\r\n" PART("code"), "\r\n--BB--\r\n");
    expect_problem(&a, FAULT_INVALID_FIELD);
    upload_around(PART("description") "{\"type\": \"wasm\", \"colour\": 1}\r\n" PART("code"), "\r\n--BB--\r\n");
    ck_assert_str_eq(answer_text(&a, "pointer"), "/colour");
    expect_problem(&a, FAULT_UNKNOWN_FIELD);
    request(&f, &a, "POST", "/v1/artifacts", "Content-Type: application/octet-stream\r\n", "x");
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    request(&f, &a, "POST", "/v1/artifacts?loop_period_ms=x", "Content-Type: application/wasm\r\n", "x");
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    request(&f, &a, "POST", "/v1/artifacts", "Content-Type: application/wasm\r\n", "not wasm");
    expect_problem(&a, FAULT_INVALID_WASM);
    request(&f, &a, "POST", "/v1/artifacts?type=rbpf", "Content-Type: application/octet-stream\r\n", "not rbpf");
    expect_problem(&a, FAULT_INVALID_RBPF);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_bad");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, unknown_resources);
    tcase_add_test(tcase, bad_ids);
    tcase_add_test(tcase, bad_encoding);
    tcase_add_test(tcase, bad_parameters);
    tcase_add_test(tcase, bad_json);
    tcase_add_test(tcase, bad_fields_have_a_pointer);
    tcase_add_test(tcase, wrong_methods);
    tcase_add_test(tcase, wrong_media_types);
    tcase_add_test(tcase, web_pages_cannot_write);
    tcase_add_test(tcase, foreign_hosts_are_refused);
    tcase_add_test(tcase, long_targets_and_heads);
    tcase_add_test(tcase, garbage_is_no_request);
    tcase_add_test(tcase, a_read_may_have_a_body);
    tcase_add_test(tcase, two_lengths_are_an_attack);
    tcase_add_test(tcase, forms_are_taken);
    tcase_add_test(tcase, a_form_may_come_byte_by_byte);
    tcase_add_test(tcase, bad_forms);
    tcase_add_test(tcase, huge_part_headers);
    tcase_add_test(tcase, bad_descriptions);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
