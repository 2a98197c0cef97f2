#ifndef TC_BASE_MEMORY_H
#define TC_BASE_MEMORY_H

#include <stdlib.h>
#include <string.h>

/* Zeroed memory for what is made and freed with each message: glibc's calloc passes over what was freed a moment ago
 * and takes what has not been touched for long, which costs microseconds where the heap is large. NULL: none. */
static inline void *memory_new(size_t size)
{
    void *memory = malloc(size);

    return memory ? memset(memory, 0, size) : NULL;
}

#endif
