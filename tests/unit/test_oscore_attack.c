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
    coapmsg_add_text(&opened.outer, COAPMSG_OPT_URI_HOST, "outside");
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

    ck_assert_int_eq(open_plaintext(plaintext, sizeof plaintext - 2, 0), 0);
    ck_assert_uint_eq(opened.msg.option_count, COAPMSG_MAX_OPTIONS); /* one of them from outside */
    ck_assert_int_eq(open_plaintext(plaintext, sizeof plaintext - 1, 1), OSCORE_E_LIMIT);
    ck_assert_int_eq(open_plaintext(plaintext, sizeof plaintext, 2), OSCORE_E_LIMIT);
}
END_TEST

/* What was protected counts where somebody on the way says otherwise. */
START_TEST(inner_host_against_an_outer_one)
{
    const struct coapmsg_option *host;

    ck_assert_int_eq(open_plaintext(BYTES("\x01\x36inside"), 0), 0);
    host = coapmsg_find(&opened.msg, COAPMSG_OPT_URI_HOST);
    ck_assert_ptr_nonnull(host);
    ck_assert_uint_eq(host->length, 6);
    ck_assert_mem_eq(host->value, "inside", 6);
    ck_assert_ptr_null(coapmsg_find_next(&opened.msg, host));
    ck_assert_int_eq(open_plaintext(BYTES("\x01"), 1), 0);
    ck_assert_mem_eq(coapmsg_find(&opened.msg, COAPMSG_OPT_URI_HOST)->value, "outside", 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oscore_attack");
    TCase *tc = tcase_create("attack");

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, setup, teardown);
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
    tcase_add_test(tc, plaintexts_that_are_no_messages);
    tcase_add_test(tc, plaintext_with_too_many_options);
    tcase_add_test(tc, inner_host_against_an_outer_one);
    return suite_run(suite);
}
