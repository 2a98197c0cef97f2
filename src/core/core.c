#include "config.h"

#include "core/deadletter.h"
#include "core/event.h"
#include "core/internal.h"
#include "core/rollout.h"
#include "core/service.h"

#include <errno.h>
#include <string.h>

#define SWEEP_MS (3600 * 1000)

static void tell_loop(struct core *core)
{
    int64_t next = timers_next(&core->timers);

    if (!core->started || next >= core->announced)
        return;
    core->announced = next;
    if (core->options.loop.rearm)
        core->options.loop.rearm(core->options.loop.arg);
}

void core_arm(struct core *core, struct timer *timer, int64_t due)
{
    timer_set(&core->timers, timer, due);
    tell_loop(core);
}

void core_disarm(struct core *core, struct timer *timer)
{
    timer_stop(&core->timers, timer);
}

int core_check_accepting(const struct core *core, struct fault *fault)
{
    if (!core->stopped)
        return 0;
    return fault_set(fault, FAULT_SHUTTING_DOWN, "The gateway is stopping and takes no new work.");
}

/* Writes what could not be written, or can wait. */
static void retry_writes(struct timer *timer)
{
    struct core *core = container_of(timer, struct core, retry);

    for (struct device *device = core->devices; device; device = device->hh.next) {
        if (device->dirty)
            device_write(device);
        for (struct container *c = device->containers; c; c = c->hh.next)
            if (c->dirty)
                container_write(c);
        for (struct credential *c = device->credentials; c; c = c->next)
            credential_retry(c);
        list_each(node, &device->operations) operation_write_again(container_of(node, struct operation, device_node));
    }
}

/* Takes copies of what the options point to. */
static int copy_options(struct core *core, const struct core_options *options)
{
    core->options = *options;
    if (options->sealing_key)
        memcpy(core->sealing_key, options->sealing_key, sizeof core->sealing_key);
    core->plain_groups = strdup(options->allow_plain_groups ? options->allow_plain_groups : "");
    return core->plain_groups ? 0 : -ENOMEM;
}

int core_new(struct core **out, const struct core_options *options)
{
    struct core *core = calloc(1, sizeof *core);
    int r;

    if (!core)
        return -ENOMEM;
    core->announced = INT64_MAX;
    core->trust_revision = 1;
    core->retry.fire = retry_writes;
    core->sweep.fire = answers_sweep;
    core->service_sweep.fire = services_sweep;
    core->artifact_sweep.fire = artifacts_sweep;
    list_init(&core->commits);
    list_init(&core->dead_letters);
    list_init(&core->transfers);
    list_init(&core->part_requests);
    list_init(&core->shadow_reads);
    core->join_until = INT64_MIN;
    r = copy_options(core, options);
    if (r == 0)
        r = journal_init(core);
    if (r == 0)
        r = audit_init(core);
    if (r == 0)
        r = telemetry_init(core);
    if (r == 0)
        r = keyring_init(core);
    if (r == 0)
        r = cache_init(core);
    if (r == 0)
        r = directory_new(core);
    if (r == 0)
        r = core_load(core);
    if (r == 0) {
        audit_begin(core);
        r = keyring_begin(core);
    }
    if (r != 0) {
        core_free(core);
        return r < 0 ? r : -EIO;
    }
    *out = core;
    return 0;
}

void core_start(struct core *core)
{
    core->started = true;
    event_note(core, EVENT_GATEWAY_STARTED, NULL, "{s:s}", "version", PACKAGE_VERSION);
    core_note_security(core);
    audit_start(core);
    telemetry_loaded(core);
    core_arm(core, &core->sweep, core_now(core) + SWEEP_MS);
    core_arm(core, &core->artifact_sweep, core_now(core) + SWEEP_MS);
    history_configure(core);
    intake_begin(core);
    for (struct device *device = core->devices; device; device = device->hh.next) {
        presence_reconsider(device);
        device_pump(device);
    }
    watches_start(core);
    reconcile_start(core);
    rollout_start(core);
    services_start(core);
    tell_loop(core);
}

void core_stop(struct core *core)
{
    if (core->stopped)
        return;
    if (core->retry.armed)
        retry_writes(&core->retry);
    core->stopped = true;
    if (core->started) {
        event_note(core, EVENT_GATEWAY_STOPPING, NULL, NULL);
        cache_save(core);
    }
    directory_stop(core);
    for (struct device *device = core->devices; device; device = device->hh.next) {
        device_cancel_call(device);
        list_each(node, &device->operations) request_take_back(container_of(node, struct operation, device_node));
        queries_fail(device, NULL, FAULT_SHUTTING_DOWN, "The gateway is stopping.");
        observers_end(device, FAULT_SHUTTING_DOWN, "The gateway is stopping.");
    }
    visitors_free(core);
}

