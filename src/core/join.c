#include "core/event.h"
#include "core/internal.h"

#include "base/log.h"
#include "core/bodycheck.h"

#include <errno.h>
#include <string.h>

/* Agents without credentials that ask to join, while the window is open. Nothing of this is kept over a restart. */

struct pending {
    char id[CORE_ID_MAX + 1];
    char address[CORE_ADDRESS_MAX + 1];
    int64_t first_seen, last_seen; /* wall ms */
    bool rejected;                 /* hidden, and not heard until the window is opened again */
    UT_hash_handle hh;
};

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

static struct pending *find(const struct core *core, const char *id)
{
    struct pending *pending = NULL;

    HASH_FIND_STR(core->pending, id, pending);
    return pending;
}

static void add(struct core *core, struct pending *pending)
{
    HASH_ADD_STR(core->pending, id, pending);
}

static void drop(struct core *core, struct pending *pending)
{
    HASH_DEL(core->pending, pending);
    free(pending);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

static void drop_all(struct core *core, bool rejected_only)
{
    struct pending *pending, *next;

    for (pending = core->pending; pending; pending = next) {
        next = pending->hh.next;
        if (pending->rejected || !rejected_only)
            drop(core, pending);
    }
}

void join_free(struct core *core)
{
    drop_all(core, false);
}

static bool is_open(const struct core *core)
{
    return core_now(core) < core->join_until && !core->stopped;
}

void core_open_join(struct core *core, uint32_t seconds)
{
    char text[16];

    core->join_until = seconds ? core_now(core) + (int64_t)seconds * 1000 : INT64_MIN;
    core->join_closes_at = core_wall(core) + (int64_t)seconds * 1000;
    if (!seconds) {
        log_info("join window closed", NULL);
        event_note(core, EVENT_JOIN_CLOSED, NULL, NULL);
        return;
    }
    drop_all(core, true);
    (void)snprintf(text, sizeof text, "%u", seconds);
    log_info("join window opened", "seconds", text, NULL);
    event_note(core, EVENT_JOIN_OPENED, NULL, "{s:I, s:o}", "seconds", (json_int_t)seconds, "closes_at",
               json_time(core->join_closes_at));
}

static int check_note(const struct core *core, const char *id, struct fault *fault)
{
    const struct device *device = index_find_device(core, id);
    const struct pending *known = find(core, id);

    if (!is_open(core) || (known && known->rejected))
        return fault_set(fault, FAULT_JOIN_CLOSED, "The gateway does not take new devices now.");
    if (!text_is_name(id, CORE_ID_MAX))
        return fault_set(fault, FAULT_INVALID_ID,
                         "A device id has 1 to %d letters, digits and . _ ~ -, and not only "
                         "dots.",
                         CORE_ID_MAX);
    if (device && device->credentials)
        return fault_set(fault, FAULT_ALREADY_EXISTS, "A device '%s' has credentials already.", id);
    if (!device && !known && HASH_COUNT(core->pending) >= core->options.max_pending)
        return fault_set(fault, FAULT_LIMIT_REACHED, "%u agents wait already (limits.pending).",
                         core->options.max_pending);
    return 0;
}

/* Who sends this proves nothing: it changes no device, and the first address that an id was seen at stays. */
int keyring_note_pending(struct core *core, const char *id, const char *address, struct fault *fault)
{
    struct pending *pending;

    if (check_note(core, id, fault))
        return 1;
    if (index_find_device(core, id))
        return 0;
    pending = find(core, id);
    if (!pending) {
        pending = calloc(1, sizeof *pending);
        if (!pending)
            return fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory.");
        (void)text_copy(pending->id, sizeof pending->id, id);
        (void)text_copy(pending->address, sizeof pending->address, address);
        pending->first_seen = core_wall(core);
        add(core, pending);
        log_info("agent asks to join", "device", id, "address", address, NULL);
        event_note(core, EVENT_JOIN_PENDING, id, "{s:s}", "address", address);
    }
    if (strcmp(pending->address, address) == 0)
        pending->last_seen = core_wall(core);
    return 0;
}

static bool is_listed(const struct core *core, const struct pending *pending)
{
    return pending && !pending->rejected && !index_find_device(core, pending->id);
}

json_t *core_join_json(const struct core *core)
{
    json_t *list = json_array();

    for (const struct pending *p = core->pending; p; p = p->hh.next)
        if (is_listed(core, p))
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "id", p->id, "address", p->address,
                                                        "first_seen_at", json_time(p->first_seen), "last_seen_at",
                                                        json_time(p->last_seen)));
    return json_pack("{s:b, s:o, s:o}", "open", is_open(core), "closes_at",
                     is_open(core) ? json_time(core->join_closes_at) : json_null(), "pending", list);
}

static int find_listed(const struct core *core, const char *id, struct pending **out, struct fault *fault)
{
    *out = find(core, id);
    if (is_listed(core, *out))
        return 0;
    return fault_set(fault, FAULT_NOT_FOUND, "No agent '%s' asks to join.", id);
}

int core_approve_pending(struct core *core, const char *id, const json_t *body, core_done_fn done, void *arg,
                         struct fault *fault, struct device **added)
{
    static const struct body_rule rules[] = {
        {"name", BODY_TEXT, false, true, 0, CORE_NAME_MAX, NULL},
        {"groups", BODY_ARRAY, false, true, 0, CORE_GROUPS_MAX, NULL},
        {"allow_plain", BODY_BOOL, false, true, 0, 0, NULL},
    };
    struct pending *pending;
    json_t *device;
    int r;

    if (find_listed(core, id, &pending, fault) || body_check(body, "", rules, array_size(rules), fault))
        return 1;
    device = json_copy((json_t *)(uintptr_t)body);
    if (!device)
        return -ENOMEM;
    (void)json_object_set_new(device, "id", json_string(pending->id));
    (void)json_object_set_new(device, "address", json_string(pending->address));
    r = device_add(core, device, true, done, arg, fault, added);
    json_decref(device);
    if (r == 0) /* it stays in the table, not listed: should the commit fail, it is listed again */
        log_info("agent approved", "device", id, NULL);
    return r;
}

int core_reject_pending(struct core *core, const char *id, struct fault *fault)
{
    struct pending *pending;

    if (find_listed(core, id, &pending, fault))
        return 1;
    pending->rejected = true;
    event_note(core, EVENT_JOIN_REJECTED, id, NULL);
    log_info("agent rejected", "device", id, NULL);
    return 0;
}
