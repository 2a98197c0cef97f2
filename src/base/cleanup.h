#ifndef TC_BASE_CLEANUP_H
#define TC_BASE_CLEANUP_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs func(&variable) when the variable leaves its scope. */
#define cleanup(func) __attribute__((cleanup(func)))
#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, first) __attribute__((format(printf, fmt, first)))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define array_size(a) (sizeof(a) / sizeof((a)[0]))

/* Hands a pointer over: the variable becomes NULL, its old value is returned. */
#define steal_pointer(ptr)                                                                                             \
    (__extension__({                                                                                                   \
        __typeof__(ptr) _taken = (ptr);                                                                                \
        (ptr) = NULL;                                                                                                  \
        _taken;                                                                                                        \
    }))

static inline void free_pointer(void *p)
{
    free(*(void **)p);
}

static inline void close_descriptor(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void close_file(FILE *const *file)
{
    if (*file)
        (void)fclose(*file);
}

#define cleanup_free cleanup(free_pointer)
#define cleanup_close cleanup(close_descriptor)
#define cleanup_fclose cleanup(close_file)

#endif
