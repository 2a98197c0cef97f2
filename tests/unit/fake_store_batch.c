#include "fake_store_private.h"

#include <stdio.h>
#include <string.h>

struct store_batch *store_batch_new(void)
{
    struct store_batch *batch = calloc(1, sizeof *batch);

    list_init(&batch->node);
    list_init(&batch->changes);
    return batch;
}

struct store_batch *store_batch_free(struct store_batch *batch)
{
    list_unlink(&batch->node);
    while (!list_empty(&batch->changes))
        fake_change_free(list_first(&batch->changes, struct change, node));
    free(batch);
    return NULL;
}

void store_batch_put_device(struct store_batch *batch, const struct store_device *row)
{
    (void)fake_put(batch, &(struct row){.kind = DEVICE, .device = *row}, fake_key(DEVICE, row->id, ""));
}

void store_batch_delete_device(struct store_batch *batch, const char *id)
{
    (void)fake_change_new(batch, fake_key(DEVICE, id, ""));
}

static uint8_t *read_file(const char *path, size_t size)
{
    uint8_t *data = path ? malloc(size) : NULL;
    FILE *file = path ? fopen(path, "r") : NULL;

    if (!file || fread(data, 1, size, file) != size)
        size = 0;
    if (file)
        (void)fclose(file);
    return data;
}

void store_batch_put_artifact(struct store_batch *batch, const struct store_artifact *from,
                              const struct store_part *code, const struct store_part *data)
{
    struct row *row =
        fake_put(batch, &(struct row){.kind = ARTIFACT, .artifact = *from}, fake_key(ARTIFACT, from->id, ""));

    row->blobs = (struct store_blobs){read_file(code->path, from->code_size), from->code_size,
                                      read_file(data->path, from->data_size), from->data_size};
}

void store_batch_keep_artifact(struct store_batch *batch, const char *id, bool pinned, int64_t used)
{
    (void)batch, (void)id, (void)pinned, (void)used;
}

void store_batch_delete_artifact(struct store_batch *batch, const char *id)
{
    (void)fake_change_new(batch, fake_key(ARTIFACT, id, ""));
}

void store_batch_put_container(struct store_batch *batch, const struct store_container *row)
{
    (void)fake_put(batch, &(struct row){.kind = CONTAINER, .container = *row},
                   fake_key(CONTAINER, row->device, row->uid));
}

void store_batch_delete_container(struct store_batch *batch, const char *device, const char *uid)
{
    (void)fake_change_new(batch, fake_key(CONTAINER, device, uid));
}

void store_batch_put_operation(struct store_batch *batch, const struct store_operation *row)
{
    (void)fake_put(batch, &(struct row){.kind = OPERATION, .operation = *row}, fake_key(OPERATION, row->id, ""));
}

void store_batch_delete_operation(struct store_batch *batch, const char *id)
{
    (void)fake_change_new(batch, fake_key(OPERATION, id, ""));
}

void store_batch_put_answer(struct store_batch *batch, const struct store_answer *row)
{
    (void)fake_put(batch, &(struct row){.kind = ANSWER, .answer = *row}, fake_key(ANSWER, row->key, ""));
}

void store_batch_delete_answers_before(struct store_batch *batch, int64_t created)
{
    struct change *change = fake_change_new(batch, fake_key(ANSWER, "", ""));

    change->before = true;
    change->created = created;
}

void store_batch_put_meta(struct store_batch *batch, const struct store_meta *row)
{
    if (row->value)
        (void)fake_put(batch, &(struct row){.kind = META, .meta = *row}, fake_key(META, row->key, ""));
    else
        (void)fake_change_new(batch, fake_key(META, row->key, ""));
}

void store_batch_put_context(struct store_batch *batch, const struct store_context *row)
{
    (void)fake_put(batch, &(struct row){.kind = CONTEXT, .context = *row}, fake_key(CONTEXT, row->mark, ""));
}

void store_batch_put_shadow(struct store_batch *batch, const struct store_shadow *row)
{
    (void)fake_put(batch, &(struct row){.kind = SHADOW, .shadow = *row}, fake_key(SHADOW, row->device, row->kind));
}

void store_batch_delete_shadow(struct store_batch *batch, const char *device, const char *kind)
{
    (void)fake_change_new(batch, fake_key(SHADOW, device, kind));
}

/* Credentials ------------------------------------------------------------------------------------------------------ */

static const char *credential_key(const char *device, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return fake_key(CREDENTIAL, device, text);
}

void store_batch_put_credential(struct store_batch *batch, const struct store_credential *row)
{
    (void)fake_put(batch, &(struct row){.kind = CREDENTIAL, .credential = *row},
                   credential_key(row->device, row->number));
}

void store_batch_delete_credential(struct store_batch *batch, const char *device, uint64_t number)
{
    (void)fake_change_new(batch, credential_key(device, number));
}

static void set_text(const char **field, const char *text)
{
    free((char *)(uintptr_t)*field);
    *field = text ? strdup(text) : NULL;
}

static void edit_state(struct store_credential *row, const struct change *change)
{
    set_text(&row->state, change->text);
    row->first_used = (int64_t)change->number;
}

void store_batch_set_credential_state(struct store_batch *batch, const char *device, uint64_t number, const char *state,
                                      int64_t first_used)
{
    struct change *change = fake_change_new(batch, credential_key(device, number));

    change->edit = edit_state;
    change->text = strdup(state);
    change->number = (uint64_t)first_used;
}

static void edit_reserved(struct store_credential *row, const struct change *change)
{
    if (change->number > row->reserved)
        row->reserved = change->number;
}

