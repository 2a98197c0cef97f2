#include "fake_store_private.h"

#include "store/history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static struct history_point series[8];
static size_t series_count;
static unsigned failures;
static int failure;
static unsigned read_failures, journal_reads;

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
            list_each(node, &batch->changes) fake_apply(container_of(node, struct change, node));
    }
}

static void finish_shadow(struct read *read)
{
    struct row *row = NULL;

    HASH_FIND_STR(fake_disk[SHADOW], read->id, row);
    read->shadow_done(read->arg, row ? 0 : -ENOENT, row ? &row->shadow : NULL);
}

static void finish_read(struct read *read)
{
    struct store_blobs blobs = {NULL, 0, NULL, 0};
    struct row *row = NULL;

    HASH_FIND_STR(fake_disk[ARTIFACT], read->id, row);
    if (row) {
        blobs = row->blobs;
        blobs.code = fake_copy(row->blobs.code, row->blobs.code_size);
        blobs.data = fake_copy(row->blobs.data, row->blobs.data_size);
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
        HASH_ITER(hh, fake_disk[kind], row, next)
    fake_drop((enum kind)kind, row);
    failures = 0;
}

size_t fake_store_rows(const char *kind)
{
    static const char *const names[] = {"device",   "artifact",     "container", "operation",      "answer",
                                        "meta",     "credential",   "context",   "shadow",         "journal",
                                        "cursor",   "registration", "group",     "representation", "dead_letter",
                                        "document", "sequence"};

    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(names[i], kind) == 0)
            return HASH_COUNT(fake_disk[i]);
    return 0;
}

int store_load(struct store *store, const struct store_loader *loader)
{
    int r = 0;

    (void)store;
    for (struct row *row = fake_disk[META]; row && r == 0; row = row->hh.next)
        r = loader->meta(loader->arg, &row->meta);
    for (struct row *row = fake_disk[DEVICE]; row && r == 0; row = row->hh.next)
        r = loader->device(loader->arg, &row->device);
    for (struct row *row = fake_disk[ARTIFACT]; row && r == 0; row = row->hh.next)
        r = loader->artifact(loader->arg, &row->artifact);
    for (struct row *row = fake_disk[CONTAINER]; row && r == 0; row = row->hh.next)
        r = loader->container(loader->arg, &row->container);
    for (struct row *row = fake_disk[OPERATION]; row && r == 0; row = row->hh.next)
        r = loader->operation(loader->arg, &row->operation);
    for (struct row *row = fake_disk[ANSWER]; row && r == 0; row = row->hh.next)
        r = loader->answer(loader->arg, &row->answer);
    for (struct row *row = fake_disk[CREDENTIAL]; row && r == 0; row = row->hh.next)
        r = loader->credential(loader->arg, &row->credential);
    for (struct row *row = fake_disk[CONTEXT]; row && r == 0; row = row->hh.next)
        r = loader->context(loader->arg, &row->context);
    for (struct row *row = fake_disk[SHADOW]; row && r == 0; row = row->hh.next)
        r = loader->shadow ? loader->shadow(loader->arg, &row->shadow) : 0;
    for (struct row *row = fake_disk[CURSOR]; row && r == 0; row = row->hh.next)
        r = loader->cursor ? loader->cursor(loader->arg, &row->cursor) : 0;
    for (struct row *row = fake_disk[REGISTRATION]; row && r == 0; row = row->hh.next)
        r = loader->registration ? loader->registration(loader->arg, &row->registration) : 0;
    for (struct row *row = fake_disk[GROUP]; row && r == 0; row = row->hh.next)
        r = loader->group ? loader->group(loader->arg, &row->group) : 0;
    for (struct row *row = fake_disk[REPRESENTATION]; row && r == 0; row = row->hh.next)
        r = loader->representation ? loader->representation(loader->arg, &row->representation) : 0;
    for (struct row *row = fake_disk[DEAD_LETTER]; row && r == 0; row = row->hh.next)
        r = loader->dead_letter ? loader->dead_letter(loader->arg, &row->dead_letter) : 0;
    for (struct row *row = fake_disk[DOCUMENT]; row && r == 0; row = row->hh.next)
        r = loader->document ? loader->document(loader->arg, &row->document) : 0;
    for (struct row *row = fake_disk[SEQUENCE]; row && r == 0; row = row->hh.next)
        r = loader->sequence ? loader->sequence(loader->arg, &row->sequence) : 0;
    for (struct row *row = fake_disk[JOURNAL]; row && r == 0; row = row->hh.next)
        if (loader->journal && (row->journal.time >= loader->journal_since || !row->hh.next))
            r = loader->journal(loader->arg, &row->journal);
    return r;
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

int store_read_shadow(struct store *store, const char *device, const char *kind, store_shadow_fn done, void *arg)
{
    struct read *read = calloc(1, sizeof *read);

    (void)snprintf(read->id, sizeof read->id, "%s", fake_key(SHADOW, device, kind));
    read->finish = finish_shadow;
    read->shadow_done = done;
    read->arg = arg;
    list_append(&store->reads, &read->node);
    return 0;
}

int store_read_blobs(struct store *store, const char *artifact_id, store_blobs_fn done, void *arg)
{
    struct read *read = calloc(1, sizeof *read);

    (void)snprintf(read->id, sizeof read->id, "%s", fake_key(ARTIFACT, artifact_id, ""));
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

static int compare_keys(const struct row *a, const struct row *b)
{
    return a->journal.seq < b->journal.seq ? -1 : 1;
}

static void finish_journal(struct read *read)
{
    struct store_journal *rows = calloc(read->max, sizeof *rows);
    struct store_journal_page page = {.rows = rows,
                                      .first_kept = fake_disk[JOURNAL] ? fake_disk[JOURNAL]->journal.seq : 1};
    size_t bytes = 0;

    HASH_SORT(fake_disk[JOURNAL], compare_keys); /* batches need not be submitted in the order of their numbers */
    for (struct row *row = fake_disk[JOURNAL]; row && page.count < read->max && bytes <= read->max_bytes;
         row = row->hh.next)
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

    HASH_ITER(hh, fake_disk[JOURNAL], row, next)
    if (row->journal.seq < before)
        fake_drop(JOURNAL, row);
}

/* Audit trail: none ------------------------------------------------------------------------------------------------ */

void store_get_audit_head(const struct store *store, uint64_t *seq, uint8_t hash[AUDIT_HASH_SIZE])
{
    (void)store;
    *seq = 0;
    memset(hash, 0, AUDIT_HASH_SIZE);
}

int store_find_audit_floor(struct store *store, uint64_t keep, store_audit_floor_fn done, void *arg)
{
    (void)store, (void)keep, (void)done, (void)arg;
    return -ENOSYS;
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
    *out = (struct history_stats){.unsealed = HASH_COUNT(fake_disk[JOURNAL])};
    for (struct row *row = fake_disk[JOURNAL]; row; row = row->hh.next) {
        out->journal_first = row == fake_disk[JOURNAL] ? row->journal.seq : out->journal_first;
        out->journal_last = row->journal.seq;
        out->journal_bytes += row->journal.body.size;
    }
}
