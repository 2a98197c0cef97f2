#include "base/log.h"
#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/*
 * Random histories: people's requests, lost answers, nonsense, devices that restart, disks that fail, a gateway that
 * stops, and one that crashes and forgets what it had not committed. From each seed always the same one.
 * CORE_SIM_SEEDS in the environment runs more of them.
 */

#define DEVICES 4
#define UIDS 3
#define ARTIFACTS 3
#define REQUESTS 8192
#define STEPS 2500

static struct core_fixture f;
static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % below);
}

static const char *const device_ids[DEVICES] = {"v1-a", "v1-b", "v2-a", "v2-b"};
static const char *const uids[UIDS] = {"red", "green", "blue"};
static char artifacts[ARTIFACTS][CORE_DIGEST_TEXT];
static unsigned mishaps; /* in 100 calls */
static unsigned queries_open;

/* Every request that became an operation. */
static struct request {
    char id[UUID_SIZE];
    unsigned device;
    bool acknowledged;
    bool excused;              /* its device was to be removed, and it may have gone with it */
    enum operation_state seen; /* the final state that was visible; OPERATION_QUEUED: none */
} requests[REQUESTS];
static unsigned request_count;

static void note_acknowledged(void *arg, const struct fault *fault)
{
    struct request *request = arg;

    request->acknowledged = fault->code == FAULT_NONE;
}

static enum agent_kind kind_of(unsigned device)
{
    return device < 2 ? AGENT_V1 : AGENT_V2;
}

static enum sim_mishap decide(void *arg, const struct agent_call *call)
{
    static const enum sim_mishap kinds[] = {SIM_LOSE_REQUEST, SIM_LOSE_ANSWER, SIM_LOSE_ANSWER, SIM_GARBAGE,
                                            SIM_UNREACHABLE,  SIM_LOCAL,       SIM_REFUSE};
    enum sim_mishap mishap = kinds[draw(array_size(kinds))];

    (void)arg;
    if (draw(100) >= mishaps)
        return SIM_FINE;
    /* 5.00 to a start says that the uid is not there, and v1 agents do not lie about that. */
    if (mishap == SIM_REFUSE && call->verb == AGENT_CALL_START && call->device->agent == AGENT_V1)
        return SIM_FINE;
    return mishap;
}

/* Time passes; the store gets on by random steps. */
static void advance(int64_t ms)
{
    int64_t end = f.clock.monotonic + ms;

    while (f.clock.monotonic < end) {
        int64_t next = end;

        fake_store_commit(f.store, draw(4));
        fake_store_tell(f.store, draw(4));
        if (core_next_deadline(f.core) < next)
            next = core_next_deadline(f.core);
        if (sim_next(&f.sim) < next)
            next = sim_next(&f.sim);
        if (next > f.clock.monotonic + 5)
            next = f.clock.monotonic + 5; /* what the store does may make something due */
        clock_manual_advance(&f.clock, next > f.clock.monotonic ? next - f.clock.monotonic : 0);
        sim_run(&f.sim);
        if (core_next_deadline(f.core) <= f.clock.monotonic)
            core_run(f.core);
        if (next <= f.clock.monotonic && draw(4) == 0)
            clock_manual_advance(&f.clock, 1);
    }
}

static struct device *some_device(unsigned *index)
{
    *index = draw(DEVICES);
    return core_find_device(f.core, device_ids[*index]);
}

static struct request *new_request(unsigned device)
{
    ck_assert_uint_lt(request_count, REQUESTS);
    requests[request_count] = (struct request){.device = device};
    return &requests[request_count];
}

static void keep_request(struct request *request, const struct operation *op)
{
    (void)text_copy(request->id, sizeof request->id, op->id);
    request_count++;
}

static void do_put(void)
{
    unsigned index;
    struct device *device = some_device(&index);
    struct request *request = new_request(index);
    struct operation *op;
    json_t *body =
        json_pack("{s:s, s:s}", "artifact", artifacts[draw(ARTIFACTS)], "state", draw(4) ? "running" : "stopped");

    if (device && core_put_container(f.core, device, uids[draw(UIDS)], body, draw(3) ? 0 : 500 + draw(20000),
                                     note_acknowledged, request, NULL, &op) == 0)
        keep_request(request, op);
    json_decref(body);
}

static void do_act(void)
{
    static const enum operation_kind kinds[] = {OPERATION_START, OPERATION_STOP, OPERATION_REMOVE};
    unsigned index;
    struct device *device = some_device(&index);
    struct container *c = device ? core_find_container(device, uids[draw(UIDS)]) : NULL;
    struct request *request = new_request(index);
    struct operation *op;

    if (c && core_act_on_container(f.core, c, kinds[draw(3)], 0, note_acknowledged, request, NULL, &op) == 0)
        keep_request(request, op);
}

static void do_probe(void)
{
    unsigned index;
    struct device *device = some_device(&index);
    struct request *request = new_request(index);
    struct operation *op;

    if (device && core_probe_device(f.core, device, 0, note_acknowledged, request, NULL, &op) == 0)
        keep_request(request, op);
}

