#ifndef TC_STORE_SCHEMA_H
#define TC_STORE_SCHEMA_H

#include "base/cleanup.h"

#include <sqlite3.h>

/* In the database's header (PRAGMA application_id): "tcgw". */
#define SCHEMA_APPLICATION_ID 0x74636777

/* The SQL that leads from version n to n + 1. Released entries never change. */
extern const char *const schema_migrations[];
extern const int schema_version;

/* Brings a database from version `from` to version `to`, each step in a transaction of its own that also sets
 * PRAGMA user_version. Returns an SQLite result code; after a failure the database is at the last version reached. */
int schema_migrate(sqlite3 *db, const char *const *migrations, int from, int to) must_check;

#endif
