/* Every route, over real sockets against the real core and store. */
#include "rest_fixture.h"
#include "suite.h"

#include <string.h>

static struct fixture f;
static struct answer a;
static char artifact[CORE_DIGEST_TEXT];

static void setup(void)
{
    fixture_start(&f, NULL);
}

static void setup_deployable(void)
{
    setup();
    fixture_add_device(&f);
    fixture_upload(&f, artifact);
}

static void teardown(void)
{
    answer_clear(&a);
    fixture_stop(&f);
}

static const char *desired(void)
{
    static char body[160];

    (void)snprintf(body, sizeof body, "{\"artifact\": \"%s\"}", artifact);
    return body;
}

#define CONTAINER "/v1/devices/box/containers/job"

static void deploy(void)
{
    request_json(&f, &a, "PUT", CONTAINER, "Prefer: wait=5\r\n", desired());
    expect_status(&a, 200);
    answer_clear(&a);
}

START_TEST(gateway_tells_of_itself)
{
    request(&f, &a, "GET", "/healthz", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(buffer_text(&a.body), "{\"status\":\"ok\"}");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "application/json");
    ck_assert_str_eq(answer_header(&a, "X-Content-Type-Options"), "nosniff");
    ck_assert_str_eq(answer_header(&a, "Cache-Control"), "no-store");
    ck_assert_uint_eq(strlen(answer_header(&a, "X-Request-Id")), 16);
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/info", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "name"), "tcgw");
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/key", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "algorithm"), "Ed25519");
    ck_assert(strncmp(answer_text(&a, "public_key"), "abcd0000", 8) == 0);
    answer_clear(&a);
    request(&f, &a, "GET", "/openapi.json", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "openapi"), "3.1.0");
}
END_TEST

START_TEST(openapi_has_a_tag)
{
    char line[128];

    request(&f, &a, "GET", "/openapi.json", NULL, NULL);
    (void)snprintf(line, sizeof line, "If-None-Match: %s\r\n", answer_header(&a, "ETag"));
    answer_clear(&a);
    request(&f, &a, "GET", "/openapi.json", line, NULL);
    expect_status(&a, 304);
    ck_assert_uint_eq(a.body.size, 0);
}
END_TEST

