#ifndef TC_AGENT_SENSORS_H
#define TC_AGENT_SENSORS_H

#include "codec/telemetry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The simulated sensors that a device reports and serves: their values follow from a seed and a step alone, so that
 * whoever knows both can check them. They are apart from the board, whose traces are for containers.
 */
enum sensor {
    SENSOR_TEMPERATURE, /* Cel, three decimals: swings between 19 and 23 */
    SENSOR_HUMIDITY,    /* %RH, one decimal: between 40 and 60 */
    SENSOR_COUNTER,     /* count: the step */
    SENSOR_DOOR,        /* true: open, for one step of ten */
    SENSOR_COUNT
};

const char *sensor_name(enum sensor sensor);
/* SENSOR_COUNT when there is none of this name. */
enum sensor sensor_from_name(const char *name);

/* Name, unit and value; no time. */
struct telemetry_record sensor_read(enum sensor sensor, uint32_t seed, uint64_t step);

#endif
