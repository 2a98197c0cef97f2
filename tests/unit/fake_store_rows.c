#include "fake_store_private.h"

#include <stdio.h>
#include <string.h>

struct row *fake_disk[KIND_COUNT];

#define STRINGS_MAX 16

/* The strings of a row, so that they can be copied and freed in one place. */
static size_t strings_of(struct row *row, const char **strings[STRINGS_MAX])
{
    size_t n = 0;

#define STRING(member) strings[n++] = &row->member
    switch (row->kind) {
    case DEVICE:
        STRING(device.id), STRING(device.name), STRING(device.address), STRING(device.agent);
        STRING(device.agent_version), STRING(device.reported_id), STRING(device.groups), STRING(device.observe);
        STRING(device.labels);
        break;
    case ARTIFACT:
        STRING(artifact.id), STRING(artifact.name), STRING(artifact.manifest);
        break;
    case CONTAINER:
        STRING(container.device), STRING(container.uid), STRING(container.desired_state);
        STRING(container.desired_artifact), STRING(container.reported_state), STRING(container.reported_artifact);
        STRING(container.load), STRING(container.fault), STRING(container.fault_detail);
        STRING(container.desired_release), STRING(container.service), STRING(container.needs);
        STRING(container.loaded_parameters), STRING(container.loaded_release), STRING(container.sent_release),
            STRING(container.transfer);
        break;
    case OPERATION:
        STRING(operation.id), STRING(operation.kind), STRING(operation.state), STRING(operation.device);
        STRING(operation.uid), STRING(operation.artifact), STRING(operation.step), STRING(operation.fault);
        STRING(operation.fault_detail), STRING(operation.result);
        break;
    case ANSWER:
        STRING(answer.key), STRING(answer.digest), STRING(answer.location), STRING(answer.body);
        break;
    case META:
        STRING(meta.key), STRING(meta.value);
        break;
    case CREDENTIAL:
        STRING(credential.device), STRING(credential.kind), STRING(credential.state), STRING(credential.sender_id);
        STRING(credential.recipient_id), STRING(credential.id_context), STRING(credential.identity);
        STRING(credential.fingerprint);
        break;
    case CONTEXT:
        STRING(context.mark);
        break;
    case SHADOW:
        STRING(shadow.device), STRING(shadow.kind);
        break;
    case JOURNAL:
        STRING(journal.device);
        break;
    case CURSOR:
        STRING(cursor.name);
        break;
    case REGISTRATION:
        STRING(registration.ep), STRING(registration.sector), STRING(registration.base), STRING(registration.address);
        STRING(registration.device), STRING(registration.links), STRING(registration.attributes);
        break;
    case GROUP:
        STRING(group.name), STRING(group.observe);
        break;
    case REPRESENTATION:
        STRING(representation.device), STRING(representation.key);
        break;
    case DEAD_LETTER:
        STRING(dead_letter.sink), STRING(dead_letter.reason);
        break;
    case DOCUMENT:
        STRING(document.kind), STRING(document.key), STRING(document.body);
        break;
    case SEQUENCE:
        STRING(sequence.device), STRING(sequence.component);
        break;
    case KIND_COUNT:
        break;
    }
#undef STRING
    return n;
}

/* The bytes of a row, NULL when its kind has no more than i of them. */
static struct store_bytes *bytes_of(struct row *row, int i)
{
    switch (row->kind) {
    case CONTAINER:
        return i == 0 ? &row->container.parameters : NULL;
    case REPRESENTATION:
        return i == 0 ? &row->representation.body : i == 1 ? &row->representation.etag : NULL;
    case CREDENTIAL:
        return i == 0 ? &row->credential.sealed : NULL;
    case SHADOW:
        return i == 0 ? &row->shadow.body : NULL;
    case OPERATION:
        return i == 0 ? &row->operation.request : NULL;
    case JOURNAL:
        return i == 0 ? &row->journal.body : NULL;
    case DEAD_LETTER:
        return i == 0 ? &row->dead_letter.body : NULL;
    default:
        return NULL;
    }
}

static void row_free(struct row *row)
{
    const char **strings[STRINGS_MAX];
    size_t n;

    if (!row)
        return;
    n = strings_of(row, strings);
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)*strings[i]);
    for (int i = 0; bytes_of(row, i); i++)
        free((void *)(uintptr_t)bytes_of(row, i)->data);
    free(row->blobs.code);
    free(row->blobs.data);
    free(row);
}

struct change *fake_change_new(struct store_batch *batch, const char *key)
{
    struct change *change = calloc(1, sizeof *change);

