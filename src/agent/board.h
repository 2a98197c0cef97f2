#ifndef TC_AGENT_BOARD_H
#define TC_AGENT_BOARD_H

#include "agent/bus.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The simulated hardware of one device: sensors whose values follow from the time alone, and actuators that remember
 * what was written. Numbers are the peer_endpoint of a local endpoint in a container's metadata; values are
 * little-endian.
 */
enum board_part {
    BOARD_TEMPERATURE = 1, /* read: int32, thousandths of a degree Celsius; swings between 19 and 23 degrees */
    BOARD_DOOR = 2,        /* read: one byte, 1 while open: 5 of every 30 seconds, first after 10 */
    BOARD_TILT = 3,        /* read: int32, thousandths of a degree; above 30 degrees for 3 of every 45 seconds */
    BOARD_BATTERY = 4,     /* read: int32, millivolts; falls by one a minute from 4200 to 3300 */
    BOARD_LAMP = 16,       /* write: one byte; read: what was written */
    BOARD_LOCK = 17,       /* the same */
    BOARD_BUZZER = 18,     /* the same */
    BOARD_REGISTER = 32,   /* write and read: up to BOARD_REGISTER_SIZE bytes */
};

#define BOARD_REGISTER_SIZE 64

struct board;

/* Takes what a container writes to a remote endpoint. Returns the number of bytes taken, or -1. */
typedef int32_t (*board_radio_fn)(void *arg, const char *uid, uint32_t endpoint, const uint8_t *data, size_t size);

/* The time of the sensors' traces begins now; seed shifts them, so that many boards differ (0: as documented above).
 * The clock must outlive the board. NULL when there is no memory. */
struct board *board_new(const struct clock *clock, uint32_t seed);
struct board *board_free(struct board *board); /* returns NULL */

/* The name of a part for logs ("temperature"), NULL when there is none with this number. */
const char *board_part_name(uint32_t part);

/* Reads up to size bytes of a part's value. Returns their number, -1 when there is no such part, when it cannot be
 * read, or when size is too small for its value (a register gives as much as fits). */
int32_t board_read(const struct board *board, uint32_t part, uint8_t *out, size_t size);

/* Writes a part. Returns the number of bytes taken, -1 when there is no such part, when it is a sensor, or when there
 * are no or too many bytes. */
int32_t board_write(struct board *board, uint32_t part, const uint8_t *data, size_t size);

/* Gives the board a way to the outside; without one it has none. */
void board_set_radio(struct board *board, board_radio_fn send, void *arg);
bool board_has_radio(const struct board *board);
/* Sends over it; -1 also where there is none. */
int32_t board_send(struct board *board, const char *uid, uint32_t endpoint, const uint8_t *data, size_t size);

/* What joins its containers. */
struct bus *board_bus(struct board *board);

/* Bytes that the WebAssembly memory of a container may have; 1 MiB unless set. */
void board_set_memory(struct board *board, size_t bytes);
uint32_t board_memory(const struct board *board);

/* The container types that it can run, a bit 1 << type for each; all that tcagent has (BOARD_RUNTIMES) unless set. */
#define BOARD_RUNTIMES (1u << CONTAINER_TYPE_RBPF | 1u << CONTAINER_TYPE_WASM)
void board_set_runtimes(struct board *board, unsigned types);
bool board_runs(const struct board *board, unsigned type);

#define cleanup_board cleanup(board_free_pointer)
static inline void board_free_pointer(struct board **board)
{
    *board = board_free(*board);
}

#endif
