#include "coap_fixture.h"
#include "suite.h"

#include <string.h>

/* What the network and a careless device do to a request: the exchange, seen through the v1 driver's is-running (which
 * may be repeated) and load (which must not). */

static struct box *const box = &world.box;

/* Loss and repetition --------------------------------------------------------------------------------------------- */

static void answer_second(struct box *p)
{
    static uint16_t id;

    if (p->requests == 1)
        id = p->request.id;
    ck_assert_uint_eq(p->request.id, id);
    if (p->requests == 2)
        box_answer_running(p);
}

START_TEST(a_lost_request_is_sent_again)
{
    box->script = answer_second;
    (void)world_call(AGENT_CALL_STATUS);
    world_check_running();
    ck_assert_uint_eq(box->requests, 2);
}
END_TEST

START_TEST(silence_ends_after_the_last_retransmission)
{
    int64_t start = world_now();
    struct agents_stats stats;

    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_NO_ANSWER);
    ck_assert_uint_eq(box->requests, 2);
    ck_assert_int_ge(world_now() - start, 3000);
    ck_assert_int_le(world_now() - start, 6000);
    agents_get_stats(world.agents, &stats);
    ck_assert_uint_eq(stats.requests, 1);
    ck_assert_uint_eq(stats.responses, 0);
    ck_assert_uint_eq(stats.timeouts, 1);
    ck_assert_uint_eq(stats.messages.channels, 0);
}
END_TEST

static void answer_three_times(struct box *p)
{
    box_answer_running(p);
    box_answer_running(p);
    box_answer_running(p);
}

START_TEST(a_repeated_answer_counts_once)
{
    box->script = answer_three_times;
    for (int i = 0; i < 3; i++) {
        (void)world_call(AGENT_CALL_STATUS);
        world_check_running();
        world_run_for(20);
        ck_assert_uint_eq(world.done, 1);
    }
    ck_assert_uint_eq(box->requests, 3);
}
END_TEST

/* Separate responses (RFC 7252 section 5.2.2) ---------------------------------------------------------------------- */

static void on_box_time(uv_timer_t *timer)
{
    struct box *p = container_of(timer, struct box, timer);
    struct coapmsg response;

    box_prepare_running(box, &response, (enum coapmsg_type)p->step);
    response.id = 4711;
    box_send(p, &response);
}

static void answer_separately(struct box *p)
{
    box_acknowledge(p);
    (void)uv_timer_start(&p->timer, on_box_time, 300, 0);
}

START_TEST(a_separate_confirmable_answer_is_acknowledged)
{
    box->script = answer_separately;
    box->step = COAPMSG_CON;
    (void)world_call(AGENT_CALL_STATUS);
    world_check_running();
    world_run_for(20);
    ck_assert_uint_eq(box->requests, 1);
    ck_assert_uint_eq(box->acks, 1);
    ck_assert_uint_eq(box->request.id, 4711);
}
END_TEST

START_TEST(a_separate_non_confirmable_answer_is_taken)
{
    box->script = answer_separately;
    box->step = COAPMSG_NON;
    (void)world_call(AGENT_CALL_STATUS);
    world_check_running();
    world_run_for(20);
    ck_assert_uint_eq(box->datagrams, 1);
}
END_TEST

static void answer_separately_without_ack(struct box *p)
{
    (void)uv_timer_start(&p->timer, on_box_time, 50, 0);
}

START_TEST(an_answer_replaces_its_lost_acknowledgement)
{
    box->script = answer_separately_without_ack;
    box->step = COAPMSG_CON;
    (void)world_call(AGENT_CALL_STATUS);
    world_check_running();
    world_run_for(1700);
    ck_assert_uint_eq(box->requests, 1); /* not sent again */
    ck_assert_uint_eq(box->acks, 1);
}
END_TEST

START_TEST(an_answer_that_never_follows_its_acknowledgement_is_missed)
{
    int64_t start = world_now();

    box->script = box_acknowledge;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_NO_ANSWER);
    ck_assert_int_ge(world_now() - start, 400); /* answer_timeout_ms, at most twice */
    ck_assert_int_le(world_now() - start, 1000);
    ck_assert_uint_eq(box->requests, 1);
}
END_TEST

START_TEST(a_load_may_be_answered_separately)
{
    box->script = answer_separately;
    box->step = COAPMSG_CON;
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_GARBAGE); /* 2.05 */
    ck_assert_uint_eq(world.call.code_received, COAPMSG_CONTENT);
}
END_TEST

/* What is no answer ------------------------------------------------------------------------------------------------ */

static void answer_with_reset(struct box *p)
{
    struct coapmsg reset;

    coapmsg_init(&reset, COAPMSG_RST, COAPMSG_EMPTY);
    reset.id = p->request.id;
    box_send(p, &reset);
}

