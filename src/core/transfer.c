#include "core/transfer.h"

#include "core/event.h"
#include "core/internal.h"

#include <errno.h>
#include <string.h>

#define WRITE_MS 1000      /* between rows of one transfer */
#define TELL_MS 5000       /* between its events */
#define SAMPLE_MS 500      /* of the rate */
#define SHRINK_BREAKS 5    /* without a block between them, of a device that sleeps; of others one says as much */
#define SHRINK_BLOCK 64u   /* bytes: the smallest that breaks lead to */
#define LARGEST_BLOCK 1024 /* RFC 7959 section 2.2 */

static struct core *core_of(const struct transfer *t)
{
    return t->container->device->core;
}

static struct transfer *add(struct container *c, const char *artifact)
{
    struct transfer *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    list_append(&c->device->core->transfers, &t->node);
    t->container = c;
    t->started = core_wall(c->device->core);
    (void)text_copy(t->artifact, sizeof t->artifact, artifact);
    return c->transfer = t;
}

void transfer_end(struct container *container)
{
    struct transfer *t = steal_pointer(container->transfer);

    if (!t)
        return;
    list_unlink(&t->node);
    free(t);
}

int transfer_load(struct container *container, const struct store_container *row)
{
    struct transfer *t;

    if (!row->transfer)
        return 0;
    t = add(container, row->transfer);
    if (!t)
        return -ENOMEM;
    t->done = row->transfer_done;
    t->total = row->transfer_total;
    t->started = row->transfer_started;
    t->breaks = row->transfer_breaks;
    t->block = row->transfer_block;
    return 0;
}

/* Progress --------------------------------------------------------------------------------------------------------- */

static void sample(struct transfer *t, int64_t now)
{
    int64_t ms = now - t->sampled;
    uint64_t rate;

    if (t->done < t->sampled_done) { /* the device lost something of it */
        t->sampled = now;
        t->sampled_done = t->done;
        return;
    }
    if (ms < SAMPLE_MS)
        return;
    rate = (t->done - t->sampled_done) * 1000 / (uint64_t)ms;
    t->rate = t->rate ? (t->rate * 3 + rate) / 4 : rate;
    t->sampled = now;
    t->sampled_done = t->done;
}

/* Seconds at that rate; null when it is 0. */
static json_t *time_left(const struct transfer *t, uint64_t rate)
{
    uint64_t left = t->total > t->done ? t->total - t->done : 0;

    return rate ? json_integer((json_int_t)((left + rate - 1) / rate)) : json_null();
}

static void tell(struct transfer *t, int64_t now)
{
    const struct container *c = t->container;

    if (now - t->told < TELL_MS)
        return;
    t->told = now;
    event_note(core_of(t), EVENT_OPERATION_PROGRESS, c->device->id, "{s:s, s:s, s:I, s:I, s:I, s:o}", "container",
               c->uid, "artifact", t->artifact, "bytes", (json_int_t)t->done, "total", (json_int_t)t->total, "rate",
               (json_int_t)t->rate, "remaining_s", time_left(t, t->rate));
}

/* The device has acknowledged a block: it is there, and what it was sent before was not in vain. */
static void note_progress(struct agent_call *call, size_t done, size_t total)
{
    struct device *device = index_find_device(call->device->core, call->device->id);
    struct container *c = device ? index_find_container(device, call->uid) : NULL;
    struct operation *op = list_empty(&call->device->operations)
                               ? NULL
                               : list_first(&call->device->operations, struct operation, device_node);
    struct transfer *t = c ? c->transfer : NULL;
    int64_t now = device ? core_now(device->core) : 0;

    if (!t)
        return;
    if (done == 0)
        suit_heard(c, call);
    if (op && done > t->best) {
        t->best = done;
        op->loads = op->lost = 0;
    }
    t->done = done;
    t->total = total;
    t->block = call->block;
    t->known = true;
    presence_note(device, PRESENCE_HEARD);
    sample(t, now);
    tell(t, now);
    if (now - t->written >= WRITE_MS || (done == 0 && device->agent == AGENT_SUIT)) { /* one that fetches goes on */
        t->written = now;
        container_write(c);
    }
}

void transfer_begin(struct operation *op, struct container *container, struct agent_call *call)
{
    struct transfer *t = container->transfer;
    int64_t now = core_now(op->device->core);

    if (t && strcmp(t->artifact, op->artifact) != 0) {
        transfer_end(container);
        t = NULL;
    }
    if (!t)
        t = add(container, op->artifact);
    if (!t)
        return;
    memcpy(t->link, call->link.name, sizeof t->link);
    call->resume_at = (size_t)t->done;
    call->resume_sure = t->sure;
    call->block = t->block;
    call->turn = t->turn;
    call->progress = note_progress;
    t->sure = false;
    t->written = t->written ? t->written : now;
    t->told = t->told ? t->told : now;
    t->sampled = now;
    t->sampled_done = t->done;
}

