#include "core/cache.h"
#include "core/internal.h"
#include "core_fixture.h"
#include "suite.h"

#include <check.h>
#include <string.h>

/* Reads of resources through the cache, on the manual clock. */

static struct core_fixture f;
static struct device *one;
static struct sim_device *sim;

struct got {
    unsigned calls;
    enum fault_code fault;
    enum cache_status status;
    bool collapsed;
    uint8_t code;
    uint32_t age;
    int64_t fresh_for;
    char body[64];
};

static void device_has(const char *body, const char *etag, uint32_t max_age)
{
    f.sim.reply.code = 69;
    f.sim.reply.format = 0;
    f.sim.reply.body = body;
    f.sim.reply.etag = etag;
    f.sim.reply.max_age = max_age;
}

static void setup(void)
{
    core_setup(&f);
    one = add_device(&f, "one", AGENT_V2);
    sim = sim_device(&f.sim, "one", AGENT_V2);
    device_has("first", "", 60);
}

static void teardown(void)
{
    core_teardown(&f);
}

static const struct cache_control plain = {.max_age = UINT32_MAX};
static const struct cache_control any_stale = {.max_age = UINT32_MAX, .allow_stale = true, .max_stale = UINT32_MAX};

static void take(void *arg, const struct cache_answer *answer)
{
    struct got *got = arg;

    got->calls++;
    got->fault = answer->fault.code;
    got->status = answer->status;
    got->collapsed = answer->collapsed;
    got->age = answer->age;
    got->fresh_for = answer->fresh_for;
    if (!answer->response)
        return;
    got->code = answer->response->code;
    ck_assert_uint_lt(answer->response->body_size, sizeof got->body);
    memcpy(got->body, answer->response->body, answer->response->body_size);
}

/* Begins a read; one that takes no exchange is there at once. */
static void reads(const char *path, int accept, const struct cache_control *control, struct got *got)
{
    const struct agent_resource resource = {.method = 1, .path = path, .format = -1, .accept = accept, .limit = 1000};
    struct cache_answer answer;
    struct fault fault = {.code = FAULT_NONE};

    *got = (struct got){.calls = 0};
    if (core_find_cached(f.core, one, &resource, control, &answer))
        take(got, &answer);
    else if (core_get_resource(f.core, one, &resource, control, 5000, take, got, &fault) != 0)
        *got = (struct got){.calls = 1, .fault = fault.code};
}

static struct got get(const char *path, const struct cache_control *control)
{
    static struct got got;

    reads(path, -1, control, &got);
    core_advance(&f, 10000 * !got.calls);
    ck_assert_uint_eq(got.calls, 1);
    return got;
}

static void is(struct got got, enum cache_status status, const char *body)
{
    ck_assert_int_eq(got.fault, FAULT_NONE);
    ck_assert_int_eq(got.status, status);
    ck_assert_str_eq(got.body, body);
}

static unsigned asked(void)
{
    return sim->calls[AGENT_CALL_RESOURCE];
}

START_TEST(what_is_fresh_is_answered_without_the_device)
{
    struct got got;

    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 20000);
    got = get("/t", &plain);
    is(got, CACHE_HIT, "first");
    ck_assert_uint_ge(got.age, 20);
    ck_assert_int_eq(got.fresh_for, 60 - got.age);
    is(get("/%74", &plain), CACHE_HIT, "first"); /* the same in another spelling */
    ck_assert_uint_eq(asked(), 1);
    core_advance(&f, 60000);
    device_has("second", "", 60);
    is(get("/t", &plain), CACHE_MISS, "second");
    is(get("/u", &plain), CACHE_MISS, "second");
    ck_assert_uint_eq(asked(), 3);
}
END_TEST

START_TEST(accept_makes_another_representation)
{
    struct got got;

    is(get("/t", &plain), CACHE_MISS, "first");
    reads("/t", 60, &plain, &got);
    ck_assert_uint_eq(got.calls, 0);
    core_advance(&f, 10000);
    is(got, CACHE_MISS, "first");
    ck_assert_int_eq(core_known_format(one, "/t", NULL), 0);
    ck_assert_int_eq(core_known_format(one, "/u", NULL), -1);
}
END_TEST

