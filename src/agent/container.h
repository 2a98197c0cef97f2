#ifndef TC_AGENT_CONTAINER_H
#define TC_AGENT_CONTAINER_H

#include "agent/board.h"
#include "agent/runtime.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "tcgw/metadata.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The life of one container on the agent. It does no I/O, has no thread and no timer: whoever owns it calls
 * container_tick() when container_deadline() is reached. A call of the container's code is bounded by fuel, which
 * follows from its durations, and by the clock.
 *
 *   installed -> starting -> running -> stopped | failed,  and from there to starting again
 */
enum container_state {
    CONTAINER_INSTALLED, /* never started */
    CONTAINER_STARTING,  /* start was asked for; the next tick calls start() */
    CONTAINER_RUNNING,
    CONTAINER_STOPPED, /* ended by itself, by its lifetime or on request */
    CONTAINER_FAILED,  /* did what it must not, or took too long */
    CONTAINER_STATE_COUNT
};

/* "installed", "starting", ... */
const char *container_state_name(enum container_state state);

#define CONTAINER_REASON_SIZE 192
#define CONTAINER_LOG_SIZE 4096
#define CONTAINER_NO_DEADLINE INT64_MAX

/* When code is validated that came with container_new. The agent of the field does it at the start only. */
enum container_check { CONTAINER_CHECK_NOW, CONTAINER_CHECK_AT_START };

/* Totals since the container was installed. */
struct container_counters {
    uint64_t starts;
    uint64_t loops;      /* completed calls of loop() since the last start */
    int64_t last_result; /* what the last one returned */
    uint64_t calls;      /* calls to the host (open, read, ...) that were let through */
    uint64_t denials;    /* and that were not */
    uint64_t heartbeats;
};

struct container;

/*
 * Installs a container; metadata and program are copied. board and clock must outlive it.
 * Returns 0, CONTAINER_E_INVALID with a sentence in reason (CONTAINER_REASON_SIZE bytes) when there is no runtime for
 * its type or its code does not validate, or -ENOMEM.
 */
enum container_error { CONTAINER_E_INVALID = 1 };
int container_new(struct container **out, const struct metadata *md, const struct runtime_program *program,
                  enum container_check check, struct board *board, const struct clock *clock, char *reason,
                  size_t reason_size) must_check;
struct container *container_free(struct container *c); /* does not call stop(); returns NULL */

/* Asks for a start with fresh memory; the next tick does it. Nothing happens when it is starting or running. */
void container_start(struct container *c);

/* Calls stop() when it is running, and is stopped afterwards. Nothing happens when it was not started or has ended. */
void container_stop(struct container *c);

/* The device was switched off and on again: it is there, and does not run. */
void container_reboot(struct container *c);

/* Does what is due at the clock's present time: start(), or one call of loop(). */
void container_tick(struct container *c);

/* The monotonic time (ms) at which container_tick has something to do, CONTAINER_NO_DEADLINE when never. */
int64_t container_deadline(const struct container *c);

const struct metadata *container_metadata(const struct container *c);
enum container_state container_state(const struct container *c);
/* Why it is in this state, a sentence; empty where the state says it all. */
const char *container_reason(const struct container *c);
struct container_counters container_counters(const struct container *c);

/* Grows with every change of state, for observers. */
uint32_t container_revision(const struct container *c);

/* Copies the newest whole lines of its log that fit, each ended by a line feed; no NUL. Returns the number of bytes,
 * at most CONTAINER_LOG_SIZE. Lines on denied calls, and on the end, begin with "agent: ". */
size_t container_log(const struct container *c, char *out, size_t size);
/* Grows with every line, for observers. */
uint32_t container_log_revision(const struct container *c);

/* Its data part; belongs to the container and is valid until the next change. */
const uint8_t *container_data(const struct container *c, size_t *size);
/* Replaces the data part from the next start on; -ENOMEM when there is no memory, and then nothing changed. */
int container_set_data(struct container *c, const void *data, size_t size) must_check;

#define cleanup_container cleanup(container_free_pointer)
static inline void container_free_pointer(struct container **c)
{
    *c = container_free(*c);
}

#endif
