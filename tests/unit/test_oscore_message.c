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

static void assert_window(const struct oscore_context *context, const struct oscore_window *before)
{
    struct oscore_window now = window_of(context);

    ck_assert_int_eq(now.known, before->known);
    ck_assert_uint_eq(now.highest, before->highest);
    ck_assert_uint_eq(now.seen, before->seen);
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

/* Tampering ------------------------------------------------------------------------------------------------------- */

/* The bytes that OSCORE does not protect: the header and the token, which the message layer looks after. */
#define UNPROTECTED_BYTES (4 + 4)

/* A message of which one bit was changed is refused and changes nothing; or the bit was one of the header, and then
 * what was protected comes out as it was. */
START_TEST(one_bit_anywhere_in_a_request)
{
    struct oscore_window before = window_of(pair.server);

    send_request();
    for (size_t bit = 0; bit < 8 * sealed.size; bit++) {
        int r;

        sealed.datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        r = reopen();
        sealed.datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (r == 0) {
            ck_assert_uint_lt(bit / 8, UNPROTECTED_BYTES);
            ck_assert(same_content(&opened.msg, &plain));
            oscore_context_set_window(pair.server, &before);
        }
        assert_window(pair.server, &before);
    }
    ck_assert_int_eq(reopen(), 0);
}
END_TEST

START_TEST(one_bit_anywhere_in_a_response)
{
    struct oscore_binding kept;
    struct sealed answer;

    send_request();
    ck_assert_int_eq(reopen(), 0);
    plain_response(&plain);
    seal_response(pair.server, &opened.binding, &plain, _i ? OSCORE_WITH_PIV : 0, &answer);
    kept = sealed.binding;
    for (size_t bit = 0; bit < 8 * answer.size; bit++) {
        struct oscore_binding binding = kept;
        int r;

        answer.datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        r = open_response(pair.client, &binding, answer.datagram, answer.size, &opened);
        answer.datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (r == 0) {
            ck_assert_uint_lt(bit / 8, UNPROTECTED_BYTES);
            ck_assert(same_content(&opened.msg, &plain));
        } else {
            ck_assert_mem_eq(&binding, &kept, sizeof kept);
        }
    }
    ck_assert_int_eq(open_response(pair.client, &kept, answer.datagram, answer.size, &opened), 0);
}
END_TEST

START_TEST(truncated_anywhere)
{
    struct oscore_window before = window_of(pair.server);

    send_request();
    for (size_t size = 0; size < sealed.size; size++) {
        ck_assert_int_ne(open_request(pair.server, sealed.datagram, size, &opened), 0);
        assert_window(pair.server, &before);
    }
    for (size_t more = 1; more < 32; more++) {
        ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size + more, &opened), OSCORE_E_DECRYPT);
        assert_window(pair.server, &before);
    }
    ck_assert_int_eq(reopen(), 0);
}
END_TEST

/* Each number of ciphertext bytes up to and beyond the tag, for all algorithms. */
START_TEST(short_ciphertexts)
{
    static const uint8_t bytes[CRYPTO_TAG_MAX + 8];
    struct oscore_pair p;

    pair_init(&p, algorithms[_i]);
    for (size_t size = 1; size <= sizeof bytes; size++) {
        struct oscore_option option = {.piv = bytes, .piv_size = 1, .kid = (const uint8_t *)"c", .kid_size = 1};

        coapmsg_init(&plain, COAPMSG_CON, COAPMSG_POST);
        coapmsg_set_payload(&plain, bytes, size);
        ck_assert_int_eq(oscore_unprotect_request(p.server, &plain, &option, &opened.binding, &opened.msg,
                                                  opened.buffer, sizeof opened.buffer),
                         OSCORE_E_DECRYPT);
    }
    pair_free(&p);
}
END_TEST

START_TEST(of_another_context)
{
    struct oscore_credentials c = pair_credentials(OSCORE_AES_CCM_16_64_128, "s", "c");
    struct oscore_context *other;

    c.secret[0]++;
    other = pair_context(pair.crypto, &c);
    send_request();
    ck_assert_int_eq(open_request(other, sealed.datagram, sealed.size, &opened), OSCORE_E_DECRYPT);
    ck_assert_uint_eq(window_of(other).seen, 0);
    ck_assert_int_eq(open_request(pair.client, sealed.datagram, sealed.size, &opened),
                     OSCORE_E_CONTEXT); /* reflected */
    oscore_context_free(other);
}
END_TEST

