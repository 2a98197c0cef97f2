#include "base/base64.h"

#include "suite.h"

#include <string.h>

static const char *const pairs[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xfe\xfb", "//77"},
};

START_TEST(there_and_back)
{
    uint8_t out[16];
    size_t size;
    char *text = base64_encode(pairs[_i][0], strlen(pairs[_i][0]));

    ck_assert_str_eq(text, pairs[_i][1]);
    ck_assert(base64_decode(text, strlen(text), out, &size));
    ck_assert_mem_eq(out, pairs[_i][0], size);
    ck_assert_uint_eq(size, strlen(pairs[_i][0]));
    free(text);
}
END_TEST

static const char *const bad[] = {"Zg",   "Zg=",      "Zg==\n", "Z===", "====", "Zh==", /* bits behind */
                                  "Zm9=", "Zg==Zg==", "Zm-v",   "Zm_v", "Zm 9", "=Zm9", "Z=9v"};

START_TEST(other_texts_are_refused)
{
    uint8_t out[16];
    size_t size;

    ck_assert(!base64_decode(bad[_i], strlen(bad[_i]), out, &size));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base64");
    TCase *tc = tcase_create("base64");

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, there_and_back, 0, array_size(pairs));
    tcase_add_loop_test(tc, other_texts_are_refused, 0, array_size(bad));
    return suite_run(suite);
}
