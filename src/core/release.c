#include "core/internal.h"
#include "core/trust_private.h"

#include "base/base64.h"
#include "core/bodycheck.h"
#include "core/service.h"

#include <errno.h>
#include <string.h>

/* Releases: which artifacts are a version of a name, and who says so. */

#define SIGNATURE_MAX 2048 /* bytes of a COSE_Sign1 with its statement */

void release_free(void *object)
{
    struct release *release = object;

    free(release->signature);
    free(release);
}

struct release *release_find(const struct core *core, const char *release)
{
    const struct document *document = document_find(core, DOCUMENT_RELEASE, release);

    return document ? document->object : NULL;
}

static bool holds(const struct release *release, const uint8_t id[32])
{
    for (size_t i = 0; i < release->statement.artifact_count; i++)
        if (memcmp(release->statement.artifacts[i], id, 32) == 0)
            return true;
    return false;
}

bool release_holds(const struct release *release, const char *artifact)
{
    uint8_t id[32];

    return text_unhex(artifact, id, sizeof id) && holds(release, id);
}

void release_component(const char *release, char *out)
{
    size_t size = strcspn(release, "@");

    if (size > CORE_NAME_MAX)
        size = CORE_NAME_MAX;
    memcpy(out, release, size);
    out[size] = 0;
}

uint64_t release_sequence(const struct core *core, const char *release)
{
    const struct release *found = release_find(core, release);

    return found ? found->statement.sequence : 0;
}

/* Parsing ---------------------------------------------------------------------------------------------------------- */

static int parse_signature(struct release *release, const json_t *value, struct fault *fault)
{
    size_t size = json_string_length(value);
    char reason[160] = "";

    release->signature = malloc(size / 4 * 3 + 1);
    if (!release->signature)
        return -ENOMEM;
    if (!base64_decode(json_string_value(value), size, release->signature, &release->signature_size))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/signature", "/signature is not base64 with padding.");
    if (cose_parse_sign1(&release->message, release->signature, release->signature_size, reason, sizeof reason))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/signature", "/signature is no COSE_Sign1: %s", reason);
    if (!release->message.payload)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/signature",
                            "/signature is detached; the statement has to be in it.");
    if (release_parse(&release->statement, release->message.payload, release->message.payload_size, reason,
                      sizeof reason))
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/signature", "/signature holds no statement: %s", reason);
    return 0;
}

static int parse_plain(struct release_statement *statement, const json_t *body, struct fault *fault)
{
    const json_t *ids = json_object_get(body, "artifacts"), *id;
    char reason[128] = "";
    size_t i;

    (void)text_copy(statement->name, sizeof statement->name, body_text(body, "name"));
    (void)text_copy(statement->version, sizeof statement->version, body_text(body, "version"));
    statement->sequence = (uint64_t)body_number(body, "sequence", 0);
    json_array_foreach(ids, i, id)
    {
        if (!json_is_string(id) || !text_unhex(json_string_value(id), statement->artifacts[i], 32))
            return fault_set_at(fault, FAULT_INVALID_FIELD, "/artifacts", "/artifacts/%zu is no artifact's id.", i);
    }
    statement->artifact_count = i;
    if (release_check(statement, reason, sizeof reason))
        return fault_set(fault, FAULT_INVALID_FIELD, "%s", reason);
    return 0;
}

/* What a body says, into *out, which is the caller's to free whatever is returned. */
static int parse_body(struct release **out, const json_t *body, struct fault *fault)
{
    static const struct body_rule signed_rules[] = {
        {"signature", BODY_TEXT, true, false, 4, (SIGNATURE_MAX + 2) / 3 * 4, NULL},
    };
    static const struct body_rule plain_rules[] = {
        {"name", BODY_TEXT, true, false, 1, RELEASE_NAME_MAX, NULL},
        {"version", BODY_TEXT, true, false, 1, RELEASE_VERSION_MAX, NULL},
        {"sequence", BODY_NUMBER, true, false, 1, RELEASE_SEQUENCE_MAX, NULL},
        {"artifacts", BODY_ARRAY, true, false, 0, RELEASE_ARTIFACTS_MAX, NULL},
    };
    bool is_signed = json_object_get(body, "signature") != NULL;

    *out = NULL;
    if (is_signed ? body_check(body, "", signed_rules, array_size(signed_rules), fault)
                  : body_check(body, "", plain_rules, array_size(plain_rules), fault))
        return 1;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return -ENOMEM;
    return is_signed ? parse_signature(*out, json_object_get(body, "signature"), fault)
                     : parse_plain(&(*out)->statement, body, fault);
}

