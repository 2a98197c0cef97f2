#ifndef TC_STORE_CHORE_H
#define TC_STORE_CHORE_H

#include "store/store.h"

/*
 * Long work beside all else, one at a time, on a thread and a connection of its own: backups and checks. The callback
 * comes from store_dispatch; not when the store closes before, which ends the work.
 */

/* result: 0, -EBUSY (another one is under way), -ENOSPC, -EIO, -ENOMEM, -ECANCELED. */
typedef void (*store_backup_fn)(void *arg, int result, const char *path, uint64_t size);
/* Writes a sealed backup (codec/backup.h) into the spool: a copy of the database as it is now, and the gateway's keys
 * and authority from the state directory. The file goes with the callback: who wants it opens it. Negative errno: done
 * will not come. */
int store_backup(struct store *store, store_backup_fn done, void *arg) must_check;

/* What PRAGMA integrity_check says: "ok", or what is wrong in some lines. */
typedef void (*store_check_fn)(void *arg, int result, const char *verdict);
int store_check(struct store *store, store_check_fn done, void *arg) must_check;

/* Gives some free pages of the database back to the file system, so that changes go on between two calls. A database
 * that an older version has made cannot do so: all are left then. As store_submit. */
struct store_pages {
    uint64_t left, size; /* free pages that are left; bytes of a page */
};
typedef void (*store_compact_fn)(void *arg, int result, const struct store_pages *pages);
int store_compact(struct store *store, store_compact_fn done, void *arg) must_check;

/* Restore, while no daemon runs ------------------------------------------------------------------------------------ */

struct store_restored {
    int schema_version;
    int64_t created;                    /* wall ms; 0: a database alone, without keys */
    uint64_t devices, contexts, floors; /* OSCORE contexts that will be renewed; floors that were raised by what was
                                           there */
    bool has_sealing_key;
    char kept[64]; /* the directory, in the state directory, with what was there before; empty: nothing was */
};

/* Puts a backup, or a copy of a database, in the place of what the state directory has. Either all is restored or
 * nothing is; an interruption in between is noticed by store_open. 0, or a positive store_open_error with a sentence
 * (256 bytes). */
int store_restore(const char *directory, const char *path, struct store_restored *out, char *reason,
                  size_t reason_size) must_check;

#endif
