#include "oscore/context.h"
#include "oscore_fixture.h"
#include "suite.h"

#include <string.h>

static const enum oscore_algorithm algorithms[] = {OSCORE_AES_CCM_16_64_128, OSCORE_AES_CCM_16_128_128,
                                                   OSCORE_AES_GCM_128, OSCORE_CHACHA20_POLY1305};
static struct oscore_pair pair;
static struct sealed sealed;
static struct opened opened;
static struct coapmsg plain;

static void setup(void)
{
    pair_init(&pair, OSCORE_AES_CCM_16_64_128);
}

static void teardown(void)
{
    pair_free(&pair);
}

static int reopen(void)
{
    return open_request(pair.server, sealed.datagram, sealed.size, &opened);
}

static void send_request(void)
{
    plain_request(&plain);
    seal_request(pair.client, &plain, 0, &sealed);
}

/* Round trips ----------------------------------------------------------------------------------------------------- */

/* Each algorithm, each size of a payload around the block sizes, each form of response. */
START_TEST(exchange_with_each_algorithm)
{
    static uint8_t payload[200];
    struct oscore_pair p;
    struct sealed answer;
    struct opened answered;

    pair_init(&p, algorithms[_i]);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)i;
    for (size_t size = 0; size <= sizeof payload; size++) {
        plain_request(&plain);
        coapmsg_set_payload(&plain, payload, size);
        seal_request(p.client, &plain, size & 1 ? OSCORE_WITH_KID_CONTEXT : 0, &sealed);
        ck_assert_int_eq(open_request(p.server, sealed.datagram, sealed.size, &opened), 0);
        ck_assert(same_content(&opened.msg, &plain));
        ck_assert_uint_eq(opened.msg.id, plain.id);
        ck_assert_uint_eq(opened.msg.token_length, 4);
        plain_response(&plain);
        coapmsg_set_payload(&plain, payload, size);
        seal_response(p.server, &opened.binding, &plain, size & 2 ? OSCORE_WITH_PIV : 0, &answer);
        ck_assert_int_eq(open_response(p.client, &sealed.binding, answer.datagram, answer.size, &answered), 0);
        ck_assert(same_content(&answered.msg, &plain));
    }
    pair_free(&p);
}
END_TEST

/* Numbers of each length of a Partial IV. */
START_TEST(exchange_with_large_numbers)
{
    static const uint64_t numbers[] = {
        0, 255, 256, 65535, 65536, 0xffffff, 0x1000000, UINT32_MAX, UINT64_C(0x100000000), OSCORE_SEQUENCE_END - 1};
    struct opened answered;
    struct sealed answer;

    for (size_t i = 0; i < array_size(numbers); i++) {
        ck_assert(oscore_context_set_sequence(pair.client, numbers[i], OSCORE_SEQUENCE_END));
        ck_assert(oscore_context_set_sequence(pair.server, numbers[i], OSCORE_SEQUENCE_END));
        send_request();
        ck_assert_int_eq(reopen(), 0);
        ck_assert_uint_eq(window_of(pair.server).highest, numbers[i]);
        plain_response(&plain);
        seal_response(pair.server, &opened.binding, &plain, OSCORE_WITH_PIV, &answer);
        ck_assert_int_eq(open_response(pair.client, &sealed.binding, answer.datagram, answer.size, &answered), 0);
    }
}
END_TEST

