#ifndef TC_CORE_AUDIT_H
#define TC_CORE_AUDIT_H

#include "core/core.h"

/*
 * The audit trail: who asked for what, from where, and what became of it. Each entry is one of the journal
 * (JOURNAL_AUDIT) and one of the trail, whose hashes and anchors prove that nobody changed it (codec/audit.h). Without
 * core_options.audit.keep there is none, and all of this does nothing.
 */

/* A request of somebody. Texts are copied; NULL where there is none. */
struct audit_request {
    const char *who;    /* "user:pi" */
    const char *from;   /* an address, "unix", "mqtt" */
    const char *action; /* the operation id of the route */
    const char *path;   /* without its query, which may have secrets */
    const char *device, *container;
    const char *request; /* its id */
};

/* What the request asks for is about to be changed: the commit that calls back with `arg` holds its entry too, and sets
 * *taken. What no commit has taken is forgotten with the next call, or with core_forget_audit of that arg. */
void core_expect_audit(struct core *core, void *arg, const struct audit_request *request, bool *taken);
void core_forget_audit(struct core *core, const void *arg);

/* The entry of what was done without a commit, such as a request that a device has answered. FAULT_SHUTTING_DOWN. */
int core_add_audit(struct core *core, const struct audit_request *request, int status, core_done_fn done,
                   void *arg) must_check;

/* The entry of a request that was refused; nobody waits for it. Of one source and minute only the first ones are told
 * each by itself, the others as their number, so that nobody can fill the disk with them. */
void core_note_refusal(struct core *core, const struct audit_request *request, int status, const char *error);

/* The entry of one that was permitted and failed. */
void core_note_failure(struct core *core, const struct audit_request *request, int status, const char *error);

/* A note of the gateway's own: "restored", ... */
void core_note_audit(struct core *core, const char *action);

bool core_has_audit(const struct core *core);
/* An anchor of the last entry that is durable, signed now: {"seq", "time", "hash", "signature"}. NULL: there is no
 * entry, or it cannot be signed. */
json_t *core_audit_anchor(const struct core *core);
json_t *audit_anchor_json(const struct audit_anchor *anchor);

struct audit_stats {
    uint64_t entries, refusals, suppressed, failed; /* since the start */
    bool broken;                                    /* the trail did not verify */
};
void core_get_audit_stats(const struct core *core, struct audit_stats *out);

#endif
