#include "base/clock.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
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

/* "2026-01-02T03:04:05", or zeros. Returns false for those. */
static bool format_second(int64_t second, char out[20])
{
    time_t t = (time_t)second;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < -1900) {
        memcpy(out, "0000-00-00T00:00:00", 20);
        return false;
    }
    (void)snprintf(out, 20, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)(tm.tm_year + 1900) % 10000,
                   (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    return true;
}

/* Divides downwards, also below 0. */
static int64_t split(int64_t value, int64_t unit, unsigned *rest)
{
    int64_t whole = value / unit - (value % unit < 0);

    *rest = (unsigned)(value - whole * unit);
    return whole;
}

char *clock_format_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE])
{
    unsigned ms;
    int64_t second = split(wall_ms, 1000, &ms);

    if (!format_second(second, out))
        ms = 0;
    (void)snprintf(out + 19, RFC3339_SIZE - 19, ".%03uZ", ms % 1000);
    return out;
}

char *clock_format_rfc3339_us(int64_t us, char out[RFC3339_US_SIZE])
{
    unsigned rest;
    int64_t second = split(us, 1000000, &rest);

    if (!format_second(second, out))
        rest = 0;
    (void)snprintf(out + 19, RFC3339_US_SIZE - 19, ".%06uZ", rest % 1000000);
    return out;
}

/* Reading --------------------------------------------------------------------------------------------------------- */

/* Exactly n digits; -1 when there are not. */
static int take_number(const char **at, int n)
{
    int value = 0;

    for (; n > 0; n--, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool take(const char **at, const char *set)
{
    if (!**at || !strchr(set, **at))
        return false;
    (*at)++;
    return true;
}

/* Since 1970, in the Gregorian calendar for all times. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool take_date(const char **at, int64_t *days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_number(at, 4), month, day, length;

    if (year < 0 || !take(at, "-") || (month = take_number(at, 2)) < 1 || month > 12 || !take(at, "-"))
        return false;
    day = take_number(at, 2);
    length = lengths[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    *days = days_of(year, month, day);
    return day >= 1 && day <= length;
}

/* Hours and minutes; -1 when they are none. */
static int take_minutes(const char **at)
{
    int hours = take_number(at, 2), minutes;

    if (hours < 0 || hours > 23 || !take(at, ":") || (minutes = take_number(at, 2)) < 0 || minutes > 59)
        return -1;
    return hours * 60 + minutes;
}

static bool take_fraction(const char **at, int64_t *us)
{
    int64_t unit = 100000;

    *us = 0;
    if (!take(at, ".,"))
        return true;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
        *us += (**at - '0') * unit;
    return true;
}

static bool take_offset(const char **at, int *minutes)
{
    bool west = **at == '-';

    *minutes = 0;
    if (take(at, "Zz"))
        return true;
    if (!take(at, "+-") || (*minutes = take_minutes(at)) < 0)
        return false;
    *minutes = west ? -*minutes : *minutes;
    return true;
}

bool clock_parse_rfc3339(const char *text, int64_t *us)
{
    int minutes, seconds, offset;
    int64_t days, fraction;

    if (!take_date(&text, &days) || !take(&text, "Tt ") || (minutes = take_minutes(&text)) < 0 || !take(&text, ":"))
        return false;
    seconds = take_number(&text, 2);
    if (seconds < 0 || seconds > 60 || !take_fraction(&text, &fraction) || !take_offset(&text, &offset) || *text)
        return false;
    *us = (days * 86400 + (int64_t)(minutes - offset) * 60 + seconds) * 1000000 + fraction;
    return true;
}
