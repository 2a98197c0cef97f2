#include "base/text.h"
#include "suite.h"

#include <check.h>
#include <string.h>

START_TEST(copy_cuts)
{
    char out[5];

    ck_assert(text_copy(out, sizeof out, "abcd"));
    ck_assert_str_eq(out, "abcd");
    ck_assert(!text_copy(out, sizeof out, "abcde"));
    ck_assert_str_eq(out, "abcd");
    ck_assert(!text_copy(out, sizeof out, "abc\xc3\xbc"));
    ck_assert_str_eq(out, "abc");
    ck_assert(!text_copy(out, sizeof out, "ab\xf0\x9f\x98\x80"));
    ck_assert_str_eq(out, "ab");
    ck_assert(!text_copy(out, sizeof out,
                         "ab\xc3\xbc"
                         "c"));
    ck_assert_str_eq(out, "ab\xc3\xbc");
    ck_assert(!text_copy(out, 1, "a"));
    ck_assert_str_eq(out, "");
    ck_assert(text_copy(out, 1, ""));
}
END_TEST

START_TEST(hex)
{
    uint8_t bytes[3] = {0, 0x7f, 0xff}, back[3];
    char out[7];

    ck_assert_str_eq(text_hex(bytes, 3, out), "007fff");
    ck_assert(text_unhex("007FfF", back, 3));
    ck_assert_mem_eq(bytes, back, 3);
    ck_assert_str_eq(text_hex(bytes, 0, out), "");
    ck_assert(text_unhex("", back, 0));
    ck_assert(!text_unhex("007ff", back, 3));
    ck_assert(!text_unhex("007fff0", back, 3));
    ck_assert(!text_unhex("007fff00", back, 3));
    ck_assert(!text_unhex("007ffg", back, 3));
    ck_assert(!text_unhex("00 7ff", back, 3));
    ck_assert(!text_unhex("0x7fff", back, 3));
}
END_TEST

START_TEST(escapes)
{
    ck_assert_int_eq(text_unescape("%2f/", 4), '/');
    ck_assert_int_eq(text_unescape("%Ff", 3), 0xff);
    ck_assert_int_eq(text_unescape("%00", 3), 0);
    ck_assert_int_eq(text_unescape("%2f", 2), -1);
    ck_assert_int_eq(text_unescape("%", 1), -1);
    ck_assert_int_eq(text_unescape("", 0), -1);
    ck_assert_int_eq(text_unescape("a2f", 3), -1);
    ck_assert_int_eq(text_unescape("%g0", 3), -1);
    ck_assert_int_eq(text_unescape("%0\x10", 3), -1);
    ck_assert_int_eq(text_unescape("%@0", 3), -1);
}
END_TEST

