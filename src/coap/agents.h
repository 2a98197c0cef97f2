#ifndef TC_COAP_AGENTS_H
#define TC_COAP_AGENTS_H

#include "base/histogram.h"
#include "coap/endpoint.h"
#include "coap/server.h"
#include "core/ports.h"

#include <uv.h>

/*
 * The southbound room's face: an agent_port that speaks CoAP on the given libuv loop.
 */
struct agents;
struct core;
struct key;

struct agents_options {
    uv_loop_t *loop;
    metadata_sign_fn sign; /* signs container metadata with the gateway's key */
    void *sign_arg;
    struct key *suit_key;       /* signs manifests for SUIT devices; NULL: none are made */
    uint32_t max_sessions;      /* idle sessions with devices (DTLS, TCP, TLS) kept; 0: 64 */
    uint32_t max_peer_sessions; /* sessions that devices opened (DTLS, TCP, TLS); 0: 64 */
    uint64_t kept_bytes;        /* of answers that are kept for retransmitted requests; 0: 16 MiB */
    uint32_t max_calls;         /* under way at once; further ones wait for their turn; 0: 4096 */
    uint32_t answer_timeout_ms; /* after an empty ACK, or for a load that is not retransmitted */
    uint32_t ack_timeout_ms;    /* RFC 7252 ACK_TIMEOUT, at least 1000 */
    uint32_t max_retransmit;    /* RFC 7252 MAX_RETRANSMIT, at least 1 */
    uint32_t load_timeout_ms;   /* how long a load may take before its answer counts as lost */
    uint32_t log_max;           /* bytes of a container's log read at most */

    uint32_t max_transfers;    /* of the server (server.h) */
    uint32_t max_observers;    /* of the server */
    uint32_t max_records;      /* of the server */
    uint64_t max_body;         /* of the server */
    uint64_t max_unfragmented; /* of the server */
    /* PEM files of DTLS and TLS (endpoint.h), NULL or empty: none */
    const char *certificate, *private_key, *client_ca;
};

int agents_new(struct agents **out, const struct agents_options *options) must_check; /* negative errno */
/* Tells it of the core, whose keyring protects what is sent from then on and says who sent what comes; before that
 * every device is one without credentials, and requests are dropped. The core must outlive it. Negative errno. */
int agents_start(struct agents *agents, struct core *core) must_check;
struct agent_port agents_port(struct agents *agents);
/* Serves a literal address ("[::]:5683") for devices; requests to UDP devices leave from there too. 0, or negative
 * errno with a sentence in reason. */
int agents_listen(struct agents *agents, enum peer_transport transport, const char *address, char *reason,
                  size_t reason_size) must_check;
/* The same on a bound UDP socket, which is taken over when the result is 0. */
int agents_adopt(struct agents *agents, int fd) must_check;
void agents_configure(struct agents *agents, const struct agents_options *options);
/* Drops every call (their done is not called) and closes. The owner is freed in the loop's close callbacks; closed
 * (may be NULL) is called then. */
void agents_close(struct agents *agents, void (*closed)(void *arg), void *arg);

struct agents_stats {
    uint64_t requests, responses, timeouts;
    uint64_t waiting;                        /* calls that wait since too many are under way */
    struct histogram answered_ms, failed_ms; /* one request and its answer, with all that it took; and no answer */
    struct endpoint_stats messages;
    struct { /* of the exchanges that the gateway begins */
        uint64_t protected_requests, verified_responses;
        uint64_t echoes;        /* requests that were sent again since the device asked for Echo */
        uint64_t renewals;      /* new security contexts (RFC 8613 appendix B.2) */
        uint64_t hints;         /* unprotected answers to protected requests */
        uint64_t failures;      /* answers that did not verify */
        uint64_t plain_refused; /* requests that were not sent, since nothing would have protected them */
    } security;
    struct server_stats server; /* of the exchanges that devices begin */
};
void agents_get_stats(const struct agents *agents, struct agents_stats *out);

#endif
