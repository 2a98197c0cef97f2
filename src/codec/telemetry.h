#ifndef TC_CODEC_TELEMETRY_H
#define TC_CODEC_TELEMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One value of one series, as every room speaks of it: a resolved SenML record (RFC 8428 section 4.6).
 */

#define TELEMETRY_NAME_MAX 127   /* bytes of a resolved name: letters, digits and - : . / _ (RFC 8428 section 4.5.1) */
#define TELEMETRY_UNIT_MAX 31    /* bytes of a unit */
#define TELEMETRY_VALUE_MAX 4096 /* bytes of a string or data value */

enum telemetry_kind {
    TELEMETRY_NONE, /* a sum only */
    TELEMETRY_NUMBER,
    TELEMETRY_BOOLEAN,
    TELEMETRY_STRING, /* UTF-8 */
    TELEMETRY_DATA,   /* bytes */
    TELEMETRY_KIND_COUNT
};

enum telemetry_flag {
    TELEMETRY_TIME_ASSIGNED = 1, /* the device told no time: it is when the gateway heard of it */
    TELEMETRY_TIME_SUSPECT = 2,  /* the device told a time that its clock cannot have meant (telemetry.clock_*) */
};

struct telemetry_record {
    const char *name; /* with NUL; without the device, whose names are its own */
    const char *unit; /* with NUL; empty: none */
    int64_t time_us;  /* wall clock, microseconds since 1970 */
    enum telemetry_kind kind;
    uint8_t flags; /* enum telemetry_flag */
    bool boolean;
    bool has_sum;
    double number;
    double sum;
    const void *bytes; /* STRING (not terminated), DATA */
    size_t size;
};

#endif
