#include "base/log.h"
#include "core/internal.h"
#include "core/rollout.h"
#include "core/trust.h"
#include "core_fixture.h"
#include "fake_store.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/*
 * Random histories of what is desired: services, rollouts, releases, policies, labels and people, while answers get
 * lost, devices restart, disks fail, and the gateway stops or crashes. At the end of each: what is in memory is what is
 * stored, nothing counts wrongly, no number fell, and what services want runs. DESIRED_SIM_SEEDS runs more of them.
 */

#define DEVICES 4
#define UIDS 3
#define VERSIONS 4
#define STEPS 800

static struct core_fixture f;
static uint64_t state;
static unsigned mishaps; /* in 100 calls */
static char artifacts[VERSIONS][CORE_DIGEST_TEXT];

static const char *const device_ids[DEVICES] = {"a", "b", "c", "d"};
static const char *const uids[UIDS] = {"red", "green", "blue"};
static const char *const services[] = {"one", "two"};

static uint32_t draw(uint32_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % below);
}

static enum sim_mishap decide(void *arg, const struct agent_call *call)
{
    static const enum sim_mishap kinds[] = {SIM_LOSE_REQUEST, SIM_LOSE_ANSWER, SIM_UNREACHABLE, SIM_REFUSE, SIM_LOCAL};

    enum sim_mishap mishap = kinds[draw(array_size(kinds))];

    (void)arg;
    if (draw(100) >= mishaps)
        return SIM_FINE;
    /* 5.00 to a start says that the uid is not there, and v1 agents do not lie about that. */
    return mishap == SIM_REFUSE && call->device->agent == AGENT_V1 ? SIM_LOSE_REQUEST : mishap;
}

static enum agent_kind kind_of(const char *device)
{
    return *device == 'd' ? AGENT_V1 : AGENT_V2;
}

static struct sim_device *sim_of(const char *device)
{
    return sim_device(&f.sim, device, kind_of(device));
}

/* What people do --------------------------------------------------------------------------------------------------- */

static void add_missing(void)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        json_t *body = json_pack("{s:s, s:s, s:s, s:[s]}", "id", device_ids[i], "address", "coap://x", "agent",
                                 agent_kind_name(kind_of(device_ids[i])), "groups", i % 2 ? "odd" : "even");
        struct device *added;

        if (!core_find_device(f.core, device_ids[i]))
            (void)!core_add_device(f.core, body, NULL, NULL, NULL, &added);
        json_decref(body);
    }
    for (int i = 0; i < VERSIONS; i++) {
        char key[CORE_RELEASE_TEXT];
        json_t *body = json_pack("{s:s, s:o, s:i, s:[s]}", "name", "door", "version", json_sprintf("%d", i + 1),
                                 "sequence", i + 1, "artifacts", artifacts[i]);

        (void)snprintf(key, sizeof key, "door@%d", i + 1);
        if (!document_find(f.core, DOCUMENT_RELEASE, key))
            (void)!core_add_release(f.core, body, NULL, NULL, NULL, key);
        json_decref(body);
    }
}

static json_t *some_devices(void)
{
    static const char *const selectors[] = {"{'all':true}", "{'groups':['odd']}", "{'expression':'floor=1'}",
                                            "{'devices':['a','c','gone']}"};

    return json_of(selectors[draw(array_size(selectors))]);
}

static json_t *some_release(void)
{
    return json_sprintf("door@%u", 1 + draw(VERSIONS));
}

static void put_service(void)
{
    json_t *body = json_pack("{s:o, s:[{s:s, s:o}]}", "devices", some_devices(), "containers", "uid", uids[draw(UIDS)],
                             "release", some_release());

    if (draw(2))
        (void)json_array_append_new(
            json_object_get(body, "containers"),
            json_pack("{s:s, s:o, s:[o]}", "uid", "last", "release", some_release(), "needs",
                      json_incref(json_object_get(json_array_get(json_object_get(body, "containers"), 0), "uid"))));
    (void)!core_put_service(f.core, services[draw(2)], body, NULL, NULL, NULL);
    json_decref(body);
}

