#include "store/store_private.h"
#include "store/store_schema.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long a write waits for another program (a backup, say) that holds the database. */
#define BUSY_MS 5000
#define WRITER_CACHE (2 << 20)
#define READER_CACHE_KIB 256
/* The WAL is cut back to this after a large artifact went through it. */
#define WAL_KEPT (4 << 20)

int store_refuse(char *reason, size_t reason_size, int result, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(reason, reason_size, format, args);
    va_end(args);
    return result;
}

/* The reason for the last failure of SQLite. */
static int refuse_sqlite(const struct store *store, sqlite3 *db, int rc, char *reason, size_t size)
{
    const char *path = store->database;

    switch (rc & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return store_refuse(reason, size, STORE_E_CORRUPT,
                            "%s is damaged or not a database (%s): restore it from a backup, or move it away to start "
                            "with an empty one",
                            path, sqlite3_errmsg(db));
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return store_refuse(reason, size, STORE_E_DIRECTORY,
                            "%s cannot be opened for writing (%s): give the user that runs the daemon access to it",
                            path, sqlite3_errstr(rc));
    case SQLITE_BUSY:
        return store_refuse(reason, size, STORE_E_IO, "%s is held by another program: end that first", path);
    default:
        if (store_errno(db, rc) != -ENOSPC)
            return store_refuse(reason, size, STORE_E_IO, "%s cannot be used: %s", path, sqlite3_errmsg(db));
        return store_refuse(reason, size, STORE_E_IO, "no space is left for %s: free some and start again", path);
    }
}

/* The first column of a statement's first row, as text (cut to the room there is) or number. */
static int query_text(sqlite3 *db, const char *sql, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    out[0] = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW && sqlite3_column_text(statement, 0))
        (void)snprintf(out, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int query_number(sqlite3 *db, const char *sql, int64_t *out)
{
    char text[32];
    int rc = query_text(db, sql, text, sizeof text);

    *out = strtoll(text, NULL, 10);
    return rc;
}

/* Is it ours, and of a version that we know? *version is 0 for a new one. */
static int check_identity(const struct store *store, int *version, char *reason, size_t size)
{
    int64_t application, user_version = 0, tables = 0;
    int rc = query_number(store->db, "PRAGMA application_id", &application);

    if (rc == SQLITE_OK)
        rc = query_number(store->db, "PRAGMA user_version", &user_version);
    if (rc == SQLITE_OK)
        rc = query_number(store->db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc != SQLITE_OK)
        return refuse_sqlite(store, store->db, rc, reason, size);
    if (application != SCHEMA_APPLICATION_ID && (application != 0 || user_version != 0 || tables != 0))
        return store_refuse(reason, size, STORE_E_CORRUPT,
                            "%s is a database of another program: move it away or choose another state directory",
                            store->database);
    if (user_version > schema_version)
        return store_refuse(reason, size, STORE_E_NEWER,
                            "%s has schema version %d, this program knows versions up to %d: install the newer tcgw "
                            "again, or restore the backup from before the upgrade",
                            store->database, (int)user_version, schema_version);
    if (user_version < 0)
        return store_refuse(reason, size, STORE_E_CORRUPT, "%s has the impossible schema version %d", store->database,
                            (int)user_version);
    *version = (int)user_version;
    return 0;
}

static int check_content(const struct store *store, char *reason, size_t size)
{
    char verdict[128];
    int rc = query_text(store->db, "PRAGMA quick_check(1)", verdict, sizeof verdict);

    if (rc != SQLITE_OK)
        return refuse_sqlite(store, store->db, rc, reason, size);
    if (strcmp(verdict, "ok") != 0)
        return store_refuse(reason, size, STORE_E_CORRUPT,
                            "%s is damaged (%s): restore it from a backup, or move it away to start with an empty one",
                            store->database, verdict);
    return 0;
}

static int set_pragmas(const struct store *store, const struct store_options *options, char *reason, size_t size)
{
    int64_t cache = options->cache_bytes > 0 ? options->cache_bytes : WRITER_CACHE;
    char mode[16], sql[160];
    int rc = query_text(store->db, "PRAGMA journal_mode=WAL", mode, sizeof mode);

    (void)snprintf(sql, sizeof sql,
                   "PRAGMA synchronous=%s; PRAGMA cache_size=-%lld; PRAGMA journal_size_limit=%d;"
                   "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY",
                   options->synchronous == 1 ? "NORMAL" : "FULL", (long long)(cache + 1023) / 1024, WAL_KEPT);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return refuse_sqlite(store, store->db, rc, reason, size);
    if (strcmp(mode, "wal") != 0)
        return store_refuse(reason, size, STORE_E_IO,
                            "%s cannot have a write-ahead log: put the state directory on a local file system",
                            store->database);
    return 0;
}

static int prepare(struct store *store, enum statement statement, const char *sql)
{
    if (!sql)
        return SQLITE_NOMEM;
    return sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &store->statements[statement], NULL);
}

