#include "agent/sensors.h"

#include "base/cleanup.h"

#include <string.h>

#define DOOR_STEPS 10

static const struct {
    const char *name, *unit;
    enum telemetry_kind kind;
} table[SENSOR_COUNT] = {[SENSOR_TEMPERATURE] = {"temperature", "Cel", TELEMETRY_NUMBER},
                         [SENSOR_HUMIDITY] = {"humidity", "%RH", TELEMETRY_NUMBER},
                         [SENSOR_COUNTER] = {"counter", "count", TELEMETRY_NUMBER},
                         [SENSOR_DOOR] = {"door", "", TELEMETRY_BOOLEAN}};

const char *sensor_name(enum sensor sensor)
{
    return table[sensor].name;
}

enum sensor sensor_from_name(const char *name)
{
    enum sensor sensor = 0;

    while (sensor < SENSOR_COUNT && strcmp(table[sensor].name, name) != 0)
        sensor++;
    return sensor;
}

/* Rises from low to high and falls back within so many steps, with a little noise. */
static int64_t wave(uint64_t at, uint64_t steps, int64_t low, int64_t high)
{
    uint64_t phase = at % steps * 2, noise = (at * 2654435761u >> 7) % 5;

    if (phase > steps)
        phase = 2 * steps - phase;
    return low + (high - low - 4) * (int64_t)phase / (int64_t)steps + (int64_t)noise;
}

struct telemetry_record sensor_read(enum sensor sensor, uint32_t seed, uint64_t step)
{
    struct telemetry_record record = {.name = table[sensor].name, .unit = table[sensor].unit};

    record.kind = table[sensor].kind;
    switch (sensor) {
    case SENSOR_TEMPERATURE:
        record.number = (double)wave(seed + step, 600, 19000, 23000) / 1000;
        break;
    case SENSOR_HUMIDITY:
        record.number = (double)wave(seed + step, 900, 400, 600) / 10;
        break;
    case SENSOR_DOOR:
        record.boolean = (seed + step) % DOOR_STEPS == 0;
        break;
    default:
        record.number = (double)step;
    }
    return record;
}
