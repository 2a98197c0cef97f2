#include "core/directory_private.h"

#include "core/event.h"

#include <errno.h>
#include <string.h>

#define HINT_INTERVAL_MS 20     /* hints registered or updated: 50 a second, */
#define HINT_BURST_MS 2000      /* and 100 at once */
#define DEVICE_INTERVAL_MS 1000 /* and of one device: one a second, */
#define DEVICE_BURST_MS 20000   /* and 20 at once */
#define SAVED_MS 60000          /* an update that changes nothing is written when the row is older than this */

/* Writing ---------------------------------------------------------------------------------------------------------- */

static void batch_put(struct store_batch *batch, struct directory_entry *entry)
{
    const struct registration *r = &entry->r;

    entry->saved = r->updated;
    store_batch_put_registration(batch, &(struct store_registration){.number = r->number,
                                                                     .ep = r->ep,
                                                                     .sector = r->sector,
                                                                     .base = r->base,
                                                                     .address = r->address,
                                                                     .device = r->device,
                                                                     .lifetime = r->lifetime,
                                                                     .registered = r->registered,
                                                                     .updated = r->updated,
                                                                     .links = r->links,
                                                                     .attributes = r->attributes});
}

/* What its links tell of the agent, where nobody said and no probe has found out: only v2 names itself, and only v1 has
 * these paths. */
static enum agent_kind guess_agent(const struct registration *r)
{
    struct linkformat lf = linkformat_init(r->links, strlen(r->links));
    struct linkformat_link link;
    bool has_container = false, has_id = false;

    while (linkformat_next(&lf, &link) == 0) {
        if (linkformat_has(&link, "rt", "tinycontainer"))
            return AGENT_V2;
        has_container |= linkformat_target_is(&link, "/container/") || linkformat_target_is(&link, "/container");
        has_id |= linkformat_target_is(&link, "/device-id/") || linkformat_target_is(&link, "/device-id");
    }
    return has_container && has_id ? AGENT_V1 : AGENT_UNKNOWN;
}

static void feed_agent(struct device *device, const struct registration *r)
{
    enum agent_kind kind = guess_agent(r);

    if (device->agent_configured || device->agent != AGENT_UNKNOWN || kind == AGENT_UNKNOWN)
        return;
    device->agent = kind;
    device->revision++;
    device->updated = core_wall(device->core);
    device_changed(device);
    device_write(device);
}

/* Where requests to it go from now on. An authentic message over UDP has told that already; what came through a session
 * came from no address that one could send to, so there its base counts. */
static void feed_address(struct device *device, const struct registration *r, bool is_plain)
{
    const struct agent_port *port = &device->core->options.agents;
    char address[CORE_ADDRESS_MAX + 1];
    bool is_udp = strncmp(r->address, "coap://", 7) == 0;

    if (is_plain && is_udp)
        device_move(device, r->address);
    else if (!is_udp && *r->base && port->parse_address(port->arg, r->base, address, NULL) == 0)
        device_move(device, address);
}

/* A registration or update of its own is durable. */
static void feed_device(struct directory_entry *entry, bool is_plain)
{
    struct device *device = entry_device(entry);

    if (!device || (is_plain && !keyring_allows_plain(device)))
        return;
    feed_address(device, &entry->r, is_plain);
    feed_agent(device, &entry->r);
    if (is_plain)
        device_seen(device);
    entries_tell_presence(device);
    presence_note(device, PRESENCE_REGISTERED);
}

static void settle(struct commit *commit, bool durable, struct fault *fault)
{
    struct directory_entry *entry = entry_find(commit->core, commit->number);

    (void)fault;
    if (!entry)
        return;
    entry->writes--;
    if (durable) {
        entry->durable = true;
        feed_device(entry, commit->value);
    } else if (!entry->durable && !entry->writes) {
        entry_drop(entry);
    } else {
        entry->saved = 0; /* written with the next update, whatever that changes */
    }
}

/* Hints have no rows, but are answered as the others are. */
static void submit(struct commit *commit, struct directory_entry *entry, bool is_plain, bool must_write)
{
    commit->number = entry->r.number;
    commit->value = is_plain;
    commit->settle = settle;
    entry->writes++;
    if (!entry_is_hint(entry) && (must_write || llabs(entry->r.updated - entry->saved) >= SAVED_MS))
        batch_put(commit->batch, entry);
    commit_submit(commit);
}

/* Registering ------------------------------------------------------------------------------------------------------ */

static int refuse_name(struct fault *fault, const char *ep)
{
    return fault_set(fault, FAULT_FORBIDDEN, "The endpoint name %.63s belongs to another device.", ep);
}

static bool has_credentials(const struct device *device)
{
    return keyring_of_device(device) || device->credentials_lost;
}

