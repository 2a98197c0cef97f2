#include "core/internal.h"

#include "base/log.h"
#include "core/bodycheck.h"
#include "core/emergency.h"
#include "core/event.h"
#include "core/service.h"
#include "core/transfer.h"
#include "core/trust.h"

#include <errno.h>
#include <string.h>

struct container *container_new(struct device *device, const char *uid)
{
    struct container *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->device = device;
    c->timer.fire = reconcile_fired;
    (void)text_copy(c->uid, sizeof c->uid, uid);
    c->created = c->updated = core_wall(device->core);
    c->revision = (uint64_t)c->created; /* so that a container that comes back under its uid has another ETag */
    container_set_told(c);
    index_add_container(c);
    device->core->container_count++;
    device_changed(device);
    return c;
}

void container_drop(struct container *c)
{
    container_set_artifact(c, c->desired_artifact, "");
    container_set_artifact(c, c->reported_artifact, "");
    c->device->core->container_count--;
    c->device->core->converged_count -= c->converged;
    device_changed(c->device);
    index_drop_container(c);
    core_disarm(c->device->core, &c->timer);
    transfer_end(c);
    rendering_drop(&c->rendered);
    free(c->service);
    free(c->needs);
    free(c->parameters);
    free(c->account);
    free(c);
}

void container_changed(struct container *c)
{
    rendering_drop(&c->rendered);
    reconcile_touch(c);
}

struct container *core_find_container(const struct device *device, const char *uid)
{
    struct container *c = index_find_container(device, uid);

    return c && !c->removing ? c : NULL;
}

static void count_user(const struct container *c, const char *artifact_id, int by)
{
    struct artifact *artifact = *artifact_id ? index_find_artifact(c->device->core, artifact_id) : NULL;

    if (artifact)
        artifact->users += (unsigned)by;
}

/* A container counts once for an artifact that is both its desired and its reported one. */
static void count_users(const struct container *c, int by)
{
    count_user(c, c->desired_artifact, by);
    if (strcmp(c->desired_artifact, c->reported_artifact) != 0)
        count_user(c, c->reported_artifact, by);
}

void container_set_artifact(struct container *c, char field[CORE_DIGEST_TEXT], const char *id)
{
    if (strcmp(field, id) == 0)
        return;
    count_users(c, -1);
    (void)text_copy(field, CORE_DIGEST_TEXT, id);
    count_users(c, 1);
    container_changed(c);
}

void container_set_load(struct container *c, enum container_load load)
{
    c->load = load;
    container_changed(c);
}

void container_set_reported(struct container *c, enum container_state state)
{
    c->reported = state;
    c->updated = core_wall(c->device->core);
    container_changed(c);
}

void container_set_lost(struct container *c)
{
    container_set_load(c, LOAD_NONE);
    c->manifest = c->manifest_sent = 0;
    container_set_artifact(c, c->reported_artifact, "");
    c->loaded_parameters[0] = 0;
    container_set_reported(c, CONTAINER_ABSENT);
}

/* What a STATUS answer says --------------------------------------------------------------------------------------- */

static bool has_code(const struct container *c, const char *artifact_id, const char *digest)
{
    const struct artifact *artifact = *artifact_id ? index_find_artifact(c->device->core, artifact_id) : NULL;

    return artifact && strcmp(artifact->code_digest, digest) == 0;
}

/* An agent that tells which code it holds. Artifacts may share their code and differ in data or limits: then the digest
 * does not prove that the device took the desired one, and a load that was sent stays unsettled. */
static void apply_exact(struct container *c, enum container_state state, const char *seen)
{
    bool is_old = has_code(c, c->reported_artifact, seen), is_desired = has_code(c, c->desired_artifact, seen);
    bool same = strcmp(c->reported_artifact, c->desired_artifact) == 0;

    if (state == CONTAINER_ABSENT) {
        container_set_lost(c);
        return;
    }
    if (!*seen) {
        c->load = c->load == LOAD_SENT ? LOAD_SENT : LOAD_DONE;
    } else if (is_old) {
        c->load = c->load == LOAD_SENT && is_desired && !same ? LOAD_SENT : LOAD_DONE;
    } else {
        container_set_artifact(c, c->reported_artifact, is_desired ? c->desired_artifact : "");
        c->load = LOAD_DONE;
    }
    container_set_reported(c, state);
}

