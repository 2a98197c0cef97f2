#ifndef TC_CORE_KEYRING_H
#define TC_CORE_KEYRING_H

#include "core/model.h"
#include "tcgw/oscore.h"

/*
 * Who devices are: their credentials and security contexts. Everything here belongs to the core; the southbound room
 * finds contexts by what a message says, and tells what it verified. The identity of a device comes from here and from
 * nowhere else. Loop thread only.
 */

enum credential_kind { CREDENTIAL_OSCORE, CREDENTIAL_PSK, CREDENTIAL_CERTIFICATE, CREDENTIAL_KIND_COUNT };

enum credential_state {
    CREDENTIAL_NEW,    /* made or imported; the device has not used it yet */
    CREDENTIAL_ACTIVE, /* the device has used it */
    CREDENTIAL_STALE, /* OSCORE: the database may be older than what was sent: nothing may be protected or accepted with
                         its context any more. Only a context derived anew (Appendix B.2) or new credentials help */
    CREDENTIAL_STATE_COUNT
};

const char *credential_kind_name(enum credential_kind kind);    /* "oscore", "psk", "certificate" */
const char *credential_state_name(enum credential_state state); /* "new", "active", "stale" */

#define KEYRING_IDENTITY_MAX 63
#define KEYRING_PSK_MAX 64

#define KEYRING_MAX 3 /* credentials of one kind of a device */

/* A device has at most one ACTIVE per kind and at most one NEW (rotation with overlap), which is the newest; besides
 * them there are STALE ones after the database was restored. The address of a credential is good until
 * security_port.dropped was called for it. */
struct credential {
    struct device *device;
    struct credential *next; /* of the same device, the one to use first in front */
    uint64_t number;         /* never used again; also the associated data of the sealed secret */
    enum credential_kind kind;
    enum credential_state state;
    int64_t created, first_used; /* wall ms; 0: never */

    struct oscore_context *context; /* CREDENTIAL_OSCORE; its owner is this */
    uint64_t reserved;              /* sequence numbers below are reserved in the database */

    char identity[KEYRING_IDENTITY_MAX + 1]; /* PSK: identity; certificate: common name */
    uint8_t psk[KEYRING_PSK_MAX], psk_size;
    uint8_t fingerprint[32]; /* certificate: SHA-256 of the DER */

    struct {
        uint64_t sent, received, replays, failures; /* since the start */
    } counters;                                     /* the southbound room's */

    bool hidden;                /* core-private from here on: not durable yet, or being revoked; nobody finds it */
    bool promoting;             /* a commit that makes it ACTIVE is under way */
    bool reserving;             /* a commit that raises `reserved`, or renews the context, is under way */
    uint16_t step;              /* how many numbers were reserved last */
    int64_t reserved_at;        /* monotonic ms */
    struct list reservations;   /* who waits */
    struct oscore_window saved; /* what its row holds */
    UT_hash_handle hh;          /* by PSK identity, or by certificate fingerprint */
};

/* What the core asks of the southbound room about credentials. */
struct security_port {
    void *arg;
    /* The credential will be freed or its context replaced after this has returned: forget what refers to it, drop
     * sessions, observations, reservations and held requests of that identity; calls under way with it fail as
     * AGENT_UNTRUSTED from the loop. */
    void (*dropped)(void *arg, struct credential *credential);
};
void keyring_set_port(struct core *core, const struct security_port *port);

/* The credential to send requests to a device with: OSCORE before DTLS (never a silent downgrade), active before new
 * before stale. NULL: it has none. */
struct credential *keyring_of_device(const struct device *device);
/* The newest one of a kind and state, or NULL. */
struct credential *keyring_find(const struct device *device, enum credential_kind kind, enum credential_state state);
/* Whether the device may be spoken to without protection: it has no credentials, and its own setting or that of one of
 * its groups (coap.allow_plain_groups) says so. */
bool keyring_allows_plain(const struct device *device);
/* A device that may be used without protection and has this (canonical) address; NULL: none. */
struct device *keyring_find_plain(const struct core *core, const char *address);
/* Such a device was heard: what comes from its address is taken for its own. */
void keyring_heard_plain(struct device *device);

/* By OSCORE kid and kid context (NULL: none in the message); then the next one. Revoked and removed ones are not found
 * from the moment on that they are. */
struct credential *keyring_find_oscore(const struct core *core, const void *kid, size_t kid_size,
                                       const void *kid_context, size_t kid_context_size,
                                       const struct credential *after);
struct credential *keyring_find_psk(const struct core *core, const void *identity, size_t size);
struct credential *keyring_find_certificate(const struct core *core, const char *common_name,
                                            const uint8_t fingerprint[32]);

/* Sequence numbers (Appendix B.1.1) ------------------------------------------------------------------------------- */

/* Embedded by who waits. */
struct reservation {
    struct list node;
    void (*done)(struct reservation *reservation, int result); /* 0, or -EIO, -ENOSPC, -EOVERFLOW (exhausted) */
};
/* Asks for further sequence numbers, durably reserved; done comes from the loop. The core asks by itself, without being
 * called, when a context runs low; so this is for the start and for bursts. One that waits already goes on waiting, and
 * is told once; so it has to be zero at first. */
void keyring_reserve(struct core *core, struct credential *credential, struct reservation *reservation);
void keyring_cancel_reservation(struct reservation *reservation); /* harmless when none is waited for */
/* To be called after each number that was taken: reserves ahead when few are left. Cheap. */
void keyring_spent(struct core *core, struct credential *credential);

/* What was verified ----------------------------------------------------------------------------------------------- */

/* An authentic, fresh message of the device was accepted: it is seen; a NEW credential becomes active and replaces the
 * one before. `address` (canonical; NULL for responses) is where it speaks from now: when it differs from the device's,
 * the device gets it. May call security_port.dropped for other credentials of the device. */
void keyring_verified(struct core *core, struct credential *credential, const char *address);
/* A new context of the same credential (Appendix B.2), whose owner is the credential, takes the place of the old one,
 * which is freed; a credential that was stale is active again. Its sequence goes on where the context stands (a few
 * numbers may have been used up for the handshake) and numbers are reserved for it in the same commit; done says when
 * all that is durable, and only then may it be used. Its replay window is the caller's to set. security_port.dropped is
 * called just before the exchange. On failure, and when it is revoked meanwhile, done says so and the old one stays, or
 * is gone. The context is taken over in any case. (Without memory done comes from within.) */
void keyring_renew(struct core *core, struct credential *credential, struct oscore_context *context,
                   struct reservation *done);

/* Agents without credentials that ask to join. 0: listed (or already was); 1: the window is closed (FAULT_JOIN_CLOSED);
 * or FAULT_LIMIT_REACHED, FAULT_INVALID_ID, FAULT_ALREADY_EXISTS (a device of that id has credentials). */
int keyring_note_pending(struct core *core, const char *id, const char *address, struct fault *fault) must_check;

#endif