static void remove_service(void)
{
    (void)!core_remove_service(f.core, services[draw(2)], NULL, NULL, NULL);
}

static void put_container(void)
{
    struct device *device = core_find_device(f.core, device_ids[draw(DEVICES)]);
    json_t *body = json_pack("{s:o, s:b}", "release", some_release(), "rollback", draw(3) == 0);
    struct operation *op;

    if (device)
        (void)!core_put_container(f.core, device, uids[draw(UIDS)], body, 0, NULL, NULL, NULL, &op);
    json_decref(body);
}

static void act_on_container(void)
{
    static const enum operation_kind kinds[] = {OPERATION_START, OPERATION_STOP, OPERATION_REMOVE};
    struct device *device = core_find_device(f.core, device_ids[draw(DEVICES)]);
    struct container *c = device ? core_find_container(device, uids[draw(UIDS)]) : NULL;
    struct operation *op;

    if (c && draw(4))
        (void)!core_act_on_container(f.core, c, kinds[draw(3)], 0, NULL, NULL, NULL, &op);
    else if (c && device->agent == AGENT_V2) /* a v1 agent would take it again */
        (void)!core_forget_container(f.core, c, NULL, NULL, NULL);
}

static void patch_device(void)
{
    struct device *device = core_find_device(f.core, device_ids[draw(DEVICES)]);
    json_t *body = json_pack("{s:{s:s}}", "labels", "floor", draw(2) ? "1" : "2");

    if (device)
        (void)!core_patch_device(f.core, device, body, NULL, NULL, NULL);
    json_decref(body);
}

static void remove_device(void)
{
    struct device *device = core_find_device(f.core, device_ids[draw(DEVICES)]);

    if (device && device->agent == AGENT_V2 && draw(4) == 0)
        (void)!core_remove_device(f.core, device, NULL, NULL, NULL);
}

static void put_policy(void)
{
    json_t *body = json_pack("{s:b, s:o}", "allow", draw(2), "devices", some_devices());

    if (draw(2))
        (void)!core_put_policy(f.core, draw(2) ? "p" : "q", body, NULL, NULL, NULL);
    else
        (void)!core_remove_policy(f.core, draw(2) ? "p" : "q", NULL, NULL, NULL);
    json_decref(body);
}

static void add_rollout(void)
{
    json_t *body = json_pack("{s:o, s:s, s:o, s:s, s:i, s:b, s:i}", "devices", some_devices(), "container",
                             uids[draw(UIDS)], "release", some_release(), "membership", draw(2) ? "dynamic" : "fixed",
                             "canaries", draw(3), "auto_rollback", draw(2), "device_timeout_s", 30);
    char id[UUID_SIZE];

    (void)!core_add_rollout(f.core, body, NULL, NULL, NULL, id);
    json_decref(body);
}

static void act_on_rollout(void)
{
    json_t *list = core_rollouts_json(f.core);
    const json_t *rollout = json_array_get(list, draw((uint32_t)json_array_size(list) + 1));
    const char *id = json_string_value(json_object_get(rollout, "id"));

    if (id && draw(5))
        (void)!core_act_on_rollout(f.core, id, (enum rollout_action)draw(4), NULL, NULL, NULL);
    else if (id)
        (void)!core_remove_rollout(f.core, id, NULL, NULL, NULL);
    json_decref(list);
}

static void keep_artifacts(void)
{
    struct artifact *artifact = core_find_artifact(f.core, artifacts[draw(VERSIONS)]);
    struct core_collection collection;

    if (artifact && draw(2))
        (void)!core_pin_artifact(f.core, artifact, draw(2), NULL, NULL, NULL);
    else if (artifact && draw(2))
        (void)!core_remove_artifact(f.core, artifact, NULL, NULL, NULL);
    else if (core_collect_artifacts(f.core, false, NULL, NULL, NULL, &collection) == 0)
        json_decref(collection.ids);
    if (draw(2))
        (void)!core_remove_release(f.core, "door@1", NULL, NULL, NULL);
}

