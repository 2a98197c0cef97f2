#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* The rows of what devices say come back as they were put, with and without what may be missing, and go with their
 * device. */

static struct fixture f;

static void setup(void)
{
    fixture_setup(&f);
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

static void check_text(const char *got, const char *expected)
{
    ck_assert((got == NULL) == (expected == NULL));
    if (got)
        ck_assert_str_eq(got, expected);
}

static void check_bytes(struct store_bytes got, struct store_bytes expected)
{
    ck_assert((got.data == NULL) == (expected.data == NULL));
    ck_assert_uint_eq(got.size, expected.size);
    ck_assert(got.size == 0 || memcmp(got.data, expected.data, got.size) == 0);
}

static const struct store_cursor cursors[] = {{"cloud", UINT64_MAX >> 1}, {"local", 0}};
static const struct store_registration registrations[] = {
    {.number = 1, .ep = "node", .base = "coap://[::1]", .address = "coap://[::1]", .lifetime = 90000, .links = ""},
    {.number = 2,
     .ep = "node-2",
     .sector = "cellar",
     .base = "coap://[::2]",
     .address = "coap://[::3]:61616",
     .device = "box",
     .lifetime = UINT32_MAX,
     .registered = 5,
     .updated = 6,
     .links = "</t>;rt=\"x\"",
     .attributes = "et=oic.d&a=b"},
};
static const struct store_group groups[] = {{"cellar", "/t /h"}, {"roof", NULL}};
static const struct store_representation representations[] = {
    {.device = "box", .key = "/a", .format = -1, .max_age = 60, .received = 7},
    {.device = "box",
     .key = "/b?x=1",
     .format = 60,
     .max_age = UINT32_MAX,
     .received = 8,
     .etag = {"\0\1", 2},
     .body = {"\xa0\0b", 3}},
    {.device = "other", .key = "/a", .format = 0, .body = {"", 0}},
};
static const struct store_dead_letter letters[] = {
    {.sink = "hook", .first = 3, .last = 9, .time = 4, .reason = "500", .attempts = 7, .body = {"[]", 2}},
    {.sink = "hook", .first = 10, .last = 10},
};
static const struct store_document documents[] = {
    {"policy", "cellar", "{\"allow\":false}"},
    {"policy", "roof", "{}"},
    {"release", "blink@1", "{\"sequence\":1}"},
};
static const struct store_sequence sequences[] = {{"box", "blink", UINT64_MAX >> 1}, {"other", "blink", 0}};

static int check_cursor(void *arg, const struct store_cursor *row)
{
    const struct store_cursor *expected = &cursors[(*(int *)arg)++];

    check_text(row->name, expected->name);
    ck_assert(row->seq == expected->seq);
    return 0;
}

static int check_registration(void *arg, const struct store_registration *row)
{
    const struct store_registration *expected = &registrations[(*(int *)arg)++];

    ck_assert(row->number == expected->number && row->lifetime == expected->lifetime);
    ck_assert(row->registered == expected->registered && row->updated == expected->updated);
    check_text(row->ep, expected->ep);
    check_text(row->sector, expected->sector);
    check_text(row->base, expected->base);
    check_text(row->address, expected->address);
    check_text(row->device, expected->device);
    check_text(row->links, expected->links);
    check_text(row->attributes, expected->attributes);
    return 0;
}

static int check_group(void *arg, const struct store_group *row)
{
    const struct store_group *expected = &groups[(*(int *)arg)++];

    check_text(row->name, expected->name);
    check_text(row->observe, expected->observe);
    return 0;
}

static int check_representation(void *arg, const struct store_representation *row)
{
    const struct store_representation *expected = &representations[(*(int *)arg)++];

    check_text(row->device, expected->device);
    check_text(row->key, expected->key);
    ck_assert(row->format == expected->format && row->max_age == expected->max_age);
    ck_assert(row->received == expected->received);
    check_bytes(row->etag, expected->etag);
    ck_assert_uint_eq(row->body.size, expected->body.size);
    ck_assert(row->body.size == 0 || memcmp(row->body.data, expected->body.data, row->body.size) == 0);
    return 0;
}

static int check_letter(void *arg, const struct store_dead_letter *row)
{
    const struct store_dead_letter *expected = &letters[(*(int *)arg)++];

    check_text(row->sink, expected->sink);
    check_text(row->reason, expected->reason);
    ck_assert(row->first == expected->first && row->last == expected->last && row->time == expected->time);
    ck_assert(row->attempts == expected->attempts);
    check_bytes(row->body, expected->body);
    return 0;
}

static int check_document(void *arg, const struct store_document *row)
{
    const struct store_document *expected = &documents[(*(int *)arg)++];

    check_text(row->kind, expected->kind);
    check_text(row->key, expected->key);
    check_text(row->body, expected->body);
    return 0;
}

static int check_sequence(void *arg, const struct store_sequence *row)
{
    const struct store_sequence *expected = &sequences[(*(int *)arg)++];

    check_text(row->device, expected->device);
    check_text(row->component, expected->component);
    ck_assert(row->highest == expected->highest);
    return 0;
}

static void put_all(void)
{
    struct store_batch *batch = store_batch_new();

    for (size_t i = 0; i < array_size(cursors); i++)
        store_batch_put_cursor(batch, &cursors[i]);
    for (size_t i = 0; i < array_size(registrations); i++)
        store_batch_put_registration(batch, &registrations[i]);
    for (size_t i = 0; i < array_size(groups); i++)
        store_batch_put_group(batch, &groups[i]);
    for (size_t i = 0; i < array_size(representations); i++)
        store_batch_put_representation(batch, &representations[i]);
    for (size_t i = 0; i < array_size(letters); i++)
        store_batch_put_dead_letter(batch, &letters[i]);
    for (size_t i = 0; i < array_size(documents); i++)
        store_batch_put_document(batch, &documents[i]);
    for (size_t i = 0; i < array_size(sequences); i++)
        store_batch_put_sequence(batch, &sequences[i]);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

/* Loads each kind of row and returns how many there were of it. */
static int load(struct store_loader loader)
{
    int count = 0;

    loader.arg = &count;
    ck_assert_int_eq(store_load(f.store, &loader), 0);
    return count;
}

START_TEST(rows_come_back)
{
    put_all();
    put_all(); /* replaces */
    fixture_reopen(&f);
    ck_assert_int_eq(load((struct store_loader){.cursor = check_cursor}), array_size(cursors));
    ck_assert_int_eq(load((struct store_loader){.registration = check_registration}), array_size(registrations));
    ck_assert_int_eq(load((struct store_loader){.group = check_group}), array_size(groups));
    ck_assert_int_eq(load((struct store_loader){.representation = check_representation}), array_size(representations));
    ck_assert_int_eq(load((struct store_loader){.dead_letter = check_letter}), array_size(letters));
    ck_assert_int_eq(load((struct store_loader){.document = check_document}), array_size(documents));
    ck_assert_int_eq(load((struct store_loader){.sequence = check_sequence}), array_size(sequences));
}
END_TEST

START_TEST(rows_are_deleted)
{
    struct store_batch *batch = store_batch_new();

    put_all();
    store_batch_delete_cursor(batch, "cloud");
    store_batch_delete_registration(batch, 1);
    store_batch_delete_group(batch, "roof");
    store_batch_delete_representation(batch, "box", "/a");
    store_batch_delete_dead_letter(batch, "hook", 3);
    store_batch_delete_document(batch, "policy", "roof");
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(name) FROM cursor"), "local");
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(number) FROM registration"), "2");
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(name) FROM device_group"), "cellar");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM representation"), "2");
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(first) FROM dead_letter"), "10");
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(key) FROM document"), "cellar,blink@1");
    batch = store_batch_new();
    store_batch_delete_representation(batch, "other", NULL);
    store_batch_delete_device(batch, "box");
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM registration"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM representation"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(device) FROM sequence"), "other");
}
END_TEST

