#include "core/directory_private.h"

#include "base/hash.h"
#include "base/log.h"
#include "core/event.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* The directory's entries: where they are found, whose they are, how they end, and what they are after a start. */

#define LEFT_MIN_MS 60000 /* of its lifetime is left to an entry after a start: nobody could update it before */

/* An endpoint's address without its port, with its hints. */
struct directory_host {
    char name[CORE_ADDRESS_MAX + 1];
    unsigned hints;
    UT_hash_handle hh;
};

/* Tables ----------------------------------------------------------------------------------------------------------- */

/* Strangers choose the names that entries are looked up by, so the hash has a key. */
static unsigned keyed_hash(const void *data, size_t size)
{
    static uint64_t key;

    if (!key && getrandom(&key, sizeof key, 0) != (ssize_t)sizeof key)
        key = 1; /* the tables are slower when they are attacked, but work */
    return (unsigned)hash_bytes(key, data, size);
}

#undef HASH_FUNCTION
#define HASH_FUNCTION(key, size, value) ((value) = keyed_hash(key, size))

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

struct directory_entry *entry_find(const struct core *core, uint64_t number)
{
    struct directory_entry *entry = NULL;

    HASH_FIND(by_number, core->directory->by_number, &number, sizeof number, entry);
    return entry;
}

struct directory_entry *entry_find_key(const struct core *core, const char *key)
{
    struct directory_entry *entry = NULL;

    HASH_FIND(by_name, core->directory->by_name, key, strlen(key), entry);
    return entry;
}

static struct directory_host *find_host(const struct core *core, const char *name)
{
    struct directory_host *host = NULL;

    HASH_FIND_STR(core->directory->hosts, name, host);
    return host;
}

static void add_entry(struct directory_entry *entry)
{
    struct directory *directory = entry->core->directory;

    HASH_ADD(by_number, directory->by_number, r.number, sizeof entry->r.number, entry);
    HASH_ADD_KEYPTR(by_name, directory->by_name, entry->key, strlen(entry->key), entry);
}

static void take_entry(struct directory_entry *entry)
{
    struct directory *directory = entry->core->directory;

    HASH_DELETE(by_number, directory->by_number, entry);
    HASH_DELETE(by_name, directory->by_name, entry);
    directory->stats.changes++;
}

static void add_host(struct core *core, struct directory_host *host)
{
    HASH_ADD_STR(core->directory->hosts, name, host);
}

static void drop_host(struct core *core, struct directory_host *host)
{
    HASH_DEL(core->directory->hosts, host);
    free(host);
}

