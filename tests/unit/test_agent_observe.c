/* The v2 agent: observation (RFC 7641). */
#include "agent_fixture.h"
#include "suite.h"

#include <string.h>

/* Registers with a token of one byte, or cancels. */
static uint8_t observe(struct fixture *f, const char *path, const char *token, uint32_t value)
{
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_GET, path);
    coapmsg_set_token(&request, token, 1);
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, value);
    fixture_send(f, &request);
    return f->answer.code;
}

/* The last of the notifications with a token among what was sent; NULL when there is none. */
static const struct sent *notification(const struct fixture *f, const char *token, struct coapmsg *out)
{
    const struct sent *found = NULL;
    struct coapmsg msg;

    for (unsigned i = 0; i < f->sent_count; i++)
        if (coapmsg_decode(&msg, f->sent[i].data, f->sent[i].size) == 0 && msg.type == COAPMSG_CON &&
            msg.token_length == 1 && msg.token[0] == (uint8_t)*token)
            found = &f->sent[i];
    if (found)
        ck_assert_int_eq(coapmsg_decode(out, found->data, found->size), 0);
    return found;
}

static void acknowledge(struct fixture *f, const struct coapmsg *msg, enum coapmsg_type type)
{
    const uint8_t data[] = {(uint8_t)(0x40 | type << 4), 0, (uint8_t)(msg->id >> 8), (uint8_t)msg->id};

    fixture_send_bytes(f, data, sizeof data);
}

START_TEST(test_observe_container)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    uint32_t first, second;
    struct coapmsg msg;

    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_NOT_FOUND);
    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_CONTENT);
    ck_assert(coapmsg_get_uint(&f->answer, COAPMSG_OPT_OBSERVE, &first));
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc/c/job", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->sent_count, 1);

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_ptr_nonnull(notification(f, "a", &msg));
    ck_assert_uint_eq(msg.code, COAPMSG_CONTENT);
    ck_assert(coapmsg_get_uint(&msg, COAPMSG_OPT_OBSERVE, &second));
    ck_assert_uint_eq(second, first + 1);
    acknowledge(f, &msg, COAPMSG_ACK);
    ck_assert_uint_eq(f->sent_count, 0);
    f->sent_count = 0;
    fixture_pass(f, 1000); /* loops alone notify nobody */
    ck_assert_uint_eq(f->sent_count, 0);

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/job", NULL), COAPMSG_DELETED);
    ck_assert_ptr_nonnull(notification(f, "a", &msg));
    ck_assert_uint_eq(msg.code, COAPMSG_NOT_FOUND);
    ck_assert(!coapmsg_find(&msg, COAPMSG_OPT_OBSERVE));
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);
    acknowledge(f, &msg, COAPMSG_ACK);
    fixture_end(f);
}
END_TEST

START_TEST(test_observe_sends_one_at_a_time_and_the_latest)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg first, next;

    ck_assert_uint_eq(observe(f, "/tc/c", "l", 0), COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_ptr_nonnull(notification(f, "l", &first));
    first.payload = NULL;
    ck_assert_uint_eq(fixture_load(f, "b", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "c", code_runs), COAPMSG_CREATED);
    ck_assert_ptr_null(notification(f, "l", &next)); /* the first is not acknowledged yet */
    acknowledge(f, &first, COAPMSG_ACK);
    ck_assert_uint_eq(f->sent_count, 1);
    ck_assert_ptr_nonnull(notification(f, "l", &next));
    ck_assert_uint_eq(next.payload[0], 0x83); /* all three at once */
    acknowledge(f, &next, COAPMSG_ACK);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/c", NULL), COAPMSG_DELETED);
    ck_assert_ptr_nonnull(notification(f, "l", &next));
    ck_assert_uint_eq(next.payload[0], 0x82);
    fixture_end(f);
}
END_TEST

START_TEST(test_observe_ends)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg msg;
    uint16_t late;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_CONTENT);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 0), COAPMSG_CONTENT); /* renewed, not doubled */
    ck_assert_uint_eq(f->agent.v2.observers.used, 1);
    ck_assert_uint_eq(observe(f, "/tc/c/job", "a", 1), COAPMSG_CONTENT);
    ck_assert(!coapmsg_find(&f->answer, COAPMSG_OPT_OBSERVE));
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);

    ck_assert_uint_eq(observe(f, "/tc/c/job", "b", 0), COAPMSG_CONTENT); /* ended by RST */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_ptr_nonnull(notification(f, "b", &msg));
    acknowledge(f, &msg, COAPMSG_RST);
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);

    ck_assert_uint_eq(observe(f, "/tc/c/job", "d", 0), COAPMSG_CONTENT); /* another one is not hit by a late RST */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    ck_assert_ptr_nonnull(notification(f, "d", &msg));
    late = msg.id;
    ck_assert_uint_eq(observe(f, "/tc/c/job", "d", 1), COAPMSG_CONTENT);
    ck_assert_uint_eq(observe(f, "/tc/c", "e", 0), COAPMSG_CONTENT);
    msg.id = late;
    acknowledge(f, &msg, COAPMSG_RST);
    ck_assert_uint_eq(f->agent.v2.observers.used, 1);
    ck_assert_uint_eq(observe(f, "/tc/c", "e", 1), COAPMSG_CONTENT);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);

    ck_assert_uint_eq(observe(f, "/tc/c/job", "c", 0), COAPMSG_CONTENT); /* ended by silence */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
    fixture_pass(f, 93000);
    ck_assert_uint_eq(f->agent.v2.observers.used, 0);
    fixture_end(f);
}
END_TEST

START_TEST(test_observers_are_bounded)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    char token[2] = "0";

    for (int i = 0; i <= OBSERVERS_MAX; i++) {
        token[0] = (char)('0' + i);
        ck_assert_uint_eq(observe(f, "/tc/c", token, 0), COAPMSG_CONTENT);
        ck_assert_int_eq(coapmsg_find(&f->answer, COAPMSG_OPT_OBSERVE) != NULL, i < OBSERVERS_MAX);
    }
    fixture_end(f);
}
END_TEST

START_TEST(test_observe_log_is_slow)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg msg;
    int notifications = 0;

    ck_assert_uint_eq(fixture_load(f, "job", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(observe(f, "/tc/c/job/log", "g", 0), COAPMSG_CONTENT);
    for (int i = 0; i < 20; i++) { /* a line every 100 ms */
        f->sent_count = 0;
        fixture_pass(f, 100);
        if (notification(f, "g", &msg)) {
            notifications++;
            acknowledge(f, &msg, COAPMSG_ACK);
        }
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/job", "stop"), COAPMSG_CHANGED);
        if (notification(f, "g", &msg)) {
            notifications++;
            acknowledge(f, &msg, COAPMSG_ACK);
        }
    }
    ck_assert_int_ge(notifications, 2);
    ck_assert_int_le(notifications, 3);
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent observe");
    TCase *tc = tcase_create("v2");

    tcase_add_test(tc, test_observe_container);
    tcase_add_test(tc, test_observe_sends_one_at_a_time_and_the_latest);
    tcase_add_test(tc, test_observe_ends);
    tcase_add_test(tc, test_observers_are_bounded);
    tcase_add_test(tc, test_observe_log_is_slow);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
