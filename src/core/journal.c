#include "core/journal_private.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static_assert(JOURNAL_TELEMETRY == STORE_JOURNAL_TELEMETRY, "the store makes history of these");
static_assert(JOURNAL_AUDIT == STORE_JOURNAL_AUDIT, "the store reads these from the trail");

/* Writing: an entry gets its number when it is put into a batch, and is seen when all before it are durable or have
 * failed. The newest entries that are seen stay in a ring, which all readers share. */

#define RING_MIN 256

/* Entries in memory ----------------------------------------------------------------------------------------------- */

struct journal_node *journal_node_new(const struct store_journal *row)
{
    const char *device = row->device ? row->device : "";
    size_t device_size = strlen(device) + 1, size = sizeof(struct journal_node) + row->body.size + 1 + device_size;
    struct journal_node *node = malloc(size);

    if (!node)
        return NULL;
    memset(node, 0, sizeof *node);
    if (row->body.size)
        memcpy(node->data, row->body.data, row->body.size);
    node->data[row->body.size] = 0;
    memcpy(node->data + row->body.size + 1, device, device_size);
    node->size = size;
    list_init(&node->order);
    list_init(&node->peers);
    node->entry = (struct journal_entry){.seq = row->seq,
                                         .time = row->time,
                                         .kind = (enum journal_kind)row->kind,
                                         .device = node->data + row->body.size + 1,
                                         .body = node->data,
                                         .size = row->body.size,
                                         .node = node};
    return node;
}

struct journal_node *journal_node_free(struct journal_node *node)
{
    if (!node)
        return NULL;
    list_unlink(&node->order);
    list_unlink(&node->peers);
    if (node->bytes)
        *node->bytes -= node->size + node->json_size;
    free(node->json);
    free(node);
    return NULL;
}

/* The ring -------------------------------------------------------------------------------------------------------- */

static struct journal_node **slot(const struct journal *journal, uint64_t at)
{
    return &journal->ring[at & (journal->capacity - 1)];
}

static void drop_first(struct journal *journal)
{
    struct journal_node *node = *slot(journal, journal->first++);

    journal->ring_after = node->entry.seq;
    (void)journal_node_free(node);
}

static void trim(struct journal *journal)
{
    size_t limit = journal_ring_limit(journal);

    while (journal->first < journal->end && journal->ring_bytes > limit)
        drop_first(journal);
}

static bool grow(struct journal *journal)
{
    size_t capacity = journal->capacity ? 2 * journal->capacity : RING_MIN;
    struct journal_node **ring = calloc(capacity, sizeof(struct journal_node *));

    if (!ring)
        return false;
    for (uint64_t i = journal->first; i < journal->end; i++)
        ring[i & (capacity - 1)] = *slot(journal, i);
    free(journal->ring);
    journal->ring = ring;
    journal->capacity = capacity;
    return true;
}

/* Without memory for a larger ring it begins anew: what is not in it is read from the disk. */
static void push(struct journal *journal, struct journal_node *node)
{
    if (journal->end - journal->first == journal->capacity && !grow(journal)) {
        while (journal->first < journal->end)
            drop_first(journal);
        journal->ring_after = node->entry.seq;
        (void)journal_node_free(node);
        return;
    }
    *slot(journal, journal->end++) = node;
    node->bytes = &journal->ring_bytes;
    journal->ring_bytes += node->size;
}

static bool fits(const struct journal *journal, uint64_t at, uint64_t position)
{
    return at >= journal->first && at < journal->end && (*slot(journal, at))->entry.seq > position &&
           (at == journal->first || (*slot(journal, at - 1))->entry.seq <= position);
}

struct journal_node *journal_ring_find(struct journal *journal, uint64_t position, uint64_t *at)
{
    uint64_t low = journal->first, high = journal->end;

    if (!fits(journal, *at, position)) {
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;

            if ((*slot(journal, middle))->entry.seq > position)
                high = middle;
            else
                low = middle + 1;
        }
        *at = low;
    }
    return *at < journal->end ? *slot(journal, *at) : NULL;
}

/* Readers are told ------------------------------------------------------------------------------------------------ */

