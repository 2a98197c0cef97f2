#include "sim_agent.h"

#include <check.h>
#include <string.h>

static const struct agent_features features[AGENT_KIND_COUNT] = {
    [AGENT_V2] = {.load_is_idempotent = true,
                  .can_replace = true,
                  .can_stop = true,
                  .can_remove = true,
                  .can_log = true,
                  .can_list = true,
                  .start_is_true = true},
};

static const struct agent_features *sim_features(void *arg, enum agent_kind kind)
{
    (void)arg;
    return &features[kind];
}

static int sim_check(void *arg, const struct device *device, const char *uid, const struct artifact *artifact,
                     struct fault *fault)
{
    const struct sim *sim = arg;

    if (artifact->code_size + artifact->data_size <= sim->package_max)
        return 0;
    return fault_set(fault, FAULT_PACKAGE_TOO_LARGE, "Container '%s' is too large for device '%s'.", uid, device->id);
}

static int sim_parse_address(void *arg, const char *text, char *out, struct fault *fault)
{
    (void)arg;
    if (strncmp(text, "coap://", 7) != 0 && strncmp(text, "coaps://", 8) != 0)
        return fault_set(fault, FAULT_INVALID_FIELD, "'%s' is no address.", text);
    (void)text_copy(out, CORE_ADDRESS_MAX + 1, text);
    return 0;
}

struct sim_device *sim_device(struct sim *sim, const char *id, enum agent_kind kind)
{
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        struct sim_device *d = &sim->device[i];

        if (strcmp(d->id, id) == 0)
            return d;
        if (!*d->id) {
            (void)text_copy(d->id, sizeof d->id, id);
            d->kind = kind;
            d->present = true;
            d->slots = 3;
            return d;
        }
    }
    ck_abort_msg("no room for device %s", id);
    return NULL;
}

static unsigned index_of(const struct sim *sim, const char *id)
{
    for (unsigned i = 0; i < SIM_DEVICES; i++)
        if (strcmp(sim->device[i].id, id) == 0)
            return i;
    ck_abort_msg("unknown device %s", id);
    return 0;
}

static enum sim_mishap next_mishap(struct sim *sim, const struct agent_call *call)
{
    for (unsigned i = 0; i < sim->script_size; i++) {
        enum sim_mishap mishap = sim->script[i];

        if (sim->script_verb[i] != call->verb)
            continue;
        sim->script_size--;
        memmove(&sim->script[i], &sim->script[i + 1], (sim->script_size - i) * sizeof *sim->script);
        memmove(&sim->script_verb[i], &sim->script_verb[i + 1], (sim->script_size - i) * sizeof *sim->script_verb);
        return mishap;
    }
    return sim->decide ? sim->decide(sim->decide_arg, call) : SIM_FINE;
}

static void sim_begin(void *arg, struct agent_call *call)
{
    struct sim *sim = arg;
    unsigned i = index_of(sim, call->device->id);
    int64_t now = clock_monotonic_ms(sim->clock);

    if (sim->call[i])
        sim->overlapped++;
    ck_assert(call->verb == AGENT_CALL_PROBE || call->verb == AGENT_CALL_LIST || call->resource ||
              text_is_name(call->uid, CORE_ID_MAX));
    ck_assert_int_eq(call->verb == AGENT_CALL_RESOURCE, call->resource != NULL);
    ck_assert(call->verb != AGENT_CALL_LOAD || (call->artifact && call->code && call->code_size > 0));
    sim->device[i].calls[call->verb]++;
    sim->call[i] = call;
    sim->executed[i] = false;
    sim->mishap[i] = sim->device[i].present ? next_mishap(sim, call) : SIM_UNREACHABLE;
    sim->executes_at[i] = now + sim->latency / 2;
    sim->answers_at[i] = now + sim->latency;
    if (sim->mishap[i] == SIM_LOSE_REQUEST || sim->mishap[i] == SIM_LOSE_ANSWER)
        sim->answers_at[i] = now + SIM_NO_ANSWER_MS;
}