START_TEST(what_is_stale_is_validated)
{
    struct got got;

    device_has("first", "e1", 5);
    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 10000);
    got = get("/t", &plain);
    is(got, CACHE_REVALIDATED, "first");
    ck_assert_uint_eq(got.code, 69);
    ck_assert_int_le(got.fresh_for, 5);
    core_advance(&f, 20000);
    device_has("second", "e2", 5);
    is(get("/t", &plain), CACHE_MISS, "second");
}
END_TEST

/* The client's own tag: its confirmation says nothing about what is kept. */
START_TEST(tags_of_clients_validate_nothing_else)
{
    const struct agent_resource request = {.method = 1,
                                           .path = "/t",
                                           .format = -1,
                                           .accept = -1,
                                           .etag = (const uint8_t *)"e2",
                                           .etag_size = 2,
                                           .limit = 1000};
    struct got got = {.calls = 0};
    struct fault fault;

    device_has("first", "", 5);
    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 10000);
    device_has("second", "e2", 5);
    ck_assert_int_eq(core_get_resource(f.core, one, &request, &plain, 5000, take, &got, &fault), 0);
    core_advance(&f, 10000);
    is(got, CACHE_MISS, "");
    ck_assert_uint_eq(got.code, 67);
}
END_TEST

START_TEST(what_is_confirmed_may_be_gone)
{
    struct got got;

    device_has("first", "e1", 5);
    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 10000);
    reads("/t", -1, &plain, &got);
    ck_assert_uint_eq(got.calls, 0);
    cache_forget(one);
    core_advance(&f, 10000);
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_int_eq(got.fault, FAULT_DEVICE_ANSWER);
}
END_TEST

START_TEST(directives_are_kept_to)
{
    struct cache_control control = plain;

    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 20000);
    control.max_age = 10;
    is(get("/t", &control), CACHE_MISS, "first");
    core_advance(&f, 20000);
    control = plain;
    control.min_fresh = 50;
    is(get("/t", &control), CACHE_MISS, "first");
    control = plain;
    control.no_cache = true;
    is(get("/t", &control), CACHE_MISS, "first");
    ck_assert_uint_eq(asked(), 4);
    control = plain;
    control.no_store = true;
    device_has("secret", "", 60);
    is(get("/t", &control), CACHE_BYPASS, "secret");
    is(get("/t", &plain), CACHE_HIT, "first");
    control = plain;
    control.only_if_cached = true;
    is(get("/t", &control), CACHE_HIT, "first");
    ck_assert_int_eq(get("/u", &control).fault, FAULT_NOT_CACHED);
    core_advance(&f, 100000);
    ck_assert_int_eq(get("/t", &control).fault, FAULT_NOT_CACHED);
    control.allow_stale = true;
    control.max_stale = 10;
    ck_assert_int_eq(get("/t", &control).fault, FAULT_NOT_CACHED);
    control.max_stale = 1000;
    is(get("/t", &control), CACHE_STALE, "first");
    ck_assert_uint_eq(asked(), 5);
}
END_TEST

START_TEST(a_device_that_fails_leaves_what_is_stale)
{
    struct cache_control no_cache = any_stale;

    no_cache.no_cache = true;
    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 100000);
    sim->present = false;
    is(get("/t", &any_stale), CACHE_STALE, "first");
    ck_assert_int_eq(get("/t", &plain).fault, FAULT_DEVICE_UNREACHABLE);
    ck_assert_int_eq(get("/t", &no_cache).fault, FAULT_DEVICE_UNREACHABLE);
    sim->present = true;
    f.sim.reply.code = 163; /* 5.03 */
    is(get("/u", &plain), CACHE_MISS, "first");
    ck_assert_uint_eq(get("/u", &plain).code, 163);
    one->core->options.presence.failures = 100;
    device_has("second", "", 1);
    is(get("/t", &plain), CACHE_MISS, "second");
    core_advance(&f, 5000);
    f.sim.reply.code = 163;
    is(get("/t", &any_stale), CACHE_STALE, "second");
}
END_TEST

