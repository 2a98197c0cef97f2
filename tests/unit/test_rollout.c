#include "core/reconcile.h"
#include "core/rollout.h"
#include "core/telemetry.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* Rollouts: waves, failures, windows, taking back, and that all of it survives a restart. */

#define DEVICES 6

static struct core_fixture f;
static struct fault fault;
static const char *v1, *v2;
static char id[UUID_SIZE];

static const char *name_of(int i)
{
    static char name[8];

    (void)snprintf(name, sizeof name, "d%d", i);
    return name;
}

static struct sim_device *sim_of(int i)
{
    return sim_device(&f.sim, name_of(i), AGENT_V2);
}

static void setup(void)
{
    core_setup(&f);
    f.options.reconcile.retry_min_ms = 2000;
    f.options.reconcile.retry_max_ms = 8000;
    f.options.operation_ttl_ms = 10000;
    f.options.keep.count = 10;
    core_configure(f.core, &f.options);
    for (int i = 0; i < DEVICES; i++)
        (void)add_device(&f, name_of(i), AGENT_V2);
    v1 = add_artifact(&f, "one", NULL);
    v2 = add_artifact(&f, "two", NULL);
}

static void teardown(void)
{
    core_teardown(&f);
}

static void install_v1(void)
{
    for (int i = 0; i < DEVICES; i++)
        deploys(&f, core_find_device(f.core, name_of(i)), "app", v1, OPERATION_SUCCEEDED, FAULT_NONE);
}

/* A body with members (JSON text with ' for ", without braces) besides those that each rollout has. */
static json_t *body_of(const char *artifact, const char *members)
{
    char text[2048];

    (void)snprintf(text, sizeof text, "{'container':'app','artifact':'%s'%s%s}", artifact, *members ? "," : "",
                   members);
    return json_of(text);
}

static int adds(const char *artifact, const char *members)
{
    struct outcome outcome = {.called = false};
    json_t *body = body_of(artifact, members);
    int r;

    fault = (struct fault){.code = FAULT_NONE};
    r = core_add_rollout(f.core, body, note_done, &outcome, &fault, id);
    json_decref(body);
    if (r)
        return (int)fault.code;
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
    return 0;
}

static void acts(enum rollout_action action, enum fault_code code)
{
    struct outcome outcome = {.called = false};
    int r;

    fault.code = FAULT_NONE;
    r = core_act_on_rollout(f.core, id, action, note_done, &outcome, &fault);
    ck_assert_int_eq(r, code != FAULT_NONE);
    ck_assert_int_eq(r ? fault.code : FAULT_NONE, code);
    core_flush(&f);
    ck_assert_int_eq(outcome.called, code == FAULT_NONE);
}

static bool is_in(const char *state)
{
    json_t *json = core_rollout_json(f.core, id, false);
    bool is = strcmp(json_string_value(json_object_get(json, "state")), state) == 0;

    json_decref(json);
    return is;
}

/* Within so many seconds it comes into that state. */
static void becomes(const char *state, int seconds)
{
    for (int i = 0; i < seconds && !is_in(state); i++)
        core_advance(&f, 1000);
    if (!is_in(state)) {
        json_t *json = core_rollout_json(f.core, id, true);

        json_dumpf(json, stderr, JSON_INDENT(1));
        ck_abort_msg("it is not %s", state);
    }
}

static int64_t counts(const char *state)
{
    json_t *json = core_rollout_json(f.core, id, false);
    int64_t n = json_integer_value(json_object_get(json_object_get(json, "counts"), state));

    json_decref(json);
    return n;
}

/* The devices on which the container has that artifact and runs, as digits. */
static const char *running(const char *artifact)
{
    static char found[DEVICES + 1];
    size_t n = 0;

    for (int i = 0; i < DEVICES; i++) {
        const struct container *c = core_find_container(core_find_device(f.core, name_of(i)), "app");

        if (c && c->reported == CONTAINER_RUNNING && strcmp(c->reported_artifact, artifact) == 0)
            found[n++] = (char)('0' + i);
    }
    found[n] = 0;
    return found;
}

