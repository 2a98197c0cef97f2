#include "codec/linkformat.h"
#include "suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct linkformat reader(const char *text)
{
    return linkformat_init(text, strlen(text));
}

static void assert_value(const struct linkformat_link *link, const char *name, const char *expected)
{
    struct linkformat_value value;

    ck_assert_msg(linkformat_get(link, name, &value), "no %s", name);
    ck_assert_uint_eq(value.size, strlen(expected));
    ck_assert_mem_eq(value.text, expected, value.size);
}

START_TEST(answer_of_a_v1_agent)
{
    struct linkformat lf = reader("</container/>,</device-id/>");
    struct linkformat_link link;
    struct linkformat_value value;

    ck_assert_int_eq(linkformat_next(&lf, &link), 0);
    ck_assert(linkformat_target_is(&link, "/container/"));
    ck_assert(!linkformat_target_is(&link, "/container"));
    ck_assert(!linkformat_get(&link, "rt", &value));
    ck_assert_int_eq(linkformat_next(&lf, &link), 0);
    ck_assert(linkformat_target_is(&link, "/device-id/"));
    ck_assert_int_eq(linkformat_next(&lf, &link), 1);
    ck_assert_int_eq(linkformat_next(&lf, &link), 1);
}
END_TEST

START_TEST(attributes)
{
    struct linkformat lf =
        reader("</tc>;rt=\"tinycontainer x.y\";if=sensor;ct=60;sz=\"100\";obs;title=\"a \\\"b\\\", <c>;d\";"
               "rt=second,<coap://[2001:db8::1]/x?y=z>;anchor=\"/tc\";title*=UTF-8''%e2");
    struct linkformat_link link;
    struct linkformat_value value;
    uint32_t number;

    ck_assert_int_eq(linkformat_next(&lf, &link), 0);
    ck_assert(linkformat_target_is(&link, "/tc"));
    assert_value(&link, "rt", "tinycontainer x.y");
    assert_value(&link, "if", "sensor");
    assert_value(&link, "obs", "");
    assert_value(&link, "title", "a \\\"b\\\", <c>;d");
    ck_assert(linkformat_has(&link, "rt", "tinycontainer"));
    ck_assert(linkformat_has(&link, "rt", "x.y"));
    ck_assert(!linkformat_has(&link, "rt", "tiny"));
    ck_assert(!linkformat_has(&link, "rt", "tinycontainer x.y"));
    ck_assert(!linkformat_has(&link, "rt", "second"));
    ck_assert(!linkformat_has(&link, "rel", "x"));
    ck_assert(linkformat_get_uint(&link, "ct", &number));
    ck_assert_uint_eq(number, 60);
    ck_assert(linkformat_get_uint(&link, "sz", &number));
    ck_assert_uint_eq(number, 100);
    ck_assert(!linkformat_get_uint(&link, "if", &number));
    ck_assert(!linkformat_get_uint(&link, "obs", &number));
    ck_assert(!linkformat_get(&link, "c", &value));
    ck_assert_int_eq(linkformat_next(&lf, &link), 0);
    ck_assert(linkformat_target_is(&link, "coap://[2001:db8::1]/x?y=z"));
    assert_value(&link, "anchor", "/tc");
    assert_value(&link, "title*", "UTF-8''%e2");
    ck_assert_int_eq(linkformat_next(&lf, &link), 1);
}
END_TEST

START_TEST(numbers_fit_32_bits)
{
    struct linkformat lf = reader("</a>;sz=4294967295;ct=4294967296;rt=99999999999999999999;if=1a;obs=\"\"");
    struct linkformat_link link;
    uint32_t number = 7;

    ck_assert_int_eq(linkformat_next(&lf, &link), 0);
    ck_assert(linkformat_get_uint(&link, "sz", &number));
    ck_assert_uint_eq(number, UINT32_MAX);
    ck_assert(!linkformat_get_uint(&link, "ct", &number));
    ck_assert(!linkformat_get_uint(&link, "rt", &number));
    ck_assert(!linkformat_get_uint(&link, "if", &number));
    ck_assert(!linkformat_get_uint(&link, "obs", &number));
}
END_TEST

START_TEST(nothing_at_all)
{
    struct linkformat lf = linkformat_init(NULL, 0);
    struct linkformat_link link;

    ck_assert_int_eq(linkformat_next(&lf, &link), 1);
}
END_TEST

static const char *const malformed[] = {
    "x",
    "/a",
    "<",
    "</a",
    "</a b>",
    "</a\x01>",
    "<<a>",
    "</a>,",
    "</a>,,</b>",
    "</a>;",
    "</a>;=x",
    "</a>;rt=",
    "</a>;rt=\"x",
    "</a>;rt=\"x\\",
    "</a>;rt=\"x\\\"",
    "</a>;rt=\"x\"y",
    "</a>;rt=a b",
    "</a> ,</b>",
    "</a>;;rt=x",
    "</a></b>",
};

START_TEST(malformed_is_refused_for_ever)
{
    size_t size = strlen(malformed[_i]);
    char *copy = calloc(1, size);
    struct linkformat lf = linkformat_init(copy, size);
    struct linkformat_link link;
    int r;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, malformed[_i], size);
    while ((r = linkformat_next(&lf, &link)) == 0)
        ;
    ck_assert_msg(r == 2, "%s", malformed[_i]);
    ck_assert_int_eq(linkformat_next(&lf, &link), 2);
    free(copy);
}
END_TEST

START_TEST(what_is_written_can_be_read)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    struct linkformat lf;
    struct linkformat_link link;
    uint32_t number;

    linkformat_put(&out, "/tc");
    linkformat_put_text(&out, "rt", "tinycontainer");
    linkformat_put_uint(&out, "ct", 60);
    linkformat_put(&out, "/tc/c");
    linkformat_put_flag(&out, "obs");
    ck_assert_str_eq(buffer_text(&out), "</tc>;rt=\"tinycontainer\";ct=60,</tc/c>;obs");
    lf = linkformat_init(out.data, out.size);
    ck_assert_int_eq(linkformat_next(&lf, &link), 0);
    ck_assert(linkformat_has(&link, "rt", "tinycontainer"));
    ck_assert(linkformat_get_uint(&link, "ct", &number));
    ck_assert_int_eq(linkformat_next(&lf, &link), 0);
    assert_value(&link, "obs", "");
    ck_assert_int_eq(linkformat_next(&lf, &link), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linkformat");
    TCase *tc = tcase_create("linkformat");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, answer_of_a_v1_agent);
    tcase_add_test(tc, attributes);
    tcase_add_test(tc, numbers_fit_32_bits);
    tcase_add_test(tc, nothing_at_all);
    tcase_add_loop_test(tc, malformed_is_refused_for_ever, 0, sizeof malformed / sizeof malformed[0]);
    tcase_add_test(tc, what_is_written_can_be_read);
    return suite_run(suite);
}
