#ifndef TC_CORE_DEADLETTER_H
#define TC_CORE_DEADLETTER_H

#include "base/list.h"
#include "core/core.h"

/*
 * What a sink of the uplink gave up: kept in the database until somebody sends it again or removes it, within bounds
 * for each sink, over which the oldest go.
 */

#define DEAD_LETTERS_MAX 100          /* of a sink */
#define DEAD_LETTERS_BYTES (4u << 20) /* of a sink's bodies together */
#define DEAD_LETTER_REASON_MAX 200

struct dead_letter {
    struct list node; /* in core->dead_letters, oldest first */
    uint64_t first, last;
    int64_t time; /* wall ms of when it was given up */
    uint32_t attempts;
    char sink[64];
    char reason[DEAD_LETTER_REASON_MAX];
    size_t size;
    uint8_t body[]; /* as it was sent */
};

/* Adds one, or replaces that of the same sink and first number; nobody waits. False when out of memory. */
bool core_bury(struct core *core, const struct store_dead_letter *row);
struct dead_letter *core_find_dead_letter(const struct core *core, const char *sink, uint64_t first);
/* The first of a sink behind `after` (NULL: its oldest); NULL: there is none. */
struct dead_letter *core_next_dead_letter(const struct core *core, const char *sink, const struct dead_letter *after);
/* Gone when done says so; as core_remove_device. done may be NULL. */
int core_drop_dead_letter(struct core *core, const struct dead_letter *letter, core_done_fn done, void *arg,
                          struct fault *fault) must_check;

/* For load.c and core.c. */
int deadletter_load(void *arg, const struct store_dead_letter *row);
void deadletters_free(struct core *core);

#endif
