/* The agent as a client of its gateway, with the engine as the gateway. */
#include "agent_gateway.h"
#include "suite.h"

#include <string.h>

#define INTERVAL 1000

static const struct traffic_options reports = {.report_ms = INTERVAL};

/* The next request of the agent is a part of a report; its method and path are checked. */
static void take_report(struct gateway *g)
{
    ck_assert_int_eq(gateway_take(g), 0);
    ck_assert_uint_eq(g->inner.code, COAPMSG_PUT);
    ck_assert(coapmsg_path_is(&g->inner, "/shadow/reported"));
}

static unsigned reports_with(const struct gateway *g, const char *outcome)
{
    char text[64];

    (void)snprintf(text, sizeof text, "\"outcome\":\"%s\"", outcome);
    return fixture_journal_count(g->f, "\"event\":\"report\"", text);
}

static void pass(struct gateway *g, int64_t ms)
{
    g->f->sent_count = 0;
    fixture_pass(g->f, ms);
}

START_TEST(test_reports)
{
    struct gateway *g = gateway_new("", &reports, false);

    for (unsigned i = 0; i < 5; i++) {
        pass(g, i ? INTERVAL : 1);
        take_report(g);
        gateway_answer_code(g, i ? COAPMSG_CHANGED : COAPMSG_CREATED);
        ck_assert_uint_eq(reports_with(g, "acknowledged"), i + 1);
    }
    ck_assert_uint_eq(fixture_journal_count(g->f, "\"counter\":5", "acknowledged"), 1);
    pass(g, INTERVAL);
    take_report(g);
    gateway_answer_code(g, COAPMSG_TOO_LARGE);
    ck_assert_uint_eq(reports_with(g, "refused"), 1);
    gateway_end(g);
}
END_TEST

/* Retransmitted with the same bytes, then given up; and a separate answer. */
START_TEST(test_retransmission)
{
    struct gateway *g = gateway_new("", &reports, false);
    struct coapmsg ack, plain, outer;
    uint8_t room[1500];

    pass(g, 1);
    take_report(g);
    pass(g, 100000);
    ck_assert_uint_ge(g->f->sent_count, 4);
    ck_assert_uint_eq(g->f->sent[0].size, g->f->sent[1].size);
    ck_assert_int_eq(memcmp(g->f->sent[0].data, g->f->sent[1].data, g->f->sent[0].size), 0);
    ck_assert_uint_eq(reports_with(g, "unanswered"), 1);

    take_report(g);
    coapmsg_init(&ack, COAPMSG_ACK, 0);
    ack.id = g->f->answer.id;
    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_CHANGED);
    coapmsg_set_token(&plain, g->f->answer.token, g->f->answer.token_length);
    plain.id = 77;
    ck_assert_int_eq(oscore_protect_response(g->context, &g->binding, &plain, 0, &outer, room, sizeof room), 0);
    fixture_send(g->f, &ack);
    pass(g, 20000);
    ck_assert_uint_eq(g->f->sent_count, 0);
    fixture_send(g->f, &outer);
    ck_assert_uint_eq(g->f->answer.type, COAPMSG_ACK);
    ck_assert_uint_eq(g->f->answer.id, 77);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 1);
    gateway_end(g);
}
END_TEST

