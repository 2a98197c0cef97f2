#ifndef TC_CODEC_SENML_H
#define TC_CODEC_SENML_H

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/telemetry.h"

/*
 * Sensor Measurement Lists (RFC 8428), JSON (section 5) and CBOR (section 6), streams of them included. A pack is
 * parsed into resolved records (section 4.6): base fields applied, relative times (below 2^28 seconds) added to the
 * clock.
 */

#define SENML_VERSION_MAX 10         /* of bver */
#define SENML_RELATIVE_S (1LL << 28) /* times below are relative to now (section 4.5.3) */
#define SENML_PROBLEM_SIZE 192

enum senml_format { SENML_JSON, SENML_CBOR };

enum senml_error {
    SENML_E_MALFORMED = 1, /* no JSON or CBOR, or no pack */
    SENML_E_RECORD,        /* a record breaks a rule */
    SENML_E_UNSUPPORTED,   /* a version, or a label that has to be understood (ending in "_") */
    SENML_E_LIMIT,         /* too many records, or too long a name, unit or value */
    SENML_E_FORMAT,        /* telemetry_decode: a Content-Format that is not known */
};

struct senml_options {
    int64_t now_us;          /* wall clock */
    size_t max_records;      /* of one pack */
    const char *name, *unit; /* of records that tell none; NULL or empty: none, it is an error then (the name) */
};

struct senml_chunk;

/* What was parsed. Zero-initialise it, use it for one pack after the other, end it with senml_clear. */
struct senml_pack {
    struct telemetry_record *records;
    size_t count;
    char problem[SENML_PROBLEM_SIZE]; /* after a positive result: which record, which label, what to change */
    size_t capacity;                  /* private from here on */
    struct senml_chunk *chunks;
};

/* The records point into the pack and into data; flags has TELEMETRY_TIME_ASSIGNED where the sum of bt and t is 0 or
 * absent. A pack of base fields only has no records. 0, positive enum senml_error, or -ENOMEM. */
int senml_parse(struct senml_pack *pack, enum senml_format format, const void *data, size_t size,
                const struct senml_options *options) must_check;
void senml_clear(struct senml_pack *pack);

/* Appends a pack, with base fields where they make it shorter. `prefix` (NULL: none) goes in front of every name. Times
 * before 2^28 s are written as they are, which others read as relative. Errors are sticky in out. */
void senml_encode(struct buffer *out, enum senml_format format, const char *prefix,
                  const struct telemetry_record *records, size_t count);

/* Whether a resolved name is one (section 4.5.1), of at most TELEMETRY_NAME_MAX bytes. */
bool senml_is_name(const char *name, size_t size);

/*
 * A message of a device, or a representation of its resource: SenML (Content-Formats 110 to 113), or one bare value as
 * text/plain (0), application/json (50) or application/cbor (60): a number, a boolean or a string; without a
 * Content-Format (-1) a number or true or false as text. An array in 50 or 60 is taken for SenML. options->name names
 * the bare value. As senml_parse.
 */
int telemetry_decode(struct senml_pack *pack, int content_format, const void *data, size_t size,
                     const struct senml_options *options) must_check;

enum {
    TELEMETRY_FORMAT_SENML_JSON = 110,
    TELEMETRY_FORMAT_SENSML_JSON = 111,
    TELEMETRY_FORMAT_SENML_CBOR = 112,
    TELEMETRY_FORMAT_SENSML_CBOR = 113,
};

#endif
