#include "core/budget.h"

#include "base/log.h"
#include "core/bodycheck.h"
#include "core/emergency.h"
#include "core/event.h"
#include "core/internal.h"

#include <inttypes.h>
#include <string.h>

#define USUAL_AFTER 2 /* periods before a change is told */

/* What was exchanged in the present period, and usually. */
struct account {
    int64_t since; /* monotonic ms */
    int64_t last;  /* of the last exchange */
    uint64_t used[BUDGET_KIND_COUNT];
    double usual[BUDGET_KIND_COUNT]; /* the periods before, the last ones most */
    unsigned periods;
    unsigned refused, changed; /* bits of kinds that were told in this period */
};

static const struct {
    const char *name;
    double floor; /* what is less is no alarm */
} kinds[BUDGET_KIND_COUNT] = {
    [BUDGET_REQUESTS] = {"requests", 100}, [BUDGET_BYTES] = {"bytes", 65536},   [BUDGET_WAKEUPS] = {"wakeups", 20},
    [BUDGET_RESTARTS] = {"restarts", 3},   [BUDGET_FAILURES] = {"failures", 3},
};

const char *budget_kind_name(enum budget_kind kind)
{
    return kinds[kind].name;
}

/* Accounts --------------------------------------------------------------------------------------------------------- */

/* The periods that ended since it was looked at. */
static void turn(struct account *account, int64_t now, int64_t period)
{
    for (int i = 0; period > 0 && now - account->since >= period; i++) {
        for (int kind = 0; kind < BUDGET_KIND_COUNT; kind++) {
            double used = (double)account->used[kind];

            account->usual[kind] = account->periods ? (3 * account->usual[kind] + used) / 4 : used;
            account->used[kind] = 0;
        }
        account->periods++;
        account->refused = account->changed = 0;
        account->since = i < 16 ? account->since + period : now; /* nothing is left of what was before */
    }
}

/* NULL: out of memory, and nothing is counted. */
static struct account *open_account(const struct core *core, struct account **account)
{
    int64_t now = core_now(core);

    if (!*account) {
        *account = calloc(1, sizeof **account);
        if (*account)
            (*account)->since = (*account)->last = now;
    }
    if (*account)
        turn(*account, now, core->options.budget.period_ms);
    return *account;
}

/* Limits ----------------------------------------------------------------------------------------------------------- */

/* 0: none. */
static uint64_t limit_of(const struct core *core, const struct device *device, const char *uid, enum budget_kind kind)
{
    const struct document *document =
        document_count(core, DOCUMENT_BUDGET) ? document_find(core, DOCUMENT_BUDGET, device->id) : NULL;
    uint64_t fallback = uid ? core->options.budget.container[kind] : core->options.budget.device[kind];
    const json_t *limits = document ? document->body : NULL;

    if (uid)
        limits = json_object_get(json_object_get(limits, "containers"), uid);
    return (uint64_t)body_number(limits, kinds[kind].name, (int64_t)fallback);
}

/* Who is told of: a device, or one of its containers. */
struct owner {
    struct device *device;
    const char *uid; /* NULL: the device */
};

static void tell_refused(const struct owner *owner, struct account *account, enum budget_kind kind, uint64_t limit)
{
    if (account->refused & 1u << kind)
        return;
    account->refused |= 1u << kind;
    log_warning("budget used up", "device", owner->device->id, "container", owner->uid, "budget", kinds[kind].name,
                NULL);
    event_note(owner->device->core, EVENT_BUDGET_EXCEEDED, owner->device->id, "{s:s*, s:s, s:I}", "container",
               owner->uid, "budget", kinds[kind].name, "limit", (json_int_t)limit);
}

static int refuse(const struct owner *owner, struct account *account, enum budget_kind kind, uint64_t limit,
                  struct fault *fault, uint32_t *retry_s)
{
    struct core *core = owner->device->core;
    int64_t left = account->since + core->options.budget.period_ms - core_now(core);

    *retry_s = (uint32_t)(left / 1000 + 1);
    core->budget_stats.refused[kind]++;
    tell_refused(owner, account, kind, limit);
    return fault_set(fault, FAULT_BUDGET_EXCEEDED,
                     "%s%s%s of device '%s' has used up its %" PRIu64 " %s; the next period begins in %" PRIu32 " s.",
                     owner->uid ? "Container '" : "The budget", owner->uid ? owner->uid : "", owner->uid ? "'" : "",
                     owner->device->id, limit, kinds[kind].name, *retry_s);
}