START_TEST(test_echo)
{
    struct gateway *g = gateway_new("", &reports, false);
    const struct coapmsg_option *echo;
    struct coapmsg plain;

    pass(g, 1);
    take_report(g);
    coapmsg_init(&plain, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    coapmsg_add(&plain, COAPMSG_OPT_ECHO, "fresh?", 6);
    gateway_answer(g, &plain, OSCORE_WITH_PIV);
    take_report(g);
    echo = coapmsg_find(&g->inner, COAPMSG_OPT_ECHO);
    ck_assert_ptr_nonnull(echo);
    ck_assert_int_eq(memcmp(echo->value, "fresh?", echo->length), 0);
    gateway_answer_code(g, COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_journal_count(g->f, "\"counter\":1", "acknowledged"), 1);
    gateway_end(g);
}
END_TEST

/* The gateway's half of a run of Appendix B.2 from step 2 on: g->f->answer is request #1, with ID Context id1, and
 * g->binding its. */
static void renew_from(struct gateway *g, const uint8_t id1[8], bool lose_answer)
{
    struct oscore_option option;
    struct coapmsg plain;
    uint8_t id[OSCORE_R2_SIZE + 8] = "R2r2R2r2R2r2";

    memcpy(id + OSCORE_R2_SIZE, id1, 8);
    gateway_use(g, gateway_derive(g, id, sizeof id));
    coapmsg_init(&plain, COAPMSG_ACK, COAPMSG_UNAUTHORIZED);
    gateway_answer(g, &plain, OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED | OSCORE_KID_CONTEXT_R2);
    ck_assert_int_ge(gateway_take(g), 0);
    ck_assert_int_eq(oscore_message_option(&g->f->answer, &option), 0);
    ck_assert_uint_eq(option.kid_context_size, 1 + sizeof id);
    ck_assert_int_eq(memcmp(option.kid_context + 1, id, OSCORE_R2_SIZE), 0);
    memcpy(id, option.kid_context + 1, sizeof id);
    gateway_use(g, gateway_derive(g, id, sizeof id));
    take_report(g);
    if (lose_answer) /* it uses the context for a request of its own */
        ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    else
        gateway_answer_code(g, COAPMSG_CHANGED);
    ck_assert_uint_eq(fixture_journal_count(g->f, "\"event\":\"context\"", "client"), 1);
}

/* The same for a run that the device begins: g->f->answer is its request #1. */
static void renew(struct gateway *g, bool lose_answer)
{
    struct oscore_option option;
    uint8_t id1[8];

    ck_assert_int_ge(gateway_take(g), 0); /* found, whatever the old context says of it */
    ck_assert_int_eq(oscore_message_option(&g->f->answer, &option), 0);
    ck_assert_uint_eq(option.kid_context_size, 9);
    memcpy(id1, option.kid_context + 1, 8);
    gateway_use(g, gateway_derive(g, id1, 8));
    take_report(g);
    renew_from(g, id1, lose_answer);
}

/* The gateway may not use its context any more, and says so with an R2 at once. */
START_TEST(test_gateway_begins)
{
    struct gateway *g = gateway_new("", &reports, false);

    pass(g, 1);
    take_report(g);
    renew_from(g, (const uint8_t *)"contextA", false);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 1);
    pass(g, INTERVAL);
    take_report(g);
    gateway_answer_code(g, COAPMSG_CHANGED);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 2);
    gateway_end(g);
}
END_TEST

START_TEST(test_unknown_to_the_gateway)
{
    struct gateway *g = gateway_new("", &reports, false);

    pass(g, 1);
    take_report(g);
    gateway_answer_plain(g, COAPMSG_UNAUTHORIZED);
    renew(g, false);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 1);
    pass(g, INTERVAL);
    take_report(g);
    gateway_answer_code(g, COAPMSG_CHANGED);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 2);
    gateway_end(g);
}
END_TEST

START_TEST(test_lost_state)
{
    struct gateway *g = gateway_new("", &reports, true);

    pass(g, 1);
    take_report(g);
    gateway_answer_code(g, COAPMSG_CHANGED);
    agent_restart(&g->f->agent, true);
    pass(g, INTERVAL);
    renew(g, true);
    /* the report went once more, with the context that is known to be in use */
    take_report(g);
    gateway_answer_code(g, COAPMSG_CHANGED);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 2);
    gateway_end(g);
}
END_TEST

