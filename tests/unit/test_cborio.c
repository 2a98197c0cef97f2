#include "codec/cborio.h"
#include "suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) (text), sizeof(text) - 1

/* RFC 8949 appendix A, as far as a reader of definite items goes. */
static const struct {
    const char *data;
    size_t size;
    enum cborio_type type;
    uint64_t value;
    double number;
} heads[] = {
    {BYTES("\x00"), CBORIO_UINT, 0, 0},
    {BYTES("\x17"), CBORIO_UINT, 23, 0},
    {BYTES("\x18\x18"), CBORIO_UINT, 24, 0},
    {BYTES("\x19\x03\xe8"), CBORIO_UINT, 1000, 0},
    {BYTES("\x1a\x00\x0f\x42\x40"), CBORIO_UINT, 1000000, 0},
    {BYTES("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"), CBORIO_UINT, UINT64_MAX, 0},
    {BYTES("\x3b\xff\xff\xff\xff\xff\xff\xff\xff"), CBORIO_NEGINT, UINT64_MAX, 0},
    {BYTES("\x20"), CBORIO_NEGINT, 0, 0},
    {BYTES("\x38\x63"), CBORIO_NEGINT, 99, 0},
    {BYTES("\x39\x03\xe7"), CBORIO_NEGINT, 999, 0},
    {BYTES("\x3a\x00\x01\x00\x00"), CBORIO_NEGINT, 65536, 0},
    {BYTES("\xf9\x3c\x00"), CBORIO_FLOAT, 0, 1.0},
    {BYTES("\xf9\xc4\x00"), CBORIO_FLOAT, 0, -4.0},
    {BYTES("\xfa\x47\xc3\x50\x00"), CBORIO_FLOAT, 0, 100000.0},
    {BYTES("\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a"), CBORIO_FLOAT, 0, 1.1},
    {BYTES("\xf4"), CBORIO_BOOL, 0, 0},
    {BYTES("\xf5"), CBORIO_BOOL, 1, 0},
    {BYTES("\xf6"), CBORIO_NULL, 0, 0},
    {BYTES("\xf7"), CBORIO_NULL, 0, 0},
    {BYTES("\x44\x01\x02\x03\x04"), CBORIO_BYTES, 4, 0},
    {BYTES("\x64IETF"), CBORIO_TEXT, 4, 0},
    {BYTES("\x83"), CBORIO_ARRAY, 3, 0},
    {BYTES("\xa2"), CBORIO_MAP, 2, 0},
    {BYTES("\xc1"), CBORIO_TAG, 1, 0},
    {BYTES("\xd2"), CBORIO_TAG, 18, 0},
    {BYTES("\xd7"), CBORIO_TAG, 23, 0},
    {BYTES("\xdbTinyPART"), CBORIO_TAG, 6082514239057121876ULL, 0},
};

START_TEST(heads_are_read)
{
    struct cborio_reader r = cborio_reader_init(heads[_i].data, heads[_i].size);
    struct cborio_item item;

    ck_assert_int_eq(cborio_peek(&r), heads[_i].type);
    ck_assert(cborio_next(&r, &item));
    ck_assert_int_eq(item.type, heads[_i].type);
    ck_assert_uint_eq(item.value, heads[_i].value);
    ck_assert_double_eq(item.number, heads[_i].number);
    ck_assert(cborio_ended(&r));
    ck_assert(!cborio_next(&r, &item));
    ck_assert(cborio_failed(&r));
    ck_assert(!cborio_ended(&r));
}
END_TEST

START_TEST(heads_that_are_cut_fail)
{
    for (size_t size = 0; size < heads[_i].size; size++) {
        struct cborio_reader r = cborio_reader_init(heads[_i].data, size);
        struct cborio_item item;

        ck_assert_int_eq(cborio_peek(&r), CBORIO_NONE);
        ck_assert(!cborio_failed(&r));
        ck_assert(!cborio_next(&r, &item));
        ck_assert(cborio_failed(&r));
    }
}
END_TEST

static const struct {
    const char *what, *data;
    size_t size;
} refused[] = {
    {"reserved additional information", BYTES("\x1c")},
    {"indefinite byte string", BYTES("\x5f\x41\x00\xff")},
    {"indefinite text", BYTES("\x7f\x61\x61\xff")},
    {"indefinite array", BYTES("\x9f\xff")},
    {"indefinite map", BYTES("\xbf\xff")},
    {"break", BYTES("\xff")},
    {"byte string longer than the input", BYTES("\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x00")},
    {"simple value", BYTES("\xf8\xff")},
};

