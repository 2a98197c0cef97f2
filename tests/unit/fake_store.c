#include "fake_store.h"

#include "base/list.h"
#include "store/history.h"
#include "tcgw/oscore.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

enum kind {
    DEVICE,
    ARTIFACT,
    CONTAINER,
    OPERATION,
    ANSWER,
    META,
    CREDENTIAL,
    CONTEXT,
    SHADOW,
    JOURNAL,
    CURSOR,
    REGISTRATION,
    GROUP,
    REPRESENTATION,
    DEAD_LETTER,
    KIND_COUNT
};

#define KEY_SIZE 400

/* A row of any kind: its struct with strings of its own. */
struct row {
    char key[KEY_SIZE];
    enum kind kind;
    union {
        struct store_device device;
        struct store_artifact artifact;
        struct store_container container;
        struct store_operation operation;
        struct store_answer answer;
        struct store_meta meta;
        struct store_credential credential;
        struct store_context context;
        struct store_shadow shadow;
        struct store_journal journal;
        struct store_cursor cursor;
        struct store_registration registration;
        struct store_group group;
        struct store_representation representation;
        struct store_dead_letter dead_letter;
    };
    struct store_blobs blobs;
    UT_hash_handle hh;
};

/* A change: a row to put, or a key to delete. */
struct change {
    struct list node;
    bool put;
    bool before; /* delete answers made before `created` */
    int64_t created;
    /* Edits the credential of the key, or with an empty key each of them, with what follows. */
    void (*edit)(struct store_credential *row, const struct change *change);
    uint64_t number;
    struct oscore_window window;
    char *text, *other_text;
    struct row *row;
    char key[KEY_SIZE];
};

struct store_batch {
    struct list node, changes;
    store_done_fn done;
    void *arg;
    int result;
};

struct read {
    struct list node;
    char id[KEY_SIZE];
    void (*finish)(struct read *read);
    store_blobs_fn done;
    store_shadow_fn shadow_done;
    store_journal_fn journal_done;
    history_fn history_done;
    uint64_t after;
    size_t max, max_bytes;
    void *arg;
};

struct store {
    struct list waiting, committed, reads;
    bool crashed; /* what is submitted from now on never happens */
};

static struct row *disk[KIND_COUNT];
static struct history_point series[8];
static size_t series_count;
static unsigned failures;
static int failure;
static unsigned read_failures, journal_reads;

#define STRINGS_MAX 12

