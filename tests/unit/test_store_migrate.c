#include "store/chore.h"
#include "store_fixture.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

/* A database as version 0.1 of the program left it goes on. The text of its schema stays here for good. */

static const char version_1[] =
    "CREATE TABLE device(id TEXT PRIMARY KEY NOT NULL, name TEXT, address TEXT NOT NULL, agent TEXT NOT NULL,"
    " agent_version TEXT, reported_id TEXT, agent_configured INTEGER NOT NULL, pdu_size INTEGER NOT NULL,"
    " slots INTEGER NOT NULL, runtimes INTEGER NOT NULL, package_max INTEGER NOT NULL,"
    " caps_configured INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,"
    " last_seen INTEGER NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE artifact(id TEXT PRIMARY KEY NOT NULL, name TEXT, manifest TEXT NOT NULL,"
    " code_size INTEGER NOT NULL, data_size INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE part(n INTEGER PRIMARY KEY, artifact TEXT NOT NULL, kind TEXT NOT NULL, content BLOB NOT NULL,"
    " UNIQUE(artifact, kind));"
    "CREATE TABLE container(device TEXT NOT NULL, uid TEXT NOT NULL, desired_state TEXT NOT NULL,"
    " desired_artifact TEXT, reported_state TEXT NOT NULL, reported_artifact TEXT, load TEXT NOT NULL, fault TEXT,"
    " fault_detail TEXT, created INTEGER NOT NULL, updated INTEGER NOT NULL, reported INTEGER NOT NULL,"
    " revision INTEGER NOT NULL, PRIMARY KEY(device, uid)) WITHOUT ROWID;"
    "CREATE TABLE operation(id TEXT PRIMARY KEY NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,"
    " device TEXT NOT NULL, uid TEXT, artifact TEXT, step TEXT, fault TEXT, fault_detail TEXT, result TEXT,"
    " created INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, expires INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE answer(key TEXT PRIMARY KEY NOT NULL, digest TEXT NOT NULL, status INTEGER NOT NULL, location TEXT,"
    " body TEXT, created INTEGER NOT NULL);"
    "CREATE INDEX answer_created ON answer(created);"
    "PRAGMA application_id=1952671607; PRAGMA user_version=1; PRAGMA journal_mode=WAL;"
    "INSERT INTO device VALUES('one', 'first', 'coap://[fd00::1]:5683', 'v2', '1.0', 'abc', 1, 1024, 3, 8, 4096, 1,"
    " 11, 12, 13, 14);"
    "INSERT INTO artifact VALUES('aa', 'job', '{}', 3, 0, 21);"
    "INSERT INTO part VALUES(1, 'aa', 'code', x'010203');"
    "INSERT INTO container VALUES('one', 'job', 'running', 'aa', 'running', 'aa', 'done', NULL, NULL, 31, 32, 33, 34);"
    "INSERT INTO operation VALUES('op', 'deploy', 'succeeded', 'one', 'job', 'aa', 'done', NULL, NULL, NULL, 41, 42,"
    " 43, 44);"
    "INSERT INTO answer VALUES('key', 'digest', 201, '/v1/devices/one', '{}', 51);";

static struct fixture f;