/* Replay ---------------------------------------------------------------------------------------------------------- */

START_TEST(replayed_request)
{
    struct oscore_window after;

    send_request();
    ck_assert_int_eq(reopen(), 0);
    after = window_of(pair.server);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(reopen(), OSCORE_E_REPLAY);
    assert_window(pair.server, &after);
}
END_TEST

/* Forty requests arrive with every eighth late: within the window once, beyond it never; nothing opens twice. */
START_TEST(out_of_order_requests)
{
    static struct sealed sent[40];
    struct oscore_window after;

    plain_request(&plain);
    for (size_t i = 0; i < array_size(sent); i++)
        seal_request(pair.client, &plain, 0, &sent[i]);
    for (size_t i = 0; i < array_size(sent); i++)
        if (i % 8)
            ck_assert_int_eq(open_request(pair.server, sent[i].datagram, sent[i].size, &opened), 0);
    ck_assert_uint_eq(window_of(pair.server).highest, 39);
    for (size_t i = 0; i < array_size(sent); i += 8)
        ck_assert_int_eq(open_request(pair.server, sent[i].datagram, sent[i].size, &opened),
                         39 - i < OSCORE_WINDOW ? 0 : OSCORE_E_REPLAY);
    after = window_of(pair.server);
    ck_assert_uint_eq(after.highest, 39); /* the late ones did not move it back */
    for (size_t i = 0; i < array_size(sent); i++)
        ck_assert_int_eq(open_request(pair.server, sent[i].datagram, sent[i].size, &opened), OSCORE_E_REPLAY);
    assert_window(pair.server, &after);
}
END_TEST

/* A forged number far ahead must not close the window for the honest sender. */
START_TEST(forged_number_moves_nothing)
{
    static const uint8_t far[] = {0xff, 0xff, 0xff, 0xff, 0xff};
    struct oscore_option option = {.piv = far, .piv_size = 5, .kid = (const uint8_t *)"c", .kid_size = 1};

    send_request();
    ck_assert_int_eq(coapmsg_decode(&opened.outer, sealed.datagram, sealed.size), 0);
    ck_assert_int_eq(oscore_unprotect_request(pair.server, &opened.outer, &option, &opened.binding, &opened.msg,
                                              opened.buffer, sizeof opened.buffer),
                     OSCORE_E_DECRYPT);
    ck_assert_int_eq(reopen(), 0);
}
END_TEST

/* Appendix B.1.2: after a restart a request is authentic but not known to be fresh; replayed ones stay out. */
START_TEST(restarted_server)
{
    struct oscore_window unknown = {0};
    struct sealed old, answer;
    struct opened answered;
    struct oscore_option option;

    send_request();
    ck_assert_int_eq(reopen(), 0);
    old = sealed;
    oscore_context_set_window(pair.server, &unknown);
    ck_assert_int_eq(open_request(pair.server, old.datagram, old.size, &opened), OSCORE_UNSYNCHRONIZED);
    ck_assert(same_content(&opened.msg, &plain));
    assert_window(pair.server, &unknown);
    /* its nonce may have protected a response before the restart: the challenge has a number of its own */
    plain_response(&plain);
    seal_response(pair.server, &opened.binding, &plain, 0, &answer);
    ck_assert_int_eq(open_response(pair.client, &old.binding, answer.datagram, answer.size, &answered), 0);
    ck_assert_int_eq(oscore_message_option(&answered.outer, &option), 0);
    ck_assert_uint_eq(option.piv_size, 1);
    send_request(); /* with the Echo */
    ck_assert_int_eq(reopen(), OSCORE_UNSYNCHRONIZED);
    oscore_context_synchronize(pair.server, &opened.binding);
    ck_assert_int_eq(reopen(), OSCORE_E_REPLAY);
    ck_assert_int_eq(open_request(pair.server, old.datagram, old.size, &opened), OSCORE_E_REPLAY);
    send_request();
    ck_assert_int_eq(reopen(), 0);
}
END_TEST

