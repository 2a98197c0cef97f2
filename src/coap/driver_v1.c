#include "coap/task.h"

#include <string.h>

/*
 * The public TinyContainer agent (docs/device-protocol.md, "Agent v1"). A whole container travels in the options of one
 * datagram, and the agent does not recognise a repeated one: a load leaves exactly once.
 */

enum { OPT_ACTION = 65001, OPT_METADATA, OPT_DATA, OPT_CODE, OPT_UID, OPT_STATUS };
enum { ACTION_LOAD = 1, ACTION_START, ACTION_IS_RUNNING, ACTION_STOP, ACTION_DELETE };

#define PATH "/container/" /* registered with the slash: without it the answer is 4.04 */
#define DEFAULT_PDU_SIZE 1204

static void prepare(struct coapmsg *request, uint8_t code, uint32_t action)
{
    coapmsg_init(request, COAPMSG_CON, code);
    coapmsg_add_path(request, PATH);
    coapmsg_add_uint(request, OPT_ACTION, action);
}

static void prepare_load(struct coapmsg *request, const uint8_t *metadata, size_t metadata_bytes,
                         const struct agent_call *call)
{
    prepare(request, COAPMSG_POST, ACTION_LOAD);
    coapmsg_add(request, OPT_METADATA, metadata, metadata_bytes);
    coapmsg_add(request, OPT_DATA, call->data, call->data_size);
    coapmsg_add(request, OPT_CODE, call->code, call->code_size);
}

/* An option's length in the model is limited; beyond it the bytes count one by one, as its head grows no more. */
static uint64_t load_size(size_t metadata_bytes, uint64_t data_size, uint64_t code_size)
{
    static const uint8_t token[CHANNEL_TOKEN_SIZE];
    struct agent_call call = {.data_size = data_size < UINT16_MAX ? (size_t)data_size : UINT16_MAX,
                              .code_size = code_size < UINT16_MAX ? (size_t)code_size : UINT16_MAX};
    struct coapmsg request;

    prepare_load(&request, NULL, metadata_bytes, &call);
    coapmsg_set_token(&request, token, sizeof token);
    return coapmsg_size(&request) + (data_size - call.data_size) + (code_size - call.code_size);
}

static int check(const struct device *device, const char *uid, const struct artifact *artifact, struct fault *fault)
{
    uint32_t room = device->caps.pdu_size ? device->caps.pdu_size : DEFAULT_PDU_SIZE;
    struct metadata md;
    size_t bytes = task_describe(uid, artifact, &md);

    if (!bytes)
        return task_set_undescribable(artifact, fault);
    return task_check_size(device, uid, "request", load_size(bytes, artifact->data_size, artifact->code_size), room,
                           fault);
}

/* What any request may be answered with, beyond what it expects. */
static void end_with_error(struct task *task, const struct coapmsg *response, const char *what)
{
    switch (response->code) {
    case COAPMSG_NOT_IMPLEMENTED:
        task_end(task, AGENT_UNSUPPORTED, "the agent does not implement %s", what);
        break;
    case COAPMSG_TOO_LARGE:
        task_end(task, AGENT_TOO_LARGE, "the agent found the request of %s too large", what);
        break;
    case COAPMSG_NOT_FOUND:
        task_end(task, AGENT_GARBAGE, "the device has no resource " PATH "; check its agent kind");
        break;
    default:
        task_end_unexpected(task, response, what);
    }
}

static void on_load(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CREATED)
        task_end(task, AGENT_OK, NULL);
    else if (response->code == COAPMSG_INTERNAL_ERROR)
        task_end(task, AGENT_REFUSED,
                 "the agent refused the load (5.00) and gives no reason: it may have no free slot, or could not verify "
                 "the container");
    else
        end_with_error(task, response, "load");
}

static void send_load(struct task *task)
{
    uint8_t metadata[METADATA_MAX_SIZE];
    size_t bytes = task_make_metadata(task, metadata);
    struct coapmsg request;

    if (!bytes)
        return;
    prepare_load(&request, metadata, bytes, task->call);
    task_send(task, &request, true, on_load);
}

static void begin_load(struct task *task)
{
    const struct agent_call *call = task->call;
    struct metadata md;

    push_begin(task, (size_t)load_size(task_describe(call->uid, call->artifact, &md), call->data_size, call->code_size),
               send_load);
}

static void on_start(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CHANGED)
        task_end(task, AGENT_OK, NULL);
    else if (response->code == COAPMSG_INTERNAL_ERROR)
        task_end(task, AGENT_REFUSED, "the agent cannot start the container (5.00); it may not hold it");
    else
        end_with_error(task, response, "start");
}

static void on_status(struct task *task, const struct coapmsg *response)
{
    uint32_t status;

    if (response->code != COAPMSG_CONTENT) {
        end_with_error(task, response, "is-running");
    } else if (!coapmsg_get_uint(response, OPT_STATUS, &status)) {
        task_end(task, AGENT_GARBAGE, "the answer to is-running has no STATUS option");
    } else if (status > 1) {
        task_end(task, AGENT_GARBAGE, "the answer to is-running has STATUS %u, which is neither 0 nor 1", status);
    } else {
        task->call->state = status ? CONTAINER_RUNNING : CONTAINER_STOPPED;
        task_end(task, AGENT_OK, NULL);
    }
}

static void on_stop(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CHANGED)
        task_end(task, AGENT_OK, NULL);
    else
        end_with_error(task, response, "stop");
}

static void on_delete(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_DELETED)
        task_end(task, AGENT_OK, NULL);
    else
        end_with_error(task, response, "delete");
}

static void begin(struct task *task)
{
    static const struct {
        uint8_t code;
        uint8_t action;
        task_answer_fn answer;
    } requests[AGENT_CALL_COUNT] = {
        [AGENT_CALL_START] = {COAPMSG_PUT, ACTION_START, on_start},
        [AGENT_CALL_STATUS] = {COAPMSG_GET, ACTION_IS_RUNNING, on_status},
        [AGENT_CALL_STOP] = {COAPMSG_PUT, ACTION_STOP, on_stop},
        [AGENT_CALL_REMOVE] = {COAPMSG_DELETE, ACTION_DELETE, on_delete},
    };
    enum agent_verb verb = task->call->verb;
    struct coapmsg request;

    if (verb == AGENT_CALL_LOAD) {
        begin_load(task);
        return;
    }
    if (!requests[verb].answer) {
        task_end(task, AGENT_UNSUPPORTED, "agents of kind v1 have no request for this");
        return;
    }
    /* A uid of 0 or over 63 bytes damages the agent; core's ids are never so, but the device must not depend on it. */
    if (!*task->call->uid) {
        task_end(task, AGENT_LOCAL, "the container has no uid");
        return;
    }
    prepare(&request, requests[verb].code, requests[verb].action);
    coapmsg_add_text(&request, OPT_UID, task->call->uid);
    task_send(task, &request, false, requests[verb].answer);
}

const struct driver driver_v1 = {.check = check, .begin = begin};
