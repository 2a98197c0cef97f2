#include "core/internal.h"

#include "base/log.h"
#include "core/deadletter.h"
#include "core/selector.h"
#include "core/transfer.h"

#include <errno.h>
#include <string.h>

#define ORIGIN_MS 247000 /* EXCHANGE_LIFETIME (RFC 7252 section 4.8.2) */

/* Takes the rows over at start. A row that does not make sense is skipped with a warning: one damaged record must not
 * keep the gateway from serving all others. */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int skip_row(const char *kind, const char *id, const char *why)
{
    log_warning("database row skipped", "kind", kind, "id", id, "reason", why, NULL);
    return 0;
}

/* Labels that make no sense are none. */
static json_t *load_labels(const char *text)
{
    json_t *labels = text ? json_loads(text, 0, NULL) : NULL;

    if (labels && labels_check(labels, "", NULL)) {
        json_decref(labels);
        return NULL;
    }
    return labels;
}

static int load_device(void *arg, const struct store_device *row)
{
    struct core *core = arg;
    struct device *device;

    if (!text_is_name(row->id, CORE_ID_MAX))
        return skip_row("device", row->id, "bad id");
    device = device_new(core, row->id);
    if (!device)
        return -ENOMEM;
    (void)text_copy(device->name, sizeof device->name, or_empty(row->name));
    device_set_address(device, or_empty(row->address));
    (void)text_copy(device->agent_version, sizeof device->agent_version, or_empty(row->agent_version));
    (void)text_copy(device->reported_id, sizeof device->reported_id, or_empty(row->reported_id));
    device->agent = agent_kind_from_name(or_empty(row->agent));
    if (device->agent == AGENT_KIND_COUNT)
        device->agent = AGENT_UNKNOWN;
    device->agent_configured = row->agent_configured;
    device->caps = (struct device_caps){row->pdu_size, row->slots, row->runtimes, row->package_max, row->memory};
    device->caps_configured = row->caps_configured;
    device->created = row->created;
    device->updated = row->updated;
    device->last_seen = device->last_seen_saved = row->last_seen;
    device->revision = row->revision;
    device->allow_plain = row->allow_plain;
    device->sleep_s = row->sleep_s;
    device->awake_ms = row->awake_ms;
    device->labels = load_labels(row->labels);
    device_set_groups(device, or_empty(row->groups));
    device_set_observe(device, or_empty(row->observe));
    index_add_device(core, device);
    return 0;
}

static int load_artifact(void *arg, const struct store_artifact *row)
{
    struct core *core = arg;
    struct artifact *artifact = calloc(1, sizeof *artifact);
    json_t *manifest = json_loads(row->manifest, 0, NULL);
    int r = 0;

    if (!artifact) {
        r = -ENOMEM;
    } else if (strlen(row->id) != CORE_DIGEST_TEXT - 1 || !manifest ||
               artifact_parse_stored(artifact, manifest, NULL)) {
        r = skip_row("artifact", row->id, "bad manifest");
    } else {
        (void)text_copy(artifact->id, sizeof artifact->id, row->id);
        (void)text_copy(artifact->name, sizeof artifact->name, or_empty(row->name));
        artifact->created = row->created;
        artifact->used = row->used;
        artifact->pinned = row->pinned;
        artifact->memory = row->memory;
        artifact->memory_max = row->memory_max;
        artifact->manifest = strdup(row->manifest);
        index_add_artifact(core, steal_pointer(artifact));
    }
    json_decref(manifest);
    artifact_free(artifact);
    return r;
}

static void load_fault(struct fault *fault, const char *slug, const char *detail)
{
    if (slug)
        (void)fault_set(fault, fault_from_slug(slug), "%s", or_empty(detail));
}

static char *copy_or_null(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;

    *failed |= text && !copy;
    return copy;
}

/* How it shall be brought there. */
static int load_wish(struct container *c, const struct store_container *row)
{
    bool failed = false;

    (void)text_copy(c->desired_release, sizeof c->desired_release, or_empty(row->desired_release));
    (void)text_copy(c->loaded_release, sizeof c->loaded_release, or_empty(row->loaded_release));
    (void)text_copy(c->sent_release, sizeof c->sent_release, or_empty(row->sent_release));
    c->service = copy_or_null(row->service, &failed);
    c->needs = copy_or_null(row->needs, &failed);
    c->parameters = row->parameters.data ? malloc(row->parameters.size + 1) : NULL;
    if (failed || (row->parameters.data && !c->parameters))
        return -ENOMEM;
    if (c->parameters)
        memcpy(c->parameters, row->parameters.data, row->parameters.size);
    c->parameters_size = row->parameters.size;
    container_digest_parameters(c->parameters, c->parameters_size, c->parameters_digest);
    (void)text_copy(c->loaded_parameters, sizeof c->loaded_parameters, or_empty(row->loaded_parameters));
    c->rollback = row->rollback;
    c->attempts = row->attempts;
    c->attempted = row->attempted;
    c->retry = row->retry;
    c->manifest = row->manifest;
    c->manifest_sent = row->manifest_sent;
    return transfer_load(c, row);
}