START_TEST(goes_through_waves)
{
    install_v1();
    ck_assert_int_eq(adds(v2, "'devices':{'all':true},'canaries':1,'waves':[{'percent':34},{'count':1}],"
                              "'pause_after_wave':true"),
                     0);
    becomes("paused", 20);
    ck_assert_str_eq(running(v2), "0");
    acts(ROLLOUT_RESUME, FAULT_NONE);
    becomes("paused", 20);
    ck_assert_str_eq(running(v2), "0123");
    acts(ROLLOUT_RESUME, FAULT_NONE);
    becomes("paused", 20);
    ck_assert_str_eq(running(v2), "01234");
    acts(ROLLOUT_RESUME, FAULT_NONE);
    becomes("succeeded", 20);
    ck_assert_str_eq(running(v2), "012345");
    ck_assert_int_eq(counts("done"), 6);
    for (int i = 0; i < DEVICES; i++)
        ck_assert_uint_eq(sim_of(i)->loads, 2);
    acts(ROLLOUT_PAUSE, FAULT_CONFLICT);
    acts(ROLLOUT_RESUME, FAULT_CONFLICT);
    acts(ROLLOUT_ABORT, FAULT_CONFLICT);
}
END_TEST

START_TEST(a_canary_that_fails_stops_it)
{
    install_v1();
    sim_of(0)->start_fails = true;
    ck_assert_int_eq(adds(v2, "'devices':{'all':true},'canaries':1,'max_attempts':1"), 0);
    becomes("paused", 20);
    ck_assert_int_eq(counts("failed"), 1);
    ck_assert_int_eq(counts("pending"), 5);
    ck_assert_str_eq(running(v2), "");
    sim_of(0)->start_fails = false;
    acts(ROLLOUT_ROLL_BACK, FAULT_NONE);
    becomes("rolled-back", 30);
    ck_assert_str_eq(running(v1), "012345");
    ck_assert_int_eq(counts("reverted"), 1);
    ck_assert_int_eq(counts("pending"), 5);
    acts(ROLLOUT_RESUME, FAULT_CONFLICT);
}
END_TEST

START_TEST(rolls_back_by_itself)
{
    install_v1();
    sim_of(4)->start_fails = true;
    ck_assert_int_eq(adds(v2, "'devices':{'all':true},'waves':[{'percent':50}],'max_attempts':1,'auto_rollback':true"),
                     0);
    for (int i = 0; i < 30 && !is_in("rolling-back"); i++)
        core_advance(&f, 200);
    sim_of(4)->start_fails = false;
    becomes("rolled-back", 60);
    ck_assert_str_eq(running(v1), "012345");
    ck_assert_int_eq(counts("reverted"), 6);
}
END_TEST

START_TEST(what_was_not_there_is_removed_again)
{
    ck_assert_int_eq(adds(v1, "'devices':{'devices':['d1','d2']}"), 0);
    becomes("succeeded", 20);
    ck_assert_str_eq(running(v1), "12");
    acts(ROLLOUT_ROLL_BACK, FAULT_NONE);
    becomes("rolled-back", 20);
    ck_assert_ptr_null(core_find_container(core_find_device(f.core, "d1"), "app"));
    ck_assert_ptr_null(sim_find(sim_of(1), "app"));
}
END_TEST

START_TEST(goes_on_after_failures_that_are_accepted)
{
    sim_of(0)->start_fails = sim_of(3)->start_fails = true;
    ck_assert_int_eq(adds(v1, "'devices':{'all':true},'waves':[{'count':1}],'max_attempts':1"), 0);
    becomes("paused", 20);
    acts(ROLLOUT_RESUME, FAULT_NONE); /* the first is known */
    becomes("paused", 20);
    acts(ROLLOUT_RESUME, FAULT_NONE);
    becomes("failed", 20);
    ck_assert_str_eq(running(v1), "1245");
    acts(ROLLOUT_ROLL_BACK, FAULT_NONE);
    becomes("rolled-back", 60);
    ck_assert_str_eq(running(v1), "");
}
END_TEST

START_TEST(tolerates_a_percentage)
{
    sim_of(0)->start_fails = true;
    ck_assert_int_eq(adds(v1, "'devices':{'all':true},'max_attempts':1,'max_failures_percent':20"), 0);
    becomes("succeeded", 20);
    ck_assert_str_eq(running(v1), "12345");
}
END_TEST

