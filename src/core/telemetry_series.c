#include "core/telemetry_private.h"

#include "base/hash.h"

#include <errno.h>
#include <string.h>

/* What is remembered of a device's series: that they are there (they are limited), and the last time that was assigned
 * to each, so that two values that the gateway gives a time do not get the same. A sorted array of hashes with a secret
 * key: 16 bytes for a series, however long its name. */

#define NEVER INT64_MIN           /* no time was assigned yet */
#define FRESH (INT64_MIN + 1)     /* added by the message at hand */
#define DISTINCT_MAX_US 1000000LL /* assigned times go ahead of the clock by this at most; beyond, it was set back */
#define BURST_S 10

struct entry {
    uint64_t hash;
    int64_t last; /* us */
};

struct device_series {
    double tokens; /* records that it may send now; below 0 after a message of more than a burst */
    int64_t at;    /* monotonic ms of that */
    size_t count, capacity;
    struct entry *entries; /* by hash */
};

static struct device_series *series_of(struct device *device)
{
    if (!device->series) {
        device->series = calloc(1, sizeof *device->series);
        if (device->series)
            device->series->at = INT64_MIN;
    }
    return device->series;
}

void telemetry_forget_series(struct device *device)
{
    if (!device->series)
        return;
    if (device->core->telemetry)
        device->core->telemetry->stats.series -= device->series->count;
    free(device->series->entries);
    free(steal_pointer(device->series));
}

/* The rate -------------------------------------------------------------------------------------------------------- */

/* Fills the bucket up. A message of more records than a burst may come when it is full, and is paid for afterwards. */
int telemetry_take_tokens(struct device *device, size_t count, uint32_t *retry_s)
{
    struct device_series *series = series_of(device);
    double rate = device->core->options.telemetry.max_rate, full = rate * BURST_S;
    double needed = (double)count < full ? (double)count : full;
    int64_t now = core_now(device->core);

    if (!series)
        return -ENOMEM;
    if (rate <= 0)
        return 0;
    series->tokens = series->at == INT64_MIN ? full : series->tokens + rate * (double)(now - series->at) / 1000;
    if (series->tokens > full)
        series->tokens = full;
    series->at = now;
    if (series->tokens < needed) {
        *retry_s = (uint32_t)((needed - series->tokens) / rate) + 1;
        return 1;
    }
    series->tokens -= (double)count;
    return 0;
}

void telemetry_return_tokens(struct device *device, size_t count)
{
    device->series->tokens += (double)count;
}

/* Names ----------------------------------------------------------------------------------------------------------- */

static uint64_t hash_name(const struct telemetry *t, const char *name)
{
    return hash_bytes(t->key, name, strlen(name));
}

/* Where it is, or belongs. */
static size_t find(const struct device_series *series, uint64_t hash)
{
    size_t low = 0, high = series->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (series->entries[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct device_series *series, size_t at, uint64_t hash)
{
    return at < series->count && series->entries[at].hash == hash;
}

static int insert(struct device_series *series, size_t at, struct entry entry)
{
    if (series->count == series->capacity) {
        size_t capacity = series->capacity ? 2 * series->capacity : 4;
        struct entry *entries = realloc(series->entries, capacity * sizeof *entries);

        if (!entries)
            return -ENOMEM;
        series->entries = entries;
        series->capacity = capacity;
    }
    memmove(series->entries + at + 1, series->entries + at, (series->count - at) * sizeof *series->entries);
    series->entries[at] = entry;
    series->count++;
    return 0;
}

/* Ends a message that added series: they stay, or go again. */
static void settle_fresh(struct device_series *series, bool stay)
{
    size_t kept = 0;

    for (size_t i = 0; i < series->count; i++) {
        struct entry entry = series->entries[i];

        if (entry.last == FRESH && !stay)
            continue;
        if (entry.last == FRESH)
            entry.last = NEVER;
        series->entries[kept++] = entry;
    }
    series->count = kept;
}

int telemetry_add_series(struct device *device, const struct telemetry_record *records, size_t count)
{
    struct telemetry *t = device->core->telemetry;
    struct device_series *series = series_of(device);
    size_t before;
    int r = series ? 0 : -ENOMEM;

    if (r != 0)
        return r;
    before = series->count;
    for (size_t i = 0; i < count && r == 0; i++) {
        uint64_t hash = hash_name(t, records[i].name);
        size_t at = find(series, hash);

        if (is_at(series, at, hash))
            continue;
        if (series->count >= device->core->options.telemetry.max_series)
            r = 1;
        else
            r = insert(series, at, (struct entry){hash, FRESH});
    }
    if (series->count > before)
        settle_fresh(series, r == 0);
    t->stats.series += series->count - before;
    return r;
}

void telemetry_note_series(struct device *device, const char *name)
{
    struct telemetry *t = device->core->telemetry;
    struct device_series *series = series_of(device);
    uint64_t hash = hash_name(t, name);
    size_t at = series ? find(series, hash) : 0;

    if (!series || is_at(series, at, hash) || insert(series, at, (struct entry){hash, NEVER}) != 0)
        return;
    t->stats.series++;
}

int64_t telemetry_assign_time(struct device *device, const char *name, int64_t now_us)
{
    struct device_series *series = device->series;
    uint64_t hash = hash_name(device->core->telemetry, name);
    struct entry *entry = &series->entries[find(series, hash)];

    if (entry->last != NEVER && entry->last >= now_us && entry->last - now_us < DISTINCT_MAX_US)
        now_us = entry->last + 1;
    entry->last = now_us;
    return now_us;
}
