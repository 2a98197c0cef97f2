#define _GNU_SOURCE /* memmem */

#include "server_fixture.h"
#include "suite.h"

#include <string.h>

/* /t: whose it is, what it says, and what is answered when. */

static struct gadget *a;
static struct coapmsg request, answer;
static uint8_t datagram[4096];

static void set_up(void)
{
    world_open();
    a = world_add("a", false);
}

static void tear_down(void)
{
    world_close();
}

static void make(const char *path, int format, const void *payload, size_t size)
{
    coapmsg_init(&request, COAPMSG_CON, COAPMSG_POST);
    coapmsg_set_token(&request, "token", 5);
    coapmsg_add_path(&request, path);
    if (format >= 0)
        coapmsg_add_uint(&request, COAPMSG_OPT_CONTENT_FORMAT, (uint32_t)format);
    coapmsg_set_payload(&request, payload, size);
}

static uint8_t send_protected(const char *path, int format, const char *text)
{
    make(path, format, text, strlen(text));
    return world_exchange(a, &request, &answer);
}

static uint8_t send_plain(const struct peer *peer)
{
    static struct incoming incoming;

    incoming = (struct incoming){.peer = *peer};
    world_send(&incoming, peer, datagram, world_encode(&request, datagram));
    world_run();
    if (incoming.state != INCOMING_ANSWERED)
        return 0;
    world_read_answer(&incoming, &answer);
    return answer.code;
}

static bool says(const char *part)
{
    return answer.payload_size && memmem(answer.payload, answer.payload_size, part, strlen(part)) != NULL;
}

static uint32_t max_age(void)
{
    uint32_t value = UINT32_MAX;

    (void)coapmsg_get_uint(&answer, COAPMSG_OPT_MAX_AGE, &value);
    return value;
}

START_TEST(packs_are_taken)
{
    ck_assert_uint_eq(
        send_protected("/t", 110, "[{\"bn\":\"a/\",\"n\":\"b\",\"u\":\"V\",\"v\":1},{\"n\":\"c\",\"v\":2}]"),
        COAPMSG_CHANGED);
    ck_assert_uint_eq(world.telemetry_records, 2);
    ck_assert_str_eq(world.telemetry_name, "a/c");
    ck_assert_ptr_eq(world.telemetry_device, &a->device);
    ck_assert_int_eq(world.telemetry_last.time_us, INT64_C(1700000000000000));
    make("/t", 112, "\x81\xa2\x00\x61x\x02\x05", 7);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CHANGED);
    ck_assert_str_eq(world.telemetry_name, "x");
    ck_assert_double_eq(world.telemetry_last.number, 5);
    request.code = COAPMSG_PUT;
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CHANGED);
    request.code = COAPMSG_GET;
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_METHOD_NOT_ALLOWED);
    ck_assert_uint_eq(world_stats().telemetry_requests, 4);
}
END_TEST

