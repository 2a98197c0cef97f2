/* The message layer: what RFC 7252 asks of a server, whatever the resource. */
#include "agent_fixture.h"
#include "suite.h"

#include <string.h>

static void send_header(struct fixture *f, uint8_t first, uint8_t code, uint16_t id)
{
    const uint8_t data[] = {first, code, (uint8_t)(id >> 8), (uint8_t)id};

    fixture_send_bytes(f, data, sizeof data);
}

START_TEST(test_confirmable_is_answered_in_the_ack)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->sent_count, 1);
    ck_assert_int_eq(f->answer.type, COAPMSG_ACK);
    ck_assert_uint_eq(f->answer.id, f->next_id - 1);
    ck_assert_uint_eq(f->answer.token_length, 2);
    ck_assert(peer_equal(&f->sent[0].peer, &f->peer));
    fixture_end(f);
}
END_TEST

START_TEST(test_nonconfirmable_is_answered_so)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg request;
    uint16_t first;

    fixture_request(f, &request, COAPMSG_GET, "/tc");
    request.type = COAPMSG_NON;
    fixture_send(f, &request);
    ck_assert_int_eq(f->answer.type, COAPMSG_NON);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
    first = f->answer.id;
    request.id++;
    fixture_send(f, &request);
    ck_assert_uint_ne(f->answer.id, first); /* a message id of our own each time */
    fixture_end(f);
}
END_TEST

START_TEST(test_ping_and_what_cannot_be_processed_get_a_reset)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    static const struct {
        uint8_t first, code;
    } rejected[] = {
        {0x40, 0}, {0x40, COAPMSG_CONTENT}, {0x40, COAPMSG_CODE(7, 0)}, {0x40, COAPMSG_CODE(1, 0)}, {0x4f, 1}};
    static const struct {
        uint8_t first, code;
    } ignored[] = {{0x50, 0}, {0x50, COAPMSG_CONTENT}, {0x60, 0}, {0x70, 0}, {0x80, 1}, {0x00, 1}, {0x5f, 1}};

    for (size_t i = 0; i < array_size(rejected); i++) {
        send_header(f, rejected[i].first, rejected[i].code, 77);
        ck_assert_uint_eq(f->sent_count, 1);
        ck_assert_mem_eq(f->sent[0].data, "\x70\x00\x00\x4d", 4);
        ck_assert_uint_eq(f->sent[0].size, 4);
    }
    for (size_t i = 0; i < array_size(ignored); i++) {
        send_header(f, ignored[i].first, ignored[i].code, 77);
        ck_assert_msg(f->sent_count == 0, "case %zu was answered", i);
    }
    fixture_send_bytes(f, "\x40", 1); /* shorter than a header */
    ck_assert_uint_eq(f->sent_count, 0);
    fixture_end(f);
}
END_TEST

START_TEST(test_unknown_critical_options)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_GET, "/tc");
    coapmsg_add(&request, 2049, "x", 1);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_OPTION);
    request.type = COAPMSG_NON;
    request.id++;
    fixture_send(f, &request);
    ck_assert_uint_eq(f->sent_count, 0); /* RFC 7252 section 5.4.1: rejected */

    fixture_request(f, &request, COAPMSG_GET, "/tc");
    coapmsg_add(&request, 2050, "x", 1); /* elective */
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);

    fixture_request(f, &request, COAPMSG_GET, "/tc");
    coapmsg_add_text(&request, COAPMSG_OPT_PROXY_URI, "coap://elsewhere/");
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CODE(5, 5));
    fixture_end(f);

    f = fixture_new(DEVICE_V1, ""); /* the public agent ignores them */
    fixture_request(f, &request, COAPMSG_GET, "/.well-known/core");
    coapmsg_add(&request, 2049, "x", 1);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
    fixture_end(f);
}
END_TEST

START_TEST(test_too_many_options)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    uint8_t data[4 + COAPMSG_MAX_OPTIONS + 1] = {0x40, COAPMSG_GET, 0, 9, 0xb0};

    fixture_send_bytes(f, data, sizeof data); /* an empty Uri-Path, and as many more */
    ck_assert_uint_eq(f->answer.code, COAPMSG_BAD_OPTION);
    fixture_end(f);
}
END_TEST

START_TEST(test_larger_than_the_pdu_gets_no_answer)
{
    for (int kind = DEVICE_V1; kind <= DEVICE_V2; kind++) {
        struct fixture *f = fixture_new((enum device_kind)kind, "");
        uint8_t payload[1204];
        struct coapmsg request;

        memset(payload, 'x', sizeof payload);
        fixture_request(f, &request, COAPMSG_GET, "/.well-known/core");
        coapmsg_set_payload(&request, payload, 1);
        coapmsg_set_payload(&request, payload, 1205 - coapmsg_size(&request));
        ck_assert_uint_eq(coapmsg_size(&request), 1204);
        fixture_send(f, &request);
        ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
        coapmsg_set_payload(&request, payload, request.payload_size + 1);
        request.id++;
        fixture_send(f, &request);
        ck_assert_uint_eq(f->sent_count, 0);
        fixture_end(f);
    }
}
END_TEST

