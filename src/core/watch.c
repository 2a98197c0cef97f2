#include "core/internal.h"

#include "core/bodycheck.h"
#include "core/cache.h"
#include "core/presence.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/*
 * Observations of devices' resources (RFC 7641). There is one per resource, whoever wants it: streams, and what is
 * configured for the device or its groups. The port registers again what was established and lost; what could not be
 * established is tried again here while it is configured, with growing pauses, or when the device comes back.
 */

#define OBSERVED_MAX 65536 /* bytes of a representation */
#define LOST_MIN_MS 5000   /* pauses after failures, doubled each time */
#define LOST_MAX_MS 600000
#define REFUSED_MIN_MS 60000 /* and after refusals */
#define REFUSED_MAX_MS 3600000
#define START_SPREAD_MS 10000 /* a gateway that starts does not ask all devices at once */
#define WAKE_SPREAD_MS 200
#define DEVICE_SPREAD_MS 2 /* and more for each device, where many are to be observed at once */

enum watch_state {
    WATCH_WAITING, /* for its timer, or for the device to come back */
    WATCH_REGISTERING,
    WATCH_OBSERVING,
    WATCH_REFUSED, /* waiting, since the device does not let it be observed */
    WATCH_LOST,    /* waiting, since the device did not answer */
};

static const char *const state_names[] = {"waiting", "registering", "observing", "refused", "lost"};

struct watch {
    struct list node; /* device->watches */
    struct device *device;
    struct agent_observation observation;
    enum watch_state state;
    bool configured;
    bool notifying; /* callbacks of observers run */
    bool anew;      /* the device was restarted: it does not know of it */
    unsigned failures;
    enum fault_code fault; /* of the last attempt */
    char *detail;          /* of the fault; NULL: none */
    int64_t since;         /* wall ms of the change to the state */
    int64_t notified;      /* wall ms; 0: never */
    uint64_t notifications;
    uint8_t answer; /* the code of the answer that ends it */
    struct feed_limit limit;
    struct list observers;
    struct timer timer; /* the next attempt */
    char text[];        /* path and query */
};

struct core_observer {
    struct list node; /* watch->observers */
    struct watch *watch;
    void (*notify)(void *arg, const struct agent_response *response);
    void (*ended)(void *arg, const struct fault *fault);
    void *arg;
    struct timer timer; /* gives it what is known already */
    bool gone;          /* its owner gave it up while callbacks run */
};

static uint32_t random_below(uint32_t limit)
{
    uint32_t value = 0;

    (void)!getrandom(&value, sizeof value, 0);
    return limit ? value % limit : 0;
}

static void set_state(struct watch *w, enum watch_state state)
{
    if (w->state == state)
        return;
    w->device->core->watch_count[w->state == WATCH_OBSERVING]--;
    w->device->core->watch_count[state == WATCH_OBSERVING]++;
    w->state = state;
    w->since = core_wall(w->device->core);
}

static void set_fault(struct watch *w, const struct fault *fault)
{
    free(w->detail);
    w->fault = fault ? fault->code : FAULT_NONE;
    w->detail = fault && fault->code ? strdup(fault->detail) : NULL;
}

static bool is_under_way(const struct watch *w)
{
    return w->state == WATCH_REGISTERING || w->state == WATCH_OBSERVING;
}

/* Ends ------------------------------------------------------------------------------------------------------------ */

static void observer_free(struct core_observer *observer)
{
    core_disarm(observer->watch->device->core, &observer->timer);
    list_unlink(&observer->node);
    free(observer);
}

static void watch_free(struct watch *w)
{
    struct core *core = w->device->core;

    core->watch_count[w->state == WATCH_OBSERVING]--;
    core_disarm(core, &w->timer);
    list_unlink(&w->node);
    w->device->watch_count--;
    free(w->detail);
    free(w);
}