START_TEST(gives_up_devices_that_are_silent)
{
    sim_of(2)->present = false;
    ck_assert_int_eq(adds(v1, "'devices':{'all':true},'device_timeout_s':40,'max_failures':1"), 0);
    core_advance(&f, 30000);
    ck_assert(is_in("running"));
    ck_assert_int_eq(counts("updating"), 1);
    becomes("succeeded", 30);
    ck_assert_int_eq(counts("failed"), 1);
}
END_TEST

START_TEST(begins_with_some_at_a_time)
{
    f.sim.latency = 500;
    ck_assert_int_eq(adds(v1, "'devices':{'all':true},'max_parallel':2"), 0);
    for (int i = 0; i < 200 && !is_in("succeeded"); i++) {
        core_advance(&f, 50);
        ck_assert_int_le(counts("updating"), 2);
    }
    becomes("succeeded", 30);
}
END_TEST

START_TEST(begins_with_some_at_a_time_per_link)
{
    for (int i = 0; i < 3; i++) {
        json_t *body = json_of("{'address':'coap://[fe80::1%25wpan0]:5683'}");

        ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, name_of(i)), body, NULL, NULL, &fault), 0);
        json_decref(body);
    }
    f.sim.latency = 500;
    ck_assert_int_eq(adds(v1, "'devices':{'all':true},'max_parallel_per_link':1"), 0);
    for (int i = 0; i < 200 && !is_in("succeeded"); i++) {
        core_advance(&f, 50);
        ck_assert_int_le(counts("updating"), 2);
    }
    becomes("succeeded", 30);
}
END_TEST

START_TEST(success_takes_a_time_and_a_value)
{
    struct telemetry_record record = {.name = "temp", .unit = "", .kind = TELEMETRY_NUMBER, .number = 80};
    struct device *device = core_find_device(f.core, "d1");
    uint32_t retry;

    ck_assert_int_eq(adds(v1, "'devices':{'devices':['d1']},'success':{'running_for_s':30,'telemetry':{'name':'temp',"
                              "'min':10,'max':40.5}}"),
                     0);
    core_advance(&f, 20000);
    ck_assert_str_eq(running(v1), "1");
    ck_assert(is_in("running"));
    core_advance(&f, 20000);
    ck_assert(is_in("running")); /* no value yet */
    record.time_us = f.clock.wall * 1000;
    record.number = 20;
    ck_assert_int_eq(core_add_telemetry(f.core, device, &record, 1, 0, NULL, NULL, &fault, &retry), 0);
    becomes("succeeded", 3);
    ck_assert_int_eq(adds(v2, "'devices':{'devices':['d1']},'success':{'running_for_s':3,'telemetry':{'name':'temp',"
                              "'max':40}}"),
                     0);
    core_advance(&f, 2000);
    record.time_us = f.clock.wall * 1000;
    record.number = 41;
    ck_assert_int_eq(core_add_telemetry(f.core, device, &record, 1, 0, NULL, NULL, &fault, &retry), 0);
    becomes("paused", 10);
    ck_assert_int_eq(counts("failed"), 1);
}
END_TEST

START_TEST(what_dies_within_its_time_has_failed)
{
    ck_assert_int_eq(adds(v1, "'devices':{'devices':['d1']},'max_attempts':1,'success':{'running_for_s':10}"), 0);
    core_advance(&f, 5000);
    ck_assert_str_eq(running(v1), "1");
    sim_find(sim_of(1), "app")->state = CONTAINER_FAILED; /* seen when the device is asked at the end */
    becomes("paused", 20);
    ck_assert_int_eq(counts("failed"), 1);
}
END_TEST

/* It is started again at once, so that it hardly shows that it does not run. */
START_TEST(what_is_started_again_and_again_has_failed)
{
    f.sim.latency = 2;
    ck_assert_int_eq(adds(v1, "'devices':{'devices':['d1']},'max_attempts':3,'success':{'running_for_s':4}"), 0);
    for (int i = 0; i < 12; i++) {
        ck_assert(is_in("running"));
        core_advance(&f, 1000);
        if (i == 2 || i == 5)
            sim_find(sim_of(1), "app")->state = CONTAINER_FAILED;
    }
    sim_find(sim_of(1), "app")->state = CONTAINER_FAILED;
    becomes("paused", 10);
    ck_assert_int_eq(counts("failed"), 1);
}
END_TEST

