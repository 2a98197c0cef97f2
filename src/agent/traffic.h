#ifndef TC_AGENT_TRAFFIC_H
#define TC_AGENT_TRAFFIC_H

#include "agent/client.h"
#include "agent/outbox.h"
#include "agent/registration.h"

/*
 * What a device sends to its gateway by itself: a request to join, its entry in the directory, a registration for what
 * the platform wants of it, a report at regular times, and telemetry. What became of each is in the journal.
 */
#define TRAFFIC_REPORT_MIN 96 /* bytes */

struct traffic_options {
    struct peer gateway; /* size 0: there is none */
    unsigned count;      /* devices, whose reports are spread evenly */
    int64_t report_ms;   /* 0: none */
    size_t report_size;  /* at least this many bytes */
    bool join;
    bool observe;
    struct registration_options registration;
    struct outbox_options outbox;
};

/* In the order in which they go first. */
enum traffic_task {
    TRAFFIC_NOTHING,
    TRAFFIC_JOIN,
    TRAFFIC_REGISTER,
    TRAFFIC_OBSERVE,
    TRAFFIC_REPORT,
    TRAFFIC_TELEMETRY,
    TRAFFIC_TASKS
};

struct traffic {
    const struct traffic_options *options;
    const struct device *device;
    struct client *client;
    enum traffic_task doing;
    bool registered;
    bool ending;
    int64_t due_ms[TRAFFIC_TASKS]; /* CLIENT_NEVER: not */
    struct registration registration;
    struct outbox outbox;
    uint64_t counter; /* of the latest report */
    struct buffer report;
    char query[8 + DEVICE_ID_MAX];
};

/* The three pointers are set, and what registration.h wants. id is what the credentials call the device, or NULL. */
void traffic_init(struct traffic *t, unsigned index, const char *id);
void traffic_clear(struct traffic *t);
/* A restart; it goes on with an empty memory. */
void traffic_restart(struct traffic *t);
/* The device has woken up: it says something at once. */
void traffic_wake(struct traffic *t);
/* The last words. False, also later, when there are none (any more). */
bool traffic_end(struct traffic *t);

/* What a client_ops calls. */
void traffic_finished(struct traffic *t, enum client_outcome outcome, uint8_t code);
void traffic_notified(struct traffic *t, uint8_t code);

void traffic_tick(struct traffic *t);
int64_t traffic_deadline(const struct traffic *t);

#endif
