#include "agent/sandbox.h"
#include "suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define MASK(id) (1u << (CONTAINER_SYSCALL_##id - 1))
#define ALL_CALLS (MASK(HEARTBEAT) | MASK(OPEN) | MASK(CLOSE) | MASK(READ) | MASK(WRITE))

static struct clock_manual clock;
static struct board *board;
static struct sandbox *sandbox;
static const struct runtime_host *host;
static struct metadata md;
static char text[SANDBOX_LOG_SIZE + 1];

/* 1 door in, 2 lamp out, 3 register both, 4 another container, 5 remote, 6 a part that is not there */
static void setup(void)
{
    static const struct container_endpoint endpoints[] = {
        {.id = 1, .peer = ENDPOINT_PEER_LOCAL, .peer_endpoint = BOARD_DOOR, .direction = ENDPOINT_IN},
        {.id = 2, .peer = ENDPOINT_PEER_LOCAL, .peer_endpoint = BOARD_LAMP, .direction = ENDPOINT_OUT},
        {.id = 3, .peer = ENDPOINT_PEER_LOCAL, .peer_endpoint = BOARD_REGISTER, .direction = ENDPOINT_BOTH},
        {.id = 4, .peer = ENDPOINT_PEER_CONTAINER, .peer_uid = "other", .peer_endpoint = 1, .direction = ENDPOINT_IN},
        {.id = 5, .peer = ENDPOINT_PEER_REMOTE, .peer_endpoint = 1, .direction = ENDPOINT_IN},
        {.id = 6, .peer = ENDPOINT_PEER_LOCAL, .peer_endpoint = 77, .direction = ENDPOINT_IN},
        {.id = 7, .peer = ENDPOINT_PEER_LOCAL, .peer_endpoint = BOARD_TILT, .direction = ENDPOINT_BOTH},
    };

    clock_manual_init(&clock, 0, 0);
    board = board_new(&clock.clock, 0);
    md = (struct metadata){.syscall_mask = ALL_CALLS, .endpoint_count = array_size(endpoints)};
    memcpy(md.endpoints, endpoints, sizeof endpoints);
    sandbox = sandbox_new(&md, board);
    host = sandbox_host(sandbox);
}

static void teardown(void)
{
    sandbox = sandbox_free(sandbox);
    board = board_free(board);
}

static const char *log_text(void)
{
    text[sandbox_log(sandbox, text, sizeof text - 1)] = '\0';
    return text;
}

static void assert_denied(int32_t result, const char *line)
{
    ck_assert_int_eq(result, -1);
    ck_assert_msg(strstr(log_text(), line) != NULL, "no \"%s\" in: %s", line, text);
}

START_TEST(lets_through_what_is_allowed)
{
    uint8_t byte = 9;
    int32_t door = host->open(host->arg, 1), lamp = host->open(host->arg, 2), reg = host->open(host->arg, 3);
    uint8_t bytes[8];

    ck_assert_int_ge(door, 1);
    ck_assert_int_ne(door, lamp);
    ck_assert_int_eq(host->read(host->arg, door, &byte, 1), 1);
    ck_assert_uint_eq(byte, 0);
    clock_manual_advance(&clock, 12000);
    ck_assert_int_eq(host->read(host->arg, door, &byte, 1), 1);
    ck_assert_uint_eq(byte, 1);
    ck_assert_int_eq(host->write(host->arg, lamp, &byte, 1), 1);
    ck_assert_int_eq(board_read(board, BOARD_LAMP, bytes, 1), 1);
    ck_assert_uint_eq(bytes[0], 1);
    ck_assert_int_eq(host->write(host->arg, reg, (const uint8_t *)"abc", 3), 3);
    ck_assert_int_eq(host->read(host->arg, reg, bytes, 8), 3);
    ck_assert_int_eq(host->close(host->arg, lamp), 0);
    ck_assert_int_eq(host->open(host->arg, 2), lamp);
    host->heartbeat(host->arg);
    ck_assert_uint_eq(sandbox_counters(sandbox).calls, 11);
    ck_assert_uint_eq(sandbox_counters(sandbox).denials, 0);
    ck_assert_uint_eq(sandbox_counters(sandbox).heartbeats, 1);
    ck_assert_str_eq(log_text(), "");
}
END_TEST

START_TEST(asks_the_mask_for_every_call)
{
    int32_t door = host->open(host->arg, 1), lamp = host->open(host->arg, 2);
    uint8_t byte = 1;

    md.syscall_mask = ALL_CALLS & ~MASK(OPEN);
    assert_denied(host->open(host->arg, 1), "agent: denied open(): the metadata's system calls do not include it\n");
    md.syscall_mask = ALL_CALLS & ~MASK(READ);
    assert_denied(host->read(host->arg, door, &byte, 1), "agent: denied read()");
    md.syscall_mask = ALL_CALLS & ~MASK(WRITE);
    assert_denied(host->write(host->arg, lamp, &byte, 1), "agent: denied write()");
    md.syscall_mask = ALL_CALLS & ~MASK(CLOSE);
    assert_denied(host->close(host->arg, lamp), "agent: denied close()");
    md.syscall_mask = ALL_CALLS & ~MASK(HEARTBEAT);
    host->heartbeat(host->arg);
    ck_assert_ptr_nonnull(strstr(log_text(), "agent: denied heartbeat()"));
    md.syscall_mask = 0;
    host->log(host->arg, "x", 1); /* needs no permission */
    ck_assert_ptr_nonnull(strstr(log_text(), "\nx\n"));
    ck_assert_uint_eq(sandbox_counters(sandbox).denials, 5);
    ck_assert_uint_eq(sandbox_counters(sandbox).calls, 2);
    ck_assert_uint_eq(sandbox_counters(sandbox).heartbeats, 0);
}
END_TEST

