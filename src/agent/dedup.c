#include "agent/dedup.h"

const struct dedup_entry *dedup_find(const struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms)
{
    for (size_t i = 0; i < d->used; i++) {
        const struct dedup_entry *e = &d->entries[i];

        if (e->id == id && e->expires_ms > now_ms && peer_equal(&e->peer, peer))
            return e;
    }
    return NULL;
}

void dedup_store(struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms, const void *answer, size_t size)
{
    struct dedup_entry *e;

    if (!d->entries)
        d->entries = calloc(DEDUP_ENTRIES, sizeof *d->entries);
    if (!d->entries)
        return;
    e = &d->entries[d->next];
    free(e->answer);
    *e = (struct dedup_entry){.peer = *peer, .id = id, .expires_ms = now_ms + DEDUP_LIFETIME_MS};
    e->answer = malloc(size ? size : 1);
    if (e->answer && size)
        memcpy(e->answer, answer, size);
    e->size = e->answer ? size : 0; /* without memory it is remembered that there was one, and not given again */
    d->next = (d->next + 1) % DEDUP_ENTRIES;
    if (d->used < DEDUP_ENTRIES)
        d->used++;
}

void dedup_clear(struct dedup *d)
{
    for (size_t i = 0; i < d->used; i++)
        free(d->entries[i].answer);
    free(d->entries);
    *d = (struct dedup){0};
}