/* The ID Context in the option, plain, as a CBOR byte string, and its first part (Appendix B.2). */
START_TEST(kid_context_forms)
{
    static const struct {
        unsigned flags;
        size_t head, size;
    } cases[] = {
        {OSCORE_WITH_KID_CONTEXT, 0, 0},
        {OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED, 1, 1},
        {OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED, 1, 23},
        {OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED, 2, 24},
        {OSCORE_WITH_KID_CONTEXT | OSCORE_KID_CONTEXT_WRAPPED, 2, OSCORE_ID_CONTEXT_MAX},
        {OSCORE_WITH_KID_CONTEXT, 0, OSCORE_ID_CONTEXT_MAX},
    };
    static const uint8_t id_context[OSCORE_ID_CONTEXT_MAX] = "0123456789abcdef0123456789abcdef";
    struct oscore_option option;
    struct sealed answer;
    struct opened answered;

    for (size_t i = 0; i < array_size(cases); i++) {
        struct oscore_context *client, *server;
        size_t head = cases[i].head;

        ck_assert_int_eq(oscore_context_rederive(&client, pair.client, id_context, cases[i].size, NULL), 0);
        ck_assert_int_eq(oscore_context_rederive(&server, pair.server, id_context, cases[i].size, NULL), 0);
        ck_assert(oscore_context_set_sequence(client, 0, OSCORE_SEQUENCE_END));
        plain_request(&plain);
        seal_request(client, &plain, cases[i].flags, &sealed);
        ck_assert_int_eq(open_request(server, sealed.datagram, sealed.size, &opened), OSCORE_UNSYNCHRONIZED);
        ck_assert_int_eq(oscore_message_option(&opened.outer, &option), 0);
        ck_assert_ptr_nonnull(option.kid_context);
        ck_assert_uint_eq(option.kid_context_size, head + cases[i].size);
        ck_assert_mem_eq(option.kid_context + head, id_context, cases[i].size);
        if (head)
            ck_assert_uint_eq(option.kid_context[0], head == 1 ? 0x40 + cases[i].size : 0x58);
        plain_response(&plain);
        ck_assert(oscore_context_set_sequence(server, 0, OSCORE_SEQUENCE_END));
        seal_response(server, &opened.binding, &plain, cases[i].flags | OSCORE_KID_CONTEXT_R2, &answer);
        ck_assert_int_eq(open_response(client, &sealed.binding, answer.datagram, answer.size, &answered), 0);
        ck_assert_int_eq(oscore_message_option(&answered.outer, &option), 0);
        ck_assert_uint_le(option.kid_context_size, OSCORE_R2_SIZE + 1);
        oscore_context_free(client);
        oscore_context_free(server);
    }
}
END_TEST

/* What is in no message can not be protected. */
START_TEST(codes_that_are_refused)
{
    struct oscore_binding binding = {.piv_size = 1};
    struct coapmsg to;
    uint8_t buffer[256];

    for (unsigned code = 0; code < 256; code++) {
        bool request = code > 0 && code < 32, response = code >> 5 >= 2 && code >> 5 <= 5;

        coapmsg_init(&plain, COAPMSG_CON, (uint8_t)code);
        ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &binding, &to, buffer, sizeof buffer),
                         request ? 0 : OSCORE_E_OPTION);
        ck_assert_int_eq(oscore_protect_response(pair.server, &binding, &plain, 0, &to, buffer, sizeof buffer),
                         response ? 0 : OSCORE_E_OPTION);
    }
}
END_TEST

/* Sequence numbers ------------------------------------------------------------------------------------------------ */

START_TEST(numbers_at_their_limit)
{
    struct oscore_binding binding;
    struct coapmsg to;
    uint8_t buffer[256];

    plain_request(&plain);
    ck_assert(oscore_context_set_sequence(pair.client, 5, 6));
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &binding, &to, buffer, sizeof buffer), 0);
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &binding, &to, buffer, sizeof buffer),
                     OSCORE_E_RESERVE);
    ck_assert(oscore_context_set_sequence(pair.client, OSCORE_SEQUENCE_END, OSCORE_SEQUENCE_END));
    ck_assert_int_eq(oscore_protect_request(pair.client, &plain, 0, &binding, &to, buffer, sizeof buffer),
                     OSCORE_E_EXHAUSTED);
}
END_TEST

