#include "rest/arrivals.h"
#include "rest/condition.h"
#include "rest/dispatch.h"
#include "rest/guard.h"
#include "rest/peer.h"
#include "rest/prefer.h"
#include "rest/route.h"
#include "suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <string.h>

/* A transport that keeps what it is given. */
static const char *header_name, *header_value;

static const char *find_header(const struct http_request *req, const char *name)
{
    (void)req;
    return header_name && strcmp(name, header_name) == 0 ? header_value : NULL;
}

static void ignore(struct http_request *req)
{
    (void)req;
}

static const struct http_transport transport = {.header = find_header, .send = ignore, .release = http_clear};

static struct http_request req;

static void begin(const char *target)
{
    http_begin(&req, &transport, NULL, target);
    if (!req.fault.code)
        http_parse_query(&req);
}

START_TEST(targets_are_split_and_decoded)
{
    begin("/v1/devices/a%20b/c%2Fd?limit=5&name=%C3%A9+x&flag&empty=");
    ck_assert_int_eq(req.fault.code, FAULT_NONE);
    ck_assert_uint_eq(req.segment_count, 4);
    ck_assert_str_eq(req.segments[0], "v1");
    ck_assert_str_eq(req.segments[2], "a b");
    ck_assert_str_eq(req.segments[3], "c/d");
    ck_assert_str_eq(http_parameter(&req, "limit"), "5");
    ck_assert_str_eq(http_parameter(&req, "name"), "\xc3\xa9 x");
    ck_assert_str_eq(http_parameter(&req, "flag"), "");
    ck_assert_str_eq(http_parameter(&req, "empty"), "");
    ck_assert_ptr_null(http_parameter(&req, "other"));
    begin("HTTP://gateway:80/healthz?x=1");
    ck_assert_uint_eq(req.segment_count, 1);
    ck_assert_str_eq(req.segments[0], "healthz");
    ck_assert_str_eq(http_parameter(&req, "x"), "1");
    begin("/a//b/");
    ck_assert_uint_eq(req.segment_count, 4);
    ck_assert_str_eq(req.segments[1], "");
    ck_assert_str_eq(req.segments[3], "");
    begin("/1/2/3/4/5/6/7/8/9/a%2fb?x=%2F");
    ck_assert_int_eq(req.fault.code, FAULT_NONE);
    ck_assert_uint_eq(req.segment_count, 10);
    ck_assert_str_eq(req.segments[HTTP_SEGMENTS_MAX - 1], "8");
    ck_assert_str_eq(req.raw[HTTP_SEGMENTS_MAX - 1], "/8/9/a%2fb?x=%2F");
    ck_assert_str_eq(req.raw_query, "x=%2F");
    begin("/?&&a=1&");
    ck_assert_int_eq(req.fault.code, FAULT_NONE);
    ck_assert_uint_eq(req.query_count, 1);
}
END_TEST

START_TEST(bad_targets_are_refused)
{
    static const struct {
        const char *target;
        enum fault_code code;
    } bad[] = {
        {"/a%", FAULT_MALFORMED_REQUEST},
        {"/a%4", FAULT_MALFORMED_REQUEST},
        {"/a%zz", FAULT_MALFORMED_REQUEST},
        {"/%00", FAULT_MALFORMED_REQUEST},
        {"/%ff", FAULT_MALFORMED_REQUEST},
        {"/%c0%af", FAULT_MALFORMED_REQUEST},
        {"/\xff", FAULT_MALFORMED_REQUEST},
        {"/%ed%a0%80", FAULT_MALFORMED_REQUEST},
        {"*", FAULT_MALFORMED_REQUEST},
        {"", FAULT_MALFORMED_REQUEST},
        {"a/b", FAULT_MALFORMED_REQUEST},
        {"http://host", FAULT_MALFORMED_REQUEST},
        {"/a?b=%", FAULT_MALFORMED_REQUEST},
        {"/a?%00=1", FAULT_MALFORMED_REQUEST},
        {"/a?b=%fe", FAULT_MALFORMED_REQUEST},
        {"/a?b=1&b=2", FAULT_INVALID_PARAMETER},
        {"/a?1&2&3&4&5&6&7&8&9", FAULT_INVALID_PARAMETER},
        {"/a?b=1&%62=2", FAULT_INVALID_PARAMETER},
    };

    for (size_t i = 0; i < array_size(bad); i++) {
        begin(bad[i].target);
        ck_assert_msg(req.fault.code == bad[i].code, "%s: %d", bad[i].target, (int)req.fault.code);
    }
}
END_TEST

