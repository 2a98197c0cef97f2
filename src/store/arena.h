#ifndef TC_STORE_ARENA_H
#define TC_STORE_ARENA_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

/* Memory that is taken piece by piece and freed as a whole. Zero-initialise it. */
struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t size;                /* of all */
};

void *arena_take(struct arena *arena, size_t size);                   /* aligned for anything; NULL: out of memory */
void *arena_copy(struct arena *arena, const void *data, size_t size); /* never NULL for want of data */
void arena_clear(struct arena *arena);

#define cleanup_arena cleanup(arena_clear)

#endif
