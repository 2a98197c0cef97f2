#include "store/store_private.h"

#include <string.h>

static void *take(struct store_batch *batch, size_t size)
{
    void *taken = arena_take(&batch->arena, size);

    batch->failed |= !taken;
    return taken;
}

static const void *copy_bytes(struct store_batch *batch, const void *data, size_t size)
{
    void *copy = take(batch, size ? size : 1);

    return copy && size ? memcpy(copy, data, size) : copy;
}

static const char *copy_text(struct store_batch *batch, const char *text)
{
    return copy_bytes(batch, text, strlen(text) + 1);
}

static void finish_batch(struct job *job, bool call)
{
    struct store_batch *batch = container_of(job, struct store_batch, job);

    if (call && batch->done)
        batch->done(batch->arg, batch->result);
    store_batch_free(batch);
}

struct store_batch *store_batch_new(void)
{
    struct store_batch *batch = calloc(1, sizeof *batch);

    if (!batch)
        return NULL;
    list_init(&batch->job.node);
    batch->job.finish = finish_batch;
    batch->last = &batch->first;
    return batch;
}

struct store_batch *store_batch_free(struct store_batch *batch)
{
    if (!batch)
        return NULL;
    arena_clear(&batch->arena);
    free(batch);
    return NULL;
}

/* Whether a change must not be undone by an older database without somebody noticing. */
static bool is_guarded(enum statement statement)
{
    switch ((int)statement) {
    case RECORD_META:
    case RECORD_CREDENTIAL:
    case STATEMENT_DELETE_META:
    case STATEMENT_DELETE_CREDENTIAL:
    case STATEMENT_DELETE_DEVICE_CREDENTIALS:
    case STATEMENT_SET_STATE:
    case STATEMENT_RESERVE:
    case STATEMENT_SET_WINDOW:
    case STATEMENT_RENEW:
    case STATEMENT_DISTRUST:
        return true;
    default:
        return false;
    }
}

/* Appends a change with room for `count` values, which are NULL at first; NULL when out of memory. */
static struct change *add_change(struct store_batch *batch, enum statement statement, size_t count)
{
    size_t size = sizeof(struct change) + count * sizeof(struct value);
    struct change *change = take(batch, size);

    if (!change)
        return NULL;
    memset(change, 0, size);
    batch->guarded |= is_guarded(statement);
    change->statement = statement;
    change->value_count = count;
    *batch->last = change;
    batch->last = &change->next;
    return change;
}

static void set_value(struct store_batch *batch, struct change *change, size_t index, struct value value)
{
    if (value.type == VALUE_TEXT)
        value.text = copy_text(batch, value.text);
    else if (value.type == VALUE_BYTES)
        value.bytes.data = copy_bytes(batch, value.bytes.data, value.bytes.size);
    change->values[index] = value;
}

void batch_run(struct store_batch *batch, enum statement statement, const struct value *values, size_t count)
{
    struct change *change = add_change(batch, statement, count);

    for (size_t i = 0; change && i < count; i++)
        set_value(batch, change, i, values[i]);
}

static void put_row(struct store_batch *batch, enum record_kind kind, const void *row)
{
    const struct record *record = &store_records[kind];
    struct change *change = add_change(batch, (enum statement)kind, record->column_count);

    for (size_t i = 0; change && i < record->column_count; i++)
        set_value(batch, change, i, record_get_value(&record->columns[i], row));
}

static void delete_by_text(struct store_batch *batch, enum statement statement, const char *key)
{
    struct change *change = add_change(batch, statement, 1);

    if (change)
        set_value(batch, change, 0, text_value(key));
}

static void put_part(struct store_batch *batch, const char *artifact, const char *kind, const struct store_part *part,
                     uint64_t size)
{
    struct change *change;

    if (!part->path) {
        batch->failed |= size != 0;
        return;
    }
    batch_run(batch, STATEMENT_PUT_HOLDING,
              (struct value[]){text_value(artifact), text_value(kind), text_value(part->digest)}, 3);
    change = add_change(batch, STATEMENT_PUT_CONTENT, 2);
    if (!change)
        return;
    set_value(batch, change, 0, text_value(part->digest));
    set_value(batch, change, 1, number_value((int64_t)size));
    change->path = copy_text(batch, part->path);
    change->size = (int64_t)size;
}

void store_batch_put_device(struct store_batch *batch, const struct store_device *row)
{
    put_row(batch, RECORD_DEVICE, row);
}

void store_batch_delete_device(struct store_batch *batch, const char *id)
{
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_OPERATIONS, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_CONTAINERS, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_CREDENTIALS, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_SHADOWS, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_REGISTRATIONS, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_REPRESENTATIONS, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_SEQUENCES, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE_SERIES, id);
    delete_by_text(batch, STATEMENT_BURY_DEVICE, id);
    delete_by_text(batch, STATEMENT_DELETE_DEVICE, id);
}

