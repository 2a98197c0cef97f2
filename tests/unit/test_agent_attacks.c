/* The agent's attacks, on the engine: what is honest is accepted, and nothing else. */
#include "agent_gateway.h"
#include "suite.h"

#include "agent/forge.h"
#include "base/text.h"

#include <string.h>

/* A gateway of a few lines: the engine's verdict, and 2.04 or 2.31 to what it accepts. No deduplication. */
static void serve(struct gateway *g, const struct sent *sent)
{
    struct oscore_option option;
    struct coapmsg plain, *outer = &g->f->answer;
    int r;

    if (coapmsg_decode(outer, sent->data, sent->size))
        return;
    r = oscore_message_option(outer, &option);
    if (!r && (!option.kid || !option.piv))
        r = OSCORE_E_OPTION;
    if (!r &&
        (option.kid_size != g->device.sender_id_size || memcmp(option.kid, g->device.sender_id, option.kid_size) != 0 ||
         (option.kid_context && (option.kid_context_size != g->device.id_context_size ||
                                 memcmp(option.kid_context, g->device.id_context, option.kid_context_size) != 0))))
        r = OSCORE_E_CONTEXT;
    if (!r)
        r = oscore_unprotect_request(g->context, outer, &option, &g->binding, &g->inner, g->room, sizeof g->room);
    if (r) {
        gateway_answer_plain(g, oscore_error_code(r));
        return;
    }
    coapmsg_init(&plain, COAPMSG_ACK,
                 coapmsg_find(&g->inner, COAPMSG_OPT_BLOCK1) ? COAPMSG_CONTINUE
                 : coapmsg_path_is(&g->inner, "/shadow/reported") && COAPMSG_CLASS(g->inner.code) == 0
                     ? COAPMSG_CHANGED
                     : COAPMSG_BAD_REQUEST);
    gateway_answer(g, &plain, 0);
}

static unsigned count(const struct gateway *g, const char *label, const char *outcome)
{
    char one[96], other[64];

    (void)snprintf(one, sizeof one, "\"detail\":\"%s", label);
    (void)snprintf(other, sizeof other, "\"outcome\":\"%s\"", outcome);
    return fixture_journal_count(g->f, one, other);
}

static struct gateway *run(const char *attacks)
{
    struct gateway *g = gateway_new("", NULL, false);
    struct agent_options options = g->f->options;
    char reason[128];

    ck_assert_msg(attacks_parse(&options.attacks, attacks, reason, sizeof reason) == 0, "%s", reason);
    options.traffic.gateway = fixture_peer(40000);
    options.traffic.count = 1;
    fixture_end(g->f);
    g->f = fixture_new_agent(&options);
    fixture_pass(g->f, 1);
    for (int i = 0; i < 20000 && !fixture_journal_count(g->f, "attacks-done", ""); i++) {
        struct sent sent = g->f->sent[0];
        unsigned n = g->f->sent_count;

        g->f->sent_count = 0;
        if (n)
            serve(g, &sent);
        else
            fixture_pass(g->f, 1);
    }
    ck_assert_uint_eq(fixture_journal_count(g->f, "attacks-done", ""), 1);
    ck_assert_uint_eq(count(g, "", "failed"), 0);
    return g;
}

static const struct {
    const char *attack;
    unsigned accepted, answered, refused; /* refused: at least */
} expected[] = {
    {"replay", 2, 0, 1},           {"replay-after-reorder", 3, 0, 3},
    {"reorder", 8, 0, 0},          {"reorder:32", 32, 0, 0},
    {"reorder-beyond", 1, 0, 1},   {"old-sequence", 1, 0, 1},
    {"last-sequence", 1, 0, 1},    {"corrupt:100", 1, 0, 1},
    {"truncate", 1, 0, 30},        {"malformed-option", 0, 0, 15},
    {"unknown-kid", 0, 0, 3},      {"wrong-kid-context", 0, 0, 3},
    {"other-identity", 0, 0, 0},   {"nested", 0, 0, 2},
    {"abandon-blocks:5", 5, 0, 0}, {"oversized-outer-block:3", 0, 0, 3},
};

