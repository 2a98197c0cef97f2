#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <sqlite3.h>
#include <string.h>

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

struct answer {
    int calls, result;
    struct store_blobs blobs;
};

static void note_answer(void *arg, int result, struct store_blobs *blobs)
{
    struct answer *answer = arg;

    answer->calls++;
    answer->result = result;
    answer->blobs = *blobs;
}

static struct answer read_blobs(const char *id)
{
    struct answer answer = {0};

    ck_assert_int_eq(store_read_blobs(f.store, id, note_answer, &answer), 0);
    ck_assert_int_eq(answer.calls, 0);
    while (answer.calls == 0) {
        (void)usleep(500);
        store_dispatch(f.store);
    }
    ck_assert_int_eq(answer.calls, 1);
    return answer;
}

static void free_answer(struct answer *answer)
{
    free(answer->blobs.code);
    free(answer->blobs.data);
}

static uint8_t *pattern(size_t size, unsigned seed)
{
    uint8_t *bytes = malloc(size);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((i * 31 + i / 251 + seed) & 0xff);
    return bytes;
}

static int put(const char *id, uint64_t code_size, const char *code, uint64_t data_size, const char *data)
{
    struct store_batch *batch = store_batch_new();
    const struct store_artifact row = {.id = id, .manifest = "{}", .code_size = code_size, .data_size = data_size};

    store_batch_put_artifact(batch, &row, &(struct store_part){code, fixture_digest(code)},
                             &(struct store_part){data, fixture_digest(data)});
    return fixture_commit(&f, batch);
}

/* Sizes around those of the copying buffer and of SQLite's pages. */
static const size_t sizes[] = {1, 4095, 4096, 16383, 16384, 16385, 1 << 20, (3 << 20) + 7};

START_TEST(parts_come_back_as_they_were)
{
    size_t size = sizes[_i];
    uint8_t *code = pattern(size, 1), *data = pattern(size + 1, 2);
    struct answer answer;

    ck_assert_int_eq(
        put("a", size, fixture_write(&f, "code", code, size), size + 1, fixture_write(&f, "data", data, size + 1)), 0);
    fixture_reopen(&f);
    answer = read_blobs("a");
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.blobs.code_size, size);
    ck_assert_uint_eq(answer.blobs.data_size, size + 1);
    ck_assert_int_eq(memcmp(answer.blobs.code, code, size), 0);
    ck_assert_int_eq(memcmp(answer.blobs.data, data, size + 1), 0);
    free_answer(&answer);
    free(code);
    free(data);
}
END_TEST

START_TEST(parts_may_be_missing_or_empty)
{
    const char *empty = fixture_write(&f, "empty", "", 0);
    struct answer answer;

    ck_assert_int_eq(put("none", 0, NULL, 0, NULL), 0);
    ck_assert_int_eq(put("code", 3, fixture_write(&f, "code", "abc", 3), 0, NULL), 0);
    ck_assert_int_eq(put("empty", 0, empty, 0, empty), 0);
    answer = read_blobs("none");
    ck_assert_int_eq(answer.result, 0);
    ck_assert_ptr_null(answer.blobs.code);
    ck_assert_ptr_null(answer.blobs.data);
    answer = read_blobs("code");
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.blobs.code_size, 3);
    ck_assert_uint_eq(answer.blobs.data_size, 0);
    ck_assert_ptr_null(answer.blobs.data);
    free_answer(&answer);
    answer = read_blobs("empty");
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.blobs.code_size, 0);
}
END_TEST

START_TEST(an_unknown_artifact_is_told)
{
    struct answer answer = read_blobs("no such id");

    ck_assert_int_eq(answer.result, -ENOENT);
    ck_assert_ptr_null(answer.blobs.code);
    ck_assert_int_eq(put("a", 3, fixture_write(&f, "code", "abc", 3), 0, NULL), 0);
    {
        struct store_batch *batch = store_batch_new();

        store_batch_delete_artifact(batch, "a");
        ck_assert_int_eq(fixture_commit(&f, batch), 0);
    }
    answer = read_blobs("a");
    ck_assert_int_eq(answer.result, -ENOENT);
}
END_TEST

START_TEST(putting_again_replaces_the_parts)
{
    struct answer answer;

    ck_assert_int_eq(put("a", 3, fixture_write(&f, "1", "abc", 3), 3, fixture_write(&f, "2", "xyz", 3)), 0);
    ck_assert_int_eq(put("a", 5, fixture_write(&f, "3", "defgh", 5), 0, NULL), 0);
    answer = read_blobs("a");
    ck_assert_uint_eq(answer.blobs.code_size, 5);
    ck_assert_int_eq(memcmp(answer.blobs.code, "defgh", 5), 0);
    ck_assert_uint_eq(answer.blobs.data_size, 0);
    free_answer(&answer);
}
END_TEST