/* A server without numbers can still answer each request once. */
START_TEST(server_without_numbers)
{
    struct coapmsg to;
    uint8_t buffer[256];

    ck_assert(oscore_context_set_sequence(pair.server, 0, 0));
    send_request();
    ck_assert_int_eq(reopen(), 0);
    plain_response(&plain);
    ck_assert_int_eq(
        oscore_protect_response(pair.server, &opened.binding, &plain, OSCORE_WITH_PIV, &to, buffer, sizeof buffer),
        OSCORE_E_RESERVE);
    ck_assert_int_eq(oscore_protect_response(pair.server, &opened.binding, &plain, 0, &to, buffer, sizeof buffer), 0);
    ck_assert_int_eq(oscore_protect_response(pair.server, &opened.binding, &plain, 0, &to, buffer, sizeof buffer),
                     OSCORE_E_RESERVE);
}
END_TEST

/* What can not be protected uses up no number. */
START_TEST(numbers_are_not_wasted)
{
    struct oscore_binding binding;
    struct coapmsg to;
    uint8_t buffer[256];

    plain_request(&plain);
    for (size_t size = 0; size < sizeof buffer; size++) {
        uint64_t before = oscore_context_sequence(pair.client);
        int r = oscore_protect_request(pair.client, &plain, 0, &binding, &to, buffer, size);

        ck_assert(r == 0 || r == OSCORE_E_LIMIT);
        ck_assert(r == 0 || size < coapmsg_size(&plain) + OSCORE_OVERHEAD);
        ck_assert_uint_eq(oscore_context_sequence(pair.client), before + (r == 0));
    }
}
END_TEST

/* Responses ------------------------------------------------------------------------------------------------------- */

START_TEST(response_to_another_request)
{
    struct sealed first, answer;

    send_request();
    first = sealed;
    send_request();
    ck_assert_int_eq(open_request(pair.server, first.datagram, first.size, &opened), 0);
    plain_response(&plain);
    for (unsigned flags = 0; flags <= OSCORE_WITH_PIV; flags += OSCORE_WITH_PIV) {
        seal_response(pair.server, &opened.binding, &plain, flags, &answer);
        ck_assert_int_eq(open_response(pair.client, &sealed.binding, answer.datagram, answer.size, &opened),
                         OSCORE_E_DECRYPT);
        ck_assert_int_eq(open_response(pair.client, &first.binding, answer.datagram, answer.size, &opened), 0);
        opened.binding = answer.binding;
    }
}
END_TEST

/* The nonce of a request protects one response: a second one gets a number without being asked for. */
START_TEST(second_response_has_its_own_number)
{
    struct sealed answers[2];
    struct oscore_option option;

    send_request();
    ck_assert_int_eq(reopen(), 0);
    plain_response(&plain);
    for (unsigned i = 0; i < 2; i++) {
        struct coapmsg msg;

        seal_response(pair.server, &opened.binding, &plain, 0, &answers[i]);
        ck_assert_int_eq(coapmsg_decode(&msg, answers[i].datagram, answers[i].size), 0);
        ck_assert_int_eq(oscore_message_option(&msg, &option), 0);
        ck_assert_uint_eq(option.piv_size, i);
    }
}
END_TEST

START_TEST(unprotected_response)
{
    uint8_t datagram[64];
    struct coapmsg msg;

    send_request();
    plain_response(&msg);
    ck_assert_int_eq(
        open_response(pair.client, &sealed.binding, datagram, coapmsg_encode(&msg, datagram, sizeof datagram), &opened),
        OSCORE_E_UNPROTECTED);
}
END_TEST

START_TEST(response_with_a_kid)
{
    struct coapmsg msg, to;
    struct oscore_option option = {.kid = (const uint8_t *)"s", .kid_size = 1};
    uint8_t value[OSCORE_OPTION_MAX], buffer[256], opening[256];

    send_request();
    ck_assert_int_eq(reopen(), 0);
    plain_response(&plain);
    ck_assert_int_eq(oscore_protect_response(pair.server, &opened.binding, &plain, 0, &to, buffer, sizeof buffer), 0);
    to.options[0].length = (uint16_t)oscore_option_encode(&option, value);
    to.options[0].value = value;
    ck_assert_int_eq(oscore_unprotect_response(pair.client, &sealed.binding, &to, &msg, opening, sizeof opening), 0);
    option.kid = (const uint8_t *)"x";
    (void)oscore_option_encode(&option, value);
    ck_assert_int_eq(oscore_unprotect_response(pair.client, &sealed.binding, &to, &msg, opening, sizeof opening),
                     OSCORE_E_CONTEXT);
}
END_TEST

