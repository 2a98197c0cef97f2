#ifndef TC_BASE_CLOCK_H
#define TC_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* An injectable source of time, so that flows that depend on time can be replayed in tests. */
struct clock {
    int64_t (*monotonic_ms)(const struct clock *clock); /* never steps; the zero point is arbitrary */
    int64_t (*wall_ms)(const struct clock *clock);      /* milliseconds since 1970-01-01T00:00:00Z */
};

/* The clock of the running system. Never freed. */
const struct clock *clock_system(void);

/* A clock that tests set by hand. Embed it and pass &manual.clock on. */
struct clock_manual {
    struct clock clock;
    int64_t monotonic;
    int64_t wall;
};

/* Makes a manual clock that starts at the given times (ms). */
void clock_manual_init(struct clock_manual *manual, int64_t monotonic, int64_t wall);

/* Moves both times of a manual clock forward by ms. */
void clock_manual_advance(struct clock_manual *manual, int64_t ms);

static inline int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock);
}

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock);
}

#define RFC3339_SIZE 25 /* "2026-01-02T03:04:05.678Z" and its NUL */

/* Writes wall time wall_ms as RFC 3339 in UTC with milliseconds; zeros for a year before 0 or after 9999.
 * Returns out. */
char *clock_format_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE]);

#define RFC3339_US_SIZE 28 /* "2026-01-02T03:04:05.678901Z" and its NUL */

/* The same with microseconds since 1970. */
char *clock_format_rfc3339_us(int64_t us, char out[RFC3339_US_SIZE]);

/* Reads an RFC 3339 time with any offset: microseconds since 1970; further digits are cut. False when it is none. */
bool clock_parse_rfc3339(const char *text, int64_t *us);

#endif
