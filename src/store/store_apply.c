#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>

#define COPY_SIZE 16384

/* errno of the last failed call on the database's file or its journal, 0 for none. */
static int last_errno(sqlite3 *db, int which)
{
    sqlite3_file *file = NULL;
    int error = 0;

    if (sqlite3_file_control(db, "main", which, &file) == SQLITE_OK && file && file->pMethods)
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/* A quota (EDQUOT) and a limit (EFBIG) are a full disk too for the operator; SQLite calls them I/O errors. */
static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

int store_errno(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_IOERR:
        return is_full(last_errno(db, SQLITE_FCNTL_FILE_POINTER)) ||
                       is_full(last_errno(db, SQLITE_FCNTL_JOURNAL_POINTER))
                   ? -ENOSPC
                   : -EIO;
    default:
        return -EIO;
    }
}

static int step(struct store *store, sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    int result = rc == SQLITE_DONE ? 0 : store_errno(store->db, rc);

    (void)sqlite3_reset(statement);
    return result;
}

int store_step(struct store *store, sqlite3_stmt *statement)
{
    int result = step(store, statement);

    (void)sqlite3_clear_bindings(statement);
    return result;
}

int store_run(struct store *store, enum statement statement)
{
    return step(store, store->statements[statement]);
}

static int bind_value(sqlite3_stmt *statement, int index, const struct value *value)
{
    switch (value->type) {
    case VALUE_TEXT:
        return sqlite3_bind_text(statement, index, value->text, -1, SQLITE_STATIC);
    case VALUE_BYTES:
        return sqlite3_bind_blob64(statement, index, value->bytes.data, value->bytes.size, SQLITE_STATIC);
    case VALUE_NUMBER:
        return sqlite3_bind_int64(statement, index, value->number);
    default:
        return sqlite3_bind_null(statement, index);
    }
}

/* Fills the open blob from the file, which must have exactly its size. */
static int copy_file(struct store *store, sqlite3_blob *blob, int fd)
{
    unsigned char bytes[COPY_SIZE];
    int size = sqlite3_blob_bytes(blob), offset = 0;
    ssize_t n;

    while ((n = read(fd, bytes, sizeof bytes)) != 0) {
        int rc;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || n > size - offset)
            return -EIO;
        rc = sqlite3_blob_write(blob, bytes, (int)n, offset);
        if (rc != SQLITE_OK)
            return store_errno(store->db, rc);
        offset += (int)n;
    }
    return offset == size ? 0 : -EIO;
}

/* Of the content that was just inserted. */
static int write_content(struct store *store, const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    sqlite3_blob *blob = NULL;
    int rc, result;

    if (fd < 0)
        return -EIO;
    rc = sqlite3_blob_open(store->db, "main", "content", "bytes", sqlite3_last_insert_rowid(store->db), 1, &blob);
    if (rc != SQLITE_OK)
        return store_errno(store->db, rc);
    result = copy_file(store, blob, fd);
    rc = sqlite3_blob_close(blob);
    return result == 0 && rc != SQLITE_OK ? store_errno(store->db, rc) : result;
}

/* For the history's thread. */
static void count_change(struct store *store, const struct change *change)
{
    if (change->statement == STATEMENT_ADD_JOURNAL) {
        store->growth.rows++;
        store->growth.bytes +=
            journal_row_bytes(change->values[3].type == VALUE_TEXT ? change->values[3].text : NULL,
                              change->values[5].type == VALUE_BYTES ? change->values[5].bytes.size : 0);
        store->growth.last = (uint64_t)change->values[0].number;
    } else if (change->statement == STATEMENT_BURY_DEVICE) {
        store->group_removals++;
        store->removals++;
    }
}

static uint64_t pragma_number(const struct store *store, const char *sql)
{
    sqlite3_stmt *from = NULL;
    uint64_t number = 0;

    if (sqlite3_prepare_v2(store->db, sql, -1, &from, NULL) == SQLITE_OK && sqlite3_step(from) == SQLITE_ROW)
        number = (uint64_t)sqlite3_column_int64(from, 0);
    (void)sqlite3_finalize(from);
    return number;
}

/* Gives a row for each page. */
static int apply_compaction(struct store *store)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_COMPACT];
    int rc;

    while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
        ;
    (void)sqlite3_reset(statement);
    store->free_pages = pragma_number(store, "PRAGMA freelist_count");
    store->page_size = pragma_number(store, "PRAGMA page_size");
    return rc == SQLITE_DONE ? 0 : store_errno(store->db, rc);
}

static int apply_change(struct store *store, const struct change *change)
{
    sqlite3_stmt *statement = store->statements[change->statement];
    int rc = SQLITE_OK, result;

    count_change(store, change);
    if (change->statement == STATEMENT_ADD_AUDIT)
        return store_apply_audit(store, change);
    if (change->statement == STATEMENT_COMPACT)
        return apply_compaction(store);
    for (size_t i = 0; i < change->value_count && rc == SQLITE_OK; i++)
        rc = bind_value(statement, (int)i + 1, &change->values[i]);
    result = rc == SQLITE_OK ? store_step(store, statement) : -EIO;
    if (result == 0 && change->path && sqlite3_changes(store->db) > 0) /* nobody has this content yet */
        result = write_content(store, change->path);
    return result;
}

int store_apply_batch(struct store *store, const struct store_batch *batch)
{
    struct audit_head audit = store->audit;
    int result = batch->failed ? -EIO : batch->slice && batch->removals != store->removals ? -EAGAIN : 0;

    /* One statement is applied as a whole or not at all by itself: most batches are a message's entry. */
    if (result == 0 && batch->first && !batch->first->next && !batch->first->path)
        return apply_change(store, batch->first);
    if (result == 0)
        result = store_run(store, STATEMENT_SAVEPOINT);
    if (result < 0)
        return result;
    for (const struct change *change = batch->first; change && result == 0; change = change->next)
        result = apply_change(store, change);
    if (result < 0)
        store->audit = audit;
    if (sqlite3_get_autocommit(store->db))
        return result;
    if ((result < 0 && store_run(store, STATEMENT_ROLLBACK_TO) < 0) || store_run(store, STATEMENT_RELEASE) < 0) {
        (void)store_run(store, STATEMENT_ROLLBACK);
        return -EIO;
    }
    return result;
}
