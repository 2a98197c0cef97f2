/* Requests to resources of a device, and observations, over real sockets. */
#include "base/cleanup.h"
#include "rest_fixture.h"
#include "suite.h"
#include "tcgw/coapmsg.h"

#include <string.h>

static struct fixture f;
static struct answer a;

static void setup(void)
{
    fixture_start(&f, &(struct rest_options){.max_connections = 100,
                                             .max_json_bytes = 4096,
                                             .max_artifact_bytes = 65536,
                                             .max_raw_bytes = 8192,
                                             .max_wait_s = 60,
                                             .connection_timeout_s = 10,
                                             .max_streams = 3,
                                             .heartbeat_ms = 100});
    fixture_add_device(&f);
    f.fake.response = (struct agent_response){.code = COAPMSG_CONTENT, .format = 0, .max_age = 60};
}

static void teardown(void)
{
    answer_clear(&a);
    fixture_stop(&f);
}

static void device_answers(uint8_t code, int format, const char *body)
{
    f.fake.response = (struct agent_response){.code = code,
                                              .format = format,
                                              .max_age = 60,
                                              .body = (uint8_t *)(uintptr_t)body,
                                              .body_size = body ? strlen(body) : 0};
}

#define RESOURCES "/v1/devices/box/resources"

/* Requests --------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *target, *path, *query;
} targets[] = {
    {"/a", "/a", "-"},
    {"/", "/", "-"},
    {"//", "//", "-"},
    {"/container/", "/container/", "-"},
    {"/a//b", "/a//b", "-"},
    {"/a%2Fb%20c", "/a%2Fb%20c", "-"},
    {"/%C3%A4", "/%C3%A4", "-"},
    {"/...", "/...", "-"},
    {"/.well-known/core?rt=a%26b&if=*", "/.well-known/core", "rt=a%26b&if=*"},
    {"/a?", "/a", "-"},
    {"/a?x&x&&y=?/", "/a", "x&x&&y=?/"},
    {"/1/2/3/4/5/6/7/8/9/10", "/1/2/3/4/5/6/7/8/9/10", "-"},
    {"/a?1&2&3&4&5&6&7&8&9&10", "/a", "1&2&3&4&5&6&7&8&9&10"},
};

START_TEST(paths_go_as_they_come)
{
    char path[256];

    (void)snprintf(path, sizeof path, RESOURCES "%s", targets[_i].target);
    request(&f, &a, "GET", path, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(f.fake.seen.path, targets[_i].path);
    ck_assert_str_eq(f.fake.seen.query, targets[_i].query);
    ck_assert_int_eq(f.fake.seen.method, COAPMSG_GET);
}
END_TEST

static const struct {
    const char *method, *target, *headers, *body;
    enum fault_code code;
} bad_requests[] = {
    {"GET", "/..", NULL, NULL, FAULT_INVALID_PARAMETER},
    {"GET", "/a/%2E/b", NULL, NULL, FAULT_INVALID_PARAMETER},
    {"GET", "/%", NULL, NULL, FAULT_MALFORMED_REQUEST},
    {"GET", "/%00", NULL, NULL, FAULT_MALFORMED_REQUEST},
    {"GET", "/1/2/3/4/5/6/7/8/9/%ff", NULL, NULL, FAULT_MALFORMED_REQUEST},
    {"GET", "/a?%ff", NULL, NULL, FAULT_MALFORMED_REQUEST},
    {"GET", "/a?b&%", NULL, NULL, FAULT_MALFORMED_REQUEST},
    {"GET", "/a", "Prefer: wait=x\r\n", NULL, FAULT_INVALID_PARAMETER},
    {"GET", "/a", "If-Match: \"zz\"\r\n", NULL, FAULT_INVALID_PARAMETER},
    {"PUT", "/a", "If-Match: \"\"\r\n", "x", FAULT_INVALID_PARAMETER},
    {"PUT", "/a", "If-Match: \"001122334455667788\"\r\n", "x", FAULT_INVALID_PARAMETER},
    {"PUT", "/a", "If-Match: \"00\", \"01\"\r\n", "x", FAULT_INVALID_PARAMETER},
    {"PUT", "/a", "If-Match: 00\r\n", "x", FAULT_INVALID_PARAMETER},
    {"PUT", "/a", "If-None-Match: \"00\"\r\n", "x", FAULT_INVALID_PARAMETER},
    {"PUT", "/a", "Content-Type: text/html\r\n", "x", FAULT_UNSUPPORTED_MEDIA_TYPE},
    {"POST", "/a", "Idempotency-Key: k\r\n", "x", FAULT_INVALID_PARAMETER},
    {"DELETE", "/a", "Idempotency-Key: k\r\n", NULL, FAULT_INVALID_PARAMETER},
    {"POST", "/a", "Origin: http://evil\r\n", "x", FAULT_CROSS_SITE},
    {"FETCH", "/a", NULL, NULL, FAULT_METHOD_NOT_ALLOWED},
};

START_TEST(bad_requests_reach_no_device)
{
    char path[256];

    (void)snprintf(path, sizeof path, RESOURCES "%s", bad_requests[_i].target);
    request(&f, &a, bad_requests[_i].method, path, bad_requests[_i].headers, bad_requests[_i].body);
    expect_problem(&a, bad_requests[_i].code);
    ck_assert_uint_eq(f.fake.counts[AGENT_CALL_RESOURCE], 0);
}
END_TEST

START_TEST(parts_have_the_limit_of_coap)
{
    char path[600] = RESOURCES "/", *end = path + strlen(path);

    memset(end, 'a', 255);
    request(&f, &a, "GET", path, NULL, NULL);
    expect_status(&a, 200);
    answer_clear(&a);
    end[255] = 'a';
    request(&f, &a, "GET", path, NULL, NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    (void)strcpy(end, "a?");
    memset(end + 2, 'b', 256);
    request(&f, &a, "GET", path, NULL, NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
}
END_TEST

START_TEST(methods_headers_and_bodies_go_along)
{
    device_answers(COAPMSG_CHANGED, -1, NULL);
    request(&f, &a, "PUT", RESOURCES "/led", "Content-Type: application/json\r\nIf-Match: \"6f6b\"\r\n", "{}");
    ck_assert_int_eq(a.status, 204);
    ck_assert_str_eq(answer_header(&a, "Tcgw-Coap-Code"), "2.04");
    ck_assert_int_eq(f.fake.seen.method, COAPMSG_PUT);
    ck_assert_int_eq(f.fake.seen.format, 50);
    ck_assert_int_eq(f.fake.seen.accept, -1);
    ck_assert_str_eq(f.fake.seen.body, "{}");
    ck_assert_str_eq(f.fake.seen.tag, "ok");
    answer_clear(&a);
    request(&f, &a, "DELETE", RESOURCES "/led", NULL, NULL);
    ck_assert_int_eq(f.fake.seen.format, -1); /* nothing is left of the request before */
    answer_clear(&a);
    request(&f, &a, "PATCH", RESOURCES "/led", "Accept: application/cbor\r\nIf-Match: *\r\n", "x");
    ck_assert_int_eq(f.fake.seen.method, COAPMSG_PATCH);
    ck_assert_int_eq(f.fake.seen.format, -1);
    ck_assert_int_eq(f.fake.seen.accept, 60);
    ck_assert(f.fake.seen.conditional);
    answer_clear(&a);
    device_answers(COAPMSG_DELETED, -1, NULL);
    request(&f, &a, "DELETE", RESOURCES "/led", NULL, NULL);
    ck_assert_int_eq(a.status, 204);
    ck_assert_int_eq(f.fake.seen.method, COAPMSG_DELETE);
    ck_assert(!f.fake.seen.conditional);
    answer_clear(&a);
    device_answers(COAPMSG_CREATED, -1, NULL);
    (void)text_copy(f.fake.response.location, sizeof f.fake.response.location, "/jobs/1?x=2");
    request(&f, &a, "POST", RESOURCES "/jobs", NULL, "");
    ck_assert_int_eq(a.status, 201);
    ck_assert_str_eq(answer_header(&a, "Location"), RESOURCES "/jobs/1?x=2");
    answer_clear(&a);
    device_answers(COAPMSG_CHANGED, 50, "[]");
    request(&f, &a, "POST", RESOURCES "/jobs", NULL, "y");
    expect_status(&a, 200);
    ck_assert_str_eq(buffer_text(&a.body), "[]");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/json");
}
END_TEST

