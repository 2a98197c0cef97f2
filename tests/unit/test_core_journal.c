#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include "base/buffer.h"
#include "codec/pack.h"
#include "core/journal.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* The journal on a store in memory: order, failures, memory, pages, filters, cursors. */

static struct core_fixture f;
static unsigned woken;

static void wake(void *arg)
{
    (void)arg;
    woken++;
}

static void setup(void)
{
    fake_store_wipe();
    core_setup(&f);
    f.options.journal_memory = 64 * 1024;
    core_restart(&f);
    core_flush(&f);
    woken = 0;
}

static void teardown(void)
{
    core_teardown(&f);
    fake_store_wipe();
}

static struct journal_reader *open_reader(uint64_t after, const struct journal_filter *filter)
{
    static const struct journal_filter all;
    struct journal_reader *reader = core_open_journal(f.core, after, filter ? filter : &all, wake, NULL);

    ck_assert_ptr_nonnull(reader);
    return reader;
}

static void note(int number)
{
    journal_note(f.core, JOURNAL_GATEWAY, NULL, json_pack("{s:s, s:i}", "event", "test", "number", number));
}

/* What comes next, with all that has to be read from the disk; the number of a note, -1 at the end, -2 for missing
 * entries, -3 for a failure. */
static int next(struct journal_reader *reader, struct journal_entry *entry, uint64_t *missing)
{
    for (;;) {
        enum journal_result result = journal_read(reader, entry, missing);
        json_t *body;
        int number;

        if (result == JOURNAL_WAIT && !journal_is_at_end(reader)) {
            fake_store_tell(f.store, 1);
            core_advance(&f, 0);
            continue;
        }
        if (result != JOURNAL_ENTRY)
            return result == JOURNAL_WAIT ? -1 : result == JOURNAL_MISSING ? -2 : -3;
        body = json_loadb(entry->body, entry->size, 0, NULL);
        number = json_is_integer(json_object_get(body, "number"))
                     ? (int)json_integer_value(json_object_get(body, "number"))
                     : 0;
        json_decref(body);
        return number;
    }
}

static int next_note(struct journal_reader *reader)
{
    struct journal_entry entry;
    uint64_t missing;

    return next(reader, &entry, &missing);
}

static uint64_t last_number(void)
{
    struct journal_stats stats;

    core_get_journal_stats(f.core, &stats);
    return stats.last;
}

START_TEST(entries_are_seen_when_they_are_durable)
{
    struct journal_reader *reader = open_reader(JOURNAL_FROM_NOW, NULL);

    note(1);
    ck_assert_int_eq(next_note(reader), -1);
    fake_store_commit(f.store, 1);
    ck_assert_int_eq(next_note(reader), -1);
    ck_assert_uint_eq(woken, 0);
    fake_store_tell(f.store, 1);
    ck_assert_uint_eq(woken, 1);
    ck_assert_int_eq(next_note(reader), 1);
    ck_assert_int_eq(next_note(reader), -1);
    ck_assert_uint_eq(journal_position(reader), last_number());
    (void)journal_close(reader);
}
END_TEST

START_TEST(a_reader_that_does_not_wait_is_not_woken)
{
    struct journal_reader *reader = open_reader(JOURNAL_FROM_NOW, NULL);

    note(1);
    core_flush(&f);
    ck_assert_uint_eq(woken, 0);
    ck_assert_int_eq(next_note(reader), 1);
    (void)journal_close(reader);
}
END_TEST

static void add_to(struct store_batch *batch, int number)
{
    journal_add(f.core, batch, JOURNAL_GATEWAY, NULL, json_pack("{s:s, s:i}", "event", "test", "number", number));
}