static void execute(const char *sql)
{
    sqlite3 *db = NULL;

    ck_assert_int_eq(sqlite3_open(fixture_path(&f, "tcgw.db"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static void setup(void)
{
    fixture_setup(&f);
    execute(version_1);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

/* The copy that the upgrade leaves is the database from before, and can be put back. */
START_TEST(an_upgrade_can_be_undone)
{
    struct store_restored restored;
    char path[PATH_MAX], reason[512];
    sqlite3 *db;

    fixture_open(&f);
    fixture_close(&f);
    (void)snprintf(path, sizeof path, "%s/tcgw.db.version-1", f.directory);
    ck_assert_int_eq(store_restore(f.directory, path, &restored, reason, sizeof reason), 0);
    ck_assert_int_eq(restored.schema_version, 1);
    ck_assert_uint_eq(restored.devices, 1);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA user_version"), "1");
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    fixture_open(&f);
    ck_assert_str_eq(fixture_query(&f, "PRAGMA user_version"), "5");
}
END_TEST

/* Root restores where another user may write: nothing that such a user left there leads out of the directory. */
START_TEST(a_restore_follows_no_link)
{
    static const char *const names[] = {"restoring", "restore", "lock"};
    struct store_restored restored;
    char path[PATH_MAX], outside[PATH_MAX], link[PATH_MAX], reason[512];

    fixture_open(&f);
    fixture_close(&f);
    (void)snprintf(path, sizeof path, "%s/tcgw.db.version-1", f.directory);
    (void)snprintf(outside, sizeof outside, "%s/outside", f.directory);
    (void)snprintf(link, sizeof link, "%s/%s", f.directory, names[_i]);
    (void)unlink(link);
    ck_assert_int_eq(symlink(outside, link), 0);
    ck_assert_int_eq(store_restore(f.directory, path, &restored, reason, sizeof reason), STORE_E_IO);
    ck_assert_int_ne(access(outside, F_OK), 0);
    ck_assert_int_eq(unlink(link), 0);
    ck_assert_int_eq(store_restore(f.directory, path, &restored, reason, sizeof reason), 0);
}
END_TEST

static int check_device(void *arg, const struct store_device *row)
{
    ++*(int *)arg;
    ck_assert_str_eq(row->id, "one");
    ck_assert_str_eq(row->address, "coap://[fd00::1]:5683");
    ck_assert(row->revision == 14 && row->last_seen == 13 && row->slots == 3);
    ck_assert_ptr_null(row->groups);
    ck_assert(!row->allow_plain); /* secure by default, after an upgrade too */
    return 0;
}

START_TEST(version_1_goes_on)
{
    struct fixture_count count;
    struct store_stats stats;
    int devices = 0;

    fixture_open(&f);
    store_get_stats(f.store, &stats);
    ck_assert_int_eq(stats.schema_version, 5);
    count = fixture_count(&f);
    ck_assert(count.devices == 1 && count.artifacts == 1 && count.containers == 1 && count.operations == 1 &&
              count.answers == 1);
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.device = check_device, .arg = &devices}), 0);
    ck_assert_int_eq(devices, 1);
    ck_assert(!store_is_restored(f.store));
    ck_assert_str_eq(fixture_query(&f, "PRAGMA user_version"), "5");
    ck_assert_str_eq(fixture_query(&f, "SELECT hex(bytes) FROM content"), "010203");
    ck_assert_str_eq(fixture_query(&f, "SELECT digest FROM holding WHERE artifact = 'aa'"), "aa.code");
    ck_assert_str_eq(fixture_query(&f, "PRAGMA integrity_check"), "ok");
}
END_TEST

/* What is new has columns for all that is put, in both a new and a migrated database. */
static int check_credential(void *arg, const struct store_credential *row)
{
    ++*(int *)arg;
    ck_assert_str_eq(row->device, "one");
    ck_assert(row->number == 7 && row->algorithm == 10 && row->reserved == 256 && row->window_known);
    ck_assert(row->window_highest == UINT64_C(1) << 39 && row->window_seen == UINT32_MAX);
    ck_assert_str_eq(row->sender_id, "67");
    ck_assert_str_eq(row->recipient_id, "0102");
    ck_assert_str_eq(row->id_context, "");
    ck_assert_ptr_null(row->identity);
    ck_assert(row->sealed.size == 4 && memcmp(row->sealed.data, "\0\1\2\3", 4) == 0);
    return 0;
}

static int check_shadow(void *arg, const struct store_shadow *row)
{
    ++*(int *)arg;
    ck_assert_str_eq(row->kind, "desired");
    ck_assert(row->format == -1 && row->revision == 9 && row->updated == 10 && row->body.size == 3);
    ck_assert_ptr_null(row->body.data); /* only the size is loaded */
    return 0;
}

static int check_meta(void *arg, const struct store_meta *row)
{
    *(int *)arg += strcmp(row->key, "name") == 0 && strcmp(row->value, "value") == 0;
    return 0;
}

static int check_context(void *arg, const struct store_context *row)
{
    ++*(int *)arg;
    ck_assert_str_eq(row->mark, "0011");
    return 0;
}

static int check_groups(void *arg, const struct store_device *row)
{
    ++*(int *)arg;
    ck_assert_str_eq(row->groups, "a b");
    ck_assert(row->allow_plain);
    return 0;
}

static void note_shadow(void *arg, int result, const struct store_shadow *row)
{
    *(int *)arg = result == 0 && row->body.size == 3 && memcmp(row->body.data, "a\0b", 3) == 0 ? 1 : result;
}

static int reads_shadow(const char *kind)
{
    int got = 2;

    ck_assert_int_eq(store_read_shadow(f.store, "one", kind, note_shadow, &got), 0);
    for (int i = 0; i < 5000 && got == 2; i++) {
        (void)usleep(1000);
        store_dispatch(f.store);
    }
    return got;
}

START_TEST(what_version_2_holds_comes_back)
{
    struct store_batch *batch = store_batch_new();
    struct store_device device = fixture_device("one");
    int credentials = 0, shadows = 0, metas = 0, contexts = 0, devices = 0;

    if (_i == 0)
        ck_assert_int_eq(remove(fixture_path(&f, "tcgw.db")), 0);
    fixture_open(&f);
    device.groups = "a b";
    device.allow_plain = true;
    store_batch_put_device(batch, &device);
    store_batch_put_credential(batch, &(struct store_credential){.device = "one",
                                                                 .number = 7,
                                                                 .kind = "oscore",
                                                                 .state = "new",
                                                                 .algorithm = 10,
                                                                 .sender_id = "67",
                                                                 .recipient_id = "0102",
                                                                 .id_context = "",
                                                                 .sealed = {"\0\1\2\3", 4},
                                                                 .reserved = 256,
                                                                 .window_highest = UINT64_C(1) << 39,
                                                                 .window_seen = UINT32_MAX,
                                                                 .window_known = true});
    store_batch_put_shadow(batch, &(struct store_shadow){"one", "desired", -1, 9, 10, {"a\0b", 3}});
    store_batch_put_meta(batch, &(struct store_meta){"name", "value"});
    store_batch_put_meta(batch, &(struct store_meta){"other", "value"});
    store_batch_put_meta(batch, &(struct store_meta){"other", NULL});
    store_batch_put_context(batch, &(struct store_context){"0011"});
    store_batch_reserve(batch, "one", 7, 100); /* never less than what there is */
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    fixture_reopen(&f);
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.credential = check_credential, .arg = &credentials}),
                     0);
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.shadow = check_shadow, .arg = &shadows}), 0);
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.meta = check_meta, .arg = &metas}), 0);
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.context = check_context, .arg = &contexts}), 0);
    ck_assert_int_eq(store_load(f.store, &(struct store_loader){.device = check_groups, .arg = &devices}), 0);
    ck_assert(credentials == 1 && shadows == 1 && metas == 1 && contexts == 1 && devices == 1);
    ck_assert_int_eq(reads_shadow("desired"), 1);
    ck_assert_int_eq(reads_shadow("reported"), -ENOENT);
    batch = store_batch_new();
    store_batch_delete_device(batch, "one");
    ck_assert_int_eq(fixture_commit(&f, batch), 0);
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM credential"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM shadow"), "0");
    ck_assert_str_eq(fixture_query(&f, "SELECT count(*) FROM context_used"), "1"); /* never forgotten */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_migrate");
    TCase *tcase = tcase_create("migrate");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, version_1_goes_on);
    tcase_add_test(tcase, an_upgrade_can_be_undone);
    tcase_add_loop_test(tcase, a_restore_follows_no_link, 0, 3);
    tcase_add_loop_test(tcase, what_version_2_holds_comes_back, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
