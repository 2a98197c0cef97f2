#include "oscore_fixture.h"
#include "suite.h"

#include <string.h>

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static void assert_bytes(const uint8_t *bytes, size_t size, const char *expected)
{
    if (!expected) {
        ck_assert_ptr_null(bytes);
        return;
    }
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_mem_eq(bytes, expected, size);
}

/* RFC 8613 section 6.3, and forms that it has no example of. */
static const struct example {
    const uint8_t *value;
    size_t size;
    const char *piv, *kid_context, *kid; /* NULL: absent */
} examples[] = {
    {BYTES("\x09\x05\x25"), "\x05", NULL, "\x25"},
    {BYTES("\x19\x05\x05\x44\x61\x6c\x65\x6b"), "\x05", "Dalek", ""},
    {BYTES(""), NULL, NULL, NULL},
    {BYTES("\x01\x07"), "\x07", NULL, NULL},
    {BYTES("\x09\x05"), "\x05", NULL, ""},
    {BYTES("\x0d\x01\x02\x03\x04\x05zyx"), "\x01\x02\x03\x04\x05", NULL, "zyx"},
    {BYTES("\x10\x00"), NULL, "", NULL},
    {BYTES("\x10\x02hi"), NULL, "hi", NULL},
    {BYTES("\x08"), NULL, NULL, ""},
    {BYTES("\x18\x01ikid-of-9-bytes"), NULL, "i", "kid-of-9-bytes"},
};

START_TEST(examples_decode_and_encode)
{
    const struct example *e = &examples[_i];
    struct oscore_option option;
    uint8_t out[OSCORE_OPTION_MAX];

    ck_assert_int_eq(oscore_option_decode(&option, e->value, e->size), 0);
    assert_bytes(option.piv, option.piv_size, e->piv);
    assert_bytes(option.kid_context, option.kid_context_size, e->kid_context);
    assert_bytes(option.kid, option.kid_size, e->kid);
    ck_assert_uint_eq(oscore_option_encode(&option, out), e->size);
    ck_assert_mem_eq(out, e->value, e->size);
}
END_TEST

START_TEST(zero_partial_iv_is_one_byte)
{
    struct oscore_option option;

    ck_assert_int_eq(oscore_option_decode(&option, "\x09\x00", 2), 0);
    ck_assert_uint_eq(option.piv_size, 1);
    ck_assert_uint_eq(option.piv[0], 0);
    ck_assert_ptr_nonnull(option.kid);
    ck_assert_uint_eq(option.kid_size, 0);
}
END_TEST

/* Each flag byte that is not 000hknnn with n up to 5, with as many bytes after it as one may want. */
START_TEST(reserved_flags_are_refused)
{
    uint8_t value[16];
    struct oscore_option option;

    for (unsigned flags = 0; flags < 256; flags++) {
        bool good = flags != 0 && flags < 0x20 && (flags & 7) <= 5;

        for (size_t size = 1; size <= sizeof value; size++) {
            memset(value, 1, sizeof value);
            value[0] = (uint8_t)flags;
            if (!good)
                ck_assert_int_eq(oscore_option_decode(&option, value, size), OSCORE_E_OPTION);
        }
    }
}
END_TEST

/* What the flags promise has to be there, and without a kid nothing may follow. */
START_TEST(every_length_is_checked)
{
    uint8_t value[32];
    struct oscore_option option;

    for (uint8_t flags = 1; flags < 0x20; flags++) {
        size_t n = flags & 7, context = flags & 0x10 ? 1 + 3 : 0, least = 1 + n + context;

        if (n > 5)
            continue;
        memset(value, 0x77, sizeof value);
        value[0] = flags;
        value[1 + n] = flags & 0x10 ? 3 : 0x77;
        for (size_t size = 1; size <= sizeof value; size++) {
            bool good = flags & 8 ? size >= least : size == least;

            ck_assert_int_eq(oscore_option_decode(&option, value, size), good ? 0 : OSCORE_E_OPTION);
        }
    }
}
END_TEST