static void name_release(const struct release_statement *statement, char out[CORE_RELEASE_TEXT])
{
    (void)snprintf(out, CORE_RELEASE_TEXT, "%s@%s", statement->name, statement->version);
}

int release_parse_document(struct core *core, const char *key, json_t *body, void **object, struct fault *fault)
{
    char name[CORE_RELEASE_TEXT];
    struct release *release;
    int r = parse_body(&release, body, fault);

    (void)core;
    *object = release;
    if (r)
        return r;
    name_release(&release->statement, name);
    if (strcmp(name, key) != 0)
        return fault_set(fault, FAULT_INVALID_FIELD, "The statement is of %s, not of %s.", name, key);
    return 0;
}

/* Who says so ------------------------------------------------------------------------------------------------------ */

static int find_verdict(struct core *core, const char *key, struct release *release, struct fault *fault)
{
    const struct cose_sign1 *message = &release->message;
    EVP_PKEY *public_key;

    release->publisher = NULL;
    if (!release->signature)
        return 0;
    if (!message->kid)
        return fault_set(fault, FAULT_PUBLISHER_UNKNOWN, "The signature of release %s names no key (kid).", key);
    public_key = publisher_find_key(core, message->kid, message->kid_size, &release->publisher);
    if (!public_key)
        return fault_set(fault, FAULT_PUBLISHER_UNKNOWN,
                         "The key that signed release %s is of no publisher that this gateway knows.", key);
    if (cose_verify_sign1(message, public_key, NULL, 0, NULL, 0))
        return fault_set(fault, FAULT_SIGNATURE_INVALID,
                         "The signature of release %s is not by the key of publisher '%s' that it names.", key,
                         release->publisher->name);
    if (release->publisher->revoked)
        return fault_set(fault, FAULT_PUBLISHER_REVOKED, "Publisher '%s', who signed release %s, is revoked.",
                         release->publisher->name, key);
    if (!patterns_match(release->publisher->artifacts, release->statement.name))
        return fault_set(fault, FAULT_OUT_OF_SCOPE, "Publisher '%s' may not release anything with the name '%s'.",
                         release->publisher->name, release->statement.name);
    return 0;
}

int release_verify(struct core *core, const char *key, struct release *release, struct fault *fault)
{
    if (release->checked_at != core->trust_revision) {
        release->verdict = (struct fault){0};
        (void)find_verdict(core, key, release, &release->verdict);
        release->checked_at = core->trust_revision;
    }
    if (release->verdict.code) {
        if (fault)
            *fault = release->verdict;
        return 1;
    }
    if (!release->signature && trust_requires_signature(core))
        return fault_set(fault, FAULT_UNSIGNED,
                         "Release %s is not signed, and this gateway requires that "
                         "(artifacts.require_signature).",
                         key);
    return 0;
}

/* Which of its artifacts ------------------------------------------------------------------------------------------- */

static bool runs(const struct device *device, const struct artifact *artifact)
{
    return !device->caps.runtimes || device->caps.runtimes & 1u << artifact->type;
}

/* As far as the sizes tell; the agent's driver has the last word. */
static bool fits(const struct device *device, const struct artifact *artifact)
{
    const struct device_caps *caps = &device->caps;

    return (!caps->memory || artifact->memory <= caps->memory) &&
           (!caps->package_max || artifact->code_size + artifact->data_size <= caps->package_max);
}

struct artifact *release_pick(const struct device *device, const char *release, struct fault *fault)
{
    const struct release *found = release_find(device->core, release);
    struct artifact *too_large = NULL;
    struct fault missing = {.code = FAULT_NOT_FOUND};
    char id[CORE_DIGEST_TEXT];
    size_t held = 0;

    if (!found) {
        (void)fault_set(fault, FAULT_NOT_FOUND, "There is no release '%s'.", release);
        return NULL;
    }
    for (size_t i = 0; i < found->statement.artifact_count; i++) {
        struct artifact *artifact = core_find_artifact(device->core, text_hex(found->statement.artifacts[i], 32, id));

        held += artifact != NULL;
        if (!artifact)
            (void)artifact_missing(device->core, id, &missing);
        if (missing.code == FAULT_ARTIFACT_PENDING)
            break; /* it may be the one: another now would be replaced when it is here */
        if (artifact && runs(device, artifact) && fits(device, artifact))
            return artifact;
        if (artifact && runs(device, artifact) && !too_large)
            too_large = artifact;
    }
    if (too_large && held == found->statement.artifact_count)
        return too_large; /* whoever sends it will say by how much */
    if (held < found->statement.artifact_count && missing.code != FAULT_NOT_FOUND && fault)
        *fault = missing;
    else if (held < found->statement.artifact_count)
        (void)fault_set(fault, FAULT_NOT_FOUND,
                        "The gateway holds %zu of the %zu artifacts of release %s, none of which device '%s' can run.",
                        held, found->statement.artifact_count, release, device->id);
    else
        (void)fault_set(fault, FAULT_RUNTIME_UNSUPPORTED, "Release %s has no artifact that device '%s' can run.",
                        release, device->id);
    return NULL;
}

