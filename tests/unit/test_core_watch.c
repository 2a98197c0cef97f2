#include "core/cache.h"
#include "core/internal.h"
#include "core/journal.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Observations that the gateway holds: shared, configured, tried again, bounded. */

static struct core_fixture f;
static struct device *one;

static void setup(void)
{
    core_setup(&f);
    one = add_device(&f, "one", AGENT_V2);
}

static void teardown(void)
{
    core_teardown(&f);
}

static enum fault_code patches(const char *body)
{
    json_t *json = json_of(body);
    struct fault fault = {.code = FAULT_NONE};
    int r = core_patch_device(f.core, one, json, NULL, NULL, &fault);

    json_decref(json);
    core_flush(&f);
    core_advance(&f, 1000);
    return r ? fault.code : FAULT_NONE;
}

static enum fault_code groups(const char *name, const char *body)
{
    json_t *json = json_of(body);
    struct fault fault = {.code = FAULT_NONE};
    int r = core_put_group(f.core, name, json, NULL, NULL, &fault);

    json_decref(json);
    core_flush(&f);
    core_advance(&f, 1000);
    return r ? fault.code : FAULT_NONE;
}

static void notify(uint8_t code, int format, const char *body)
{
    const struct agent_response response = {
        .code = code, .format = format, .max_age = 60, .body = (uint8_t *)(uintptr_t)body, .body_size = strlen(body)};

    ck_assert_uint_gt(f.sim.observation_count, 0);
    f.sim.observations[0]->notify(f.sim.observations[0], &response);
}

static void end(enum agent_outcome outcome)
{
    struct agent_observation *observation = f.sim.observations[--f.sim.observation_count];

    observation->ended(observation, outcome, "why");
}

/* They begin in any order: this one comes to the front. */
static void put_first(const char *path)
{
    for (size_t i = 1; i < f.sim.observation_count; i++) {
        struct agent_observation *observation = f.sim.observations[i];

        if (strcmp(observation->path, path) != 0)
            continue;
        f.sim.observations[i] = f.sim.observations[0];
        f.sim.observations[0] = observation;
    }
}

static const char *state(void)
{
    static char text[32];
    json_t *list = core_observations_json(one);

    (void)text_copy(text, sizeof text, json_string_value(json_object_get(json_array_get(list, 0), "state")));
    json_decref(list);
    return text;
}

START_TEST(paths_are_configured)
{
    ck_assert_int_eq(patches("{'observe': ['/t', '/u?x=1']}"), FAULT_NONE);
    ck_assert_uint_eq(f.sim.observation_count, 2);
    ck_assert_str_eq(one->observe, "/t /u?x=1");
    ck_assert_str_eq(state(), "registering");
    put_first("/t");
    notify(69, 0, "x y");
    ck_assert_str_eq(state(), "observing");
    ck_assert_int_eq(patches("{'observe': ['/u?x=1']}"), FAULT_NONE);
    ck_assert_uint_eq(f.sim.observation_count, 1);
    ck_assert_str_eq(f.sim.observations[0]->path, "/u");
    ck_assert_str_eq(f.sim.observations[0]->query, "x=1");
    core_restart(&f);
    one = core_find_device(f.core, "one");
    f.sim.observation_count = 0;
    core_advance(&f, 20000);
    ck_assert_uint_eq(f.sim.observation_count, 1);
    ck_assert_int_eq(patches("{'observe': null}"), FAULT_NONE);
    ck_assert_uint_eq(f.sim.observation_count, 0);
}
END_TEST

START_TEST(bad_paths_are_refused)
{
    ck_assert_int_eq(patches("{'observe': ['t']}"), FAULT_INVALID_FIELD);
    ck_assert_int_eq(patches("{'observe': ['/a b']}"), FAULT_INVALID_FIELD);
    ck_assert_int_eq(patches("{'observe': [1]}"), FAULT_INVALID_FIELD);
    ck_assert_int_eq(patches("{'observe': '/t'}"), FAULT_INVALID_FIELD);
    ck_assert_int_eq(patches("{'observe': ['/1','/2','/3','/4','/5','/6','/7','/8','/9','/10','/11','/12','/13','/14',"
                             "'/15','/16','/17']}"),
                     FAULT_INVALID_FIELD);
    ck_assert_int_eq(groups("g", "{}"), FAULT_INVALID_FIELD);
    ck_assert_int_eq(groups("g", "{'observe': [], 'more': 1}"), FAULT_UNKNOWN_FIELD);
    ck_assert_uint_eq(f.sim.observation_count, 0);
}
END_TEST