/* The same bytes again; says whether the agent answered as it had done. */
static bool again_is_same(struct fixture *f)
{
    struct sent before = f->sent[0];
    uint8_t load[SERVER_DATAGRAM_MAX];
    struct coapmsg request;
    size_t size;

    fixture_request(f, &request, COAPMSG_PUT, "/tc/id");
    coapmsg_set_payload(&request, "one", 3);
    size = coapmsg_encode(&request, load, sizeof load);
    fixture_send_bytes(f, load, size);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CHANGED);
    before = f->sent[0];
    fixture_send_bytes(f, load, size);
    return f->sent_count == 1 && f->sent[0].size == before.size &&
           memcmp(f->sent[0].data, before.data, before.size) == 0;
}

START_TEST(test_duplicates_get_the_stored_answer)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg request;

    ck_assert(again_is_same(f));
    ck_assert_uint_eq(f->agent.server.counters.duplicates, 1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"duplicate\"", "\"message_id\":1"), 1);

    fixture_request(f, &request, COAPMSG_PUT, "/tc/id");
    request.id = 1; /* known, but not from this peer */
    coapmsg_set_payload(&request, "two", 3);
    f->peer = fixture_peer(40001);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->agent.server.counters.duplicates, 1);
    ck_assert_mem_eq(f->agent.device.id, "two", 3);
    fixture_end(f);
}
END_TEST

START_TEST(test_duplicates_are_forgotten_after_exchange_lifetime)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg request;

    fixture_request(f, &request, COAPMSG_PUT, "/tc/id");
    coapmsg_set_payload(&request, "one", 3);
    fixture_send(f, &request);
    f->agent.device.id_size = 0;
    fixture_pass(f, DEDUP_LIFETIME_MS - 1);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->agent.device.id_size, 0); /* the stored answer, and nothing was done */
    ck_assert_uint_eq(f->answer.code, COAPMSG_CHANGED);
    fixture_pass(f, 1);
    fixture_send(f, &request);
    ck_assert_uint_eq(f->agent.device.id_size, 3);
    fixture_end(f);
}
END_TEST

START_TEST(test_duplicates_are_remembered_within_a_bound)
{
    struct fixture *f = fixture_new(DEVICE_V2, "");
    struct coapmsg request;

    for (unsigned i = 0; i <= DEDUP_ENTRIES; i++) {
        fixture_request(f, &request, COAPMSG_PUT, "/tc/id");
        coapmsg_set_payload(&request, "one", 3);
        fixture_send(f, &request);
    }
    f->agent.device.id_size = 0;
    request.id = 2; /* the oldest that is left */
    fixture_send(f, &request);
    ck_assert_uint_eq(f->agent.device.id_size, 0);
    request.id = 1; /* gave way */
    fixture_send(f, &request);
    ck_assert_uint_eq(f->agent.device.id_size, 3);
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_no_dedup)
{
    struct fixture *f = fixture_new(DEVICE_V2, "no-dedup");

    (void)again_is_same(f);
    ck_assert_uint_eq(f->agent.server.counters.duplicates, 0);
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_lose_answer)
{
    struct fixture *f = fixture_new(DEVICE_V2, "lose-answer=2");

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), 0);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), 0);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_eq(f->agent.server.counters.requests, 3);
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_silent)
{
    struct fixture *f = fixture_new(DEVICE_V2, "silent");

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), 0);
    send_header(f, 0x40, 0, 5);
    ck_assert_uint_eq(f->sent_count, 0);
    fixture_end(f);
}
END_TEST

START_TEST(test_separate_response_is_sent_until_acknowledged)
{
    struct fixture *f = fixture_new(DEVICE_V2, "empty-ack-then-separate=200");
    struct coapmsg request;
    uint16_t id;

    fixture_request(f, &request, COAPMSG_GET, "/tc");
    fixture_send(f, &request);
    ck_assert_uint_eq(f->sent_count, 1);
    ck_assert_int_eq(f->answer.type, COAPMSG_ACK);
    ck_assert_uint_eq(f->answer.code, COAPMSG_EMPTY);
    ck_assert_uint_eq(f->answer.id, request.id);
    fixture_send(f, &request); /* again: an empty ACK again, and no second answer */
    ck_assert_uint_eq(f->sent_count, 1);
    ck_assert_uint_eq(f->answer.code, COAPMSG_EMPTY);

    f->sent_count = 0;
    fixture_pass(f, 199);
    ck_assert_uint_eq(f->sent_count, 0);
    fixture_pass(f, 1);
    ck_assert_uint_eq(f->sent_count, 1);
    ck_assert_int_eq(coapmsg_decode(&f->answer, f->sent[0].data, f->sent[0].size), 0);
    ck_assert_int_eq(f->answer.type, COAPMSG_CON);
    ck_assert_uint_eq(f->answer.code, COAPMSG_CONTENT);
    ck_assert_mem_eq(f->answer.token, "tk", 2);
    id = f->answer.id;

    fixture_pass(f, 3000); /* ACK_TIMEOUT is 2 to 3 seconds */
    ck_assert_uint_eq(f->sent_count, 2);
    ck_assert_uint_eq(f->sent[1].size, f->sent[0].size);
    ck_assert_mem_eq(f->sent[1].data, f->sent[0].data, f->sent[0].size);
    send_header(f, 0x60, 0, id);
    fixture_pass(f, 100000);
    ck_assert_uint_eq(f->sent_count, 0);
    fixture_end(f);
}
END_TEST

