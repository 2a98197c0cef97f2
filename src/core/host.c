#include "core/internal.h"

#include <string.h>

/* Who is at an address: what /hc sends to. */

static struct device *find_at(const struct core *core, const char *address)
{
    for (struct device *device = core->devices; device; device = device->hh.next)
        if (!device->removing && strcmp(device->address, address) == 0)
            return device;
    return NULL;
}

int core_find_host(struct core *core, const char *text, bool any, struct device **out, struct fault *fault)
{
    const struct agent_port *port = &core->options.agents;
    char address[CORE_ADDRESS_MAX + 1];

    (void)any;
    if (port->parse_address(port->arg, text, address, fault))
        return 1;
    *out = find_at(core, address);
    if (*out)
        return 0;
    return fault_set(fault, FAULT_UNKNOWN_HOST, "No device has the address %s", address);
}
