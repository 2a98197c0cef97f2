#ifndef TC_CORE_BUDGET_H
#define TC_CORE_BUDGET_H

#include "core/core.h"

/*
 * What a device, and each of its containers, may cost in a period (budget.period): requests in both directions, bytes,
 * and wake-ups. So that nobody who may use a device can empty its battery through the gateway, nor a container that was
 * taken over use the gateway for more than it needs. All exchanges pass budget_take; what is over is refused, and told
 * once a period. The same accounts tell when a device suddenly behaves otherwise than it did.
 *
 * The defaults are those of the configuration; a device's own are a document under its id: {"requests", "bytes",
 * "wakeups", "containers": {UID: {"requests", "bytes"}}}, where null is the default and 0 no limit. Accounts are in
 * memory only, and begin anew with the gateway.
 */

enum budget_kind {
    BUDGET_REQUESTS,
    BUDGET_BYTES,
    BUDGET_WAKEUPS,  /* requests to a device that nothing was exchanged with for BUDGET_AWAKE_MS */
    BUDGET_RESTARTS, /* this and the next have no limit: only a change is told */
    BUDGET_FAILURES, /* of verification: of containers, and of protection */
    BUDGET_KIND_COUNT
};
#define BUDGET_LIMITED (BUDGET_WAKEUPS + 1)
#define BUDGET_AWAKE_MS 10000

const char *budget_kind_name(enum budget_kind kind);

/* What is to be exchanged with a device. */
struct budget_request {
    const char *uid; /* of the container that it is for; NULL or empty: none */
    size_t bytes;
    bool incoming; /* the device sent it */
    bool urgent;   /* stops or removes something: counted, and never refused */
};

/* Counts it for the device with this id, or refuses it with FAULT_BUDGET_EXCEEDED (*retry_s: when it may be tried
 * again) or FAULT_QUARANTINED. */
int budget_take(struct core *core, const char *id, const struct budget_request *request, struct fault *fault,
                uint32_t *retry_s) must_check;
/* Bytes that follow from what was let through: answers, retransmissions, notifications. */
void budget_charge(struct core *core, const char *id, size_t bytes);
/* A container's own part of a message that its device sends. As budget_take. */
int budget_take_record(struct device *device, const char *uid, size_t bytes, struct fault *fault,
                       uint32_t *retry_s) must_check;
/* One more of a kind without limit. */
void budget_note(struct device *device, enum budget_kind kind);

struct budget_stats {
    uint64_t refused[BUDGET_LIMITED], quarantined, alarms;
};
void core_get_budget_stats(const struct core *core, struct budget_stats *out);

/* Of document.c. */
int budget_parse(struct core *core, const char *key, json_t *body, void **object, struct fault *fault) must_check;

int core_put_budget(struct core *core, const char *device, const json_t *body, core_done_fn done, void *arg,
                    struct fault *fault) must_check;
int core_remove_budget(struct core *core, const char *device, core_done_fn done, void *arg,
                       struct fault *fault) must_check;
/* {"device", "period_s", "ends_in_s", "limits", "used", "usual", "containers"}; NULL: there is no such device, nor a
 * document for it. */
json_t *core_budget_json(struct core *core, const char *device);
json_t *core_budgets_json(struct core *core); /* those with a document */

#endif