size_t entries_count(const struct core *core)
{
    return HASH_CNT(by_number, core->directory->by_number);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

/* An endpoint is known by its name and its sector; neither holds a line feed. */
void entry_make_key(char key[2 * DIRECTORY_EP_MAX + 2], const char *ep, const char *sector)
{
    (void)snprintf(key, 2 * DIRECTORY_EP_MAX + 2, "%s\n%s", ep, sector);
}

static void host_name(const char *address, char out[CORE_ADDRESS_MAX + 1])
{
    const char *port = strrchr(address, ':');

    (void)text_copy(out, CORE_ADDRESS_MAX + 1, address);
    if (port)
        out[port - address] = 0;
}

bool entry_is_hint(const struct directory_entry *entry)
{
    return !*entry->r.device;
}

struct device *entry_device(const struct directory_entry *entry)
{
    return entry_is_hint(entry) ? NULL : core_find_device(entry->core, entry->r.device);
}

/* Whose it is ------------------------------------------------------------------------------------------------------ */

void entry_leave_host(struct directory_entry *entry)
{
    struct directory_host *host = steal_pointer(entry->host);

    if (!host)
        return;
    entry->core->directory->stats.hints--;
    entry->core->directory->hint_bytes -= entry->links_size;
    if (--host->hints == 0)
        drop_host(entry->core, host);
}

static void leave_device(struct directory_entry *entry)
{
    struct device *device = entry_is_hint(entry) ? NULL : index_find_device(entry->core, entry->r.device);

    if (!device)
        return;
    for (struct directory_entry **at = &device->endpoints; *at; at = &(*at)->next)
        if (*at == entry) {
            *at = entry->next;
            entry->core->directory->stats.bound--;
            break;
        }
    *entry->r.device = 0;
    device_changed(device);
}

static void join_device(struct directory_entry *entry, struct device *device)
{
    (void)text_copy(entry->r.device, sizeof entry->r.device, device->id);
    entry->next = device->endpoints;
    device->endpoints = entry;
    entry->core->directory->stats.bound++;
    device_changed(device);
}

static int join_host(struct directory_entry *entry)
{
    struct core *core = entry->core;
    char name[CORE_ADDRESS_MAX + 1];
    struct directory_host *host;

    host_name(entry->r.address, name);
    host = find_host(core, name);
    if (!host) {
        host = calloc(1, sizeof *host);
        if (!host)
            return -ENOMEM;
        memcpy(host->name, name, sizeof name);
        add_host(core, host);
    }
    host->hints++;
    entry->host = host;
    core->directory->stats.hints++;
    core->directory->hint_bytes += entry->links_size;
    return 0;
}

/* The lifetime and the sleep of a device are those of its entries: the last end, and what it said last. */
void entries_tell_presence(struct device *device)
{
    const struct directory_entry *last = device->endpoints;
    int64_t expires = 0;

    for (const struct directory_entry *entry = last; entry; entry = entry->next)
        if (entry->r.expires > expires)
            expires = entry->r.expires;
    presence_set_lifetime(device, expires);
    if (last)
        presence_set_sleep(device, attributes_get(last->r.attributes, "sleep", SLEEP_MAX_S),
                           attributes_get(last->r.attributes, "awake", AWAKE_MAX_MS));
}

static void free_entry(struct directory_entry *entry)
{
    entry_leave_host(entry);
    core_disarm(entry->core, &entry->timer);
    free(entry->r.links);
    free(entry->r.attributes);
    free(entry);
}

/* Out of everything, freed. */
void entry_drop(struct directory_entry *entry)
{
    take_entry(entry);
    leave_device(entry);
    free_entry(entry);
}

void directory_drop_device(struct device *device)
{
    while (device->endpoints)
        entry_drop(device->endpoints);
}

void entry_batch_end(struct store_batch *batch, const struct directory_entry *entry, const char *reason)
{
    store_batch_delete_registration(batch, entry->r.number);
    event_add(entry->core, batch, EVENT_DEVICE_UNREGISTERED, entry->r.device, "{s:s, s:s}", "ep", entry->r.ep, "reason",
              reason);
}

/* Nobody waits for this. Should the row stay, it is found to be over its time after the next start. */
static void delete_row(const struct directory_entry *entry)
{
    struct commit *commit;

    if (commit_new(&commit, entry->core, NULL, NULL))
        return;
    entry_batch_end(commit->batch, entry, "expired");
    commit_submit(commit);
}

/* Drops it, and says so to the presence of its device when it was the last one. */
void entry_end(struct directory_entry *entry, enum presence_event event)
{
    struct device *device = entry_device(entry);
    bool is_last = device && device->endpoints == entry && !entry->next;

    entry_drop(entry);
    if (is_last && event != PRESENCE_HEARD)
        presence_note(device, event);
    if (device)
        entries_tell_presence(device);
}

static void on_expired(struct timer *timer)
{
    struct directory_entry *entry = container_of(timer, struct directory_entry, timer);

    entry->core->directory->stats.expired++;
    if (!entry_is_hint(entry))
        delete_row(entry);
    entry_end(entry, PRESENCE_EXPIRED);
}

static struct directory_entry *new_entry(struct core *core, const char *ep, const char *sector)
{
    struct directory_entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return NULL;
    entry->core = core;
    entry->timer.fire = on_expired;
    (void)text_copy(entry->r.ep, sizeof entry->r.ep, ep);
    (void)text_copy(entry->r.sector, sizeof entry->r.sector, sector);
    entry_make_key(entry->key, ep, sector);
    return entry;
}

struct directory_entry *entry_add(struct core *core, const char *ep, const char *sector)
{
    struct directory_entry *entry = new_entry(core, ep, sector);

    if (!entry)
        return NULL;
    entry->r.number = ++core->directory->last_number;
    entry->r.registered = core_wall(core);
    add_entry(entry);
    return entry;
}

unsigned entries_hints_at(const struct core *core, const char *address)
{
    char name[CORE_ADDRESS_MAX + 1];
    const struct directory_host *host;

    host_name(address, name);
    host = find_host(core, name);
    return host ? host->hints : 0;
}

bool entry_is_hint_at(const struct directory_entry *entry, const char *address)
{
    char name[CORE_ADDRESS_MAX + 1];

    host_name(address, name);
    return entry->host && strcmp(name, entry->host->name) == 0;
}

/* Puts it where it belongs now. */
int entry_bind(struct directory_entry *entry, struct device *owner, const char *address)
{
    struct device *before = entry_device(entry);

    entry_leave_host(entry);
    leave_device(entry);
    (void)text_copy(entry->r.address, sizeof entry->r.address, address);
    if (before && before != owner)
        entries_tell_presence(before);
    if (!owner)
        return join_host(entry);
    join_device(entry, owner);
    return 0;
}

/* Reading ---------------------------------------------------------------------------------------------------------- */

const struct registration *core_find_registration(const struct core *core, uint64_t number)
{
    const struct directory_entry *entry = entry_find(core, number);

    return entry && !entry->removing ? &entry->r : NULL;
}

const struct registration *core_registration_of(const struct device *device)
{
    return device->endpoints ? &device->endpoints->r : NULL;
}

size_t core_list_registrations(const struct core *core, uint64_t after, const struct registration **out, size_t max)
{
    const struct directory_entry *entry = entry_find(core, after);
    size_t count = 0;

    for (entry = entry ? entry : core->directory->by_number; entry && count < max; entry = entry->by_number.next)
        if (entry->r.number > after && !entry->removing)
            out[count++] = &entry->r;
    return count;
}

void core_get_directory_stats(const struct core *core, struct directory_stats *out)
{
    *out = core->directory->stats;
}

/* The whole -------------------------------------------------------------------------------------------------------- */

int directory_new(struct core *core)
{
    core->directory = calloc(1, sizeof *core->directory);
    if (!core->directory)
        return -ENOMEM;
    list_init(&core->directory->fetches);
    core->directory->last_number =
        (uint64_t)core_wall(core); /* so that a number that was a hint's does not come back */
    return 0;
}

void directory_free(struct core *core)
{
    if (!core->directory)
        return;
    while (core->directory->by_number)
        entry_drop(core->directory->by_number);
    free(steal_pointer(core->directory));
}

/* What is left of its lifetime by the wall clock, which may have been set since; never less than what a device needs to
 * find out that the gateway is there again, never more than a whole lifetime. */
static int64_t time_left(const struct core *core, const struct store_registration *row)
{
    int64_t lifetime = (int64_t)row->lifetime * 1000, left = row->updated + lifetime - core_wall(core);

    if (left < LEFT_MIN_MS)
        left = LEFT_MIN_MS;
    return left < lifetime ? left : lifetime;
}

static bool is_sound(const struct core *core, const struct store_registration *row)
{
    return row->number && row->ep && row->links && row->lifetime && row->device &&
           index_find_device(core, row->device) && strlen(row->ep) <= DIRECTORY_EP_MAX &&
           !entry_find(core, row->number);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

int directory_load(void *arg, const struct store_registration *row)
{
    struct core *core = arg;
    struct directory_entry *entry;

    if (!is_sound(core, row)) {
        log_warning("database row skipped", "kind", "registration", "id", or_empty(row->ep), NULL);
        return 0;
    }
    entry = new_entry(core, row->ep, or_empty(row->sector));
    if (!entry)
        return -ENOMEM;
    entry->r.number = row->number;
    entry->r.lifetime = row->lifetime;
    entry->r.registered = row->registered;
    entry->r.updated = entry->saved = row->updated;
    entry->r.expires = core_now(core) + time_left(core, row);
    entry->r.links = strdup(row->links);
    entry->r.attributes = strdup(or_empty(row->attributes));
    entry->durable = true;
    (void)text_copy(entry->r.base, sizeof entry->r.base, or_empty(row->base));
    if (!entry->r.links || !entry->r.attributes || entry_find_key(core, entry->key)) {
        free_entry(entry);
        return 0;
    }
    entry->links_size = strlen(row->links);
    add_entry(entry);
    (void)entry_bind(entry, index_find_device(core, row->device), or_empty(row->address));
    core_arm(core, &entry->timer, entry->r.expires);
    if (core->directory->last_number < row->number)
        core->directory->last_number = row->number;
    entries_tell_presence(index_find_device(core, row->device));
    return 0;
}
