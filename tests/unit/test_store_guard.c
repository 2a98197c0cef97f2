#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <sqlite3.h>
#include <string.h>

/* A database that is older than what was done with it is noticed; one that is not is left alone. */

static struct fixture f;

static void put_credential(const char *kind, uint64_t number)
{
    struct store_batch *batch = store_batch_new();

    store_batch_put_credential(
        batch, &(struct store_credential){
                   .device = "one", .number = number, .kind = kind, .state = "active", .window_known = true});
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

static void reserve(uint64_t reserved)
{
    struct store_batch *batch = store_batch_new();

    store_batch_reserve(batch, "one", 1, reserved);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
}

static void setup(void)
{
    fixture_setup(&f);
    fixture_open(&f);
    ck_assert(!store_is_restored(f.store));
    put_credential("oscore", 1);
    put_credential("psk", 2);
    fixture_reopen(&f);
    ck_assert(!store_is_restored(f.store));
}

static void teardown(void)
{
    fixture_teardown(&f);
}

/* Runs a shell command in the state directory. */
static void run(const char *command)
{
    char text[PATH_MAX];

    (void)snprintf(text, sizeof text, "cd '%s' && %s", f.directory, command);
    ck_assert_int_eq(system(text), 0); /* NOLINT: a test's own words */
}

/* The same with the store closed. */
static void shell(const char *command)
{
    fixture_close(&f);
    run(command);
}

static const char *state_of(int number)
{
    char sql[100];

    (void)snprintf(sql, sizeof sql, "SELECT state || window_known FROM credential WHERE number = %d", number);
    return fixture_query(&f, sql);
}

/* Told once: what was found is durable with the opening. */
static void is_noticed(void)
{
    fixture_open(&f);
    ck_assert(store_is_restored(f.store));
    ck_assert_str_eq(state_of(1), "stale0");
    ck_assert_str_eq(state_of(2), "active1");
    fixture_reopen(&f);
    ck_assert(!store_is_restored(f.store));
}

static void is_not_noticed(void)
{
    fixture_open(&f);
    ck_assert(!store_is_restored(f.store));
    ck_assert_str_eq(state_of(1), "active1");
}

START_TEST(use_and_restarts_are_nothing_special)
{
    for (int i = 1; i < 5; i++) {
        reserve((uint64_t)i * 256);
        shell("true");
        is_not_noticed();
    }
}
END_TEST

START_TEST(an_older_database_is_noticed)
{
    shell("cp tcgw.db backup");
    fixture_open(&f);
    reserve(512);
    shell("cp backup tcgw.db");
    is_noticed();
}
END_TEST

/* The backup is of the same run as the last use. */
START_TEST(a_backup_of_a_running_gateway_is_noticed)
{
    reserve(512);
    ck_assert_str_eq(fixture_query(&f, "SELECT reserved FROM credential WHERE number = 1"), "512");
    run("cp tcgw.db backup && cp tcgw.db-wal backup-wal");
    reserve(768);
    shell("mv backup tcgw.db; mv backup-wal tcgw.db-wal; rm -f tcgw.db-shm");
    is_noticed();
}
END_TEST

START_TEST(a_backup_since_which_nothing_was_used_is_as_good)
{
    shell("cp tcgw.db backup");
    fixture_open(&f);
    shell("cp backup tcgw.db");
    is_not_noticed();
}
END_TEST

START_TEST(every_change_of_credentials_counts)
{
    struct store_batch *batch;

    shell("cp tcgw.db backup");
    fixture_open(&f);
    batch = store_batch_new();
    switch (_i) {
    case 0:
        store_batch_delete_credential(batch, "one", 1);
        break;
    case 1:
        store_batch_set_credential_state(batch, "one", 1, "active", 5);
        break;
    case 2:
        store_batch_renew_credential(batch, "one", 1, "active", "00", 256);
        break;
    case 3:
        store_batch_delete_device(batch, "one");
        break;
    case 4:
        store_batch_put_meta(batch, &(struct store_meta){"clean_stop", NULL});
        break;
    default:
        store_batch_set_window(batch, "one", 1, true, 7, 1);
        break;
    }
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    shell("cp backup tcgw.db");
    is_noticed();
}
END_TEST

START_TEST(other_changes_do_not_count)
{
    struct store_batch *batch = store_batch_new();
    struct store_device device = fixture_device("two");

    shell("cp tcgw.db backup");
    fixture_open(&f);
    store_batch_put_device(batch, &device);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    shell("cp backup tcgw.db");
    is_not_noticed();
}
END_TEST

START_TEST(a_restored_directory_is_noticed)
{
    static const char *const ways[] = {
        "mkdir b && cp -a tcgw.db credential-guard b && cp -a b/* . ", /* over what is there */
        "mkdir b && cp -a tcgw.db credential-guard b && rm tcgw.db credential-guard && cp -a b/* . ", /* anew */
        "tar cf b tcgw.db credential-guard && rm tcgw.db credential-guard && tar xf b",
    };

    reserve(512);
    shell(ways[_i]);
    is_noticed();
}
END_TEST

START_TEST(a_directory_that_was_moved_is_the_same)
{
    reserve(512);
    shell("d=\"$PWD\" && mv \"$d\" \"$d.moved\" && mv \"$d.moved\" \"$d\"");
    is_not_noticed();
}
END_TEST

START_TEST(a_missing_or_damaged_guard_is_noticed)
{
    static const char *const ways[] = {"rm credential-guard", ": > credential-guard", "echo garbage > credential-guard",
                                       "echo x >> credential-guard",
                                       "rm credential-guard; mkdir credential-guard; rmdir credential-guard"};

    shell(ways[_i]);
    is_noticed();
}
END_TEST

/* As when the process ends between the commit and the file. */
START_TEST(a_database_that_is_ahead_is_fine)
{
    const char *path = fixture_path(&f, "credential-guard");
    char before[100], after[100];
    FILE *file;

    file = fopen(path, "r");
    ck_assert_uint_ge(fread(before, 1, sizeof before, file), 66);
    (void)fclose(file);
    reserve(512);
    fixture_close(&f);
    file = fopen(path, "r+");
    ck_assert_uint_ge(fread(after, 1, sizeof after, file), 66);
    ck_assert_int_ne(memcmp(before, after, 66), 0);
    ck_assert_int_eq(fseek(file, 46, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(before + 46, 1, 20, file), 20);
    ck_assert_int_eq(fclose(file), 0);
    is_not_noticed();
    fixture_reopen(&f);
    ck_assert(!store_is_restored(f.store));
}
END_TEST

START_TEST(without_contexts_nothing_is_told)
{
    struct store_batch *batch = store_batch_new();

    store_batch_delete_credential(batch, "one", 1);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    shell("rm credential-guard");
    fixture_open(&f);
    ck_assert(!store_is_restored(f.store));
    ck_assert_str_eq(state_of(2), "active1");
}
END_TEST

START_TEST(a_guard_that_cannot_be_made_ends_the_start)
{
    const struct store_options options = {.directory = f.directory};
    struct store *store;
    char reason[256];

    shell("rm credential-guard; mkdir -p credential-guard/x");
    ck_assert_int_eq(store_open(&store, &options, reason, sizeof reason), STORE_E_IO);
    ck_assert_ptr_nonnull(strstr(reason, "credential-guard cannot be made"));
    ck_assert_str_eq(state_of(1), "active1");
}
END_TEST

/* How often SQLite asks for what it wrote into its log to be on the disk. */
static sqlite3_vfs counting;
static const sqlite3_vfs *real;
static sqlite3_io_methods counted;
static int (*real_sync)(sqlite3_file *file, int flags);
static unsigned syncs;

static int count_sync(sqlite3_file *file, int flags)
{
    syncs++;
    return real_sync(file, flags);
}

static int open_counted(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out)
{
    int rc = real->xOpen(vfs, name, file, flags, out);

    if (rc == SQLITE_OK && flags & SQLITE_OPEN_WAL) {
        counted = *file->pMethods;
        real_sync = counted.xSync;
        counted.xSync = count_sync;
        file->pMethods = &counted;
    }
    return rc;
}

START_TEST(credentials_are_durable_where_the_rest_need_not_be)
{
    const struct store_options options = {.directory = f.directory, .synchronous = 1};
    const struct store_device row = fixture_device("two");
    struct store_batch *batch = store_batch_new();
    char reason[256];

    fixture_close(&f);
    real = sqlite3_vfs_find(NULL);
    counting = *real;
    counting.zName = "counting";
    counting.xOpen = open_counted;
    ck_assert_int_eq(sqlite3_vfs_register(&counting, 1), SQLITE_OK);
    ck_assert_int_eq(store_open(&f.store, &options, reason, sizeof reason), 0);
    reserve(300); /* the first commit into a new log is always synchronised */
    syncs = 0;
    store_batch_put_device(batch, &row);
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_uint_eq(syncs, 0);
    reserve(600);
    ck_assert_uint_gt(syncs, 0);
    fixture_close(&f);
    (void)sqlite3_vfs_unregister(&counting);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_guard");
    TCase *tcase = tcase_create("guard");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, use_and_restarts_are_nothing_special);
    tcase_add_test(tcase, an_older_database_is_noticed);
    tcase_add_test(tcase, a_backup_of_a_running_gateway_is_noticed);
    tcase_add_test(tcase, a_backup_since_which_nothing_was_used_is_as_good);
    tcase_add_loop_test(tcase, every_change_of_credentials_counts, 0, 6);
    tcase_add_test(tcase, other_changes_do_not_count);
    tcase_add_loop_test(tcase, a_restored_directory_is_noticed, 0, 3);
    tcase_add_test(tcase, a_directory_that_was_moved_is_the_same);
    tcase_add_loop_test(tcase, a_missing_or_damaged_guard_is_noticed, 0, 5);
    tcase_add_test(tcase, a_database_that_is_ahead_is_fine);
    tcase_add_test(tcase, without_contexts_nothing_is_told);
    tcase_add_test(tcase, a_guard_that_cannot_be_made_ends_the_start);
    tcase_add_test(tcase, credentials_are_durable_where_the_rest_need_not_be);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
