#define _GNU_SOURCE /* statx */

#include "store/store_private.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/*
 * A file beside the database tells whether the database is older than what was done with it: sequence numbers of
 * security contexts must not be used twice because somebody put a backup back.
 *
 * Each commit that changes credentials counts up in the database, and afterwards, before anybody is told of the commit,
 * in the file. A database that counts less than the file was restored; one that counts more was only interrupted
 * between the two. The file is not synchronised: after a power cut it may count less than the database, which tells
 * nothing wrong. Where file and database were restored together, the file is another one than the database knows (its
 * inode and time of birth), or its content was written by somebody else than us (its times of modification and of
 * change, which our writes leave equal, differ). What nothing in the file system tells, a snapshot of a whole disk,
 * stays unnoticed.
 */

#define GUARD_NAME "credential-guard"
#define GUARD_HEAD "tcgw guard 1\n"
#define MARK_DIGITS 32
#define COUNT_DIGITS 20
#define GUARD_SIZE (sizeof GUARD_HEAD - 1 + MARK_DIGITS + 1 + COUNT_DIGITS + 1)
#define COUNT_AT (sizeof GUARD_HEAD - 1 + MARK_DIGITS + 1)

#define META_MARK "guard_mark"         /* of the file */
#define META_IDENTITY "guard_identity" /* its inode and birth, and SAME_TIMES where our writes leave these equal */
#define META_COUNT "guard_count"
#define SAME_TIMES " same"
#define IDENTITY_SIZE 64

struct guard_file {
    char mark[MARK_DIGITS + 1];
    char identity[IDENTITY_SIZE];
    uint64_t count;
};

static char *guard_path(const struct store *store, const char *end)
{
    char *path;

    return asprintf(&path, "%s/" GUARD_NAME "%s", store->directory, end) < 0 ? NULL : path;
}

/* The file --------------------------------------------------------------------------------------------------------- */

static bool read_identity(int fd, char out[IDENTITY_SIZE])
{
    struct statx st;
    bool same;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
        return false;
    same = st.stx_mtime.tv_sec == st.stx_ctime.tv_sec && st.stx_mtime.tv_nsec == st.stx_ctime.tv_nsec;
    if (!(st.stx_mask & STATX_BTIME)) /* a file system without it */
        st.stx_btime.tv_sec = st.stx_btime.tv_nsec = 0;
    (void)snprintf(out, IDENTITY_SIZE, "%llu %lld.%09u%s", (unsigned long long)st.stx_ino,
                   (long long)st.stx_btime.tv_sec, (unsigned)st.stx_btime.tv_nsec, same ? SAME_TIMES : "");
    return true;
}

static bool parse_content(const char text[GUARD_SIZE + 1], struct guard_file *out)
{
    int64_t count;
    char digits[COUNT_DIGITS + 1];

    memcpy(out->mark, text + sizeof GUARD_HEAD - 1, MARK_DIGITS);
    out->mark[MARK_DIGITS] = 0;
    memcpy(digits, text + COUNT_AT, COUNT_DIGITS);
    digits[COUNT_DIGITS] = 0;
    if (memcmp(text, GUARD_HEAD, sizeof GUARD_HEAD - 1) != 0 || !text_parse_int(digits, 0, INT64_MAX, &count))
        return false;
    out->count = (uint64_t)count;
    return true;
}

/* Opens the file that is there; false when there is none, or it is not as we left it. */
static bool open_file(struct store *store, struct guard_file *out)
{
    cleanup_free char *path = guard_path(store, "");
    char text[GUARD_SIZE + 1];

    store->guard = path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    return store->guard >= 0 && pread(store->guard, text, sizeof text, 0) == GUARD_SIZE && parse_content(text, out) &&
           read_identity(store->guard, out->identity);
}

static bool write_count(const struct store *store, uint64_t count)
{
    char digits[COUNT_DIGITS + 1];

    (void)snprintf(digits, sizeof digits, "%0*" PRIu64, COUNT_DIGITS, count);
    return pwrite(store->guard, digits, COUNT_DIGITS, COUNT_AT) == COUNT_DIGITS;
}

static bool write_content(const struct store *store, const struct guard_file *file)
{
    char text[GUARD_SIZE + 1];
    int n = snprintf(text, sizeof text, GUARD_HEAD "%s\n%0*" PRIu64 "\n", file->mark, COUNT_DIGITS, file->count);

    return n == GUARD_SIZE && pwrite(store->guard, text, GUARD_SIZE, 0) == GUARD_SIZE && fsync(store->guard) == 0;
}

