#include "agent/dedup.h"

#define FIRST_SIZE 8

const struct dedup_entry *dedup_find(const struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms)
{
    for (size_t i = 0; i < d->used; i++) {
        const struct dedup_entry *e = &d->entries[i];

        if (e->id == id && e->expires_ms > now_ms && peer_equal(&e->peer, peer))
            return e;
    }
    return NULL;
}

/* Doubles the ring, with the oldest entry in front. */
static bool grow(struct dedup *d)
{
    size_t size = d->size ? 2 * d->size : FIRST_SIZE;
    struct dedup_entry *entries = calloc(size, sizeof *entries);

    if (!entries)
        return false;
    if (d->used) {
        memcpy(entries, d->entries + d->next, (d->used - d->next) * sizeof *entries);
        memcpy(entries + d->used - d->next, d->entries, d->next * sizeof *entries);
    }
    free(d->entries);
    d->entries = entries;
    d->size = size;
    d->next = d->used;
    return true;
}

void dedup_store(struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms, const void *answer, size_t size)
{
    struct dedup_entry *e;

    if (d->used == d->size && d->size < DEDUP_ENTRIES && (!d->size || d->entries[d->next].expires_ms > now_ms))
        (void)grow(d);
    if (!d->size)
        return;
    e = &d->entries[d->next];
    free(e->answer);
    *e = (struct dedup_entry){.peer = *peer, .id = id, .expires_ms = now_ms + DEDUP_LIFETIME_MS};
    e->answer = malloc(size ? size : 1);
    if (e->answer && size)
        memcpy(e->answer, answer, size);
    e->size = e->answer ? size : 0; /* without memory it is remembered that there was one, and not given again */
    d->next = (d->next + 1) % d->size;
    if (d->used < d->size)
        d->used++;
}

void dedup_clear(struct dedup *d)
{
    for (size_t i = 0; i < d->used; i++)
        free(d->entries[i].answer);
    free(d->entries);
    *d = (struct dedup){0};
}