/* Changes ---------------------------------------------------------------------------------------------------------- */

/* A version says one thing for ever, and a number is of one version. */
static int check_new(struct core *core, const char *key, const struct release *fresh, struct fault *fault)
{
    const struct release *present = release_find(core, key);

    if (present &&
        (!release_is_same(&present->statement, &fresh->statement) || (present->signature && !fresh->signature)))
        return fault_set(fault, FAULT_ALREADY_EXISTS, "Release %s is there, and it is another one.", key);
    for (const struct document *d = document_first(core, DOCUMENT_RELEASE); d; d = d->hh.next) {
        const struct release_statement *other = &((const struct release *)d->object)->statement;

        if (strcmp(d->key, key) != 0 && strcmp(other->name, fresh->statement.name) == 0 &&
            other->sequence == fresh->statement.sequence)
            return fault_set(fault, FAULT_CONFLICT, "Release %s has the sequence number %llu too.", d->key,
                             (unsigned long long)other->sequence);
    }
    return 0;
}

/* Devices will ask for them. */
static void fetch_missing(struct core *core, const struct release_statement *statement)
{
    char id[CORE_DIGEST_TEXT];

    for (size_t i = 0; i < statement->artifact_count; i++)
        if (!core_find_artifact(core, text_hex(statement->artifacts[i], 32, id)))
            (void)artifact_missing(core, id, NULL);
}

int core_add_release(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                     char key[CORE_RELEASE_TEXT])
{
    struct release *fresh;
    int r = parse_body(&fresh, body, fault);

    if (r == 0) {
        name_release(&fresh->statement, key);
        r = release_verify(core, key, fresh, fault) ? 1 : check_new(core, key, fresh, fault);
        if (r == 0)
            fetch_missing(core, &fresh->statement);
    }
    if (fresh)
        release_free(fresh);
    return r ? r : document_put(core, DOCUMENT_RELEASE, key, body, done, arg, fault);
}

static bool container_names(const struct container *c, const char *release)
{
    return strcmp(c->desired_release, release) == 0 || strcmp(c->loaded_release, release) == 0 ||
           strcmp(c->sent_release, release) == 0;
}

static int check_containers(const struct core *core, const char *release, struct fault *fault)
{
    for (const struct device *device = core->devices; device; device = device->hh.next)
        for (const struct container *c = device->containers; c; c = c->hh.next)
            if (container_names(c, release))
                return fault_set(fault, FAULT_IN_USE, "Container '%s' of device '%s' has, or shall have, release %s.",
                                 c->uid, device->id, release);
    return 0;
}

static int check_rollouts(const struct core *core, const char *release, struct fault *fault)
{
    json_t *names = rollout_names(core), *name;
    int r = 0;
    size_t i;

    json_array_foreach(names, i, name)
    {
        if (r == 0 && strcmp(json_string_value(name), release) == 0)
            r = fault_set(fault, FAULT_IN_USE, "A rollout brings release %s, or may have to bring it back.", release);
    }
    json_decref(names);
    return r;
}

int core_remove_release(struct core *core, const char *release, core_done_fn done, void *arg, struct fault *fault)
{
    const char *service = service_with_release(core, release);

    if (check_containers(core, release, fault) || check_rollouts(core, release, fault))
        return 1;
    if (service)
        return fault_set(fault, FAULT_IN_USE, "Service '%s' wants release %s.", service, release);
    return document_remove(core, DOCUMENT_RELEASE, release, done, arg, fault);
}

/* Which artifacts they need ---------------------------------------------------------------------------------------- */

static void note_artifacts(const struct release *release, json_t *ids)
{
    char id[CORE_DIGEST_TEXT];

    for (size_t i = 0; i < release->statement.artifact_count; i++)
        (void)json_object_set_new(ids, text_hex(release->statement.artifacts[i], 32, id), json_true());
}

void release_note_artifacts(const struct core *core, const char *release, json_t *ids)
{
    const struct release *found = release_find(core, release);

    if (found)
        note_artifacts(found, ids);
}