/* Answers ---------------------------------------------------------------------------------------------------------- */

START_TEST(representations_have_their_headers)
{
    device_answers(COAPMSG_CONTENT, 112, "\x80");
    memcpy(f.fake.response.etag, "ok", 2);
    f.fake.response.etag_size = 2;
    f.fake.response.max_age = 5;
    request(&f, &a, "GET", RESOURCES "/t", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_uint_eq(a.body.size, 1);
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/senml+cbor");
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"6f6b\"");
    ck_assert_str_eq(answer_header(&a, "Cache-Control"), "max-age=5");
    ck_assert_str_eq(answer_header(&a, "Content-Security-Policy"), "sandbox");
    ck_assert_str_eq(answer_header(&a, "Tcgw-Coap-Code"), "2.05");
    answer_clear(&a);
    request(&f, &a, "GET", RESOURCES "/t", "If-None-Match: \"00\", \"6f6b\"\r\n", NULL);
    ck_assert_int_eq(a.status, 304);
    answer_clear(&a);
    request(&f, &a, "HEAD", RESOURCES "/t", NULL, NULL);
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(answer_header(&a, "Content-Length"), "1");
    answer_clear(&a);
    device_answers(COAPMSG_CONTENT, -1, NULL);
    request(&f, &a, "GET", RESOURCES "/empty", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_uint_eq(a.body.size, 0);
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/octet-stream");
}
END_TEST

static const struct {
    uint8_t code;
    int status; /* 0: the answer is not understood */
} codes[] = {
    {COAPMSG_CODE(2, 3), 0},    {COAPMSG_CODE(2, 31), 0},   {COAPMSG_CODE(2, 9), 200},  {COAPMSG_CODE(4, 0), 400},
    {COAPMSG_CODE(4, 1), 403},  {COAPMSG_CODE(4, 2), 500},  {COAPMSG_CODE(4, 3), 403},  {COAPMSG_CODE(4, 4), 404},
    {COAPMSG_CODE(4, 5), 400},  {COAPMSG_CODE(4, 6), 406},  {COAPMSG_CODE(4, 8), 0},    {COAPMSG_CODE(4, 9), 409},
    {COAPMSG_CODE(4, 12), 412}, {COAPMSG_CODE(4, 13), 413}, {COAPMSG_CODE(4, 15), 415}, {COAPMSG_CODE(4, 22), 422},
    {COAPMSG_CODE(4, 29), 429}, {COAPMSG_CODE(4, 30), 400}, {COAPMSG_CODE(5, 0), 500},  {COAPMSG_CODE(5, 1), 501},
    {COAPMSG_CODE(5, 2), 502},  {COAPMSG_CODE(5, 3), 503},  {COAPMSG_CODE(5, 4), 504},  {COAPMSG_CODE(5, 5), 502},
    {COAPMSG_CODE(5, 8), 508},  {COAPMSG_CODE(5, 20), 500}, {COAPMSG_CODE(3, 1), 0},    {COAPMSG_CODE(6, 0), 0},
    {COAPMSG_CODE(7, 31), 0},   {COAPMSG_CODE(0, 1), 0},
};

START_TEST(codes_have_their_status)
{
    char expected[64];

    device_answers(codes[_i].code, -1, "words");
    request(&f, &a, "GET", RESOURCES "/t", NULL, NULL);
    if (codes[_i].status == 0) {
        expect_problem(&a, FAULT_DEVICE_ANSWER);
        return;
    }
    expect_status(&a, codes[_i].status);
    (void)snprintf(expected, sizeof expected, "%d.%02d", codes[_i].code >> 5, codes[_i].code & 31);
    ck_assert_str_eq(answer_header(&a, "Tcgw-Coap-Code"), expected);
    if (codes[_i].status < 400)
        return;
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/problem+json");
    ck_assert_str_eq(answer_text(&a, "type"), FAULT_TYPE_BASE "device-error");
    (void)snprintf(expected, sizeof expected, "The device answered %d.%02d: words", codes[_i].code >> 5,
                   codes[_i].code & 31);
    ck_assert_str_eq(answer_text(&a, "detail"), expected);
    (void)snprintf(expected, sizeof expected, "\"status\":%d", codes[_i].status);
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), expected));
    ck_assert(codes[_i].status != 503 || strcmp(answer_header(&a, "Retry-After"), "60") == 0);
}
END_TEST

