#include "store/arena.h"

#include <stdalign.h>
#include <string.h>

/* A typical batch (an operation and a container, a message's records) fits one block. */
#define BLOCK_SIZE 2048
#define BLOCK_MAX (64 << 10)

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

static bool add_block(struct arena *arena, size_t size)
{
    size_t capacity = arena->size < BLOCK_SIZE ? BLOCK_SIZE : arena->size < BLOCK_MAX ? arena->size : BLOCK_MAX;
    struct arena_block *block;

    if (size > capacity)
        capacity = size;
    block = malloc(sizeof *block + capacity);
    if (!block)
        return false;
    block->next = arena->blocks;
    block->size = capacity;
    block->used = 0;
    arena->blocks = block;
    arena->size += capacity;
    return true;
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    void *taken;

    size = (size + align - 1) / align * align;
    if ((!arena->blocks || arena->blocks->size - arena->blocks->used < size) && !add_block(arena, size))
        return NULL;
    taken = arena->blocks->bytes + arena->blocks->used;
    arena->blocks->used += size;
    return taken;
}

void *arena_copy(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_take(arena, size ? size : 1);

    return copy && size ? memcpy(copy, data, size) : copy;
}

void arena_clear(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){0};
}