static void stop(struct watch *w)
{
    const struct agent_port *port = &w->device->core->options.agents;

    if (is_under_way(w))
        port->unobserve(port->arg, &w->observation);
    watch_free(w);
}

/* Nobody wants it any more. */
static void stop_unwanted(struct watch *w)
{
    if (!w->notifying && !w->configured && list_empty(&w->observers))
        stop(w);
}

static void end_observers(struct watch *w, const struct fault *fault)
{
    while (!list_empty(&w->observers)) {
        struct core_observer *observer = list_first(&w->observers, struct core_observer, node);
        void (*ended)(void *arg, const struct fault *fault) = observer->ended;
        void *arg = observer->arg;
        bool gone = observer->gone;

        observer_free(observer);
        if (!gone)
            ended(arg, fault);
    }
}

/* Attempts --------------------------------------------------------------------------------------------------------- */

static void try_at(struct watch *w, int64_t delay_ms)
{
    struct core *core = w->device->core;

    if (!core->stopped)
        core_arm(core, &w->timer, core_now(core) + delay_ms);
}

static void begin(struct watch *w)
{
    const struct agent_port *port = &w->device->core->options.agents;

    set_state(w, WATCH_REGISTERING);
    w->answer = 0;
    w->anew = false;
    port->observe(port->arg, &w->observation);
}

/* What is due: the next attempt, or a look at what lasts. */
static void attempt(struct timer *timer)
{
    struct watch *w = container_of(timer, struct watch, timer);
    const struct agent_port *port = &w->device->core->options.agents;
    bool anew = w->anew;

    w->anew = false;
    if (w->device->core->stopped || w->device->removing || !device_is_awake(w->device))
        return; /* a device that sleeps calls watches_wake when it wakes up */
    if (!is_under_way(w))
        begin(w);
    else if (port->refresh)
        port->refresh(port->arg, &w->observation, anew);
}

/* After a failure: a device that sleeps is not asked before it was heard. */
static void pause_watch(struct watch *w, bool refused)
{
    int64_t pause = refused ? REFUSED_MIN_MS : LOST_MIN_MS, max = refused ? REFUSED_MAX_MS : LOST_MAX_MS;

    pause <<= w->failures < 8 ? w->failures : 8;
    pause = pause < max ? pause : max;
    w->failures++;
    set_state(w, refused ? WATCH_REFUSED : WATCH_LOST);
    try_at(w, pause + random_below((uint32_t)pause / 2));
}

void watches_wake(struct device *device, bool anew)
{
    list_each(node, &device->watches)
    {
        struct watch *w = container_of(node, struct watch, node);

        w->anew |= anew;
        if (anew || w->state != WATCH_REFUSED)
            try_at(w, random_below(WAKE_SPREAD_MS));
    }
}

void device_restarted(struct device *device)
{
    cache_invalidate(device, NULL);
    watches_wake(device, true);
    reconcile_restarted(device);
}

/* Notifications ---------------------------------------------------------------------------------------------------- */

/* Callbacks may give up any observer of it. */
static void tell(struct watch *w, const struct agent_response *response)
{
    w->notifying = true;
    list_each(node, &w->observers)
    {
        struct core_observer *observer = container_of(node, struct core_observer, node);

        core_disarm(w->device->core, &observer->timer);
        if (!observer->gone)
            observer->notify(observer->arg, response);
    }
    w->notifying = false;
    list_each(node, &w->observers)
    {
        struct core_observer *observer = container_of(node, struct core_observer, node);

        if (observer->gone)
            observer_free(observer);
    }
    stop_unwanted(w);
}

static void notified(struct agent_observation *observation, const struct agent_response *response)
{
    struct watch *w = observation->owner;
    struct device *device = w->device;

    if (w->notifying)
        return;
    device_seen(device);
    w->notifications++;
    w->notified = core_wall(device->core);
    device->core->watch_notifications++;
    if (response->code >> 5 == 2) {
        set_state(w, WATCH_OBSERVING);
        set_fault(w, NULL);
        feed_notification(device, observation->path, response, &w->limit);
    } else {
        w->answer = response->code;
    }
    cache_store(device, observation->path, observation->query, observation->accept, response);
    tell(w, response);
}