START_TEST(errors_of_a_device_may_have_a_type)
{
    device_answers(COAPMSG_CONFLICT, 257, "\xa0");
    request(&f, &a, "GET", RESOURCES "/t", NULL, NULL);
    expect_status(&a, 409);
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/concise-problem-details+cbor");
    ck_assert_uint_eq(a.body.size, 1);
    answer_clear(&a);
    device_answers(COAPMSG_BAD_REQUEST, -1, "\xff\x01\"garbage");
    request(&f, &a, "GET", RESOURCES "/t", NULL, NULL);
    expect_status(&a, 400);
    ck_assert_ptr_nonnull(strstr(answer_text(&a, "detail"), "garbage"));
    answer_clear(&a);
    device_answers(COAPMSG_BAD_OPTION, -1, NULL);
    request(&f, &a, "GET", RESOURCES "/t", "Accept: application/cbor\r\n", NULL);
    expect_status(&a, 400);
}
END_TEST

START_TEST(failures_are_problems)
{
    static const struct {
        enum agent_outcome outcome;
        enum fault_code code;
    } failures[] = {
        {AGENT_NO_ANSWER, FAULT_DEVICE_TIMEOUT},   {AGENT_UNREACHABLE, FAULT_DEVICE_UNREACHABLE},
        {AGENT_GARBAGE, FAULT_DEVICE_ANSWER},      {AGENT_INSECURE, FAULT_CREDENTIALS_REQUIRED},
        {AGENT_UNTRUSTED, FAULT_DEVICE_UNTRUSTED},
    };

    for (size_t i = 0; i < array_size(failures); i++) {
        f.fake.outcome = failures[i].outcome;
        request(&f, &a, "GET", RESOURCES "/t", NULL, NULL);
        ck_assert_str_eq(answer_text(&a, "device"), "box");
        expect_problem(&a, failures[i].code);
    }
    request(&f, &a, "GET", "/v1/devices/nobody/resources/t", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    f.fake.mode = FAKE_HOLD;
    request(&f, &a, "GET", RESOURCES "/t", "Prefer: wait=1\r\n", NULL);
    expect_problem(&a, FAULT_DEVICE_TIMEOUT);
}
END_TEST

START_TEST(a_client_may_leave)
{
    struct client c;

    f.fake.mode = FAKE_HOLD;
    client_open(&c, &f);
    client_print(&c, "GET " RESOURCES "/t HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_wait(&f, &f.fake.counts[AGENT_CALL_RESOURCE]);
    client_close(&c);
    fixture_run(&f, 20);
    device_answers(COAPMSG_CONTENT, 0, "late");
    fixture_release(&f);
    fixture_run(&f, 20);
}
END_TEST

/* Events ----------------------------------------------------------------------------------------------------------- */

static void watch(struct client *c, const char *path)
{
    unsigned before = f.fake.observed;

    client_open(c, &f);
    client_print(c, "GET " RESOURCES "%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", path);
    client_expect(c, "HTTP/1.1 200 OK\r\n");
    client_expect(c, "\r\n\r\n");
    ck_assert_uint_eq(f.fake.observed, before + 1);
}

START_TEST(representations_are_events)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c, "GET " RESOURCES "//t%%20a?u=K HTTP/1.1\r\nHost: localhost\r\n"
                     "Accept: text/event-stream, application/json\r\n\r\n");
    client_expect(&c, "Content-Type: text/event-stream\r\n");
    client_expect(&c, "\r\n\r\n");
    ck_assert_str_eq(f.fake.seen.path, "//t%20a");
    ck_assert_str_eq(f.fake.seen.query, "u=K");
    ck_assert_int_eq(f.fake.seen.accept, 50);
    fixture_notify(&f, COAPMSG_CONTENT, 50, "{\"a\":\n1}", 8);
    client_expect(&c, "id: 1\nevent: representation\ndata: {\"code\":\"2.05\",\"content_format\":50,\"time\":\"");
    client_expect(&c, "Z\",\"payload\":\"{\\\"a\\\":\\n1}\"}\n\n");
    fixture_notify(&f, COAPMSG_CONTENT, 60, "\xff\0", 2);
    client_expect(&c, "id: 2\nevent: representation\ndata: {");
    client_expect(&c, "\"payload_base64\":\"/wA=\"}\n\n");
    fixture_notify(&f, COAPMSG_NOT_FOUND, -1, NULL, 0);
    client_expect(&c, "id: 3\nevent: error\ndata: {\"code\":\"4.04\",\"content_format\":null,");
    client_expect(&c, "\"payload\":\"\"}\n\n");
    fixture_end_observation(&f, AGENT_OK, "");
    client_expect(&c, "id: 4\nevent: end\ndata: {\"detail\":\"");
    client_expect(&c, "\r\n0\r\n\r\n");
    client_print(&c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); /* the connection goes on */
    ck_assert(client_receive(&c, &a, false));
    ck_assert_int_eq(a.status, 200);
    client_close(&c);
    ck_assert_uint_eq(f.fake.unobserved, 0);
}
END_TEST

