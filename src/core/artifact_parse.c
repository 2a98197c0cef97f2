#include "core/internal.h"

#include "core/bodycheck.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

/* The description of an artifact: from what a person sends, and to and from its canonical form (the manifest). */

static const struct body_rule description_rules[] = {
    {"name", BODY_TEXT, false, true, 0, CORE_NAME_MAX, NULL},
    {"type", BODY_CHOICE, true, false, 0, 0, "native shell rbpf wasm javacard javascript python suit"},
    {"syscalls", BODY_ARRAY, false, true, 0, CONTAINER_SYSCALL_COUNT - 1, NULL},
    {"endpoints", BODY_ARRAY, false, true, 0, METADATA_MAX_ENDPOINTS, NULL},
    {"limits", BODY_OBJECT, false, true, 0, 0, NULL},
};

static const struct body_rule syscall_rule = {.type = BODY_CHOICE, .choices = "heartbeat open close read write"};

static const struct body_rule endpoint_rules[] = {
    {"id", BODY_NUMBER, true, false, 0, UINT32_MAX, NULL},
    {"peer", BODY_CHOICE, true, false, 0, 0, "container local remote"},
    {"peer_uid", BODY_TEXT, false, true, 1, METADATA_UID_MAX, NULL},
    {"peer_endpoint", BODY_NUMBER, true, false, 0, UINT32_MAX, NULL},
    {"direction", BODY_CHOICE, true, false, 0, 0, "in out both"},
};

static const struct body_rule limit_rules[] = {
    {"start_max_duration_ms", BODY_NUMBER, false, true, 0, UINT32_MAX, NULL},
    {"loop_period_ms", BODY_NUMBER, false, true, 1, UINT32_MAX, NULL},
    {"loop_max_duration_ms", BODY_NUMBER, false, true, 0, UINT32_MAX, NULL},
    {"loop_max_lifetime", BODY_NUMBER, false, true, 0, UINT32_MAX, NULL},
    {"stop_max_duration_ms", BODY_NUMBER, false, true, 0, UINT32_MAX, NULL},
};

#define LOOP_PERIOD_MS 1000

static int parse_syscalls(struct artifact *artifact, const json_t *names, struct fault *fault)
{
    char pointer[FAULT_POINTER_SIZE];
    const json_t *name;
    uint32_t bit;
    size_t i;

    json_array_foreach(names, i, name)
    {
        (void)snprintf(pointer, sizeof pointer, "/syscalls/%zu", i);
        if (body_check_value(name, pointer, &syscall_rule, fault))
            return 1;
        bit = 1u << (container_syscall_from_name(json_string_value(name)) - 1);
        if (artifact->syscall_mask & bit)
            return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "System call '%s' is named twice.",
                                json_string_value(name));
        artifact->syscall_mask |= bit;
    }
    return 0;
}

static int parse_peer_uid(struct container_endpoint *endpoint, const json_t *object, const char *pointer,
                          struct fault *fault)
{
    const char *uid = body_text(object, "peer_uid");
    bool needed = endpoint->peer == ENDPOINT_PEER_CONTAINER;
    char at[FAULT_POINTER_SIZE];

    (void)snprintf(at, sizeof at, "%.48s/peer_uid", pointer);
    if (needed && !uid)
        return fault_set_at(fault, FAULT_INVALID_FIELD, at, "%s is missing: the peer is a container.", at);
    if (!needed && uid)
        return fault_set_at(fault, FAULT_INVALID_FIELD, at, "%s is only for a container as peer.", at);
    if (uid && !text_is_name(uid, METADATA_UID_MAX))
        return fault_set_at(fault, FAULT_INVALID_FIELD, at, "%s must be 1 to %d letters, digits and . _ ~ -.", at,
                            METADATA_UID_MAX);
    if (uid)
        (void)text_copy(endpoint->peer_uid, sizeof endpoint->peer_uid, uid);
    return 0;
}

