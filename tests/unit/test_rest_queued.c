/* Requests that wait for their device (Prefer: respond-async), over real sockets. */
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
                                             .max_raw_bytes = 100000,
                                             .max_wait_s = 60,
                                             .connection_timeout_s = 10,
                                             .max_streams = 3,
                                             .heartbeat_ms = 100});
    fixture_add_device(&f);
    f.fake.response = (struct agent_response){.code = COAPMSG_CHANGED, .format = -1, .max_age = 60};
}

static void teardown(void)
{
    answer_clear(&a);
    fixture_stop(&f);
}

#define RESOURCES "/v1/devices/box/resources"
#define ASYNC "Prefer: respond-async\r\n"

static void sleeps(void)
{
    request_json(&f, &a, "PATCH", "/v1/devices/box", NULL, "{\"sleep\":{\"sleep_s\":60}}");
    expect_status(&a, 200);
    answer_clear(&a);
}

START_TEST(one_that_sleeps_is_waited_for)
{
    char location[100];

    sleeps();
    request(&f, &a, "PUT", RESOURCES "/led?a=1&ttl=50&b=2", ASYNC "Content-Type: application/json\r\n", "{}");
    expect_status(&a, 202);
    ck_assert_str_eq(answer_header(&a, "Preference-Applied"), "respond-async");
    ck_assert_str_eq(answer_text(&a, "kind"), "request");
    ck_assert_str_eq(answer_text(&a, "state"), "queued");
    ck_assert_str_eq(answer_text(&a, "waiting_for"), "device");
    ck_assert_str_eq(answer_text(&a, "request/method"), "PUT");
    ck_assert_str_eq(answer_text(&a, "request/path"), "/led");
    ck_assert_str_eq(answer_text(&a, "request/query"), "a=1&b=2");
    (void)snprintf(location, sizeof location, "%s", answer_header(&a, "Location"));
    ck_assert(strncmp(location, "/v1/operations/", 15) == 0);
    answer_clear(&a);
    request(&f, &a, "GET", location, NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "kind"), "request");
    answer_clear(&a);
    (void)strcat(location, "/cancel");
    request(&f, &a, "POST", location, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_uint_eq(f.fake.counts[AGENT_CALL_RESOURCE], 0);
}
END_TEST

START_TEST(one_that_is_awake_is_asked_and_the_answer_is_in_the_result)
{
    static const char payload[] = "{\"on\":true}";

    f.fake.response = (struct agent_response){.code = COAPMSG_CONTENT,
                                              .format = 50,
                                              .max_age = 60,
                                              .body = (uint8_t *)(uintptr_t)payload,
                                              .body_size = strlen(payload)};
    request(&f, &a, "GET", RESOURCES "/state?x", "Prefer: respond-async, wait=9\r\n", NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_header(&a, "Preference-Applied"), "respond-async, wait=9");
    ck_assert_str_eq(answer_text(&a, "state"), "succeeded");
    ck_assert_str_eq(answer_text(&a, "result/coap_code"), "2.05");
    ck_assert_ptr_nonnull(strstr(buffer_text(&a.body), "\"payload_json\":{\"on\":true}"));
    ck_assert_str_eq(f.fake.seen.query, "x");
    answer_clear(&a);
    f.fake.response = (struct agent_response){.code = COAPMSG_CODE(4, 4), .format = -1};
    request(&f, &a, "POST", RESOURCES "/gone", "Prefer: wait=9, respond-async\r\n", "x");
    expect_problem(&a, FAULT_DEVICE_ERROR);
}
END_TEST

static const struct {
    const char *method, *target, *headers;
    enum fault_code code;
} bad[] = {
    {"PUT", "/led?ttl=", ASYNC, FAULT_INVALID_PARAMETER},
    {"PUT", "/led?ttl=0", ASYNC, FAULT_INVALID_PARAMETER},
    {"PUT", "/led?ttl=1h", ASYNC, FAULT_INVALID_PARAMETER},
    {"PUT", "/led?ttl=99999999999999999999", ASYNC, FAULT_INVALID_PARAMETER},
    {"PUT", "/led?ttl=4294967", ASYNC, FAULT_INVALID_PARAMETER}, /* over the limit */
    {"PUT", "/led", "Prefer: respond-async, wait=x\r\n", FAULT_INVALID_PARAMETER},
    {"PUT", "/..", ASYNC, FAULT_INVALID_PARAMETER},
    {"GET", "/state", NULL, FAULT_DEVICE_ASLEEP},
    {"PUT", "/led", NULL, FAULT_DEVICE_ASLEEP},
    {"GET", "/state", "Prefer: wait=1\r\n", FAULT_DEVICE_ASLEEP},
};

START_TEST(bad_requests_are_refused)
{
    char path[256];

    sleeps();
    (void)snprintf(path, sizeof path, RESOURCES "%s", bad[_i].target);
    request(&f, &a, bad[_i].method, path, bad[_i].headers, strcmp(bad[_i].method, "PUT") == 0 ? "x" : NULL);
    expect_problem(&a, bad[_i].code);
    ck_assert_uint_eq(f.fake.counts[AGENT_CALL_RESOURCE], 0);
}
END_TEST

START_TEST(the_same_key_is_the_same_operation)
{
    char id[100];

    sleeps();
    request(&f, &a, "POST", RESOURCES "/dose", ASYNC "Idempotency-Key: k\r\n", "x");
    expect_status(&a, 202);
    (void)snprintf(id, sizeof id, "%s", answer_text(&a, "id"));
    answer_clear(&a);
    request(&f, &a, "POST", RESOURCES "/dose", ASYNC "Idempotency-Key: k\r\n", "x");
    expect_status(&a, 202);
    ck_assert_str_eq(answer_text(&a, "id"), id);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rest_queued");
    TCase *tcase = suite_add_case(suite, "queued", setup, teardown);

    tcase_add_test(tcase, one_that_sleeps_is_waited_for);
    tcase_add_test(tcase, one_that_is_awake_is_asked_and_the_answer_is_in_the_result);
    tcase_add_loop_test(tcase, bad_requests_are_refused, 0, array_size(bad));
    tcase_add_test(tcase, the_same_key_is_the_same_operation);
    return suite_run(suite);
}
