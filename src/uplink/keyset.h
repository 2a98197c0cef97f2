#ifndef TC_UPLINK_KEYSET_H
#define TC_UPLINK_KEYSET_H

#include "uplink/sink.h"
#include "uplink/uplink.h"

/* Fetches the keys of an issuer of JWTs, one fetch at a time. */
struct keyset;

int keyset_new(struct keyset **out, struct uplink *uplink) must_check; /* -ENOMEM */
void keyset_close(struct keyset *keyset);                              /* gives a fetch up; NULL is fine */
bool keyset_fetch(struct keyset *keyset, const char *url, const char *ca, uplink_keys_fn done, void *arg) must_check;

#endif
