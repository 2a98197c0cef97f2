#include "store/store_private.h"

#include "base/buffer.h"

#include <string.h>

#define COLUMN(kind, record, member)                                                                                   \
    {                                                                                                                  \
        .name = #member, .type = COLUMN_##kind, .offset = offsetof(struct store_##record, member)                      \
    }

static const struct column device_columns[] = {
    COLUMN(TEXT, device, id),
    COLUMN(TEXT, device, name),
    COLUMN(TEXT, device, address),
    COLUMN(TEXT, device, agent),
    COLUMN(TEXT, device, agent_version),
    COLUMN(TEXT, device, reported_id),
    COLUMN(BOOL, device, agent_configured),
    COLUMN(U32, device, pdu_size),
    COLUMN(U32, device, slots),
    COLUMN(U32, device, runtimes),
    COLUMN(U32, device, package_max),
    COLUMN(U32, device, caps_configured),
    COLUMN(I64, device, created),
    COLUMN(I64, device, updated),
    COLUMN(I64, device, last_seen),
    COLUMN(U64, device, revision),
    COLUMN(TEXT, device, groups),
    COLUMN(BOOL, device, allow_plain),
    COLUMN(U32, device, sleep_s),
    COLUMN(U32, device, awake_ms),
    COLUMN(TEXT, device, observe),
    COLUMN(TEXT, device, labels),
    COLUMN(U32, device, memory),
};

static const struct column artifact_columns[] = {
    COLUMN(TEXT, artifact, id),        COLUMN(TEXT, artifact, name),     COLUMN(TEXT, artifact, manifest),
    COLUMN(U64, artifact, code_size),  COLUMN(U64, artifact, data_size), COLUMN(I64, artifact, created),
    COLUMN(I64, artifact, used),       COLUMN(BOOL, artifact, pinned),   COLUMN(U64, artifact, memory),
    COLUMN(U64, artifact, memory_max),
};

static const struct column container_columns[] = {
    COLUMN(TEXT, container, device),         COLUMN(TEXT, container, uid),
    COLUMN(TEXT, container, desired_state),  COLUMN(TEXT, container, desired_artifact),
    COLUMN(TEXT, container, reported_state), COLUMN(TEXT, container, reported_artifact),
    COLUMN(TEXT, container, load),           COLUMN(TEXT, container, fault),
    COLUMN(TEXT, container, fault_detail),   COLUMN(I64, container, created),
    COLUMN(I64, container, updated),         COLUMN(I64, container, reported),
    COLUMN(U64, container, revision),        COLUMN(TEXT, container, desired_release),
    COLUMN(TEXT, container, service),        COLUMN(TEXT, container, needs),
    COLUMN(BYTES, container, parameters),    COLUMN(BOOL, container, rollback),
    COLUMN(U32, container, attempts),        COLUMN(I64, container, attempted),
    COLUMN(I64, container, retry),           COLUMN(TEXT, container, loaded_parameters),
    COLUMN(TEXT, container, loaded_release), COLUMN(TEXT, container, sent_release),
    COLUMN(U64, container, manifest),        COLUMN(U64, container, manifest_sent),
    COLUMN(TEXT, container, transfer),       COLUMN(U64, container, transfer_done),
    COLUMN(U64, container, transfer_total),  COLUMN(I64, container, transfer_started),
    COLUMN(U32, container, transfer_breaks), COLUMN(U32, container, transfer_block),
};

static const struct column operation_columns[] = {
    COLUMN(TEXT, operation, id),     COLUMN(TEXT, operation, kind),   COLUMN(TEXT, operation, state),
    COLUMN(TEXT, operation, device), COLUMN(TEXT, operation, uid),    COLUMN(TEXT, operation, artifact),
    COLUMN(TEXT, operation, step),   COLUMN(TEXT, operation, fault),  COLUMN(TEXT, operation, fault_detail),
    COLUMN(TEXT, operation, result), COLUMN(I64, operation, created), COLUMN(I64, operation, started),
    COLUMN(I64, operation, ended),   COLUMN(I64, operation, expires), COLUMN(BYTES, operation, request),
};

static const struct column answer_columns[] = {
    COLUMN(TEXT, answer, key),      COLUMN(TEXT, answer, digest), COLUMN(INT, answer, status),
    COLUMN(TEXT, answer, location), COLUMN(TEXT, answer, body),   COLUMN(I64, answer, created),
};

