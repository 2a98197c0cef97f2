#include "core/internal.h"

#include "base/log.h"
#include "codec/rbpf.h"
#include "codec/wasm.h"
#include "core/bodycheck.h"
#include "core/event.h"
#include "core/service.h"
#include "core/trust.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

struct artifact *artifact_free(struct artifact *artifact)
{
    if (!artifact)
        return NULL;
    free(artifact->endpoints);
    free(artifact->manifest);
    free(artifact);
    return NULL;
}

struct artifact *core_find_artifact(const struct core *core, const char *id)
{
    struct artifact *artifact = index_find_artifact(core, id);

    return artifact && !artifact->pending && !artifact->removing ? artifact : NULL;
}

static json_t *memory_json(const struct artifact *artifact)
{
    return json_pack("{s:I, s:o}", "initial", (json_int_t)artifact->memory, "maximum",
                     artifact->memory_max ? json_integer((json_int_t)artifact->memory_max) : json_null());
}

json_t *core_artifact_json(struct core *core, const struct artifact *artifact)
{
    json_t *object = artifact_description(artifact);

    if (object)
        (void)json_object_update_new(
            object, json_pack("{s:s, s:s, s:o, s:I, s:o, s:b, s:o, s:o}", "id", artifact->id, "name", artifact->name,
                              "created_at", json_time(artifact->created), "users", (json_int_t)artifact->users,
                              "used_at", json_time(artifact->used), "pinned", artifact->pinned, "memory",
                              memory_json(artifact), "releases", releases_of_artifact(core, artifact->id)));
    return object;
}

