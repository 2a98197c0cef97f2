#ifndef TC_AGENT_SECURITY_H
#define TC_AGENT_SECURITY_H

#include "agent/device.h"
#include "agent/flash.h"
#include "agent/pivlog.h"
#include "agent/server.h"

/*
 * The OSCORE side of a device: one security context with its gateway, used in both roles, that outlives restarts (RFC
 * 8613 Appendix B.1) and is made anew when it was lost (Appendix B.2). Everything that comes protected goes to the
 * journal, and a nonce that was used twice is noticed.
 */
#define SECURITY_NONCE 8 /* bytes of R1, R3 and of an Echo value */
#define SECURITY_RUNS 4  /* R2s that are waited for at once */

struct security_options {
    const struct oscore_credentials *credentials; /* one for each device; NULL: none */
    struct oscore_crypto *crypto;
    const char *state; /* directory; NULL: what survives a restart is kept in memory */
    bool forget;       /* begin without the state */
    bool allow_plain;  /* unprotected requests are served all the same */
};

struct security {
    const struct security_options *options;
    const struct oscore_credentials *credentials; /* NULL: nothing is protected */
    const struct device *device;
    struct oscore_context *context;              /* NULL: lost */
    struct oscore_context *first;                /* own run of Appendix B.2: of R1 */
    struct oscore_context *pending;              /* of R2 and R3, until the gateway answers with it or uses it */
    unsigned generation;                         /* grows whenever the context is replaced */
    uint8_t runs[SECURITY_RUNS][OSCORE_R2_SIZE]; /* R2s that were given out */
    unsigned runs_used, runs_next;
    bool challenged; /* echo was given out */
    uint8_t echo[SECURITY_NONCE];
    struct flash flash;
    struct pivlog pivlog;
    uint64_t verified; /* messages */
};

/* options and device must outlive it. Returns 0 or a negative errno; security_clear ends it in both cases. */
int security_init(struct security *s, const struct security_options *options, unsigned index,
                  const struct device *device) must_check;
/* A clean end: what was known stays known. */
void security_clear(struct security *s);
/* A restart without a clean end; with forget the non-volatile memory is lost too. */
void security_restart(struct security *s, bool forget);

/* As server -------------------------------------------------------------------------------------------------------- */

struct security_request {
    struct oscore_context *context; /* good until the next call of this module */
    struct oscore_binding binding;
    struct coapmsg message;
    uint8_t buffer[SERVER_DATAGRAM_MAX];
};

/* Takes a request with an OSCORE option. True: request holds what it says. False: response is the refusal or the
 * challenge to send, and points into room (SERVER_DATAGRAM_MAX bytes). */
bool security_open_request(struct security *s, const struct coapmsg *outer, struct security_request *request,
                           struct coapmsg *response, uint8_t *room);
/* Protects an answer or notification with the present context. False when that is not possible. */
bool security_seal_response(struct security *s, struct oscore_binding *binding, const struct coapmsg *plain,
                            struct coapmsg *outer, uint8_t *room) must_check;

/* As client -------------------------------------------------------------------------------------------------------- */

struct security_call {
    unsigned generation;
    struct oscore_binding binding;
};

enum security_result {
    SECURITY_FINE,
    SECURITY_REPEAT, /* the gateway gave R2: the request is to be protected anew and sent again */
    SECURITY_HINT,   /* it was not protected */
    SECURITY_REFUSED,
};

/* Protects a request: with the context, or within a run of Appendix B.2. One is begun when the context was lost. */
bool security_seal_request(struct security *s, const struct coapmsg *plain, struct security_call *call,
                           struct coapmsg *outer, uint8_t *room) must_check;
/* Takes a response to it or a notification; message points into room. */
enum security_result security_open_response(struct security *s, struct security_call *call, const struct coapmsg *outer,
                                            struct coapmsg *message, uint8_t *room);
/* Begins a run of Appendix B.2: the next request is its first. */
void security_renew(struct security *s);

/* Fills bytes from the system's generator. */
void security_random(void *out, size_t size);

#endif