static int prepare_all(struct store *store)
{
    static const char *const fixed[STATEMENT_COUNT] = {
        [STATEMENT_PUT_CONTENT] = "INSERT OR IGNORE INTO content(digest, bytes) VALUES(?, zeroblob(?))",
        [STATEMENT_PUT_HOLDING] = "INSERT INTO holding(artifact, kind, digest) VALUES(?, ?, ?)",
        [STATEMENT_KEEP_ARTIFACT] = "UPDATE artifact SET pinned = ?2, used = ?3 WHERE id = ?1",
        [STATEMENT_DELETE_DEVICE] = "DELETE FROM device WHERE id = ?",
        [STATEMENT_DELETE_DEVICE_CONTAINERS] = "DELETE FROM container WHERE device = ?",
        [STATEMENT_DELETE_DEVICE_OPERATIONS] = "DELETE FROM operation WHERE device = ?",
        [STATEMENT_DELETE_DEVICE_CREDENTIALS] = "DELETE FROM credential WHERE device = ?",
        [STATEMENT_DELETE_DEVICE_SHADOWS] = "DELETE FROM shadow WHERE device = ?",
        [STATEMENT_ADD_JOURNAL] = "INSERT INTO journal(seq, time, kind, device, origin, body) VALUES(?, ?, ?, ?, ?, ?)",
        [STATEMENT_COMPACT] = "PRAGMA incremental_vacuum(1024)",
        [STATEMENT_ADD_AUDIT] = "INSERT INTO audit(seq, time, body, hash) VALUES(?, ?, ?, ?)",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
        [STATEMENT_ADD_ANCHOR] = "INSERT OR REPLACE INTO audit_anchor(seq, base, time, hash, signature)"
                                 " VALUES(?, ?, ?, ?, ?)",
        [STATEMENT_TRIM_AUDIT] = "DELETE FROM audit WHERE seq <= ?",
        [STATEMENT_TRIM_ANCHORS] = "DELETE FROM audit_anchor WHERE seq < ?1 OR (seq = ?1 AND base = 0)",
        [STATEMENT_DELETE_DEVICE_REGISTRATIONS] = "DELETE FROM registration WHERE device = ?",
        [STATEMENT_DELETE_DEVICE_REPRESENTATIONS] = "DELETE FROM representation WHERE device = ?",
        [STATEMENT_DELETE_DEVICE_SEQUENCES] = "DELETE FROM sequence WHERE device = ?",
        [STATEMENT_DELETE_DEVICE_SERIES] = "UPDATE series SET device = NULL WHERE device = ?",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
        [STATEMENT_BURY_DEVICE] = "INSERT OR REPLACE INTO grave(device, seq)"
                                  " SELECT ?, max(seq) FROM journal HAVING max(seq) IS NOT NULL",
        [STATEMENT_ADD_SERIES] = "INSERT INTO series(number, device, name) VALUES(?, ?, ?)",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
        [STATEMENT_DELETE_SERIES] = "DELETE FROM series WHERE number = ?1"
                                    " AND NOT EXISTS(SELECT 1 FROM chunk WHERE series = ?1)",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
        [STATEMENT_ADD_CHUNK] = "INSERT INTO chunk(series, downsampled, first, last, count, body)"
                                " VALUES(?, ?, ?, ?, ?, ?)",
        [STATEMENT_DELETE_CHUNK] = "DELETE FROM chunk WHERE number = ?",
        [STATEMENT_DELETE_GRAVES] = "DELETE FROM grave WHERE seq <= ?",
        [STATEMENT_TRIM_JOURNAL] = "DELETE FROM journal WHERE seq <= ?",
        [STATEMENT_SET_TOTAL] = "INSERT OR REPLACE INTO history(key, value) VALUES(?, ?)",
        [STATEMENT_DELETE_CURSOR] = "DELETE FROM cursor WHERE name = ?",
        [STATEMENT_DELETE_REGISTRATION] = "DELETE FROM registration WHERE number = ?",
        [STATEMENT_DELETE_GROUP] = "DELETE FROM device_group WHERE name = ?",
        [STATEMENT_DELETE_REPRESENTATION] = "DELETE FROM representation WHERE device = ? AND key = ?",
        [STATEMENT_DELETE_DEAD_LETTER] = "DELETE FROM dead_letter WHERE sink = ? AND first = ?",
        [STATEMENT_DELETE_DOCUMENT] = "DELETE FROM document WHERE kind = ? AND key = ?",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
        [STATEMENT_RAISE_SEQUENCE] = "INSERT INTO sequence(device, component, highest) VALUES(?, ?, ?)"
                                     " ON CONFLICT DO UPDATE SET highest = max(highest, excluded.highest)",
        [STATEMENT_DELETE_META] = "DELETE FROM meta WHERE key = ?",
        [STATEMENT_DELETE_SHADOW] = "DELETE FROM shadow WHERE device = ? AND kind = ?",
        [STATEMENT_DELETE_CREDENTIAL] = "DELETE FROM credential WHERE device = ? AND number = ?",
        [STATEMENT_SET_STATE] = "UPDATE credential SET state = ?3, first_used = ?4 WHERE device = ?1 AND number = ?2",
        [STATEMENT_RESERVE] = "UPDATE credential SET reserved = max(reserved, ?3) WHERE device = ?1 AND number = ?2",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
        [STATEMENT_SET_WINDOW] = "UPDATE credential SET window_known = ?3, window_highest = ?4, window_seen = ?5"
                                 " WHERE device = ?1 AND number = ?2",
        [STATEMENT_RENEW] = "UPDATE credential SET state = ?3, id_context = ?4, reserved = ?5, window_known = 0"
                            " WHERE device = ?1 AND number = ?2",
        [STATEMENT_DISTRUST] = "UPDATE credential SET state = 'stale', window_known = 0 WHERE kind = 'oscore'",
        [STATEMENT_COUNT_GUARD] = "UPDATE meta SET value = ? WHERE key = 'guard_count'",
        [STATEMENT_DELETE_ARTIFACT] = "DELETE FROM artifact WHERE id = ?",
        [STATEMENT_DELETE_HOLDINGS] = "DELETE FROM holding WHERE artifact = ?",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma) */
        [STATEMENT_DELETE_CONTENT] = "DELETE FROM content WHERE digest IN (SELECT digest FROM holding WHERE artifact ="
                                     " ?1) AND NOT EXISTS(SELECT 1 FROM holding h WHERE h.digest = content.digest AND"
                                     " h.artifact <> ?1)",
        [STATEMENT_DELETE_CONTAINER] = "DELETE FROM container WHERE device = ? AND uid = ?",
        [STATEMENT_DELETE_OPERATION] = "DELETE FROM operation WHERE id = ?",
        [STATEMENT_DELETE_ANSWERS] = "DELETE FROM answer WHERE created < ?",
        [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_ROLLBACK] = "ROLLBACK",
        [STATEMENT_SAVEPOINT] = "SAVEPOINT batch",
        [STATEMENT_ROLLBACK_TO] = "ROLLBACK TO batch",
        [STATEMENT_RELEASE] = "RELEASE batch",
    };
    int rc = SQLITE_OK;

    for (int i = 0; i < RECORD_COUNT && rc == SQLITE_OK; i++) {
        cleanup_free char *sql = record_put_sql(&store_records[i]);

        rc = prepare(store, (enum statement)i, sql);
    }
    for (int i = RECORD_COUNT; i < STATEMENT_COUNT && rc == SQLITE_OK; i++)
        rc = prepare(store, (enum statement)i, fixed[i]);
    return rc;
}

