#include "agent/container.h"
#include "suite.h"

#include "wat.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define CALLS(open, close, read, write, heartbeat)                                                                     \
    ((open) << 1 | (close) << 2 | (read) << 3 | (write) << 4 | (heartbeat) << 0)

static struct clock_manual clock;
static struct board *board;
static char reason[CONTAINER_REASON_SIZE];
static char text[CONTAINER_LOG_SIZE + 1];

static void setup(void)
{
    clock_manual_init(&clock, 1000, 0);
    board = board_new(&clock.clock, 0);
}

static void teardown(void)
{
    board = board_free(board);
}

static struct metadata metadata_of(enum container_type type)
{
    return (struct metadata){.uid = "test", .uid_length = 4, .type = type, .limits = {.loop_period = 100}};
}

static struct container *make_wasm(const struct metadata *md, const char *module)
{
    struct container *c = NULL;
    size_t size;
    cleanup_free uint8_t *code = wat_compile(module, &size);

    ck_assert_msg(container_new(&c, md, &(struct runtime_program){code, size, NULL, 0}, CONTAINER_CHECK_NOW, board,
                                &clock.clock, reason, sizeof reason) == 0,
                  "%s", reason);
    return c;
}

/* Goes on until ms have passed, from deadline to deadline, as the agent does. */
static void run_for(struct container *c, int64_t ms)
{
    int64_t until = clock.monotonic + ms;

    while (container_deadline(c) <= until) {
        if (container_deadline(c) > clock.monotonic)
            clock_manual_advance(&clock, container_deadline(c) - clock.monotonic);
        container_tick(c);
    }
    clock_manual_advance(&clock, until - clock.monotonic);
}

static const char *log_of(const struct container *c)
{
    text[container_log(c, text, sizeof text - 1)] = '\0';
    return text;
}

static void assert_state(const struct container *c, enum container_state state, const char *why)
{
    ck_assert_str_eq(container_state_name(container_state(c)), container_state_name(state));
    ck_assert_str_eq(container_reason(c), why);
    if (state != CONTAINER_RUNNING && state != CONTAINER_STARTING)
        ck_assert_int_eq(container_deadline(c), CONTAINER_NO_DEADLINE);
}

/* start() logs "start"; loop() counts its calls and returns 0; stop() logs "stop" */
#define MODULE                                                                                                         \
    "(module (import \"env\" \"logger\" (func $log (param i32))) (memory 1)"                                           \
    "(data (i32.const 8) \"start\\00\") (data (i32.const 16) \"stop\\00\") (global $n (mut i32) (i32.const 0))"        \
    "(func (export \"start\") (call $log (i32.const 8))) (func (export \"stop\") (call $log (i32.const 16)))"          \
    "(func (export \"loop\") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) "

#define QUIET MODULE "i32.const 0))"

START_TEST(lives_its_life)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = make_wasm(&md, QUIET);
    uint32_t revision = container_revision(c);

    assert_state(c, CONTAINER_INSTALLED, "");
    container_tick(c);
    container_stop(c);
    assert_state(c, CONTAINER_INSTALLED, "");
    container_start(c);
    assert_state(c, CONTAINER_STARTING, "");
    ck_assert_int_eq(container_deadline(c), clock.monotonic);
    ck_assert_str_eq(log_of(c), "");
    container_tick(c);
    assert_state(c, CONTAINER_RUNNING, "");
    ck_assert_str_eq(log_of(c), "start\n");
    run_for(c, 950);
    ck_assert_uint_eq(container_counters(c).loops, 10);
    container_start(c); /* it runs already */
    ck_assert_uint_eq(container_counters(c).starts, 1);
    container_stop(c);
    assert_state(c, CONTAINER_STOPPED, "on request");
    ck_assert_str_eq(log_of(c), "start\nstop\nagent: stopped: on request\n");
    container_stop(c);
    ck_assert_uint_eq(container_revision(c), revision + 3);
    run_for(c, 1000);
    ck_assert_uint_eq(container_counters(c).loops, 10);
    ck_assert_str_eq(container_metadata(c)->uid, "test");
}
END_TEST

START_TEST(starts_afresh)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = make_wasm(&md, MODULE "(i32.eq (global.get $n) (i32.const 3))))");

    for (uint64_t n = 1; n <= 3; n++) {
        container_start(c);
        run_for(c, 1000);
        assert_state(c, CONTAINER_STOPPED, "loop() returned 1");
        ck_assert_uint_eq(container_counters(c).loops, 3);
        ck_assert_int_eq(container_counters(c).last_result, 1);
        ck_assert_uint_eq(container_counters(c).starts, n);
    }
    ck_assert_ptr_nonnull(strstr(log_of(c), "stop\nagent: stopped: loop() returned 1\nstart\n"));
}
END_TEST

