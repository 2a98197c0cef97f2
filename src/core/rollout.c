#include "core/rollout_private.h"

#include "base/log.h"
#include "core/event.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/*
 * The machine of a rollout: one timer, one function (step) that looks at the devices that are under way, decides what
 * has become of the wave, and begins with the next devices. Everything that it changes goes into one commit.
 */

#define SOON_MS 20          /* wakes within it are one */
#define LOOK_MS 1000        /* between looks at what only time changes */
#define WINDOW_MS 10000     /* between looks at the clock on the wall */
#define RESCAN_MS 10000     /* of dynamic membership */
#define STARTS_PER_STEP 64  /* devices that one step begins with */
#define GRACE_MS 60000      /* that a device has after a start of the gateway */
#define SKIPS_PER_STEP 1024 /* devices whose link is full that one step passes over */

const char *rollout_state_name(enum rollout_state state)
{
    static const char *const names[] = {"running", "paused",       "succeeded",  "failed",
                                        "aborted", "rolling-back", "rolled-back"};

    return names[state];
}

bool rollout_is_unfinished(const struct rollout *r)
{
    return r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_PAUSED || r->state == ROLLOUT_ROLLING_BACK;
}

/* Tables ----------------------------------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-function-size,bugprone-*,clang-analyzer-*) */

struct rollout *rollout_find(const struct core *core, const char *id)
{
    struct rollout *rollout = NULL;

    HASH_FIND_STR(core->rollouts, id, rollout);
    return rollout;
}

struct member *rollout_member(const struct rollout *rollout, const char *device)
{
    struct member *member = NULL;

    HASH_FIND_STR(rollout->members, device, member);
    return member;
}

static void add(struct core *core, struct rollout *rollout)
{
    HASH_ADD_STR(core->rollouts, id, rollout);
}

static void add_member(struct rollout *rollout, struct member *member)
{
    HASH_ADD_STR(rollout->members, device, member);
}

static struct member *take_member(struct rollout *rollout)
{
    struct member *member = rollout->members;

    if (member)
        HASH_DEL(rollout->members, member);
    return member;
}

static void take_out(struct core *core, struct rollout *rollout)
{
    HASH_DEL(core->rollouts, rollout);
}

/* NOLINTEND(readability-function-size,bugprone-*,clang-analyzer-*) */

static void step(struct timer *timer);

struct rollout *rollout_new(struct core *core, const char *id, struct rollout_spec *spec)
{
    struct rollout *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    (void)text_copy(r->id, sizeof r->id, id);
    r->core = core;
    r->spec = spec;
    r->wave_count = 1;
    r->timer.fire = step;
    list_init(&r->active);
    list_init(&r->revertible);
    for (size_t i = 0; i < array_size(r->waiting); i++)
        list_init(&r->waiting[i]);
    add(core, r);
    return r;
}

void rollout_drop(struct rollout *r)
{
    struct core *core = r->core;
    struct member *m;

    take_out(core, r);
    core_disarm(core, &r->timer);
    while ((m = take_member(r))) {
        json_decref(m->previous);
        free(m->detail);
        free(m);
        core->rollout_members--;
    }
    rollout_spec_free(r->spec);
    free(r);
}

void rollouts_free(struct core *core)
{
    while (core->rollouts)
        rollout_drop(core->rollouts);
}

struct member *rollout_add_member(struct rollout *r, const char *device, unsigned wave)
{
    struct member *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    (void)text_copy(m->device, sizeof m->device, device);
    m->wave = wave;
    list_init(&m->node);
    add_member(r, m);
    r->counts[wave][MEMBER_PENDING]++;
    r->core->rollout_members++;
    return m;
}

size_t rollout_count(const struct rollout *r, enum member_state state)
{
    size_t n = 0;

    for (unsigned wave = 0; wave < r->wave_count; wave++)
        n += r->counts[wave][state];
    return n;
}

const char *rollout_of(const struct device *device, const char *uid)
{
    for (const struct rollout *r = device->core->rollouts; r; r = r->hh.next) {
        const struct member *m =
            rollout_is_unfinished(r) && strcmp(r->spec->container, uid) == 0 ? rollout_member(r, device->id) : NULL;

        if (m && m->state != MEMBER_SKIPPED)
            return r->id;
    }
    return NULL;
}