START_TEST(head_and_options)
{
    request(&f, &a, "HEAD", "/healthz", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_header(&a, "Content-Length"), "15");
    answer_clear(&a);
    request(&f, &a, "OPTIONS", "/v1/devices", NULL, NULL);
    expect_status(&a, 204);
    ck_assert_str_eq(answer_header(&a, "Allow"), "GET, HEAD, POST, OPTIONS");
    answer_clear(&a);
    request(&f, &a, "OPTIONS", "/nothing", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

START_TEST(devices_live_and_die)
{
    char line[128], tag[64];

    request_json(&f, &a, "POST", "/v1/devices", NULL, "{\"id\": \"box\", \"address\": \"coap://127.0.0.1:5683\"}");
    expect_status(&a, 201);
    ck_assert_str_eq(answer_header(&a, "Location"), "/v1/devices/box");
    (void)text_copy(tag, sizeof tag, answer_header(&a, "ETag"));
    ck_assert_str_ne(tag, "");
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/devices/box", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "address"), "coap://127.0.0.1:5683");
    ck_assert_str_eq(answer_header(&a, "ETag"), tag);
    ck_assert_str_eq(answer_header(&a, "Cache-Control"), "no-cache");
    answer_clear(&a);
    (void)snprintf(line, sizeof line, "If-None-Match: %s\r\n", tag);
    request(&f, &a, "GET", "/v1/devices/box", line, NULL);
    expect_status(&a, 304);
    answer_clear(&a);
    (void)snprintf(line, sizeof line, "If-Match: %s\r\n", tag);
    request_json(&f, &a, "PATCH", "/v1/devices/box", line, "{\"name\": \"Door\"}");
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "name"), "Door");
    ck_assert_str_ne(answer_header(&a, "ETag"), tag);
    answer_clear(&a);
    request_json(&f, &a, "PATCH", "/v1/devices/box", line, "{\"name\": \"Gate\"}");
    expect_problem(&a, FAULT_PRECONDITION_FAILED);
    request(&f, &a, "PATCH", "/v1/devices/box", "Content-Type: application/merge-patch+json\r\n", "{\"name\": null}");
    expect_status(&a, 200);
    answer_clear(&a);
    request(&f, &a, "DELETE", "/v1/devices/box", line, NULL);
    expect_problem(&a, FAULT_PRECONDITION_FAILED);
    request(&f, &a, "DELETE", "/v1/devices/box", NULL, NULL);
    expect_status(&a, 204);
    ck_assert_uint_eq(a.body.size, 0);
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/devices/box", NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "device"), "box");
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

START_TEST(reads_are_never_stale)
{
    char body[128], tag[64], line[128];
    struct client c;

    fixture_add_device(&f);
    client_open(&c, &f);
    for (int i = 0; i < 300; i++) {
        if (i % 3 == 0) {
            (void)snprintf(body, sizeof body, "{\"name\": \"n%d\"}", i / 3 % 7);
            request_json(&f, &a, "PATCH", "/v1/devices/box", NULL, body);
            (void)text_copy(tag, sizeof tag, answer_header(&a, "ETag"));
            answer_clear(&a);
        }
        (void)snprintf(line, sizeof line, "X-Request-Id: r%d\r\n", i);
        client_print(&c, "%s /v1/devices/box HTTP/1.1\r\nHost: localhost\r\n%s\r\n", i % 5 ? "GET" : "HEAD",
                     i % 4 ? "" : line);
        ck_assert(client_receive(&c, &a, i % 5 == 0));
        (void)snprintf(body, sizeof body, "n%d", i / 3 % 7);
        ck_assert_str_eq(answer_text(&a, "name"), i % 5 ? body : "");
        ck_assert_str_eq(answer_header(&a, "ETag"), tag);
        (void)snprintf(line, sizeof line, "r%d", i);
        ck_assert(i % 4 || strcmp(answer_header(&a, "X-Request-Id"), line) == 0);
        answer_clear(&a);
    }
    client_close(&c);
}
END_TEST

START_TEST(lists_are_paged)
{
    char path[128], body[128], last[64] = "";
    size_t seen = 0;

    for (int i = 0; i < 5; i++) {
        (void)snprintf(body, sizeof body, "{\"id\": \"d%d\", \"address\": \"coap://127.0.0.1:%d\"}", i, 1000 + i);
        request_json(&f, &a, "POST", "/v1/devices", NULL, body);
        expect_status(&a, 201);
        answer_clear(&a);
    }
    do {
        (void)snprintf(path, sizeof path, "/v1/devices?limit=2%s%s", *last ? "&cursor=" : "", last);
        request(&f, &a, "GET", path, NULL, NULL);
        expect_status(&a, 200);
        for (int i = 0; i < 2; i++) {
            (void)snprintf(body, sizeof body, "items/%d/id", i);
            seen += *answer_text(&a, body) != 0;
        }
        (void)text_copy(last, sizeof last, answer_text(&a, "next"));
        answer_clear(&a);
    } while (*last);
    ck_assert_uint_eq(seen, 5);
    request(&f, &a, "GET", "/v1/devices?cursor=d4", NULL, NULL);
    ck_assert_str_eq(buffer_text(&a.body), "{\"items\":[],\"next\":null}");
}
END_TEST

START_TEST(artifacts_live_and_die)
{
    char path[128], line[160];

    fixture_upload(&f, artifact);
    fixture_upload(&f, artifact); /* the same again */
    (void)snprintf(path, sizeof path, "/v1/artifacts/%s", artifact);
    request(&f, &a, "GET", path, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "type"), "wasm");
    ck_assert_str_eq(answer_text(&a, "name"), "test");
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/artifacts", NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "items/0/id"), artifact);
    ck_assert_str_eq(answer_text(&a, "items/1/id"), "");
    answer_clear(&a);
    (void)snprintf(path, sizeof path, "/v1/artifacts/%s/code", artifact);
    request(&f, &a, "GET", path, "Accept: */*\r\n", NULL);
    expect_status(&a, 200);
    ck_assert_uint_eq(a.body.size, fixture_wasm_size);
    ck_assert_mem_eq(a.body.data, fixture_wasm, fixture_wasm_size);
    (void)snprintf(line, sizeof line, "If-None-Match: %s\r\n", answer_header(&a, "ETag"));
    answer_clear(&a);
    request(&f, &a, "GET", path, line, NULL);
    expect_status(&a, 304);
    answer_clear(&a);
    (void)snprintf(path, sizeof path, "/v1/artifacts/%s/data", artifact);
    request(&f, &a, "GET", path, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_uint_eq(a.body.size, 0);
    answer_clear(&a);
    (void)snprintf(path, sizeof path, "/v1/artifacts/%s", artifact);
    request(&f, &a, "DELETE", path, NULL, NULL);
    expect_status(&a, 204);
    answer_clear(&a);
    request(&f, &a, "GET", path, NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

START_TEST(a_container_is_deployed_and_removed)
{
    request_json(&f, &a, "PUT", CONTAINER, "Prefer: wait=5\r\nIf-None-Match: *\r\n", desired());
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "kind"), "deploy");
    ck_assert_str_eq(answer_text(&a, "state"), "succeeded");
    ck_assert_str_eq(answer_header(&a, "Preference-Applied"), "wait=5");
    ck_assert_str_ne(answer_header(&a, "Location"), "");
    answer_clear(&a);
    request_json(&f, &a, "PUT", CONTAINER, "If-None-Match: *\r\n", desired());
    expect_problem(&a, FAULT_PRECONDITION_FAILED);
    request(&f, &a, "GET", CONTAINER, NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "reported/state"), "running");
    ck_assert_str_eq(answer_text(&a, "desired/artifact"), artifact);
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/devices/box/containers", NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "items/0/uid"), "job");
    answer_clear(&a);
    f.fake.state = CONTAINER_STOPPED;
    request(&f, &a, "POST", CONTAINER "/stop", "Prefer: wait=5\r\n", NULL);
    expect_status(&a, 200);
    answer_clear(&a);
    f.fake.state = CONTAINER_RUNNING;
    request(&f, &a, "POST", CONTAINER "/start", "Prefer: wait=5\r\n", "");
    expect_status(&a, 200);
    answer_clear(&a);
    request(&f, &a, "GET", CONTAINER "/log", NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(buffer_text(&a.body), "hello\n");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "text/plain; charset=utf-8");
    answer_clear(&a);
    f.fake.state = CONTAINER_ABSENT;
    request(&f, &a, "DELETE", CONTAINER "?ttl=30", "Prefer: wait=5\r\n", NULL);
    expect_status(&a, 200);
    answer_clear(&a);
    request(&f, &a, "GET", CONTAINER, NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "container"), "job");
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

