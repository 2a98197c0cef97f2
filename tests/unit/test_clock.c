#include "base/cleanup.h"
#include "base/clock.h"
#include "suite.h"

#include <check.h>

static const struct {
    int64_t wall_ms;
    const char *text;
} times[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {1, "1970-01-01T00:00:00.001Z"},
    {-1, "1969-12-31T23:59:59.999Z"},
    {-1000, "1969-12-31T23:59:59.000Z"},
    {1709210096789, "2024-02-29T12:34:56.789Z"},
    {4102444799999, "2099-12-31T23:59:59.999Z"},
    {253402300799999, "9999-12-31T23:59:59.999Z"},
    {253402300800000, "0000-00-00T00:00:00.000Z"},
    {-62135596800000, "0001-01-01T00:00:00.000Z"},
    {-62167219200001, "0000-00-00T00:00:00.000Z"},
    {INT64_MAX, "0000-00-00T00:00:00.000Z"},
    {INT64_MIN, "0000-00-00T00:00:00.000Z"},
};

START_TEST(rfc3339)
{
    char out[RFC3339_SIZE];

    ck_assert_str_eq(clock_format_rfc3339(times[_i].wall_ms, out), times[_i].text);
}
END_TEST

START_TEST(manual_clock)
{
    struct clock_manual manual;

    clock_manual_init(&manual, 5, 1000);
    ck_assert_int_eq(clock_monotonic_ms(&manual.clock), 5);
    ck_assert_int_eq(clock_wall_ms(&manual.clock), 1000);
    clock_manual_advance(&manual, 247000);
    ck_assert_int_eq(clock_monotonic_ms(&manual.clock), 247005);
    ck_assert_int_eq(clock_wall_ms(&manual.clock), 248000);
}
END_TEST

START_TEST(system_clock_runs)
{
    int64_t before = clock_monotonic_ms(clock_system());

    ck_assert_int_eq(usleep(20000), 0);
    ck_assert_int_ge(clock_monotonic_ms(clock_system()), before + 20);
    ck_assert_int_gt(clock_wall_ms(clock_system()), 1577836800000); /* after 2020 */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tc = tcase_create("clock");

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, rfc3339, 0, array_size(times));
    tcase_add_test(tc, manual_clock);
    tcase_add_test(tc, system_clock_runs);
    return suite_run(suite);
}