void journal_wake(struct journal *journal, struct list *readers)
{
    while (!list_empty(readers)) {
        struct journal_reader *reader = list_first(readers, struct journal_reader, wait);

        list_unlink(&reader->wait);
        list_append(&journal->waking, &reader->wait);
    }
    while (!list_empty(&journal->waking)) {
        struct journal_reader *reader = list_first(&journal->waking, struct journal_reader, wait);

        list_unlink(&reader->wait);
        reader->ready(reader->arg);
    }
}

static void fire(struct timer *timer)
{
    struct journal *journal = container_of(timer, struct journal, timer);

    trim(journal);
    journal_wake(journal, &journal->later);
}

static void arm(struct journal *journal, int64_t delay_ms)
{
    int64_t due = core_now(journal->core) + delay_ms;

    if (!journal->timer.armed || journal->timer.due > due)
        core_arm(journal->core, &journal->timer, due);
}

void journal_wake_later(struct journal_reader *reader, int64_t delay_ms)
{
    list_unlink(&reader->wait);
    list_append(&reader->core->journal->later, &reader->wait);
    arm(reader->core->journal, delay_ms);
}

void journal_trim_soon(struct journal *journal)
{
    if (journal->ring_bytes > journal_ring_limit(journal))
        arm(journal, 0);
}

static void publish(struct journal *journal)
{
    bool news = false;

    while (!list_empty(&journal->pending)) {
        struct journal_node *node = list_first(&journal->pending, struct journal_node, order);

        if (node->state == NODE_WAITING)
            break;
        list_unlink(&node->order);
        journal->visible = node->entry.seq;
        if (node->state == NODE_FAILED) {
            (void)journal_node_free(node);
            continue;
        }
        list_unlink(&node->peers);
        journal->entries[node->entry.kind]++;
        push(journal, node);
        news = true;
    }
    trim(journal);
    if (news)
        journal_wake(journal, &journal->waiting);
}

/* Writers --------------------------------------------------------------------------------------------------------- */

static void log_lost(enum journal_kind kind, const char *device)
{
    log_error("an entry of the journal is lost: out of memory", "kind", journal_kind_name(kind), "device",
              device ? device : "none", NULL);
}

uint64_t journal_next_number(const struct core *core)
{
    return core->journal->last + 1;
}

/* Gives the entry its number, and has it seen when the batch is durable. False: out of memory. */
static bool take_in(struct core *core, const struct store_batch *batch, struct store_journal *row)
{
    struct journal *journal = core->journal;
    struct journal_node *node;

    row->seq = journal->last + 1;
    node = journal_node_new(row);
    if (!node) {
        log_lost((enum journal_kind)row->kind, row->device);
        return false;
    }
    journal->last = row->seq;
    node->journal = journal;
    node->batch = batch;
    list_append(&journal->pending, &node->order);
    list_append(&journal->open, &node->peers);
    return true;
}

static uint64_t add(struct core *core, struct store_batch *batch, struct store_journal *row)
{
    row->time = core_wall(core);
    if (!take_in(core, batch, row))
        return 0;
    store_batch_add_journal(batch, row);
    return row->seq;
}

bool journal_add_audit(struct core *core, struct store_batch *batch, const char *device, int64_t time, const char *text)
{
    struct store_journal row = {.kind = JOURNAL_AUDIT, .time = time, .device = device, .body = {text, strlen(text)}};

    if (!take_in(core, batch, &row))
        return false;
    store_batch_add_audit(batch, row.seq, time, text);
    return true;
}

uint64_t journal_add(struct core *core, struct store_batch *batch, enum journal_kind kind, const char *device,
                     json_t *data)
{
    char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
    uint64_t seq = 0;

    if (text)
        seq = add(core, batch,
                  &(struct store_journal){.kind = (int)kind, .device = device, .body = {text, strlen(text)}});
    else
        log_lost(kind, device);
    free(text);
    json_decref(data);
    return seq;
}

uint64_t journal_add_pack(struct core *core, struct store_batch *batch, const char *device, const void *pack,
                          size_t size, uint64_t origin)
{
    return add(
        core, batch,
        &(struct store_journal){.kind = JOURNAL_TELEMETRY, .device = device, .origin = origin, .body = {pack, size}});
}

