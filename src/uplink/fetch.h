#ifndef TC_UPLINK_FETCH_H
#define TC_UPLINK_FETCH_H

#include "base/fault.h"
#include "conf/conf.h"
#include "uplink/uplink.h"

/*
 * Artifacts from the platform's HTTPS store, when something names one that the gateway does not hold. The store serves
 * URL/{id} (the description, as REST shows an artifact), URL/{id}/code and URL/{id}/data; so another gateway is one.
 * Nothing that it says is believed: the description has to have the id as its SHA-256, the parts those of the
 * description, and nothing longer than announced is read. What has arrived is kept, and goes on with Range.
 */

#define FETCH_MAX 16             /* at a time, those that wait for their next attempt counted */
#define FETCH_MANIFEST_MAX 65536 /* bytes */

struct fetches;

int fetches_new(struct fetches **out, struct uplink *uplink) must_check; /* negative errno */
void fetches_close(struct fetches *fetches);                             /* before the HTTP port */
/* Begins one, or tells what became of it: always a fault (FAULT_ARTIFACT_PENDING, or why it failed a moment ago). */
void fetches_want(struct fetches *fetches, const char *id, struct fault *fault);

#endif