static const struct column credential_columns[] = {
    COLUMN(TEXT, credential, device),        COLUMN(U64, credential, number),
    COLUMN(TEXT, credential, kind),          COLUMN(TEXT, credential, state),
    COLUMN(INT, credential, algorithm),      COLUMN(TEXT, credential, sender_id),
    COLUMN(TEXT, credential, recipient_id),  COLUMN(TEXT, credential, id_context),
    COLUMN(TEXT, credential, identity),      COLUMN(TEXT, credential, fingerprint),
    COLUMN(BYTES, credential, sealed),       COLUMN(U64, credential, reserved),
    COLUMN(U64, credential, window_highest), COLUMN(U32, credential, window_seen),
    COLUMN(BOOL, credential, window_known),  COLUMN(I64, credential, created),
    COLUMN(I64, credential, first_used),
};

static const struct column context_columns[] = {COLUMN(TEXT, context, mark)};

static const struct column meta_columns[] = {COLUMN(TEXT, meta, key), COLUMN(TEXT, meta, value)};

static const struct column shadow_columns[] = {
    COLUMN(TEXT, shadow, device),  COLUMN(TEXT, shadow, kind),   COLUMN(INT, shadow, format),
    COLUMN(U64, shadow, revision), COLUMN(I64, shadow, updated), COLUMN(BODY, shadow, body),
};

static const struct column cursor_columns[] = {COLUMN(TEXT, cursor, name), COLUMN(U64, cursor, seq)};

static const struct column registration_columns[] = {
    COLUMN(U64, registration, number),   COLUMN(TEXT, registration, ep),         COLUMN(TEXT, registration, sector),
    COLUMN(TEXT, registration, base),    COLUMN(TEXT, registration, address),    COLUMN(TEXT, registration, device),
    COLUMN(U32, registration, lifetime), COLUMN(I64, registration, registered),  COLUMN(I64, registration, updated),
    COLUMN(TEXT, registration, links),   COLUMN(TEXT, registration, attributes),
};

static const struct column group_columns[] = {COLUMN(TEXT, group, name), COLUMN(TEXT, group, observe)};

static const struct column representation_columns[] = {
    COLUMN(TEXT, representation, device), COLUMN(TEXT, representation, key),     COLUMN(INT, representation, format),
    COLUMN(U32, representation, max_age), COLUMN(I64, representation, received), COLUMN(BYTES, representation, etag),
    COLUMN(BYTES, representation, body),
};

static const struct column dead_letter_columns[] = {
    COLUMN(TEXT, dead_letter, sink),  COLUMN(U64, dead_letter, first),   COLUMN(U64, dead_letter, last),
    COLUMN(I64, dead_letter, time),   COLUMN(TEXT, dead_letter, reason), COLUMN(U32, dead_letter, attempts),
    COLUMN(BYTES, dead_letter, body),
};

static const struct column document_columns[] = {
    COLUMN(TEXT, document, kind),
    COLUMN(TEXT, document, key),
    COLUMN(TEXT, document, body),
};

static const struct column sequence_columns[] = {
    COLUMN(TEXT, sequence, device),
    COLUMN(TEXT, sequence, component),
    COLUMN(U64, sequence, highest),
};

const struct record store_records[RECORD_COUNT] = {
    [RECORD_META] = {"meta", "key", "key", meta_columns, array_size(meta_columns)},
    [RECORD_DEVICE] = {"device", "id", "id", device_columns, array_size(device_columns)},
    [RECORD_ARTIFACT] = {"artifact", "id", "id", artifact_columns, array_size(artifact_columns)},
    [RECORD_CONTAINER] = {"container", "device, uid", "device, uid", container_columns, array_size(container_columns)},
    [RECORD_OPERATION] = {"operation", "id", "id", operation_columns, array_size(operation_columns)},
    [RECORD_ANSWER] = {"answer", "key", "created", answer_columns, array_size(answer_columns)},
    [RECORD_CREDENTIAL] = {"credential", "device, number", "device, number", credential_columns,
                           array_size(credential_columns)},
    [RECORD_CONTEXT] = {"context_used", "mark", "mark", context_columns, array_size(context_columns)},
    [RECORD_SHADOW] = {"shadow", "device, kind", "device, kind", shadow_columns, array_size(shadow_columns)},
    [RECORD_CURSOR] = {"cursor", "name", "name", cursor_columns, array_size(cursor_columns)},
    [RECORD_REGISTRATION] = {"registration", "number", "number", registration_columns,
                             array_size(registration_columns)},
    [RECORD_GROUP] = {"device_group", "name", "name", group_columns, array_size(group_columns)},
    [RECORD_REPRESENTATION] = {"representation", "device, key", "device, key", representation_columns,
                               array_size(representation_columns)},
    [RECORD_DEAD_LETTER] = {"dead_letter", "sink, first", "sink, first", dead_letter_columns,
                            array_size(dead_letter_columns)},
    [RECORD_DOCUMENT] = {"document", "kind, key", "kind, key", document_columns, array_size(document_columns)},
    [RECORD_SEQUENCE] = {"sequence", "device, component", "device, component", sequence_columns,
                         array_size(sequence_columns)},
};