START_TEST(bare_values_are_named_by_path_or_query)
{
    ck_assert_uint_eq(send_protected("/t/room/temp", -1, "21.5"), COAPMSG_CHANGED);
    ck_assert_str_eq(world.telemetry_name, "room/temp");
    ck_assert_str_eq(world.telemetry_unit, "");
    make("/t", 0, "on", 2);
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "n=light");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "u=Cel");
    coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, "x");
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CHANGED);
    ck_assert_str_eq(world.telemetry_name, "light");
    ck_assert_str_eq(world.telemetry_unit, "Cel");
    ck_assert_int_eq(world.telemetry_last.kind, TELEMETRY_STRING);
    make("/t/v", 60, "\xfb\x3f\xf8\0\0\0\0\0\0", 9);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CHANGED);
    ck_assert_double_eq(world.telemetry_last.number, 1.5);
    ck_assert_uint_eq(send_protected("/t/b", 50, "true"), COAPMSG_CHANGED);
    ck_assert_uint_eq(send_protected("/t/b", 110, "[{\"v\":4}]"), COAPMSG_CHANGED);
    ck_assert_str_eq(world.telemetry_name, "b");
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    ck_assert_uint_eq(send_protected("/t", 110, "[{\"n\":\"a\",\"v\":1},{\"n\":\"a\",\"t\":\"x\",\"v\":1}]"),
                      COAPMSG_BAD_REQUEST);
    ck_assert(says("record 2: \"t\" is no number"));
    ck_assert_uint_eq(send_protected("/t", 110, "[{\"n\":\"a\",\"v\":1,\"x_\":1}]"), COAPMSG_BAD_REQUEST);
    ck_assert(says("\"x_\" must be understood"));
    ck_assert_uint_eq(send_protected("/t", 110, "garbage"), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(send_protected("/t", 110, "[]"), COAPMSG_BAD_REQUEST);
    ck_assert(says("no record"));
    ck_assert_uint_eq(send_protected("/t", 110, ""), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(send_protected("/t", -1, ""), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(send_protected("/t", 0, "1"), COAPMSG_BAD_REQUEST);
    ck_assert(says("no name"));
    ck_assert_uint_eq(send_protected("/t/a", 42, "1"), COAPMSG_UNSUPPORTED_FORMAT);
    ck_assert(says("Content-Format 42"));
    ck_assert_uint_eq(send_protected("/t/a", -1, "hello"), COAPMSG_UNSUPPORTED_FORMAT);
    ck_assert_uint_eq(send_protected("/t/a%b", 0, "1"), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(send_protected("/tx", 0, "1"), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(world.telemetry_messages, 0);
    ck_assert_uint_eq(world_stats().telemetry_malformed, 10);
}
END_TEST

START_TEST(names_and_units_that_are_too_long)
{
    char text[200];

    memset(text, 'x', sizeof text);
    make("/t", 0, "1", 1);
    memcpy(text, "n=", 2);
    coapmsg_add(&request, COAPMSG_OPT_URI_QUERY, text, 2 + TELEMETRY_NAME_MAX);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_CHANGED);
    make("/t", 0, "1", 1);
    coapmsg_add(&request, COAPMSG_OPT_URI_QUERY, text, 2 + TELEMETRY_NAME_MAX + 1);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_BAD_REQUEST);
    text[0] = 'u';
    make("/t/a", 0, "1", 1);
    coapmsg_add(&request, COAPMSG_OPT_URI_QUERY, text, 2 + TELEMETRY_UNIT_MAX + 1);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_TOO_LARGE);
}
END_TEST

START_TEST(too_many_records)
{
    cleanup_buffer struct buffer text = {0};

    buffer_append_text(&text, "[{\"bn\":\"a\",\"v\":0}");
    for (int i = 0; i < 100; i++)
        buffer_append_text(&text, ",{\"v\":1}");
    buffer_append_text(&text, "]");
    ck_assert_uint_eq(send_protected("/t", 110, buffer_text(&text)), COAPMSG_TOO_LARGE);
    ck_assert(says("more than 100 records"));
    ck_assert_uint_eq(world.telemetry_messages, 0);
}
END_TEST

START_TEST(answers_come_after_the_commit)
{
    struct incoming incoming = {.state = INCOMING_HELD};

    make("/t/a", 0, "1", 1);
    world_send(&incoming, &a->peer, datagram, world_protect(a, &request, 0, datagram));
    ck_assert_int_eq(incoming.state, INCOMING_HELD);
    ck_assert_uint_eq(world.telemetry_messages, 1);
    world_run();
    ck_assert_int_eq(incoming.state, INCOMING_ANSWERED);
    ck_assert_int_eq(world_open_answer(a, &incoming, &answer), 0);
    ck_assert_uint_eq(answer.code, COAPMSG_CHANGED);
}
END_TEST

START_TEST(faults_have_codes_and_max_age)
{
    world.telemetry_fault = FAULT_RATE_LIMITED;
    ck_assert_uint_eq(send_protected("/t/a", 0, "1"), COAPMSG_TOO_MANY_REQUESTS);
    ck_assert_uint_eq(max_age(), 7);
    world.telemetry_fault = FAULT_STORAGE_FULL;
    ck_assert_uint_eq(send_protected("/t/a", 0, "1"), COAPMSG_UNAVAILABLE);
    ck_assert_uint_eq(max_age(), 7);
    world.telemetry_fault = FAULT_LIMIT_REACHED;
    ck_assert_uint_eq(send_protected("/t/a", 0, "1"), COAPMSG_FORBIDDEN);
    ck_assert_uint_eq(max_age(), UINT32_MAX);
    world.telemetry_fault = FAULT_NONE;
    world.telemetry_result = FAULT_STORAGE_FULL;
    ck_assert_uint_eq(send_protected("/t/a", 0, "1"), COAPMSG_UNAVAILABLE);
    ck_assert_uint_eq(max_age(), 1);
    world.telemetry_result = FAULT_STORAGE_FAILED;
    ck_assert_uint_eq(send_protected("/t/a", 0, "1"), COAPMSG_UNAVAILABLE);
}
END_TEST

START_TEST(strangers_are_refused)
{
    make("/t/a", 0, "1", 1);
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_UNAUTHORIZED); /* its address is no proof: it has credentials */
    world_use_plain(a);
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_CHANGED);
    ck_assert_ptr_eq(world.telemetry_device, &a->device);
    ck_assert_uint_eq(a->verified, 1);
    a->peer.address.v4.sin_port++;
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(world.telemetry_messages, 1);
}
END_TEST

