#ifndef TESTS_AGENT_FIXTURE_H
#define TESTS_AGENT_FIXTURE_H

#include "agent/agent.h"
#include "base/buffer.h"
#include "codec/key.h"

#include <check.h>

/* An agent without sockets, on a clock that is set by hand: requests go in as bytes, what it sends is kept. */
#define SENT_MAX 64

struct sent {
    struct peer peer;
    uint8_t data[SERVER_DATAGRAM_MAX];
    size_t size;
};

struct fixture {
    struct clock_manual clock;
    struct journal journal;
    char journal_path[64];
    struct agent_options options;
    struct agent agent;
    struct key *key;
    struct peer peer;
    uint16_t next_id;
    unsigned sent_count; /* since fixture_send */
    struct sent sent[SENT_MAX];
    struct coapmsg answer; /* the decoded sent[0] */
};

/* A v1 or v2 agent with bugs ("" for none). End it with fixture_end. */
struct fixture *fixture_new(enum device_kind kind, const char *bugs);
struct fixture *fixture_new_with(const struct device_options *options, size_t pdu_size);
struct fixture *fixture_new_agent(const struct agent_options *options);
void fixture_end(struct fixture *f);

/* The clock goes on by ms, one millisecond after the other, and the agent does what is due. */
void fixture_pass(struct fixture *f, int64_t ms);

struct peer fixture_peer(uint16_t port);

/* Starts a confirmable request with a token and the next message id. The path as for coapmsg_add_path. */
void fixture_request(struct fixture *f, struct coapmsg *request, uint8_t method, const char *path);
/* Forgets what was sent before, gives the message to the agent, and decodes the first thing it sent, if any. */
void fixture_send(struct fixture *f, const struct coapmsg *request);
void fixture_send_bytes(struct fixture *f, const void *data, size_t size);
/* A request without more than its path and, unless NULL, one query. Returns the answer's code, 0 for none. */
uint8_t fixture_ask(struct fixture *f, uint8_t method, const char *path, const char *query);

/* WebAssembly modules; loop returns 0, 1, or does what it must not. */
struct code {
    const uint8_t *bytes;
    size_t size;
};
extern const struct code code_runs, code_ends, code_traps, code_broken;

/* Signed metadata for a container; appended to out. */
void fixture_metadata(struct fixture *f, const char *uid, struct code code, const void *data, size_t data_size,
                      struct buffer *out);
/* The v2 package. */
void fixture_package(struct fixture *f, const char *uid, struct code code, const void *data, size_t data_size,
                     struct buffer *out);

/* Loads over the protocol of the agent's kind. Returns the answer's code. */
uint8_t fixture_load(struct fixture *f, const char *uid, struct code code);

/* A v1 request with an action and, unless NULL, a uid. */
uint8_t fixture_v1(struct fixture *f, uint8_t method, unsigned action, const char *uid);
/* is-running: 0 or 1, -1 for an answer without a status. */
int fixture_v1_status(struct fixture *f, const char *uid);
/* Starts a PUT of a v2 container; package may be NULL for a test to fill in. */
void fixture_put(struct fixture *f, struct coapmsg *request, const char *uid, const struct buffer *package);
/* The value of an unsigned integer in the answer's map. */
uint64_t fixture_map_uint(const struct fixture *f, uint64_t wanted);
/* The state in a v2 container's map, -1 when it is not there. */
int fixture_v2_state(struct fixture *f, const char *uid);

/* How many lines of the journal contain all of two texts. */
unsigned fixture_journal_count(const struct fixture *f, const char *one, const char *other);

#endif
