#include "codec/pack.h"
#include "core/telemetry.h"
#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* Telemetry taken in: rate, series, times, a full disk, and messages of the run before. */

static struct core_fixture f;
static struct device *device;

static void set_up(void)
{
    fake_store_wipe();
    core_setup(&f);
    f.options.telemetry.max_rate = 10;
    f.options.telemetry.max_series = 3;
    f.options.telemetry.max_records = 500;
    f.options.telemetry.clock_ahead_ms = 300000;
    f.options.telemetry.clock_behind_ms = 3600000;
    f.options.journal_memory = 1 << 20;
    core_restart(&f);
    device = add_device(&f, "one", AGENT_V2);
}

static void tear_down(void)
{
    core_teardown(&f);
}

static struct telemetry_record make(const char *name, int64_t ago_ms)
{
    return (struct telemetry_record){
        .name = name, .unit = "", .time_us = (f.clock.wall - ago_ms) * 1000, .kind = TELEMETRY_NUMBER, .number = 1};
}

static uint32_t retry;

/* The fault that refused it, or that came of it. */
static enum fault_code add_all(const struct telemetry_record *records, size_t count, uint64_t origin)
{
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    int r = core_add_telemetry(f.core, device, records, count, origin, note_done, &outcome, &fault, &retry);

    ck_assert_int_ge(r, 0);
    if (r)
        return fault.code;
    ck_assert(!outcome.called); /* never from within, and not before it is durable */
    core_flush(&f);
    ck_assert(outcome.called);
    return outcome.fault.code;
}

static enum fault_code add(const char *name, int64_t ago_ms)
{
    const struct telemetry_record record = make(name, ago_ms);

    return add_all(&record, 1, 0);
}

static struct telemetry_stats stats(void)
{
    struct telemetry_stats out;

    core_get_telemetry_stats(f.core, &out);
    return out;
}

START_TEST(a_burst_and_then_the_rate)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(add("a", i), FAULT_NONE);
    ck_assert_int_eq(add("a", 200), FAULT_RATE_LIMITED);
    ck_assert_uint_eq(retry, 1);
    clock_manual_advance(&f.clock, 500);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(add("a", 300 + i), FAULT_NONE);
    ck_assert_int_eq(add("a", 400), FAULT_RATE_LIMITED);
    ck_assert_uint_eq(stats().rate_limited, 2);
    ck_assert_uint_eq(stats().messages, 105);
}
END_TEST

START_TEST(a_large_message_is_paid_for_afterwards)
{
    struct telemetry_record records[300];

    for (size_t i = 0; i < 300; i++)
        records[i] = make("a", (int64_t)i);
    ck_assert_int_eq(add_all(records, 300, 0), FAULT_NONE);
    ck_assert_int_eq(add("a", 0), FAULT_RATE_LIMITED);
    ck_assert_uint_ge(retry, 20);
    clock_manual_advance(&f.clock, 19000);
    ck_assert_int_eq(add("a", 0), FAULT_RATE_LIMITED);
    clock_manual_advance(&f.clock, 1200);
    ck_assert_int_eq(add("a", 0), FAULT_NONE);
    f.options.telemetry.max_rate = 0; /* no limit */
    core_configure(f.core, &f.options);
    ck_assert_int_eq(add_all(records, 300, 0), FAULT_NONE);
    ck_assert_int_eq(add_all(records, 300, 0), FAULT_NONE);
}
END_TEST

START_TEST(messages_have_limits)
{
    struct telemetry_record records[501];

    for (size_t i = 0; i < 501; i++)
        records[i] = make("a", (int64_t)i);
    ck_assert_int_eq(add_all(records, 501, 0), FAULT_INVALID_FIELD);
    ck_assert_int_eq(add_all(records, 0, 0), FAULT_INVALID_FIELD);
}
END_TEST

START_TEST(series_are_limited_and_a_refused_message_adds_none)
{
    struct telemetry_record records[] = {make("a", 0), make("b", 0), make("a", 1)};
    struct telemetry_record more[] = {make("c", 0), make("d", 0)};

    ck_assert_int_eq(add_all(records, 3, 0), FAULT_NONE);
    ck_assert_uint_eq(stats().series, 2);
    ck_assert_int_eq(add_all(more, 2, 0), FAULT_LIMIT_REACHED);
    ck_assert_uint_eq(stats().series, 2);
    ck_assert_int_eq(add_all(more + 1, 1, 0), FAULT_NONE); /* there is still room for one */
    ck_assert_int_eq(add_all(more, 1, 0), FAULT_LIMIT_REACHED);
    ck_assert_int_eq(add("b", 5), FAULT_NONE);
    ck_assert_uint_eq(stats().series, 3);
    ck_assert_uint_eq(stats().refused, 2);
}
END_TEST

START_TEST(stored_series_count_after_a_restart)
{
    fake_store_add_series("one", "a");
    fake_store_add_series("one", "b");
    fake_store_add_series("gone", "b");
    core_restart(&f);
    device = core_find_device(f.core, "one");
    core_flush(&f);
    ck_assert_uint_eq(stats().series, 2);
    ck_assert_int_eq(add("a", 0), FAULT_NONE);
    ck_assert_int_eq(add("c", 0), FAULT_NONE);
    ck_assert_int_eq(add("d", 0), FAULT_LIMIT_REACHED);
}
END_TEST

START_TEST(clocks_that_cannot_be_meant_are_marked)
{
    ck_assert_int_eq(add("a", 0), FAULT_NONE);
    ck_assert_int_eq(add("a", 3600000), FAULT_NONE);
    ck_assert_int_eq(add("a", -300000), FAULT_NONE);
    ck_assert_uint_eq(stats().suspect, 0);
    ck_assert_int_eq(add("a", 3600001), FAULT_NONE);
    ck_assert_int_eq(add("a", -300001), FAULT_NONE);
    ck_assert_uint_eq(stats().suspect, 2);
}
END_TEST