START_TEST(a_reset_is_no_answer)
{
    box->script = answer_with_reset;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_GARBAGE);
    ck_assert_ptr_nonnull(strstr(world.call.detail, "RST"));
    ck_assert_uint_eq(world.call.code_received, 0);
    ck_assert_uint_eq(box->requests, 1);
    /* Of what must not be sent twice it is no proof that nothing came of it. */
    ck_assert_int_eq(world_call(AGENT_CALL_LOAD), AGENT_NO_ANSWER);
    ck_assert_uint_eq(box->requests, 2);
}
END_TEST

static void answer_strangers(struct box *p)
{
    static const uint8_t empty_token[] = {0x60, 0x45, 0, 0, 0xff, 'x'}; /* id patched below */
    uint8_t raw[sizeof empty_token];
    struct coapmsg response;

    if (p->requests > 1)
        return;
    box_prepare_running(box, &response, COAPMSG_NON);
    response.token_length--;
    box_send(p, &response);
    box_prepare_running(box, &response, COAPMSG_CON);
    response.token[3] ^= 0x80;
    response.id = 99;
    box_send(p, &response);
    box_prepare_running(box, &response, COAPMSG_ACK);
    response.id++; /* of another request */
    box_send(p, &response);
    memcpy(raw, empty_token, sizeof raw);
    raw[2] = (uint8_t)((p->request.id + 1) >> 8);
    raw[3] = (uint8_t)(p->request.id + 1);
    box_send_raw(p, raw, sizeof raw);
    box_prepare_running(box, &response, COAPMSG_ACK);
    response.token[0] ^= 1; /* the last: the request leaves again, and then either of its IDs is good */
    box_send(p, &response);
}

START_TEST(answers_to_others_are_not_ours)
{
    box->script = answer_strangers;
    world_begin(AGENT_CALL_STATUS);
    world_run_for(200);
    ck_assert_uint_eq(world.done, 0);
    ck_assert_uint_eq(box->resets, 2); /* for those that are messages of their own */
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

static void answer_garbage_and_then_well(struct box *p)
{
    box_send_raw(p, garbage[p->step].bytes, garbage[p->step].size);
    (void)uv_timer_start(&p->timer, on_box_time, 50, 0);
    p->step = COAPMSG_NON;
}

START_TEST(malformed_datagrams_are_passed_over)
{
    box->script = answer_garbage_and_then_well;
    box->step = _i;
    (void)world_call(AGENT_CALL_STATUS);
    world_check_running();
}
END_TEST

static void answer_long(struct box *p)
{
    static uint8_t payload[60000];
    struct coapmsg response;
    uint8_t out[61000];

    box_prepare_running(box, &response, COAPMSG_ACK);
    coapmsg_set_payload(&response, payload, p->payload_size);
    box_send_raw(p, out, coapmsg_encode(&response, out, sizeof out));
}

START_TEST(no_answer_is_too_long_for_us)
{
    world.device.agent = AGENT_V2;
    world.options.log_max = 65536;
    agents_configure(world.agents, &world.options);
    box->script = answer_long;
    for (box->payload_size = 1450; box->payload_size <= 60000; box->payload_size += 58550) {
        ck_assert_int_eq(world_call(AGENT_CALL_LOG), AGENT_OK);
        ck_assert_uint_eq(world.call.log_size, box->payload_size);
    }
}
END_TEST

static void answer_many_options(struct box *p)
{
    uint8_t raw[4 + COAPMSG_MAX_TOKEN + 60] = {0x60, 0x45};

    raw[0] |= p->request.token_length;
    raw[2] = (uint8_t)(p->request.id >> 8);
    raw[3] = (uint8_t)p->request.id;
    memcpy(raw + 4, p->request.token, p->request.token_length);
    raw[4 + p->request.token_length] = 0x20; /* option 2, 60 times */
    box_send_raw(p, raw, 4u + p->request.token_length + 60);
}

START_TEST(more_options_than_the_model_takes_are_no_crash)
{
    box->script = answer_many_options;
    ck_assert_int_eq(world_call(AGENT_CALL_STATUS), AGENT_GARBAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap exchange");
    TCase *tc = world_case("messages", world_set_up);

    tcase_add_test(tc, a_lost_request_is_sent_again);
    tcase_add_test(tc, silence_ends_after_the_last_retransmission);
    tcase_add_test(tc, a_repeated_answer_counts_once);
    tcase_add_test(tc, a_separate_confirmable_answer_is_acknowledged);
    tcase_add_test(tc, a_separate_non_confirmable_answer_is_taken);
    tcase_add_test(tc, an_answer_replaces_its_lost_acknowledgement);
    tcase_add_test(tc, an_answer_that_never_follows_its_acknowledgement_is_missed);
    tcase_add_test(tc, a_load_may_be_answered_separately);
    tcase_add_test(tc, a_reset_is_no_answer);
    tcase_add_test(tc, answers_to_others_are_not_ours);
    tcase_add_loop_test(tc, malformed_datagrams_are_passed_over, 0, (int)array_size(garbage));
    tcase_add_test(tc, no_answer_is_too_long_for_us);
    tcase_add_test(tc, more_options_than_the_model_takes_are_no_crash);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
