#include "coap/task.h"
#include "codec/linkformat.h"

#include <stdio.h>
#include <string.h>

/*
 * Which kind of agent a device runs (docs/device-protocol.md section 1): /.well-known/core names its resources. A
 * device that does not answer that is asked for what each kind has.
 */

#define MAX_LINKS 8192 /* bytes of a list of resources */
#define MAX_ID 64      /* bytes of a device id */

static void get(struct task *task, const char *path, size_t limit, task_answer_fn answer)
{
    task->request = (struct task_request){
        .code = COAPMSG_GET, .format = -1, .answer_timeout_ms = task->agents->options.answer_timeout_ms};
    (void)snprintf(task->request.path, sizeof task->request.path, "%s", path);
    block_end(&task->transfer);
    block_begin(&task->transfer, NULL, 0, NULL, task_szx(task), limit);
    task_transfer(task, answer);
}

static void on_device_id(struct task *task, const struct coapmsg *response)
{
    struct agent_probe *probe = &task->call->probe;
    const struct buffer *id = &task->transfer.answer;

    if (response->code != COAPMSG_CONTENT && response->code != COAPMSG_NOT_FOUND) {
        task_end_unexpected(task, response, "GET /device-id/");
        return;
    }
    if (response->code == COAPMSG_CONTENT)
        (void)task_print(probe->reported_id, sizeof probe->reported_id, id->data, id->size);
    probe->kind = AGENT_V1; /* 4.04: the device was given no id yet */
    task_end(task, AGENT_OK, NULL);
}

/* Without a list of resources, 4.04 to the id does not tell an agent that has none from no agent at all. */
static void on_guessed_device_id(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CONTENT)
        on_device_id(task, response);
    else
        task_end(task, AGENT_GARBAGE,
                 "the device shows no container agent: neither /tc nor /container/ in "
                 "/.well-known/core, and no /device-id/");
}

static void on_guessed_tc(struct task *task, const struct coapmsg *response)
{
    if (response->code == COAPMSG_CONTENT)
        probe_v2(task, response);
    else
        get(task, "/device-id/", MAX_ID, on_guessed_device_id);
}

/* The kind that a list of resources shows. */
static enum agent_kind find_kind(const struct buffer *links, bool *elsewhere, bool *is_ietf)
{
    struct linkformat lf = linkformat_init(links->data, links->size);
    enum agent_kind kind = AGENT_UNKNOWN;
    struct linkformat_link link;

    *elsewhere = *is_ietf = false;
    while (linkformat_next(&lf, &link) == 0) {
        if (linkformat_has(&link, "rt", "tinycontainer")) {
            *elsewhere = !linkformat_target_is(&link, "/tc");
            return AGENT_V2;
        }
        if (linkformat_target_is(&link, "/container/"))
            kind = AGENT_V1;
        if (kind == AGENT_UNKNOWN && linkformat_target_is(&link, "/suit/trigger")) {
            kind = AGENT_SUIT;
            *is_ietf = linkformat_has(&link, "rt", "suit.ietf");
        }
    }
    return kind;
}

static void on_resources(struct task *task, const struct coapmsg *response)
{
    bool elsewhere = false, is_ietf = false;
    enum agent_kind kind = AGENT_UNKNOWN;

    if (response->code == COAPMSG_CONTENT)
        kind = find_kind(&task->transfer.answer, &elsewhere, &is_ietf);
    if (elsewhere)
        task_end(task, AGENT_GARBAGE, "the device has its container agent at another path than /tc");
    else if (kind == AGENT_V2)
        get(task, "/tc", MAX_LINKS, probe_v2);
    else if (kind == AGENT_V1)
        get(task, "/device-id/", MAX_ID, on_device_id);
    else if (kind == AGENT_SUIT)
        probe_suit(task, is_ietf);
    else
        get(task, "/tc", MAX_LINKS, on_guessed_tc);
}

void probe_begin(struct task *task)
{
    get(task, "/.well-known/core", MAX_LINKS, on_resources);
}
