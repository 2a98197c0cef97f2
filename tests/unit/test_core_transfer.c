#include "core/transfer.h"

#include "core/internal.h"
#include "core/journal.h"
#include "core/presence.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* The way of a package to its device, which outlives operations, lost links, sleep and restarts; and whose link it goes
 * over. Loads are in the hands of the tests, everything else in those of the simulated device. */

#define TOTAL 10240

static struct core_fixture f;
static struct agent_port sim_port_of_fixture;
static struct agent_call *loading; /* NULL: none */
static unsigned loads, pauses;
static struct device *device;
static struct sim_device *sim;
static const char *job;

static void begin(void *arg, struct agent_call *call)
{
    if (call->verb != AGENT_CALL_LOAD) {
        sim_port_of_fixture.begin(arg, call);
        return;
    }
    ck_assert_ptr_null(loading);
    loading = call;
    loads++;
}

static void cancel(void *arg, struct agent_call *call)
{
    if (call == loading)
        loading = NULL;
    else
        sim_port_of_fixture.cancel(arg, call);
}

static void pause_load(void *arg, struct agent_call *call)
{
    (void)arg;
    ck_assert_ptr_eq(call, loading);
    pauses++;
}

static void find_all(void)
{
    device = core_find_device(f.core, "box");
    sim = sim_device(&f.sim, "box", AGENT_V2);
}

static void setup(void)
{
    loading = NULL;
    loads = pauses = 0;
    core_setup(&f);
    sim_port_of_fixture = sim_port(&f.sim);
    f.options.journal_memory = 64 * 1024;
    f.options.agents.begin = begin;
    f.options.agents.cancel = cancel;
    f.options.agents.pause = pause_load;
    core_restart(&f);
    (void)add_device(&f, "box", AGENT_V2);
    find_all();
    job = add_artifact(&f, "loop()", NULL);
}

static void teardown(void)
{
    core_teardown(&f);
}

/* Until the device is to be sent the package. */
static void reaches_load(void)
{
    for (int i = 0; i < 100 && !loading; i++)
        core_advance(&f, 100);
    ck_assert_ptr_nonnull(loading);
}

static void acknowledges(size_t bytes)
{
    loading->block = 1024;
    loading->progress(loading, bytes, TOTAL);
}

static void stops(enum agent_outcome outcome)
{
    struct agent_call *call = loading;

    loading = NULL;
    call->outcome = outcome;
    call->done(call);
    core_flush(&f);
}

/* All of it is there: the device does what it does with a package. */
static void arrives(void)
{
    struct agent_call *call = loading;

    loading = NULL;
    sim_port_of_fixture.begin(&f.sim, call);
}

static json_t *transfers(void)
{
    size_t count;
    json_t *all = core_transfers_json(f.core, &(struct transfer_filter){.device = NULL}, 10, &count);

    ck_assert_uint_eq(count, json_array_size(all));
    return all;
}

static unsigned transfer_count(void)
{
    json_t *all = transfers();
    unsigned count = (unsigned)json_array_size(all);

    json_decref(all);
    return count;
}

/* Of the only transfer. */
static json_int_t number(const char *member)
{
    json_t *all = transfers();
    json_int_t value = json_integer_value(json_object_get(json_array_get(all, 0), member));

    ck_assert_uint_eq(json_array_size(all), 1);
    json_decref(all);
    return value;
}

static void is_in_state(const char *state)
{
    json_t *all = transfers();

    ck_assert_uint_eq(json_array_size(all), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(all, 0), "state")), state);
    json_decref(all);
}

START_TEST(shows_how_far_it_is)
{
    const char *operation = put(&f, device, "job", job, "running")->id;
    json_t *shown;

    reaches_load();
    ck_assert_uint_eq(loading->resume_at, 0);
    is_in_state("running");
    acknowledges(1024);
    core_advance(&f, 1000);
    acknowledges(3072);
    ck_assert_int_eq(number("bytes"), 3072);
    ck_assert_int_eq(number("total"), TOTAL);
    ck_assert_int_eq(number("block"), 1024);
    ck_assert_int_eq(number("rate"), 3072);
    ck_assert_int_eq(number("remaining_s"), 3);
    shown = core_operation_json(core_find_operation(f.core, operation));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(shown, "progress"), "bytes")), 3072);
    json_decref(shown);
    loading->waiting = true;
    is_in_state("waiting");
    arrives();
    ends(&f, operation, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(transfer_count(), 0);
    shown = core_operation_json(core_find_operation(f.core, operation));
    ck_assert(json_is_null(json_object_get(shown, "progress")));
    json_decref(shown);
}
END_TEST

