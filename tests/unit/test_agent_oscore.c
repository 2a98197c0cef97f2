/* The agent as a server that speaks OSCORE (RFC 8613), with the engine as the gateway. */
#include "agent_gateway.h"
#include "suite.h"

#include "agent/enrolment.h"

#include <string.h>

static unsigned journal_count(const struct gateway *g, const char *event, const char *outcome)
{
    char one[64], other[64];

    (void)snprintf(one, sizeof one, "\"event\":\"%s\"", event);
    (void)snprintf(other, sizeof other, "\"outcome\":\"%s\"", outcome);
    return fixture_journal_count(g->f, one, other);
}

/* The whole answer was unprotected, with this code. */
static void check_refused(const struct gateway *g, uint8_t code)
{
    ck_assert_uint_eq(g->f->answer.code, code);
    ck_assert_ptr_null(coapmsg_find(&g->f->answer, COAPMSG_OPT_OSCORE));
}

START_TEST(test_protected_only)
{
    struct gateway *g = gateway_new("", NULL, false);

    ck_assert_uint_eq(fixture_ask(g->f, COAPMSG_GET, "/tc", NULL), COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(fixture_ask(g->f, COAPMSG_DELETE, "/tc/c/x", NULL), COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(journal_count(g, "unprotected", "refused"), 2);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(g->f->answer.code, COAPMSG_CHANGED);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/nothing", NULL), COAPMSG_NOT_FOUND);
    g->f->options.security.allow_plain = true;
    ck_assert_uint_eq(fixture_ask(g->f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    gateway_end(g);
}
END_TEST

/* An agent without credentials does not understand the option, which is critical. */
START_TEST(test_without_credentials)
{
    struct gateway *g = gateway_new("", NULL, false);
    struct fixture *plain = fixture_new(DEVICE_V2, "");
    struct coapmsg request;

    fixture_request(g->f, &request, COAPMSG_GET, "/tc");
    gateway_protect(g, &request, 0);
    fixture_send_bytes(plain, g->datagram, g->datagram_size);
    ck_assert_uint_eq(plain->answer.code, COAPMSG_BAD_OPTION);
    fixture_end(plain);
    gateway_end(g);
}
END_TEST

/* Loads a package block by block, each protected. */
static void load(struct gateway *g, const char *uid, const char *data, size_t size)
{
    cleanup_buffer struct buffer package = {0};
    struct coapmsg request;
    uint8_t code = 0;

    fixture_package(g->f, uid, code_runs, data, size, &package);
    for (size_t at = 0; at < package.size; at += 256) {
        size_t left = package.size - at;

        fixture_put(g->f, &request, uid, NULL);
        coapmsg_add_block(&request, COAPMSG_OPT_BLOCK1, (struct coapmsg_block){(uint32_t)(at / 256), left > 256, 4});
        coapmsg_set_payload(&request, package.data + at, left < 256 ? left : 256);
        gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT);
        code = gateway_send(g);
        ck_assert_uint_eq(code, left > 256 ? COAPMSG_CONTINUE : COAPMSG_CREATED);
    }
}

START_TEST(test_blocks)
{
    struct gateway *g = gateway_new("", NULL, false);
    static char data[3000];
    struct coapmsg_block block = {.more = true};
    struct coapmsg request;
    size_t total = 0;

    load(g, "job", data, sizeof data);
    for (uint32_t n = 0; block.more; n++) {
        fixture_request(g->f, &request, COAPMSG_GET, "/tc/c/job/data");
        if (n)
            coapmsg_add_block(&request, COAPMSG_OPT_BLOCK2, (struct coapmsg_block){n, false, block.szx});
        gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT);
        ck_assert_uint_eq(gateway_send(g), COAPMSG_CONTENT);
        ck_assert_int_eq(coapmsg_get_block(&g->inner, COAPMSG_OPT_BLOCK2, &block), 0);
        ck_assert_uint_eq(block.num, n);
        ck_assert_uint_le(g->f->sent[0].size, 1204);
        total += g->inner.payload_size;
    }
    ck_assert_uint_eq(total, sizeof data);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    ck_assert_uint_eq(journal_count(g, "load", "ok"), 1);
    gateway_end(g);
}
END_TEST

START_TEST(test_retransmission_and_replay)
{
    struct gateway *g = gateway_new("", NULL, false);
    uint8_t first[SERVER_DATAGRAM_MAX];
    size_t size;

    load(g, "job", "", 0);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    size = g->f->sent[0].size;
    memcpy(first, g->f->sent[0].data, size);
    fixture_send_bytes(g->f, g->datagram, g->datagram_size); /* the same message: the same answer, byte for byte */
    ck_assert_uint_eq(g->f->sent[0].size, size);
    ck_assert_int_eq(memcmp(g->f->sent[0].data, first, size), 0);
    ck_assert_uint_eq(g->f->agent.device.counters.starts, 1);
    g->datagram[3]++; /* another message ID: a replay */
    fixture_send_bytes(g->f, g->datagram, g->datagram_size);
    check_refused(g, COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(fixture_journal_count(g->f, "\"event\":\"protected\"", "replay"), 1);
    ck_assert_uint_eq(fixture_journal_count(g->f, "piv-reuse", ""), 0);
    gateway_end(g);
}
END_TEST

START_TEST(test_refusals)
{
    struct gateway *g = gateway_new("", NULL, false);
    static const uint8_t reserved[] = {0x2a, 0, 'g'}, short_piv[] = {0x0d, 1}, no_kid[] = {0x01, 9};
    static const uint8_t other_kid[] = {0x09, 9, 'x'};
    static const struct {
        const uint8_t *option;
        size_t size;
        uint8_t code;
    } bad[] = {{reserved, sizeof reserved, COAPMSG_BAD_OPTION},
               {short_piv, sizeof short_piv, COAPMSG_BAD_OPTION},
               {no_kid, sizeof no_kid, COAPMSG_BAD_OPTION},
               {other_kid, sizeof other_kid, COAPMSG_UNAUTHORIZED}};
    struct coapmsg request;

    for (size_t i = 0; i < array_size(bad); i++) {
        fixture_request(g->f, &request, COAPMSG_POST, "/");
        coapmsg_add(&request, COAPMSG_OPT_OSCORE, bad[i].option, bad[i].size);
        coapmsg_set_payload(&request, "0123456789", 10);
        fixture_send(g->f, &request);
        check_refused(g, bad[i].code);
    }
    fixture_request(g->f, &request, COAPMSG_GET, "/tc");
    gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT);
    g->datagram[g->datagram_size - 1] ^= 1;
    ck_assert_uint_eq(gateway_send(g), 0);
    check_refused(g, COAPMSG_BAD_REQUEST);
    g->datagram[g->datagram_size - 1] ^= 1;
    g->datagram[3]++;
    ck_assert_uint_eq(gateway_send(g), COAPMSG_CONTENT); /* the damaged one moved nothing */
    gateway_end(g);
}
END_TEST

/* The latest message with a code of class 2 among what the agent sent. */
static bool open_notification(struct gateway *g, struct coapmsg *outer, int *result)
{
    for (unsigned i = g->f->sent_count; i > 0; i--)
        if (coapmsg_decode(outer, g->f->sent[i - 1].data, g->f->sent[i - 1].size) == 0 && outer->type == COAPMSG_CON &&
            COAPMSG_CLASS(outer->code) == 2) {
            *result = oscore_unprotect_response(g->context, &g->binding, outer, &g->inner, g->room, sizeof g->room);
            return true;
        }
    return false;
}

START_TEST(test_notifications)
{
    struct gateway *g = gateway_new("", NULL, false);
    struct oscore_binding watch;
    struct oscore_option option;
    struct coapmsg request, outer;
    int r;

    load(g, "job", "", 0);
    fixture_request(g->f, &request, COAPMSG_GET, "/tc/c/job");
    coapmsg_set_token(&request, "watch", 5);
    coapmsg_add_uint(&request, COAPMSG_OPT_OBSERVE, 0);
    gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT);
    ck_assert_uint_eq(gateway_send(g), COAPMSG_CONTENT);
    ck_assert_ptr_nonnull(coapmsg_find(&g->inner, COAPMSG_OPT_OBSERVE));
    watch = g->binding;
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_POST, "/tc/c/job", "start"), COAPMSG_CHANGED);
    g->binding = watch;
    ck_assert(open_notification(g, &outer, &r));
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(memcmp(outer.token, "watch", 5), 0);
    ck_assert_int_eq(oscore_message_option(&outer, &option), 0);
    ck_assert_uint_gt(option.piv_size, 0);
    ck_assert(open_notification(g, &outer, &r)); /* once more: it is not newer */
    ck_assert_int_eq(r, OSCORE_E_STALE);
    gateway_end(g);
}
END_TEST