START_TEST(other_malformed_values)
{
    uint8_t value[256] = {0x08};
    struct oscore_option option;

    ck_assert_int_eq(oscore_option_decode(&option, value, 255), 0);
    ck_assert_int_eq(oscore_option_decode(&option, value, 256), OSCORE_E_OPTION);
    ck_assert_int_eq(oscore_option_decode(&option, "", 1), OSCORE_E_OPTION);                 /* flags 0 written out */
    ck_assert_int_eq(oscore_option_decode(&option, "\x02\x00\x01", 3), OSCORE_E_OPTION);     /* a leading zero */
    ck_assert_int_eq(oscore_option_decode(&option, "\x02\x00\x00", 3), OSCORE_E_OPTION);     /* a long zero */
    ck_assert_int_eq(oscore_option_decode(&option, "\x10\xff\x01", 3), OSCORE_E_OPTION);     /* a long kid context */
    ck_assert_int_eq(oscore_option_decode(&option, "\x19\x05\x44\x61", 4), OSCORE_E_OPTION); /* the same */
}
END_TEST

/* The option of a message: absent, repeated, without a payload. */
START_TEST(option_of_a_message)
{
    struct coapmsg msg;
    struct oscore_option option;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_POST);
    coapmsg_set_payload(&msg, "ciphertext", 10);
    ck_assert_int_eq(oscore_message_option(&msg, &option), OSCORE_E_UNPROTECTED);
    coapmsg_add(&msg, COAPMSG_OPT_OSCORE, "\x09\x14", 2);
    ck_assert_int_eq(oscore_message_option(&msg, &option), 0);
    coapmsg_set_payload(&msg, NULL, 0);
    ck_assert_int_eq(oscore_message_option(&msg, &option), OSCORE_E_OPTION);
    coapmsg_set_payload(&msg, "ciphertext", 10);
    coapmsg_add(&msg, COAPMSG_OPT_OSCORE, "\x09\x14", 2);
    ck_assert_int_eq(oscore_message_option(&msg, &option), OSCORE_E_OPTION);
}
END_TEST

/* Section 8.2: what a server answers, without protection. */
START_TEST(error_codes_and_texts)
{
    ck_assert_uint_eq(oscore_error_code(OSCORE_E_OPTION), COAPMSG_BAD_OPTION);
    ck_assert_uint_eq(oscore_error_code(OSCORE_E_CONTEXT), COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(oscore_error_code(OSCORE_E_REPLAY), COAPMSG_UNAUTHORIZED);
    ck_assert_uint_eq(oscore_error_code(OSCORE_E_DECRYPT), COAPMSG_BAD_REQUEST);
    ck_assert_uint_eq(oscore_error_code(OSCORE_E_INNER), COAPMSG_BAD_REQUEST);
    for (int error = OSCORE_UNSYNCHRONIZED; error <= OSCORE_E_CRYPTO; error++)
        ck_assert_uint_eq(oscore_error_code(error), 0);
    for (int error = -1; error <= OSCORE_E_CRYPTO + 1; error++)
        ck_assert_uint_gt(strlen(oscore_error_text(error)), 0);
    ck_assert_uint_eq(oscore_error_code(-1), 0);
    ck_assert_uint_eq(oscore_error_code(1000), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oscore_option");
    TCase *tc = tcase_create("option");

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, examples_decode_and_encode, 0, array_size(examples));
    tcase_add_test(tc, zero_partial_iv_is_one_byte);
    tcase_add_test(tc, reserved_flags_are_refused);
    tcase_add_test(tc, every_length_is_checked);
    tcase_add_test(tc, other_malformed_values);
    tcase_add_test(tc, option_of_a_message);
    tcase_add_test(tc, error_codes_and_texts);
    return suite_run(suite);
}