START_TEST(malformed_is_refused)
{
    struct cborio_reader r = cborio_reader_init(refused[_i].data, refused[_i].size);
    struct cborio_item item;

    ck_assert_msg(!cborio_next(&r, &item), "%s", refused[_i].what);
    ck_assert_int_eq(item.type, CBORIO_NONE);
    r = cborio_reader_init(refused[_i].data, refused[_i].size);
    cborio_skip(&r);
    ck_assert_msg(cborio_failed(&r), "%s", refused[_i].what);
}
END_TEST

START_TEST(getters_fail_on_other_types)
{
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        const struct cborio_reader start = cborio_reader_init(heads[i].data, heads[i].size);
        enum cborio_type type = heads[i].type;
        bool integer = type == CBORIO_UINT || type == CBORIO_NEGINT;
        struct cborio_reader r;
        size_t size;

#define FAILS(call, unless)                                                                                            \
    r = start;                                                                                                         \
    (void)(call);                                                                                                      \
    ck_assert_msg(cborio_failed(&r) == !(unless), "head %zu: %s", i, #call)
        FAILS(cborio_get_uint(&r, UINT64_MAX), type == CBORIO_UINT);
        FAILS(cborio_get_int(&r), integer && heads[i].value <= INT64_MAX);
        FAILS(cborio_get_bytes(&r, &size), type == CBORIO_BYTES);
        FAILS(cborio_get_text(&r, &size), type == CBORIO_TEXT);
        FAILS(cborio_get_array(&r), false); /* three elements, but nothing follows */
        FAILS(cborio_get_map(&r), false);
        FAILS(cborio_get_tag(&r), type == CBORIO_TAG);
        FAILS(cborio_get_bool(&r), type == CBORIO_BOOL);
        FAILS(cborio_get_number(&r), integer || type == CBORIO_FLOAT);
        FAILS((cborio_get_nested(&r), 0), type == CBORIO_BYTES);
#undef FAILS
    }
}
END_TEST

START_TEST(values_have_ranges)
{
    struct cborio_reader r = cborio_reader_init(BYTES("\x18\x64"));

    ck_assert_uint_eq(cborio_get_uint(&r, 100), 100);
    r = cborio_reader_init(BYTES("\x18\x64"));
    ck_assert_uint_eq(cborio_get_uint(&r, 99), 0);
    ck_assert(cborio_failed(&r));
    r = cborio_reader_init(BYTES("\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"));
    ck_assert_int_eq(cborio_get_int(&r), INT64_MIN);
    ck_assert(!cborio_failed(&r));
    r = cborio_reader_init(BYTES("\x39\xff\xff"));
    ck_assert_int_eq(cborio_get_int(&r), -65536);
    r = cborio_reader_init(BYTES("\x29"));
    ck_assert_double_eq(cborio_get_number(&r), -10.0);
}
END_TEST

START_TEST(text_is_checked)
{
    struct cborio_reader r;
    char out[5];
    size_t size;

    r = cborio_reader_init(BYTES("\x62\xc3\xbc"));
    ck_assert_mem_eq(cborio_get_text(&r, &size), "\xc3\xbc", 2);
    ck_assert_uint_eq(size, 2);
    r = cborio_reader_init(BYTES("\x62\xc3\x28"));
    ck_assert_ptr_null(cborio_get_text(&r, &size));
    r = cborio_reader_init(BYTES("\x62\x61\x00"));
    ck_assert_ptr_null(cborio_get_text(&r, &size));
    r = cborio_reader_init(BYTES("\x64IETF"));
    cborio_copy_text(&r, out, 5);
    ck_assert_str_eq(out, "IETF");
    r = cborio_reader_init(BYTES("\x64IETF"));
    cborio_copy_text(&r, out, 4);
    ck_assert_str_eq(out, "");
    ck_assert(cborio_failed(&r));
}
END_TEST

START_TEST(nested_byte_string)
{
    struct cborio_reader r = cborio_reader_init(BYTES("\x42\x18\x2a\x01")), inner = cborio_get_nested(&r);

    ck_assert_uint_eq(cborio_get_uint(&inner, 100), 42);
    ck_assert(cborio_ended(&inner));
    ck_assert_uint_eq(cborio_get_uint(&r, 100), 1);
    ck_assert(cborio_ended(&r));
    r = cborio_reader_init(BYTES("\x01"));
    inner = cborio_get_nested(&r);
    ck_assert(cborio_failed(&inner));
}
END_TEST