static int find_plain_owner(struct core *core, const char *address, const char *ep, struct device *holder,
                            struct device **owner, struct fault *fault)
{
    struct device *named = core_find_device(core, ep), *device = holder ? holder : named;

    if ((named && has_credentials(named)) || (holder && !keyring_allows_plain(holder)))
        return fault_set(fault, FAULT_FORBIDDEN, "The endpoint %.63s is a device that has to prove who it is.", ep);
    if (!device)
        device = keyring_find_plain(core, address);
    if (named && device != named)
        return refuse_name(fault, ep);
    *owner = device && keyring_allows_plain(device) ? device : NULL;
    return 0;
}

/* The device that an entry of this name would be bound to; NULL: it is a hint. FAULT_FORBIDDEN */
static int find_owner(struct core *core, const struct directory_source *source, const char *ep,
                      const struct directory_entry *present, struct device **owner, struct fault *fault)
{
    struct device *named = core_find_device(core, ep), *holder = present ? entry_device(present) : NULL;

    *owner = source->device;
    if (!source->device)
        return find_plain_owner(core, source->address, ep, holder, owner, fault);
    if (named == source->device) /* its own name is its own, whoever had it */
        return 0;
    return named || (holder && holder != source->device) ? refuse_name(fault, ep) : 0;
}

/* *at: when the bucket will be full (monotonic ms). */
static bool take_token(int64_t *at, int64_t now, int64_t interval, int64_t burst)
{
    if (*at < now)
        *at = now;
    if (*at - now > burst)
        return false;
    *at += interval;
    return true;
}

/* Whether there is room for a hint from this address, which may be there already. */
static int check_hint(struct core *core, const struct directory_source *source, const struct directory_entry *present,
                      size_t links_size, struct fault *fault)
{
    struct directory *directory = core->directory;
    uint32_t max = core->options.max_registrations_per_address;
    size_t before = present && present->host ? present->links_size : 0;

    if (!take_token(&directory->tokens_at, core_now(core), HINT_INTERVAL_MS, HINT_BURST_MS))
        return fault_set(fault, FAULT_RATE_LIMITED, "Too many endpoints register without protection.");
    if (entries_hints_at(core, source->address) >= max && !(present && entry_is_hint_at(present, source->address)))
        return fault_set(fault, FAULT_LIMIT_REACHED,
                         "%u endpoints of that address are registered without protection "
                         "(directory.max_per_address).",
                         max);
    if (directory->hint_bytes - before + links_size > DIRECTORY_HINT_BYTES)
        return fault_set(fault, FAULT_LIMIT_REACHED, "The links of unprotected registrations take too much memory.");
    return 0;
}

static struct directory_entry *find_oldest_hint(const struct core *core)
{
    struct directory_entry *entry = core->directory->by_number;

    while (entry && !entry_is_hint(entry))
        entry = entry->by_number.next;
    return entry;
}

static int check_room(struct core *core, const struct device *owner, struct fault *fault)
{
    struct directory_entry *hint = owner ? find_oldest_hint(core) : NULL;

    if (entries_count(core) < core->options.max_registrations)
        return 0;
    if (!hint)
        return fault_set(fault, FAULT_LIMIT_REACHED, "%u endpoints are registered (directory.max_registrations).",
                         core->options.max_registrations);
    entry_drop(hint);
    return 0;
}

/* Each is an entry of the journal with all links: without a limit one device, or who speaks for one that needs no
 * protection, would push out what was not relayed yet. */
static int check_device(struct device *owner, const struct directory_entry *present, struct fault *fault)
{
    unsigned count = 0;

    for (const struct directory_entry *entry = owner->endpoints; entry; entry = entry->next)
        count += entry != present;
    if (count < DIRECTORY_PER_DEVICE &&
        take_token(&owner->registering_at, core_now(owner->core), DEVICE_INTERVAL_MS, DEVICE_BURST_MS))
        return 0;
    if (count < DIRECTORY_PER_DEVICE)
        return fault_set(fault, FAULT_RATE_LIMITED, "Device '%s' registers more often than once a second.", owner->id);
    return fault_set(fault, FAULT_LIMIT_REACHED, "Device '%s' has registered %d endpoints, which is the limit.",
                     owner->id, DIRECTORY_PER_DEVICE);
}

static void renew(struct directory_entry *entry)
{
    struct core *core = entry->core;

    entry->removing = false;
    entry->r.updated = core_wall(core);
    entry->r.expires = core_now(core) + (int64_t)entry->r.lifetime * 1000;
    core_arm(core, &entry->timer, entry->r.expires);
}

static void replace(char **text, char *fresh)
{
    free(*text);
    *text = fresh;
}