START_TEST(opens_only_its_endpoints)
{
    assert_denied(host->open(host->arg, 0), "denied open(0): the metadata has no such endpoint");
    assert_denied(host->open(host->arg, UINT32_MAX), "denied open(4294967295)");
    assert_denied(host->open(host->arg, 5), "denied open(5): its peer is remote");
    assert_denied(host->open(host->arg, 6), "denied open(6): the board has no part 77");
    ck_assert_uint_eq(sandbox_counters(sandbox).denials, 4);
}
END_TEST

START_TEST(keeps_the_direction)
{
    int32_t door = host->open(host->arg, 1), lamp = host->open(host->arg, 2), tilt = host->open(host->arg, 7);
    uint8_t bytes[4] = {0};

    assert_denied(host->write(host->arg, door, bytes, 1), "endpoint 1 is for input only");
    assert_denied(host->read(host->arg, lamp, bytes, 1), "endpoint 2 is for output only");
    assert_denied(host->write(host->arg, tilt, bytes, 4), "the tilt does not take 4 bytes");
    assert_denied(host->read(host->arg, tilt, bytes, 3), "3 bytes are too few for the tilt");
}
END_TEST

START_TEST(bounds_descriptors)
{
    static const int32_t bad[] = {0, -1, 1, SANDBOX_DESCRIPTORS, SANDBOX_DESCRIPTORS + 1, INT32_MAX, INT32_MIN};
    uint8_t byte = 0;

    for (size_t i = 0; i < array_size(bad); i++) {
        assert_denied(host->read(host->arg, bad[i], &byte, 1), "this descriptor is not open");
        assert_denied(host->write(host->arg, bad[i], &byte, 1), "this descriptor is not open");
        assert_denied(host->close(host->arg, bad[i]), "this descriptor is not open");
    }
    for (int i = 0; i < SANDBOX_DESCRIPTORS; i++)
        ck_assert_int_eq(host->open(host->arg, 3), i + 1);
    assert_denied(host->open(host->arg, 3), "8 descriptors are open already");
    sandbox_begin(sandbox);
    assert_denied(host->close(host->arg, 1), "denied close(1)");
    ck_assert_int_eq(host->open(host->arg, 3), 1);
}
END_TEST

START_TEST(one_line_for_a_repeated_denial)
{
    uint32_t before = sandbox_log_revision(sandbox);

    for (int i = 0; i < 100; i++)
        (void)host->open(host->arg, 99);
    ck_assert_uint_eq(sandbox_log_revision(sandbox), before + 1);
    ck_assert_uint_eq(sandbox_counters(sandbox).denials, 100);
    (void)host->open(host->arg, 98);
    (void)host->open(host->arg, 99);
    ck_assert_uint_eq(sandbox_log_revision(sandbox), before + 3);
}
END_TEST

START_TEST(the_log_is_plain_text)
{
    static const char binary[] = "a\x01\x1b[31m\r\nb\x7f\xff\xc3\xa4";
    char longest[SANDBOX_LINE_SIZE + 50];

    host->log(host->arg, "grün\n", 6);
    host->log(host->arg, binary, sizeof binary - 1);
    host->log(host->arg, "", 0);
    ck_assert_str_eq(log_text(), "grün\na??[31m??b????\n\n");
    memset(longest, 'y', sizeof longest);
    host->log(host->arg, longest, sizeof longest);
    ck_assert_uint_eq(strlen(log_text()), strlen("grün\na??[31m??b????\n\n") + SANDBOX_LINE_SIZE + 1);
}
END_TEST

START_TEST(the_log_forgets_the_oldest_lines)
{
    char line[32];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(line, sizeof line, "line number %d", i);
        host->log(host->arg, line, strlen(line));
    }
    ck_assert_uint_le(strlen(log_text()), SANDBOX_LOG_SIZE);
    ck_assert_uint_ge(strlen(text), SANDBOX_LOG_SIZE - 32);
    ck_assert_int_eq(strncmp(text, "line number ", 12), 0);
    ck_assert_str_eq(text + strlen(text) - strlen("line number 999\n"), "line number 999\n");
    ck_assert_uint_eq(sandbox_log_revision(sandbox), 1000);
    /* the newest whole lines that fit */
    ck_assert_uint_eq(sandbox_log(sandbox, text, 40), 32);
    ck_assert_mem_eq(text, "line number 998\nline number 999\n", 32);
    ck_assert_uint_eq(sandbox_log(sandbox, text, 15), 0);
    ck_assert_uint_eq(sandbox_log(sandbox, text, 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *tests = tcase_create("sandbox");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, lets_through_what_is_allowed);
    tcase_add_test(tests, asks_the_mask_for_every_call);
    tcase_add_test(tests, opens_only_its_endpoints);
    tcase_add_test(tests, keeps_the_direction);
    tcase_add_test(tests, bounds_descriptors);
    tcase_add_test(tests, one_line_for_a_repeated_denial);
    tcase_add_test(tests, the_log_is_plain_text);
    tcase_add_test(tests, the_log_forgets_the_oldest_lines);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
