#ifndef TC_DAEMON_METRICS_H
#define TC_DAEMON_METRICS_H

#include "coap/agents.h"
#include "rest/rest.h"

/* The southbound room's figures, for rest_options.metrics. docs/operations.md describes them. */
void metrics_add_agents(const struct agents *agents, metric_fn add, void *to);

#endif