/* What of a registration is taken from the heap before anything changes. */
struct fresh {
    char *links, *attributes;
    struct commit *commit;
};

static int fresh_new(struct fresh *fresh, struct core *core, const char *links, size_t links_size,
                     const char *attributes, core_done_fn done, void *arg)
{
    *fresh = (struct fresh){.links = strndup(links_size ? links : "", links_size), .attributes = strdup(attributes)};
    if (fresh->links && fresh->attributes && commit_new(&fresh->commit, core, done, arg) == 0)
        return 0;
    free(fresh->links);
    free(fresh->attributes);
    return -ENOMEM;
}

static void enter(struct directory_entry *entry, const struct registration_query *q, struct fresh *fresh,
                  size_t links_size)
{
    memcpy(entry->r.base, q->base, sizeof q->base);
    entry->r.lifetime = q->lifetime;
    replace(&entry->r.links, fresh->links);
    replace(&entry->r.attributes, fresh->attributes);
    entry->links_size = links_size;
}

static struct directory_entry *find_or_add(struct core *core, const struct registration_query *q, bool *created)
{
    struct directory_entry *entry;
    char key[2 * DIRECTORY_EP_MAX + 2];

    entry_make_key(key, q->ep, q->sector);
    entry = entry_find_key(core, key);
    *created = !entry;
    if (entry)
        return entry;
    return entry_add(core, q->ep, q->sector);
}

static void tell_registered(struct core *core, struct store_batch *batch, const struct directory_entry *entry)
{
    const struct registration *r = &entry->r;

    if (!entry_is_hint(entry))
        event_add(core, batch, EVENT_DEVICE_REGISTERED, r->device, "{s:s, s:s, s:s, s:I}", "ep", r->ep, "address",
                  r->address, "links", r->links, "lifetime_s", (json_int_t)r->lifetime);
}

static int store_registration(struct core *core, const struct directory_source *source,
                              const struct registration_query *q, struct device *owner, struct fresh *fresh,
                              uint64_t *number, bool *created)
{
    struct directory_entry *entry = find_or_add(core, q, created);
    size_t links_size = strlen(fresh->links);

    if (!entry) {
        free(fresh->links);
        free(fresh->attributes);
        commit_free(fresh->commit);
        return -ENOMEM;
    }
    entry_leave_host(entry); /* which counts the size of the links before */
    enter(entry, q, fresh, links_size);
    (void)entry_bind(entry, owner, source->address); /* without memory it is counted by no address */
    renew(entry);
    core->directory->stats.registered++;
    core->directory->stats.changes++;
    *number = entry->r.number;
    tell_registered(core, fresh->commit->batch, entry);
    submit(fresh->commit, entry, !source->device, true);
    return 0;
}

static int check_registration(struct core *core, const struct directory_source *source, struct registration_query *q,
                              size_t links_size, struct device **owner, struct fault *fault)
{
    const struct directory_entry *present;
    char key[2 * DIRECTORY_EP_MAX + 2];

    if (!q->has_ep && !source->device)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The parameter ep, the endpoint's name, is missing.");
    if (!q->has_ep)
        (void)text_copy(q->ep, sizeof q->ep, source->device->id);
    entry_make_key(key, q->ep, q->sector);
    present = entry_find_key(core, key);
    if (find_owner(core, source, q->ep, present, owner, fault) ||
        (*owner ? check_device(*owner, present, fault) : check_hint(core, source, present, links_size, fault)))
        return 1;
    return present ? 0 : check_room(core, *owner, fault);
}

/* NOLINTNEXTLINE(readability-function-size): what a request consists of */
int core_register_endpoint(struct core *core, const struct directory_source *source, const char *query,
                           const char *links, size_t links_size, core_done_fn done, void *arg, struct fault *fault,
                           uint64_t *number, bool *created)
{
    struct registration_query q;
    struct device *owner = NULL;
    struct fresh fresh;

    if (core_check_accepting(core, fault) || registration_query_read(&q, query, fault) ||
        directory_check_links(links, links_size, fault))
        return 1;
    if (check_registration(core, source, &q, links_size, &owner, fault)) {
        core->directory->stats.hints_refused += !source->device;
        return 1;
    }
    if (fresh_new(&fresh, core, links, links_size, q.attributes, done, arg))
        return -ENOMEM;
    if (owner) /* it was started anew, or has other resources */
        device_restarted(owner);
    return store_registration(core, source, &q, owner, &fresh, number, created);
}

/* Updating and removing -------------------------------------------------------------------------------------------- */