    (void)snprintf(change->key, sizeof change->key, "%s", key);
    list_append(&batch->changes, &change->node);
    return change;
}

void *fake_copy(const void *data, size_t size)
{
    void *copy = data ? malloc(size ? size : 1) : NULL;

    if (copy && size)
        memcpy(copy, data, size);
    return copy;
}

struct row *fake_put(struct store_batch *batch, const struct row *from, const char *key)
{
    struct change *change = fake_change_new(batch, key);
    struct row *row = malloc(sizeof *row);
    const char **strings[STRINGS_MAX];
    size_t n;

    *row = *from;
    (void)snprintf(row->key, sizeof row->key, "%s", key);
    n = strings_of(row, strings);
    for (size_t i = 0; i < n; i++)
        *strings[i] = *strings[i] ? strdup(*strings[i]) : NULL;
    for (int i = 0; bytes_of(row, i); i++)
        bytes_of(row, i)->data = fake_copy(bytes_of(row, i)->data, bytes_of(row, i)->size);
    change->put = true;
    change->row = row;
    return row;
}

void fake_change_free(struct change *change)
{
    list_unlink(&change->node);
    row_free(change->row);
    free(change->text);
    free(change->other_text);
    free(change);
}

void fake_drop(enum kind kind, struct row *row)
{
    HASH_DEL(fake_disk[kind], row);
    row_free(row);
}

static void drop_key(enum kind kind, const char *key)
{
    struct row *row = NULL;

    HASH_FIND_STR(fake_disk[kind], key, row);
    if (row)
        fake_drop(kind, row);
}

static const char *device_of(const struct row *row)
{
    switch (row->kind) {
    case CONTAINER:
        return row->container.device;
    case OPERATION:
        return row->operation.device;
    case CREDENTIAL:
        return row->credential.device;
    case REGISTRATION:
        return row->registration.device ? row->registration.device : "";
    case REPRESENTATION:
        return row->representation.device;
    case SEQUENCE:
        return row->sequence.device;
    default:
        return row->shadow.device;
    }
}

/* A device's rows go with it. */
static void drop_of_device(enum kind kind, const char *device)
{
    struct row *row, *next;

    HASH_ITER(hh, fake_disk[kind], row, next)
    if (strcmp(device_of(row), device) == 0)
        fake_drop(kind, row);
}

static void apply_put(struct row *row)
{
    struct row *old = NULL;

    HASH_FIND_STR(fake_disk[row->kind], row->key, old);
    if (old) { /* in place, so that the order stays */
        UT_hash_handle hh = old->hh;
        struct row copy = *old;

        *old = *row;
        old->hh = hh;
        *row = copy;
        row_free(row);
    } else {
        HASH_ADD_STR(fake_disk[row->kind], key, row);
    }
}

static void drop_answers_before(int64_t created)
{
    struct row *row, *next;

    HASH_ITER(hh, fake_disk[ANSWER], row, next)
    if (row->answer.created < created)
        fake_drop(ANSWER, row);
}

static void edit_credentials(struct change *change)
{
    struct row *row, *next;

    HASH_ITER(hh, fake_disk[CREDENTIAL], row, next)
    if (!*change->key || strcmp(row->key, change->key) == 0)
        change->edit(&row->credential, change);
}

void fake_apply(struct change *change)
{
    const char *key = change->key + 1; /* the first character is the kind */
    enum kind kind = (enum kind)(change->key[0] - 'a');

    if (change->put) {
        apply_put(change->row);
        change->row = NULL;
    } else if (change->edit) {
        edit_credentials(change);
    } else if (change->before) {
        drop_answers_before(change->created);
    } else if (kind == REPRESENTATION && !strchr(key, '|')) {
        drop_of_device(REPRESENTATION, key);
    } else {
        drop_key(kind, change->key);
        if (kind == DEVICE) {
            drop_of_device(REGISTRATION, key);
            drop_of_device(REPRESENTATION, key);
            drop_of_device(CONTAINER, key);
            drop_of_device(OPERATION, key);
            drop_of_device(CREDENTIAL, key);
            drop_of_device(SHADOW, key);
            drop_of_device(SEQUENCE, key);
        }
    }
}

const char *fake_key(enum kind kind, const char *first, const char *second)
{
    static char key[KEY_SIZE];

    (void)snprintf(key, sizeof key, "%c%s%s%s", 'a' + (int)kind, first, *second ? "|" : "", second);
    return key;
}

const char *fake_number_key(enum kind kind, const char *first, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return fake_key(kind, first, text);
}
