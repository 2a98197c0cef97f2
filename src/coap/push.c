#include "coap/task.h"

/* The bytes of a load on their way: in turn with other transfers on the link, with blocks as large as the link likes,
 * and with room for other requests to the same device between them. */

#define AROUND 96 /* bytes of headers and options around a block: CoAP, UDP, IPv6 */

/* What waits for its link does not keep others from being sent. */
static void park(struct task *task, bool parked)
{
    struct agents *agents = task->agents;

    if (task->push.parked == parked)
        return;
    task->push.parked = parked;
    task->call->waiting = parked;
    agents->running += parked ? -1u : 1;
    if (parked)
        agents_begin_waiting(agents);
}

static void send_next(struct task *task)
{
    struct push *push = &task->push;

    if (push->pausing) {
        task_end(task, AGENT_PAUSED, NULL);
        return;
    }
    if (!link_take(&task->agents->links, &push->place, push->bytes)) {
        park(task, true);
        return;
    }
    park(task, false);
    push->begun = uv_now(task->agents->options.loop);
    push->send(task);
}

static void on_ready(struct link_place *place)
{
    send_next(container_of(place, struct task, push.place));
}

void push_begin(struct task *task, size_t bytes, void (*send)(struct task *task))
{
    struct agent_call *call = task->call;

    task->push.active = true;
    task->push.bytes = bytes;
    task->push.send = send;
    (void)link_enter(&task->agents->links, &task->push.place, &call->link, call->turn, on_ready);
    call->turn = task->push.place.turn;
    send_next(task);
}

static size_t block_bytes(const struct block_transfer *transfer)
{
    size_t left = transfer->size - transfer->offset, block = (size_t)16 << transfer->szx;

    return (left < block ? left : block) + AROUND;
}

static void tell(struct task *task)
{
    struct agent_call *call = task->call;

    call->block = 16u << task->push.pace.szx;
    if (call->progress)
        call->progress(call, task->transfer.offset, task->transfer.size);
}

/* A size that is smaller than what fits came from an earlier part of the transfer, where it was better. */
void push_blocks(struct task *task, task_answer_fn answer)
{
    struct block_transfer *transfer = &task->transfer;
    uint8_t max = task_szx(task);

    while (max > transfer->szx && task->call->link.block && 16u << max > task->call->link.block)
        max--;
    task->last_answer = answer;
    pace_begin(&task->push.pace, transfer->szx, max);
    if (transfer->in_blocks)
        tell(task);
    push_begin(task, block_bytes(transfer), task_send_block);
}

/* The device may have asked for smaller blocks, which is its last word. */
static void adapt(struct task *task)
{
    struct pace *pace = &task->push.pace;
    struct block_transfer *transfer = &task->transfer;
    unsigned again = task->secure.exchange.retransmissions;

    if (transfer->szx < pace->szx)
        pace_begin(pace, transfer->szx, transfer->szx);
    pace_note(pace, (uint32_t)transfer->sent, uv_now(task->agents->options.loop) - task->push.begun, again > 0);
    if (pace->szx != transfer->szx && !block_resize(transfer, pace->szx))
        pace->szx = transfer->szx; /* tried again after the next measurement */
    if (again)
        link_charge(&task->agents->links, &task->call->link, again * task->push.bytes);
}

void push_go_on(struct task *task)
{
    adapt(task);
    task->push.bytes = block_bytes(&task->transfer);
    tell(task);
    send_next(task);
}

void push_end(struct task *task)
{
    if (task->push.active)
        link_leave(&task->agents->links, &task->push.place);
    task->push = (struct push){.active = false};
}

void push_pause(void *agents, struct agent_call *call)
{
    struct task *task = call->driver;

    (void)agents;
    task->push.pausing = true;
    if (!task->push.parked) {
        suit_pause(task);
        return;
    }
    link_leave(&task->agents->links, &task->push.place);
    task->beginning = true;
    task_end(task, AGENT_PAUSED, NULL);
    task->beginning = false;
}
