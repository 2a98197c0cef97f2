#ifndef TC_AGENT_FLOOD_H
#define TC_AGENT_FLOOD_H

#include "agent/client.h"

/*
 * A device that has gone wild: so many messages a second to its gateway, whatever is answered. Telemetry, protected
 * where it has credentials, or registrations, each under another name.
 */
#define FLOOD_RATE_MAX 100000
#define FLOOD_NEVER INT64_MAX

struct flood_options {
    uint32_t rate; /* messages a second of each device; 0: none */
    bool register_names;
};

struct flood {
    const struct flood_options *options;
    const struct device *device;
    struct client *client; /* whose gateway and message layer it uses */
    int64_t begun_ms;
    uint64_t sent;
};

/* The first part is set. */
void flood_init(struct flood *f);
void flood_tick(struct flood *f);
int64_t flood_deadline(const struct flood *f);

#endif
