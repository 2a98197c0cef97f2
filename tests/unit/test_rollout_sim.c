#include "base/log.h"
#include "core/rollout.h"
#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/*
 * Rollouts in bad weather: lost answers, devices that come and go, disks that fail, and a gateway that crashes at any
 * moment and forgets what it had not committed. From each seed always the same history.
 * ROLLOUT_SIM_SEEDS in the environment runs more of them.
 */

#define DEVICES 6
#define PARALLEL 2
#define STEPS 4000

static struct core_fixture f;
static uint64_t state;
static unsigned mishaps; /* in 100 calls */
static char versions[2][CORE_DIGEST_TEXT], id[UUID_SIZE];
static bool acknowledged;
static enum rollout_action asked;

static uint32_t draw(uint32_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % below);
}

static const char *name_of(unsigned i)
{
    static char name[8];

    (void)snprintf(name, sizeof name, "d%u", i);
    return name;
}

static struct sim_device *sim_of(unsigned i)
{
    return sim_device(&f.sim, name_of(i), AGENT_V2);
}

static enum sim_mishap decide(void *arg, const struct agent_call *call)
{
    static const enum sim_mishap kinds[] = {SIM_LOSE_REQUEST, SIM_LOSE_ANSWER, SIM_UNREACHABLE};

    (void)arg, (void)call;
    return draw(100) < mishaps ? kinds[draw(array_size(kinds))] : SIM_FINE;
}

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
            next = f.clock.monotonic + 5;
        clock_manual_advance(&f.clock, next > f.clock.monotonic ? next - f.clock.monotonic : 1);
        sim_run(&f.sim);
        if (core_next_deadline(f.core) <= f.clock.monotonic)
            core_run(f.core);
    }
}

static void restart(bool crash)
{
    const struct store_options options = {.directory = f.directory};

    if (crash)
        fake_store_crash(f.store);
    f.core = core_free(f.core);
    f.store = store_close(f.store);
    clock_manual_advance(&f.clock, draw(5000));
    f.clock.monotonic = draw(1000000); /* it may be another boot */
    for (unsigned i = 0; i < SIM_DEVICES; i++)
        if (f.sim.ghost[i].used)
            f.sim.ghost[i].at = f.clock.monotonic;
    sim_run(&f.sim);
    ck_assert_int_eq(store_open(&f.store, &options, NULL, 0), 0);
    f.options.store = f.store;
    ck_assert_int_eq(core_new(&f.core, &f.options), 0);
    core_start(f.core);
}

static void weather(void)
{
    if (draw(12) == 0)
        restart(draw(2));
    if (draw(12) == 0)
        fake_store_fail(1 + draw(5), draw(2) ? -ENOSPC : -EIO);
    if (draw(30) == 0)
        sim_of(draw(DEVICES))->present = draw(3) > 0;
    advance(draw(4) ? draw(50) : draw(2000));
}

/* The rollout ---------------------------------------------------------------------------------------------------- */

static void note_added(void *arg, const struct fault *fault)
{
    (void)arg;
    acknowledged |= fault->code == FAULT_NONE;
}

/* Until one has been acknowledged, which then is there whatever happens. */
static void create(const char *artifact)
{
    json_t *body = json_pack("{s:s, s:s, s:{s:b}, s:i, s:[{s:i}], s:i, s:i, s:i, s:i}", "container", "app", "artifact",
                             artifact, "devices", "all", 1, "canaries", 1, "waves", "count", 2, "max_parallel",
                             PARALLEL, "max_failures", DEVICES, "max_attempts", 100, "device_timeout_s", 1000000);

    acknowledged = false;
    while (!acknowledged) {
        struct fault fault;
        json_t *made;

        ck_assert_int_eq(core_add_rollout(f.core, body, note_added, NULL, &fault, id), 0);
        for (int i = 0; i < 20 && !acknowledged; i++)
            weather();
        core_flush(&f);
        made = core_rollout_json(f.core, id, false); /* it may be durable, and the answer lost in a crash */
        acknowledged |= made != NULL;
        json_decref(made);
    }
    json_decref(body);
}

static json_t *show(void)
{
    json_t *json = core_rollout_json(f.core, id, true);

    ck_assert_msg(json != NULL, "an acknowledged rollout was lost");
    return json;
}

static const char *text_of(const json_t *json, const char *member)
{
    return json_string_value(json_object_get(json, member));
}

/* No wave is begun before the one before is over, and never more devices at a time than said. */
static void check_order(const json_t *json)
{
    size_t wave, count[DEVICES + 1] = {0};
    const json_t *w;
    json_int_t updating = 0;

    json_array_foreach(json_object_get(json, "waves"), wave, w)
    {
        json_int_t total = json_integer_value(json_object_get(w, "total")),
                   pending = json_integer_value(json_object_get(w, "pending"));

        updating += json_integer_value(json_object_get(w, "updating"));
        ck_assert(wave == 0 || count[wave - 1] == 0 || pending == total);
        count[wave] = (size_t)(pending + json_integer_value(json_object_get(w, "updating")));
    }
    ck_assert_int_le(updating, PARALLEL);
}

