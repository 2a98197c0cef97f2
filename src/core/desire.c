#include "core/emergency.h"
#include "core/internal.h"
#include "core/reconcile.h"
#include "core/trust.h"

#include "base/base64.h"
#include "codec/token.h"
#include "core/event.h"

#include <errno.h>
#include <string.h>

/* What services and rollouts want of a container. */

static bool is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_same_bytes(const struct container *c, const struct desired *d)
{
    if (!c->parameters || !d->parameters)
        return !c->parameters && !d->parameters;
    return c->parameters_size == d->parameters_size && memcmp(c->parameters, d->parameters, d->parameters_size) == 0;
}

static bool is_desired_already(const struct container *c, const struct desired *d)
{
    if (c->desired != d->state || !is_same(c->service, d->service))
        return false;
    return d->state == CONTAINER_ABSENT ||
           (is_same(c->desired_artifact, d->artifact) && is_same(c->desired_release, d->release) &&
            is_same(c->needs, d->needs) && c->rollback == d->rollback && is_same_bytes(c, d));
}

bool container_is_desired(const struct device *device, const char *uid, const struct desired *desired)
{
    const struct container *c = index_find_container(device, uid);

    return c ? !c->removing && is_desired_already(c, desired) : desired->state == CONTAINER_ABSENT;
}

int container_check_desired(struct device *device, const char *uid, const struct desired *d, struct fault *fault)
{
    const struct artifact *artifact;

    if (d->state == CONTAINER_ABSENT)
        return 0;
    artifact = core_find_artifact(device->core, d->artifact);
    if (!artifact)
        return artifact_missing(device->core, d->artifact, fault);
    if (emergency_check(device->core, uid, NULL, "", fault) ||
        container_check_fit(device, uid, artifact, d->state, fault))
        return 1;
    return trust_admit(device, artifact, d->release ? d->release : "", d->rollback, fault);
}

static char *copy_text(const char *text, bool *failed)
{
    char *copy = text && *text ? strdup(text) : NULL;

    *failed |= text && *text && !copy;
    return copy;
}

int container_assign(struct container *c, const struct desired *d)
{
    bool failed = false;
    char *service = copy_text(d->service, &failed), *needs = copy_text(d->needs, &failed);
    uint8_t *parameters = d->parameters ? malloc(d->parameters_size + 1) : NULL;

    if (failed || (d->parameters && !parameters)) {
        free(service);
        free(needs);
        free(parameters);
        return -ENOMEM;
    }
    if (parameters)
        memcpy(parameters, d->parameters, d->parameters_size);
    free(c->service);
    free(c->needs);
    free(c->parameters);
    c->service = service;
    c->needs = needs;
    c->parameters = parameters;
    c->parameters_size = parameters ? d->parameters_size : 0;
    container_digest_parameters(parameters, c->parameters_size, c->parameters_digest);
    c->rollback = d->rollback;
    c->desired = d->state;
    if (d->state != CONTAINER_ABSENT) {
        (void)text_copy(c->desired_release, sizeof c->desired_release, d->release ? d->release : "");
        container_set_artifact(c, c->desired_artifact, d->artifact);
    }
    c->updated = core_wall(c->device->core);
    c->revision++;
    container_changed(c);
    return 0;
}

/* Pointers of the copy go into its own memory, which is behind it. */
struct desired *container_copy_desired(const struct container *c)
{
    const char *texts[] = {c->desired_artifact, c->desired_release, c->service, c->needs};
    size_t sizes[array_size(texts)], size = sizeof(struct desired) + c->parameters_size;
    const char *copies[array_size(texts)] = {NULL};
    struct desired *d;
    char *at;

    for (size_t i = 0; i < array_size(texts); i++)
        size += sizes[i] = texts[i] ? strlen(texts[i]) + 1 : 0;
    d = calloc(1, size);
    if (!d)
        return NULL;
    at = (char *)(d + 1);
    for (size_t i = 0; i < array_size(texts); at += sizes[i++])
        copies[i] = texts[i] ? memcpy(at, texts[i], sizes[i]) : NULL;
    *d = (struct desired){.state = c->desired,
                          .artifact = copies[0],
                          .release = copies[1],
                          .service = copies[2],
                          .needs = copies[3],
                          .parameters_size = c->parameters_size,
                          .rollback = c->rollback};
    if (c->parameters)
        d->parameters = memcpy(at, c->parameters, c->parameters_size);
    return d;
}

void container_digest_parameters(const uint8_t *parameters, size_t size, char out[CORE_DIGEST_TEXT])
{
    uint8_t digest[METADATA_DIGEST_SIZE];

    out[0] = 0;
    if (!parameters)
        return;
    token_digest(parameters, size, NULL, 0, digest);
    (void)text_hex(digest, sizeof digest, out);
}

bool container_has_parameters(const struct container *c)
{
    return strcmp(c->parameters_digest, c->loaded_parameters) == 0;
}

/* Parts of a body -------------------------------------------------------------------------------------------------- */

int parameters_read(uint8_t **out, size_t *size, const json_t *value, const char *pointer, struct fault *fault)
{
    size_t length = json_string_length(value);
    uint8_t *bytes;

    *out = NULL;
    *size = 0;
    if (!json_is_string(value))
        return 0;
    bytes = malloc(length / 4 * 3 + 1);
    if (!bytes)
        return -ENOMEM;
    if (base64_decode(json_string_value(value), length, bytes, size) && *size <= PARAMETERS_MAX) {
        *out = bytes;
        return 0;
    }
    free(bytes);
    return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "This is not base64 of at most %d bytes.", PARAMETERS_MAX);
}

int needs_read(char out[NEEDS_SIZE], const char *uid, const json_t *array, const char *pointer, struct fault *fault)
{
    size_t used = 0, i;
    json_t *name;

    out[0] = 0;
    json_array_foreach(array, i, name)
    {
        const char *text = json_string_value(name);

        if (!text || !text_is_name(text, CORE_ID_MAX) || strcmp(text, uid) == 0)
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "An element is no uid of another container.");
        used += (size_t)snprintf(out + used, NEEDS_SIZE - used, "%s%s", used ? " " : "", text);
    }
    return 0;
}

/* Wishes ----------------------------------------------------------------------------------------------------------- */

void container_tell_desired(struct container *c, struct store_batch *batch)
{
    event_add(c->device->core, batch, EVENT_CONTAINER_DESIRED, c->device->id, "{s:s, s:s, s:s*, s:s*, s:s*, s:o*}",
              "container", c->uid, "state", container_state_name(c->desired), "artifact",
              *c->desired_artifact ? c->desired_artifact : NULL, "release",
              *c->desired_release ? c->desired_release : NULL, "service", c->service, "rollback",
              c->rollback ? json_true() : NULL);
}

int container_desire(struct device *device, const char *uid, const struct desired *desired, struct store_batch *batch,
                     struct fault *fault)
{
    struct container *c = index_find_container(device, uid);
    bool existed = c;
    int r;

    if (container_is_desired(device, uid, desired))
        return 0;
    if (batch && (container_check_uid(device, uid, fault) || container_check_desired(device, uid, desired, fault)))
        return 1;
    if (!c)
        c = container_new(device, uid);
    if (!c)
        return -ENOMEM;
    r = container_assign(c, desired);
    if (r) {
        if (!existed)
            container_drop(c);
        return r;
    }
    if (batch) {
        container_tell_desired(c, batch);
        batch_put_container(batch, c);
    } else {
        c->told = 0;
        container_write(c);
    }
    reconcile_reset(c);
    return 0;
}
