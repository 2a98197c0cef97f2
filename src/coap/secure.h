#ifndef TC_COAP_SECURE_H
#define TC_COAP_SECURE_H

#include "base/buffer.h"
#include "coap/exchange.h"
#include "core/keyring.h"
#include "core/ports.h"

/*
 * One request to a device and its answer, protected as the keyring demands: with OSCORE where the device has such
 * credentials, else with DTLS or TLS, else not at all, where that is allowed. What a device may ask for first is done
 * here: Echo (RFC 9175, RFC 8613 appendix B.1.2), a new security context (appendix B.2), and the move to new
 * credentials.
 *
 * An answer that does not verify never counts. It is remembered as a hint, and the genuine answer is waited for; only
 * when that does not come the hint leads to the next attempt: the other credentials of a rotation, then appendix B.2.
 * Since a hint can be forged, a request that must not take effect twice is not sent again because of one.
 */

struct agents;
struct secure;

#define SECURE_ECHO_MAX 40 /* bytes of an Echo option (RFC 9175 section 2.2.1) */
#define SECURE_NONCE 8     /* bytes of R1 and R3 (RFC 8613 appendix B.2) */

enum secure_flags {
    SECURE_UNREPEATABLE = 1, /* taking effect twice does harm: see above. It is sent again only when the device said,
                                protected, that it did not process it (4.01 with Echo, or a step of appendix B.2) */
    SECURE_OBSERVE = 2,      /* a request with Observe 0: `done` may be called many times */
};

/* The outcome and, for AGENT_OK, the response, which lives until the call returns; secure->detail is a sentence for all
 * others, or empty. Called once per start, never from within it; the exchange may be started again from there. For
 * notifications it is called again while secure->lasts. */
typedef void (*secure_fn)(struct secure *secure, enum agent_outcome outcome, const struct coapmsg *response);

/* What is tried, in this order, with OSCORE. */
enum secure_stage { SECURE_TRY_ACTIVE, SECURE_TRY_NEW, SECURE_TRY_RENEWAL, SECURE_TRIED };

enum secure_phase {
    SECURE_IDLE,
    SECURE_RESERVING,  /* waits for sequence numbers */
    SECURE_SENT,       /* the request is under way */
    SECURE_RENEWING,   /* request #1 of appendix B.2 is */
    SECURE_CONFIRMING, /* request #2 is */
    SECURE_STORING,    /* the new context is being made durable */
    SECURE_WAITING,    /* somebody else renews the context */
    SECURE_ENDING,     /* done comes from the loop */
};

enum secure_hint { SECURE_NO_HINT, SECURE_REFUSED, SECURE_UNPROTECTED, SECURE_UNVERIFIED };

/* Embedded in its owner; all but what comes after `repairing` is secure.c's. */
struct secure {
    struct agents *agents;
    struct exchange exchange;
    struct list node; /* in agents->secures while it is under way */
    const struct device *device;
    struct exchange_times times;
    unsigned flags;
    secure_fn done;
    struct buffer request; /* the plain request as a datagram */

    enum secure_phase phase;
    enum secure_stage stage;
    struct credential *credential; /* that protects it with OSCORE; NULL: none */
    struct credential *session;    /* of the DTLS or TLS session that it goes through; NULL: none */
    uint64_t number;               /* of the OSCORE credential that is renewed */
    struct reservation reservation;
    struct oscore_context *derived; /* of appendix B.2, until it is the credential's */
    struct oscore_binding binding;
    uint8_t r2[OSCORE_ID_CONTEXT_MAX], r2_size;
    unsigned r2_tries, renewals;
    uint8_t echo[SECURE_ECHO_MAX], echo_size;
    unsigned echoes;
    enum secure_hint hint;
    uint8_t hint_code;
    bool starting;  /* done must come from the loop */
    bool repairing; /* the request is not sent again: a harmless one finds out what is wrong */

    uint64_t begun;         /* loop time at which it was begun, ms */
    const char *uid;        /* of the container that the next request is for; NULL: none. The caller's until it ends */
    bool urgent;            /* it stops or removes something (budget.h) */
    bool left;              /* a datagram of the request has left, and may have been processed */
    bool guarded;           /* it is protected, or goes through DTLS */
    bool lasts;             /* further notifications may come */
    enum agent_outcome end; /* of SECURE_ENDING */
    char detail[160];
};

/* Whether requests to the device are protected with OSCORE. */
bool secure_is_protected(const struct agents *agents, const struct device *device);

void secure_init(struct secure *secure, struct agents *agents);
/* Sends a request, which need not outlive the call; the device must. Failures come through done, too. */
void secure_start(struct secure *secure, const struct device *device, const struct coapmsg *request,
                  const struct exchange_times *times, unsigned flags, secure_fn done);
/* One that lasts: sends another request with the same token, whose answers take the place of those that were to come.
 */
void secure_again(struct secure *secure, const struct coapmsg *request);
/* One that lasts: sends a last request with the same token, needs the device no more, and calls done when nothing is
 * under way; false when it could not be sent. */
bool secure_leave(struct secure *secure, struct coapmsg *request, secure_fn done) must_check;
/* Sends nothing: done comes from the loop with the outcome. */
void secure_defer(struct secure *secure, enum agent_outcome outcome, secure_fn done);
/* Gives up what is under way, if anything: done will not be called. */
void secure_stop(struct secure *secure);
/* Stops it, and calls closed from the loop, with the handle of exchange.timer. */
void secure_close(struct secure *secure, uv_close_cb closed);

/* The credential will be freed or gets another context: all that is under way with it ends as AGENT_UNTRUSTED, from the
 * loop. */
void secure_drop(struct agents *agents, const struct credential *credential);

#endif