static void describe_end(const struct watch *w, enum agent_outcome outcome, const char *detail, struct fault *fault)
{
    struct agent_call call = {.verb = AGENT_CALL_RESOURCE, .device = w->device, .outcome = outcome};

    *fault = (struct fault){.code = FAULT_NONE};
    if (outcome == AGENT_OK)
        return;
    (void)text_copy(call.detail, sizeof call.detail, detail ? detail : "");
    fault_from_call(fault, &call);
}

/* What is wrong with a device that answered. */
static void describe_refusal(const struct watch *w, struct fault *fault)
{
    if (w->answer)
        (void)fault_set(fault, FAULT_DEVICE_ERROR, "Device '%s' answered %d.%02d.", w->device->id, w->answer >> 5,
                        w->answer & 31);
    else
        (void)fault_set(fault, FAULT_DEVICE_ERROR, "Device '%s' does not let it be observed.", w->device->id);
}

static void ended(struct agent_observation *observation, enum agent_outcome outcome, const char *detail)
{
    struct watch *w = observation->owner;
    bool refused = outcome == AGENT_OK || outcome == AGENT_INSECURE;
    struct fault fault;

    describe_end(w, outcome, detail, &fault);
    set_state(w, WATCH_WAITING);
    w->notifying = true; /* nobody ends it while its observers are told */
    end_observers(w, &fault);
    w->notifying = false;
    if (!w->configured) {
        watch_free(w);
        return;
    }
    if (outcome == AGENT_OK)
        describe_refusal(w, &fault);
    set_fault(w, &fault);
    if (w->notifications && outcome == AGENT_OK && !w->answer)
        w->failures = w->failures ? w->failures : 1; /* it was established: at least twice the pause */
    pause_watch(w, refused);
}

/* Watches ---------------------------------------------------------------------------------------------------------- */

static bool is_query(const char *query, const char *other)
{
    return strcmp(query ? query : "", other ? other : "") == 0;
}

static struct watch *find(const struct device *device, const char *path, const char *query, int accept)
{
    list_each(node, &device->watches)
    {
        struct watch *w = container_of(node, struct watch, node);

        if (w->observation.accept == accept && strcmp(w->observation.path, path) == 0 &&
            is_query(w->observation.query, query))
            return w;
    }
    return NULL;
}

static struct watch *watch_new(struct device *device, const char *path, const char *query, int accept)
{
    size_t path_size = strlen(path) + 1, query_size = query ? strlen(query) + 1 : 0;
    struct watch *w = calloc(1, sizeof *w + path_size + query_size);

    if (!w)
        return NULL;
    w->device = device;
    w->since = core_wall(device->core);
    w->timer.fire = attempt;
    w->observation = (struct agent_observation){.device = device,
                                                .notify = notified,
                                                .ended = ended,
                                                .owner = w,
                                                .accept = accept,
                                                .limit = OBSERVED_MAX,
                                                .path = memcpy(w->text, path, path_size)};
    if (query)
        w->observation.query = memcpy(w->text + path_size, query, query_size);
    list_init(&w->observers);
    list_append(&device->watches, &w->node);
    device->watch_count++;
    device->core->watch_count[false]++;
    return w;
}

/* Streams ---------------------------------------------------------------------------------------------------------- */

/* One that comes later begins with what is known. */
static void give_known(struct timer *timer)
{
    struct core_observer *observer = container_of(timer, struct core_observer, timer);
    const struct agent_observation *o = &observer->watch->observation;
    const struct agent_resource request = {.path = o->path, .query = o->query, .accept = o->accept};
    const struct cache_control control = {
        .allow_stale = true, .only_if_cached = true, .max_age = UINT32_MAX, .max_stale = UINT32_MAX};
    struct cache_answer answer;

    if (core_find_cached(observer->watch->device->core, observer->watch->device, &request, &control, &answer) &&
        !answer.fault.code)
        observer->notify(observer->arg, answer.response);
}

