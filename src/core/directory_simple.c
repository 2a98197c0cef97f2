#include "core/directory_private.h"

#include "tcgw/coapmsg.h"

#include <errno.h>
#include <string.h>

/* Simple registration (RFC 9176 section 5.1): the endpoint says that it is there, and is asked for its links. A device
 * that proved who it is, is asked as it is always asked, through its queue. Anybody else is asked plainly where the
 * message came from, once, and few at a time, since that address may be forged. */

#define FETCH_MS 15000

struct fetch {
    struct list node;
    struct core *core;
    struct timer timer;
    char device[CORE_ID_MAX + 1]; /* that was authentic; empty: a stranger */
    char address[CORE_ADDRESS_MAX + 1];
    char *query;
    core_done_fn done;
    void *arg;
    struct device stranger; /* an address, and nothing else */
    struct agent_resource resource;
    struct agent_call call;
};

static void free_fetch(struct fetch *fetch)
{
    if (!*fetch->device) {
        core_disarm(fetch->core, &fetch->timer);
        list_unlink(&fetch->node);
        fetch->core->directory->fetch_count--;
    }
    free(fetch->call.response.body);
    free(fetch->query);
    free(fetch);
}

static void fail(struct fetch *fetch, const struct fault *fault)
{
    fetch->done(fetch->arg, fault);
    free_fetch(fetch);
}

static void fail_with(struct fetch *fetch, enum fault_code code, const char *why)
{
    struct fault fault;

    (void)fault_set(&fault, code, "%s", why);
    fail(fetch, &fault);
}

static void take_links(struct fetch *fetch, const struct agent_response *response)
{
    struct directory_source source = {*fetch->device ? core_find_device(fetch->core, fetch->device) : NULL,
                                      fetch->address};
    struct fault fault;
    uint64_t number;
    bool created;
    int r;

    if (response->code != COAPMSG_CONTENT || (response->format >= 0 && response->format != COAPMSG_FORMAT_LINK)) {
        fail_with(fetch, FAULT_DEVICE_ANSWER, "The endpoint did not give its links.");
        return;
    }
    if (*fetch->device && !source.device) {
        fail_with(fetch, FAULT_NOT_FOUND, "The device was removed.");
        return;
    }
    r = core_register_endpoint(fetch->core, &source, fetch->query, (const char *)response->body, response->body_size,
                               fetch->done, fetch->arg, &fault, &number, &created);
    if (r < 0)
        fail_with(fetch, FAULT_INTERNAL, "The gateway is out of memory.");
    else if (r > 0)
        fail(fetch, &fault);
    else
        free_fetch(fetch);
}

static void on_queried(void *arg, const struct core_resource_result *result)
{
    struct fetch *fetch = arg;

    if (result->fault.code != FAULT_NONE)
        fail(fetch, &result->fault);
    else
        take_links(fetch, result->response);
}

static void on_called(struct agent_call *call)
{
    struct fetch *fetch = call->owner;

    if (call->outcome == AGENT_OK)
        take_links(fetch, &call->response);
    else
        fail_with(fetch, FAULT_DEVICE_TIMEOUT, "The endpoint did not answer when it was asked for its links.");
}

static void give_up(struct fetch *fetch, enum fault_code code, const char *why)
{
    const struct agent_port *port = &fetch->core->options.agents;

    port->cancel(port->arg, &fetch->call);
    fail_with(fetch, code, why);
}

static void on_timeout(struct timer *timer)
{
    give_up(container_of(timer, struct fetch, timer), FAULT_DEVICE_TIMEOUT,
            "The endpoint did not answer when it was asked for its links.");
}

void directory_stop(struct core *core)
{
    while (core->directory && !list_empty(&core->directory->fetches))
        give_up(list_first(&core->directory->fetches, struct fetch, node), FAULT_SHUTTING_DOWN,
                "The gateway is stopping.");
}

static void ask_stranger(struct fetch *fetch)
{
    struct core *core = fetch->core;
    const struct agent_port *port = &core->options.agents;

    fetch->stranger.core = core;
    fetch->stranger.allow_plain = true;
    (void)text_copy(fetch->stranger.id, sizeof fetch->stranger.id, "?");
    (void)text_copy(fetch->stranger.address, sizeof fetch->stranger.address, fetch->address);
    fetch->call = (struct agent_call){.verb = AGENT_CALL_RESOURCE,
                                      .device = &fetch->stranger,
                                      .resource = &fetch->resource,
                                      .done = on_called,
                                      .owner = fetch};
    fetch->timer.fire = on_timeout;
    list_append(&core->directory->fetches, &fetch->node);
    core->directory->fetch_count++;
    core_arm(core, &fetch->timer, core_now(core) + FETCH_MS);
    port->begin(port->arg, &fetch->call);
}

static int check(struct core *core, const struct directory_source *source, const char *query, struct fault *fault)
{
    struct registration_query q;

    if (core_check_accepting(core, fault) || registration_query_read(&q, query, fault))
        return 1;
    if (q.has_base || (!q.has_ep && !source->device))
        return fault_set(fault, FAULT_INVALID_PARAMETER,
                         "A simple registration has an endpoint's name (ep) and no base.");
    if (!source->device && strncmp(source->address, "coap://", 7) != 0)
        return fault_set(fault, FAULT_INVALID_PARAMETER, "The endpoint cannot be asked at where it speaks from.");
    if (!source->device && core->directory->fetch_count >= DIRECTORY_FETCHES)
        return fault_set(fault, FAULT_QUEUE_FULL, "Too many endpoints are being asked for their links.");
    return 0;
}

int core_register_simply(struct core *core, const struct directory_source *source, const char *query, core_done_fn done,
                         void *arg, struct fault *fault)
{
    struct fetch *fetch;
    int r = check(core, source, query, fault);

    if (r != 0)
        return r;
    fetch = calloc(1, sizeof *fetch);
    if (!fetch || !(fetch->query = strdup(query))) {
        free(fetch);
        return -ENOMEM;
    }
    fetch->core = core;
    fetch->done = done;
    fetch->arg = arg;
    fetch->resource = (struct agent_resource){.method = COAPMSG_GET,
                                              .path = "/.well-known/core",
                                              .format = -1,
                                              .accept = COAPMSG_FORMAT_LINK,
                                              .limit = DIRECTORY_LINKS_MAX + 1};
    (void)text_copy(fetch->address, sizeof fetch->address, source->address);
    if (!source->device) {
        ask_stranger(fetch);
        return 0;
    }
    (void)text_copy(fetch->device, sizeof fetch->device, source->device->id);
    r = core_request_resource(core, source->device, &fetch->resource, FETCH_MS, on_queried, fetch, fault);
    if (r != 0)
        free_fetch(fetch);
    return r;
}