START_TEST(errors_are_kept_as_coap_allows)
{
    f.sim.reply.code = 132; /* 4.04 */
    ck_assert_uint_eq(get("/t", &plain).code, 132);
    ck_assert_int_eq(get("/t", &plain).status, CACHE_HIT);
    f.sim.reply.code = 129; /* 4.01 */
    ck_assert_uint_eq(get("/u", &plain).code, 129);
    ck_assert_int_eq(get("/u", &plain).status, CACHE_MISS);
    ck_assert_uint_eq(asked(), 3);
}
END_TEST

START_TEST(concurrent_reads_share_an_exchange)
{
    struct got got[8], other;
    struct cache_stats stats;

    f.sim.latency = 20;
    for (size_t i = 0; i < array_size(got); i++)
        reads("/t", -1, &plain, &got[i]);
    reads("/u", -1, &plain, &other);
    core_advance(&f, 1000);
    for (size_t i = 0; i < array_size(got); i++) {
        is(got[i], CACHE_MISS, "first");
        ck_assert_uint_eq(got[i].collapsed, i > 0);
    }
    is(other, CACHE_MISS, "first");
    ck_assert_uint_eq(asked(), 2);
    core_get_cache_stats(f.core, &stats);
    ck_assert_uint_eq(stats.collapsed, 7);
    ck_assert_uint_eq(stats.misses, 9);
    ck_assert_uint_eq(stats.entries, 2);
}
END_TEST

static void ignore(void *arg, const struct core_resource_result *result)
{
    (void)arg;
    (void)result;
}

START_TEST(writes_make_stale)
{
    const struct agent_resource put = {
        .method = 3, .path = "/a/b", .format = -1, .accept = -1, .body = (const uint8_t *)"x", .body_size = 1};

    is(get("/a/b", &plain), CACHE_MISS, "first");
    is(get("/a", &plain), CACHE_MISS, "first");
    is(get("/a/b/c", &plain), CACHE_MISS, "first");
    is(get("/ab", &plain), CACHE_MISS, "first");
    ck_assert_int_eq(core_request_resource(f.core, one, &put, 1000, ignore, NULL, NULL), 0);
    core_advance(&f, 2000);
    device_has("second", "", 60);
    is(get("/a/b", &plain), CACHE_MISS, "second");
    is(get("/a", &plain), CACHE_MISS, "second");
    is(get("/a/b/c", &plain), CACHE_MISS, "second");
    is(get("/ab", &plain), CACHE_HIT, "first");
}
END_TEST

START_TEST(memory_is_bounded)
{
    static char large[40000];
    struct cache_stats stats;
    char path[16];

    device_has("first", "", 100000);
    f.core->options.cache_bytes = 20000;
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(path, sizeof path, "/%u", i);
        is(get(path, &plain), CACHE_MISS, "first");
        is(get("/0", &plain), CACHE_HIT, "first"); /* it is used all the time */
    }
    core_get_cache_stats(f.core, &stats);
    ck_assert_uint_le(stats.bytes, 20000);
    ck_assert_uint_gt(stats.entries, 20);
    ck_assert_uint_eq(stats.evicted, 200 - stats.entries);
    is(get("/1", &plain), CACHE_MISS, "first");
    cache_store(one, "/0", NULL, -1,
                &(struct agent_response){.code = 69, .body = (uint8_t *)large, .body_size = sizeof large});
    ck_assert_int_eq(get("/0", &plain).status, CACHE_MISS); /* too large for a part of it: the old one is not true */
}
END_TEST

START_TEST(a_sleeping_device_is_not_asked)
{
    device_has("first", "", 5);
    is(get("/t", &plain), CACHE_MISS, "first");
    one->sleep_s = 600;
    one->awake_ms = 1000;
    core_advance(&f, 20000);
    is(get("/t", &any_stale), CACHE_STALE, "first");
    ck_assert_int_eq(get("/t", &plain).fault, FAULT_DEVICE_ASLEEP);
    ck_assert_uint_eq(asked(), 1);
    device_seen(one);
    is(get("/t", &plain), CACHE_MISS, "first");
}
END_TEST