int store_open_reader(struct store *store, sqlite3 **db)
{
    char sql[64];
    int rc = sqlite3_open_v2(store->database, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK)
        return rc;
    (void)snprintf(sql, sizeof sql, "PRAGMA cache_size=-%d; PRAGMA mmap_size=0", READER_CACHE_KIB);
    (void)sqlite3_busy_timeout(*db, BUSY_MS);
    return sqlite3_exec(*db, sql, NULL, NULL, NULL);
}

static int open_guard(struct store *store, char *reason, size_t size)
{
    int rc = store_open_guard(store);

    if (rc == SQLITE_CANTOPEN)
        return store_refuse(reason, size, STORE_E_IO, "%s/credential-guard cannot be made: %s", store->directory,
                            strerror(errno));
    return rc == SQLITE_OK ? 0 : refuse_sqlite(store, store->db, rc, reason, size);
}

/* What an upgrade can be undone with; of the one before this nobody needs it any more. */
static int keep_copy(struct store *store, int version, char *reason, size_t size)
{
    char path[PATH_MAX];
    sqlite3_stmt *copy = NULL;
    int rc;

    (void)snprintf(path, sizeof path, "%s.version-%d", store->database, version);
    (void)unlink(path);
    rc = sqlite3_prepare_v2(store->db, "VACUUM INTO ?", -1, &copy, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(copy, 1, path, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(copy);
    (void)sqlite3_finalize(copy);
    if (rc == SQLITE_DONE && chmod(path, 0600) == 0)
        return 0;
    (void)unlink(path);
    return store_refuse(reason, size, STORE_E_IO,
                        "a copy of the database from before the upgrade cannot be kept in %s (%s): make space there",
                        store->directory, sqlite3_errmsg(store->db));
}

int store_open_database(struct store *store, const struct store_options *options, char *reason, size_t size)
{
    int version = 0, result;
    int rc = sqlite3_open_v2(store->database, &store->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK)
        return refuse_sqlite(store, store->db, rc, reason, size);
    (void)sqlite3_extended_result_codes(store->db, 1);
    (void)sqlite3_busy_timeout(store->db, BUSY_MS);
    if (sqlite3_db_readonly(store->db, "main") == 1)
        return refuse_sqlite(store, store->db, SQLITE_READONLY, reason, size);
    result = check_identity(store, &version, reason, size);
    if (result == 0)
        result = check_content(store, reason, size);
    if (result == 0 && version == 0) /* has to be known before the first table; compaction in pieces needs it */
        (void)sqlite3_exec(store->db, "PRAGMA auto_vacuum=INCREMENTAL", NULL, NULL, NULL);
    if (result == 0 && version > 0 && version < schema_version)
        result = keep_copy(store, version, reason, size);
    if (result == 0)
        result = set_pragmas(store, options, reason, size);
    if (result != 0)
        return result;
    rc = schema_migrate(store->db, schema_migrations, version, schema_version);
    if (rc == SQLITE_OK)
        rc = prepare_all(store);
    if (rc != SQLITE_OK)
        return refuse_sqlite(store, store->db, rc, reason, size);
    result = open_guard(store, reason, size);
    if (result != 0)
        return result;
    rc = store_open_audit(store);
    if (rc != SQLITE_OK)
        return refuse_sqlite(store, store->db, rc, reason, size);
    rc = store_open_reader(store, &store->reader_db);
    return rc == SQLITE_OK ? 0 : refuse_sqlite(store, store->reader_db, rc, reason, size);
}
