#include "agent/device.h"

#include "base/log.h"
#include "codec/token.h"

#include <errno.h>
#include <string.h>

#define SEED_STEP 0x9e3779b97f4a7c15u
#define START_STEPS 2 /* start(), and loop() when it is due at once */

static int64_t now(const struct device *d)
{
    return clock_monotonic_ms(d->clock);
}

static void set_id(struct device *d, unsigned index)
{
    const char *id = d->options->id ? d->options->id : "";
    int n;

    if (!*id)
        return;
    if (index)
        n = snprintf((char *)d->id, sizeof d->id, "%s-%u", id, index);
    else
        n = snprintf((char *)d->id, sizeof d->id, "%s", id);
    d->id_size = (size_t)n < sizeof d->id ? (size_t)n : sizeof d->id - 1;
}

int device_init(struct device *d, const struct device_options *options, unsigned index, const struct clock *clock,
                const struct journal *journal)
{
    *d = (struct device){.options = options, .clock = clock, .journal = journal, .bugs = options->bugs};
    d->boots = 1;
    d->booted_ms = now(d);
    set_id(d, index);
    d->seed = options->seed + index;
    d->random = ((uint64_t)d->seed + 1) * SEED_STEP;
    d->board = board_new(clock, d->seed);
    if (d->board && options->runtimes)
        board_set_runtimes(d->board, options->runtimes);
    d->slots = calloc(options->slots, sizeof *d->slots);
    return d->board && d->slots ? 0 : -ENOMEM;
}

static void empty_slot(struct device *d, struct slot *slot)
{
    if (!slot->container)
        return;
    d->generation += device_slot_revision(slot) + 1;
    slot->container = container_free(slot->container);
    *slot = (struct slot){0};
    while (d->slots_used && !d->slots[d->slots_used - 1].container)
        d->slots_used--;
}

static void empty_all(struct device *d)
{
    while (d->slots_used)
        empty_slot(d, &d->slots[d->slots_used - 1]);
}

void device_clear(struct device *d)
{
    empty_all(d);
    free(d->slots);
    d->slots = NULL;
    d->board = board_free(d->board);
}

/* A xorshift generator; its high half is the better one. */
uint32_t device_random(struct device *d)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return (uint32_t)(d->random >> 32);
}

bool device_write_flash(struct device *d)
{
    return !d->options->flash_fail_rate || device_random(d) % 100 >= d->options->flash_fail_rate;
}

static void reboot_all(struct device *d)
{
    for (size_t i = 0; i < d->slots_used; i++)
        if (d->slots[i].container) {
            container_reboot(d->slots[i].container);
            d->slots[i].alive_until_ms = 0;
            d->slots[i].was_started = false;
        }
}

void device_restart(struct device *d, bool keep)
{
    if (keep)
        reboot_all(d);
    else
        empty_all(d);
    if (d->options->kind == DEVICE_V1)
        d->id_size = 0;
    d->boots++;
    d->booted_ms = now(d);
    d->crashed = false;
    device_note(d, NULL, (struct journal_entry){.event = "restart", .message_id = -1});
}

struct slot *device_find(struct device *d, const void *uid, size_t size)
{
    for (size_t i = 0; i < d->slots_used; i++) {
        const struct metadata *md;

        if (!d->slots[i].container)
            continue;
        md = container_metadata(d->slots[i].container);
        if (md->uid_length == size && memcmp(md->uid, uid, size) == 0)
            return &d->slots[i];
    }
    return NULL;
}

struct slot *device_free_slot(struct device *d)
{
    for (size_t i = 0; i < d->slots_used; i++)
        if (!d->slots[i].container)
            return &d->slots[i];
    return d->slots_used < d->options->slots ? &d->slots[d->slots_used] : NULL;
}

unsigned device_count_free(const struct device *d)
{
    unsigned count = d->options->slots - (unsigned)d->slots_used;

    for (size_t i = 0; i < d->slots_used; i++)
        count += d->slots[i].container == NULL;
    return count;
}

size_t device_room(const struct device *d, const struct slot *slot)
{
    size_t room = d->options->memory ? d->options->memory : d->options->package_max * d->options->slots, used = 0;

    for (size_t i = 0; i < d->slots_used; i++)
        if (&d->slots[i] != slot)
            used += d->slots[i].package_size;
    return used < room ? room - used : 0;
}

/* What a package leaves is for the memories of those that run. Returns 0, or a condition of device_install. */
static int take_memory(struct device *d, const struct slot *slot, const struct verify_parts *parts, char *reason,
                       size_t reason_size)
{
    size_t size = parts->metadata_size + parts->data_size + parts->code_size, room = device_room(d, slot);

    if (!d->options->memory)
        return 0;
    if (size > room) {
        (void)snprintf(reason, reason_size, "it has %zu bytes, and %zu are free", size, room);
        return 1;
    }
    board_set_memory(d->board, room - size);
    return 0;
}

int device_install(struct device *d, struct slot *slot, const struct metadata *md, const struct verify_parts *parts,
                   enum container_check check, char *reason, size_t reason_size)
{
    struct container *container;
    uint32_t base = slot->container ? device_slot_revision(slot) + 1 : 0;
    const struct runtime_program program = {parts->code, parts->code_size, parts->data, parts->data_size};
    int r = take_memory(d, slot, parts, reason, reason_size);

