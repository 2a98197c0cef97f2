#include "core/device_settings.h"
#include "core/service.h"

#include "base/log.h"
#include "core/bodycheck.h"
#include "core/cache.h"
#include "core/event.h"
#include "core/trace.h"

#include <errno.h>
#include <string.h>

#define SEEN_SAVED_MS 60000 /* how old the stored last_seen may become */

struct device *device_new(struct core *core, const char *id)
{
    struct device *device = calloc(1, sizeof *device);

    if (!device)
        return NULL;
    device->core = core;
    (void)text_copy(device->id, sizeof device->id, id);
    list_init(&device->operations);
    list_init(&device->queries);
    list_init(&device->watches);
    device->census.fire = census_fired;
    return device;
}

static struct device *free_device(struct device *device)
{
    struct container *c, *next;

    if (!device)
        return NULL;
    for (c = device->containers; c; c = next) {
        next = c->hh.next;
        container_drop(c);
    }
    cache_forget(device);
    core_trace_end(device);
    core_disarm(device->core, &device->census);
    while (device->credentials)
        credential_drop(device->credentials);
    presence_free(device);
    telemetry_forget_series(device);
    device_set_address(device, "");
    rendering_drop(&device->rendered);
    free(device->shadows);
    sequences_free(device);
    json_decref(device->labels);
    free(device->groups);
    free(device->observe);
    free(device->account);
    free(device);
    return NULL;
}

/* Ends and forgets all operations on it, finished ones too: their rows went with the device's. */
static void drop_operations(struct device *device)
{
    struct operation *op, *next;

    operations_end_cancelled(device, NULL, "The device was removed.");
    for (op = device->core->operations; op; op = next) {
        next = op->hh.next;
        if (strcmp(op->device_id, device->id) == 0)
            operation_drop(device->core, op);
    }
}

void device_drop(struct device *device)
{
    device->removing = true;
    device_cancel_call(device);
    queries_fail(device, NULL, FAULT_NOT_FOUND, "The device was removed.");
    observers_end(device, FAULT_NOT_FOUND, "The device was removed.");
    drop_operations(device);
    directory_drop_device(device);
    if (!device->visitor)
        index_drop_device(device->core, device);
    (void)free_device(device);
}

void device_changed(struct device *device)
{
    rendering_drop(&device->rendered);
}

const struct agent_features *device_features(const struct device *device)
{
    const struct agent_port *port = &device->core->options.agents;

    return port->features(port->arg, device->agent);
}

struct device *core_find_device(const struct core *core, const char *id)
{
    struct device *device = index_find_device(core, id);

    return device && !device->removing ? device : NULL;
}

void device_seen(struct device *device)
{
    device->last_seen = core_wall(device->core);
    if (device->rendered.time_at[0])
        device->rendered.time_stale = true;
    else
        device_changed(device);
    if (!device->last_seen_saved) {
        device_write(device);                                                         /* that it is there at all */
    } else if (llabs(device->last_seen - device->last_seen_saved) >= SEEN_SAVED_MS) { /* also: the clock was set back */
        device->dirty = true;                                                         /* thousands share a commit */
        core_retry_later(device->core);
    }
    presence_note(device, PRESENCE_HEARD);
    request_heard(device);
}

/* Adding ----------------------------------------------------------------------------------------------------------- */

static void settle_add(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    struct store_batch *batch;

    (void)fault;
    if (durable) {
        log_info("device added", "device", commit->device, NULL);
        if (device) {
            device_note_security(device);
            services_wake(device);
            census_due(device, commit->core->options.reconcile.interval_ms);
        }
        return;
    }
    if (device)
        device_drop(device);
    batch = store_batch_new();
    if (!batch)
        return;
    store_batch_delete_device(batch, commit->device); /* changes that were submitted after it may be stored */
    store_submit(commit->core->options.store, batch, NULL, NULL);
}

static int choose_id(struct core *core, const json_t *body, char id[CORE_ID_MAX + 1], struct fault *fault)
{
    const char *wanted = body_text(body, "id");
    const struct device *other;

    if (!wanted)
        (void)text_new_uuid(core_wall(core), id);
    else if (!text_is_name(wanted, CORE_ID_MAX))
        return fault_set_at(fault, FAULT_INVALID_ID, "/id",
                            "A device id has 1 to %d letters, digits and . _ ~ -, and not only dots.", CORE_ID_MAX);
    else
        (void)text_copy(id, CORE_ID_MAX + 1, wanted);
    other = index_find_device(core, id);
    if (other && other->removing)
        return fault_set_at(fault, FAULT_CONFLICT, "/id", "Device '%s' is being removed; repeat in a moment.", id);
    if (other)
        return fault_set_at(fault, FAULT_ALREADY_EXISTS, "/id", "Device '%s' exists already.", id);
    return 0;
}

