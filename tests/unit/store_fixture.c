#define _GNU_SOURCE /* nftw */

#include "store_fixture.h"

#include "base/text.h"

#include <check.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void fixture_setup(struct fixture *f)
{
    const char *base = getenv("TMPDIR");

    memset(f, 0, sizeof *f);
    (void)snprintf(f->directory, sizeof f->directory, "%s/tcgw-store-XXXXXX", base && *base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_teardown(struct fixture *f)
{
    fixture_close(f);
    (void)nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void fixture_open(struct fixture *f)
{
    const struct store_options options = {.directory = f->directory};
    char reason[256] = "";
    int result = store_open(&f->store, &options, reason, sizeof reason);

    ck_assert_msg(result == 0, "store_open: %d, %s", result, reason);
}

void fixture_close(struct fixture *f)
{
    f->store = store_close(f->store);
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

const char *fixture_path(const struct fixture *f, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, PATH_MAX, "%s/%s", f->directory, name);
    return path;
}

const char *fixture_write(const struct fixture *f, const char *name, const void *data, size_t size)
{
    const char *path = fixture_path(f, name);
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

const char *fixture_digest(const char *path)
{
    static char digests[4][65];
    static unsigned next;
    static uint8_t bytes[8 << 20];
    char *out = digests[next++ % 4];
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    uint8_t digest[32];

    if (file)
        (void)fclose(file);
    else if (path)
        size = (size_t)snprintf((char *)bytes, sizeof bytes, "%s", path);
    ck_assert_int_eq(EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL), 1);
    return text_hex(digest, sizeof digest, out);
}

static void note_result(void *arg, int result)
{
    *(int *)arg = result;
}

int fixture_commit(struct fixture *f, struct store_batch *batch)
{
    int result = 1;

    store_submit(f->store, batch, note_result, &result);
    ck_assert_int_eq(result, 1);
    store_flush(f->store);
    ck_assert_int_le(result, 0);
    return result;
}

const char *fixture_query(const struct fixture *f, const char *sql)
{
    static char answer[256];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    ck_assert_int_eq(sqlite3_open(fixture_path(f, "tcgw.db"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    (void)snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    return answer;
}

static int count_device(void *arg, const struct store_device *row)
{
    (void)row;
    ((struct fixture_count *)arg)->devices++;
    return 0;
}

static int count_artifact(void *arg, const struct store_artifact *row)
{
    (void)row;
    ((struct fixture_count *)arg)->artifacts++;
    return 0;
}

static int count_container(void *arg, const struct store_container *row)
{
    (void)row;
    ((struct fixture_count *)arg)->containers++;
    return 0;
}

static int count_operation(void *arg, const struct store_operation *row)
{
    (void)row;
    ((struct fixture_count *)arg)->operations++;
    return 0;
}

static int count_answer(void *arg, const struct store_answer *row)
{
    (void)row;
    ((struct fixture_count *)arg)->answers++;
    return 0;
}

struct fixture_count fixture_count(struct fixture *f)
{
    struct fixture_count count = {0};
    const struct store_loader loader = {
        .device = count_device,
        .artifact = count_artifact,
        .container = count_container,
        .operation = count_operation,
        .answer = count_answer,
        .arg = &count,
    };

    ck_assert_int_eq(store_load(f->store, &loader), 0);
    return count;
}

struct store_device fixture_device(const char *id)
{
    return (struct store_device){.id = id, .name = id, .address = "coap://127.0.0.1:5683", .agent = "v2"};
}

struct store_container fixture_container(const char *device, const char *uid)
{
    return (struct store_container){
        .device = device, .uid = uid, .desired_state = "running", .reported_state = "unknown", .load = "none"};
}

struct store_operation fixture_operation(const char *id, const char *device)
{
    return (struct store_operation){.id = id, .kind = "deploy", .state = "queued", .device = device, .step = ""};
}