static struct sim_ghost request_of(const struct agent_call *call)
{
    struct sim_ghost request = {.verb = call->verb};

    (void)text_copy(request.uid, sizeof request.uid, call->uid);
    if (call->artifact) {
        (void)text_copy(request.code, sizeof request.code, call->artifact->code_digest);
        (void)text_copy(request.artifact, sizeof request.artifact, call->artifact->id);
    }
    if (call->data)
        (void)snprintf(request.data, sizeof request.data, "%.*s", (int)call->data_size, (const char *)call->data);
    return request;
}

static void sim_cancel(void *arg, struct agent_call *call)
{
    struct sim *sim = arg;
    unsigned i = index_of(sim, call->device->id);

    ck_assert_ptr_eq(sim->call[i], call);
    sim->device[i].cancelled++;
    if (sim->ghosts && !sim->executed[i] && (sim->mishap[i] == SIM_FINE || sim->mishap[i] == SIM_LOSE_ANSWER)) {
        struct sim_ghost *ghost = &sim->ghost[i];

        *ghost = request_of(call);
        ghost->used = true;
        ghost->device = i;
        ghost->at = sim->executes_at[i];
    }
    sim->call[i] = NULL;
    call->driver = NULL;
}

static void sim_observe(void *arg, struct agent_observation *observation)
{
    struct sim *sim = arg;

    ck_assert_uint_lt(sim->observation_count, array_size(sim->observations));
    sim->observations[sim->observation_count++] = observation;
}

static void sim_unobserve(void *arg, struct agent_observation *observation)
{
    struct sim *sim = arg;

    for (unsigned i = 0; i < sim->observation_count; i++)
        if (sim->observations[i] == observation) {
            sim->observations[i] = sim->observations[--sim->observation_count];
            return;
        }
    ck_abort_msg("this is not observed");
}

void sim_init(struct sim *sim, const struct clock *clock)
{
    *sim = (struct sim){.clock = clock, .latency = 20, .package_max = 1000};
}

struct agent_port sim_port(struct sim *sim)
{
    return (struct agent_port){.arg = sim,
                               .features = sim_features,
                               .check = sim_check,
                               .begin = sim_begin,
                               .cancel = sim_cancel,
                               .observe = sim_observe,
                               .unobserve = sim_unobserve,
                               .parse_address = sim_parse_address};
}

void sim_script(struct sim *sim, enum agent_verb verb, enum sim_mishap mishap)
{
    ck_assert_uint_lt(sim->script_size, array_size(sim->script));
    sim->script_verb[sim->script_size] = verb;
    sim->script[sim->script_size++] = mishap;
}

void sim_restart(struct sim_device *device)
{
    memset(device->slot, 0, sizeof device->slot);
}

struct sim_slot *sim_find(struct sim_device *device, const char *uid)
{
    for (unsigned i = 0; i < device->slots; i++)
        if (strcmp(device->slot[i].uid, uid) == 0)
            return &device->slot[i];
    return NULL;
}

/* What the devices do --------------------------------------------------------------------------------------------- */

static void age(struct sim_device *device, int64_t now)
{
    for (unsigned i = 0; i < device->slots; i++) {
        struct sim_slot *slot = &device->slot[i];

        if (slot->state == CONTAINER_RUNNING && slot->dies_at && slot->dies_at <= now)
            slot->state = CONTAINER_STOPPED;
    }
}

static enum agent_outcome load(struct sim_device *device, const struct sim_ghost *request)
{
    struct sim_slot *present = sim_find(device, request->uid), *slot = sim_find(device, "");

    device->loads++;
    if (present && device->kind == AGENT_V2) {
        if (strcmp(present->artifact, request->artifact) == 0 && strcmp(present->data, request->data) == 0)
            return AGENT_OK; /* nothing changes, whether it runs or not */
        slot = present;
    } else if (present) {
        device->double_loads++;
    }
    if (!slot)
        return device->kind == AGENT_V2 ? AGENT_NO_SLOT : AGENT_REFUSED;
    *slot = (struct sim_slot){.state = CONTAINER_INSTALLED};
    memcpy(slot->uid, request->uid, sizeof slot->uid);
    memcpy(slot->code, request->code, sizeof slot->code);
    memcpy(slot->artifact, request->artifact, sizeof slot->artifact);
    memcpy(slot->data, request->data, sizeof slot->data);
    return AGENT_OK;
}