/* A request needs a kid and a Partial IV. */
START_TEST(request_with_half_an_option)
{
    static const char *const values[] = {"\x01\x05", "\x08"
                                                     "c"};

    send_request();
    ck_assert_int_eq(coapmsg_decode(&opened.outer, sealed.datagram, sealed.size), 0);
    for (size_t i = 0; i < array_size(values); i++) {
        struct oscore_option option;

        ck_assert_int_eq(oscore_option_decode(&option, values[i], 2), 0);
        ck_assert_int_eq(oscore_unprotect_request(pair.server, &opened.outer, &option, &opened.binding, &opened.msg,
                                                  opened.buffer, sizeof opened.buffer),
                         OSCORE_E_OPTION);
    }
}
END_TEST

/* Observe --------------------------------------------------------------------------------------------------------- */

static void observe(void)
{
    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 0);
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(reopen(), 0);
    ck_assert(opened.binding.observe);
    ck_assert(sealed.binding.observe);
}

static void notify(struct oscore_binding *binding, bool observe, struct sealed *out)
{
    coapmsg_init(&plain, COAPMSG_NON, COAPMSG_CONTENT);
    if (observe)
        coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 77);
    coapmsg_set_payload(&plain, "x", 1);
    seal_response(pair.server, binding, &plain, 0, out);
}

static int take(const struct sealed *notification)
{
    return open_response(pair.client, &sealed.binding, notification->datagram, notification->size, &opened);
}

START_TEST(notifications_are_ordered)
{
    struct sealed sent[4];
    struct oscore_binding server;
    uint32_t number;

    observe();
    server = opened.binding;
    for (size_t i = 0; i < array_size(sent); i++)
        notify(&server, true, &sent[i]);
    ck_assert_int_eq(take(&sent[1]), 0);
    ck_assert(coapmsg_get_uint(&opened.msg, COAPMSG_OPT_OBSERVE, &number));
    ck_assert_uint_eq(number, 1); /* the Partial IV */
    ck_assert_int_eq(take(&sent[1]), OSCORE_E_STALE);
    ck_assert_int_eq(take(&sent[0]), OSCORE_E_STALE);
    sent[3].datagram[sent[3].size - 1] ^= 1;
    ck_assert_int_eq(take(&sent[3]), OSCORE_E_DECRYPT); /* the observation goes on */
    ck_assert_int_eq(take(&sent[2]), 0);
    sent[3].datagram[sent[3].size - 1] ^= 1;
    ck_assert_int_eq(take(&sent[3]), 0);
    ck_assert_int_eq(take(&sent[2]), OSCORE_E_STALE);
}
END_TEST

/* The first response to an observation may have no number; it counts once, and before all that have one. */
START_TEST(first_notification_without_a_number)
{
    struct sealed first, next;
    struct oscore_binding server;

    observe();
    server = opened.binding;
    notify(&server, false, &first); /* as other servers send it; the engine's own notifications have a number */
    notify(&server, true, &next);
    ck_assert_int_eq(take(&first), 0);
    ck_assert_int_eq(take(&first), OSCORE_E_STALE);
    ck_assert_int_eq(take(&next), 0);
    ck_assert_int_eq(take(&first), OSCORE_E_STALE);
}
END_TEST

/* The number in Observe has 24 bits: the end of the Partial IV. */
START_TEST(notification_with_a_long_number)
{
    struct sealed sent;
    uint32_t number;

    observe();
    ck_assert(oscore_context_set_sequence(pair.server, UINT64_C(0x1234567890), OSCORE_SEQUENCE_END));
    notify(&opened.binding, true, &sent);
    ck_assert_int_eq(take(&sent), 0);
    ck_assert(coapmsg_get_uint(&opened.msg, COAPMSG_OPT_OBSERVE, &number));
    ck_assert_uint_eq(number, 0x567890);
}
END_TEST