START_TEST(test_separate_response_is_given_up)
{
    struct fixture *f = fixture_new(DEVICE_V2, "empty-ack-then-separate=1");

    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_EMPTY);
    f->sent_count = 0;
    fixture_pass(f, 1 + 5900); /* the first wait is 2 to 3 seconds, the second twice as long */
    ck_assert_uint_eq(f->sent_count, 2);
    fixture_pass(f, 93000); /* MAX_TRANSMIT_WAIT */
    ck_assert_uint_eq(f->sent_count, 1 + OUTGOING_MAX_RETRANSMIT);
    ck_assert_int_eq(agent_deadline(&f->agent), AGENT_NO_DEADLINE);
    fixture_end(f);
}
END_TEST

START_TEST(test_separate_responses_are_bounded)
{
    struct fixture *f = fixture_new(DEVICE_V2, "empty-ack-then-separate=1000");

    for (int i = 0; i < 2 * OUTGOING_MAX; i++)
        ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_EMPTY);
    f->sent_count = 0;
    fixture_pass(f, 1000);
    ck_assert_uint_eq(f->sent_count, OUTGOING_MAX);
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_garbage_answer)
{
    struct fixture *f = fixture_new(DEVICE_V2, "garbage-answer=200");
    uint8_t good[SERVER_DATAGRAM_MAX];
    size_t good_size;

    for (int i = 0; i < 200; i++) {
        (void)fixture_ask(f, COAPMSG_GET, "/tc/c", NULL);
        ck_assert_uint_eq(f->sent_count, 1);
        ck_assert_int_eq(coapmsg_decode(&f->answer, f->sent[0].data, f->sent[0].size), 0);
        ck_assert_mem_eq(f->answer.token, "tk", 2);
        ck_assert(!coapmsg_find(&f->answer, COAPMSG_OPT_CONTENT_FORMAT));
    }
    (void)fixture_ask(f, COAPMSG_GET, "/tc/c", NULL);
    good_size = coapmsg_encode(&f->answer, good, sizeof good);
    ck_assert_uint_eq(good_size, f->sent[0].size);
    ck_assert(coapmsg_find(&f->answer, COAPMSG_OPT_CONTENT_FORMAT));
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_malformed_answer)
{
    struct fixture *f = fixture_new(DEVICE_V2, "malformed-answer=200");

    for (int i = 0; i < 200; i++) {
        (void)fixture_ask(f, COAPMSG_GET, "/tc", NULL);
        ck_assert_uint_eq(f->sent_count, 1);
        ck_assert_int_eq(coapmsg_decode(&f->answer, f->sent[0].data, f->sent[0].size), COAPMSG_E_FORMAT);
    }
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    fixture_end(f);
}
END_TEST

START_TEST(test_bug_restart_after)
{
    struct fixture *f = fixture_new(DEVICE_V2, "restart-after=3");

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_int_eq(fixture_v2_state(f, "a"), CONTAINER_INSTALLED);
    ck_assert_int_eq(fixture_v2_state(f, "a"), CONTAINER_INSTALLED);
    ck_assert_int_eq(fixture_v2_state(f, "a"), -1);
    ck_assert_uint_eq(fixture_journal_count(f, "\"restart\"", ""), 1);
    fixture_end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent server");
    TCase *tc = tcase_create("messages");

    tcase_add_test(tc, test_confirmable_is_answered_in_the_ack);
    tcase_add_test(tc, test_nonconfirmable_is_answered_so);
    tcase_add_test(tc, test_ping_and_what_cannot_be_processed_get_a_reset);
    tcase_add_test(tc, test_unknown_critical_options);
    tcase_add_test(tc, test_too_many_options);
    tcase_add_test(tc, test_larger_than_the_pdu_gets_no_answer);
    tcase_add_test(tc, test_duplicates_get_the_stored_answer);
    tcase_add_test(tc, test_duplicates_are_forgotten_after_exchange_lifetime);
    tcase_add_test(tc, test_duplicates_are_remembered_within_a_bound);
    tcase_add_test(tc, test_bug_no_dedup);
    tcase_add_test(tc, test_bug_lose_answer);
    tcase_add_test(tc, test_bug_silent);
    tcase_add_test(tc, test_separate_response_is_sent_until_acknowledged);
    tcase_add_test(tc, test_separate_response_is_given_up);
    tcase_add_test(tc, test_separate_responses_are_bounded);
    tcase_add_test(tc, test_bug_garbage_answer);
    tcase_add_test(tc, test_bug_malformed_answer);
    tcase_add_test(tc, test_bug_restart_after);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