static const struct {
    const char *text;
    int64_t min, max;
    bool good;
    int64_t value;
} integers[] = {
    {"0", 0, 10, true, 0},
    {"10", 0, 10, true, 10},
    {"11", 0, 10, false, 0},
    {"-1", -1, 10, true, -1},
    {"-2", -1, 10, false, 0},
    {"007", 0, 10, true, 7},
    {"9223372036854775807", 0, INT64_MAX, true, INT64_MAX},
    {"-9223372036854775808", INT64_MIN, 0, true, INT64_MIN},
    {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
    {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
    {"", INT64_MIN, INT64_MAX, false, 0},
    {"-", INT64_MIN, INT64_MAX, false, 0},
    {"--1", INT64_MIN, INT64_MAX, false, 0},
    {"+1", INT64_MIN, INT64_MAX, false, 0},
    {" 1", INT64_MIN, INT64_MAX, false, 0},
    {"1 ", INT64_MIN, INT64_MAX, false, 0},
    {"- 1", INT64_MIN, INT64_MAX, false, 0},
    {"0x1", INT64_MIN, INT64_MAX, false, 0},
    {"1.0", INT64_MIN, INT64_MAX, false, 0},
};

START_TEST(parse_int)
{
    int64_t value = 99;

    ck_assert(text_parse_int(integers[_i].text, integers[_i].min, integers[_i].max, &value) == integers[_i].good);
    ck_assert_int_eq(value, integers[_i].good ? integers[_i].value : 99);
}
END_TEST

START_TEST(names)
{
    ck_assert(text_is_name("a", 63));
    ck_assert(text_is_name("Az09._~-", 63));
    ck_assert(text_is_name(".a", 63));
    ck_assert(text_is_name("abc", 3));
    ck_assert(!text_is_name("abcd", 3));
    ck_assert(!text_is_name("", 63));
    ck_assert(!text_is_name(".", 63));
    ck_assert(!text_is_name("..", 63));
    ck_assert(!text_is_name("a/b", 63));
    ck_assert(!text_is_name("a b", 63));
    ck_assert(!text_is_name("a%20", 63));
    ck_assert(!text_is_name("\xc3\xbc", 63));
}
END_TEST

/* RFC 3629 section 4: each form at its ends, and what lies just outside. */
static const struct {
    const char *text;
    size_t size;
    bool good;
} utf8[] = {
#define TEXT(t) (t), sizeof(t) - 1
    {TEXT(""), true},
    {TEXT("plain\x7f\x01"), true},
    {TEXT("\xc2\x80\xdf\xbf"), true},
    {TEXT("\xe0\xa0\x80\xec\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"), true},
    {TEXT("\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf"), true},
    {TEXT("a\0b"), false},
    {TEXT("\x80"), false},
    {TEXT("\xbf"), false},
    {TEXT("\xc0\x80"), false}, /* NUL, too long */
    {TEXT("\xc1\xbf"), false},
    {TEXT("\xc2"), false},
    {TEXT("\xc2\x7f"), false},
    {TEXT("\xc2\xc0"), false},
    {TEXT("\xe0\x9f\xbf"), false}, /* too long */
    {TEXT("\xed\xa0\x80"), false}, /* surrogate */
    {TEXT("\xe1\x80"), false},
    {TEXT("\xe1\x80\x7f"), false},
    {TEXT("\xf0\x8f\xbf\xbf"), false}, /* too long */
    {TEXT("\xf4\x90\x80\x80"), false}, /* above U+10FFFF */
    {TEXT("\xf0\x90\x80"), false},
    {TEXT("\xf0\x90\x80\xc0"), false},
    {TEXT("\xf5\x80\x80\x80"), false},
    {TEXT("\xff"), false},
#undef TEXT
};

START_TEST(utf8_is_told_apart)
{
    uint8_t *copy = calloc(1, utf8[_i].size + 1); /* of just this size, for AddressSanitizer */

    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, utf8[_i].text, utf8[_i].size);
    ck_assert_msg(text_is_utf8(copy + 1, utf8[_i].size) == utf8[_i].good, "case %d", _i);
    free(copy);
}
END_TEST

START_TEST(repair)
{
    char good[] = "gr\xc3\xbc\xc3\x9f", bad[] = "\xff"
                                                "a\xc3"
                                                "b\xe1\x80\xc3\xbc\xf0";

    text_repair_utf8(good);
    ck_assert_str_eq(good, "gr\xc3\xbc\xc3\x9f");
    text_repair_utf8(bad);
    ck_assert_str_eq(bad, "?a?b??\xc3\xbc?");
}
END_TEST

START_TEST(uuid_form)
{
    char id[UUID_SIZE];

    ck_assert_ptr_eq(text_new_uuid(1645557742000, id), id);
    ck_assert(text_is_uuid(id));
    ck_assert_int_eq(strncmp(id, "017f22e2-79b0-7", 15), 0); /* RFC 9562 appendix A.6 */
    ck_assert_ptr_nonnull(strchr("89ab", id[19]));
}
END_TEST

/* More ids in a millisecond than its counter has values, and a wall clock that goes back. */
START_TEST(uuid_order)
{
    char last[UUID_SIZE], next[UUID_SIZE];
    int64_t wall = 1700000000000;

    text_new_uuid(wall, last);
    for (int i = 0; i < 20000; i++) {
        wall += i % 5000 == 0 ? 1 : i % 7000 == 0 ? -60000 : 0;
        text_new_uuid(wall, next);
        ck_assert_msg(strcmp(last, next) < 0, "%s does not come before %s", last, next);
        ck_assert(text_is_uuid(next));
        memcpy(last, next, sizeof last);
    }
}
END_TEST

START_TEST(uuid_is_told_apart)
{
    ck_assert(text_is_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
    ck_assert(!text_is_uuid(""));
    ck_assert(!text_is_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398"));
    ck_assert(!text_is_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f0"));
    ck_assert(!text_is_uuid("017F22E2-79b0-7cc3-98c4-dc0c0c07398f"));
    ck_assert(!text_is_uuid("017f22e2079b0-7cc3-98c4-dc0c0c07398f"));
    ck_assert(!text_is_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398g"));
    ck_assert(!text_is_uuid("-17f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tc = tcase_create("text");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, copy_cuts);
    tcase_add_test(tc, hex);
    tcase_add_test(tc, escapes);
    tcase_add_loop_test(tc, parse_int, 0, array_size(integers));
    tcase_add_test(tc, names);
    tcase_add_loop_test(tc, utf8_is_told_apart, 0, array_size(utf8));
    tcase_add_test(tc, repair);
    tcase_add_test(tc, uuid_form);
    tcase_add_test(tc, uuid_order);
    tcase_add_test(tc, uuid_is_told_apart);
    return suite_run(suite);
}