    if (!r)
        r = container_new(&container, md, &program, check, d->board, d->clock, reason, reason_size);
    if (r)
        return r;
    if (!device_write_flash(d)) {
        (void)container_free(container);
        (void)snprintf(reason, reason_size, "the flash could not be written");
        return -EIO;
    }
    device_stop(d, slot);
    slot->container = container_free(slot->container);
    if ((size_t)(slot - d->slots) == d->slots_used)
        d->slots_used++;
    *slot = (struct slot){.container = container, .revision_base = base, .loaded = ++d->loads};
    token_digest(parts->code, parts->code_size, NULL, 0, slot->code_digest);
    slot->package_size = parts->metadata_size + parts->data_size + parts->code_size;
    d->generation++;
    d->counters.installs++;
    return 0;
}

static void note_state(const struct device *d, struct slot *slot)
{
    enum container_state state = container_state(slot->container);

    if (state == slot->seen)
        return;
    slot->seen = state;
    device_note(d, slot,
                (struct journal_entry){.event = "state", .message_id = -1, .detail = container_state_name(state)});
}

void device_start(struct device *d, struct slot *slot)
{
    bool first = !slot->was_started;

    if (device_state(d, slot) == CONTAINER_RUNNING)
        return;
    slot->was_started = true;
    slot->alive_until_ms = 0;
    if (first || !d->bugs.ended_not_restartable) {
        container_start(slot->container);
        for (int i = 0; i < START_STEPS && container_deadline(slot->container) <= now(d); i++)
            container_tick(slot->container);
        note_state(d, slot);
    }
    if (d->bugs.start_dies || (d->options->kind == DEVICE_V1 && container_state(slot->container) != CONTAINER_RUNNING))
        slot->alive_until_ms = now(d) + DEVICE_DEATH_MS;
    d->counters.starts += device_state(d, slot) == CONTAINER_RUNNING;
}

void device_stop(struct device *d, struct slot *slot)
{
    if (!slot->container || device_state(d, slot) != CONTAINER_RUNNING)
        return;
    slot->alive_until_ms = 0;
    container_stop(slot->container);
    note_state(d, slot);
    d->counters.stops++;
}

void device_remove(struct device *d, struct slot *slot)
{
    device_stop(d, slot);
    empty_slot(d, slot);
    if (d->options->memory)
        board_set_memory(d->board, device_room(d, NULL));
    d->counters.removes++;
}

enum container_state device_state(const struct device *d, const struct slot *slot)
{
    return slot->alive_until_ms && now(d) < slot->alive_until_ms ? CONTAINER_RUNNING : container_state(slot->container);
}

uint32_t device_slot_revision(const struct slot *slot)
{
    return slot->revision_base + container_revision(slot->container);
}

uint32_t device_revision(const struct device *d)
{
    uint32_t revision = d->generation;

    for (size_t i = 0; i < d->slots_used; i++)
        if (d->slots[i].container)
            revision += device_slot_revision(&d->slots[i]);
    return revision;
}

void device_damage(struct device *d, bool crash, const char *why, uint16_t message_id)
{
    struct slot *last = NULL;

    d->counters.damaged++;
    log_error("a request damaged the agent, as it would damage the public one", "device", d->name, "error", why, NULL);
    device_note(d, NULL, (struct journal_entry){.event = "damaged", .message_id = message_id, .detail = why});
    d->crashed = crash;
    for (size_t i = 0; i < d->slots_used; i++)
        if (d->slots[i].container && (!last || d->slots[i].loaded > last->loaded))
            last = &d->slots[i];
    if (last && !crash)
        empty_slot(d, last);
}

void device_note(const struct device *d, const struct slot *slot, struct journal_entry entry)
{
    entry.device = d->name;
    if (slot && slot->container) {
        entry.uid = container_metadata(slot->container)->uid;
        entry.uid_size = container_metadata(slot->container)->uid_length;
        entry.digest = slot->code_digest;
    }
    journal_write(d->journal, &entry);
}

static void tick_slot(struct device *d, struct slot *slot)
{
    if (slot->alive_until_ms && now(d) >= slot->alive_until_ms) {
        slot->alive_until_ms = 0;
        container_stop(slot->container);
    }
    if (container_deadline(slot->container) <= now(d))
        container_tick(slot->container);
    note_state(d, slot);
}

void device_tick(struct device *d)
{
    for (size_t i = 0; !d->crashed && i < d->slots_used; i++)
        if (d->slots[i].container)
            tick_slot(d, &d->slots[i]);
}

int64_t device_deadline(const struct device *d)
{
    int64_t deadline = CONTAINER_NO_DEADLINE, at;

    for (size_t i = 0; !d->crashed && i < d->slots_used; i++) {
        if (!d->slots[i].container)
            continue;
        at = container_deadline(d->slots[i].container);
        if (d->slots[i].alive_until_ms && d->slots[i].alive_until_ms < at)
            at = d->slots[i].alive_until_ms;
        if (at < deadline)
            deadline = at;
    }
    return deadline;
}
