#include "base/cursor.h"
#include "suite.h"

#include <check.h>
#include <stdlib.h>

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};

START_TEST(numbers_in_both_orders)
{
    struct cursor c = cursor_init(bytes, sizeof bytes);

    ck_assert_uint_eq(cursor_u8(&c), 1);
    ck_assert_uint_eq(cursor_u16be(&c), 0x0203);
    ck_assert_uint_eq(cursor_u32be(&c), 0x04050607);
    ck_assert_uint_eq(cursor_left(&c), 1);
    c = cursor_init(bytes, sizeof bytes);
    ck_assert_uint_eq(cursor_u64be(&c), 0x0102030405060708);
    c = cursor_init(bytes, sizeof bytes);
    ck_assert_uint_eq(cursor_u16le(&c), 0x0201);
    ck_assert_uint_eq(cursor_u32le(&c), 0x06050403);
    c = cursor_init(bytes, sizeof bytes);
    ck_assert_uint_eq(cursor_u64le(&c), 0x0807060504030201);
    ck_assert_uint_eq(cursor_left(&c), 0);
    ck_assert(!cursor_failed(&c));
}
END_TEST

START_TEST(errors_are_sticky)
{
    struct cursor c = cursor_init(bytes, 3);

    ck_assert_uint_eq(cursor_u32be(&c), 0);
    ck_assert(cursor_failed(&c));
    ck_assert_uint_eq(cursor_left(&c), 0);
    ck_assert_uint_eq(cursor_u8(&c), 0); /* though three bytes were there */
    ck_assert_ptr_null(cursor_take(&c, 0));
    c = cursor_init(bytes, 3);
    cursor_fail(&c);
    ck_assert_uint_eq(cursor_u8(&c), 0);
}
END_TEST

START_TEST(take_does_not_wrap)
{
    struct cursor c = cursor_init(bytes, sizeof bytes);

    (void)cursor_u8(&c);
    ck_assert_ptr_null(cursor_take(&c, SIZE_MAX));
    ck_assert(cursor_failed(&c));
    c = cursor_init(bytes, sizeof bytes);
    ck_assert_ptr_eq(cursor_take(&c, sizeof bytes), bytes);
    ck_assert_ptr_nonnull(cursor_take(&c, 0));
    ck_assert_ptr_null(cursor_take(&c, 1));
}
END_TEST

START_TEST(nothing_at_all)
{
    struct cursor c = cursor_init(NULL, 0);

    ck_assert_uint_eq(cursor_left(&c), 0);
    ck_assert(!cursor_failed(&c));
    ck_assert_uint_eq(cursor_u8(&c), 0);
    ck_assert(cursor_failed(&c));
}
END_TEST

START_TEST(sub_is_bounded)
{
    struct cursor c = cursor_init(bytes, sizeof bytes), sub = cursor_sub(&c, 2);

    ck_assert_uint_eq(cursor_u16be(&sub), 0x0102);
    ck_assert_uint_eq(cursor_u8(&sub), 0);
    ck_assert(cursor_failed(&sub));
    ck_assert(!cursor_failed(&c));
    ck_assert_uint_eq(cursor_u8(&c), 3);
    sub = cursor_sub(&c, 6);
    ck_assert(cursor_failed(&sub));
    ck_assert(cursor_failed(&c));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tc = tcase_create("cursor");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, numbers_in_both_orders);
    tcase_add_test(tc, errors_are_sticky);
    tcase_add_test(tc, take_does_not_wrap);
    tcase_add_test(tc, nothing_at_all);
    tcase_add_test(tc, sub_is_bounded);
    return suite_run(suite);
}
