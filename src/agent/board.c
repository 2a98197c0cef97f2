#include "agent/board.h"

#include <string.h>

#define MEMORY_MAX (1u << 20)

struct board {
    const struct clock *clock;
    int64_t epoch; /* monotonic ms at which the traces begin */
    uint8_t lamp;
    uint8_t lock;
    uint8_t buzzer;
    uint8_t reg[BOARD_REGISTER_SIZE];
    size_t reg_size;
    board_radio_fn send; /* NULL: no radio */
    void *send_arg;
    struct bus bus;
    uint32_t memory;
    unsigned runtimes;
};

struct board *board_new(const struct clock *clock, uint32_t seed)
{
    struct board *board = calloc(1, sizeof *board);

    if (!board)
        return NULL;
    board->clock = clock;
    board->memory = MEMORY_MAX;
    board->runtimes = BOARD_RUNTIMES;
    board->epoch = clock_monotonic_ms(clock) - (int64_t)(seed % 3600) * 1000;
    return board;
}

struct board *board_free(struct board *board)
{
    free(board);
    return NULL;
}

const char *board_part_name(uint32_t part)
{
    switch (part) {
    case BOARD_TEMPERATURE:
        return "temperature";
    case BOARD_DOOR:
        return "door";
    case BOARD_TILT:
        return "tilt";
    case BOARD_BATTERY:
        return "battery";
    case BOARD_LAMP:
        return "lamp";
    case BOARD_LOCK:
        return "lock";
    case BOARD_BUZZER:
        return "buzzer";
    case BOARD_REGISTER:
        return "register";
    default:
        return NULL;
    }
}

/* Rises from low to high and falls back within period. */
static int32_t triangle(int64_t t, int64_t period, int32_t low, int32_t high)
{
    int64_t phase = t % period * 2;

    if (phase > period)
        phase = 2 * period - phase;
    return low + (int32_t)((high - low) * phase / period);
}

static int32_t temperature(int64_t t)
{
    return triangle(t, 600000, 19000, 23000) + triangle(t, 7000, -50, 50);
}

static uint8_t door(int64_t t)
{
    int64_t phase = t % 30000;

    return phase >= 10000 && phase < 15000;
}

static int32_t tilt(int64_t t)
{
    int64_t phase = t % 45000;

    return phase >= 20000 && phase < 23000 ? 35000 : triangle(t, 3000, 0, 1000);
}

static int32_t battery(int64_t t)
{
    int64_t minutes = t / 60000;

    return minutes < 900 ? 4200 - (int32_t)minutes : 3300;
}

static int32_t give(const void *value, size_t value_size, uint8_t *out, size_t size)
{
    if (value_size > size)
        return -1;
    if (value_size)
        memcpy(out, value, value_size);
    return (int32_t)value_size;
}

static int32_t give_i32(int32_t value, uint8_t *out, size_t size)
{
    uint32_t v = (uint32_t)value;
    const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

    return give(bytes, sizeof bytes, out, size);
}

int32_t board_read(const struct board *board, uint32_t part, uint8_t *out, size_t size)
{
    int64_t t = clock_monotonic_ms(board->clock) - board->epoch;
    uint8_t is_open = door(t);

    switch (part) {
    case BOARD_TEMPERATURE:
        return give_i32(temperature(t), out, size);
    case BOARD_DOOR:
        return give(&is_open, 1, out, size);
    case BOARD_TILT:
        return give_i32(tilt(t), out, size);
    case BOARD_BATTERY:
        return give_i32(battery(t), out, size);
    case BOARD_LAMP:
        return give(&board->lamp, 1, out, size);
    case BOARD_LOCK:
        return give(&board->lock, 1, out, size);
    case BOARD_BUZZER:
        return give(&board->buzzer, 1, out, size);
    case BOARD_REGISTER:
        return give(board->reg, board->reg_size < size ? board->reg_size : size, out, size);
    default:
        return -1;
    }
}

static int32_t take_byte(uint8_t *actuator, const uint8_t *data, size_t size)
{
    if (size != 1)
        return -1;
    *actuator = data[0];
    return 1;
}

int32_t board_write(struct board *board, uint32_t part, const uint8_t *data, size_t size)
{
    switch (part) {
    case BOARD_LAMP:
        return take_byte(&board->lamp, data, size);
    case BOARD_LOCK:
        return take_byte(&board->lock, data, size);
    case BOARD_BUZZER:
        return take_byte(&board->buzzer, data, size);
    case BOARD_REGISTER:
        if (size == 0 || size > sizeof board->reg)
            return -1;
        memcpy(board->reg, data, size);
        board->reg_size = size;
        return (int32_t)size;
    default:
        return -1;
    }
}

void board_set_radio(struct board *board, board_radio_fn send, void *arg)
{
    board->send = send;
    board->send_arg = arg;
}

bool board_has_radio(const struct board *board)
{
    return board->send != NULL;
}

int32_t board_send(struct board *board, const char *uid, uint32_t endpoint, const uint8_t *data, size_t size)
{
    return board->send ? board->send(board->send_arg, uid, endpoint, data, size) : -1;
}

struct bus *board_bus(struct board *board)
{
    return &board->bus;
}

void board_set_memory(struct board *board, size_t bytes)
{
    board->memory = bytes < MEMORY_MAX ? (uint32_t)bytes : MEMORY_MAX;
}

uint32_t board_memory(const struct board *board)
{
    return board->memory;
}

void board_set_runtimes(struct board *board, unsigned types)
{
    board->runtimes = types;
}

bool board_runs(const struct board *board, unsigned type)
{
    return type < CONTAINER_TYPE_COUNT && board->runtimes & 1u << type;
}
