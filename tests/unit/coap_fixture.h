#ifndef TC_TESTS_COAP_FIXTURE_H
#define TC_TESTS_COAP_FIXTURE_H

#include "coap/agents.h"
#include "codec/key.h"
#include "fake_keyring.h"
#include "tcgw/coapmsg.h"

#include <check.h>
#include <netinet/in.h>

/*
 * A room of agents and a device on one loop: the device is a UDP socket whose script answers, or not. Nothing in it
 * uses libcoap.
 */

#define BOX_KEPT 64

struct world;

struct box {
    struct world *world;
    uv_udp_t udp;
    uv_timer_t timer;
    uint16_t port;
    bool open;
    struct sockaddr_in from; /* of the last datagram */
    uint8_t data[65536];     /* the last datagram */
    size_t size;
    struct coapmsg request;          /* the same, decoded */
    unsigned datagrams;              /* received, of any kind */
    unsigned requests;               /* of them requests */
    unsigned acks, resets;           /* empty ones for what the box sent */
    void (*script)(struct box *box); /* called for each request; NULL: silence */
    int step;                        /* for the script */
    const uint8_t *payload;          /* for the script */
    size_t payload_size;
};

struct world {
    uv_loop_t loop;
    struct agents_options options;
    struct core core;
    struct agents *agents;
    struct agent_port port;
    struct key *key;
    struct box box;
    struct device device;
    struct artifact artifact;
    struct agent_call call;
    uint8_t code[70000], data[64];
    unsigned done; /* how often call.done was called */
    bool closed;
};

/* The present one; the check fixtures make and end it. */
extern struct world world;

void world_set_up(void); /* agents, and a device of kind v1 that is silent */
void world_set_up_v2(void);
void world_tear_down(void);
/* A test case whose tests begin with set_up and end with world_tear_down. */
TCase *world_case(const char *name, void (*set_up)(void));

/* Lets the loop run until the call is done, or for ms. Returns true when it is done. */
bool world_run(int64_t ms);
void world_run_for(int64_t ms);
/* Begins a call to the device, which must not be done at once, and runs it to its end. */
void world_begin(enum agent_verb verb);
/* The same in two steps, for a call that the test changes between. */
void world_prepare(enum agent_verb verb);
void world_begin_prepared(void);
enum agent_outcome world_call(enum agent_verb verb);
/* Checks that the call told of a running container. */
void world_check_running(void);
int64_t world_now(void);

void box_open(struct box *box, uint16_t port);
void box_close(struct box *box);
/* Sends a response to the box's last request. */
void box_send(struct box *box, struct coapmsg *response);
void box_send_raw(struct box *box, const void *data, size_t size);
/* The response to the last request in its ACK, with token and message id. */
void box_prepare(struct box *box, struct coapmsg *response, enum coapmsg_type type, uint8_t code);
/* That response without options, with a payload of text. */
void box_answer(struct box *box, uint8_t code, const char *text);
/* An empty ACK of the last request: the response is to follow. */
void box_acknowledge(struct box *box);
/* A v1 agent's response that the container runs. */
void box_prepare_running(struct box *box, struct coapmsg *response, enum coapmsg_type type);
void box_answer_running(struct box *box);
/* A v2 agent's /tc: a tcagent for 4 WebAssembly and rBPF containers of 64 KiB, which holds the first bytes of a package
 * for door (held = 0: of none). */
void box_answer_info(struct box *box, const uint8_t digest[8], uint64_t held);

#endif