static const uint8_t *echo_of(const struct gateway *g, uint8_t out[8])
{
    const struct coapmsg_option *echo = coapmsg_find(&g->inner, COAPMSG_OPT_ECHO);

    ck_assert_ptr_nonnull(echo);
    ck_assert_uint_eq(echo->length, 8);
    memcpy(out, echo->value, 8);
    return out;
}

/* The first request after an unclean end is asked for an Echo (Appendix B.1.2). */
static void check_challenge(struct gateway *g)
{
    struct coapmsg request;
    uint8_t echo[8];

    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_UNAUTHORIZED);
    (void)echo_of(g, echo);
    fixture_request(g->f, &request, COAPMSG_GET, "/tc");
    coapmsg_add(&request, COAPMSG_OPT_ECHO, "otherval", 8);
    gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT);
    ck_assert_uint_eq(gateway_send(g), COAPMSG_UNAUTHORIZED);
    fixture_request(g->f, &request, COAPMSG_GET, "/tc");
    coapmsg_add(&request, COAPMSG_OPT_ECHO, echo, 8);
    gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT);
    ck_assert_uint_eq(gateway_send(g), COAPMSG_CONTENT);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
}

START_TEST(test_restarts)
{
    struct gateway *g = gateway_new("", NULL, true);
    uint8_t old[SERVER_DATAGRAM_MAX];
    uint64_t next;
    size_t size;

    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    size = g->datagram_size;
    memcpy(old, g->datagram, size);
    gateway_restart_agent(g, true, false); /* clean: the window is known */
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    old[3] += 9;
    fixture_send_bytes(g->f, old, size);
    check_refused(g, COAPMSG_UNAUTHORIZED);
    next = oscore_context_sequence(g->f->agent.security.context);
    gateway_restart_agent(g, false, false);
    check_challenge(g);
    ck_assert_uint_gt(oscore_context_sequence(g->f->agent.security.context), next + 32);
    old[3]++;
    fixture_send_bytes(g->f, old, size);
    check_refused(g, COAPMSG_UNAUTHORIZED);
    agent_restart(&g->f->agent, false);
    check_challenge(g);
    gateway_end(g);
}
END_TEST

