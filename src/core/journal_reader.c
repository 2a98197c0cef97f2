#include "core/journal_private.h"

#include <string.h>

/* Reading: from the ring where it holds what follows the reader's position, else from a page of the disk. */

static void set_filter(struct journal_reader *reader, const struct journal_filter *filter)
{
    const char *name = filter->name;
    size_t size = name ? strlen(name) : 0;

    reader->kinds = filter->kinds ? filter->kinds : ~(1u << JOURNAL_AUDIT);
    (void)text_copy(reader->device, sizeof reader->device, filter->device ? filter->device : "");
    (void)text_copy(reader->group, sizeof reader->group, filter->group ? filter->group : "");
    (void)text_copy(reader->tenant, sizeof reader->tenant, filter->tenant ? filter->tenant : "");
    reader->has_name = name != NULL;
    if (!name)
        return;
    reader->prefix = size && name[size - 1] == '*';
    (void)text_copy(reader->name, sizeof reader->name, name);
    if (reader->prefix && size <= sizeof reader->name)
        reader->name[size - 1] = 0;
}

struct journal_reader *core_open_journal(struct core *core, uint64_t after, const struct journal_filter *filter,
                                         void (*ready)(void *arg), void *arg)
{
    struct journal_reader *reader = calloc(1, sizeof *reader);
    struct journal *journal = core->journal;

    if (!reader)
        return NULL;
    reader->core = core;
    reader->ready = ready;
    reader->arg = arg;
    list_init(&reader->wait);
    list_init(&reader->page_node);
    list_append(&journal->readers, &reader->node);
    journal->reader_count++;
    set_filter(reader, filter);
    journal_seek(reader, after);
    return reader;
}

struct journal_reader *journal_close(struct journal_reader *reader)
{
    if (!reader)
        return NULL;
    journal_page_detach(reader);
    list_unlink(&reader->wait);
    list_unlink(&reader->node);
    reader->core->journal->reader_count--;
    free(reader);
    return NULL;
}

void journal_seek(struct journal_reader *reader, uint64_t after)
{
    const struct journal *journal = reader->core->journal;

    journal_page_detach(reader);
    list_unlink(&reader->wait);
    reader->position = reader->previous = after < journal->visible ? after : journal->visible;
    reader->missing = 0;
    reader->failed = false;
}

uint64_t journal_position(const struct journal_reader *reader)
{
    return reader->position;
}

static bool is_in_group(const struct journal_reader *reader, const char *id)
{
    const struct device *device = *id ? index_find_device(reader->core, id) : NULL;

    return device && device_is_in_group(device, reader->group);
}

static bool is_of_tenant(const struct journal_reader *reader, const char *id)
{
    const struct device *device = *id ? index_find_device(reader->core, id) : NULL;

    return device && tenant_has_device(reader->core, reader->tenant, device);
}

static bool passes(const struct journal_reader *reader, const struct journal_entry *entry)
{
    return reader->kinds & 1u << entry->kind && (!*reader->device || strcmp(reader->device, entry->device) == 0) &&
           (!*reader->group || is_in_group(reader, entry->device)) &&
           (!*reader->tenant || is_of_tenant(reader, entry->device)) &&
           (!reader->has_name || (entry->kind == JOURNAL_TELEMETRY &&
                                  journal_pack_has(entry->body, entry->size, reader->name, reader->prefix)));
}

/* The entry that follows the position, which moves to it. NULL: there is none, or it has to be read from the disk;
 * then the reader is told when that is so. */
static struct journal_node *next_of_page(struct journal_reader *reader)
{
    struct journal_page *page = reader->page;

    while (page && page->ready) {
        while (reader->page_at < page->count) {
            struct journal_node *node = page->nodes[reader->page_at++];

            if (node->entry.seq > reader->position)
                return node;
        }
        reader->position = page->last;
        if (reader->position >= reader->core->journal->ring_after) {
            journal_page_detach(reader);
            return NULL;
        }
        journal_page_attach(reader);
        page = reader->page;
        if (reader->missing)
            return NULL;
    }
    return NULL;
}

static struct journal_node *next(struct journal_reader *reader)
{
    struct journal *journal = reader->core->journal;
    struct journal_node *node = NULL;

    if (reader->position < journal->ring_after) {
        if (!reader->page)
            journal_page_attach(reader);
        if (reader->missing || reader->failed)
            return NULL;
        node = next_of_page(reader);
    } else {
        journal_page_detach(reader);
    }
    if (!node && reader->position >= journal->ring_after) {
        node = journal_ring_find(journal, reader->position, &reader->at);
        if (!node)
            reader->position = journal->visible; /* the last numbers were not used */
    }
    if (node) {
        reader->previous = reader->position;
        reader->position = node->entry.seq;
    }
    return node;
}

void journal_step_back(struct journal_reader *reader)
{
    reader->position = reader->previous;
    if (reader->page && reader->page->ready && reader->page_at)
        reader->page_at--;
}

bool journal_is_at_end(const struct journal_reader *reader)
{
    return reader->position >= reader->core->journal->visible;
}

static enum journal_result told(struct journal_reader *reader, uint64_t *missing)
{
    if (reader->failed) {
        reader->failed = false;
        journal_wake_later(reader, JOURNAL_RETRY_MS);
        return JOURNAL_FAILED;
    }
    *missing = reader->missing;
    reader->core->journal->missing += reader->missing;
    reader->missing = 0;
    return JOURNAL_MISSING;
}

enum journal_result journal_read(struct journal_reader *reader, struct journal_entry *entry, uint64_t *missing)
{
    struct journal *journal = reader->core->journal;

    list_unlink(&reader->wait);
    reader->awaits = false;
    for (unsigned i = 0; i < JOURNAL_SKIP; i++) {
        const struct journal_node *node = reader->missing || reader->failed ? NULL : next(reader);

        if (reader->missing || reader->failed)
            return told(reader, missing);
        if (!node) {
            if (!reader->page)
                list_append(&journal->waiting, &reader->wait);
            return JOURNAL_WAIT;
        }
        if (passes(reader, &node->entry)) {
            *entry = node->entry;
            return JOURNAL_ENTRY;
        }
    }
    journal_wake_later(reader, 0); /* the loop has its turn */
    return JOURNAL_WAIT;
}