static void delete_parts(struct store_batch *batch, const char *artifact)
{
    delete_by_text(batch, STATEMENT_DELETE_CONTENT, artifact);
    delete_by_text(batch, STATEMENT_DELETE_HOLDINGS, artifact);
}

void store_batch_put_artifact(struct store_batch *batch, const struct store_artifact *row,
                              const struct store_part *code, const struct store_part *data)
{
    put_row(batch, RECORD_ARTIFACT, row);
    delete_parts(batch, row->id);
    put_part(batch, row->id, "code", code, row->code_size);
    put_part(batch, row->id, "data", data, row->data_size);
}

void store_batch_keep_artifact(struct store_batch *batch, const char *id, bool pinned, int64_t used)
{
    batch_run(batch, STATEMENT_KEEP_ARTIFACT,
              (struct value[]){text_value(id), number_value(pinned), number_value(used)}, 3);
}

void store_batch_delete_artifact(struct store_batch *batch, const char *id)
{
    delete_parts(batch, id);
    delete_by_text(batch, STATEMENT_DELETE_ARTIFACT, id);
}

void store_batch_put_container(struct store_batch *batch, const struct store_container *row)
{
    put_row(batch, RECORD_CONTAINER, row);
}

void store_batch_delete_container(struct store_batch *batch, const char *device, const char *uid)
{
    struct change *change = add_change(batch, STATEMENT_DELETE_CONTAINER, 2);

    if (!change)
        return;
    set_value(batch, change, 0, text_value(device));
    set_value(batch, change, 1, text_value(uid));
}

void store_batch_put_operation(struct store_batch *batch, const struct store_operation *row)
{
    put_row(batch, RECORD_OPERATION, row);
}

void store_batch_delete_operation(struct store_batch *batch, const char *id)
{
    delete_by_text(batch, STATEMENT_DELETE_OPERATION, id);
}

void store_batch_put_answer(struct store_batch *batch, const struct store_answer *row)
{
    put_row(batch, RECORD_ANSWER, row);
}

void store_batch_delete_answers_before(struct store_batch *batch, int64_t created)
{
    struct change *change = add_change(batch, STATEMENT_DELETE_ANSWERS, 1);

    if (change)
        set_value(batch, change, 0, number_value(created));
}

void store_batch_put_meta(struct store_batch *batch, const struct store_meta *row)
{
    if (row->value)
        put_row(batch, RECORD_META, row);
    else
        delete_by_text(batch, STATEMENT_DELETE_META, row->key);
}

void store_batch_put_context(struct store_batch *batch, const struct store_context *row)
{
    put_row(batch, RECORD_CONTEXT, row);
}

void store_batch_put_shadow(struct store_batch *batch, const struct store_shadow *row)
{
    put_row(batch, RECORD_SHADOW, row);
}

void store_batch_delete_shadow(struct store_batch *batch, const char *device, const char *kind)
{
    const struct value values[] = {text_value(device), text_value(kind)};

    batch_run(batch, STATEMENT_DELETE_SHADOW, values, array_size(values));
}

void store_batch_put_credential(struct store_batch *batch, const struct store_credential *row)
{
    put_row(batch, RECORD_CREDENTIAL, row);
}

void store_batch_delete_credential(struct store_batch *batch, const char *device, uint64_t number)
{
    const struct value values[] = {text_value(device), number_value((int64_t)number)};

    batch_run(batch, STATEMENT_DELETE_CREDENTIAL, values, array_size(values));
}

void store_batch_set_credential_state(struct store_batch *batch, const char *device, uint64_t number, const char *state,
                                      int64_t first_used)
{
    const struct value values[] = {text_value(device), number_value((int64_t)number), text_value(state),
                                   number_value(first_used)};

    batch_run(batch, STATEMENT_SET_STATE, values, array_size(values));
}

void store_batch_reserve(struct store_batch *batch, const char *device, uint64_t number, uint64_t reserved)
{
    const struct value values[] = {text_value(device), number_value((int64_t)number), number_value((int64_t)reserved)};

    batch_run(batch, STATEMENT_RESERVE, values, array_size(values));
}

void store_batch_set_window(struct store_batch *batch, const char *device, uint64_t number, bool known,
                            uint64_t highest, uint32_t seen)
{
    const struct value values[] = {text_value(device), number_value((int64_t)number), number_value(known),
                                   number_value((int64_t)highest), number_value(seen)};

    batch_run(batch, STATEMENT_SET_WINDOW, values, array_size(values));
}

