#include "store/store_schema.h"
#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fixture f;
static char reason[512];

static void setup(void)
{
    fixture_setup(&f);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

/* The result of opening `directory`, which has to come with a reason that names the path and holds `part`. */
static int try_open(const char *directory, const char *part)
{
    const struct store_options options = {.directory = directory};
    struct store *store = (struct store *)&options; /* has to be overwritten */
    int result;

    reason[0] = 0;
    result = store_open(&store, &options, reason, sizeof reason);
    ck_assert_int_gt(result, 0);
    ck_assert_ptr_null(store);
    ck_assert_msg(strstr(reason, directory) != NULL, "%s", reason);
    ck_assert_msg(strstr(reason, part) != NULL, "%s", reason);
    return result;
}

static void execute(const char *sql)
{
    sqlite3 *db = NULL;

    ck_assert_int_eq(sqlite3_open(fixture_path(&f, "tcgw.db"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static void put_devices(int count)
{
    struct store_batch *batch = store_batch_new();

    for (int i = 0; i < count; i++) {
        char id[16];
        struct store_device device = fixture_device(id);

        (void)snprintf(id, sizeof id, "%08d", i);
        store_batch_put_device(batch, &device);
    }
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

/* The directory --------------------------------------------------------------------------------------------------- */

START_TEST(only_the_last_component_is_made)
{
    const char *path = fixture_path(&f, "state");
    const struct store_options options = {.directory = path};
    struct store_stats stats;
    struct stat st;

    ck_assert_int_eq(store_open(&f.store, &options, reason, sizeof reason), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0027, 0);
    store_get_stats(f.store, &stats);
    ck_assert_uint_gt(stats.file_bytes, 4096); /* told before the first commit */
    ck_assert_int_eq(try_open(fixture_path(&f, "a/b"), "No such file or directory"), STORE_E_DIRECTORY);
}
END_TEST

START_TEST(a_file_in_place_of_the_directory_is_told)
{
    ck_assert_int_eq(try_open(fixture_write(&f, "file", "x", 1), "is not a directory"), STORE_E_DIRECTORY);
    ck_assert_int_eq(try_open(fixture_path(&f, "file/state"), "Not a directory"), STORE_E_DIRECTORY);
}
END_TEST

/* Tests run as root too, whom no mode stops. */
static void become_nobody(void)
{
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    (void)prctl(PR_SET_DUMPABLE, 1); /* LeakSanitizer needs it */
}

static void become_root(void)
{
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
    (void)prctl(PR_SET_DUMPABLE, 1);
}

START_TEST(a_directory_that_cannot_be_written_is_told)
{
    ck_assert_int_eq(chmod(f.directory, 0555), 0);
    become_nobody();
    ck_assert_int_eq(try_open(f.directory, "Permission denied"), STORE_E_DIRECTORY);
    ck_assert_int_eq(try_open(fixture_path(&f, "state"), "Permission denied"), STORE_E_DIRECTORY);
    become_root();
    ck_assert_int_eq(chmod(f.directory, 0755), 0);
}
END_TEST

START_TEST(a_database_that_cannot_be_written_is_told)
{
    fixture_open(&f);
    fixture_close(&f);
    ck_assert_int_eq(chmod(f.directory, 0777), 0);
    ck_assert_int_eq(chmod(fixture_path(&f, "lock"), 0666), 0);
    ck_assert_int_eq(chmod(fixture_path(&f, "spool"), 0777), 0);
    ck_assert_int_eq(chmod(fixture_path(&f, "tcgw.db"), 0444), 0);
    become_nobody();
    ck_assert_int_eq(try_open(f.directory, "cannot be opened for writing"), STORE_E_DIRECTORY);
    become_root();
    fixture_open(&f);
}
END_TEST

START_TEST(things_that_are_not_files_are_told)
{
    ck_assert_int_eq(mkdir(fixture_path(&f, "tcgw.db"), 0755), 0);
    ck_assert_int_eq(try_open(f.directory, "cannot be opened"), STORE_E_DIRECTORY);
    ck_assert_int_eq(rmdir(fixture_path(&f, "tcgw.db")), 0);
    ck_assert_int_eq(rmdir(fixture_path(&f, "spool")), 0);
    (void)fixture_write(&f, "spool", "x", 1);
    ck_assert_int_eq(try_open(f.directory, "spool"), STORE_E_DIRECTORY);
}
END_TEST

START_TEST(a_second_store_is_locked_out)
{
    char pid[32];

    fixture_open(&f);
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    ck_assert_int_eq(try_open(f.directory, pid), STORE_E_LOCKED);
    put_devices(1); /* the first goes on */
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_count(&f).devices, 1);
}
END_TEST

START_TEST(a_disk_that_is_full_from_the_start_is_told)
{
    struct rlimit limit = {.rlim_cur = 2048, .rlim_max = RLIM_INFINITY};

    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(try_open(f.directory, "no space is left"), STORE_E_IO);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    fixture_open(&f);
}
END_TEST

/* The file -------------------------------------------------------------------------------------------------------- */

START_TEST(a_newer_version_is_left_alone)
{
    fixture_open(&f);
    fixture_close(&f);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA user_version"), "5");
    ck_assert_str_eq(fixture_query(&f, "PRAGMA application_id"), "1952671607");
    execute("PRAGMA user_version=6");
    ck_assert_int_eq(try_open(f.directory, "schema version 6, this program knows versions up to 5"), STORE_E_NEWER);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA user_version"), "6");
    execute("PRAGMA user_version=-1");
    ck_assert_int_eq(try_open(f.directory, "impossible schema version -1"), STORE_E_CORRUPT);
}
END_TEST

START_TEST(the_database_of_another_program_is_left_alone)
{
    execute("CREATE TABLE t(x)");
    ck_assert_int_eq(try_open(f.directory, "another program"), STORE_E_CORRUPT);
    execute("DROP TABLE t; PRAGMA application_id=5");
    ck_assert_int_eq(try_open(f.directory, "another program"), STORE_E_CORRUPT);
    execute("PRAGMA application_id=0; PRAGMA user_version=1");
    ck_assert_int_eq(try_open(f.directory, "another program"), STORE_E_CORRUPT);
    execute("PRAGMA user_version=0");
    fixture_open(&f);
}
END_TEST

START_TEST(a_file_that_is_no_database_is_told)
{
    char garbage[5000];

    memset(garbage, 'g', sizeof garbage);
    (void)fixture_write(&f, "tcgw.db", garbage, sizeof garbage);
    ck_assert_int_eq(try_open(f.directory, "not a database"), STORE_E_CORRUPT);
}
END_TEST

START_TEST(an_empty_file_becomes_a_database)
{
    (void)fixture_write(&f, "tcgw.db", "", 0);
    fixture_open(&f);
    put_devices(1);
}
END_TEST

/* Overwrites bytes of the closed database. */
static void damage(long offset, size_t size)
{
    FILE *file = fopen(fixture_path(&f, "tcgw.db"), "r+");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    for (size_t i = 0; i < size; i++)
        ck_assert_int_ne(putc('X', file), EOF);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_damaged_file_is_told)
{
    struct stat st;

    fixture_open(&f);
    put_devices(2000);
    fixture_close(&f);
    ck_assert_int_eq(stat(fixture_path(&f, "tcgw.db"), &st), 0);
    ck_assert_int_gt(st.st_size, 20 * 4096);
    if (_i == 0)
        damage(12 * 4096, 4096); /* a page of rows */
    else if (_i == 1)
        damage(100, 100); /* the schema's page */
    else
        ck_assert_int_eq(truncate(fixture_path(&f, "tcgw.db"), st.st_size / 2), 0);
    ck_assert_int_eq(try_open(f.directory, "damaged"), STORE_E_CORRUPT);
    ck_assert_msg(strstr(reason, "backup") != NULL, "%s", reason);
}
END_TEST

/* A child fills the store and dies without closing it, so that the WAL stays. */
static void leave_wal(void)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        fixture_open(&f);
        for (int i = 1; i <= 20; i++)
            put_devices(i);
        (void)kill(getpid(), SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(a_truncated_wal_loses_its_end_only)
{
    struct stat st;
    int before = 20;

    leave_wal();
    ck_assert_int_eq(stat(fixture_path(&f, "tcgw.db-wal"), &st), 0);
    for (off_t size = st.st_size; size > 0; size -= st.st_size / 7 + 1) {
        int devices;

        fixture_close(&f);
        fixture_teardown(&f);
        fixture_setup(&f);
        leave_wal();
        ck_assert_int_eq(truncate(fixture_path(&f, "tcgw.db-wal"), size), 0);
        fixture_open(&f);
        devices = fixture_count(&f).devices;
        ck_assert_int_le(devices, before);
        ck_assert_str_eq(fixture_query(&f, "PRAGMA integrity_check"), "ok");
        before = devices;
    }
    ck_assert_int_lt(before, 20);
}
END_TEST

START_TEST(a_damaged_wal_loses_its_end_only)
{
    FILE *file;
    struct stat st;

    leave_wal();
    ck_assert_int_eq(stat(fixture_path(&f, "tcgw.db-wal"), &st), 0);
    file = fopen(fixture_path(&f, "tcgw.db-wal"), "r+");
    ck_assert_int_eq(fseek(file, st.st_size / 2, SEEK_SET), 0);
    ck_assert_int_ge(fputs("garbage", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    fixture_open(&f);
    ck_assert_int_lt(fixture_count(&f).devices, 20);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA integrity_check"), "ok");
    put_devices(30);
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_count(&f).devices, 30);
}
END_TEST

START_TEST(close_leaves_no_wal)
{
    struct stat st;

    fixture_open(&f);
    put_devices(100);
    fixture_close(&f);
    ck_assert_int_eq(stat(fixture_path(&f, "tcgw.db-wal"), &st), -1);
    ck_assert_int_eq(stat(fixture_path(&f, "tcgw.db-shm"), &st), -1);
}
END_TEST

/* Migrations ------------------------------------------------------------------------------------------------------ */

START_TEST(migrations_go_step_by_step_and_as_a_whole)
{
    static const char *const steps[] = {
        "CREATE TABLE a(x)",
        "CREATE TABLE b(x); INSERT INTO a VALUES(1)",
        "CREATE TABLE c(x); INSERT INTO nowhere VALUES(1)",
        "CREATE TABLE d(x)",
    };
    static const char *const mended[] = {"", "", "CREATE TABLE c(x)", "CREATE TABLE d(x)"};
    static const char tables[] = "SELECT group_concat(name, '') FROM sqlite_schema";
    sqlite3 *db = NULL;

    ck_assert_int_eq(sqlite3_open(fixture_path(&f, "tcgw.db"), &db), SQLITE_OK);
    ck_assert_int_eq(schema_migrate(db, steps, 0, 4), SQLITE_ERROR);
    ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
    ck_assert_str_eq(fixture_query(&f, tables), "ab");
    ck_assert_str_eq(fixture_query(&f, "PRAGMA user_version"), "2");
    ck_assert_int_eq(schema_migrate(db, mended, 2, 4), SQLITE_OK);
    ck_assert_str_eq(fixture_query(&f, tables), "abcd");
    ck_assert_str_eq(fixture_query(&f, "PRAGMA user_version"), "4");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM a"), "1");
    ck_assert_int_eq(schema_migrate(db, mended, 4, 4), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
END_TEST

static Suite *open_suite(void)
{
    Suite *suite = suite_create("store_open");
    TCase *directory = tcase_create("directory"), *file = tcase_create("file");

    tcase_add_checked_fixture(directory, setup, teardown);
    tcase_add_test(directory, only_the_last_component_is_made);
    tcase_add_test(directory, a_file_in_place_of_the_directory_is_told);
    tcase_add_test(directory, a_directory_that_cannot_be_written_is_told);
    tcase_add_test(directory, a_database_that_cannot_be_written_is_told);
    tcase_add_test(directory, things_that_are_not_files_are_told);
    tcase_add_test(directory, a_second_store_is_locked_out);
    tcase_add_test(directory, a_disk_that_is_full_from_the_start_is_told);
    suite_add_tcase(suite, directory);
    tcase_add_checked_fixture(file, setup, teardown);
    tcase_set_timeout(file, 60);
    tcase_add_test(file, a_newer_version_is_left_alone);
    tcase_add_test(file, the_database_of_another_program_is_left_alone);
    tcase_add_test(file, a_file_that_is_no_database_is_told);
    tcase_add_test(file, an_empty_file_becomes_a_database);
    tcase_add_loop_test(file, a_damaged_file_is_told, 0, 3);
    tcase_add_test(file, a_truncated_wal_loses_its_end_only);
    tcase_add_test(file, a_damaged_wal_loses_its_end_only);
    tcase_add_test(file, close_leaves_no_wal);
    tcase_add_test(file, migrations_go_step_by_step_and_as_a_whole);
    suite_add_tcase(suite, file);
    return suite;
}

int main(void)
{
    return suite_run(open_suite());
}
