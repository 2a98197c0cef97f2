#include "fake_store.h"

#include "base/list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

enum kind { DEVICE, ARTIFACT, CONTAINER, OPERATION, ANSWER, KIND_COUNT };

/* A row of any kind: its struct with strings of its own. */
struct row {
    char key[160];
    enum kind kind;
    union {
        struct store_device device;
        struct store_artifact artifact;
        struct store_container container;
        struct store_operation operation;
        struct store_answer answer;
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
    struct row *row;
    char key[160];
};

struct store_batch {
    struct list node, changes;
    store_done_fn done;
    void *arg;
    int result;
};

struct read {
    struct list node;
    char id[160];
    store_blobs_fn done;
    void *arg;
};

struct store {
    struct list waiting, committed, reads;
};

static struct row *disk[KIND_COUNT];
static unsigned failures;
static int failure;

#define STRINGS_MAX 12

/* The strings of a row, so that they can be copied and freed in one place. */
static size_t strings_of(struct row *row, const char **strings[STRINGS_MAX])
{
    size_t n = 0;

#define STRING(member) strings[n++] = &row->member
    switch (row->kind) {
    case DEVICE:
        STRING(device.id), STRING(device.name), STRING(device.address), STRING(device.agent);
        STRING(device.agent_version), STRING(device.reported_id);
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
    case KIND_COUNT:
        break;
    }
#undef STRING
    return n;
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
    change->put = true;
    change->row = row;
    return row;
}

static void change_free(struct change *change)
{
    list_unlink(&change->node);
    row_free(change->row);
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

/* A device's rows go with it. */
static void drop_of_device(enum kind kind, const char *device)
{
    struct row *row, *next;

    HASH_ITER(hh, disk[kind], row, next)
    if (strcmp(kind == CONTAINER ? row->container.device : row->operation.device, device) == 0)
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

static void apply(struct change *change)
{
    const char *key = change->key + 1; /* the first character is the kind */
    enum kind kind = (enum kind)(change->key[0] - '0');

    if (change->put) {
        apply_put(change->row);
        change->row = NULL;
    } else if (change->before) {
        drop_answers_before(change->created);
    } else {
        drop_key(kind, change->key);
        if (kind == DEVICE) {
            drop_of_device(CONTAINER, key);
            drop_of_device(OPERATION, key);
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

static uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = data ? malloc(size) : NULL;

    if (copy)
        memcpy(copy, data, size);
    return copy;
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
    list_unlink(&read->node);
    read->done(read->arg, row ? 0 : -ENOENT, &blobs);
    free(read);
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
            finish_read(list_first(&store->reads, struct read, node));
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
    struct row *row, *next;

    for (int kind = 0; kind < KIND_COUNT; kind++)
        HASH_ITER(hh, disk[kind], row, next)
    drop((enum kind)kind, row);
    failures = 0;
}

size_t fake_store_rows(const char *kind)
{
    static const char *const names[] = {"device", "artifact", "container", "operation", "answer"};

    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(names[i], kind) == 0)
            return HASH_COUNT(disk[i]);
    return 0;
}

int store_load(struct store *store, const struct store_loader *loader)
{
    int r = 0;

    (void)store;
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
    static char key[160];

    (void)snprintf(key, sizeof key, "%d%s%s%s", kind, first, *second ? "|" : "", second);
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
    list_append(&store->waiting, &batch->node);
}

int store_read_blobs(struct store *store, const char *artifact_id, store_blobs_fn done, void *arg)
{
    struct read *read = calloc(1, sizeof *read);

    (void)snprintf(read->id, sizeof read->id, "%s", key_of(ARTIFACT, artifact_id, ""));
    read->done = done;
    read->arg = arg;
    list_append(&store->reads, &read->node);
    return 0;
}

void store_get_stats(const struct store *store, struct store_stats *out)
{
    *out = (struct store_stats){.pending = !list_empty(&store->waiting) || !list_empty(&store->reads)};
}
