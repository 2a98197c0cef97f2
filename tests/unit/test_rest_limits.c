/* Limits, slow and vanishing clients, many at once, and the end of the gateway. */
#include "rest_fixture.h"
#include "suite.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static struct fixture f;
static struct answer a;

static void start(uint32_t connections, uint32_t timeout_s)
{
    struct rest_options limits = {.max_connections = connections,
                                  .max_json_bytes = 1024,
                                  .max_artifact_bytes = 65536,
                                  .max_wait_s = 60,
                                  .connection_timeout_s = timeout_s};

    fixture_start(&f, &limits);
}

static void setup(void)
{
    start(100, 10);
}

static void teardown(void)
{
    answer_clear(&a);
    fixture_stop(&f);
}

static void expect_health(void)
{
    request(&f, &a, "GET", "/healthz", NULL, NULL);
    expect_status(&a, 200);
    answer_clear(&a);
}

/* Bodies over the limit -------------------------------------------------------------------------------------------- */

#define JSON_HEAD "POST /v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#define WASM_HEAD "POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/wasm\r\n"

static void send_zeros(struct client *c, size_t size)
{
    static const char zeros[16384];

    for (size_t n; size && !c->ended; size -= n) {
        n = size < sizeof zeros ? size : sizeof zeros;
        client_send(c, zeros, n);
    }
}

START_TEST(a_body_at_the_limit_is_taken)
{
    char body[1025];
    struct client c;

    for (size_t size = 1024; size <= 1025; size++) {
        memset(body, ' ', size);
        body[0] = '{';
        body[1] = '}';
        client_open(&c, &f);
        client_print(&c, JSON_HEAD "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", size);
        client_send(&c, body, size);
        client_print(&c, "\r\n0\r\n\r\n");
        ck_assert(client_receive(&c, &a, false));
        expect_problem(&a, size == 1024 ? FAULT_INVALID_FIELD : FAULT_BODY_TOO_LARGE);
        client_close(&c);
    }
}
END_TEST

START_TEST(a_small_refused_body_keeps_the_connection)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c, JSON_HEAD "Content-Length: 5000\r\n\r\n");
    send_zeros(&c, 5000);
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    client_print(&c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_status(&a, 200);
    answer_clear(&a);
    client_close(&c);
}
END_TEST

START_TEST(an_announced_body_is_refused_before_it_comes)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c, WASM_HEAD "Content-Length: 1000000000\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    ck_assert(client_sees_end(&c, 2000));
    client_close(&c);
    client_open(&c, &f);
    client_print(&c, WASM_HEAD "Content-Length: 70000\r\nExpect: 100-continue\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    client_close(&c);
}
END_TEST

START_TEST(a_body_that_never_ends_is_cut)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c, WASM_HEAD "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1000 && !c.ended; i++) {
        client_print(&c, "4000\r\n");
        send_zeros(&c, 0x4000);
        client_print(&c, "\r\n");
    }
    ck_assert(c.ended);
    client_close(&c);
    expect_health();
    client_open_unix(&c, &f); /* on which nothing is lost: the problem arrives */
    client_print(&c, WASM_HEAD "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1000 && !c.ended; i++) {
        client_print(&c, "4000\r\n");
        send_zeros(&c, 0x4000);
        client_print(&c, "\r\n");
    }
    c.ended = false;
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    client_close(&c);
}
END_TEST

START_TEST(a_chunked_upload_over_the_limit)
{
    struct client c;

    client_open(&c, &f);
    client_print(&c, WASM_HEAD "Transfer-Encoding: chunked\r\n\r\n%x\r\n", 66000);
    send_zeros(&c, 66000);
    client_print(&c, "\r\n0\r\n\r\n");
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    client_close(&c);
}
END_TEST