/* Unprotected refusals cost a run of Appendix B.2 now and then, and never end the traffic for ever. */
START_TEST(test_forged_refusals)
{
    struct gateway *g = gateway_new("", &reports, false);
    unsigned sent = 0;

    pass(g, 1);
    for (int i = 0; i < 60000; i++) {
        if (g->f->sent_count) {
            sent++;
            ck_assert_int_eq(coapmsg_decode(&g->f->answer, g->f->sent[0].data, g->f->sent[0].size), 0);
            gateway_answer_plain(g, COAPMSG_UNAUTHORIZED);
        }
        pass(g, 1);
    }
    ck_assert_uint_le(sent, 12);
    for (int i = 0; i < 120000 && !g->f->sent_count; i++)
        pass(g, 1);
    renew(g, false);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 1);
    gateway_end(g);
}
END_TEST

START_TEST(test_block1)
{
    static const struct traffic_options large = {.report_ms = INTERVAL, .report_size = 5000};
    struct gateway *g = gateway_new("", &large, false);
    struct coapmsg_block block;
    uint32_t format, size = 0, total = 0;
    struct coapmsg plain;

    pass(g, 1);
    do {
        take_report(g);
        ck_assert_int_eq(coapmsg_get_block(&g->inner, COAPMSG_OPT_BLOCK1, &block), 0);
        ck_assert(coapmsg_get_uint(&g->inner, COAPMSG_OPT_CONTENT_FORMAT, &format) && format == COAPMSG_FORMAT_JSON);
        ck_assert_uint_eq((size_t)block.num << (block.szx + 4), total);
        if (total == 0)
            ck_assert(coapmsg_get_uint(&g->inner, COAPMSG_OPT_SIZE1, &size));
        total += (uint32_t)g->inner.payload_size;
        coapmsg_init(&plain, COAPMSG_ACK, block.more ? COAPMSG_CONTINUE : COAPMSG_CHANGED);
        if (block.szx > 5) /* a smaller size from the second block on (RFC 7959 section 2.5) */
            block.szx = 5;
        coapmsg_add_block(&plain, COAPMSG_OPT_BLOCK1, block);
        gateway_answer(g, &plain, 0);
    } while (block.more);
    ck_assert_uint_eq(total, 5000);
    ck_assert_uint_eq(size, 5000);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 1);
    gateway_end(g);
}
END_TEST

/* A gateway that asks for more than there is. */
START_TEST(test_continue_without_end)
{
    struct gateway *g = gateway_new("", &reports, false);

    pass(g, 1);
    take_report(g);
    gateway_answer_code(g, COAPMSG_CONTINUE);
    ck_assert_uint_eq(reports_with(g, "failed"), 1);
    pass(g, INTERVAL);
    take_report(g);
    gateway_answer_code(g, COAPMSG_CHANGED);
    ck_assert_uint_eq(reports_with(g, "acknowledged"), 1);
    gateway_end(g);
}
END_TEST

static void answer_desired(struct gateway *g, uint32_t sequence, const char *payload, uint32_t block, bool more)
{
    struct coapmsg plain;

    coapmsg_init(&plain, COAPMSG_ACK, COAPMSG_CONTENT);
    if (sequence)
        coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, sequence);
    if (block || more)
        coapmsg_add_block(&plain, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){block, more, 0});
    coapmsg_add(&plain, COAPMSG_OPT_ETAG, "e", 1);
    coapmsg_set_payload(&plain, payload, strlen(payload));
    gateway_answer(g, &plain, 0);
}

/* A notification to a registration; the result is the type of what came back. */
static enum coapmsg_type notify(struct gateway *g, struct oscore_binding *binding, const uint8_t token[4],
                                const char *payload, bool more)
{
    static uint16_t id = 1000;
    struct coapmsg plain, outer;
    uint8_t room[1500];

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_CONTENT);
    coapmsg_set_token(&plain, token, 4);
    plain.id = id++;
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, id);
    if (more)
        coapmsg_add_block(&plain, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){0, true, 0});
    coapmsg_set_payload(&plain, payload, strlen(payload));
    ck_assert_int_eq(oscore_protect_response(g->context, binding, &plain, 0, &outer, room, sizeof room), 0);
    fixture_send(g->f, &outer);
    return g->f->answer.type;
}