/* A device that is done runs what the rollout brings, unless it was switched off meanwhile, which is never here. */
static void check_devices(const json_t *json, const char *artifact)
{
    const json_t *m;
    size_t i;

    json_array_foreach(json_object_get(json, "devices"), i, m)
    {
        const struct sim_slot *slot = sim_find(sim_device(&f.sim, text_of(m, "device"), AGENT_V2), "app");

        if (strcmp(text_of(m, "state"), "done") == 0)
            ck_assert_msg(slot && strcmp(slot->artifact, artifact) == 0 && slot->state == CONTAINER_RUNNING,
                          "%s is not what it is said to be", text_of(m, "device"));
        else if (strcmp(text_of(m, "state"), "pending") == 0)
            ck_assert_msg(!slot || strcmp(slot->artifact, artifact) != 0, "%s was before its turn",
                          text_of(m, "device"));
    }
}

static void note_acted(void *arg, const struct fault *fault)
{
    (void)arg;
    acknowledged |= fault->code == FAULT_NONE;
}

/* A person pauses it and lets it go on; what was acknowledged is so. */
static void interfere(void)
{
    struct fault fault;
    json_t *json;

    if (acknowledged) {
        json = show();
        ck_assert(asked != ROLLOUT_PAUSE || strcmp(text_of(json, "state"), "paused") == 0);
        json_decref(json);
    }
    if (draw(20))
        return;
    acknowledged = false;
    asked = draw(2) ? ROLLOUT_PAUSE : ROLLOUT_RESUME;
    (void)!core_act_on_rollout(f.core, id, asked, note_acted, NULL, &fault);
}

static bool is_in(const char *wanted)
{
    json_t *json = show();
    bool is = strcmp(text_of(json, "state"), wanted) == 0;

    json_decref(json);
    return is;
}

static void clear_up(void)
{
    mishaps = 0;
    fake_store_fail(0, 0);
    for (unsigned i = 0; i < DEVICES; i++)
        sim_of(i)->present = true;
}

static void act_for_sure(enum rollout_action action)
{
    struct fault fault;

    acknowledged = false;
    ck_assert_int_eq(core_act_on_rollout(f.core, id, action, note_acted, NULL, &fault), 0);
    core_flush(&f);
    ck_assert(acknowledged);
}

static void drive(const char *artifact, const char *end)
{
    acknowledged = false;
    for (int i = 0; i < STEPS && !is_in(end); i++) {
        json_t *json;

        weather();
        interfere();
        json = show();
        check_order(json);
        check_devices(json, artifact);
        json_decref(json);
    }
    clear_up();
    core_flush(&f);
    if (is_in("paused"))
        act_for_sure(ROLLOUT_RESUME);
    for (int i = 0; i < 600 && !is_in(end); i++)
        core_advance(&f, 1000);
    ck_assert(is_in(end));
}

static void all_run(const char *artifact)
{
    core_advance(&f, 60000);
    for (unsigned i = 0; i < DEVICES; i++) {
        const struct sim_slot *slot = sim_find(sim_of(i), "app");

        ck_assert(slot && slot->state == CONTAINER_RUNNING && strcmp(slot->artifact, artifact) == 0);
        ck_assert_uint_eq(sim_of(i)->double_loads, 0);
    }
}

static void set_up(void)
{
    core_setup(&f);
    f.options.reconcile.retry_min_ms = 1000;
    f.options.reconcile.retry_max_ms = 4000;
    f.options.operation_ttl_ms = 20000;
    core_configure(f.core, &f.options);
    f.sim.decide = decide;
    f.sim.ghosts = true;
    for (unsigned i = 0; i < DEVICES; i++)
        (void)add_device(&f, name_of(i), AGENT_V2);
    for (int i = 0; i < 2; i++)
        (void)text_copy(versions[i], sizeof versions[i], add_artifact(&f, i ? "two" : "one", NULL));
}

static void run_seed(uint64_t seed)
{
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 20; i++)
        (void)draw(2);
    fake_store_wipe();
    set_up();
    for (int i = 0; i < 2; i++) {
        mishaps = draw(30);
        create(versions[i]);
        drive(versions[i], "succeeded");
        all_run(versions[i]);
    }
    mishaps = draw(30);
    act_for_sure(ROLLOUT_ROLL_BACK);
    for (int i = 0; i < STEPS && !is_in("rolled-back"); i++)
        weather();
    clear_up();
    for (int i = 0; i < 600 && !is_in("rolled-back"); i++)
        core_advance(&f, 1000);
    all_run(versions[0]);
    core_teardown(&f);
    fake_store_wipe();
}

START_TEST(histories)
{
    const char *more = getenv("ROLLOUT_SIM_SEEDS");
    long seeds = more ? strtol(more, NULL, 10) : 2;

    for (long i = 0; i < seeds; i++) {
        uint64_t seed = (uint64_t)(_i + 1) * 100000 + (uint64_t)i;

        (void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        run_seed(seed);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rollout_sim");
    TCase *tcase = tcase_create("sim");

    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, histories, 0, 6);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
