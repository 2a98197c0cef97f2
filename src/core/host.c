#include "core/internal.h"

#include <string.h>

/* Who is at an address: what /hc sends to. Where unknown hosts are allowed, each of the last few is a device that is in
 * no table, so that its requests take the way of all others. */

static bool is_idle(const struct device *visitor)
{
    return !visitor->query_count && !visitor->call && !visitor->watch_count;
}

static struct device *visitor_new(struct core *core, const char *address)
{
    struct device *visitor = device_new(core, "");

    if (!visitor)
        return NULL;
    (void)text_copy(visitor->id, sizeof visitor->id, address);
    (void)text_copy(visitor->address, sizeof visitor->address, address);
    visitor->visitor = visitor->allow_plain = true;
    return visitor;
}

/* The one with that address, else a place for one: free, or of one that nobody waits for. */
static struct device **find_place(struct core *core, const char *address)
{
    struct device **place = NULL;

    for (size_t i = 0; i < array_size(core->visitors); i++) {
        struct device *visitor = core->visitors[i];

        if (visitor && strcmp(visitor->address, address) == 0)
            return &core->visitors[i];
        if (!place && (!visitor || is_idle(visitor)))
            place = &core->visitors[i];
    }
    return place;
}

static int find_visitor(struct core *core, const char *address, struct device **out, struct fault *fault)
{
    struct device **place = find_place(core, address);

    if (!place)
        return fault_set(fault, FAULT_QUEUE_FULL, "%zu other hosts are being asked.", array_size(core->visitors));
    if (*place && strcmp((*place)->address, address) != 0) {
        device_drop(*place);
        *place = NULL;
    }
    if (!*place)
        *place = visitor_new(core, address);
    *out = *place;
    return *out ? 0 : fault_set(fault, FAULT_INTERNAL, "The gateway is out of memory.");
}

void visitors_free(struct core *core)
{
    for (size_t i = 0; i < array_size(core->visitors); i++) {
        if (core->visitors[i])
            device_drop(core->visitors[i]);
        core->visitors[i] = NULL;
    }
}

int core_find_host(struct core *core, const char *text, bool any, struct device **out, struct fault *fault)
{
    const struct agent_port *port = &core->options.agents;
    char address[CORE_ADDRESS_MAX + 1];

    if (core_check_accepting(core, fault) || port->parse_address(port->arg, text, address, fault))
        return 1;
    for (*out = index_find_address(core, address); *out; *out = (*out)->same_address)
        if (!(*out)->removing)
            return 0;
    if (any)
        return find_visitor(core, address, out, fault);
    return fault_set(fault, FAULT_UNKNOWN_HOST, "No device has the address %s", address);
}