START_TEST(plain_devices_send_blocks)
{
    char text[100];

    world_use_plain(a);
    memset(text, ' ', sizeof text);
    memcpy(text, "[{\"n\":\"a\",\"v\":1},", 17);
    memcpy(text + 64, "{\"n\":\"b\",\"v\":2}]", 16);
    for (uint32_t num = 0; num < 2; num++) {
        make("/t", 110, text + 64 * num, num ? 36 : 64);
        coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){num, num == 0, 2});
        request.id = (uint16_t)num;
        ck_assert_uint_eq(send_plain(&a->peer), num ? COAPMSG_CHANGED : COAPMSG_CONTINUE);
    }
    ck_assert_uint_eq(world.telemetry_records, 2);
}
END_TEST

START_TEST(origins_differ_by_message)
{
    uint64_t first;

    ck_assert_uint_eq(send_protected("/t/a", 0, "1"), COAPMSG_CHANGED);
    first = world.telemetry_origin;
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_eq(send_protected("/t/a", 0, "1"), COAPMSG_CHANGED);
    ck_assert_uint_ne(world.telemetry_origin, first);
    world_use_plain(a);
    make("/t/a", 0, "1", 1);
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_CHANGED);
    first = world.telemetry_origin;
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_CHANGED); /* the message layer would not let it through */
    ck_assert_uint_eq(world.telemetry_origin, first);
    request.id++;
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_CHANGED);
    ck_assert_uint_ne(world.telemetry_origin, first);
}
END_TEST

START_TEST(what_an_earlier_run_has_is_only_answered)
{
    struct incoming incoming = {.state = INCOMING_HELD};
    size_t size;

    make("/t/a", 0, "1", 1);
    size = world_protect(a, &request, 0, datagram);
    world_send(&incoming, &a->peer, datagram, size);
    world_run();
    ck_assert_uint_eq(world.telemetry_messages, 1);
    /* the gateway was killed, and the answer lost: the same datagram comes again */
    world_restart_server();
    world_forget_window(a);
    world.origins[world.origin_count++] = world.telemetry_origin;
    incoming = (struct incoming){.state = INCOMING_HELD};
    world_send(&incoming, &a->peer, datagram, size);
    world_run();
    ck_assert_int_eq(world_open_answer(a, &incoming, &answer), 0);
    ck_assert_uint_eq(answer.code, COAPMSG_CHANGED);
    ck_assert_uint_eq(world.telemetry_messages, 1);
    /* another one has to prove that it is fresh */
    make("/t/a", 0, "2", 1);
    ck_assert_uint_eq(world_exchange(a, &request, &answer), COAPMSG_UNAUTHORIZED);
    ck_assert_ptr_nonnull(coapmsg_find(&answer, COAPMSG_OPT_ECHO));
    ck_assert_uint_eq(world.telemetry_messages, 1);
}
END_TEST

START_TEST(plain_repetitions_after_a_restart)
{
    world_use_plain(a);
    make("/t/a", 0, "1", 1);
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_CHANGED);
    world.origins[world.origin_count++] = world.telemetry_origin;
    ck_assert_uint_eq(send_plain(&a->peer), COAPMSG_CHANGED);
    ck_assert_uint_eq(world.telemetry_messages, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap telemetry");
    TCase *tc = suite_add_case(suite, "all", set_up, tear_down);

    tcase_add_test(tc, packs_are_taken);
    tcase_add_test(tc, bare_values_are_named_by_path_or_query);
    tcase_add_test(tc, what_is_wrong_is_said);
    tcase_add_test(tc, names_and_units_that_are_too_long);
    tcase_add_test(tc, too_many_records);
    tcase_add_test(tc, answers_come_after_the_commit);
    tcase_add_test(tc, faults_have_codes_and_max_age);
    tcase_add_test(tc, strangers_are_refused);
    tcase_add_test(tc, plain_devices_send_blocks);
    tcase_add_test(tc, origins_differ_by_message);
    tcase_add_test(tc, what_an_earlier_run_has_is_only_answered);
    tcase_add_test(tc, plain_repetitions_after_a_restart);
    return suite_run(suite);
}