static int digest_text(const void *data, size_t size, char out[CORE_DIGEST_TEXT])
{
    uint8_t digest[32];

    if (EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    text_hex(digest, sizeof digest, out);
    return 0;
}

/* The first of some system calls. */
static const char *first_syscall(uint32_t mask)
{
    unsigned id = 1;

    while (!(mask >> (id - 1) & 1))
        id++;
    return container_syscall_name(id);
}

/* A module may import what its description asks for; without one it asks for what the module imports. */
static int check_wasm(struct artifact *artifact, const uint8_t *code, size_t size, bool asks, struct fault *fault)
{
    struct wasm_summary summary;
    char reason[160] = "";

    if (wasm_check(code, size, &summary, reason, sizeof reason))
        return fault_set(fault, FAULT_INVALID_WASM, "The code was refused: %s", reason);
    if (asks && summary.syscall_mask & ~artifact->syscall_mask)
        return fault_set_at(fault, FAULT_INVALID_WASM, "/syscalls",
                            "The code imports env.%s, which the description does not ask for.",
                            first_syscall(summary.syscall_mask & ~artifact->syscall_mask));
    if (!asks)
        artifact->syscall_mask = summary.syscall_mask;
    artifact->memory = (uint64_t)summary.memory_pages * WASM_PAGE;
    artifact->memory_max = (uint64_t)summary.memory_pages_max * WASM_PAGE;
    return 0;
}

static int check_rbpf(const uint8_t *code, size_t size, struct fault *fault)
{
    struct rbpf_file file;
    char reason[160] = "";

    if (rbpf_check(code, size, &file, reason, sizeof reason))
        return fault_set(fault, FAULT_INVALID_RBPF, "The code was refused: %s", reason);
    return 0;
}

/* Checks the code as far as its type allows. asks: the description names system calls. */
static int check_code(struct artifact *artifact, struct spool *spool, bool asks, struct fault *fault)
{
    size_t size = 0;
    const uint8_t *code = spool_map(spool, &size);

    if (size == 0)
        return fault_set(fault, FAULT_INVALID_ARTIFACT, "The code is empty.");
    if (!code)
        return -EIO;
    if (artifact->type == CONTAINER_TYPE_WASM)
        return check_wasm(artifact, code, size, asks, fault);
    if (artifact->type == CONTAINER_TYPE_SUIT)
        return suit_check_artifact(artifact, code, size, fault);
    return artifact->type == CONTAINER_TYPE_RBPF ? check_rbpf(code, size, fault) : 0;
}

static int check_sizes(const struct core *core, const struct artifact *artifact, struct fault *fault)
{
    uint64_t size = artifact->code_size + artifact->data_size;

    if (size <= core->options.max_artifact_bytes)
        return 0;
    return fault_set(fault, FAULT_BODY_TOO_LARGE,
                     "Code and data have %llu bytes; the limit is %llu (max_artifact_bytes).", (unsigned long long)size,
                     (unsigned long long)core->options.max_artifact_bytes);
}

static int read_parts(struct artifact *artifact, struct spool *code, struct spool *data)
{
    text_hex(spool_digest(code), 32, artifact->code_digest);
    artifact->code_size = spool_size(code);
    if (!data)
        return digest_text("", 0, artifact->data_digest);
    text_hex(spool_digest(data), 32, artifact->data_digest);
    artifact->data_size = spool_size(data);
    return 0;
}

/* Fills an artifact in from what was uploaded, up to its manifest and id. */
static int describe(const struct core *core, struct artifact *artifact, const json_t *description, struct spool *code,
                    struct spool *data, struct fault *fault)
{
    bool asks = json_is_array(json_object_get(description, "syscalls"));
    int r;

    r = artifact_parse(artifact, description, fault);
    if (r == 0)
        r = read_parts(artifact, code, data);
    if (r == 0)
        r = check_sizes(core, artifact, fault);
    if (r == 0)
        r = check_code(artifact, code, asks, fault);
    if (r)
        return r;
    artifact->manifest = artifact_make_manifest(artifact);
    return artifact->manifest ? digest_text(artifact->manifest, strlen(artifact->manifest), artifact->id) : -ENOMEM;
}

static void settle_add(struct commit *commit, bool durable, struct fault *fault)
{
    struct artifact *artifact = index_find_artifact(commit->core, commit->id);

    (void)fault;
    if (durable) {
        artifact->pending = false;
        services_start(commit->core); /* one may have waited for it */
        log_info("artifact added", "artifact", artifact->id, "name", artifact->name, NULL);
    } else {
        index_drop_artifact(commit->core, artifact);
        artifact_free(artifact);
    }
}

/* Somebody else's upload of the same artifact was committed before, or was not. */
static void settle_present(struct commit *commit, bool durable, struct fault *fault)
{
    const struct artifact *artifact = core_find_artifact(commit->core, commit->id);

    if (durable && !artifact)
        fault_from_store(fault, -EIO);
}

static int add_again(struct core *core, struct artifact *present, core_done_fn done, void *arg, struct fault *fault)
{
    struct commit *commit;

    if (present->removing)
        return fault_set(fault, FAULT_CONFLICT, "Artifact %s is being removed; repeat in a moment.", present->id);
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    (void)text_copy(commit->id, sizeof commit->id, present->id);
    commit->settle = settle_present;
    commit_submit(commit);
    return 0;
}

/* Those that name it before it is there: its row was damaged, or lost, and somebody uploads it again. */
static unsigned count_users(const struct core *core, const char *id)
{
    unsigned users = 0;

    for (const struct device *device = core->devices; device; device = device->hh.next)
        for (const struct container *c = device->containers; c; c = c->hh.next)
            users += strcmp(c->desired_artifact, id) == 0 || strcmp(c->reported_artifact, id) == 0;
    for (const struct operation *op = core->operations; op; op = op->hh.next)
        users += op->device && strcmp(op->artifact, id) == 0;
    return users;
}

static int add_new(struct core *core, struct artifact *artifact, struct spool *code, struct spool *data,
                   core_done_fn done, void *arg, struct fault *fault)
{
    struct store_artifact row = {.id = artifact->id,
                                 .name = artifact->name,
                                 .manifest = artifact->manifest,
                                 .code_size = artifact->code_size,
                                 .data_size = artifact->data_size,
                                 .memory = artifact->memory,
                                 .memory_max = artifact->memory_max,
                                 .created = core_wall(core)};
    const struct store_part parts[] = {{spool_path(code), artifact->code_digest},
                                       {data ? spool_path(data) : NULL, artifact->data_digest}};
    struct commit *commit;

    if (HASH_COUNT(core->artifacts) >= core->options.max_artifacts)
        return fault_set(fault, FAULT_LIMIT_REACHED,
                         "The gateway holds %u artifacts, its configured limit (limits.artifacts).",
                         core->options.max_artifacts);
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    artifact->created = row.created;
    artifact->pending = true;
    artifact->users = count_users(core, artifact->id);
    index_add_artifact(core, artifact);
    (void)text_copy(commit->id, sizeof commit->id, artifact->id);
    commit->settle = settle_add;
    store_batch_put_artifact(commit->batch, &row, &parts[0], &parts[1]);
    event_add(core, commit->batch, EVENT_ARTIFACT_ADDED, NULL, "{s:s, s:s, s:s, s:I}", "artifact", artifact->id, "name",
              artifact->name, "type", container_type_name(artifact->type), "size",
              (json_int_t)artifact->code_size + (json_int_t)artifact->data_size);
    commit_submit(commit);
    return 0;
}

int core_check_description(const struct core *core, const json_t *description, struct fault *fault)
{
    struct artifact *artifact = calloc(1, sizeof *artifact);
    int r = artifact ? artifact_parse(artifact, description, fault) : -ENOMEM;

    (void)core;
    artifact_free(artifact);
    return r;
}

int core_add_artifact(struct core *core, const json_t *description, struct spool *code, struct spool *data,
                      core_done_fn done, void *arg, struct fault *fault, struct artifact **artifact, bool *created)
{
    struct artifact *fresh, *present;
    int r;

    if (core_check_accepting(core, fault))
        return 1;
    fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return -ENOMEM;
    r = describe(core, fresh, description, code, data, fault);
    present = r == 0 ? index_find_artifact(core, fresh->id) : NULL;
    *created = !present;
    if (present)
        r = add_again(core, present, done, arg, fault);
    else if (r == 0)
        r = add_new(core, fresh, code, data, done, arg, fault);
    if (present || r)
        artifact_free(fresh);
    if (r == 0)
        *artifact = present ? present : fresh;
    return r;
}

static void settle_remove(struct commit *commit, bool durable, struct fault *fault)
{
    struct artifact *artifact = index_find_artifact(commit->core, commit->id);

    (void)fault;
    if (!artifact)
        return;
    if (!durable) {
        artifact->removing = false;
        return;
    }
    log_info("artifact removed", "artifact", artifact->id, "name", artifact->name, NULL);
    index_drop_artifact(commit->core, artifact);
    artifact_free(artifact);
}

int core_remove_artifact(struct core *core, struct artifact *artifact, core_done_fn done, void *arg,
                         struct fault *fault)
{
    struct commit *commit;

    if (core_check_accepting(core, fault))
        return 1;
    if (artifact_check_unneeded(core, artifact, fault))
        return 1;
    if (commit_new(&commit, core, done, arg))
        return -ENOMEM;
    artifact->removing = true;
    (void)text_copy(commit->id, sizeof commit->id, artifact->id);
    commit->settle = settle_remove;
    store_batch_delete_artifact(commit->batch, artifact->id);
    event_add(core, commit->batch, EVENT_ARTIFACT_REMOVED, NULL, "{s:s, s:s}", "artifact", artifact->id, "name",
              artifact->name);
    commit_submit(commit);
    return 0;
}