START_TEST(a_target_has_a_limit)
{
    char target[HTTP_TARGET_MAX + 2];

    memset(target, '/', sizeof target);
    memset(target + 1, 'a', sizeof target - 2);
    target[HTTP_TARGET_MAX] = 0;
    begin(target);
    ck_assert_int_eq(req.fault.code, FAULT_NONE);
    ck_assert_uint_eq(strlen(req.segments[0]), HTTP_TARGET_MAX - 1);
    target[HTTP_TARGET_MAX] = 'a';
    target[HTTP_TARGET_MAX + 1] = 0;
    begin(target);
    ck_assert_int_eq(req.fault.code, FAULT_URI_TOO_LONG);
}
END_TEST

static const char *route_of(enum http_method method, const char *target)
{
    unsigned methods;

    begin(target);
    req.method = method;
    return route_find(&req, &methods) == 0 ? req.route->operation_id : "";
}

START_TEST(routes_are_found)
{
    ck_assert_str_eq(route_of(HTTP_GET, "/healthz"), "getHealth");
    ck_assert_str_eq(route_of(HTTP_HEAD, "/healthz"), "getHealth");
    ck_assert_str_eq(route_of(HTTP_GET, "/v1/devices"), "listDevices");
    ck_assert_str_eq(route_of(HTTP_GET, "/v1/%64evices"), "listDevices");
    ck_assert_str_eq(route_of(HTTP_POST, "/v1/devices/d/containers/c/start"), "startContainer");
    ck_assert_str_eq(req.params[0], "d");
    ck_assert_str_eq(req.params[1], "c");
    ck_assert_str_eq(route_of(HTTP_GET, "/v1/devices/containers"), "getDevice");
    ck_assert_str_eq(req.params[0], "containers");
    static const char *const none[] = {"/",
                                       "/v1",
                                       "/v1/",
                                       "/v1/device",
                                       "/v1/devices/",
                                       "/v1/devicesx",
                                       "//v1/devices",
                                       "/V1/devices",
                                       "/healthz/",
                                       "/v1/devices/d/containers/c/start/x"};
    for (size_t i = 0; i < array_size(none); i++)
        ck_assert_str_eq(route_of(HTTP_GET, none[i]), "");
}
END_TEST

START_TEST(other_methods_are_listed)
{
    char allow[ROUTE_ALLOW_SIZE];
    unsigned methods;

    begin("/v1/devices/d");
    req.method = HTTP_POST;
    ck_assert_int_eq(route_find(&req, &methods), 2);
    route_format_allow(methods, allow);
    ck_assert_str_eq(allow, "GET, HEAD, PATCH, DELETE, OPTIONS");
    begin("/v1/devices/d/probe");
    req.method = HTTP_METHOD_OTHER;
    ck_assert_int_eq(route_find(&req, &methods), 2);
    route_format_allow(methods, allow);
    ck_assert_str_eq(allow, "POST, OPTIONS");
    for (size_t i = 0; i < route_table_size; i++) /* all methods at once would fit */
        methods |= 1u << route_table[i].method;
    route_format_allow(methods, allow);
    ck_assert_uint_lt(strlen(allow), ROUTE_ALLOW_SIZE - 1);
}
END_TEST