/* When nothing of a block arrives at all, smaller ones may: some links lose all that they have to fragment. */
static uint32_t shrink(uint32_t block)
{
    uint32_t half = (block ? block : LARGEST_BLOCK) / 4;

    return half > SHRINK_BLOCK ? half : SHRINK_BLOCK;
}

static bool is_break(const struct agent_call *call)
{
    return call->outcome == AGENT_NO_ANSWER || call->outcome == AGENT_UNREACHABLE;
}

/* Whether the last block cannot have left yet. */
static bool is_partial(const struct transfer *t, const struct agent_call *call)
{
    return t->total && call->block && t->done + call->block < t->total;
}

void transfer_stopped(struct container *container, const struct agent_call *call)
{
    struct transfer *t = container->transfer;

    if (!t)
        return;
    t->sure = is_break(call) ? t->known && is_partial(t, call) : call->outcome == AGENT_PAUSED && t->total;
    t->turn = call->outcome == AGENT_PAUSED ? call->turn : 0;
    t->block = call->block;
    if (!is_break(call))
        return;
    t->breaks++;
    t->rate = 0;
    t->stuck = t->done == call->resume_at ? t->stuck + 1 : 0;
    if (t->stuck >= (device_sleeps(container->device) ? SHRINK_BREAKS : 1)) {
        t->block = shrink(t->block);
        t->stuck = 0;
    }
}

void transfer_doubt(struct container *container)
{
    if (container->transfer)
        container->transfer->known = container->transfer->sure = false;
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static const struct operation *operation_of(const struct transfer *t)
{
    const struct device *device = t->container->device;
    const struct operation *op;

    if (list_empty(&device->operations))
        return NULL;
    op = list_first(&device->operations, struct operation, device_node);
    return strcmp(op->uid, t->container->uid) == 0 && strcmp(op->artifact, t->artifact) == 0 ? op : NULL;
}

const char *transfer_state(const struct transfer *transfer)
{
    const struct operation *op = operation_of(transfer);

    if (!op || op->machine != STEP_LOADING)
        return "stopped";
    if (!device_calls_for(op->device, op))
        return device_is_awake(op->device) ? "paused" : "stopped";
    return op->device->call->waiting ? "waiting" : "running";
}

static json_t *number_or_null(uint64_t number)
{
    return number ? json_integer((json_int_t)number) : json_null();
}

json_t *transfer_progress_json(const struct transfer *transfer)
{
    uint64_t rate = strcmp(transfer_state(transfer), "running") == 0 ? transfer->rate : 0;

    return json_pack("{s:I, s:o, s:o, s:o}", "bytes", (json_int_t)transfer->done, "total",
                     number_or_null(transfer->total), "rate", number_or_null(rate), "remaining_s",
                     time_left(transfer, rate));
}

static json_t *transfer_json(const struct transfer *t)
{
    const struct container *c = t->container;
    json_t *json = transfer_progress_json(t);
    json_t *more =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:o}", "device", c->device->id, "container", c->uid, "artifact",
                  t->artifact, "link", t->link, "state", transfer_state(t), "block", number_or_null(t->block), "breaks",
                  (json_int_t)t->breaks, "started_at", json_time(t->started));

    (void)json_object_update(json, more);
    json_decref(more);
    return json;
}

static bool matches(const struct transfer *t, const struct transfer_filter *filter)
{
    const struct container *c = t->container;

    return !c->removing && !c->device->removing && (!filter->device || strcmp(c->device->id, filter->device) == 0) &&
           (!filter->link || strcmp(t->link, filter->link) == 0);
}

json_t *core_transfers_json(const struct core *core, const struct transfer_filter *filter, size_t max, size_t *count)
{
    json_t *array = json_array();

    *count = 0;
    list_each(node, &core->transfers)
    {
        const struct transfer *t = container_of(node, struct transfer, node);

        if (matches(t, filter) && (*count)++ < max)
            (void)json_array_append_new(array, transfer_json(t));
    }
    return array;
}

void transfers_count(const struct core *core, const char *link, size_t *running, size_t *waiting)
{
    *running = *waiting = 0;
    list_each(node, &core->transfers)
    {
        const struct transfer *t = container_of(node, struct transfer, node);
        const char *state = !link || strcmp(t->link, link) == 0 ? transfer_state(t) : "";

        *running += strcmp(state, "running") == 0;
        *waiting += strcmp(state, "waiting") == 0;
    }
}
