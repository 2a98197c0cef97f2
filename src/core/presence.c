#include "core/presence.h"

#include "base/memory.h"
#include "core/event.h"
#include "core/internal.h"
#include "core/service.h"

#include <string.h>

/* A record per device that was heard, tried or is expected; one timer in it, for the moment at which its state has to
 * be judged anew. All times that count are monotonic. */

#define NEVER INT64_MIN
#define GRACE_PART 8 /* a sleep may take an eighth longer: clocks of sleeping devices are bad */

struct presence_record {
    struct device *device;
    struct timer timer;
    enum presence_state state;
    const char *reason;
    int64_t since, expected;    /* wall ms, to be shown */
    int64_t heard;              /* monotonic ms of the last message of this run; NEVER */
    int64_t begin;              /* monotonic ms that its sleep is counted from: heard, or the start */
    int64_t registered;         /* monotonic ms of the last registration or update */
    int64_t expires;            /* monotonic ms of its end; 0: it is not registered */
    uint32_t sleep_s, awake_ms; /* as it told */
    int64_t failed;             /* monotonic ms of the first failure since it was heard */
    uint32_t failures;          /* since it was heard */
    const char *gone;           /* why it is, NULL: it is not; until it is heard */
    bool dozes;                 /* it sleeps, and did not answer in its awake time */
    bool wakes;                 /* its queue has to be looked at */
};

static const char *const state_names[PRESENCE_STATE_COUNT] = {"unknown", "online", "asleep", "late", "offline"};

const char *presence_state_name(enum presence_state state)
{
    return state_names[state];
}

enum presence_state presence_state_from_name(const char *name)
{
    unsigned state = 0;

    while (state < PRESENCE_STATE_COUNT && strcmp(state_names[state], name) != 0)
        state++;
    return (enum presence_state)state;
}

/* Sleep ------------------------------------------------------------------------------------------------------------ */

static uint32_t sleep_s(const struct device *device)
{
    if (device->sleep_s)
        return device->sleep_s;
    return device->presence ? device->presence->sleep_s : 0;
}

static uint32_t awake_ms(const struct device *device)
{
    if (device->awake_ms)
        return device->awake_ms;
    if (device->presence && device->presence->awake_ms)
        return device->presence->awake_ms;
    return device->core->options.presence.awake_ms;
}

static int64_t awake_until(const struct presence_record *p)
{
    return p->heard == NEVER || p->dozes ? NEVER : p->heard + awake_ms(p->device);
}

static int64_t wake_up(const struct presence_record *p)
{
    return p->begin + awake_ms(p->device) + (int64_t)sleep_s(p->device) * 1000;
}

bool device_is_awake(const struct device *device)
{
    if (!sleep_s(device))
        return true;
    return device->presence && core_now(device->core) < awake_until(device->presence);
}

/* Judging ---------------------------------------------------------------------------------------------------------- */

struct verdict {
    enum presence_state state;
    const char *reason;
    int64_t until; /* monotonic ms; INT64_MAX: until something happens */
};

static struct verdict judge_overdue(const struct presence_record *p, int64_t due, int64_t now, const char *why)
{
    int64_t end = due + p->device->core->options.presence.late_ms;

    if (now < end)
        return (struct verdict){PRESENCE_LATE, why, end};
    return (struct verdict){PRESENCE_OFFLINE, why, INT64_MAX};
}

static struct verdict judge_sleeper(const struct presence_record *p, int64_t now)
{
    int64_t due = wake_up(p) + (int64_t)sleep_s(p->device) * 1000 / GRACE_PART;

    if (now < awake_until(p))
        return (struct verdict){PRESENCE_ONLINE, p->reason, awake_until(p)};
    if (now >= due)
        return judge_overdue(p, due, now, "did not wake up as expected");
    if (p->heard == NEVER)
        return (struct verdict){PRESENCE_UNKNOWN, "not heard since the gateway started", due};
    return (struct verdict){PRESENCE_ASLEEP, "sleeps", due};
}

static struct verdict judge_heard(const struct presence_record *p, int64_t now)
{
    int64_t due = p->heard + p->device->core->options.presence.online_ms;

    if (p->expires) /* the directory says when that ends */
        return (struct verdict){PRESENCE_ONLINE, p->reason, INT64_MAX};
    if (now < due)
        return (struct verdict){PRESENCE_ONLINE, p->reason, due};
    return judge_overdue(p, due, now, "not heard for long");
}

static struct verdict judge(const struct presence_record *p, int64_t now)
{
    if (p->gone)
        return (struct verdict){PRESENCE_OFFLINE, p->gone, INT64_MAX};
    if (sleep_s(p->device))
        return judge_sleeper(p, now);
    if (p->failures >= p->device->core->options.presence.failures)
        return (struct verdict){PRESENCE_OFFLINE, "no answer", INT64_MAX};
    if (p->failures)
        return judge_overdue(p, p->failed, now, "no answer");
    if (p->heard == NEVER)
        return (struct verdict){PRESENCE_UNKNOWN, "not heard since the gateway started", INT64_MAX};
    return judge_heard(p, now);
}

/* When it is expected at the latest, as wall time; 0: not known. */
static int64_t expectation(const struct presence_record *p)
{
    const struct core *core = p->device->core;
    int64_t due = sleep_s(p->device) ? wake_up(p) : p->expires;

    return due && !p->gone ? core_wall(core) + due - core_now(core) : 0;
}

static void tell(const struct presence_record *p, enum presence_state before)
{
    const struct device *device = p->device;

    event_note(device->core, EVENT_PRESENCE, device->id, "{s:s, s:s, s:s, s:o, s:o}", "state", state_names[p->state],
               "before", state_names[before], "reason", p->reason, "last_heard_at", json_time(device->last_seen),
               "expected_at", json_time(p->expected));
}

