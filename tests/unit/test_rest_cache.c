/* Reads through the cache, the URIs of /hc and what is shown as JSON, over real sockets. */
#include "rest/hcuri.h"
#include "rest_fixture.h"
#include "suite.h"
#include "tcgw/coapmsg.h"

#include <string.h>

#define RESOURCES "/v1/devices/box/resources"

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
                                             .max_streams = 3});
    fixture_add_device(&f);
}

static void teardown(void)
{
    answer_clear(&a);
    fixture_stop(&f);
}

static void device_answers(uint8_t code, int format, const void *body, size_t size, uint32_t max_age)
{
    f.fake.response = (struct agent_response){
        .code = code, .format = format, .max_age = max_age, .body = (uint8_t *)(uintptr_t)body, .body_size = size};
}

static void reads(const char *path, const char *headers, int status, const char *cache)
{
    answer_clear(&a);
    request(&f, &a, "GET", path, headers, NULL);
    expect_status(&a, status);
    ck_assert_str_eq(answer_header(&a, "Cache-Status"), cache);
}

START_TEST(directives_choose_how_it_is_answered)
{
    static const struct {
        const char *header, *cache;
    } cases[] = {
        {NULL, "tcgw; hit; ttl=60"},
        {"Cache-Control: max-stale\r\n", "tcgw; hit; ttl=60"},
        {"Cache-Control: private, foo=\"bar\", MAX-AGE=100\r\n", "tcgw; hit; ttl=60"},
        {"Cache-Control: no-cache\r\n", "tcgw; fwd=request"},
        {"Cache-Control: max-stale=5 , No-Cache\r\n", "tcgw; fwd=request"},
        {"Pragma: no-cache\r\n", "tcgw; fwd=request"},
        {"Pragma: no-cache\r\nCache-Control: max-age=60\r\n", "tcgw; hit; ttl=60"},
        {"Cache-Control: min-fresh=61\r\n", "tcgw; fwd=request"},
        {"Cache-Control: min-fresh=\"10\"\r\n", "tcgw; hit; ttl=60"},
        {"Cache-Control: min-fresh=x\r\n", "tcgw; fwd=request"},
        {"Cache-Control: no-store\r\n", "tcgw; fwd=bypass"},
        {"If-Match: \"00\"\r\n", "tcgw; fwd=bypass"},
        {"Cache-Control: only-if-cached\r\n", "tcgw; hit; ttl=60"},
    };

    device_answers(COAPMSG_CONTENT, 0, "x", 1, 60);
    reads(RESOURCES "/t", NULL, 200, "tcgw; fwd=miss");
    for (size_t i = 0; i < array_size(cases); i++) {
        reads(RESOURCES "/t", cases[i].header, 200, cases[i].cache);
        ck_assert_str_eq(answer_header(&a, "Age"), strstr(cases[i].cache, "hit") ? "0" : "");
    }
    answer_clear(&a);
    request(&f, &a, "GET", RESOURCES "/u", "Cache-Control: only-if-cached\r\n", NULL);
    expect_problem(&a, FAULT_NOT_CACHED);
}
END_TEST

START_TEST(what_is_stale_is_validated_or_shown)
{
    device_answers(COAPMSG_CONTENT, 0, "x", 1, 0);
    f.fake.response.etag_size = 1;
    f.fake.response.etag[0] = 7;
    reads(RESOURCES "/t", NULL, 200, "tcgw; fwd=miss");
    device_answers(COAPMSG_CODE(2, 3), -1, NULL, 0, 60);
    f.fake.response.etag_size = 1;
    f.fake.response.etag[0] = 7;
    reads(RESOURCES "/t", NULL, 200, "tcgw; fwd=stale; fwd-status=304; ttl=60");
    ck_assert_str_eq(buffer_text(&a.body), "x");
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"07\"");
    reads(RESOURCES "/t", "If-None-Match: \"07\"\r\n", 304, "tcgw; hit; ttl=60");
    reads(RESOURCES "/new", "If-None-Match: \"07\"\r\n", 304, "tcgw; fwd=miss"); /* the device knows the tag */
    f.fake.outcome = AGENT_NO_ANSWER;
    device_answers(COAPMSG_CONTENT, 0, "x", 1, 60);
    reads(RESOURCES "/t", "Cache-Control: max-age=0, max-stale\r\n", 200, "tcgw; hit; ttl=60");
}
END_TEST

START_TEST(cbor_is_shown_as_json)
{
    static const uint8_t map[] = {0xa1, 0x61, 'a', 0x82, 1, 0xf5}, senml[] = {0x81, 0xa2, 0, 0x61, 't', 2, 5};

    device_answers(COAPMSG_CONTENT, 60, map, sizeof map, 60);
    f.fake.response.etag_size = 1;
    reads(RESOURCES "/c", "Accept: application/json\r\n", 200, "tcgw; fwd=miss");
    ck_assert_str_eq(buffer_text(&a.body), "{\"a\":[1,true]}");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/json");
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"00-json\"");
    reads(RESOURCES "/c", "Accept: application/json\r\nIf-None-Match: \"00-json\"\r\n", 304, "tcgw; hit; ttl=60");
    answer_clear(&a);
    request(&f, &a, "GET", RESOURCES "/c", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_uint_eq(a.body.size, sizeof map);
    device_answers(COAPMSG_CONTENT, 112, senml, sizeof senml, 60);
    answer_clear(&a);
    request(&f, &a, "GET", RESOURCES "/s", "Accept: application/senml+json\r\n", NULL);
    expect_status(&a, 200);
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), "\"v\":5"));
    device_answers(COAPMSG_CONTENT, 60, "\xff", 1, 60);
    answer_clear(&a);
    request(&f, &a, "GET", RESOURCES "/bad", "Accept: application/json\r\n", NULL);
    expect_problem(&a, FAULT_DEVICE_ANSWER);
}
END_TEST

