#ifndef TESTS_AGENT_GATEWAY_H
#define TESTS_AGENT_GATEWAY_H

#include "agent_fixture.h"
#include "tcgw/oscore.h"

/* The gateway that an agent without sockets speaks OSCORE with: the engine, and nothing around it. */
struct gateway {
    struct fixture *f;
    struct oscore_crypto *crypto;
    struct oscore_credentials device; /* the device's view; the gateway's is the mirror */
    struct oscore_context *context;
    struct oscore_binding binding; /* of the last request in either direction */
    char state[64];                /* directory; empty: none */
    uint8_t datagram[SERVER_DATAGRAM_MAX];
    size_t datagram_size;
    uint8_t room[SERVER_DATAGRAM_MAX];
    struct coapmsg inner; /* the opened answer or request */
};

/* A v2 agent with credentials and bugs, and what it does by itself (its gateway address and count are filled in). */
struct gateway *gateway_new(const char *bugs, const struct traffic_options *traffic, bool with_state);
void gateway_end(struct gateway *g);
/* The agent's process ends (or dies) and another one begins. */
void gateway_restart_agent(struct gateway *g, bool clean, bool forget);

/* A context of the gateway with an ID Context, ready to use. NULL: the one of the credentials. */
struct oscore_context *gateway_derive(const struct gateway *g, const void *id_context, size_t size);
void gateway_use(struct gateway *g, struct oscore_context *context);

/* Protects a request into g->datagram. */
void gateway_protect(struct gateway *g, const struct coapmsg *request, unsigned flags);
/* Sends it, and opens the answer into g->inner. Returns its code; 0 when it is not protected (f->answer has it). */
uint8_t gateway_send(struct gateway *g);
uint8_t gateway_ask(struct gateway *g, uint8_t method, const char *path, const char *query);

/* Opens the latest thing that the agent sent as a request of its own into g->inner. Returns the result of the engine;
 * negative when there is none. */
int gateway_take(struct gateway *g);
/* Answers it, piggybacked: protected, or (context NULL) not. Extra options and payload are those of plain. */
void gateway_answer(struct gateway *g, const struct coapmsg *plain, unsigned flags);
void gateway_answer_code(struct gateway *g, uint8_t code);
void gateway_answer_plain(struct gateway *g, uint8_t code);

#endif
