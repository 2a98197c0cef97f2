#define _GNU_SOURCE /* asprintf, mkostemp */

#include "store/chore.h"

#include "codec/backup.h"
#include "store/chore_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/*
 * A backup is a copy of the database with a table more, which has the files that belong to it, and a line with the
 * digest of all behind it. VACUUM INTO reads one snapshot while changes go on.
 */

#define MEMBER_MAX 65536

const char *const backup_members[7] = {
    "gateway-key.pem", "credential-key", "ca/ca.pem", "ca/ca-key.pem", "ca/gateway.pem", "ca/gateway-key.pem", NULL,
};

static int run_sql(sqlite3 *db, const char *sql)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : rc == SQLITE_INTERRUPT ? -ECANCELED : store_errno(db, rc);
}

/* The file's bytes; -ENOENT: there is none. */
static int read_member(const char *directory, const char *name, uint8_t *out, size_t *size)
{
    cleanup_free char *path = NULL;
    cleanup_close int fd = -1;
    ssize_t n;

    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return -ENOMEM;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    n = read(fd, out, MEMBER_MAX);
    *size = n > 0 ? (size_t)n : 0;
    return n < 0 ? -errno : n == MEMBER_MAX ? -EFBIG : 0;
}

static int put_member(sqlite3 *db, const char *name, const void *bytes, size_t size)
{
    sqlite3_stmt *to = NULL;
    int rc = sqlite3_prepare_v2(db, "INSERT INTO backup_member VALUES(?, ?)", -1, &to, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(to, 1, name, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(to, 2, bytes, size, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(to);
    (void)sqlite3_finalize(to);
    return rc == SQLITE_DONE ? 0 : store_errno(db, rc);
}

static int put_members(sqlite3 *db, const char *directory)
{
    cleanup_free uint8_t *bytes = malloc(MEMBER_MAX);
    int result = bytes ? 0 : -ENOMEM;

    for (size_t i = 0; backup_members[i] && result == 0; i++) {
        size_t size = 0;

        result = read_member(directory, backup_members[i], bytes, &size);
        if (result == 0)
            result = put_member(db, backup_members[i], bytes, size);
        else if (result == -ENOENT)
            result = 0;
    }
    if (bytes)
        explicit_bzero(bytes, MEMBER_MAX);
    return result;
}

/* Marks of the guard are of the database that goes on: the copy is an older one from now on. */
static int add_members(const char *path, const char *directory)
{
    struct timespec now;
    sqlite3 *db = NULL;
    char sql[256];
    int result = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK ? 0 : -EIO;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA journal_mode=OFF; CREATE TABLE backup_member(name TEXT PRIMARY KEY NOT NULL, bytes BLOB NOT"
                   " NULL); INSERT OR REPLACE INTO meta VALUES('backup_created', '%" PRId64 "')",
                   (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    if (result == 0)
        result = run_sql(db, sql);
    if (result == 0)
        result = put_members(db, directory);
    return sqlite3_close(db) == SQLITE_OK ? result : -EIO;
}

static int seal(struct chore *chore)
{
    cleanup_close int fd = open(chore->path, O_RDWR | O_CLOEXEC);
    int result = fd < 0 ? -errno : backup_seal_file(fd);
    struct stat st;

    if (result == 0 && fstat(fd, &st) == 0)
        chore->size = (uint64_t)st.st_size;
    return result;
}

/* The copy has no more than what the database has. */
static int check_space(const struct store *store)
{
    uint64_t need = store_file_bytes(store) + store_file_bytes(store) / 16;
    struct statvfs disk;

    if (statvfs(store->directory, &disk) != 0)
        return -errno;
    return (uint64_t)disk.f_bavail * disk.f_frsize > need ? 0 : -ENOSPC;
}

static int make_copy(struct chore *chore)
{
    sqlite3_stmt *copy = NULL;
    int fd, rc;

    if (asprintf(&chore->path, "%s/spool/upload-backup-XXXXXX", chore->store->directory) < 0) {
        chore->path = NULL;
        return -ENOMEM;
    }
    fd = mkostemp(chore->path, O_CLOEXEC); /* SQLite takes an empty file, which is for its owner alone */
    if (fd < 0)
        return -errno;
    (void)close(fd);
    rc = sqlite3_prepare_v2(chore->db, "VACUUM INTO ?", -1, &copy, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(copy, 1, chore->path, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(copy);
    (void)sqlite3_finalize(copy);
    return rc == SQLITE_DONE ? 0 : rc == SQLITE_INTERRUPT ? -ECANCELED : store_errno(chore->db, rc);
}

static int run_backup(struct chore *chore)
{
    int result = check_space(chore->store);

    if (result == 0)
        result = make_copy(chore);
    if (result == 0)
        result = add_members(chore->path, chore->store->directory);
    return result == 0 ? seal(chore) : result;
}

static void tell_backup(struct chore *chore)
{
    ((store_backup_fn)chore->done)(chore->arg, chore->result, chore->path, chore->size);
}

int store_backup(struct store *store, store_backup_fn done, void *arg)
{
    return chore_start(store, run_backup, tell_backup, (void (*)(void))done, arg);
}
