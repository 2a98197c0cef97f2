#include "base/buffer.h"
#include "suite.h"

#include <check.h>
#include <string.h>

START_TEST(grows_and_stays_text)
{
    cleanup_buffer struct buffer b = {0};

    ck_assert_str_eq(buffer_text(&b), "");
    for (int i = 0; i < 1000; i++) {
        buffer_append_text(&b, "ab");
        buffer_append_u8(&b, 'c');
        ck_assert_uint_eq(b.data[b.size], 0);
    }
    ck_assert_uint_eq(b.size, 3000);
    ck_assert_uint_eq(strlen(buffer_text(&b)), 3000);
    ck_assert_str_eq(buffer_text(&b) + 2997, "abc");
    buffer_append(&b, NULL, 0);
    ck_assert_uint_eq(b.size, 3000);
}
END_TEST

START_TEST(printf_is_exact)
{
    cleanup_buffer struct buffer b = {0};
    char wide[300];

    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = 0;
    buffer_printf(&b, "%d-%s", 7, wide);
    ck_assert_uint_eq(b.size, 301);
    ck_assert_mem_eq(b.data, "7-x", 3);
    buffer_printf(&b, "%s", "");
    ck_assert_uint_eq(b.size, 301);
}
END_TEST

START_TEST(limit_is_sticky)
{
    cleanup_buffer struct buffer b = buffer_init(4);
    size_t size;

    buffer_append(&b, "abcd", 4);
    ck_assert(!b.failed);
    buffer_append_u8(&b, 'e');
    ck_assert(b.failed);
    ck_assert_str_eq(buffer_text(&b), "abcd");
    ck_assert_ptr_null(buffer_reserve(&b, 0));
    ck_assert_ptr_null(buffer_steal(&b, &size));
    ck_assert(!b.failed); /* empty, and of use again */
    ck_assert_uint_eq(b.limit, 4);
    buffer_printf(&b, "%s", "12345");
    ck_assert(b.failed);
    ck_assert_uint_eq(b.size, 0);
}
END_TEST

START_TEST(sizes_do_not_wrap)
{
    cleanup_buffer struct buffer b = {0};

    buffer_append_u8(&b, 'a');
    ck_assert_ptr_null(buffer_reserve(&b, SIZE_MAX));
    ck_assert(b.failed);
    ck_assert_str_eq(buffer_text(&b), "a");
}
END_TEST

START_TEST(reserve_leaves_the_size)
{
    cleanup_buffer struct buffer b = {0};
    uint8_t *room = buffer_reserve(&b, 100);

    ck_assert_ptr_nonnull(room);
    memset(room, 1, 100);
    ck_assert_uint_eq(b.size, 0);
    buffer_append(&b, "ab", 2);
    ck_assert_str_eq(buffer_text(&b), "ab");
}
END_TEST

START_TEST(steal_hands_over)
{
    cleanup_buffer struct buffer b = {0};
    cleanup_free uint8_t *content = NULL, *empty = NULL;
    size_t size = 99;

    buffer_append_text(&b, "abc");
    content = buffer_steal(&b, &size);
    ck_assert_uint_eq(size, 3);
    ck_assert_str_eq((char *)content, "abc");
    ck_assert_uint_eq(b.size, 0);
    ck_assert_ptr_null(b.data);
    empty = buffer_steal(&b, &size);
    ck_assert_uint_eq(size, 0);
    ck_assert_ptr_nonnull(empty);
    ck_assert_uint_eq(empty[0], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffer");
    TCase *tc = tcase_create("buffer");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, grows_and_stays_text);
    tcase_add_test(tc, printf_is_exact);
    tcase_add_test(tc, limit_is_sticky);
    tcase_add_test(tc, sizes_do_not_wrap);
    tcase_add_test(tc, reserve_leaves_the_size);
    tcase_add_test(tc, steal_hands_over);
    return suite_run(suite);
}