/* An agent that tells only whether the uid runs: a uid that it does not hold reads as one that does not run. */
static void apply_vague(struct container *c, bool running)
{
    if (running) {
        if (c->load == LOAD_SENT)
            c->load = LOAD_DONE;
        container_set_reported(c, CONTAINER_RUNNING);
    } else if (c->load == LOAD_NONE) {
        container_set_reported(c, CONTAINER_ABSENT);
    } else if (c->load == LOAD_SENT) {
        container_set_reported(c, CONTAINER_UNKNOWN);
    } else if (c->reported != CONTAINER_INSTALLED && c->reported != CONTAINER_FAILED) {
        container_set_reported(c, CONTAINER_STOPPED);
    }
}

/* Whether anything but the time would change: the path of most queries. */
static bool says_nothing_new(const struct container *c, const struct agent_call *call)
{
    return call->outcome == AGENT_OK && call->state == c->reported && c->load == LOAD_DONE &&
           (!*call->artifact_seen || has_code(c, c->reported_artifact, call->artifact_seen));
}

void container_apply_status(struct container *c, const struct agent_call *call)
{
    const struct agent_features *features = device_features(c->device);
    enum container_state state = call->outcome == AGENT_ABSENT ? CONTAINER_ABSENT : call->state;

    c->reported_at = core_wall(c->device->core);
    if (c->rendered.time_at[0])
        c->rendered.time_stale = true;
    else
        container_changed(c);
    suit_heard(c, call);
    if (says_nothing_new(c, call))
        return;
    if (features->load_is_idempotent)
        apply_exact(c, state, call->artifact_seen);
    else
        apply_vague(c, state == CONTAINER_RUNNING);
}

/* What is desired ------------------------------------------------------------------------------------------------- */

/* What a request changes, kept so that it can be undone. */
struct wish {
    bool existed;
    struct desired *desired;
    struct artifact *artifact; /* of it, which stays as long as it may have to come back; NULL: none */
    int64_t updated;
    uint64_t revision;
};

static void wish_free(void *arg)
{
    struct wish *wish = arg;

    if (wish && wish->artifact)
        wish->artifact->users--;
    if (wish)
        free(wish->desired);
    free(wish);
}

static struct wish *wish_take(const struct container *c, bool existed)
{
    struct wish *wish = calloc(1, sizeof *wish);

    if (wish)
        wish->desired = container_copy_desired(c);
    if (!wish || !wish->desired) {
        wish_free(wish);
        return NULL;
    }
    wish->existed = existed;
    wish->updated = c->updated;
    wish->revision = c->revision;
    wish->artifact = index_find_artifact(c->device->core, c->desired_artifact);
    if (wish->artifact)
        wish->artifact->users++;
    return wish;
}

static void undo_wish(struct container *c, const struct wish *wish)
{
    struct store_batch *batch;

    if (!wish->existed) {
        batch = store_batch_new();
        if (batch) { /* what a query saw of it may be stored */
            store_batch_delete_container(batch, c->device->id, c->uid);
            store_submit(c->device->core->options.store, batch, NULL, NULL);
        }
        c->removing = true;
        queries_fail(c->device, c->uid, FAULT_NOT_FOUND, "The container's creation could not be stored.");
        container_drop(c);
        return;
    }
    c->told = 0;
    if (container_assign(c, wish->desired)) /* what it was is still in the database */
        log_error("out of memory: a change that was not stored stays until the next start", "device", c->device->id,
                  "container", c->uid, NULL);
    c->updated = wish->updated;
    c->revision = wish->revision;
    reconcile_reset(c);
    container_write(c);
}

static void settle_wish(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    struct container *c = device ? index_find_container(device, commit->uid) : NULL;
    struct commit *later = commit_find_later(commit);

    if (operation_settle(commit, durable, fault) || !c)
        return;
    if (later) { /* what that one would go back to */
        wish_free(later->old);
        later->old = steal_pointer(commit->old);
    } else if (c->revision == commit->value) { /* nobody has wanted something else since */
        undo_wish(c, commit->old);
    }
}