START_TEST(accept_is_read)
{
    static const struct {
        const char *accept;
        bool json;
    } cases[] = {
        {NULL, true},
        {"", true},
        {"*/*", true},
        {"application/*", true},
        {"application/json", true},
        {"Application/JSON;q=0.5", true},
        {"text/html, application/json;q=0.1", true},
        {"text/html,*/*;q=0.8", true},
        {"text/html", false},
        {"text/*", false},
        {"application/jsonx", false},
        {"application/json;q=0", false},
        {"application/json;q=0.000, */*", false},
        {"application/json;q=0.001", true},
        {"*/*;q=0", false},
        {"*/*;q=0, application/json", true},
        {"application/*; Q=0 , text/html", false},
        {",,,", false},
    };

    for (size_t i = 0; i < array_size(cases); i++)
        ck_assert_msg(http_accepts(cases[i].accept, HTTP_JSON) == cases[i].json, "%s", cases[i].accept);
}
END_TEST

START_TEST(tokens_are_found)
{
    ck_assert(http_has_token("no-cache", "no-cache"));
    ck_assert(http_has_token("max-age=0, No-Cache", "no-cache"));
    ck_assert(!http_has_token("no-cachex", "no-cache"));
    ck_assert(!http_has_token("x=no-cache", "no-cache"));
    ck_assert(!http_has_token(NULL, "no-cache"));
    ck_assert(!http_has_token("", "no-cache"));
    ck_assert(http_is_type("application/json ; charset=utf-8", HTTP_JSON));
    ck_assert(!http_is_type("application/json5", HTTP_JSON));
}
END_TEST

START_TEST(preferences_are_read)
{
    static const struct {
        const char *value;
        int result;
        uint32_t seconds;
    } cases[] = {
        {NULL, 0, 0},
        {"", 0, 0},
        {"wait=5", 0, 5},
        {"Wait = \"7\"", 0, 7},
        {"respond-async, wait=10", 0, 10},
        {"respond-async; x=\"a, wait=3\", wait=4;foo", 0, 4},
        {"wait=1, wait=2", 0, 1},
        {"wait=60", 0, 60},
        {"wait=61", 0, 60},
        {"wait=99999999999999999999999999", 0, 60},
        {"wait=0", 0, 0},
        {"waiting=9", 0, 0},
        {"x=\"unterminated, wait=2", 0, 0},
        {"x=\"a\\\"b\", wait=2", 0, 2},
        {"x=\"a\\", 0, 0},
        {"wait", 1, 0},
        {"wait=", 1, 0},
        {"wait=-1", 1, 0},
        {"wait=5s", 1, 0},
        {"wait=\"5", 1, 0},
        {"wait=1.5", 1, 0},
    };
    struct fault fault;
    uint32_t seconds;

    for (size_t i = 0; i < array_size(cases); i++) {
        int r = prefer_parse_wait(cases[i].value, 60, &seconds, &fault);

        ck_assert_msg(r == cases[i].result, "%s: %d", cases[i].value, r);
        ck_assert_msg(r || seconds == cases[i].seconds, "%s: %u", cases[i].value, seconds);
        ck_assert(r == 0 || fault.code == FAULT_INVALID_PARAMETER);
    }
}
END_TEST

START_TEST(only_local_hosts_are_served)
{
    static const char *const good[] = {"localhost", "LOCALHOST:80",  "127.0.0.1",        "192.168.1.2:8080",
                                       "[::1]",     "[fe80::1]:443", "[::ffff:10.0.0.1]"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "localhost:",
                                      "localhost:x",
                                      "localhost:99999",
                                      "[::1",
                                      "::1",
                                      "[localhost]",
                                      "127.1",
                                      "[::1]x",
                                      "0x7f.1",
                                      "127.0.0.1:80:80"};

    for (size_t i = 0; i < array_size(good); i++)
        ck_assert_msg(guard_is_local_host(good[i]), "%s", good[i]);
    for (size_t i = 0; i < array_size(bad); i++)
        ck_assert_msg(!guard_is_local_host(bad[i]), "%s", bad[i]);
}
END_TEST