static void wake(void *arg)
{
    (void)arg;
}

static uint64_t last_number(void)
{
    struct journal_stats stats;

    core_get_journal_stats(f.core, &stats);
    return stats.last;
}

/* How many events told of progress since; *last is the newest, the caller's. */
static unsigned progress_events(uint64_t after, json_t **last)
{
    const struct journal_filter filter = {.device = "box"};
    struct journal_reader *reader = core_open_journal(f.core, after, &filter, wake, NULL);
    struct journal_entry entry;
    unsigned count = 0;
    uint64_t missing;

    ck_assert_ptr_nonnull(reader);
    *last = NULL;
    while (journal_read(reader, &entry, &missing) == JOURNAL_ENTRY) {
        json_t *body = entry.kind == JOURNAL_OPERATION ? json_loadb(entry.body, entry.size, 0, NULL) : NULL;
        const char *event = json_string_value(json_object_get(body, "event"));
        bool found = event && strcmp(event, "progress") == 0;

        count += found;
        json_decref(found ? *last : body);
        *last = found ? body : *last;
    }
    (void)journal_close(reader);
    return count;
}

START_TEST(tells_now_and_then)
{
    uint64_t after = last_number();
    json_t *last;

    (void)put(&f, device, "job", job, "running");
    reaches_load();
    for (unsigned i = 1; i <= 120; i++) { /* 12 s */
        acknowledges((size_t)i * 64);
        core_advance(&f, 100);
    }
    ck_assert_uint_eq(progress_events(after, &last), 2);
    ck_assert_str_eq(json_string_value(json_object_get(last, "container")), "job");
    ck_assert_int_eq(json_integer_value(json_object_get(last, "total")), TOTAL);
    ck_assert_int_eq(json_integer_value(json_object_get(last, "rate")), 640);
    ck_assert_int_ge(json_integer_value(json_object_get(last, "remaining_s")), 5);
    json_decref(last);
    arrives();
    core_settle(&f);
}
END_TEST

START_TEST(goes_on_after_a_restart)
{
    char operation[UUID_SIZE];
    json_int_t started;

    (void)text_copy(operation, sizeof operation, put(&f, device, "job", job, "running")->id);
    reaches_load();
    acknowledges(1024);
    core_advance(&f, 1100);
    acknowledges(4096); /* is written */
    core_flush(&f);
    acknowledges(5120); /* is not, a moment later */
    core_flush(&f);
    started = core_find_container(device, "job")->transfer->started;
    core_restart(&f);
    find_all();
    ck_assert_int_eq(number("bytes"), 4096);
    ck_assert_int_eq(number("total"), TOTAL);
    ck_assert_int_eq(core_find_container(device, "job")->transfer->started, started);
    reaches_load();
    ck_assert_uint_eq(loading->resume_at, 4096);
    ck_assert(!loading->resume_sure); /* it is asked */
    acknowledges(6144);
    arrives();
    ends(&f, operation, OPERATION_SUCCEEDED, FAULT_NONE);
    core_restart(&f);
    find_all();
    ck_assert_uint_eq(transfer_count(), 0);
}
END_TEST

START_TEST(is_written_once_a_second)
{
    struct store_stats before, after;

    (void)put(&f, device, "job", job, "running");
    reaches_load();
    acknowledges(64);
    core_flush(&f);
    store_get_stats(f.store, &before);
    for (unsigned i = 2; i <= 150; i++) {
        acknowledges((size_t)i * 64);
        core_advance(&f, 20);
        core_flush(&f);
    }
    store_get_stats(f.store, &after);
    ck_assert_uint_ge(after.batches - before.batches, 2); /* in three seconds */
    ck_assert_uint_le(after.batches - before.batches, 6); /* some of them of the device: it is online */
    arrives();
    core_settle(&f);
}
END_TEST

