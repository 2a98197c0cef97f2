#ifndef TC_AGENT_ENROLMENT_H
#define TC_AGENT_ENROLMENT_H

#include "base/cleanup.h"
#include "tcgw/oscore.h"

/*
 * The credentials of devices, as the gateway gives them at enrolment (the device's view): a JSON object with "kind"
 * "oscore", "algorithm" (COSE number or name; AES-CCM-16-64-128 when left out), "master_secret", "master_salt",
 * "sender_id", "recipient_id", "id_context" (hexadecimal; salt and ID Context may be left out or null), and
 * "device", the id that the gateway has for it (may be left out). One object, an
 * array of them, or one after the other.
 */
#define ENROLMENT_MAX 20000

struct enrolment {
    struct oscore_credentials *entries;
    char **names; /* what the gateway calls the devices ("device"), an element may be NULL */
    size_t count;
};

/* Returns 0, or 1 with a sentence in reason. End it with enrolment_clear in both cases. */
int enrolment_read(struct enrolment *e, const char *path, char *reason, size_t reason_size) must_check;
void enrolment_clear(struct enrolment *e); /* wipes */

#endif