/* A batch that was filled first and submitted last holds the smaller numbers: nobody sees the others before them. */
START_TEST(order_is_that_of_the_numbers)
{
    struct journal_reader *reader = open_reader(JOURNAL_FROM_NOW, NULL);
    struct store_batch *first = store_batch_new(), *second = store_batch_new();

    add_to(first, 1);
    add_to(second, 2);
    add_to(first, 3);
    journal_submit(f.core, second, NULL, NULL);
    journal_submit(f.core, first, NULL, NULL);
    fake_store_commit(f.store, 1);
    fake_store_tell(f.store, 1);
    ck_assert_int_eq(next_note(reader), -1);
    core_flush(&f);
    ck_assert_int_eq(next_note(reader), 1);
    ck_assert_int_eq(next_note(reader), 2);
    ck_assert_int_eq(next_note(reader), 3);
    ck_assert_int_eq(next_note(reader), -1);
    (void)journal_close(reader);
}
END_TEST

static void note_result(void *arg, int result)
{
    *(int *)arg = result;
}

START_TEST(what_failed_is_not_seen_and_holds_nothing_up)
{
    struct journal_reader *reader = open_reader(JOURNAL_FROM_NOW, NULL);
    struct store_batch *batch = store_batch_new();
    int result = 1;

    note(1);
    add_to(batch, 2);
    journal_submit(f.core, batch, note_result, &result);
    note(3);
    fake_store_commit(f.store, 1);
    fake_store_fail(1, -ENOSPC);
    core_flush(&f);
    ck_assert_int_eq(result, -ENOSPC);
    ck_assert_int_eq(next_note(reader), 1);
    ck_assert_int_eq(next_note(reader), 3);
    ck_assert_int_eq(next_note(reader), -1);
    (void)journal_close(reader);
}
END_TEST

START_TEST(a_batch_that_is_freed_holds_nothing_up)
{
    struct journal_reader *reader = open_reader(JOURNAL_FROM_NOW, NULL);
    struct store_batch *batch = store_batch_new();

    add_to(batch, 1);
    journal_free_batch(f.core, batch);
    note(2);
    core_flush(&f);
    ck_assert_int_eq(next_note(reader), 2);
    ck_assert_int_eq(next_note(reader), -1);
    (void)journal_close(reader);
}
END_TEST

static void write_notes(int count)
{
    for (int i = 1; i <= count; i++)
        note(i);
    core_flush(&f);
}

#define MANY 3000 /* many times what the memory holds */

START_TEST(memory_is_bounded_and_older_ones_come_from_the_disk)
{
    struct journal_reader *reader = open_reader(JOURNAL_FROM_NOW, NULL);
    struct journal_stats stats;
    unsigned reads = fake_store_count_reads();

    write_notes(MANY);
    core_get_journal_stats(f.core, &stats);
    ck_assert_uint_le(stats.memory, 64 * 1024);
    for (int i = 1; i <= MANY; i++)
        ck_assert_int_eq(next_note(reader), i);
    ck_assert_int_eq(next_note(reader), -1);
    reads = fake_store_count_reads() - reads;
    ck_assert_uint_gt(reads, 3);
    ck_assert_uint_lt(reads, MANY / 100);
    core_get_journal_stats(f.core, &stats);
    ck_assert_uint_le(stats.memory, 2 * 64 * 1024);
    (void)journal_close(reader);
}
END_TEST

/* After a restart all clients come back to the same place: each page is read once for all of them. */
START_TEST(readers_share_pages)
{
    uint64_t after = last_number();
    struct journal_reader *readers[100];
    unsigned reads;

    write_notes(500);
    core_restart(&f);
    core_flush(&f);
    reads = fake_store_count_reads();
    for (size_t i = 0; i < array_size(readers); i++)
        readers[i] = open_reader(after, NULL);
    for (int n = 1; n <= 500; n++)
        for (size_t i = 0; i < array_size(readers); i++)
            ck_assert_int_eq(next_note(readers[i]), n);
    ck_assert_uint_lt(fake_store_count_reads() - reads, 20);
    for (size_t i = 0; i < array_size(readers); i++)
        (void)journal_close(readers[i]);
}
END_TEST

