#ifndef TC_AGENT_V1_H
#define TC_AGENT_V1_H

#include "agent/device.h"
#include "agent/server.h"

/* The resources of a v1 agent (docs/device-protocol.md, section "Agent v1"), with the limits of the public one. */
enum {
    V1_OPT_ACTION = 65001,
    V1_OPT_METADATA = 65002,
    V1_OPT_DATA = 65003,
    V1_OPT_CODE = 65004,
    V1_OPT_UID = 65005,
    V1_OPT_STATUS = 65006,
};

/* Answers one request; a handler of server_ops. */
enum server_verdict v1_handle(struct device *d, const struct coapmsg *request, struct coapmsg *response);

#endif