/* The one that changes states. */
static void update(struct presence_record *p)
{
    struct core *core = p->device->core;
    struct verdict verdict = judge(p, core_now(core));
    enum presence_state before = p->state;

    p->reason = verdict.reason;
    p->state = verdict.state;
    p->expected = expectation(p);
    device_changed(p->device);
    if (p->wakes)
        core_arm(core, &p->timer, core_now(core));
    else if (verdict.until < INT64_MAX)
        core_arm(core, &p->timer, verdict.until);
    else
        core_disarm(core, &p->timer);
    if (p->state == before)
        return;
    core->presence[before]--;
    core->presence[p->state]++;
    p->since = core_wall(core);
    tell(p, before);
    services_wake(p->device);
    if (p->state == PRESENCE_ONLINE) {
        watches_wake(p->device, false);
        reconcile_came_back(p->device);
        if (before == PRESENCE_OFFLINE)
            reconcile_ask(p->device); /* it may have been restarted meanwhile */
    }
}

/* Records ---------------------------------------------------------------------------------------------------------- */

static void fire(struct timer *timer)
{
    struct presence_record *p = container_of(timer, struct presence_record, timer);
    bool wakes = p->wakes;

    p->wakes = false;
    update(p);
    if (wakes) {
        reconcile_wake(p->device);
        device_woke(p->device, p->heard);
    }
}

/* NULL: out of memory. */
static struct presence_record *record_of(struct device *device)
{
    struct presence_record *p = device->presence;

    if (p)
        return p;
    p = memory_new(sizeof *p);
    if (!p)
        return NULL;
    p->device = device;
    p->timer.fire = fire;
    p->reason = "not heard since the gateway started";
    p->heard = NEVER;
    p->begin = core_now(device->core);
    device->core->presence[PRESENCE_UNKNOWN]++;
    return device->presence = p;
}

void presence_free(struct device *device)
{
    struct presence_record *p = device->presence;

    if (!p)
        return;
    core_disarm(device->core, &p->timer);
    device->core->presence[p->state]--;
    free(p);
    device->presence = NULL;
}

void core_count_presence(const struct core *core, size_t counts[PRESENCE_STATE_COUNT])
{
    size_t others = 0;

    for (unsigned state = PRESENCE_ONLINE; state < PRESENCE_STATE_COUNT; state++) {
        counts[state] = core->presence[state];
        others += counts[state];
    }
    counts[PRESENCE_UNKNOWN] = HASH_COUNT(core->devices) - others;
}

struct presence core_presence(const struct device *device)
{
    static const struct presence_record nothing = {.reason = "not heard since the gateway started"};
    const struct presence_record *p = device->presence ? device->presence : &nothing;

    return (struct presence){.state = p->state,
                             .since = p->since,
                             .heard = device->last_seen,
                             .expected = p->expected,
                             .reason = p->reason,
                             .sleepy = sleep_s(device) > 0,
                             .sleep_s = sleep_s(device),
                             .awake_ms = device->awake_ms ? device->awake_ms : p->awake_ms};
}

/* Events ----------------------------------------------------------------------------------------------------------- */

static void hear(struct presence_record *p)
{
    p->wakes |= !device_is_awake(p->device);
    p->heard = p->begin = core_now(p->device->core);
    p->failures = 0;
    p->dozes = false;
    if (p->state == PRESENCE_ONLINE && !sleep_s(p->device)) /* the usual case: the timer finds out */
        return;
    p->gone = NULL;
    if (p->state != PRESENCE_ONLINE)
        p->reason = "heard";
    update(p);
}

static void fail(struct presence_record *p)
{
    if (!p->failures++)
        p->failed = core_now(p->device->core);
    p->dozes = true;
    update(p);
}

static void take_registration(struct presence_record *p)
{
    hear(p);
    p->registered = p->heard;
    p->reason = p->state == PRESENCE_ONLINE ? "registered" : p->reason;
    update(p);
}

/* One that was heard lately, and after its registration, is there all the same. */
static void expire(struct presence_record *p)
{
    const struct core *core = p->device->core;

    p->expires = 0;
    p->reason = "heard";
    if (p->heard <= p->registered || core_now(core) - p->heard >= core->options.presence.online_ms)
        p->gone = "registration expired";
    update(p);
}

static void leave(struct presence_record *p)
{
    p->expires = 0;
    p->gone = "removed its registration";
    update(p);
}

void presence_note(struct device *device, enum presence_event event)
{
    static void (*const take[])(struct presence_record *) = {
        [PRESENCE_HEARD] = hear,     [PRESENCE_FAILED] = fail, [PRESENCE_REGISTERED] = take_registration,
        [PRESENCE_EXPIRED] = expire, [PRESENCE_LEFT] = leave,
    };
    struct presence_record *p;

    if (device->core->stopped || device->removing || device->visitor ||
        (!keyring_of_device(device) && !keyring_allows_plain(device)))
        return;
    p = record_of(device);
    if (p)
        take[event](p);
}

void presence_set_lifetime(struct device *device, int64_t expires)
{
    struct presence_record *p = record_of(device);

    if (!p || p->expires == expires)
        return;
    p->expires = expires;
    update(p);
}

void presence_set_sleep(struct device *device, uint32_t seconds, uint32_t milliseconds)
{
    struct presence_record *p = record_of(device);

    if (!p || (p->sleep_s == seconds && p->awake_ms == milliseconds))
        return;
    p->wakes |= !device_is_awake(device);
    p->sleep_s = seconds;
    p->awake_ms = milliseconds;
    update(p);
}

void presence_reconsider(struct device *device)
{
    struct presence_record *p = sleep_s(device) ? record_of(device) : device->presence;

    if (p)
        update(p);
}