START_TEST(a_sequence_number_is_raised)
{
    static const uint64_t numbers[] = {5, 3, 9};
    struct store_batch *batch = store_batch_new();

    for (size_t i = 0; i < array_size(numbers); i++)
        store_batch_raise_sequence(batch, &(struct store_sequence){"box", "blink", numbers[i]});
    store_batch_raise_sequence(batch, &(struct store_sequence){"box", "other", 1});
    store_batch_raise_sequence(batch, &(struct store_sequence){"box", "blink", 8});
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(highest) FROM sequence"), "9,1");
    batch = store_batch_new();
    store_batch_put_sequence(batch, &(struct store_sequence){"box", "blink", 4});
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(highest) FROM sequence"), "4,1");
}
END_TEST

static int check_device(void *arg, const struct store_device *row)
{
    ++*(int *)arg;
    ck_assert(row->sleep_s == 3600 && row->awake_ms == 500);
    check_text(row->observe, "/t /h");
    return 0;
}

static int check_operation(void *arg, const struct store_operation *row)
{
    ++*(int *)arg;
    check_bytes(row->request, (struct store_bytes){"\0x", 2});
    return 0;
}

START_TEST(new_columns_come_back)
{
    struct store_batch *batch = store_batch_new();
    struct store_device device = fixture_device("box");
    struct store_operation operation = fixture_operation("1", "box");

    device.sleep_s = 3600;
    device.awake_ms = 500;
    device.observe = "/t /h";
    operation.request = (struct store_bytes){"\0x", 2};
    store_batch_put_device(batch, &device);
    store_batch_put_operation(batch, &operation);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    fixture_reopen(&f);
    ck_assert_int_eq(load((struct store_loader){.device = check_device}), 1);
    ck_assert_int_eq(load((struct store_loader){.operation = check_operation}), 1);
}
END_TEST

/* Journal ---------------------------------------------------------------------------------------------------------- */

#define ENTRIES 100

/* Entry i: every third of no device, every fifth without a body. */
static struct store_journal entry(uint64_t i)
{
    static char body[2000];