START_TEST(groups_have_paths_too)
{
    json_t *json;

    ck_assert_int_eq(groups("cold", "{'observe': ['/t']}"), FAULT_NONE);
    ck_assert_uint_eq(f.sim.observation_count, 0);
    ck_assert_int_eq(patches("{'groups': ['cold', 'other']}"), FAULT_NONE);
    ck_assert_uint_eq(f.sim.observation_count, 1);
    json = core_groups_json(f.core);
    ck_assert_uint_eq(json_array_size(json), 2);
    json_decref(json);
    json = core_group_json(f.core, "cold");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "devices")), 1);
    json_decref(json);
    ck_assert_ptr_null(core_group_json(f.core, "none"));
    ck_assert_int_eq(core_remove_group(f.core, "cold", NULL, NULL, NULL), 0);
    core_flush(&f);
    ck_assert_uint_eq(f.sim.observation_count, 0);
    ck_assert_int_eq(core_remove_group(f.core, "cold", NULL, NULL, NULL), 1);
}
END_TEST

START_TEST(refusals_and_losses_are_tried_again_with_pauses)
{
    unsigned tries = 0;

    ck_assert_int_eq(patches("{'observe': ['/t']}"), FAULT_NONE);
    notify(132, -1, "no");
    end(AGENT_OK);
    ck_assert_str_eq(state(), "refused");
    core_advance(&f, 30000);
    ck_assert_uint_eq(f.sim.observation_count, 0);
    core_advance(&f, 70000);
    ck_assert_uint_eq(f.sim.observation_count, 1);
    end(AGENT_NO_ANSWER);
    ck_assert_str_eq(state(), "lost");
    for (unsigned minute = 0; minute < 600; minute++) { /* ten hours without an answer */
        core_advance(&f, 60000);
        if (f.sim.observation_count) {
            tries++;
            end(AGENT_NO_ANSWER);
        }
    }
    ck_assert_uint_le(tries, 70);
    ck_assert_uint_ge(tries, 30);
}
END_TEST

START_TEST(a_registration_brings_it_back)
{
    ck_assert_int_eq(patches("{'observe': ['/t']}"), FAULT_NONE);
    end(AGENT_OK);
    device_restarted(one);
    core_advance(&f, 1000);
    ck_assert_uint_eq(f.sim.observation_count, 1);
}
END_TEST

START_TEST(a_sleeper_is_asked_when_it_wakes_up)
{
    ck_assert_int_eq(patches("{'sleep': {'sleep_s': 600, 'awake_ms': 1000}, 'observe': ['/t']}"), FAULT_NONE);
    core_advance(&f, 3600000);
    ck_assert_uint_eq(f.sim.observation_count, 0);
    device_seen(one);
    core_advance(&f, 900);
    ck_assert_uint_eq(f.sim.observation_count, 1);
    end(AGENT_NO_ANSWER);
    core_advance(&f, 3600000);
    ck_assert_uint_eq(f.sim.observation_count, 0);
}
END_TEST

struct stream {
    unsigned notified, ended;
    struct core_observer *observer, *other;
    char body[32];
};

static void note_state(void *arg, const struct agent_response *response)
{
    struct stream *stream = arg;

    stream->notified++;
    memcpy(stream->body, response->body, response->body_size);
    if (stream->other)
        core_unobserve(stream->other);
    stream->other = NULL;
}

static void note_end(void *arg, const struct fault *fault)
{
    struct stream *stream = arg;

    (void)fault;
    stream->ended++;
    if (stream->other)
        core_unobserve(stream->other);
    stream->other = NULL;
}