/* The strings of a row, so that they can be copied and freed in one place. */
static size_t strings_of(struct row *row, const char **strings[STRINGS_MAX])
{
    size_t n = 0;

#define STRING(member) strings[n++] = &row->member
    switch (row->kind) {
    case DEVICE:
        STRING(device.id), STRING(device.name), STRING(device.address), STRING(device.agent);
        STRING(device.agent_version), STRING(device.reported_id), STRING(device.groups), STRING(device.observe);
        break;
    case ARTIFACT:
        STRING(artifact.id), STRING(artifact.name), STRING(artifact.manifest);
        break;
    case CONTAINER:
        STRING(container.device), STRING(container.uid), STRING(container.desired_state);
        STRING(container.desired_artifact), STRING(container.reported_state), STRING(container.reported_artifact);
        STRING(container.load), STRING(container.fault), STRING(container.fault_detail);
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

static struct change *change_new(struct store_batch *batch, const char *key)
{
    struct change *change = calloc(1, sizeof *change);

    (void)snprintf(change->key, sizeof change->key, "%s", key);
    list_append(&batch->changes, &change->node);
    return change;
}

static void *copy_of(const void *data, size_t size)
{
    void *copy = data ? malloc(size ? size : 1) : NULL;

    if (copy && size)
        memcpy(copy, data, size);
    return copy;
}

/* Takes a row whose strings are the caller's. */
static struct row *put(struct store_batch *batch, const struct row *from, const char *key)
{
    struct change *change = change_new(batch, key);
    struct row *row = malloc(sizeof *row);
    const char **strings[STRINGS_MAX];
    size_t n;

    *row = *from;
    (void)snprintf(row->key, sizeof row->key, "%s", key);
    n = strings_of(row, strings);
    for (size_t i = 0; i < n; i++)
        *strings[i] = *strings[i] ? strdup(*strings[i]) : NULL;
    for (int i = 0; bytes_of(row, i); i++)
        bytes_of(row, i)->data = copy_of(bytes_of(row, i)->data, bytes_of(row, i)->size);
    change->put = true;
    change->row = row;
    return row;
}

static void change_free(struct change *change)
{
    list_unlink(&change->node);
    row_free(change->row);
    free(change->text);
    free(change->other_text);
    free(change);
}

static void drop(enum kind kind, struct row *row)
{
    HASH_DEL(disk[kind], row);
    row_free(row);
}

static void drop_key(enum kind kind, const char *key)
{
    struct row *row = NULL;

    HASH_FIND_STR(disk[kind], key, row);
    if (row)
        drop(kind, row);
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
    default:
        return row->shadow.device;
    }
}

/* A device's rows go with it. */
static void drop_of_device(enum kind kind, const char *device)
{
    struct row *row, *next;

    HASH_ITER(hh, disk[kind], row, next)
    if (strcmp(device_of(row), device) == 0)
        drop(kind, row);
}

static void apply_put(struct row *row)
{
    struct row *old = NULL;

    HASH_FIND_STR(disk[row->kind], row->key, old);
    if (old) { /* in place, so that the order stays */
        UT_hash_handle hh = old->hh;
        struct row copy = *old;

        *old = *row;
        old->hh = hh;
        *row = copy;
        row_free(row);
    } else {
        HASH_ADD_STR(disk[row->kind], key, row);
    }
}

static void drop_answers_before(int64_t created)
{
    struct row *row, *next;

    HASH_ITER(hh, disk[ANSWER], row, next)
    if (row->answer.created < created)
        drop(ANSWER, row);
}

static void edit_credentials(struct change *change)
{
    struct row *row, *next;

    HASH_ITER(hh, disk[CREDENTIAL], row, next)
    if (!*change->key || strcmp(row->key, change->key) == 0)
        change->edit(&row->credential, change);
}

static void apply(struct change *change)
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
        }
    }
}

/* The store's interface ---------------------------------------------------------------------------------------------
 */

int store_open(struct store **out, const struct store_options *options, char *reason, size_t reason_size)
{
    struct store *store = calloc(1, sizeof *store);

    (void)options, (void)reason, (void)reason_size;
    list_init(&store->waiting);
    list_init(&store->committed);
    list_init(&store->reads);
    *out = store;
    return 0;
}

static void free_all(struct list *batches)
{
    while (!list_empty(batches))
        (void)store_batch_free(list_first(batches, struct store_batch, node));
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    fake_store_commit(store, UINT32_MAX);
    free_all(&store->committed);
    while (!list_empty(&store->reads)) {
        struct read *read = list_first(&store->reads, struct read, node);

        list_unlink(&read->node);
        free(read);
    }
    free(store);
    return NULL;
}

void fake_store_crash(struct store *store)
{
    free_all(&store->waiting);
    free_all(&store->committed);
    store->crashed = true;
}

void fake_store_fail(unsigned n, int result)
{
    failures = n;
    failure = result;
}

void fake_store_commit(struct store *store, unsigned n)
{
    for (; n > 0 && !list_empty(&store->waiting); n--) {
        struct store_batch *batch = list_first(&store->waiting, struct store_batch, node);

        list_unlink(&batch->node);
        list_append(&store->committed, &batch->node);
        batch->result = failures ? failure : 0;
        failures -= failures > 0;
        if (batch->result == 0)
            list_each(node, &batch->changes) apply(container_of(node, struct change, node));
    }
}

static void finish_shadow(struct read *read)
{
    struct row *row = NULL;

    HASH_FIND_STR(disk[SHADOW], read->id, row);
    read->shadow_done(read->arg, row ? 0 : -ENOENT, row ? &row->shadow : NULL);
}