/* Each waits for pages of its own, in memory for two: all come to the end. */
START_TEST(readers_at_different_places_all_go_on)
{
    uint64_t after = last_number();
    struct journal_reader *readers[20];
    int at[array_size(readers)];
    size_t left = array_size(readers);
    struct journal_entry entry;
    uint64_t missing;

    write_notes(MANY);
    for (size_t i = 0; i < array_size(readers); i++) {
        at[i] = (int)i * 100;
        readers[i] = open_reader(after + (uint64_t)at[i], NULL);
    }
    for (int round = 0; left > 0; round++) {
        ck_assert_int_lt(round, 10 * MANY);
        for (size_t i = 0; i < array_size(readers); i++) {
            if (readers[i] && journal_read(readers[i], &entry, &missing) == JOURNAL_ENTRY)
                at[i]++;
            if (readers[i] && at[i] == MANY) {
                readers[i] = journal_close(readers[i]);
                left--;
            }
        }
        fake_store_tell(f.store, 1);
        core_advance(&f, 0);
    }
}
END_TEST

START_TEST(who_fell_behind_is_told_how_much_is_missing)
{
    uint64_t after = last_number(), missing = 0;
    struct journal_reader *reader = open_reader(after, NULL), *all;
    struct journal_stats stats;
    struct journal_entry entry;

    write_notes(MANY);
    ck_assert_int_eq(next_note(reader), 1);
    fake_store_trim(after + 1001);
    core_restart(&f); /* which forgets the readers: */
    core_flush(&f);
    reader = open_reader(after + 1, NULL);
    ck_assert_int_eq(next(reader, &entry, &missing), -2);
    ck_assert_uint_eq(missing, 999);
    ck_assert_int_eq(next_note(reader), 1001);
    ck_assert_int_eq(next_note(reader), 1002);
    core_get_journal_stats(f.core, &stats);
    ck_assert_uint_eq(stats.missing, 999);
    all = open_reader(0, NULL); /* wants what is kept, and misses nothing */
    ck_assert_int_eq(next_note(all), 1001);
    (void)journal_close(all);
    (void)journal_close(reader);
}
END_TEST

START_TEST(a_disk_that_cannot_be_read_is_tried_again)
{
    struct journal_reader *reader;
    uint64_t after = last_number();
    struct journal_entry entry;
    uint64_t missing;

    write_notes(10);
    core_restart(&f);
    core_flush(&f);
    reader = open_reader(after, NULL);
    fake_store_fail_reads(1);
    ck_assert_int_eq(journal_read(reader, &entry, &missing), JOURNAL_WAIT);
    fake_store_tell(f.store, 1);
    ck_assert_uint_eq(woken, 1);
    ck_assert_int_eq(journal_read(reader, &entry, &missing), JOURNAL_FAILED);
    core_advance(&f, 999);
    ck_assert_uint_eq(woken, 1);
    core_advance(&f, 1);
    ck_assert_uint_eq(woken, 2);
    for (int i = 1; i <= 10; i++)
        ck_assert_int_eq(next_note(reader), i);
    (void)journal_close(reader);
}
END_TEST

START_TEST(a_reader_may_go_while_its_page_is_read)
{
    uint64_t after = last_number();
    struct journal_entry entry;
    uint64_t missing;

    write_notes(10);
    core_restart(&f);
    core_flush(&f);
    for (int i = 0; i < 5; i++) {
        struct journal_reader *reader = open_reader(after + (uint64_t)i, NULL);

        ck_assert_int_eq(journal_read(reader, &entry, &missing), JOURNAL_WAIT);
        (void)journal_close(reader);
    }
    core_flush(&f);
    ck_assert_uint_eq(woken, 0);
}
END_TEST

START_TEST(a_step_back_gives_the_same_again)
{
    struct journal_reader *reader;
    uint64_t after = last_number();

    write_notes(MANY);
    reader = open_reader(after, NULL);
    for (int i = 1; i <= MANY; i++) {
        ck_assert_int_eq(next_note(reader), i);
        journal_step_back(reader);
        ck_assert_int_eq(next_note(reader), i);
    }
    (void)journal_close(reader);
}
END_TEST

START_TEST(numbers_beyond_the_end_mean_now)
{
    struct journal_reader *reader = open_reader(last_number() + 1000, NULL);

    ck_assert_int_eq(next_note(reader), -1);
    note(7);
    core_flush(&f);
    ck_assert_int_eq(next_note(reader), 7);
    (void)journal_close(reader);
}
END_TEST

