#include "core/directory.h"
#include "core/presence.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Whether devices are there: every transition, on the injected clock. */

static struct core_fixture f;
static struct device *device;
static struct credential *credential;

static void setup(void)
{
    core_setup(&f);
    device = add_device(&f, "one", AGENT_V2);
    credential = enrol(&f, device, "{}");
}

static void teardown(void)
{
    core_teardown(&f);
}

static void is(enum presence_state state, const char *reason)
{
    struct presence presence = core_presence(device);

    ck_assert_str_eq(presence_state_name(presence.state), presence_state_name(state));
    ck_assert_str_eq(presence.reason, reason);
}

static void hears(void)
{
    keyring_verified(f.core, credential, NULL);
    core_flush(&f);
}

static void registers(const char *query)
{
    const struct directory_source source = {device, "coap://[::1]:5683"};
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    uint64_t number;
    bool created;

    keyring_verified(f.core, credential, NULL);
    ck_assert_msg(
        core_register_endpoint(f.core, &source, query, "</t>", 4, note_done, &outcome, &fault, &number, &created) == 0,
        "%s", fault.detail);
    core_flush(&f);
    ck_assert(outcome.called);
    ck_assert_int_eq(outcome.fault.code, FAULT_NONE);
}

static void restart(void)
{
    core_restart(&f);
    device = core_find_device(f.core, "one");
    credential = keyring_of_device(device);
}

START_TEST(unknown_until_heard)
{
    struct presence presence = core_presence(device);

    is(PRESENCE_UNKNOWN, "not heard since the gateway started");
    ck_assert_int_eq(presence.since, 0);
    ck_assert_int_eq(presence.heard, 0);
    hears();
    presence = core_presence(device);
    is(PRESENCE_ONLINE, "heard");
    ck_assert_int_eq(presence.since, f.clock.wall);
    ck_assert_int_eq(presence.heard, f.clock.wall);
    ck_assert_int_eq(presence.expected, 0);
}
END_TEST

START_TEST(silent_is_late_and_then_offline)
{
    hears();
    core_advance(&f, 299999);
    is(PRESENCE_ONLINE, "heard");
    core_advance(&f, 1);
    is(PRESENCE_LATE, "not heard for long");
    core_advance(&f, 299999);
    is(PRESENCE_LATE, "not heard for long");
    core_advance(&f, 1);
    is(PRESENCE_OFFLINE, "not heard for long");
    hears();
    is(PRESENCE_ONLINE, "heard");
}
END_TEST

START_TEST(traffic_keeps_it_online)
{
    int64_t since;

    hears();
    since = core_presence(device).since;
    for (int i = 0; i < 20; i++) {
        core_advance(&f, 200000);
        hears();
        is(PRESENCE_ONLINE, "heard");
    }
    ck_assert_int_eq(core_presence(device).since, since);
}
END_TEST

START_TEST(failures_make_it_late_then_offline)
{
    hears();
    presence_note(device, PRESENCE_FAILED);
    is(PRESENCE_LATE, "no answer");
    presence_note(device, PRESENCE_FAILED);
    is(PRESENCE_OFFLINE, "no answer");
    core_advance(&f, 86400000);
    is(PRESENCE_OFFLINE, "no answer");
    hears();
    is(PRESENCE_ONLINE, "heard");
    presence_note(device, PRESENCE_FAILED);
    is(PRESENCE_LATE, "no answer");
    core_advance(&f, 299999);
    is(PRESENCE_LATE, "no answer");
    core_advance(&f, 1); /* nobody asks it again */
    is(PRESENCE_OFFLINE, "no answer");
}
END_TEST

START_TEST(what_was_tried_in_vain_is_no_longer_unknown)
{
    presence_note(device, PRESENCE_FAILED);
    is(PRESENCE_LATE, "no answer");
}
END_TEST

START_TEST(lifetime_goes_before_silence)
{
    registers("lt=3600");
    is(PRESENCE_ONLINE, "registered");
    ck_assert_int_eq(core_presence(device).expected, f.clock.wall + 3600000);
    core_advance(&f, 3599999);
    is(PRESENCE_ONLINE, "registered");
    core_advance(&f, 1);
    is(PRESENCE_OFFLINE, "registration expired");
    ck_assert_int_eq(core_presence(device).expected, 0);
    registers("lt=3600");
    is(PRESENCE_ONLINE, "registered");
}
END_TEST

START_TEST(heard_after_its_registration_outlives_it)
{
    registers("lt=60");
    core_advance(&f, 50000);
    hears();
    core_advance(&f, 10000);
    is(PRESENCE_ONLINE, "heard");
    core_advance(&f, 290000);
    is(PRESENCE_LATE, "not heard for long");
}
END_TEST

