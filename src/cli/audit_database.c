#include "base/text.h"
#include "cli/audit.h"
#include "codec/audit.h"

#include <sqlite3.h>

/* The audit trail of a copied database. */

static bool give(audit_line_fn line, void *arg, json_t *object)
{
    bool more = object && line(arg, object);

    json_decref(object);
    return more;
}

static json_t *hex_of(sqlite3_stmt *from, int column)
{
    char text[2 * AUDIT_SIGNATURE_SIZE + 1];
    size_t size = (size_t)sqlite3_column_bytes(from, column);

    return json_string(size <= AUDIT_SIGNATURE_SIZE ? text_hex(sqlite3_column_blob(from, column), size, text) : "");
}

/* seq, hash, body; a body that is none of ours counts as an entry without members, whose hash is wrong. */
static json_t *entry_of(sqlite3_stmt *from)
{
    json_t *entry = json_loads((const char *)sqlite3_column_text(from, 2), JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(entry)) {
        json_decref(entry);
        entry = json_object();
    }
    if (json_integer_value(json_object_get(entry, "seq")) != sqlite3_column_int64(from, 0))
        (void)json_object_set_new(entry, "seq", json_integer(sqlite3_column_int64(from, 0)));
    (void)json_object_set_new(entry, "hash", hex_of(from, 1));
    return entry;
}

/* seq, base, time, hash, signature */
static json_t *anchor_of(sqlite3_stmt *from)
{
    return json_pack("{s:{s:I, s:b, s:I, s:o, s:o}}", "anchor", "seq", (json_int_t)sqlite3_column_int64(from, 0),
                     "base", sqlite3_column_int(from, 1), "time", (json_int_t)sqlite3_column_int64(from, 2), "hash",
                     hex_of(from, 3), "signature", hex_of(from, 4));
}

/* Both in the order of their numbers; where they have the same, a base comes first and an anchor behind its entry. */
static int walk(sqlite3_stmt *entries, sqlite3_stmt *anchors, audit_line_fn line, void *arg)
{
    int entry = sqlite3_step(entries), anchor = sqlite3_step(anchors);
    bool more = true;

    while (more && (entry == SQLITE_ROW || anchor == SQLITE_ROW)) {
        bool entry_first = anchor != SQLITE_ROW || (entry == SQLITE_ROW && sqlite3_column_int64(entries, 0) <=
                                                                               sqlite3_column_int64(anchors, 0));

        more = give(line, arg, entry_first ? entry_of(entries) : anchor_of(anchors));
        if (entry_first)
            entry = sqlite3_step(entries);
        else
            anchor = sqlite3_step(anchors);
    }
    return !more || (entry == SQLITE_DONE && anchor == SQLITE_DONE) ? SQLITE_OK : SQLITE_CORRUPT;
}

int audit_read_database(struct cli *cli, const char *path, audit_line_fn line, void *arg)
{
    sqlite3_stmt *entries = NULL, *anchors = NULL;
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "SELECT seq, hash, body FROM audit ORDER BY seq", -1, &entries, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "SELECT seq, base, time, hash, signature FROM audit_anchor ORDER BY seq, base DESC",
                                -1, &anchors, NULL);
    if (rc == SQLITE_OK)
        rc = walk(entries, anchors, line, arg);
    if (rc != SQLITE_OK)
        rc = cli_error(cli, CLI_FAILED, NULL, "%s cannot be read: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
    (void)sqlite3_finalize(entries);
    (void)sqlite3_finalize(anchors);
    (void)sqlite3_close(db);
    return rc;
}