/* Whatever is wrong with the files, nothing of the artifact is kept. */
START_TEST(a_file_that_is_not_as_announced_fails_the_batch)
{
    const char *code = fixture_write(&f, "code", "abc", 3);

    ck_assert_int_eq(put("short", 4, code, 0, NULL), -EIO);
    ck_assert_int_eq(put("long", 2, code, 0, NULL), -EIO);
    ck_assert_int_eq(put("missing", 3, fixture_path(&f, "no such file"), 0, NULL), -EIO);
    ck_assert_int_eq(put("directory", 3, f.directory, 0, NULL), -EIO);
    ck_assert_int_eq(put("second", 3, code, 4, fixture_write(&f, "other", "xyz", 3)), -EIO);
    ck_assert_int_eq(put("pathless", 3, NULL, 0, NULL), -EIO);
    ck_assert_int_eq(put("huge", UINT64_MAX, code, 0, NULL), -EIO);
    ck_assert_int_eq(put("good", 3, code, 0, NULL), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT group_concat(id) FROM artifact"), "good");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM content"), "1");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM holding"), "1");
}
END_TEST

/* One copy for all that have it, until the last of them goes. */
START_TEST(what_several_have_is_stored_once)
{
    const char *code = fixture_write(&f, "code", "same", 4), *other = fixture_write(&f, "other", "else", 4);
    struct store_batch *batch = store_batch_new();
    struct answer answer;

    ck_assert_int_eq(put("a", 4, code, 4, code), 0);
    ck_assert_int_eq(put("b", 4, code, 4, other), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM content"), "2");
    store_batch_delete_artifact(batch, "a");
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM content"), "2");
    answer = read_blobs("b");
    ck_assert_int_eq(memcmp(answer.blobs.code, "same", 4), 0);
    ck_assert_int_eq(memcmp(answer.blobs.data, "else", 4), 0);
    free_answer(&answer);
    batch = store_batch_new();
    store_batch_delete_artifact(batch, "b");
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM content"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM holding"), "0");
}
END_TEST

START_TEST(what_is_kept_of_an_artifact_changes_alone)
{
    struct store_batch *batch = store_batch_new();

    ck_assert_int_eq(put("a", 4, fixture_write(&f, "code", "same", 4), 0, NULL), 0);
    store_batch_keep_artifact(batch, "a", true, 77);
    store_batch_keep_artifact(batch, "no such artifact", true, 77);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT id || pinned || used || code_size FROM artifact"), "a1774");
}
END_TEST

START_TEST(many_reads_come_back_while_writes_go_on)
{
    enum { COUNT = 200 };
    static struct answer answers[COUNT];
    uint8_t *code = pattern(50000, 3);
    int left = COUNT;

    ck_assert_int_eq(put("a", 50000, fixture_write(&f, "code", code, 50000), 0, NULL), 0);
    for (int i = 0; i < COUNT; i++) {
        struct store_batch *batch = store_batch_new();
        struct store_device device = fixture_device("d");

        store_batch_put_device(batch, &device);
        store_submit(f.store, batch, NULL, NULL);
        ck_assert_int_eq(store_read_blobs(f.store, "a", note_answer, &answers[i]), 0);
    }
    while (left > 0) {
        store_flush(f.store);
        left = COUNT;
        for (int i = 0; i < COUNT; i++)
            left -= answers[i].calls;
    }
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(answers[i].result, 0);
        ck_assert_int_eq(memcmp(answers[i].blobs.code, code, 50000), 0);
        free_answer(&answers[i]);
    }
    free(code);
}
END_TEST

START_TEST(close_drops_reads_that_wait)
{
    struct answer answer = {0};

    ck_assert_int_eq(put("a", 3, fixture_write(&f, "code", "abc", 3), 0, NULL), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(store_read_blobs(f.store, "a", note_answer, &answer), 0);
    fixture_close(&f);
    ck_assert_int_eq(answer.calls, 0);
}
END_TEST

static Suite *blobs_suite(void)
{
    Suite *suite = suite_create("store_blobs");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, parts_come_back_as_they_were, 0, sizeof sizes / sizeof sizes[0]);
    tcase_add_test(all, parts_may_be_missing_or_empty);
    tcase_add_test(all, an_unknown_artifact_is_told);
    tcase_add_test(all, putting_again_replaces_the_parts);
    tcase_add_test(all, a_file_that_is_not_as_announced_fails_the_batch);
    tcase_add_test(all, what_several_have_is_stored_once);
    tcase_add_test(all, what_is_kept_of_an_artifact_changes_alone);
    tcase_add_test(all, many_reads_come_back_while_writes_go_on);
    tcase_add_test(all, close_drops_reads_that_wait);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return suite_run(blobs_suite());
}