START_TEST(test_attack)
{
    struct gateway *g = run(expected[_i].attack);
    char name[64];

    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(expected[_i].attack, ":"), expected[_i].attack);
    ck_assert_msg(count(g, name, "accepted") == expected[_i].accepted, "%s: %u", name, count(g, name, "accepted"));
    ck_assert_uint_eq(count(g, name, "answered"), expected[_i].answered);
    ck_assert_uint_ge(count(g, name, "refused"), expected[_i].refused);
    ck_assert_uint_eq(count(g, name, "unanswered"), 0);
    gateway_end(g);
}
END_TEST

START_TEST(test_corrupt_all)
{
    struct gateway *g = run("corrupt");

    ck_assert_uint_eq(count(g, "corrupt", "accepted"), 1);
    ck_assert_uint_eq(count(g, "corrupt: intact", "accepted"), 1);
    ck_assert_uint_gt(count(g, "corrupt: bit", "refused"), 400);
    gateway_end(g);
}
END_TEST

/* Authentic, and refused for what is in it: by the engine, or by whoever reads the inner message. */
START_TEST(test_inner_garbage)
{
    struct gateway *g = run("inner-garbage");

    ck_assert_uint_ge(count(g, "inner-garbage", "refused"), 5);
    ck_assert_uint_ge(count(g, "inner-garbage", "refused") + count(g, "inner-garbage", "answered") +
                          count(g, "inner-garbage: critical", "accepted"),
                      10);
    gateway_end(g);
}
END_TEST

/* The forger agrees with the engine: what it seals as a request is accepted (last-sequence does it too). */
START_TEST(test_forge)
{
    struct gateway *g = gateway_new("", NULL, false);
    uint8_t sealed[64], option[] = {0x09, 7, 'd', 'v'};
    struct oscore_option parsed;
    struct coapmsg message;

    ck_assert(forge_seal(&g->device, 7, "\x01\xb2tc", 4, sealed));
    coapmsg_init(&message, COAPMSG_CON, COAPMSG_POST);
    coapmsg_add(&message, COAPMSG_OPT_OSCORE, option, sizeof option);
    coapmsg_set_payload(&message, sealed, 4 + FORGE_TAG);
    ck_assert_int_eq(oscore_message_option(&message, &parsed), 0);
    ck_assert_int_eq(
        oscore_unprotect_request(g->context, &message, &parsed, &g->binding, &g->inner, g->room, sizeof g->room), 0);
    ck_assert_uint_eq(g->inner.code, COAPMSG_GET);
    ck_assert(coapmsg_path_is(&g->inner, "/tc"));
    g->device.algorithm = OSCORE_AES_GCM_128;
    ck_assert(!forge_seal(&g->device, 7, "\x01", 1, sealed));
    gateway_end(g);
}
END_TEST

START_TEST(test_parse)
{
    static const char *const bad[] = {"lout", "replay:1", "corrupt:x", "corrupt:-1", "corrupt:1000001", ","};
    struct attacks_plan plan = {0};
    char reason[128];

    for (size_t i = 0; i < array_size(bad); i++)
        ck_assert_msg(attacks_parse(&plan, bad[i], reason, sizeof reason) == 1, "%s", bad[i]);
    ck_assert_int_eq(attacks_parse(&plan, "replay,corrupt:3,reorder", reason, sizeof reason), 0);
    ck_assert_uint_eq(plan.count, 3);
    ck_assert_uint_eq(plan.entries[1].argument, 3);
    ck_assert_uint_eq(plan.entries[2].argument, 8);
    for (int i = 0; i < ATTACKS_MAX - 3; i++)
        ck_assert_int_eq(attacks_parse(&plan, "replay", reason, sizeof reason), 0);
    ck_assert_int_eq(attacks_parse(&plan, "replay", reason, sizeof reason), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent attacks");
    TCase *tcase = tcase_create("agent attacks");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_attack, 0, array_size(expected));
    tcase_add_test(tcase, test_corrupt_all);
    tcase_add_test(tcase, test_inner_garbage);
    tcase_add_test(tcase, test_forge);
    tcase_add_test(tcase, test_parse);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
