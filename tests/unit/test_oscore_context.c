#include "base/text.h"
#include "oscore/context.h"
#include "oscore_fixture.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* The linker sends free() through here (--wrap=free): what a freed context held must have been wiped before. */
static const void *watched;
static size_t watched_size;
static unsigned dirty, freed;

void __real_free(void *p);
void __wrap_free(void *p);

void __wrap_free(void *p)
{
    const uint8_t *bytes = p;

    if (p && p == watched) {
        freed++;
        for (size_t i = 0; i < watched_size; i++)
            dirty += bytes[i] != 0;
        watched = NULL;
    }
    __real_free(p);
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

static struct oscore_credentials credentials(void)
{
    return pair_credentials(OSCORE_AES_CCM_16_64_128, "c", "s");
}

/* Credentials ----------------------------------------------------------------------------------------------------- */

static void assert_refused(const struct oscore_credentials *bad)
{
    struct oscore_context *context = NULL;

    ck_assert_ptr_nonnull(oscore_credentials_check(bad));
    ck_assert_int_eq(oscore_context_new(&context, crypto, bad, NULL), OSCORE_E_OPTION);
    ck_assert_ptr_null(context);
}

START_TEST(credentials_have_limits)
{
    struct oscore_credentials good = credentials(), bad = good;

    ck_assert_ptr_null(oscore_credentials_check(&good));
    bad.algorithm = 2;
    assert_refused(&bad);
    for (unsigned size = 0; size <= UINT8_MAX; size++) {
        bad = good;
        bad.secret_size = (uint8_t)size;
        ck_assert_int_eq(oscore_credentials_check(&bad) == NULL, size >= 16 && size <= OSCORE_SECRET_MAX);
        bad = good;
        bad.salt_size = (uint8_t)size;
        ck_assert_int_eq(oscore_credentials_check(&bad) == NULL, size <= OSCORE_SALT_MAX);
        bad = good;
        bad.has_id_context = true;
        bad.id_context_size = (uint8_t)size;
        ck_assert_int_eq(oscore_credentials_check(&bad) == NULL, size <= OSCORE_ID_CONTEXT_MAX);
    }
    bad = good;
    bad.id_context_size = 1; /* without has_id_context */
    assert_refused(&bad);
}
END_TEST

/* Nonce length - 6 (section 3.3). */
START_TEST(ids_fit_the_nonce)
{
    static const struct {
        enum oscore_algorithm algorithm;
        uint8_t max;
    } cases[] = {
        {OSCORE_AES_CCM_16_64_128, 7},
        {OSCORE_AES_CCM_16_128_128, 7},
        {OSCORE_AES_GCM_128, 6},
        {OSCORE_CHACHA20_POLY1305, 6},
    };

    for (size_t i = 0; i < array_size(cases); i++)
        for (uint8_t size = 0; size <= 8; size++) {
            struct oscore_credentials c = pair_credentials(cases[i].algorithm, "", "s");

            c.sender_id_size = size;
            ck_assert_int_eq(oscore_credentials_check(&c) == NULL, size <= cases[i].max);
            c.sender_id_size = 0;
            c.recipient_id_size = size;
            ck_assert_int_eq(oscore_credentials_check(&c) == NULL, size > 0 && size <= cases[i].max);
        }
}
END_TEST

/* With the same id both ends would share one key and its nonces. */
START_TEST(ids_differ)
{
    struct oscore_credentials same = pair_credentials(OSCORE_AES_CCM_16_64_128, "x", "x");

    assert_refused(&same);
    same = pair_credentials(OSCORE_AES_CCM_16_64_128, "", "");
    assert_refused(&same);
}
END_TEST

START_TEST(no_id_context_is_not_an_empty_one)
{
    struct oscore_credentials c = credentials();
    struct oscore_context *none = pair_context(crypto, &c), *empty, *rederived;

    c.has_id_context = true;
    empty = pair_context(crypto, &c);
    ck_assert_mem_ne(none->sender.bytes, empty->sender.bytes, 16);
    ck_assert_int_eq(oscore_context_rederive(&rederived, none, NULL, 0, &c), 0);
    ck_assert_mem_eq(rederived->sender.bytes, empty->sender.bytes, 16);
    ck_assert_ptr_eq(oscore_context_owner(rederived), &c);
    ck_assert(!window_of(rederived).known);
    ck_assert_uint_eq(oscore_context_sequence_left(rederived), 0);
    oscore_context_free(rederived);
    ck_assert_int_eq(oscore_context_rederive(&rederived, none, "too long", OSCORE_ID_CONTEXT_MAX + 1, NULL),
                     OSCORE_E_OPTION);
    oscore_context_free(none);
    oscore_context_free(empty);
}
END_TEST

/* Sequence numbers ------------------------------------------------------------------------------------------------ */

START_TEST(sequence_numbers_never_go_back)
{
    struct oscore_credentials c = credentials();
    struct oscore_context *context;
    uint64_t number;

    ck_assert_int_eq(oscore_context_new(&context, crypto, &c, NULL), 0);
    ck_assert_int_eq(context_take_number(context, &number), OSCORE_E_RESERVE);
    ck_assert(oscore_context_set_sequence(context, 10, 12));
    ck_assert_uint_eq(oscore_context_sequence_left(context), 2);
    ck_assert_int_eq(context_take_number(context, &number), 0);
    ck_assert_uint_eq(number, 10);
    ck_assert(!oscore_context_set_sequence(context, 10, 100));
    ck_assert_uint_eq(oscore_context_sequence_left(context), 1);
    ck_assert_int_eq(context_take_number(context, &number), 0);
    ck_assert_uint_eq(number, 11);
    ck_assert_int_eq(context_take_number(context, &number), OSCORE_E_RESERVE);
    ck_assert(oscore_context_set_sequence(context, 12, 13));
    ck_assert_int_eq(context_take_number(context, &number), 0);
    ck_assert_uint_eq(number, 12);
    ck_assert(oscore_context_set_sequence(context, 20, 5)); /* a limit that was passed leaves nothing */
    ck_assert_uint_eq(oscore_context_sequence_left(context), 0);
    oscore_context_free(context);
}
END_TEST

START_TEST(sequence_numbers_end)
{
    struct oscore_credentials c = credentials();
    struct oscore_context *context = pair_context(crypto, &c);
    uint64_t number;

    ck_assert(oscore_context_set_sequence(context, OSCORE_SEQUENCE_END - 1, UINT64_MAX));
    ck_assert_uint_eq(oscore_context_sequence_left(context), 1);
    ck_assert_int_eq(context_take_number(context, &number), 0);
    ck_assert_uint_eq(number, OSCORE_SEQUENCE_END - 1);
    ck_assert_int_eq(context_take_number(context, &number), OSCORE_E_EXHAUSTED);
    ck_assert(oscore_context_set_sequence(context, UINT64_MAX, UINT64_MAX));
    ck_assert_int_eq(context_take_number(context, &number), OSCORE_E_EXHAUSTED);
    ck_assert_uint_eq(oscore_context_sequence(context), OSCORE_SEQUENCE_END);
    oscore_context_free(context);
}
END_TEST

START_TEST(partial_iv_is_the_shortest_form)
{
    static const struct {
        uint64_t number;
        const char *hex;
    } cases[] = {
        {0, "00"},
        {1, "01"},
        {0xff, "ff"},
        {0x100, "0100"},
        {0xffff, "ffff"},
        {0x10000, "010000"},
        {0xffffff, "ffffff"},
        {0x1000000, "01000000"},
        {UINT32_MAX, "ffffffff"},
        {UINT64_C(0x100000000), "0100000000"},
        {OSCORE_SEQUENCE_END - 1, "ffffffffff"},
    };
    uint8_t piv[OSCORE_PIV_MAX];
    char hex[2 * OSCORE_PIV_MAX + 1];

    for (size_t i = 0; i < array_size(cases); i++) {
        size_t size = context_put_piv(piv, cases[i].number);

        ck_assert_str_eq(text_hex(piv, size, hex), cases[i].hex);
        ck_assert_uint_eq(context_get_piv(piv, size), cases[i].number);
    }
}
END_TEST

/* The window ------------------------------------------------------------------------------------------------------ */

static bool accept(struct oscore_context *context, uint64_t number)
{
    bool fresh = context_is_fresh(context, number);

    if (fresh)
        context_accept(context, number);
    return fresh;
}

START_TEST(window_accepts_each_number_once)
{
    struct oscore_credentials c = credentials();
    struct oscore_context *context = pair_context(crypto, &c);

    ck_assert(accept(context, 0));
    ck_assert(!accept(context, 0));
    ck_assert(accept(context, 40));
    ck_assert(!accept(context, 8)); /* 32 behind */
    ck_assert(accept(context, 9));  /* the last place */
    ck_assert(!accept(context, 9));
    ck_assert(accept(context, 39));
    ck_assert(!accept(context, 39));
    ck_assert(!accept(context, 40));
    ck_assert_uint_eq(window_of(context).highest, 40); /* no older number moved it back */
    ck_assert_uint_eq(window_of(context).seen, UINT32_C(1) << 31 | 3);
    ck_assert(accept(context, 41));
    ck_assert(!accept(context, 9)); /* slid out */
    ck_assert(accept(context, OSCORE_SEQUENCE_END - 1));
    ck_assert_uint_eq(window_of(context).seen, 1);
    ck_assert(!accept(context, 41));
    oscore_context_free(context);
}
END_TEST

/* Against a plain record of all that was accepted. */
START_TEST(window_agrees_with_a_record)
{
    struct oscore_credentials c = credentials();
    struct oscore_context *context = pair_context(crypto, &c);
    static bool seen[4096];
    uint64_t highest = 0;
    uint32_t state = 1;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t number;
        bool expected;

        state = state * 1664525 + 1013904223;
        number = (highest + (state >> 16) % 80) % array_size(seen);
        number = number > 40 ? number - 40 : 0;
        expected = !seen[number] && (number > highest || highest - number < OSCORE_WINDOW);
        ck_assert_int_eq(accept(context, number), expected);
        if (expected)
            seen[number] = true;
        if (expected && number > highest)
            highest = number;
        ck_assert_uint_eq(window_of(context).highest, highest);
    }
    oscore_context_free(context);
}
END_TEST