START_TEST(can_be_stopped_before_it_ran)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = make_wasm(&md, QUIET);

    container_start(c);
    container_stop(c);
    assert_state(c, CONTAINER_STOPPED, "on request, before it ran");
    ck_assert_str_eq(log_of(c), "agent: stopped: on request, before it ran\n");
}
END_TEST

START_TEST(keeps_its_period)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = make_wasm(&md, QUIET);

    container_start(c);
    container_tick(c);
    container_tick(c);
    ck_assert_int_eq(container_deadline(c), 1100);
    container_tick(c); /* too early */
    ck_assert_uint_eq(container_counters(c).loops, 1);
    clock_manual_advance(&clock, 130); /* 30 late, which the next one makes up for */
    container_tick(c);
    ck_assert_int_eq(container_deadline(c), 1200);
    clock_manual_advance(&clock, 5000); /* far behind: loops are skipped */
    container_tick(c);
    ck_assert_uint_eq(container_counters(c).loops, 3);
    ck_assert_int_eq(container_deadline(c), clock.monotonic + 100);
}
END_TEST

START_TEST(a_period_of_zero_is_a_millisecond)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = NULL;

    md.limits.loop_period = 0;
    c = make_wasm(&md, QUIET);
    container_start(c);
    run_for(c, 50);
    ck_assert_uint_eq(container_counters(c).loops, 51);
}
END_TEST

START_TEST(ends_with_its_lifetime)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = NULL;

    md.limits.loop_max_lifetime = 4;
    c = make_wasm(&md, QUIET);
    container_start(c);
    run_for(c, 10000);
    assert_state(c, CONTAINER_STOPPED, "its lifetime of 4 loops is over");
    ck_assert_uint_eq(container_counters(c).loops, 4);
    ck_assert_ptr_nonnull(strstr(log_of(c), "stop\nagent: stopped"));
}
END_TEST

struct bad_container {
    const char *module;
    const char *why;
};

static const struct bad_container bad_containers[] = {
    {"(module (func (export \"start\") unreachable) (func (export \"loop\") (result i32) i32.const 0))",
     "start(): unreachable executed"},
    {"(module (func (export \"start\") (loop (br 0))) (func (export \"loop\") (result i32) i32.const 0))",
     "start(): it used up its instructions"},
    {"(module (func (export \"loop\") (result i32) (loop (br 0)) i32.const 0))", "loop(): it used up its instructions"},
    {"(module (func (export \"loop\") (result i32) unreachable))", "loop(): unreachable executed"},
    {"(module (func (export \"stop\") unreachable) (func (export \"loop\") (result i32) i32.const 1))",
     "stop(): unreachable executed"},
    {"(module (func (export \"stop\") (loop (br 0))) (func (export \"loop\") (result i32) i32.const 1))",
     "stop(): it used up its instructions"},
};

START_TEST(fails)
{
    const struct bad_container *bad = &bad_containers[_i];
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = NULL;
    char line[256];

    md.limits.start_max_duration = md.limits.loop_max_duration = md.limits.stop_max_duration = 20;
    c = make_wasm(&md, bad->module);
    container_start(c);
    run_for(c, 1000);
    assert_state(c, CONTAINER_FAILED, bad->why);
    (void)snprintf(line, sizeof line, "agent: failed: %s\n", bad->why);
    ck_assert_str_eq(log_of(c), line);
    container_stop(c); /* it has ended */
    assert_state(c, CONTAINER_FAILED, bad->why);
}
END_TEST

/* A clock that moves by 30 ms each time that it is read. */
static int64_t slow_monotonic(const struct clock *self)
{
    (void)self;
    return clock.monotonic += 30;
}

START_TEST(watches_the_clock)
{
    struct clock slow = clock.clock;
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = NULL;
    size_t size;
    cleanup_free uint8_t *code = wat_compile(QUIET, &size);

    slow.monotonic_ms = slow_monotonic;
    md.limits.loop_max_duration = 29;
    ck_assert_int_eq(container_new(&c, &md, &(struct runtime_program){code, size, NULL, 0}, CONTAINER_CHECK_NOW, board,
                                   &slow, reason, sizeof reason),
                     0);
    container_start(c);
    container_tick(c);
    assert_state(c, CONTAINER_RUNNING, "");
    container_tick(c);
    assert_state(c, CONTAINER_FAILED, "loop(): took 30 ms; the limit is 29 ms");
}
END_TEST

