#include "coap_fixture.h"

#include <check.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What the network and a careless device do to a request: the endpoint and the exchange, seen through the v1 driver's
 * is-running (which may be repeated) and load (which must not). */

static struct peer *const peer = &world.peer;
static time_t clock_step; /* s, added to the wall clock */

/* Stands before libc's, for libcoap too. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    long r = syscall(SYS_clock_gettime, id, ts);

    if (r == 0 && id == CLOCK_REALTIME)
        ts->tv_sec += clock_step;
    return (int)r;
}

static void prepare_running(struct coapmsg *response, enum coapmsg_type type)
{
    peer_prepare(peer, response, type, COAPMSG_CONTENT);
    coapmsg_add_uint(response, 65006, 1);
}

static void answer_running(struct peer *p)
{
    struct coapmsg response;

    prepare_running(&response, COAPMSG_ACK);
    peer_send(p, &response);
}

static void check_running(void)
{
    ck_assert_int_eq(world.call.outcome, AGENT_OK);
    ck_assert_int_eq(world.call.state, CONTAINER_RUNNING);
}

/* Loss and repetition --------------------------------------------------------------------------------------------- */

static void answer_second(struct peer *p)
{
    static uint16_t id;

    if (p->requests == 1)
        id = p->request.id;
    ck_assert_uint_eq(p->request.id, id);
    if (p->requests == 2)
        answer_running(p);
}

START_TEST(a_lost_request_is_sent_again)
{
    peer->script = answer_second;
    (void)world_call(AGENT_CALL_STATUS);
    check_running();
    ck_assert_uint_eq(peer->requests, 2);
}
END_TEST

START_TEST(silence_ends_after_the_last_retransmission)
{
    int64_t start = world_now();
    struct agents_stats stats;

    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_NO_ANSWER);
    ck_assert_uint_eq(peer->requests, 2);
    ck_assert_int_ge(world_now() - start, 3000);
    ck_assert_int_le(world_now() - start, 6000);
    agents_get_stats(world.agents, &stats);
    ck_assert_uint_eq(stats.requests, 1);
    ck_assert_uint_eq(stats.responses, 0);
    ck_assert_uint_eq(stats.timeouts, 1);
    ck_assert_uint_eq(stats.sessions, 0);
}
END_TEST

static void answer_three_times(struct peer *p)
{
    answer_running(p);
    answer_running(p);
    answer_running(p);
}

START_TEST(a_repeated_answer_counts_once)
{
    peer->script = answer_three_times;
    for (int i = 0; i < 3; i++) {
        (void)world_call(AGENT_CALL_STATUS);
        check_running();
        world_run_for(20);
        ck_assert_uint_eq(world.done, 1);
    }
    ck_assert_uint_eq(peer->requests, 3);
}
END_TEST

/* Separate responses (RFC 7252 section 5.2.2) ---------------------------------------------------------------------- */

static void send_empty_ack(struct peer *p)
{
    struct coapmsg ack;

    coapmsg_init(&ack, COAPMSG_ACK, COAPMSG_EMPTY);
    ack.id = p->request.id;
    peer_send(p, &ack);
}

static void on_peer_time(uv_timer_t *timer)
{
    struct peer *p = container_of(timer, struct peer, timer);
    struct coapmsg response;

    prepare_running(&response, (enum coapmsg_type)p->step);
    response.id = 4711;
    peer_send(p, &response);
}

static void answer_separately(struct peer *p)
{
    send_empty_ack(p);
    (void)uv_timer_start(&p->timer, on_peer_time, 300, 0);
}

START_TEST(a_separate_confirmable_answer_is_acknowledged)
{
    peer->script = answer_separately;
    peer->step = COAPMSG_CON;
    (void)world_call(AGENT_CALL_STATUS);
    check_running();
    world_run_for(20);
    ck_assert_uint_eq(peer->requests, 1);
    ck_assert_uint_eq(peer->acks, 1);
    ck_assert_uint_eq(peer->request.id, 4711);
}
END_TEST

START_TEST(a_separate_non_confirmable_answer_is_taken)
{
    peer->script = answer_separately;
    peer->step = COAPMSG_NON;
    (void)world_call(AGENT_CALL_STATUS);
    check_running();
    world_run_for(20);
    ck_assert_uint_eq(peer->datagrams, 1);
}
END_TEST