START_TEST(parts_share_the_limit)
{
    static const char head[] = "--BB\r\nContent-Disposition: form-data; name=\"code\"\r\n\r\n";
    static const char middle[] = "\r\n--BB\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n";
    struct client c;

    client_open(&c, &f);
    client_print(&c,
                 "POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=BB\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 sizeof head - 1 + 40000 + sizeof middle - 1 + 40000, head);
    send_zeros(&c, 40000);
    client_print(&c, "%s", middle);
    send_zeros(&c, 40000);
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
    client_close(&c);
}
END_TEST

/* Connections ------------------------------------------------------------------------------------------------------ */

START_TEST(requests_may_be_pipelined)
{
    struct client c;

    client_open(&c, &f);
    for (int i = 0; i < 50; i++)
        client_print(&c, "GET /v1/devices/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
    for (int i = 0; i < 50; i++) {
        char id[8];

        (void)snprintf(id, sizeof id, "%d", i);
        ck_assert(client_receive(&c, &a, false));
        ck_assert_str_eq(answer_text(&a, "device"), id);
        expect_problem(&a, FAULT_NOT_FOUND);
    }
    client_close(&c);
}
END_TEST

START_TEST(writes_may_be_pipelined)
{
    struct client c;

    client_open(&c, &f);
    for (int i = 0; i < 20; i++) {
        char body[100];
        int n = snprintf(body, sizeof body, "{\"id\": \"d%d\", \"address\": \"coap://127.0.0.1:%d\"}", i, 1000 + i);

        client_print(&c, JSON_HEAD "Content-Length: %d\r\n\r\n%s", n, body);
    }
    for (int i = 0; i < 20; i++) {
        ck_assert(client_receive(&c, &a, false));
        expect_status(&a, 201);
        answer_clear(&a);
    }
    client_close(&c);
}
END_TEST

START_TEST(one_connection_too_many_is_told_so)
{
    struct client clients[8], extra;

    start(8, 10);
    for (size_t i = 0; i < array_size(clients); i++)
        client_open_unix(&clients[i], &f); /* the limit is shared by the listeners */
    fixture_run(&f, 50);
    client_open(&extra, &f);
    client_print(&extra, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ck_assert(client_receive(&extra, &a, false));
    ck_assert_str_eq(answer_header(&a, "Retry-After"), "1");
    expect_problem(&a, FAULT_TOO_MANY_CONNECTIONS);
    ck_assert(client_sees_end(&extra, 2000));
    client_close(&extra);
    for (size_t i = 0; i < array_size(clients); i++) {
        client_print(&clients[i], "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        ck_assert(client_receive(&clients[i], &a, false));
        expect_status(&a, 200);
        answer_clear(&a);
    }
    client_close(&clients[0]);
    fixture_run(&f, 50);
    expect_health();
    for (size_t i = 1; i < array_size(clients); i++)
        client_close(&clients[i]);
}
END_TEST

START_TEST(far_too_many_are_told_at_once)
{
    struct client clients[1 + 64 + 8];

    start(1, 10);
    for (size_t i = 0; i < array_size(clients); i++) {
        client_open(&clients[i], &f);
        fixture_run(&f, 1);
    }
    fixture_run(&f, 50);
    ck_assert(client_receive(&clients[array_size(clients) - 1], &a, false)); /* without a request */
    expect_status(&a, 503);
    answer_clear(&a);
    for (size_t i = 0; i < array_size(clients); i++)
        client_close(&clients[i]);
    fixture_run(&f, 50);
    expect_health();
}
END_TEST

START_TEST(silence_ends_a_connection)
{
    struct client silent, half, busy;

    start(100, 1);
    client_open(&silent, &f);
    client_open(&half, &f);
    client_print(&half, "GET /healthz HTTP/1.1\r\nHost:");
    ck_assert(client_sees_end(&silent, 4000));
    ck_assert(client_sees_end(&half, 4000));
    client_open(&busy, &f);
    for (int i = 0; i < 8; i++) { /* requests every 300 ms keep one alive */
        fixture_run(&f, 300);
        client_print(&busy, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        ck_assert(client_receive(&busy, &a, false));
        answer_clear(&a);
    }
    client_close(&silent);
    client_close(&half);
    client_close(&busy);
}
END_TEST

START_TEST(a_byte_now_and_then_does_not_keep_a_connection)
{
    struct client head, body;

    start(100, 1);
    client_open(&head, &f);
    client_open(&body, &f);
    client_print(&head, "GET /healthz HTTP/1.1\r\nX: ");
    client_print(&body, WASM_HEAD "Content-Length: 1000\r\n\r\n");
    for (int i = 0; i < 24 && !(head.ended && body.ended); i++) { /* 6 s, the limit is 4 */
        if (!head.ended)
            client_send(&head, "x", 1);
        if (!body.ended)
            client_send(&body, "x", 1);
        (void)client_sees_end(&head, 125);
        (void)client_sees_end(&body, 125);
    }
    ck_assert(head.ended);
    ck_assert(body.ended);
    client_close(&head);
    client_close(&body);
}
END_TEST

START_TEST(a_changed_timeout_holds_for_new_connections)
{
    struct rest_options changed = f.options;
    struct client c;

    changed.connection_timeout_s = 1;
    changed.max_json_bytes = 10;
    rest_configure(f.rest, &changed);
    client_open(&c, &f);
    ck_assert(client_sees_end(&c, 4000));
    client_close(&c);
    request_json(&f, &a, "POST", "/v1/devices", NULL, "{\"id\": \"long\"}");
    expect_problem(&a, FAULT_BODY_TOO_LARGE);
}
END_TEST

START_TEST(clients_vanish_at_every_moment)
{
    static const char text[] = "PUT /v1/devices/box/containers/job HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: 30\r\n\r\n"
                               "{\"artifact\": \"xxxxxxxxxxxxxxx\"}GET /healthz HTTP/1.1\r\n";
    struct client c;

    fixture_add_device(&f);
    for (size_t n = 0; n < sizeof text; n += 3) {
        client_open(&c, &f);
        client_send(&c, text, n);
        client_close(&c);
    }
    fixture_run(&f, 50);
    expect_health();
}
END_TEST

/* Waiting ---------------------------------------------------------------------------------------------------------- */

#define PROBE "POST /v1/devices/box/probe HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\n"

START_TEST(a_client_may_go_while_it_waits)
{
    struct client c;

    fixture_add_device(&f);
    f.fake.mode = FAKE_HOLD;
    for (int i = 0; i < 3; i++) {
        client_open(&c, &f);
        client_print(&c, PROBE "Idempotency-Key: %d\r\n\r\n", i);
        fixture_run(&f, 30);
        client_close(&c);
    }
    fixture_run(&f, 30);
    f.fake.mode = FAKE_ANSWER;
    fixture_release(&f);
    fixture_run(&f, 100);
    expect_health();
    request(&f, &a, "POST", "/v1/devices/box/probe", "Prefer: wait=30\r\nIdempotency-Key: 0\r\n", NULL);
    expect_status(&a, 200); /* the answer that nobody took was kept */
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
}
END_TEST

START_TEST(a_thousand_wait_together)
{
    static struct client clients[1000];
    struct rlimit files;
    char id[UUID_SIZE];

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    start(1100, 10);
    fixture_add_device(&f);
    f.fake.mode = FAKE_HOLD;
    request(&f, &a, "POST", "/v1/devices/box/probe", NULL, NULL);
    expect_status(&a, 202);
    (void)text_copy(id, sizeof id, answer_text(&a, "id"));
    answer_clear(&a);
    for (size_t i = 0; i < array_size(clients); i++) {
        client_open_unix(&clients[i], &f);
        client_print(&clients[i], "GET /v1/operations/%s HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=%zu\r\n\r\n", id,
                     20 + i % 40);
    }
    expect_health();
    f.fake.mode = FAKE_ANSWER;
    fixture_release(&f);
    for (size_t i = 0; i < array_size(clients); i++) {
        ck_assert(client_receive(&clients[i], &a, false));
        ck_assert_str_eq(answer_text(&a, "state"), "succeeded");
        answer_clear(&a);
        client_close(&clients[i]);
    }
}
END_TEST

START_TEST(waits_end_in_the_order_of_their_times)
{
    struct client slow, quick;

    fixture_add_device(&f);
    f.fake.mode = FAKE_HOLD;
    client_open(&slow, &f);
    client_open(&quick, &f);
    client_print(&slow, "POST /v1/devices/box/probe HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=2\r\n\r\n");
    fixture_run(&f, 30);
    client_print(&quick, "POST /v1/devices/box/probe HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=1\r\n\r\n");
    ck_assert(client_receive(&quick, &a, false));
    expect_status(&a, 202);
    answer_clear(&a);
    ck_assert(!client_sees_end(&slow, 1) && slow.input.size == 0);
    ck_assert(client_receive(&slow, &a, false));
    expect_status(&a, 202);
    client_close(&slow);
    client_close(&quick);
}
END_TEST

/* The store -------------------------------------------------------------------------------------------------------- */

static void limit_files(rlim_t size)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_failing_store_shows_in_the_health)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(0);
    request_json(&f, &a, "POST", "/v1/devices", "Idempotency-Key: k\r\n",
                 "{\"id\": \"box\", \"address\": \"coap://127.0.0.1:5683\", \"agent\": \"v2\"}");
    ck_assert_msg(a.status == 500 || a.status == 507, "%d", a.status);
    answer_clear(&a);
    request(&f, &a, "GET", "/v1/devices/box", NULL, NULL);
    expect_problem(&a, FAULT_NOT_FOUND);
    request(&f, &a, "GET", "/healthz", NULL, NULL);
    expect_status(&a, 503);
    ck_assert_str_eq(answer_text(&a, "status"), "failing");
    answer_clear(&a);
    limit_files(RLIM_INFINITY);
    request(&f, &a, "GET", "/healthz", NULL, NULL); /* still failing, and tried again */
    answer_clear(&a);
    fixture_run(&f, 300);
    expect_health();
    request_json(&f, &a, "POST", "/v1/devices", "Idempotency-Key: k\r\n",
                 "{\"id\": \"box\", \"address\": \"coap://127.0.0.1:5683\", \"agent\": \"v2\"}");
    expect_status(&a, 201);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "");
    answer_clear(&a);
    expect_health();
}
END_TEST

/* The end ---------------------------------------------------------------------------------------------------------- */

START_TEST(what_waits_is_answered_at_the_end)
{
    struct client waiting, asking, idle, half;
    uint64_t before;

    fixture_add_device(&f);
    f.fake.mode = FAKE_HOLD;
    client_open(&waiting, &f);
    client_open(&asking, &f);
    client_open(&idle, &f);
    client_open(&half, &f);
    client_print(&waiting, PROBE "Idempotency-Key: k\r\n\r\n");
    client_print(&half, WASM_HEAD "Content-Length: 1000\r\n\r\nxx");
    fixture_run(&f, 50);
    before = uv_now(&f.loop);
    fixture_close_rest(&f);
    ck_assert_uint_lt(uv_now(&f.loop) - before, 1000);
    ck_assert(client_receive(&waiting, &a, false));
    expect_problem(&a, FAULT_SHUTTING_DOWN);
    ck_assert(client_sees_end(&idle, 100));
    (void)client_receive(&half, &a, false); /* an answer or the end, but no hanging */
    answer_clear(&a);
    client_close(&waiting);
    client_close(&asking);
    client_close(&idle);
    client_close(&half);
}
END_TEST

START_TEST(what_the_core_still_works_on_is_let_go)
{
    char artifact[CORE_DIGEST_TEXT], body[128];
    struct client c;

    fixture_add_device(&f);
    fixture_upload(&f, artifact);
    (void)snprintf(body, sizeof body, "{\"artifact\": \"%s\"}", artifact);
    request_json(&f, &a, "PUT", "/v1/devices/box/containers/job", "Prefer: wait=5\r\n", body);
    expect_status(&a, 200);
    answer_clear(&a);
    f.fake.mode = FAKE_HOLD;
    client_open(&c, &f);
    client_print(&c, "GET /v1/devices/box/containers/job/log HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fixture_run(&f, 50);
    ck_assert_uint_eq(f.fake.call_count, 1);
    fixture_close_rest(&f); /* with a query under way, whose answer comes afterwards */
    ck_assert(client_receive(&c, &a, false));
    expect_problem(&a, FAULT_SHUTTING_DOWN);
    client_close(&c);
    fixture_release(&f);
    fixture_run(&f, 20);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("rest_limits");
    TCase *plain = tcase_create("plain"), *own = tcase_create("own limits");

    tcase_add_checked_fixture(plain, setup, teardown);
    tcase_set_timeout(plain, 60);
    tcase_add_test(plain, a_body_at_the_limit_is_taken);
    tcase_add_test(plain, a_small_refused_body_keeps_the_connection);
    tcase_add_test(plain, an_announced_body_is_refused_before_it_comes);
    tcase_add_test(plain, a_body_that_never_ends_is_cut);
    tcase_add_test(plain, a_chunked_upload_over_the_limit);
    tcase_add_test(plain, parts_share_the_limit);
    tcase_add_test(plain, requests_may_be_pipelined);
    tcase_add_test(plain, writes_may_be_pipelined);
    tcase_add_test(plain, a_changed_timeout_holds_for_new_connections);
    tcase_add_test(plain, clients_vanish_at_every_moment);
    tcase_add_test(plain, a_client_may_go_while_it_waits);
    tcase_add_test(plain, waits_end_in_the_order_of_their_times);
    tcase_add_test(plain, a_failing_store_shows_in_the_health);
    tcase_add_test(plain, what_waits_is_answered_at_the_end);
    tcase_add_test(plain, what_the_core_still_works_on_is_let_go);
    suite_add_tcase(suite, plain);
    tcase_add_checked_fixture(own, NULL, teardown);
    tcase_set_timeout(own, 120);
    tcase_add_test(own, one_connection_too_many_is_told_so);
    tcase_add_test(own, far_too_many_are_told_at_once);
    tcase_add_test(own, silence_ends_a_connection);
    tcase_add_test(own, a_byte_now_and_then_does_not_keep_a_connection);
    tcase_add_test(own, a_thousand_wait_together);
    suite_add_tcase(suite, own);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