static void finish_read(struct read *read)
{
    struct store_blobs blobs = {NULL, 0, NULL, 0};
    struct row *row = NULL;

    HASH_FIND_STR(disk[ARTIFACT], read->id, row);
    if (row) {
        blobs = row->blobs;
        blobs.code = copy_of(row->blobs.code, row->blobs.code_size);
        blobs.data = copy_of(row->blobs.data, row->blobs.data_size);
    }
    read->done(read->arg, row ? 0 : -ENOENT, &blobs);
}

void fake_store_tell(struct store *store, unsigned n)
{
    for (; n > 0; n--) {
        if (!list_empty(&store->committed)) {
            struct store_batch *batch = list_first(&store->committed, struct store_batch, node);

            list_unlink(&batch->node);
            if (batch->done)
                batch->done(batch->arg, batch->result);
            (void)store_batch_free(batch);
        } else if (!list_empty(&store->reads)) {
            struct read *read = list_first(&store->reads, struct read, node);

            list_unlink(&read->node);
            read->finish(read);
            free(read);
        } else {
            return;
        }
    }
}

void store_dispatch(struct store *store)
{
    fake_store_tell(store, UINT32_MAX);
}

void store_flush(struct store *store)
{
    while (!list_empty(&store->waiting) || !list_empty(&store->committed) || !list_empty(&store->reads)) {
        fake_store_commit(store, UINT32_MAX);
        fake_store_tell(store, UINT32_MAX);
    }
}

void fake_store_wipe(void)
{
    series_count = 0;
    struct row *row, *next;

    for (int kind = 0; kind < KIND_COUNT; kind++)
        HASH_ITER(hh, disk[kind], row, next)
    drop((enum kind)kind, row);
    failures = 0;
}

size_t fake_store_rows(const char *kind)
{
    static const char *const names[] = {"device", "artifact",     "container", "operation",      "answer",
                                        "meta",   "credential",   "context",   "shadow",         "journal",
                                        "cursor", "registration", "group",     "representation", "dead_letter"};

    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(names[i], kind) == 0)
            return HASH_COUNT(disk[i]);
    return 0;
}

int store_load(struct store *store, const struct store_loader *loader)
{
    int r = 0;

    (void)store;
    for (struct row *row = disk[META]; row && r == 0; row = row->hh.next)
        r = loader->meta(loader->arg, &row->meta);
    for (struct row *row = disk[DEVICE]; row && r == 0; row = row->hh.next)
        r = loader->device(loader->arg, &row->device);
    for (struct row *row = disk[ARTIFACT]; row && r == 0; row = row->hh.next)
        r = loader->artifact(loader->arg, &row->artifact);
    for (struct row *row = disk[CONTAINER]; row && r == 0; row = row->hh.next)
        r = loader->container(loader->arg, &row->container);
    for (struct row *row = disk[OPERATION]; row && r == 0; row = row->hh.next)
        r = loader->operation(loader->arg, &row->operation);
    for (struct row *row = disk[ANSWER]; row && r == 0; row = row->hh.next)
        r = loader->answer(loader->arg, &row->answer);
    for (struct row *row = disk[CREDENTIAL]; row && r == 0; row = row->hh.next)
        r = loader->credential(loader->arg, &row->credential);
    for (struct row *row = disk[CONTEXT]; row && r == 0; row = row->hh.next)
        r = loader->context(loader->arg, &row->context);
    for (struct row *row = disk[SHADOW]; row && r == 0; row = row->hh.next)
        r = loader->shadow ? loader->shadow(loader->arg, &row->shadow) : 0;
    for (struct row *row = disk[CURSOR]; row && r == 0; row = row->hh.next)
        r = loader->cursor ? loader->cursor(loader->arg, &row->cursor) : 0;
    for (struct row *row = disk[REGISTRATION]; row && r == 0; row = row->hh.next)
        r = loader->registration ? loader->registration(loader->arg, &row->registration) : 0;
    for (struct row *row = disk[GROUP]; row && r == 0; row = row->hh.next)
        r = loader->group ? loader->group(loader->arg, &row->group) : 0;
    for (struct row *row = disk[REPRESENTATION]; row && r == 0; row = row->hh.next)
        r = loader->representation ? loader->representation(loader->arg, &row->representation) : 0;
    for (struct row *row = disk[DEAD_LETTER]; row && r == 0; row = row->hh.next)
        r = loader->dead_letter ? loader->dead_letter(loader->arg, &row->dead_letter) : 0;
    for (struct row *row = disk[JOURNAL]; row && r == 0; row = row->hh.next)
        if (loader->journal && (row->journal.time >= loader->journal_since || !row->hh.next))
            r = loader->journal(loader->arg, &row->journal);
    return r;
}

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
        change_free(list_first(&batch->changes, struct change, node));
    free(batch);
    return NULL;
}

