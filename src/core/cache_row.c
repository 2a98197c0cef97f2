#include "core/cache_private.h"

#include <string.h>

/*
 * What is kept of the cache over a restart. Rows are written some time after a change, in slices, and at a clean stop:
 * a crash loses what was learned since, which the devices still know.
 */

#define SAVE_AFTER_MS (10 * 60 * 1000)
#define SLICE_BYTES (256 * 1024)
#define SLICE_PAUSE_MS 1000
#define DOUBTFUL_AGE_MS (INT64_C(100) * 365 * 86400 * 1000) /* older than any max-stale but "any" */

void cache_save_later(struct cache *cache)
{
    if (!cache->timer.armed && !cache->core->stopped)
        core_arm(cache->core, &cache->timer, core_now(cache->core) + SAVE_AFTER_MS);
}

static void put_row(struct store_batch *batch, struct cache_entry *entry)
{
    const struct core *core = entry->device->core;

    store_batch_put_representation(batch, &(struct store_representation){
                                              .device = entry->device->id,
                                              .key = entry->key,
                                              .format = entry->format,
                                              .max_age = entry->max_age,
                                              .received = core_wall(core) - (core_now(core) - entry->received),
                                              .etag = {entry->etag, entry->etag_size},
                                              .body = {entry->body, entry->body_size},
                                          });
    entry->stored = true;
    entry->changed = false;
}

/* Errors are not worth a row. */
static bool needs_row(const struct cache_entry *entry, bool all)
{
    return (entry->changed || all) && entry->code >> 5 == 2;
}

/* The bytes that it took. */
static size_t save_device(struct store_batch *batch, struct device *device)
{
    struct cache_entries *entries = device->cache;
    size_t bytes = 0;
    bool all = entries->pruned;

    if (all)
        store_batch_delete_representation(batch, device->id, NULL);
    entries->pruned = false;
    for (struct cache_entry *e = entries->table; e; e = e->hh.next) {
        if (!needs_row(e, all))
            continue;
        put_row(batch, e);
        bytes += e->body_size + sizeof *e;
    }
    return bytes;
}

static void not_saved(void *arg, int result)
{
    struct cache *cache = arg;

    if (result == 0)
        return;
    list_each(node, &cache->entries)
    {
        container_of(node, struct cache_entry, node)->changed = true;
    }
    cache_save_later(cache);
}

/* Writes up to `limit` bytes; true when more is left. */
static bool save(struct core *core, size_t limit)
{
    struct store_batch *batch = store_batch_new();
    struct device *device = core->devices;
    size_t bytes = 0;

    if (!batch)
        return true;
    for (; device && bytes < limit; device = device->hh.next)
        if (device->cache && !device->removing)
            bytes += save_device(batch, device);
    store_submit(core->options.store, batch, not_saved, core->cache);
    return device;
}

void cache_save_timer(struct timer *timer)
{
    struct cache *cache = container_of(timer, struct cache, timer);

    if (save(cache->core, SLICE_BYTES) && !cache->core->stopped)
        core_arm(cache->core, timer, core_now(cache->core) + SLICE_PAUSE_MS);
}

void cache_save(struct core *core)
{
    core_disarm(core, &core->cache->timer);
    (void)save(core, SIZE_MAX);
}

/* Never fresh: what happened meanwhile is not known. */
int cache_load(void *arg, const struct store_representation *row)
{
    struct core *core = arg;
    struct device *device = index_find_device(core, row->device);
    struct agent_response response = {.code = 2 << 5 | 5,
                                      .format = row->format,
                                      .max_age = row->max_age,
                                      .body = (uint8_t *)(uintptr_t)row->body.data,
                                      .body_size = row->body.size};
    int64_t age = core_wall(core) - row->received;
    struct cache_entry *entry;

    if (!device || strlen(row->key) >= CACHE_KEY_SIZE || !strchr(row->key, ' ') ||
        row->etag.size > sizeof response.etag)
        return 0;
    response.etag_size = (uint8_t)row->etag.size;
    if (row->etag.size)
        memcpy(response.etag, row->etag.data, row->etag.size);
    entry = cache_put(device, row->key, &response);
    if (!entry)
        return 0;
    entry->outdated = entry->stored = true;
    entry->changed = false;
    entry->received = core_now(core) - (row->received > 0 && age >= 0 ? age : DOUBTFUL_AGE_MS);
    return 0;
}