static enum agent_outcome start(struct sim_device *device, const char *uid, int64_t now)
{
    struct sim_slot *slot = sim_find(device, uid);

    if (!slot)
        return device->kind == AGENT_V2 ? AGENT_ABSENT : AGENT_REFUSED;
    if (device->kind == AGENT_V2 && device->start_fails) {
        slot->state = CONTAINER_FAILED;
        return AGENT_REFUSED;
    }
    if (device->kind == AGENT_V1 && slot->state == CONTAINER_STOPPED)
        return AGENT_OK; /* an ended one is not started again, and says so to nobody */
    if (slot->state != CONTAINER_RUNNING)
        slot->dies_at = device->starts_die ? now + 50 : 0;
    slot->state = CONTAINER_RUNNING;
    return AGENT_OK;
}

static enum agent_outcome execute(struct sim_device *device, const struct sim_ghost *request, int64_t now)
{
    struct sim_slot *slot = sim_find(device, request->uid);

    age(device, now);
    switch (request->verb) {
    case AGENT_CALL_LOAD:
        return load(device, request);
    case AGENT_CALL_START:
        return start(device, request->uid, now);
    case AGENT_CALL_STATUS:
    case AGENT_CALL_LOG:
        return slot || device->kind == AGENT_V1 ? AGENT_OK : AGENT_ABSENT;
    case AGENT_CALL_STOP:
        if (device->kind == AGENT_V1)
            return AGENT_UNSUPPORTED;
        if (slot)
            slot->state = CONTAINER_STOPPED;
        return slot ? AGENT_OK : AGENT_ABSENT;
    case AGENT_CALL_REMOVE:
        if (device->kind == AGENT_V1)
            return AGENT_UNSUPPORTED;
        if (slot)
            memset(slot, 0, sizeof *slot);
        return slot ? AGENT_OK : AGENT_ABSENT;
    case AGENT_CALL_PROBE:
    case AGENT_CALL_LIST:
    case AGENT_CALL_RESOURCE:
    case AGENT_CALL_COUNT:
        break;
    }
    return AGENT_OK;
}

static void execute_call(struct sim *sim, unsigned i)
{
    struct agent_call *call = sim->call[i];
    const struct sim_ghost request = request_of(call);

    sim->executed[i] = true;
    if (sim->mishap[i] == SIM_FINE || sim->mishap[i] == SIM_LOSE_ANSWER || sim->mishap[i] == SIM_GARBAGE)
        call->outcome = execute(&sim->device[i], &request, clock_monotonic_ms(sim->clock));
}

/* What the test wants it to answer; 2.03 to one who has it already. */
static void reply(const struct sim *sim, struct agent_call *call)
{
    const struct agent_resource *request = call->resource;
    struct agent_response *response = &call->response;

    free(response->body);
    *response =
        (struct agent_response){.code = sim->reply.code, .format = sim->reply.format, .max_age = sim->reply.max_age};
    response->etag_size = (uint8_t)strlen(sim->reply.etag);
    memcpy(response->etag, sim->reply.etag, response->etag_size);
    if (request->etag_size && request->etag_size == response->etag_size &&
        memcmp(request->etag, response->etag, response->etag_size) == 0)
        response->code = 67;
    response->body = (uint8_t *)strdup(response->code == 67 ? "" : sim->reply.body);
    response->body_size = strlen((char *)response->body);
}