static void answer_separately_without_ack(struct peer *p)
{
    (void)uv_timer_start(&p->timer, on_peer_time, 50, 0);
}

START_TEST(an_answer_replaces_its_lost_acknowledgement)
{
    peer->script = answer_separately_without_ack;
    peer->step = COAPMSG_CON;
    (void)world_call(AGENT_CALL_STATUS);
    check_running();
    world_run_for(1700);
    ck_assert_uint_eq(peer->requests, 1); /* not sent again */
    ck_assert_uint_eq(peer->acks, 1);
}
END_TEST

START_TEST(an_answer_that_never_follows_its_acknowledgement_is_missed)
{
    int64_t start = world_now();

    peer->script = send_empty_ack;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_NO_ANSWER);
    ck_assert_int_ge(world_now() - start, 400); /* answer_timeout_ms, at most twice */
    ck_assert_int_le(world_now() - start, 1000);
    ck_assert_uint_eq(peer->requests, 1);
}
END_TEST

START_TEST(a_load_may_be_answered_separately)
{
    peer->script = answer_separately;
    peer->step = COAPMSG_CON;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_GARBAGE); /* 2.05 */
    ck_assert_uint_eq(world.call.code_received, COAPMSG_CONTENT);
}
END_TEST

/* What is no answer ------------------------------------------------------------------------------------------------ */

static void answer_with_reset(struct peer *p)
{
    struct coapmsg reset;

    coapmsg_init(&reset, COAPMSG_RST, COAPMSG_EMPTY);
    reset.id = p->request.id;
    peer_send(p, &reset);
}

START_TEST(a_reset_is_no_answer)
{
    peer->script = answer_with_reset;
    ck_assert_int_eq(world_call(_i ? AGENT_CALL_LOAD : AGENT_CALL_STATUS), AGENT_GARBAGE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "RST"));
    ck_assert_uint_eq(world.call.code_received, 0);
    ck_assert_uint_eq(peer->requests, 1);
}
END_TEST

static void answer_strangers(struct peer *p)
{
    static const uint8_t empty_token[] = {0x60, 0x45, 0, 0, 0xff, 'x'}; /* id patched below */
    uint8_t raw[sizeof empty_token];
    struct coapmsg response;

    prepare_running(&response, COAPMSG_ACK);
    response.token[0] ^= 1; /* another token */
    peer_send(p, &response);
    prepare_running(&response, COAPMSG_NON);
    response.token_length--;
    peer_send(p, &response);
    prepare_running(&response, COAPMSG_CON);
    response.token[3] ^= 0x80;
    response.id = 99;
    peer_send(p, &response);
    prepare_running(&response, COAPMSG_ACK);
    response.id++; /* of another request */
    peer_send(p, &response);
    memcpy(raw, empty_token, sizeof raw);
    raw[2] = (uint8_t)((p->request.id + 1) >> 8);
    raw[3] = (uint8_t)(p->request.id + 1);
    peer_send_raw(p, raw, sizeof raw);
}

START_TEST(answers_to_others_are_not_ours)
{
    peer->script = answer_strangers;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(200);
    ck_assert_uint_eq(world.done, 0);
    ck_assert_uint_eq(peer->resets, 1); /* for the confirmable one */
    world.port.cancel(world.port.arg, &world.call);
}
END_TEST

static const struct {
    size_t size;
    const char *bytes;
} garbage[] = {
    {1, "x"},
    {3, "\x60\x45\x00"},
    {4, "\x20\x45\x00\x00"},                 /* version 0 */
    {4, "\x69\x45\x00\x00"},                 /* a token of 9 bytes */
    {5, "\x60\x45\x00\x00\xff"},             /* a marker without a payload */
    {6, "\x60\x45\x00\x00\xf0\x00"},         /* a reserved delta */
    {7, "\x60\x45\x00\x00\xe0\xff\xff"},     /* an option's number over 65535 */
    {8, "\x62\x45\x00\x00\x01\x02\x3e\xff"}, /* an option longer than the datagram */
};

static void answer_garbage_and_then_well(struct peer *p)
{
    peer_send_raw(p, garbage[p->step].bytes, garbage[p->step].size);
    (void)uv_timer_start(&p->timer, on_peer_time, 50, 0);
    p->step = COAPMSG_NON;
}