static int check_new_device(struct core *core, const json_t *body, char id[CORE_ID_MAX + 1], struct device_settings *s,
                            struct fault *fault)
{
    int r;

    if (core_check_accepting(core, fault) || device_settings_check(body, true, fault) ||
        choose_id(core, body, id, fault))
        return 1;
    r = device_settings_read(core, s, body, fault);
    if (r)
        return r;
    if (core_count_devices(core) >= core->options.max_devices)
        return fault_set(fault, FAULT_LIMIT_REACHED,
                         "The gateway holds %u devices, its configured limit (limits.devices).",
                         core->options.max_devices);
    return 0;
}

static void tell_plain(struct commit *commit, const struct device *device, bool before)
{
    if (device->allow_plain != before)
        event_add(commit->core, commit->batch, before ? EVENT_PLAIN_FORBIDDEN : EVENT_PLAIN_ALLOWED, device->id, NULL);
}

static void tell_added(struct commit *commit, const struct device *device, bool approved)
{
    if (approved)
        event_add(commit->core, commit->batch, EVENT_JOIN_APPROVED, device->id, NULL);
    event_add(commit->core, commit->batch, EVENT_DEVICE_ADDED, device->id, "{s:s, s:s, s:s, s:s*}", "name",
              device->name, "address", device->address, "agent", agent_kind_name(device->agent), "groups",
              device->groups);
    tell_plain(commit, device, false);
}

int core_add_device(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                    struct device **added)
{
    return device_add(core, body, false, done, arg, fault, added);
}

int device_add(struct core *core, const json_t *body, bool approved, core_done_fn done, void *arg, struct fault *fault,
               struct device **added)
{
    cleanup(device_settings_clear) struct device_settings s = {.agent = AGENT_UNKNOWN};
    char id[CORE_ID_MAX + 1];
    struct commit *commit;
    struct device *device;
    int r = check_new_device(core, body, id, &s, fault);

    if (r)
        return r;
    device = device_new(core, id);
    if (!device)
        return -ENOMEM;
    if (commit_new(&commit, core, done, arg)) {
        (void)free_device(device);
        return -ENOMEM;
    }
    s.updated = device->created = core_wall(core);
    s.revision = (uint64_t)s.updated; /* so that a device that comes back under its id has another ETag */
    device_settings_give(&s, device);
    index_add_device(core, device);
    (void)text_copy(commit->device, sizeof commit->device, id);
    commit->settle = settle_add;
    batch_put_device(commit->batch, device);
    tell_added(commit, device, approved);
    commit_submit(commit);
    *added = device;
    return 0;
}

/* Changing --------------------------------------------------------------------------------------------------------- */

static void settle_patch(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    struct commit *later = commit_find_later(commit);

    if (durable) {
        if (device) {
            log_info("device changed", "device", commit->device, NULL);
            device_note_security(device);
        }
        return;
    }
    (void)fault;
    if (later) { /* what that one would go back to */
        device_settings_free(later->old);
        later->old = steal_pointer(commit->old);
    } else if (device) {
        device_settings_give(commit->old, device);
        device_write(device);
    }
}

/* Names of the members that differ; none: nothing is told. */
static void tell_changed(struct commit *commit, const struct device *device, const struct device_settings *a,
                         const struct device_settings *b)
{
    const struct {
        const char *name;
        bool differs;
    } members[] = {
        {"name", strcmp(a->name, b->name) != 0},
        {"address", strcmp(a->address, b->address) != 0},
        {"agent", a->agent != b->agent || a->agent_configured != b->agent_configured},
        {"capabilities", memcmp(&a->caps, &b->caps, sizeof a->caps) != 0 || a->caps_configured != b->caps_configured},
        {"groups", strcmp(a->groups, b->groups) != 0},
        {"allow_plain", a->allow_plain != b->allow_plain},
        {"labels", a->labels != b->labels && !json_equal(a->labels, b->labels)},
        {"sleep", a->sleep_s != b->sleep_s || a->awake_ms != b->awake_ms},
    };
    json_t *names = json_array();

    for (size_t i = 0; i < array_size(members); i++)
        if (members[i].differs)
            (void)json_array_append_new(names, json_string(members[i].name));
    if (json_array_size(names))
        event_add(commit->core, commit->batch, EVENT_DEVICE_CHANGED, device->id, "{s:O}", "changed", names);
    json_decref(names);
    tell_plain(commit, device, a->allow_plain);
}