START_TEST(who_leaves_is_offline)
{
    const struct directory_source source = {device, "coap://[::1]:5683"};
    struct outcome outcome = {.called = false};
    struct fault fault;

    registers("lt=3600");
    ck_assert_int_eq(
        core_remove_registration(f.core, &source, core_registration_of(device)->number, note_done, &outcome, &fault),
        0);
    core_flush(&f);
    is(PRESENCE_OFFLINE, "removed its registration");
    hears();
    is(PRESENCE_ONLINE, "heard");
}
END_TEST

START_TEST(sleeper_is_asleep_between_its_messages)
{
    registers("lt=90000&sleep=800&awake=2000");
    is(PRESENCE_ONLINE, "registered");
    ck_assert(device_is_awake(device));
    ck_assert(core_presence(device).sleepy);
    ck_assert_uint_eq(core_presence(device).sleep_s, 800);
    ck_assert_int_eq(core_presence(device).expected, f.clock.wall + 802000);
    core_advance(&f, 2000);
    is(PRESENCE_ASLEEP, "sleeps");
    ck_assert(!device_is_awake(device));
    core_advance(&f, 899999); /* an eighth longer than it said */
    is(PRESENCE_ASLEEP, "sleeps");
    core_advance(&f, 1);
    is(PRESENCE_LATE, "did not wake up as expected");
    core_advance(&f, 300000);
    is(PRESENCE_OFFLINE, "did not wake up as expected");
    hears();
    is(PRESENCE_ONLINE, "heard");
    ck_assert(device_is_awake(device));
}
END_TEST

START_TEST(failure_of_a_sleeper_ends_its_awake_time)
{
    registers("sleep=800");
    ck_assert(device_is_awake(device));
    presence_note(device, PRESENCE_FAILED);
    presence_note(device, PRESENCE_FAILED);
    is(PRESENCE_ASLEEP, "sleeps");
    ck_assert(!device_is_awake(device));
}
END_TEST

START_TEST(sleeper_that_does_not_come_after_a_restart)
{
    registers("lt=90000&sleep=80&awake=1000");
    restart();
    is(PRESENCE_UNKNOWN, "not heard since the gateway started");
    ck_assert(!device_is_awake(device));
    ck_assert(core_presence(device).sleepy);
    core_advance(&f, 91000);
    is(PRESENCE_LATE, "did not wake up as expected");
    core_advance(&f, 300000);
    is(PRESENCE_OFFLINE, "did not wake up as expected");
}
END_TEST

START_TEST(nobody_is_online_after_a_restart)
{
    registers("lt=3600");
    hears();
    restart();
    is(PRESENCE_UNKNOWN, "not heard since the gateway started");
    ck_assert_int_ne(core_presence(device).heard, 0);
    ck_assert_ptr_nonnull(core_registration_of(device));
    core_advance(&f, 3599000);
    is(PRESENCE_UNKNOWN, "not heard since the gateway started");
    core_advance(&f, 1001);
    is(PRESENCE_OFFLINE, "registration expired");
}
END_TEST

START_TEST(wall_clock_steps_change_nothing)
{
    static const int64_t steps[] = {-86400000ll * 400, 86400000ll * 4000, -3600000, 3600000};
    size_t counts[PRESENCE_STATE_COUNT];

    registers("lt=3600&sleep=0");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        f.clock.wall += steps[i];
        core_advance(&f, 600000);
        is(PRESENCE_ONLINE, "registered");
    }
    core_advance(&f, 1199999);
    is(PRESENCE_ONLINE, "registered");
    core_advance(&f, 1);
    is(PRESENCE_OFFLINE, "registration expired");
    core_count_presence(f.core, counts);
    ck_assert_uint_eq(counts[PRESENCE_OFFLINE], 1);
    ck_assert_uint_eq(counts[PRESENCE_UNKNOWN] + counts[PRESENCE_ONLINE], 0);
}
END_TEST

/* Over a restart the wall clock is all there is: set back it gives no more than one lifetime, set forward it leaves
 * time to find out that the gateway is there again. */
START_TEST(wall_clock_step_over_a_restart)
{
    registers("lt=3600");
    f.clock.wall -= 86400000ll * 365;
    restart();
    core_advance(&f, 3599999);
    ck_assert_ptr_nonnull(core_registration_of(device));
    core_advance(&f, 1);
    ck_assert_ptr_null(core_registration_of(device));
    registers("lt=3600");
    f.clock.wall += 86400000ll * 365 * 10;
    restart();
    ck_assert_ptr_nonnull(core_registration_of(device));
    core_advance(&f, 59999);
    ck_assert_ptr_nonnull(core_registration_of(device));
    core_advance(&f, 1);
    ck_assert_ptr_null(core_registration_of(device));
}
END_TEST