static void follows(struct stream *stream)
{
    *stream = (struct stream){.notified = 0};
    stream->observer = core_observe_resource(f.core, one, "/t", NULL, -1, note_state, note_end, stream, NULL);
    ck_assert_ptr_nonnull(stream->observer);
}

START_TEST(streams_share_one_observation)
{
    struct stream a, b, c;
    struct watch_stats stats;

    ck_assert_int_eq(patches("{'observe': ['/t']}"), FAULT_NONE);
    follows(&a);
    notify(69, 0, "first");
    follows(&b);
    ck_assert_uint_eq(b.notified, 0);
    core_advance(&f, 10);
    ck_assert_str_eq(b.body, "first"); /* what is known already */
    ck_assert_uint_eq(f.sim.observation_count, 1);
    follows(&c);
    a.other = b.observer; /* gives up another one within its notification */
    notify(69, 0, "second");
    ck_assert(a.notified == 2 && b.notified == 1 && c.notified == 1);
    a.other = c.observer;
    core_get_watch_stats(f.core, &stats);
    ck_assert(stats.observing == 1 && stats.waiting == 0 && stats.notifications == 2);
    end(AGENT_NO_ANSWER);
    ck_assert(a.ended == 1 && c.ended == 0);
    core_get_watch_stats(f.core, &stats);
    ck_assert(stats.observing == 0 && stats.waiting == 1);
}
END_TEST

START_TEST(a_stream_of_a_sleeper_begins_when_it_wakes_up)
{
    struct stream a;

    ck_assert_int_eq(patches("{'sleep': {'sleep_s': 600, 'awake_ms': 1000}}"), FAULT_NONE);
    follows(&a);
    core_advance(&f, 3600000);
    ck_assert_uint_eq(f.sim.observation_count, 0);
    device_seen(one);
    core_advance(&f, 900);
    ck_assert_uint_eq(f.sim.observation_count, 1);
    notify(69, 0, "first");
    ck_assert(a.notified == 1 && a.ended == 0);
    core_unobserve(a.observer);
    ck_assert_uint_eq(one->watch_count, 0);
}
END_TEST

START_TEST(a_stream_alone_does_not_last)
{
    struct stream a, b;

    follows(&a);
    follows(&b);
    a.other = b.observer;
    end(AGENT_OK);
    ck_assert(a.ended == 1 && b.ended == 0);
    ck_assert_uint_eq(one->watch_count, 0);
}
END_TEST

START_TEST(notifications_feed_the_cache_and_the_journal)
{
    const struct agent_resource resource = {.method = 1, .path = "/t", .accept = -1};
    const struct cache_control control = {.max_age = UINT32_MAX};
    struct cache_answer answer;
    struct journal_stats stats;

    ck_assert_int_eq(patches("{'observe': ['/t']}"), FAULT_NONE);
    notify(69, 50, "{\"a\":1}");
    ck_assert(core_find_cached(f.core, one, &resource, &control, &answer));
    ck_assert_int_eq(answer.status, CACHE_HIT);
    for (unsigned i = 0; i < 100; i++)
        notify(69, 50, "{\"a\":1}"); /* it never ends: events have a rate */
    notify(69, 0, "21.5");
    core_flush(&f);
    core_get_journal_stats(f.core, &stats);
    ck_assert_uint_eq(stats.entries[JOURNAL_RESOURCE], 10);
    ck_assert_uint_eq(stats.entries[JOURNAL_TELEMETRY], 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_watch");
    TCase *tcase = tcase_create("watch");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, paths_are_configured);
    tcase_add_test(tcase, bad_paths_are_refused);
    tcase_add_test(tcase, groups_have_paths_too);
    tcase_add_test(tcase, refusals_and_losses_are_tried_again_with_pauses);
    tcase_add_test(tcase, a_registration_brings_it_back);
    tcase_add_test(tcase, a_sleeper_is_asked_when_it_wakes_up);
    tcase_add_test(tcase, streams_share_one_observation);
    tcase_add_test(tcase, a_stream_of_a_sleeper_begins_when_it_wakes_up);
    tcase_add_test(tcase, a_stream_alone_does_not_last);
    tcase_add_test(tcase, notifications_feed_the_cache_and_the_journal);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
