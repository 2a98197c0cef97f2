#include "core/event.h"
#include "core/internal.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

/* Sequence numbers (RFC 8613 Appendix B.1.1) and new contexts (Appendix B.2). A number may be used once it is below
 * what the database says is reserved, and a start continues there; so what was reserved and not used is lost, and
 * none is used twice. */

#define STEP_MAX 4096
#define BUSY_MS 10000 /* a context that used up a step within this gets a larger one */

/* Those that ask again from within, since the numbers did not last for all, wait for the next commit. */
void reservations_finish(struct list *waiting, int result)
{
    struct list now;

    list_init(&now);
    list_each(node, waiting)
    {
        list_unlink(node);
        list_append(&now, node);
    }
    while (!list_empty(&now)) {
        struct reservation *reservation = list_first(&now, struct reservation, node);

        list_unlink(&reservation->node);
        reservation->done(reservation, result);
    }
}

void keyring_cancel_reservation(struct reservation *reservation)
{
    if (reservation->node.next)
        list_unlink(&reservation->node);
}

void credential_set_reserved(struct credential *c, uint64_t reserved)
{
    c->reserved = reserved;
    (void)oscore_context_set_sequence(c->context, oscore_context_sequence(c->context), reserved);
}

static int result_of(const struct fault *fault)
{
    return fault->code == FAULT_STORAGE_FULL ? -ENOSPC : -EIO;
}

static void settle_reservation(struct commit *commit, bool durable, struct fault *fault)
{
    struct credential *c = commit_credential(commit);
    int result = durable ? 0 : result_of(fault);

    if (!c)
        return;
    c->reserving = false;
    if (durable && c->state != CREDENTIAL_STALE && commit->value > c->reserved)
        credential_set_reserved(c, commit->value);
    if (durable && oscore_context_sequence_left(c->context) == 0)
        result = -EOVERFLOW;
    if (!durable)
        log_warning("sequence numbers could not be reserved", "device", commit->device, "error",
                    fault_info(fault->code)->slug, NULL);
    reservations_finish(&c->reservations, result);
}

static uint16_t next_step(const struct credential *c)
{
    int64_t age = core_now(c->device->core) - c->reserved_at;

    if (c->step == 0)
        return KEYRING_STEP;
    if (age < BUSY_MS)
        return c->step < STEP_MAX ? (uint16_t)(c->step * 2) : STEP_MAX;
    return c->step > KEYRING_STEP ? c->step / 2 : KEYRING_STEP;
}

static void reserve(struct credential *c)
{
    struct commit *commit;

    if (credential_commit(&commit, c, NULL, NULL)) {
        core_retry_later(c->device->core);
        return;
    }
    c->reserving = true;
    c->step = next_step(c);
    c->reserved_at = core_now(c->device->core);
    commit->settle = settle_reservation;
    commit->value = c->reserved + c->step;
    if (commit->value > OSCORE_SEQUENCE_END)
        commit->value = OSCORE_SEQUENCE_END;
    if (c->state != CREDENTIAL_STALE && commit->value > c->reserved)
        store_batch_reserve(commit->batch, c->device->id, c->number, commit->value);
    if (c->device->core->clean_mark_stays)
        keyring_remove_clean_mark(commit->batch);
    commit_submit(commit);
}

void keyring_reserve(struct core *core, struct credential *c, struct reservation *reservation)
{
    (void)core;
    keyring_cancel_reservation(reservation);
    list_append(&c->reservations, &reservation->node);
    if (!c->reserving)
        reserve(c);
}

void keyring_spent(struct core *core, struct credential *c)
{
    (void)core;
    if (!c->reserving && c->state != CREDENTIAL_STALE && c->reserved < OSCORE_SEQUENCE_END &&
        oscore_context_sequence_left(c->context) < (uint64_t)(c->step ? c->step : KEYRING_STEP) / 2)
        reserve(c);
}

void credential_retry(struct credential *c)
{
    if (!c->reserving && !list_empty(&c->reservations))
        reserve(c);
}

/* Renewal ---------------------------------------------------------------------------------------------------------- */

struct renewal {
    struct oscore_context *context;
    uint64_t reserved;
    struct list waiting;
};

static void renewal_free(void *old)
{
    struct renewal *renewal = old;

    list_each(node, &renewal->waiting) list_unlink(node);
    (void)oscore_context_free(renewal->context);
    free(renewal);
}

/* The old context is forgotten, by everybody, before the new one takes its place. */
static int exchange_context(struct credential *c, struct oscore_context *context)
{
    struct core *core = c->device->core;

    credential_tell_dropped(c);
    oscore_registry_remove(core->registry, c->context);
    (void)oscore_context_free(c->context);
    c->context = context;
    return oscore_registry_add(core->registry, context);
}

