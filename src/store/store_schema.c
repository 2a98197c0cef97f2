#include "store/store_schema.h"

/*
 * Operations and containers are read and written by key alone, so their tables are clustered by it. Answers and parts
 * have large rows, which a table with a rowid holds better; parts need one for incremental blob access. There are no
 * foreign keys: whoever deletes a record says in the same batch what goes with it.
 */
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
    "CREATE INDEX answer_created ON answer(created);";

/*
 * What is known of devices' credentials: the ids are plain, for look-up; secrets are sealed by the core. A shadow's
 * body comes last, so that its other columns are read without it.
 */
static const char version_2[] =
    "ALTER TABLE device ADD COLUMN groups TEXT;"
    "ALTER TABLE device ADD COLUMN allow_plain INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE credential(device TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,"
    " algorithm INTEGER NOT NULL, sender_id TEXT, recipient_id TEXT, id_context TEXT, identity TEXT, fingerprint TEXT,"
    " sealed BLOB, reserved INTEGER NOT NULL, window_highest INTEGER NOT NULL, window_seen INTEGER NOT NULL,"
    " window_known INTEGER NOT NULL, created INTEGER NOT NULL, first_used INTEGER NOT NULL,"
    " PRIMARY KEY(device, number)) WITHOUT ROWID;"
    "CREATE TABLE context_used(mark TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE shadow(device TEXT NOT NULL, kind TEXT NOT NULL, format INTEGER NOT NULL, revision INTEGER NOT NULL,"
    " updated INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(device, kind));"
    "CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;";

/*
 * What devices say. A journal row is the first copy of telemetry and of every event: appended by number, read by
 * number, without an index. Behind `sealed` (in history) its records are in chunks: a row for up to some thousand
 * records of a series, disjoint in time among those with the same `downsampled`. Their bodies are larger than what a
 * table without a rowid holds well. A series without a device is of one that was removed: its chunks go in the
 * background; grave says what of the unsealed journal is such a device's.
 */
static const char version_3[] =
    "ALTER TABLE device ADD COLUMN sleep_s INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN awake_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN observe TEXT;"
    "ALTER TABLE operation ADD COLUMN request BLOB;"
    "CREATE TABLE journal(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL, device TEXT,"
    " origin INTEGER NOT NULL, body BLOB);"
    "CREATE TABLE cursor(name TEXT PRIMARY KEY NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE registration(number INTEGER PRIMARY KEY, ep TEXT, sector TEXT, base TEXT, address TEXT,"
    " device TEXT, lifetime INTEGER NOT NULL, registered INTEGER NOT NULL, updated INTEGER NOT NULL, links TEXT,"
    " attributes TEXT);"
    "CREATE TABLE device_group(name TEXT PRIMARY KEY NOT NULL, observe TEXT) WITHOUT ROWID;"
    "CREATE TABLE representation(device TEXT NOT NULL, key TEXT NOT NULL, format INTEGER NOT NULL,"
    " max_age INTEGER NOT NULL, received INTEGER NOT NULL, etag BLOB, body BLOB, PRIMARY KEY(device, key));"
    "CREATE TABLE dead_letter(sink TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " time INTEGER NOT NULL, reason TEXT, attempts INTEGER NOT NULL, body BLOB, PRIMARY KEY(sink, first));"
    "CREATE TABLE series(number INTEGER PRIMARY KEY, device TEXT, name TEXT NOT NULL, UNIQUE(device, name));"
    "CREATE TABLE chunk(number INTEGER PRIMARY KEY, series INTEGER NOT NULL, downsampled INTEGER NOT NULL,"
    " first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX chunk_series ON chunk(series, downsampled, first, last, count);"
    "CREATE INDEX chunk_age ON chunk(downsampled, first, last);"
    "CREATE TABLE grave(device TEXT PRIMARY KEY NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE history(key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;";

/*
 * What should run where, and whose it is. Documents are of the core; a sequence number outlives its container. A part's
 * content is stored once under its digest; what version 1 stored has its digest in the manifest.
 */
static const char version_4[] =
    "ALTER TABLE device ADD COLUMN labels TEXT;"
    "ALTER TABLE device ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE artifact ADD COLUMN used INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE artifact ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE artifact ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE artifact ADD COLUMN memory_max INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE content(n INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL);"
    "CREATE TABLE holding(artifact TEXT NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL,"
    " PRIMARY KEY(artifact, kind)) WITHOUT ROWID;"
    "CREATE INDEX holding_digest ON holding(digest);"
    "INSERT INTO holding SELECT p.artifact, p.kind, coalesce(json_extract(a.manifest, '$.' || p.kind || '.sha256'),"
    " p.artifact || '.' || p.kind) FROM part p JOIN artifact a ON a.id = p.artifact;"
    "INSERT OR IGNORE INTO content(digest, bytes) SELECT h.digest, p.content FROM part p JOIN holding h ON"
    " h.artifact = p.artifact AND h.kind = p.kind;"
    "DROP TABLE part;"
    "ALTER TABLE container ADD COLUMN desired_release TEXT;"
    "ALTER TABLE container ADD COLUMN loaded_release TEXT;"
    "ALTER TABLE container ADD COLUMN sent_release TEXT;"
    "ALTER TABLE container ADD COLUMN service TEXT;"
    "ALTER TABLE container ADD COLUMN needs TEXT;"
    "ALTER TABLE container ADD COLUMN parameters BLOB;"
    "ALTER TABLE container ADD COLUMN loaded_parameters TEXT;"
    "ALTER TABLE container ADD COLUMN rollback INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN attempted INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN manifest INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN manifest_sent INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN transfer TEXT;"
    "ALTER TABLE container ADD COLUMN transfer_done INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN transfer_total INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN transfer_started INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN transfer_breaks INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE container ADD COLUMN transfer_block INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE document(kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(kind, key));"
    "CREATE TABLE sequence(device TEXT NOT NULL, component TEXT NOT NULL, highest INTEGER NOT NULL,"
    " PRIMARY KEY(device, component)) WITHOUT ROWID;";

/*
 * Who did what (codec/audit.h). An entry has a number of the journal, which reads it from here.
 */
static const char version_5[] =
    "CREATE TABLE audit(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, hash BLOB NOT NULL, body TEXT NOT NULL);"
    "CREATE TABLE audit_anchor(seq INTEGER NOT NULL, base INTEGER NOT NULL, time INTEGER NOT NULL,"
    " hash BLOB NOT NULL, signature BLOB NOT NULL, PRIMARY KEY(seq, base)) WITHOUT ROWID;";

const char *const schema_migrations[] = {version_1, version_2, version_3, version_4, version_5};
const int schema_version = (int)array_size(schema_migrations);

static int migrate_step(sqlite3 *db, const char *sql, int version)
{
    char mark[80];
    int rc;

    (void)snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", SCHEMA_APPLICATION_ID,
                   version);
    rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, mark, NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int schema_migrate(sqlite3 *db, const char *const *migrations, int from, int to)
{
    int rc = SQLITE_OK;

    for (int version = from; version < to && rc == SQLITE_OK; version++)
        rc = migrate_step(db, migrations[version], version + 1);
    return rc;
}
