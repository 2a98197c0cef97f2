#include "core/emergency.h"

#include "base/log.h"
#include "core/bodycheck.h"
#include "core/internal.h"
#include "core/service.h"

#include <string.h>

#define REASON_MAX 255

/* Stops ------------------------------------------------------------------------------------------------------------ */

/* "name" is of "name@version". */
static bool is_release_of(const char *release, const char *name)
{
    size_t n = strlen(name);

    return strncmp(release, name, n) == 0 && (release[n] == 0 || release[n] == '@');
}

static bool names(const char *stop, const char *uid, const struct artifact *artifact, const char *release)
{
    return strcmp(stop, uid) == 0 || (*release && is_release_of(release, stop)) ||
           (artifact && (strcmp(stop, artifact->id) == 0 || strcmp(stop, artifact->code_digest) == 0 ||
                         strcmp(stop, artifact->name) == 0));
}

const char *emergency_of(struct core *core, const char *uid, const struct artifact *artifact, const char *release)
{
    for (const struct document *d = document_first(core, DOCUMENT_EMERGENCY_STOP); d; d = d->hh.next)
        if (names(d->key, uid, artifact, release))
            return d->key;
    return NULL;
}

const char *emergency_of_container(const struct container *c)
{
    struct core *core = c->device->core;
    const char *stop;

    if (!document_count(core, DOCUMENT_EMERGENCY_STOP))
        return NULL;
    stop = emergency_of(core, c->uid, index_find_artifact(core, c->desired_artifact), c->desired_release);
    return stop ? stop : emergency_of(core, c->uid, index_find_artifact(core, c->reported_artifact), c->loaded_release);
}

int emergency_check(struct core *core, const char *uid, const struct artifact *artifact, const char *release,
                    struct fault *fault)
{
    const char *stop = emergency_of(core, uid, artifact, release);

    if (!stop)
        return 0;
    return fault_set(fault, FAULT_EMERGENCY_STOP, "The emergency stop '%s' holds it.", stop);
}

bool emergency_is_due(const struct container *c)
{
    return c->reported == CONTAINER_RUNNING || c->reported == CONTAINER_STARTING ||
           (c->reported == CONTAINER_UNKNOWN && c->load != LOAD_NONE);
}

/* All containers are looked at, since one that was lifted is not named any more. */
void emergency_changed(struct core *core, const char *key)
{
    log_warning("emergency stop set or lifted", "name", key, NULL);
    for (struct device *device = core->devices; device; device = device->hh.next)
        for (struct container *c = device->containers; c; c = c->hh.next)
            reconcile_reset(c);
}

/* Quarantine ------------------------------------------------------------------------------------------------------- */

bool device_is_quarantined(const struct device *device)
{
    return document_find(device->core, DOCUMENT_QUARANTINE, device->id) != NULL;
}

int quarantine_check(const struct device *device, struct fault *fault)
{
    if (!device_is_quarantined(device))
        return 0;
    return fault_set(fault, FAULT_QUARANTINED, "Device '%s' is in quarantine.", device->id);
}

void quarantine_changed(struct core *core, const char *key)
{
    struct device *device = index_find_device(core, key);

    log_warning("quarantine begun or ended", "device", key, NULL);
    if (!device)
        return;
    device_changed(device);
    if (!device_is_quarantined(device))
        reconcile_changed(device);
    else if (device->call && device->call->verb == AGENT_CALL_LOAD)
        device_cancel_call(device);
}

/* Documents -------------------------------------------------------------------------------------------------------- */

int emergency_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault)
{
    static const struct body_rule rules[] = {
        {"reason", BODY_TEXT, false, true, 0, REASON_MAX, NULL},
        {"since", BODY_TEXT, false, false, 1, RFC3339_SIZE, NULL},
    };

    (void)key;
    *object = NULL;
    if (body_check(body, "", rules, array_size(rules), fault))
        return 1;
    if (!json_object_get(body, "since"))
        (void)json_object_set_new(body, "since", json_time(core_wall(core)));
    return 0;
}

int core_put_emergency_stop(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                            struct fault *fault)
{
    return document_put(core, DOCUMENT_EMERGENCY_STOP, name, body, done, arg, fault);
}

int core_remove_emergency_stop(struct core *core, const char *name, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_EMERGENCY_STOP, name, done, arg, fault);
}

int core_put_quarantine(struct core *core, const char *device, const json_t *body, core_done_fn done, void *arg,
                        struct fault *fault)
{
    return document_put(core, DOCUMENT_QUARANTINE, device, body, done, arg, fault);
}

int core_remove_quarantine(struct core *core, const char *device, core_done_fn done, void *arg, struct fault *fault)
{
    return document_remove(core, DOCUMENT_QUARANTINE, device, done, arg, fault);
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static json_t *show(const char *member, const struct document *document)
{
    json_t *object = json_pack("{s:s, s:n}", member, document->key, "reason");

    if (object)
        (void)json_object_update(object, document->body);
    return object;
}

static json_t *show_stop(struct core *core, const struct document *document)
{
    json_t *object = show("name", document);
    json_int_t count = 0, running = 0;

    for (struct device *device = core->devices; device; device = device->hh.next)
        for (struct container *c = device->containers; c; c = c->hh.next) {
            const char *stop = emergency_of_container(c);
            bool held = stop && strcmp(stop, document->key) == 0;

            count += held;
            running += held && emergency_is_due(c);
        }
    (void)json_object_set_new(object, "containers", json_integer(count));
    (void)json_object_set_new(object, "running", json_integer(running));
    return object;
}

json_t *core_emergency_stop_json(struct core *core, const char *name)
{
    const struct document *document = document_find(core, DOCUMENT_EMERGENCY_STOP, name);

    return document ? show_stop(core, document) : NULL;
}

json_t *core_emergency_stops_json(struct core *core)
{
    json_t *array = json_array();

    for (const struct document *d = document_first(core, DOCUMENT_EMERGENCY_STOP); d; d = d->hh.next)
        (void)json_array_append_new(array, show_stop(core, d));
    return array;
}

json_t *core_quarantine_json(struct core *core, const char *device)
{
    const struct document *document = document_find(core, DOCUMENT_QUARANTINE, device);

    return document ? show("device", document) : NULL;
}

json_t *core_quarantines_json(struct core *core)
{
    json_t *array = json_array();

    for (const struct document *d = document_first(core, DOCUMENT_QUARANTINE); d; d = d->hh.next)
        (void)json_array_append_new(array, show("device", d));
    return array;
}