static int parse_endpoint(struct artifact *artifact, const json_t *object, const char *pointer, struct fault *fault)
{
    struct container_endpoint *endpoint = &artifact->endpoints[artifact->endpoint_count];
    char at[FAULT_POINTER_SIZE];

    if (body_check(object, pointer, endpoint_rules, array_size(endpoint_rules), fault))
        return 1;
    endpoint->id = (uint32_t)body_number(object, "id", 0);
    endpoint->peer = (enum endpoint_peer)endpoint_peer_from_name(body_text(object, "peer"));
    endpoint->peer_endpoint = (uint32_t)body_number(object, "peer_endpoint", 0);
    endpoint->direction = (enum endpoint_direction)endpoint_direction_from_name(body_text(object, "direction"));
    (void)snprintf(at, sizeof at, "%.48s/id", pointer);
    for (size_t i = 0; i < artifact->endpoint_count; i++)
        if (artifact->endpoints[i].id == endpoint->id)
            return fault_set_at(fault, FAULT_INVALID_FIELD, at, "Endpoint id %u is used twice.", endpoint->id);
    artifact->endpoint_count++;
    return parse_peer_uid(endpoint, object, pointer, fault);
}

static int compare_endpoints(const void *a, const void *b)
{
    uint32_t left = ((const struct container_endpoint *)a)->id, right = ((const struct container_endpoint *)b)->id;

    return left < right ? -1 : left > right;
}

static int parse_endpoints(struct artifact *artifact, const json_t *list, struct fault *fault)
{
    char pointer[FAULT_POINTER_SIZE];
    const json_t *object;
    size_t i;

    if (json_array_size(list) == 0)
        return 0;
    artifact->endpoints = calloc(json_array_size(list), sizeof *artifact->endpoints);
    if (!artifact->endpoints)
        return -ENOMEM;
    json_array_foreach(list, i, object)
    {
        (void)snprintf(pointer, sizeof pointer, "/endpoints/%zu", i);
        if (parse_endpoint(artifact, object, pointer, fault))
            return 1;
    }
    /* One order, so that the same set of endpoints gives the same id. */
    qsort(artifact->endpoints, artifact->endpoint_count, sizeof *artifact->endpoints, compare_endpoints);
    return 0;
}

static int parse_limits(struct container_limits *limits, const json_t *object, struct fault *fault)
{
    if (object && !json_is_null(object) && body_check(object, "/limits", limit_rules, array_size(limit_rules), fault))
        return 1;
    limits->start_max_duration = (uint32_t)body_number(object, "start_max_duration_ms", 0);
    limits->loop_period = (uint32_t)body_number(object, "loop_period_ms", LOOP_PERIOD_MS);
    limits->loop_max_duration = (uint32_t)body_number(object, "loop_max_duration_ms", 0);
    limits->loop_max_lifetime = (uint32_t)body_number(object, "loop_max_lifetime", 0);
    limits->stop_max_duration = (uint32_t)body_number(object, "stop_max_duration_ms", 0);
    return 0;
}

static int parse_members(struct artifact *artifact, const json_t *object, struct fault *fault)
{
    int r;

    artifact->type = container_type_from_name(body_text(object, "type"));
    r = parse_syscalls(artifact, json_object_get(object, "syscalls"), fault);
    if (r == 0)
        r = parse_endpoints(artifact, json_object_get(object, "endpoints"), fault);
    return r ? r : parse_limits(&artifact->limits, json_object_get(object, "limits"), fault);
}

int artifact_parse(struct artifact *artifact, const json_t *description, struct fault *fault)
{
    const char *name = body_text(description, "name");

    if (body_check(description, "", description_rules, array_size(description_rules), fault))
        return 1;
    if (name)
        (void)text_copy(artifact->name, sizeof artifact->name, name);
    return parse_members(artifact, description, fault);
}

static const struct body_rule part_rules[] = {
    {"sha256", BODY_TEXT, true, false, CORE_DIGEST_TEXT - 1, CORE_DIGEST_TEXT - 1, NULL},
    {"size", BODY_NUMBER, true, false, 0, INT64_MAX, NULL},
};

static int parse_part(const json_t *object, const char *pointer, char digest[CORE_DIGEST_TEXT], uint64_t *size,
                      struct fault *fault)
{
    if (body_check(object, pointer, part_rules, array_size(part_rules), fault))
        return 1;
    (void)text_copy(digest, CORE_DIGEST_TEXT, body_text(object, "sha256"));
    *size = (uint64_t)body_number(object, "size", 0);
    return 0;
}

