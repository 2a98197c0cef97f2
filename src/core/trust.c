#include "core/emergency.h"
#include "core/internal.h"
#include "core/trust_private.h"

#include "core/bodycheck.h"
#include "core/service.h"

#include <string.h>

/* Patterns --------------------------------------------------------------------------------------------------------- */

int patterns_check(const json_t *array, const char *pointer, struct fault *fault)
{
    static const struct body_rule rule = {.type = BODY_TEXT, .min = 1, .max = CORE_NAME_MAX};
    char at[FAULT_POINTER_SIZE];
    const json_t *pattern;
    size_t i;

    json_array_foreach(array, i, pattern)
    {
        (void)snprintf(at, sizeof at, "%.48s/%zu", pointer, i);
        if (body_check_value(pattern, at, &rule, fault))
            return 1;
    }
    return 0;
}

/* Goes back to the last star only, since what an earlier one takes more a later one takes less. */
static bool match(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

bool patterns_match(const json_t *array, const char *text)
{
    const json_t *pattern;
    size_t i;

    json_array_foreach(array, i, pattern)
    {
        if (match(json_string_value(pattern), text))
            return true;
    }
    return false;
}

/* Documents -------------------------------------------------------------------------------------------------------- */

int trust_take_name(json_t *body, const char *name, struct fault *fault)
{
    const json_t *given = json_is_object(body) ? json_object_get(body, "name") : NULL;

    if (!given)
        return 0;
    if (!json_is_string(given) || strcmp(json_string_value(given), name) != 0)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/name", "/name is not '%s', as the path has it.", name);
    (void)json_object_del(body, "name");
    return 0;
}

static json_t *show(const struct document *document)
{
    json_t *object = json_pack("{s:s}", "name", document->key);

    if (object)
        (void)json_object_update(object, document->body);
    return object;
}

json_t *trust_document_json(const struct core *core, enum document_kind kind, const char *name)
{
    const struct document *document = document_find(core, kind, name);

    return document ? show(document) : NULL;
}

json_t *trust_documents_json(struct core *core, enum document_kind kind)
{
    json_t *list = json_array();

    for (const struct document *d = document_first(core, kind); d; d = d->hh.next)
        (void)json_array_append_new(list, show(d));
    return list;
}

void trust_changed(struct core *core, const char *name)
{
    (void)name;
    devices_reconsider(core);
}

void publishers_changed(struct core *core, const char *name)
{
    core->trust_revision++;
    trust_changed(core, name);
}

/* Admission -------------------------------------------------------------------------------------------------------- */

bool trust_requires_signature(const struct core *core)
{
    switch (core->options.require_signature) {
    case SIGNATURE_REQUIRED:
        return true;
    case SIGNATURE_NOT_REQUIRED:
        return false;
    case SIGNATURE_AUTO:
        break;
    }
    return document_count(core, DOCUMENT_PUBLISHER) > 0;
}

/* Of an artifact that no release names, for which nobody answers. */
static int admit_alone(const struct device *device, const struct artifact *artifact, struct fault *fault)
{
    if (trust_requires_signature(device->core))
        return fault_set(fault, FAULT_UNSIGNED,
                         "Artifact %.12s was asked for by itself, and this gateway takes releases with a signature "
                         "only (artifacts.require_signature).",
                         artifact->id);
    return policy_check(device->core, device, artifact, NULL, artifact->name, fault);
}

int trust_admit(const struct device *device, const struct artifact *artifact, const char *key, bool rollback,
                struct fault *fault)
{
    struct core *core = device->core;
    const struct publisher *publisher;
    struct release *release;

    if (emergency_check(core, "", artifact, key, fault))
        return 1;
    if (!*key)
        return admit_alone(device, artifact, fault);
    release = release_find(core, key);
    if (!release || !release_holds(release, artifact->id))
        return fault_set(fault, FAULT_NOT_FOUND, "There is no release '%s' with artifact %.12s.", key, artifact->id);
    if (release_verify(core, key, release, fault))
        return 1;
    publisher = release->publisher;
    if (publisher && publisher->devices && !selector_matches(publisher->devices, device))
        return fault_set(fault, FAULT_OUT_OF_SCOPE, "Publisher '%s' of release %s may not release for device '%s'.",
                         publisher->name, key, device->id);
    if (policy_check(core, device, artifact, publisher ? publisher->name : NULL, release->statement.name, fault))
        return 1;
    return sequence_check(device, key, rollback, fault);
}