/* A loop over a count that is a lie must not run for long. */
START_TEST(counts_are_bounded_by_what_is_left)
{
    struct cborio_reader r = cborio_reader_init(BYTES("\x82\x01"));

    ck_assert_uint_eq(cborio_get_array(&r), 0);
    ck_assert(cborio_failed(&r));
    r = cborio_reader_init(BYTES("\xa1\x01"));
    ck_assert_uint_eq(cborio_get_map(&r), 0);
    ck_assert(cborio_failed(&r));
    r = cborio_reader_init(BYTES("\xbb\x80\x00\x00\x00\x00\x00\x00\x00\x01\x01"));
    ck_assert_uint_eq(cborio_get_map(&r), 0);
    r = cborio_reader_init(BYTES("\x82\x01\x02"));
    ck_assert_uint_eq(cborio_get_array(&r), 2);
    ck_assert(!cborio_failed(&r));
}
END_TEST

START_TEST(skip_passes_over_one_item)
{
    /* {1: [1, {2: h'00'}, 3(4)], "a": {}} 5 */
    struct cborio_reader r = cborio_reader_init(BYTES("\xa2\x01\x83\x01\xa1\x02\x41\x00\xc3\x04\x61\x61\xa0\x05"));

    cborio_skip(&r);
    ck_assert(!cborio_failed(&r));
    ck_assert_uint_eq(cborio_get_uint(&r, 9), 5);
    ck_assert(cborio_ended(&r));
    r = cborio_reader_init(BYTES("\x82\x01"));
    cborio_skip(&r);
    ck_assert(cborio_failed(&r));
    r = cborio_reader_init(BYTES("\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02"));
    cborio_skip(&r);
    ck_assert(cborio_failed(&r));
}
END_TEST

START_TEST(skip_limits_nesting)
{
    uint8_t data[CBORIO_MAX_NESTING + 2] = {0};
    struct cborio_reader r = cborio_reader_init(data, CBORIO_MAX_NESTING + 1);

    memset(data, 0x81, sizeof data);
    data[CBORIO_MAX_NESTING] = 0;
    cborio_skip(&r);
    ck_assert(cborio_ended(&r));
    data[CBORIO_MAX_NESTING] = 0x81;
    data[CBORIO_MAX_NESTING + 1] = 0;
    r = cborio_reader_init(data, sizeof data);
    cborio_skip(&r);
    ck_assert(cborio_failed(&r));
}
END_TEST

static void put_everything(struct cborio_writer *w)
{
    cborio_put_tag(w, 6082514239057121876ULL);
    cborio_put_map(w, 3);
    cborio_put_uint(w, 23);
    cborio_put_int(w, -65537);
    cborio_put_text(w, "IETF");
    cborio_put_bytes(w, "\1\2", 2);
    cborio_put_uint(w, 256);
    cborio_put_array(w, 4);
    cborio_put_bool(w, true);
    cborio_put_null(w);
    cborio_put_double(w, 1.1);
    cborio_put_bytes(w, NULL, 0);
}

START_TEST(writer_takes_the_shortest_form)
{
    static const char expected[] =
        "\xdbTinyPART\xa3\x17\x3a\x00\x01\x00\x00\x64IETF\x42\x01\x02\x19\x01\x00\x84\xf5\xf6"
        "\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a\x40";
    uint8_t out[128];
    struct cborio_writer w = cborio_writer_init(out, sizeof out);

    put_everything(&w);
    ck_assert_uint_eq(cborio_written(&w), sizeof expected - 1);
    ck_assert_mem_eq(out, expected, sizeof expected - 1);
    for (size_t size = 0; size < sizeof expected - 1; size++) {
        uint8_t *small = calloc(1, size + 1);

        ck_assert_ptr_nonnull(small);
        small[size] = 0xee;
        w = cborio_writer_init(small, size);
        put_everything(&w);
        ck_assert(w.failed);
        ck_assert_uint_eq(cborio_written(&w), 0);
        ck_assert_uint_eq(small[size], 0xee);
        free(small);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cborio");
    TCase *tc = tcase_create("cborio");

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, heads_are_read, 0, sizeof heads / sizeof heads[0]);
    tcase_add_loop_test(tc, heads_that_are_cut_fail, 0, sizeof heads / sizeof heads[0]);
    tcase_add_loop_test(tc, malformed_is_refused, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tc, getters_fail_on_other_types);
    tcase_add_test(tc, values_have_ranges);
    tcase_add_test(tc, text_is_checked);
    tcase_add_test(tc, nested_byte_string);
    tcase_add_test(tc, counts_are_bounded_by_what_is_left);
    tcase_add_test(tc, skip_passes_over_one_item);
    tcase_add_test(tc, skip_limits_nesting);
    tcase_add_test(tc, writer_takes_the_shortest_form);
    return suite_run(suite);
}
