#include "server_fixture.h"
#include "suite.h"

#include <string.h>

/* The resource directory's resources: what is asked of the core, and how that is answered. */

static struct gadget *a;
static struct coapmsg request, answer;
static uint8_t datagram[4096];
static struct incoming incoming;

static void set_up(void)
{
    world_open();
    a = world_add("a", false);
    world.directory_number = 1767225600001;
}

static void tear_down(void)
{
    world_close();
}

static void make(uint8_t code, const char *path)
{
    coapmsg_init(&request, COAPMSG_CON, code);
    coapmsg_set_token(&request, "token", 5);
    coapmsg_add_path(&request, path);
}

static uint8_t plain(void)
{
    incoming = (struct incoming){.identity = NULL};
    world_send(&incoming, &a->peer, datagram, world_encode(&request, datagram));
    world_run();
    if (incoming.state != INCOMING_ANSWERED)
        return 0;
    world_read_answer(&incoming, &answer);
    return answer.code;
}

static uint32_t option(uint16_t number)
{
    uint32_t value = UINT32_MAX;

    (void)coapmsg_get_uint(&answer, number, &value);
    return value;
}

static bool payload_is(const char *text)
{
    return answer.payload_size == strlen(text) && (!*text || memcmp(answer.payload, text, strlen(text)) == 0);
}

static void registers(void)
{
    make(COAPMSG_POST, "/rd");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "ep=RIOT-0123456789ABCDEF");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "lt=60");
    coapmsg_add_uint(&request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_LINK);
    coapmsg_set_payload(&request, "</a>", 4);
}

START_TEST(is_found_as_clients_look_for_it)
{
    make(COAPMSG_GET, "/.well-known/core");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "rt=core.rd");
    ck_assert_uint_eq(plain(), COAPMSG_CONTENT);
    ck_assert(payload_is("</rd>;rt=\"core.rd\""));
    make(COAPMSG_GET, "/.well-known/core");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "rt=core.rd*");
    ck_assert_uint_eq(plain(), COAPMSG_CONTENT);
    ck_assert(payload_is("</rd>;rt=\"core.rd\",</rd-lookup/ep>;rt=\"core.rd-lookup-ep\","
                         "</rd-lookup/res>;rt=\"core.rd-lookup-res\""));
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "href=/rd-lookup/*");
    ck_assert_uint_eq(plain(), COAPMSG_CONTENT);
    ck_assert(payload_is("</rd-lookup/ep>;rt=\"core.rd-lookup-ep\",</rd-lookup/res>;rt=\"core.rd-lookup-res\""));
}
END_TEST

START_TEST(a_registration_has_a_short_location)
{
    const struct coapmsg_option *location;

    registers();
    ck_assert_uint_eq(plain(), COAPMSG_CREATED);
    ck_assert_str_eq(world.directory_query, "ep=RIOT-0123456789ABCDEF&lt=60");
    ck_assert_str_eq(world.directory_links, "</a>");
    ck_assert_ptr_null(world.directory_device);
    location = coapmsg_find(&answer, COAPMSG_OPT_LOCATION_PATH);
    ck_assert(location->length == 2 && memcmp(location->value, "rd", 2) == 0);
    location = coapmsg_find_next(&answer, location);
    ck_assert(location->length == 13 && memcmp(location->value, "1767225600001", 13) == 0);
    ck_assert_ptr_null(coapmsg_find_next(&answer, location));
    ck_assert_uint_eq(answer.payload_size, 0);
}
END_TEST

START_TEST(a_protected_one_is_the_devices)
{
    registers();
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CREATED);
    ck_assert_ptr_eq(world.directory_device, &a->device);
    make(COAPMSG_POST, "/rd/17");
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CHANGED);
    ck_assert_ptr_eq(world.directory_device, &a->device);
}
END_TEST

START_TEST(what_has_a_place_in_a_query_is_escaped)
{
    make(COAPMSG_POST, "/rd");
    coapmsg_add(&request, COAPMSG_OPT_URI_QUERY, "ep=a&b%c d\0e", 12);
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "et=\xc3\xa4");
    ck_assert_uint_eq(plain(), COAPMSG_CREATED);
    ck_assert_str_eq(world.directory_query, "ep=a%26b%25c%20d%00e&et=\xc3\xa4");
}
END_TEST

START_TEST(updates_and_removals)
{
    make(COAPMSG_POST, "/rd/1767225600001");
    ck_assert_uint_eq(plain(), COAPMSG_CHANGED);
    ck_assert_str_eq(world.directory_call, "update");
    ck_assert_uint_eq(world.directory_number, 1767225600001);
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "lt=6");
    ck_assert_uint_eq(plain(), COAPMSG_CHANGED);
    ck_assert_str_eq(world.directory_query, "lt=6");
    coapmsg_set_payload(&request, "</a>", 4);
    ck_assert_uint_eq(plain(), COAPMSG_BAD_REQUEST);
    make(COAPMSG_DELETE, "/rd/1767225600002");
    ck_assert_uint_eq(plain(), COAPMSG_DELETED);
    ck_assert_str_eq(world.directory_call, "remove");
    ck_assert_uint_eq(world.directory_number, 1767225600002);
}
END_TEST