void store_batch_reserve(struct store_batch *batch, const char *device, uint64_t number, uint64_t reserved)
{
    struct change *change = fake_change_new(batch, credential_key(device, number));

    change->edit = edit_reserved;
    change->number = reserved;
}

static void edit_window(struct store_credential *row, const struct change *change)
{
    row->window_known = change->window.known;
    row->window_highest = change->window.highest;
    row->window_seen = change->window.seen;
}

void store_batch_set_window(struct store_batch *batch, const char *device, uint64_t number, bool known,
                            uint64_t highest, uint32_t seen)
{
    struct change *change = fake_change_new(batch, credential_key(device, number));

    change->edit = edit_window;
    change->window = (struct oscore_window){known, highest, seen};
}

static void edit_renewed(struct store_credential *row, const struct change *change)
{
    set_text(&row->state, change->text);
    set_text(&row->id_context, change->other_text);
    row->reserved = change->number;
    row->window_known = false;
}

void store_batch_renew_credential(struct store_batch *batch, const char *device, uint64_t number, const char *state,
                                  const char *id_context, uint64_t reserved)
{
    struct change *change = fake_change_new(batch, credential_key(device, number));

    change->edit = edit_renewed;
    change->text = strdup(state);
    change->other_text = id_context ? strdup(id_context) : NULL;
    change->number = reserved;
}

static void edit_distrusted(struct store_credential *row, const struct change *change)
{
    (void)change;
    if (strcmp(row->kind, "oscore") != 0)
        return;
    set_text(&row->state, "stale");
    row->window_known = false;
}

void store_batch_distrust_contexts(struct store_batch *batch)
{
    fake_change_new(batch, "")->edit = edit_distrusted;
}

/* What devices say ------------------------------------------------------------------------------------------------- */

void store_batch_add_journal(struct store_batch *batch, const struct store_journal *row)
{
    (void)fake_put(batch, &(struct row){.kind = JOURNAL, .journal = *row}, fake_number_key(JOURNAL, "", row->seq));
}

/* The audit trail is the real store's: here its entries go nowhere. */
void store_batch_add_audit(struct store_batch *batch, uint64_t seq, int64_t time, const char *body)
{
    (void)batch, (void)seq, (void)time, (void)body;
}

void store_batch_add_anchor(struct store_batch *batch, const struct audit_anchor *anchor)
{
    (void)batch, (void)anchor;
}

void store_batch_trim_audit(struct store_batch *batch, uint64_t seq)
{
    (void)batch, (void)seq;
}

void store_batch_put_cursor(struct store_batch *batch, const struct store_cursor *row)
{
    (void)fake_put(batch, &(struct row){.kind = CURSOR, .cursor = *row}, fake_key(CURSOR, row->name, ""));
}

void store_batch_delete_cursor(struct store_batch *batch, const char *name)
{
    (void)fake_change_new(batch, fake_key(CURSOR, name, ""));
}

void store_batch_put_registration(struct store_batch *batch, const struct store_registration *row)
{
    (void)fake_put(batch, &(struct row){.kind = REGISTRATION, .registration = *row},
                   fake_number_key(REGISTRATION, "", row->number));
}

void store_batch_delete_registration(struct store_batch *batch, uint64_t number)
{
    (void)fake_change_new(batch, fake_number_key(REGISTRATION, "", number));
}

void store_batch_put_group(struct store_batch *batch, const struct store_group *row)
{
    (void)fake_put(batch, &(struct row){.kind = GROUP, .group = *row}, fake_key(GROUP, row->name, ""));
}

void store_batch_delete_group(struct store_batch *batch, const char *name)
{
    (void)fake_change_new(batch, fake_key(GROUP, name, ""));
}

void store_batch_put_representation(struct store_batch *batch, const struct store_representation *row)
{
    (void)fake_put(batch, &(struct row){.kind = REPRESENTATION, .representation = *row},
                   fake_key(REPRESENTATION, row->device, row->key));
}

void store_batch_delete_representation(struct store_batch *batch, const char *device, const char *key)
{
    (void)fake_change_new(batch, fake_key(REPRESENTATION, device, key ? key : ""));
}

void store_batch_put_dead_letter(struct store_batch *batch, const struct store_dead_letter *row)
{
    (void)fake_put(batch, &(struct row){.kind = DEAD_LETTER, .dead_letter = *row},
                   fake_number_key(DEAD_LETTER, row->sink, row->first));
}

void store_batch_delete_dead_letter(struct store_batch *batch, const char *sink, uint64_t first)
{
    (void)fake_change_new(batch, fake_number_key(DEAD_LETTER, sink, first));
}

void store_batch_put_document(struct store_batch *batch, const struct store_document *row)
{
    (void)fake_put(batch, &(struct row){.kind = DOCUMENT, .document = *row}, fake_key(DOCUMENT, row->kind, row->key));
}

void store_batch_delete_document(struct store_batch *batch, const char *kind, const char *key)
{
    (void)fake_change_new(batch, fake_key(DOCUMENT, kind, key));
}

void store_batch_put_sequence(struct store_batch *batch, const struct store_sequence *row)
{
    (void)fake_put(batch, &(struct row){.kind = SEQUENCE, .sequence = *row},
                   fake_key(SEQUENCE, row->device, row->component));
}

void store_batch_raise_sequence(struct store_batch *batch, const struct store_sequence *row)
{
    struct row *old = NULL;
    struct store_sequence raised = *row;

    HASH_FIND_STR(fake_disk[SEQUENCE], fake_key(SEQUENCE, row->device, row->component), old);
    if (old && old->sequence.highest > raised.highest)
        raised.highest = old->sequence.highest;
    store_batch_put_sequence(batch, &raised);
}