static void enlist_member(struct rollout *r, struct member *m)
{
    list_unlink(&m->node);
    if (m->state == MEMBER_UPDATING || m->state == MEMBER_REVERTING)
        list_append(&r->active, &m->node);
    else if (m->state == MEMBER_PENDING)
        list_append(&r->waiting[m->wave], &m->node);
    if (r->state == ROLLOUT_ROLLING_BACK && m->previous &&
        (m->state == MEMBER_UPDATING || m->state == MEMBER_DONE || m->state == MEMBER_FAILED)) {
        list_unlink(&m->node);
        list_append(&r->revertible, &m->node);
    }
}

void rollout_enlist(struct rollout *r)
{
    for (struct member *m = r->members; m; m = m->hh.next)
        enlist_member(r, m);
}

/* Changes ---------------------------------------------------------------------------------------------------------- */

void rollout_wake_soon(struct rollout *r, int64_t delay_ms)
{
    int64_t due = core_now(r->core) + delay_ms;

    if (r->core->started && !r->core->stopped && rollout_is_unfinished(r) && (!r->timer.armed || due < r->timer.due))
        core_arm(r->core, &r->timer, due);
}

void rollout_set_state(struct rollout *r, enum rollout_state state, const char *format, ...)
{
    va_list ap;

    r->state = state;
    r->updated = core_wall(r->core);
    r->ended = rollout_is_unfinished(r) ? 0 : r->updated;
    va_start(ap, format);
    (void)vsnprintf(r->reason, sizeof r->reason, format, ap);
    va_end(ap);
    text_repair_utf8(r->reason);
    log_info("rollout changed", "rollout", r->id, "state", rollout_state_name(state), "reason", r->reason, NULL);
}

/* Writes its row and tells of it. */
static void note(struct rollout_change *change)
{
    struct store_batch *batch = rollout_change_batch(change);

    if (!batch)
        return;
    rollout_put(batch, change->rollout);
    rollout_tell(batch, change->rollout);
}

/* Deciding --------------------------------------------------------------------------------------------------------- */

static size_t failures_allowed(const struct rollout *r)
{
    size_t members = HASH_COUNT(r->members);

    return r->spec->failures_percent ? members * r->spec->max_failures / 100 : r->spec->max_failures;
}

static const struct member *last_failed(const struct rollout *r)
{
    const struct member *last = NULL;

    for (const struct member *m = r->members; m; m = m->hh.next)
        if (m->state == MEMBER_FAILED && (!last || m->since >= last->since))
            last = m;
    return last;
}

static void roll_back(struct rollout_change *change)
{
    rollout_enlist(change->rollout);
    note(change);
}

/* More devices failed than are accepted. */
static bool stop_for_failures(struct rollout_change *change)
{
    struct rollout *r = change->rollout;
    size_t failed = rollout_count(r, MEMBER_FAILED);
    const struct member *last;

    if (failed <= r->tolerated + failures_allowed(r))
        return false;
    last = last_failed(r);
    rollout_set_state(r, r->spec->auto_rollback ? ROLLOUT_ROLLING_BACK : ROLLOUT_PAUSED,
                      "%zu of %u devices failed, more than %zu; the last was '%s': %s", failed, HASH_COUNT(r->members),
                      r->tolerated + failures_allowed(r), last ? last->device : "",
                      last && last->detail ? last->detail : "");
    if (r->state == ROLLOUT_ROLLING_BACK)
        roll_back(change);
    else
        note(change);
    return true;
}

static bool wave_is_over(const struct rollout *r)
{
    return r->counts[r->wave][MEMBER_PENDING] + r->counts[r->wave][MEMBER_UPDATING] == 0;
}

static void finish(struct rollout_change *change)
{
    struct rollout *r = change->rollout;
    size_t failed = rollout_count(r, MEMBER_FAILED), done = rollout_count(r, MEMBER_DONE);

    if (failed > failures_allowed(r))
        rollout_set_state(r, ROLLOUT_FAILED, "%zu done, %zu failed.", done, failed);
    else
        rollout_set_state(r, ROLLOUT_SUCCEEDED, "%zu done, %zu failed.", done, failed);
    note(change);
}

