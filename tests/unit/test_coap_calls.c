#include "coap_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Many calls at once: no more are under way than the limit says, the others in their turn. */

#define CALLS 5

static struct agent_call calls[CALLS];
static unsigned done;

/* The first two questions are not answered, whatever libcoap sends again when one of them is given up. */
static void answer_the_others(struct box *box)
{
    const struct coapmsg_option *uid = coapmsg_find(&box->request, 65005);

    if (uid->length == sizeof "door" - 1)
        box_answer_running(box);
}

static void on_done(struct agent_call *call)
{
    ck_assert_ptr_null(call->driver);
    ck_assert_int_eq(call->outcome, AGENT_OK);
    done++;
}

/* Five questions to a silent device, of which two may be under way. */
static void begin_calls(void)
{
    done = 0;
    world.options.max_calls = 2;
    world.options.ack_timeout_ms = 20000; /* no retransmission meanwhile */
    agents_configure(world.agents, &world.options);
    for (size_t i = 0; i < CALLS; i++) {
        calls[i] = (struct agent_call){.verb = AGENT_CALL_STATUS, .device = &world.device, .done = on_done};
        (void)text_copy(calls[i].uid, sizeof calls[i].uid, i < 2 ? "silent" : "door");
        world.port.begin(world.port.arg, &calls[i]);
        ck_assert_ptr_nonnull(calls[i].driver);
    }
    world_run_for(200);
    ck_assert_uint_eq(world.box.requests, 2);
}

static uint32_t count_sessions(void)
{
    struct agents_stats stats;

    agents_get_stats(world.agents, &stats);
    return stats.messages.channels;
}

START_TEST(further_calls_wait_for_their_turn)
{
    begin_calls();
    ck_assert_uint_eq(count_sessions(), 2);
    world.port.cancel(world.port.arg, &calls[4]); /* one that waits */
    ck_assert_ptr_null(calls[4].driver);
    world_run_for(100);
    ck_assert_uint_eq(world.box.requests, 2);
    world.box.script = answer_the_others;
    world.port.cancel(world.port.arg, &calls[0]); /* one that is under way */
    world_run_for(200);
    ck_assert_uint_eq(done, 2); /* it made room for these, one after the other */
    ck_assert_ptr_nonnull(calls[1].driver);
    ck_assert_ptr_null(calls[2].driver);
    ck_assert_ptr_null(calls[3].driver);
}
END_TEST

START_TEST(higher_limit_holds_at_once)
{
    begin_calls();
    world.options.max_calls = 4;
    agents_configure(world.agents, &world.options);
    world_run_for(200);
    ck_assert_uint_eq(world.box.requests, 4);
}
END_TEST

/* The fixture closes the room while calls wait. */
START_TEST(closing_begins_nothing)
{
    begin_calls();
    agents_close(world.agents, NULL, NULL);
    world.agents = NULL;
    world.closed = true;
    world_run_for(100);
    ck_assert_uint_eq(world.box.requests, 2);
    ck_assert_uint_eq(done, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap_calls");
    TCase *tcase = world_case("calls", world_set_up);

    tcase_add_test(tcase, further_calls_wait_for_their_turn);
    tcase_add_test(tcase, higher_limit_holds_at_once);
    tcase_add_test(tcase, closing_begins_nothing);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
