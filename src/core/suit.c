#include "core/internal.h"

#include "base/log.h"
#include "codec/suit.h"
#include "core/transfer.h"
#include "core/trust.h"
#include "tcgw/coapmsg.h"

#include <string.h>

/*
 * SUIT devices tell one number: the highest sequence number of a manifest that they installed. So each manifest gets a
 * number above all before, which is durable before the device is told of it; what the device tells later shows whether
 * it took it, and a lower number that it has lost what it had (docs/device-protocol.md section 9).
 */

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether the device may be in the middle of what it is to be sent again: with the same number it can go on. */
static bool is_begun(const struct container *c)
{
    return c->transfer && strcmp(c->transfer->artifact, c->desired_artifact) == 0;
}

/* Above all that the device was ever sent, as far as it is known, and that it told; not below the release's. */
static uint64_t next_number(const struct container *of)
{
    const struct device *device = of->device;
    uint64_t last = device->manifest_floor;

    for (const struct container *c = device->containers; c; c = c->hh.next)
        last = higher(last, c == of ? c->manifest : higher(c->manifest, c->manifest_sent));
    if (is_begun(of) && of->transfer->manifest > last)
        return of->transfer->manifest;
    last = higher(last, of->manifest_sent);
    last = higher(last + 1, (uint64_t)(core_wall(device->core) / 1000));
    return higher(last, release_sequence(device->core, of->desired_release));
}

/* 0 for one that cannot be read; the driver says why. */
static uint64_t number_of_envelope(const struct operation_parts *parts)
{
    struct suit_manifest manifest;
    char reason[128];

    return suit_parse(&manifest, parts->code, parts->code_size, reason, sizeof reason) == 0 ? manifest.sequence : 0;
}

void suit_number(struct container *c, const struct operation_parts *parts)
{
    if (c->device->agent != AGENT_SUIT)
        return;
    c->manifest_sent = parts->artifact->type == CONTAINER_TYPE_SUIT ? number_of_envelope(parts) : next_number(c);
}

void suit_installed(struct container *c)
{
    if (c->manifest_sent)
        c->manifest = c->manifest_sent;
    c->manifest_sent = 0;
}

static void fill(const struct container *c, const char *artifact_id, uint64_t number, struct agent_manifest *out)
{
    const struct artifact *artifact = *artifact_id ? index_find_artifact(c->device->core, artifact_id) : NULL;

    if (!artifact || !number)
        return;
    out->sequence = number;
    memcpy(out->code_digest, artifact->code_digest, sizeof out->code_digest);
}

void suit_fill_call(const struct container *c, struct agent_call *call)
{
    if (!c || c->device->agent != AGENT_SUIT)
        return;
    fill(c, c->reported_artifact, c->manifest, &call->installed);
    fill(c, c->desired_artifact, c->manifest_sent, &call->sent);
}

/* The others that the device cannot have any more. */
static void drop_lost(const struct container *but, uint64_t version)
{
    for (struct container *c = but->device->containers; c; c = c->hh.next) {
        if (c == but || c->manifest <= version)
            continue;
        log_info("a device has lost a container", "device", c->device->id, "container", c->uid, NULL);
        container_set_lost(c);
        container_write(c);
    }
}

void suit_heard(struct container *c, const struct agent_call *call)
{
    if (c->device->agent != AGENT_SUIT || !call->version_known)
        return;
    c->device->manifest_floor = higher(c->device->manifest_floor, call->version_seen);
    drop_lost(c, call->version_seen);
    if (c->transfer && call->verb != AGENT_CALL_LOAD && call->version_seen < c->manifest_sent)
        c->transfer->manifest = c->manifest_sent;
    if (call->verb != AGENT_CALL_LOAD && c->manifest_sent && call->version_seen >= c->manifest_sent)
        suit_installed(c);
}

/* What is uploaded --------------------------------------------------------------------------------------------------
 */

int suit_check_artifact(const struct artifact *artifact, const void *code, size_t size, struct fault *fault)
{
    struct suit_manifest manifest;
    char reason[128], digest[CORE_DIGEST_TEXT];

    if (suit_parse(&manifest, code, size, reason, sizeof reason))
        return fault_set(fault, FAULT_INVALID_ARTIFACT, "The code part is no SUIT manifest: %s.", reason);
    if (!manifest.authentication || !manifest.digest_matches)
        return fault_set(fault, FAULT_INVALID_ARTIFACT,
                         "The SUIT manifest is not signed, or was changed after it was signed.");
    if (manifest.component_count != 1)
        return fault_set(fault, FAULT_INVALID_ARTIFACT, "The SUIT manifest has %zu components; an artifact has one.",
                         manifest.component_count);
    if (!manifest.components[0].has_digest ||
        strcmp(text_hex(manifest.components[0].digest, 32, digest), artifact->data_digest) != 0)
        return fault_set(fault, FAULT_INVALID_ARTIFACT,
                         "The SUIT manifest is for another payload than the data part that came with it.");
    return 0;
}

/* Running once ------------------------------------------------------------------------------------------------------
 */

#define EXEC_PATH_SIZE (sizeof SUIT_EXEC_PATH + CORE_ID_MAX)

static void exec_path(const struct container *c, char path[EXEC_PATH_SIZE])
{
    const char *dot = strrchr(c->uid, '.');

    (void)snprintf(path, EXEC_PATH_SIZE, SUIT_EXEC_PATH "%s", dot ? dot + 1 : c->uid);
}

int core_exec_container(struct core *core, struct container *c, uint32_t ttl_ms, core_done_fn done, void *arg,
                        struct fault *fault, struct operation **op)
{
    char path[EXEC_PATH_SIZE];
    struct agent_resource request = {.method = COAPMSG_POST, .path = path, .format = -1, .accept = -1};

    if (c->device->agent != AGENT_SUIT)
        return fault_set(fault, FAULT_AGENT_UNSUPPORTED,
                         "Device '%s' (%s) has no slots that are run by a request; start the container.", c->device->id,
                         agent_kind_name(c->device->agent));
    if (c->load != LOAD_DONE)
        return fault_set(fault, FAULT_CONTAINER_NOT_ON_DEVICE, "Device '%s' does not hold container '%s'.",
                         c->device->id, c->uid);
    exec_path(c, path);
    return core_queue_request(core, c->device, &request, ttl_ms, done, arg, fault, op);
}

void suit_missing(struct device *device, const struct agent_resource *request)
{
    char path[EXEC_PATH_SIZE];

    for (struct container *c = device->containers; c && device->agent == AGENT_SUIT; c = c->hh.next) {
        exec_path(c, path);
        if (strcmp(path, request->path) != 0)
            continue;
        c->ask = true;
        reconcile_touch(c);
    }
}

void suit_add_value(const struct agent_resource *request, const struct agent_response *response, json_t *result)
{
    int64_t value;
    char text[24];

    if (strncmp(request->path, SUIT_EXEC_PATH, sizeof SUIT_EXEC_PATH - 1) != 0 || response->code >> 5 != 2 ||
        response->body_size >= sizeof text || response->body_size == 0)
        return;
    memcpy(text, response->body, response->body_size);
    text[response->body_size] = 0;
    if (text_parse_int(text, INT64_MIN, INT64_MAX, &value))
        (void)json_object_set_new(result, "value", json_integer(value));
}