void store_batch_renew_credential(struct store_batch *batch, const char *device, uint64_t number, const char *state,
                                  const char *id_context, uint64_t reserved)
{
    const struct value values[] = {text_value(device), number_value((int64_t)number), text_value(state),
                                   optional_text(id_context), number_value((int64_t)reserved)};

    batch_run(batch, STATEMENT_RENEW, values, array_size(values));
}

void store_batch_distrust_contexts(struct store_batch *batch)
{
    batch_run(batch, STATEMENT_DISTRUST, NULL, 0);
}

void store_batch_add_journal(struct store_batch *batch, const struct store_journal *row)
{
    const struct value values[] = {number_value((int64_t)row->seq),
                                   number_value(row->time),
                                   number_value(row->kind),
                                   optional_text(row->device),
                                   number_value((int64_t)row->origin),
                                   bytes_value(row->body)};

    batch_run(batch, STATEMENT_ADD_JOURNAL, values, array_size(values));
}

void store_batch_add_audit(struct store_batch *batch, uint64_t seq, int64_t time, const char *body)
{
    const struct value values[] = {number_value((int64_t)seq), number_value(time), text_value(body)};

    batch_run(batch, STATEMENT_ADD_AUDIT, values, array_size(values));
}

void store_batch_add_anchor(struct store_batch *batch, const struct audit_anchor *anchor)
{
    const struct value values[] = {number_value((int64_t)anchor->seq), number_value(anchor->base),
                                   number_value(anchor->time),
                                   bytes_value((struct store_bytes){anchor->hash, sizeof anchor->hash}),
                                   bytes_value((struct store_bytes){anchor->signature, sizeof anchor->signature})};

    batch_run(batch, STATEMENT_ADD_ANCHOR, values, array_size(values));
}

void store_batch_trim_audit(struct store_batch *batch, uint64_t seq)
{
    const struct value value = number_value((int64_t)seq);

    batch_run(batch, STATEMENT_TRIM_AUDIT, &value, 1);
    batch_run(batch, STATEMENT_TRIM_ANCHORS, &value, 1);
}

void store_batch_put_cursor(struct store_batch *batch, const struct store_cursor *row)
{
    put_row(batch, RECORD_CURSOR, row);
}

void store_batch_delete_cursor(struct store_batch *batch, const char *name)
{
    delete_by_text(batch, STATEMENT_DELETE_CURSOR, name);
}

void store_batch_put_registration(struct store_batch *batch, const struct store_registration *row)
{
    put_row(batch, RECORD_REGISTRATION, row);
}

void store_batch_delete_registration(struct store_batch *batch, uint64_t number)
{
    const struct value value = number_value((int64_t)number);

    batch_run(batch, STATEMENT_DELETE_REGISTRATION, &value, 1);
}

void store_batch_put_group(struct store_batch *batch, const struct store_group *row)
{
    put_row(batch, RECORD_GROUP, row);
}

void store_batch_delete_group(struct store_batch *batch, const char *name)
{
    delete_by_text(batch, STATEMENT_DELETE_GROUP, name);
}

void store_batch_put_representation(struct store_batch *batch, const struct store_representation *row)
{
    put_row(batch, RECORD_REPRESENTATION, row);
}

void store_batch_delete_representation(struct store_batch *batch, const char *device, const char *key)
{
    const struct value values[] = {text_value(device), optional_text(key)};

    if (key)
        batch_run(batch, STATEMENT_DELETE_REPRESENTATION, values, 2);
    else
        batch_run(batch, STATEMENT_DELETE_DEVICE_REPRESENTATIONS, values, 1);
}

void store_batch_put_document(struct store_batch *batch, const struct store_document *row)
{
    put_row(batch, RECORD_DOCUMENT, row);
}

void store_batch_delete_document(struct store_batch *batch, const char *kind, const char *key)
{
    const struct value values[] = {text_value(kind), text_value(key)};

    batch_run(batch, STATEMENT_DELETE_DOCUMENT, values, array_size(values));
}

void store_batch_raise_sequence(struct store_batch *batch, const struct store_sequence *row)
{
    const struct value values[] = {text_value(row->device), text_value(row->component),
                                   number_value((int64_t)row->highest)};

    batch_run(batch, STATEMENT_RAISE_SEQUENCE, values, array_size(values));
}

void store_batch_put_sequence(struct store_batch *batch, const struct store_sequence *row)
{
    put_row(batch, RECORD_SEQUENCE, row);
}

void store_batch_put_dead_letter(struct store_batch *batch, const struct store_dead_letter *row)
{
    put_row(batch, RECORD_DEAD_LETTER, row);
}

void store_batch_delete_dead_letter(struct store_batch *batch, const char *sink, uint64_t first)
{
    const struct value values[] = {text_value(sink), number_value((int64_t)first)};

    batch_run(batch, STATEMENT_DELETE_DEAD_LETTER, values, array_size(values));
}
