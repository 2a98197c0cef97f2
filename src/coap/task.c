#include "coap/task.h"

#include "base/text.h"
#include "coap/resource.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_OVERHEAD 128 /* header, token and options beside a block, with a uid of 63 bytes */

/* Exchanges ------------------------------------------------------------------------------------------------------- */

/* A load that may have reached the device is not undone by what nobody has proven, nor by what fails here afterwards;
 * and nothing that may have reached it was not asked. */
static enum agent_outcome doubt(const struct task *task, enum agent_outcome outcome)
{
    bool may_be_done = task->secure.guarded && task->secure.left;

    return may_be_done && (task->call->verb == AGENT_CALL_LOAD || outcome == AGENT_LOCAL) ? AGENT_NO_ANSWER : outcome;
}

static void on_secure_done(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response)
{
    struct task *task = container_of(secure, struct task, secure);

    if (outcome != AGENT_OK) {
        task_end(task, doubt(task, outcome), "%s", secure->detail);
        return;
    }
    task->call->code_received = response->code;
    task->answer(task, response);
}

static void send_request(struct task *task, const struct coapmsg *request, const struct exchange_times *times,
                         unsigned flags, task_answer_fn answer)
{
    task->answer = answer;
    if (task->call->link.rate && task->call->verb != AGENT_CALL_LOAD)
        link_charge(&task->agents->links, &task->call->link, coapmsg_size(request));
    task->secure.uid = *task->call->uid ? task->call->uid : NULL;
    task->secure.urgent = task->call->verb == AGENT_CALL_STOP || task->call->verb == AGENT_CALL_REMOVE;
    secure_start(&task->secure, task->call->device, request, times, flags, on_secure_done);
}

void task_send(struct task *task, struct coapmsg *request, bool once, task_answer_fn answer)
{
    const struct agents_options *options = &task->agents->options;
    struct exchange_times times = {options->ack_timeout_ms, options->max_retransmit, options->answer_timeout_ms};

    if (once) {
        times.max_retransmit = 0;
        times.answer_timeout_ms = options->load_timeout_ms;
    }
    send_request(task, request, &times, once ? SECURE_UNREPEATABLE : 0, answer);
}

static void on_block(struct task *task, const struct coapmsg *response)
{
    switch (block_take(&task->transfer, response)) {
    case BLOCK_MORE:
        if (task->push.active && task->transfer.uploading)
            push_go_on(task);
        else
            task_send_block(task);
        break;
    case BLOCK_DONE:
    case BLOCK_E_TOO_LARGE:
        task->last_answer(task, response);
        break;
    case BLOCK_E_PROTOCOL:
        task_end(task, AGENT_GARBAGE, "the device answered with %s", task->transfer.reason);
        break;
    case BLOCK_E_MEMORY:
        task_end(task, AGENT_LOCAL, "out of memory for the device's answer");
        break;
    }
}

/* What is asked about goes with the first request only: later ones are for blocks of a representation that is known,
 * and libcoap's server would make another one of each. */
static void add_etag(const struct task *task, struct coapmsg *request)
{
    const struct agent_resource *resource = task->call->resource;

    if (resource && resource->etag && task->transfer.answer.size == 0)
        coapmsg_add(request, COAPMSG_OPT_ETAG, resource->etag, resource->etag_size);
}

void task_send_block(struct task *task)
{
    const struct task_request *from = &task->request;
    const struct agents_options *options = &task->agents->options;
    struct exchange_times times = {options->ack_timeout_ms, options->max_retransmit, from->answer_timeout_ms};
    struct coapmsg request;

    if (task->base.size) {
        resource_read(&task->base, &request);
        add_etag(task, &request);
    } else {
        coapmsg_init(&request, COAPMSG_CON, from->code);
        coapmsg_add_path(&request, from->path);
    }
    if (from->format >= 0 && task->transfer.uploading)
        coapmsg_add_uint(&request, COAPMSG_OPT_CONTENT_FORMAT, (uint32_t)from->format);
    if (from->query)
        coapmsg_add_text(&request, COAPMSG_OPT_URI_QUERY, from->query);
    block_prepare(&task->transfer, &request);
    send_request(task, &request, &times, from->unrepeatable ? SECURE_UNREPEATABLE : 0, on_block);
}

void task_transfer(struct task *task, task_answer_fn answer)
{
    task->last_answer = answer;
    task_send_block(task);
}

uint8_t task_szx(const struct task *task)
{
    const struct device *device = task->call->device;
    uint32_t pdu_size = device->caps.pdu_size, overhead = BLOCK_OVERHEAD;
    uint8_t szx = BLOCK_SZX_MAX;

    if (secure_is_protected(task->agents, device))
        overhead += OSCORE_OVERHEAD;
    while (pdu_size && szx > 0 && (16u << szx) + overhead > pdu_size)
        szx--;
    return szx;
}

/* Ends ------------------------------------------------------------------------------------------------------------ */

struct agent_call *task_release(struct task *task)
{
    struct agent_call *call = steal_pointer(task->call);
    struct agents *agents = task->agents;

    call->driver = NULL;
    call->waiting = false;
    agents->running -= list_empty(&task->waiting_node) && !task->push.parked;
    list_unlink(&task->waiting_node);
    push_end(task);
    secure_stop(&task->secure);
    suit_release(task);
    block_end(&task->transfer);
    buffer_clear(&task->base);
    free(steal_pointer(task->package));
    task->next_unused = agents->unused;
    agents->unused = task;
    agents_begin_waiting(agents);
    return call;
}

