#ifndef TC_AGENT_OBSERVERS_H
#define TC_AGENT_OBSERVERS_H

#include "agent/peer.h"
#include "tcgw/coapmsg.h"
#include "tcgw/metadata.h"
#include "tcgw/oscore.h"

#include <stdint.h>

/*
 * Who observes what (RFC 7641). A registration is known by peer and token. One notification per observer is under way
 * at a time; what changes meanwhile is told by the next one, so the latest state always arrives.
 */
#define OBSERVERS_MAX 8
#define OBSERVERS_LOG_INTERVAL_MS 1000

enum observed { OBSERVED_NOTHING, OBSERVED_LIST, OBSERVED_CONTAINER, OBSERVED_LOG, OBSERVED_SENSOR };

struct observed_resource {
    enum observed kind;
    char uid[METADATA_UID_MAX + 1]; /* or a sensor's name */
    uint16_t accept;                /* content format of a sensor's notifications */
};

struct observer {
    struct observed_resource resource; /* OBSERVED_NOTHING: this entry is free */
    unsigned id;                       /* not 0, and never used again */
    struct peer peer;
    uint8_t token[COAPMSG_MAX_TOKEN];
    uint8_t token_length;
    uint32_t revision; /* of what was sent last */
    uint32_t sequence; /* value of the Observe option, 24 bits */
    bool under_way;
    int64_t not_before_ms;
    bool protected; /* and then of this security context and this request */
    unsigned generation;
    struct oscore_binding binding;
};

struct observers {
    size_t used;
    unsigned last_id;
    struct observer entries[OBSERVERS_MAX];
};

/* Adds or renews a registration; NULL when there is no room. */
struct observer *observers_add(struct observers *o, const struct peer *peer, const struct coapmsg *request,
                               const struct observed_resource *resource);
/* The registration of a request's peer and token, NULL when there is none. */
struct observer *observers_of(struct observers *o, const struct peer *peer, const struct coapmsg *request);
/* Removes the registration of a request's peer and token. */
void observers_remove(struct observers *o, const struct peer *peer, const struct coapmsg *request);
/* NULL when it has gone meanwhile. */
struct observer *observers_find(struct observers *o, unsigned id);
void observers_free(struct observers *o, struct observer *observer);

#endif
