#include "coap/udp_private.h"

#include <string.h>

#define MIN_BUCKETS 256

static struct udp_kept **bucket_of(const struct udp_kept_table *table, const struct udp_key *key)
{
    return &table->buckets[udp_hash(key, sizeof *key) & (table->bucket_count - 1)];
}

static uint64_t memory_of(const struct udp_kept *kept)
{
    return sizeof *kept + kept->size;
}

static void drop_oldest(struct udp_kept_table *table)
{
    struct udp_kept *kept = table->oldest, **link = bucket_of(table, &kept->key);

    while (*link != kept)
        link = &(*link)->next_in_bucket;
    *link = kept->next_in_bucket;
    table->oldest = kept->next_in_time;
    if (!table->oldest)
        table->newest = NULL;
    table->count--;
    table->bytes -= memory_of(kept);
    free(kept);
}

static bool has_expired(const struct udp_kept *kept, uint64_t now)
{
    uint32_t lifetime = (kept->confirmable ? UDP_EXCHANGE_LIFETIME_MS : UDP_NON_LIFETIME_MS) / 1000;

    return (uint32_t)(now / 1000) - kept->at > lifetime;
}

static void drop_expired(struct udp *udp, uint64_t now)
{
    while (udp->kept.oldest && has_expired(udp->kept.oldest, now))
        drop_oldest(&udp->kept);
}

void udp_trim_kept(struct udp *udp, uint64_t max_bytes)
{
    drop_expired(udp, udp_now(udp));
    while (udp->kept.oldest && udp->kept.bytes > max_bytes)
        drop_oldest(&udp->kept);
}

void udp_free_kept(struct udp *udp)
{
    udp_trim_kept(udp, 0);
    free(steal_pointer(udp->kept.buckets));
    udp->kept.bucket_count = 0;
}

/* False without memory for a table; without memory for a larger one the present one gets fuller. */
static bool make_room(struct udp_kept_table *table)
{
    size_t count = table->bucket_count ? 2 * table->bucket_count : MIN_BUCKETS;
    struct udp_kept **buckets;

    if (table->count < table->bucket_count)
        return true;
    buckets = calloc(count, sizeof *buckets); /* NOLINT(bugprone-sizeof-expression): they are pointers */
    if (!buckets)
        return table->buckets != NULL;
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
    for (struct udp_kept *kept = table->oldest; kept; kept = kept->next_in_time) {
        struct udp_kept **bucket = bucket_of(table, &kept->key);

        kept->next_in_bucket = *bucket;
        *bucket = kept;
    }
    return true;
}

static void add(struct udp_kept_table *table, struct udp_kept *kept)
{
    struct udp_kept **bucket = bucket_of(table, &kept->key);

    kept->next_in_bucket = *bucket;
    *bucket = kept;
    if (table->newest)
        table->newest->next_in_time = kept;
    else
        table->oldest = kept;
    table->newest = kept;
    table->count++;
    table->bytes += memory_of(kept);
}

void udp_keep(struct udp *udp, const struct udp_key *key, bool confirmable, enum udp_kept_kind kind, const void *data,
              size_t size)
{
    uint64_t max = udp_options(udp)->kept_bytes, now = udp_now(udp);
    struct udp_kept *kept;

    if (size > UINT16_MAX || sizeof *kept + size > max)
        return;
    udp_trim_kept(udp, max - sizeof *kept - size);
    if (!make_room(&udp->kept))
        return;
    kept = malloc(sizeof *kept + size);
    if (!kept)
        return;
    *kept = (struct udp_kept){.key = *key,
                              .at = (uint32_t)(now / 1000),
                              .size = (uint16_t)size,
                              .kind = (uint8_t)kind,
                              .confirmable = confirmable};
    if (size)
        memcpy(kept->data, data, size);
    add(&udp->kept, kept);
}

static const struct udp_kept *find(const struct udp_kept_table *table, const struct udp_key *key, uint64_t now)
{
    const struct udp_kept *kept = table->bucket_count ? *bucket_of(table, key) : NULL;

    while (kept && (memcmp(&kept->key, key, sizeof *key) != 0 || has_expired(kept, now)))
        kept = kept->next_in_bucket;
    return kept;
}

bool udp_answer_copy(struct udp *udp, const struct udp_key *key, const struct peer *from)
{
    const struct udp_kept *kept = find(&udp->kept, key, udp_now(udp));

    if (!kept)
        return false;
    udp->stats.duplicates++;
    switch ((enum udp_kept_kind)kept->kind) {
    case UDP_KEPT_ANSWER:
        (void)udp->driver->send(udp, from, kept->data, kept->size, true);
        break;
    case UDP_KEPT_ACK:
        udp_send_empty(udp, from, COAPMSG_ACK, key->mid);
        break;
    case UDP_KEPT_SILENCE:
        break;
    }
    return true;
}