START_TEST(the_end_says_why)
{
    struct client c;

    watch(&c, "/t");
    fixture_end_observation(&f, AGENT_UNREACHABLE, "nobody there");
    client_expect(&c, "event: end\ndata: {\"type\":\"" FAULT_TYPE_BASE "device-unreachable\"");
    client_expect(&c, "\r\n0\r\n\r\n");
    client_close(&c);
}
END_TEST

START_TEST(a_quiet_stream_has_a_heartbeat)
{
    struct client c;

    watch(&c, "/t");
    client_expect(&c, ":\n\n");
    client_expect(&c, ":\n\n");
    fixture_notify(&f, COAPMSG_CONTENT, 0, "x", 1);
    client_expect(&c, "\"payload\":\"x\"}\n\n");
    client_close(&c);
}
END_TEST

START_TEST(a_client_that_leaves_ends_the_observation)
{
    struct client c;

    watch(&c, "/t");
    client_close(&c);
    fixture_wait(&f, &f.fake.unobserved);
    ck_assert_ptr_null(f.fake.observation);
    watch(&c, "/t");
    fixture_notify(&f, COAPMSG_CONTENT, 0, "x", 1);
    client_expect(&c, "\"payload\":\"x\"");
    client_close(&c);
    f.fake.unobserved = 0;
    fixture_wait(&f, &f.fake.unobserved);
}
END_TEST