static struct watch *watch_for_observer(struct device *device, const char *path, const char *query, int accept,
                                        struct fault *fault)
{
    struct watch *w = find(device, path, query, accept);

    if (w)
        return w;
    if (device->watch_count >= WATCH_PATHS_MAX) {
        (void)fault_set(fault, FAULT_QUEUE_FULL, "%d resources of device '%s' are observed already.", WATCH_PATHS_MAX,
                        device->id);
        return NULL;
    }
    w = watch_new(device, path, query, accept);
    if (!w)
        (void)fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory.");
    return w;
}

struct core_observer *core_observe_resource(struct core *core, struct device *device, const char *path,
                                            const char *query, int accept,
                                            void (*notify)(void *arg, const struct agent_response *response),
                                            void (*ended_fn)(void *arg, const struct fault *fault), void *arg,
                                            struct fault *fault)
{
    struct core_observer *observer;
    struct watch *w;

    if (resource_check_use(core, device, false, fault))
        return NULL;
    w = watch_for_observer(device, path, query, accept, fault);
    if (!w)
        return NULL;
    observer = calloc(1, sizeof *observer);
    if (!observer) {
        (void)fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory.");
        stop_unwanted(w);
        return NULL;
    }
    *observer = (struct core_observer){.watch = w, .notify = notify, .ended = ended_fn, .arg = arg};
    observer->timer.fire = give_known;
    list_append(&w->observers, &observer->node);
    if (w->state == WATCH_OBSERVING)
        core_arm(core, &observer->timer, core_now(core));
    else if (w->state != WATCH_REGISTERING && device_is_awake(device)) /* it begins when one that sleeps wakes up */
        begin(w);
    return observer;
}

void core_unobserve(struct core_observer *observer)
{
    struct watch *w;

    if (!observer)
        return;
    w = observer->watch;
    observer->gone = true;
    if (w->notifying)
        return;
    observer_free(observer);
    stop_unwanted(w);
}

void observers_end(struct device *device, enum fault_code code, const char *why)
{
    struct fault fault;

    (void)fault_set(&fault, code, "%s", why);
    while (!list_empty(&device->watches)) {
        struct watch *w = list_first(&device->watches, struct watch, node);

        w->configured = false;
        w->notifying = true; /* nobody ends it while its observers are told */
        end_observers(w, &fault);
        stop(w);
    }
}

/* What is configured ----------------------------------------------------------------------------------------------- */

static const char *next_word(const char **at, char word[WATCH_TEXT_MAX + 1])
{
    size_t n = strcspn(*at, " ");

    if (n == 0 || n > WATCH_TEXT_MAX)
        return NULL;
    memcpy(word, *at, n);
    word[n] = 0;
    *at += n + strspn(*at + n, " ");
    return word;
}

/* Marks those of a list of paths as configured, and makes those that are missing. */
static void want(struct device *device, const char *paths, uint32_t spread_ms)
{
    char path[WATCH_TEXT_MAX + 1];

    while (paths && next_word(&paths, path)) {
        char *query = strchr(path, '?');
        struct watch *w;

        if (query)
            *query++ = 0;
        w = find(device, path, query, -1);
        if (!w && device->watch_count < WATCH_PATHS_MAX)
            w = watch_new(device, path, query, -1);
        if (!w)
            continue;
        w->configured = true;
        if (!is_under_way(w) && !w->timer.armed)
            try_at(w, random_below(spread_ms));
    }
}

static void drop_unwanted(struct device *device)
{
    list_each(node, &device->watches)
    {
        stop_unwanted(container_of(node, struct watch, node));
    }
}

