#ifndef TC_TESTS_COAP_GUARD_H
#define TC_TESTS_COAP_GUARD_H

#include "coap_fixture.h"

/*
 * The device of the fixture with OSCORE: its side of up to two security contexts, made with the engine that is tested
 * elsewhere. What verifies goes to a script; what does not is refused with an unprotected 4.01.
 */

#define GUARD_CONTEXTS 2

struct guard {
    struct oscore_crypto *crypto;
    struct oscore_context *contexts[GUARD_CONTEXTS]; /* of what the device was given; NULL: none */
    struct oscore_context *used;                     /* of the last request */
    struct oscore_binding binding;
    struct coapmsg request; /* the last one that verified */
    uint8_t in[65536], out[65536];
    unsigned verified, refused, renewed;
    uint16_t last_id; /* of the last one that verified */
    bool renews;      /* appendix B.2 as server */
    uint8_t r2[OSCORE_R2_SIZE];
    bool offered;  /* R2 was sent */
    unsigned lose; /* answers of appendix B.2 that get lost */
    void (*script)(struct guard *guard);
    unsigned step;         /* for the script */
    uint64_t numbers[256]; /* sequence numbers of verified requests */
};

extern struct guard guard;

/* The gateway's inputs for secret n; the ID Context may be NULL. */
struct oscore_credentials guard_inputs(uint8_t n, const char *id_context);
/* The same as the device sees them. */
struct oscore_credentials guard_mirror(const struct oscore_credentials *inputs);
/* A gateway and a device that both know secret 1; the credential is ACTIVE and has numbers to use. */
void guard_set_up(void);
void guard_tear_down(void);
TCase *guard_case(const char *name, void (*set_up)(void));
/* Gives the device a context (again: it has lost all it knew of it). */
void guard_learn(unsigned at, const struct oscore_credentials *inputs);
void guard_forget(unsigned at);
/* Another credential of the device. Numbers are reserved when it is first used. */
struct credential *guard_add(uint8_t n, const char *id_context, enum credential_state state);

/* Answers the last request that verified, protected. */
void guard_prepare(struct coapmsg *response, enum coapmsg_type type, uint8_t code);
void guard_protect(struct coapmsg *response, unsigned flags, struct coapmsg *outer);
void guard_send(struct coapmsg *response, unsigned flags);
void guard_answer(uint8_t code, const char *text);
void guard_answer_running(struct guard *unused);
/* 4.01 with Echo. */
void guard_ask_echo(void);
bool guard_has_echo(void);

#endif