START_TEST(places_that_are_none)
{
    static const char *const paths[] = {"/rd/x", "/rd/1/2", "/rd/-1", "/rd/99999999999999999999", "/rd/1x"};

    for (size_t i = 0; i < array_size(paths); i++) {
        make(COAPMSG_POST, paths[i]);
        ck_assert_uint_eq(plain(), COAPMSG_NOT_FOUND);
        make(COAPMSG_DELETE, paths[i]);
        ck_assert_uint_eq(plain(), COAPMSG_NOT_FOUND);
    }
    make(COAPMSG_DELETE, "/rd");
    ck_assert_uint_eq(plain(), COAPMSG_METHOD_NOT_ALLOWED);
    make(COAPMSG_PUT, "/rd");
    ck_assert_uint_eq(plain(), COAPMSG_METHOD_NOT_ALLOWED);
    make(COAPMSG_GET, "/rd/1");
    ck_assert_uint_eq(plain(), COAPMSG_METHOD_NOT_ALLOWED);
    make(COAPMSG_POST, "/rd-lookup/ep");
    ck_assert_uint_eq(plain(), COAPMSG_METHOD_NOT_ALLOWED);
    ck_assert_str_eq(world.directory_call, "");
}
END_TEST

START_TEST(other_formats)
{
    make(COAPMSG_POST, "/rd");
    coapmsg_add_uint(&request, COAPMSG_OPT_CONTENT_FORMAT, COAPMSG_FORMAT_JSON);
    coapmsg_set_payload(&request, "</a>", 4);
    ck_assert_uint_eq(plain(), COAPMSG_UNSUPPORTED_FORMAT);
    make(COAPMSG_POST, "/rd");
    coapmsg_set_payload(&request, "</a>", 4);
    ck_assert_uint_eq(plain(), COAPMSG_CREATED);
    make(COAPMSG_GET, "/rd-lookup/ep");
    coapmsg_add_uint(&request, COAPMSG_OPT_ACCEPT, COAPMSG_FORMAT_JSON);
    ck_assert_uint_eq(plain(), COAPMSG_NOT_ACCEPTABLE);
}
END_TEST

START_TEST(faults_have_their_codes)
{
    static const struct {
        enum fault_code fault;
        uint8_t code;
        uint32_t max_age;
    } cases[] = {{FAULT_INVALID_PARAMETER, COAPMSG_BAD_REQUEST, UINT32_MAX},
                 {FAULT_INVALID_FIELD, COAPMSG_BAD_REQUEST, UINT32_MAX},
                 {FAULT_BODY_TOO_LARGE, COAPMSG_TOO_LARGE, UINT32_MAX},
                 {FAULT_FORBIDDEN, COAPMSG_FORBIDDEN, UINT32_MAX},
                 {FAULT_NOT_FOUND, COAPMSG_NOT_FOUND, UINT32_MAX},
                 {FAULT_RATE_LIMITED, COAPMSG_TOO_MANY_REQUESTS, 2},
                 {FAULT_LIMIT_REACHED, COAPMSG_UNAVAILABLE, 60},
                 {FAULT_QUEUE_FULL, COAPMSG_UNAVAILABLE, 2},
                 {FAULT_STORAGE_FULL, COAPMSG_UNAVAILABLE, 2},
                 {FAULT_DEVICE_ANSWER, COAPMSG_BAD_GATEWAY, UINT32_MAX},
                 {FAULT_DEVICE_TIMEOUT, COAPMSG_GATEWAY_TIMEOUT, UINT32_MAX}};

    for (size_t i = 0; i < array_size(cases); i++) {
        world.directory_fault = cases[i].fault;
        registers();
        ck_assert_uint_eq(plain(), cases[i].code);
        ck_assert_uint_eq(option(COAPMSG_OPT_MAX_AGE), cases[i].max_age);
        world.directory_fault = FAULT_NONE;
        world.directory_result = cases[i].fault;
        make(COAPMSG_POST, "/rd/1");
        ck_assert_uint_eq(plain(), cases[i].code);
        world.directory_result = FAULT_NONE;
    }
}
END_TEST

START_TEST(simple_registration)
{
    make(COAPMSG_POST, "/.well-known/rd");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "ep=x");
    ck_assert_uint_eq(plain(), COAPMSG_CHANGED);
    ck_assert_str_eq(world.directory_call, "simple");
    ck_assert_str_eq(world.directory_query, "ep=x");
    coapmsg_set_payload(&request, "</a>", 4);
    ck_assert_uint_eq(plain(), COAPMSG_BAD_REQUEST);
}
END_TEST