START_TEST(refuses_bad_code)
{
    static const struct runtime_program bad = {"bad", 3, NULL, 0};
    struct metadata md = metadata_of(_i == 0   ? CONTAINER_TYPE_WASM
                                     : _i == 1 ? CONTAINER_TYPE_RBPF
                                               : CONTAINER_TYPE_SHELL);
    cleanup_container struct container *c = NULL;

    ck_assert_int_eq(container_new(&c, &md, &bad, CONTAINER_CHECK_NOW, board, &clock.clock, reason, sizeof reason),
                     CONTAINER_E_INVALID);
    ck_assert_ptr_null(c);
    ck_assert_str_ne(reason, "");
    ck_assert_int_eq(container_new(&c, &md, &bad, CONTAINER_CHECK_AT_START, board, &clock.clock, reason, sizeof reason),
                     0);
    container_start(c);
    assert_state(c, CONTAINER_STARTING, "");
    container_tick(c);
    assert_state(c, CONTAINER_FAILED, reason);
}
END_TEST

START_TEST(denies_and_counts)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c =
        make_wasm(&md, "(module (import \"env\" \"open\" (func $open (param i32) (result i32)))"
                       "(func (export \"loop\") (result i32) (call $open (i32.const 1))))");

    container_start(c);
    run_for(c, 1000);
    assert_state(c, CONTAINER_STOPPED, "loop() returned -1");
    ck_assert_uint_eq(container_counters(c).denials, 1);
    ck_assert_uint_eq(container_counters(c).calls, 0);
    ck_assert_str_eq(log_of(c), "agent: denied open(): the metadata's system calls do not include it\n"
                                "agent: stopped: loop() returned -1\n");
    ck_assert_uint_eq(container_log_revision(c), 2);
}
END_TEST

/* The examples, as `make examples` built them -------------------------------- */

static struct container *load_example(const struct metadata *md, const char *path, const void *data, size_t data_size)
{
    char full[1024];
    uint8_t code[4096];
    cleanup_fclose FILE *file = NULL;
    struct container *c = NULL;
    size_t size;

    (void)snprintf(full, sizeof full, "%s/fuzz/corpus/%s", TEST_SRCDIR, path);
    file = fopen(full, "rb");
    ck_assert_ptr_nonnull(file);
    size = fread(code, 1, sizeof code, file);
    ck_assert_msg(container_new(&c, md, &(struct runtime_program){code, size, data, data_size}, CONTAINER_CHECK_NOW,
                                board, &clock.clock, reason, sizeof reason) == 0,
                  "%s", reason);
    return c;
}

static void add_endpoint(struct metadata *md, uint32_t id, uint32_t part, enum endpoint_direction direction)
{
    md->endpoints[md->endpoint_count++] = (struct container_endpoint){
        .id = id, .peer = ENDPOINT_PEER_LOCAL, .peer_endpoint = part, .direction = direction};
}

static uint8_t actuator(uint32_t part)
{
    uint8_t value = 0xff;

    ck_assert_int_eq(board_read(board, part, &value, 1), 1);
    return value;
}

START_TEST(runs_door_watch)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = NULL;

    md.syscall_mask = CALLS(1u, 0u, 1u, 1u, 0u);
    md.limits = (struct container_limits){100, 500, 100, 0, 100};
    add_endpoint(&md, 1, BOARD_DOOR, ENDPOINT_IN);
    add_endpoint(&md, 2, BOARD_TILT, ENDPOINT_IN);
    add_endpoint(&md, 3, BOARD_LAMP, ENDPOINT_OUT);
    add_endpoint(&md, 4, BOARD_BUZZER, ENDPOINT_OUT);
    c = load_example(&md, "runtime/door-watch", NULL, 0);
    container_start(c);
    run_for(c, 9900);
    ck_assert_str_eq(log_of(c), "watching door and tilt\n");
    run_for(c, 2000);
    ck_assert_str_eq(log_of(c), "watching door and tilt\ndoor opened\n");
    ck_assert_uint_eq(actuator(BOARD_LAMP), 1);
    run_for(c, 9000);
    ck_assert_str_eq(log_of(c), "watching door and tilt\ndoor opened\ndoor closed\nbox tilted\n");
    ck_assert_uint_eq(actuator(BOARD_LAMP), 0);
    ck_assert_uint_eq(actuator(BOARD_BUZZER), 1);
    container_stop(c);
    assert_state(c, CONTAINER_STOPPED, "on request");
    ck_assert_uint_eq(actuator(BOARD_BUZZER), 0);
    ck_assert_uint_eq(container_counters(c).denials, 0);
}
END_TEST