/* Neither makes a device late. */
START_TEST(clocks_may_be_set)
{
    sim_of(2)->present = false;
    ck_assert_int_eq(adds(v1, "'devices':{'devices':['d1','d2']},'device_timeout_s':200,'max_failures':1"), 0);
    core_advance(&f, 10000);
    f.clock.wall += INT64_C(1000) * 86400000;
    core_advance(&f, 10000);
    ck_assert(is_in("running"));
    f.clock.wall -= INT64_C(2000) * 86400000;
    core_advance(&f, 10000);
    core_restart(&f);
    ck_assert(is_in("running"));
    becomes("succeeded", 210);
    ck_assert_int_eq(counts("failed"), 1);

    sim_of(2)->present = true;
    sim_of(1)->present = false;
    ck_assert_int_eq(adds(v2, "'devices':{'devices':['d1']},'device_timeout_s':200"), 0);
    core_advance(&f, 10000);
    f.clock.wall += INT64_C(2000) * 86400000;
    core_restart(&f);
    core_advance(&f, 50000);
    ck_assert(is_in("running")); /* a minute in any case */
    becomes("paused", 20);
}
END_TEST

START_TEST(waits_for_its_window)
{
    /* WALL_START is midnight of a Thursday */
    ck_assert_int_eq(adds(v1, "'devices':{'all':true},'window':{'from':'01:00','to':'02:00'}"), 0);
    core_advance(&f, INT64_C(3590) * 1000);
    ck_assert_str_eq(running(v1), "");
    core_advance(&f, 40000);
    becomes("succeeded", 20);
    ck_assert_int_eq(adds(v2, "'devices':{'all':true},'window':{'from':'23:00','to':'02:00','days':['thu']}"), 0);
    core_advance(&f, INT64_C(21) * 3600000);
    ck_assert_str_eq(running(v2), "");
    core_advance(&f, INT64_C(4) * 3600000); /* past midnight it is still Thursday's */
    becomes("succeeded", 20);
}
END_TEST

START_TEST(survives_restarts)
{
    install_v1();
    ck_assert_int_eq(adds(v2, "'devices':{'all':true},'canaries':1,'waves':[{'count':2}]"), 0);
    for (int i = 0; i < 60 && !is_in("succeeded"); i++) {
        core_advance(&f, 150);
        core_restart(&f);
    }
    becomes("succeeded", 60);
    ck_assert_str_eq(running(v2), "012345");
    for (int i = 0; i < DEVICES; i++)
        ck_assert_uint_eq(sim_of(i)->double_loads, 0);
    acts(ROLLOUT_ROLL_BACK, FAULT_NONE);
    for (int i = 0; i < 30; i++) {
        core_advance(&f, 150);
        core_restart(&f);
    }
    becomes("rolled-back", 60);
    ck_assert_str_eq(running(v1), "012345");
}
END_TEST

