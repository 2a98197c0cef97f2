#ifndef TC_AGENT_ATTACKS_H
#define TC_AGENT_ATTACKS_H

#include "agent/client.h"

/*
 * Attacks of a device on its gateway. Each is a series of shots: datagrams that are sent one after the other, each when
 * the answer to the one before has come or does not come. Every answer is in the journal. Honest requests among them
 * are reports, {"attack": NAME, "n": N}, so that a test can see which one the gateway took for the last.
 */
#define ATTACKS_MAX 32 /* that a command line may ask for */
#define ATTACKS_KEPT 64
#define ATTACKS_LABEL 64

struct attacks;

struct attack_info {
    const char *name;
    const char *argument; /* NULL: takes none; else it may be left out */
    uint32_t unset_value;
    /* Makes the next shot in a->shot and its label; false when the attack is over. */
    bool (*shoot)(struct attacks *a, uint32_t step, uint32_t argument);
    const char *help;
};

/* The table, in the order of the help text. */
const struct attack_info *attacks_table(size_t *count);

struct attacks_plan {
    size_t count;
    struct {
        const struct attack_info *info;
        uint32_t argument;
    } entries[ATTACKS_MAX];
};

/* Adds "NAME[:ARGUMENT][,...]" to a plan. Returns 0, or 1 with a sentence in reason. */
int attacks_parse(struct attacks_plan *plan, const char *text, char *reason, size_t reason_size) must_check;

/* A datagram that can be sent, with what its answer is opened with. */
struct shot {
    uint8_t data[1500];
    size_t size; /* 0: it could not be made */
    struct security_call call;
    uint64_t n;    /* of the report in it */
    bool verbatim; /* with the message ID and token that it has */
};

enum attacks_phase { ATTACKS_READY, ATTACKS_WARMING, ATTACKS_RUNNING, ATTACKS_OVER };

struct attacks {
    const struct attacks_plan *plan;
    struct server *server;
    struct security *security;
    struct client *client;
    const struct device *device;
    const struct oscore_credentials *other; /* of another device; NULL: there is none */

    enum attacks_phase phase;
    size_t current;
    uint32_t step;
    bool waiting;
    int64_t deadline_ms;
    uint8_t token[CLIENT_TOKEN_SIZE];
    uint64_t n;
    char report[96];
    char label[ATTACKS_LABEL];
    struct shot shot;
    struct shot kept[ATTACKS_KEPT];
};

/* The second part is zero. */
void attacks_tick(struct attacks *a);
int64_t attacks_deadline(const struct attacks *a); /* CLIENT_NEVER when nothing is to be done */
/* Whether it has the gateway for itself. */
bool attacks_active(const struct attacks *a);
/* Its task as a client has ended. */
void attacks_finished(struct attacks *a, enum client_outcome outcome);
/* A response arrived. False: it is not for this attack. */
bool attacks_response(struct attacks *a, const struct peer *peer, const struct coapmsg *response);

#endif
