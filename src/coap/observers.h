#ifndef TC_COAP_OBSERVERS_H
#define TC_COAP_OBSERVERS_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Observe as server (RFC 7641): who is told of a new desired shadow. A registration belongs to a credential and a token
 * and goes when either the device ends it, refuses or does not acknowledge a notification, or the credential or its
 * context goes. Notifications are confirmable and carry the present state: a newer one replaces what is under way.
 */
struct inbound;
struct device;
struct server;
struct credential;
struct observer;
struct observers_of;

#define OBSERVERS_PER_CREDENTIAL 4
#define OBSERVERS_MAX_AGE 600 /* seconds; a device registers again after it, if only because the gateway restarted */

struct observers {
    struct observers_of *by_credential; /* hash by the credential's number */
    struct list by_contact;             /* the longest not heard of first */
    struct list pending;                /* those with a newer state than the one under way */
    uint32_t count;
    uint32_t value; /* of the last Observe option, 24 bits */
};

void observers_init(struct observers *observers);
/* Forgets all, without telling them. */
void observers_clear(struct server *server);

/* Whether there is room for one of this credential. */
bool observers_have_room(const struct server *server, uint64_t number);
/* The value of the next Observe option. */
uint32_t observers_next_value(struct observers *observers);
/* Registers the caller of a request that was answered as a registration; in place of one with the same token. */
void observers_add(struct inbound *in);
/* Observe 1. */
void observers_remove(struct inbound *in);
void observers_forget(struct server *server, uint64_t number);
/* A device's desired shadow is another now. */
void observers_notify(struct server *server, const struct device *device);
/* Does what time brings; to be called every second while there are any. */
void observers_run(struct server *server);

#endif
