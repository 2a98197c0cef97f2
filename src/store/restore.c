#define _GNU_SOURCE /* asprintf */

#include "store/chore.h"

#include "base/text.h"
#include "codec/backup.h"
#include "store/chore_private.h"
#include "store/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * Puts a backup in the place of what there is. All is unpacked and checked in a directory of its own first; then what
 * was there is moved aside, and the new moved in. A mark says that this is under way: a daemon that was started on half
 * of it would make new keys. The guard file stays behind with what was there, so that the next start knows the database
 * to be an older one and has the OSCORE contexts renewed (store_guard.c, RFC 8613 section 7.5).
 */

#define MARK "restoring"
#define WORK "restore"
#define PIECE_SIZE 65536

struct restore {
    const char *directory; /* the state directory */
    char *work;            /* where it is unpacked */
    char *copy;            /* the database there */
    int lock;
    bool sealed;
    sqlite3 *db;
    struct store_restored *out;
    char *reason;
    size_t reason_size;
};

static char *join(const char *directory, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

static int refuse_errno(struct restore *r, const char *what, const char *path)
{
    return store_refuse(r->reason, r->reason_size, STORE_E_IO, "%s cannot be %s: %s; nothing was restored", path, what,
                        strerror(errno));
}

/* What root restores is of whoever the state directory is. */
static bool give(const struct restore *r, int fd)
{
    struct stat st;

    if (geteuid() != 0)
        return true;
    return stat(r->directory, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0;
}

static bool make_directory(const struct restore *r, const char *path)
{
    cleanup_close int fd = -1;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return false;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && give(r, fd);
}

/* The backup ------------------------------------------------------------------------------------------------------- */

static int copy_bytes(struct restore *r, int from, uint64_t size)
{
    cleanup_close int to = r->copy ? open(r->copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640) : -1;
    cleanup_free uint8_t *piece = malloc(PIECE_SIZE);
    uint64_t at = 0;

    while (to >= 0 && piece && at < size) {
        ssize_t n = pread(from, piece, size - at < PIECE_SIZE ? (size_t)(size - at) : PIECE_SIZE, (off_t)at);

        if (n <= 0 || write(to, piece, (size_t)n) != n)
            return refuse_errno(r, "written", r->copy);
        at += (uint64_t)n;
    }
    if (to < 0 || !piece || !give(r, to) || fsync(to) < 0)
        return refuse_errno(r, "written", r->copy);
    return 0;
}

static int take_file(struct restore *r, const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t size = 0;
    int kind = fd < 0 ? -errno : backup_check_file(fd, &size);

    if (kind < 0)
        return store_refuse(r->reason, r->reason_size, STORE_E_IO, "%s cannot be read: %s", path, strerror(-kind));
    if (kind == BACKUP_DAMAGED)
        return store_refuse(r->reason, r->reason_size, STORE_E_CORRUPT,
                            "%s is damaged: its content is not what was written; nothing was restored", path);
    r->sealed = kind == BACKUP_GOOD;
    return copy_bytes(r, fd, size);
}

static int number_of(struct restore *r, const char *sql, int64_t *out)
{
    sqlite3_stmt *from = NULL;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &from, NULL);

    *out = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(from);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(from, 0);
    (void)sqlite3_finalize(from);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int refuse_database(struct restore *r, const char *path)
{
    return store_refuse(r->reason, r->reason_size, STORE_E_CORRUPT,
                        "%s is not a whole backup or database of tcgw (%s); nothing was restored", path,
                        r->db ? sqlite3_errmsg(r->db) : "out of memory");
}

static int check_database(struct restore *r, const char *path)
{
    int64_t application = 0, version = 0, faults = 0;
    int rc = sqlite3_open_v2(r->copy, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK)
        rc = number_of(r, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK)
        rc = number_of(r, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK)
        rc = number_of(r, "SELECT count(*) FROM pragma_integrity_check(1) WHERE integrity_check <> 'ok'", &faults);
    if (rc != SQLITE_OK || faults || application != SCHEMA_APPLICATION_ID || version < 1)
        return refuse_database(r, path);
    if (version > schema_version)
        return store_refuse(r->reason, r->reason_size, STORE_E_NEWER,
                            "%s was written by a newer tcgwd (schema version %d, this one knows %d): install that; "
                            "nothing was restored",
                            path, (int)version, schema_version);
    r->out->schema_version = (int)version;
    return 0;
}

/* Members -------------------------------------------------------------------------------------------------------- */

static bool is_member(const char *name)
{
    for (size_t i = 0; backup_members[i]; i++)
        if (strcmp(backup_members[i], name) == 0)
            return true;
    return false;
}

static int write_member(struct restore *r, const char *name, const void *bytes, size_t size)
{
    cleanup_free char *path = join(r->work, name);
    cleanup_close int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;

    if (fd < 0 || !give(r, fd) || write(fd, bytes, size) != (ssize_t)size || fsync(fd) < 0)
        return refuse_errno(r, "written", name);
    r->out->has_sealing_key |= strcmp(name, "credential-key") == 0;
    return 0;
}

/* A database alone has none: the keys that are there stay. */
static int take_members(struct restore *r, const char *path)
{
    sqlite3_stmt *from = NULL;
    int64_t tables = 0;
    int rc = number_of(r, "SELECT count(*) FROM sqlite_schema WHERE name = 'backup_member'", &tables), result = 0;

    if (rc == SQLITE_OK && tables == 0)
        return 0;
    if (rc == SQLITE_OK && !r->sealed)
        return store_refuse(r->reason, r->reason_size, STORE_E_CORRUPT,
                            "%s is a backup whose end was cut off; nothing was restored", path);
    if (rc == SQLITE_OK)
        rc = number_of(r, "SELECT value FROM meta WHERE key = 'backup_created'", &r->out->created);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->db, "SELECT name, bytes FROM backup_member", -1, &from, NULL);
    while (rc == SQLITE_OK && result == 0 && (rc = sqlite3_step(from)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(from, 0);

        result = is_member(name)
                     ? write_member(r, name, sqlite3_column_blob(from, 1), (size_t)sqlite3_column_bytes(from, 1))
                     : refuse_database(r, path);
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(from);
    if (result == 0 && rc != SQLITE_DONE)
        result = refuse_database(r, path);
    if (result == 0 && sqlite3_exec(r->db, "DROP TABLE backup_member; DELETE FROM meta WHERE key = 'backup_created'",
                                    NULL, NULL, NULL) != SQLITE_OK)
        result = refuse_database(r, path);
    return result;
}

/* What the present database knows better -------------------------------------------------------------------------- */

/* Devices have taken what they have taken: no release that is older than that comes to them by itself. */
static int raise_floors(struct restore *r)
{
    static const char sql[] =
        "INSERT INTO sequence SELECT o.device, o.component, o.highest FROM old.sequence o JOIN device d ON"
        " d.id = o.device WHERE o.highest > ifnull((SELECT highest FROM sequence s WHERE s.device = o.device AND"
        " s.component = o.component), -1) ON CONFLICT DO UPDATE SET highest = excluded.highest";
    cleanup_free char *old = join(r->directory, "tcgw.db");
    sqlite3_stmt *attach = NULL;
    int64_t tables = 0;
    int rc = SQLITE_OK;

    if (!old || access(old, R_OK) < 0)
        return 0;
    rc = sqlite3_prepare_v2(r->db, "ATTACH ? AS old", -1, &attach, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(attach, 1, old, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(attach) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
    (void)sqlite3_finalize(attach);
    if (rc == SQLITE_OK)
        rc = number_of(r, "SELECT count(*) FROM old.sqlite_schema WHERE name = 'sequence'", &tables);
    if (rc == SQLITE_OK && tables && r->out->schema_version >= 4 &&
        sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK)
        r->out->floors = (uint64_t)sqlite3_changes64(r->db);
    (void)sqlite3_exec(r->db, "DETACH old", NULL, NULL,
                       NULL); /* a damaged one tells nothing, which is why one restores */
    return 0;
}

static int count(struct restore *r, const char *path)
{
    int64_t devices, contexts = 0;
    int rc = number_of(r, "SELECT count(*) FROM device", &devices);

    if (rc == SQLITE_OK && r->out->schema_version >= 2)
        rc = number_of(r, "SELECT count(*) FROM credential WHERE kind = 'oscore'", &contexts);
    r->out->devices = (uint64_t)devices;
    r->out->contexts = (uint64_t)contexts;
    return rc == SQLITE_OK ? 0 : refuse_database(r, path);
}

/* Putting in place ------------------------------------------------------------------------------------------------- */

static int sync_directory(const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 ? fsync(fd) : -1;
}

/* 0, also where there is none. */
static int move(const char *from_directory, const char *to_directory, const char *name)
{
    cleanup_free char *from = join(from_directory, name), *to = join(to_directory, name);

    return from && to && (rename(from, to) == 0 || errno == ENOENT) ? 0 : -1;
}

static bool is_there(const char *directory, const char *name)
{
    cleanup_free char *path = join(directory, name);

    return path && access(path, F_OK) == 0;
}

static int move_aside(struct restore *r)
{
    static const char *const always[] = {"tcgw.db-wal", "tcgw.db-shm", "tcgw.db", "credential-guard"};
    cleanup_free char *kept = NULL, *ca = NULL;
    struct timespec now;
    int rc = 0;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(r->out->kept, sizeof r->out->kept, "before-restore-%lld.%03ld", (long long)now.tv_sec,
                   now.tv_nsec / 1000000);
    kept = join(r->directory, r->out->kept);
    ca = kept ? join(kept, "ca") : NULL;
    if (!ca || !make_directory(r, kept) || !make_directory(r, ca))
        return refuse_errno(r, "made", r->out->kept);
    for (size_t i = 0; i < array_size(always) && rc == 0; i++)
        rc = move(r->directory, kept, always[i]);
    for (size_t i = 0; backup_members[i] && rc == 0; i++)
        if (is_there(r->work, backup_members[i]))
            rc = move(r->directory, kept, backup_members[i]);
    return rc == 0 ? 0 : refuse_errno(r, "moved", "what was there before");
}

static int move_in(struct restore *r)
{
    cleanup_free char *ca = join(r->directory, "ca");
    int rc = ca && make_directory(r, ca) ? 0 : -1;

    for (size_t i = 0; backup_members[i] && rc == 0; i++)
        rc = move(r->work, r->directory, backup_members[i]);
    if (rc == 0)
        rc = move(r->work, r->directory, "tcgw.db");
    if (rc == 0)
        rc = sync_directory(r->directory) < 0 || sync_directory(ca) < 0;
    return rc == 0 ? 0 : refuse_errno(r, "moved", "what was restored");
}

static int put_in_place(struct restore *r)
{
    cleanup_free char *mark = join(r->directory, MARK), *ca = join(r->work, "ca");
    cleanup_close int fd = mark ? open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    int result;

    if (fd < 0 || fsync(fd) < 0 || sync_directory(r->directory) < 0)
        return refuse_errno(r, "written", MARK);
    result = move_aside(r);
    if (result == 0)
        result = move_in(r);
    if (result == 0 && (unlink(mark) < 0 || sync_directory(r->directory) < 0))
        result = refuse_errno(r, "removed", MARK);
    if (result == 0 && ca && rmdir(ca) == 0)
        (void)rmdir(r->work);
    return result;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static int prepare(struct restore *r)
{
    cleanup_free char *lock = join(r->directory, "lock"), *ca = NULL;

    r->work = join(r->directory, WORK);
    r->copy = r->work ? join(r->work, "tcgw.db") : NULL;
    ca = r->work ? join(r->work, "ca") : NULL;
    if (!lock || !r->copy || !ca)
        return store_refuse(r->reason, r->reason_size, STORE_E_IO, "out of memory");
    if (mkdir(r->directory, 0750) < 0 && errno != EEXIST)
        return refuse_errno(r, "made", r->directory);
    r->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (r->lock < 0 || !give(r, r->lock))
        return refuse_errno(r, "written", r->directory);
    if (flock(r->lock, LOCK_EX | LOCK_NB) < 0)
        return store_refuse(r->reason, r->reason_size, STORE_E_LOCKED,
                            "a tcgwd uses %s: stop it first (systemctl stop tcgwd)", r->directory);
    if (!make_directory(r, r->work) || !make_directory(r, ca))
        return refuse_errno(r, "made", r->work);
    return 0;
}

static int unpack(struct restore *r, const char *path)
{
    int64_t vacuum;
    int result = r->copy ? take_file(r, path) : STORE_E_IO;

    if (result == 0)
        result = check_database(r, path);
    if (result == 0)
        result = take_members(r, path);
    if (result == 0)
        result = count(r, path);
    if (result == 0)
        result = raise_floors(r);
    if (result == 0 && number_of(r, "PRAGMA auto_vacuum", &vacuum) == SQLITE_OK && vacuum == 0) /* as new ones have */
        (void)sqlite3_exec(r->db, "PRAGMA auto_vacuum=INCREMENTAL; VACUUM", NULL, NULL, NULL);
    if (sqlite3_close(r->db) != SQLITE_OK && result == 0)
        result = refuse_database(r, path);
    r->db = NULL;
    return result;
}

/* What a restore that was refused leaves, or one that was interrupted. */
static void clear_work(const struct restore *r)
{
    static const char *const more[] = {"tcgw.db", "tcgw.db-wal", "tcgw.db-shm", "tcgw.db-journal"};

    for (size_t i = 0; r->copy && i < array_size(more) + array_size(backup_members) - 1; i++) {
        cleanup_free char *path = join(r->work, i < array_size(more) ? more[i] : backup_members[i - array_size(more)]);

        if (path)
            (void)unlink(path);
    }
}

int store_restore(const char *directory, const char *path, struct store_restored *out, char *reason, size_t reason_size)
{
    struct restore r = {.directory = directory, .lock = -1, .out = out, .reason = reason, .reason_size = reason_size};
    int result;

    *out = (struct store_restored){0};
    result = prepare(&r);
    if (result == 0) {
        clear_work(&r);
        result = unpack(&r, path);
        if (result == 0)
            result = put_in_place(&r);
        else
            clear_work(&r);
    }
    if (r.lock >= 0)
        (void)close(r.lock);
    free(r.copy);
    free(r.work);
    return result;
}

int store_check_restored(const struct store *store, char *reason, size_t size)
{
    if (!is_there(store->directory, MARK))
        return 0;
    return store_refuse(reason, size, STORE_E_CORRUPT,
                        "a restore into %s was interrupted: repeat it (tcgwd --restore FILE); what was there before is "
                        "in %s/before-restore-*",
                        store->directory, store->directory);
}