START_TEST(malformed_datagrams_are_passed_over)
{
    peer->script = answer_garbage_and_then_well;
    peer->step = _i;
    (void)world_call(AGENT_CALL_STATUS);
    check_running();
}
END_TEST

static void answer_too_long(struct peer *p)
{
    static uint8_t payload[1600];
    struct coapmsg response;

    prepare_running(&response, COAPMSG_ACK);
    coapmsg_set_payload(&response, payload, p->payload_size);
    peer_send(p, &response);
}

/* libcoap would hand a cut one on as if it were whole. */
START_TEST(a_longer_answer_than_libcoap_reads_is_noticed)
{
    world.device.agent = AGENT_V2;
    peer->script = answer_too_long;
    peer->payload_size = 1600;
    ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_GARBAGE);
    peer->payload_size = 1450;
    ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_OK);
    ck_assert_uint_eq(world.call.log_size, 1450);
}
END_TEST

static void answer_many_options(struct peer *p)
{
    uint8_t raw[4 + COAPMSG_MAX_TOKEN + 60] = {0x60, 0x45};

    raw[0] |= p->request.token_length;
    raw[2] = (uint8_t)(p->request.id >> 8);
    raw[3] = (uint8_t)p->request.id;
    memcpy(raw + 4, p->request.token, p->request.token_length);
    raw[4 + p->request.token_length] = 0x20; /* option 2, 60 times */
    peer_send_raw(p, raw, 4u + p->request.token_length + 60);
}

START_TEST(more_options_than_the_model_takes_are_no_crash)
{
    peer->script = answer_many_options;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_GARBAGE);
}
END_TEST

/* ICMP ------------------------------------------------------------------------------------------------------------- */

START_TEST(a_closed_port_is_told_at_once)
{
    int64_t start = world_now();

    peer_close(peer);
    world_run_for(1);
    ck_assert_int_eq(world_call(_i ? AGENT_CALL_LOAD : AGENT_CALL_STATUS), AGENT_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "refused"));
    ck_assert_int_lt(world_now() - start, 500);
}
END_TEST

START_TEST(a_device_that_goes_between_two_calls_is_unreachable)
{
    peer->script = answer_running;
    (void)world_call(AGENT_CALL_STATUS);
    check_running();
    peer_close(peer);
    world_run_for(1);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNREACHABLE);
}
END_TEST

static void vanish(struct peer *p)
{
    peer_close(p);
}

/* It got the request, so nobody may say that it did nothing. */
START_TEST(a_device_that_goes_with_the_request_is_not_unreachable)
{
    peer->script = vanish;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_NO_ANSWER);
}
END_TEST

START_TEST(a_device_that_comes_back_in_time_answers)
{
    uint16_t port = peer->port;

    peer->script = vanish;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(100);
    ck_assert_uint_eq(world.done, 0);
    peer_open(peer, port);
    peer->script = answer_running;
    ck_assert(world_run(3000));
    check_running();
}
END_TEST

START_TEST(an_address_without_a_way_is_unreachable)
{
    (void)strcpy(world.device.address, "coap://[fe80::1%25tcgw-none]:5683");
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "No such device"));
}
END_TEST

/* Sessions, cancel, close ------------------------------------------------------------------------------------------ */

START_TEST(the_session_to_a_device_is_kept)
{
    struct agents_stats stats;
    uint16_t port;

    peer->script = answer_running;
    (void)world_call(AGENT_CALL_STATUS);
    port = peer->from.sin_port;
    for (int i = 0; i < 20; i++) {
        (void)world_call(AGENT_CALL_STATUS);
        ck_assert_uint_eq(peer->from.sin_port, port);
    }
    (void)world_call(AGENT_CALL_LOAD); /* on a socket of its own */
    ck_assert_uint_ne(peer->from.sin_port, port);
    agents_get_stats(world.agents, &stats);
    ck_assert_uint_eq(stats.sessions, 1);
    ck_assert_uint_eq(stats.requests, 22);
    ck_assert_uint_eq(stats.responses, 22);
}
END_TEST