START_TEST(synchronized_window_begins_at_its_number)
{
    struct oscore_credentials c = credentials();
    struct oscore_context *context = pair_context(crypto, &c);
    struct oscore_window unknown = {0};
    struct oscore_binding binding = {.piv = {100}, .piv_size = 1};

    oscore_context_set_window(context, &unknown);
    oscore_context_synchronize(context, &binding);
    ck_assert(window_of(context).known);
    ck_assert(!context_is_fresh(context, 100));
    ck_assert(!context_is_fresh(context, 99)); /* it may have been accepted before */
    ck_assert(context_is_fresh(context, 101));
    binding.piv[0] = 102; /* again, while the window is known: it moves as for any request */
    oscore_context_synchronize(context, &binding);
    ck_assert(context_is_fresh(context, 101));
    binding.piv[0] = 50;
    oscore_context_synchronize(context, &binding);
    ck_assert_uint_eq(window_of(context).highest, 102);
    oscore_context_free(context);
}
END_TEST

/* Secrets --------------------------------------------------------------------------------------------------------- */

START_TEST(freed_contexts_are_wiped)
{
    struct oscore_credentials c = credentials();
    struct oscore_context *context = pair_context(crypto, &c);

    dirty = freed = 0;
    watched = context;
    watched_size = sizeof *context;
    oscore_context_free(context);
    ck_assert_uint_eq(freed, 1);
    ck_assert_uint_eq(dirty, 0);
}
END_TEST