/* Sets what is desired and queues the operation for it, in one commit. */
static int submit_wish(struct container *c, bool existed, enum operation_kind kind, const struct desired *desired,
                       uint32_t ttl_ms, core_done_fn done, void *arg, struct fault *fault, struct operation **out)
{
    struct wish *old = wish_take(c, existed);
    struct commit *commit = NULL;
    struct operation *op;
    int r;

    if (!old || commit_new(&commit, c->device->core, done, arg)) {
        wish_free(old);
        return -ENOMEM;
    }
    commit->old = old;
    commit->release = wish_free;
    r = operation_new(&op, c->device, c->uid, kind, desired->artifact, ttl_ms, fault);
    if (r == 0 && container_assign(c, desired)) {
        operation_drop(commit->core, op);
        r = -ENOMEM;
    }
    if (r) {
        commit_free(commit);
        return r;
    }
    c->updated = op->created;
    commit->value = c->revision;
    reconcile_reset(c);
    (void)text_copy(commit->device, sizeof commit->device, c->device->id);
    (void)text_copy(commit->uid, sizeof commit->uid, c->uid);
    (void)text_copy(commit->id, sizeof commit->id, op->id);
    commit->settle = settle_wish;
    if (!existed || old->desired->state != c->desired || strcmp(old->desired->artifact, c->desired_artifact) != 0 ||
        strcmp(old->desired->release, c->desired_release) != 0 || old->desired->rollback != c->rollback)
        container_tell_desired(c, commit->batch);
    batch_put_container(commit->batch, c);
    batch_put_operation(commit->batch, op);
    commit_submit(commit);
    *out = op;
    return 0;
}

static const struct body_rule put_rules[] = {
    {"artifact", BODY_TEXT, false, false, CORE_DIGEST_TEXT - 1, CORE_DIGEST_TEXT - 1, NULL},
    {"release", BODY_TEXT, false, false, 1, CORE_RELEASE_TEXT - 1, NULL},
    {"rollback", BODY_BOOL, false, false, 0, 0, NULL},
    {"state", BODY_CHOICE, false, false, 0, 0, "running stopped"},
    {"parameters", BODY_TEXT, false, true, 0, (PARAMETERS_MAX + 2) / 3 * 4, NULL},
    {"needs", BODY_ARRAY, false, true, 0, NEEDS_MAX, NULL},
};

int container_check_uid(const struct device *device, const char *uid, struct fault *fault)
{
    const struct container *c = index_find_container(device, uid);

    if (!text_is_name(uid, CORE_ID_MAX))
        return fault_set(fault, FAULT_INVALID_ID,
                         "A container's uid has 1 to %d letters, digits and . _ ~ -, and not only dots.", CORE_ID_MAX);
    if (c && c->removing)
        return fault_set(fault, FAULT_CONFLICT, "Container '%s' of device '%s' is being removed; repeat in a moment.",
                         uid, device->id);
    if (!c && HASH_COUNT(device->containers) >= device->core->options.max_containers_per_device)
        return fault_set(fault, FAULT_LIMIT_REACHED,
                         "Device '%s' has %u containers, the configured limit (limits.containers_per_device).",
                         device->id, device->core->options.max_containers_per_device);
    return 0;
}

int container_check_occupied(const struct container *c, const char *artifact, struct fault *fault)
{
    const struct device *device = c->device;

    if (device->agent == AGENT_UNKNOWN || device_features(device)->can_replace || c->load == LOAD_NONE ||
        (strcmp(c->reported_artifact, artifact) == 0 && container_has_parameters(c)))
        return 0;
    return fault_set(fault, FAULT_UID_OCCUPIED,
                     "Device '%s' %s artifact %.12s as container '%s', and its agent (%s) cannot replace it. If the "
                     "device was restarted since, forget the container first (DELETE with ?forget=true).",
                     device->id, c->load == LOAD_DONE ? "holds" : "may hold", c->reported_artifact, c->uid,
                     agent_kind_name(device->agent));
}