/* Whether an entry is the one's who speaks; a hint is that of its address. */
static bool is_from(const struct directory_entry *entry, const struct directory_source *source)
{
    const struct device *device = entry_device(entry);

    if (device)
        return source->device ? source->device == device : keyring_allows_plain(device);
    return !source->device && entry_is_hint_at(entry, source->address);
}

static int find_mine(struct core *core, const struct directory_source *source, uint64_t number,
                     struct directory_entry **out, struct fault *fault)
{
    *out = entry_find(core, number);
    if (core_check_accepting(core, fault))
        return 1;
    if (!*out || (*out)->removing)
        return fault_set(fault, FAULT_NOT_FOUND, "There is no such registration.");
    return is_from(*out, source) ? 0 : fault_set(fault, FAULT_FORBIDDEN, "The registration is another endpoint's.");
}

static int check_update(struct core *core, const struct directory_source *source, const struct directory_entry *entry,
                        const struct registration_query *q, struct device **owner, struct fault *fault)
{
    if (q->has_ep || q->has_sector)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "An update cannot change ep or d: register anew.");
    if (find_owner(core, source, entry->r.ep, entry, owner, fault))
        return 1;
    return *owner ? check_device(*owner, entry, fault) : check_hint(core, source, entry, entry->links_size, fault);
}

/* Takes over what an update says. Returns whether that is more than that it is still there. */
static bool apply_update(struct directory_entry *entry, const struct registration_query *q, struct device *owner,
                         const char *address, char *attributes)
{
    bool changes = q->has_base || q->has_lifetime || *q->attributes || strcmp(entry->r.address, address) != 0 ||
                   entry_is_hint(entry) == (owner != NULL) || !entry->saved;

    if (q->has_base)
        memcpy(entry->r.base, q->base, sizeof q->base);
    if (q->has_lifetime)
        entry->r.lifetime = q->lifetime;
    entry->core->directory->stats.changes += changes;
    replace(&entry->r.attributes, attributes);
    (void)entry_bind(entry, owner, address);
    renew(entry);
    return changes;
}

int core_update_registration(struct core *core, const struct directory_source *source, uint64_t number,
                             const char *query, core_done_fn done, void *arg, struct fault *fault)
{
    struct registration_query q;
    struct directory_entry *entry;
    char merged[DIRECTORY_ATTRIBUTES_MAX + 1], *attributes;
    struct device *owner = NULL;
    struct commit *commit;

    if (find_mine(core, source, number, &entry, fault) || registration_query_read(&q, query, fault) ||
        check_update(core, source, entry, &q, &owner, fault))
        return 1;
    if (!attributes_merge(merged, entry->r.attributes, q.attributes))
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The further parameters take more than %d bytes.",
                         DIRECTORY_ATTRIBUTES_MAX);
    attributes = strdup(merged);
    if (!attributes || commit_new(&commit, core, done, arg)) {
        free(attributes);
        return -ENOMEM;
    }
    core->directory->stats.updated++;
    submit(commit, entry, !source->device, apply_update(entry, &q, owner, source->address, attributes));
    return 0;
}

static void settle_removal(struct commit *commit, bool durable, struct fault *fault)
{
    struct directory_entry *entry = entry_find(commit->core, commit->number);

    (void)fault;
    if (!entry || !entry->removing) /* or registered anew meanwhile */
        return;
    entry->removing = false;
    if (durable)
        entry_end(entry, (enum presence_event)commit->value);
}

static int remove_entry(struct directory_entry *entry, enum presence_event event, core_done_fn done, void *arg)
{
    struct commit *commit;

    if (commit_new(&commit, entry->core, done, arg))
        return -ENOMEM;
    entry->removing = true;
    entry->core->directory->stats.removed++;
    entry->core->directory->stats.changes++;
    commit->number = entry->r.number;
    commit->value = event;
    commit->settle = settle_removal;
    if (!entry_is_hint(entry))
        entry_batch_end(commit->batch, entry, event == PRESENCE_LEFT ? "removed by the device" : "removed");
    commit_submit(commit);
    return 0;
}

int core_remove_registration(struct core *core, const struct directory_source *source, uint64_t number,
                             core_done_fn done, void *arg, struct fault *fault)
{
    struct directory_entry *entry;

    return find_mine(core, source, number, &entry, fault) ? 1 : remove_entry(entry, PRESENCE_LEFT, done, arg);
}

int core_forget_registration(struct core *core, uint64_t number, core_done_fn done, void *arg, struct fault *fault)
{
    struct directory_entry *entry = entry_find(core, number);

    if (core_check_accepting(core, fault))
        return 1;
    if (!entry || entry->removing)
        return fault_set(fault, FAULT_NOT_FOUND, "There is no registration %llu.", (unsigned long long)number);
    return remove_entry(entry, PRESENCE_HEARD, done, arg); /* says nothing of its presence */
}