START_TEST(keys_are_wiped_with_their_cipher)
{
    struct oscore_pair pair;
    static const struct crypto_key zero;
    struct coapmsg plain;
    struct sealed sealed;

    pair_init(&pair, OSCORE_AES_CCM_16_64_128);
    plain_request(&plain);
    seal_request(pair.client, &plain, 0, &sealed);
    ck_assert_ptr_nonnull(pair.client->sender.slot);
    crypto_key_wipe(pair.crypto, &pair.client->sender);
    ck_assert_mem_eq(&pair.client->sender, &zero, sizeof zero);
    pair_free(&pair);
}
END_TEST

START_TEST(plaintext_does_not_stay_in_the_scratch)
{
    struct oscore_pair pair;
    struct coapmsg plain;
    struct sealed sealed;
    const uint8_t *scratch;
    char secret[512];

    memset(secret, 'S', sizeof secret);
    pair_init(&pair, OSCORE_AES_CCM_16_64_128);
    plain_request(&plain);
    coapmsg_set_payload(&plain, secret, sizeof secret);
    seal_request(pair.client, &plain, 0, &sealed);
    scratch = crypto_scratch(pair.crypto, 2048);
    for (size_t i = 0; i + 4 < 2048; i++)
        ck_assert_mem_ne(scratch + i, "SSSS", 4);
    pair_free(&pair);
}
END_TEST