static const char *key_of(enum kind kind, const char *first, const char *second)
{
    static char key[KEY_SIZE];

    (void)snprintf(key, sizeof key, "%c%s%s%s", 'a' + (int)kind, first, *second ? "|" : "", second);
    return key;
}

void store_batch_put_device(struct store_batch *batch, const struct store_device *row)
{
    (void)put(batch, &(struct row){.kind = DEVICE, .device = *row}, key_of(DEVICE, row->id, ""));
}

void store_batch_delete_device(struct store_batch *batch, const char *id)
{
    (void)change_new(batch, key_of(DEVICE, id, ""));
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

void store_batch_put_artifact(struct store_batch *batch, const struct store_artifact *from, const char *code_path,
                              const char *data_path)
{
    struct row *row = put(batch, &(struct row){.kind = ARTIFACT, .artifact = *from}, key_of(ARTIFACT, from->id, ""));

    row->blobs = (struct store_blobs){read_file(code_path, from->code_size), from->code_size,
                                      read_file(data_path, from->data_size), from->data_size};
}

void store_batch_delete_artifact(struct store_batch *batch, const char *id)
{
    (void)change_new(batch, key_of(ARTIFACT, id, ""));
}

void store_batch_put_container(struct store_batch *batch, const struct store_container *row)
{
    (void)put(batch, &(struct row){.kind = CONTAINER, .container = *row}, key_of(CONTAINER, row->device, row->uid));
}

void store_batch_delete_container(struct store_batch *batch, const char *device, const char *uid)
{
    (void)change_new(batch, key_of(CONTAINER, device, uid));
}

void store_batch_put_operation(struct store_batch *batch, const struct store_operation *row)
{
    (void)put(batch, &(struct row){.kind = OPERATION, .operation = *row}, key_of(OPERATION, row->id, ""));
}

void store_batch_delete_operation(struct store_batch *batch, const char *id)
{
    (void)change_new(batch, key_of(OPERATION, id, ""));
}

void store_batch_put_answer(struct store_batch *batch, const struct store_answer *row)
{
    (void)put(batch, &(struct row){.kind = ANSWER, .answer = *row}, key_of(ANSWER, row->key, ""));
}

void store_batch_delete_answers_before(struct store_batch *batch, int64_t created)
{
    struct change *change = change_new(batch, key_of(ANSWER, "", ""));

    change->before = true;
    change->created = created;
}

void store_submit(struct store *store, struct store_batch *batch, store_done_fn done, void *arg)
{
    batch->done = done;
    batch->arg = arg;
    if (store->crashed)
        (void)store_batch_free(batch);
    else
        list_append(&store->waiting, &batch->node);
}

void store_batch_put_meta(struct store_batch *batch, const struct store_meta *row)
{
    if (row->value)
        (void)put(batch, &(struct row){.kind = META, .meta = *row}, key_of(META, row->key, ""));
    else
        (void)change_new(batch, key_of(META, row->key, ""));
}

void store_batch_put_context(struct store_batch *batch, const struct store_context *row)
{
    (void)put(batch, &(struct row){.kind = CONTEXT, .context = *row}, key_of(CONTEXT, row->mark, ""));
}

void store_batch_put_shadow(struct store_batch *batch, const struct store_shadow *row)
{
    (void)put(batch, &(struct row){.kind = SHADOW, .shadow = *row}, key_of(SHADOW, row->device, row->kind));
}

void store_batch_delete_shadow(struct store_batch *batch, const char *device, const char *kind)
{
    (void)change_new(batch, key_of(SHADOW, device, kind));
}

/* Credentials ------------------------------------------------------------------------------------------------------ */

static const char *credential_key(const char *device, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return key_of(CREDENTIAL, device, text);
}

void store_batch_put_credential(struct store_batch *batch, const struct store_credential *row)
{
    (void)put(batch, &(struct row){.kind = CREDENTIAL, .credential = *row}, credential_key(row->device, row->number));
}

void store_batch_delete_credential(struct store_batch *batch, const char *device, uint64_t number)
{
    (void)change_new(batch, credential_key(device, number));
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
    struct change *change = change_new(batch, credential_key(device, number));

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
    struct change *change = change_new(batch, credential_key(device, number));

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
    struct change *change = change_new(batch, credential_key(device, number));

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
    struct change *change = change_new(batch, credential_key(device, number));

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
    change_new(batch, "")->edit = edit_distrusted;
}

int store_read_shadow(struct store *store, const char *device, const char *kind, store_shadow_fn done, void *arg)
{
    struct read *read = calloc(1, sizeof *read);

    (void)snprintf(read->id, sizeof read->id, "%s", key_of(SHADOW, device, kind));
    read->finish = finish_shadow;
    read->shadow_done = done;
    read->arg = arg;
    list_append(&store->reads, &read->node);
    return 0;
}

int store_read_blobs(struct store *store, const char *artifact_id, store_blobs_fn done, void *arg)
{
    struct read *read = calloc(1, sizeof *read);

    (void)snprintf(read->id, sizeof read->id, "%s", key_of(ARTIFACT, artifact_id, ""));
    read->finish = finish_read;
    read->done = done;
    read->arg = arg;
    list_append(&store->reads, &read->node);
    return 0;
}

bool store_is_restored(const struct store *store)
{
    (void)store;
    return false;
}

void store_get_stats(const struct store *store, struct store_stats *out)
{
    *out = (struct store_stats){.pending = !list_empty(&store->waiting) || !list_empty(&store->reads)};
}

/* Journal ---------------------------------------------------------------------------------------------------------- */

static const char *number_key(enum kind kind, const char *first, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return key_of(kind, first, text);
}

void store_batch_add_journal(struct store_batch *batch, const struct store_journal *row)
{
    (void)put(batch, &(struct row){.kind = JOURNAL, .journal = *row}, number_key(JOURNAL, "", row->seq));
}

static int compare_keys(const struct row *a, const struct row *b)
{
    return a->journal.seq < b->journal.seq ? -1 : 1;
}

static void finish_journal(struct read *read)
{
    struct store_journal *rows = calloc(read->max, sizeof *rows);
    struct store_journal_page page = {.rows = rows, .first_kept = disk[JOURNAL] ? disk[JOURNAL]->journal.seq : 1};
    size_t bytes = 0;

    HASH_SORT(disk[JOURNAL], compare_keys); /* batches need not be submitted in the order of their numbers */
    for (struct row *row = disk[JOURNAL]; row && page.count < read->max && bytes <= read->max_bytes; row = row->hh.next)
        if (row->journal.seq > read->after) {
            rows[page.count++] = row->journal;
            bytes += row->journal.body.size;
        }
    page.gone = page.first_kept > read->after + 1 ? page.first_kept - read->after - 1 : 0;
    journal_reads++;
    read->journal_done(read->arg, read_failures ? -EIO : 0, &page);
    read_failures -= read_failures > 0;
    free(rows);
}

int store_read_journal(struct store *store, uint64_t after, size_t max, size_t max_bytes, store_journal_fn done,
                       void *arg)
{
    struct read *read = calloc(1, sizeof *read);

    read->finish = finish_journal;
    read->after = after;
    read->max = max;
    read->max_bytes = max_bytes;
    read->journal_done = done;
    read->arg = arg;
    list_append(&store->reads, &read->node);
    return 0;
}

void fake_store_fail_reads(unsigned n)
{
    read_failures = n;
}

unsigned fake_store_count_reads(void)
{
    return journal_reads;
}

void fake_store_trim(uint64_t before)
{
    struct row *row, *next;

    HASH_ITER(hh, disk[JOURNAL], row, next)
    if (row->journal.seq < before)
        drop(JOURNAL, row);
}

/* What devices say ------------------------------------------------------------------------------------------------- */

void store_batch_put_cursor(struct store_batch *batch, const struct store_cursor *row)
{
    (void)put(batch, &(struct row){.kind = CURSOR, .cursor = *row}, key_of(CURSOR, row->name, ""));
}

void store_batch_delete_cursor(struct store_batch *batch, const char *name)
{
    (void)change_new(batch, key_of(CURSOR, name, ""));
}

void store_batch_put_registration(struct store_batch *batch, const struct store_registration *row)
{
    (void)put(batch, &(struct row){.kind = REGISTRATION, .registration = *row},
              number_key(REGISTRATION, "", row->number));
}

void store_batch_delete_registration(struct store_batch *batch, uint64_t number)
{
    (void)change_new(batch, number_key(REGISTRATION, "", number));
}

void store_batch_put_group(struct store_batch *batch, const struct store_group *row)
{
    (void)put(batch, &(struct row){.kind = GROUP, .group = *row}, key_of(GROUP, row->name, ""));
}

void store_batch_delete_group(struct store_batch *batch, const char *name)
{
    (void)change_new(batch, key_of(GROUP, name, ""));
}

void store_batch_put_representation(struct store_batch *batch, const struct store_representation *row)
{
    (void)put(batch, &(struct row){.kind = REPRESENTATION, .representation = *row},
              key_of(REPRESENTATION, row->device, row->key));
}

void store_batch_delete_representation(struct store_batch *batch, const char *device, const char *key)
{
    (void)change_new(batch, key_of(REPRESENTATION, device, key ? key : ""));
}

void store_batch_put_dead_letter(struct store_batch *batch, const struct store_dead_letter *row)
{
    (void)put(batch, &(struct row){.kind = DEAD_LETTER, .dead_letter = *row},
              number_key(DEAD_LETTER, row->sink, row->first));
}

void store_batch_delete_dead_letter(struct store_batch *batch, const char *sink, uint64_t first)
{
    (void)change_new(batch, number_key(DEAD_LETTER, sink, first));
}

/* History: none ---------------------------------------------------------------------------------------------------- */

static void finish_history(struct read *read)
{
    read->history_done(read->arg, 0, &(struct history_page){0});
}

int store_query_history(struct store *store, const struct history_query *query, history_fn done, void *arg)
{
    struct read *read = calloc(1, sizeof *read);

    (void)query;
    read->finish = finish_history;
    read->history_done = done;
    read->arg = arg;
    list_append(&store->reads, &read->node);
    return 0;
}

void fake_store_add_series(const char *device, const char *name)
{
    series[series_count++] = (struct history_point){.device = device, .record = {.name = name, .unit = ""}};
}

/* One after the other, so that who asks has to go on. */
static void finish_series(struct read *read)
{
    const struct history_page page = {read->max < series_count, series + read->max, read->max + 1 < series_count};

    read->history_done(read->arg, 0, &page);
}

int store_list_series(struct store *store, const struct history_query *query, history_fn done, void *arg)
{
    int r = store_query_history(store, query, done, arg);
    struct read *read = container_of(store->reads.prev, struct read, node);

    read->finish = finish_series;
    for (size_t i = 0; query->after_device && i < series_count; i++)
        if (strcmp(series[i].device, query->after_device) == 0 && strcmp(series[i].record.name, query->after_name) == 0)
            read->max = i + 1;
    return r;
}

void store_set_retention(struct store *store, const struct store_retention *retention)
{
    (void)store, (void)retention;
}

void store_get_history_stats(const struct store *store, struct history_stats *out)
{
    (void)store;
    *out = (struct history_stats){.unsealed = HASH_COUNT(disk[JOURNAL])};
    for (struct row *row = disk[JOURNAL]; row; row = row->hh.next) {
        out->journal_first = row == disk[JOURNAL] ? row->journal.seq : out->journal_first;
        out->journal_last = row->journal.seq;
        out->journal_bytes += row->journal.body.size;
    }
}