START_TEST(paused_and_aborted_stay_so_over_a_restart)
{
    f.sim.latency = 400;
    ck_assert_int_eq(adds(v1, "'devices':{'all':true},'max_parallel':1"), 0);
    core_advance(&f, 1500);
    acts(ROLLOUT_PAUSE, FAULT_NONE);
    acts(ROLLOUT_PAUSE, FAULT_NONE); /* again is the same */
    core_advance(&f, 10000);
    ck_assert_int_eq(counts("updating"), 0);
    core_restart(&f);
    core_advance(&f, 10000);
    ck_assert(is_in("paused"));
    ck_assert_int_ge(counts("pending"), 3);
    acts(ROLLOUT_ABORT, FAULT_NONE);
    core_restart(&f);
    core_advance(&f, 10000);
    ck_assert(is_in("aborted"));
    ck_assert_int_eq(core_remove_rollout(f.core, id, NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_ptr_null(core_rollout_json(f.core, id, false));
    core_restart(&f);
    ck_assert_ptr_null(core_rollout_json(f.core, id, false));
}
END_TEST

START_TEST(others_may_not_be_at_the_same_container)
{
    sim_of(2)->present = false;
    ck_assert_int_eq(adds(v1, "'devices':{'devices':['d1','d2']}"), 0);
    ck_assert_int_eq(core_remove_rollout(f.core, id, NULL, NULL, &fault), 1);
    ck_assert_int_eq(adds(v2, "'devices':{'devices':['d2','d3']}"), FAULT_CONFLICT);
    ck_assert_int_eq(adds(v2, "'devices':{'devices':['d3']}"), 0);
    becomes("succeeded", 20);
}
END_TEST

/* A service is what a group is to have. */
START_TEST(services_are_not_contradicted)
{
    json_t *service = json_pack("{s:{s:[s]}, s:[{s:s, s:s}]}", "devices", "groups", "lab", "containers", "uid", "app",
                                "artifact", v1),
           *groups = json_of("{'groups':['lab']}"), *body = body_of(v2, "'devices':{'all':true}"), *plan;

    ck_assert_int_eq(core_put_service(f.core, "lab", service, NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "d1"), groups, NULL, NULL, &fault), 0);
    sim_of(1)->present = false;
    core_advance(&f, 1000);
    ck_assert_int_eq(adds(v2, "'devices':{'all':true}"), FAULT_CONFLICT);
    ck_assert_ptr_nonnull(strstr(fault.detail, "'lab'"));
    ck_assert_int_eq(core_plan_rollout(f.core, body, &plan, &fault), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(plan, "counts"), "refuse")), 1);
    json_decref(plan);

    /* A device that comes under a service before its turn, and a service that comes after a rollout. */
    ck_assert_int_eq(adds(v2, "'devices':{'devices':['d0','d2']},'pause_after_wave':true,'canaries':1"), 0);
    becomes("paused", 20);
    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "d2"), groups, NULL, NULL, &fault), 0);
    core_flush(&f);
    ck_assert_int_eq(core_put_service(f.core, "lab", service, NULL, NULL, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_CONFLICT);
    acts(ROLLOUT_RESUME, FAULT_NONE);
    becomes("paused", 20);
    ck_assert_int_eq(counts("failed"), 1);
    ck_assert_str_eq(running(v1), "2");
    ck_assert_str_eq(running(v2), "0");
    json_decref(service);
    json_decref(groups);
    json_decref(body);
}
END_TEST

START_TEST(somebody_else_who_wants_otherwise_ends_it_there)
{
    struct operation *op;
    json_t *body = json_pack("{s:s}", "artifact", v2);

    ck_assert_int_eq(adds(v1, "'devices':{'devices':['d1']},'success':{'running_for_s':60}"), 0);
    core_advance(&f, 5000);
    ck_assert_int_eq(
        core_put_container(f.core, core_find_device(f.core, "d1"), "app", body, 0, NULL, NULL, &fault, &op), 0);
    json_decref(body);
    becomes("paused", 10);
    acts(ROLLOUT_ROLL_BACK, FAULT_NONE);
    becomes("rolled-back", 10);
    core_advance(&f, 5000);
    ck_assert_str_eq(running(v2), "1"); /* what that person wanted */
    ck_assert_int_eq(counts("skipped"), 1);
}
END_TEST

START_TEST(devices_come_and_go)
{
    json_t *body = json_of("{'labels':{'site':'x'}}");

    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "d1"), body, NULL, NULL, &fault), 0);
    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "d2"), body, NULL, NULL, &fault), 0);
    sim_of(2)->present = false;
    ck_assert_int_eq(adds(v1, "'devices':{'expression':'site=x'},'membership':'dynamic'"), 0);
    core_advance(&f, 5000);
    ck_assert_str_eq(running(v1), "1");
    ck_assert_int_eq(core_patch_device(f.core, core_find_device(f.core, "d3"), body, NULL, NULL, &fault), 0);
    core_advance(&f, 20000);
    ck_assert_str_eq(running(v1), "13");
    ck_assert_int_eq(core_remove_device(f.core, core_find_device(f.core, "d2"), NULL, NULL, &fault), 0);
    core_advance(&f, 5000);
    becomes("succeeded", 20);
    ck_assert_int_eq(counts("skipped"), 1);
    json_decref(body);
}
END_TEST

