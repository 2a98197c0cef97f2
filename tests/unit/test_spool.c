#include "base/text.h"
#include "store/spool.h"
#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct fixture f;
static struct spool *spool;

static void setup(void)
{
    fixture_setup(&f);
    ck_assert_int_eq(spool_new(&spool, f.directory, 10), 0);
}

static void teardown(void)
{
    spool = spool_free(spool);
    fixture_teardown(&f);
}

static const char *digest_text(void)
{
    static char text[65];

    return text_hex(spool_digest(spool), 32, text);
}

START_TEST(an_upload_is_kept_with_its_digest)
{
    char path[PATH_MAX];
    struct stat st;
    size_t size;

    ck_assert_int_eq(spool_write(spool, "ab", 2), 0);
    ck_assert_int_eq(spool_write(spool, "", 0), 0);
    ck_assert_int_eq(spool_write(spool, "c", 1), 0);
    ck_assert_int_eq(spool_finish(spool), 0);
    ck_assert_uint_eq(spool_size(spool), 3);
    ck_assert_str_eq(digest_text(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180 */
    ck_assert_int_eq(memcmp(spool_map(spool, &size), "abc", 3), 0);
    ck_assert_uint_eq(size, 3);
    ck_assert_ptr_eq(spool_map(spool, &size), spool_map(spool, &size));
    ck_assert(text_copy(path, sizeof path, spool_path(spool)));
    ck_assert_int_eq(strncmp(path, f.directory, strlen(f.directory)), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 3);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    spool = spool_free(spool);
    ck_assert_int_eq(stat(path, &st), -1);
}
END_TEST

START_TEST(an_empty_upload_has_no_map)
{
    size_t size = 1;

    ck_assert_int_eq(spool_finish(spool), 0);
    ck_assert_str_eq(digest_text(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_ptr_null(spool_map(spool, &size));
    ck_assert_uint_eq(size, 0);
}
END_TEST

START_TEST(the_limit_may_be_reached_but_not_passed)
{
    ck_assert_int_eq(spool_write(spool, "1234567", 7), 0);
    ck_assert_int_eq(spool_write(spool, "89012", 5), 1);
    ck_assert_uint_eq(spool_size(spool), 7); /* nothing was written */
    ck_assert_int_eq(spool_write(spool, "890", 3), 0);
    ck_assert_int_eq(spool_write(spool, "1", 1), 1);
    ck_assert_int_eq(spool_write(spool, "", 0), 0);
    ck_assert_int_eq(spool_finish(spool), 0);
    ck_assert_str_eq(digest_text(), "c775e7b757ede630cd0aa1113bd102661ab38829ca52a6422ab782862f268646");
}
END_TEST

START_TEST(nothing_is_written_after_the_end)
{
    ck_assert_int_eq(spool_write(spool, "ab", 2), 0);
    ck_assert_int_eq(spool_finish(spool), 0);
    ck_assert_int_eq(spool_finish(spool), 0);
    ck_assert_int_eq(spool_write(spool, "c", 1), -EBADF);
    ck_assert_uint_eq(spool_size(spool), 2);
}
END_TEST

START_TEST(a_full_disk_is_told_and_sticks)
{
    struct rlimit limit = {.rlim_cur = 4, .rlim_max = RLIM_INFINITY};

    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(spool_write(spool, "123456", 6), -ENOSPC);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(spool_write(spool, "1", 1), -ENOSPC); /* part of the data is missing */
    ck_assert_int_eq(spool_finish(spool), -ENOSPC);
}
END_TEST

START_TEST(a_directory_that_cannot_be_used_is_told)
{
    struct spool *other;

    ck_assert_int_eq(spool_new(&other, "/nonexistent/state", 10), -ENOENT);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(spool_new(&other, fixture_write(&f, "file", "x", 1), 10), -ENOTDIR);
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(leftovers_of_a_crash_are_removed_and_nothing_else)
{
    const char *left = spool_path(spool);
    struct stat st;

    (void)fixture_write(&f, "spool/notes", "x", 1);
    ck_assert_int_eq(stat(left, &st), 0);
    fixture_open(&f);
    ck_assert_int_eq(stat(left, &st), -1);
    ck_assert_int_eq(stat(fixture_path(&f, "spool/notes"), &st), 0);
}
END_TEST

static Suite *spool_suite(void)
{
    Suite *suite = suite_create("spool");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, an_upload_is_kept_with_its_digest);
    tcase_add_test(all, an_empty_upload_has_no_map);
    tcase_add_test(all, the_limit_may_be_reached_but_not_passed);
    tcase_add_test(all, nothing_is_written_after_the_end);
    tcase_add_test(all, a_full_disk_is_told_and_sticks);
    tcase_add_test(all, a_directory_that_cannot_be_used_is_told);
    tcase_add_test(all, leftovers_of_a_crash_are_removed_and_nothing_else);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return suite_run(spool_suite());
}