static int load_container(void *arg, const struct store_container *row)
{
    struct core *core = arg;
    struct device *device = index_find_device(core, row->device);
    enum container_state desired = container_state_from_name(row->desired_state);
    enum container_state reported = container_state_from_name(row->reported_state);
    enum container_load load = container_load_from_name(row->load);
    struct container *c;

    if (!device || !text_is_name(row->uid, CORE_ID_MAX) || desired == CONTAINER_STATE_COUNT)
        return skip_row("container", row->uid, "bad device, uid or state");
    c = container_new(device, row->uid);
    if (!c)
        return -ENOMEM;
    c->desired = desired;
    /* The careful reading of what is damaged: a load may be there. */
    c->reported = reported == CONTAINER_STATE_COUNT ? CONTAINER_UNKNOWN : reported;
    c->load = load == LOAD_COUNT ? LOAD_SENT : load;
    container_set_artifact(c, c->desired_artifact, or_empty(row->desired_artifact));
    container_set_artifact(c, c->reported_artifact, or_empty(row->reported_artifact));
    load_fault(&c->fault, row->fault, row->fault_detail);
    c->created = row->created;
    c->updated = row->updated;
    c->reported_at = row->reported;
    c->revision = row->revision;
    container_set_told(c);
    return load_wish(c, row);
}

/* The rest of its time by the wall clock, which may have been set back since: never more than a whole one. */
static int64_t time_left(const struct core *core, int64_t expires)
{
    int64_t left = expires - core_wall(core);

    if (left < 0)
        return 0;
    return left < core->options.operation_ttl_max_ms ? left : core->options.operation_ttl_max_ms;
}

static int load_operation(void *arg, const struct store_operation *row)
{
    struct core *core = arg;
    struct device *device = index_find_device(core, row->device);
    enum operation_kind kind = operation_kind_from_name(row->kind);
    enum operation_state state = operation_state_from_name(row->state);
    struct operation *op;

    if (kind == OPERATION_KIND_COUNT || state == OPERATION_STATE_COUNT || (!device && state < OPERATION_SUCCEEDED))
        return skip_row("operation", row->id, "bad kind, state or device");
    op = operation_alloc(row->id);
    if (!op)
        return -ENOMEM;
    op->kind = kind;
    op->state = state;
    op->told = (int)state;
    op->durable = true;
    (void)text_copy(op->device_id, sizeof op->device_id, row->device);
    (void)text_copy(op->uid, sizeof op->uid, or_empty(row->uid));
    (void)text_copy(op->artifact, sizeof op->artifact, or_empty(row->artifact));
    (void)text_copy(op->step, sizeof op->step, or_empty(row->step));
    load_fault(&op->fault, row->fault, row->fault_detail);
    op->result = row->result ? strdup(row->result) : NULL;
    op->created = row->created;
    op->started = row->started;
    op->ended = row->ended;
    op->expires = row->expires;
    op->cancel_requested = strcmp(op->step, "cancelling") == 0;
    request_load(op, row->request.data, row->request.size);
    if (kind == OPERATION_REQUEST && !op->request) {
        free(op->result);
        free(op);
        return skip_row("operation", row->id, "bad request");
    }
    index_add_operation(core, op);
    if (operation_is_finished(op)) {
        core->finished_count++;
        return 0;
    }
    op->deadline = core_now(core) + time_left(core, op->expires);
    operation_enqueue(op, device);
    return 0;
}

static int load_answer(void *arg, const struct store_answer *row)
{
    answer_add_loaded(arg, row);
    return 0;
}

static int load_journal(void *arg, const struct store_journal *row)
{
    journal_load_number(arg, row->seq);
    return telemetry_load_origin(arg, row->origin);
}

static int load_cursor(void *arg, const struct store_cursor *row)
{
    return journal_load_cursor(arg, row);
}

int core_load(struct core *core)
{
    return store_load(core->options.store, &(struct store_loader){.device = load_device,
                                                                  .artifact = load_artifact,
                                                                  .container = load_container,
                                                                  .operation = load_operation,
                                                                  .answer = load_answer,
                                                                  .meta = keyring_load_meta,
                                                                  .credential = keyring_load_credential,
                                                                  .context = keyring_load_context,
                                                                  .shadow = shadow_load,
                                                                  .cursor = load_cursor,
                                                                  .journal = load_journal,
                                                                  .journal_since = core_wall(core) - ORIGIN_MS,
                                                                  .journal_span = ORIGIN_MS,
                                                                  .group = group_load,
                                                                  .representation = cache_load,
                                                                  .registration = directory_load,
                                                                  .dead_letter = deadletter_load,
                                                                  .document = document_load,
                                                                  .sequence = sequence_load,
                                                                  .arg = core});
}