/* A message that is not authentic is not worth a challenge. */
START_TEST(forged_request_after_a_restart)
{
    struct oscore_window unknown = {0};

    oscore_context_set_window(pair.server, &unknown);
    send_request();
    sealed.datagram[sealed.size - 1] ^= 1;
    ck_assert_int_eq(reopen(), OSCORE_E_DECRYPT);
    assert_window(pair.server, &unknown);
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

/* What was protected ---------------------------------------------------------------------------------------------- */

/* A request with an authentic plaintext of any bytes. */
static int open_plaintext(const void *plaintext, size_t size, uint8_t number)
{
    struct oscore_binding binding = {.kid = "c", .kid_size = 1, .piv = {number}, .piv_size = 1};
    struct oscore_option option = {.piv = binding.piv, .piv_size = 1, .kid = binding.kid, .kid_size = 1};
    uint8_t nonce[CRYPTO_NONCE_MAX], aad[CONTEXT_AAD_MAX], ciphertext[256];
    struct crypto_text text = {.aead = pair.client->aead,
                               .nonce = nonce,
                               .aad = aad,
                               .aad_size = context_aad(pair.client, &binding, aad),
                               .in = plaintext,
                               .in_size = size};

    context_nonce(pair.client, binding.kid, 1, binding.piv, 1, nonce);
    ck_assert(crypto_seal(pair.crypto, &pair.client->sender, &text, ciphertext));
    coapmsg_init(&opened.outer, COAPMSG_CON, COAPMSG_POST);
    coapmsg_set_payload(&opened.outer, ciphertext, size + pair.client->aead->tag_size);
    return oscore_unprotect_request(pair.server, &opened.outer, &option, &opened.binding, &opened.msg, opened.buffer,
                                    sizeof opened.buffer);
}

#define BYTES(text) (text), sizeof(text) - 1

START_TEST(plaintexts_that_are_no_messages)
{
    static const struct {
        const char *bytes;
        size_t size;
        int result;
    } cases[] = {
        {BYTES("\x01"), 0},
        {BYTES("\x01\xb3tv1"), 0},
        {BYTES("\x00"), OSCORE_E_INNER},                     /* no code */
        {BYTES("\x00\xb3tv1"), OSCORE_E_INNER},              /* the same with an option */
        {BYTES("\x45"), OSCORE_E_INNER},                     /* a response */
        {BYTES("\x20"), OSCORE_E_INNER},                     /* class 1 */
        {BYTES("\xe1"), OSCORE_E_INNER},                     /* a signal of CoAP over TCP */
        {BYTES("\x01\xff"), OSCORE_E_INNER},                 /* a marker without a payload */
        {BYTES("\x01\xb4tv1"), OSCORE_E_INNER},              /* an option that does not end */
        {BYTES("\x01\xf0"), OSCORE_E_INNER},                 /* the reserved delta */
        {BYTES("\x01\x92\x09\x14\xffmore"), OSCORE_E_INNER}, /* an OSCORE option */
        {BYTES("\x01\x90"), OSCORE_E_INNER},                 /* an empty one */
    };
    for (uint8_t i = 0; i < array_size(cases); i++) {
        ck_assert_int_eq(open_plaintext(cases[i].bytes, cases[i].size, i), cases[i].result);
        ck_assert_uint_eq(window_of(pair.server).highest, i); /* it was authentic: its number is used up */
    }
}
END_TEST

START_TEST(plaintext_with_too_many_options)
{
    uint8_t plaintext[1 + COAPMSG_MAX_OPTIONS + 1] = {COAPMSG_GET, 0xb0};

    ck_assert_int_eq(open_plaintext(plaintext, sizeof plaintext - 1, 0), 0);
    ck_assert_uint_eq(opened.msg.option_count, COAPMSG_MAX_OPTIONS);
    ck_assert_int_eq(open_plaintext(plaintext, sizeof plaintext, 1), OSCORE_E_LIMIT);
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
    tcase_add_test(tc, one_bit_anywhere_in_a_request);
    tcase_add_loop_test(tc, one_bit_anywhere_in_a_response, 0, 2);
    tcase_add_test(tc, truncated_anywhere);
    tcase_add_loop_test(tc, short_ciphertexts, 0, array_size(algorithms));
    tcase_add_test(tc, of_another_context);
    tcase_add_test(tc, replayed_request);
    tcase_add_test(tc, out_of_order_requests);
    tcase_add_test(tc, forged_number_moves_nothing);
    tcase_add_test(tc, restarted_server);
    tcase_add_test(tc, forged_request_after_a_restart);
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
    tcase_add_test(tc, plaintexts_that_are_no_messages);
    tcase_add_test(tc, plaintext_with_too_many_options);
    tcase_add_test(tc, short_buffers);
    tcase_add_test(tc, largest_message);
    return suite_run(suite);
}