static void append_columns(struct buffer *sql, const struct record *record)
{
    for (size_t i = 0; i < record->column_count; i++)
        buffer_printf(sql, "%s%s", i ? ", " : "", record->columns[i].name);
}

char *record_put_sql(const struct record *record)
{
    cleanup_buffer struct buffer sql = buffer_init(0);
    size_t size;

    buffer_printf(&sql, "INSERT INTO %s(", record->table);
    append_columns(&sql, record);
    buffer_append_text(&sql, ") VALUES(");
    for (size_t i = 0; i < record->column_count; i++)
        buffer_append_text(&sql, i ? ", ?" : "?");
    buffer_printf(&sql, ") ON CONFLICT(%s) DO UPDATE SET ", record->key);
    for (size_t i = 0; i < record->column_count; i++)
        buffer_printf(&sql, "%s%s = excluded.%s", i ? ", " : "", record->columns[i].name, record->columns[i].name);
    return (char *)buffer_steal(&sql, &size);
}

char *record_select_sql(const struct record *record)
{
    cleanup_buffer struct buffer sql = buffer_init(0);
    size_t size;

    buffer_append_text(&sql, "SELECT ");
    for (size_t i = 0; i < record->column_count; i++)
        buffer_printf(&sql, record->columns[i].type == COLUMN_BODY ? "%slength(%s)" : "%s%s", i ? ", " : "",
                      record->columns[i].name);
    buffer_printf(&sql, " FROM %s ORDER BY %s", record->table, record->order);
    return (char *)buffer_steal(&sql, &size);
}

struct value record_get_value(const struct column *column, const void *row)
{
    const void *member = (const char *)row + column->offset;
    struct value value = {.type = VALUE_NUMBER};

    switch (column->type) {
    case COLUMN_TEXT:
        value.text = *(const char *const *)member;
        value.type = value.text ? VALUE_TEXT : VALUE_NULL;
        break;
    case COLUMN_BOOL:
        value.number = *(const bool *)member;
        break;
    case COLUMN_INT:
        value.number = *(const int *)member;
        break;
    case COLUMN_U32:
        value.number = *(const uint32_t *)member;
        break;
    case COLUMN_I64:
        value.number = *(const int64_t *)member;
        break;
    case COLUMN_U64:
        value.number = (int64_t) * (const uint64_t *)member;
        break;
    case COLUMN_BYTES:
    case COLUMN_BODY:
        value.bytes = *(const struct store_bytes *)member;
        value.type = value.bytes.data ? VALUE_BYTES : VALUE_NULL;
        break;
    }
    return value;
}

void record_set_value(const struct column *column, void *row, sqlite3_stmt *from, int index)
{
    void *member = (char *)row + column->offset;
    bool is_number = column->type != COLUMN_TEXT && column->type != COLUMN_BYTES;
    int64_t number = is_number ? sqlite3_column_int64(from, index) : 0;

    switch (column->type) {
    case COLUMN_TEXT:
        *(const char **)member = (const char *)sqlite3_column_text(from, index);
        break;
    case COLUMN_BOOL:
        *(bool *)member = number != 0;
        break;
    case COLUMN_INT:
        *(int *)member = (int)number;
        break;
    case COLUMN_U32:
        *(uint32_t *)member = (uint32_t)number;
        break;
    case COLUMN_I64:
        *(int64_t *)member = number;
        break;
    case COLUMN_U64:
        *(uint64_t *)member = (uint64_t)number;
        break;
    case COLUMN_BYTES:
        ((struct store_bytes *)member)->data = sqlite3_column_blob(from, index);
        ((struct store_bytes *)member)->size = (size_t)sqlite3_column_bytes(from, index);
        break;
    case COLUMN_BODY:
        ((struct store_bytes *)member)->size = (size_t)number;
        break;
    }
}
