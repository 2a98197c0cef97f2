#include "agent/board.h"
#include "suite.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

static struct clock_manual clock;

static struct board *make(uint32_t seed)
{
    clock_manual_init(&clock, 5000, 0);
    return board_new(&clock.clock, seed);
}

static int32_t read_i32(const struct board *board, uint32_t part)
{
    uint8_t b[4];

    ck_assert_int_eq(board_read(board, part, b, sizeof b), 4);
    return (int32_t)((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
}

START_TEST(sensors_follow_the_clock)
{
    cleanup_board struct board *board = make(0), *same = make(0), *other = make(77);
    int32_t low = INT32_MAX, high = INT32_MIN;
    int open_for = 0, tilted_for = 0;
    bool differs = false;
    uint8_t door;

    for (int second = 0; second < 900; second++) {
        int32_t temperature = read_i32(board, BOARD_TEMPERATURE);

        low = temperature < low ? temperature : low;
        high = temperature > high ? temperature : high;
        ck_assert_int_eq(board_read(board, BOARD_DOOR, &door, 1), 1);
        open_for += door;
        tilted_for += read_i32(board, BOARD_TILT) > 30000;
        ck_assert_int_eq(read_i32(same, BOARD_TEMPERATURE), temperature);
        differs |= read_i32(other, BOARD_TEMPERATURE) != temperature;
        clock_manual_advance(&clock, 1000);
    }
    ck_assert_int_ge(low, 18900);
    ck_assert_int_le(low, 19100);
    ck_assert_int_ge(high, 22900);
    ck_assert_int_le(high, 23100);
    ck_assert_int_eq(open_for, 5 * 30);
    ck_assert_int_eq(tilted_for, 3 * 20);
    ck_assert(differs);
    ck_assert_int_eq(read_i32(board, BOARD_BATTERY), 4200 - 15);
    clock_manual_advance(&clock, INT64_C(86400000) * 365);
    ck_assert_int_eq(read_i32(board, BOARD_BATTERY), 3300);
}
END_TEST

START_TEST(the_door_opens_when_documented)
{
    cleanup_board struct board *board = make(0);
    static const struct {
        int64_t at;
        uint8_t open;
    } trace[] = {{0, 0}, {9999, 0}, {10000, 1}, {14999, 1}, {15000, 0}, {39999, 0}, {40000, 1}};
    uint8_t door;

    for (size_t i = 0; i < array_size(trace); i++) {
        clock.monotonic = 5000 + trace[i].at;
        ck_assert_int_eq(board_read(board, BOARD_DOOR, &door, 1), 1);
        ck_assert_uint_eq(door, trace[i].open);
    }
}
END_TEST

START_TEST(actuators_remember)
{
    static const uint32_t parts[] = {BOARD_LAMP, BOARD_LOCK, BOARD_BUZZER};
    cleanup_board struct board *board = make(0);
    uint8_t value = 9;

    for (uint8_t i = 0; i < array_size(parts); i++) {
        uint8_t written = (uint8_t)(10 + i);

        ck_assert_int_eq(board_read(board, parts[i], &value, 1), 1);
        ck_assert_uint_eq(value, 0);
        ck_assert_int_eq(board_write(board, parts[i], &written, 1), 1);
        ck_assert_int_eq(board_write(board, parts[i], &written, 0), -1);
        ck_assert_int_eq(board_write(board, parts[i], (const uint8_t *)"ab", 2), -1);
    }
    for (uint8_t i = 0; i < array_size(parts); i++) {
        ck_assert_int_eq(board_read(board, parts[i], &value, 1), 1);
        ck_assert_uint_eq(value, 10 + i);
    }
}
END_TEST

START_TEST(the_register_takes_up_to_64_bytes)
{
    cleanup_board struct board *board = make(0);
    uint8_t in[BOARD_REGISTER_SIZE + 1], out[BOARD_REGISTER_SIZE + 1];

    memset(in, 'x', sizeof in);
    ck_assert_int_eq(board_read(board, BOARD_REGISTER, out, sizeof out), 0);
    ck_assert_int_eq(board_write(board, BOARD_REGISTER, in, BOARD_REGISTER_SIZE + 1), -1);
    ck_assert_int_eq(board_write(board, BOARD_REGISTER, in, 0), -1);
    ck_assert_int_eq(board_write(board, BOARD_REGISTER, in, BOARD_REGISTER_SIZE), BOARD_REGISTER_SIZE);
    ck_assert_int_eq(board_read(board, BOARD_REGISTER, out, sizeof out), BOARD_REGISTER_SIZE);
    ck_assert_mem_eq(in, out, BOARD_REGISTER_SIZE);
    ck_assert_int_eq(board_read(board, BOARD_REGISTER, out, 3), 3);
    ck_assert_int_eq(board_write(board, BOARD_REGISTER, (const uint8_t *)"ab", 2), 2);
    ck_assert_int_eq(board_read(board, BOARD_REGISTER, out, sizeof out), 2);
}
END_TEST

START_TEST(refuses_what_is_not_there)
{
    cleanup_board struct board *board = make(0);
    uint8_t bytes[4] = {0};

    ck_assert_int_eq(board_read(board, 0, bytes, 4), -1);
    ck_assert_int_eq(board_read(board, 99, bytes, 4), -1);
    ck_assert_int_eq(board_read(board, BOARD_TEMPERATURE, bytes, 3), -1);
    ck_assert_int_eq(board_read(board, BOARD_DOOR, bytes, 0), -1);
    ck_assert_int_eq(board_write(board, BOARD_TEMPERATURE, bytes, 4), -1);
    ck_assert_int_eq(board_write(board, 99, bytes, 1), -1);
    ck_assert_str_eq(board_part_name(BOARD_LOCK), "lock");
    ck_assert_ptr_null(board_part_name(5));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("board");
    TCase *tests = tcase_create("board");

    tcase_add_test(tests, sensors_follow_the_clock);
    tcase_add_test(tests, the_door_opens_when_documented);
    tcase_add_test(tests, actuators_remember);
    tcase_add_test(tests, the_register_takes_up_to_64_bytes);
    tcase_add_test(tests, refuses_what_is_not_there);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
