#include "core/cache_private.h"

#include "core/directory.h"
#include "core/presence.h"
#include "tcgw/coapmsg.h"

#include <errno.h>
#include <string.h>

#define ENTRY_SHARE 8  /* one entry may take this part of the cache */
#define ENTRY_EXTRA 64 /* what the allocator and the table add to an entry, about */
#define NEVER UINT32_MAX

/* Keys ------------------------------------------------------------------------------------------------------------ */

static bool is_unreserved(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

/* Appends a text whose escapes are in one spelling (RFC 3986 section 6.2.2): none where none is needed, capitals. */
static bool append_normal(char *key, size_t *used, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text && *used < CACHE_KEY_SIZE - 4; text++) {
        int byte = text_unescape(text, strnlen(text, 3));

        if (byte < 0) {
            key[(*used)++] = *text;
            continue;
        }
        if (is_unreserved(byte)) {
            key[(*used)++] = (char)byte;
        } else {
            key[(*used)++] = '%';
            key[(*used)++] = digits[byte >> 4];
            key[(*used)++] = digits[byte & 15];
        }
        text += 2;
    }
    key[*used] = 0;
    return !*text;
}

bool cache_make_key(const char *path, const char *query, int accept, char key[CACHE_KEY_SIZE])
{
    size_t used = (size_t)snprintf(key, CACHE_KEY_SIZE, "%d ", accept);

    if (!append_normal(key, &used, path) || used > CACHE_KEY_SIZE - 8)
        return false;
    if (!query || !*query)
        return true;
    key[used++] = '?';
    return append_normal(key, &used, query);
}

/* Entries --------------------------------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

struct cache_entry *cache_find(const struct device *device, const char *key)
{
    struct cache_entry *entry = NULL;

    if (device->cache)
        HASH_FIND_STR(device->cache->table, key, entry);
    return entry;
}

static void index_add(struct cache_entry *entry)
{
    HASH_ADD_KEYPTR(hh, entry->device->cache->table, entry->key, strlen(entry->key), entry);
}

static void index_drop(struct cache_entry *entry)
{
    HASH_DEL(entry->device->cache->table, entry);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

static size_t size_of(const char *key, size_t body_size)
{
    return sizeof(struct cache_entry) + ENTRY_EXTRA + strlen(key) + 1 + body_size;
}

static void count(struct cache_entry *entry, bool there)
{
    struct cache_stats *stats = &entry->device->core->cache->stats;
    uint64_t size = size_of(entry->key, entry->body_size);

    stats->bytes = there ? stats->bytes + size : stats->bytes - size;
    stats->entries = there ? stats->entries + 1 : stats->entries - 1;
}

static void drop(struct cache_entry *entry)
{
    struct cache_entries *entries = entry->device->cache;

    count(entry, false);
    if (entry->stored) {
        entries->pruned = true;
        cache_save_later(entry->device->core->cache);
    }
    list_unlink(&entry->node);
    index_drop(entry);
    free(entry->body);
    free(entry);
}

void cache_forget(struct device *device)
{
    if (!device->cache)
        return;
    while (device->cache->table)
        drop(device->cache->table);
    free(device->cache);
    device->cache = NULL;
}

void cache_shrink(struct core *core)
{
    struct cache *cache = core->cache;

    while (cache->stats.bytes > core->options.cache_bytes) {
        drop(list_first(&cache->entries, struct cache_entry, node));
        cache->stats.evicted++;
    }
}

static void touch(struct cache_entry *entry)
{
    list_unlink(&entry->node);
    list_append(&entry->device->core->cache->entries, &entry->node);
}

static struct cache_entry *entry_new(struct device *device, const char *key)
{
    size_t size = strlen(key) + 1;
    struct cache_entry *entry;

    if (!device->cache)
        device->cache = calloc(1, sizeof *device->cache);
    entry = device->cache ? calloc(1, sizeof *entry + size) : NULL;
    if (!entry)
        return NULL;
    memcpy(entry->key, key, size);
    entry->device = device;
    entry->changed = true;
    list_init(&entry->node);
    index_add(entry);
    count(entry, true);
    return entry;
}

static bool is_same(const struct cache_entry *entry, const struct agent_response *response)
{
    return entry->code == response->code && entry->format == response->format &&
           entry->etag_size == response->etag_size && memcmp(entry->etag, response->etag, entry->etag_size) == 0 &&
           entry->body_size == response->body_size &&
           (!entry->body_size || memcmp(entry->body, response->body, entry->body_size) == 0);
}

/* False without memory. */
static bool fill(struct cache_entry *entry, const struct agent_response *response)
{
    uint8_t *body = malloc(response->body_size + 1);

    if (!body)
        return false;
    if (response->body_size)
        memcpy(body, response->body, response->body_size);
    count(entry, false);
    free(entry->body);
    entry->body = body;
    entry->body_size = response->body_size;
    count(entry, true);
    entry->code = response->code;
    entry->format = response->format;
    entry->etag_size = response->etag_size;
    memcpy(entry->etag, response->etag, sizeof entry->etag);
    entry->changed = true;
    cache_save_later(entry->device->core->cache);
    return true;
}