/* The cache of keyed ciphers -------------------------------------------------------------------------------------- */

START_TEST(few_contexts_keep_their_ciphers)
{
    struct oscore_pair pair;
    struct coapmsg plain;
    struct sealed sealed;
    struct opened opened;
    const struct crypto_slot *sealing = NULL, *opening = NULL;

    pair_init(&pair, OSCORE_AES_CCM_16_64_128);
    plain_request(&plain);
    for (unsigned i = 0; i < 10; i++) {
        seal_request(pair.client, &plain, 0, &sealed);
        ck_assert_int_eq(open_request(pair.server, sealed.datagram, sealed.size, &opened), 0);
        if (i == 0) {
            sealing = pair.client->sender.slot;
            opening = pair.server->recipient.slot;
        }
        ck_assert_ptr_nonnull(sealing);
        ck_assert_ptr_eq(pair.client->sender.slot, sealing);
        ck_assert_ptr_eq(pair.server->recipient.slot, opening);
    }
    pair_free(&pair);
}
END_TEST

/* With two places for the ciphers of twelve contexts of all algorithms each message still goes through. */
START_TEST(many_contexts_share_few_ciphers)
{
    static const enum oscore_algorithm algorithms[] = {OSCORE_AES_CCM_16_64_128, OSCORE_AES_GCM_128,
                                                       OSCORE_CHACHA20_POLY1305, OSCORE_AES_CCM_16_128_128};
    struct oscore_crypto *small;
    struct oscore_context *clients[12], *servers[12];
    struct coapmsg plain;
    struct sealed sealed;
    struct opened opened;

    ck_assert_int_eq(oscore_crypto_new(&small, 1), -EINVAL);
    ck_assert_int_eq(oscore_crypto_new(&small, 2), 0);
    for (size_t i = 0; i < array_size(clients); i++) {
        struct oscore_credentials c = pair_credentials(algorithms[i % 4], "c", "s");
        struct oscore_credentials s = pair_credentials(algorithms[i % 4], "s", "c");

        c.secret[0] = s.secret[0] = (uint8_t)i;
        clients[i] = pair_context(small, &c);
        servers[i] = pair_context(small, &s);
    }
    plain_request(&plain);
    for (size_t i = 0; i < 5 * array_size(clients); i++) {
        size_t at = i * 7 % array_size(clients);

        seal_request(clients[at], &plain, 0, &sealed);
        ck_assert_int_eq(open_request(servers[at], sealed.datagram, sealed.size, &opened), 0);
        ck_assert(same_content(&opened.msg, &plain));
        ck_assert_int_ne(open_request(servers[(at + 1) % array_size(servers)], sealed.datagram, sealed.size, &opened),
                         0);
    }
    for (size_t i = 0; i < array_size(clients); i++) {
        oscore_context_free(clients[i]);
        oscore_context_free(servers[i]);
    }
    oscore_crypto_free(small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oscore_context");
    TCase *tc = tcase_create("context");

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, credentials_have_limits);
    tcase_add_test(tc, ids_fit_the_nonce);
    tcase_add_test(tc, ids_differ);
    tcase_add_test(tc, no_id_context_is_not_an_empty_one);
    tcase_add_test(tc, sequence_numbers_never_go_back);
    tcase_add_test(tc, sequence_numbers_end);
    tcase_add_test(tc, partial_iv_is_the_shortest_form);
    tcase_add_test(tc, window_accepts_each_number_once);
    tcase_add_test(tc, window_agrees_with_a_record);
    tcase_add_test(tc, synchronized_window_begins_at_its_number);
    tcase_add_test(tc, freed_contexts_are_wiped);
    tcase_add_test(tc, keys_are_wiped_with_their_cipher);
    tcase_add_test(tc, plaintext_does_not_stay_in_the_scratch);
    tcase_add_test(tc, few_contexts_keep_their_ciphers);
    tcase_add_test(tc, many_contexts_share_few_ciphers);
    return suite_run(suite);
}