START_TEST(plans)
{
    json_t *plan, *body = body_of(v2, "'devices':{'all':true},'canaries':2");
    char *text;

    deploys(&f, core_find_device(f.core, "d0"), "app", v1, OPERATION_SUCCEEDED, FAULT_NONE);
    deploys(&f, core_find_device(f.core, "d1"), "app", v2, OPERATION_SUCCEEDED, FAULT_NONE);
    core_advance(&f, 1000);
    f.options.allow_plain_groups = "";
    ck_assert_int_eq(core_plan_rollout(f.core, body, &plan, &fault), 0);
    text = json_dumps(json_object_get(plan, "counts"), JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(text, "{\"install\":4,\"keep\":1,\"refuse\":0,\"update\":1,\"waves\":2}");
    free(text);
    json_decref(plan);
    core_configure(f.core, &f.options);
    ck_assert_int_eq(core_plan_rollout(f.core, body, &plan, &fault), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(plan, "counts"), "refuse")), 6);
    text = json_dumps(json_array_get(json_object_get(plan, "devices"), 0), JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_ptr_nonnull(strstr(text, "credentials-required"));
    free(text);
    json_decref(plan);
    json_decref(body);
    ck_assert_ptr_null(strstr(running(v2), "0")); /* nothing has happened */
}
END_TEST

static const struct {
    const char *members;
    enum fault_code code;
} refused[] = {
    {"'devices':{'devices':['nobody']}", FAULT_NOTHING_SELECTED},
    {"'devices':{'expression':'a b'}", FAULT_INVALID_FIELD},
    {"'canaries':1", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'waves':[{}]", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'waves':[{'count':1,'percent':2}]", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'waves':[{'percent':101}]", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'release':'a@1'", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'some':1", FAULT_UNKNOWN_FIELD},
    {"'devices':{'all':true},'state':'absent'", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'parameters':'!'", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'max_failures':1,'max_failures_percent':1", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'window':{'from':'24:00','to':'01:00'}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'window':{'from':'01:60','to':'02:00'}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'window':{'from':'1:000','to':'02:00'}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'window':{'from':'01:00','to':'01:00'}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'window':{'from':'01:00','to':'02:00','days':['someday']}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'success':{'telemetry':{}}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'success':{'telemetry':{'name':'t','min':'1'}}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'success':{'telemetry':{'name':'t','min':2,'max':1}}", FAULT_INVALID_FIELD},
    {"'devices':{'all':true},'success':{'telemetry':{'name':'t','mean':1}}", FAULT_UNKNOWN_FIELD},
    {"'devices':{'all':true},'success':{'running_for_s':60},'device_timeout_s':60", FAULT_INVALID_FIELD},
};

START_TEST(refuses_what_makes_no_sense)
{
    ck_assert_int_eq(adds(v1, refused[_i].members), (int)refused[_i].code);
}
END_TEST

START_TEST(refuses_what_is_not_there)
{
    ck_assert_int_eq(adds("0000000000000000000000000000000000000000000000000000000000000000", "'devices':{'all':true}"),
                     FAULT_NOT_FOUND);
    (void)snprintf(id, sizeof id, "nobody");
    acts(ROLLOUT_PAUSE, FAULT_NOT_FOUND);
    ck_assert_int_eq(core_remove_rollout(f.core, id, NULL, NULL, &fault), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rollout");
    TCase *tc = suite_add_case(suite, "rollout", setup, teardown);

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, goes_through_waves);
    tcase_add_test(tc, a_canary_that_fails_stops_it);
    tcase_add_test(tc, rolls_back_by_itself);
    tcase_add_test(tc, what_was_not_there_is_removed_again);
    tcase_add_test(tc, goes_on_after_failures_that_are_accepted);
    tcase_add_test(tc, tolerates_a_percentage);
    tcase_add_test(tc, gives_up_devices_that_are_silent);
    tcase_add_test(tc, begins_with_some_at_a_time);
    tcase_add_test(tc, begins_with_some_at_a_time_per_link);
    tcase_add_test(tc, success_takes_a_time_and_a_value);
    tcase_add_test(tc, what_dies_within_its_time_has_failed);
    tcase_add_test(tc, what_is_started_again_and_again_has_failed);
    tcase_add_test(tc, clocks_may_be_set);
    tcase_add_test(tc, waits_for_its_window);
    tcase_add_test(tc, survives_restarts);
    tcase_add_test(tc, paused_and_aborted_stay_so_over_a_restart);
    tcase_add_test(tc, others_may_not_be_at_the_same_container);
    tcase_add_test(tc, services_are_not_contradicted);
    tcase_add_test(tc, somebody_else_who_wants_otherwise_ends_it_there);
    tcase_add_test(tc, devices_come_and_go);
    tcase_add_test(tc, plans);
    tcase_add_loop_test(tc, refuses_what_makes_no_sense, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tc, refuses_what_is_not_there);
    return suite_run(suite);
}