int core_patch_device(struct core *core, struct device *device, const json_t *body, core_done_fn done, void *arg,
                      struct fault *fault)
{
    cleanup(device_settings_clear) struct device_settings s;
    struct device_settings *old;
    struct commit *commit;
    int r;

    device_settings_take(&s, device);
    if (core_check_accepting(core, fault) || device_settings_check(body, false, fault))
        return 1;
    r = device_settings_read(core, &s, body, fault);
    if (r)
        return r;
    old = malloc(sizeof *old);
    if (!old || commit_new(&commit, core, done, arg)) {
        free(old);
        return -ENOMEM;
    }
    device_settings_take(old, device);
    s.revision++;
    s.updated = core_wall(core);
    device_settings_give(&s, device);
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    commit->old = old;
    commit->release = device_settings_free;
    commit->settle = settle_patch;
    batch_put_device(commit->batch, device);
    tell_changed(commit, device, old, &s);
    commit_submit(commit);
    reconcile_changed(device);
    device_pump(device); /* it may count as awake now */
    return 0;
}

/* Removing --------------------------------------------------------------------------------------------------------- */

static void settle_remove(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);

    (void)fault;
    if (!device)
        return;
    if (durable) {
        log_info("device removed", "device", commit->device, NULL);
        device_drop(device);
    } else {
        device->removing = false;
        credentials_show(device, commit->old);
        device_write(device); /* what was held back meanwhile */
        core_retry_later(commit->core);
        device_pump(device);
    }
}

int core_remove_device(struct core *core, struct device *device, core_done_fn done, void *arg, struct fault *fault)
{
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    commit->old = credentials_hide(device, 0, NULL);
    if (!commit->old) {
        commit_free(commit);
        return -ENOMEM;
    }
    device->removing = true; /* nothing new is sent; what waits goes on should the removal fail */
    device_cancel_call(device);
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    commit->settle = settle_remove;
    operations_batch_cancelled(device, NULL, commit->batch);
    store_batch_delete_device(commit->batch, device->id);
    event_add(core, commit->batch, EVENT_DEVICE_REMOVED, device->id, NULL);
    commit_submit(commit);
    return 0;
}

/* Probing ---------------------------------------------------------------------------------------------------------- */

static void apply_cap(struct device *device, uint32_t *field, uint32_t probed, enum device_capability bit)
{
    if (probed && !(device->caps_configured & bit))
        *field = probed;
}

void device_apply_probe(struct device *device, const struct agent_probe *probe)
{
    cleanup(device_settings_clear) struct device_settings before, after;
    char version[sizeof device->agent_version];
    bool changed;

    device_settings_take(&before, device);
    memcpy(version, device->agent_version, sizeof version);
    if (!device->agent_configured)
        device->agent = probe->kind;
    (void)text_copy(device->agent_version, sizeof device->agent_version, probe->version);
    (void)text_copy(device->reported_id, sizeof device->reported_id, probe->reported_id);
    text_repair_utf8(device->agent_version);
    text_repair_utf8(device->reported_id);
    apply_cap(device, &device->caps.pdu_size, probe->caps.pdu_size, DEVICE_CAP_PDU_SIZE);
    apply_cap(device, &device->caps.slots, probe->caps.slots, DEVICE_CAP_SLOTS);
    apply_cap(device, &device->caps.runtimes, probe->caps.runtimes, DEVICE_CAP_RUNTIMES);
    apply_cap(device, &device->caps.package_max, probe->caps.package_max, DEVICE_CAP_PACKAGE_MAX);
    apply_cap(device, &device->caps.memory, probe->caps.memory, DEVICE_CAP_MEMORY);
    device_settings_take(&after, device);
    if (before.agent != after.agent || memcmp(&before.caps, &after.caps, sizeof after.caps) != 0) {
        device->revision++;
        device->updated = core_wall(device->core);
        log_info("device probed", "device", device->id, "agent", agent_kind_name(device->agent), "version",
                 device->agent_version, NULL);
        device->untold |= 1u << EVENT_DEVICE_PROBED;
    }
    if (strcmp(version, device->agent_version) != 0)
        device->untold |= 1u << EVENT_DEVICE_PROBED;
    changed = device->untold & 1u << EVENT_DEVICE_PROBED;
    device_changed(device);
    device_write(device);
    if (changed)
        reconcile_changed(device);
}