static void note_query(void *arg, const struct core_query_result *result)
{
    (void)arg;
    (void)result;
    ck_assert_uint_gt(queries_open, 0);
    queries_open--;
}

static void do_query(void)
{
    unsigned index;
    struct device *device = some_device(&index);
    struct container *c = device ? core_find_container(device, uids[draw(UIDS)]) : NULL;

    if (c && core_query_container(f.core, c, draw(4) ? CORE_QUERY_STATUS : CORE_QUERY_LOG, 1 + draw(3000), note_query,
                                  NULL, NULL) == 0)
        queries_open++;
}

static void do_cancel(void)
{
    struct operation *op = request_count ? core_find_operation(f.core, requests[draw(request_count)].id) : NULL;

    if (op)
        (void)!core_cancel_operation(f.core, op, NULL, NULL, NULL);
}

static void do_device_restart(void)
{
    sim_restart(sim_device(&f.sim, device_ids[draw(DEVICES)], AGENT_V1));
}

/* A person restarts the device and says so. */
static void do_forget(void)
{
    unsigned index;
    struct device *device = some_device(&index);
    struct sim_device *sim = sim_device(&f.sim, device_ids[index], AGENT_V1);
    struct container *c = device ? core_find_container(device, uids[draw(UIDS)]) : NULL;

    if (!c || !sim_is_quiet(&f.sim, sim))
        return;
    sim_restart(sim);
    (void)!core_forget_container(f.core, c, NULL, NULL, NULL);
}

static void add_missing_devices(void)
{
    struct device *added;

    for (unsigned i = 0; i < DEVICES; i++) {
        json_t *body = json_pack("{s:s, s:s, s:s}", "id", device_ids[i], "address", "coap://x", "agent",
                                 agent_kind_name(kind_of(i)));

        (void)sim_device(&f.sim, device_ids[i], kind_of(i));
        if (!core_find_device(f.core, device_ids[i]))
            (void)!core_add_device(f.core, body, NULL, NULL, NULL, &added);
        json_decref(body);
    }
}

static void do_remove_device(void)
{
    unsigned index;
    struct device *device = some_device(&index);
    struct sim_device *sim = sim_device(&f.sim, device_ids[index], AGENT_V1);

    if (draw(4) || !device || !sim_is_quiet(&f.sim, sim))
        return;
    sim_restart(sim);
    for (unsigned i = 0; i < request_count; i++)
        if (requests[i].device == index)
            requests[i].excused = true;
    (void)!core_remove_device(f.core, device, NULL, NULL, NULL);
}

/* What was acknowledged is there; what was seen to have ended has. */
static void check_requests(void)
{
    for (unsigned i = 0; i < request_count; i++) {
        const struct operation *op = core_find_operation(f.core, requests[i].id);

        if (!requests[i].acknowledged || requests[i].excused)
            continue;
        ck_assert_msg(op != NULL, "operation %s was lost", requests[i].id);
        if (requests[i].seen)
            ck_assert_msg(op->state == requests[i].seen, "operation %s was %s and is %s", op->id,
                          operation_state_name(requests[i].seen), operation_state_name(op->state));
        if (operation_is_finished(op))
            requests[i].seen = op->state;
    }
}

static void open_gateway(void)
{
    const struct store_options options = {.directory = f.directory};

    ck_assert_int_eq(store_open(&f.store, &options, NULL, 0), 0);
    f.options.store = f.store;
    ck_assert_int_eq(core_new(&f.core, &f.options), 0);
    check_requests();
    core_start(f.core);
    add_missing_devices();
}

static void do_gateway_restart(void)
{
    check_requests();
    if (draw(2))
        fake_store_crash(f.store);
    f.core = core_free(f.core);
    ck_assert_uint_eq(queries_open, 0);
    f.store = store_close(f.store);
    clock_manual_advance(&f.clock, draw(5000));
    f.clock.monotonic = draw(1000000);         /* it may be another boot */
    for (unsigned i = 0; i < SIM_DEVICES; i++) /* what was on its way arrives before the gateway is back */
        if (f.sim.ghost[i].used)
            f.sim.ghost[i].at = f.clock.monotonic;
    sim_run(&f.sim);
    open_gateway();
}

static void step(void)
{
    static void (*const actions[])(void) = {
        do_put,
        do_put,
        do_put,
        do_put,
        do_act,
        do_act,
        do_act,
        do_query,
        do_query,
        do_query,
        do_cancel,
        do_probe,
        do_forget,
        do_query,
        do_remove_device,
        do_device_restart,
        do_gateway_restart,
    };
    size_t count = array_size(actions);

    if (draw(3) == 0)
        actions[draw((uint32_t)count)]();
    if (draw(60) == 0)
        fake_store_fail(1 + draw(5), draw(2) ? -ENOSPC : -EIO);
    if (draw(40) == 0)
        sim_device(&f.sim, device_ids[draw(DEVICES)], AGENT_V1)->starts_die = draw(3) == 0;
    if (draw(40) == 0)
        sim_device(&f.sim, device_ids[draw(DEVICES)], AGENT_V1)->present = draw(4) > 0;
    add_missing_devices();
    advance(draw(4) ? draw(30) : draw(1500));
    ck_assert_uint_eq(f.sim.overlapped, 0);
    for (unsigned i = 0; i < DEVICES; i++)
        ck_assert_msg(f.sim.device[i].double_loads == 0, "device %s took a container twice", f.sim.device[i].id);
}