/* Filters --------------------------------------------------------------------------------------------------------- */

static void send_record(const char *device, const char *name, double value)
{
    const struct telemetry_record record = {
        .name = name, .unit = "Cel", .time_us = WALL_START * 1000, .kind = TELEMETRY_NUMBER, .number = value};
    struct store_batch *batch = store_batch_new();
    struct buffer pack = {0};

    pack_write_all(&pack, &record, 1);
    ck_assert_uint_gt(journal_add_pack(f.core, batch, device, pack.data, pack.size, 0), 0);
    journal_submit(f.core, batch, NULL, NULL);
    buffer_clear(&pack);
}

static unsigned count(const struct journal_filter *filter)
{
    struct journal_reader *reader = open_reader(0, filter);
    unsigned n = 0;

    while (next_note(reader) >= 0)
        n++;
    (void)journal_close(reader);
    return n;
}

START_TEST(filters)
{
    struct device *one = add_device(&f, "one", AGENT_V2);
    json_t *body = json_of("{'groups':['lab']}");
    struct outcome outcome = {.called = false};

    (void)add_device(&f, "two", AGENT_V2);
    ck_assert_int_eq(core_patch_device(f.core, one, body, note_done, &outcome, NULL), 0);
    send_record("one", "temp/in", 1);
    send_record("one", "temp/out", 2);
    send_record("two", "temp/in", 3);
    core_flush(&f);
    ck_assert_uint_eq(count(&(struct journal_filter){.kinds = 1u << JOURNAL_TELEMETRY}), 3);
    ck_assert_uint_eq(count(&(struct journal_filter){.kinds = 1u << JOURNAL_DEVICE}), 3);
    ck_assert_uint_eq(count(&(struct journal_filter){.kinds = 1u << JOURNAL_TELEMETRY, .device = "one"}), 2);
    ck_assert_uint_eq(count(&(struct journal_filter){.kinds = 1u << JOURNAL_TELEMETRY, .group = "lab"}), 2);
    ck_assert_uint_eq(count(&(struct journal_filter){.group = "la"}), 0);
    ck_assert_uint_eq(count(&(struct journal_filter){.name = "temp/in"}), 2);
    ck_assert_uint_eq(count(&(struct journal_filter){.name = "temp/*"}), 3);
    ck_assert_uint_eq(count(&(struct journal_filter){.name = "temp"}), 0);
    ck_assert_uint_eq(count(&(struct journal_filter){.name = "*"}), 3);
    ck_assert_uint_eq(count(&(struct journal_filter){.device = "nobody"}), 0);
    json_decref(body);
}
END_TEST

/* Passing over many takes several turns of the loop, and no more memory. */
START_TEST(a_filter_that_lets_nothing_pass_gives_way)
{
    struct journal_reader *reader = open_reader(0, &(struct journal_filter){.kinds = 1u << JOURNAL_ARTIFACT});
    struct journal_entry entry;
    uint64_t missing;

    f.options.journal_memory = 16 << 20;
    core_configure(f.core, &f.options);
    write_notes(MANY);
    ck_assert_int_eq(journal_read(reader, &entry, &missing), JOURNAL_WAIT);
    ck_assert(!journal_is_at_end(reader));
    ck_assert_int_eq(next(reader, &entry, &missing), -1);
    ck_assert(journal_is_at_end(reader));
    (void)journal_close(reader);
}
END_TEST

/* Texts ----------------------------------------------------------------------------------------------------------- */