static void refresh(struct cache_entry *entry, uint32_t max_age)
{
    entry->max_age = max_age;
    entry->received = core_now(entry->device->core);
    entry->outdated = false;
    touch(entry);
}

struct cache_entry *cache_put(struct device *device, const char *key, const struct agent_response *response)
{
    struct cache_entry *entry = cache_find(device, key);
    bool fits = size_of(key, response->body_size) <= device->core->options.cache_bytes / ENTRY_SHARE;

    if (fits && !entry)
        entry = entry_new(device, key);
    if (entry && (!fits || (!is_same(entry, response) && !fill(entry, response)))) {
        drop(entry); /* what it says is not so any more */
        return NULL;
    }
    if (!entry)
        return NULL;
    refresh(entry, response->max_age);
    cache_shrink(device->core);
    return entry;
}

/* Freshness ------------------------------------------------------------------------------------------------------- */

static uint32_t age_of(const struct cache_entry *entry)
{
    int64_t age = (core_now(entry->device->core) - entry->received) / 1000;

    return age < UINT32_MAX ? (uint32_t)age : UINT32_MAX;
}

/* Seconds; less than 0 for what is stale. */
static int64_t left_of(const struct cache_entry *entry)
{
    int64_t left = (int64_t)entry->max_age - age_of(entry);

    if (entry->outdated || left == 0)
        return left < 0 ? left : -1;
    return left;
}

static bool is_fresh(const struct cache_entry *entry, const struct cache_control *control)
{
    int64_t left = left_of(entry);

    return !control->no_cache && left >= 0 && left >= control->min_fresh && age_of(entry) <= control->max_age;
}

static bool may_be_stale(const struct cache_entry *entry, const struct cache_control *control)
{
    return control->allow_stale && !control->no_cache && !control->no_store &&
           (control->max_stale == NEVER || left_of(entry) >= -(int64_t)control->max_stale) &&
           (control->max_age == NEVER || age_of(entry) <= control->max_age);
}

/* Answers ---------------------------------------------------------------------------------------------------------- */

static uint64_t *counter_of(struct cache_stats *stats, enum cache_status status)
{
    switch (status) {
    case CACHE_HIT:
        return &stats->hits;
    case CACHE_REVALIDATED:
        return &stats->revalidated;
    case CACHE_STALE:
        return &stats->stale;
    case CACHE_MISS:
    case CACHE_BYPASS:
        break;
    }
    return &stats->misses;
}

static void show(struct cache_entry *entry, enum cache_status status, struct cache_answer *answer)
{
    struct cache *cache = entry->device->core->cache;

    touch(entry);
    cache->shown = (struct agent_response){.code = entry->code,
                                           .format = entry->format,
                                           .max_age = entry->max_age,
                                           .etag_size = entry->etag_size,
                                           .body = entry->body,
                                           .body_size = entry->body_size};
    memcpy(cache->shown.etag, entry->etag, sizeof entry->etag);
    answer->fault.code = FAULT_NONE;
    answer->status = status;
    answer->response = &cache->shown;
    answer->age = age_of(entry);
    answer->fresh_for = left_of(entry);
    (*counter_of(&cache->stats, status))++;
    histogram_add(&cache->stats.age_ms, &histogram_millis, (uint64_t)answer->age * 1000);
}

/* Whether it makes sense to ask it now. */
static bool is_there(const struct device *device)
{
    return device_is_awake(device) && core_presence(device).state != PRESENCE_OFFLINE;
}

