#ifndef TC_TESTS_CORE_FIXTURE_H
#define TC_TESTS_CORE_FIXTURE_H

#include "core/core.h"
#include "core/keyring.h"
#include "sim_agent.h"

/* What the tests of the core share: a store, simulated devices, a manual clock, and a core on them. */
struct core_fixture {
    char directory[128];
    struct clock_manual clock;
    struct store *store;
    struct sim sim;
    struct core_options options;
    struct core *core;
    unsigned rearmed;
};

#define WALL_START INT64_C(1767225600000) /* 2026-01-01 */

void core_setup(struct core_fixture *f);
void core_teardown(struct core_fixture *f);
/* Ends the gateway and starts it anew on what is stored. */
void core_restart(struct core_fixture *f);
/* Everything that happens within ms, in order. */
void core_advance(struct core_fixture *f, int64_t ms);
/* Until nothing is under way but time to live and verification: at most a minute, in steps. */
void core_settle(struct core_fixture *f);
/* Waits for the store, blobs too. */
void core_flush(struct core_fixture *f);

struct outcome {
    bool called;
    struct fault fault;
};
void note_done(void *arg, const struct fault *fault);

/* Each must succeed. Bodies are JSON text with ' for ". */
struct device *add_device(struct core_fixture *f, const char *id, enum agent_kind kind);
const char *add_artifact(struct core_fixture *f, const char *code, const char *data); /* type javascript; its id */
struct operation *put(struct core_fixture *f, struct device *device, const char *uid, const char *artifact,
                      const char *state);
struct operation *act(struct core_fixture *f, struct device *device, const char *uid, enum operation_kind kind);
/* Runs until the operation has ended (at most ten minutes) and checks how. */
void ends(struct core_fixture *f, const char *operation, enum operation_state state, enum fault_code code);
/* Puts and runs to the end. */
void deploys(struct core_fixture *f, struct device *device, const char *uid, const char *artifact,
             enum operation_state state, enum fault_code code);

/* Asks for credentials; the body is JSON text with ' for ". What refused it, FAULT_NONE when it was made durable; the
 * secrets (may be NULL) are the caller's. */
enum fault_code enrols(struct core_fixture *f, struct device *device, const char *body, json_t **secrets);
/* Each must succeed: the only credentials of a kind and state; makes them so. */
struct credential *credential_of(const struct device *device, enum credential_kind kind, enum credential_state state);
struct credential *enrol(struct core_fixture *f, struct device *device, const char *body);
/* The credential that a message with the ids of this one belongs to. */
struct credential *heard(struct core_fixture *f, const struct credential *credential);
/* Takes the next sequence number, as a message does; UINT64_MAX when none is left. */
uint64_t take_number(struct core_fixture *f, struct credential *credential);
/* Waits for a reservation and returns its result. */
int reserves(struct core_fixture *f, struct credential *credential);

/* What a lookup in the directory must give. */
void finds(struct core_fixture *f, bool endpoints, const char *query, const char *expected);

json_t *json_of(const char *text); /* with ' for " */
struct spool *spool_of(struct core_fixture *f, const void *data, size_t size);
int upload(struct core_fixture *f, const char *description, const void *code, size_t code_size, const void *data,
           size_t data_size, struct outcome *outcome, struct artifact **artifact, bool *created);

#endif
