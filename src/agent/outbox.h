#ifndef TC_AGENT_OUTBOX_H
#define TC_AGENT_OUTBOX_H

#include "agent/client.h"
#include "agent/sensors.h"

/*
 * Telemetry on its way to the gateway: what the sensors and the containers gave waits in a bounded buffer, and goes out
 * in packs, one after the other, each again with the same records and times until it is acknowledged or refused for
 * good. What was acknowledged is in the journal.
 */
#define OUTBOX_RECORDS_MAX 1000
#define OUTBOX_BUFFER_DEFAULT 1000
#define OUTBOX_BUFFER_MAX 100000
#define OUTBOX_FULL_SPEED 0 /* an interval: the next pack follows when the one before is acknowledged */

enum outbox_format { OUTBOX_CBOR, OUTBOX_JSON, OUTBOX_TEXT };

struct outbox_options {
    bool samples;        /* of the sensors, one pack for each interval */
    int64_t interval_ms; /* or OUTBOX_FULL_SPEED */
    unsigned records;    /* at most in a message; as text always one. 0: 1 */
    enum outbox_format format;
    bool no_clock; /* no record has a time, and no pack a name twice */
    size_t buffer; /* records that wait at most; the oldest are dropped for newer ones */
};

struct outbox_counters {
    uint64_t records, messages; /* acknowledged */
    uint64_t refused, dropped;  /* records */
};

struct reading; /* a record that waits */

struct outbox {
    const struct outbox_options *options;
    const struct device *device;
    struct client *client;
    struct reading *ring; /* capacity of them */
    size_t capacity, first, waiting;
    struct reading *pack; /* what is being sent */
    size_t pack_count;
    uint64_t sampled;     /* records of the sensors, ever */
    int64_t last_time_us; /* of all records: times only grow */
    int64_t sample_due_ms, retry_ms;
    unsigned failures; /* of this pack, one after the other */
    struct buffer body;
    char path[4 + TELEMETRY_NAME_MAX];
    struct outbox_counters counters;
};

/* The first part is set. The devices' samples are spread over the interval. */
void outbox_init(struct outbox *o, unsigned index, unsigned count);
void outbox_clear(struct outbox *o);
/* What waits is lost; the sensors go on where they are. */
void outbox_restart(struct outbox *o);

/* What a container wrote to a remote endpoint; becomes the record "UID/ENDPOINT": a number where it is the text of one,
 * a string where it is other printable UTF-8, an integer where it is 4 or 8 bytes (little-endian), data otherwise.
 * Returns the number of bytes, -1 when they are none or too many. */
int32_t outbox_write(struct outbox *o, const char *uid, uint32_t endpoint, const uint8_t *data, size_t size);

/* When the next message is to be sent; CLIENT_NEVER when there is none. */
int64_t outbox_due(const struct outbox *o);
/* Takes the samples that are due and begins to send. False: there is nothing. */
bool outbox_begin(struct outbox *o);
void outbox_finished(struct outbox *o, enum client_outcome outcome, uint8_t code);

/* Appends records as a SenML pack, without a time where that is 0, or the value of the first as text. Errors are sticky
 * in out. */
void outbox_encode(struct buffer *out, enum outbox_format format, const struct telemetry_record *records, size_t count);

#endif