static int check_write(const char *name, const char *value, bool exists)
{
    struct fault fault = {0};
    int r;

    header_name = name;
    header_value = value;
    r = condition_check_write(&req, exists, 12, &fault);
    header_name = NULL;
    return r ? (int)fault.code : 0;
}

START_TEST(conditions_hold_or_not)
{
    char tag[CONDITION_TAG_SIZE], other[CONDITION_TAG_SIZE];

    condition_format_tag(12, "0123456789", 10, tag);
    ck_assert(strncmp(tag, "\"12-", 4) == 0 && strlen(tag) == 1 + 2 + 1 + 16 + 1);
    condition_format_tag(12, "0123456788", 10, other);
    ck_assert_str_ne(tag, other);
    condition_format_tag(UINT64_MAX, "", 0, other);
    ck_assert_uint_eq(strlen(other), CONDITION_TAG_SIZE - 1);
    begin("/");
    ck_assert_int_eq(check_write("If-Match", tag, true), 0);
    ck_assert_int_eq(check_write("If-Match", "\"12-ffffffffffffffff\"", true), 0);
    ck_assert_int_eq(check_write("If-Match", "\"9-a\", \"12-b\"", true), 0);
    ck_assert_int_eq(check_write("If-Match", "*", true), 0);
    ck_assert_int_eq(check_write("If-Match", "*", false), FAULT_PRECONDITION_FAILED);
    ck_assert_int_eq(check_write("If-Match", "\"13-a\"", true), FAULT_PRECONDITION_FAILED);
    ck_assert_int_eq(check_write("If-Match", "\"1\", \"120-a\", \" 12-\"", true), FAULT_PRECONDITION_FAILED);
    ck_assert_int_eq(check_write("If-Match", "12-a", true), FAULT_PRECONDITION_FAILED);
    ck_assert_int_eq(check_write("If-Match", "\"12", true), FAULT_PRECONDITION_FAILED);
    ck_assert_int_eq(check_write("If-None-Match", "*", false), 0);
    ck_assert_int_eq(check_write("If-None-Match", "*", true), FAULT_PRECONDITION_FAILED);
    ck_assert_int_eq(check_write("If-None-Match", tag, true), FAULT_INVALID_PARAMETER);
    header_name = "If-None-Match";
    header_value = "\"x\", W/\"12-1\" , \"y\"";
    ck_assert(condition_is_current(&req, "\"12-1\""));
    ck_assert(!condition_is_current(&req, "\"12-2\""));
    header_value = "*";
    ck_assert(condition_is_current(&req, tag));
    header_name = NULL;
    ck_assert(!condition_is_current(&req, tag));
}
END_TEST

START_TEST(peers_have_one_address_each)
{
    static const struct {
        const char *text, *expected;
        bool loopback;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", true},         {"127.9.9.9", "127.9.9.9", true},
        {"192.0.2.1", "192.0.2.1", false},        {"::1", "::1", true},
        {"2001:db8::1", "2001:db8::1", false},    {"::ffff:127.0.0.1", "127.0.0.1", true},
        {"::ffff:192.0.2.1", "192.0.2.1", false}, {"::", "::", false},
    };
    const struct sockaddr local = {.sa_family = AF_UNIX};
    struct http_peer peer;

    for (size_t i = 0; i < array_size(cases); i++) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        bool is_v6 = inet_pton(AF_INET6, cases[i].text, &v6.sin6_addr) == 1;

        if (!is_v6)
            ck_assert_int_eq(inet_pton(AF_INET, cases[i].text, &v4.sin_addr), 1);
        peer_of_address(&peer, is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4);
        ck_assert_int_eq(peer.kind, HTTP_PEER_TCP);
        ck_assert_str_eq(peer.address, cases[i].expected);
        ck_assert_int_eq(peer.loopback, cases[i].loopback);
    }
    peer_of_address(&peer, &local);
    ck_assert_int_eq(peer.kind, HTTP_PEER_UNIX);
    ck_assert(!peer.loopback && !peer.address[0]);
}
END_TEST