/* Goes to the next wave, or ends, when this one is over. */
static void advance(struct rollout_change *change)
{
    struct rollout *r = change->rollout;

    while (r->state == ROLLOUT_RUNNING && wave_is_over(r)) {
        if (r->wave + 1 == r->wave_count) {
            finish(change);
            return;
        }
        r->wave++;
        if (r->spec->pause_after_wave)
            rollout_set_state(r, ROLLOUT_PAUSED, "Wave %u of %u is done.", r->wave, r->wave_count);
        else
            rollout_set_state(r, ROLLOUT_RUNNING, "Wave %u of %u.", r->wave + 1, r->wave_count);
        note(change);
    }
}

/* Beginning with devices ------------------------------------------------------------------------------------------- */

/* How many are under way on each link, by its name; NULL: links have no limit of their own. */
static void count_on_link(json_t *links, const struct rollout *r, const struct member *m)
{
    const struct device *device = links ? core_find_device(r->core, m->device) : NULL;
    char link[CORE_NAME_MAX + 1];

    if (!device)
        return;
    (void)device_link(device, link, sizeof link);
    (void)json_object_set_new(links, link, json_integer(json_integer_value(json_object_get(links, link)) + 1));
}

static json_t *count_on_links(const struct rollout *r)
{
    json_t *links = r->spec->max_parallel_per_link ? json_object() : NULL;

    list_each(node, &r->active)
    {
        count_on_link(links, r, container_of(node, struct member, node));
    }
    return links;
}

static bool link_is_full(const struct rollout *r, const json_t *links, const struct member *m)
{
    const struct device *device = links ? core_find_device(r->core, m->device) : NULL;
    char link[CORE_NAME_MAX + 1];

    return device && json_integer_value(json_object_get(links, device_link(device, link, sizeof link))) >=
                         r->spec->max_parallel_per_link;
}

/* The next that may begin, NULL: none now. Those whose link is full go behind the others. */
static struct member *next_member(struct rollout *r, const json_t *links, struct list *from, unsigned *skips)
{
    while (!list_empty(from) && *skips < SKIPS_PER_STEP) {
        struct member *m = list_first(from, struct member, node);

        if (!link_is_full(r, links, m))
            return m;
        list_unlink(&m->node);
        list_append(from, &m->node);
        (*skips)++;
    }
    return NULL;
}

/* True when there are more that could begin at once. */
static bool begin_some(struct rollout_change *change, struct list *from,
                       void (*begin)(struct rollout_change *change, struct member *member))
{
    struct rollout *r = change->rollout;
    json_t *links = count_on_links(r);
    unsigned skips = 0, begun = 0;
    bool more = false;
    struct member *m;

    while (!more && r->active_count < r->spec->max_parallel && (m = next_member(r, links, from, &skips))) {
        enum member_state before = m->state;
        size_t active = r->active_count;

        more = begun++ == STARTS_PER_STEP;
        if (!more)
            begin(change, m);
        if (r->active_count > active)
            count_on_link(links, r, m);
        if (!more && m->state == before)
            break; /* no memory */
    }
    json_decref(links);
    return more;
}

/* Devices that match by now join the last wave. */
static void rescan(struct rollout_change *change)
{
    struct rollout *r = change->rollout;
    cleanup_free struct device **devices = NULL;
    size_t count;

    if (!r->spec->dynamic || core_now(r->core) < r->rescan)
        return;
    r->rescan = core_now(r->core) + RESCAN_MS;
    if (selector_list(r->spec->devices, r->core, &devices, &count))
        return;
    for (size_t i = 0; i < count && r->core->rollout_members < ROLLOUT_MEMBERS_MAX; i++) {
        struct member *m;

        if (rollout_member(r, devices[i]->id) || rollout_of(devices[i], r->spec->container))
            continue;
        m = rollout_change_batch(change) ? rollout_add_member(r, devices[i]->id, r->wave_count - 1) : NULL;
        if (!m)
            return;
        m->since = core_wall(r->core);
        list_append(&r->waiting[m->wave], &m->node);
        rollout_write_member(change, m);
    }
}