/* Steps 3 and 4 of Appendix B.2 as the gateway; g->f->answer is response #1 to a request of ID Context id1. */
static void renew(struct gateway *g, const uint8_t *id1, size_t size)
{
    uint8_t id[OSCORE_ID_CONTEXT_MAX], replay[SERVER_DATAGRAM_MAX];
    struct oscore_option option;
    struct coapmsg request;
    size_t replay_size;

    ck_assert_int_eq(oscore_message_option(&g->f->answer, &option), 0);
    ck_assert_uint_eq(option.kid_context_size, 1 + OSCORE_R2_SIZE);
    ck_assert_uint_eq(option.kid_context[0], 0x40 + OSCORE_R2_SIZE);
    memcpy(id, option.kid_context + 1, OSCORE_R2_SIZE);
    memcpy(id + OSCORE_R2_SIZE, id1, size);
    gateway_use(g, gateway_derive(g, id, OSCORE_R2_SIZE + size));
    ck_assert_int_eq(
        oscore_unprotect_response(g->context, &g->binding, &g->f->answer, &g->inner, g->room, sizeof g->room), 0);
    ck_assert_uint_eq(g->inner.code, COAPMSG_UNAUTHORIZED);
    memcpy(id + OSCORE_R2_SIZE, "R3R3R3R3", 8);
    gateway_use(g, gateway_derive(g, id, OSCORE_R2_SIZE + 8));
    fixture_request(g->f, &request, COAPMSG_GET, "/tc");
    gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED);
    replay_size = g->datagram_size;
    memcpy(replay, g->datagram, replay_size);
    ck_assert_uint_eq(gateway_send(g), COAPMSG_CONTENT);
    replay[3] += 100;
    fixture_send_bytes(g->f, replay, replay_size);
    check_refused(g, COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_ge(journal_count(g, "context", "server"), 1);
}

/* The device lost its state: an ordinary request begins Appendix B.2. */
START_TEST(test_lost_state)
{
    struct gateway *g = gateway_new("", NULL, true);

    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    agent_restart(&g->f->agent, true);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), 0);
    renew(g, (const uint8_t *)"contextA", 8);
    gateway_restart_agent(g, true, false); /* the new ID Context was kept */
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    gateway_restart_agent(g, true, true);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), 0);
    gateway_restart_agent(g, true, false); /* lost is lost */
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), 0);
    renew(g, oscore_context_credentials(g->context)->id_context, OSCORE_R2_SIZE + 8);
    gateway_end(g);
}
END_TEST