void journal_note(struct core *core, enum journal_kind kind, const char *device, json_t *data)
{
    struct store_batch *batch = store_batch_new();

    if (!batch) {
        log_lost(kind, device);
        json_decref(data);
        return;
    }
    (void)journal_add(core, batch, kind, device, data);
    journal_submit(core, batch, NULL, NULL);
}

static void submitted(void *arg, int result)
{
    struct journal_node *leader = arg;
    struct journal *journal = leader->journal;
    enum node_state state = result == 0 ? NODE_DURABLE : NODE_FAILED;

    leader->state = state;
    list_each(peer, &leader->peers) container_of(peer, struct journal_node, peers)->state = state;
    if (leader->done)
        leader->done(leader->arg, result);
    publish(journal);
}

/* The first of a batch's entries, with the others as its peers; NULL: it holds none. */
static struct journal_node *take_entries(struct journal *journal, const struct store_batch *batch)
{
    struct journal_node *leader = NULL;

    list_each(link, &journal->open)
    {
        struct journal_node *node = container_of(link, struct journal_node, peers);

        if (node->batch != batch)
            continue;
        list_unlink(&node->peers);
        if (leader)
            list_append(&leader->peers, &node->peers);
        else
            leader = node;
    }
    return leader;
}

void journal_free_batch(struct core *core, struct store_batch *batch)
{
    struct journal_node *leader = take_entries(core->journal, batch);

    (void)store_batch_free(batch);
    if (leader)
        submitted(leader, -ECANCELED);
}

void journal_submit(struct core *core, struct store_batch *batch, store_done_fn done, void *arg)
{
    struct journal_node *leader = take_entries(core->journal, batch);

    if (!leader) {
        store_submit(core->options.store, batch, done, arg);
        return;
    }
    leader->done = done;
    leader->arg = arg;
    store_submit(core->options.store, batch, submitted, leader);
}

/* Begin and end --------------------------------------------------------------------------------------------------- */

int journal_init(struct core *core)
{
    struct journal *journal = calloc(1, sizeof *journal);

    if (!journal)
        return -ENOMEM;
    journal->core = core;
    list_init(&journal->pending);
    list_init(&journal->open);
    list_init(&journal->readers);
    list_init(&journal->waiting);
    list_init(&journal->waking);
    list_init(&journal->later);
    list_init(&journal->pages);
    list_init(&journal->queue);
    journal->timer.fire = fire;
    journal->cursor_timer.fire = journal_cursors_fire;
    core->journal = journal;
    return 0;
}

void journal_load_number(struct core *core, uint64_t seq)
{
    struct journal *journal = core->journal;

    if (seq > journal->last)
        journal->last = journal->visible = journal->ring_after = seq;
}

void journal_end(struct core *core)
{
    if (core->journal && core->begun)
        journal_cursors_end(core->journal);
}

void journal_free(struct core *core)
{
    struct journal *journal = core->journal;

    if (!journal)
        return;
    while (!list_empty(&journal->readers))
        (void)journal_close(list_first(&journal->readers, struct journal_reader, node));
    while (!list_empty(&journal->pending))
        (void)journal_node_free(list_first(&journal->pending, struct journal_node, order));
    while (journal->first < journal->end)
        drop_first(journal);
    journal_pages_free(journal);
    journal_cursors_free(journal);
    core_disarm(core, &journal->timer);
    core_disarm(core, &journal->cursor_timer);
    free(journal->ring);
    free(journal);
    core->journal = NULL;
}

void core_get_journal_stats(const struct core *core, struct journal_stats *out)
{
    const struct journal *journal = core->journal;
    struct history_stats stored;

    store_get_history_stats(core->options.store, &stored);
    *out = (struct journal_stats){.first = stored.journal_first,
                                  .last = journal->visible,
                                  .bytes = stored.journal_bytes,
                                  .memory = journal->ring_bytes + journal->page_bytes,
                                  .readers = journal->reader_count,
                                  .missing = journal->missing};
    memcpy(out->entries, journal->entries, sizeof out->entries);
}