static bool is_same_name(const struct document *a, const struct document *b)
{
    return strcmp(((const struct release *)a->object)->statement.name,
                  ((const struct release *)b->object)->statement.name) == 0;
}

/* Releases of one name stand one behind the other (their keys are "name@version"). */
static bool is_among_newest(const struct document *first, const struct document *document, unsigned newest)
{
    const struct release *release = document->object;
    unsigned newer = 0;

    for (const struct document *d = first; d && newer < newest && is_same_name(d, document); d = d->hh.next)
        newer += ((const struct release *)d->object)->statement.sequence > release->statement.sequence;
    return newer < newest;
}

void releases_note_newest(struct core *core, unsigned newest, json_t *ids)
{
    const struct document *first = document_first(core, DOCUMENT_RELEASE);

    for (const struct document *d = first; d; d = d->hh.next) {
        if (!is_same_name(first, d))
            first = d;
        if (is_among_newest(first, d, newest))
            note_artifacts(d->object, ids);
    }
}

const char *release_with_artifact(struct core *core, const char *artifact)
{
    uint8_t id[32];

    if (!text_unhex(artifact, id, sizeof id))
        return NULL;
    for (const struct document *d = document_first(core, DOCUMENT_RELEASE); d; d = d->hh.next)
        if (holds(d->object, id))
            return d->key;
    return NULL;
}

/* Shown ------------------------------------------------------------------------------------------------------------ */

static json_t *artifacts_json(const struct core *core, const struct release_statement *statement)
{
    json_t *list = json_array();
    char id[CORE_DIGEST_TEXT];

    for (size_t i = 0; i < statement->artifact_count; i++) {
        const struct artifact *artifact = core_find_artifact(core, text_hex(statement->artifacts[i], 32, id));

        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:s?}", "id", id, "held", artifact != NULL, "type",
                                                    artifact ? container_type_name(artifact->type) : NULL));
    }
    return list;
}

/* "good", "unsigned", or what is wrong with it. */
static const char *state_of(struct core *core, const char *key, struct release *release, struct fault *fault)
{
    *fault = (struct fault){0};
    if (release_verify(core, key, release, fault))
        return fault_info(fault->code)->slug;
    return release->signature ? "good" : "unsigned";
}

json_t *core_release_json(struct core *core, const char *key)
{
    const struct document *document = document_find(core, DOCUMENT_RELEASE, key);
    const struct release_statement *statement;
    struct release *release;
    struct fault fault;
    const char *state;

    if (!document)
        return NULL;
    release = document->object;
    statement = &release->statement;
    state = state_of(core, key, release, &fault);
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:s?, s:s, s:s?, s:O?}", "release", key, "name", statement->name,
                     "version", statement->version, "sequence", (json_int_t)statement->sequence, "artifacts",
                     artifacts_json(core, statement), "publisher", release->publisher ? release->publisher->name : NULL,
                     "state", state, "detail", fault.code ? fault.detail : NULL, "signature",
                     json_object_get(document->body, "signature"));
}

struct listed {
    const struct document *document;
};

static int compare_newest(const void *a, const void *b)
{
    const struct release *left = ((const struct listed *)a)->document->object;
    const struct release *right = ((const struct listed *)b)->document->object;
    int order = strcmp(left->statement.name, right->statement.name);

    if (order)
        return order;
    return left->statement.sequence < right->statement.sequence ? 1 : -1; /* a number is of one version */
}

json_t *core_releases_json(struct core *core, const char *name)
{
    struct listed *found = calloc(document_count(core, DOCUMENT_RELEASE) + 1, sizeof *found);
    json_t *list = json_array();
    size_t count = 0;

    for (const struct document *d = document_first(core, DOCUMENT_RELEASE); d && found; d = d->hh.next)
        if (!name || strcmp(((const struct release *)d->object)->statement.name, name) == 0)
            found[count++].document = d;
    if (count)
        qsort(found, count, sizeof *found, compare_newest);
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, core_release_json(core, found[i].document->key));
    free(found);
    return list;
}

json_t *releases_of_artifact(struct core *core, const char *artifact)
{
    json_t *list = json_array();
    uint8_t id[32];

    if (!text_unhex(artifact, id, sizeof id))
        return list;
    for (const struct document *d = document_first(core, DOCUMENT_RELEASE); d; d = d->hh.next) {
        struct release *release = d->object;
        struct fault fault;
        const char *state;

        if (!holds(release, id))
            continue;
        state = state_of(core, d->key, release, &fault);
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s?, s:s}", "release", d->key, "publisher",
                                              release->publisher ? release->publisher->name : NULL, "state", state));
    }
    return list;
}
