#ifndef TC_CORE_JOURNAL_PRIVATE_H
#define TC_CORE_JOURNAL_PRIVATE_H

#include "core/access.h"
#include "core/internal.h"
#include "core/journal.h"

/* Shared by journal.c (writers, the ring), journal_reader.c, journal_page.c (what is read from the disk),
 * journal_cursor.c and journal_text.c. */

#define JOURNAL_PAGE_ENTRIES 256
#define JOURNAL_PAGE_BYTES (32u << 10) /* of bodies */
#define JOURNAL_READS 2                /* pages that the store reads at once; what else it reads has its turn */
#define JOURNAL_SKIP 512               /* entries that one call passes over */
#define JOURNAL_RETRY_MS 1000          /* after the disk could not be read */

enum node_state { NODE_WAITING, NODE_DURABLE, NODE_FAILED };

/* An entry in memory. */
struct journal_node {
    struct journal_entry entry;
    char *json; /* its text, NULL: not made yet */
    size_t json_size;
    size_t *bytes; /* what its memory counts in, once it is in the ring or a page */
    size_t size;   /* of this, without the text */

    /* Until it is visible */
    struct journal *journal;
    struct list order; /* journal->pending, by number */
    struct list peers; /* journal->open; then the entries of the same batch, whose first one has: */
    const struct store_batch *batch;
    store_done_fn done;
    void *arg;
    enum node_state state;

    char data[]; /* body and NUL, device and NUL */
};

struct journal_page {
    struct list node;    /* journal->queue until it is read, journal->pages then, the longest not used first */
    struct list readers; /* reader.page_node */
    struct journal *journal;
    bool reading, ready;
    int result;
    uint64_t horizon;     /* visible when the reading began */
    uint64_t after, last; /* holds what is kept of after < number <= last */
    uint64_t first_kept, gone;
    size_t count, bytes;
    struct journal_node **nodes;
};

struct journal_cursor {
    char name[CORE_ID_MAX + 1];
    uint64_t seq;
    bool dirty;
    UT_hash_handle hh;
};

struct journal {
    struct core *core;
    uint64_t last;    /* given */
    uint64_t visible; /* all up to it are settled */
    struct list pending, open;

    struct journal_node **ring; /* ring[i & (capacity - 1)] for first <= i < end; capacity is a power of two */
    size_t capacity;
    uint64_t first, end;
    uint64_t ring_after; /* what is visible and greater is in the ring */
    size_t ring_bytes;

    struct list readers;         /* reader.node */
    struct list waiting, waking; /* reader.wait: for new entries; being told */
    struct list later;           /* reader.wait: to be told by: */
    struct timer timer;
    struct list pages, queue;
    unsigned reading;
    size_t page_bytes;

    struct journal_cursor *cursors;
    struct timer cursor_timer;
    bool cursors_saving;

    uint64_t entries[JOURNAL_KIND_COUNT];
    uint64_t missing;
    size_t reader_count;
};

struct journal_reader {
    struct list node, wait, page_node;
    struct core *core;
    uint32_t kinds;
    char device[CORE_ID_MAX + 1], group[CORE_GROUP_MAX + 1], name[TELEMETRY_NAME_MAX + 1];
    char tenant[TENANT_NAME_MAX + 1];
    bool has_name, prefix;
    uint64_t position, previous; /* previous: before the last entry that was read */
    uint64_t at;                 /* where it goes on in the ring, if that fits the position */
    struct journal_page *page;
    size_t page_at;
    bool awaits;      /* the page was read for it, and it has not looked */
    uint64_t missing; /* not told yet */
    bool failed;      /* not told yet */
    void (*ready)(void *arg);
    void *arg;
};

/* A copy of a row; NULL: out of memory. */
struct journal_node *journal_node_new(const struct store_journal *row);
struct journal_node *journal_node_free(struct journal_node *node);
/* The first entry in the ring behind the position; NULL when there is none. */
struct journal_node *journal_ring_find(struct journal *journal, uint64_t position, uint64_t *at);
/* Calls the readers of a list, which have been moved to it. */
void journal_wake(struct journal *journal, struct list *readers);
/* Has the reader told by the timer. */
void journal_wake_later(struct journal_reader *reader, int64_t delay_ms);
/* Takes what is too much out of the ring soon. */
void journal_trim_soon(struct journal *journal);
static inline size_t journal_ring_limit(const struct journal *journal)
{
    return journal->core->options.journal_memory / 4 * 3;
}

/* Gives the reader the page that holds what follows its position, or has it read: then it is told later. */
void journal_page_attach(struct journal_reader *reader);
void journal_page_detach(struct journal_reader *reader);
void journal_pages_free(struct journal *journal);

void journal_cursors_free(struct journal *journal);
void journal_cursors_end(struct journal *journal); /* writes what was not yet written */
void journal_cursors_fire(struct timer *timer);

/* Whether a telemetry body has a record of the name. */
bool journal_pack_has(const void *body, size_t size, const char *name, bool prefix);

#endif
