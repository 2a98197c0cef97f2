#include "agent/pivlog.h"

#include <stdlib.h>

#define FIRST_SIZE 64
#define KEY(kind, piv) (((piv) << 1 | (uint64_t)(kind)) + 1)

static struct pivlog_entry *place(const struct pivlog *log, uint64_t key)
{
    return &log->entries[(key - 1) & (log->size - 1)];
}

enum pivlog_result pivlog_check(const struct pivlog *log, enum pivlog_kind kind, uint64_t piv, uint64_t hash)
{
    uint64_t key = KEY(kind, piv);
    const struct pivlog_entry *e = log->size ? place(log, key) : NULL;

    if (!e || e->key != key)
        return PIVLOG_NEW;
    return e->hash == hash ? PIVLOG_SAME : PIVLOG_REUSED;
}

static void grow(struct pivlog *log)
{
    struct pivlog old = *log;
    size_t size = old.size ? 2 * old.size : FIRST_SIZE;
    struct pivlog_entry *entries = calloc(size, sizeof *entries);

    if (!entries)
        return;
    *log = (struct pivlog){entries, size};
    for (size_t i = 0; i < old.size; i++)
        if (old.entries[i].key)
            *place(log, old.entries[i].key) = old.entries[i];
    free(old.entries);
}

void pivlog_add(struct pivlog *log, enum pivlog_kind kind, uint64_t piv, uint64_t hash)
{
    uint64_t key = KEY(kind, piv);

    if (!log->size || (place(log, key)->key && place(log, key)->key != key && log->size < (size_t)2 * PIVLOG_MAX))
        grow(log);
    if (log->size)
        *place(log, key) = (struct pivlog_entry){key, hash};
}

void pivlog_clear(struct pivlog *log)
{
    free(log->entries);
    *log = (struct pivlog){0};
}