static int take_renewed(struct credential *c, struct renewal *renewal)
{
    int r = exchange_context(c, steal_pointer(renewal->context));

    c->step = KEYRING_STEP;
    c->saved = (struct oscore_window){.known = false};
    credential_set_reserved(c, renewal->reserved);
    if (c->state == CREDENTIAL_STALE)
        credential_set_state(c, CREDENTIAL_ACTIVE);
    log_info("security context renewed", "device", c->device->id, r ? "error" : NULL, "its ids are taken", NULL);
    return r;
}

static void settle_renewal(struct commit *commit, bool durable, struct fault *fault)
{
    struct renewal *renewal = commit->old;
    struct credential *c = commit_credential(commit);
    int result = durable ? -EIO : result_of(fault);

    if (c)
        c->reserving = false;
    if (c && durable && commit->value == commit->core->distrusted)
        result = take_renewed(c, renewal) || c->hidden ? -EIO : 0;
    reservations_finish(&renewal->waiting, result);
    c = commit_credential(commit); /* the callbacks may have done anything */
    if (c && result == 0)
        reservations_finish(&c->reservations, 0);
    else if (c)
        credential_retry(c);
}

static void write_renewal(struct commit *commit, const struct credential *c, const struct renewal *renewal)
{
    const struct oscore_credentials *inputs = oscore_context_credentials(renewal->context);
    enum credential_state state = c->state == CREDENTIAL_STALE ? CREDENTIAL_ACTIVE : c->state;
    char id_context[2 * OSCORE_ID_CONTEXT_MAX + 1];

    store_batch_renew_credential(
        commit->batch, c->device->id, c->number, credential_state_name(state),
        inputs->has_id_context ? text_hex(inputs->id_context, inputs->id_context_size, id_context) : NULL,
        renewal->reserved);
    event_add(commit->core, commit->batch, EVENT_RENEWED, c->device->id, "{s:I, s:b}", "number", (json_int_t)c->number,
              "was_stale", c->state == CREDENTIAL_STALE);
}

void keyring_renew(struct core *core, struct credential *c, struct oscore_context *context, struct reservation *done)
{
    struct renewal *renewal = calloc(1, sizeof *renewal);
    struct commit *commit = NULL;

    if (!renewal || credential_commit(&commit, c, NULL, NULL)) {
        free(renewal);
        (void)oscore_context_free(context);
        done->done(done, -EIO);
        return;
    }
    renewal->context = context;
    renewal->reserved = oscore_context_sequence(context) + oscore_context_sequence_left(context) + KEYRING_STEP;
    list_init(&renewal->waiting);
    list_append(&renewal->waiting, &done->node);
    commit->old = renewal;
    commit->release = renewal_free;
    commit->settle = settle_renewal;
    commit->value = core->distrusted;
    c->reserving = true;
    write_renewal(commit, c, renewal);
    commit_submit(commit);
}

/* Distrust --------------------------------------------------------------------------------------------------------- */

/* Its context is derived once more: one that has no numbers and no window, so that nothing can be sent with it. */
static void make_stale(struct credential *c)
{
    struct oscore_context *context;

    if (oscore_context_new(&context, c->device->core->crypto, oscore_context_credentials(c->context), c) == 0)
        (void)exchange_context(c, context);
    credential_set_state(c, CREDENTIAL_STALE);
}

static void make_all_stale(struct device *device)
{
    struct credential *c, *next;

    for (c = device->credentials; c; c = next) {
        next = c->next;
        if (c->kind == CREDENTIAL_OSCORE && c->state != CREDENTIAL_STALE)
            make_stale(c);
    }
}

static void settle_distrust(struct commit *commit, bool durable, struct fault *fault)
{
    (void)commit;
    if (!durable)
        (void)fault_set(fault, fault->code,
                        "The database could not be written: the contexts are distrusted until the next start only.");
}

int core_distrust_contexts(struct core *core, core_done_fn done, void *arg, struct fault *fault)
{
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    core->distrusted++;
    for (struct device *device = core->devices; device; device = device->hh.next)
        make_all_stale(device);
    commit->settle = settle_distrust;
    store_batch_distrust_contexts(commit->batch);
    event_add(core, commit->batch, EVENT_DISTRUSTED, NULL, "{s:I}", "contexts", (json_int_t)core->context_count);
    commit_submit(commit);
    log_warning("all OSCORE contexts are distrusted on request: each has to be derived anew", NULL);
    return 0;
}