START_TEST(door_watch_ends_without_its_sensors)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = NULL;

    md.syscall_mask = CALLS(1u, 0u, 1u, 1u, 0u);
    c = load_example(&md, "runtime/door-watch", NULL, 0);
    container_start(c);
    run_for(c, 1000);
    assert_state(c, CONTAINER_STOPPED, "loop() returned 1");
    ck_assert_ptr_nonnull(strstr(log_of(c), "sensors cannot be read\n"));
}
END_TEST

START_TEST(runs_temp_average)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_WASM);
    cleanup_container struct container *c = NULL;
    uint8_t average[8];

    md.syscall_mask = CALLS(1u, 1u, 1u, 1u, 0u);
    add_endpoint(&md, 1, BOARD_TEMPERATURE, ENDPOINT_IN);
    add_endpoint(&md, 2, BOARD_REGISTER, ENDPOINT_OUT);
    c = load_example(&md, "runtime/temp-average", "\2", 1);
    container_start(c);
    run_for(c, 90);
    ck_assert_str_eq(log_of(c), "");
    run_for(c, 100); /* the second of the window's two readings */
    ck_assert_str_eq(log_of(c), "average 18.951 C\n");
    ck_assert_int_eq(board_read(board, BOARD_REGISTER, average, sizeof average), 4);
    ck_assert_int_eq(average[0] | average[1] << 8, 18951);
    run_for(c, 200);
    ck_assert_str_eq(log_of(c), "average 18.951 C\naverage 18.959 C\n");
    ck_assert_int_eq(container_set_data(c, "\1", 1), 0);
    container_stop(c);
    container_start(c);
    run_for(c, 90);
    ck_assert_uint_eq(container_counters(c).loops, 1);
    ck_assert_ptr_nonnull(strstr(log_of(c), "stopped: on request\naverage "));
    ck_assert_uint_eq(container_counters(c).denials, 0);
}
END_TEST

START_TEST(runs_counter)
{
    struct metadata md = metadata_of(CONTAINER_TYPE_RBPF);
    cleanup_container struct container *c = NULL;
    uint8_t count[8];
    size_t size;

    md.syscall_mask = CALLS(1u, 1u, 0u, 1u, 1u);
    add_endpoint(&md, 1, BOARD_REGISTER, ENDPOINT_OUT);
    c = load_example(&md, "rbpf/counter", "\x64\0\0\0", 4);
    ck_assert_mem_eq(container_data(c, &size), "\x64\0\0\0", 4);
    ck_assert_uint_eq(size, 4);
    container_start(c);
    run_for(c, 250);
    ck_assert_str_eq(log_of(c), "count 101\ncount 102\ncount 103\n");
    run_for(c, 800); /* eleven runs in all; what they return does not end it */
    assert_state(c, CONTAINER_RUNNING, "");
    ck_assert_int_eq(container_counters(c).last_result, 111);
    ck_assert_uint_eq(container_counters(c).heartbeats, 11);
    ck_assert_uint_eq(container_counters(c).denials, 0);
    ck_assert_int_eq(board_read(board, BOARD_REGISTER, count, sizeof count), 4);
    ck_assert_uint_eq(count[0], 111);
    ck_assert_int_eq(container_set_data(c, NULL, 0), 0);
    container_stop(c);
    container_start(c);
    run_for(c, 50);
    ck_assert_int_eq(container_counters(c).last_result, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("container");
    TCase *tests = tcase_create("container");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, lives_its_life);
    tcase_add_test(tests, starts_afresh);
    tcase_add_test(tests, can_be_stopped_before_it_ran);
    tcase_add_test(tests, keeps_its_period);
    tcase_add_test(tests, a_period_of_zero_is_a_millisecond);
    tcase_add_test(tests, ends_with_its_lifetime);
    tcase_add_loop_test(tests, fails, 0, (int)array_size(bad_containers));
    tcase_add_test(tests, watches_the_clock);
    tcase_add_loop_test(tests, refuses_bad_code, 0, 3);
    tcase_add_test(tests, denies_and_counts);
    tcase_add_test(tests, runs_door_watch);
    tcase_add_test(tests, door_watch_ends_without_its_sensors);
    tcase_add_test(tests, runs_temp_average);
    tcase_add_test(tests, runs_counter);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
