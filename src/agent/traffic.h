#ifndef TC_AGENT_TRAFFIC_H
#define TC_AGENT_TRAFFIC_H

#include "agent/client.h"

/*
 * What a device sends to its gateway by itself: a request to join, a registration for what the platform wants of it,
 * and a report at regular times. What became of each is in the journal.
 */
#define TRAFFIC_REPORT_MIN 96 /* bytes */

struct traffic_options {
    struct peer gateway; /* size 0: there is none */
    unsigned count;      /* devices, whose reports are spread evenly */
    int64_t report_ms;   /* 0: none */
    size_t report_size;  /* at least this many bytes */
    bool join;
    bool observe;
};

enum traffic_task { TRAFFIC_NOTHING, TRAFFIC_JOIN, TRAFFIC_OBSERVE, TRAFFIC_REPORT };

struct traffic {
    const struct traffic_options *options;
    const struct device *device;
    struct client *client;
    enum traffic_task doing;
    bool registered;
    int64_t due_ms[TRAFFIC_REPORT + 1]; /* CLIENT_NEVER: not */
    uint64_t counter;                   /* of the latest report */
    struct buffer report;
    char query[8 + DEVICE_ID_MAX];
};

/* The three pointers are set. */
void traffic_init(struct traffic *t, unsigned index);
void traffic_clear(struct traffic *t);

/* What a client_ops calls. */
void traffic_finished(struct traffic *t, enum client_outcome outcome, uint8_t code);
void traffic_notified(struct traffic *t, uint8_t code);

void traffic_tick(struct traffic *t);
int64_t traffic_deadline(const struct traffic *t);

#endif
