#ifndef TC_CORE_TRUST_H
#define TC_CORE_TRUST_H

#include "base/cleanup.h"
#include "core/core.h"
#include "core/selector.h"

/*
 * Who may have which code run where.
 *
 * A publisher has keys (Ed25519, ES256) and a scope: patterns ("sensor-*") of names that it may release, and a selector
 * of devices that may take them. A release is a name, a version and a sequence number with one or several artifacts
 * (builds for different runtimes, of which a device takes the first that it can run), signed by its publisher:
 * COSE_Sign1 (RFC 9052) over docs/releases.md's statement, CBOR {1: name, 2: version, 3: sequence number, 4: [+
 * artifact id (bstr 32)]}. A policy is a rule of a device's owner: which of whom may ask for what on which devices;
 * rules are tried in the order of their priorities, then names, and the first that matches decides.
 *
 * All of these are documents of the store; REST and CLI show and take them as the JSON that is stored.
 */

struct publisher;
struct release;

/* Admission ------------------------------------------------------------------------------------------------------ */

/* Whether an artifact may go to a device, before anything is sent, and again before each load:
 * signature and scope (FAULT_UNSIGNED, FAULT_SIGNATURE_INVALID, FAULT_PUBLISHER_UNKNOWN, FAULT_PUBLISHER_REVOKED,
 * FAULT_OUT_OF_SCOPE), policy (FAULT_POLICY_DENIED with the rule's name), sequence number (FAULT_ROLLBACK_REFUSED
 * unless `rollback`). release "": the artifact by itself, which only passes where no signature is required. 0, or 1
 * with the fault. */
int trust_admit(const struct device *device, const struct artifact *artifact, const char *release, bool rollback,
                struct fault *fault) must_check;

/* The first artifact of a release that a device can run and that fits it, as far as that is known; when none fits, one
 * that it could run. NULL with FAULT_NOT_FOUND (no such release), FAULT_RUNTIME_UNSUPPORTED. */
struct artifact *release_pick(const struct device *device, const char *release, struct fault *fault) must_check;
/* 0: it has none, or there is no such release. */
uint64_t release_sequence(const struct core *core, const char *release);
/* The part of "name@version" that sequence numbers count for; copied to out (CORE_NAME_MAX + 1 bytes). */
void release_component(const char *release, char *out);

/* What the device took, by its container's record, is written into the batch and counts from then on; for whoever
 * writes the record. */
void sequence_note_container(struct container *container, struct store_batch *batch);
/* A load is about to be written ahead. */
void sequence_begin(struct container *container);
/* The record goes: a load whose outcome is not known counts as taken. */
void sequence_note_forgotten(struct container *container, struct store_batch *batch);
/* What the device holds, as far as it is of a release; "": nothing, or of none. */
const char *container_release(const struct container *container);
uint64_t sequence_highest(const struct device *device, const char *component);

/* Records -------------------------------------------------------------------------------------------------------- */

/* {"keys": [{"id", "public_key" (PEM)}], "artifacts": ["pattern", ...], "devices": selector, "revoked": bool} */
int core_put_publisher(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                       struct fault *fault) must_check;
int core_remove_publisher(struct core *core, const char *name, core_done_fn done, void *arg,
                          struct fault *fault) must_check;
json_t *core_publisher_json(struct core *core, const char *name); /* NULL: there is none */
json_t *core_publishers_json(struct core *core);

/* Body: {"signature": base64 of a COSE_Sign1 with the statement}, or, where no signature is required, {"name",
 * "version", "sequence", "artifacts": [id, ...]}. A version is never replaced by another statement
 * (FAULT_ALREADY_EXISTS). */
int core_add_release(struct core *core, const json_t *body, core_done_fn done, void *arg, struct fault *fault,
                     char key[CORE_RELEASE_TEXT]) must_check;
int core_remove_release(struct core *core, const char *release, core_done_fn done, void *arg,
                        struct fault *fault) must_check;
/* {"release", "name", "version", "sequence", "artifacts": [{"id", "held", "type"}], "publisher", "state": "good",
 * "unsigned" or what is wrong, "detail", "signature"}; NULL: there is none. */
json_t *core_release_json(struct core *core, const char *release);
json_t *core_releases_json(struct core *core, const char *name); /* newest first; NULL: of all names */

/* Adds the ids of a release's artifacts (none when there is no such release), or of the `newest` releases of each name,
 * to a set: an object with a member per id. */
void release_note_artifacts(const struct core *core, const char *release, json_t *ids);
void releases_note_newest(struct core *core, unsigned newest, json_t *ids);
/* A release that an artifact is in; NULL: none. */
const char *release_with_artifact(struct core *core, const char *artifact);

/* The releases that an artifact is in: [{"release", "publisher", "state"}]. */
json_t *releases_of_artifact(struct core *core, const char *artifact);

/* {"priority", "devices": selector, "publishers": [pattern], "artifacts": [pattern], "allow": bool, "types": [...],
 * "syscalls": [...], "endpoints": {"peers": [...], "directions": [...]}, "loop_period_ms_min", "loop_max_lifetime_max",
 * "size_max", "reason"} */
int core_put_policy(struct core *core, const char *name, const json_t *body, core_done_fn done, void *arg,
                    struct fault *fault) must_check;
int core_remove_policy(struct core *core, const char *name, core_done_fn done, void *arg,
                       struct fault *fault) must_check;
json_t *core_policy_json(struct core *core, const char *name);
json_t *core_policies_json(struct core *core);

/* Whether releases and artifacts without a signature are refused (artifacts.require_signature; auto: as soon as there
 * is a publisher). */
bool trust_requires_signature(const struct core *core);

#endif