/* The weather clears; all that is unfinished comes to its end. */
static void drain(void)
{
    struct core_stats stats;

    mishaps = 0;
    fake_store_fail(0, 0);
    for (unsigned i = 0; i < DEVICES; i++) {
        f.sim.device[i].present = true;
        f.sim.device[i].starts_die = f.sim.device[i].start_fails = false;
    }
    for (int i = 0; i < 700; i++)
        core_advance(&f, 1000);
    core_get_stats(f.core, &stats);
    ck_assert_uint_eq(stats.operations_unfinished, 0);
    ck_assert_uint_eq(queries_open, 0);
    check_requests();
    for (unsigned i = 0; i < request_count; i++)
        ck_assert(!requests[i].acknowledged || requests[i].excused || requests[i].seen);
}

/* What the gateway believes of v2 devices is what they hold, once it has asked. */
static void check_beliefs(void)
{
    for (unsigned d = 2; d < DEVICES; d++)
        for (unsigned u = 0; u < UIDS; u++) {
            struct container *c = core_find_container(core_find_device(f.core, device_ids[d]), uids[u]);
            const struct sim_slot *slot = sim_find(&f.sim.device[d], uids[u]);

            if (!c)
                continue;
            queries_open++;
            ck_assert_int_eq(core_query_container(f.core, c, CORE_QUERY_STATUS, 5000, note_query, NULL, NULL), 0);
            core_advance(&f, 100);
            ck_assert_int_eq(c->reported, slot ? slot->state : CONTAINER_ABSENT);
            ck_assert_int_eq(c->load == LOAD_NONE, slot == NULL);
        }
}

/* From here everything that is desired comes true. */
static void converge(void)
{
    for (unsigned d = 0; d < DEVICES; d++)
        for (unsigned u = 0; u < UIDS; u++) {
            struct device *device = core_find_device(f.core, device_ids[d]);
            struct container *c = core_find_container(device, uids[u]);
            const char *artifact = artifacts[draw(ARTIFACTS)];
            const struct sim_slot *slot;

            if (kind_of(d) == AGENT_V1) { /* a v1 device takes another artifact only after a restart */
                sim_restart(&f.sim.device[d]);
                if (c)
                    ck_assert_int_eq(core_forget_container(f.core, c, NULL, NULL, NULL), 0);
                core_advance(&f, 100);
            }
            deploys(&f, device, uids[u], artifact, OPERATION_SUCCEEDED, FAULT_NONE);
            slot = sim_find(&f.sim.device[d], uids[u]);
            ck_assert(slot && slot->state == CONTAINER_RUNNING && strcmp(slot->artifact, artifact) == 0);
            c = core_find_container(device, uids[u]);
            ck_assert(c->reported == CONTAINER_RUNNING && strcmp(c->reported_artifact, artifact) == 0);
        }
}

static void run_seed(uint64_t seed)
{
    static const char *const parts[ARTIFACTS][2] = {{"code", "data"}, {"code", "other data"}, {"other code", NULL}};
    unsigned loads = 0;

    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 20; i++)
        (void)draw(2);
    request_count = 0;
    fake_store_wipe();
    core_setup(&f);
    f.options.operations_kept = REQUESTS;
    f.options.max_containers_per_device = UIDS;
    core_configure(f.core, &f.options);
    f.sim.decide = decide;
    f.sim.ghosts = true;
    mishaps = draw(2) ? draw(40) : 3;
    for (int i = 0; i < ARTIFACTS; i++)
        (void)text_copy(artifacts[i], CORE_DIGEST_TEXT, add_artifact(&f, parts[i][0], parts[i][1]));
    add_missing_devices();
    core_flush(&f);
    for (int i = 0; i < STEPS; i++)
        step();
    add_missing_devices();
    drain();
    check_beliefs();
    converge();
    for (unsigned i = 0; i < DEVICES; i++) {
        ck_assert_uint_eq(f.sim.device[i].double_loads, 0);
        loads += f.sim.device[i].loads;
    }
    ck_assert_uint_gt(loads, 10); /* something happened */
    core_teardown(&f);
    fake_store_wipe();
}

START_TEST(histories)
{
    const char *more = getenv("CORE_SIM_SEEDS");
    long seeds = more ? strtol(more, NULL, 10) : 2;

    for (long i = 0; i < seeds; i++) {
        uint64_t seed = (uint64_t)(_i + 1) * 100000 + (uint64_t)i;

        (void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed); /* check shows nothing of it, a log does */
        run_seed(seed);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_sim");
    TCase *tcase = tcase_create("sim");

    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, histories, 0, 8);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