static void restart_device(void)
{
    sim_restart(sim_of(device_ids[draw(DEVICES)]));
}

static void restart_gateway(void)
{
    if (draw(2))
        fake_store_crash(f.store);
    core_restart(&f);
}

/* Time passes; the store gets on by random steps. */
static void advance(int64_t ms)
{
    int64_t end = f.clock.monotonic + ms;

    while (f.clock.monotonic < end) {
        fake_store_commit(f.store, draw(4));
        fake_store_tell(f.store, draw(4));
        clock_manual_advance(&f.clock, 1 + draw(10));
        sim_run(&f.sim);
        if (core_next_deadline(f.core) <= f.clock.monotonic)
            core_run(f.core);
    }
}

static void step(void)
{
    static void (*const actions[])(void) = {
        put_service,      put_service,    remove_service, put_container,  put_container,  put_container, put_container,
        act_on_container, patch_device,   patch_device,   remove_device,  put_policy,     add_rollout,   add_rollout,
        act_on_rollout,   act_on_rollout, restart_device, keep_artifacts, restart_gateway};

    if (draw(3) == 0)
        actions[draw(array_size(actions))]();
    if (draw(40) == 0)
        fake_store_fail(1 + draw(5), draw(2) ? -ENOSPC : -EIO);
    if (draw(20) == 0)
        add_missing();
    advance(draw(4) ? draw(50) : draw(3000));
    ck_assert_uint_eq(f.sim.overlapped, 0);
    for (unsigned i = 0; i < DEVICES; i++)
        ck_assert_uint_eq(sim_of(device_ids[i])->double_loads, 0);
}

/* At the end ------------------------------------------------------------------------------------------------------- */

static void check_users(void)
{
    for (const struct artifact *a = f.core->artifacts; a; a = a->hh.next) {
        unsigned users = 0;

        for (const struct device *device = f.core->devices; device; device = device->hh.next)
            for (const struct container *c = device->containers; c; c = c->hh.next)
                users += strcmp(c->desired_artifact, a->id) == 0 || strcmp(c->reported_artifact, a->id) == 0;
        for (const struct operation *op = f.core->operations; op; op = op->hh.next)
            users += op->device && strcmp(op->artifact, a->id) == 0;
        ck_assert_uint_eq(a->users, users);
    }
}

/* All that people wrote and that was made of it, as it is now. */
static char *describe(void)
{
    json_t *all = json_pack("{s:o, s:o, s:o}", "policies", core_policies_json(f.core), "releases",
                            core_releases_json(f.core, NULL), "devices", json_array());
    json_t *rollouts = core_rollouts_json(f.core), *known = json_array(), *item;
    char *text;
    size_t i;

    json_array_foreach(rollouts, i, item)
    {
        json_t *rollout = core_rollout_json(f.core, json_string_value(json_object_get(item, "id")), true);

        (void)json_array_append_new(known, rollout);
    }
    json_decref(rollouts);
    (void)json_object_set_new(all, "rollouts", known);
    for (unsigned d = 0; d < DEVICES; d++) {
        struct device *device = core_find_device(f.core, device_ids[d]);
        struct container *list[UIDS + 1];
        size_t n = device ? core_list_containers(device, NULL, list, array_size(list)) : 0;

        for (i = 0; i < n; i++)
            (void)json_array_append_new(
                json_object_get(all, "devices"),
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s*, s:b, s:s*, s:I}", "device", device->id, "uid",
                          list[i]->uid, "desired", container_state_name(list[i]->desired), "artifact",
                          list[i]->desired_artifact, "release", list[i]->desired_release, "reported",
                          container_state_name(list[i]->reported), "is", list[i]->reported_artifact, "loaded",
                          list[i]->loaded_release, "service", list[i]->service, "rollback", list[i]->rollback, "needs",
                          list[i]->needs, "sequence", (json_int_t)sequence_highest(device, "door")));
    }
    text = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
    json_decref(all);
    return text;
}

