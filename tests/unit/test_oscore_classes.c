#include "oscore_fixture.h"
#include "suite.h"

#include <string.h>

#define OPT_HOP_LIMIT 16
#define OPT_LOCATION_QUERY 20
#define OPT_ECHO 252
#define OPT_NO_RESPONSE 258
#define OPT_REQUEST_TAG 292

static struct oscore_pair pair;
static struct sealed sealed;
static struct opened opened;
static struct coapmsg plain;

static void setup(void)
{
    pair_init(&pair, OSCORE_AES_CCM_16_64_128);
}

static void teardown(void)
{
    pair_free(&pair);
}

/* Section 4.1, figure 5. */
static const struct {
    uint16_t number;
    bool outer; /* it stays readable */
} classes[] = {
    {COAPMSG_OPT_IF_MATCH, false},
    {COAPMSG_OPT_URI_HOST, true},
    {COAPMSG_OPT_ETAG, false},
    {COAPMSG_OPT_IF_NONE_MATCH, false},
    {COAPMSG_OPT_URI_PORT, true},
    {COAPMSG_OPT_LOCATION_PATH, false},
    {COAPMSG_OPT_URI_PATH, false},
    {COAPMSG_OPT_CONTENT_FORMAT, false},
    {COAPMSG_OPT_MAX_AGE, false},
    {COAPMSG_OPT_URI_QUERY, false},
    {OPT_HOP_LIMIT, true}, /* RFC 8768 */
    {COAPMSG_OPT_ACCEPT, false},
    {OPT_LOCATION_QUERY, false},
    {COAPMSG_OPT_BLOCK2, false},
    {COAPMSG_OPT_BLOCK1, false},
    {COAPMSG_OPT_SIZE2, false},
    {COAPMSG_OPT_PROXY_SCHEME, true},
    {COAPMSG_OPT_SIZE1, false},
    {OPT_ECHO, false},
    {OPT_NO_RESPONSE, false},
    {OPT_REQUEST_TAG, false},
    {2, false}, /* not known */
    {65001, false},
    {65002, false},
    {65003, false},
    {65004, false},
    {65005, false},
    {65006, false},
    {65535, false},
};

/* Each stands where it belongs, and comes back with its value. */
START_TEST(options_stand_where_they_belong)
{
    const struct coapmsg_option *option;

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_text(&plain, classes[_i].number, "value");
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
    option = coapmsg_find(&opened.outer, classes[_i].number);
    ck_assert_int_eq(option != NULL, classes[_i].outer);
    ck_assert_uint_eq(opened.outer.code, COAPMSG_POST);
    ck_assert_uint_eq(opened.outer.option_count, classes[_i].outer ? 2 : 1);
    ck_assert(same_content(&opened.msg, &plain));
}
END_TEST

START_TEST(observe_stands_in_both_places)
{
    struct sealed answer;
    const struct coapmsg_option *option;
    uint32_t value;

    for (uint32_t i = 0; i < 2; i++) { /* registration, cancellation */
        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, i);
        seal_request(pair.client, &plain, 0, &sealed);
        ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
        ck_assert_uint_eq(opened.outer.code, COAPMSG_FETCH);
        ck_assert(coapmsg_get_uint(&opened.outer, COAPMSG_OPT_OBSERVE, &value));
        ck_assert_uint_eq(value, i);
        ck_assert(same_content(&opened.msg, &plain));
        ck_assert_int_eq(opened.binding.observe, i == 0);
    }
    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 0);
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
    coapmsg_init(&plain, COAPMSG_NON, COAPMSG_CONTENT);
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 4711);
    seal_response(pair.server, &opened.binding, &plain, 0, &answer);
    ck_assert_int_eq(open_response(pair.client, &sealed.binding, answer.datagram, answer.size, &opened), 0);
    ck_assert_uint_eq(opened.outer.code, COAPMSG_CONTENT);
    ck_assert(coapmsg_get_uint(&opened.outer, COAPMSG_OPT_OBSERVE, &value));
    ck_assert_uint_eq(value, 4711);
    option = coapmsg_find(&opened.msg, COAPMSG_OPT_OBSERVE);
    ck_assert_ptr_nonnull(option);
}
END_TEST

/* Repeated, or longer than it may be (RFC 7641 section 2). */
START_TEST(malformed_observe_is_refused)
{
    struct coapmsg msg;
    uint8_t buffer[256];

    for (size_t size = 0; size < 8; size++) {
        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add(&plain, COAPMSG_OPT_OBSERVE, "12345678", size);
        ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                         size <= 3 ? 0 : OSCORE_E_OPTION);
    }
    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 0);
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 0);
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                     OSCORE_E_OPTION);
}
END_TEST

