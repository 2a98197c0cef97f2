#include "base/text.h"
#include "oscore/context.h"
#include "suite.h"

#include <string.h>

/* The figures of RFC 8613 Appendix C, in hexadecimal. */

#define SECRET "0102030405060708090a0b0c0d0e0f10"
#define SALT "9e7ca92223786340"
#define MESSAGE_MAX 256

struct figure_context {
    const char *salt, *sender_id, *recipient_id, *id_context; /* id_context NULL: none */
    const char *sender_key, *recipient_key, *common_iv, *sender_nonce, *recipient_nonce;
};

static const struct figure_context contexts[] = {
    /* C.1.1, C.1.2 */
    {SALT, "", "01", NULL, "f0910ed7295e6ad4b54fc793154302ff", "ffb14e093c94c9cac9471648b4f98710",
     "4622d4dd6d944168eefb54987c", "4622d4dd6d944168eefb54987c", "4722d4dd6d944169eefb54987c"},
    {SALT, "01", "", NULL, "ffb14e093c94c9cac9471648b4f98710", "f0910ed7295e6ad4b54fc793154302ff",
     "4622d4dd6d944168eefb54987c", "4722d4dd6d944169eefb54987c", "4622d4dd6d944168eefb54987c"},
    /* C.2.1, C.2.2 */
    {"", "00", "01", NULL, "321b26943253c7ffb6003b0b64d74041", "e57b5635815177cd679ab4bcec9d7dda",
     "be35ae297d2dace910c52e99f9", "bf35ae297d2dace910c52e99f9", "bf35ae297d2dace810c52e99f9"},
    {"", "01", "00", NULL, "e57b5635815177cd679ab4bcec9d7dda", "321b26943253c7ffb6003b0b64d74041",
     "be35ae297d2dace910c52e99f9", "bf35ae297d2dace810c52e99f9", "bf35ae297d2dace910c52e99f9"},
    /* C.3.1, C.3.2 */
    {SALT, "", "01", "37cbf3210017a2d3", "af2a1300a5e95788b356336eeecd2b92", "e39a0c7c77b43f03b4b39ab9a268699f",
     "2ca58fb85ff1b81c0b7181b85e", "2ca58fb85ff1b81c0b7181b85e", "2da58fb85ff1b81d0b7181b85e"},
    {SALT, "01", "", "37cbf3210017a2d3", "e39a0c7c77b43f03b4b39ab9a268699f", "af2a1300a5e95788b356336eeecd2b92",
     "2ca58fb85ff1b81c0b7181b85e", "2da58fb85ff1b81d0b7181b85e", "2ca58fb85ff1b81c0b7181b85e"},
};
#define CONTEXTS (sizeof contexts / sizeof contexts[0])

static size_t unhex(const char *text, uint8_t *out)
{
    size_t size = strlen(text) / 2;

    ck_assert(text_unhex(text, out, size));
    return size;
}

static void assert_hex(const void *data, size_t size, const char *expected)
{
    char text[2 * MESSAGE_MAX + 1];

    ck_assert_uint_le(size, MESSAGE_MAX);
    ck_assert_str_eq(text_hex(data, size, text), expected);
}

static struct oscore_crypto *crypto;

static void setup(void)
{
    ck_assert_int_eq(oscore_crypto_new(&crypto, 4), 0);
}

static void teardown(void)
{
    crypto = oscore_crypto_free(crypto);
}

static struct oscore_context *make_context(size_t figure, uint64_t next)
{
    const struct figure_context *f = &contexts[figure];
    struct oscore_credentials credentials = {.algorithm = OSCORE_AES_CCM_16_64_128};
    struct oscore_window window = {.known = true};
    struct oscore_context *context;

    credentials.secret_size = (uint8_t)unhex(SECRET, credentials.secret);
    credentials.salt_size = (uint8_t)unhex(f->salt, credentials.salt);
    credentials.sender_id_size = (uint8_t)unhex(f->sender_id, credentials.sender_id);
    credentials.recipient_id_size = (uint8_t)unhex(f->recipient_id, credentials.recipient_id);
    if (f->id_context) {
        credentials.has_id_context = true;
        credentials.id_context_size = (uint8_t)unhex(f->id_context, credentials.id_context);
    }
    ck_assert_int_eq(oscore_context_new(&context, crypto, &credentials, NULL), 0);
    ck_assert(oscore_context_set_sequence(context, next, OSCORE_SEQUENCE_END));
    oscore_context_set_window(context, &window);
    return context;
}

/* Section 3.2.1, and the nonces for Partial IV 0. */
START_TEST(key_derivation)
{
    const struct figure_context *f = &contexts[_i];
    struct oscore_context *context = make_context((size_t)_i, 0);
    const struct oscore_credentials *credentials = oscore_context_credentials(context);
    static const uint8_t zero[1];
    uint8_t nonce[CRYPTO_NONCE_MAX];

    assert_hex(context->sender.bytes, 16, f->sender_key);
    assert_hex(context->recipient.bytes, 16, f->recipient_key);
    assert_hex(context->common_iv, 13, f->common_iv);
    context_nonce(context, credentials->sender_id, credentials->sender_id_size, zero, 1, nonce);
    assert_hex(nonce, 13, f->sender_nonce);
    context_nonce(context, credentials->recipient_id, credentials->recipient_id_size, zero, 1, nonce);
    assert_hex(nonce, 13, f->recipient_nonce);
    oscore_context_free(context);
}
END_TEST

