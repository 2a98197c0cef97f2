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

START_TEST(rfc3339_with_microseconds)
{
    char out[RFC3339_US_SIZE];
    int64_t us = 1;

    ck_assert_str_eq(clock_format_rfc3339_us(-1, out), "1969-12-31T23:59:59.999999Z");
    ck_assert_str_eq(clock_format_rfc3339_us(1709210096789001, out), "2024-02-29T12:34:56.789001Z");
    ck_assert(clock_parse_rfc3339(out, &us));
    ck_assert_int_eq(us, 1709210096789001);
    ck_assert_str_eq(clock_format_rfc3339_us(INT64_MAX, out), "0000-00-00T00:00:00.000000Z");
    for (size_t i = 0; i < array_size(times); i++) { /* what was written is read */
        char text[RFC3339_SIZE];

        if (!clock_parse_rfc3339(clock_format_rfc3339(times[i].wall_ms, text), &us))
            ck_assert(text[5] == '0' && text[6] == '0');
        else
            ck_assert_int_eq(us / 1000, times[i].wall_ms);
    }
}
END_TEST

static const struct {
    const char *text;
    int64_t us;
} readable[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01t00:00:00.5z", 500000},
    {"1970-01-01 00:00:00,1234567899Z", 123456},
    {"1970-01-01T02:00:00+02:00", 0},
    {"1969-12-31T18:30:00-05:30", 0},
    {"1969-12-31T23:59:60Z", 0},
    {"2000-02-29T00:00:00Z", 951782400000000},
    {"0000-01-01T00:00:00Z", -62167219200000000},
};

START_TEST(rfc3339_is_read)
{
    int64_t us = -7;

    ck_assert(clock_parse_rfc3339(readable[_i].text, &us));
    ck_assert_int_eq(us, readable[_i].us);
}
END_TEST

static const char *const unreadable[] = {
    "",
    "now",
    "1970-01-01",
    "1970-01-01T00:00:00",
    "1970-01-01T00:00Z",
    "1970-13-01T00:00:00Z",
    "1970-00-01T00:00:00Z",
    "1970-01-32T00:00:00Z",
    "1970-01-00T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "1970-01-01T24:00:00Z",
    "1970-01-01T00:60:00Z",
    "1970-01-01T00:00:61Z",
    "1970-01-01T00:00:00.Z",
    "1970-01-01T00:00:00+02",
    "1970-01-01T00:00:00+24:00",
    "1970-01-01T00:00:00Z ",
    "+970-01-01T00:00:00Z",
};

START_TEST(what_is_no_time_is_not_read)
{
    int64_t us;

    ck_assert(!clock_parse_rfc3339(unreadable[_i], &us));
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
    tcase_add_test(tc, rfc3339_with_microseconds);
    tcase_add_loop_test(tc, rfc3339_is_read, 0, array_size(readable));
    tcase_add_loop_test(tc, what_is_no_time_is_not_read, 0, array_size(unreadable));
    tcase_add_test(tc, manual_clock);
    tcase_add_test(tc, system_clock_runs);
    return suite_run(suite);
}