int container_check_fit(struct device *device, const char *uid, const struct artifact *artifact,
                        enum container_state desired, struct fault *fault)
{
    const struct agent_port *port = &device->core->options.agents;
    const struct container *c = index_find_container(device, uid);

    if (device->agent == AGENT_UNKNOWN)
        return 0;
    if (port->check(port->arg, device, uid, artifact, fault) || (c && container_check_occupied(c, artifact->id, fault)))
        return 1;
    if (c && desired == CONTAINER_STOPPED && c->reported == CONTAINER_RUNNING && !device_features(device)->can_stop)
        return fault_set(fault, FAULT_AGENT_UNSUPPORTED,
                         "Container '%s' runs, and the agent of device '%s' (%s) cannot stop containers.", uid,
                         device->id, agent_kind_name(device->agent));
    return 0;
}

static int check_service(const struct device *device, const char *uid, struct fault *fault)
{
    const char *service = service_of(device, uid);

    if (!service)
        return 0;
    return fault_set(fault, FAULT_CONFLICT,
                     "Container '%s' of device '%s' belongs to service '%s': change the service, or whom it selects.",
                     uid, device->id, service);
}

/* What a body asks for; the caller frees its parameters. */
struct put {
    struct desired desired;
    char needs[NEEDS_SIZE];
    uint8_t *parameters;
};

/* The artifact that a body asks for, by itself or by its release. NULL with a fault. */
static const struct artifact *find_asked(const struct device *device, const json_t *body, struct fault *fault)
{
    const char *id = body_text(body, "artifact"), *release = body_text(body, "release");
    const struct artifact *artifact;

    if (!id == !release) {
        (void)fault_set_at(fault, FAULT_INVALID_FIELD, id ? "/release" : "/artifact",
                           "A container has either an artifact or a release.");
        return NULL;
    }
    if (release)
        return release_pick(device, release, fault);
    artifact = core_find_artifact(device->core, id);
    if (!artifact)
        (void)artifact_missing(device->core, id, fault);
    return artifact;
}

static int read_put(struct put *put, const struct device *device, const char *uid, const json_t *body,
                    struct fault *fault)
{
    const struct artifact *artifact = find_asked(device, body, fault);
    const char *release = body_text(body, "release");
    int r;

    *put =
        (struct put){.desired = {.state = CONTAINER_RUNNING, .release = release ? release : "", .needs = put->needs}};
    if (!artifact)
        return 1;
    put->desired.artifact = artifact->id;
    put->desired.rollback = json_is_true(json_object_get(body, "rollback"));
    if (body_text(body, "state"))
        put->desired.state = container_state_from_name(body_text(body, "state"));
    if (needs_read(put->needs, uid, json_object_get(body, "needs"), "/needs", fault))
        return 1;
    r = parameters_read(&put->parameters, &put->desired.parameters_size, json_object_get(body, "parameters"),
                        "/parameters", fault);
    put->desired.parameters = put->parameters;
    return r;
}

int core_put_container(struct core *core, struct device *device, const char *uid, const json_t *body, uint32_t ttl_ms,
                       core_done_fn done, void *arg, struct fault *fault, struct operation **op)
{
    struct container *c;
    struct put put;
    bool existed;
    int r;

    if (core_check_accepting(core, fault) || container_check_uid(device, uid, fault) ||
        body_check(body, "", put_rules, array_size(put_rules), fault) || device_check_protected(device, fault) ||
        quarantine_check(device, fault))
        return 1;
    r = read_put(&put, device, uid, body, fault);
    if (r)
        return r;
    if (check_service(device, uid, fault) || operation_check_queue(device, fault) ||
        container_check_desired(device, uid, &put.desired, fault)) {
        free(put.parameters);
        return 1;
    }
    c = index_find_container(device, uid);
    existed = c != NULL;
    if (!c)
        c = container_new(device, uid);
    r = c ? submit_wish(c, existed, OPERATION_DEPLOY, &put.desired, ttl_ms, done, arg, fault, op) : -ENOMEM;
    if (r && c && !existed)
        container_drop(c);
    free(put.parameters);
    return r;
}