START_TEST(no_cache_asks_the_device)
{
    unsigned before;

    deploy();
    before = f.fake.counts[AGENT_CALL_STATUS];
    f.fake.state = CONTAINER_STOPPED;
    request(&f, &a, "GET", CONTAINER, "Cache-Control: no-cache\r\n", NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "reported/state"), "stopped");
    ck_assert_uint_eq(f.fake.counts[AGENT_CALL_STATUS], before + 1);
    answer_clear(&a);
    request(&f, &a, "GET", CONTAINER, NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "reported/state"), "stopped");
    ck_assert_uint_eq(f.fake.counts[AGENT_CALL_STATUS], before + 1);
    answer_clear(&a);
    f.fake.outcome = AGENT_NO_ANSWER;
    request(&f, &a, "GET", CONTAINER, "Cache-Control: no-cache\r\n", NULL);
    expect_problem(&a, FAULT_DEVICE_TIMEOUT);
    f.fake.outcome = AGENT_GARBAGE;
    request(&f, &a, "GET", CONTAINER, "Cache-Control: no-cache\r\n", NULL);
    expect_problem(&a, FAULT_DEVICE_ANSWER);
}
END_TEST

START_TEST(a_failed_operation_is_a_problem_when_waited_for)
{
    f.fake.outcome = AGENT_UNREACHABLE;
    request_json(&f, &a, "PUT", CONTAINER "?ttl=1", "Prefer: wait=8\r\n", desired());
    ck_assert_msg(a.status == 504, "%d %s", a.status, buffer_text(&a.body));
    ck_assert(text_is_uuid(answer_text(&a, "operation")));
    ck_assert_str_eq(answer_text(&a, "device"), "box");
    ck_assert_str_eq(answer_text(&a, "container"), "job");
}
END_TEST