    memset(body, 'a' + (int)(i % 26), sizeof body);
    return (struct store_journal){.seq = i,
                                  .time = (int64_t)(1000 * i),
                                  .kind = (int)(i % 9),
                                  .device = i % 3 ? "box" : NULL,
                                  .origin = i % 2 ? UINT64_MAX - i : 0,
                                  .body = {i % 5 ? body : NULL, i % 5 ? i * 10 : 0}};
}

static void add_entries(void)
{
    struct store_batch *batch = store_batch_new();

    for (uint64_t i = 1; i <= ENTRIES; i++) {
        struct store_journal row = entry(i);

        store_batch_add_journal(batch, &row);
    }
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

static void check_entry(const struct store_journal *row, bool with_body)
{
    struct store_journal expected = entry(row->seq);

    ck_assert(row->time == expected.time && row->kind == expected.kind && row->origin == expected.origin);
    check_text(row->device, expected.device);
    if (with_body)
        check_bytes(row->body, expected.body);
}

struct page {
    int result;
    bool done;
    uint64_t first, last, first_kept, gone;
    size_t count;
};

static void note_page(void *arg, int result, const struct store_journal_page *page)
{
    struct page *got = arg;

    *got = (struct page){
        .result = result, .done = true, .count = page->count, .first_kept = page->first_kept, .gone = page->gone};
    for (size_t i = 0; i < page->count; i++)
        check_entry(&page->rows[i], true);
    if (page->count > 0) {
        got->first = page->rows[0].seq;
        got->last = page->rows[page->count - 1].seq;
    }
}

static struct page read_page(uint64_t after, size_t max, size_t max_bytes)
{
    struct page page = {0};

    ck_assert_int_eq(store_read_journal(f.store, after, max, max_bytes, note_page, &page), 0);
    for (int i = 0; i < 5000 && !page.done; i++) {
        (void)usleep(1000);
        store_dispatch(f.store);
    }
    ck_assert(page.done && page.result == 0);
    return page;
}

START_TEST(the_journal_is_read_in_pages)
{
    struct page page = read_page(0, 10, SIZE_MAX);

    ck_assert(page.count == 0 && page.first_kept == 1 && page.gone == 0);
    add_entries();
    page = read_page(0, 10, SIZE_MAX);
    ck_assert(page.count == 10 && page.first == 1 && page.last == 10 && page.first_kept == 1 && page.gone == 0);
    page = read_page(95, 1000, SIZE_MAX);
    ck_assert(page.count == 5 && page.last == ENTRIES);
    ck_assert_uint_eq(read_page(ENTRIES, 10, SIZE_MAX).count, 0);
    ck_assert_uint_eq(read_page(UINT64_MAX, 10, SIZE_MAX).count, 0);
    page = read_page(49, 1000, 1000); /* 500 bytes each, about, but every fifth */
    ck_assert(page.first == 50 && page.count >= 2 && page.count <= 4);
    ck_assert_uint_eq(read_page(49, 10, 0).count, 1); /* it goes on, whatever the size */
}
END_TEST

struct loaded {
    uint64_t first, last;
    int count;
};

static int note_entry(void *arg, const struct store_journal *row)
{
    struct loaded *loaded = arg;

    check_entry(row, false);
    ck_assert(row->body.data == NULL);
    loaded->first = loaded->count++ == 0 ? row->seq : loaded->first;
    ck_assert(row->seq > loaded->last);
    loaded->last = row->seq;
    return 0;
}

static struct loaded load_journal(int64_t since, int64_t span)
{
    struct loaded loaded = {0};
    const struct store_loader loader = {
        .journal = note_entry, .journal_since = since, .journal_span = span, .arg = &loaded};

    fixture_reopen(&f);
    ck_assert_int_eq(store_load(f.store, &loader), 0);
    return loaded;
}

START_TEST(the_newest_entries_are_loaded)
{
    struct loaded loaded = load_journal(0, INT64_MAX);

    ck_assert_int_eq(loaded.count, 0);
    add_entries();
    loaded = load_journal(90000, INT64_MAX);
    ck_assert(loaded.first == 90 && loaded.last == ENTRIES && loaded.count == 11);
    loaded = load_journal(1000 * ENTRIES + 1, INT64_MAX); /* at least the last */
    ck_assert(loaded.first == ENTRIES && loaded.count == 1);
    loaded = load_journal(INT64_MIN, INT64_MAX);
    ck_assert(loaded.first == 1 && loaded.count == ENTRIES);
    loaded = load_journal(INT64_MIN, 10000); /* the clock was set back since: not the whole journal */
    ck_assert(loaded.first == ENTRIES - 10 && loaded.count == 11);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_rows");
    TCase *tcase = tcase_create("rows");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, rows_come_back);
    tcase_add_test(tcase, rows_are_deleted);
    tcase_add_test(tcase, a_sequence_number_is_raised);
    tcase_add_test(tcase, new_columns_come_back);
    tcase_add_test(tcase, the_journal_is_read_in_pages);
    tcase_add_test(tcase, the_newest_entries_are_loaded);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