static bool sync_directory(const struct store *store)
{
    cleanup_close int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0;
}

/* Makes a new file in the place of what is there, and opens it. The last write makes its times equal, as each later one
 * does. */
static bool make_file(struct store *store, struct guard_file *file)
{
    cleanup_free char *path = guard_path(store, ""), *temporary = guard_path(store, ".new");
    uint8_t mark[MARK_DIGITS / 2];

    if (store->guard >= 0)
        (void)close(store->guard);
    store->guard = -1;
    if (!path || !temporary || getrandom(mark, sizeof mark, 0) != sizeof mark)
        return false;
    (void)text_hex(mark, sizeof mark, file->mark);
    (void)unlink(temporary);
    store->guard = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return store->guard >= 0 && write_content(store, file) && rename(temporary, path) == 0 && sync_directory(store) &&
           write_count(store, file->count) && read_identity(store->guard, file->identity);
}

/* The database ----------------------------------------------------------------------------------------------------- */

static int read_row(const struct store *store, const char *key, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, "SELECT value FROM meta WHERE key = ?", -1, &statement, NULL);

    *out = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        (void)text_copy(out, size, (const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int read_known(const struct store *store, struct guard_file *out)
{
    char count[24];
    int rc = read_row(store, META_MARK, out->mark, sizeof out->mark);

    if (rc == SQLITE_OK)
        rc = read_row(store, META_IDENTITY, out->identity, sizeof out->identity);
    if (rc == SQLITE_OK)
        rc = read_row(store, META_COUNT, count, sizeof count);
    if (rc == SQLITE_OK)
        out->count = strtoull(count, NULL, 10);
    return rc;
}

static int count_contexts(const struct store *store, int *out)
{
    sqlite3_stmt *statement = NULL;
    int rc =
        sqlite3_prepare_v2(store->db, "SELECT count(*) FROM credential WHERE kind = 'oscore'", -1, &statement, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    *out = rc == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Marks every context and takes the new file over, in one transaction: until that is durable the file is one that the
 * database does not know, so that the next start comes here again. */
static int accept_file(struct store *store, const struct guard_file *file)
{
    cleanup_free char *sql = NULL;
    int rc;

    if (asprintf(&sql,
                 "BEGIN IMMEDIATE;"
                 "UPDATE credential SET state = 'stale', window_known = 0 WHERE kind = 'oscore';"
                 "INSERT OR REPLACE INTO meta VALUES('" META_MARK "', '%s'), ('" META_IDENTITY "', '%s'),"
                 " ('" META_COUNT "', '%" PRIu64 "');"
                 "COMMIT",
                 file->mark, file->identity, file->count) < 0)
        return SQLITE_NOMEM;
    rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(store->db))
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* A file system that did not leave the times equal is not asked for it. */
static bool is_same_file(const char *identity, const char *known)
{
    return strncmp(identity, known, strlen(known)) == 0 &&
           (!identity[strlen(known)] || strcmp(identity + strlen(known), SAME_TIMES) == 0);
}

static bool is_as_left(const struct guard_file *file, const struct guard_file *known)
{
    return strcmp(file->mark, known->mark) == 0 && is_same_file(file->identity, known->identity) &&
           known->count >= file->count;
}

int store_open_guard(struct store *store)
{
    struct guard_file known, file = {.count = 0};
    int contexts = 0, rc = read_known(store, &known);

    if (rc == SQLITE_OK)
        rc = count_contexts(store, &contexts);
    if (rc != SQLITE_OK)
        return rc;
    store->guard_count = known.count;
    if (open_file(store, &file) && is_as_left(&file, &known)) {
        (void)write_count(store, known.count);
        return SQLITE_OK;
    }
    store->restored = contexts > 0;
    /* Beyond whatever either of them has seen. */
    store->guard_count = file.count = 1 + (file.count > known.count ? file.count : known.count);
    return make_file(store, &file) ? accept_file(store, &file) : SQLITE_CANTOPEN;
}

/* Commits ---------------------------------------------------------------------------------------------------------- */

int store_count_guard(struct store *store)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_COUNT_GUARD];
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, store->guard_count + 1);
    if (sqlite3_bind_text(statement, 1, text, -1, SQLITE_TRANSIENT) != SQLITE_OK)
        return -EIO;
    return store_run(store, STATEMENT_COUNT_GUARD);
}

void store_advance_guard(struct store *store)
{
    store->guard_count++;
    (void)write_count(store, store->guard_count); /* one that is behind tells less, and nothing wrong */
}

bool store_is_restored(const struct store *store)
{
    return store->restored;
}