static void watch(const struct owner *owner, struct account *account, enum budget_kind kind)
{
    struct core *core = owner->device->core;
    double factor = core->options.budget.alarm_factor, used = (double)account->used[kind];

    if (factor <= 0 || account->periods < USUAL_AFTER || account->changed & 1u << kind || used < kinds[kind].floor ||
        used <= account->usual[kind] * factor)
        return;
    account->changed |= 1u << kind;
    core->budget_stats.alarms++;
    log_warning("device behaves otherwise than usual", "device", owner->device->id, "container", owner->uid, "what",
                kinds[kind].name, NULL);
    event_note(core, EVENT_BEHAVIOUR_CHANGED, owner->device->id, "{s:s*, s:s, s:I, s:f}", "container", owner->uid,
               "what", kinds[kind].name, "count", (json_int_t)account->used[kind], "usual", account->usual[kind]);
}

static void count(const struct owner *owner, struct account *account, enum budget_kind kind, uint64_t by)
{
    account->used[kind] += by;
    watch(owner, account, kind);
}

static int check(const struct owner *owner, struct account *account, enum budget_kind kind, struct fault *fault,
                 uint32_t *retry_s)
{
    uint64_t limit = limit_of(owner->device->core, owner->device, owner->uid, kind);

    return limit && account->used[kind] >= limit ? refuse(owner, account, kind, limit, fault, retry_s) : 0;
}

static int take(const struct owner *owner, struct account *account, const struct budget_request *request,
                struct fault *fault, uint32_t *retry_s)
{
    int64_t now = core_now(owner->device->core);
    bool wakes = !request->incoming && now - account->last >= BUDGET_AWAKE_MS;

    if (!request->urgent && (check(owner, account, BUDGET_REQUESTS, fault, retry_s) ||
                             check(owner, account, BUDGET_BYTES, fault, retry_s) ||
                             (wakes && check(owner, account, BUDGET_WAKEUPS, fault, retry_s))))
        return 1;
    count(owner, account, BUDGET_REQUESTS, 1);
    count(owner, account, BUDGET_BYTES, request->bytes);
    if (wakes)
        count(owner, account, BUDGET_WAKEUPS, 1);
    account->last = now;
    return 0;
}

/* The whole -------------------------------------------------------------------------------------------------------- */

static int take_container(struct container *c, const struct budget_request *request, struct fault *fault,
                          uint32_t *retry_s)
{
    struct account *account = open_account(c->device->core, &c->account);

    return account ? take(&(struct owner){c->device, c->uid}, account, request, fault, retry_s) : 0;
}

int budget_take(struct core *core, const char *id, const struct budget_request *request, struct fault *fault,
                uint32_t *retry_s)
{
    struct device *found = index_find_device(core, id);
    struct container *c = found && request->uid ? index_find_container(found, request->uid) : NULL;
    struct account *account = found ? open_account(core, &found->account) : NULL;

    *retry_s = 1;
    if (!account)
        return 0; /* a host that is no device */
    if (!request->urgent && quarantine_check(found, fault)) {
        core->budget_stats.quarantined++;
        return 1;
    }
    if (c && take_container(c, request, fault, retry_s))
        return 1;
    return take(&(struct owner){found, NULL}, account, request, fault, retry_s);
}

int budget_take_record(struct device *device, const char *uid, size_t bytes, struct fault *fault, uint32_t *retry_s)
{
    struct container *c = index_find_container(device, uid);

    return c ? take_container(c, &(struct budget_request){.bytes = bytes, .incoming = true}, fault, retry_s) : 0;
}

void budget_charge(struct core *core, const char *id, size_t bytes)
{
    struct device *found = index_find_device(core, id);
    struct account *account = found ? open_account(core, &found->account) : NULL;

    if (account)
        count(&(struct owner){found, NULL}, account, BUDGET_BYTES, bytes);
}

void budget_note(struct device *device, enum budget_kind kind)
{
    struct account *account = device->visitor ? NULL : open_account(device->core, &device->account);

    if (account)
        count(&(struct owner){device, NULL}, account, kind, 1);
}

void core_get_budget_stats(const struct core *core, struct budget_stats *out)
{
    *out = core->budget_stats;
}

/* Documents -------------------------------------------------------------------------------------------------------- */

static const struct body_rule container_rules[] = {
    {"requests", BODY_NUMBER, false, true, 0, INT64_MAX, NULL},
    {"bytes", BODY_NUMBER, false, true, 0, INT64_MAX, NULL},
};