static void note_answer(void *arg, const struct core_resource_result *result)
{
    ck_assert_int_eq(result->fault.code, FAULT_NONE);
    (*(unsigned *)arg)++;
}

static void asks(unsigned *answered)
{
    const struct agent_resource request = {.method = 1, .path = "/led", .format = -1, .accept = -1};
    struct fault fault = {.code = FAULT_NONE};

    ck_assert_msg(core_request_resource(f.core, device, &request, 5000, note_answer, answered, &fault) == 0, "%s",
                  fault.detail);
}

START_TEST(makes_room_for_requests)
{
    char operation[UUID_SIZE];
    unsigned answered = 0;

    (void)text_copy(operation, sizeof operation, put(&f, device, "job", job, "running")->id);
    reaches_load();
    acknowledges(2048);
    loading->turn = 7;
    asks(&answered);
    asks(&answered);
    ck_assert_uint_eq(pauses, 1);
    core_advance(&f, 500);
    ck_assert_uint_eq(answered, 0); /* not in the middle of a block */
    stops(AGENT_PAUSED);
    is_in_state("paused");
    reaches_load();
    ck_assert_uint_gt(answered, 0);
    ck_assert_uint_eq(loading->resume_at, 2048);
    ck_assert(loading->resume_sure); /* it said so a moment ago */
    ck_assert_uint_eq(loading->turn, 7);
    ck_assert_int_eq(number("breaks"), 0);
    arrives();
    ends(&f, operation, OPERATION_SUCCEEDED, FAULT_NONE);
    ck_assert_uint_eq(answered, 2);
}
END_TEST

START_TEST(ends_between_blocks_when_cancelled)
{
    char operation[UUID_SIZE];
    struct outcome outcome = {.called = false};
    struct fault fault;

    (void)text_copy(operation, sizeof operation, put(&f, device, "job", job, "running")->id);
    reaches_load();
    acknowledges(2048);
    ck_assert_int_eq(core_cancel_operation(f.core, core_find_operation(f.core, operation), note_done, &outcome, &fault),
                     0);
    core_flush(&f);
    ck_assert_uint_eq(pauses, 1);
    stops(AGENT_PAUSED);
    ends(&f, operation, OPERATION_CANCELLED, FAULT_CANCELLED);
    ck_assert_ptr_null(loading);
    is_in_state("stopped");
}
END_TEST