bool core_find_cached(struct core *core, struct device *device, const struct agent_resource *request,
                      const struct cache_control *control, struct cache_answer *answer)
{
    struct cache_entry *entry = NULL;
    char key[CACHE_KEY_SIZE];

    (void)core;
    *answer = (struct cache_answer){.status = CACHE_MISS};
    if (!control->no_store && cache_make_key(request->path, request->query, request->accept, key))
        entry = cache_find(device, key);
    if (entry && is_fresh(entry, control)) {
        show(entry, CACHE_HIT, answer);
        return true;
    }
    if (entry && may_be_stale(entry, control) && (control->only_if_cached || !is_there(device))) {
        show(entry, CACHE_STALE, answer);
        return true;
    }
    if (control->only_if_cached)
        (void)fault_set(&answer->fault, FAULT_NOT_CACHED, "Nothing fresh enough is known of %.100s of device '%s'.",
                        request->path, device->id);
    return control->only_if_cached;
}

/* Exchanges -------------------------------------------------------------------------------------------------------- */

/* One who waits for the device. */
struct read {
    struct device *device;
    struct cache_control control;
    bool shared, kept;
    bool validates; /* the device was asked about the tag of what is kept, not about the client's */
    cache_fn done;
    void *arg;
    char key[];
};

/* What one who may get stale answers gets one in place of (RFC 5861 section 4). */
static bool is_failure(const struct core_resource_result *result)
{
    if (!result->fault.code)
        return COAPMSG_CLASS(result->response->code) == 5;
    return result->fault.code == FAULT_DEVICE_TIMEOUT || result->fault.code == FAULT_DEVICE_UNREACHABLE ||
           result->fault.code == FAULT_DEVICE_ASLEEP || result->fault.code == FAULT_DEVICE_ANSWER;
}

/* Whether the device said that what is kept is still so. */
static bool is_valid(const struct read *read, const struct core_resource_result *result)
{
    return read->validates && !result->fault.code && result->response && result->response->code == COAPMSG_CODE(2, 3);
}

static void give_response(const struct read *read, const struct core_resource_result *result,
                          struct cache_answer *answer)
{
    struct cache_stats *stats = &read->device->core->cache->stats;

    answer->fault = result->fault;
    answer->response = result->response;
    answer->status = read->kept ? CACHE_MISS : CACHE_BYPASS;
    answer->fresh_for = result->response ? result->response->max_age : 0;
    if (is_valid(read, result)) { /* the client has asked about another tag, or none */
        (void)fault_set(&answer->fault, FAULT_DEVICE_ANSWER,
                        "Device '%s' confirmed what is not kept any more; ask again.", read->device->id);
        answer->response = NULL;
    }
    stats->misses++;
}

static void read_answered(void *arg, const struct core_resource_result *result)
{
    struct read *read = arg;
    struct cache_entry *entry = read->kept ? cache_find(read->device, read->key) : NULL;
    struct cache_answer answer = {.collapsed = read->shared};

    if (entry && is_valid(read, result))
        show(entry, CACHE_REVALIDATED, &answer);
    else if (entry && is_failure(result) && may_be_stale(entry, &read->control))
        show(entry, CACHE_STALE, &answer);
    else
        give_response(read, result, &answer);
    read->device->core->cache->stats.collapsed += read->shared;
    read->done(read->arg, &answer);
    free(read);
}

/* Lets the device say that nothing has changed. False: there is no tag to ask about. */
static bool add_etag(struct agent_resource *request, const struct cache_entry *entry)
{
    if (!entry || !entry->etag_size || COAPMSG_CLASS(entry->code) != 2)
        return false;
    request->etag = entry->etag;
    request->etag_size = entry->etag_size;
    return true;
}

/* One that is expected within the timeout is waited for. */
static int check_sleep(const struct device *device, uint32_t timeout_ms, struct fault *fault)
{
    int64_t left = core_presence(device).expected - core_wall(device->core);

    return left > 0 && left <= timeout_ms ? 0 : core_check_awake(device, fault);
}

static struct read *read_new(struct device *device, const char *key, const struct cache_control *control)
{
    size_t size = strlen(key) + 1;
    struct read *read = malloc(sizeof *read + size);

    if (!read)
        return NULL;
    *read = (struct read){.device = device, .control = *control};
    memcpy(read->key, key, size);
    return read;
}

int core_get_resource(struct core *core, struct device *device, const struct agent_resource *request,
                      const struct cache_control *control, uint32_t timeout_ms, cache_fn done, void *arg,
                      struct fault *fault)
{
    struct agent_resource resource = *request;
    char key[CACHE_KEY_SIZE];
    struct read *read;
    bool kept;
    int r;