static void free_operations(struct core *core)
{
    struct operation *op, *next;

    for (op = core->operations; op; op = next) {
        next = op->hh.next;
        while (!list_empty(&op->watchers))
            core_unwatch(list_first(&op->watchers, struct core_watcher, node));
        operation_drop(core, op);
    }
}

struct core *core_free(struct core *core)
{
    struct device *device, *next_device;
    struct artifact *artifact, *next_artifact;

    if (!core)
        return NULL;
    core->started = false; /* what the journal is told now would come back to who is gone */
    core_stop(core);
    if (core->begun) {
        keyring_end(core);
        audit_end(core);
    }
    journal_end(core);
    free_operations(core);
    directory_free(core);
    for (device = core->devices; device; device = next_device) {
        next_device = device->hh.next;
        device_drop(device);
    }
    while (!list_empty(&core->commits))
        commit_free(list_first(&core->commits, struct commit, node));
    for (artifact = core->artifacts; artifact; artifact = next_artifact) {
        next_artifact = artifact->hh.next;
        index_drop_artifact(core, artifact);
        artifact_free(artifact);
    }
    answers_free(core);
    deadletters_free(core);
    intake_free(core);
    part_requests_free(core);
    shadow_reads_free(core);
    join_free(core);
    cache_free(core);
    groups_free(core);
    rollouts_free(core);
    documents_free(core);
    keyring_free(core);
    telemetry_free(core);
    audit_free(core);
    journal_free(core);
    free(core->plain_groups);
    free(core);
    return NULL;
}

static void configure_plain_groups(struct core *core, const char *groups)
{
    char *copy;

    groups = groups ? groups : "";
    if (strcmp(groups, core->plain_groups) == 0)
        return;
    copy = strdup(groups);
    if (!copy)
        return;
    free(core->plain_groups);
    core->plain_groups = copy;
    core_note_security(core);
}

void core_configure(struct core *core, const struct core_options *options)
{
    struct core_options *now = &core->options;

    now->max_devices = options->max_devices;
    now->max_artifacts = options->max_artifacts;
    now->max_containers_per_device = options->max_containers_per_device;
    now->max_queue_per_device = options->max_queue_per_device;
    now->max_artifact_bytes = options->max_artifact_bytes;
    now->keep = options->keep;
    now->verify_delay_ms = options->verify_delay_ms;
    now->settle_delay_ms = options->settle_delay_ms;
    now->operation_ttl_ms = options->operation_ttl_ms;
    now->operation_ttl_max_ms = options->operation_ttl_max_ms;
    now->operations_kept = options->operations_kept;
    now->require_signature = options->require_signature;
    now->max_pending = options->max_pending;
    now->max_shadow_bytes = options->max_shadow_bytes;
    now->journal_memory = options->journal_memory;
    now->audit.keep = options->audit.keep;
    now->max_operations = options->max_operations;
    now->cache_bytes = options->cache_bytes;
    cache_shrink(core);
    configure_plain_groups(core, options->allow_plain_groups);
    now->max_registrations = options->max_registrations;
    now->max_registrations_per_address = options->max_registrations_per_address;
    now->presence = options->presence;
    now->transfer = options->transfer;
    now->reconcile = options->reconcile;
    now->transfer = options->transfer;
    now->telemetry = options->telemetry;
    history_configure(core);
    for (struct device *device = core->devices; device; device = device->hh.next)
        presence_reconsider(device);
}

int64_t core_next_deadline(const struct core *core)
{
    return timers_next(&core->timers);
}

void core_run(struct core *core)
{
    int64_t now = core_now(core);
    struct timer *timer;

    /* The loop arms its timer once more at the end, whatever is set meanwhile. */
    core->announced = INT64_MIN;
    while ((timer = timer_take(&core->timers, now)) != NULL)
        timer->fire(timer);
    core->announced = INT64_MAX;
    tell_loop(core);
}

void core_get_stats(const struct core *core, struct core_stats *out)
{
    *out = (struct core_stats){
        .devices = HASH_COUNT(core->devices),
        .artifacts = HASH_COUNT(core->artifacts),
        .containers = core->container_count,
        .converged = core->converged_count,
        .operations_unfinished = HASH_COUNT(core->operations) - core->finished_count,
        .operations_kept = core->finished_count,
        .calls = core->calls,
        .calls_failed = core->calls_failed,
        .operations_waited_ms = core->operations_waited_ms,
        .operations_took_ms = core->operations_took_ms,
    };
    memcpy(out->operations_ended, core->operations_ended, sizeof out->operations_ended);
    memcpy(out->operation_faults, core->operation_faults, sizeof out->operation_faults);
    memcpy(out->calls_ms, core->calls_ms, sizeof out->calls_ms);
}