START_TEST(few_sessions_are_kept)
{
    static struct peer other;
    struct agents_stats stats;
    uint16_t port;

    world.options.max_sessions = 1;
    agents_configure(world.agents, &world.options);
    peer->script = other.script = answer_running;
    (void)world_call(AGENT_CALL_STATUS);
    port = peer->from.sin_port;
    peer_open(&other, 0);
    (void)snprintf(world.device.address, sizeof world.device.address, "coap://127.0.0.1:%u", other.port);
    other.script = NULL;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(20);
    memcpy(&peer->request, &other.request, sizeof other.request);
    prepare_running(&other.request, COAPMSG_ACK);
    peer_send(&other, &other.request);
    ck_assert(world_run(1000));
    agents_get_stats(world.agents, &stats);
    ck_assert_uint_eq(stats.sessions, 1); /* the other's */
    (void)snprintf(world.device.address, sizeof world.device.address, "coap://127.0.0.1:%u", peer->port);
    (void)world_call(AGENT_CALL_STATUS);
    ck_assert_uint_ne(peer->from.sin_port, port);
    peer_close(&other);
    world_run_for(1);
}
END_TEST

static struct agent_call second;
static unsigned second_done;

static void on_second_done(struct agent_call *call)
{
    ck_assert_int_eq(call->outcome, AGENT_OK);
    second_done++;
}

START_TEST(two_devices_at_one_address_do_not_mix)
{
    static struct device twin;

    twin = world.device;
    second_done = 0;
    second = (struct agent_call){.verb = AGENT_CALL_STATUS, .device = &twin, .uid = "other", .done = on_second_done};
    world.port.begin(world.port.arg, &second);
    peer->script = answer_running;
    (void)world_call(AGENT_CALL_STATUS);
    check_running();
    world_run_for(20);
    ck_assert_uint_eq(second_done, 1);
}
END_TEST

START_TEST(a_cancelled_call_is_over)
{
    struct agents_stats stats;

    world_begin(_i ? AGENT_CALL_LOAD : AGENT_CALL_STATUS);
    world_run_for(20);
    ck_assert_uint_eq(peer->requests, 1);
    world.port.cancel(world.port.arg, &world.call);
    ck_assert_ptr_null(world.call.driver);
    world.port.cancel(world.port.arg, &world.call);
    agents_get_stats(world.agents, &stats);
    ck_assert_uint_eq(stats.sessions, 0);
    answer_running(peer);
    world_run_for(1700);
    ck_assert_uint_eq(peer->requests, 1);
    ck_assert_uint_eq(world.done, 0);
}
END_TEST

START_TEST(a_call_that_failed_at_once_can_be_cancelled)
{
    world.device.agent = AGENT_UNKNOWN;
    world_begin(AGENT_CALL_STATUS);
    world.port.cancel(world.port.arg, &world.call);
    world_run_for(20);
    ck_assert_uint_eq(world.done, 0);
}
END_TEST

START_TEST(closing_drops_calls)
{
    world_begin(_i ? AGENT_CALL_LOAD : AGENT_CALL_STATUS);
    /* world_tear_down closes, and its loop ends only when no handle is left */
}
END_TEST

static void close_room(struct agent_call *call)
{
    (void)call;
    world.done++;
    agents_close(world.agents, NULL, NULL);
    world.agents = NULL;
    world.closed = true;
}

START_TEST(the_room_may_be_closed_by_a_callback)
{
    peer->script = answer_running;
    world_begin(AGENT_CALL_STATUS);
    world.call.done = close_room;
    second = (struct agent_call){.verb = AGENT_CALL_LOAD,
                                 .device = &world.device,
                                 .uid = "x",
                                 .artifact = &world.artifact,
                                 .code = world.code,
                                 .code_size = 300,
                                 .data = world.data,
                                 .data_size = 10,
                                 .done = on_second_done};
    second_done = 0;
    world.port.begin(world.port.arg, &second);
    while (!world.done)
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    world_run_for(20);
    ck_assert_uint_eq(second_done, 0);
}
END_TEST

static unsigned chained;

static void call_again(struct agent_call *call)
{
    ck_assert_int_eq(call->outcome, AGENT_OK);
    if (++chained < 100)
        world.port.begin(world.port.arg, call);
    else
        world.done++;
}

START_TEST(a_callback_may_begin_the_next_call)
{
    chained = 0;
    peer->script = answer_running;
    world_begin(AGENT_CALL_STATUS);
    world.call.done = call_again;
    ck_assert(world_run(5000));
    ck_assert_uint_eq(chained, 100);
    ck_assert_uint_eq(peer->requests, 100);
}
END_TEST