/* A proxy that takes the outer Observe away does not turn it into another request. */
START_TEST(inner_observe_counts)
{
    struct coapmsg msg, outer;
    struct oscore_option option;
    uint8_t buffer[256];

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 0);
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(coapmsg_decode(&msg, sealed.datagram, sealed.size), 0);
    coapmsg_init(&outer, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&outer, COAPMSG_OPT_OSCORE, coapmsg_find(&msg, COAPMSG_OPT_OSCORE)->value,
                coapmsg_find(&msg, COAPMSG_OPT_OSCORE)->length);
    coapmsg_set_payload(&outer, msg.payload, msg.payload_size);
    ck_assert_int_eq(oscore_message_option(&outer, &option), 0);
    ck_assert_int_eq(
        oscore_unprotect_request(pair.server, &outer, &option, &opened.binding, &opened.msg, buffer, sizeof buffer), 0);
    ck_assert(opened.binding.observe);
    ck_assert(same_content(&opened.msg, &plain));
}
END_TEST

/* What somebody on the way put outside is dropped where it belongs inside, and loses against what is inside. */
START_TEST(outer_options_are_dropped)
{
    struct coapmsg msg;
    struct oscore_option option;
    uint8_t buffer[512];

    for (size_t i = 0; i < array_size(classes); i++) {
        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add_text(&plain, COAPMSG_OPT_URI_PATH, "inside");
        seal_request(pair.client, &plain, 0, &sealed);
        ck_assert_int_eq(coapmsg_decode(&msg, sealed.datagram, sealed.size), 0);
        coapmsg_add_text(&msg, classes[i].number, "outside");
        ck_assert_int_eq(oscore_message_option(&msg, &option), 0);
        ck_assert_int_eq(
            oscore_unprotect_request(pair.server, &msg, &option, &opened.binding, &opened.msg, buffer, sizeof buffer),
            0);
        ck_assert_uint_eq(opened.msg.option_count, classes[i].outer ? 2 : 1);
        ck_assert_mem_eq(coapmsg_find(&opened.msg, COAPMSG_OPT_URI_PATH)->value, "inside", 6);
    }
}
END_TEST

/* The same for a response: an outer ETag, Max-Age or Observe is nobody's word. */
START_TEST(outer_options_of_a_response)
{
    static const uint16_t numbers[] = {COAPMSG_OPT_ETAG, COAPMSG_OPT_OBSERVE, COAPMSG_OPT_MAX_AGE, COAPMSG_OPT_BLOCK2,
                                       65001};
    struct coapmsg msg, to;
    uint8_t buffer[512];
    struct sealed answer;

    plain_request(&plain);
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
    plain_response(&plain);
    seal_response(pair.server, &opened.binding, &plain, 0, &answer);
    ck_assert_int_eq(coapmsg_decode(&msg, answer.datagram, answer.size), 0);
    for (size_t i = 0; i < array_size(numbers); i++)
        coapmsg_add_text(&msg, numbers[i], "x");
    ck_assert_int_eq(oscore_unprotect_response(pair.client, &sealed.binding, &msg, &to, buffer, sizeof buffer), 0);
    ck_assert(same_content(&to, &plain));
}
END_TEST

/* Each option that may stand outside is copied: the result does not point into the datagram. */
START_TEST(result_points_into_the_buffer)
{
    struct coapmsg msg;
    uint8_t buffer[256];

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_text(&plain, COAPMSG_OPT_URI_HOST, "host");
    coapmsg_add_text(&plain, COAPMSG_OPT_URI_PATH, "path");
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 1);
    coapmsg_set_payload(&plain, "payload", 7);
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer), 0);
    for (size_t i = 0; i < msg.option_count; i++)
        ck_assert(msg.options[i].value >= buffer && msg.options[i].value <= buffer + sizeof buffer);
    ck_assert(msg.payload >= buffer && msg.payload < buffer + sizeof buffer);
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
    memset(sealed.datagram, 0, sizeof sealed.datagram);
    ck_assert(same_content(&opened.msg, &plain));
}
END_TEST

START_TEST(protected_message_is_not_protected_again)
{
    struct coapmsg msg;
    uint8_t buffer[256];

    plain_request(&plain);
    coapmsg_add(&plain, COAPMSG_OPT_OSCORE, NULL, 0);
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                     OSCORE_E_OPTION);
    ck_assert_uint_eq(oscore_context_sequence(pair.client), 0);
}
END_TEST

/* All options of a full message, and one more for OSCORE's own: it goes in because those inside make room. */
START_TEST(full_messages)
{
    struct coapmsg msg;
    uint8_t buffer[512];

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    for (size_t i = 0; i < COAPMSG_MAX_OPTIONS; i++)
        coapmsg_add_text(&plain, COAPMSG_OPT_URI_QUERY, "q");
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
    ck_assert(same_content(&opened.msg, &plain));
    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    for (size_t i = 0; i < COAPMSG_MAX_OPTIONS; i++)
        coapmsg_add_text(&plain, COAPMSG_OPT_URI_HOST, "h");
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                     OSCORE_E_LIMIT);
    ck_assert_uint_eq(oscore_context_sequence(pair.client), 1);
    coapmsg_add_text(&plain, COAPMSG_OPT_URI_HOST, "h"); /* one too many: a message that failed already */
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                     OSCORE_E_LIMIT);
}
END_TEST