static int check_containers(const json_t *containers, struct fault *fault)
{
    const char *uid;
    const json_t *limits;

    json_object_foreach((json_t *)(uintptr_t)containers, uid, limits)
    {
        char pointer[FAULT_POINTER_SIZE];

        if (!text_is_name(uid, CORE_ID_MAX))
            return fault_set_at(fault, FAULT_INVALID_FIELD, "/containers", "'%.64s' is no container's uid.", uid);
        (void)snprintf(pointer, sizeof pointer, "/containers/%s", uid);
        if (body_check(limits, pointer, container_rules, array_size(container_rules), fault))
            return 1;
    }
    return 0;
}

int budget_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"requests", BODY_NUMBER, false, true, 0, INT64_MAX, NULL},
        {"bytes", BODY_NUMBER, false, true, 0, INT64_MAX, NULL},
        {"wakeups", BODY_NUMBER, false, true, 0, INT64_MAX, NULL},
        {"containers", BODY_OBJECT, false, true, 0, 0, NULL},
    };

    (void)key;
    *object = NULL;
    if (body_check(body, "", rules, array_size(rules), fault))
        return 1;
    if (json_object_size(json_object_get(body, "containers")) > core->options.max_containers_per_device)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/containers", "A device has %u containers at most.",
                            core->options.max_containers_per_device);
    return check_containers(json_object_get(body, "containers"), fault);
}

int core_put_budget(struct core *core, const char *device, const json_t *body, core_done_fn done, void *arg,
                    struct fault *fault)
{
    return document_put(core, DOCUMENT_BUDGET, device, body, done, arg, fault);
}

int core_remove_budget(struct core *core, const char *device, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_BUDGET, device, done, arg, fault);
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static json_t *limits_json(const struct core *core, const struct device *device, const char *uid)
{
    json_t *object = json_object();

    for (int kind = 0; kind < (uid ? BUDGET_WAKEUPS : BUDGET_LIMITED); kind++)
        (void)json_object_set_new(object, kinds[kind].name,
                                  json_integer((json_int_t)limit_of(core, device, uid, (enum budget_kind)kind)));
    return object;
}

static json_t *used_json(const struct account *account, bool usual)
{
    json_t *object = json_object();

    for (int kind = 0; kind < BUDGET_KIND_COUNT; kind++)
        (void)json_object_set_new(object, kinds[kind].name,
                                  usual ? json_real(account->usual[kind])
                                        : json_integer((json_int_t)account->used[kind]));
    return object;
}

static json_t *account_json(const struct core *core, const struct device *device, const char *uid,
                            struct account *account)
{
    static const struct account none;

    if (account)
        turn(account, core_now(core), core->options.budget.period_ms);
    return json_pack("{s:o, s:o, s:o}", "limits", limits_json(core, device, uid), "used",
                     used_json(account ? account : &none, false), "usual",
                     account && account->periods ? used_json(account, true) : json_null());
}

static json_t *containers_json(const struct device *device)
{
    json_t *object = json_object();

    for (const struct container *c = device->containers; c; c = c->hh.next)
        (void)json_object_set_new(object, c->uid, account_json(device->core, device, c->uid, c->account));
    return object;
}

static json_t *show(struct core *core, const struct device *device)
{
    const struct account *account = device->account;
    int64_t period = core->options.budget.period_ms;
    json_t *object = account_json(core, device, NULL, device->account);

    (void)json_object_set_new(object, "device", json_string(device->id));
    (void)json_object_set_new(object, "period_s", json_integer(period / 1000));
    (void)json_object_set_new(object, "ends_in_s",
                              json_integer(account ? (account->since + period - core_now(core)) / 1000 + 1 : 0));
    (void)json_object_set_new(object, "containers", containers_json(device));
    return object;
}

json_t *core_budget_json(struct core *core, const char *device)
{
    const struct device *found = index_find_device(core, device);
    struct device none = {.core = core};

    if (found)
        return show(core, found);
    if (!document_find(core, DOCUMENT_BUDGET, device))
        return NULL;
    (void)text_copy(none.id, sizeof none.id, device);
    return show(core, &none);
}

json_t *core_budgets_json(struct core *core)
{
    json_t *array = json_array();

    for (const struct document *d = document_first(core, DOCUMENT_BUDGET); d; d = d->hh.next)
        (void)json_array_append_new(array, core_budget_json(core, d->key));
    return array;
}