/* Starting, stopping, removing ------------------------------------------------------------------------------------ */

int container_check_act(const struct container *c, enum operation_kind kind, struct fault *fault)
{
    const struct device *device = c->device;
    const struct agent_features *features = device_features(device);
    bool can = kind == OPERATION_STOP ? features->can_stop : kind == OPERATION_REMOVE ? features->can_remove : true;

    if (device->agent == AGENT_UNKNOWN)
        return 0; /* found out by the operation */
    if (!can)
        return fault_set(fault, FAULT_AGENT_UNSUPPORTED, "The agent of device '%s' (%s) cannot %s container '%s'.",
                         device->id, agent_kind_name(device->agent), operation_kind_name(kind), c->uid);
    if (kind == OPERATION_START && c->load == LOAD_NONE && !features->load_is_idempotent &&
        !container_has_operations(c))
        return fault_set(fault, FAULT_CONTAINER_NOT_ON_DEVICE, "Device '%s' does not hold container '%s'.", device->id,
                         c->uid);
    return 0;
}

static int check_start(const struct container *c, struct fault *fault)
{
    const char *stop = emergency_of_container(c);

    if (stop)
        return fault_set(fault, FAULT_EMERGENCY_STOP, "The emergency stop '%s' holds container '%s'.", stop, c->uid);
    return quarantine_check(c->device, fault);
}

int core_act_on_container(struct core *core, struct container *c, enum operation_kind kind, uint32_t ttl_ms,
                          core_done_fn done, void *arg, struct fault *fault, struct operation **op)
{
    enum container_state desired = kind == OPERATION_START  ? CONTAINER_RUNNING
                                   : kind == OPERATION_STOP ? CONTAINER_STOPPED
                                                            : CONTAINER_ABSENT;
    struct desired *wanted;
    int r;

    if (core_check_accepting(core, fault) || device_check_protected(c->device, fault) ||
        (kind == OPERATION_START && check_start(c, fault)) || check_service(c->device, c->uid, fault) ||
        container_check_act(c, kind, fault) || operation_check_queue(c->device, fault))
        return 1;
    wanted = container_copy_desired(c);
    if (!wanted)
        return -ENOMEM;
    wanted->state = desired;
    r = submit_wish(c, true, kind, wanted, ttl_ms, done, arg, fault, op);
    free(wanted);
    return r;
}

/* Forgetting ------------------------------------------------------------------------------------------------------ */

static void settle_forget(struct commit *commit, bool durable, struct fault *fault)
{
    struct device *device = index_find_device(commit->core, commit->device);
    struct container *c = device ? index_find_container(device, commit->uid) : NULL;

    (void)fault;
    if (!c)
        return;
    if (durable) {
        log_info("container forgotten", "device", device->id, "container", c->uid, NULL);
        queries_fail(device, c->uid, FAULT_NOT_FOUND, "The container was forgotten.");
        container_drop(c); /* before what was held back for it is written */
        operations_end_cancelled(device, commit->uid, "The container was forgotten.");
        services_wake(device);
    } else {
        c->removing = false;
        container_write(c); /* what was held back meanwhile */
        core_retry_later(commit->core);
    }
    device_pump(device);
}

int core_forget_container(struct core *core, struct container *c, core_done_fn done, void *arg, struct fault *fault)
{
    struct device *device = c->device;
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    c->removing = true; /* nothing new is sent for it; what waits goes on should this fail */
    if (device->call && strcmp(device->call->uid, c->uid) == 0)
        device_cancel_call(device);
    (void)text_copy(commit->device, sizeof commit->device, device->id);
    (void)text_copy(commit->uid, sizeof commit->uid, c->uid);
    commit->settle = settle_forget;
    operations_batch_cancelled(device, c->uid, commit->batch);
    sequence_note_forgotten(c, commit->batch);
    store_batch_delete_container(commit->batch, device->id, c->uid);
    event_add(core, commit->batch, EVENT_CONTAINER_REMOVED, device->id, "{s:s, s:b}", "container", c->uid, "forgotten",
              1);
    commit_submit(commit);
    device_pump(device);
    return 0;
}
