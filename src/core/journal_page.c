#include "core/journal_private.h"

#include <errno.h>
#include <string.h>

/* What is older than the ring is read from the disk in pages, which readers at the same place share. Few are read at
 * once, the one that was asked for first before the others; those that nobody used for long go when there are too many.
 */

static void begin_reads(struct journal *journal);

static struct journal_page *page_free(struct journal_page *page)
{
    while (!list_empty(&page->readers))
        journal_page_detach(list_first(&page->readers, struct journal_reader, page_node));
    for (size_t i = 0; i < page->count; i++)
        (void)journal_node_free(page->nodes[i]);
    free(page->nodes);
    list_unlink(&page->node);
    free(page);
    return NULL;
}

void journal_pages_free(struct journal *journal)
{
    while (!list_empty(&journal->pages))
        (void)page_free(list_first(&journal->pages, struct journal_page, node));
    while (!list_empty(&journal->queue))
        (void)page_free(list_first(&journal->queue, struct journal_page, node));
}

static bool fits(const struct journal_page *page, uint64_t position)
{
    return page->ready ? page->after <= position && position < page->last : page->after == position;
}

static struct journal_page *find(struct journal *journal, uint64_t position)
{
    list_each(node, &journal->pages)
    {
        struct journal_page *page = container_of(node, struct journal_page, node);

        if (fits(page, position))
            return page;
    }
    list_each(node, &journal->queue)
    {
        struct journal_page *page = container_of(node, struct journal_page, node);

        if (fits(page, position))
            return page;
    }
    return NULL;
}

/* How many entries behind the reader's position are gone; who asks for all that is kept misses none. */
static uint64_t count_missing(const struct journal_reader *reader, const struct journal_page *page)
{
    uint64_t most = page->first_kept > reader->position + 1 ? page->first_kept - 1 - reader->position : 0;

    if (reader->position == 0)
        return 0;
    return page->gone < most || reader->position == page->after ? page->gone : most;
}

static void begin_at(struct journal_reader *reader, struct journal_page *page)
{
    size_t low = 0, high = page->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (page->nodes[middle]->entry.seq > reader->position)
            high = middle;
        else
            low = middle + 1;
    }
    reader->page_at = low;
    reader->missing = count_missing(reader, page);
    if (reader->missing && page->first_kept > reader->position + 1) /* not to be told again */
        reader->position = page->first_kept - 1 < page->last ? page->first_kept - 1 : page->last;
}

static void use(struct journal_reader *reader, struct journal_page *page)
{
    reader->page = page;
    list_append(&page->readers, &reader->page_node);
    if (!page->ready)
        return;
    list_unlink(&page->node);
    list_append(&reader->core->journal->pages, &page->node);
    begin_at(reader, page);
}

void journal_page_detach(struct journal_reader *reader)
{
    list_unlink(&reader->page_node);
    reader->page = NULL;
    reader->awaits = false;
}

void journal_page_attach(struct journal_reader *reader)
{
    struct journal *journal = reader->core->journal;
    struct journal_page *page = find(journal, reader->position);

    journal_page_detach(reader);
    if (page) {
        use(reader, page);
        return;
    }
    page = calloc(1, sizeof *page);
    if (!page) {
        reader->failed = true;
        return;
    }
    page->journal = journal;
    page->after = reader->position;
    list_init(&page->readers);
    list_append(&journal->queue, &page->node);
    use(reader, page);
    begin_reads(journal);
}

/* Somebody waited for it and has not read from it yet: without that each would take the pages of the others. */
static bool is_awaited(const struct journal_page *page)
{
    list_each(node, &page->readers)
    {
        if (container_of(node, struct journal_reader, page_node)->awaits)
            return true;
    }
    return false;
}

/* Those that nobody used for longest go first; who is at one reads it again. */
static void evict(struct journal *journal)
{
    size_t limit = journal->core->options.journal_memory / 4;

    list_each(node, &journal->pages)
    {
        struct journal_page *page = container_of(node, struct journal_page, node);

        if (journal->page_bytes <= limit)
            return;
        if (!is_awaited(page))
            (void)page_free(page);
    }
}

/* What is durable and not yet visible comes from the ring. */
static int take_rows(struct journal_page *page, const struct store_journal_page *from)
{
    struct journal *journal = page->journal;
    size_t count = from->count;

    while (count && from->rows[count - 1].seq > journal->visible)
        count--;
    page->last = count == 0 ? page->horizon : from->rows[count - 1].seq;
    page->first_kept = from->first_kept;
    page->gone = from->gone;
    page->nodes = calloc(count ? count : 1, sizeof(struct journal_node *));
    if (!page->nodes)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct journal_node *node = journal_node_new(&from->rows[i]);

        if (!node)
            return -ENOMEM;
        if (node->entry.kind >= JOURNAL_KIND_COUNT)
            node->entry.kind = JOURNAL_GATEWAY; /* a later version's */
        node->bytes = &journal->page_bytes;
        journal->page_bytes += node->size;
        page->nodes[page->count++] = node;
    }
    return 0;
}

static void settle(struct journal_page *page, struct list *readers)
{
    list_each(node, &page->readers)
    {
        struct journal_reader *reader = container_of(node, struct journal_reader, page_node);

        if (page->result < 0) {
            journal_page_detach(reader);
            reader->failed = true;
        } else {
            begin_at(reader, page);
            reader->awaits = true;
        }
        list_unlink(&reader->wait);
        list_append(readers, &reader->wait);
    }
}

static void read_done(void *arg, int result, const struct store_journal_page *from)
{
    struct journal_page *page = arg;
    struct journal *journal = page->journal;
    struct list readers;

    list_init(&readers);
    journal->reading--;
    page->reading = false;
    page->result = result < 0 ? result : take_rows(page, from);
    page->ready = true;
    list_unlink(&page->node);
    list_append(&journal->pages, &page->node);
    settle(page, &readers);
    if (page->result < 0)
        (void)page_free(page);
    else
        evict(journal);
    begin_reads(journal);
    journal_wake(journal, &readers);
}

static bool begin_read(struct journal_page *page)
{
    struct journal *journal = page->journal;

    page->horizon = journal->visible;
    page->reading = store_read_journal(journal->core->options.store, page->after, JOURNAL_PAGE_ENTRIES,
                                       JOURNAL_PAGE_BYTES, read_done, page) == 0;
    journal->reading += page->reading;
    return page->reading;
}

static void give_up(struct journal_page *page)
{
    while (!list_empty(&page->readers)) {
        struct journal_reader *reader = list_first(&page->readers, struct journal_reader, page_node);

        journal_page_detach(reader);
        reader->failed = true;
        journal_wake_later(reader, 0);
    }
    (void)page_free(page);
}

static void begin_reads(struct journal *journal)
{
    list_each(node, &journal->queue)
    {
        struct journal_page *page = container_of(node, struct journal_page, node);

        if (journal->reading >= JOURNAL_READS)
            return;
        if (page->reading)
            continue;
        if (list_empty(&page->readers))
            (void)page_free(page); /* who asked is gone */
        else if (!begin_read(page))
            give_up(page);
    }
}
