#include "store/store_private.h"

#include <errno.h>
#include <string.h>

union any_row {
    struct store_device device;
    struct store_artifact artifact;
    struct store_container container;
    struct store_operation operation;
    struct store_answer answer;
    struct store_credential credential;
    struct store_context context;
    struct store_shadow shadow;
    struct store_meta meta;
    struct store_cursor cursor;
    struct store_registration registration;
    struct store_group group;
    struct store_representation representation;
    struct store_dead_letter dead_letter;
    struct store_document document;
    struct store_sequence sequence;
};

static bool is_wanted(const struct store_loader *loader, enum record_kind kind)
{
    const bool wanted[RECORD_COUNT] = {
        [RECORD_DEVICE] = loader->device,
        [RECORD_ARTIFACT] = loader->artifact,
        [RECORD_CONTAINER] = loader->container,
        [RECORD_OPERATION] = loader->operation,
        [RECORD_ANSWER] = loader->answer,
        [RECORD_CREDENTIAL] = loader->credential,
        [RECORD_CONTEXT] = loader->context,
        [RECORD_SHADOW] = loader->shadow,
        [RECORD_META] = loader->meta,
        [RECORD_CURSOR] = loader->cursor,
        [RECORD_REGISTRATION] = loader->registration,
        [RECORD_GROUP] = loader->group,
        [RECORD_REPRESENTATION] = loader->representation,
        [RECORD_DEAD_LETTER] = loader->dead_letter,
        [RECORD_DOCUMENT] = loader->document,
        [RECORD_SEQUENCE] = loader->sequence,
    };

    return wanted[kind];
}

static int hand_row(const struct store_loader *loader, enum record_kind kind, const union any_row *row)
{
    switch (kind) {
    case RECORD_DEVICE:
        return loader->device(loader->arg, &row->device);
    case RECORD_ARTIFACT:
        return loader->artifact(loader->arg, &row->artifact);
    case RECORD_CONTAINER:
        return loader->container(loader->arg, &row->container);
    case RECORD_OPERATION:
        return loader->operation(loader->arg, &row->operation);
    case RECORD_CREDENTIAL:
        return loader->credential(loader->arg, &row->credential);
    case RECORD_CONTEXT:
        return loader->context(loader->arg, &row->context);
    case RECORD_SHADOW:
        return loader->shadow(loader->arg, &row->shadow);
    case RECORD_META:
        return loader->meta(loader->arg, &row->meta);
    case RECORD_CURSOR:
        return loader->cursor(loader->arg, &row->cursor);
    case RECORD_REGISTRATION:
        return loader->registration(loader->arg, &row->registration);
    case RECORD_GROUP:
        return loader->group(loader->arg, &row->group);
    case RECORD_REPRESENTATION:
        return loader->representation(loader->arg, &row->representation);
    case RECORD_DEAD_LETTER:
        return loader->dead_letter(loader->arg, &row->dead_letter);
    case RECORD_DOCUMENT:
        return loader->document(loader->arg, &row->document);
    case RECORD_SEQUENCE:
        return loader->sequence(loader->arg, &row->sequence);
    default:
        return loader->answer(loader->arg, &row->answer);
    }
}

static int load_rows(const struct store_loader *loader, enum record_kind kind, sqlite3_stmt *from)
{
    const struct record *record = &store_records[kind];
    int rc, result = 0;

    while (result == 0 && (rc = sqlite3_step(from)) != SQLITE_DONE) {
        union any_row row = {0};

        if (rc != SQLITE_ROW)
            return -EIO;
        for (size_t i = 0; i < record->column_count; i++)
            record_set_value(&record->columns[i], &row, from, (int)i);
        result = hand_row(loader, kind, &row);
    }
    return result;
}

static int load_record(sqlite3 *db, const struct store_loader *loader, enum record_kind kind)
{
    cleanup_free char *sql = record_select_sql(&store_records[kind]);
    sqlite3_stmt *from = NULL;
    int result;

    if (!sql)
        return -ENOMEM;
    if (sqlite3_prepare_v2(db, sql, -1, &from, NULL) != SQLITE_OK)
        return -EIO;
    result = load_rows(loader, kind, from);
    (void)sqlite3_finalize(from);
    return result;
}

/* Whether an entry is of the time asked for. */
static bool is_of_late(const struct store_loader *loader, int64_t time, int64_t newest)
{
    int64_t before;

    return time >= loader->journal_since && !__builtin_sub_overflow(newest, time, &before) &&
           before <= loader->journal_span && before >= -loader->journal_span;
}

/* The number of the oldest entry to load: walks back from the newest while they are of the time asked for. */
static int find_journal_start(sqlite3 *db, const struct store_loader *loader, int64_t *start)
{
    sqlite3_stmt *from = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT seq, time FROM journal ORDER BY seq DESC", -1, &from, NULL);
    bool enough = false;
    int64_t newest = 0;

    *start = INT64_MAX;
    while (rc == SQLITE_OK && !enough && (rc = sqlite3_step(from)) == SQLITE_ROW) {
        if (*start == INT64_MAX)
            newest = sqlite3_column_int64(from, 1);
        enough = !is_of_late(loader, sqlite3_column_int64(from, 1), newest);
        if (!enough || *start == INT64_MAX)
            *start = sqlite3_column_int64(from, 0);
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(from);
    return rc == SQLITE_OK || rc == SQLITE_DONE ? 0 : -EIO;
}

static int hand_entries(const struct store_loader *loader, sqlite3_stmt *from)
{
    int rc, result = 0;

    while (result == 0 && (rc = sqlite3_step(from)) != SQLITE_DONE) {
        struct store_journal row;

        if (rc != SQLITE_ROW)
            return -EIO;
        journal_take_row(from, &row);
        result = loader->journal(loader->arg, &row);
    }
    return result;
}

static int load_journal(sqlite3 *db, const struct store_loader *loader)
{
    static const char sql[] = "SELECT seq, time, kind, device, origin, NULL FROM journal WHERE seq >= ? ORDER BY seq";
    sqlite3_stmt *from = NULL;
    int64_t start;
    int result = find_journal_start(db, loader, &start);

    if (result < 0)
        return result;
    if (sqlite3_prepare_v2(db, sql, -1, &from, NULL) == SQLITE_OK && sqlite3_bind_int64(from, 1, start) == SQLITE_OK)
        result = hand_entries(loader, from);
    else
        result = -EIO;
    (void)sqlite3_finalize(from);
    return result;
}

static int load_all(sqlite3 *db, const struct store_loader *loader)
{
    int result = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO; /* one state of all tables */

    for (int kind = 0; kind < RECORD_COUNT && result == 0; kind++)
        if (is_wanted(loader, (enum record_kind)kind))
            result = load_record(db, loader, (enum record_kind)kind);
    if (result == 0 && loader->journal)
        result = load_journal(db, loader);
    return result;
}

/* On a connection of its own: the writer's is in use already, since the history goes on with what the last run left. */
int store_load(struct store *store, const struct store_loader *loader)
{
    sqlite3 *db = NULL;
    int result = store_open_reader(store, &db) == SQLITE_OK ? load_all(db, loader) : -EIO;

    (void)sqlite3_close(db);
    return result;
}