static void restart(bool clean)
{
    if (clean)
        core_stop(f.core);
    core_flush(&f);
    core_restart(&f);
    one = core_find_device(f.core, "one");
}

START_TEST(it_outlives_a_restart_but_is_not_fresh)
{
    struct got got;

    device_has("first", "e1", 1000);
    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 10000);
    restart(true);
    is(get("/t", &any_stale), CACHE_REVALIDATED, "first");
    sim->present = false;
    restart(true);
    got = get("/t", &any_stale);
    is(got, CACHE_STALE, "first");
    ck_assert_int_lt(got.fresh_for, 0);
}
END_TEST

START_TEST(rows_are_written_now_and_then)
{
    struct cache_stats stats;

    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 5 * 60000);
    restart(false);
    core_get_cache_stats(f.core, &stats);
    ck_assert_uint_eq(stats.entries, 0);
    is(get("/t", &plain), CACHE_MISS, "first");
    core_advance(&f, 11 * 60000);
    restart(false);
    core_get_cache_stats(f.core, &stats);
    ck_assert_uint_eq(stats.entries, 1);
}
END_TEST

START_TEST(a_device_that_goes_takes_its_entries)
{
    struct cache_stats stats;

    is(get("/t", &plain), CACHE_MISS, "first");
    ck_assert_int_eq(core_remove_device(f.core, one, NULL, NULL, NULL), 0);
    core_flush(&f);
    core_get_cache_stats(f.core, &stats);
    ck_assert_uint_eq(stats.entries, 0);
    ck_assert_uint_eq(stats.bytes, 0);
}
END_TEST

START_TEST(hosts_are_devices_unless_it_is_allowed)
{
    const struct agent_resource request = {.method = 1, .path = "/t", .format = -1, .accept = -1, .limit = 1000};
    struct device *found = NULL;
    struct operation *op;
    struct fault fault;

    ck_assert_int_eq(core_find_host(f.core, one->address, false, &found, &fault), 0);
    ck_assert_ptr_eq(found, one);
    ck_assert_int_eq(core_find_host(f.core, "coap://[fd00::99]:5683", false, &found, &fault), 1);
    ck_assert_int_eq(fault.code, FAULT_UNKNOWN_HOST);
    for (unsigned i = 0; i < 40; i++) {
        char address[64];

        (void)snprintf(address, sizeof address, "coap://[fd00::%x]:5683", 0x100 + i);
        ck_assert_int_eq(core_find_host(f.core, address, true, &found, &fault), 0);
        ck_assert_str_eq(found->address, address);
    }
    ck_assert_int_eq(core_queue_request(f.core, found, &request, 0, NULL, NULL, &fault, &op), 1);
    ck_assert_int_eq(fault.code, FAULT_UNKNOWN_HOST);
    ck_assert_uint_eq(core_count_devices(f.core), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_cache");
    TCase *tcase = tcase_create("cache");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_fresh_is_answered_without_the_device);
    tcase_add_test(tcase, accept_makes_another_representation);
    tcase_add_test(tcase, what_is_stale_is_validated);
    tcase_add_test(tcase, tags_of_clients_validate_nothing_else);
    tcase_add_test(tcase, what_is_confirmed_may_be_gone);
    tcase_add_test(tcase, directives_are_kept_to);
    tcase_add_test(tcase, a_device_that_fails_leaves_what_is_stale);
    tcase_add_test(tcase, errors_are_kept_as_coap_allows);
    tcase_add_test(tcase, concurrent_reads_share_an_exchange);
    tcase_add_test(tcase, writes_make_stale);
    tcase_add_test(tcase, memory_is_bounded);
    tcase_add_test(tcase, a_sleeping_device_is_not_asked);
    tcase_add_test(tcase, it_outlives_a_restart_but_is_not_fresh);
    tcase_add_test(tcase, rows_are_written_now_and_then);
    tcase_add_test(tcase, a_device_that_goes_takes_its_entries);
    tcase_add_test(tcase, hosts_are_devices_unless_it_is_allowed);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