/* Section 4.1.3.3. */
static const struct {
    const char *uri, *outer; /* outer NULL: refused */
    const char *path[4], *query[4];
} uris[] = {
    {"coap://example.com/resource?q=1", "coap://example.com", {"resource"}, {"q=1"}},
    {"coap://example.com", "coap://example.com", {0}, {0}},
    {"coap://example.com/", "coap://example.com", {0}, {0}},
    {"coap://example.com:61616/a/b?x&y=2", "coap://example.com:61616", {"a", "b"}, {"x", "y=2"}},
    {"coap://[2001:db8::1]/a//b/", "coap://[2001:db8::1]", {"a", "", "b", ""}, {0}},
    {"coap://h?only=query/with?more", "coap://h", {0}, {"only=query/with?more"}},
    {"coap://h/%7Esensors/caf%c3%a9?a%26b&", "coap://h", {"~sensors", "caf\xc3\xa9"}, {"a&b", ""}},
    {"http://h/p", "http://h", {"p"}, {0}},
    {"coap://h/a#fragment", NULL, {0}, {0}},
    {"coap://h/%7", NULL, {0}, {0}},
    {"coap://h/%zz", NULL, {0}, {0}},
    {"coap://h/a?%", NULL, {0}, {0}},
    {"coap:/h", NULL, {0}, {0}},
    {"://h", NULL, {0}, {0}},
    {"example.com/resource", NULL, {0}, {0}},
    {"", NULL, {0}, {0}},
};

static void assert_parts(const struct coapmsg *msg, uint16_t number, const char *const *parts)
{
    const struct coapmsg_option *option = coapmsg_find(msg, number);

    for (; *parts; parts++, option = coapmsg_find_next(msg, option)) {
        ck_assert_ptr_nonnull(option);
        ck_assert_uint_eq(option->length, strlen(*parts));
        ck_assert_mem_eq(option->value, *parts, option->length);
    }
    ck_assert_ptr_null(option);
}

START_TEST(proxy_uri_is_split)
{
    struct coapmsg msg;
    uint8_t buffer[512];
    const struct coapmsg_option *outer;

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_text(&plain, COAPMSG_OPT_PROXY_URI, uris[_i].uri);
    if (!uris[_i].outer) {
        ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                         OSCORE_E_OPTION);
        return;
    }
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
    outer = coapmsg_find(&opened.outer, COAPMSG_OPT_PROXY_URI);
    ck_assert_ptr_nonnull(outer);
    ck_assert_uint_eq(outer->length, strlen(uris[_i].outer));
    ck_assert_mem_eq(outer->value, uris[_i].outer, outer->length);
    assert_parts(&opened.msg, COAPMSG_OPT_URI_PATH, uris[_i].path);
    assert_parts(&opened.msg, COAPMSG_OPT_URI_QUERY, uris[_i].query);
    ck_assert_ptr_null(coapmsg_find(&opened.outer, COAPMSG_OPT_URI_PATH));
    ck_assert_ptr_null(coapmsg_find(&opened.outer, COAPMSG_OPT_URI_QUERY));
}
END_TEST

START_TEST(proxy_uri_stands_alone)
{
    static const uint16_t others[] = {COAPMSG_OPT_URI_HOST, COAPMSG_OPT_URI_PORT, COAPMSG_OPT_URI_PATH,
                                      COAPMSG_OPT_URI_QUERY, COAPMSG_OPT_PROXY_URI};
    struct coapmsg msg;
    uint8_t buffer[512];

    for (size_t i = 0; i < array_size(others); i++) {
        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add_text(&plain, COAPMSG_OPT_PROXY_URI, "coap://h/p");
        coapmsg_add_text(&plain, others[i], "x");
        ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                         OSCORE_E_OPTION);
    }
}
END_TEST

START_TEST(proxy_uri_of_any_length)
{
    struct coapmsg msg;
    char uri[400] = "coap://h/";
    uint8_t buffer[1024];

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add(&plain, COAPMSG_OPT_PROXY_URI, NULL, 0);
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                     OSCORE_E_OPTION);
    for (size_t size = 250; size < 260; size++) {
        memset(uri + 9, 'a', size);
        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
        coapmsg_add(&plain, COAPMSG_OPT_PROXY_URI, uri, 9 + size);
        ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &opened.binding, &msg, buffer, sizeof buffer),
                         size <= 255 ? 0 : OSCORE_E_OPTION);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oscore_classes");
    TCase *tc = tcase_create("classes");

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, options_stand_where_they_belong, 0, array_size(classes));
    tcase_add_test(tc, observe_stands_in_both_places);
    tcase_add_test(tc, malformed_observe_is_refused);
    tcase_add_test(tc, inner_observe_counts);
    tcase_add_test(tc, outer_options_are_dropped);
    tcase_add_test(tc, outer_options_of_a_response);
    tcase_add_test(tc, result_points_into_the_buffer);
    tcase_add_test(tc, protected_message_is_not_protected_again);
    tcase_add_test(tc, full_messages);
    tcase_add_loop_test(tc, proxy_uri_is_split, 0, array_size(uris));
    tcase_add_test(tc, proxy_uri_stands_alone);
    tcase_add_test(tc, proxy_uri_of_any_length);
    return suite_run(suite);
}