/* The gateway lost its state: it begins with an R1, while the agent's context is fine. */
START_TEST(test_gateway_renews)
{
    struct gateway *g = gateway_new("", NULL, false);
    struct coapmsg request;

    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    for (int i = 0; i < 6; i++) { /* more runs than are kept; the last one counts */
        gateway_use(g, gateway_derive(g, "R1R1R1R1", 8));
        ck_assert(oscore_context_set_sequence(g->context, (uint64_t)i, OSCORE_SEQUENCE_END));
        fixture_request(g->f, &request, COAPMSG_GET, "/tc");
        gateway_protect(g, &request, OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED);
        ck_assert_uint_eq(gateway_send(g), 0);
    }
    renew(g, (const uint8_t *)"R1R1R1R1", 8);
    gateway_end(g);
}
END_TEST

/* A gateway that forgets its own numbers: what must never be is noticed. */
START_TEST(test_nonce_reuse)
{
    struct gateway *g = gateway_new("", NULL, false);

    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    gateway_use(g, gateway_derive(g, NULL, 0));
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc/c", NULL), 0);
    check_refused(g, COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(fixture_journal_count(g->f, "piv-reuse", "\"piv\":0"), 1);
    gateway_end(g);
}
END_TEST

START_TEST(test_bad_answers)
{
    struct gateway *g = gateway_new("flip-answer=1", NULL, false);
    struct bugs *bugs = &g->f->agent.device.bugs;

    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), 0);
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    bugs->unprotected_answer = 1;
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), 0);
    check_refused(g, COAPMSG_CONTENT);
    bugs->other_answer = 1;
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT); /* there is none before it */
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), 0);
    bugs->false_hint = 1;
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), 0);
    ck_assert_uint_eq(g->f->sent_count, 2);
    bugs->other_token = 1;
    ck_assert_uint_eq(gateway_ask(g, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_ne(g->f->answer.token[0], 't');
    gateway_end(g);
}
END_TEST

static int read_enrolment(const char *text, struct enrolment *e, char reason[256])
{
    char path[] = "/tmp/tcgw-test-enrolment-XXXXXX";
    int fd = mkstemp(path), r;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    r = enrolment_read(e, path, reason, 256);
    (void)remove(path);
    return r;
}

#define ENTRY                                                                                                          \
    "{\"kind\":\"oscore\",\"algorithm\":10,\"master_secret\":\"00112233445566778899aabbccddeeff\","                    \
    "\"master_salt\":\"0102\",\"sender_id\":\"01\",\"recipient_id\":\"\",\"id_context\":\"aabb\"}"

START_TEST(test_enrolment)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "x",
                                      ENTRY "x",
                                      "[" ENTRY,
                                      "[1]",
                                      "{\"kind\":\"psk\",\"master_secret\":\"00112233445566778899aabbccddeeff\"}",
                                      "{\"kind\":\"oscore\",\"master_secret\":\"0\"}",
                                      "{\"master_secret\":\"00112233445566778899aabbccddeeff\",\"algorithm\":77}"};
    static const char *const good[] = {ENTRY, "[" ENTRY "," ENTRY "]", ENTRY "\n" ENTRY "\n", " " ENTRY ENTRY ENTRY};
    static const size_t counts[] = {1, 2, 2, 3};
    struct enrolment e;
    char reason[256];

    for (size_t i = 0; i < array_size(good); i++) {
        ck_assert_msg(read_enrolment(good[i], &e, reason) == 0, "%zu: %s", i, reason);
        ck_assert_uint_eq(e.count, counts[i]);
        ck_assert_uint_eq(e.entries[e.count - 1].secret[15], 0xff);
        ck_assert(e.entries[0].has_id_context && e.entries[0].id_context_size == 2);
        ck_assert_uint_eq(e.entries[0].recipient_id_size, 0);
        enrolment_clear(&e);
    }
    for (size_t i = 0; i < array_size(bad); i++) {
        ck_assert_msg(read_enrolment(bad[i], &e, reason) == 1, "%s", bad[i]);
        enrolment_clear(&e);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent OSCORE");
    TCase *tcase = tcase_create("agent OSCORE");

    tcase_add_test(tcase, test_protected_only);
    tcase_add_test(tcase, test_without_credentials);
    tcase_add_test(tcase, test_blocks);
    tcase_add_test(tcase, test_retransmission_and_replay);
    tcase_add_test(tcase, test_refusals);
    tcase_add_test(tcase, test_notifications);
    tcase_add_test(tcase, test_restarts);
    tcase_add_test(tcase, test_lost_state);
    tcase_add_test(tcase, test_gateway_renews);
    tcase_add_test(tcase, test_nonce_reuse);
    tcase_add_test(tcase, test_bad_answers);
    tcase_add_test(tcase, test_enrolment);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