static bool go_on(struct rollout_change *change)
{
    struct rollout *r = change->rollout;
    bool more = false;

    rescan(change);
    if (stop_for_failures(change))
        return true;
    advance(change);
    if (r->state == ROLLOUT_RUNNING && rollout_window_is_open(r->spec, core_wall(r->core)))
        more = begin_some(change, &r->waiting[r->wave], member_begin);
    return more || (r->state == ROLLOUT_RUNNING && wave_is_over(r)) || stop_for_failures(change);
}

static bool go_back(struct rollout_change *change)
{
    struct rollout *r = change->rollout;
    bool more = begin_some(change, &r->revertible, member_revert);

    if (list_empty(&r->revertible) && r->active_count == 0) {
        rollout_set_state(r, ROLLOUT_ROLLED_BACK, "%zu devices were brought back, %zu could not be.",
                          rollout_count(r, MEMBER_REVERTED), rollout_count(r, MEMBER_FAILED));
        note(change);
    }
    return more;
}

static void look_at_active(struct rollout_change *change)
{
    list_each(node, &change->rollout->active)
    {
        member_look(change, container_of(node, struct member, node));
    }
}

static void step(struct timer *timer)
{
    struct rollout *r = container_of(timer, struct rollout, timer);
    struct rollout_change change = {.rollout = r};
    bool more = false;

    if (r->core->stopped || r->held)
        return;
    rollout_write_dirty(&change);
    look_at_active(&change);
    if (r->state == ROLLOUT_RUNNING)
        more = go_on(&change);
    else if (r->state == ROLLOUT_ROLLING_BACK)
        more = go_back(&change);
    rollout_change_submit(&change);
    if (r->dirty)
        core_arm(r->core, &r->timer, core_now(r->core) + RETRY_MS);
    else if (more)
        rollout_wake_soon(r, 0);
    else if (r->active_count)
        rollout_wake_soon(r, LOOK_MS);
    else if (r->state == ROLLOUT_RUNNING)
        rollout_wake_soon(r, WINDOW_MS);
}

/* From others ------------------------------------------------------------------------------------------------------ */

static bool is_under_way(const struct rollout *r, const struct device *device, struct member **m)
{
    *m = rollout_is_unfinished(r) ? rollout_member(r, device->id) : NULL;
    return *m && ((*m)->state == MEMBER_UPDATING || (*m)->state == MEMBER_REVERTING);
}

void rollout_wake(struct device *device)
{
    struct member *m;

    for (struct rollout *r = device->core->rollouts; r; r = r->hh.next)
        if (is_under_way(r, device, &m))
            rollout_wake_soon(r, SOON_MS);
}

void rollout_note_telemetry(struct device *device, const struct telemetry_record *records, size_t count)
{
    struct member *m;

    for (struct rollout *r = device->core->rollouts; r; r = r->hh.next) {
        if (!*r->spec->telemetry || !is_under_way(r, device, &m))
            continue;
        for (size_t i = 0; i < count; i++)
            if (records[i].kind == TELEMETRY_NUMBER && strcmp(records[i].name, r->spec->telemetry) == 0) {
                m->value = records[i].number;
                m->value_at = core_now(r->core);
                rollout_wake_soon(r, SOON_MS);
            }
    }
}

/* When it came into its state, on the clock of now. Clocks that were set do not make it late at once. */
static int64_t begin_of(const struct rollout *r, const struct member *m)
{
    int64_t ago = core_wall(r->core) - m->since, limit = (int64_t)r->spec->device_timeout_ms - GRACE_MS;

    if (ago > limit)
        ago = limit;
    return core_now(r->core) - (ago > 0 ? ago : 0);
}

void core_count_rollouts(const struct core *core, size_t counts[ROLLOUT_STATE_COUNT])
{
    memset(counts, 0, ROLLOUT_STATE_COUNT * sizeof *counts);
    for (const struct rollout *r = core->rollouts; r; r = r->hh.next)
        counts[r->state]++;
}

void rollout_start(struct core *core)
{
    for (struct rollout *r = core->rollouts; r; r = r->hh.next) {
        rollout_enlist(r);
        for (struct member *m = r->members; m; m = m->hh.next)
            m->begun = begin_of(r, m);
        rollout_wake_soon(r, LOOK_MS);
    }
}
