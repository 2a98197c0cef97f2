#include "base/histogram.h"
#include "suite.h"

#include "base/cleanup.h"

#include <check.h>

START_TEST(values_fall_below_their_bounds)
{
    static const struct {
        uint64_t value;
        size_t bucket;
    } cases[] = {{0, 0}, {100, 0}, {101, 1}, {250, 1}, {251, 2}, {60000000, 15}, {60000001, 16}, {UINT64_MAX / 2, 16}};

    for (size_t i = 0; i < array_size(cases); i++) {
        struct histogram histogram = {{0}, 0};

        histogram_add(&histogram, &histogram_micros, cases[i].value);
        for (size_t n = 0; n <= HISTOGRAM_BOUNDS_MAX; n++)
            ck_assert_uint_eq(histogram.counts[n], n == cases[i].bucket);
        ck_assert_uint_eq(histogram.sum, cases[i].value);
    }
}
END_TEST

/* With fewer bounds than there is room for, what is above the last one has the bucket behind it. */
START_TEST(short_scales)
{
    struct histogram histogram = {{0}, 0}, sum = {{0}, 0};

    ck_assert_uint_eq(histogram_bound_count(&histogram_counts), 15);
    ck_assert_uint_eq(histogram_bound_count(&histogram_millis), HISTOGRAM_BOUNDS_MAX);
    histogram_add(&histogram, &histogram_counts, 16385);
    ck_assert_uint_eq(histogram.counts[15], 1);
    histogram_merge(&sum, &histogram);
    histogram_merge(&sum, &histogram);
    ck_assert_uint_eq(sum.counts[15], 2);
    ck_assert_uint_eq(sum.sum, 2 * 16385);
}
END_TEST

START_TEST(bounds_ascend)
{
    static const struct histogram_scale *const scales[] = {&histogram_micros, &histogram_millis, &histogram_counts};

    for (size_t i = 0; i < array_size(scales); i++)
        for (size_t n = 1; n < histogram_bound_count(scales[i]); n++)
            ck_assert_uint_gt(scales[i]->bounds[n], scales[i]->bounds[n - 1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tc = tcase_create("histogram");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, values_fall_below_their_bounds);
    tcase_add_test(tc, short_scales);
    tcase_add_test(tc, bounds_ascend);
    return suite_run(suite);
}