static void on_deferred(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response)
{
    struct agent_call *call = task_release(container_of(secure, struct task, secure));

    (void)outcome;
    (void)response;
    call->done(call);
}

void task_end(struct task *task, enum agent_outcome outcome, const char *format, ...)
{
    struct agent_call *call = task->call;
    va_list ap;

    call->outcome = outcome;
    if (format) {
        va_start(ap, format);
        (void)vsnprintf(call->detail, sizeof call->detail, format, ap);
        va_end(ap);
    }
    if (task->beginning) {
        secure_defer(&task->secure, outcome, on_deferred);
        return;
    }
    (void)task_release(task);
    call->done(call);
}

void task_end_unexpected(struct task *task, const struct coapmsg *response, const char *what)
{
    char code[5];

    task_end(task, AGENT_GARBAGE, "%s to %s is no answer that this kind of agent gives; check the device's agent kind",
             coapmsg_code_text(response->code, code), what);
}

char *task_print(char *out, size_t size, const void *data, size_t data_size)
{
    const uint8_t *from = data;
    size_t used = 0;

    for (size_t i = 0; i < data_size && used < size - 1; i++) {
        bool plain = from[i] >= 0x20 && from[i] < 0x7f;

        if (!plain && size - used <= 4)
            break;
        if (plain)
            out[used++] = (char)from[i];
        else
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", from[i]);
    }
    out[used] = 0;
    return out;
}

/* Checks before anything is sent ---------------------------------------------------------------------------------- */

int task_check(const struct device *device, const char *uid, const struct artifact *artifact, struct fault *fault)
{
    uint32_t runtimes = device->caps.runtimes;

    if (!*uid || strlen(uid) > METADATA_UID_MAX)
        return fault_set(fault, FAULT_INVALID_ID, "the container's uid must have 1 to %d bytes, '%.64s' has %zu",
                         METADATA_UID_MAX, uid, strlen(uid));
    if (artifact->code_size == 0)
        return fault_set(fault, FAULT_INVALID_ARTIFACT, "artifact '%s' has no code", artifact->id);
    if (runtimes && !(runtimes & 1u << artifact->type))
        return fault_set(fault, FAULT_RUNTIME_UNSUPPORTED, "device '%s' does not run containers of type %s", device->id,
                         container_type_name(artifact->type));
    if (artifact->type == CONTAINER_TYPE_SUIT && device->agent != AGENT_SUIT)
        return fault_set(fault, FAULT_RUNTIME_UNSUPPORTED, "device '%s' takes no SUIT manifests", device->id);
    if (device->caps.memory && artifact->memory > device->caps.memory)
        return fault_set(fault, FAULT_PACKAGE_TOO_LARGE,
                         "container '%s' begins with %" PRIu64 " bytes of memory, but device '%s' has %" PRIu32
                         " for one",
                         uid, artifact->memory, device->id, device->caps.memory);
    return 0;
}

int task_check_size(const struct device *device, const char *uid, const char *what, uint64_t size, uint64_t room,
                    struct fault *fault)
{
    if (size <= room)
        return 0;
    return fault_set(fault, FAULT_PACKAGE_TOO_LARGE,
                     "container '%s' needs a %s of %" PRIu64 " bytes, but device '%s' takes at most %" PRIu64
                     ": it is %" PRIu64 " bytes too large",
                     uid, what, size, device->id, room, size - room);
}

size_t task_describe(const char *uid, const struct artifact *artifact, struct metadata *md)
{
    *md = (struct metadata){.type = artifact->type,
                            .uid_length = strlen(uid),
                            .syscall_mask = artifact->syscall_mask,
                            .endpoint_count = artifact->endpoint_count,
                            .limits = artifact->limits};
    if (!text_copy(md->uid, sizeof md->uid, uid) || artifact->endpoint_count > METADATA_MAX_ENDPOINTS)
        return 0;
    if (artifact->endpoint_count)
        memcpy(md->endpoints, artifact->endpoints, artifact->endpoint_count * sizeof md->endpoints[0]);
    return metadata_size(md);
}

int task_set_undescribable(const struct artifact *artifact, struct fault *fault)
{
    return fault_set(fault, FAULT_INVALID_ARTIFACT,
                     "no metadata can be made for artifact '%s': it has more than %d endpoints, or a wrong one",
                     artifact->id, METADATA_MAX_ENDPOINTS);
}

size_t task_make_metadata(struct task *task, uint8_t out[METADATA_MAX_SIZE])
{
    const struct agents_options *options = &task->agents->options;
    struct agent_call *call = task->call;
    struct fault fault;
    struct metadata md;
    int size = 0;

    if (call->code_size != call->artifact->code_size) { /* the data may be parameters of the container */
        task_end(task, AGENT_LOCAL, "the stored code of the artifact has another size than it should have");
        return 0;
    }
    if (task_check(call->device, call->uid, call->artifact, &fault) ||
        task->driver->check(call->device, call->uid, call->artifact, &fault)) {
        task_end(task, AGENT_LOCAL, "%.150s", fault.detail);
        return 0;
    }
    if (task_describe(call->uid, call->artifact, &md))
        size = metadata_build(&md, call->data, call->data_size, call->code, call->code_size, options->sign,
                              options->sign_arg, out, METADATA_MAX_SIZE);
    if (size <= 0) {
        task_end(task, AGENT_LOCAL, "the container's metadata could not be made or signed");
        return 0;
    }
    return (size_t)size;
}