static void check_numbers(void)
{
    for (const struct device *device = f.core->devices; device; device = device->hh.next)
        for (const struct container *c = device->containers; c; c = c->hh.next)
            ck_assert_uint_le(release_sequence(f.core, container_release(c)), sequence_highest(device, "door"));
}

/* Says where the texts, which are long, differ. */
static void is_same(const char *before, const char *after)
{
    size_t at = 0, from;

    while (before[at] && before[at] == after[at])
        at++;
    from = at < 200 ? 0 : at - 200;
    ck_assert_msg(before[at] == after[at], "before the restart:\n%.400s\n\nafterwards:\n%.400s", before + from,
                  after + from);
}

/* The weather clears. What services want runs, or it is known why not. */
static void settle(void)
{
    char *before, *after;

    mishaps = 0;
    fake_store_fail(0, 0);
    add_missing();
    core_flush(&f);
    for (int i = 0; i < 400; i++)
        core_advance(&f, 1000);
    for (unsigned d = 0; d < DEVICES; d++) {
        struct device *device = core_find_device(f.core, device_ids[d]);

        ck_assert_ptr_nonnull(device);
        for (struct container *c = device->containers; c; c = c->hh.next) {
            const struct sim_slot *slot = sim_find(sim_of(device->id), c->uid);
            int64_t since;

            ck_assert(!container_has_operations(c));
            if (container_converged(c, &since))
                ck_assert_msg(slot && slot->state == c->reported && strcmp(slot->artifact, c->desired_artifact) == 0,
                              "container %s of device %s is %s of %.8s, not %s of %.8s", c->uid, device->id,
                              slot ? container_state_name(slot->state) : "absent", slot ? slot->artifact : "",
                              container_state_name(c->reported), c->desired_artifact);
            else
                ck_assert_msg(c->fault.code || c->needs || c->attempts || c->desired == CONTAINER_UNKNOWN,
                              "container %s of device %s is %s, not %s, and nobody knows why", c->uid, device->id,
                              container_state_name(c->reported), container_state_name(c->desired));
        }
    }
    check_users();
    check_numbers();
    before = describe();
    core_restart(&f);
    after = describe();
    is_same(before, after);
    free(before);
    free(after);
}

static void run_seed(uint64_t seed)
{
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 20; i++)
        (void)draw(2);
    fake_store_wipe();
    core_setup(&f);
    f.options.reconcile.retry_min_ms = 2000;
    f.options.reconcile.retry_max_ms = 20000;
    f.options.reconcile.interval_ms = 60000;
    f.options.keep.count = draw(2) ? 0 : 10;
    f.options.keep.releases = 2;
    core_configure(f.core, &f.options);
    f.sim.decide = decide;
    mishaps = draw(2) ? draw(40) : 3;
    for (unsigned i = 0; i < DEVICES; i++)
        sim_of(device_ids[i])->present = true;
    for (int i = 0; i < VERSIONS; i++) {
        const char code[] = {'v', (char)('1' + i), 0};

        (void)text_copy(artifacts[i], CORE_DIGEST_TEXT, add_artifact(&f, code, NULL));
    }
    add_missing();
    core_flush(&f);
    for (int i = 0; i < STEPS; i++)
        step();
    settle();
    core_teardown(&f);
    fake_store_wipe();
}

START_TEST(histories)
{
    const char *more = getenv("DESIRED_SIM_SEEDS");
    long seeds = more ? strtol(more, NULL, 10) : 4;

    for (long i = 0; i < seeds; i++) {
        uint64_t seed = (uint64_t)_i + 1 + 4 * (uint64_t)i;

        (void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed); /* check shows nothing of it, a log does */
        run_seed(seed);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desired state at random");
    TCase *tc = suite_add_case(suite, "sim", NULL, NULL);

    log_setup(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, histories, 0, 4);
    return suite_run(suite);
}