START_TEST(a_container_can_be_forgotten)
{
    deploy();
    request(&f, &a, "DELETE", CONTAINER "?forget=true", NULL, NULL);
    expect_status(&a, 204);
    answer_clear(&a);
    request(&f, &a, "GET", CONTAINER, NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    ck_assert_uint_eq(f.fake.counts[AGENT_CALL_REMOVE], 0);
}
END_TEST

START_TEST(an_agent_that_cannot_is_no_wonder)
{
    deploy();
    f.fake.v1 = true;
    request(&f, &a, "POST", CONTAINER "/stop", NULL, NULL);
    expect_problem(&a, FAULT_AGENT_UNSUPPORTED);
    request(&f, &a, "DELETE", CONTAINER, NULL, NULL);
    expect_problem(&a, FAULT_AGENT_UNSUPPORTED);
    request_json(&f, &a, "PUT", "/v1/devices/box/containers/huge", NULL, desired());
    expect_problem(&a, FAULT_PACKAGE_TOO_LARGE);
}
END_TEST

START_TEST(operations_are_listed_shown_and_cancelled)
{
    char id[UUID_SIZE], path[128];

    f.fake.mode = FAKE_HOLD;
    request(&f, &a, "POST", "/v1/devices/box/probe", NULL, NULL);
    expect_status(&a, 202);
    (void)text_copy(id, sizeof id, answer_text(&a, "id"));
    (void)snprintf(path, sizeof path, "/v1/operations/%s", id);
    ck_assert_str_eq(answer_header(&a, "Location"), path);
    answer_clear(&a);
    request(&f, &a, "GET", path, NULL, NULL);
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "kind"), "probe");
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/operations?device=box&limit=1", NULL, NULL);
    ck_assert_str_eq(answer_text(&a, "items/0/id"), id);
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/operations?state=succeeded&container=job", NULL, NULL);
    ck_assert_str_eq(buffer_text(&a.body), "{\"items\":[],\"next\":null}");
    answer_clear(&a);
    (void)snprintf(path, sizeof path, "/v1/operations/%s/cancel", id);
    request(&f, &a, "POST", path, NULL, NULL);
    expect_status(&a, 200);
    answer_clear(&a);
    f.fake.mode = FAKE_ANSWER;
    fixture_release(&f);
    (void)snprintf(path, sizeof path, "/v1/operations/%s", id);
    request(&f, &a, "GET", path, "Prefer: wait=5\r\n", NULL);
    expect_status(&a, 200);
    ck_assert_msg(strcmp(answer_text(&a, "state"), "cancelled") == 0 ||
                      strcmp(answer_text(&a, "state"), "succeeded") == 0,
                  "%s", buffer_text(&a.body));
    answer_clear(&a);
    (void)snprintf(path, sizeof path, "/v1/operations/%s/cancel", id);
    request(&f, &a, "POST", path, NULL, NULL);
    expect_problem(&a, FAULT_NOT_CANCELLABLE);
}
END_TEST

START_TEST(a_wait_that_is_over_answers_202)
{
    f.fake.mode = FAKE_HOLD;
    request(&f, &a, "POST", "/v1/devices/box/probe", "Prefer: wait=1\r\n", NULL);
    expect_status(&a, 202);
    ck_assert_str_eq(answer_header(&a, "Preference-Applied"), "wait=1");
    answer_clear(&a);
}
END_TEST

START_TEST(a_key_replays_the_first_answer)
{
    static const char body[] = "{\"id\": \"box\", \"address\": \"coap://127.0.0.1:1\"}";
    char first[1024];

    request_json(&f, &a, "POST", "/v1/devices", "Idempotency-Key: k1\r\n", body);
    expect_status(&a, 201);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "");
    (void)text_copy(first, sizeof first, buffer_text(&a.body));
    answer_clear(&a);
    request_json(&f, &a, "POST", "/v1/devices", "Idempotency-Key: k1\r\n", body);
    expect_status(&a, 201);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
    ck_assert_str_eq(answer_header(&a, "Location"), "/v1/devices/box");
    ck_assert_str_eq(buffer_text(&a.body), first);
    answer_clear(&a);
    request_json(&f, &a, "POST", "/v1/devices", "Idempotency-Key: k1\r\n",
                 "{\"id\": \"fox\", \"address\": \"coap://127.0.0.1:1\"}");
    expect_problem(&a, FAULT_KEY_REUSED);
    request(&f, &a, "DELETE", "/v1/devices/box", "Idempotency-Key: k2\r\n", NULL);
    expect_status(&a, 204);
    answer_clear(&a);
    request(&f, &a, "DELETE", "/v1/devices/box", "Idempotency-Key: k2\r\n", NULL);
    expect_status(&a, 204);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
    answer_clear(&a);
    request(&f, &a, "DELETE", "/v1/devices/box", "Idempotency-Key: k3\r\n", NULL);
    expect_problem(&a, FAULT_NOT_FOUND); /* nothing was changed, so the key is still unused */
    request_json(&f, &a, "POST", "/v1/devices", "Idempotency-Key: k3\r\n", body);
    expect_status(&a, 201);
}
END_TEST