START_TEST(nothing_counts_of_one_that_may_not_be_used)
{
    f.options.allow_plain_groups = "";
    core_configure(f.core, &f.options);
    device = add_device(&f, "plain", AGENT_V2);
    presence_note(device, PRESENCE_HEARD);
    is(PRESENCE_UNKNOWN, "not heard since the gateway started");
    presence_note(device, PRESENCE_FAILED);
    is(PRESENCE_UNKNOWN, "not heard since the gateway started");
}
END_TEST

static void configure(const char *text, int expected)
{
    json_t *body = json_of(text);
    struct fault fault = {.code = FAULT_NONE};
    int r = core_patch_device(f.core, device, body, NULL, NULL, &fault);

    json_decref(body);
    ck_assert_msg(r == expected, "%s: %s", text, fault.detail);
    core_flush(&f);
}

START_TEST(configured_sleep_goes_before_what_it_tells)
{
    registers("sleep=800&awake=2000");
    configure("{'sleep':{'sleep_s':60,'awake_ms':null}}", 0);
    ck_assert_uint_eq(core_presence(device).sleep_s, 60);
    ck_assert_int_eq(core_presence(device).expected, f.clock.wall + 62000);
    restart();
    ck_assert_uint_eq(core_presence(device).sleep_s, 60);
    configure("{'sleep':null}", 0);
    ck_assert_uint_eq(core_presence(device).sleep_s, 800);
    configure("{'sleep':{}}", 1);
    configure("{'sleep':{'sleep_s':0}}", 1);
    configure("{'sleep':{'sleep_s':99999999}}", 1);
    configure("{'sleep':{'sleep_s':60,'awake_ms':0}}", 1);
    configure("{'sleep':60}", 1);
}
END_TEST

/* The text that REST answers with, which is kept, is always what a fresh one would be. */
START_TEST(rendering_follows)
{
    static const struct {
        const char *query;
        int64_t advance;
        const char *state;
    } steps[] = {{NULL, 0, "online"},        {NULL, 1000, "online"},      {NULL, 300000, "late"},
                 {"lt=60", 1000, "online"},  {"lt=60", 60000, "offline"}, {NULL, 0, "online"},
                 {"sleep=8", 6000, "asleep"}};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        json_t *json;
        size_t size;
        const char *text;
        char seen[RFC3339_SIZE];

        if (steps[i].query)
            registers(steps[i].query);
        else
            hears();
        (void)clock_format_rfc3339(f.clock.wall, seen);
        (void)core_render_device(device, &size);
        core_advance(&f, steps[i].advance);
        text = core_render_device(device, &size);
        json = json_loadb(text, size, 0, NULL);
        ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "presence"), "state")),
                         steps[i].state);
        ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "presence"), "last_heard_at")), seen);
        ck_assert_str_eq(json_string_value(json_object_get(json, "last_seen_at")), seen);
        json_decref(json);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("presence");
    TCase *tc = suite_add_case(suite, "presence", setup, teardown);

    tcase_add_test(tc, unknown_until_heard);
    tcase_add_test(tc, silent_is_late_and_then_offline);
    tcase_add_test(tc, traffic_keeps_it_online);
    tcase_add_test(tc, failures_make_it_late_then_offline);
    tcase_add_test(tc, what_was_tried_in_vain_is_no_longer_unknown);
    tcase_add_test(tc, lifetime_goes_before_silence);
    tcase_add_test(tc, heard_after_its_registration_outlives_it);
    tcase_add_test(tc, who_leaves_is_offline);
    tcase_add_test(tc, sleeper_is_asleep_between_its_messages);
    tcase_add_test(tc, failure_of_a_sleeper_ends_its_awake_time);
    tcase_add_test(tc, sleeper_that_does_not_come_after_a_restart);
    tcase_add_test(tc, nobody_is_online_after_a_restart);
    tcase_add_test(tc, wall_clock_steps_change_nothing);
    tcase_add_test(tc, wall_clock_step_over_a_restart);
    tcase_add_test(tc, nothing_counts_of_one_that_may_not_be_used);
    tcase_add_test(tc, configured_sleep_goes_before_what_it_tells);
    tcase_add_test(tc, rendering_follows);
    return suite_run(suite);
}