static bool arrive(struct arrivals *arrivals, const char *address, uint64_t now)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    ck_assert_int_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return arrivals_allow(arrivals, (const struct sockaddr *)&v6, now, 2);
}

START_TEST(an_address_arrives_so_often_in_a_second)
{
    struct arrivals arrivals = {.seed = 7};

    ck_assert(arrive(&arrivals, "2001:db8::1", 5000));
    ck_assert(arrive(&arrivals, "2001:db8::2", 5300)); /* the same network */
    ck_assert(!arrive(&arrivals, "2001:db8::3", 5999));
    ck_assert(arrive(&arrivals, "2001:db8:1::3", 5999)); /* another one */
    ck_assert(arrive(&arrivals, "::ffff:192.0.2.1", 5999));
    ck_assert(arrive(&arrivals, "::ffff:192.0.2.2", 5999));
    ck_assert(arrive(&arrivals, "::ffff:192.0.2.1", 5999));
    ck_assert(!arrive(&arrivals, "::ffff:192.0.2.1", 5999));
    ck_assert(arrive(&arrivals, "2001:db8::1", 6000));
}
END_TEST

static enum fault_code parse(const char *text, size_t size)
{
    struct fault fault = {0};
    json_t *json = NULL;

    if (dispatch_parse_json(text, size, &json, &fault) == 0)
        json_decref(json);
    return fault.code;
}

START_TEST(json_is_checked)
{
    static const char opening[] = "[[[[[[[[[[[[[[[[", closing[] = "]]]]]]]]]]]]]]]]";
    char deep[64];

    ck_assert_int_eq(parse("{\"a\": {\"b\": [1]}}", 17), FAULT_NONE);
    ck_assert_int_eq(parse("", 0), FAULT_MALFORMED_JSON);
    ck_assert_int_eq(parse("{", 1), FAULT_MALFORMED_JSON);
    ck_assert_int_eq(parse("{} {}", 5), FAULT_MALFORMED_JSON);
    ck_assert_int_eq(parse("{\"a\":1,\"a\":2}", 13), FAULT_MALFORMED_JSON);
    ck_assert_int_eq(parse("{\"a\":\"\xff\"}", 9), FAULT_MALFORMED_JSON);
    ck_assert_int_eq(parse("{\"a\":\"\\u0000\"}", 14), FAULT_MALFORMED_JSON);
    ck_assert_int_eq(parse("{\"a\":\"\\ud800\"}", 14), FAULT_MALFORMED_JSON);
    ck_assert_int_eq(parse("[]", 2), FAULT_INVALID_FIELD);
    ck_assert_int_eq(parse("null", 4), FAULT_INVALID_FIELD);
    ck_assert_int_eq(parse("{\"[[[[[[[[[[[[[[[[[[[[[\": \"\\\"{{{{{{\"}", 37), FAULT_NONE);
    (void)snprintf(deep, sizeof deep, "{\"a\":%.15s%.15s}", opening, closing);
    ck_assert_int_eq(parse(deep, strlen(deep)), FAULT_NONE);
    (void)snprintf(deep, sizeof deep, "{\"a\":%.16s%.16s}", opening, closing);
    ck_assert_int_eq(parse(deep, strlen(deep)), FAULT_MALFORMED_JSON);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_parts");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, targets_are_split_and_decoded);
    tcase_add_test(tcase, bad_targets_are_refused);
    tcase_add_test(tcase, a_target_has_a_limit);
    tcase_add_test(tcase, routes_are_found);
    tcase_add_test(tcase, other_methods_are_listed);
    tcase_add_test(tcase, accept_is_read);
    tcase_add_test(tcase, tokens_are_found);
    tcase_add_test(tcase, preferences_are_read);
    tcase_add_test(tcase, only_local_hosts_are_served);
    tcase_add_test(tcase, conditions_hold_or_not);
    tcase_add_test(tcase, an_address_arrives_so_often_in_a_second);
    tcase_add_test(tcase, peers_have_one_address_each);
    tcase_add_test(tcase, json_is_checked);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