START_TEST(goes_on_as_long_as_it_gets_on)
{
    char operation[UUID_SIZE];

    (void)text_copy(operation, sizeof operation, put(&f, device, "job", job, "running")->id);
    for (unsigned i = 1; i < 8; i++) { /* more often than anything is tried otherwise */
        reaches_load();
        ck_assert_uint_eq(loading->resume_at, (size_t)(i - 1) * 1024);
        acknowledges((size_t)i * 1024);
        stops(AGENT_NO_ANSWER);
        is_in_state("stopped");
        ck_assert_int_eq(number("breaks"), i);
    }
    reaches_load();
    arrives();
    ends(&f, operation, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

/* What of a device that loses again and again what it was sent, or hears nothing. */
START_TEST(is_given_up_when_it_gets_nowhere)
{
    char operation[UUID_SIZE];

    (void)text_copy(operation, sizeof operation, put(&f, device, "job", job, "running")->id);
    while (!operation_is_finished(core_find_operation(f.core, operation))) {
        ck_assert_uint_lt(loads, 20);
        if (loading) {
            loading->block = loading->block ? loading->block : 1024;
            stops(AGENT_NO_ANSWER);
        }
        core_advance(&f, 100);
    }
    ends(&f, operation, OPERATION_FAILED, FAULT_DEVICE_TIMEOUT);
    ck_assert_int_eq(number("block"), 64); /* something smaller may arrive next time */
    is_in_state("stopped");
}
END_TEST

START_TEST(ends_with_a_refusal)
{
    char operation[UUID_SIZE];

    (void)text_copy(operation, sizeof operation, put(&f, device, "job", job, "running")->id);
    reaches_load();
    acknowledges(2048);
    stops(AGENT_UNVERIFIED);
    ends(&f, operation, OPERATION_FAILED, FAULT_VERIFICATION_REFUSED);
    ck_assert_uint_eq(transfer_count(), 0);
}
END_TEST

START_TEST(another_artifact_begins_anew)
{
    char operation[UUID_SIZE];
    const char *other = add_artifact(&f, "other()", NULL);

    (void)put(&f, device, "job", job, "running");
    reaches_load();
    acknowledges(4096);
    (void)text_copy(operation, sizeof operation, put(&f, device, "job", other, "running")->id);
    stops(AGENT_NO_ANSWER);
    reaches_load();
    ck_assert_uint_eq(loading->resume_at, 0);
    ck_assert_str_eq(loading->artifact->id, other);
    ck_assert_int_eq(number("bytes"), 0);
    arrives();
    ends(&f, operation, OPERATION_SUCCEEDED, FAULT_NONE);
}
END_TEST

START_TEST(is_gone_with_its_device)
{
    struct outcome outcome = {.called = false};
    struct fault fault;

    (void)put(&f, device, "job", job, "running");
    reaches_load();
    acknowledges(4096);
    ck_assert_int_eq(core_remove_device(f.core, device, note_done, &outcome, &fault), 0);
    ck_assert_uint_eq(transfer_count(), 0);
    core_settle(&f);
    ck_assert(outcome.called);
    ck_assert_ptr_null(loading);
    ck_assert_uint_eq(transfer_count(), 0);
}
END_TEST

static void sleeps(void)
{
    json_t *body = json_of("{'sleep':{'sleep_s':60,'awake_ms':1000}}");
    struct outcome outcome = {.called = false};
    struct fault fault;

    ck_assert_int_eq(core_patch_device(f.core, device, body, note_done, &outcome, &fault), 0);
    json_decref(body);
    core_flush(&f);
    enrol(&f, device, "{}");
    ck_assert(!device_is_awake(device));
}

START_TEST(waits_for_a_device_that_sleeps)
{
    sleeps();
    (void)put(&f, device, "job", job, "running");
    core_advance(&f, 5000);
    ck_assert_ptr_null(loading);
    for (unsigned i = 1; i < 8; i++) {
        keyring_verified(f.core, keyring_of_device(device), NULL);
        reaches_load();
        ck_assert_uint_eq(loading->resume_at, (size_t)(i - 1) * 1024);
        acknowledges((size_t)i * 1024); /* and it falls asleep */
        core_advance(&f, 10000);
        ck_assert_ptr_null(loading);
        is_in_state("stopped");
    }
    ck_assert_uint_eq(loads, 7);
    keyring_verified(f.core, keyring_of_device(device), NULL);
    reaches_load();
    arrives();
    core_advance(&f, 2000);
    ck_assert_int_eq(core_find_container(device, "job")->load, LOAD_DONE);
    ck_assert_uint_eq(transfer_count(), 0);
}
END_TEST

START_TEST(goes_on_without_a_question_after_a_sleep)
{
    struct operation *op;

    sleeps();
    op = put(&f, device, "job", job, "running");
    core_advance(&f, 5000);
    for (unsigned i = 1; i < 4; i++) {
        keyring_verified(f.core, keyring_of_device(device), NULL);
        reaches_load();
        ck_assert_int_eq(loading->resume_sure, i > 1);
        acknowledges((size_t)i * 1024);
        core_advance(&f, 10000);
        ck_assert_int_eq(number("block"), 1024);
    }
    ck_assert_uint_eq(sim->calls[AGENT_CALL_STATUS], 0); /* nothing of it can be there but blocks */
    device_restarted(device);
    keyring_verified(f.core, keyring_of_device(device), NULL);
    reaches_load();
    ck_assert(!loading->resume_sure); /* what it held may be lost */
    acknowledges(TOTAL - 1024);
    core_advance(&f, 10000); /* it may have taken the last block: now it is asked */
    f.sim.latency = 20;
    keyring_verified(f.core, keyring_of_device(device), NULL);
    reaches_load();
    ck_assert(!loading->resume_sure);
    ck_assert_uint_gt(sim->calls[AGENT_CALL_STATUS], 0);
    arrives();
    core_settle(&f);
    ck_assert_int_eq(op->state, OPERATION_SUCCEEDED);
}
END_TEST

START_TEST(shrinks_blocks_when_many_awake_times_were_in_vain)
{
    sleeps();
    (void)put(&f, device, "job", job, "running");
    for (unsigned i = 1; i <= 5; i++) {
        keyring_verified(f.core, keyring_of_device(device), NULL);
        reaches_load();
        acknowledges(0);
        core_advance(&f, 10000);
        ck_assert_int_eq(number("block"), i < 5 ? 1024 : 256);
    }
}
END_TEST

/* Links ------------------------------------------------------------------------------------------------------------ */

static void put_link(const char *name, const char *text)
{
    struct outcome outcome = {.called = false};
    struct fault fault = {.code = FAULT_NONE};
    json_t *body = json_of(text);

    ck_assert_msg(core_put_link(f.core, name, body, note_done, &outcome, &fault) == 0, "%s", fault.detail);
    json_decref(body);
    core_flush(&f);
    ck_assert(outcome.called && outcome.fault.code == FAULT_NONE);
}

static const char *link_at(const char *address)
{
    static struct agent_link link;
    struct device elsewhere = *device;

    (void)text_copy(elsewhere.address, sizeof elsewhere.address, address);
    link = core_link_of(&elsewhere);
    return link.name;
}

START_TEST(devices_belong_to_links)
{
    ck_assert_str_eq(link_at("coap://[2001:db8:15::1]:5683"), "default");
    ck_assert_str_eq(link_at("coap://[fe80::1%25lowpan0]:5683"), "lowpan0"); /* nobody has to say so */
    put_link("radio", "{'prefixes':['2001:db8:15::/48','192.0.2.0/25'],'parallel':2,'rate':4000,'block':64}");
    put_link("attic", "{'prefixes':['2001:db8:15:8000::/49'],'zones':['lowpan0']}");
    ck_assert_str_eq(link_at("coap://[2001:db8:15::1]:5683"), "radio");
    ck_assert_str_eq(link_at("coaps://[2001:db8:15:ffff::1]:5684"), "attic"); /* the first by name */
    ck_assert_str_eq(link_at("coap://[2001:db8:16::1]:5683"), "default");
    ck_assert_str_eq(link_at("coap://192.0.2.127:5683"), "radio");
    ck_assert_str_eq(link_at("coap://192.0.2.128:5683"), "default");
    ck_assert_str_eq(link_at("coap://[fe80::1%25lowpan0]:5683"), "attic");
    ck_assert_str_eq(link_at("coap://[fe80::1%25lowpan1]:5683"), "lowpan1");
    ck_assert_str_eq(link_at("nonsense"), "default");
    core_restart(&f);
    find_all();
    ck_assert_str_eq(link_at("coap://192.0.2.1:5683"), "radio");
}
END_TEST

START_TEST(links_say_what_goes_over_them)
{
    struct agent_link link;

    f.options.transfer.parallel = 8;
    core_configure(f.core, &f.options);
    ck_assert(!link_any_rate(f.core));
    put_link("radio", "{'prefixes':['::/0'],'rate':4000,'block':64}");
    link = core_link_of(device);
    ck_assert_uint_eq(link.parallel, 8); /* as configured */
    ck_assert_uint_eq(link.rate, 4000);
    ck_assert_uint_eq(link.block, 64);
    ck_assert(link_any_rate(f.core));
    (void)put(&f, device, "job", job, "running");
    reaches_load();
    ck_assert_str_eq(loading->link.name, "radio");
    ck_assert_uint_eq(loading->link.rate, 4000);
    arrives();
    core_settle(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        shows_how_far_it_is,
        tells_now_and_then,
        goes_on_after_a_restart,
        is_written_once_a_second,
        makes_room_for_requests,
        ends_between_blocks_when_cancelled,
        goes_on_as_long_as_it_gets_on,
        is_given_up_when_it_gets_nowhere,
        ends_with_a_refusal,
        another_artifact_begins_anew,
        is_gone_with_its_device,
        waits_for_a_device_that_sleeps,
        goes_on_without_a_question_after_a_sleep,
        shrinks_blocks_when_many_awake_times_were_in_vain,
        devices_belong_to_links,
        links_say_what_goes_over_them,
    };
    Suite *suite = suite_create("core_transfer");
    TCase *tc = suite_add_case(suite, "transfers", setup, teardown);

    for (size_t i = 0; i < array_size(tests); i++)
        tcase_add_test(tc, tests[i]);
    return suite_run(suite);
}