/* Section 4.1.3.5.2: nobody asked for it. */
START_TEST(notification_to_a_plain_request)
{
    struct sealed sent;

    coapmsg_init(&plain, COAPMSG_CON, COAPMSG_GET);
    if (_i)
        coapmsg_add_uint(&plain, COAPMSG_OPT_OBSERVE, 1);
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_int_eq(reopen(), 0);
    ck_assert(!opened.binding.observe);
    notify(&opened.binding, true, &sent);
    ck_assert_int_eq(take(&sent), OSCORE_E_INNER);
    ck_assert(!sealed.binding.notified);
}
END_TEST

/* A buffer as long as the datagram is enough; a shorter one is refused, not overrun. */
START_TEST(short_buffers)
{
    uint8_t *buffer;
    struct oscore_window before = window_of(pair.server);
    struct oscore_option option;
    int r;

    send_request();
    ck_assert_int_eq(coapmsg_decode(&opened.outer, sealed.datagram, sealed.size), 0);
    ck_assert_int_eq(oscore_message_option(&opened.outer, &option), 0);
    for (size_t size = 0; size <= sealed.size; size++) {
        buffer = malloc(size + 1);
        r = oscore_unprotect_request(pair.server, &opened.outer, &option, &opened.binding, &opened.msg, buffer, size);
        ck_assert(r == (size < sealed.size ? r : 0) && (r == 0 || r == OSCORE_E_LIMIT));
        oscore_context_set_window(pair.server, &before);
        free(buffer);
    }
}
END_TEST

START_TEST(largest_message)
{
    static uint8_t payload[70000], buffer[sizeof payload + OSCORE_OVERHEAD], opening[sizeof buffer];
    struct oscore_binding binding;
    struct oscore_option option;
    struct coapmsg to, msg;

    for (size_t size = 65000; size < sizeof payload; size += 100) {
        int r;

        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_PUT);
        coapmsg_set_payload(&plain, payload, size);
        r = oscore_protect_request(pair.client, &plain, 0, &binding, &to, buffer, sizeof buffer);
        ck_assert_int_eq(r, size <= 65400 ? 0 : OSCORE_E_LIMIT);
        if (r)
            continue;
        ck_assert_int_eq(oscore_message_option(&to, &option), 0);
        ck_assert_int_eq(oscore_unprotect_request(pair.server, &to, &option, &binding, &msg, opening, sizeof opening),
                         0);
        ck_assert_uint_eq(msg.payload_size, size);
    }
    coapmsg_set_payload(&to, buffer, CRYPTO_TEXT_MAX + 9);
    ck_assert_int_eq(oscore_message_option(&to, &option), 0);
    oscore_context_set_window(pair.server, &(struct oscore_window){.known = true});
    ck_assert_int_eq(oscore_unprotect_request(pair.server, &to, &option, &binding, &msg, opening, sizeof opening),
                     OSCORE_E_DECRYPT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oscore_message");
    TCase *tc = tcase_create("message");

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, exchange_with_each_algorithm, 0, array_size(algorithms));
    tcase_add_test(tc, exchange_with_large_numbers);
    tcase_add_test(tc, kid_context_forms);
    tcase_add_test(tc, codes_that_are_refused);
    tcase_add_test(tc, numbers_at_their_limit);
    tcase_add_test(tc, server_without_numbers);
    tcase_add_test(tc, numbers_are_not_wasted);
    tcase_add_test(tc, response_to_another_request);
    tcase_add_test(tc, second_response_has_its_own_number);
    tcase_add_test(tc, unprotected_response);
    tcase_add_test(tc, response_with_a_kid);
    tcase_add_test(tc, request_with_half_an_option);
    tcase_add_test(tc, notifications_are_ordered);
    tcase_add_test(tc, first_notification_without_a_number);
    tcase_add_test(tc, notification_with_a_long_number);
    tcase_add_loop_test(tc, notification_to_a_plain_request, 0, 2);
    tcase_add_test(tc, short_buffers);
    tcase_add_test(tc, largest_message);
    return suite_run(suite);
}