int artifact_parse_stored(struct artifact *artifact, const json_t *manifest, struct fault *fault)
{
    const char *type = body_text(manifest, "type");

    if (!type || container_type_from_name(type) == CONTAINER_TYPE_COUNT)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/type", "The stored manifest has no known type.");
    if (parse_part(json_object_get(manifest, "code"), "/code", artifact->code_digest, &artifact->code_size, fault) ||
        parse_part(json_object_get(manifest, "data"), "/data", artifact->data_digest, &artifact->data_size, fault))
        return 1;
    return parse_members(artifact, manifest, fault);
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

static json_t *syscalls_json(uint32_t mask)
{
    json_t *names = json_array();

    for (unsigned id = 1; id < CONTAINER_SYSCALL_COUNT; id++)
        if (mask >> (id - 1) & 1)
            (void)json_array_append_new(names, json_string(container_syscall_name(id)));
    return names;
}

static json_t *endpoints_json(const struct artifact *artifact)
{
    json_t *list = json_array();

    for (size_t i = 0; i < artifact->endpoint_count; i++) {
        const struct container_endpoint *e = &artifact->endpoints[i];
        json_t *object = json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)e->id, "peer", endpoint_peer_name(e->peer),
                                   "peer_endpoint", (json_int_t)e->peer_endpoint, "direction",
                                   endpoint_direction_name(e->direction));

        if (*e->peer_uid)
            (void)json_object_set_new(object, "peer_uid", json_string(e->peer_uid));
        (void)json_array_append_new(list, object);
    }
    return list;
}

static json_t *limits_json(const struct container_limits *limits)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "start_max_duration_ms", (json_int_t)limits->start_max_duration,
                     "loop_period_ms", (json_int_t)limits->loop_period, "loop_max_duration_ms",
                     (json_int_t)limits->loop_max_duration, "loop_max_lifetime", (json_int_t)limits->loop_max_lifetime,
                     "stop_max_duration_ms", (json_int_t)limits->stop_max_duration);
}

json_t *artifact_description(const struct artifact *artifact)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:{s:s, s:I}, s:{s:s, s:I}}", "type", container_type_name(artifact->type),
                     "syscalls", syscalls_json(artifact->syscall_mask), "endpoints", endpoints_json(artifact), "limits",
                     limits_json(&artifact->limits), "code", "sha256", artifact->code_digest, "size",
                     (json_int_t)artifact->code_size, "data", "sha256", artifact->data_digest, "size",
                     (json_int_t)artifact->data_size);
}

char *artifact_make_manifest(const struct artifact *artifact)
{
    json_t *object = artifact_description(artifact);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    json_decref(object);
    return text;
}

/* From metadata ---------------------------------------------------------------------------------------------------- */

/* Whether a token speaks of what was uploaded; nothing at all for a part that is missing. */
static bool is_digest_of(const uint8_t digest[METADATA_DIGEST_SIZE], const struct spool *spool)
{
    uint8_t empty[METADATA_DIGEST_SIZE];

    if (spool)
        return memcmp(digest, spool_digest(spool), METADATA_DIGEST_SIZE) == 0;
    return EVP_Digest("", 0, empty, NULL, EVP_sha256(), NULL) == 1 && memcmp(digest, empty, sizeof empty) == 0;
}

int core_describe_metadata(const void *metadata, size_t size, const struct spool *code, const struct spool *data,
                           json_t **description, struct fault *fault)
{
    struct artifact artifact = {0};
    struct metadata_tokens tokens;
    struct metadata md;
    char reason[128];

    if (metadata_parse(metadata, size, &md, &tokens, reason, sizeof reason))
        return fault_set(fault, FAULT_INVALID_METADATA, "The metadata cannot be parsed: %s.", reason);
    if (!is_digest_of(tokens.code_digest, code) || !is_digest_of(tokens.data_digest, data))
        return fault_set(fault, FAULT_INVALID_METADATA,
                         "The metadata was made for other code or data: the digests in "
                         "its tokens are not those of the parts that came with it.");
    artifact.endpoints = md.endpoints;
    artifact.endpoint_count = md.endpoint_count;
    *description = json_pack("{s:s, s:s, s:o, s:o, s:o}", "name", md.uid, "type", container_type_name(md.type),
                             "syscalls", syscalls_json(md.syscall_mask), "endpoints", endpoints_json(&artifact),
                             "limits", limits_json(&md.limits));
    return *description ? 0 : -ENOMEM;
}