    kept = !control->no_store && cache_make_key(request->path, request->query, request->accept, key);
    if (resource_check_use(core, device, false, fault) || check_sleep(device, timeout_ms, fault))
        return 1;
    read = read_new(device, kept ? key : "", control);
    if (!read)
        return -ENOMEM;
    read->kept = kept;
    read->done = done;
    read->arg = arg;
    if (kept)
        read->validates = add_etag(&resource, cache_find(device, key));
    r = query_resource(device, &resource, kept, timeout_ms, read_answered, read, &read->shared, fault);
    if (r)
        free(read);
    return r;
}

/* What changes it -------------------------------------------------------------------------------------------------- */

/* RFC 7252 section 5.9: errors may be kept too. Those of the server are not: they would replace what was known. */
static bool is_kept(uint8_t code)
{
    return code == COAPMSG_CODE(2, 5) || code == COAPMSG_CODE(4, 4) || code == COAPMSG_CODE(4, 5) ||
           code == COAPMSG_CODE(4, 6);
}

void cache_take(struct device *device, const struct agent_resource *request, const struct agent_response *response)
{
    struct cache_entry *entry;
    char key[CACHE_KEY_SIZE];

    if (!cache_make_key(request->path, request->query, request->accept, key))
        return;
    entry = cache_find(device, key);
    if (is_kept(response->code))
        (void)cache_put(device, key, response);
    else if (response->code == COAPMSG_CODE(2, 3) && entry && entry->etag_size == request->etag_size &&
             memcmp(entry->etag, request->etag, entry->etag_size) == 0)
        refresh(entry, response->max_age);
}

void cache_store(struct device *device, const char *path, const char *query, int accept,
                 const struct agent_response *response)
{
    char key[CACHE_KEY_SIZE];

    if (is_kept(response->code) && cache_make_key(path, query, accept, key))
        (void)cache_put(device, key, response);
}

/* Where the path of a key ends. */
static size_t path_size(const char *path)
{
    size_t n = strcspn(path, "?");

    return n > 1 && path[n - 1] == '/' ? n - 1 : n;
}

/* Whether one of the paths is the other, or above it. */
static bool is_related(const char *a, size_t a_size, const char *b, size_t b_size)
{
    const char *longer = a_size > b_size ? a : b;
    size_t least = a_size < b_size ? a_size : b_size;

    return memcmp(a, b, least) == 0 && (a_size == b_size || least <= 1 || longer[least] == '/');
}

void cache_invalidate(struct device *device, const char *path)
{
    char key[CACHE_KEY_SIZE];
    const char *changed;
    bool all = !device->cache || !path || !cache_make_key(path, NULL, 0, key);

    if (!device->cache)
        return;
    changed = all ? NULL : strchr(key, ' ') + 1;
    for (struct cache_entry *e = device->cache->table; e; e = e->hh.next) {
        const char *own = strchr(e->key, ' ') + 1;

        if (all || is_related(own, path_size(own), changed, path_size(changed)))
            e->outdated = true;
    }
}

/* The first `ct` of the link that the device registered for a path. */
static int linked_format(const struct device *device, const char *path)
{
    const struct registration *registration = core_registration_of(device);
    struct linkformat_link link;
    struct linkformat lf;
    uint32_t format;

    if (!registration)
        return -1;
    lf = linkformat_init(registration->links, strlen(registration->links));
    while (linkformat_next(&lf, &link) == 0)
        if (linkformat_target_is(&link, path) && linkformat_get_uint(&link, "ct", &format) && format <= UINT16_MAX)
            return (int)format;
    return -1;
}

int core_known_format(const struct device *device, const char *path, const char *query)
{
    const struct cache_entry *entry = NULL;
    char key[CACHE_KEY_SIZE];

    if (cache_make_key(path, query, -1, key))
        entry = cache_find(device, key);
    return entry && COAPMSG_CLASS(entry->code) == 2 ? entry->format : linked_format(device, path);
}

/* The room --------------------------------------------------------------------------------------------------------- */

int cache_init(struct core *core)
{
    core->cache = calloc(1, sizeof *core->cache);
    if (!core->cache)
        return -ENOMEM;
    core->cache->core = core;
    core->cache->timer.fire = cache_save_timer;
    list_init(&core->cache->entries);
    return 0;
}

void cache_free(struct core *core)
{
    if (core->cache)
        core_disarm(core, &core->cache->timer);
    free(core->cache);
    core->cache = NULL;
}

void core_get_cache_stats(const struct core *core, struct cache_stats *out)
{
    *out = core->cache->stats;
}