/* C.4, C.5 and C.6: a client protects, its server unprotects. */
static const struct figure_request {
    size_t client; /* index of its context; the server's is the next */
    unsigned flags;
    const char *plain, *option, *aad, *protected;
} requests[] = {
    {0, 0, "44015d1f00003974396c6f63616c686f737483747631", "0914", "8368456e63727970743040488501810a40411440",
     "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e"},
    {2, 0, "440171c30000b932396c6f63616c686f737483747631", "091400", "8368456e63727970743040498501810a4100411440",
     "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0"},
    {4, OSCORE_WITH_KID_CONTEXT, "44012f8eef9bbf7a396c6f63616c686f737483747631", "19140837cbf3210017a2d3",
     "8368456e63727970743040488501810a40411440",
     "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3"},
};
#define SEQUENCE 20

static void decode(struct coapmsg *msg, const char *text, uint8_t bytes[MESSAGE_MAX])
{
    ck_assert_int_eq(coapmsg_decode(msg, bytes, unhex(text, bytes)), 0);
}

static void assert_message(const struct coapmsg *msg, const char *expected)
{
    uint8_t bytes[MESSAGE_MAX];
    size_t size = coapmsg_encode(msg, bytes, sizeof bytes);

    ck_assert_uint_gt(size, 0);
    assert_hex(bytes, size, expected);
}

START_TEST(request_of_a_client)
{
    const struct figure_request *f = &requests[_i];
    struct oscore_context *client = make_context(f->client, SEQUENCE);
    uint8_t bytes[MESSAGE_MAX], buffer[MESSAGE_MAX], aad[CONTEXT_AAD_MAX];
    struct oscore_binding binding;
    struct coapmsg plain, out;
    const struct coapmsg_option *option;

    decode(&plain, f->plain, bytes);
    ck_assert_int_eq(oscore_protect_request(client, &plain, f->flags, &binding, &out, buffer, sizeof buffer), 0);
    assert_message(&out, f->protected);
    option = coapmsg_find(&out, COAPMSG_OPT_OSCORE);
    assert_hex(option->value, option->length, f->option);
    assert_hex(aad, context_aad(client, &binding, aad), f->aad);
    ck_assert_uint_eq(oscore_context_sequence(client), SEQUENCE + 1);
    oscore_context_free(client);
}
END_TEST

START_TEST(request_at_a_server)
{
    const struct figure_request *f = &requests[_i];
    struct oscore_context *server = make_context(f->client + 1, 0);
    uint8_t bytes[MESSAGE_MAX], buffer[MESSAGE_MAX];
    struct oscore_binding binding;
    struct oscore_option option;
    struct oscore_window window;
    struct coapmsg from, out;

    decode(&from, f->protected, bytes);
    ck_assert_int_eq(oscore_message_option(&from, &option), 0);
    ck_assert_int_eq(oscore_unprotect_request(server, &from, &option, &binding, &out, buffer, sizeof buffer), 0);
    assert_message(&out, f->plain);
    oscore_context_get_window(server, &window);
    ck_assert_uint_eq(window.highest, SEQUENCE);
    ck_assert_uint_eq(window.seen, 1);
    oscore_context_free(server);
}
END_TEST

/* C.7 and C.8: the server of C.4 answers, without and with a Partial IV of its own; its client reads it. */
static const struct figure_response {
    unsigned flags;
    const char *protected;
} responses[] = {
    {0, "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106"},
    {OSCORE_WITH_PIV, "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"},
};
#define RESPONSE "64455d1f00003974ff48656c6c6f20576f726c6421"

START_TEST(response_in_both_roles)
{
    const struct figure_response *f = &responses[_i];
    struct oscore_context *client = make_context(0, SEQUENCE), *server = make_context(1, 0);
    uint8_t bytes[MESSAGE_MAX], buffer[MESSAGE_MAX];
    struct oscore_binding at_client = {.piv = {SEQUENCE}, .piv_size = 1}, at_server = at_client;
    struct coapmsg plain, out;

    decode(&plain, RESPONSE, bytes);
    ck_assert_int_eq(oscore_protect_response(server, &at_server, &plain, f->flags, &out, buffer, sizeof buffer), 0);
    assert_message(&out, f->protected);
    decode(&plain, f->protected, bytes);
    ck_assert_int_eq(oscore_unprotect_response(client, &at_client, &plain, &out, buffer, sizeof buffer), 0);
    assert_message(&out, RESPONSE);
    oscore_context_free(client);
    oscore_context_free(server);
}
END_TEST

/* Section 5.4: the example of an AAD. */
START_TEST(aad_example)
{
    struct oscore_context *context = make_context(2, 0);
    struct oscore_binding binding = {.kid = {0}, .kid_size = 1, .piv = {0x25}, .piv_size = 1};
    uint8_t aad[CONTEXT_AAD_MAX];

    assert_hex(aad, context_aad(context, &binding, aad), "8368456e63727970743040498501810a4100412540");
    oscore_context_free(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oscore_vectors");
    TCase *tc = tcase_create("appendix_c");

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, key_derivation, 0, CONTEXTS);
    tcase_add_loop_test(tc, request_of_a_client, 0, 3);
    tcase_add_loop_test(tc, request_at_a_server, 0, 3);
    tcase_add_loop_test(tc, response_in_both_roles, 0, 2);
    tcase_add_test(tc, aad_example);
    return suite_run(suite);
}
