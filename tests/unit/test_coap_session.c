#include "coap_fixture.h"
#include "suite.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Devices that go and come back, calls that are given up, the wall clock. */

static struct box *const box = &world.box;
static time_t clock_step; /* s, added to the wall clock */

/* Stands before libc's. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    long r = syscall(SYS_clock_gettime, id, ts);

    if (r == 0 && id == CLOCK_REALTIME)
        ts->tv_sec += clock_step;
    return (int)r;
}

/* ICMP ------------------------------------------------------------------------------------------------------------- */

START_TEST(a_closed_port_is_told_at_once)
{
    int64_t start = world_now();

    box_close(box);
    world_run_for(1);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "refused"));
    ck_assert_int_lt(world_now() - start, 500);
}
END_TEST

/* It is known at once, but an ICMP error is no proof that nothing came of it. */
START_TEST(a_load_to_a_closed_port_has_no_answer)
{
    int64_t start = world_now();

    box_close(box);
    world_run_for(1);
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_int_lt(world_now() - start, 500);
}
END_TEST

START_TEST(a_device_that_goes_between_two_calls_is_unreachable)
{
    box->script = box_answer_running;
    (void)world_call(AGENT_CALL_STATUS);
    world_check_running();
    box_close(box);
    world_run_for(1);
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNREACHABLE);
}
END_TEST

static void vanish(struct box *p)
{
    box_close(p);
}

/* It got the request, so nobody may say that it did nothing. */
START_TEST(a_device_that_goes_with_the_request_is_not_unreachable)
{
    box->script = vanish;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_NO_ANSWER);
}
END_TEST

START_TEST(a_device_that_comes_back_in_time_answers)
{
    uint16_t port = box->port;

    box->script = vanish;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(100);
    ck_assert_uint_eq(world.done, 0);
    box_open(box, port);
    box->script = box_answer_running;
    ck_assert(world_run(3000));
    world_check_running();
}
END_TEST

START_TEST(an_address_without_a_way_is_unreachable)
{
    (void)strcpy(world.device.address, "coap://[fe80::1%25tcgw-none]:5683");
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "No such device"));
}
END_TEST

/* Ports, cancel, close ------------------------------------------------------------------------------------------ */

START_TEST(all_requests_leave_from_one_port)
{
    static struct box other;
    struct agents_stats stats;
    uint16_t port;

    box->script = other.script = box_answer_running;
    (void)world_call(AGENT_CALL_STATUS);
    port = box->from.sin_port;
    (void)world_call(AGENT_CALL_LOAD);
    ck_assert_uint_eq(box->from.sin_port, port);
    box_open(&other, 0);
    (void)snprintf(world.device.address, sizeof world.device.address, "coap://127.0.0.1:%u", other.port);
    (void)world_call(AGENT_CALL_STATUS);
    ck_assert_uint_eq(other.from.sin_port, port);
    agents_get_stats(world.agents, &stats);
    ck_assert_uint_eq(stats.messages.channels, 0);
    ck_assert_uint_eq(stats.requests, 3);
    ck_assert_uint_eq(stats.responses, 3);
    box_close(&other);
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
    box->script = box_answer_running;
    (void)world_call(AGENT_CALL_STATUS);
    world_check_running();
    world_run_for(20);
    ck_assert_uint_eq(second_done, 1);
}
END_TEST

START_TEST(a_cancelled_call_is_over)
{
    struct agents_stats stats;

    world_begin(_i ? AGENT_CALL_LOAD : AGENT_CALL_STATUS);
    world_run_for(20);
    ck_assert_uint_eq(box->requests, 1);
    world.port.cancel(world.port.arg, &world.call);
    ck_assert_ptr_null(world.call.driver);
    world.port.cancel(world.port.arg, &world.call);
    agents_get_stats(world.agents, &stats);
    ck_assert_uint_eq(stats.messages.channels, 0);
    box_answer_running(box);
    world_run_for(1700);
    ck_assert_uint_eq(box->requests, 1);
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
    box->script = box_answer_running;
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
    box->script = box_answer_running;
    world_begin(AGENT_CALL_STATUS);
    world.call.done = call_again;
    ck_assert(world_run(5000));
    ck_assert_uint_eq(chained, 100);
    ck_assert_uint_eq(box->requests, 100);
}
END_TEST

/* The wall clock --------------------------------------------------------------------------------------------------- */

/* Nothing goes by it. */
START_TEST(steps_of_the_wall_clock_change_nothing)
{
    int64_t start = world_now();

    clock_step = 30000000;
    world_begin(_i ? AGENT_CALL_LOAD : AGENT_CALL_STATUS);
    world_run_for(20);
    clock_step = -30000000;
    box_send_raw(box, "x", 1);
    world_run_for(100);
    ck_assert_uint_eq(box->requests, 1);
    clock_step = 0;
    ck_assert(world_run(10000));
    ck_assert_int_eq(world.call.outcome, AGENT_NO_ANSWER);
    ck_assert_uint_eq(box->requests, _i ? 1 : 2);
    ck_assert_int_ge(world_now() - start, _i ? 800 : 3000);
    ck_assert_int_le(world_now() - start, _i ? 1500 : 5000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap session");
    TCase *tc = world_case("sessions", world_set_up);

    tcase_add_test(tc, a_closed_port_is_told_at_once);
    tcase_add_test(tc, a_load_to_a_closed_port_has_no_answer);
    tcase_add_test(tc, a_device_that_goes_between_two_calls_is_unreachable);
    tcase_add_test(tc, a_device_that_goes_with_the_request_is_not_unreachable);
    tcase_add_test(tc, a_device_that_comes_back_in_time_answers);
    tcase_add_test(tc, an_address_without_a_way_is_unreachable);
    tcase_add_test(tc, all_requests_leave_from_one_port);
    tcase_add_test(tc, two_devices_at_one_address_do_not_mix);
    tcase_add_loop_test(tc, a_cancelled_call_is_over, 0, 2);
    tcase_add_test(tc, a_call_that_failed_at_once_can_be_cancelled);
    tcase_add_loop_test(tc, closing_drops_calls, 0, 2);
    tcase_add_test(tc, the_room_may_be_closed_by_a_callback);
    tcase_add_test(tc, a_callback_may_begin_the_next_call);
    tcase_add_loop_test(tc, steps_of_the_wall_clock_change_nothing, 0, 2);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
