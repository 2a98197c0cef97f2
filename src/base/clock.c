#include "base/clock.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_monotonic(const struct clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_MONOTONIC);
}

static int64_t system_wall(const struct clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_REALTIME);
}

const struct clock *clock_system(void)
{
    static const struct clock system_clock = {system_monotonic, system_wall};

    return &system_clock;
}

static int64_t manual_monotonic(const struct clock *clock)
{
    return container_of(clock, struct clock_manual, clock)->monotonic;
}

static int64_t manual_wall(const struct clock *clock)
{
    return container_of(clock, struct clock_manual, clock)->wall;
}

void clock_manual_init(struct clock_manual *manual, int64_t monotonic, int64_t wall)
{
    manual->clock.monotonic_ms = manual_monotonic;
    manual->clock.wall_ms = manual_wall;
    manual->monotonic = monotonic;
    manual->wall = wall;
}

void clock_manual_advance(struct clock_manual *manual, int64_t ms)
{
    manual->monotonic += ms;
    manual->wall += ms;
}

char *clock_format_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE])
{
    int64_t seconds = wall_ms / 1000;
    int ms = (int)(wall_ms % 1000);
    struct tm tm;
    time_t t;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    t = (time_t)seconds;
    if (!gmtime_r(&t, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < -1900) {
        (void)snprintf(out, RFC3339_SIZE, "0000-00-00T00:00:00.000Z");
        return out;
    }
    (void)snprintf(out, RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000,
                   (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
    return out;
}
