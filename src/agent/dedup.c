#include "agent/dedup.h"

#define FIRST_SIZE 8

/* Of the request's peer and ID: of the peer its address family, port and, with IPv4, address. */
static uint16_t *bucket_of(const struct dedup *d, const struct peer *peer, uint16_t id)
{
    uint64_t hash;

    memcpy(&hash, &peer->address, sizeof hash);
    hash = (hash ^ id) * 0x9e3779b97f4a7c15u; /* its upper bits depend on all others */
    return &d->buckets[hash >> 48 & (d->size - 1)];
}

const struct dedup_entry *dedup_find(const struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms)
{
    const struct dedup_entry *e;

    for (uint16_t at = d->size ? *bucket_of(d, peer, id) : DEDUP_NONE; at != DEDUP_NONE; at = e->older) {
        e = &d->entries[at];
        if (e->id == id && e->expires_ms > now_ms && peer_equal(&e->peer, peer))
            return e;
    }
    return NULL;
}

static void link_entry(struct dedup *d, size_t place)
{
    struct dedup_entry *e = &d->entries[place];
    uint16_t *bucket = bucket_of(d, &e->peer, e->id);

    e->older = *bucket;
    *bucket = (uint16_t)place;
}

/* The oldest entry is the last of its bucket. */
static void unlink_oldest(struct dedup *d)
{
    const struct dedup_entry *e = &d->entries[d->next];
    uint16_t *at = bucket_of(d, &e->peer, e->id);

    while (*at != d->next)
        at = &d->entries[*at].older;
    *at = DEDUP_NONE;
}

/* Doubles the ring, with the oldest entry in front. */
static bool grow(struct dedup *d)
{
    size_t size = d->size ? 2 * d->size : FIRST_SIZE;
    struct dedup_entry *entries = calloc(size, sizeof *entries);
    uint16_t *buckets = malloc(size * sizeof *buckets);

    if (!entries || !buckets) {
        free(entries);
        free(buckets);
        return false;
    }
    if (d->used) {
        memcpy(entries, d->entries + d->next, (d->used - d->next) * sizeof *entries);
        memcpy(entries + d->used - d->next, d->entries, d->next * sizeof *entries);
    }
    free(d->entries);
    free(d->buckets);
    *d = (struct dedup){.entries = entries, .buckets = buckets, .size = size, .next = d->used, .used = d->used};
    memset(buckets, 0xff, size * sizeof *buckets); /* DEDUP_NONE */
    for (size_t i = 0; i < d->used; i++)
        link_entry(d, i);
    return true;
}

/* Keeps a copy; without memory the entry says that there was an answer, and it is not given again. */
static void keep(struct dedup_entry *e, const void *answer, size_t size)
{
    uint8_t *room = size ? realloc(e->answer, size) : NULL;

    if (!room)
        free(e->answer);
    else
        memcpy(room, answer, size);
    e->answer = room;
    e->size = room ? size : 0;
}

void dedup_store(struct dedup *d, const struct peer *peer, uint16_t id, int64_t now_ms, const void *answer, size_t size)
{
    struct dedup_entry *e;

    if (d->used == d->size && d->size < DEDUP_ENTRIES && (!d->size || d->entries[d->next].expires_ms > now_ms))
        (void)grow(d);
    if (!d->size)
        return;
    if (d->used == d->size)
        unlink_oldest(d);
    e = &d->entries[d->next];
    e->peer = *peer;
    e->id = id;
    e->expires_ms = now_ms + DEDUP_LIFETIME_MS;
    keep(e, answer, size);
    link_entry(d, d->next);
    d->next = (d->next + 1) & (d->size - 1);
    if (d->used < d->size)
        d->used++;
}

void dedup_clear(struct dedup *d)
{
    for (size_t i = 0; i < d->used; i++)
        free(d->entries[i].answer);
    free(d->entries);
    free(d->buckets);
    *d = (struct dedup){0};
}
