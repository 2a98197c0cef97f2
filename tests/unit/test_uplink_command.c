/* Commands of the platform as JSON, and their answers. */
#include "suite.h"
#include "uplink/command.h"

#include <check.h>
#include <string.h>

static const struct {
    const char *text, *target, *type, *body;
} good[] = {
    {"{\"method\":\"GET\",\"path\":\"/v1/info\"}", "/v1/info", NULL, NULL},
    {"{\"method\":\"POST\",\"path\":\"/x\",\"body\":{\"a\":1}}", "/x", "application/json", "{\"a\":1}"},
    {"{\"method\":\"POST\",\"path\":\"/x\",\"body\":\"t\"}", "/x", "application/json", "\"t\""},
    {"{\"method\":\"POST\",\"path\":\"/x\",\"body\":null}", "/x", NULL, NULL},
    {"{\"method\":\"PUT\",\"path\":\"/x\",\"headers\":{\"content-type\":\"text/plain\"},\"body\":\"t\"}", "/x",
     "text/plain", "t"},
    {"{\"method\":\"PATCH\",\"path\":\"/x\",\"headers\":{\"Content-Type\":\"application/merge-patch+json\"},"
     "\"body\":{}}",
     "/x", "application/merge-patch+json", "{}"},
};

static bool same(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

START_TEST(good_commands_are_read)
{
    struct command_message message;

    ck_assert_ptr_null(command_parse(&message, good[_i].text, strlen(good[_i].text)));
    ck_assert_str_eq(message.request.target, good[_i].target);
    ck_assert(same(message.request.type, good[_i].type));
    ck_assert_uint_eq(message.request.size, good[_i].body ? strlen(good[_i].body) : 0);
    if (good[_i].body)
        ck_assert_mem_eq(message.request.body, good[_i].body, message.request.size);
    command_clear(&message);
}
END_TEST

static const char *const bad[] = {
    "",
    "no",
    "[]",
    "{}",
    "{\"method\":\"GET\"}",
    "{\"path\":\"/\"}",
    "{\"method\":\"GET\",\"path\":\"v1\"}",
    "{\"method\":1,\"path\":\"/\"}",
    "{\"method\":\"GET\",\"path\":\"/\\u0001\"}",
    "{\"method\":\"GET\",\"path\":\"/\",\"headers\":[]}",
    "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"a\":1}}",
    "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"Accept\":\"a\\r\\nb\"}}",
    "{\"method\":\"PUT\",\"path\":\"/\",\"headers\":{\"Content-Type\":\"text/plain\"},\"body\":{}}",
    "{\"method\":\"GET\",\"method\":\"PUT\",\"path\":\"/\"}",
};

START_TEST(bad_commands_are_refused)
{
    struct command_message message;

    ck_assert_ptr_nonnull(command_parse(&message, bad[_i], strlen(bad[_i])));
    command_clear(&message);
}
END_TEST

START_TEST(a_command_has_at_most_256_kib)
{
    static char text[COMMAND_SIZE_MAX + 2];
    struct command_message message;

    memset(text, ' ', sizeof text);
    memcpy(text, good[0].text, strlen(good[0].text));
    ck_assert_ptr_null(command_parse(&message, text, COMMAND_SIZE_MAX));
    command_clear(&message);
    ck_assert_ptr_nonnull(command_parse(&message, text, COMMAND_SIZE_MAX + 1));
    command_clear(&message);
}
END_TEST

static void check_answer(const struct uplink_answer *answer, const char *expected)
{
    struct buffer out = {0};

    command_format_answer(&out, answer);
    ck_assert_str_eq(buffer_text(&out), expected);
    buffer_clear(&out);
}

START_TEST(answers_are_json)
{
    check_answer(&(struct uplink_answer){.status = 204}, "{\"status\":204,\"headers\":{}}");
    check_answer(
        &(struct uplink_answer){
            .status = 201, .type = "application/json", .location = "/v1/\"x", .body = "{\"a\":1}", .size = 7},
        "{\"status\":201,\"headers\":{\"Content-Type\":\"application/json\",\"Location\":\"/v1/\\\"x\"},"
        "\"body\":{\"a\":1}}");
    check_answer(
        &(struct uplink_answer){.status = 200, .type = "text/plain", .etag = "\"1\"", .body = "a\nb", .size = 3},
        "{\"status\":200,\"headers\":{\"Content-Type\":\"text/plain\",\"ETag\":\"\\\"1\\\"\"},"
        "\"body\":\"a\\nb\"}");
    check_answer(
        &(struct uplink_answer){
            .status = 200, .type = "application/octet-stream", .body = "\xff\x00\x01\x02", .size = 4},
        "{\"status\":200,\"headers\":{\"Content-Type\":\"application/octet-stream\"},\"body_base64\":\"/wABAg==\"}");
}
END_TEST

START_TEST(an_answer_that_is_too_large_says_so)
{
    static char body[COMMAND_ANSWER_MAX + 1];
    struct buffer out = {0};

    command_format_answer(
        &out, &(struct uplink_answer){.status = 200, .type = "text/plain", .body = body, .size = sizeof body});
    ck_assert(!out.failed);
    ck_assert_ptr_nonnull(strstr(buffer_text(&out), "\"status\":413"));
    ck_assert_uint_lt(out.size, 1000);
    buffer_clear(&out);
}
END_TEST

START_TEST(reading_methods_are_known)
{
    static const struct {
        const char *method, *prefer;
        bool read;
    } cases[] = {
        {"GET", NULL, true},
        {"HEAD", NULL, true},
        {"OPTIONS", NULL, true},
        {"POST", NULL, false},
        {"get", NULL, false},
        {"", NULL, false},
        {"GET", "", true},
        {"GET", "wait=30", true},
        {"GET", "respond-async", false},
        {"GET", "wait=1, Respond-Async", false},
    };

    for (size_t i = 0; i < array_size(cases); i++)
        ck_assert_int_eq(
            command_is_read(&(struct uplink_request){.method = cases[i].method, .prefer = cases[i].prefer}),
            cases[i].read);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uplink_command");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, good_commands_are_read, 0, array_size(good));
    tcase_add_loop_test(all, bad_commands_are_refused, 0, array_size(bad));
    tcase_add_test(all, a_command_has_at_most_256_kib);
    tcase_add_test(all, answers_are_json);
    tcase_add_test(all, an_answer_that_is_too_large_says_so);
    tcase_add_test(all, reading_methods_are_known);
    suite_add_tcase(suite, all);
    return suite_run(suite);
}
