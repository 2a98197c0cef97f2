#include "base/fault.h"
#include "suite.h"

#include "base/text.h"

#include <check.h>
#include <string.h>

/* The table is a contract: a code that was added without its line would answer with an empty problem type. */
START_TEST(each_code_has_its_line)
{
    const struct fault_info *info = fault_info((enum fault_code)_i);

    ck_assert_msg(info->slug && info->slug[0], "code %d has no slug", _i);
    ck_assert_uint_eq(strspn(info->slug, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(info->slug));
    ck_assert_msg(info->title && info->title[0], "%s has no title", info->slug);
    ck_assert_msg(info->advice != NULL, "%s has no advice", info->slug);
    if (_i != FAULT_NONE) {
        ck_assert_msg(info->status >= 400 && info->status <= 599, "%s has status %d", info->slug, info->status);
        ck_assert_int_eq(fault_from_slug(info->slug), _i); /* so no slug is there twice */
    }
    ck_assert_msg(info->title[strlen(info->title) - 1] != '.', "%s: a title has no full stop", info->slug);
    if (info->advice[0])
        ck_assert_msg(info->advice[strlen(info->advice) - 1] == '.', "%s: advice is a sentence", info->slug);
}
END_TEST

START_TEST(unknown_codes_and_slugs)
{
    ck_assert_str_eq(fault_info(FAULT_COUNT)->slug, "internal");
    ck_assert_str_eq(fault_info((enum fault_code) - 1)->slug, "internal");
    ck_assert_int_eq(fault_from_slug("no-such-slug"), FAULT_NONE);
    ck_assert_int_eq(fault_from_slug(""), FAULT_NONE);
}
END_TEST

START_TEST(set_fills_in)
{
    struct fault fault;

    ck_assert_int_eq(fault_set_at(&fault, FAULT_INVALID_FIELD, "/limits", "%d is too much", 7), 1);
    ck_assert_int_eq(fault.code, FAULT_INVALID_FIELD);
    ck_assert_str_eq(fault.pointer, "/limits");
    ck_assert_str_eq(fault.detail, "7 is too much");
    ck_assert_int_eq(fault_set(&fault, FAULT_NO_SLOT, "none"), 1);
    ck_assert_str_eq(fault.pointer, "");
    ck_assert_str_eq(fault.detail, "none");
    ck_assert_int_eq(fault_set(NULL, FAULT_NO_SLOT, "none"), 1);
    ck_assert_int_eq(fault_set_at(NULL, FAULT_NO_SLOT, "/a", "none"), 1);
}
END_TEST

/* Both end up in JSON, so they are UTF-8 after a cut too, and whatever a device said. */
START_TEST(long_and_broken_texts_stay_utf8)
{
    struct fault fault;
    char text[2 * FAULT_DETAIL_SIZE + 2] = "x";

    for (size_t i = 1; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xbc", 3);
    (void)fault_set_at(&fault, FAULT_INVALID_FIELD, text, "%s", text);
    ck_assert_uint_ge(strlen(fault.detail), FAULT_DETAIL_SIZE - 2);
    ck_assert(text_is_utf8(fault.detail, strlen(fault.detail)));
    ck_assert_uint_ge(strlen(fault.pointer), FAULT_POINTER_SIZE - 2);
    ck_assert(text_is_utf8(fault.pointer, strlen(fault.pointer)));
    (void)fault_set_at(&fault, FAULT_DEVICE_ANSWER, "/\xff", "it said '%s'", "\xfe\x80ok");
    ck_assert_str_eq(fault.pointer, "/?");
    ck_assert_str_eq(fault.detail, "it said '??ok'");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault");
    TCase *tc = tcase_create("fault");

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, each_code_has_its_line, 0, FAULT_COUNT);
    tcase_add_test(tc, unknown_codes_and_slugs);
    tcase_add_test(tc, set_fills_in);
    tcase_add_test(tc, long_and_broken_texts_stay_utf8);
    return suite_run(suite);
}