static void fill_answer(struct sim *sim, struct sim_device *device, struct agent_call *call)
{
    const struct sim_slot *slot = sim_find(device, call->uid);

    if (call->outcome != AGENT_OK)
        return;
    if (call->verb == AGENT_CALL_STATUS && device->kind == AGENT_V1) {
        call->state = slot && slot->state == CONTAINER_RUNNING ? CONTAINER_RUNNING : CONTAINER_STOPPED;
    } else if (slot && device->kind == AGENT_V2) {
        call->state = slot->state;
        if (call->verb == AGENT_CALL_STATUS)
            (void)text_copy(call->artifact_seen, sizeof call->artifact_seen, slot->code);
    }
    if (call->verb == AGENT_CALL_PROBE) {
        call->probe.kind = device->kind;
        call->probe.caps.slots = device->kind == AGENT_V2 ? device->slots : 0;
        (void)text_copy(call->probe.version, sizeof call->probe.version, "sim \xff 1");
    }
    if (call->verb == AGENT_CALL_RESOURCE) { /* tells what it was asked */
        char text[300];
        int n = snprintf(text, sizeof text, "%d %s?%s %zu", call->resource->method, call->resource->path,
                         call->resource->query ? call->resource->query : "", call->resource->body_size);

        call->response = (struct agent_response){.code = 69, .format = 0, .body = (uint8_t *)strdup(text)};
        call->response.body_size = (size_t)n;
        if (sim->reply.body)
            reply(sim, call);
    }
    if (call->verb == AGENT_CALL_LIST) {
        call->held = calloc(device->slots, sizeof *call->held);
        for (unsigned i = 0; i < device->slots; i++) {
            struct agent_held *held = &call->held[call->held_count];

            call->held_count += *device->slot[i].uid != 0;
            memcpy(held->uid, device->slot[i].uid, sizeof held->uid);
            held->state = device->slot[i].state;
            memcpy(held->artifact_seen, device->slot[i].code, sizeof held->artifact_seen);
        }
    }
    if (call->verb == AGENT_CALL_LOG) {
        call->log = (uint8_t *)strdup("line\n");
        call->log_size = 5;
    }
}

static void answer(struct sim *sim, unsigned i)
{
    static const enum agent_outcome outcomes[] = {
        [SIM_LOSE_REQUEST] = AGENT_NO_ANSWER,  [SIM_LOSE_ANSWER] = AGENT_NO_ANSWER, [SIM_GARBAGE] = AGENT_GARBAGE,
        [SIM_UNREACHABLE] = AGENT_UNREACHABLE, [SIM_REFUSE] = AGENT_REFUSED,        [SIM_LOCAL] = AGENT_LOCAL,
    };
    struct agent_call *call = sim->call[i];

    sim->call[i] = NULL;
    if (sim->mishap[i] != SIM_FINE)
        call->outcome = outcomes[sim->mishap[i]];
    else
        fill_answer(sim, &sim->device[i], call);
    call->done(call);
}

static int64_t next_of(const struct sim *sim, unsigned i)
{
    int64_t next = INT64_MAX;

    if (sim->call[i])
        next = sim->executed[i] ? sim->answers_at[i] : sim->executes_at[i];
    if (sim->ghost[i].used && sim->ghost[i].at < next)
        next = sim->ghost[i].at;
    return next;
}

int64_t sim_next(const struct sim *sim)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < SIM_DEVICES; i++)
        if (next_of(sim, i) < next)
            next = next_of(sim, i);
    return next;
}

void sim_run(struct sim *sim)
{
    int64_t now = clock_monotonic_ms(sim->clock);

    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        struct sim_ghost *ghost = &sim->ghost[i];

        if (ghost->used && ghost->at <= now) {
            ghost->used = false;
            (void)execute(&sim->device[i], ghost, now);
        }
        if (sim->call[i] && !sim->executed[i] && sim->executes_at[i] <= now)
            execute_call(sim, i);
        if (sim->call[i] && sim->executed[i] && sim->answers_at[i] <= now)
            answer(sim, i);
        age(&sim->device[i], now);
    }
}

bool sim_is_quiet(const struct sim *sim, const struct sim_device *device)
{
    return next_of(sim, (unsigned)(device - sim->device)) == INT64_MAX;
}