START_TEST(json_is_sent_as_cbor_on_request)
{
    device_answers(COAPMSG_CHANGED, -1, NULL, 0, 60);
    request(&f, &a, "PUT", RESOURCES "/c", "Content-Type: application/json\r\nPrefer: convert\r\n", "{\"a\":1}");
    expect_status(&a, 204);
    ck_assert_str_eq(answer_header(&a, "Preference-Applied"), "convert");
    ck_assert_int_eq(f.fake.seen.format, 60);
    answer_clear(&a);
    request(&f, &a, "PUT", RESOURCES "/c", "Content-Type: application/json\r\n", "{\"a\":1}");
    ck_assert_int_eq(f.fake.seen.format, 50);
    answer_clear(&a);
    request(&f, &a, "PUT", RESOURCES "/c", "Content-Type: application/json\r\nPrefer: convert\r\n", "{");
    expect_problem(&a, FAULT_MALFORMED_JSON);
}
END_TEST

START_TEST(links_are_listed)
{
    static const char links[] = "</a>;rt=\"x y\";ct=60,<coap://h/b>;obs;sz=5", garbage[] = "</a";

    device_answers(COAPMSG_CONTENT, 40, links, sizeof links - 1, 60);
    request(&f, &a, "GET", RESOURCES, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(f.fake.seen.path, "/.well-known/core");
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), "\"href\":\"/a\",\"rt\":[\"x\",\"y\"]"));
    device_answers(COAPMSG_CONTENT, 40, garbage, sizeof garbage - 1, 60);
    answer_clear(&a);
    request(&f, &a, "GET", RESOURCES, "Cache-Control: no-cache\r\n", NULL);
    expect_problem(&a, FAULT_DEVICE_ANSWER);
}
END_TEST

static const struct {
    const char *uri, *authority; /* NULL: refused with code */
    enum fault_code code;
} uris[] = {
    {"coap://[::1]/a", "coap://[::1]", FAULT_NONE},
    {"COAP://192.0.2.1:99?x", "coap://192.0.2.1:99", FAULT_NONE},
    {"coap+tcp://192.0.2.1", "coap+tcp://192.0.2.1", FAULT_NONE},
    {"coap://[fe80::1%25eth0]:1/a", "coap://[fe80::1%25eth0]:1", FAULT_NONE},
    {"coaps://[::1]/a", NULL, FAULT_SCHEME_UNSUPPORTED},
    {"http://[::1]/a", NULL, FAULT_SCHEME_UNSUPPORTED},
    {"coap://name/a", NULL, FAULT_UNKNOWN_HOST},
    {"coap://224.0.1.187/a", NULL, FAULT_FORBIDDEN},
    {"coap://255.255.255.255/a", NULL, FAULT_FORBIDDEN},
    {"coap://[ff02::fd]/a", NULL, FAULT_FORBIDDEN},
    {"coap://[::ffff:224.0.0.1]/a", NULL, FAULT_FORBIDDEN},
    {"coap://[::ffff:255.255.255.255]/a", NULL, FAULT_FORBIDDEN},
    {"coap://[::]/a", NULL, FAULT_FORBIDDEN},
    {"coap://[::ffff:0.0.0.0]/a", NULL, FAULT_FORBIDDEN},
    {"coap://0.0.0.0/a", NULL, FAULT_FORBIDDEN},
    {"coap://[::ffff:192.0.2.1]/a", "coap://[::ffff:192.0.2.1]", FAULT_NONE},
    {"coap://u@192.0.2.1/a", NULL, FAULT_INVALID_PARAMETER},
    {"coap://[::1/a", NULL, FAULT_INVALID_PARAMETER},
    {"coap://[::1]x/a", NULL, FAULT_INVALID_PARAMETER},
    {"coap:///a", NULL, FAULT_INVALID_PARAMETER},
    {"coap:/[::1]/a", NULL, FAULT_INVALID_PARAMETER},
    {"", NULL, FAULT_INVALID_PARAMETER},
};

START_TEST(uris_are_parsed)
{
    struct fault fault = {.code = FAULT_NONE};
    struct hcuri uri;
    int r = hcuri_parse(uris[_i].uri, &uri, &fault);

    ck_assert_int_eq(fault.code, uris[_i].code);
    ck_assert_int_eq(r, uris[_i].authority == NULL);
    if (r == 0)
        ck_assert_str_eq(uri.authority, uris[_i].authority);
}
END_TEST

START_TEST(the_proxy_is_discovered)
{
    request(&f, &a, "GET", "/.well-known/core", NULL, NULL);
    ck_assert_str_eq(buffer_text(&a.body), "</hc/>;rt=\"core.hc\"");
    answer_clear(&a);
    request(&f, &a, "OPTIONS", "/hc/coap://[::1]/", NULL, NULL);
    expect_problem(&a, FAULT_NOT_IMPLEMENTED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest cache");
    TCase *tcase = tcase_create("cache");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, directives_choose_how_it_is_answered);
    tcase_add_test(tcase, what_is_stale_is_validated_or_shown);
    tcase_add_test(tcase, cbor_is_shown_as_json);
    tcase_add_test(tcase, json_is_sent_as_cbor_on_request);
    tcase_add_test(tcase, links_are_listed);
    tcase_add_loop_test(tcase, uris_are_parsed, 0, (int)array_size(uris));
    tcase_add_test(tcase, the_proxy_is_discovered);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