/* The wall clock --------------------------------------------------------------------------------------------------- */

/* libcoap goes by the wall clock: as a control, the request that may be repeated is repeated at once. */
START_TEST(a_clock_set_forward_does_not_load_twice)
{
    world.options.load_timeout_ms = 1500;
    agents_configure(world.agents, &world.options);
    world_begin(_i ? AGENT_CALL_LOAD : AGENT_CALL_STATUS);
    world_run_for(20);
    ck_assert_uint_eq(peer->requests, 1);
    clock_step = 30000000;
    peer_send_raw(peer, "x", 1); /* wakes libcoap */
    world_run_for(100);
    clock_step = 0;
    ck_assert_uint_eq(peer->requests, _i ? 1 : 2);
    if (_i) {
        peer_answer(peer, COAPMSG_CREATED, "");
        ck_assert(world_run(500));
        ck_assert_int_eq(world.call.outcome, AGENT_OK);
    } else {
        world.port.cancel(world.port.arg, &world.call);
    }
}
END_TEST

START_TEST(a_clock_set_back_does_not_keep_a_call_for_ever)
{
    int64_t start = world_now();

    clock_step = 30000000;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(20);
    clock_step = 0;
    ck_assert(world_run(10000));
    ck_assert_int_eq(world.call.outcome, AGENT_NO_ANSWER);
    ck_assert_int_ge(world_now() - start, 4400);
}
END_TEST

static TCase *make_case(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, world_set_up, world_tear_down);
    tcase_set_timeout(tc, 30);
    return tc;
}

static TCase *make_message_case(void)
{
    TCase *tc = make_case("messages");

    tcase_add_test(tc, a_lost_request_is_sent_again);
    tcase_add_test(tc, silence_ends_after_the_last_retransmission);
    tcase_add_test(tc, a_repeated_answer_counts_once);
    tcase_add_test(tc, a_separate_confirmable_answer_is_acknowledged);
    tcase_add_test(tc, a_separate_non_confirmable_answer_is_taken);
    tcase_add_test(tc, an_answer_replaces_its_lost_acknowledgement);
    tcase_add_test(tc, an_answer_that_never_follows_its_acknowledgement_is_missed);
    tcase_add_test(tc, a_load_may_be_answered_separately);
    tcase_add_loop_test(tc, a_reset_is_no_answer, 0, 2);
    tcase_add_test(tc, answers_to_others_are_not_ours);
    tcase_add_loop_test(tc, malformed_datagrams_are_passed_over, 0, (int)array_size(garbage));
    tcase_add_test(tc, a_longer_answer_than_libcoap_reads_is_noticed);
    tcase_add_test(tc, more_options_than_the_model_takes_are_no_crash);
    return tc;
}

static TCase *make_session_case(void)
{
    TCase *tc = make_case("sessions");

    tcase_add_loop_test(tc, a_closed_port_is_told_at_once, 0, 2);
    tcase_add_test(tc, a_device_that_goes_between_two_calls_is_unreachable);
    tcase_add_test(tc, a_device_that_goes_with_the_request_is_not_unreachable);
    tcase_add_test(tc, a_device_that_comes_back_in_time_answers);
    tcase_add_test(tc, an_address_without_a_way_is_unreachable);
    tcase_add_test(tc, the_session_to_a_device_is_kept);
    tcase_add_test(tc, few_sessions_are_kept);
    tcase_add_test(tc, two_devices_at_one_address_do_not_mix);
    tcase_add_loop_test(tc, a_cancelled_call_is_over, 0, 2);
    tcase_add_test(tc, a_call_that_failed_at_once_can_be_cancelled);
    tcase_add_loop_test(tc, closing_drops_calls, 0, 2);
    tcase_add_test(tc, the_room_may_be_closed_by_a_callback);
    tcase_add_test(tc, a_callback_may_begin_the_next_call);
    tcase_add_loop_test(tc, a_clock_set_forward_does_not_load_twice, 0, 2);
    tcase_add_test(tc, a_clock_set_back_does_not_keep_a_call_for_ever);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("coap exchange");
    SRunner *runner;
    int failed;

    suite_add_tcase(suite, make_message_case());
    suite_add_tcase(suite, make_session_case());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
