#ifndef TESTS_AGENT_PLAIN_H
#define TESTS_AGENT_PLAIN_H

#include "agent_fixture.h"

/* A v2 agent without credentials that speaks to a gateway by itself, and that gateway's half. */
struct fixture *plain_new(const struct agent_options *options);

/* Time passes; what was sent before is forgotten. */
void plain_pass(struct fixture *f, int64_t ms);

/* Time passes until something is sent, at most so long. Returns how long. */
int64_t plain_wait(struct fixture *f, int64_t ms);

/* The latest request that the agent sent since, in f->answer; false when there is none. */
bool plain_take(struct fixture *f);
/* The same, which must be this one. */
void plain_expect(struct fixture *f, uint8_t method, const char *path);
/* True when that request has this query. */
bool plain_has_query(const struct fixture *f, const char *query);

/* True when its payload contains this text. */
bool plain_contains(const struct fixture *f, const char *text);

/* Answers that request, piggybacked. Token, id and code of reply are set here. */
void plain_reply(struct fixture *f, struct coapmsg *reply, uint8_t code);
void plain_reply_code(struct fixture *f, uint8_t code);

#endif