/* Reads what the journal tells of the newest messages. */
static int64_t times[64];
static size_t time_count;

static void read_times(struct journal_reader *reader)
{
    struct journal_entry entry;
    struct pack_reader in;
    struct telemetry_record record;
    uint64_t missing;

    time_count = 0;
    while (journal_read(reader, &entry, &missing) == JOURNAL_ENTRY) {
        pack_reader_init(&in, entry.body, entry.size);
        while (pack_read(&in, &record) == 1)
            times[time_count++] = record.time_us;
    }
}

static void ignore(void *arg)
{
    (void)arg;
}

START_TEST(assigned_times_are_distinct_in_a_series)
{
    const struct journal_filter filter = {.kinds = 1u << JOURNAL_TELEMETRY};
    struct journal_reader *reader = core_open_journal(f.core, JOURNAL_FROM_NOW, &filter, ignore, NULL);
    struct telemetry_record records[] = {make("a", 0), make("a", 0), make("b", 0)};
    int64_t now = f.clock.wall * 1000;

    for (size_t i = 0; i < 3; i++)
        records[i].flags = TELEMETRY_TIME_ASSIGNED;
    ck_assert_int_eq(add_all(records, 3, 0), FAULT_NONE);
    ck_assert_int_eq(add_all(records, 1, 0), FAULT_NONE);
    f.clock.wall -= 3600000; /* the clock is set back: times go with it */
    ck_assert_int_eq(add_all(records, 1, 0), FAULT_NONE);
    read_times(reader);
    ck_assert_uint_eq(time_count, 5);
    ck_assert_int_eq(times[0], now);
    ck_assert_int_eq(times[1], now + 1);
    ck_assert_int_eq(times[2], now);
    ck_assert_int_eq(times[3], now + 2);
    ck_assert_int_eq(times[4], now - INT64_C(3600000000));
    ck_assert_uint_eq(stats().assigned, 5);
    (void)journal_close(reader);
}
END_TEST

START_TEST(a_full_disk_is_tried_once_a_second)
{
    fake_store_fail(1, -ENOSPC);
    ck_assert_int_eq(add("a", 0), FAULT_STORAGE_FULL);
    ck_assert_int_eq(add("a", 1), FAULT_STORAGE_FULL); /* not tried */
    ck_assert_uint_eq(retry, 1);
    clock_manual_advance(&f.clock, 1000);
    fake_store_fail(1, -ENOSPC);
    ck_assert_int_eq(add("a", 2), FAULT_STORAGE_FULL);
    clock_manual_advance(&f.clock, 1000);
    ck_assert_int_eq(add("a", 3), FAULT_NONE);
    ck_assert_int_eq(add("a", 4), FAULT_NONE);
    ck_assert_uint_eq(stats().messages, 2);
    fake_store_fail(1, -EIO);
    ck_assert_int_eq(add("a", 5), FAULT_STORAGE_FAILED);
    ck_assert_int_eq(add("a", 6), FAULT_NONE);
}
END_TEST

START_TEST(messages_of_the_run_before_are_known_for_a_while)
{
    const struct telemetry_record record = make("a", 0);

    ck_assert_int_eq(add_all(&record, 1, 77), FAULT_NONE);
    ck_assert_int_eq(add_all(&record, 1, 0), FAULT_NONE);
    core_restart(&f);
    ck_assert(core_knows_origin(f.core, 77));
    ck_assert(!core_knows_origin(f.core, 78));
    ck_assert(!core_knows_origin(f.core, 0));
    ck_assert_uint_eq(stats().repeated, 1);
    core_advance(&f, 248000);
    ck_assert(!core_knows_origin(f.core, 77));
    core_restart(&f);
    ck_assert(!core_knows_origin(f.core, 77));
}
END_TEST

START_TEST(a_stopping_gateway_takes_none)
{
    core_stop(f.core);
    ck_assert_int_eq(add("a", 0), FAULT_SHUTTING_DOWN);
}
END_TEST

START_TEST(the_device_may_go_meanwhile)
{
    const struct telemetry_record record = make("a", 0);
    struct outcome outcome = {.called = false}, removed = {.called = false};
    struct fault fault;

    ck_assert_int_eq(core_add_telemetry(f.core, device, &record, 1, 0, note_done, &outcome, &fault, &retry), 0);
    ck_assert_int_eq(core_add_telemetry(f.core, device, &record, 1, 0, NULL, NULL, &fault, &retry), 0);
    ck_assert_int_eq(core_remove_device(f.core, device, note_done, &removed, &fault), 0);
    core_flush(&f);
    ck_assert(outcome.called && removed.called);
    ck_assert_uint_eq(stats().series, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core telemetry");
    TCase *tc = suite_add_case(suite, "all", set_up, tear_down);

    tcase_add_test(tc, a_burst_and_then_the_rate);
    tcase_add_test(tc, a_large_message_is_paid_for_afterwards);
    tcase_add_test(tc, messages_have_limits);
    tcase_add_test(tc, series_are_limited_and_a_refused_message_adds_none);
    tcase_add_test(tc, stored_series_count_after_a_restart);
    tcase_add_test(tc, clocks_that_cannot_be_meant_are_marked);
    tcase_add_test(tc, assigned_times_are_distinct_in_a_series);
    tcase_add_test(tc, a_full_disk_is_tried_once_a_second);
    tcase_add_test(tc, messages_of_the_run_before_are_known_for_a_while);
    tcase_add_test(tc, a_stopping_gateway_takes_none);
    tcase_add_test(tc, the_device_may_go_meanwhile);
    return suite_run(suite);
}