START_TEST(bad_keys_are_refused)
{
    char line[300];

    request(&f, &a, "DELETE", "/v1/devices/box", "Idempotency-Key: a b\r\n", NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    request(&f, &a, "DELETE", "/v1/devices/box", "Idempotency-Key: \r\n", NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    (void)snprintf(line, sizeof line, "Idempotency-Key: %0129d\r\n", 1);
    request(&f, &a, "DELETE", "/v1/devices/box", line, NULL);
    expect_problem(&a, FAULT_INVALID_PARAMETER);
    (void)snprintf(line, sizeof line, "Idempotency-Key: %0128d\r\n", 1);
    request(&f, &a, "DELETE", "/v1/devices/box", line, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
}
END_TEST

START_TEST(the_same_key_at_once_conflicts)
{
    static const char head[] = "POST /v1/devices/box/probe HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\n"
                               "Prefer: wait=5\r\n\r\n";
    struct client first;
    char id[UUID_SIZE];

    f.fake.mode = FAKE_HOLD;
    client_open(&first, &f);
    client_print(&first, head);
    fixture_run(&f, 100);
    request(&f, &a, "POST", "/v1/devices/box/probe", "Idempotency-Key: k\r\n", NULL);
    expect_problem(&a, FAULT_CONFLICT);
    f.fake.mode = FAKE_ANSWER;
    fixture_release(&f);
    ck_assert(client_receive(&first, &a, false));
    expect_status(&a, 200);
    (void)text_copy(id, sizeof id, answer_text(&a, "id"));
    answer_clear(&a);
    client_print(&first, head);
    ck_assert(client_receive(&first, &a, false));
    expect_status(&a, 200);
    ck_assert_str_eq(answer_text(&a, "id"), id);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
    client_close(&first);
}
END_TEST

START_TEST(request_ids_are_echoed_when_harmless)
{
    request(&f, &a, "GET", "/healthz", "X-Request-Id: abc-1.2_~\r\n", NULL);
    ck_assert_str_eq(answer_header(&a, "X-Request-Id"), "abc-1.2_~");
    answer_clear(&a);
    request(&f, &a, "GET", "/healthz", "X-Request-Id: <script>\r\n", NULL);
    ck_assert_uint_eq(strlen(answer_header(&a, "X-Request-Id")), 16);
    answer_clear(&a);
}
END_TEST

START_TEST(the_unix_socket_serves_the_same)
{
    struct client c;

    client_open_unix(&c, &f);
    client_print(&c, "GET /healthz HTTP/1.1\r\nHost: whatever.example\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_status(&a, 200);
    client_close(&c);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("rest_api");
    TCase *plain = tcase_create("plain"), *deployable = tcase_create("deployable");

    tcase_add_checked_fixture(plain, setup, teardown);
    tcase_set_timeout(plain, 60);
    tcase_add_test(plain, gateway_tells_of_itself);
    tcase_add_test(plain, openapi_has_a_tag);
    tcase_add_test(plain, head_and_options);
    tcase_add_test(plain, devices_live_and_die);
    tcase_add_test(plain, reads_are_never_stale);
    tcase_add_test(plain, lists_are_paged);
    tcase_add_test(plain, artifacts_live_and_die);
    tcase_add_test(plain, a_key_replays_the_first_answer);
    tcase_add_test(plain, bad_keys_are_refused);
    tcase_add_test(plain, request_ids_are_echoed_when_harmless);
    tcase_add_test(plain, the_unix_socket_serves_the_same);
    suite_add_tcase(suite, plain);
    tcase_add_checked_fixture(deployable, setup_deployable, teardown);
    tcase_set_timeout(deployable, 60);
    tcase_add_test(deployable, a_container_is_deployed_and_removed);
    tcase_add_test(deployable, no_cache_asks_the_device);
    tcase_add_test(deployable, a_failed_operation_is_a_problem_when_waited_for);
    tcase_add_test(deployable, a_container_can_be_forgotten);
    tcase_add_test(deployable, an_agent_that_cannot_is_no_wonder);
    tcase_add_test(deployable, operations_are_listed_shown_and_cancelled);
    tcase_add_test(deployable, a_wait_that_is_over_answers_202);
    tcase_add_test(deployable, the_same_key_at_once_conflicts);
    suite_add_tcase(suite, deployable);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