START_TEST(test_observe)
{
    static const struct traffic_options watch = {.observe = true};
    struct gateway *g = gateway_new("", &watch, false);
    struct oscore_binding binding;
    uint8_t token[4];
    char text[32];

    pass(g, 1);
    ck_assert_int_eq(gateway_take(g), 0);
    ck_assert(coapmsg_path_is(&g->inner, "/shadow/desired"));
    ck_assert_ptr_nonnull(coapmsg_find(&g->inner, COAPMSG_OPT_OBSERVE));
    memcpy(token, g->f->answer.token, sizeof token);
    answer_desired(g, 5, "first", 0, false);
    binding = g->binding;
    ck_assert_uint_eq(fixture_journal_count(g->f, "\"desired\"", "first"), 1);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof text, "wish %d.", i);
        ck_assert_int_eq(notify(g, &binding, token, text, false), COAPMSG_ACK);
        ck_assert_uint_eq(fixture_journal_count(g->f, "\"desired\"", text), 1);
    }
    ck_assert_int_eq(notify(g, &binding, token, "sixteen bytes...", true), COAPMSG_ACK); /* and it reads all of it */
    ck_assert_int_eq(gateway_take(g), 0);
    ck_assert_ptr_null(coapmsg_find(&g->inner, COAPMSG_OPT_OBSERVE));
    answer_desired(g, 0, "sixteen bytes...", 0, true);
    ck_assert_int_eq(gateway_take(g), 0);
    answer_desired(g, 0, "and the rest", 1, false);
    ck_assert_uint_eq(fixture_journal_count(g->f, "\"desired\"", "sixteen bytes...and the rest"), 1);
    pass(g, 66000); /* Max-Age has passed: it registers again */
    ck_assert_int_eq(gateway_take(g), 0);
    ck_assert_ptr_nonnull(coapmsg_find(&g->inner, COAPMSG_OPT_OBSERVE));
    gateway_end(g);
}
END_TEST

START_TEST(test_join)
{
    struct agent_options options = {.device = {.kind = DEVICE_V1, .slots = 1, .id = "box"},
                                    .traffic = {.join = true, .count = 1},
                                    .pdu_size = 1204};
    struct coapmsg answer;
    struct fixture *f;

    options.traffic.gateway = fixture_peer(40000);
    f = fixture_new_agent(&options);
    for (int i = 0; i < 2; i++) {
        f->sent_count = 0;
        fixture_pass(f, 5001);
        ck_assert_uint_ge(f->sent_count, 1);
        ck_assert_int_eq(coapmsg_decode(&f->answer, f->sent[0].data, f->sent[0].size), 0);
        ck_assert(coapmsg_path_is(&f->answer, "/join"));
        ck_assert_int_eq(memcmp(coapmsg_find(&f->answer, COAPMSG_OPT_URI_QUERY)->value, "id=box", 6), 0);
        coapmsg_init(&answer, COAPMSG_ACK, i ? COAPMSG_CREATED : COAPMSG_FORBIDDEN);
        coapmsg_set_token(&answer, f->answer.token, f->answer.token_length);
        answer.id = f->answer.id;
        fixture_send(f, &answer);
    }
    ck_assert_uint_eq(fixture_journal_count(f, "\"join\"", "refused"), 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"join\"", "acknowledged"), 1);
    fixture_pass(f, 20000);
    ck_assert_uint_eq(f->sent_count, 0);
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent client");
    TCase *tcase = tcase_create("agent client");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_reports);
    tcase_add_test(tcase, test_retransmission);
    tcase_add_test(tcase, test_echo);
    tcase_add_test(tcase, test_gateway_begins);
    tcase_add_test(tcase, test_unknown_to_the_gateway);
    tcase_add_test(tcase, test_lost_state);
    tcase_add_test(tcase, test_forged_refusals);
    tcase_add_test(tcase, test_block1);
    tcase_add_test(tcase, test_continue_without_end);
    tcase_add_test(tcase, test_observe);
    tcase_add_test(tcase, test_join);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