static void configure(struct device *device, uint32_t spread_ms)
{
    const char *groups = device->groups;
    char name[WATCH_TEXT_MAX + 1];

    list_each(node, &device->watches)
    {
        container_of(node, struct watch, node)->configured = false;
    }
    want(device, device->observe, spread_ms);
    while (groups && next_word(&groups, name))
        want(device, group_paths(device->core, name), spread_ms);
    drop_unwanted(device);
}

void watches_configure(struct device *device, size_t devices)
{
    if (device->core->started && !device->core->stopped && !device->removing)
        configure(device, WAKE_SPREAD_MS + (uint32_t)devices * DEVICE_SPREAD_MS);
}

void watches_start(struct core *core)
{
    uint32_t spread_ms = START_SPREAD_MS + HASH_COUNT(core->devices) * DEVICE_SPREAD_MS;

    for (struct device *device = core->devices; device; device = device->hh.next)
        configure(device, spread_ms);
}

static int check_path(const json_t *value, size_t i, struct fault *fault)
{
    const char *text = json_string_value(value);
    char pointer[FAULT_POINTER_SIZE];
    bool good = text && *text == '/' && strlen(text) <= WATCH_TEXT_MAX;

    for (const char *at = text; good && *at; at++)
        good = *at > ' ' && *at < 0x7f && *at != '#' && *at != '"' && *at != '\\';
    if (good)
        return 0;
    (void)snprintf(pointer, sizeof pointer, "/observe/%zu", i);
    return fault_set_at(fault, FAULT_INVALID_FIELD, pointer,
                        "A path that is observed begins with / and has at most %d characters of ASCII.",
                        WATCH_TEXT_MAX);
}

int watches_read(char out[WATCH_LIST_SIZE], const json_t *array, struct fault *fault)
{
    static const struct body_rule rule = {.type = BODY_ARRAY, .nullable = true, .max = WATCH_PATHS_MAX};
    const json_t *value;
    size_t used = 0, i;

    *out = 0;
    if (body_check_value(array, "/observe", &rule, fault))
        return 1;
    json_array_foreach(array, i, value)
    {
        if (check_path(value, i, fault))
            return 1;
        used += (size_t)snprintf(out + used, WATCH_LIST_SIZE - used, "%s%s", used ? " " : "", json_string_value(value));
    }
    return 0;
}

json_t *watches_json(const char *paths)
{
    json_t *array = json_array();
    char path[WATCH_TEXT_MAX + 1];

    while (paths && next_word(&paths, path))
        (void)json_array_append_new(array, json_string(path));
    return array;
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static json_t *watch_json(const struct watch *w)
{
    struct fault fault = {.code = FAULT_NONE};
    size_t streams = 0;

    list_each(node, &w->observers) streams++;
    if (w->fault)
        (void)fault_set(&fault, w->fault, "%s", w->detail ? w->detail : "");
    return json_pack("{s:s, s:o, s:o, s:s, s:b, s:I, s:o, s:o, s:I, s:o, s:I}", "path", w->observation.path, "query",
                     w->observation.query ? json_string(w->observation.query) : json_null(), "accept",
                     w->observation.accept < 0 ? json_null() : json_integer(w->observation.accept), "state",
                     state_names[w->state], "configured", w->configured, "streams", (json_int_t)streams, "since",
                     json_time(w->since), "notified_at", json_time(w->notified), "notifications",
                     (json_int_t)w->notifications, "error", json_fault(&fault, false), "suppressed",
                     (json_int_t)w->limit.suppressed);
}

json_t *core_observations_json(const struct device *device)
{
    json_t *array = json_array();

    list_each(node, &device->watches)
    {
        (void)json_array_append_new(array, watch_json(container_of(node, struct watch, node)));
    }
    return array;
}

void core_get_watch_stats(const struct core *core, struct watch_stats *out)
{
    *out = (struct watch_stats){core->watch_count[true], core->watch_count[false], core->watch_notifications};
}