static unsigned count_events(const char *text, const char *what)
{
    unsigned n = 0;

    while ((text = strstr(text, what))) {
        n++;
        text++;
    }
    return n;
}

START_TEST(a_slow_reader_gets_the_newest)
{
    static char large[4096];
    struct client c;

    memset(large, 'x', sizeof large);
    watch(&c, "/t");
    for (int i = 0; i < 3000; i++) {
        memcpy(large, i < 2999 ? "more" : "last", 4);
        fixture_notify(&f, COAPMSG_CONTENT, 0, large, sizeof large);
        (void)uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    client_expect(&c, "\"payload\":\"lastxxx");
    client_expect(&c, "\n\n");
    request(&f, &a, "GET", "/metrics", NULL, NULL);
    ck_assert_uint_eq(count_events(buffer_text(&a.body), "tcgw_http_events_dropped_total 0\n"), 0);
    ck_assert_uint_eq(count_events(buffer_text(&a.body), "tcgw_http_streams 1\n"), 1);
    client_close(&c);
}
END_TEST

START_TEST(a_reader_that_takes_nothing_is_ended)
{
    static char large[4096];
    struct client c;

    fixture_stop(&f);
    fixture_start(&f, &(struct rest_options){.max_connections = 100,
                                             .max_json_bytes = 4096,
                                             .max_raw_bytes = 8192,
                                             .max_wait_s = 60,
                                             .connection_timeout_s = 1,
                                             .max_streams = 3,
                                             .heartbeat_ms = 3000});
    fixture_add_device(&f);
    memset(large, 'x', sizeof large);
    watch(&c, "/t");
    fixture_run(&f, 2500); /* a quiet stream is not a dead one */
    ck_assert_uint_eq(f.fake.unobserved, 0);
    for (int i = 0; i < 3000 && !f.fake.unobserved; i++) {
        fixture_notify(&f, COAPMSG_CONTENT, 0, large, sizeof large);
        (void)uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    fixture_wait(&f, &f.fake.unobserved);
    client_close(&c);
}
END_TEST

START_TEST(streams_have_a_limit)
{
    struct client c[3];

    for (int i = 0; i < 3; i++) {
        client_open(&c[i], &f);
        client_print(&c[i], "GET " RESOURCES "/t%d HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
                     i);
        client_expect(&c[i], "\r\n\r\n");
    }
    request(&f, &a, "GET", RESOURCES "/t", "Accept: text/event-stream\r\n", NULL);
    ck_assert_str_eq(answer_header(&a, "Retry-After"), "10");
    expect_problem(&a, FAULT_TOO_MANY_CONNECTIONS);
    client_close(&c[2]);
    fixture_wait(&f, &f.fake.unobserved);
    watch(&c[2], "/t");
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
}
END_TEST

START_TEST(the_end_of_the_gateway_ends_streams)
{
    struct client c, gone;

    watch(&c, "/t");
    fixture_notify(&f, COAPMSG_CONTENT, 0, "x", 1);
    client_expect(&c, "\"payload\":\"x\"}\n\n");
    (void)gone;
    fixture_close_rest(&f);
    client_expect(&c, "event: end\ndata: {\"type\":\"" FAULT_TYPE_BASE "shutting-down\"");
    ck_assert(client_sees_end(&c, 1000));
    client_close(&c);
    ck_assert_ptr_null(f.fake.observation);
}
END_TEST

START_TEST(only_a_get_is_a_stream)
{
    request(&f, &a, "HEAD", RESOURCES "/t", "Accept: text/event-stream\r\n", NULL);
    ck_assert_int_eq(a.status, 200);
    answer_clear(&a);
    request(&f, &a, "POST", RESOURCES "/t", "Accept: text/event-stream\r\n", "x");
    ck_assert_int_eq(a.status, 200);
    answer_clear(&a);
    request(&f, &a, "GET", RESOURCES "/t", "Accept: text/*\r\n", NULL);
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(f.fake.observed, 0);
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/devices/nobody/resources/t", "Accept: text/event-stream\r\n", NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "GET", RESOURCES "/..", "Accept: text/event-stream\r\n", NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
}
END_TEST

static void add_requests(Suite *suite)
{
    TCase *tcase = tcase_create("requests");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, paths_go_as_they_come, 0, array_size(targets));
    tcase_add_loop_test(tcase, bad_requests_reach_no_device, 0, array_size(bad_requests));
    tcase_add_test(tcase, parts_have_the_limit_of_coap);
    tcase_add_test(tcase, methods_headers_and_bodies_go_along);
    tcase_add_test(tcase, representations_have_their_headers);
    tcase_add_loop_test(tcase, codes_have_their_status, 0, array_size(codes));
    tcase_add_test(tcase, errors_of_a_device_may_have_a_type);
    tcase_add_test(tcase, failures_are_problems);
    tcase_add_test(tcase, a_client_may_leave);
    suite_add_tcase(suite, tcase);
}

static void add_events(Suite *suite)
{
    TCase *tcase = tcase_create("events");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, representations_are_events);
    tcase_add_test(tcase, the_end_says_why);
    tcase_add_test(tcase, a_quiet_stream_has_a_heartbeat);
    tcase_add_test(tcase, a_client_that_leaves_ends_the_observation);
    tcase_add_test(tcase, a_slow_reader_gets_the_newest);
    tcase_add_test(tcase, a_reader_that_takes_nothing_is_ended);
    tcase_add_test(tcase, streams_have_a_limit);
    tcase_add_test(tcase, the_end_of_the_gateway_ends_streams);
    tcase_add_test(tcase, only_a_get_is_a_stream);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("rest_resource");

    add_requests(suite);
    add_events(suite);
    return suite_run(suite);
}