START_TEST(texts_are_made_once)
{
    struct journal_reader *a = open_reader(JOURNAL_FROM_NOW, NULL), *b = open_reader(JOURNAL_FROM_NOW, NULL);
    struct journal_entry entry;
    uint64_t missing;
    const char *text;
    size_t size;

    send_record("one", "t", 21.5);
    note(5);
    core_flush(&f);
    ck_assert_int_eq(journal_read(a, &entry, &missing), JOURNAL_ENTRY);
    text = journal_entry_json(f.core, &entry, &size);
    ck_assert_ptr_nonnull(strstr(text,
                                 "\"kind\":\"telemetry\",\"device\":\"one\",\"records\":[{\"name\":\"t\",\"unit\":"
                                 "\"Cel\",\"time\":\"2026-01-01T00:00:00.000000Z\",\"value\":21.5}]}"));
    ck_assert_uint_eq(size, strlen(text));
    ck_assert_int_eq(journal_read(b, &entry, &missing), JOURNAL_ENTRY);
    ck_assert_ptr_eq(journal_entry_json(f.core, &entry, &size), text);
    ck_assert_int_eq(journal_read(a, &entry, &missing), JOURNAL_ENTRY);
    text = journal_entry_json(f.core, &entry, &size);
    ck_assert_ptr_nonnull(strstr(text, ",\"kind\":\"gateway\",\"event\":\"test\",\"number\":5}"));
    (void)journal_close(a);
    (void)journal_close(b);
}
END_TEST

/* Cursors --------------------------------------------------------------------------------------------------------- */

START_TEST(cursors_are_saved_together_and_seldom)
{
    struct store_stats before, after;

    ck_assert_uint_eq(core_find_cursor(f.core, "a"), JOURNAL_FROM_NOW);
    store_get_stats(f.store, &before);
    for (uint64_t i = 1; i <= 100; i++) {
        core_save_cursor(f.core, "a", i);
        core_save_cursor(f.core, "b", i);
        core_advance(&f, 5);
    }
    ck_assert_uint_eq(fake_store_rows("cursor"), 0);
    core_advance(&f, 1000);
    store_get_stats(f.store, &after);
    ck_assert_uint_eq(fake_store_rows("cursor"), 2);
    core_restart(&f);
    ck_assert_uint_eq(core_find_cursor(f.core, "a"), 100);
    core_drop_cursor(f.core, "a");
    core_save_cursor(f.core, "b", 200); /* the stop writes it */
    core_restart(&f);
    ck_assert_uint_eq(core_find_cursor(f.core, "a"), JOURNAL_FROM_NOW);
    ck_assert_uint_eq(core_find_cursor(f.core, "b"), 200);
    ck_assert_uint_ge(last_number(), 200); /* numbers that a cursor has are not given again */
}
END_TEST

START_TEST(a_cursor_that_could_not_be_saved_is_saved_later)
{
    core_save_cursor(f.core, "a", 5);
    fake_store_fail(1, -EIO);
    core_advance(&f, 1000);
    ck_assert_uint_eq(fake_store_rows("cursor"), 0);
    core_advance(&f, 1001);
    ck_assert_uint_eq(fake_store_rows("cursor"), 1);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, entries_are_seen_when_they_are_durable);
    tcase_add_test(tc, a_reader_that_does_not_wait_is_not_woken);
    tcase_add_test(tc, order_is_that_of_the_numbers);
    tcase_add_test(tc, what_failed_is_not_seen_and_holds_nothing_up);
    tcase_add_test(tc, a_batch_that_is_freed_holds_nothing_up);
    tcase_add_test(tc, memory_is_bounded_and_older_ones_come_from_the_disk);
    tcase_add_test(tc, readers_share_pages);
    tcase_add_test(tc, readers_at_different_places_all_go_on);
    tcase_add_test(tc, who_fell_behind_is_told_how_much_is_missing);
    tcase_add_test(tc, a_disk_that_cannot_be_read_is_tried_again);
    tcase_add_test(tc, a_reader_may_go_while_its_page_is_read);
    tcase_add_test(tc, a_step_back_gives_the_same_again);
    tcase_add_test(tc, numbers_beyond_the_end_mean_now);
    tcase_add_test(tc, filters);
    tcase_add_test(tc, a_filter_that_lets_nothing_pass_gives_way);
    tcase_add_test(tc, texts_are_made_once);
    tcase_add_test(tc, cursors_are_saved_together_and_seldom);
    tcase_add_test(tc, a_cursor_that_could_not_be_saved_is_saved_later);
}

int main(void)
{
    Suite *suite = suite_create("core_journal");

    add_tests(suite_add_case(suite, "journal", setup, teardown));
    return suite_run(suite);
}