START_TEST(looks_up)
{
    world.directory_answer = "<coap://h/a>";
    make(COAPMSG_GET, "/rd-lookup/res");
    ck_assert_uint_eq(plain(), COAPMSG_CONTENT);
    ck_assert_uint_eq(option(COAPMSG_OPT_CONTENT_FORMAT), COAPMSG_FORMAT_LINK);
    ck_assert(payload_is("<coap://h/a>"));
    ck_assert_str_eq(world.directory_call, "res");
    make(COAPMSG_GET, "/rd-lookup/ep");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "ep=x*");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "count=1");
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
    ck_assert_str_eq(world.directory_call, "ep");
    ck_assert_str_eq(world.directory_query, "ep=x*&count=1");
    world.directory_answer = "";
    world.directory_changes++;
    ck_assert_uint_eq(plain(), COAPMSG_CONTENT);
    ck_assert(payload_is(""));
}
END_TEST

static void ask_block(uint32_t num, uint8_t szx)
{
    make(COAPMSG_GET, "/rd-lookup/res");
    coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){num, false, szx});
    ck_assert_uint_eq(plain(), COAPMSG_CONTENT);
}

/* What may come from a forged address is answered in small pieces, all of one answer. */
START_TEST(strangers_get_small_blocks)
{
    static char text[1001];
    struct coapmsg_block block;

    memset(text, 'a', 1000);
    text[500] = 'b';
    world.directory_answer = text;
    make(COAPMSG_GET, "/rd-lookup/res");
    ck_assert_uint_eq(plain(), COAPMSG_CONTENT);
    ck_assert_uint_eq(answer.payload_size, 256);
    ck_assert_int_eq(coapmsg_get_block(&answer, COAPMSG_OPT_BLOCK2, &block), 0);
    ck_assert(block.more && block.num == 0 && block.szx == 4);
    world.directory_answer = "something else";
    ask_block(1, 4);
    ck_assert_uint_eq(answer.payload_size, 256);
    ck_assert_uint_eq(answer.payload[500 - 256], 'b');
    ask_block(1, 5); /* the second 512 bytes */
    ck_assert_int_eq(coapmsg_get_block(&answer, COAPMSG_OPT_BLOCK2, &block), 0);
    ck_assert(block.num == 2 && block.szx == 4);
    ask_block(62, 0);
    ck_assert_uint_eq(answer.payload_size, 8);
    ck_assert_uint_eq(world.directory_lookups, 1);
    world.directory_changes++;
    ask_block(0, 6);
    ck_assert(payload_is("something else"));
    ck_assert_uint_eq(world.directory_lookups, 2);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CONTENT);
}
END_TEST

START_TEST(strangers_look_up_a_few_times_a_second)
{
    char query[32];
    unsigned limited = 0;

    for (unsigned i = 0; i < 100; i++) {
        make(COAPMSG_GET, "/rd-lookup/ep");
        (void)snprintf(query, sizeof query, "ep=x%u", i);
        coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, query);
        limited += plain() == COAPMSG_TOO_MANY_REQUESTS;
        if (world_exchange(a, &request, &answer) != COAPMSG_CONTENT)
            ck_abort_msg("a device is not limited");
    }
    ck_assert_uint_gt(limited, 0);
    ck_assert_uint_lt(world.directory_lookups, 100 + 40);
}
END_TEST

START_TEST(one_that_left_is_not_answered)
{
    registers();
    incoming = (struct incoming){.identity = NULL};
    world_send(&incoming, &a->peer, datagram, world_encode(&request, datagram));
    ck_assert_int_eq(incoming.state, INCOMING_HELD);
    world_restart_server();
    ck_assert_int_eq(incoming.state, INCOMING_DROPPED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap_directory");
    TCase *tc = suite_add_case(suite, "directory", set_up, tear_down);

    tcase_add_test(tc, is_found_as_clients_look_for_it);
    tcase_add_test(tc, a_registration_has_a_short_location);
    tcase_add_test(tc, a_protected_one_is_the_devices);
    tcase_add_test(tc, what_has_a_place_in_a_query_is_escaped);
    tcase_add_test(tc, updates_and_removals);
    tcase_add_test(tc, places_that_are_none);
    tcase_add_test(tc, other_formats);
    tcase_add_test(tc, faults_have_their_codes);
    tcase_add_test(tc, simple_registration);
    tcase_add_test(tc, looks_up);
    tcase_add_test(tc, strangers_get_small_blocks);
    tcase_add_test(tc, strangers_look_up_a_few_times_a_second);
    tcase_add_test(tc, one_that_left_is_not_answered);
    return suite_run(suite);
}
